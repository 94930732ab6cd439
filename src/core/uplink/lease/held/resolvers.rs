//! Options for hosts, and how long they may be used.

use std::net::Ipv6Addr;

use super::Held;
use crate::core::uplink::lease::types::Ending;
use crate::time::Until;
use crate::wire::dhcpv6_service::ServiceOption;

/// The options for hosts in the last Reply.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::core::uplink::lease) struct Resolvers {
    pub(in crate::core::uplink::lease) servers: Vec<Ipv6Addr>,
    pub(in crate::core::uplink::lease) domains: Vec<String>,
    /// Options that are passed on unchanged (LAN-01).
    pub(in crate::core::uplink::lease) services: Vec<ServiceOption>,
    /// They came without a lease and so do not end with one.
    pub(in crate::core::uplink::lease) stateless: bool,
}

impl Held {
    /// DNS servers and search domains of the last Reply, with the end of the lease.
    pub(in crate::core::uplink::lease) fn resolvers(&self) -> (Ending<Ipv6Addr>, Ending<String>) {
        let Resolvers { servers, domains, .. } = &self.resolvers;
        let Some(until) = self.resolvers_until() else { return (Vec::new(), Vec::new()) };
        let servers = servers.iter().map(|server| (*server, until));
        let domains = domains.iter().map(|domain| (domain.clone(), until));
        (servers.collect(), domains.collect())
    }

    /// Options of the last Reply that are passed on to hosts, while the lease lasts (LAN-01).
    pub(in crate::core::uplink::lease) fn services(&self) -> &[ServiceOption] {
        if self.resolvers_until().is_some() { &self.resolvers.services } else { &[] }
    }

    fn resolvers_until(&self) -> Option<Until> {
        if self.resolvers.stateless { Some(Until::Never) } else { self.longest() }
    }
}
