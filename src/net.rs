//! Constants and functions about IPv6 networks for all parts of the agent: groups, ports, prefixes,
//! link-layer addresses.

use std::cmp::Ordering;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

/// The kernel's number of an interface; an interface that returns has another one.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize, serde::Deserialize,
)]
#[serde(transparent)]
pub struct IfIndex(pub u32);

/// All nodes on a link (RFC 4291 §2.7.1).
pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
/// All routers on a link (RFC 4291 §2.7.1).
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
/// All DHCPv6 relay agents and servers on a link (RFC 9915 §7.1).
pub const ALL_DHCP_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
/// All DHCPv6 servers of a site (RFC 9915 §7.1).
pub const ALL_SITE_DHCP_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3);

/// The UDP port of DHCPv6 clients (RFC 9915 §7.2).
pub const DHCP_CLIENT_PORT: u16 = 546;
/// The UDP port of DHCPv6 servers and relay agents (RFC 9915 §7.2).
pub const DHCP_SERVER_PORT: u16 = 547;

/// The universal/local bit, inverted so that an identifier given by hand is local without setting
/// it (RFC 4291 §2.5.1).
const UNIVERSAL_LOCAL: u64 = 0x0200_0000_0000_0000;

/// A prefix as the key of a map, in the same order. Addresses are compared as numbers here, which
/// takes a fraction of the time of comparing their groups one after the other.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrefixKey(pub Ipv6Net);

impl Ord for PrefixKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let parts = |key: &Self| (u128::from(key.0.addr()), key.0.prefix_len());
        parts(self).cmp(&parts(other))
    }
}

impl PartialOrd for PrefixKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Whether two prefixes have an address in common.
pub fn overlap(one: Ipv6Net, other: Ipv6Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// The modified EUI-64 of a link-layer address of 6 or 8 octets (RFC 4291 appendix A); none for any
/// other length.
pub fn eui64(link_layer: &[u8]) -> Option<u64> {
    if link_layer.iter().all(|octet| *octet == 0) {
        return None; // all tunnels and loopbacks would share it
    }
    let octets = match *link_layer {
        [a, b, c, d, e, f] => [a, b, c, 0xff, 0xfe, d, e, f],
        [a, b, c, d, e, f, g, h] => [a, b, c, d, e, f, g, h],
        _ => return None,
    };
    Some(u64::from_be_bytes(octets) ^ UNIVERSAL_LOCAL)
}

/// The link-layer address of 6 octets that a link-local address was made from, if it was
/// (RFC 4291 appendix A).
pub fn link_layer_of(address: Ipv6Addr) -> Option<Vec<u8>> {
    match address.octets() {
        [0xfe, 0x80, 0, 0, 0, 0, 0, 0, first, a, b, 0xff, 0xfe, c, d, e] => {
            Some(vec![first ^ 2, a, b, c, d, e])
        }
        _ => None,
    }
}

/// FNV-1a, 64 bits: the same in every version of this program, which the standard library's hash
/// is not. Not for tables that an attacker fills.
pub fn stable_hash(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 4291 appendix A.
    #[test]
    fn eui64_inverts_the_universal_bit() {
        let cases: [(&str, &[u8], Option<u64>); 8] = [
            ("48 bits", &[0x34, 0x56, 0x78, 0x9a, 0xbc, 0xde], Some(0x3656_78ff_fe9a_bcde)),
            ("48 bits, local", &[0x02, 0, 0x5e, 0x10, 0, 1], Some(0x0000_5eff_fe10_0001)),
            ("64 bits", &[0x34, 0x56, 0x78, 1, 2, 3, 4, 5], Some(0x3656_7801_0203_0405)),
            ("no address", &[], None),
            ("an address of zeros", &[0; 6], None),
            ("IPv4 tunnel", &[192, 0, 2, 1], None),
            ("seven octets", &[1; 7], None),
            ("InfiniBand", &[1; 20], None),
        ];
        for (name, link_layer, expected) in cases {
            assert_eq!(eui64(link_layer), expected, "{name}");
        }
    }

    #[test]
    fn a_link_layer_address_can_be_read_from_the_address_that_was_made_of_it() {
        let octets = vec![2, 0, 0x5e, 0, 0x53, 1];
        let id = eui64(&octets).map(u128::from).unwrap();
        let address = |prefix: u128| Ipv6Addr::from(prefix << 64 | id);
        assert_eq!(link_layer_of(address(0xfe80 << 48)), Some(octets));
        for (name, address) in [
            ("not link-local", address(0x2001_0db8 << 32)),
            ("not made of one", "fe80::1".parse().unwrap()),
        ] {
            assert_eq!(link_layer_of(address), None, "{name}");
        }
    }

    /// The first two vectors are of the authors of FNV.
    #[test]
    fn the_hash_stays_what_it_is() {
        let cases: [(&[u8], u64); 3] = [
            (b"", 0xcbf2_9ce4_8422_2325),
            (b"a", 0xaf63_dc4c_8601_ec8c),
            (b"foobar", 0x8594_4171_f739_67e8),
        ];
        for (octets, expected) in cases {
            assert_eq!(stable_hash(octets), expected, "{octets:?}");
        }
    }

    #[test]
    fn keys_are_in_the_order_of_their_prefixes() {
        let texts = ["::/0", "2001:db8::/32", "2001:db8::/48", "2001:db8:0:1::/48", "ff00::/8"];
        let nets = texts.map(|text| text.parse::<Ipv6Net>().unwrap());
        for one in nets {
            for other in nets {
                assert_eq!(PrefixKey(one).cmp(&PrefixKey(other)), one.cmp(&other));
            }
        }
    }

    #[test]
    fn prefixes_overlap_where_one_holds_the_other() {
        let net = |text: &str| text.parse::<Ipv6Net>().unwrap();
        let cases = [
            ("2001:db8::/32", "2001:db8::/32", true),
            ("2001:db8::/32", "2001:db8:1::/48", true),
            ("2001:db8:1::/48", "2001:db8::/32", true),
            ("2001:db8::/48", "2001:db8:1::/48", false),
        ];
        for (one, other, expected) in cases {
            assert_eq!(overlap(net(one), net(other)), expected, "{one} {other}");
        }
    }
}
