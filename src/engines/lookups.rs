//! When a program is asked for its leases: soon after each message that may have changed them, for
//! the sender of that message alone, and periodically for all routers.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::wire::dhcpv6_option::Duid;

/// When the leases of a message's sender are looked up after the message, which the program answers
/// at the same time; several times, as a program can be slow.
const AFTER: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(300), Duration::from_secs(2)];
/// The most routers that wait for that; for others the next listing of all leases suffices.
const MAX_WAITING: usize = 256;
/// The least time between two listings of all leases, as a time and as a multiple of the time that
/// a listing takes: a program with very many leases has other work.
const ALL_EVERY: Duration = Duration::from_secs(10);
const SHARE: u32 = 20;

/// The leases to look up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Lookup {
    /// All leases.
    All,
    /// Those of one router.
    Of(Duid, Attempt),
}

/// How often a router's leases have been looked up since its message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Attempt(usize);

/// The lookups that wait for their time.
#[derive(Debug)]
pub(super) struct Lookups {
    waiting: BTreeMap<Duid, (Instant, Attempt)>,
    all_at: Instant,
}

impl Lookups {
    /// The first lookup is one of all leases, at once.
    pub(super) fn new(now: Instant) -> Self {
        Self { waiting: BTreeMap::new(), all_at: now }
    }

    /// A router has sent a message.
    pub(super) fn add(&mut self, now: Instant, duid: Duid) {
        if self.waiting.len() < MAX_WAITING || self.waiting.contains_key(&duid) {
            self.plan(now, duid, Attempt(0));
        }
    }

    /// The program seems not to have answered the message yet.
    pub(super) fn retry(&mut self, now: Instant, duid: Duid, Attempt(count): Attempt) {
        if !self.waiting.contains_key(&duid) {
            self.plan(now, duid, Attempt(count.saturating_add(1)));
        }
    }

    fn plan(&mut self, now: Instant, duid: Duid, attempt: Attempt) {
        if let Some(after) = AFTER.get(attempt.0) {
            self.waiting.insert(duid, (now + *after, attempt));
        }
    }

    /// All leases were listed, which took the time `took`.
    pub(super) fn listed(&mut self, now: Instant, took: Duration) {
        self.all_at = now + ALL_EVERY.max(took.saturating_mul(SHARE));
    }

    /// When [`take`](Self::take) returns the next.
    pub(super) fn next_at(&self) -> Instant {
        let waiting = self.waiting.values().map(|(at, _)| *at);
        waiting.chain([self.all_at]).min().unwrap_or(self.all_at)
    }

    /// The leases to look up now.
    pub(super) fn take(&mut self, now: Instant) -> Option<Lookup> {
        if self.all_at <= now {
            return Some(Lookup::All);
        }
        let first = self.waiting.iter().min_by_key(|(_, (at, _))| *at);
        let (duid, attempt) = first
            .filter(|(_, (at, _))| *at <= now)
            .map(|(duid, (_, attempt))| (duid.clone(), *attempt))?;
        self.waiting.remove(&duid);
        Some(Lookup::Of(duid, attempt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn duid(number: u16) -> Duid {
        let [high, low] = number.to_be_bytes();
        Duid::new(&[0, 3, high, low]).unwrap()
    }

    #[test]
    fn a_router_is_asked_about_soon_and_a_few_times_more() {
        let mut now = Instant::now();
        let mut lookups = Lookups::new(now);
        assert_eq!(lookups.take(now), Some(Lookup::All));
        lookups.listed(now, Duration::from_millis(1));
        assert_eq!((lookups.take(now), lookups.next_at()), (None, now + ALL_EVERY));
        lookups.add(now, duid(1));
        for after in AFTER {
            assert_eq!((lookups.take(now), lookups.next_at()), (None, now + after));
            now += after;
            let Some(Lookup::Of(of, attempt)) = lookups.take(now) else { panic!("nothing") };
            assert_eq!(of, duid(1));
            lookups.retry(now, of, attempt);
        }
        assert!(lookups.waiting.is_empty());
    }

    #[test]
    fn neither_a_flood_nor_a_large_pool_keeps_the_program_busy() {
        let now = Instant::now();
        let mut lookups = Lookups::new(now);
        (0..2000).for_each(|number| lookups.add(now, duid(number)));
        assert_eq!(lookups.waiting.len(), MAX_WAITING);
        lookups.listed(now, Duration::from_secs(3));
        assert_eq!(lookups.all_at, now + Duration::from_secs(60));
    }
}
