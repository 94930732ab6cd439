//! Octets to types and back: no state, no clock, no judgement.
//!
//! Decoders cannot panic on any input and allocate no more than a small multiple of its length.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
#![cfg_attr(
    test,
    allow(
        clippy::arithmetic_side_effects,
        reason = "tests may index (clippy.toml), and nothing there lets them add"
    )
)]

pub mod address_registration;
pub mod cursor;
pub mod dhcpv6;
pub mod dhcpv6_option;
pub mod dhcpv6_relay;
pub mod dhcpv6_service;
pub mod domain;
pub mod ndp;
pub mod ndp_option;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use thiserror::Error;

/// Why octets are no message.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum DecodeError {
    /// The octets end before the structure does.
    #[error("truncated")]
    Truncated,
    /// Octets are left where the structure has ended.
    #[error("trailing octets")]
    Trailing,
    /// A neighbor discovery option of length zero (RFC 4861 §4.6).
    #[error("option of length zero")]
    ZeroLength,
    /// The ICMPv6 or DHCPv6 type is another one.
    #[error("unexpected message type {0}")]
    Type(u8),
    /// The ICMPv6 code is not zero.
    #[error("ICMPv6 code {0}")]
    Code(u8),
    /// A neighbor advertisement whose target is a group.
    #[error("a group as target")]
    Target,
    /// An option has a length that its definition does not allow.
    #[error("option {0} has a wrong length")]
    OptionLength(u16),
    /// A prefix length over 128, or one that its option cannot hold.
    #[error("prefix length {0}")]
    PrefixLength(u8),
    /// An option holds a value that its definition reserves.
    #[error("option {0} holds a reserved value")]
    ReservedValue(u16),
    /// An option that the message cannot be without is not there.
    #[error("option {0} is missing")]
    MissingOption(u16),
    /// Relay messages in each other beyond the hop count limit (RFC 9915 §7.6).
    #[error("relayed too often")]
    Depth,
    /// A DUID outside of 1 to 128 octets behind its type (RFC 9915 §11.1).
    #[error("DUID of wrong length")]
    DuidLength,
    /// A domain name that is compressed, too long or not terminated.
    #[error("malformed domain name")]
    DomainName,
    /// Text that holds what does not belong there.
    #[error("malformed text")]
    Text,
}

impl DecodeError {
    /// A short stable name, used as the label of a counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Truncated => "truncated",
            Self::Trailing => "trailing",
            Self::ZeroLength => "zero-length-option",
            Self::Type(_) => "type",
            Self::Code(_) => "code",
            Self::Target => "target",
            Self::OptionLength(_) => "option-length",
            Self::PrefixLength(_) => "prefix-length",
            Self::ReservedValue(_) => "reserved-value",
            Self::MissingOption(_) => "missing-option",
            Self::Depth => "relay-depth",
            Self::DuidLength => "duid-length",
            Self::DomainName => "domain-name",
            Self::Text => "text",
        }
    }
}

/// A prefix, its bits beyond the length cleared: receivers ignore them and senders keep them zero
/// (RFC 4861 §4.6.2, RFC 9915 §21.22), so that two routers that differ only there agree.
fn prefix(address: Ipv6Addr, length: u8) -> Result<Ipv6Net, DecodeError> {
    let prefix = Ipv6Net::new(address, length).map_err(|_| DecodeError::PrefixLength(length))?;
    Ok(prefix.trunc())
}

/// An address of which only the first octets are on the wire; none for more than 16.
fn left_aligned(octets: &[u8]) -> Option<Ipv6Addr> {
    let mut address = [0; 16];
    address.get_mut(..octets.len())?.copy_from_slice(octets);
    Some(address.into())
}
