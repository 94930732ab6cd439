//! An upstream router made of other people's programs: radvd, and dhcp6s or Kea.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::kame::Kame;
use super::kea::Kea;
use super::net::{Namespace, Net};
use super::radvd::Radvd;

/// Who delegates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// dhcp6s of the KAME project.
    Kame,
    /// ISC's Kea.
    Kea,
}

/// A prefix with its lifetimes in seconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promise {
    pub prefix: Ipv6Net,
    pub preferred: u32,
    pub valid: u32,
}

impl Promise {
    /// Preferred for half an hour, valid for an hour.
    pub const fn of(prefix: Ipv6Net) -> Self {
        Self { prefix, preferred: 1800, valid: 3600 }
    }

    /// Deprecated.
    pub const fn retired(prefix: Ipv6Net) -> Self {
        Self { prefix, preferred: 0, valid: 3600 }
    }
}

/// What the provider gives between two redials.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Era {
    /// On the link to the customer.
    pub on_link: Ipv6Net,
    /// For the customer's site.
    pub delegated: Ipv6Net,
}

impl Era {
    /// The prefixes of era `number`: 2001:db8:NUMBER::/64 and 2001:db8:NUMBER:100::/56.
    pub fn new(number: u16) -> Self {
        let net = |subnet, length| {
            let address = Ipv6Addr::new(0x2001, 0xdb8, number, subnet, 0, 0, 0, 0);
            Ipv6Net::new(address, length).unwrap()
        };
        Self { on_link: net(0, 64), delegated: net(0x100, 56) }
    }
}

/// The upstream router.
#[derive(Debug)]
pub struct Provider {
    namespace: Namespace,
    interface: String,
    next_hop: String,
    radvd: Radvd,
    server: Server,
    identity: u8,
}

#[derive(Debug)]
enum Server {
    Kame(Kame),
    Kea(Kea),
}

/// The customer's router as its provider knows it.
#[derive(Clone, Copy, Debug)]
pub struct Customer<'a> {
    /// DUID.
    pub duid: &'a str,
    /// Where its prefixes are routed to.
    pub link_local: &'a str,
}

impl Provider {
    /// Starts radvd and the server; the interface already has its link-local address.
    pub fn start(
        net: &Net,
        kind: Kind,
        place: (&Namespace, &str),
        customer: Customer<'_>,
        on_link: &[Promise],
        delegated: &[Promise],
    ) -> Self {
        let server = match kind {
            Kind::Kame => Server::Kame(Kame::start(net, place, customer.duid, delegated)),
            Kind::Kea => Server::Kea(Kea::start(net, place, delegated)),
        };
        let provider = Self {
            namespace: place.0.clone(),
            interface: place.1.to_owned(),
            next_hop: customer.link_local.to_owned(),
            radvd: Radvd::start(net, place, on_link),
            server,
            identity: 1,
        };
        provider.route(on_link, delegated);
        provider
    }

    /// Changes what is advertised on the link, at once.
    pub fn advertise(&self, prefixes: &[Promise]) {
        self.route(prefixes, &[]);
        self.radvd.advertise(prefixes);
    }

    /// Changes what the server delegates. It says so when it is asked.
    pub fn delegate(&self, prefixes: &[Promise]) {
        self.route(&[], prefixes);
        match &self.server {
            Server::Kame(kame) => kame.delegate(prefixes),
            Server::Kea(kea) => kea.delegate(prefixes),
        }
    }

    /// From one era to another with the old prefixes deprecated, as a renumbering should be.
    pub fn graceful(&self, from: Era, to: Era) {
        self.delegate(&[Promise::of(to.delegated), Promise::retired(from.delegated)]);
        self.advertise(&[Promise::of(to.on_link), Promise::retired(from.on_link)]);
    }

    /// To another era without a word about the old one, as after a redial.
    pub fn flash(&self, to: Era) {
        self.delegate(&[Promise::of(to.delegated)]);
        self.advertise(&[Promise::of(to.on_link)]);
    }

    /// Dies, and comes back with other prefixes and as another server.
    pub fn reboot(&mut self, to: Era) {
        let (on_link, delegated) = ([Promise::of(to.on_link)], [Promise::of(to.delegated)]);
        self.radvd.kill();
        self.identity += 1;
        self.route(&on_link, &delegated);
        match &mut self.server {
            Server::Kame(kame) => kame.start_with(self.identity, &delegated),
            Server::Kea(kea) => kea.start_with(self.identity, &delegated),
        }
        self.radvd.start_with(&on_link);
    }

    /// Routes what is given to the customer; what is no longer given is no longer routed.
    fn route(&self, on_link: &[Promise], delegated: &[Promise]) {
        let (device, via) = (&self.interface, &self.next_hop);
        for (promises, route) in
            [(on_link, format!("dev {device}")), (delegated, format!("via {via} dev {device}"))]
        {
            for Promise { prefix, .. } in promises {
                self.namespace.ip(&format!("-6 route replace {prefix} {route}"));
            }
        }
    }
}
