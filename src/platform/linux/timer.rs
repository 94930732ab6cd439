//! The clock that counts suspend, a timer on it, and one that shows that the machine has slept.

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
    /// The system's error.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        Ok(Self { timer: TimerFd::new(ClockId::CLOCK_BOOTTIME, flags)?, armed: None })
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
        // The descriptor is nonblocking: it is no error if the timer has not expired after all.
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

/// A shorter sleep changes nothing of interest.
const SHORTEST_SLEEP: Duration = Duration::from_secs(2);
/// So far in the future it never expires: some three hundred years.
const NEVER: i64 = 10_000_000_000;

/// Tells that the machine has slept: the loop is woken when wall time has jumped, which it does then,
/// and the two clocks of the kernel say whether that was so.
#[derive(Debug)]
pub struct Sleep {
    timer: TimerFd,
    /// How long the machine has slept since it was started.
    known: Duration,
}

impl Sleep {
    /// Whatever was before does not count.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn new() -> io::Result<Self> {
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let timer = TimerFd::new(ClockId::CLOCK_REALTIME, flags)?;
        let absolute = TimerSetTimeFlags::TFD_TIMER_ABSTIME;
        let flags = absolute | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET;
        timer.set(Expiration::OneShot(TimeSpec::new(NEVER, 0)), flags)?;
        Ok(Self { timer, known: slept() })
    }

    /// Whether the machine has slept since this was asked last.
    pub fn is_over(&mut self) -> bool {
        let slept = slept();
        let is_over = slept >= self.known + SHORTEST_SLEEP;
        self.known = self.known.max(slept);
        is_over
    }

    /// Takes note that it has woken the loop.
    pub fn drain(&mut self) {
        // The cancellation is the purpose of this timer.
        let _ = self.timer.wait();
    }
}

/// How long the machine has slept since it was started, or less if this thread had to wait between
/// the two readings.
fn slept() -> Duration {
    let boot = now().since_boot();
    let awake = clock_gettime(Clock::CLOCK_MONOTONIC).map_or(boot, Duration::from);
    boot.saturating_sub(awake)
}

impl AsRawFd for Sleep {
    fn as_raw_fd(&self) -> RawFd {
        self.timer.as_fd().as_raw_fd()
    }
}

impl AsFd for Sleep {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.timer.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_is_awake_has_not_slept() {
        let mut sleep = Sleep::new().unwrap();
        assert!(!sleep.is_over());
        sleep.drain();
        // As if the clocks had been read before a sleep.
        sleep.known = sleep.known.saturating_sub(Duration::from_secs(3600));
        assert_eq!(sleep.is_over(), slept() >= SHORTEST_SLEEP);
        assert!(!sleep.is_over(), "it is told once");
    }
}
