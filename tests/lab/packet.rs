//! Frames: what is in one, and how to make one that no kernel would send.

use std::net::Ipv6Addr;
use std::time::Duration;

use pnet::packet::ethernet::{EtherTypes, EthernetPacket, MutableEthernetPacket};
use pnet::packet::icmpv6::{self, Icmpv6Packet, MutableIcmpv6Packet};
use pnet::packet::ip::{IpNextHeaderProtocol, IpNextHeaderProtocols};
use pnet::packet::ipv6::{Ipv6Packet, MutableIpv6Packet};
use pnet::packet::udp::{self, MutableUdpPacket, UdpPacket};
use pnet::packet::{MutablePacket as _, Packet as _};
use pnet::util::MacAddr;
use renumberd::net::ALL_NODES;
use renumberd::wire::dhcpv6::Message;
use renumberd::wire::ndp::RouterAdvertisement;

const ETHERNET: usize = 14;
const IPV6: usize = 40;
const UDP: usize = 8;

/// A frame as it was seen.
#[derive(Clone, Debug)]
pub struct Frame {
    /// CLOCK_MONOTONIC.
    pub at: Duration,
    /// Zero where the link has no link-layer addresses.
    pub source_mac: MacAddr,
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub hop_limit: u8,
    pub content: Content,
}

/// What matters in a frame.
#[derive(Clone, PartialEq, Debug)]
pub enum Content {
    Solicitation,
    Advertisement(RouterAdvertisement),
    Dhcp(Message),
    Other,
}

/// Reads a frame that came on a link with Ethernet headers or, a tun device, without.
pub fn parse(at: Duration, octets: &[u8], ethernet: bool) -> Option<Frame> {
    let mut source_mac = MacAddr::zero();
    let mut packet = octets;
    if ethernet {
        let frame = EthernetPacket::new(octets)?;
        if frame.get_ethertype() != EtherTypes::Ipv6 {
            return None;
        }
        source_mac = frame.get_source();
        packet = octets.get(ETHERNET..)?;
    }
    let ip = Ipv6Packet::new(packet)?;
    Some(Frame {
        at,
        source_mac,
        source: ip.get_source(),
        destination: ip.get_destination(),
        hop_limit: ip.get_hop_limit(),
        content: content(&ip),
    })
}

fn content(ip: &Ipv6Packet<'_>) -> Content {
    let known = match ip.get_next_header() {
        IpNextHeaderProtocols::Icmpv6 => match ip.payload().first() {
            Some(133) => Some(Content::Solicitation),
            Some(134) => RouterAdvertisement::decode(ip.payload()).ok().map(Content::Advertisement),
            _ => None,
        },
        IpNextHeaderProtocols::Udp => UdpPacket::new(ip.payload())
            .filter(|udp| [546, 547].contains(&udp.get_destination()))
            .and_then(|udp| Message::decode(udp.payload()).ok())
            .map(Content::Dhcp),
        _ => None,
    };
    known.unwrap_or(Content::Other)
}

/// Everything around the content of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Envelope {
    pub source_mac: MacAddr,
    pub destination_mac: MacAddr,
    pub source: Ipv6Addr,
    pub destination: Ipv6Addr,
    pub hop_limit: u8,
}

impl Envelope {
    /// To all nodes, as an advertisement goes.
    pub const fn to_all_nodes(source_mac: MacAddr, source: Ipv6Addr) -> Self {
        let destination_mac = MacAddr(0x33, 0x33, 0, 0, 0, 1);
        Self { source_mac, destination_mac, source, destination: ALL_NODES, hop_limit: 255 }
    }

    /// A frame around an ICMPv6 message, its checksum made right.
    pub fn icmpv6(&self, message: &[u8]) -> Vec<u8> {
        self.frame(IpNextHeaderProtocols::Icmpv6, &self.with_checksum(message))
    }

    /// The same in two fragments.
    pub fn icmpv6_in_fragments(&self, message: &[u8]) -> [Vec<u8>; 2] {
        let message = self.with_checksum(message);
        let (first, second) = message.split_at(8);
        [(first, 0_u16, 1_u16), (second, 1, 0)].map(|(part, offset, more)| {
            let place = (offset << 3) | more;
            let header = [58, 0, place.to_be_bytes()[0], place.to_be_bytes()[1], 0, 0, 0, 7];
            self.frame(IpNextHeaderProtocols::Ipv6Frag, &[&header, part].concat())
        })
    }

    /// A frame around a UDP datagram.
    pub fn udp(&self, ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
        let length = UDP + payload.len();
        let mut datagram = MutableUdpPacket::owned(vec![0; length]).unwrap();
        datagram.set_source(ports.0);
        datagram.set_destination(ports.1);
        datagram.set_length(u16::try_from(length).unwrap());
        datagram.set_payload(payload);
        let sum = udp::ipv6_checksum(&datagram.to_immutable(), &self.source, &self.destination);
        datagram.set_checksum(sum);
        self.frame(IpNextHeaderProtocols::Udp, datagram.packet())
    }

    fn with_checksum(&self, message: &[u8]) -> Vec<u8> {
        let mut message = message.to_vec();
        // Too short for a checksum: it goes out as it is.
        if message.len() >= 4 {
            let packet = Icmpv6Packet::new(&message).unwrap();
            let sum = icmpv6::checksum(&packet, &self.source, &self.destination);
            MutableIcmpv6Packet::new(&mut message).unwrap().set_checksum(sum);
        }
        message
    }

    /// A frame around anything.
    pub fn frame(&self, next_header: IpNextHeaderProtocol, payload: &[u8]) -> Vec<u8> {
        let mut octets = vec![0; ETHERNET + IPV6 + payload.len()];
        let mut ethernet = MutableEthernetPacket::new(&mut octets).unwrap();
        ethernet.set_source(self.source_mac);
        ethernet.set_destination(self.destination_mac);
        ethernet.set_ethertype(EtherTypes::Ipv6);
        let mut ip = MutableIpv6Packet::new(ethernet.payload_mut()).unwrap();
        ip.set_version(6);
        ip.set_payload_length(u16::try_from(payload.len()).unwrap());
        ip.set_next_header(next_header);
        ip.set_hop_limit(self.hop_limit);
        ip.set_source(self.source);
        ip.set_destination(self.destination);
        ip.set_payload(payload);
        octets
    }
}
