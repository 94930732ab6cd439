//! Neighbor discovery options (RFC 4861 §4.6, RFC 4191, RFC 8106, RFC 8781, RFC 8910).

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::cursor::Cursor;
use super::{DecodeError, domain, left_aligned, prefix};
use crate::time::Lifetime;

/// How much a router or a route is preferred (RFC 4191 §2.1).
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Preference {
    /// 11
    Low,
    /// 00
    #[default]
    Medium,
    /// 01
    High,
}

/// A prefix information option (RFC 4861 §4.6.2, RFC 9762 for P).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrefixInformation {
    /// The prefix, its bits beyond the length cleared.
    pub prefix: Ipv6Net,
    /// L
    pub on_link: bool,
    /// A
    pub autonomous: bool,
    /// P: prefer prefix delegation (RFC 9762).
    pub delegation_preferred: bool,
    /// Valid lifetime.
    pub valid: Lifetime,
    /// Preferred lifetime; that it exceeds the valid one is for the receiver to judge.
    pub preferred: Lifetime,
}

/// A route information option (RFC 4191 §2.3).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RouteInformation {
    /// The destination, its bits beyond the length cleared.
    pub prefix: Ipv6Net,
    /// Preference; an option with the reserved value is malformed.
    pub preference: Preference,
    /// Route lifetime.
    pub lifetime: Lifetime,
}

/// A NAT64 prefix option (RFC 8781 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pref64 {
    /// The prefix, of length 96, 64, 56, 48, 40 or 32, its bits beyond the length cleared.
    pub prefix: Ipv6Net,
    /// Seconds, a multiple of 8 up to 65528; encoding rounds up.
    pub lifetime: u16,
}

/// A neighbor discovery option.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NdpOption {
    /// Type 1: the sender's link-layer address, with whatever padding the link has.
    SourceLinkLayer(Vec<u8>),
    /// Type 3.
    Prefix(PrefixInformation),
    /// Type 5: the link's IPv6 MTU in octets.
    Mtu(u32),
    /// Type 24.
    Route(RouteInformation),
    /// Type 25: recursive DNS servers (RFC 8106 §5.1).
    Rdnss {
        /// Of all the servers.
        lifetime: Lifetime,
        /// At least one.
        servers: Vec<Ipv6Addr>,
    },
    /// Type 31: DNS search list (RFC 8106 §5.2).
    Dnssl {
        /// Of all the names.
        lifetime: Lifetime,
        /// Names in the form of [`domain`], without the final dot; at least one.
        names: Vec<String>,
    },
    /// Type 26: flags extension (RFC 5175), its octets as they came.
    FlagsExtension(Vec<u8>),
    /// Type 37: captive portal URI (RFC 8910), printable ASCII without spaces.
    CaptivePortal(String),
    /// Type 38.
    Pref64(Pref64),
    /// A known option whose content is wrong: ignored and counted, the packet stays valid.
    Malformed {
        /// Its type.
        kind: u8,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// An option of another type, ignored (RFC 4861 §6.1.2).
    Unknown {
        /// Its type.
        kind: u8,
        /// Its octets behind type and length.
        body: Vec<u8>,
    },
}

/// The type octets of the options that are understood.
mod kind {
    pub(super) const SOURCE_LINK_LAYER: u8 = 1;
    pub(super) const PREFIX_INFORMATION: u8 = 3;
    pub(super) const MTU: u8 = 5;
    pub(super) const ROUTE_INFORMATION: u8 = 24;
    pub(super) const RDNSS: u8 = 25;
    pub(super) const FLAGS_EXTENSION: u8 = 26;
    pub(super) const DNSSL: u8 = 31;
    pub(super) const CAPTIVE_PORTAL: u8 = 37;
    pub(super) const PREF64: u8 = 38;
}

/// Decodes the options behind a header.
///
/// # Errors
///
/// [`DecodeError::ZeroLength`] and [`DecodeError::Truncated`], for which the whole packet is
/// discarded (RFC 4861 §6.1.2).
pub(super) fn decode_options(octets: &[u8]) -> Result<Vec<NdpOption>, DecodeError> {
    let mut rest = Cursor::new(octets);
    let mut options = Vec::new();
    while !rest.is_empty() {
        let kind = rest.u8()?;
        // In units of 8 octets, type and length included; it does not fit an octet when unfolded.
        let length = usize::from(rest.u8()?).saturating_mul(8);
        let body = rest.take(length.checked_sub(2).ok_or(DecodeError::ZeroLength)?)?;
        options.push(NdpOption::decode(kind, body));
    }
    Ok(options)
}

impl NdpOption {
    fn decode(kind: u8, body: &[u8]) -> Self {
        let decoded = match kind {
            kind::SOURCE_LINK_LAYER => Ok(Self::SourceLinkLayer(body.to_vec())),
            kind::PREFIX_INFORMATION => PrefixInformation::decode(body).map(Self::Prefix),
            kind::MTU => decode_mtu(body),
            kind::ROUTE_INFORMATION => RouteInformation::decode(body).map(Self::Route),
            kind::RDNSS => decode_rdnss(body),
            kind::FLAGS_EXTENSION => Ok(Self::FlagsExtension(body.to_vec())),
            kind::DNSSL => decode_dnssl(body),
            kind::CAPTIVE_PORTAL => decode_captive_portal(body),
            kind::PREF64 => Pref64::decode(body).map(Self::Pref64),
            _ => Ok(Self::Unknown { kind, body: body.to_vec() }),
        };
        decoded.unwrap_or_else(|error| Self::Malformed { kind, error })
    }

    /// Appends the option to a message, its length rounded up to 8 octets with zeros.
    ///
    /// What has no form on the wire is left out: a malformed option, an empty list, a name that is
    /// none, a NAT64 prefix of another length, and what does not fit 255 units of 8 octets.
    pub(super) fn encode(&self, message: &mut Vec<u8>) {
        let Some((kind, mut body)) = self.kind_and_body() else { return };
        let units = body.len().saturating_add(2).div_ceil(8);
        let Ok(length) = u8::try_from(units) else { return };
        body.resize(units.saturating_mul(8).saturating_sub(2), 0);
        message.extend([kind, length]);
        message.extend(body);
    }

    fn kind_and_body(&self) -> Option<(u8, Vec<u8>)> {
        Some(match self {
            Self::SourceLinkLayer(address) => (kind::SOURCE_LINK_LAYER, address.clone()),
            Self::Prefix(prefix) => (kind::PREFIX_INFORMATION, prefix.encode()),
            Self::Mtu(mtu) => (kind::MTU, [&[0; 2][..], &mtu.to_be_bytes()].concat()),
            Self::Route(route) => (kind::ROUTE_INFORMATION, route.encode()),
            Self::Rdnss { servers, .. } if servers.is_empty() => return None,
            Self::Rdnss { lifetime, servers } => {
                let mut body = reserved_and_lifetime(*lifetime);
                body.extend(servers.iter().flat_map(Ipv6Addr::octets));
                (kind::RDNSS, body)
            }
            Self::Dnssl { names, .. } if names.is_empty() => return None,
            Self::Dnssl { lifetime, names } => {
                let mut body = reserved_and_lifetime(*lifetime);
                body.extend(domain::encode_names(names).ok()?);
                (kind::DNSSL, body)
            }
            Self::FlagsExtension(flags) => (kind::FLAGS_EXTENSION, flags.clone()),
            Self::CaptivePortal(uri) => (kind::CAPTIVE_PORTAL, uri.clone().into_bytes()),
            Self::Pref64(pref64) => (kind::PREF64, pref64.encode()?),
            Self::Malformed { .. } => return None,
            Self::Unknown { kind, body } => (*kind, body.clone()),
        })
    }
}

impl Preference {
    const MASK: u8 = 0x18;

    /// Reads the Prf bits of a flags octet; none for the reserved value.
    pub(super) const fn from_flags(flags: u8) -> Option<Self> {
        match flags & Self::MASK {
            0x00 => Some(Self::Medium),
            0x08 => Some(Self::High),
            Self::MASK => Some(Self::Low),
            _ => None,
        }
    }

    /// The Prf bits of a flags octet.
    pub(super) const fn to_flags(self) -> u8 {
        match self {
            Self::Low => Self::MASK,
            Self::Medium => 0x00,
            Self::High => 0x08,
        }
    }
}

impl PrefixInformation {
    const ON_LINK: u8 = 0x80;
    const AUTONOMOUS: u8 = 0x40;
    const DELEGATION_PREFERRED: u8 = 0x10;

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut body = exactly::<30>(kind::PREFIX_INFORMATION, body)?;
        let prefix_len = body.u8()?;
        let flags = body.u8()?;
        // Valid comes before preferred here, and behind it in DHCPv6.
        let valid = Lifetime::from_wire(body.u32()?);
        let preferred = Lifetime::from_wire(body.u32()?);
        let _reserved = body.u32()?;
        Ok(Self {
            prefix: prefix(body.array()?.into(), prefix_len)?,
            on_link: flags & Self::ON_LINK != 0,
            autonomous: flags & Self::AUTONOMOUS != 0,
            delegation_preferred: flags & Self::DELEGATION_PREFERRED != 0,
            valid,
            preferred,
        })
    }

    fn encode(&self) -> Vec<u8> {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let flags = flag(self.on_link, Self::ON_LINK)
            | flag(self.autonomous, Self::AUTONOMOUS)
            | flag(self.delegation_preferred, Self::DELEGATION_PREFERRED);
        let mut body = vec![self.prefix.prefix_len(), flags];
        body.extend(self.valid.to_wire().to_be_bytes());
        body.extend(self.preferred.to_wire().to_be_bytes());
        body.extend([0; 4]);
        body.extend(self.prefix.trunc().addr().octets());
        body
    }
}

impl RouteInformation {
    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let length_error = DecodeError::OptionLength(kind::ROUTE_INFORMATION.into());
        let mut body = Cursor::new(body);
        let prefix_len = body.u8()?;
        let flags = body.u8()?;
        let lifetime = Lifetime::from_wire(body.u32()?);
        let address = body.take_rest();
        if !matches!(address.len(), 0 | 8 | 16) {
            return Err(length_error);
        }
        if usize::from(prefix_len) > address.len().saturating_mul(8) {
            return Err(DecodeError::PrefixLength(prefix_len));
        }
        Ok(Self {
            prefix: prefix(left_aligned(address).ok_or(length_error)?, prefix_len)?,
            preference: Preference::from_flags(flags)
                .ok_or_else(|| DecodeError::ReservedValue(kind::ROUTE_INFORMATION.into()))?,
            lifetime,
        })
    }

    fn encode(&self) -> Vec<u8> {
        let address_len = match self.prefix.prefix_len() {
            0 => 0,
            1..=64 => 8,
            65.. => 16,
        };
        let mut body = vec![self.prefix.prefix_len(), self.preference.to_flags()];
        body.extend(self.lifetime.to_wire().to_be_bytes());
        body.extend(self.prefix.trunc().addr().octets().iter().take(address_len));
        body
    }
}

impl Pref64 {
    /// The prefix lengths in the order of their codes (RFC 8781 §4).
    const LENGTHS: [u8; 6] = [96, 64, 56, 48, 40, 32];
    /// The greatest scaled lifetime: 13 bits, in units of 8 seconds.
    const MAX_SCALED: u16 = 0x1fff;

    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut body = exactly::<14>(kind::PREF64, body)?;
        let bits = body.u16()?;
        let prefix_len = *Self::LENGTHS
            .get(usize::from(bits & 0x7))
            .ok_or_else(|| DecodeError::ReservedValue(kind::PREF64.into()))?;
        let address = left_aligned(body.take_rest())
            .ok_or_else(|| DecodeError::OptionLength(kind::PREF64.into()))?;
        // The scaled lifetime lies above the three bits of the code: in place it is seconds.
        Ok(Self { prefix: prefix(address, prefix_len)?, lifetime: bits & !0x7 })
    }

    fn encode(&self) -> Option<Vec<u8>> {
        let code = Self::LENGTHS.iter().position(|length| *length == self.prefix.prefix_len())?;
        let scaled = self.lifetime.div_ceil(8).min(Self::MAX_SCALED);
        let bits = scaled << 3 | u16::try_from(code).ok()?;
        let address = self.prefix.trunc().addr().octets();
        Some(bits.to_be_bytes().iter().chain(address.iter().take(12)).copied().collect())
    }
}

fn decode_mtu(body: &[u8]) -> Result<NdpOption, DecodeError> {
    let mut body = exactly::<6>(kind::MTU, body)?;
    let _reserved = body.u16()?;
    Ok(NdpOption::Mtu(body.u32()?))
}

fn decode_rdnss(body: &[u8]) -> Result<NdpOption, DecodeError> {
    let mut body = Cursor::new(body);
    let _reserved = body.u16()?;
    let lifetime = Lifetime::from_wire(body.u32()?);
    let (servers, rest) = body.take_rest().as_chunks::<16>();
    if servers.is_empty() || !rest.is_empty() {
        return Err(DecodeError::OptionLength(kind::RDNSS.into()));
    }
    Ok(NdpOption::Rdnss { lifetime, servers: servers.iter().map(|&s| s.into()).collect() })
}

fn decode_dnssl(body: &[u8]) -> Result<NdpOption, DecodeError> {
    let mut body = Cursor::new(body);
    let _reserved = body.u16()?;
    let lifetime = Lifetime::from_wire(body.u32()?);
    if body.is_empty() {
        return Err(DecodeError::OptionLength(kind::DNSSL.into()));
    }
    let names = domain::decode_names(body.take_rest())?;
    if names.is_empty() {
        return Err(DecodeError::DomainName);
    }
    Ok(NdpOption::Dnssl { lifetime, names })
}

fn decode_captive_portal(body: &[u8]) -> Result<NdpOption, DecodeError> {
    let padding = body.iter().rev().take_while(|octet| **octet == 0).count();
    let uri = body.get(..body.len().saturating_sub(padding)).unwrap_or_default();
    // A URI is printable ASCII (RFC 3986 §2); what is not has no business in a log or a hook.
    if uri.is_empty() || !uri.iter().all(u8::is_ascii_graphic) {
        return Err(DecodeError::Text);
    }
    Ok(NdpOption::CaptivePortal(String::from_utf8_lossy(uri).into_owned()))
}

fn exactly<const N: usize>(kind: u8, body: &[u8]) -> Result<Cursor<'_>, DecodeError> {
    if body.len() == N {
        Ok(Cursor::new(body))
    } else {
        Err(DecodeError::OptionLength(kind.into()))
    }
}

fn reserved_and_lifetime(lifetime: Lifetime) -> Vec<u8> {
    [&[0; 2][..], &lifetime.to_wire().to_be_bytes()].concat()
}

#[cfg(test)]
mod tests;
