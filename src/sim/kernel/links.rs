//! Links that come, stop, run and vanish, and what other programs set on them.

use std::net::Ipv6Addr;

use super::{Kernel, gone};
use crate::core::kernel::system::{KernelAddress, KernelEvent, Link, Origin};
use crate::net::IfIndex;
use crate::time::{Instant, Until};

/// A link that runs and has an MTU of 1500 octets, without a link-layer address.
pub fn link(index: IfIndex, name: &str) -> Link {
    Link {
        index,
        name: name.to_owned(),
        running: true,
        multicast: true,
        point_to_point: false,
        link_layer_address: None,
        mtu: 1500,
        accept_ra: None,
        carrier_ups: 0,
    }
}

/// An address in a /64 that another program has set, valid for ever.
pub const fn foreign(interface: IfIndex, address: Ipv6Addr) -> KernelAddress {
    KernelAddress {
        interface,
        address,
        prefix_len: 64,
        preferred_until: Until::Never,
        valid_until: Until::Never,
        tentative: false,
        duplicate: false,
        ours: false,
        origin: Origin::Other,
    }
}

impl Kernel {
    /// Has a link with a link-local address, as the system makes one (RFC 4862 §5.3).
    pub fn attach(&mut self, link: Link, link_local: Ipv6Addr) {
        let index = link.index;
        self.change(KernelEvent::Link(link));
        self.set_foreign(foreign(index, link_local));
    }

    /// Stops a link, or has it run. With `flush` a link that stops loses addresses and routes of
    /// the agent, as where it is set down.
    pub fn set_running(&mut self, index: IfIndex, running: bool, flush: bool) {
        let Some(link) = self.system.links.get(&index).cloned() else { return };
        if running && !link.running {
            self.found.retain(|(interface, _)| *interface != index);
        }
        self.change(KernelEvent::Link(Link { running, ..link }));
        if !running && flush {
            let here = self.system.addresses.values().filter(|has| has.interface == index);
            let lost: Vec<_> = here.filter(|has| has.ours).map(gone).collect();
            lost.into_iter().for_each(|event| self.change(event));
            self.flush_routes(index);
        }
    }

    /// Removes all routes of the agent through a link, as where its carrier is lost.
    pub fn flush_routes(&mut self, index: IfIndex) {
        let routes = self.system.routes.values();
        let routes = routes.filter(|route| route.target.interface() == Some(index));
        let lost: Vec<_> = routes.cloned().map(KernelEvent::RouteGone).collect();
        lost.into_iter().for_each(|event| self.change(event));
    }

    /// Deprecates an address of its own, for the agent.
    pub(super) fn deprecate(&mut self, now: Instant, key: (IfIndex, Ipv6Addr)) {
        let Some(has) = self.system.addresses.get(&key).cloned() else { return };
        assert!(has.origin != Origin::Other, "an address of another is deprecated: {has:?}");
        self.record(KernelEvent::Address(KernelAddress { preferred_until: Until::At(now), ..has }));
    }

    /// Has a link vanish; its name if it was there.
    pub fn vanish(&mut self, index: IfIndex) -> Option<String> {
        let name = self.system.links.get(&index)?.name.clone();
        self.foreign_addresses.retain(|(interface, _), _| *interface != index);
        self.detecting.retain(|(_, interface, _)| *interface != index);
        self.found.retain(|(interface, _)| *interface != index);
        self.groups.retain(|(_, interface)| *interface != index);
        self.sysctls.retain(|(interface, _), _| *interface != index);
        self.change(KernelEvent::LinkGone(index));
        Some(name)
    }

    /// Has another program set an address, where the link is there.
    pub fn set_foreign(&mut self, address: KernelAddress) {
        if self.system.links.contains_key(&address.interface) {
            let key = (address.interface, address.address);
            self.foreign_addresses.insert(key, address.clone());
            self.change(KernelEvent::Address(address));
        }
    }

    /// Has an address removed by another program; also one of the agent.
    pub fn remove_any_address(&mut self, interface: IfIndex, address: Ipv6Addr) {
        self.foreign_addresses.remove(&(interface, address));
        self.change(KernelEvent::AddressGone { interface, address });
    }
}
