//! What is refused: statuses at each level, and what follows a Request that brings nothing.

use super::*;
use MessageType::{Rebind, Renew, Request, Solicit};
use StatusCode::{NoAddrsAvail, NoBinding, NoPrefixAvail, NotOnLink, Other, Success, UnspecFail};

/// An address and a prefix, with these statuses of the message, the IA_PD and the prefix.
fn judged(top: StatusCode, ia: StatusCode, lease: StatusCode) -> Vec<Dhcpv6Option> {
    let lease = IaPrefix { status: Some(status(lease)), ..prefix(A, 2000, 4000) };
    vec![
        Dhcpv6Option::Status(status(top)),
        ia_na(1000, 1600, "2001:db8::7", 2000, 4000),
        Dhcpv6Option::IaPd(IaPd {
            iaid: Iaid(1),
            t1: Lifetime::Finite(1000),
            t2: Lifetime::Finite(1600),
            prefixes: vec![lease],
            status: Some(status(ia)),
        }),
    ]
}

/// PDC-30, PDC-69: one rule for Advertise and Reply: a failure of the message is about all of it,
/// or about addresses or prefixes alone where its code says so; that of an association voids its
/// leases, that of a lease itself.
#[test]
fn a_status_counts_at_each_level() {
    let cases = [
        // message, IA_PD, prefix: is the prefix used, is the address
        (Success, Success, Success, true, true),
        (NoAddrsAvail, Success, Success, true, false),
        (NotOnLink, Success, Success, true, false),
        (NoPrefixAvail, Success, Success, false, true),
        (UnspecFail, Success, Success, false, false),
        (Other(99), Success, Success, false, false),
        (Other(5), Success, Success, true, true),
        (Success, NoPrefixAvail, Success, false, true),
        (Success, NoAddrsAvail, Success, false, true),
        (Success, NoBinding, Success, false, true),
        (Success, UnspecFail, Success, false, true),
        (Success, Other(99), Success, false, true),
        (Success, Success, NoPrefixAvail, false, true),
        (Success, Success, UnspecFail, false, true),
        (NoAddrsAvail, NoPrefixAvail, Success, false, false),
    ];
    for (top, ia, lease, has_prefix, has_address) in cases {
        for kind in [MessageType::Reply, MessageType::Advertise] {
            let mut world = World::new(rules());
            world.lease.want_address(START, true);
            world.lease.link_up(START, true);
            world.run(millis(1500), |question| {
                (question.kind == Solicit)
                    .then(|| answer(kind, 1, question, judged(top, ia, lease)))
            });
            let (used, addresses) = if kind == MessageType::Reply {
                (world.live(), world.lease.addresses().len())
            } else {
                let request = world.sent_of(Request).first().map(|m| (*m).clone());
                let used = request.iter().flat_map(named).flat_map(|(_, prefixes)| prefixes);
                let addresses = request.iter().flat_map(Message::ia_nas);
                let addresses = addresses.map(|ia| ia.addresses.len()).sum();
                (used.filter(|prefix| *prefix == net(A)).collect(), addresses)
            };
            let expected: &[Ipv6Net] = if has_prefix { &[net(A)] } else { &[] };
            let case = format!("{kind:?}: {top:?}, {ia:?}, {lease:?}");
            assert_eq!(used, expected, "{case}");
            assert_eq!(addresses > 0, has_address, "{case}");
        }
    }
}

/// PDC-67, PDC-61: what a server takes back with a failure beside is taken back.
#[test]
fn a_withdrawal_beside_a_failure_is_followed() {
    let mut world = World::bound();
    world.lease.refresh(world.now, RENEW);
    world.run(millis(900), |question| {
        let Dhcpv6Option::IaPd(failed) = fails(1, NoPrefixAvail) else { unreachable!() };
        let ia = IaPd { prefixes: vec![prefix(A, 0, 0)], ..failed };
        (question.kind == Renew).then(|| reply(1, question, vec![Dhcpv6Option::IaPd(ia)]))
    });
    assert!(world.live().is_empty());
}

/// All the ways not to give what was requested.
fn refusals() -> Vec<(&'static str, Vec<Dhcpv6Option>)> {
    let top = |code| vec![Dhcpv6Option::Status(status(code))];
    vec![
        ("NoPrefixAvail", vec![fails(1, NoPrefixAvail)]),
        ("NoAddrsAvail", vec![fails(1, NoAddrsAvail)]),
        ("NotOnLink", vec![fails(1, NotOnLink)]),
        ("UnspecFail", vec![fails(1, UnspecFail)]),
        ("NoBinding", vec![fails(1, NoBinding)]),
        ("unknown", vec![fails(1, Other(99))]),
        ("UnspecFail of the message", top(UnspecFail)),
        ("NoPrefixAvail of the message", top(NoPrefixAvail)),
        ("NoBinding of the message", top(NoBinding)),
        ("unknown of the message", [top(Other(99)), gives(A)].concat()),
        ("IA missing", Vec::new()),
        ("IA of another", vec![ia_pd(9, 0, 0, &[prefix(A, 2000, 4000)])]),
        ("nothing in it", vec![ia_pd(1, 0, 0, &[])]),
        ("nothing acceptable", gives("2000::/3")),
    ]
}

/// PDC-93: whatever the refusal of a Request says, discovery begins anew within seconds, and a
/// server that goes on refusing is asked ever more rarely.
#[test]
fn a_refused_request_begins_discovery_anew() {
    for (name, options) in refusals() {
        let mut world = World::new(rules());
        world.lease.link_up(START, true);
        world.run(secs(600), |question| match question.kind {
            Solicit => Some(advertise(1, question, gives(A))),
            _ => Some(reply(1, question, options.clone())),
        });
        let requests = world.times_of(Request);
        let anew = world.times_of(Solicit).into_iter().find(|at| *at > requests[0]).unwrap();
        assert!(anew - requests[0] <= millis(1200), "{name}: {:?}", anew - requests[0]);
        assert!(world.sent.len() <= 60, "{name}: {}", world.sent.len());
        let again = requests.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(again <= secs(75), "{name}: {again:?}");
        // A server that has something is found by the next Solicit.
        world.run(secs(680), |question| serve(question, gives(B)));
        assert_eq!(world.live(), [net(B)], "{name}");
    }
}

/// PDC-93, PDC-67: the same at T1, where a server that lost its state refuses what is held: that
/// stays in use, and another prefix is asked for beside, without naming it.
#[test]
fn a_refusal_after_no_binding_begins_discovery_anew() {
    for (name, options) in refusals() {
        let mut world = World::bound();
        let forgets = |question: &Message| {
            Some(match question.kind {
                Renew | Rebind => reply(1, question, vec![fails(1, NoBinding)]),
                Request if named(question)[0].1 == [net(A)] => reply(1, question, options.clone()),
                Solicit => advertise(1, question, gives(B)),
                _ => reply(1, question, gives(B)),
            })
        };
        world.run(millis(1_000_500), forgets);
        assert_eq!(world.live(), [net(A)], "{name}");
        world.run(secs(1004), forgets);
        assert_eq!(world.live(), [net(B)], "{name}");
        assert_eq!(world.kinds(), [Renew, Request, Solicit, Request], "{name}");
        assert_eq!(named(world.sent_of(Solicit)[0]), [(1, vec![net("::/56")])], "{name}");
    }
}

/// PDC-93, PDC-09: a server that refuses for ever, at T1 and in discovery, is no loop.
#[test]
fn refusals_for_ever_are_no_loop() {
    for (name, options) in refusals() {
        let mut world = World::bound();
        world.run(secs(3999), |question| {
            Some(match question.kind {
                Renew | Rebind => reply(1, question, vec![fails(1, NoBinding)]),
                Solicit => advertise(1, question, gives(B)),
                _ => reply(1, question, options.clone()),
            })
        });
        assert_eq!(world.live(), [net(A)], "{name}");
        assert!(world.sent.len() <= 250, "{name}: {}", world.sent.len());
    }
}

/// PDC-94: a server that offers nothing beside a prefix that it does not have is asked without
/// naming that; one that has it still hears it named.
#[test]
fn a_solicit_in_vain_leaves_the_old_prefix_out() {
    let mut world = World::bound();
    world.lease.refresh(world.now, RENEW);
    let strict = |question: &Message| {
        let names = named(question).iter().any(|(_, prefixes)| prefixes.contains(&net(A)));
        match question.kind {
            Solicit if names => Some(advertise(1, question, vec![fails(1, NoPrefixAvail)])),
            Solicit => Some(advertise(1, question, gives(B))),
            Request => Some(reply(1, question, gives(B))),
            _ => None,
        }
    };
    world.run(secs(10), strict);
    assert_eq!(world.live(), [net(B)]);
    let mut world = World::bound();
    world.lease.refresh(world.now, RENEW);
    world.run(secs(300), silence);
    let hints = |message: &&Message| named(message)[0].1 == [net(A)];
    let solicits = world.sent_of(Solicit);
    let named: Vec<bool> = solicits.iter().map(hints).collect();
    assert_eq!(named[..6], [true, true, false, true, false, true]);
}

/// Whatever servers say that leaves the lease empty has a name: none has answered, or one refuses,
/// or what it gives is refused here.
#[test]
fn nothing_that_leaves_the_lease_empty_is_without_a_name() {
    let give = |options: &[Dhcpv6Option]| [gives(A), options.to_vec()].concat();
    let failed = |code| give(&[Dhcpv6Option::Status(status(code))]);
    let offer = |question: &Message| advertise(1, question, gives(A));
    type Answer<'a> = Box<dyn Fn(&Message) -> Option<Message> + 'a>;
    let requested = |options: Vec<Dhcpv6Option>| -> Answer<'_> {
        Box::new(move |question| match question.kind {
            Solicit => Some(offer(question)),
            _ => Some(reply(1, question, options.clone())),
        })
    };
    let mut worlds: Vec<Answer<'_>> = vec![
        Box::new(silence),
        // A Reply that is not to be had without Rapid Commit.
        Box::new(|question| {
            let mut slow = reply(1, question, gives(A));
            slow.options.retain(|option| *option != Dhcpv6Option::RapidCommit);
            (question.kind == Solicit).then_some(slow)
        }),
        Box::new(|question| (question.kind == Solicit).then(|| offer(question))),
        // Of another exchange.
        Box::new(|question| {
            let mut other = advertise(1, question, gives(A));
            other.transaction_id.0[0] ^= 1;
            Some(other)
        }),
        Box::new(|question| Some(advertise(1, question, gives("fe80::/56")))),
        requested(Vec::new()),
        requested(gives("fe80::/56")),
        requested(vec![ia_pd(9, 1000, 1600, &[prefix(A, 2000, 4000)])]),
        requested(vec![ia_pd(1, 1000, 900, &[prefix(A, 2000, 4000)])]),
        requested(failed(UnspecFail)),
        requested(failed(NoPrefixAvail)),
    ];
    for code in [UnspecFail, NoBinding, NoPrefixAvail, Other(99)] {
        let failed = failed(code);
        worlds.push(Box::new(move |question| Some(advertise(1, question, failed.clone()))));
    }
    for (number, answer) in worlds.into_iter().enumerate() {
        let mut world = World::new(rules());
        world.lease.link_up(START, true);
        for second in 10..30 {
            world.run(secs(second), &answer);
            let Lease { held, .. } = &world.lease;
            assert!(held.is_empty(), "{number}");
            let is_named = world.lease.unanswered_since().is_some()
                || !world.lease.unavailable().is_empty()
                || !world.lease.refused().is_empty();
            assert!(is_named, "{number} after {second} s");
        }
    }
}
