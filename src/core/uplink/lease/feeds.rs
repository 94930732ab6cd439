//! The rate at which feeds are handled: each may change the lease and cause a derivation.
//!
//! Of a program that reports more often nothing is lost: feeds that wait are merged, so that the
//! newest lease is handled as soon as the rate allows.

use std::time::Duration;

use super::feed::{Event, Feed};
use crate::core::uplink::change::Bucket;
use crate::time::{Deadline, Instant};

/// The number of feeds that are handled at once, and the time after which one more is.
const FEEDS: Bucket = Bucket::new(8, Duration::from_millis(500));
/// A flood is over when no feed has waited for this long.
const CALM: Duration = Duration::from_secs(10);

/// The feeds of one uplink.
#[derive(Clone, Debug)]
pub(super) struct Feeds {
    bucket: Bucket,
    /// All waiting feeds, merged: a lease, or the end of prefixes, or both.
    bound: Option<Feed>,
    ended: Option<Feed>,
    /// When the present flood is over, if no more feeds wait.
    flooded_until: Option<Instant>,
}

impl Feeds {
    pub(super) const fn new() -> Self {
        Self { bucket: FEEDS, bound: None, ended: None, flooded_until: None }
    }

    /// Whether a feed may be handled now. One that may not comes out of [`poll`](Self::poll),
    /// merged with all that have come until then.
    pub(super) fn admits(&mut self, now: Instant, feed: &Feed) -> bool {
        let admits = !self.is_waiting() && self.bucket.take(now);
        if !admits {
            self.add(feed.clone());
            self.flooded_until = Some(now + CALM);
        }
        admits
    }

    /// The merged feeds that have waited.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Feed> {
        self.flooded_until.take_if(|until| *until <= now);
        if !self.is_waiting() || !self.bucket.take(now) {
            return None;
        }
        self.bound.take().or_else(|| self.ended.take())
    }

    /// Whether feeds have waited lately.
    pub(super) const fn is_flooded(&self) -> bool {
        self.flooded_until.is_some()
    }

    pub(super) fn deadline(&self) -> Option<Deadline> {
        let waiting = self.is_waiting().then(|| self.bucket.available_at());
        Deadline::first([
            waiting.map(|at| Deadline::new(at, "throttled feed")),
            self.flooded_until.map(|at| Deadline::new(at, "end of a flood of feeds")),
        ])
    }

    const fn is_waiting(&self) -> bool {
        self.bound.is_some() || self.ended.is_some()
    }

    /// Merges a feed: a lease replaces everything known before, except the withdrawn prefixes.
    fn add(&mut self, mut feed: Feed) {
        let before = match feed.event {
            Event::Bound => [self.bound.take(), self.ended.take()],
            Event::Ended => [self.ended.take(), None],
        };
        for one in before.into_iter().flatten().flat_map(|before| before.withdrawn) {
            let is_held = feed.prefixes.iter().any(|fed| fed.prefix == one.prefix);
            let is_full = feed.withdrawn.len() >= Feed::PREFIXES;
            if !is_held && !is_full && !feed.withdrawn.contains(&one) {
                feed.withdrawn.push(one);
            }
        }
        match feed.event {
            Event::Bound => self.bound = Some(feed),
            Event::Ended => self.ended = Some(feed),
        }
    }
}
