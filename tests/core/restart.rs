//! A start with memory: what is said before anything is heard.

use super::*;

/// RA-TX-53: who waits for an answer that never comes still says what has to be said.
#[test]
fn a_silent_server_holds_no_withdrawal_up() {
    let mut world = settled();
    world.provider().deaf_to = vec![Solicit, Request, Renew, Rebind];
    world.node().memory.leases.clear();
    world.lose_own_addresses();
    let since = world.now();
    world.restart();
    world.run_for(Duration::from_secs(30));
    let advertised = world.events(since).any(|event| matches!(event, Event::Advertise(..)));
    assert!(advertised, "hosts are told");
    assert_eq!(world.lifetimes("2001:db8:a000:1::/64"), Some((0, 0)));
}

/// What a change has overtaken is not said from memory first: it would hold the news up for
/// MIN_DELAY_BETWEEN_RAS. Nor does a server that is away keep hosts waiting.
#[test]
fn a_restarted_router_asks_before_it_advertises() {
    let mut world = settled();
    world.renumber("2001:db8:b000::/56");
    let since = world.now();
    world.restart();
    world.run_for(1500 * MS);
    let said: Vec<_> =
        world.events(since).filter(|event| matches!(event, Event::Advertise(..))).collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(world.lifetimes("2001:db8:a000:1::/64"), Some((0, 0)));
    world.provider().deaf_to = vec![Solicit, Request, Renew, Rebind];
    let since = world.now();
    world.restart();
    let advertises = |event: &Event| matches!(event, Event::Advertise(..));
    world.run_for(1499 * MS);
    assert!(!world.events(since).any(advertises));
    world.run_for(2 * MS);
    assert!(world.events(since).any(advertises));
}

/// The same where there is no uplink at all; and the agent sleeps meanwhile.
#[test]
fn an_absent_uplink_holds_no_withdrawal_up() {
    let mut world = settled();
    world.node().memory.leases.clear();
    world.kernel().change_silently(KernelEvent::LinkGone(UPLINK));
    world.restart();
    world.run_for(Duration::from_secs(600));
    assert_eq!(world.lifetimes("2001:db8:a000:1::/64"), Some((0, 0)));
    assert_eq!(world.last_advertisement().router_lifetime, 0);
}

/// What was delegated before a restart was not "none".
#[test]
fn the_first_change_after_a_restart_is_one_from_what_is_remembered() {
    let mut world = settled();
    world.renumber("2001:db8:b000::/56");
    world.restart();
    world.advertise(vec![pio(B, 7200, 3600)]);
    world.run_for(Duration::from_secs(10));
    let changes = world.status().changes;
    assert_eq!(changes[0].from.delegated, [net("2001:db8:a000::/56")]);
    assert_eq!(changes[0].to.delegated, [net("2001:db8:b000::/56")]);
}

/// STO-09: status says so as long as what has to outlive this run is not on disk.
#[test]
fn a_memory_that_is_not_written_is_named() {
    let mut world = settled();
    let names = |world: &World| -> Vec<String> {
        world.status().conditions.into_iter().map(|found| found.name).collect()
    };
    assert!(names(&world).is_empty());
    world.give(Input::Unwritten(Some("/state cannot be written".to_owned())));
    assert_eq!(names(&world), ["memory-not-written"]);
    world.give(Input::Unwritten(None));
    assert!(names(&world).is_empty());
}
