//! FreeBSD: not yet. What would open something says so, and what would be used then cannot be
//! made: the rest of the program is held to compile for it.

pub mod identity;
pub mod paths;
pub(super) mod socket_options;

use std::io;
use std::net::Ipv6Addr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use crate::core::capabilities::Capabilities;
use crate::core::kernel::object::Refusal;
use crate::core::kernel::system::KernelEvent;
use crate::core::kernel::system::Neighbor;
use crate::core::kernel::system::System;
use crate::core::output::{Step, Sysctl};
use crate::net::IfIndex;
use crate::platform::Drained;
use crate::time::Instant;

/// What the kernel can do: its routes have weights in place of metrics, and may all have an end.
pub const CAPABILITIES: Capabilities =
    Capabilities { routes_have_metrics: false, unreachable_routes_end: true };

/// When the process with this id was started: cannot be told yet.
pub const fn process_start(_pid: u32) -> Option<u64> {
    None
}

/// Whether the kernel follows router advertisements on an interface: cannot be told yet.
pub const fn accepts_advertisements(_interface: &str) -> bool {
    false
}

fn not_yet() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "not yet supported on FreeBSD")
}

/// Asks and tells the kernel: cannot be made yet.
#[derive(Debug)]
pub enum Kernel {}

impl Kernel {
    /// Opens what asks, and what tells.
    ///
    /// # Errors
    ///
    /// Always: it is not yet supported.
    pub fn open() -> io::Result<(Self, Events)> {
        Err(not_yet())
    }

    /// Whether addresses are marked as ours.
    pub const fn set_address_mark(&mut self, _mark: bool) {
        match *self {}
    }

    /// The value of a setting of an interface.
    pub const fn setting(&self, _interface: &str, _name: Sysctl) -> Option<i32> {
        match *self {}
    }

    /// What the kernel has, whole.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub const fn dump(&mut self, _now: Instant) -> io::Result<System> {
        match *self {}
    }

    /// Takes the steps in their order; the positions of those refused, and why.
    pub const fn apply(&mut self, _now: Instant, _steps: &[Step]) -> Vec<(usize, Refusal)> {
        match *self {}
    }

    /// The IPv6 neighbors on an interface.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub const fn neighbors(&mut self, _interface: IfIndex) -> io::Result<Vec<Neighbor>> {
        match *self {}
    }

    /// The link-layer address of a neighbor, where the system knows it.
    pub const fn neighbor(&mut self, _interface: IfIndex, _address: Ipv6Addr) -> Option<Vec<u8>> {
        match *self {}
    }
}

/// Tells what happens: cannot be made yet.
#[derive(Debug)]
pub enum Events {}

impl Events {
    /// Keeps out what is told of routes that `asker` has changed.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub const fn leave_out_what_is_known_to(&self, _asker: &Kernel) -> io::Result<()> {
        match *self {}
    }

    /// Reads what there is into `events`.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub const fn read(
        &mut self,
        _now: Instant,
        _events: &mut Vec<KernelEvent>,
    ) -> io::Result<Drained> {
        match *self {}
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        match *self {}
    }
}

/// The present, on the clock that runs while the machine is up.
pub fn now() -> Instant {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC);
    Instant::from_boot(time.map_or(Duration::ZERO, Duration::from))
}

/// Wakes the loop at an instant: cannot be made yet.
#[derive(Debug)]
pub enum Timer {}

impl Timer {
    /// A timer that is not armed.
    ///
    /// # Errors
    ///
    /// Always: it is not yet supported.
    pub fn new() -> io::Result<Self> {
        Err(not_yet())
    }

    /// Wakes at `at`, or never.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub const fn set(&mut self, _at: Option<Instant>) -> io::Result<()> {
        match *self {}
    }

    /// Takes note that it has woken the loop.
    pub const fn drain(&mut self) {
        match *self {}
    }
}

impl AsFd for Timer {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}

impl AsRawFd for Timer {
    fn as_raw_fd(&self) -> RawFd {
        match *self {}
    }
}

/// Tells that the machine has slept: cannot be made yet.
#[derive(Debug)]
pub enum Sleep {}

impl Sleep {
    /// Whatever was before does not count.
    ///
    /// # Errors
    ///
    /// Always: it is not yet supported.
    pub fn new() -> io::Result<Self> {
        Err(not_yet())
    }

    /// Whether the machine has slept since this was asked last.
    pub const fn is_over(&mut self) -> bool {
        match *self {}
    }

    /// Takes note that it has woken the loop.
    pub const fn drain(&mut self) {
        match *self {}
    }
}

impl AsFd for Sleep {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match *self {}
    }
}

impl AsRawFd for Sleep {
    fn as_raw_fd(&self) -> RawFd {
        match *self {}
    }
}

/// Lets the calling thread run before all that is not real-time.
///
/// # Errors
///
/// Always: it is not yet supported.
pub fn prefer_this_thread() -> io::Result<()> {
    Err(not_yet())
}

/// What an operator can do about packets that are not sent for `error`: nothing is known yet.
pub const fn remedy_for_unsent(_error: &io::Error) -> Option<&'static str> {
    None
}
