//! A history: any octets, read as what happens to one agent in a small world. Its kernel refuses,
//! forgets and loses; its neighbors above and below advertise, answer and ask, well or not; it is
//! killed and started again. What must always hold is asserted all the way, and again when the
//! world has come to rest (`laws`).
//!
//! `tests/histories.rs` runs random ones and those that once found a fault; `tests/fuzz` lets
//! libFuzzer look for more. No clock, no socket, no chance but the octets.
#![allow(unreachable_pub, reason = "shared by a test and the fuzzer")]

mod acts;
mod bytes;
mod kernel;
mod laws;
mod sent;
mod subordinate;
mod upstream;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::config::{Config, file};
use renumberd::core::Core;
use renumberd::core::input::{Input, Received};
use renumberd::core::kernel::object::Refusal;
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::Neighbor;
use renumberd::core::kernel::system::{KernelAddress, Link, System};
use renumberd::core::memory::{Memory, Record};
use renumberd::core::output::{Hearing, Object, Output, Setting, Step};
use renumberd::net::IfIndex;
use renumberd::platform::CAPABILITIES;
use renumberd::time::{Instant, Until};
use renumberd::wire::dhcpv6::Message;
use renumberd::wire::dhcpv6_option::Duid;
use renumberd::wire::ndp::RouterAdvertisement;

use self::bytes::Bytes;
use self::kernel::Kernel;
use self::subordinate::Ledger;
use self::upstream::{Server, link_local};

/// The links that there are at the start, by name, with the agent's own link-local address.
const LINKS: [(&str, u16); 6] =
    [("up", 2), ("dsl", 3), ("lan", 1), ("wl", 4), ("rel", 5), ("other", 6)];

/// Uplinks with the prefix that their routers advertise.
const UPLINKS: [(&str, &str); 2] = [("up", "2001:db8:a:1::/64"), ("dsl", "2001:db8:b:1::/64")];

/// A state of the kernel that is in doubt is read anew so much later, as the shell does.
const DUMP_DELAY: Duration = Duration::from_millis(50);

/// Who answers what is relayed.
const SERVER_ELSEWHERE: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);

/// One event makes at most so many outputs: the world is small.
const MAX_OUTPUTS: usize = 6000;
/// After so many rounds at one instant the next deadline has to lie later.
const MAX_ROUNDS: usize = 12;

pub struct World {
    now: Instant,
    core: Core,
    configs: Vec<Config>,
    config: usize,
    memory: Memory,
    kernel: Kernel,
    servers: [Server; 2],
    /// What routers answer solicitations with, by uplink and router.
    advertised: BTreeMap<(usize, Ipv6Addr), RouterAdvertisement>,
    ledger: Ledger,
    /// What is on its way to the agent, in order.
    coming: Vec<(Instant, Input)>,
    /// The last questions of each uplink.
    asked: [Vec<Message>; 2],
    /// Events of the kernel are held back.
    holds_events: bool,
    /// When the agent reads the kernel's state anew.
    dump_at: Option<Instant>,
    /// What the agent's sockets pass.
    hearing: Hearing,
    /// Records that the disk did not take, while it takes none.
    unwritten: Option<Vec<Record>>,
    /// What leaves is lost: router solicitations, questions to servers, echo requests; a bit each.
    loses: u8,
    /// Questions to servers since this was set to zero.
    questions: usize,
    /// The agent is killed after so many outputs.
    dies_after: Option<usize>,
    /// Vanished links.
    gone: Vec<(&'static str, u16)>,
    next_index: u32,
    restarts: u8,
    /// What left, and how often the agent woke up, since this was set to zero.
    outputs: usize,
    wakeups: usize,
    /// Refusals since this was emptied.
    refused: Vec<(Step, Refusal)>,
    storms: usize,
    /// Requesting routers that answer no neighbor solicitation, a bit each.
    asleep: u8,
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
    let parse = |text: &String| file::parse("history.toml", text).unwrap();
    texts.iter().map(parse).collect()
}

pub fn own_duid() -> Duid {
    Duid::from_uuid([0x52; 16])
}

/// Lives through a history.
pub fn run(octets: &[u8]) {
    let mut bytes = Bytes::new(octets);
    let mut world = World::new(bytes.below(5));
    while !bytes.is_empty() {
        world.act(&mut bytes);
        world.check();
    }
    world.rest();
}

impl World {
    fn new(config: usize) -> Self {
        let now = Instant::from_secs(1000);
        let configs = configs();
        let mut kernel = Kernel::default();
        kernel.system.forwarding = true;
        let core = Core::new(
            configs[config].clone(),
            Memory::default(),
            own_duid(),
            CAPABILITIES,
            [7; 32],
            now,
        );
        let good = |(number, (_, prefix)): (usize, &(&str, &str))| {
            let router = upstream::ROUTERS[number];
            ((number, router), upstream::good_advertisement(prefix))
        };
        let mut world = Self {
            now,
            core,
            configs,
            config,
            memory: Memory::default(),
            kernel,
            servers: [Server::new(0), Server::new(1)],
            advertised: UPLINKS.iter().enumerate().map(good).collect(),
            ledger: Ledger::default(),
            coming: Vec::new(),
            asked: [Vec::new(), Vec::new()],
            holds_events: false,
            dump_at: None,
            hearing: Hearing::default(),
            unwritten: None,
            loses: 0,
            questions: 0,
            dies_after: None,
            gone: LINKS.to_vec(),
            next_index: 2,
            restarts: 7,
            outputs: 0,
            wakeups: 0,
            refused: Vec::new(),
            storms: 0,
            asleep: 0,
        };
        while !world.gone.is_empty() {
            world.return_link(0, false);
        }
        world.kernel.events.clear();
        let system = world.kernel.system.clone();
        world.give(Input::System(system));
        world
    }

    /// A vanished link is there again, with another number or its old one.
    fn return_link(&mut self, chosen: usize, old_number: bool) {
        if self.gone.is_empty() {
            return;
        }
        let (name, last) = self.gone.remove(chosen % self.gone.len());
        let index = IfIndex(self.next_index - u32::from(old_number));
        if self.kernel.system.links.contains_key(&index) {
            self.gone.push((name, last));
            return;
        }
        self.next_index = self.next_index.max(index.0 + 1);
        self.kernel.change(KernelEvent::Link(Link {
            index,
            name: name.to_owned(),
            running: true,
            multicast: true,
            point_to_point: name == "dsl",
            link_layer_address: (name != "dsl").then(|| subordinate::link_layer(0x100 + last)),
            mtu: 1500,
        }));
        self.kernel.set_foreign(foreign(index, link_local(last)));
    }

    fn index(&self, name: &str) -> Option<IfIndex> {
        self.kernel.system.link(name).map(|link| link.index)
    }

    /// Something happens to the agent, and it does what follows.
    fn give(&mut self, input: Input) {
        self.core.handle(self.now, input);
        self.perform();
    }

    fn perform(&mut self) {
        let mut count = 0;
        while let Some(output) = self.core.poll_output() {
            count += 1;
            assert!(count < MAX_OUTPUTS, "no end of outputs: {output:?}");
            if let Some(left) = self.dies_after {
                self.dies_after = left.checked_sub(1);
                if left == 0 {
                    return self.restart();
                }
            }
            self.outputs += 1;
            match output {
                Output::Remember(record) => self.remember(record),
                Output::Apply(steps) => self.apply(&steps),
                Output::SendIcmpv6(packet) => self.leave_icmpv6(&packet),
                Output::SendDhcpv6(packet) => self.leave_dhcpv6(&packet),
                Output::SendServer(sent) => self.leave_server(&sent.packet),
                Output::Milestone(milestone) => {
                    self.core.handle(self.now, Input::Milestone(milestone));
                }
                Output::Hear(hearing) => self.hearing = hearing,
                Output::ListNeighbors(interface) => self.list_neighbors(interface),
                Output::Event(_) => {}
                Output::Exit => return self.restart(),
            }
        }
    }

    fn remember(&mut self, record: Record) {
        match &mut self.unwritten {
            Some(unwritten) => unwritten.push(record),
            None => self.memory.fold(record),
        }
    }

    /// The disk takes records again, those that it did not take first.
    fn write_again(&mut self) {
        let unwritten = self.unwritten.take().unwrap_or_default();
        unwritten.into_iter().for_each(|record| self.memory.fold(record));
    }

    fn list_neighbors(&mut self, interface: IfIndex) {
        let awake = (0..subordinate::CLIENTS).filter(|number| self.asleep >> number & 1 == 0);
        let neighbor = |number| Neighbor {
            address: subordinate::address(number),
            link_layer: subordinate::link_layer(number),
            unconfirmed_for: Duration::from_secs(u64::from(number) * 7),
        };
        let neighbors = awake.map(neighbor).collect();
        self.core.handle(self.now, Input::Neighbors { interface, neighbors });
    }

    /// As the shell does: a refusal is an input at once, and where it leaves it open what the
    /// kernel has, its state is one a little later.
    fn apply(&mut self, steps: &[Step]) {
        let mut refused = Vec::new();
        for step in steps {
            if let Step::Set(Object::Setting(Setting { interface, name, value, .. })) = step
                && let Some(before) = self.kernel.sysctl(interface, name.file())
                && before != *value
            {
                let (interface, name) = (interface.clone(), *name);
                let (of, file) = (interface.clone(), name.file().to_owned());
                self.remember(Record::Sysctl { interface: of, name: file, before: Some(before) });
                self.core.handle(self.now, Input::SysctlWas { interface, name, before });
            }
            if let Err(refusal) = self.kernel.take(self.now, step) {
                refused.push((step.clone(), refusal));
            }
        }
        for (step, refusal) in refused {
            if step.is_doubtful(refusal) {
                let at = self.now + DUMP_DELAY;
                self.dump_at = Some(self.dump_at.map_or(at, |before| before.min(at)));
            }
            self.core.handle(self.now, Input::StepFailed { step: step.clone(), refusal });
            self.refused.push((step, refusal));
        }
    }

    /// The agent is killed and started again: what is in the kernel and in the memory stays.
    fn restart(&mut self) {
        self.dies_after = None;
        self.coming.clear();
        self.kernel.close_sockets();
        self.hearing = Hearing::default();
        self.dump_at = None;
        if self.unwritten.as_mut().is_some_and(|unwritten| !std::mem::take(unwritten).is_empty()) {
            // It cannot know what it has given, nor what settings were before.
            self.ledger = Ledger::default();
            self.kernel.sysctls.clear();
        }
        self.restarts = self.restarts.wrapping_add(1);
        let config = self.configs[self.config].clone();
        let seed = [self.restarts; 32];
        self.core =
            Core::new(config, self.memory.clone(), own_duid(), CAPABILITIES, seed, self.now);
        self.dump();
    }

    /// The agent reads the kernel's state anew.
    fn dump(&mut self) {
        self.dump_at = None;
        // An interface that has come back with its old number cannot be told from one that stayed.
        let is_back = |event: &KernelEvent| match event {
            KernelEvent::LinkGone(index) => self.kernel.system.links.contains_key(index),
            _ => false,
        };
        if self.kernel.events.iter().any(is_back) {
            self.holds_events = false;
            self.tell_events();
        }
        self.kernel.events.clear();
        self.holds_events = false;
        self.give(Input::System(self.kernel.system.clone()));
    }

    /// Tells of what the kernel has changed, unless that is held back.
    fn tell_events(&mut self) {
        if !self.holds_events && !self.kernel.events.is_empty() {
            let events = std::mem::take(&mut self.kernel.events);
            self.give(Input::Kernel(events));
        }
    }

    /// Time passes, and everything happens when it should.
    fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        let mut rounds = 0;
        loop {
            self.give(Input::Timeout);
            self.wakeups += 1;
            self.kernel.pass(self.now);
            self.tell_events();
            if self.dump_at.is_some_and(|at| at <= self.now) {
                self.dump();
            }
            while let Some(next) = self.coming.iter().position(|(at, _)| *at <= self.now) {
                let (_, input) = self.coming.remove(next);
                self.give(input);
            }
            let deadline = self.core.deadline(self.now);
            let coming = self.coming.iter().map(|(at, _)| *at).min();
            let kernel = self.kernel.next(self.now);
            let own = [deadline.map(|next| next.at), coming, kernel, self.dump_at];
            let next = own.into_iter().flatten().min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            if next > self.now {
                rounds = 0;
                self.now = next;
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

/// An address that somebody else has set.
fn foreign(interface: IfIndex, address: Ipv6Addr) -> KernelAddress {
    KernelAddress {
        interface,
        address,
        prefix_len: 64,
        preferred_until: Until::Never,
        valid_until: Until::Never,
        tentative: false,
        duplicate: false,
        ours: false,
    }
}

/// Destinations of routes to what is delegated on, with where they lead.
fn delegated(system: &System) -> Vec<(Ipv6Net, String)> {
    let routes = system.routes.values().filter(|route| route.metric == 248);
    routes.map(|route| (route.destination, format!("{:?}", route.target))).collect()
}
