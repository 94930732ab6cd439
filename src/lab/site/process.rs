//! Programs of the laboratory, ended by their own process ids alone.

use std::io::{self, BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::daemon::clock;

/// How often is looked whether a program has ended.
const TURN: Duration = Duration::from_millis(10);

/// A running program, killed on drop.
#[derive(Debug)]
pub struct Process {
    /// The child process.
    pub child: Child,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts it, its streams as `command` has them.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start(command: &mut Command) -> anyhow::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.spawn().with_context(|| format!("{name} does not start"))?;
        Ok(Self { child, lines: Arc::default() })
    }

    /// Starts it without input, and keeps the lines of its output.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn start_kept(command: &mut Command) -> anyhow::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = Self::start(command)?;
        let (output, errors) = (process.child.stdout.take(), process.child.stderr.take());
        output.into_iter().for_each(|stream| keep(stream, &process.lines));
        errors.into_iter().for_each(|stream| keep(stream, &process.lines));
        Ok(process)
    }

    /// All lines so far, where they are kept.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether it has not ended.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        let pid = i32::try_from(self.child.id()).map_err(io::Error::other)?;
        Ok(kill(Pid::from_raw(pid), signal)?)
    }

    /// Ends it with TERM; none where it still runs after `patience`.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn stop(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        self.signal(Signal::SIGTERM)?;
        let begun = clock::now();
        while clock::now().since(begun) < patience {
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            std::thread::sleep(TURN);
        }
        Ok(None)
    }

    /// Ends it with KILL; how it has ended, which may be before.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn kill(&mut self) -> io::Result<ExitStatus> {
        self.child.kill()?;
        self.child.wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

fn keep(stream: impl Read + Send + 'static, lines: &Arc<Mutex<Vec<String>>>) {
    let lines = Arc::clone(lines);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    });
}
