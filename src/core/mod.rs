//! The core: protocol and policy as state machines, without sockets, clocks or global state.
//!
//! Four verbs are the whole contract with the world: [`Core::new`], [`Core::handle`],
//! [`Core::poll_output`], [`Core::deadline`]. An event travels one way:
//!
//! | stage | value | file |
//! | --- | --- | --- |
//! | hear | routers on the uplink, each with what it advertises | `hear` |
//! | change | which of that starts a refresh of the lease, and when | `change` |
//! | lease | delegated prefixes with lifetimes | `lease` |
//! | plan | who gets which part | `plan` |
//! | delegate | what subordinate routers hold and are due | `delegate`, `serve` |
//! | desired | addresses, routes, contents of advertisements as they should be | `desired` |
//! | diff | the steps from what the kernel has to what it should have | `diff` |
//! | advertise | what the links are told, and when | `advertise` |
//!
//! Apart from that stands `relay`: what passes between requesting routers and servers elsewhere.

mod agent;
pub mod capabilities;
pub mod delegate;
pub mod desired;
pub mod downlink;
pub mod event;
pub mod history;
pub mod input;
pub mod kernel;
mod lasting;
pub mod memory;
pub mod output;
pub mod plan;
pub mod random;
pub mod relay;
pub mod rkap;
mod statics;
pub mod status;
pub mod uplink;

use std::collections::{BTreeMap, VecDeque};

use self::capabilities::Capabilities;
use self::delegate::Delegating;
use self::downlink::Downlink;
use self::event::Event;
use self::history::{History, Prefixes};
use self::input::{Command, IfIndex, Input};
use self::kernel::Reconciler;
use self::memory::{Memory, Record};
use self::output::{Hearing, Output, Stage};
use self::random::Random;
use self::relay::{Leases, Relays};
use self::statics::Statics;
use self::uplink::{Effect, Uplink};
use crate::config::Config;
use crate::core::agent::conditions::Conditions;
use crate::core::agent::counters::Counters;
use crate::core::agent::postponed::Postponed;
use crate::core::agent::takeover::Takeovers;
use crate::core::uplink::change::Bucket;
use crate::time::{Deadline, Instant};
use crate::wire::dhcpv6_option::Duid;

/// One agent's protocol and policy.
#[derive(Debug)]
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
    delegating: Delegating,
    takeovers: Takeovers,
    /// What the raw socket passes.
    hearing: Hearing,
    /// Messages that wait for our own lease.
    postponed: Postponed,
    relays: Relays,
    conditions: Conditions,
    /// Which conditions hold has to be found out anew.
    review: bool,
    counters: Counters,
    /// Somebody reads what concerns only who looks for a fault.
    reports_debug: bool,
    history: History,
    /// What was in use when the last change of an uplink was told.
    told: BTreeMap<String, Prefixes>,
    /// A change whose advertisements are still to be sent.
    unadvertised: Option<u64>,
    default_route: DefaultRoute,
    /// The desired state has to be derived anew.
    derive: bool,
    /// It has to be by then, at the latest.
    derive_by: Option<Instant>,
    /// It has to be by then for what was heard and does not press.
    refresh_by: Option<Instant>,
    /// How often that may be for what was heard.
    derivations: Bucket,
    /// Before it is derived Reconfigure messages have left: when.
    notified_at: Option<Instant>,
    /// Steps that nobody waits for are left over from the last time.
    lags: bool,
    /// The kernel's state is known.
    ready: bool,
    /// What was taken in then has consequences that are still to be found out.
    unsettled: Option<Instant>,
    outputs: VecDeque<Output>,
    /// What has happened, which leaves behind all that has to be done.
    events: VecDeque<Event>,
}

/// Whether a default route leads to the provider, and since when none does (RA-TX-30).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum DefaultRoute {
    Absent,
    Present,
    LostAt(Instant),
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
        let mut outputs = VecDeque::new();
        let duid = config.duid.clone().or_else(|| memory.duid.clone()).unwrap_or(duid);
        if memory.duid.as_ref() != Some(&duid) {
            outputs.push_back(Output::Remember(Record::Duid { duid: duid.clone() }));
        }
        let secret = memory.secret.unwrap_or_else(|| {
            let secret = random.secret();
            outputs.push_back(Output::Remember(Record::Secret { secret }));
            secret
        });
        let delegating =
            Delegating::new(duid.clone(), &memory.bindings, memory.replay, random.fork());
        let relays = Relays::new(Leases::restore(now, std::mem::take(&mut memory.relayed)));
        // They are in there from here on.
        memory.bindings.clear();
        memory.duid = Some(duid.clone());
        memory.secret = Some(secret);
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
            delegating,
            takeovers: Takeovers::default(),
            hearing: Hearing::default(),
            postponed: Postponed::default(),
            relays,
            conditions: Conditions::default(),
            review: false,
            counters: Counters::default(),
            reports_debug: true,
            history: History::default(),
            told: BTreeMap::new(),
            unadvertised: None,
            default_route: DefaultRoute::Absent,
            derive: true,
            derive_by: None,
            refresh_by: None,
            derivations: agent::settle::DERIVATIONS,
            notified_at: None,
            lags: false,
            ready: false,
            unsettled: None,
            outputs,
            events: VecDeque::new(),
        };
        core.configure(now, config);
        core
    }

    /// Takes in what happened. Never fails; whatever follows from it comes out of
    /// [`poll_output`](Self::poll_output).
    pub fn handle(&mut self, now: Instant, input: Input) {
        if matches!(input, Input::Icmpv6(_) | Input::Server(_)) {
            self.takeovers.note_packet();
        }
        match input {
            Input::Timeout => self.handle_timeouts(now),
            Input::Icmpv6(received) => self.receive_icmpv6(now, &received),
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
                let name = name.file().to_owned();
                self.memory.fold(Record::Sysctl { interface, name, before: Some(before) });
                return;
            }
            Input::NotSent { interface, destination } => {
                self.takeovers.handle_not_sent(interface, destination);
                return;
            }
            Input::Milestone(milestone) => {
                self.reach(now, milestone);
                return;
            }
            Input::Command(Command::Stop) => {
                self.stop(now);
                return;
            }
            Input::Command(command) => self.command(now, command),
        }
        self.unsettled = Some(now);
    }

    /// What to do next; to be drained before waiting.
    ///
    /// Questions and answers come first. The desired state is derived when they have left: it is
    /// most of the work, and others wait for them. Nobody waits for events: they come last.
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
            return Some(Deadline::new(until, "Renew messages of those who were notified"));
        }
        let uplinks = self.uplinks.values().map(|uplink| uplink.deadline(self.config.grace));
        let held = self.words_held_until(now);
        let downlinks = self.downlinks.values().map(Downlink::deadline);
        let downlinks = downlinks.filter(|_| held.is_none());
        let held = held.map(|until| Deadline::new(until, "answer about a remembered lease"));
        let hold = match self.default_route {
            DefaultRoute::LostAt(at) => {
                Some(Deadline::new(at + self.config.uplink_loss_hold, "loss of the default route"))
            }
            DefaultRoute::Absent | DefaultRoute::Present => None,
        };
        let end = self.kernel.desired.next_end(now);
        let lag = self.derive_by.map(|at| Deadline::new(at, "what nobody waits for"));
        let refresh = self.refresh_by.map(|at| Deadline::new(at, "lifetimes that were heard"));
        let more = [
            lag,
            refresh,
            self.kernel.backlog.deadline(now),
            hold,
            held,
            end,
            self.kernel.refusals.deadline(),
            self.statics.deadline(self.config.grace),
            self.delegating.deadline(),
            self.takeovers.deadline(),
            self.postponed.deadline(),
            self.relays.leases().deadline(),
        ];
        Deadline::first(uplinks.chain(downlinks).chain(more))
    }

    /// Whether something is left to be done that nobody waits for.
    pub fn lags(&self) -> bool {
        self.derive_by.is_some() || !self.kernel.backlog.is_empty()
    }

    fn handle_timeouts(&mut self, now: Instant) {
        let grace = self.config.grace;
        let effects: Vec<(String, Effect)> = self
            .uplinks
            .iter_mut()
            .map(|(name, uplink)| (name.clone(), uplink.handle_timeout(now, grace)))
            .collect();
        for (name, effect) in effects {
            self.take_effect(now, &name, &effect);
        }
        self.derive |= self.statics.handle_timeout(now, grace);
        self.serve_timeouts(now);
        self.handle_takeovers(now);
        self.end_relayed(now);
        let over = self.kernel.desired.next_end_before(now);
        let hold = self.config.uplink_loss_hold;
        let hold = matches!(self.default_route, DefaultRoute::LostAt(at) if at + hold <= now);
        let is_retry_due = self.kernel.refusals.is_retry_due(now);
        self.kernel.compare_all |= is_retry_due;
        self.derive |= is_retry_due || hold;
        if over {
            self.derive_heard(now, now);
        }
    }

    fn command(&mut self, now: Instant, command: Command) {
        let (interface, command_name) = (command.uplink().map(str::to_owned), command.name());
        self.report(Event::CommandReceived { interface, command: command_name });
        let effects: Vec<(String, Effect)> = match command {
            Command::Renew { uplink } => {
                let wanted = |name: &String| uplink.as_ref().is_none_or(|uplink| uplink == name);
                let uplinks = self.uplinks.iter_mut().filter(|(name, _)| wanted(name));
                uplinks.map(|(name, uplink)| (name.clone(), uplink.renew(now))).collect()
            }
            Command::LinkUp { uplink } => {
                let found = self.uplinks.get_mut(&uplink);
                found.map(|found| (uplink, found.link_up(now))).into_iter().collect()
            }
            Command::Reload(config) => {
                self.configure(now, *config);
                self.attach(now);
                Vec::new()
            }
            Command::Forget { prefix } => {
                self.forget_relayed(prefix);
                Vec::new()
            }
            Command::SetPrefixes { prefixes, graceful } => {
                vec![self.set_prefixes(now, prefixes, graceful)]
            }
            Command::Stop => Vec::new(),
        };
        for (name, effect) in effects {
            self.take_effect(now, &name, &effect);
        }
    }

    /// Brings uplinks and downlinks to what the kernel has.
    fn attach(&mut self, now: Instant) {
        if !self.ready {
            return;
        }
        let system = &self.kernel.state.system;
        let effects: Vec<(String, Effect)> = self
            .uplinks
            .iter_mut()
            .map(|(name, uplink)| (name.clone(), uplink.attach(now, system)))
            .collect();
        for downlink in self.downlinks.values_mut() {
            downlink.attach(now, system);
        }
        for (name, effect) in effects {
            self.take_effect(now, &name, &effect);
        }
    }

    /// Turns what an event meant for an uplink into the record of a change, and into outputs.
    fn take_effect(&mut self, now: Instant, name: &str, effect: &Effect) {
        self.derive |= effect.derive;
        if effect.heard {
            self.derive_heard(now, now);
        } else if let Some(at) = effect.derive_by {
            self.derive_heard(now, at);
        }
        self.review |= effect.review;
        self.report_routers(name, &effect.routers);
        self.report_exchanges(name);
        self.follow_change(now, name, effect);
        if effect.delegated {
            self.ask_for_what_was_taken(now, name);
        }
        if effect.asked {
            // A question promises nothing to anybody.
            self.send_from_uplink(now, name);
        }
        if effect.remember
            && let Some(uplink) = self.uplinks.get(name)
        {
            let lease = uplink.lease().stored();
            let record = Record::Lease { uplink: name.to_owned(), lease };
            self.memory.fold(record.clone());
            self.outputs.push_back(Output::Remember(record));
        }
        self.send_from_uplink(now, name);
        if effect.asked {
            self.milestone(name, Stage::Asked);
        }
        if effect.outcome.is_some() && !effect.delegated {
            self.milestone(name, Stage::Applied);
        }
    }

    /// Whether somebody reads what concerns only who looks for a fault: else there is no event for
    /// what anybody can cause in numbers.
    pub const fn set_reports_debug(&mut self, reports_debug: bool) {
        self.reports_debug = reports_debug;
    }

    fn report(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// The name of an interface.
    fn name_of(&self, interface: IfIndex) -> Option<String> {
        self.kernel.state.system.name_of(interface).map(str::to_owned)
    }
}
