//! The kernel's state that it reports: links, addresses, our routes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::recorded::Recorded;
use crate::net::{IfIndex, PrefixKey};
use crate::time::{ROUNDING, Until};

/// An interface.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Link {
    /// The kernel's number.
    pub index: IfIndex,
    /// Its name.
    pub name: String,
    /// Whether it is administratively up and has a carrier.
    pub running: bool,
    /// Whether multicast packets can be sent on it.
    pub multicast: bool,
    /// Whether it has one peer and no neighbor discovery for link-layer addresses (ppp, tun).
    pub point_to_point: bool,
    /// Link-layer address, where the link has one.
    pub link_layer_address: Option<Vec<u8>>,
    /// The MTU of the device, in octets.
    pub mtu: u32,
    /// Whether the kernel follows advertisements (`accept_ra`): 0 for never, 1 for a host, 2 also
    /// where it forwards; none where that is not known. The kernel reports it with other changes of
    /// the link, and not when it is set.
    #[serde(default)]
    pub accept_ra: Option<i32>,
    /// How many times its carrier has come up: the kernel may report a loss a second late, and a
    /// shorter one only by this counter. Zero where the system does not count.
    #[serde(default)]
    pub carrier_ups: u32,
}

/// An address on an interface.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct KernelAddress {
    /// The interface that has it.
    pub interface: IfIndex,
    /// The address.
    pub address: Ipv6Addr,
    /// Its prefix length.
    pub prefix_len: u8,
    /// Preferred until.
    pub preferred_until: Until,
    /// Valid until.
    pub valid_until: Until,
    /// Duplicate address detection is under way: packets cannot leave from it.
    pub tentative: bool,
    /// Duplicate address detection found another holder.
    pub duplicate: bool,
    /// The address has our mark: this program has set it.
    pub ours: bool,
    /// Its origin, where it is not ours.
    #[serde(default)]
    pub origin: Origin,
}

/// The origin of an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum Origin {
    /// A program or an operator has set it, or nothing is known.
    #[default]
    Other,
    /// The kernel has formed it from an advertisement (RFC 4862 §5.5.3).
    Advertisement,
    /// The kernel has formed it as a temporary one beside another in the same prefix (RFC 8981).
    Temporary,
}

impl KernelAddress {
    /// Whether it is ours and packets can leave from it.
    pub const fn is_usable(&self) -> bool {
        self.ours && !self.tentative && !self.duplicate
    }
}

/// A route with our mark.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct KernelRoute {
    /// Destination.
    pub destination: Ipv6Net,
    /// Target.
    pub target: RouteTarget,
    /// Smaller is preferred.
    pub metric: u32,
    /// When the kernel removes it.
    pub until: Until,
}

/// The target of a route.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum RouteTarget {
    /// To a neighbor, by its link-local address.
    Gateway(IfIndex, Ipv6Addr),
    /// The destination is on this link.
    OnLink(IfIndex),
    /// To no link: packets are dropped and answered by an ICMPv6 error.
    Unreachable,
}

impl RouteTarget {
    /// The interface that the route leaves through, if any.
    pub const fn interface(self) -> Option<IfIndex> {
        match self {
            Self::Gateway(interface, _) | Self::OnLink(interface) => Some(interface),
            Self::Unreachable => None,
        }
    }
}

/// The identity of a route: destination, target and metric.
pub type RouteKey = (PrefixKey, RouteTarget, u32);

impl KernelRoute {
    /// Its identity.
    pub const fn key(&self) -> RouteKey {
        (PrefixKey(self.destination), self.target, self.metric)
    }

    /// Destination and metric. Two routes must not share them: the kernel would spread packets over
    /// both.
    pub const fn slot(&self) -> (Ipv6Net, u32) {
        (self.destination, self.metric)
    }
}

/// An entry of the kernel's neighbor cache (RFC 4861 §5.1).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Neighbor {
    /// Its address.
    pub address: Ipv6Addr,
    /// Its link-layer address.
    pub link_layer: Vec<u8>,
    /// How long ago it was last known to be reachable.
    pub unconfirmed_for: Duration,
}

/// A change of the kernel's state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum KernelEvent {
    /// An interface appeared or changed.
    Link(Link),
    /// An interface vanished.
    LinkGone(IfIndex),
    /// An address appeared or changed.
    Address(KernelAddress),
    /// An address vanished.
    AddressGone {
        /// The interface that had it.
        interface: IfIndex,
        /// The address.
        address: Ipv6Addr,
    },
    /// A route with our mark appeared or changed.
    Route(KernelRoute),
    /// A route with our mark vanished.
    RouteGone(KernelRoute),
    /// Forwarding was switched on or off for the whole system.
    Forwarding(bool),
    /// The kernel has found that a neighbor which is a router does not answer (RFC 4861 §7.3.3).
    Unreachable {
        /// The interface.
        interface: IfIndex,
        /// The neighbor.
        address: Ipv6Addr,
    },
}

/// The kernel's state that it reports.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Recorded", into = "Recorded")]
pub struct System {
    /// Interfaces.
    pub links: BTreeMap<IfIndex, Link>,
    /// All IPv6 addresses, also those without our mark.
    pub addresses: BTreeMap<(IfIndex, Ipv6Addr), KernelAddress>,
    /// Routes with our mark.
    pub routes: BTreeMap<RouteKey, KernelRoute>,
    /// Addresses with our mark that another node was found to hold since the link came up.
    pub duplicates: BTreeSet<(IfIndex, Ipv6Addr)>,
    /// The machine forwards IPv6 (`net.ipv6.conf.all.forwarding`).
    pub forwarding: bool,
    /// Neighbor Solicitations from addresses outside of the prefixes of a link are ignored
    /// (FreeBSD's `nd6_onlink_ns_rfc4861` is 0).
    pub ignores_off_link: bool,
}

/// Whether two ends of a lifetime differ by no more than the rounding to whole seconds.
pub fn same_end(a: Until, b: Until) -> bool {
    match (a, b) {
        (Until::Never, Until::Never) => true,
        (Until::At(a), Until::At(b)) => a.since(b).max(b.since(a)) <= ROUNDING,
        (Until::Never, Until::At(_)) | (Until::At(_), Until::Never) => false,
    }
}

impl System {
    /// Applies one change.
    pub fn handle(&mut self, event: KernelEvent) {
        match event {
            KernelEvent::Link(link) => {
                let (index, running) = (link.index, link.running);
                let before = self.links.insert(index, link);
                if running && before.is_none_or(|before| !before.running) {
                    // It may be another link, with other nodes on it.
                    self.duplicates.retain(|(interface, _)| *interface != index);
                }
            }
            KernelEvent::LinkGone(index) => {
                self.links.remove(&index);
                self.duplicates.retain(|(interface, _)| *interface != index);
                self.addresses.retain(|(interface, _), _| *interface != index);
                self.routes.retain(|_, route| route.target.interface() != Some(index));
            }
            KernelEvent::Address(address) => {
                if address.ours && address.duplicate {
                    self.duplicates.insert((address.interface, address.address));
                }
                self.addresses.insert((address.interface, address.address), address);
            }
            KernelEvent::AddressGone { interface, address } => {
                self.addresses.remove(&(interface, address));
            }
            KernelEvent::Route(route) => {
                // A route to a destination and metric that are taken is reported only where it has
                // replaced the others: we never add one beside another.
                let is_other = |other: &&KernelRoute| other.target != route.target;
                let others = self.in_slot(route.slot()).filter(is_other).map(KernelRoute::key);
                let others: Vec<RouteKey> = others.collect();
                for key in others {
                    self.routes.remove(&key);
                }
                self.routes.insert(route.key(), route);
            }
            KernelEvent::RouteGone(route) => {
                self.routes.remove(&route.key());
            }
            KernelEvent::Forwarding(forwarding) => self.forwarding = forwarding,
            KernelEvent::Unreachable { .. } => {}
        }
    }

    /// Whether an event says nothing new; a lifetime that merely counts down in whole seconds is
    /// nothing new.
    pub fn has(&self, event: &KernelEvent) -> bool {
        match event {
            KernelEvent::Link(link) => self.links.get(&link.index) == Some(link),
            KernelEvent::LinkGone(index) => !self.links.contains_key(index),
            KernelEvent::Address(address) => {
                let known = self.addresses.get(&(address.interface, address.address));
                known.is_some_and(|known| {
                    let KernelAddress { preferred_until, valid_until, .. } = *known;
                    same_end(preferred_until, address.preferred_until)
                        && same_end(valid_until, address.valid_until)
                        && *known
                            == KernelAddress { preferred_until, valid_until, ..address.clone() }
                })
            }
            KernelEvent::AddressGone { interface, address } => {
                !self.addresses.contains_key(&(*interface, *address))
            }
            KernelEvent::Route(route) => {
                let known = self.routes.get(&route.key());
                known.is_some_and(|known| same_end(known.until, route.until))
            }
            KernelEvent::RouteGone(route) => !self.routes.contains_key(&route.key()),
            KernelEvent::Forwarding(forwarding) => self.forwarding == *forwarding,
            KernelEvent::Unreachable { .. } => false,
        }
    }

    /// Whether a route of ours has this destination and metric.
    pub fn has_slot(&self, slot: (Ipv6Net, u32)) -> bool {
        self.in_slot(slot).next().is_some()
    }

    /// Our routes with this destination and metric.
    pub fn in_slot(
        &self,
        (destination, metric): (Ipv6Net, u32),
    ) -> impl Iterator<Item = &KernelRoute> {
        let first = RouteTarget::Gateway(IfIndex(0), Ipv6Addr::UNSPECIFIED);
        let routes =
            self.routes.range((PrefixKey(destination), first, 0)..).map(|(_, route)| route);
        routes
            .take_while(move |route| route.destination == destination)
            .filter(move |route| route.metric == metric)
    }

    /// The name of an interface.
    pub fn name_of(&self, interface: IfIndex) -> Option<&str> {
        self.links.get(&interface).map(|link| link.name.as_str())
    }

    /// The interface of this name.
    pub fn link(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }

    /// A link-local address of `interface` that packets can leave from: the numerically lowest
    /// that is neither tentative nor a duplicate, so that the choice is stable.
    pub fn link_local(&self, interface: IfIndex) -> Option<Ipv6Addr> {
        self.addresses
            .range((interface, Ipv6Addr::UNSPECIFIED)..=(interface, Ipv6Addr::from(u128::MAX)))
            .map(|(_, address)| address)
            .find(|address| {
                address.address.is_unicast_link_local() && !address.tentative && !address.duplicate
            })
            .map(|address| address.address)
    }

    /// Whether `interface` has an address that is no link-local one and that no other node holds.
    pub fn has_global(&self, interface: IfIndex) -> bool {
        self.addresses.values().any(|address| {
            address.interface == interface
                && !address.address.is_unicast_link_local()
                && !address.duplicate
        })
    }

    /// Whether a node with `address` can be a neighbor on `interface`: a link-local address, or one
    /// in a subnet of the link. Packets to any other leave the link.
    pub fn is_on_link(&self, interface: IfIndex, address: Ipv6Addr) -> bool {
        let first = (interface, Ipv6Addr::UNSPECIFIED);
        let last = (interface, Ipv6Addr::from(u128::MAX));
        let mut own = self.addresses.range(first..=last).map(|(_, own)| own);
        address.is_unicast_link_local()
            || own.any(|own| {
                // An address with a length of 128 bits does not show the subnet of its link.
                let has_subnet = own.prefix_len < 128 && !own.address.is_unicast_link_local();
                let subnet = Ipv6Net::new(own.address, own.prefix_len);
                has_subnet && subnet.is_ok_and(|subnet| subnet.contains(&address))
            })
    }

    /// Whether a packet that came in on `interface` from `address` came from this machine. A
    /// link-local address is ours only on the link that has it: `fe80::1` may be a router above us
    /// and we ourselves below.
    pub fn is_own(&self, interface: IfIndex, address: Ipv6Addr) -> bool {
        if address.is_unicast_link_local() {
            self.addresses.contains_key(&(interface, address))
        } else {
            self.addresses.values().any(|own| own.address == address)
        }
    }

    /// Whether a packet came from this machine, be it over a bridge between two of its links. The
    /// latter can be seen only where the link-layer address of the sender is known.
    pub fn has_sent(
        &self,
        interface: IfIndex,
        source: Ipv6Addr,
        link_layer: Option<&Vec<u8>>,
    ) -> bool {
        let mut links = self.links_with(source, interface);
        self.is_own(interface, source)
            || (link_layer.is_some()
                && links.any(|link| link.link_layer_address.as_ref() == link_layer))
    }

    /// The links other than `interface` on which we have `address`. What comes from it may have
    /// come back to us over a bridge between them (RA-RX-11); what the packet says of its sender
    /// decides.
    pub fn links_with(&self, address: Ipv6Addr, interface: IfIndex) -> impl Iterator<Item = &Link> {
        let own = self.addresses.values();
        let own = own.filter(move |own| own.address == address && own.interface != interface);
        own.filter_map(|own| self.links.get(&own.interface))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAN: IfIndex = IfIndex(3);

    fn address(index: IfIndex, address: &str, prefix_len: u8) -> KernelAddress {
        KernelAddress {
            interface: index,
            address: address.parse().unwrap(),
            prefix_len,
            preferred_until: Until::Never,
            valid_until: Until::Never,
            tentative: false,
            duplicate: false,
            ours: true,
            origin: Origin::Other,
        }
    }

    /// Only what a subnet of the link covers is a neighbor there, and every link-local address.
    #[test]
    fn a_neighbor_has_an_address_of_a_subnet_of_the_link() {
        let mut system = System::default();
        for (index, own, prefix_len) in [
            (LAN, "2001:db8:1::1", 64),
            (LAN, "2001:db8:2::1", 128),
            (LAN, "fe80::1", 10),
            (IfIndex(4), "2001:db8:4::1", 64),
        ] {
            system.handle(KernelEvent::Address(address(index, own, prefix_len)));
        }
        let is_on_link = |address: &str| system.is_on_link(LAN, address.parse().unwrap());
        assert!(is_on_link("2001:db8:1::2") && is_on_link("fe80::2"));
        assert!(!is_on_link("2001:db8:2::1"), "an address that stands alone has no neighbors");
        assert!(!is_on_link("2001:db8:2::2") && !is_on_link("2001:db8:5::1"));
        assert!(!is_on_link("2001:db8:4::2"), "the subnet of another link");
    }
}
