//! What one router advertises, and the judgement of a single option.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::Preference;
use crate::time::{Instant, Lifetime, Until};
use crate::wire::ndp::RouterAdvertisement;
use crate::wire::ndp_option::{NdpOption, PrefixInformation};

/// Entries of one kind kept for one router (RA-RX-69).
const MAX_ENTRIES: usize = 64;
/// RFC 4862 §5.5.3 e.
const TWO_HOURS: Duration = Duration::from_secs(7200);
/// A router that has nothing to say for so long is forgotten.
const SPENT: Duration = Duration::from_secs(7200);
/// The captive portal option has no lifetime (RFC 8910 §2.3): it holds as long as the router that
/// advertised it is one, and for three of the usual intervals at least.
const PORTAL_LIFETIME: Duration = Duration::from_secs(1800);
/// An address is formed in a prefix of this length only (RFC 4862 §5.5.3 d, RFC 4291 §2.5.1).
const AUTONOMOUS_LENGTH: u8 = 64;

/// A prefix as one router advertises it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Announced {
    pub(super) heard_at: Instant,
    /// On-link until then; in the past where L was never set.
    pub(super) on_link_until: Until,
    pub(super) autonomous: bool,
    /// The preferred lifetime was zero when last heard.
    pub(super) deprecated: bool,
    pub(super) preferred_until: Until,
    /// By the two-hour rule where addresses are formed.
    pub(super) valid_until: Until,
    pub(super) gone: Option<Gone>,
    /// Ran out; remembered so that its return by itself is no change.
    pub(super) expired: bool,
    /// Already asked about since it was last heard.
    pub(super) suspected: bool,
    /// Not heard since a link event.
    pub(super) unconfirmed: bool,
    /// The advertisement at hand is the first after a link event to carry it.
    pub(super) was_unconfirmed: bool,
}

/// Why and since when a prefix is gone though its valid lifetime may run on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gone {
    Withdrawn(Instant),
    Missing(Instant),
}

impl Gone {
    pub(super) const fn since(self) -> Instant {
        match self {
            Self::Withdrawn(since) | Self::Missing(since) => since,
        }
    }
}

impl Announced {
    const fn new(now: Instant) -> Self {
        Self {
            heard_at: now,
            on_link_until: Until::At(Instant::BOOT),
            autonomous: false,
            deprecated: false,
            preferred_until: Until::At(Instant::BOOT),
            valid_until: Until::At(Instant::BOOT),
            gone: None,
            expired: false,
            suspected: false,
            unconfirmed: false,
            was_unconfirmed: false,
        }
    }

    /// Takes in a PIO whose L or A is set.
    fn take_in(&mut self, now: Instant, pio: &PrefixInformation) {
        let valid = Until::after(now, pio.valid);
        self.heard_at = now;
        self.suspected = false;
        self.expired = false;
        self.was_unconfirmed = self.unconfirmed;
        self.unconfirmed = false;
        if pio.on_link {
            // L = 0 says nothing about being on-link (RA-RX-46).
            self.on_link_until = valid;
        }
        let forms_addresses = pio.autonomous
            && pio.prefix.prefix_len() == AUTONOMOUS_LENGTH
            && pio.preferred <= pio.valid;
        if forms_addresses {
            self.valid_until = if self.autonomous && !self.valid_until.is_over(now) {
                two_hour_rule(now, self.valid_until, pio.valid)
            } else {
                valid
            };
            self.autonomous = true;
        } else if !self.autonomous {
            self.valid_until = valid;
        }
        self.deprecated = pio.preferred.is_zero();
        self.preferred_until = Until::after(now, pio.preferred).min(self.valid_until);
        self.gone = match self.gone {
            Some(Gone::Withdrawn(since)) if pio.valid.is_zero() => Some(Gone::Withdrawn(since)),
            Some(_) | None if pio.valid.is_zero() => Some(Gone::Withdrawn(now)),
            Some(_) | None => None,
        };
    }

    /// Advertised, and not over.
    pub(super) fn is_live(&self, now: Instant) -> bool {
        self.gone.is_none() && !self.expired && !self.valid_until.is_over(now)
    }

    /// The verdict of CHG-14.
    pub(super) fn miss(&mut self, now: Instant) {
        if self.gone.is_none() && !self.expired {
            self.gone = Some(Gone::Missing(now));
            self.preferred_until = self.preferred_until.min(Until::At(now));
        }
    }
}

/// The new end of a valid lifetime by RFC 4862 §5.5.3 e: a longer one counts, a shorter one only
/// down to two hours, so that a forged advertisement cannot take an address away.
pub(super) fn two_hour_rule(now: Instant, stored: Until, received: Lifetime) -> Until {
    let received = Until::after(now, received);
    let two_hours = Until::At(now + TWO_HOURS);
    if received > two_hours || received > stored {
        received
    } else if stored <= two_hours {
        stored
    } else {
        two_hours
    }
}

/// A router.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Router {
    pub(super) heard_at: Instant,
    pub(super) default_until: Until,
    pub(super) preference: Preference,
    pub(super) managed: bool,
    pub(super) other: bool,
    pub(super) prefixes: BTreeMap<Ipv6Net, Announced>,
    pub(super) routes: BTreeMap<Ipv6Net, (Preference, Until)>,
    pub(super) resolvers: Vec<(Ipv6Addr, Until)>,
    pub(super) search: Vec<(String, Until)>,
    pub(super) pref64: Vec<(Ipv6Net, Until)>,
    pub(super) captive_portal: Option<(String, Until)>,
    /// How often a prefix found missing was advertised again.
    pub(super) refuted: u32,
}

impl Router {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            heard_at: now,
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
            refuted: 0,
        }
    }

    /// Whether this router advertises `prefix` for the first time, or again after an end.
    pub(super) fn is_new(&self, now: Instant, prefix: Ipv6Net) -> bool {
        is_usable(prefix) && self.prefixes.get(&prefix).is_none_or(|known| !known.is_live(now))
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

    pub(super) fn take_in(&mut self, now: Instant, advertisement: &RouterAdvertisement) {
        self.heard_at = now;
        let lifetime = Lifetime::Finite(u32::from(advertisement.router_lifetime));
        self.default_until = Until::after(now, lifetime);
        self.preference =
            if lifetime.is_zero() { Preference::Medium } else { advertisement.preference };
        self.managed = advertisement.managed;
        self.other = advertisement.other;
        for option in &advertisement.options {
            self.take_option(now, option);
        }
    }

    fn take_option(&mut self, now: Instant, option: &NdpOption) {
        match option {
            NdpOption::Prefix(pio) => self.take_prefix(now, pio),
            NdpOption::Route(route) => {
                let until = Until::after(now, route.lifetime);
                if route.prefix.prefix_len() == 0 {
                    // Overrides the header of the same advertisement (RFC 4191 §3.1).
                    self.default_until = until;
                    self.preference = route.preference;
                } else if route.lifetime.is_zero() {
                    self.routes.remove(&route.prefix);
                } else if self.routes.len() < MAX_ENTRIES || self.routes.contains_key(&route.prefix)
                {
                    self.routes.insert(route.prefix, (route.preference, until));
                }
            }
            NdpOption::Rdnss { lifetime, servers } => {
                let end = Until::after(now, *lifetime);
                servers.iter().for_each(|server| keep(&mut self.resolvers, server, end, now));
            }
            NdpOption::Dnssl { lifetime, names } => {
                let end = Until::after(now, *lifetime);
                names.iter().for_each(|name| keep(&mut self.search, name, end, now));
            }
            NdpOption::Pref64(pref64) => {
                let end = Until::after(now, Lifetime::Finite(pref64.lifetime.into()));
                keep(&mut self.pref64, &pref64.prefix, end, now);
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
        if !is_usable(pio.prefix) || !(pio.on_link || pio.autonomous) {
            return;
        }
        let known = self.prefixes.contains_key(&pio.prefix);
        if !known && (pio.valid.is_zero() || !self.has_room(now)) {
            return;
        }
        let announced = self.prefixes.entry(pio.prefix).or_insert_with(|| Announced::new(now));
        if let Some(Gone::Missing(_)) = announced.gone
            && !pio.preferred.is_zero()
        {
            self.refuted = self.refuted.saturating_add(1);
        }
        announced.take_in(now, pio);
    }

    /// Whether another prefix can be kept: what is over makes room, what is live does not.
    fn has_room(&mut self, now: Instant) -> bool {
        if self.prefixes.len() < MAX_ENTRIES {
            return true;
        }
        let over = self.prefixes.iter().filter(|(_, known)| !known.is_live(now));
        let oldest = over.min_by_key(|(_, known)| known.heard_at).map(|(prefix, _)| *prefix);
        oldest.is_some_and(|prefix| self.prefixes.remove(&prefix).is_some())
    }

    /// Marks and drops what has run out.
    pub(super) fn expire(&mut self, now: Instant) {
        self.prefixes.retain(|_, prefix| {
            if prefix.valid_until.is_over(now) {
                if prefix.gone.is_some() {
                    return false;
                }
                prefix.expired = true;
            }
            if prefix.on_link_until.is_over(now) {
                prefix.on_link_until = Until::At(Instant::BOOT);
            }
            true
        });
        self.routes.retain(|_, (_, until)| !until.is_over(now));
        self.resolvers.retain(|(_, until)| !until.is_over(now));
        self.search.retain(|(_, until)| !until.is_over(now));
        self.pref64.retain(|(_, until)| !until.is_over(now));
        self.captive_portal.take_if(|(_, until)| until.is_over(now));
        if self.default_until.is_over(now) {
            self.default_until = Until::At(Instant::BOOT);
        }
    }

    /// When the next of its facts runs out.
    pub(super) fn next_end(&self) -> Option<Instant> {
        let prefixes = self.prefixes.values().filter(|prefix| !prefix.expired);
        let ends = prefixes.flat_map(|prefix| {
            // An on-link end that has passed was a withdrawal, dealt with when it came.
            let on_link = (prefix.on_link_until > Until::At(prefix.heard_at)
                && prefix.on_link_until < prefix.valid_until)
                .then_some(prefix.on_link_until);
            [Some(prefix.valid_until), on_link]
        });
        let ends = ends.flatten().chain(self.routes.values().map(|(_, until)| *until));
        let ends = ends.chain(self.resolvers.iter().map(|(_, until)| *until));
        let ends = ends.chain(self.search.iter().map(|(_, until)| *until));
        let ends = ends.chain(self.pref64.iter().map(|(_, until)| *until));
        let ends = ends.chain(self.captive_portal.iter().map(|(_, until)| *until));
        let default = (self.default_until > Until::At(self.heard_at)).then_some(self.default_until);
        let spent = self.is_bare().then_some(Until::At(self.heard_at + SPENT));
        ends.chain(default).chain(spent).filter_map(Until::at).min()
    }

    /// Nothing that it advertised holds any more.
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

/// Keeps an entry until `until`, in the order in which it was first heard; a lifetime of zero
/// drops it.
fn keep<T: Clone + PartialEq>(list: &mut Vec<(T, Until)>, entry: &T, until: Until, now: Instant) {
    if let Some((_, end)) = list.iter_mut().find(|(known, _)| known == entry) {
        *end = until;
    } else if list.len() < MAX_ENTRIES {
        list.push((entry.clone(), until));
    }
    list.retain(|(_, until)| !until.is_over(now));
}

/// No link-local, multicast or loopback prefix (RA-RX-47), and not everything either.
fn is_usable(prefix: Ipv6Net) -> bool {
    let network = prefix.network();
    prefix.prefix_len() > 0
        && !network.is_unicast_link_local()
        && !network.is_multicast()
        && !network.is_loopback()
        && !network.is_unspecified()
}
