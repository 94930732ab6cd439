//! Towards the servers.

use super::*;

fn relay_forward(hop_count: u8, more: &[RelayOption]) -> Vec<u8> {
    let mut options = vec![RelayOption::RelayMessage(STRANGE.to_vec())];
    options.extend_from_slice(more);
    let kind = RelayKind::Forward;
    let (link_address, peer_address) = (ip("2001:db8:d::1"), ip(CLIENT));
    RelayMessage { kind, hop_count, link_address, peer_address, options }.encode()
}

/// RLY-01, RLY-03, RLY-06
#[test]
fn what_a_client_says_goes_to_the_servers_as_it_is() {
    let solicit = message(MessageType::Solicit, 1, &[ia_pd(1, &[])]).encode();
    let message = forwarded(&system(), &from_client(LAN, &solicit));
    let expected = RelayMessage {
        kind: RelayKind::Forward,
        hop_count: 0,
        link_address: ip("2001:db8:a::1"),
        peer_address: ip(CLIENT),
        options: vec![
            RelayOption::RelayMessage(solicit),
            id("lan0"),
            RelayOption::ClientLinkLayer {
                hardware_type: 1,
                address: vec![0, 0, 0x5e, 0, 0x53, 1],
            },
        ],
    };
    assert_eq!(message, expected);
}

/// RLY-01: a server by the system's routes, a group by the interface that leads there.
#[test]
fn servers_are_reached_by_routes_and_groups_by_the_uplink() {
    let to = |interface, system: &System| {
        let relaying = handle(system, &from_client(interface, &STRANGE));
        let packets = relaying?.packets.into_iter();
        let to = packets.map(|sent| (sent.packet.interface, sent.packet.destination.to_string()));
        Ok(to.collect::<Vec<_>>())
    };
    assert_eq!(to(LAN, &system()).unwrap(), [(IfIndex(0), SERVER.to_owned())]);
    assert_eq!(to(LAN1, &system()).unwrap(), [(WAN, "ff05::1:3".to_owned())]);
    let mut without_uplink = system();
    without_uplink.handle(KernelEvent::LinkGone(WAN));
    assert_eq!(to(LAN1, &without_uplink), Err(Reject::NoWay));

    let servers = vec![ip(SERVER), ip("fe80::5"), ip("2001:db8:5::2")];
    let relay = Relay { servers, uplink: Some("wan0".to_owned()) };
    let relays = [("lan0".to_owned(), relay)].into();
    let config = Config { relays, ..Config::default() };
    let received = from_client(LAN, &STRANGE);
    let relaying = Relays::default().handle(NOW, &config, &system(), &received).unwrap();
    let interfaces = relaying.packets.iter().map(|sent| sent.packet.interface);
    assert_eq!(interfaces.collect::<Vec<_>>(), [IfIndex(0), WAN, IfIndex(0)]);
}

/// RLY-02, RLY-09: of all types only those that servers send are kept back.
#[test]
fn types_that_nobody_knows_are_relayed() {
    for kind in 0..=u8::MAX {
        let result = handle(&system(), &from_client(LAN, &[kind, 1, 2, 3]));
        let expected = match kind {
            2 | 7 | 10 | 13 | 37 => Some(Reject::ServerMessage),
            12 => Some(Reject::Malformed(DecodeError::Truncated)),
            _ => None,
        };
        assert_eq!(result.err(), expected, "type {kind}");
    }
}

/// RLY-18, RFC 9686 §4.4: an address is registered from that address, with the link-layer address.
#[test]
fn the_registration_of_an_address_is_relayed() {
    let inform = [36, 1, 2, 3];
    let received = received(LAN, "2001:db8:a::77", "ff02::1:2", &inform);
    let received = Received { link_layer: Some(vec![2; 6]), ..received };
    let relaying = handle(&system(), &received).unwrap();
    let level = RelayMessage::decode(&relaying.packets[0].packet.octets).unwrap();
    assert_eq!(level.relayed(), Some(&inform[..]));
    assert_eq!(level.peer_address, ip("2001:db8:a::77"));
    let option = RelayOption::ClientLinkLayer { hardware_type: 1, address: vec![2; 6] };
    assert!(level.options.contains(&option));
}

/// RLY-09, RLY-17
#[test]
fn messages_that_must_not_be_relayed_go_nowhere() {
    let cases = [
        ("to one node alone", received(LAN, CLIENT, "fe80::a", &STRANGE), Reject::Unicast),
        ("on the uplink", from_client(WAN, &STRANGE), Reject::Interface),
        ("a relay on the uplink", from_client(WAN, &relay_forward(0, &[])), Reject::Interface),
        ("on no interface", from_client(IfIndex(99), &STRANGE), Reject::Interface),
        ("nothing", from_client(LAN, &[]), Reject::Short),
        ("three octets", from_client(LAN, &[1, 2, 3]), Reject::Short),
        ("from nobody", received(LAN, "::", "ff02::1:2", &STRANGE), Reject::Source),
        ("from a group", received(LAN, "ff02::1", "ff02::1:2", &STRANGE), Reject::Source),
        ("from ourselves", received(LAN, "fe80::a", "ff02::1:2", &STRANGE), Reject::Source),
    ];
    for (name, received, expected) in cases {
        assert_eq!(handle(&system(), &received), Err(expected), "{name}");
    }
    // We have that address on another link, which keeps no neighbor from having it here; but
    // what a bridge hands back is ours.
    let mut system = system();
    let link = system.links.get_mut(&LAN1).unwrap();
    link.link_layer_address = Some(vec![2, 0, 0, 0, 0, 0xb]);
    let mut there = received(LAN, "fe80::b", "ff02::1:2", &STRANGE);
    assert!(handle(&system, &there).is_ok());
    there.link_layer = Some(vec![2, 0, 0, 0, 0, 0xb]);
    assert_eq!(handle(&system, &there), Err(Reject::Source));
}

/// RLY-05
#[test]
fn hops_of_earlier_relay_agents_are_counted() {
    let cases = [
        // hop count, source, expected hop count, link-address
        (0, "2001:db8:a::9", Some((1, "::"))),
        (0, "fd00:a::9", Some((1, "::"))),
        (0, "fe80::9", Some((1, "2001:db8:a::1"))),
        (6, "fe80::9", Some((7, "2001:db8:a::1"))),
        (7, "2001:db8:a::9", Some((8, "::"))),
        (8, "2001:db8:a::9", None),
        (255, "fe80::9", None),
    ];
    for (hop_count, source, expected) in cases {
        for destination in ["ff02::1:2", "2001:db8:a::1"] {
            let received = received(LAN, source, destination, &relay_forward(hop_count, &[]));
            let Some((hop_count, link_address)) = expected else {
                assert_eq!(handle(&system(), &received), Err(Reject::HopCount));
                continue;
            };
            let message = forwarded(&system(), &received);
            assert_eq!((message.hop_count, message.link_address), (hop_count, ip(link_address)));
            assert_eq!(message.peer_address, ip(source));
            assert_eq!(message.interface_id(), Some(&b"lan0"[..]));
            assert_eq!(message.options.len(), 2, "a relay is no client: {message:?}");
        }
    }
}

/// RFC 8357 §5: the port of a relay agent that says so comes back to it by the answer.
#[test]
fn the_port_of_another_relay_agent_is_stated_where_it_asks_for_that() {
    let mut received = received(LAN, "fe80::9", "ff02::1:2", &relay_forward(0, &[]));
    received.port = 8080;
    assert_eq!(forwarded(&system(), &received).source_port(), None);
    received.octets = relay_forward(0, &[RelayOption::SourcePort(0)]);
    assert_eq!(forwarded(&system(), &received).source_port(), Some(8080));
}

/// RLY-06: as the system knows it, else as an EUI-64 shows it, else not at all.
#[test]
fn the_link_layer_address_is_stated_where_it_is_known() {
    const KNOWN: [u8; 6] = [2, 0, 0, 0, 0, 7];
    let cases = [
        ("known", Some(KNOWN.to_vec()), CLIENT, Some(KNOWN)),
        ("from EUI-64", None, CLIENT, Some([0, 0, 0x5e, 0, 0x53, 1])),
        ("of another kind", Some(vec![1; 8]), CLIENT, Some([0, 0, 0x5e, 0, 0x53, 1])),
        ("opaque", None, "fe80::1234:5678:9abc:def0", None),
        ("global", None, "2001:db8:a:0:200:5eff:fe00:5301", None),
    ];
    for (name, known, source, expected) in cases {
        let mut received = received(LAN, source, "ff02::1:2", &STRANGE);
        received.link_layer = known;
        let found = forwarded(&system(), &received).options.into_iter().find_map(|option| {
            let RelayOption::ClientLinkLayer { hardware_type: 1, address } = option else {
                return None;
            };
            Some(address)
        });
        assert_eq!(found, expected.map(|octets| octets.to_vec()), "{name}");
    }
}

/// RLY-04, RLY-18
#[test]
fn the_link_is_named_by_its_best_address() {
    let named = |change: &dyn Fn(&mut System)| {
        let mut system = system();
        change(&mut system);
        let message = forwarded(&system, &from_client(LAN, &STRANGE));
        assert_eq!(message.interface_id(), Some(&b"lan0"[..]));
        message.link_address.to_string()
    };
    let old = KernelAddress {
        preferred_until: Until::At(NOW),
        valid_until: Until::At(Instant::from_secs(2000)),
        ..address(LAN, "2001:db8:a::1")
    };
    let deprecate = |system: &mut System| system.handle(KernelEvent::Address(old.clone()));
    let set = |system: &mut System, address| system.handle(KernelEvent::Address(address));
    assert_eq!(named(&|_| {}), "2001:db8:a::1");
    assert_eq!(named(&deprecate), "2001:db8:a::1", "there is no other");
    let renumbered = named(&|system| {
        deprecate(system);
        set(system, KernelAddress { tentative: true, ..address(LAN, "2001:db8:e::1") });
    });
    assert_eq!(renumbered, "2001:db8:e::1", "at once");
    let not_yet = named(&|system| {
        set(system, KernelAddress { tentative: true, ..address(LAN, "2001:db8:0::1") });
    });
    assert_eq!(not_yet, "2001:db8:a::1");
    let with_local = named(&|system| set(system, address(LAN, "fd00::1")));
    assert_eq!(with_local, "2001:db8:a::1");
    let unusable = named(&|system| {
        let old = KernelAddress { valid_until: Until::At(NOW), ..old.clone() };
        set(system, old);
        set(system, KernelAddress { duplicate: true, ..address(LAN, "2001:db8:e::1") });
    });
    assert_eq!(unusable, "fe80::a");
    let later = named(&|system| {
        deprecate(system);
        let valid_until = Until::At(Instant::from_secs(3000));
        set(system, KernelAddress { address: ip("2001:db8:e::1"), valid_until, ..old.clone() });
    });
    assert_eq!(later, "2001:db8:e::1");
}

/// RLY-05: a link without an address that names it is named by its Interface-Id alone.
#[test]
fn a_link_without_a_global_address_is_named_by_its_id() {
    let mut system = system();
    let gone = KernelEvent::AddressGone { interface: LAN, address: ip("2001:db8:a::1") };
    system.handle(gone);
    let relay = received(LAN, "fe80::9", "ff02::1:2", &relay_forward(0, &[]));
    let message = forwarded(&system, &relay);
    assert_eq!(message.link_address, Ipv6Addr::UNSPECIFIED);
    assert_eq!(message.interface_id(), Some(&b"lan0"[..]));
}

/// RLY-20: an option of a relay agent that is malformed is ignored, and named for the counters.
#[test]
fn malformed_options_are_ignored_and_named() {
    let mut octets = relay_forward(0, &[]);
    octets.extend([0, 135, 0, 1, 7]);
    octets.push(0);
    let from = received(LAN, "fe80::9", "ff02::1:2", &octets);
    let relaying = handle(&system(), &from).unwrap();
    assert_eq!((relaying.packets.len(), relaying.malformed.len()), (1, 2));
    let mut octets = answer("::", CLIENT, vec![id("lan0")], &STRANGE).encode();
    octets.extend([0, 135, 0, 1, 7]);
    let mut back = from_server(&answer("::", CLIENT, vec![id("lan0")], &STRANGE));
    back.octets = octets;
    let relaying = handle(&system(), &back).unwrap();
    assert_eq!((relaying.packets.len(), relaying.malformed.len()), (1, 1));
}
