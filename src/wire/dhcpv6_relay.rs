//! DHCPv6 messages between relay agents and servers (RFC 9915 §9, RFC 6939, RFC 8357).

use std::net::Ipv6Addr;

use super::DecodeError;
use super::cursor::Cursor;
use super::dhcpv6_option::codec::{exactly, header, push_option, take_option};

/// How often a message may have been relayed before a relay agent drops it (RFC 9915 §7.6).
pub const HOP_COUNT_LIMIT: u8 = 8;

/// Hop counts from 0 to the limit, which is the last that a relay agent writes.
const MAX_LEVELS: usize = 9;

const RELAY_FORWARD: u8 = 12;
const RELAY_REPLY: u8 = 13;
const RELAY_MESSAGE: u16 = 9;
const INTERFACE_ID: u16 = 18;
const CLIENT_LINK_LAYER: u16 = 79;
const RELAY_SOURCE_PORT: u16 = 135;

/// The direction of a relay message (RFC 9915 §7.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RelayKind {
    /// 12: towards servers.
    Forward,
    /// 13: towards clients.
    Reply,
}

impl RelayKind {
    /// Reads the type octet of a message; none for messages between client and server.
    pub const fn from_wire(octet: u8) -> Option<Self> {
        match octet {
            RELAY_FORWARD => Some(Self::Forward),
            RELAY_REPLY => Some(Self::Reply),
            _ => None,
        }
    }

    /// The type octet of a message.
    pub const fn to_wire(self) -> u8 {
        match self {
            Self::Forward => RELAY_FORWARD,
            Self::Reply => RELAY_REPLY,
        }
    }
}

/// An option of a relay message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RelayOption {
    /// 9: the message inside, octet for octet as it came.
    RelayMessage(Vec<u8>),
    /// 18: what the relay agent calls the link; opaque to everyone else.
    InterfaceId(Vec<u8>),
    /// 79: the client's link-layer address (RFC 6939).
    ClientLinkLayer {
        /// As assigned for ARP; 1 is Ethernet.
        hardware_type: u16,
        /// The address.
        address: Vec<u8>,
    },
    /// 135: the port of the relay agent downstream, 0 for 547 (RFC 8357).
    SourcePort(u16),
    /// One whose content is wrong, or octets behind the last option. The rest of the message counts.
    Malformed(DecodeError),
    /// Any other, kept as it came.
    Unknown {
        /// Its code.
        code: u16,
        /// Its octets.
        body: Vec<u8>,
    },
}

impl RelayOption {
    fn decode(code: u16, body: &[u8]) -> Self {
        Self::decode_strictly(code, body).unwrap_or_else(Self::Malformed)
    }

    fn decode_strictly(code: u16, body: &[u8]) -> Result<Self, DecodeError> {
        Ok(match code {
            RELAY_MESSAGE => Self::RelayMessage(body.to_vec()),
            INTERFACE_ID => Self::InterfaceId(body.to_vec()),
            CLIENT_LINK_LAYER => {
                let (mut fixed, mut rest) = header::<2>(code, body)?;
                Self::ClientLinkLayer {
                    hardware_type: fixed.u16()?,
                    address: rest.take_rest().to_vec(),
                }
            }
            RELAY_SOURCE_PORT => Self::SourcePort(u16::from_be_bytes(exactly(code, body)?)),
            _ => Self::Unknown { code, body: body.to_vec() },
        })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::RelayMessage(octets) => push_option(out, RELAY_MESSAGE, octets),
            Self::InterfaceId(octets) => push_option(out, INTERFACE_ID, octets),
            Self::ClientLinkLayer { hardware_type, address } => {
                let body = [&hardware_type.to_be_bytes()[..], address].concat();
                push_option(out, CLIENT_LINK_LAYER, &body);
            }
            Self::SourcePort(port) => push_option(out, RELAY_SOURCE_PORT, &port.to_be_bytes()),
            Self::Malformed(_) => {}
            Self::Unknown { code, body } => push_option(out, *code, body),
        }
    }

    /// Whether a server sends the option back as it came (RFC 9915 §19.3, RFC 8357 §5.2).
    const fn is_echoed(&self) -> bool {
        match self {
            Self::InterfaceId(_) | Self::SourcePort(_) => true,
            Self::RelayMessage(_)
            | Self::ClientLinkLayer { .. }
            | Self::Malformed(_)
            | Self::Unknown { .. } => false,
        }
    }
}

/// A message between relay agent and server, or between two relay agents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RelayMessage {
    /// Its direction.
    pub kind: RelayKind,
    /// How many relay agents the message inside has passed.
    pub hop_count: u8,
    /// Names the link of the client; unspecified where the relay agent left that to others.
    pub link_address: Ipv6Addr,
    /// The sender of the message inside, or its destination.
    pub peer_address: Ipv6Addr,
    /// The options in their order on the wire.
    pub options: Vec<RelayOption>,
}

impl RelayMessage {
    /// Decodes the payload of a UDP datagram, and what is inside not at all.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the type is none of [`RelayKind`] or the header is cut. An option that is
    /// malformed costs itself alone and is kept as [`RelayOption::Malformed`].
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = Cursor::new(octets);
        let kind = rest.u8()?;
        let kind = RelayKind::from_wire(kind).ok_or(DecodeError::Type(kind))?;
        let hop_count = rest.u8()?;
        let link_address = rest.array::<16>()?.into();
        let peer_address = rest.array::<16>()?.into();
        let mut options = Vec::new();
        loop {
            match take_option(&mut rest) {
                Ok(Some((code, body))) => options.push(RelayOption::decode(code, body)),
                Ok(None) => break,
                Err(unread) => options.push(RelayOption::Malformed(unread.error)),
            }
        }
        Ok(Self { kind, hop_count, link_address, peer_address, options })
    }

    /// Encodes the message. An option over 65535 octets has no form on the wire and is left out.
    pub fn encode(&self) -> Vec<u8> {
        let mut octets = vec![self.kind.to_wire(), self.hop_count];
        octets.extend(self.link_address.octets());
        octets.extend(self.peer_address.octets());
        for option in &self.options {
            option.encode(&mut octets);
        }
        octets
    }

    /// What is wrong with options that are malformed.
    pub fn malformed(&self) -> impl Iterator<Item = DecodeError> {
        self.options.iter().filter_map(|option| match option {
            RelayOption::Malformed(error) => Some(*error),
            RelayOption::RelayMessage(_)
            | RelayOption::InterfaceId(_)
            | RelayOption::ClientLinkLayer { .. }
            | RelayOption::SourcePort(_)
            | RelayOption::Unknown { .. } => None,
        })
    }

    /// The message inside. Of options that come twice the first one counts (RFC 9915 §21).
    pub fn relayed(&self) -> Option<&[u8]> {
        self.options.iter().find_map(|option| match option {
            RelayOption::RelayMessage(octets) => Some(octets.as_slice()),
            RelayOption::InterfaceId(_)
            | RelayOption::ClientLinkLayer { .. }
            | RelayOption::SourcePort(_)
            | RelayOption::Malformed(_)
            | RelayOption::Unknown { .. } => None,
        })
    }

    /// What the relay agent calls the link.
    pub fn interface_id(&self) -> Option<&[u8]> {
        self.options.iter().find_map(|option| match option {
            RelayOption::InterfaceId(octets) => Some(octets.as_slice()),
            RelayOption::RelayMessage(_)
            | RelayOption::ClientLinkLayer { .. }
            | RelayOption::SourcePort(_)
            | RelayOption::Malformed(_)
            | RelayOption::Unknown { .. } => None,
        })
    }

    /// The port of the relay agent downstream; 0 for 547.
    pub fn source_port(&self) -> Option<u16> {
        self.options.iter().find_map(|option| match option {
            RelayOption::SourcePort(port) => Some(*port),
            RelayOption::RelayMessage(_)
            | RelayOption::InterfaceId(_)
            | RelayOption::ClientLinkLayer { .. }
            | RelayOption::Malformed(_)
            | RelayOption::Unknown { .. } => None,
        })
    }

    /// Takes the message inside out of the options.
    fn take_relayed(&mut self) -> Result<Vec<u8>, DecodeError> {
        let is_relayed = |option: &RelayOption| matches!(option, RelayOption::RelayMessage(_));
        let position = self.options.iter().position(is_relayed);
        match position.map(|position| self.options.remove(position)) {
            Some(RelayOption::RelayMessage(octets)) => Ok(octets),
            _ => Err(DecodeError::MissingOption(RELAY_MESSAGE)),
        }
    }
}

/// A client's message that came through relay agents.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Relayed {
    /// What each relay agent added, the nearest to the server first, without the message inside.
    /// At least one, at most nine.
    pub levels: Vec<RelayMessage>,
    /// The client's message as it sent it.
    pub octets: Vec<u8>,
}

impl Relayed {
    /// Unwraps a Relay-forward down to the client's message, which is not decoded.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if a level is malformed, holds no message, or is one too many.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        unwrap(RelayKind::Forward, octets)
    }

    /// Wraps an answer so that it takes the way back: a Relay-reply for each Relay-forward, with
    /// its hop count and addresses, and of its options those that are to be sent back
    /// (RFC 9915 §19.3).
    pub fn wrap(&self, answer: &[u8]) -> Vec<u8> {
        let mut octets = answer.to_vec();
        for level in self.levels.iter().rev() {
            let echoed = level.options.iter().filter(|option| option.is_echoed()).cloned();
            let options = echoed.chain([RelayOption::RelayMessage(octets)]).collect();
            octets = RelayMessage { kind: RelayKind::Reply, options, ..*level }.encode();
        }
        octets
    }

    /// An address that names the client's link: of those that say something the one written by
    /// the relay agent nearest to the client (RFC 9915 §13.1).
    pub fn link_address(&self) -> Option<Ipv6Addr> {
        let addresses = self.levels.iter().rev().map(|level| level.link_address);
        addresses.into_iter().find(|address| !address.is_unspecified())
    }
}

/// The message between client and server in any number of relay messages of one direction, none
/// included.
///
/// # Errors
///
/// [`DecodeError`] if a level is malformed, holds no message, or is one too many.
pub fn innermost(octets: &[u8]) -> Result<Vec<u8>, DecodeError> {
    match octets.first().copied().and_then(RelayKind::from_wire) {
        Some(kind) => unwrap(kind, octets).map(|relayed| relayed.octets),
        None => Ok(octets.to_vec()),
    }
}

/// Takes off levels of one direction, at least one.
fn unwrap(kind: RelayKind, octets: &[u8]) -> Result<Relayed, DecodeError> {
    let mut relayed = Relayed { levels: Vec::new(), octets: octets.to_vec() };
    while relayed.levels.is_empty() || relayed.octets.first() == Some(&kind.to_wire()) {
        if relayed.levels.len() >= MAX_LEVELS {
            return Err(DecodeError::Depth);
        }
        let mut level = RelayMessage::decode(&relayed.octets)?;
        if level.kind != kind {
            return Err(DecodeError::Type(level.kind.to_wire()));
        }
        relayed.octets = level.take_relayed()?;
        relayed.levels.push(level);
    }
    Ok(relayed)
}

#[cfg(test)]
mod tests;
