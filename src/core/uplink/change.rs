//! Coalesces and damps changes: which trigger starts a refresh of the lease, and when.
//!
//! Pure policy of CHG-03, CHG-04, CHG-15, CHG-16: the lease says what came of it. At most one
//! refresh is under way. A trigger ends in one of four ways:
//!
//! - it **starts** a refresh, if nothing is under way and its bucket has a token;
//! - it **waits**, merged with others that wait, for a token or for the refresh under way. It can
//!   wait but not get lost, so the last real change is always acted on;
//! - it is **absorbed** by the refresh under way, or **acknowledged** by the one that ended just
//!   before, if that one is known to have asked late enough.
//!
//! What is known about "late enough" (CHG-16) comes from a Reconfigure alone: a delegating router
//! sends one when its bindings have moved, so a request that leaves after it meets the new state.
//! An advertisement proves no such thing, as slower parents advertise first and move their
//! bindings later. Hence:
//!
//! | the refresh | the trigger | reaction |
//! |---|---|---|
//! | started by S's Reconfigure, under way | Reconfigure of S | absorbed (PDC-89) |
//! | | advertisement of S, the first since | absorbed as the Reconfigure's echo |
//! | started by the link, under way | any advertisement | absorbed: it is what a link brings; followed up if the Reply brings nothing |
//! | started otherwise, under way | Reconfigure of S | waits; acknowledged if S's Reply changes the lease |
//! | ended with a changed lease from S | Reconfigure of S, ≤ 2 s later | acknowledged |
//! | and was started by the link | the first advertisement there at all, ≤ 5 s later | acknowledged, and followed up once, at once |
//! | and was started by S's Reconfigure | advertisement of S, the first since, ≤ 5 s later | acknowledged as the echo |
//! | any | anything else | starts or waits |
//!
//! A Reconfigure has one echo: what that router's second advertisement changes is something new. A
//! wrong guess here costs one exchange too many. The other way round it would cost a change, and
//! there the delegating router helps: it repeats a Reconfigure that gets no answer.
//!
//! Follow-ups (CHG-15) look for what a slow parent moves after its advertisement. A fruitful Reply
//! ends them, unless the change that they follow overtook one that had brought nothing yet: what
//! came then may have been the older of the two. Nor does it end them where it
//! replaces nothing, as a first lease does: such a Reply does not show that the server knows of the
//! change. What is heard first on a link is no change that was seen: any Reply that changes the
//! lease stands for it.

use std::net::Ipv6Addr;
use std::time::Duration;

use serde::Serialize;

use crate::time::{Deadline, Instant};

pub(in crate::core) mod bucket;
#[cfg(test)]
mod tests;
mod waiting;
#[cfg(test)]
mod world;
#[cfg(test)]
mod world_tests;

pub(in crate::core) use bucket::Bucket;
use waiting::{Advertised, Waiting};

/// Refreshes that advertisements start (CHG-04): anyone on the link can forge those.
const FORGEABLE: Bucket = Bucket::new(3, Duration::from_secs(30));

/// Refreshes that the link, an operator or an authenticated Reconfigure start (CHG-04).
const TRUSTED: Bucket = Bucket::new(5, Duration::from_secs(2));

/// From the end of a refresh that brought nothing to its follow-up (CHG-15).
const FOLLOW_UP_GAPS: [Duration; 4] = [
    Duration::from_secs(1),
    Duration::from_secs(3),
    Duration::from_secs(9),
    Duration::from_secs(27),
];

/// No follow-up starts later than this after its change, however long the refreshes took (CHG-15).
const FOLLOW_UP_WINDOW: Duration = Duration::from_secs(45);

/// How long after a Reconfigure of a router, or after its link came up, an advertisement of that
/// router is taken for part of the same news (CHG-16).
const ECHO_WINDOW: Duration = Duration::from_secs(5);

/// How long after a refresh a Reconfigure counts as answered by it (CHG-16).
const ACKNOWLEDGED_WINDOW: Duration = Duration::from_secs(2);

/// A refresh without any outcome counts as failed after this time. It is far longer than the
/// retransmissions take, and keeps triggers from waiting for an outcome that got lost with its
/// link.
const OUTCOME_LIMIT: Duration = Duration::from_secs(20);

/// The first message of a refresh; of several the greatest serves them all.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub enum RefreshKind {
    /// The server that gave the lease is asked.
    Renew,
    /// Any server is asked.
    Rebind,
}

/// What can start a refresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// One advertisement's new, deprecated or withdrawn on-link prefixes (CHG-03).
    Prefix {
        /// The router that advertised.
        router: Ipv6Addr,
        /// Any server is asked where the router confirmed none of the prefixes that were known
        /// before a link event.
        kind: RefreshKind,
    },
    /// The first advertisement on an interface that nothing was heard on before.
    FirstWords {
        /// The router that advertised.
        router: Ipv6Addr,
    },
    /// The link came up or back (CHG-05).
    Link,
    /// An operator or ppp has requested it.
    Requested,
    /// A valid Reconfigure (PDC-89).
    Reconfigure {
        /// Its sender.
        server: Ipv6Addr,
        /// The message that it asks for.
        kind: RefreshKind,
    },
}

/// A refresh to start now, by the ladder of the lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refresh {
    /// What it begins with.
    pub kind: RefreshKind,
    /// A follow-up of CHG-15: no new change.
    pub follow_up: bool,
}

/// The outcome of a refresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The Reply replaced a prefix that was held.
    Fruitful,
    /// The Reply changed the lease otherwise: a first prefix came, or one ended or was deprecated.
    /// This does not show whether the server knew of the change.
    Partial,
    /// The Reply confirmed the lease.
    Unchanged,
    /// No server answered or granted anything; the lease continues by its own timers.
    Failed,
}

/// The refreshes of one uplink.
#[derive(Clone, Debug)]
pub struct Changes {
    forgeable: Bucket,
    /// The bucket of unicast advertisements that bring a request forward: these are as easy to
    /// forge.
    notified: Bucket,
    trusted: Bucket,
    running: Option<Running>,
    waiting: Option<Waiting>,
    series: Option<Series>,
    last_fruitful: Option<Fruitful>,
}

/// The refresh under way.
#[derive(Clone, Copy, Debug)]
struct Running {
    since: Instant,
    /// The router that sent a Reconfigure before it started.
    reconfigured_by: Option<Ipv6Addr>,
    /// The link came up: the routers' first advertisements are no change beside that.
    by_link: bool,
}

/// The newest change of on-link prefixes that a refresh was started for. It lasts until a Reply
/// stands for it or the follow-ups are used up; the next such change replaces it.
#[derive(Clone, Copy, Debug)]
struct Series {
    router: Ipv6Addr,
    changed_at: Instant,
    kind: RefreshKind,
    /// It was paid for with a token of the advertisements' bucket.
    paid: bool,
    /// It follows the first advertisement on a link, not a change that was heard.
    is_of_first_words: bool,
    /// The number of changes that no fruitful Reply stands for yet: this one, and those that it
    /// overtook.
    open_count: usize,
    follow_up_count: usize,
    /// When the next follow-up begins, unless something is under way.
    next_at: Instant,
}

/// The last refresh that changed the lease.
#[derive(Clone, Copy, Debug)]
struct Fruitful {
    at: Instant,
    server: Option<Ipv6Addr>,
    /// The router whose Reconfigure started it, while the advertisement of the same change has not
    /// come.
    echo: Option<Ipv6Addr>,
    /// A link event started it.
    by_link: bool,
}

impl Changes {
    /// Full buckets, nothing under way.
    pub const fn new() -> Self {
        Self {
            forgeable: FORGEABLE,
            notified: FORGEABLE,
            trusted: TRUSTED,
            running: None,
            waiting: None,
            series: None,
            last_fruitful: None,
        }
    }

    /// Handles a trigger; returns the refresh that it starts at once, if any. One that has to wait
    /// comes out of [`poll`](Self::poll): the last real change is always acted on.
    pub fn handle_trigger(&mut self, now: Instant, trigger: Trigger) -> Option<Refresh> {
        self.give_up_on_a_lost_outcome(now);
        if self.absorbs(now, trigger) {
            return None;
        }
        if trigger == Trigger::Link {
            // A request on the link as it was before may never be answered.
            self.running = None;
        }
        self.waiting = Some(Waiting::merged(self.waiting, now, trigger));
        self.start_waiting(now)
    }

    /// The earliest time to which an advertisement may bring the next message of a discovery
    /// forward.
    pub fn may_ask_at(&self, now: Instant) -> Instant {
        self.notified.available_at().max(now)
    }

    /// An advertisement has brought a message forward.
    pub fn handle_brought_forward(&mut self, now: Instant) {
        self.notified.reserve(now);
    }

    /// The refresh under way has ended; `source` is the link-local address of the server that
    /// answered. Triggers that waited for it come out of [`poll`](Self::poll) at once.
    pub fn handle_outcome(&mut self, now: Instant, outcome: Outcome, source: Option<Ipv6Addr>) {
        let running = self.running.take();
        match outcome {
            Outcome::Fruitful | Outcome::Partial => {
                let advertiser = self.series.map(|series| series.router);
                if self.series.is_some_and(|series| series.paid) {
                    self.forgeable.give_back();
                }
                let is_proof = outcome == Outcome::Fruitful;
                self.series = self.series.and_then(|series| series.answered(is_proof));
                self.series = self.series.and_then(|series| series.rested(now));
                self.waiting = self.waiting.and_then(|waiting| waiting.acknowledged(source));
                let reconfigured_by = running.and_then(|running| running.reconfigured_by);
                let echo = reconfigured_by.filter(|server| advertiser != Some(*server));
                let by_link = running.is_some_and(|running| running.by_link);
                self.last_fruitful = Some(Fruitful { at: now, server: source, echo, by_link });
            }
            Outcome::Unchanged => {
                self.series = self.series.and_then(|series| series.rested(now));
            }
            // A server that does not answer at all is not late but away, and the lease goes on
            // asking by itself.
            Outcome::Failed => self.series = None,
        }
    }

    /// A refresh whose time has come: a trigger that waited, or a follow-up.
    pub fn poll(&mut self, now: Instant) -> Option<Refresh> {
        self.give_up_on_a_lost_outcome(now);
        if self.running.is_some() {
            return None;
        }
        if self.waiting.is_some() {
            // No follow-ups meanwhile: their series ends with the change that waits.
            return self.start_waiting(now);
        }
        let series = self.series.as_mut().filter(|series| series.next_at <= now)?;
        if now > series.ends_at() {
            self.series = None;
            return None;
        }
        series.follow_up_count += 1;
        let kind = series.kind;
        self.running = Some(Running { since: now, reconfigured_by: None, by_link: false });
        Some(Refresh { kind, follow_up: true })
    }

    /// Whether a trigger waits for a token or for the refresh under way.
    pub const fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }

    /// Whether a refresh is under way.
    pub const fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// When the next refresh begins.
    pub fn deadline(&self) -> Option<Deadline> {
        if let Some(running) = self.running {
            return Some(Deadline::new(running.since + OUTCOME_LIMIT, "refresh without outcome"));
        }
        if let Some(waiting) = self.waiting {
            let bucket = if waiting.is_trusted() { &self.trusted } else { &self.forgeable };
            return Some(Deadline::new(bucket.available_at(), "throttled refresh"));
        }
        self.series.map(|series| Deadline::new(series.next_at, "follow-up refresh"))
    }

    /// Whether `trigger` needs no refresh of its own; see the table at the top.
    fn absorbs(&mut self, now: Instant, trigger: Trigger) -> bool {
        match trigger {
            Trigger::Prefix { router, kind } => {
                self.absorbs_echo(now, router, kind)
                    || self.absorbs_first_words(now, router)
                    || self.acknowledges_echo(now, router)
            }
            Trigger::FirstWords { router } => {
                self.absorbs_first_words(now, router) || self.acknowledges_first_words(now, router)
            }
            Trigger::Reconfigure { server, .. } => match self.running {
                Some(running) => running.reconfigured_by == Some(server),
                None => self.last_fruitful.is_some_and(|fruitful| {
                    fruitful.server == Some(server) && now.since(fruitful.at) <= ACKNOWLEDGED_WINDOW
                }),
            },
            Trigger::Link | Trigger::Requested => false,
        }
    }

    /// Whether the refresh under way left after `router`'s Reconfigure, and no advertisement of it
    /// has been heard since. It is the prefix change that follow-ups belong to from here on.
    fn absorbs_echo(&mut self, now: Instant, router: Ipv6Addr, kind: RefreshKind) -> bool {
        let running = self.running.filter(|running| running.reconfigured_by == Some(router));
        let Some(running) = running else { return false };
        // An earlier advertisement that is still followed up belongs to an earlier change.
        let heard = self.series.is_some_and(|series| series.is_of(router, running.since));
        if !heard {
            let advertised = Advertised { router, at: now, count: 1 };
            self.series = Some(Series::new(self.series, advertised, kind, false));
        }
        !heard
    }

    /// Whether the refresh under way is the one for the link that `router` is heard on. One Reply
    /// that changes the lease stands for all that was heard before it.
    fn absorbs_first_words(&mut self, now: Instant, router: Ipv6Addr) -> bool {
        let by_link = self.running.is_some_and(|running| running.by_link);
        if by_link {
            let advertised = Advertised { router, at: now, count: 1 };
            self.series = Some(Series::of_first_words(advertised, RefreshKind::Rebind));
        }
        by_link
    }

    /// Whether the refresh for the link on which `router` is the first to be heard has just changed
    /// the lease. The prefix may have moved since, so that is followed up.
    fn acknowledges_first_words(&mut self, now: Instant, router: Ipv6Addr) -> bool {
        let acknowledged = self
            .last_fruitful
            .is_some_and(|fruitful| fruitful.by_link && now.since(fruitful.at) <= ECHO_WINDOW);
        if acknowledged && self.running.is_none() {
            let advertised = Advertised { router, at: now, count: 1 };
            let series = Series::of_first_words(advertised, RefreshKind::Renew);
            // There is one follow-up: a second one hardly ever finds anything.
            let follow_up_count = FOLLOW_UP_GAPS.len();
            self.series = Some(Series { follow_up_count, ..series });
        }
        acknowledged
    }

    /// Whether the advertisement was still to come for the Reconfigure that `router` sent.
    fn acknowledges_echo(&mut self, now: Instant, router: Ipv6Addr) -> bool {
        let Some(fruitful) = &mut self.last_fruitful else { return false };
        let echo = fruitful.echo.take_if(|echo| *echo == router);
        echo.is_some() && now.since(fruitful.at) <= ECHO_WINDOW
    }

    /// Starts the waiting refresh, if none is under way and there is a token for it.
    fn start_waiting(&mut self, now: Instant) -> Option<Refresh> {
        if self.running.is_some() {
            return None;
        }
        let waiting = self.waiting?;
        let paid = !waiting.is_trusted();
        let bucket = if paid { &mut self.forgeable } else { &mut self.trusted };
        if !bucket.take(now) {
            return None;
        }
        self.waiting = None;
        if let Some(advertised) = waiting.advertised {
            self.series = Some(Series::new(self.series, advertised, waiting.kind, paid));
        }
        let Waiting { reconfigured_by, by_link, .. } = waiting;
        self.running = Some(Running { since: now, reconfigured_by, by_link });
        Some(Refresh { kind: waiting.kind, follow_up: false })
    }

    fn give_up_on_a_lost_outcome(&mut self, now: Instant) {
        if self.running.is_some_and(|running| running.since + OUTCOME_LIMIT <= now) {
            self.handle_outcome(now, Outcome::Failed, None);
        }
    }
}

impl Default for Changes {
    fn default() -> Self {
        Self::new()
    }
}

impl Series {
    fn new(overtaken: Option<Self>, advertised: Advertised, kind: RefreshKind, paid: bool) -> Self {
        let Advertised { router, at, count } = advertised;
        // A first advertisement is no proof of a change: the Reply to a later one stands for it.
        let overtaken = overtaken.filter(|series| !series.is_of_first_words);
        let open_count = overtaken.map_or(0, |series| series.open_count).saturating_add(count);
        Self {
            router,
            changed_at: at,
            kind,
            paid,
            is_of_first_words: false,
            open_count,
            follow_up_count: 0,
            next_at: at,
        }
    }

    /// The series after the first advertisement on a link whose own refresh stands for it.
    fn of_first_words(advertised: Advertised, kind: RefreshKind) -> Self {
        Self { is_of_first_words: true, ..Self::new(None, advertised, kind, false) }
    }

    /// The series after a Reply that changed the lease; none when that stands for all its changes.
    /// Without `is_proof` that the server knew of a change it stands for none, except for the first
    /// advertisement on a link.
    fn answered(self, is_proof: bool) -> Option<Self> {
        let stands = is_proof || self.is_of_first_words;
        let open_count = self.open_count.saturating_sub(usize::from(stands));
        let answered = Self { open_count, paid: false, kind: RefreshKind::Renew, ..self };
        (open_count > 0).then_some(answered)
    }

    /// The series after a refresh that ended at `now` and changed nothing; none when that was the
    /// last follow-up in the window.
    fn rested(self, now: Instant) -> Option<Self> {
        let next_at = now + *FOLLOW_UP_GAPS.get(self.follow_up_count)?;
        (next_at <= self.ends_at()).then_some(Self { next_at, ..self })
    }

    /// Whether it follows an advertisement of `router` that came at `since` or later.
    fn is_of(&self, router: Ipv6Addr, since: Instant) -> bool {
        self.router == router && self.changed_at >= since
    }

    fn ends_at(&self) -> Instant {
        self.changed_at + FOLLOW_UP_WINDOW
    }
}
