//! The prefixes that one requesting router may hold: a compact map, as most routers have one or
//! two.

use std::sync::Arc;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::binding::Promise;
use crate::net::PrefixKey;
use crate::time::Instant;

/// Promises in order of prefix, without spare capacity: there are as many of these as bindings. The
/// stored record shares them with the binding until they change.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "Vec<(Ipv6Net, Promise)>")]
pub struct Promises(Arc<[(Ipv6Net, Promise)]>);

impl Promises {
    /// When a message about any of them last left, if one did.
    pub(in crate::core::delegate) fn last_sent_at(&self) -> Option<Instant> {
        self.values().map(|promise| promise.last_sent_at).max()
    }

    pub(in crate::core::delegate) fn get(&self, prefix: &Ipv6Net) -> Option<&Promise> {
        let at = self.find(prefix).ok()?;
        self.0.get(at).map(|(_, promise)| promise)
    }

    pub(in crate::core::delegate) fn get_mut(&mut self, prefix: &Ipv6Net) -> Option<&mut Promise> {
        let at = self.find(prefix).ok()?;
        self.all_mut().get_mut(at).map(|(_, promise)| promise)
    }

    pub(in crate::core::delegate) fn contains_key(&self, prefix: &Ipv6Net) -> bool {
        self.find(prefix).is_ok()
    }

    pub(in crate::core::delegate) fn insert(&mut self, prefix: Ipv6Net, promise: Promise) {
        let Err(at) = self.find(&prefix) else {
            self.get_mut(&prefix).into_iter().for_each(|known| *known = promise);
            return;
        };
        let new = std::iter::once((prefix, promise));
        let (before, after) = self.0.split_at(at);
        self.0 = before.iter().copied().chain(new).chain(after.iter().copied()).collect();
    }

    pub(in crate::core::delegate) fn retain(&mut self, stays: impl Fn(&Ipv6Net, &Promise) -> bool) {
        if !self.iter().all(|(prefix, promise)| stays(prefix, promise)) {
            let all = self.0.iter().copied();
            self.0 = all.filter(|(prefix, promise)| stays(prefix, promise)).collect();
        }
    }

    pub(in crate::core::delegate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each with its prefix.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Ipv6Net, &Promise)> + Clone {
        self.0.iter().map(|(prefix, promise)| (prefix, promise))
    }

    pub(in crate::core::delegate) fn iter_mut(
        &mut self,
    ) -> impl Iterator<Item = (&Ipv6Net, &mut Promise)> {
        self.all_mut().iter_mut().map(|(prefix, promise)| (&*prefix, promise))
    }

    pub(in crate::core::delegate) fn keys(&self) -> impl Iterator<Item = &Ipv6Net> {
        self.0.iter().map(|(prefix, _)| prefix)
    }

    pub(in crate::core::delegate) fn values(&self) -> impl Iterator<Item = &Promise> {
        self.0.iter().map(|(_, promise)| promise)
    }

    pub(in crate::core) fn values_mut(&mut self) -> impl Iterator<Item = &mut Promise> {
        self.all_mut().iter_mut().map(|(_, promise)| promise)
    }

    /// All of them, to be changed: the stored record keeps the old ones.
    fn all_mut(&mut self) -> &mut [(Ipv6Net, Promise)] {
        Arc::make_mut(&mut self.0)
    }

    fn find(&self, prefix: &Ipv6Net) -> Result<usize, usize> {
        self.0.binary_search_by_key(&PrefixKey(*prefix), |(held, _)| PrefixKey(*held))
    }
}

impl From<Vec<(Ipv6Net, Promise)>> for Promises {
    /// Of several for one prefix the last counts.
    fn from(stored: Vec<(Ipv6Net, Promise)>) -> Self {
        let mut promises = Self::default();
        stored.into_iter().for_each(|(prefix, promise)| promises.insert(prefix, promise));
        promises
    }
}
