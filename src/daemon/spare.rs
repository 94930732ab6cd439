//! Memory that is free after much work: a change for thousands of bindings takes many times what it
//! leaves in use.

use crate::platform;

/// After so many steps and records there is memory worth giving back, which takes some milliseconds.
const MUCH_WORK: usize = 4096;

/// How much was done since memory was last given back to the system.
#[derive(Debug, Default)]
pub(super) struct Spare {
    done: usize,
}

impl Spare {
    /// Takes note of steps or records.
    pub(super) const fn note(&mut self, count: usize) {
        self.done = self.done.saturating_add(count);
    }

    /// Gives free memory back to the system, if much was done; to be called when nothing is left to do.
    pub(super) fn give_back(&mut self) {
        if self.done >= MUCH_WORK {
            self.done = 0;
            platform::give_back_memory();
        }
    }
}
