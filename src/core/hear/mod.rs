//! Routers on an uplink, each with what it advertises; what really changed.
//!
//! State is kept per router (CHG-07). The effective state is the union over routers, and only a
//! change of the union is a change. Omission alone withdraws nothing (RA-RX-41); a prefix that a
//! router omits while it brings another one is verified by a unicast solicitation (CHG-14).

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use crate::time::{Deadline, Instant, Until};
use crate::wire::ndp::RouterAdvertisement;
use crate::wire::ndp_option::Preference;

/// How one uplink hears.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Believe only these routers; empty for all.
    pub routers: Vec<Ipv6Addr>,
    /// Verify omitted prefixes.
    pub verify_omission: bool,
}

/// The routers of one uplink.
#[derive(Clone, Debug)]
pub struct Routers {
    _rules: Rules,
}

/// What an advertisement, or the passing of time, changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Heard {
    /// On-link or autonomous prefixes whose effective state changed.
    pub prefixes: Vec<PrefixChange>,
    /// Another effective fact changed: default routers, routes, resolvers, flags, MTU.
    pub others: bool,
    /// Lifetimes moved: the desired state has to be derived anew, but nothing is a change.
    pub refreshed: bool,
    /// An advertisement after a link event brought prefixes, none of them known before it.
    pub none_confirmed: bool,
}

/// A change of the union over routers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PrefixChange {
    /// Of this prefix.
    pub prefix: Ipv6Net,
    /// What happened to it.
    pub kind: PrefixChangeKind,
}

/// What can happen to an on-link or autonomous prefix.
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

/// A prefix as the union of the routers has it.
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
    /// When every router that advertised it had withdrawn it, or it was found missing; what is
    /// made from it can leave after the grace time once something else is in its place.
    pub gone_since: Option<Instant>,
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

/// Single-valued facts and lists for those who want them, the newest of each.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parameters {
    /// Some router's M flag.
    pub managed: bool,
    /// Some router's O flag.
    pub other: bool,
    /// IPv6 MTU, when in 1280..=device MTU.
    pub mtu: Option<u32>,
    /// Cur Hop Limit, when said.
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
    /// There are too many routers already (RA-RX-69).
    TooManyRouters,
}

impl Reject {
    /// A short stable name, used as the label of a counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unlisted => "unlisted-router",
            Self::TooManyRouters => "too-many-routers",
        }
    }
}

/// How long a default router or anything else may stay a suspect before its verdict: see CHG-14.
pub const VERDICT_DELAY: Duration = Duration::from_secs(1);

impl Routers {
    /// Nothing heard yet.
    pub const fn new(rules: Rules) -> Self {
        Self { _rules: rules }
    }

    /// Takes in a valid advertisement from `source`; `link_mtu` is the device's.
    ///
    /// # Errors
    ///
    /// [`Reject`] when it is not to be believed; nothing changes then.
    pub fn handle_advertisement(
        &mut self,
        _now: Instant,
        _source: Ipv6Addr,
        _advertisement: &RouterAdvertisement,
        _link_mtu: u32,
    ) -> Result<Heard, Reject> {
        todo!()
    }

    /// Lets what has run out run out, and gives verdicts that are due.
    pub fn handle_timeout(&mut self, _now: Instant) -> Heard {
        todo!()
    }

    /// The link went down and came back, or a program says that it connected anew (UPL-11):
    /// prefixes heard before are unconfirmed. When the first advertisement after it brings other
    /// prefixes, those that it does not confirm are verified like omitted ones, without a second
    /// prefix having to appear; on a point-to-point link they are missing at once.
    pub fn handle_link_event(&mut self, _now: Instant, _point_to_point: bool) {
        todo!()
    }

    /// A router that has to be asked by a unicast solicitation (CHG-14).
    pub fn poll_solicitation(&mut self, _now: Instant) -> Option<Ipv6Addr> {
        todo!()
    }

    /// When something runs out, or a verdict or a solicitation is due.
    pub fn deadline(&self) -> Option<Deadline> {
        todo!()
    }

    /// The union of the prefixes, by prefix.
    pub fn prefixes(&self, _now: Instant) -> Vec<EffectivePrefix> {
        todo!()
    }

    /// The default routers, most preferred first, then by address.
    pub fn default_routers(&self, _now: Instant) -> Vec<DefaultRouter> {
        todo!()
    }

    /// More specific routes, by destination and router.
    pub fn routes(&self, _now: Instant) -> Vec<SpecificRoute> {
        todo!()
    }

    /// Everything else.
    pub fn parameters(&self, _now: Instant) -> Parameters {
        todo!()
    }
}
