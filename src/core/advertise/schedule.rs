//! When to advertise (RFC 4861 §6.2.4, §6.2.6).

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::time::Duration;

use crate::core::random::Random;
use crate::time::{Deadline, Instant};

/// All nodes on the link.
pub(super) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// Advertisements sent in quick succession after a start or a change (RFC 4861 §10).
const MAX_INITIAL_RTR_ADVERTISEMENTS: u8 = 3;
const MAX_INITIAL_RTR_ADVERT_INTERVAL: Duration = Duration::from_secs(16);
/// After this time what is new is said once more: a multicast packet gets lost easily, on radio
/// above all. Not sooner, as changes come in bursts, and one that comes just behind the repeat has
/// to wait for MIN_DELAY_BETWEEN_RAS.
const FIRST_REPEAT: Duration = Duration::from_secs(6);
/// The longest random delay of an answer (RFC 4861 §10).
const MAX_RA_DELAY_TIME: Duration = Duration::from_millis(500);

/// Unicast answers: one for each such span, and ten at once. Beyond it solicitations share one
/// multicast answer.
const UNICAST_ANSWER_SPACING: Duration = Duration::from_millis(100);
const UNICAST_ANSWER_BURST: Duration = Duration::from_secs(1);

/// How many are told by unicast at a time.
const MAX_CALLS: usize = 1024;

/// When the next advertisements go to whom.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    /// MIN_DELAY_BETWEEN_RAS
    min_delay: Duration,
    /// Whether answers may go by unicast.
    unicast_answers: bool,
    /// The last multicast advertisement; remembered while the link is down.
    last: Option<Instant>,
    /// The next unsolicited one.
    unsolicited: Option<Instant>,
    /// The multicast answer to one or several solicitations.
    solicited: Option<Instant>,
    /// How many of the next multicast ones are of the quick succession.
    quick: u8,
    /// Who is told by unicast, with since when.
    answers: VecDeque<(Instant, Ipv6Addr)>,
    /// When the bucket of unicast answers is full again.
    bucket_full_at: Instant,
}

impl Schedule {
    /// Nothing is due.
    pub(super) const fn new(min_delay: Duration, unicast_answers: bool) -> Self {
        Self {
            min_delay,
            unicast_answers,
            last: None,
            unsolicited: None,
            solicited: None,
            quick: 0,
            answers: VecDeque::new(),
            bucket_full_at: Instant::BOOT,
        }
    }

    /// There is something new to say: as soon as allowed, and some more times soon after.
    pub(super) fn announce(&mut self, now: Instant) {
        self.unsolicited = Some(self.earliest(now));
        self.quick = MAX_INITIAL_RTR_ADVERTISEMENTS;
    }

    /// Whether the first advertisement since [`announce`](Self::announce) has yet to leave.
    pub(super) const fn is_announcing(&self) -> bool {
        self.unsolicited.is_some() && self.quick == MAX_INITIAL_RTR_ADVERTISEMENTS
    }

    /// Somebody solicited, who can be answered at `unicast`.
    ///
    /// A unicast answer leaves at once: zero lies in the range that the random delay is drawn
    /// from, which only multicast answers need, as several routers may give them (RA-TX-08).
    pub(super) fn solicit(&mut self, now: Instant, unicast: Option<Ipv6Addr>, random: &mut Random) {
        match unicast.filter(|_| self.unicast_answers) {
            Some(host) if self.answers.iter().any(|(_, other)| *other == host) => {}
            Some(host) if self.take_token(now) => self.answers.push_back((now, host)),
            Some(_) | None if self.solicited.is_some() => {}
            Some(_) | None => {
                let delay = random.duration(Duration::ZERO, MAX_RA_DELAY_TIME);
                self.solicited = Some(self.earliest(now) + delay);
            }
        }
    }

    /// `host` is to be told at once, by unicast where no multicast advertisement is due.
    pub(super) fn call(&mut self, now: Instant, host: Ipv6Addr) {
        if self.answers.len() < MAX_CALLS && !self.answers.iter().any(|(_, other)| *other == host) {
            self.answers.push_back((now, host));
        }
    }

    /// To whom an advertisement is due. A multicast one serves all who wait.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Ipv6Addr> {
        if self.multicast_at().is_some_and(|at| at <= now) {
            self.answers.clear();
            return Some(ALL_NODES);
        }
        self.answers.pop_front().map(|(_, host)| host)
    }

    /// A multicast advertisement is sent; the next follows after `interval`, or sooner where it is
    /// one of a quick succession.
    pub(super) fn sent(&mut self, now: Instant, interval: Duration) {
        let is_news = self.is_announcing();
        self.quick = self.quick.saturating_sub(1);
        let interval = match self.quick {
            0 => interval,
            1.. if is_news => interval.min(FIRST_REPEAT),
            1.. => interval.min(MAX_INITIAL_RTR_ADVERT_INTERVAL),
        };
        self.last = Some(now);
        self.solicited = None;
        self.unsolicited = Some(self.earliest(now).max(now + interval));
    }

    /// Nothing is due any more.
    pub(super) fn silence(&mut self) {
        self.unsolicited = None;
        self.solicited = None;
        self.quick = 0;
        self.answers.clear();
    }

    /// When the next is due, and why.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        Deadline::first([
            self.unsolicited.map(|at| Deadline::new(at, "advertisement")),
            self.solicited.map(|at| Deadline::new(at, "solicited advertisement")),
            self.answers.front().map(|(at, _)| Deadline::new(*at, "unicast advertisement")),
        ])
    }

    fn multicast_at(&self) -> Option<Instant> {
        [self.unsolicited, self.solicited].into_iter().flatten().min()
    }

    /// The first moment from `now` on that MIN_DELAY_BETWEEN_RAS allows.
    fn earliest(&self, now: Instant) -> Instant {
        self.last.map_or(now, |last| now.max(last + self.min_delay))
    }

    fn take_token(&mut self, now: Instant) -> bool {
        let full_at = self.bucket_full_at.max(now) + UNICAST_ANSWER_SPACING;
        let available = full_at.since(now) <= UNICAST_ANSWER_BURST;
        if available {
            self.bucket_full_at = full_at;
        }
        available
    }
}
