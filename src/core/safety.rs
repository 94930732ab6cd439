//! How safely the memory has to be stored before a packet leaves.
use serde::Serialize;

/// How safely the records before a packet have to be stored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Safety {
    /// The packet does not depend on them.
    NotNeeded,
    /// They survive the end of the process.
    Written,
    /// They survive the end of the machine.
    Synced,
}
