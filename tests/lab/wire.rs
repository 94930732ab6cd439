//! What is on a link, with the time of each frame.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use renumberd::lab::observe::frame::Frame;
use renumberd::lab::observe::tap::Tap;
use renumberd::lab::site::frames::FrameSender;

use super::net::{Namespace, Place};

/// How soon a capture notices that it is over.
const TURN: Duration = Duration::from_millis(20);

/// A capture on one interface, both directions, from its start to its drop.
#[derive(Debug)]
pub struct Wire {
    seen: Arc<Seen>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Seen {
    frames: Mutex<Vec<Frame>>,
    more: Condvar,
    over: AtomicBool,
}

/// Opens an interface for frames of the test's own making.
pub fn open((namespace, interface): Place<'_>) -> FrameSender {
    FrameSender::open((namespace.handle(), interface)).unwrap()
}

/// Opens an interface to see all of its packets.
pub fn tap((namespace, interface): Place<'_>) -> Tap {
    namespace.inside(|| Tap::on(interface).unwrap())
}

impl Wire {
    pub fn capture(namespace: &Namespace, interface: &str) -> Self {
        let tap = tap((namespace, interface));
        let seen = Arc::new(Seen::default());
        let shared = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            while !shared.over.load(Ordering::Relaxed) {
                if let Some(frame) = tap.wait(TURN).unwrap() {
                    shared.add(frame);
                }
            }
        });
        Self { seen, thread: Some(thread) }
    }

    /// All frames so far.
    pub fn frames(&self) -> Vec<Frame> {
        self.seen.frames.lock().unwrap().clone()
    }

    /// How many frames since `since` (a time of [`sys::monotonic`]) are like that.
    pub fn count(&self, since: Duration, like: impl Fn(&Frame) -> bool) -> usize {
        self.frames().iter().filter(|frame| frame.at >= since && like(frame)).count()
    }

    /// Waits for a frame like that, seen since the capture began.
    ///
    /// # Panics
    ///
    /// When none comes within `timeout`.
    pub fn wait_for(&self, what: &str, timeout: Duration, like: impl Fn(&Frame) -> bool) -> Frame {
        let until = Instant::now() + timeout;
        let mut frames = self.seen.frames.lock().unwrap();
        loop {
            if let Some(found) = frames.iter().find(|frame| like(frame)) {
                return found.clone();
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let all = frames.len();
                drop(frames);
                panic!("not on the wire within {timeout:?}, among {all} frames: {what}");
            }
            frames = self.seen.more.wait_timeout(frames, left).unwrap().0;
        }
    }
}

impl Seen {
    fn add(&self, frame: Frame) {
        self.frames.lock().unwrap().push(frame);
        self.more.notify_all();
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.seen.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
