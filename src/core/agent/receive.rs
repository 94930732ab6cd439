//! Packets: one that fails a check is counted by reason, any other goes to its uplink or downlink.

use std::collections::VecDeque;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use pnet::packet::icmpv6::Icmpv6Types;
use pnet::packet::icmpv6::ndp::{MutableNeighborAdvertPacket, NdpOptionTypes, NeighborAdvertFlags};

use super::pass::DEFER;
use crate::config::Job;
use crate::core::Core;
use crate::core::downlink::advertise::Transmit;
use crate::core::engine::Order;
use crate::core::event::{Event, RejectedPacket};
use crate::core::input::Received;
use crate::core::kernel::system::Neighbor;
use crate::core::output::{Output, Packet};
use crate::core::stage::Stage;
use crate::core::uplink::hear::RouterChange;
use crate::core::uplink::lease::Refusal;
use crate::core::uplink::{Attachment, Uplink};
use crate::net::IfIndex;
use crate::net::{ALL_DHCP_SERVERS, ALL_ROUTERS};
use crate::time::Instant;
use crate::wire::address_registration::{self, Acknowledgement};
use crate::wire::dhcpv6::Message;
use crate::wire::ndp::{RouterAdvertisement, RouterSolicitation};
use crate::wire::ndp_option::NdpOption;

/// The hop limit of a packet that no router has forwarded (RFC 4861 §6.1).
const UNFORWARDED: u8 = 255;

impl Core {
    pub(in crate::core) fn receive_icmpv6(&mut self, now: Instant, received: &Received) {
        let kind = received.octets.first().copied();
        if kind == Some(Icmpv6Types::RouterAdvert.0) {
            self.receive_advertisement(now, received);
        } else if kind == Some(Icmpv6Types::RouterSolicit.0) {
            self.receive_solicitation(now, received);
        } else if kind == Some(Icmpv6Types::NeighborAdvert.0) {
            self.receive_neighbor_advertisement(now, received);
        } else if kind == Some(Icmpv6Types::EchoReply.0)
            && let Some(name) = self.kernel.state.system.name_of(received.interface)
            && let Some(uplink) = self.uplinks.get_mut(name)
        {
            let Received { source, destination, octets, .. } = received;
            self.pass.request_if(uplink.handle_echo_reply(*source, *destination, octets));
        }
    }

    fn receive_advertisement(&mut self, now: Instant, received: &Received) {
        if !self.is_uplink(received.interface) {
            if self.is_downlink(received.interface) {
                self.advertisement_on_downlink(now, received);
            }
            return;
        }
        let advertisement = match self.checked_advertisement(received) {
            Ok(advertisement) => advertisement,
            Err(reason) => return self.reject(now, "ra", reason, received),
        };
        for option in &advertisement.options {
            if let NdpOption::Malformed { error, .. } = option {
                self.reject(now, "ra-option", error.label(), received);
            }
        }
        let Some(name) = self.kernel.state.system.name_of(received.interface) else { return };
        let Some(uplink) = self.uplinks.get_mut(name) else { return };
        let to_us = !received.destination.is_multicast();
        let handled = uplink.handle_advertisement(now, received.source, &advertisement, to_us);
        self.review |= uplink.review_silence(now);
        match handled {
            Ok(mut effect) => {
                let name = name.to_owned();
                // The answer to our request will change more: one pass serves both.
                if uplink.is_asking() && std::mem::take(&mut effect.heard) {
                    self.pass.request_heard(now, now + DEFER);
                }
                self.take_effect(now, &name, &effect);
            }
            Err(reject) => self.reject(now, "ra", reject.label(), received),
        }
    }

    fn checked_advertisement(
        &self,
        received: &Received,
    ) -> Result<RouterAdvertisement, &'static str> {
        check_neighbor(received)?;
        if !received.source.is_unicast_link_local() {
            return Err("source");
        }
        if self.kernel.state.system.is_own(received.interface, received.source) {
            return Err("own");
        }
        let advertisement =
            RouterAdvertisement::decode(&received.octets).map_err(|error| error.label())?;
        if self.is_returned(received, &advertisement) {
            return Err("own");
        }
        Ok(advertisement)
    }

    /// Whether an advertisement is one of ours that a bridge between our links hands back
    /// (RA-RX-11). Its source is our address on the other link, which a router here may have as
    /// well; but ours also carry the link-layer address of that link.
    fn is_returned(&self, received: &Received, advertisement: &RouterAdvertisement) -> bool {
        let is_from = |own: &[u8]| {
            advertisement.options.iter().any(|option| {
                matches!(option, NdpOption::SourceLinkLayer(sender) if sender.starts_with(own))
            })
        };
        let mut links = self.kernel.state.system.links_with(received.source, received.interface);
        links.any(|link| link.link_layer_address.as_deref().is_some_and(is_from))
    }

    /// Another router on a link of ours: never believed (RA-RX-12), but reported (RA-TX-40).
    fn advertisement_on_downlink(&mut self, now: Instant, received: &Received) {
        let Ok(advertisement) = self.checked_advertisement(received) else { return };
        if advertisement.snac_router
            && let Some(name) = self.kernel.state.system.name_of(received.interface)
            && let Some(downlink) = self.downlinks.get_mut(name)
        {
            downlink.note_stub_router(now);
        }
        if self.counters.count(now, "ra", "on-downlink") {
            let interface = self.name_of(received.interface);
            self.report(Event::ForeignRouter { interface, router: received.source });
        }
    }

    fn receive_solicitation(&mut self, now: Instant, received: &Received) {
        if !self.is_downlink(received.interface) {
            return;
        }
        let solicitation = check_neighbor(received).and_then(|()| {
            let decoded = RouterSolicitation::decode(&received.octets);
            let solicitation = decoded.map_err(|error| error.label())?;
            let from_nobody = received.source == Ipv6Addr::UNSPECIFIED;
            let mut options = solicitation.options.iter();
            if from_nobody && options.any(|option| matches!(option, NdpOption::SourceLinkLayer(_)))
            {
                return Err("source-link-layer");
            }
            Ok(solicitation)
        });
        match solicitation {
            Ok(solicitation) => {
                for option in &solicitation.options {
                    if let NdpOption::Malformed { error, .. } = option {
                        self.reject(now, "rs-option", error.label(), received);
                    }
                }
                if let Some(name) = self.kernel.state.system.name_of(received.interface)
                    && let Some(downlink) = self.downlinks.get_mut(name)
                {
                    downlink.handle_solicitation(now, received.source, &solicitation);
                }
            }
            Err(reason) => self.reject(now, "rs", reason, received),
        }
    }

    pub(in crate::core) fn receive_dhcpv6(&mut self, now: Instant, received: &Received) {
        if !self.is_uplink(received.interface) {
            return;
        }
        if received.destination.is_multicast() {
            return self.reject(now, "dhcpv6", "multicast", received);
        }
        // A server may be many links away and answer from any address of its own: RFC 9915 names
        // none. The protection is that it has to know the transaction and the client's DUID.
        let source = received.source;
        if source.is_unspecified() || source.is_loopback() || source.is_multicast() {
            return self.reject(now, "dhcpv6", "source", received);
        }
        if self.kernel.state.system.is_own(received.interface, source) {
            return self.reject(now, "dhcpv6", "own", received);
        }
        if received.octets.first() == Some(&address_registration::REPLY) {
            return self.receive_acknowledgement(now, received);
        }
        let message = match Message::decode(&received.octets) {
            Ok(message) => message,
            Err(error) => return self.reject(now, "dhcpv6", error.label(), received),
        };
        for (_, error) in message.malformed() {
            self.reject(now, "dhcpv6-option", error.label(), received);
        }
        let Some(name) = self.kernel.state.system.name_of(received.interface).map(str::to_owned)
        else {
            return;
        };
        if let Some(uplink) = self.uplinks.get_mut(&name)
            && let Some(effect) = uplink.handle_information(now, &message)
        {
            return self.take_effect(now, &name, &effect);
        }
        // Any node can send a Reply that answers no request.
        let is_answer =
            self.uplinks.get(&name).is_some_and(|uplink| uplink.lease().awaits(&message));
        let elsewhere = is_answer.then(|| self.prefixes_elsewhere(&name));
        let Some(uplink) = self.uplinks.get_mut(&name) else { return };
        if let Some(elsewhere) = elsewhere {
            uplink.set_elsewhere(elsewhere);
        }
        let handled = uplink.handle_message(now, received.source, &message, &received.octets);
        let refusals: Vec<Refusal> = std::iter::from_fn(|| uplink.poll_refusal()).collect();
        self.review |= uplink.review_silence(now) || !refusals.is_empty();
        for refusal in refusals {
            self.reject(now, "delegated", refusal.label(), received);
        }
        match handled {
            Ok(effect) => self.take_effect(now, &name, &effect),
            Err(reject) => {
                self.report_exchanges(&name);
                self.reject(now, "dhcpv6", reject.label(), received);
            }
        }
    }

    /// A server has taken in the registration of an address (RFC 9686 §4.3).
    fn receive_acknowledgement(&mut self, now: Instant, received: &Received) {
        let acknowledgement = match Acknowledgement::decode(&received.octets) {
            Ok(acknowledgement) => acknowledgement,
            Err(error) => return self.reject(now, "dhcpv6", error.label(), received),
        };
        let Some(name) = self.name_of(received.interface) else { return };
        let Some(uplink) = self.uplinks.get_mut(&name) else { return };
        match uplink.handle_acknowledgement(received.destination, &acknowledgement) {
            Some(effect) => self.take_effect(now, &name, &effect),
            None => self.reject(now, "dhcpv6", "unregistered-address", received),
        }
    }

    /// The delegated prefixes that other uplinks than `name` hold, and the static ones.
    fn prefixes_elsewhere(&self, name: &str) -> Vec<Ipv6Net> {
        let uplinks = self.uplinks.iter().filter(|(other, _)| *other != name);
        let held = uplinks.flat_map(|(_, uplink)| uplink.lease().prefixes());
        let statics = self.statics.facts().flat_map(|(_, facts)| facts.delegated);
        let live = held.chain(statics).filter(|held| held.gone_since.is_none());
        live.map(|held| held.prefix).collect()
    }

    /// Asks anew on those uplinks whose servers gave a prefix that overlapped one of `name`, which
    /// may be free from here on.
    pub(in crate::core) fn ask_again_elsewhere(&mut self, now: Instant, name: &str) {
        for (_, uplink) in self.uplinks.iter_mut().filter(|(other, _)| *other != name) {
            uplink.ask_again_if_overlapped(now);
        }
    }

    fn is_uplink(&self, interface: IfIndex) -> bool {
        self.kernel
            .state
            .system
            .name_of(interface)
            .is_some_and(|name| self.uplinks.contains_key(name))
    }

    fn is_downlink(&self, interface: IfIndex) -> bool {
        self.kernel
            .state
            .system
            .name_of(interface)
            .is_some_and(|name| self.downlinks.contains_key(name))
    }

    pub(in crate::core) fn reject(
        &mut self,
        now: Instant,
        kind: &'static str,
        reason: &'static str,
        received: &Received,
    ) {
        if self.counters.count(now, kind, reason) && self.reports_debug {
            let message_type = received.octets.first().copied();
            let packet = RejectedPacket { kind, reason, source: received.source, message_type };
            let interface = self.name_of(received.interface);
            self.report(Event::PacketRejected { interface, packet });
        }
    }

    /// Reports default routers that appeared on an uplink or are lost.
    pub(in crate::core) fn report_routers(&mut self, name: &str, changes: &[RouterChange]) {
        for RouterChange { address: router, is_default } in changes.iter().copied() {
            let interface = name.to_owned();
            self.report(if is_default {
                Event::RouterAppeared { interface, router }
            } else {
                Event::RouterLost { interface, router }
            });
        }
    }

    /// Reports the steps that exchanges of an uplink have taken.
    pub(in crate::core) fn report_exchanges(&mut self, name: &str) {
        if let Some(uplink) = self.uplinks.get_mut(name) {
            report_exchanges(&mut self.events, name, uplink);
        }
    }

    /// Sends what an uplink has to send.
    pub(in crate::core) fn send_from_uplink(&mut self, now: Instant, name: &str) {
        let Some(uplink) = self.uplinks.get_mut(name) else { return };
        let Some(attached) = uplink.attached().cloned() else { return };
        let packet = |destination, octets| Packet {
            interface: attached.index,
            source: attached.link_local,
            destination,
            octets,
        };
        while let Some(octets) = uplink.poll_transmit(now) {
            self.outputs.push_back(Output::SendDhcpv6(packet(ALL_DHCP_SERVERS, octets)));
        }
        while let Some((source, octets)) = uplink.poll_registration(now) {
            let packet = packet(ALL_DHCP_SERVERS, octets);
            let source = source.unwrap_or(packet.source);
            self.outputs.push_back(Output::SendDhcpv6(Packet { source, ..packet }));
        }
        if let Some(kind) = uplink.poll_order() {
            let number = self.engines.next_number(Job::Requester, name);
            let order = Order::Renew { number, uplink: name.to_owned(), kind };
            self.outputs.push_back(Output::Engine(order));
        }
        self.review |= uplink.review_silence(now);
        report_exchanges(&mut self.events, name, uplink);
        while let Some((destination, octets)) = uplink.poll_solicitation(now) {
            self.outputs.push_back(Output::SendIcmpv6(packet(destination, octets)));
        }
        while let Some((source, destination, octets)) = uplink.poll_probe(now) {
            let packet = Packet { source, ..packet(destination, octets) };
            self.outputs.push_back(Output::SendIcmpv6(packet));
        }
    }

    /// An ICMPv6 packet could not be sent: a router that it was for has not been asked.
    pub(in crate::core) fn handle_dropped(
        &mut self,
        now: Instant,
        interface: IfIndex,
        destination: Ipv6Addr,
    ) {
        let Some(name) = self.kernel.state.system.name_of(interface) else { return };
        if let Some(uplink) = self.uplinks.get_mut(name) {
            uplink.handle_dropped(now, destination);
        }
    }

    /// Takes in the neighbors on a link.
    pub(in crate::core) fn receive_neighbors(
        &mut self,
        now: Instant,
        interface: IfIndex,
        neighbors: Vec<Neighbor>,
    ) {
        let Some(name) = self.kernel.state.system.name_of(interface) else { return };
        if let Some(downlink) = self.downlinks.get_mut(name) {
            let hosts = downlink.set_neighbors(now, neighbors);
            if !hosts.is_empty() {
                self.outputs.push_back(Output::ExpectNeighbors { interface, hosts });
            }
        }
    }

    /// Sends the advertisements whose time has come, each behind the promises it makes.
    pub(in crate::core) fn send_from_downlinks(&mut self, now: Instant) {
        if self.advertising_held_until(now).is_some() {
            return;
        }
        let mut sent = false;
        let mut downlinks = std::mem::take(&mut self.downlinks);
        for (name, downlink) in &mut downlinks {
            while let Some((attached, promises, transmit)) = downlink.poll_transmit(now) {
                self.remember_promises(name, promises);
                sent |= transmit.destinations.iter().any(Ipv6Addr::is_multicast);
                self.outputs.extend(advertisements(&attached, &transmit));
            }
            self.outputs.extend(downlink.poll_neighbors(now).map(Output::ListNeighbors));
            self.send_to_program(now, downlink);
        }
        self.downlinks = downlinks;
        if sent && let Some(change) = self.unadvertised.take() {
            let milestone = crate::core::stage::Milestone { change, stage: Stage::Advertised };
            self.outputs.push_back(Output::Milestone(milestone));
        }
    }
}

fn report_exchanges(events: &mut VecDeque<Event>, name: &str, uplink: &mut Uplink) {
    while let Some(transition) = uplink.poll_transition() {
        events.push_back(Event::Lease { interface: name.to_owned(), transition });
    }
}

/// The packets of an advertisement.
pub(in crate::core) fn advertisements(
    attached: &Attachment,
    transmit: &Transmit,
) -> impl Iterator<Item = Output> {
    let (interface, source) = (attached.index, attached.link_local);
    transmit.destinations.iter().flat_map(move |&destination| {
        transmit.messages.iter().map(move |octets| {
            let octets = octets.clone();
            Output::SendIcmpv6(Packet { interface, source, destination, octets })
        })
    })
}

/// What holds for every neighbor discovery message (RFC 4861 §6.1, RFC 6980 §5).
pub(in crate::core) const fn check_neighbor(received: &Received) -> Result<(), &'static str> {
    if received.hop_limit != UNFORWARDED {
        return Err("hop-limit");
    }
    if received.fragmented {
        return Err("fragmented");
    }
    Ok(())
}

/// An unsolicited neighbor advertisement to the routers, so that the first answers to a new
/// address find its holder (RFC 9131 §6).
pub(in crate::core) fn neighbor_advertisement(attached: &Attachment, address: Ipv6Addr) -> Packet {
    let mut octets = vec![0; MutableNeighborAdvertPacket::minimum_packet_size()];
    if let Some(mut packet) = MutableNeighborAdvertPacket::new(&mut octets) {
        packet.set_icmpv6_type(Icmpv6Types::NeighborAdvert);
        packet.set_flags(NeighborAdvertFlags::Router);
        packet.set_target_addr(address);
    }
    if let Some(link_layer_address) = attached.link_layer_address.as_deref()
        && link_layer_address.len() == 6
    {
        octets.extend([NdpOptionTypes::TargetLLAddr.0, 1]);
        octets.extend(link_layer_address);
    }
    Packet {
        interface: attached.index,
        source: attached.link_local,
        destination: ALL_ROUTERS,
        octets,
    }
}
