//! The laboratory: real peers in network namespaces, and the agent between them.
//!
//! [`Net`](net::Net) owns namespaces, [`Provider`](provider::Provider) is an upstream router of
//! other people's programs, [`Scripted`](scripted::Scripted) one that does what a test wants,
//! [`Wire`](wire::Wire) sees what is on a link, [`Client`](client::Client) is a Linux host and
//! [`Agent`](agent::Agent) the program under test. Everything that a test makes goes when the
//! test ends, also when it fails.
#![allow(
    dead_code,
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "support for tests: each binary uses a part, and a failure is a panic"
)]

pub mod above_program;
pub mod agent;
pub mod below_agent;
pub mod below_kea;
pub mod client;
pub mod company;
pub mod delegating;
pub mod dhclient;
pub mod dhcp6c;
pub mod dhcpcd;
pub mod executable;
pub mod flood;
pub mod house;
pub mod kame;
pub mod kea;
pub mod net;
pub mod networkd;
pub mod peer;
pub mod postgresql;
pub mod prefixes;
pub mod process;
pub mod provider;
pub mod radvd;
pub mod relay;
pub mod requesting;
pub mod scripted;
pub mod site;
pub mod status;
pub mod story;
pub mod sys;
pub mod tree;
pub mod tun;
pub mod wire;

use std::time::{Duration, Instant};

/// Within this time every change has to have reached the clients, whatever the machine is doing.
pub const CEILING: Duration = Duration::from_secs(25);

/// What `probe` finds, asked every 20 ms.
///
/// # Panics
///
/// When it finds nothing within `timeout`.
pub fn eventually<T>(what: &str, timeout: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(start.elapsed() < timeout, "after {timeout:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Asks `probe` every 50 ms until it finds nothing wrong.
///
/// # Panics
///
/// With what is still wrong after `timeout`.
pub fn settles(what: &str, timeout: Duration, mut probe: impl FnMut() -> Result<(), String>) {
    let start = Instant::now();
    while let Err(wrong) = probe() {
        assert!(start.elapsed() < timeout, "after {timeout:?}: {what}: {wrong}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn pause(duration: Duration) {
    std::thread::sleep(duration);
}
