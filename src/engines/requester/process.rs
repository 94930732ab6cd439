//! A process that the system runs: found by its pid file, made to renew by a signal, or ended and
//! restarted as it was.

use std::io;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Command;

/// The directories of pid files.
pub(super) const FOLDERS: [&str; 2] = ["/run", "/var/run"];
/// How long a process may take to end after it was asked to.
const END: Duration = Duration::from_secs(3);
const LOOK: Duration = Duration::from_millis(10);
/// The longest command line, in octets.
const COMMAND_LINE: usize = 65_536;

/// A running process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running(Pid);

impl Running {
    /// The process of the first pid file that names a living one called `name`: a pid file outlives
    /// its process, and its number may belong to another process by now.
    pub(super) fn find<'a, 'b>(
        folders: impl Iterator<Item = &'a Path> + Clone,
        names: impl Iterator<Item = &'b String>,
        name: &str,
    ) -> Option<Self> {
        let mut files = names.flat_map(|file| folders.clone().map(move |folder| folder.join(file)));
        files.find_map(|file| {
            let id: i32 = std::fs::read_to_string(file).ok()?.trim().parse().ok()?;
            // Zero and below are groups.
            let running = Self(Pid::from_raw(id));
            (id > 0 && running.is_called(name) && !running.has_ended()).then_some(running)
        })
    }

    pub(super) fn id(self) -> i32 {
        self.0.as_raw()
    }

    fn is_called(self, name: &str) -> bool {
        match std::fs::read_to_string(format!("/proc/{}/comm", self.id())) {
            Ok(comm) => comm.trim_end() == name,
            // Not all systems have /proc: there it has to be enough that the process lives.
            Err(_) => !Path::new("/proc/self").exists() && kill(self.0, None).is_ok(),
        }
    }

    /// Whether a signal has stopped it, where the system shows that.
    pub(super) fn is_stopped(self) -> bool {
        matches!(self.state(), Some('T' | 't'))
    }

    /// Whether it has ended and its parent has not waited for it: it keeps its number and its name
    /// until then, and accepts signals without an error.
    fn has_ended(self) -> bool {
        matches!(self.state(), Some('Z' | 'X'))
    }

    /// Its state as proc(5) has it.
    fn state(self) -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.id())).ok()?;
        stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next())
    }

    pub(super) fn signal(self, signal: Signal) -> io::Result<()> {
        kill(self.0, signal).map_err(io::Error::from)
    }

    /// Ends it, and restarts it with the same arguments.
    pub(super) async fn restart(self) -> io::Result<()> {
        let words = self.words()?;
        let (program, arguments) =
            words.split_first().ok_or_else(|| io::Error::other("its command line is empty"))?;
        self.signal(Signal::SIGTERM)?;
        let ended = tokio::time::timeout(END, async {
            while kill(self.0, None).is_ok() {
                tokio::time::sleep(LOOK).await;
            }
        });
        if ended.await.is_err() {
            self.signal(Signal::SIGKILL)?;
        }
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        // It goes into the background, or ends at once where another process runs in its place.
        tokio::spawn(async move { child.wait().await });
        Ok(())
    }

    /// The command line that it was started with.
    fn words(self) -> io::Result<Vec<String>> {
        let octets = std::fs::read(format!("/proc/{}/cmdline", self.id()))?;
        let words = octets.get(..octets.len().min(COMMAND_LINE)).unwrap_or_default();
        let words = words.split(|octet| *octet == 0).filter(|word| !word.is_empty());
        Ok(words.map(|word| String::from_utf8_lossy(word).into_owned()).collect())
    }
}
