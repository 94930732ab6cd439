//! Links that lose packets, in virtual time: how long a change takes down a chain, and how many
//! packets.
#![allow(clippy::print_stdout, reason = "the figures are shown with --nocapture")]

use std::time::Duration;

use renumberd::time::Instant;

use renumberd::sim::network::Station;

use super::chain::Tree;

const HOPS: usize = 4;

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// The delegated prefix of the change `number`.
fn prefix(number: usize) -> String {
    format!("2001:db8:{number:x}00::/56")
}

/// The subnet of router `router` in it: the first, of the upper halves of upper halves.
fn subnet(number: usize, router: usize) -> ipnet::Ipv6Net {
    let whole: ipnet::Ipv6Net = prefix(number).parse().unwrap();
    let halves: u128 = (0..router).map(|depth| 1_u128 << (127 - 56 - depth)).sum();
    let bits = u128::from(whole.network()) | halves;
    ipnet::Ipv6Net::new(bits.into(), 64).unwrap()
}

/// What a number of changes took.
struct Taken {
    /// To the last router's first advertisement, change by change.
    in_order: Vec<Duration>,
    /// The same, sorted.
    router: Vec<Duration>,
    /// To the host below it, sorted.
    host: Vec<Duration>,
    /// Per change and link.
    multicasts: f64,
    unicasts: f64,
    dhcpv6: f64,
}

impl Taken {
    fn at(sorted: &[Duration], part: f64) -> Duration {
        let last = sorted.len() - 1;
        sorted[(last as f64 * part).ceil() as usize]
    }
}

/// A first router that loses nothing towards its provider, and four lossy links below it with
/// another router on each; `changes` changes, each when all is quiet.
fn carry(changes: usize, loss: u64, reconfigure: bool, spacing: Duration) -> Taken {
    let mut tree = Tree::chain(HOPS + 1, &prefix(1), reconfigure);
    tree.run_for(Duration::from_secs(120));
    assert!(tree.follows(&prefix(1)), "{:#?}", tree.state());
    tree.lose_below(loss);
    tree.watch = super::watch::Watch::default();
    let mut begun: Vec<(usize, Instant)> = Vec::new();
    for number in 2..changes + 2 {
        begun.push((number, tree.now()));
        // Of the link to the provider a few take turns: the old ones stay valid for long.
        tree.renumber(&prefix(number), &format!("2001:db8:ff00:{:x}::/64", number % 40));
        tree.run_for(spacing);
    }
    tree.run_for(Duration::from_secs(60));
    let since =
        |found: Option<&Instant>, begun: Instant| found.map_or(Duration::MAX, |at| at.since(begun));
    let router = |(number, begun): &(usize, Instant)| {
        since(tree.watch.advertised_first.get(&(HOPS, subnet(*number, HOPS))), *begun)
    };
    let host = |(number, begun): &(usize, Instant)| {
        since(tree.net.hosts[0].heard_first.get(&subnet(*number, HOPS)), *begun)
    };
    let mut router: Vec<Duration> = begun.iter().map(router).collect();
    let mut host: Vec<Duration> = begun.iter().map(host).collect();
    let in_order = router.clone();
    router.sort();
    host.sort();
    let per = |count: usize| count as f64 / changes as f64 / (HOPS + 1) as f64;
    let (multicasts, unicasts) = (per(tree.watch.multicasts), per(tree.watch.unicasts));
    let dhcpv6 = per(tree.watch.dhcpv6);
    let taken = Taken { in_order, router, host, multicasts, unicasts, dhcpv6 };
    println!(
        "loss {loss}, reconfigure {reconfigure}: router median {:?} p90 {:?} p99 {:?} worst {:?}; \
         host median {:?} p90 {:?} p99 {:?} worst {:?}; per change and link {multicasts:.2} multicast, \
         {unicasts:.2} unicast, {dhcpv6:.2} DHCPv6",
        Taken::at(&taken.router, 0.5),
        Taken::at(&taken.router, 0.9),
        Taken::at(&taken.router, 0.99),
        Taken::at(&taken.router, 1.0),
        Taken::at(&taken.host, 0.5),
        Taken::at(&taken.host, 0.9),
        Taken::at(&taken.host, 0.99),
        Taken::at(&taken.host, 1.0),
    );
    taken
}

/// PDC-41, RA-TX-63, RA-TX-64: 5 % of all packets lost on each of four links.
#[test]
fn a_change_goes_through_four_lossy_hops_in_milliseconds() {
    for (reconfigure, changes) in [(true, 200), (false, 60)] {
        let taken = carry(changes, 50, reconfigure, Duration::from_secs(30));
        assert!(Taken::at(&taken.router, 0.9) < millis(60));
        assert!(Taken::at(&taken.router, 1.0) < Duration::from_secs(1));
        assert!(Taken::at(&taken.host, 0.99) < Duration::from_secs(1));
    }
}

/// CHG-04, CHG-16, RA-TX-63: one change after another, each before hosts have forgotten the prefixes
/// of a hundred others, which take several packets.
#[test]
fn the_ninetieth_change_is_as_quick_as_the_first() {
    for reconfigure in [true, false] {
        let taken = carry(90, 50, reconfigure, millis(3100));
        let mut last = taken.in_order[60..].to_vec();
        last.sort();
        assert!(Taken::at(&last, 0.9) < millis(100), "{:?}", taken.in_order);
        assert!(Taken::at(&last, 1.0) < Duration::from_secs(1), "{:?}", taken.in_order);
    }
}

/// RA-TX-63: the second of two changes a second apart meets MIN_DELAY_BETWEEN_RAS on every link.
#[test]
fn hosts_follow_the_second_of_two_changes_a_second_apart() {
    for reconfigure in [true, false] {
        let taken = carry(2, 0, reconfigure, Duration::from_secs(1));
        assert!(Taken::at(&taken.router, 1.0) < millis(60));
        assert!(Taken::at(&taken.host, 1.0) < millis(100));
    }
}

/// RA-TX-63, RA-TX-64: no storm.
#[test]
fn a_change_costs_few_packets_with_and_without_loss() {
    for (loss, multicasts, unicasts, dhcpv6) in [(0, 3.1, 3.1, 2.7), (50, 3.1, 3.6, 3.5)] {
        let taken = carry(50, loss, true, Duration::from_secs(30));
        assert!(taken.multicasts <= multicasts, "{}", taken.multicasts);
        assert!(taken.unicasts <= unicasts, "{}", taken.unicasts);
        assert!(taken.dhcpv6 <= dhcpv6, "{}", taken.dhcpv6);
    }
}

/// RA-TX-64: all that is sent in the first moments is lost.
#[test]
fn a_router_that_missed_the_first_advertisement_renews_within_a_third_of_a_second() {
    for reconfigure in [true, false] {
        for lost_for in [5, 30, 100, 190] {
            let mut tree = Tree::chain(2, &prefix(1), reconfigure);
            tree.run_for(Duration::from_secs(120));
            tree.watch = super::watch::Watch::default();
            tree.net.deaf_until.insert(Station::Node(1), tree.net.now + millis(lost_for));
            let begun = tree.now();
            tree.renumber(&prefix(2), "2001:db8:ffff:2::/64");
            tree.run_for(Duration::from_secs(1));
            let renewed = tree.watch.renewals_of(1);
            let renewed = renewed.first().expect("it renews").since(begun);
            assert!(renewed < millis(300), "{lost_for} ms lost: after {renewed:?}");
            let has = format!("{}1%3", subnet(2, 1).network());
            assert!(tree.net.nodes[1].state().contains(&has), "{has}: {:#?}", tree.state());
        }
    }
}
