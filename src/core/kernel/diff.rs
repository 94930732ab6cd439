//! The difference between the kernel's state and the desired one, as ordered steps: additions come
//! before removals (CHG-12).

use std::collections::BTreeSet;

use super::object::{Object, Step};
use super::state::State;
use super::system::{self, KernelAddress, KernelRoute, System};
use crate::core::desired::{Delegated, Desired};
use crate::net::IfIndex;
use crate::time::{Instant, Until};

/// The objects that may be removed. None may be before the uplink's router was heard, or a restart
/// would be an outage.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Removable {
    /// Interfaces whose desired addresses and routes are fully known.
    pub interfaces: BTreeSet<IfIndex>,
    /// The same of objects that belong to no interface.
    pub unbound: bool,
}

impl Removable {
    /// Whether a route that is not desired may be removed.
    pub fn allows(&self, route: &KernelRoute) -> bool {
        match route.target.interface() {
            Some(interface) => self.interfaces.contains(&interface),
            None => self.unbound,
        }
    }
}

/// The steps about objects that the kernel does not report. `restored` are settings that get back
/// the values that they had.
pub(super) fn made_diff(state: &State, desired: &Desired, restored: Vec<Object>) -> Vec<Step> {
    let wanted = desired.made.values().cloned().chain(restored);
    let mut steps: Vec<Step> =
        wanted.filter(|object| !state.has_made(object)).map(Step::Set).collect();
    let over = state.made().filter(|(key, _)| !desired.made.contains_key(key));
    let over = over.map(|(_, object)| object).filter(|object| object.is_removable());
    steps.extend(over.cloned().map(Step::Remove));
    steps
}

/// Whether a step can be taken only while UDP port 547 is open.
pub(super) const fn needs_port(step: &Step) -> bool {
    matches!(step, Step::Set(Object::Membership(group, _)) if group.is_for_servers())
}

/// The steps from the addresses and routes of `system` to `desired` and `delegated`, compared as a
/// whole. Only objects with our mark are ever replaced or removed; an address of another program in
/// the place of ours stands for ours.
pub fn diff(
    now: Instant,
    system: &System,
    desired: &Desired,
    delegated: &Delegated,
    removable: &Removable,
) -> Vec<Step> {
    let wanted = || desired.routes.values().chain(delegated.routes());
    let mut steps: Vec<Step> =
        wanted().filter_map(|route| route_step(now, system, route)).collect();
    steps.extend(address_steps(now, system, desired, removable));
    let swapped: BTreeSet<_> = wanted().map(KernelRoute::slot).collect();
    let over = system.routes.values().filter(|has| !swapped.contains(&has.slot()));
    let over = over.filter(|route| removable.allows(route));
    steps.extend(over.cloned().map(|route| Step::Remove(Object::Route(route))));
    steps
}

/// The steps where neither the kernel nor a binding has changed: from the routes that were desired
/// `before`, those of bindings aside, to the present ones.
pub fn own_diff(
    now: Instant,
    system: &System,
    before: &Desired,
    desired: &Desired,
    delegated: &Delegated,
    removable: &Removable,
) -> Vec<Step> {
    let wanted = desired.routes.values();
    let mut steps: Vec<Step> = wanted.filter_map(|route| route_step(now, system, route)).collect();
    steps.extend(address_steps(now, system, desired, removable));
    let over = before.routes.keys().filter(|key| !desired.routes.contains_key(key));
    let mut over: Vec<&KernelRoute> = over.filter_map(|key| system.routes.get(key)).collect();
    over.retain(|route| removable.allows(route));
    if !over.is_empty() {
        // These are few, and the others can be very many.
        let mut slots: BTreeSet<_> = over.iter().map(|route| route.slot()).collect();
        for route in desired.routes.values().chain(delegated.routes()) {
            slots.remove(&route.slot());
        }
        over.retain(|route| slots.contains(&route.slot()));
    }
    steps.extend(over.into_iter().cloned().map(|route| Step::Remove(Object::Route(route))));
    steps
}

fn address_steps(
    now: Instant,
    system: &System,
    desired: &Desired,
    removable: &Removable,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for (key, address) in &desired.addresses {
        match system.addresses.get(key) {
            // The kernel looks for no duplicates of an address once it has found one.
            Some(has) if has.ours && has.duplicate => steps.extend([
                Step::Remove(Object::Address(has.clone())),
                Step::Set(Object::Address(address.clone())),
            ]),
            Some(has) if !has.ours || same_address(now, has, address) => {}
            Some(_) | None => steps.push(Step::Set(Object::Address(address.clone()))),
        }
    }
    let running = |interface| system.links.get(&interface).is_some_and(|link| link.running);
    for (key, has) in &system.addresses {
        let removable = running(has.interface) && removable.interfaces.contains(&has.interface);
        if has.ours && removable && !desired.addresses.contains_key(key) {
            steps.push(Step::Remove(Object::Address(has.clone())));
        }
    }
    steps
}

/// The steps for the routes of some bindings, where nothing else has changed: from their earlier
/// routes to the desired ones.
pub fn binding_diff(
    now: Instant,
    system: &System,
    before: &[KernelRoute],
    after: &[KernelRoute],
) -> Vec<Step> {
    let mut steps: Vec<Step> =
        after.iter().filter_map(|route| route_step(now, system, route)).collect();
    let mut wanted: Vec<_> = after.iter().map(KernelRoute::slot).collect();
    wanted.sort_unstable();
    let stays = |route: &KernelRoute| wanted.binary_search(&route.slot()).is_ok();
    let has = |route: &&KernelRoute| system.routes.contains_key(&route.key());
    let gone = before.iter().filter(|route| !stays(route)).filter(has);
    steps.extend(gone.cloned().map(|route| Step::Remove(Object::Route(route))));
    steps
}

/// The step that sets a route, if one is needed.
pub(super) fn route_step(now: Instant, system: &System, route: &KernelRoute) -> Option<Step> {
    if route.until.is_over(now) {
        // The kernel takes no end in the past: set once more, the route would be there for another
        // second, and then again.
        let has = system.routes.get(&route.key()).filter(|has| !has.until.is_over(now));
        return has.map(|has| Step::Remove(Object::Route(has.clone())));
    }
    let is_same =
        |has: &KernelRoute| has.target == route.target && same_end(now, has.until, route.until);
    let mut in_place = system.in_slot(route.slot()).peekable();
    if in_place.peek().is_none() {
        return Some(Step::Set(Object::Route(route.clone())));
    }
    // A route to the same destination by another router is replaced in one step, without a gap.
    (!in_place.any(is_same)).then(|| Step::Replace(Object::Route(route.clone())))
}

fn same_address(now: Instant, has: &KernelAddress, wanted: &KernelAddress) -> bool {
    has.prefix_len == wanted.prefix_len
        && same_end(now, has.preferred_until, wanted.preferred_until)
        && same_end(now, has.valid_until, wanted.valid_until)
}

fn same_end(now: Instant, a: Until, b: Until) -> bool {
    system::same_end(a, b) || (a.is_over(now) && b.is_over(now))
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;
    use std::time::Duration;

    use super::*;
    use crate::core::kernel::system::{KernelEvent, Origin};
    use crate::core::kernel::system::{Link, RouteTarget};

    const LAN: IfIndex = IfIndex(3);
    const NOW: Instant = Instant::from_secs(1000);

    fn system(running: bool) -> System {
        let mut system = System::default();
        system.handle(KernelEvent::Link(Link {
            index: LAN,
            name: "lan0".to_owned(),
            running,
            multicast: true,
            point_to_point: false,
            link_layer_address: None,
            mtu: 1500,
            accept_ra: None,
            carrier_ups: 0,
        }));
        system
    }

    fn address(text: &str, seconds: u64, ours: bool) -> KernelAddress {
        let until = Until::At(NOW + Duration::from_secs(seconds));
        KernelAddress {
            interface: LAN,
            address: text.parse().unwrap(),
            prefix_len: 64,
            preferred_until: until,
            valid_until: until,
            tentative: false,
            duplicate: false,
            ours,
            origin: Origin::Other,
        }
    }

    fn route(prefix: &str, seconds: u64) -> KernelRoute {
        KernelRoute {
            destination: prefix.parse().unwrap(),
            target: RouteTarget::OnLink(LAN),
            metric: 256,
            until: Until::At(NOW + Duration::from_secs(seconds)),
        }
    }

    fn desired(addresses: &[KernelAddress], routes: &[KernelRoute]) -> Desired {
        let key = |address: &KernelAddress| (address.interface, address.address);
        Desired {
            addresses: addresses.iter().map(|address| (key(address), address.clone())).collect(),
            routes: routes.iter().map(|route| (route.key(), route.clone())).collect(),
            ..Desired::default()
        }
    }

    fn all() -> Removable {
        Removable { interfaces: BTreeSet::from([LAN]), unbound: true }
    }

    /// CHG-12
    #[test]
    fn additions_come_before_removals() {
        let mut system = system(true);
        let (old, new) = (address("2001:db8:a::1", 60, true), address("2001:db8:b::1", 60, true));
        let (old_route, new_route) = (route("2001:db8:a::/64", 60), route("2001:db8:b::/64", 60));
        system.handle(KernelEvent::Address(old.clone()));
        system.handle(KernelEvent::Route(old_route.clone()));
        let desired = desired(std::slice::from_ref(&new), std::slice::from_ref(&new_route));
        let wanted = [
            Step::Set(Object::Route(new_route)),
            Step::Set(Object::Address(new)),
            Step::Remove(Object::Address(old)),
            Step::Remove(Object::Route(old_route)),
        ];
        assert_eq!(diff(NOW, &system, &desired, &Delegated::default(), &all()), wanted);
    }

    /// UPL-12
    #[test]
    fn objects_of_others_are_never_touched() {
        let mut system = system(true);
        system.handle(KernelEvent::Address(address("fd00::101", 60, false)));
        system.handle(KernelEvent::Address(address("2001:db8:a::1", 60, false)));
        let desired = desired(&[address("2001:db8:a::1", 900, true)], &[]);
        assert_eq!(diff(NOW, &system, &desired, &Delegated::default(), &all()), []);
    }

    /// A link that came up anew may have other nodes on it: the address is tried again there, for
    /// which the kernel must not have it.
    #[test]
    fn a_wanted_address_that_the_kernel_takes_for_a_duplicate_is_set_anew() {
        let mut system = system(true);
        let wanted = address("2001:db8:a::1", 900, true);
        let has = KernelAddress { duplicate: true, ..wanted.clone() };
        system.addresses.insert((LAN, has.address), has.clone());
        let desired = desired(std::slice::from_ref(&wanted), &[]);
        let steps = [Step::Remove(Object::Address(has)), Step::Set(Object::Address(wanted))];
        assert_eq!(diff(NOW, &system, &desired, &Delegated::default(), &all()), steps);
    }

    #[test]
    fn lifetimes_that_merely_count_down_are_no_difference() {
        let mut system = system(true);
        system.handle(KernelEvent::Address(address("2001:db8:a::1", 61, true)));
        system.handle(KernelEvent::Route(route("2001:db8:a::/64", 60)));
        let same = desired(&[address("2001:db8:a::1", 60, true)], &[route("2001:db8:a::/64", 61)]);
        assert_eq!(diff(NOW, &system, &same, &Delegated::default(), &all()), []);
        let refreshed = address("2001:db8:a::1", 900, true);
        let refreshed_route = route("2001:db8:a::/64", 900);
        let more =
            desired(std::slice::from_ref(&refreshed), std::slice::from_ref(&refreshed_route));
        let wanted =
            [Step::Replace(Object::Route(refreshed_route)), Step::Set(Object::Address(refreshed))];
        assert_eq!(diff(NOW, &system, &more, &Delegated::default(), &all()), wanted);
    }

    #[test]
    fn an_end_in_the_past_equals_any_other_past_end() {
        let mut system = system(true);
        let mut has = address("2001:db8:a::1", 60, true);
        has.preferred_until = Until::At(NOW);
        let mut wanted = has.clone();
        wanted.preferred_until = Until::At(Instant::from_secs(1));
        system.handle(KernelEvent::Address(has));
        assert_eq!(diff(NOW, &system, &desired(&[wanted], &[]), &Delegated::default(), &all()), []);
    }

    #[test]
    fn a_route_that_has_run_out_is_not_set_again() {
        let mut system = system(true);
        let mut over = route("2001:db8:a::/64", 0);
        let wanted = desired(&[], std::slice::from_ref(&over));
        assert_eq!(diff(NOW, &system, &wanted, &Delegated::default(), &all()), []);
        system.handle(KernelEvent::Route(over.clone()));
        assert_eq!(diff(NOW, &system, &wanted, &Delegated::default(), &all()), []);
        over.until = Until::At(NOW + Duration::from_secs(1));
        system.handle(KernelEvent::Route(over.clone()));
        assert_eq!(
            diff(NOW, &system, &wanted, &Delegated::default(), &all()),
            [Step::Remove(Object::Route(over))]
        );
    }

    #[test]
    fn nothing_is_removed_where_it_is_not_known_what_belongs_there() {
        let mut up = system(true);
        up.handle(KernelEvent::Address(address("2001:db8:a::1", 60, true)));
        up.handle(KernelEvent::Route(route("2001:db8:a::/64", 60)));
        assert_eq!(
            diff(NOW, &up, &Desired::default(), &Delegated::default(), &Removable::default()),
            []
        );
        assert_eq!(diff(NOW, &up, &Desired::default(), &Delegated::default(), &all()).len(), 2);
        let unspecified = Ipv6Addr::UNSPECIFIED;
        assert!(up.link_local(LAN).is_none_or(|address| address != unspecified));
    }
}
