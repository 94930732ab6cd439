//! The fake kernel: it takes steps, refuses what Linux refuses and what it is asked to refuse, and
//! has events ready for a listener.
//!
//! What it does as Linux does: an address goes through duplicate address detection (RFC 4862 §5.4)
//! before it can be used; addresses and routes end with their lifetimes; an unreachable route has
//! no end; of two routes to one destination with one metric the second is refused; a route through
//! a link that does not run, or to a gateway that is an address of this machine, is refused; a link
//! that loses its carrier may lose its routes, and a link that vanishes loses everything.

mod links;
mod refusals;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

pub use self::links::{foreign, link};
pub use self::refusals::{Decide, Refusals, Rule, kind};
use crate::core::capabilities::Capabilities;
use crate::core::kernel::object::{Refusal, WHOLE_MACHINE};
use crate::core::kernel::system::{
    KernelAddress, KernelEvent, KernelRoute, Link, Neighbor, RouteTarget, System,
};
use crate::core::output::{Group, Object, Port, Setting, Step};
use crate::net::{self, IfIndex};
use crate::time::{Instant, Until};

/// What it can do, which is what Linux can do.
pub const CAPABILITIES: Capabilities = Capabilities::LINUX;

/// The value of each setting of an interface before it was set.
pub const UNSET: i32 = 1;

/// How long duplicate address detection takes: one solicitation, one second (RFC 4862 §5.1).
pub const DETECTION: Duration = Duration::from_secs(1);

const INVALID: Refusal = Refusal::Other { number: 22, text: "Invalid argument" };
const DOWN: Refusal = Refusal::Other { number: 100, text: "Network is down" };
const NOT_CONNECTED: Refusal = Refusal::Other { number: 107, text: "" };

/// How many changes were made, and by which program.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Steps of the agent that were taken.
    pub agent: usize,
    /// Changes that were made by others, or by time.
    pub others: usize,
    /// Steps of the agent that were refused.
    pub refused: usize,
    /// Routes that the agent removed although they were not there, and had not run out.
    pub absent: usize,
}

/// The kernel of one machine, with the sockets of the agent on it.
#[derive(Clone, Debug)]
pub struct Kernel {
    system: System,
    /// Destinations and metrics of routes that others have set.
    pub foreign_routes: BTreeSet<(Ipv6Net, u32)>,
    /// Addresses that others have set, as they were set.
    pub foreign_addresses: BTreeMap<(IfIndex, Ipv6Addr), KernelAddress>,
    /// What it refuses without a reason.
    pub refusals: Refusals,
    /// Changes that the agent does not know of yet.
    pub events: Vec<KernelEvent>,
    /// Groups that the agent's sockets are members of.
    pub groups: BTreeSet<(Group, IfIndex)>,
    /// UDP port 547 is open.
    pub serving: bool,
    /// UDP port 546 is open.
    pub asking: bool,
    /// Settings by interface and file name, where they are not [`UNSET`].
    pub sysctls: BTreeMap<(IfIndex, String), i32>,
    /// Default routers that it has routes through, as it learnt them from advertisements.
    pub routers: BTreeSet<(IfIndex, Ipv6Addr)>,
    /// Addresses that another node was found to hold since the link last came up.
    pub found: BTreeSet<(IfIndex, Ipv6Addr)>,
    /// Entries of the neighbor cache (RFC 4861 §5.1), beside those of nodes that a network has.
    pub neighbors: Vec<(IfIndex, Neighbor)>,
    /// How long duplicate address detection takes; zero where it is off.
    pub detection: Duration,
    /// How many changes were made.
    pub counts: Counts,
    /// Addresses under duplicate address detection, with its end.
    detecting: Vec<(Instant, IfIndex, Ipv6Addr)>,
    /// The first end of an address or route, if it is known.
    first_end: Option<Option<Instant>>,
}

impl Default for Kernel {
    fn default() -> Self {
        Self {
            system: System { forwarding: true, ..System::default() },
            foreign_routes: BTreeSet::new(),
            foreign_addresses: BTreeMap::new(),
            refusals: Refusals::default(),
            events: Vec::new(),
            groups: BTreeSet::new(),
            serving: false,
            asking: false,
            sysctls: BTreeMap::new(),
            routers: BTreeSet::new(),
            found: BTreeSet::new(),
            neighbors: Vec::new(),
            detection: DETECTION,
            counts: Counts::default(),
            detecting: Vec::new(),
            first_end: None,
        }
    }
}

impl Kernel {
    /// Links, addresses and routes, as the agent reads them.
    pub const fn system(&self) -> &System {
        &self.system
    }

    /// Changes something by another's hand, with an event.
    pub fn change(&mut self, event: KernelEvent) {
        self.counts.others += 1;
        self.record(event);
    }

    /// Changes something by another's hand; the event is lost.
    pub fn change_silently(&mut self, event: KernelEvent) {
        self.change(event);
        self.events.pop();
    }

    fn record(&mut self, event: KernelEvent) {
        self.first_end = None;
        self.system.handle(event.clone());
        // A kernel remembers none that it no longer has.
        let duplicates = self.system.addresses.values().filter(|has| has.ours && has.duplicate);
        self.system.duplicates = duplicates.map(|has| (has.interface, has.address)).collect();
        self.events.push(event);
    }

    /// Takes a step of the agent.
    ///
    /// # Errors
    ///
    /// Why it was refused.
    ///
    /// # Panics
    ///
    /// Where an address of another is to be removed, or the step is one that must never be asked
    /// for.
    pub fn take(&mut self, now: Instant, step: &Step) -> Result<(), Refusal> {
        let taken = match self.refusals.refuse(step) {
            Some(refusal) => Err(refusal),
            None => self.carry_out(now, step),
        };
        match taken {
            Ok(()) => self.counts.agent += 1,
            Err(_) => self.counts.refused += 1,
        }
        taken
    }

    fn carry_out(&mut self, now: Instant, step: &Step) -> Result<(), Refusal> {
        match step {
            Step::Set(Object::Address(address)) => self.set_address(now, address),
            Step::Remove(Object::Address(address)) => {
                self.remove_address(address);
                Ok(())
            }
            Step::Set(Object::Route(route)) => {
                self.check_route(now, route)?;
                if self.system.has_slot(route.slot()) {
                    return Err(Refusal::Exists);
                }
                self.set_route(route)
            }
            Step::Replace(Object::Route(route)) => {
                self.check_route(now, route)?;
                self.set_route(route)
            }
            Step::Remove(Object::Route(route)) => {
                self.remove_route(now, route);
                Ok(())
            }
            Step::Set(Object::Membership(group, index)) => {
                self.check_link(*index)?;
                if group.is_for_servers() && !self.serving {
                    return Err(NOT_CONNECTED);
                }
                self.groups.insert((*group, *index));
                Ok(())
            }
            Step::Remove(Object::Membership(group, index)) => {
                self.groups.remove(&(*group, *index));
                Ok(())
            }
            Step::Set(Object::Port(Port::Client)) | Step::Remove(Object::Port(Port::Client)) => {
                self.asking = matches!(step, Step::Set(_));
                Ok(())
            }
            Step::Set(Object::Port(Port::Server)) | Step::Remove(Object::Port(Port::Server)) => {
                self.groups.retain(|(group, _)| !group.is_for_servers());
                self.serving = matches!(step, Step::Set(_));
                Ok(())
            }
            Step::Set(Object::Takeover(index) | Object::Leftover(index, _)) => {
                self.check_link(*index).map(drop)
            }
            Step::Remove(Object::Leftover(..)) => Ok(()),
            Step::Set(Object::Deprecation(has)) => {
                self.deprecate(now, (has.interface, has.address));
                Ok(())
            }
            Step::Set(Object::LostRouter(index, router, destination)) => {
                self.check_link(*index)?;
                if destination.prefix_len() == 0 {
                    self.routers.remove(&(*index, *router));
                }
                Ok(())
            }
            Step::Remove(Object::LostRouter(..)) => Ok(()),
            Step::Set(Object::Setting(setting)) => self.set(setting),
            Step::Replace(_) | Step::Remove(_) => unreachable!("{step:?}"),
        }
    }

    fn set(&mut self, setting: &Setting) -> Result<(), Refusal> {
        let Setting { interface, name, value, .. } = setting;
        if interface == WHOLE_MACHINE {
            self.record(KernelEvent::Forwarding(*value != 0));
            return Ok(());
        }
        let index = self.system.link(interface).ok_or(Refusal::NotThere)?.index;
        self.set_sysctl(index, name.file(), *value);
        Ok(())
    }

    /// Sets a setting of an interface, for any program.
    pub fn set_sysctl(&mut self, index: IfIndex, file: &str, value: i32) {
        let key = (index, file.to_owned());
        match value {
            UNSET => self.sysctls.remove(&key),
            value => self.sysctls.insert(key, value),
        };
    }

    /// The value of a setting of the link with this name, if there is one.
    pub fn sysctl(&self, interface: &str, file: &str) -> Option<i32> {
        if interface == WHOLE_MACHINE {
            return Some(i32::from(self.system.forwarding));
        }
        let index = self.system.link(interface)?.index;
        Some(self.sysctls.get(&(index, file.to_owned())).copied().unwrap_or(UNSET))
    }

    /// Closes the agent's sockets: its process has ended.
    pub fn close_sockets(&mut self) {
        self.groups.clear();
        self.serving = false;
        self.asking = false;
    }

    /// Whether a packet to `destination` reaches a socket of the agent on this interface.
    pub fn accepts(&self, index: IfIndex, destination: Ipv6Addr) -> bool {
        let is_member = |group| self.groups.contains(&(group, index));
        match destination {
            net::ALL_NODES => true,
            net::ALL_ROUTERS => is_member(Group::AllRouters),
            net::ALL_DHCP_SERVERS => is_member(Group::DhcpServers),
            net::ALL_SITE_DHCP_SERVERS => is_member(Group::SiteDhcpServers),
            _ => self.system.addresses.contains_key(&(index, destination)),
        }
    }

    fn check_link(&self, index: IfIndex) -> Result<&Link, Refusal> {
        self.system.links.get(&index).ok_or(Refusal::NotThere)
    }

    fn check_route(&self, now: Instant, route: &KernelRoute) -> Result<(), Refusal> {
        if let Some(index) = route.target.interface() {
            let link = self.check_link(index)?;
            if !link.running {
                return Err(DOWN);
            }
        }
        if let RouteTarget::Gateway(index, gateway) = route.target {
            let own = self.system.addresses.contains_key(&(index, gateway));
            if own || gateway.is_unspecified() || gateway.is_multicast() {
                return Err(INVALID);
            }
        }
        if route.until.is_over(now) { Err(INVALID) } else { Ok(()) }
    }

    /// Keeps a route as Linux does: one that leads nowhere has no end.
    fn set_route(&mut self, route: &KernelRoute) -> Result<(), Refusal> {
        if self.foreign_routes.contains(&route.slot()) {
            return Err(Refusal::Exists);
        }
        let nowhere = route.target == RouteTarget::Unreachable;
        let until = if nowhere { Until::Never } else { route.until };
        self.record(KernelEvent::Route(KernelRoute { until, ..route.clone() }));
        Ok(())
    }

    fn remove_route(&mut self, now: Instant, route: &KernelRoute) {
        if self.system.routes.contains_key(&route.key()) {
            self.record(KernelEvent::RouteGone(route.clone()));
        } else if !route.until.is_over(now) {
            self.counts.absent += 1;
        }
    }

    fn set_address(&mut self, now: Instant, wanted: &KernelAddress) -> Result<(), Refusal> {
        self.check_link(wanted.interface)?;
        let key = (wanted.interface, wanted.address);
        let has = self.system.addresses.get(&key);
        if has.is_some_and(|has| !has.ours) {
            return Err(Refusal::Exists);
        }
        if wanted.valid_until.is_over(now) || wanted.address.is_multicast() {
            return Err(INVALID);
        }
        let is_new = has.is_none();
        let tentative = has.map_or_else(|| !self.detection.is_zero(), |has| has.tentative);
        let duplicate = has.is_some_and(|has| has.duplicate);
        if is_new && tentative {
            self.detecting.push((now + self.detection, wanted.interface, wanted.address));
        }
        let address = KernelAddress { tentative, duplicate, ..wanted.clone() };
        self.record(KernelEvent::Address(address));
        Ok(())
    }

    fn remove_address(&mut self, wanted: &KernelAddress) {
        let (interface, address) = (wanted.interface, wanted.address);
        if let Some(has) = self.system.addresses.get(&(interface, address)) {
            assert!(has.ours, "an address of another is removed: {has:?}");
            self.record(KernelEvent::AddressGone { interface, address });
        }
    }

    /// Has another node hold the `chosen` of the addresses under detection (RFC 4862 §5.4.4).
    pub fn find_duplicate(&mut self, chosen: usize) {
        if self.detecting.is_empty() {
            return;
        }
        let (_, interface, address) = self.detecting.remove(chosen % self.detecting.len());
        if let Some(has) = self.system.addresses.get(&(interface, address)).cloned() {
            self.found.insert((interface, address));
            self.change(KernelEvent::Address(KernelAddress { duplicate: true, ..has }));
        }
    }

    /// When something happens by itself: the first end of an address, a route or a detection.
    pub fn wakes_at(&mut self) -> Option<Instant> {
        let system = &self.system;
        let first_end = *self.first_end.get_or_insert_with(|| {
            let addresses = system.addresses.values().map(|address| address.valid_until);
            let routes = system.routes.values().map(|route| route.until);
            addresses.chain(routes).filter_map(Until::at).min()
        });
        let detected = self.detecting.iter().map(|(at, ..)| *at);
        detected.chain(first_end).min()
    }

    /// Removes what has run out, and ends detection.
    pub fn pass(&mut self, now: Instant) {
        if self.wakes_at().is_none_or(|at| at > now) {
            return;
        }
        let (ended, under_way) = self.detecting.iter().partition(|(at, ..)| *at <= now);
        self.detecting = under_way;
        let ended: Vec<(Instant, IfIndex, Ipv6Addr)> = ended;
        for (_, interface, address) in ended {
            if let Some(has) = self.system.addresses.get(&(interface, address)).cloned() {
                self.change(KernelEvent::Address(KernelAddress { tentative: false, ..has }));
            }
        }
        let addresses = self.system.addresses.values();
        let over = addresses.filter(|address| address.valid_until.is_over(now));
        let mut events: Vec<KernelEvent> = over.map(gone).collect();
        let routes = self.system.routes.values().filter(|route| route.until.is_over(now));
        events.extend(routes.cloned().map(KernelEvent::RouteGone));
        events.into_iter().for_each(|event| self.change(event));
    }

    /// Asserts that what belongs to others is as they have set it, and that no two routes share
    /// destination and metric.
    ///
    /// # Panics
    ///
    /// Where that is not so.
    pub fn check_foreign(&self) {
        for (key, address) in &self.foreign_addresses {
            let has = self.system.addresses.get(key);
            assert_eq!(has, Some(address), "an address of another was touched");
        }
        let mut slots = BTreeSet::new();
        for route in self.system.routes.values() {
            assert!(slots.insert(route.slot()), "two routes to {:?}", route.slot());
            assert!(!self.foreign_routes.contains(&route.slot()), "in the place of another's");
        }
    }
}

/// The event of an address that is removed.
const fn gone(address: &KernelAddress) -> KernelEvent {
    KernelEvent::AddressGone { interface: address.interface, address: address.address }
}

#[cfg(test)]
mod tests;
