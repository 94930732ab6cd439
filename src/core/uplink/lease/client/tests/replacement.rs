//! One prefix takes the place of another (§15 rows 7, 8 and 18).

use super::*;

const C: &str = "2001:db8:c::/56";

fn strict() -> Rules {
    Rules { strict: true, ..rules() }
}

/// Refreshes, and server 1 answers with `options`.
fn refresh(world: &mut World, options: &[Dhcpv6Option]) {
    world.lease.refresh(world.now, RENEW);
    world.run(world.elapsed() + millis(10), |question| Some(reply(1, question, options.to_vec())));
}

/// A world with A whose refresh was answered with these prefixes for IA_PD 1.
fn replaced(rules: Rules, prefixes: &[IaPrefix]) -> World {
    let mut world = World::bound_to(rules, gives(A));
    refresh(&mut world, &[ia_pd(1, 1000, 1600, prefixes)]);
    world
}

/// §15 row 18: the old prefix is gone as its replacement comes, in one step.
#[test]
fn the_old_prefix_is_gone_at_once() {
    let world = replaced(rules(), &[prefix(B, 2000, 4000)]);
    assert_eq!((world.live(), world.gone()), (vec![net(B)], vec![net(A)]));
    assert_eq!(world.changes(), [millis(1)]);
    assert_eq!(world.outcomes(), [(millis(1), Outcome::Fruitful)]);
    let gone = world.lease.prefixes()[0];
    let replied_at = START + millis(1);
    assert_eq!(gone.gone_since, Some(replied_at));
    assert_eq!(
        (gone.preferred_until, gone.valid_until),
        (Until::At(replied_at), Until::At(replied_at))
    );
}

/// PDC-61, §15 row 18: the strict reading keeps what is not mentioned until its end.
#[test]
fn strict_rules_keep_the_old_prefix_to_its_end() {
    let mut world = replaced(strict(), &[prefix(B, 3000, 6000)]);
    assert_eq!((world.live(), world.gone()), (vec![net(A), net(B)], vec![]));
    assert_eq!(world.outcomes(), [(millis(1), Outcome::Fruitful)]);
    let old = world.lease.prefixes()[0];
    assert_eq!(old.valid_until, Until::after(START, Lifetime::Finite(4000)));
    world.run(millis(3_999_999), |question| {
        Some(reply(1, question, vec![ia_pd(1, 1000, 1600, &[prefix(B, 3000, 6000)])]))
    });
    assert_eq!(world.live(), [net(A), net(B)]);
    world.run(secs(4000), silence);
    assert_eq!((world.live(), world.gone()), (vec![net(B)], vec![net(A)]));
    assert_eq!(world.changes(), [millis(1), secs(2000), secs(4000)]);
}

/// PDC-61, §15 row 7: valid 0 beside the new prefix is followed by either reading.
#[test]
fn the_old_prefix_withdrawn_beside_the_new_is_gone_at_once() {
    for rules in [rules(), strict()] {
        for both in
            [[prefix(A, 0, 0), prefix(B, 2000, 4000)], [prefix(B, 2000, 4000), prefix(A, 0, 0)]]
        {
            let world = replaced(rules.clone(), &both);
            assert_eq!((world.live(), world.gone()), (vec![net(B)], vec![net(A)]));
            assert_eq!(world.changes(), [millis(1)]);
        }
    }
}

/// §15 rows 3 and 5: the old prefix mentioned as deprecated stays to its end.
#[test]
fn the_old_prefix_deprecated_beside_the_new_stays() {
    for rules in [rules(), strict()] {
        let mut world = replaced(rules, &[prefix(A, 0, 600), prefix(B, 2000, 4000)]);
        assert_eq!((world.live(), world.gone()), (vec![net(A), net(B)], vec![]));
        let held = world.lease.prefixes();
        assert!(held[0].preferred_until.is_over(world.now));
        assert!(!held[1].preferred_until.is_over(world.now));
        world.run(secs(601), silence);
        assert_eq!((world.live(), world.gone()), (vec![net(B)], vec![net(A)]));
    }
}

/// §15 row 8: another length of the same bits is another prefix; both at once there cannot be.
#[test]
fn another_length_takes_the_place_at_once() {
    for rules in [rules(), strict()] {
        for text in ["2001:db8:a::/60", "2001:db8:a::/48", "2001:db8:a:10::/60"] {
            let world = replaced(rules.clone(), &[prefix(text, 2000, 4000)]);
            assert_eq!((world.live(), world.gone()), (vec![net(text)], vec![net(A)]));
        }
    }
}

/// §15 row 8: of two lengths the preferred one is taken, whatever the order.
#[test]
fn of_two_lengths_the_preferred_one_is_taken() {
    let inner = "2001:db8:a::/60";
    for both in [
        [prefix(A, 0, 600), prefix(inner, 2000, 4000)],
        [prefix(inner, 2000, 4000), prefix(A, 0, 600)],
    ] {
        let world = replaced(rules(), &both);
        assert_eq!((world.live(), world.gone()), (vec![net(inner)], vec![net(A)]));
    }
}

/// §15 row 18: a prefix that is itself on its way out replaces nothing.
#[test]
fn a_deprecated_prefix_replaces_nothing() {
    let world = replaced(rules(), &[prefix(B, 0, 4000)]);
    assert_eq!((world.live(), world.gone()), (vec![net(A), net(B)], vec![]));
}

/// PDC-61: what comes beside the old prefix is added to it.
#[test]
fn a_prefix_beside_the_old_is_added() {
    let world = replaced(rules(), &[prefix(A, 2000, 4000), prefix(B, 2000, 4000)]);
    assert_eq!((world.live(), world.gone()), (vec![net(A), net(B)], vec![]));
}

/// PDC-61: with both known, a Reply that names one says nothing of the other.
#[test]
fn prefixes_that_a_reply_omits_stay_where_it_brings_no_new_ones() {
    let mut world = replaced(rules(), &[prefix(A, 2000, 4000), prefix(B, 2000, 4000)]);
    refresh(&mut world, &[ia_pd(1, 1000, 1600, &[prefix(B, 2000, 4000)])]);
    assert_eq!((world.live(), world.gone()), (vec![net(A), net(B)], vec![]));
}

/// PDC-61: a new prefix of one IA_PD does not touch another.
#[test]
fn each_ia_is_replaced_by_itself() {
    let both = vec![
        ia_pd(1, 1000, 1600, &[prefix(A, 2000, 4000)]),
        ia_pd(2, 1000, 1600, &[prefix(B, 2000, 4000)]),
    ];
    let mut world = World::bound_to(two_ias(), both);
    refresh(&mut world, &[ia_pd(1, 1000, 1600, &[prefix(C, 2000, 4000)])]);
    assert_eq!((world.live(), world.gone()), (vec![net(C), net(B)], vec![net(A)]));
}

/// PDC-72: a prefix that moves to another IA_PD is in use there and not gone.
#[test]
fn a_prefix_can_move_to_another_ia() {
    let mut world = World::bound_to(two_ias(), gives(A));
    let moved = [
        ia_pd(1, 1000, 1600, &[prefix(B, 2000, 4000)]),
        ia_pd(2, 1000, 1600, &[prefix(A, 2000, 4000)]),
    ];
    refresh(&mut world, &moved);
    assert_eq!((world.live(), world.gone()), (vec![net(B), net(A)], vec![]));
    let swapped =
        [ia_pd(1, 1000, 1600, &[prefix(B, 0, 0)]), ia_pd(2, 1000, 1600, &[prefix(B, 2000, 4000)])];
    refresh(&mut world, &swapped);
    assert_eq!((world.live(), world.gone()), (vec![net(B)], vec![net(A)]));
}

/// PDC-72: IA_PDs that exchange their prefixes do so in one step, as nothing else is given for
/// either, however many they are.
#[test]
fn prefixes_can_be_exchanged_between_ias() {
    for rules in [two_ias(), Rules { strict: true, ..two_ias() }] {
        let give = |one: &str, other: &str| {
            [
                ia_pd(1, 1000, 1600, &[prefix(one, 2000, 4000)]),
                ia_pd(2, 1000, 1600, &[prefix(other, 2000, 4000)]),
            ]
        };
        let mut world = World::bound_to(rules, give(A, B).to_vec());
        refresh(&mut world, &give(B, A));
        assert_eq!((world.live(), world.gone()), (vec![net(B), net(A)], vec![]));
        assert_eq!(world.outcomes(), [(millis(1), Outcome::Fruitful)]);
        assert_eq!(world.lease.refused(), []);
        // A part of what the other one had.
        refresh(&mut world, &give("2001:db8:a:10::/60", C));
        assert!(
            world.live().contains(&net("2001:db8:a:10::/60")) && !world.live().contains(&net(A))
        );
    }
}

/// PDC-72: a prefix is given in one IA_PD only; the other one is without, and status says so.
#[test]
fn prefixes_of_another_ia_are_refused_and_named() {
    for both in [A, "2001:db8:a:10::/60"] {
        let given = [
            ia_pd(1, 1000, 1600, &[prefix(A, 2000, 4000)]),
            ia_pd(2, 1000, 1600, &[prefix(both, 2000, 4000)]),
        ];
        let mut world = World::bound_to(two_ias(), given.to_vec());
        assert_eq!(world.live(), [net(A)]);
        assert_eq!(world.lease.refused(), [(net(both), Refusal::Overlaps(net(A)))]);
        // An answer that says nothing of the first IA_PD takes nothing from it.
        refresh(&mut world, &given[1..]);
        assert_eq!(world.live(), [net(A)]);
        assert_eq!(world.lease.refused(), [(net(both), Refusal::Overlaps(net(A)))]);
    }
}

/// PDC-62: the old prefix is mentioned, if with lifetimes that cannot be: it keeps its own.
#[test]
fn the_old_prefix_with_impossible_lifetimes_keeps_its_own() {
    let world = replaced(rules(), &[prefix(A, 5000, 4000), prefix(B, 2000, 4000)]);
    assert_eq!((world.live(), world.gone()), (vec![net(A), net(B)], vec![]));
    assert_eq!(world.lease.prefixes()[0], World::bound().lease.prefixes()[0]);
}

/// §15 row 12: A, B, A: what comes back is in use again, and leaves the list of those gone.
#[test]
fn a_prefix_that_comes_back_is_in_use_again() {
    let mut world = World::bound();
    for (text, other) in [(B, A), (A, B), (B, A)] {
        refresh(&mut world, &gives(text));
        assert_eq!((world.live(), world.gone()), (vec![net(text)], vec![net(other)]));
    }
    assert_eq!(world.changes().len(), 3);
}

/// A prefix that has ended is reported until it is forgotten.
#[test]
fn ended_prefixes_are_listed_until_forgotten() {
    let mut world = replaced(rules(), &[prefix(B, 2000, 4000)]);
    let gone_since = START + millis(1);
    world.lease.forget(START);
    assert_eq!(world.gone(), [net(A)]);
    world.lease.forget(gone_since);
    assert_eq!((world.live(), world.gone()), (vec![net(B)], vec![]));
}

/// What is kept is bounded: sixteen prefixes of an IA_PD, and thirty-two that are gone.
#[test]
fn a_flood_of_prefixes_is_bounded() {
    let text = |number: usize| format!("2001:db8:{number:x}::/48");
    let flood = |range: std::ops::Range<usize>| {
        let prefixes: Vec<_> = range.map(|number| prefix(&text(number), 2000, 4000)).collect();
        [ia_pd(1, 1000, 1600, &prefixes)]
    };
    for rules in [rules(), strict()] {
        let mut world = World::bound_to(rules, gives(A));
        for round in 1..20 {
            refresh(&mut world, &flood(100 * round..100 * round + 100));
            assert_eq!(world.live().len(), 16);
            assert!(world.live().contains(&net(&text(100 * round))));
            assert!(world.gone().len() <= 32);
        }
        assert_eq!(world.gone().len(), 32);
        assert!(world.gone().contains(&net(&text(1800))), "the ones that left last");
    }
}
