//! The state that one router advertises, and the effect of each option.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::prefix::{Announced, Gone, is_kept, is_usable};
use super::reach::Reach;
use super::room::{Entry, MAX_ENTRIES, Standing, keep, least_useful};
use crate::time::{Instant, Lifetime, Until};
use crate::wire::ndp::RouterAdvertisement;
use crate::wire::ndp_option::{NdpOption, Preference, PrefixInformation};

/// How long a router that may split its options over advertisements has to send the rest by itself
/// before it is solicited; a multiple of it if it was often seen to split them.
const PAUSE: Duration = Duration::from_secs(2);
/// How often a behaviour has to be seen before it counts as a habit.
const HABIT: u32 = 2;
/// A router without any lifetime left is forgotten after this time.
const SPENT: Duration = Duration::from_secs(7200);
/// The captive portal option has no lifetime (RFC 8910 §2.3): it holds as long as the router that
/// advertised it is one, and for three of the usual intervals at least.
const PORTAL_LIFETIME: Duration = Duration::from_secs(1800);

/// A more specific route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Route {
    pub(super) preference: Preference,
    pub(super) until: Until,
    since: u64,
    heard: u64,
}

/// A router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Router {
    pub(super) heard_at: Instant,
    /// The numbers of the advertisement that it appeared with, and of its last.
    pub(super) since: u64,
    pub(super) heard: u64,
    pub(super) default_until: Until,
    pub(super) preference: Preference,
    pub(super) managed: bool,
    pub(super) other: bool,
    pub(super) prefixes: BTreeMap<Ipv6Net, Announced>,
    pub(super) routes: BTreeMap<Ipv6Net, Route>,
    pub(super) resolvers: Vec<Entry<Ipv6Addr>>,
    pub(super) search: Vec<Entry<String>>,
    pub(super) pref64: Vec<Entry<Ipv6Net>>,
    pub(super) captive_portal: Option<(String, Until)>,
    /// Whether it still answers.
    pub(super) reach: Reach,
    /// Its last advertisement that differed from the one before.
    pub(super) last: Option<RouterAdvertisement>,
    /// The prefixes of its last advertisement that carried any.
    last_carried: BTreeSet<Ipv6Net>,
    /// How often a prefix that it had omitted was in the answer to the solicitation about it: it
    /// splits its options over advertisements.
    splits: Evidence,
    /// How often a prefix that was found missing was advertised again: its prefixes change often,
    /// or it splits them and answers with one part.
    returns: Evidence,
}

/// How often a behaviour was seen. Occurrences are forgotten one by one: a provider that changes
/// its prefix every day also returns to old ones.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Evidence {
    count: u32,
    last_at: Option<Instant>,
}

impl Evidence {
    /// The time after which one occurrence is forgotten.
    const FORGOTTEN_AFTER: Duration = Duration::from_secs(300);

    fn count(self, now: Instant) -> u32 {
        let aged =
            self.last_at.map_or(0, |at| now.since(at).as_secs() / Self::FORGOTTEN_AFTER.as_secs());
        self.count.saturating_sub(u32::try_from(aged).unwrap_or(u32::MAX))
    }

    fn add(&mut self, now: Instant) {
        self.count = self.count(now).saturating_add(1);
        self.last_at = Some(now);
    }
}

/// How the prefixes of an advertisement relate to those that its router advertised before.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Arrival {
    /// Its last advertisement carried all of them.
    Nothing,
    /// It advertised one of them before the last, and has not ended it since.
    Returned,
    /// One of them was found missing.
    Again,
    /// One of them is not known, or had ended.
    Unknown,
}

/// The valid prefixes in `advertisement` that can be on a link.
pub(super) fn carried(advertisement: &RouterAdvertisement) -> impl Iterator<Item = Ipv6Net> {
    let kept = advertisement.prefixes().filter(|pio| is_kept(pio) && !pio.valid.is_zero());
    kept.map(|pio| pio.prefix)
}

impl Router {
    pub(super) fn new(now: Instant, current: u64) -> Self {
        Self {
            heard_at: now,
            since: current,
            heard: current,
            default_until: Until::At(Instant::BOOT),
            preference: Preference::Medium,
            managed: false,
            other: false,
            prefixes: BTreeMap::new(),
            routes: BTreeMap::new(),
            resolvers: Vec::new(),
            search: Vec::new(),
            pref64: Vec::new(),
            captive_portal: None,
            reach: Reach::default(),
            last: None,
            last_carried: BTreeSet::new(),
            splits: Evidence::default(),
            returns: Evidence::default(),
        }
    }

    /// How an advertisement that carries these prefixes relates to the earlier ones. It is compared
    /// with the last, not with all that are remembered: a router that returns to earlier prefixes
    /// has changed as well.
    pub(super) fn arrival(&self, now: Instant, carried: &BTreeSet<Ipv6Net>) -> Arrival {
        let one = |prefix: &Ipv6Net| match self.prefixes.get(prefix) {
            Some(known) if known.is_live(now) && self.last_carried.contains(prefix) => {
                Arrival::Nothing
            }
            Some(known) if known.is_live(now) => Arrival::Returned,
            Some(Announced { gone: Some(Gone::Missing(_)), .. }) => Arrival::Again,
            Some(_) | None => Arrival::Unknown,
        };
        carried.iter().map(one).max().unwrap_or(Arrival::Nothing)
    }

    /// How long after such an advertisement the router is solicited about the prefixes that it
    /// omitted; none where it is not. A prefix that it never advertised before is a change,
    /// whatever its habits are.
    pub(super) fn pause_before_asking(&self, now: Instant, arrival: Arrival) -> Option<Duration> {
        match arrival {
            Arrival::Nothing => None,
            Arrival::Unknown => Some(Duration::ZERO),
            Arrival::Again => match self.returns.count(now).checked_sub(HABIT) {
                None => Some(Duration::ZERO),
                Some(more) => Some(PAUSE * (1 << more.min(4))),
            },
            Arrival::Returned => {
                let more = (self.splits.count(now) + 1).saturating_sub(HABIT);
                Some(PAUSE * (1 << (2 * more.min(4))))
            }
        }
    }

    /// Notes whether an advertisement had a prefix that its router was solicited about, and whether
    /// it had all prefixes of the router.
    pub(super) fn take_evidence(&mut self, now: Instant, confirmed: bool, held_all: bool) {
        if held_all {
            (self.splits, self.returns) = (Evidence::default(), Evidence::default());
        } else if confirmed {
            self.splits.add(now);
        }
    }

    /// Whether its last Router Lifetime was not zero.
    pub(super) fn is_default(&self) -> bool {
        self.default_until > Until::At(self.heard_at)
    }

    /// When it will have missed its interval.
    pub(super) fn overdue_at(&self) -> Option<Instant> {
        let lifetime = self.default_until.at().map_or(Duration::MAX, |at| at.since(self.heard_at));
        self.reach.overdue_at(self.heard_at, lifetime)
    }

    /// Preferred prefixes of this router that `advertisement` does not mention.
    pub(super) fn omitted(
        &self,
        now: Instant,
        advertisement: &RouterAdvertisement,
    ) -> Vec<Ipv6Net> {
        let mentioned = |prefix| advertisement.prefixes().any(|pio| pio.prefix == prefix);
        self.prefixes
            .iter()
            .filter(|(prefix, known)| {
                known.is_live(now) && !known.deprecated && !mentioned(**prefix)
            })
            .map(|(prefix, _)| *prefix)
            .collect()
    }

    /// Takes in the advertisement with the number `current`.
    pub(super) fn take_in(
        &mut self,
        now: Instant,
        current: u64,
        advertisement: &RouterAdvertisement,
    ) {
        self.heard_at = now;
        self.heard = current;
        self.reach.heard();
        let lifetime = Lifetime::Finite(u32::from(advertisement.router_lifetime));
        self.default_until = Until::after(now, lifetime);
        self.preference =
            if lifetime.is_zero() { Preference::Medium } else { advertisement.preference };
        self.managed = advertisement.managed;
        self.other = advertisement.other;
        for option in &advertisement.options {
            self.take_option(now, option);
        }
        let mut carried = carried(advertisement).peekable();
        if carried.peek().is_some() {
            self.last_carried = carried.take(MAX_ENTRIES).collect();
        }
    }

    fn take_option(&mut self, now: Instant, option: &NdpOption) {
        match option {
            NdpOption::Prefix(pio) => self.take_prefix(now, pio),
            NdpOption::Route(route) => {
                let until = Until::after(now, route.lifetime);
                if route.prefix.prefix_len() == 0 {
                    // The option overrides the header of the same advertisement (RFC 4191 §3.1).
                    self.default_until = until;
                    self.preference = route.preference;
                } else if route.lifetime.is_zero() {
                    self.routes.remove(&route.prefix);
                } else if is_usable(route.prefix) {
                    self.keep_route(route.prefix, route.preference, until);
                }
            }
            NdpOption::Rdnss { lifetime, servers } => {
                let end = Until::after(now, *lifetime);
                for server in servers {
                    keep(&mut self.resolvers, server, end, now, self.heard);
                }
            }
            NdpOption::Dnssl { lifetime, names } => {
                let end = Until::after(now, *lifetime);
                for name in names {
                    keep(&mut self.search, name, end, now, self.heard);
                }
            }
            NdpOption::Pref64(pref64) => {
                let end = Until::after(now, Lifetime::Finite(pref64.lifetime.into()));
                keep(&mut self.pref64, &pref64.prefix, end, now, self.heard);
            }
            NdpOption::CaptivePortal(uri) => {
                let end = self.default_until.max(Until::At(now + PORTAL_LIFETIME));
                self.captive_portal = Some((uri.clone(), end));
            }
            NdpOption::Mtu(_)
            | NdpOption::SourceLinkLayer(_)
            | NdpOption::FlagsExtension(_)
            | NdpOption::Malformed { .. }
            | NdpOption::Unknown { .. } => {}
        }
    }

    fn take_prefix(&mut self, now: Instant, pio: &PrefixInformation) {
        if !is_kept(pio) {
            return;
        }
        let known = self.prefixes.contains_key(&pio.prefix);
        if !known && (pio.valid.is_zero() || !self.make_room(now)) {
            return;
        }
        let current = self.heard;
        let announced =
            self.prefixes.entry(pio.prefix).or_insert_with(|| Announced::new(now, current));
        let was_missing = matches!(announced.gone, Some(Gone::Missing(_)));
        announced.take_in(now, current, pio);
        if was_missing && !pio.preferred.is_zero() {
            self.returns.add(now);
        }
    }

    /// Makes room for one more prefix; returns whether there is any.
    fn make_room(&mut self, now: Instant) -> bool {
        if self.prefixes.len() < MAX_ENTRIES {
            return true;
        }
        let entries = self.prefixes.iter().map(|(prefix, known)| {
            let Announced { since, heard, .. } = *known;
            (*prefix, Standing { holds: known.is_live(now), since, heard })
        });
        let leaving = least_useful(entries, self.heard);
        leaving.is_some_and(|prefix| self.prefixes.remove(&prefix).is_some())
    }

    fn keep_route(&mut self, destination: Ipv6Net, preference: Preference, until: Until) {
        let current = self.heard;
        if let Some(known) = self.routes.get_mut(&destination) {
            *known = Route { preference, until, heard: current, ..*known };
            return;
        }
        if self.routes.len() >= MAX_ENTRIES {
            let entries = self.routes.iter().map(|(destination, route)| {
                let Route { since, heard, .. } = *route;
                (*destination, Standing { holds: true, since, heard })
            });
            let Some(leaving) = least_useful(entries, current) else { return };
            self.routes.remove(&leaving);
        }
        self.routes
            .insert(destination, Route { preference, until, since: current, heard: current });
    }

    /// Marks and drops entries that have run out.
    pub(super) fn expire(&mut self, now: Instant) {
        self.prefixes.retain(|_, prefix| {
            if prefix.valid_until.is_over(now) {
                if prefix.gone.is_some() {
                    return false;
                }
                prefix.expired = true;
            }
            prefix.ran_down |= prefix.preferred_until.is_over(now);
            if prefix.on_link_until.is_over(now) {
                prefix.on_link_until = Until::At(Instant::BOOT);
            }
            true
        });
        self.routes.retain(|_, route| !route.until.is_over(now));
        self.resolvers.retain(|entry| !entry.until.is_over(now));
        self.search.retain(|entry| !entry.until.is_over(now));
        self.pref64.retain(|entry| !entry.until.is_over(now));
        self.captive_portal.take_if(|(_, until)| until.is_over(now));
        if self.default_until.is_over(now) {
            self.default_until = Until::At(Instant::BOOT);
        }
    }

    /// When the next of its entries runs out.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let prefixes = self.prefixes.values().filter(|prefix| !prefix.expired);
        let ends = prefixes.flat_map(|prefix| {
            // The end of being on-link lies in the past where it was withdrawn, which was handled
            // at that time.
            let on_link = (prefix.on_link_until > Until::At(prefix.heard_at)
                && prefix.on_link_until < prefix.valid_until)
                .then_some(prefix.on_link_until);
            [Some(prefix.next_end()), on_link]
        });
        let ends = ends.flatten().chain(self.routes.values().map(|route| route.until));
        let ends = ends.chain(self.resolvers.iter().map(|entry| entry.until));
        let ends = ends.chain(self.search.iter().map(|entry| entry.until));
        let ends = ends.chain(self.pref64.iter().map(|entry| entry.until));
        let ends = ends.chain(self.captive_portal.iter().map(|(_, until)| *until));
        let default = (self.default_until > Until::At(self.heard_at)).then_some(self.default_until);
        let spent = self.is_bare().then_some(Until::At(self.heard_at + SPENT));
        ends.chain(default).chain(spent).filter_map(Until::at).min()
    }

    /// Whether no entry that it advertised is valid any more.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.default_until.is_over(now)
            && !self.prefixes.values().any(|prefix| prefix.is_live(now))
            && self.routes.is_empty()
    }

    pub(super) fn is_spent(&self, now: Instant) -> bool {
        self.is_bare() && now.since(self.heard_at) >= SPENT
    }

    fn is_bare(&self) -> bool {
        self.default_until <= Until::At(self.heard_at)
            && self.prefixes.values().all(|prefix| prefix.expired)
            && self.routes.is_empty()
            && self.resolvers.is_empty()
            && self.search.is_empty()
            && self.pref64.is_empty()
            && self.captive_portal.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A provider that changes its prefix every day also returns to old ones: that is no habit.
    #[test]
    fn one_occurrence_is_forgotten_each_five_minutes_since_the_last() {
        let at = |seconds: u64| Instant::from_secs(1000 + seconds);
        let mut seen = Evidence::default();
        assert_eq!(seen.count(at(0)), 0);
        [0, 10, 20].into_iter().for_each(|seconds| seen.add(at(seconds)));
        let cases = [(20, 3), (319, 3), (320, 2), (619, 2), (620, 1), (920, 0), (90_000, 0)];
        for (seconds, count) in cases {
            assert_eq!(seen.count(at(seconds)), count, "after {seconds} s");
        }
        seen.add(at(620));
        assert_eq!((seen.count(at(620)), seen.count(at(920))), (2, 1));
    }

    /// A missing prefix that its router only deprecates has not returned.
    #[test]
    fn a_missing_prefix_returns_when_it_is_advertised_as_preferred() {
        let now = Instant::from_secs(1000);
        let prefix: Ipv6Net = "2001:db8:a::/64".parse().unwrap();
        let advertisement = |preferred| {
            let pio = PrefixInformation {
                prefix,
                valid: Lifetime::Finite(1800),
                preferred: Lifetime::Finite(preferred),
                on_link: true,
                autonomous: true,
                delegation_preferred: false,
            };
            let options = vec![NdpOption::Prefix(pio)];
            RouterAdvertisement { options, ..RouterAdvertisement::default() }
        };
        let mut router = Router::new(now, 1);
        router.take_in(now, 1, &advertisement(900));
        for (preferred, returns) in [(0, 0), (900, 1), (0, 1)] {
            router.prefixes.get_mut(&prefix).unwrap().miss(now);
            router.take_in(now, 2, &advertisement(preferred));
            assert_eq!(router.returns.count(now), returns, "preferred for {preferred} s");
        }
    }
}
