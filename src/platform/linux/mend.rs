//! Corrections of the addresses that the kernel of a host has formed, where the kernel cannot know
//! that a prefix is gone.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::NLM_F_REPLACE;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressProtocol, CacheInfo,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::encode::request_with;
use super::kernel::Kernel;
use crate::core::kernel::object::Deprecation;

/// The flags that a request may give an address. The kernel clears those that are left out: without
/// the first it would remove the temporary addresses too (RFC 8981).
const CARRIED: AddressFlags = AddressFlags::Managetempaddr
    .union(AddressFlags::Noprefixroute)
    .union(AddressFlags::Homeaddress)
    .union(AddressFlags::Mcautojoin)
    .union(AddressFlags::Nodad)
    .union(AddressFlags::Optimistic);

/// Sets the preferred lifetime of an address that the kernel formed to zero and leaves all else as
/// it is. It is no error if the address does not exist any more.
pub(super) fn deprecate(kernel: &mut Kernel, wanted: &Deprecation) -> io::Result<()> {
    let mut found = None;
    let mut request = AddressMessage::default();
    request.header.family = AddressFamily::Inet6;
    request.header.index = wanted.interface.0;
    kernel.dump_each(RouteNetlinkMessage::GetAddress(request), &mut |message| {
        if let RouteNetlinkMessage::NewAddress(has) = message
            && has.header.index == wanted.interface.0
            && has.attributes.contains(&AddressAttribute::Address(wanted.address.into()))
            && is_kernel_made(&has)
        {
            found = Some(has);
        }
    })?;
    let Some(has) = found else { return Ok(()) };
    let message = RouteNetlinkMessage::NewAddress(deprecated(&has, wanted));
    refused(kernel.request(vec![request_with(NLM_F_REPLACE, message)])?)
}

fn deprecated(has: &AddressMessage, wanted: &Deprecation) -> AddressMessage {
    let mut lifetimes = CacheInfo::default();
    let mut flags = AddressFlags::empty();
    let mut protocol = None;
    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign enum, of which three concern us")]
    for attribute in &has.attributes {
        match attribute {
            AddressAttribute::CacheInfo(info) => lifetimes.ifa_valid = info.ifa_valid,
            AddressAttribute::Flags(bits) => flags = bits.intersection(CARRIED),
            AddressAttribute::Protocol(known) => protocol = Some(*known),
            _ => {}
        }
    }
    if !wanted.has_route {
        // Without the flag the kernel would set the route to the subnet again.
        flags |= AddressFlags::Noprefixroute;
    }
    let mut message = AddressMessage::default();
    message.header = has.header.clone();
    message.header.flags = AddressHeaderFlags::empty();
    message.attributes = vec![
        AddressAttribute::Address(IpAddr::V6(wanted.address)),
        AddressAttribute::CacheInfo(lifetimes),
        AddressAttribute::Flags(flags),
    ];
    message.attributes.extend(protocol.map(AddressAttribute::Protocol));
    message
}

fn is_kernel_made(address: &AddressMessage) -> bool {
    let of_advertisement = AddressAttribute::Protocol(AddressProtocol::RouterAnnouncement);
    let is_temporary = |attribute: &AddressAttribute| matches!(attribute, AddressAttribute::Flags(flags) if flags.contains(AddressFlags::Secondary));
    address.attributes.contains(&of_advertisement) || address.attributes.iter().any(is_temporary)
}

/// It is no error if the object is gone already.
fn refused(errors: Vec<(usize, i32)>) -> io::Result<()> {
    let is_gone = |errno: i32| matches!(errno, libc::ENOENT | libc::ESRCH | libc::EADDRNOTAVAIL);
    match errors.into_iter().find(|(_, errno)| !is_gone(*errno)) {
        Some((_, errno)) => Err(io::Error::from_raw_os_error(errno)),
        None => Ok(()),
    }
}
