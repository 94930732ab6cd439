//! Prefixes that go and come back, on the link and in the delegation: what counts in the end is
//! what was advertised last (CHG-04, CHG-14, CHG-15).

use std::collections::VecDeque;

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

/// SEC-06: that costs no more than its changes.
#[test]
fn a_router_that_goes_to_and_fro_starts_few_refreshes() {
    let world = redial("bababababababababab", 500 * MS, Duration::ZERO);
    let since = Instant::from_secs(1000 + 60);
    assert!(renewals(&world, since) <= 20, "{}", renewals(&world, since));
    assert!(world.solicitations(since) <= 20, "{}", world.solicitations(since));
}
