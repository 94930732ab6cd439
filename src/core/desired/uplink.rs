//! The part of the desired state for one uplink: its addresses, the routes that routers advertise,
//! its settings.
//!
//! An advertisement is believed about its link, and never about a prefix that DHCPv6 delegated to
//! us (SEC-05): any node on the link can send one.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::carve::{Carved, Claim};
use super::stable_address;
use super::{Conflict, Desired, Facts, ON_LINK_METRIC, UplinkFacts, ours, route};
use crate::config::{self, AddressMode, InterfaceId};
use crate::core::kernel::object::{Object, Setting, Sysctl};
use crate::core::kernel::system::{KernelAddress, Link, RouteTarget};
use crate::core::uplink::hear::{EffectivePrefix, SpecificRoute};
use crate::net;
use crate::time::{Instant, Until};
use crate::wire::ndp_option::Preference;

/// Metrics of learnt routes by preference; routers and uplinks of one preference follow on.
const LEARNT_METRICS: [(Preference, u32); 3] =
    [(Preference::High, 512), (Preference::Medium, 1024), (Preference::Low, 1536)];

/// Further identifiers that are tried after duplicates (RFC 7217 §7).
const IDGEN_RETRIES: u8 = 3;

/// The most addresses of ours on one uplink, whatever is advertised: `max_addresses` of Linux.
const MAX_ADDRESSES: usize = 16;

/// The most conflicts of one uplink that are named.
const MAX_CONFLICTS: usize = 16;

/// One uplink, with all that its part of the desired state depends on.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) facts: Facts<'a>,
    pub(super) now: Instant,
    pub(super) uplink: &'a config::Uplink,
    pub(super) link: &'a Link,
    pub(super) heard: &'a UplinkFacts,
    /// Its position among the uplinks, by name.
    pub(super) position: usize,
    pub(super) carved: &'a [Carved],
}

impl Place<'_> {
    /// Adds the objects for the uplink.
    pub(super) fn contribute(self, desired: &mut Desired) {
        if let Some(client) = &self.uplink.client {
            return self.contribute_as_host(client, desired);
        }
        self.settings(desired);
        if !self.link.running {
            return;
        }
        self.leased_addresses(desired);
        if self.uplink.address == AddressMode::Kernel {
            self.leftovers(desired);
            return;
        }
        if self.heard.heard {
            desired.want(Object::Takeover(self.link.index));
        }
        self.on_link_routes(desired);
        self.formed_addresses(desired);
        self.learnt_routes(desired);
        self.conflicts(desired);
    }

    fn settings(self, desired: &mut Desired) {
        let (index, interface) = (self.link.index, &self.link.name);
        let mut set = |name, value| {
            let interface = interface.clone();
            desired.want(Object::Setting(Setting { index, interface, name, value }));
        };
        // The kernel's own processing would make a second address per prefix (RA-RX-80); where it
        // is wanted, forwarding needs 2 (RA-RX-81).
        let by_kernel = self.uplink.address == AddressMode::Kernel;
        set(Sysctl::AcceptRa, if by_kernel { 2 } else { 0 });
        if by_kernel {
            return;
        }
        let parameters = &self.heard.parameters;
        if let Some(hop_limit) = parameters.hop_limit {
            set(Sysctl::HopLimit, i32::from(hop_limit));
        }
        if let Some(mtu) = parameters.mtu.and_then(|mtu| i32::try_from(mtu).ok()) {
            set(Sysctl::Mtu, mtu);
        }
    }

    fn leased_addresses(self, desired: &mut Desired) {
        for leased in &self.heard.addresses {
            if desired.is_held_elsewhere(self.facts, self.link, leased.address) {
                // The server is sent a Decline.
                continue;
            }
            // No on-link prefix is implied (UPL-07).
            let address = KernelAddress {
                prefix_len: 128,
                ..ours(self.link, leased.address, leased.preferred_until, leased.valid_until)
            };
            desired.addresses.insert((self.link.index, leased.address), address);
        }
    }

    /// When addresses and the route of a prefix end. A prefix that a router withdrew stays by the
    /// two-hour rule while there is no other, and ends after the grace time once there is (UPL-10).
    /// A prefix of a former connection ends as soon as there is another (UPL-11).
    fn end_of(self, prefix: &EffectivePrefix) -> Until {
        match prefix.gone_since {
            Some(since) if self.is_replaced_since(since) => {
                let grace = if prefix.is_former { Duration::ZERO } else { self.facts.config.grace };
                prefix.valid_until.min(Until::At(since + grace))
            }
            Some(_) | None => prefix.valid_until,
        }
    }

    /// Whether there is a prefix for addresses that was preferred at `since` or later. The end of
    /// its preferred lifetime by now brings no removed prefix back.
    fn is_replaced_since(self, since: Instant) -> bool {
        self.heard.prefixes.iter().any(|prefix| {
            prefix.autonomous
                && prefix.gone_since.is_none()
                && prefix.preferred_until > Until::At(since)
        })
    }

    /// Removes the addresses and routes that the kernel formed of the advertisements of a former
    /// connection. The kernel does not notice the new connection and would keep them until their
    /// lifetimes end (UPL-11).
    fn leftovers(self, desired: &mut Desired) {
        let former = self.heard.prefixes.iter().filter(|prefix| prefix.is_former);
        for prefix in former.filter(|prefix| self.end_of(prefix).is_over(self.now)) {
            desired.want(Object::Leftover(self.link.index, prefix.prefix));
        }
    }

    /// Adds a route to each on-link prefix. Of two routes the longer one decides; but no route to
    /// the uplink may cover a prefix that a router behind us has.
    fn on_link_routes(self, desired: &mut Desired) {
        // Two uplinks may have the same prefix, and routes of equal metric would be one.
        let metric = ON_LINK_METRIC + u32::try_from(self.position.min(7)).unwrap_or(0);
        for prefix in self.heard.prefixes.iter().filter(|prefix| prefix.on_link) {
            let until = self.end_of(prefix);
            if !until.is_over(self.now) && !self.is_assigned(&prefix.prefix) {
                let target = RouteTarget::OnLink(self.link.index);
                route(desired, prefix.prefix, target, metric, until);
            }
        }
    }

    /// Adds addresses by stateless autoconfiguration, up to a maximum.
    fn formed_addresses(self, desired: &mut Desired) {
        let prefixes = self.heard.prefixes.iter().filter(|prefix| {
            prefix.autonomous
                && !self.end_of(prefix).is_over(self.now)
                && !self.is_assigned(&prefix.prefix)
        });
        let room = MAX_ADDRESSES.saturating_sub(self.heard.addresses.len());
        for prefix in most_useful(prefixes.collect(), room, self.now) {
            if let Some(address) = self.address_in(prefix.prefix, desired) {
                let until = self.end_of(prefix);
                let address = ours(self.link, address, prefix.preferred_until, until);
                desired.addresses.insert((self.link.index, address.address), address);
            }
        }
    }

    /// The address of the uplink in `prefix`, if there is one that no other node holds. A link
    /// without link-layer address has no EUI-64 and falls back.
    fn address_in(self, prefix: Ipv6Net, desired: &mut Desired) -> Option<Ipv6Addr> {
        let mut free = |id: &InterfaceId| {
            !desired.is_held_elsewhere(self.facts, self.link, id.in_prefix(prefix))
        };
        let stable = |free| {
            (0..=IDGEN_RETRIES)
                .map(|counter| {
                    stable_address::stable(self.facts.secret, prefix, &self.link.name, counter)
                })
                .find(free)
        };
        let id = match self.uplink.address {
            AddressMode::Fixed(id) => Some(id).filter(free),
            AddressMode::Eui64 => {
                let octets = self.link.link_layer_address.as_deref();
                match octets.and_then(net::eui64).map(InterfaceId) {
                    Some(id) => Some(id).filter(free),
                    None => stable(&mut free),
                }
            }
            AddressMode::Stable => stable(&mut free),
            AddressMode::Kernel | AddressMode::None => None,
        };
        id.map(|id| id.in_prefix(prefix))
    }

    fn learnt_routes(self, desired: &mut Desired) {
        if self.uplink.default_route {
            for (rank, router) in self.heard.default_routers.iter().enumerate() {
                let target = RouteTarget::Gateway(self.link.index, router.address);
                if router.silent {
                    let name = self.link.name.clone();
                    desired.silent_routers.insert((name, router.address));
                }
                // A router that does not answer is less preferred than all that do.
                let preference = if router.silent { Preference::Low } else { router.preference };
                let metric = metric(preference, self.position, rank);
                route(desired, Ipv6Net::default(), target, metric, router.until);
            }
        }
        let mut rank = 0;
        let mut before = None;
        for specific in self.heard.routes.iter().filter(|specific| self.is_foreign(specific)) {
            rank = if before == Some(specific.destination) { rank + 1 } else { 0 };
            before = Some(specific.destination);
            let target = RouteTarget::Gateway(self.link.index, specific.router);
            let metric = metric(specific.preference, self.position, rank);
            route(desired, specific.destination, target, metric, specific.until);
        }
    }

    /// Whether a route leads outside of our delegated prefixes. A router above announces the prefix
    /// that ours was cut from: any part of ours is routed here.
    fn is_foreign(self, route: &SpecificRoute) -> bool {
        let mut claims = self.carved.iter().map(|part| part.claim_on(&route.destination));
        claims.all(|claim| !matches!(claim, Claim::Assigned | Claim::Unassigned))
    }

    /// Whether a link or router behind us has a part of `prefix`.
    fn is_assigned(self, prefix: &Ipv6Net) -> bool {
        self.carved.iter().any(|part| part.claim_on(prefix) == Claim::Assigned)
    }

    /// Adds the conflicts between advertised and delegated prefixes, and on-link prefixes that
    /// contain a delegated one.
    fn conflicts(self, desired: &mut Desired) {
        let live = self.heard.prefixes.iter().filter(|prefix| prefix.gone_since.is_none());
        let prefixes = live.map(|prefix| (prefix.prefix, true));
        let routes = self.heard.routes.iter().map(|route| (route.destination, false));
        let found = prefixes.chain(routes).filter_map(|(advertised, on_link)| {
            self.carved.iter().find_map(|part| {
                let conflict = match part.claim_on(&advertised) {
                    Claim::Elsewhere | Claim::Excluded => return None,
                    // Each router above has a route to the prefix that ours was cut from.
                    Claim::Around if !on_link => return None,
                    Claim::Assigned if !on_link && advertised == part.prefix.prefix => return None,
                    Claim::Around => Conflict::Around(part.prefix.prefix),
                    Claim::Unassigned if on_link => Conflict::Unassigned(part.prefix.prefix),
                    Claim::Assigned | Claim::Unassigned => Conflict::Assigned(part.prefix.prefix),
                };
                Some((advertised, conflict))
            })
        });
        for (advertised, conflict) in found.take(MAX_CONFLICTS) {
            desired.conflicts.insert((self.link.name.clone(), advertised), conflict);
        }
    }
}

/// Chooses the prefixes that addresses are formed in where there is `room` for that many only:
/// first those that the router of the lease advertises, then those of other routers, and of each
/// the preferred before the deprecated. A quarter of the room is for deprecated prefixes all the
/// same, as connections continue to use them until their end. Among equals one half of the room is
/// for the oldest, the other for the newest, so that neither can be crowded out.
fn most_useful(
    prefixes: Vec<&EffectivePrefix>,
    mut room: usize,
    now: Instant,
) -> Vec<&EffectivePrefix> {
    if prefixes.len() <= room {
        return prefixes;
    }
    let is_deprecated = |prefix: &EffectivePrefix| {
        prefix.gone_since.is_some() || prefix.preferred_until.is_over(now)
    };
    let mut chosen = Vec::new();
    for of_lease in [true, false] {
        let of_kind = prefixes.iter().copied().filter(|prefix| prefix.of_lease == of_lease);
        let (deprecated, preferred): (Vec<_>, Vec<_>) =
            of_kind.partition(|prefix| is_deprecated(prefix));
        let reserved = deprecated.len().min(room / 4);
        for (class, reserved) in [(preferred, reserved), (deprecated, 0)] {
            let class = oldest_and_newest(class, room - reserved);
            room -= class.len();
            chosen.extend(class);
        }
    }
    chosen
}

/// Chooses `room` of `prefixes`: the oldest and the newest.
fn oldest_and_newest(mut prefixes: Vec<&EffectivePrefix>, room: usize) -> Vec<&EffectivePrefix> {
    if let Some(excess) = prefixes.len().checked_sub(room) {
        prefixes.sort_by_key(|prefix| prefix.since);
        let oldest = room / 2;
        prefixes.drain(oldest..oldest + excess);
    }
    prefixes
}

/// Routes of equal metric would share the load between providers, each of which drops the
/// other's sources: so every router has a metric of its own.
fn metric(preference: Preference, position: usize, rank: usize) -> u32 {
    let base =
        LEARNT_METRICS.iter().find(|(of, _)| *of == preference).map_or(1024, |(_, base)| *base);
    let (position, rank) = (position.min(7), rank.min(63));
    base + u32::try_from(position * 64 + rank).unwrap_or(0)
}
