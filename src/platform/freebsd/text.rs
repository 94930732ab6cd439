//! Messages in words, for people who try the backend's octets against a kernel of their own.

use std::fmt;

use super::abi::{self, position};
use super::route_message::{Address, Interface, Message, Route};
use super::sockaddr::SocketAddress;

/// Names of the positions of socket addresses.
const NAMES: [(usize, &str); 4] = [
    (position::DESTINATION, "destination"),
    (position::GATEWAY, "gateway"),
    (position::INTERFACE, "interface"),
    (position::ADDRESS, "address"),
];

impl fmt::Display for SocketAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet6(address, link) if link.0 == 0 => write!(f, "{address}"),
            Self::Inet6(address, link) => write!(f, "{address}%{}", link.0),
            Self::Link { index, kind, name, link_layer } => {
                write!(f, "link {} kind {kind}", index.0)?;
                if !name.is_empty() {
                    write!(f, " name {name}")?;
                }
                if !link_layer.is_empty() {
                    f.write_str(" at ")?;
                }
                link_layer.iter().try_for_each(|octet| write!(f, "{octet:02x}"))
            }
            Self::Other { family: 0, .. } => f.write_str("none"),
            Self::Other { family, .. } => write!(f, "of family {family}"),
        }
    }
}

fn write_addresses(
    f: &mut fmt::Formatter<'_>,
    addresses: &[Option<SocketAddress>; position::COUNT],
) -> fmt::Result {
    let at = |position: usize| addresses.get(position).and_then(Option::as_ref);
    for (position, name) in NAMES {
        if let Some(address) = at(position) {
            write!(f, "; {name} {address}")?;
        }
        if position == position::GATEWAY
            && let Some(netmask) = at(position::NETMASK)
        {
            match netmask.prefix_len() {
                Some(length) => write!(f, "; netmask /{length}")?,
                None => f.write_str("; netmask with holes")?,
            }
        }
    }
    Ok(())
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            abi::ADD => "add",
            abi::DELETE => "delete",
            abi::CHANGE => "change",
            _ => "get",
        };
        let Self { interface, flags, pid, sequence, errno, .. } = self;
        write!(f, "{kind} index {} flags {flags:#x} pid {pid} seq {sequence}", interface.0)?;
        write!(f, " errno {}", errno.0)?;
        if let Some(end) = self.end {
            write!(f, " end {end}")?;
        }
        write_addresses(f, &self.addresses)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_there { "new-address" } else { "address-gone" };
        write!(f, "{kind} index {}", self.interface.0)?;
        write_addresses(f, &self.addresses)
    }
}

impl fmt::Display for Interface {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, flags, kind, link_state, mtu, addresses, .. } = self;
        write!(f, "interface index {} flags {flags:#x} kind {kind}", index.0)?;
        write!(f, " link-state {link_state} mtu {mtu}")?;
        write_addresses(f, addresses)
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Route(route) => route.fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Interface(interface) => interface.fmt(f),
            Self::Announcement { interface, name, arrives } => {
                let kind = if *arrives { "arrival" } else { "departure" };
                write!(f, "{kind} index {} name {name}", interface.0)
            }
            Self::Other(kind) => write!(f, "other {kind}"),
        }
    }
}
