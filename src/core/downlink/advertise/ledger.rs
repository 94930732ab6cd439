//! A record of what was advertised on the link, and until when hosts may rely on it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::lifetimes::Statement;
use super::{Content, Promise, Promises};
use crate::time::{Instant, ROUNDING, Until};

/// Entries of each kind. Beyond it the one that ends first is forgotten: hosts have room for 16
/// addresses, and at three seconds between advertisements and the shortest lifetimes of RA-TX-60
/// no more than 100 prefixes can be alive.
const MAX_ENTRIES: usize = 256;

/// How long hosts are taken to rely, after a restart, on an entry whose end is not recorded.
const UNRECORDED: Duration = Duration::from_secs(1800);

/// The record of one link.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    prefixes: BTreeMap<Ipv6Net, Held>,
    routes: Advertised<Ipv6Net>,
    /// The longest promises of routes that are stored for a restart.
    recorded_routes: BTreeMap<Ipv6Net, Instant>,
    resolvers: Advertised<Ipv6Addr>,
    search: Advertised<String>,
    pref64: Advertised<Ipv6Net>,
}

/// The record of one prefix.
#[derive(Clone, Copy, Debug)]
struct Held {
    /// The longest promise: some host may hold it until then.
    until: Until,
    /// The longest promise that is stored for a restart; not before `until`.
    recorded: Until,
    /// The end of the preferred lifetime last advertised.
    preferred_advertised: Option<Instant>,
    /// The end of the valid lifetime last advertised.
    valid_advertised: Option<Instant>,
}

impl Ledger {
    /// Restores the stored promises.
    pub(super) fn new(promised: Promises) -> Self {
        let prefixes = promised.prefixes.into_iter().map(|(prefix, until)| {
            let held =
                Held { until, recorded: until, preferred_advertised: None, valid_advertised: None };
            (prefix.trunc(), held)
        });
        let end = |(route, until): (Ipv6Net, Until)| Some((route.trunc(), until.at()?));
        let routes: BTreeMap<Ipv6Net, Instant> =
            promised.routes.into_iter().filter_map(end).collect();
        let mut ledger = Self {
            prefixes: prefixes.collect(),
            routes: Advertised(routes.clone()),
            recorded_routes: routes,
            resolvers: Advertised::default(),
            search: Advertised::default(),
            pref64: Advertised::default(),
        };
        ledger.forget(Instant::BOOT);
        ledger
    }

    /// Takes the first content after a restart for the content before it, as far as that is not
    /// stored. Prefixes and routes have stored promises of their own.
    pub(super) fn resume(&mut self, content: &Content, now: Instant) {
        if self.prefixes.is_empty() {
            return;
        }
        let end = |until: &Until| until.at().unwrap_or(now + UNRECORDED);
        for (server, until) in &content.resolvers {
            self.resolvers.note(*server, now, end(until));
        }
        for (name, until) in &content.search {
            self.search.note(name.clone(), now, end(until));
        }
        for (prefix, until) in &content.pref64 {
            self.pref64.note(*prefix, now, end(until));
        }
    }

    /// The prefixes that hosts may hold and that are not in `content` (RA-TX-50, RA-TX-51).
    pub(super) fn withdrawn(&self, content: &Content, now: Instant) -> Vec<Ipv6Net> {
        let gone = |(prefix, held): &(&Ipv6Net, &Held)| {
            !held.until.is_over(now) && !content.has_prefix(prefix, now)
        };
        self.prefixes.iter().filter(gone).map(|(prefix, _)| *prefix).collect()
    }

    /// Whether hosts may still prefer addresses of `prefix`, by what was advertised last.
    pub(super) fn prefers(&self, prefix: &Ipv6Net, now: Instant) -> bool {
        let held = self.prefixes.get(prefix);
        held.is_some_and(|held| held.preferred_advertised.is_none_or(|end| end > now))
    }

    /// Until when some host may hold `prefix`.
    pub(super) fn held_until(&self, prefix: &Ipv6Net) -> Option<Until> {
        self.prefixes.get(prefix).map(|held| held.until)
    }

    /// The routes to be advertised with lifetime 0, the longest promised first.
    pub(super) fn stale_routes(&self, content: &Content, now: Instant) -> Vec<Ipv6Net> {
        let current = |prefix: &Ipv6Net| {
            content.routes.get(prefix).is_some_and(|(_, until)| !until.is_over(now))
        };
        self.routes.stale(now, current)
    }

    /// The DNS servers to be advertised with lifetime 0.
    pub(super) fn stale_resolvers(&self, content: &Content, now: Instant) -> Vec<Ipv6Addr> {
        let current = |server: &Ipv6Addr| {
            content.resolvers.iter().any(|(other, until)| other == server && !until.is_over(now))
        };
        self.resolvers.stale(now, current)
    }

    /// The search domains to be advertised with lifetime 0.
    pub(super) fn stale_search(&self, content: &Content, now: Instant) -> Vec<String> {
        let current = |name: &String| {
            content.search.iter().any(|(other, until)| other == name && !until.is_over(now))
        };
        self.search.stale(now, current)
    }

    /// The NAT64 prefixes to be advertised with lifetime 0.
    pub(super) fn stale_pref64(&self, content: &Content, now: Instant) -> Vec<Ipv6Net> {
        let current = |prefix: &Ipv6Net| {
            content.pref64.iter().any(|(other, until)| other == prefix && !until.is_over(now))
        };
        self.pref64.stale(now, current)
    }

    /// Whether hosts may rely on a prefix beyond its end, because that end has come nearer since
    /// `before`.
    pub(super) fn exceeds(&self, before: &Content, content: &Content, now: Instant) -> bool {
        content.prefixes.iter().any(|(prefix, (preferred, valid))| {
            let (Some(held), Some(old)) = (self.prefixes.get(prefix), before.prefixes.get(prefix))
            else {
                return false;
            };
            let beyond = |advertised: Option<Instant>, old: Until, end: Until| {
                advertised.is_some_and(|advertised| {
                    advertised > now
                        && end < old
                        && end.at().is_some_and(|end| advertised > end + ROUNDING)
                })
            };
            beyond(held.preferred_advertised, old.0, *preferred)
                || beyond(held.valid_advertised, old.1, *valid)
        })
    }

    /// The seconds left of the longest promise that is stored for a restart.
    pub(super) fn recorded(&self, prefix: &Ipv6Net, now: Instant) -> Option<u32> {
        self.prefixes.get(prefix).map(|held| held.recorded.remaining(now).to_wire())
    }

    /// Notes a statement that is about to be advertised. Returns the promises that have to be
    /// stored first: those beyond the stored ones, made longer by `slack`, but not beyond the
    /// prefix's end, so that periodic advertisements seldom need a new record.
    pub(super) fn note(
        &mut self,
        statement: &Statement,
        content: &Content,
        now: Instant,
        slack: Duration,
    ) -> Vec<Promise> {
        let after = |seconds: u32| now + Duration::from_secs(seconds.into());
        let mut promises = Vec::new();
        for &(prefix, _, lifetime) in &statement.routes {
            let until = after(lifetime);
            self.routes.note(prefix, now, until);
            if lifetime > 0 && self.recorded_routes.get(&prefix).is_none_or(|at| *at < until) {
                let end = content.routes.get(&prefix).and_then(|(_, end)| end.at());
                let recorded = (until + slack).min(end.unwrap_or(until + slack)).max(until);
                self.recorded_routes.insert(prefix, recorded);
                promises.push(Promise { prefix, is_route: true, until: Until::At(recorded) });
            }
        }
        self.recorded_routes.retain(|prefix, _| self.routes.0.contains_key(prefix));
        for &(server, lifetime) in &statement.resolvers {
            self.resolvers.note(server, now, after(lifetime));
        }
        for (name, lifetime) in &statement.search {
            self.search.note(name.clone(), now, after(*lifetime));
        }
        for &(prefix, lifetime) in &statement.pref64 {
            self.pref64.note(prefix, now, after(lifetime));
        }
        for stated in &statement.prefixes {
            let until = Until::At(after(stated.valid));
            let held = self.prefixes.entry(stated.prefix).or_insert(Held {
                until,
                recorded: Until::At(Instant::BOOT),
                preferred_advertised: None,
                valid_advertised: None,
            });
            held.preferred_advertised = Some(after(stated.preferred));
            held.valid_advertised = Some(after(stated.valid));
            held.until = held.until.max(until);
            if stated.valid > 0 && until > held.recorded {
                let end = content.prefixes.get(&stated.prefix).map_or(until, |(_, valid)| *valid);
                held.recorded = Until::At(after(stated.valid) + slack).min(end).max(until);
                let Held { recorded: until, .. } = *held;
                promises.push(Promise { prefix: stated.prefix, is_route: false, until });
            }
        }
        self.forget(now);
        promises
    }

    fn forget(&mut self, now: Instant) {
        self.prefixes.retain(|_, held| !held.until.is_over(now));
        while self.prefixes.len() > MAX_ENTRIES {
            let first = self.prefixes.iter().min_by_key(|(_, held)| held.until);
            let Some(first) = first.map(|(prefix, _)| *prefix) else { return };
            self.prefixes.remove(&first);
        }
    }
}

/// Entries of one kind, each with the time until which hosts may rely on it.
#[derive(Clone, Debug)]
struct Advertised<K>(BTreeMap<K, Instant>);

impl<K> Default for Advertised<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord + Clone> Advertised<K> {
    /// Notes that `key` was advertised with an end; drops entries that have ended.
    fn note(&mut self, key: K, now: Instant, until: Instant) {
        let known = self.0.get(&key).copied().unwrap_or(until);
        self.0.insert(key, until.max(known));
        self.0.retain(|_, until| *until > now);
        while self.0.len() > MAX_ENTRIES {
            let first = self.0.iter().min_by_key(|(_, until)| **until);
            let Some(first) = first.map(|(key, _)| key.clone()) else { return };
            self.0.remove(&first);
        }
    }

    /// The entries that hosts may rely on and that are not current, the longest promised first.
    fn stale(&self, now: Instant, current: impl Fn(&K) -> bool) -> Vec<K> {
        let mut stale: Vec<_> =
            self.0.iter().filter(|(key, until)| **until > now && !current(key)).collect();
        stale.sort_by_key(|(_, until)| Reverse(**until));
        stale.into_iter().map(|(key, _)| key.clone()).collect()
    }
}
