//! The same places through everything that happens.

use MessageType::*;

use super::*;

/// The prefixes that a router is given, in text.
fn given(world: &mut World, number: u8, iaid: u32) -> Vec<String> {
    let answer = world.hear(number, Request, &[ia(iaid, &[])]).unwrap();
    let prefixes = prefixes_of(&answer, iaid).unwrap().into_iter();
    prefixes.filter(|(_, _, valid)| *valid > 0).map(|(prefix, _, _)| prefix.to_string()).collect()
}

/// SRV-56, CRV-02
#[test]
fn a_router_keeps_its_bits_whatever_happens() {
    let orders: [&[(u8, u32)]; 3] =
        [&[(1, 1), (1, 2), (2, 1)], &[(2, 1), (1, 2), (1, 1)], &[(1, 2), (2, 1), (1, 1)]];
    for order in orders {
        let mut world = World::new(SITE, A);
        for (prefix, bits) in [(A, "a00"), (B, "b00"), (A, "a00"), (B, "b00")] {
            world.renumber(prefix);
            for (number, iaid) in order {
                let place = match (number, iaid) {
                    (1, 1) => 1,
                    (1, _) => 2,
                    _ => 3,
                };
                assert_eq!(
                    given(&mut world, *number, *iaid),
                    [format!("2001:db8:{bits}:{place}0::/60")]
                );
            }
            world.restart();
            world.check();
        }
    }
}

/// The same in a pool, also where what was given has been forgotten.
#[test]
fn a_place_of_a_pool_is_kept() {
    let mut world = World::new(POOL, A);
    let numbers = 1..=10;
    let first: Vec<_> = numbers.clone().map(|number| given(&mut world, number, 1)).collect();
    world.renumber(B);
    for (number, was) in numbers.clone().zip(&first) {
        assert_eq!(given(&mut world, number, 1), [was[0].replace("a00", "b00")]);
    }
    world.restart();
    world.renumber(A);
    for (number, was) in numbers.clone().zip(&first) {
        assert_eq!(given(&mut world, number, 1), *was);
    }
    // Everything is lost, also the prefix itself: what a router says it holds has the bits.
    let mut world = World::new(POOL, B);
    for (number, was) in numbers.rev().zip(first.iter().rev()) {
        let prefixes = world.ask(number, Renew, &[&was[0]]).unwrap();
        assert!(prefixes[0].starts_with(&was[0].replace("a00", "b00")), "{prefixes:?}");
    }
    world.check();
}

#[test]
fn several_delegations_upstream_give_the_same_bits_of_each() {
    let mut world = World::new(SITE, A);
    world.delegate("up", &[(A, 86_400, 86_400), (B, 86_400, 86_400)]);
    assert_eq!(given(&mut world, 1, 1), ["2001:db8:a00:10::/60", "2001:db8:b00:10::/60"]);
    world.check();
}

/// A router that numbers its IA_PDs anew keeps its place, without waiting for itself.
#[test]
fn a_dropped_ia_pd_of_the_same_router_gives_its_place_up() {
    let mut world = World::new(SITE, A);
    assert_eq!(given(&mut world, 2, 1), ["2001:db8:a00:30::/60"]);
    assert_eq!(given(&mut world, 2, 8), ["2001:db8:a00:30::/60"]);
    assert_eq!(world.delegating.bindings().len(), 1);
    world.check();
    // But not while it names both.
    let answer = world.hear(2, Renew, &[ia(8, &["2001:db8:a00:30::/60"]), ia(9, &[])]).unwrap();
    assert!(prefixes_of(&answer, 8).is_ok());
    assert_eq!(prefixes_of(&answer, 9), Err(StatusCode::NoBinding));
    world.check();
}

/// An IA_PD keeps what only it can have, when another takes what both can.
#[test]
fn a_place_that_is_tied_to_an_ia_pd_is_not_taken_with_another() {
    let loose = SITE.replace("iaid = 1\n", "");
    let mut world = World::new(&loose, A);
    assert_eq!(
        given(&mut world, 1, 2),
        ["2001:db8:a00:20::/60", "2001:db8:a00:10::/60"]
            .map(String::from)
            .into_iter()
            .rev()
            .collect::<Vec<_>>()
    );
    let answer = world.hear(1, Request, &[ia(1, &[])]).unwrap();
    assert_eq!(prefixes_of(&answer, 1), Err(StatusCode::NoPrefixAvail));
    assert_eq!(world.delegating.bindings()[&key(1, 2)].slots.len(), 2);
    world.check();
}

/// A router that has other IAIDs at each start is served again when it has as many places as one
/// router can have: it takes the one that it has not renewed by T2. One that it renews, or that a
/// message names beside, stays, though a message that asks for more leaves it out.
#[test]
fn a_router_that_numbers_its_ia_pds_anew_is_given_what_it_left() {
    let mut world = World::new(POOL, A);
    let ask = |world: &mut World, kind, iaid| {
        let answer = world.hear(1, kind, &[ia(iaid, &[])]).unwrap();
        world.check();
        prefixes_of(&answer, iaid).map(|given| given[0].0)
    };
    let given = [1, 2, 3].map(|iaid| {
        world.run_for(secs(10));
        ask(&mut world, Request, iaid).unwrap()
    });
    world.run_for(secs(1000));
    assert_eq!(ask(&mut world, Renew, 1), Ok(given[0]));
    assert_eq!(ask(&mut world, Solicit, 4), Err(StatusCode::NoPrefixAvail), "all may be in use");
    world.run_for(secs(1170));
    assert_eq!(ask(&mut world, Solicit, 4), Ok(given[1]), "not renewed by T2, the older one");
    let both = world.hear(1, Request, &[ia(2, &[]), ia(4, &[])]).unwrap();
    assert_eq!(prefixes_of(&both, 2).unwrap()[0].0, given[1], "named beside");
    assert_eq!(prefixes_of(&both, 4).unwrap()[0].0, given[2]);
    let held: Vec<u32> = world.delegating.bindings().keys().map(|key| key.iaid.0).collect();
    assert_eq!(held, [1, 2, 4]);
    world.check();
}

/// An IA_PD that holds a deprecated prefix alone has the T2 of what is preferred beside it: until that
/// has passed its router is where it was.
#[test]
fn a_deprecated_prefix_alone_sets_no_t2_beside_another() {
    let overdue = |world: &World, iaid| {
        let (key, bindings) = (key(1, iaid), world.delegating.bindings());
        world.delegating.is_overdue(world.now, &key, &bindings[&key])
    };
    let mut world = World::new(SITE, A);
    let both = [ia(1, &[]), ia(2, &[])];
    world.hear(1, Request, &both).unwrap();
    world.run_for(secs(1000));
    // The new prefix has no room for the place of the second.
    world.delegate("up", &[(A, 0, 2500), ("2001:db8:b00::/59", 86_400, 86_400)]);
    let answer = world.hear(1, Renew, &both).unwrap();
    assert_eq!(prefixes_of(&answer, 2).unwrap(), [(net("2001:db8:a00:20::/60"), 0, 2500)]);
    let t2 = answer.ia_pds().map(|ia| ia.t2).collect::<Vec<_>>();
    assert_eq!(t2, [Lifetime::Finite(2160); 2]);
    for (seconds, is_overdue) in [(2010, false), (140, false), (10, true)] {
        world.run_for(secs(seconds));
        assert_eq!([1, 2].map(|iaid| overdue(&world, iaid)), [is_overdue; 2], "{seconds}");
    }
}

/// Of several IA_PDs that a router has left behind the one goes that was answered longest ago, and
/// never that of another node with its DUID.
#[test]
fn the_place_that_was_left_longest_ago_is_given_to_its_own_router_alone() {
    let mut world = World::new(POOL, A);
    let ask = |world: &mut World, place: u8, iaid| {
        let message = message(1, Solicit, &[ia(iaid, &[])]);
        let answer = world.hear_at("lan0", contact(place), &message).unwrap();
        world.check();
        prefixes_of(&answer, iaid).map(|given| given[0].0)
    };
    let given = [2, 3, 1].map(|iaid| {
        world.run_for(secs(10));
        let answer = world.hear(1, Request, &[ia(iaid, &[])]).unwrap();
        prefixes_of(&answer, iaid).unwrap()[0].0
    });
    world.run_for(secs(2170));
    assert_eq!(ask(&mut world, 1, 4), Ok(given[0]), "the oldest, whatever its number is");
    for number in 0..13 {
        let (router, iaid) = (10 + number / 3, u32::from(1 + number % 3));
        let answer = world.hear(router, Request, &[ia(iaid, &[])]).unwrap();
        assert!(prefixes_of(&answer, iaid).is_ok());
    }
    assert_eq!(ask(&mut world, 7, 4), Err(StatusCode::NoPrefixAvail), "the pool is full");
    assert_eq!(ask(&mut world, 1, 4), Ok(given[0]));
}

/// A link-layer address names a router too, heard with the message or read from its address.
#[test]
fn a_router_is_known_by_its_link_layer_address() {
    let config = SITE.replace(
        "duid = \"00:04:02:02:02:02:02:02:02:02:02:02:02:02:02:02:02:02\"",
        "link-layer = \"02:00:5e:00:53:01\"",
    );
    let mut world = World::new(&config, A);
    assert!(
        world
            .hear(2, Request, &[ia(1, &[])])
            .map(|answer| prefixes_of(&answer, 1))
            .unwrap()
            .is_err()
    );
    let octets = vec![2, 0, 0x5e, 0, 0x53, 1];
    let at = Contact { link_layer: Some(octets), ..contact(2) };
    let answer = world.hear_at("lan0", at.clone(), &message(2, Request, &[ia(1, &[])])).unwrap();
    assert_eq!(prefixes_of(&answer, 1).unwrap()[0].0, net("2001:db8:a00:30::/60"));
    world.reload(&config);
    assert_eq!(world.routes(), ["2001:db8:a00:30::/60"]);
    world.check();
    // Set up anew it does not have to wait for itself; who merely has its number does.
    let request = message(5, Request, &[ia(1, &[])]);
    let answer = world.hear_at("lan0", contact(2), &request).unwrap();
    assert_eq!(prefixes_of(&answer, 1), Err(StatusCode::NoPrefixAvail));
    let answer = world.hear_at("lan0", at, &request).unwrap();
    assert_eq!(prefixes_of(&answer, 1).unwrap()[0].0, net("2001:db8:a00:30::/60"));
    assert_eq!(world.delegating.bindings().len(), 1);
    world.check();
}

/// A reload takes nothing from who keeps what he has.
#[test]
fn a_reload_that_changes_nothing_notifies_nobody() {
    for config in [SITE, POOL] {
        let mut world = World::new(config, A);
        world.ask(1, Request, &[]).unwrap();
        let (routes, memory) = (world.routes(), world.memory.bindings.clone());
        world.reload(config);
        assert_eq!((world.notifications(), world.routes()), (Vec::new(), routes));
        assert_eq!(world.memory.bindings, memory);
        world.check();
    }
}

/// Deadlines follow a grace time that has changed.
#[test]
fn a_reload_of_the_grace_time_is_no_busy_loop() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    world.renumber(B);
    world.reload(&format!("grace = \"5s\"\n{SITE}"));
    world.check();
    world.run_for(secs(10));
    world.check();
    assert_eq!(world.routes(), ["2001:db8:b00:10::/60"]);
    world.run_for(secs(6000));
    assert!(world.delegating.bindings.is_idle());
}

/// A delegation that comes to stand for a router takes the place of what it had of a pool, and the
/// other way round.
#[test]
fn a_reload_moves_a_router_between_pool_and_delegation() {
    let both = format!(
        "{POOL}\n[delegation.mine]\ndownlink = \"lan0\"\nduid = \"00:04:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01\"\nprefix = \"0x8/62\""
    );
    let mut world = World::new(POOL, A);
    let pooled = given(&mut world, 1, 1);
    world.reload(&both);
    assert_eq!(world.notifications().len(), 1);
    assert_eq!(given(&mut world, 1, 1), ["2001:db8:a00:20::/62"]);
    world.check();
    world.run_for(secs(5));
    world.ask(1, Renew, &["2001:db8:a00:20::/62"]).unwrap();
    world.reload(POOL);
    assert_eq!(world.notifications().len(), 1);
    assert_eq!(given(&mut world, 1, 1), pooled);
    world.check();
}

/// SEC-18: a reload takes nothing from a router for another at another place, whatever link-layer
/// address that has come with.
#[test]
fn a_reload_gives_a_delegation_to_one_place_only() {
    let at = |number| Contact { link_layer: Some(vec![2, 0, 0x5e, 0, 0x53, 1]), ..contact(number) };
    let mut world = World::new(POOL, A);
    for number in [1, 2] {
        let request = message(number, Request, &[ia(1, &[])]);
        world.hear_at("lan0", at(number), &request).unwrap();
    }
    let pooled = world.routes()[1].clone();
    world.reload(&format!(
        "{POOL}\n[delegation.mine]\ndownlink = \"lan0\"\nlink-layer = \"02:00:5e:00:53:01\"\nprefix = \"0x8/62\""
    ));
    let slots: Vec<&[Slot]> =
        world.delegating.bindings().values().map(|binding| binding.slots()).collect();
    assert!(matches!(slots[..], [[Slot::Delegation(_)], [Slot::Pool { .. }]]), "{slots:?}");
    assert!(world.routes().contains(&pooled));
    world.check();
}
