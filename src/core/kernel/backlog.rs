//! Work that a change causes for many bindings: the first are handled in the same pass, the others
//! in slices, between which packets are answered. A requesting router that asks meanwhile gets a
//! complete answer all the same: its binding is handled before that. Routes that are added come
//! first, then those that end or live longer, then records, without which a restarted agent finds
//! out the same.

use std::collections::{BTreeMap, BTreeSet};

use super::object::{Key, Step};
use super::system::{KernelRoute, RouteKey};
use super::{Reconciler, diff};
use crate::core::Core;
use crate::core::agent::pass::DEFER;
use crate::core::delegate::BindingKey;
use crate::time::{Deadline, Instant};

/// How many bindings, steps or records are handled in one slice: some 2 ms of the kernel's time.
const SLICE: usize = 256;

/// Why the routes of a binding are derived anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::core) enum Reason {
    /// Its delegations change: those that begin and those that end are reported.
    Binding,
    /// Its link changed, or what is known of the link: its delegations stay.
    Link,
}

/// The work that is left for bindings.
#[derive(Clone, Debug, Default)]
pub(in crate::core) struct Backlog {
    /// Bindings that changed, whose routes are to be derived.
    bindings: BTreeSet<BindingKey>,
    /// Bindings whose link changed, likewise.
    rerouted: BTreeSet<BindingKey>,
    /// Routes that a comparison of everything found missing.
    steps: BTreeMap<RouteKey, Step>,
    /// Routes that end, or whose lifetimes move: no router waits for that.
    later: BTreeMap<RouteKey, Step>,
    /// Steps for `later` that are not in it yet, the newest last: each of the bindings above adds
    /// its own without a search here.
    newest: Vec<Step>,
    /// When the steps in `later` are taken.
    later_at: Option<Instant>,
    /// Whether it has been checked that no step in `later` removes a route that is wanted.
    later_is_checked: bool,
    /// Bindings whose records are to be written.
    records: BTreeSet<BindingKey>,
}

impl Backlog {
    /// Whether no work is left.
    pub(in crate::core) fn is_empty(&self) -> bool {
        !self.has_steps() && !self.has_later() && self.records.is_empty()
    }

    /// Whether routes are left to be derived or set, for which requesting routers wait.
    pub(in crate::core) fn has_steps(&self) -> bool {
        self.has_bindings() || !self.steps.is_empty()
    }

    fn has_bindings(&self) -> bool {
        !self.bindings.is_empty() || !self.rerouted.is_empty()
    }

    fn has_later(&self) -> bool {
        !self.later.is_empty() || !self.newest.is_empty()
    }

    /// Adds bindings that changed: their routes and records have to be brought up to date.
    pub(in crate::core) fn add_bindings(&mut self, mut touched: BTreeSet<BindingKey>) {
        if !touched.is_empty() {
            self.sort_later();
            // The set is in order: appending takes a fraction of the time of inserting one by one.
            self.bindings.append(&mut touched);
        }
    }

    /// Adds bindings whose link changed: their routes have to be brought up to date.
    pub(in crate::core) fn add_rerouted(&mut self, mut rerouted: BTreeSet<BindingKey>) {
        if !rerouted.is_empty() {
            self.sort_later();
            self.rerouted.append(&mut rerouted);
        }
    }

    /// Returns the bindings whose routes are to be derived before everything is compared, and drops
    /// all steps, which the comparison finds again.
    pub(in crate::core) fn take_all(&mut self) -> Vec<(BindingKey, Reason)> {
        self.steps.clear();
        self.later.clear();
        self.newest.clear();
        std::iter::from_fn(|| self.next_binding()).collect()
    }

    /// Removes a binding that is handled on its own.
    pub(in crate::core) fn remove(&mut self, key: &BindingKey) {
        self.sort_later();
        self.bindings.remove(key);
        self.rerouted.remove(key);
        self.records.remove(key);
    }

    /// Drops the steps about some routes; returns whether there were any.
    fn remove_steps(&mut self, routes: &[KernelRoute]) -> bool {
        let mut removed = false;
        for steps in [&mut self.steps, &mut self.later] {
            if !steps.is_empty() {
                for route in routes {
                    removed |= steps.remove(&route.key()).is_some();
                }
            }
        }
        removed
    }

    /// Adds steps about routes for which no router waits.
    fn add_later(&mut self, now: Instant, steps: Vec<Step>) {
        if !steps.is_empty() {
            self.newest.extend(steps);
            self.later_at.get_or_insert(now + DEFER);
            self.later_is_checked = false;
        }
    }

    /// The desired routes have changed: removals are compared with them again before they are
    /// taken.
    pub(in crate::core) const fn check_later(&mut self) {
        self.later_is_checked = false;
    }

    /// Moves the newest steps into the map by route.
    fn sort_later(&mut self) {
        let steps = std::mem::take(&mut self.newest).into_iter();
        self.later.extend(steps.filter_map(|step| Some((step.route()?.key(), step))));
    }

    /// When the next slice is to be handled: at once, unless only steps are left for which no
    /// router waits.
    pub(in crate::core) fn deadline(&self, now: Instant) -> Option<Deadline> {
        let at = if self.has_steps() || !self.records.is_empty() {
            now
        } else {
            self.later_at.filter(|_| self.has_later())?
        };
        Some(Deadline::new(at, "routes and records of bindings"))
    }

    /// Adds the records of bindings whose routes have been derived.
    pub(in crate::core) fn add_records(
        &mut self,
        followed: impl IntoIterator<Item = (BindingKey, Reason)>,
    ) {
        let changed = followed.into_iter().filter(|(_, reason)| *reason == Reason::Binding);
        self.records.extend(changed.map(|(key, _)| key));
    }

    fn next_records(&mut self) -> BTreeSet<BindingKey> {
        std::iter::from_fn(|| self.records.pop_first()).take(SLICE).collect()
    }

    fn next_bindings(&mut self) -> Vec<(BindingKey, Reason)> {
        std::iter::from_fn(|| self.next_binding()).take(SLICE).collect()
    }

    fn next_binding(&mut self) -> Option<(BindingKey, Reason)> {
        let Some(key) = self.bindings.pop_first() else {
            return self.rerouted.pop_first().map(|key| (key, Reason::Link));
        };
        // Its routes are derived once: a second step about one of them would be refused.
        if !self.rerouted.is_empty() {
            self.rerouted.remove(&key);
        }
        Some((key, Reason::Binding))
    }

    fn next_steps(&mut self) -> Vec<Step> {
        let next = std::iter::from_fn(|| self.steps.pop_first());
        next.map(|(_, step)| step).take(SLICE).collect()
    }

    fn next_later(&mut self) -> Vec<Step> {
        self.sort_later();
        let next = std::iter::from_fn(|| self.later.pop_first());
        let steps = next.map(|(_, step)| step).take(SLICE).collect();
        if self.later.is_empty() {
            self.later_at = None;
        }
        steps
    }
}

impl Core {
    /// Writes the next slice of records.
    pub(in crate::core) fn remember_next(&mut self) {
        let records = self.kernel.backlog.next_records();
        self.remember_bindings(&records);
    }

    /// The steps to be taken at once; of those about routes to delegated prefixes only one slice,
    /// while the others go to the backlog.
    pub(in crate::core) fn first_slice(&mut self, mut steps: Vec<Step>) -> Vec<Step> {
        if steps.len() <= SLICE {
            return steps;
        }
        let Reconciler { backlog, desired, refusals, .. } = &mut self.kernel;
        let mut room = SLICE;
        let mut postponed = Vec::new();
        steps.retain(|step| {
            let route = step.route().filter(|route| !desired.routes.contains_key(&route.key()));
            let Some(route) = route else { return true };
            if room == 0 {
                postponed.push(Key::Route(route.key()));
                backlog.steps.insert(route.key(), step.clone());
                return false;
            }
            room -= 1;
            true
        });
        refusals.queued(postponed.into_iter());
        steps
    }

    /// Keeps for later the steps about routes that are not in the desired state: removals, and
    /// routes of bindings. Returns the other steps.
    pub(in crate::core) fn postpone_routes(&mut self, now: Instant, steps: Vec<Step>) -> Vec<Step> {
        let is_of_binding = |step: &Step| {
            step.route().is_some_and(|route| !self.kernel.desired.routes.contains_key(&route.key()))
        };
        let (routes, others): (Vec<Step>, Vec<Step>) = steps.into_iter().partition(is_of_binding);
        self.kernel.queue_later(now, routes);
        others
    }

    /// Handles the next slice of the backlog.
    pub(in crate::core) fn work_off(&mut self, now: Instant) {
        if self.kernel.backlog.has_bindings() {
            let steps = self.follow_next(now);
            self.take_steps(now, steps);
        } else if !self.kernel.backlog.steps.is_empty() {
            let steps = self.kernel.backlog.next_steps();
            self.take_steps(now, steps);
        } else if self.kernel.backlog.later_at.is_some_and(|at| at <= now) {
            self.kernel.drop_needless_removals(now);
            let steps = self.kernel.backlog.next_later();
            self.take_steps(now, steps);
        } else {
            self.remember_next();
        }
    }

    /// Derives the routes of the next slice of bindings; returns the steps that routers wait for
    /// and keeps the others for later.
    pub(in crate::core) fn follow_next(&mut self, now: Instant) -> Vec<Step> {
        let keys = self.kernel.backlog.next_bindings();
        let (first, mut later) = self.follow_routes(now, keys.iter().map(|(key, why)| (key, *why)));
        let Reconciler { desired, removable, .. } = &self.kernel;
        later.retain(|step| {
            let is_allowed = step.removed_route().is_none_or(|route| removable.allows(route));
            let is_desired =
                step.route().is_some_and(|route| desired.routes.contains_key(&route.key()));
            is_allowed && !is_desired
        });
        self.kernel.queue_later(now, later);
        self.kernel.backlog.add_records(keys);
        first
    }

    /// Derives the routes of bindings; returns the steps that routers wait for, and the other
    /// steps.
    pub(in crate::core) fn follow_routes<'a>(
        &mut self,
        now: Instant,
        keys: impl ExactSizeIterator<Item = (&'a BindingKey, Reason)>,
    ) -> (Vec<Step>, Vec<Step>) {
        // Each binding has a route, and in a change another one that ends.
        let (mut before, mut after) =
            (Vec::with_capacity(keys.len()), Vec::with_capacity(2 * keys.len()));
        for (key, reason) in keys {
            let (had_from, has_from) = (before.len(), after.len());
            self.follow_binding(key, reason, &mut before, &mut after);
            let had = before.get(had_from..).unwrap_or_default();
            let has = after.get(has_from..).unwrap_or_default();
            for routes in [had, has] {
                if self.kernel.backlog.remove_steps(routes) {
                    let subjects = routes.iter().map(|route| Key::Route(route.key()));
                    self.kernel.refusals.dequeued(now, subjects);
                }
            }
        }
        let mut steps = diff::binding_diff(now, &self.kernel.state.system, &before, &after);
        steps.retain(|step| !self.kernel.refusals.holds(now, step));
        steps.into_iter().partition(|step| self.kernel.is_awaited(step))
    }

    /// Derives the routes of a binding: adds the earlier ones to `before`, and the new ones to
    /// `after`.
    pub(in crate::core) fn follow_binding(
        &mut self,
        key: &BindingKey,
        reason: Reason,
        before: &mut Vec<KernelRoute>,
        after: &mut Vec<KernelRoute>,
    ) {
        let stranded_count = self.kernel.delegated.stranded().len();
        let (had_from, has_from) = (before.len(), after.len());
        let system = &self.kernel.state.system;
        self.kernel.delegated.follow(system, &self.delegating, key, before, after);
        self.review |= self.kernel.delegated.stranded().len() != stranded_count;
        if reason == Reason::Binding {
            let had = before.get(had_from..).unwrap_or_default();
            let has = after.get(has_from..).unwrap_or_default();
            self.report_delegations(key, had, has);
        }
    }
}

impl Reconciler {
    /// Keeps steps about routes of bindings for later.
    fn queue_later(&mut self, now: Instant, steps: Vec<Step>) {
        let keys = steps.iter().filter_map(|step| Some(Key::Route(step.route()?.key())));
        self.refusals.queued(keys);
        self.backlog.add_later(now, steps);
    }

    /// Drops removals that are not needed any more. Bindings are handled one after the other: one
    /// may have got the route that another has lost, and a route that was replaced needs no
    /// removal.
    fn drop_needless_removals(&mut self, now: Instant) {
        let Self { backlog, delegated, desired, state, refusals, .. } = self;
        if std::mem::replace(&mut backlog.later_is_checked, true) {
            return;
        }
        backlog.sort_later();
        let removals = backlog.later.values().filter_map(Step::removed_route).map(KernelRoute::key);
        let mut needless: BTreeSet<RouteKey> =
            removals.filter(|key| !state.system.routes.contains_key(key)).collect();
        for route in delegated.routes().chain(desired.routes.values()) {
            let Some(step) = backlog.later.get_mut(&route.key()) else { continue };
            if step.removed_route().is_some() {
                // The desired route may live for longer than the one that was to be removed.
                match diff::route_step(now, &state.system, route) {
                    Some(wanted) => *step = wanted,
                    None => {
                        needless.insert(route.key());
                    }
                }
            }
        }
        backlog.later.retain(|key, _| !needless.contains(key));
        refusals.dequeued(now, needless.into_iter().map(Key::Route));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::kernel::object::{Object, Refusal};
    use crate::core::kernel::system::RouteTarget;
    use crate::net::IfIndex;
    use crate::time::Until;
    use crate::wire::dhcpv6_option::{Duid, Iaid};

    const NOW: Instant = Instant::from_secs(1000);

    fn route(prefix: &str) -> KernelRoute {
        KernelRoute {
            destination: prefix.parse().unwrap(),
            target: RouteTarget::OnLink(IfIndex(3)),
            metric: 256,
            until: Until::Never,
        }
    }

    /// A binding that changes with its link has each of its routes set once.
    #[test]
    fn a_binding_is_followed_once_for_all_reasons() {
        let key = |number| BindingKey {
            duid: Duid::from_uuid([number; 16]),
            downlink: "lan".into(),
            iaid: Iaid(1),
        };
        let mut backlog = Backlog::default();
        backlog.add_rerouted(BTreeSet::from([1, 2].map(key)));
        backlog.add_bindings(BTreeSet::from([2, 3].map(key)));
        let followed = backlog.next_bindings();
        let expected = [(2, Reason::Binding), (3, Reason::Binding), (1, Reason::Link)]
            .map(|(n, why)| (key(n), why));
        assert_eq!(followed, expected);
        assert!(!backlog.has_steps());
    }

    /// A route is removed only if it is there when its turn has come, and not wanted again.
    #[test]
    fn a_route_that_is_wanted_again_or_has_vanished_is_not_removed() {
        let [wanted, vanished, over] =
            ["2001:db8:a::/48", "2001:db8:b::/48", "2001:db8:c::/48"].map(route);
        let mut kernel = Reconciler::default();
        for route in [&wanted, &over] {
            kernel.state.assume(Step::Set(Object::Route(route.clone())));
        }
        kernel.desired.routes.insert(wanted.key(), wanted.clone());
        let removal = |route: &KernelRoute| Step::Remove(Object::Route(route.clone()));
        for route in [&wanted, &vanished, &over] {
            kernel.refusals.add(NOW, removal(route), Refusal::NotPermitted);
        }
        kernel.queue_later(NOW, [&wanted, &vanished, &over].map(removal).to_vec());
        assert_eq!(kernel.refusals.deadline(), None, "they have their turn");
        kernel.drop_needless_removals(NOW);
        assert_eq!(kernel.backlog.next_later(), [removal(&over)]);
        assert!(kernel.refusals.is_retry_due(NOW), "the others are looked at anew");
    }
}
