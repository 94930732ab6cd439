use proptest::prelude::*;

use super::*;

fn option(code: u16, body: &[u8]) -> Dhcpv6Option {
    Dhcpv6Option::Unknown { code, body: body.to_vec() }
}

/// Octets in hex; spaces and bars part them for the eye.
fn octets(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(octet).collect()
}

fn passed(code: u16, body: &[u8]) -> Vec<Vec<u8>> {
    let selected = ServiceOption::select(&[option(code, body)]);
    selected.iter().map(|option| option.body.to_vec()).collect()
}

const ONE: &str = "20010db8000000000000000000000001";
const TWO: &str = "20010db8000000000000000000000002";
const LINK_LOCAL: &str = "fe800000000000000000000000000001";
const GROUP: &str = "ff050000000000000000000000000101";
const LINK_GROUP: &str = "ff020000000000000000000000000101";
/// example.org
const NAME: &str = "07 6578616d706c65 03 6f7267 00";
const RULE: &str = "0059 0015 | 00 10 18 c6336400 28 20010db800 005d 0004 06 08 1200";
const BORDER_RELAY: &str = "005a 0010 20010db8000000000000000000000001";
const DEFAULT_RULE: &str = "005b 0009 | 40 20010db800000000";
const BINDING: &str = "005c 000b | c6336401 30 20010db80000";

/// LAN-01: what its definition allows goes through as it came.
#[test]
fn well_formed_options_are_passed_on() {
    let cases = [
        (SNTP, format!("{ONE}{TWO}")),
        (NTP, format!("0001 0010 {ONE}")),
        (NTP, format!("0002 0010 {GROUP}")),
        (NTP, format!("0003 000d {NAME}")),
        (SIP_NAMES, format!("{NAME} 03 6c616e 00")),
        (SIP_ADDRESSES, ONE.to_owned()),
        (AFTR_NAME, NAME.to_owned()),
        (S46_MAP_E, format!("{RULE} {BORDER_RELAY}")),
        (S46_MAP_T, format!("{RULE} {DEFAULT_RULE}")),
        (S46_LIGHTWEIGHT, format!("{BINDING} {BORDER_RELAY}")),
        (S46_LIGHTWEIGHT, BORDER_RELAY.to_owned()),
        // https://p/
        (CAPTIVE_PORTAL, "68747470733a2f2f702f".to_owned()),
        (ENCRYPTED_DNS, format!("0001 000d {NAME}")),
        (ENCRYPTED_DNS, format!("0001 000d {NAME} 0010 {ONE} 0001 0004 03646f74 0003 0002 0355")),
        // The port is mandatory, and known here.
        (ENCRYPTED_DNS, format!("0001 000d {NAME} 0010 {ONE} 0000 0002 0003 0003 0002 0355")),
    ];
    for (code, body) in cases {
        let body = octets(&body);
        assert_eq!(passed(code, &body), [body], "{code}");
    }
}

/// LAN-01: the Softwire46 options as another encoder writes them (dhcpkit,
/// tests/ipv6/extensions/test_map.py), the others by their field diagrams. Prefix lengths that are no
/// multiple of 8, and several suboptions in one option.
#[test]
fn messages_of_other_encoders_decode() {
    let port_parameters = "005d 0004 06 07 fe00";
    let rule = format!("0059 0015 01 10 18 c0000200 22 20010db800 {port_parameters}");
    let binding = format!("005c 0012 c0000204 22 20010db800 {port_parameters}");
    let cases = [
        (S46_MAP_E, format!("{rule} {BORDER_RELAY}")),
        (S46_MAP_T, format!("{rule} 005b 0006 21 20010db800")),
        (S46_LIGHTWEIGHT, format!("{binding} {BORDER_RELAY}")),
        // Priority, name, two addresses, then alpn, port and the path of DNS over HTTPS.
        (
            ENCRYPTED_DNS,
            format!(
                "0064 000d {NAME} 0020 {ONE}{TWO} 0001 0007 02 6832 03 646f74 0003 0002 21ca \
                 0007 0006 2f717b3f647d"
            ),
        ),
    ];
    for (code, body) in cases {
        let body = octets(&body);
        assert_eq!(passed(code, &body), [body], "{code}");
    }
    let several = octets(&format!("0001 0010 {ONE} 0002 0010 {GROUP} 0003 000d {NAME}"));
    assert_eq!(passed(NTP, &several).len(), 3);
    // MAP-E may come more than once, each for itself; MAP-T may not.
    let twice = |code, parts: &[String]| {
        let options: Vec<_> = parts.iter().map(|part| option(code, &octets(part))).collect();
        ServiceOption::select(&options).len()
    };
    let map_e = [format!("{rule} {BORDER_RELAY}"), format!("{RULE} {BORDER_RELAY}")];
    assert_eq!(twice(S46_MAP_E, &map_e), 2);
    let map_t = [format!("{rule} {DEFAULT_RULE}"), format!("{RULE} {DEFAULT_RULE}")];
    assert_eq!(twice(S46_MAP_T, &map_t), 1);
}

#[test]
fn options_that_are_unknown_or_for_one_link_are_left_out() {
    let cases = [
        (SNTP, format!("{LINK_LOCAL}{ONE}"), vec![ONE.to_owned()]),
        (SIP_ADDRESSES, format!("{ONE}{GROUP}"), vec![ONE.to_owned()]),
        (SNTP, LINK_LOCAL.to_owned(), vec![]),
        (NTP, format!("0002 0010 {LINK_GROUP}"), vec![]),
        (NTP, format!("0001 0010 {LINK_LOCAL}"), vec![]),
        (
            NTP,
            format!("0001 0010 {ONE} 0009 0001 00 0003 000d {NAME}"),
            vec![format!("0001 0010 {ONE}"), format!("0003 000d {NAME}")],
        ),
        (
            S46_MAP_E,
            format!("0001 0002 0000 {RULE} {BORDER_RELAY}"),
            vec![format!("{RULE} {BORDER_RELAY}")],
        ),
        (
            ENCRYPTED_DNS,
            format!("0001 000d {NAME} 0020 {LINK_LOCAL}{ONE} 0001 0004 03646f74 0006 0010 {ONE}"),
            vec![format!("0001 000d {NAME} 0010 {ONE} 0001 0004 03646f74")],
        ),
        (
            CAPTIVE_PORTAL,
            "68747470733a2f2f702f00".to_owned(),
            vec!["68747470733a2f2f702f".to_owned()],
        ),
        (57, ONE.to_owned(), vec![]),
    ];
    for (code, body, expected) in cases {
        let expected: Vec<Vec<u8>> = expected.iter().map(|body| octets(body)).collect();
        assert_eq!(passed(code, &octets(&body)), expected, "{code} {body}");
    }
}

#[test]
fn malformed_parts_are_left_out() {
    let cases = [
        (SNTP, String::new()),
        (SNTP, format!("{ONE}00")),
        (NTP, format!("0001 0010 {ONE} 0001 0010 20")),
        (NTP, "0001 0004 20010db8".to_owned()),
        (NTP, "0003 0002 c000".to_owned()),
        (SIP_NAMES, "07 6578".to_owned()),
        (AFTR_NAME, format!("{NAME} {NAME}")),
        (AFTR_NAME, "00".to_owned()),
        (S46_MAP_E, BORDER_RELAY.to_owned()),
        (S46_MAP_E, RULE.to_owned()),
        (S46_MAP_T, format!("{RULE} {DEFAULT_RULE} {DEFAULT_RULE}")),
        (S46_MAP_E, format!("0059 0008 00 31 18 c6336400 00 {BORDER_RELAY}")),
        (S46_MAP_E, format!("0059 0008 00 10 18 c6336400 81 {BORDER_RELAY}")),
        (S46_LIGHTWEIGHT, format!("{BINDING} {BINDING} {BORDER_RELAY}")),
        (S46_LIGHTWEIGHT, BINDING.to_owned()),
        (
            S46_MAP_E,
            format!(
                "0059 0015 00 10 18 c6336400 28 20010db800 005d 0004 0a 07 1200 {BORDER_RELAY}"
            ),
        ),
        (CAPTIVE_PORTAL, "70".to_owned()),
        (CAPTIVE_PORTAL, "68747470733a2f2f0a".to_owned()),
        (ENCRYPTED_DNS, "0001".to_owned()),
        (ENCRYPTED_DNS, "0001 0001 00".to_owned()),
        (ENCRYPTED_DNS, format!("0001 000d {NAME} 0000")),
        (ENCRYPTED_DNS, format!("0001 000d {NAME} 0010 {ONE} 0001 0004 09646f74")),
        (ENCRYPTED_DNS, format!("0001 000d {NAME} 0010 {ONE} 0003 0002 0355 0001 0004 03646f74")),
        (ENCRYPTED_DNS, format!("0001 000d {NAME} 0010 {ONE} 0000 0002 0005 0005 0001 00")),
        // A list of mandatory parameters that names none, and one that ends within a number.
        (ENCRYPTED_DNS, format!("0001 000d {NAME} 0010 {ONE} 0000 0000 0003 0002 0355")),
        (ENCRYPTED_DNS, format!("0001 000d {NAME} 0010 {ONE} 0000 0003 000300 0003 0002 0355")),
    ];
    for (code, body) in cases {
        assert_eq!(passed(code, &octets(&body)), Vec::<Vec<u8>>::new(), "{code} {body}");
    }
}

#[test]
fn there_are_bounds_and_what_is_important_comes_first() {
    let name = octets(NAME);
    let portal = [b"https://".to_vec(), vec![b'a'; 3000]].concat();
    let mut options = vec![option(SIP_NAMES, &name), option(CAPTIVE_PORTAL, &portal)];
    let source = |number: u8| {
        let mut body = octets(&format!("0001 0010 {ONE}"));
        *body.last_mut().unwrap() = number;
        option(NTP, &body)
    };
    options.extend((1..=200).map(source));
    options.extend([option(AFTR_NAME, &name), option(AFTR_NAME, &octets("03 6c616e 00"))]);
    let selected = ServiceOption::select(&options);
    assert_eq!(selected.len(), MAX_OPTIONS);
    assert!(selected.iter().all(|option| option.code() == NTP));
    options.retain(|option| body_of(NTP, option).is_none());
    let codes: Vec<u16> = ServiceOption::select(&options).iter().map(ServiceOption::code).collect();
    assert_eq!(codes, [AFTR_NAME, SIP_NAMES], "the long one has no room, the second AFTR no say");
}

fn hostile() -> impl Strategy<Value = Vec<(usize, Vec<u8>)>> {
    let part = prop_oneof![
        Just(octets(ONE)),
        Just(octets(LINK_LOCAL)),
        Just(octets(NAME)),
        Just(octets(RULE)),
        Just(octets(BORDER_RELAY)),
        Just(octets(DEFAULT_RULE)),
        Just(octets(BINDING)),
        Just(octets("0001 0010")),
        Just(octets("0003 000d")),
        Just(octets("0001 000d")),
        Just(octets("0010")),
        Just(octets("0001 0004 03646f74")),
        prop::collection::vec(any::<u8>(), 0..6),
    ];
    let body = prop::collection::vec(part, 0..8).prop_map(|parts| parts.concat());
    prop::collection::vec((0..ServiceOption::CODES.len(), body), 0..40)
}

proptest! {
    /// LAN-01: whatever a server sends, hosts get what this module would accept as it is, and no
    /// more than the bounds.
    #[test]
    fn options_are_passed_on_only_if_they_decode(options in hostile()) {
        let options: Vec<Dhcpv6Option> = options
            .iter()
            .map(|(code, body)| option(ServiceOption::CODES[*code], body))
            .collect();
        let selected = ServiceOption::select(&options);
        let sum: usize = selected.iter().map(|option| option.body.len() + HEADER).sum();
        prop_assert!(sum <= MAX_OCTETS && selected.len() <= MAX_OPTIONS);
        let again: Vec<Dhcpv6Option> = selected.iter().map(Dhcpv6Option::from).collect();
        prop_assert_eq!(ServiceOption::select(&again), selected);
    }
}
