//! The options' octets (RFC 9915 §21).
//!
//! Three walkers, one for each level that the protocol has: message, identity association, lease.
//! None calls itself, so that nesting beyond that is octets like any others.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::{
    Authentication, Dhcpv6Option, Duid, IaAddress, IaNa, IaPd, IaPrefix, Iaid, Status, StatusCode,
    code,
};
use crate::time::Lifetime;
use crate::wire::cursor::Cursor;
use crate::wire::{DecodeError, domain, left_aligned, prefix};

pub(in crate::wire) const CLIENT_ID: u16 = 1;
const SERVER_ID: u16 = 2;
const IA_NA: u16 = 3;
pub(in crate::wire) const IA_ADDRESS: u16 = 5;
const OPTION_REQUEST: u16 = 6;
const PREFERENCE: u16 = 7;
const ELAPSED_TIME: u16 = 8;
pub(in crate::wire) const AUTHENTICATION: u16 = 11;
pub(in crate::wire) const STATUS: u16 = 13;
const RAPID_COMMIT: u16 = 14;
const RECONFIGURE_MESSAGE: u16 = 19;
const RECONFIGURE_ACCEPT: u16 = 20;
const IA_PD: u16 = 25;
const IA_PREFIX: u16 = 26;

/// An IA_PD with two prefixes.
const USUAL_IA_OCTETS: usize = 72;
/// An IAPREFIX option without options of its own.
const IA_PREFIX_OCTETS: usize = 25;

/// What is left of a message or option behind its last option that could be decoded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::wire) struct Unread {
    /// The code of the option that runs past the end; none where not even a header is left.
    pub(in crate::wire) code: Option<u16>,
    /// Why it is no option.
    pub(in crate::wire) error: DecodeError,
}

/// An option's code and body.
pub(in crate::wire) type Taken<'a> = (u16, &'a [u8]);

/// Takes the next option, where there is one.
///
/// # Errors
///
/// [`Unread`] if the octets that are left, all of which are taken then, hold no whole option.
pub(in crate::wire) fn take_option<'a>(rest: &mut Cursor<'a>) -> Result<Option<Taken<'a>>, Unread> {
    if rest.is_empty() {
        return Ok(None);
    }
    let mut left = Cursor::new(rest.take_rest());
    let (Ok(code), Ok(length)) = (left.u16(), left.u16()) else {
        return Err(Unread { code: None, error: DecodeError::Trailing });
    };
    let body = left.take(length.into());
    *rest = left;
    body.map(|body| Some((code, body))).map_err(|error| {
        rest.take_rest();
        Unread { code: Some(code), error }
    })
}

/// Takes the next option inside of another one. Octets that are too few for an option's header are
/// none.
///
/// # Errors
///
/// [`DecodeError::Truncated`] if the option runs past the end.
fn take_nested<'a>(rest: &mut Cursor<'a>) -> Result<Option<Taken<'a>>, DecodeError> {
    take_option(rest).or_else(|unread| match unread.code {
        None => Ok(None),
        Some(_) => Err(unread.error),
    })
}

/// Appends an option; one over 65535 octets has no form on the wire and is left out.
pub(in crate::wire) fn push_option(out: &mut Vec<u8>, code: u16, body: &[u8]) {
    let Ok(length) = u16::try_from(body.len()) else { return };
    out.extend_from_slice(&code.to_be_bytes());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(body);
}

impl Dhcpv6Option {
    /// Decodes the options of a message.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] if a client or server identifier is malformed: it is not known then which
    /// node the message is about. Anything else that is malformed costs that option alone.
    pub(in crate::wire) fn decode_all(rest: &mut Cursor<'_>) -> Result<Vec<Self>, DecodeError> {
        let mut options = Vec::new();
        loop {
            match take_option(rest) {
                Ok(Some((code, body))) => options.push(Self::decode(code, body)?),
                Ok(None) => return Ok(options),
                Err(Unread { code, error }) => options.push(Self::Malformed { code, error }),
            }
        }
    }

    fn decode(code: u16, body: &[u8]) -> Result<Self, DecodeError> {
        match Self::decode_strictly(code, body) {
            Err(error) if !matches!(code, CLIENT_ID | SERVER_ID) => {
                Ok(Self::Malformed { code: Some(code), error })
            }
            decoded => decoded,
        }
    }

    fn decode_strictly(code: u16, body: &[u8]) -> Result<Self, DecodeError> {
        Ok(match code {
            CLIENT_ID => Self::ClientId(Duid::new(body)?),
            SERVER_ID => Self::ServerId(Duid::new(body)?),
            IA_NA => Self::IaNa(IaNa::decode(body)?),
            OPTION_REQUEST => Self::OptionRequest(
                many(code, body)?.iter().map(|&octets| u16::from_be_bytes(octets)).collect(),
            ),
            PREFERENCE => Self::Preference(u8::from_be_bytes(exactly(code, body)?)),
            ELAPSED_TIME => Self::ElapsedTime(u16::from_be_bytes(exactly(code, body)?)),
            AUTHENTICATION => Self::Authentication(Authentication::decode(body)?),
            STATUS => Self::Status(Status::decode(body)?),
            RAPID_COMMIT => exactly(code, body).map(|[]| Self::RapidCommit)?,
            RECONFIGURE_MESSAGE => {
                Self::ReconfigureMessage(u8::from_be_bytes(exactly(code, body)?))
            }
            RECONFIGURE_ACCEPT => exactly(code, body).map(|[]| Self::ReconfigureAccept)?,
            code::DNS_SERVERS => Self::DnsServers(
                many::<16>(code, body)?.iter().map(|&octets| Ipv6Addr::from(octets)).collect(),
            ),
            code::DOMAIN_SEARCH => Self::DomainSearch(domain::decode_names(body)?),
            IA_PD => Self::IaPd(IaPd::decode(body)?),
            code::INFORMATION_REFRESH_TIME => {
                Self::InformationRefreshTime(u32::from_be_bytes(exactly(code, body)?))
            }
            code::SOL_MAX_RT => Self::SolMaxRt(u32::from_be_bytes(exactly(code, body)?)),
            code::INF_MAX_RT => Self::InfMaxRt(u32::from_be_bytes(exactly(code, body)?)),
            _ => Self::Unknown { code, body: body.to_vec() },
        })
    }

    /// Appends the option to a message.
    ///
    /// What has no form on the wire is left out: an option over 65535 octets, a search list with
    /// a name that is none, an option that was malformed.
    pub(in crate::wire) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::ClientId(duid) => push_option(out, CLIENT_ID, duid.octets()),
            Self::ServerId(duid) => push_option(out, SERVER_ID, duid.octets()),
            Self::IaNa(ia) => push_option(out, IA_NA, &ia.encode()),
            Self::OptionRequest(codes) => {
                let body: Vec<u8> = codes.iter().flat_map(|code| code.to_be_bytes()).collect();
                push_option(out, OPTION_REQUEST, &body);
            }
            Self::Preference(value) => push_option(out, PREFERENCE, &[*value]),
            Self::ElapsedTime(value) => push_option(out, ELAPSED_TIME, &value.to_be_bytes()),
            Self::Authentication(value) => push_option(out, AUTHENTICATION, &value.encode()),
            Self::Status(status) => status.encode(out),
            Self::RapidCommit => push_option(out, RAPID_COMMIT, &[]),
            Self::ReconfigureMessage(kind) => push_option(out, RECONFIGURE_MESSAGE, &[*kind]),
            Self::ReconfigureAccept => push_option(out, RECONFIGURE_ACCEPT, &[]),
            Self::DnsServers(servers) => {
                let body: Vec<u8> = servers.iter().flat_map(Ipv6Addr::octets).collect();
                push_option(out, code::DNS_SERVERS, &body);
            }
            Self::DomainSearch(names) => {
                if let Ok(body) = domain::encode_names(names) {
                    push_option(out, code::DOMAIN_SEARCH, &body);
                }
            }
            Self::IaPd(ia) => push_option(out, IA_PD, &ia.encode()),
            Self::InformationRefreshTime(seconds) => {
                push_option(out, code::INFORMATION_REFRESH_TIME, &seconds.to_be_bytes());
            }
            Self::SolMaxRt(seconds) => push_option(out, code::SOL_MAX_RT, &seconds.to_be_bytes()),
            Self::InfMaxRt(seconds) => push_option(out, code::INF_MAX_RT, &seconds.to_be_bytes()),
            Self::Malformed { .. } => {}
            Self::Unknown { code, body } => push_option(out, *code, body),
        }
    }
}

impl IaPd {
    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (header, mut rest) = header::<12>(IA_PD, body)?;
        let (iaid, t1, t2) = decode_ia_header(header)?;
        let mut ia = Self { iaid, t1, t2, prefixes: Vec::new(), status: None };
        while let Some((code, body)) = take_nested(&mut rest)? {
            match code {
                IA_PREFIX => ia.prefixes.push(IaPrefix::decode(body)?),
                STATUS => keep_first(&mut ia.status, Status::decode(body)?),
                _ => {}
            }
        }
        Ok(ia)
    }

    fn encode(&self) -> Vec<u8> {
        let mut body = encode_ia_header(self.iaid, self.t1, self.t2);
        for prefix in &self.prefixes {
            push_option(&mut body, IA_PREFIX, &prefix.encode());
        }
        if let Some(status) = &self.status {
            status.encode(&mut body);
        }
        body
    }
}

impl IaPrefix {
    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (mut header, mut rest) = header::<25>(IA_PREFIX, body)?;
        // Preferred comes before valid here, and behind it in a prefix information option.
        let preferred = Lifetime::from_wire(header.u32()?);
        let valid = Lifetime::from_wire(header.u32()?);
        let prefix_len = header.u8()?;
        let prefix = prefix(header.array()?.into(), prefix_len)?;
        let mut lease = Self { prefix, preferred, valid, exclude: None, status: None };
        while let Some((code, body)) = take_nested(&mut rest)? {
            match code {
                STATUS => keep_first(&mut lease.status, Status::decode(body)?),
                code::PD_EXCLUDE => {
                    lease.exclude = lease.exclude.or_else(|| decode_exclude(prefix, body));
                }
                _ => {}
            }
        }
        Ok(lease)
    }

    fn encode(&self) -> Vec<u8> {
        let mut body = Vec::with_capacity(IA_PREFIX_OCTETS);
        body.extend_from_slice(&self.preferred.to_wire().to_be_bytes());
        body.extend_from_slice(&self.valid.to_wire().to_be_bytes());
        body.push(self.prefix.prefix_len());
        body.extend_from_slice(&self.prefix.trunc().addr().octets());
        if let Some(exclude) = self.exclude.and_then(|exclude| encode_exclude(self.prefix, exclude))
        {
            push_option(&mut body, code::PD_EXCLUDE, &exclude);
        }
        if let Some(status) = &self.status {
            status.encode(&mut body);
        }
        body
    }
}

/// Reads the excluded prefix: its length, and the bits that it has beyond the delegated prefix
/// (RFC 6603 §4.2). None if its length or that of the option does not fit the delegated prefix.
fn decode_exclude(delegated: Ipv6Net, body: &[u8]) -> Option<Ipv6Net> {
    let (&exclude_len, subnet_id) = body.split_first()?;
    if subnet_id.len() != subnet_id_len(delegated.prefix_len(), exclude_len)? {
        return None;
    }
    let subnet_id = left_aligned(subnet_id)?.to_bits();
    let below = subnet_id.checked_shr(delegated.prefix_len().into())?;
    prefix((delegated.trunc().addr().to_bits() | below).into(), exclude_len).ok()
}

fn encode_exclude(delegated: Ipv6Net, exclude: Ipv6Net) -> Option<Vec<u8>> {
    if !delegated.contains(&exclude) {
        return None;
    }
    let exclude_len = exclude.prefix_len();
    let octet_count = subnet_id_len(delegated.prefix_len(), exclude_len)?;
    let below = exclude.trunc().addr().to_bits();
    let subnet_id = below.checked_shl(delegated.prefix_len().into())?.to_be_bytes();
    Some([&[exclude_len], subnet_id.get(..octet_count)?].concat())
}

/// How many octets the bits of an excluded prefix beyond the delegated one take; none if there is
/// no such bit.
fn subnet_id_len(delegated_len: u8, exclude_len: u8) -> Option<usize> {
    let bits = exclude_len.checked_sub(delegated_len).filter(|bits| *bits > 0)?;
    Some(bits.div_ceil(8).into())
}

impl IaNa {
    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (header, mut rest) = header::<12>(IA_NA, body)?;
        let (iaid, t1, t2) = decode_ia_header(header)?;
        let mut ia = Self { iaid, t1, t2, addresses: Vec::new(), status: None };
        while let Some((code, body)) = take_nested(&mut rest)? {
            match code {
                IA_ADDRESS => ia.addresses.push(IaAddress::decode(body)?),
                STATUS => keep_first(&mut ia.status, Status::decode(body)?),
                _ => {}
            }
        }
        Ok(ia)
    }

    fn encode(&self) -> Vec<u8> {
        let mut body = encode_ia_header(self.iaid, self.t1, self.t2);
        for address in &self.addresses {
            push_option(&mut body, IA_ADDRESS, &address.encode());
        }
        if let Some(status) = &self.status {
            status.encode(&mut body);
        }
        body
    }
}

impl IaAddress {
    pub(in crate::wire) fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (mut header, mut rest) = header::<24>(IA_ADDRESS, body)?;
        let address = header.array::<16>()?.into();
        let preferred = Lifetime::from_wire(header.u32()?);
        let valid = Lifetime::from_wire(header.u32()?);
        let mut lease = Self { address, preferred, valid, status: None };
        while let Some((code, body)) = take_nested(&mut rest)? {
            if code == STATUS {
                keep_first(&mut lease.status, Status::decode(body)?);
            }
        }
        Ok(lease)
    }

    pub(in crate::wire) fn encode(&self) -> Vec<u8> {
        let mut body = self.address.octets().to_vec();
        body.extend(self.preferred.to_wire().to_be_bytes());
        body.extend(self.valid.to_wire().to_be_bytes());
        if let Some(status) = &self.status {
            status.encode(&mut body);
        }
        body
    }
}

fn decode_ia_header(mut header: Cursor<'_>) -> Result<(Iaid, Lifetime, Lifetime), DecodeError> {
    let iaid = Iaid(header.u32()?);
    let t1 = Lifetime::from_wire(header.u32()?);
    let t2 = Lifetime::from_wire(header.u32()?);
    Ok((iaid, t1, t2))
}

fn encode_ia_header(Iaid(iaid): Iaid, t1: Lifetime, t2: Lifetime) -> Vec<u8> {
    let mut body = Vec::with_capacity(USUAL_IA_OCTETS);
    for field in [iaid, t1.to_wire(), t2.to_wire()] {
        body.extend_from_slice(&field.to_be_bytes());
    }
    body
}

impl Status {
    fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (mut header, mut rest) = header::<2>(STATUS, body)?;
        let code = StatusCode::from_wire(header.u16()?);
        Ok(Self { code, text: clean(rest.take_rest()) })
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let mut body = self.code.to_wire().to_be_bytes().to_vec();
        body.extend(self.text.as_bytes());
        push_option(out, STATUS, &body);
    }
}

impl StatusCode {
    /// Reads the 16 bits of a packet.
    pub const fn from_wire(code: u16) -> Self {
        match code {
            0 => Self::Success,
            1 => Self::UnspecFail,
            2 => Self::NoAddrsAvail,
            3 => Self::NoBinding,
            4 => Self::NotOnLink,
            6 => Self::NoPrefixAvail,
            other => Self::Other(other),
        }
    }

    /// The 16 bits of a packet.
    pub const fn to_wire(self) -> u16 {
        match self {
            Self::Success => 0,
            Self::UnspecFail => 1,
            Self::NoAddrsAvail => 2,
            Self::NoBinding => 3,
            Self::NotOnLink => 4,
            Self::NoPrefixAvail => 6,
            Self::Other(code) => code,
        }
    }
}

/// Text that is safe to log. Octets that are no UTF-8 lose themselves, but never the status code
/// beside them; what could end a line or turn its direction becomes a space.
fn clean(octets: &[u8]) -> String {
    let is_unsafe =
        |c: char| c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    String::from_utf8_lossy(octets).replace(is_unsafe, " ").trim().to_owned()
}

impl Authentication {
    pub(in crate::wire) fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let (mut header, mut rest) = header::<11>(AUTHENTICATION, body)?;
        Ok(Self {
            protocol: header.u8()?,
            algorithm: header.u8()?,
            replay_detection: header.u8()?,
            replay: header.u64()?,
            information: rest.take_rest().to_vec(),
        })
    }

    fn encode(&self) -> Vec<u8> {
        let mut body = vec![self.protocol, self.algorithm, self.replay_detection];
        body.extend(self.replay.to_be_bytes());
        body.extend(&self.information);
        body
    }

    /// The digest of a Reconfigure: protocol 3, algorithm 1, RDM 0, type 2 and 16 octets
    /// (RFC 9915 §20.4.1); none if it is anything else.
    pub fn reconfigure_digest(&self) -> Option<[u8; 16]> {
        match (self.protocol, self.algorithm, self.replay_detection, self.information.as_slice()) {
            (3, 1, 0, [2, digest @ ..]) => digest.try_into().ok(),
            _ => None,
        }
    }
}

/// Singletons that come twice are not combined: the first one counts (RFC 9915 §21).
fn keep_first<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

/// The fixed part of a body, and what follows it.
pub(in crate::wire) fn header<const N: usize>(
    code: u16,
    body: &[u8],
) -> Result<(Cursor<'_>, Cursor<'_>), DecodeError> {
    let (header, rest) = body.split_at_checked(N).ok_or(DecodeError::OptionLength(code))?;
    Ok((Cursor::new(header), Cursor::new(rest)))
}

pub(in crate::wire) fn exactly<const N: usize>(
    code: u16,
    body: &[u8],
) -> Result<[u8; N], DecodeError> {
    body.try_into().map_err(|_| DecodeError::OptionLength(code))
}

fn many<const N: usize>(code: u16, body: &[u8]) -> Result<&[[u8; N]], DecodeError> {
    let (chunks, rest) = body.as_chunks();
    if rest.is_empty() { Ok(chunks) } else { Err(DecodeError::OptionLength(code)) }
}
