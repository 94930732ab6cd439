//! Delegations to subordinate routers, and static prefixes.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::{Place, Source};
use crate::wire::dhcpv6_option::{Duid, Iaid};

/// A prefix that no server delegates to us: that of a fixed site, or one that the control socket
/// sets.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Static {
    /// The prefix at the start; none until the control socket sets one.
    pub prefix: Option<Ipv6Net>,
    /// How long the prefix is preferred from the start, or from the moment when it is set; none for
    /// ever.
    pub preferred: Option<Duration>,
    /// How long the prefix is valid from the start, or from the moment when it is set; none for
    /// ever.
    pub valid: Option<Duration>,
}

/// The part of each delegated prefix that a known subordinate router gets.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Delegation {
    /// The downlink that its messages arrive on.
    pub downlink: String,
    /// The router.
    pub peer: Peer,
    /// Only for its IA_PD of this number; none for any.
    pub iaid: Option<Iaid>,
    /// Its place in each delegated prefix; none for an automatic one.
    pub place: Option<Place>,
    /// Length of an automatic place.
    pub length: u8,
    /// Only from this source; none for all.
    pub from: Option<Source>,
    /// Where there are too few places higher ones are served first; among equals the name decides.
    pub priority: i32,
    /// The next hop of packets, in the place of the address that the router's messages come from.
    pub next_hop: Option<Ipv6Addr>,
    /// How often the router renews if it accepts no Reconfigure; none to let the lifetimes decide.
    pub renew_every: Option<Duration>,
    /// Limits of the lifetimes.
    pub lifetimes: Limits,
}

/// How a subordinate router is recognized.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Peer {
    /// By this DUID.
    Duid(Duid),
    /// By this link-layer address.
    LinkLayer(Vec<u8>),
}

/// A part of each delegated prefix for requesting routers that no delegation names.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Pool {
    /// The downlink that their messages arrive on.
    pub downlink: String,
    /// Only for routers that ask through a relay whose link-address lies in here.
    pub link: Option<Ipv6Net>,
    /// The pool's place in each delegated prefix; none for an automatic one.
    pub place: Option<Place>,
    /// Length of an automatic place of the whole pool.
    pub size: u8,
    /// Length of the prefix that each router gets.
    pub length: u8,
    /// Only from this source; none for all.
    pub from: Option<Source>,
    /// Which pool goes first where there are too few places; higher first, then by name.
    pub priority: i32,
    /// How many IA_PDs one requesting router can have served (RFC 8987 §4.1).
    pub per_router: usize,
    /// How many one neighbor can have, whatever DUIDs it comes with; and never more than a quarter
    /// of the pool.
    pub per_neighbor: usize,
    /// How often routers renew that accept no Reconfigure; none to let the lifetimes decide.
    pub renew_every: Option<Duration>,
    /// Limits of the lifetimes.
    pub lifetimes: Limits,
}

impl Pool {
    /// A pool of the usual kind on a downlink.
    pub fn on(downlink: String) -> Self {
        Self {
            downlink,
            link: None,
            place: None,
            size: Self::DEFAULT_SIZE,
            length: Self::DEFAULT_LENGTH,
            from: None,
            priority: 0,
            per_router: Self::DEFAULT_PER_ROUTER,
            per_neighbor: Self::DEFAULT_PER_NEIGHBOR,
            renew_every: None,
            lifetimes: Limits::default(),
        }
    }

    /// Length of a router's prefix by default (RFC 9818: a /64 unless configured otherwise).
    pub const DEFAULT_LENGTH: u8 = 64;
    /// Length of an automatic place: sixteen /64.
    pub const DEFAULT_SIZE: u8 = 60;
    /// IA_PDs per requesting router (RFC 8987 §4.1 wants eight or more).
    pub const DEFAULT_PER_ROUTER: usize = 8;
    /// IA_PDs per neighbor, whatever DUIDs it comes with.
    pub const DEFAULT_PER_NEIGHBOR: usize = 32;
}

/// Limits of lifetimes (RFC 9096 §3.4).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    /// Of the preferred lifetime.
    pub preferred: Duration,
    /// Of the valid lifetime.
    pub valid: Duration,
}

/// How automatic places are allotted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Layout {
    /// Each from where its name alone decides.
    #[default]
    Scattered,
    /// From the high end, the smallest first: three /64, three /62, three /60 and three /58 come
    /// to lie below the highest /64 without a gap.
    Descending,
}

impl Default for Limits {
    fn default() -> Self {
        Self { preferred: Duration::from_secs(2700), valid: Duration::from_secs(5400) }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duid(duid) => duid.fmt(f),
            Self::LinkLayer(octets) => {
                let octets: Vec<_> = octets.iter().map(|octet| format!("{octet:02x}")).collect();
                f.write_str(&octets.join(":"))
            }
        }
    }
}
