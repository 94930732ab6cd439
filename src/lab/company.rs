//! Routers on which the agent leads other people's programs: dhcpcd requests, KAME dhcp6s delegates,
//! radvd advertises. All of them are tuned as far as they can be: no duplicate address detection on
//! routers, no random delays of dhcpcd, no hooks of its package.

use std::io;
use std::path::Path;

use super::site::agent::Home;
use super::site::nodes::{UPLINK, duid};
use super::site::private::Private;
use super::site::programs::Packaged;

/// What it takes.
pub const PROGRAMS: [Packaged; 5] = [
    ("dhcpcd", "dhcpcd-base"),
    ("dhcp6s", "wide-dhcpv6-server"),
    ("dhcp6ctl", "wide-dhcpv6-client"),
    ("radvd", "radvd"),
    ("ip", "iproute2"),
];

/// What a router does at its start, one after the other.
pub const BOOT: [&[&str]; 1] =
    [&["ip", "-6", "address", "add", "fe80::2/64", "dev", UPLINK, "nodad"]];

/// What runs on a router beside the agent, which starts the others.
pub const REQUESTER: [&str; 2] = ["dhcpcd", "-B"];

/// The hook that hands on what dhcpcd holds.
const HOOK: &str = "/etc/dhcpcd.feed";

/// Writes the files of the router at `depth`, whose agent is `program` in `home`.
///
/// # Errors
///
/// The system's error.
pub fn configure(private: &Private, depth: usize, program: &Path, home: &Home) -> io::Result<()> {
    let dhcpcd = format!(
        "ipv6only\nnodev\nduid\nnodelay\nnoipv6rs\nscript {HOOK}\nallowinterfaces {UPLINK}\n\
         interface {UPLINK}\n  ipv6rs\n  option rapid_commit\n  ia_pd 1 -\n"
    );
    private.write("/etc/dhcpcd.conf", &dhcpcd)?;
    private.write("/var/lib/dhcpcd/duid", &format!("{}\n", duid(depth)))?;
    private.write_program(HOOK, &hook(program, home))
}

/// The hook of `contrib`, which calls this program for this agent.
fn hook(program: &Path, home: &Home) -> String {
    let runtime = home.runtime();
    let feed = format!("{} feed --runtime-dir {} ", program.display(), runtime.display());
    include_str!("../../contrib/dhcpcd/renumberd")
        .replace("\trenumberd feed ", &format!("\t{feed}"))
}
