//! A link with clients, with its addresses.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use crate::config::{Config, Relay};
use crate::core::input::Received;
use crate::core::kernel::system::{KernelAddress, Link, System};
use crate::net::IfIndex;
use crate::time::Instant;
use crate::wire::dhcpv6_relay::RelayMessage;

/// A link that is relayed from.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientLink<'a> {
    pub(super) name: &'a str,
    pub(super) system: &'a System,
    relay: &'a Relay,
    link: &'a Link,
}

impl<'a> ClientLink<'a> {
    /// The one at an interface.
    pub(super) fn at(config: &'a Config, system: &'a System, index: IfIndex) -> Option<Self> {
        let link = system.links.get(&index)?;
        let (name, relay) = config.relays.get_key_value(&link.name)?;
        Some(Self { name, system, relay, link })
    }

    /// The link that an answer is for: that of its Interface-Id, else that of its link-address,
    /// else the one whose subnet the peer's address lies in.
    pub(super) fn of(
        config: &'a Config,
        system: &'a System,
        answer: &RelayMessage,
    ) -> Option<Self> {
        let links = || {
            let links = config.relays.keys().filter_map(|name| system.link(name));
            links.filter_map(|link| Self::at(config, system, link.index))
        };
        if let Some(id) = answer.interface_id() {
            return links().find(|link| link.name.as_bytes() == id);
        }
        let address = match answer.link_address {
            Ipv6Addr::UNSPECIFIED => answer.peer_address,
            named => named,
        };
        let is_own = |link: &Self| link.addresses().any(|own| own.address == address);
        let is_on_link = |link: &Self| {
            let mut subnets = link.addresses().filter_map(subnet);
            !address.is_unicast_link_local() && subnets.any(|subnet| subnet.contains(&address))
        };
        links().find(is_own).or_else(|| links().find(is_on_link))
    }

    pub(super) const fn index(&self) -> IfIndex {
        self.link.index
    }

    /// The source of packets to clients, if there is a usable one.
    pub(super) fn link_local(&self) -> Option<Ipv6Addr> {
        self.system.link_local(self.link.index).filter(|_| self.link.running)
    }

    /// The address that names the link: not a deprecated one while there is another, so that
    /// servers follow a renumbering at once (RLY-18), and global rather than unique local. No
    /// packet is sent from it, so it may be tentative.
    pub(super) fn address(&self, now: Instant) -> Option<Ipv6Addr> {
        let usable = self.addresses().filter(|own| {
            !own.duplicate
                && !own.valid_until.is_over(now)
                && !own.address.is_unicast_link_local()
                && !own.address.is_loopback()
        });
        let rank = |own: &&KernelAddress| {
            let deprecated = own.preferred_until.is_over(now);
            // Of several deprecated addresses the one that ends last.
            let ends = deprecated.then_some(std::cmp::Reverse(own.valid_until));
            (deprecated, ends, own.address.is_unique_local(), own.tentative, own.address)
        };
        usable.min_by_key(rank).map(|own| own.address)
    }

    /// The destinations of relayed messages: with interface 0 where the system's routes lead to
    /// them.
    pub(super) fn servers(
        &self,
        config: &Config,
    ) -> impl Iterator<Item = (IfIndex, Ipv6Addr)> + use<'_> {
        let uplink = self.uplink(config);
        self.relay.servers.iter().filter_map(move |server| {
            let interface = if Relay::needs_uplink(*server) { uplink? } else { IfIndex(0) };
            Some((interface, *server))
        })
    }

    /// Whether an answer comes from one of the servers. Members of a group are not known by their
    /// addresses, but by the interface that leads to them.
    pub(super) fn believes(&self, config: &Config, received: &Received) -> bool {
        let on_uplink = self.uplink(config) == Some(received.interface);
        self.relay.servers.iter().any(|server| {
            let known = server.is_multicast() || *server == received.source;
            known && (on_uplink || !Relay::needs_uplink(*server))
        })
    }

    /// Whether packets can go by way of this address: it is a neighbor on the link.
    pub(super) fn is_neighbor(&self, peer: Ipv6Addr) -> bool {
        self.system.is_on_link(self.link.index, peer)
    }

    /// Whether a prefix overlaps a subnet of this machine: no route may lead it elsewhere.
    pub(super) fn is_occupied(&self, prefix: Ipv6Net) -> bool {
        let mut subnets = self.system.addresses.values().filter_map(subnet);
        subnets.any(|subnet| subnet.contains(&prefix))
    }

    fn uplink(&self, config: &Config) -> Option<IfIndex> {
        self.system.link(self.relay.uplink(config)?).map(|link| link.index)
    }

    fn addresses(&self) -> impl Iterator<Item = &'a KernelAddress> + use<'a> {
        let first = (self.link.index, Ipv6Addr::UNSPECIFIED);
        let last = (self.link.index, Ipv6Addr::from(u128::MAX));
        self.system.addresses.range(first..=last).map(|(_, address)| address)
    }
}

/// The subnet of an address; none where it has a length of 128 bits.
fn subnet(own: &KernelAddress) -> Option<Ipv6Net> {
    let has_neighbors = own.prefix_len < 128 && !own.address.is_unicast_link_local();
    let subnet = Ipv6Net::new(own.address, own.prefix_len).ok()?;
    has_neighbors.then(|| subnet.trunc())
}
