use super::*;
use crate::config::Delegate;
use crate::core::random::Random;
use crate::core::uplink::lease::{Lease, WithdrawnPrefix};

const NOW: Instant = Instant::from_secs(100);
const A: &str = "2001:db8:a000::/56";
const B: &str = "2001:db8:b000::/56";

fn lease(iaids: &[u32]) -> Lease {
    let delegate = iaids.iter().map(|iaid| Delegate { iaid: Iaid(*iaid), length: None });
    let rules = Rules {
        by_program: true,
        duid: nobody(),
        delegate: delegate.collect(),
        rapid_commit: true,
        reconfigure: true,
        solicit_on_reconnect: false,
        strict: false,
        shortest_prefix: 20,
    };
    Lease::new(rules, None, Random::new([0; 32]), NOW)
}

fn bound(prefixes: &[(u32, &str)], withdrawn: &[&str]) -> Feed {
    let fed = |(iaid, prefix): &(u32, &str)| FedPrefix {
        iaid: Iaid(*iaid),
        prefix: prefix.parse().unwrap(),
        exclude: None,
        preferred: 600,
        valid: 1200,
    };
    let gone = |prefix: &&str| WithdrawnPrefix { iaid: Iaid(1), prefix: prefix.parse().unwrap() };
    Feed {
        event: Event::Bound,
        at: None,
        interface: "tap0".to_owned(),
        server: None,
        prefixes: prefixes.iter().map(fed).collect(),
        withdrawn: withdrawn.iter().map(gone).collect(),
        servers: Vec::new(),
        domains: Vec::new(),
    }
}

fn live(lease: &Lease) -> Vec<(u32, String)> {
    let held = lease.prefixes().into_iter().filter(|held| held.gone_since.is_none());
    held.map(|held| (held.iaid.0, held.prefix.to_string())).collect()
}

const RENEW: Refresh = Refresh { kind: RefreshKind::Renew, follow_up: false };

#[test]
fn it_is_asked_at_once_and_what_it_says_is_the_outcome() {
    let mut lease = lease(&[1]);
    assert_eq!(lease.poll_order(), None);
    lease.link_up(NOW, false);
    assert_eq!((lease.poll_order(), lease.poll_order()), (Some(RefreshKind::Renew), None));
    let progress = lease.handle_feed(NOW, &bound(&[(1, A)], &[]));
    assert_eq!(progress.outcome, Some(Outcome::Partial));
    assert!(progress.changed && progress.remember);
    let later = NOW + Duration::from_secs(30);
    lease.refresh(later, RENEW);
    assert_eq!(lease.poll_order(), Some(RefreshKind::Renew));
    let progress = lease.handle_feed(later, &bound(&[(1, A)], &[]));
    assert_eq!(progress.outcome, Some(Outcome::Unchanged));
    // It renews by itself as well: that is no outcome of anything.
    let progress = lease.handle_feed(later, &bound(&[(1, B)], &[A]));
    assert_eq!((progress.outcome, progress.changed), (None, true));
    assert_eq!(live(&lease), [(1, B.to_owned())]);
}

/// BKE-17: dhcpcd is bound to A and a moment later to B; the hooks arrive the other way round.
#[test]
fn older_reports_than_the_known_one_are_dropped() {
    let mut lease = lease(&[1]);
    lease.link_up(NOW, false);
    let said = |prefix, at| Feed { at, ..bound(&[(1, prefix)], &[]) };
    assert!(lease.handle_feed(NOW, &said(B, Some(99_000_000_002))).changed);
    assert_eq!(lease.handle_feed(NOW, &said(A, Some(99_000_000_001))), Progress::default());
    assert_eq!(live(&lease), [(1, B.to_owned())]);
    // A report without a time, or with one of another clock, is a report of this moment.
    assert!(lease.handle_feed(NOW, &said(A, None)).changed);
    assert!(lease.handle_feed(NOW, &said(B, Some(u64::MAX))).changed);
    assert!(lease.handle_feed(NOW, &said(A, Some(99_000_000_003))).changed);
}

/// BKE-18: in ten seconds of a flood few feeds change anything, and the last one counts.
#[test]
fn a_flood_of_feeds_is_taken_in_at_a_bounded_pace_and_the_last_counts() {
    let mut lease = lease(&[1]);
    lease.link_up(NOW, false);
    let (mut now, mut changes) = (NOW, 0);
    for number in 0..10_000_u16 {
        now = now + Duration::from_millis(1);
        let prefix = format!("2001:db8:{:x}::/48", number % 50 + 1);
        let feed = match number % 3 {
            0 => Feed { event: Event::Ended, ..bound(&[], &[&prefix]) },
            _ => bound(&[(1, &prefix)], &[]),
        };
        changes += u32::from(lease.handle_feed(now, &feed).changed);
        changes += u32::from(lease.handle_timeout(now).changed);
    }
    assert!((8..=30).contains(&changes), "{changes}");
    lease.handle_feed(now, &bound(&[(1, A)], &[]));
    lease.handle_feed(now, &bound(&[(1, B)], &[A]));
    while lease.deadline().is_some_and(|next| next.at <= now + Duration::from_secs(2)) {
        now = now.max(lease.deadline().unwrap().at);
        lease.handle_timeout(now);
    }
    assert_eq!(live(&lease), [(1, B.to_owned())]);
}

#[test]
fn a_bound_lease_without_the_old_value_ends_what_was_held() {
    let mut lease = lease(&[1]);
    lease.link_up(NOW, false);
    lease.handle_feed(NOW, &bound(&[(1, A)], &[]));
    lease.handle_feed(NOW, &bound(&[(1, B)], &[]));
    assert_eq!(live(&lease), [(1, B.to_owned())]);
}

#[test]
fn prefixes_that_are_listed_under_the_last_ia_pd_come_to_their_own() {
    let mut lease = lease(&[1, 2]);
    lease.link_up(NOW, false);
    lease.handle_feed(NOW, &bound(&[(2, A), (2, B)], &[]));
    let both = [(1, A.to_owned()), (2, B.to_owned())];
    assert_eq!(live(&lease), both);
    // They stay there in whatever order they are listed.
    lease.handle_feed(NOW, &bound(&[(2, B), (2, A)], &[]));
    assert_eq!(live(&lease), both);
    // One of them is replaced.
    let other = "2001:db8:c000::/56";
    lease.handle_feed(NOW, &bound(&[(2, other), (2, B)], &[A]));
    assert_eq!(live(&lease), [(1, other.to_owned()), (2, B.to_owned())]);
}

#[test]
fn renewals_in_vain_are_repeated_less_and_less_often() {
    let mut lease = lease(&[1]);
    lease.link_up(NOW, false);
    let mut now = NOW;
    let mut orders = Vec::new();
    while now < NOW + Duration::from_secs(3600) {
        if lease.poll_order().is_some() {
            orders.push(now.since(NOW).as_secs());
        }
        let next = lease.deadline().expect("there is always something to wait for").at;
        assert!(next > now);
        now = next;
        let failed = lease.handle_timeout(now).outcome == Some(Outcome::Failed);
        assert_eq!(failed, orders.len() == 1, "somebody waits for the first alone");
    }
    assert_eq!(orders.get(..6).unwrap(), [0, 10, 30, 70, 150, 310]);
    assert!(orders.windows(2).all(|pair| pair[1] - pair[0] <= 320));
    // An advertisement to us alone brings that forward.
    let soon = now + Duration::from_secs(1);
    assert!(lease.asks_in_vain() && lease.ask_soon(soon));
    assert_eq!(lease.deadline().unwrap().at, soon);
    lease.link_down();
    assert_eq!((lease.poll_order(), lease.deadline()), (None, None));
}

#[test]
fn leases_that_have_ended_or_are_not_valid_any_more_are_gone() {
    let mut lease = lease(&[1]);
    lease.link_up(NOW, false);
    lease.handle_feed(NOW, &bound(&[(1, A)], &[]));
    let ended = Feed { event: Event::Ended, ..bound(&[], &[A]) };
    assert!(lease.handle_feed(NOW, &ended).changed);
    assert_eq!(live(&lease), []);
    lease.handle_feed(NOW, &bound(&[(1, B)], &[]));
    lease.handle_timeout(NOW + Duration::from_secs(1200));
    assert_eq!(live(&lease), []);
}

#[test]
fn a_feed_is_checked_as_if_it_came_from_the_network() {
    assert_eq!(bound(&[(1, A)], &[B]).check(), Ok(()));
    let many = [(1, A); 65];
    let cases = [
        bound(&[(1, "2001:db8::/65")], &[]),
        bound(&[(1, "::/0")], &[]),
        bound(&[(1, "2001:db8::1/64")], &[]),
        bound(&many, &[]),
        Feed { servers: vec!["ff02::1".parse().unwrap()], ..bound(&[], &[]) },
        Feed { domains: vec!["a b".to_owned()], ..bound(&[], &[]) },
    ];
    for feed in cases {
        assert!(feed.check().is_err(), "{feed:?}");
    }
}
