//! Links whose requesting routers are served by a delegating router elsewhere.

use serde::{Deserialize, Serialize};
use std::net::Ipv6Addr;

use super::Config;
use crate::net::ALL_SITE_DHCP_SERVERS;

/// What a relay agent does on one link.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Relay {
    /// The destinations of relayed messages: servers, relay agents or groups of them.
    pub servers: Vec<Ipv6Addr>,
    /// The interface to servers whose address alone does not lead to them: groups, and link-local
    /// addresses. None for the only uplink.
    pub uplink: Option<String>,
}

impl Relay {
    /// Whether an address needs an interface beside it.
    pub const fn needs_uplink(server: Ipv6Addr) -> bool {
        server.is_multicast() || server.is_unicast_link_local()
    }

    /// The interface that leads to groups and link-local addresses.
    pub fn uplink<'a>(&'a self, config: &'a Config) -> Option<&'a str> {
        let mut uplinks = config.uplinks.keys();
        let only = uplinks.next().filter(|_| uplinks.next().is_none());
        self.uplink.as_ref().or(only).map(String::as_str)
    }
}

impl Default for Relay {
    fn default() -> Self {
        Self { servers: vec![ALL_SITE_DHCP_SERVERS], uplink: None }
    }
}
