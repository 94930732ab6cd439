//! The relay agent (RFC 9915 §19, RFC 8987): messages of requesting routers on a link are forwarded
//! to servers elsewhere, the answers are forwarded back, and the leases in them are remembered and
//! routed.
//!
//! Relaying itself has no state: each answer names its link and client.

mod agent;
mod leases;
mod link;
#[cfg(test)]
mod tests;

use std::net::Ipv6Addr;

pub use self::agent::{RelayStatus, RelayedStatus};
pub use self::leases::Leases;
use self::link::ClientLink;
use super::event::Event;
use super::input::Received;
use super::kernel::system::System;
use super::memory::Record;
use super::output::{Packet, ServerPacket};
use crate::config::Config;
use crate::core::safety::Safety;
use crate::net::{DHCP_CLIENT_PORT, DHCP_SERVER_PORT, link_layer_of};
use crate::time::Instant;
use crate::wire::DecodeError;
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_relay::{HOP_COUNT_LIMIT, RelayKind, RelayMessage, RelayOption, innermost};

/// Type and transaction id, or type, message type and flags: no message is shorter.
const SHORTEST: usize = 4;
const ETHERNET: u16 = 1;
/// ADDR-REG-REPLY (RFC 9686 §4.3), which servers send. ADDR-REG-INFORM, 36, is forwarded like all
/// messages of clients.
const ADDR_REG_REPLY: u8 = 37;

/// The consequences of a datagram.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Relaying {
    /// Records to be stored before any packet leaves; the routes differ where there are any.
    pub records: Vec<Record>,
    /// Delegations that began or ended.
    pub events: Vec<Event>,
    /// There was no room for some of the leases.
    pub crowded: bool,
    /// Errors of options that were ignored.
    pub malformed: Vec<DecodeError>,
    /// Packets to be sent.
    pub packets: Vec<ServerPacket>,
}

/// Why a datagram is not relayed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reject {
    /// It came in on an interface that nothing is relayed from (RLY-17).
    Interface,
    /// It is too short to be a message.
    Short,
    /// A relay message that cannot be decoded.
    Malformed(DecodeError),
    /// A client has sent it to one node instead of the group (RLY-09).
    Unicast,
    /// Its source is unspecified, or this machine itself.
    Source,
    /// A message that only servers send came from a client's link (RLY-09).
    ServerMessage,
    /// It was relayed too often (RLY-05).
    HopCount,
    /// There is no way to any of the servers.
    NoWay,
    /// An answer whose sender is none of the servers.
    Stranger,
    /// An answer without a message in it.
    Empty,
    /// An answer for a link that is none of ours.
    Link,
    /// An answer for an address that no neighbor can have.
    Peer,
    /// An answer for a link that is down.
    Detached,
}

impl Reject {
    /// A short stable name, used as the label of a counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Interface => "interface",
            Self::Short => "short",
            Self::Malformed(error) => error.label(),
            Self::Unicast => "unicast",
            Self::Source => "source",
            Self::ServerMessage => "server-message",
            Self::HopCount => "hop-count",
            Self::NoWay => "no-way",
            Self::Stranger => "stranger",
            Self::Empty => "empty",
            Self::Link => "link",
            Self::Peer => "peer",
            Self::Detached => "detached",
        }
    }
}

/// The relay agents of all links.
#[derive(Clone, Debug, Default)]
pub struct Relays {
    leases: Leases,
}

impl Relays {
    /// Restores the leases of an earlier run.
    pub const fn new(leases: Leases) -> Self {
        Self { leases }
    }

    /// The leases of requesting routers.
    pub const fn leases(&self) -> &Leases {
        &self.leases
    }

    /// The same, to end them.
    pub const fn leases_mut(&mut self) -> &mut Leases {
        &mut self.leases
    }

    /// Takes in a datagram to UDP port 547.
    ///
    /// # Errors
    ///
    /// [`Reject`] where it is not relayed; then nothing has changed.
    pub fn handle(
        &mut self,
        now: Instant,
        config: &Config,
        system: &System,
        received: &Received,
    ) -> Result<Relaying, Reject> {
        let kind = received.octets.first().ok_or(Reject::Short)?;
        let link = ClientLink::at(config, system, received.interface);
        match (RelayKind::from_wire(*kind), link) {
            (Some(RelayKind::Reply), None) => self.deliver(now, config, system, received),
            (Some(RelayKind::Reply), Some(_)) => Err(Reject::ServerMessage),
            (Some(RelayKind::Forward) | None, None) => Err(Reject::Interface),
            (kind @ (Some(RelayKind::Forward) | None), Some(link)) => {
                let (level, malformed) = match kind {
                    None => (from_client(now, &link, received)?, Vec::new()),
                    Some(_) => from_relay(now, &link, received)?,
                };
                let mut relaying = self.forward(config, &link, received, &level)?;
                relaying.malformed.extend(malformed);
                Ok(relaying)
            }
        }
    }

    /// Forwards a message towards the servers (RFC 9915 §19.1).
    fn forward(
        &mut self,
        config: &Config,
        link: &ClientLink<'_>,
        received: &Received,
        level: &RelayMessage,
    ) -> Result<Relaying, Reject> {
        if !is_host(received.source)
            || link.system.has_sent(
                received.interface,
                received.source,
                received.link_layer.as_ref(),
            )
        {
            return Err(Reject::Source);
        }
        let octets = level.encode();
        let packets: Vec<ServerPacket> = link
            .servers(config)
            .map(|(interface, destination)| ServerPacket {
                packet: Packet {
                    interface,
                    source: Ipv6Addr::UNSPECIFIED,
                    destination,
                    octets: octets.clone(),
                },
                port: DHCP_SERVER_PORT,
                memory: Safety::Written,
            })
            .collect();
        if packets.is_empty() {
            return Err(Reject::NoWay);
        }
        let mut relaying = Relaying { packets, ..Relaying::default() };
        if let Some(message) = client_message(&received.octets)
            && message.kind == MessageType::Release
        {
            relaying.malformed.extend(message.malformed().map(|(_, error)| error));
            self.leases.take_release(&mut relaying, link.name, received.source, &message);
        }
        Ok(relaying)
    }

    /// Forwards an answer towards the client (RFC 9915 §19.2), whatever the type of the message
    /// inside (RLY-08).
    fn deliver(
        &mut self,
        now: Instant,
        config: &Config,
        system: &System,
        received: &Received,
    ) -> Result<Relaying, Reject> {
        let level = RelayMessage::decode(&received.octets).map_err(Reject::Malformed)?;
        let link = ClientLink::of(config, system, &level).ok_or(Reject::Link)?;
        if !link.believes(config, received) {
            return Err(Reject::Stranger);
        }
        let octets = level.relayed().filter(|octets| !octets.is_empty()).ok_or(Reject::Empty)?;
        let peer = level.peer_address;
        if !is_host(peer) || system.is_own(link.index(), peer) {
            return Err(Reject::Peer);
        }
        let source = link.link_local().ok_or(Reject::Detached)?;
        let port = if octets.first() == Some(&RelayKind::Reply.to_wire()) {
            level.source_port().filter(|port| *port != 0).unwrap_or(DHCP_SERVER_PORT)
        } else {
            DHCP_CLIENT_PORT
        };
        let interface = link.index();
        let packet = Packet { interface, source, destination: peer, octets: octets.to_vec() };
        let packets = vec![ServerPacket { packet, port, memory: Safety::Written }];
        let malformed = level.malformed().collect();
        let mut relaying = Relaying { packets, malformed, ..Relaying::default() };
        if let Some(message) = client_message(octets)
            && message.kind == MessageType::Reply
            && link.is_neighbor(peer)
        {
            relaying.malformed.extend(message.malformed().map(|(_, error)| error));
            self.leases.take_reply(&mut relaying, now, &link, peer, &message);
        }
        Ok(relaying)
    }
}

/// A Relay-forward around what a client has sent (RFC 9915 §19.1.1).
fn from_client(
    now: Instant,
    link: &ClientLink<'_>,
    received: &Received,
) -> Result<RelayMessage, Reject> {
    if !received.destination.is_multicast() {
        return Err(Reject::Unicast);
    }
    if received.octets.len() < SHORTEST {
        return Err(Reject::Short);
    }
    let kind = received.octets.first().copied();
    if kind == Some(ADDR_REG_REPLY) {
        return Err(Reject::ServerMessage);
    }
    match kind.and_then(MessageType::from_wire) {
        Some(MessageType::Advertise | MessageType::Reply | MessageType::Reconfigure) => {
            return Err(Reject::ServerMessage);
        }
        // Types that are not known are relayed like all others (RLY-02).
        None
        | Some(
            MessageType::Solicit
            | MessageType::Request
            | MessageType::Confirm
            | MessageType::Renew
            | MessageType::Rebind
            | MessageType::Release
            | MessageType::Decline
            | MessageType::InformationRequest,
        ) => {}
    }
    let mut level = level(link, received, 0);
    level.link_address =
        link.address(now).or_else(|| link.link_local()).unwrap_or(Ipv6Addr::UNSPECIFIED);
    if let Some(address) = link_layer_address(received) {
        level.options.push(RelayOption::ClientLinkLayer { hardware_type: ETHERNET, address });
    }
    Ok(level)
}

/// A Relay-forward around the message of another relay agent (RFC 9915 §19.1.2), with the errors of
/// that message's options.
fn from_relay(
    now: Instant,
    link: &ClientLink<'_>,
    received: &Received,
) -> Result<(RelayMessage, Vec<DecodeError>), Reject> {
    let inner = RelayMessage::decode(&received.octets).map_err(Reject::Malformed)?;
    if inner.hop_count >= HOP_COUNT_LIMIT {
        return Err(Reject::HopCount);
    }
    let mut level = level(link, received, inner.hop_count.saturating_add(1));
    if received.source.is_unicast_link_local() {
        level.link_address = link.address(now).unwrap_or(Ipv6Addr::UNSPECIFIED);
    }
    if inner.source_port().is_some() {
        level.options.push(RelayOption::SourcePort(received.port));
    }
    Ok((level, inner.malformed().collect()))
}

/// The part that both kinds of Relay-forward have in common. Each names the link (RLY-04), so that
/// an answer finds it also when the link's address has changed meanwhile.
fn level(link: &ClientLink<'_>, received: &Received, hop_count: u8) -> RelayMessage {
    RelayMessage {
        kind: RelayKind::Forward,
        hop_count,
        link_address: Ipv6Addr::UNSPECIFIED,
        peer_address: received.source,
        options: vec![
            RelayOption::RelayMessage(received.octets.clone()),
            RelayOption::InterfaceId(link.name.as_bytes().to_vec()),
        ],
    }
}

/// The client's link-layer address (RFC 6939): from the system, or from the client's own address if
/// that is a modified EUI-64.
fn link_layer_address(received: &Received) -> Option<Vec<u8>> {
    /// Octets of an Ethernet address.
    const OCTETS: usize = 6;
    if let Some(known) = received.link_layer.as_ref().filter(|known| known.len() == OCTETS) {
        return Some(known.clone());
    }
    link_layer_of(received.source)
}

/// The innermost message of any number of relay messages; none where that does not decode.
fn client_message(octets: &[u8]) -> Option<Message> {
    Message::decode(&innermost(octets).ok()?).ok()
}

/// Whether a node can have this address.
const fn is_host(address: Ipv6Addr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && !address.is_loopback()
}
