//! The content of advertisements on a link, and which differences of it matter to hosts.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use crate::time::{Instant, Until};
use crate::wire::dhcpv6_service::ServiceOption;
use crate::wire::ndp_option::Preference;

/// The content of advertisements on a link, a part of the desired state.
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
    /// NAT64 prefixes of the routers above, with their ends; a configured one comes first.
    pub pref64: Vec<(Ipv6Net, Until)>,
    /// URI of the captive portal.
    pub captive_portal: Option<String>,
    /// Options of DHCPv6 for services, the captive portal included.
    pub services: Vec<ServiceOption>,
}

impl Content {
    /// Clears the bits beyond a prefix's length (RA-TX-38), and drops link-local and multicast
    /// prefixes (RA-TX-29).
    pub(super) fn normal(self) -> Self {
        let prefixes = self.prefixes.into_iter().map(|(prefix, ends)| (prefix.trunc(), ends));
        let routes = self.routes.into_iter().map(|(prefix, route)| (prefix.trunc(), route));
        Self {
            prefixes: prefixes.filter(|(prefix, _)| is_global(prefix.network())).collect(),
            routes: routes.collect(),
            ..self
        }
    }

    /// Whether DHCPv6 has options for hosts that advertisements cannot carry.
    pub fn informs(&self) -> bool {
        self.services.iter().any(|option| option.portal_uri().is_none())
    }

    /// Whether hosts would notice a difference from `before`, apart from lifetimes that merely run
    /// down.
    ///
    /// Both are looked at as of `now`: an entry that ran out by itself since `before` was set has
    /// run out on the hosts too.
    pub(super) fn differs(&self, before: &Self, now: Instant) -> bool {
        Outline::new(self, now) != Outline::new(before, now)
    }

    /// Whether an entry of `before` ends sooner than it would have.
    pub(super) fn shortens(&self, before: &Self) -> bool {
        let ends = before.ends();
        self.ends().iter().any(|(thing, end)| ends.get(thing).is_some_and(|was| end < was))
    }

    fn ends(&self) -> BTreeMap<Thing<'_>, Until> {
        let mut ends = BTreeMap::new();
        for (prefix, (preferred, valid)) in &self.prefixes {
            ends.insert(Thing::Preferred(prefix), *preferred);
            ends.insert(Thing::Valid(prefix), *valid);
        }
        ends.extend(self.routes.iter().map(|(prefix, (_, end))| (Thing::Route(prefix), *end)));
        ends.extend(self.resolvers.iter().map(|(server, end)| (Thing::Resolver(server), *end)));
        ends.extend(self.search.iter().map(|(name, end)| (Thing::Search(name), *end)));
        ends.extend(self.pref64.iter().map(|(prefix, end)| (Thing::Pref64(prefix), *end)));
        ends
    }

    /// Whether the prefix is there and valid.
    pub(super) fn has_prefix(&self, prefix: &Ipv6Net, now: Instant) -> bool {
        self.prefixes.get(prefix).is_some_and(|(_, valid)| !valid.is_over(now))
    }
}

fn is_global(address: Ipv6Addr) -> bool {
    !address.is_unicast_link_local() && !address.is_multicast()
}

/// An entry that is advertised until an end.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Thing<'a> {
    Preferred(&'a Ipv6Net),
    Valid(&'a Ipv6Net),
    Route(&'a Ipv6Net),
    Resolver(&'a Ipv6Addr),
    Search(&'a str),
    Pref64(&'a Ipv6Net),
}

/// The content without its ends: equal outlines are the same to a host.
#[derive(PartialEq, Eq)]
struct Outline<'a> {
    default_router: bool,
    /// Each with whether it is deprecated.
    prefixes: BTreeMap<&'a Ipv6Net, bool>,
    routes: BTreeMap<&'a Ipv6Net, Preference>,
    // Sets: a change of order alone can wait for the next periodic advertisement.
    resolvers: BTreeSet<&'a Ipv6Addr>,
    search: BTreeSet<&'a str>,
    pref64: BTreeSet<&'a Ipv6Net>,
    captive_portal: Option<&'a str>,
    informs: bool,
}

impl<'a> Outline<'a> {
    fn new(content: &'a Content, now: Instant) -> Self {
        Self {
            default_router: content.default_router,
            prefixes: (content.prefixes.iter())
                .filter(|(_, (_, valid))| !valid.is_over(now))
                .map(|(prefix, (preferred, _))| (prefix, preferred.is_over(now)))
                .collect(),
            routes: (content.routes.iter())
                .filter(|(_, (_, until))| !until.is_over(now))
                .map(|(prefix, (preference, _))| (prefix, *preference))
                .collect(),
            resolvers: (content.resolvers.iter())
                .filter(|(_, until)| !until.is_over(now))
                .map(|(server, _)| server)
                .collect(),
            search: (content.search.iter())
                .filter(|(_, until)| !until.is_over(now))
                .map(|(name, _)| name.as_str())
                .collect(),
            pref64: (content.pref64.iter())
                .filter(|(_, until)| !until.is_over(now))
                .map(|(prefix, _)| prefix)
                .collect(),
            captive_portal: content.captive_portal.as_deref(),
            informs: content.informs(),
        }
    }
}
