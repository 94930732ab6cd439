//! What a Reply says and what of it is followed.

use super::*;
use MessageType::{Rebind, Renew, Request, Solicit};

/// A world that has asked and got `options` as the rapid Reply.
fn given(rules: Rules, options: &[Dhcpv6Option]) -> World {
    let mut world = World::new(rules);
    world.lease.link_up(START, true);
    world.run(millis(900), |question| Some(reply(1, question, options.to_vec())));
    world
}

/// A bound world whose Renew was answered with `options`.
fn renewed(rules: Rules, bound: Vec<Dhcpv6Option>, options: &[Dhcpv6Option]) -> World {
    let mut world = World::bound_to(rules, bound);
    world.lease.refresh(world.now, RENEW);
    world.run(millis(900), |question| {
        (question.kind == Renew).then(|| reply(1, question, options.to_vec()))
    });
    world
}

fn both() -> Vec<Dhcpv6Option> {
    vec![
        ia_pd(1, 1000, 1600, &[prefix(A, 2000, 4000)]),
        ia_pd(2, 1000, 1600, &[prefix(B, 2000, 4000)]),
    ]
}

fn resolvers(text: &str) -> Vec<Dhcpv6Option> {
    vec![
        Dhcpv6Option::DnsServers(vec![addr(text)]),
        Dhcpv6Option::DomainSearch(vec!["example.net".to_owned()]),
    ]
}

/// PDC-61, §15 row 7: lifetimes are taken as they come, longer and shorter; that is no change.
#[test]
fn lifetimes_are_taken_as_they_come() {
    for (preferred, valid) in [(3000, 9000), (20, 30), (2000, 4000)] {
        let options = [ia_pd(1, 0, 0, &[prefix(A, preferred, valid)])];
        let world = renewed(rules(), gives(A), &options);
        let held = world.lease.prefixes()[0];
        let replied_at = START + millis(1);
        assert_eq!(held.preferred_until, Until::after(replied_at, Lifetime::Finite(preferred)));
        assert_eq!(held.valid_until, Until::after(replied_at, Lifetime::Finite(valid)));
        assert_eq!(world.outcomes(), [(millis(1), Outcome::Unchanged)]);
        assert!(
            world.reported[0].1.refreshed
                && world.reported[0].1.remember
                && !world.reported[0].1.changed
        );
    }
}

/// §15 row 5: preferred 0 deprecates, which is a change; the prefix stays.
#[test]
fn preferred_zero_is_a_change_that_keeps_the_prefix() {
    let world = renewed(rules(), gives(A), &[ia_pd(1, 0, 0, &[prefix(A, 0, 4000)])]);
    assert_eq!(world.live(), [net(A)]);
    assert_eq!(world.outcomes(), [(millis(1), Outcome::Partial)]);
    assert!(world.lease.prefixes()[0].preferred_until.is_over(world.now));
}

/// PDC-61, §15 row 7: valid 0 withdraws at once, and what is missing then is asked for.
#[test]
fn valid_zero_withdraws_at_once() {
    let world = renewed(rules(), gives(A), &[ia_pd(1, 0, 0, &[prefix(A, 0, 0)])]);
    assert_eq!((world.live(), world.gone()), (vec![], vec![net(A)]));
    assert_eq!(world.changes(), [millis(1)]);
    assert_eq!(world.outcomes(), [(millis(1), Outcome::Partial)]);
    assert_eq!(world.kinds(), [Renew, Solicit]);
    assert_eq!(world.lease.prefixes()[0].gone_since, Some(START + millis(1)));
    assert_eq!(world.lease.stored(), None);

    let world = renewed(two_ias(), both(), &[ia_pd(1, 0, 0, &[prefix(A, 0, 0)])]);
    assert_eq!((world.live(), world.gone()), (vec![net(B)], vec![net(A)]));
    assert_eq!(world.kinds(), [Renew], "something is left");
}

/// PDC-61: what is not held cannot be withdrawn.
#[test]
fn a_withdrawal_of_something_else_is_useless() {
    let world = renewed(rules(), gives(A), &[ia_pd(1, 0, 0, &[prefix(B, 0, 0)])]);
    assert_eq!((world.live(), world.gone()), (vec![net(A)], vec![]));
    assert_eq!(world.rejects, [Reject::Useless]);
}

/// PDC-62: preferred above valid costs that prefix only.
#[test]
fn a_prefix_with_preferred_above_valid_is_dropped_alone() {
    let options = [ia_pd(1, 0, 0, &[prefix(A, 5000, 4000), prefix(B, 2000, 4000)])];
    assert_eq!(given(rules(), &options).live(), [net(B)]);
    let infinite = [ia_pd(1, 0, 0, &[prefix(A, u32::MAX, 4000)])];
    assert_eq!(given(rules(), &infinite).rejects, [Reject::Useless]);
    let options = [ia_pd(1, 0, 0, &[prefix(A, 5000, 4000)])];
    let world = renewed(rules(), gives(A), &options);
    assert_eq!(world.lease.prefixes(), World::bound().lease.prefixes(), "as if not there");
}

/// PDC-63: NoBinding for one IA or for the message: Request of all from that server, and what is
/// held stays in use.
#[test]
fn no_binding_leads_to_a_request_for_all() {
    let cases: [(&str, Vec<Dhcpv6Option>); 4] = [
        ("both IAs", vec![fails(1, StatusCode::NoBinding), fails(2, StatusCode::NoBinding)]),
        ("one IA, silent about the other", vec![fails(2, StatusCode::NoBinding)]),
        ("one IA, renews the other", [gives(A), vec![fails(2, StatusCode::NoBinding)]].concat()),
        ("the message", vec![Dhcpv6Option::Status(status(StatusCode::NoBinding))]),
    ];
    for (name, options) in cases {
        let world = renewed(two_ias(), both(), &options);
        assert_eq!(world.kinds_once(), [Renew, Request], "{name}");
        assert_eq!(world.last().server_id(), Some(&server(1)), "{name}");
        assert_eq!(named(world.last()), [(1, vec![net(A)]), (2, vec![net(B)])], "{name}");
        assert_eq!(world.live(), [net(A), net(B)], "{name}");
        assert_eq!(world.outcomes(), [], "{name}");
    }
}

/// PDC-63, PDC-09: a server that knows nothing even after the Request is not asked in a loop.
#[test]
fn no_binding_for_ever_is_no_loop() {
    let mut world = World::bound();
    world.run(secs(3999), |question| {
        Some(reply(1, question, vec![fails(1, StatusCode::NoBinding)]))
    });
    assert_eq!(world.live(), [net(A)]);
    assert_eq!(world.kinds()[..2], [Renew, Request]);
    assert!(world.sent.len() < 200, "{}", world.sent.len());
    let busiest = world.sent.windows(8).map(|run| run[7].0 - run[0].0).min().unwrap();
    assert!(busiest >= secs(4), "{busiest:?}");
}

/// PDC-65, PDC-09: UnspecFail to all there is for ten minutes.
#[test]
fn unspecified_failures_are_no_loop() {
    let unspecified = || vec![Dhcpv6Option::Status(status(StatusCode::UnspecFail))];
    let mut world = World::bound();
    world.lease.refresh(world.now, RENEW);
    world.run(secs(600), |question| serve(question, unspecified()));
    assert_eq!(world.live(), [net(A)]);
    assert!(world.sent.len() <= 14, "{}", world.sent.len());

    let mut world = World::new(rules());
    world.lease.link_up(START, true);
    world.run(secs(600), |question| match question.kind {
        Solicit => Some(advertise(1, question, gives(A))),
        _ => Some(reply(1, question, unspecified())),
    });
    let in_a_minute = |from: u64| {
        let range = secs(from)..secs(from + 60);
        world.sent.iter().filter(|(at, _)| range.contains(at)).count()
    };
    assert!((0..540).all(|from| in_a_minute(from) <= 13));
}

/// PDC-67: a server without prefixes takes nothing away.
#[test]
fn no_prefix_avail_tears_nothing_down() {
    let mut world = World::bound();
    world.run(secs(3999), |question| {
        Some(reply(1, question, vec![fails(1, StatusCode::NoPrefixAvail)]))
    });
    assert_eq!(world.live(), [net(A)]);
    assert_eq!(named(world.last()), [(1, vec![net(A)])]);
    world.run(secs(4001), silence);
    assert_eq!(world.live(), []);
}

/// PDC-69, PDC-53: the status of one IA_PD says nothing of the other.
#[test]
fn an_ia_without_prefixes_does_not_spoil_the_other() {
    let options = [fails(1, StatusCode::NoPrefixAvail), both().remove(1)];
    let mut world = given(two_ias(), &options);
    assert_eq!(world.live(), [net(B)]);
    world.run(secs(1001), silence);
    assert_eq!(world.last().kind, Renew);
    assert_eq!(named(world.last()), [(1, vec![]), (2, vec![net(B)])]);
}

/// PDC-69: the status of one prefix says nothing of the others.
#[test]
fn a_prefix_with_a_failure_does_not_spoil_the_other() {
    let mut failed = prefix(A, 2000, 4000);
    failed.status = Some(status(StatusCode::UnspecFail));
    let mut succeeded = prefix(B, 2000, 4000);
    succeeded.status = Some(status(StatusCode::Success));
    let world = given(rules(), &[ia_pd(1, 0, 0, &[failed, succeeded])]);
    assert_eq!(world.live(), [net(B)]);
}

/// PDC-61: parts of an answer that come one by one are all kept.
#[test]
fn partial_answers_add_up() {
    let mut world = given(two_ias(), &both()[..1]);
    assert_eq!(world.live(), [net(A)]);
    world.lease.refresh(world.now, RENEW);
    world.run(secs(2), |question| Some(reply(1, question, both()[1..].to_vec())));
    assert_eq!(world.live(), [net(A), net(B)]);
    assert_eq!(world.outcomes().last().unwrap().1, Outcome::Partial);
}

/// PDC-68: resolvers that a later Reply leaves out are not used any more.
#[test]
fn resolvers_that_are_left_out_are_gone() {
    let dns = addr("2001:db8::53");
    let first = [gives(A), resolvers("2001:db8::53")].concat();
    let mut world = World::bound_to(rules(), first);
    let (servers, domains) = world.lease.resolvers();
    let end = Until::after(START, Lifetime::Finite(4000));
    assert_eq!(servers, [(dns, end)]);
    assert_eq!(domains, [("example.net".to_owned(), end)]);
    world.lease.refresh(world.now, RENEW);
    world.run(secs(1), |question| Some(reply(1, question, gives(A))));
    assert_eq!(world.lease.resolvers(), (vec![], vec![]));
    assert_eq!(world.live(), [net(A)], "leases are no options");
    assert!(world.reported[0].1.refreshed);
}

/// Resolvers end with the lease, and those that cannot be any are not taken.
#[test]
fn resolvers_end_with_the_lease() {
    let mut options = gives(A);
    let all = ["::", "ff02::1", "::1", "fe80::1", "2001:db8::53"].map(addr);
    options.push(Dhcpv6Option::DnsServers(all.to_vec()));
    let mut world = World::bound_to(rules(), options);
    let servers: Vec<_> = world.lease.resolvers().0.iter().map(|(server, _)| *server).collect();
    assert_eq!(servers, [addr("fe80::1"), addr("2001:db8::53")]);
    world.run(secs(4000), silence);
    assert_eq!(world.lease.resolvers(), (vec![], vec![]));
}

/// PDC-70: longer than hinted is used as it is.
#[test]
fn a_longer_prefix_than_hinted_is_taken() {
    for text in ["2001:db8:a::/48", "2001:db8:a::/62", "2001:db8:a::/64"] {
        assert_eq!(given(rules(), &gives(text)).live(), [net(text)]);
    }
}

/// PDC-71: the excluded prefix is reported and kept, and another one is a change.
#[test]
fn the_excluded_prefix_is_reported() {
    let excluding = |exclude: Option<&str>| {
        let mut prefix = prefix(A, 2000, 4000);
        prefix.exclude = exclude.map(net);
        vec![ia_pd(1, 1000, 1600, &[prefix])]
    };
    let first = Some("2001:db8:a:7::/64");
    let mut world = World::bound_to(rules(), excluding(first));
    assert_eq!(world.lease.prefixes()[0].exclude, first.map(net));
    assert_eq!(world.lease.stored().unwrap().prefixes[0].exclude, first.map(net));
    for (exclude, expected) in [
        (first, Outcome::Unchanged),
        (Some("2001:db8:a:8::/64"), Outcome::Fruitful),
        (None, Outcome::Fruitful),
    ] {
        world.lease.refresh(world.now, RENEW);
        world.run(world.elapsed() + millis(5), |question| {
            Some(reply(1, question, excluding(exclude)))
        });
        assert_eq!(world.lease.prefixes()[0].exclude, exclude.map(net));
        assert_eq!(world.outcomes().last().unwrap().1, expected, "{exclude:?}");
    }
}

/// PDC-72: what cannot be delegated is refused, alone and beside something good.
#[test]
fn prefixes_that_cannot_be_delegated_are_refused() {
    let refused = [
        "fe80::/56",
        "fe80::/10",
        "fe00::/7",
        "ff00::/8",
        "ff05::/56",
        "::/56",
        "::1/128",
        "2001:db8:a::/65",
        "2001:db8:a::1/128",
        "::/0",
        "2000::/3",
        "2001::/19",
        "64:ff9b::/64",
        "100::/64",
    ];
    for text in refused {
        let mut world = given(rules(), &gives(text));
        assert!(world.live().is_empty(), "{text}");
        assert_eq!(world.rejects, [Reject::Useless], "{text}");
        let named: Vec<_> = world.lease.refused().iter().map(|(prefix, _)| *prefix).collect();
        assert_eq!(named, [net(text)], "in status");
        assert!(world.lease.poll_refusal().is_some(), "counted");
        world.run(secs(9), |question| Some(reply(1, question, gives(B))));
        assert_eq!((world.live(), world.lease.refused()), (vec![net(B)], &[][..]), "over");
        let options = [ia_pd(1, 0, 0, &[prefix(text, 2000, 4000), prefix(B, 2000, 4000)])];
        assert_eq!(given(rules(), &options).live(), [net(B)], "{text}");
    }
}

/// PDC-72: how short a delegated prefix may be is configured; ULA and documentation are like any.
#[test]
fn the_shortest_prefix_is_configured() {
    let shortest = |shortest_prefix| Rules { shortest_prefix, ..rules() };
    for text in ["2001:d00::/24", "fd00:db8::/32", "3fff::/20"] {
        assert_eq!(given(rules(), &gives(text)).live(), [net(text)]);
        assert!(given(shortest(33), &gives(text)).live().is_empty());
    }
    assert_eq!(given(shortest(3), &gives("2000::/3")).live(), [net("2000::/3")]);
    // A restart with another bound holds by it.
    let stored = given(rules(), &gives("2001:db8::/32")).lease.stored();
    let again = Lease::new(shortest(48), stored.as_ref(), Random::new([1; 32]), START);
    assert!(again.prefixes().iter().all(|held| held.gone_since.is_some()));
}

/// PDC-72: what another source has is refused, but never taken from who held it first.
#[test]
fn prefixes_of_another_source_are_refused() {
    for elsewhere in [A, "2001:db8::/32", "2001:db8:a:10::/60"] {
        let mut world = World::new(rules());
        world.lease.set_elsewhere(vec![net(elsewhere)]);
        world.lease.link_up(START, true);
        world.run(millis(900), |question| Some(reply(1, question, gives(A))));
        assert!(world.live().is_empty(), "{elsewhere}");
        assert_eq!(world.lease.refused(), [(net(A), Refusal::Overlaps(net(elsewhere)))]);

        let mut world = World::bound();
        world.lease.set_elsewhere(vec![net(elsewhere)]);
        world.lease.refresh(world.now, RENEW);
        world.run(millis(900), |question| Some(reply(1, question, gives(A))));
        assert_eq!((world.live(), world.lease.refused()), (vec![net(A)], &[][..]));
    }
}

/// PDC-72: bits behind the length are cleared, so that the same prefix stays the same.
#[test]
fn bits_behind_the_length_are_cleared() {
    let world = renewed(rules(), gives(A), &gives("2001:db8:a:0:1::1/56"));
    assert_eq!(world.live(), [net(A)]);
    assert_eq!(world.outcomes()[0].1, Outcome::Unchanged);
    assert_eq!(given(rules(), &gives("2001:db8:a:0:1::1/56")).live(), [net(A)]);
}

/// PDC-72: of what overlaps the first is taken, in one IA_PD and across them.
#[test]
fn overlapping_prefixes_are_refused() {
    let inner = "2001:db8:a:10::/60";
    for (first, second) in [(A, inner), (inner, A), (A, A)] {
        let within = [ia_pd(1, 0, 0, &[prefix(first, 2000, 4000), prefix(second, 2000, 4000)])];
        assert_eq!(given(rules(), &within).live(), [net(first)]);
        let across = [
            ia_pd(1, 0, 0, &[prefix(first, 2000, 4000)]),
            ia_pd(2, 0, 0, &[prefix(second, 2000, 4000)]),
        ];
        assert_eq!(given(two_ias(), &across).live(), [net(first)]);
    }
}

/// An IA_PD that is not ours, or the second one of the same number, is not taken.
#[test]
fn only_our_ias_are_taken_and_each_once() {
    let options = [ia_pd(9, 0, 0, &[prefix(B, 2000, 4000)])];
    assert_eq!(given(rules(), &options).rejects, [Reject::Useless]);
    let twice = [gives(A), gives(B)].concat();
    assert_eq!(given(rules(), &twice).live(), [net(A)]);
}

/// PDC-29: a Reply sets the bounds of asking too.
#[test]
fn a_reply_sets_the_cap() {
    let options = [gives(A), vec![Dhcpv6Option::SolMaxRt(120)]].concat();
    let mut world = World::bound_to(rules(), options);
    world.lease.refresh(world.now, REBIND);
    world.run(secs(999), silence);
    let times = world.times_of(Solicit);
    let longest = times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(longest <= secs(132) && longest >= secs(108), "{longest:?}");
    assert!(world.kinds().contains(&Rebind));
}
