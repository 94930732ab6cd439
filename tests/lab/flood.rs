//! A local program that floods the agent, and what that costs.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// So many threads write at a time.
const THREADS: usize = 4;

/// Requests in turn, each by a connection of its own, whose answers nobody reads.
#[derive(Debug)]
pub struct Flood {
    is_over: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Flood {
    /// Starts it at the socket `path`.
    pub fn start(path: &Path, requests: [String; 2]) -> Self {
        let (is_over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let threads = (0..THREADS).map(|_| {
            let (is_over, sent) = (Arc::clone(&is_over), Arc::clone(&sent));
            let (path, requests) = (path.to_owned(), requests.clone());
            std::thread::spawn(move || {
                for request in requests.iter().cycle() {
                    if is_over.load(Ordering::Relaxed) {
                        break;
                    }
                    let stream = UnixStream::connect(&path);
                    if stream.and_then(|mut stream| stream.write_all(request.as_bytes())).is_ok() {
                        sent.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        });
        let threads = threads.collect();
        Self { is_over, sent, threads }
    }

    /// Ends it; how many requests were written.
    pub fn end(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.sent.load(Ordering::Relaxed)
    }
}

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Processor time.
    pub processor: Duration,
    /// Resident memory, in KiB.
    pub memory: u64,
}

impl Usage {
    pub fn of(pid: u32) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        let number = |at: usize| fields[at].parse::<u64>().unwrap();
        // Fields 14, 15 and 24 of proc(5), of which the third is the first here; ticks are 10 ms.
        let processor = Duration::from_millis((number(11) + number(12)) * 10);
        Self { processor, memory: number(21) * 4 }
    }
}
