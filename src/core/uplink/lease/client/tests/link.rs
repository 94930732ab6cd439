//! The link goes down and comes up.

use super::*;
use MessageType::{Confirm, InformationRequest, Rebind, Renew, Request, Solicit};

const ADDRESS: &str = "2001:db8::7";

/// A world that holds an address of server 1 and asks for no prefixes.
fn with_address() -> World {
    let mut world = World::new(Rules { delegate: Vec::new(), ..rules() });
    world.lease.want_address(START, true);
    world.lease.link_up(START, true);
    world.run(secs(1), |question| {
        Some(reply(1, question, vec![ia_na(1000, 1600, ADDRESS, 2000, 4000)]))
    });
    assert_eq!(world.lease.addresses().len(), 1);
    world.sent.clear();
    world.reported.clear();
    world
}

fn flap(world: &mut World) {
    world.lease.link_down();
    world.lease.link_up(world.now, true);
}

/// CHG-05, PDC-44: Rebind of what is held, not Renew, Confirm or Solicit.
#[test]
fn after_a_link_event_comes_a_rebind_at_once() {
    let mut world = World::bound();
    world.run(secs(5), silence);
    flap(&mut world);
    world.run(secs(5), silence);
    assert_eq!(world.kinds(), [Rebind]);
    assert_eq!(named(world.last()), [(1, vec![net(A)])]);
    world.run(secs(20), |question| serve(question, gives(A)));
    assert_eq!(world.outcomes(), [(millis(6001), Outcome::Unchanged)]);
    assert_eq!(world.live(), [net(A)]);
}

/// CHG-05: what another provider gives takes the place of what was held.
#[test]
fn another_link_brings_another_prefix() {
    let mut world = World::bound();
    flap(&mut world);
    world.run(secs(6), |question| match question.kind {
        Rebind => Some(reply(2, question, vec![fails(1, StatusCode::NoBinding)])),
        _ => Some(reply(2, question, gives(B))),
    });
    assert_eq!(world.kinds(), [Rebind, Request]);
    assert_eq!(world.last().server_id(), Some(&server(2)));
    assert_eq!((world.live(), world.gone()), (vec![net(B)], vec![net(A)]));
}

/// PDC-43: with a dead server the Rebinds end soon, and the prefix stays with its lifetimes.
#[test]
fn a_dead_server_costs_no_prefix() {
    let mut world = World::bound();
    let held = world.lease.prefixes();
    flap(&mut world);
    world.run(secs(900), silence);
    let rebinds = world.times_of(Rebind);
    assert_eq!(rebinds.len(), 3);
    assert!(rebinds[2] < secs(10));
    assert_eq!(world.lease.prefixes(), held);
    assert_eq!(world.times_of(Confirm), []);
    assert_eq!(world.outcomes(), [(secs(11), Outcome::Failed)]);
}

/// PDC-43: the delay of up to a second spreads those that the same event woke.
#[test]
fn the_first_rebind_is_delayed_unless_in_a_hurry() {
    let stored = World::bound().lease.stored();
    let mut times: Vec<_> = (0..50)
        .map(|seed| {
            let mut world = World::restarted(rules(), stored.clone(), seed);
            world.lease.link_up(START, false);
            world.run(secs(1), silence);
            world.times_of(Rebind)[0]
        })
        .collect();
    times.sort_unstable();
    assert!(times[0] < millis(200) && times[49] > millis(800) && times[49] <= secs(1));
}

/// §15 row 15: a provider that forgets is asked for a new lease at once.
#[test]
fn solicit_comes_first_where_it_is_configured() {
    let mut world = World::bound_to(Rules { solicit_on_reconnect: true, ..rules() }, gives(A));
    flap(&mut world);
    world.run(millis(1500), silence);
    assert_eq!(world.kinds()[..2], [Solicit, Rebind]);
    assert_eq!(world.times_of(Solicit)[0], Duration::ZERO);
    assert_eq!(world.times_of(Rebind)[0], secs(1));
    assert_eq!(named(&world.sent[0].1), [(1, vec![net(A)])]);
    world.run(secs(6), |question| Some(reply(1, question, gives(B))));
    assert_eq!((world.live(), world.gone()), (vec![net(B)], vec![net(A)]));
    world.sent.clear();
    world.lease.refresh(world.now, RENEW);
    world.run(secs(6), silence);
    assert_eq!(world.kinds(), [Renew], "only after a link event");
}

/// §15 row 15, PDC-09: that too is at most ten messages a minute to a dead server.
#[test]
fn solicit_first_is_no_flood() {
    for seed in 0..=255 {
        let stored = World::bound().lease.stored();
        let rules = Rules { solicit_on_reconnect: true, ..rules() };
        let mut world = World::restarted(rules, stored, seed);
        world.lease.link_up(START, true);
        world.run(secs(60), silence);
        assert!((8..=10).contains(&world.sent.len()), "{:?}", world.kinds());
    }
}

/// PDC-80: nothing leaves while the link is down, least of all a Release; prefixes run on.
#[test]
fn without_a_link_nothing_is_sent() {
    let mut world = World::bound();
    world.lease.link_down();
    world.run(secs(3999), silence);
    assert_eq!(world.live(), [net(A)]);
    assert_eq!(world.lease.describe(), (Some(server(1)), "bound, link down"));
    world.run(secs(4000), silence);
    assert_eq!((world.live(), world.gone()), (vec![], vec![net(A)]));
    assert_eq!(world.lease.describe(), (None, "down"));
    assert_eq!(world.changes(), [secs(2000), secs(4000)], "deprecated, expired");
    assert!(world.sent.is_empty());
    assert_eq!(world.lease.deadline(), None);
}

/// What was asked on the link as it was is not followed any more.
#[test]
fn an_answer_from_before_is_dropped() {
    let mut world = World::bound();
    world.lease.refresh(world.now, RENEW);
    world.run(Duration::ZERO, silence);
    let question = world.last().clone();
    flap(&mut world);
    world.run(Duration::ZERO, silence);
    world.receive(&reply(1, &question, gives(B)));
    assert_eq!(world.rejects, [Reject::TransactionId]);
    assert_eq!(world.live(), [net(A)]);
}

/// T1 passed while the link was down: the Rebind of the link event does its work.
#[test]
fn t1_that_passed_without_a_link_is_made_good() {
    let mut world = World::bound();
    world.lease.link_down();
    world.run(secs(1700), silence);
    world.lease.link_up(world.now, true);
    world.run(secs(1710), |question| serve(question, gives(A)));
    assert_eq!(world.kinds(), [Rebind]);
    world.run(secs(2699), silence);
    assert_eq!(world.kinds(), [Rebind]);
    world.run(secs(2702), silence);
    assert_eq!(world.kinds(), [Rebind, Renew]);
}

/// CHG-06, PDC-44: addresses alone are confirmed, by the CNF parameters.
#[test]
fn addresses_alone_are_confirmed() {
    let mut world = with_address();
    world.lease.link_down();
    world.lease.link_up(world.now, true);
    world.run(secs(1), silence);
    assert_eq!(world.kinds(), [Confirm]);
    assert_eq!(world.last().ia_pds().count(), 0);
    let asked: Vec<_> = world.last().ia_nas().flat_map(|ia| &ia.addresses).collect();
    assert_eq!(asked.len(), 1);
    assert_eq!(asked[0].address, addr(ADDRESS));
    world.run(secs(30), silence);
    let times = world.times_of(Confirm);
    assert_near(times[1], millis(1900), millis(200));
    assert!(times[times.len() - 1] < secs(11) && (4..=6).contains(&times.len()), "{times:?}");
    assert_eq!(world.lease.addresses().len(), 1, "kept without an answer");
    assert_eq!(world.outcomes(), [(secs(12), Outcome::Failed)]);
}

/// CHG-06: what a server says of the addresses is followed.
#[test]
fn the_answer_to_confirm_is_followed() {
    let cases = [
        ("on link", StatusCode::Success, true, Outcome::Unchanged),
        ("not on link", StatusCode::NotOnLink, false, Outcome::Partial),
    ];
    for (name, code, kept, expected) in cases {
        let mut world = with_address();
        flap(&mut world);
        world.run(millis(1500), |question| match question.kind {
            Confirm => Some(reply(2, question, vec![Dhcpv6Option::Status(status(code))])),
            _ => None,
        });
        assert_eq!(!world.lease.addresses().is_empty(), kept, "{name}");
        assert_eq!(world.outcomes()[0].1, expected, "{name}");
        let kinds: &[MessageType] = if kept { &[Confirm] } else { &[Confirm, Solicit] };
        assert_eq!(world.kinds(), kinds, "{name}");
    }
    let mut world = with_address();
    flap(&mut world);
    world.run(millis(1500), |question| {
        Some(reply(2, question, vec![Dhcpv6Option::Status(status(StatusCode::UnspecFail))]))
    });
    assert_eq!(world.rejects, [Reject::Useless]);
    assert_eq!(world.lease.addresses().len(), 1);
}

/// CHG-06: without leases it is information that is asked for again.
#[test]
fn without_leases_information_is_asked_for() {
    let mut world = World::new(Rules { delegate: Vec::new(), ..rules() });
    world.lease.want_information(START, true);
    for round in 0..3 {
        let start = secs(100 * round);
        world.run(start, silence);
        flap(&mut world);
        world.run(start + secs(50), |question| {
            Some(reply(1, question, vec![Dhcpv6Option::DnsServers(vec![addr("2001:db8::53")])]))
        });
        assert_eq!(world.times_of(InformationRequest).last(), Some(&start));
    }
    assert_eq!(world.kinds(), [InformationRequest; 3]);
    assert_eq!(world.lease.resolvers().0, [(addr("2001:db8::53"), Until::Never)]);
}

/// PDC-32: prefixes are asked for whatever the routers' flags say.
#[test]
fn prefixes_are_asked_for_without_flags() {
    let mut world = World::new(rules());
    world.lease.want_address(START, false);
    world.lease.want_information(START, false);
    world.lease.link_up(START, true);
    world.run(Duration::ZERO, silence);
    assert_eq!(world.kinds(), [Solicit]);
}

/// PDC-09: a link that flaps ten times a second is no flood, and its last state is acted on.
#[test]
fn a_flapping_link_is_no_flood() {
    let mut world = World::bound();
    for tenth in 0..600 {
        world.run(millis(100 * tenth), silence);
        flap(&mut world);
    }
    assert!((55..=60).contains(&world.sent.len()), "{}", world.sent.len());
    assert!(world.sent.windows(21).all(|run| run[20].0 - run[0].0 >= secs(20)));
    world.run(secs(85), |question| serve(question, gives(B)));
    assert_eq!(world.live(), [net(B)]);
}
