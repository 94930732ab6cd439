//! Addresses and routes that the kernel formed from router advertisements before an interface
//! became ours.
//!
//! Switching its processing off (`accept_ra` 0) leaves them in place until their lifetimes end,
//! beside ours (RA-RX-80).

use std::io;
use std::net::IpAddr;

use ipnet::Ipv6Net;
use netlink_packet_core::NetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressProtocol};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteProtocol};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::encode::request_with;
use super::kernel::Kernel;
use crate::net::IfIndex;

/// Removes the addresses that the kernel formed from advertisements on `interface`, the routes to
/// their links, and the routes that it learnt there; of one prefix, where that is given, its
/// addresses and its route alone. It is no error if they are gone already.
pub(super) fn drop_kernel_made(
    kernel: &mut Kernel,
    interface: IfIndex,
    prefix: Option<Ipv6Net>,
) -> io::Result<()> {
    let mut addresses = Vec::new();
    let mut request = AddressMessage::default();
    request.header.family = AddressFamily::Inet6;
    kernel.dump_each(RouteNetlinkMessage::GetAddress(request), &mut |message| {
        if let RouteNetlinkMessage::NewAddress(found) = message
            && found.header.index == interface.0
            && is_kernel_made(&found)
            && prefix.is_none_or(|prefix| link_of(&found) == Some(prefix))
        {
            addresses.push(found);
        }
    })?;
    let mut links: Vec<Ipv6Net> = addresses.iter().filter_map(link_of).collect();
    links.extend(prefix);
    let mut routes = Vec::new();
    let mut request = RouteMessage::default();
    request.header.address_family = AddressFamily::Inet6;
    kernel.dump_each(RouteNetlinkMessage::GetRoute(request), &mut |message| {
        if let RouteNetlinkMessage::NewRoute(found) = message
            && leaves_through(&found, interface)
            && (leads_to(&found, &links)
                || (prefix.is_none() && found.header.protocol == RouteProtocol::Ra))
        {
            routes.push(found);
        }
    })?;
    let routes = routes.into_iter().map(RouteNetlinkMessage::DelRoute);
    let addresses = addresses.into_iter().map(RouteNetlinkMessage::DelAddress);
    kernel.request(routes.chain(addresses).map(removal).collect()).map(drop)
}

fn removal(message: RouteNetlinkMessage) -> NetlinkMessage<RouteNetlinkMessage> {
    request_with(0, message)
}

/// A kernel before 5.18 does not report the origin of an address: there the addresses stay until
/// their lifetimes end.
fn is_kernel_made(address: &AddressMessage) -> bool {
    let made = AddressAttribute::Protocol(AddressProtocol::RouterAnnouncement);
    address.attributes.contains(&made)
}

fn link_of(address: &AddressMessage) -> Option<Ipv6Net> {
    address.attributes.iter().find_map(|attribute| {
        let AddressAttribute::Address(IpAddr::V6(found)) = attribute else { return None };
        Ipv6Net::new(*found, address.header.prefix_len).ok().map(|net| net.trunc())
    })
}

fn leaves_through(route: &RouteMessage, interface: IfIndex) -> bool {
    route.attributes.contains(&RouteAttribute::Oif(interface.0))
}

/// Whether it is the kernel's own route to one of `links`, and one that ends: an address without
/// end brings one that does not.
fn leads_to(route: &RouteMessage, links: &[Ipv6Net]) -> bool {
    let ends = route
        .attributes
        .iter()
        .any(|attribute| matches!(attribute, RouteAttribute::CacheInfo(info) if info.expires != 0));
    let destination = route.attributes.iter().find_map(|attribute| {
        let RouteAttribute::Destination(RouteAddress::Inet6(network)) = attribute else {
            return None;
        };
        Ipv6Net::new(*network, route.header.destination_prefix_length).ok()
    });
    ends && route.header.protocol == RouteProtocol::Kernel
        && destination.is_some_and(|destination| links.contains(&destination))
}
