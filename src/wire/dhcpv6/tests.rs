use crate::time::Lifetime;
use crate::wire::dhcpv6_option::{IaAddress, IaPrefix, Iaid, StatusCode};
use crate::wire::testing::{hex, net};

use super::*;

/// RFC 9915 §8 and §21 with every option that is understood, and one that is not.
fn full_octets() -> Vec<u8> {
    hex("07 0a0b0c                              | Reply, transaction id
         0001 000a 0003 0001 020000000001       | client id: DUID-LL
         0002 0012 0004                         | server id: DUID-UUID
              000102030405060708090a0b0c0d0e0f
         0003 002e 00000001                     | IA_NA, IAID 1
              00000e10 00001680                 | T1 3600, T2 5760
              0005 001e                         | IAADDR: the address comes first
                   20010db8 00000000 00000000 00000001
                   00001c20 00003840            | preferred 7200, valid 14400
                   000d 0002 0004               | status of the address: NotOnLink
         0006 0004 0017 0052                    | option request
         0007 0001 ff                           | preference 255
         0008 0002 0064                         | elapsed time 1 s
         000b 001c 03 01 00                     | authentication: RKAP, HMAC-MD5, counter
              0000000000000007                  | replay detection
              02 101112131415161718191a1b1c1d1e1f
         000d 0006 0006 66756c6c                | status NoPrefixAvail, text
         000e 0000                              | rapid commit
         0013 0001 05                           | reconfigure message: Renew
         0014 0000                              | reconfigure accept
         0017 0010 fd000000 00000000 00000000 00000053
         0018 000b 04 686f6d65 04 61727061 00   | search list: home.arpa
         0019 003f 00000002                     | IA_PD, IAID 2
              00000000 ffffffff                 | T1 0, T2 infinite
              001a 0025                         | IAPREFIX: the lifetimes come first
                   00000a8c 00001518            | preferred 2700, valid 5400
                   38 20010db8 00010000 00000000 00000000
                   0043 0002 40 ff              | exclude a /64, the 8 bits ff
                   000d 0002 0000               | status of the prefix: Success
              000d 0006 0003 676f6e65           | status of the IA: NoBinding, text
         0020 0004 00015180                     | information refresh time
         0052 0004 00000e10                     | SOL_MAX_RT
         0053 0004 00001c20                     | INF_MAX_RT
         03e7 0003 010203                       | option 999")
}

fn status(code: StatusCode, text: &str) -> Status {
    Status { code, text: text.into() }
}

fn full_options() -> Vec<Dhcpv6Option> {
    vec![
        Dhcpv6Option::ClientId(Duid::new(&hex("0003 0001 020000000001")).unwrap()),
        Dhcpv6Option::ServerId(Duid::from_uuid(std::array::from_fn(|i| i.try_into().unwrap()))),
        Dhcpv6Option::IaNa(IaNa {
            iaid: Iaid(1),
            t1: Lifetime::Finite(3600),
            t2: Lifetime::Finite(5760),
            addresses: vec![IaAddress {
                address: "2001:db8::1".parse().unwrap(),
                preferred: Lifetime::Finite(7200),
                valid: Lifetime::Finite(14400),
                status: Some(status(StatusCode::NotOnLink, "")),
            }],
            status: None,
        }),
        Dhcpv6Option::OptionRequest(vec![23, 82]),
        Dhcpv6Option::Preference(255),
        Dhcpv6Option::ElapsedTime(100),
        Dhcpv6Option::Authentication(Authentication {
            protocol: 3,
            algorithm: 1,
            replay_detection: 0,
            replay: 7,
            information: hex("02 101112131415161718191a1b1c1d1e1f"),
        }),
        Dhcpv6Option::Status(status(StatusCode::NoPrefixAvail, "full")),
        Dhcpv6Option::RapidCommit,
        Dhcpv6Option::ReconfigureMessage(5),
        Dhcpv6Option::ReconfigureAccept,
        Dhcpv6Option::DnsServers(vec!["fd00::53".parse().unwrap()]),
        Dhcpv6Option::DomainSearch(vec!["home.arpa".into()]),
        Dhcpv6Option::IaPd(IaPd {
            iaid: Iaid(2),
            t1: Lifetime::ZERO,
            t2: Lifetime::Infinite,
            prefixes: vec![IaPrefix {
                prefix: net("2001:db8:1::/56"),
                preferred: Lifetime::Finite(2700),
                valid: Lifetime::Finite(5400),
                exclude: Some(net("2001:db8:1:ff::/64")),
                status: Some(status(StatusCode::Success, "")),
            }],
            status: Some(status(StatusCode::NoBinding, "gone")),
        }),
        Dhcpv6Option::InformationRefreshTime(86_400),
        Dhcpv6Option::SolMaxRt(3600),
        Dhcpv6Option::InfMaxRt(7200),
        Dhcpv6Option::Unknown { code: 999, body: vec![1, 2, 3] },
    ]
}

fn full() -> Message {
    Message {
        kind: MessageType::Reply,
        transaction_id: TransactionId([10, 11, 12]),
        options: full_options(),
    }
}

fn decode(text: &str) -> Result<Message, DecodeError> {
    Message::decode(&hex(text))
}

#[test]
fn a_message_is_read_and_written() {
    assert_eq!(Message::decode(&full_octets()), Ok(full()));
    assert_eq!(full().encode(), full_octets());
}

/// RFC 9915 §7.3; PDC-14: other types are discarded, relay messages among them.
#[test]
fn message_types_have_their_numbers() {
    let known: Vec<u8> = (0..=u8::MAX).filter(|o| MessageType::from_wire(*o).is_some()).collect();
    assert_eq!(known, (1..=11).collect::<Vec<u8>>());
    for octet in known {
        assert_eq!(MessageType::from_wire(octet).unwrap().to_wire(), octet);
    }
    assert_eq!(MessageType::from_wire(7), Some(MessageType::Reply));
    assert_eq!(MessageType::from_wire(10), Some(MessageType::Reconfigure));
    for octet in [0, 12, 13, 255] {
        assert_eq!(Message::decode(&[octet, 0, 0, 0]), Err(DecodeError::Type(octet)));
    }
}

/// SEC-07: of a message that is cut the whole top-level options count; what is cut is no option,
/// and never an empty IA_PD.
#[test]
fn of_a_truncated_message_the_whole_options_count() {
    let octets = full_octets();
    let mut starts = vec![4];
    for option in full_options() {
        let mut octets = Vec::new();
        option.encode(&mut octets);
        starts.push(starts.last().unwrap() + octets.len());
    }
    assert_eq!(starts.last(), Some(&octets.len()));
    for end in 0..=octets.len() {
        let decoded = Message::decode(&octets[..end]);
        let Some(whole) = starts.iter().rposition(|start| *start <= end) else {
            assert_eq!(decoded, Err(DecodeError::Truncated), "{end} octets");
            continue;
        };
        let mut expected = full_options()[..whole].to_vec();
        expected.extend(match end - starts[whole] {
            0 => None,
            1..4 => Some(Dhcpv6Option::Malformed { code: None, error: DecodeError::Trailing }),
            _ => {
                let code = u16::from_be_bytes([octets[starts[whole]], octets[starts[whole] + 1]]);
                Some(Dhcpv6Option::Malformed { code: Some(code), error: DecodeError::Truncated })
            }
        });
        assert_eq!(decoded.unwrap().options, expected, "{end} octets");
    }
}

/// A status that cannot be read is no success.
#[test]
fn a_malformed_status_is_a_failure() {
    let cases = [
        ("absent", "", StatusCode::Success),
        ("success", "000d 0002 0000", StatusCode::Success),
        ("one octet", "000d 0001 00", StatusCode::UnspecFail),
        ("cut", "000d 0002 00", StatusCode::UnspecFail),
        ("the first that can be read counts", "000d 0001 00 000d 0002 0003", StatusCode::NoBinding),
        ("octets behind", "000d 0002 0000 00", StatusCode::Success),
        ("octets alone", "00", StatusCode::Success),
    ];
    for (name, options, code) in cases {
        let message = decode(&format!("07 000000 {options}")).unwrap();
        assert_eq!(message.status_code(), code, "{name}");
    }
}

/// PDC-07, PDC-14: unknown options, and the obsolete 4 and 12, are kept and cost nothing.
#[test]
fn unknown_options_are_kept() {
    for (code, text) in [(4, "0004"), (12, "000c"), (15, "000f"), (67, "0043"), (999, "03e7")] {
        let message = decode(&format!("07 000000 {text} 0001 2a 0007 0001 05")).unwrap();
        assert_eq!(message.options[0], Dhcpv6Option::Unknown { code, body: vec![42] });
        assert_eq!(message.preference(), Some(5), "option {code}");
    }
    let empty = decode("07 000000 03e7 0000").unwrap();
    assert_eq!(empty.options, [Dhcpv6Option::Unknown { code: 999, body: vec![] }]);
}

/// PDC-15: duplicates stay in their order, and the accessors give the first.
#[test]
fn of_a_repeated_singleton_the_first_counts() {
    let message = decode(
        "07 000000
         0007 0001 01   0007 0001 02
         000d 0002 0003 000d 0002 0000
         0001 0003 000901 0001 0003 000902",
    )
    .unwrap();
    assert_eq!(message.options.len(), 6);
    assert_eq!(message.preference(), Some(1));
    assert_eq!(message.status().unwrap().code, StatusCode::NoBinding);
    assert_eq!(message.client_id().unwrap().octets(), [0, 9, 1]);
}

#[test]
fn accessors_find_their_options() {
    let full = full();
    assert_eq!(full.client_id().unwrap().to_string(), "00:03:00:01:02:00:00:00:00:01");
    assert_eq!(full.server_id().unwrap().octets().len(), 18);
    assert_eq!(full.ia_nas().map(|ia| ia.iaid).collect::<Vec<_>>(), [Iaid(1)]);
    assert_eq!(full.ia_pds().map(|ia| ia.iaid).collect::<Vec<_>>(), [Iaid(2)]);
    assert_eq!(full.option_request(), Some(&[23, 82][..]));
    assert_eq!(full.preference(), Some(255));
    assert_eq!(full.elapsed_time(), Some(100));
    assert_eq!(full.authentication().unwrap().replay, 7);
    assert_eq!(full.status(), Some(&status(StatusCode::NoPrefixAvail, "full")));
    assert!(full.has_rapid_commit());
    assert_eq!(full.reconfigure_message(), Some(MessageType::Renew));
    assert!(full.has_reconfigure_accept());
    assert_eq!(full.dns_servers().unwrap().len(), 1);
    assert_eq!(full.domain_search().unwrap(), ["home.arpa"]);
    assert_eq!(full.information_refresh_time(), Some(86_400));
    assert_eq!((full.sol_max_rt(), full.inf_max_rt()), (Some(3600), Some(7200)));

    let empty = Message { options: Vec::new(), ..full };
    assert_eq!((empty.status(), empty.preference()), (None, None));
    assert!(!empty.has_rapid_commit() && !empty.has_reconfigure_accept());
}

/// RFC 9915 §20.4.1: a Reconfigure with its digest.
const RECONFIGURE: &str = "0a 000000                  | Reconfigure
     0013 0001 05                                    | of a Renew
     000b 001c 03 01 00 0000000000000001 02          | RKAP digest
          101112131415161718191a1b1c1d1e1f
     0002 0003 000901                                | server id behind it";

#[test]
fn the_digest_is_found() {
    let octets = hex(RECONFIGURE);
    let range = digest_range(&octets).unwrap();
    assert_eq!(range, 25..41);
    assert_eq!(octets[range], hex("101112131415161718191a1b1c1d1e1f"));
    let digest = Message::decode(&octets).unwrap().authentication().unwrap().reconfigure_digest();
    assert_eq!(digest.unwrap()[..], octets[25..41]);
}

#[test]
fn there_is_no_digest_in_anything_else() {
    let digest = "0000000000000001 02 101112131415161718191a1b1c1d1e1f";
    let good = format!("000b 001c 03 01 00 {digest}");
    let cases = [
        ("nothing", String::new()),
        ("header only", "0a 000000".into()),
        ("another protocol", format!("0a 000000 000b 001c 02 01 00 {digest}")),
        ("another algorithm", format!("0a 000000 000b 001c 03 02 00 {digest}")),
        ("another RDM", format!("0a 000000 000b 001c 03 01 01 {digest}")),
        ("a key", format!("0a 000000 {}", good.replace("01 02 10", "01 01 10"))),
        ("15 octets", format!("0a 000000 {}", good.replace("001c", "001b").replace("1e1f", "1e"))),
        ("17 octets", format!("0a 000000 {}00", good.replace("001c", "001d"))),
        ("10 octets", "0a 000000 000b 000a 03 01 00 00000000000000".into()),
        ("inside of an IA", format!("0a 000000 0019 002c 00000001 00000000 00000000 {good}")),
        ("past the end", format!("0a 000000 {}", good.replace("001c", "001d"))),
        ("behind another one", format!("0a 000000 000b 000b 0000000000000000000000 {good}")),
        ("a relay message", format!("0c 000000 {good}")),
    ];
    assert!(digest_range(&hex(&format!("0a 000000 {good}"))).is_some());
    for (name, octets) in cases {
        assert_eq!(digest_range(&hex(&octets)), None, "{name}");
    }
}

/// SEC-07: only three levels are walked; what lies deeper, or where it does not belong, is octets.
#[test]
fn nesting_costs_no_stack() {
    for (code, header_len) in [(25_u16, 12), (26, 25), (3, 12), (5, 24), (17, 4), (9, 34)] {
        let mut body = Vec::new();
        while body.len() + 4 + header_len <= usize::from(u16::MAX) {
            let length = u16::try_from(body.len()).unwrap();
            let option = [&code.to_be_bytes()[..], &length.to_be_bytes(), &body].concat();
            body = [vec![0; header_len], option].concat();
        }
        let length = u16::try_from(body.len()).unwrap();
        let octets =
            [&[7, 0, 0, 0][..], &code.to_be_bytes(), &length.to_be_bytes(), &body].concat();
        let decode = move || Message::decode(&octets).map(|message| message.options.len());
        let small = std::thread::Builder::new().stack_size(32 * 1024).spawn(decode).unwrap();
        assert!(small.join().unwrap().is_ok(), "option {code}");
    }
}
