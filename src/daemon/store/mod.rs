//! What outlives the process: the memory (outlives the machine too) and the record of what is ours
//! in the kernel (dies with the boot, as the kernel's state does).
//!
//! Both are files of JSON lines that are appended to and now and then written anew. A line that
//! is torn or not understood is passed over with one complaint, and kept aside: nothing in a file
//! can keep the agent from starting, and nothing in it is thrown away unread.

mod compaction;
mod file;
mod journal;
mod ownership;

pub use compaction::{Snapshot, Synced, Unsynced};
pub use journal::Journal;
pub use ownership::Ownership;
