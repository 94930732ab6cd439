//! What other programs of a host learn from advertisements: publications by state, and programs of
//! the operator by occasion.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use crate::config::{Client, ResolverTarget};
use crate::core::Core;
use crate::core::client::{Publication, ResolverOfRouter};
use crate::core::desired::UplinkFacts;
use crate::core::output::Output;
use crate::time::Instant;

/// The entries of one interface in resolvconf, where each router has one. Whoever forges routers has
/// no more of them: those that were heard first are preferred.
const MAX_ENTRIES: usize = 8;

impl Core {
    /// Publishes new content. The first publication removes what an earlier run has left, so it
    /// waits for the first advertisement.
    pub(in crate::core) fn publish(&mut self, now: Instant, facts: &BTreeMap<String, UplinkFacts>) {
        let system = &self.kernel.state.system;
        let waits = self.uplinks.values().filter_map(|uplink| uplink.first_words_by(system)).max();
        let networks = self.kernel.desired.networks.values().flatten();
        let next_end = networks.filter_map(|(_, until)| until.at()).min();
        if self.publications.waits(now, waits, next_end) {
            return;
        }
        let clients = self.uplinks.iter().filter_map(|(name, uplink)| {
            let (client, facts) = (uplink.client()?, facts.get(name)?);
            let networks = self.kernel.desired.networks.get(name);
            let networks = networks.into_iter().flatten().map(|(prefix, _)| *prefix).collect();
            let (mut servers, mut search, mut of_routers) = Default::default();
            if hands_on(client, facts) {
                of_routers = self.resolver_by_router(now, client, name);
                (servers, search) = resolver_data(client, facts);
            }
            let client = client.clone();
            Some((name.clone(), Publication { client, servers, search, of_routers, networks }))
        });
        let newest = clients.collect();
        if let Some(newest) = self.publications.set(newest) {
            self.outputs.push_back(Output::Publish(newest));
        }
    }

    /// What each router advertises, where there is to be an entry for each of them.
    fn resolver_by_router(
        &self,
        now: Instant,
        client: &Client,
        name: &str,
    ) -> Vec<ResolverOfRouter> {
        let uplink = self.uplinks.get(name).filter(|_| client.resolver_per_router);
        let routers = uplink.map(|uplink| uplink.routers().resolvers_by_router(now));
        let of_routers = routers.into_iter().flatten().map(|(router, servers, search)| {
            let (servers, search) = (usable(servers.iter()), clean(search.iter()));
            ResolverOfRouter { router, servers, search }
        });
        let of_routers = of_routers.filter(|one| !one.servers.is_empty() || !one.search.is_empty());
        of_routers.take(MAX_ENTRIES).collect()
    }

    /// Has programs of the operator run.
    pub(in crate::core) fn run_scripts(&mut self, name: &str) {
        let Some(uplink) = self.uplinks.get_mut(name) else { return };
        let scripts = std::iter::from_fn(|| uplink.poll_script());
        self.outputs.extend(scripts.map(Output::RunScript));
    }
}

/// Whether DNS servers and search domains are handed to any receiver. A program that follows the
/// advertisements in the kernel's place hands them on itself, but not to a file or a program that
/// the operator names here.
fn hands_on(client: &Client, facts: &UplinkFacts) -> bool {
    match client.resolver {
        ResolverTarget::Nobody => false,
        ResolverTarget::Auto | ResolverTarget::Resolved | ResolverTarget::Resolvconf => {
            !facts.is_managed_elsewhere
        }
        ResolverTarget::Program(_) | ResolverTarget::File(_) => true,
    }
}

/// DNS servers and search domains: what the routers advertise, unless that is handed over by router,
/// and what belongs to the lease.
fn resolver_data(client: &Client, facts: &UplinkFacts) -> (Vec<Ipv6Addr>, Vec<String>) {
    let (servers, search) = &facts.resolvers;
    let advertised = Some(&facts.parameters).filter(|_| !client.resolver_per_router);
    let advertised_servers = advertised.into_iter().flat_map(|advertised| &advertised.resolvers);
    let advertised_search = advertised.into_iter().flat_map(|advertised| &advertised.search);
    let servers = usable(advertised_servers.chain(servers).map(|(server, _)| server));
    let search = clean(advertised_search.chain(search).map(|(name, _)| name));
    (servers, search)
}

/// The servers that a node can have, each once.
fn usable<'a>(servers: impl Iterator<Item = &'a Ipv6Addr>) -> Vec<Ipv6Addr> {
    let mut all: Vec<Ipv6Addr> = Vec::new();
    for server in servers.filter(|server| is_server(server)) {
        if !all.contains(server) {
            all.push(*server);
        }
    }
    all
}

/// The clean names, each once.
fn clean<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for name in names.filter(|name| is_clean(name)) {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

/// Whether a node can have the address.
const fn is_server(address: &Ipv6Addr) -> bool {
    !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}

/// Whether a name from the network has no special meaning to a program that reads it (SEC-14).
fn is_clean(name: &str) -> bool {
    let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    !name.is_empty() && !name.starts_with('-') && name.bytes().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SEC-14
    #[test]
    fn names_that_could_mean_more_than_themselves_are_dropped() {
        for (name, clean) in [
            ("example.com", true),
            ("_tcp.xn--bcher-kva.example", true),
            ("$(reboot).example", false),
            ("a b.example", false),
            ("a\nnameserver ::1", false),
            ("-rf.example", false),
            ("a;b", false),
            ("\u{fc}.example", false),
            ("", false),
        ] {
            assert_eq!(is_clean(name), clean, "{name:?}");
        }
    }

    #[test]
    fn an_address_that_no_node_can_have_is_no_server() {
        for (address, is_one) in [
            ("2001:db8::1", true),
            ("fe80::1", true),
            ("::", false),
            ("::1", false),
            ("ff02::1", false),
        ] {
            assert_eq!(is_server(&address.parse().unwrap()), is_one, "{address}");
        }
    }
}
