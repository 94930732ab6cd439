//! The core as a whole in virtual time: one agent, the router above it, its kernel and its link.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(clippy::wildcard_enum_match_arm, reason = "tests look at some variants only")]

#[path = "core/client.rs"]
mod client;
#[path = "core/conditions.rs"]
mod conditions;
#[path = "core/downlink.rs"]
mod downlink;
#[path = "core/events.rs"]
mod events;
#[path = "core/forming.rs"]
mod forming;
#[path = "core/heard.rs"]
mod heard;
#[path = "core/histories.rs"]
mod histories;
#[path = "core/known.rs"]
mod known;
#[path = "core/programs.rs"]
mod programs;
#[path = "core/recorded.rs"]
mod recorded;
#[path = "core/redial.rs"]
mod redial;
#[path = "core/refused.rs"]
mod refused;
#[path = "core/registration.rs"]
mod registration;
#[path = "core/resolver.rs"]
mod resolver;
#[path = "core/restart.rs"]
mod restart;
#[path = "core/settings.rs"]
mod settings;
#[path = "core/trust.rs"]
mod trust;
#[path = "core/uplink.rs"]
mod uplink;
#[path = "core/vanished.rs"]
mod vanished;
mod world;

use std::time::Duration;

use proptest::prelude::*;
use renumberd::core::input::{Command, Input};
use renumberd::core::kernel::system::{KernelAddress, KernelEvent};
use renumberd::core::output::{Object, Step};
use renumberd::time::{Instant, Lifetime};
use renumberd::wire::dhcpv6::MessageType::{self, Rebind, Renew, Request, Solicit};

use world::{Event, UPLINK, World, address, config, net, pio};

const MS: Duration = Duration::from_millis(1);
const A: &str = "2001:db8:a::/64";
const B: &str = "2001:db8:b::/64";

/// An agent that follows A and holds 2001:db8:a000::/56.
fn settled() -> World {
    let mut world = World::new(config(), "2001:db8:a000::/56");
    world.run_for(Duration::from_secs(1));
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(60));
    world
}

fn renewals(world: &World, since: Instant) -> usize {
    world.sent(since).iter().filter(|kind| matches!(kind, Renew | Rebind | Solicit)).count()
}

#[test]
fn a_first_start_ends_with_addresses_routes_and_advertisements() {
    let world = settled();
    assert!(world.preferred().iter().any(|address| address.starts_with("2001:db8:a:")));
    assert!(world.preferred().contains(&"2001:db8:a000:1::1%3".to_owned()));
    let routes = world.routes().join("\n");
    for wanted in ["::/0 Gateway", "2001:db8:a000::/56 Unreachable", "2001:db8:a000:1::/64 OnLink"]
    {
        assert!(routes.contains(wanted), "{wanted} in\n{routes}");
    }
    assert_eq!(world.lifetimes("2001:db8:a000:1::/64").map(|(preferred, _)| preferred), Some(2700));
    assert_eq!(world.last_advertisement().router_lifetime, 2700);
}

#[test]
fn a_change_is_asked_for_in_the_pass_that_hears_of_it() {
    let mut world = settled();
    let start = world.now();
    world.advertise(vec![pio(B, 7200, 3600)]);
    assert_eq!(world.sent(start), [Renew]);
}

/// The answer changes more than the advertisement that asks for it: one pass for both. Where no
/// answer comes the uplink's address does not wait for it.
#[test]
fn a_new_address_on_the_uplink_waits_for_the_answer_but_not_for_long() {
    let uplink_set = |world: &World, since| {
        world.events(since).any(|event| {
            matches!(event, Event::Step(Step::Set(Object::Address(address)))
                if net(B).contains(&address.address))
        })
    };
    let mut world = settled();
    let since = world.now();
    world.provider().delay = 2 * MS;
    world.advertise(vec![pio(B, 7200, 3600)]);
    world.run_for(MS);
    assert!(!uplink_set(&world, since));
    world.run_for(MS);
    assert!(uplink_set(&world, since));
    let mut world = settled();
    let since = world.now();
    world.provider().deaf_to = vec![Renew, Rebind, Solicit];
    world.advertise(vec![pio(B, 7200, 3600)]);
    world.run_for(10 * MS);
    assert!(uplink_set(&world, since));
}

#[test]
fn a_change_is_applied_before_it_is_advertised_and_both_in_one_pass() {
    let mut world = settled();
    world.renumber("2001:db8:b000::/56");
    let start = world.now();
    world.advertise(vec![pio(B, 7200, 3600)]);
    world.run_for(MS);
    let position = |wanted: &dyn Fn(&Event) -> bool| {
        world.events(start).position(wanted).expect("it happened")
    };
    let added = position(&|event| {
        matches!(event, Event::Step(Step::Set(Object::Address(address)))
            if address.address.to_string() == "2001:db8:b000:1::1")
    });
    let told = position(&|event| matches!(event, Event::Advertise(..)));
    assert!(added < told);
    assert_eq!(world.lifetimes("2001:db8:b000:1::/64").map(|(_, valid)| valid > 0), Some(true));
    assert_eq!(world.lifetimes("2001:db8:a000:1::/64"), Some((0, 0)));
}

/// DWN-06: the old address is deprecated at once, and leaves with its route after the grace time.
#[test]
fn the_old_prefix_is_deprecated_at_once_and_gone_after_the_grace_time() {
    let mut world = settled();
    world.renumber("2001:db8:b000::/56");
    world.advertise(vec![pio(A, 7200, 0), pio(B, 7200, 3600)]);
    world.run_for(Duration::from_secs(2));
    let old = "2001:db8:a000:1::1%3".to_owned();
    assert!(world.addresses().contains(&old));
    assert!(!world.preferred().contains(&old));
    world.run_for(Duration::from_secs(40));
    assert!(!world.addresses().contains(&old));
    assert!(!world.routes().join("\n").contains("2001:db8:a000:"), "{:?}", world.routes());
}

/// Law 2, CHG-15: a refresh that brought nothing is repeated four times, and then it is quiet.
#[test]
fn an_unchanged_delegation_is_asked_for_at_most_five_times() {
    let mut world = settled();
    let start = world.now();
    world.advertise(vec![pio(B, 7200, 3600)]);
    for _ in 0..120 {
        world.run_for(Duration::from_secs(1));
        world.advertise(vec![pio(B, 7200, 3600)]);
    }
    assert_eq!(renewals(&world, start), 5);
    assert_eq!(renewals(&world, start + Duration::from_secs(45)), 0);
}

/// CHG-15: the article's router advertises first and reconfigures its server afterwards.
#[test]
fn a_parent_whose_server_is_late_is_followed() {
    for (late, within) in [(50, 1200), (500, 2500), (2000, 7000), (10_000, 31_000)] {
        let mut world = settled();
        let old = world.provider().prefix;
        world.renumber("2001:db8:b000::/56");
        world.provider().slow_until = Some((world.now() + late * MS, old));
        world.advertise(vec![pio(B, 7200, 3600)]);
        world.run_for(within * MS);
        assert!(world.preferred().contains(&"2001:db8:b000:1::1%3".to_owned()), "{late} ms late");
    }
}

/// A provider whose server came back with another DUID, answers NoBinding, or ignores Renew and
/// Rebind is followed in under 6 s.
#[test]
fn a_server_that_forgot_is_followed() {
    type Break = fn(&mut World);
    let cases: [(&str, Break); 4] = [
        ("another DUID", |world| {
            world.provider().duid = renumberd::wire::dhcpv6_option::Duid::from_uuid([0x22; 16]);
        }),
        ("NoBinding", |world| world.provider().forgot = true),
        ("deaf to Renew", |world| world.provider().deaf_to = vec![Renew]),
        ("deaf to Renew and Rebind", |world| world.provider().deaf_to = vec![Renew, Rebind]),
    ];
    for (name, break_it) in cases {
        let mut world = settled();
        world.renumber("2001:db8:b000::/56");
        break_it(&mut world);
        world.advertise(vec![pio(B, 7200, 3600)]);
        world.run_for(Duration::from_secs(6));
        assert!(world.preferred().contains(&"2001:db8:b000:1::1%3".to_owned()), "{name}");
    }
}

#[test]
fn a_dead_server_is_asked_at_most_fifteen_times_in_the_first_minute() {
    let mut world = settled();
    world.provider().deaf_to = vec![Solicit, Request, Renew, Rebind];
    let start = world.now();
    world.advertise(vec![pio(B, 7200, 3600)]);
    world.run_for(Duration::from_secs(60));
    assert!(world.sent(start).len() <= 15, "{:?}", world.sent(start));
    assert!(world.preferred().contains(&"2001:db8:a000:1::1%3".to_owned()));
}

/// Anti-loop invariant (a): a router that answers every solicitation at once starts no loop.
#[test]
fn a_router_that_answers_each_solicitation_starts_no_loop() {
    let mut world = settled();
    world.provider().advertisement = Some(world::advertisement(vec![pio(B, 7200, 3600)]));
    let start = world.now();
    world.advertise(vec![pio(B, 7200, 3600)]);
    world.run_for(Duration::from_secs(3600));
    assert!(world.solicitations(start) <= 3, "{}", world.solicitations(start));
    // The change, its four follow-ups, and two routine renewals.
    assert!(renewals(&world, start) <= 8, "{:?}", world.sent(start));
}

/// §15 row 9: two routers with disjoint prefixes are two facts, not a flapping one.
#[test]
fn two_routers_with_disjoint_prefixes_are_no_change_after_the_first_round() {
    let mut world = settled();
    let other = "fe80::11".parse().unwrap();
    world.advertise_from(other, vec![pio(B, 7200, 3600)]);
    world.run_for(Duration::from_secs(60));
    let start = world.now();
    for _ in 0..60 {
        world.advertise(vec![pio(A, 7200, 3600)]);
        world.run_for(Duration::from_secs(5));
        world.advertise_from(other, vec![pio(B, 7200, 3600)]);
        world.run_for(Duration::from_secs(5));
    }
    assert_eq!(world.sent(start), [] as [MessageType; 0]);
}

/// UPL-12: what others configured is never touched.
#[test]
fn addresses_of_others_stay() {
    let mut world = World::new(config(), "2001:db8:a000::/56");
    let foreign = address(world::DOWNLINK, "fd00::101", false);
    world.give(Input::Kernel(vec![KernelEvent::Address(foreign.clone())]));
    world.kernel().change_silently(KernelEvent::Address(foreign.clone()));
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(60));
    world.restart();
    world.run_for(Duration::from_secs(60));
    world.command(Command::Stop);
    let touched = world.log.iter().any(|(_, event)| match event {
        Event::Step(Step::Set(Object::Address(address))) => address.address == foreign.address,
        Event::Step(Step::Remove(Object::Address(address))) => address.address == foreign.address,
        _ => false,
    });
    assert!(!touched);
}

/// CHG-10: what someone deletes by hand comes back, without being a change.
#[test]
fn an_address_deleted_by_hand_comes_back() {
    let mut world = settled();
    let start = world.now();
    let gone = world
        .system()
        .addresses
        .values()
        .find(|address| address.ours && address.interface == UPLINK);
    let gone = gone.cloned().expect("an uplink address");
    let event = KernelEvent::AddressGone { interface: gone.interface, address: gone.address };
    world.kernel().change_silently(event.clone());
    world.give(Input::Kernel(vec![event]));
    world.run_for(10 * MS);
    assert!(world.system().addresses.contains_key(&(gone.interface, gone.address)));
    assert_eq!(world.sent(start), [] as [MessageType; 0]);
}

/// Law 1: killed after any output of a change and started again, the agent ends where an
/// undisturbed one does.
#[test]
fn killed_at_any_step_it_ends_in_the_same_state() {
    let change = |world: &mut World| {
        world.renumber("2001:db8:b000::/56");
        let both = vec![pio(A, 7200, 0), pio(B, 7200, 3600)];
        world.provider().advertisement = Some(world::advertisement(both));
    };
    let finish = |world: &mut World| {
        world.run_for(Duration::from_secs(120));
        (
            world.addresses(),
            world.preferred(),
            world.routes(),
            world.lifetimes("2001:db8:a000:1::/64"),
        )
    };
    let mut undisturbed = settled();
    change(&mut undisturbed);
    undisturbed.advertise(vec![pio(A, 7200, 0), pio(B, 7200, 3600)]);
    let wanted = finish(&mut undisturbed);
    for limit in 0..40 {
        let mut world = settled();
        change(&mut world);
        // The pass that hears of it, then the pass that has the answer: cut off after `limit`.
        let options = vec![pio(A, 7200, 0), pio(B, 7200, 3600)];
        let octets = world::advertisement(options).encode();
        world.take_in(world::icmpv6(UPLINK, world::ROUTER, octets));
        world.perform(limit.min(3));
        if limit > 3 {
            world.perform(usize::MAX);
            let reply = world.ask_server(&last_message(&world)).expect("the server answers");
            world.net.now = world.now() + MS;
            world.take_in(world::dhcpv6(&reply));
            world.perform(limit - 3);
        }
        world.restart();
        assert_eq!(finish(&mut world), wanted, "killed after {limit} outputs");
    }
}

fn last_message(world: &World) -> renumberd::wire::dhcpv6::Message {
    let mut events = world.log.iter().rev();
    events
        .find_map(|(_, event)| match event {
            Event::Dhcpv6(message) => Some(message.clone()),
            _ => None,
        })
        .expect("a message was sent")
}

/// Row 21: nothing is withdrawn before the uplink has spoken.
#[test]
fn a_restart_is_no_outage() {
    let mut world = settled();
    let before = (world.addresses(), world.routes());
    let start = world.now();
    world.restart();
    world.run_for(Duration::from_secs(10));
    assert_eq!((world.addresses(), world.routes()), before);
    let withdrawn = world.events(start).any(|event| {
        matches!(event, Event::Step(Step::Remove(Object::Address(_) | Object::Route(_))))
    });
    assert!(!withdrawn);
    assert!(!world.sent(start).contains(&MessageType::Release));
}

/// RA-TX-30: the loss of the last default router is said after the hold, and a quick redial not.
#[test]
fn a_lost_default_router_is_advertised_after_the_hold() {
    let mut world = settled();
    let mut lost = world::advertisement(vec![pio(A, 7200, 3600)]);
    lost.router_lifetime = 0;
    world.give(world::icmpv6(UPLINK, world::ROUTER, lost.encode()));
    world.run_for(500 * MS);
    assert_eq!(world.last_advertisement().router_lifetime, 2700);
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.last_advertisement().router_lifetime, 0);
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.last_advertisement().router_lifetime, 2700);
}

/// A hundred redials 3.1 s apart: each is followed (CHG-04 gives the token of a fruitful refresh
/// back).
#[test]
fn real_changes_are_never_throttled() {
    let mut world = settled();
    for round in 0..100_u16 {
        let prefix = format!("2001:db8:{:x}00::/56", 0x10 + round % 0x60);
        let on_link = format!("2001:db8:f{round:03x}::/64");
        world.renumber(&prefix);
        world.advertise(vec![pio(&on_link, 7200, 3600)]);
        world.run_for(Duration::from_millis(3100));
        let wanted = net(&prefix);
        let held = world.preferred().iter().any(|address| {
            let address: std::net::Ipv6Addr = address.split('%').next().unwrap().parse().unwrap();
            wanted.contains(&address)
        });
        assert!(held, "round {round}: {:?}", world.preferred());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// Law 2: any sequence of advertisements of equal content costs at most five refreshes, all
    /// within 45 s.
    #[test]
    fn equal_content_is_quiet_after_five_refreshes(
        gaps in proptest::collection::vec(10_u64..9000, 1..60),
        lifetimes in proptest::collection::vec((1800_u32..7200, 60_u32..1800), 60),
    ) {
        let mut world = settled();
        let start = world.now();
        for (gap, (valid, preferred)) in gaps.iter().zip(&lifetimes) {
            world.advertise(vec![pio(B, *valid, *preferred), pio(A, *valid, *preferred)]);
            world.run_for(Duration::from_millis(*gap));
        }
        world.run_for(Duration::from_secs(60));
        let end_of_series = start + Duration::from_secs(45);
        let count = |since| renewals(&world, since);
        prop_assert!(count(start) - count(end_of_series) <= 5);
        // What is left are routine renewals, one in half an hour.
        prop_assert!(count(end_of_series) <= 1);
    }
}

/// UPL-03, UPL-04: the routes of two routers change places without a moment without one.
#[test]
fn a_default_router_takes_another_s_place_in_one_step() {
    let mut world = settled();
    let other = "fe80::b".parse().unwrap();
    world.advertise_from(other, vec![pio(B, 7200, 3600)]);
    world.run_for(Duration::from_secs(1));
    let defaults = |world: &World| {
        let routes = world.routes().into_iter();
        routes.filter(|route| route.starts_with("::/0 ")).collect::<Vec<_>>()
    };
    assert_eq!(defaults(&world).len(), 2);
    let since = world.now();
    world.withdraw_router(world::ROUTER);
    world.run_for(Duration::from_secs(1));
    let left = defaults(&world);
    assert!(left.len() == 1 && left[0].contains("fe80::b"), "{left:?}");
    let is_removed = |event: &Event| matches!(event, Event::Step(Step::Remove(Object::Route(route))) if route.destination == net("::/0"));
    let swapped = world
        .events(since)
        .position(|event| matches!(event, Event::Step(Step::Replace(Object::Route(_)))))
        .expect("one is replaced");
    assert!(world.events(since).position(is_removed).is_none_or(|removed| removed > swapped));
}

/// UPL-05, RFC 7217 §6: another identifier where there is one to choose, silence where not.
#[test]
fn a_duplicate_is_no_retry_loop() {
    let mut world = settled();
    let wrong: Vec<_> = world.system().addresses.values().filter(|one| one.ours).cloned().collect();
    assert_eq!(wrong.len(), 2);
    let since = world.now();
    wrong.iter().for_each(|address| find_in_use(&mut world, address));
    world.run_for(Duration::from_secs(3600));
    let set: Vec<_> = world
        .events(since)
        .filter_map(|event| match event {
            Event::Step(Step::Set(Object::Address(address))) => Some(address.address),
            _ => None,
        })
        .collect();
    assert!(wrong.iter().all(|address| !set.contains(&address.address)), "{set:?}");
    assert!(!set.is_empty(), "the uplink's identifier is made anew");
    let status = world.status();
    let told = status.conditions.iter().filter(|found| found.name == "duplicate-address");
    assert_eq!(told.count(), 2);
    let next = world.system().addresses.values().find(|one| set.contains(&one.address)).cloned();
    find_in_use(&mut world, &next.unwrap());
    world.run_for(Duration::from_secs(1));
    let status = world.status();
    let told = status.conditions.iter().filter(|found| found.name == "duplicate-address");
    assert_eq!(told.count(), 3, "each of an interface is told");
}

/// The kernel finds an address in use, and drops it.
fn find_in_use(world: &mut World, address: &KernelAddress) {
    let (interface, gone) = (address.interface, address.address);
    let found = KernelAddress { duplicate: true, ..address.clone() };
    let gone = KernelEvent::AddressGone { interface, address: gone };
    world.kernel().change_silently(gone.clone());
    world.give(Input::Kernel(vec![KernelEvent::Address(found), gone]));
}

/// SRV-58: a delegating router without Reconfigure keys calls by a unicast advertisement, which may
/// say nothing new.
#[test]
fn an_advertisement_to_a_router_without_lease_makes_it_ask_at_once() {
    let mut world = World::new(config(), "2001:db8:a000::/56");
    world.provider().deaf_to = vec![Solicit];
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(300));
    let start = world.now();
    world.provider().deaf_to.clear();
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(10 * MS);
    assert_eq!(world.sent(start), Vec::<MessageType>::new(), "what all are told calls nobody");
    for _ in 0..5 {
        world.advertise_to_us(vec![pio(A, 7200, 3600)]);
        world.run_for(10 * MS);
    }
    assert_eq!(world.sent(start).iter().filter(|kind| **kind == Solicit).count(), 1);
    assert!(world.lifetimes("2001:db8:a000:1::/64").is_some(), "{:?}", world.sent(start));
}
