//! The messages of a hostile neighbor, each as a frame.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use pnet::util::MacAddr;
use renumberd::net::{ALL_DHCP_SERVERS, ALL_NODES, ALL_ROUTERS, ALL_SITE_DHCP_SERVERS};
use renumberd::time::Lifetime;
use renumberd::wire::dhcpv6::{Message as Dhcpv6, MessageType, TransactionId};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, IaPrefix, Iaid};
use renumberd::wire::dhcpv6_relay::{RelayKind, RelayMessage, RelayOption};
use renumberd::wire::ndp::{RouterAdvertisement, RouterSolicitation};
use renumberd::wire::ndp_option::{NdpOption, PrefixInformation};

use crate::lab::site::DUID;
use renumberd::lab::site::frames::Envelope;

const HOSTILE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xbad, 1);
const STRANGER: Ipv6Addr = Ipv6Addr::new(0x3fff, 0xbad, 0, 0, 0, 0, 0, 1);

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    UnchangedAdvertisement,
    NewAdvertisement,
    RouterSolicitation,
    Solicit,
    RapidSolicit,
    UnknownRelease,
    ForgedRelease,
    RelayFromStranger,
    RelayOnLink,
}

/// A frame and where it is sent.
pub struct Message {
    pub frame: Vec<u8>,
    pub from_above: bool,
}

impl Kind {
    /// In the order of measuring: those that can take something away come last.
    pub const ALL: [Self; 9] = [
        Self::UnchangedAdvertisement,
        Self::RouterSolicitation,
        Self::UnknownRelease,
        Self::Solicit,
        Self::RelayFromStranger,
        Self::RelayOnLink,
        Self::NewAdvertisement,
        Self::ForgedRelease,
        Self::RapidSolicit,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::UnchangedAdvertisement => "RA, unchanged",
            Self::NewAdvertisement => "RA, each with another prefix",
            Self::RouterSolicitation => "RS",
            Self::Solicit => "Solicit, each of another DUID",
            Self::RapidSolicit => "the same with Rapid Commit",
            Self::UnknownRelease => "Release of an unknown DUID",
            Self::ForgedRelease => "Release in the name of another",
            Self::RelayFromStranger => "Relay-forward of a stranger",
            Self::RelayOnLink => "Relay-forward on the link",
        }
    }
}

/// The message with this number.
pub fn make(kind: Kind, number: u32, given: &[Ipv6Net]) -> Message {
    // Not those of the bindings.
    let unknown = number + 0x0100_0000;
    let from_above = matches!(kind, Kind::UnchangedAdvertisement | Kind::NewAdvertisement);
    let dhcpv6 = |message: &Dhcpv6| envelope(ALL_DHCP_SERVERS).udp((546, 547), &message.encode());
    let frame = match kind {
        Kind::UnchangedAdvertisement => advertisement(0, 1800),
        Kind::NewAdvertisement => advertisement(number, 600 + number % 1000),
        Kind::RouterSolicitation => {
            let octets = RouterSolicitation { options: Vec::new() }.encode();
            envelope(ALL_ROUTERS).icmpv6(&octets)
        }
        Kind::Solicit => {
            let mut message = rapid_solicit(unknown);
            message.options.retain(|option| *option != Dhcpv6Option::RapidCommit);
            dhcpv6(&message)
        }
        Kind::RapidSolicit => dhcpv6(&rapid_solicit(unknown)),
        Kind::UnknownRelease => dhcpv6(&release(unknown, "2001:db8:8000:7::/64".parse().unwrap())),
        Kind::ForgedRelease => {
            let at = usize::try_from(number).unwrap() % given.len().max(1);
            let prefix = given.get(at).copied().unwrap_or_default();
            dhcpv6(&release(u32::try_from(at).unwrap(), prefix))
        }
        Kind::RelayFromStranger => {
            let far = Envelope {
                source: STRANGER,
                hop_limit: 64,
                destination_mac: MacAddr(0x33, 0x33, 0, 1, 0, 3),
                ..envelope(ALL_SITE_DHCP_SERVERS)
            };
            far.udp((547, 547), &relayed(unknown))
        }
        Kind::RelayOnLink => envelope(ALL_DHCP_SERVERS).udp((547, 547), &relayed(unknown)),
    };
    Message { frame, from_above }
}

fn envelope(destination: Ipv6Addr) -> Envelope {
    let [.., a, b, c, d] = destination.octets();
    Envelope {
        source_mac: MacAddr(2, 0, 0, 0, 0xba, 0xd1),
        destination_mac: MacAddr(0x33, 0x33, a, b, c, d),
        source: HOSTILE,
        destination,
        hop_limit: 255,
    }
}

fn advertisement(number: u32, valid: u32) -> Vec<u8> {
    let [high, low] = [number >> 16, number].map(|half| u16::try_from(half & 0xffff).unwrap());
    let address = Ipv6Addr::new(0x3fff, 0xbad, high, low, 0, 0, 0, 0);
    let prefix = PrefixInformation {
        prefix: Ipv6Net::new(address, 64).unwrap(),
        on_link: true,
        autonomous: true,
        delegation_preferred: false,
        valid: Lifetime::Finite(valid),
        preferred: Lifetime::Finite(valid),
    };
    let options = vec![NdpOption::Prefix(prefix)];
    let octets =
        RouterAdvertisement { router_lifetime: 0, options, ..RouterAdvertisement::default() };
    envelope(ALL_NODES).icmpv6(&octets.encode())
}

fn duid_of(number: u32) -> Duid {
    let mut uuid = [0x42; 16];
    uuid[12..].copy_from_slice(&number.to_be_bytes());
    Duid::from_uuid(uuid)
}

/// The link-layer address of a router with a binding.
pub fn link_layer_of(number: u32) -> Vec<u8> {
    [&[2, 1], &number.to_be_bytes()[..]].concat()
}

/// The link-local address of a router with a binding.
pub fn address_of(number: u32) -> Ipv6Addr {
    let [high, low] = [number >> 16, number].map(|half| u16::try_from(half & 0xffff).unwrap());
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 1, high, low)
}

fn message(kind: MessageType, number: u32, mut options: Vec<Dhcpv6Option>) -> Dhcpv6 {
    let [_, a, b, c] = number.to_be_bytes();
    options.insert(0, Dhcpv6Option::ClientId(duid_of(number)));
    Dhcpv6 { kind, transaction_id: TransactionId([a, b, c]), options }
}

fn ia(prefixes: Vec<IaPrefix>) -> Dhcpv6Option {
    let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
    Dhcpv6Option::IaPd(IaPd { iaid: Iaid(1), t1, t2, prefixes, status: None })
}

/// A Solicit with Rapid Commit of a router by number.
pub fn rapid_solicit(number: u32) -> Dhcpv6 {
    message(MessageType::Solicit, number, vec![Dhcpv6Option::RapidCommit, ia(Vec::new())])
}

fn release(number: u32, prefix: Ipv6Net) -> Dhcpv6 {
    let octets: Vec<u8> =
        DUID.split(':').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
    let server = Dhcpv6Option::ServerId(Duid::new(&octets).unwrap());
    let prefix = IaPrefix {
        prefix,
        preferred: Lifetime::ZERO,
        valid: Lifetime::ZERO,
        exclude: None,
        status: None,
    };
    message(MessageType::Release, number, vec![server, ia(vec![prefix])])
}

fn relayed(number: u32) -> Vec<u8> {
    RelayMessage {
        kind: RelayKind::Forward,
        hop_count: 0,
        link_address: Ipv6Addr::UNSPECIFIED,
        peer_address: address_of(number),
        options: vec![RelayOption::RelayMessage(rapid_solicit(number).encode())],
    }
    .encode()
}
