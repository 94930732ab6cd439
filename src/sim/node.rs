//! One agent on its machine: a core, the fake kernel below it, and the memory that survives it.
//!
//! A node does what `daemon` does: it performs outputs in their order, hands refusals and former
//! values of settings back, and reads the kernel's state anew where a refusal leaves it open what
//! that is. What leaves the machine it hands on, and does not send.

use std::time::Duration;

use super::kernel::{CAPABILITIES, Kernel};
use crate::config::Config;
use crate::core::Core;
use crate::core::event::Event;
use crate::core::input::{Input, Received};
use crate::core::kernel::object::Refusal;
use crate::core::kernel::system::KernelEvent;
use crate::core::memory::{Memory, Record};
use crate::core::output::{Hearing, Object, Output, Setting, Step};
use crate::core::rejection;
use crate::net::IfIndex;
use crate::time::{Deadline, Instant};
use crate::wire::dhcpv6_option::Duid;

/// How long after a refusal has left it in doubt the kernel's state is read anew.
pub const READ_DELAY: Duration = Duration::from_millis(50);

/// How long after a change the kernel's event reaches the agent.
pub const EVENT_DELAY: Duration = Duration::from_micros(50);

/// The most outputs of one input, unless [`Node::most_allowed`] is set to another bound.
const MOST_OUTPUTS: usize = 10_000;

/// The most steps in one batch.
const MOST_STEPS: usize = 1024;

/// A deadline that has been acted on this often at one instant is one that stays: a busy loop.
const ROUNDS: usize = 12;

/// The metric of routes to what is delegated on.
const DELEGATED_METRIC: u32 = 248;

const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const ECHO_REPLY: u8 = 129;

/// An agent on its machine.
#[derive(Debug)]
pub struct Node {
    /// The agent.
    pub core: Core,
    /// The configuration that it starts with the next time.
    pub config: Config,
    /// What it remembers.
    pub memory: Memory,
    /// The kernel of its machine.
    pub kernel: Kernel,
    /// The ICMPv6 messages that its socket passes.
    pub hearing: Hearing,
    /// Events of the kernel are held back.
    pub holds_events: bool,
    /// Records that the disk has not taken, while it takes none.
    pub unwritten: Option<Vec<Record>>,
    /// The agent is killed after this number of further outputs.
    pub kill_after: Option<usize>,
    /// Steps that the kernel has refused.
    pub refused: Vec<(Step, Refusal)>,
    /// Outputs since this was set to zero.
    pub outputs: usize,
    /// How often it has acted on a deadline of its own since this was set to zero.
    pub wakeups: usize,
    /// The most outputs that one input has made.
    pub most_outputs: usize,
    /// How many outputs one input may make.
    pub most_allowed: usize,
    duid: Duid,
    /// The seed of the next start is made of it.
    starts: u8,
    /// The process runs.
    is_running: bool,
    /// Outputs of the last input.
    count: usize,
    /// When the agent is given the events of the kernel.
    announce_at: Option<Instant>,
    /// When the agent reads the kernel's state anew.
    pub read_at: Option<Instant>,
    /// The agent's deadline as it was when this machine was last asked when it wakes.
    awaited: Option<Deadline>,
    /// How often it has acted on deadlines at one instant.
    rounds: (Instant, usize),
}

impl Node {
    /// An agent that starts now, with what it remembers, on a machine with this kernel. It does
    /// nothing before it is given [`Node::read_kernel`].
    pub fn new(config: Config, memory: Memory, duid: Duid, kernel: Kernel, now: Instant) -> Self {
        let seed = 7;
        let core =
            Core::new(config.clone(), memory.clone(), duid.clone(), CAPABILITIES, [seed; 32], now);
        Self {
            core,
            config,
            memory,
            kernel,
            hearing: Hearing::default(),
            holds_events: false,
            unwritten: None,
            kill_after: None,
            refused: Vec::new(),
            outputs: 0,
            wakeups: 0,
            awaited: None,
            most_outputs: 0,
            most_allowed: MOST_OUTPUTS,
            duid,
            starts: seed,
            is_running: true,
            count: 0,
            announce_at: None,
            read_at: None,
            rounds: (now, 0),
        }
    }

    /// Gives the agent an input. What follows comes out of [`Node::perform`].
    pub fn handle(&mut self, now: Instant, input: Input) {
        if !matches!(input, Input::Timeout | Input::Kernel(_)) {
            self.rounds = (now, 0);
        }
        self.count = 0;
        self.answer(now, input);
    }

    /// Gives the agent an input that answers one of its outputs.
    pub fn answer(&mut self, now: Instant, input: Input) {
        if self.is_running {
            self.core.handle(now, input);
        }
    }

    /// Whether a packet reaches the agent: its sockets are members of the group or on the machine
    /// that has the address, and pass messages of this kind.
    pub fn hears(&self, packet: &Received) -> bool {
        let is_open = match packet.octets.first() {
            Some(&NEIGHBOR_ADVERTISEMENT) if packet.port == 0 => {
                self.hearing.neighbor_advertisements
            }
            Some(&ECHO_REPLY) if packet.port == 0 => self.hearing.echo_replies,
            Some(_) | None => true,
        };
        let links = &self.kernel.system().links;
        let has_link = links.get(&packet.interface).is_some_and(|link| link.running);
        is_open && has_link && self.kernel.accepts(packet.interface, packet.destination)
    }

    /// Performs the next output as far as that is done on this machine, and hands it on for the
    /// rest: packets, and questions about neighbors. Of steps it hands on those that were taken.
    /// None when there is nothing left to do; [`Output::Exit`] when the process has ended, also
    /// where it was killed.
    ///
    /// # Panics
    ///
    /// Where one input makes more outputs than are allowed.
    pub fn perform(&mut self, now: Instant) -> Option<Output> {
        if !self.is_running {
            return None;
        }
        let output = self.core.poll_output()?;
        self.count += 1;
        self.most_outputs = self.most_outputs.max(self.count);
        assert!(self.count < self.most_allowed, "no end of outputs: {output:?}");
        if let Some(left) = self.kill_after {
            self.kill_after = left.checked_sub(1);
            if left == 0 {
                self.end();
                return Some(Output::Exit);
            }
        }
        self.outputs += 1;
        Some(match output {
            Output::Remember(record) => {
                self.remember(record.clone());
                Output::Remember(record)
            }
            Output::Apply(steps) => Output::Apply(self.apply(now, steps)),
            Output::Milestone(milestone) => {
                self.core.handle(now, Input::Milestone(milestone));
                Output::Milestone(milestone)
            }
            Output::Hear(hearing) => {
                self.hearing = hearing;
                Output::Hear(hearing)
            }
            Output::Exit => {
                self.end();
                Output::Exit
            }
            Output::Event(event) => {
                if let Event::PacketRejected { packet, .. } = &event {
                    let is_explained = rejection::meaning(packet.kind, packet.reason).is_some();
                    assert!(is_explained, "{packet} without its meaning");
                }
                Output::Event(event)
            }
            other @ (Output::SendIcmpv6(_)
            | Output::SendDhcpv6(_)
            | Output::SendServer(_)
            | Output::ListNeighbors(_)
            | Output::ExpectNeighbors { .. }
            | Output::RunEngines(_)
            | Output::Engine(_)
            | Output::Publish(_)
            | Output::RunScript(_)) => other,
        })
    }

    fn remember(&mut self, record: Record) {
        match &mut self.unwritten {
            Some(unwritten) => unwritten.push(record),
            None => self.memory.fold(record),
        }
    }

    /// Has the disk take records again, those first that it did not take.
    pub fn write_again(&mut self) {
        let unwritten = self.unwritten.take().unwrap_or_default();
        unwritten.into_iter().for_each(|record| self.memory.fold(record));
    }

    /// Hands steps to the kernel; those that it took. A refusal is an input when all are done.
    fn apply(&mut self, now: Instant, steps: Vec<Step>) -> Vec<Step> {
        assert!(steps.len() <= MOST_STEPS, "a batch of {} steps", steps.len());
        let mut refused = Vec::new();
        let mut taken = Vec::with_capacity(steps.len());
        for step in steps {
            if let Step::Set(Object::Setting(setting)) = &step {
                self.note_former_value(now, setting);
            }
            match self.kernel.take(now, &step) {
                Ok(()) => taken.push(step),
                Err(refusal) => refused.push((step, refusal)),
            }
        }
        for (step, refusal) in refused {
            if step.is_doubtful(refusal) {
                let at = now + READ_DELAY;
                self.read_at = Some(self.read_at.map_or(at, |before| before.min(at)));
            }
            self.core.handle(now, Input::StepFailed { step: step.clone(), refusal });
            self.refused.push((step, refusal));
        }
        taken
    }

    /// Remembers the value that a setting has before it is changed.
    fn note_former_value(&mut self, now: Instant, setting: &Setting) {
        let Setting { interface, name, value, .. } = setting;
        let Some(before) = self.kernel.sysctl(interface, name.file()) else { return };
        if before != *value {
            let (interface, name) = (interface.clone(), *name);
            let (of, file) = (interface.clone(), name.file().to_owned());
            self.remember(Record::Sysctl { interface: of, name: file, before: Some(before) });
            self.core.handle(now, Input::SysctlWas { interface, name, before });
        }
    }

    /// The process ends, and its sockets are closed.
    fn end(&mut self) {
        self.is_running = false;
        self.kill_after = None;
        self.kernel.close_sockets();
        self.hearing = Hearing::default();
        self.read_at = None;
    }

    /// Starts the agent again, whether it has ended or is killed now: what is in the kernel and in
    /// the memory stays. It does nothing before it is given [`Node::read_kernel`]. True where
    /// records were lost that the disk had not taken.
    pub fn restart(&mut self, now: Instant) -> bool {
        self.end();
        self.is_running = true;
        self.starts = self.starts.wrapping_add(1);
        let (config, memory, duid) = (self.config.clone(), self.memory.clone(), self.duid.clone());
        self.core = Core::new(config, memory, duid, CAPABILITIES, [self.starts; 32], now);
        self.unwritten.as_mut().is_some_and(|records| !std::mem::take(records).is_empty())
    }

    /// The kernel's state as a whole, for the agent to read. Events of it are lost.
    pub fn read_kernel(&mut self) -> Input {
        self.read_at = None;
        self.announce_at = None;
        self.kernel.events.clear();
        self.holds_events = false;
        Input::System(self.kernel.system().clone())
    }

    /// The events of the kernel that the agent has not been given, unless they are held back.
    pub fn take_events(&mut self) -> Option<Input> {
        if self.holds_events || self.kernel.events.is_empty() {
            return None;
        }
        self.announce_at = None;
        Some(Input::Kernel(std::mem::take(&mut self.kernel.events)))
    }

    /// Whether the kernel's state has to be read anew by `now`.
    pub fn reads_kernel(&self, now: Instant) -> bool {
        self.read_at.is_some_and(|at| at <= now)
    }

    /// Whether an interface has come back with its old number. When the agent reads the kernel's
    /// state, it cannot distinguish that from one that has stayed: it has to be given the events
    /// before.
    pub fn has_returned_link(&self) -> bool {
        let links = &self.kernel.system().links;
        let is_back = |event: &KernelEvent| match event {
            KernelEvent::LinkGone(index) => links.contains_key(index),
            KernelEvent::Link(_)
            | KernelEvent::Address(_)
            | KernelEvent::AddressGone { .. }
            | KernelEvent::Route(_)
            | KernelEvent::RouteGone(_)
            | KernelEvent::Unreachable { .. }
            | KernelEvent::Forwarding(_) => false,
        };
        self.kernel.events.iter().any(is_back)
    }

    /// When something happens on this machine by itself: a deadline of the agent or of the kernel.
    pub fn wakes_at(&mut self, now: Instant) -> Option<Instant> {
        let kernel = self.kernel.wakes_at();
        self.awaited = None;
        if !self.is_running {
            return kernel;
        }
        if !self.kernel.events.is_empty() && !self.holds_events && self.announce_at.is_none() {
            self.announce_at = Some(now + EVENT_DELAY);
        }
        let announce_at = self.announce_at.filter(|_| !self.holds_events);
        self.awaited = self.core.deadline(now);
        let deadline = self.awaited.as_ref().map(|deadline| deadline.at);
        [deadline, kernel, announce_at, self.read_at].into_iter().flatten().min()
    }

    /// What time has brought by `now`, one input after another: what follows from each is to be
    /// performed before the next is asked for.
    ///
    /// # Panics
    ///
    /// Where a deadline of the agent stays although it was acted on, or passes by itself.
    pub fn wake(&mut self, now: Instant) -> Option<Input> {
        self.kernel.pass(now);
        if !self.is_running {
            return None;
        }
        if self.reads_kernel(now) {
            if self.has_returned_link() {
                self.holds_events = false;
                return self.take_events();
            }
            return Some(self.read_kernel());
        }
        if self.announce_at.is_some_and(|at| at <= now) {
            self.announce_at = None;
            if let Some(events) = self.take_events() {
                return Some(events);
            }
        }
        let awaited = self.awaited.take().filter(|deadline| deadline.at <= now);
        let deadline = self.core.deadline(now).filter(|deadline| deadline.at <= now);
        assert!(awaited.is_none() || deadline.is_some(), "nobody acts on {awaited:?}");
        let deadline = deadline?;
        let rounds = if self.rounds.0 == now { self.rounds.1 + 1 } else { 1 };
        assert!(rounds < ROUNDS, "busy loop: {deadline:?} at {now:?}");
        self.rounds = (now, rounds);
        self.wakeups += 1;
        Some(Input::Timeout)
    }

    /// A link of this machine by its name.
    pub fn index(&self, name: &str) -> Option<IfIndex> {
        self.kernel.system().link(name).map(|link| link.index)
    }

    /// The destinations of routes to what is delegated on, in text.
    pub fn delegated(&self) -> Vec<String> {
        let routes = self.kernel.system().routes.values();
        let routes = routes.filter(|route| route.metric == DELEGATED_METRIC);
        routes.map(|route| route.destination.to_string()).collect()
    }

    /// Addresses and routes of the agent in the kernel, in text, without lifetimes.
    pub fn state(&self) -> Vec<String> {
        let system = self.kernel.system();
        let addresses = system.addresses.values().filter(|address| address.ours);
        let addresses = addresses.map(|one| format!("{}%{}", one.address, one.interface.0));
        let routes = system.routes.values();
        let routes =
            routes.map(|one| format!("{} {:?} {}", one.destination, one.target, one.metric));
        addresses.chain(routes).collect()
    }
}
