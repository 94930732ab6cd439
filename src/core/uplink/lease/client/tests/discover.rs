//! Solicit, Advertise, Request.

use super::*;
use MessageType::{Reply, Request, Solicit};

fn preference(value: u8) -> Dhcpv6Option {
    Dhcpv6Option::Preference(value)
}

fn offering(preference_value: u8, text: &str) -> Vec<Dhcpv6Option> {
    let mut options = gives(text);
    options.push(preference(preference_value));
    options
}

fn fresh() -> World {
    let mut world = World::new(rules());
    world.lease.link_up(START, true);
    world
}

/// PDC-20
#[test]
fn the_first_solicit_waits_up_to_a_second() {
    let mut times: Vec<_> = (0..50)
        .map(|seed| {
            let mut world = World::seeded(rules(), seed);
            world.lease.link_up(START, false);
            world.run(secs(1), silence);
            world.sent[0].0
        })
        .collect();
    times.sort_unstable();
    assert!(times[0] < millis(200) && times[49] > millis(800) && times[49] <= secs(1));
    let mut world = fresh();
    world.run(Duration::ZERO, silence);
    assert_eq!(world.kinds(), [Solicit], "no delay in a hurry");
}

#[test]
fn hurry_ends_the_delay() {
    let mut world = World::new(rules());
    world.lease.link_up(START, false);
    world.lease.hurry(START);
    world.run(Duration::ZERO, silence);
    assert_eq!(world.kinds(), [Solicit]);
    world.lease.hurry(world.now);
    world.run(millis(900), silence);
    assert_eq!(world.sent.len(), 1, "nothing left to skip");
}

/// SRV-58, from the side of who is called.
#[test]
fn a_client_that_asks_in_vain_asks_again_when_notified() {
    let refuses = |question: &Message| {
        Some(advertise(1, question, vec![fails(1, StatusCode::NoPrefixAvail)]))
    };
    let mut world = fresh();
    assert!(!world.lease.asks_in_vain(), "nothing was asked yet");
    world.run(secs(100), refuses);
    let before = world.sent.len();
    assert!(world.lease.asks_in_vain());
    world.lease.ask_soon(world.now);
    world.run(secs(100), refuses);
    assert_eq!(world.sent.len(), before + 1, "at once");
    world.lease.ask_soon(world.now);
    world.run(millis(100_900), refuses);
    assert_eq!(world.sent.len(), before + 1, "not while an answer may be on its way");
    world.run(secs(111), refuses);
    assert_eq!(world.sent.len(), before + 4, "once more, and from there after 2 and 4 s");
    world.lease.ask_soon(world.now);
    world.run(secs(113), |question| serve(question, gives("2001:db8:a000::/56")));
    assert!(!world.lease.asks_in_vain() && !world.lease.prefixes().is_empty());
}

/// PDC-21, PDC-22
#[test]
fn solicit_backs_off_to_an_hour_and_never_ends() {
    let mut world = fresh();
    world.run(secs(40_000), silence);
    let times = world.times_of(Solicit);
    assert_eq!(times.len(), world.sent.len());
    let gaps: Vec<_> = times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!(gaps[0] > 1.0 && gaps[0] <= 1.1);
    let doubled = |pair: &[f64]| pair[1] / pair[0] >= 1.89 && pair[1] / pair[0] <= 2.11;
    assert!(gaps[..12].windows(2).all(doubled));
    assert!(gaps[12..].iter().all(|gap| (3240.0..=3960.0).contains(gap)));
}

/// PDC-23
#[test]
fn the_first_interval_collects_and_the_highest_preference_wins() {
    let mut world = fresh();
    world.run_many(secs(3), |question| match question.kind {
        Solicit => vec![
            advertise(1, question, gives(A)), // no preference: 0
            advertise(2, question, offering(7, B)),
            advertise(3, question, offering(6, A)),
        ],
        _ => vec![reply(2, question, gives(B))],
    });
    assert_eq!(world.kinds(), [Solicit, Request]);
    assert_near(world.sent[1].0, secs(1), millis(101));
    assert_eq!(world.last().server_id(), Some(&server(2)));
    assert_eq!(named(world.last()), [(1, vec![net(B)])]);
    assert_eq!(world.live(), [net(B)]);
    assert_eq!(world.outcomes().len(), 1);
    assert_eq!(world.outcomes()[0].1, Outcome::Partial);
}

/// PDC-23
#[test]
fn preference_255_is_taken_at_once() {
    let mut world = fresh();
    world.run_many(millis(500), |question| match question.kind {
        Solicit => {
            let best = advertise(2, question, offering(255, B));
            vec![advertise(1, question, offering(254, A)), best]
        }
        _ => Vec::new(),
    });
    assert_eq!(world.kinds(), [Solicit, Request]);
    assert_eq!(world.last().server_id(), Some(&server(2)));
}

/// PDC-23: what is collected is bounded, and the best stays in.
#[test]
fn a_flood_of_offers_hides_no_better_one() {
    let mut world = fresh();
    world.run_many(secs(2), |question| match question.kind {
        Solicit => {
            let worse = (10..60).map(|number| advertise(number, question, offering(1, A)));
            worse.chain([advertise(2, question, offering(200, B))]).collect()
        }
        _ => Vec::new(),
    });
    assert_eq!(world.last().server_id(), Some(&server(2)));
}

/// PDC-24
#[test]
fn after_the_first_interval_the_first_offer_ends_the_wait() {
    let mut world = fresh();
    world.run(secs(2), silence);
    let question = world.last().clone();
    world.receive(&advertise(1, &question, gives(A)));
    world.run(secs(2), silence);
    assert_eq!(world.kinds(), [Solicit, Solicit, Request]);
}

/// PDC-27, PDC-60
#[test]
fn answers_that_are_not_for_us_are_dropped() {
    let mut world = fresh();
    world.run(Duration::ZERO, silence);
    let question = world.last().clone();
    type Spoil = fn(&mut Message);
    let cases: [(&str, Reject, Spoil); 4] = [
        ("no Server Id", Reject::NoServerId, |m| drop(m.options.remove(1))),
        ("no Client Id", Reject::ClientId, |m| drop(m.options.remove(0))),
        ("another's", Reject::ClientId, |m| m.options[0] = ClientId(server(9))),
        ("id", Reject::TransactionId, |m| m.transaction_id.0[0] ^= 1),
    ];
    for kind in [MessageType::Advertise, Reply] {
        for (name, reject, spoil) in cases {
            let mut message = answer(kind, 1, &question, gives(A));
            spoil(&mut message);
            let result = world.lease.handle_message(world.now, &message, &[]);
            assert_eq!(result, Err(reject), "{name}");
        }
    }
    for kind in [Solicit, Request, MessageType::Release, MessageType::InformationRequest] {
        let message = answer(kind, 1, &question, gives(A));
        let result = world.lease.handle_message(world.now, &message, &[]);
        assert_eq!(result, Err(Reject::UnexpectedType));
    }
    world.run(secs(2), silence);
    assert_eq!(world.kinds(), [Solicit, Solicit], "retransmission goes on");
}

/// PDC-60: a question that was not asked yet cannot be answered.
#[test]
fn an_answer_before_the_question_is_dropped() {
    let mut world = World::new(rules());
    world.lease.link_up(START, false);
    let mut question = fresh().lease.poll_message(START).unwrap();
    question.transaction_id = world.lease.client().exchanges[0].transaction_id;
    world.receive(&reply(1, &question, gives(A)));
    assert_eq!(world.rejects, [Reject::TransactionId]);
}

/// PDC-28
#[test]
fn an_empty_advertise_sets_the_cap_and_nothing_else() {
    let mut world = fresh();
    let mut undisturbed = world.lease.clone();
    world.run(secs(1000), |question| {
        let options = vec![fails(1, StatusCode::NoPrefixAvail), Dhcpv6Option::SolMaxRt(60)];
        Some(advertise(1, question, options))
    });
    assert!(world.rejects.iter().all(|reject| *reject == Reject::Useless));
    let _ = undisturbed.poll_message(START);
    let first = undisturbed.deadline().unwrap().at;
    assert_eq!(START + world.times_of(Solicit)[1], first, "the timer is not restarted");
    let times = world.times_of(Solicit);
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= secs(66) && longest > secs(54), "{longest:?}");
}

/// PDC-29
#[test]
fn caps_outside_of_their_range_and_disagreement_leave_the_default() {
    let cases: [(&str, &[u32], u64); 7] = [
        ("too small", &[59], 3600),
        ("smallest", &[60], 60),
        ("largest", &[86_400], 86_400),
        ("too large", &[86_401], 3600),
        ("agreement", &[100, 100], 100),
        ("disagreement", &[100, 200], 3600),
        ("one of them invalid", &[100, 1], 100),
    ];
    for (name, values, expected) in cases {
        let mut world = fresh();
        world.run(Duration::ZERO, silence);
        let question = world.last().clone();
        for (number, value) in (1..).zip(values) {
            let options = vec![Dhcpv6Option::SolMaxRt(*value), Dhcpv6Option::InfMaxRt(*value)];
            world.receive(&advertise(number, &question, options));
        }
        assert_eq!(world.lease.client().solicit_cap.interval(), secs(expected), "{name}");
        assert_eq!(world.lease.client().information_cap.interval(), secs(expected), "{name}");
    }
}

/// PDC-30
#[test]
fn an_offer_without_addresses_is_usable_for_its_prefix() {
    let mut world = World::new(rules());
    world.lease.want_address(START, true);
    world.lease.link_up(START, true);
    let no_addresses = || {
        Dhcpv6Option::IaNa(IaNa {
            iaid: Iaid(1),
            t1: Lifetime::ZERO,
            t2: Lifetime::ZERO,
            addresses: Vec::new(),
            status: Some(status(StatusCode::NoAddrsAvail)),
        })
    };
    world.run(secs(2), |question| serve(question, [vec![no_addresses()], gives(A)].concat()));
    assert_eq!(world.kinds(), [Solicit, Request]);
    assert_eq!(world.live(), [net(A)]);
}

#[test]
fn a_prefix_counts_more_than_a_preference() {
    let mut world = World::new(rules());
    world.lease.want_address(START, true);
    world.lease.link_up(START, true);
    world.run_many(secs(2), |question| match question.kind {
        Solicit => {
            let address = ia_na(0, 0, "2001:db8::7", 100, 100);
            let only_address = vec![address, preference(200)];
            vec![advertise(1, question, only_address), advertise(2, question, gives(A))]
        }
        _ => Vec::new(),
    });
    assert_eq!(world.last().server_id(), Some(&server(2)));
}

/// PDC-31
#[test]
fn a_reply_to_solicit_needs_rapid_commit_on_both_sides() {
    for (configured, in_reply, bound) in
        [(true, true, true), (true, false, false), (false, true, false)]
    {
        let mut world = World::new(Rules { rapid_commit: configured, ..rules() });
        world.lease.link_up(START, true);
        world.run(millis(100), |question| {
            let mut message = reply(1, question, gives(A));
            message.options.retain(|option| in_reply || *option != Dhcpv6Option::RapidCommit);
            Some(message)
        });
        assert_eq!(!world.live().is_empty(), bound);
        assert_eq!(world.rejects.contains(&Reject::NotRapid), !bound);
    }
}

/// PDC-31: used or dropped, not both.
#[test]
fn after_advertises_a_late_rapid_reply_is_dropped() {
    let mut world = fresh();
    world.run(millis(1500), |question| match question.kind {
        Solicit => Some(advertise(1, question, gives(A))),
        _ => None,
    });
    assert_eq!(world.kinds(), [Solicit, Request]);
    let question = world.sent[0].1.clone();
    world.receive(&reply(2, &question, gives(B)));
    assert_eq!(world.rejects, [Reject::TransactionId]);
    assert!(world.live().is_empty());
}

/// PDC-40
#[test]
fn ten_requests_then_the_next_server_then_solicit() {
    let mut world = fresh();
    world.run_many(secs(700), |question| match question.kind {
        Solicit => {
            vec![advertise(1, question, offering(2, A)), advertise(2, question, offering(1, B))]
        }
        _ => Vec::new(),
    });
    let servers: Vec<_> =
        world.sent_of(Request).iter().take(20).map(|m| m.server_id().cloned().unwrap()).collect();
    assert_eq!(servers, [vec![server(1); 10], vec![server(2); 10]].concat());
    assert_eq!(world.kinds()[21], Solicit);
    let times = world.times_of(Request);
    assert_near(times[1] - times[0], millis(900), millis(200));
    assert_near(times[9] - times[8], secs(27), secs(6));
}

/// PDC-66
#[test]
fn not_on_link_is_answered_by_a_request_without_addresses() {
    let mut world = World::new(rules());
    world.lease.want_address(START, true);
    world.lease.link_up(START, true);
    world.run(secs(2), |question| match question.kind {
        Solicit => {
            let address = ia_na(0, 0, "2001:db8::7", 100, 100);
            Some(advertise(1, question, [vec![address], gives(A)].concat()))
        }
        _ if question.ia_nas().any(|ia| !ia.addresses.is_empty()) => {
            let not_on_link = Dhcpv6Option::Status(status(StatusCode::NotOnLink));
            Some(reply(1, question, vec![not_on_link]))
        }
        _ => Some(reply(1, question, gives(A))),
    });
    assert_eq!(world.kinds(), [Solicit, Request, Request]);
    assert_eq!(world.live(), [net(A)]);
}

/// A server that has nothing after all yields to the next.
#[test]
fn a_request_that_brings_nothing_turns_to_the_next_server() {
    let mut world = fresh();
    world.run_many(secs(2), |question| match (question.kind, question.server_id()) {
        (Solicit, _) => {
            vec![advertise(1, question, offering(2, A)), advertise(2, question, gives(B))]
        }
        (_, Some(chosen)) if *chosen == server(1) => {
            vec![reply(1, question, vec![fails(1, StatusCode::NoPrefixAvail)])]
        }
        _ => vec![reply(2, question, gives(B))],
    });
    assert_eq!(world.kinds(), [Solicit, Request, Request]);
    assert_eq!(world.live(), [net(B)]);
}

/// A refresh without a lease is a Solicit at once, unless one has just left.
#[test]
fn a_refresh_without_a_lease_solicits_at_once() {
    let mut world = fresh();
    world.run(secs(30), silence);
    assert_eq!(world.outcomes(), [(secs(11), Outcome::Failed)]);
    let count = world.sent.len();
    world.lease.refresh(world.now, RENEW);
    world.run(secs(30), silence);
    assert_eq!(world.sent.len(), count + 1);
    assert_eq!(world.last().kind, Solicit);
    world.lease.refresh(world.now, RENEW);
    world.run(millis(30_100), |question| Some(reply(1, question, gives(A))));
    assert_eq!(world.sent.len(), count + 1, "absorbed");
    world.run(secs(32), |question| Some(reply(1, question, gives(A))));
    assert_eq!(world.outcomes().last().unwrap().1, Outcome::Partial);

    let mut world = fresh();
    world.run(secs(12), silence);
    world.lease.refresh(world.now, RENEW);
    world.run(secs(12), silence);
    let count = world.sent.len();
    world.lease.client_mut().ladder = None;
    world.lease.refresh(world.now, RENEW);
    world.run(secs(12), silence);
    assert_eq!(world.sent.len(), count, "has just asked");
}
