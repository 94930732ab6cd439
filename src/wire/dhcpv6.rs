//! DHCPv6 messages between client and server (RFC 9915 §8).

use serde::{Deserialize, Serialize};

use super::DecodeError;
use super::dhcpv6_option::Dhcpv6Option;

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

/// 24 bits that pair an answer with its question (RFC 9915 §8).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TransactionId(pub [u8; 3]);

/// A message between client and server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// What it says.
    pub kind: MessageType,
    /// The transaction.
    pub transaction_id: TransactionId,
    /// The options in their order on the wire.
    pub options: Vec<Dhcpv6Option>,
}

impl Message {
    /// Decodes the payload of a UDP datagram.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if the type is none of [`MessageType`] or any known option, at any depth,
    /// is malformed; a message is understood whole or not at all. Unknown options are kept.
    pub fn decode(_octets: &[u8]) -> Result<Self, DecodeError> {
        todo!()
    }

    /// Encodes the message.
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }
}

/// Where the 16 octets of the digest of a top-level Reconfigure key authentication option lie in
/// an encoded message (RFC 9915 §20.4.1): they are taken as zero when the digest is computed.
/// None where there is no such option of the right protocol, algorithm, RDM, type and length.
pub fn digest_range(_octets: &[u8]) -> Option<std::ops::Range<usize>> {
    todo!()
}
