//! When a requesting router is notified of a change (RFC 9915 §7.6, §18.3.11).

use std::time::Duration;

use crate::time::Instant;

/// REC_TIMEOUT (RFC 9915 §7.6).
const FIRST_TIMEOUT: Duration = Duration::from_secs(2);
/// REC_MAX_RC (RFC 9915 §7.6).
const MAX_ATTEMPTS: u32 = 8;
/// How many series of notifications shorter lifetimes may begin before the current one is over: a
/// lease above that is shortened every second would cause a notification every second.
const MAX_BEGUN: u32 = 4;
/// How long the next series waits after that.
const REST: Duration = Duration::from_secs(60);

/// The notifications of one router, which go on until the router comes or has been notified often
/// enough.
///
/// After that the router is notified anew only when it has to know something else, or can be
/// reached in another way, and not whenever our own lease is renewed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::core::delegate) struct Push {
    attempts: u32,
    /// How many series before this one ended early because it began.
    begun: u32,
    /// When the next notification leaves; none after the last one.
    pub(in crate::core::delegate) next_at: Option<Instant>,
}

impl Push {
    /// The first notification leaves at once.
    pub(in crate::core::delegate) const fn new(now: Instant) -> Self {
        Self { attempts: 0, begun: 0, next_at: Some(now) }
    }

    /// There is another way to reach the router: where all notifications have left they begin anew.
    pub(in crate::core::delegate) fn again(self, now: Instant) -> Self {
        if self.next_at.is_some() { self } else { Self::new(now) }
    }

    /// Begins a series of its own for lifetimes that have become shorter, unless the current series
    /// has sent nothing yet.
    pub(in crate::core::delegate) fn shortened(self, now: Instant) -> Self {
        match self.next_at {
            Some(_) if self.attempts == 0 => self,
            Some(_) | None if self.begun < MAX_BEGUN => {
                Self { begun: self.begun + 1, ..Self::new(now) }
            }
            None => Self { begun: self.begun, ..Self::new(now + REST) },
            Some(_) => self,
        }
    }

    /// How many notifications there have been.
    pub(in crate::core::delegate) const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Takes note of a notification; `repeats` where it is not the only one.
    pub(in crate::core::delegate) fn sent(self, now: Instant, repeats: bool) -> Self {
        let attempts = self.attempts + 1;
        let next_at = now + FIRST_TIMEOUT * 2_u32.pow(self.attempts.min(MAX_ATTEMPTS));
        let next_at = (repeats && attempts < MAX_ATTEMPTS).then_some(next_at);
        Self { attempts, next_at, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A router that is notified once for each shorter lifetime, as there is no key for it, is
    /// notified at a bounded rate as well.
    #[test]
    fn series_of_one_notification_are_bounded() {
        let start = Instant::from_secs(100);
        let mut push = Push::new(start);
        let mut sent = 0;
        for second in 0..300 {
            let now = start + Duration::from_secs(second);
            if push.next_at.is_some_and(|at| at <= now) {
                sent += 1;
                push = push.sent(now, false);
            }
            push = push.shortened(now);
        }
        assert_eq!(sent, 1 + MAX_BEGUN + 300 / 60 - 1);
    }
}
