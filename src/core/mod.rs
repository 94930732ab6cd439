//! The core: protocol and policy as state machines, without sockets, clocks or global state.
//!
//! Four verbs are the whole contract with the world: [`Core::new`], [`Core::handle`],
//! [`Core::poll_output`], [`Core::deadline`]. A core is run in a loop:
//!
//! ```no_run
//! use renumberd::core::{Core, input::Input, output::Output};
//! use renumberd::time::Instant;
//!
//! fn run(mut core: Core, now: impl Fn() -> Instant, wait: impl Fn(Option<Instant>) -> Option<Input>) {
//!     loop {
//!         // All are performed, in their order, before anything else is taken in.
//!         while let Some(output) = core.poll_output() {
//!             match output {
//!                 Output::Exit => return,
//!                 other => println!("{other:?}"),
//!             }
//!         }
//!         let deadline = core.deadline(now()).map(|deadline| deadline.at);
//!         let input = wait(deadline).unwrap_or(Input::Timeout);
//!         core.handle(now(), input);
//!     }
//! }
//! ```
//!
//! A change travels one way:
//!
//! | stage | value | room |
//! | --- | --- | --- |
//! | hear | routers on the uplink, each with what it advertises | `uplink::hear` |
//! | change | which of that starts a refresh of the lease, and when | `uplink::change` |
//! | lease | delegated prefixes with lifetimes | `uplink::lease` |
//! | plan | who gets which part | `plan` |
//! | delegate | what subordinate routers hold and are to be given | `delegate` |
//! | desired | addresses, routes, contents of advertisements as they should be | `desired` |
//! | kernel | the steps from what the kernel has to what it should have | `kernel` |
//! | advertise | what is advertised on the links, and when | `downlink::advertise` |
//!
//! `agent` ties these together. Apart from that stands `relay`: what passes between requesting
//! routers and servers elsewhere.

mod agent;
pub mod capabilities;
pub mod client;
pub mod delegate;
pub mod desired;
pub mod downlink;
pub mod engine;
pub mod event;
pub mod history;
pub mod input;
pub mod kernel;
mod lasting;
pub mod memory;
pub mod output;
pub mod plan;
pub mod random;
pub mod rejection;
pub mod relay;
pub mod rkap;
pub mod safety;
pub mod stage;
mod statics;
pub mod status;
pub mod uplink;

use std::collections::{BTreeMap, VecDeque};

use self::agent::conditions::Conditions;
use self::agent::counters::Counters;
use self::agent::pass::Pass;
use self::agent::postponed::Postponed;
use self::agent::settle::DefaultRoute;
use self::agent::takeover::Takeovers;
use self::agent::unaddressed::Unaddressed;
use self::capabilities::Capabilities;
use self::client::Publications;
use self::delegate::Delegating;
use self::downlink::Downlink;
use self::engine::Engines;
use self::event::Event;
use self::history::History;
use self::input::{Command, Input};
use self::kernel::Reconciler;
use self::memory::Memory;
use self::output::{Hearing, Output};
use self::random::Random;
use self::relay::{Leases, Relays};
use self::stage::Prefixes;
use self::statics::Statics;
use self::uplink::Uplink;
use crate::config::Config;
use crate::time::{Deadline, Instant};
use crate::wire::dhcpv6_option::Duid;

/// One agent's protocol and policy. A clone can be used to see what the agent would do.
#[derive(Clone, Debug)]
pub struct Core {
    config: Config,
    capabilities: Capabilities,
    duid: Duid,
    secret: [u8; 32],
    memory: Memory,
    random: Random,
    kernel: Reconciler,
    uplinks: BTreeMap<String, Uplink>,
    downlinks: BTreeMap<String, Downlink>,
    statics: Statics,
    engines: Engines,
    publications: Publications,
    delegating: Delegating,
    takeovers: Takeovers,
    /// The messages that the raw socket passes.
    hearing: Hearing,
    /// Messages whose answers wait for our own lease.
    postponed: Postponed,
    relays: Relays,
    conditions: Conditions,
    unaddressed: Unaddressed,
    /// Why the memory cannot be written; none while it can.
    unwritten: Option<String>,
    /// The conditions have to be derived anew.
    review: bool,
    counters: Counters,
    /// Events for debugging are reported too.
    reports_debug: bool,
    history: History,
    /// The prefixes in use when the last change of each uplink was reported.
    reported: BTreeMap<String, Prefixes>,
    /// A change whose advertisements are still to be sent.
    unadvertised: Option<u64>,
    default_route: DefaultRoute,
    pass: Pass,
    /// The kernel's state is known.
    ready: bool,
    /// The time of the last input whose consequences are still to be derived.
    unsettled: Option<Instant>,
    outputs: VecDeque<Output>,
    /// Events, which are handed out after all other outputs.
    events: VecDeque<Event>,
}

impl Core {
    /// An agent with `config` that remembers `memory`; `duid` is this machine's, `capabilities`
    /// are its kernel's, `seed` is secret.
    pub fn new(
        config: Config,
        mut memory: Memory,
        duid: Duid,
        capabilities: Capabilities,
        seed: [u8; 32],
        now: Instant,
    ) -> Self {
        let mut random = Random::new(seed);
        let (duid, secret, new) = memory.identify(config.duid.as_ref(), duid, &mut random);
        let bindings = std::mem::take(&mut memory.bindings);
        let delegating = Delegating::new(duid.clone(), &bindings, memory.replay, random.fork());
        let relays = Relays::new(Leases::restore(now, std::mem::take(&mut memory.relayed)));
        let mut core = Self {
            config: Config::default(),
            capabilities,
            duid,
            secret,
            memory,
            random,
            kernel: Reconciler::default(),
            uplinks: BTreeMap::new(),
            downlinks: BTreeMap::new(),
            statics: Statics::default(),
            engines: Engines::default(),
            publications: Publications::default(),
            delegating,
            takeovers: Takeovers::default(),
            hearing: Hearing::default(),
            postponed: Postponed::default(),
            relays,
            conditions: Conditions::default(),
            unaddressed: Unaddressed::default(),
            unwritten: None,
            review: false,
            counters: Counters::default(),
            reports_debug: true,
            history: History::default(),
            reported: BTreeMap::new(),
            unadvertised: None,
            default_route: DefaultRoute::Absent,
            pass: Pass::default(),
            ready: false,
            unsettled: None,
            outputs: new.into_iter().map(Output::Remember).collect(),
            events: VecDeque::new(),
        };
        core.configure(now, config);
        core
    }

    /// Handles an input. Never fails; the consequences come out of
    /// [`poll_output`](Self::poll_output).
    pub fn handle(&mut self, now: Instant, input: Input) {
        if matches!(input, Input::Icmpv6(_) | Input::Server(_)) {
            self.takeovers.note_packet();
        }
        match input {
            Input::Timeout => self.handle_timeouts(now),
            Input::Icmpv6(received) => self.receive_icmpv6(now, &received),
            Input::LocalAdvertisement(received) => self.advertisement_of_program(now, &received),
            Input::Dhcpv6(received) => self.receive_dhcpv6(now, &received),
            Input::Server(received) => self.receive_server(now, &received),
            Input::System(system) => self.take_system(now, system),
            Input::Kernel(events) => {
                if !self.take_events(now, events) {
                    return;
                }
            }
            Input::Neighbors { interface, neighbors } => {
                self.receive_neighbors(now, interface, neighbors);
            }
            Input::StepFailed { step, refusal } => self.step_failed(now, step, refusal),
            Input::SysctlWas { interface, name, before } => {
                return self.memory.fold_setting(interface, name, before);
            }
            Input::NotSent { interface, destination, is_dropped: false } => {
                return self.takeovers.handle_not_sent(interface, destination);
            }
            Input::NotSent { interface, destination, is_dropped: true } => {
                self.handle_dropped(now, interface, destination);
            }
            Input::Engine(report) => self.take_report(now, report),
            Input::Published(report) => self.take_publication_report(report),
            Input::Leases(leases) => self.take_leases(now, &leases),
            Input::Unwritten(trouble) => {
                self.unwritten = trouble;
                self.review = true;
            }
            Input::Resumed => self.resume(now),
            Input::Milestone(milestone) => return self.reach(now, milestone),
            Input::Command(Command::Stop) => return self.stop(now),
            Input::Command(command) => self.command(now, command),
        }
        if self.outputs.is_empty() {
            self.pass.note_left(now);
        }
        self.unsettled = Some(now);
    }

    /// The next output; all are to be performed before the loop waits.
    ///
    /// Messages and their answers come first. The desired state is derived when they have left: it
    /// is most of the work, and neighbors wait for them. Events come last, as nothing waits for
    /// them.
    pub fn poll_output(&mut self) -> Option<Output> {
        if self.outputs.is_empty()
            && let Some(now) = self.unsettled.take()
        {
            self.settle(now);
        }
        if matches!(self.outputs.front(), None | Some(Output::Exit))
            && let Some(event) = self.events.pop_front()
        {
            return Some(Output::Event(event));
        }
        self.outputs.pop_front()
    }

    /// When to call [`handle`](Self::handle) with [`Input::Timeout`], at the latest.
    pub fn deadline(&self, now: Instant) -> Option<Deadline> {
        if !self.ready {
            return None;
        }
        if let Some(until) = self.answers_first() {
            let until = until.unwrap_or(now);
            return Some(Deadline::new(until, "Renew messages of those who were notified"));
        }
        self.first_deadline(now)
    }
}
