mod core;
mod delivered;
mod forwarded;
mod remembered;

use super::*;
use crate::config::Relay;
use crate::core::kernel::system::KernelEvent;
use crate::core::kernel::system::{KernelAddress, Link, Origin};
use crate::net::IfIndex;
use crate::time::{Lifetime, Until};
use crate::wire::dhcpv6::TransactionId;
use crate::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, IaPrefix, Iaid};

const NOW: Instant = Instant::from_secs(1000);
const LAN: IfIndex = IfIndex(3);
const LAN1: IfIndex = IfIndex(4);
const WAN: IfIndex = IfIndex(5);
const CLIENT: &str = "fe80::200:5eff:fe00:5301";
const SERVER: &str = "2001:db8:5::1";
/// A type that nobody knows, and octets that are no options.
const STRANGE: [u8; 6] = [200, 1, 2, 3, 4, 5];

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// Two client links and an uplink; `lan0` is relayed to a server, `lan1` to all of the site.
fn config() -> Config {
    let lan0 = Relay { servers: vec![ip(SERVER)], uplink: None };
    let lan1 = Relay { uplink: Some("wan0".to_owned()), ..Relay::default() };
    let relays = [("lan0".to_owned(), lan0), ("lan1".to_owned(), lan1)];
    Config { relays: relays.into(), ..Config::default() }
}

fn address(interface: IfIndex, text: &str) -> KernelAddress {
    KernelAddress {
        interface,
        address: ip(text),
        prefix_len: 64,
        preferred_until: Until::Never,
        valid_until: Until::Never,
        tentative: false,
        duplicate: false,
        ours: false,
        origin: Origin::Other,
    }
}

fn link(index: IfIndex, name: &str) -> Link {
    Link {
        index,
        name: name.to_owned(),
        running: true,
        multicast: true,
        point_to_point: false,
        link_layer_address: None,
        mtu: 1500,
        accept_ra: None,
        carrier_ups: 0,
    }
}

fn system() -> System {
    let mut system = System::default();
    for (index, name, addresses) in [
        (LAN, "lan0", &["fe80::a", "2001:db8:a::1"][..]),
        (LAN1, "lan1", &["fe80::b", "2001:db8:b::1"]),
        (WAN, "wan0", &["fe80::c", "2001:db8:c::1"]),
    ] {
        system.handle(KernelEvent::Link(link(index, name)));
        for text in addresses {
            system.handle(KernelEvent::Address(address(index, text)));
        }
    }
    system
}

fn received(interface: IfIndex, source: &str, destination: &str, octets: &[u8]) -> Received {
    Received {
        interface,
        source: ip(source),
        port: 547,
        link_layer: None,
        destination: ip(destination),
        hop_limit: 64,
        fragmented: false,
        octets: octets.to_vec(),
    }
}

fn from_client(interface: IfIndex, octets: &[u8]) -> Received {
    received(interface, CLIENT, "ff02::1:2", octets)
}

fn handle(system: &System, received: &Received) -> Result<Relaying, Reject> {
    Relays::default().handle(NOW, &config(), system, received)
}

/// The Relay-forward that comes of a datagram, which is the only packet.
fn forwarded(system: &System, received: &Received) -> RelayMessage {
    let relaying = handle(system, received).unwrap();
    let [sent] = <[ServerPacket; 1]>::try_from(relaying.packets).unwrap();
    assert_eq!((sent.packet.source, sent.port), (Ipv6Addr::UNSPECIFIED, 547));
    let message = RelayMessage::decode(&sent.packet.octets).unwrap();
    assert_eq!(message.kind, RelayKind::Forward);
    assert_eq!(message.relayed().unwrap(), received.octets, "RLY-07");
    message
}

/// An answer that a server gives; `options` stand before the message inside.
fn answer(
    link_address: &str,
    peer: &str,
    mut options: Vec<RelayOption>,
    inside: &[u8],
) -> RelayMessage {
    options.push(RelayOption::RelayMessage(inside.to_vec()));
    RelayMessage {
        kind: RelayKind::Reply,
        hop_count: 0,
        link_address: ip(link_address),
        peer_address: ip(peer),
        options,
    }
}

fn from_server(answer: &RelayMessage) -> Received {
    received(WAN, SERVER, "2001:db8:c::1", &answer.encode())
}

fn id(name: &str) -> RelayOption {
    RelayOption::InterfaceId(name.as_bytes().to_vec())
}

fn duid(number: u8) -> Duid {
    Duid::new(&[0, 3, 0, 1, 2, 0, 0, 0, 0, number]).unwrap()
}

fn ia_pd(iaid: u32, prefixes: &[(&str, u32, u32)]) -> Dhcpv6Option {
    let prefixes = prefixes.iter().map(|(prefix, preferred, valid)| IaPrefix {
        prefix: prefix.parse().unwrap(),
        preferred: Lifetime::from_wire(*preferred),
        valid: Lifetime::from_wire(*valid),
        exclude: None,
        status: None,
    });
    Dhcpv6Option::IaPd(IaPd {
        iaid: Iaid(iaid),
        t1: Lifetime::ZERO,
        t2: Lifetime::ZERO,
        prefixes: prefixes.collect(),
        status: None,
    })
}

/// A message of client number `client`.
fn message(kind: MessageType, client: u8, options: &[Dhcpv6Option]) -> Message {
    let mut all = vec![Dhcpv6Option::ClientId(duid(client))];
    all.extend_from_slice(options);
    Message { kind, transaction_id: TransactionId([1, 2, 3]), options: all }
}
