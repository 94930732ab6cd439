use super::*;

fn multicasts(sent: &[Sent]) -> Vec<Sent> {
    sent.iter().filter(|sent| sent.to == ALL_NODES).cloned().collect()
}

/// RA-TX-01
#[test]
fn nothing_is_sent_where_advertising_is_off() {
    let mut world = World::new(config::Advertise { enabled: false, ..Default::default() });
    world.set(content(&[A]));
    world.solicit(HOST, true);
    world.run(10_000);
    assert!(world.sent.is_empty());
    assert!(world.advertising.final_advertisement(world.now, true).is_empty());
}

/// 15 row 21
#[test]
fn nothing_is_sent_before_the_content_is_known() {
    let mut world = World::restarted(Default::default(), [(net(A), at(5000))].into());
    world.solicit(HOST, true);
    world.run(100);
    assert!(world.sent.is_empty());
    assert_eq!(world.advertising.deadline(), None);
    assert!(world.advertising.final_advertisement(world.now, true).is_empty());
    world.set(content(&[B]));
    assert_eq!(world.sent.len(), 1, "at once");
}

/// RA-TX-06, RA-TX-07
#[test]
fn three_advertisements_follow_a_start_and_a_change_at_most_16_s_apart() {
    let mut world = World::saying(content(&[A]));
    let first = world.run(60);
    assert_eq!(world.sent[0].at, secs(1000));
    assert_eq!(first.len(), 2);
    assert!(gaps(&world.sent).iter().all(|gap| *gap <= 16.0));
    world.run(500);
    let before = world.sent.len();
    let changed_at = world.now;
    world.set(content(&[B]));
    world.run(60);
    let after = &world.sent[before..];
    assert_eq!(after[0].at, changed_at);
    assert_eq!(after.len(), 3);
    assert!(gaps(after).iter().all(|gap| *gap <= 16.0));
}

/// RA-TX-07: a host may have missed the first one
#[test]
fn new_content_is_repeated_within_seconds() {
    let mut world = World::saying(content(&[A]));
    world.run(60);
    let before = world.sent.len();
    world.set(content(&[B]));
    world.run(60);
    let gaps = gaps(&world.sent[before..]);
    assert!((3.0..=6.0).contains(&gaps[0]), "{gaps:?}");
    assert!(gaps[1] > 6.0, "{gaps:?}");
}

/// RA-TX-07, RA-TX-09
#[test]
fn a_change_waits_only_for_the_minimal_delay() {
    let mut world = World::saying(content(&[A]));
    world.now = world.now + Duration::from_millis(1200);
    assert!(world.set(content(&[B])));
    assert!(world.set(content(&[C])));
    assert_eq!(world.sent.len(), 1);
    world.run(4);
    assert_eq!(world.sent[1].at, secs(1003));
    assert!(world.sent[1].prefix(C).unwrap().0 > 0);
    assert_eq!(world.sent[1].prefix(B), None, "it was never said");
}

/// RA-TX-09 over a link that flaps
#[test]
fn a_link_that_flaps_does_not_shorten_the_minimal_delay() {
    let mut world = World::saying(content(&[A]));
    world.now = secs(1001);
    world.advertising.link_down();
    assert_eq!(world.advertising.deadline(), None);
    world.advertising.link_up(world.now, None, 1500);
    world.run(30);
    assert_eq!(world.sent[1].at, secs(1003));
}

/// RA-TX-05, RA-TX-11: against the uniform distribution, by the largest distance between the
/// cumulative distributions (1.63/√n is exceeded once in a hundred runs; the seed is fixed).
#[test]
fn intervals_are_uniform_between_minimum_and_maximum() {
    let mut world = World::saying(content(&[A]));
    world.run(60);
    let quiet = world.run_until(500_000);
    let mut gaps = gaps(&quiet);
    gaps.sort_by(f64::total_cmp);
    let n = gaps.len() as f64;
    assert!(n > 1000.0);
    assert!(*gaps.first().unwrap() >= 198.0 && *gaps.last().unwrap() <= 600.0);
    let distance = (gaps.iter().enumerate())
        .map(|(i, gap)| ((gap - 198.0) / 402.0 - i as f64 / n).abs())
        .fold(0.0, f64::max);
    assert!(distance < 1.63 / n.sqrt(), "{distance}");
    assert!(quiet.iter().all(|sent| sent.messages.len() == 1 && sent.to == ALL_NODES));
}

/// RA-TX-13
#[test]
fn a_quiet_hour_has_about_seven_advertisements() {
    let mut world = World::saying(content(&[A]));
    world.run(60);
    let per_hour = world.run(100 * 3600).len() as f64 / 100.0;
    assert!((7.0..11.0).contains(&per_hour), "{per_hour}");
}

/// RA-TX-08, RA-TX-15
#[test]
fn fifty_solicitations_share_one_multicast_answer() {
    let mut world = World::saying(content(&[A]));
    world.run(60);
    let first = world.now;
    let before = world.sent.len();
    for _ in 0..50 {
        world.solicit("::", false);
        world.now = world.now + Duration::from_millis(2);
    }
    let answers = world.sent.len() + world.run(10).len() - before;
    assert_eq!(answers, 1);
    assert_eq!(world.last().to, ALL_NODES);
    assert!(world.last().at.since(first) <= Duration::from_millis(500));
}

/// RA-TX-10
#[test]
fn a_scheduled_advertisement_answers_the_solicitation() {
    for seed in 0..20 {
        let mut world = World::saying(content(&[A]));
        world.advertising.sender().random = Random::new([seed; 32]);
        world.run(60);
        let due = world.advertising.deadline().unwrap().at;
        world.now = due - Duration::from_millis(100);
        let before = world.sent.len();
        world.solicit(HOST, false);
        world.run(20);
        assert_eq!(world.sent.len() - before, 1);
        assert!(world.last().at <= due);
    }
}

/// RA-TX-10: the other way round
#[test]
fn a_multicast_answer_serves_hosts_that_wait_for_a_unicast_one() {
    let mut world = World::saying(content(&[A]));
    world.run(60);
    let before = world.sent.len();
    world.now = world.advertising.deadline().unwrap().at;
    world.solicit(HOST, true);
    assert_eq!(world.sent.len() - before, 1);
    assert_eq!(world.last().to, ALL_NODES);
}

#[test]
fn a_link_that_comes_up_twice_starts_once() {
    let mut world = World::saying(content(&[A]));
    world.run(60);
    let deadline = world.advertising.deadline();
    world.advertising.link_up(world.now, Some(MAC.to_vec()), 1500);
    assert_eq!(world.advertising.deadline(), deadline);
    world.advertising.link_up(world.now, Some(MAC.to_vec()), 1400);
    assert_eq!(world.advertising.deadline().unwrap().at, world.now);
}

/// RA-TX-12, RA-TX-25
#[test]
fn a_host_that_names_its_link_layer_address_is_answered_by_unicast_at_once() {
    let mut world = World::saying(Content {
        resolvers: vec![("2001:db8::53".parse().unwrap(), Until::Never)],
        ..content(&[A])
    });
    world.run(3600);
    let deadline = world.advertising.deadline();
    world.solicit(HOST, true);
    assert_eq!((world.last().at, world.last().to), (world.now, HOST.parse().unwrap()));
    assert_eq!(world.last().prefix(A), Some((2700, 5400)));
    assert_eq!(world.last().resolvers().len(), 1);
    assert_eq!(world.advertising.deadline(), deadline, "the multicast ones go on as before");
}

/// RA-TX-12, RA-TX-14, RA-TX-15
#[test]
fn solicitations_are_answered_by_their_source() {
    let multicast = ALL_NODES.to_string();
    let cases = [
        // name,                 unicast, address,   source,    named, answer
        ("with an address", true, Some(MAC), HOST, true, Some(HOST)),
        ("without", true, Some(MAC), HOST, false, Some(&*multicast)),
        ("unspecified", true, Some(MAC), "::", false, Some(&*multicast)),
        ("unspecified but named", true, Some(MAC), "::", true, None),
        ("a group", true, Some(MAC), "ff02::2", true, None),
        ("point to point", true, None, HOST, false, Some(HOST)),
        ("switched off", false, Some(MAC), HOST, true, Some(&*multicast)),
    ];
    for (name, unicast_answers, address, source, named, answer) in cases {
        let rules = config::Advertise { unicast_answers, ..Default::default() };
        let mut world = World::new(rules);
        world.advertising.link_up(world.now, address.map(|mac| mac.to_vec()), 1500);
        world.set(content(&[A]));
        world.run(60);
        let before = world.sent.len();
        world.solicit(source, named);
        world.run(1);
        let to = world.sent[before..].first().map(|sent| sent.to.to_string());
        assert_eq!(to.as_deref(), answer, "{name}");
    }
}

/// RA-TX-08, RA-TX-12
#[test]
fn a_flood_of_solicitations_gets_ten_unicast_answers_a_second_and_few_multicast_ones() {
    let mut world = World::saying(content(&[A]));
    world.run(60);
    let before = world.sent.len();
    for n in 0..10_000 {
        world.solicit(&format!("fe80::{n:x}"), true);
        let until = world.now + Duration::from_millis(1);
        while world.advertising.deadline().is_some_and(|due| due.at <= until) {
            world.now = world.advertising.deadline().unwrap().at;
            world.drain();
        }
        world.now = until;
    }
    let multicasts = multicasts(&world.sent[before..]);
    assert!((2..=4).contains(&multicasts.len()), "{}", multicasts.len());
    assert!(gaps(&multicasts).iter().all(|gap| *gap >= 3.0));
    assert!(world.sent.len() - before <= 10 + 100 + 4);
}

/// 15 row 11
#[test]
fn a_default_router_that_flaps_is_advertised_at_most_every_three_seconds() {
    let mut world = World::saying(content(&[A]));
    for n in 0..300 {
        world.set(Content { default_router: n % 2 == 1, ..content(&[A]) });
        world.now = world.now + Duration::from_millis(100);
    }
    world.run(60);
    assert!(gaps(&world.sent).iter().all(|gap| *gap >= 3.0));
    assert!(world.sent.len() < 15);
    assert_eq!(world.last().messages[0].router_lifetime, 2700);
    assert!(world.sent.iter().all(|sent| sent.prefix(A) == Some((2700, 5400))));
}

/// A lease that is refreshed in time never runs out on hosts, however short it is.
#[test]
fn short_lifetimes_are_repeated_before_they_run_out() {
    let mut world = World::saying(ending(A, 1060, 1120));
    let server = "2001:db8::53".parse().unwrap();
    for round in 0..20 {
        let now = 1000 + 30 * round;
        world.run_until(now);
        let resolvers = vec![(server, at(now + 45))];
        world.set(Content { resolvers, ..ending(A, now + 60, now + 120) });
    }
    for pair in world.sent.windows(2) {
        let gap = pair[1].at.since(pair[0].at).as_secs() as u32;
        assert!(pair[0].prefix(A).unwrap().0 > gap);
        assert!(pair[0].resolvers().iter().all(|(_, lifetime)| *lifetime > gap));
    }
}
