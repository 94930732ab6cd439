//! The clock, and a timer on it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::wakeup::Wakeup;
use crate::time::Instant;

/// The present, on the clock that the kernel counts lifetimes of addresses on. FreeBSD has none
/// that counts suspend: after a resume it sets the wall clock, as an operator may at any time.
pub fn now() -> Instant {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC);
    Instant::from_boot(time.map_or(Duration::ZERO, Duration::from))
}

/// Wakes the loop at an instant.
#[derive(Debug)]
pub struct Timer {
    wakeup: Wakeup,
    armed: Option<Instant>,
}

impl Timer {
    /// A timer that is not armed.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn new() -> io::Result<Self> {
        Ok(Self { wakeup: Wakeup::new()?, armed: None })
    }

    /// Wakes at `at`, or never; costs nothing where that is so already.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn set(&mut self, at: Option<Instant>) -> io::Result<()> {
        if self.armed == at {
            return Ok(());
        }
        match at {
            Some(at) => self.wakeup.after(at.since(now()))?,
            None => self.wakeup.never(),
        }
        self.armed = at;
        Ok(())
    }

    /// Takes note that it has woken the loop.
    pub fn drain(&mut self) {
        self.wakeup.drain();
        self.armed = None;
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wakeup.as_fd()
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

/// A shorter sleep changes nothing of interest.
const SHORTEST_SLEEP: Duration = Duration::from_secs(2);

/// Shows that the machine has slept. FreeBSD sets the wall clock forward then, while the other one
/// has stood still; an operator who sets the time does the same, and routers are solicited once too
/// often for that. Nothing wakes the loop for it.
#[derive(Debug)]
pub struct Sleep {
    wakeup: Wakeup,
    /// How far the wall clock was before the other one.
    known: Duration,
}

impl Sleep {
    /// Whatever was before does not count.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn new() -> io::Result<Self> {
        Ok(Self { wakeup: Wakeup::new()?, known: lead() })
    }

    /// Whether the machine has slept since this was asked last.
    pub fn is_over(&mut self) -> bool {
        let lead = lead();
        let is_over = lead >= self.known + SHORTEST_SLEEP;
        self.known = lead;
        is_over
    }

    /// Takes note that it has woken the loop.
    pub fn drain(&mut self) {
        self.wakeup.drain();
    }
}

/// How far the wall clock is before the other one.
fn lead() -> Duration {
    let wall = clock_gettime(ClockId::CLOCK_REALTIME);
    wall.map_or(Duration::ZERO, Duration::from).saturating_sub(now().since_boot())
}

impl AsFd for Sleep {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wakeup.as_fd()
    }
}

impl AsRawFd for Sleep {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
