//! Other programs in a built-in's place: their files, and what they make of them.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a failure in a test is a panic"
)]

mod lab;

#[path = "engines/advertiser.rs"]
mod advertiser;
#[path = "engines/orders.rs"]
mod orders;
#[path = "engines/radvd.rs"]
mod radvd;
#[path = "engines/rtadvd.rs"]
mod rtadvd;
#[path = "engines/termcap.rs"]
mod termcap;
