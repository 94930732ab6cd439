//! Addresses: the IA_NA beside the IA_PDs.

use super::*;
use MessageType::{Decline, Renew, Request, Solicit};

const ADDRESS: &str = "2001:db8::7";

fn address() -> Dhcpv6Option {
    ia_na(1000, 1600, ADDRESS, 2000, 4000)
}

fn with_prefix() -> Vec<Dhcpv6Option> {
    [vec![address()], gives(A)].concat()
}

/// A world with a prefix and an address of server 1.
fn bound_with_address() -> World {
    let mut world = World::bound();
    world.lease.want_address(world.now, true);
    world.run(secs(1), |question| serve(question, with_prefix()));
    assert_eq!(addresses(&world), [addr(ADDRESS)]);
    world.sent.clear();
    world.reported.clear();
    world
}

fn addresses(world: &World) -> Vec<Ipv6Addr> {
    world.lease.addresses().iter().map(|leased| leased.address).collect()
}

fn asked(message: &Message) -> Vec<Ipv6Addr> {
    message.ia_nas().flat_map(|ia| &ia.addresses).map(|address| address.address).collect()
}

/// UPL-15, PDC-08: with the M flag one exchange brings prefix and address.
#[test]
fn the_m_flag_asks_for_an_address_beside() {
    let mut world = World::new(rules());
    world.lease.want_address(START, true);
    world.lease.link_up(START, true);
    world.run(secs(3), |question| serve(question, with_prefix()));
    assert_eq!(world.kinds(), [Solicit, Request]);
    assert_eq!(asked(world.last()), [addr(ADDRESS)]);
    let leased = world.lease.addresses()[0];
    let bound_at = world.changes()[0];
    assert_eq!(leased.valid_until, Until::At(START + bound_at + secs(4000)));
    assert_eq!(world.live(), [net(A)]);
}

/// UPL-15: the flag may come after the lease.
#[test]
fn the_m_flag_behind_the_lease_renews_at_once() {
    let mut world = World::bound();
    world.run(secs(5), silence);
    world.lease.want_address(world.now, true);
    world.run(secs(6), |question| serve(question, with_prefix()));
    assert_eq!(world.kinds(), [Renew]);
    assert_eq!(world.last().ia_nas().count(), 1);
    assert_eq!(addresses(&world), [addr(ADDRESS)]);
    assert_eq!(world.changes(), [millis(5001)]);
    assert_eq!(world.outcomes(), [], "no refresh of a change");
}

/// UPL-15: and even after the first Solicit, whose answer would come without an address.
#[test]
fn the_m_flag_behind_the_solicit_asks_anew() {
    let mut world = World::new(rules());
    world.lease.link_up(START, true);
    world.run(millis(300), silence);
    world.lease.want_address(world.now, true);
    world.run(secs(3), |question| serve(question, with_prefix()));
    assert_eq!(world.sent[0].1.ia_nas().count(), 0);
    assert_eq!(world.sent[1].1.kind, Solicit);
    assert_eq!(world.sent[1].1.ia_nas().count(), 1);
    assert_eq!(addresses(&world), [addr(ADDRESS)]);
}

/// UPL-15, §15 row 24: a flag that goes to and fro is no flood, and no lease stops for it.
#[test]
fn a_flapping_m_flag_is_no_flood() {
    let mut world = World::bound();
    for tenth in 0..600 {
        world.run(millis(100 * tenth), |question| serve(question, gives(A)));
        world.lease.want_address(world.now, tenth % 2 == 0);
    }
    assert!(world.sent.len() <= 3, "{:?}", world.kinds());

    let mut world = bound_with_address();
    world.lease.want_address(world.now, false);
    world.run(secs(3999), silence);
    assert_eq!(addresses(&world), [addr(ADDRESS)]);
    assert!(world.kinds().contains(&Renew));
    assert!(world.sent.iter().all(|(_, message)| asked(message) == [addr(ADDRESS)]), "and renewed");
}

/// An address that nobody wanted is not taken.
#[test]
fn an_address_that_is_not_wanted_is_not_taken() {
    let mut world = World::bound_to(rules(), with_prefix());
    assert!(addresses(&world).is_empty());
    world.lease.want_address(world.now, true);
    world.run(secs(2), |question| {
        let mut other = ia_na(0, 0, ADDRESS, 2000, 4000);
        if let Dhcpv6Option::IaNa(ia_na) = &mut other {
            ia_na.iaid = Iaid(2);
        }
        Some(reply(1, question, [vec![other], gives(A)].concat()))
    });
    assert!(addresses(&world).is_empty(), "another IA_NA");
}

/// PDC-62, PDC-72: an address that cannot be one is refused, and the prefix taken.
#[test]
fn addresses_that_no_node_can_have_are_refused() {
    let cases = [
        ("::", 2000, 4000),
        ("::1", 2000, 4000),
        ("fe80::1", 2000, 4000),
        ("ff02::1", 2000, 4000),
        (ADDRESS, 5000, 4000),
        (ADDRESS, 0, 0),
    ];
    for (text, preferred, valid) in cases {
        let mut world = World::new(rules());
        world.lease.want_address(START, true);
        world.lease.link_up(START, true);
        let options = [vec![ia_na(0, 0, text, preferred, valid)], gives(A)].concat();
        world.run(millis(500), |question| Some(reply(1, question, options.clone())));
        assert_eq!((addresses(&world), world.live()), (vec![], vec![net(A)]), "{text}");
    }
}

/// PDC-61: an address is withdrawn by valid 0 and replaced by another, as a prefix is.
#[test]
fn addresses_are_withdrawn_and_replaced() {
    let other = "2001:db8::8";
    let cases = [
        ("withdrawn", vec![ia_na(0, 0, ADDRESS, 0, 0)], vec![]),
        ("replaced", vec![ia_na(0, 0, other, 100, 200)], vec![addr(other)]),
        ("not mentioned", vec![], vec![addr(ADDRESS)]),
    ];
    for (name, options, expected) in cases {
        let mut world = bound_with_address();
        world.lease.refresh(world.now, RENEW);
        let options = [options, gives(A)].concat();
        world.run(secs(2), |question| Some(reply(1, question, options.clone())));
        assert_eq!(addresses(&world), expected, "{name}");
        assert_eq!(world.live(), [net(A)], "{name}");
        assert_eq!(world.changes().len(), usize::from(name != "not mentioned"), "{name}");
    }
}

/// UPL-08, UPL-09: deprecation and end of an address are reported when they come.
#[test]
fn an_address_ends_by_its_lifetimes() {
    let mut world = World::bound_to(
        rules(),
        vec![ia_pd(1, u32::MAX, u32::MAX, &[prefix(A, u32::MAX, u32::MAX)])],
    );
    world.lease.want_address(world.now, true);
    world.run(secs(1), |question| Some(reply(1, question, vec![ia_na(0, 0, ADDRESS, 100, 200)])));
    world.reported.clear();
    world.run(secs(500), silence);
    assert_eq!(world.changes(), [millis(100_001), millis(200_001)]);
    assert!(addresses(&world).is_empty());
    assert_eq!(world.live(), [net(A)]);
}

/// UPL-05, PDC-84: Decline names the address alone, to who gave it; four times, and then no more.
#[test]
fn an_address_in_use_elsewhere_is_declined() {
    let mut world = bound_with_address();
    let start = world.elapsed();
    world.lease.decline(world.now, addr(ADDRESS));
    assert!(addresses(&world).is_empty(), "out of use at once");
    world.run(secs(100), silence);
    assert_eq!(world.kinds(), [Decline; 4]);
    for (_, message) in &world.sent {
        assert_eq!(asked(message), [addr(ADDRESS)]);
        assert_eq!(message.ia_pds().count(), 0);
        assert_eq!(message.server_id(), Some(&server(1)));
    }
    let times = world.times_of(Decline);
    assert_eq!(times[0], start);
    assert_near(times[1] - times[0], millis(900), millis(200));
    assert_near(times[3] - times[2], millis(3249), millis(1602));
    assert_eq!(world.live(), [net(A)], "prefixes are none of its business");
}

/// PDC-84: any Reply ends it, and the lease is not settled by it.
#[test]
fn any_reply_ends_the_decline() {
    for code in [StatusCode::Success, StatusCode::NoBinding, StatusCode::UnspecFail] {
        let mut world = bound_with_address();
        world.lease.decline(world.now, addr(ADDRESS));
        world.run(secs(100), |question| {
            Some(reply(1, question, vec![Dhcpv6Option::Status(status(code))]))
        });
        assert_eq!(world.kinds(), [Decline]);
        assert_eq!((world.live(), addresses(&world)), (vec![net(A)], vec![]));
    }
}

/// UPL-05: after a Decline no address is asked for in ten minutes, then again in the next Renew.
#[test]
fn after_a_decline_addresses_rest() {
    let mut world = bound_with_address();
    world.lease.decline(world.now, addr(ADDRESS));
    world.lease.refresh(world.now, RENEW);
    world.run(secs(2), |question| serve(question, gives(A)));
    assert_eq!(world.sent_of(Renew)[0].ia_nas().count(), 0);
    world.run(secs(590), silence);
    world.lease.refresh(world.now, RENEW);
    world.run(secs(591), |question| serve(question, gives(A)));
    assert_eq!(world.sent_of(Renew)[1].ia_nas().count(), 0);
    world.run(secs(602), silence);
    world.lease.refresh(world.now, RENEW);
    world.run(secs(603), |question| serve(question, with_prefix()));
    assert_eq!(world.sent_of(Renew)[2].ia_nas().count(), 1);
    assert!(asked(world.last()).is_empty());
}

/// UPL-05: where nothing but an address is wanted, discovery rests for those ten minutes.
#[test]
fn after_a_decline_discovery_rests() {
    let mut world = World::new(Rules { delegate: Vec::new(), ..rules() });
    world.lease.want_address(START, true);
    world.lease.link_up(START, true);
    world.run(secs(1), |question| Some(reply(1, question, vec![address()])));
    assert_eq!(world.kinds(), [Solicit]);
    assert_eq!(world.last().ia_pds().count(), 0);
    world.sent.clear();
    world.lease.decline(world.now, addr(ADDRESS));
    world.run(secs(600), |question| Some(reply(1, question, vec![address()])));
    assert_eq!(world.kinds(), [Decline]);
    world.run(secs(603), |question| Some(reply(1, question, vec![address()])));
    assert_eq!(world.kinds(), [Decline, Solicit]);
    assert_eq!(addresses(&world), [addr(ADDRESS)]);
}

/// UPL-05: that rest ends by itself where a message comes in just when it is over.
#[test]
fn a_message_at_the_end_of_the_rest_keeps_nobody_from_asking() {
    let mut world = World::new(Rules { delegate: Vec::new(), ..rules() });
    world.lease.want_address(START, true);
    world.lease.link_up(START, true);
    world.run(secs(1), |question| Some(reply(1, question, vec![address()])));
    world.lease.decline(world.now, addr(ADDRESS));
    world.run(secs(590), silence);
    world.lease.want_information(world.now, true);
    world.run(secs(591), silence);
    assert_eq!(world.last().kind, MessageType::InformationRequest);
    let answer = reply(1, world.last(), Vec::new());
    world.now = START + secs(602);
    world.receive(&answer);
    assert_eq!(world.rejects, []);
    let next = world.lease.deadline().map(|next| next.at);
    assert!(next.is_some_and(|at| at <= world.now), "{next:?}");
    world.run(secs(603), |question| Some(reply(1, question, vec![address()])));
    assert_eq!(addresses(&world), [addr(ADDRESS)]);
}

/// What is not held cannot be declined.
#[test]
fn only_what_is_held_is_declined() {
    let mut world = bound_with_address();
    world.lease.decline(world.now, addr("2001:db8::99"));
    world.run(secs(10), silence);
    assert!(world.sent.is_empty());
    assert_eq!(addresses(&world), [addr(ADDRESS)]);
}
