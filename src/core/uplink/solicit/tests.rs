use super::*;

const MULTICAST: bool = true;
const DEFAULT_ROUTER: bool = true;

fn solicit(seed: u8) -> Solicit {
    Solicit::new(Random::new([seed; 32]), MAX_FIRST_DELAY)
}

/// Sends what is due until `until`, waking at the deadlines only; the instants of sending.
fn run(solicit: &mut Solicit, until: Instant) -> Vec<Instant> {
    let mut sent = Vec::new();
    while let Some(deadline) = solicit.deadline().filter(|deadline| deadline.at <= until) {
        assert!(solicit.poll(deadline.at), "woken for nothing");
        sent.push(deadline.at);
    }
    sent
}

fn secs(seconds: u64) -> Instant {
    Instant::from_secs(seconds)
}

/// RS-01
#[test]
fn nothing_is_solicited_before_an_event() {
    let mut solicit = solicit(0);
    assert_eq!(solicit.deadline(), None);
    assert!(!solicit.poll(secs(9000)));
    solicit.handle_advertisement(DEFAULT_ROUTER);
    assert_eq!(solicit.deadline(), None, "an advertisement is no event");
}

/// RS-02
#[test]
fn the_first_delay_is_spread_over_a_second() {
    let start = secs(100);
    let delays: Vec<_> = (0..200)
        .map(|seed| {
            let mut solicit = solicit(seed);
            solicit.start(start, MULTICAST);
            solicit.deadline().unwrap().at.since(start)
        })
        .collect();
    assert!(delays.iter().all(|delay| *delay <= Duration::from_secs(1)));
    for quarter in 0..4 {
        let from = Duration::from_millis(250 * quarter);
        let within =
            delays.iter().filter(|d| **d >= from && **d < from + Duration::from_millis(250));
        let count = within.count();
        assert!((25..=75).contains(&count), "{count} of 200 delays in quarter {quarter}");
    }
}

/// RS-02: a host has waited already, while its kernel looked for duplicates of its link-local address.
#[test]
fn a_host_solicits_at_once() {
    let mut solicit = Solicit::new(Random::new([1; 32]), Duration::ZERO);
    solicit.start(secs(100), MULTICAST);
    assert!(solicit.poll(secs(100)));
    solicit.start(secs(101), MULTICAST);
    assert_eq!(solicit.deadline().unwrap().at, secs(104), "rounds keep their distance");
    solicit.forget();
    solicit.start(secs(101), MULTICAST);
    assert!(solicit.poll(secs(101)), "on another link they need not");
}

/// RS-04, RS-05: RFC 7559 §2, IRT 4 s, MRT 3600 s, no limit of count or duration.
#[test]
fn intervals_double_to_an_hour_and_never_end() {
    for seed in 0..50 {
        let mut solicit = solicit(seed);
        solicit.start(Instant::BOOT, MULTICAST);
        let sent = run(&mut solicit, secs(7 * 86_400));
        let intervals: Vec<_> =
            sent.windows(2).map(|pair| pair[1].since(pair[0]).as_secs_f64()).collect();
        assert!((3.6..=4.4).contains(&intervals[0]), "first {}", intervals[0]);
        let mut reached = false;
        for pair in intervals.windows(2) {
            let (doubled, capped) = (1.9 * pair[0]..=2.1 * pair[0], 3240.0..=3960.0);
            assert!(
                (!reached && doubled.contains(&pair[1])) || capped.contains(&pair[1]),
                "{} after {}",
                pair[1],
                pair[0]
            );
            reached |= 2.1 * pair[0] > 3600.0;
        }
        assert!(reached && intervals.len() > 150, "it gave up");
    }
}

/// RS-04: RAND differs from solicitation to solicitation and from node to node.
#[test]
fn intervals_vary_by_a_tenth() {
    let first = |seed| {
        let mut solicit = solicit(seed);
        solicit.start(Instant::BOOT, MULTICAST);
        let sent = run(&mut solicit, secs(20));
        sent[1].since(sent[0]).as_secs_f64()
    };
    let intervals: Vec<_> = (0..200).map(first).collect();
    let below = intervals.iter().filter(|interval| **interval < 4.0).count();
    assert!((70..=130).contains(&below), "{below} of 200 are below 4 s");
    assert!(intervals.iter().any(|i| *i < 3.7) && intervals.iter().any(|i| *i > 4.3));
}

/// RS-06, RS-07, RS-08
#[test]
fn only_a_default_router_on_a_multicast_link_ends_the_round() {
    let cases = [
        // name,                               multicast, default router, goes on
        ("default router", true, true, false),
        ("Router Lifetime 0", true, false, true),
        ("no multicast", false, true, true),
        ("no multicast and Router Lifetime 0", false, false, true),
    ];
    for (name, multicast, default_router, goes_on) in cases {
        let mut solicit = solicit(1);
        solicit.start(Instant::BOOT, multicast);
        assert_eq!(run(&mut solicit, secs(3)).len(), 1);
        let next = solicit.deadline();
        solicit.handle_advertisement(default_router);
        assert_eq!(solicit.deadline(), next.filter(|_| goes_on), "{name}: at the same rate or not");
        assert_eq!(run(&mut solicit, secs(3600)).is_empty(), !goes_on, "{name}");
    }
}

/// RS-09
#[test]
fn an_early_advertisement_leaves_one_solicitation() {
    let mut solicit = solicit(2);
    solicit.start(Instant::BOOT, MULTICAST);
    solicit.handle_advertisement(DEFAULT_ROUTER);
    solicit.handle_advertisement(false);
    assert_eq!(run(&mut solicit, secs(3600)).len(), 1);
    assert_eq!(solicit.deadline(), None);
}

/// RS-08, RS-09
#[test]
fn without_multicast_an_early_advertisement_ends_nothing() {
    let mut solicit = solicit(2);
    solicit.start(Instant::BOOT, !MULTICAST);
    solicit.handle_advertisement(DEFAULT_ROUTER);
    assert!(run(&mut solicit, secs(60)).len() > 3);
}

/// RS-10: a router that comes and goes draws one solicitation in 4 s at most.
#[test]
fn rounds_on_one_link_keep_their_distance() {
    let mut solicit = solicit(3);
    let mut sent = Vec::new();
    for tenth in 0..1000_u64 {
        let now = Instant::from_boot(Duration::from_millis(100 * tenth));
        if solicit.deadline().is_none() {
            solicit.start(now, MULTICAST);
        }
        if solicit.poll(now) {
            sent.push(now);
        }
        solicit.handle_advertisement(DEFAULT_ROUTER);
    }
    assert!(sent.windows(2).all(|pair| pair[1].since(pair[0]) >= Duration::from_secs(4)));
    assert!((20..=26).contains(&sent.len()), "{} in 100 s", sent.len());
}

/// RS-10: the next round backs off from the beginning.
#[test]
fn losing_all_routers_starts_the_backoff_anew() {
    let mut solicit = solicit(4);
    solicit.start(Instant::BOOT, MULTICAST);
    run(&mut solicit, secs(500));
    solicit.handle_advertisement(DEFAULT_ROUTER);
    solicit.start(secs(2300), MULTICAST);
    let sent = run(&mut solicit, secs(2340));
    assert_eq!(sent.len(), 4, "at about 0, 4, 12 and 28 s: {sent:?}");
}

/// RS-01, RS-02: after the interface was away, another link may be behind it.
#[test]
fn a_link_that_returns_is_solicited_within_a_second() {
    let mut solicit = solicit(5);
    solicit.start(Instant::BOOT, MULTICAST);
    run(&mut solicit, secs(1));
    solicit.stop();
    assert_eq!(solicit.deadline(), None);
    assert!(!solicit.poll(secs(1)));
    solicit.start(secs(1), MULTICAST);
    assert!(solicit.deadline().unwrap().at <= secs(2));
}

#[test]
fn a_late_poll_sends_one_and_no_backlog() {
    let mut solicit = solicit(6);
    solicit.start(Instant::BOOT, MULTICAST);
    let woken = secs(86_400);
    assert!(solicit.poll(woken));
    assert!(!solicit.poll(woken));
    assert!(solicit.deadline().unwrap().at > woken + Duration::from_secs(3));
}
