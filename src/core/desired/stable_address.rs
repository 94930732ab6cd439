//! Interface identifiers: from the link-layer address, or stable and opaque.

use ipnet::Ipv6Net;
use sha2::{Digest, Sha256};

use crate::config::InterfaceId;

/// A stable and opaque identifier (RFC 7217 §5): the same for the same arguments, another one in
/// another prefix. `dad_counter` is 0, and one more after each duplicate that was found.
///
/// F is SHA-256, its first 64 bits; Net_Iface is the interface's name, which outlives its number
/// and its link-layer address; there is no Network_ID.
pub fn stable(secret: &[u8; 32], prefix: Ipv6Net, interface: &str, dad_counter: u8) -> InterfaceId {
    let mut counter = dad_counter;
    loop {
        let identifier = digest(secret, prefix, interface, counter);
        if !is_reserved(identifier) {
            return identifier;
        }
        counter = counter.wrapping_add(1);
    }
}

fn digest(secret: &[u8; 32], prefix: Ipv6Net, interface: &str, counter: u8) -> InterfaceId {
    // All but the name have a fixed length, so that no two sets of arguments hash the same octets.
    let digest: [u8; 32] = Sha256::new()
        .chain_update(secret)
        .chain_update(prefix.network().octets())
        .chain_update([prefix.prefix_len(), counter])
        .chain_update(interface)
        .finalize()
        .into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    InterfaceId(u64::from_be_bytes([a, b, c, d, e, f, g, h]))
}

/// Whether no interface may take the identifier (RFC 5453 and its IANA registry).
const fn is_reserved(identifier: InterfaceId) -> bool {
    matches!(
        identifier.0,
        0 // subnet-router anycast (RFC 4291 §2.6.1)
            | 0x0200_5eff_fe00_0000..=0x0200_5eff_feff_ffff // IANA's Ethernet block (RFC 7136 §6)
            | 0xfdff_ffff_ffff_ff80..=0xfdff_ffff_ffff_ffff // subnet anycast (RFC 2526)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(text: &str) -> Ipv6Net {
        text.parse().unwrap()
    }

    fn secret() -> [u8; 32] {
        std::array::from_fn(|index| u8::try_from(index).unwrap())
    }

    /// UPL-06. The vectors are SHA-256 over 00 01 … 1f, the prefix, its length, the counter and
    /// the name, computed with another implementation.
    #[test]
    fn stable_identifiers_are_these() {
        let cases = [
            ("2001:db8:12:c3ff::/64", "tap0", 0, 0x9cc2_cfc2_b5c1_0945),
            ("2001:db8:12:c3ff::/64", "tap0", 1, 0x4260_7dc3_83de_20ab),
            ("3fff:0:0:1::/64", "wl0", 0, 0x39d4_fcbd_c9be_ccdc),
        ];
        for (net, interface, counter, expected) in cases {
            let identifier = stable(&secret(), prefix(net), interface, counter);
            assert_eq!(identifier, InterfaceId(expected), "{net} {interface} {counter}");
        }
    }

    /// UPL-06, STO-06
    #[test]
    fn every_argument_makes_another_identifier_and_host_bits_none() {
        let net = prefix("2001:db8:12:c3ff::/64");
        let first = stable(&secret(), net, "tap0", 0);
        let host_bits = prefix("2001:db8:12:c3ff::5/64");
        assert_eq!(stable(&secret(), host_bits, "tap0", 0), first);
        let others = [
            stable(&[7; 32], net, "tap0", 0),
            stable(&secret(), prefix("2001:db8:12:c3fe::/64"), "tap0", 0),
            stable(&secret(), prefix("2001:db8:12:c3ff::/65"), "tap0", 0),
            stable(&secret(), net, "tap1", 0),
            stable(&secret(), net, "tap0", 1),
        ];
        assert!(others.iter().all(|other| *other != first));
    }

    /// RFC 5453
    #[test]
    fn reserved_identifiers_are_these() {
        let cases = [
            (0, true),
            (1, false),
            (0x0200_5eff_fdff_ffff, false),
            (0x0200_5eff_fe00_0000, true),
            (0x0200_5eff_fe00_5213, true),
            (0x0200_5eff_feff_ffff, true),
            (0x0200_5eff_ff00_0000, false),
            (0xfdff_ffff_ffff_ff7f, false),
            (0xfdff_ffff_ffff_ff80, true),
            (0xfdff_ffff_ffff_ffff, true),
            (0xfe00_0000_0000_0000, false),
        ];
        for (identifier, expected) in cases {
            assert_eq!(is_reserved(InterfaceId(identifier)), expected, "{identifier:#x}");
        }
    }
}
