//! Messages of routing sockets (route(4)): requests as octets, and what octets mean.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::abi::{self, position};
use super::errno::Errno;
use super::sockaddr::{SocketAddress, mask, put_link, put_padded, walk};
use crate::core::kernel::system::RouteTarget;
use crate::net::IfIndex;

/// A request about a route, as it grows. Socket addresses are given in the order of their
/// positions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    octets: Vec<u8>,
    present: u32,
}

impl Request {
    /// A request of this kind ([`abi::ADD`] and so on) with these flags (RTF_*).
    pub fn new(kind: u8, flags: u32, sequence: u32) -> Self {
        let mut octets = vec![0; abi::ROUTE_HEADER];
        put(&mut octets, 2, &[abi::VERSION, kind]);
        put(&mut octets, 8, &flags.to_le_bytes());
        put(&mut octets, 20, &sequence.to_le_bytes());
        Self { octets, present: 0 }
    }

    /// Adds an address of IPv6, with its link where it is a link-local one.
    #[must_use]
    pub fn with_address(mut self, position: usize, address: Ipv6Addr, link: IfIndex) -> Self {
        self.present |= 1 << position;
        put_padded(&mut self.octets, address, link);
        self
    }

    /// Adds an interface as a gateway.
    #[must_use]
    pub fn with_link(mut self, link: IfIndex) -> Self {
        self.present |= 1 << position::GATEWAY;
        put_link(&mut self.octets, link);
        self
    }

    /// Adds the end of the route, an absolute wall clock time in seconds since 1970.
    #[must_use]
    pub fn with_end(mut self, seconds: Option<u64>) -> Self {
        if let Some(seconds) = seconds {
            put(&mut self.octets, abi::INITS, &abi::INITS_EXPIRE.to_le_bytes());
            put(&mut self.octets, abi::EXPIRE, &seconds.to_le_bytes());
        }
        self
    }

    /// Adds destination, gateway and netmask of a route. A route to one address has no netmask.
    fn with_path(self, destination: Ipv6Net, target: RouteTarget) -> Self {
        let named = self.with_address(position::DESTINATION, destination.network(), IfIndex(0));
        let led = match target {
            RouteTarget::Gateway(link, router) => {
                named.with_address(position::GATEWAY, router, link)
            }
            RouteTarget::OnLink(link) => named.with_link(link),
            RouteTarget::Unreachable => {
                named.with_address(position::GATEWAY, Ipv6Addr::LOCALHOST, IfIndex(0))
            }
        };
        if destination.prefix_len() == 128 {
            return led;
        }
        led.with_address(position::NETMASK, mask(destination.prefix_len()), IfIndex(0))
    }

    /// The octets to write.
    pub fn finish(mut self) -> Vec<u8> {
        let length = u16::try_from(self.octets.len()).unwrap_or(u16::MAX);
        put(&mut self.octets, 0, &length.to_le_bytes());
        put(&mut self.octets, 12, &self.present.to_le_bytes());
        self.octets
    }
}

/// The flags of a route of ours to `target`.
const fn flags(destination: Ipv6Net, target: RouteTarget) -> u32 {
    let host = if destination.prefix_len() == 128 { abi::HOST } else { 0 };
    let kind = match target {
        RouteTarget::Gateway(..) => abi::GATEWAY,
        RouteTarget::OnLink(_) => 0,
        RouteTarget::Unreachable => abi::GATEWAY | abi::REJECT,
    };
    abi::UP | abi::OURS | host | kind
}

/// Adds a route with our mark; `end` is an absolute wall clock time in seconds since 1970.
pub fn add(destination: Ipv6Net, target: RouteTarget, end: Option<u64>, sequence: u32) -> Vec<u8> {
    let request = Request::new(abi::ADD, flags(destination, target), sequence);
    request.with_path(destination, target).with_end(end).finish()
}

/// Replaces the one route to a destination by a route with our mark, in one step.
pub fn change(
    destination: Ipv6Net,
    target: RouteTarget,
    end: Option<u64>,
    sequence: u32,
) -> Vec<u8> {
    let request = Request::new(abi::CHANGE, flags(destination, target), sequence);
    request.with_path(destination, target).with_end(end).finish()
}

/// Removes a route. The gateway is always given: without it a destination with two paths keeps both.
pub fn delete(destination: Ipv6Net, target: RouteTarget, sequence: u32) -> Vec<u8> {
    let flags = flags(destination, target) & (abi::GATEWAY | abi::HOST);
    let request = Request::new(abi::DELETE, flags, sequence);
    request.with_path(destination, target).finish()
}

/// What a message says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Message {
    /// Of a route: a change, an answer, a part of a dump.
    Route(Route),
    /// An address is there, or is not.
    Address(Address),
    /// An interface as it is.
    Interface(Interface),
    /// An interface appeared, or vanished.
    Announcement {
        /// Its number.
        interface: IfIndex,
        /// Its name.
        name: String,
        /// It appeared.
        arrives: bool,
    },
    /// Of another kind (RTM_*), or cut off.
    Other(u8),
}

/// What a message says of a route.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Route {
    /// The kind of the message ([`abi::ADD`] and so on).
    pub kind: u8,
    /// The interface that the route leaves through; 0 in what was refused.
    pub interface: IfIndex,
    /// Its flags (RTF_*).
    pub flags: u32,
    /// The process that asked for it; 0 for the kernel.
    pub pid: u32,
    /// The number that this process gave its request.
    pub sequence: u32,
    /// Why it was refused; 0 where it was not.
    pub errno: Errno,
    /// The end of the route in seconds since 1970, where it has one.
    pub end: Option<u64>,
    /// Socket addresses by their positions.
    pub addresses: [Option<SocketAddress>; position::COUNT],
}

/// What a message says of an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Address {
    /// It is there: the message does not say since when, nor with which flags and lifetimes.
    pub is_there: bool,
    /// The interface that has it.
    pub interface: IfIndex,
    /// Socket addresses by their positions.
    pub addresses: [Option<SocketAddress>; position::COUNT],
}

/// What a message says of an interface.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interface {
    /// Its number.
    pub index: IfIndex,
    /// Its flags (IFF_*).
    pub flags: u32,
    /// Its kind (net/if_types.h).
    pub kind: u8,
    /// The state of its link (LINK_STATE_*).
    pub link_state: u8,
    /// Its MTU in octets.
    pub mtu: u32,
    /// When it was attached, in seconds since boot: one that has been destroyed and made anew may
    /// have its former number.
    pub attached_at: u64,
    /// Socket addresses by their positions; none of them in what is reported by itself.
    pub addresses: [Option<SocketAddress>; position::COUNT],
}

impl Route {
    fn at(&self, position: usize) -> Option<&SocketAddress> {
        self.addresses.get(position)?.as_ref()
    }

    /// Where it leads: a destination that its netmask does not fit is none, as FreeBSD 13.0 garbles
    /// some messages.
    pub fn destination(&self) -> Option<Ipv6Net> {
        let (address, _) = self.at(position::DESTINATION)?.inet6()?;
        let length = match self.at(position::NETMASK) {
            _ if self.flags & abi::HOST != 0 => 128,
            Some(netmask) => netmask.prefix_len()?,
            None => 128,
        };
        let destination = Ipv6Net::new(address, length).ok()?;
        (destination.network() == address).then_some(destination)
    }

    /// What it leads through.
    pub fn target(&self) -> Option<RouteTarget> {
        if self.flags & (abi::REJECT | abi::BLACKHOLE) != 0 {
            return Some(RouteTarget::Unreachable);
        }
        match self.at(position::GATEWAY)? {
            SocketAddress::Inet6(router, link) => {
                let link = if link.0 == 0 { self.interface } else { *link };
                Some(RouteTarget::Gateway(link, *router))
            }
            SocketAddress::Link { index, .. } => Some(RouteTarget::OnLink(*index)),
            SocketAddress::Other { .. } => None,
        }
    }

    /// The link-layer address of a neighbor, where it is an entry of the neighbor cache.
    pub fn neighbor(&self) -> Option<(IfIndex, Ipv6Addr, &[u8])> {
        let (address, _) = self.at(position::DESTINATION)?.inet6()?;
        match self.at(position::GATEWAY)? {
            SocketAddress::Link { index, link_layer, .. } if !link_layer.is_empty() => {
                Some((*index, address, link_layer))
            }
            SocketAddress::Link { .. } | SocketAddress::Inet6(..) | SocketAddress::Other { .. } => {
                None
            }
        }
    }
}

impl Address {
    /// The address, where it is one of IPv6.
    pub fn address(&self) -> Option<Ipv6Addr> {
        let found = self.addresses.get(position::ADDRESS)?.as_ref()?;
        found.inet6().map(|(address, _)| address)
    }

    /// Its prefix length.
    pub fn prefix_len(&self) -> u8 {
        let netmask = self.addresses.get(position::NETMASK).and_then(Option::as_ref);
        netmask.and_then(SocketAddress::prefix_len).unwrap_or(128)
    }
}

/// The messages in what was read or dumped. Those of another version are passed over.
pub fn messages(octets: &[u8]) -> impl Iterator<Item = Message> + '_ {
    let mut rest = octets;
    std::iter::from_fn(move || {
        loop {
            let length = usize::from(u16_at(rest, 0)?);
            let message = rest.get(..length).filter(|message| message.len() >= 4)?;
            rest = rest.get(length..).unwrap_or_default();
            if message.get(2) == Some(&abi::VERSION) {
                return Some(decode(message));
            }
        }
    })
}

/// Reads one message.
fn decode(octets: &[u8]) -> Message {
    let kind = octets.get(3).copied().unwrap_or(0);
    let message = match kind {
        abi::ADD | abi::DELETE | abi::CHANGE | abi::GET => route(kind, octets).map(Message::Route),
        abi::NEW_ADDRESS | abi::ADDRESS_GONE => address(kind, octets).map(Message::Address),
        abi::INTERFACE => interface(octets).map(Message::Interface),
        abi::ANNOUNCE => announcement(octets),
        _ => None,
    };
    message.unwrap_or(Message::Other(kind))
}

fn route(kind: u8, octets: &[u8]) -> Option<Route> {
    let behind = octets.get(abi::ROUTE_HEADER..)?;
    let end = u64_at(octets, abi::EXPIRE).filter(|end| *end != 0);
    Some(Route {
        kind,
        interface: IfIndex(u16_at(octets, 4)?.into()),
        flags: u32_at(octets, 8)?,
        pid: u32_at(octets, 16)?,
        sequence: u32_at(octets, 20)?,
        errno: Errno(u32_at(octets, 24)?.cast_signed()),
        end,
        addresses: walk(behind, u32_at(octets, 12)?),
    })
}

fn address(kind: u8, octets: &[u8]) -> Option<Address> {
    let behind = octets.get(abi::ADDRESS_HEADER..)?;
    Some(Address {
        is_there: kind == abi::NEW_ADDRESS,
        interface: IfIndex(u16_at(octets, 12)?.into()),
        addresses: walk(behind, u32_at(octets, 4)?),
    })
}

fn interface(octets: &[u8]) -> Option<Interface> {
    let behind = octets.get(abi::INTERFACE_HEADER..)?;
    Some(Interface {
        index: IfIndex(u16_at(octets, 12)?.into()),
        flags: u32_at(octets, 8)?,
        kind: octets.get(16).copied()?,
        link_state: octets.get(20).copied()?,
        mtu: u32_at(octets, 24)?,
        attached_at: u64_at(octets, abi::EPOCH)?,
        addresses: walk(behind, u32_at(octets, 4)?),
    })
}

fn announcement(octets: &[u8]) -> Option<Message> {
    let name = octets.get(6..6 + abi::NAME)?;
    let name = name.split(|octet| *octet == 0).next().unwrap_or_default();
    Some(Message::Announcement {
        interface: IfIndex(u16_at(octets, 4)?.into()),
        name: String::from_utf8_lossy(name).into_owned(),
        arrives: u16_at(octets, 22)? == abi::ARRIVAL,
    })
}

fn put(octets: &mut [u8], at: usize, value: &[u8]) {
    if let Some(room) = octets.get_mut(at..at + value.len()) {
        room.copy_from_slice(value);
    }
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..)?.first_chunk().map(|octets| u16::from_le_bytes(*octets))
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..)?.first_chunk().map(|octets| u32::from_le_bytes(*octets))
}

fn u64_at(octets: &[u8], at: usize) -> Option<u64> {
    octets.get(at..)?.first_chunk().map(|octets| u64::from_le_bytes(*octets))
}
