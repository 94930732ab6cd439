//! Requesting routers of other people, all started, told and looked at in the same way.

use std::fmt::{Debug, Write as _};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::client::addresses;
use super::dhclient::Dhclient;
use super::dhcp6c::Dhcp6c;
use super::dhcpcd::{Besides, Dhcpcd};
use super::net::{Namespace, Net};
use super::networkd::Networkd;

/// The DUID of each, made from a UUID.
pub const DUID: &str = super::site::DUID;
/// The IAID of its delegated prefix. dhclient makes its own of the uplink's link-layer address.
pub const IAID: u32 = 1;
/// It asks for a prefix of this length where it can, and takes the first /64 of one.
pub const LENGTH: u8 = 56;

/// Where a requesting router works.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    pub net: &'a Net,
    pub namespace: &'a Namespace,
    /// Towards the delegating router.
    pub uplink: &'a str,
    /// Gets an address in the delegated prefix.
    pub inner: &'a str,
}

/// Who requests.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// dhcpcd as its package configures it, but for the prefix.
    Dhcpcd,
    /// dhcpcd with the hook that renews when the advertised prefix is another one.
    DhcpcdWithHook,
    /// dhcpcd that accepts Reconfigure.
    DhcpcdWithReconfigure,
    /// dhcp6c of the KAME project.
    Dhcp6c,
    /// ISC's dhclient.
    Dhclient,
    /// systemd-networkd.
    Networkd,
}

/// What all of them can be told.
pub trait Peer: Debug {
    /// Asks for the prefix anew, by the handle that this program has for it.
    fn renew(&mut self);

    /// Ends, and gives the prefix back where the program can.
    fn release(&mut self);
}

impl Kind {
    /// Starts it, with no memory of a lease.
    pub fn start(self, place: Place<'_>) -> Box<dyn Peer> {
        // Those that leave advertisements to the kernel need it to listen although it forwards.
        place.namespace.sysctl(place.uplink, "accept_ra", 2);
        match self {
            Self::Dhcpcd => Box::new(Dhcpcd::start(place, Besides::Nothing)),
            Self::DhcpcdWithHook => Box::new(Dhcpcd::start(place, Besides::Hook)),
            Self::DhcpcdWithReconfigure => Box::new(Dhcpcd::start(place, Besides::Reconfigure)),
            Self::Dhcp6c => Box::new(Dhcp6c::start(place)),
            Self::Dhclient => Box::new(Dhclient::start(place)),
            Self::Networkd => Box::new(Networkd::start(place)),
        }
    }
}

impl Place<'_> {
    /// The subnets of delegated prefixes that it uses: those of the inner interface's addresses
    /// that are not deprecated.
    pub fn subnets(&self) -> Vec<Ipv6Net> {
        let found = addresses(self.namespace, self.inner);
        let in_use = found.iter().filter(|address| !address.deprecated);
        in_use.map(|address| Ipv6Net::new(address.address, 64).unwrap().trunc()).collect()
    }

    /// Whether it uses a part of `delegated`.
    pub fn has(&self, delegated: Ipv6Net) -> bool {
        self.subnets().iter().any(|subnet| delegated.contains(subnet))
    }

    /// Where packets to it go.
    pub fn link_local(&self) -> Ipv6Addr {
        let shown = self.namespace.ip_json(&format!("addr show dev {} scope link", self.uplink));
        let found = shown.iter().filter_map(|link| link["addr_info"].as_array()).flatten();
        let mut addresses = found.filter_map(|address| address["local"].as_str()?.parse().ok());
        addresses.next().unwrap()
    }
}

/// The octets of [`DUID`], as the files of KAME and ISC programs have them.
pub fn duid_octets() -> Vec<u8> {
    DUID.split(':').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect()
}

/// Octets in the octal form of ISC lease files.
pub fn octal(octets: &[u8]) -> String {
    octets.iter().fold(String::new(), |mut text, octet| {
        let _ = write!(text, "\\{octet:03o}");
        text
    })
}
