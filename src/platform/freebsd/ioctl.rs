//! Arguments of ioctl(2) about addresses and neighbor discovery (netinet6/in6_var.h,
//! netinet6/nd6.h), as octets: they can be written and read on any system.

use std::net::Ipv6Addr;

use super::abi;
use super::sockaddr::{mask, put_inet6};
use crate::net::IfIndex;

/// Where the union of `struct in6_ifreq` begins, and `ndi` of `struct in6_ndireq`.
const ARGUMENT: usize = abi::NAME;

/// Preferred and valid lifetime of an address, in seconds; [`abi::INFINITE`] has no end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lifetimes {
    /// Preferred.
    pub preferred: u32,
    /// Valid.
    pub valid: u32,
}

impl Lifetimes {
    /// They do not end.
    pub const INFINITE: Self = Self { preferred: abi::INFINITE, valid: abi::INFINITE };
}

/// An address as it is set. The netmask is always given: an update without one makes a default
/// route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressToSet<'a> {
    /// Name of the interface.
    pub name: &'a str,
    /// Number of the interface.
    pub interface: IfIndex,
    /// The address.
    pub address: Ipv6Addr,
    /// Its prefix length.
    pub prefix_len: u8,
    /// All its flags (IN6_IFF_*): those that it had are lost.
    pub flags: u32,
    /// Its lifetimes, from now on.
    pub lifetimes: Lifetimes,
}

/// The argument of [`abi::SET_ADDRESS`], `struct in6_aliasreq`.
pub fn set_address(set: AddressToSet<'_>) -> Vec<u8> {
    let mut octets = named(set.name);
    put_inet6(&mut octets, set.address, set.interface);
    octets.extend([0; abi::SOCKADDR_IN6]); // no destination
    put_inet6(&mut octets, mask(set.prefix_len), IfIndex(0));
    octets.extend(set.flags.to_le_bytes());
    octets.extend([0; 16]); // the ends are the kernel's to say
    octets.extend(set.lifetimes.valid.to_le_bytes());
    octets.extend(set.lifetimes.preferred.to_le_bytes());
    octets.resize(abi::ALIAS_REQUEST, 0);
    octets
}

/// The argument of [`abi::REMOVE_ADDRESS`], [`abi::ADDRESS_FLAGS`] and [`abi::ADDRESS_LIFETIMES`],
/// `struct in6_ifreq`.
pub fn address(name: &str, interface: IfIndex, address: Ipv6Addr) -> Vec<u8> {
    let mut octets = named(name);
    put_inet6(&mut octets, address, interface);
    octets.resize(abi::ADDRESS_REQUEST, 0);
    octets
}

/// The flags in what [`abi::ADDRESS_FLAGS`] leaves behind (IN6_IFF_*).
pub fn flags(argument: &[u8]) -> u32 {
    u32_at(argument, ARGUMENT)
}

/// The lifetimes of an address, as [`abi::ADDRESS_LIFETIMES`] leaves them behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AddressLifetimes {
    /// As they were last set.
    pub set: Lifetimes,
    /// End of the valid lifetime, in seconds since boot. It counts where that is finite.
    pub valid_until: u64,
    /// End of the preferred lifetime, in seconds since boot. It counts where that is finite.
    pub preferred_until: u64,
}

/// Reads what [`abi::ADDRESS_LIFETIMES`] leaves behind.
pub fn lifetimes(argument: &[u8]) -> AddressLifetimes {
    AddressLifetimes {
        set: Lifetimes {
            valid: u32_at(argument, ARGUMENT + 16),
            preferred: u32_at(argument, ARGUMENT + 20),
        },
        valid_until: u64_at(argument, ARGUMENT),
        preferred_until: u64_at(argument, ARGUMENT + 8),
    }
}

/// What neighbor discovery knows of an interface: `struct in6_ndireq`, all of it, so that what is
/// written back differs in what was to be changed alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InterfaceInfo(Vec<u8>);

impl InterfaceInfo {
    const LINK_MTU: usize = ARGUMENT;
    const LARGEST_MTU: usize = ARGUMENT + 4;
    const FLAGS: usize = ARGUMENT + 20;
    const HOP_LIMIT: usize = ARGUMENT + 28;

    /// The argument to ask with.
    pub fn question(name: &str) -> Vec<u8> {
        let mut octets = named(name);
        octets.resize(abi::INFO_REQUEST, 0);
        octets
    }

    /// What [`abi::INTERFACE_INFO`] leaves behind.
    pub const fn new(argument: Vec<u8>) -> Self {
        Self(argument)
    }

    /// The argument to write it back with.
    pub fn into_argument(self) -> Vec<u8> {
        self.0
    }

    /// The flags (ND6_IFF_*).
    pub fn flags(&self) -> u32 {
        u32_at(&self.0, Self::FLAGS)
    }

    /// The same with other flags.
    #[must_use]
    pub fn with_flags(mut self, flags: u32) -> Self {
        self.put(Self::FLAGS, &flags.to_le_bytes());
        self
    }

    /// The MTU of IPv6 on the link, in octets: that of the device where no other was set.
    pub fn mtu(&self) -> u32 {
        match u32_at(&self.0, Self::LINK_MTU) {
            0 => u32_at(&self.0, Self::LARGEST_MTU),
            mtu => mtu,
        }
    }

    /// The same with another MTU.
    #[must_use]
    pub fn with_mtu(mut self, mtu: u32) -> Self {
        self.put(Self::LINK_MTU, &mtu.to_le_bytes());
        self
    }

    /// The hop limit of packets of this machine.
    pub fn hop_limit(&self) -> u8 {
        self.0.get(Self::HOP_LIMIT).copied().unwrap_or(0)
    }

    /// The same with another hop limit.
    #[must_use]
    pub fn with_hop_limit(mut self, hop_limit: u8) -> Self {
        self.put(Self::HOP_LIMIT, &[hop_limit]);
        self
    }

    fn put(&mut self, at: usize, octets: &[u8]) {
        if let Some(room) = self.0.get_mut(at..at + octets.len()) {
            room.copy_from_slice(octets);
        }
    }
}

/// The beginning of each argument: the name of the interface, which the kernel knows to be shorter
/// than its room.
fn named(name: &str) -> Vec<u8> {
    let mut octets = name.as_bytes().to_vec();
    octets.truncate(abi::NAME - 1);
    octets.resize(abi::NAME, 0);
    octets
}

fn u32_at(octets: &[u8], at: usize) -> u32 {
    let found = octets.get(at..).and_then(<[u8]>::first_chunk);
    found.map_or(0, |octets| u32::from_le_bytes(*octets))
}

fn u64_at(octets: &[u8], at: usize) -> u64 {
    let found = octets.get(at..).and_then(<[u8]>::first_chunk);
    found.map_or(0, |octets| u64::from_le_bytes(*octets))
}
