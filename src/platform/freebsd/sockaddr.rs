//! Socket addresses as FreeBSD has them: each begins with its length and its family.

use std::net::Ipv6Addr;

use super::abi;
use crate::net::IfIndex;

/// A socket address in a message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SocketAddress {
    /// `struct sockaddr_in6`: an address, with the index of its link where it has a scope.
    Inet6(Ipv6Addr, IfIndex),
    /// `struct sockaddr_dl`: an interface.
    Link {
        /// Its number.
        index: IfIndex,
        /// Its kind (net/if_types.h).
        kind: u8,
        /// Its name, where that is given.
        name: String,
        /// Its link-layer address, or that of a neighbor; empty where that is not given.
        link_layer: Vec<u8>,
    },
    /// Of another family, or of none.
    Other {
        /// AF_*; 0 for none.
        family: u8,
        /// What follows length and family.
        octets: Vec<u8>,
    },
}

/// Octets that a socket address of this length takes in a message.
const fn room(length: usize) -> usize {
    if length == 0 { 8 } else { length.next_multiple_of(8) }
}

/// Puts the address of an interface or host behind others. A link-local one has a scope.
pub(super) fn put_inet6(octets: &mut Vec<u8>, address: Ipv6Addr, link: IfIndex) {
    let scope = if address.is_unicast_link_local() { link.0 } else { 0 };
    octets.extend([28, abi::INET6, 0, 0, 0, 0, 0, 0]);
    octets.extend(address.octets());
    octets.extend(scope.to_le_bytes());
}

/// The same in a routing message, where each begins at a multiple of eight octets.
pub(super) fn put_padded(octets: &mut Vec<u8>, address: Ipv6Addr, link: IfIndex) {
    put_inet6(octets, address, link);
    octets.extend([0; 4]);
}

/// Puts an interface behind others, as a gateway: 16 octets, as a longer one is garbled in what
/// FreeBSD 13.0 reports.
pub(super) fn put_link(octets: &mut Vec<u8>, link: IfIndex) {
    let [low, high, ..] = link.0.to_le_bytes();
    octets.extend([16, abi::LINK, low, high]);
    octets.extend([0; abi::SOCKADDR_DL_SHORT - 4]);
}

/// The netmask of a prefix length.
pub(super) fn mask(length: u8) -> Ipv6Addr {
    Ipv6Addr::from(u128::MAX.checked_shl(128 - u32::from(length.min(128))).unwrap_or(0))
}

/// The socket addresses of a message by their positions: the bits of `present` say which are there.
/// What is cut off is left out.
pub(super) fn walk(
    mut octets: &[u8],
    present: u32,
) -> [Option<SocketAddress>; abi::position::COUNT] {
    let mut found = [const { None }; abi::position::COUNT];
    for (position, found) in found.iter_mut().enumerate() {
        if present & (1 << position) == 0 {
            continue;
        }
        let Some(length) = octets.first().map(|length| usize::from(*length)) else { break };
        *found = octets.get(..length).map(decode);
        octets = octets.get(room(length)..).unwrap_or_default();
    }
    found
}

/// Reads one socket address, which may be shorter than its family makes it: a netmask without its
/// last zeros.
fn decode(octets: &[u8]) -> SocketAddress {
    match octets.get(1).copied() {
        Some(abi::INET6) => {
            let mut address = [0; 16];
            let given = octets.get(8..).unwrap_or_default();
            address.iter_mut().zip(given).for_each(|(to, from)| *to = *from);
            let scope = octets.get(24..28).map_or([0; 4], copied);
            scoped(Ipv6Addr::from(address), u32::from_le_bytes(scope))
        }
        Some(abi::LINK) => {
            let part = |from, length| octets.get(from..from + length).unwrap_or_default().to_vec();
            let length = |at| octets.get(at).copied().map_or(0, usize::from);
            let (name, link_layer) = (length(5), length(6));
            SocketAddress::Link {
                index: IfIndex(octets.get(2..4).map_or(0, |two| u32::from(u16(two)))),
                kind: octets.get(4).copied().unwrap_or(0),
                name: String::from_utf8_lossy(&part(8, name)).into_owned(),
                link_layer: part(8 + name, link_layer),
            }
        }
        family => SocketAddress::Other {
            family: family.unwrap_or(0),
            octets: octets.get(2..).unwrap_or_default().to_vec(),
        },
    }
}

/// A link-local address may have its link embedded in its second 16 bits, as the kernel has it
/// inside.
fn scoped(address: Ipv6Addr, scope: u32) -> SocketAddress {
    let mut segments = address.segments();
    if scope != 0 || !address.is_unicast_link_local() || segments[1] == 0 {
        return SocketAddress::Inet6(address, IfIndex(scope));
    }
    let link = u32::from(segments[1]);
    segments[1] = 0;
    SocketAddress::Inet6(Ipv6Addr::from(segments), IfIndex(link))
}

impl SocketAddress {
    /// The address and its link, where it is one of IPv6.
    pub const fn inet6(&self) -> Option<(Ipv6Addr, IfIndex)> {
        match self {
            Self::Inet6(address, link) => Some((*address, *link)),
            Self::Link { .. } | Self::Other { .. } => None,
        }
    }

    /// The prefix length, where it is a netmask: one without holes, of any family or none.
    pub fn prefix_len(&self) -> Option<u8> {
        let mask = match self {
            Self::Inet6(address, _) => *address,
            Self::Other { octets, .. } => {
                let mut mask = [0; 16];
                let given = octets.get(6..).unwrap_or_default();
                mask.iter_mut().zip(given).for_each(|(to, from)| *to = *from);
                Ipv6Addr::from(mask)
            }
            Self::Link { .. } => return None,
        };
        let bits = mask.to_bits();
        let length = bits.leading_ones();
        (bits.checked_shl(length).unwrap_or(0) == 0).then_some(u8::try_from(length).unwrap_or(128))
    }
}

fn copied<const LENGTH: usize>(octets: &[u8]) -> [u8; LENGTH] {
    octets.first_chunk().copied().unwrap_or([0; LENGTH])
}

fn u16(octets: &[u8]) -> u16 {
    u16::from_le_bytes(copied(octets))
}
