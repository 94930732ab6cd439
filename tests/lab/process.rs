//! Programs of other people, and ours, in a namespace.

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::Signal;
use renumberd::lab::site::private::{self, Private};
use renumberd::lab::site::process;

use super::net::Namespace;
use super::{eventually, secs};

/// A running program; killed on drop, its output shown when the test fails.
#[derive(Debug)]
pub struct Process {
    name: String,
    inner: process::Process,
}

/// Directories that a program believes to be its own, and where they really are.
#[derive(Clone, Debug, Default)]
pub struct Mounts(Vec<String>);

impl Mounts {
    /// Directories of its own wherever programs of other people write: whatever they do, the
    /// machine's files stay as they are. `dhcpcd -N` alone, which starts one where none runs, has
    /// the machine's resolv.conf written anew.
    pub fn private(directory: &Path) -> Self {
        Private::create(directory.to_owned()).unwrap();
        let with = |mounts: Self, own| mounts.with(directory.join(own), Path::new("/").join(own));
        private::OWN.into_iter().fold(Self::default(), with)
    }

    /// Shows the program `real` where it looks for `fixed`.
    #[must_use]
    pub fn with(mut self, real: impl AsRef<Path>, fixed: impl AsRef<Path>) -> Self {
        let (real, fixed) = (real.as_ref().display(), fixed.as_ref().display());
        self.0.push(format!("mount --bind {real} {fixed}"));
        self
    }

    /// Lets the program not write below `path`.
    #[must_use]
    pub fn read_only(mut self, path: &str) -> Self {
        self.0.push(format!("mount --bind -o ro {path} {path}"));
        self
    }

    /// A command in `namespace` that sees these directories.
    pub fn command(&self, namespace: &Namespace, program: &str) -> Command {
        if self.0.is_empty() {
            return namespace.command(program);
        }
        let mounted = self.0.join(" && ");
        let mut command = namespace.command("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c"]);
        command.arg(format!("{mounted} && exec \"$0\" \"$@\"")).arg(program);
        command
    }
}

impl Process {
    /// Starts `command`; `name` marks its lines.
    pub fn start(name: &str, command: &mut Command) -> Self {
        Self { name: name.to_owned(), inner: process::Process::start_kept(command).unwrap() }
    }

    pub fn pid(&self) -> u32 {
        self.inner.child.id()
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.inner.lines()
    }

    /// Waits for a line that holds `text`.
    pub fn wait_for_log(&mut self, text: &str, timeout: Duration) -> String {
        let what = format!("{} says {text:?}", self.name);
        eventually(&what, timeout, || {
            let found = self.lines().into_iter().find(|line| line.contains(text));
            assert!(found.is_some() || self.running(), "{}: ended before {text:?}", self.name);
            found
        })
    }

    pub fn running(&mut self) -> bool {
        self.inner.is_running()
    }

    pub fn signal(&self, signal: Signal) {
        self.inner.signal(signal).unwrap_or_else(|error| panic!("{} {signal}: {error}", self.name));
    }

    /// Ends it with TERM; not to end on it is a failure.
    pub fn stop(&mut self) -> ExitStatus {
        let stopped = self.inner.stop(secs(10)).unwrap();
        stopped.unwrap_or_else(|| panic!("{} does not end on TERM", self.name))
    }

    /// Ends it with TERM, and with KILL where it hangs: dhcpcd 9.4.1 does so now and then.
    pub fn end(&mut self) {
        if self.inner.stop(secs(10)).unwrap().is_none() {
            self.inner.kill().unwrap();
        }
    }

    /// Ends it with KILL.
    pub fn kill(&mut self) {
        let status = self.inner.kill().unwrap();
        assert!(status.signal().is_some(), "{} had ended before: {status}", self.name);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.inner.kill();
        if std::thread::panicking() {
            let lines = self.lines();
            let first = lines.len().saturating_sub(60);
            eprintln!("--- {} (from line {first} on)", self.name);
            for line in &lines[first..] {
                eprintln!("{}: {line}", self.name);
            }
        }
    }
}

/// Writes a file, its directory being there.
pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
