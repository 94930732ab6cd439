//! The desired state: what the kernel and the links should show, derived as a whole.
//!
//! Every lifetime here is an absolute instant, so that what was merely refreshed on its way does
//! not differ from what was there.

pub mod stable_address;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::Serialize;

mod carve;
mod delegated;
mod host;
mod passed;
mod suited;
mod uplink;

use super::capabilities::Capabilities;
use super::delegate::Delegating;
use super::kernel::system::{
    KernelAddress, KernelRoute, Link, Origin, RouteKey, RouteTarget, System,
};
use super::plan::Unassigned;
use crate::config::{self, Config, Resolver, SearchList};
use crate::core::downlink::advertise::Content;
use crate::core::kernel::object::{Group, Key, Object, Port, Setting, Sysctl, WHOLE_MACHINE};
use crate::core::uplink::hear::{
    DefaultRouter, EffectivePrefix, Parameters, SpecificRoute, StalePrefix,
};
use crate::core::uplink::lease::{DelegatedPrefix, Ending, LeasedAddress};
use crate::net::IfIndex;
use crate::time::{Deadline, Instant, Until};
use crate::wire::dhcpv6_service::ServiceOption;
use crate::wire::ndp_option::Preference;

use carve::Carved;
pub use carve::Carving;
pub use delegated::Delegated;

/// Metric of a route to a link of ours: better than any learnt route, and than the 256 of the
/// kernel's own, which others' addresses in the same subnet bring.
const ON_LINK_METRIC: u32 = 240;
/// Metric of the route that keeps unassigned space from looping (DWN-02): worse than any other.
const UNREACHABLE_METRIC: u32 = 4096;
/// What is known of one uplink, from which its part of the desired state is derived.
#[derive(Clone, Debug, Default)]
pub struct UplinkFacts {
    /// A router was heard since the interface appeared.
    pub heard: bool,
    /// The prefixes that its routers advertise.
    pub prefixes: Vec<EffectivePrefix>,
    /// The default routers, the most preferred first.
    pub default_routers: Vec<DefaultRouter>,
    /// More specific routes.
    pub routes: Vec<SpecificRoute>,
    /// All other parameters that its routers advertise.
    pub parameters: Parameters,
    /// The delegated prefixes, with those that ended lately.
    pub delegated: Vec<DelegatedPrefix>,
    /// The addresses leased for the uplink itself.
    pub addresses: Vec<LeasedAddress>,
    /// DNS servers and search domains of the lease.
    pub resolvers: (Ending<Ipv6Addr>, Ending<String>),
    /// Options of the lease that are passed on to hosts.
    pub services: Vec<ServiceOption>,
    /// This program requests its lease, and no other program does.
    pub asks_itself: bool,
    /// Prefixes that the kernel has formed addresses in and that no router advertises any more,
    /// where this machine is a host.
    pub stale: Vec<StalePrefix>,
    /// This machine is a host there and requests a prefix of its own because an advertised one says
    /// so (P flag), and that has not failed.
    pub prefers_delegation: bool,
    /// The kernel of a host has no room for another address.
    pub needs_room: bool,
    /// Another program follows the advertisements there.
    pub is_managed_elsewhere: bool,
}

/// The arguments that the desired state is a function of.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The capabilities of the kernel.
    pub capabilities: Capabilities,
    /// Links with their addresses and routes.
    pub system: &'a System,
    /// By uplink or static prefix.
    pub sources: &'a BTreeMap<String, UplinkFacts>,
    /// Secret of stable interface identifiers.
    pub secret: &'a [u8; 32],
    /// A default route leads to the provider, the loss hold (RA-TX-30) included.
    pub default_route: bool,
}

impl Desired {
    /// Adds an object that the kernel does not report.
    pub(super) fn want(&mut self, object: Object) {
        self.made.insert(object.key(), object);
    }

    /// Whether another node holds an address, which is then noted as one that matters.
    fn is_held_elsewhere(&mut self, facts: Facts<'_>, link: &Link, address: Ipv6Addr) -> bool {
        let key = (link.index, address);
        let is_held = facts.system.duplicates.contains(&key);
        if is_held {
            self.held_elsewhere.insert(key);
        }
        is_held
    }

    /// Whether UDP port 547 has to be open.
    pub fn serves(&self) -> bool {
        self.made.contains_key(&Key::Port(Port::Server))
    }

    /// When the first of the objects ends.
    pub(super) fn next_end(&self) -> Option<Deadline> {
        self.ends.first().map(|at| Deadline::new(*at, "end of an address or route"))
    }

    /// Whether objects have ended by `now` that no earlier call has returned.
    pub(super) fn take_ended(&mut self, now: Instant) -> bool {
        let ended = self.ends.partition_point(|at| *at <= now);
        self.ends.drain(..ended).next().is_some()
    }

    /// Records when its objects end, once it is complete. The routes of bindings are not among
    /// these: bindings have deadlines of their own.
    pub(super) fn note_ends(&mut self, now: Instant) {
        let addresses = self.addresses.values().map(|address| address.valid_until);
        let untils = addresses.chain(self.routes.values().map(|route| route.until));
        self.ends = untils.filter_map(Until::at).filter(|at| *at > now).collect();
        self.ends.sort_unstable();
    }
}

/// The desired state.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Desired {
    /// Addresses with our mark.
    pub addresses: BTreeMap<(IfIndex, Ipv6Addr), KernelAddress>,
    /// Routes with our mark, without those to delegated prefixes.
    pub routes: BTreeMap<RouteKey, KernelRoute>,
    /// Objects of other kinds: settings, memberships, the server's port, uplinks that are ours.
    pub made: BTreeMap<Key, Object>,
    /// The prefixes of the local networks where this machine is a host, by interface, with their
    /// ends.
    pub networks: BTreeMap<String, BTreeMap<Ipv6Net, Until>>,
    /// The content of advertisements, by downlink.
    pub contents: BTreeMap<String, Content>,
    /// Downlinks without a subnet of a delegated prefix, with the reason.
    pub without: BTreeMap<(String, Ipv6Net), Unassigned>,
    /// Conflicts between prefixes that routers on an uplink advertise and delegated ones, by uplink
    /// and advertised prefix.
    pub conflicts: BTreeMap<(String, Ipv6Net), Conflict>,
    /// When addresses and routes end, in order.
    pub(super) ends: Vec<Instant>,
    /// Default routers that do not answer while others are heard, by uplink.
    pub silent_routers: BTreeSet<(String, Ipv6Addr)>,
    /// Addresses that would be wanted if no other node held them.
    pub held_elsewhere: BTreeSet<(IfIndex, Ipv6Addr)>,
}

/// How a prefix that a router on an uplink advertises is in conflict with a delegated one, which
/// it carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "conflict", content = "delegated", rename_all = "kebab-case")]
pub enum Conflict {
    /// It is on-link around the delegated prefix. Both are routes, and the longer one decides.
    Around(Ipv6Net),
    /// It is on-link, and part of the delegated prefix that no router behind us has: it is used.
    Unassigned(Ipv6Net),
    /// It would lead to the uplink what is delegated to us: it is not used.
    Assigned(Ipv6Net),
}

/// Derives the desired state at `now`, which matters only for lifetimes that have ended.
pub fn from_scratch(
    facts: Facts<'_>,
    carving: &Carving,
    delegating: &Delegating,
    now: Instant,
) -> Desired {
    let mut desired = Desired { without: carving.without.clone(), ..Desired::default() };
    let carved = carving.parts.as_slice();
    if facts.config.forward {
        let (index, interface) = (IfIndex(0), WHOLE_MACHINE.to_owned());
        let setting = Setting { index, interface, name: Sysctl::Forwarding, value: 1 };
        desired.want(Object::Setting(setting));
    }
    for (position, (name, uplink)) in facts.config.uplinks.iter().enumerate() {
        let Some(heard) = facts.sources.get(name) else { continue };
        if heard.asks_itself {
            desired.want(Object::Port(Port::Client));
        }
        let Some(link) = facts.system.link(name) else { continue };
        let on = uplink::Place { facts, now, uplink, link, heard, position, carved };
        on.contribute(&mut desired);
    }
    for (name, downlink) in &facts.config.downlinks {
        downlink_state(&mut desired, facts, delegating, now, name, downlink, carved);
    }
    for part in carved {
        let until = end_of(&part.prefix, facts.config, part.prefix.valid_until);
        if !until.is_over(now) {
            route(
                &mut desired,
                part.prefix.prefix,
                RouteTarget::Unreachable,
                UNREACHABLE_METRIC,
                if facts.capabilities.unreachable_routes_end { until } else { Until::Never },
            );
        }
    }
    desired
}

/// When addresses and routes of a delegated prefix end: with the lease, or after the grace time.
fn end_of(prefix: &DelegatedPrefix, config: &Config, valid_until: Until) -> Until {
    prefix.gone_since.map_or(valid_until, |since| Until::At(since + config.grace))
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
        desired.want(Object::Membership(Group::AllRouters, link.index));
    }
    let mut content = Content::default();
    passed::pass_on(facts, downlink, &mut content);
    let informs = content.informs() && downlink.advertise.may_inform();
    let serves = delegating.serves(name) || (informs && delegating.answers());
    let observes = delegating.observes(name);
    if serves || observes {
        desired.want(Object::Port(Port::Server));
    }
    if let Some(link) = link
        && observes
    {
        desired.want(Object::Membership(Group::DhcpServers, link.index));
    }
    if let Some(link) = link
        && serves
    {
        desired.want(Object::Membership(Group::DhcpServers, link.index));
        desired.want(Object::Membership(Group::SiteDhcpServers, link.index));
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
        let duplicate = link.is_some_and(|link| desired.is_held_elsewhere(facts, link, address));
        if let Some(link) = link {
            if !duplicate {
                let address = KernelAddress {
                    prefix_len: subnet.prefix_len(),
                    ..ours(link, address, part.prefix.preferred_until, until)
                };
                desired.addresses.insert((link.index, address.address), address);
            }
            route(desired, *subnet, RouteTarget::OnLink(link.index), ON_LINK_METRIC, until);
        }
        if held {
            // A duplicate address is that of another node, which may be no resolver.
            if !duplicate {
                own.push((address, until));
            }
            content.prefixes.insert(*subnet, (part.prefix.preferred_until, until));
        }
    }
    for part in carved.iter().filter(|part| part.prefix.gone_since.is_none()) {
        content.routes.insert(part.prefix.prefix, (Preference::Medium, part.prefix.valid_until));
    }
    let configured = downlink.advertise.routes.iter();
    content.routes.extend(configured.map(|route| (*route, (Preference::Medium, Until::Never))));
    // No node beyond the site answers a unique local address (RFC 7084 ULA-5).
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
        origin: Origin::Other,
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

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_secs(100);
    const LINUX: Capabilities = Capabilities::LINUX;

    fn net(text: &str) -> Ipv6Net {
        text.parse().unwrap()
    }

    /// The route that keeps the rest of a delegated prefix from the uplink.
    fn unreachable(capabilities: Capabilities) -> KernelRoute {
        let config = config::file::parse("", "[uplink.wan0]\n[downlink.lan0]\n").unwrap();
        let end = Until::At(Instant::from_secs(500));
        let delegated = DelegatedPrefix {
            iaid: crate::wire::dhcpv6_option::Iaid(1),
            prefix: net("2001:db8::/56"),
            exclude: None,
            preferred_until: end,
            valid_until: end,
            gone_since: None,
        };
        let source = UplinkFacts { delegated: vec![delegated], ..UplinkFacts::default() };
        let (sources, system) = (BTreeMap::from([("wan0".to_owned(), source)]), System::default());
        let (secret, default_route) = (&[0; 32], true);
        let facts = Facts {
            config: &config,
            capabilities,
            system: &system,
            sources: &sources,
            secret,
            default_route,
        };
        let duid = crate::wire::dhcpv6_option::Duid::from_uuid([7; 16]);
        let random = crate::core::random::Random::new([7; 32]);
        let delegating = Delegating::new(duid, &BTreeMap::new(), 0, random);
        let desired = from_scratch(facts, &Carving::new(facts), &delegating, NOW);
        let mut routes = desired.routes.into_values();
        routes.find(|route| route.target == RouteTarget::Unreachable).unwrap()
    }

    #[test]
    fn an_unreachable_route_ends_where_the_kernel_keeps_its_end() {
        let capable = Capabilities { unreachable_routes_end: true, ..LINUX };
        let route = unreachable(capable);
        assert_eq!(route.destination, net("2001:db8::/56"));
        assert_eq!(route.until, Until::At(Instant::from_secs(500)));
        assert_eq!(unreachable(LINUX).until, Until::Never);
    }
}
