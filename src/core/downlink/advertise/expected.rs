//! Where hosts will be found under a new prefix.
//!
//! The first packet to a host's new address waits for neighbor discovery. The solicitation is sent
//! by multicast, which a wireless link loses easily, and the kernel repeats it after a second
//! (RETRANS_TIMER, RFC 4861 §10). Many hosts make their interface identifiers of their link-layer
//! addresses (RFC 4291 appendix A): the address of such a host under another prefix is known before
//! it is used. Hosts with other identifiers (RFC 7217, RFC 8981) are found by solicitation alone.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use crate::core::kernel::system::Neighbor;
use crate::net::eui64;

/// Entries for one change: the kernel's table has room for a few hundred neighbors.
const MAX_ENTRIES: usize = 64;
/// The length of a prefix that such an identifier goes with.
const SUBNET: u8 = 64;
const IDENTIFIER: u128 = u64::MAX as u128;

/// The addresses of known hosts under `prefixes`, as far as `neighbors` does not have them yet,
/// each with the link-layer address: those first that were reachable most recently.
pub(super) fn expected(
    prefixes: impl Iterator<Item = Ipv6Net>,
    neighbors: &[Neighbor],
) -> Vec<(Ipv6Addr, Vec<u8>)> {
    let known: BTreeSet<Ipv6Addr> = neighbors.iter().map(|neighbor| neighbor.address).collect();
    let mut by_reachability: Vec<&Neighbor> = neighbors.iter().collect();
    by_reachability.sort_by_key(|neighbor| neighbor.unconfirmed_for);
    let mut seen = BTreeSet::new();
    let hosts: Vec<(u128, &Neighbor)> = by_reachability
        .into_iter()
        .filter_map(|neighbor| Some((identifier_of(neighbor)?, neighbor)))
        .filter(|(identifier, _)| seen.insert(*identifier))
        .collect();
    let networks = prefixes.filter(|prefix| prefix.prefix_len() == SUBNET);
    let networks: Vec<u128> = networks.map(|prefix| u128::from(prefix.network())).collect();
    let entries = hosts.into_iter().flat_map(|(identifier, neighbor)| {
        let entry = move |network: &u128| {
            (Ipv6Addr::from(network | identifier), neighbor.link_layer.clone())
        };
        networks.iter().map(entry)
    });
    entries.filter(|(address, _)| !known.contains(address)).take(MAX_ENTRIES).collect()
}

/// The interface identifier of a neighbor, where it is made of the link-layer address.
fn identifier_of(neighbor: &Neighbor) -> Option<u128> {
    let identifier = u128::from(neighbor.address) & IDENTIFIER;
    (eui64(&neighbor.link_layer).map(u128::from) == Some(identifier)).then_some(identifier)
}
