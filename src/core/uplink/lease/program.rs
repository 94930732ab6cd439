//! Another program in the requester's place: it is made to renew, and its reports are taken over.
//!
//! It retransmits, renews and rebinds by itself. This module makes it renew at once after a change,
//! repeats that where no report comes, and ends prefixes that are not valid any more.

use std::time::Duration;

use ipnet::Ipv6Net;

use super::feed::{Event, FedPrefix, Feed};
use super::feeds::Feeds;
use super::held::{Given, GivenLease, Held, Ia, Resolvers};
use super::types::{Progress, Rules};
use crate::core::uplink::change::{Outcome, Refresh, RefreshKind};
use crate::time::{Deadline, Instant, Lifetime};
use crate::wire::dhcpv6_option::{Duid, Iaid, StatusCode};

/// A renewal has failed when no report has come in this time. It is asked for again then, and after
/// twice the time whenever that is in vain.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest time between two such attempts.
const LONGEST_PATIENCE: Duration = Duration::from_secs(320);
/// The least time between two renewals for the sake of subordinate routers.
const PAUSE: Duration = Duration::from_secs(60);

/// The state of the program's exchanges.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// The IA_PDs that it is configured to request.
    iaids: Vec<Iaid>,
    strict: bool,
    /// The uplink can send.
    is_up: bool,
    /// The renewal that it has yet to be asked for.
    wanted: Option<RefreshKind>,
    asked: Option<Asked>,
    /// When it should have renewed by itself long before: it is asked to then.
    overdue_at: Option<Instant>,
    /// When it was last asked for the sake of subordinate routers.
    for_others_at: Option<Instant>,
    /// The time of its newest report, in nanoseconds since boot.
    newest_at: Option<u64>,
    feeds: Feeds,
}

/// A renewal that it has been asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    kind: RefreshKind,
    /// The first time.
    since: Instant,
    /// The last time.
    at: Instant,
    /// When it is asked again.
    again_at: Instant,
    /// The patience after that.
    patience: Duration,
    /// The outcome of it is awaited.
    is_awaited: bool,
}

impl Asked {
    fn is_over(&self, now: Instant) -> bool {
        self.again_at <= now
    }
}

impl Program {
    pub(super) fn new(rules: &Rules) -> Self {
        let iaids = rules.delegate.iter().map(|one| one.iaid).collect();
        Self {
            iaids,
            strict: rules.strict,
            is_up: false,
            wanted: None,
            asked: None,
            overdue_at: None,
            for_others_at: None,
            newest_at: None,
            feeds: Feeds::new(),
        }
    }

    /// Makes it renew: its report then has the whole lease, which it may have got before this
    /// program was there to receive a report.
    pub(super) fn link_up(&mut self, now: Instant) {
        self.is_up = true;
        self.ask(now, RefreshKind::Renew, true);
    }

    pub(super) const fn link_down(&mut self) {
        self.is_up = false;
        self.wanted = None;
        self.asked = None;
    }

    pub(super) fn refresh(&mut self, now: Instant, refresh: Refresh) {
        match &mut self.asked {
            // The report about an earlier renewal may have the lease from before this change.
            Some(asked) if asked.at + Duration::from_secs(1) > now => asked.is_awaited = true,
            Some(_) | None => self.ask(now, refresh.kind, true),
        }
    }

    /// A probe found that the prefix is not routed.
    pub(super) fn rediscover(&mut self, now: Instant) {
        self.ask(now, RefreshKind::Rebind, false);
    }

    pub(super) fn renew_for_others(&mut self, now: Instant, patience: Duration) -> bool {
        let rests = self.for_others_at.is_some_and(|at| now.since(at) < PAUSE);
        if self.is_up && self.asked.is_none() && !rests {
            self.for_others_at = Some(now);
            self.ask(now, RefreshKind::Renew, false);
        }
        self.is_renewing(now, patience)
    }

    fn ask(&mut self, now: Instant, kind: RefreshKind, is_awaited: bool) {
        if !self.is_up {
            return;
        }
        self.wanted = Some(kind);
        let (again_at, patience) = (now + PATIENCE, PATIENCE * 2);
        self.asked = Some(Asked { kind, since: now, at: now, again_at, patience, is_awaited });
    }

    /// The renewal that it is to be asked for now.
    pub(super) const fn poll_order(&mut self) -> Option<RefreshKind> {
        self.wanted.take()
    }

    /// Handles a report, unless there was a newer one: hooks run in one order, and their reports
    /// arrive in any.
    pub(super) fn handle_feed(&mut self, held: &mut Held, now: Instant, feed: &Feed) -> Progress {
        let was_flooded = self.is_flooded();
        if self.is_overtaken(now, feed) || !self.feeds.admits(now, feed) {
            return Progress { review: was_flooded != self.is_flooded(), ..Progress::default() };
        }
        self.take_in(held, now, feed)
    }

    /// Whether it reports more often than the rate allows.
    pub(super) const fn is_flooded(&self) -> bool {
        self.feeds.is_flooded()
    }

    fn take_in(&mut self, held: &mut Held, now: Instant, feed: &Feed) -> Progress {
        let before = held.view();
        let server = feed.server.clone().unwrap_or_else(nobody);
        let given = given(held, now, feed, &self.iaids);
        let useful = held.take_in(now, &server, &given, self.strict);
        held.expire(now);
        if useful {
            held.rest(now);
            held.server = Some(server);
            self.overdue_at = held.timers().and_then(|timers| timers.t2.at());
        }
        if feed.event == Event::Bound {
            held.resolvers = Resolvers {
                servers: feed.servers.clone(),
                domains: feed.domains.clone(),
                ..Resolvers::default()
            };
        }
        held.seen = now.max(held.seen);
        let mut progress = held.progress_since(&before);
        // A lease that has ended is no answer: the program requests another one.
        let is_answer = feed.event == Event::Bound && useful;
        if is_answer && let Some(asked) = self.asked.take() {
            progress.outcome = asked.is_awaited.then(|| held.outcome_since(&before));
        }
        self.miss(held, now);
        progress
    }

    fn is_overtaken(&mut self, now: Instant, feed: &Feed) -> bool {
        // A time that is still to come belongs to another clock.
        let Some(at) = feed.at.filter(|at| Duration::from_nanos(*at) <= now.since_boot()) else {
            return false;
        };
        let is_overtaken = self.newest_at.is_some_and(|newest| at < newest);
        self.newest_at = self.newest_at.max(Some(at));
        is_overtaken
    }

    pub(super) fn handle_timeout(&mut self, held: &mut Held, now: Instant) -> Progress {
        let was_flooded = self.is_flooded();
        if let Some(feed) = self.feeds.poll(now) {
            return self.take_in(held, now, &feed);
        }
        let before = held.view();
        held.expire(now);
        held.seen = now.max(held.seen);
        let mut progress = held.progress_since(&before);
        progress.review = was_flooded != self.is_flooded();
        if let Some(asked) = &mut self.asked
            && asked.is_over(now)
        {
            progress.outcome = asked.is_awaited.then_some(Outcome::Failed);
            asked.is_awaited = false;
            asked.at = now;
            asked.again_at = now + asked.patience;
            asked.patience = asked.patience.saturating_mul(2).min(LONGEST_PATIENCE);
            self.wanted = Some(asked.kind);
        }
        self.miss(held, now);
        progress
    }

    /// Asks for a renewal where no lease is left, or soon will be: the program may have reported
    /// one while the agent did not run.
    fn miss(&mut self, held: &Held, now: Instant) {
        let is_overdue = self.overdue_at.take_if(|at| *at <= now).is_some();
        if self.asked.is_none() && (is_overdue || !held.has_prefix()) {
            self.ask(now, RefreshKind::Renew, false);
        }
    }

    pub(super) fn deadline(&self, held: &Held) -> Option<Deadline> {
        let asked = self.asked.as_ref().map(|asked| asked.again_at);
        let end = held.next_end(held.seen);
        Deadline::first([
            self.feeds.deadline(),
            asked.map(|at| Deadline::new(at, "another program's answer")),
            self.overdue_at.map(|at| Deadline::new(at, "another program's renewal")),
            end.map(|at| Deadline::new(at, "end of a lease")),
        ])
    }

    pub(super) fn asks_in_vain(&self, held: &Held) -> bool {
        self.is_up && !held.has_prefix()
    }

    /// Asks again at `at` rather than when its patience ends; returns whether that is sooner.
    pub(super) fn ask_soon(&mut self, at: Instant) -> bool {
        let Some(asked) = self.asked.as_mut().filter(|asked| at < asked.again_at) else {
            return false;
        };
        asked.again_at = at;
        true
    }

    pub(super) fn is_renewing(&self, now: Instant, patience: Duration) -> bool {
        self.asked.as_ref().is_some_and(|asked| now.since(asked.since) < patience)
    }

    pub(super) fn unanswered_since(&self) -> Option<Instant> {
        self.asked.as_ref().map(|asked| asked.since)
    }

    pub(super) fn asked_again_at(&self) -> Option<Instant> {
        self.asked.as_ref().map(|asked| asked.again_at)
    }

    /// The server where the program names it, and the exchange under way.
    pub(super) fn describe(&self, held: &Held) -> (Option<Duid>, &'static str) {
        let server = held.server.clone().filter(|server| !held.is_empty() && *server != nobody());
        let state = match (&self.asked, held.is_empty()) {
            (Some(_), _) => "another program was asked to renew",
            (None, true) => "another program has no lease",
            (None, false) => "another program is bound",
        };
        (server, state)
    }
}

/// The leases of a feed, with each prefix in its own IA_PD. dhcpcd lists those of several IA_PDs
/// under the last one (BKE-02): held prefixes stay where they are, and each of the others belongs
/// to the next IA_PD in the order of `asked`, if there is exactly one for each.
fn given(held: &Held, now: Instant, feed: &Feed, asked: &[Iaid]) -> Vec<Given> {
    let known = |prefix: Ipv6Net| {
        let mut leases = held.leases(now, None);
        leases.find_map(|(ia, held)| (held == prefix && ia != Ia::Na).then_some(ia))
    };
    let fed: &[FedPrefix] = if feed.event == Event::Bound { &feed.prefixes } else { &[] };
    let is_merged =
        fed.windows(2).all(|pair| matches!(pair, [one, other] if one.iaid == other.iaid))
            && asked.len() > 1
            && fed.len() == asked.len();
    let taken: Vec<Ia> = fed.iter().filter_map(|fed| known(fed.prefix)).collect();
    let mut free = asked.iter().copied().map(Ia::Pd).filter(|ia| is_merged && !taken.contains(ia));
    let mut given: Vec<Given> = Vec::new();
    for one in fed {
        let ia = known(one.prefix).or_else(|| free.next()).unwrap_or(Ia::Pd(one.iaid));
        let lease = GivenLease {
            prefix: one.prefix,
            exclude: one.exclude,
            preferred: Lifetime::from_wire(one.preferred.min(one.valid)),
            valid: Lifetime::from_wire(one.valid),
            success: true,
        };
        add(&mut given, ia, lease);
    }
    for one in &feed.withdrawn {
        let (preferred, valid) = (Lifetime::ZERO, Lifetime::ZERO);
        let lease =
            GivenLease { prefix: one.prefix, exclude: None, preferred, valid, success: true };
        add(&mut given, known(one.prefix).unwrap_or(Ia::Pd(one.iaid)), lease);
    }
    given
}

fn add(given: &mut Vec<Given>, ia: Ia, lease: GivenLease) {
    match given.iter_mut().find(|given| given.ia == ia) {
        Some(given) => given.leases.push(lease),
        None => given.push(Given {
            ia,
            t1: Lifetime::ZERO,
            t2: Lifetime::ZERO,
            status: StatusCode::Success,
            leases: vec![lease],
        }),
    }
}

/// Programs do not say which server it was: it is remembered as none (DUID-UUID of zeros).
fn nobody() -> Duid {
    Duid::from_uuid([0; 16])
}

#[cfg(test)]
mod tests;
