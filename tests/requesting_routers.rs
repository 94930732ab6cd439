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
use lab::requesting;

/// What those follow who know of no change by themselves.
const ITS_TIMER_AND_A_COMMAND: [Trigger; 2] = [Timer, Command];

#[test]
fn dhcpcd_gets_a_prefix_from_kea_and_keeps_it() {
    requesting::is_served_by_kea(Dhcpcd, true);
}

#[test]
fn dhcpcd_with_a_hook_gets_a_prefix_from_kea_and_keeps_it() {
    requesting::is_served_by_kea(DhcpcdWithHook, true);
}

#[test]
fn dhcpcd_with_reconfigure_gets_a_prefix_from_kea_and_keeps_it() {
    requesting::is_served_by_kea(DhcpcdWithReconfigure, true);
}

#[test]
fn dhcp6c_gets_a_prefix_from_kea_and_keeps_it() {
    requesting::is_served_by_kea(Dhcp6c, true);
}

#[test]
fn dhclient_gets_a_prefix_from_kea_and_keeps_it() {
    requesting::is_served_by_kea(Dhclient, true);
}

#[test]
fn networkd_gets_a_prefix_from_kea_and_keeps_it() {
    requesting::is_served_by_kea(Networkd, false);
}

#[test]
fn dhcpcd_follows_its_timer_and_a_command_alone() {
    assert_eq!(requesting::follows(Dhcpcd), ITS_TIMER_AND_A_COMMAND);
}

#[test]
fn dhcpcd_with_reconfigure_follows_its_timer_and_a_command_alone() {
    assert_eq!(requesting::follows(DhcpcdWithReconfigure), ITS_TIMER_AND_A_COMMAND);
}

#[test]
fn dhcp6c_follows_its_timer_and_a_command_alone() {
    assert_eq!(requesting::follows(Dhcp6c), ITS_TIMER_AND_A_COMMAND);
}

#[test]
fn dhclient_follows_its_timer_and_a_command_alone() {
    assert_eq!(requesting::follows(Dhclient), ITS_TIMER_AND_A_COMMAND);
}

#[test]
fn networkd_follows_its_timer_and_a_command_alone() {
    assert_eq!(requesting::follows(Networkd), ITS_TIMER_AND_A_COMMAND);
}

#[test]
fn dhcpcd_with_a_hook_follows_advertisements() {
    let all = [MulticastRa, UnicastRa, Timer, Command];
    assert_eq!(requesting::follows(DhcpcdWithHook), all);
}

#[test]
fn dhcp6c_gets_a_prefix_through_a_relay() {
    requesting::gets_a_prefix_through_a_relay(Dhcp6c);
}

#[test]
fn dhcpcd_gets_a_prefix_and_a_route_from_the_agent() {
    requesting::gets_a_prefix_and_a_route(Dhcpcd);
}

#[test]
fn dhcpcd_with_a_hook_gets_a_prefix_and_a_route_from_the_agent() {
    requesting::gets_a_prefix_and_a_route(DhcpcdWithHook);
}

#[test]
fn dhcpcd_with_reconfigure_gets_a_prefix_and_a_route_from_the_agent() {
    requesting::gets_a_prefix_and_a_route(DhcpcdWithReconfigure);
}

#[test]
fn dhcp6c_gets_a_prefix_and_a_route_from_the_agent() {
    requesting::gets_a_prefix_and_a_route(Dhcp6c);
}

#[test]
fn dhclient_gets_a_prefix_and_a_route_from_the_agent() {
    requesting::gets_a_prefix_and_a_route(Dhclient);
}

#[test]
fn networkd_gets_a_prefix_and_a_route_from_the_agent() {
    requesting::gets_a_prefix_and_a_route(Networkd);
}

#[test]
fn dhcpcd_keeps_prefix_and_route_when_the_agent_is_killed() {
    requesting::keeps_it_and_its_route_over_a_restart(Dhcpcd);
}

#[test]
fn dhcp6c_keeps_prefix_and_route_when_the_agent_is_killed() {
    requesting::keeps_it_and_its_route_over_a_restart(Dhcp6c);
}

#[test]
fn dhclient_keeps_prefix_and_route_when_the_agent_is_killed() {
    requesting::keeps_it_and_its_route_over_a_restart(Dhclient);
}

#[test]
fn networkd_keeps_prefix_and_route_when_the_agent_is_killed() {
    requesting::keeps_it_and_its_route_over_a_restart(Networkd);
}

#[test]
fn dhcpcd_follows_the_agent() {
    requesting::follows_the_agent(Dhcpcd);
}

#[test]
fn dhcpcd_with_a_hook_follows_the_agent() {
    requesting::follows_the_agent(DhcpcdWithHook);
}

#[test]
fn dhcpcd_with_reconfigure_follows_the_agent() {
    requesting::follows_the_agent(DhcpcdWithReconfigure);
}

#[test]
fn dhcp6c_follows_the_agent() {
    requesting::follows_the_agent(Dhcp6c);
}

#[test]
fn dhclient_follows_the_agent() {
    requesting::follows_the_agent(Dhclient);
}

#[test]
fn networkd_follows_the_agent() {
    requesting::follows_the_agent(Networkd);
}

#[test]
fn dhcpcd_gives_its_prefix_back_to_the_agent() {
    requesting::gives_its_prefix_back_to_the_agent(Dhcpcd);
}

#[test]
fn dhcp6c_gives_its_prefix_back_to_the_agent() {
    requesting::gives_its_prefix_back_to_the_agent(Dhcp6c);
}

#[test]
fn dhclient_gives_its_prefix_back_to_the_agent() {
    requesting::gives_its_prefix_back_to_the_agent(Dhclient);
}
