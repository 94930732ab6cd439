//! A very small HTTP server: it answers GET /metrics and nothing else.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{Mutex, Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use crate::config::Listen;
use crate::daemon::clock;
use crate::daemon::control::{Answer, Pending, Request};
use crate::time::Instant;

/// The longest request that is read, in octets.
const MAX_REQUEST: usize = 4096;
/// The longest time that a connection lasts.
const PATIENCE: Duration = Duration::from_secs(5);
/// The most connections that are served at a time; others are closed at once.
const MAX_CONNECTIONS: usize = 8;
/// A client that scrapes more often gets the same text again.
const FRESH: Duration = Duration::from_secs(1);
/// The pause before an address is tried again that cannot be listened on.
const RETRY: Duration = Duration::from_secs(5);
/// The pause after a connection that could not be taken.
const PAUSE: Duration = Duration::from_millis(100);

/// The endpoint of the metrics, if they are on.
#[derive(Debug, Default)]
pub(in crate::daemon) struct Endpoint {
    listen: Option<Listen>,
    task: Option<JoinHandle<()>>,
}

impl Endpoint {
    /// Listens at this address from here on, and at no other; requests to the loop go through
    /// `sender`.
    pub(in crate::daemon) fn follow(
        &mut self,
        listen: Option<&Listen>,
        sender: &mpsc::Sender<Pending>,
    ) {
        if self.listen.as_ref() == listen {
            return;
        }
        self.end();
        self.listen = listen.cloned();
        self.task = listen.map(|listen| tokio::spawn(serve(listen.clone(), sender.clone())));
    }

    /// Whether the metrics are on.
    pub(in crate::daemon) const fn is_on(&self) -> bool {
        self.listen.is_some()
    }

    /// Stops listening.
    pub(in crate::daemon) fn end(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
        if let Some(Listen::Socket(path)) = self.listen.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// A text, and the time when it was made.
type Scrape = (Instant, Arc<str>);

/// The state that all connections share.
#[derive(Clone)]
struct Shared {
    sender: mpsc::Sender<Pending>,
    last: Arc<Mutex<Option<Scrape>>>,
    room: Arc<Semaphore>,
}

/// Listens for as long as the metrics are on, and tries again where that fails.
async fn serve(listen: Listen, sender: mpsc::Sender<Pending>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let shared = Shared { sender, last: Arc::default(), room };
    let mut is_failing = false;
    loop {
        let result = match &listen {
            Listen::Address(address) => serve_address(*address, &shared).await,
            Listen::Socket(path) => serve_socket(path, &shared).await,
        };
        if let Err(error) = result
            && !std::mem::replace(&mut is_failing, true)
        {
            warn!("metrics cannot be served at {listen}, tried again: {error}");
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn serve_address(address: SocketAddr, shared: &Shared) -> io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    info!("metrics are served at http://{}/metrics", listener.local_addr()?);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => shared.take(stream),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

async fn serve_socket(path: &str, shared: &Shared) -> io::Result<()> {
    // No agent answers at the socket that a killed one left behind.
    if std::os::unix::net::UnixStream::connect(path).is_err() {
        let is_socket = std::fs::symlink_metadata(path)
            .is_ok_and(|found| std::os::unix::fs::FileTypeExt::is_socket(&found.file_type()));
        if is_socket {
            std::fs::remove_file(path)?;
        }
    }
    let listener = UnixListener::bind(path)?;
    info!("metrics are served at {path}");
    loop {
        match listener.accept().await {
            Ok((stream, _)) => shared.take(stream),
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

impl Shared {
    /// Serves a connection, or closes it where there are too many.
    fn take<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(&self, stream: S) {
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else { return };
        let shared = self.clone();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(PATIENCE, shared.answer(stream)).await;
            drop(place);
        });
    }

    async fn answer<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S) -> io::Result<()> {
        let Some(line) = request_line(&mut stream).await? else { return Ok(()) };
        let (status, kind, body) = match parse(&line) {
            Asked::Metrics => match self.text().await {
                Some(text) => ("200 OK", OPENMETRICS, text),
                None => ("503 Service Unavailable", PLAIN, "the agent is stopping\n".into()),
            },
            Asked::Elsewhere => ("404 Not Found", PLAIN, "the metrics are at /metrics\n".into()),
            Asked::OtherMethod => ("405 Method Not Allowed", PLAIN, "GET alone\n".into()),
            Asked::Nothing => ("400 Bad Request", PLAIN, "this is no HTTP request\n".into()),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: \
             close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(body.as_bytes()).await?;
        stream.shutdown().await
    }

    /// The metrics, rendered once for all clients that ask at the same time.
    async fn text(&self) -> Option<Arc<str>> {
        let mut last = self.last.lock().await;
        if let Some((at, text)) = last.as_ref()
            && clock::now().since(*at) < FRESH
        {
            return Some(Arc::clone(text));
        }
        let (reply, answer) = oneshot::channel();
        self.sender.send((Request::Metrics, reply)).await.ok()?;
        let Ok(Answer::Metrics(text)) = answer.await else { return None };
        let text: Arc<str> = text.into();
        *last = Some((clock::now(), Arc::clone(&text)));
        Some(text)
    }
}

const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// The first line of a request, when its head is complete; none where nothing came.
async fn request_line<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    let mut octets = [0; 1024];
    loop {
        let count = stream.read(&mut octets).await?;
        head.extend(octets.iter().take(count));
        let is_whole = head.windows(4).any(|four| four == b"\r\n\r\n")
            || head.windows(2).any(|two| two == b"\n\n");
        if is_whole || count == 0 || head.len() >= MAX_REQUEST {
            let line = head.split(|octet| *octet == b'\n').next().unwrap_or_default();
            return Ok((!head.is_empty()).then(|| line.to_vec()));
        }
    }
}

/// The meaning of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    Metrics,
    Elsewhere,
    OtherMethod,
    Nothing,
}

/// Reads a request line (RFC 9112 §3).
fn parse(line: &[u8]) -> Asked {
    let Ok(line) = std::str::from_utf8(line) else { return Asked::Nothing };
    let mut words = line.split_ascii_whitespace();
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Asked::Nothing;
    };
    if !version.starts_with("HTTP/1.") {
        return Asked::Nothing;
    }
    let path = target.split('?').next().unwrap_or_default();
    match (method, path) {
        ("GET", "/metrics") => Asked::Metrics,
        ("GET", _) => Asked::Elsewhere,
        (_, _) => Asked::OtherMethod,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_but_the_metrics_is_served() {
        let cases: [(&[u8], Asked); 8] = [
            (b"GET /metrics HTTP/1.1\r", Asked::Metrics),
            (b"GET /metrics?x=y HTTP/1.0", Asked::Metrics),
            (b"GET / HTTP/1.1", Asked::Elsewhere),
            (b"GET /metrics/../secret HTTP/1.1", Asked::Elsewhere),
            (b"POST /metrics HTTP/1.1", Asked::OtherMethod),
            (b"GET /metrics", Asked::Nothing),
            (b"GET /metrics SMTP/1.1 more", Asked::Nothing),
            (b"\xff\xfe", Asked::Nothing),
        ];
        for (line, asked) in cases {
            assert_eq!(parse(line), asked, "{line:?}");
        }
    }

    /// Who asks often has the loop bothered once, and who asks for nothing holds nobody up.
    #[tokio::test(flavor = "current_thread")]
    async fn scrapes_are_shared_and_connections_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("metrics.sock");
        let path = path.to_str().unwrap().to_owned();
        let (sender, mut requests) = mpsc::channel(1);
        let mut endpoint = Endpoint::default();
        endpoint.follow(Some(&Listen::Socket(path.clone())), &sender);
        let asked = Arc::new(Mutex::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Some((request, reply)) = requests.recv().await {
                assert_eq!(request, Request::Metrics);
                *count.lock().await += 1;
                let _ = reply.send(Answer::Metrics("# EOF\n".to_owned()));
            }
        });
        while !std::path::Path::new(&path).exists() {
            tokio::task::yield_now().await;
        }
        let scrape = async |request: &[u8]| {
            let mut stream = tokio::net::UnixStream::connect(&path).await.unwrap();
            let _ = stream.write_all(request).await;
            let mut text = String::new();
            let _ = stream.read_to_string(&mut text).await;
            text
        };
        for _ in 0..3 {
            let text = scrape(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").await;
            assert!(
                text.starts_with("HTTP/1.1 200 OK") && text.ends_with("\r\n\r\n# EOF\n"),
                "{text}"
            );
        }
        assert_eq!(*asked.lock().await, 1);
        let long = [b'x'; MAX_REQUEST];
        assert!(scrape(&long).await.starts_with("HTTP/1.1 400"));
        let mut silent = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            silent.push(tokio::net::UnixStream::connect(&path).await.unwrap());
            tokio::task::yield_now().await;
        }
        assert_eq!(scrape(b"GET /metrics HTTP/1.1\r\n\r\n").await, "");
        endpoint.end();
        assert!(!std::path::Path::new(&path).exists());
    }
}
