use crate::wire::testing::hex;

use super::*;

/// RFC 9915 §9, §21.10, §21.18; RFC 6939 §4; RFC 8357 §5.1.
const FORWARD: &str = "0c 00                               | Relay-forward, hop count 0
     20010db8 00010000 00000000 00000001                  | link-address
     fe800000 00000000 020000ff fe000002                  | peer-address
     0012 0004 6c616e30                                   | Interface-Id lan0
     004f 0008 0001 020000000002                          | client link-layer address: Ethernet
     0087 0002 0223                                       | relay source port 547
     0025 0005 00000009 01                                | option 37
     0009 0004 01 0a0b0c                                  | Relay Message: a Solicit";

fn forward() -> RelayMessage {
    RelayMessage {
        kind: RelayKind::Forward,
        hop_count: 0,
        link_address: "2001:db8:1::1".parse().unwrap(),
        peer_address: "fe80::200:ff:fe00:2".parse().unwrap(),
        options: vec![
            RelayOption::InterfaceId(b"lan0".to_vec()),
            RelayOption::ClientLinkLayer { hardware_type: 1, address: vec![2, 0, 0, 0, 0, 2] },
            RelayOption::SourcePort(547),
            RelayOption::Unknown { code: 37, body: vec![0, 0, 0, 9, 1] },
            RelayOption::RelayMessage(vec![1, 10, 11, 12]),
        ],
    }
}

/// A Relay-forward without options but the message inside.
fn plain(hop_count: u8, inside: Vec<u8>) -> RelayMessage {
    RelayMessage { hop_count, options: vec![RelayOption::RelayMessage(inside)], ..forward() }
}

/// Relay-forwards, one in the other, around an Information-request.
fn nested(levels: u8) -> Vec<u8> {
    (0..levels).fold(vec![11, 0, 0, 0], |inside, hop_count| plain(hop_count, inside).encode())
}

#[test]
fn a_relay_message_is_read_and_written() {
    assert_eq!(RelayMessage::decode(&hex(FORWARD)), Ok(forward()));
    assert_eq!(forward().encode(), hex(FORWARD));
    let mut octets = hex(FORWARD);
    octets[0] = 13;
    let reply = RelayMessage { kind: RelayKind::Reply, ..forward() };
    assert_eq!(RelayMessage::decode(&octets).as_ref(), Ok(&reply));
    assert_eq!(reply.encode(), octets);
}

#[test]
fn accessors_find_their_options() {
    assert_eq!(forward().relayed(), Some(&[1, 10, 11, 12][..]));
    assert_eq!(forward().interface_id(), Some(&b"lan0"[..]));
    let empty = RelayMessage { options: Vec::new(), ..forward() };
    assert_eq!((empty.relayed(), empty.interface_id()), (None, None));
}

#[test]
fn of_a_repeated_option_the_first_counts() {
    let mut message = plain(0, vec![1, 0, 0, 1]);
    message.options.push(RelayOption::RelayMessage(vec![1, 0, 0, 2]));
    assert_eq!(message.relayed(), Some(&[1, 0, 0, 1][..]));
    assert_eq!(Relayed::decode(&message.encode()).unwrap().octets, [1, 0, 0, 1]);
}

/// RFC 9915 §7.3: messages between client and server are read elsewhere.
#[test]
fn only_two_types_are_relay_messages() {
    for octet in (0..=u8::MAX).filter(|octet| ![12, 13].contains(octet)) {
        let octets = [&[octet][..], &[0; 33]].concat();
        assert_eq!(RelayMessage::decode(&octets), Err(DecodeError::Type(octet)));
        assert_eq!(Relayed::decode(&octets), Err(DecodeError::Type(octet)));
    }
}

/// SEC-07: of a message that is cut the whole options count; without the message inside it is none
/// to unwrap.
#[test]
fn of_a_truncated_message_the_whole_options_count() {
    let octets = hex(FORWARD);
    let mut starts = vec![34];
    for option in forward().options {
        let mut octets = Vec::new();
        option.encode(&mut octets);
        starts.push(starts.last().unwrap() + octets.len());
    }
    assert_eq!(starts.last(), Some(&octets.len()));
    for end in 0..=octets.len() {
        let decoded = RelayMessage::decode(&octets[..end]);
        let relayed = Relayed::decode(&octets[..end]);
        assert_eq!(relayed.is_ok(), end == octets.len(), "{end} octets");
        let Some(whole) = starts.iter().rposition(|start| *start <= end) else {
            assert_eq!(decoded, Err(DecodeError::Truncated), "{end} octets");
            continue;
        };
        let mut expected = forward().options[..whole].to_vec();
        expected.extend(match end - starts[whole] {
            0 => None,
            1..4 => Some(RelayOption::Malformed(DecodeError::Trailing)),
            _ => Some(RelayOption::Malformed(DecodeError::Truncated)),
        });
        assert_eq!(decoded.unwrap().options, expected, "{end} octets");
    }
}

/// PDC-92
#[test]
fn a_malformed_option_costs_itself_alone() {
    let header = "0d 00 00000000000000000000000000000000 00000000000000000000000000000000";
    let cases = [
        ("link-layer address of none", "004f 0000", 79),
        ("link-layer address of 1 octet", "004f 0001 00", 79),
        ("source port of 1 octet", "0087 0001 02", 135),
        ("source port of 3 octets", "0087 0003 022300", 135),
    ];
    for (name, option, code) in cases {
        let decoded = RelayMessage::decode(&hex(&format!("{header}{option} 0009 0001 07")));
        let malformed = RelayOption::Malformed(DecodeError::OptionLength(code));
        let expected = [malformed, RelayOption::RelayMessage(vec![7])];
        assert_eq!(decoded.unwrap().options, expected, "{name}");
    }
    let empty = RelayMessage::decode(&hex(&format!("{header} 0012 0000 0009 0000"))).unwrap();
    assert_eq!((empty.interface_id(), empty.relayed()), (Some(&[][..]), Some(&[][..])));
}

/// RLY-30: two relay agents in a row; the answer has the shape of the question.
#[test]
fn an_answer_mirrors_the_chain() {
    let octets =
        hex("0c 01 00000000000000000000000000000000   | link-address 0: the source was global
         20010db8 00010000 00000000 00000001           | peer-address: the inner relay agent
         0087 0002 1f90                                | relay source port 8080
         0009 0052
              0c 00 20010db8 00020000 00000000 00000001
              fe800000 00000000 020000ff fe000002
              0012 0004 6c616e30                       | Interface-Id
              004f 0008 0001 020000000002              | client link-layer address
              0009 0018
                   05 0a0b0c 0001 000a 0003 0001 020000000002 0006 0002 0052");
    let relayed = Relayed::decode(&octets).unwrap();
    assert_eq!(relayed.octets, hex("05 0a0b0c 0001 000a 0003 0001 020000000002 0006 0002 0052"));
    assert_eq!(relayed.levels.iter().map(|level| level.hop_count).collect::<Vec<_>>(), [1, 0]);
    assert_eq!(
        relayed.wrap(&hex("07 0a0b0c 0007 0001 ff")),
        hex("0d 01 00000000000000000000000000000000
             20010db8 00010000 00000000 00000001
             0087 0002 1f90
             0009 0037
                  0d 00 20010db8 00020000 00000000 00000001
                  fe800000 00000000 020000ff fe000002
                  0012 0004 6c616e30
                  0009 0009
                       07 0a0b0c 0007 0001 ff")
    );
}

/// RLY-31: an outer level that leaves the link to the inner one is skipped, and so is an inner one.
#[test]
fn the_link_of_the_client_is_named_by_the_innermost_address() {
    let (outer, inner) = ("2001:db8:a::1", "2001:db8:b::1");
    let cases = [
        ("both", outer, inner, Some(inner)),
        ("outer zero", "::", inner, Some(inner)),
        ("inner zero", outer, "::", Some(outer)),
        ("none", "::", "::", None),
    ];
    for (name, outer, inner, expected) in cases {
        let level = |hop_count, address: &str, inside| RelayMessage {
            link_address: address.parse().unwrap(),
            ..plain(hop_count, inside)
        };
        let octets = level(1, outer, level(0, inner, vec![1, 0, 0, 0]).encode()).encode();
        let expected = expected.map(|address| address.parse().unwrap());
        assert_eq!(Relayed::decode(&octets).unwrap().link_address(), expected, "{name}");
    }
}

/// SEC-07, RLY-05: a relay agent relays what has hop count 7 as hop count 8, and that no further.
#[test]
fn levels_are_counted() {
    for levels in 1..=9 {
        let relayed = Relayed::decode(&nested(levels)).unwrap();
        assert_eq!(relayed.levels.len(), usize::from(levels));
        assert_eq!(relayed.levels[0].hop_count, levels - 1);
        assert_eq!(relayed.octets, [11, 0, 0, 0]);
    }
    for levels in [10, 11, 100] {
        assert_eq!(Relayed::decode(&nested(levels)), Err(DecodeError::Depth));
    }
    let reply = RelayMessage { kind: RelayKind::Reply, ..forward() }.encode();
    assert_eq!(Relayed::decode(&reply), Err(DecodeError::Type(13)));
    // Inside it is a client's message of a type that a server does not know.
    assert_eq!(Relayed::decode(&plain(0, reply.clone()).encode()).unwrap().octets, reply);
}

#[test]
fn a_level_without_a_message_is_none() {
    let empty = RelayMessage { options: Vec::new(), ..forward() }.encode();
    for octets in [empty.clone(), plain(1, empty).encode()] {
        assert_eq!(Relayed::decode(&octets), Err(DecodeError::MissingOption(9)));
    }
}

/// SEC-07: as deep as a datagram can hold them, on a small stack.
#[test]
fn nesting_costs_no_stack() {
    let octets = (0..1700).fold(vec![11, 0, 0, 0], |inside, _| plain(0, inside).encode());
    assert!(octets.len() > 64_000);
    let decode = move || Relayed::decode(&octets);
    let small = std::thread::Builder::new().stack_size(32 * 1024).spawn(decode).unwrap();
    assert_eq!(small.join().unwrap(), Err(DecodeError::Depth));
}
