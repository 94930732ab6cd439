//! Programs of other people, and ours, in a namespace.

use std::io::{BufRead as _, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::net::Namespace;
use super::{eventually, secs};

/// A running program; killed on drop, its output shown when the test fails.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: Arc<Mutex<Vec<String>>>,
}

/// Directories that a program believes to be its own, and where they really are.
#[derive(Clone, Debug, Default)]
pub struct Mounts(Vec<String>);

impl Mounts {
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
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Arc::new(Mutex::new(Vec::new()));
        collect(child.stdout.take().unwrap(), &log);
        collect(child.stderr.take().unwrap(), &log);
        Self { name: name.to_owned(), child, log }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
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
        matches!(self.child.try_wait(), Ok(None))
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        kill(pid, signal).unwrap_or_else(|error| panic!("{} {signal}: {error}", self.name));
    }

    /// Ends it with TERM, after 10 s with KILL, which is a failure.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        let start = Instant::now();
        while start.elapsed() < secs(10) {
            if let Ok(Some(status)) = self.child.try_wait() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{} does not end on TERM", self.name);
    }

    /// Ends it with KILL.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let status = self.child.wait().unwrap();
        assert!(status.signal().is_some(), "{} had ended before: {status}", self.name);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
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

fn collect(stream: impl Read + Send + 'static, log: &Arc<Mutex<Vec<String>>>) {
    let log = Arc::clone(log);
    std::thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n').map_while(Result::ok) {
            log.lock().unwrap().push(String::from_utf8_lossy(&line).into_owned());
        }
    });
}

/// Writes a file, its directory being there.
pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
