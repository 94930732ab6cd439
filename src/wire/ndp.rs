//! Advertisements and solicitations of routers and neighbors (RFC 4861 §4.1 to §4.4), from the
//! ICMPv6 header on.

use std::net::Ipv6Addr;

use pnet::packet::icmpv6::ndp::{
    MutableNeighborSolicitPacket, MutableRouterAdvertPacket, MutableRouterSolicitPacket,
    NdpOptionTypes, NeighborAdvertFlags, NeighborAdvertPacket, RouterAdvertPacket,
    RouterSolicitPacket,
};
use pnet::packet::icmpv6::{Icmpv6Code, Icmpv6Type, Icmpv6Types};

use super::DecodeError;
use super::ndp_option::{NdpOption, Preference, PrefixInformation, decode_options};

/// A router advertisement.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RouterAdvertisement {
    /// Cur Hop Limit; 0 is unspecified.
    pub hop_limit: u8,
    /// M: addresses come from DHCPv6.
    pub managed: bool,
    /// O: other configuration comes from DHCPv6.
    pub other: bool,
    /// S: a stub router, such as a border router of a Thread network: bit 6 of IANA's router
    /// advertisement flags (draft-ietf-6man-snac-router-ra-flag).
    pub snac_router: bool,
    /// Default router preference; the reserved value reads as medium, and so does any value when
    /// the router lifetime is 0, with which none but medium is sent (RFC 4191 §2.2).
    pub preference: Preference,
    /// Router Lifetime in seconds; 0 is "no default router".
    pub router_lifetime: u16,
    /// Reachable Time in milliseconds; 0 is unspecified.
    pub reachable_time: u32,
    /// Retrans Timer in milliseconds; 0 is unspecified.
    pub retrans_timer: u32,
    /// The options in their order on the wire.
    pub options: Vec<NdpOption>,
}

impl RouterAdvertisement {
    const MANAGED: u8 = 0x80;
    const OTHER: u8 = 0x40;
    const SNAC_ROUTER: u8 = 0x02;

    /// Decodes an ICMPv6 message, its checksum already verified by the kernel.
    ///
    /// An option whose own content is wrong becomes [`NdpOption::Malformed`]; what the RFC wants
    /// the whole packet discarded for is an error.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for what RFC 4861 §6.1.2 discards: wrong type, code not 0, shorter than
    /// 16 octets, an option of length zero or one that runs past the end.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        // Only the header reaches pnet: its walk over options wraps on hostile lengths.
        let (header, options) = octets
            .split_at_checked(RouterAdvertPacket::minimum_packet_size())
            .ok_or(DecodeError::Truncated)?;
        let header = RouterAdvertPacket::new(header).ok_or(DecodeError::Truncated)?;
        expect_type(Icmpv6Types::RouterAdvert, header.get_icmpv6_type(), header.get_icmpv6_code())?;
        let flags = header.get_flags();
        let router_lifetime = header.get_lifetime();
        Ok(Self {
            hop_limit: header.get_hop_limit(),
            managed: flags & Self::MANAGED != 0,
            other: flags & Self::OTHER != 0,
            snac_router: flags & Self::SNAC_ROUTER != 0,
            preference: Preference::from_flags(flags)
                .filter(|_| router_lifetime > 0)
                .unwrap_or_default(),
            router_lifetime,
            reachable_time: header.get_reachable_time(),
            retrans_timer: header.get_retrans_time(),
            options: decode_options(options)?,
        })
    }

    /// Encodes the message with a checksum of zero, which the kernel fills.
    ///
    /// An option that has no form on the wire is left out: a malformed one, an empty list, a name
    /// that is none, a NAT64 prefix of an impossible length, or more than 2040 octets.
    pub fn encode(&self) -> Vec<u8> {
        let mut octets = vec![0; MutableRouterAdvertPacket::minimum_packet_size()];
        if let Some(mut header) = MutableRouterAdvertPacket::new(&mut octets) {
            header.set_icmpv6_type(Icmpv6Types::RouterAdvert);
            header.set_hop_limit(self.hop_limit);
            header.set_flags(self.flags());
            header.set_lifetime(self.router_lifetime);
            header.set_reachable_time(self.reachable_time);
            header.set_retrans_time(self.retrans_timer);
        }
        for option in &self.options {
            option.encode(&mut octets);
        }
        octets
    }

    fn flags(&self) -> u8 {
        let preference =
            if self.router_lifetime == 0 { Preference::Medium } else { self.preference };
        preference.to_flags()
            | if self.managed { Self::MANAGED } else { 0 }
            | if self.other { Self::OTHER } else { 0 }
            | if self.snac_router { Self::SNAC_ROUTER } else { 0 }
    }

    /// The prefix information options.
    pub fn prefixes(&self) -> impl Iterator<Item = &PrefixInformation> {
        self.options.iter().filter_map(|option| {
            if let NdpOption::Prefix(prefix) = option { Some(prefix) } else { None }
        })
    }
}

/// A router solicitation.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RouterSolicitation {
    /// The options in their order on the wire.
    pub options: Vec<NdpOption>,
}

impl RouterSolicitation {
    /// Decodes an ICMPv6 message, its checksum already verified by the kernel.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for what RFC 4861 §6.1.1 discards, as for an advertisement; the shortest
    /// has 8 octets.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let (header, options) = octets
            .split_at_checked(RouterSolicitPacket::minimum_packet_size())
            .ok_or(DecodeError::Truncated)?;
        let header = RouterSolicitPacket::new(header).ok_or(DecodeError::Truncated)?;
        expect_type(
            Icmpv6Types::RouterSolicit,
            header.get_icmpv6_type(),
            header.get_icmpv6_code(),
        )?;
        Ok(Self { options: decode_options(options)? })
    }

    /// Encodes the message with a checksum of zero, which the kernel fills; options as in an
    /// advertisement.
    pub fn encode(&self) -> Vec<u8> {
        let mut octets = vec![0; MutableRouterSolicitPacket::minimum_packet_size()];
        if let Some(mut header) = MutableRouterSolicitPacket::new(&mut octets) {
            header.set_icmpv6_type(Icmpv6Types::RouterSolicit);
        }
        for option in &self.options {
            option.encode(&mut octets);
        }
        octets
    }
}

/// A neighbor solicitation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NeighborSolicitation {
    /// The node whose link-layer address is asked for.
    pub target: Ipv6Addr,
    /// The link-layer address of the node that asks, where its link has such.
    pub source_link_layer: Option<Vec<u8>>,
}

impl NeighborSolicitation {
    /// The group that the holder of `address` is a member of (RFC 4291 §2.7.1).
    pub const fn group_of(address: Ipv6Addr) -> Ipv6Addr {
        let [.., a, b, c] = address.octets();
        let (high, low) = (u16::from_be_bytes([0xff, a]), u16::from_be_bytes([b, c]));
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, high, low)
    }

    /// Whether a message is one by its type.
    pub fn is_in(octets: &[u8]) -> bool {
        octets.first() == Some(&Icmpv6Types::NeighborSolicit.0)
    }

    /// Encodes the message with a checksum of zero, which the kernel fills.
    pub fn encode(&self) -> Vec<u8> {
        let mut octets = vec![0; MutableNeighborSolicitPacket::minimum_packet_size()];
        if let Some(mut packet) = MutableNeighborSolicitPacket::new(&mut octets) {
            packet.set_icmpv6_type(Icmpv6Types::NeighborSolicit);
            packet.set_target_addr(self.target);
        }
        if let Some(address) = &self.source_link_layer {
            NdpOption::SourceLinkLayer(address.clone()).encode(&mut octets);
        }
        octets
    }
}

/// A neighbor advertisement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NeighborAdvertisement {
    /// S: it answers a solicitation, so its sender is reached.
    pub solicited: bool,
    /// The node that advertises itself.
    pub target: Ipv6Addr,
    /// The target's link-layer address.
    pub target_link_layer: Option<Vec<u8>>,
}

impl NeighborAdvertisement {
    /// Decodes an ICMPv6 message, its checksum already verified by the kernel.
    ///
    /// # Errors
    ///
    /// [`DecodeError`] for what RFC 4861 §7.1.2 discards: wrong type, code not 0, shorter than
    /// 24 octets, a target that is a group, an option of length zero or one that runs past the end.
    pub fn decode(octets: &[u8]) -> Result<Self, DecodeError> {
        let (header, options) = octets
            .split_at_checked(NeighborAdvertPacket::minimum_packet_size())
            .ok_or(DecodeError::Truncated)?;
        let header = NeighborAdvertPacket::new(header).ok_or(DecodeError::Truncated)?;
        let (kind, code) = (header.get_icmpv6_type(), header.get_icmpv6_code());
        expect_type(Icmpv6Types::NeighborAdvert, kind, code)?;
        let target = header.get_target_addr();
        if target.is_multicast() {
            return Err(DecodeError::Target);
        }
        let target_link_layer = decode_options(options)?.into_iter().find_map(|option| {
            let NdpOption::Unknown { kind, body } = option else { return None };
            (kind == NdpOptionTypes::TargetLLAddr.0).then_some(body)
        });
        let solicited = header.get_flags() & NeighborAdvertFlags::Solicited != 0;
        Ok(Self { solicited, target, target_link_layer })
    }
}

fn expect_type(
    expected: Icmpv6Type,
    kind: Icmpv6Type,
    Icmpv6Code(code): Icmpv6Code,
) -> Result<(), DecodeError> {
    if kind != expected {
        return Err(DecodeError::Type(kind.0));
    }
    if code == 0 { Ok(()) } else { Err(DecodeError::Code(code)) }
}

#[cfg(test)]
mod tests;
