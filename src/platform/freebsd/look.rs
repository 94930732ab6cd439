//! Lookups of interfaces and addresses, for both halves of the backend.

use std::net::Ipv6Addr;

use super::abi::{self, position};
use super::errno::Errno;
use super::ioctl::{self, AddressLifetimes, InterfaceInfo};
use super::route_message::{Interface, Message, messages};
use super::sockaddr::SocketAddress;
use super::system_calls::SystemCalls;
use super::watch::{MARGIN, Watch};
use crate::core::kernel::system::{KernelAddress, KernelEvent, Link, Origin};
use crate::net::IfIndex;
use crate::time::{Instant, Until};

/// The flags of an address (IN6_IFF_*).
pub(super) fn flags<C: SystemCalls>(
    calls: &mut C,
    name: &str,
    interface: IfIndex,
    address: Ipv6Addr,
) -> Result<u32, Errno> {
    let mut argument = ioctl::address(name, interface, address);
    calls.ioctl(abi::ADDRESS_FLAGS, &mut argument)?;
    Ok(ioctl::flags(&argument))
}

pub(super) fn lifetimes<C: SystemCalls>(
    calls: &mut C,
    name: &str,
    interface: IfIndex,
    address: Ipv6Addr,
) -> Result<AddressLifetimes, Errno> {
    let mut argument = ioctl::address(name, interface, address);
    calls.ioctl(abi::ADDRESS_LIFETIMES, &mut argument)?;
    Ok(ioctl::lifetimes(&argument))
}

/// Looks up an address; none where it does not exist, whatever a message has reported.
pub(super) fn address<C: SystemCalls>(
    calls: &mut C,
    watch: &Watch,
    interface: IfIndex,
    address: Ipv6Addr,
    prefix_len: u8,
) -> Option<KernelAddress> {
    let name = watch.names.get(&interface)?;
    let flags = flags(calls, name, interface, address).ok()?;
    let lifetimes = lifetimes(calls, name, interface, address).ok()?;
    let end = |lifetime, end| match lifetime {
        abi::INFINITE => Until::Never,
        _ => Until::At(Instant::from_secs(end)),
    };
    let valid_until = end(lifetimes.set.valid, lifetimes.valid_until);
    let is_set_here = watch.set.contains_key(&(interface, address));
    Some(KernelAddress {
        interface,
        address,
        prefix_len,
        preferred_until: end(lifetimes.set.preferred, lifetimes.preferred_until),
        valid_until: match valid_until {
            Until::At(at) if is_set_here => Until::At(at - MARGIN),
            Until::At(_) | Until::Never => valid_until,
        },
        tentative: flags & abi::TENTATIVE != 0,
        duplicate: flags & abi::DUPLICATED != 0,
        ours: false,
        origin: match flags {
            flags if flags & abi::TEMPORARY != 0 => Origin::Temporary,
            flags if flags & abi::AUTOCONF != 0 => Origin::Advertisement,
            _ => Origin::Other,
        },
    })
}

/// What neighbor discovery knows of an interface.
pub(super) fn info<C: SystemCalls>(calls: &mut C, name: &str) -> Result<InterfaceInfo, Errno> {
    let mut argument = InterfaceInfo::question(name);
    calls.ioctl(abi::INTERFACE_INFO, &mut argument)?;
    Ok(InterfaceInfo::new(argument))
}

/// Whether the kernel follows advertisements on an interface, in the numbers of Linux: 0, or 2 as
/// for a router.
pub(super) fn follows(info: &InterfaceInfo) -> i32 {
    if info.flags() & abi::ACCEPT_ADVERTISEMENTS == 0 { 0 } else { 2 }
}

/// Reads an interface with its addresses, or all of them for number 0, into `events`; names and
/// tentative addresses go to `watch`. One that has taken the number of another, of whose end no
/// message was read, begins with that end.
pub(super) fn interfaces<C: SystemCalls>(
    calls: &mut C,
    watch: &mut Watch,
    now: Instant,
    index: u32,
    events: &mut Vec<KernelEvent>,
) -> Result<(), Errno> {
    let table = calls.sysctl(&abi::interfaces(index))?;
    let mut runs = false;
    for message in messages(&table) {
        match message {
            Message::Interface(interface) => {
                let Some(mut link) = link(&interface) else { continue };
                link.accept_ra = info(calls, &link.name).ok().map(|info| follows(&info));
                runs = link.running;
                if watch.note_attached(link.index, interface.attached_at) {
                    watch.forget(link.index);
                    watch.note_attached(link.index, interface.attached_at);
                    events.push(KernelEvent::LinkGone(link.index));
                }
                watch.names.insert(link.index, link.name.clone());
                events.push(KernelEvent::Link(link));
            }
            Message::Address(found) => {
                let (interface, length) = (found.interface, found.prefix_len());
                let Some(is) = found.address() else { continue };
                if let Some(has) = address(calls, watch, interface, is, length) {
                    // Detection rests while the link is down.
                    watch.follow(now, (interface, is), length, has.tentative && runs);
                    events.push(KernelEvent::Address(has));
                }
            }
            Message::Route(_) | Message::Announcement { .. } | Message::Other(_) => {}
        }
    }
    Ok(())
}

/// The interface that a part of a dump describes.
fn link(interface: &Interface) -> Option<Link> {
    let described = interface.addresses.get(position::INTERFACE)?.as_ref()?;
    let SocketAddress::Link { name, link_layer, .. } = described else { return None };
    let has = |flag| interface.flags & flag != 0;
    let has_address = interface.kind == abi::ETHERNET && link_layer.iter().any(|octet| *octet != 0);
    Some(Link {
        index: interface.index,
        name: name.clone(),
        running: has(abi::INTERFACE_UP)
            && has(abi::RUNNING)
            && interface.link_state != abi::LINK_DOWN,
        multicast: has(abi::MULTICAST),
        point_to_point: has(abi::POINT_TO_POINT),
        link_layer_address: has_address.then(|| link_layer.clone()),
        mtu: interface.mtu,
        accept_ra: None,
        carrier_ups: 0,
    })
}
