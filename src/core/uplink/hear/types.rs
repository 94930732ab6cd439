//! The results of advertisements, in the form in which the rest of the core uses them.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use crate::time::{Instant, Until};
use crate::wire::ndp_option::Preference;

/// A change of the union over routers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PrefixChange {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The kind of change.
    pub kind: PrefixChangeKind,
}

/// The changes of an on-link or autonomous prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PrefixChangeKind {
    /// Not known before.
    Appeared,
    /// Preferred lifetime 0.
    Deprecated,
    /// Preferred again.
    Restored,
    /// Valid lifetime 0.
    Withdrawn,
    /// No longer advertised after asking (CHG-14).
    Missing,
    /// Ran out by itself.
    Expired,
}

/// A router has become a default router, or is none any more.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct RouterChange {
    /// Its link-local address.
    pub address: Ipv6Addr,
    /// It is one from here on.
    pub is_default: bool,
}

/// A prefix in the union over routers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EffectivePrefix {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// Some router says that it is on-link, and it is still so.
    pub on_link: bool,
    /// Addresses may be formed from it.
    pub autonomous: bool,
    /// Preferred until; in the past or now when deprecated, withdrawn or missing.
    pub preferred_until: Until,
    /// Valid until, by the two-hour rule (RFC 4862 §5.5.3 e).
    pub valid_until: Until,
    /// The number of the advertisement that it appeared with.
    pub since: u64,
    /// The router that the lease came from advertises it.
    pub of_lease: bool,
    /// When every router that advertised it had withdrawn it, or it was found missing; its
    /// addresses and routes can be removed after the grace time once there is another prefix.
    pub gone_since: Option<Instant>,
    /// It is gone because the link, which has one peer, has connected anew: nothing is reached from
    /// its addresses any more (UPL-11).
    pub is_former: bool,
}

/// A default router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DefaultRouter {
    /// Its link-local address.
    pub address: Ipv6Addr,
    /// How much it is preferred; a route information option for `::/0` overrides the header.
    pub preference: Preference,
    /// Until when.
    pub until: Until,
    /// It does not answer while another one is heard.
    pub silent: bool,
}

/// A more specific route (RFC 4191).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SpecificRoute {
    /// Destination; never `::/0`.
    pub destination: Ipv6Net,
    /// Through this router.
    pub router: Ipv6Addr,
    /// How much it is preferred.
    pub preference: Preference,
    /// Until when.
    pub until: Until,
}

/// Single-valued facts and lists, the newest of each.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parameters {
    /// Some router's M flag.
    pub managed: bool,
    /// Some router's O flag.
    pub other: bool,
    /// IPv6 MTU, when in 1280..=device MTU.
    pub mtu: Option<u32>,
    /// Cur Hop Limit, where specified.
    pub hop_limit: Option<u8>,
    /// DNS servers, each with its end, in the order heard.
    pub resolvers: Vec<(Ipv6Addr, Until)>,
    /// Search domains, each with its end.
    pub search: Vec<(String, Until)>,
    /// NAT64 prefixes, each with its end.
    pub pref64: Vec<(Ipv6Net, Until)>,
    /// Captive portal URI.
    pub captive_portal: Option<String>,
}

/// Why an advertisement that decodes is not believed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reject {
    /// Not in the list of believed routers (SEC-04).
    Unlisted,
}

impl Reject {
    /// A short stable name, used as the label of a counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unlisted => "unlisted-router",
        }
    }
}
