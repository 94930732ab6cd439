//! No prefix is delegated while another router may hold an overlapping one (SRV-57).

use MessageType::*;

use super::*;

const ONE: &str = "2001:db8:a00:10::/60";

/// The places of routers 1 and 2 on lan0 exchanged.
fn exchanged() -> String {
    let halves = SITE.replace("\"0x1/60\"", "\"x\"").replace("\"0x3/60\"", "\"0x1/60\"");
    halves.replace("\"x\"", "\"0x3/60\"")
}

/// Router 2 gets what router 1 had.
fn handed_on() -> String {
    SITE.replace("\"0x1/60\"", "\"0x4/60\"").replace("\"0x3/60\"", "\"0x1/60\"")
}

fn gets(world: &mut World, number: u8, kind: MessageType, named: &[&str]) -> Vec<String> {
    world.ask(number, kind, named).unwrap_or_default()
}

/// The new owner waits until the old one has shown that it knows, and is then notified.
#[test]
fn a_place_is_given_on_when_its_holder_shows_that_it_has_heard() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    world.reload(&handed_on());
    assert!(gets(&mut world, 2, Request, &[]).is_empty());
    assert_eq!(world.notifications(), [(contact(1).peer, None)]);
    assert!(world.routes().contains(&ONE.to_owned()), "it is used until then");
    let prefixes = world.ask(1, Renew, &[ONE]).unwrap();
    assert_eq!(prefixes, ["2001:db8:a00:40::/60 2700 5400", "2001:db8:a00:10::/60 0 0"]);
    // That answer may have got lost.
    world.run_for(secs(1000));
    assert!(gets(&mut world, 2, Request, &[]).is_empty());
    world.notifications();
    world.check();
    world.ask(1, Renew, &["2001:db8:a00:40::/60"]).unwrap();
    assert_eq!(world.notifications(), [(contact(2).peer, None)]);
    assert_eq!(world.ask(2, Request, &[]).unwrap(), ["2001:db8:a00:10::/60 2700 5400"]);
    world.check();
}

/// So that this does not take until T1.
#[test]
fn a_router_that_has_to_show_that_it_has_heard_comes_soon() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    world.reload(&handed_on());
    let answer = world.hear(1, Renew, &[ia(1, &[ONE])]).unwrap();
    assert_eq!(answer.ia_pds().next().unwrap().t1, Lifetime::Finite(10));
    world.run_for(secs(10));
    let answer = world.hear(1, Renew, &[ia(1, &["2001:db8:a00:40::/60"])]).unwrap();
    assert_eq!(answer.ia_pds().next().unwrap().t1, Lifetime::Finite(840));
    // After a change of the whole prefix nobody waits for a part of the old one.
    world.renumber(B);
    let answer = world.hear(1, Renew, &[ia(1, &["2001:db8:a00:40::/60"])]).unwrap();
    assert_eq!(answer.ia_pds().next().unwrap().t1, Lifetime::Finite(840));
}

#[test]
fn a_holder_that_never_comes_keeps_it_to_its_end() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    world.reload(&handed_on());
    gets(&mut world, 2, Request, &[]);
    world.run_for(secs(5400));
    assert!(gets(&mut world, 2, Request, &[]).is_empty());
    world.notifications();
    world.run_for(secs(6));
    // And notified again, as it does not come.
    assert_eq!(world.notifications(), vec![(contact(2).peer, None); 5]);
    assert!(!gets(&mut world, 2, Request, &[]).is_empty());
    world.check();
}

#[test]
fn a_release_ends_it_at_once() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    world.reload(&handed_on());
    gets(&mut world, 2, Request, &[]);
    world.notifications();
    world.hear(1, Release, &[ia(1, &[ONE])]).unwrap();
    assert_eq!(world.notifications(), [(contact(2).peer, None)]);
    assert!(!gets(&mut world, 2, Request, &[]).is_empty());
    world.check();
}

/// Each waits for the other, and both get there.
#[test]
fn two_routers_exchange_their_places() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    world.ask(2, Request, &[]).unwrap();
    world.reload(&exchanged());
    assert_eq!(world.ask(1, Renew, &[ONE]).unwrap(), ["2001:db8:a00:10::/60 0 0"]);
    world.run_for(secs(5));
    assert!(gets(&mut world, 1, Solicit, &[]).is_empty(), "the other has not heard");
    assert_eq!(
        world.ask(2, Renew, &["2001:db8:a00:30::/60"]).unwrap(),
        ["2001:db8:a00:30::/60 0 0"]
    );
    world.run_for(secs(60));
    assert!(gets(&mut world, 2, Solicit, &[]).len() == 1, "router 1 has shown it");
    assert_eq!(world.ask(2, Request, &[]).unwrap()[0], "2001:db8:a00:10::/60 2700 5400");
    world.run_for(secs(60));
    world.ask(2, Renew, &[ONE]).unwrap();
    world.run_for(secs(60));
    assert_eq!(world.ask(1, Request, &[]).unwrap()[0], "2001:db8:a00:30::/60 2700 5400");
    world.check();
}

/// An overlap of another size counts as well, whichever is inside.
#[test]
fn overlapping_prefixes_wait_too() {
    let small = SITE.replace("\"0x3/60\"", "\"0x18/61\"");
    let large = SITE.replace("\"0x3/60\"", "\"0x6/59\"");
    let inside = SITE.replace("\"0x1/60\"", "\"0xd/60\"").replace("\"0x3/60\"", "\"0x19/61\"");
    for (first, then) in [(&small, &large), (&large, &inside)] {
        let mut world = World::new(first, A);
        world.ask(2, Request, &[]).unwrap();
        let held = net(world.routes()[0].as_str());
        world.reload(&then.replace("[delegation.two]", "[delegation.third]").replace(
            "00:04:02:02:02:02:02:02:02:02:02:02:02:02:02:02:02:02",
            "00:04:03:03:03:03:03:03:03:03:03:03:03:03:03:03:03:03",
        ));
        assert!(gets(&mut world, 3, Request, &[]).is_empty(), "{held} is held");
        world.hear(2, Release, &[ia(1, &[&held.to_string()])]).unwrap();
        assert!(!gets(&mut world, 3, Request, &[]).is_empty());
        world.check();
    }
}

/// Half of a pool may still be held as one piece: whoever would have had a place in it gets another.
#[test]
fn a_pool_gives_what_is_free_beside_a_long_stretch_that_is_not() {
    let mut world = World::new(&SITE.replace("\"0x3/60\"", "\"0x2/58\""), A);
    assert_eq!(world.ask(2, Request, &[]).unwrap(), ["2001:db8:a00:80::/58 2700 5400"]);
    world.reload(&POOL.replace("\"0xf/60\"", "\"0x1/57\""));
    let free = net("2001:db8:a00:c0::/58");
    for number in 10..40 {
        let given = gets(&mut world, number, Request, &[]);
        let given = given.first().and_then(|given| given.split(' ').next());
        assert!(given.is_some_and(|given| free.contains(&net(given))), "{number} got {given:?}");
    }
    world.check();
}

/// A place that comes back to its holder before anyone else had it was never lost.
#[test]
fn a_place_that_returns_is_its_holders_again() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    world.reload(&handed_on());
    world.ask(1, Renew, &[ONE]).unwrap();
    world.reload(SITE);
    let prefixes = world.ask(1, Renew, &["2001:db8:a00:40::/60"]).unwrap();
    assert_eq!(prefixes, ["2001:db8:a00:10::/60 2700 5400", "2001:db8:a00:40::/60 0 0"]);
    world.check();
}

/// A delegation that comes to stand for another router frees the place at once in the table, and
/// in the world when its holder has heard.
#[test]
fn a_delegation_that_changes_its_router_moves() {
    let third = SITE.replace(
        "00:04:02:02:02:02:02:02:02:02:02:02:02:02:02:02:02:02",
        "00:04:03:03:03:03:03:03:03:03:03:03:03:03:03:03:03:03",
    );
    let mut world = World::new(SITE, A);
    world.hear(2, Request, &[ia(1, &[]), Dhcpv6Option::ReconfigureAccept]).unwrap();
    world.reload(&third);
    assert!(gets(&mut world, 3, Request, &[]).is_empty());
    assert!(
        world
            .notifications()
            .iter()
            .any(|(peer, message)| *peer == contact(2).peer && message.is_some())
    );
    assert_eq!(
        world.ask(2, Renew, &["2001:db8:a00:30::/60"]).unwrap(),
        ["2001:db8:a00:30::/60 0 0"]
    );
    world.run_for(secs(40));
    assert!(gets(&mut world, 2, Solicit, &[]).is_empty());
    assert_eq!(world.notifications(), [(contact(3).peer, None)]);
    assert_eq!(world.ask(3, Request, &[]).unwrap(), ["2001:db8:a00:30::/60 2700 5400"]);
    world.check();
}

/// The quarantine survives a restart.
#[test]
fn a_restart_forgets_no_holder() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    world.reload(&handed_on());
    world.ask(1, Renew, &[ONE]).unwrap();
    world.restart();
    assert!(gets(&mut world, 2, Request, &[]).is_empty());
    world.check();
}

/// A router that moves to another link, with the configuration, takes its place along.
#[test]
fn a_delegation_that_moves_to_another_link_is_given_there() {
    let moved = SITE.replace(
        "[delegation.two]\n    downlink = \"lan0\"",
        "[delegation.two]\n    downlink = \"wl0\"",
    );
    let mut world = World::new(SITE, A);
    world.ask(2, Request, &[]).unwrap();
    world.reload(&moved);
    let request = message(2, Request, &[ia(1, &[])]);
    let answer = world.hear_at("wl0", contact(2), &request).unwrap();
    assert_eq!(
        prefixes_of(&answer, 1),
        Err(StatusCode::NoPrefixAvail),
        "it may be two with one DUID"
    );
    world.hear(2, Release, &[ia(1, &["2001:db8:a00:30::/60"])]).unwrap();
    let answer = world.hear_at("wl0", contact(2), &request).unwrap();
    assert!(prefixes_of(&answer, 1).is_ok());
    world.check();
}

/// A router that waits and has a key is sent a Reconfigure with it.
#[test]
fn a_waiting_router_with_a_key_gets_a_reconfigure() {
    let accept = Dhcpv6Option::ReconfigureAccept;
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    world.hear(2, Request, &[ia(1, &[]), accept]).unwrap();
    world.reload(&handed_on());
    world.notifications();
    assert!(!world.delegating.bindings()[&key(2, 1)].blocked.is_empty());
    let prefixes = world.ask(2, Renew, &["2001:db8:a00:30::/60"]).unwrap();
    assert_eq!(prefixes, ["2001:db8:a00:30::/60 0 0"]);
    assert_eq!(world.notifications(), []);
    world.run_for(secs(3));
    world.notifications();
    world.hear(1, Release, &[ia(1, &[ONE])]).unwrap();
    let notified = world.notifications();
    assert!(matches!(&notified[..], [(peer, Some(_))] if *peer == contact(2).peer), "{notified:?}");
    assert_eq!(world.ask(2, Request, &[]).unwrap()[0], "2001:db8:a00:10::/60 2700 5400");
    world.check();
}

/// Thousands of prefixes named in one message make no answer that does not fit.
#[test]
fn an_answer_fits_a_datagram_whatever_is_named() {
    let mut world = World::new(SITE, A);
    let all: Vec<String> = (0..2200).map(|n| format!("2001:db8:{n:x}::/48")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    let answer = world.hear(1, Renew, &[ia(1, &all)]).unwrap();
    assert_eq!(prefixes_of(&answer, 1).unwrap().len(), 65);
    let many: Vec<_> = (0..100).map(|iaid| ia(iaid, &[])).collect();
    let mut world = World::new(&POOL.replace("per-router = 3", "per-router = 99"), A);
    let answer = world.hear(1, Request, &many).unwrap();
    assert_eq!(answer.ia_pds().count(), 32);
    world.check();
}

/// SRV-57: a Renew that left before our last message came shows nothing of what that gave.
#[test]
fn what_a_router_has_not_heard_of_yet_it_may_hold() {
    for (milliseconds, shows) in [(0, false), (2900, false), (3000, true)] {
        let mut world = World::new(SITE, A);
        world.ask(1, Request, &[]).unwrap();
        world.renumber(B);
        world.run_for(Duration::from_millis(milliseconds));
        world.ask(1, Renew, &[]).unwrap();
        let bindings = world.delegating.bindings();
        let old = bindings[&key(1, 1)].promised().find(|(prefix, _)| net(A).contains(*prefix));
        assert_eq!(old.unwrap().1.heard, shows, "{milliseconds}");
        world.check();
    }
}
