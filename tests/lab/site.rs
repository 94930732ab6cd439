//! The site that most tests need:
//!
//! ```text
//! isp [isp0] ── switch ── [wan0] dut [lan0] ── switch ── [eth0] client, client, …
//! ```
//!
//! The switches keep the far ends up when a near end goes down or vanishes.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::agent::Agent;
use super::client::{self, Client};
use super::net::{Namespace, Net};
use super::provider::{Customer, Kind, Promise, Provider};
use super::wire::Wire;

/// The agent's DUID: dhcp6s has its entries by DUID.
pub const DUID: &str = "00:04:a4:79:42:d1:2e:ab:81:de:33:7a:00:e0:a1:f4:42:51";
/// The provider's link-local address.
pub const PROVIDER: &str = "fe80::1";
/// The link-local address of the router's uplink, made from its link-layer address.
pub const CUSTOMER: &str = "fe80::ff:fe00:2";
/// Something to reach beyond the provider.
pub const INTERNET: Ipv6Addr = Ipv6Addr::new(0x3fff, 0xfff, 0, 0, 0, 0, 0, 1);

/// A provider, a router and hosts.
#[derive(Debug)]
pub struct Site {
    pub net: Net,
    pub isp: Namespace,
    pub dut: Namespace,
    pub clients: Vec<Client>,
    above: Option<Namespace>,
}

impl Site {
    /// With one host that is as Linux is by default.
    pub fn new() -> Self {
        Self::with_clients(&[&[]])
    }

    /// With a host for each list of settings below net.ipv6.conf.default.
    pub fn with_clients(clients: &[&[(&str, i32)]]) -> Self {
        let mut site = Self::without_uplink(clients);
        let above = site.net.switch("above", &[(&site.isp, "isp0")]);
        site.isp.link_local("isp0", PROVIDER);
        site.above = Some(above);
        site.create_uplink();
        site.dut.settled("wan0");
        site
    }

    /// With nothing between provider and router yet.
    pub fn without_uplink(clients: &[&[(&str, i32)]]) -> Self {
        let net = Net::new();
        let (isp, dut) = (net.router("isp"), net.router("dut"));
        isp.ip(&format!("addr add {INTERNET}/128 dev lo nodad"));
        let clients: Vec<Client> = clients
            .iter()
            .enumerate()
            .map(|(number, settings)| Client::new(&net, &format!("host{number}"), settings))
            .collect();
        let mut places = vec![(&dut, "lan0")];
        places.extend(clients.iter().map(|client| (&client.namespace, client::INTERFACE)));
        net.switch("below", &places);
        dut.settled("lan0");
        Self { net, isp, dut, clients, above: None }
    }

    /// Plugs in the router's uplink, as a new device.
    pub fn create_uplink(&self) {
        let above = self.above.as_ref().unwrap();
        above.port("wan0-port", (&self.dut, "wan0"), Some([2, 0, 0, 0, 0, 2]));
    }

    /// The uplink is no more.
    pub fn delete_uplink(&self) {
        self.dut.ip("link del wan0");
    }

    /// The provider's end of the link is made anew.
    pub fn recreate_provider_link(&self) {
        self.isp.ip("link del isp0");
        self.above.as_ref().unwrap().port("isp0-again", (&self.isp, "isp0"), None);
        self.isp.link_local("isp0", PROVIDER);
    }

    /// Another router on the uplink's link.
    pub fn second_provider(&self, link_local: &str) -> Namespace {
        let (above, second) = (self.above.as_ref().unwrap(), self.net.router("isp2"));
        above.port("second", (&second, "isp0"), None);
        second.link_local("isp0", link_local);
        second
    }

    /// The first host.
    pub fn client(&self) -> &Client {
        &self.clients[0]
    }

    /// The provider's programs at work.
    pub fn provider(&self, kind: Kind, on_link: &[Promise], delegated: &[Promise]) -> Provider {
        let customer = Customer { duid: DUID, link_local: CUSTOMER };
        Provider::start(&self.net, kind, (&self.isp, "isp0"), customer, on_link, delegated)
    }

    /// The agent at work, with the usual configuration.
    pub fn agent(&self, arguments: &[&str]) -> Agent {
        Agent::start(&self.net, &self.dut, &config(), arguments)
    }

    /// What goes over the uplink, seen from the provider.
    pub fn uplink_wire(&self) -> Wire {
        Wire::capture(&self.isp, "isp0")
    }

    /// What the hosts see.
    pub fn lan_wire(&self) -> Wire {
        Wire::capture(&self.client().namespace, client::INTERFACE)
    }

    /// Whether an interface of the router has an address in `prefix` that is not deprecated.
    pub fn router_has(&self, interface: &str, prefix: Ipv6Net) -> bool {
        let mut found = client::addresses(&self.dut, interface).into_iter();
        found.any(|address| prefix.contains(&address.address) && !address.deprecated)
    }
}

/// The usual configuration of the router.
pub fn config() -> String {
    format!(
        "duid = \"{DUID}\"\n\
         grace = \"5s\"\n\
         [uplink.wan0]\n\
         address = \"::2\"\n\
         delegate = [{{ iaid = 1, length = 56 }}]\n\
         [downlink.lan0]\n\
         address = \"::1\"\n"
    )
}
