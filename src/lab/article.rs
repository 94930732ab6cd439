//! Routers that work as the article has it: dhcpcd, KAME dhcp6s, radvd and shell hooks, without an
//! agent. The scripts are in `benches/article`, where their README says what is theirs.

use std::io;

use super::site::nodes::{DOWNLINK, Node, Site, UPLINK, duid, length};
use super::site::private::Private;
use super::site::programs::Packaged;

/// What it takes.
pub const PROGRAMS: [Packaged; 6] = [
    ("dhcpcd", "dhcpcd-base"),
    ("dhcp6s", "wide-dhcpv6-server"),
    ("dhcp6ctl", "wide-dhcpv6-client"),
    ("radvd", "radvd"),
    ("nft", "nftables"),
    ("ip", "iproute2"),
];

/// The requesting router's address on the link towards the provider, to which routes lead.
const NEXT_HOP: &str = "fe80::2";
/// What dhcp6s reads.
const DHCP6S: &str = "/var/lib/dhcpv6/provider-prefixes";
/// Guards nothing but a namespace of the benchmark.
const CONTROL_KEY: &str = "cmVudW1iZXJkIGxhYm9yYXRvcnk=";

/// What a router does at its start, one after the other.
pub const BOOT: [&[&str]; 2] = [
    &["nft", "-f", "/etc/article/tables.nft"],
    &["ip", "-6", "address", "add", "fe80::2/64", "dev", UPLINK, "nodad"],
];

/// What runs on a router all the time.
pub const DAEMONS: [&[&str]; 3] = [
    &["dhcp6s", "-f", "-c", DHCP6S, DOWNLINK],
    &["radvd", "--nodaemon", "--logmethod", "stderr", "--pidfile", "/run/radvd.pid"],
    &["dhcpcd", "-B"],
];

/// What ppp.linkup runs at first when the line has come up.
pub const UNCONFIGURE: [&str; 3] = ["sh", "/etc/article/ipv6unconfig", UPLINK];

/// What ppp.linkup leaves in the background.
pub const CONFIGURE: [&str; 3] = ["sh", "/etc/article/ipconfig", UPLINK];

/// Writes the files of the router at `depth`.
///
/// # Errors
///
/// The system's error.
pub fn configure(private: &Private, site: Site, depth: usize) -> io::Result<()> {
    let dhcpcd = match depth {
        1 => include_str!("../../benches/article/outbound.conf"),
        _ => include_str!("../../benches/article/subordinate.conf"),
    };
    private.write("/etc/dhcpcd.conf", dhcpcd)?;
    private.write("/etc/dhcpcd.enter-hook", &hook(site, depth))?;
    private.write("/var/lib/dhcpcd/duid", &format!("{}\n", duid(depth)))?;
    private.write("/etc/wide-dhcpv6/dhcp6sctlkey", CONTROL_KEY)?;
    private.write(DHCP6S, "")?;
    private.write("/etc/radvd.conf", include_str!("../../benches/article/radvd.conf"))?;
    for (name, text) in [
        ("dhcpcd.enter-hook", include_str!("../../benches/article/dhcpcd.enter-hook")),
        ("ipconfig", include_str!("../../benches/article/ipconfig")),
        ("ipv6unconfig", include_str!("../../benches/article/ipv6unconfig")),
        ("radvd.conf", include_str!("../../benches/article/radvd.conf")),
        ("tables.nft", include_str!("../../benches/article/tables.nft")),
    ] {
        private.write(&format!("/etc/article/{name}"), text)?;
    }
    Ok(())
}

/// The configuration part of the hook, as in the article.
fn hook(site: Site, depth: usize) -> String {
    let renew = if depth == 1 { "" } else { "1" };
    let mut hosts = String::new();
    if depth < site.hops {
        let (name, prefix) = (Node::Router(depth + 1).name(), length(depth + 1));
        hosts = format!(
            "host {name}\n    interface {DOWNLINK}\n    controlport 5547\n    route {NEXT_HOP}\n    \
             duid {}\n    prefixlen {prefix}\n    time 14400\n    iaid 1\nend\n",
            duid(depth + 1)
        );
    }
    format!(
        "RENEW_ON_RA={renew}\nDHCPSCFG={DHCP6S}\nDIST='{hosts}'\n. /etc/article/dhcpcd.enter-hook\n"
    )
}
