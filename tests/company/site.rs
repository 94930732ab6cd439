//! A site of routers in a row, each of which does its jobs in a way of its own:
//!
//! ```text
//! isp [isp0] ── [up0] outbound [down0] ── [up0] backbone [down0] ── … ── [eth0] client
//! ```
//!
//! The provider is the agent. Each router has its own /etc, /run and /var/lib.

#![allow(unreachable_pub, reason = "shared by the tests of one binary")]

use std::fs;
use std::net::Ipv6Addr;
use std::path::PathBuf;
use std::process::Command;

use ipnet::Ipv6Net;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use renumberd::lab::site::nodes::{DOWNLINK, Engines, Era, Node, TARGET, UPLINK};
use renumberd::lab::site::private::Private;
use renumberd::lab::{article, company, site::nodes};

use crate::lab::agent::{self, Agent};
use crate::lab::client::{self, Client};
use crate::lab::net::{Namespace, Net};
use crate::lab::process::{Mounts, Process};
use crate::lab::tree;
use crate::lab::{CEILING, millis, pause, settles};
use crate::way::Way;

/// What others have configured on a router's downlink and uplink: an address with its route.
const STATIC: [(&str, &str, &str); 2] = [
    (DOWNLINK, "fd00::101/120", "fd00::100/120"),
    (UPLINK, "fd00:0:0:1::101/120", "fd00:0:0:1::100/120"),
];

/// Whence dhcp6relay sends: an address that stays, and on no interface of dhcpcd, as it has UDP port
/// 546 there for itself.
const RELAY: &str = "fd00:0:0:2::102";

/// A router of the site.
#[derive(Debug)]
pub struct Router {
    pub namespace: Namespace,
    pub way: Way,
    pub agent: Option<Agent>,
    /// What runs beside the agent; dhcpcd is the last.
    pub programs: Vec<Process>,
    /// The router below relays for the one below that.
    is_above_relay: bool,
    depth: usize,
    directory: PathBuf,
    mounts: Mounts,
}

/// The site.
#[derive(Debug)]
pub struct Site {
    pub isp: Agent,
    pub routers: Vec<Router>,
    pub client: Client,
    place: Namespace,
    /// What ppp.linkup has left in the background.
    linkup: Option<Process>,
    pub plan: nodes::Site,
    _net: Net,
}

impl Router {
    fn new(net: &Net, depth: usize, way: Way) -> Self {
        let name = Node::Router(depth).name();
        let namespace = tree::router(net, &name, false);
        let directory = net.directory(&format!("private-{name}"));
        let mounts = Mounts::private(&directory);
        let (agent, programs, is_above_relay) = (None, Vec::new(), false);
        Self { namespace, way, agent, programs, is_above_relay, depth, directory, mounts }
    }

    fn start(&mut self, net: &Net, plan: nodes::Site) {
        let private = Private::create(self.directory.clone()).unwrap();
        self.namespace.link_local(UPLINK, "fe80::2");
        self.namespace.settled(DOWNLINK);
        match self.way {
            Way::Article => self.start_article(plan, &private),
            Way::BuiltIn | Way::Company | Way::Relay | Way::RelayOfOthers => {
                self.start_agent(net, plan, &private);
            }
        }
        if self.way == Way::RelayOfOthers {
            self.namespace.ip(&format!("addr add {RELAY}/128 dev lo"));
            self.launch(&["dhcp6relay", "-D", "-f", "-r", UPLINK, "-b", RELAY, DOWNLINK]);
        }
        if self.is_above_relay {
            self.namespace.ip(&format!("-6 route add {RELAY}/128 via fe80::2 dev {DOWNLINK}"));
        }
    }

    fn start_agent(&mut self, net: &Net, plan: nodes::Site, private: &Private) {
        for (interface, address, _) in STATIC {
            self.namespace.ip(&format!("addr add {address} dev {interface} nodad"));
        }
        let engines = if self.way.is_led() { Engines::Others } else { Engines::BuiltIn };
        let config = plan.config(Node::Router(self.depth), Era::default(), engines).unwrap();
        let config = format!("grace = \"3s\"\n{}", self.relaying(&config));
        if self.way.is_led() {
            let home = agent::home(net, &self.namespace);
            company::configure(private, self.depth, &agent::program(), &home).unwrap();
        }
        self.agent = Some(Agent::start_among(net, &self.namespace, &config, &self.mounts));
        match self.way {
            Way::BuiltIn | Way::Article => {}
            Way::Company | Way::Relay => self.launch(&company::REQUESTER),
            // For this interface alone it has no wildcard socket.
            Way::RelayOfOthers => self.launch(&[&company::REQUESTER[..], &[UPLINK]].concat()),
        }
    }

    /// A configuration in which the router above a relay agent also has the prefix of the one below
    /// that.
    fn relaying(&self, config: &str) -> String {
        if self.way.relays() {
            let length = |depth| format!("length = {}", nodes::length(depth));
            let own = config.replace(&length(self.depth), &length(self.depth + 1));
            let own = own.split("[delegation.").next().unwrap();
            let is_ours = self.way == Way::Relay;
            // UDP port 547 is dhcp6relay's, if that is there.
            let relay = if is_ours { "[relay.down0]\n" } else { "other = false\n" };
            return format!("{}{relay}", own.replace("delegator = \"dhcp6s\"\n", ""));
        }
        if !self.is_above_relay {
            return config.to_owned();
        }
        let (relay, behind) = (self.depth + 1, self.depth + 2);
        let length = nodes::length(behind);
        let own = config.replace(
            &format!("prefix = \"0x1/{}\"", nodes::length(relay)),
            &format!("prefix = \"0x10/{length}\""),
        );
        format!(
            "{own}[delegation.behind]\ndownlink = \"{DOWNLINK}\"\nduid = \"{}\"\niaid = 1\n\
             prefix = \"0x11/{length}\"\nnext-hop = \"fe80::2\"\n",
            nodes::duid(behind)
        )
    }

    /// What it holds in `era`.
    fn held(&self, era: Era) -> Ipv6Net {
        let nested = era.delegated(self.depth);
        if self.way.relays() {
            return Ipv6Net::new(nested.network(), nodes::length(self.depth + 1)).unwrap();
        }
        nested
    }

    /// What it gives in `era`.
    fn gives(&self, era: Era, hops: usize) -> Vec<Ipv6Net> {
        let below = self.depth + 1;
        match below {
            _ if self.depth == hops || self.way.relays() => Vec::new(),
            _ if self.is_above_relay => {
                let behind = era.delegated(below + 1);
                let relay = era.delegated(below).network();
                vec![Ipv6Net::new(relay, behind.prefix_len()).unwrap(), behind]
            }
            _ => vec![era.delegated(below)],
        }
    }

    /// What it routes downstream in `era`.
    fn routes(&self, era: Era, hops: usize) -> Vec<Ipv6Net> {
        match self.way {
            Way::Company => self.gives(era, hops),
            Way::Relay => vec![era.delegated(self.depth + 1)],
            Way::BuiltIn | Way::Article | Way::RelayOfOthers => Vec::new(),
        }
    }

    fn start_article(&mut self, plan: nodes::Site, private: &Private) {
        if self.depth == 1 {
            self.namespace.sysctl(UPLINK, "accept_ra", 2);
        }
        article::configure(private, plan, self.depth).unwrap();
        self.run_to_its_end(article::BOOT[0]);
        for words in article::DAEMONS {
            self.launch(words);
        }
    }

    /// Starts a program that stays, among the directories of this router.
    pub fn launch(&mut self, words: &[&str]) {
        let process = self.run(words);
        self.programs.push(process);
    }

    fn run(&self, words: &[&str]) -> Process {
        Process::start(words[0], &mut self.command(words))
    }

    fn run_to_its_end(&self, words: &[&str]) {
        let status = self.command(words).status().unwrap();
        assert!(status.success(), "{words:?}: {status}");
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = self.mounts.command(&self.namespace, words[0]);
        command.args(&words[1..]);
        command
    }

    fn agent(&self) -> &Agent {
        self.agent.as_ref().unwrap()
    }

    /// The process of a program that the agent runs.
    pub fn engine(&self, program: &str) -> Option<Pid> {
        let record = self.agent().runtime().join(format!("{program}-{DOWNLINK}.run"));
        let record = fs::read_to_string(record).ok()?;
        Some(Pid::from_raw(record.split(' ').next()?.parse().ok()?))
    }

    /// Signals a program of this router; dhcpcd is several processes.
    pub fn signal(&self, program: &str, signal: Signal) {
        if program == "dhcpcd" {
            crate::lab::company::signal_all(self.programs.last().unwrap(), signal);
        } else {
            kill(self.engine(program).unwrap(), signal).unwrap();
        }
    }

    /// What is wrong with what it has in `era`, if anything.
    fn follows(&self, era: Era, hops: usize) -> Result<(), String> {
        let name = Node::Router(self.depth).name();
        let Some(agent) = &self.agent else {
            let subnet = era.subnet(self.depth);
            let has = client::addresses(&self.namespace, DOWNLINK);
            let is_there = has.iter().any(|one| subnet.contains(&one.address) && !one.deprecated);
            return is_there
                .then_some(())
                .ok_or_else(|| format!("{name} has no {subnet}: {has:?}"));
        };
        let status = agent.ask().ok_or("no answer")?;
        let (held, wanted) = (status.delegated(UPLINK), self.held(era));
        if held != [wanted] {
            return Err(format!("{name} holds {held:?}, not {wanted}"));
        }
        let given = self.gives(era, hops);
        let bindings = status.bindings();
        let is_given =
            |(prefix, state): &(Ipv6Net, String)| given.contains(prefix) && state == "given";
        if bindings.len() != given.len() || !bindings.iter().all(is_given) {
            return Err(format!("{name} gives {bindings:?}, not {given:?}"));
        }
        for prefix in self.routes(era, hops) {
            let route = self.namespace.ip(&format!("-6 route show {prefix}"));
            if !route.contains(&format!("via fe80::2 dev {DOWNLINK}")) {
                return Err(format!("{name} routes {prefix} otherwise: {route}"));
            }
        }
        self.is_written(era, hops)
    }

    /// Whether the files of the programs say what `era` is.
    fn is_written(&self, era: Era, hops: usize) -> Result<(), String> {
        if !self.way.is_led() {
            return Ok(());
        }
        let advertised = self.text_of("radvd");
        let delegated = self.text_of("dhcp6s");
        let mut given = self.gives(era, hops).into_iter();
        let says = advertised.contains(&era.subnet(self.depth).to_string())
            && given.all(|prefix| delegated.contains(&prefix.network().to_string()));
        says.then_some(()).ok_or_else(|| format!("{advertised}\n{delegated}"))
    }

    fn text_of(&self, program: &str) -> String {
        let files = self.files().into_iter().filter(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            name.starts_with(&format!("{program}-{DOWNLINK}.conf"))
        });
        files.map(|path| fs::read_to_string(path).unwrap_or_default()).collect()
    }

    /// All files that the agent and its programs have written, but for what the agent remembers.
    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut directories = vec![self.directory.clone()];
        directories.extend(self.agent.as_ref().map(Agent::runtime));
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() {
                    directories.push(entry.path());
                } else if kind.is_file() {
                    found.push(entry.path());
                }
            }
        }
        found
    }

    /// What of `era` is left, if anything: addresses, routes, files. radvd goes on saying that it is
    /// over, to hosts that come late (BKE-05). On the uplink dhcpcd keeps an address that it has made
    /// itself as every host does, deprecated (RFC 4862 §5.5.3), and so does the agent where the router
    /// above deprecates its prefix and does not withdraw it.
    fn has_left(&self, era: Era) -> Option<String> {
        let (link, site) = (era.wan(), era.delegated(1));
        let name = Node::Router(self.depth).name();
        let texts = [link, site].map(|net| {
            let segments = net.network().segments();
            format!("{:x}:{:x}:{:x}:", segments[0], segments[1], segments[2])
        });
        let octets = [link, site].map(|net| net.network().octets()[..6].to_vec());
        let is_kept = |line: &str| {
            line.contains(&format!(" {UPLINK} "))
                && (line.contains("deprecated") || !line.contains("via"))
        };
        for listing in ["-6 -o addr show", "-6 route show table all"] {
            let shown = self.namespace.ip(listing);
            let mut lines = shown.lines().filter(|line| !is_kept(line));
            let left = lines.find(|line| texts.iter().any(|text| line.contains(text)));
            if let Some(line) = left {
                return Some(format!("{name}: {line}"));
            }
        }
        for path in self.files() {
            let content = fs::read(&path).unwrap_or_default();
            let file = path.file_name().unwrap().to_string_lossy().into_owned();
            // The agent's own record of what it has configured is written behind what there is, and
            // dhcpcd keeps the last Reply, which ends the old prefix.
            if file == "owned.jsonl" || file.ends_with(".lease6") {
                continue;
            }
            let words = texts.iter().map(|text| text.as_bytes().to_vec());
            let has = |needle: &[u8]| content.windows(needle.len()).any(|window| window == needle);
            if file.starts_with("radvd-") {
                let text = String::from_utf8_lossy(&content);
                if !is_withdrawn_in(&text, &texts) {
                    return Some(format!("{name}: {}: {text}", path.display()));
                }
            } else if words.chain(octets.clone()).any(|needle| has(&needle)) {
                let text = String::from_utf8_lossy(&content).into_owned();
                return Some(format!("{name}: {}: {text}", path.display()));
            }
        }
        None
    }

    /// Static addresses and their routes, as others have configured them.
    fn keeps_what_is_static(&self) {
        for (interface, address, route) in STATIC {
            let shown = self.namespace.ip(&format!("-6 addr show dev {interface}"));
            assert!(shown.contains(address), "{}: {address}: {shown}", self.namespace.name());
            let shown = self.namespace.ip(&format!("-6 route show {route} dev {interface}"));
            assert!(shown.contains("proto kernel"), "{}: {route}: {shown}", self.namespace.name());
        }
    }
}

/// Whether radvd.conf says of prefixes that begin so only that they are over.
fn is_withdrawn_in(config: &str, texts: &[String]) -> bool {
    let blocks = config.split("prefix ").skip(1);
    let mut of_era = blocks.filter(|block| texts.iter().any(|text| block.starts_with(text)));
    of_era.all(|block| {
        let block = block.split('}').next().unwrap();
        let says = |name: &str| block.contains(&format!("{name} 0;"));
        says("AdvPreferredLifetime") && says("AdvValidLifetime")
    })
}

impl Site {
    /// Routers that do their jobs in these ways, from the provider's side on, settled in `era`.
    pub fn settled(ways: &[Way], era: Era) -> Self {
        let site = Self::start(ways, era);
        site.follows(era);
        site
    }

    fn start(ways: &[Way], era: Era) -> Self {
        let net = Net::new();
        let plan = nodes::Site { hops: ways.len(), clients: 1 };
        let place = tree::router(&net, "isp", false);
        place.ip(&format!("addr add {TARGET}/128 dev lo nodad"));
        let routers = (1..).zip(ways).map(|(depth, way)| Router::new(&net, depth, *way));
        let mut routers: Vec<Router> = routers.collect();
        for at in 1..routers.len() {
            routers[at - 1].is_above_relay = ways[at].relays();
        }
        let client = Client::new(&net, "client", &[("accept_dad", 0)]);
        let mut above = (&place, "isp0");
        for router in &routers {
            net.cable(above, (&router.namespace, UPLINK));
            above = (&router.namespace, DOWNLINK);
        }
        net.cable(above, (&client.namespace, client::INTERFACE));
        place.settled("isp0");
        let config = plan.config(Node::Isp, era, Engines::BuiltIn).unwrap();
        let isp = Agent::start(&net, &place, &format!("grace = \"3s\"\n{config}"), &[]);
        routers.iter_mut().for_each(|router| router.start(&net, plan));
        let mut site = Self { isp, routers, client, place, linkup: None, plan, _net: net };
        site.line_comes_up();
        site
    }

    /// ppp.linkup, where the outermost router has the article's.
    fn line_comes_up(&mut self) {
        if self.routers[0].way == Way::Article {
            self.linkup = Some(self.routers[0].run(&article::CONFIGURE));
        }
    }

    /// The provider gives other prefixes; not a word about those before.
    pub fn change(&mut self, era: Era) {
        if self.routers[0].way == Way::Article {
            self.routers[0].run_to_its_end(&article::UNCONFIGURE);
        }
        let words = [format!("wan={}", era.wan()), format!("site={}", era.delegated(1))];
        self.isp.prefix(&words.each_ref().map(String::as_str));
        self.line_comes_up();
    }

    /// The line goes down and comes up with other prefixes. What is on the interface stays.
    pub fn redial(&mut self, era: Era) {
        self.place.ip("link set isp0 down");
        pause(millis(500));
        self.change(era);
        self.place.ip("link set isp0 up");
    }

    /// All have their part of `era` in time, and the host prefers nothing else.
    pub fn follows(&self, era: Era) {
        let hops = self.plan.hops;
        settles("all follow", CEILING, || {
            self.routers.iter().try_for_each(|router| router.follows(era, hops))?;
            let (wanted, found) = (self.plan.client_prefix(era), self.client.addresses());
            let mut preferred = found.iter().filter(|one| !one.deprecated).peekable();
            let is_well =
                preferred.peek().is_some() && preferred.all(|one| wanted.contains(&one.address));
            is_well.then_some(()).ok_or_else(|| format!("the host has {found:?}"))
        });
    }

    /// The host and what lies beyond the provider reach each other.
    pub fn is_routed(&self, era: Era) {
        let prefix = self.plan.client_prefix(era);
        let addresses = self.client.addresses();
        let host: Ipv6Addr =
            addresses.iter().find(|one| prefix.contains(&one.address)).unwrap().address;
        tree::reaches(&self.client.namespace, &host.to_string(), &TARGET.to_string());
        tree::reaches(&self.place, &TARGET.to_string(), &host.to_string());
    }

    /// Nothing of `era` is left on routers that have the agent, and what is static is there. Of a
    /// relayed lease dhcp6s never says that it has ended: its route stays as long as it was given for.
    pub fn forgets(&self, era: Era) {
        let led = || self.routers.iter().filter(|router| router.agent.is_some());
        let forgetful = || led().filter(|router| router.way != Way::Relay);
        settles("nothing stale is left", CEILING, || {
            forgetful().find_map(|router| router.has_left(era)).map_or(Ok(()), Err)
        });
        led().for_each(Router::keeps_what_is_static);
    }

    /// Status has nothing to say against any program.
    pub fn runs_well(&self) {
        settles("all programs run well", CEILING, || {
            for router in self.routers.iter().filter_map(|router| router.agent.as_ref()) {
                let status = router.ask().ok_or("no answer")?;
                let troubles = ["missing", "ended", "silent", "refused"];
                let found =
                    troubles.iter().find_map(|one| status.condition(&format!("engine-{one}")));
                found.map_or(Ok(()), Err)?;
            }
            Ok(())
        });
    }
}
