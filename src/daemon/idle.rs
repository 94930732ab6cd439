//! Before the agent of a host sleeps for long it gives back the pages of its program.
//!
//! Between two advertisements it needs none of them. For one it needs a tenth of those that its
//! start took: some 70 page faults, a fifth of a millisecond, read them from the page cache.

use std::time::Duration;

use crate::config::Config;
use crate::platform;
use crate::time::{Deadline, Instant};

/// How long nothing must happen, after the start or a burst of events, before pages are given back.
const SETTLED: Duration = Duration::from_secs(10);
/// An agent that has slept for this long may give back pages again at once.
const LONG: Duration = Duration::from_secs(30);

/// When the pages are given back next.
#[derive(Debug)]
pub(super) struct Idle {
    is_host: bool,
    /// The time for that, if nothing happens before.
    release_at: Option<Instant>,
    /// The pages are given back before the next sleep.
    releases: bool,
}

impl Idle {
    /// For an agent that was started at `now`. A router's keeps its pages, as it has to answer at
    /// once.
    pub(super) fn new(now: Instant, config: &Config) -> Self {
        let is_host = config.downlinks.is_empty()
            && config.relays.is_empty()
            && config.uplinks.values().all(|uplink| uplink.client.is_some());
        Self { is_host, release_at: is_host.then(|| now + SETTLED), releases: false }
    }

    /// When there is something to do.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        Some(Deadline::new(self.release_at?, "memory that is not needed"))
    }

    /// No work is left at `now`.
    pub(super) fn handle_rest(&mut self, now: Instant) {
        let has_settled = self.release_at.take_if(|at| *at <= now).is_some();
        if std::mem::take(&mut self.releases) || has_settled {
            platform::release_program_pages();
        }
    }

    /// The agent wakes at `now`, and has slept since `since`.
    pub(super) fn handle_wake(&mut self, since: Instant, now: Instant) {
        if !self.is_host || self.release_at.is_some_and(|at| at <= now) {
            return;
        }
        if now.since(since) >= LONG {
            self.releases = true;
        } else if !self.releases {
            self.release_at = Some(now + SETTLED);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Client, Uplink};

    const START: Instant = Instant::from_secs(100);

    fn host() -> Config {
        let uplinks = [("eth0".to_owned(), Uplink::of(Client::default()))];
        Config { uplinks: uplinks.into(), ..Config::default() }
    }

    #[test]
    fn pages_are_given_back_after_the_start_and_after_each_long_sleep() {
        let mut idle = Idle::new(START, &host());
        let at = |idle: &Idle| idle.deadline().map(|deadline| deadline.at);
        assert_eq!(at(&idle), Some(START + SETTLED));
        idle.handle_rest(START);
        assert_eq!(at(&idle), Some(START + SETTLED));
        let settled = START + SETTLED;
        idle.handle_rest(settled);
        assert_eq!(at(&idle), None);
        idle.handle_wake(settled, settled + LONG);
        assert!(idle.releases);
        assert_eq!(at(&idle), None, "nobody is woken for it");
        idle.handle_rest(settled + LONG);
        assert!(!idle.releases);
    }

    /// What comes in quick succession is waited for to end, and wakes nobody more than once.
    #[test]
    fn after_a_burst_pages_are_given_back_once() {
        let mut idle = Idle::new(START, &host());
        let at = |idle: &Idle| idle.deadline().map(|deadline| deadline.at);
        let settled = START + SETTLED;
        idle.handle_rest(settled);
        for second in 1..=20 {
            let now = settled + Duration::from_secs(second);
            idle.handle_wake(now - Duration::from_secs(1), now);
            assert_eq!((at(&idle), idle.releases), (Some(now + SETTLED), false));
            idle.handle_rest(now);
        }
        let last = settled + Duration::from_secs(20);
        let over = last + SETTLED;
        idle.handle_wake(last, over);
        assert_eq!(at(&idle), Some(over), "that is its own time");
        idle.handle_rest(over);
        assert_eq!((at(&idle), idle.releases), (None, false));
    }

    #[test]
    fn a_router_keeps_its_pages() {
        let uplinks = [("wan0".to_owned(), Uplink::default())];
        let config = Config { uplinks: uplinks.into(), ..Config::default() };
        let mut idle = Idle::new(START, &config);
        idle.handle_wake(START, START + LONG);
        assert_eq!((idle.deadline(), idle.releases), (None, false));
    }
}
