//! House rules: who may run the laboratory, how many tests at once, and what to do with the
//! remains of runs that were killed.

use std::path::Path;
use std::process::Command;
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
    /// Waits for a free slot. The first one of a process also sweeps the house.
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
    sweep();
}

/// Removes the namespaces of test processes that are dead, with what runs in them. Their names
/// are `rn<pid>-<number>-<role>`.
pub fn sweep() {
    let Ok(entries) = std::fs::read_dir("/run/netns") else { return };
    for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        let owner = name.strip_prefix("rn").and_then(|rest| rest.split('-').next());
        let Some(owner) = owner.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if Path::new(&format!("/proc/{owner}")).exists() {
            continue;
        }
        remove(&name);
    }
}

/// Removes a namespace after ending what runs in it: daemons fork, and their offspring outlives
/// the process that a test has started.
pub fn remove(name: &str) {
    if let Ok(pids) = Command::new("ip").args(["netns", "pids", name]).output() {
        for pid in String::from_utf8_lossy(&pids.stdout).split_whitespace() {
            let _ = Command::new("kill").args(["-KILL", pid]).output();
        }
    }
    // Another test process may sweep at the same time.
    let _ = Command::new("ip").args(["netns", "del", name]).output();
}
