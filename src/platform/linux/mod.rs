//! Linux: netlink for state and events, `/proc/sys` for settings.

mod claim;
mod decode;
pub(crate) mod encode;
pub mod events;
mod facts;
pub mod identity;
pub mod kernel;
mod memory;
mod mend;
mod neighbors;
pub mod paths;
pub mod privileges;
mod process;
mod program;
mod scheduling;
pub(super) mod socket_options;
pub mod sysctl;
mod takeover;
mod timer;

use crate::core::capabilities::Capabilities;

pub use claim::{Claim, claim};
pub use events::Events;
pub use facts::facts;
pub use kernel::Kernel;
pub use memory::give_back_memory;
pub use neighbors::remedy_for_unsent;
pub use process::process_start;
pub use program::release_program_pages;
pub use scheduling::prefer_this_thread;
pub use sysctl::accepts_advertisements;
pub use timer::{Sleep, Timer, now};

/// What the kernel can do.
pub const CAPABILITIES: Capabilities = Capabilities::LINUX;

/// Our owner mark: the protocol of our routes (`proto 82` in `ip route`) and, as IFA_PROTO, of
/// our addresses.
pub const MARK: u8 = 82;
