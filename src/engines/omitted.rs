//! The parts of an order that a program's configuration cannot express.

use std::fmt;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

/// A configuration for another program, and the parts of the order that are missing from it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rendered {
    /// The text of the configuration.
    pub text: String,
    /// The parts that it cannot express, or only differently.
    pub omitted: Vec<Omitted>,
}

/// Something that a program cannot advertise, or not as it should.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Omitted {
    /// A prefix of the link.
    Prefix(Ipv6Net),
    /// A route.
    Route(Ipv6Net),
    /// A DNS server.
    Resolver(Ipv6Addr),
    /// A search domain.
    SearchDomain(String),
    /// A NAT64 prefix.
    Pref64(Ipv6Net),
    /// The captive portal's URI.
    CaptivePortal(String),
    /// The MTU option, in octets: it exceeds the link's.
    Mtu(u32),
    /// The Router Lifetime in seconds; a shorter one is advertised.
    RouterLifetime(u16),
    /// The P flag: the prefix should rather be delegated (RFC 9762).
    DelegationPreferred(Ipv6Net),
    /// An interface whose name the program cannot read: nothing is advertised on it.
    Interface(String),
}

impl fmt::Display for Omitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix(prefix) => write!(f, "the prefix {prefix}"),
            Self::Route(prefix) => write!(f, "the route {prefix}"),
            Self::Resolver(server) => write!(f, "the DNS server {server}"),
            Self::SearchDomain(name) => write!(f, "the search domain {name}"),
            Self::Pref64(prefix) => write!(f, "the NAT64 prefix {prefix}"),
            Self::CaptivePortal(uri) => write!(f, "the captive portal {uri}"),
            Self::Mtu(mtu) => write!(f, "the MTU {mtu}, which exceeds the link's"),
            Self::RouterLifetime(seconds) => write!(f, "a Router Lifetime of {seconds}s"),
            Self::DelegationPreferred(prefix) => write!(f, "the P flag of {prefix}"),
            Self::Interface(name) => write!(f, "the interface name {name}"),
        }
    }
}
