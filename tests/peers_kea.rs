//! Upstream: radvd and Kea; downstream: a kernel host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use lab::provider::Kind::Kea;
use lab::{millis, secs, story};

#[test]
fn a_host_gets_its_address_and_reaches_the_internet() {
    story::start(Kea);
}

#[test]
fn a_host_is_told_of_the_services_that_the_server_tells() {
    story::services(Kea);
}

#[test]
fn a_graceful_renumbering_reaches_the_host() {
    story::graceful(Kea);
}

#[test]
fn a_flash_renumbering_reaches_the_host() {
    story::flash(Kea);
}

#[test]
fn a_change_of_the_delegation_alone_is_found_at_renewal() {
    story::delegation_alone(Kea);
}

#[test]
fn a_change_of_the_delegation_alone_is_found_on_command() {
    story::delegation_alone_on_command(Kea);
}

#[test]
fn a_change_of_the_link_prefix_alone_is_invisible_to_hosts() {
    story::link_prefix_alone(Kea);
}

#[test]
fn an_upstream_router_comes_back_with_other_prefixes_as_another_server() {
    story::upstream_reboots(Kea);
}

#[test]
fn a_redial_while_the_link_was_down_reaches_the_host() {
    story::redial_with_link_down(Kea);
}

#[test]
fn a_link_that_was_down_for_a_moment_costs_a_rebind_and_no_change() {
    story::link_flap(Kea);
}

#[test]
fn a_server_that_learns_right_after_its_router_is_followed() {
    story::server_learns_late(Kea, secs(0));
}

#[test]
fn a_server_that_learns_50_ms_after_its_router_is_followed() {
    story::server_learns_late(Kea, millis(50));
}

#[test]
fn a_server_that_learns_2_s_after_its_router_is_followed() {
    story::server_learns_late(Kea, secs(2));
}

#[test]
fn a_server_that_learns_10_s_after_its_router_is_followed() {
    story::server_learns_late(Kea, secs(10));
}

#[test]
fn killed_during_changes_it_ends_where_it_would_have() {
    story::killed_during_a_change(Kea, &[]);
}

/// As on a kernel before 5.18, which ignores IFA_PROTO.
#[test]
fn killed_during_changes_without_marks_it_ends_where_it_would_have() {
    story::killed_during_a_change(Kea, &["--no-address-protocol"]);
}
