//! Free memory after much work: a change for thousands of bindings takes many times the memory that
//! is in use afterwards.

use crate::platform;

/// The number of steps and records after which giving memory back, which takes some milliseconds,
/// is worthwhile.
const MUCH_WORK: usize = 4096;

/// The amount of work since memory was last given back to the system.
#[derive(Debug, Default)]
pub(super) struct Spare {
    done: usize,
}

impl Spare {
    /// Counts steps or records.
    pub(super) const fn note(&mut self, count: usize) {
        self.done = self.done.saturating_add(count);
    }

    /// Gives free memory back to the system, if there was much work; to be called when none is
    /// left.
    pub(super) fn give_back(&mut self) {
        if self.done >= MUCH_WORK {
            self.done = 0;
            platform::give_back_memory();
        }
    }
}
