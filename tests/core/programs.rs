//! A program delegates in the built-in's place: what the agent does beside it, and when others hear
//! of a change.

use std::collections::BTreeMap;

use renumberd::config::{Job, file};
use renumberd::core::engine::{Post, Report, State};
use renumberd::core::output::Port;

use super::*;

const CONFIG: &str = r#"
    [uplink.up]
    [downlink.lan]
    subnet = "0x1/64"
    delegator = "dhcp6s"
    [delegation.one]
    downlink = "lan"
    duid = "00:04:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01"
    iaid = 1
    next-hop = "fe80::99"
    prefix = "0x2/60"
"#;
const NEW: &str = "2001:db8:b000:1::/64";

/// An agent that follows A and holds 2001:db8:a000::/56, and a program that works.
fn settled_with_a_program() -> World {
    let mut world = World::new(file::parse("test.toml", CONFIG).unwrap(), "2001:db8:a000::/56");
    world.run_for(Duration::from_secs(1));
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(30));
    report(&mut world, State::Running);
    world.run_for(Duration::from_secs(30));
    world
}

/// The program reports about its newest order.
fn report(world: &mut World, state: State) {
    report_about(world, u64::MAX, state);
}

fn report_about(world: &mut World, order: u64, state: State) {
    let post = Post { job: Job::Delegator, interface: "lan".to_owned() };
    let troubles = BTreeMap::new();
    world.give(Input::Engine(Report { post, order, version: None, state, troubles }));
}

/// Another prefix is delegated to us.
fn renumbered() -> World {
    let mut world = settled_with_a_program();
    world.renumber("2001:db8:b000::/56");
    world.advertise(vec![pio(B, 7200, 3600)]);
    world.run_for(100 * MS);
    assert!(world.routes().join("\n").contains("2001:db8:b000:20::/60 Gateway"));
    world
}

fn advertises(world: &World, prefix: &str) -> bool {
    world.lifetimes(prefix).is_some_and(|(preferred, _)| preferred > 0)
}

/// BKE-09
#[test]
fn the_port_is_the_programs_and_the_routes_are_ours() {
    let world = settled_with_a_program();
    let routes = world.routes().join("\n");
    assert!(routes.contains("2001:db8:a000:20::/60 Gateway"), "{routes}");
    let is_port =
        |event: &Event| matches!(event, Event::Step(Step::Set(Object::Port(Port::Server))));
    assert!(!world.events(Instant::BOOT).any(is_port));
}

/// BKE-11
#[test]
fn a_change_is_advertised_when_the_program_has_it() {
    let mut world = renumbered();
    assert!(!advertises(&world, NEW), "who hears of it would be given the old prefix");
    report(&mut world, State::Running);
    world.run_for(10 * MS);
    assert!(advertises(&world, NEW));
}

/// BKE-11: what the program reports about an older order has been on its way when the newest left.
#[test]
fn a_report_about_an_older_order_releases_no_advertisement() {
    for state in [State::Running, State::Failed] {
        let mut world = renumbered();
        report_about(&mut world, 1, state);
        world.run_for(100 * MS);
        assert!(!advertises(&world, NEW), "{state:?}");
        report(&mut world, State::Running);
        world.run_for(10 * MS);
        assert!(advertises(&world, NEW));
    }
}

/// BKE-11
#[test]
fn a_program_that_hangs_or_has_ended_holds_nothing_up_for_long() {
    let mut world = renumbered();
    world.run_for(190 * MS);
    assert!(!advertises(&world, NEW));
    world.run_for(20 * MS);
    assert!(advertises(&world, NEW), "it was waited for long enough");
    let mut world = renumbered();
    report(&mut world, State::Failed);
    world.run_for(10 * MS);
    assert!(advertises(&world, NEW), "it is not waited for");
}
