//! Requesting routers of other people below a delegating router.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use lab::delegating::Trigger;
use lab::peer::Kind::{self, Dhclient, Dhcp6c, Dhcpcd, DhcpcdWithHook, Networkd};
use lab::requesting;

#[test]
fn dhcpcd_gets_a_prefix_from_kea() {
    requesting::gets_a_prefix(Dhcpcd);
}

#[test]
fn dhcp6c_gets_a_prefix_from_kea() {
    requesting::gets_a_prefix(Dhcp6c);
}

#[test]
fn dhclient_gets_a_prefix_from_kea() {
    requesting::gets_a_prefix(Dhclient);
}

#[test]
fn networkd_gets_a_prefix_from_kea() {
    requesting::gets_a_prefix(Networkd);
}

const ALL: [Kind; 5] = [Dhcpcd, DhcpcdWithHook, Dhcp6c, Dhclient, Networkd];

#[test]
fn zz_measure() {
    std::thread::scope(|scope| {
        for kind in ALL {
            for trigger in [Trigger::MulticastRa, Trigger::UnicastRa, Trigger::Timer] {
                scope.spawn(move || requesting::follows_by(kind, trigger));
            }
            scope.spawn(move || requesting::follows_on_command(kind));
            scope.spawn(move || println!("{kind:?} releases: {}", requesting::releases(kind)));
            scope.spawn(move || { requesting::keeps_it_over_a_restart(kind); println!("{kind:?} keeps it"); });
        }
    });
}
