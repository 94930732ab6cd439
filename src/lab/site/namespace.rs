//! Network namespaces without names: each lives as long as its handle, or a process in it.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getegid, geteuid};

use crate::daemon::clock;

/// Killed processes are gone within this time.
const ENDING_PATIENCE: Duration = Duration::from_secs(10);

/// Makes this process root of a user namespace of its own, where it is not root already. To be
/// called before there is a second thread.
///
/// # Errors
///
/// When the system allows namespaces to root alone, with the remedy.
pub fn become_root() -> anyhow::Result<()> {
    let (user, group) = (geteuid(), getegid());
    if user.is_root() {
        return Ok(());
    }
    unshare(CloneFlags::CLONE_NEWUSER).context(
        "this system allows no user namespaces: run it as root, or allow them (sysctl \
         kernel.unprivileged_userns_clone=1 on Debian, \
         kernel.apparmor_restrict_unprivileged_userns=0 on Ubuntu)",
    )?;
    let map = |file: &str, text: String| {
        fs::write(format!("/proc/self/{file}"), text)
            .with_context(|| format!("the new user namespace refuses its {file}: run it as root"))
    };
    map("setgroups", "deny".to_owned())?;
    map("uid_map", format!("0 {user} 1"))?;
    map("gid_map", format!("0 {group} 1"))
}

/// Makes sure that processes here can become any user, as daemons of other people do.
///
/// # Errors
///
/// When this is a user namespace with a single user, with the remedy.
pub fn has_users(what: &str) -> anyhow::Result<()> {
    let map = fs::read_to_string("/proc/self/uid_map")?;
    let users = map.lines().filter_map(|line| line.split_whitespace().nth(2)?.parse::<u64>().ok());
    ensure!(users.sum::<u64>() > 1, "{what} needs root: its programs become other users");
    Ok(())
}

/// A network namespace; it vanishes with its interfaces when all its handles are closed and the
/// last process in it has ended, however the process that made it ends.
#[derive(Clone, Debug)]
pub struct Namespace {
    handle: Arc<File>,
}

impl Namespace {
    /// Makes an empty one.
    ///
    /// # Errors
    ///
    /// When the system refuses, with the remedy.
    pub fn new() -> anyhow::Result<Self> {
        let made = on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        });
        let handle = made.context("network namespaces need root, or a user namespace")?;
        Ok(Self { handle: Arc::new(handle) })
    }

    /// The namespace at a [`path`](Self::path).
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { handle: Arc::new(File::open(path)?) })
    }

    /// Runs `work` inside. Sockets that it opens stay inside, whichever thread uses them.
    ///
    /// # Errors
    ///
    /// When the namespace cannot be entered, or what `work` says.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        on_a_thread(|| {
            self.enter()?;
            work()
        })
    }

    /// Moves the calling thread inside, for good.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn enter(&self) -> io::Result<()> {
        Ok(setns(&self.handle, CloneFlags::CLONE_NEWNET)?)
    }

    /// A command that will run inside, as the very process that is started.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program);
        command
    }

    /// Where another process finds it while this one lives.
    pub fn path(&self) -> PathBuf {
        format!("/proc/{}/fd/{}", std::process::id(), self.handle.as_raw_fd()).into()
    }

    /// The handle, to say of a cable where its far end is.
    pub fn raw(&self) -> i32 {
        self.handle.as_raw_fd()
    }

    /// The processes inside.
    ///
    /// # Errors
    ///
    /// When the handle or the list of processes cannot be read.
    pub fn processes(&self) -> io::Result<Vec<Pid>> {
        let own = self.handle.metadata()?;
        let is_inside = |pid: &i32| {
            // A process that ends meanwhile is not inside.
            fs::metadata(format!("/proc/{pid}/ns/net"))
                .is_ok_and(|found| (found.dev(), found.ino()) == (own.dev(), own.ino()))
        };
        let entries = fs::read_dir("/proc")?.filter_map(Result::ok);
        let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        Ok(pids.filter(is_inside).map(Pid::from_raw).collect())
    }

    /// Kills the processes inside, also those that programs have left in the background, and
    /// waits until they are gone.
    ///
    /// # Errors
    ///
    /// When the list of processes cannot be read, or one is still there in the end.
    pub fn end_processes(&self) -> io::Result<()> {
        let begun = clock::now();
        loop {
            let inside = self.processes()?;
            if inside.is_empty() {
                return Ok(());
            }
            if clock::now().since(begun) > ENDING_PATIENCE {
                return Err(io::Error::other(format!("processes do not end: {inside:?}")));
            }
            for pid in inside {
                // It may have ended by itself.
                let _ = kill(pid, Signal::SIGKILL);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sets `net.ipv6.conf.<interface>.<name>`.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn sysctl(&self, interface: &str, name: &str, value: i32) -> anyhow::Result<()> {
        let path = format!("/proc/sys/net/ipv6/conf/{interface}/{name}");
        self.run(|| fs::write(&path, value.to_string()))
            .with_context(|| format!("cannot write {path}: is IPv6 switched off?"))
    }
}

/// A namespace is entered by a thread alone, which then ends.
fn on_a_thread<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| {
        let joined = scope.spawn(work).join();
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
