//! Requesting routers of other people below a delegating router: below Kea, which shows what each
//! of them does, and below the agent.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use lab::delegating::Trigger::{self, Command, MulticastRa, Timer, UnicastRa};
use lab::peer::Kind::{Dhclient, Dhcp6c, Dhcpcd, DhcpcdWithHook, DhcpcdWithReconfigure, Networkd};
use lab::{below_agent, below_kea};

/// What those follow who know of no change by themselves.
const ITS_TIMER_AND_A_COMMAND: [Trigger; 2] = [Timer, Command];

#[test]
fn dhcpcd_gets_a_prefix_from_kea_and_keeps_it() {
    below_kea::is_served_by_kea(Dhcpcd, true);
}

#[test]
fn dhcpcd_with_a_hook_gets_a_prefix_from_kea_and_keeps_it() {
    below_kea::is_served_by_kea(DhcpcdWithHook, true);
}

#[test]
fn dhcpcd_with_reconfigure_gets_a_prefix_from_kea_and_keeps_it() {
    below_kea::is_served_by_kea(DhcpcdWithReconfigure, true);
}

#[test]
fn dhcp6c_gets_a_prefix_from_kea_and_keeps_it() {
    below_kea::is_served_by_kea(Dhcp6c, true);
}

#[test]
fn dhclient_gets_a_prefix_from_kea_and_keeps_it() {
    below_kea::is_served_by_kea(Dhclient, true);
}

#[test]
fn networkd_gets_a_prefix_from_kea_and_keeps_it() {
    below_kea::is_served_by_kea(Networkd, false);
}

#[test]
fn dhcpcd_follows_its_timer_and_a_command_alone() {
    assert_eq!(below_kea::follows(Dhcpcd), ITS_TIMER_AND_A_COMMAND);
}

#[test]
fn dhcpcd_with_reconfigure_follows_its_timer_and_a_command_alone() {
    assert_eq!(below_kea::follows(DhcpcdWithReconfigure), ITS_TIMER_AND_A_COMMAND);
}

#[test]
fn dhcp6c_follows_its_timer_and_a_command_alone() {
    assert_eq!(below_kea::follows(Dhcp6c), ITS_TIMER_AND_A_COMMAND);
}

#[test]
fn dhclient_follows_its_timer_and_a_command_alone() {
    assert_eq!(below_kea::follows(Dhclient), ITS_TIMER_AND_A_COMMAND);
}

#[test]
fn networkd_follows_its_timer_and_a_command_alone() {
    assert_eq!(below_kea::follows(Networkd), ITS_TIMER_AND_A_COMMAND);
}

#[test]
fn dhcpcd_with_a_hook_follows_advertisements() {
    let all = [MulticastRa, UnicastRa, Timer, Command];
    assert_eq!(below_kea::follows(DhcpcdWithHook), all);
}

#[test]
fn dhcp6c_gets_a_prefix_from_kea_through_a_relay() {
    below_kea::gets_a_prefix_through_a_relay(Dhcp6c);
}

#[test]
fn dhcpcd_gets_a_prefix_and_a_route_from_the_agent() {
    below_agent::gets_a_prefix_and_a_route(Dhcpcd, true);
}

#[test]
fn dhcpcd_with_reconfigure_gets_a_prefix_and_a_route_from_the_agent() {
    below_agent::gets_a_prefix_and_a_route(DhcpcdWithReconfigure, true);
}

#[test]
fn dhcp6c_gets_a_prefix_and_a_route_from_the_agent() {
    below_agent::gets_a_prefix_and_a_route(Dhcp6c, true);
}

#[test]
fn dhclient_gets_a_prefix_and_a_route_from_the_agent() {
    below_agent::gets_a_prefix_and_a_route(Dhclient, true);
}

#[test]
fn networkd_gets_a_prefix_and_a_route_from_the_agent() {
    below_agent::gets_a_prefix_and_a_route(Networkd, false);
}

#[test]
fn dhcpcd_keeps_both_when_the_agent_is_killed() {
    below_agent::keeps_both_over_a_kill(Dhcpcd);
}

#[test]
fn dhcp6c_keeps_both_when_the_agent_is_killed() {
    below_agent::keeps_both_over_a_kill(Dhcp6c);
}

#[test]
fn dhclient_keeps_both_when_the_agent_is_killed() {
    below_agent::keeps_both_over_a_kill(Dhclient);
}

#[test]
fn networkd_keeps_both_when_the_agent_is_killed() {
    below_agent::keeps_both_over_a_kill(Networkd);
}

#[test]
fn dhcpcd_follows_the_agent_on_command() {
    below_agent::follows(Dhcpcd);
}

#[test]
fn dhcp6c_follows_the_agent_on_command() {
    below_agent::follows(Dhcp6c);
}

#[test]
fn dhclient_follows_the_agent_on_command() {
    below_agent::follows(Dhclient);
}

#[test]
fn networkd_follows_the_agent_on_command() {
    below_agent::follows(Networkd);
}

#[test]
fn dhcpcd_with_a_hook_follows_the_agent_by_its_advertisement() {
    below_agent::follows(DhcpcdWithHook);
}

#[test]
fn dhcpcd_with_reconfigure_follows_the_agent_by_reconfigure() {
    below_agent::follows(DhcpcdWithReconfigure);
}

#[test]
fn dhcpcd_follows_the_agent_at_t1() {
    below_agent::follows_at_t1(Dhcpcd);
}

#[test]
fn dhcpcd_follows_the_agent_by_renew_every() {
    below_agent::follows_by_renew_every(Dhcpcd, 20);
}

#[test]
fn dhcpcd_keeps_its_place_while_it_answers() {
    below_agent::keeps_its_place_while_it_answers(Dhcpcd);
}

#[test]
fn dhcp6c_follows_the_agent_at_t1() {
    below_agent::follows_at_t1(Dhcp6c);
}

#[test]
fn dhclient_follows_the_agent_at_t1() {
    below_agent::follows_at_t1(Dhclient);
}

#[test]
fn networkd_follows_the_agent_at_t1() {
    below_agent::follows_at_t1(Networkd);
}

#[test]
fn dhclient_follows_an_agent_that_was_killed_during_the_change() {
    below_agent::follows_an_agent_that_was_killed(Dhclient, 0);
}

#[test]
fn dhcpcd_with_a_hook_follows_an_agent_that_was_killed_during_the_change() {
    below_agent::follows_an_agent_that_was_killed(DhcpcdWithHook, 0);
}

#[test]
fn dhcpcd_with_reconfigure_follows_an_agent_that_was_killed_during_the_change() {
    below_agent::follows_an_agent_that_was_killed(DhcpcdWithReconfigure, 0);
}

#[test]
fn dhcp6c_gets_a_prefix_from_the_agent_through_a_relay() {
    below_agent::gets_a_prefix_through_a_relay(Dhcp6c);
}
