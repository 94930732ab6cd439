//! Steps that the kernel refused: they are retried at growing intervals, never in a busy loop.
//!
//! Each entry is about an object that is desired or has to be removed, so there are no more of them
//! than of those. None is dropped while the step is still needed, or it would be retried at once.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::object::{Key, Object, Step};
use super::system::System;
use crate::core::agent::pass::DEFER;
use crate::core::event::RefusedStep;
use crate::core::kernel::object::Refusal;
use crate::time::{Deadline, Instant};

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// Retries come in groups, at most a quarter of their delay apart, and at least this: each group
/// costs a derivation of the whole.
const SHORTEST_GROUP: Duration = Duration::from_millis(250);

/// A refused step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::core) struct Refused {
    /// The step.
    pub step: Step,
    /// Why.
    pub refusal: Refusal,
    /// How often in a row it was refused.
    pub count: u32,
    retry: Retry,
}

/// When a refused step is tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Retry {
    At(Instant),
    /// The step is queued among others that no router waits for.
    Queued,
    /// The step was retried, and a second refusal would come soon.
    Taken,
}

impl Refused {
    const fn retry_at(&self) -> Option<Instant> {
        match self.retry {
            Retry::At(at) => Some(at),
            Retry::Queued | Retry::Taken => None,
        }
    }
}

/// A refused step for an event, with the name of the interface.
pub(in crate::core) fn refused(step: &Step, refusal: Refusal, system: &System) -> RefusedStep {
    let interface = step.object().interface().and_then(|index| system.name_of(index));
    let interface = interface.map(str::to_owned);
    RefusedStep { interface, step: step.clone(), refusal }
}

/// The refused steps.
#[derive(Clone, Debug, Default)]
pub(in crate::core) struct Refusals {
    entries: BTreeMap<Key, Refused>,
    /// When the first retry comes.
    next_retry: Option<Instant>,
    /// When the results of retries are known.
    known_at: Option<Instant>,
}

impl Refusals {
    /// Adds a refusal; returns true for the first in a row.
    pub(in crate::core) fn add(&mut self, now: Instant, step: Step, refusal: Refusal) -> bool {
        let key = step.object().key();
        let count = self.entries.get(&key).map_or(0, |refused| refused.count);
        let retry_at = retry_time(now, count);
        self.next_retry = Some(self.next_retry.map_or(retry_at, |next| next.min(retry_at)));
        let count = count.saturating_add(1);
        self.entries.insert(key, Refused { step, refusal, count, retry: Retry::At(retry_at) });
        count == 1
    }

    /// Whether `step` has to wait.
    pub(in crate::core) fn holds(&self, now: Instant, step: &Step) -> bool {
        if self.entries.is_empty() {
            return false;
        }
        let refused = self.entries.get(&step.object().key());
        refused.is_some_and(|refused| refused.retry_at().is_some_and(|at| at > now))
    }

    /// Notes that the steps about these objects are queued.
    pub(in crate::core) fn queued(&mut self, keys: impl Iterator<Item = Key>) {
        self.set_all(keys, |_| Retry::Queued);
    }

    /// Notes that the steps about these objects are queued no more.
    pub(in crate::core) fn dequeued(&mut self, now: Instant, keys: impl Iterator<Item = Key>) {
        self.set_all(keys, |retry| match retry {
            Retry::Queued => Retry::At(now),
            Retry::At(_) | Retry::Taken => retry,
        });
    }

    fn set_all(&mut self, keys: impl Iterator<Item = Key>, change: impl Fn(Retry) -> Retry) {
        if self.entries.is_empty() {
            return;
        }
        for key in keys {
            if let Some(refused) = self.entries.get_mut(&key) {
                refused.retry = change(refused.retry);
            }
        }
        self.find_next_retry();
    }

    /// Notes that `step` is retried.
    pub(in crate::core) fn retried(&mut self, now: Instant, step: &Step) {
        if self.entries.is_empty() {
            return;
        }
        if let Some(refused) = self.entries.get_mut(&step.object().key()) {
            refused.retry = Retry::Taken;
            self.known_at.get_or_insert(now + DEFER);
        }
    }

    /// Drops the steps that were retried and not refused again; to be called when all steps have
    /// been performed. Returns whether any was dropped.
    pub(in crate::core) fn drop_succeeded(&mut self) -> bool {
        if self.known_at.take().is_none() {
            return false;
        }
        let before = self.entries.len();
        self.entries.retain(|_, refused| refused.retry != Retry::Taken);
        let differs = self.entries.len() != before;
        if differs {
            self.find_next_retry();
        }
        differs
    }

    /// Drops refusals of steps that are not needed any more: those that are not among `steps`,
    /// which are all that are needed for what was `compared`. A refused removal stays until its
    /// retry: it is needed again as soon as the kernel's state is read.
    pub(in crate::core) fn drop_unwanted(
        &mut self,
        now: Instant,
        steps: &[Step],
        compared: impl Fn(&Key) -> bool,
    ) {
        if self.entries.is_empty() {
            return;
        }
        let wanted: BTreeSet<Key> = steps.iter().map(|step| step.object().key()).collect();
        let waits = |refused: &Refused| {
            let removes =
                matches!(refused.step, Step::Remove(Object::Address(_) | Object::Route(_)));
            removes && refused.retry_at().is_some_and(|at| at > now)
        };
        self.entries
            .retain(|key, refused| wanted.contains(key) || waits(refused) || !compared(key));
        self.find_next_retry();
    }

    fn find_next_retry(&mut self) {
        self.next_retry = self.entries.values().filter_map(Refused::retry_at).min();
    }

    /// The refusal of a step about `key`.
    pub(in crate::core) fn of(&self, key: &Key) -> Option<&Refused> {
        self.entries.get(key)
    }

    /// All of them.
    pub(in crate::core) fn iter(&self) -> impl Iterator<Item = &Refused> {
        self.entries.values()
    }

    /// How many there are.
    pub(in crate::core) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the time of a retry has come.
    pub(in crate::core) fn is_retry_due(&self, now: Instant) -> bool {
        self.next_retry.is_some_and(|at| at <= now)
    }

    /// When the next retry is due.
    pub(in crate::core) fn deadline(&self) -> Option<Deadline> {
        let retry = self.next_retry.map(|at| Deadline::new(at, "retry of a refused step"));
        let known = self.known_at.map(|at| Deadline::new(at, "outcome of a retry"));
        Deadline::first([retry, known])
    }
}

/// When a step that was refused `count` times before is retried: together with all whose retry
/// comes shortly before or after.
fn retry_time(now: Instant, count: u32) -> Instant {
    let factor = 1_u32.checked_shl(count).unwrap_or(u32::MAX);
    let delay = FIRST_RETRY.saturating_mul(factor).min(LAST_RETRY);
    let group = (delay / 4).max(SHORTEST_GROUP).as_millis();
    let at = (now + delay).since_boot().as_nanos().div_ceil(1_000_000).next_multiple_of(group);
    Instant::from_boot(Duration::from_millis(u64::try_from(at).unwrap_or(u64::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::kernel::object::Group;
    use crate::core::kernel::system::{KernelRoute, RouteTarget};
    use crate::net::IfIndex;
    use crate::time::Until;

    fn join(interface: u32) -> Step {
        Step::Set(Object::Membership(Group::AllRouters, IfIndex(interface)))
    }

    #[test]
    fn a_refused_step_is_tried_later_and_later() {
        let mut refusals = Refusals::default();
        let step = join(3);
        let now = Instant::from_secs(10);
        assert!(refusals.add(now, step.clone(), Refusal::NotThere));
        assert!(refusals.holds(now, &step));
        assert_eq!(refusals.deadline().map(|next| next.at), Some(now + FIRST_RETRY));
        for _ in 0..40 {
            refusals.retried(now, &step);
            assert!(!refusals.holds(now, &step));
            assert!(!refusals.add(now, step.clone(), Refusal::NotThere));
            assert!(!refusals.drop_succeeded());
        }
        refusals.drop_unwanted(now, std::slice::from_ref(&step), |_| true);
        let later = Instant::from_secs(75); // in the group behind 10 s + LAST_RETRY
        assert_eq!(refusals.deadline().map(|next| next.at), Some(later));
        assert!(!refusals.holds(later, &step));
        assert!(refusals.is_retry_due(later));
    }

    #[test]
    fn refusals_of_steps_that_succeeded_or_are_not_needed_are_dropped() {
        let mut refusals = Refusals::default();
        let now = Instant::from_secs(10);
        for interface in 1..=3 {
            refusals.add(now, join(interface), Refusal::NotThere);
        }
        refusals.drop_unwanted(now, &[join(2), join(3), join(4)], |_| true);
        assert_eq!(refusals.len(), 2);
        refusals.retried(now, &join(2));
        assert!(refusals.drop_succeeded());
        assert!(!refusals.drop_succeeded());
        assert_eq!(refusals.iter().map(|refused| &refused.step).collect::<Vec<_>>(), [&join(3)]);
        refusals.drop_unwanted(now, &[], |_| true);
        assert_eq!((refusals.len(), refusals.deadline()), (0, None));
    }

    /// It is taken as done until the kernel's state is read: the row of refusals goes on then.
    #[test]
    fn a_refused_removal_is_not_forgotten_before_its_retry() {
        let mut refusals = Refusals::default();
        let step = Step::Remove(Object::Route(KernelRoute {
            destination: "2001:db8::/64".parse().unwrap(),
            target: RouteTarget::OnLink(IfIndex(3)),
            metric: 256,
            until: Until::Never,
        }));
        let mut now = Instant::from_secs(10);
        let mut delays = Vec::new();
        for _ in 0..4 {
            refusals.add(now, step.clone(), Refusal::NotPermitted);
            refusals.drop_succeeded();
            refusals.drop_unwanted(now, &[], |_| true);
            let retry_at = refusals.deadline().map_or(now, |next| next.at);
            delays.push(retry_at.since(now));
            now = retry_at;
            refusals.retried(now, &step);
        }
        assert!(delays.is_sorted_by(|a, b| a < b), "{delays:?}");
        refusals.add(now, step, Refusal::NotPermitted);
        refusals.drop_unwanted(now + LAST_RETRY, &[], |_| true);
        assert_eq!(refusals.len(), 0);
    }

    /// A refusal of each of ten thousand must not cost ten thousand derivations.
    #[test]
    fn retries_come_in_groups() {
        let mut refusals = Refusals::default();
        let start = Instant::from_secs(10);
        for number in 0..10_000 {
            let now = start + Duration::from_micros(100 * u64::from(number));
            refusals.add(now, join(number), Refusal::NotThere);
        }
        let times: BTreeSet<_> = refusals.iter().filter_map(Refused::retry_at).collect();
        assert!(times.len() <= 6, "{times:?}");
        let in_time = |refused: &Refused| {
            refused.retry_at().is_some_and(|at| {
                at >= start + FIRST_RETRY && at <= start + Duration::from_millis(1500)
            })
        };
        assert!(refusals.iter().all(in_time));
    }
}
