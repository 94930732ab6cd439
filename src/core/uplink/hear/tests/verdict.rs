//! When it is certain that an omitted prefix is missing (CHG-14): soon, and not before the router
//! could have advertised it.

use super::*;

const TO_ALL: bool = false;
const TO_US: bool = true;

fn millis(milliseconds: u64) -> Instant {
    at(100) + Duration::from_millis(milliseconds)
}

/// A router that has left A out for B at 100 s, and was asked at once.
fn asked() -> Routers {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![pio(A, 7200, 3600)]);
    hear(&mut routers, 100, ONE, vec![pio(B, 7200, 3600)]);
    assert_eq!(routers.poll_solicitation(at(100)), Some(ONE));
    routers
}

fn say(routers: &mut Routers, milliseconds: u64, prefixes: &[&str], to_us: bool) {
    let options = prefixes.iter().map(|prefix| pio(prefix, 7200, 3600)).collect();
    let said = ra(options);
    routers.handle_advertisement(millis(milliseconds), ONE, &said, to_us, MTU).unwrap();
}

/// How many milliseconds after the question the omitted prefix is found missing.
fn missing_after(routers: &mut Routers) -> Option<u128> {
    while let Some(deadline) = routers.deadline(false).filter(|deadline| deadline.at < at(120)) {
        let heard = routers.handle_timeout(deadline.at);
        if kinds(&heard).contains(&change(A, Missing)) {
            return Some(deadline.at.since(at(100)).as_millis());
        }
    }
    None
}

/// What the router says: how many milliseconds after the question, with which prefixes, and to whom.
type Said<'a> = (u64, &'a [&'a str], bool);

#[test]
fn the_verdict_comes_when_the_answer_is_whole() {
    let cases: [(&str, &[Said<'_>], Option<u128>); 9] = [
        ("an answer to us", &[(1, &[B], TO_US)], Some(151)),
        ("a late answer to us", &[(450, &[B], TO_US)], Some(600)),
        ("to all, which may be no answer", &[(1, &[B], TO_ALL)], Some(600)),
        ("to all, as late as it may be", &[(500, &[B], TO_ALL)], Some(650)),
        ("to all, then to us", &[(1, &[B], TO_ALL), (20, &[B], TO_US)], Some(170)),
        ("to us, then to all", &[(1, &[B], TO_US), (20, &[B], TO_ALL)], Some(151)),
        ("a second part of it", &[(1, &[B], TO_US), (140, &[A], TO_US)], None),
        ("repeated, then the answer", &[(1, &[B], TO_ALL), (500, &[A, B], TO_ALL)], None),
        ("no answer", &[], None),
    ];
    for (name, answers, expected) in cases {
        let mut routers = asked();
        for (milliseconds, prefixes, to_us) in answers {
            say(&mut routers, *milliseconds, prefixes, *to_us);
        }
        assert_eq!(missing_after(&mut routers), expected, "{name}");
    }
}

/// After a link event the routers that were there before are asked as well, and have their time: an
/// answer of the one that was heard first says nothing of theirs.
#[test]
fn the_answer_of_one_router_is_none_of_another() {
    let mut routers = routers();
    hear(&mut routers, 0, TWO, vec![pio(A, 7200, 3600)]);
    routers.handle_link_event(at(99), false);
    say(&mut routers, 0, &[B], TO_ALL);
    let mut asked: Vec<Ipv6Addr> =
        std::iter::from_fn(|| routers.poll_solicitation(at(100))).collect();
    asked.sort();
    assert_eq!(asked, [ONE, TWO]);
    say(&mut routers, 1, &[B], TO_US);
    let mut left = routers.clone();
    assert_eq!(missing_after(&mut left), Some(600));
    let answer = ra(vec![pio(A, 7200, 3600)]);
    routers.handle_advertisement(millis(500), TWO, &answer, TO_ALL, MTU).unwrap();
    assert_eq!(missing_after(&mut routers), None);
}
