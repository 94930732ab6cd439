//! Towards the clients.

use super::*;

/// The only packet that comes of an answer.
fn delivered(system: &System, answer: &RelayMessage) -> ServerPacket {
    let relaying = handle(system, &from_server(answer)).unwrap();
    let [sent] = <[ServerPacket; 1]>::try_from(relaying.packets).unwrap();
    assert_eq!(sent.packet.octets, answer.relayed().unwrap(), "RLY-07");
    assert_eq!(sent.packet.destination, answer.peer_address);
    sent
}

/// RLY-08: whatever it is, and to the port of whom it is for.
#[test]
fn the_message_inside_goes_to_the_peer_unchanged() {
    for kind in 0..=u8::MAX {
        let inside = [kind, 1, 2, 3, 255];
        let sent = delivered(&system(), &answer("::", CLIENT, vec![id("lan0")], &inside));
        assert_eq!((sent.packet.interface, sent.packet.source), (LAN, ip("fe80::a")));
        assert_eq!(sent.port, if kind == 13 { 547 } else { 546 }, "type {kind}");
    }
}

/// RFC 8357 §5: for relay agents alone.
#[test]
fn another_relay_gets_its_answer_on_its_port() {
    let port = |inside: &[u8], port| {
        let options = vec![id("lan0"), RelayOption::SourcePort(port)];
        delivered(&system(), &answer("::", "fe80::9", options, inside)).port
    };
    assert_eq!(port(&[13, 0], 8080), 8080);
    assert_eq!(port(&[13, 0], 0), 547);
    assert_eq!(port(&[7, 0], 8080), 546);
}

/// RLY-08: Interface-Id first, then link-address, then where the peer is.
#[test]
fn an_answer_finds_its_link() {
    let cases = [
        ("by its id", "2001:db8:a::1", CLIENT, Some("lan1"), Ok(LAN1)),
        ("by the address", "2001:db8:b::1", CLIENT, None, Ok(LAN1)),
        ("by the subnet, renumbered within it", "2001:db8:a::7", CLIENT, None, Ok(LAN)),
        ("by the link-local address", "fe80::b", CLIENT, None, Ok(LAN1)),
        ("by the peer's subnet", "::", "2001:db8:b::9", None, Ok(LAN1)),
        ("an id that is none of ours", "2001:db8:a::1", CLIENT, Some("lan9"), Err(Reject::Link)),
        ("the uplink by its id", "::", CLIENT, Some("wan0"), Err(Reject::Link)),
        ("the uplink by its address", "2001:db8:c::1", CLIENT, None, Err(Reject::Link)),
        ("a strange address", "2001:db8:f::1", CLIENT, None, Err(Reject::Link)),
        ("nothing said", "::", CLIENT, None, Err(Reject::Link)),
        ("an empty id", "2001:db8:a::1", CLIENT, Some(""), Err(Reject::Link)),
    ];
    for (name, link_address, peer, interface_id, expected) in cases {
        let options = interface_id.map(id).into_iter().collect();
        let answer = answer(link_address, peer, options, &STRANGE);
        // Both links believe it: one the server, the other whatever comes by the uplink.
        let found = handle(&system(), &from_server(&answer));
        let found = found.map(|relaying| relaying.packets[0].packet.interface);
        assert_eq!(found, expected, "{name}");
    }
}

/// RLY-09, RLY-17 and the project's own: nobody but the servers reaches clients through us.
#[test]
fn only_servers_are_believed() {
    let to = |name, interface, source| {
        let octets = answer("::", CLIENT, vec![id(name)], &STRANGE).encode();
        handle(&system(), &received(interface, source, "2001:db8:c::1", &octets)).err()
    };
    let cases = [
        ("the server", "lan0", WAN, SERVER, None),
        ("the server by another way", "lan0", IfIndex(9), SERVER, None),
        ("another", "lan0", WAN, "2001:db8:5::2", Some(Reject::Stranger)),
        ("one of the group", "lan1", WAN, "2001:db8:5::2", None),
        ("a neighbor of the group", "lan1", WAN, "fe80::5", None),
        ("one beside the group's way", "lan1", IfIndex(9), SERVER, Some(Reject::Stranger)),
        ("a client's neighbor", "lan0", LAN, SERVER, Some(Reject::ServerMessage)),
        ("another client link", "lan1", LAN, SERVER, Some(Reject::ServerMessage)),
    ];
    for (name, to_link, interface, source, expected) in cases {
        assert_eq!(to(to_link, interface, source), expected, "{name}");
    }
}

#[test]
fn an_answer_that_cannot_be_delivered_is_dropped() {
    let reject =
        |system: &System, answer: &RelayMessage| handle(system, &from_server(answer)).err();
    let with_id = || vec![id("lan0")];
    let cases = [
        ("nobody", answer("::", "::", with_id(), &STRANGE), Reject::Peer),
        ("all nodes", answer("::", "ff02::1", with_id(), &STRANGE), Reject::Peer),
        ("loopback", answer("::", "::1", with_id(), &STRANGE), Reject::Peer),
        ("ourselves", answer("::", "fe80::a", with_id(), &STRANGE), Reject::Peer),
        ("empty", answer("::", CLIENT, with_id(), &[]), Reject::Empty),
    ];
    for (name, answer, expected) in cases {
        assert_eq!(reject(&system(), &answer), Some(expected), "{name}");
    }
    let mut without = answer("::", CLIENT, with_id(), &STRANGE);
    without.options.pop();
    assert_eq!(reject(&system(), &without), Some(Reject::Empty));
    let mut down = system();
    down.handle(KernelEvent::Link(Link { running: false, ..link(LAN, "lan0") }));
    let answer = answer("::", CLIENT, with_id(), &STRANGE);
    assert_eq!(reject(&down, &answer), Some(Reject::Detached));
    let cut = received(WAN, SERVER, "2001:db8:c::1", &answer.encode()[..30]);
    assert_eq!(handle(&system(), &cut), Err(Reject::Malformed(DecodeError::Truncated)));
}

proptest::proptest! {
    /// SEC-07: nothing that comes in can do harm, whatever it looks like and wherever it comes in.
    #[test]
    fn no_octets_make_it_panic(
        interface in 3_u32..=5,
        octets in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..120),
        header in 0..4_usize,
    ) {
        let client = message(MessageType::Reply, 1, &[]).encode();
        let head: &[u8] = match header {
            0 => &[],
            1 => &[13; 2],
            2 => &[12; 2],
            _ => &client,
        };
        let octets = [head, &octets].concat();
        let wrapped = answer("2001:db8:a::1", CLIENT, vec![], &octets).encode();
        for octets in [octets, wrapped] {
            for destination in ["ff02::1:2", "2001:db8:c::1"] {
                let received = received(IfIndex(interface), SERVER, destination, &octets);
                if let Ok(relaying) = handle(&system(), &received) {
                    proptest::prop_assert!(relaying.packets.len() == 1);
                }
            }
        }
    }
}
