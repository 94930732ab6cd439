//! What was dropped, by reason; and which of it is worth a line in the log.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::time::Instant;

/// The same reason is logged at most this often.
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// Counters by reason. Reasons are fixed words of this program, so their number is bounded.
#[derive(Clone, Debug, Default)]
pub(super) struct Counters {
    counts: BTreeMap<String, u64>,
    logged_at: BTreeMap<String, Instant>,
}

impl Counters {
    /// Counts `kind` of message (`ra`, `rs`, `dhcpv6`, …) dropped for `reason`; true when it is
    /// time for a line in the log.
    pub(super) fn count(&mut self, now: Instant, kind: &str, reason: &str) -> bool {
        let name = format!("{kind}-{reason}");
        let count = self.counts.entry(name.clone()).or_default();
        *count = count.saturating_add(1);
        let due = self.logged_at.get(&name).is_none_or(|at| now.since(*at) >= LOG_INTERVAL);
        if due {
            self.logged_at.insert(name, now);
        }
        due
    }

    /// All counts by name.
    pub(super) const fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
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
