//! One descriptor that is readable for a socket and for the clock: kqueue(2).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};

/// The one timer of a queue.
const TIMER: usize = 1;
const NO_WAIT: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 0 };

/// A queue of events with one timer.
#[derive(Debug)]
pub(super) struct Wakeup(Kqueue);

impl Wakeup {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self(Kqueue::new()?))
    }

    /// Becomes readable while `source` is.
    pub(super) fn watch(&self, source: &impl AsRawFd) -> io::Result<()> {
        let descriptor = usize::try_from(source.as_raw_fd()).map_err(io::Error::other)?;
        self.change(descriptor, EventFilter::EVFILT_READ, EvFlags::EV_ADD, FilterFlag::empty(), 0)
    }

    /// Becomes readable once after `delay`; that is counted while the machine runs.
    pub(super) fn after(&self, delay: Duration) -> io::Result<()> {
        let delay = isize::try_from(delay.as_micros()).unwrap_or(isize::MAX).max(1);
        let flags = EvFlags::EV_ADD | EvFlags::EV_ONESHOT;
        self.change(TIMER, EventFilter::EVFILT_TIMER, flags, FilterFlag::NOTE_USECONDS, delay)
    }

    /// Does not become readable by the timer.
    pub(super) fn never(&self) {
        // That there is no timer is an error of no consequence.
        let (filter, none) = (EventFilter::EVFILT_TIMER, FilterFlag::empty());
        let _ = self.change(TIMER, filter, EvFlags::EV_DELETE, none, 0);
    }

    /// Takes note of what has made it readable. A socket makes it so again as long as it is.
    pub(super) fn drain(&self) {
        let (filter, flags) = (EventFilter::EVFILT_TIMER, EvFlags::empty());
        let mut found = [KEvent::new(0, filter, flags, FilterFlag::empty(), 0, 0); 4];
        let _ = self.0.kevent(&[], &mut found, Some(NO_WAIT));
    }

    fn change(
        &self,
        ident: usize,
        filter: EventFilter,
        flags: EvFlags,
        more: FilterFlag,
        data: isize,
    ) -> io::Result<()> {
        let change = KEvent::new(ident, filter, flags, more, data, 0);
        self.0.kevent(&[change], &mut [], Some(NO_WAIT))?;
        Ok(())
    }
}

impl AsFd for Wakeup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
