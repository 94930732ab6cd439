//! A kernel that refuses: nothing may keep the loop busy, and what may be had in the end is had.

use std::net::Ipv6Addr;

use renumberd::config::file;
use renumberd::core::input::Received;
use renumberd::core::kernel::object::Refusal;
use renumberd::core::kernel::system::RouteTarget;
use renumberd::core::memory::Memory;
use renumberd::core::output::Output;
use renumberd::net::IfIndex;
use renumberd::sim::kernel::{Decide, Kernel, link};
use renumberd::sim::network::Network;
use renumberd::sim::node::Node;
use renumberd::wire::dhcpv6::{Message, TransactionId};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, Iaid};

use super::world::{machine, own_duid};
use super::*;

const LAN: IfIndex = IfIndex(3);
const WLAN: IfIndex = IfIndex(4);
const SITE: &str = "[static.site]\nprefix = \"2001:db8::/32\"\n[downlink.lan]\n[downlink.wlan]\n\
    [pool.a]\ndownlink = \"lan\"\nsize = 48\n[pool.b]\ndownlink = \"wlan\"\nsize = 48\n";
const OTHER: &str = "3fff::/32";
/// A refusal, with the error number.
const UNREACHABLE: Refusal = Refusal::Other { number: 113, text: "No route to host" };
const NO_MEMORY: Refusal = Refusal::Other { number: 12, text: "Cannot allocate memory" };
const DOWN: Refusal = Refusal::Other { number: 100, text: "Network is down" };

/// An agent that delegates, and a kernel that takes a step unless somebody decides otherwise.
struct House {
    net: Network,
    /// Most outputs but events that one input had.
    most: usize,
    sent: usize,
    is_changed: bool,
}

impl House {
    fn new(decide: Decide) -> Self {
        let mut net = Network::new(Instant::from_secs(1000));
        let links = [(LAN, "lan"), (WLAN, "wlan")].map(|(index, name)| {
            let last = u16::try_from(index.0).unwrap();
            (link(index, name), Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last))
        });
        let mut kernel = machine(links);
        kernel.refusals.decide = Some(decide);
        let config = file::parse("test.toml", SITE).unwrap();
        let mut node = Node::new(config, Memory::default(), own_duid(), kernel, net.now);
        node.most_allowed = 50_000;
        net.add_node(node);
        let mut house = Self { net, most: 0, sent: 0, is_changed: false };
        house.perform();
        house
    }

    fn give(&mut self, input: Input) {
        self.net.give(0, input);
        self.perform();
    }

    fn perform(&mut self) {
        let mut count = 0;
        while let Some((_, output)) = self.net.output() {
            count += self.note(&output);
        }
        self.most = self.most.max(count);
    }

    /// How much an output counts: there is an event for each refusal.
    fn note(&mut self, output: &Output) -> usize {
        self.sent += usize::from(matches!(output, Output::SendServer(_)));
        usize::from(!matches!(output, Output::Event(_)))
    }

    fn kernel(&mut self) -> &mut Kernel {
        &mut self.net.nodes[0].kernel
    }

    /// So many routers each get a prefix on a link.
    fn delegate(&mut self, interface: IfIndex, count: u32) {
        for number in 0..count {
            let [a, b, c, d] = number.to_be_bytes();
            let mut uuid = [0; 16];
            uuid[..5].copy_from_slice(&[interface.0 as u8, a, b, c, d]);
            let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
            let ia = IaPd { iaid: Iaid(1), t1, t2, prefixes: Vec::new(), status: None };
            let options = vec![
                Dhcpv6Option::ClientId(Duid::from_uuid(uuid)),
                Dhcpv6Option::ServerId(own_duid()),
                Dhcpv6Option::IaPd(ia),
            ];
            let message =
                Message { kind: Request, transaction_id: TransactionId([1, 2, 3]), options };
            let source = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 2, a, b, 0xff, 0xfe, c, d, 1];
            self.give(Input::Server(Received {
                interface,
                source: Ipv6Addr::from(source),
                port: 546,
                link_layer: None,
                destination: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2),
                hop_limit: 1,
                fragmented: false,
                octets: message.encode(),
            }));
        }
    }

    /// Lets `span` pass; how often the agent woke.
    fn run_for(&mut self, span: Duration) -> usize {
        let end = self.net.now + span;
        let before = self.net.nodes[0].wakeups;
        while let Some((_, output)) = self.net.poll(end) {
            self.note(&output);
        }
        self.net.nodes[0].wakeups - before
    }

    fn change(&mut self) {
        self.is_changed = true;
        self.set_prefix(OTHER);
    }

    fn set_prefix(&mut self, prefix: &str) {
        let prefixes = [("site".to_owned(), Some(net(prefix)))].into();
        self.give(Input::Command(Command::SetPrefixes { prefixes, graceful: false }));
    }

    /// Routes through routers on a link, to what was delegated last.
    fn gateways(&self, interface: IfIndex) -> usize {
        let prefix = if self.is_changed { net(OTHER) } else { net("2001:db8::/32") };
        let routes = self.net.nodes[0].kernel.system().routes.values().filter(|route| {
            prefix.contains(&route.destination)
                && matches!(route.target, RouteTarget::Gateway(at, _) if at == interface)
        });
        routes.count()
    }

    /// The refused steps that the status tells of.
    fn condition(&self) -> Option<String> {
        let conditions = self.net.nodes[0].core.status(self.net.now).conditions;
        conditions.into_iter().find(|condition| condition.name == "refused").map(|found| found.text)
    }

    fn tries(&self) -> u32 {
        self.net.nodes[0].kernel.refusals.tries.values().sum()
    }

    fn most_tries(&self) -> u32 {
        self.net.nodes[0].kernel.refusals.tries.values().copied().max().unwrap_or_default()
    }
}

fn is_through_lan(step: &Step) -> bool {
    matches!(step, Step::Set(Object::Route(route)) | Step::Replace(Object::Route(route))
        if matches!(route.target, RouteTarget::Gateway(LAN, _)))
}

/// More steps than any table of fixed size could remember.
#[test]
fn a_kernel_that_refuses_everything_keeps_nobody_busy() {
    let mut house = House::new(|_, _| Some(Refusal::NotPermitted));
    house.delegate(LAN, 2000);
    assert_eq!(house.sent, 2000, "routers are answered");
    assert!(house.most < 50, "{} outputs for one message", house.most);
    house.run_for(Duration::from_secs(600));
    house.change();
    house.run_for(Duration::from_secs(600));
    // After a quarter of a second, then later and later, up to a minute or so.
    assert!(house.most_tries() <= 40, "{}", house.most_tries());
    assert!(house.condition().is_some_and(|text| text.contains("more")));
    house.kernel().refusals.decide = Some(|_, _| None);
    house.run_for(Duration::from_secs(90));
    assert_eq!((house.condition(), house.gateways(LAN)), (None, 2000));
}

/// A restart would meet the same bindings: what one link refuses holds nothing else up.
#[test]
fn routes_that_one_link_refuses_leave_the_others_alone() {
    let mut house = House::new(|step, _| is_through_lan(step).then_some(UNREACHABLE));
    house.delegate(LAN, 1500);
    house.delegate(WLAN, 100);
    house.change();
    house.run_for(Duration::from_secs(10));
    assert_eq!((house.gateways(LAN), house.gateways(WLAN)), (0, 100));
    let prefix = net(OTHER);
    assert!(house.kernel().system().addresses.values().any(|own| prefix.contains(&own.address)));
    let wakes = house.run_for(Duration::from_secs(600));
    assert!(wakes < 600, "{wakes} wake-ups in ten minutes");
}

#[test]
fn steps_that_are_refused_every_other_time_succeed_in_the_end() {
    let mut house = House::new(|_, tries| (tries % 2 == 1).then_some(NO_MEMORY));
    house.delegate(LAN, 1200);
    house.run_for(Duration::from_secs(5));
    assert_eq!((house.condition(), house.gateways(LAN)), (None, 1200));
    house.change();
    house.run_for(Duration::from_secs(120));
    assert_eq!((house.condition(), house.gateways(LAN)), (None, 1200));
}

/// A removal that was refused has its turn again, and is not wanted any more when that comes.
#[test]
fn a_refused_removal_that_is_not_wanted_any_more_is_no_condition() {
    let refuses =
        |step: &Step, tries| step.removed_route().filter(|_| tries == 1).map(|_| NO_MEMORY);
    let mut house = House::new(refuses);
    house.delegate(LAN, 1);
    house.change();
    let mut waited = 0;
    while house.condition().is_none() {
        house.run_for(Duration::from_secs(1));
        waited += 1;
        assert!(waited < 10_000, "no route is removed");
    }
    let system = house.net.nodes[0].read_kernel();
    house.give(system);
    house.run_for(Duration::from_millis(50));
    while !house.net.nodes[0].core.has_postponed_work() {
        house.run_for(Duration::from_millis(1));
        waited += 1;
        assert!(waited < 20_000, "nothing has its turn");
    }
    house.set_prefix("2001:db8::/32");
    house.run_for(Duration::from_secs(5));
    assert_eq!(house.condition(), None);
}

/// The kernel refuses what is left of the change before it says that the link is down.
#[test]
fn a_link_that_goes_down_in_the_middle_of_a_change_is_no_endless_loop() {
    let mut house = House::new(|_, _| None);
    house.delegate(LAN, 2000);
    assert_eq!(house.gateways(LAN), 2000);
    house.kernel().refusals.decide = Some(|step, _| is_through_lan(step).then_some(DOWN));
    house.change();
    let wakes = house.run_for(Duration::from_secs(30));
    assert!(wakes < 200, "{wakes}");
    house.kernel().set_running(LAN, false, false);
    house.kernel().flush_routes(LAN);
    house.run_for(Duration::from_secs(2));
    assert_eq!(house.condition(), None, "what is not wanted is not refused");
    let before = house.tries();
    house.run_for(Duration::from_secs(300));
    assert!(house.tries() < before + 50, "quiet");
    house.kernel().refusals.decide = Some(|_, _| None);
    house.kernel().set_running(LAN, true, false);
    let system = house.net.nodes[0].read_kernel();
    house.give(system);
    house.run_for(Duration::from_secs(90));
    assert_eq!((house.condition(), house.gateways(LAN)), (None, 2000));
}

/// Somebody else has the socket leave a group, or a link takes it along: the agent has left it, and
/// joins it anew when it serves there again.
#[test]
fn a_group_that_is_not_there_is_left() {
    let leaves = |step: &Step, _| {
        let is = matches!(step, Step::Remove(Object::Membership(_, WLAN)));
        is.then_some(Refusal::NotThere)
    };
    let mut house = House::new(leaves);
    let reload = |text: &str| {
        Input::Command(Command::Reload(Box::new(file::parse("test.toml", text).unwrap())))
    };
    house.give(reload(
        &SITE.replace("[pool.b]\ndownlink = \"wlan\"", "[pool.b]\ndownlink = \"lan\""),
    ));
    assert_eq!(house.condition(), None, "it is no fault");
    house.net.give(0, reload(SITE));
    let mut joined = 0;
    while let Some((_, output)) = house.net.output() {
        let Output::Apply(steps) = output else { continue };
        joined += steps
            .iter()
            .filter(|step| matches!(step, Step::Set(Object::Membership(_, WLAN))))
            .count();
    }
    assert!(joined > 0, "nobody is served on that link");
}
