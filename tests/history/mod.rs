//! A history: any octets, read as what happens to one agent in a small world. Its kernel refuses,
//! forgets and loses; its neighbors above and below advertise, answer and ask, well or not; it is
//! killed and started again. What must always hold is asserted all the way, and again when the
//! world has come to rest (`laws`).
//!
//! `tests/histories.rs` runs random ones and those that once found a fault; `tests/fuzz` lets
//! libFuzzer look for more. No clock, no socket, no chance but the octets.
#![allow(unreachable_pub, reason = "shared by a test and the fuzzer")]

mod acts;
mod anew;
mod bytes;
mod company;
mod host;
mod laws;
mod sent;
mod subordinate;
mod upstream;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::config::{Config, file};
use renumberd::core::event::Event;
use renumberd::core::input::{Input, Received};
use renumberd::core::kernel::system::{Link, Neighbor, System};
use renumberd::core::memory::Memory;
use renumberd::core::output::Output;
use renumberd::net::IfIndex;
use renumberd::sim::kernel::{Kernel, link};
use renumberd::sim::node::Node;
use renumberd::time::{Deadline, Instant};
use renumberd::wire::dhcpv6::Message;
use renumberd::wire::dhcpv6_option::Duid;
use renumberd::wire::ndp::RouterAdvertisement;

use self::bytes::Bytes;
use self::subordinate::Ledger;
use self::upstream::{Server, link_local};

/// The links that there are at the start, by name, with the agent's own link-local address.
const LINKS: [(&str, u16); 6] =
    [("up", 2), ("dsl", 3), ("lan", 1), ("wl", 4), ("rel", 5), ("other", 6)];

/// Uplinks with the prefix that their routers advertise.
const UPLINKS: [(&str, &str); 2] = [("up", "2001:db8:a:1::/64"), ("dsl", "2001:db8:b:1::/64")];

/// Who answers what is relayed.
const SERVER_ELSEWHERE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);

/// One event makes at most so many outputs: the world is small.
const MAX_OUTPUTS: usize = 6000;
/// After so many rounds at one instant the next deadline has to lie later.
const MAX_ROUNDS: usize = 12;

pub struct World {
    now: Instant,
    configs: Vec<Config>,
    config: usize,
    node: Node,
    servers: [Server; 2],
    /// What routers answer solicitations with, by uplink and router.
    advertised: BTreeMap<(usize, Ipv6Addr), RouterAdvertisement>,
    ledger: Ledger,
    /// What is on its way to the agent, in order.
    coming: Vec<(Instant, Input)>,
    /// The last questions of each uplink.
    asked: [Vec<Message>; 2],
    /// What leaves is lost: router solicitations, questions to servers, echo requests; a bit each.
    loses: u8,
    /// Questions to servers since this was set to zero.
    questions: usize,
    /// Vanished links.
    gone: Vec<(&'static str, u16)>,
    next_index: u32,
    /// How often the agent woke up since this was set to zero.
    wakeups: usize,
    storms: usize,
    /// Requesting routers that answer no neighbor solicitation, a bit each.
    asleep: u8,
    /// Other programs do the work of built-ins.
    has_programs: bool,
    /// The conditions that were reported to have begun and not to be over, by name and interface.
    reported: BTreeMap<(&'static str, String), usize>,
}

fn configs() -> Vec<Config> {
    let client = subordinate::duid(0);
    let second = subordinate::duid(1);
    let uplinks = "[uplink.up]\n[uplink.dsl]\ndelegate = [{ iaid = 1 }, { iaid = 2 }]\n";
    let statics = "[static.home]\nprefix = \"fd00:1::/48\"\n";
    let lan = "[downlink.lan]\nsubnet = \"0x1/64\"\n[downlink.wl]\nrdnss = [\"self\"]\n";
    let delegations = format!(
        "[delegation.child]\ndownlink = \"lan\"\nduid = \"{client}\"\nprefix = \"0x1/60\"\n\
         [delegation.second]\ndownlink = \"lan\"\nduid = \"{second}\"\niaid = 1\nlength = 62\n\
         [delegation.third]\ndownlink = \"wl\"\nlink-layer = \"02:00:5e:53:00:02\"\nlength = 62\n"
    );
    let pools = "[pool.near]\ndownlink = \"lan\"\nsize = 60\nlength = 62\n\
         [pool.far]\ndownlink = \"lan\"\nlink = \"fd00:99::/64\"\nsize = 61\n\
         [pool.air]\ndownlink = \"wl\"\nsize = 61\n";
    let relay = "[relay.rel]\nservers = [\"2001:db8:ffff::1\"]\n";
    let texts = [
        format!("{uplinks}{statics}{lan}{delegations}{pools}{relay}"),
        format!("{uplinks}{lan}{pools}"),
        format!(
            "layout = \"descending\"\non-stop = \"remove\"\n[uplink.up]\nprobe = \
             \"2001:db8:ffff::1\"\n{statics}{lan}{delegations}{relay}"
        ),
        format!("grace = \"5s\"\n[uplink.dsl]\naddress = \"::5\"\n{lan}{delegations}{pools}"),
        "[uplink.up]\naddress = \"kernel\"\n[downlink.lan]\n".to_owned(),
    ];
    parse(&texts)
}

fn parse(texts: &[String]) -> Vec<Config> {
    texts.iter().map(|text| file::parse("history.toml", text).unwrap()).collect()
}

pub fn own_duid() -> Duid {
    Duid::from_uuid([0x52; 16])
}

/// Lives through a history.
pub fn run(octets: &[u8]) {
    let mut bytes = Bytes::new(octets);
    let first = bytes.octet();
    let mut world = World::new(first);
    while !bytes.is_empty() {
        world.act(&mut bytes);
        world.check();
    }
    world.rest();
}

impl World {
    /// Most have built-ins alone, one in sixteen has other programs, and one in sixteen is a host.
    fn new(first: u8) -> Self {
        let now = Instant::from_secs(1000);
        let has_programs = (224..240).contains(&first);
        let configs = match first {
            240.. => parse(&host::configs()),
            224.. => parse(&company::configs()),
            _ => configs(),
        };
        let config = usize::from(first) % configs.len();
        let memory = Memory::default();
        let config_now = configs[config].clone();
        let mut node = Node::new(config_now, memory, own_duid(), Kernel::default(), now);
        node.most_allowed = MAX_OUTPUTS;
        let good = |(number, (_, prefix)): (usize, &(&str, &str))| {
            let router = upstream::ROUTERS[number];
            ((number, router), upstream::good_advertisement(prefix))
        };
        let mut world = Self {
            now,
            configs,
            config,
            node,
            servers: [Server::new(0), Server::new(1)],
            advertised: UPLINKS.iter().enumerate().map(good).collect(),
            ledger: Ledger::default(),
            coming: Vec::new(),
            asked: [Vec::new(), Vec::new()],
            loses: 0,
            questions: 0,
            gone: LINKS.to_vec(),
            next_index: 2,
            wakeups: 0,
            storms: 0,
            asleep: 0,
            has_programs,
            reported: BTreeMap::new(),
        };
        while !world.gone.is_empty() {
            world.return_link(0, false);
        }
        let system = world.node.read_kernel();
        world.give(system);
        world
    }

    /// A vanished link is there again, with another number or its old one.
    fn return_link(&mut self, chosen: usize, old_number: bool) {
        if self.gone.is_empty() {
            return;
        }
        let (name, last) = self.gone.remove(chosen % self.gone.len());
        let index = IfIndex(self.next_index - u32::from(old_number));
        if self.node.kernel.system().links.contains_key(&index) {
            self.gone.push((name, last));
            return;
        }
        self.next_index = self.next_index.max(index.0 + 1);
        let is_ethernet = name != "dsl";
        let link = Link {
            point_to_point: !is_ethernet,
            link_layer_address: is_ethernet.then(|| subordinate::link_layer(0x100 + last)),
            ..link(index, name)
        };
        self.node.kernel.attach(link, link_local(last));
    }

    /// A link vanishes and comes back under another number.
    fn replace_link(&mut self, name: &str) {
        let link = LINKS.into_iter().find(|(known, _)| *known == name);
        let (Some(link), Some(index)) = (link, self.index(name)) else { return };
        if self.node.kernel.vanish(index).is_some() {
            self.gone.push(link);
            self.give_events();
            self.return_link(self.gone.len() - 1, false);
            self.give_events();
        }
    }

    fn index(&self, name: &str) -> Option<IfIndex> {
        self.node.kernel.system().link(name).map(|link| link.index)
    }

    /// Something happens to the agent, and it does what follows.
    fn give(&mut self, input: Input) {
        self.follow_as_kernel(&input);
        self.node.handle(self.now, input);
        while let Some(output) = self.node.perform(self.now) {
            match output {
                Output::SendIcmpv6(packet) => self.leave_icmpv6(&packet),
                Output::SendDhcpv6(packet) if self.node.kernel.asking => self.leave_dhcpv6(&packet),
                Output::SendDhcpv6(_) => {}
                Output::SendServer(sent) => self.leave_server(&sent.packet),
                Output::Engine(order) => self.lead(&order),
                Output::ListNeighbors(interface) => self.list_neighbors(interface),
                Output::Exit => return self.restart(),
                Output::Event(event) => self.note(event),
                Output::Remember(_)
                | Output::Apply(_)
                | Output::ExpectNeighbors { .. }
                | Output::Milestone(_)
                | Output::Hear(_)
                | Output::RunEngines(_)
                | Output::Publish(_)
                | Output::RunScript(_) => {}
            }
        }
    }

    fn list_neighbors(&mut self, interface: IfIndex) {
        let awake = (0..subordinate::CLIENTS).filter(|number| self.asleep >> number & 1 == 0);
        let neighbor = |number| Neighbor {
            address: subordinate::address(number),
            link_layer: subordinate::link_layer(number),
            unconfirmed_for: Duration::from_secs(u64::from(number) * 7),
        };
        let neighbors = awake.map(neighbor).collect();
        self.node.answer(self.now, Input::Neighbors { interface, neighbors });
    }

    /// The agent reports something.
    fn note(&mut self, event: Event) {
        match event {
            Event::ConditionBegan { interface, condition } => {
                let key = (condition.name(), interface.unwrap_or_default());
                *self.reported.entry(key).or_default() += 1;
            }
            Event::ConditionOver { interface, condition } => {
                let key = (condition.name(), interface.unwrap_or_default());
                let count = self.reported.get_mut(&key).expect("it began before");
                *count -= 1;
                if *count == 0 {
                    self.reported.remove(&key);
                }
            }
            _ => {}
        }
    }

    /// The agent is killed and started again: what is in the kernel and in the memory stays.
    fn restart(&mut self) {
        self.coming.clear();
        self.reported.clear();
        self.node.config = self.configs[self.config].clone();
        if self.node.restart(self.now) {
            // It cannot know what it has given, nor what settings were before.
            self.ledger = Ledger::default();
            self.node.kernel.sysctls.clear();
        }
        self.read_kernel();
    }

    /// The agent reads the kernel's state anew.
    fn read_kernel(&mut self) {
        if self.node.has_returned_link() {
            self.node.holds_events = false;
            self.give_events();
        }
        let system = self.node.read_kernel();
        self.give(system);
    }

    /// Gives the agent the events of the kernel, unless they are held back.
    fn give_events(&mut self) {
        if let Some(events) = self.node.take_events() {
            self.give(events);
        }
    }

    /// Time passes, and everything happens when it should.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        let mut rounds = 0;
        let mut awaited: Option<Deadline> = None;
        loop {
            if let Some(awaited) = awaited.take().filter(|awaited| awaited.at <= self.now) {
                let deadline = self.node.core.deadline(self.now);
                assert!(
                    deadline.is_some_and(|deadline| deadline.at <= self.now),
                    "nobody acts on {awaited:?}"
                );
            }
            self.give(Input::Timeout);
            self.wakeups += 1;
            self.node.kernel.pass(self.now);
            self.give_events();
            if self.node.reads_kernel(self.now) {
                self.read_kernel();
            }
            while let Some(next) = self.coming.iter().position(|(at, _)| *at <= self.now) {
                let (_, input) = self.coming.remove(next);
                self.give(input);
            }
            let deadline = self.node.core.deadline(self.now);
            let coming = self.coming.iter().map(|(at, _)| *at).min();
            let kernel = self.node.kernel.wakes_at();
            let own = [deadline.map(|next| next.at), coming, kernel, self.node.read_at];
            let next = own.into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            if next > self.now {
                rounds = 0;
                self.now = next;
                awaited = deadline;
            }
            rounds += 1;
            assert!(rounds < MAX_ROUNDS, "busy loop: {deadline:?} at {:?}", self.now);
        }
        self.now = end;
    }
}

/// A packet to all, as neighbors send it.
fn received(interface: IfIndex, source: Ipv6Addr, octets: Vec<u8>) -> Received {
    Received {
        interface,
        source,
        port: 0,
        link_layer: None,
        destination: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        hop_limit: 255,
        fragmented: false,
        octets,
    }
}

/// Destinations of routes to what is delegated on, with where they lead.
fn delegated(system: &System) -> Vec<(Ipv6Net, String)> {
    let routes = system.routes.values().filter(|route| route.metric == 248);
    routes.map(|route| (route.destination, format!("{:?}", route.target))).collect()
}
