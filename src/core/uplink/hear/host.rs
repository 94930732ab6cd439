//! Advertised prefixes on a host, whose kernel forms the addresses: which of them no router
//! advertises any more.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::prefix::Announced;
use super::router::Router;
use super::{Peers, Routers};
use crate::time::{Instant, Until};
use crate::wire::ndp::RouterAdvertisement;

/// Prefixes of addresses that the kernel formed before the agent heard any advertisement are kept
/// under this address, which no router has.
pub(super) const REMEMBERED: Ipv6Addr = Ipv6Addr::UNSPECIFIED;

/// A prefix that the kernel has formed an address in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FormedIn {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The address is preferred until then.
    pub preferred_until: Until,
    /// It is valid until then.
    pub valid_until: Until,
}

/// A prefix that no router advertises any more, or that one advertises as deprecated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StalePrefix {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// On-link until then; in the past where it is not.
    pub on_link_until: Until,
}

impl Routers {
    /// Adds the prefixes in which the kernel formed addresses before this: they are unconfirmed,
    /// like prefixes that were heard before a link event.
    pub fn remember(
        &mut self,
        now: Instant,
        formed: impl Iterator<Item = FormedIn>,
        point_to_point: bool,
    ) {
        let formed = formed.map(|one| (one.prefix, announced(now, one)));
        let mut router = Router::new(now, self.count);
        router.prefixes = formed.take(super::room::MAX_ENTRIES).collect();
        if !router.prefixes.is_empty() {
            self.routers.insert(REMEMBERED, router);
            self.doubt = Some(if point_to_point { Peers::One } else { Peers::Many });
        }
    }

    /// Drops the records of the kernel's prefixes that a router advertises: its advertisement
    /// counts.
    pub(super) fn forget_remembered(&mut self, advertisement: &RouterAdvertisement) {
        if let Some(remembered) = self.routers.get_mut(&REMEMBERED) {
            let is_heard = |prefix| advertisement.prefixes().any(|pio| pio.prefix == prefix);
            remembered.prefixes.retain(|prefix, _| !is_heard(*prefix));
        }
    }

    /// The prefixes that were heard, and that no router which still answers advertises as
    /// preferred.
    pub fn stale_prefixes(&self, now: Instant) -> Vec<StalePrefix> {
        let is_there = |router: &Router| router.is_default() && !router.reach.is_silent();
        let has_heir = self.routers.values().any(|router| {
            is_there(router) && router.prefixes.values().any(|known| is_preferred(now, known))
        });
        let mut stale: Vec<StalePrefix> = Vec::new();
        let mut kept: Vec<Ipv6Net> = Vec::new();
        for router in self.routers.values() {
            // The prefixes of a router that does not answer end with it where another router
            // advertises some.
            let is_gone = has_heir && router.reach.is_silent();
            for (prefix, known) in &router.prefixes {
                if is_preferred(now, known) && !is_gone {
                    kept.push(*prefix);
                }
                match stale.iter_mut().find(|one| one.prefix == *prefix) {
                    Some(one) => one.on_link_until = one.on_link_until.max(known.on_link_until),
                    None => {
                        let on_link_until = known.on_link_until;
                        stale.push(StalePrefix { prefix: *prefix, on_link_until });
                    }
                }
            }
        }
        stale.retain(|one| !kept.contains(&one.prefix));
        stale
    }

    /// Whether a router sets the P flag of a preferred prefix: hosts should request a prefix of
    /// their own (RFC 9762 §7.1).
    pub fn prefers_delegation(&self, now: Instant) -> bool {
        let known = self.routers.values().flat_map(|router| router.prefixes.values());
        known.into_iter().any(|known| {
            known.delegation_preferred && known.is_live(now) && !known.preferred_until.is_over(now)
        })
    }

    /// Whether a router sets the P flag of this prefix.
    pub fn is_shared(&self, prefix: &Ipv6Net) -> bool {
        let known = self.routers.values().filter_map(|router| router.prefixes.get(prefix));
        known.into_iter().any(|known| known.delegation_preferred)
    }

    /// The kernel reports that a neighbor does not answer. Returns whether it is a default router,
    /// which is to be solicited.
    pub fn handle_unreachable(&mut self, now: Instant, address: Ipv6Addr) -> bool {
        let router = self.routers.get_mut(&address).filter(|router| router.is_default());
        router.is_some_and(|router| router.reach.check_at_once(now))
    }
}

fn is_preferred(now: Instant, known: &Announced) -> bool {
    known.autonomous && known.is_live(now) && !known.preferred_until.is_over(now)
}

const fn announced(now: Instant, formed: FormedIn) -> Announced {
    Announced {
        on_link_until: formed.valid_until,
        autonomous: true,
        preferred_until: formed.preferred_until,
        valid_until: formed.valid_until,
        unconfirmed: true,
        ..Announced::new(now, 0)
    }
}
