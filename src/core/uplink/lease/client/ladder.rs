//! The requests after a change (the ladder), and those at the lease's own times.
//!
//! The ladder creates all its exchanges when it is set up, each with the time of its first message,
//! so that climbing it takes no state of its own. The first useful answer ends them all. When none
//! has come in its time the ladder ends, but its Solicit continues at its own slowing pace, so that
//! a server that returns is found long before T1.

use std::time::Duration;

use super::Client;
use super::exchange::{
    Aim, CONFIRM, Exchange, FIRST_STEP, Kind, PROBE, REBIND, RENEW, REPEATED_FIRST_STEP,
    SECOND_STEP, SOLICIT,
};
use super::round_trip::UNKNOWN;
use crate::core::lasting;
use crate::core::uplink::change::{Outcome, Refresh, RefreshKind};
use crate::core::uplink::lease::held::Held;
use crate::core::uplink::retransmit::{Parameters, Retransmit};
use crate::time::{Deadline, Instant, Lifetime};
use crate::wire::dhcpv6_option::Duid;

/// When the ladder turns from the server that gave the lease to any server.
pub(super) const REBIND_AFTER: Duration = Duration::from_secs(1);

/// When it asks for a new lease beside.
const SOLICIT_AFTER: Duration = Duration::from_secs(4);

/// When it gives up: CNF_MAX_RD after the first of its repeated Rebinds (RFC 9915 §18.2.12).
/// The messages of its first minute are at most ten: one first step, two Rebinds, seven Solicits;
/// after a change five repetitions of the first step more.
const GIVES_UP_AFTER: Duration = Duration::from_secs(11);

/// SOL_MAX_DELAY and CNF_MAX_DELAY (RFC 9915 §7.6).
const MAX_DELAY: Duration = Duration::from_secs(1);

/// A Solicit that left so recently needs no repetition.
const JUST_SENT: Duration = Duration::from_secs(1);

/// The least time between a Reply and a renewal for the sake of subordinate routers, and the least
/// lifetime that the renewal has to gain: any node on a link can cause one.
const EARLY_GAP: Duration = Duration::from_secs(60);

/// The least time between a lease and the discovery after its expiry, so that leases of a second
/// cause no storm (PDC-47).
pub(super) const REDISCOVERY_GAP: Duration = Duration::from_secs(10);

/// The pause before discovery after a refused Request. It is doubled with each refusal in a row, up
/// to 64 s.
const REFUSED_GAP: Duration = Duration::from_secs(1);
const LONGEST_REFUSED_GAP: u32 = 6;

/// How long to wait after `count` refusals in a row.
pub(super) fn refused_gap(count: u32) -> Duration {
    REFUSED_GAP.saturating_mul(1 << count.min(LONGEST_REFUSED_GAP))
}

/// A refresh under way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ladder {
    /// When its first message leaves.
    pub(super) started: Instant,
    /// A change started it: a lost message is repeated after a few round trips (PDC-41).
    pub(super) by_change: bool,
}

/// The first step of a ladder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Renew,
    Rebind,
    Solicit,
    Confirm,
}

impl Client {
    /// The uplink can send: Rebind what is held (CHG-05), else Solicit (PDC-20: after a random
    /// delay of up to a second unless `hurry`). Ends in a [`Progress::outcome`](super::Progress).
    pub(in crate::core::uplink::lease) fn link_up(
        &mut self,
        held: &Held,
        now: Instant,
        hurry: bool,
    ) {
        self.up = true;
        self.transitions.forget_unanswered();
        let max_delay = if hurry { Duration::ZERO } else { MAX_DELAY };
        let start = now + self.random.duration(Duration::ZERO, max_delay);
        self.exchanges.clear();
        let step = if !held.has_prefix() {
            Step::Confirm
        } else if self.rules.solicit_on_reconnect {
            Step::Solicit
        } else {
            Step::Rebind
        };
        self.climb(held, now, start, step, false);
    }

    /// The uplink cannot send: exchanges rest, prefixes run on.
    pub(in crate::core::uplink::lease) fn link_down(&mut self) {
        self.up = false;
        self.transitions.forget_unanswered();
        self.unanswered_since = None;
        self.unavailable.clear();
        self.exchanges.clear();
    }

    /// Climbs the refresh ladder (requirements of a change: Renew or Rebind now, repeated after a
    /// few round trips where no answer comes; Rebind after 1 and 2 s, Solicit with Rapid Commit
    /// after 4 s). Absorbed by a refresh under way.
    pub(in crate::core::uplink::lease) fn refresh(
        &mut self,
        held: &Held,
        now: Instant,
        refresh: Refresh,
    ) {
        if self.ladder.is_some() {
            return self.hurry(now);
        }
        if held.is_empty() && self.has_just_asked(now) {
            self.ladder = Some(Ladder { started: now, by_change: true });
            return;
        }
        self.climb(
            held,
            now,
            now,
            if refresh.kind == RefreshKind::Rebind { Step::Rebind } else { Step::Renew },
            true,
        );
    }

    /// Skips the rest of the random delay before the first message: an advertisement has shown that
    /// a server is there to answer.
    pub(in crate::core::uplink::lease) fn hurry(&mut self, now: Instant) {
        let Some(ladder) = self.ladder.as_mut() else { return };
        let left = ladder.started.since(now);
        if !left.is_zero() {
            ladder.started = now;
            for exchange in &mut self.exchanges {
                exchange.retransmit.hurry(left);
            }
        }
    }

    /// Whether servers were asked for a first lease, or for what is missing beside one, and none
    /// has offered any.
    pub(in crate::core::uplink::lease) fn asks_in_vain(&self, held: &Held) -> bool {
        let is_first = held.is_empty();
        let asks = |exchange: &Exchange| exchange.aim == Aim::Missing || is_first;
        self.exchanges.iter().any(|exchange| exchange.is_in_vain() && asks(exchange))
    }

    /// Sends the next Solicit of a discovery in vain at `at`, and starts its intervals anew: if the
    /// last one was just sent and may still be answered, this is a moment later. Returns whether
    /// that is sooner than it would have been.
    pub(in crate::core::uplink::lease) fn ask_soon(&mut self, at: Instant) -> bool {
        let mut is_sooner = false;
        for exchange in self.exchanges.iter_mut().filter(|exchange| exchange.is_in_vain()) {
            let last_at = exchange.retransmit.last_at();
            let at = last_at.map_or(at, |last_at| at.max(last_at + JUST_SENT));
            is_sooner |= exchange.retransmit.restart(at, UNKNOWN);
        }
        is_sooner
    }

    /// Solicits anew once, beside the lease (a probe found the prefix not routed).
    pub(in crate::core::uplink::lease) fn rediscover(&mut self, now: Instant) {
        if self.up
            && self.ladder.is_none()
            && !self.is_under_way(Kind::is_discovery)
            && self.asks(now)
        {
            self.solicit(PROBE, false, now);
        }
    }

    fn climb(&mut self, held: &Held, now: Instant, start: Instant, step: Step, by_change: bool) {
        self.exchanges.retain(|exchange| !exchange.kind.is_for_lease());
        self.ladder = Some(Ladder { started: start, by_change });
        if !self.up {
            return;
        }
        if held.is_empty() {
            return self.discover(now, start);
        }
        let solicit_at = match step {
            Step::Confirm => return self.start(Kind::Confirm, CONFIRM, start),
            Step::Solicit => start,
            Step::Renew | Step::Rebind => {
                let kind = match held.server.clone().filter(|_| step == Step::Renew) {
                    Some(server) => Kind::Renew { server },
                    None => Kind::Rebind,
                };
                self.start_first_step(held, kind, start, by_change);
                start + SOLICIT_AFTER
            }
        };
        self.start(Kind::Rebind, SECOND_STEP, start + REBIND_AFTER);
        self.solicit(SOLICIT, true, solicit_at);
    }

    /// The first step of a ladder: one message, or, where a change started it, repetitions until
    /// other servers are asked as well. Its answer is accepted as long as the ladder lasts.
    fn start_first_step(&mut self, held: &Held, kind: Kind, at: Instant, by_change: bool) {
        let mut exchange = Exchange::new(kind, FIRST_STEP, at, &mut self.random);
        if by_change {
            let initial = self.round_trips.timeout(held.server.as_ref());
            let parameters = Parameters { initial, ..REPEATED_FIRST_STEP };
            exchange.retransmit = Retransmit::new(parameters, at).sending_for(REBIND_AFTER);
        }
        self.exchanges.push(exchange);
    }

    /// The `parameters` of a request to `server`: where a change is the reason, its first
    /// repetition comes after a few round trips, and the intervals double from there (PDC-41).
    pub(super) fn quickened(&self, parameters: Parameters, server: &Duid) -> Parameters {
        if self.ladder.is_some_and(|ladder| ladder.by_change) {
            parameters.quickened(self.round_trips.timeout(Some(server)))
        } else {
            parameters
        }
    }

    /// Solicits a lease, or requests information where no lease is wanted.
    fn discover(&mut self, now: Instant, at: Instant) {
        if self.asks(now) {
            let by_change = self.ladder.is_some_and(|ladder| ladder.by_change);
            let parameters = if by_change { SOLICIT.quickened(UNKNOWN) } else { SOLICIT };
            self.solicit(parameters, true, at);
        } else if self.wants_information {
            self.inform(at, None);
        }
    }

    /// Begins discovery anew within seconds, as a Request was refused, and leaves more time with
    /// each refusal in a row. The held prefixes stay in use and are renewed later.
    pub(super) fn discover_anew(&mut self, held: &mut Held, now: Instant) {
        self.exchanges.retain(|exchange| !matches!(exchange.kind, Kind::Request { .. }));
        held.rest(now);
        let wait = refused_gap(self.refused_count);
        self.refused_count = self.refused_count.saturating_add(1);
        let at = now + wait + self.random.duration(Duration::ZERO, wait / 10);
        let mut exchanges =
            self.exchanges.iter_mut().filter(|exchange| exchange.aim == Aim::Everything);
        let solicit = exchanges.find_map(|exchange| match &mut exchange.kind {
            Kind::Solicit { hints, .. } => Some((hints, &mut exchange.retransmit)),
            Kind::Request { .. }
            | Kind::Renew { .. }
            | Kind::Rebind
            | Kind::Confirm
            | Kind::Decline { .. }
            | Kind::InformationRequest { .. } => None,
        });
        match solicit {
            Some((hints, retransmit)) => {
                *hints = false;
                retransmit.restart(at, SOLICIT.initial);
            }
            None => self.solicit(SOLICIT, false, at),
        }
    }

    fn solicit(&mut self, parameters: Parameters, hints: bool, at: Instant) {
        let kind = Kind::Solicit { offers: Vec::new(), advertised: false, hints };
        self.start(kind, parameters, at);
    }

    /// Adds an exchange whose first message leaves at `at`.
    pub(super) fn start(&mut self, kind: Kind, parameters: Parameters, at: Instant) {
        self.exchanges.push(Exchange::new(kind, parameters, at, &mut self.random));
    }

    /// Whether the last Solicit was just sent and may still be answered.
    fn has_just_asked(&self, now: Instant) -> bool {
        self.exchanges.iter().any(|exchange| match exchange.kind {
            Kind::Request { .. } => true,
            Kind::Solicit { .. } => {
                exchange.retransmit.last_at().is_some_and(|at| now.since(at) < JUST_SENT)
            }
            Kind::Renew { .. }
            | Kind::Rebind
            | Kind::Confirm
            | Kind::Decline { .. }
            | Kind::InformationRequest { .. } => false,
        })
    }

    /// The lease is settled: all exchanges about it are over, except those for its missing parts.
    /// Where it was settled by losing the last prefix, discovery begins at once.
    pub(super) fn settle(&mut self, held: &Held, now: Instant) {
        self.exchanges
            .retain(|exchange| exchange.aim == Aim::Missing || !exchange.kind.is_for_lease());
        self.ladder = None;
        if self.up && held.is_empty() && self.asks(now) {
            self.discover(now, now);
        }
    }

    /// Ends the ladder if no useful answer came in its time.
    pub(super) fn give_up(&mut self, held: &Held, now: Instant) -> Option<Outcome> {
        self.ladder.take_if(|ladder| ladder.started + GIVES_UP_AFTER <= now)?;
        self.transitions.note_given_up();
        if !held.is_empty() {
            self.exchanges
                .retain(|exchange| !exchange.kind.is_for_lease() || exchange.kind.is_discovery());
        }
        Some(Outcome::Failed)
    }

    /// Ends exchanges that have failed, and chooses an offer for a Solicit that has waited.
    pub(super) fn advance(&mut self, now: Instant) {
        let waited =
            |exchange: &Exchange| exchange.has_offers() && exchange.retransmit.deadline() <= now;
        if let Some(position) = self.exchanges.iter().position(waited) {
            self.choose(now, position, None);
        }
        let mut failed = Vec::new();
        self.exchanges.retain(|exchange| {
            let over = exchange.retransmit.is_over(now);
            if over {
                failed.push((exchange.aim, exchange.kind.clone()));
            }
            !over
        });
        for (aim, kind) in failed {
            if let Kind::Request { others, .. } = kind
                && !self.request_next(now, aim, others)
                && aim == Aim::Everything
                && !self.is_under_way(Kind::is_discovery)
            {
                self.discover(now, now);
            }
        }
    }

    /// Starts the exchanges of the lease's own times: Renew at T1, Rebind at T2, and discovery when
    /// nothing is held (RFC 9915 §18.2.4, §18.2.5).
    pub(super) fn maintain(&mut self, held: &Held, now: Instant) {
        if !self.up {
            return;
        }
        if held.is_empty() {
            self.exchanges
                .retain(|exchange| !exchange.kind.is_for_lease() || exchange.kind.is_discovery());
            for exchange in &mut self.exchanges {
                exchange.aim = Aim::Everything;
            }
            return self.maintain_nothing(now);
        }
        if self.ladder.is_none()
            && let Some(timers) = held.timers()
        {
            if timers.t2.is_over(now) && !self.is_under_way(Kind::covers_t2) {
                self.exchanges.retain(|exchange| !exchange.kind.covers_t1());
                self.start(Kind::Rebind, REBIND, now);
            } else if timers.t1.is_over(now) && !self.is_under_way(Kind::covers_t1) {
                self.renew(held, now);
            }
        }
        self.seek_missing(held, now);
    }

    fn maintain_nothing(&mut self, now: Instant) {
        if self.asks(now) {
            if !self.is_under_way(Kind::is_discovery) {
                let rested = self.settled_at.map_or(now, |at| at + REDISCOVERY_GAP).max(now);
                let at = rested + self.random.duration(Duration::ZERO, MAX_DELAY);
                self.discover(now, at);
            }
        } else {
            self.exchanges.retain(|exchange| !exchange.kind.is_for_lease());
            if self.wants_information && self.inform_at.is_some_and(|at| at <= now) {
                self.inform_at = None;
                self.inform(now, None);
            }
        }
    }

    /// Renews at the server that gave the lease, as at T1.
    pub(super) fn renew(&mut self, held: &Held, now: Instant) {
        let kind = held.server.clone().map_or(Kind::Rebind, |server| Kind::Renew { server });
        self.start(kind, RENEW, now);
    }

    /// Renews before T1, for a router that asks us for a prefix and could be given only little of
    /// its preferred lifetime (SRV-61). Returns whether a renewal that this or T1 started is under
    /// way since less than `patience`. A renewal that brought nothing longer is not repeated within
    /// [`EARLY_GAP`], and one without an answer goes on at its own pace.
    pub(in crate::core::uplink::lease) fn renew_for_others(
        &mut self,
        held: &Held,
        now: Instant,
        patience: Duration,
    ) -> bool {
        if !self.up || self.ladder.is_some() || !self.is_running_short(held, now) {
            return false;
        }
        if !self.is_under_way(Kind::covers_t1) {
            if self.settled_at.is_some_and(|at| now.since(at) < EARLY_GAP) {
                return false;
            }
            self.renew(held, now);
        }
        self.is_renewing(now, patience)
    }

    /// Whether a Renew is under way since less than `patience`.
    pub(in crate::core::uplink::lease) fn is_renewing(
        &self,
        now: Instant,
        patience: Duration,
    ) -> bool {
        let renews = |exchange: &&Exchange| matches!(exchange.kind, Kind::Renew { .. });
        let mut renewals = self.exchanges.iter().filter(renews);
        renewals.any(|exchange| exchange.lasts(now) < patience)
    }

    /// Whether less of a prefix's preferred lifetime is left than subordinate routers need, or T1
    /// is near.
    fn is_running_short(&self, held: &Held, now: Instant) -> bool {
        let least = Lifetime::Finite(lasting::LEAST);
        let near = held.timers().is_some_and(|timers| timers.t1.is_over(now + EARLY_GAP));
        let ends = held.prefixes().into_iter().filter(|held| held.gone_since.is_none());
        let mut left = ends.map(|held| held.preferred_until.remaining(now));
        left.any(|left| !left.is_zero() && (left < least || (near && left != Lifetime::Infinite)))
    }

    /// Whether an exchange of a kind is under way that is about the whole lease.
    pub(super) fn is_under_way(&self, is_kind: impl Fn(&Kind) -> bool) -> bool {
        let mut exchanges = self.exchanges.iter();
        exchanges.any(|exchange| exchange.aim == Aim::Everything && is_kind(&exchange.kind))
    }

    /// When the ladder ends, or one of the lease's own times comes.
    pub(super) fn maintenance_deadline(&self, held: &Held) -> Option<Deadline> {
        if let Some(ladder) = self.ladder {
            return Some(Deadline::new(ladder.started + GIVES_UP_AFTER, "refresh gives up"));
        }
        let timers = held.timers().filter(|_| self.up)?;
        Deadline::first([
            timers.t1.deadline("T1").filter(|_| !self.is_under_way(Kind::covers_t1)),
            timers.t2.deadline("T2").filter(|_| !self.is_under_way(Kind::covers_t2)),
        ])
    }
}
