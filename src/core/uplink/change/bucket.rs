//! A token bucket on the core's clock.

use std::time::Duration;

use crate::time::Instant;

/// Holds `burst` tokens at most and gains one per `period`, counted from the moment at which it
/// stopped being full.
#[derive(Clone, Debug)]
pub(in crate::core) struct Bucket {
    period: Duration,
    /// `(burst - 1) * period`: how far from full a bucket with one token is.
    last_token: Duration,
    /// When it is full if no token is taken. This one instant is the whole state.
    full_at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(in crate::core) const fn new(burst: u32, period: Duration) -> Self {
        let last_token = period.saturating_mul(burst.saturating_sub(1));
        Self { period, last_token, full_at: Instant::BOOT }
    }

    /// Takes a token, if there is one.
    pub(in crate::core) fn take(&mut self, now: Instant) -> bool {
        let available = self.available_at() <= now;
        if available {
            self.full_at = self.full_at.max(now) + self.period;
        }
        available
    }

    /// Takes the next token, now or ahead of its time; returns when it can be used.
    pub(in crate::core) fn reserve(&mut self, now: Instant) -> Instant {
        let at = self.available_at().max(now);
        self.full_at = self.full_at.max(now) + self.period;
        at
    }

    /// Gives a token back.
    pub(in crate::core) fn give_back(&mut self) {
        self.full_at = self.full_at - self.period;
    }

    /// Since when, or from when on, there is a token.
    pub(in crate::core) fn available_at(&self) -> Instant {
        self.full_at - self.last_token
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: u64) -> Instant {
        Instant::from_secs(seconds)
    }

    #[test]
    fn a_burst_then_one_per_period() {
        let mut bucket = Bucket::new(3, Duration::from_secs(30));
        let start = 1000;
        let taken: Vec<_> = (0..=100).filter(|second| bucket.take(secs(start + second))).collect();
        assert_eq!(taken, [0, 1, 2, 30, 60, 90]);
        assert_eq!(bucket.available_at(), secs(start + 120));
    }

    #[test]
    fn a_token_can_be_reserved() {
        let mut bucket = Bucket::new(2, Duration::from_secs(30));
        assert_eq!([0; 4].map(|_| bucket.reserve(secs(1000))), [1000, 1000, 1030, 1060].map(secs));
        assert!(!bucket.take(secs(1089)));
        assert!(bucket.take(secs(1090)));
    }

    #[test]
    fn a_returned_token_never_overfills() {
        let mut bucket = Bucket::new(3, Duration::from_secs(30));
        assert!(bucket.take(secs(10)));
        bucket.give_back();
        assert!(bucket.take(secs(1000)));
        bucket.give_back();
        bucket.give_back();
        let taken = (0..10).filter(|_| bucket.take(secs(1000))).count();
        assert_eq!(taken, 3);
    }
}
