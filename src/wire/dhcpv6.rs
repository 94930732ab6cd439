//! DHCPv6 messages between client and server (RFC 9915 §8).

use std::net::Ipv6Addr;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::cursor::Cursor;
use super::dhcpv6_option::codec::{AUTHENTICATION, STATUS, take_option};
use super::dhcpv6_option::{Authentication, Dhcpv6Option, Duid, IaNa, IaPd, Status, StatusCode};

/// Room for a message of the usual size.
const USUAL_OCTETS: usize = 256;

/// Message types (RFC 9915 §7.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageType {
    /// 1
    Solicit,
    /// 2
    Advertise,
    /// 3
    Request,
    /// 4
    Confirm,
    /// 5
    Renew,
    /// 6
    Rebind,
    /// 7
    Reply,
    /// 8
    Release,
    /// 9
    Decline,
    /// 10
    Reconfigure,
    /// 11
    InformationRequest,
}

impl MessageType {
    /// Reads the type octet of a message; none for relay messages and types unknown.
    pub const fn from_wire(octet: u8) -> Option<Self> {
        Some(match octet {
            1 => Self::Solicit,
            2 => Self::Advertise,
            3 => Self::Request,
            4 => Self::Confirm,
            5 => Self::Renew,
            6 => Self::Rebind,
            7 => Self::Reply,
            8 => Self::Release,
            9 => Self::Decline,
            10 => Self::Reconfigure,
            11 => Self::InformationRequest,
            _ => return None,
        })
    }

    /// The type octet of a message.
    pub const fn to_wire(self) -> u8 {
        match self {
            Self::Solicit => 1,
            Self::Advertise => 2,
            Self::Request => 3,
            Self::Confirm => 4,
            Self::Renew => 5,
            Self::Rebind => 6,
            Self::Reply => 7,
            Self::Release => 8,
            Self::Decline => 9,
            Self::Reconfigure => 10,
            Self::InformationRequest => 11,
        }
    }
}

/// 24 bits that match a server's message to the client's that it answers (RFC 9915 §8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TransactionId(pub [u8; 3]);

/// A message between client and server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// The message type.
    pub kind: MessageType,
    /// The transaction id.
    pub transaction_id: TransactionId,
    /// The options in their order on the wire.
    pub options: Vec<Dhcpv6Option>,
}

impl Message {
    /// Decodes the payload of a UDP datagram.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the type is none of [`MessageType`], or a client or server identifier is
    /// malformed. Any other option that is malformed, at any depth, costs that top-level option
    /// alone and is kept as [`Dhcpv6Option::Malformed`]. Unknown options are kept.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let mut rest = Cursor::new(octets);
        let (kind, transaction_id) = decode_header(&mut rest)?;
        Ok(Self { kind, transaction_id, options: Dhcpv6Option::decode_all(&mut rest)? })
    }

    /// Encodes the message.
    ///
    /// What has no form on the wire is left out: an option over 65535 octets, a search list with a
    /// name that is none, an excluded prefix outside of the delegated one.
    pub fn encode(&self) -> Vec<u8> {
        let mut octets = Vec::with_capacity(USUAL_OCTETS);
        octets.push(self.kind.to_wire());
        octets.extend(self.transaction_id.0);
        for option in &self.options {
            option.encode(&mut octets);
        }
        octets
    }
}

/// The payload of an option if it is the named one.
macro_rules! payload {
    ($variant:ident) => {
        |option| if let Dhcpv6Option::$variant(payload) = option { Some(payload) } else { None }
    };
}

/// What the options contain. An option that may occur only once and occurs twice is not combined:
/// the first one counts
/// (RFC 9915 §21).
impl Message {
    /// The client's DUID.
    pub fn client_id(&self) -> Option<&Duid> {
        self.options.iter().find_map(payload!(ClientId))
    }

    /// The server's DUID.
    pub fn server_id(&self) -> Option<&Duid> {
        self.options.iter().find_map(payload!(ServerId))
    }

    /// The identity associations for addresses, in their order; one IAID can occur several times.
    pub fn ia_nas(&self) -> impl Iterator<Item = &IaNa> {
        self.options.iter().filter_map(payload!(IaNa))
    }

    /// The identity associations for prefix delegation, in their order; one IAID
    /// can occur several times.
    pub fn ia_pds(&self) -> impl Iterator<Item = &IaPd> {
        self.options.iter().filter_map(payload!(IaPd))
    }

    /// The codes of the options that the client asks for (Option Request).
    pub fn option_request(&self) -> Option<&[u16]> {
        self.options.iter().find_map(payload!(OptionRequest)).map(Vec::as_slice)
    }

    /// The server's preference: the highest is chosen; absent means 0 (RFC 9915 §21.8).
    pub fn preference(&self) -> Option<u8> {
        self.options.iter().find_map(payload!(Preference)).copied()
    }

    /// How long the exchange has lasted, in hundredths of a second.
    pub fn elapsed_time(&self) -> Option<u16> {
        self.options.iter().find_map(payload!(ElapsedTime)).copied()
    }

    /// The first Authentication option that can be read.
    pub fn authentication(&self) -> Option<&Authentication> {
        self.options.iter().find_map(payload!(Authentication))
    }

    /// The status of the message itself; absent means success (RFC 9915 §21.13).
    pub fn status(&self) -> Option<&Status> {
        self.options.iter().find_map(payload!(Status))
    }

    /// The code of [`status`](Self::status): UnspecFail where that option is malformed.
    pub fn status_code(&self) -> StatusCode {
        let malformed = |(code, _): (Option<u16>, DecodeError)| code == Some(STATUS);
        match self.status() {
            Some(status) => status.code,
            None if self.malformed().any(malformed) => StatusCode::UnspecFail,
            None => StatusCode::Success,
        }
    }

    /// The malformed options: the code, where it can be read, and the error.
    pub fn malformed(&self) -> impl Iterator<Item = (Option<u16>, DecodeError)> {
        self.options.iter().filter_map(|option| {
            if let Dhcpv6Option::Malformed { code, error } = option {
                Some((*code, *error))
            } else {
                None
            }
        })
    }

    /// Whether the Rapid Commit option is there: in a Solicit it allows an exchange of two
    /// messages, in a Reply it says that this was one (RFC 9915 §21.14).
    pub fn has_rapid_commit(&self) -> bool {
        self.options.contains(&Dhcpv6Option::RapidCommit)
    }

    /// The type of the message that a Reconfigure asks for; none if the option is absent or
    /// names no message type.
    pub fn reconfigure_message(&self) -> Option<MessageType> {
        let octet = self.options.iter().find_map(payload!(ReconfigureMessage))?;
        MessageType::from_wire(*octet)
    }

    /// Whether the Reconfigure Accept option is there: the client accepts Reconfigure, or the
    /// server may send it (RFC 9915 §21.20).
    pub fn has_reconfigure_accept(&self) -> bool {
        self.options.contains(&Dhcpv6Option::ReconfigureAccept)
    }

    /// Recursive DNS servers.
    pub fn dns_servers(&self) -> Option<&[Ipv6Addr]> {
        self.options.iter().find_map(payload!(DnsServers)).map(Vec::as_slice)
    }

    /// The DNS search list.
    pub fn domain_search(&self) -> Option<&[String]> {
        self.options.iter().find_map(payload!(DomainSearch)).map(Vec::as_slice)
    }

    /// After how many seconds configuration without a lease is to be refreshed (RFC 9915 §21.23).
    pub fn information_refresh_time(&self) -> Option<u32> {
        self.options.iter().find_map(payload!(InformationRefreshTime)).copied()
    }

    /// SOL_MAX_RT in seconds, as received: it may be out of bounds (RFC 9915 §21.24).
    pub fn sol_max_rt(&self) -> Option<u32> {
        self.options.iter().find_map(payload!(SolMaxRt)).copied()
    }

    /// INF_MAX_RT in seconds, as received: it may be out of bounds (RFC 9915 §21.25).
    pub fn inf_max_rt(&self) -> Option<u32> {
        self.options.iter().find_map(payload!(InfMaxRt)).copied()
    }
}

/// Where the 16 octets of the digest of a top-level Reconfigure key authentication option lie in
/// an encoded message (RFC 9915 §20.4.1): they are taken as zero when the digest is computed.
/// None where there is no such option of the right protocol, algorithm, RDM, type and length, or
/// where it is not the first authentication option that can be read, the one that
/// [`Message::authentication`] is.
pub fn digest_range(octets: &[u8]) -> Option<Range<usize>> {
    let mut rest = Cursor::new(octets);
    decode_header(&mut rest).ok()?;
    while let Some((code, body)) = take_option(&mut rest).ok()? {
        if code == AUTHENTICATION {
            let end = octets.len().checked_sub(rest.len())?;
            let Ok(authentication) = Authentication::decode(body) else { continue };
            let start = end.checked_sub(authentication.reconfigure_digest()?.len())?;
            return Some(start..end);
        }
    }
    None
}

fn decode_header(rest: &mut Cursor<'_>) -> Result<(MessageType, TransactionId), DecodeError> {
    let kind = rest.u8()?;
    let kind = MessageType::from_wire(kind).ok_or(DecodeError::Type(kind))?;
    Ok((kind, TransactionId(rest.array()?)))
}

#[cfg(test)]
mod tests;
