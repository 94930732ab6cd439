//! Default routers that are silent beside one that is heard (UPL-21).

use super::*;

fn order(routers: &Routers, seconds: u64) -> Vec<(Ipv6Addr, bool)> {
    let routers = routers.default_routers(at(seconds));
    routers.iter().map(|router| (router.address, router.silent)).collect()
}

/// Lives from one second to another; `answers` says who answers a solicitation. Who was asked.
fn live(routers: &mut Routers, from: u64, to: u64, answers: &[Ipv6Addr]) -> Vec<(u64, Ipv6Addr)> {
    let mut asked = Vec::new();
    for second in from..to {
        routers.handle_timeout(at(second));
        while let Some(router) = routers.poll_solicitation(at(second)) {
            asked.push((second, router));
            if answers.contains(&router) {
                hear(routers, second, router, vec![]);
            }
        }
        let deadline = routers.deadline(true);
        assert!(deadline.is_none_or(|deadline| deadline.at > at(second)), "{deadline:?}");
    }
    asked
}

#[test]
fn a_replaced_router_is_moved_behind_the_one_that_replaces_it() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![]);
    assert_eq!(live(&mut routers, 0, 100, &[]), [], "alone it is asked nothing");
    hear(&mut routers, 100, TWO, vec![]);
    assert_eq!(order(&routers, 100), [(ONE, false), (TWO, false)]);
    let asked = live(&mut routers, 100, 106, &[]);
    assert_eq!(asked, [(100, ONE), (101, ONE), (103, ONE)]);
    assert_eq!(order(&routers, 106), [(TWO, false), (ONE, true)]);
    // It stays there, unasked, and comes back with its next advertisement.
    assert_eq!(live(&mut routers, 106, 600, &[TWO]).iter().filter(|(_, of)| *of == ONE).count(), 0);
    let heard = hear(&mut routers, 600, ONE, vec![]);
    assert!(heard.others);
    assert_eq!(order(&routers, 600), [(ONE, false), (TWO, false)]);
}

#[test]
fn a_router_that_answers_stays_in_front() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![]);
    hear(&mut routers, 100, TWO, vec![]);
    let asked = live(&mut routers, 100, 200, &[ONE, TWO]);
    assert_eq!(asked, [(100, ONE)]);
    assert_eq!(order(&routers, 200), [(ONE, false), (TWO, false)]);
}

/// RFC 4861 §6.3.6: a router that dies is found out when its interval has passed, whatever its
/// preference was.
#[test]
fn a_router_that_misses_its_interval_is_asked() {
    let mut routers = routers();
    let mut high = ra(vec![]);
    high.preference = Preference::High;
    routers.handle_advertisement(START, ONE, &high, false, MTU).unwrap();
    hear(&mut routers, 1, TWO, vec![]);
    live(&mut routers, 0, 500, &[ONE, TWO]);
    hear(&mut routers, 500, TWO, vec![]);
    let last = 10;
    let asked = live(&mut routers, 500, 1000, &[TWO]);
    let asked: Vec<u64> = asked.iter().filter(|(_, of)| *of == ONE).map(|(at, _)| *at).collect();
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(asked[0] >= 600 && asked[0] <= 601 + last, "{asked:?}");
    assert_eq!(order(&routers, 1000)[0], (TWO, false));
}

/// A router that comes up in the place of another which was heard a moment ago is in front in a few
/// seconds.
#[test]
fn a_router_that_was_just_heard_is_asked_a_second_later() {
    let mut routers = routers();
    hear(&mut routers, 100, ONE, vec![]);
    hear(&mut routers, 100, TWO, vec![]);
    assert_eq!(live(&mut routers, 100, 107, &[TWO]), [(101, ONE), (102, ONE), (104, ONE)]);
    assert_eq!(order(&routers, 107), [(TWO, false), (ONE, true)]);
}

/// After a link event who is heard comes before who was heard before it; the order is a change.
#[test]
fn a_link_event_makes_way_for_routers_that_are_heard_then() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![]);
    routers.set_lease_router(ONE);
    routers.handle_link_event(at(100), false);
    assert!(hear(&mut routers, 101, TWO, vec![]).others);
    assert_eq!(order(&routers, 101), [(TWO, false), (ONE, false)]);
    assert!(hear(&mut routers, 102, ONE, vec![]).others);
    assert_eq!(order(&routers, 102), [(ONE, false), (TWO, false)]);
}

/// Where nobody answers, none is better than another.
#[test]
fn silence_of_all_changes_nothing() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![]);
    hear(&mut routers, 0, TWO, vec![]);
    live(&mut routers, 0, 1700, &[]);
    assert_eq!(order(&routers, 1700), [(ONE, false), (TWO, false)]);
}

/// Questions are bounded however many routers appear.
#[test]
fn forged_routers_draw_few_questions() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![]);
    let mut asked = 0;
    for second in 20..140 {
        for number in 0..18 {
            let forged =
                Ipv6Addr::from(u128::from(ONE) + 0x1000 + u128::from(second * 18 + number));
            hear(&mut routers, second, forged, vec![]);
        }
        let of = live(&mut routers, second, second + 1, &[ONE]);
        asked += of.iter().filter(|(_, of)| *of == ONE).count();
    }
    assert!(asked <= 3, "{asked}");
    assert_eq!(order(&routers, 140)[0], (ONE, false));
}

/// However many others appear, a router that answers is asked once a minute at most.
#[test]
fn a_router_that_has_answered_is_left_alone_for_a_minute() {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![]);
    let mut asked = Vec::new();
    for (number, second) in [(0, 100), (1, 159), (2, 160)] {
        hear(&mut routers, second, Ipv6Addr::from(u128::from(TWO) + number), vec![]);
        asked.extend(live(&mut routers, second, second + 1, &[ONE]));
    }
    asked.retain(|(_, of)| *of == ONE);
    assert_eq!(asked, [(100, ONE), (160, ONE)]);
}

/// A router with a short Router Lifetime misses its interval again and again.
#[test]
fn a_router_with_a_short_lifetime_is_asked_once_a_minute() {
    let mut short = ra(vec![]);
    short.router_lifetime = 30;
    let mut routers = routers();
    routers.handle_advertisement(START, ONE, &short, false, MTU).unwrap();
    hear(&mut routers, 0, TWO, vec![]);
    let mut asked = Vec::new();
    for second in 0..200 {
        routers.handle_timeout(at(second));
        while let Some(router) = routers.poll_solicitation(at(second)) {
            asked.push((second, router));
            routers.handle_advertisement(at(second), ONE, &short, true, MTU).unwrap();
        }
        if second % 20 == 0 {
            routers.handle_advertisement(at(second), ONE, &short, false, MTU).unwrap();
        }
        let deadline = routers.deadline(true);
        assert!(deadline.is_none_or(|deadline| deadline.at > at(second)), "{deadline:?}");
    }
    asked.retain(|(_, of)| *of == ONE);
    let asked: Vec<u64> = asked.into_iter().map(|(second, _)| second).collect();
    assert_eq!(asked, [71, 131, 191]);
}

/// What was heard just before a link event says nothing of the link behind it.
#[test]
fn a_router_that_was_heard_just_before_a_link_event_is_asked_at_once() {
    for (has_link_event, first) in [(true, 100), (false, 101)] {
        let mut routers = routers();
        hear(&mut routers, 100, ONE, vec![]);
        if has_link_event {
            routers.handle_link_event(at(100), false);
        }
        hear(&mut routers, 100, TWO, vec![]);
        let asked = live(&mut routers, 100, 106, &[]);
        assert_eq!(asked.first(), Some(&(first, ONE)), "with a link event: {has_link_event}");
    }
}
