//! The system: sockets, kernel state, settings. The only code that knows which system it is.

#[cfg(target_os = "linux")]
pub mod linux;
pub mod sockets;

#[cfg(target_os = "linux")]
use linux::socket_options;
