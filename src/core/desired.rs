//! The desired state: what the kernel and the links should show, derived as a whole.
//!
//! Every lifetime here is an absolute instant, so that what was merely refreshed on its way does
//! not differ from what was there.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

mod carve;
mod passed;

use super::advertise::Content;
use super::delegate::{BindingKey, Delegating};
use super::hear::{DefaultRouter, EffectivePrefix, Parameters, SpecificRoute};
use super::input::IfIndex;
use super::lease::{DelegatedPrefix, Ending, LeasedAddress};
use super::output::{Group, Sysctl};
use super::plan::Without;
use super::stable_address;
use super::system::{KernelAddress, KernelRoute, Link, RouteKey, RouteTarget, System};
use crate::config::{self, AddressMode, Config, InterfaceId, Resolver, SearchList};
use crate::time::{Deadline, Instant, Until};
use crate::wire::dhcpv6_service::ServiceOption;
use crate::wire::ndp_option::Preference;

use carve::Carved;
pub use carve::Carving;

/// Metric of a route to a link of ours: better than any learnt route, and than the 256 of the
/// kernel's own, which others' addresses in the same subnet bring.
const ON_LINK_METRIC: u32 = 240;
/// Metric of the route that keeps unassigned space from looping (DWN-02): worse than any other.
const UNREACHABLE_METRIC: u32 = 4096;
/// Metrics of learnt routes by preference; routers and uplinks of one preference follow on.
const LEARNT_METRICS: [(Preference, u32); 3] =
    [(Preference::High, 512), (Preference::Medium, 1024), (Preference::Low, 1536)];

/// Further identifiers that are tried after duplicates (RFC 7217 §7).
const IDGEN_RETRIES: u8 = 3;

/// What the stages before have found out about one uplink.
#[derive(Clone, Debug, Default)]
pub struct UplinkFacts {
    /// A router was heard since the interface came.
    pub heard: bool,
    /// What its routers advertise.
    pub prefixes: Vec<EffectivePrefix>,
    /// Most preferred first.
    pub default_routers: Vec<DefaultRouter>,
    /// More specific routes.
    pub routes: Vec<SpecificRoute>,
    /// Everything else that they advertise.
    pub parameters: Parameters,
    /// What is delegated, and what was until lately.
    pub delegated: Vec<DelegatedPrefix>,
    /// What is leased for the uplink itself.
    pub addresses: Vec<LeasedAddress>,
    /// DNS servers and search domains of the lease.
    pub resolvers: (Ending<Ipv6Addr>, Ending<String>),
    /// Options of the lease that are passed on to hosts.
    pub services: Vec<ServiceOption>,
}

/// All that the desired state is a function of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Links and what is on them.
    pub system: &'a System,
    /// By uplink or static prefix.
    pub sources: &'a BTreeMap<String, UplinkFacts>,
    /// Secret of stable interface identifiers.
    pub secret: &'a [u8; 32],
    /// A default route leads to the provider, the loss hold (RA-TX-30) included.
    pub default_route: bool,
}

impl Desired {
    /// When the first of the objects ends.
    pub(super) fn next_end(&self, now: Instant) -> Option<Deadline> {
        let ends = self.ends().filter(|at| *at > now);
        ends.min().map(|at| Deadline::new(at, "end of an address or route"))
    }

    /// Whether an object has ended.
    pub(super) fn next_end_before(&self, now: Instant) -> bool {
        self.ends().any(|at| at <= now)
    }

    fn ends(&self) -> impl Iterator<Item = Instant> {
        let addresses = self.addresses.values().map(|address| address.valid_until);
        addresses.chain(self.routes.values().map(|route| route.until)).filter_map(Until::at)
    }

    /// Takes over what [`delegated_routes`] has found; the routes that the binding had.
    pub(super) fn set_delegated(
        &mut self,
        key: &BindingKey,
        routes: Option<Vec<KernelRoute>>,
    ) -> Vec<KernelRoute> {
        if routes.is_none() {
            self.stranded.insert(key.clone());
        } else {
            self.stranded.remove(key);
        }
        let before = match routes.filter(|routes| !routes.is_empty()) {
            Some(routes) => self.delegated.insert(key.clone(), routes),
            None => self.delegated.remove(key),
        };
        before.unwrap_or_default()
    }

    /// All routes.
    pub fn all_routes(&self) -> impl Iterator<Item = &KernelRoute> {
        self.routes.values().chain(self.delegated.values().flatten())
    }
}

/// What should be.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Desired {
    /// Addresses with our mark.
    pub addresses: BTreeMap<(IfIndex, Ipv6Addr), KernelAddress>,
    /// Routes with our mark, but those to what is delegated onward.
    pub routes: BTreeMap<RouteKey, KernelRoute>,
    /// Routes to what is delegated onward. One message changes those of one binding.
    pub delegated: BTreeMap<BindingKey, Vec<KernelRoute>>,
    /// Bindings without routes, as their next hop is no neighbor.
    pub stranded: BTreeSet<BindingKey>,
    /// Settings, by interface name.
    pub sysctls: BTreeMap<(String, Sysctl), i32>,
    /// Uplinks that are ours now: what the kernel made of earlier advertisements goes.
    pub taken_over: BTreeSet<IfIndex>,
    /// Groups that have to be heard.
    pub groups: BTreeSet<(Group, IfIndex)>,
    /// UDP port 547 has to be open.
    pub serve: bool,
    /// What the links are told, by downlink.
    pub contents: BTreeMap<String, Content>,
    /// Downlinks that go without a subnet, with the delegation and the reason.
    pub without: BTreeMap<(String, Ipv6Net), Without>,
}

/// Derives the desired state at `now`, which matters only for what has ended.
pub fn from_scratch(
    facts: Facts<'_>,
    carving: &Carving,
    delegating: &Delegating,
    now: Instant,
) -> Desired {
    let mut desired = Desired { without: carving.without.clone(), ..Desired::default() };
    let carved = carving.parts.as_slice();
    for (position, (name, uplink)) in facts.config.uplinks.iter().enumerate() {
        let (Some(link), Some(heard)) = (facts.system.link(name), facts.sources.get(name)) else {
            continue;
        };
        settings(&mut desired, uplink, link, heard);
        if !link.running {
            continue;
        }
        leased_addresses(&mut desired, link, heard);
        if uplink.address != AddressMode::Kernel {
            if heard.heard {
                desired.taken_over.insert(link.index);
            }
            uplink_addresses(&mut desired, facts, now, uplink, link, heard);
            learnt_routes(&mut desired, uplink, link, heard, position, carved);
        }
    }
    for (name, downlink) in &facts.config.downlinks {
        downlink_state(&mut desired, facts, delegating, now, name, downlink, carved);
    }
    for part in carved {
        let until = end_of(&part.prefix, facts.config, part.prefix.valid_until);
        if !until.is_over(now) {
            // Linux keeps no end of a route that leads nowhere: one that is wanted would be a
            // difference for ever.
            route(
                &mut desired,
                part.prefix.prefix,
                RouteTarget::Unreachable,
                UNREACHABLE_METRIC,
                Until::Never,
            );
        }
    }
    for key in delegating.bindings().keys() {
        let routes = delegated_routes(facts.system, delegating, key);
        desired.set_delegated(key, routes);
    }
    desired
}

/// The routes of a binding; none by way of what is no neighbor, which the kernel would refuse.
pub fn delegated_routes(
    system: &System,
    delegating: &Delegating,
    key: &BindingKey,
) -> Option<Vec<KernelRoute>> {
    let Some(link) = system.link(&key.downlink).filter(|link| link.running) else {
        return Some(Vec::new());
    };
    let routes = delegating.routes(key, link.index);
    let is_on_link = |route: &KernelRoute| match route.target {
        RouteTarget::Gateway(interface, next_hop) => system.is_on_link(interface, next_hop),
        RouteTarget::OnLink(_) | RouteTarget::Unreachable => true,
    };
    routes.iter().all(is_on_link).then_some(routes)
}

/// The end of what is made from a delegated prefix: that of the lease, or of the grace time.
fn end_of(prefix: &DelegatedPrefix, config: &Config, valid_until: Until) -> Until {
    prefix.gone_since.map_or(valid_until, |since| Until::At(since + config.grace))
}

fn settings(desired: &mut Desired, uplink: &config::Uplink, link: &Link, heard: &UplinkFacts) {
    let mut set = |name, value| desired.sysctls.insert((link.name.clone(), name), value);
    // The kernel's own processing would make a second address per prefix (RA-RX-80); where it is
    // wanted, forwarding needs 2 (RA-RX-81).
    set(Sysctl::AcceptRa, if uplink.address == AddressMode::Kernel { 2 } else { 0 });
    if uplink.address == AddressMode::Kernel {
        return;
    }
    if let Some(hop_limit) = heard.parameters.hop_limit {
        set(Sysctl::HopLimit, i32::from(hop_limit));
    }
    if let Some(mtu) = heard.parameters.mtu.and_then(|mtu| i32::try_from(mtu).ok()) {
        set(Sysctl::Mtu, mtu);
    }
}

fn leased_addresses(desired: &mut Desired, link: &Link, heard: &UplinkFacts) {
    for leased in &heard.addresses {
        // No on-link prefix is implied (UPL-07).
        let address = KernelAddress {
            prefix_len: 128,
            ..ours(link, leased.address, leased.preferred_until, leased.valid_until)
        };
        desired.addresses.insert((link.index, leased.address), address);
    }
}

fn uplink_addresses(
    desired: &mut Desired,
    facts: Facts<'_>,
    now: Instant,
    uplink: &config::Uplink,
    link: &Link,
    heard: &UplinkFacts,
) {
    let replaced = heard.prefixes.iter().any(|prefix| {
        prefix.autonomous && prefix.gone_since.is_none() && !prefix.preferred_until.is_over(now)
    });
    for prefix in &heard.prefixes {
        // What a router withdrew stays by the two-hour rule while there is nothing else, and
        // leaves after the grace time once there is (UPL-10, UPL-11).
        let valid_until = match prefix.gone_since {
            Some(since) if replaced => {
                prefix.valid_until.min(Until::At(since + facts.config.grace))
            }
            Some(_) | None => prefix.valid_until,
        };
        if valid_until.is_over(now) {
            continue;
        }
        if prefix.on_link {
            let target = RouteTarget::OnLink(link.index);
            route(desired, prefix.prefix, target, ON_LINK_METRIC, valid_until);
        }
        if prefix.autonomous
            && let Some(address) = address_in(prefix.prefix, facts, uplink.address, link)
        {
            let address = ours(link, address, prefix.preferred_until, valid_until);
            desired.addresses.insert((link.index, address.address), address);
        }
    }
}

/// The address of the uplink in `prefix`, if there is one that no other node holds. A link without
/// link-layer address has no EUI-64 and falls back.
fn address_in(
    prefix: Ipv6Net,
    facts: Facts<'_>,
    mode: AddressMode,
    link: &Link,
) -> Option<Ipv6Addr> {
    let free =
        |id: &InterfaceId| !facts.system.duplicates.contains(&(link.index, id.in_prefix(prefix)));
    let stable = || {
        (0..=IDGEN_RETRIES)
            .map(|counter| stable_address::stable(facts.secret, prefix, &link.name, counter))
            .find(free)
    };
    let id = match mode {
        AddressMode::Fixed(id) => Some(id).filter(free),
        AddressMode::Eui64 => {
            let octets = link.link_layer_address.as_deref();
            match octets.and_then(stable_address::eui64) {
                Some(id) => Some(id).filter(free),
                None => stable(),
            }
        }
        AddressMode::Stable => stable(),
        AddressMode::Kernel | AddressMode::None => None,
    };
    id.map(|id| id.in_prefix(prefix))
}

fn learnt_routes(
    desired: &mut Desired,
    uplink: &config::Uplink,
    link: &Link,
    heard: &UplinkFacts,
    position: usize,
    carved: &[Carved],
) {
    let everything = Ipv6Net::default();
    if uplink.default_route {
        for (rank, router) in heard.default_routers.iter().enumerate() {
            let target = RouteTarget::Gateway(link.index, router.address);
            let metric = metric(router.preference, position, rank);
            route(desired, everything, target, metric, router.until);
        }
    }
    // A router above announces the prefix that ours was cut from: what lies inside ours is ours.
    let foreign = |route: &&SpecificRoute| {
        !carved.iter().any(|part| part.prefix.prefix.contains(&route.destination))
    };
    for (rank, specific) in heard.routes.iter().filter(foreign).enumerate() {
        let target = RouteTarget::Gateway(link.index, specific.router);
        let metric = metric(specific.preference, position, rank);
        route(desired, specific.destination, target, metric, specific.until);
    }
}

/// Routes of equal metric would share the load between providers, each of which drops the
/// other's sources: so every router has a metric of its own.
fn metric(preference: Preference, position: usize, rank: usize) -> u32 {
    let base =
        LEARNT_METRICS.iter().find(|(of, _)| *of == preference).map_or(1024, |(_, base)| *base);
    let (position, rank) = (position.min(7), rank.min(63));
    base + u32::try_from(position * 64 + rank).unwrap_or(0)
}

fn downlink_state(
    desired: &mut Desired,
    facts: Facts<'_>,
    delegating: &Delegating,
    now: Instant,
    name: &str,
    downlink: &config::Downlink,
    carved: &[Carved],
) {
    let link = facts.system.link(name).filter(|link| link.running);
    if let Some(link) = link
        && downlink.advertise.enabled
    {
        desired.groups.insert((Group::AllRouters, link.index));
    }
    let mut content = Content::default();
    passed::pass_on(facts, downlink, &mut content);
    let serves = delegating.serves(name) || (content.informs() && downlink.advertise.may_inform());
    desired.serve |= serves;
    if let Some(link) = link
        && serves
    {
        desired.groups.insert((Group::DhcpServers, link.index));
        desired.groups.insert((Group::SiteDhcpServers, link.index));
    }
    let mut own = Vec::new();
    for part in carved {
        let until = end_of(&part.prefix, facts.config, part.prefix.valid_until);
        let held = part.prefix.gone_since.is_none();
        if until.is_over(now) {
            continue;
        }
        let Some(subnet) = part.subnets.get(name) else { continue };
        let address = downlink.address.in_prefix(*subnet);
        if let Some(link) = link {
            if !facts.system.duplicates.contains(&(link.index, address)) {
                let address = KernelAddress {
                    prefix_len: subnet.prefix_len(),
                    ..ours(link, address, part.prefix.preferred_until, until)
                };
                desired.addresses.insert((link.index, address.address), address);
            }
            route(desired, *subnet, RouteTarget::OnLink(link.index), ON_LINK_METRIC, until);
        }
        if held {
            own.push((address, until));
            content.prefixes.insert(*subnet, (part.prefix.preferred_until, until));
        }
    }
    for part in carved.iter().filter(|part| part.prefix.gone_since.is_none()) {
        content.routes.insert(part.prefix.prefix, (Preference::Medium, part.prefix.valid_until));
    }
    let configured = downlink.advertise.routes.iter();
    content.routes.extend(configured.map(|route| (*route, (Preference::Medium, Until::Never))));
    // Nothing beyond the site answers a unique local address (RFC 7084 ULA-5).
    let mut prefixes = content.prefixes.keys();
    let leads_out = prefixes.any(|prefix| !prefix.network().is_unique_local());
    content.default_router = facts.default_route && facts.system.forwarding && leads_out;
    content.resolvers = resolvers(facts, downlink, own);
    content.search = search(facts, downlink);
    desired.contents.insert(name.to_owned(), content);
}

fn resolvers(
    facts: Facts<'_>,
    downlink: &config::Downlink,
    own: Vec<(Ipv6Addr, Until)>,
) -> Vec<(Ipv6Addr, Until)> {
    let mut resolvers: Vec<(Ipv6Addr, Until)> = Vec::new();
    let mut add = |address: Ipv6Addr, until: Until| {
        if !resolvers.iter().any(|(known, _)| *known == address) {
            resolvers.push((address, until));
        }
    };
    for source in &downlink.advertise.rdnss {
        match source {
            Resolver::Own => own.iter().for_each(|(address, until)| add(*address, *until)),
            Resolver::Address(address) => add(*address, Until::Never),
            Resolver::Uplink => {
                for uplink in facts.sources.values() {
                    let all = uplink.resolvers.0.iter().chain(&uplink.parameters.resolvers);
                    // A link-local server is one only on its own link (RA-RX-63).
                    all.filter(|(address, _)| !address.is_unicast_link_local())
                        .for_each(|(address, until)| add(*address, *until));
                }
            }
        }
    }
    resolvers
}

fn search(facts: Facts<'_>, downlink: &config::Downlink) -> Vec<(String, Until)> {
    let mut names: Vec<(String, Until)> = Vec::new();
    let mut add = |name: &String, until: Until| {
        if !names.iter().any(|(known, _)| known == name) {
            names.push((name.clone(), until));
        }
    };
    for source in &downlink.advertise.dnssl {
        match source {
            SearchList::Name(name) => add(name, Until::Never),
            SearchList::Uplink => {
                for uplink in facts.sources.values() {
                    let all = uplink.resolvers.1.iter().chain(&uplink.parameters.search);
                    all.for_each(|(name, until)| add(name, *until));
                }
            }
        }
    }
    names
}

fn ours(
    link: &Link,
    address: Ipv6Addr,
    preferred_until: Until,
    valid_until: Until,
) -> KernelAddress {
    KernelAddress {
        interface: link.index,
        address,
        prefix_len: 64,
        preferred_until: preferred_until.min(valid_until),
        valid_until,
        tentative: false,
        duplicate: false,
        ours: true,
    }
}

fn route(
    desired: &mut Desired,
    destination: Ipv6Net,
    target: RouteTarget,
    metric: u32,
    until: Until,
) {
    let route = KernelRoute { destination, target, metric, until };
    desired.routes.entry(route.key()).or_insert(route);
}
