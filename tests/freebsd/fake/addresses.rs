//! Addresses of the fake kernel, and the prefixes of links that they bring.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::net::IfIndex;
use renumberd::platform::freebsd::abi::{self, Request};
use renumberd::platform::freebsd::errno::Errno;
use renumberd::time::Instant;

use super::{Fake, LO0, octets};

const SECOND: Duration = Duration::from_secs(1);
/// Where there is no duplicate address detection a tentative flag that was given goes by itself.
const UNDETECTED: Duration = Duration::from_secs(4);
const DEPRECATED: u32 = 0x10;
/// Flags that an update takes as they are given.
const GIVEN: u32 = !abi::DUPLICATED;

/// An address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::freebsd) struct Address {
    pub(in crate::freebsd) length: u8,
    /// IN6_IFF_*.
    pub(in crate::freebsd) flags: u32,
    /// Valid and preferred, as they were set.
    pub(in crate::freebsd) lifetimes: (u32, u32),
    pub(in crate::freebsd) set_at: Instant,
    /// When duplicate address detection ends, if it is under way.
    pub(in crate::freebsd) detected_at: Option<Instant>,
}

/// A prefix of a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::freebsd) struct Prefix {
    /// Its lifetime is that of the call that brought it.
    pub(in crate::freebsd) ends_at: Option<Instant>,
    /// It has a route.
    pub(in crate::freebsd) has_route: bool,
}

fn end(at: Instant, lifetime: u32) -> Option<Instant> {
    (lifetime != abi::INFINITE).then(|| at + Duration::from_secs(lifetime.into()))
}

fn u32_at(argument: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(argument[at..at + 4].try_into().unwrap())
}

fn inet6(argument: &[u8], at: usize) -> Result<Ipv6Addr, Errno> {
    // EAFNOSUPPORT where the length is not that of an address.
    if argument[at] != 28 {
        return Err(Errno(47));
    }
    Ok(Ipv6Addr::from(<[u8; 16]>::try_from(&argument[at + 8..at + 24]).unwrap()))
}

impl Fake {
    pub(super) fn ioctl_set(&mut self, argument: &[u8]) -> Result<(), Errno> {
        assert_eq!(argument.len(), abi::ALIAS_REQUEST);
        let index = self.by_name(argument)?;
        let address = inet6(argument, 16)?;
        let length = inet6(argument, 72).map(|mask| mask.to_bits().leading_ones());
        let length = u8::try_from(length.expect("a request without a mask")).unwrap();
        let lifetimes = (u32_at(argument, 120), u32_at(argument, 124));
        self.set(index, address, length, u32_at(argument, 100), lifetimes)
    }

    /// SIOCAIFADDR_IN6.
    pub(in crate::freebsd) fn set(
        &mut self,
        index: IfIndex,
        address: Ipv6Addr,
        length: u8,
        flags: u32,
        lifetimes: (u32, u32),
    ) -> Result<(), Errno> {
        assert!(length > 0, "an address without a mask brings a default route");
        if lifetimes.1 > lifetimes.0 {
            return Err(Errno::INVAL);
        }
        let elsewhere = self.addresses.keys().any(|(of, is)| *is == address && *of != index);
        if elsewhere && !address.is_unicast_link_local() {
            return Err(Errno::EXIST);
        }
        let now = self.now;
        if let Some(known) = self.addresses.get_mut(&(index, address)) {
            if known.length != length {
                return Err(Errno::INVAL);
            }
            let detects = flags & abi::TENTATIVE != 0;
            known.flags = flags & GIVEN;
            known.detected_at = match known.detected_at {
                Some(at) if detects => Some(at),
                None if detects => Some(now + UNDETECTED),
                Some(_) | None => None,
            };
            (known.lifetimes, known.set_at) = (lifetimes, now);
            return Ok(());
        }
        let is_first = self.enable(index, address);
        let detects = self.detects && index != LO0 && !is_first && flags & abi::NO_DETECTION == 0;
        let tentative = if detects { abi::TENTATIVE } else { 0 };
        let new = Address {
            length,
            flags: flags & GIVEN | tentative,
            lifetimes,
            set_at: now,
            detected_at: detects.then(|| now + SECOND),
        };
        self.addresses.insert((index, address), new);
        self.report(octets::address(abi::NEW_ADDRESS, index, address, length));
        self.bring_prefix(index, address, length, end(now, lifetimes.0));
        Ok(())
    }

    /// The first address on an interface that takes no part in IPv6 has it take part, and brings the
    /// link-local one. For that address there is no detection.
    fn enable(&mut self, index: IfIndex, address: Ipv6Addr) -> bool {
        let interface = self.interfaces.get_mut(&index).unwrap();
        if interface.nd_flags & abi::DISABLED == 0 {
            return false;
        }
        interface.nd_flags &= !abi::DISABLED;
        if !address.is_unicast_link_local() {
            let own = format!("fe80::{}", index.0).parse().unwrap();
            self.set(index, own, 64, 0, (abi::INFINITE, abi::INFINITE)).unwrap();
        }
        true
    }

    /// The prefix is entered with the lifetime of the first address of it, and of two interfaces one
    /// has the route.
    pub(super) fn bring_prefix(
        &mut self,
        index: IfIndex,
        address: Ipv6Addr,
        length: u8,
        ends_at: Option<Instant>,
    ) {
        let prefix = Ipv6Net::new(address, length).unwrap().trunc();
        if length == 128 || self.prefixes.contains_key(&(index, prefix)) {
            return;
        }
        let is_local = address.is_unicast_link_local();
        let mut others = self.prefixes.iter().filter(|((_, other), _)| *other == prefix);
        let has_route = is_local || !others.any(|(_, other)| other.has_route);
        self.prefixes.insert((index, prefix), Prefix { ends_at, has_route });
        if has_route {
            self.report(octets::prefix(abi::ADD, index, prefix));
        }
    }

    pub(super) fn ioctl_address(
        &mut self,
        request: Request,
        argument: &mut [u8],
    ) -> Result<(), Errno> {
        assert_eq!(argument.len(), abi::ADDRESS_REQUEST);
        let index = self.by_name(argument)?;
        let address = inet6(argument, 16)?;
        if request == abi::REMOVE_ADDRESS {
            let removed = self.remove(index, address);
            // The call returns when the address is no more.
            self.unlinking.clear();
            return removed;
        }
        let mut unlinking = self.unlinking.iter().filter(|(key, _)| *key == (index, address));
        let found = self.addresses.get(&(index, address));
        let found = found.or_else(|| unlinking.next().map(|(_, has)| has));
        let found = found.ok_or(Errno::ADDRNOTAVAIL)?;
        if request == abi::ADDRESS_FLAGS {
            argument[16..20].copy_from_slice(&found.flags.to_le_bytes());
            return Ok(());
        }
        let (valid, preferred) = found.lifetimes;
        let ends = [valid, preferred].map(|lifetime| {
            if lifetime == abi::INFINITE {
                0
            } else {
                found.set_at.since_boot().as_secs() + u64::from(lifetime)
            }
        });
        argument[16..24].copy_from_slice(&ends[0].to_le_bytes());
        argument[24..32].copy_from_slice(&ends[1].to_le_bytes());
        argument[32..36].copy_from_slice(&valid.to_le_bytes());
        argument[36..40].copy_from_slice(&preferred.to_le_bytes());
        Ok(())
    }

    /// SIOCDIFADDR_IN6: with the last address of a prefix its route goes.
    pub(in crate::freebsd) fn remove(
        &mut self,
        index: IfIndex,
        address: Ipv6Addr,
    ) -> Result<(), Errno> {
        let gone = self.addresses.remove(&(index, address)).ok_or(Errno::ADDRNOTAVAIL)?;
        self.report(octets::address(abi::ADDRESS_GONE, index, address, gone.length));
        self.unlinking.push(((index, address), gone.clone()));
        let prefix = Ipv6Net::new(address, gone.length).unwrap().trunc();
        let mut left = self.addresses.keys();
        if !left.any(|(of, other)| *of == index && prefix.contains(other)) {
            self.drop_prefix(index, prefix);
        }
        Ok(())
    }

    fn drop_prefix(&mut self, index: IfIndex, prefix: Ipv6Net) {
        if self.prefixes.remove(&(index, prefix)).is_some_and(|prefix| prefix.has_route) {
            self.report(octets::prefix(abi::DELETE, index, prefix));
            let mut others = self.prefixes.iter_mut().filter(|((_, other), _)| *other == prefix);
            if let Some(((of, _), heir)) = others.next() {
                let of = *of;
                heir.has_route = true;
                self.report(octets::prefix(abi::ADD, of, prefix));
            }
        }
    }

    /// The end of detection and of lifetimes: an address that ends by itself leaves its prefix.
    pub(super) fn end_addresses(&mut self) {
        let now = self.now;
        let mut ended = Vec::new();
        for ((index, address), has) in &mut self.addresses {
            if has.detected_at.take_if(|at| *at <= now).is_some() {
                has.flags &= !abi::TENTATIVE;
                if self.held.contains(address) {
                    has.flags |= abi::DUPLICATED;
                }
            }
            if end(has.set_at, has.lifetimes.1).is_some_and(|at| at + SECOND <= now) {
                has.flags |= DEPRECATED;
            }
            if end(has.set_at, has.lifetimes.0).is_some_and(|at| at + SECOND <= now) {
                ended.push((*index, *address, has.length));
            }
        }
        for (index, address, length) in ended {
            let gone = self.addresses.remove(&(index, address)).unwrap();
            self.unlinking.push(((index, address), gone));
            self.report(octets::address(abi::ADDRESS_GONE, index, address, length));
        }
    }

    /// A prefix that has ended has no route, however long its addresses live.
    pub(super) fn end_prefixes(&mut self) {
        let now = self.now;
        let mut ended = Vec::new();
        for ((index, prefix), has) in &mut self.prefixes {
            if has.has_route && has.ends_at.is_some_and(|at| at + SECOND <= now) {
                has.has_route = false;
                ended.push((*index, *prefix));
            }
        }
        for (index, prefix) in ended {
            self.report(octets::prefix(abi::DELETE, index, prefix));
        }
    }

    /// What SIOCSPFXFLUSH_IN6 does, whoever calls it: the prefixes of all interfaces go, and what
    /// was made of advertisements.
    pub(in crate::freebsd) fn flush_prefixes(&mut self) {
        let global = |prefix: &Ipv6Net| !prefix.network().is_unicast_link_local();
        let all: Vec<_> =
            self.prefixes.keys().filter(|(_, prefix)| global(prefix)).copied().collect();
        for (index, prefix) in all {
            self.prefixes.remove(&(index, prefix));
            self.report(octets::prefix(abi::DELETE, index, prefix));
        }
        self.addresses.retain(|_, address| address.flags & abi::AUTOCONF == 0);
    }

    /// The kernel follows the advertisement of a router: an address, a prefix, a default route.
    pub(in crate::freebsd) fn learn(
        &mut self,
        index: IfIndex,
        router: &str,
        prefix: &str,
        valid: u32,
    ) {
        let prefix: Ipv6Net = prefix.parse().unwrap();
        let own = Ipv6Addr::from(prefix.network().to_bits() | 0xfe00_0001);
        self.bring_prefix(index, own, 64, end(self.now, valid));
        self.set(index, own, 64, abi::AUTOCONF, (valid, valid)).unwrap();
        self.learn_default(index, router.parse().unwrap());
    }

    /// Interfaces and their addresses, as NET_RT_IFLIST has them.
    pub(super) fn dump_interfaces(&self, only: IfIndex) -> Vec<u8> {
        let mut dump = Vec::new();
        for (index, interface) in &self.interfaces {
            if only.0 != 0 && only != *index {
                continue;
            }
            dump.extend(octets::interface(*index, interface, true));
            let addresses = self.addresses.iter().filter(|((of, _), _)| of == index);
            for ((_, address), has) in addresses {
                dump.extend(octets::address(abi::NEW_ADDRESS, *index, *address, has.length));
            }
        }
        dump
    }
}
