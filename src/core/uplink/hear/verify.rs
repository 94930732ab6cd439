//! Soliciting a router about prefixes that it omitted (CHG-14, after draft-ietf-6man-slaac-renum).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use crate::core::uplink::change::Bucket;
use crate::time::{Deadline, Instant};

/// Times of the solicitations, from the first, while no advertisement comes.
const ASK_AFTER: [Duration; 3] = [Duration::ZERO, Duration::from_secs(4), Duration::from_secs(12)];
/// A router may split its options over several advertisements, which leave one after the other (RFC
/// 4861 §6.2.3): the parts of an answer are collected for this long.
const PARTS: Duration = Duration::from_millis(150);
/// A multicast answer comes up to MAX_RA_DELAY_TIME after the solicitation (RFC 4861 §6.2.6), and
/// unsolicited advertisements may come before it: an earlier one need not be the answer.
const ANSWER_DELAY: Duration = Duration::from_millis(600);

/// The pause after a solicitation that could not be sent.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How often such solicitations leave on one uplink: any node on the link can forge the
/// advertisements that cause them.
const QUESTIONS: Bucket = Bucket::new(3, Duration::from_secs(10));

/// The routers that may have advertised the prefix in doubt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    /// The router that omitted it.
    Router,
    /// Any router heard before a link event.
    Link,
}

/// A prefix that a router left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Suspicion {
    pub(super) scope: Scope,
    /// No other change was seen: that the prefix is missing is the change.
    pub(super) is_news: bool,
    ask_from: Instant,
    asked: usize,
    asked_at: Instant,
    verdict_at: Option<Instant>,
}

impl Suspicion {
    /// Solicitations leave from `ask_from` on.
    pub(super) const fn new(scope: Scope, is_news: bool, ask_from: Instant) -> Self {
        Self { scope, is_news, ask_from, asked: 0, asked_at: ask_from, verdict_at: None }
    }

    /// The solicited router advertises, and omits the prefix. A unicast advertisement to this
    /// machine can only be the answer; but if any router on the link may have advertised the
    /// prefix, the verdict waits for the answers of the others.
    fn handle_omission(&mut self, now: Instant, to_us: bool) {
        let parts = now + PARTS;
        let is_whole = to_us && self.scope == Scope::Router;
        let at = if is_whole { parts } else { parts.max(self.asked_at + ANSWER_DELAY) };
        self.verdict_at = Some(self.verdict_at.map_or(at, |known| known.min(at)));
    }

    fn ask_at(&self) -> Option<Instant> {
        let after = ASK_AFTER.get(self.asked).filter(|_| self.verdict_at.is_none())?;
        Some(self.ask_from + *after)
    }

    /// When it has something to do; no solicitation leaves before `free_at`.
    fn deadline(&self, can_send: bool, free_at: Instant) -> Option<Deadline> {
        let ask = self.ask_at().filter(|_| can_send).map(|at| at.max(free_at));
        let ask = ask.map(|at| Deadline::new(at, "question about an omitted prefix"));
        let verdict = self.verdict_at.map(|at| Deadline::new(at, "verdict on an omitted prefix"));
        Deadline::first([ask, verdict])
    }
}

/// The suspicions, by the router that is solicited and the prefix that it omitted.
#[derive(Clone, Debug)]
pub(super) struct Suspicions {
    all: BTreeMap<(Ipv6Addr, Ipv6Net), Suspicion>,
    questions: Bucket,
}

impl Suspicions {
    pub(super) const fn new() -> Self {
        Self { all: BTreeMap::new(), questions: QUESTIONS }
    }

    pub(super) fn clear(&mut self) {
        self.all.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Keeps the suspicions that `keeps` accepts.
    pub(super) fn retain(&mut self, keeps: impl Fn(Ipv6Addr, &Ipv6Net, Scope) -> bool) {
        self.all.retain(|(router, prefix), suspicion| keeps(*router, prefix, suspicion.scope));
    }

    pub(super) fn add(&mut self, router: Ipv6Addr, prefix: Ipv6Net, suspicion: Suspicion) {
        self.all.insert((router, prefix), suspicion);
    }

    fn of(
        &mut self,
        router: Ipv6Addr,
    ) -> impl Iterator<Item = (&(Ipv6Addr, Ipv6Net), &mut Suspicion)> {
        const FIRST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0);
        const LAST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::from_bits(u128::MAX), 128);
        self.all.range_mut((router, FIRST)..=(router, LAST))
    }

    /// Handles an advertisement of `router` that carries these prefixes, `to_us` where it came to
    /// this machine alone; returns whether the router had been solicited about one of them.
    pub(super) fn heard(
        &mut self,
        now: Instant,
        router: Ipv6Addr,
        carried: &BTreeSet<Ipv6Net>,
        to_us: bool,
    ) -> bool {
        let mut confirmed = false;
        self.all.retain(|(of, prefix), suspicion| {
            let is_carried = *of == router && carried.contains(prefix);
            confirmed |= is_carried && suspicion.asked > 0;
            !is_carried
        });
        for (_, suspicion) in self.of(router).filter(|(_, suspicion)| suspicion.asked > 0) {
            suspicion.handle_omission(now, to_us);
        }
        confirmed
    }

    /// A router that has to be solicited; the solicitation counts as sent.
    pub(super) fn ask(&mut self, now: Instant) -> Option<Ipv6Addr> {
        let is_time = |suspicion: &Suspicion| suspicion.ask_at().is_some_and(|at| at <= now);
        let waiting = self.all.iter().filter(|(_, suspicion)| is_time(suspicion));
        // The router that has waited longest comes first, or one router could keep the others from
        // their turn.
        let ((router, _), _) = waiting.min_by_key(|(_, suspicion)| suspicion.ask_at())?;
        let router = *router;
        if !self.questions.take(now) {
            return None;
        }
        for (_, suspicion) in self.of(router).filter(|(_, suspicion)| is_time(suspicion)) {
            suspicion.asked += 1;
            suspicion.asked_at = now;
        }
        Some(router)
    }

    /// A solicitation of `router` could not be sent: an advertisement is no answer until it has
    /// been sent anew.
    pub(super) fn handle_dropped(&mut self, now: Instant, router: Ipv6Addr) {
        for (_, suspicion) in self.of(router).filter(|(_, one)| one.verdict_at.is_none()) {
            if std::mem::take(&mut suspicion.asked) > 0 {
                suspicion.ask_from = now + AGAIN_AFTER;
            }
        }
    }

    /// Removes the suspicions that a verdict has to be given on, and returns them.
    pub(super) fn take_over(&mut self, now: Instant) -> Vec<(Ipv6Addr, Ipv6Net, Suspicion)> {
        let mut over = Vec::new();
        self.all.retain(|(router, prefix), suspicion| {
            let is_over = suspicion.verdict_at.is_some_and(|at| at <= now);
            if is_over {
                over.push((*router, *prefix, *suspicion));
            }
            !is_over
        });
        over
    }

    /// When a verdict has to be given, or, where one can be sent, a solicitation.
    pub(super) fn deadline(&self, can_send: bool) -> Option<Deadline> {
        let free_at = self.questions.available_at();
        Deadline::first(self.all.values().map(|suspicion| suspicion.deadline(can_send, free_at)))
    }
}
