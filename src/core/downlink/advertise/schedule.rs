//! When to advertise (RFC 4861 §6.2.4, §6.2.6).

use std::collections::{BTreeSet, VecDeque};
use std::net::Ipv6Addr;
use std::time::Duration;

use super::copies::Copies;
use crate::core::kernel::system::Neighbor;
use crate::core::random::Random;
use crate::core::uplink::change::bucket::Bucket;
use crate::net::ALL_NODES;
use crate::time::{Deadline, Instant};

/// Advertisements sent in quick succession after a start or a change (RFC 4861 §10).
const MAX_INITIAL_RTR_ADVERTISEMENTS: u8 = 3;
const MAX_INITIAL_RTR_ADVERT_INTERVAL: Duration = Duration::from_secs(16);
/// After this time what is new is sent once more: a multicast packet gets lost easily, on radio
/// above all. Not sooner, as changes come in bursts, and one that comes just behind the repeat has
/// to wait for MIN_DELAY_BETWEEN_RAS.
const FIRST_REPEAT: Duration = Duration::from_secs(6);
/// The longest random delay of an answer (RFC 4861 §10).
const MAX_RA_DELAY_TIME: Duration = Duration::from_millis(500);

/// The time that allows one more unicast answer. Beyond these and a burst, solicitations share one
/// multicast answer: a node that floods the link with solicitations, from however many addresses,
/// keeps nobody from being answered, only from being answered by unicast.
const UNICAST_ANSWER_SPACING: Duration = Duration::from_millis(100);
const UNICAST_ANSWER_BURST: u32 = 10;

/// How many requesting routers are notified by unicast in one pass. Those of a change come
/// together, so that none is newer than another; the multicast advertisement reaches all.
const MAX_NOTIFIED: usize = 1024;

/// When the next advertisements leave, and to which destination.
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
    /// Hosts that solicited and are answered by unicast, with since when.
    answers: VecDeque<(Instant, Ipv6Addr)>,
    unicast_answers_left: Bucket,
    /// Requesting routers that are notified by unicast, and since when there are any.
    notified: BTreeSet<Ipv6Addr>,
    notified_at: Instant,
    /// Unicast copies of what is new.
    copies: Copies,
}

impl Schedule {
    /// Nothing is to be sent.
    pub(super) const fn new(min_delay: Duration, unicast_answers: bool) -> Self {
        Self {
            min_delay,
            unicast_answers,
            last: None,
            unsolicited: None,
            solicited: None,
            quick: 0,
            answers: VecDeque::new(),
            unicast_answers_left: Bucket::new(UNICAST_ANSWER_BURST, UNICAST_ANSWER_SPACING),
            notified: BTreeSet::new(),
            notified_at: Instant::BOOT,
            copies: Copies::new(),
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

    /// A host solicited that can be answered at `unicast`.
    ///
    /// A unicast answer leaves at once: zero lies in the range that the random delay is drawn
    /// from, which only multicast answers need, as several routers may give them (RA-TX-08).
    pub(super) fn solicit(&mut self, now: Instant, unicast: Option<Ipv6Addr>, random: &mut Random) {
        match unicast.filter(|_| self.unicast_answers) {
            Some(host) if self.answers.iter().any(|(_, other)| *other == host) => {}
            Some(host) if self.unicast_answers_left.take(now) => {
                self.answers.push_back((now, host))
            }
            Some(_) | None if self.solicited.is_some() => {}
            Some(_) | None => {
                let delay = random.duration(Duration::ZERO, MAX_RA_DELAY_TIME);
                self.solicited = Some(self.earliest(now) + delay);
            }
        }
    }

    /// Notifies a requesting router by unicast, at once. The multicast advertisement does not stand
    /// in for it: that one may get lost, and some routers do not hear it (SRV-59).
    pub(super) fn notify(&mut self, now: Instant, router: Ipv6Addr) {
        if self.notified.is_empty() {
            self.notified_at = now;
        }
        if self.notified.len() < MAX_NOTIFIED {
            self.notified.insert(router);
        }
    }

    /// What is new is also sent to each host that is known on the link (RA-TX-63).
    pub(super) fn copy(&mut self, now: Instant) {
        self.copies.want(now);
    }

    /// A host has solicited that can be sent copies.
    pub(super) fn note_solicitor(&mut self, now: Instant, host: Ipv6Addr, link_layer: Vec<u8>) {
        self.copies.note_solicitor(now, host, link_layer);
    }

    /// Whether the time has come to ask which hosts there are.
    pub(super) fn poll_neighbors(&mut self, now: Instant) -> bool {
        self.copies.poll_neighbors(now)
    }

    /// Which hosts there are.
    pub(super) fn set_neighbors(&mut self, now: Instant, neighbors: Vec<Neighbor>) {
        self.copies.set_neighbors(now, neighbors);
    }

    /// The destination of the next advertisement. A multicast one answers all hosts that solicited.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Ipv6Addr> {
        if self.multicast_at().is_some_and(|at| at <= now) {
            self.answers.clear();
            return Some(ALL_NODES);
        }
        let notified = self.notified.pop_first();
        let answered = || self.answers.pop_front().map(|(_, host)| host);
        notified.or_else(answered).or_else(|| self.copies.poll(now))
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

    /// Nothing is to be sent any more.
    pub(super) fn silence(&mut self) {
        self.unsolicited = None;
        self.solicited = None;
        self.quick = 0;
        self.answers.clear();
        self.notified.clear();
        self.copies.clear();
    }

    /// When the next is to be sent, and why.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        Deadline::first([
            self.unsolicited.map(|at| Deadline::new(at, "advertisement")),
            self.solicited.map(|at| Deadline::new(at, "solicited advertisement")),
            self.answers.front().map(|(at, _)| Deadline::new(*at, "unicast advertisement")),
            self.notified.first().map(|_| Deadline::new(self.notified_at, "notification")),
            self.copies.deadline(),
        ])
    }

    fn multicast_at(&self) -> Option<Instant> {
        [self.unsolicited, self.solicited].into_iter().flatten().min()
    }

    /// The first moment from `now` on that MIN_DELAY_BETWEEN_RAS allows.
    fn earliest(&self, now: Instant) -> Instant {
        self.last.map_or(now, |last| now.max(last + self.min_delay))
    }
}
