//! Prefixes that go and come back (CHG-14): what counts is what a router advertised last.

use super::*;

const C: &str = "2001:db8:c::/64";

fn millis(milliseconds: u64) -> Instant {
    START + Duration::from_millis(milliseconds)
}

/// A router that advertises one of `sequence` after the other, `apart` milliseconds from each to
/// the next, and answers each solicitation with the one that it is at. Returns what is preferred a
/// minute after the last, how many solicitations there were, and whether each change was reported.
fn redials(sequence: &[&str], apart: u64) -> (Vec<String>, usize, bool) {
    let mut routers = routers();
    hear(&mut routers, 0, ONE, vec![pio(A, 7200, 3600)]);
    let (mut asked, mut told) = (0, true);
    let mut now = millis(100_000);
    for (position, prefix) in sequence.iter().enumerate() {
        let is_last = position + 1 == sequence.len();
        let end = now + Duration::from_millis(if is_last { 60_000 } else { apart });
        let say = ra(vec![pio(prefix, 7200, 3600)]);
        let heard = routers.handle_advertisement(now, ONE, &say, false, MTU).unwrap();
        told = kinds(&heard)
            .iter()
            .any(|(of, kind)| of == prefix && matches!(kind, Appeared | Restored));
        loop {
            while routers.poll_solicitation(now).is_some() {
                asked += 1;
                routers.handle_advertisement(now, ONE, &say, true, MTU).unwrap();
            }
            told |= routers.handle_timeout(now).went_back == Some(ONE);
            match routers.deadline(true) {
                Some(deadline) if deadline.at <= end => {
                    assert!(deadline.at > now, "busy loop: {deadline:?}");
                    now = deadline.at;
                }
                Some(_) | None => break,
            }
        }
        now = end;
    }
    let left = routers.prefixes(now).into_iter();
    let preferred = left.filter(|known| !known.preferred_until.is_over(now));
    (preferred.map(|known| known.prefix.to_string()).collect(), asked, told)
}

#[test]
fn the_prefix_that_was_advertised_last_is_left_however_often_it_came_and_went() {
    let sequences: [&[&str]; 6] = [
        &[B],
        &[B, A],
        &[B, C, B],
        &[B, A, B, A, B],
        &[B, A, B, A, B, C],
        &[B, C, A, C, B, A, B, C, B, A],
    ];
    for sequence in sequences {
        for apart in [100, 500, 3100, 60_000] {
            let (left, asked, told) = redials(sequence, apart);
            let last = *sequence.last().unwrap();
            assert_eq!(left, [last], "{sequence:?}, {apart} ms apart");
            assert!(told, "{sequence:?}, {apart} ms apart: the last is no news");
            assert!(asked <= 2 * sequence.len(), "{sequence:?}, {apart} ms apart: {asked}");
        }
    }
}

/// RA-RX-42: a router that splits its options over advertisements loses none of them, and is asked
/// ever more seldom.
#[test]
fn split_options_stay() {
    let mut routers = routers();
    let mut asked = 0;
    for round in 0..200_u64 {
        for (offset, prefix) in [(0, A), (1, B)] {
            let now = millis(round * 10_000 + offset);
            let say = ra(vec![pio(prefix, 7200, 3600)]);
            let heard = routers.handle_advertisement(now, ONE, &say, false, MTU).unwrap();
            assert!(round == 0 || kinds(&heard).is_empty(), "{round}");
            routers.handle_timeout(now);
            while routers.poll_solicitation(now).is_some() {
                asked += 1;
            }
        }
        let end = millis(round * 10_000 + 9_999);
        let mut answers = false;
        while let Some(deadline) = routers.deadline(true).filter(|deadline| deadline.at <= end) {
            let now = deadline.at;
            assert_eq!(kinds(&routers.handle_timeout(now)), []);
            while routers.poll_solicitation(now).is_some() {
                asked += 1;
                answers = true;
            }
            if std::mem::take(&mut answers) {
                for prefix in [A, B] {
                    let say = ra(vec![pio(prefix, 7200, 3600)]);
                    routers.handle_advertisement(now, ONE, &say, false, MTU).unwrap();
                }
            }
        }
    }
    let known = routers.prefixes(millis(2_000_000));
    assert_eq!(known.iter().filter(|known| known.gone_since.is_none()).count(), 2);
    assert!(asked <= 40, "{asked}");
}

/// UPL-11: also what the router had left out before a program reported another connection.
#[test]
fn prefixes_missing_before_a_reconnect_are_of_the_former_connection() {
    let mut ppp = routers();
    hear(&mut ppp, 0, ONE, vec![pio(A, 7200, 3600)]);
    hear(&mut ppp, 100, ONE, vec![pio(B, 7200, 3600)]);
    assert_eq!(ppp.poll_solicitation(at(100)), Some(ONE));
    hear(&mut ppp, 101, ONE, vec![pio(B, 7200, 3600)]);
    pass(&mut ppp, 101, 104);
    let [former, confirmed] = [A, B].map(|prefix| prefix.parse().unwrap());
    assert!(one(&ppp, at(104), A).gone_since.is_some() && !one(&ppp, at(104), A).is_former);
    assert!(ppp.is_confirmed(at(104), &confirmed));
    ppp.handle_link_event(at(105), true);
    assert!(one(&ppp, at(105), A).is_former);
    assert!(!ppp.is_confirmed(at(105), &confirmed));
    hear(&mut ppp, 106, ONE, vec![pio(B, 7200, 3600)]);
    assert!(ppp.is_confirmed(at(106), &confirmed) && !ppp.is_confirmed(at(106), &former));
    // A router that goes on with it takes that back.
    hear(&mut ppp, 107, ONE, vec![pio(A, 7200, 3600), pio(B, 7200, 3600)]);
    assert!(!one(&ppp, at(107), A).is_former && ppp.is_confirmed(at(107), &former));
}
