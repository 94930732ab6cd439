//! The facts about an uplink that other parts use.

use super::Uplink;
use super::hear::Routers;
use super::lease::Lease;
use super::solicit::Solicitation;
use crate::core::desired::UplinkFacts;
use crate::core::stage::Prefixes;
use crate::time::Instant;
use crate::wire::dhcpv6_option::Duid;

impl Uplink {
    /// The progress of router solicitation.
    pub(in crate::core) fn solicitation(&self) -> Solicitation {
        self.solicit.progress(self.routers.count())
    }

    /// The facts that the desired state is derived from.
    pub(in crate::core) fn facts(&self, now: Instant) -> UplinkFacts {
        UplinkFacts {
            heard: self.heard,
            prefixes: self.routers.prefixes(now),
            default_routers: self.routers.default_routers(now),
            routes: self.routers.routes(now),
            parameters: self.routers.parameters(now),
            delegated: self.lease.prefixes(),
            addresses: self.lease.addresses(),
            resolvers: self.lease.resolvers(),
            services: self.lease.services().to_vec(),
            asks_itself: self.host.needs_port()
                || (self.lease.is_built_in() && self.speaks_dhcpv6()),
            stale: self.stale_prefixes(now),
            prefers_delegation: self.prefers_delegation(),
            needs_room: self.host.needs_room,
            is_managed_elsewhere: self.is_managed_elsewhere(),
        }
    }

    /// The prefixes in use, for the record of a change.
    pub(in crate::core) fn current(&self, now: Instant) -> Prefixes {
        let on_link = self.routers.prefixes(now).into_iter();
        let delegated = self.lease.prefixes().into_iter();
        Prefixes {
            on_link: on_link
                .filter(|prefix| {
                    prefix.gone_since.is_none() && !prefix.preferred_until.is_over(now)
                })
                .map(|prefix| prefix.prefix)
                .collect(),
            delegated: delegated
                .filter(|prefix| {
                    prefix.gone_since.is_none() && !prefix.preferred_until.is_over(now)
                })
                .map(|prefix| prefix.prefix)
                .collect(),
        }
    }

    /// The server that gave the lease, and what is under way, for status.
    pub(in crate::core) fn describe_lease(&self) -> (Option<Duid>, &'static str) {
        let (server, state) = self.lease.describe();
        (server, if self.is_mute { "waiting for UDP port 546" } else { state })
    }

    /// Its routers.
    pub(in crate::core) const fn routers(&self) -> &Routers {
        &self.routers
    }

    /// Its lease.
    pub(in crate::core) const fn lease(&self) -> &Lease {
        &self.lease
    }
}
