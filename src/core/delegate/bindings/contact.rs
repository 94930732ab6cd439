//! How a requesting router is reached, and from which place of the network it sends.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use crate::wire::dhcpv6_relay::{RelayMessage, Relayed};

/// How a requesting router is reached.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Contact {
    /// The next hop of packets to its prefixes (DWN-05).
    pub next_hop: Ipv6Addr,
    /// The address that its messages come from, on its own link.
    pub peer: Ipv6Addr,
    /// Its link-layer address, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_layer: Option<Vec<u8>>,
    /// The link-layer address of the neighbor that its messages come from, as neighbor discovery
    /// shows it, and not as a message claims it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub neighbor_link_layer: Option<Vec<u8>>,
    /// The UDP port that answers go to.
    pub port: u16,
    /// The relay agent next to us, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay: Option<Ipv6Addr>,
    /// The parts of the relay agents' messages that an answer has to repeat (RLY-30), that of the
    /// relay agent next to us first, each encoded without the message that it relayed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<Vec<u8>>,
}

impl Contact {
    /// `answer` wrapped for the relay agents on its way.
    pub(in crate::core::delegate) fn wrap(&self, answer: Vec<u8>) -> Vec<u8> {
        if self.levels.is_empty() {
            return answer;
        }
        Relayed { levels: self.relays(), octets: Vec::new() }.wrap(&answer)
    }

    /// The link that its relay named.
    pub(in crate::core::delegate) fn link(&self) -> Option<Ipv6Addr> {
        Relayed { levels: self.relays(), octets: Vec::new() }.link_address()
    }

    /// The neighbor that speaks: the relay agent next to us, or the requesting router itself.
    pub fn neighbor(&self) -> Ipv6Addr {
        self.relay.unwrap_or(self.peer)
    }

    /// The place of the network that its messages come from.
    pub fn place(&self) -> Place {
        let behind = self.relays().into_iter().map(|level| {
            let interface = level.interface_id().map(<[u8]>::to_vec);
            (level.peer_address, interface)
        });
        Place { neighbor: self.neighbor(), behind: behind.collect() }
    }

    fn relays(&self) -> Vec<RelayMessage> {
        self.levels.iter().filter_map(|level| RelayMessage::decode(level).ok()).collect()
    }
}

/// The place that messages come from, as the network shows it and not as a message claims it. The
/// link-address of a relay agent is not part of it, as that follows a renumbering.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    /// The neighbor that they come from.
    pub neighbor: Ipv6Addr,
    /// The peer and the interface that each relay agent on the way names, the one next to us first.
    pub behind: Vec<(Ipv6Addr, Option<Vec<u8>>)>,
}
