//! The calls themselves: what only FreeBSD can compile. Nothing of it has been run by the authors.

mod calls;
mod claim;
pub mod identity;
pub mod paths;
pub mod privileges;
mod process;
pub(in crate::platform) mod socket_options;
mod sysctl;
mod timer;
mod wakeup;

pub use calls::{Events, Kernel, accepts_advertisements};
pub use claim::{Claim, claim};
pub use process::{prefer_this_thread, process_start, release_program_pages};
pub use timer::{Sleep, Timer, now};

use std::io;

use crate::platform::facts::Facts;

/// What this machine is like: little of it is read on this system.
pub fn facts() -> Facts {
    Facts::default()
}

/// Gives free memory back to the system: the C library does that by itself.
pub const fn give_back_memory() {}

/// What an operator can do about packets that are not sent for `error`, where something is known to
/// help.
pub fn remedy_for_unsent(error: &io::Error) -> Option<&'static str> {
    let is_without_prefix =
        matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::EHOSTUNREACH));
    is_without_prefix.then_some(
        "see by `netstat -rn -f inet6` whether the route to the link is there: `ndp -P` and some \
         programs take those of all interfaces away; set the address anew then",
    )
}
