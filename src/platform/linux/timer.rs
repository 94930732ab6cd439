//! The clock that counts suspend, and a timer on it.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use nix::time::{ClockId as Clock, clock_gettime};

use crate::time::Instant;

/// The present, on the clock that counts suspend.
pub fn now() -> Instant {
    // The call cannot fail for a clock that the kernel has had since 2.6.39.
    let time = clock_gettime(Clock::CLOCK_BOOTTIME).unwrap_or(TimeSpec::new(0, 0));
    Instant::from_boot(Duration::from(time))
}

/// Wakes the loop at an instant, also when the machine slept on the way.
#[derive(Debug)]
pub struct Timer {
    timer: TimerFd,
    armed: Option<Instant>,
}

impl Timer {
    /// A timer that is not armed.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Ok(Self { timer: TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?, armed: None })
    }

    /// Wakes at `at`, or never; costs nothing where that is so already.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn set(&mut self, at: Option<Instant>) -> io::Result<()> {
        if self.armed == at {
            return Ok(());
        }
        match at {
            Some(at) => {
                // Zero would disarm it.
                let time = TimeSpec::from(at.since_boot().max(Duration::from_nanos(1)));
                let absolute = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
                self.timer.set(Expiration::OneShot(time), absolute)?;
            }
            None => self.timer.unset()?,
        }
        self.armed = at;
        Ok(())
    }

    /// Takes note that it has woken the loop.
    pub fn drain(&mut self) {
        // Nonblocking: that it has not expired after all is an error of no consequence.
        let _ = self.timer.wait();
        self.armed = None;
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        self.timer.as_fd().as_raw_fd()
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}
