//! What was dropped, by reason, and which of that gets a line in the log.

use std::collections::BTreeMap;
use std::time::Duration;

#[cfg(test)]
use crate::core::rejection;
use crate::time::Instant;

/// The same reason is logged at most this often.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Counters by kind of message (`ra`, `rs`, `dhcpv6`, …) and reason. Both are fixed words of this
/// program, so their number is bounded. Counting a dropped message allocates nothing once its
/// reason is known, as any node can send such messages.
#[derive(Clone, Debug, Default)]
pub(in crate::core) struct Counters {
    counts: BTreeMap<(&'static str, &'static str), Count>,
}

#[derive(Clone, Copy, Debug)]
struct Count {
    number: u64,
    logged_at: Instant,
}

impl Counters {
    /// Counts a message of this kind that was dropped for `reason`; true when it is time for a line
    /// in the log.
    pub(in crate::core) fn count(
        &mut self,
        now: Instant,
        kind: &'static str,
        reason: &'static str,
    ) -> bool {
        #[cfg(test)]
        assert!(
            rejection::meaning(kind, reason).is_some(),
            "{kind}-{reason} is not explained in core::rejection"
        );
        let Some(count) = self.counts.get_mut(&(kind, reason)) else {
            self.counts.insert((kind, reason), Count { number: 1, logged_at: now });
            return true;
        };
        count.number = count.number.saturating_add(1);
        let is_time = now.since(count.logged_at) >= LOG_INTERVAL;
        if is_time {
            count.logged_at = now;
        }
        is_time
    }

    /// Each kind and reason with its count.
    pub(in crate::core) fn each(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        self.counts.iter().map(|((kind, reason), count)| (*kind, *reason, count.number))
    }

    /// All counts, by kind and reason.
    pub(in crate::core) fn counts(&self) -> BTreeMap<String, u64> {
        let named = |((kind, reason), count): (&(&str, &str), &Count)| {
            (format!("{kind}-{reason}"), count.number)
        };
        self.counts.iter().map(named).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_whole_and_logged_rarely() {
        let mut counters = Counters::default();
        let start = Instant::from_secs(5);
        let lines = (0..1000)
            .filter(|step| counters.count(start + Duration::from_millis(25 * step), "ra", "code"))
            .count();
        assert_eq!(lines, 3);
        assert_eq!(counters.counts().get("ra-code"), Some(&1000));
    }
}
