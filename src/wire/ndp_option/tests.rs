use crate::wire::testing::{hex, net};

use super::*;

fn encode(option: &NdpOption) -> Vec<u8> {
    let mut octets = Vec::new();
    option.encode(&mut octets);
    octets
}

/// Decodes what must be a single option.
fn decode(text: &str) -> NdpOption {
    let options = decode_options(&hex(text)).unwrap();
    let [option] = <[NdpOption; 1]>::try_from(options).unwrap();
    option
}

fn pio(prefix: &str, on_link: bool, autonomous: bool, delegation_preferred: bool) -> NdpOption {
    NdpOption::Prefix(PrefixInformation {
        prefix: net(prefix),
        on_link,
        autonomous,
        delegation_preferred,
        valid: Lifetime::Finite(2),
        preferred: Lifetime::Finite(1),
    })
}

fn rio(prefix: &str, preference: Preference) -> NdpOption {
    NdpOption::Route(RouteInformation {
        prefix: net(prefix),
        preference,
        lifetime: Lifetime::Finite(600),
    })
}

fn pref64(prefix: &str, lifetime: u16) -> NdpOption {
    NdpOption::Pref64(Pref64 { prefix: net(prefix), lifetime })
}

fn malformed(kind: u8, error: DecodeError) -> NdpOption {
    NdpOption::Malformed { kind, error }
}

/// The octets behind the length of a prefix information option with valid 2 and preferred 1.
const PIO_TAIL: &str = "00000002 00000001 00000000 20010db8 00000000 00000000 00000000";

/// RFC 4861 §4.6.2, RFC 4191 §2.3, RFC 8106 §5, RFC 8781 §4, RFC 8910 §2: the form that is sent.
#[test]
fn options_are_read_and_written() {
    use Preference::{High, Low, Medium};
    let cases = [
        // prefix information: valid comes before preferred
        (format!("03 04 20 80 {PIO_TAIL}"), pio("2001:db8::/32", true, false, false)),
        (format!("03 04 40 40 {PIO_TAIL}"), pio("2001:db8::/64", false, true, false)),
        (format!("03 04 40 10 {PIO_TAIL}"), pio("2001:db8::/64", false, false, true)),
        // RA-RX-48: any length
        (
            "03 04 00 c0 00000002 00000001 00000000 00000000000000000000000000000000".into(),
            pio("::/0", true, true, false),
        ),
        (
            "03 04 80 c0 00000002 00000001 00000000 20010db8000000000000000000000001".into(),
            pio("2001:db8::1/128", true, true, false),
        ),
        // route information: the shortest length that holds the prefix
        ("18 01 00 08 00000258".into(), rio("::/0", High)),
        ("18 02 01 00 00000258 8000000000000000".into(), rio("8000::/1", Medium)),
        ("18 02 40 18 00000258 20010db800010002".into(), rio("2001:db8:1:2::/64", Low)),
        (
            "18 03 41 00 00000258 20010db8000100028000000000000000".into(),
            rio("2001:db8:1:2:8000::/65", Medium),
        ),
        (
            "18 03 80 00 00000258 20010db8000100020000000000000001".into(),
            rio("2001:db8:1:2::1/128", Medium),
        ),
        // RDNSS, RA-TX-36
        (
            "19 05 0000 00000000 20010db8000000000000000000000001 fe800000000000000000000000000001"
                .into(),
            NdpOption::Rdnss {
                lifetime: Lifetime::ZERO,
                servers: vec!["2001:db8::1".parse().unwrap(), "fe80::1".parse().unwrap()],
            },
        ),
        // DNSSL, RA-TX-36: padded to 8 octets, and not where it fits
        (
            "1f 02 0000 ffffffff 01 61 00 01 62 00 0000".into(),
            NdpOption::Dnssl { lifetime: Lifetime::Infinite, names: vec!["a".into(), "b".into()] },
        ),
        (
            "1f 02 0000 00000001 06 616263646566 00".into(),
            NdpOption::Dnssl { lifetime: Lifetime::Finite(1), names: vec!["abcdef".into()] },
        ),
        // RA-RX-67
        ("1a 01 ffffffffffff".into(), NdpOption::FlagsExtension(vec![255; 6])),
        ("1a 02 ffffffffffff ffffffffffffffff".into(), NdpOption::FlagsExtension(vec![255; 14])),
        // RA-RX-66
        (
            "25 05 75726e3a696574663a706172616d733a636170706f72743a756e72657374726963746564".into(),
            NdpOption::CaptivePortal("urn:ietf:params:capport:unrestricted".into()),
        ),
    ];
    for (octets, option) in cases {
        let padded = {
            let mut padded = hex(&octets);
            padded.resize(padded.len().div_ceil(8) * 8, 0);
            padded
        };
        assert_eq!(decode_options(&padded), Ok(vec![option.clone()]), "{octets}");
        assert_eq!(encode(&option), padded, "{octets}");
    }
}

/// RA-RX-65, RFC 8781 §4: all eight codes.
#[test]
fn a_nat64_prefix_has_one_of_six_lengths() {
    let cases = [
        ("26 02 0008 20010db8 01020304 05060708", Some("2001:db8:102:304:506:708::/96")),
        ("26 02 0009 20010db8 01020304 00000000", Some("2001:db8:102:304::/64")),
        ("26 02 000a 20010db8 01020300 00000000", Some("2001:db8:102:300::/56")),
        ("26 02 000b 20010db8 01020000 00000000", Some("2001:db8:102::/48")),
        ("26 02 000c 20010db8 01000000 00000000", Some("2001:db8:100::/40")),
        ("26 02 000d 20010db8 00000000 00000000", Some("2001:db8::/32")),
        ("26 02 000e 20010db8 00000000 00000000", None),
        ("26 02 000f 20010db8 00000000 00000000", None),
    ];
    for (octets, prefix) in cases {
        if let Some(prefix) = prefix {
            assert_eq!(decode(octets), pref64(prefix, 8), "{octets}");
            assert_eq!(encode(&pref64(prefix, 8)), hex(octets));
        } else {
            assert_eq!(decode(octets), malformed(38, DecodeError::ReservedValue(38)), "{octets}");
        }
    }
    for length in [31, 33, 63, 95, 97, 128] {
        assert_eq!(encode(&pref64(&format!("2001:db8::/{length}"), 8)), [0_u8; 0], "{length}");
    }
}

/// RA-TX-37, RFC 8781 §4.1: units of 8 seconds, rounded up, 65528 at most.
#[test]
fn a_nat64_lifetime_is_rounded_up() {
    for (lifetime, bits) in [
        (0, 0x0000),
        (1, 0x0008),
        (7, 0x0008),
        (8, 0x0008),
        (9, 0x0010),
        (1800, 0x0708),
        (65_528, 0xfff8),
        (65_529, 0xfff8),
        (u16::MAX, 0xfff8),
    ] {
        let octets = encode(&pref64("2001:db8::/96", lifetime));
        assert_eq!(octets[2..4], u16::to_be_bytes(bits), "{lifetime}");
        assert_eq!(decode_options(&octets), Ok(vec![pref64("2001:db8::/96", bits)]));
    }
}

/// The clause is in the first column.
#[test]
fn wrong_content_makes_an_option_malformed() {
    use DecodeError::{DomainName, OptionLength, PrefixLength, ReservedValue, Text};
    let eight = "0000000000000000";
    let cases = [
        ("PIO of length 3", format!("03 03 40c0 00000002 {eight} {eight}"), OptionLength(3)),
        ("PIO of length 5", format!("03 05 40 c0 {PIO_TAIL} {eight}"), OptionLength(3)),
        ("RA-RX-48 /129", format!("03 04 81 c0 {PIO_TAIL}"), PrefixLength(129)),
        ("RA-RX-48 /255", format!("03 04 ff c0 {PIO_TAIL}"), PrefixLength(255)),
        ("MTU of length 2", format!("05 02 0000 000005dc {eight}"), OptionLength(5)),
        ("RA-RX-59 reserved Prf", format!("18 02 30 10 00000258 {eight}"), ReservedValue(24)),
        ("RA-RX-60 /1 in length 1", "18 01 01 00 00000258".into(), PrefixLength(1)),
        ("RA-RX-60 /65 in length 2", format!("18 02 41 00 00000258 {eight}"), PrefixLength(65)),
        ("RA-RX-60 /96 in length 2", format!("18 02 60 00 00000258 {eight}"), PrefixLength(96)),
        (
            "RA-RX-60 /129 in length 3",
            format!("18 03 81 00 00000258 {eight}{eight}"),
            PrefixLength(129),
        ),
        (
            "RA-RX-60 length 4",
            format!("18 04 00 00 00000258 {eight}{eight}{eight}"),
            OptionLength(24),
        ),
        ("RA-RX-63 RDNSS of length 1", "19 01 0000 00000258".into(), OptionLength(25)),
        ("RA-RX-63 of length 2", format!("19 02 0000 00000258 {eight}"), OptionLength(25)),
        (
            "RA-RX-63 of length 4",
            format!("19 04 0000 00000258 {eight}{eight}{eight}"),
            OptionLength(25),
        ),
        ("RA-RX-64 DNSSL of length 1", "1f 01 0000 00000258".into(), OptionLength(31)),
        ("RA-RX-64 no name", format!("1f 02 0000 00000258 {eight}"), DomainName),
        ("RA-RX-64 pointer", "1f 02 0000 00000258 c000 000000000000".into(), DomainName),
        ("RA-RX-64 forward pointer", "1f 02 0000 00000258 0161c008 01620000".into(), DomainName),
        ("RA-RX-64 not terminated", "1f 02 0000 00000258 07 61626364656667".into(), DomainName),
        ("RA-RX-65 length 1", "26 01 0008 20010db8".into(), OptionLength(38)),
        ("RA-RX-65 length 3", format!("26 03 0008 20010db8 {eight}{eight}"), OptionLength(38)),
        ("RA-RX-66 no URI", "25 01 000000000000".into(), Text),
        ("SEC-14 URI with a line feed", "25 01 610a62000000".into(), Text),
        ("SEC-14 URI with an inner zero", "25 01 610062000000".into(), Text),
        ("SEC-14 URI that is not ASCII", "25 01 c3a400000000".into(), Text),
    ];
    for (name, octets, error) in cases {
        let kind = hex(&octets)[0];
        assert_eq!(decode(&octets), malformed(kind, error), "{name}");
    }
}

/// RA-RX-49, RA-TX-38: neither read nor written, so that equal prefixes are equal.
#[test]
fn bits_beyond_the_prefix_length_do_not_count() {
    let head = "03 04 40 c0 00000002 00000001 00000000";
    assert_eq!(
        decode(&format!("{head} 20010db8 00000000 00000000 000000ff")),
        pio("2001:db8::/64", true, true, false)
    );
    assert_eq!(
        encode(&pio("2001:db8::1/64", true, true, false)),
        hex(&format!("{head} 20010db8 00000000 00000000 00000000"))
    );
    assert_eq!(
        decode("18 02 30 00 00000258 20010db8000100ff"),
        rio("2001:db8:1::/48", Preference::Medium)
    );
    assert_eq!(
        encode(&rio("2001:db8:1:ff::/48", Preference::Medium)),
        hex("18 02 30 00 00000258 20010db800010000")
    );
    assert_eq!(decode("26 02 000d 20010db8 00000000 000000ff"), pref64("2001:db8::/32", 8));
    assert_eq!(
        encode(&pref64("2001:db8::ff:0:0/32", 8)),
        hex("26 02 000d 20010db8 00000000 00000000")
    );
}

/// RA-RX-60: longer than needed is allowed on reading.
#[test]
fn a_route_in_a_longer_option_is_read() {
    for octets in [
        "18 02 00 00 00000258 0000000000000000",
        "18 03 00 00 00000258 00000000000000000000000000000000",
    ] {
        assert_eq!(decode(octets), rio("::/0", Preference::Medium));
    }
}

/// RA-RX-58, RA-RX-08.
#[test]
fn reserved_fields_and_unknown_flags_change_nothing() {
    assert_eq!(
        decode("03 04 40 ef 00000002 00000001 ffffffff 20010db8000000000000000000000000"),
        pio("2001:db8::/64", true, true, false)
    );
    assert_eq!(decode("05 01 ffff 000005dc"), NdpOption::Mtu(1500));
    assert_eq!(decode("18 01 00 e7 00000258"), rio("::/0", Preference::Medium));
    assert_eq!(
        decode("1f 02 ffff 00000001 01 61 00 0000000000"),
        NdpOption::Dnssl { lifetime: Lifetime::Finite(1), names: vec!["a".into()] }
    );
}

/// That preferred exceeds valid, or that an MTU is absurd, is for the receiver to judge.
#[test]
fn values_are_not_judged() {
    let octets = "03 04 40 c0 00000000 ffffffff 00000000 fe800000000000000000000000000000";
    let NdpOption::Prefix(prefix) = decode(octets) else { panic!("no prefix") };
    assert_eq!((prefix.valid, prefix.preferred), (Lifetime::ZERO, Lifetime::Infinite));
    assert_eq!(decode("05 01 0000 00000000"), NdpOption::Mtu(0));
}

#[test]
fn values_without_a_form_on_the_wire_are_left_out() {
    let lifetime = Lifetime::ZERO;
    let servers = |count| NdpOption::Rdnss { lifetime, servers: vec![Ipv6Addr::LOCALHOST; count] };
    let names = |names: &[&str]| NdpOption::Dnssl {
        lifetime,
        names: names.iter().map(ToString::to_string).collect(),
    };
    for option in [
        malformed(3, DecodeError::OptionLength(3)),
        servers(0),
        servers(128),
        names(&[]),
        names(&["home.arpa", "a b"]),
        NdpOption::Unknown { kind: 253, body: vec![0; 2039] },
    ] {
        assert_eq!(encode(&option), [0_u8; 0], "{option:?}");
    }
    assert_eq!(encode(&servers(127)).len(), 2040);
    assert_eq!(encode(&NdpOption::Unknown { kind: 253, body: vec![0; 2038] }).len(), 2040);
}

#[test]
fn link_layer_addresses_keep_their_padding() {
    let option = decode("01 02 0123456789abcdef 000000000000");
    assert_eq!(option, NdpOption::SourceLinkLayer(hex("0123456789abcdef 000000000000")));
}
