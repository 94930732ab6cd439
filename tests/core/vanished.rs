//! Interfaces that vanish and return with another number: nothing is known of the old one, and all
//! is set up anew on the new one.

use std::collections::BTreeSet;

use renumberd::core::output::Setting;
use renumberd::net::IfIndex;

use crate::world::{DOWNLINK, ROUTER, advertisement, icmpv6};

use super::*;

const DELEGATED: &str = "2001:db8:a000::/56";

/// What was made on the interface `name`, whose number was `index`, without the time it lasts for.
fn made(world: &World, since: Instant, name: &str, index: IfIndex) -> BTreeSet<String> {
    let on_it = |interface: IfIndex, what: String| (interface == index).then_some(what);
    let what =
        |event: &Event| match event {
            Event::Step(Step::Set(Object::Address(address))) => {
                on_it(address.interface, address.address.to_string())
            }
            Event::Step(Step::Set(Object::Route(route)) | Step::Replace(Object::Route(route))) => {
                on_it(route.target.interface()?, route.destination.to_string())
            }
            Event::Step(Step::Set(Object::Membership(group, interface))) => {
                on_it(*interface, format!("{group:?}"))
            }
            Event::Step(Step::Set(Object::Setting(Setting {
                interface, name: setting, ..
            }))) if interface == name => Some(format!("{setting:?}")),
            _ => None,
        };
    world.events(since).filter_map(what).collect()
}

/// Whether anything that the core holds is about an interface of this number.
fn knows(world: &World, index: IfIndex) -> bool {
    format!("{:?}", world.net.nodes[0].core).contains(&format!("{index:?}"))
}

/// DWN-12
#[test]
fn a_downlink_that_returns_with_another_number_is_set_up_anew() {
    let new = IfIndex(33);
    let mut world = settled();
    let first = made(&world, Instant::BOOT, "lan", DOWNLINK);
    assert!(first.len() >= 3, "an address, a route, a group: {first:?}");
    world.vanish(DOWNLINK);
    world.run_for(Duration::from_secs(60));
    assert!(!knows(&world, DOWNLINK), "{:?}", world.net.nodes[0].core);
    assert!(world.system().addresses.keys().all(|(interface, _)| *interface != DOWNLINK));
    let returned_at = world.now();
    world.return_as(DOWNLINK, new);
    world.run_for(Duration::from_secs(5));
    assert_eq!(made(&world, returned_at, "lan", new), first);
    assert!(world.preferred().contains(&"2001:db8:a000:1::1%33".to_owned()));
    assert!(!knows(&world, DOWNLINK));
    let words = world.events(returned_at).filter(|event| matches!(event, Event::Advertise(..)));
    assert!(words.count() > 0, "it is advertised on");
}

/// DWN-12 for uplinks: what is delegated stays in use meanwhile.
#[test]
fn an_uplink_that_returns_with_another_number_is_set_up_anew() {
    let new = IfIndex(22);
    let mut world = settled();
    let first = made(&world, Instant::BOOT, "up", UPLINK);
    assert!(first.len() >= 4, "{first:?}");
    world.vanish(UPLINK);
    world.run_for(Duration::from_secs(60));
    assert!(!knows(&world, UPLINK), "{:?}", world.net.nodes[0].core);
    assert!(world.preferred().contains(&"2001:db8:a000:1::1%3".to_owned()));
    let returned_at = world.now();
    world.return_as(UPLINK, new);
    world.run_for(Duration::from_secs(1));
    let words = advertisement(vec![pio(A, 7200, 3600)]).encode();
    world.give(icmpv6(new, ROUTER, words));
    world.run_for(Duration::from_secs(5));
    assert_eq!(made(&world, returned_at, "up", new), first);
    assert!(!knows(&world, UPLINK));
    assert!(world.preferred().iter().any(|address| address.ends_with("%22")));
    assert!(renewals(&world, returned_at) > 0, "the lease is asked about on the new one");
    assert!(world.routes().iter().any(|route| route.starts_with(DELEGATED)));
}

/// The same where its end and its return are read in one: another interface has its name already.
#[test]
fn an_uplink_that_is_replaced_at_once_is_set_up_anew() {
    let new = IfIndex(22);
    let mut world = settled();
    let first = made(&world, Instant::BOOT, "up", UPLINK);
    let replaced_at = world.now();
    world.kernel().vanish(UPLINK);
    world.return_as(UPLINK, new);
    world.run_for(Duration::from_secs(1));
    assert!(world.solicitations(replaced_at) > 0, "who is above on the new one is asked");
    assert!(renewals(&world, replaced_at) > 0, "the lease is asked about on the new one");
    let words = advertisement(vec![pio(A, 7200, 3600)]).encode();
    world.give(icmpv6(new, ROUTER, words));
    world.run_for(Duration::from_secs(5));
    assert_eq!(made(&world, replaced_at, "up", new), first);
    assert!(!knows(&world, UPLINK));
}
