//! What the core asks for is done here, and what happens is read here.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use nix::fcntl::{Flock, FlockArg};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::oneshot;
use tracing::{debug, error, info, trace, warn};

use super::clock::{self, Timer};
use super::server::Server;
use super::store::{Journal, Ownership};
use super::{Options, complain};
use crate::core::Core;
use crate::core::delegate::link_layer_of;
use crate::core::input::{Input, KernelEvent, Received};
use crate::core::memory::{Memory, Record};
use crate::core::output::{Group, Level, Output, Report, Step};
use crate::core::system::System;
use crate::platform::linux::sysctl::read_sysctl;
use crate::platform::linux::{Drained, Events, Kernel, identity};
use crate::platform::sockets::{Dhcpv6Socket, Icmpv6Socket};
use crate::platform::watch;
use crate::time::{Deadline, Instant};
use crate::wire::dhcpv6_option::Duid;

/// Packets read from one socket before the others have their turn.
const BATCH: usize = 64;
/// The time that it may take them: who floods one socket does not starve the others.
const TURN: Duration = Duration::from_millis(5);
/// Between two syncs that answers wait for: many answers share one.
const SYNC_GAP: Duration = Duration::from_millis(1);
/// What was written is synced to disk this much later: nothing on its way waits for a disk.
const SYNC_DELAY: Duration = Duration::from_millis(40);
/// A message type (RFC 9686 §4.2).
const ADDR_REG_INFORM: u8 = 36;

/// Sockets, files and the kernel's state.
pub(super) struct Shell {
    kernel: Kernel,
    events: AsyncFd<Events>,
    icmpv6: AsyncFd<Icmpv6Socket>,
    dhcpv6: AsyncFd<Dhcpv6Socket>,
    server: Server,
    timer: AsyncFd<Timer>,
    journal: Journal,
    ownership: Ownership,
    /// When to bring to disk what was written.
    sync_at: Option<Instant>,
    /// Tells when what was written before is on disk.
    syncing: Option<oneshot::Receiver<()>>,
    synced_at: Option<Instant>,
    /// While they are held no other agent uses the directories.
    _locks: [Flock<File>; 2],
}

/// What there is to do.
pub(super) enum Ready {
    /// Something to read, or a deadline.
    Io,
    /// What was written before is on disk.
    Synced,
}

impl Shell {
    /// Opens everything; what an earlier run remembered, and this machine's own DUID.
    pub(super) fn open(options: &Options) -> anyhow::Result<(Self, Memory, Duid)> {
        let boot_id = identity::boot_id().context("the kernel names no boot id")?;
        let locks = [take_dir(&options.state_dir)?, take_dir(&options.runtime_dir)?];
        let (journal, memory, complaints) =
            Journal::open(&options.state_dir, clock::now(), clock::wall(), &boot_id);
        complain(complaints);
        let (ownership, complaint) = Ownership::open(&options.runtime_dir, clock::now(), &boot_id);
        complain(complaint);
        let root = "run as root, or with the capabilities NET_ADMIN, NET_RAW and NET_BIND_SERVICE";
        let (mut kernel, events) = Kernel::open().context(root)?;
        kernel.set_address_mark(options.address_mark);
        events.leave_out_routes_of(&kernel)?;
        let icmpv6 = Icmpv6Socket::open().context(root)?;
        let dhcpv6 = Dhcpv6Socket::open().context(
            "UDP port 546 cannot be opened: does another DHCPv6 client (dhcpcd, dhclient, \
             systemd-networkd) run, or are you not root?",
        )?;
        let duid = Duid::from_uuid(match identity::machine_uuid() {
            Ok(uuid) => uuid,
            Err(error) => {
                warn!(%error, "this machine has no identity: a random DUID is made and kept");
                random_uuid()?
            }
        });
        let shell = Self {
            kernel,
            events: watch(events)?,
            icmpv6: watch(icmpv6)?,
            dhcpv6: watch(dhcpv6)?,
            server: Server::default(),
            timer: watch(Timer::new()?)?,
            journal,
            ownership,
            sync_at: None,
            syncing: None,
            synced_at: None,
            _locks: locks,
        };
        Ok((shell, memory, duid))
    }

    /// What the kernel has, with what an earlier run of this boot added marked as ours.
    pub(super) fn dump(&mut self) -> io::Result<System> {
        let mut system = self.kernel.dump(clock::now())?;
        self.ownership.mark(&mut system);
        Ok(system)
    }

    /// Does what the core asks for; false when it asked to leave.
    pub(super) fn perform(&mut self, core: &mut Core) -> bool {
        while let Some(output) = core.poll_output() {
            match output {
                Output::Remember(record) => self.remember(&record),
                Output::Apply(steps) => self.apply(core, &steps),
                Output::SendIcmpv6(packet) => {
                    trace!(?packet, "send");
                    if let Err(error) = self.icmpv6.get_ref().send(&packet) {
                        debug!(%error, destination = %packet.destination, "ICMPv6 not sent");
                    }
                }
                Output::Hear(hearing) => {
                    if let Err(error) = self.icmpv6.get_ref().hear(hearing) {
                        warn!(%error, ?hearing, "answers to probes will not be heard");
                    }
                }
                Output::SendDhcpv6(packet) => {
                    trace!(?packet, "send");
                    if let Err(error) = self.dhcpv6.get_ref().send(&packet) {
                        debug!(%error, destination = %packet.destination, "DHCPv6 not sent");
                    }
                }
                Output::SendServer(packet) if packet.synced => self.server.hold(packet),
                Output::SendServer(packet) => self.server.send(&packet),
                Output::Milestone(milestone) => {
                    core.handle(clock::now(), Input::Milestone(milestone));
                }
                Output::Report(report) => log(&report),
                Output::Exit => return false,
            }
        }
        if self.server.is_holding() {
            self.sync();
        }
        true
    }

    fn remember(&mut self, record: &Record) {
        let (now, wall) = (clock::now(), clock::wall());
        let complaint = match record {
            // Who we are has to be on disk before anyone is told.
            // Replay values are set aside long before they are used.
            Record::Duid { .. } | Record::Secret { .. } | Record::Replay { .. } => {
                self.journal.append_synced(record, now, wall)
            }
            Record::Lease { .. }
            | Record::Advertised { .. }
            | Record::Binding { .. }
            | Record::Relayed { .. }
            | Record::Static { .. }
            | Record::Sysctl { .. } => self.journal.append(record, now, wall),
        };
        complain(complaint);
        if self.journal.is_unsynced() && self.sync_at.is_none() {
            self.sync_at = Some(now + SYNC_DELAY);
        }
    }

    fn apply(&mut self, core: &mut Core, steps: &[Step]) {
        for step in steps {
            self.prepare(core, step);
        }
        let Self { kernel, icmpv6, server, .. } = self;
        let icmpv6 = icmpv6.get_ref();
        let refused = kernel.apply(clock::now(), steps, &mut |step| match step {
            Step::Join(Group::AllRouters, interface) => icmpv6.join_all_routers(*interface),
            Step::Leave(Group::AllRouters, interface) => icmpv6.leave_all_routers(*interface),
            Step::Join(group, interface) => server.join(*group, *interface),
            Step::Leave(group, interface) => server.leave(*group, *interface),
            Step::Serve(serve) => server.serve(*serve),
            Step::SetAddress(_)
            | Step::RemoveAddress { .. }
            | Step::AddRoute(_)
            | Step::ReplaceRoute(_)
            | Step::RemoveRoute(_)
            | Step::SetSysctl { .. }
            | Step::DropKernelMade(_) => Ok(()),
        });
        let mut doubtful = false;
        for (position, errno) in refused {
            if let Some(step) = steps.get(position) {
                // Of an unanswered step nobody tells what of it became true; a route that is there
                // against all expectation was told gone after it was set anew.
                doubtful |= errno == libc::ENOBUFS
                    || errno == libc::EEXIST && matches!(step, Step::AddRoute(_));
                core.handle(clock::now(), Input::StepFailed { step: step.clone(), errno });
            }
        }
        if doubtful {
            match self.dump() {
                Ok(system) => core.handle(clock::now(), Input::System(system)),
                Err(error) => warn!(%error, "the kernel's state could not be read anew"),
            }
        }
        for step in steps {
            if let Step::RemoveAddress { interface, address, .. } = step {
                complain(self.ownership.disown(clock::now(), *interface, *address));
            }
        }
    }

    /// What has to be on record before a step is taken, or a crash would leave it ownerless.
    fn prepare(&mut self, core: &mut Core, step: &Step) {
        match step {
            Step::SetAddress(address) => {
                complain(self.ownership.own(clock::now(), address.interface, address.address));
            }
            Step::SetSysctl { interface, name, value } => {
                let before = read_sysctl(interface, *name);
                if let Some(before) = before.filter(|before| before != value) {
                    info!(interface, "net.ipv6.conf {} set from {before} to {value}", name.file());
                    let (interface, file) = (interface.clone(), name.file().to_owned());
                    let was =
                        Input::SysctlWas { interface: interface.clone(), name: *name, before };
                    self.remember(&Record::Sysctl { interface, name: file, before: Some(before) });
                    core.handle(clock::now(), was);
                }
            }
            Step::RemoveAddress { .. }
            | Step::AddRoute(_)
            | Step::ReplaceRoute(_)
            | Step::RemoveRoute(_)
            | Step::Join(..)
            | Step::Leave(..)
            | Step::Serve(_)
            | Step::DropKernelMade(_) => {}
        }
    }

    /// Wakes at `deadline`, or sooner when something has to be brought to disk.
    pub(super) fn arm(&mut self, deadline: Option<Deadline>) {
        trace!(?deadline, "wait");
        let at = deadline.map(|deadline| deadline.at).into_iter().chain(self.sync_at).min();
        if let Err(error) = self.timer.get_mut().set(at) {
            error!(%error, "the timer cannot be set");
        }
    }

    /// Waits until there is something to take in.
    pub(super) async fn ready(&mut self) -> Ready {
        let syncing = &mut self.syncing;
        let synced = async {
            match syncing {
                // One that went away without a word has failed, and said so.
                Some(synced) => drop(synced.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.timer.readable() => Ready::Io,
            _ = self.icmpv6.readable() => Ready::Io,
            _ = self.dhcpv6.readable() => Ready::Io,
            _ = self.events.readable() => Ready::Io,
            () = self.server.readable() => Ready::Io,
            () = synced => Ready::Synced,
        }
    }
}

impl Shell {
    /// Takes in what there is, and does what follows from it.
    pub(super) fn take_in(&mut self, core: &mut Core, ready: Ready) -> anyhow::Result<bool> {
        match ready {
            Ready::Io => return self.take_turns(core),
            Ready::Synced => {
                self.syncing = None;
                self.synced_at = Some(clock::now());
                if self.server.is_holding() {
                    self.sync();
                }
            }
        }
        Ok(true)
    }

    /// Every source has its turn. What the kernel tells comes first, so that packets meet the
    /// links that they came from; what follows from it waits until those who wait for answers have
    /// them.
    fn take_turns(&mut self, core: &mut Core) -> anyhow::Result<bool> {
        let _ = self.timer.try_io_mut(Interest::READABLE, |timer| {
            timer.drain();
            Err::<(), _>(io::ErrorKind::WouldBlock.into())
        });
        self.take_events(core)?;
        let dhcpv6 = |shell: &mut Self| next(&shell.dhcpv6, Dhcpv6Socket::recv);
        let icmpv6 = |shell: &mut Self| next(&shell.icmpv6, Icmpv6Socket::recv);
        let goes_on = self.take_packets(core, dhcpv6, Input::Dhcpv6)?
            && self.take_packets(core, Self::recv_server, Input::Server)?
            && self.take_packets(core, icmpv6, Input::Icmpv6)?;
        if self.sync_at.take_if(|at| *at <= clock::now()).is_some() {
            self.sync();
        }
        Ok(goes_on)
    }

    /// Takes in what has come to one socket, as far as others can wait.
    fn take_packets(
        &mut self,
        core: &mut Core,
        recv: impl Fn(&mut Self) -> io::Result<Option<Received>>,
        input: fn(Received) -> Input,
    ) -> anyhow::Result<bool> {
        let end = clock::now() + TURN;
        for _ in 0..BATCH {
            let Some(received) = recv(self)? else { break };
            core.handle(clock::now(), input(received));
            if !self.perform(core) {
                return Ok(false);
            }
            if clock::now() >= end {
                break;
            }
        }
        Ok(true)
    }

    /// A datagram to the server's port, with its sender's link-layer address where its address
    /// does not show that.
    fn recv_server(&mut self) -> io::Result<Option<Received>> {
        let mut received = self.server.recv()?;
        // Who registers an address sends from it (RFC 9686 §4.2).
        let registers = |received: &Received| received.octets.first() == Some(&ADDR_REG_INFORM);
        if let Some(received) = &mut received
            && (received.source.is_unicast_link_local() || registers(received))
            && link_layer_of(received.source).is_none()
        {
            received.link_layer = self.kernel.neighbor(received.interface, received.source);
        }
        Ok(received)
    }

    fn take_events(&mut self, core: &mut Core) -> anyhow::Result<()> {
        let now = clock::now();
        let mut events = Vec::new();
        let drained = self.events.try_io_mut(Interest::READABLE, |socket| {
            match socket.read(now, &mut events)? {
                Drained::Whole => Err(io::ErrorKind::WouldBlock.into()),
                more @ (Drained::More | Drained::Overrun) => Ok(more),
            }
        });
        let drained = match drained {
            Ok(drained) => drained,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Drained::Whole,
            Err(error) => return Err(error.into()),
        };
        let input = match drained {
            Drained::Whole | Drained::More if events.is_empty() => return Ok(()),
            Drained::Whole | Drained::More => {
                events.iter_mut().for_each(|event| self.recognize(event));
                Input::Kernel(events)
            }
            Drained::Overrun => {
                debug!("kernel events were lost: reading everything anew");
                Input::System(self.dump()?)
            }
        };
        core.handle(now, input);
        Ok(())
    }

    /// A kernel that does not mark our addresses tells of them as of any other.
    fn recognize(&self, event: &mut KernelEvent) {
        if let KernelEvent::Address(address) = event {
            address.ours |= self.ownership.contains(address.interface, address.address);
        }
    }

    /// Begins to bring what was written to disk, unless that is under way: then what has come
    /// since waits for the next time.
    fn sync(&mut self) {
        let now = clock::now();
        if self.syncing.is_some() {
            self.sync_at = Some(now + SYNC_DELAY);
            return;
        }
        if let Some(next) = self.synced_at.map(|at| at + SYNC_GAP).filter(|next| *next > now) {
            self.sync_at = Some(next);
            return;
        }
        let Some(file) = self.journal.take_unsynced() else {
            return self.server.depart().send();
        };
        let departing = self.server.depart();
        let (done, synced) = oneshot::channel();
        self.syncing = Some(synced);
        tokio::task::spawn_blocking(move || {
            if let Err(error) = file.sync_data() {
                warn!(%error, "the memory could not be synced to disk");
            }
            departing.send();
            let _ = done.send(());
        });
    }

    /// The end: what was written is synced.
    pub(super) fn close(&mut self) {
        if let Some(file) = self.journal.take_unsynced() {
            let _ = file.sync_data();
        }
    }
}

/// The next packet. Readiness is taken back only when there is none, so that what is left after
/// a batch is not forgotten.
pub(super) fn next<S: AsRawFd>(
    socket: &AsyncFd<S>,
    recv: impl Fn(&S) -> io::Result<Option<Received>>,
) -> io::Result<Option<Received>> {
    let received = socket.try_io(Interest::READABLE, |socket| {
        recv(socket)?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    });
    match received {
        Ok(received) => Ok(Some(received)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a directory, and keeps other agents out of it.
fn take_dir(dir: &Path) -> anyhow::Result<Flock<File>> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(dir).with_context(|| {
        format!("{} cannot be made: name another with --state-dir and --runtime-dir", dir.display())
    })?;
    let lock = File::create(dir.join("lock"))?;
    Flock::lock(lock, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| {
        anyhow::anyhow!(
            "{} is in use by another renumberd ({errno}): stop that, or name other directories \
             with --state-dir and --runtime-dir",
            dir.display()
        )
    })
}

fn random_uuid() -> anyhow::Result<[u8; 16]> {
    let mut uuid = [0; 16];
    getrandom::fill(&mut uuid).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(uuid)
}

fn log(report: &Report) {
    let Report { level, interface, text } = report;
    let interface = interface.as_deref();
    match level {
        Level::Error => error!(interface, "{text}"),
        Level::Warn => warn!(interface, "{text}"),
        Level::Info => info!(interface, "{text}"),
        Level::Debug => debug!(interface, "{text}"),
    }
}
