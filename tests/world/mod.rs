//! A world of one agent in virtual time: its kernel, its router above with a DHCPv6 server, and a
//! record of all that leaves. It is `renumberd::sim` with one node, and words for what tests do.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its part of the world")]

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::config::{self, Config};
use renumberd::core::client::{Publication, Script};
use renumberd::core::input::{Command, Input, Received};
use renumberd::core::kernel::system::{KernelAddress, KernelEvent, Link, System};
use renumberd::core::memory::Memory;
use renumberd::core::output::{Output, Step};
use renumberd::core::status::Status;
use renumberd::net::IfIndex;
pub use renumberd::sim::kernel::Decide;
use renumberd::sim::kernel::{Kernel, foreign, link};
use renumberd::sim::network::{Network, Station};
use renumberd::sim::node::Node;
pub use renumberd::sim::provider::advertisement;
use renumberd::sim::provider::{Provider, prefix_option};
use renumberd::time::Instant;
use renumberd::wire::address_registration::INFORM;
use renumberd::wire::dhcpv6::{Message, MessageType};
use renumberd::wire::dhcpv6_option::Duid;
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::NdpOption;

pub const UPLINK: IfIndex = IfIndex(2);
pub const DOWNLINK: IfIndex = IfIndex(3);
pub const ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
pub const CLIENT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);

/// A packet that left, or a step that was taken, with its time.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    Dhcpv6(Message),
    /// An address is registered (RFC 9686): what it is sent from, and its octets.
    Register(Ipv6Addr, Vec<u8>),
    Solicit(Ipv6Addr),
    Advertise(Ipv6Addr, RouterAdvertisement),
    Publish(BTreeMap<String, Publication>),
    Script(Script),
    Step(Step),
}

pub struct World {
    pub net: Network,
    pub log: Vec<(Instant, Event)>,
    /// What the agent has reported.
    pub events: Vec<renumberd::core::event::Event>,
    /// The kernel refuses steps. Where it does not, one that is refused is a failure of the test.
    refuses: bool,
}

pub fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

pub fn pio(prefix: &str, valid: u32, preferred: u32) -> NdpOption {
    prefix_option(net(prefix), valid, preferred)
}

pub fn config() -> Config {
    let mut config = Config::from_args(&["up".to_owned()], &["lan".to_owned()]).unwrap();
    config.downlinks.get_mut("lan").unwrap().subnet =
        Some(config::Place { number: config::PlaceNumber::Low(1), length: 64 });
    config
}

/// A link whose link-layer address ends in `last`.
fn ethernet(index: IfIndex, name: &str, last: u8) -> Link {
    Link { link_layer_address: Some(vec![2, 0, 0, 0, 0, last]), ..link(index, name) }
}

pub fn address(interface: IfIndex, address: &str, ours: bool) -> KernelAddress {
    KernelAddress { ours, ..foreign(interface, address.parse().unwrap()) }
}

/// A machine with these links, which has detected that nobody else has its addresses.
pub fn machine(links: impl IntoIterator<Item = (Link, Ipv6Addr)>) -> Kernel {
    let mut kernel = Kernel::default();
    kernel.detection = Duration::ZERO;
    links.into_iter().for_each(|(link, address)| kernel.attach(link, address));
    kernel
}

impl World {
    pub fn new(config: Config, delegated: &str) -> Self {
        let mut net = Network::new(Instant::from_secs(1000));
        let above = net.add_segment();
        net.segments[above].delay = Duration::ZERO;
        net.add_provider(above, Provider::new(self::net(delegated)));
        let links = [(UPLINK, "up", 2), (DOWNLINK, "lan", 3)];
        let kernel = machine(links.map(|(index, name, last)| {
            let own = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last.into());
            (ethernet(index, name, last), own)
        }));
        net.attach(above, Station::Node(0), UPLINK);
        net.add_node(Node::new(config, Memory::default(), own_duid(), kernel, net.now));
        let mut world = Self { net, log: Vec::new(), events: Vec::new(), refuses: false };
        world.perform(usize::MAX);
        world
    }

    pub fn node(&mut self) -> &mut Node {
        &mut self.net.nodes[0]
    }

    pub fn kernel(&mut self) -> &mut Kernel {
        &mut self.net.nodes[0].kernel
    }

    pub fn system(&self) -> &System {
        self.net.nodes[0].kernel.system()
    }

    pub fn provider(&mut self) -> &mut Provider {
        &mut self.net.providers[0]
    }

    pub const fn now(&self) -> Instant {
        self.net.now
    }

    pub fn status(&self) -> Status {
        self.net.nodes[0].core.status(self.net.now)
    }

    /// Which steps the kernel refuses from now on.
    pub fn refuse(&mut self, decide: Decide) {
        self.refuses = true;
        self.kernel().refusals.decide = Some(decide);
    }

    /// The provider delegates another prefix, and says nothing of it.
    pub fn renumber(&mut self, prefix: &str) {
        self.provider().renumber(net(prefix));
    }

    /// Gives the agent an input, and performs what follows.
    pub fn give(&mut self, input: Input) {
        self.take_in(input);
        self.perform(usize::MAX);
    }

    /// What the server of the provider answers a message with.
    pub fn ask_server(&mut self, message: &Message) -> Option<Message> {
        let now = self.net.now;
        self.provider().answer(now, message).map(|(_, answer)| answer)
    }

    /// Gives the agent an input; what follows is performed later.
    pub fn take_in(&mut self, input: Input) {
        self.net.give(0, input);
    }

    /// Performs outputs, at most `limit`; true when all were.
    pub fn perform(&mut self, limit: usize) -> bool {
        for _ in 0..limit {
            let Some((_, output)) = self.net.output() else { return true };
            self.note(output);
        }
        false
    }

    fn note(&mut self, output: Output) {
        let refused = &self.net.nodes[0].refused;
        assert!(self.refuses || refused.is_empty(), "the kernel refuses {refused:?}");
        let event = match output {
            Output::Apply(steps) => {
                let events = steps.into_iter().map(|step| (self.net.now, Event::Step(step)));
                return self.log.extend(events);
            }
            Output::SendIcmpv6(packet) => {
                if let Ok(advertisement) = RouterAdvertisement::decode(&packet.octets) {
                    Event::Advertise(packet.destination, advertisement)
                } else if packet.octets.first() == Some(&133) {
                    Event::Solicit(packet.destination)
                } else {
                    return;
                }
            }
            Output::SendDhcpv6(packet) if packet.octets.first() == Some(&INFORM) => {
                Event::Register(packet.source, packet.octets)
            }
            Output::SendDhcpv6(packet) => {
                Event::Dhcpv6(Message::decode(&packet.octets).expect("own message decodes"))
            }
            Output::Event(event) => return self.events.push(event),
            Output::Publish(newest) => Event::Publish(newest),
            Output::RunScript(script) => Event::Script(script),
            _ => return,
        };
        self.log.push((self.net.now, event));
    }

    /// Gives the agent the events of its kernel at once.
    fn give_events(&mut self) {
        if let Some(events) = self.node().take_events() {
            self.give(events);
        }
    }

    /// The carrier of an interface comes or goes.
    pub fn carrier(&mut self, index: IfIndex, running: bool) {
        self.kernel().set_running(index, running, false);
        self.give_events();
    }

    /// An interface vanishes, with all that is on it.
    pub fn vanish(&mut self, index: IfIndex) {
        self.kernel().vanish(index);
        self.give_events();
    }

    /// An interface that vanished is there again.
    pub fn return_link(&mut self, index: IfIndex) {
        if !self.system().links.contains_key(&index) {
            self.return_as(index, index);
        }
    }

    /// An interface that vanished is there again, with the number `new`.
    pub fn return_as(&mut self, index: IfIndex, new: IfIndex) {
        let (name, last) = if index == UPLINK { ("up", 2) } else { ("lan", 3) };
        if index == UPLINK {
            self.net.attach(0, Station::Node(0), new);
        }
        let own = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last.into());
        self.kernel().attach(ethernet(new, name, last), own);
        self.give_events();
    }

    /// What the agent has set is removed, and no event says so.
    pub fn lose_own_addresses(&mut self) {
        let own = self.system().addresses.values().filter(|address| address.ours);
        let own: Vec<_> = own.map(|one| (one.interface, one.address)).collect();
        for (interface, address) in own {
            let event = KernelEvent::AddressGone { interface, address };
            self.kernel().change_silently(event);
        }
    }

    /// The router above advertises.
    pub fn advertise(&mut self, options: Vec<NdpOption>) {
        self.advertise_from(ROUTER, options);
    }

    pub fn advertise_from(&mut self, router: Ipv6Addr, options: Vec<NdpOption>) {
        self.give(icmpv6(UPLINK, router, advertisement(options).encode()));
    }

    /// The router above advertises, to the agent alone.
    pub fn advertise_to_us(&mut self, options: Vec<NdpOption>) {
        let mut input = icmpv6(UPLINK, ROUTER, advertisement(options).encode());
        if let Input::Icmpv6(received) = &mut input {
            received.destination = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
        }
        self.give(input);
    }

    /// A router is a default router no more.
    pub fn withdraw_router(&mut self, router: Ipv6Addr) {
        let advertisement = RouterAdvertisement { router_lifetime: 0, ..advertisement(Vec::new()) };
        self.give(icmpv6(UPLINK, router, advertisement.encode()));
    }

    /// Lets `span` pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.net.now + span;
        while let Some((_, output)) = self.net.poll(end) {
            self.note(output);
        }
    }

    /// The agent is killed and started again: what is in the kernel and in the memory stays, what
    /// was on its way is lost.
    pub fn restart(&mut self) {
        self.net.restart(0);
        self.perform(usize::MAX);
    }

    pub fn command(&mut self, command: Command) {
        self.give(Input::Command(command));
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
    pub fn lifetimes(&self, prefix: &str) -> Option<(u32, u32)> {
        self.last_advertisement().options.iter().find_map(|option| match option {
            NdpOption::Prefix(one) if one.prefix == net(prefix) => {
                Some((one.preferred.to_wire(), one.valid.to_wire()))
            }
            _ => None,
        })
    }

    /// Our addresses in the kernel, in text, without lifetimes.
    pub fn addresses(&self) -> Vec<String> {
        let ours = self.system().addresses.values().filter(|address| address.ours);
        ours.map(|address| format!("{}%{}", address.address, address.interface.0)).collect()
    }

    /// Our addresses that are preferred.
    pub fn preferred(&self) -> Vec<String> {
        let ours = self.system().addresses.values().filter(|address| address.ours);
        let preferred = ours.filter(|address| !address.preferred_until.is_over(self.net.now));
        preferred.map(|address| format!("{}%{}", address.address, address.interface.0)).collect()
    }

    /// Our routes in the kernel, in text, without lifetimes.
    pub fn routes(&self) -> Vec<String> {
        let routes = self.system().routes.values();
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
