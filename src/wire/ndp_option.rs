//! Neighbor discovery options (RFC 4861 §4.6, RFC 4191, RFC 8106, RFC 8781, RFC 8910).

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::DecodeError;
use crate::time::Lifetime;

/// How much a router or a route is preferred (RFC 4191 §2.1).
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Preference {
    /// 11
    Low,
    /// 00
    #[default]
    Medium,
    /// 01
    High,
}

/// A prefix information option (RFC 4861 §4.6.2, RFC 9762 for P).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrefixInformation {
    /// The prefix, its bits beyond the length cleared.
    pub prefix: Ipv6Net,
    /// L
    pub on_link: bool,
    /// A
    pub autonomous: bool,
    /// P: prefer prefix delegation (RFC 9762).
    pub delegation_preferred: bool,
    /// Valid lifetime.
    pub valid: Lifetime,
    /// Preferred lifetime; that it exceeds the valid one is for the receiver to judge.
    pub preferred: Lifetime,
}

/// A route information option (RFC 4191 §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RouteInformation {
    /// The destination, its bits beyond the length cleared.
    pub prefix: Ipv6Net,
    /// Preference; an option with the reserved value is malformed.
    pub preference: Preference,
    /// Route lifetime.
    pub lifetime: Lifetime,
}

/// A NAT64 prefix option (RFC 8781 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pref64 {
    /// The prefix, of length 96, 64, 56, 48, 40 or 32.
    pub prefix: Ipv6Net,
    /// Seconds, a multiple of 8 up to 65528; encoding rounds up.
    pub lifetime: u16,
}

/// A neighbor discovery option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NdpOption {
    /// Type 1: the sender's link-layer address, with whatever padding the link has.
    SourceLinkLayer(Vec<u8>),
    /// Type 3.
    Prefix(PrefixInformation),
    /// Type 5: the link's IPv6 MTU in octets.
    Mtu(u32),
    /// Type 24.
    Route(RouteInformation),
    /// Type 25: recursive DNS servers (RFC 8106 §5.1).
    Rdnss {
        /// Of all the servers.
        lifetime: Lifetime,
        /// At least one.
        servers: Vec<Ipv6Addr>,
    },
    /// Type 31: DNS search list (RFC 8106 §5.2).
    Dnssl {
        /// Of all the names.
        lifetime: Lifetime,
        /// Names in presentation form without the final dot, cleaned of control characters.
        names: Vec<String>,
    },
    /// Type 26: flags extension (RFC 5175), its octets as they came.
    FlagsExtension(Vec<u8>),
    /// Type 37: captive portal URI (RFC 8910).
    CaptivePortal(String),
    /// Type 38.
    Pref64(Pref64),
    /// A known option whose content is wrong: ignored and counted, the packet stays valid.
    Malformed {
        /// Its type.
        kind: u8,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// An option of another type, ignored (RFC 4861 §6.1.2).
    Unknown {
        /// Its type.
        kind: u8,
        /// Its octets behind type and length.
        body: Vec<u8>,
    },
}
