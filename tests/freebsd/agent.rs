//! An agent on the backend: the article's outbound router, from its first start to its end.

use std::time::Duration;

use renumberd::config::{self, Config};
use renumberd::core::Core;
use renumberd::core::input::{Command, Input, Received};
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::memory::{Memory, Record};
use renumberd::core::output::{Executor, Object, Output, Setting, Step};
use renumberd::net::IfIndex;
use renumberd::platform::freebsd::CAPABILITIES;
use renumberd::platform::freebsd::abi;
use renumberd::sim::provider::{Provider, advertisement, prefix_option};
use renumberd::time::Instant;
use renumberd::wire::dhcpv6::Message;
use renumberd::wire::dhcpv6_option::Duid;

use super::fake::{EM0, EM1};
use super::machine::{Machine, ip, net};

const SECOND: Duration = Duration::from_secs(1);
const ROUTER: &str = "fe80::9";
const STATIC: &str = "fd00::101";
/// em0 is the uplink, em1 leads to the backbone router.
const CONFIG: &str = "
    [uplink.em0]
    address = \"::2\"
    [downlink.em1]
    subnet = \"-1/64\"
    address = \"::1\"
";

/// An agent, its machine, and its provider.
struct Agent {
    machine: Machine,
    core: Core,
    memory: Memory,
    provider: Provider,
    /// What the provider has answered and is on its way.
    answers: Vec<(Instant, Message)>,
    read_at: Option<Instant>,
    refused: Vec<Step>,
    steps: Vec<Step>,
    starts: u8,
}

fn config() -> Config {
    config::file::parse("", CONFIG).unwrap()
}

fn received(octets: Vec<u8>, port: u16, destination: &str) -> Received {
    Received {
        interface: EM0,
        source: ip(ROUTER),
        port,
        link_layer: None,
        destination: ip(destination),
        hop_limit: 255,
        fragmented: false,
        octets,
    }
}

impl Agent {
    /// One that has started beside the static address of the article's §9.
    fn new() -> Self {
        let machine = Machine::new();
        {
            let mut fake = machine.fake.borrow_mut();
            fake.set(EM1, ip(STATIC), 120, 0, (u32::MAX, u32::MAX)).unwrap();
            fake.interfaces.get_mut(&EM0).unwrap().nd_flags |= abi::ACCEPT_ADVERTISEMENTS;
            fake.advance(2 * SECOND);
        }
        let (memory, now) = (Memory::default(), machine.now());
        let core = start(memory.clone(), 1, now);
        let provider = Provider::new(net("2001:db8:a000::/56"));
        let mut agent = Self {
            machine,
            core,
            memory,
            provider,
            answers: Vec::new(),
            read_at: None,
            refused: Vec::new(),
            steps: Vec::new(),
            starts: 1,
        };
        agent.dump();
        agent
    }

    fn dump(&mut self) {
        self.read_at = None;
        self.machine.dump();
        let system = self.machine.system.clone();
        self.give(Input::System(system));
    }

    /// It is killed and started again.
    fn restart(&mut self) {
        self.starts += 1;
        self.machine.restart();
        self.answers.clear();
        self.core = start(self.memory.clone(), self.starts, self.machine.now());
        self.dump();
    }

    fn give(&mut self, input: Input) {
        let now = self.machine.now();
        self.core.handle(now, input);
        let mut outputs = 0;
        while let Some(output) = self.core.poll_output() {
            outputs += 1;
            assert!(outputs < 1000, "no end of outputs: {output:?}");
            self.perform(now, output);
        }
    }

    fn perform(&mut self, now: Instant, output: Output) {
        match output {
            Output::Remember(record) => self.memory.fold(record),
            Output::Apply(steps) => self.apply(now, &steps),
            Output::Milestone(milestone) => self.core.handle(now, Input::Milestone(milestone)),
            Output::SendDhcpv6(packet) => {
                let message = Message::decode(&packet.octets).unwrap();
                if let Some((delay, answer)) = self.provider.answer(now, &message) {
                    self.answers.push((now + delay, answer));
                }
            }
            _ => {}
        }
    }

    fn apply(&mut self, now: Instant, steps: &[Step]) {
        for step in steps {
            if let Step::Set(Object::Setting(Setting { interface, name, value, .. })) = step
                && let Some(before) = self.machine.kernel.setting(interface, *name)
                && before != *value
            {
                let (interface, name) = (interface.clone(), *name);
                let (of, file) = (interface.clone(), name.file().to_owned());
                self.memory.fold(Record::Sysctl {
                    interface: of,
                    name: file,
                    before: Some(before),
                });
                self.core.handle(now, Input::SysctlWas { interface, name, before });
            }
        }
        let of_kernel = |step: &&Step| step.object().executor() == Executor::Kernel;
        let steps: Vec<Step> = steps.iter().filter(of_kernel).cloned().collect();
        for (at, refusal) in self.machine.apply(&steps) {
            let step = steps[at].clone();
            if step.is_doubtful(refusal) {
                self.read_at.get_or_insert(now + Duration::from_millis(50));
            }
            self.core.handle(now, Input::StepFailed { step: step.clone(), refusal });
            self.refused.push(step);
        }
        self.steps.extend(steps);
    }

    /// The router of the provider advertises a prefix.
    fn advertise(&mut self, prefix: &str) {
        let options = vec![prefix_option(net(prefix), 7200, 3600)];
        let octets = advertisement(options).encode();
        self.give(Input::Icmpv6(received(octets, 0, "ff02::1")));
    }

    fn take_events(&mut self) {
        if !self.machine.is_readable() {
            return;
        }
        let dumps = self.machine.dumps;
        let events: Vec<KernelEvent> = self.machine.follow();
        if self.machine.dumps != dumps {
            let system = self.machine.system.clone();
            self.give(Input::System(system));
        } else if !events.is_empty() {
            self.give(Input::Kernel(events));
        }
    }

    /// Lets time pass; the backend and the core are woken as they have asked to be.
    fn run_for(&mut self, span: Duration) {
        let end = self.machine.now() + span;
        loop {
            self.take_events();
            let now = self.machine.now();
            if self.read_at.is_some_and(|at| at <= now) {
                self.dump();
            }
            let due: Vec<_> = self.answers.extract_if(.., |(at, _)| *at <= now).collect();
            for (_, answer) in due {
                self.give(Input::Dhcpv6(received(answer.encode(), 547, "fe80::2")));
            }
            self.give(Input::Timeout);
            if now >= end {
                break;
            }
            let wake_at = self.machine.fake.borrow().wake_at.filter(|at| *at > now);
            let deadline = self.core.deadline(now).map(|deadline| deadline.at);
            let answer = self.answers.iter().map(|(at, _)| *at).min();
            let next = [wake_at, deadline, answer, self.read_at, Some(end), Some(now + SECOND)];
            let next = next.into_iter().flatten().min().unwrap();
            let span = next.since(now).max(Duration::from_micros(100));
            self.machine.fake.borrow_mut().advance(span);
        }
    }

    /// It has heard the router and holds a delegated prefix.
    fn settled() -> Self {
        let mut agent = Self::new();
        agent.run_for(SECOND);
        agent.advertise("2001:db8:a::/64");
        agent.run_for(60 * SECOND);
        agent
    }

    /// Addresses beside the link-local ones, and paths.
    fn state(&self) -> Vec<String> {
        let fake = self.machine.fake.borrow();
        let global = fake.addresses.iter().filter(|((_, is), _)| !is.is_unicast_link_local());
        let addresses =
            global.map(|((index, is), has)| format!("{is}/{} on {}", has.length, index.0));
        let links = fake.prefixes.iter().filter(|((_, prefix), has)| {
            has.has_route && !prefix.network().is_unicast_link_local()
        });
        let links = links.map(|((index, prefix), _)| format!("{prefix} on {}", index.0));
        addresses.chain(links).chain(self.machine.paths()).collect()
    }

    fn mend_state(of: &[&str]) -> Vec<String> {
        of.iter().map(|line| (*line).to_owned()).collect()
    }
}

fn start(memory: Memory, seed: u8, now: Instant) -> Core {
    let duid = Duid::from_uuid([0x52; 16]);
    Core::new(config(), memory, duid, CAPABILITIES, [seed; 32], now)
}

/// What the router has when it has settled, and the prefix of the provider's link is `link` and the
/// delegated one begins with `site`.
fn expected(link: &str, site: &str) -> Vec<String> {
    Agent::mend_state(&[
        &format!("2001:db8:{link}::2/64 on 2"),
        &format!("2001:db8:{site}:ff::1/64 on 3"),
        "fd00::101/120 on 3",
        &format!("2001:db8:{link}::/64 on 2"),
        &format!("2001:db8:{site}:ff::/64 on 3"),
        "fd00::100/120 on 3",
        &format!("2001:db8:{site}::/56 via ::1%1 reject"),
        "::/0 via fe80::9%2",
    ])
}

#[test]
fn a_first_start_ends_with_addresses_and_routes() {
    let agent = Agent::settled();
    assert_eq!(agent.state(), expected("a", "a000"));
    assert_eq!(agent.refused, []);
    let flags = agent.machine.fake.borrow().interfaces[&EM0].nd_flags;
    assert_eq!(flags & abi::ACCEPT_ADVERTISEMENTS, 0, "the agent follows in the kernel's place");
    let addresses = agent.machine.fake.borrow().addresses.clone();
    assert!(addresses.values().all(|address| address.flags == 0), "{addresses:?}");
}

/// Refreshed lifetimes change lifetimes alone, and no address or route is ever gone.
#[test]
fn a_quiet_day_changes_nothing_but_lifetimes() {
    let mut agent = Agent::settled();
    agent.steps.clear();
    for _ in 0..60 {
        agent.advertise("2001:db8:a::/64");
        agent.run_for(600 * SECOND);
        assert_eq!(agent.state(), expected("a", "a000"));
    }
    let removes = |step: &&Step| matches!(step, Step::Remove(_));
    assert_eq!(agent.steps.iter().find(removes), None);
    assert_eq!(agent.refused, []);
}

#[test]
fn a_change_brings_the_new_prefix_and_leaves_nothing_of_the_old_one() {
    let mut agent = Agent::settled();
    for (link, site) in [("b", "b000"), ("c", "c000")] {
        agent.provider.renumber(net(&format!("2001:db8:{site}::/56")));
        agent.advertise(&format!("2001:db8:{link}::/64"));
        agent.run_for(10 * SECOND);
        let state = agent.state();
        for line in expected(link, site) {
            assert!(state.contains(&line), "{line} of {state:#?}");
        }
        // By the two-hour rule (RFC 4862 §5.5.3) the old address of the uplink stays longest.
        agent.run_for(3 * 3600 * SECOND);
        agent.advertise(&format!("2001:db8:{link}::/64"));
        agent.run_for(60 * SECOND);
        assert_eq!(agent.state(), expected(link, site));
    }
    assert_eq!(agent.refused, []);
}

/// Law 1: killed at any moment and started again it ends as it would have, and takes nothing away on
/// the way.
#[test]
fn a_restart_is_no_outage() {
    for pause in [0, 1, 300, 2000, 60_000] {
        let mut agent = Agent::settled();
        agent.steps.clear();
        agent.provider.renumber(net("2001:db8:b000::/56"));
        agent.advertise("2001:db8:a::/64");
        agent.run_for(Duration::from_millis(pause));
        agent.restart();
        agent.run_for(SECOND);
        agent.advertise("2001:db8:a::/64");
        agent.run_for(300 * SECOND);
        let state = agent.state();
        let (kept, current) = ("2001:db8:a::2/64 on 2".to_owned(), "::/0 via fe80::9%2".to_owned());
        assert!(state.contains(&kept) && state.contains(&current), "{pause}: {state:#?}");
        let uplink =
            |step: &&Step| matches!(step, Step::Remove(object) if object.interface() == Some(EM0));
        assert_eq!(agent.steps.iter().find(uplink), None, "{pause}");
        assert!(state.contains(&"fd00::101/120 on 3".to_owned()));
    }
}

/// An address of ours that another node holds is left, and another one is not tried for ever.
#[test]
fn a_duplicate_is_left_alone() {
    let mut agent = Agent::new();
    agent.machine.fake.borrow_mut().held.insert(ip("2001:db8:a000:ff::1"));
    agent.run_for(SECOND);
    agent.advertise("2001:db8:a::/64");
    agent.run_for(60 * SECOND);
    assert!(
        !agent.state().contains(&"2001:db8:a000:ff::1/64 on 3".to_owned()),
        "{:?}",
        agent.state()
    );
    agent.steps.clear();
    agent.run_for(600 * SECOND);
    let of_link = |step: &&Step| step.object().interface() == Some(EM1);
    assert_eq!(agent.steps.iter().find(of_link), None);
}

/// The uplink flaps, is destroyed and comes back, as ppp's tun0 does: all is as it was.
#[test]
fn an_uplink_that_flaps_or_returns_is_served_again() {
    let mut agent = Agent::settled();
    for _ in 0..3 {
        agent.machine.fake.borrow_mut().set_up(EM0, false);
        agent.run_for(2 * SECOND);
        agent.machine.fake.borrow_mut().set_up(EM0, true);
        agent.run_for(3 * SECOND);
    }
    agent.advertise("2001:db8:a::/64");
    agent.run_for(30 * SECOND);
    assert_eq!(agent.state(), expected("a", "a000"));

    agent.machine.fake.borrow_mut().destroy(EM0);
    agent.run_for(2 * SECOND);
    agent.machine.fake.borrow_mut().attach(EM0, "em0");
    agent.run_for(5 * SECOND);
    agent.advertise("2001:db8:a::/64");
    agent.run_for(60 * SECOND);
    assert_eq!(agent.state(), expected("a", "a000"));
}

/// What is lost on the way to the agent is made up for, and what somebody has taken away comes back.
#[test]
fn what_was_lost_is_mended() {
    let mut agent = Agent::settled();
    {
        let mut fake = agent.machine.fake.borrow_mut();
        fake.remove(EM1, ip("2001:db8:a000:ff::1")).unwrap();
        fake.paths.clear();
        fake.queue.clear();
    }
    agent.run_for(61 * SECOND);
    agent.run_for(SECOND);
    assert_eq!(agent.state(), expected("a", "a000"));
    // `ndp -P` takes the routes to all links, also that of the static address, which is not ours.
    let foreign = agent.machine.has(EM1, STATIC);
    agent.machine.fake.borrow_mut().flush_prefixes();
    agent.run_for(62 * SECOND);
    let mended: Vec<String> =
        expected("a", "a000").into_iter().filter(|line| line != "fd00::100/120 on 3").collect();
    assert_eq!(agent.state(), mended);
    assert_eq!(agent.machine.has(EM1, STATIC), foreign);
}

/// What the kernel ends by a wall clock that jumps is there again at once.
#[test]
fn a_clock_that_jumps_is_no_outage() {
    let mut agent = Agent::settled();
    for (forward, span) in [(true, 86_400), (false, 2 * 86_400), (true, 86_400)] {
        agent.machine.fake.borrow_mut().set_wall_clock(forward, Duration::from_secs(span));
        agent.run_for(61 * SECOND);
        assert_eq!(agent.state(), expected("a", "a000"));
    }
    agent.give(Input::Command(Command::Stop));
}

/// The figures of a change on the article's outbound router: the new prefix of the link and the new
/// delegated one, until both are in the kernel.
#[test]
fn a_change_takes_few_calls() {
    let mut agent = Agent::settled();
    agent.machine.counts();
    agent.provider.renumber(net("2001:db8:b000::/56"));
    agent.advertise("2001:db8:b::/64");
    agent.run_for(SECOND / 4);
    let state = agent.state();
    for line in ["2001:db8:b::2/64 on 2", "2001:db8:b000:ff::1/64 on 3"] {
        assert!(state.contains(&line.to_owned()), "{line} of {state:#?}");
    }
    let counts = agent.machine.counts();
    println!("a change of the outbound router: {counts:?}");
    assert!(counts.ioctls + counts.writes + counts.sysctls <= 60, "{counts:?}");
    let _ = IfIndex(0);
}
