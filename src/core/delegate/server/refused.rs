//! Requesting routers that were refused and are notified when they can be served (SRV-58).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::time::Duration;

use crate::core::delegate::bindings::{BindingKey, Contact, Place};
use crate::time::Instant;

/// The most refused requests that are remembered.
pub(in crate::core::delegate) const MAX_REFUSED: usize = 256;
/// How long a refused request is remembered.
const REFUSED_FOR: Duration = Duration::from_secs(3600);
/// How many are looked at together when prefixes have become free; the next ones follow later, so
/// that a message costs the same however many wait.
const BATCH: usize = 16;
const PAUSE: Duration = Duration::from_millis(10);

/// An IA_PD and the place of its router: any node can claim a DUID.
type Key = (BindingKey, Place);

#[derive(Clone, Debug)]
struct Entry {
    at: Instant,
    contact: Contact,
    /// The configuration names its router, so it is kept before others.
    is_configured: bool,
}

/// Routers that were refused.
#[derive(Clone, Debug, Default)]
pub(super) struct Refused {
    entries: BTreeMap<Key, Entry>,
    /// The order in which they are dropped where there is no room.
    order: BTreeSet<(bool, Instant, Key)>,
    /// The router that was looked at last.
    cursor: Option<Key>,
    /// How many are still to be looked at, and when.
    left: Option<(usize, Instant)>,
}

impl Refused {
    /// Remembers a router that was refused. None behind a relay agent is remembered, as no
    /// notification that it would follow can reach it.
    pub(super) fn insert(
        &mut self,
        now: Instant,
        key: &BindingKey,
        contact: &Contact,
        is_configured: bool,
    ) {
        if contact.relay.is_some() {
            return;
        }
        self.remove(key, contact);
        if self.entries.len() >= MAX_REFUSED
            && let Some((_, _, first)) = self.order.pop_first()
        {
            self.entries.remove(&first);
        }
        let entry = Entry { at: now, contact: contact.clone(), is_configured };
        let key = (key.clone(), contact.place());
        self.order.insert((is_configured, now, key.clone()));
        self.entries.insert(key, entry);
    }

    /// Forgets a request that was served or given up.
    pub(super) fn remove(&mut self, key: &BindingKey, contact: &Contact) {
        if self.entries.is_empty() {
            return;
        }
        self.take(&(key.clone(), contact.place()));
    }

    /// Prefixes have become free: all requests are to be looked at.
    pub(super) fn look(&mut self, now: Instant) {
        if !self.entries.is_empty() {
            self.left = Some((self.entries.len(), now));
        }
    }

    /// The requests to look at next, if any is to be at `now`.
    pub(super) fn batch(&mut self, now: Instant) -> Vec<(BindingKey, Contact)> {
        let Some((left, _)) = self.left.filter(|(_, at)| *at <= now) else { return Vec::new() };
        self.expire(now);
        let count = left.min(BATCH).min(self.entries.len());
        let after = self.cursor.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.entries.range((after, Bound::Unbounded));
        let batch = behind.chain(&self.entries).take(count);
        let batch: Vec<(Key, Contact)> =
            batch.map(|(key, entry)| (key.clone(), entry.contact.clone())).collect();
        self.cursor = batch.last().map(|(key, _)| key.clone());
        let left = left.saturating_sub(BATCH).min(self.entries.len());
        self.left = (left > 0).then_some((left, now + PAUSE));
        batch.into_iter().map(|((key, _), contact)| (key, contact)).collect()
    }

    /// When [`batch`](Self::batch) returns the next.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.left.map(|(_, at)| at)
    }

    fn expire(&mut self, now: Instant) {
        let over = self.entries.iter().filter(|(_, entry)| now.since(entry.at) >= REFUSED_FOR);
        let over: Vec<Key> = over.map(|(key, _)| key.clone()).collect();
        for key in over {
            self.take(&key);
        }
    }

    fn take(&mut self, key: &Key) {
        if let Some(entry) = self.entries.remove(key) {
            self.order.remove(&(entry.is_configured, entry.at, key.clone()));
        }
    }

    #[cfg(test)]
    pub(in crate::core::delegate) fn len(&self) -> usize {
        assert_eq!(self.entries.len(), self.order.len());
        self.entries.len()
    }
}
