//! DHCPv6 options that give hosts services and mean the same on each link of a site, so that a
//! router passes them on from its provider's server (RFC 7084 L-12): time, telephony, encrypted
//! DNS, captive portal, IPv4 as a service.
//!
//! What comes out of [`ServiceOption::select`] has been read and written anew, so that hosts get no
//! octet that was not understood here.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use serde::Serialize;

use super::DecodeError;
use super::cursor::Cursor;
use super::dhcpv6_option::Dhcpv6Option;
use super::dhcpv6_option::codec::{push_option, take_option};
use super::domain;

/// SIP servers by name (RFC 3319 §3.1).
pub const SIP_NAMES: u16 = 21;
/// SIP servers by address (RFC 3319 §3.2).
pub const SIP_ADDRESSES: u16 = 22;
/// SNTP servers (RFC 4075).
pub const SNTP: u16 = 31;
/// NTP servers (RFC 5908).
const NTP: u16 = 56;
/// The end of a DS-Lite tunnel (RFC 6334).
const AFTR_NAME: u16 = 64;
/// MAP-E, MAP-T and lightweight 4over6 (RFC 7598 §5).
const S46_MAP_E: u16 = 94;
const S46_MAP_T: u16 = 95;
const S46_LIGHTWEIGHT: u16 = 96;
/// Captive portal (RFC 8910 §2.2).
const CAPTIVE_PORTAL: u16 = 103;
/// Encrypted DNS servers (RFC 9463 §4.1).
const ENCRYPTED_DNS: u16 = 144;

/// Of one server, most important first: an answer has to fit a datagram that few links fragment.
const MAX_OCTETS: usize = 2048;
/// Of one server.
const MAX_OPTIONS: usize = 32;
/// Code and length of an option.
const HEADER: usize = 4;

/// An option that is passed on, with a body that its definition allows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct ServiceOption {
    code: u16,
    body: Arc<[u8]>,
}

impl ServiceOption {
    /// The codes, most important first.
    pub const CODES: [u16; 10] = [
        NTP,
        SNTP,
        ENCRYPTED_DNS,
        CAPTIVE_PORTAL,
        AFTR_NAME,
        S46_MAP_E,
        S46_MAP_T,
        S46_LIGHTWEIGHT,
        SIP_NAMES,
        SIP_ADDRESSES,
    ];

    /// What can be passed on of the options of a message, most important first: what is malformed,
    /// unknown, or means something on its own link only is left out, and so is what comes beyond
    /// 32 options or 2048 octets.
    pub fn select(options: &[Dhcpv6Option]) -> Vec<Self> {
        let mut selected: Vec<Self> = Vec::new();
        let mut left = MAX_OCTETS;
        for code in Self::CODES {
            // A singleton that comes twice is not combined (RFC 9915 §21).
            let count = if may_repeat(code) { MAX_OPTIONS } else { 1 };
            let bodies = options.iter().filter_map(|option| body_of(code, option)).take(count);
            for body in bodies.flat_map(|body| accept(code, body).unwrap_or_default()) {
                let option = Self { code, body: body.into() };
                let room = left.checked_sub(option.body.len().saturating_add(HEADER));
                if let Some(room) = room
                    && selected.len() < MAX_OPTIONS
                    && !selected.contains(&option)
                {
                    left = room;
                    selected.push(option);
                }
            }
        }
        selected
    }

    /// The captive portal at `uri`; none for what is no URI.
    pub fn captive_portal(uri: &str) -> Option<Self> {
        let body = uri_of(uri.as_bytes())?;
        Some(Self { code: CAPTIVE_PORTAL, body: body.as_bytes().into() })
    }

    /// The captive portal's URI, if it is one.
    pub fn portal_uri(&self) -> Option<&str> {
        std::str::from_utf8(&self.body).ok().filter(|_| self.code == CAPTIVE_PORTAL)
    }

    /// Its code.
    pub const fn code(&self) -> u16 {
        self.code
    }

    /// Its body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The servers that it lists by address; none for an option of another form.
    pub fn addresses(&self) -> Vec<Ipv6Addr> {
        let (chunks, _) = self.body.as_chunks::<16>();
        let listed = chunks.iter().filter(|_| matches!(self.code, SNTP | SIP_ADDRESSES));
        listed.map(|octets| Ipv6Addr::from(*octets)).collect()
    }

    /// The servers that it lists by name; none for an option of another form.
    pub fn names(&self) -> Vec<String> {
        let names = (self.code == SIP_NAMES).then(|| domain::decode_names(&self.body).ok());
        names.flatten().unwrap_or_default()
    }

    /// What it is about, as people call it.
    pub const fn name(&self) -> &'static str {
        match self.code {
            NTP => "NTP",
            SNTP => "SNTP",
            ENCRYPTED_DNS => "encrypted DNS",
            CAPTIVE_PORTAL => "captive portal",
            AFTR_NAME => "AFTR",
            S46_MAP_E => "MAP-E",
            S46_MAP_T => "MAP-T",
            S46_LIGHTWEIGHT => "lightweight 4over6",
            _ => "SIP",
        }
    }
}

impl From<&ServiceOption> for Dhcpv6Option {
    fn from(option: &ServiceOption) -> Self {
        Self::Unknown { code: option.code, body: option.body.to_vec() }
    }
}

const fn body_of(code: u16, option: &Dhcpv6Option) -> Option<&[u8]> {
    if let Dhcpv6Option::Unknown { code: of, body } = option
        && *of == code
    {
        Some(body.as_slice())
    } else {
        None
    }
}

/// Whether a message may hold several (RFC 5908 §4, RFC 9463 §4.1, and IANA's registry of option
/// codes, by which MAP-E is no singleton and MAP-T is).
const fn may_repeat(code: u16) -> bool {
    matches!(code, NTP | ENCRYPTED_DNS | S46_MAP_E)
}

/// The bodies to pass on of an option that came with `body`; none if it is malformed or of no use.
fn accept(code: u16, body: &[u8]) -> Option<Vec<Vec<u8>>> {
    let one = |body: Vec<u8>| vec![body];
    match code {
        SNTP | SIP_ADDRESSES => addresses(body).map(one),
        SIP_NAMES => names(body).map(one),
        AFTR_NAME => name(body).map(one),
        NTP => time_sources(body).filter(|sources| !sources.is_empty()),
        CAPTIVE_PORTAL => uri_of(body).map(|uri| one(uri.into_bytes())),
        S46_MAP_E | S46_MAP_T | S46_LIGHTWEIGHT => softwire::container(code, body).map(one),
        ENCRYPTED_DNS => resolver(body).map(one),
        _ => None,
    }
}

/// Whether an address is one server's, and the same from another link.
const fn is_usable(address: &Ipv6Addr) -> bool {
    !address.is_unspecified()
        && !address.is_loopback()
        && !address.is_multicast()
        && !address.is_unicast_link_local()
}

fn address(octets: &[u8]) -> Option<Ipv6Addr> {
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(octets).ok()?))
}

/// A list of addresses, without those that are of no use; none if nothing is left.
fn addresses(body: &[u8]) -> Option<Vec<u8>> {
    let (chunks, rest) = body.as_chunks::<16>();
    let usable = chunks.iter().filter(|octets| is_usable(&Ipv6Addr::from(**octets)));
    let usable: Vec<u8> = usable.flatten().copied().collect();
    (rest.is_empty() && !usable.is_empty()).then_some(usable)
}

/// One or more domain names.
fn names(body: &[u8]) -> Option<Vec<u8>> {
    let names = domain::decode_names(body).ok().filter(|names| !names.is_empty())?;
    domain::encode_names(&names).ok()
}

/// Exactly one domain name.
fn name(body: &[u8]) -> Option<Vec<u8>> {
    let names = domain::decode_names(body).ok().filter(|names| names.len() == 1)?;
    domain::encode_names(&names).ok()
}

/// A URI: printable ASCII (RFC 3986 §2) with a scheme. No zero octet ends it (RFC 8910 §2.2), but
/// some servers send one.
fn uri_of(body: &[u8]) -> Option<String> {
    let body = body.strip_suffix(&[0]).unwrap_or(body);
    let is_uri = body.contains(&b':') && body.iter().all(u8::is_ascii_graphic);
    is_uri.then(|| String::from_utf8_lossy(body).into_owned())
}

/// Each time source as an option of its own, as RFC 5908 §4 has it; servers also send several in
/// one.
fn time_sources(body: &[u8]) -> Option<Vec<Vec<u8>>> {
    const SERVER_ADDRESS: u16 = 1;
    const MULTICAST_ADDRESS: u16 = 2;
    const SERVER_NAME: u16 = 3;
    let mut sources = Vec::new();
    let mut rest = Cursor::new(body);
    while let Some((code, body)) = take_option(&mut rest).ok()? {
        let accepted = match code {
            SERVER_ADDRESS => address(body).filter(is_usable).map(|_| body.to_vec()),
            MULTICAST_ADDRESS => {
                address(body).filter(reaches_beyond_the_link).map(|_| body.to_vec())
            }
            SERVER_NAME => name(body),
            _ => None,
        };
        sources.extend(accepted.map(|accepted| {
            let mut source = Vec::new();
            push_option(&mut source, code, &accepted);
            source
        }));
    }
    Some(sources)
}

/// Whether it is a multicast group of a scope greater than the link (RFC 4291 §2.7).
const fn reaches_beyond_the_link(group: &Ipv6Addr) -> bool {
    group.is_multicast() && group.octets()[1] & 0xf > 2
}

/// An encrypted DNS server: priority, name, and unless it is known by its name alone, addresses
/// and service parameters.
fn resolver(body: &[u8]) -> Option<Vec<u8>> {
    let mut rest = Cursor::new(body);
    let priority = rest.u16().ok()?;
    let name = name(counted(&mut rest).ok()?)?;
    let mut accepted = priority.to_be_bytes().to_vec();
    push_counted(&mut accepted, &name)?;
    if !rest.is_empty() {
        push_counted(&mut accepted, &addresses(counted(&mut rest).ok()?)?)?;
        accepted.extend(service_parameters(rest)?);
    }
    Some(accepted)
}

/// Octets behind their number.
fn counted<'a>(rest: &mut Cursor<'a>) -> Result<&'a [u8], DecodeError> {
    let length = rest.u16()?;
    rest.take(length.into())
}

fn push_counted(out: &mut Vec<u8>, body: &[u8]) -> Option<()> {
    out.extend(u16::try_from(body.len()).ok()?.to_be_bytes());
    out.extend(body);
    Some(())
}

/// Service parameters (RFC 9460 §2.2) in rising order, without those that are not known here; none
/// where one of these is mandatory. Address hints are not allowed (RFC 9463 §3.1.9).
fn service_parameters(mut rest: Cursor<'_>) -> Option<Vec<u8>> {
    const MANDATORY: u16 = 0;
    const ALPN: u16 = 1;
    const NO_DEFAULT_ALPN: u16 = 2;
    const PORT: u16 = 3;
    const DOH_PATH: u16 = 7;
    let mut known: BTreeMap<u16, &[u8]> = BTreeMap::new();
    let mut least = 0_u16;
    while !rest.is_empty() {
        let key = rest.u16().ok().filter(|key| *key >= least)?;
        least = key.checked_add(1)?;
        let value = counted(&mut rest).ok()?;
        let is_valid = match key {
            MANDATORY => !value.is_empty() && value.len().is_multiple_of(2),
            ALPN => is_protocol_list(value),
            NO_DEFAULT_ALPN => value.is_empty(),
            PORT => value.len() == 2,
            DOH_PATH => !value.is_empty() && value.iter().all(u8::is_ascii_graphic),
            _ => continue,
        };
        if !is_valid {
            return None;
        }
        known.insert(key, value);
    }
    let mandatory = known.get(&MANDATORY).map(|keys| keys.as_chunks::<2>().0).unwrap_or_default();
    if mandatory.iter().any(|key| !known.contains_key(&u16::from_be_bytes(*key))) {
        return None;
    }
    let mut accepted = Vec::new();
    for (key, value) in known {
        accepted.extend(key.to_be_bytes());
        push_counted(&mut accepted, value)?;
    }
    Some(accepted)
}

/// Whether these are protocol identifiers, each behind its length (RFC 9460 §7.1.1).
fn is_protocol_list(value: &[u8]) -> bool {
    let mut rest = Cursor::new(value);
    while !rest.is_empty() {
        let Ok(length @ 1..) = rest.u8() else { return false };
        if !rest.take(length.into()).is_ok_and(|protocol| protocol.iter().all(u8::is_ascii_graphic))
        {
            return false;
        }
    }
    !value.is_empty()
}

mod softwire;
#[cfg(test)]
mod tests;
