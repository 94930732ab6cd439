//! The difference between what the kernel has and what it should have, as ordered steps: what is
//! new comes before anything is removed (CHG-12).

use std::collections::BTreeSet;
use std::time::Duration;

use super::desired::Desired;
use super::input::IfIndex;
use super::output::Step;
use super::system::{KernelAddress, KernelRoute, System};
use crate::time::{Instant, Until};

/// Ends that lie closer together than this are one: the kernel counts in whole seconds.
const TOLERANCE: Duration = Duration::from_secs(2);

/// What may be removed. Nothing is before the uplink has spoken, or a restart would be an outage
/// (requirements of a restart: adopt, then compare).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Removable {
    /// Interfaces whose addresses and routes are fully known.
    pub interfaces: BTreeSet<IfIndex>,
    /// Whether what belongs to no interface is.
    pub unbound: bool,
}

/// The steps from what `system` has to `desired`. Only what carries our mark is ever replaced or
/// removed; an address of another in our place stands for ours.
pub fn diff(now: Instant, system: &System, desired: &Desired, removable: &Removable) -> Vec<Step> {
    let mut steps = Vec::new();
    for route in desired.routes.values() {
        match system.routes.get(&route.key()) {
            None => steps.push(Step::AddRoute(route.clone())),
            Some(has) if same_end(now, has.until, route.until) => {}
            Some(_) => steps.push(Step::ReplaceRoute(route.clone())),
        }
    }
    for (key, address) in &desired.addresses {
        match system.addresses.get(key) {
            Some(has) if !has.ours || same_address(now, has, address) => {}
            Some(_) | None => steps.push(Step::SetAddress(address.clone())),
        }
    }
    let running =
        |interface| system.links.get(&interface).is_some_and(|link| link.running);
    for (key, has) in &system.addresses {
        let removable = running(has.interface) && removable.interfaces.contains(&has.interface);
        if has.ours && removable && !desired.addresses.contains_key(key) {
            steps.push(Step::RemoveAddress {
                interface: has.interface,
                address: has.address,
                prefix_len: has.prefix_len,
            });
        }
    }
    let routes = system.routes.iter().filter(|(key, _)| !desired.routes.contains_key(key));
    for (_, has) in routes.filter(|(_, route)| route_removable(route, removable)) {
        steps.push(Step::RemoveRoute(has.clone()));
    }
    steps
}

fn route_removable(route: &KernelRoute, removable: &Removable) -> bool {
    match route.target.interface() {
        Some(interface) => removable.interfaces.contains(&interface),
        None => removable.unbound,
    }
}

fn same_address(now: Instant, has: &KernelAddress, wanted: &KernelAddress) -> bool {
    has.prefix_len == wanted.prefix_len
        && same_end(now, has.preferred_until, wanted.preferred_until)
        && same_end(now, has.valid_until, wanted.valid_until)
}

fn same_end(now: Instant, a: Until, b: Until) -> bool {
    match (a, b) {
        (Until::Never, Until::Never) => true,
        (Until::At(a), Until::At(b)) => {
            a.since(b).max(b.since(a)) <= TOLERANCE || (a <= now && b <= now)
        }
        (Until::Never, Until::At(_)) | (Until::At(_), Until::Never) => false,
    }
}
