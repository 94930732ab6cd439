//! Sockets between two machines: what is sent, how it looks on the wire, what is let in.

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};

use renumberd::core::input::Received;
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::output::Hearing;
use renumberd::net::IfIndex;
use renumberd::platform::local_advertisements::LocalAdvertisements;
use renumberd::platform::sockets::{Dhcpv6Socket, Icmpv6Socket};
use renumberd::wire::dhcpv6::{Message, MessageType, TransactionId};
use socket2::{Domain, Protocol, Socket, Type};

use super::bench::{Platform, inside, packet};
use crate::lab::net::{Namespace, Net};
use crate::lab::tun::Tun;
use crate::lab::wire::{Wire, open};
use crate::lab::{eventually, millis, pause, secs};
use renumberd::lab::observe::frame::Content;
use renumberd::lab::site::frames::Envelope;

pub(super) const ALL_NODES: &str = "ff02::1";
const ALL_ROUTERS: &str = "ff02::2";
const ALL_DHCP_SERVERS: &str = "ff02::1:2";
pub(super) const SOLICITATION: [u8; 8] = [133, 0, 0, 0, 0, 0, 0, 0];
pub(super) const ADVERTISEMENT: [u8; 16] = [134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0];

/// Two machines with a cable between `one0` and `other0`.
pub(super) fn two_machines() -> (Net, Namespace, Namespace) {
    let net = Net::new();
    let (one, other) = (net.host("one"), net.host("other"));
    for machine in [&one, &other] {
        machine.sysctl("default", "accept_dad", 0);
        machine.sysctl("default", "accept_ra", 0);
    }
    net.cable((&one, "one0"), (&other, "other0"));
    one.settled("one0");
    other.settled("other0");
    (net, one, other)
}

/// A machine's sockets and where they are.
pub(super) struct Place {
    pub(super) icmpv6: Icmpv6Socket,
    pub(super) dhcpv6: Dhcpv6Socket,
    pub(super) interface: IfIndex,
    pub(super) local: Ipv6Addr,
}

pub(super) fn place(machine: &Namespace, interface: &str) -> Place {
    inside(machine, || {
        let platform = Platform::open();
        let index = platform.index(interface);
        Place {
            icmpv6: platform.icmpv6,
            dhcpv6: Dhcpv6Socket::open().unwrap(),
            interface: index,
            local: platform.system.link_local(index).unwrap(),
        }
    })
}

pub(super) fn next(what: &str, recv: impl Fn() -> std::io::Result<Option<Received>>) -> Received {
    eventually(what, secs(5), || recv().unwrap())
}

/// A datagram that is a DHCPv6 message.
fn solicit() -> Vec<u8> {
    let transaction_id = TransactionId([1, 2, 3]);
    Message { kind: MessageType::Solicit, transaction_id, options: Vec::new() }.encode()
}

/// RA-RX-01, RS-03, RA-TX-14: what is sent has hop limit 255, the source that was asked for and a
/// right checksum; what comes in says by whom, to whom, where and with which hop limit.
#[test]
fn an_advertisement_arrives_with_all_that_tells_whether_to_believe_it() {
    let (_net, one, other) = two_machines();
    let (from, to) = (place(&one, "one0"), place(&other, "other0"));
    assert_eq!(to.icmpv6.recv().unwrap(), None);
    from.icmpv6.send(&packet(from.interface, from.local, ALL_NODES, &ADVERTISEMENT)).unwrap();
    let received = next("the advertisement", || to.icmpv6.recv());
    assert_eq!(received.interface, to.interface);
    assert_eq!(received.source, from.local);
    assert_eq!(received.destination.to_string(), ALL_NODES);
    assert_eq!((received.hop_limit, received.fragmented), (255, false));
    assert_eq!(received.octets.len(), ADVERTISEMENT.len());
    assert_eq!(received.octets[4..], ADVERTISEMENT[4..]);
    // To one node alone.
    let answer = packet(to.interface, to.local, &from.local.to_string(), &ADVERTISEMENT);
    to.icmpv6.send(&answer).unwrap();
    let received = next("the answer", || from.icmpv6.recv());
    assert_eq!((received.source, received.destination), (to.local, from.local));
    assert_eq!((received.interface, received.hop_limit), (from.interface, 255));
    // Nobody hears himself.
    assert_eq!(from.icmpv6.recv().unwrap(), None);
    assert_eq!((from.icmpv6.dropped(), to.icmpv6.dropped()), (0, 0));
}

/// BKE-19: what a program here advertises comes back, and nothing that a neighbour sends does, under
/// whatever address.
#[test]
fn own_advertisements_are_distinguished_from_forged_ones() {
    let (_net, one, other) = two_machines();
    let here = place(&one, "one0");
    let local = inside(&one, || LocalAdvertisements::open().unwrap());
    let mut forger = open((&other, "other0"));
    let to_all = Envelope::to_all_nodes(other.mac("other0"), here.local);
    let (destination, destination_mac) = (here.local, one.mac("one0"));
    for envelope in [to_all, Envelope { destination, destination_mac, ..to_all }] {
        forger.send(&envelope.icmpv6(&ADVERTISEMENT)).unwrap();
        let forged = next("what is forged", || here.icmpv6.recv());
        assert_eq!((forged.source, forged.destination), (here.local, envelope.destination));
    }
    assert_eq!(local.recv().unwrap(), None);
    let program = inside(&one, || {
        let raw = Socket::new(Domain::IPV6, Type::RAW, Some(Protocol::ICMPV6)).unwrap();
        raw.set_multicast_hops_v6(255).unwrap();
        raw.set_unicast_hops_v6(255).unwrap();
        raw.bind(&SocketAddrV6::new(here.local, 0, 0, here.interface.0).into()).unwrap();
        raw
    });
    for destination in [ALL_NODES.parse().unwrap(), here.local] {
        let to = SocketAddrV6::new(destination, 0, 0, here.interface.0);
        program.send_to(&ADVERTISEMENT, &to.into()).unwrap();
        let heard = next("what the program advertises", || local.recv());
        assert_eq!((heard.source, heard.destination), (here.local, destination));
        assert_eq!((heard.interface, heard.hop_limit), (here.interface, 255));
    }
    assert_eq!(local.recv().unwrap(), None);
}

/// Only what is of routers comes in, and beside it what is asked for.
#[test]
fn the_filter_lets_the_wanted_types_through_alone() {
    let (_net, one, other) = two_machines();
    let (from, to) = (place(&one, "one0"), place(&other, "other0"));
    let mut sender = open((&one, "one0"));
    let envelope = Envelope::to_all_nodes(one.mac("one0"), from.local);
    for (echo_replies, neighbor_advertisements, wanted) in [
        (false, false, vec![133, 134]),
        (true, false, vec![129, 133, 134]),
        (true, true, vec![129, 133, 134, 136]),
        (false, true, vec![133, 134, 136]),
        (false, false, vec![133, 134]),
    ] {
        to.icmpv6.hear(Hearing { echo_replies, neighbor_advertisements }).unwrap();
        for kind in 0..=255 {
            let frame = envelope.icmpv6(&[&[kind][..], &ADVERTISEMENT[1..]].concat());
            sender.send(&frame).unwrap();
        }
        for kind in wanted {
            assert_eq!(next("the next", || to.icmpv6.recv()).octets[0], kind);
        }
        pause(millis(50));
        assert_eq!(to.icmpv6.recv().unwrap(), None);
    }
}

/// Solicitations to all routers come in where the group was joined, and only there.
#[test]
fn solicitations_are_heard_where_the_group_is_joined() {
    let (_net, one, other) = two_machines();
    let (from, to) = (place(&one, "one0"), place(&other, "other0"));
    let solicitation = packet(from.interface, from.local, ALL_ROUTERS, &SOLICITATION);
    let heard = |joined: bool| {
        from.icmpv6.send(&solicitation).unwrap();
        from.icmpv6.send(&packet(from.interface, from.local, ALL_NODES, &ADVERTISEMENT)).unwrap();
        let kinds = if joined { &[133, 134][..] } else { &[134] };
        for kind in kinds {
            assert_eq!(next("the next", || to.icmpv6.recv()).octets[0], *kind);
        }
    };
    // A host's kernel is in the group only while it forwards.
    heard(false);
    to.icmpv6.join_all_routers(to.interface).unwrap();
    to.icmpv6.join_all_routers(to.interface).unwrap();
    heard(true);
    to.icmpv6.leave_all_routers(to.interface).unwrap();
    to.icmpv6.leave_all_routers(to.interface).unwrap();
    heard(false);
}

/// A requesting router's messages leave through the interface that was asked for, from port 546
/// to 547, with a link-local source.
#[test]
fn a_solicit_leaves_through_the_right_interface_alone() {
    let (net, one, other) = two_machines();
    net.cable((&one, "one1"), (&other, "other1"));
    one.settled("one1");
    other.settled("other1");
    let wires = [Wire::capture(&other, "other0"), Wire::capture(&other, "other1")];
    let server = inside(&other, || UdpSocket::bind("[::]:547").unwrap());
    server.set_read_timeout(Some(secs(5))).unwrap();
    for (interface, peer) in [("one0", "other0"), ("one1", "other1")] {
        let from = place(&one, interface);
        let arrival = other.index(peer);
        server.join_multicast_v6(&ALL_DHCP_SERVERS.parse().unwrap(), arrival).unwrap();
        let message = packet(from.interface, from.local, ALL_DHCP_SERVERS, &solicit());
        from.dhcpv6.send(&message).unwrap();
        let mut octets = [0; 64];
        let (length, sender) = server.recv_from(&mut octets).unwrap();
        assert_eq!(octets[..length], solicit());
        assert_eq!(sender, SocketAddrV6::new(from.local, 546, 0, arrival).into());
    }
    pause(millis(100));
    for wire in &wires {
        let count = wire.count(secs(0), |frame| matches!(frame.content, Content::Dhcpv6(_)));
        assert_eq!(count, 1);
    }
}

/// RFC 9915 §7.2: a server's answer is taken from whatever port it comes; it says where it came
/// in. Empty and largest datagrams come whole, and the latter says that it was in fragments.
#[test]
fn datagrams_to_port_546_come_whole_from_any_port() {
    let (_net, one, other) = two_machines();
    let to = place(&other, "other0");
    let local = place(&one, "one0").local;
    let scope = one.index("one0");
    let server =
        |port| inside(&one, || UdpSocket::bind(SocketAddrV6::new(local, port, 0, scope)).unwrap());
    let addressee = SocketAddrV6::new(to.local, 546, 0, scope);
    for (port, length, fragmented) in [(547, 300, false), (4711, 0, false), (547, 65_527, true)] {
        let datagram = vec![7; length];
        server(port).send_to(&datagram, addressee).unwrap();
        let received = next("the datagram", || to.dhcpv6.recv());
        assert_eq!((received.interface, received.source), (to.interface, local));
        assert_eq!((received.destination, received.fragmented), (to.local, fragmented));
        assert!(received.octets == datagram, "{length}");
    }
    assert_eq!(to.dhcpv6.dropped(), 0);
}

/// UPL-02: from a tentative address nothing leaves. The kernel says so, and says when the address
/// is usable; from then on it works.
#[test]
fn sending_from_a_tentative_address_fails_until_it_is_reported_as_usable() {
    let net = Net::new();
    let (one, other) = (net.host("one"), net.host("other"));
    one.sysctl("default", "dad_transmits", 3);
    other.sysctl("default", "accept_dad", 0);
    net.cable((&one, "one0"), (&other, "other0"));
    other.settled("other0");
    let to = place(&other, "other0");
    inside(&one, || {
        let mut platform = Platform::open();
        let index = platform.index("one0");
        let dhcpv6 = Dhcpv6Socket::open().unwrap();
        let tentative = eventually("a tentative address", secs(5), || {
            platform.dump().addresses.into_values().find(|has| has.interface == index)
        });
        assert!(tentative.tentative && tentative.address.is_unicast_link_local());
        assert_eq!(platform.system.link_local(index), None);
        let local = tentative.address;
        let solicitation = packet(index, local, ALL_NODES, &ADVERTISEMENT);
        let message = packet(index, local, ALL_DHCP_SERVERS, &solicit());
        let invalid = Some(libc::EINVAL);
        assert_eq!(platform.icmpv6.send(&solicitation).unwrap_err().raw_os_error(), invalid);
        assert_eq!(dhcpv6.send(&message).unwrap_err().raw_os_error(), invalid);
        platform.until("it is usable", |event| {
            matches!(event, KernelEvent::Address(has) if has.address == local && !has.tentative)
        });
        assert_eq!(platform.system.link_local(index), Some(local));
        platform.icmpv6.send(&solicitation).unwrap();
        dhcpv6.send(&message).unwrap();
    });
    assert_eq!(next("the advertisement", || to.icmpv6.recv()).octets[0], 134);
}

/// From an address that is not on the interface nothing leaves, whoever's it is.
#[test]
fn sending_from_a_foreign_address_fails() {
    let (_net, one, other) = two_machines();
    let (from, foreign) = (place(&one, "one0"), place(&other, "other0").local);
    let forged = packet(from.interface, foreign, ALL_NODES, &ADVERTISEMENT);
    let error = from.icmpv6.send(&forged).unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
}

/// RS-03, UPL-11: on a line without link-layer addresses everything works the same, and after a
/// redial the same sockets serve the device that has come in its place.
#[test]
fn tun_devices_are_served_also_when_they_return() {
    let net = Net::new();
    let (machine, provider) = (net.host("machine"), net.host("provider"));
    let mut line = Tun::new((&machine, "ppp0"), (&provider, "ppp1"));
    let far = place(&provider, "ppp1");
    inside(&machine, move || {
        let mut platform = Platform::open();
        let dhcpv6 = Dhcpv6Socket::open().unwrap();
        for redial in [true, false] {
            let index = platform.index("ppp0");
            platform.wait("the line is up", |system| {
                system.links[&index].running && system.link_local(index).is_some()
            });
            let link = platform.system.links[&index].clone();
            assert!(link.point_to_point && link.link_layer_address.is_none(), "{link:?}");
            let local = platform.system.link_local(index).unwrap();
            platform.icmpv6.send(&packet(index, local, ALL_NODES, &ADVERTISEMENT)).unwrap();
            assert_eq!(next("at the far end", || far.icmpv6.recv()).source, local);
            far.icmpv6.send(&packet(far.interface, far.local, ALL_NODES, &ADVERTISEMENT)).unwrap();
            let received = next("at the near end", || platform.icmpv6.recv());
            assert_eq!((received.interface, received.hop_limit), (index, 255));
            assert_eq!(received.source, far.local);
            let wire = Wire::capture(&provider, "ppp1");
            dhcpv6.send(&packet(index, local, ALL_DHCP_SERVERS, &solicit())).unwrap();
            wire.wait_for("the message", secs(5), |frame| frame.is_dhcp(MessageType::Solicit));
            if redial {
                line.disconnect();
                platform.until("the end", |event| *event == KernelEvent::LinkGone(index));
                assert!(platform.icmpv6.send(&packet(index, local, ALL_NODES, &[0; 16])).is_err());
                line.connect();
                platform.wait("its return", |system| system.link("ppp0").is_some());
                assert_ne!(platform.index("ppp0"), index);
            }
        }
    });
}
