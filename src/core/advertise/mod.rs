//! Router advertisements on one downlink (RFC 4861 §6.2): when, and with which lifetimes.
//!
//! What is to be said comes as a whole, with absolute ends ([`Content`]). What hosts were promised
//! is remembered, so that a prefix that leaves the content is withdrawn in every advertisement
//! for as long as some host may hold it (RFC 9096 §3.5).

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::random::Random;
use crate::config;
use crate::time::{Deadline, Instant, Until};
use crate::wire::ndp::RouterSolicitation;
use crate::wire::ndp_option::Preference;

/// What should be advertised on a link, from the desired state.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Content {
    /// A default route leads to the provider, the machine forwards, and the link has a prefix.
    pub default_router: bool,
    /// Subnets: preferred and valid until. Ends may lie in the past for a deprecated one.
    pub prefixes: BTreeMap<Ipv6Net, (Until, Until)>,
    /// Routes, with their ends.
    pub routes: BTreeMap<Ipv6Net, (Preference, Until)>,
    /// DNS servers, in order, with their ends.
    pub resolvers: Vec<(Ipv6Addr, Until)>,
    /// Search domains, in order, with their ends.
    pub search: Vec<(String, Until)>,
}

/// An advertisement to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// ff02::1 or who solicited.
    pub destination: Ipv6Addr,
    /// The encoded messages: more than one where the link's MTU is too small for all options.
    pub messages: Vec<Vec<u8>>,
}

/// A promise that has to be remembered before the next [`Transmit`] is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promise {
    /// For this prefix.
    pub prefix: Ipv6Net,
    /// Hosts may hold it until then.
    pub until: Until,
}

/// The advertisements of one downlink.
#[derive(Clone, Debug)]
pub struct Advertiser {
    _rules: config::Advertise,
    _random: Random,
}

impl Advertiser {
    /// Silent until [`link_up`](Self::link_up); `promised` is what was remembered.
    pub fn new(
        _rules: config::Advertise,
        _promised: BTreeMap<Ipv6Net, Until>,
        _random: Random,
    ) -> Self {
        todo!()
    }

    /// The link can send, with this link-layer address and MTU: the initial advertisements.
    pub fn link_up(&mut self, _now: Instant, _link_layer_address: Option<Vec<u8>>, _mtu: u32) {
        todo!()
    }

    /// The link cannot send.
    pub fn link_down(&mut self) {
        todo!()
    }

    /// Takes over what should be said. A real difference, not a mere refresh of lifetimes, is
    /// advertised at once, as far as MIN_DELAY_BETWEEN_RAS allows (RA-TX-07, RA-TX-09).
    /// Returns whether it was one.
    pub fn set_content(&mut self, _now: Instant, _content: Content) -> bool {
        todo!()
    }

    /// Takes in a valid solicitation.
    pub fn handle_solicitation(
        &mut self,
        _now: Instant,
        _source: Ipv6Addr,
        _solicitation: &RouterSolicitation,
    ) {
        todo!()
    }

    /// The final advertisement, with Router Lifetime 0 (RA-TX-57), at once.
    /// `withdraw` says the prefixes are to be withdrawn too.
    pub fn stop(&mut self, _now: Instant, _withdraw: bool) -> Transmit {
        todo!()
    }

    /// The next advertisement that is due.
    pub fn poll_transmit(&mut self, _now: Instant) -> Option<(Vec<Promise>, Transmit)> {
        todo!()
    }

    /// When the next is due.
    pub fn deadline(&self) -> Option<Deadline> {
        todo!()
    }

    /// The prefixes as the next advertisement would say them: preferred and valid seconds.
    pub fn advertised(&self, _now: Instant) -> Vec<(Ipv6Net, u32, u32)> {
        todo!()
    }

    /// The Router Lifetime that the next advertisement would say, in seconds.
    pub fn router_lifetime(&self) -> u16 {
        todo!()
    }
}
