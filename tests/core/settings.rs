//! Settings and memberships of interfaces that the configuration names no more: they are given
//! back, however often that is refused.

use std::net::Ipv6Addr;

use renumberd::config::file;
use renumberd::core::event::Event as Happened;
use renumberd::core::kernel::object::Refusal;
use renumberd::core::memory::Memory;
use renumberd::core::output::Output;
use renumberd::net::IfIndex;
use renumberd::sim::kernel::{Decide, Kernel, link};
use renumberd::sim::network::Network;
use renumberd::sim::node::Node;

use super::world::{machine, own_duid};
use super::*;

const UP: IfIndex = IfIndex(2);
const LAN: IfIndex = IfIndex(3);
const BOTH: &str = "[uplink.up]\n[downlink.lan]\n";
const NEITHER: &str = "[downlink.other]\n";

/// An agent on a machine with two links; `accept_ra` is 1 where nobody has set it.
struct Machine {
    net: Network,
}

impl Machine {
    fn new() -> Self {
        let mut net = Network::new(Instant::from_secs(1000));
        let kernel = machine([(UP, "up"), (LAN, "lan")].map(|(index, name)| {
            let last = u16::try_from(index.0).unwrap();
            (link(index, name), Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last))
        }));
        let config = file::parse("test.toml", BOTH).unwrap();
        net.add_node(Node::new(config, Memory::default(), own_duid(), kernel, net.now));
        Self { net }
    }

    fn node(&mut self) -> &mut Node {
        &mut self.net.nodes[0]
    }

    fn kernel(&mut self) -> &mut Kernel {
        &mut self.node().kernel
    }

    fn refuse(&mut self, refuses: bool) {
        let decide: Decide = |_, _| Some(Refusal::NotPermitted);
        self.kernel().refusals.decide = refuses.then_some(decide);
    }

    fn accept_ra(&self, interface: &str) -> i32 {
        self.net.nodes[0].kernel.sysctl(interface, "accept_ra").unwrap()
    }

    /// How many groups on the links are joined.
    fn groups(&self) -> usize {
        self.net.nodes[0].kernel.groups.len()
    }

    /// Lets `span` pass, in which the agent wakes not too often.
    fn run_for(&mut self, span: Duration) {
        let before = self.node().wakeups;
        self.net.run_for(span);
        let woken = self.node().wakeups - before;
        assert!(woken < 500, "it woke {woken} times");
    }

    fn reload(&mut self, text: &str) {
        let config = file::parse("test.toml", text).unwrap();
        self.net.give(0, Input::Command(Command::Reload(Box::new(config))));
        self.run_for(Duration::from_secs(1));
    }
}

#[test]
fn settings_that_cannot_be_restored_at_once_are_restored_later() {
    let mut machine = Machine::new();
    machine.run_for(Duration::from_secs(1));
    assert_eq!((machine.accept_ra("up"), machine.groups()), (0, 1));
    machine.refuse(true);
    machine.reload(NEITHER);
    machine.run_for(Duration::from_secs(300));
    assert_eq!((machine.accept_ra("up"), machine.groups()), (0, 1));
    machine.refuse(false);
    machine.run_for(Duration::from_secs(90));
    assert_eq!((machine.accept_ra("up"), machine.groups()), (1, 0));
    let left = &machine.node().memory.sysctls;
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_setting_that_was_restored_once_is_restored_again() {
    let mut machine = Machine::new();
    for round in 0..3 {
        machine.reload(NEITHER);
        assert_eq!(machine.accept_ra("up"), 1, "{round}");
        // Somebody else's business until it is an uplink again.
        machine.kernel().set_sysctl(UP, "accept_ra", 2);
        machine.run_for(Duration::from_secs(600));
        assert_eq!(machine.accept_ra("up"), 2, "{round}");
        machine.kernel().set_sysctl(UP, "accept_ra", 1);
        machine.reload(BOTH);
        assert_eq!(machine.accept_ra("up"), 0, "{round}");
    }
}

/// The configuration was changed while the agent did not run.
#[test]
fn settings_of_an_earlier_run_are_restored() {
    let mut machine = Machine::new();
    machine.run_for(Duration::from_secs(1));
    assert_eq!(machine.accept_ra("up"), 0);
    machine.node().config = file::parse("test.toml", NEITHER).unwrap();
    machine.net.restart(0);
    machine.run_for(Duration::from_secs(1));
    assert_eq!(machine.accept_ra("up"), 1);
    let left = &machine.node().memory.sysctls;
    assert!(left.is_empty(), "{left:?}");
}

/// CLI-34: addresses of a host are used while duplicates of them are looked for; the settings come
/// back at the end, and on a router or beside another program they stay.
#[test]
fn a_kernel_that_does_not_forward_is_made_optimistic() {
    let names = ["optimistic_dad", "use_optimistic"];
    let both = |world: &mut World| names.map(|name| world.kernel().sysctl("up", name));
    let cases = [
        // configuration, forwards, accept_ra, expected
        ("", false, 1, 1),
        ("optimistic-dad = false", false, 1, 0),
        ("", true, 1, 0),
        ("", false, 0, 0),
    ];
    for (more, forwards, accept_ra, expected) in cases {
        let config =
            file::parse("test.toml", &format!("on-stop = \"remove\"\n[client.up]\n{more}"))
                .unwrap();
        let mut world = World::new(config, "2001:db8:a000::/56");
        for name in names {
            world.kernel().set_sysctl(UPLINK, name, 0);
        }
        let up = renumberd::core::kernel::system::Link {
            accept_ra: Some(accept_ra),
            ..world.system().link("up").unwrap().clone()
        };
        world.kernel().change(KernelEvent::Forwarding(forwards));
        world.run_for(Duration::from_secs(1));
        world.kernel().change(KernelEvent::Link(up));
        world.run_for(Duration::from_secs(1));
        assert_eq!(both(&mut world), [Some(expected); 2], "{more} {forwards} {accept_ra}");
        world.command(Command::Stop);
        assert_eq!(both(&mut world), [Some(0); 2], "{more} {forwards} {accept_ra}");
    }
}

/// OPS-13: also where somebody else switches it off meanwhile.
#[test]
fn forwarding_is_switched_on_and_comes_back() {
    let mut machine = Machine::new();
    let off = KernelEvent::Forwarding(false);
    machine.kernel().change(off.clone());
    machine.run_for(Duration::from_secs(5));
    let is_on = |machine: &mut Machine| machine.kernel().system().forwarding;
    assert!(!is_on(&mut machine), "nobody has asked for it");
    let both = format!("forward = true\n{BOTH}");
    machine.reload(&both);
    assert!(is_on(&mut machine));
    machine.kernel().change(off);
    machine.run_for(Duration::from_secs(5));
    assert!(is_on(&mut machine), "switched off by somebody else");
    machine.reload(BOTH);
    assert!(!is_on(&mut machine), "as it was before");
    let left = machine.node().memory.sysctls.clone();
    assert!(!left.contains_key(&("all".to_owned(), "forwarding".to_owned())), "{left:?}");
    machine.reload(&format!("on-stop = \"remove\"\n{both}"));
    assert!(is_on(&mut machine));
    machine.net.give(0, Input::Command(Command::Stop));
    machine.net.run_for(Duration::from_secs(5));
    assert!(!is_on(&mut machine), "the end");
}

/// OPS-18: what the agent has just switched on the kernel reports a moment later; where it is refused,
/// that is named.
#[test]
fn forwarding_that_is_being_switched_on_is_no_condition() {
    for is_refused in [false, true] {
        let mut machine = Machine::new();
        machine.kernel().change(KernelEvent::Forwarding(false));
        machine.node().config =
            file::parse("test.toml", &format!("forward = true\n{BOTH}")).unwrap();
        machine.net.restart(0);
        machine.refuse(is_refused);
        let mut is_named = false;
        let end = machine.net.now + Duration::from_secs(5);
        while let Some((_, output)) = machine.net.poll(end) {
            let Output::Event(event @ Happened::ConditionBegan { .. }) = output else { continue };
            is_named |= event.kind().1 == "forwarding-off";
        }
        assert_eq!(is_named, is_refused);
        assert_eq!(machine.kernel().system().forwarding, !is_refused);
    }
}
