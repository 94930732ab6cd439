use crate::time::Lifetime;
use crate::wire::testing::{hex, net};

use super::super::ndp_option::{Pref64, RouteInformation};
use super::*;

/// RFC 4861 §4.2 with every option that is understood, and one that is not.
fn full_octets() -> Vec<u8> {
    hex("86 00 0000                          | type 134, code 0, checksum
         40 c8 0708                          | hop limit 64, M O Prf=high, router lifetime 1800
         00007530                            | reachable time 30000 ms
         000003e8                            | retrans timer 1000 ms
         01 01 020000000001                  | source link-layer address
         03 04 40 d0                         | prefix information, /64, L A P
         00001518                            | valid 5400
         00000a8c                            | preferred 2700
         00000000                            | reserved
         20010db8 00010000 00000000 00000000 | 2001:db8:1::
         05 01 0000 000005dc                 | MTU 1500
         18 02 30 18                         | route information, /48, Prf=low
         00000708                            | lifetime 1800
         20010db8 00020000                   | 2001:db8:2::
         19 03 0000                          | RDNSS
         ffffffff                            | lifetime infinite
         fd000000 00000000 00000000 00000053 | fd00::53
         1f 03 0000                          | DNSSL
         00000e10                            | lifetime 3600
         04 686f6d65 04 61727061 00          | home.arpa
         0000000000                          | padding
         1a 01 800000000000                  | flags extension
         25 03 68747470733a2f2f              | captive portal, https://
         6578616d706c652e6f72672f 0000       | example.org/, padding
         26 02 0708                          | PREF64, 225 x 8 s, code 0: /96
         20010db8 00640000 00000000          | 2001:db8:64::
         fd 01 010203040506                  | type 253")
}

fn full() -> RouterAdvertisement {
    RouterAdvertisement {
        hop_limit: 64,
        managed: true,
        other: true,
        snac_router: false,
        preference: Preference::High,
        router_lifetime: 1800,
        reachable_time: 30_000,
        retrans_timer: 1000,
        options: vec![
            NdpOption::SourceLinkLayer(vec![2, 0, 0, 0, 0, 1]),
            NdpOption::Prefix(PrefixInformation {
                prefix: net("2001:db8:1::/64"),
                on_link: true,
                autonomous: true,
                delegation_preferred: true,
                valid: Lifetime::Finite(5400),
                preferred: Lifetime::Finite(2700),
            }),
            NdpOption::Mtu(1500),
            NdpOption::Route(RouteInformation {
                prefix: net("2001:db8:2::/48"),
                preference: Preference::Low,
                lifetime: Lifetime::Finite(1800),
            }),
            NdpOption::Rdnss {
                lifetime: Lifetime::Infinite,
                servers: vec!["fd00::53".parse().unwrap()],
            },
            NdpOption::Dnssl { lifetime: Lifetime::Finite(3600), names: vec!["home.arpa".into()] },
            NdpOption::FlagsExtension(vec![0x80, 0, 0, 0, 0, 0]),
            NdpOption::CaptivePortal("https://example.org/".into()),
            NdpOption::Pref64(Pref64 { prefix: net("2001:db8:64::/96"), lifetime: 1800 }),
            NdpOption::Unknown { kind: 253, body: vec![1, 2, 3, 4, 5, 6] },
        ],
    }
}

const HEADER: &str = "86 00 0000 40 00 0708 00000000 00000000";
const PIO: &str = "03 04 40 c0 00001518 00000a8c 00000000 20010db8000100000000000000000000";

fn decode(parts: &[&str]) -> Result<RouterAdvertisement, DecodeError> {
    RouterAdvertisement::decode(&hex(&parts.concat()))
}

#[test]
fn an_advertisement_is_read_and_written() {
    assert_eq!(RouterAdvertisement::decode(&full_octets()), Ok(full()));
    assert_eq!(full().encode(), full_octets());
    assert_eq!(full().prefixes().count(), 1);
}

/// RFC 4861 §4.1.
#[test]
fn a_solicitation_is_read_and_written() {
    let cases = [
        ("85 00 0000 00000000", vec![]),
        (
            "85 00 0000 00000000  01 01 020000000001",
            vec![NdpOption::SourceLinkLayer(vec![2, 0, 0, 0, 0, 1])],
        ),
    ];
    for (octets, options) in cases {
        let solicitation = RouterSolicitation { options };
        assert_eq!(RouterSolicitation::decode(&hex(octets)).as_ref(), Ok(&solicitation));
        assert_eq!(solicitation.encode(), hex(octets));
    }
}

/// RFC 4861 §6.1.2: what makes the whole packet go, with the clause in the first column.
#[test]
fn a_broken_advertisement_is_discarded_as_a_whole() {
    use DecodeError::{Code, Truncated, Type, ZeroLength};
    let pio_short = &PIO[..PIO.len() - 24];
    let cases: [(&str, &[&str], DecodeError); 9] = [
        ("RA-RX-04 code 1", &["86 01 0000 40 00 0708 00000000 00000000"], Code(1)),
        ("RA-RX-05 15 octets", &["86 00 0000 40 00 0708 00000000 000000"], Truncated),
        ("RA-RX-05 none", &[""], Truncated),
        ("a solicitation", &["85 00 0000 00000000 0101020000000001"], Type(0x85)),
        ("RA-RX-06 length 0 behind a prefix", &[HEADER, PIO, "05 00 0000 000005dc"], ZeroLength),
        ("RA-RX-06 length 0 of an unknown type", &[HEADER, "fd 00", PIO], ZeroLength),
        ("RA-RX-07 length 4 with 20 octets left", &[HEADER, pio_short], Truncated),
        ("RA-RX-07 type without length", &[HEADER, PIO, "03"], Truncated),
        (
            "RA-RX-07 length 255 of 16 octets",
            &[HEADER, "fd ff 0000 00000000 0101010101010101"],
            Truncated,
        ),
    ];
    for (name, parts, error) in cases {
        assert_eq!(decode(parts), Err(error), "{name}");
    }
}

/// RA-TX-14, RFC 4861 §6.1.1.
#[test]
fn a_broken_solicitation_is_discarded_as_a_whole() {
    let cases = [
        ("code 1", "85 01 0000 00000000", DecodeError::Code(1)),
        ("7 octets", "85 00 0000 000000", DecodeError::Truncated),
        ("an advertisement", "86 00 0000 00000000", DecodeError::Type(0x86)),
        ("length 0", "85 00 0000 00000000 01 00 020000000001", DecodeError::ZeroLength),
        ("past the end", "85 00 0000 00000000 01 02 020000000001", DecodeError::Truncated),
    ];
    for (name, octets, error) in cases {
        assert_eq!(RouterSolicitation::decode(&hex(octets)), Err(error), "{name}");
    }
}

/// RA-RX-07: cut between options it is a shorter advertisement, cut anywhere else it is none.
#[test]
fn a_truncated_advertisement_is_read_only_where_an_option_ends() {
    let octets = full_octets();
    let lengths: Vec<usize> = full()
        .options
        .iter()
        .map(|option| {
            let mut octets = Vec::new();
            option.encode(&mut octets);
            octets.len()
        })
        .collect();
    let mut boundaries = vec![16];
    for length in lengths {
        boundaries.push(boundaries.last().unwrap() + length);
    }
    assert_eq!(boundaries.last(), Some(&octets.len()));
    for end in 0..=octets.len() {
        let decoded = RouterAdvertisement::decode(&octets[..end]);
        if let Some(count) = boundaries.iter().position(|boundary| *boundary == end) {
            assert_eq!(decoded.unwrap().options, full().options[..count], "{end} octets");
        } else {
            assert_eq!(decoded, Err(DecodeError::Truncated), "{end} octets");
        }
    }
}

/// RA-RX-08, RA-RX-09.
#[test]
fn options_that_mean_nothing_here_leave_their_neighbours_alone() {
    for (kind, option) in [
        (253, "fd 01 000000000000"),
        (2, "02 01 020000000001"),
        (4, "04 02 000000000000 0000000000000000"),
        (14, "0e 01 aabbccddeeff"),
    ] {
        let decoded = decode(&[HEADER, PIO, option, PIO]).unwrap();
        assert_eq!(decoded.prefixes().count(), 2, "type {kind}");
        let unknown = |option: &NdpOption| matches!(option, NdpOption::Unknown { kind: found, .. } if *found == kind);
        assert!(unknown(&decoded.options[1]), "type {kind}");
    }
}

/// A length of 33 units and more does not fit an octet when unfolded: a prefix that hides in the
/// body of such an option stays hidden.
#[test]
fn a_long_option_hides_no_other() {
    for length in [32_usize, 33, 255] {
        let mut octets = hex(HEADER);
        octets.extend([253, u8::try_from(length).unwrap()]);
        let body: Vec<u8> = hex(PIO).into_iter().cycle().take(length * 8 - 2).collect();
        octets.extend(&body);
        let decoded = RouterAdvertisement::decode(&octets).unwrap();
        assert_eq!(decoded.options, [NdpOption::Unknown { kind: 253, body }]);
        assert_eq!(decoded.encode(), octets);
    }
}

/// A known option with wrong content is left alone, and so is the packet.
#[test]
fn a_malformed_option_does_not_cost_the_packet() {
    let decoded = decode(&[HEADER, "05 02 0000 000005dc 0000000000000000", PIO]).unwrap();
    assert_eq!(
        decoded.options[0],
        NdpOption::Malformed { kind: 5, error: DecodeError::OptionLength(5) }
    );
    assert_eq!(decoded.prefixes().count(), 1);
}

/// RA-RX-27, RFC 4191 §2.2; RA-RX-08 for the other bits.
#[test]
fn header_flags_are_read() {
    let cases = [
        // flags, lifetime, M, O, S, Prf
        ("00", "0708", false, false, false, Preference::Medium),
        ("80", "0708", true, false, false, Preference::Medium),
        ("40", "0708", false, true, false, Preference::Medium),
        ("08", "0708", false, false, false, Preference::High),
        ("18", "0708", false, false, false, Preference::Low),
        ("10", "0708", false, false, false, Preference::Medium), // reserved
        ("02", "0708", false, false, true, Preference::Medium),
        ("27", "0708", false, false, true, Preference::Medium), // H, proxy, reserved bit
        ("08", "0000", false, false, false, Preference::Medium), // no default router
        ("18", "0000", false, false, false, Preference::Medium),
    ];
    for (flags, lifetime, managed, other, snac_router, preference) in cases {
        let header = format!("86 00 0000 40 {flags} {lifetime} 00000000 00000000");
        let decoded = decode(&[&header]).unwrap();
        assert_eq!(
            (decoded.managed, decoded.other, decoded.snac_router, decoded.preference),
            (managed, other, snac_router, preference),
            "{header}"
        );
    }
}

/// RA-TX-33: the reserved preference is never sent, and none but medium with lifetime 0.
#[test]
fn a_router_that_is_no_default_router_sends_preference_medium() {
    for preference in [Preference::Low, Preference::Medium, Preference::High] {
        for (router_lifetime, bits) in [(0, 0), (1, preference.to_flags())] {
            let octets =
                RouterAdvertisement { preference, router_lifetime, ..Default::default() }.encode();
            assert_eq!(octets[5], bits, "{preference:?} {router_lifetime}");
        }
    }
}

/// RA-TX-38.
#[test]
fn an_empty_advertisement_is_zero_beyond_its_type() {
    let octets = RouterAdvertisement::default().encode();
    assert_eq!(octets, hex("86 00 0000 00000000 00000000 00000000"));
}

/// RFC 4861 §4.3
#[test]
fn a_neighbor_solicitation_is_written() {
    let target = "fe80::2aa:bbff:fecc:ddee".parse().unwrap();
    let solicitation =
        NeighborSolicitation { target, source_link_layer: Some(vec![2, 0, 0, 0, 0, 1]) };
    let octets = hex("87 00 0000 00000000                 | type 135, code 0, checksum, reserved
         fe800000 00000000 02aabbff feccddee | target
         01 01 020000000001                  | source link-layer address");
    assert_eq!(solicitation.encode(), octets);
    let without = NeighborSolicitation { source_link_layer: None, ..solicitation };
    assert_eq!(without.encode(), octets[..24]);
    let group: Ipv6Addr = "ff02::1:ffcc:ddee".parse().unwrap();
    assert_eq!(NeighborSolicitation::group_of(target), group, "RFC 4291 §2.7.1");
}

/// RFC 4861 §4.4, §7.1.2
#[test]
fn a_neighbor_advertisement_is_read_or_discarded_as_a_whole() {
    let octets = hex("88 00 0000 60000000                 | type 136, code 0, checksum, S O
         fe800000 00000000 00000000 00000001 | target
         fd 01 010203040506                  | type 253
         02 01 020000000001                  | target link-layer address");
    let advertisement = NeighborAdvertisement::decode(&octets).unwrap();
    let expected = NeighborAdvertisement {
        solicited: true,
        target: "fe80::1".parse().unwrap(),
        target_link_layer: Some(vec![2, 0, 0, 0, 0, 1]),
    };
    assert_eq!(advertisement, expected);
    for length in 0..octets.len() {
        let cut = NeighborAdvertisement::decode(&octets[..length]);
        let whole = [24, 32].contains(&length);
        assert_eq!(cut.is_ok(), whole, "{length}");
        assert!(cut.is_ok_and(|cut| cut.target_link_layer.is_none()) || !whole);
    }
    let changed = |position: usize, octet: u8| {
        let mut octets = octets.clone();
        octets[position] = octet;
        NeighborAdvertisement::decode(&octets)
    };
    assert_eq!(changed(0, 135), Err(DecodeError::Type(135)));
    assert_eq!(changed(1, 1), Err(DecodeError::Code(1)));
    assert_eq!(changed(8, 0xff), Err(DecodeError::Target));
    assert_eq!(changed(25, 0), Err(DecodeError::ZeroLength));
    assert!(!changed(4, 0x20).unwrap().solicited);
}
