//! The leases of requesting routers, learnt from the answers that the relay agent forwards (RFC
//! 8987 §4).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::Relaying;
use super::link::ClientLink;
use crate::config::Config;
use crate::core::capabilities::ONLY_METRIC;
use crate::core::event::Event;
use crate::core::kernel::system::{KernelRoute, RouteTarget, System};
use crate::core::memory::{Record, RelayedLease};
use crate::time::{Deadline, Instant, Until};
use crate::wire::dhcpv6::Message;
use crate::wire::dhcpv6_option::{IaPrefix, StatusCode};

/// The most leases that are remembered and routed. A further one evicts another: of the client
/// router that has the most routes, the lease that ends first, and deprecated ones before preferred
/// ones. A router with few leases keeps them, however many another one has.
pub(super) const MAX_LEASES: usize = 4096;
/// The most leases of one client; a further one evicts one of its own. RFC 8987 §4.1 requires more
/// than one.
pub(super) const MAX_PER_CLIENT: usize = 64;
/// Metric of their routes: behind a link of ours, before any learnt route.
const METRIC: u32 = ONLY_METRIC;

/// The leases of all links, by prefix: a server gives one to one client at a time, and its last
/// word counts.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Leases {
    held: BTreeMap<Ipv6Net, RelayedLease>,
    /// When each of them ends.
    ends: BTreeSet<(Instant, Ipv6Net)>,
}

impl Leases {
    /// Restores the leases that were stored.
    pub fn restore(now: Instant, remembered: BTreeMap<Ipv6Net, RelayedLease>) -> Self {
        let running = remembered.into_iter().filter(|(_, lease)| !lease.valid_until.is_over(now));
        let mut leases = Self::default();
        running.take(MAX_LEASES).for_each(|(prefix, lease)| leases.insert(prefix, lease));
        leases
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (Ipv6Net, &RelayedLease)> {
        self.held.iter().map(|(prefix, lease)| (*prefix, lease))
    }

    /// Whether a further lease evicts another.
    pub fn is_full(&self) -> bool {
        self.held.len() >= MAX_LEASES
    }

    /// The routes of leases on links that are running (RLY-12). A lease stays while its link is
    /// down, so that its route comes back with the link (RLY-15).
    pub fn routes(&self, config: &Config, system: &System) -> Vec<KernelRoute> {
        let route = |(prefix, lease): (Ipv6Net, &RelayedLease)| {
            let (name, _) = config.relays.get_key_value(&lease.link)?;
            let link = system.link(name).filter(|link| link.running)?;
            Some(KernelRoute {
                destination: prefix,
                target: RouteTarget::Gateway(link.index, lease.next_hop),
                metric: METRIC,
                until: lease.valid_until,
            })
        };
        self.iter().filter_map(route).collect()
    }

    /// Drops leases that have ended; returns the records to be stored.
    pub fn handle_timeout(&mut self, now: Instant) -> Vec<Record> {
        let mut records = Vec::new();
        while let Some((_, prefix)) = self.ends.first().copied().filter(|(at, _)| *at <= now) {
            records.extend(self.forget(prefix));
        }
        records
    }

    /// Drops the lease of `prefix`; returns the record to be stored.
    pub(super) fn forget(&mut self, prefix: Ipv6Net) -> Option<Record> {
        self.remove(prefix).map(|_| Record::Relayed { prefix, lease: None })
    }

    fn insert(&mut self, prefix: Ipv6Net, lease: RelayedLease) {
        self.remove(prefix);
        self.ends.extend(lease.valid_until.at().map(|at| (at, prefix)));
        self.held.insert(prefix, lease);
    }

    fn remove(&mut self, prefix: Ipv6Net) -> Option<RelayedLease> {
        let lease = self.held.remove(&prefix)?;
        if let Some(at) = lease.valid_until.at() {
            self.ends.remove(&(at, prefix));
        }
        Some(lease)
    }

    /// When the next ends.
    pub fn deadline(&self) -> Option<Deadline> {
        self.ends.first().map(|(at, _)| Deadline::new(*at, "end of a relayed lease"))
    }

    /// Handles a Reply on its way to a client whose packets go by way of `next_hop`.
    pub(super) fn take_reply(
        &mut self,
        relaying: &mut Relaying,
        now: Instant,
        link: &ClientLink<'_>,
        next_hop: Ipv6Addr,
        message: &Message,
    ) {
        let Some(client) = message.client_id() else { return };
        let given_now: BTreeSet<Ipv6Net> = message
            .ia_pds()
            .flat_map(|ia| &ia.prefixes)
            .filter(|given| !given.valid.is_zero())
            .map(|given| given.prefix)
            .collect();
        for ia in message.ia_pds() {
            for given in &ia.prefixes {
                if given.valid.is_zero() {
                    let held = self.held.get(&given.prefix);
                    if held.is_some_and(|held| held.client == *client && held.iaid == ia.iaid) {
                        self.end(relaying, given.prefix);
                    }
                } else if is_valid(given) && !link.is_occupied(given.prefix) {
                    let lease = RelayedLease {
                        client: client.clone(),
                        iaid: ia.iaid,
                        link: link.name.to_owned(),
                        next_hop,
                        preferred_until: Until::after(now, given.preferred),
                        valid_until: Until::after(now, given.valid),
                    };
                    self.begin(relaying, now, given.prefix, lease, &given_now);
                }
            }
        }
    }

    /// Handles a Release on its way to a server: it ends the leases that it names (RLY-11), where
    /// it comes from the router that the packets go to.
    pub(super) fn take_release(
        &mut self,
        relaying: &mut Relaying,
        link: &str,
        source: Ipv6Addr,
        message: &Message,
    ) {
        let Some(client) = message.client_id() else { return };
        // One pass over the leases, however many IA_PDs a message names.
        let is_its = |lease: &RelayedLease| {
            lease.client == *client && (lease.link.as_str(), lease.next_hop) == (link, source)
        };
        let is_named = |prefix: Ipv6Net, lease: &RelayedLease| {
            message.ia_pds().filter(|ia| ia.iaid == lease.iaid).any(|ia| {
                let mut named = ia.prefixes.iter();
                ia.prefixes.is_empty() || named.any(|named| named.prefix == prefix)
            })
        };
        let its = self.iter().filter(|(_, lease)| is_its(lease));
        let ended = its.filter(|(prefix, lease)| is_named(*prefix, lease));
        let ended: Vec<Ipv6Net> = ended.map(|(prefix, _)| prefix).collect();
        ended.into_iter().for_each(|prefix| self.end(relaying, prefix));
    }

    fn begin(
        &mut self,
        relaying: &mut Relaying,
        now: Instant,
        prefix: Ipv6Net,
        lease: RelayedLease,
        given_now: &BTreeSet<Ipv6Net>,
    ) {
        if !self.make_room(relaying, now, prefix, &lease, given_now) {
            return self.end(relaying, prefix);
        }
        let held = self.held.get(&prefix);
        let RelayedLease { client, link, next_hop, .. } = &lease;
        let way = |lease: &RelayedLease| (lease.client.clone(), lease.link.clone(), lease.next_hop);
        if held.map(way) != Some(way(&lease)) {
            relaying.events.push(Event::RelayedDelegationGiven {
                interface: link.clone(),
                prefix,
                duid: client.clone(),
                next_hop: *next_hop,
            });
        }
        relaying.records.push(Record::Relayed { prefix, lease: Some(lease.clone()) });
        self.insert(prefix, lease);
    }

    /// Makes room for a lease of `prefix`; returns whether there is any. The other leases of the
    /// same message are not evicted: of two such leases one would evict the other with each
    /// renewal.
    fn make_room(
        &mut self,
        relaying: &mut Relaying,
        now: Instant,
        prefix: Ipv6Net,
        lease: &RelayedLease,
        given_now: &BTreeSet<Ipv6Net>,
    ) -> bool {
        let held = self.held.get(&prefix);
        let is_its = |held: &RelayedLease| held.client == lease.client;
        if held.is_some_and(is_its) {
            return true;
        }
        let can_leave = |prefix: &Ipv6Net| !given_now.contains(prefix);
        let count = self.held.values().filter(|held| is_its(held)).count();
        let leaving = if count >= MAX_PER_CLIENT {
            least_useful(
                now,
                self.iter().filter(|(prefix, held)| is_its(held) && can_leave(prefix)),
            )
        } else if held.is_none() && self.is_full() {
            let most = self.most_served(lease);
            let is_most = |held: &RelayedLease| router_of(held) == most;
            least_useful(
                now,
                self.iter().filter(|(prefix, held)| is_most(held) && can_leave(prefix)),
            )
        } else {
            return true;
        };
        relaying.crowded = true;
        if let Some(leaving) = leaving {
            self.end(relaying, leaving);
        }
        leaving.is_some()
    }

    /// The router that most leases are routed to; that of `lease` where it would be one of them.
    fn most_served<'a>(&'a self, lease: &'a RelayedLease) -> Router<'a> {
        let own = router_of(lease);
        let mut counts: BTreeMap<Router<'_>, usize> = BTreeMap::from([(own, 1)]);
        for held in self.held.values() {
            let count = counts.entry(router_of(held)).or_default();
            *count = count.saturating_add(1);
        }
        let most = counts.into_iter().max_by_key(|(router, count)| (*count, *router == own));
        most.map_or(own, |(router, _)| router)
    }

    fn end(&mut self, relaying: &mut Relaying, prefix: Ipv6Net) {
        if let Some(RelayedLease { client, link, .. }) = self.remove(prefix) {
            relaying.events.push(Event::RelayedDelegationEnded {
                interface: link,
                prefix,
                duid: client,
            });
            relaying.records.push(Record::Relayed { prefix, lease: None });
        }
    }
}

/// A link, and the neighbor on it that packets go to.
type Router<'a> = (&'a str, Ipv6Addr);

fn router_of(lease: &RelayedLease) -> Router<'_> {
    (&lease.link, lease.next_hop)
}

/// The lease to evict: deprecated ones come before preferred ones, then the one that ends first.
fn least_useful<'a>(
    now: Instant,
    leases: impl Iterator<Item = (Ipv6Net, &'a RelayedLease)>,
) -> Option<Ipv6Net> {
    let rank = |lease: &RelayedLease| (!lease.preferred_until.is_over(now), lease.valid_until);
    leases.min_by_key(|(_, lease)| rank(lease)).map(|(prefix, _)| prefix)
}

/// Whether a client would take this prefix (RFC 9915 §18.2.10.1) and can have it: it is neither
/// everything nor link-local or multicast.
fn is_valid(given: &IaPrefix) -> bool {
    let address = given.prefix.network();
    given.status.as_ref().is_none_or(|status| status.code == StatusCode::Success)
        && given.preferred <= given.valid
        && (1..128).contains(&given.prefix.prefix_len())
        && !address.is_unspecified()
        && !address.is_multicast()
        && !address.is_unicast_link_local()
}
