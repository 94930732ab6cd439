//! Prefixes that go and come back, on the link and in the delegation: what counts in the end is
//! what was advertised last (CHG-04, CHG-14, CHG-15).

use std::collections::VecDeque;

use renumberd::core::kernel::system::Link;
use renumberd::core::uplink::Lack;
use renumberd::wire::ndp_option::NdpOption;

use super::*;

fn link(letter: char) -> String {
    format!("2001:db8:{letter}::/64")
}

fn delegated(letter: char) -> String {
    format!("2001:db8:{letter}000::/56")
}

/// A parent that advertises one prefix after the other, `apart` from each to the next, and moves
/// its delegation by `lag` later. It answers each solicitation. The world a minute after the last.
fn redial(sequence: &str, apart: Duration, lag: Duration) -> World {
    let mut world = settled();
    let start = world.now();
    let advertise = |world: &mut World, letter: char| {
        let options: Vec<NdpOption> = vec![pio(&link(letter), 7200, 3600)];
        world.provider().advertisement = Some(world::advertisement(options.clone()));
        world.advertise(options);
    };
    let mut moves: VecDeque<(Instant, char)> = VecDeque::new();
    for (position, letter) in (0_u32..).zip(sequence.chars()) {
        let at = start + apart * position;
        while moves.front().is_some_and(|(when, _)| *when <= at)
            && let Some((when, letter)) = moves.pop_front()
        {
            world.run_for(when.since(world.now()));
            world.renumber(&delegated(letter));
        }
        world.run_for(at.since(world.now()));
        advertise(&mut world, letter);
        moves.push_back((at + lag, letter));
    }
    for (when, letter) in moves {
        world.run_for(when.since(world.now()));
        world.renumber(&delegated(letter));
    }
    world.run_for(Duration::from_secs(60));
    world
}

/// Only what is `letter`'s is preferred, on both sides.
fn ends_with(world: &World, letter: char) -> bool {
    let ours = [format!("2001:db8:{letter}:"), format!("2001:db8:{letter}000:")];
    let preferred = world.preferred();
    preferred.len() == 2
        && preferred.iter().all(|one| ours.iter().any(|prefix| one.starts_with(prefix)))
        && world
            .lifetimes(&format!("2001:db8:{letter}000:1::/64"))
            .is_some_and(|(left, _)| left > 0)
}

#[test]
fn the_last_prefix_and_its_delegation_are_left() {
    for sequence in ["b", "ba", "bcb", "bab", "bababc", "babab", "bcacba"] {
        for apart in [100 * MS, 500 * MS, 3100 * MS, Duration::from_secs(60)] {
            for lag in [Duration::ZERO, 300 * MS, Duration::from_secs(2)] {
                let world = redial(sequence, apart, lag);
                let last = sequence.chars().last().unwrap();
                assert!(
                    ends_with(&world, last),
                    "{sequence}, {apart:?} apart, {lag:?} late: {:?}",
                    world.preferred()
                );
            }
        }
    }
}

/// CHG-15, CHG-16: a lease was given before any router was heard, and the first advertisement is
/// already about the next prefix, to which the server has moved: the lease follows at once.
#[test]
fn a_first_advertisement_about_the_next_prefix_is_followed() {
    for heard_after in [20, 1000, 4900] {
        let mut world = World::new(config(), "2001:db8:a000::/56");
        world.command(Command::LinkUp { uplink: "up".to_owned() });
        world.run_for(heard_after * MS);
        let is_bound = world.preferred().contains(&"2001:db8:a000:1::1%3".to_owned());
        assert!(is_bound, "bound before a router was heard");
        world.renumber("2001:db8:b000::/56");
        let heard_at = world.now();
        world.advertise(vec![pio(B, 7200, 3600)]);
        world.run_for(500 * MS);
        let case = format!("heard after {heard_after} ms");
        assert!(world.preferred().contains(&"2001:db8:b000:1::1%3".to_owned()), "{case}");
        world.run_for(Duration::from_secs(60));
        assert_eq!(renewals(&world, heard_at), 1, "{case}");
    }
}

/// SEC-06: that costs no more than its changes.
#[test]
fn a_router_that_goes_to_and_fro_starts_few_refreshes() {
    let world = redial("bababababababababab", 500 * MS, Duration::ZERO);
    let since = Instant::from_secs(1000 + 60);
    assert!(renewals(&world, since) <= 20, "{}", renewals(&world, since));
    assert!(world.solicitations(since) <= 20, "{}", world.solicitations(since));
}

/// The uplink of a settled world is a line with one peer.
fn line() -> World {
    let mut world = settled();
    let link = world.system().links[&UPLINK].clone();
    world.kernel().change(KernelEvent::Link(Link { point_to_point: true, ..link }));
    world.run_for(Duration::from_secs(1));
    world
}

fn lack(world: &World) -> Option<Lack> {
    world.net.nodes[0].core.lack(world.now(), "up").unwrap()
}

fn link_up(world: &mut World) {
    world.command(Command::LinkUp { uplink: "up".to_owned() });
}

/// UPL-23: what one connection had says nothing about the next.
#[test]
fn a_new_connection_is_there_once_it_has_an_address_and_a_lease() {
    let mut world = line();
    assert_eq!(lack(&world), None);
    world.provider().deaf_to = vec![Rebind, Renew, Solicit];
    link_up(&mut world);
    assert_eq!(lack(&world), Some(Lack::Router));
    world.renumber("2001:db8:b000::/56");
    world.advertise(vec![]);
    assert_eq!(lack(&world), Some(Lack::Lease), "the line has no prefix to make an address of");
    world.kernel().detection = Duration::from_secs(1);
    world.advertise(vec![pio(&link('b'), 7200, 3600)]);
    assert_eq!(lack(&world), Some(Lack::Address), "it is tentative");
    world.run_for(Duration::from_secs(3));
    assert_eq!(lack(&world), Some(Lack::Lease));
    world.provider().deaf_to.clear();
    world.run_for(Duration::from_secs(10));
    assert_eq!(lack(&world), None);
    assert!(ends_with(&world, 'b'), "{:?}", world.preferred());
    world.carrier(UPLINK, false);
    assert_eq!(lack(&world), Some(Lack::Link));
    assert_eq!(world.net.nodes[0].core.lack(world.now(), "other"), None);
}

/// UPL-11: nothing is reached from an address of the former connection, so it waits for no grace
/// time; the link-local address is the line's own.
#[test]
fn what_a_former_connection_had_leaves_when_the_new_one_has_an_address() {
    let mut world = line();
    let has = |world: &World, prefix: &str| {
        world.addresses().iter().any(|address| address.starts_with(prefix))
    };
    link_up(&mut world);
    world.run_for(Duration::from_secs(20));
    assert!(has(&world, "2001:db8:a:"), "there is nothing better yet");
    world.advertise(vec![pio(&link('b'), 7200, 3600)]);
    world.run_for(Duration::from_secs(1));
    assert!(has(&world, "2001:db8:b:") && !has(&world, "2001:db8:a:"), "{:?}", world.addresses());
    assert!(!world.routes().iter().any(|route| route.starts_with("2001:db8:a::/64")));
    assert!(world.system().link_local(UPLINK).is_some());
}

/// UPL-23: a program may say that the line is up before the kernel does.
#[test]
fn a_line_that_was_announced_asks_without_a_random_delay() {
    for announced in [true, false] {
        let mut hurried = 0;
        for seed in 0..4 {
            let mut world = line();
            world.run_for(Duration::from_millis(seed));
            world.carrier(UPLINK, false);
            if announced {
                link_up(&mut world);
            }
            world.run_for(Duration::from_secs(5));
            let since = world.now();
            world.carrier(UPLINK, true);
            world.run_for(MS);
            hurried += usize::from(renewals(&world, since) > 0);
        }
        assert_eq!(hurried, if announced { 4 } else { 0 });
    }
}
