//! Asking a router about prefixes that it left out (CHG-14, after draft-ietf-6man-slaac-renum).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipnet::Ipv6Net;

use crate::time::{Deadline, Instant};

/// Times of the solicitations, from the first; while no advertisement answers.
const ASK_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_secs(4), Duration::from_secs(12)];
/// A router may split its options over several advertisements: so long they are collected.
const VERDICT_DELAY: Duration = Duration::from_secs(1);

/// Of whose prefix a suspect is one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Scope {
    /// Of the router that left it out.
    Router,
    /// Of any router heard before a link event.
    Link,
}

/// Prefixes that one router is asked about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Verification {
    suspects: BTreeMap<Ipv6Net, Scope>,
    began_at: Instant,
    asked: usize,
    verdict_at: Option<Instant>,
}

impl Verification {
    pub(super) fn new(now: Instant, suspects: impl IntoIterator<Item = (Ipv6Net, Scope)>) -> Self {
        let suspects = suspects.into_iter().collect();
        Self { suspects, began_at: now, asked: 0, verdict_at: None }
    }

    pub(super) fn add(&mut self, suspects: Vec<(Ipv6Net, Scope)>) {
        self.suspects.extend(suspects);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.suspects.is_empty()
    }

    pub(super) fn suspects(&self) -> impl Iterator<Item = (Ipv6Net, Scope)> {
        self.suspects.iter().map(|(prefix, scope)| (*prefix, *scope))
    }

    /// Takes in an advertisement of the router that carries these prefixes.
    pub(super) fn heard(&mut self, now: Instant, carried: &BTreeSet<Ipv6Net>) {
        self.suspects.retain(|prefix, _| !carried.contains(prefix));
        if self.asked > 0 && self.verdict_at.is_none() {
            self.verdict_at = Some(now + VERDICT_DELAY);
        }
    }

    fn ask_at(&self) -> Option<Instant> {
        let after = ASK_AFTER.get(self.asked).filter(|_| self.verdict_at.is_none())?;
        Some(self.began_at + *after)
    }

    /// True when a solicitation is due; it counts as sent.
    pub(super) fn ask(&mut self, now: Instant) -> bool {
        let due = self.ask_at().is_some_and(|at| at <= now);
        self.asked += usize::from(due);
        due
    }

    pub(super) fn verdict_due(&self, now: Instant) -> bool {
        self.verdict_at.is_some_and(|at| at <= now)
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let ask = self.ask_at().map(|at| Deadline::new(at, "question about an omitted prefix"));
        let verdict = self.verdict_at.map(|at| Deadline::new(at, "verdict on an omitted prefix"));
        Deadline::first([ask, verdict])
    }
}
