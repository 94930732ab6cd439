//! Retransmission with exponential backoff (RFC 9915 §15), used by every exchange.

use std::time::Duration;

use crate::core::random::Random;
use crate::time::Instant;

/// The parameters of one kind of exchange; zero means "no limit" for the last three.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Parameters {
    /// IRT
    pub initial: Duration,
    /// MRT
    pub max_interval: Duration,
    /// MRC
    pub max_count: u32,
    /// MRD
    pub max_duration: Duration,
}

impl Parameters {
    /// IRT, MRT and MRD in seconds, and MRC.
    pub const fn new(initial: u64, max_interval: u64, max_count: u32, max_duration: u64) -> Self {
        Self {
            initial: Duration::from_secs(initial),
            max_interval: Duration::from_secs(max_interval),
            max_count,
            max_duration: Duration::from_secs(max_duration),
        }
    }

    /// The same with a shorter IRT, and as many additional messages as it takes to reach the
    /// original IRT.
    #[must_use]
    pub fn quickened(self, initial: Duration) -> Self {
        let initial = initial.max(Duration::from_millis(1));
        let doublings = (0..u32::BITS).find(|n| initial.saturating_mul(1 << n) >= self.initial);
        let more = if self.max_count > 0 { doublings.unwrap_or(0) } else { 0 };
        Self {
            initial: initial.min(self.initial),
            max_count: self.max_count.saturating_add(more),
            ..self
        }
    }
}

/// RAND is uniform in plus and minus this (RFC 9915 §15).
const RAND: f64 = 0.1;

/// The least RAND of a first interval that has to exceed IRT.
const LEAST_ABOVE: f64 = 0.001;

/// Keeps an interval without limit from growing until it overflows.
const FOREVER: Duration = Duration::from_secs(10_000_000);

/// When one message of an exchange is retransmitted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retransmit {
    parameters: Parameters,
    first_above_initial: bool,
    /// How long after the first message the last one may be sent; the exchange goes on without.
    sends_for: Option<Duration>,
    next_at: Instant,
    /// RT, the interval drawn last.
    interval: Duration,
    count: u32,
    first_at: Option<Instant>,
    last_at: Option<Instant>,
}

impl Retransmit {
    /// The first message leaves at `at`.
    pub const fn new(parameters: Parameters, at: Instant) -> Self {
        Self {
            parameters,
            first_above_initial: false,
            sends_for: None,
            next_at: at,
            interval: Duration::ZERO,
            count: 0,
            first_at: None,
            last_at: None,
        }
    }

    /// Draws the first interval strictly above IRT, as Solicit has to (RFC 9915 §18.2.1).
    #[must_use]
    pub const fn first_above_initial(mut self) -> Self {
        self.first_above_initial = true;
        self
    }

    /// Stops sending when `span` has passed since the first message: the exchange waits for an
    /// answer until MRD is over, which it has to have.
    #[must_use]
    pub const fn sending_for(mut self, span: Duration) -> Self {
        self.sends_for = Some(span);
        self
    }

    /// Sets MRT for the intervals that are drawn from here on.
    pub const fn set_max_interval(&mut self, max_interval: Duration) {
        self.parameters.max_interval = max_interval;
    }

    /// Whether the message is to leave now.
    pub fn is_due(&self, now: Instant) -> bool {
        self.next_at <= now && !self.has_sent_all() && !self.is_over(now)
    }

    /// Whether the exchange has failed: MRC messages were sent and the last interval has passed,
    /// or MRD has passed since the first.
    pub fn is_over(&self, now: Instant) -> bool {
        (self.has_sent_all() && self.next_at <= now)
            || self.max_duration_ends_at().is_some_and(|end| end <= now)
    }

    /// The message was sent: draws the next interval.
    pub fn handle_sent(&mut self, now: Instant, random: &mut Random) {
        self.interval = self.draw(random);
        self.next_at = now + self.interval;
        self.count = self.count.saturating_add(1);
        let first_at = *self.first_at.get_or_insert(now);
        self.last_at = Some(now);
        if self.sends_for.is_some_and(|span| self.next_at >= first_at + span) {
            self.next_at = first_at + self.parameters.max_duration;
        }
    }

    /// Brings the first message forward, if it has not been sent.
    pub fn hurry(&mut self, by: Duration) {
        if self.count == 0 {
            self.next_at = self.next_at - by;
        }
    }

    /// Brings the next message forward to `at`, where that is sooner; the intervals behind it begin
    /// anew with `initial`. Returns whether it was sooner.
    pub fn restart(&mut self, at: Instant, initial: Duration) -> bool {
        let is_sooner = at < self.next_at;
        if is_sooner {
            self.next_at = at;
            self.interval = initial / 2;
        }
        is_sooner
    }

    /// A useless answer came: no message was lost, so the next one leaves no sooner than `initial`
    /// after the last, and not at all if the exchange was to send for a limited time.
    pub fn calm(&mut self, initial: Duration) {
        let (Some(first_at), Some(last_at)) = (self.first_at, self.last_at) else { return };
        if self.sends_for.is_some() {
            self.next_at = first_at + self.parameters.max_duration;
        } else if self.interval < initial {
            self.interval = initial;
            self.next_at = self.next_at.max(last_at + initial);
        }
    }

    /// When the message leaves next, or the exchange has failed.
    pub fn deadline(&self) -> Instant {
        self.max_duration_ends_at().map_or(self.next_at, |end| end.min(self.next_at))
    }

    /// How often the message was sent.
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// RT: the interval drawn last; zero before the first message.
    pub const fn interval(&self) -> Duration {
        self.interval
    }

    /// When the message was sent last.
    pub const fn last_at(&self) -> Option<Instant> {
        self.last_at
    }

    /// Time since the message was first sent; zero before.
    pub fn elapsed(&self, now: Instant) -> Duration {
        self.first_at.map_or(Duration::ZERO, |first_at| now.since(first_at))
    }

    const fn has_sent_all(&self) -> bool {
        self.parameters.max_count > 0 && self.count >= self.parameters.max_count
    }

    fn max_duration_ends_at(&self) -> Option<Instant> {
        let max_duration = self.parameters.max_duration;
        self.first_at.filter(|_| !max_duration.is_zero()).map(|first_at| first_at + max_duration)
    }

    fn draw(&self, random: &mut Random) -> Duration {
        let Parameters { initial, max_interval, .. } = self.parameters;
        if self.count == 0 {
            let least = if self.first_above_initial { LEAST_ABOVE } else { -RAND };
            return initial.mul_f64(1.0 + random.factor(least, RAND));
        }
        let rand = random.factor(-RAND, RAND);
        let interval = self.interval.min(FOREVER).mul_f64(2.0 + rand);
        if !max_interval.is_zero() && interval > max_interval {
            return max_interval.mul_f64(1.0 + rand);
        }
        interval
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The intervals between `count` messages.
    fn intervals(parameters: Parameters, seed: u8, count: usize) -> Vec<Duration> {
        let mut random = Random::new([seed; 32]);
        let mut now = Instant::from_secs(100);
        let mut retransmit = Retransmit::new(parameters, now);
        let mut intervals = Vec::new();
        for _ in 0..count {
            assert!(retransmit.is_due(now));
            retransmit.handle_sent(now, &mut random);
            assert!(!retransmit.is_due(now));
            intervals.push(retransmit.deadline().since(now));
            now = retransmit.deadline();
        }
        intervals
    }

    proptest! {
        /// PDC-45
        #[test]
        fn intervals_double_within_a_tenth_up_to_the_maximum(
            seed: u8,
            initial in 1_u64..100,
            max_interval in 0_u64..4000,
        ) {
            let parameters = Parameters::new(initial, max_interval, 0, 0);
            let intervals = intervals(parameters, seed, 70);
            let first = intervals[0].as_secs_f64();
            let initial = parameters.initial.as_secs_f64();
            prop_assert!((initial * 0.9..=initial * 1.1).contains(&first));
            let max_interval = parameters.max_interval.as_secs_f64();
            for pair in intervals.windows(2).take(20) {
                let (before, after) = (pair[0].as_secs_f64(), pair[1].as_secs_f64());
                let before = before.min(FOREVER.as_secs_f64());
                let doubled = (before * 1.899..=before * 2.101).contains(&after);
                let capped = max_interval > 0.0
                    && before * 2.1 > max_interval
                    && (max_interval * 0.9..=max_interval * 1.1).contains(&after);
                prop_assert!(doubled || capped, "{before} {after}");
            }
        }

        /// PDC-22
        #[test]
        fn the_first_interval_of_solicit_exceeds_irt(seed: [u8; 32]) {
            let now = Instant::from_secs(1);
            let mut retransmit =
                Retransmit::new(Parameters::new(1, 3600, 0, 0), now).first_above_initial();
            retransmit.handle_sent(now, &mut Random::new(seed));
            let first = retransmit.deadline().since(now);
            prop_assert!(first > Duration::from_secs(1) && first <= Duration::from_millis(1100));
        }
    }

    #[test]
    fn an_exchange_ends_one_interval_after_its_last_message() {
        let mut random = Random::new([1; 32]);
        let mut now = Instant::from_secs(1);
        let mut retransmit = Retransmit::new(Parameters::new(1, 30, 3, 0), now);
        for _ in 0..3 {
            assert!(!retransmit.is_over(now));
            retransmit.handle_sent(now, &mut random);
            now = retransmit.deadline();
        }
        assert!(retransmit.is_over(now) && !retransmit.is_due(now));
    }

    #[test]
    fn an_exchange_ends_when_its_duration_has_passed() {
        let start = Instant::from_secs(1);
        let mut retransmit = Retransmit::new(Parameters::new(8, 4, 0, 10), start);
        assert!(!retransmit.is_over(start + Duration::from_secs(60)), "never sent");
        retransmit.handle_sent(start, &mut Random::new([2; 32]));
        let second = retransmit.deadline();
        retransmit.handle_sent(second, &mut Random::new([2; 32]));
        assert_eq!(retransmit.deadline(), start + Duration::from_secs(10));
        assert!(retransmit.is_over(start + Duration::from_secs(10)));
    }

    #[test]
    fn time_elapses_from_the_first_message() {
        let start = Instant::from_secs(5);
        let mut retransmit = Retransmit::new(Parameters::new(1, 4, 0, 0), start);
        assert_eq!(retransmit.elapsed(start + Duration::from_secs(9)), Duration::ZERO);
        retransmit.handle_sent(start, &mut Random::new([3; 32]));
        assert_eq!(retransmit.elapsed(start + Duration::from_secs(9)), Duration::from_secs(9));
    }
}
