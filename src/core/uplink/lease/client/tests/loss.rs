//! Datagrams that get lost, and servers that are slow (PDC-41).

use proptest::prelude::*;

use super::*;
use MessageType::{Rebind, Renew, Request};

/// The way there and back: four hops that lose one datagram in twenty each, in a tree of routers
/// one above the other, so that each router's exchange crosses one of them.
fn lost(random: &mut Random) -> bool {
    const LOSS: f64 = 0.05;
    random.factor(0.0, 1.0) < LOSS || random.factor(0.0, 1.0) < LOSS
}

/// PDC-41: four routers in a row renew one after the other, each when the one above has: with 5 %
/// loss on each link the last of them has the new prefix within a second, in each of 200 changes.
#[test]
fn losses_on_four_hops_cost_no_second() {
    let mut random = Random::new([5; 32]);
    let mut worst = Duration::ZERO;
    for change in 0..200_u8 {
        let mut whole = Duration::ZERO;
        for hop in 0..4_u8 {
            let mut world = World::seeded(rules(), change ^ (hop << 6));
            world.latency = millis(2);
            world.lease.link_up(START, true);
            world.run(millis(500), |question| Some(reply(1, question, gives(A))));
            let start = world.elapsed();
            world.lease.refresh(world.now, RENEW);
            world.run(start + secs(5), |question| {
                (!lost(&mut random)).then(|| reply(1, question, gives(B)))
            });
            assert_eq!(world.live(), [net(B)]);
            whole += *world.changes().last().unwrap() - start;
        }
        worst = worst.max(whole);
    }
    assert!(worst < secs(1), "{worst:?}");
}

/// PDC-41: the answer to the first message counts, however late it comes and whatever was asked
/// meanwhile, and the next refresh waits for as long as that one took.
#[test]
fn a_slow_server_is_asked_less_the_next_time() {
    let mut world = World::bound();
    world.latency = secs(3);
    world.lease.refresh(world.now, RENEW);
    world.run(millis(3500), |question| {
        (question.kind == Renew).then(|| reply(1, question, gives(B)))
    });
    assert_eq!(world.live(), [net(B)]);
    assert_eq!(world.outcomes()[0].0, secs(3));
    assert_eq!(world.sent_of(Renew).len(), 6);
    world.run(secs(10), silence);
    world.sent.clear();
    world.lease.refresh(world.now, RENEW);
    world.run(secs(20), |question| (question.kind == Renew).then(|| reply(1, question, gives(A))));
    assert_eq!(world.live(), [net(A)]);
    assert!(world.sent_of(Renew).len() <= 2, "{:?}", world.kinds());
    world.run(secs(30), silence);
    world.sent.clear();
    world.lease.refresh(world.now, RENEW);
    world.run(secs(40), |question| (question.kind == Renew).then(|| reply(1, question, gives(A))));
    assert_eq!(world.sent_of(Renew).len(), 1);
    assert!(world.sent_of(Rebind).len() <= 2);
}

/// PDC-41: so does a Request that a refresh leads to; one at a first start is repeated as the RFC
/// says.
#[test]
fn a_request_is_hurried_by_a_change_alone() {
    let mut world = World::bound();
    world.lease.refresh(world.now, RENEW);
    world.run(millis(500), |question| {
        let forgot = vec![fails(1, StatusCode::NoBinding)];
        (question.kind == Renew).then(|| reply(1, question, forgot))
    });
    let times = world.times_of(Request);
    assert_near(times[1] - times[0], millis(18), millis(4));
    let mut world = World::new(rules());
    world.lease.link_up(START, true);
    world.run(secs(4), |question| {
        (question.kind == MessageType::Solicit).then(|| advertise(1, question, gives(A)))
    });
    let times = world.times_of(Request);
    assert!(times[1] - times[0] >= millis(900), "{times:?}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// PDC-09, PDC-41: however slow the server, however many datagrams get lost and however often
    /// changes come, twenty seconds hold no more than twenty messages; and when all is well again
    /// a refresh is answered at once, or when the limit allows it.
    #[test]
    fn no_pace_of_changes_exceeds_the_limit(
        seed: u8,
        latency in 0_u64..5000,
        loss in 0.0..1.0_f64,
        gaps in proptest::collection::vec(0_u64..4000, 1..60),
    ) {
        let mut world = World::bound();
        world.lease.client_mut().random = Random::new([seed; 32]);
        let mut random = Random::new([seed.wrapping_add(1); 32]);
        world.latency = millis(latency);
        for gap in gaps {
            world.lease.refresh(world.now, RENEW);
            world.run(world.elapsed() + millis(gap), |question| {
                let arrives = random.factor(0.0, 1.0) >= loss;
                arrives.then(|| reply(1, question, gives(A)))
            });
        }
        // What is on its way arrives, and what is under way ends.
        world.run(world.elapsed() + secs(15), silence);
        world.latency = millis(1);
        let start = world.elapsed();
        world.lease.refresh(world.now, RENEW);
        world.run(start + secs(32), |question| Some(reply(1, question, gives(B))));
        prop_assert_eq!(world.live(), [net(B)]);
        for run in world.sent.windows(21) {
            prop_assert!(run[20].0 - run[0].0 >= secs(20), "{:?}", run[0].0);
        }
    }
}
