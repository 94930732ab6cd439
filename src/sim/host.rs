//! A host that configures itself: addresses by RFC 4862 §5.5, default routers by RFC 4861 §6.3.4
//! with the preferences of RFC 4191 §3.2, solicitations at its start by RFC 4861 §6.3.7.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::network::Frame;
use crate::net;
use crate::time::{Instant, Lifetime, Until};
use crate::wire::ndp::{RouterAdvertisement, RouterSolicitation};
use crate::wire::ndp_option::{NdpOption, Preference, PrefixInformation};

/// A valid lifetime that is advertised without authentication is not shortened below that (RFC
/// 4862 §5.5.3 e).
pub const TWO_HOURS: Duration = Duration::from_secs(7200);

/// RTR_SOLICITATION_INTERVAL and MAX_RTR_SOLICITATIONS (RFC 4861 §10).
const SOLICITATION_INTERVAL: Duration = Duration::from_secs(4);
const MAX_SOLICITATIONS: u8 = 3;

/// An address that a host has formed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FormedAddress {
    /// The address.
    pub address: Ipv6Addr,
    /// From then on it is deprecated.
    pub preferred_until: Until,
    /// From then on it is gone.
    pub valid_until: Until,
}

/// A router that a host may send packets to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct DefaultRouter {
    preference: Preference,
    until: Until,
}

/// A host on one link.
#[derive(Clone, Debug)]
pub struct Host {
    /// Its link-local address; the others have the same interface identifier.
    pub link_local: Ipv6Addr,
    /// When it first heard of a prefix as one to use for new connections.
    pub heard_first: BTreeMap<Ipv6Net, Instant>,
    addresses: BTreeMap<Ipv6Net, FormedAddress>,
    routers: BTreeMap<Ipv6Addr, DefaultRouter>,
    solicitations: u8,
}

impl Host {
    /// A host that knows nothing but its link-local address.
    pub const fn new(link_local: Ipv6Addr) -> Self {
        Self {
            link_local,
            heard_first: BTreeMap::new(),
            addresses: BTreeMap::new(),
            routers: BTreeMap::new(),
            solicitations: 0,
        }
    }

    /// The addresses that are valid, beside the link-local one.
    pub fn addresses(&self, now: Instant) -> impl Iterator<Item = &FormedAddress> {
        self.addresses.values().filter(move |one| !one.valid_until.is_over(now))
    }

    /// The addresses that new connections use, in text.
    pub fn preferred(&self, now: Instant) -> Vec<String> {
        let preferred = self.addresses(now).filter(|one| !one.preferred_until.is_over(now));
        preferred.map(|one| one.address.to_string()).collect()
    }

    /// Default routers by their addresses, those first that are preferred (RFC 4191 §3.2).
    pub fn default_routers(&self, now: Instant) -> Vec<Ipv6Addr> {
        let live = self.routers.iter().filter(|(_, router)| !router.until.is_over(now));
        let mut routers: Vec<_> = live.map(|(address, router)| (rank(*router), *address)).collect();
        routers.sort_unstable();
        routers.into_iter().map(|(_, address)| address).collect()
    }

    /// Whether an address is one of its own.
    pub fn holds(&self, now: Instant, address: Ipv6Addr) -> bool {
        address == self.link_local || self.addresses(now).any(|one| one.address == address)
    }

    /// Takes in a packet. What is no router advertisement changes nothing, and neither does one
    /// that RFC 4861 §6.1.2 has discarded.
    pub fn take(&mut self, now: Instant, frame: &Frame) {
        if frame.ports.is_none()
            && frame.source.is_unicast_link_local()
            && let Ok(advertisement) = RouterAdvertisement::decode(&frame.octets)
        {
            self.hear(now, frame.source, &advertisement);
        }
    }

    /// Takes in an advertisement of a router.
    pub fn hear(&mut self, now: Instant, router: Ipv6Addr, advertisement: &RouterAdvertisement) {
        // RFC 4861 §6.3.4: a router whose lifetime is zero is a default router no more.
        if advertisement.router_lifetime == 0 {
            self.routers.remove(&router);
        } else {
            let lifetime = Lifetime::Finite(advertisement.router_lifetime.into());
            let until = Until::after(now, lifetime);
            let preference = advertisement.preference;
            self.routers.insert(router, DefaultRouter { preference, until });
        }
        for option in &advertisement.options {
            if let NdpOption::Prefix(prefix) = option {
                self.form(now, prefix);
            }
        }
    }

    /// Forms an address of a prefix, or changes the lifetimes of the one that it has.
    fn form(&mut self, now: Instant, heard: &PrefixInformation) {
        let prefix = heard.prefix.trunc();
        // RFC 4862 §5.5.3 a, b, c.
        let is_link_local = prefix.network().is_unicast_link_local();
        if !heard.autonomous || is_link_local || heard.preferred > heard.valid {
            return;
        }
        if !heard.preferred.is_zero() {
            self.heard_first.entry(prefix).or_insert(now);
        }
        self.addresses.retain(|_, one| !one.valid_until.is_over(now));
        let preferred_until = Until::after(now, heard.preferred);
        let valid_until = Until::after(now, heard.valid);
        match self.addresses.get_mut(&prefix) {
            // e
            Some(has) => {
                has.preferred_until = preferred_until;
                has.valid_until = shortened(now, has.valid_until, valid_until);
            }
            // d: a prefix that leaves no room for the interface identifier is ignored.
            None if !heard.valid.is_zero() && prefix.prefix_len() == 64 => {
                let bits = u128::from(prefix.network()) | u128::from(self.link_local) << 64 >> 64;
                let address = bits.into();
                let formed = FormedAddress { address, preferred_until, valid_until };
                self.addresses.insert(prefix, formed);
            }
            None => {}
        }
    }

    /// The next solicitation, and after how long it is followed by another; none where a default
    /// router is known or enough were sent.
    pub fn solicit(&mut self, now: Instant) -> Option<(Frame, Duration)> {
        if self.solicitations >= MAX_SOLICITATIONS || !self.default_routers(now).is_empty() {
            return None;
        }
        self.solicitations += 1;
        let octets = RouterSolicitation { options: Vec::new() }.encode();
        let frame = Frame::icmpv6(self.link_local, net::ALL_ROUTERS, octets);
        Some((frame, SOLICITATION_INTERVAL))
    }
}

/// The end of a valid lifetime after `heard` was advertised for an address that has `until` (RFC
/// 4862 §5.5.3 e 1 to 3): one may be extended, but not shortened below two hours.
fn shortened(now: Instant, until: Until, heard: Until) -> Until {
    let two_hours = Until::At(now + TWO_HOURS);
    if heard > two_hours || heard > until {
        heard
    } else if until <= two_hours {
        until
    } else {
        two_hours
    }
}

/// The place of a router among others.
const fn rank(router: DefaultRouter) -> u8 {
    match router.preference {
        Preference::High => 0,
        Preference::Medium => 1,
        Preference::Low => 2,
    }
}

#[cfg(test)]
mod tests;
