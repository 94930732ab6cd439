//! The validated configuration: the only types that the rest of the code uses.
//!
//! [`Config`] cannot hold a wrong value. A fault that only the running system shows, such as an
//! absent interface, is not an error here but a named condition in `status`.

mod claim;
mod client;
mod delegation;
mod engine;
pub mod error;
pub mod file;
pub mod keys;
mod relay;
mod rules;
mod table;
#[cfg(test)]
mod tests;
mod value;

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use ipnet::Ipv6Net;

pub use claim::{Claim, Claimant};
pub use client::{Client, ResolverTarget, Scripts};
pub use delegation::{Delegation, Layout, Limits, Peer, Pool, Static};
pub use engine::{Engine, HighAvailability, Job, LeaseDatabase, OnChange, Program, Role};
pub use error::ConfigError;
pub use relay::Relay;

use crate::wire::dhcpv6_option::{Duid, Iaid};
use crate::wire::ndp_option::Preference;

/// The configuration of a node: its role follows from it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Config {
    /// Interfaces towards the provider, by name.
    pub uplinks: BTreeMap<String, Uplink>,
    /// Interfaces towards hosts and subordinate routers, by name.
    pub downlinks: BTreeMap<String, Downlink>,
    /// Static prefixes, which no server delegates to us, by name.
    pub statics: BTreeMap<String, Static>,
    /// Delegations to known subordinate routers, by name.
    pub delegations: BTreeMap<String, Delegation>,
    /// Pools for other requesting routers, by name.
    pub pools: BTreeMap<String, Pool>,
    /// Links whose requesting routers are served elsewhere, by name.
    pub relays: BTreeMap<String, Relay>,
    /// Other programs in a built-in's place, by name.
    pub engines: BTreeMap<String, Engine>,
    /// How automatic places are allotted.
    pub layout: Layout,
    /// This machine's DUID; without it one is made from the machine's identity and kept.
    pub duid: Option<Duid>,
    /// How long addresses and routes of a prefix that is gone stay, deprecated.
    pub grace: Duration,
    /// The objects that stay in the kernel after a stop.
    pub on_stop: OnStop,
    /// Forwarding of IPv6 is switched on while the agent runs.
    pub forward: bool,
    /// How the event loop is scheduled among other programs.
    pub scheduling: Scheduling,
    /// A service unit counts as started after this time at the latest, whatever its uplinks lack.
    pub ready_timeout: Duration,
    /// How long the loss of the last default router is not advertised (RA-TX-30).
    pub uplink_loss_hold: Duration,
    /// Where metrics are served; none where they are off.
    pub metrics: Option<Listen>,
    /// Other agents run on this machine: what is on interfaces that are not named here is theirs.
    pub is_confined: bool,
}

/// The address of an endpoint.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Listen {
    /// An address with a TCP port.
    Address(SocketAddr),
    /// The whole path of a socket in the file system.
    Socket(String),
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Socket(path) => f.write_str(path),
        }
    }
}

impl Config {
    /// The names of its interfaces.
    pub fn interfaces(&self) -> BTreeSet<&String> {
        let names = self.uplinks.keys().chain(self.downlinks.keys());
        names.chain(self.relays.keys()).collect()
    }

    /// Whether the agent does all by itself: it starts no other program, and writes
    /// outside of its own directories nowhere.
    pub fn is_self_contained(&self) -> bool {
        !matches!(self.metrics, Some(Listen::Socket(_)))
            && self
                .uplinks
                .values()
                .all(|uplink| uplink.requester.is_none() && uplink.client.is_none())
            && self
                .downlinks
                .values()
                .all(|downlink| downlink.advertiser.is_none() && downlink.delegator.is_none())
    }
}

/// How the event loop is scheduled among other programs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Scheduling {
    /// As any other.
    #[default]
    Normal,
    /// Before all that is not real-time (SCHED_FIFO).
    Fifo,
}

/// The objects that stay in the kernel after a stop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum OnStop {
    /// Addresses and routes stay with their finite lifetimes: a restart is no outage.
    Keep,
    /// Everything is taken down and `accept_ra` restored.
    Remove,
}

/// An interface towards the provider.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Uplink {
    /// The engine that requests prefixes; none for the built-in.
    pub requester: Option<String>,
    /// How its address is made.
    pub address: AddressMode,
    /// Believe only these routers; empty for all.
    pub routers: Vec<Ipv6Addr>,
    /// Prefixes to ask for; by default one with IAID 1.
    pub delegate: Vec<Delegate>,
    /// Ask for an address (IA_NA) where a router's M flag says so.
    pub request_address: bool,
    /// Install default routes from advertisements.
    pub default_route: bool,
    /// Offer Rapid Commit in the first Solicit.
    pub rapid_commit: bool,
    /// Let servers send Reconfigure.
    pub reconfigure: bool,
    /// After a link event start with Solicit: for providers that forget.
    pub solicit_on_reconnect: bool,
    /// Verify by solicitation that an omitted prefix is gone (CHG-14).
    pub verify_omission: bool,
    /// Keep a delegated prefix to its end when a replacement comes in a Reply that does not mention
    /// it.
    pub strict: bool,
    /// Refuse delegated prefixes that are shorter than this, 1 to 64 bits.
    pub shortest_prefix: u8,
    /// Echo this address from the new prefix after a change, to see that it is routed.
    pub probe: Option<Ipv6Addr>,
    /// This machine is a host there; none where it is a router.
    pub client: Option<Client>,
}

/// How an uplink's address is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum AddressMode {
    /// This interface identifier in each prefix.
    Fixed(InterfaceId),
    /// Modified EUI-64 of the link-layer address.
    Eui64,
    /// Stable and opaque (RFC 7217).
    Stable,
    /// The kernel makes it (`accept_ra` 2); the agent watches.
    Kernel,
    /// No address.
    None,
}

/// The low 64 bits of an address.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct InterfaceId(pub u64);

impl InterfaceId {
    /// The address with this identifier in `prefix`, whose length is at most 64.
    pub fn in_prefix(self, prefix: Ipv6Net) -> Ipv6Addr {
        Ipv6Addr::from(u128::from(prefix.network()) | u128::from(self.0))
    }
}

/// A prefix to ask for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Delegate {
    /// Identifies the IA_PD.
    pub iaid: Iaid,
    /// Length hint, 1 to 64.
    pub length: Option<u8>,
}

/// An interface towards hosts and subordinate routers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Downlink {
    /// The engine that advertises; none for the built-in.
    pub advertiser: Option<String>,
    /// The engine that delegates; none for the built-in.
    pub delegator: Option<String>,
    /// Its subnet's place in each delegated prefix; none for an automatic one.
    pub subnet: Option<Place>,
    /// Only from this delegation; none for all.
    pub from: Option<Source>,
    /// Interface identifier of this router's address.
    pub address: InterfaceId,
    /// Where there are too few places higher ones are served first; among equals the name decides.
    pub priority: i32,
    /// Commit on a Solicit that offers Rapid Commit (RFC 9915 §18.3.1).
    pub rapid_commit: bool,
    /// Which relay agents are believed on this link.
    pub relays: RelaySources,
    /// What is advertised beside the subnet.
    pub advertise: Advertise,
}

/// Which relay agents a delegating router believes on a link. A relay agent states the link and the
/// link-layer address of a requesting router.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum RelaySources {
    /// Those that are neighbors: from a link-local address, or from one in a subnet of the link.
    #[default]
    OnLink,
    /// None.
    None,
    /// Those from one of these addresses or prefixes, whether on the link or not.
    Listed(Vec<Ipv6Net>),
}

/// A source of prefixes, written `tap0` or `tap0/1`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Source {
    /// The name of an uplink or of a static prefix.
    pub uplink: String,
    /// One of the uplink's IA_PDs; none for all.
    pub iaid: Option<Iaid>,
}

/// A place in a delegated prefix, written `0x3/64` from the low end or `-1/64` from the high end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Place {
    /// Counted in units of the place's own length.
    pub number: PlaceNumber,
    /// Prefix length of the place.
    pub length: u8,
}

/// The number of a place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum PlaceNumber {
    /// From the low end, 0 the lowest.
    Low(u64),
    /// From the high end, 1 the highest.
    High(u64),
}

/// What is advertised on a downlink beside its subnets (RFC 4861 §6.2.1).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Advertise {
    /// Whether router advertisements are sent at all.
    pub enabled: bool,
    /// MaxRtrAdvInterval, 4 s to 1800 s.
    pub max_interval: Duration,
    /// MinRtrAdvInterval, 3 s to 0.75 of the maximum.
    pub min_interval: Duration,
    /// MIN_DELAY_BETWEEN_RAS; 3 s, or down to 30 ms (RFC 6275).
    pub min_delay: Duration,
    /// Router Lifetime while there is a default route: 0, or from the maximal interval to 65535 s.
    pub router_lifetime: Duration,
    /// Default router preference.
    pub preference: Preference,
    /// M
    pub managed: bool,
    /// The O flag: hosts find more by DHCPv6. None where that depends on what the provider sends
    /// (LAN-01).
    pub other: Option<bool>,
    /// L of the prefix information options.
    pub on_link: bool,
    /// A of the prefix information options.
    pub autonomous: bool,
    /// Cap of the preferred lifetime (RFC 9096 §3.4).
    pub preferred_limit: Duration,
    /// Cap of the valid lifetime (RFC 9096 §3.4).
    pub valid_limit: Duration,
    /// Shorten lifetimes while hosts may hold retired prefixes (RA-TX-60).
    pub shorten: bool,
    /// Cur Hop Limit; 0 for unspecified.
    pub hop_limit: u8,
    /// Reachable Time; zero for unspecified, at most an hour.
    pub reachable_time: Duration,
    /// Retrans Timer; zero for unspecified.
    pub retrans_timer: Duration,
    /// MTU option, 1280 or more.
    pub mtu: Option<u32>,
    /// DNS servers.
    pub rdnss: Vec<Resolver>,
    /// DNS search list.
    pub dnssl: Vec<SearchList>,
    /// Routes beside the delegated prefixes.
    pub routes: Vec<Ipv6Net>,
    /// NAT64 prefix.
    pub pref64: Option<Ipv6Net>,
    /// Captive portal URI.
    pub captive_portal: Option<String>,
    /// Answer a solicitation by unicast where that is allowed.
    pub unicast_answers: bool,
    /// Send what is new to each known host by unicast as well.
    pub unicast_copies: bool,
}

/// A source of DNS servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Resolver {
    /// This router's address on the link.
    Own,
    /// Whatever the uplinks name.
    Uplink,
    /// This one.
    Address(Ipv6Addr),
}

/// A source of search domains.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SearchList {
    /// Whatever the uplinks name.
    Uplink,
    /// This one.
    Name(String),
}

impl Default for Uplink {
    /// What `--uplink` alone gives.
    fn default() -> Self {
        Self {
            requester: None,
            address: AddressMode::Stable,
            routers: Vec::new(),
            delegate: vec![Delegate { iaid: Iaid(1), length: None }],
            request_address: true,
            default_route: true,
            rapid_commit: true,
            reconfigure: true,
            solicit_on_reconnect: false,
            verify_omission: true,
            strict: false,
            shortest_prefix: 20,
            probe: None,
            client: None,
        }
    }
}

impl Advertise {
    /// Whether hosts may be sent to DHCPv6 for options that advertisements cannot carry (LAN-01).
    pub fn may_inform(&self) -> bool {
        self.other != Some(false)
    }
}

impl Default for Advertise {
    fn default() -> Self {
        Self {
            enabled: true,
            max_interval: Duration::from_secs(600),
            min_interval: Duration::from_secs(198),
            min_delay: Duration::from_secs(3),
            router_lifetime: Duration::from_secs(2700),
            preference: Preference::Medium,
            managed: false,
            other: None,
            on_link: true,
            autonomous: true,
            preferred_limit: Duration::from_secs(2700),
            valid_limit: Duration::from_secs(5400),
            shorten: true,
            hop_limit: 64,
            reachable_time: Duration::ZERO,
            retrans_timer: Duration::ZERO,
            mtu: None,
            rdnss: vec![Resolver::Uplink],
            dnssl: vec![SearchList::Uplink],
            routes: Vec::new(),
            pref64: None,
            captive_portal: None,
            unicast_answers: true,
            unicast_copies: true,
        }
    }
}

impl Default for Downlink {
    /// What `--downlink` alone gives.
    fn default() -> Self {
        Self {
            advertiser: None,
            delegator: None,
            subnet: None,
            from: None,
            address: InterfaceId(1),
            priority: 0,
            rapid_commit: true,
            relays: RelaySources::default(),
            advertise: Advertise::default(),
        }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            uplinks: BTreeMap::new(),
            downlinks: BTreeMap::new(),
            statics: BTreeMap::new(),
            delegations: BTreeMap::new(),
            pools: BTreeMap::new(),
            relays: BTreeMap::new(),
            engines: BTreeMap::new(),
            layout: Layout::default(),
            duid: None,
            grace: Duration::from_secs(30),
            on_stop: OnStop::Keep,
            forward: false,
            scheduling: Scheduling::default(),
            ready_timeout: Duration::from_secs(30),
            uplink_loss_hold: Duration::from_secs(1),
            metrics: None,
            is_confined: false,
        }
    }
}

impl Config {
    /// A configuration with these interfaces and defaults for everything else.
    ///
    /// # Errors
    ///
    /// Every [`ConfigError`] found.
    pub fn from_args(uplinks: &[String], downlinks: &[String]) -> Result<Self, Vec<ConfigError>> {
        let config = Self {
            uplinks: uplinks.iter().map(|name| (name.clone(), Uplink::default())).collect(),
            downlinks: downlinks.iter().map(|name| (name.clone(), Downlink::default())).collect(),
            ..Self::default()
        };
        let errors: Vec<ConfigError> = rules::check(&config)
            .into_iter()
            .map(|finding| ConfigError {
                file: "command line".to_owned(),
                line: None,
                key: finding.path.join("."),
                problem: finding.wrong.problem,
                remedy: finding.wrong.remedy,
            })
            .collect();
        if errors.is_empty() { Ok(config) } else { Err(errors) }
    }
}

impl Config {
    /// Gives a pool to each downlink, for all requesting routers there: two links each.
    pub fn delegate_everywhere(&mut self) {
        for name in self.downlinks.keys() {
            let pool = Pool { size: 61, length: 63, ..Pool::on(name.clone()) };
            self.pools.entry(name.clone()).or_insert(pool);
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.number {
            PlaceNumber::Low(number) => write!(f, "{number:#x}/{}", self.length),
            PlaceNumber::High(number) => write!(f, "-{number}/{}", self.length),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.iaid {
            Some(iaid) => write!(f, "{}/{iaid}", self.uplink),
            None => f.write_str(&self.uplink),
        }
    }
}
