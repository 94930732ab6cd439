//! The socket of delegating routers and relay agents between two machines.

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};

use renumberd::net::IfIndex;
use renumberd::platform::linux::Kernel;
use renumberd::platform::sockets::ServerSocket;
use socket2::{Domain, Socket, Type};

use super::bench::{inside, ip, packet};
use super::packets::{next, place, two_machines};
use crate::lab::net::Namespace;
use crate::lab::{eventually, millis, pause, secs};

const RELAYS_AND_SERVERS: &str = "ff02::1:2";
const SERVERS: &str = "ff05::1:3";

fn server(machine: &Namespace) -> ServerSocket {
    inside(machine, || ServerSocket::open().unwrap())
}

/// RLY-17: a group that anyone else has joined elsewhere brings nothing in.
#[test]
fn groups_are_heard_where_this_socket_has_joined_them_alone() {
    let (_net, one, other) = two_machines();
    let (from, to) = (place(&one, "one0"), place(&other, "other0"));
    let socket = server(&other);
    let foreign = inside(&other, || UdpSocket::bind("[::]:5470").unwrap());
    foreign.join_multicast_v6(&ip(RELAYS_AND_SERVERS), to.interface.0).unwrap();
    let heard = || {
        from.dhcpv6.send(&packet(from.interface, from.local, RELAYS_AND_SERVERS, &[1])).unwrap();
        from.dhcpv6.send(&packet(from.interface, from.local, &to.local.to_string(), &[2])).unwrap();
        let mut octets = vec![next("the first", || socket.recv())];
        while octets.last().unwrap().octets != [2] {
            octets.push(next("the next", || socket.recv()));
        }
        octets.into_iter().map(|received| received.octets[0]).collect::<Vec<u8>>()
    };
    assert_eq!(heard(), [2]);
    socket.join(ip(RELAYS_AND_SERVERS), to.interface).unwrap();
    socket.join(ip(RELAYS_AND_SERVERS), to.interface).unwrap();
    assert_eq!(heard(), [1, 2]);
    socket.leave(ip(RELAYS_AND_SERVERS), to.interface).unwrap();
    socket.leave(ip(RELAYS_AND_SERVERS), to.interface).unwrap();
    socket.leave(ip(RELAYS_AND_SERVERS), IfIndex(999)).unwrap();
    assert_eq!(heard(), [2]);
    assert!(socket.join(ip(RELAYS_AND_SERVERS), IfIndex(999)).is_err());
    assert_eq!(socket.dropped(), 0);
}

/// RLY-01, RLY-08: to servers with hop limit 8, to clients on port 546; what comes in says from
/// which port.
#[test]
fn datagrams_leave_for_the_port_that_is_named() {
    let (_net, one, other) = two_machines();
    let (from, to) = (place(&one, "one0"), place(&other, "other0"));
    let (relay, server) = (server(&one), server(&other));
    server.join(ip(SERVERS), to.interface).unwrap();
    relay.send(&packet(from.interface, from.local, SERVERS, &[12, 1]), 547).unwrap();
    let received = next("what goes to all servers", || server.recv());
    assert_eq!((received.octets, received.hop_limit, received.port), (vec![12, 1], 8, 547));
    assert_eq!((received.source, received.interface), (from.local, to.interface));
    assert_eq!(received.destination, ip(SERVERS));
    relay.send(&packet(from.interface, from.local, &to.local.to_string(), &[7]), 546).unwrap();
    let received = next("what goes to a client", || to.dhcpv6.recv());
    assert_eq!((received.octets, received.port), (vec![7], 547));
    pause(millis(50));
    assert_eq!(relay.recv().unwrap(), None, "it does not hear itself");
    assert_eq!(server.recv().unwrap(), None);
}

/// To a server several hops away the system knows the way, and which address to use.
#[test]
fn without_an_interface_the_system_finds_the_way() {
    let (_net, one, other) = two_machines();
    one.ip("address add 2001:db8:1::1/64 dev one0 nodad");
    one.ip("route add 2001:db8:2::/64 via 2001:db8:1::2");
    other.ip("address add 2001:db8:1::2/64 dev other0 nodad");
    other.ip("address add 2001:db8:2::1/128 dev lo nodad");
    let (relay, server) = (server(&one), server(&other));
    let anywhere = packet(IfIndex(0), Ipv6Addr::UNSPECIFIED, "2001:db8:2::1", &[12]);
    let received = next("the datagram", || {
        // Who resolves an address may drop what waits for it.
        relay.send(&anywhere, 547)?;
        server.recv()
    });
    assert_eq!((received.source, received.port), (ip("2001:db8:1::1"), 547));
    let nowhere = packet(IfIndex(0), Ipv6Addr::UNSPECIFIED, "2001:db8:3::1", &[12]);
    assert_eq!(relay.send(&nowhere, 547).unwrap_err().raw_os_error(), Some(libc::ENETUNREACH));
}

/// RLY-06: what the system knows of a neighbor is told, and nobody is asked for it.
#[test]
fn a_neighbor_s_link_layer_address_is_known_once_it_has_answered() {
    let (_net, one, other) = two_machines();
    let (from, to) = (place(&one, "one0"), place(&other, "other0"));
    let mac = other.mac("other0");
    inside(&one, move || {
        let (mut kernel, _events) = Kernel::open().unwrap();
        assert_eq!(kernel.neighbor(from.interface, to.local), None);
        assert_eq!(kernel.neighbor(IfIndex(999), to.local), None);
        let message = packet(from.interface, from.local, &to.local.to_string(), &[1]);
        from.dhcpv6.send(&message).unwrap();
        let found = eventually("the neighbor is known", secs(5), || {
            kernel.neighbor(from.interface, to.local)
        });
        assert_eq!(found, mac.octets());
        assert_eq!(kernel.neighbor(from.interface, ip("fe80::9")), None);
        assert!(kernel.dump(renumberd::daemon::clock::now()).is_ok(), "it goes on as before");
    });
}

/// Another program that holds the port for itself is told from one that shares it.
#[test]
fn a_port_that_another_program_holds_is_an_error() {
    let (_net, one, _other) = two_machines();
    let bound = |is_shared: bool| {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, None)?;
        socket.set_reuse_address(is_shared)?;
        socket.bind(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 547, 0, 0).into())?;
        Ok::<_, std::io::Error>(socket)
    };
    let ours = server(&one);
    assert!(!ours.is_shared());
    let other = inside(&one, || bound(true)).expect("who comes later can share it");
    drop(ours);
    assert!(server(&one).is_shared());
    drop(other);
    // A process that another test starts has them until it becomes another program.
    let holder = inside(&one, || eventually("the port is free", secs(5), || bound(false).ok()));
    let error = inside(&one, ServerSocket::open).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    drop(holder);
}
