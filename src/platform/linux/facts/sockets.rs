//! The programs that have UDP ports 546 and 547.

use std::fs;

use super::super::claim;
use super::super::process::sockets_of_processes;
use crate::platform::facts::PortHolder;

/// The ports of DHCPv6 (RFC 9915 §7.2).
const PORTS: [u16; 2] = [546, 547];

/// Sockets that are bound to the ports, with the processes that have them open.
pub(super) fn ports() -> Vec<PortHolder> {
    let table = fs::read_to_string("/proc/net/udp6").unwrap_or_default();
    let bound: Vec<(u16, u64)> = table.lines().skip(1).filter_map(entry).collect();
    if bound.is_empty() {
        return Vec::new();
    }
    let claims = claim::inodes();
    let inodes: Vec<u64> = bound.iter().map(|(_, inode)| *inode).chain(claims.clone()).collect();
    let holders = sockets_of_processes(&inodes);
    let agents: Vec<u32> = claims.iter().filter_map(|inode| holders.get(inode)).copied().collect();
    let holder = |(port, inode): &(u16, u64)| {
        let pid = holders.get(inode).copied();
        PortHolder {
            port: *port,
            pid,
            name: pid.map(name_of),
            // Where an agent runs, a process that cannot be seen is not called a stranger.
            is_agent: pid.map_or(!claims.is_empty(), |pid| agents.contains(&pid)),
        }
    };
    bound.iter().map(holder).collect()
}

fn name_of(pid: u32) -> String {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    name.trim_end().to_owned()
}

/// The port and the inode of a line of the table, where it is one of the ports.
fn entry(line: &str) -> Option<(u16, u64)> {
    const INODE: usize = 9;
    let fields: Vec<&str> = line.split_whitespace().collect();
    let (_, port) = fields.get(1)?.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok().filter(|port| PORTS.contains(port))?;
    Some((port, fields.get(INODE)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_is_read_where_it_is_one_of_the_ports() {
        let line = |port: &str| {
            format!(
                "  12: 00000000000000000000000000000000:{port} 00000000000000000000000000000000:0000 \
                 07 00000000:00000000 00:00000000 00000000     0        0 4242 2 0000000000000000 0"
            )
        };
        assert_eq!(entry(&line("0222")), Some((546, 4242)));
        assert_eq!(entry(&line("0223")), Some((547, 4242)));
        assert_eq!(entry(&line("0035")), None);
        assert_eq!(entry("nonsense"), None);
    }
}
