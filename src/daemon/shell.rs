//! The input and output of the agent: outputs of the core are performed here, and packets and
//! events are read here.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use nix::fcntl::Flock;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tracing::{debug, error, info, trace};

use super::Options;
use super::clock;
use super::directory::{self, Taken};
use super::disk::Disk;
use super::gate::{Gate, next};
use super::log::Log;
use super::machine;
use super::metrics::Tally;
use super::outbox::{Outbox, Parcel};
use super::server::Server;
use super::spare::Spare;
use super::store::{Journal, Ownership};
use super::turn::{Brake, Flow, Ready, Rests, Source, Turn};
use crate::core::Core;
use crate::core::input::{Input, Received};
use crate::core::kernel::system::KernelEvent;
use crate::core::memory::{Memory, Record};
use crate::core::output::{Executor, Group, Object, Output, Port, Setting, Step};
use crate::core::safety::Safety;
use crate::engines::Engines;
use crate::hosts::Hosts;
use crate::platform::local_advertisements::LocalAdvertisements;
use crate::platform::sockets::{Dhcpv6Socket, Icmpv6Socket};
use crate::platform::{
    Drained, Events, Kernel, Refusal, Sleep, Timer, identity, refusal_of, watch,
};
use crate::time::{Deadline, Instant};
use crate::wire::dhcpv6_option::Duid;

/// Packets read from one socket before the others have their turn.
const BATCH: usize = 64;
/// The longest time for that: a node that floods one socket does not starve the others.
const TURN: Duration = Duration::from_millis(5);
/// The kernel's state is read anew no sooner than this: the cause of the doubt may go on.
const DUMP_DELAY: Duration = Duration::from_millis(50);
/// The pause after the kernel's state could not be read.
const DUMP_RETRY: Duration = Duration::from_secs(1);
/// The part of the time that reading everything may take.
const DUMP_SHARE: u32 = 5;

/// The remedy where the ICMPv6 socket cannot be opened.
const ICMPV6_RIGHT: &str = "ICMPv6 needs the capability CAP_NET_RAW, or root: start the agent as \
                            root, by its unit, or with --user";

/// Sockets, files and the kernel's state.
pub(super) struct Shell {
    pub(super) kernel: Kernel,
    events: AsyncFd<Events>,
    pub(super) icmpv6: AsyncFd<Icmpv6Socket>,
    local: AsyncFd<LocalAdvertisements>,
    /// UDP port 546.
    pub(super) client: Gate<Dhcpv6Socket>,
    pub(super) server: Server,
    timer: AsyncFd<Timer>,
    pub(super) sleep: AsyncFd<Sleep>,
    pub(super) engines: Engines,
    pub(super) hosts: Hosts,
    pub(super) disk: Disk,
    pub(super) log: Log,
    /// The counters, where metrics are served.
    pub(super) tally: Option<Arc<Tally>>,
    /// When the kernel's state has to be read anew.
    dump_at: Option<Instant>,
    /// When it may be read again.
    dump_rests_until: Instant,
    pub(super) outbox: Outbox,
    rests: Rests,
    brake: Brake,
    spare: Spare,
    /// The locks that keep other agents out of the directories.
    _locks: Vec<Flock<File>>,
}

impl Shell {
    /// Opens everything; returns the memory of earlier runs, and this machine's own DUID.
    pub(super) fn open(options: &Options) -> anyhow::Result<(Self, Memory, Duid)> {
        let boot_id = identity::boot_id().context("the kernel names no boot id")?;
        let mut log = Log::new(options.log_fields);
        let (mut locks, mut unlocked) = (Vec::new(), Vec::new());
        for dir in [&options.state_dir, &options.runtime_dir] {
            match directory::take(dir)? {
                Taken::Locked(lock) => locks.push(lock),
                Taken::Unlocked(complaint) => unlocked.push(complaint),
            }
        }
        let (journal, memory, complaints) =
            Journal::open(&options.state_dir, clock::now(), clock::wall(), &boot_id);
        let (ownership, complaint) = Ownership::open(&options.runtime_dir, clock::now(), &boot_id);
        // Where nothing can be written, one complaint about the memory or the directory is enough.
        let is_said = !complaints.is_empty() || complaint.is_some();
        let unlocked = unlocked.into_iter().filter(|_| !is_said);
        let complaints = complaints.into_iter().filter(|one| Some(&**one) != journal.trouble());
        log.warn_all(clock::now(), complaints.chain(complaint).chain(unlocked));
        let (mut kernel, events) = Kernel::open().context("the kernel lets nobody ask it")?;
        kernel.set_address_mark(options.address_mark);
        events.leave_out_what_is_known_to(&kernel)?;
        let icmpv6 = Icmpv6Socket::open().context(ICMPV6_RIGHT)?;
        let local = LocalAdvertisements::open().context(ICMPV6_RIGHT)?;
        let duid = machine::duid()?;
        let shell = Self {
            kernel,
            events: watch(events)?,
            icmpv6: watch(icmpv6)?,
            local: watch(local)?,
            client: Gate::default(),
            server: Server::default(),
            timer: watch(Timer::new()?)?,
            sleep: watch(Sleep::new()?)?,
            engines: Engines::new(
                (&options.runtime_dir, &options.state_dir),
                crate::platform::process_start,
            ),
            hosts: Hosts::new(&options.runtime_dir),
            disk: Disk::new(journal, ownership),
            log,
            tally: None,
            dump_at: Some(Instant::BOOT),
            dump_rests_until: Instant::BOOT,
            outbox: Outbox::default(),
            rests: Rests::default(),
            brake: Brake::default(),
            spare: Spare::default(),
            _locks: locks,
        };
        Ok((shell, memory, duid))
    }

    /// Reads the kernel's state for the core, if it is time for that, and marks the objects that an
    /// earlier run of this boot added as ours.
    fn dump(&mut self, core: &mut Core) {
        let now = clock::now();
        if self.dump_at.take_if(|at| *at <= now).is_none() {
            return;
        }
        match self.kernel.dump(now) {
            Ok(mut system) => {
                self.disk.ownership.mark(&mut system);
                self.end_left_behind(now, &system);
                core.handle(now, Input::System(system));
            }
            Err(error) => {
                let text = format!("the kernel's state cannot be read, tried again: {error}");
                self.log.warn(now, text);
                self.dump_at = Some(now + DUMP_RETRY);
            }
        }
        let end = clock::now();
        self.dump_rests_until = end + end.since(now).saturating_mul(DUMP_SHARE);
    }

    /// Schedules reading the kernel's state anew, no more often than its share of the time allows.
    fn dump_soon(&mut self, now: Instant, delay: Duration) {
        let at = (now + delay).max(self.dump_rests_until);
        self.dump_at = Some(self.dump_at.map_or(at, |before| before.min(at)));
    }

    /// Performs the outputs of the core, until the turn is over.
    pub(super) fn perform(&mut self, core: &mut Core) -> Flow {
        let mut turn = Turn::new(clock::now());
        let mut flow = Flow::Idle;
        while let Some(output) = core.poll_output() {
            turn.count(output.steps().len().max(1));
            self.spare.note(output.steps().len());
            if matches!(output, Output::Exit) {
                flow = Flow::Exit;
                break;
            }
            if output.is_promise() {
                self.write();
            }
            self.perform_one(core, output);
            if turn.is_over(clock::now()) {
                flow = Flow::More;
                break;
            }
        }
        self.write();
        if self.server.is_holding() {
            self.disk.sync(&mut self.server);
        }
        if let Some(trouble) = self.disk.take_trouble() {
            core.handle(clock::now(), Input::Unwritten(trouble));
            flow = if flow == Flow::Idle { Flow::More } else { flow };
        }
        flow
    }

    fn perform_one(&mut self, core: &mut Core, output: Output) {
        match output {
            Output::Remember(record) => self.remember(record),
            Output::Apply(steps) => self.apply(core, &steps),
            Output::SendIcmpv6(packet) => self.send_icmpv6(core, packet),
            Output::Hear(hearing) => {
                if let Err(error) = self.icmpv6.get_ref().hear(hearing) {
                    let text = format!("answers to probes will not be heard: {error}");
                    self.log.warn(clock::now(), text);
                }
            }
            Output::ListNeighbors(interface) => self.list_neighbors(core, interface),
            Output::ExpectNeighbors { interface, hosts } => {
                self.expect_neighbors(interface, &hosts)
            }
            Output::SendDhcpv6(packet) => drop(self.send(Parcel::Dhcpv6(packet))),
            Output::SendServer(packet) if packet.memory == Safety::Synced => {
                self.server.hold(packet)
            }
            Output::SendServer(packet) => drop(self.send(Parcel::Server(packet))),
            Output::RunEngines(engines) => self.engines.run(engines),
            Output::Engine(order) => self.engines.order(order),
            Output::Publish(publications) => self.hosts.publish(publications),
            Output::RunScript(script) => self.hosts.run(script),
            Output::Milestone(milestone) => self.reach(core, milestone),
            Output::Event(event) => self.report(event),
            Output::Exit => {}
        }
    }

    pub(super) fn remember(&mut self, record: Record) {
        self.spare.note(1);
        let complaint = self.disk.remember(record);
        self.log.warn_all(clock::now(), complaint);
    }

    /// Writes the records that were taken, as a packet that depends on them follows.
    pub(super) fn write(&mut self) {
        let complaint = self.disk.write();
        self.log.warn_all(clock::now(), complaint);
    }

    fn apply(&mut self, core: &mut Core, steps: &[Step]) {
        let mut settings: Vec<(&Step, i32)> = Vec::new();
        for step in steps {
            settings.extend(self.prepare(core, step).map(|before| (step, before)));
        }
        let mut refused: Vec<(&Step, Refusal)> = Vec::new();
        for steps in steps.chunk_by(|one, next| executor(one) == executor(next)) {
            if steps.first().map(executor) == Some(Executor::Sockets) {
                let taken = steps.iter().map(|step| (step, self.take_socket_step(step)));
                refused.extend(
                    taken.filter_map(|(step, taken)| Some((step, refusal_of(&taken.err()?)))),
                );
            } else {
                let found = self.kernel.apply(clock::now(), steps).into_iter();
                refused.extend(found.filter_map(|(at, refusal)| Some((steps.get(at)?, refusal))));
            }
        }
        for (step, before) in settings {
            if let Step::Set(Object::Setting(Setting { interface, name, value, .. })) = step
                && !refused.iter().any(|(other, _)| *other == step)
            {
                info!(interface, "setting {} changed from {before} to {value}", name.file());
            }
        }
        self.disown_removed(steps, &refused);
        let mut doubtful = false;
        for (step, refusal) in refused {
            doubtful |= step.is_doubtful(refusal);
            core.handle(clock::now(), Input::StepFailed { step: step.clone(), refusal });
        }
        if doubtful {
            self.dump_soon(clock::now(), DUMP_DELAY);
        }
    }

    /// Takes a step about sockets.
    fn take_socket_step(&mut self, step: &Step) -> io::Result<()> {
        let icmpv6 = self.icmpv6.get_ref();
        match step {
            Step::Set(Object::Membership(Group::AllRouters, interface)) => {
                icmpv6.join_all_routers(*interface)
            }
            Step::Remove(Object::Membership(Group::AllRouters, interface)) => {
                icmpv6.leave_all_routers(*interface)
            }
            Step::Set(Object::Membership(group, interface)) => self.server.join(*group, *interface),
            Step::Remove(Object::Membership(group, interface)) => {
                self.server.leave(*group, *interface)
            }
            Step::Set(Object::Port(Port::Client)) => self.client.open(Dhcpv6Socket::open),
            Step::Remove(Object::Port(Port::Client)) => {
                self.client.close();
                Ok(())
            }
            Step::Set(Object::Port(Port::Server)) => self.server.serve(true),
            Step::Remove(Object::Port(Port::Server)) => self.server.serve(false),
            Step::Set(_) | Step::Replace(_) | Step::Remove(_) => Ok(()),
        }
    }

    /// The core has no work left: starts writing the memory on disk anew where it has too many
    /// lines, and gives back free memory unless the disk is busy.
    pub(super) fn tidy_up(&mut self) {
        self.disk.write_anew(clock::now(), false);
        if self.disk.is_idle() {
            self.spare.give_back();
        }
    }

    /// Sets the timer to `deadline`, or to a sooner one of the shell.
    pub(super) fn arm(&mut self, deadline: Option<Deadline>) {
        trace!(?deadline, "wait");
        let now = clock::now();
        let deadline = deadline.map(|deadline| {
            let (at, braked) = self.brake.wake_at(now, deadline);
            if let Some(reason) = braked {
                self.log.warn(now, format!("nothing acts on the deadline of: {reason}"));
            }
            at
        });
        let Self { disk, log, outbox, rests, .. } = self;
        let own = [disk.deadline(), log.deadline(), outbox.deadline(), rests.deadline()];
        let at = own.into_iter().chain([self.dump_at, deadline]).flatten().min();
        if let Err(error) = self.timer.get_mut().set(at) {
            error!(%error, "the timer cannot be set");
        }
    }

    /// Waits until an input can be read.
    pub(super) async fn ready(&mut self) -> Ready {
        let Self { timer, icmpv6, local, client, events, server, disk, rests, .. } = self;
        let Self { engines, hosts, sleep, .. } = self;
        let reads = |source| !rests.is_resting(source);
        tokio::select! {
            _ = timer.readable() => Ready::Io,
            _ = sleep.readable() => Ready::Io,
            _ = icmpv6.readable(), if reads(Source::Icmpv6) => Ready::Io,
            _ = local.readable(), if reads(Source::LocalAdvertisements) => Ready::Io,
            () = client.readable(), if reads(Source::Dhcpv6) => Ready::Io,
            _ = events.readable(), if reads(Source::Events) => Ready::Io,
            () = server.readable(), if reads(Source::Server) => Ready::Io,
            done = disk.done() => Ready::Disk(done),
            known = engines.report() => Ready::Known(known),
            report = hosts.report() => Ready::Known(Input::Published(report)),
        }
    }
}

impl Shell {
    /// Reads inputs, and performs the outputs that follow.
    pub(super) fn take_in(&mut self, core: &mut Core, ready: Ready) -> Flow {
        match ready {
            Ready::Io => self.take_turns(core),
            Ready::Known(input) => {
                core.handle(clock::now(), input);
                Flow::Idle
            }
            Ready::Disk(done) => {
                let complaint = self.disk.take_in(done, &mut self.server);
                self.log.warn_all(clock::now(), complaint);
                self.send_again(core);
                Flow::Idle
            }
        }
    }

    /// Reads all sources in turn. Kernel events come first, so that packets meet the links that
    /// they came from; the steps that follow from them wait until neighbors have their answers.
    fn take_turns(&mut self, core: &mut Core) -> Flow {
        let _ = self.timer.try_io_mut(Interest::READABLE, |timer| {
            timer.drain();
            Err::<(), _>(io::ErrorKind::WouldBlock.into())
        });
        self.notice_sleep(core);
        let now = clock::now();
        self.rests.end(now);
        self.log.flush(now);
        self.dump(core);
        self.send_again(core);
        if let Err(error) = self.take_events(core) {
            self.rest(Source::Events, &error);
        }
        let dhcpv6 = |shell: &mut Self| shell.client.recv(Dhcpv6Socket::recv);
        let icmpv6 = |shell: &mut Self| next(&shell.icmpv6, Icmpv6Socket::recv);
        let local = |shell: &mut Self| next(&shell.local, LocalAdvertisements::recv);
        let mut flow = self.take_packets(core, Source::Dhcpv6, dhcpv6, Input::Dhcpv6);
        if flow == Flow::Idle {
            flow = self.take_packets(core, Source::Server, Self::recv_server, Input::Server);
        }
        if flow == Flow::Idle {
            flow = self.take_packets(core, Source::Icmpv6, icmpv6, Input::Icmpv6);
        }
        if flow == Flow::Idle {
            let source = Source::LocalAdvertisements;
            flow = self.take_packets(core, source, local, Input::LocalAdvertisement);
        }
        let now = clock::now();
        let complaint = self.disk.handle_timeout(now, &mut self.server);
        self.log.warn_all(now, complaint);
        flow
    }

    /// Reads packets from one socket, until the turn is over.
    fn take_packets(
        &mut self,
        core: &mut Core,
        source: Source,
        recv: impl Fn(&mut Self) -> io::Result<Option<Received>>,
        input: fn(Received) -> Input,
    ) -> Flow {
        let end = clock::now() + TURN;
        for _ in 0..BATCH {
            if self.rests.is_resting(source) {
                break;
            }
            let received = match recv(self) {
                Ok(Some(received)) => received,
                Ok(None) => break,
                Err(error) => {
                    self.rest(source, &error);
                    break;
                }
            };
            self.count_received(source, &received.octets);
            core.handle(clock::now(), input(received));
            let flow = self.perform(core);
            if flow != Flow::Idle {
                return flow;
            }
            if clock::now() >= end {
                break;
            }
        }
        Flow::Idle
    }

    /// Pauses a source that could not be read for a moment.
    fn rest(&mut self, source: Source, error: &io::Error) {
        let now = clock::now();
        self.rests.begin(now, source);
        self.log.warn(now, format!("{source} cannot be read, tried again: {error}"));
    }

    fn take_events(&mut self, core: &mut Core) -> io::Result<()> {
        if self.rests.is_resting(Source::Events) {
            return Ok(());
        }
        let now = clock::now();
        let mut events = Vec::new();
        let drained = self.events.try_io_mut(Interest::READABLE, |socket| {
            match socket.read(now, &mut events)? {
                Drained::Whole => Err(io::ErrorKind::WouldBlock.into()),
                more @ (Drained::More | Drained::Overrun) => Ok(more),
            }
        });
        match drained {
            Ok(Drained::Overrun) => {
                debug!("kernel events were lost: reading everything anew");
                self.dump_soon(now, Duration::ZERO);
                self.dump(core);
                return Ok(());
            }
            Ok(Drained::Whole | Drained::More) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                // Some events may have been read and not handed on.
                self.dump_soon(now, DUMP_DELAY);
                return Err(error);
            }
        }
        if !events.is_empty() {
            events.iter_mut().for_each(|event| self.recognize(event));
            core.handle(now, Input::Kernel(events));
        }
        Ok(())
    }

    /// Marks an address as ours by the ownership record, where the kernel cannot mark it.
    fn recognize(&self, event: &mut KernelEvent) {
        if let KernelEvent::Address(address) = event {
            address.ours |= self.disk.ownership.contains(address.interface, address.address);
        }
    }
}

const fn executor(step: &Step) -> Executor {
    step.object().executor()
}
