//! Another program in the requester's place: it is made to renew, and what it says it holds is
//! taken in.
//!
//! It retransmits, renews and rebinds by itself. What is left to do here is to have it ask at once
//! after a change, to ask again where nothing comes of that, and to let lifetimes run out.

use std::time::Duration;

use ipnet::Ipv6Net;

use super::feed::{Event, FedPrefix, Feed};
use super::held::{Given, GivenLease, Held, Ia, Resolvers};
use super::types::{Progress, Rules};
use crate::core::uplink::change::{Outcome, Refresh, RefreshKind};
use crate::time::{Deadline, Instant, Lifetime};
use crate::wire::dhcpv6_option::{Duid, Iaid, StatusCode};

/// A renewal has failed when nothing has come of it in that time. It is asked for again then, and
/// after twice the time whenever that is in vain.
const PATIENCE: Duration = Duration::from_secs(10);
/// It is asked for again after so long at the latest.
const LONGEST_PATIENCE: Duration = Duration::from_secs(320);
/// A renewal for the sake of others is not asked for more often.
const PAUSE: Duration = Duration::from_secs(60);

/// What is known of the program's exchanges.
#[derive(Clone, Debug)]
pub(super) struct Program {
    /// The IA_PDs that it is configured to ask for.
    iaids: Vec<Iaid>,
    strict: bool,
    /// The uplink can send.
    is_up: bool,
    /// What it has yet to be asked for.
    wanted: Option<RefreshKind>,
    asked: Option<Asked>,
    /// It should have renewed by itself long before: it is asked then.
    overdue_at: Option<Instant>,
    /// When it was last asked for the sake of others.
    for_others_at: Option<Instant>,
    /// When the newest of what it has said happened, in nanoseconds since boot.
    newest_at: Option<u64>,
}

/// A renewal that it has been asked for.
#[derive(Clone, Copy, Debug)]
struct Asked {
    kind: RefreshKind,
    /// The first time.
    since: Instant,
    /// The last time.
    at: Instant,
    /// It is asked again then.
    again_at: Instant,
    /// How long it waits from then on.
    patience: Duration,
    /// Somebody waits for what comes of it.
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
        }
    }

    /// Has it renew: what it says then is what it holds, and it may have been bound before this
    /// program was there to hear of it.
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
            // What it was asked for may be answered with what held before this change.
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

    /// What it is to be asked for now.
    pub(super) const fn poll_order(&mut self) -> Option<RefreshKind> {
        self.wanted.take()
    }

    /// Takes in what it says, unless it has said something newer: hooks run in an order, and what
    /// they hand on arrives in any.
    pub(super) fn handle_feed(&mut self, held: &mut Held, now: Instant, feed: &Feed) -> Progress {
        if self.is_overtaken(now, feed) {
            return Progress::default();
        }
        let before = held.view();
        let server = feed.server.clone().unwrap_or_else(nobody);
        let given = given(held, now, feed, &self.iaids);
        let refused = held.refused(&given);
        let useful = held.take_in(now, &server, &given, self.strict);
        held.refusals.note(refused, useful);
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
        // A lease that has ended is no answer: the program asks for another one.
        let is_answer = feed.event == Event::Bound && useful;
        if is_answer && let Some(asked) = self.asked.take() {
            progress.outcome = asked.is_awaited.then(|| held.outcome_since(&before));
        }
        self.miss(held, now);
        progress
    }

    fn is_overtaken(&mut self, now: Instant, feed: &Feed) -> bool {
        // A time that is still to come is of another clock.
        let Some(at) = feed.at.filter(|at| Duration::from_nanos(*at) <= now.since_boot()) else {
            return false;
        };
        let is_overtaken = self.newest_at.is_some_and(|newest| at < newest);
        self.newest_at = self.newest_at.max(Some(at));
        is_overtaken
    }

    pub(super) fn handle_timeout(&mut self, held: &mut Held, now: Instant) -> Progress {
        let before = held.view();
        held.expire(now);
        held.seen = now.max(held.seen);
        let mut progress = held.progress_since(&before);
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

    /// Asks where there is nothing left, or soon will be: the program may have said so when nobody
    /// was there to hear it.
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
            asked.map(|at| Deadline::new(at, "another program's answer")),
            self.overdue_at.map(|at| Deadline::new(at, "another program's renewal")),
            end.map(|at| Deadline::new(at, "end of a lease")),
        ])
    }

    pub(super) fn asks_in_vain(&self, held: &Held) -> bool {
        self.is_up && !held.has_prefix()
    }

    /// Asks again at `at` rather than when its patience ends; whether that is sooner.
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

    /// The server where the program names it, and what is under way.
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

/// What a feed means, with each prefix in the IA_PD that is its own. dhcpcd lists those of several
/// IA_PDs under the last one (BKE-02): what is held stays where it is, and of the others each is the
/// next IA_PD's in the order of `asked`, if there is just one for each.
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
mod tests {
    use super::*;
    use crate::config::Delegate;
    use crate::core::random::Random;
    use crate::core::uplink::lease::{Lease, WithdrawnPrefix};

    const NOW: Instant = Instant::from_secs(100);
    const A: &str = "2001:db8:a000::/56";
    const B: &str = "2001:db8:b000::/56";

    fn lease(iaids: &[u32]) -> Lease {
        let delegate = iaids.iter().map(|iaid| Delegate { iaid: Iaid(*iaid), length: None });
        let rules = Rules {
            by_program: true,
            duid: nobody(),
            delegate: delegate.collect(),
            rapid_commit: true,
            reconfigure: true,
            solicit_on_reconnect: false,
            strict: false,
            shortest_prefix: 20,
        };
        Lease::new(rules, None, Random::new([0; 32]), NOW)
    }

    fn bound(prefixes: &[(u32, &str)], withdrawn: &[&str]) -> Feed {
        let fed = |(iaid, prefix): &(u32, &str)| FedPrefix {
            iaid: Iaid(*iaid),
            prefix: prefix.parse().unwrap(),
            exclude: None,
            preferred: 600,
            valid: 1200,
        };
        let gone =
            |prefix: &&str| WithdrawnPrefix { iaid: Iaid(1), prefix: prefix.parse().unwrap() };
        Feed {
            event: Event::Bound,
            at: None,
            interface: "tap0".to_owned(),
            server: None,
            prefixes: prefixes.iter().map(fed).collect(),
            withdrawn: withdrawn.iter().map(gone).collect(),
            servers: Vec::new(),
            domains: Vec::new(),
        }
    }

    fn live(lease: &Lease) -> Vec<(u32, String)> {
        let held = lease.prefixes().into_iter().filter(|held| held.gone_since.is_none());
        held.map(|held| (held.iaid.0, held.prefix.to_string())).collect()
    }

    const RENEW: Refresh = Refresh { kind: RefreshKind::Renew, follow_up: false };

    #[test]
    fn it_is_asked_at_once_and_what_it_says_is_the_outcome() {
        let mut lease = lease(&[1]);
        assert_eq!(lease.poll_order(), None);
        lease.link_up(NOW, false);
        assert_eq!((lease.poll_order(), lease.poll_order()), (Some(RefreshKind::Renew), None));
        let progress = lease.handle_feed(NOW, &bound(&[(1, A)], &[]));
        assert_eq!(progress.outcome, Some(Outcome::Partial));
        assert!(progress.changed && progress.remember);
        let later = NOW + Duration::from_secs(30);
        lease.refresh(later, RENEW);
        assert_eq!(lease.poll_order(), Some(RefreshKind::Renew));
        let progress = lease.handle_feed(later, &bound(&[(1, A)], &[]));
        assert_eq!(progress.outcome, Some(Outcome::Unchanged));
        // It renews by itself as well: that is no outcome of anything.
        let progress = lease.handle_feed(later, &bound(&[(1, B)], &[A]));
        assert_eq!((progress.outcome, progress.changed), (None, true));
        assert_eq!(live(&lease), [(1, B.to_owned())]);
    }

    /// BKE-17: dhcpcd is bound to A and a moment later to B; the hooks arrive the other way round.
    #[test]
    fn what_happened_before_what_is_known_is_not_taken_in() {
        let mut lease = lease(&[1]);
        lease.link_up(NOW, false);
        let said = |prefix, at| Feed { at, ..bound(&[(1, prefix)], &[]) };
        assert!(lease.handle_feed(NOW, &said(B, Some(99_000_000_002))).changed);
        assert_eq!(lease.handle_feed(NOW, &said(A, Some(99_000_000_001))), Progress::default());
        assert_eq!(live(&lease), [(1, B.to_owned())]);
        // What comes without a time, or with one of another clock, is what is said now.
        assert!(lease.handle_feed(NOW, &said(A, None)).changed);
        assert!(lease.handle_feed(NOW, &said(B, Some(u64::MAX))).changed);
        assert!(lease.handle_feed(NOW, &said(A, Some(99_000_000_003))).changed);
    }

    #[test]
    fn a_bound_lease_without_the_old_value_ends_what_was_held() {
        let mut lease = lease(&[1]);
        lease.link_up(NOW, false);
        lease.handle_feed(NOW, &bound(&[(1, A)], &[]));
        lease.handle_feed(NOW, &bound(&[(1, B)], &[]));
        assert_eq!(live(&lease), [(1, B.to_owned())]);
    }

    #[test]
    fn prefixes_that_are_listed_under_the_last_ia_pd_come_to_their_own() {
        let mut lease = lease(&[1, 2]);
        lease.link_up(NOW, false);
        lease.handle_feed(NOW, &bound(&[(2, A), (2, B)], &[]));
        let both = [(1, A.to_owned()), (2, B.to_owned())];
        assert_eq!(live(&lease), both);
        // They stay there in whatever order they are listed.
        lease.handle_feed(NOW, &bound(&[(2, B), (2, A)], &[]));
        assert_eq!(live(&lease), both);
        // One of them is replaced.
        let other = "2001:db8:c000::/56";
        lease.handle_feed(NOW, &bound(&[(2, other), (2, B)], &[A]));
        assert_eq!(live(&lease), [(1, other.to_owned()), (2, B.to_owned())]);
    }

    #[test]
    fn what_nothing_comes_of_is_asked_for_again_and_less_and_less_often() {
        let mut lease = lease(&[1]);
        lease.link_up(NOW, false);
        let mut now = NOW;
        let mut orders = Vec::new();
        while now < NOW + Duration::from_secs(3600) {
            if lease.poll_order().is_some() {
                orders.push(now.since(NOW).as_secs());
            }
            let next = lease.deadline().expect("there is always something to wait for").at;
            assert!(next > now);
            now = next;
            let failed = lease.handle_timeout(now).outcome == Some(Outcome::Failed);
            assert_eq!(failed, orders.len() == 1, "somebody waits for the first alone");
        }
        assert_eq!(orders.get(..6).unwrap(), [0, 10, 30, 70, 150, 310]);
        assert!(orders.windows(2).all(|pair| pair[1] - pair[0] <= 320));
        // An advertisement to us alone brings that forward.
        let soon = now + Duration::from_secs(1);
        assert!(lease.asks_in_vain() && lease.ask_soon(soon));
        assert_eq!(lease.deadline().unwrap().at, soon);
        lease.link_down();
        assert_eq!((lease.poll_order(), lease.deadline()), (None, None));
    }

    #[test]
    fn what_has_ended_is_gone_and_what_is_not_valid_any_more_too() {
        let mut lease = lease(&[1]);
        lease.link_up(NOW, false);
        lease.handle_feed(NOW, &bound(&[(1, A)], &[]));
        let ended = Feed { event: Event::Ended, ..bound(&[], &[A]) };
        assert!(lease.handle_feed(NOW, &ended).changed);
        assert_eq!(live(&lease), []);
        lease.handle_feed(NOW, &bound(&[(1, B)], &[]));
        lease.handle_timeout(NOW + Duration::from_secs(1200));
        assert_eq!(live(&lease), []);
    }

    #[test]
    fn a_feed_is_checked_as_if_it_came_from_the_network() {
        assert_eq!(bound(&[(1, A)], &[B]).check(), Ok(()));
        let many = [(1, A); 65];
        let cases = [
            bound(&[(1, "2001:db8::/65")], &[]),
            bound(&[(1, "::/0")], &[]),
            bound(&[(1, "2001:db8::1/64")], &[]),
            bound(&many, &[]),
            Feed { servers: vec!["ff02::1".parse().unwrap()], ..bound(&[], &[]) },
            Feed { domains: vec!["a b".to_owned()], ..bound(&[], &[]) },
        ];
        for feed in cases {
            assert!(feed.check().is_err(), "{feed:?}");
        }
    }
}
