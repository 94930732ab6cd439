//! One trigger after another: which starts a refresh at once.

use super::*;

const PARENT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
const OTHER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);

const RENEW: Option<Refresh> = Some(Refresh { kind: RefreshKind::Renew, follow_up: false });
const REBIND: Option<Refresh> = Some(Refresh { kind: RefreshKind::Rebind, follow_up: false });
const FOLLOW_UP: Option<Refresh> = Some(Refresh { kind: RefreshKind::Renew, follow_up: true });

const fn advertisement(router: Ipv6Addr) -> Trigger {
    Trigger::Prefix { router, kind: RefreshKind::Renew }
}

const fn reconfigure(server: Ipv6Addr) -> Trigger {
    Trigger::Reconfigure { server, kind: RefreshKind::Renew }
}

fn millis(millis: u64) -> Instant {
    Instant::from_boot(Duration::from_millis(1_000_000 + millis))
}

/// CHG-03, CHG-05, PDC-89
#[test]
fn each_trigger_starts_its_message_at_once() {
    let cases = [
        ("on-link prefix", advertisement(PARENT), RENEW),
        (
            "no old prefix confirmed",
            Trigger::Prefix { router: PARENT, kind: RefreshKind::Rebind },
            REBIND,
        ),
        ("link", Trigger::Link, REBIND),
        ("operator", Trigger::Requested, RENEW),
        ("Reconfigure: Renew", reconfigure(PARENT), RENEW),
        (
            "Reconfigure: Rebind",
            Trigger::Reconfigure { server: PARENT, kind: RefreshKind::Rebind },
            REBIND,
        ),
    ];
    for (name, trigger, expected) in cases {
        let mut changes = Changes::new();
        assert_eq!(changes.handle_trigger(millis(0), trigger), expected, "{name}");
        assert_eq!(changes.poll(millis(0)), None, "{name}: once");
    }
}

#[test]
fn nothing_starts_without_a_trigger() {
    let mut changes = Changes::default();
    assert_eq!((changes.poll(millis(0)), changes.deadline()), (None, None));
    changes.handle_outcome(millis(0), Outcome::Unchanged, Some(PARENT));
    changes.handle_outcome(millis(0), Outcome::Fruitful, Some(PARENT));
    assert_eq!((changes.poll(millis(0)), changes.deadline()), (None, None));
}

/// What comes of `second`, which arrives while the refresh of `first` is under way.
fn during(first: Trigger, second: Trigger, outcome: Outcome) -> Option<Refresh> {
    let mut changes = Changes::new();
    assert!(changes.handle_trigger(millis(0), first).is_some());
    if second != Trigger::Link {
        assert_eq!(changes.handle_trigger(millis(1), second), None, "one at a time");
    }
    changes.handle_outcome(millis(2), outcome, Some(PARENT));
    changes.poll(millis(2))
}

/// CHG-16, PDC-89: the table of the module, row by row; `None` is one exchange.
#[test]
fn a_trigger_during_a_refresh_waits_unless_the_request_left_late_enough() {
    use Outcome::{Failed, Fruitful, Unchanged};
    let (ra, ra_other) = (advertisement(PARENT), advertisement(OTHER));
    let (re, re_other) = (reconfigure(PARENT), reconfigure(OTHER));
    let cases = [
        ("Reconfigure, its echo", re, ra, Fruitful, None),
        ("Reconfigure, its echo, nothing new", re, ra, Unchanged, None),
        ("Reconfigure twice", re, re, Fruitful, None),
        ("Reconfigure twice, nothing new", re, re, Unchanged, None),
        ("Reconfigure twice, no answer", re, re, Failed, None),
        ("Reconfigure, another router advertises", re, ra_other, Fruitful, RENEW),
        ("Reconfigure, another server", re, re_other, Fruitful, RENEW),
        ("advertisement, then Reconfigure", ra, re, Fruitful, None),
        ("advertisement, then Reconfigure, old lease", ra, re, Unchanged, RENEW),
        ("advertisement, then Reconfigure, no answer", ra, re, Failed, RENEW),
        ("advertisement, then another server", ra, re_other, Fruitful, RENEW),
        ("advertisement, then the next", ra, ra, Fruitful, RENEW),
        ("advertisement, then the next, old lease", ra, ra, Unchanged, RENEW),
        ("advertisement, then another router's", ra, ra_other, Fruitful, RENEW),
        ("link, then an advertisement", Trigger::Link, ra, Fruitful, None),
        ("operator, then Reconfigure", Trigger::Requested, re, Fruitful, None),
        ("Reconfigure, then operator", re, Trigger::Requested, Fruitful, RENEW),
    ];
    for (name, first, second, outcome, expected) in cases {
        assert_eq!(during(first, second, outcome), expected, "{name}");
    }
}

/// CHG-16: the windows after a fruitful refresh of the parent.
#[test]
fn a_fruitful_refresh_acknowledges_what_belongs_to_it() {
    let (ra, re) = (advertisement(PARENT), reconfigure(PARENT));
    let cases = [
        // name, started by, trigger, milliseconds later, expected
        ("echo at once", re, ra, 1, None),
        ("echo at its latest", re, ra, 5000, None),
        ("too late for an echo", re, ra, 5001, RENEW),
        ("another router is no echo", re, advertisement(OTHER), 1, RENEW),
        ("no echo of an advertisement", ra, ra, 1, RENEW),
        ("no echo of the operator", Trigger::Requested, ra, 1, RENEW),
        ("Reconfigure at once", ra, re, 1, None),
        ("Reconfigure at its latest", ra, re, 2000, None),
        ("too late for the Reconfigure", ra, re, 2001, RENEW),
        ("another server", ra, reconfigure(OTHER), 1, RENEW),
        ("Reconfigure again", re, re, 1, None),
        ("an operator is never wrong", re, Trigger::Requested, 1, RENEW),
        ("nor is the link", re, Trigger::Link, 1, REBIND),
    ];
    for (name, first, second, later, expected) in cases {
        let mut changes = Changes::new();
        changes.handle_trigger(millis(0), first);
        changes.handle_outcome(millis(0), Outcome::Fruitful, Some(PARENT));
        assert_eq!(changes.handle_trigger(millis(later), second), expected, "{name}");
    }
}

/// CHG-16: acknowledged is only what a changed lease of that very server can stand for.
#[test]
fn an_unknown_answerer_acknowledges_nothing() {
    for source in [None, Some(OTHER)] {
        let mut changes = Changes::new();
        changes.handle_trigger(millis(0), advertisement(PARENT));
        changes.handle_trigger(millis(1), reconfigure(PARENT));
        changes.handle_outcome(millis(2), Outcome::Fruitful, source);
        assert_eq!(changes.poll(millis(2)), RENEW);
        changes.handle_outcome(millis(3), Outcome::Fruitful, source);
        assert_eq!(changes.handle_trigger(millis(4), reconfigure(PARENT)), RENEW);
    }
}

/// CHG-04, CHG-16: the last state is always acted on.
#[test]
fn a_reconfigure_has_one_echo() {
    let fruitful = |changes: &mut Changes, at| {
        changes.handle_outcome(millis(at), Outcome::Fruitful, Some(PARENT));
    };
    let mut echo_after = Changes::new();
    echo_after.handle_trigger(millis(0), reconfigure(PARENT));
    fruitful(&mut echo_after, 1);
    assert_eq!(echo_after.handle_trigger(millis(2), advertisement(PARENT)), None);
    assert_eq!(echo_after.handle_trigger(millis(900), advertisement(PARENT)), RENEW);

    let mut echo_during = Changes::new();
    echo_during.handle_trigger(millis(0), reconfigure(PARENT));
    assert_eq!(echo_during.handle_trigger(millis(1), advertisement(PARENT)), None);
    fruitful(&mut echo_during, 2);
    assert_eq!(echo_during.handle_trigger(millis(900), advertisement(PARENT)), RENEW);

    let mut echo_before = Changes::new();
    echo_before.handle_trigger(millis(0), advertisement(PARENT));
    echo_before.handle_outcome(millis(1), Outcome::Unchanged, Some(PARENT));
    assert_eq!(echo_before.handle_trigger(millis(2), reconfigure(PARENT)), RENEW);
    fruitful(&mut echo_before, 3);
    assert_eq!(echo_before.handle_trigger(millis(900), advertisement(PARENT)), RENEW);
}

/// CHG-16: what follows the echo while the refresh is still under way.
#[test]
fn a_second_advertisement_during_a_reconfigured_refresh_waits() {
    let mut changes = Changes::new();
    changes.handle_trigger(millis(0), reconfigure(PARENT));
    changes.handle_trigger(millis(1), advertisement(PARENT));
    changes.handle_trigger(millis(2), advertisement(PARENT));
    changes.handle_outcome(millis(3), Outcome::Fruitful, Some(PARENT));
    assert_eq!(changes.poll(millis(3)), RENEW);
}

/// CHG-16: or one advertisement too many would have every later change followed up as well, for as
/// long as changes come.
#[test]
fn what_an_earlier_change_left_to_follow_up_is_no_echo_of_the_next() {
    let mut changes = Changes::new();
    assert_eq!(changes.handle_trigger(millis(0), advertisement(PARENT)), RENEW);
    changes.handle_outcome(millis(1), Outcome::Unchanged, Some(PARENT));
    for change in 1..100 {
        let at = 3100 * change;
        assert_eq!(changes.handle_trigger(millis(at), reconfigure(PARENT)), RENEW);
        assert_eq!(changes.handle_trigger(millis(at + 1), advertisement(PARENT)), None);
        changes.handle_outcome(millis(at + 2), Outcome::Fruitful, Some(PARENT));
        assert_eq!(changes.poll(millis(at + 2)), None, "one exchange for one change");
    }
}

/// CHG-04: what cannot be forged has the larger bucket, and pays for what waits beside it.
#[test]
fn trusted_triggers_have_their_own_bucket() {
    let mut changes = Changes::new();
    let mut started = Vec::new();
    for second in 0..10 {
        for trigger in [advertisement(PARENT), Trigger::Requested] {
            if changes.handle_trigger(millis(1000 * second), trigger).is_some() {
                started.push((second, trigger == Trigger::Requested));
            }
            changes.handle_outcome(millis(1000 * second), Outcome::Unchanged, Some(PARENT));
        }
    }
    let advertised = started.iter().filter(|(_, told)| !told).count();
    let told: Vec<_> = started.iter().filter(|(_, told)| *told).map(|(at, _)| *at).collect();
    assert_eq!((advertised, told), (3, vec![0, 1, 2, 3, 4, 5, 6, 7, 8]));
}

#[test]
fn rebind_is_kept_by_all_that_merge_with_it() {
    let mut changes = Changes::new();
    changes.handle_trigger(millis(0), Trigger::Requested);
    changes
        .handle_trigger(millis(1), Trigger::Prefix { router: PARENT, kind: RefreshKind::Rebind });
    changes.handle_trigger(millis(2), advertisement(OTHER));
    changes.handle_trigger(millis(3), Trigger::Requested);
    changes.handle_outcome(millis(4), Outcome::Fruitful, Some(PARENT));
    assert_eq!(changes.poll(millis(4)), REBIND);
    changes.handle_outcome(millis(5), Outcome::Unchanged, Some(PARENT));
    assert_eq!(changes.poll(millis(5)), None, "all of them in one");
    let again = Some(Refresh { kind: RefreshKind::Rebind, follow_up: true });
    assert_eq!(changes.poll(millis(1005)), again, "a follow-up asks as its change did");
}

/// CHG-05: an exchange that the old link has swallowed holds nothing up.
#[test]
fn a_link_event_does_not_wait_for_an_outcome() {
    let mut changes = Changes::new();
    changes.handle_trigger(millis(0), reconfigure(PARENT));
    assert_eq!(changes.handle_trigger(millis(10), Trigger::Link), REBIND);
    assert_eq!(changes.handle_trigger(millis(11), advertisement(PARENT)), None);
    changes.handle_outcome(millis(12), Outcome::Fruitful, Some(PARENT));
    assert_eq!(changes.poll(millis(5000)), None, "one exchange for the link and its routers");
}

/// CHG-15, CHG-16: what routers say first on a link that came up is followed up only if the
/// link's own refresh brought nothing.
#[test]
fn first_words_during_the_link_s_refresh_are_followed_up() {
    let rebind = Some(Refresh { kind: RefreshKind::Rebind, follow_up: true });
    let cases = [(Outcome::Unchanged, rebind), (Outcome::Partial, None), (Outcome::Fruitful, None)];
    for (outcome, expected) in cases {
        let mut changes = Changes::new();
        assert_eq!(changes.handle_trigger(millis(0), Trigger::Link), REBIND);
        assert_eq!(changes.handle_trigger(millis(1), advertisement(PARENT)), None);
        assert_eq!(changes.handle_trigger(millis(2), advertisement(OTHER)), None);
        changes.handle_outcome(millis(3), outcome, Some(PARENT));
        assert_eq!(changes.poll(millis(1002)), None);
        assert_eq!(changes.poll(millis(1003)), expected);
        if expected.is_none() {
            assert_eq!(changes.deadline(), None);
            continue;
        }
        changes.handle_outcome(millis(1004), Outcome::Fruitful, Some(PARENT));
        assert_eq!(changes.deadline(), None, "one Reply stands for both");
    }
}

/// CHG-15: a start is not waited out by a change that comes behind it.
#[test]
fn a_fruitful_reply_to_a_change_stands_for_first_words_too() {
    let mut changes = Changes::new();
    changes.handle_trigger(millis(0), Trigger::Link);
    assert_eq!(changes.handle_trigger(millis(1), advertisement(PARENT)), None);
    changes.handle_outcome(millis(2), Outcome::Unchanged, Some(PARENT));
    assert!(changes.deadline().is_some(), "what was heard first is followed up");
    assert_eq!(changes.handle_trigger(millis(100), advertisement(PARENT)), RENEW);
    changes.handle_outcome(millis(101), Outcome::Fruitful, Some(PARENT));
    assert_eq!(changes.deadline(), None);
}

/// CHG-16: a router that was heard just before the link was reported to be up is answered by what
/// the link asks then.
#[test]
fn the_refresh_of_a_link_answers_advertisements_from_before_it() {
    let mut changes = Changes::new();
    assert_eq!(changes.handle_trigger(millis(0), advertisement(PARENT)), RENEW);
    assert_eq!(changes.handle_trigger(millis(1), Trigger::Link), REBIND);
    changes.handle_outcome(millis(2), Outcome::Fruitful, Some(PARENT));
    assert_eq!(changes.deadline(), None);
}

/// CHG-15, CHG-16: whichever comes first, the Reply or the router's first words, a start is one
/// exchange at once. First words behind the Reply may be about the next prefix: one more exchange.
#[test]
fn first_words_after_the_link_s_fruitful_refresh_are_followed_up() {
    let words = Trigger::FirstWords { router: PARENT };
    for outcome in [Outcome::Fruitful, Outcome::Partial] {
        for (at, trigger, expected) in
            [(5001, words, None), (5002, words, RENEW), (2, advertisement(PARENT), RENEW)]
        {
            let mut changes = Changes::new();
            changes.handle_trigger(millis(0), Trigger::Link);
            changes.handle_outcome(millis(1), outcome, Some(PARENT));
            assert_eq!(changes.deadline(), None, "nothing was heard yet");
            assert_eq!(changes.handle_trigger(millis(at), trigger), expected);
            if expected.is_none() {
                assert_eq!(changes.poll(millis(at)), FOLLOW_UP);
                changes.handle_outcome(millis(at + 1), Outcome::Unchanged, Some(PARENT));
                assert_eq!(changes.deadline(), None, "once");
            }
        }
    }
}

/// CHG-15: a first lease, or one prefix of several that went, is no sign that the server knows of
/// what was advertised.
#[test]
fn a_reply_that_replaces_nothing_is_followed_up() {
    let mut changes = Changes::new();
    assert_eq!(changes.handle_trigger(millis(0), advertisement(PARENT)), RENEW);
    changes.handle_outcome(millis(1), Outcome::Partial, Some(PARENT));
    assert_eq!(changes.poll(millis(1001)), FOLLOW_UP);
    changes.handle_outcome(millis(1002), Outcome::Partial, Some(PARENT));
    assert_eq!(changes.poll(millis(4002)), FOLLOW_UP);
    changes.handle_outcome(millis(4003), Outcome::Fruitful, Some(PARENT));
    assert_eq!(changes.deadline(), None);
}

#[test]
fn an_outcome_that_never_comes_is_a_failure() {
    let mut changes = Changes::new();
    changes.handle_trigger(millis(0), advertisement(PARENT));
    changes.handle_trigger(millis(10), Trigger::Requested);
    let deadline = Deadline::new(millis(20_000), "refresh without outcome");
    assert_eq!(changes.deadline(), Some(deadline));
    assert_eq!(changes.poll(millis(19_999)), None);
    assert_eq!(changes.poll(millis(20_000)), RENEW);
}

/// CHG-15
#[test]
fn follow_ups_count_from_the_outcome_before_them() {
    let mut changes = Changes::new();
    changes.handle_trigger(millis(0), advertisement(PARENT));
    let mut now = 2;
    for gap in [1000, 3000, 9000, 27_000] {
        changes.handle_outcome(millis(now), Outcome::Unchanged, Some(PARENT));
        assert_eq!(changes.deadline(), Some(Deadline::new(millis(now + gap), "follow-up refresh")));
        assert_eq!(changes.poll(millis(now + gap - 1)), None);
        assert_eq!(changes.poll(millis(now + gap)), FOLLOW_UP);
        now += gap + 2;
    }
    changes.handle_outcome(millis(now), Outcome::Unchanged, Some(PARENT));
    assert_eq!(changes.deadline(), None);
}

/// CHG-15: only what advertisements have shown is followed up.
#[test]
fn other_triggers_have_no_follow_ups() {
    for trigger in [Trigger::Link, Trigger::Requested, reconfigure(PARENT)] {
        let mut changes = Changes::new();
        changes.handle_trigger(millis(0), trigger);
        changes.handle_outcome(millis(1), Outcome::Unchanged, Some(PARENT));
        assert_eq!(changes.deadline(), None, "{trigger:?}");
    }
}

/// CHG-15: after a suspend, what would have been due is too late.
#[test]
fn no_follow_up_starts_after_its_window() {
    let mut changes = Changes::new();
    changes.handle_trigger(millis(0), advertisement(PARENT));
    changes.handle_outcome(millis(1), Outcome::Unchanged, Some(PARENT));
    assert_eq!(changes.poll(millis(45_001)), None);
    assert_eq!(changes.deadline(), None);
}

/// CHG-15, CHG-16: a slow parent that then reconfigures needs no follow-ups.
#[test]
fn a_fruitful_refresh_ends_the_series_whoever_started_it() {
    for trigger in [Trigger::Link, Trigger::Requested, reconfigure(PARENT)] {
        let mut changes = Changes::new();
        changes.handle_trigger(millis(0), advertisement(PARENT));
        changes.handle_outcome(millis(1), Outcome::Unchanged, Some(PARENT));
        assert!(changes.handle_trigger(millis(500), trigger).is_some());
        changes.handle_outcome(millis(501), Outcome::Fruitful, Some(PARENT));
        assert_eq!(changes.deadline(), None, "{trigger:?}");
    }
}

/// CHG-15: asked in between, and nothing new: the series goes on, its step not used up.
#[test]
fn a_refresh_in_between_postpones_the_follow_up() {
    let mut changes = Changes::new();
    changes.handle_trigger(millis(0), advertisement(PARENT));
    changes.handle_outcome(millis(1), Outcome::Unchanged, Some(PARENT));
    assert_eq!(changes.handle_trigger(millis(900), Trigger::Requested), RENEW);
    changes.handle_outcome(millis(901), Outcome::Unchanged, Some(PARENT));
    assert_eq!(changes.poll(millis(1900)), None);
    assert_eq!(changes.poll(millis(1901)), FOLLOW_UP);
}

/// CHG-16: a refresh that was not for the link stands for nothing that is heard first on it later.
#[test]
fn first_words_after_another_fruitful_refresh_start_one() {
    for trigger in [Trigger::Requested, advertisement(OTHER), reconfigure(PARENT)] {
        let mut changes = Changes::new();
        changes.handle_trigger(millis(0), trigger);
        changes.handle_outcome(millis(1), Outcome::Fruitful, Some(PARENT));
        let first_words = Trigger::FirstWords { router: PARENT };
        assert_eq!(changes.handle_trigger(millis(2), first_words), RENEW, "{trigger:?}");
    }
}
