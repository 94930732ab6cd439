//! One core as a delegating router, and a link with neighbors that are no more than what they send
//! and whether they answer neighbor solicitations. Virtual time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::config::file;
use renumberd::core::event::Event;
use renumberd::core::input::{Input, Received};
use renumberd::core::kernel::system::{Link, RouteTarget, System};
use renumberd::core::memory::Memory;
use renumberd::core::output::{Output, Step};
use renumberd::core::status::Status;
use renumberd::net::IfIndex;
use renumberd::sim::kernel::{Kernel, link};
use renumberd::sim::network::Network;
use renumberd::sim::node::Node;
use renumberd::time::{Instant, Lifetime};
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

/// A link-layer address in the option of a relay agent.
pub fn option_79(octets: [u8; 6]) -> RelayOption {
    RelayOption::ClientLinkLayer { hardware_type: 1, address: octets.to_vec() }
}

pub struct Lan {
    pub net: Network,
    /// Who answers neighbor solicitations.
    pub answering: BTreeSet<Ipv6Addr>,
    /// With which link-layer address, where that is not made from its own.
    pub link_layers: BTreeMap<Ipv6Addr, [u8; 6]>,
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
}

impl Lan {
    pub fn new(config: &str) -> Self {
        Self::with(config, Memory::default())
    }

    pub fn with(config: &str, memory: Memory) -> Self {
        let mut net = Network::new(Instant::from_secs(1000));
        let ethernet =
            Link { link_layer_address: Some(vec![2, 0, 0, 0, 0, 3]), ..link(LAN, "lan") };
        let kernel = world::machine([(ethernet, address(OWN))]);
        let config = file::parse("test.toml", config).unwrap();
        net.add_node(Node::new(config, memory, world::own_duid(), kernel, net.now));
        let mut lan = Self {
            net,
            answering: BTreeSet::new(),
            link_layers: BTreeMap::new(),
            refuses: false,
            solicited: Vec::new(),
            answers: Vec::new(),
            events: Vec::new(),
            outputs: 0,
        };
        lan.perform();
        lan.run_for(Duration::from_millis(50));
        lan
    }

    pub const fn now(&self) -> Instant {
        self.net.now
    }

    pub fn node(&self) -> &Node {
        &self.net.nodes[0]
    }

    pub fn kernel(&mut self) -> &mut Kernel {
        &mut self.net.nodes[0].kernel
    }

    pub fn system(&self) -> &System {
        self.node().kernel.system()
    }

    pub fn memory(&self) -> &Memory {
        &self.node().memory
    }

    pub fn status(&self) -> Status {
        self.node().core.status(self.net.now)
    }

    /// Killed and started again.
    pub fn restart(&mut self) {
        self.net.restart(0);
        self.perform();
    }

    pub fn give(&mut self, input: Input) {
        self.net.give(0, input);
        self.perform();
    }

    /// Performs what is to be done, and what follows from answers on the link, at once.
    fn perform(&mut self) {
        let mut coming = VecDeque::new();
        loop {
            while let Some((_, output)) = self.net.output() {
                coming.extend(self.note(output));
            }
            let Some(input) = coming.pop_front() else { return };
            self.net.give(0, input);
        }
    }

    /// What comes of an output on the link.
    fn note(&mut self, output: Output) -> Option<Input> {
        self.outputs += 1;
        match output {
            Output::Apply(steps) => self.check_steps(&steps),
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
                    let is_dropped = false;
                    return Some(Input::NotSent { interface, destination, is_dropped });
                }
                let target = <[u8; 16]>::try_from(&packet.octets[8..24]).unwrap().into();
                self.solicited.push(target);
                let is_heard = self.node().hearing.neighbor_advertisements;
                if self.answering.contains(&target) && is_heard {
                    let link_layer = self.link_layers.get(&target).copied();
                    return Some(advertised_by(target, link_layer));
                }
            }
            _ => {}
        }
        None
    }

    /// The kernel has refused nothing, and would not have had to for a gateway beyond the link.
    fn check_steps(&self, steps: &[Step]) {
        let refused = &self.node().refused;
        assert!(refused.is_empty(), "the kernel refuses {refused:?}");
        for step in steps {
            if let Step::Set(_) = step
                && let Some(route) = step.route()
                && let RouteTarget::Gateway(_, gateway) = route.target
            {
                let is_on_link = self.system().is_on_link(LAN, gateway);
                assert!(is_on_link, "the kernel would refuse {route:?}");
            }
        }
    }

    /// Lets `span` pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.net.now + span;
        while let Some((_, output)) = self.net.poll(end) {
            if let Some(answer) = self.note(output) {
                self.net.give_at(self.net.now, 0, answer);
            }
        }
    }

    /// A datagram comes from a neighbor.
    pub fn hear(&mut self, source: &str, octets: Vec<u8>) {
        self.hear_with(source, None, octets);
    }

    /// Also with the link-layer address that the system knows.
    pub fn hear_with(&mut self, source: &str, link_layer: Option<[u8; 6]>, octets: Vec<u8>) {
        self.give(Input::Server(Received {
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
        let routes = self.system().routes.values();
        routes
            .filter_map(|route| match route.target {
                RouteTarget::Gateway(_, gateway) => Some((route.destination, gateway)),
                RouteTarget::OnLink(_) | RouteTarget::Unreachable => None,
            })
            .collect()
    }

    /// Whatever was done step by step, the whole derivation finds nothing left to do.
    pub fn nothing_is_left_to_do(&mut self) {
        while self.node().core.has_postponed_work() {
            self.run_for(Duration::from_millis(1));
        }
        let before = self.system().routes.clone();
        self.give(Input::System(self.system().clone()));
        while self.node().core.has_postponed_work() {
            self.run_for(Duration::from_millis(1));
        }
        assert_eq!(self.system().routes, before);
    }

    pub fn counted(&self, name: &str) -> u64 {
        self.status().counters.get(name).copied().unwrap_or_default()
    }

    /// The texts of the conditions with a name.
    pub fn conditions(&self, name: &str) -> Vec<String> {
        let conditions = self.status().conditions.into_iter();
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
