//! One core as a delegating router, and a link with neighbors that are no more than what they send
//! and whether they answer neighbor solicitations. Virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::config::{Config, file};
use renumberd::core::Core;
use renumberd::core::event::Event;
use renumberd::core::input::{Input, Received};
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::{KernelAddress, Link, RouteTarget, System};
use renumberd::core::memory::Memory;
use renumberd::core::output::{Hearing, Object, Output, Step};
use renumberd::net::IfIndex;
use renumberd::platform::CAPABILITIES;
use renumberd::time::{Instant, Lifetime, Until};
use renumberd::wire::dhcpv6::{Message, MessageType, TransactionId};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, IaPrefix, Iaid};
use renumberd::wire::dhcpv6_relay::{RelayKind, RelayMessage, RelayOption};

use crate::world;

pub const LAN: IfIndex = IfIndex(3);
pub const OWN: &str = "fe80::3";
const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
const NEIGHBOR_SOLICITATION: u8 = 135;

pub fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

pub fn duid(number: u8) -> Duid {
    Duid::from_uuid([number; 16])
}

/// An IA_PD that names prefixes.
pub fn ia(iaid: u32, prefixes: &[Ipv6Net]) -> Dhcpv6Option {
    let prefix = |prefix: &Ipv6Net| IaPrefix {
        prefix: *prefix,
        preferred: Lifetime::ZERO,
        valid: Lifetime::ZERO,
        exclude: None,
        status: None,
    };
    let prefixes = prefixes.iter().map(prefix).collect();
    let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
    Dhcpv6Option::IaPd(IaPd { iaid: Iaid(iaid), t1, t2, prefixes, status: None })
}

/// A message of the requesting router with this DUID, with the identifiers that its type needs.
pub fn message(kind: MessageType, who: &Duid, options: &[Dhcpv6Option]) -> Vec<u8> {
    let mut all = vec![Dhcpv6Option::ClientId(who.clone())];
    if matches!(
        kind,
        MessageType::Request | MessageType::Renew | MessageType::Release | MessageType::Decline
    ) {
        all.push(Dhcpv6Option::ServerId(world::own_duid()));
    }
    all.extend_from_slice(options);
    Message { kind, transaction_id: TransactionId([1, 2, 3]), options: all }.encode()
}

/// What a relay agent makes of a message.
pub fn relayed(peer: &str, link: &str, options: &[RelayOption], inner: Vec<u8>) -> Vec<u8> {
    let mut options = options.to_vec();
    options.push(RelayOption::RelayMessage(inner));
    let (link_address, peer_address) = (address(link), address(peer));
    let kind = RelayKind::Forward;
    RelayMessage { kind, hop_count: 0, link_address, peer_address, options }.encode()
}

/// A link-layer address as a relay agent tells it.
pub fn option_79(octets: [u8; 6]) -> RelayOption {
    RelayOption::ClientLinkLayer { hardware_type: 1, address: octets.to_vec() }
}

pub struct Lan {
    pub core: Core,
    pub now: Instant,
    pub kernel: System,
    pub memory: Memory,
    config: Config,
    /// Who answers neighbor solicitations.
    pub answering: BTreeSet<Ipv6Addr>,
    /// With which link-layer address, where that is not made from its own.
    pub link_layers: BTreeMap<Ipv6Addr, [u8; 6]>,
    pub hearing: Hearing,
    /// The system takes no neighbor solicitation.
    pub refuses: bool,
    /// Neighbor solicitations since the last look.
    pub solicited: Vec<Ipv6Addr>,
    /// Answers since the last look, without what relay agents wrap around them: to whom, and what.
    pub answers: Vec<(Ipv6Addr, Message)>,
    /// What the agent has reported.
    pub events: Vec<Event>,
    /// Outputs since the last look.
    pub outputs: usize,
    restarts: u8,
}

impl Lan {
    pub fn new(config: &str) -> Self {
        Self::with(config, Memory::default())
    }

    pub fn with(config: &str, memory: Memory) -> Self {
        let now = Instant::from_secs(1000);
        let mut kernel = System { forwarding: true, ..System::default() };
        kernel.handle(KernelEvent::Link(Link {
            index: LAN,
            name: "lan".to_owned(),
            running: true,
            multicast: true,
            point_to_point: false,
            link_layer_address: Some(vec![2, 0, 0, 0, 0, 3]),
            mtu: 1500,
        }));
        kernel.handle(KernelEvent::Address(world::address(LAN, OWN, false)));
        let config = file::parse("test.toml", config).unwrap();
        let core = Core::new(
            config.clone(),
            memory.clone(),
            world::own_duid(),
            CAPABILITIES,
            [7; 32],
            now,
        );
        let mut lan = Self {
            core,
            now,
            kernel: kernel.clone(),
            memory,
            config,
            answering: BTreeSet::new(),
            link_layers: BTreeMap::new(),
            hearing: Hearing::default(),
            refuses: false,
            solicited: Vec::new(),
            answers: Vec::new(),
            events: Vec::new(),
            outputs: 0,
            restarts: 0,
        };
        lan.tell(Input::System(kernel));
        lan.run_for(Duration::from_millis(50));
        lan
    }

    /// Killed and started again.
    pub fn restart(&mut self) {
        self.restarts += 1;
        let seed = [self.restarts; 32];
        let (config, memory) = (self.config.clone(), self.memory.clone());
        self.core = Core::new(config, memory, world::own_duid(), CAPABILITIES, seed, self.now);
        self.hearing = Hearing::default();
        self.tell(Input::System(self.kernel.clone()));
    }

    pub fn tell(&mut self, input: Input) {
        let mut coming = VecDeque::from([input]);
        while let Some(input) = coming.pop_front() {
            self.core.handle(self.now, input);
            while let Some(output) = self.core.poll_output() {
                self.outputs += 1;
                self.perform(output, &mut coming);
            }
        }
    }

    fn perform(&mut self, output: Output, coming: &mut VecDeque<Input>) {
        match output {
            Output::Apply(steps) => steps.into_iter().for_each(|step| self.apply(step)),
            Output::Remember(record) => self.memory.fold(record),
            Output::Hear(hearing) => self.hearing = hearing,
            Output::Milestone(milestone) => coming.push_back(Input::Milestone(milestone)),
            Output::Event(event) => self.events.push(event),
            Output::SendServer(sent) => {
                let mut octets = sent.packet.octets;
                while let Ok(level) = RelayMessage::decode(&octets) {
                    octets = level.relayed().unwrap().to_vec();
                }
                let answer = Message::decode(&octets).unwrap();
                self.answers.push((sent.packet.destination, answer));
            }
            Output::SendIcmpv6(packet) if packet.octets[0] == NEIGHBOR_SOLICITATION => {
                if self.refuses {
                    let (interface, destination) = (packet.interface, packet.destination);
                    return coming.push_back(Input::NotSent { interface, destination });
                }
                let target = <[u8; 16]>::try_from(&packet.octets[8..24]).unwrap().into();
                self.solicited.push(target);
                let is_heard = self.hearing.neighbor_advertisements;
                if self.answering.contains(&target) && is_heard {
                    let link_layer = self.link_layers.get(&target).copied();
                    coming.push_back(advertised_by(target, link_layer));
                }
            }
            _ => {}
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Set(Object::Route(route)) => {
                let taken = self.kernel.routes.values().any(|has| has.slot() == route.slot());
                assert!(!taken, "the kernel would refuse {route:?}");
                if let RouteTarget::Gateway(_, gateway) = route.target {
                    let is_on_link = self.kernel.is_on_link(LAN, gateway);
                    assert!(is_on_link, "the kernel would refuse {route:?}");
                }
                self.kernel.handle(KernelEvent::Route(route));
            }
            Step::Replace(Object::Route(route)) => self.kernel.handle(KernelEvent::Route(route)),
            Step::Remove(Object::Route(route)) => self.kernel.handle(KernelEvent::RouteGone(route)),
            Step::Set(Object::Address(address)) => {
                self.kernel.handle(KernelEvent::Address(address))
            }
            Step::Remove(Object::Address(KernelAddress { interface, address, .. })) => {
                self.kernel.handle(KernelEvent::AddressGone { interface, address });
            }
            _ => {}
        }
    }

    /// Lets time pass from deadline to deadline.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        let mut at_once = 0;
        while let Some(next) = self.core.deadline(self.now).filter(|next| next.at <= end) {
            at_once = if next.at > self.now { 0 } else { at_once + 1 };
            assert!(at_once < 50, "busy loop: {next:?}");
            self.now = next.at.max(self.now);
            self.tell(Input::Timeout);
            self.expire();
        }
        self.now = end;
    }

    /// The kernel drops what has run out.
    fn expire(&mut self) {
        let over = |until: Until| until.is_over(self.now);
        let routes = self.kernel.routes.values().filter(|route| over(route.until));
        let routes = routes.cloned().map(KernelEvent::RouteGone);
        let addresses = self.kernel.addresses.values().filter(|one| over(one.valid_until));
        let addresses = addresses.map(|one: &KernelAddress| KernelEvent::AddressGone {
            interface: one.interface,
            address: one.address,
        });
        let events: Vec<KernelEvent> = routes.chain(addresses).collect();
        if !events.is_empty() {
            events.iter().cloned().for_each(|event| self.kernel.handle(event));
            self.tell(Input::Kernel(events));
        }
    }

    /// A datagram comes from a neighbor.
    pub fn hear(&mut self, source: &str, octets: Vec<u8>) {
        self.hear_with(source, None, octets);
    }

    /// Also with the link-layer address that the system knows.
    pub fn hear_with(&mut self, source: &str, link_layer: Option<[u8; 6]>, octets: Vec<u8>) {
        self.tell(Input::Server(Received {
            interface: LAN,
            source: address(source),
            port: 546,
            link_layer: link_layer.map(|octets| octets.to_vec()),
            destination: GROUP,
            hop_limit: 1,
            fragmented: false,
            octets,
        }));
    }

    /// The prefixes that the only answer since the last look gives; none where there is not one.
    pub fn given(&mut self) -> Vec<Ipv6Net> {
        let answers = std::mem::take(&mut self.answers);
        assert!(answers.len() <= 1, "{answers:?}");
        let prefixes = answers.iter().flat_map(|(_, answer)| {
            answer.ia_pds().flat_map(|ia| &ia.prefixes).filter(|one| !one.valid.is_zero())
        });
        prefixes.map(|given| given.prefix).collect()
    }

    /// Routes by way of neighbors.
    pub fn routes(&self) -> BTreeMap<Ipv6Net, Ipv6Addr> {
        let routes = self.kernel.routes.values();
        routes
            .filter_map(|route| match route.target {
                RouteTarget::Gateway(_, gateway) => Some((route.destination, gateway)),
                RouteTarget::OnLink(_) | RouteTarget::Unreachable => None,
            })
            .collect()
    }

    /// Whatever was done step by step, the whole derivation finds nothing left to do.
    pub fn nothing_is_left_to_do(&mut self) {
        while self.core.lags() {
            self.run_for(Duration::from_millis(1));
        }
        let before = self.kernel.routes.clone();
        self.tell(Input::System(self.kernel.clone()));
        while self.core.lags() {
            self.run_for(Duration::from_millis(1));
        }
        assert_eq!(self.kernel.routes, before);
    }

    pub fn counted(&self, name: &str) -> u64 {
        self.core.status(self.now).counters.get(name).copied().unwrap_or_default()
    }

    /// The texts of the conditions with a name.
    pub fn conditions(&self, name: &str) -> Vec<String> {
        let conditions = self.core.status(self.now).conditions.into_iter();
        conditions.filter(|one| one.name == name).map(|one| one.text).collect()
    }
}

/// A solicited neighbor advertisement of `target`.
pub fn advertised(target: Ipv6Addr) -> Input {
    advertised_by(target, None)
}

fn advertised_by(target: Ipv6Addr, link_layer: Option<[u8; 6]>) -> Input {
    let [.., a, b, c, d] = target.octets();
    let link_layer = link_layer.unwrap_or([6, 0, a, b, c, d]);
    let head = [136, 0, 0, 0, 0x60, 0, 0, 0];
    let octets = [&head[..], &target.octets(), &[2, 1], &link_layer].concat();
    Input::Icmpv6(Received {
        interface: LAN,
        source: target,
        port: 0,
        link_layer: None,
        destination: address(OWN),
        hop_limit: 255,
        fragmented: false,
        octets,
    })
}
