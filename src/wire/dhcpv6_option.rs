//! DHCPv6 options (RFC 9915 §21, RFC 3646, RFC 6603).

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::Ipv6Addr;
use std::str::FromStr;
use std::sync::Arc;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::DecodeError;
use crate::time::Lifetime;

pub(super) mod codec;

/// Option codes that the option request option names.
pub mod code {
    /// DNS servers (RFC 3646).
    pub const DNS_SERVERS: u16 = 23;
    /// Domain search list (RFC 3646).
    pub const DOMAIN_SEARCH: u16 = 24;
    /// Information refresh time (RFC 9915 §21.23).
    pub const INFORMATION_REFRESH_TIME: u16 = 32;
    /// Prefix exclude (RFC 6603).
    pub const PD_EXCLUDE: u16 = 67;
    /// SOL_MAX_RT (RFC 9915 §21.24).
    pub const SOL_MAX_RT: u16 = 82;
    /// INF_MAX_RT (RFC 9915 §21.25).
    pub const INF_MAX_RT: u16 = 83;
    /// Addresses can be registered (RFC 9686 §4.1).
    pub const ADDR_REG_ENABLE: u16 = 148;
}

/// A DHCP unique identifier: opaque octets, compared for equality only (RFC 9915 §11).
///
/// Holds 3 to 130 octets, type included. Reads and prints as octets in hex with colons.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Duid(DuidOctets);

/// The most octets of a DUID that are kept in place: all usual kinds are shorter. Bindings are looked
/// up by DUID, which takes a fraction of the time where the octets are not elsewhere.
const IN_PLACE: usize = 22;

#[derive(Clone, Debug)]
enum DuidOctets {
    /// How many of the octets count; the others are zero.
    InPlace(u8, [u8; IN_PLACE]),
    /// Those of a longer one.
    Elsewhere(Arc<[u8]>),
}

impl Duid {
    /// A DUID from its octets, type included.
    ///
    /// # Errors
    ///
    /// [`DecodeError::DuidLength`] outside of 3 to 130 octets.
    pub fn new(octets: &[u8]) -> Result<Self, DecodeError> {
        if (3..=130).contains(&octets.len()) {
            Ok(Self::of(octets))
        } else {
            Err(DecodeError::DuidLength)
        }
    }

    /// A DUID-UUID (RFC 6355).
    pub fn from_uuid(uuid: [u8; 16]) -> Self {
        Self::of(&[&[0, 4], &uuid[..]].concat())
    }

    fn of(octets: &[u8]) -> Self {
        let mut in_place = [0; IN_PLACE];
        match (in_place.get_mut(..octets.len()), u8::try_from(octets.len())) {
            (Some(room), Ok(length)) => {
                room.copy_from_slice(octets);
                Self(DuidOctets::InPlace(length, in_place))
            }
            _ => Self(DuidOctets::Elsewhere(octets.into())),
        }
    }

    /// The octets, type included.
    pub fn octets(&self) -> &[u8] {
        match &self.0 {
            DuidOctets::InPlace(length, octets) => {
                octets.get(..usize::from(*length)).unwrap_or_default()
            }
            DuidOctets::Elsewhere(octets) => octets,
        }
    }
}

impl PartialEq for Duid {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Duid {}

impl PartialOrd for Duid {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Duid {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            // In the order of the octets, in the time of a few numbers.
            (DuidOctets::InPlace(length, octets), DuidOctets::InPlace(other_length, others)) => {
                octets.cmp(others).then(length.cmp(other_length))
            }
            (DuidOctets::InPlace(..) | DuidOctets::Elsewhere(_), _) => {
                self.octets().cmp(other.octets())
            }
        }
    }
}

impl Hash for Duid {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.octets().hash(state);
    }
}

impl fmt::Display for Duid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::with_capacity(self.octets().len().saturating_mul(3));
        for octet in self.octets() {
            if !text.is_empty() {
                text.push(':');
            }
            let digit = |half: u8| char::from_digit(half.into(), 16).unwrap_or('0');
            text.extend([digit(octet >> 4), digit(octet & 0xf)]);
        }
        f.write_str(&text)
    }
}

impl FromStr for Duid {
    type Err = DecodeError;

    fn from_str(text: &str) -> Result<Self, DecodeError> {
        // Parsing a number allows a sign; an octet has none.
        let is_hex = |text: &str| text.bytes().all(|c| c.is_ascii_hexdigit());
        let octet = |text| u8::from_str_radix(text, 16).ok().filter(|_| is_hex(text));
        let octets: Option<Vec<u8>> = text.split(':').map(octet).collect();
        Self::new(&octets.ok_or(DecodeError::Text)?)
    }
}

impl From<Duid> for String {
    fn from(duid: Duid) -> Self {
        duid.to_string()
    }
}

impl TryFrom<String> for Duid {
    type Error = DecodeError;

    fn try_from(text: String) -> Result<Self, DecodeError> {
        text.parse()
    }
}

/// Identifies an identity association within its kind; chosen by the requesting router, stable
/// over restarts (RFC 9915 §4.2).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Iaid(pub u32);

impl fmt::Display for Iaid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a server says of a message, an identity association or a single lease (RFC 9915 §21.13).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The code.
    pub code: StatusCode,
    /// The server's words, cleaned of control characters and of octets that are no UTF-8.
    pub text: String,
}

/// Status codes (RFC 9915 §21.13).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StatusCode {
    /// 0
    Success,
    /// 1
    UnspecFail,
    /// 2
    NoAddrsAvail,
    /// 3
    NoBinding,
    /// 4
    NotOnLink,
    /// 6
    NoPrefixAvail,
    /// Another one, the obsolete UseMulticast (5) among them.
    Other(u16),
}

/// A delegated prefix in an IA_PD (RFC 9915 §21.22).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IaPrefix {
    /// The prefix, its bits beyond the length cleared; `::` with a length is a hint.
    pub prefix: Ipv6Net,
    /// Preferred lifetime; that it exceeds the valid one is for the receiver to judge.
    pub preferred: Lifetime,
    /// Valid lifetime.
    pub valid: Lifetime,
    /// The part that the delegating router keeps (RFC 6603); one that does not fit reads as none.
    pub exclude: Option<Ipv6Net>,
    /// Status of this prefix alone.
    pub status: Option<Status>,
}

/// An identity association for prefix delegation (RFC 9915 §21.21).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IaPd {
    /// Which.
    pub iaid: Iaid,
    /// When to renew; zero leaves it to the requesting router.
    pub t1: Lifetime,
    /// When to rebind; zero leaves it to the requesting router.
    pub t2: Lifetime,
    /// The prefixes.
    pub prefixes: Vec<IaPrefix>,
    /// Status of the association.
    pub status: Option<Status>,
}

/// An address in an IA_NA (RFC 9915 §21.6).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IaAddress {
    /// The address.
    pub address: Ipv6Addr,
    /// Preferred lifetime.
    pub preferred: Lifetime,
    /// Valid lifetime.
    pub valid: Lifetime,
    /// Status of this address alone.
    pub status: Option<Status>,
}

/// An identity association for addresses (RFC 9915 §21.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IaNa {
    /// Which; a number space of its own beside IA_PD's.
    pub iaid: Iaid,
    /// When to renew.
    pub t1: Lifetime,
    /// When to rebind.
    pub t2: Lifetime,
    /// The addresses.
    pub addresses: Vec<IaAddress>,
    /// Status of the association.
    pub status: Option<Status>,
}

/// Authentication (RFC 9915 §21.11).
///
/// Its debug form hides the information, which may be a key (SEC-13).
#[derive(Clone, PartialEq, Eq)]
pub struct Authentication {
    /// 3 for the Reconfigure key authentication protocol.
    pub protocol: u8,
    /// 1 for HMAC-MD5.
    pub algorithm: u8,
    /// 0 for a monotonically rising counter.
    pub replay_detection: u8,
    /// The counter.
    pub replay: u64,
    /// Protocol-dependent: for the above, a type octet (1 key, 2 digest) and 16 octets.
    pub information: Vec<u8>,
}

impl fmt::Debug for Authentication {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, algorithm, replay_detection, replay, information } = self;
        f.debug_struct("Authentication")
            .field("protocol", protocol)
            .field("algorithm", algorithm)
            .field("replay_detection", replay_detection)
            .field("replay", replay)
            .field("information", &format_args!("{} octets", information.len()))
            .finish()
    }
}

/// A DHCPv6 option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Dhcpv6Option {
    /// 1
    ClientId(Duid),
    /// 2
    ServerId(Duid),
    /// 3
    IaNa(IaNa),
    /// 6
    OptionRequest(Vec<u16>),
    /// 7
    Preference(u8),
    /// 8, in hundredths of a second
    ElapsedTime(u16),
    /// 11
    Authentication(Authentication),
    /// 13
    Status(Status),
    /// 14
    RapidCommit,
    /// 19: the type of the message to answer with
    ReconfigureMessage(u8),
    /// 20
    ReconfigureAccept,
    /// 23
    DnsServers(Vec<Ipv6Addr>),
    /// 24
    DomainSearch(Vec<String>),
    /// 25
    IaPd(IaPd),
    /// 32, in seconds
    InformationRefreshTime(u32),
    /// 82, in seconds
    SolMaxRt(u32),
    /// 83, in seconds
    InfMaxRt(u32),
    /// One whose content is wrong, or octets behind the last option. The rest of the message counts.
    Malformed {
        /// Its code; none for octets that are too few to hold one.
        code: Option<u16>,
        /// What is wrong.
        error: DecodeError,
    },
    /// Any other, kept as it came.
    Unknown {
        /// Its code.
        code: u16,
        /// Its octets.
        body: Vec<u8>,
    },
}

#[cfg(test)]
mod tests;
