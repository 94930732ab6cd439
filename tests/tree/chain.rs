//! A tree of agents in virtual time: below a scripted provider each router is the real core, with a
//! kernel of its own, and links that take 100 µs and may lose.
#![allow(dead_code, unreachable_pub, reason = "the files of this folder share it")]

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use renumberd::config::{Config, file};
use renumberd::core::Core;
use renumberd::core::input::{Input, Received};
use renumberd::core::kernel::object::Refusal;
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::Neighbor;
use renumberd::core::kernel::system::{KernelAddress, Link, System};
use renumberd::core::memory::Memory;
use renumberd::core::output::{Object, Output, Packet, Step};
use renumberd::net::IfIndex;
use renumberd::platform::CAPABILITIES;
use renumberd::time::{Instant, Until};
use renumberd::wire::dhcpv6::Message;
use renumberd::wire::dhcpv6_option::Duid;
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::NdpOption;

use super::watch::Watch;

use renumberd::sim::provider::Provider;

use crate::world;

pub const UP: IfIndex = IfIndex(2);
pub const LAN: IfIndex = IfIndex(3);
/// The host on the last link.
const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc);
const DELAY: Duration = Duration::from_micros(100);

/// A router of the tree.
pub struct Node {
    pub core: Core,
    pub config: Config,
    pub memory: Memory,
    pub kernel: System,
    /// None for the one below the provider.
    pub parent: Option<usize>,
    number: u16,
    restarts: u8,
}

pub struct Tree {
    pub now: Instant,
    pub nodes: Vec<Node>,
    pub provider: Provider,
    /// What the provider advertises, every ten minutes.
    pub advertised: Vec<NdpOption>,
    /// Of a thousand packets.
    pub loss: u64,
    /// Between the provider and the first router nothing is lost.
    pub provider_is_near: bool,
    /// A router that hears nothing until then.
    pub deaf_until: Option<(usize, Instant)>,
    pub watch: Watch,
    /// A router that is killed after so many more outputs, and started again.
    pub doomed: Option<(usize, usize)>,
    coming: BTreeMap<(Instant, u64), (usize, Input)>,
    advertise_at: Instant,
    sequence: u64,
    chance: u64,
}

pub fn duid(number: usize) -> Duid {
    Duid::from_uuid([0x50 + u8::try_from(number).unwrap(); 16])
}

fn link_local(number: u16, interface: IfIndex) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, number, u16::try_from(interface.0).unwrap())
}

/// A router that keeps a /64 for its link, and delegates the upper half of what it has.
pub fn config(number: usize, reconfigure: bool) -> String {
    format!(
        "[uplink.up]\nreconfigure = {reconfigure}\n[downlink.lan]\nsubnet = \"0x0/64\"\n\
         [delegation.child]\ndownlink = \"lan\"\nduid = \"{}\"\nprefix = \"0x1/{}\"\n",
        duid(number + 1),
        57 + number
    )
}

impl Node {
    fn new(number: usize, parent: Option<usize>, config: &str, now: Instant) -> Self {
        let config = file::parse("test.toml", config).unwrap();
        let small = u16::try_from(number).unwrap();
        let mut kernel = System { forwarding: true, ..System::default() };
        for (index, name) in [(UP, "up"), (LAN, "lan")] {
            kernel.handle(KernelEvent::Link(link(index, name, small)));
            let address = link_local(small, index).to_string();
            kernel.handle(KernelEvent::Address(world::address(index, &address, false)));
        }
        let core =
            Core::new(config.clone(), Memory::default(), duid(number), CAPABILITIES, [7; 32], now);
        Self { core, config, memory: Memory::default(), kernel, parent, number: small, restarts: 0 }
    }

    /// Our addresses and routes in the kernel, without lifetimes.
    pub fn state(&self) -> Vec<String> {
        let addresses = self.kernel.addresses.values().filter(|address| address.ours);
        let addresses = addresses.map(|one| format!("{}%{}", one.address, one.interface.0));
        let routes = self.kernel.routes.values();
        let routes =
            routes.map(|one| format!("{} {:?} {}", one.destination, one.target, one.metric));
        addresses.chain(routes).collect()
    }

    /// The destinations of routes to what is delegated.
    pub fn delegated(&self) -> Vec<String> {
        let routes = self.kernel.routes.values().filter(|route| route.metric == 248);
        routes.map(|route| route.destination.to_string()).collect()
    }
}

fn link(index: IfIndex, name: &str, number: u16) -> Link {
    Link {
        index,
        name: name.to_owned(),
        running: true,
        multicast: true,
        point_to_point: false,
        link_layer_address: Some(vec![2, 0, 0, 0, u8::try_from(number).unwrap(), 9]),
        mtu: 1500,
    }
}

impl Tree {
    /// A chain of routers below a provider that delegates `prefix`.
    pub fn chain(length: usize, prefix: &str, reconfigure: bool) -> Self {
        let now = Instant::from_secs(1000);
        let node = |number: usize| {
            Node::new(number, number.checked_sub(1), &config(number, reconfigure), now)
        };
        let mut tree = Self {
            now,
            nodes: (0..length).map(node).collect(),
            provider: Provider::new(world::net(prefix)),
            advertised: vec![world::pio("2001:db8:ffff::/64", 7200, 3600)],
            loss: 0,
            provider_is_near: false,
            deaf_until: None,
            watch: Watch::default(),
            doomed: None,
            coming: BTreeMap::new(),
            advertise_at: now + Duration::from_secs(1),
            sequence: 0,
            chance: 1,
        };
        for number in 0..length {
            let system = tree.nodes[number].kernel.clone();
            tree.tell(number, Input::System(system));
        }
        tree
    }

    /// The provider has another prefix, and says so.
    pub fn renumber(&mut self, prefix: &str, on_link: &str) {
        self.provider.renumber(world::net(prefix));
        let mut advertised = vec![world::pio(on_link, 7200, 3600)];
        if let Some(NdpOption::Prefix(old)) = self.advertised.first() {
            advertised.push(world::pio(&old.prefix.to_string(), 7200, 0));
        }
        self.advertised = advertised;
        self.advertise();
    }

    pub fn advertise(&mut self) {
        let octets = world::advertisement(self.advertised.clone()).encode();
        self.deliver(0, world::icmpv6(UP, world::ROUTER, octets));
        self.advertise_at = self.now + Duration::from_secs(600);
    }

    pub fn seed(&mut self, seed: u64) {
        self.chance = seed;
    }

    /// An event of chance, `of_thousand` times in a thousand (a linear congruential generator:
    /// Knuth's MMIX).
    fn happens(&mut self, of_thousand: u64) -> bool {
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.chance >> 33) % 1000 < of_thousand
    }

    fn deliver(&mut self, to: usize, input: Input) {
        let is_packet = !matches!(input, Input::Kernel(_));
        if is_packet && self.loses(to, &input) {
            return;
        }
        self.sequence += 1;
        self.coming.insert((self.now + DELAY, self.sequence), (to, input));
    }

    /// Whether a packet to a router is lost.
    fn loses(&mut self, to: usize, input: &Input) -> bool {
        if self.deaf_until.is_some_and(|(deaf, until)| deaf == to && self.now < until) {
            return true;
        }
        let from_below = matches!(input, Input::Server(_))
            || matches!(input, Input::Icmpv6(received) if received.interface == LAN);
        let is_near = self.provider_is_near && to == 0 && !from_below;
        !is_near && self.loss > 0 && self.happens(self.loss)
    }

    pub fn tell(&mut self, to: usize, input: Input) {
        self.nodes[to].core.handle(self.now, input);
        self.perform(to);
    }

    /// Performs all outputs of a router, unless it dies.
    fn perform(&mut self, of: usize) {
        while let Some(output) = self.nodes[of].core.poll_output() {
            match self.doomed {
                Some((doomed, 0)) if doomed == of => {
                    self.doomed = None;
                    return self.restart(of);
                }
                Some((doomed, left)) if doomed == of => self.doomed = Some((of, left - 1)),
                Some(_) | None => {}
            }
            match output {
                Output::Remember(record) => self.nodes[of].memory.fold(record),
                Output::Apply(steps) => steps.into_iter().for_each(|step| self.apply(of, step)),
                Output::SendIcmpv6(packet) => self.leave_icmpv6(of, packet),
                Output::SendDhcpv6(packet) => self.leave_dhcpv6(of, packet),
                Output::SendServer(sent) => {
                    self.watch.dhcpv6 += 1;
                    self.check_answer(of, &sent.packet.octets);
                    for child in self.children(of, sent.packet.destination) {
                        let received = received(UP, &sent.packet, 547);
                        self.deliver(child, Input::Dhcpv6(received));
                    }
                }
                Output::Milestone(milestone) => {
                    self.nodes[of].core.handle(self.now, Input::Milestone(milestone));
                }
                Output::ListNeighbors(interface) => {
                    let neighbors = self.neighbors(of);
                    self.nodes[of].core.handle(self.now, Input::Neighbors { interface, neighbors });
                }
                Output::Hear(_) | Output::Event(_) | Output::Exit => {}
            }
        }
    }

    /// Who is on the link below a router: the one below it, or a host.
    fn neighbors(&self, of: usize) -> Vec<Neighbor> {
        let child = self.nodes.iter().find(|node| node.parent == Some(of));
        let address = child.map_or(HOST, |child| link_local(child.number, UP));
        vec![Neighbor { address, link_layer: vec![2; 6], unconfirmed_for: Duration::ZERO }]
    }

    /// Who hears what `of` sends to its link.
    fn children(&self, of: usize, destination: Ipv6Addr) -> Vec<usize> {
        let children = self.nodes.iter().enumerate().filter(|(_, node)| node.parent == Some(of));
        let hears =
            |node: &Node| destination.is_multicast() || link_local(node.number, UP) == destination;
        children.filter(|(_, node)| hears(node)).map(|(number, _)| number).collect()
    }

    fn leave_icmpv6(&mut self, of: usize, packet: Packet) {
        if packet.interface == LAN {
            if let Ok(advertisement) = RouterAdvertisement::decode(&packet.octets) {
                self.check_advertisement(of, &advertisement);
                self.watch.advertised(self.now, of, packet.destination, &advertisement);
                let is_for_host = packet.destination.is_multicast() || packet.destination == HOST;
                if of + 1 == self.nodes.len() && is_for_host && !self.happens(self.loss) {
                    self.watch.host_heard(self.now + DELAY, &advertisement);
                }
            }
            for child in self.children(of, packet.destination) {
                self.deliver(child, Input::Icmpv6(received(UP, &packet, 0)));
            }
        } else if let Some(parent) = self.nodes[of].parent {
            self.deliver(parent, Input::Icmpv6(received(LAN, &packet, 0)));
        } else if packet.octets.first() == Some(&133) {
            let octets = world::advertisement(self.advertised.clone()).encode();
            self.deliver(of, world::icmpv6(UP, world::ROUTER, octets));
        }
    }

    fn leave_dhcpv6(&mut self, of: usize, packet: Packet) {
        let message = Message::decode(&packet.octets).expect("own message decodes");
        self.watch.sent(self.now, of, message.kind);
        match self.nodes[of].parent {
            Some(parent) => self.deliver(parent, Input::Server(received(LAN, &packet, 546))),
            None => {
                if let Some((_, reply)) = self.provider.answer(self.now, &message) {
                    self.deliver(of, world::dhcpv6(&reply));
                }
            }
        }
    }

    fn apply(&mut self, of: usize, step: Step) {
        let kernel = &mut self.nodes[of].kernel;
        self.watch.steps += 1;
        let event = match step {
            Step::Set(Object::Address(address)) => KernelEvent::Address(address),
            Step::Remove(Object::Address(KernelAddress { interface, address, .. })) => {
                KernelEvent::AddressGone { interface, address }
            }
            Step::Set(Object::Route(route)) if kernel.routes.contains_key(&route.key()) => {
                // Told gone after it was set anew: the shell reads the kernel's state.
                let system = kernel.clone();
                let step = Step::Set(Object::Route(route));
                self.tell(of, Input::StepFailed { step, refusal: Refusal::Exists });
                self.tell(of, Input::System(system));
                return;
            }
            Step::Set(Object::Route(route)) => {
                let taken = kernel.routes.values().any(|has| has.slot() == route.slot());
                assert!(!taken, "the kernel of {of} would refuse {route:?}");
                KernelEvent::Route(route)
            }
            Step::Replace(Object::Route(route)) => KernelEvent::Route(route),
            Step::Remove(Object::Route(route)) => {
                let is_there = kernel.routes.contains_key(&route.key());
                assert!(is_there || route.until.is_over(self.now), "{of} has no {route:?}");
                KernelEvent::RouteGone(route)
            }
            Step::Set(_) | Step::Replace(_) | Step::Remove(_) => return,
        };
        kernel.handle(event.clone());
        self.deliver(of, Input::Kernel(vec![event]));
    }

    /// Lets `span` pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        let mut at_once = 0;
        loop {
            if self.advertise_at <= self.now {
                self.advertise();
            }
            for number in 0..self.nodes.len() {
                let now = self.now;
                let due = self.nodes[number].core.deadline(now).filter(|due| due.at <= now);
                if let Some(due) = due {
                    at_once += 1;
                    assert!(at_once < 2000, "busy loop of {number} at {now:?}: {due:?}");
                    self.tell(number, Input::Timeout);
                }
                self.expire(number);
            }
            while let Some(((at, sequence), _)) = self.coming.first_key_value()
                && *at <= self.now
            {
                let key = (*at, *sequence);
                let (to, input) = self.coming.remove(&key).unwrap();
                self.tell(to, input);
            }
            let deadlines = self.nodes.iter().filter_map(|node| node.core.deadline(self.now));
            let coming = self.coming.first_key_value().map(|((at, _), _)| *at);
            let next = deadlines.map(|due| due.at).chain(coming).chain([self.advertise_at]).min();
            let Some(next) = next.filter(|at| *at <= end) else { break };
            if next > self.now {
                at_once = 0;
                self.now = next;
            }
        }
        self.now = end;
    }

    /// The kernel drops what has run out.
    fn expire(&mut self, of: usize) {
        let kernel = &self.nodes[of].kernel;
        let over = |until: Until| until.is_over(self.now);
        let addresses = kernel.addresses.values().filter(|address| over(address.valid_until));
        let addresses = addresses.map(|address: &KernelAddress| KernelEvent::AddressGone {
            interface: address.interface,
            address: address.address,
        });
        let routes = kernel.routes.values().filter(|route| over(route.until));
        let routes = routes.cloned().map(KernelEvent::RouteGone);
        let events: Vec<KernelEvent> = addresses.chain(routes).collect();
        if !events.is_empty() {
            events.iter().cloned().for_each(|event| self.nodes[of].kernel.handle(event));
            self.deliver(of, Input::Kernel(events));
        }
    }

    /// A router is killed and started again: what is in its kernel and its memory stays, what was
    /// on its way to it is lost.
    pub fn restart(&mut self, number: usize) {
        self.coming.retain(|_, (to, _)| *to != number);
        let now = self.now;
        let node = &mut self.nodes[number];
        node.restarts += 1;
        let seed = [node.restarts; 32];
        let memory = node.memory.clone();
        node.core = Core::new(node.config.clone(), memory, duid(number), CAPABILITIES, seed, now);
        let system = node.kernel.clone();
        self.tell(number, Input::System(system));
    }

    /// A link of a router goes down or comes up; in between its kernel loses what is on it.
    pub fn set_running(&mut self, number: usize, index: IfIndex, running: bool) {
        let kernel = &mut self.nodes[number].kernel;
        let mut link = kernel.links[&index].clone();
        link.running = running;
        let mut events = vec![KernelEvent::Link(link)];
        if !running {
            let routes = kernel.routes.values();
            let routes = routes.filter(|route| route.target.interface() == Some(index));
            events.extend(routes.cloned().map(KernelEvent::RouteGone));
        }
        events.iter().cloned().for_each(|event| kernel.handle(event));
        // Behind what it has told already.
        self.deliver(number, Input::Kernel(events));
    }

    /// The state of all routers.
    pub fn state(&self) -> Vec<Vec<String>> {
        self.nodes.iter().map(Node::state).collect()
    }

    /// Whether what all routers delegate lies in `prefix`, and is all that they delegate.
    pub fn follows(&self, prefix: &str) -> bool {
        let whole = world::net(prefix);
        let (_, above) = self.nodes.split_last().unwrap();
        above.iter().enumerate().all(|(number, node)| {
            let bits = u128::from(whole.network()) | upper_halves(number);
            let wanted = format!("{}/{}", Ipv6Addr::from(bits), 57 + number);
            node.delegated() == [wanted]
        })
    }
}

/// The bits of what the router `number` delegates: the upper half of the upper half of ….
fn upper_halves(number: usize) -> u128 {
    (0..=number).map(|depth| 1_u128 << (127 - 56 - depth)).sum()
}

fn received(interface: IfIndex, packet: &Packet, port: u16) -> Received {
    Received {
        interface,
        source: packet.source,
        port,
        link_layer: None,
        destination: packet.destination,
        hop_limit: 255,
        fragmented: false,
        octets: packet.octets.clone(),
    }
}
