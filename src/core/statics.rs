//! Static prefixes: set by the configuration or by a command on the control socket.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::desired::UplinkFacts;
use super::memory::{Record, StoredStatic};
use crate::config::Static;
use crate::core::uplink::lease::DelegatedPrefix;
use crate::time::{Deadline, Instant, Lifetime, Until};
use crate::wire::dhcpv6_option::Iaid;

/// How long a prefix that is replaced gracefully stays valid at most: no host was promised more
/// (RFC 9096 §3.4).
const LONGEST_DEPRECATION: Duration = Duration::from_secs(5400);

/// The static prefixes, by name.
#[derive(Clone, Debug, Default)]
pub(super) struct Statics(BTreeMap<String, Source>);

#[derive(Clone, Debug)]
struct Source {
    config: Static,
    held: Vec<DelegatedPrefix>,
}

impl Statics {
    /// Takes over a configuration. A prefix that a command has set survives a restart, as long as
    /// the configured prefix is still the one of that time.
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

    /// Whether there is a static prefix of this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Replaces the static prefix of this name by `prefix`, or by none. The earlier one is
    /// deprecated; it ends at once unless `graceful`. Returns the record to be stored, none where
    /// the name is unknown.
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

    /// The prefixes that are held, by name, in the form of an uplink's delegated prefixes.
    pub(super) fn facts(&self) -> impl Iterator<Item = (String, UplinkFacts)> + '_ {
        self.0.iter().map(|(name, source)| {
            let delegated = source.held.clone();
            (name.clone(), UplinkFacts { delegated, ..UplinkFacts::default() })
        })
    }

    /// All prefixes that are preferred at `now`.
    pub(super) fn current(&self, now: Instant) -> Vec<Ipv6Net> {
        self.in_use(now).into_values().flatten().collect()
    }

    /// The prefixes that are preferred at `now`, by name.
    pub(super) fn in_use(&self, now: Instant) -> BTreeMap<String, Vec<Ipv6Net>> {
        let of = |source: &Source| {
            let held = source.held.iter().filter(|held| held.gone_since.is_none());
            let current = held.filter(|held| !held.preferred_until.is_over(now));
            current.map(|held| held.prefix).collect()
        };
        self.0.iter().map(|(name, source)| (name.clone(), of(source))).collect()
    }

    /// Ends prefixes that are not valid any more, and drops those that ended `grace` ago; whether
    /// there were any.
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

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
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
                held.valid_until = held.valid_until.min(Until::At(now + LONGEST_DEPRECATION));
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_secs(1000);
    const GRACE: Duration = Duration::from_secs(30);

    fn at(seconds: u64) -> Instant {
        NOW + Duration::from_secs(seconds)
    }

    fn net(text: &str) -> Ipv6Net {
        text.parse().unwrap()
    }

    fn config(prefix: Option<&str>) -> BTreeMap<String, Static> {
        let site = Static { prefix: prefix.map(net), preferred: None, valid: None };
        BTreeMap::from([("site".to_owned(), site)])
    }

    fn site(prefix: Option<&str>) -> Statics {
        let mut statics = Statics::default();
        statics.configure(NOW, &config(prefix), &BTreeMap::new());
        statics
    }

    /// Prefix, deprecated, gone; at `seconds`.
    fn view(statics: &Statics, seconds: u64) -> Vec<(String, bool, bool)> {
        let (_, facts) = statics.facts().next().unwrap();
        let held = facts.delegated.into_iter();
        held.map(|held| {
            let deprecated = held.preferred_until.is_over(at(seconds));
            (held.prefix.to_string(), deprecated, held.gone_since.is_some())
        })
        .collect()
    }

    fn line(prefix: &str, deprecated: bool, gone: bool) -> (String, bool, bool) {
        (prefix.to_owned(), deprecated, gone)
    }

    const A: &str = "2001:db8:a::/48";
    const B: &str = "2001:db8:b::/48";

    #[test]
    fn a_replaced_prefix_is_gone_at_once_and_forgotten_after_the_grace_time() {
        let mut statics = site(Some(A));
        statics.set(at(10), "site", Some(net(B)), false);
        assert_eq!(view(&statics, 10), [line(A, true, true), line(B, false, false)]);
        assert_eq!(statics.deadline(GRACE).map(|next| next.at), Some(at(40)));
        assert!(!statics.handle_timeout(at(39), GRACE));
        assert!(statics.handle_timeout(at(40), GRACE));
        assert_eq!(view(&statics, 40), [line(B, false, false)]);
        assert_eq!(statics.deadline(GRACE), None);
    }

    #[test]
    fn a_gracefully_replaced_prefix_is_deprecated_and_valid_no_longer_than_promised() {
        let mut statics = site(Some(A));
        statics.set(at(10), "site", Some(net(B)), true);
        assert_eq!(view(&statics, 10), [line(A, true, false), line(B, false, false)]);
        assert_eq!(statics.current(at(10)), [net(B)]);
        statics.set(at(100), "site", Some(net(B)), true);
        assert_eq!(statics.deadline(GRACE).map(|next| next.at), Some(at(5410)), "no longer");
        assert!(statics.handle_timeout(at(5410), GRACE));
        assert_eq!(view(&statics, 5410), [line(A, true, true), line(B, false, false)]);
    }

    #[test]
    fn a_prefix_that_returns_is_as_new() {
        for graceful in [true, false] {
            let mut statics = site(Some(A));
            statics.set(at(10), "site", Some(net(B)), graceful);
            statics.set(at(20), "site", Some(net(A)), graceful);
            assert_eq!(view(&statics, 20), [line(B, true, !graceful), line(A, false, false)]);
            statics.handle_timeout(at(9000), GRACE);
            statics.handle_timeout(at(9100), GRACE);
            assert_eq!(view(&statics, 9100), [line(A, false, false)]);
        }
    }

    #[test]
    fn a_prefix_set_by_command_survives_a_restart_until_the_configuration_changes_it() {
        let mut statics = site(Some(A));
        let record = statics.set(at(10), "site", Some(net(B)), true).unwrap();
        let Record::Static { name, stored } = record else { panic!("another record") };
        let stored = BTreeMap::from([(name, stored)]);
        let cases = [
            // configured then, held
            (Some(A), vec![line(A, true, false), line(B, false, false)]),
            (Some("2001:db8:c::/48"), vec![line("2001:db8:c::/48", false, false)]),
            (None, vec![]),
        ];
        for (configured, expected) in cases {
            let mut statics = Statics::default();
            statics.configure(at(20), &config(configured), &stored);
            assert_eq!(view(&statics, 20), expected);
        }
        statics.set(at(30), "site", None, false);
        assert_eq!(statics.current(at(30)), []);
        assert!(statics.set(at(30), "other", None, false).is_none());
    }
}
