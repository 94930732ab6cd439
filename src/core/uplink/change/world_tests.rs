//! Floods, slow parents and random histories, in virtual time.

use proptest::prelude::*;

use super::world::{ADVERTISEMENT, Event, PARENT, RECONFIGURE, World};
use super::*;
use crate::core::random::Random;

fn at(seconds: f64) -> Instant {
    Instant::from_boot(Duration::from_secs_f64(1000.0 + seconds))
}

fn seconds_of(instants: &[Instant]) -> Vec<u64> {
    instants.iter().map(|instant| instant.since(at(0.0)).as_secs()).collect()
}

/// CHG-04: §15 row 12.
#[test]
fn flaps_with_an_unchanged_lease_cost_three_now_and_one_per_token() {
    let mut world = World::new();
    for flap in 0..20 {
        world.schedule(at(0.5 * f64::from(flap)), Event::Trigger(ADVERTISEMENT));
    }
    world.run_until(at(29.9));
    assert_eq!(seconds_of(&world.changes_at()), [0, 0, 1], "three now");
    assert_eq!(world.refreshes.len(), 3, "each was replaced before its follow-up");
    world.run();
    assert_eq!(seconds_of(&world.changes_at()), [0, 0, 1, 30], "the last state is acted on");
    let all: Vec<_> = world.refreshes.iter().map(|(at, _)| *at).collect();
    assert_eq!(seconds_of(&all), [0, 0, 1, 30, 31, 34, 43], "then quiet");
}

/// CHG-04: real changes are never throttled, neither those that the first Reply brings nor those
/// that a follow-up brings.
#[test]
fn a_hundred_real_changes_are_followed_at_once() {
    for (lag, latest) in [(0.0, 0.0), (0.05, 1.01)] {
        let mut world = World::new();
        for change in 0..100 {
            let change = 3.1 * f64::from(change);
            world.schedule(at(change + lag), Event::Switch(false));
            world.schedule(at(change), Event::Trigger(ADVERTISEMENT));
        }
        for change in 0..100_u32 {
            world.run_until(at(3.1 * f64::from(change) + latest + 0.01));
            assert_eq!(world.lease, change + 1, "lag {lag}");
        }
        world.run();
        assert_eq!(world.changes_at().len(), 100, "lag {lag}");
    }
}

/// CHG-04: a forged flood does not keep a real change from being followed.
#[test]
fn a_real_change_in_a_flood_is_followed() {
    let cases = [
        ("link", Some(Trigger::Link), 1.0),
        ("Reconfigure", Some(RECONFIGURE), 1.0),
        ("advertisement alone", None, 30.1),
    ];
    for (name, trigger, within) in cases {
        let mut world = World::new();
        for forged in 0..1500 {
            world.schedule(at(0.2 * f64::from(forged)), Event::Trigger(ADVERTISEMENT));
        }
        world.schedule(at(101.05), Event::Switch(false));
        if let Some(trigger) = trigger {
            world.schedule(at(101.05), Event::Trigger(trigger));
        }
        world.run_until(at(101.05 + within));
        assert_eq!(world.lease, 1, "{name}");
    }
}

/// CHG-15: the bindings move after the advertisement has left.
#[test]
fn a_slow_parent_is_followed_within_three_times_its_delay() {
    for delay in [0.05, 0.5, 2.0, 10.0] {
        let mut world = World::new();
        world.schedule(at(0.0), Event::Trigger(ADVERTISEMENT));
        world.schedule(at(delay), Event::Switch(false));
        world.run_until(at(3.0 * delay + 1.0));
        assert_eq!(world.lease, 1, "{delay} s");
        let so_far = world.refreshes.len();
        world.run();
        assert_eq!(world.refreshes.len(), so_far, "a fruitful Reply ends the series");
    }
}

/// CHG-15, CHG-16: the link comes up, a first lease is given, and the first advertisement heard is
/// about the next prefix, to which the bindings have moved.
#[test]
fn a_first_advertisement_of_the_next_prefix_is_followed() {
    for heard in [0.01, 0.5, 2.0, 5.0] {
        for lead in [0.0, 0.002] {
            let mut world = World::new();
            world.has_lease = false;
            world.schedule(at(0.0), Event::Trigger(Trigger::Link));
            let words = Trigger::FirstWords { router: PARENT };
            world.schedule(at(heard), Event::Trigger(words));
            world.schedule(at(heard - lead), Event::Switch(false));
            world.run_until(at(heard + 0.1));
            assert_eq!(world.lease, 1, "heard after {heard} s, moved {lead} s before");
            world.run();
            assert_eq!(world.refreshes.len(), 2, "the link's own and one more");
        }
    }
}

/// CHG-04, CHG-15: what comes first may be the older of two changes.
#[test]
fn a_change_that_overtook_another_is_followed_to_its_end() {
    let mut world = World::new();
    for (advertised, moved) in [(0.0, 8.0), (4.6, 12.6)] {
        world.schedule(at(advertised), Event::Trigger(ADVERTISEMENT));
        world.schedule(at(moved), Event::Switch(false));
    }
    world.run();
    assert_eq!(world.lease, 2);
    let all: Vec<_> = world.refreshes.iter().map(|(at, _)| *at).collect();
    assert_eq!(seconds_of(&all), [0, 1, 4, 4, 5, 8, 17], "two of them fruitful");
}

/// CHG-15: a parent that answers nothing is not late but away.
#[test]
fn a_parent_that_answers_nothing_ends_the_series() {
    let mut world = World::new();
    world.silent = Some(Duration::from_secs(10));
    world.schedule(at(0.0), Event::Trigger(ADVERTISEMENT));
    world.run();
    let all: Vec<_> = world.refreshes.iter().map(|(at, _)| *at).collect();
    assert_eq!(seconds_of(&all), [0], "the lease goes on by itself");
}

/// CHG-16: every order of what one change sends, each message repeated, the Reply anywhere behind
/// the first. The second advertisement has equal content, so that it triggers nothing.
#[test]
fn all_orders_of_one_change_cost_one_exchange() {
    const ORDERS: [[bool; 4]; 6] = [
        [true, true, false, false],
        [true, false, true, false],
        [true, false, false, true],
        [false, true, true, false],
        [false, true, false, true],
        [false, false, true, true],
    ];
    for reconfigures in ORDERS {
        for reply_after in 1..=4 {
            for apart in [1, 400, 660] {
                let exchanges = one_change(reconfigures, reply_after, apart);
                assert_eq!(exchanges, 1, "{reconfigures:?} {reply_after} {apart} ms");
            }
        }
    }
}

/// How many refreshes the messages start; `true` is a Reconfigure, `false` an advertisement.
fn one_change(reconfigures: [bool; 4], reply_after: usize, apart: u64) -> usize {
    let mut changes = Changes::new();
    let mut now = at(0.0);
    let mut heard = false;
    let mut exchanges = 0;
    for (index, reconfigure) in reconfigures.into_iter().enumerate() {
        if index == reply_after {
            changes.handle_outcome(now, Outcome::Fruitful, Some(PARENT));
        }
        let repeated = !reconfigure && std::mem::replace(&mut heard, true);
        if !repeated {
            let trigger = if reconfigure { RECONFIGURE } else { ADVERTISEMENT };
            exchanges += usize::from(changes.handle_trigger(now, trigger).is_some());
        }
        exchanges += usize::from(changes.poll(now).is_some());
        now = now + Duration::from_millis(apart);
    }
    if reply_after == 4 {
        changes.handle_outcome(now, Outcome::Fruitful, Some(PARENT));
    }
    exchanges += usize::from(changes.poll(now).is_some());
    assert_eq!(changes.deadline(), None);
    exchanges
}

/// SEC-06: five minutes of forged prefixes.
#[test]
fn a_flood_starts_thirteen_refreshes_at_most() {
    for seed in 0..20 {
        let mut random = Random::new([seed; 32]);
        let mut world = World::new();
        let longest_pause = [0.01, 0.5, 5.0, 40.0][usize::from(seed) % 4];
        let mut now = 0.0;
        while now < 300.0 {
            world.schedule(at(now), Event::Trigger(ADVERTISEMENT));
            now += random.factor(0.0, longest_pause);
        }
        world.run_until(at(300.0));
        let (started, all) = (world.changes_at().len(), world.refreshes.len());
        assert!(started <= 13, "{started} with pauses up to {longest_pause} s");
        assert!(all - started <= 4 * started, "{all} with pauses up to {longest_pause} s");
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![1 => Just(Outcome::Fruitful), 2 => Just(Outcome::Partial), 4 => Just(Outcome::Unchanged), 4 => Just(Outcome::Failed)]
}

/// A change: seconds since the one before, seconds by which the bindings move later than the
/// advertisement leaves, and whether there is a Reconfigure.
fn real_change() -> impl Strategy<Value = (f64, f64, bool)> {
    (0.0..12.0, prop_oneof![Just(0.0), -0.01..0.01, 0.0..10.0], any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// CHG-15: advertisements of equal content trigger once, when the link has come up or later;
    /// whatever comes of the refreshes, and however late the core is woken.
    #[test]
    fn equal_content_costs_five_refreshes_within_45_seconds(
        link_before in prop::option::of((0.0..7.0_f64, outcome())),
        outcomes in prop::collection::vec((outcome(), 0.0..25.0_f64, 0.0..10.0_f64), 12),
    ) {
        let mut changes = Changes::new();
        let mut now = at(0.0);
        let mut trigger = ADVERTISEMENT;
        if let Some((before, outcome)) = link_before {
            let up_at = at(-before);
            prop_assert!(changes.handle_trigger(up_at, Trigger::Link).is_some());
            changes.handle_outcome(up_at, outcome, Some(PARENT));
            trigger = Trigger::FirstWords { router: PARENT };
        }
        let mut count = usize::from(changes.handle_trigger(now, trigger).is_some());
        for (outcome, took, late) in outcomes {
            let ended = now + Duration::from_secs_f64(took);
            changes.handle_outcome(ended, outcome, Some(PARENT));
            let Some(deadline) = changes.deadline() else { break };
            prop_assert!(deadline.at <= at(45.0), "woken for what is too late");
            now = deadline.at.max(ended) + Duration::from_secs_f64(late);
            if changes.poll(now).is_none() {
                break;
            }
            count += 1;
            prop_assert!(now <= at(45.0), "{:?} after the change", now.since(at(0.0)));
        }
        prop_assert!(count <= 5);
        prop_assert!(changes.running.is_some() || changes.deadline().is_none());
    }

    /// CHG-04: the last state is always acted on, whatever came before it, and then all is quiet.
    #[test]
    fn no_real_change_is_lost(
        history in prop::collection::vec(real_change(), 1..12),
        latency in 0.0001..0.5_f64,
    ) {
        let mut world = World::new();
        world.latency = Duration::from_secs_f64(latency);
        let (mut advertised, mut moved) = (0.0, 0.0_f64);
        for (pause, lag, reconfigure) in history {
            advertised += pause;
            moved = moved.max(advertised + lag);
            world.schedule(at(advertised), Event::Trigger(ADVERTISEMENT));
            world.schedule(at(moved), Event::Switch(reconfigure));
        }
        world.run_until(at(moved + 60.0));
        prop_assert_eq!(world.lease, world.parent);
        world.run();
    }

    /// Whatever happens in whatever order: a trigger is followed by a refresh that started after
    /// it, unless the table of the module says that one from before will do.
    #[test]
    fn nothing_that_waits_is_forgotten(
        steps in prop::collection::vec((0..8_u8, 0.0..3.0_f64), 1..60),
    ) {
        let mut changes = Changes::new();
        let mut now = at(0.0);
        for (step, pause) in steps {
            now = now + Duration::from_secs_f64(pause);
            let started = match step {
                0 | 1 => changes.handle_trigger(now, ADVERTISEMENT),
                2 => changes.handle_trigger(now, RECONFIGURE),
                3 => changes.handle_trigger(now, Trigger::Requested),
                4 => changes.handle_trigger(now, Trigger::Link),
                5 => {
                    changes.handle_outcome(now, Outcome::Unchanged, Some(PARENT));
                    None
                }
                6 => {
                    changes.handle_outcome(now, Outcome::Fruitful, Some(PARENT));
                    None
                }
                _ => changes.poll(now),
            };
            prop_assert!(started.is_none() || changes.running.is_some());
            prop_assert!(changes.waiting.is_none() || changes.deadline().is_some());
        }
        let refresh = changes.handle_trigger(now, Trigger::Requested);
        let mut later = now;
        let acted = refresh.is_some() || (0..60).any(|_| {
            later = later + Duration::from_secs(1);
            changes.poll(later).is_some_and(|refresh| !refresh.follow_up)
        });
        prop_assert!(acted, "a trigger was lost");
    }
}
