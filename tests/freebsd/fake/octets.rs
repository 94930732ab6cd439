//! Messages as FreeBSD lays them out.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use renumberd::net::IfIndex;
use renumberd::platform::freebsd::abi;

use super::{Interface, Path};

fn inet6(address: Ipv6Addr, link: IfIndex) -> Vec<u8> {
    let scope = if address.is_unicast_link_local() { link.0 } else { 0 };
    let mut octets = vec![28, abi::INET6, 0, 0, 0, 0, 0, 0];
    octets.extend(address.octets());
    octets.extend(scope.to_le_bytes());
    octets.extend([0; 4]);
    octets
}

fn netmask(length: u8) -> Vec<u8> {
    let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
    inet6(Ipv6Addr::from(mask), IfIndex(0))
}

/// The socket address of an interface itself, of 56 octets.
fn described(index: IfIndex, interface: &Interface) -> Vec<u8> {
    let ethernet = interface.name != "lo0";
    let mut octets = vec![56, abi::LINK];
    octets.extend(u16::try_from(index.0).unwrap().to_le_bytes());
    let lengths = [interface.name.len() as u8, if ethernet { 6 } else { 0 }];
    octets.extend([if ethernet { abi::ETHERNET } else { 24 }, lengths[0], lengths[1], 0]);
    octets.extend(interface.name.as_bytes());
    octets.extend(if ethernet { vec![2, 0, 0, 0, 0, index.0 as u8] } else { Vec::new() });
    octets.resize(56, 0);
    octets
}

fn link_gateway(index: IfIndex) -> Vec<u8> {
    let mut octets = vec![16, abi::LINK];
    octets.extend(u16::try_from(index.0).unwrap().to_le_bytes());
    octets.resize(16, 0);
    octets
}

fn message(kind: u8, mut octets: Vec<u8>) -> Vec<u8> {
    let length = u16::try_from(octets.len()).unwrap().to_le_bytes();
    octets[..2].copy_from_slice(&length);
    octets[2..4].copy_from_slice(&[abi::VERSION, kind]);
    octets
}

fn put(octets: &mut [u8], at: usize, value: &[u8]) {
    octets[at..at + value.len()].copy_from_slice(value);
}

pub(super) fn announcement(index: IfIndex, name: &str, what: u16) -> Vec<u8> {
    let mut octets = vec![0; abi::ANNOUNCE_HEADER];
    put(&mut octets, 4, &u16::try_from(index.0).unwrap().to_le_bytes());
    put(&mut octets, 6, name.as_bytes());
    put(&mut octets, 22, &what.to_le_bytes());
    message(abi::ANNOUNCE, octets)
}

/// In a dump it describes itself.
pub(super) fn interface(index: IfIndex, interface: &Interface, dumped: bool) -> Vec<u8> {
    let mut octets = vec![0; abi::INTERFACE_HEADER];
    put(&mut octets, 4, &if dumped { 0x10_u32 } else { 0 }.to_le_bytes());
    put(&mut octets, 8, &interface.flags.to_le_bytes());
    put(&mut octets, 12, &u16::try_from(index.0).unwrap().to_le_bytes());
    octets[16] = if interface.name == "lo0" { 24 } else { abi::ETHERNET };
    octets[20] = interface.link_state;
    put(&mut octets, 24, &1500_u32.to_le_bytes());
    put(&mut octets, abi::EPOCH, &interface.attached_at.to_le_bytes());
    if dumped {
        octets.extend(described(index, interface));
    }
    message(abi::INTERFACE, octets)
}

/// RTM_NEWADDR or RTM_DELADDR; the shorter form of a dump is padded.
pub(super) fn address(kind: u8, index: IfIndex, address: Ipv6Addr, length: u8) -> Vec<u8> {
    let mut octets = vec![0; abi::ADDRESS_HEADER];
    put(&mut octets, 4, &0x24_u32.to_le_bytes());
    put(&mut octets, 12, &u16::try_from(index.0).unwrap().to_le_bytes());
    octets.extend(netmask(length));
    octets.extend(inet6(address, index));
    message(kind, octets)
}

/// A message about a route, with process, sequence number and error.
pub(super) fn route(kind: u8, path: &Path, flags: u32, pid: u32, sequence: u32) -> Vec<u8> {
    let mut octets = vec![0; abi::ROUTE_HEADER];
    let is_host = flags & abi::HOST != 0;
    put(&mut octets, 4, &u16::try_from(path.interface.0).unwrap().to_le_bytes());
    put(&mut octets, 8, &flags.to_le_bytes());
    put(&mut octets, 12, &if is_host { 3_u32 } else { 7 }.to_le_bytes());
    put(&mut octets, 16, &pid.to_le_bytes());
    put(&mut octets, 20, &sequence.to_le_bytes());
    put(&mut octets, abi::EXPIRE, &path.end.unwrap_or(0).to_le_bytes());
    octets.extend(inet6(path.destination.network(), path.interface));
    octets.extend(match path.gateway {
        Some(router) => inet6(router, path.interface),
        None => link_gateway(path.interface),
    });
    if !is_host {
        octets.extend(netmask(path.destination.prefix_len()));
    }
    message(kind, octets)
}

/// The kernel's own route to a link.
pub(super) fn prefix(kind: u8, index: IfIndex, prefix: Ipv6Net) -> Vec<u8> {
    let up = if kind == abi::DELETE { 0 } else { abi::UP };
    let path = Path {
        destination: prefix,
        gateway: None,
        interface: index,
        flags: 0,
        end: None,
        expires: false,
    };
    let done = if kind == abi::GET { 0 } else { abi::DONE };
    route(kind, &path, up | abi::PINNED | done, 0, 0)
}

/// An entry of the neighbor cache.
pub(super) fn neighbor(index: IfIndex, address: Ipv6Addr, link_layer: [u8; 6]) -> Vec<u8> {
    let mut octets = vec![0; abi::ROUTE_HEADER];
    put(&mut octets, 8, &(abi::UP | abi::HOST | abi::NEIGHBOR).to_le_bytes());
    put(&mut octets, 12, &3_u32.to_le_bytes());
    octets.extend(inet6(address, index));
    let mut gateway = vec![54, abi::LINK];
    gateway.extend(u16::try_from(index.0).unwrap().to_le_bytes());
    gateway.extend([abi::ETHERNET, 0, 6, 0]);
    gateway.extend(link_layer);
    gateway.resize(56, 0);
    octets.extend(gateway);
    message(abi::GET, octets)
}
