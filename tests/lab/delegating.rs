//! The delegating router above a requesting router: Kea beside a scripted router that advertises,
//! or the agent, which does both.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use pnet::util::MacAddr;
use renumberd::wire::dhcpv6::MessageType;

use super::agent::Agent;
use super::kea::Kea;
use super::net::Namespace;
use super::peer::DUID;
use super::provider::{Era, Promise};
use super::scripted::{Script, Scripted};
use super::site::{PROVIDER, Site};
use renumberd::lab::site::frames::Envelope;

/// Its interface towards the requesting router.
pub const INTERFACE: &str = "isp0";
/// The link behind a relay agent.
pub const RELAYED: &str = "2001:db8:e::/64";

/// How a requesting router can learn of a change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Trigger {
    /// An advertisement to all nodes.
    MulticastRa,
    /// An advertisement to it alone.
    UnicastRa,
    /// Its own timer, T1.
    Timer,
    /// Its own handle.
    Command,
}

/// Messages that Kea answers, not the router that advertises beside it.
const ANSWERED_BY_KEA: [MessageType; 6] = [
    MessageType::Solicit,
    MessageType::Request,
    MessageType::Renew,
    MessageType::Rebind,
    MessageType::Release,
    MessageType::Confirm,
];

/// Kea and a router beside it that advertises what and to whom a test wants.
pub struct KeaSide {
    kea: Kea,
    router: Scripted,
}

impl KeaSide {
    /// Starts it in `era`, with these lifetimes.
    pub fn start(site: &Site, era: Era, (preferred, valid): (u32, u32)) -> Self {
        let place = (&site.isp, INTERFACE);
        let promise = Promise { prefix: era.delegated, preferred, valid };
        let script = Script { deaf_to: ANSWERED_BY_KEA.to_vec(), ..Script::new(era) };
        let router = Scripted::start(place, PROVIDER, script);
        Self { kea: Kea::start(&site.net, place, &[promise]), router }
    }

    /// Killed and started again without leases.
    pub fn restart(&mut self, era: Era) {
        self.kea.kill();
        self.kea.start_with(1, &[Promise::of(era.delegated)]);
    }

    /// Goes over to another era, which the requesting router learns by `trigger` alone.
    pub fn renumber(&self, from: Era, to: Era, trigger: Trigger, peer: (Ipv6Addr, MacAddr)) {
        self.kea.delegate(&[Promise::of(to.delegated)]);
        let on_link = vec![Promise::of(to.on_link), Promise::retired(from.on_link)];
        match trigger {
            Trigger::Timer | Trigger::Command => {}
            Trigger::MulticastRa => {
                self.router.rewrite(|script| script.on_link = on_link);
                self.router.advertise();
            }
            Trigger::UnicastRa => {
                self.router.rewrite(|script| script.on_link = on_link);
                let (destination, destination_mac) = peer;
                let envelope = Envelope { destination, destination_mac, ..self.router.envelope() };
                let advertisement = self.router.script().advertisement().encode();
                self.router.send(&envelope.icmpv6(&advertisement));
            }
        }
    }
}

/// The agent as delegating router of a site with a static prefix, for one requesting router.
#[derive(Debug)]
pub struct AgentSide {
    pub agent: Agent,
}

impl AgentSide {
    /// Starts it in `era`, with more lines about the delegation.
    pub fn start(site: &Site, era: Era, lines: &str) -> Self {
        let who = format!("[delegation.peer]\nduid = \"{DUID}\"\n{lines}");
        Self::start_with(site, era, &who)
    }

    /// Starts it for whoever is behind a relay agent.
    pub fn start_for_relays(site: &Site, era: Era) -> Self {
        let who = format!("[pool.relayed]\nlink = \"{RELAYED}\"\nlength = 56\n");
        Self::start_with(site, era, &who)
    }

    fn start_with(site: &Site, era: Era, who: &str) -> Self {
        let config = format!(
            "grace = \"2s\"\n[static.site]\nprefix = \"{}\"\n\
             [downlink.{INTERFACE}]\nsubnet = \"0x0/64\"\n\
             {who}downlink = \"{INTERFACE}\"\nprefix = \"0x1/56\"\n",
            site_prefix(era)
        );
        Self { agent: Agent::start(&site.net, &site.isp, &config, &[]) }
    }

    /// Goes over to another era.
    pub fn renumber(&self, to: Era) {
        self.agent.set_prefix("site", site_prefix(to));
    }
}

/// The prefix of the whole site, of which [`Era`] names parts.
pub fn site_prefix(era: Era) -> Ipv6Net {
    Ipv6Net::new(era.on_link.network(), 48).unwrap()
}

/// The next hop of the route to exactly `prefix`, where there is one. The kernel shows a route for
/// some time after its end.
pub fn next_hop(site: &Site, prefix: Ipv6Net) -> Option<Ipv6Addr> {
    next_hop_in(&site.isp, prefix)
}

/// The next hop in another place.
pub fn next_hop_in(namespace: &Namespace, prefix: Ipv6Net) -> Option<Ipv6Addr> {
    let routes = namespace.ip_json(&format!("route show {prefix} dev {INTERFACE}"));
    let mut valid = routes.iter().filter(|route| route["expires"].as_i64().is_none_or(|s| s > 0));
    valid.find_map(|route| route["gateway"].as_str()?.parse().ok())
}
