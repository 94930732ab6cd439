//! Facts about this machine from proc(5) and from the tools of packet filters.

mod sockets;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::net::if_::if_nametoindex;

use super::process::{capabilities, pids};
use crate::platform::facts::{Facts, Filter, Interface, Program, Rights};

/// Programs that use router advertisements or DHCPv6, as the kernel names their processes: in 15
/// letters at most.
const SPEAKERS: [&str; 19] = [
    "radvd",
    "rtadvd",
    "rad",
    "rtsold",
    "dhcpcd",
    "dhclient",
    "dhcp6c",
    "dhcp6s",
    "dhcp6relay",
    "odhcp6c",
    "odhcpd",
    "kea-dhcp6",
    "dhcpd",
    "dnsmasq",
    "systemd-network",
    "NetworkManager",
    "connmand",
    "corerad",
    "renumberd",
];
/// The longest that the tool of a packet filter may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// The most octets of its output that are read.
const MOST_RULES: u64 = 16 << 20;

/// The facts about this machine.
pub fn facts() -> Facts {
    Facts {
        forwarding: super::sysctl::forwarding().ok(),
        kernel: fs::read_to_string("/proc/sys/kernel/osrelease")
            .ok()
            .and_then(|text| release(&text)),
        interfaces: interfaces(),
        programs: programs(),
        ports: sockets::ports(),
        neighbor_limit: number("/proc/sys/net/ipv6/neigh/default/gc_thresh3"),
        clock_is_synchronized: clock_is_synchronized(),
        filter: Filter {
            nftables: output_of("nft", &["-j", "list", "ruleset"]),
            ip6tables: output_of("ip6tables-save", &[]),
        },
        rights: rights(),
    }
}

/// Whether a program keeps the wall clock right, by adjtimex(2).
fn clock_is_synchronized() -> Option<bool> {
    #[expect(unsafe_code, reason = "a structure of numbers, for which zeros are a value")]
    let mut clock: libc::timex = unsafe { std::mem::zeroed() };
    #[expect(unsafe_code, reason = "nobody wraps it; without modes it only fills the structure")]
    let state = unsafe { libc::adjtimex(&raw mut clock) };
    (state >= 0).then_some(clock.status & libc::STA_UNSYNC == 0)
}

fn number<T: std::str::FromStr>(path: impl AsRef<Path>) -> Option<T> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The first two numbers of a kernel's release.
fn release(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().split(|letter: char| !letter.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn interfaces() -> BTreeMap<String, Interface> {
    // The interfaces with IPv6 are listed there; sysfs may be that of another network namespace.
    let Ok(entries) = fs::read_dir("/proc/sys/net/ipv6/conf") else { return BTreeMap::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let running = running();
    names
        .filter(|name| !matches!(name.as_str(), "all" | "default" | "lo"))
        .map(|name| {
            let setting = |file: &str| number(format!("/proc/sys/net/ipv6/conf/{name}/{file}"));
            let interface = Interface {
                is_running: running.contains(&name),
                is_without_ipv6: setting("disable_ipv6") == Some(1),
                accept_ra: setting("accept_ra"),
                managers: managers(&name),
            };
            (name, interface)
        })
        .collect()
}

/// Interfaces that are up and have a carrier.
fn running() -> Vec<String> {
    use nix::ifaddrs::getifaddrs;
    use nix::net::if_::InterfaceFlags;
    let Ok(addresses) = getifaddrs() else { return Vec::new() };
    let wanted = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
    let running = addresses.filter(|address| address.flags.contains(wanted));
    running.map(|address| address.interface_name).collect()
}

/// The program that states that it manages an interface.
fn managers(interface: &str) -> Vec<&'static str> {
    let Ok(index) = if_nametoindex(interface) else { return Vec::new() };
    let says = |path: String, words: &[&str]| {
        fs::read_to_string(path)
            .is_ok_and(|text| text.lines().any(|line| words.contains(&line.trim())))
    };
    let networkd = says(
        format!("/run/systemd/netif/links/{index}"),
        &["ADMIN_STATE=configured", "ADMIN_STATE=configuring"],
    );
    let manager =
        says(format!("/run/NetworkManager/devices/{index}"), &["managed=true", "managed=1"]);
    [(networkd, "systemd-networkd"), (manager, "NetworkManager")]
        .into_iter()
        .filter_map(|(is_manager, name)| is_manager.then_some(name))
        .collect()
}

/// Programs of this network namespace that use router advertisements or DHCPv6.
fn programs() -> Vec<Program> {
    let Ok(own_network) = fs::read_link("/proc/self/ns/net") else { return Vec::new() };
    let own = std::process::id();
    let mut programs = Vec::new();
    for pid in pids().filter(|pid| *pid != own) {
        let Ok(name) = fs::read_to_string(format!("/proc/{pid}/comm")) else { continue };
        let name = name.trim_end();
        let is_here =
            || fs::read_link(format!("/proc/{pid}/ns/net")).ok().as_ref() == Some(&own_network);
        if SPEAKERS.contains(&name) && is_here() {
            let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let arguments = arguments.split(|octet| *octet == 0).filter(|word| !word.is_empty());
            programs.push(Program {
                pid,
                name: name.to_owned(),
                arguments: arguments
                    .map(|word| String::from_utf8_lossy(word).into_owned())
                    .collect(),
            });
        }
    }
    programs.sort_by_key(|program| program.pid);
    programs
}

/// Which of the capabilities that an agent needs this process has (capabilities(7)).
fn rights() -> Rights {
    const NET_BIND_SERVICE: u32 = 10;
    const NET_ADMIN: u32 = 12;
    const NET_RAW: u32 = 13;
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = capabilities(&status);
    let has = |bit: u32| effective.map(|effective| effective >> bit & 1 == 1);
    Rights {
        network_administration: has(NET_ADMIN),
        raw_sockets: has(NET_RAW),
        low_ports: has(NET_BIND_SERVICE),
    }
}

/// The output of a tool; none where it is not installed, fails, or takes too long.
fn output_of(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    // Tools of packet filters are in directories that are not in every user's PATH.
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{path}:/usr/sbin:/sbin"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().ok()?;
    let output = child.stdout.take()?;
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut text = String::new();
        let read: io::Result<usize> = output.take(MOST_RULES).read_to_string(&mut text);
        // The caller may have given up.
        let _ = sender.send(read.ok().map(|_| text));
    });
    let text = receiver.recv_timeout(PATIENCE).ok().flatten();
    if text.is_none() {
        let _ = child.kill();
    }
    let is_success = child.wait().is_ok_and(|status| status.success());
    text.filter(|_| is_success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_two_numbers_of_a_release_count() {
        assert_eq!(release("6.18.5-generic\n"), Some((6, 18)));
        assert_eq!(release("5.4"), Some((5, 4)));
        assert_eq!(release("strange"), None);
    }

    #[test]
    fn a_tool_that_is_missing_or_fails_has_no_output() {
        assert_eq!(output_of("there-is-no-such-program", &[]), None);
        assert_eq!(output_of("false", &[]), None);
        assert_eq!(output_of("echo", &["a"]), Some("a\n".to_owned()));
    }
}
