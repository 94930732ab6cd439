//! The system: sockets, kernel state, settings. The only code that knows which system it is.

#[cfg(target_os = "linux")]
pub mod linux;
pub mod sockets;

#[cfg(target_os = "linux")]
use linux::socket_options;

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use tokio::io::unix::AsyncFd;

/// Lets the event loop watch a descriptor.
///
/// # Errors
///
/// What the system says.
pub fn watch<T: AsFd + AsRawFd>(owner: T) -> io::Result<AsyncFd<T>> {
    #[expect(unsafe_code, reason = "what implements AsFd keeps its descriptor open while it lives")]
    let watched = unsafe { AsyncFd::register(owner) };
    watched.map_err(Into::into)
}
