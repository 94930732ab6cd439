//! The FreeBSD backend, on any system: its octets against those that FreeBSD 13.0's own network code
//! took and gave, and its logic against a fake kernel that does as that code does.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a failure in a test is a panic"
)]

mod freebsd {
    mod addresses;
    mod agent;
    mod bytes;
    mod events;
    mod fake;
    mod harness;
    mod machine;
    mod port;
    mod recorded;
    mod routes;
    mod settings;
}
