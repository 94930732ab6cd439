//! Upstream: radvd with dhcp6s of the KAME project, or with Kea; downstream: a kernel host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;
#[macro_use]
#[path = "peers/stories.rs"]
mod stories;

use lab::provider::Kind;
use lab::{millis, secs, story};

mod kame {
    use super::*;

    stories!(Kind::Kame);
}

mod kea {
    use super::*;

    stories!(Kind::Kea);

    #[test]
    fn a_host_gets_the_services_that_the_server_sends() {
        story::services(Kind::Kea);
    }
}
