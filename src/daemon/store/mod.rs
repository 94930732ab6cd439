//! The data that outlive the process: the memory (which outlives the machine too), and the record
//! of our objects in the kernel (which ends with the boot, as the kernel's state does).
//!
//! Both are files of JSON lines that are appended to and now and then written anew. A line that is
//! torn or cannot be read is skipped with one complaint, and kept aside: no content of a file can
//! keep the agent from starting, and none is thrown away unread.

mod compaction;
mod file;
mod journal;
mod ownership;

pub use compaction::{Snapshot, Synced, Unsynced};
pub use journal::Journal;
pub use ownership::Ownership;
