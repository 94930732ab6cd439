//! Static prefixes: what a fixed site has, and what the control socket says.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::desired::UplinkFacts;
use super::lease::DelegatedPrefix;
use super::memory::{Record, StoredStatic};
use crate::config::Static;
use crate::time::{Deadline, Instant, Lifetime, Until};
use crate::wire::dhcpv6_option::Iaid;

/// A prefix that leaves gracefully stays valid for so long at most: no host was promised more
/// (RFC 9096 §3.4).
const LONGEST_FAREWELL: Duration = Duration::from_secs(5400);

/// The static prefixes, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Statics(BTreeMap<String, Source>);

#[derive(Clone, Debug)]
struct Source {
    config: Static,
    held: Vec<DelegatedPrefix>,
}

impl Statics {
    /// Takes over a configuration. What the control socket said holds over a restart, as long as
    /// the configuration says what it said then.
    pub(super) fn configure(
        &mut self,
        now: Instant,
        config: &BTreeMap<String, Static>,
        stored: &BTreeMap<String, StoredStatic>,
    ) {
        self.0.retain(|name, _| config.contains_key(name));
        for (name, wanted) in config {
            match self.0.get_mut(name) {
                Some(source) if source.config == *wanted => {}
                Some(source) => {
                    source.config = wanted.clone();
                    source.set(now, wanted.prefix, false);
                }
                None => {
                    let mut source = Source { config: wanted.clone(), held: Vec::new() };
                    match stored.get(name).filter(|stored| stored.configured == wanted.prefix) {
                        Some(stored) => source.restore(now, stored),
                        None => source.set(now, wanted.prefix, false),
                    }
                    self.0.insert(name.clone(), source);
                }
            }
        }
    }

    /// Whether there is one of this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Puts `prefix` in the place of what was there; the record of it.
    pub(super) fn set(
        &mut self,
        now: Instant,
        name: &str,
        prefix: Option<Ipv6Net>,
        graceful: bool,
    ) -> Option<Record> {
        let source = self.0.get_mut(name)?;
        source.set(now, prefix, graceful);
        let live = source.held.iter().filter(|held| held.gone_since.is_none());
        let prefixes =
            live.map(|held| (held.prefix, held.preferred_until, held.valid_until)).collect();
        let stored = StoredStatic { configured: source.config.prefix, prefixes };
        Some(Record::Static { name: name.to_owned(), stored })
    }

    /// What is held, as an uplink would tell it.
    pub(super) fn facts(&self) -> impl Iterator<Item = (String, UplinkFacts)> + '_ {
        self.0.iter().map(|(name, source)| {
            let delegated = source.held.clone();
            (name.clone(), UplinkFacts { delegated, ..UplinkFacts::default() })
        })
    }

    /// All that is in use.
    pub(super) fn current(&self, now: Instant) -> Vec<Ipv6Net> {
        self.in_use(now).into_values().flatten().collect()
    }

    /// What is in use, by name.
    pub(super) fn in_use(&self, now: Instant) -> BTreeMap<String, Vec<Ipv6Net>> {
        let of = |source: &Source| {
            let held = source.held.iter().filter(|held| held.gone_since.is_none());
            let current = held.filter(|held| !held.preferred_until.is_over(now));
            current.map(|held| held.prefix).collect()
        };
        self.0.iter().map(|(name, source)| (name.clone(), of(source))).collect()
    }

    /// Lets prefixes run out, and forgets those that have been gone for `grace`; whether any did.
    pub(super) fn handle_timeout(&mut self, now: Instant, grace: Duration) -> bool {
        let mut differs = false;
        for source in self.0.values_mut() {
            for held in &mut source.held {
                if held.gone_since.is_none() && held.valid_until.is_over(now) {
                    held.gone_since = Some(now);
                    differs = true;
                }
            }
            let before = source.held.len();
            source.held.retain(|held| held.gone_since.is_none_or(|since| since + grace > now));
            differs |= source.held.len() != before;
        }
        differs
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub(super) fn deadline(&self, grace: Duration) -> Option<Deadline> {
        let held = self.0.values().flat_map(|source| &source.held);
        let ends = held.filter_map(|held| match held.gone_since {
            Some(since) => Some(since + grace),
            None => held.valid_until.at(),
        });
        ends.min().map(|at| Deadline::new(at, "end of a static prefix"))
    }
}

impl Source {
    fn set(&mut self, now: Instant, prefix: Option<Ipv6Net>, graceful: bool) {
        let others = |held: &&mut DelegatedPrefix| Some(held.prefix) != prefix;
        for held in self.held.iter_mut().filter(others) {
            held.preferred_until = held.preferred_until.min(Until::At(now));
            if graceful {
                held.valid_until = held.valid_until.min(Until::At(now + LONGEST_FAREWELL));
            } else if held.gone_since.is_none() {
                held.valid_until = Until::At(now);
                held.gone_since = Some(now);
            }
        }
        let Some(prefix) = prefix else { return };
        let until =
            |span: Option<Duration>| span.map_or(Until::Never, |span| Until::At(now + span));
        let (preferred, valid) = (until(self.config.preferred), until(self.config.valid));
        self.held.retain(|held| held.prefix != prefix);
        self.hold(prefix, preferred, valid);
    }

    fn restore(&mut self, now: Instant, stored: &StoredStatic) {
        for (prefix, preferred, valid) in &stored.prefixes {
            if valid.remaining(now) > Lifetime::ZERO {
                self.hold(*prefix, *preferred, *valid);
            }
        }
    }

    fn hold(&mut self, prefix: Ipv6Net, preferred_until: Until, valid_until: Until) {
        let preferred_until = preferred_until.min(valid_until);
        let (iaid, exclude, gone_since) = (Iaid(0), None, None);
        let held =
            DelegatedPrefix { iaid, prefix, exclude, preferred_until, valid_until, gone_since };
        self.held.push(held);
    }
}
