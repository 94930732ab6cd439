//! T1 and T2: the lease's own times.

use super::*;
use MessageType::{Rebind, Renew, Solicit};

const INF: u32 = u32::MAX;

fn gaps(times: &[Duration]) -> Vec<f64> {
    times.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect()
}

/// PDC-41, PDC-45: Renew from T1 to T2, 10 s doubled up to 600 s.
#[test]
fn renew_is_repeated_from_t1_to_t2() {
    let options = vec![ia_pd(1, 1000, 9000, &[prefix(A, 20_000, 40_000)])];
    let mut world = World::bound_to(rules(), options);
    world.run(secs(8999), silence);
    let times = world.times_of(Renew);
    assert_eq!(times.len(), world.sent.len());
    assert_eq!(times[0], secs(1000));
    let gaps = gaps(&times);
    assert!((9.0..=11.0).contains(&gaps[0]), "{gaps:?}");
    assert!(gaps[..5].windows(2).all(|pair| (1.9..=2.1).contains(&(pair[1] / pair[0]))));
    assert!(gaps[7..].iter().all(|gap| (540.0..=660.0).contains(gap)), "{gaps:?}");
    assert!(world.sent.iter().all(|(_, m)| m.server_id() == Some(&server(1))));
    world.run(secs(9000), silence);
    assert_eq!(world.last().kind, Rebind, "at T2");
    world.run(secs(20_000), silence);
    assert_eq!(world.times_of(Renew), times, "no Renew behind T2");
}

/// PDC-42: Rebind from T2 until the last valid lifetime has ended, then Solicit.
#[test]
fn rebind_is_repeated_from_t2_to_the_end() {
    let options = vec![ia_pd(1, 1000, 1600, &[prefix(A, 5000, 9000)])];
    let mut world = World::bound_to(rules(), options);
    world.run(secs(8999), silence);
    let times = world.times_of(Rebind);
    assert_eq!(times[0], secs(1600));
    let gaps = gaps(&times);
    assert!((9.0..=11.0).contains(&gaps[0]), "{gaps:?}");
    assert!(gaps[7..].iter().all(|gap| (540.0..=660.0).contains(gap)), "{gaps:?}");
    assert!(world.sent_of(Rebind).iter().all(|message| message.server_id().is_none()));
    assert_eq!(world.live(), [net(A)]);
    world.sent.clear();
    world.run(secs(9001), silence);
    assert_eq!((world.live(), world.gone()), (vec![], vec![net(A)]));
    assert_eq!(world.kinds(), [Solicit]);
}

/// PDC-41: what is answered moves T1, and nothing else is sent for days.
#[test]
fn a_lease_that_is_renewed_lasts() {
    let mut world = World::bound();
    world.run(secs(100_000), |question| serve(question, gives(A)));
    assert!(world.kinds().iter().all(|kind| *kind == Renew));
    assert_eq!(world.sent.len(), 99);
    assert_eq!(world.changes(), [] as [Duration; 0]);
    assert!(world.reported.iter().all(|(_, reported)| reported.refreshed && reported.remember));
    assert_eq!(world.outcomes(), [], "no refresh of a change");
}

/// PDC-42: a Rebind's answer makes its sender the server of the next Renew.
#[test]
fn another_server_takes_over_at_t2() {
    let mut world = World::bound();
    world.run(secs(3000), |question| match question.server_id() {
        Some(other) if *other != server(2) => None,
        _ => Some(reply(2, question, gives(A))),
    });
    assert_eq!(world.times_of(Rebind), [secs(1600)]);
    assert_eq!(world.last().kind, Renew);
    assert_eq!(world.last().server_id(), Some(&server(2)));
    assert_eq!(world.live(), [net(A)]);
}

/// PDC-46: the earliest T1 and T2 of all IAs count, for one message about all of them.
#[test]
fn the_earliest_t1_and_t2_decide() {
    let options = vec![
        ia_pd(1, 1000, 1600, &[prefix(A, 2000, 4000)]),
        ia_pd(2, 500, 1700, &[prefix(B, 2000, 4000)]),
    ];
    let mut world = World::bound_to(two_ias(), options);
    world.run(secs(1600), silence);
    assert_eq!(world.times_of(Renew)[0], secs(500));
    assert_eq!(world.times_of(Rebind), [secs(1600)]);
    for (_, message) in &world.sent {
        assert_eq!(named(message), [(1, vec![net(A)]), (2, vec![net(B)])]);
    }
}

/// PDC-47, PDC-50: T1 and T2 left to us, or behind the end of the lease.
#[test]
fn times_that_the_server_leaves_open_are_chosen() {
    let cases = [
        // T1, T2, preferred, valid, first Renew (none: straight to Rebind), first Rebind
        (0, 0, 60, 120, Some(30), 48),
        (0, 0, 0, 100, Some(50), 80),
        (0, 500, 200, 300, Some(100), 160),
        (400, 500, 200, 300, Some(100), 160),
        (0, 20, 60, 120, None, 20),
        (100, 0, 200, 300, Some(100), 160),
        (INF, INF, 200, 300, Some(100), 160),
    ];
    for (t1, t2, preferred, valid, renew, rebind) in cases {
        let name = format!("{t1} {t2} {preferred} {valid}");
        let options = vec![ia_pd(1, t1, t2, &[prefix(A, preferred, valid)])];
        let mut world = World::bound_to(rules(), options);
        world.run(secs(valid.into()), silence);
        assert_eq!(world.times_of(Renew).first().copied(), renew.map(secs), "{name}");
        assert_eq!(world.times_of(Rebind)[0], secs(rebind), "{name}");
    }
}

/// PDC-47, PDC-09: a lease of a second is no storm, nor are times of a second.
#[test]
fn leases_of_a_second_cause_no_storm() {
    for (t1, t2) in [(0, 0), (1, 1), (1, 2)] {
        for (preferred, valid) in [(1, 1), (0, 1), (2, 3), (0, 4000), (2000, 4000)] {
            let options = || vec![ia_pd(1, t1, t2, &[prefix(A, preferred, valid)])];
            let mut world = World::bound_to(rules(), options());
            world.run(secs(600), |question| Some(reply(1, question, options())));
            assert!(world.sent.len() <= 130, "{t1} {valid}: {}", world.sent.len());
        }
    }
}

/// PDC-48: T1 behind T2: that IA_PD is dropped, the others are taken, and it is asked for again.
#[test]
fn t1_behind_t2_costs_one_ia() {
    let options = vec![
        ia_pd(1, 200, 100, &[prefix(A, 2000, 4000)]),
        ia_pd(2, 1000, 1600, &[prefix(B, 2000, 4000)]),
    ];
    let mut world = World::bound_to(two_ias(), options);
    assert_eq!(world.live(), [net(B)]);
    world.run(secs(1000), silence);
    let renews = world.sent_of(Renew);
    assert_eq!(renews.len(), 1);
    assert_eq!(named(renews[0]), [(1, vec![]), (2, vec![net(B)])]);
    let solicits = world.sent_of(Solicit);
    assert!(solicits.iter().all(|solicit| named(solicit) == [(1, vec![])]), "{:?}", world.kinds());
}

/// PDC-49: what is infinite needs no timer.
#[test]
fn an_infinite_lease_is_never_renewed() {
    let options = vec![ia_pd(1, INF, INF, &[prefix(A, INF, INF)])];
    let mut world = World::bound_to(rules(), options);
    assert_eq!(world.lease.deadline(), None);
    world.run(secs(10_000_000), silence);
    assert!(world.sent.is_empty());
    assert_eq!(world.live(), [net(A)]);
    assert_eq!(world.lease.prefixes()[0].valid_until, Until::Never);
}

/// PDC-49: T1 = 0 with infinite lifetimes, and the largest lifetimes that end.
#[test]
fn the_largest_lifetimes_overflow_nothing() {
    for (t1, t2, preferred, valid) in
        [(0, 0, INF, INF), (INF - 1, INF - 1, INF - 1, INF - 1), (0, 0, INF - 1, INF)]
    {
        let options = vec![ia_pd(1, t1, t2, &[prefix(A, preferred, valid)])];
        let mut world = World::bound_to(rules(), options);
        world.run(secs(1_000_000), silence);
        assert!(world.sent.is_empty());
        assert_eq!(world.live(), [net(A)]);
    }
}

/// PDC-52: what has expired is not renewed.
#[test]
fn an_expired_prefix_is_not_named() {
    let options = vec![ia_pd(1, 1000, 1600, &[prefix(A, 2000, 4000), prefix(B, 0, 500)])];
    let mut world = World::bound_to(rules(), options);
    assert_eq!(world.live(), [net(A), net(B)]);
    world.run(secs(1000), silence);
    assert_eq!(world.changes(), [secs(500)]);
    assert_eq!(world.kinds(), [Renew]);
    assert_eq!(named(world.last()), [(1, vec![net(A)])]);
}

/// PDC-52, PDC-50: what another server gave is not in the Renew, but is rebound at its T2.
#[test]
fn a_renew_omits_prefixes_of_another_server() {
    let mut world = World::bound_to(two_ias(), gives(A));
    world.lease.refresh(world.now, REBIND);
    let second = || vec![ia_pd(2, 300, 1700, &[prefix(B, 2000, 4000)])];
    world.run(secs(1), |question| Some(reply(2, question, second())));
    assert_eq!(world.live(), [net(A), net(B)]);
    world
        .run(secs(1599), |question| (question.kind == Renew).then(|| reply(2, question, second())));
    for message in world.sent_of(Renew) {
        assert_eq!(message.server_id(), Some(&server(2)));
        assert_eq!(named(message), [(1, vec![]), (2, vec![net(B)])]);
    }
    world.run(secs(1600), silence);
    assert_eq!(world.last().kind, Rebind);
    assert_eq!(named(world.last()), [(1, vec![net(A)]), (2, vec![net(B)])]);
}

/// PDC-53: an IA that is missing is asked for again.
#[test]
fn a_missing_ia_is_asked_for_in_renew_and_rebind() {
    let mut world = World::bound_to(two_ias(), gives(A));
    world.run(secs(1600), silence);
    let (renews, rebinds) = (world.sent_of(Renew), world.sent_of(Rebind));
    assert!(!renews.is_empty() && !rebinds.is_empty());
    for message in renews.into_iter().chain(rebinds) {
        assert_eq!(named(message), [(1, vec![net(A)]), (2, vec![])]);
    }
    world.run(secs(1700), |question| {
        Some(reply(1, question, vec![ia_pd(2, 1000, 1600, &[prefix(B, 2000, 4000)])]))
    });
    assert_eq!(world.live(), [net(A), net(B)]);
}

/// PDC-64: an IA that is missing in a Reply is not hurried for.
#[test]
fn an_ia_left_out_of_a_reply_waits() {
    let options = vec![
        ia_pd(1, 1000, 1600, &[prefix(A, 2000, 4000)]),
        ia_pd(2, 1000, 1600, &[prefix(B, 2000, 4000)]),
    ];
    let mut world = World::bound_to(two_ias(), options);
    world.run(secs(4000), |question| serve(question, gives(A)));
    assert!(gaps(&world.times_of(Renew)).iter().all(|gap| *gap >= 9.9), "{:?}", world.sent.len());
    assert!(world.sent.len() < 40, "{}", world.sent.len());
    assert_eq!((world.live(), world.gone()), (vec![net(A)], vec![net(B)]), "by its own lifetime");
}

/// PDC-64, PDC-65, PDC-67: a Reply without anything of use does not change the pace.
#[test]
fn a_useless_reply_changes_no_pace() {
    let unspecified = || Dhcpv6Option::Status(status(StatusCode::UnspecFail));
    let cases: [(&str, Vec<Dhcpv6Option>); 4] = [
        ("nothing", Vec::new()),
        ("UnspecFail", vec![unspecified()]),
        ("UnspecFail despite a prefix", [vec![unspecified()], gives(B)].concat()),
        ("NoPrefixAvail", vec![fails(1, StatusCode::NoPrefixAvail)]),
    ];
    let times = |options: Option<Vec<Dhcpv6Option>>| {
        let mut world = World::bound();
        world.run(secs(3999), |question| Some(reply(1, question, options.clone()?)));
        assert_eq!(world.live(), [net(A)]);
        assert_eq!(named(world.last()), [(1, vec![net(A)])]);
        (world.times_of(Renew), world.times_of(Rebind))
    };
    let undisturbed = times(None);
    for (name, options) in cases {
        assert_eq!(times(Some(options)), undisturbed, "{name}");
    }
}

/// SRV-61: once in a minute at most, and who asks waits only for a renewal that has just begun.
#[test]
fn a_lease_that_runs_short_is_renewed_for_others() {
    let options = || vec![ia_pd(1, 3000, 3300, &[prefix(A, 3500, 9000)])];
    let mut world = World::bound_to(rules(), options());
    let patience = secs(1);
    world.run(secs(1600), silence);
    assert!(!world.lease.renew_for_others(world.now, patience), "half an hour is left");
    world.run(secs(1800), silence);
    assert!(world.lease.renew_for_others(world.now, patience));
    assert!(world.lease.renew_for_others(world.now, patience), "the same renewal");
    world.run(secs(1800), silence);
    assert_eq!(world.kinds(), [Renew]);
    world.run(secs(1802), silence);
    assert!(!world.lease.renew_for_others(world.now, patience), "nobody answers");
    world.run(secs(1830), |question| serve(question, options()));
    assert!(!world.lease.is_renewing(world.now, patience));
    assert!(!world.lease.renew_for_others(world.now, patience), "it is whole");
    world.sent.clear();

    // A server that gives little is not asked for more than that each minute.
    let little = || vec![ia_pd(1, 300, 480, &[prefix(A, 600, 900)])];
    let mut world = World::bound_to(rules(), little());
    for second in 1..=125 {
        world.run(secs(second), |question| serve(question, little()));
        world.lease.renew_for_others(world.now, patience);
    }
    world.run(secs(126), |question| serve(question, little()));
    assert_eq!(world.kinds().len(), 2, "{:?}", world.sent);
    world.lease.link_down();
    assert!(!world.lease.renew_for_others(world.now + secs(200), patience));
}
