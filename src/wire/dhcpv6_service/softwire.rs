//! The containers of Softwire46 (RFC 7598): options in options, three levels deep.

use super::super::cursor::Cursor;
use super::super::dhcpv6_option::codec::{exactly, header, push_option, take_option};
use super::{S46_MAP_E, S46_MAP_T, address, is_usable};

const RULE: u16 = 89;
const BORDER_RELAY: u16 = 90;
const DEFAULT_RULE: u16 = 91;
const BINDING: u16 = 92;
const PORT_PARAMETERS: u16 = 93;

/// A container with what belongs in it; none if what it has to hold is missing or malformed.
pub(super) fn container(code: u16, body: &[u8]) -> Option<Vec<u8>> {
    let mut accepted = Vec::new();
    let mut count = |wanted: u16| {
        let mut rest = Cursor::new(body);
        let mut count = 0_usize;
        while let Some((code, body)) = take_option(&mut rest).ok()? {
            if code == wanted {
                count = count.saturating_add(1);
                push_option(&mut accepted, code, &part(code, body)?);
            }
        }
        Some(count)
    };
    let is_complete = match code {
        S46_MAP_E => count(RULE)? > 0 && count(BORDER_RELAY)? > 0,
        S46_MAP_T => count(RULE)? > 0 && count(DEFAULT_RULE)? == 1,
        _ => count(BINDING)? <= 1 && count(BORDER_RELAY)? > 0,
    };
    is_complete.then_some(accepted)
}

fn part(code: u16, body: &[u8]) -> Option<Vec<u8>> {
    match code {
        RULE => rule(body),
        BINDING => binding(body),
        BORDER_RELAY => address(body).filter(is_usable).map(|_| body.to_vec()),
        DEFAULT_RULE => {
            let mut rest = Cursor::new(body);
            // RFC 7599 §5.1, errata 4865 of RFC 7598.
            let length = rest.u8().ok().filter(|length| *length <= 96)?;
            let prefix = prefix(&mut rest, length)?;
            rest.is_empty().then(|| [&[length], prefix].concat())
        }
        _ => None,
    }
}

/// Flags, lengths, an IPv4 and an IPv6 prefix, and port parameters.
fn rule(body: &[u8]) -> Option<Vec<u8>> {
    let (mut fixed, mut rest) = header::<8>(RULE, body).ok()?;
    let (_flags, embedded, ipv4_length) = (fixed.u8().ok()?, fixed.u8().ok()?, fixed.u8().ok()?);
    let _ipv4_prefix = fixed.u32().ok()?;
    let length = fixed.u8().ok()?;
    if embedded > 48 || ipv4_length > 32 {
        return None;
    }
    let prefix = prefix(&mut rest, length)?;
    let mut accepted = body.get(..8)?.to_vec();
    accepted.extend(prefix);
    accepted.extend(port_parameters(rest)?);
    Some(accepted)
}

/// An IPv4 address, the prefix it is bound to, and port parameters.
fn binding(body: &[u8]) -> Option<Vec<u8>> {
    let (mut fixed, mut rest) = header::<5>(BINDING, body).ok()?;
    let _ipv4_address = fixed.u32().ok()?;
    let length = fixed.u8().ok()?;
    let prefix = prefix(&mut rest, length)?;
    let mut accepted = body.get(..5)?.to_vec();
    accepted.extend(prefix);
    accepted.extend(port_parameters(rest)?);
    Some(accepted)
}

/// A prefix of `length` bits, in as many octets as that takes.
fn prefix<'a>(rest: &mut Cursor<'a>, length: u8) -> Option<&'a [u8]> {
    if length > 128 {
        return None;
    }
    rest.take(length.div_ceil(8).into()).ok()
}

/// Offset of at most 15 bits, PSID length, PSID; the first of them, if there is one. Offset and
/// PSID are bits of a port (RFC 7597 §5.1), so together they are 16 at most.
fn port_parameters(mut rest: Cursor<'_>) -> Option<Vec<u8>> {
    let mut accepted = Vec::new();
    while let Some((code, body)) = take_option(&mut rest).ok()? {
        if code == PORT_PARAMETERS && accepted.is_empty() {
            let [offset, length, ..] = exactly::<4>(code, body).ok()?;
            if offset > 15 || length > 16_u8.saturating_sub(offset) {
                return None;
            }
            push_option(&mut accepted, code, body);
        }
    }
    Some(accepted)
}
