//! What is asked for and not given while something else is held.

use super::*;
use MessageType::{Advertise, Rebind, Renew, Reply, Request, Solicit};
use StatusCode::{NoAddrsAvail, NoBinding, NoPrefixAvail, UnspecFail};

const ADDRESS: &str = "2001:db8::7";

fn address() -> Dhcpv6Option {
    ia_na(1000, 1600, ADDRESS, 2000, 4000)
}

fn no_address() -> Dhcpv6Option {
    let Dhcpv6Option::IaNa(ia_na) = address() else { unreachable!() };
    Dhcpv6Option::IaNa(IaNa { addresses: Vec::new(), status: Some(status(NoAddrsAvail)), ..ia_na })
}

fn second(text: &str) -> Dhcpv6Option {
    ia_pd(2, 1000, 1600, &[prefix(text, 2000, 4000)])
}

/// What a server gives first, and what it has later; each with what is held then.
struct Case {
    name: &'static str,
    rules: Rules,
    first: Vec<Dhcpv6Option>,
    later: Vec<Dhcpv6Option>,
}

/// All the ways to give a part of what is asked for.
fn parts() -> Vec<Case> {
    let refused = |ia: Dhcpv6Option, given: Vec<Dhcpv6Option>| [vec![ia], given].concat();
    let case = |name, rules, first, later| Case { name, rules, first, later };
    let with_address = || [vec![address()], gives(A)].concat();
    let two = || [vec![second(B)], gives(A)].concat();
    vec![
        case(
            "address alone",
            rules(),
            refused(fails(1, NoPrefixAvail), vec![address()]),
            with_address(),
        ),
        case(
            "address, UnspecFail",
            rules(),
            refused(fails(1, UnspecFail), vec![address()]),
            with_address(),
        ),
        case("address, nothing said", rules(), vec![address()], with_address()),
        case("address, empty IA_PD", rules(), vec![address(), ia_pd(1, 0, 0, &[])], with_address()),
        case("prefix alone", rules(), refused(no_address(), gives(A)), with_address()),
        case("one of two", two_ias(), refused(fails(2, NoPrefixAvail), gives(A)), two()),
        case(
            "the other of two",
            two_ias(),
            refused(fails(1, NoPrefixAvail), vec![second(B)]),
            two(),
        ),
        case("one of two left out", two_ias(), gives(A), two()),
        case("one of two not acceptable", two_ias(), refused(second("2000::/3"), gives(A)), two()),
    ]
}

fn asks_address(case: &Case) -> bool {
    case.later.iter().any(|option| matches!(option, Dhcpv6Option::IaNa(_)))
}

fn held(world: &World) -> (Vec<Ipv6Net>, usize) {
    (world.live(), world.lease.addresses().len())
}

/// PDC-96: what is missing is asked for within seconds, and had when the server has it, while what
/// is held stays as it is.
#[test]
fn missing_prefixes_are_requested_again_soon() {
    for case in parts() {
        for rapid in [true, false] {
            let name = case.name;
            let rules = Rules { rapid_commit: rapid, ..case.rules.clone() };
            let mut world = World::new(rules);
            world.lease.want_address(START, asks_address(&case));
            world.lease.link_up(START, true);
            let serve = |question: &Message, options: &[Dhcpv6Option]| {
                let kind = if question.kind == Solicit
                    && !question.options.contains(&Dhcpv6Option::RapidCommit)
                {
                    Advertise
                } else {
                    Reply
                };
                Some(answer(kind, 1, question, options.to_vec()))
            };
            world.run(millis(2500), |question| serve(question, &case.first));
            let before = held(&world);
            assert_eq!(before.0.len() + before.1, 1, "{name}: a part is held");
            let first_at = world.changes()[0];
            let asked = world.times_of(Solicit).into_iter().find(|at| *at > first_at);
            assert!(asked.is_some_and(|at| at - first_at <= millis(1300)), "{name}: {asked:?}");
            world.run(secs(30), |question| serve(question, &case.first));
            assert_eq!(held(&world), before, "{name}");
            let sent = world.sent.len();
            assert!(sent <= 14, "{name}: {sent}");
            world.run(secs(70), |question| serve(question, &case.later));
            let after = held(&world);
            assert_eq!(after.0.len() + after.1, 2, "{name}: all is held");
            let sent = world.sent.len();
            world.run(secs(900), |question| serve(question, &case.later));
            assert_eq!(world.sent.len(), sent, "{name}: quiet when nothing is missing");
        }
    }
}

/// PDC-96: its questions are about what is missing alone, so no server takes them for more.
#[test]
fn held_prefixes_are_not_requested_as_missing() {
    let mut world = World::new(two_ias());
    world.lease.link_up(START, true);
    world.run(secs(5), |question| serve(question, gives(A)));
    let solicits = world.sent_of(Solicit);
    assert_eq!(named(solicits[0]), [(1, vec![]), (2, vec![])]);
    assert!(solicits.len() > 1);
    assert!(solicits[1..].iter().all(|solicit| named(solicit) == [(2, vec![])]));
    assert!(solicits[1..].iter().all(|s| !s.options.contains(&Dhcpv6Option::RapidCommit)));
    // Another server has it: what the first gave stays its own.
    world.run(secs(20), |question| match question.kind {
        Solicit => Some(advertise(2, question, vec![second(B), address()])),
        _ => Some(reply(2, question, vec![second(B)])),
    });
    assert_eq!(world.live(), [net(A), net(B)]);
    assert_eq!(named(world.last()), [(2, vec![net(B)])]);
}

/// PDC-96, PDC-09: a server that never gives it is asked ever more rarely, also where it offers and
/// then refuses, and T1 and T2 keep their times.
#[test]
fn a_prefix_that_is_never_granted_causes_no_storm() {
    for case in parts() {
        for offers in [false, true] {
            let mut world = World::new(case.rules.clone());
            world.lease.want_address(START, asks_address(&case));
            world.lease.link_up(START, true);
            let mut first = true;
            world.run(secs(3999), |question| match question.kind {
                Solicit if offers && !std::mem::take(&mut first) => {
                    Some(advertise(1, question, case.later.clone()))
                }
                Solicit => Some(advertise(1, question, case.first.clone())),
                _ => Some(reply(1, question, case.first.clone())),
            });
            let name = case.name;
            let sent = world.sent.len();
            assert!(sent <= if offers { 160 } else { 40 }, "{name}, {offers}: {sent}");
            if !offers {
                assert_eq!(world.times_of(Renew).len(), 3, "{name}");
                assert_eq!(world.times_of(Rebind).len(), 0, "{name}");
            }
        }
    }
}

/// PDC-96: the same where a renewal confirms one and refuses the other, takes one back, or one
/// runs out: the one that is held stays, and a new one is asked for beside.
#[test]
fn a_renewal_in_part_is_followed_by_a_question() {
    let bound = [vec![second(B)], gives(A)].concat();
    let withdraws = ia_pd(2, 0, 0, &[prefix(B, 0, 0)]);
    let cases = [
        ("refused", vec![fails(2, NoPrefixAvail)], vec![net(A), net(B)]),
        ("withdrawn", vec![withdraws], vec![net(A)]),
        ("left out", vec![], vec![net(A), net(B)]),
    ];
    for (name, rest, held) in cases {
        let mut world = World::bound_to(two_ias(), bound.clone());
        let renew = |question: &Message| match question.kind {
            Renew => Some(reply(1, question, [gives(A), rest.clone()].concat())),
            Solicit => Some(advertise(1, question, vec![fails(2, NoPrefixAvail)])),
            _ => panic!("{name}: {question:?}"),
        };
        world.run(secs(1060), renew);
        assert_eq!(world.live(), held, "{name}");
        let times = world.times_of(Solicit);
        assert!(times[0] - world.times_of(Renew)[0] <= millis(1300), "{name}: {times:?}");
        assert!(times.len() <= 7, "{name}: {times:?}");
        let new = "2001:db8:c::/56";
        world.run(secs(1200), |question| serve(question, vec![second(new)]));
        assert_eq!(world.live(), [net(A), net(new)], "{name}");
    }
    // One of two runs out, whose server says nothing more about it.
    let short = ia_pd(2, 0, 0, &[prefix(B, 50, 50)]);
    let mut world = World::bound_to(two_ias(), [vec![short], gives(A)].concat());
    world.run(secs(54), |question| (question.kind == Solicit).then(|| reply(9, question, vec![])));
    assert_eq!(world.live(), [net(A)]);
    assert_eq!(world.times_of(Solicit).len(), 2, "{:?}", world.kinds());
}

/// PDC-96, PDC-47: prefixes of a second beside one that lasts are no storm.
#[test]
fn short_prefixes_beside_a_long_one_are_no_storm() {
    let options = || vec![ia_pd(2, 0, 0, &[prefix(B, 1, 1)]), gives(A).remove(0)];
    let mut world = World::new(two_ias());
    world.lease.link_up(START, true);
    world.run(secs(100), |question| serve(question, options()));
    assert!(world.sent.len() <= 40, "{}: {:?}", world.sent.len(), world.kinds());
}

/// PDC-96: a router that says something new brings the question forward, as for a first lease.
#[test]
fn news_of_a_router_bring_the_question_forward() {
    let mut world = World::new(two_ias());
    world.lease.link_up(START, true);
    world.run(secs(100), |question| serve(question, gives(A)));
    assert!(world.lease.asks_in_vain());
    let sent = world.sent.len();
    assert!(world.lease.ask_soon(world.now));
    world.run(secs(101), |question| serve(question, vec![second(B)]));
    assert_eq!(world.live(), [net(A), net(B)]);
    assert_eq!(world.sent.len(), sent + 2);
    assert!(!world.lease.asks_in_vain());
}

/// PDC-96, PDC-63: a server that binds nothing new in Renew says NoBinding of what is missing: one
/// Request, and the pace of the questions stays.
#[test]
fn no_binding_of_what_is_missing_is_no_loop() {
    let mut world = World::bound_to(two_ias(), gives(A));
    world.run(secs(3999), |question| {
        Some(match question.kind {
            Renew | Rebind => reply(1, question, [gives(A), vec![fails(2, NoBinding)]].concat()),
            Solicit => advertise(1, question, vec![fails(2, NoPrefixAvail)]),
            _ => reply(1, question, [gives(A), vec![fails(2, NoPrefixAvail)]].concat()),
        })
    });
    assert_eq!(world.live(), [net(A)]);
    assert!(world.sent.len() <= 40, "{}", world.sent.len());
}

/// UPL-05: an address is asked for again when the rest after Decline is over, also beside a prefix.
#[test]
fn an_address_is_asked_for_again_after_the_rest() {
    let mut world = World::new(rules());
    world.lease.want_address(START, true);
    world.lease.link_up(START, true);
    let with_address = || [vec![address()], gives(A)].concat();
    world.run(secs(5), |question| serve(question, with_address()));
    world.lease.decline(world.now, addr(ADDRESS));
    world.sent.clear();
    world.run(secs(604), |question| serve(question, with_address()));
    assert_eq!(world.kinds(), [MessageType::Decline]);
    world.run(secs(608), |question| serve(question, with_address()));
    assert_eq!(world.kinds()[1..], [Solicit, Request]);
    assert_eq!(world.lease.addresses().len(), 1);
}

/// PDC-97: what servers do not give is known with the code and words of the last, since when, and
/// when it is asked for again; until a prefix comes.
#[test]
fn refusals_of_servers_are_known() {
    let says = |code, text: &str| Status { code, text: text.to_owned() };
    let in_ia = |status| {
        let Dhcpv6Option::IaPd(ia) = fails(1, NoPrefixAvail) else { unreachable!() };
        vec![Dhcpv6Option::IaPd(IaPd { status: Some(status), ..ia })]
    };
    let top = |status| vec![Dhcpv6Option::Status(status)];
    let cases = [
        (in_ia(says(NoPrefixAvail, "pool empty")), "NoPrefixAvail (6), \"pool empty\""),
        (in_ia(says(StatusCode::Other(99), "")), "status 99"),
        (top(says(UnspecFail, "sorry")), "UnspecFail (1), \"sorry\""),
        (vec![ia_pd(1, 0, 0, &[])], "no reason given"),
        (vec![address()], "no reason given"),
    ];
    for (options, expected) in cases {
        for kind in [Advertise, Reply] {
            let mut world = World::new(rules());
            world.lease.want_address(START, true);
            world.lease.link_up(START, true);
            world.run(secs(20), |question| Some(answer(kind, 1, question, options.clone())));
            let known = world.lease.unavailable();
            assert_eq!(known.len(), 1, "{expected}");
            assert_eq!(known[0].to_string(), expected);
            assert!(known[0].since.since(START) <= millis(10), "{expected}");
            assert!(world.lease.asked_again_at().is_some_and(|at| at > world.now), "{expected}");
            world.run(secs(60), |question| serve(question, gives(A)));
            assert_eq!(world.lease.unavailable(), [], "{expected}");
        }
    }
}

/// PDC-97: an offer is no prefix yet, a renewal that is refused counts, and so does one IA_PD
/// of two.
#[test]
fn a_refusal_is_known_until_a_prefix_comes() {
    let mut world = World::new(two_ias());
    world.lease.link_up(START, true);
    world.run(secs(10), |question| match question.kind {
        Solicit => Some(advertise(1, question, [gives(A), vec![second(B)]].concat())),
        _ => Some(reply(1, question, vec![fails(1, NoPrefixAvail), second(B)])),
    });
    let unfilled: Vec<u32> = world.lease.unavailable().iter().map(|one| one.iaid.0).collect();
    assert_eq!(unfilled, [1]);
    let mut world = World::bound();
    world.run(secs(1005), |question| Some(reply(1, question, vec![fails(1, NoPrefixAvail)])));
    assert_eq!((world.live(), world.lease.unavailable().len()), (vec![net(A)], 1));
    world.lease.link_down();
    assert_eq!(world.lease.unavailable(), [], "nobody says anything any more");
}

/// PDC-96: a server that gives an address beside what another one delegated does not get that to
/// renew.
#[test]
fn a_server_that_gives_an_address_alone_is_not_asked_for_the_prefix() {
    let mut world = World::new(rules());
    world.lease.want_address(START, true);
    world.lease.link_up(START, true);
    world.run(secs(30), |question| {
        let kind = if question.kind == Solicit { Advertise } else { Reply };
        Some(match question.ia_pds().next() {
            Some(_) => answer(kind, 1, question, [vec![no_address()], gives(A)].concat()),
            None => answer(kind, 2, question, vec![address()]),
        })
    });
    assert_eq!(held(&world), (vec![net(A)], 1));
    world.sent.clear();
    world.run(secs(1003), silence);
    let renew = world.sent_of(Renew)[0];
    assert_eq!((renew.server_id(), renew.ia_pds().count()), (Some(&server(1)), 1));
}

/// PDC-96: once it was given after all, the next loss is asked about as soon as the first.
#[test]
fn refusals_of_an_earlier_time_are_forgotten() {
    let mut world = World::new(two_ias());
    world.lease.link_up(START, true);
    let is_first = |question: &Message| question.ia_pds().any(|ia| ia.iaid == Iaid(1));
    world.run(secs(200), |question| match question.kind {
        _ if is_first(question) => serve(question, gives(A)),
        Solicit => Some(advertise(1, question, vec![second(B)])),
        _ => Some(reply(1, question, vec![fails(2, NoPrefixAvail)])),
    });
    assert!(world.times_of(Request).len() > 5, "{:?}", world.kinds());
    world.run(secs(400), |question| serve(question, vec![second(B)]));
    assert_eq!(world.live(), [net(A), net(B)]);
    world.sent.clear();
    let withdraws = || ia_pd(2, 0, 0, &[prefix(B, 0, 0)]);
    world.run(secs(1100), |question| match question.kind {
        Renew => Some(reply(1, question, [gives(A), vec![withdraws()]].concat())),
        _ => None,
    });
    assert_eq!(world.live(), [net(A)]);
    let (lost, asked) = (world.times_of(Renew)[0], world.times_of(Solicit)[0]);
    assert!(asked - lost <= millis(1300), "{:?}", asked - lost);
}
