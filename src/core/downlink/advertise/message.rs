//! A statement as messages that fit the link.

use std::time::Duration;

use super::lifetimes::{PrefixLifetimes, Statement};
use crate::config;
use crate::time::{Lifetime, whole_seconds};
use crate::wire::ndp::RouterAdvertisement;
use crate::wire::ndp_option::{NdpOption, Pref64, Preference, PrefixInformation, RouteInformation};

const IPV6_HEADER: usize = 40;
const ADVERTISEMENT_HEADER: usize = 16;
/// The smallest MTU of an IPv6 link (RFC 8200 §5).
const MIN_MTU: u32 = 1280;

/// The most octets of entries in one option with a list, so that each option fits the smallest MTU.
const MAX_LIST_OCTETS: usize = 1024;

/// The longest lifetime of a PREF64 option, a multiple of 8 (RFC 8781 §4.1).
const MAX_PREF64_LIFETIME: u32 = 65528;

/// The properties of the link that advertisements carry.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Link {
    /// None where the link has no such addresses.
    pub(super) link_layer_address: Option<Vec<u8>>,
    /// Octets, IPv6 header included.
    pub(super) mtu: u32,
}

/// Encodes `statement` as advertisements: one, or several with equal headers where the MTU is too
/// small, for an advertisement is never fragmented (RA-TX-16, RA-TX-26).
pub(super) fn render(
    rules: &config::Advertise,
    link: &Link,
    statement: &Statement,
) -> Vec<RouterAdvertisement> {
    let mtu = link.mtu.min(rules.mtu.unwrap_or(u32::MAX)).max(MIN_MTU);
    let room = usize::try_from(mtu)
        .unwrap_or(usize::MAX)
        .saturating_sub(IPV6_HEADER + ADVERTISEMENT_HEADER);
    let header = header(rules, statement);
    // Each message has these options: only if a prefix came together with our link-layer address
    // does a host use its new address before duplicate address detection has ended (RFC 4429 §3.3).
    let in_each: Vec<NdpOption> =
        link.link_layer_address.iter().cloned().map(NdpOption::SourceLinkLayer).collect();
    fill(options(rules, statement), &in_each, room)
        .into_iter()
        .map(|options| RouterAdvertisement { options, ..header.clone() })
        .collect()
}

/// Encodes all of it in one message, however long: for a program that splits it itself.
pub(super) fn whole(
    rules: &config::Advertise,
    link: &Link,
    statement: &Statement,
) -> RouterAdvertisement {
    let source = link.link_layer_address.iter().cloned().map(NdpOption::SourceLinkLayer);
    let options = source.chain(options(rules, statement)).collect();
    RouterAdvertisement { options, ..header(rules, statement) }
}

fn header(rules: &config::Advertise, statement: &Statement) -> RouterAdvertisement {
    let router_lifetime = statement.router_lifetime;
    RouterAdvertisement {
        hop_limit: rules.hop_limit,
        managed: rules.managed,
        other: rules.other.unwrap_or(statement.informs),
        snac_router: false,
        // RFC 4191 §2.2
        preference: if router_lifetime == 0 { Preference::Medium } else { rules.preference },
        router_lifetime,
        reachable_time: milliseconds(rules.reachable_time),
        retrans_timer: milliseconds(rules.retrans_timer),
        options: Vec::new(),
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// The options, prefixes first.
fn options(rules: &config::Advertise, statement: &Statement) -> Vec<NdpOption> {
    let prefixes = statement.prefixes.iter().map(|stated| prefix_information(rules, stated));
    let routes = statement.routes.iter().map(|&(prefix, preference, lifetime)| {
        let lifetime = Lifetime::Finite(lifetime);
        NdpOption::Route(RouteInformation { prefix, preference, lifetime })
    });
    let rdnss = lists(&statement.resolvers, |_| 16)
        .into_iter()
        .map(|(lifetime, servers)| NdpOption::Rdnss { lifetime, servers });
    // A name takes an octet before each label and the root's at the end (RFC 1035 §3.1).
    let dnssl = lists(&statement.search, |name| name.len().saturating_add(2))
        .into_iter()
        .map(|(lifetime, names)| NdpOption::Dnssl { lifetime, names });
    let portal = rules.captive_portal.as_ref().or(statement.captive_portal.as_ref());
    prefixes
        .chain(rules.mtu.map(NdpOption::Mtu))
        .chain(routes)
        .chain(rdnss)
        .chain(dnssl)
        .chain(pref64(rules, statement))
        .chain(portal.cloned().map(NdpOption::CaptivePortal))
        .collect()
}

fn prefix_information(rules: &config::Advertise, stated: &PrefixLifetimes) -> NdpOption {
    NdpOption::Prefix(PrefixInformation {
        prefix: stated.prefix,
        on_link: rules.on_link,
        autonomous: rules.autonomous,
        delegation_preferred: false,
        valid: Lifetime::Finite(stated.valid),
        preferred: Lifetime::Finite(stated.preferred),
    })
}

/// The configured NAT64 prefix, or else those that the routers above advertise.
fn pref64(rules: &config::Advertise, statement: &Statement) -> Vec<NdpOption> {
    let Some(prefix) = rules.pref64 else {
        let passed = statement.pref64.iter().map(|&(prefix, seconds)| {
            let lifetime = u16::try_from(seconds.min(MAX_PREF64_LIFETIME)).unwrap_or(u16::MAX);
            NdpOption::Pref64(Pref64 { prefix, lifetime })
        });
        return passed.collect();
    };
    let seconds = whole_seconds(rules.max_interval).saturating_mul(3).min(MAX_PREF64_LIFETIME);
    let lifetime = u16::try_from(seconds.next_multiple_of(8)).unwrap_or(u16::MAX);
    vec![NdpOption::Pref64(Pref64 { prefix, lifetime })]
}

/// Entries of equal lifetime together, in order, and each list small enough for one option.
fn lists<T: Clone>(entries: &[(T, u32)], octets: impl Fn(&T) -> usize) -> Vec<(Lifetime, Vec<T>)> {
    let mut lists: Vec<(u32, usize, Vec<T>)> = Vec::new();
    for (entry, lifetime) in entries {
        let size = octets(entry);
        let fits = |(of, used, _): &&mut (u32, usize, Vec<T>)| {
            of == lifetime && used.saturating_add(size) <= MAX_LIST_OCTETS
        };
        match lists.iter_mut().find(fits) {
            Some((_, used, list)) => {
                *used = used.saturating_add(size);
                list.push(entry.clone());
            }
            None => lists.push((*lifetime, size, vec![entry.clone()])),
        }
    }
    lists.into_iter().map(|(lifetime, _, list)| (Lifetime::Finite(lifetime), list)).collect()
}

/// Distributes the options in order over as many messages as it takes, at least one, with `in_each`
/// at the head of each. An option that no message can hold is left out.
fn fill(options: Vec<NdpOption>, in_each: &[NdpOption], room: usize) -> Vec<Vec<NdpOption>> {
    let room = room.saturating_sub(in_each.iter().map(octets).sum());
    let mut messages = Vec::new();
    let mut message = in_each.to_vec();
    let mut left = room;
    for option in options {
        let size = octets(&option);
        if size > room {
            continue;
        }
        if size > left {
            messages.push(std::mem::replace(&mut message, in_each.to_vec()));
            left = room;
        }
        left = left.saturating_sub(size);
        message.push(option);
    }
    messages.push(message);
    messages
}

/// The size of an option on the wire, its padding included.
pub(super) fn octets(option: &NdpOption) -> usize {
    let unpadded = match option {
        NdpOption::SourceLinkLayer(address) => address.len().saturating_add(2),
        NdpOption::Prefix(_) => 32,
        NdpOption::Mtu(_) => 8,
        NdpOption::Route(route) => match route.prefix.prefix_len() {
            0 => 8,
            1..=64 => 16,
            65.. => 24,
        },
        NdpOption::Rdnss { servers, .. } => servers.len().saturating_mul(16).saturating_add(8),
        NdpOption::Dnssl { names, .. } => {
            names.iter().fold(8, |sum: usize, name| sum.saturating_add(name.len() + 2))
        }
        NdpOption::CaptivePortal(uri) => uri.len().saturating_add(2),
        NdpOption::Pref64(_) => 16,
        NdpOption::FlagsExtension(body) | NdpOption::Unknown { body, .. } => {
            body.len().saturating_add(2)
        }
        NdpOption::Malformed { .. } => 0,
    };
    unpadded.next_multiple_of(8)
}
