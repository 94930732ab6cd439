//! The bound on everything that is sent (RFC 9915 §14.1).

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Instant;

/// The most messages in [`WINDOW`]: the RFC's example.
const MESSAGES: usize = 20;

const WINDOW: Duration = Duration::from_secs(20);

/// When the last [`MESSAGES`] were sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Limit {
    sent: VecDeque<Instant>,
}

impl Limit {
    /// Whether a message may leave.
    pub(super) fn allows(&self, now: Instant) -> bool {
        self.free_at() <= now
    }

    /// When the next message may leave.
    pub(super) fn free_at(&self) -> Instant {
        match self.sent.front() {
            Some(oldest) if self.sent.len() >= MESSAGES => *oldest + WINDOW,
            Some(_) | None => Instant::BOOT,
        }
    }

    /// A message left.
    pub(super) fn handle_sent(&mut self, now: Instant) {
        if self.sent.len() >= MESSAGES {
            self.sent.pop_front();
        }
        self.sent.push_back(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PDC-09
    #[test]
    fn no_twenty_seconds_hold_more_than_twenty_messages() {
        let mut limit = Limit::default();
        let mut sent = Vec::new();
        for tenth in 0..6000_u64 {
            let now = Instant::from_boot(Duration::from_millis(tenth * 100));
            if limit.allows(now) {
                limit.handle_sent(now);
                sent.push(now);
            }
        }
        assert!(sent.windows(MESSAGES + 1).all(|run| run[MESSAGES].since(run[0]) >= WINDOW));
        assert_eq!(sent.len(), 600, "the whole rate is available");
    }
}
