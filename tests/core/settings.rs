//! Settings and memberships of interfaces that the configuration names no more: they are given
//! back, however often that is refused.

use std::collections::{BTreeMap, BTreeSet};

use renumberd::config::file;
use renumberd::core::Core;
use renumberd::core::kernel::object::Refusal;
use renumberd::core::kernel::system::{Link, System};
use renumberd::core::memory::{Memory, Record};
use renumberd::core::output::{Group, Output, Setting};
use renumberd::net::IfIndex;
use renumberd::platform::CAPABILITIES;

use super::world::own_duid;
use super::*;

const UP: IfIndex = IfIndex(2);
const LAN: IfIndex = IfIndex(3);
const BOTH: &str = "[uplink.up]\n[downlink.lan]\n";
const NEITHER: &str = "[downlink.other]\n";

/// An agent on a machine with two links; `accept_ra` is 1 where nobody has set it.
struct Machine {
    core: Core,
    memory: Memory,
    now: Instant,
    system: System,
    settings: BTreeMap<String, i32>,
    groups: BTreeSet<(Group, IfIndex)>,
    refuses: bool,
}

fn core(text: &str, memory: &Memory, now: Instant) -> Core {
    let config = file::parse("test.toml", text).unwrap();
    Core::new(config, memory.clone(), own_duid(), CAPABILITIES, [7; 32], now)
}

impl Machine {
    fn new() -> Self {
        let now = Instant::from_secs(1000);
        let mut system = System { forwarding: true, ..System::default() };
        for (index, name) in [(UP, "up"), (LAN, "lan")] {
            system.handle(KernelEvent::Link(Link {
                index,
                name: name.to_owned(),
                running: true,
                multicast: true,
                point_to_point: false,
                link_layer_address: None,
                mtu: 1500,
            }));
            let own = format!("fe80::{}", index.0);
            system.handle(KernelEvent::Address(address(index, &own, false)));
        }
        let memory = Memory::default();
        let mut machine = Self {
            core: core(BOTH, &memory, now),
            memory,
            now,
            system,
            settings: BTreeMap::new(),
            groups: BTreeSet::new(),
            refuses: false,
        };
        machine.tell(Input::System(machine.system.clone()));
        machine
    }

    fn tell(&mut self, input: Input) {
        self.core.handle(self.now, input);
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Apply(steps) => steps.into_iter().for_each(|step| self.take(step)),
                Output::Remember(record) => self.memory.fold(record),
                _ => {}
            }
        }
    }

    fn take(&mut self, step: Step) {
        if let Step::Set(Object::Setting(Setting { interface, name, value, .. })) = &step {
            let before = self.accept_ra(interface);
            if before != *value {
                let (interface, name) = (interface.clone(), *name);
                let (of, file) = (interface.clone(), name.file().to_owned());
                self.memory.fold(Record::Sysctl {
                    interface: of,
                    name: file,
                    before: Some(before),
                });
                self.core.handle(self.now, Input::SysctlWas { interface, name, before });
            }
        }
        if self.refuses {
            return self
                .core
                .handle(self.now, Input::StepFailed { step, refusal: Refusal::NotPermitted });
        }
        match step {
            Step::Set(Object::Setting(Setting { interface, value, .. })) => {
                self.settings.insert(interface, value);
            }
            Step::Set(Object::Membership(group, interface)) => {
                self.groups.insert((group, interface));
            }
            Step::Remove(Object::Membership(group, interface)) => {
                self.groups.remove(&(group, interface));
            }
            _ => {}
        }
    }

    fn accept_ra(&self, interface: &str) -> i32 {
        self.settings.get(interface).copied().unwrap_or(1)
    }

    fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        let mut wakes = 0;
        loop {
            self.tell(Input::Timeout);
            let next = self.core.deadline(self.now).filter(|next| next.at <= end);
            let Some(next) = next else { break };
            wakes += 1;
            assert!(wakes < 500, "busy: {}", next.reason);
            self.now = next.at.max(self.now);
        }
        self.now = end;
    }

    fn reload(&mut self, text: &str) {
        let config = file::parse("test.toml", text).unwrap();
        self.tell(Input::Command(Command::Reload(Box::new(config))));
        self.run_for(Duration::from_secs(1));
    }
}

#[test]
fn what_cannot_be_given_back_at_once_is_given_back_later() {
    let mut machine = Machine::new();
    machine.run_for(Duration::from_secs(1));
    assert_eq!((machine.accept_ra("up"), machine.groups.len()), (0, 1));
    machine.refuses = true;
    machine.reload(NEITHER);
    machine.run_for(Duration::from_secs(300));
    assert_eq!((machine.accept_ra("up"), machine.groups.len()), (0, 1));
    machine.refuses = false;
    machine.run_for(Duration::from_secs(90));
    assert_eq!((machine.accept_ra("up"), machine.groups.len()), (1, 0));
    assert!(machine.memory.sysctls.is_empty(), "{:?}", machine.memory.sysctls);
}

#[test]
fn what_was_given_back_once_is_given_back_again() {
    let mut machine = Machine::new();
    for round in 0..3 {
        machine.reload(NEITHER);
        assert_eq!(machine.accept_ra("up"), 1, "{round}");
        // Somebody else's business until it is an uplink again.
        machine.settings.insert("up".to_owned(), 2);
        machine.run_for(Duration::from_secs(600));
        assert_eq!(machine.accept_ra("up"), 2, "{round}");
        machine.settings.insert("up".to_owned(), 1);
        machine.reload(BOTH);
        assert_eq!(machine.accept_ra("up"), 0, "{round}");
    }
}

/// The configuration was changed while the agent did not run.
#[test]
fn what_an_earlier_run_has_set_is_given_back() {
    let mut machine = Machine::new();
    machine.run_for(Duration::from_secs(1));
    assert_eq!(machine.accept_ra("up"), 0);
    machine.core = core(NEITHER, &machine.memory, machine.now);
    machine.tell(Input::System(machine.system.clone()));
    machine.run_for(Duration::from_secs(1));
    assert_eq!(machine.accept_ra("up"), 1);
    assert!(machine.memory.sysctls.is_empty(), "{:?}", machine.memory.sysctls);
}
