//! House rules: who may run the laboratory, and how many tests at once.

use std::sync::{Condvar, Mutex, Once};

/// So many tests have namespaces at the same time; RENUMBERD_SLOTS changes it.
const SLOTS: usize = 8;

static TAKEN: Mutex<usize> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();
static OPENED: Once = Once::new();

/// The right to use the machine; given back on drop.
#[derive(Debug)]
pub struct Slot;

impl Slot {
    /// Waits for a free slot. The first one of a process also looks who runs it.
    pub fn take() -> Self {
        OPENED.call_once(open);
        let slots = std::env::var("RENUMBERD_SLOTS").ok().and_then(|slots| slots.parse().ok());
        let mut taken = TAKEN.lock().unwrap();
        while *taken >= slots.unwrap_or(SLOTS) {
            taken = GIVEN_BACK.wait(taken).unwrap();
        }
        *taken += 1;
        Self
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // A panic elsewhere poisons nothing that matters: the count is whole.
        *TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner) -= 1;
        GIVEN_BACK.notify_one();
    }
}

fn open() {
    assert!(
        nix::unistd::geteuid().is_root(),
        "namespaces need root: run `sudo tests/all.sh`, or `tests/all.sh`, which enters a user \
         namespace where the system lets it"
    );
}
