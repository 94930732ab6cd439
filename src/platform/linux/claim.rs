//! Which agent has an interface. A claim is a socket with a name in the abstract namespace (unix(7)),
//! of which each network namespace has one. The kernel closes it with the process, however that ends.

use std::fs;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use super::process::{capabilities, sockets_of_processes};
use crate::platform::Unclaimed;

/// What the name of each such socket begins with.
const NAME: &str = "renumberd/";

/// An interface that no other agent of this network namespace can claim while this is held.
#[derive(Debug)]
pub struct Claim(#[expect(dead_code, reason = "it is held for its name")] UnixDatagram);

/// Claims the interface of this name for this process.
///
/// # Errors
///
/// When another agent has it, or it cannot be claimed.
pub fn claim(interface: &str) -> Result<Claim, Unclaimed> {
    let address = SocketAddr::from_abstract_name(format!("{NAME}{interface}"));
    match address.and_then(|address| UnixDatagram::bind_addr(&address)) {
        Ok(socket) => return Ok(Claim(socket)),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
        Err(error) => return Err(Unclaimed::Failed(error)),
    }
    let table = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    let inodes: Vec<u64> =
        entries(&table).filter(|(name, _)| *name == interface).map(|(_, inode)| inode).collect();
    let holder = sockets_of_processes(&inodes).values().next().copied();
    match holder {
        // Any user can take any name.
        Some(pid) if !may_be_agent(pid) => {
            let text = format!("process {pid}, which is no agent, has taken the name of one");
            Err(Unclaimed::Failed(io::Error::other(text)))
        }
        Some(_) | None => Err(Unclaimed::Taken(holder)),
    }
}

/// The sockets of all claims in this network namespace, by inode.
pub(super) fn inodes() -> Vec<u64> {
    let table = fs::read_to_string("/proc/net/unix").unwrap_or_default();
    entries(&table).map(|(_, inode)| inode).collect()
}

/// The claims in the kernel's table of sockets: interface and inode.
fn entries(table: &str) -> impl Iterator<Item = (&str, u64)> {
    table.lines().filter_map(|line| {
        const INODE: usize = 6;
        let (fields, name) = line.split_once('@')?;
        Some((name.strip_prefix(NAME)?, fields.split_whitespace().nth(INODE)?.parse().ok()?))
    })
}

/// Whether a process is one of ours or can change the network, as far as that can be read.
fn may_be_agent(pid: u32) -> bool {
    let users = |pid: &str| fs::read_link(format!("/proc/{pid}/ns/user")).ok();
    let is_elsewhere = users(&pid.to_string()).is_some_and(|other| Some(other) != users("self"));
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let own = nix::unistd::geteuid().as_raw();
    user(&status) == Some(own) || (!is_elsewhere && administers_network(&status) != Some(false))
}

/// The effective user of a process by its status in proc(5).
fn user(status: &str) -> Option<u32> {
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a process has CAP_NET_ADMIN.
fn administers_network(status: &str) -> Option<bool> {
    const NET_ADMIN: u32 = 12;
    capabilities(status).map(|effective| effective >> NET_ADMIN & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_found_among_other_sockets() {
        let table = "Num       RefCount Protocol Flags    Type St Inode Path\n\
             0000000000000000: 00000002 00000000 00000000 0002 01 4242 @renumberd/eth0\n\
             0000000000000000: 00000002 00000000 00010000 0001 01 4243 /run/renumberd/control.sock\n\
             0000000000000000: 00000002 00000000 00000000 0002 01 4244 @other/eth0\n\
             0000000000000000: 00000003 00000000 00000000 0001 03 4245\n\
             0000000000000000: 00000002 00000000 00000000 0002 01 4246 @renumberd/wl@n\n";
        assert_eq!(entries(table).collect::<Vec<_>>(), [("eth0", 4242), ("wl@n", 4246)]);
    }

    #[test]
    fn a_program_that_cannot_change_the_network_is_no_agent() {
        let status = |effective: &str| format!("Name:\tx\nCapPrm:\t0\nCapEff:\t{effective}\n");
        assert_eq!(administers_network(&status("0000000000001000")), Some(true));
        assert_eq!(administers_network(&status("000001ffffffffff")), Some(true));
        assert_eq!(administers_network(&status("0000000000000000")), Some(false));
        assert_eq!(administers_network(""), None);
        assert_eq!(user("Name:\tx\nUid:\t0\t993\t0\t993\n"), Some(993));
    }

    #[test]
    fn a_claim_ends_with_its_holder_and_names_it() {
        let name = format!("t{}c", std::process::id());
        let held = claim(&name).unwrap();
        let pid = std::process::id();
        let Unclaimed::Taken(holder) = claim(&name).unwrap_err() else { panic!("it is ours") };
        assert_eq!(holder, Some(pid));
        drop(held);
        claim(&name).unwrap();
    }
}
