//! An agent on the backend, as the daemon would have it: the article's outbound router.

use std::time::Duration;

use renumberd::config::{self, Config};
use renumberd::core::Core;
use renumberd::core::input::{Command, Input, Received};
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::memory::{Memory, Record};
use renumberd::core::output::{Executor, Object, Output, Setting, Step};
use renumberd::platform::freebsd::CAPABILITIES;
use renumberd::platform::freebsd::abi;
use renumberd::sim::provider::{Provider, advertisement, prefix_option};
use renumberd::time::Instant;
use renumberd::wire::dhcpv6::Message;
use renumberd::wire::dhcpv6_option::Duid;

use super::fake::{EM0, EM1};
use super::machine::{Machine, ip, net};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const ROUTER: &str = "fe80::9";
pub(super) const STATIC: &str = "fd00::101";
/// em0 is the uplink, em1 leads to the backbone router.
pub(super) const OUTBOUND: &str = "
    [uplink.em0]
    address = \"::2\"
    [downlink.em1]
    subnet = \"-1/64\"
    address = \"::1\"
";

/// An agent, its machine, and its provider.
pub(super) struct Agent {
    config: &'static str,
    pub(super) machine: Machine,
    core: Core,
    pub(super) memory: Memory,
    pub(super) provider: Provider,
    /// What the provider has answered and is on its way.
    answers: Vec<(Instant, Message)>,
    read_at: Option<Instant>,
    pub(super) refused: Vec<Step>,
    pub(super) steps: Vec<Step>,
    starts: u8,
    pub(super) has_exited: bool,
}

fn parsed(config: &str) -> Config {
    config::file::parse("", config).unwrap()
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
    pub(super) fn new() -> Self {
        Self::with(OUTBOUND)
    }

    /// The same with another configuration.
    pub(super) fn with(config: &'static str) -> Self {
        let machine = Machine::new();
        {
            let mut fake = machine.fake.borrow_mut();
            fake.set(EM1, ip(STATIC), 120, 0, (u32::MAX, u32::MAX)).unwrap();
            fake.interfaces.get_mut(&EM0).unwrap().nd_flags |= abi::ACCEPT_ADVERTISEMENTS;
            fake.advance(2 * SECOND);
        }
        let (memory, now) = (Memory::default(), machine.now());
        let core = start(config, memory.clone(), 1, now);
        let provider = Provider::new(net("2001:db8:a000::/56"));
        let mut agent = Self {
            config,
            machine,
            core,
            memory,
            provider,
            answers: Vec::new(),
            read_at: None,
            refused: Vec::new(),
            steps: Vec::new(),
            starts: 1,
            has_exited: false,
        };
        agent.dump();
        agent
    }

    pub(super) fn dump(&mut self) {
        self.read_at = None;
        self.machine.dump();
        let system = self.machine.system.clone();
        self.give(Input::System(system));
    }

    /// It is killed and started again.
    pub(super) fn restart(&mut self) {
        self.starts += 1;
        self.machine.restart();
        self.answers.clear();
        self.core = start(self.config, self.memory.clone(), self.starts, self.machine.now());
        self.dump();
    }

    pub(super) fn give(&mut self, input: Input) {
        let now = self.machine.now();
        if self.has_exited {
            return;
        }
        self.core.handle(now, input);
        let mut outputs = 0;
        while let Some(output) = self.core.poll_output() {
            outputs += 1;
            assert!(outputs < 1000, "no end of outputs: {output:?}");
            self.perform(now, output);
        }
    }

    fn perform(&mut self, now: Instant, output: Output) {
        if self.is_killed() {
            return;
        }
        match output {
            Output::Exit => self.has_exited = true,
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

    pub(super) fn apply(&mut self, now: Instant, steps: &[Step]) {
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

    /// The process is killed when it has taken so many further requests that change something.
    pub(super) fn kill_after(&mut self, requests: usize) {
        self.machine.fake.borrow_mut().requests_left = Some(requests);
    }

    pub(super) fn is_killed(&self) -> bool {
        self.machine.fake.borrow().requests_left == Some(0)
    }

    pub(super) fn reload(&mut self, config: &'static str) {
        self.config = config;
        self.give(Input::Command(Command::Reload(Box::new(parsed(config)))));
    }

    /// The router of the provider advertises a prefix.
    pub(super) fn advertise(&mut self, prefix: &str) {
        let options = vec![prefix_option(net(prefix), 7200, 3600)];
        let octets = advertisement(options).encode();
        self.give(Input::Icmpv6(received(octets, 0, "ff02::1")));
    }

    pub(super) fn take_events(&mut self) {
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
    pub(super) fn run_for(&mut self, span: Duration) {
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
    pub(super) fn settled() -> Self {
        let mut agent = Self::new();
        agent.run_for(SECOND);
        agent.advertise("2001:db8:a::/64");
        agent.run_for(60 * SECOND);
        agent
    }

    /// The named conditions: name, what it is about, remedy.
    pub(super) fn conditions(&self) -> Vec<(String, String, String)> {
        let status = self.core.status(self.machine.now());
        let named = status.conditions.into_iter();
        named.map(|condition| (condition.name, condition.subject, condition.remedy)).collect()
    }

    /// Addresses beside the link-local ones, and paths.
    pub(super) fn state(&self) -> Vec<String> {
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
}

fn start(config: &str, memory: Memory, seed: u8, now: Instant) -> Core {
    let duid = Duid::from_uuid([0x52; 16]);
    Core::new(parsed(config), memory, duid, CAPABILITIES, [seed; 32], now)
}
