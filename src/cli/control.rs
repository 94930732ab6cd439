//! Requests to a running agent.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, ErrorKind, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use ipnet::Ipv6Net;
use socket2::{Domain, SockAddr, Socket, Type};
use thiserror::Error;

use super::rtsold;
use crate::core::status::Status;
use crate::core::uplink::lease::Feed;
use crate::daemon::clock;
use crate::daemon::control::{self, Answer, Request};

/// An agent that does not answer in this time hangs.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two questions whether an uplink is connected.
const PAUSE: Duration = Duration::from_millis(100);

/// The directory of the agent that is meant by `runtime_dir`: where none has its socket there, the one
/// below it of a host, if there is no other ([`rtsold`](super::rtsold)).
pub fn directory(runtime_dir: &Path) -> PathBuf {
    let has_agent = |directory: &Path| control::path(directory).exists();
    if has_agent(runtime_dir) {
        return runtime_dir.to_owned();
    }
    let entries = std::fs::read_dir(runtime_dir).into_iter().flatten().flatten();
    let directories = entries.map(|entry| entry.path());
    let mut hosts = directories.filter(|path| rtsold::is_host(path) && has_agent(path));
    match (hosts.next(), hosts.next()) {
        (Some(only), None) => only,
        (None, _) | (Some(_), Some(_)) => runtime_dir.to_owned(),
    }
}

/// What the agent is doing; `most` as in [`Request::Status`].
///
/// # Errors
///
/// When no agent answers.
pub fn status(runtime_dir: &Path, most: Option<usize>) -> anyhow::Result<Status> {
    match ask(runtime_dir, &Request::Status { most })? {
        Answer::Status(status) => Ok(*status),
        Answer::Refused(why) => bail!("{why}"),
        Answer::Done | Answer::Metrics(_) | Answer::Waiting(_) => {
            bail!("the agent answered something else")
        }
    }
}

/// Asks for a refresh of one uplink's lease, or of all.
///
/// # Errors
///
/// When no agent answers, or it has no such uplink.
pub fn renew(runtime_dir: &Path, uplink: Option<String>) -> anyhow::Result<()> {
    done(ask(runtime_dir, &Request::Renew { uplink })?)
}

/// Says that an uplink has connected anew.
///
/// # Errors
///
/// When no agent answers, or it has no such uplink.
pub fn linkup(runtime_dir: &Path, uplink: String) -> anyhow::Result<()> {
    done(ask(runtime_dir, &Request::Linkup { uplink })?)
}

/// Hands over what a program holds that requests an uplink's lease.
///
/// # Errors
///
/// When no agent answers, or it does not take that.
pub fn feed(runtime_dir: &Path, feed: Feed) -> anyhow::Result<()> {
    done(ask(runtime_dir, &Request::Feed { feed: Box::new(feed) })?)
}

/// Waits up to `wait` until all uplinks have what they need, and the kernel has all addresses and
/// routes; an agent that does not run yet may start meanwhile. Returns what is still missing then.
///
/// # Errors
///
/// When this user may not ask the agent, which no wait changes.
pub fn wait_ready(runtime_dir: &Path, wait: Duration) -> anyhow::Result<Option<String>> {
    let end = clock::now() + wait;
    loop {
        let missing = match ask(runtime_dir, &Request::Ready) {
            Ok(Answer::Done | Answer::Status(_) | Answer::Metrics(_)) => return Ok(None),
            Ok(Answer::Waiting(missing) | Answer::Refused(missing)) => missing,
            Err(error) if Unanswered::is_denied(&error) => return Err(error),
            Err(error) => format!("{error:#}"),
        };
        if clock::now() >= end {
            return Ok(Some(missing));
        }
        std::thread::sleep(PAUSE.min(end.since(clock::now())));
    }
}

/// Waits up to `wait` until an uplink has an address and a lease of its present connection. Returns
/// what is still missing then.
///
/// # Errors
///
/// When no agent answers, or it has no such uplink.
pub fn wait_connected(
    runtime_dir: &Path,
    uplink: &str,
    wait: Duration,
) -> anyhow::Result<Option<String>> {
    let end = clock::now() + wait;
    loop {
        match ask(runtime_dir, &Request::Connected { uplink: uplink.to_owned() })? {
            Answer::Done | Answer::Status(_) | Answer::Metrics(_) => return Ok(None),
            Answer::Refused(why) => bail!("{why}"),
            Answer::Waiting(missing) if clock::now() >= end => return Ok(Some(missing)),
            Answer::Waiting(_) => std::thread::sleep(PAUSE.min(end.since(clock::now()))),
        }
    }
}

/// Ends a lease that was relayed.
///
/// # Errors
///
/// When no agent answers, or it has relayed no such lease.
pub fn forget(runtime_dir: &Path, prefix: Ipv6Net) -> anyhow::Result<()> {
    done(ask(runtime_dir, &Request::Forget { prefix })?)
}

/// Puts other prefixes in the place of static ones.
///
/// # Errors
///
/// When no agent answers, or it has no such static prefix.
pub fn prefix(
    runtime_dir: &Path,
    set: BTreeMap<String, Option<Ipv6Net>>,
    graceful: bool,
) -> anyhow::Result<()> {
    done(ask(runtime_dir, &Request::Prefix { set, graceful })?)
}

fn done(answer: Answer) -> anyhow::Result<()> {
    match answer {
        Answer::Done | Answer::Status(_) | Answer::Metrics(_) | Answer::Waiting(_) => Ok(()),
        Answer::Refused(why) => bail!("{why}"),
    }
}

/// A connection on which nothing takes longer than [`PATIENCE`], not even to be taken.
fn connect(path: &Path) -> std::io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM.cloexec(), None)?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.connect(&SockAddr::unix(path)?)?;
    Ok(std::os::fd::OwnedFd::from(socket).into())
}

/// Why no agent answers at a socket, with the remedy.
#[derive(Debug, Error)]
pub enum Unanswered {
    /// No agent listens there.
    #[error(
        "no agent answers at {0}: none runs there; start its service, or renumberd run, or name \
         the directory of another with --runtime-dir"
    )]
    Absent(String),
    /// This user may not ask there, whether an agent listens or not.
    #[error("no agent answers at {0} to this user: ask as root, or as the user that it runs as")]
    Denied(String),
    /// It accepts no connection in time.
    #[error(
        "the agent at {0} takes no more questions: it hangs, or is asked by many; look at its log"
    )]
    Busy(String),
    /// Another error of the system.
    #[error("the agent at {0} cannot be asked: {1}")]
    Failed(String, std::io::Error),
}

impl Unanswered {
    fn new(path: &Path, error: std::io::Error) -> Self {
        let shown = path.display().to_string();
        let kind = error.kind();
        // A path that is none of a socket has no agent either.
        let is_absent = matches!(
            kind,
            ErrorKind::NotFound
                | ErrorKind::ConnectionRefused
                | ErrorKind::NotADirectory
                | ErrorKind::InvalidInput
        );
        if is_absent {
            Self::Absent(shown)
        } else if kind == ErrorKind::PermissionDenied {
            Self::Denied(shown)
        } else if matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut) {
            Self::Busy(shown)
        } else {
            Self::Failed(shown, error)
        }
    }

    /// Whether `error` says that this user may not ask.
    pub fn is_denied(error: &anyhow::Error) -> bool {
        matches!(error.downcast_ref(), Some(Self::Denied(_)))
    }
}

fn ask(runtime_dir: &Path, request: &Request) -> anyhow::Result<Answer> {
    let path = control::path(runtime_dir);
    let mut stream = connect(&path).map_err(|error| Unanswered::new(&path, error))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    // An agent that is asked by too many at a time says so and reads nothing.
    let written = stream.write_all(&line);
    let mut answer = String::new();
    let read = BufReader::new(stream).read_line(&mut answer);
    if answer.is_empty() {
        written.and(read).context("the agent does not answer: is it asked by many?")?;
    }
    serde_json::from_str(&answer).context("the agent's answer is not understood: another version?")
}
