//! The control socket: one JSON request a connection, one JSON answer.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::warn;

use crate::core::status::Status;
use crate::core::uplink::lease::Feed;

/// A request longer than this is none.
const MAX_REQUEST: u64 = 32_768;
/// Who says nothing for so long is not listened to, and who does not read the answer in that time
/// has lost it.
const PATIENCE: Duration = Duration::from_secs(5);
/// So many can ask at a time; others are turned away.
const MAX_CONNECTIONS: usize = 32;
/// After a connection that could not be taken (no file descriptors are left) the next is tried so
/// much later.
const PAUSE: Duration = Duration::from_millis(100);

/// What can be asked of a running agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// What is it doing?
    Status,
    /// Refresh leases.
    Renew {
        /// Of this uplink; none for all.
        uplink: Option<String>,
    },
    /// Other static prefixes, all at once.
    Prefix {
        /// By name; null for none.
        set: BTreeMap<String, Option<Ipv6Net>>,
        /// The ones before stay, deprecated, until they run out.
        #[serde(default)]
        graceful: bool,
    },
    /// End a lease that was relayed here.
    Forget {
        /// What was delegated.
        prefix: Ipv6Net,
    },
    /// What a program holds that requests an uplink's lease.
    Feed {
        /// All of it.
        feed: Box<Feed>,
    },
    /// An uplink has connected anew.
    Linkup {
        /// The uplink.
        uplink: String,
    },
    /// Has every uplink what it needs, and the kernel what follows from it?
    Ready,
    /// Has it an address and a lease since it has?
    Connected {
        /// The uplink.
        uplink: String,
    },
}

/// What it answers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It will be done, or it is so.
    Done,
    /// See [`Request::Status`].
    Status(Box<Status>),
    /// Not yet, and what is missing.
    Waiting(String),
    /// It cannot be done, and why.
    Refused(String),
}

/// A request on its way to the loop, and where the answer goes.
pub type Pending = (Request, oneshot::Sender<Answer>);

/// The socket's path in a runtime directory.
pub fn path(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("control.sock")
}

/// Listens in `runtime_dir`, for root alone; requests come out of the receiver.
///
/// # Errors
///
/// When the socket cannot be made.
pub fn listen(runtime_dir: &Path) -> std::io::Result<mpsc::Receiver<Pending>> {
    let path = path(runtime_dir);
    // What a killed agent left behind answers nobody; a living one holds the lock of the state.
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    let (sender, receiver) = mpsc::channel(16);
    tokio::spawn(accept(listener, sender));
    Ok(receiver)
}

/// Takes connections for as long as the agent runs, whatever fails in between.
async fn accept(listener: UnixListener, sender: mpsc::Sender<Pending>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut is_failing = false;
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                if !std::mem::replace(&mut is_failing, true) {
                    warn!("the control socket takes no connection, tried again: {error}");
                }
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        is_failing = false;
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            turn_away(&stream);
            continue;
        };
        let sender = sender.clone();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(PATIENCE, serve(stream, sender)).await;
            drop(place);
        });
    }
}

/// Refuses without waiting for anybody.
fn turn_away(stream: &UnixStream) {
    let answer = Answer::Refused("too many ask at a time: try again".to_owned());
    if let Ok(mut text) = serde_json::to_vec(&answer) {
        text.push(b'\n');
        let _ = stream.try_write(&text);
    }
}

async fn serve(stream: UnixStream, sender: mpsc::Sender<Pending>) -> std::io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    BufReader::new(reader.take(MAX_REQUEST)).read_line(&mut line).await?;
    let answer = match serde_json::from_str(&line) {
        Ok(request) => {
            let (reply, answer) = oneshot::channel();
            let _ = sender.send((request, reply)).await;
            answer.await.unwrap_or_else(|_| Answer::Refused("the agent is stopping".to_owned()))
        }
        Err(error) => Answer::Refused(format!("not a request: {error}")),
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    writer.write_all(&text).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test);
    }

    async fn ask(dir: &Path) -> Answer {
        let mut stream = UnixStream::connect(path(dir)).await.unwrap();
        // One that is turned away has its answer before it asks.
        let _ = stream.write_all(b"{\"command\":\"status\"}\n").await;
        let mut text = String::new();
        BufReader::new(stream).read_line(&mut text).await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn connections_are_bounded_and_one_that_ends_makes_room() {
        run(async {
            let dir = tempfile::tempdir().unwrap();
            let mut requests = listen(dir.path()).unwrap();
            tokio::spawn(async move {
                while let Some((_, reply)) = requests.recv().await {
                    let _ = reply.send(Answer::Done);
                }
            });
            let mut silent = Vec::new();
            for _ in 0..MAX_CONNECTIONS {
                silent.push(UnixStream::connect(path(dir.path())).await.unwrap());
                tokio::task::yield_now().await;
            }
            assert!(matches!(ask(dir.path()).await, Answer::Refused(_)));
            silent.pop();
            while ask(dir.path()).await != Answer::Done {}
        });
    }
}
