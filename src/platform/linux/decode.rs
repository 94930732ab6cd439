//! Netlink messages as kernel events.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ipnet::Ipv6Net;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol,
};
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, LinkAttribute, LinkFlags, LinkLayerType, LinkMessage,
};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::MARK;
use crate::core::kernel::system::KernelEvent;
use crate::core::kernel::system::{KernelAddress, KernelRoute, Link, Origin, RouteTarget};
use crate::net::IfIndex;
use crate::time::{Instant, Lifetime, Until};

/// Ticks of a route's expiry in a second (USER_HZ).
const TICKS: u64 = 100;

/// The events of a message, in this order; none where it does not concern us.
pub(super) fn events(
    now: Instant,
    message: &RouteNetlinkMessage,
) -> impl Iterator<Item = KernelEvent> + use<> {
    duplicate(now, message).into_iter().chain(event(now, message))
}

/// The kernel removes a duplicate with a finite lifetime at once: only the message of its removal
/// shows the reason. One with an infinite lifetime it keeps: it is the agent, or another program,
/// that has removed it, and no duplicate is found then.
fn duplicate(now: Instant, message: &RouteNetlinkMessage) -> Option<KernelEvent> {
    let RouteNetlinkMessage::DelAddress(message) = message else { return None };
    let is_found = |has: &KernelAddress| has.duplicate && has.valid_until != Until::Never;
    address(now, message).filter(is_found).map(KernelEvent::Address)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, of which seven concern us")]
fn event(now: Instant, message: &RouteNetlinkMessage) -> Option<KernelEvent> {
    match message {
        // A bridge sends messages of its own family about its ports: NewLink without the count of
        // carriers, and DelLink for a port that leaves it.
        RouteNetlinkMessage::NewLink(message) | RouteNetlinkMessage::DelLink(message)
            if message.header.interface_family != AddressFamily::Unspec =>
        {
            None
        }
        RouteNetlinkMessage::NewLink(message) => link(message).map(KernelEvent::Link),
        RouteNetlinkMessage::DelLink(message) => {
            Some(KernelEvent::LinkGone(IfIndex(message.header.index)))
        }
        RouteNetlinkMessage::NewAddress(message) => address(now, message).map(KernelEvent::Address),
        RouteNetlinkMessage::DelAddress(message) => {
            let KernelAddress { interface, address, .. } = address(now, message)?;
            Some(KernelEvent::AddressGone { interface, address })
        }
        RouteNetlinkMessage::NewNeighbour(message) => unreachable(message),
        RouteNetlinkMessage::NewRoute(message) => route(now, message).map(KernelEvent::Route),
        RouteNetlinkMessage::DelRoute(message) => route(now, message).map(KernelEvent::RouteGone),
        _ => None,
    }
}

/// A router that does not answer. Entries of other nodes are left out: a node that scans a link
/// makes many.
fn unreachable(message: &NeighbourMessage) -> Option<KernelEvent> {
    let header = &message.header;
    let is_one =
        header.state == NeighbourState::Failed && header.flags.contains(NeighbourFlags::Router);
    let address = message.attributes.iter().find_map(|attribute| {
        if let NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) = attribute {
            Some(*address)
        } else {
            None
        }
    });
    let interface = IfIndex(header.ifindex);
    address.filter(|_| is_one).map(|address| KernelEvent::Unreachable { interface, address })
}

fn link(message: &LinkMessage) -> Option<Link> {
    let mut name = None;
    let mut mtu = 0;
    let mut link_layer_address = None;
    let mut accept_ra = None;
    let mut carrier_ups = 0;
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, of which five concern us")]
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = Some(text.clone()),
            LinkAttribute::Mtu(octets) => mtu = *octets,
            LinkAttribute::Address(octets) => link_layer_address = Some(octets.clone()),
            LinkAttribute::CarrierUpCount(count) => carrier_ups = *count,
            LinkAttribute::AfSpecUnspec(families) => accept_ra = accepts_advertisements(families),
            _ => {}
        }
    }
    let flags = message.header.flags;
    let without_address = matches!(
        message.header.link_layer_type,
        LinkLayerType::None | LinkLayerType::Ppp | LinkLayerType::Tunnel6 | LinkLayerType::Rawip
    );
    Some(Link {
        index: IfIndex(message.header.index),
        name: name?,
        running: flags.contains(LinkFlags::Up | LinkFlags::LowerUp | LinkFlags::Running),
        multicast: flags.contains(LinkFlags::Multicast),
        point_to_point: flags.contains(LinkFlags::Pointopoint),
        link_layer_address: link_layer_address.filter(|octets| {
            !without_address && !octets.is_empty() && octets.iter().any(|octet| *octet != 0)
        }),
        mtu,
        accept_ra,
        carrier_ups,
    })
}

/// The setting of an interface with IPv6.
fn accepts_advertisements(families: &[AfSpecUnspec]) -> Option<i32> {
    let settings = families.iter().filter_map(|family| {
        if let AfSpecUnspec::Inet6(settings) = family { Some(settings) } else { None }
    });
    settings.flatten().find_map(|setting| {
        if let AfSpecInet6::DevConf(values) = setting { Some(values.accept_ra) } else { None }
    })
}

fn address(now: Instant, message: &AddressMessage) -> Option<KernelAddress> {
    let mut found = None;
    let mut flags = AddressFlags::empty();
    let mut ends = (Until::Never, Until::Never);
    let mut ours = false;
    let mut is_of_advertisement = false;
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, of which five concern us")]
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(IpAddr::V6(address)) if found.is_none() => {
                found = Some(*address);
            }
            // On a point-to-point address this is our end, and the other the peer's.
            AddressAttribute::Local(IpAddr::V6(address)) => found = Some(*address),
            AddressAttribute::Flags(bits) => flags = *bits,
            AddressAttribute::CacheInfo(info) => {
                let end = |seconds| Until::after(now, Lifetime::from_wire(seconds));
                ends = (end(info.ifa_preferred), end(info.ifa_valid));
            }
            AddressAttribute::Protocol(protocol) => {
                ours = *protocol == AddressProtocol::Other(MARK);
                is_of_advertisement = *protocol == AddressProtocol::RouterAnnouncement;
            }
            _ => {}
        }
    }
    Some(KernelAddress {
        interface: IfIndex(message.header.index),
        address: found?,
        prefix_len: message.header.prefix_len,
        preferred_until: ends.0,
        valid_until: ends.1,
        // From an optimistic address packets can leave (RFC 4429).
        tentative: flags.contains(AddressFlags::Tentative)
            && !flags.contains(AddressFlags::Optimistic),
        duplicate: flags.contains(AddressFlags::Dadfailed),
        ours,
        // Only the kernel itself can make a temporary one, which it does not mark.
        origin: match is_of_advertisement {
            true => Origin::Advertisement,
            false if flags.contains(AddressFlags::Secondary) => Origin::Temporary,
            false => Origin::Other,
        },
    })
}

/// A route with our mark in the main table.
fn route(now: Instant, message: &RouteMessage) -> Option<KernelRoute> {
    let header = &message.header;
    if header.protocol != RouteProtocol::Other(MARK) || header.table != RouteHeader::RT_TABLE_MAIN {
        return None;
    }
    let mut network = Ipv6Addr::UNSPECIFIED;
    let mut metric = 0;
    let mut interface = None;
    let mut gateway = None;
    let mut until = Until::Never;
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, of which five concern us")]
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet6(address)) => network = *address,
            RouteAttribute::Priority(priority) => metric = *priority,
            RouteAttribute::Oif(index) => interface = Some(IfIndex(*index)),
            RouteAttribute::Gateway(RouteAddress::Inet6(address)) => gateway = Some(*address),
            RouteAttribute::CacheInfo(info) if info.expires != 0 => {
                // Negative once it is over: the kernel collects such routes at its leisure.
                let ticks = u64::from(info.expires.cast_signed().max(0).unsigned_abs());
                until = Until::At(now + Duration::from_millis(ticks * 1000 / TICKS));
            }
            _ => {}
        }
    }
    let target = match (header.kind, interface, gateway) {
        (RouteType::Unreachable, _, _) => RouteTarget::Unreachable,
        (_, Some(interface), Some(gateway)) => RouteTarget::Gateway(interface, gateway),
        (_, Some(interface), None) => RouteTarget::OnLink(interface),
        (_, None, _) => return None,
    };
    let destination = Ipv6Net::new(network, header.destination_prefix_length).ok()?;
    Some(KernelRoute { destination, target, metric, until })
}
