//! What makes an uplink the interface of a host: `[client.INTERFACE]`.

use serde::{Deserialize, Serialize};

/// An interface on which this machine is a host. The kernel makes addresses and routes of what
/// routers advertise; the agent solicits, watches, and mends what the kernel cannot know.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Client {
    /// The kernel is made to follow router advertisements where it does not, instead of leaving the
    /// interface to another program that may do so.
    pub force: bool,
    /// Wait up to a second before the first solicitation (RFC 4861 §6.3.7), where many hosts come
    /// up at a time.
    pub random_delay: bool,
    /// Deprecate addresses of prefixes that no router advertises any more, and drop default routers
    /// that are gone, instead of waiting for their lifetimes.
    pub mend: bool,
    /// Have the kernel use an address while it looks for duplicates of it (RFC 4429).
    pub optimistic_dad: bool,
    /// The receiver of DNS servers and search domains (RFC 8106).
    pub resolver: ResolverTarget,
    /// resolvconf holds one entry for each router, in the place of one for the interface.
    pub resolver_per_router: bool,
    /// The file that holds the prefixes of the local networks, one a line.
    pub networks: Option<String>,
    /// What is run whenever the file of the local networks has changed: a program and its arguments.
    pub networks_command: Vec<String>,
    /// What is run when advertisements come.
    pub scripts: Scripts,
    /// Register addresses with the DHCPv6 server where that offers it (RFC 9686).
    pub register_addresses: bool,
    /// Ask for a prefix of its own where an advertised prefix says so (the P flag, RFC 9762).
    pub delegate: bool,
}

impl Default for Client {
    fn default() -> Self {
        Self {
            force: false,
            random_delay: false,
            mend: true,
            optimistic_dad: true,
            resolver: ResolverTarget::Auto,
            resolver_per_router: false,
            networks: None,
            networks_command: Vec::new(),
            scripts: Scripts::default(),
            register_addresses: true,
            delegate: false,
        }
    }
}

impl Client {
    /// Whether addresses are registered where the network offers it. What the operator has run
    /// for the M and O flags is a DHCPv6 client, which can do so itself and needs the port.
    pub const fn registers(&self) -> bool {
        let has_client = self.scripts.managed.is_some() || self.scripts.other.is_some();
        self.register_addresses && !has_client
    }
}

/// The receiver of DNS servers and search domains.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum ResolverTarget {
    /// systemd-resolved where it runs, else resolvconf where it is installed, else none.
    #[default]
    Auto,
    /// systemd-resolved, over its bus.
    Resolved,
    /// resolvconf(8), by its usual name.
    Resolvconf,
    /// A program that is run as rtsold(8) runs resolvconf.
    Program(String),
    /// A file in the form of resolv.conf(5).
    File(String),
    /// None.
    Nobody,
}

/// The programs that rtsold(8) runs, each with the interface's name behind it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Scripts {
    /// When an advertisement with the M flag came: addresses are to be had by DHCPv6.
    pub managed: Option<String>,
    /// When an advertisement with the O flag came: other data is to be had by DHCPv6.
    pub other: Option<String>,
    /// When any advertisement came.
    pub always: Option<String>,
}
