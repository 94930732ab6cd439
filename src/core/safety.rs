//! What a packet asks of the memory.
use serde::Serialize;

/// How safe what was to be remembered has to be before a packet leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Safety {
    /// The packet carries nothing of it.
    NotNeeded,
    /// It survives the end of the process.
    Written,
    /// It survives the end of the machine.
    Synced,
}
