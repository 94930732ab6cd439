//! FreeBSD 12.3 to 15: routing sockets for routes and events, ioctl(2) for addresses, sysctl(3) for
//! whole tables.
//!
//! | file | what it has |
//! | --- | --- |
//! | `abi`, `errno` | numbers and layouts |
//! | `sockaddr`, `ioctl`, `route_message`, `text` | octets to meaning and back |
//! | `system_calls` | the few calls that everything is made of |
//! | `kernel`, `addresses`, `leftover`, `kernel_made`, `routes`, `table` | who changes the kernel's state, and reads it whole |
//! | `events`, `look`, `watch` | who listens, and what has to be looked at by the clock |
//! | `host_uuid`, `icmpv6_filter` | forms that FreeBSD has of its own |
//! | `glue` | the calls themselves, on FreeBSD alone |
//!
//! All but the last compile on any system, and are tested against octets that FreeBSD 13.0's own
//! network code took and gave, and against a fake kernel that does as it does.

pub mod abi;
mod addresses;
pub mod errno;
pub mod events;
pub mod host_uuid;
pub mod icmpv6_filter;
pub mod ioctl;
pub mod kernel;
mod kernel_made;
mod leftover;
mod look;
pub mod route_message;
mod routes;
pub mod sockaddr;
pub mod system_calls;
mod table;
mod text;
mod watch;

#[cfg(target_os = "freebsd")]
mod glue;
#[cfg(target_os = "freebsd")]
pub use glue::*;

use crate::core::capabilities::Capabilities;

/// What the kernel can do.
pub const CAPABILITIES: Capabilities = Capabilities::FREEBSD;
