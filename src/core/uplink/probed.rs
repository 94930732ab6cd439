//! Whether the provider routes delegated prefixes: the probe of one uplink.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::Uplink;
use super::routed::Routed;
use crate::time::Instant;

impl Uplink {
    /// Sets the delegated prefix to probe, and an address in it.
    pub(in crate::core) fn aim_probe(
        &mut self,
        now: Instant,
        candidate: Option<(Ipv6Addr, Ipv6Net)>,
    ) {
        if let Some(routed) = &mut self.routed {
            routed.aim(now, candidate.filter(|_| self.attached.is_some()));
        }
    }

    /// The next echo request: source, destination, octets.
    pub(in crate::core) fn poll_probe(
        &mut self,
        now: Instant,
    ) -> Option<(Ipv6Addr, Ipv6Addr, Vec<u8>)> {
        self.attached.as_ref()?;
        self.routed.as_mut()?.poll_transmit(now)
    }

    /// Handles an echo reply; returns whether a probe had waited for it.
    pub(in crate::core) fn handle_echo_reply(
        &mut self,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        octets: &[u8],
    ) -> bool {
        let routed = self.routed.as_mut();
        routed.is_some_and(|routed| routed.handle_echo_reply(source, destination, octets))
    }

    /// The delegated prefix that the provider does not route.
    pub(in crate::core) fn not_routed(&self) -> Option<Ipv6Net> {
        self.routed.as_ref().and_then(Routed::not_routed)
    }
}
