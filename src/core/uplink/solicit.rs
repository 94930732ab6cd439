//! When to send router solicitations on an uplink (RFC 4861 §6.3.7, RFC 7559).
//!
//! Only an uplink has one of these, so no solicitation ever leaves on a downlink (RS-11).

use std::time::Duration;

use crate::core::random::Random;
use crate::time::{Deadline, Instant};

#[cfg(test)]
mod tests;

/// MAX_RTR_SOLICITATION_DELAY (RFC 4861 §10).
pub const MAX_FIRST_DELAY: Duration = Duration::from_secs(1);

/// RTR_SOLICITATION_INTERVAL (RFC 4861 §10), and IRT (RFC 7559 §2).
const INITIAL_INTERVAL: Duration = Duration::from_secs(4);

/// MRT (RFC 7559 §2). MRC and MRD are zero: it never gives up (RS-05).
const MAX_INTERVAL: Duration = Duration::from_secs(3600);

/// The pause after a solicitation that could not be sent; it doubles each further time.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// The solicitation of one uplink.
#[derive(Clone, Debug)]
pub struct Solicit {
    random: Random,
    /// The first solicitation of a round waits for a random part of this.
    first_delay: Duration,
    round: Option<Round>,
    /// The last solicitation on this link.
    sent_at: Option<Instant>,
}

/// From an event that asks for solicitations to the advertisement that ends them.
#[derive(Clone, Copy, Debug)]
struct Round {
    multicast: bool,
    next_at: Instant,
    progress: Progress,
    /// How many solicitations were sent in it.
    sent: u32,
    /// How many could not be sent since the last one that was.
    dropped: u32,
}

/// The progress of router solicitation on an uplink.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Solicitation {
    /// How many solicitations were sent since the event that started them; without those that were
    /// answered.
    pub sent: u32,
    /// The last one on this link.
    pub last_at: Option<Instant>,
    /// The next one.
    pub next_at: Option<Instant>,
    /// The time from the last to the next one.
    pub interval: Option<Duration>,
    /// How many advertisements were believed on the uplink.
    pub advertisements: u64,
}

#[derive(Clone, Copy, Debug)]
enum Progress {
    /// None was sent; `answered` when a default router was heard all the same.
    Fresh { answered: bool },
    /// At least one was sent, and the next follows it after `interval`.
    Backoff { interval: Duration },
}

impl Solicit {
    /// No solicitation is sent until [`start`](Self::start). The first one of a round waits for a
    /// random part of `first_delay`.
    pub const fn new(random: Random, first_delay: Duration) -> Self {
        Self { random, first_delay, round: None, sent_at: None }
    }

    /// The interface became usable, or all default routers are gone: a new round, its first
    /// solicitation after a random delay (RS-02). `multicast` is false on links where success does
    /// not end the round (RS-08).
    pub fn start(&mut self, now: Instant, multicast: bool) {
        let delayed = now + self.random.duration(Duration::ZERO, self.first_delay);
        // Rounds that follow each other on one link keep the distance of RFC 4861 §6.3.7, so
        // that a router that comes and goes cannot draw solicitations at its own rate (RS-10).
        let next_at = self.sent_at.map_or(delayed, |sent| delayed.max(sent + INITIAL_INTERVAL));
        let progress = Progress::Fresh { answered: false };
        self.round = Some(Round { multicast, next_at, progress, sent: 0, dropped: 0 });
    }

    /// The interface is unusable: nothing is sent. It may come back on another link, so earlier
    /// solicitations do not count any more.
    pub const fn stop(&mut self) {
        self.round = None;
        self.sent_at = None;
    }

    /// The link may be another one: earlier solicitations do not count any more.
    pub const fn forget(&mut self) {
        self.sent_at = None;
    }

    /// A valid advertisement came; `default_router` when its Router Lifetime is not zero. Ends the
    /// round, but not before one solicitation was sent in it (RS-06, RS-07, RS-09).
    pub const fn handle_advertisement(&mut self, default_router: bool) {
        let Some(round) = &mut self.round else { return };
        if !default_router || !round.multicast {
            return;
        }
        match &mut round.progress {
            Progress::Fresh { answered } => *answered = true,
            Progress::Backoff { .. } => self.round = None,
        }
    }

    /// Returns whether a solicitation is to be sent; it counts as sent, and the next one is
    /// scheduled.
    pub fn poll(&mut self, now: Instant) -> bool {
        let Some(round) = self.round.filter(|round| round.next_at <= now) else { return false };
        self.sent_at = Some(now);
        let interval = match round.progress {
            Progress::Fresh { answered: true } => {
                self.round = None;
                return true;
            }
            Progress::Fresh { answered: false } => self.randomized(INITIAL_INTERVAL, 1.0),
            Progress::Backoff { interval } => {
                let doubled = self.randomized(interval, 2.0);
                if doubled > MAX_INTERVAL { self.randomized(MAX_INTERVAL, 1.0) } else { doubled }
            }
        };
        let progress = Progress::Backoff { interval };
        let sent = round.sent.saturating_add(1);
        self.round = Some(Round { next_at: now + interval, progress, sent, ..round });
        true
    }

    /// The last one could not be sent: it does not count, and the next one comes sooner.
    pub fn handle_dropped(&mut self, now: Instant) {
        let Some(round) = &mut self.round else { return };
        round.sent = round.sent.saturating_sub(1);
        if round.sent == 0 {
            round.progress = Progress::Fresh { answered: false };
        }
        let pause = AGAIN_AFTER * 2_u32.saturating_pow(round.dropped);
        round.dropped = round.dropped.saturating_add(1);
        round.next_at = round.next_at.min(now + pause.min(INITIAL_INTERVAL));
    }

    /// The progress, with the number of `advertisements` that were believed.
    pub fn progress(&self, advertisements: u64) -> Solicitation {
        let interval = match self.round.map(|round| round.progress) {
            Some(Progress::Backoff { interval }) => Some(interval),
            Some(Progress::Fresh { .. }) | None => None,
        };
        Solicitation {
            sent: self.round.map_or(0, |round| round.sent),
            last_at: self.sent_at,
            next_at: self.round.map(|round| round.next_at),
            interval,
            advertisements,
        }
    }

    /// When the next one is to be sent.
    pub fn deadline(&self) -> Option<Deadline> {
        self.round.map(|round| Deadline::new(round.next_at, "router solicitation"))
    }

    /// `factor * interval + RAND * interval`, with RAND in ±0.1 (RFC 9915 §15, which RFC 7559 §2
    /// takes over).
    fn randomized(&mut self, interval: Duration, factor: f64) -> Duration {
        interval.mul_f64(factor + self.random.factor(-0.1, 0.1))
    }
}
