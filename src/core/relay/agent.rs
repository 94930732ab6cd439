//! The relay agent as a part of the core.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::Relays;
use crate::config::Config;
use crate::core::Core;
use crate::core::desired::{Delegated, Desired};
use crate::core::input::Received;
use crate::core::kernel::object::{Group, Object, Port};
use crate::core::kernel::system::{KernelRoute, System};
use crate::core::memory::{Record, RelayedLease};
use crate::core::output::Output;
use crate::time::Instant;
use crate::wire::dhcpv6_relay::RelayKind;

/// A link that is relayed from, in the status.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RelayStatus {
    /// Messages of clients can be received.
    pub attached: bool,
    /// The leases of its clients that were relayed.
    pub leases: Vec<RelayedStatus>,
}

/// A prefix that was delegated by way of this machine.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RelayedStatus {
    /// DUID of the requesting router.
    pub client: String,
    /// Its IA_PD.
    pub iaid: u32,
    /// The prefix.
    pub prefix: Ipv6Net,
    /// Next hop of its route.
    pub next_hop: Ipv6Addr,
    /// Preferred lifetime left.
    pub preferred: Option<u32>,
    /// Valid lifetime left.
    pub valid: Option<u32>,
}

impl Relays {
    /// Adds the objects that relaying needs.
    pub(in crate::core) fn desire(
        &self,
        desired: &mut Desired,
        delegated: &Delegated,
        config: &Config,
        system: &System,
    ) {
        let links = config.relays.keys().filter_map(|name| system.link(name));
        let running = links.filter(|link| link.running);
        running.for_each(|link| {
            desired.want(Object::Membership(Group::DhcpServers, link.index));
        });
        if !config.relays.is_empty() {
            desired.want(Object::Port(Port::Server));
        }
        let routes = self.leases.routes(config, system);
        if routes.is_empty() {
            return;
        }
        // No route leads a prefix of this machine itself elsewhere, whatever a server answers.
        let own = desired.routes.values().chain(delegated.routes());
        let taken: BTreeSet<_> = own.map(KernelRoute::slot).collect();
        let free = routes.into_iter().filter(|route| !taken.contains(&route.slot()));
        desired.routes.extend(free.map(|route| (route.key(), route)));
    }
}

impl Core {
    /// Whether a datagram to UDP port 547 is for the relay agent: it came in on a link that is
    /// relayed from, or was sent to relay agents alone.
    pub(in crate::core) fn is_relayed(&self, received: &Received) -> bool {
        let link = self.kernel.state.system.links.get(&received.interface);
        link.is_some_and(|link| self.config.relays.contains_key(&link.name))
            || (!self.config.relays.is_empty()
                && received.octets.first() == Some(&RelayKind::Reply.to_wire()))
    }

    /// Handles a datagram for the relay agent. Routes are set before the client hears of its
    /// prefix.
    pub(in crate::core) fn receive_relayed(&mut self, now: Instant, received: &Received) {
        let relaying =
            match self.relays.handle(now, &self.config, &self.kernel.state.system, received) {
                Ok(relaying) => relaying,
                Err(reject) => return self.reject(now, "relay", reject.label(), received),
            };
        for error in relaying.malformed {
            self.reject(now, "relay-option", error.label(), received);
        }
        self.remember_relayed(relaying.records);
        self.events.extend(relaying.events);
        if relaying.crowded {
            self.reject(now, "relay-lease", "no-room", received);
        }
        self.settle(now);
        self.outputs.extend(relaying.packets.into_iter().map(Output::SendServer));
    }

    /// Ends the leases whose time is over.
    pub(in crate::core) fn end_relayed(&mut self, now: Instant) {
        let records = self.relays.leases_mut().handle_timeout(now);
        self.remember_relayed(records);
    }

    /// Whether there is a relayed lease of `prefix`.
    pub fn has_relayed(&self, prefix: Ipv6Net) -> bool {
        self.relays.leases().iter().any(|(held, _)| held == prefix)
    }

    /// Forgets a lease because an operator knows that its holder is gone (RLY-16): its route is
    /// removed, and comes back with the next answer if the holder is there after all.
    pub(in crate::core) fn forget_relayed(&mut self, prefix: Ipv6Net) {
        let record = self.relays.leases_mut().forget(prefix);
        self.remember_relayed(record.into_iter().collect());
    }

    fn remember_relayed(&mut self, records: Vec<Record>) {
        self.pass.request_if(!records.is_empty());
        self.outputs.extend(records.into_iter().map(Output::Remember));
    }

    /// The relay agents, each with the leases on its link.
    pub(in crate::core) fn relay_status(&self, now: Instant) -> BTreeMap<String, RelayStatus> {
        let lease = |(prefix, lease): (Ipv6Net, &RelayedLease)| RelayedStatus {
            client: lease.client.to_string(),
            iaid: lease.iaid.0,
            prefix,
            next_hop: lease.next_hop,
            preferred: lease.preferred_until.remaining(now).seconds(),
            valid: lease.valid_until.remaining(now).seconds(),
        };
        let relay = |name: &String| {
            let link = self.kernel.state.system.link(name);
            let on_link = self.relays.leases().iter().filter(|(_, lease)| lease.link == *name);
            RelayStatus {
                attached: link.is_some_and(|link| {
                    self.kernel.state.is_member(Group::DhcpServers, link.index)
                }),
                leases: on_link.map(lease).collect(),
            }
        };
        self.config.relays.keys().map(|name| (name.clone(), relay(name))).collect()
    }
}
