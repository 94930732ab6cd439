//! The control socket: one JSON request a connection, one JSON answer.

use std::collections::{BTreeMap, VecDeque};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};
use socket2::{Domain, SockAddr, Socket, Type};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixListener;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use crate::core::status::Status;
use crate::core::uplink::lease::Feed;

/// The longest request that is read, in octets.
const MAX_REQUEST: u64 = 32_768;
/// How long a client may take to send its request, and to read the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most open connections whose request was not read yet; the newest takes the place of the
/// oldest.
const MAX_CONNECTIONS: usize = 32;
/// The most requests that wait for their answer. They are answered in the order of their arrival.
const MAX_REQUESTS: usize = 256;
/// How many connections are taken at once; then one is taken in each [`INTERVAL`]. A client that
/// floods the socket waits, and all others wait behind a short queue.
const BURST: u32 = 100;
const INTERVAL: Duration = Duration::from_millis(5);
/// The most connections in the kernel's queue; connect(2) itself waits where it is full.
const QUEUE: i32 = 32;
/// The pause after a connection that could not be taken because no file descriptors are left.
const PAUSE: Duration = Duration::from_millis(100);

/// A request to a running agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Request {
    /// The state of the agent.
    Status {
        /// The most bindings that are listed: of more than these only the number is given. None to
        /// have all listed.
        #[serde(default)]
        most: Option<usize>,
    },
    /// All metrics in the OpenMetrics text format.
    Metrics,
    /// Refresh leases.
    Renew {
        /// Of this uplink; none for all.
        uplink: Option<String>,
    },
    /// Set static prefixes, all at once.
    Prefix {
        /// By name; null for none.
        set: BTreeMap<String, Option<Ipv6Net>>,
        /// The earlier ones stay, deprecated, until they run out.
        #[serde(default)]
        graceful: bool,
    },
    /// End a lease that was relayed here.
    Forget {
        /// The delegated prefix.
        prefix: Ipv6Net,
    },
    /// A report of the program that requests an uplink's lease.
    Feed {
        /// The report.
        feed: Box<Feed>,
    },
    /// An uplink has connected anew.
    Linkup {
        /// The uplink.
        uplink: String,
    },
    /// Whether every uplink has what it needs, and the kernel all addresses and routes.
    Ready,
    /// Whether an uplink has an address and a lease of its present connection.
    Connected {
        /// The uplink.
        uplink: String,
    },
}

impl Request {
    /// The uplink of a report, if the request is one.
    pub(super) fn fed_uplink(&self) -> Option<&str> {
        if let Self::Feed { feed } = self { Some(&feed.interface) } else { None }
    }
}

/// The answer to a request.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The request will be carried out, or the condition holds.
    Done,
    /// See [`Request::Status`].
    Status(Box<Status>),
    /// See [`Request::Metrics`].
    Metrics(String),
    /// The condition does not hold yet; the text says what is missing.
    Waiting(String),
    /// The request is refused; the text says why.
    Refused(String),
}

/// A request on its way to the loop, and the sender of its answer.
pub type Pending = (Request, oneshot::Sender<Answer>);

/// The socket's path in a runtime directory.
pub fn path(runtime_dir: &Path) -> PathBuf {
    runtime_dir.join("control.sock")
}

/// A channel for requests to the loop.
pub fn requests() -> (mpsc::Sender<Pending>, mpsc::Receiver<Pending>) {
    mpsc::channel(16)
}

/// Listens in `runtime_dir`, for root alone, and hands requests on to `sender`.
///
/// # Errors
///
/// When the socket cannot be made.
pub fn listen(runtime_dir: &Path, sender: mpsc::Sender<Pending>) -> std::io::Result<()> {
    let path = path(runtime_dir);
    // No agent answers at the socket that a killed one left behind; a living one holds the lock of
    // the state.
    let _ = std::fs::remove_file(&path);
    let socket = Socket::new(Domain::UNIX, Type::STREAM.nonblocking().cloexec(), None)?;
    socket.bind(&SockAddr::unix(&path)?)?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))?;
    socket.listen(QUEUE)?;
    let listener = UnixListener::from_std(std::os::fd::OwnedFd::from(socket).into())?;
    tokio::spawn(accept(listener, sender));
    Ok(())
}

/// Takes connections for as long as the agent runs, whatever fails in between.
async fn accept(listener: UnixListener, sender: mpsc::Sender<Pending>) {
    let (mut asking, places) = (Room::default(), Arc::new(Semaphore::new(MAX_REQUESTS)));
    let mut pace = Pace::new();
    let mut is_failing = false;
    loop {
        pace.wait().await;
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
        let (sender, places, crowded) = (sender.clone(), Arc::clone(&places), asking.enter());
        tokio::spawn(tokio::time::timeout(PATIENCE, async move {
            let (reader, writer) = stream.into_split();
            let request = tokio::select! {
                biased;
                request = read(reader) => request,
                _ = crowded => return refuse(&writer),
            };
            match places.try_acquire() {
                Ok(_place) => drop(serve(request, writer, sender).await),
                Err(_) => refuse(&writer),
            }
        }));
        // This gives a client whose request has arrived already the time to be read.
        tokio::task::yield_now().await;
    }
}

/// Connections whose request was not read; the oldest ends where there are too many.
#[derive(Default)]
struct Room(VecDeque<oneshot::Sender<()>>);

impl Room {
    /// Adds a connection; the receiver that is returned resolves when the connection has to make
    /// room.
    fn enter(&mut self) -> oneshot::Receiver<()> {
        let (sender, crowded) = oneshot::channel();
        self.0.retain(|one| !one.is_closed());
        if self.0.len() >= MAX_CONNECTIONS {
            self.0.pop_front();
        }
        self.0.push_back(sender);
        crowded
    }
}

/// How fast connections are taken.
struct Pace {
    /// When the allowance is whole again.
    whole_at: Instant,
}

impl Pace {
    fn new() -> Self {
        Self { whole_at: Instant::now() }
    }

    /// Waits until the next connection may be taken.
    async fn wait(&mut self) {
        self.whole_at = self.whole_at.max(Instant::now()) + INTERVAL;
        if let Some(at) = self.whole_at.checked_sub(INTERVAL * BURST) {
            sleep_until(at).await;
        }
    }
}

/// Refuses without waiting for the client.
fn refuse(writer: &OwnedWriteHalf) {
    let answer = Answer::Refused("too many ask at a time: try again".to_owned());
    if let Ok(mut text) = serde_json::to_vec(&answer) {
        text.push(b'\n');
        let _ = writer.try_write(&text);
    }
}

/// The request of a connection; the inner error where the text is no request.
async fn read(reader: OwnedReadHalf) -> std::io::Result<Result<Request, String>> {
    let mut line = String::new();
    BufReader::new(reader.take(MAX_REQUEST)).read_line(&mut line).await?;
    Ok(serde_json::from_str(&line).map_err(|error| format!("not a request: {error}")))
}

async fn serve(
    request: std::io::Result<Result<Request, String>>,
    mut writer: OwnedWriteHalf,
    sender: mpsc::Sender<Pending>,
) -> std::io::Result<()> {
    let answer = match request? {
        Ok(request) => {
            let (reply, answer) = oneshot::channel();
            let _ = sender.send((request, reply)).await;
            answer.await.unwrap_or_else(|_| Answer::Refused("the agent is stopping".to_owned()))
        }
        Err(wrong) => Answer::Refused(wrong),
    };
    let mut text = serde_json::to_vec(&answer)?;
    text.push(b'\n');
    writer.write_all(&text).await
}

#[cfg(test)]
mod tests {
    use tokio::net::UnixStream;

    use super::*;

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test);
    }

    async fn ask(dir: &Path) -> Answer {
        let mut stream = UnixStream::connect(path(dir)).await.unwrap();
        let _ = stream.write_all(b"{\"command\":\"status\"}\n").await;
        let mut text = String::new();
        BufReader::new(stream).read_line(&mut text).await.unwrap();
        serde_json::from_str(&text).unwrap()
    }

    /// BKE-18: whoever says nothing, however often, keeps nobody else from an answer.
    #[test]
    fn connections_are_bounded_and_the_oldest_that_is_silent_makes_room() {
        run(async {
            let dir = tempfile::tempdir().unwrap();
            let (sender, mut requests) = requests();
            listen(dir.path(), sender).unwrap();
            tokio::spawn(async move {
                while let Some((_, reply)) = requests.recv().await {
                    let _ = reply.send(Answer::Done);
                }
            });
            let mut silent = Vec::new();
            for _ in 0..2 * MAX_CONNECTIONS {
                silent.push(UnixStream::connect(path(dir.path())).await.unwrap());
                tokio::task::yield_now().await;
            }
            assert_eq!(ask(dir.path()).await, Answer::Done);
            let mut text = String::new();
            BufReader::new(&mut silent[0]).read_line(&mut text).await.unwrap();
            assert!(text.contains("too many"), "{text}");
        });
    }

    /// BKE-18
    #[test]
    fn a_flood_of_connections_is_taken_at_a_bounded_pace() {
        run(async {
            let mut pace = Pace::new();
            let began = Instant::now();
            for _ in 0..BURST + 20 {
                pace.wait().await;
            }
            assert!(began.elapsed() >= INTERVAL * 19, "{:?}", began.elapsed());
        });
    }
}
