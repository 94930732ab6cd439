//! Router advertisements and solicitations (RFC 4861 §4.1, §4.2), from the ICMPv6 header on.

use super::DecodeError;
use super::ndp_option::{NdpOption, Preference};

/// A router advertisement.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RouterAdvertisement {
    /// Cur Hop Limit; 0 is "not said".
    pub hop_limit: u8,
    /// M: addresses come from DHCPv6.
    pub managed: bool,
    /// O: other configuration comes from DHCPv6.
    pub other: bool,
    /// Default router preference; the reserved value reads as medium (RFC 4191 §2.2).
    pub preference: Preference,
    /// Router Lifetime in seconds; 0 is "no default router".
    pub router_lifetime: u16,
    /// Reachable Time in milliseconds; 0 is "not said".
    pub reachable_time: u32,
    /// Retrans Timer in milliseconds; 0 is "not said".
    pub retrans_timer: u32,
    /// The options in their order on the wire.
    pub options: Vec<NdpOption>,
}

impl RouterAdvertisement {
    /// Decodes an ICMPv6 message, its checksum already verified by the kernel.
    ///
    /// An option whose own content is wrong becomes [`NdpOption::Malformed`]; what the RFC wants
    /// the whole packet discarded for is an error.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for what RFC 4861 §6.1.2 discards: wrong type, code not 0, shorter than
    /// 16 octets, an option of length zero or one that runs past the end.
    pub fn decode(_octets: &[u8]) -> Result<Self, DecodeError> {
        todo!()
    }

    /// Encodes the message with a checksum of zero, which the kernel fills.
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }
}

/// A router solicitation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RouterSolicitation {
    /// The options in their order on the wire.
    pub options: Vec<NdpOption>,
}

impl RouterSolicitation {
    /// Decodes an ICMPv6 message, its checksum already verified by the kernel.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for what RFC 4861 §6.1.1 discards, as for an advertisement; the shortest
    /// has 8 octets.
    pub fn decode(_octets: &[u8]) -> Result<Self, DecodeError> {
        todo!()
    }

    /// Encodes the message with a checksum of zero, which the kernel fills.
    pub fn encode(&self) -> Vec<u8> {
        todo!()
    }
}
