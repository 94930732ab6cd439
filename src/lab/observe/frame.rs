//! What is in a packet that was seen on a link.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use pnet::packet::Packet as _;
use pnet::packet::icmpv6::Icmpv6Types;
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::packet::ipv6::Ipv6Packet;
use pnet::packet::udp::UdpPacket;
use pnet::util::MacAddr;

use crate::net::{DHCP_CLIENT_PORT, DHCP_SERVER_PORT};
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::IaPd;
use crate::wire::ndp::RouterAdvertisement;
use crate::wire::ndp_option::PrefixInformation;

/// Which way a packet goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// It arrives.
    In,
    /// It leaves.
    Out,
}

/// An IPv6 packet as it was seen.
#[derive(Clone, PartialEq, Debug)]
pub struct Frame {
    /// When the kernel saw it, since boot.
    pub at: Duration,
    /// Whether it arrives where it was seen, or leaves.
    pub way: Way,
    /// The sender on this link; zero where the link has no link-layer addresses.
    pub source_mac: MacAddr,
    /// Source address.
    pub source: Ipv6Addr,
    /// Destination address.
    pub destination: Ipv6Addr,
    /// Hop limit.
    pub hop_limit: u8,
    /// What it holds.
    pub content: Content,
}

/// What a packet holds.
#[derive(Clone, PartialEq, Debug)]
pub enum Content {
    /// A router solicitation.
    Solicitation,
    /// A router advertisement.
    Advertisement(RouterAdvertisement),
    /// A DHCPv6 message.
    Dhcpv6(Message),
    /// Something else, or something malformed.
    Other,
}

impl Content {
    /// Reads a packet from its IPv6 header on.
    pub fn of(ip: &Ipv6Packet<'_>) -> Self {
        let payload = ip.payload();
        let known = match ip.get_next_header() {
            IpNextHeaderProtocols::Icmpv6 => match payload.first() {
                Some(kind) if *kind == Icmpv6Types::RouterSolicit.0 => Some(Self::Solicitation),
                Some(kind) if *kind == Icmpv6Types::RouterAdvert.0 => {
                    RouterAdvertisement::decode(payload).ok().map(Self::Advertisement)
                }
                _ => None,
            },
            IpNextHeaderProtocols::Udp => UdpPacket::new(payload)
                .filter(|udp| [DHCP_CLIENT_PORT, DHCP_SERVER_PORT].contains(&udp.get_destination()))
                .and_then(|udp| Message::decode(udp.payload()).ok())
                .map(Self::Dhcpv6),
            _ => None,
        };
        known.unwrap_or(Self::Other)
    }
}

impl Frame {
    /// Whether it is a router solicitation.
    pub const fn is_solicitation(&self) -> bool {
        matches!(self.content, Content::Solicitation)
    }

    /// The router advertisement that it holds.
    pub const fn advertisement(&self) -> Option<&RouterAdvertisement> {
        match &self.content {
            Content::Advertisement(advertisement) => Some(advertisement),
            Content::Solicitation | Content::Dhcpv6(_) | Content::Other => None,
        }
    }

    /// The DHCPv6 message that it holds.
    pub const fn dhcp(&self) -> Option<&Message> {
        match &self.content {
            Content::Dhcpv6(message) => Some(message),
            Content::Solicitation | Content::Advertisement(_) | Content::Other => None,
        }
    }

    /// Whether it holds a DHCPv6 message of this type.
    pub fn is_dhcp(&self, kind: MessageType) -> bool {
        self.dhcp().is_some_and(|message| message.kind == kind)
    }

    /// Whether it holds a message of a requesting router that asks for prefixes.
    pub fn asks_for_prefixes(&self) -> bool {
        use MessageType::{Rebind, Renew, Request, Solicit};
        [Solicit, Request, Renew, Rebind].into_iter().any(|kind| self.is_dhcp(kind))
    }

    /// The prefix information options of its advertisement.
    pub fn prefixes(&self) -> Vec<PrefixInformation> {
        let advertisement = self.advertisement().into_iter();
        advertisement.flat_map(RouterAdvertisement::prefixes).copied().collect()
    }

    /// Whether its advertisement brings a preferred prefix inside of `net`.
    pub fn advertises(&self, net: Ipv6Net) -> bool {
        self.prefixes()
            .iter()
            .any(|found| net.contains(&found.prefix) && !found.preferred.is_zero())
    }

    /// Whether its advertisement deprecates or withdraws a prefix inside of `net`.
    pub fn deprecates(&self, net: Ipv6Net) -> bool {
        self.prefixes().iter().any(|found| net.contains(&found.prefix) && found.preferred.is_zero())
    }

    /// The IA_PDs of its message.
    pub fn ia_pds(&self) -> Vec<IaPd> {
        self.dhcp().into_iter().flat_map(Message::ia_pds).cloned().collect()
    }
}
