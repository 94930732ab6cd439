//! Steps as netlink requests.

use std::net::{IpAddr, Ipv6Addr};

use ipnet::Ipv6Net;
use netlink_packet_core::{
    NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeader, AddressMessage, AddressProtocol, CacheInfo,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::MARK;
use crate::core::kernel::system::{KernelAddress, KernelRoute, RouteTarget};
use crate::core::output::{Object, Step};
use crate::net::IfIndex;
use crate::time::{Instant, Until};

/// The most attributes of a route.
const ROUTE_ATTRIBUTES: usize = 5;

/// The netlink request for a step; none where the step is taken in another way.
pub(super) fn request(
    now: Instant,
    step: &Step,
    mark: bool,
) -> Option<NetlinkMessage<RouteNetlinkMessage>> {
    let (flags, message) = match step {
        Step::Set(Object::Address(wanted)) | Step::Replace(Object::Address(wanted)) => (
            NLM_F_CREATE | NLM_F_REPLACE,
            RouteNetlinkMessage::NewAddress(address(now, wanted, mark)),
        ),
        Step::Remove(Object::Address(has)) => {
            let mut message = AddressMessage::default();
            message.header = address_header(has.interface.0, has.prefix_len);
            message.attributes = vec![AddressAttribute::Address(IpAddr::V6(has.address))];
            (0, RouteNetlinkMessage::DelAddress(message))
        }
        Step::Set(Object::Route(wanted)) => {
            (NLM_F_CREATE | NLM_F_EXCL, RouteNetlinkMessage::NewRoute(route(now, wanted)))
        }
        Step::Replace(Object::Route(wanted)) => {
            (NLM_F_CREATE | NLM_F_REPLACE, RouteNetlinkMessage::NewRoute(route(now, wanted)))
        }
        Step::Remove(Object::Route(has)) => {
            let mut message = route(now, has);
            message.attributes.retain(|attribute| !matches!(attribute, RouteAttribute::Expires(_)));
            (0, RouteNetlinkMessage::DelRoute(message))
        }
        Step::Set(Object::LostRouter(interface, router, destination)) => {
            (0, RouteNetlinkMessage::DelRoute(learnt(*interface, *router, *destination)))
        }
        Step::Set(_) | Step::Replace(_) | Step::Remove(_) => return None,
    };
    Some(request_with(flags, message))
}

/// A route that the kernel has learnt from a router's advertisements. The request names it, without
/// a search among all routes: a node that floods a link makes the kernel learn a hundred thousand
/// of them.
fn learnt(interface: IfIndex, router: Ipv6Addr, destination: Ipv6Net) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet6;
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Ra;
    message.header.destination_prefix_length = destination.prefix_len();
    message.attributes = vec![
        RouteAttribute::Destination(RouteAddress::Inet6(destination.network())),
        RouteAttribute::Oif(interface.0),
        RouteAttribute::Gateway(RouteAddress::Inet6(router)),
    ];
    message
}

/// A request that the kernel answers if it refuses it.
pub(crate) fn request_with(
    flags: u16,
    message: RouteNetlinkMessage,
) -> NetlinkMessage<RouteNetlinkMessage> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | flags;
    NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message))
}

const fn address_header(interface: u32, prefix_len: u8) -> AddressHeader {
    AddressHeader {
        family: AddressFamily::Inet6,
        prefix_len,
        flags: netlink_packet_route::address::AddressHeaderFlags::empty(),
        scope: netlink_packet_route::address::AddressScope::Universe,
        index: interface,
    }
}

fn address(now: Instant, wanted: &KernelAddress, mark: bool) -> AddressMessage {
    // The kernel refuses a valid lifetime of zero, and a preferred one above it.
    let valid = wanted.valid_until.remaining(now).to_wire().max(1);
    let mut lifetimes = CacheInfo::default();
    lifetimes.ifa_valid = valid;
    lifetimes.ifa_preferred = wanted.preferred_until.remaining(now).to_wire().min(valid);
    let mut message = AddressMessage::default();
    message.header = address_header(wanted.interface.0, wanted.prefix_len);
    message.attributes = vec![
        AddressAttribute::Address(IpAddr::V6(wanted.address)),
        AddressAttribute::CacheInfo(lifetimes),
        // The agent sets the route to the link in a step of its own: the kernel's route would stay
        // behind when an address with a finite lifetime is removed.
        AddressAttribute::Flags(AddressFlags::Noprefixroute),
    ];
    if mark {
        message.attributes.push(AddressAttribute::Protocol(AddressProtocol::Other(MARK)));
    }
    message
}

fn route(now: Instant, wanted: &KernelRoute) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header = RouteHeader {
        address_family: AddressFamily::Inet6,
        destination_prefix_length: wanted.destination.prefix_len(),
        table: RouteHeader::RT_TABLE_MAIN,
        protocol: RouteProtocol::Other(MARK),
        scope: RouteScope::Universe,
        kind: match wanted.target {
            RouteTarget::Gateway(..) | RouteTarget::OnLink(_) => RouteType::Unicast,
            RouteTarget::Unreachable => RouteType::Unreachable,
        },
        ..RouteHeader::default()
    };
    // There are as many of these as routes: the capacity is allocated once.
    message.attributes = Vec::with_capacity(ROUTE_ATTRIBUTES);
    message.attributes.extend([
        RouteAttribute::Destination(RouteAddress::Inet6(wanted.destination.network())),
        RouteAttribute::Priority(wanted.metric),
    ]);
    if let Some(interface) = wanted.target.interface() {
        message.attributes.push(RouteAttribute::Oif(interface.0));
    }
    if let RouteTarget::Gateway(_, router) = wanted.target {
        message.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet6(router)));
    }
    if let Until::At(_) = wanted.until {
        message
            .attributes
            .push(RouteAttribute::Expires(wanted.until.remaining(now).to_wire().max(1)));
    }
    message
}
