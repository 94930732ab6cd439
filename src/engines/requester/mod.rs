//! A program that requests prefixes on an uplink. The system starts and ends it; this task makes it
//! renew.

mod process;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::Signal;

use super::Work;
use super::version::Version;
use crate::config::{OnChange, Program};
use crate::core::engine::{Order, Report, State, Trouble};
use crate::core::uplink::change::RefreshKind;
use crate::programs::command::{self, Failure, plain};
use crate::programs::files::Edition;
use process::Running;

/// How long a command that renews a lease may take; dhcpcd answers when its hook has ended.
const COMMAND: Duration = Duration::from_secs(5);
/// The pause before a failed renewal is repeated; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often it is checked that the program runs.
const LOOK: Duration = Duration::from_secs(10);

/// The pause before a signal that may have been lost is sent again: twice after this time, then
/// after twice the time before, up to the bound below. After that it is for the core to order the
/// renewal again.
const FIRST_REPEAT: Duration = Duration::from_millis(5);
const LAST_REPEAT: Duration = Duration::from_millis(1280);

/// Does the job until it is not wanted any more.
pub(super) async fn run(mut work: Work) {
    let mut requester = Requester::new(&work);
    let mut pause = FIRST_PAUSE;
    let mut kind = None;
    let mut repeat: Option<Repeat> = None;
    let mut order = 0;
    loop {
        requester.follow_upgrade(&work).await;
        let outcome = match kind {
            Some(kind) => requester.renew(kind).await,
            None => requester.look(),
        };
        repeat = match (&outcome, kind.take()) {
            (Ok(()), Some(kind)) if requester.may_be_deaf() => Repeat::after(repeat, kind),
            (Ok(()), _) => None,
            (Err(_), failed) => {
                kind = failed;
                None
            }
        };
        pause = match outcome {
            Ok(()) => FIRST_PAUSE,
            Err(_) => pause.saturating_mul(2).min(LONGEST_PAUSE),
        };
        if work.reports.send(requester.report(&work, order, &outcome)).await.is_err() {
            return;
        }
        let again = match repeat {
            Some(repeat) => repeat.after,
            None if kind.is_some() => pause,
            None => LOOK,
        };
        tokio::select! {
            ordered = work.orders.changed() => {
                if ordered.is_err() {
                    return; // It is not wanted any more.
                }
                if let Some(Order::Renew { number, kind: wanted, .. }) =
                    &*work.orders.borrow_and_update()
                {
                    (order, kind, repeat) = (*number, Some(*wanted), None);
                    work.answers.mark_unchanged();
                }
            }
            _ = work.answers.changed(), if repeat.is_some() => repeat = None,
            () = tokio::time::sleep(again) => {
                kind = kind.or_else(|| repeat.map(|repeat| repeat.kind));
            }
        }
    }
}

/// A signal that is sent again unless an answer comes before.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Repeat {
    kind: RefreshKind,
    after: Duration,
    /// The second signal after that time is next.
    is_second: bool,
}

impl Repeat {
    /// The signal that follows another, if one does.
    fn after(before: Option<Self>, kind: RefreshKind) -> Option<Self> {
        let (after, is_second) = match before {
            None => (FIRST_REPEAT, false),
            Some(Self { after, is_second: false, .. }) => (after, true),
            Some(Self { after, is_second: true, .. }) => (after * 2, false),
        };
        (after <= LAST_REPEAT).then_some(Self { kind, after, is_second })
    }
}

/// The state of a program.
struct Requester {
    kind: Program,
    uplink: String,
    on_change: OnChange,
    /// Its file; none where it is missing.
    program: Option<PathBuf>,
    /// The command that an operator has configured in place of the program's own.
    renew: Vec<String>,
    version: Option<Version>,
    /// The instance that the version belongs to.
    instance: Option<Instance>,
}

/// An instance of a program: another one may have another version.
#[derive(PartialEq, Eq)]
enum Instance {
    /// A process, by its id and start time. It stays the same while its file is replaced by that of
    /// another version.
    Process(i32, Option<u64>),
    /// A file, where it is not known which process runs it.
    File(Option<Edition>),
}

/// A fault and its remedy.
type Wrong = (Trouble, String);

impl Requester {
    fn new(work: &Work) -> Self {
        Self {
            kind: work.engine.program,
            uplink: work.post.interface.clone(),
            on_change: work.engine.on_change,
            program: None,
            renew: work.engine.renew.clone(),
            version: None,
            instance: None,
        }
    }

    /// Looks for the program, and makes it print its version if it is another instance than before:
    /// it may have been installed, upgraded or restarted meanwhile.
    async fn follow_upgrade(&mut self, work: &Work) {
        let name = command_of(self.kind, &self.renew);
        let named = work.engine.path.as_deref();
        let named = named.or_else(|| Some(name).filter(|name| name.starts_with('/')));
        self.program = command::find(named, name);
        // The others print no version, and a command of the operator is another program.
        let says_version = matches!(self.kind, Program::Dhcpcd | Program::Networkd);
        let is_own = |program: &&Path| {
            says_version && (self.renew.is_empty() || program.ends_with(command_of(self.kind, &[])))
        };
        let Some(program) = self.program.as_deref().filter(is_own) else { return };
        let instance = match self.running() {
            Ok(Some(running)) => {
                let started = u32::try_from(running.id()).ok().and_then(work.process_start);
                Instance::Process(running.id(), started)
            }
            Ok(None) => Instance::File(Edition::of(program)),
            // It will be started again, in this version or another.
            Err(_) if self.instance.is_some() => return,
            Err(_) => Instance::File(Edition::of(program)),
        };
        if self.instance.as_ref() != Some(&instance) {
            let printed = command::run(program, &["--version"], COMMAND).await;
            self.version = printed.ok().and_then(|printed| Version::find(&printed));
            self.instance = Some(instance);
        }
    }

    /// Renews the lease.
    async fn renew(&self, kind: RefreshKind) -> Result<(), Wrong> {
        let running = self.running()?;
        if let Some((name, arguments)) = self.renew.split_first() {
            let file = command::find(Some(name.as_str()).filter(|name| name.contains('/')), name);
            let file = file.ok_or_else(|| missing(name))?;
            let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            return self.command(&file, &arguments).await;
        }
        let program = self.program.as_deref().ok_or_else(|| missing(self.kind.name()))?;
        match self.kind {
            Program::Dhcpcd => match running {
                Some(running) if self.is_before([10]) => {
                    let signalled = running.signal(Signal::SIGUSR1);
                    signalled.map_err(|error| self.unmoved(running, &error))
                }
                Some(_) | None => {
                    // Before 10.2 a rebind leaves addresses behind on the inner interfaces.
                    let option = match kind {
                        RefreshKind::Rebind if !self.is_before([10, 2]) => "--rebind",
                        RefreshKind::Renew | RefreshKind::Rebind => "-N",
                    };
                    self.command(program, &[option, &self.uplink]).await
                }
            },
            Program::Networkd => self.command(program, &["reconfigure", &self.uplink]).await,
            Program::Dhcp6c => {
                let Some(running) = running else { return Err(self.not_running()) };
                match self.on_change {
                    OnChange::Renew => running.signal(Signal::SIGHUP),
                    OnChange::Restart => running.restart().await,
                }
                .map_err(|error| self.unmoved(running, &error))
            }
            Program::Command
            | Program::Radvd
            | Program::Rtadvd
            | Program::Dhcp6s
            | Program::Kea => Ok(()),
        }
    }

    /// Whether it may lose signals. dhcpcd before version 10 does while it waits for its own
    /// privileged process: while it carries out the contents of an advertisement, which is just
    /// when a change is heard, and until its hook has ended.
    fn may_be_deaf(&self) -> bool {
        self.kind == Program::Dhcpcd && self.renew.is_empty() && self.is_before([10])
    }

    /// Whether its version is known to be older than this one.
    fn is_before<const N: usize>(&self, version: [u32; N]) -> bool {
        self.version.as_ref().is_none_or(|own| *own < version)
    }

    fn unmoved(&self, running: Running, error: &std::io::Error) -> Wrong {
        let remedy = if error.kind() == std::io::ErrorKind::PermissionDenied {
            "; it runs as root: have the agent run as root too (in its unit: User=root)"
        } else {
            ""
        };
        let text =
            format!("{} ({}) cannot be made to renew: {error}{remedy}", self.kind, running.id());
        (Trouble::Silent, text)
    }

    async fn command(&self, program: &Path, arguments: &[&str]) -> Result<(), Wrong> {
        let ran = command::run(program, arguments, COMMAND).await;
        ran.map(drop).map_err(|failure| {
            let command = format!("`{} {}`", program.display(), arguments.join(" "));
            let text = format!("{command} failed, and is tried again: {failure}");
            let hangs = matches!(failure, Failure::Slow(_));
            let kind = if hangs { Trouble::Silent } else { Trouble::Refused };
            (kind, text)
        })
    }

    /// Checks that it is installed and runs.
    fn look(&self) -> Result<(), Wrong> {
        self.running().map(drop)
    }

    /// The process; none where it is not known.
    fn running(&self) -> Result<Option<Running>, Wrong> {
        if self.program.is_none() {
            return Err(missing(command_of(self.kind, &self.renew)));
        }
        let folders = process::FOLDERS.iter().map(Path::new);
        match self.kind {
            // `dhcpcd -N` starts one where none runs, with whatever configuration. And the control
            // socket of version 9 serves one command, all after that are dropped.
            Program::Dhcpcd => {
                let names =
                    ["pid", &format!("{}.pid", self.uplink), &format!("{}-6.pid", self.uplink)]
                        .map(|name| format!("dhcpcd/{name}"));
                let old = [format!("dhcpcd-{}.pid", self.uplink), "dhcpcd.pid".to_owned()];
                let found = Running::find(folders, names.iter().chain(&old), "dhcpcd");
                self.alive(found).map(Some)
            }
            Program::Dhcp6c => {
                let names = ["dhcp6c.pid".to_owned(), format!("dhcp6c/{}.pid", self.uplink)];
                match Running::find(folders, names.iter(), "dhcp6c") {
                    None if !self.renew.is_empty() => Ok(None),
                    found => self.alive(found).map(Some),
                }
            }
            Program::Networkd
            | Program::Command
            | Program::Radvd
            | Program::Rtadvd
            | Program::Dhcp6s
            | Program::Kea => Ok(None),
        }
    }

    /// A process that was found, unless a signal has stopped it.
    fn alive(&self, found: Option<Running>) -> Result<Running, Wrong> {
        let running = found.ok_or_else(|| self.not_running())?;
        if running.is_stopped() {
            let id = running.id();
            let text = format!("{0} ({id}) is stopped by a signal: kill -CONT {id}", self.kind);
            return Err((Trouble::Silent, text));
        }
        Ok(running)
    }

    fn not_running(&self) -> Wrong {
        let Self { kind, uplink, .. } = self;
        let remedy = "start it; what it was given before stays until its lifetimes end";
        (Trouble::Ended, format!("{kind} does not run on {uplink}: {remedy}"))
    }

    fn report(&self, work: &Work, order: u64, outcome: &Result<(), Wrong>) -> Report {
        let mut troubles = BTreeMap::new();
        if let Some(trap) = self.trap() {
            troubles.insert(Trouble::Trap, trap);
        }
        if let Err((trouble, text)) = outcome {
            troubles.insert(*trouble, plain(text));
        }
        let state = if outcome.is_ok() { State::Running } else { State::Failed };
        let version = self.version.as_ref().map(ToString::to_string);
        Report { post: work.post.clone(), order, version, state, troubles }
    }

    /// A known fault of this version.
    fn trap(&self) -> Option<String> {
        let version = self.version.as_ref()?;
        (self.kind == Program::Dhcpcd && *version == [10, 5, 0]).then(|| {
            format!("dhcpcd {version} delegates wrongly: install another version than this one")
        })
    }
}

/// The file that is needed to renew a lease.
fn command_of(kind: Program, renew: &[String]) -> &str {
    let usual = if kind == Program::Networkd { "networkctl" } else { kind.name() };
    renew.first().map_or(usual, String::as_str)
}

fn missing(name: &str) -> Wrong {
    let text =
        format!("there is no program {name}: install it, or name its file (program = \"/…\")");
    (Trouble::Missing, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_is_repeated_for_five_seconds() {
        let next = |before: &Option<Repeat>| Some(Repeat::after(*before, RefreshKind::Renew));
        let repeats = std::iter::successors(Some(None), next).skip(1);
        let all: Vec<u128> = repeats.map_while(|repeat| Some(repeat?.after.as_millis())).collect();
        let steps = [5, 10, 20, 40, 80, 160, 320, 640, 1280];
        assert_eq!(all, steps.map(|step| [step; 2]).concat());
    }
}
