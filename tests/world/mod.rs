//! A world of one agent in virtual time: its kernel, its router above with a DHCPv6 server, and a
//! record of all that leaves. No clock, no socket, no chance but the seed.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of the world")]

pub mod server;

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::config::{self, Config};
use renumberd::core::Core;
use renumberd::core::input::{Command, Input, Received};
use renumberd::core::kernel::object::Refusal;
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::Neighbor;
use renumberd::core::kernel::system::{KernelAddress, Link, RouteTarget, System};
use renumberd::core::memory::Memory;
use renumberd::core::output::{Object, Output, Step};
use renumberd::net::IfIndex;
use renumberd::platform::CAPABILITIES;
use renumberd::time::{Instant, Lifetime, Until};
use renumberd::wire::dhcpv6::{Message, MessageType};
use renumberd::wire::dhcpv6_option::Duid;
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::{NdpOption, PrefixInformation};

use self::server::Server;

pub const UPLINK: IfIndex = IfIndex(2);
pub const DOWNLINK: IfIndex = IfIndex(3);
pub const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
pub const CLIENT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);

/// After so many rounds of acting on it a deadline must not stay.
const ROUNDS: usize = 3;

/// A packet that left, or a step that was taken, with its time.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    Dhcpv6(Message),
    Solicit(Ipv6Addr),
    Advertise(Ipv6Addr, RouterAdvertisement),
    Step(Step),
}

pub struct World {
    pub now: Instant,
    pub core: Core,
    pub config: Config,
    pub memory: Memory,
    pub kernel: System,
    /// The number of the uplink, on which the server answers.
    uplink: IfIndex,
    pub server: Server,
    pub log: Vec<(Instant, Event)>,
    /// What is on its way to the agent.
    coming: VecDeque<(Instant, Input)>,
    /// The router above answers each solicitation with this, if anything.
    pub answer_solicitations: Option<RouterAdvertisement>,
    /// The hosts on the downlink.
    pub neighbors: Vec<Neighbor>,
    seed: u8,
    /// Which steps the kernel refuses, with the error number; else it takes all, and one that it
    /// could not take is a failure of the test.
    pub refuses: Option<Refuses>,
    tries: BTreeMap<Step, u32>,
    /// What the agent has reported.
    pub events: Vec<renumberd::core::event::Event>,
    /// Most outputs that one input had.
    pub most_outputs: usize,
}

/// The error number of a refusal, by the step and how often it was tried.
pub type Refuses = fn(&Step, u32) -> Option<Refusal>;

pub fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

pub fn pio(prefix: &str, valid: u32, preferred: u32) -> NdpOption {
    NdpOption::Prefix(PrefixInformation {
        prefix: net(prefix),
        on_link: true,
        autonomous: true,
        delegation_preferred: false,
        valid: Lifetime::Finite(valid),
        preferred: Lifetime::Finite(preferred),
    })
}

/// An advertisement of a default router with these options.
pub fn advertisement(options: Vec<NdpOption>) -> RouterAdvertisement {
    RouterAdvertisement { router_lifetime: 1800, options, ..RouterAdvertisement::default() }
}

pub fn config() -> Config {
    let mut config = Config::from_args(&["up".to_owned()], &["lan".to_owned()]).unwrap();
    config.downlinks.get_mut("lan").unwrap().subnet =
        Some(config::Place { number: config::PlaceNumber::Low(1), length: 64 });
    config
}

fn link(index: IfIndex, name: &str, last: u8) -> Link {
    Link {
        index,
        name: name.to_owned(),
        running: true,
        multicast: true,
        point_to_point: false,
        link_layer_address: Some(vec![2, 0, 0, 0, 0, last]),
        mtu: 1500,
    }
}

pub fn address(interface: IfIndex, address: &str, ours: bool) -> KernelAddress {
    KernelAddress {
        interface,
        address: address.parse().unwrap(),
        prefix_len: 64,
        preferred_until: Until::Never,
        valid_until: Until::Never,
        tentative: false,
        duplicate: false,
        ours,
    }
}

impl World {
    pub fn new(config: Config, delegated: &str) -> Self {
        let now = Instant::from_secs(1000);
        let mut kernel = System { forwarding: true, ..System::default() };
        for event in [
            KernelEvent::Link(link(UPLINK, "up", 2)),
            KernelEvent::Link(link(DOWNLINK, "lan", 3)),
            KernelEvent::Address(address(UPLINK, "fe80::2", false)),
            KernelEvent::Address(address(DOWNLINK, "fe80::3", false)),
        ] {
            kernel.handle(event);
        }
        let core =
            Core::new(config.clone(), Memory::default(), own_duid(), CAPABILITIES, [7; 32], now);
        let mut world = Self {
            now,
            core,
            config,
            memory: Memory::default(),
            kernel,
            uplink: UPLINK,
            server: Server::new(net(delegated)),
            log: Vec::new(),
            coming: VecDeque::new(),
            answer_solicitations: None,
            neighbors: Vec::new(),
            seed: 7,
            refuses: None,
            tries: BTreeMap::new(),
            events: Vec::new(),
            most_outputs: 0,
        };
        let system = world.kernel.clone();
        world.tell(Input::System(system));
        world
    }

    /// Tells the agent something, and performs what follows.
    pub fn tell(&mut self, input: Input) {
        self.core.handle(self.now, input);
        self.perform(usize::MAX);
    }

    /// Performs outputs, at most `limit`; true when all were.
    pub fn perform(&mut self, limit: usize) -> bool {
        for count in 0..limit {
            let Some(output) = self.core.poll_output() else { return true };
            self.most_outputs = self.most_outputs.max(count + 1);
            assert!(count < 10_000, "an endless pass");
            match output {
                Output::Remember(record) => self.memory.fold(record),
                Output::Apply(steps) => steps.into_iter().for_each(|step| self.apply(step)),
                Output::SendIcmpv6(packet) => self.leave_icmpv6(packet.destination, &packet.octets),
                Output::SendDhcpv6(packet) => {
                    let message = Message::decode(&packet.octets).expect("own message decodes");
                    self.log.push((self.now, Event::Dhcpv6(message.clone())));
                    if let Some((delay, reply)) = self.server.answer(self.now, &message) {
                        let mut input = dhcpv6(&reply);
                        if let Input::Dhcpv6(received) = &mut input {
                            received.interface = self.uplink;
                        }
                        self.deliver(self.now + delay, input);
                    }
                }
                Output::Milestone(milestone) => {
                    self.core.handle(self.now, Input::Milestone(milestone));
                }
                Output::ListNeighbors(interface) => {
                    let neighbors = self.neighbors.clone();
                    self.core.handle(self.now, Input::Neighbors { interface, neighbors });
                }
                Output::Event(event) => self.events.push(event),
                Output::Hear(_) | Output::SendServer(_) | Output::Exit => {}
            }
        }
        false
    }

    fn leave_icmpv6(&mut self, destination: Ipv6Addr, octets: &[u8]) {
        if let Ok(advertisement) = RouterAdvertisement::decode(octets) {
            self.log.push((self.now, Event::Advertise(destination, advertisement)));
        } else if octets.first() == Some(&133) {
            self.log.push((self.now, Event::Solicit(destination)));
            if let Some(answer) = self.answer_solicitations.clone() {
                let at = self.now + Duration::from_millis(1);
                self.deliver(at, icmpv6(UPLINK, ROUTER, answer.encode()));
            }
        }
    }

    fn apply(&mut self, mut step: Step) {
        if let Step::Set(Object::Route(route)) | Step::Replace(Object::Route(route)) = &mut step
            && route.target == RouteTarget::Unreachable
        {
            // As Linux does.
            route.until = Until::Never;
        }
        if let Some(refusal) = self.refusal(&step) {
            return self.core.handle(self.now, Input::StepFailed { step, refusal });
        }
        self.log.push((self.now, Event::Step(step.clone())));
        let event = match step {
            Step::Set(Object::Address(address)) => KernelEvent::Address(address),
            Step::Remove(Object::Address(KernelAddress { interface, address, .. })) => {
                KernelEvent::AddressGone { interface, address }
            }
            Step::Set(Object::Route(route)) => {
                let taken = self.kernel.routes.values().any(|has| has.slot() == route.slot());
                assert!(!taken, "the kernel would refuse {route:?}");
                KernelEvent::Route(route)
            }
            Step::Replace(Object::Route(route)) => KernelEvent::Route(route),
            Step::Remove(Object::Route(route)) => KernelEvent::RouteGone(route),
            Step::Set(_) | Step::Replace(_) | Step::Remove(_) => return,
        };
        self.kernel.handle(event.clone());
        self.deliver(self.now + Duration::from_micros(50), Input::Kernel(vec![event]));
    }

    /// Why the kernel refuses a step, where it refuses any.
    fn refusal(&mut self, step: &Step) -> Option<Refusal> {
        let refuses = self.refuses?;
        let tries = self.tries.entry(step.clone()).or_default();
        *tries += 1;
        if let Some(refusal) = refuses(step, *tries) {
            return Some(refusal);
        }
        let interface = match step {
            Step::Set(Object::Address(address)) => Some(address.interface),
            Step::Set(Object::Route(route)) | Step::Replace(Object::Route(route)) => {
                route.target.interface()
            }
            Step::Set(Object::Membership(_, interface)) => Some(*interface),
            _ => None,
        };
        if interface.is_some_and(|index| !self.kernel.links.contains_key(&index)) {
            return Some(Refusal::NotThere);
        }
        let Step::Set(Object::Route(route)) = step else { return None };
        let taken = self.kernel.routes.values().any(|has| has.slot() == route.slot());
        taken.then_some(Refusal::Exists)
    }

    /// The carrier of an interface comes or goes.
    pub fn carrier(&mut self, index: IfIndex, running: bool) {
        let Some(link) = self.kernel.links.get(&index) else { return };
        let event = KernelEvent::Link(Link { running, ..link.clone() });
        self.kernel.handle(event.clone());
        self.tell(Input::Kernel(vec![event]));
    }

    /// An interface vanishes, with all that is on it.
    pub fn vanish(&mut self, index: IfIndex) {
        let event = KernelEvent::LinkGone(index);
        self.kernel.handle(event.clone());
        self.tell(Input::Kernel(vec![event]));
    }

    /// An interface that vanished is there again.
    pub fn return_link(&mut self, index: IfIndex) {
        if !self.kernel.links.contains_key(&index) {
            self.return_as(index, index);
        }
    }

    /// An interface that vanished is there again, with the number `new`.
    pub fn return_as(&mut self, index: IfIndex, new: IfIndex) {
        if index == UPLINK {
            self.uplink = new;
        }
        let (name, own) = if index == UPLINK { ("up", "fe80::2") } else { ("lan", "fe80::3") };
        let last = own.as_bytes()[6] - b'0';
        let events = vec![
            KernelEvent::Link(link(new, name, last)),
            KernelEvent::Address(address(new, own, false)),
        ];
        events.iter().for_each(|event| self.kernel.handle(event.clone()));
        self.tell(Input::Kernel(events));
    }

    /// Something reaches the agent at `at`.
    pub fn deliver(&mut self, at: Instant, input: Input) {
        let position = self.coming.iter().position(|(other, _)| *other > at);
        self.coming.insert(position.unwrap_or(self.coming.len()), (at, input));
    }

    /// The router above advertises.
    pub fn advertise(&mut self, options: Vec<NdpOption>) {
        self.advertise_from(ROUTER, options);
    }

    pub fn advertise_from(&mut self, router: Ipv6Addr, options: Vec<NdpOption>) {
        self.tell(icmpv6(UPLINK, router, advertisement(options).encode()));
    }

    /// The router above advertises, to the agent alone.
    pub fn advertise_to_us(&mut self, options: Vec<NdpOption>) {
        let mut input = icmpv6(UPLINK, ROUTER, advertisement(options).encode());
        if let Input::Icmpv6(received) = &mut input {
            received.destination = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
        }
        self.tell(input);
    }

    /// A router is a default router no more.
    pub fn withdraw_router(&mut self, router: Ipv6Addr) {
        let advertisement = RouterAdvertisement { router_lifetime: 0, ..advertisement(Vec::new()) };
        self.tell(icmpv6(UPLINK, router, advertisement.encode()));
    }

    /// Lets `span` pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            // What follows from what was due may be due at once.
            for _ in 0..ROUNDS {
                self.core.handle(self.now, Input::Timeout);
                self.perform(usize::MAX);
                if self.core.deadline(self.now).is_none_or(|next| next.at > self.now) {
                    break;
                }
            }
            self.expire();
            let deadline = self.core.deadline(self.now).map(|deadline| deadline.at);
            let coming = self.coming.front().map(|(at, _)| *at);
            let next = [deadline, coming].into_iter().flatten().min();
            match next.filter(|at| *at <= end) {
                Some(at) => {
                    assert!(
                        at > self.now || coming.is_some_and(|at| at <= self.now),
                        "busy loop: {:?}",
                        self.core.deadline(self.now)
                    );
                    self.now = at.max(self.now);
                }
                None => break,
            }
            while self.coming.front().is_some_and(|(at, _)| *at <= self.now) {
                let (_, input) = self.coming.pop_front().unwrap();
                self.tell(input);
            }
        }
        self.now = end;
    }

    /// The kernel drops what has run out.
    fn expire(&mut self) {
        let over: Vec<KernelAddress> = self
            .kernel
            .addresses
            .values()
            .filter(|address| address.valid_until.is_over(self.now))
            .cloned()
            .collect();
        for KernelAddress { interface, address, .. } in over {
            let event = KernelEvent::AddressGone { interface, address };
            self.kernel.handle(event.clone());
            self.tell(Input::Kernel(vec![event]));
        }
    }

    /// The agent is killed and started again: what is in the kernel and in the memory stays, what
    /// was on its way is lost.
    pub fn restart(&mut self) {
        self.coming.clear();
        self.seed = self.seed.wrapping_add(1);
        let seed = [self.seed; 32];
        let memory = self.memory.clone();
        self.core =
            Core::new(self.config.clone(), memory, own_duid(), CAPABILITIES, seed, self.now);
        let system = self.kernel.clone();
        self.tell(Input::System(system));
    }

    pub fn command(&mut self, command: Command) {
        self.tell(Input::Command(command));
    }

    /// The DHCPv6 messages since `since`, by type.
    pub fn sent(&self, since: Instant) -> Vec<MessageType> {
        self.events(since)
            .filter_map(|event| match event {
                Event::Dhcpv6(message) => Some(message.kind),
                _ => None,
            })
            .collect()
    }

    pub fn events(&self, since: Instant) -> impl Iterator<Item = &Event> {
        self.log.iter().filter(move |(at, _)| *at >= since).map(|(_, event)| event)
    }

    /// Router solicitations since `since`.
    pub fn solicitations(&self, since: Instant) -> usize {
        self.events(since).filter(|event| matches!(event, Event::Solicit(_))).count()
    }

    /// The last advertisement on the downlink.
    pub fn last_advertisement(&self) -> &RouterAdvertisement {
        let mut events = self.log.iter().rev();
        events
            .find_map(|(_, event)| match event {
                Event::Advertise(_, advertisement) => Some(advertisement),
                _ => None,
            })
            .expect("something was advertised")
    }

    /// Preferred and valid lifetime of `prefix` in the last advertisement.
    pub fn told(&self, prefix: &str) -> Option<(u32, u32)> {
        self.last_advertisement().options.iter().find_map(|option| match option {
            NdpOption::Prefix(told) if told.prefix == net(prefix) => {
                Some((told.preferred.to_wire(), told.valid.to_wire()))
            }
            _ => None,
        })
    }

    /// Our addresses in the kernel, in text, without lifetimes.
    pub fn addresses(&self) -> Vec<String> {
        let ours = self.kernel.addresses.values().filter(|address| address.ours);
        ours.map(|address| format!("{}%{}", address.address, address.interface.0)).collect()
    }

    /// Our addresses that are preferred.
    pub fn preferred(&self) -> Vec<String> {
        let ours = self.kernel.addresses.values().filter(|address| address.ours);
        let preferred = ours.filter(|address| !address.preferred_until.is_over(self.now));
        preferred.map(|address| format!("{}%{}", address.address, address.interface.0)).collect()
    }

    /// Our routes in the kernel, in text, without lifetimes.
    pub fn routes(&self) -> Vec<String> {
        let routes = self.kernel.routes.values();
        routes
            .map(|route| format!("{} {:?} {}", route.destination, route.target, route.metric))
            .collect()
    }
}

pub fn own_duid() -> Duid {
    Duid::from_uuid([0x52; 16])
}

pub fn icmpv6(interface: IfIndex, source: Ipv6Addr, octets: Vec<u8>) -> Input {
    Input::Icmpv6(Received {
        interface,
        source,
        port: 0,
        link_layer: None,
        destination: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1),
        hop_limit: 255,
        fragmented: false,
        octets,
    })
}

pub fn dhcpv6(message: &Message) -> Input {
    Input::Dhcpv6(Received {
        interface: UPLINK,
        source: ROUTER,
        port: 547,
        link_layer: None,
        destination: "fe80::2".parse().unwrap(),
        hop_limit: 64,
        fragmented: false,
        octets: message.encode(),
    })
}
