//! The process of a program in a built-in's place: started in the foreground, watched, ended.
//!
//! A program outlives an agent that is killed, and continues with its last order. The next run
//! recognizes it by a record of its process id and its start time, and ends it before it starts its
//! own. The two together identify a process, so that no other one is ever ended.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::{debug, info};

use super::output::{LastLines, follow};
use crate::programs::files;

/// The pause between the end of a program and its next start: the first, and the longest.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const MAX_DELAY: Duration = Duration::from_secs(60);
/// A program that has run for this long has not failed at its start.
const STEADY: Duration = Duration::from_secs(60);
/// A program that was started within this time may not handle signals yet.
const YOUNG: Duration = Duration::from_millis(300);
/// A program that has run for this long is not about to end at once.
const SETTLED: Duration = Duration::from_secs(5);
/// How long the program of an earlier run may take to end, once it was killed.
const FORMER: Duration = Duration::from_secs(1);
const TURN: Duration = Duration::from_millis(5);

/// SIGPIPE would end a program that writes its output when the agent is gone. The shell ignores the
/// signal, which lasts over its `exec`.
const IGNORING_PIPE: &str = "trap '' PIPE; exec \"$0\" \"$@\"";

/// A program and how it is started.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    /// Its name in file names and in the log, such as `radvd-lan0`.
    pub(crate) name: String,
    /// The program's file.
    pub(crate) program: PathBuf,
    /// Its arguments; it has to stay in the foreground.
    pub(crate) arguments: Vec<OsString>,
    /// A file of an earlier process that would keep it from starting: the process id in it may
    /// belong to another process by now.
    pub(crate) left_behind: Option<PathBuf>,
    /// The directory of its record.
    pub(crate) directory: PathBuf,
    /// The start time of a process, by its id: together with the id it identifies the process.
    pub(crate) process_start: fn(u32) -> Option<u64>,
}

/// A program that is to run.
#[derive(Debug)]
pub(crate) struct Process {
    setup: Setup,
    state: State,
    /// The next delay before a start.
    delay: Duration,
    lines: LastLines,
    /// How it ended by itself, until it is started again.
    ended_by: Option<String>,
}

#[derive(Debug)]
enum State {
    /// It is not to run.
    Off,
    /// It is to be started at this time.
    Waiting { until: Instant },
    /// It runs.
    Running {
        child: Box<Child>,
        since: Instant,
        /// It was killed here, and is to be restarted after this pause.
        ended: Option<Duration>,
        /// It has been reported that it has run for a while.
        settled: bool,
    },
}

/// An event of a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Happened {
    /// It has been started.
    Started {
        /// How it had ended by itself before; none where it had not.
        after: Option<String>,
    },
    /// It has run for a while since then.
    Settled,
    /// It has ended by itself, or could not be started.
    Ended {
        /// The reason, with its last output.
        how: String,
        /// The pause before it is started again.
        again_in: Duration,
    },
}

impl Happened {
    /// The fault of a program called `name` that has ended by itself; none where it has not.
    pub(crate) fn trouble(&self, name: &str) -> Option<String> {
        match self {
            Self::Started { after } => {
                let how = after.as_ref()?;
                Some(format!("{name} had ended, and has been started again: {how}"))
            }
            Self::Settled => None,
            Self::Ended { how, again_in } => {
                let seconds = again_in.as_secs();
                Some(format!("{name} has ended, and is started again in {seconds} s: {how}"))
            }
        }
    }
}

impl Process {
    /// A program that does not run, and is not to.
    pub(crate) fn new(setup: Setup) -> Self {
        let (state, lines) = (State::Off, LastLines::default());
        Self { setup, state, delay: FIRST_DELAY, lines, ended_by: None }
    }

    /// It is to run from now on; [`next`](Self::next) starts it.
    pub(crate) fn start(&mut self) {
        if matches!(self.state, State::Off) {
            self.state = State::Waiting { until: Instant::now() };
        }
    }

    /// It is to be restarted without time for a last message; [`next`](Self::next) does that. A
    /// program that waits for its next start still waits.
    pub(crate) fn restart(&mut self) {
        self.restart_in(Duration::ZERO);
    }

    /// It is to be restarted after a pause, unlike with [`restart`](Self::restart).
    pub(crate) fn restart_in(&mut self, pause: Duration) {
        if let State::Running { child, ended, .. } = &mut self.state {
            kill(child.id(), Signal::SIGKILL);
            *ended = Some(pause);
        }
    }

    /// This setup is to run in its place from now on.
    pub(crate) fn replace(&mut self, setup: Setup) {
        self.setup = setup;
        self.restart();
    }

    /// Makes it read its file again, by HUP. One that has just been started may have read the old
    /// file and not handle the signal yet: it is restarted. One that does not run reads the file
    /// when it is started.
    pub(crate) fn reload(&mut self) {
        match &self.state {
            State::Running { since, .. } if since.elapsed() < YOUNG => self.restart(),
            State::Running { .. } => {
                self.signal(Signal::SIGHUP);
            }
            State::Off | State::Waiting { .. } => {}
        }
    }

    /// Sends it a signal; returns whether it runs.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        match &self.state {
            State::Running { child, ended: None, .. } => {
                let pid = child.id().and_then(|id| i32::try_from(id).ok());
                pid.is_some_and(|id| nix::sys::signal::kill(Pid::from_raw(id), signal).is_ok())
            }
            State::Running { .. } | State::Off | State::Waiting { .. } => false,
        }
    }

    /// The next event of it; this method also starts it. The future may be dropped and requested
    /// anew at any time.
    pub(crate) async fn next(&mut self) -> Happened {
        loop {
            match &mut self.state {
                State::Off => std::future::pending().await,
                State::Waiting { until } => {
                    sleep_until(*until).await;
                    kill_former(&self.setup).await;
                    return self.spawn();
                }
                State::Running { child, since, ended, settled } => {
                    let settles_at = *since + SETTLED;
                    let status = tokio::select! {
                        status = child.wait() => status,
                        () = sleep_until(settles_at), if !*settled && ended.is_none() => {
                            *settled = true;
                            return Happened::Settled;
                        }
                    };
                    let (ended, steady) = (*ended, since.elapsed() >= STEADY);
                    forget(&self.setup);
                    if let Some(pause) = ended {
                        self.state = State::Waiting { until: Instant::now() + pause };
                        continue;
                    }
                    if steady {
                        self.delay = FIRST_DELAY;
                    }
                    let status = status.map_or_else(|error| error.to_string(), |s| s.to_string());
                    // Its last output may not have been read yet.
                    tokio::task::yield_now().await;
                    let how = match self.lines.joined() {
                        printed if printed.is_empty() => status,
                        printed => format!("{status} ({printed})"),
                    };
                    return self.wait(how);
                }
            }
        }
    }

    /// Ends it with TERM, and with KILL if it has not ended after `patience`; without any it is
    /// killed at once and has no time for a last message.
    pub(crate) async fn stop(&mut self, patience: Duration) {
        let state = std::mem::replace(&mut self.state, State::Off);
        if let State::Running { mut child, .. } = state {
            let id = child.id();
            let pid = id.and_then(|id| i32::try_from(id).ok()).filter(|_| !patience.is_zero());
            if let Some(pid) = pid {
                let _ = nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
            if patience.is_zero() || timeout(patience, child.wait()).await.is_err() {
                kill(id, Signal::SIGKILL);
                let _ = child.wait().await;
            }
        }
        // This may be a program of an earlier run, if this run never started one.
        kill_former(&self.setup).await;
        forget(&self.setup);
    }

    fn spawn(&mut self) -> Happened {
        let Setup { name, program, arguments, left_behind, .. } = &self.setup;
        if let Some(file) = left_behind {
            // The program before has ended, and may have removed it.
            let _ = fs::remove_file(file);
        }
        let mut command = Command::new("/bin/sh");
        command.args(["-c", IGNORING_PIPE]).arg(program).args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match command.process_group(0).spawn() {
            Ok(child) => child,
            Err(error) => return self.wait(format!("it cannot be started: {error}")),
        };
        self.lines = LastLines::default();
        if let Some(stream) = child.stdout.take() {
            tokio::spawn(follow(name.clone(), stream, self.lines.clone()));
        }
        if let Some(stream) = child.stderr.take() {
            tokio::spawn(follow(name.clone(), stream, self.lines.clone()));
        }
        if let Some(id) = child.id() {
            record(&self.setup, id);
            info!(engine = name, pid = id, "started");
        }
        let since = Instant::now();
        self.state = State::Running { child: Box::new(child), since, ended: None, settled: false };
        Happened::Started { after: self.ended_by.take() }
    }

    fn wait(&mut self, how: String) -> Happened {
        let again_in = self.delay;
        self.delay = (self.delay * 2).min(MAX_DELAY);
        self.state = State::Waiting { until: Instant::now() + again_in };
        self.ended_by = Some(how.clone());
        Happened::Ended { how, again_in }
    }
}

/// Signals a program that we started, and what it started, by its process group.
fn kill(id: Option<u32>, signal: Signal) {
    if let Some(pid) = id.and_then(|id| i32::try_from(id).ok()) {
        // It may have ended meanwhile without being waited for: the id is still its own.
        let _ = killpg(Pid::from_raw(pid), signal);
    }
}

fn record_path(setup: &Setup) -> PathBuf {
    setup.directory.join(format!("{}.run", setup.name))
}

/// Records the process for the next run.
fn record(setup: &Setup, id: u32) {
    let Some(start) = (setup.process_start)(id) else { return };
    let written = files::replace(&record_path(setup), format!("{id} {start}\n").as_bytes(), 0o644);
    if let Err(error) = written {
        debug!(engine = setup.name, %error, "it cannot be recorded which process it is");
    }
}

fn forget(setup: &Setup) {
    // It may never have been written.
    let _ = fs::remove_file(record_path(setup));
}

/// Ends the programs that an earlier run has left running and that are not wanted any more: all but
/// `wanted`.
pub(super) async fn end_strays(
    directory: PathBuf,
    wanted: Vec<String>,
    process_start: fn(u32) -> Option<u64>,
) {
    let Ok(entries) = fs::read_dir(&directory) else { return };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let strays = names.filter_map(|file| Some(file.strip_suffix(".run")?.to_owned()));
    for name in strays.filter(|name| !wanted.contains(name)) {
        let (program, arguments) = (PathBuf::new(), Vec::new());
        let directory = directory.clone();
        let left_behind = None;
        let setup = Setup { name, program, arguments, left_behind, directory, process_start };
        kill_former(&setup).await;
    }
}

/// Ends the program that an earlier run has left running, if the record identifies it.
async fn kill_former(setup: &Setup) {
    let Some((id, start)) = read_record(&record_path(setup)) else { return };
    let is_it = || (setup.process_start)(id) == Some(start);
    if is_it() {
        info!(engine = setup.name, pid = id, "the one of an earlier run is ended");
        kill(Some(id), Signal::SIGKILL);
        let until = Instant::now() + FORMER;
        while is_it() && Instant::now() < until {
            sleep(TURN).await;
        }
    }
    forget(setup);
}

fn read_record(path: &Path) -> Option<(u32, u64)> {
    let text = fs::read_to_string(path).ok()?;
    let (id, start) = text.trim().split_once(' ')?;
    // Process 0 would be our own group, and 1 is none that we started.
    let id = id.parse().ok().filter(|id| *id > 1)?;
    Some((id, start.parse().ok()?))
}

#[cfg(test)]
mod tests;
