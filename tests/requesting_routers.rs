//! Requesting routers of other people below a delegating router.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use lab::peer::Kind::{self, Dhclient, Dhcp6c, Dhcpcd, DhcpcdWithHook, Networkd};
use lab::requesting;

#[test]
fn dhcp6c_gets_a_prefix_through_a_relay() {
    requesting::gets_a_prefix_through_a_relay(Dhcp6c);
}
