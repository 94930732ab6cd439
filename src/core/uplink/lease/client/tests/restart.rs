//! What survives a restart.

use super::*;
use MessageType::{Rebind, Renew, Request, Solicit};

const KEY: [u8; 16] = [0x5a; 16];

/// A world that begins with what `world` has stored.
fn restarted(world: &World, rules: Rules) -> World {
    World::restarted(rules, world.lease.stored(), 9)
}

fn both() -> Vec<Dhcpv6Option> {
    vec![ia_pd(1, 1000, 1600, &[prefix(A, 2000, 4000)]), ia_pd(2, 1000, 1600, &[prefix(B, 20, 30)])]
}

/// STO-02, §15 row 21: prefixes, server, key and replay value are held as they were.
#[test]
fn stored_prefixes_are_held_again() {
    let mut excluding = prefix(A, 2000, 4000);
    excluding.exclude = Some(net("2001:db8:a:7::/64"));
    let options = vec![ia_pd(1, 1000, 1600, &[excluding]), key_option(KEY, 5)];
    let before = World::bound_to(rules(), options);
    let stored = before.lease.stored().unwrap();
    assert_eq!(stored.server, server(1));
    assert_eq!((stored.reconfigure_key, stored.replay), (Some(KEY), Some(5)));

    let after = restarted(&before, rules());
    assert_eq!(after.lease.prefixes(), before.lease.prefixes());
    assert_eq!(after.lease.stored(), Some(stored));
    assert_eq!(after.lease.describe(), (Some(server(1)), "bound, link down"));
}

/// STO-02, PDC-43, PDC-80: nothing is sent before the link is up; then comes a Rebind.
#[test]
fn a_restart_begins_with_rebind() {
    let mut world = restarted(&World::bound(), rules());
    world.run(secs(3), silence);
    assert!(world.sent.is_empty());
    world.lease.link_up(world.now, true);
    world.run(secs(4), |question| serve(question, gives(A)));
    assert_eq!(world.kinds(), [Rebind]);
    assert_eq!(named(world.last()), [(1, vec![net(A)])]);
    assert_eq!(world.outcomes(), [(millis(3001), Outcome::Unchanged)]);
    assert_eq!(world.changes(), [] as [Duration; 0]);
    world.run(secs(1003), |question| serve(question, gives(A)));
    assert_eq!(world.kinds(), [Rebind]);
    world.run(secs(1004), |question| serve(question, gives(A)));
    assert_eq!(world.kinds(), [Rebind, Renew], "T1 is that of the Reply");
}

/// §15 row 21: a server that is silent after the restart takes nothing away before its end.
#[test]
fn silence_after_a_restart_costs_nothing() {
    let mut world = restarted(&World::bound(), rules());
    world.lease.link_up(world.now, true);
    world.run(secs(3999), silence);
    assert_eq!(world.live(), [net(A)]);
    assert!(world.times_of(Renew)[0] > secs(11), "half of what was left");
    assert!(world.times_of(Renew)[0] <= secs(1001));
    assert!(world.times_of(Rebind).iter().any(|at| *at >= secs(1600)));
    world.run(secs(4000), silence);
    assert_eq!((world.live(), world.gone()), (vec![], vec![net(A)]));
}

/// §15 rows 18 and 21: the lease changed while the machine was off.
#[test]
fn a_change_during_the_restart_is_followed() {
    let mut world = restarted(&World::bound(), rules());
    world.lease.link_up(world.now, true);
    world.run(secs(2), |question| match question.kind {
        Rebind => Some(reply(1, question, vec![fails(1, StatusCode::NoBinding)])),
        _ => Some(reply(1, question, gives(B))),
    });
    assert_eq!(world.kinds(), [Rebind, Request]);
    assert_eq!((world.live(), world.gone()), (vec![net(B)], vec![net(A)]));
}

/// STO-02: what has run out meanwhile is gone, and is not asked for.
#[test]
fn an_expired_prefix_is_gone() {
    let before = World::bound_to(two_ias(), both());
    let stored = before.lease.stored();
    let later = START + secs(100);
    let lease = Lease::new(two_ias(), stored.as_ref(), Random::new([1; 32]), later);
    let mut world = World::new(two_ias());
    (world.lease, world.now) = (lease, later);
    assert_eq!((world.live(), world.gone()), (vec![net(A)], vec![net(B)]));
    assert_eq!(world.lease.prefixes()[1].gone_since, Some(later));
    world.lease.link_up(later, true);
    world.run(secs(100), silence);
    assert_eq!(world.kinds(), [Rebind]);
    assert_eq!(named(world.last()), [(1, vec![net(A)]), (2, vec![])]);
}

/// STO-02: a lease that has run out as a whole is a first start.
#[test]
fn an_expired_lease_is_discovered_anew() {
    let later = START + secs(4000);
    let stored = World::bound().lease.stored();
    let mut world = World::new(rules());
    world.lease = Lease::new(rules(), stored.as_ref(), Random::new([1; 32]), later);
    world.now = later;
    assert_eq!((world.live(), world.gone()), (vec![], vec![net(A)]));
    assert_eq!(world.lease.describe(), (None, "down"));
    world.lease.link_up(later, true);
    world.run(secs(4000), silence);
    assert_eq!(world.kinds(), [Solicit]);
    assert_eq!(named(world.last()), [(1, vec![net("::/56")])]);
}

/// A prefix of an IA_PD that is not configured any more is gone, so that it is withdrawn.
#[test]
fn an_ia_that_is_not_configured_is_gone() {
    let before = World::bound_to(two_ias(), both());
    let mut world = restarted(&before, rules());
    assert_eq!((world.live(), world.gone()), (vec![net(A)], vec![net(B)]));
    let gone = world.lease.prefixes()[1];
    assert_eq!((gone.gone_since, gone.valid_until), (Some(START), Until::At(START)));
    assert_eq!(world.lease.stored().unwrap().prefixes.len(), 1);
    world.lease.link_up(START, true);
    world.run(secs(5), silence);
    assert!(world.sent.iter().all(|(_, message)| named(message) == [(1, vec![net(A)])]));
}

/// PDC-53: an IA_PD that is configured since is asked for beside.
#[test]
fn an_ia_that_is_new_is_asked_for() {
    let mut world = restarted(&World::bound(), two_ias());
    world.lease.link_up(START, true);
    world.run(Duration::ZERO, silence);
    assert_eq!(world.kinds(), [Rebind]);
    assert_eq!(named(world.last()), [(1, vec![net(A)]), (2, vec![])]);
}

/// PDC-85: with Reconfigure configured off the key is not kept.
#[test]
fn a_key_that_is_not_wanted_is_dropped() {
    let before = World::bound_to(rules(), [gives(A), vec![key_option(KEY, 5)]].concat());
    let world = restarted(&before, Rules { reconfigure: false, ..rules() });
    let stored = world.lease.stored().unwrap();
    assert_eq!((stored.reconfigure_key, stored.replay), (None, None));
}

/// PDC-49: an infinite lease is verified all the same.
#[test]
fn an_infinite_lease_is_verified() {
    let forever = vec![ia_pd(1, u32::MAX, u32::MAX, &[prefix(A, u32::MAX, u32::MAX)])];
    let mut world = restarted(&World::bound_to(rules(), forever), rules());
    assert_eq!(world.lease.prefixes()[0].valid_until, Until::Never);
    world.lease.link_up(START, true);
    world.run(Duration::ZERO, silence);
    assert_eq!(world.kinds(), [Rebind]);
}

/// STO-11: what is remembered is written when it changes and not otherwise.
#[test]
fn changes_are_stored_and_nothing_else() {
    let mut world = World::new(rules());
    world.lease.link_up(START, true);
    let mut stored = None;
    for second in 0..4000 {
        world.reported.clear();
        if second == 500 {
            world.lease.refresh(world.now, RENEW);
        }
        world.run(secs(second), |question| match second {
            0..1200 => Some(reply(1, question, gives(if second < 500 { A } else { B }))),
            _ => None,
        });
        let remembers = world.reported.iter().any(|(_, reported)| reported.remember);
        assert_eq!(remembers, world.lease.stored() != stored, "after {second} s");
        stored = world.lease.stored();
    }
    assert_eq!(stored.map(|stored| stored.prefixes.len()), Some(1));
    world.run(secs(6000), silence);
    assert_eq!(world.lease.stored(), None);
    assert!(world.reported.iter().any(|(_, reported)| reported.remember));
}
