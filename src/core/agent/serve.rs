//! Serving subordinate routers: messages to UDP port 547, the routes and records of bindings, and
//! notifications after a change.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::sync::Arc;

use ipnet::Ipv6Net;

use super::takeover::Identity;
use crate::config::{Job, RelaySources};
use crate::core::Core;
use crate::core::delegate::{Arrival, BindingKey, Contact, Notification, Slot};
use crate::core::engine::{Leases, Order, Report};
use crate::core::event::{Event, Requester};
use crate::core::input::Received;
use crate::core::kernel::backlog::Reason;
use crate::core::kernel::object::Step;
use crate::core::kernel::system::KernelRoute;
use crate::core::memory::Record;
use crate::core::output::{Output, Packet, ServerPacket};
use crate::core::safety::Safety;
use crate::net::{DHCP_CLIENT_PORT, DHCP_SERVER_PORT, link_layer_of};
use crate::time::Instant;
use crate::wire::DecodeError;
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_relay::{RelayKind, RelayMessage, RelayOption, Relayed};

/// The most octets of relay options that an answer repeats.
const MAX_RELAY_OCTETS: usize = 1024;
/// How many bindings are handled in one pass, however many deadlines have passed.
pub(in crate::core) const PER_PASS: usize = 256;
/// How many are handled in one pass while routes of bindings are left to be set. A router that is
/// notified requests at once, and a route that is not there by then is set alone, which takes
/// longer than with many others.
const PER_BUSY_PASS: usize = 16;

impl Core {
    /// Takes in a datagram that came to the server's port.
    pub(in crate::core) fn receive_server(&mut self, now: Instant, received: &Received) {
        if self.is_relayed(received) {
            return self.receive_relayed(now, received);
        }
        let Some(name) = self.kernel.state.system.name_of(received.interface) else { return };
        if !self.downlinks.contains_key(name) {
            return;
        }
        let asks = received.octets.first() == Some(&MessageType::InformationRequest.to_wire());
        let informs = asks && self.delegating.informs(name);
        if !informs && !self.delegating.serves(name) && !self.delegating.observes(name) {
            return;
        }
        if let Err(reason) = self.serve(now, name.into(), received, true) {
            self.reject(now, "dhcpv6-server", reason, received);
        }
    }

    /// Answers a message, or keeps it until our own lease is renewed where it `may_wait` for that.
    pub(in crate::core) fn serve(
        &mut self,
        now: Instant,
        downlink: Arc<str>,
        received: &Received,
        may_wait: bool,
    ) -> Result<(), &'static str> {
        if self.kernel.state.system.is_own(received.interface, received.source) {
            return Err("own");
        }
        let is_relayed = received.octets.first().copied().and_then(RelayKind::from_wire);
        let (mut arrival, message, malformed) = match is_relayed {
            Some(RelayKind::Forward) => relayed(downlink, received)?,
            Some(RelayKind::Reply) => return Err("unexpected-type"),
            None => {
                let (arrival, message) = direct(downlink, received)?;
                (arrival, message, Vec::new())
            }
        };
        // A bridge between our links hands us what we sent (compare RA-RX-11). A neighbor may have
        // the link-local address that we have on another link, but not our DUID as well.
        if message.client_id() == Some(&self.duid)
            && self
                .kernel
                .state
                .system
                .links_with(received.source, received.interface)
                .next()
                .is_some()
        {
            return Err("own");
        }
        self.check_source(&arrival, received)?;
        if let Some(holder) = self.holder_against(now, &arrival, &message) {
            return self.contest(now, &arrival, &message, received, &holder);
        }
        match self.identify(now, &arrival, &message, received) {
            Identity::Known(link_layer) => {
                arrival.contact.neighbor_link_layer = Some(link_layer);
            }
            Identity::NotNeeded => {}
            Identity::Pending => return Ok(()),
            Identity::Silent => return Err("unknown-neighbor"),
        }
        let may_wait = may_wait && self.delegating.answers();
        if may_wait && self.waits_for_renewal(now, &message) {
            let evicted = self.postponed.add(now, Arc::clone(&arrival.downlink), received.clone());
            return evicted.map_or(Ok(()), |one| self.serve(now, one.0, &one.1, false));
        }
        for (_, error) in message.malformed() {
            self.reject(now, "dhcpv6-server-option", error.label(), received);
        }
        for error in malformed {
            self.reject(now, "relay-option", error.label(), received);
        }
        let before = self.holder_before(now, &arrival, &message);
        let served = self
            .delegating
            .handle_message(now, &arrival, &message)
            .map_err(|reject| reject.label())?;
        let later = self.follow_bindings(now, &served.touched);
        if let Some(holder) = before {
            self.report_takeover(now, &arrival, &message, &holder);
        }
        if let Some(answer) = served.answer {
            self.send_server(&arrival.downlink, &arrival.contact, answer.octets, answer.memory);
        }
        if let Some(duid) = served.leased {
            let downlink = arrival.downlink.to_string();
            self.outputs.push_back(Output::Engine(Order::LookUp { downlink, duid }));
        }
        self.take_steps(now, later);
        Ok(())
    }

    /// Whether the node that a message comes from may send it: a requesting router has to be a
    /// neighbor, and a relay agent has to be one that the downlink is configured to believe
    /// (RLY-19). Any other relay agent could name links and link-layer addresses of other routers.
    fn check_source(&self, arrival: &Arrival, received: &Received) -> Result<(), &'static str> {
        let is_neighbor =
            || self.kernel.state.system.is_on_link(received.interface, received.source);
        if arrival.contact.relay.is_none() {
            return if is_neighbor() { Ok(()) } else { Err("source") };
        }
        let downlink = self.config.downlinks.get(&*arrival.downlink);
        let is_believed = match downlink.map(|downlink| &downlink.relays) {
            Some(RelaySources::OnLink) => is_neighbor(),
            Some(RelaySources::Listed(list)) => {
                list.iter().any(|net| net.contains(&received.source))
            }
            Some(RelaySources::None) | None => false,
        };
        if is_believed { Ok(()) } else { Err("foreign-relay") }
    }

    /// Sends to a requesting router, or to the relay agent next to us.
    pub(in crate::core) fn send_server(
        &mut self,
        downlink: &str,
        contact: &Contact,
        octets: Vec<u8>,
        memory: Safety,
    ) {
        // The downlink's attachment is no help: it exists only where this program advertises.
        let Some(link) = self.kernel.state.system.link(downlink).filter(|link| link.running) else {
            return;
        };
        let destination = contact.relay.unwrap_or(contact.peer);
        let source = if destination.is_unicast_link_local() {
            let Some(source) = self.kernel.state.system.link_local(link.index) else { return };
            source
        } else {
            Ipv6Addr::UNSPECIFIED
        };
        let interface = link.index;
        let packet = Packet { interface, source, destination, octets };
        let port = contact.port;
        self.outputs.push_back(Output::SendServer(ServerPacket { packet, port, memory }));
    }

    /// Brings routes and records up to date with these bindings: all together, as a message can
    /// move a prefix from one to another. Returns the steps that no answer waits for.
    fn follow_bindings(&mut self, now: Instant, touched: &BTreeSet<BindingKey>) -> Vec<Step> {
        if touched.is_empty() {
            return Vec::new();
        }
        self.remember_bindings(touched);
        touched.iter().for_each(|key| self.kernel.backlog.remove(key));
        let (first, later) =
            self.follow_routes(now, touched.iter().map(|key| (key, Reason::Binding)));
        self.take_steps(now, first);
        later
    }

    /// Reports delegations that began or ended: at level info where the configuration names the
    /// router.
    pub(in crate::core) fn report_delegations(
        &mut self,
        key: &BindingKey,
        before: &[KernelRoute],
        after: &[KernelRoute],
    ) {
        // Any node can cause such events in large numbers: those that nothing consumes are not
        // made.
        if !self.reports_debug && !self.delegating.names_any() {
            return;
        }
        let among = |routes: &[KernelRoute], route: &KernelRoute| {
            routes.iter().any(|other| other.destination == route.destination)
        };
        let given = after.iter().filter(|route| !among(before, route)).map(|route| (route, true));
        let ended = before.iter().filter(|route| !among(after, route)).map(|route| (route, false));
        let changes: Vec<(Ipv6Net, bool)> =
            given.chain(ended).map(|(route, is_given)| (route.destination, is_given)).collect();
        if changes.is_empty() {
            return;
        }
        let binding = self.delegating.bindings().get(key);
        let is_delegation = |slot: &Slot| matches!(slot, Slot::Delegation(_));
        let is_named = binding.is_some_and(|binding| binding.slots().iter().any(is_delegation))
            || self.delegating.names(key);
        if !is_named && !self.reports_debug {
            return;
        }
        let requester = Requester {
            duid: key.duid.clone(),
            names: binding.map(|binding| binding.names()).unwrap_or_default(),
            is_configured: is_named,
        };
        for (prefix, is_given) in changes {
            let (interface, requester) = (key.downlink.to_string(), requester.clone());
            self.report(if is_given {
                Event::DelegationGiven { interface, prefix, requester }
            } else {
                Event::DelegationEnded { interface, prefix, requester }
            });
        }
    }

    pub(in crate::core) fn remember_bindings(&mut self, touched: &BTreeSet<BindingKey>) {
        for key in touched {
            let binding = self.delegating.stored(key);
            let record = Record::Binding { key: key.clone(), binding };
            self.outputs.push_back(Output::Remember(record));
        }
    }

    /// How many bindings are looked after in one pass.
    pub(in crate::core) fn bindings_per_pass(&self) -> usize {
        if self.kernel.backlog.has_steps() { PER_BUSY_PASS } else { PER_PASS }
    }

    /// Handles the deadlines of `most` bindings.
    pub(in crate::core) fn serve_timeouts(&mut self, now: Instant, most: usize) {
        let touched = self.delegating.handle_timeout(now, most);
        let later = self.follow_bindings(now, &touched);
        self.take_steps(now, later);
    }

    /// Notifies the routers of `most` bindings that a change concerns. By now their requests are
    /// answered with the new prefixes.
    pub(in crate::core) fn notify_subordinates(&mut self, now: Instant, most: usize) {
        self.serve_timeouts(now, most);
        // The block of replay values is stored before the first of them is used.
        let serves = self.kernel.desired.serves();
        let reserved = serves.then(|| self.delegating.reserve_replay()).flatten();
        if let Some(reserved) = reserved {
            let record = Record::Replay { reserved };
            self.memory.fold(record.clone());
            self.outputs.push_back(Output::Remember(record));
        }
        while let Some(notification) = self.delegating.poll_notification() {
            match notification {
                Notification::Reconfigure { downlink, contact, octets } => {
                    // A replay value that may have been used before must not be used again.
                    let memory =
                        if reserved.is_some() { Safety::Synced } else { Safety::NotNeeded };
                    self.send_server(&downlink, &contact, octets, memory);
                }
                Notification::Advertise { downlink, host } => {
                    if let Some(downlink) = self.downlinks.get_mut(&*downlink) {
                        downlink.notify(now, host);
                    }
                }
            }
        }
    }

    /// Hands programs in the built-in's place the prefixes that they are to delegate.
    pub(in crate::core) fn order_delegations(&mut self, now: Instant) {
        for assigned in self.delegating.orders(now) {
            let (downlink, assigned) = (assigned.downlink.to_string(), Box::new(assigned));
            let number = self.engines.next_number(Job::Delegator, &downlink);
            self.outputs.push_back(Output::Engine(Order::Delegate { number, downlink, assigned }));
        }
    }

    /// Handles a report about another program. A report about an order before the newest is
    /// overtaken: another one follows it.
    pub(in crate::core) fn take_report(&mut self, now: Instant, report: Report) {
        if !self.engines.is_about_newest(&report) {
            return;
        }
        let waited = report.post.job == Job::Delegator
            && self.delegating.note_state(now, &report.post.interface, report.state);
        self.pass.request_if(waited);
        self.review |= self.engines.handle_report(report);
    }

    /// Takes in what another program has leased.
    pub(in crate::core) fn take_leases(&mut self, now: Instant, leases: &Leases) {
        let (touched, is_news) = self.delegating.set_leases(now, leases);
        let later = self.follow_bindings(now, &touched);
        self.take_steps(now, later);
        self.review |= is_news;
    }
}

/// A message that comes from a requesting router itself.
fn direct(downlink: Arc<str>, received: &Received) -> Result<(Arrival, Message), &'static str> {
    if !received.destination.is_multicast() {
        return Err("unicast");
    }
    let source = received.source;
    let message = Message::decode(&received.octets).map_err(|error| error.label())?;
    let contact = Contact {
        next_hop: source,
        peer: source,
        link_layer: received.link_layer.clone().or_else(|| link_layer_of(source)),
        neighbor_link_layer: received.link_layer.clone(),
        port: DHCP_CLIENT_PORT,
        relay: None,
        levels: Vec::new(),
    };
    Ok((Arrival { downlink, contact }, message))
}

/// A message that relay agents have forwarded, with the errors in options of theirs.
fn relayed(
    downlink: Arc<str>,
    received: &Received,
) -> Result<(Arrival, Message, Vec<DecodeError>), &'static str> {
    let mut relayed = Relayed::decode(&received.octets).map_err(|error| error.label())?;
    let message = Message::decode(&relayed.octets).map_err(|error| error.label())?;
    let mut levels = std::mem::take(&mut relayed.levels);
    let nearest = levels.last().ok_or("truncated")?;
    let link_layer = nearest.options.iter().find_map(|option| match option {
        RelayOption::ClientLinkLayer { address, .. } => Some(address.clone()),
        RelayOption::RelayMessage(_)
        | RelayOption::InterfaceId(_)
        | RelayOption::SourcePort(_)
        | RelayOption::Malformed(_)
        | RelayOption::Unknown { .. } => None,
    });
    let peer = nearest.peer_address;
    let names_port = |option: &RelayOption| matches!(option, RelayOption::SourcePort(_));
    let first = levels.first().ok_or("truncated")?;
    let port = if first.options.iter().any(names_port) { received.port } else { DHCP_SERVER_PORT };
    let malformed = levels.iter().flat_map(RelayMessage::malformed).collect();
    for level in &mut levels {
        level.options.retain(|option| {
            matches!(option, RelayOption::InterfaceId(_) | RelayOption::SourcePort(_))
        });
    }
    let levels: Vec<Vec<u8>> = levels.iter().map(RelayMessage::encode).collect();
    // They are kept with the binding, so any node could fill the memory with them.
    if levels.iter().map(Vec::len).sum::<usize>() > MAX_RELAY_OCTETS {
        return Err("relay-options");
    }
    let contact = Contact {
        next_hop: received.source,
        peer,
        link_layer: link_layer.or_else(|| link_layer_of(peer)),
        neighbor_link_layer: received.link_layer.clone(),
        port,
        relay: Some(received.source),
        levels,
    };
    Ok((Arrival { downlink, contact }, message, malformed))
}
