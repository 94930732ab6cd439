//! Facts about this machine that matter to an agent on it: a backend reads them, and `renumberd
//! doctor` judges them. A fact that could not be read is none.

use std::collections::BTreeMap;

/// All facts.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// The machine forwards IPv6.
    pub forwarding: Option<bool>,
    /// The release of the kernel: its first two numbers.
    pub kernel: Option<(u32, u32)>,
    /// Interfaces by name.
    pub interfaces: BTreeMap<String, Interface>,
    /// Programs of this network namespace that use router advertisements or DHCPv6.
    pub programs: Vec<Program>,
    /// Sockets that are bound to UDP ports 546 and 547.
    pub ports: Vec<PortHolder>,
    /// The most entries that the kernel's neighbor cache can have.
    pub neighbor_limit: Option<u64>,
    /// A program keeps the wall clock right (NTP).
    pub clock_is_synchronized: Option<bool>,
    /// The rules of the packet filter.
    pub filter: Filter,
    /// The rights of this process.
    pub rights: Rights,
}

/// An interface.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Interface {
    /// It is up and has a carrier.
    pub is_running: bool,
    /// IPv6 is off on it.
    pub is_without_ipv6: bool,
    /// The setting accept_ra.
    pub accept_ra: Option<i32>,
    /// Programs that state that they manage it.
    pub managers: Vec<&'static str>,
}

/// A program that runs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program {
    /// Its process.
    pub pid: u32,
    /// Its name.
    pub name: String,
    /// The words of its command line.
    pub arguments: Vec<String>,
}

/// The program that has a port.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PortHolder {
    /// 546 or 547.
    pub port: u16,
    /// The process, where it can be seen.
    pub pid: Option<u32>,
    /// Its name.
    pub name: Option<String>,
    /// It is an agent, whatever its name is.
    pub is_agent: bool,
}

/// The rules of the packet filter, as its own tools print them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// The output of `nft -j list ruleset`.
    pub nftables: Option<String>,
    /// The output of `ip6tables-save`.
    pub ip6tables: Option<String>,
}

/// The rights of this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Rights {
    /// Change addresses, routes and settings.
    pub network_administration: Option<bool>,
    /// Open raw sockets.
    pub raw_sockets: Option<bool>,
    /// Have ports below 1024.
    pub low_ports: Option<bool>,
}

/// A directory that the agent writes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Directory {
    /// It can be written to, and has room for this many octets and files.
    Writable {
        /// Octets that are free for this user.
        octets: u64,
        /// Files that can be made; none where the file system does not count them.
        files: Option<u64>,
    },
    /// It does not exist, and can be made.
    Absent,
    /// It cannot be written to, with the system's reason.
    Refused(&'static str),
}
