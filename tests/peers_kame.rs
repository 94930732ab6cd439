//! Upstream: radvd, and dhcp6s of the KAME project; downstream: a kernel host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use lab::provider::Kind::Kame;
use lab::{millis, secs, story};

#[test]
fn a_host_gets_its_address_and_reaches_the_internet() {
    story::start(Kame);
}

#[test]
fn a_graceful_renumbering_reaches_the_host() {
    story::graceful(Kame);
}

#[test]
fn a_flash_renumbering_reaches_the_host() {
    story::flash(Kame);
}

#[test]
fn a_change_of_the_delegation_alone_is_found_at_renewal() {
    story::delegation_alone(Kame);
}

#[test]
fn a_change_of_the_delegation_alone_is_found_on_command() {
    story::delegation_alone_on_command(Kame);
}

#[test]
fn a_change_of_the_link_prefix_alone_is_invisible_to_hosts() {
    story::link_prefix_alone(Kame);
}

#[test]
fn an_upstream_router_comes_back_with_other_prefixes_as_another_server() {
    story::upstream_reboots(Kame);
}

#[test]
fn a_redial_while_the_link_was_down_reaches_the_host() {
    story::redial_with_link_down(Kame);
}

#[test]
fn a_link_that_was_down_for_a_moment_costs_a_rebind_and_no_change() {
    story::link_flap(Kame);
}

#[test]
fn a_server_that_learns_right_after_its_router_is_followed() {
    story::server_learns_late(Kame, secs(0));
}

#[test]
fn a_server_that_learns_50_ms_after_its_router_is_followed() {
    story::server_learns_late(Kame, millis(50));
}

#[test]
fn a_server_that_learns_2_s_after_its_router_is_followed() {
    story::server_learns_late(Kame, secs(2));
}

#[test]
fn a_server_that_learns_10_s_after_its_router_is_followed() {
    story::server_learns_late(Kame, secs(10));
}

#[test]
fn killed_during_changes_it_ends_where_it_would_have() {
    story::killed_during_a_change(Kame, &[]);
}

/// As on a kernel before 5.18, which ignores IFA_PROTO.
#[test]
fn killed_during_changes_without_marks_it_ends_where_it_would_have() {
    story::killed_during_a_change(Kame, &["--no-address-protocol"]);
}
