//! Steps that the kernel refused: tried again later and later, never in a busy loop.
//!
//! Each entry is about an object that is wanted or has to go: there are no more of them than of
//! those. None is forgotten while the step is still to be taken, or it would be tried again at once.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::Duration;

use super::event::RefusedStep;
use super::input::{IfIndex, Refusal};
use super::output::{Group, Step, Sysctl};
use super::settle::LAG;
use super::system::{RouteKey, RouteTarget, System};
use crate::time::{Deadline, Instant};

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// Retries come in groups, a quarter of their delay apart at most and this at least: each group
/// costs a derivation of the whole.
const SHORTEST_GROUP: Duration = Duration::from_millis(250);

/// What a step is about, whatever it does to it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Subject {
    /// An address.
    Address(IfIndex, Ipv6Addr),
    /// A route.
    Route(RouteKey),
    /// A setting.
    Sysctl(String, Sysctl),
    /// Membership in a group.
    Group(Group, IfIndex),
    /// UDP port 547.
    Server,
    /// What the kernel made on an interface.
    KernelMade(IfIndex),
}

impl Subject {
    /// What `step` is about.
    pub(super) fn of(step: &Step) -> Self {
        match step {
            Step::SetAddress(address) => Self::Address(address.interface, address.address),
            Step::RemoveAddress { interface, address, .. } => Self::Address(*interface, *address),
            Step::AddRoute(route) | Step::ReplaceRoute(route) | Step::RemoveRoute(route) => {
                Self::Route(route.key())
            }
            Step::SetSysctl { interface, name, .. } => Self::Sysctl(interface.clone(), *name),
            Step::Join(group, interface) | Step::Leave(group, interface) => {
                Self::Group(*group, *interface)
            }
            Step::Serve(_) => Self::Server,
            Step::DropKernelMade(interface) => Self::KernelMade(*interface),
        }
    }
}

/// A refused step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Failure {
    /// The step.
    pub step: Step,
    /// Why.
    pub refusal: Refusal,
    /// How often in a row.
    pub count: u32,
    retry: Retry,
}

/// When a refused step is tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Retry {
    At(Instant),
    /// It has its turn among others that nobody waits for.
    Queued,
    /// It was taken again, and if that is refused too, it is known soon.
    Taken,
}

impl Failure {
    const fn retry_at(&self) -> Option<Instant> {
        match self.retry {
            Retry::At(at) => Some(at),
            Retry::Queued | Retry::Taken => None,
        }
    }
}

/// What was refused and why, with the name of the interface.
pub(super) fn refused(step: &Step, refusal: Refusal, system: &System) -> RefusedStep {
    let interface = if let Step::SetSysctl { interface, .. } = step {
        Some(interface.as_str())
    } else {
        interface_of(step).and_then(|index| system.name_of(index))
    };
    RefusedStep { interface: interface.map(str::to_owned), step: step.clone(), refusal }
}

fn interface_of(step: &Step) -> Option<IfIndex> {
    match step {
        Step::SetAddress(address) => Some(address.interface),
        Step::AddRoute(route) | Step::ReplaceRoute(route) | Step::RemoveRoute(route) => match route
            .target
        {
            RouteTarget::Gateway(interface, _) | RouteTarget::OnLink(interface) => Some(interface),
            RouteTarget::Unreachable => None,
        },
        Step::RemoveAddress { interface, .. }
        | Step::Join(_, interface)
        | Step::Leave(_, interface)
        | Step::DropKernelMade(interface) => Some(*interface),
        Step::SetSysctl { .. } | Step::Serve(_) => None,
    }
}

/// The refused steps.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    entries: BTreeMap<Subject, Failure>,
    /// No retry comes before that.
    next_retry: Option<Instant>,
    /// Some were taken again: by then it is known of what.
    known_at: Option<Instant>,
}

impl Failures {
    /// Takes in a refusal; true for the first of a row.
    pub(super) fn add(&mut self, now: Instant, step: Step, refusal: Refusal) -> bool {
        let subject = Subject::of(&step);
        let count = self.entries.get(&subject).map_or(0, |failure| failure.count);
        let retry_at = retry_time(now, count);
        self.next_retry = Some(self.next_retry.map_or(retry_at, |next| next.min(retry_at)));
        let count = count.saturating_add(1);
        self.entries.insert(subject, Failure { step, refusal, count, retry: Retry::At(retry_at) });
        count == 1
    }

    /// Whether `step` has to wait.
    pub(super) fn holds(&self, now: Instant, step: &Step) -> bool {
        if self.entries.is_empty() {
            return false;
        }
        let failure = self.entries.get(&Subject::of(step));
        failure.is_some_and(|failure| failure.retry_at().is_some_and(|at| at > now))
    }

    /// Takes note that steps about these are taken when they have their turn.
    pub(super) fn queued(&mut self, subjects: impl Iterator<Item = Subject>) {
        self.set_all(subjects, |_| Retry::Queued);
    }

    /// Takes note that steps about these are not to be taken after all, or not as they were.
    pub(super) fn dequeued(&mut self, now: Instant, subjects: impl Iterator<Item = Subject>) {
        self.set_all(subjects, |retry| match retry {
            Retry::Queued => Retry::At(now),
            Retry::At(_) | Retry::Taken => retry,
        });
    }

    fn set_all(
        &mut self,
        subjects: impl Iterator<Item = Subject>,
        change: impl Fn(Retry) -> Retry,
    ) {
        if self.entries.is_empty() {
            return;
        }
        for subject in subjects {
            if let Some(failure) = self.entries.get_mut(&subject) {
                failure.retry = change(failure.retry);
            }
        }
        self.find_next_retry();
    }

    /// Takes note that `step` is taken again.
    pub(super) fn retried(&mut self, now: Instant, step: &Step) {
        if self.entries.is_empty() {
            return;
        }
        if let Some(failure) = self.entries.get_mut(&Subject::of(step)) {
            failure.retry = Retry::Taken;
            self.known_at.get_or_insert(now + LAG);
        }
    }

    /// Drops what was taken again and not refused; to be called when all steps have been
    /// performed. True when something was dropped.
    pub(super) fn drop_succeeded(&mut self) -> bool {
        if self.known_at.take().is_none() {
            return false;
        }
        let before = self.entries.len();
        self.entries.retain(|_, failure| failure.retry != Retry::Taken);
        let differs = self.entries.len() != before;
        if differs {
            self.find_next_retry();
        }
        differs
    }

    /// Drops what is not wanted any more: it is not among `steps`, which are all that are still to
    /// be taken of what was `compared`. A refused removal stays until its retry: it is wanted again as soon as the kernel's
    /// state is read.
    pub(super) fn drop_unwanted(
        &mut self,
        now: Instant,
        steps: &[Step],
        compared: impl Fn(&Subject) -> bool,
    ) {
        if self.entries.is_empty() {
            return;
        }
        let wanted: BTreeSet<Subject> = steps.iter().map(Subject::of).collect();
        let waits = |failure: &Failure| {
            let removes = matches!(failure.step, Step::RemoveAddress { .. } | Step::RemoveRoute(_));
            removes && failure.retry_at().is_some_and(|at| at > now)
        };
        self.entries.retain(|subject, failure| {
            wanted.contains(subject) || waits(failure) || !compared(subject)
        });
        self.find_next_retry();
    }

    fn find_next_retry(&mut self) {
        self.next_retry = self.entries.values().filter_map(Failure::retry_at).min();
    }

    /// What was refused about `subject`.
    pub(super) fn of(&self, subject: &Subject) -> Option<&Failure> {
        self.entries.get(subject)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Failure> {
        self.entries.values()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the time of a retry has come.
    pub(super) fn is_retry_due(&self, now: Instant) -> bool {
        self.next_retry.is_some_and(|at| at <= now)
    }

    /// When the next retry is due.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        let retry = self.next_retry.map(|at| Deadline::new(at, "retry of a refused step"));
        let known = self.known_at.map(|at| Deadline::new(at, "outcome of a retry"));
        Deadline::first([retry, known])
    }
}

/// When a step that was refused `count` times before is tried again: in the group of all whose
/// time comes shortly.
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

    fn join(interface: u32) -> Step {
        Step::Join(Group::AllRouters, IfIndex(interface))
    }

    #[test]
    fn a_refused_step_is_tried_later_and_later() {
        let mut failures = Failures::default();
        let step = join(3);
        let now = Instant::from_secs(10);
        assert!(failures.add(now, step.clone(), Refusal::NotThere));
        assert!(failures.holds(now, &step));
        assert_eq!(failures.deadline().map(|next| next.at), Some(now + FIRST_RETRY));
        for _ in 0..40 {
            failures.retried(now, &step);
            assert!(!failures.holds(now, &step));
            assert!(!failures.add(now, step.clone(), Refusal::NotThere));
            assert!(!failures.drop_succeeded());
        }
        failures.drop_unwanted(now, std::slice::from_ref(&step), |_| true);
        let later = Instant::from_secs(75); // in the group behind 10 s + LAST_RETRY
        assert_eq!(failures.deadline().map(|next| next.at), Some(later));
        assert!(!failures.holds(later, &step));
        assert!(failures.is_retry_due(later));
    }

    #[test]
    fn what_is_not_wanted_any_more_and_what_went_well_is_dropped() {
        let mut failures = Failures::default();
        let now = Instant::from_secs(10);
        for interface in 1..=3 {
            failures.add(now, join(interface), Refusal::NotThere);
        }
        failures.drop_unwanted(now, &[join(2), join(3), join(4)], |_| true);
        assert_eq!(failures.len(), 2);
        failures.retried(now, &join(2));
        assert!(failures.drop_succeeded());
        assert!(!failures.drop_succeeded());
        assert_eq!(failures.iter().map(|failure| &failure.step).collect::<Vec<_>>(), [&join(3)]);
        failures.drop_unwanted(now, &[], |_| true);
        assert_eq!((failures.len(), failures.deadline()), (0, None));
    }

    /// It is taken as done until the kernel's state is read: the row of refusals goes on then.
    #[test]
    fn a_refused_removal_is_not_forgotten_before_its_retry() {
        let mut failures = Failures::default();
        let (interface, address) = (IfIndex(3), Ipv6Addr::LOCALHOST);
        let step = Step::RemoveAddress { interface, address, prefix_len: 64 };
        let mut now = Instant::from_secs(10);
        let mut delays = Vec::new();
        for _ in 0..4 {
            failures.add(now, step.clone(), Refusal::NotPermitted);
            failures.drop_succeeded();
            failures.drop_unwanted(now, &[], |_| true);
            let retry_at = failures.deadline().map_or(now, |next| next.at);
            delays.push(retry_at.since(now));
            now = retry_at;
            failures.retried(now, &step);
        }
        assert!(delays.is_sorted_by(|a, b| a < b), "{delays:?}");
        failures.add(now, step, Refusal::NotPermitted);
        failures.drop_unwanted(now + LAST_RETRY, &[], |_| true);
        assert_eq!(failures.len(), 0);
    }

    /// A refusal of each of ten thousand must not cost ten thousand derivations.
    #[test]
    fn retries_come_in_groups() {
        let mut failures = Failures::default();
        let start = Instant::from_secs(10);
        for number in 0..10_000 {
            let now = start + Duration::from_micros(100 * u64::from(number));
            failures.add(now, join(number), Refusal::NotThere);
        }
        let times: BTreeSet<_> = failures.iter().filter_map(Failure::retry_at).collect();
        assert!(times.len() <= 6, "{times:?}");
        let in_time = |failure: &Failure| {
            failure.retry_at().is_some_and(|at| {
                at >= start + FIRST_RETRY && at <= start + Duration::from_millis(1500)
            })
        };
        assert!(failures.iter().all(in_time));
    }
}
