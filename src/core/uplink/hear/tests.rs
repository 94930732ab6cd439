//! What counts as a change, as far as advertisements make it (rows `ROW-` of the conformance page).

mod bounds;
mod reach;
mod redial;
mod repeat;
mod verdict;

use std::time::Duration;

use proptest::prelude::*;

use super::PrefixChangeKind::{Appeared, Deprecated, Expired, Missing, Restored, Withdrawn};
use super::prefix::two_hour_rule;
use super::*;
use crate::time::{Lifetime, Until};
use crate::wire::ndp_option::{Pref64, Preference, PrefixInformation, RouteInformation};

const START: Instant = Instant::from_secs(1000);
const ONE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const TWO: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const A: &str = "2001:db8:a::/64";
const B: &str = "2001:db8:b::/64";
const MTU: u32 = 1500;

fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

fn pio(prefix: &str, valid: u32, preferred: u32) -> NdpOption {
    NdpOption::Prefix(PrefixInformation {
        prefix: net(prefix),
        on_link: true,
        autonomous: true,
        delegation_preferred: false,
        valid: Lifetime::from_wire(valid),
        preferred: Lifetime::from_wire(preferred),
    })
}

fn flagged(prefix: &str, valid: u32, on_link: bool, autonomous: bool) -> NdpOption {
    NdpOption::Prefix(PrefixInformation {
        prefix: net(prefix),
        on_link,
        autonomous,
        delegation_preferred: false,
        valid: Lifetime::from_wire(valid),
        preferred: Lifetime::from_wire(valid / 2),
    })
}

fn ra(options: Vec<NdpOption>) -> RouterAdvertisement {
    RouterAdvertisement { router_lifetime: 1800, options, ..RouterAdvertisement::default() }
}

fn routers() -> Routers {
    Routers::new(Rules { routers: Vec::new(), verify_omission: true })
}

fn at(seconds: u64) -> Instant {
    START + Duration::from_secs(seconds)
}

fn hear(routers: &mut Routers, seconds: u64, from: Ipv6Addr, options: Vec<NdpOption>) -> Heard {
    routers.handle_advertisement(at(seconds), from, &ra(options), false, MTU).unwrap()
}

fn kinds(heard: &Heard) -> Vec<(String, PrefixChangeKind)> {
    heard.prefixes.iter().map(|change| (change.prefix.to_string(), change.kind)).collect()
}

fn change(prefix: &str, kind: PrefixChangeKind) -> (String, PrefixChangeKind) {
    (prefix.to_owned(), kind)
}

fn one(routers: &Routers, now: Instant, prefix: &str) -> EffectivePrefix {
    let found = routers.prefixes(now).into_iter().find(|known| known.prefix == net(prefix));
    found.expect("the prefix is known")
}

/// What passes without anything coming in; the changes that time brings.
fn pass(routers: &mut Routers, from: u64, to: u64) -> (Vec<(String, PrefixChangeKind)>, usize) {
    let (mut changes, mut asked) = (Vec::new(), 0);
    let mut now = at(from);
    loop {
        changes.extend(kinds(&routers.handle_timeout(now)));
        while routers.poll_solicitation(now).is_some() {
            asked += 1;
        }
        match routers.deadline(true) {
            Some(deadline) if deadline.at <= at(to) => {
                assert!(deadline.at > now, "busy loop: {deadline:?}");
                now = deadline.at;
            }
            Some(_) | None => return (changes, asked),
        }
    }
}

/// Rows 1, 3, 5, 6: one router, one prefix, its lifetimes.
#[test]
fn lifetimes_of_a_known_prefix_mean_what_they_say() {
    let cases = [
        // name,                    valid, preferred, change
        ("repeated", 7200, 3600, None),
        ("counting down", 7000, 3400, None),
        ("shortened", 600, 300, None),
        ("preferred runs out", 7200, 0, Some(Deprecated)),
        ("withdrawn", 0, 0, Some(Withdrawn)),
    ];
    for (name, valid, preferred, expected) in cases {
        let mut routers = routers();
        assert_eq!(
            kinds(&hear(&mut routers, 0, ONE, vec![pio(A, 7200, 3600)])),
            [change(A, Appeared)]
        );
        let heard = hear(&mut routers, 10, ONE, vec![pio(A, valid, preferred)]);
        let expected: Vec<_> = expected.map(|kind| change(A, kind)).into_iter().collect();
        assert_eq!(kinds(&heard), expected, "{name}");
        let again = hear(&mut routers, 20, ONE, vec![pio(A, valid, preferred)]);
        assert_eq!(kinds(&again), [], "{name}, repeated");
    }
}

/// RA-RX-55
#[test]
fn the_two_hour_rule_protects_the_valid_lifetime() {
    let hours = |hours: u64| Until::At(START + Duration::from_secs(3600 * hours));
    let cases = [
        // name,                         stored,    received, kept
        ("a day left, withdrawn", hours(24), 0, hours(2)),
        ("an hour left, a minute said", hours(1), 60, hours(1)),
        ("an hour left, 5400 s said", hours(1), 5400, Until::At(at(5400))),
        ("a day left, three hours said", hours(24), 10_800, hours(3)),
        ("infinite, withdrawn", Until::Never, 0, hours(2)),
        ("an hour left, infinity said", hours(1), u32::MAX, Until::Never),
    ];
    for (name, stored, received, kept) in cases {
        assert_eq!(two_hour_rule(START, stored, Lifetime::from_wire(received)), kept, "{name}");
    }
}

/// Row 4, RA-RX-45, RA-RX-54, RA-RX-56: withdrawn means deprecated and off-link at once, while the
/// address stays valid by the two-hour rule.
#[test]
fn a_withdrawn_prefix_is_deprecated_and_off_link_at_once() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![pio(A, 86_400, 43_200)]);
    hear(&mut routers, 10, ONE, vec![pio(A, 0, 0)]);
    let known = one(&routers, at(10), A);
    assert!(known.preferred_until.is_over(at(10)) && !known.on_link);
    assert_eq!(known.valid_until, Until::At(at(10 + 7200)));
    assert_eq!(known.gone_since, Some(at(10)));
    hear(&mut routers, 20, ONE, vec![pio(A, 0, 0)]);
    assert_eq!(one(&routers, at(20), A).gone_since, Some(at(10)), "repeating it renews nothing");
    assert_eq!(one(&routers, at(20), A).valid_until, Until::At(at(10 + 7200)));
    assert_eq!(
        kinds(&hear(&mut routers, 30, ONE, vec![pio(A, 7200, 3600)])),
        [change(A, Restored)]
    );
    assert_eq!(one(&routers, at(30), A).gone_since, None);
}

/// RA-RX-53
#[test]
fn an_unknown_prefix_that_is_withdrawn_is_nothing() {
    let mut routers = routers();
    assert_eq!(kinds(&hear(&mut routers, 0, ONE, vec![pio(A, 0, 0)])), []);
    assert_eq!(routers.prefixes(START), []);
}

/// RA-RX-46, RA-RX-48, RA-RX-50, RA-RX-51, RA-RX-52
#[test]
fn on_link_and_autonomous_are_independent() {
    let bad_order = NdpOption::Prefix(PrefixInformation {
        prefix: net(A),
        on_link: true,
        autonomous: true,
        delegation_preferred: false,
        valid: Lifetime::Finite(100),
        preferred: Lifetime::Finite(200),
    });
    let cases = [
        ("both", flagged(A, 600, true, true), true, true),
        ("on-link only", flagged(A, 600, true, false), true, false),
        ("autonomous only", flagged(A, 600, false, true), false, true),
        ("/80", flagged("2001:db8:a::/80", 600, true, true), true, false),
        ("/63", flagged("2001:db8:a::/63", 600, true, true), true, false),
        ("preferred over valid", bad_order, true, false),
    ];
    for (name, option, on_link, autonomous) in cases {
        let mut routers = routers();
        hear(&mut routers, 0, ONE, vec![option]);
        let known = routers.prefixes(START);
        assert_eq!((known[0].on_link, known[0].autonomous), (on_link, autonomous), "{name}");
    }
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![flagged(A, 600, true, true)]);
    hear(&mut routers, 1, ONE, vec![flagged(A, 600, false, true)]);
    assert!(one(&routers, at(1), A).on_link, "L = 0 says nothing about being on-link");
}

/// RA-RX-47
#[test]
fn prefixes_that_are_none_are_ignored() {
    let mut routers = routers();
    let options = ["fe80::/64", "ff02::/64", "::1/128", "::/0"].map(|prefix| pio(prefix, 600, 300));
    assert_eq!(kinds(&hear(&mut routers, 0, ONE, options.to_vec())), []);
}

/// Row 2, RA-RX-40, RA-RX-41: omission alone withdraws nothing.
#[test]
fn omission_alone_is_no_withdrawal() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![pio(A, 7200, 3600)]);
    for second in 1..10 {
        assert_eq!(kinds(&hear(&mut routers, second * 10, ONE, vec![])), []);
    }
    assert_eq!(pass(&mut routers, 100, 200), (vec![], 0));
    assert_eq!(one(&routers, at(100), A).gone_since, None);
}

/// CHG-14: omitted beside a new one, asked about, and still missing in the answer.
#[test]
fn an_omitted_prefix_is_missing_when_the_answer_lacks_it() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![pio(A, 7200, 3600)]);
    assert_eq!(
        kinds(&hear(&mut routers, 100, ONE, vec![pio(B, 7200, 3600)])),
        [change(B, Appeared)]
    );
    assert_eq!(routers.poll_solicitation(at(100)), Some(ONE));
    assert_eq!(routers.poll_solicitation(at(100)), None);
    hear(&mut routers, 101, ONE, vec![pio(B, 7200, 3600)]);
    let (changes, asked) = pass(&mut routers, 101, 103);
    assert_eq!((changes, asked), (vec![change(A, Missing)], 0));
    assert!(one(&routers, at(103), A).preferred_until.is_over(at(103)));
    let since = one(&routers, at(103), A).gone_since;
    assert!(since > Some(at(101)) && since < Some(at(102)));
}

/// CHG-14: a split answer confirms, silence is no verdict, and nobody asks more than three times.
#[test]
fn an_omitted_prefix_stays_when_confirmed_or_unanswered() {
    let mut split = routers();
    hear(&mut split, 0, ONE, vec![pio(A, 7200, 3600)]);
    hear(&mut split, 100, ONE, vec![pio(B, 7200, 3600)]);
    assert_eq!(split.poll_solicitation(at(100)), Some(ONE));
    hear(&mut split, 101, ONE, vec![pio(B, 7200, 3600)]);
    hear(&mut split, 101, ONE, vec![pio(A, 7200, 3600)]);
    // The second half leaves out the first, which is asked about in its turn.
    assert_eq!(pass(&mut split, 101, 300), (vec![], 3));
    let mut silent = routers();
    hear(&mut silent, 0, ONE, vec![pio(A, 7200, 3600)]);
    hear(&mut silent, 100, ONE, vec![pio(B, 7200, 3600)]);
    assert_eq!(pass(&mut silent, 100, 1000), (vec![], 3));
    let mut off = Routers::new(Rules { routers: Vec::new(), verify_omission: false });
    hear(&mut off, 0, ONE, vec![pio(A, 7200, 3600)]);
    hear(&mut off, 100, ONE, vec![pio(B, 7200, 3600)]);
    assert_eq!(pass(&mut off, 100, 1000), (vec![], 0));
}

/// CHG-14: a deprecated prefix is never suspect, and a router that splits regularly is understood.
#[test]
fn deprecated_prefixes_and_splitting_routers_are_not_suspect_for_ever() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![pio(A, 7200, 0)]);
    hear(&mut routers, 1, ONE, vec![pio(B, 7200, 3600)]);
    assert_eq!(routers.poll_solicitation(at(1)), None);
    let mut splitting = self::routers();
    let mut asked = 0;
    for round in 0..200_u64 {
        let prefix = if round % 2 == 0 { A } else { B };
        hear(&mut splitting, round * 5, ONE, vec![pio(prefix, 7200, 3600)]);
        asked += pass(&mut splitting, round * 5, round * 5 + 4).1;
    }
    // A handful, and one more each time that what was seen of it has aged.
    assert!(asked <= 9, "{asked}");
    assert_eq!(
        splitting.prefixes(at(1000)).iter().filter(|known| known.gone_since.is_none()).count(),
        2
    );
}

/// Rows 9 and 10, CHG-07, CHG-08
#[test]
fn a_prefix_is_there_while_any_router_has_it() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![pio(A, 7200, 3600)]);
    assert_eq!(
        kinds(&hear(&mut routers, 1, TWO, vec![pio(A, 3600, 1800), pio(B, 3600, 1800)])),
        [change(B, Appeared)]
    );
    assert_eq!(kinds(&hear(&mut routers, 2, ONE, vec![pio(A, 0, 0)])), []);
    let known = one(&routers, at(2), A);
    assert!(known.gone_since.is_none() && known.on_link && !known.preferred_until.is_over(at(2)));
    assert_eq!(kinds(&hear(&mut routers, 3, TWO, vec![pio(A, 0, 0)])), [change(A, Withdrawn)]);
    for round in 0..360 {
        let first = hear(&mut routers, 10 + round * 10, ONE, vec![pio(A, 0, 0)]);
        let second = hear(&mut routers, 15 + round * 10, TWO, vec![pio(B, 3600, 1800)]);
        assert_eq!((kinds(&first), kinds(&second)), (vec![], vec![]));
    }
}

/// Row 8: same bits, another length: another prefix.
#[test]
fn another_length_is_another_prefix() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![pio("2001:db8:a::/64", 7200, 3600)]);
    let heard = hear(&mut routers, 1, ONE, vec![pio("2001:db8:a::/56", 7200, 3600)]);
    assert_eq!(kinds(&heard), [change("2001:db8:a::/56", Appeared)]);
}

/// Rows 11 and 19, RA-RX-20..22, RA-RX-28: the header is about the default router alone.
#[test]
fn the_header_is_about_the_default_router_alone() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![pio(A, 7200, 3600)]);
    hear(&mut routers, 0, TWO, vec![]);
    assert_eq!(routers.default_routers(START).len(), 2);
    let mut leaving = ra(vec![pio(A, 7200, 3600)]);
    leaving.router_lifetime = 0;
    leaving.preference = Preference::High;
    let heard = routers.handle_advertisement(at(1), ONE, &leaving, false, MTU).unwrap();
    assert_eq!((kinds(&heard), heard.others), (vec![], true));
    let left = routers.default_routers(at(1));
    assert_eq!(left.iter().map(|router| router.address).collect::<Vec<_>>(), [TWO]);
    assert_eq!(one(&routers, at(1), A).gone_since, None);
    pass(&mut routers, 1, 1801);
    assert_eq!(routers.default_routers(at(1801)), []);
    assert_eq!(one(&routers, at(1801), A).gone_since, None);
}

/// UPL-04, RA-RX-27, RA-RX-62
#[test]
fn preferred_routers_come_first_and_a_default_route_option_overrides_the_header() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![]);
    let mut high = ra(vec![]);
    high.preference = Preference::High;
    routers.handle_advertisement(START, TWO, &high, false, MTU).unwrap();
    let order = |routers: &Routers| {
        routers.default_routers(START).iter().map(|router| router.address).collect::<Vec<_>>()
    };
    assert_eq!(order(&routers), [TWO, ONE]);
    let route = NdpOption::Route(RouteInformation {
        prefix: net("::/0"),
        preference: Preference::Low,
        lifetime: Lifetime::Finite(300),
    });
    high.options = vec![route];
    routers.handle_advertisement(START, TWO, &high, false, MTU).unwrap();
    assert_eq!(order(&routers), [ONE, TWO]);
    assert_eq!(routers.default_routers(START)[1].until, Until::At(at(300)));
}

/// RA-RX-61, RA-RX-63, RA-RX-65: entries end one by one, and per router.
#[test]
fn a_lifetime_of_zero_withdraws_what_it_names() {
    let mut routers = routers();
    let route = |lifetime| {
        NdpOption::Route(RouteInformation {
            prefix: net("2001:db8:f000::/48"),
            preference: Preference::Medium,
            lifetime: Lifetime::Finite(lifetime),
        })
    };
    let servers = |lifetime, servers: &[&str]| NdpOption::Rdnss {
        lifetime: Lifetime::Finite(lifetime),
        servers: servers.iter().map(|server| server.parse().unwrap()).collect(),
    };
    let pref64 = NdpOption::Pref64(Pref64 { prefix: net("64:ff9b::/96"), lifetime: 600 });
    hear(
        &mut routers,
        0,
        ONE,
        vec![route(600), servers(600, &["2001:db8::53", "2001:db8::54"]), pref64],
    );
    hear(&mut routers, 0, TWO, vec![route(600)]);
    hear(&mut routers, 1, ONE, vec![route(0), servers(0, &["2001:db8::53"])]);
    let left = routers.routes(at(1));
    assert_eq!(left.iter().map(|route| route.router).collect::<Vec<_>>(), [TWO]);
    let parameters = routers.parameters(at(1));
    assert_eq!(parameters.resolvers, [("2001:db8::54".parse().unwrap(), Until::At(at(600)))]);
    assert_eq!(parameters.pref64.len(), 1);
    pass(&mut routers, 1, 600);
    assert_eq!(routers.parameters(at(600)).resolvers, []);
    assert_eq!(routers.routes(at(600)), []);
}

/// RA-RX-25, RA-RX-43, RA-RX-44
#[test]
fn of_single_values_the_newest_counts_and_zero_is_none() {
    let mut routers = routers();
    let mut said = ra(vec![NdpOption::Mtu(1400)]);
    said.hop_limit = 64;
    routers.handle_advertisement(START, ONE, &said, false, MTU).unwrap();
    said.hop_limit = 0;
    said.options = vec![NdpOption::Mtu(1300), NdpOption::Mtu(1279), NdpOption::Mtu(9001)];
    routers.handle_advertisement(START, TWO, &said, false, MTU).unwrap();
    let parameters = routers.parameters(START);
    assert_eq!((parameters.hop_limit, parameters.mtu), (Some(64), Some(1300)));
}

/// UPL-11, row 15: after a reconnect what the router does not confirm is gone.
#[test]
fn after_a_reconnect_unconfirmed_prefixes_go() {
    let mut ppp = routers();
    hear(&mut ppp, 0, ONE, vec![pio(A, 7200, 3600)]);
    ppp.handle_link_event(at(10), true);
    let heard = hear(&mut ppp, 11, TWO, vec![pio(B, 7200, 3600)]);
    assert!(heard.none_confirmed);
    assert_eq!(kinds(&heard), [change(A, Missing), change(B, Appeared)]);
    assert!(one(&ppp, at(11), A).is_former && !one(&ppp, at(11), B).is_former);
    let mut ethernet = routers();
    hear(&mut ethernet, 0, ONE, vec![pio(A, 7200, 3600)]);
    ethernet.handle_link_event(at(10), false);
    let heard = hear(&mut ethernet, 11, TWO, vec![pio(B, 7200, 3600)]);
    assert!(heard.none_confirmed);
    assert_eq!(ethernet.poll_solicitation(at(11)), Some(TWO));
    hear(&mut ethernet, 12, TWO, vec![pio(B, 7200, 3600)]);
    assert_eq!(pass(&mut ethernet, 12, 14).0, [change(A, Missing)]);
    assert!(!one(&ethernet, at(14), A).is_former, "others on the link may still use it");
    let mut same = routers();
    hear(&mut same, 0, ONE, vec![pio(A, 7200, 3600)]);
    same.handle_link_event(at(10), true);
    let heard = hear(&mut same, 11, ONE, vec![pio(A, 7200, 3600)]);
    assert_eq!((kinds(&heard), heard.none_confirmed), (vec![], false));
}

/// SEC-04
#[test]
fn only_listed_routers_are_believed() {
    let mut routers = Routers::new(Rules { routers: vec![ONE], verify_omission: true });
    let refused =
        routers.handle_advertisement(START, TWO, &ra(vec![pio(A, 7200, 3600)]), false, MTU);
    assert_eq!(refused, Err(Reject::Unlisted));
    assert_eq!(routers.prefixes(START), []);
}

/// RA-RX-69
#[test]
fn a_flood_is_bounded_and_what_is_known_is_still_refreshed() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![pio(A, 7200, 3600)]);
    for count in 0..1000_u32 {
        let prefix = format!("2001:db8:{:x}:{:x}::/64", 0x100 + count / 256, count % 256);
        hear(&mut routers, 1, ONE, vec![pio(&prefix, 7200, 3600)]);
        let source = Ipv6Addr::from(u128::from(ONE) + u128::from(count));
        routers.handle_advertisement(at(1), source, &ra(vec![]), false, MTU).unwrap();
    }
    assert!(routers.prefixes(at(1)).len() <= 64);
    assert_eq!(routers.default_routers(at(1)).len(), MAX_ROUTERS);
    hear(&mut routers, 5, ONE, vec![pio(A, 7200, 3600)]);
    assert_eq!(one(&routers, at(5), A).valid_until, Until::At(at(7205)));
}

/// What runs out and comes back by itself is no change after the first time.
#[test]
fn equal_content_is_no_change_even_when_it_runs_out_in_between() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![pio(A, 60, 30), pio(B, 60, 30)]);
    for round in 1..50 {
        let (changes, _) = pass(&mut routers, round * 100 - 99, round * 100);
        assert_eq!(changes, [change(A, Expired), change(B, Expired)], "round {round}");
        let heard = hear(&mut routers, round * 100, ONE, vec![pio(B, 60, 30), pio(A, 60, 30)]);
        assert_eq!(kinds(&heard), [], "round {round}");
    }
}

proptest! {
    /// CHG-01, CHG-09, anti-loop invariant (e): N equal advertisements, in any order of options
    /// and with any lifetimes, are one.
    #[test]
    fn refreshed_lifetimes_are_never_a_change(
        rounds in proptest::collection::vec((1_u64..2000, 1_u32..8000, any::<bool>()), 1..40),
    ) {
        let mut routers = routers();
        hear(&mut routers, 0, ONE, vec![pio(A, 8000, 4000), pio(B, 8000, 4000)]);
        let mut now = 0;
        for (gap, valid, swap) in rounds {
            now += gap;
            pass(&mut routers, now, now);
            let mut options = vec![pio(A, valid + 1, valid.div_ceil(2)), pio(B, valid + 1, valid)];
            if swap {
                options.reverse();
            }
            prop_assert_eq!(kinds(&hear(&mut routers, now, ONE, options)), []);
        }
    }
}
