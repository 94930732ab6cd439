//! Steps that the kernel refused: tried again later and later, never in a busy loop.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::input::IfIndex;
use super::output::{Group, Step, Sysctl};
use super::system::{KernelRoute, RouteKey, RouteTarget, System};
use crate::time::{Deadline, Instant};

const FIRST_RETRY: Duration = Duration::from_millis(250);
const LAST_RETRY: Duration = Duration::from_secs(60);
/// At the bound the oldest entry goes: it is merely tried again sooner.
const MAX_ENTRIES: usize = 1024;

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
    /// The kernel's error number.
    pub errno: i32,
    /// How often in a row.
    pub count: u32,
    retry_at: Instant,
}

/// What was refused and why, for an operator.
pub(super) fn refusal(step: &Step, errno: i32, system: &System) -> String {
    let why = io::Error::from_raw_os_error(errno);
    format!("the kernel refused to {}: {why}", in_words(step, system))
}

/// A step with the names of interfaces.
fn in_words(step: &Step, system: &System) -> String {
    let name = |index: &IfIndex| {
        let link = system.links.get(index);
        link.map_or_else(|| format!("interface {}", index.0), |link| link.name.clone())
    };
    let route = |route: &KernelRoute| match &route.target {
        RouteTarget::Gateway(interface, gateway) => {
            format!("route {} via {gateway} on {}", route.destination, name(interface))
        }
        RouteTarget::OnLink(interface) => {
            format!("route {} on {}", route.destination, name(interface))
        }
        RouteTarget::Unreachable => format!("unreachable route {}", route.destination),
    };
    match step {
        Step::SetAddress(wanted) => {
            let interface = name(&wanted.interface);
            format!("set address {}/{} on {interface}", wanted.address, wanted.prefix_len)
        }
        Step::RemoveAddress { interface, address, prefix_len } => {
            format!("remove address {address}/{prefix_len} on {}", name(interface))
        }
        Step::AddRoute(wanted) => format!("add {}", route(wanted)),
        Step::ReplaceRoute(wanted) => format!("replace {}", route(wanted)),
        Step::RemoveRoute(wanted) => format!("remove {}", route(wanted)),
        Step::SetSysctl { interface, name, value } => {
            format!("set net.ipv6.conf.{interface}.{} to {value}", name.file())
        }
        Step::Join(group, interface) => format!("join {} on {}", group.address(), name(interface)),
        Step::Leave(group, interface) => {
            format!("leave {} on {}", group.address(), name(interface))
        }
        Step::Serve(true) => "open UDP port 547".to_owned(),
        Step::Serve(false) => "close UDP port 547".to_owned(),
        Step::DropKernelMade(interface) => {
            format!("drop what it made of advertisements on {}", name(interface))
        }
    }
}

/// The refused steps.
#[derive(Clone, Debug, Default)]
pub(super) struct Failures {
    entries: BTreeMap<Subject, Failure>,
}

impl Failures {
    /// Takes in a refusal; true for the first of a row.
    pub(super) fn add(&mut self, now: Instant, step: Step, errno: i32) -> bool {
        let subject = Subject::of(&step);
        let count = self.entries.get(&subject).map_or(0, |failure| failure.count);
        let factor = 1_u32.checked_shl(count).unwrap_or(u32::MAX);
        let delay = FIRST_RETRY.saturating_mul(factor).min(LAST_RETRY);
        if self.entries.len() >= MAX_ENTRIES {
            self.entries.pop_first();
        }
        let count = count.saturating_add(1);
        self.entries.insert(subject, Failure { step, errno, count, retry_at: now + delay });
        count == 1
    }

    /// Whether `step` has to wait.
    pub(super) fn holds(&self, now: Instant, step: &Step) -> bool {
        self.entries.get(&Subject::of(step)).is_some_and(|failure| failure.retry_at > now)
    }

    /// Drops what was tried again and went well, or is not wanted any more: its time has come,
    /// and it is not among the `steps` that are still to be taken.
    pub(super) fn settle(&mut self, now: Instant, steps: &[Step]) {
        self.entries.retain(|subject, failure| {
            failure.retry_at > now || steps.iter().any(|step| Subject::of(step) == *subject)
        });
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Failure> {
        self.entries.values()
    }

    /// When the next retry is due.
    pub(super) fn deadline(&self, now: Instant) -> Option<Deadline> {
        let next = self.entries.values().map(|failure| failure.retry_at).filter(|at| *at > now);
        next.min().map(|at| Deadline::new(at, "retry of a refused step"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_step_is_tried_later_and_later() {
        let mut failures = Failures::default();
        let step = Step::Join(Group::AllRouters, IfIndex(3));
        let now = Instant::from_secs(10);
        assert!(failures.add(now, step.clone(), 19));
        assert!(failures.holds(now, &step));
        assert_eq!(failures.deadline(now).map(|next| next.at), Some(now + FIRST_RETRY));
        for _ in 0..40 {
            assert!(!failures.add(now, step.clone(), 19));
        }
        assert_eq!(failures.deadline(now).map(|next| next.at), Some(now + LAST_RETRY));
        let later = now + LAST_RETRY;
        assert!(!failures.holds(later, &step));
        failures.settle(later, std::slice::from_ref(&step));
        assert_eq!(failures.iter().count(), 1);
        failures.settle(later, &[]);
        assert_eq!(failures.iter().count(), 0);
    }
}
