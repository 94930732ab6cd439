//! The platform layer against the kernel itself, each test in network namespaces of its own.
//!
//! They need root; `tests/lab/house.rs` says so where it is missing, and `tests/all.sh` finds
//! another way where there is one.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a failure in a test is a panic"
)]

mod lab;

mod platform {
    mod addresses;
    mod bench;
    mod descriptors;
    mod dump;
    mod events;
    mod hostile;
    mod neighbors;
    mod packets;
    mod routes;
    mod server;
    mod settings;
    mod vanishing;
}
