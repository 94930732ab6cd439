use crate::wire::dhcpv6::{Message, MessageType, TransactionId};
use crate::wire::testing::{hex, net};

use super::*;

const HEADER: &str = "07 000000 ";

fn decode_all(text: &str) -> Result<Vec<Dhcpv6Option>, DecodeError> {
    Message::decode(&hex(&format!("{HEADER}{text}"))).map(|message| message.options)
}

/// Decodes what must be a single option.
fn decode(text: &str) -> Dhcpv6Option {
    let [option] = <[Dhcpv6Option; 1]>::try_from(decode_all(text).unwrap()).unwrap();
    option
}

fn encode(option: Dhcpv6Option) -> Vec<u8> {
    let kind = MessageType::Reply;
    Message { kind, transaction_id: TransactionId([0; 3]), options: vec![option] }
        .encode()
        .split_off(4)
}

/// An option from its code and body.
fn option(code: u16, body: &str) -> String {
    format!("{code:04x}{:04x}{body} ", hex(body).len())
}

/// An IA_PD with IAID 1, T1 2 and T2 3.
fn ia_pd(options: &str) -> String {
    option(25, &format!("00000001 00000002 00000003 {options}"))
}

/// An IA_NA with IAID 1, T1 2 and T2 3.
fn ia_na(options: &str) -> String {
    option(3, &format!("00000001 00000002 00000003 {options}"))
}

/// An IAPREFIX for 2001:db8:1::, preferred 4 and valid 5.
fn ia_prefix(prefix_len: u8, options: &str) -> String {
    let prefix = "20010db8 00010000 00000000 00000000";
    option(26, &format!("00000004 00000005 {prefix_len:02x} {prefix} {options}"))
}

/// An IAADDR for 2001:db8::1, preferred 4 and valid 5.
fn ia_address(options: &str) -> String {
    option(5, &format!("20010db8 00000000 00000000 00000001 00000004 00000005 {options}"))
}

fn prefixes(text: &str) -> Vec<IaPrefix> {
    let Dhcpv6Option::IaPd(ia) = decode(text) else { panic!("no IA_PD") };
    ia.prefixes
}

/// RFC 9915 §11: who sent a message, and to whom, is not in doubt.
#[test]
fn a_malformed_identifier_costs_the_message() {
    for (name, octets) in [
        ("DUID of 2 octets", option(1, "0003")),
        ("DUID of none", option(2, "")),
        ("DUID of 131 octets", option(2, &"00".repeat(131))),
    ] {
        let between = format!("{}{octets}", option(7, "00"));
        assert_eq!(decode_all(&between), Err(DecodeError::DuidLength), "{name}");
    }
}

/// RFC 9915 §21; SEC-07, PDC-92: a known option that is malformed, at any depth, costs itself, with
/// all that is inside it, and nothing beside it.
#[test]
fn a_malformed_option_costs_itself_alone() {
    use DecodeError::{DomainName, OptionLength, PrefixLength, Trailing, Truncated};
    let cases = [
        ("IA_NA of 11 octets", option(3, &"00".repeat(11)), OptionLength(3)),
        ("IAADDR of 23 octets", ia_na(&option(5, &"00".repeat(23))), OptionLength(5)),
        ("IAADDR option cut", ia_na(&ia_address("000d 0002 00")), Truncated),
        ("IAADDR status of 1 octet", ia_na(&ia_address("000d 0001 00")), OptionLength(13)),
        ("IA_NA status of 1 octet", ia_na("000d 0001 00"), OptionLength(13)),
        ("ORO of 3 octets", option(6, "001700"), OptionLength(6)),
        ("preference of none", option(7, ""), OptionLength(7)),
        ("preference of 2 octets", option(7, "0000"), OptionLength(7)),
        ("elapsed time of 1 octet", option(8, "00"), OptionLength(8)),
        ("elapsed time of 3 octets", option(8, "000000"), OptionLength(8)),
        ("authentication of 10 octets", option(11, &"00".repeat(10)), OptionLength(11)),
        ("status of none", option(13, ""), OptionLength(13)),
        ("status of 1 octet", option(13, "00"), OptionLength(13)),
        ("rapid commit of 4 octets", option(14, "00020000"), OptionLength(14)),
        ("reconfigure message of none", option(19, ""), OptionLength(19)),
        ("reconfigure message of 2 octets", option(19, "0505"), OptionLength(19)),
        ("reconfigure accept of 1 octet", option(20, "00"), OptionLength(20)),
        ("DNS servers of 15 octets", option(23, &"00".repeat(15)), OptionLength(23)),
        ("DNS servers of 17 octets", option(23, &"00".repeat(17)), OptionLength(23)),
        ("search list with a pointer", option(24, "016100c000"), DomainName),
        ("search list not terminated", option(24, "0161"), DomainName),
        ("IA_PD of 11 octets", option(25, &"00".repeat(11)), OptionLength(25)),
        ("IA_PD option cut", ia_pd("001a 0019 00"), Truncated),
        ("IAPREFIX of 24 octets", ia_pd(&option(26, &"00".repeat(24))), OptionLength(26)),
        ("IAPREFIX /129", ia_pd(&ia_prefix(129, "")), PrefixLength(129)),
        ("IAPREFIX /255", ia_pd(&ia_prefix(255, "")), PrefixLength(255)),
        ("IAPREFIX option cut", ia_pd(&ia_prefix(56, "000d 0002")), Truncated),
        ("IAPREFIX status", ia_pd(&ia_prefix(56, "000d 0000")), OptionLength(13)),
        ("second status of an IA_PD", ia_pd("000d 0002 0000 000d 0001 00"), OptionLength(13)),
        ("refresh time of 3 octets", option(32, "000000"), OptionLength(32)),
        ("SOL_MAX_RT of 8 octets", option(82, &"00".repeat(8)), OptionLength(82)),
        ("INF_MAX_RT of 2 octets", option(83, "0000"), OptionLength(83)),
    ];
    let good = Dhcpv6Option::Preference(0);
    for (name, octets, error) in cases {
        let between = format!("{}{octets}{}", option(7, "00"), option(7, "00"));
        let code = Some(u16::from_str_radix(&octets[..4], 16).unwrap());
        let malformed = Dhcpv6Option::Malformed { code, error };
        let expected = vec![good.clone(), malformed, good.clone()];
        assert_eq!(decode_all(&between), Ok(expected), "{name}");
    }
    for (name, octets, code, error) in [
        ("option past the end", "03e7 0002 00", Some(999), Truncated),
        ("length of 1 octet", "03e7 00", None, Trailing),
        ("a zero octet", "00", None, Trailing),
        ("three zero octets", "000000", None, Trailing),
    ] {
        let behind = format!("{}{octets}", option(7, "00"));
        let expected = vec![good.clone(), Dhcpv6Option::Malformed { code, error }];
        assert_eq!(decode_all(&behind), Ok(expected), "{name}");
    }
}

/// PDC-92: octets behind the last option inside of another one are none.
#[test]
fn octets_behind_the_last_option_are_skipped_at_any_depth() {
    for junk in ["00", "0000", "03e700"] {
        let lease = ia_prefix(56, junk);
        assert_eq!(
            prefixes(&ia_pd(&format!("{lease}{junk}"))),
            prefixes(&ia_pd(&ia_prefix(56, "")))
        );
        let Dhcpv6Option::IaNa(ia) = decode(&ia_na(&format!("{}{junk}", ia_address(junk)))) else {
            panic!("no IA_NA")
        };
        assert_eq!(ia.addresses.len(), 1);
    }
}

/// PDC-01: 1 to 128 octets behind the type, of any type.
#[test]
fn duids_are_opaque() {
    for length in [3, 4, 129, 130] {
        let octets = [&[0, 9][..], &vec![0xee; length - 2]].concat();
        let duid = Duid::new(&octets).unwrap();
        assert_eq!(duid.to_string().parse(), Ok(duid.clone()));
        let option = Dhcpv6Option::ServerId(duid);
        let encoded = encode(option.clone());
        assert_eq!(encoded[4..], octets);
        assert_eq!(
            Message::decode(&[&[7, 0, 0, 0][..], &encoded].concat()).unwrap().options,
            [option]
        );
    }
}

/// Those that are kept in place, those that are not, and those that differ in length alone.
#[test]
fn duids_are_equal_and_in_order_as_their_octets_are() {
    let octets =
        [&[0, 1, 2][..], &[0, 1, 2, 0], &[0, 1, 3], &[0; 22], &[0; 23], &[9; 22], &[9; 23]];
    for one in octets {
        for other in octets {
            let (a, b) = (Duid::new(one).unwrap(), Duid::new(other).unwrap());
            assert_eq!(a.cmp(&b), one.cmp(other), "{a} {b}");
            assert_eq!(a == b, one == other, "{a} {b}");
            assert_eq!(a.octets(), one);
        }
    }
}

#[test]
fn text_that_is_no_duid_is_refused() {
    for (text, error) in [
        ("", DecodeError::Text),
        ("00:01", DecodeError::DuidLength),
        ("00:01:+2", DecodeError::Text),
        ("00:01:100", DecodeError::Text),
        ("00:01:0g", DecodeError::Text),
        ("00:01:02:", DecodeError::Text),
    ] {
        assert_eq!(text.parse::<Duid>(), Err(error), "{text}");
    }
}

/// RFC 9915 §21.21, §21.22: bits beyond the length do not count, a hint is `::` with a length,
/// lifetimes are not judged (PDC-62 is the receiver's).
#[test]
fn prefixes_are_read_as_they_come() {
    let lease = |prefix, preferred, valid| IaPrefix {
        prefix: net(prefix),
        preferred,
        valid,
        exclude: None,
        status: None,
    };
    let cases = [
        (
            "00000005 00000004 30 20010db8 0001ffff ffffffff ffffffff",
            lease("2001:db8:1::/48", Lifetime::Finite(5), Lifetime::Finite(4)),
        ),
        (
            "00000000 00000000 38 00000000 00000000 00000000 00000000",
            lease("::/56", Lifetime::ZERO, Lifetime::ZERO),
        ),
        (
            "ffffffff ffffffff 00 00000000 00000000 00000000 00000000",
            lease("::/0", Lifetime::Infinite, Lifetime::Infinite),
        ),
        (
            "00000000 ffffffff 80 20010db8 00000000 00000000 00000001",
            lease("2001:db8::1/128", Lifetime::ZERO, Lifetime::Infinite),
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(prefixes(&ia_pd(&option(26, body))), [expected], "{body}");
    }
}

/// RA-TX-38's rule for leases.
#[test]
fn a_prefix_is_written_with_its_bits_beyond_the_length_cleared() {
    let lease = IaPrefix {
        prefix: net("2001:db8:1::ff/56"),
        preferred: Lifetime::Finite(4),
        valid: Lifetime::Finite(5),
        exclude: None,
        status: None,
    };
    let ia = IaPd {
        iaid: Iaid(1),
        t1: Lifetime::Finite(2),
        t2: Lifetime::Finite(3),
        prefixes: vec![lease],
        status: None,
    };
    assert_eq!(encode(Dhcpv6Option::IaPd(ia)), hex(&ia_pd(&ia_prefix(56, ""))));
}

/// SEC-07, PDC-14: what does not belong in an association is skipped, what does is used, and of
/// two statuses the first counts (PDC-15).
#[test]
fn options_in_an_association_that_mean_nothing_there_are_skipped() {
    let nested = ia_pd(&ia_prefix(255, ""));
    let expected = prefixes(&ia_pd(&ia_prefix(56, "")));
    for other in [&nested, &ia_address(""), "03e7 0001 00", "0001 0000"] {
        let inside = format!("{other}{}{other}", ia_prefix(56, other));
        assert_eq!(prefixes(&ia_pd(&inside)), expected, "{other}");
    }
    let Dhcpv6Option::IaPd(ia) = decode(&ia_pd("000d 0002 0003 000d 0002 0000")) else { panic!() };
    assert_eq!(ia.status.unwrap().code, StatusCode::NoBinding);
    let Dhcpv6Option::IaNa(ia) = decode(&ia_na(&format!("{nested}{}", ia_address(&nested)))) else {
        panic!("no IA_NA")
    };
    assert_eq!(ia.addresses.len(), 1);
}

/// A lease outside of an association is no lease.
#[test]
fn a_lease_at_the_top_is_unknown() {
    for (code, octets) in [(26, ia_prefix(255, "")), (5, ia_address("")), (67, option(67, "ff"))] {
        let body = hex(&octets).split_off(4);
        assert_eq!(decode(&octets), Dhcpv6Option::Unknown { code, body });
    }
}

/// RFC 6603 §4.2: the delegated prefix is 2001:db8:1::.
#[test]
fn an_excluded_prefix_is_read_and_written() {
    let cases = [
        // delegated length, body, excluded
        (56, "40 ff", "2001:db8:1:ff::/64"),
        (56, "40 00", "2001:db8:1::/64"),
        (56, "39 80", "2001:db8:1:80::/57"),
        (48, "40 0123", "2001:db8:1:123::/64"),
        (48, "3c 0120", "2001:db8:1:120::/60"),
        (60, "40 f0", "2001:db8:1:f::/64"),
        (61, "40 e0", "2001:db8:1:7::/64"),
        (62, "48 4140", "2001:db8:1:1:500::/72"), // 01 00000101
        (127, "80 80", "2001:db8:1::1/128"),
    ];
    for (delegated, body, excluded) in cases {
        let octets = ia_pd(&ia_prefix(delegated, &option(67, body)));
        assert_eq!(prefixes(&octets)[0].exclude, Some(net(excluded)), "/{delegated} {body}");
        assert_eq!(encode(decode(&octets)), hex(&octets), "/{delegated} {body}");
    }
}

#[test]
fn an_excluded_prefix_of_a_default_route_takes_seventeen_octets() {
    let body = format!("80 {}", "20010db8000000000000000000000001");
    let lease = format!("00000004 00000005 00 {} {}", "00".repeat(16), option(67, &body));
    let octets = ia_pd(&option(26, &lease));
    assert_eq!(prefixes(&octets)[0].exclude, Some(net("2001:db8::1/128")));
    assert_eq!(encode(decode(&octets)), hex(&octets));
}

/// RFC 6603 §4.2: unused bits are padding.
#[test]
fn bits_behind_the_excluded_prefix_do_not_count() {
    let octets = ia_pd(&ia_prefix(60, &option(67, "40 3f")));
    assert_eq!(prefixes(&octets)[0].exclude, Some(net("2001:db8:1:3::/64")));
}

#[test]
fn an_excluded_prefix_that_does_not_fit_reads_as_none() {
    for (delegated, body, why) in [
        (56, "", "no octet"),
        (56, "40", "no subnet id"),
        (56, "40 ff00", "an octet too many"),
        (48, "40 ff", "an octet too few"),
        (56, "38 00", "not longer than the delegated prefix"),
        (56, "38", "not longer, without subnet id"),
        (56, "30 00", "shorter than the delegated prefix"),
        (56, "81 00000000000000000000", "over 128"),
        (56, "ff 00", "far over 128"),
        (128, "80 00", "nothing to exclude from"),
    ] {
        let octets = ia_pd(&ia_prefix(delegated, &option(67, body)));
        assert_eq!(prefixes(&octets)[0].exclude, None, "{why}");
    }
    let options = [option(67, "40"), option(67, "40 01"), option(67, "40 02")].concat();
    let octets = ia_pd(&ia_prefix(56, &options));
    assert_eq!(prefixes(&octets)[0].exclude, Some(net("2001:db8:1:1::/64")), "the first that fits");
}

#[test]
fn an_excluded_prefix_that_does_not_fit_is_not_written() {
    let lease = |exclude| IaPrefix {
        prefix: net("2001:db8:1::/56"),
        preferred: Lifetime::Finite(4),
        valid: Lifetime::Finite(5),
        exclude: Some(net(exclude)),
        status: None,
    };
    for exclude in ["2001:db8:2::/64", "2001:db8:1::/56", "2001:db8::/32"] {
        let ia = IaPd {
            iaid: Iaid(1),
            t1: Lifetime::Finite(2),
            t2: Lifetime::Finite(3),
            prefixes: vec![lease(exclude)],
            status: None,
        };
        let octets = encode(Dhcpv6Option::IaPd(ia));
        assert_eq!(octets, hex(&ia_pd(&ia_prefix(56, ""))), "{exclude}");
    }
}

/// RFC 9915 §21.13.
#[test]
fn status_codes_have_their_numbers() {
    use StatusCode::{
        NoAddrsAvail, NoBinding, NoPrefixAvail, NotOnLink, Other, Success, UnspecFail,
    };
    let known = [
        Success,
        UnspecFail,
        NoAddrsAvail,
        NoBinding,
        NotOnLink,
        Other(5),
        NoPrefixAvail,
        Other(7),
    ];
    for (number, code) in (0..).zip(known) {
        assert_eq!(StatusCode::from_wire(number), code);
        assert_eq!(code.to_wire(), number);
    }
}

/// SEC-14: the text is fit for a log, and a bad text never loses the code.
#[test]
fn status_text_is_cleaned() {
    for (body, text) in [
        ("0006", ""),
        ("0006 66756c6c", "full"),
        ("0006 66756c6c00", "full"),
        ("0006 610a62 1b 5b 306d", "a b [0m"),
        ("0006 61ff62", "a\u{fffd}b"),
        ("0006 c3a4", "ä"),
        ("0006 61 e280ae 62 c285", "a b"),
    ] {
        let expected = Status { code: StatusCode::NoPrefixAvail, text: text.into() };
        assert_eq!(decode(&option(13, body)), Dhcpv6Option::Status(expected), "{body}");
    }
}

/// SEC-13.
#[test]
fn the_debug_form_hides_keys() {
    let option =
        decode(&option(11, "03 01 00 0000000000000000 01 abababababababababababababababab"));
    let text = format!("{option:?}");
    assert!(text.contains("17 octets") && !text.contains("171"), "{text}");
}

#[test]
fn lists_may_be_empty() {
    assert_eq!(decode("0006 0000"), Dhcpv6Option::OptionRequest(vec![]));
    assert_eq!(decode("0017 0000"), Dhcpv6Option::DnsServers(vec![]));
    assert_eq!(decode("0018 0000"), Dhcpv6Option::DomainSearch(vec![]));
}

#[test]
fn values_without_a_form_on_the_wire_are_left_out() {
    let names = vec!["home.arpa".into(), "a b".into()];
    assert_eq!(encode(Dhcpv6Option::DomainSearch(names)), [0_u8; 0]);
    assert_eq!(encode(Dhcpv6Option::Unknown { code: 999, body: vec![0; 65_536] }), [0_u8; 0]);
    let longest = Dhcpv6Option::Unknown { code: 999, body: vec![0; 65_535] };
    assert_eq!(encode(longest).len(), 65_539);
}
