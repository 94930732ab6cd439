//! Advertisements that repeat the last one of their router: their lifetimes start anew or count
//! down, and nothing else has changed (CHG-01).

use std::time::Duration;

use super::prefix::Gone;
use super::router::{Router, carried};
use crate::time::{Instant, Lifetime, Until};
use crate::wire::ndp::RouterAdvertisement;
use crate::wire::ndp_option::NdpOption;

/// A repeated lifetime is set in the kernel when one part in this many is left of the one that the
/// kernel knows, well before its end.
const PART: u32 = 4;
/// The least and the longest time from an advertisement to the update: a router may advertise every
/// 30 ms (RFC 6275 §7.5), and each update derives the whole desired state.
pub(super) const SOONEST: Duration = Duration::from_millis(500);
const LATEST: Duration = Duration::from_secs(10);

/// Whether `advertisement` equals `last` in everything but lifetimes.
pub(super) fn is_repeated(last: &RouterAdvertisement, advertisement: &RouterAdvertisement) -> bool {
    let RouterAdvertisement { router_lifetime, options, .. } = advertisement;
    let header = RouterAdvertisement {
        router_lifetime: *router_lifetime,
        options: Vec::new(),
        ..*advertisement
    };
    let header_before =
        RouterAdvertisement { router_lifetime: *router_lifetime, options: Vec::new(), ..*last };
    header == header_before
        && (*router_lifetime == 0) == (last.router_lifetime == 0)
        && options.len() == last.options.len()
        && options.iter().zip(&last.options).all(|(one, other)| is_same_option(one, other))
}

fn is_same_option(one: &NdpOption, other: &NdpOption) -> bool {
    let alike = |one: Lifetime, other: Lifetime| one.is_zero() == other.is_zero();
    match (one, other) {
        (NdpOption::Prefix(one), NdpOption::Prefix(other)) => {
            one.prefix == other.prefix
                && (one.on_link, one.autonomous) == (other.on_link, other.autonomous)
                && one.delegation_preferred == other.delegation_preferred
                && (one.preferred <= one.valid) == (other.preferred <= other.valid)
                && alike(one.valid, other.valid)
                && alike(one.preferred, other.preferred)
        }
        (NdpOption::Route(one), NdpOption::Route(other)) => {
            (one.prefix, one.preference) == (other.prefix, other.preference)
                && alike(one.lifetime, other.lifetime)
        }
        (
            NdpOption::Rdnss { lifetime, servers },
            NdpOption::Rdnss { lifetime: before, servers: known },
        ) => servers == known && alike(*lifetime, *before),
        (
            NdpOption::Dnssl { lifetime, names },
            NdpOption::Dnssl { lifetime: before, names: known },
        ) => names == known && alike(*lifetime, *before),
        (NdpOption::Pref64(one), NdpOption::Pref64(other)) => {
            one.prefix == other.prefix && (one.lifetime == 0) == (other.lifetime == 0)
        }
        _ => one == other,
    }
}

impl Router {
    /// Whether `advertisement` can move only the ends of lifetimes: it repeats the last one, and
    /// all entries of that are still there unchanged.
    pub(super) fn repeats(&self, now: Instant, advertisement: &RouterAdvertisement) -> bool {
        self.last.as_ref().is_some_and(|last| is_repeated(last, advertisement))
            && !self.reach.is_silent()
            && !self.reach.is_doubtful()
            && self.next_end().is_none_or(|end| end > now)
            && carried(advertisement).all(|prefix| {
                self.prefixes.get(&prefix).is_some_and(|known| {
                    known.is_live(now) && !known.suspected && !known.unconfirmed
                })
            })
            && advertisement.options.iter().all(|option| self.has(option))
    }

    /// Whether the entry of an option is kept, or has ended where the option ends it.
    fn has(&self, option: &NdpOption) -> bool {
        match option {
            NdpOption::Prefix(pio) => self.prefixes.get(&pio.prefix).is_none_or(|known| {
                known.deprecated == pio.preferred.is_zero()
                    && pio.valid.is_zero() == matches!(known.gone, Some(Gone::Withdrawn(_)))
            }),
            NdpOption::Route(route) if route.prefix.prefix_len() > 0 => {
                route.lifetime.is_zero() != self.routes.contains_key(&route.prefix)
            }
            NdpOption::Rdnss { lifetime, servers } => servers.iter().all(|server| {
                let mut known = self.resolvers.iter();
                lifetime.is_zero() != known.any(|entry| entry.value == *server)
            }),
            NdpOption::Dnssl { lifetime, names } => names.iter().all(|name| {
                let mut known = self.search.iter();
                lifetime.is_zero() != known.any(|entry| entry.value == *name)
            }),
            NdpOption::Pref64(pref64) => {
                let mut known = self.pref64.iter();
                (pref64.lifetime == 0) != known.any(|entry| entry.value == pref64.prefix)
            }
            NdpOption::CaptivePortal(uri) => {
                self.captive_portal.as_ref().is_some_and(|(known, _)| known == uri)
            }
            NdpOption::Route(_)
            | NdpOption::SourceLinkLayer(_)
            | NdpOption::Mtu(_)
            | NdpOption::FlagsExtension(_)
            | NdpOption::Malformed { .. }
            | NdpOption::Unknown { .. } => true,
        }
    }

    /// Handles an advertisement that repeats the last; returns the time by which the new lifetimes
    /// have to be in the kernel.
    pub(super) fn take_in_again(
        &mut self,
        now: Instant,
        current: u64,
        advertisement: &RouterAdvertisement,
    ) -> Instant {
        let before = self.next_end();
        self.take_in(now, current, advertisement);
        let ends = [before, self.next_end()];
        let first = ends.into_iter().flatten().min().map_or(Until::Never, Until::At);
        let left = first.at().map_or(Duration::MAX, |at| at.since(now));
        now + (left / PART).clamp(SOONEST, LATEST)
    }
}
