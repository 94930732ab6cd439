//! A tree of agents in virtual time: below a provider each router is the real core, with a kernel of
//! its own, and links that take 100 µs and may lose. It is `renumberd::sim`, and what is watched.

use std::net::Ipv6Addr;
use std::time::Duration;

use renumberd::config::file;
use renumberd::core::input::Input;
use renumberd::core::kernel::object::Refusal;
use renumberd::core::kernel::system::Link;
use renumberd::core::memory::Memory;
use renumberd::core::output::{Output, Step};
use renumberd::net::IfIndex;
use renumberd::sim::host::Host;
use renumberd::sim::kernel::{Kernel, link};
use renumberd::sim::network::{Network, Station};
use renumberd::sim::node::Node;
use renumberd::sim::provider::{Provider, advertisement};
use renumberd::time::Instant;
use renumberd::wire::dhcpv6::Message;
use renumberd::wire::dhcpv6_option::Duid;
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::NdpOption;

use super::watch::Watch;
use crate::world;

pub const UP: IfIndex = IfIndex(2);
pub const LAN: IfIndex = IfIndex(3);
/// The host on the last link.
const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xc);

pub struct Tree {
    /// Router by router; the first link is the provider's, the host is on the last.
    pub net: Network,
    pub watch: Watch,
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

/// The machine of a router with its two links.
fn machine(number: usize) -> Kernel {
    let number = u16::try_from(number).unwrap();
    world::machine([(UP, "up"), (LAN, "lan")].map(|(index, name)| {
        let link_layer = vec![2, 0, 0, 0, u8::try_from(number).unwrap(), 9];
        let link = Link { link_layer_address: Some(link_layer), ..link(index, name) };
        (link, link_local(number, index))
    }))
}

impl Tree {
    /// A chain of routers below a provider that delegates `prefix` and advertises every ten minutes.
    pub fn chain(length: usize, prefix: &str, reconfigure: bool) -> Self {
        let mut net = Network::new(Instant::from_secs(1000));
        let above = net.add_segment();
        let mut provider = Provider::new(world::net(prefix));
        provider.advertisement =
            Some(advertisement(vec![world::pio("2001:db8:ffff::/64", 7200, 3600)]));
        provider.interval = Some(Duration::from_secs(600));
        provider.delay = Duration::ZERO;
        net.add_provider(above, provider);
        for number in 0..length {
            let config = file::parse("test.toml", &config(number, reconfigure)).unwrap();
            let (memory, kernel) = (Memory::default(), machine(number));
            let below = net.add_segment();
            net.attach(below - 1, Station::Node(number), UP);
            net.attach(below, Station::Node(number), LAN);
            net.add_node(Node::new(config, memory, duid(number), kernel, net.now));
        }
        net.add_host(length, Host::new(HOST));
        let mut tree = Self { net, watch: Watch::default() };
        tree.perform();
        tree
    }

    pub const fn now(&self) -> Instant {
        self.net.now
    }

    pub fn provider(&mut self) -> &mut Provider {
        &mut self.net.providers[0]
    }

    /// The options that the provider advertises.
    pub fn options(&mut self) -> &mut Vec<NdpOption> {
        &mut self.provider().advertisement.as_mut().unwrap().options
    }

    /// The provider has another prefix, and advertises that.
    pub fn renumber(&mut self, prefix: &str, on_link: &str) {
        self.provider().renumber(world::net(prefix));
        let mut options = vec![world::pio(on_link, 7200, 3600)];
        if let Some(NdpOption::Prefix(old)) = self.options().first() {
            options.push(world::pio(&old.prefix.to_string(), 7200, 0));
        }
        *self.options() = options;
        self.advertise();
    }

    pub fn advertise(&mut self) {
        self.net.advertise(0);
    }

    /// So many packets of a thousand are lost, on each link.
    pub fn lose(&mut self, of_thousand: u64) {
        self.net.segments.iter_mut().for_each(|segment| segment.loss = of_thousand);
    }

    /// So many packets of a thousand are lost, but none of the provider or to it.
    pub fn lose_below(&mut self, of_thousand: u64) {
        self.lose(of_thousand);
        self.net.segments[0].loss = 0;
    }

    pub fn give(&mut self, to: usize, input: Input) {
        self.net.give(to, input);
        self.perform();
    }

    fn perform(&mut self) {
        while let Some((of, output)) = self.net.output() {
            self.note(of, output);
        }
    }

    /// Lets `span` pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.net.now + span;
        while let Some((of, output)) = self.net.poll(end) {
            self.note(of, output);
        }
    }

    /// Looks at what a router has done. One that was killed is started again.
    fn note(&mut self, of: usize, output: Output) {
        match output {
            Output::Apply(steps) => {
                self.watch.steps += steps.len();
                self.check_steps(of);
            }
            Output::SendIcmpv6(packet) if packet.interface == LAN => {
                if let Ok(advertisement) = RouterAdvertisement::decode(&packet.octets) {
                    self.check_advertisement(of, &advertisement);
                    self.watch.advertised(self.net.now, of, packet.destination, &advertisement);
                }
            }
            Output::SendDhcpv6(packet) => {
                let message = Message::decode(&packet.octets).expect("own message decodes");
                self.watch.sent(self.net.now, of, message.kind);
            }
            Output::SendServer(sent) => {
                self.watch.dhcpv6 += 1;
                self.check_answer(of, &sent.packet.octets);
            }
            Output::Exit => self.restart(of),
            _ => {}
        }
    }

    /// The kernel refuses no step but routes that are there already, and what is for a link that is
    /// down; and no route is removed that is not there.
    fn check_steps(&mut self, of: usize) {
        let node = &mut self.net.nodes[of];
        let system = node.kernel.system();
        for (step, refusal) in &node.refused {
            let is_known = |step: &Step| {
                step.route().is_some_and(|route| system.routes.contains_key(&route.key()))
            };
            let is_down = step.object().interface().is_some_and(|at| !system.links[&at].running);
            let is_there = *refusal == Refusal::Exists && is_known(step);
            assert!(is_down || is_there, "the kernel of {of} refuses {step:?}: {refusal}");
        }
        node.refused.clear();
        assert_eq!(node.kernel.counts.absent, 0, "{of} removes a route that is not there");
    }

    /// A router is killed and started again: what is in its kernel and its memory stays, what was
    /// on its way to it is lost.
    pub fn restart(&mut self, number: usize) {
        self.net.restart(number);
        self.perform();
    }

    /// A link of a router goes down or comes up; in between its kernel loses the routes on it.
    pub fn set_running(&mut self, number: usize, index: IfIndex, running: bool) {
        let kernel = &mut self.net.nodes[number].kernel;
        kernel.set_running(index, running, false);
        if !running {
            kernel.flush_routes(index);
        }
    }

    /// The state of all routers.
    pub fn state(&self) -> Vec<Vec<String>> {
        self.net.nodes.iter().map(Node::state).collect()
    }

    /// Whether what all routers delegate lies in `prefix`, and is all that they delegate.
    pub fn follows(&self, prefix: &str) -> bool {
        let whole = world::net(prefix);
        let (_, above) = self.net.nodes.split_last().unwrap();
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
