//! A kernel that does what it is asked, refuses what Linux would refuse and what it is told to
//! refuse, and tells of its changes a little later, or never.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::core::kernel::object::Refusal;
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::{KernelAddress, KernelRoute, Link, RouteTarget, System};
use renumberd::core::output::{Group, Object, Setting, Step};
use renumberd::net::IfIndex;
use renumberd::time::{Instant, Until};

const INVALID: Refusal = Refusal::Other { number: 22, text: "Invalid argument" };
const DOWN: Refusal = Refusal::Other { number: 100, text: "Network is down" };
const NOT_CONNECTED: Refusal = Refusal::Other { number: 107, text: "" };

/// What each setting of an interface is before somebody sets it.
pub const UNSET: i32 = 1;

/// How long duplicate address detection takes.
const DETECTION: Duration = Duration::from_secs(1);

/// What the kernel refuses without a reason.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Kinds of steps, a bit each (see [`kind`]).
    pub kinds: u8,
    /// On this interface only.
    pub interface: Option<IfIndex>,
    pub refusal: Refusal,
    /// How often still.
    pub left: u32,
}

#[derive(Default)]
pub struct Kernel {
    pub system: System,
    /// Destinations and metrics of routes that others have set.
    pub foreign_routes: BTreeSet<(Ipv6Net, u32)>,
    /// Addresses that others have set, as they were set.
    pub foreign_addresses: BTreeMap<(IfIndex, Ipv6Addr), KernelAddress>,
    pub refusals: Vec<Rule>,
    /// Changes that the agent has not been told of.
    pub events: Vec<KernelEvent>,
    /// Groups that the agent's sockets are members of.
    pub groups: BTreeSet<(Group, IfIndex)>,
    /// UDP port 547 is open.
    pub serving: bool,
    /// Settings by interface and file name that are not as they were at first.
    pub sysctls: BTreeMap<(IfIndex, String), i32>,
    /// Addresses that another node was found to hold since the link last came up.
    pub found: BTreeSet<(IfIndex, Ipv6Addr)>,
    /// Addresses under duplicate address detection, with its end.
    detecting: Vec<(Instant, IfIndex, Ipv6Addr)>,
}

/// The kind of a step, as a bit.
pub const fn kind(step: &Step) -> u8 {
    match step.object() {
        Object::Address(_) if is_removal(step) => 2,
        Object::Address(_) => 1,
        Object::Route(_) => match step {
            Step::Set(_) => 4,
            Step::Replace(_) => 8,
            Step::Remove(_) => 16,
        },
        Object::Setting(_) => 32,
        Object::Membership(..) => 64,
        Object::Port | Object::Takeover(_) => 128,
    }
}

const fn is_removal(step: &Step) -> bool {
    matches!(step, Step::Remove(_))
}

impl Kernel {
    /// Something happens that the agent is told of.
    pub fn change(&mut self, event: KernelEvent) {
        self.system.handle(event.clone());
        self.events.push(event);
    }

    /// Takes a step.
    ///
    /// # Errors
    ///
    /// Why it was refused.
    pub fn take(&mut self, now: Instant, step: &Step) -> Result<(), Refusal> {
        let interface = self.interface_of(step);
        let kind = kind(step);
        let rule = self.refusals.iter_mut().find(|rule| {
            let here = rule.interface.is_none() || rule.interface == interface;
            rule.kinds & kind != 0 && here && rule.left > 0
        });
        if let Some(rule) = rule {
            rule.left -= 1;
            return Err(rule.refusal);
        }
        match step {
            Step::Set(Object::Address(address)) => self.set_address(now, address),
            Step::Remove(Object::Address(KernelAddress { interface, address, .. })) => {
                let has = self.system.addresses.get(&(*interface, *address));
                if let Some(has) = has {
                    assert!(has.ours, "an address of another is removed: {has:?}");
                    let (interface, address) = (*interface, *address);
                    self.change(KernelEvent::AddressGone { interface, address });
                }
                Ok(())
            }
            Step::Set(Object::Route(route)) => {
                self.check_route(now, route)?;
                let has_slot = self.system.has_slot(route.slot());
                if has_slot || self.foreign_routes.contains(&route.slot()) {
                    return Err(Refusal::Exists);
                }
                self.change(KernelEvent::Route(kept(route)));
                Ok(())
            }
            Step::Replace(Object::Route(route)) => {
                self.check_route(now, route)?;
                if self.foreign_routes.contains(&route.slot()) {
                    return Err(Refusal::Exists);
                }
                self.change(KernelEvent::Route(kept(route)));
                Ok(())
            }
            Step::Remove(Object::Route(route)) => {
                if self.system.routes.contains_key(&route.key()) {
                    self.change(KernelEvent::RouteGone(route.clone()));
                }
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
            Step::Set(Object::Port) | Step::Remove(Object::Port) => {
                self.groups.retain(|(group, _)| !group.is_for_servers());
                self.serving = !is_removal(step);
                Ok(())
            }
            Step::Set(Object::Takeover(index)) => self.check_link(*index).map(drop),
            Step::Replace(_) | Step::Remove(_) => unreachable!("{step:?}"),
            Step::Set(Object::Setting(Setting { interface, name, value, .. })) => {
                let index = self.system.link(interface).ok_or(Refusal::NotThere)?.index;
                let key = (index, name.file().to_owned());
                match *value {
                    UNSET => self.sysctls.remove(&key),
                    value => self.sysctls.insert(key, value),
                };
                Ok(())
            }
        }
    }

    /// What a setting of the link named so is, if there is one.
    pub fn sysctl(&self, interface: &str, file: &str) -> Option<i32> {
        let index = self.system.link(interface)?.index;
        Some(self.sysctls.get(&(index, file.to_owned())).copied().unwrap_or(UNSET))
    }

    /// A process ends, and with it its sockets.
    pub fn close_sockets(&mut self) {
        self.groups.clear();
        self.serving = false;
    }

    fn interface_of(&self, step: &Step) -> Option<IfIndex> {
        step.object().interface()
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
        let tentative = has.is_none_or(|has| has.tentative);
        let duplicate = has.is_some_and(|has| has.duplicate);
        if has.is_none() {
            self.detecting.push((now + DETECTION, wanted.interface, wanted.address));
        }
        let address = KernelAddress { tentative, duplicate, ..wanted.clone() };
        self.change(KernelEvent::Address(address));
        Ok(())
    }

    /// Another node holds the `chosen` of the addresses under detection.
    pub fn find_duplicate(&mut self, chosen: usize) {
        if self.detecting.is_empty() {
            return;
        }
        let (_, interface, address) = self.detecting.remove(chosen % self.detecting.len());
        if let Some(has) = self.system.addresses.get(&(interface, address)) {
            self.found.insert((interface, address));
            self.change(KernelEvent::Address(KernelAddress { duplicate: true, ..has.clone() }));
        }
    }

    /// When something happens by itself.
    pub fn next(&self, now: Instant) -> Option<Instant> {
        let addresses = self.system.addresses.values().map(|address| address.valid_until);
        let routes = self.system.routes.values().map(|route| route.until);
        let ends = addresses.chain(routes).filter_map(Until::at);
        let detected = self.detecting.iter().map(|(at, ..)| *at);
        ends.chain(detected).filter(|at| *at > now).min()
    }

    /// What has run out goes, and detection ends.
    pub fn pass(&mut self, now: Instant) {
        let (ended, under_way) = self.detecting.iter().partition(|(at, ..)| *at <= now);
        self.detecting = under_way;
        let ended: Vec<(Instant, IfIndex, Ipv6Addr)> = ended;
        for (_, interface, address) in ended {
            if let Some(has) = self.system.addresses.get(&(interface, address)) {
                self.change(KernelEvent::Address(KernelAddress {
                    tentative: false,
                    ..has.clone()
                }));
            }
        }
        let addresses = self.system.addresses.values();
        let over = addresses.filter(|address| address.valid_until.is_over(now));
        let mut events: Vec<KernelEvent> = over
            .map(|has| {
                let (interface, address) = (has.interface, has.address);
                KernelEvent::AddressGone { interface, address }
            })
            .collect();
        let routes = self.system.routes.values().filter(|route| route.until.is_over(now));
        events.extend(routes.cloned().map(KernelEvent::RouteGone));
        events.into_iter().for_each(|event| self.change(event));
    }

    /// A link stops or runs. With `flush` it loses what is on it, as where it is set down.
    pub fn set_running(&mut self, index: IfIndex, running: bool, flush: bool) {
        let Some(link) = self.system.links.get(&index).cloned() else { return };
        if running && !link.running {
            self.found.retain(|(interface, _)| *interface != index);
        }
        let mut events = vec![KernelEvent::Link(Link { running, ..link })];
        if !running && flush {
            let here = self.system.addresses.values().filter(|has| has.interface == index);
            events.extend(here.filter(|has| has.ours).map(|has| {
                let (interface, address) = (has.interface, has.address);
                KernelEvent::AddressGone { interface, address }
            }));
            let routes = self.system.routes.values();
            let routes = routes.filter(|route| route.target.interface() == Some(index));
            events.extend(routes.cloned().map(KernelEvent::RouteGone));
        }
        events.into_iter().for_each(|event| self.change(event));
    }

    /// A link vanishes; its name if it was there.
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

    /// Another program sets an address, or removes one.
    pub fn set_foreign(&mut self, address: KernelAddress) {
        let key = (address.interface, address.address);
        if !self.system.links.contains_key(&address.interface) {
            return;
        }
        self.foreign_addresses.insert(key, address.clone());
        self.change(KernelEvent::Address(address));
    }

    /// What belongs to others is as they have set it.
    pub fn check_foreign(&self) {
        for (key, address) in &self.foreign_addresses {
            assert_eq!(
                self.system.addresses.get(key),
                Some(address),
                "an address of another was touched"
            );
        }
        let mut slots = BTreeSet::new();
        for route in self.system.routes.values() {
            assert!(slots.insert(route.slot()), "two routes to {:?}", route.slot());
            assert!(!self.foreign_routes.contains(&route.slot()), "in the place of another's");
        }
    }
}

/// A route as Linux keeps it: one that leads nowhere has no end.
fn kept(route: &KernelRoute) -> KernelRoute {
    let nowhere = route.target == RouteTarget::Unreachable;
    let until = if nowhere { Until::Never } else { route.until };
    KernelRoute { until, ..route.clone() }
}
