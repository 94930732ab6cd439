//! What other programs of a host learn from advertisements: publications by state, and programs of
//! the operator by occasion.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use crate::config::{Client, ResolverTarget};
use crate::core::Core;
use crate::core::client::Publication;
use crate::core::desired::UplinkFacts;
use crate::core::output::Output;
use crate::time::Instant;

impl Core {
    /// Publishes what is new. The first publication withdraws what an earlier run has left, so it
    /// waits until it is known what there is.
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
            let (servers, search) = resolver_data(client, facts);
            Some((name.clone(), Publication { client: client.clone(), servers, search, networks }))
        });
        let newest = clients.collect();
        if let Some(newest) = self.publications.set(newest) {
            self.outputs.push_back(Output::Publish(newest));
        }
    }

    /// Has programs of the operator run.
    pub(in crate::core) fn run_scripts(&mut self, name: &str) {
        let Some(uplink) = self.uplinks.get_mut(name) else { return };
        let scripts = std::iter::from_fn(|| uplink.poll_script());
        self.outputs.extend(scripts.map(Output::RunScript));
    }
}

/// DNS servers and search domains. A program that follows the advertisements in the kernel's place
/// hands them on itself, but not to a file or a program that the operator names here.
fn resolver_data(client: &Client, facts: &UplinkFacts) -> (Vec<Ipv6Addr>, Vec<String>) {
    let is_left = match client.resolver {
        ResolverTarget::Nobody => true,
        ResolverTarget::Auto | ResolverTarget::Resolved | ResolverTarget::Resolvconf => {
            facts.is_managed_elsewhere
        }
        ResolverTarget::Program(_) | ResolverTarget::File(_) => false,
    };
    if is_left {
        return (Vec::new(), Vec::new());
    }
    let (servers, search) = &facts.resolvers;
    let mut all_servers: Vec<Ipv6Addr> = Vec::new();
    for (server, _) in facts.parameters.resolvers.iter().chain(servers) {
        if is_server(server) && !all_servers.contains(server) {
            all_servers.push(*server);
        }
    }
    let mut all_names: Vec<String> = Vec::new();
    for (name, _) in facts.parameters.search.iter().chain(search) {
        if is_clean(name) && !all_names.contains(name) {
            all_names.push(name.clone());
        }
    }
    (all_servers, all_names)
}

/// Whether a node can have the address.
const fn is_server(address: &Ipv6Addr) -> bool {
    !address.is_unspecified() && !address.is_loopback() && !address.is_multicast()
}

/// Whether a name from the network has no meaning beside itself to a program that reads it
/// (SEC-14).
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
    fn what_no_node_can_have_is_no_server() {
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
