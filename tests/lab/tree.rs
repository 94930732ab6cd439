//! Routers behind routers, each the agent in a namespace of its own:
//!
//! ```text
//! isp [down0] ── [up0] outbound [down0] ── [up0] backbone [down0] ── … lab [down0] ── [eth0] client
//! ```
//!
//! The provider is the agent with static prefixes, or other people's programs.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::agent::Agent;
use super::client::{self, Client};
use super::net::{Namespace, Net};
use super::process::Process;
use super::provider::{Customer, Era, Kind, Promise, Provider};
use super::site::INTERNET;
use super::wire::Wire;
use super::{CEILING, millis, pause, settles};

/// The routers from the provider inwards.
pub const NAMES: [&str; 4] = ["outbound", "backbone", "wlan", "lab"];
pub const BACKBONE: usize = 1;
pub const LAB: usize = 3;

/// What each gets of a /56, as the configurations below say.
const PLACES: [(u16, u8); 4] = [(0x00, 56), (0x40, 58), (0x50, 60), (0x54, 62)];

/// Addresses of others: on each router's downlink and uplink, with their prefix routes.
const FOREIGN: [(&str, &str, &str); 2] = [
    ("down0", "fd00::101/120", "fd00::100/120"),
    ("up0", "fd00:0:0:1::101/120", "fd00:0:0:1::100/120"),
];
/// A route of others.
const FOREIGN_ROUTE: &str = "fd00:ffff::/48";

/// Who gives prefixes to the outbound router.
#[derive(Debug)]
pub enum Isp {
    Agent(Box<Agent>),
    Others(Box<Provider>),
}

/// A router with the agent, when it runs.
#[derive(Debug)]
pub struct Router {
    pub namespace: Namespace,
    pub agent: Option<Agent>,
}

/// A provider, four routers behind each other, and a host at the end.
#[derive(Debug)]
pub struct Tree {
    pub isp: Option<Isp>,
    pub routers: Vec<Router>,
    pub client: Client,
    pub place: Namespace,
    pub net: Net,
}

/// The DUID of the router at `level`, counted from the outbound router.
pub fn duid(level: usize) -> String {
    format!("00:04:{:02x}{}", level + 1, ":00".repeat(15))
}

/// What the router at `level` is delegated in an era.
pub fn lease(whole: Ipv6Net, level: usize) -> Ipv6Net {
    let (offset, length) = PLACES[level];
    let mut segments = whole.network().segments();
    segments[3] += offset;
    Ipv6Net::new(segments.into(), length).unwrap()
}

/// The subnet on the downlink of the router at `level`.
pub fn subnet(whole: Ipv6Net, level: usize) -> Ipv6Net {
    Ipv6Net::new(lease(whole, level).network(), 64).unwrap()
}

/// The configuration of the router at `level`.
pub fn config(level: usize) -> String {
    let mut text = format!("duid = \"{}\"\ngrace = \"3s\"\n[uplink.up0]\n", duid(level));
    text += "[downlink.down0]\nsubnet = \"0x0/64\"\n";
    if let Some((_, length)) = PLACES.get(level + 1) {
        let (name, duid) = (NAMES[level + 1], duid(level + 1));
        text += &format!("[delegation.{name}]\ndownlink = \"down0\"\nduid = \"{duid}\"\n");
        text += &format!("iaid = 1\nprefix = \"0x1/{length}\"\n");
    }
    text
}

/// The configuration of a provider that is the agent.
pub fn isp_config(era: Era) -> String {
    format!(
        "duid = \"00:04:ff{}\"\ngrace = \"3s\"\n\
         [static.wan]\nprefix = \"{}\"\n[static.site]\nprefix = \"{}\"\n\
         [downlink.down0]\nsubnet = \"0x0/64\"\nfrom = \"wan\"\n\
         [delegation.outbound]\ndownlink = \"down0\"\nduid = \"{}\"\niaid = 1\n\
         prefix = \"0x0/56\"\nfrom = \"site\"\n",
        ":00".repeat(15),
        era.on_link,
        era.delegated,
        duid(0)
    )
}

/// A router without cables; as kernels detect duplicate addresses for a second or two, that is
/// off where a test is about something else.
pub fn router(net: &Net, role: &str, detects_duplicates: bool) -> Namespace {
    let namespace = net.router(role);
    if !detects_duplicates {
        namespace.sysctl("default", "accept_dad", 0);
    }
    namespace
}

impl Tree {
    /// Cables only; nobody runs.
    pub fn new() -> Self {
        Self::build(false)
    }

    /// Cables only; kernels take their time to detect duplicate addresses, as they do by default.
    pub fn with_duplicate_detection() -> Self {
        Self::build(true)
    }

    fn build(detects_duplicates: bool) -> Self {
        let net = Net::new();
        let place = router(&net, "isp", detects_duplicates);
        place.ip(&format!("addr add {INTERNET}/128 dev lo nodad"));
        let namespaces = NAMES.map(|name| router(&net, name, detects_duplicates));
        let settings: &[(&str, i32)] = if detects_duplicates { &[] } else { &[("accept_dad", 0)] };
        let client = Client::new(&net, "client", settings);
        let mut above = &place;
        for namespace in &namespaces {
            net.cable((above, "down0"), (namespace, "up0"));
            above = namespace;
        }
        net.cable((above, "down0"), (&client.namespace, client::INTERFACE));
        for namespace in &namespaces {
            for (interface, address, _) in FOREIGN {
                namespace.ip(&format!("addr add {address} dev {interface} nodad"));
            }
            foreign_route(namespace);
        }
        let routers = namespaces.map(|namespace| Router { namespace, agent: None });
        Self { isp: None, routers: routers.into(), client, place, net }
    }

    /// All at work and settled in `era`, below a provider that is the agent.
    pub fn settled(era: Era) -> Self {
        let mut tree = Self::new();
        tree.start_isp(&isp_config(era));
        tree.launch_all();
        tree.follows(era);
        tree
    }

    /// The same below other people's programs.
    pub fn below_others(kind: Kind, era: Era) -> Self {
        let mut tree = Self::new();
        tree.place.link_local("down0", "fe80::1");
        tree.routers[0].namespace.link_local("up0", "fe80::2");
        let (duid, place) = (duid(0), (&tree.place, "down0"));
        let customer = Customer { duid: &duid, link_local: "fe80::2" };
        let (on_link, delegated) = ([Promise::of(era.on_link)], [Promise::of(era.delegated)]);
        let provider = Provider::start(&tree.net, kind, place, customer, &on_link, &delegated);
        tree.isp = Some(Isp::Others(Box::new(provider)));
        tree.launch_all();
        tree.follows(era);
        tree
    }

    pub fn start_isp(&mut self, config: &str) {
        self.isp = Some(Isp::Agent(Box::new(Agent::launch(&self.net, &self.place, config, &[]))));
    }

    pub fn launch(&mut self, level: usize) {
        self.launch_with(level, &config(level));
    }

    pub fn launch_with(&mut self, level: usize, config: &str) {
        let agent = Agent::launch(&self.net, &self.routers[level].namespace, config, &[]);
        self.routers[level].agent = Some(agent);
    }

    pub fn launch_all(&mut self) {
        (0..self.routers.len()).for_each(|level| self.launch(level));
    }

    pub fn agent(&mut self, level: usize) -> &mut Agent {
        self.routers[level].agent.as_mut().unwrap()
    }

    pub fn isp(&mut self) -> &mut Agent {
        match self.isp.as_mut().unwrap() {
            Isp::Agent(agent) => agent,
            Isp::Others(_) => panic!("the provider is not the agent"),
        }
    }

    /// The provider has other prefixes from now on, without a word about the old ones.
    pub fn change(&self, to: Era) {
        match self.isp.as_ref().unwrap() {
            Isp::Agent(agent) => agent.prefix(&words(to).each_ref().map(String::as_str)),
            Isp::Others(provider) => provider.flash(to),
        }
    }

    /// What goes over the last link.
    pub fn lan_wire(&self) -> Wire {
        Wire::capture(&self.client.namespace, client::INTERFACE)
    }

    /// Everybody has its part of `era` in time, and the host prefers nothing else.
    pub fn follows(&self, era: Era) {
        self.follows_all(&[era.delegated]);
    }

    /// Everybody has its part of each prefix in time, and the host prefers nothing else.
    pub fn follows_all(&self, wholes: &[Ipv6Net]) {
        settles("all follow", CEILING, || {
            for (level, router) in self.routers.iter().enumerate() {
                let wanted = wholes.iter().map(|whole| lease(*whole, level));
                holds(NAMES[level], router.agent.as_ref().unwrap(), wanted)?;
            }
            let addresses = self.client.addresses();
            let preferred = addresses.iter().filter(|found| !found.deprecated);
            let subnets: BTreeSet<_> = wholes.iter().map(|whole| subnet(*whole, LAB)).collect();
            let found: BTreeSet<_> =
                preferred.map(|it| Ipv6Net::new(it.address, 64).unwrap().trunc()).collect();
            (found == subnets).then_some(()).ok_or_else(|| format!("the host has {addresses:?}"))
        });
    }

    /// The host and what lies beyond the provider reach each other, and so do the routers.
    pub fn is_routed(&self, era: Era) {
        self.routes(era.delegated);
    }

    /// The same in a part of the site's prefixes.
    pub fn routes(&self, whole: Ipv6Net) {
        let internet = INTERNET.to_string();
        let last = subnet(whole, LAB);
        let addresses = self.client.addresses();
        let host = addresses.iter().find(|it| last.contains(&it.address)).unwrap().address;
        reaches(&self.client.namespace, &host.to_string(), &internet);
        reaches(&self.place, &internet, &host.to_string());
        for level in 0..self.routers.len() {
            let router = address_of(subnet(whole, level));
            reaches(&self.place, &internet, &router.to_string());
        }
    }

    /// Nothing of any other era is left in time, in kernels or in memory.
    pub fn forgets_all_but(&self, era: Era) {
        settles("nothing stale is left", CEILING, || {
            let found = self.stale(era);
            // To look costs more than to wait: other tests want the processors too.
            pause(millis(if found.is_err() { 500 } else { 0 }));
            found
        });
    }

    fn stale(&self, era: Era) -> Result<(), String> {
        for (level, router) in self.routers.iter().enumerate() {
            let complain = |what: String| Err(format!("{}: {what}", NAMES[level]));
            let belongs = |net: &Ipv6Net| era.delegated.contains(net) || era.on_link.contains(net);
            let shown = router.namespace.ip_json("addr show scope global");
            for found in ["up0", "down0"].map(|name| client::addresses(&router.namespace, name)) {
                let foreign = |it: &Ipv6Addr| it.is_unique_local();
                let mut wrong = found.iter().filter(|it| {
                    it.deprecated || !(belongs(&it.address.into()) || foreign(&it.address))
                });
                if wrong.next().is_some() {
                    return complain(format!("addresses {shown:?}"));
                }
            }
            let routes = ours(&router.namespace);
            let (default, others): (Vec<_>, Vec<_>) =
                routes.iter().partition(|route| route.prefix_len() == 0);
            if default.len() != 1 || !others.iter().all(belongs) {
                return complain(format!("routes {routes:?}"));
            }
            let status = router.agent.as_ref().unwrap().status();
            let given: Vec<_> = (level < LAB)
                .then(|| (lease(era.delegated, level + 1), "given".to_owned()))
                .into_iter()
                .collect();
            if status.bindings() != given || status.is_calling() {
                return complain(format!("bindings {:?}", status.bindings()));
            }
            if !status.gone("up0").is_empty() {
                return complain(format!("leases {:?} are gone", status.gone("up0")));
            }
        }
        Ok(())
    }

    /// What others configured is there.
    pub fn foreign_stays(&self, when: &str) {
        for (router, name) in self.routers.iter().zip(NAMES) {
            for (interface, address, route) in FOREIGN {
                let shown = router.namespace.ip(&format!("-6 addr show dev {interface}"));
                assert!(shown.contains(address), "{when}: {name}: {address}: {shown}");
                let shown = router.namespace.ip(&format!("-6 route show {route} dev {interface}"));
                assert!(shown.contains("proto kernel"), "{when}: {name}: {route}: {shown}");
            }
            let shown = router.namespace.ip(&format!("-6 route show {FOREIGN_ROUTE}"));
            assert!(shown.contains("proto static"), "{when}: {name}: {FOREIGN_ROUTE}: {shown}");
        }
    }

    /// Everything that happens to what others configured, from now on.
    pub fn watch_foreign(&self) -> Vec<Process> {
        let watch = |router: &Router| {
            let mut command = router.namespace.command("ip");
            command.args(["-6", "monitor", "address", "route"]);
            Process::start("ip monitor", &mut command)
        };
        self.routers.iter().map(watch).collect()
    }
}

/// Whether the agent's uplink holds just these prefixes; what is wrong otherwise.
pub fn holds(
    name: &str,
    agent: &Agent,
    wanted: impl IntoIterator<Item = Ipv6Net>,
) -> Result<(), String> {
    let held = agent.ask().map(|status| status.delegated("up0")).unwrap_or_default();
    let (held, wanted) = (BTreeSet::from_iter(held), BTreeSet::from_iter(wanted));
    (held == wanted).then_some(()).ok_or_else(|| format!("{name} holds {held:?}, not {wanted:?}"))
}

/// What `ip monitor` saw of others' addresses and routes.
pub fn foreign_events(watches: &[Process]) -> Vec<String> {
    let lines = watches.iter().flat_map(Process::lines);
    lines.filter(|line| line.contains("fd00:")).collect()
}

/// A route of others, which goes with its interface.
pub fn foreign_route(namespace: &Namespace) {
    namespace.ip(&format!("-6 route add {FOREIGN_ROUTE} via fe80::dead dev down0 proto static"));
}

/// Routes with the agent's mark.
pub fn ours(namespace: &Namespace) -> Vec<Ipv6Net> {
    let shown = namespace.ip_json("route show proto 82");
    let parse = |text: &str| match text {
        "default" => Ipv6Net::default(),
        text => text.parse().unwrap_or_else(|_| text.parse::<Ipv6Addr>().unwrap().into()),
    };
    shown.iter().filter_map(|route| route["dst"].as_str().map(parse)).collect()
}

/// The router's own address in its subnet.
pub fn address_of(subnet: Ipv6Net) -> Ipv6Addr {
    (u128::from(subnet.network()) | 1).into()
}

/// Waits for an echo from one address to another.
pub fn reaches(from: &Namespace, source: &str, destination: &str) {
    settles(&format!("{source} reaches {destination}"), CEILING, || {
        let mut ping = from.command("ping");
        ping.args(["-6", "-c", "1", "-W", "1", "-I", source, destination]);
        let output = ping.output().unwrap();
        let seen = String::from_utf8_lossy(&output.stdout).into_owned();
        output.status.success().then_some(()).ok_or(seen)
    });
}

fn words(era: Era) -> [String; 2] {
    [format!("wan={}", era.on_link), format!("site={}", era.delegated)]
}
