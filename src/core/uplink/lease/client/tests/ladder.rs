//! The refresh ladder (§15b): what is asked when a change started it.

use super::*;
use MessageType::{Rebind, Renew, Request, Solicit};

/// What a server without state for us says, in its own words for each message.
fn forgetful(number: u8, question: &Message) -> Option<Message> {
    match question.kind {
        Renew if question.server_id() != Some(&server(number)) => None,
        Renew | Rebind => Some(reply(number, question, vec![fails(1, StatusCode::NoBinding)])),
        _ => Some(reply(number, question, gives(B))),
    }
}

/// Climbs the ladder with `servers` from one second after the Reply that gave A.
fn climb(refresh: Refresh, servers: impl FnMut(&Message) -> Option<Message>) -> World {
    let mut world = World::bound();
    world.run(secs(1), silence);
    world.lease.refresh(world.now, refresh);
    world.run(secs(12), servers);
    world
}

/// Times since the ladder began.
fn steps(world: &World, kind: MessageType) -> Vec<Duration> {
    world.times_of(kind).into_iter().map(|at| at - secs(1)).collect()
}

/// CHG-03, §15b, PDC-41: Renew at once and, as often as it may have got lost, until the Rebinds after
/// 1 and 2 s; Solicit after 4 s.
#[test]
fn each_step_has_its_time() {
    let world = climb(RENEW, silence);
    let renews = steps(&world, Renew);
    assert_eq!((renews[0], renews.len()), (secs(0), 6));
    assert_near(renews[1], millis(18), millis(4));
    let gaps: Vec<_> = renews.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!(gaps.windows(2).all(|pair| (1.89..=2.11).contains(&(pair[1] / pair[0]))), "{gaps:?}");
    let ids: Vec<_> = world.sent_of(Renew).iter().map(|m| m.transaction_id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "one exchange");
    let rebinds = steps(&world, Rebind);
    assert_eq!(rebinds.len(), 2);
    assert_eq!(rebinds[0], secs(1));
    assert_near(rebinds[1], millis(1900), millis(200));
    let solicits = steps(&world, Solicit);
    assert_eq!(solicits[0], secs(4));
    assert!(solicits[1] > secs(5) && solicits[1] <= millis(5100), "{solicits:?}");
    assert_near(solicits[2], millis(6900), millis(500));

    let world = climb(REBIND, silence);
    assert_eq!(steps(&world, Renew), []);
    let rebinds = steps(&world, Rebind);
    assert_eq!((rebinds[0], rebinds[6]), (secs(0), secs(1)));
    assert_eq!(rebinds.len(), 8);
}

/// §15b, PDC-52: the Renew is for the server that gave the lease, and all steps name the prefix.
#[test]
fn each_step_names_what_is_held() {
    let world = climb(RENEW, silence);
    assert!(world.sent.len() > 5);
    for (at, message) in &world.sent {
        // A Solicit in vain leaves the prefix out every other time.
        let left_out = message.kind == Solicit && *at > secs(7) && *at < secs(9);
        let expected = if left_out { net("::/56") } else { net(A) };
        assert_eq!(named(message), [(1, vec![expected])], "{:?}", message.kind);
        let addressed = (message.kind == Renew).then(|| server(1));
        assert_eq!(message.server_id(), addressed.as_ref());
        assert_eq!(message.has_rapid_commit(), message.kind == Solicit);
    }
}

/// §15b, PDC-49: an answer ends it, and nothing is asked again; infinite lifetimes are no
/// obstacle.
#[test]
fn the_first_answer_ends_it() {
    let forever = vec![ia_pd(1, u32::MAX, u32::MAX, &[prefix(A, u32::MAX, u32::MAX)])];
    for (given, expected) in [(gives(A), Outcome::Unchanged), (gives(B), Outcome::Fruitful)] {
        let mut world = World::bound_to(rules(), forever.clone());
        world.lease.refresh(world.now, RENEW);
        world.run(secs(900), |question| serve(question, given.clone()));
        assert_eq!(world.kinds(), [Renew]);
        assert_eq!(world.outcomes(), [(millis(1), expected)]);
        assert!(world.lease.client().exchanges.is_empty());
    }
}

/// §15b, PDC-41: one lost Renew costs a few round trips.
#[test]
fn a_lost_renew_costs_a_few_round_trips() {
    let mut count = 0;
    let world = climb(RENEW, |question| {
        count += 1;
        (count > 1).then(|| reply(1, question, gives(B)))
    });
    assert_eq!(world.kinds(), [Renew, Renew]);
    assert_near(world.outcomes()[0].0, millis(1019), millis(4));
    assert_eq!(world.live(), [net(B)]);
}

/// §15b: whatever became of the server, another prefix is bound in less than six seconds.
#[test]
fn a_server_that_changed_is_followed_in_six_seconds() {
    type Server = fn(&Message) -> Option<Message>;
    let cases: [(&str, Server, &[MessageType], u64); 7] = [
        ("NoBinding", |q| forgetful(1, q), &[Renew, Request], 2),
        ("another DUID, NoBinding", |q| forgetful(2, q), &[Renew, Rebind, Request], 1002),
        (
            "another DUID, answers Rebind",
            |q| (q.kind == Rebind).then(|| reply(2, q, gives(B))),
            &[Renew, Rebind],
            1001,
        ),
        (
            "deaf to Renew and Rebind",
            |q| (q.kind == Solicit).then(|| reply(1, q, gives(B))),
            &[Renew, Rebind, Solicit],
            4001,
        ),
        (
            "another DUID, without Rapid Commit",
            |q| match q.kind {
                Renew | Rebind => None,
                Solicit => Some(advertise(2, q, gives(B))),
                _ => (q.server_id() == Some(&server(2))).then(|| reply(2, q, gives(B))),
            },
            &[Renew, Rebind, Solicit, Request],
            5110,
        ),
        (
            "withdraws, then gives",
            |q| match q.kind {
                Renew => Some(reply(1, q, vec![ia_pd(1, 0, 0, &[prefix(A, 0, 0)])])),
                _ => Some(reply(1, q, gives(B))),
            },
            &[Renew, Solicit],
            2,
        ),
        (
            "says NoBinding to the Rebind of another's lease, Request needs two attempts",
            |q| match q.kind {
                Renew => None,
                Request => (q.elapsed_time() > Some(0)).then(|| reply(2, q, gives(B))),
                _ => forgetful(2, q),
            },
            &[Renew, Rebind, Request],
            3000,
        ),
    ];
    for (name, servers, first_kinds, within) in cases {
        let world = climb(RENEW, servers);
        let kinds = world.kinds_once();
        assert!(kinds.starts_with(first_kinds), "{name}: {kinds:?}");
        assert_eq!(world.live(), [net(B)], "{name}");
        let followed_at = *world.changes().last().unwrap() - secs(1);
        assert!(followed_at <= millis(within) && followed_at < secs(6), "{name}: {followed_at:?}");
    }
}

/// PDC-63, §15b: the old prefix stays until the new one is here, without a gap.
#[test]
fn no_binding_costs_no_gap() {
    let mut world = World::bound();
    world.latency = millis(300);
    world.lease.refresh(world.now, RENEW);
    world.run(millis(500), |question| forgetful(1, question));
    assert_eq!(world.kinds_once(), [Renew, Request]);
    assert_eq!(named(world.last()), [(1, vec![net(A)])]);
    assert_eq!(world.last().server_id(), Some(&server(1)));
    assert_eq!(world.live(), [net(A)]);
    world.run(secs(1), |question| forgetful(1, question));
    assert_eq!(world.live(), [net(B)]);
    assert_eq!(world.changes(), [millis(600)]);
    assert_eq!(world.outcomes(), [(millis(600), Outcome::Fruitful)]);
}

/// PDC-63, PDC-64: what the Rebinds beside the Request hear from the same server hurries nothing.
#[test]
fn no_binding_again_does_not_restart_the_request() {
    let world = climb(RENEW, |question| match question.kind {
        Renew | Rebind => forgetful(1, question),
        _ => None,
    });
    assert!(world.times_of(Rebind).len() == 2 && world.live() == [net(A)]);
    let ids: Vec<_> = world.sent_of(Request).iter().map(|m| m.transaction_id).collect();
    assert!(ids.len() >= 4 && ids.windows(2).all(|pair| pair[0] == pair[1]), "one exchange");
    assert_eq!(world.rejects, [Reject::Useless; 2]);
}

/// §15b, PDC-09, PDC-41, PDC-43: at most ten messages in the first minute, and after a change five
/// repetitions of the first step more; the lease stays.
#[test]
fn a_dead_server_is_asked_ten_times_in_a_minute() {
    for seed in 0..=255 {
        for link_event in [false, true] {
            let mut world = World::restarted(rules(), World::bound().lease.stored(), seed);
            world.lease.link_up(START, true);
            world.run(secs(1), |question| serve(question, gives(A)));
            let count = world.sent.len();
            if link_event {
                world.lease.link_down();
                world.lease.link_up(world.now, true);
            } else {
                world.lease.refresh(world.now, RENEW);
            }
            world.run(secs(61), silence);
            let sent = world.sent.len() - count;
            let most = if link_event { 10 } else { 15 };
            assert!((8..=most).contains(&sent), "{sent} with seed {seed}: {:?}", world.kinds());
            assert_eq!(world.live(), [net(A)]);
        }
    }
}

/// §15b: what nobody answers has failed after eleven seconds, and Solicit goes on by itself.
#[test]
fn silence_is_a_failure_and_solicit_goes_on() {
    let mut world = World::bound();
    world.lease.refresh(world.now, RENEW);
    world.run(secs(999), silence);
    assert_eq!(world.outcomes(), [(secs(11), Outcome::Failed)]);
    assert_eq!(world.live(), [net(A)]);
    assert_eq!(world.changes(), [] as [Duration; 0]);
    let solicits = world.times_of(Solicit);
    let gaps: Vec<_> = solicits.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!(gaps.len() >= 8, "{solicits:?}");
    assert!(gaps.windows(2).all(|pair| (1.9..=2.1).contains(&(pair[1] / pair[0]))), "{gaps:?}");
    let ids: Vec<_> = world.sent_of(Solicit).iter().map(|m| m.transaction_id).collect();
    assert!(ids.windows(2).all(|pair| pair[0] == pair[1]), "one exchange");
}

/// §15b: a server that returns before T1 is found by that Solicit; what it says is followed as in
/// the ladder, with Rapid Commit and without.
#[test]
fn a_server_that_returns_before_t1_is_found() {
    for rapid in [true, false] {
        for (given, changes) in [(gives(A), 0), (gives(B), 1)] {
            let mut world = World::bound();
            world.lease.refresh(world.now, RENEW);
            world.run(secs(100), silence);
            world.sent.clear();
            world.run(secs(300), |question| {
                let mut answer = serve(question, given.clone())?;
                if rapid && question.kind == Solicit {
                    answer = reply(1, question, given.clone());
                }
                Some(answer)
            });
            let expected: &[MessageType] = if rapid { &[Solicit] } else { &[Solicit, Request] };
            assert_eq!(world.kinds(), expected);
            assert_eq!(world.changes().len(), changes);
            assert_eq!(world.live(), [if changes == 0 { net(A) } else { net(B) }]);
            assert_eq!(world.outcomes().len(), 1, "the refresh was over");
            assert!(world.lease.client().exchanges.is_empty());
        }
    }
}

/// §15b, PDC-41, PDC-42: T1, T2 and the end of the lease come as ever beside that Solicit, and
/// discovery then begins from the start.
#[test]
fn t1_and_t2_work_beside_the_solicit() {
    let mut world = World::bound();
    world.lease.refresh(world.now, RENEW);
    world.run(secs(4000), silence);
    let renews: Vec<_> = world.times_of(Renew).into_iter().filter(|at| *at >= secs(1)).collect();
    assert_eq!(renews[0], secs(1000));
    assert!(renews.len() >= 5);
    assert!(world.times_of(Rebind).contains(&secs(1600)));
    assert!(world.times_of(Solicit).iter().any(|at| *at > secs(1000) && *at < secs(4000)));
    assert_eq!((world.live(), world.gone()), (vec![], vec![net(A)]));
    world.sent.clear();
    world.run(secs(4008), silence);
    let solicits = world.times_of(Solicit);
    assert_eq!(solicits.len(), world.sent.len());
    assert!(solicits.len() >= 3 && solicits[0] <= secs(4001), "{solicits:?}");
}

/// §15b: once T1's Renew is answered the Solicit ends too.
#[test]
fn an_answer_at_t1_ends_the_solicit() {
    let mut world = World::bound();
    world.lease.refresh(world.now, RENEW);
    world.run(secs(999), silence);
    world.sent.clear();
    world
        .run(secs(1900), |question| (question.kind == Renew).then(|| reply(1, question, gives(A))));
    assert_eq!(world.kinds(), [Renew]);
}

/// PDC-40: the Request after such a Solicit has its own end, and Solicit follows.
#[test]
fn a_request_that_fails_beside_a_lease_is_followed_by_solicit() {
    let mut world = World::bound();
    world.lease.refresh(world.now, REBIND);
    world.run(secs(400), |question| {
        (question.kind == Solicit).then(|| advertise(2, question, gives(B)))
    });
    let requests = world.kinds().iter().filter(|kind| **kind == Request).count();
    assert!(requests > 10);
    let position = world.kinds().iter().rposition(|kind| *kind == Solicit).unwrap();
    assert_eq!(world.kinds()[position - 1], Request);
    assert_eq!(world.live(), [net(A)]);
}

/// CHG-16: a second refresh while one is under way is part of it.
#[test]
fn two_refreshes_are_one() {
    let mut world = World::bound();
    world.lease.refresh(world.now, RENEW);
    world.run(millis(500), silence);
    world.lease.refresh(world.now, REBIND);
    world.lease.refresh(world.now, RENEW);
    world.run(millis(999), silence);
    assert_eq!(world.kinds_once(), [Renew]);
    world.run(secs(10), |question| serve(question, gives(A)));
    assert_eq!(world.kinds_once(), [Renew, Rebind]);
    assert_eq!(world.outcomes(), [(millis(1001), Outcome::Unchanged)]);
    world.lease.refresh(world.now, RENEW);
    world.run(secs(12), |question| serve(question, gives(A)));
    assert_eq!(world.outcomes().len(), 2, "the next one is another");
}

/// CHG-16: a refresh that waits out its random delay leaves at once when another asks for it.
#[test]
fn a_second_refresh_ends_the_delay_of_the_first() {
    let mut world = World::bound();
    world.lease.link_up(world.now, false);
    world.lease.refresh(world.now, RENEW);
    world.run(millis(1), silence);
    assert_eq!(world.kinds(), [Rebind]);
    world.run(secs(12), silence);
    assert_eq!(world.times_of(Rebind)[1], secs(1), "the other steps are earlier too");
    assert_eq!(world.times_of(Solicit)[0], secs(4));
    assert_eq!(world.outcomes(), [(secs(11), Outcome::Failed)]);
}

/// PDC-60: what answers no message of the ladder changes nothing.
#[test]
fn a_stranger_ends_no_ladder() {
    let mut world = World::bound();
    world.lease.refresh(world.now, RENEW);
    world.run(millis(100), silence);
    let mut question = world.last().clone();
    question.transaction_id.0[0] ^= 1;
    world.receive(&reply(1, &question, gives(B)));
    world.run(millis(1100), silence);
    assert_eq!(world.rejects, [Reject::TransactionId]);
    assert_eq!(world.kinds_once(), [Renew, Rebind]);
    assert_eq!(world.live(), [net(A)]);
}

/// A refresh without a link is remembered as one, and ends as a failure.
#[test]
fn nothing_is_sent_without_a_link() {
    let mut world = World::bound();
    world.lease.link_down();
    world.lease.refresh(world.now, RENEW);
    world.run(secs(60), silence);
    assert!(world.sent.is_empty());
    assert_eq!(world.outcomes(), [(secs(11), Outcome::Failed)]);
}

/// One probe for something better beside what is held.
#[test]
fn rediscovery_is_a_short_solicit_without_hints() {
    let mut world = World::bound();
    world.lease.rediscover(world.now);
    world.lease.rediscover(world.now);
    world.run(secs(900), silence);
    assert!(world.kinds().iter().all(|kind| *kind == Solicit) && world.sent.len() <= 5);
    assert_eq!(named(&world.sent[0].1), [(1, vec![net("::/56")])]);
    assert_eq!(world.outcomes(), []);
    assert_eq!(world.live(), [net(A)]);
}

/// A change that is heard while a first lease is requested leaves the Request its answer.
#[test]
fn a_refresh_beside_a_request_starts_no_other_discovery() {
    let mut world = World::new(rules());
    world.lease.link_up(START, true);
    world.run(secs(13), silence);
    world.run(secs(40), |question| {
        (question.kind == Solicit).then(|| advertise(1, question, gives(A)))
    });
    let request = world.last().clone();
    assert_eq!(request.kind, Request);
    world.sent.clear();
    world.lease.refresh(world.now, RENEW);
    world.run(secs(41), silence);
    assert_eq!(world.sent_of(Solicit).len(), 0, "{:?}", world.kinds());
    world.receive(&reply(1, &request, gives(A)));
    assert_eq!(world.live(), [net(A)]);
}
