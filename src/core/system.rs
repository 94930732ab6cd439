//! What the kernel has, as the core has been told: links, addresses, our routes.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::input::{IfIndex, KernelEvent};
use crate::time::Until;

/// An interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Link {
    /// The kernel's number.
    pub index: IfIndex,
    /// Its name.
    pub name: String,
    /// Administratively up, and with a carrier.
    pub running: bool,
    /// Can send to groups.
    pub multicast: bool,
    /// Has one peer and no neighbor discovery for link-layer addresses (ppp, tun).
    pub point_to_point: bool,
    /// Link-layer address, where the link has one.
    pub link_layer_address: Option<Vec<u8>>,
    /// Device MTU in octets.
    pub mtu: u32,
}

/// An address on an interface.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct KernelAddress {
    /// On this interface.
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
    /// Carries our mark.
    pub ours: bool,
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
    /// Where packets go.
    pub target: RouteTarget,
    /// Smaller is preferred.
    pub metric: u32,
    /// The kernel drops it then.
    pub until: Until,
}

/// Where a route leads.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum RouteTarget {
    /// To a neighbor, by its link-local address.
    Gateway(IfIndex, Ipv6Addr),
    /// The destination is on this link.
    OnLink(IfIndex),
    /// Nowhere, with an ICMPv6 error.
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

/// What makes two routes the same one.
pub type RouteKey = (Ipv6Net, RouteTarget, u32);

impl KernelRoute {
    /// What makes two routes the same one.
    pub const fn key(&self) -> RouteKey {
        (self.destination, self.target, self.metric)
    }

    /// What two routes must not share: the kernel would spread packets over both.
    pub const fn slot(&self) -> (Ipv6Net, u32) {
        (self.destination, self.metric)
    }
}

/// What the kernel has.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct System {
    /// Interfaces.
    pub links: BTreeMap<IfIndex, Link>,
    /// All IPv6 addresses, others' too.
    pub addresses: BTreeMap<(IfIndex, Ipv6Addr), KernelAddress>,
    /// Routes with our mark.
    pub routes: BTreeMap<RouteKey, KernelRoute>,
    /// Addresses that we have set and another node holds, since the link came up.
    pub duplicates: BTreeSet<(IfIndex, Ipv6Addr)>,
    /// The machine forwards IPv6 (`net.ipv6.conf.all.forwarding`).
    pub forwarding: bool,
}

impl System {
    /// Takes in a single change.
    pub fn handle(&mut self, event: KernelEvent) {
        match event {
            KernelEvent::Link(link) => {
                let (index, running) = (link.index, link.running);
                let before = self.links.insert(index, link);
                if running && before.is_none_or(|before| !before.running) {
                    // It may be another link with other nodes on it.
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
                // Of several to one destination with one metric the kernel tells the newest only
                // where that has taken the place of the others; we never add one beside another.
                let same = |other: &KernelRoute| other.slot() == route.slot();
                self.routes.retain(|_, other| !same(other));
                self.routes.insert(route.key(), route);
            }
            KernelEvent::RouteGone(route) => {
                self.routes.remove(&route.key());
            }
            KernelEvent::Forwarding(forwarding) => self.forwarding = forwarding,
        }
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

    /// Whether there is one, or will be when duplicate address detection has ended.
    pub fn has_link_local(&self, interface: IfIndex) -> bool {
        self.addresses.values().any(|address| {
            address.interface == interface
                && address.address.is_unicast_link_local()
                && !address.duplicate
        })
    }

    /// Whether `address` is on any interface of this machine.
    pub fn is_own(&self, address: Ipv6Addr) -> bool {
        self.addresses.values().any(|own| own.address == address)
    }
}
