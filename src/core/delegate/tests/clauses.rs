//! What answers say.

use MessageType::*;

use super::*;
use crate::wire::dhcpv6_option::{IaNa, Status};

const ONE: &str = "2001:db8:a00:10::/60";

fn address(iaid: u32) -> Dhcpv6Option {
    let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
    Dhcpv6Option::IaNa(IaNa { iaid: Iaid(iaid), t1, t2, addresses: Vec::new(), status: None })
}

fn address_status(answer: &Message) -> Option<StatusCode> {
    answer.ia_nas().next()?.status.as_ref().map(|status| status.code)
}

/// SRV-22, SRV-24, SRV-25
#[test]
fn an_advertise_offers_the_prefix_that_a_request_gets() {
    let mut world = World::new(SITE, A);
    let both = [ia(1, &[]), ia(2, &[])];
    let offer = world.hear(1, Solicit, &both).unwrap();
    assert_eq!(offer.kind, Advertise);
    assert!(world.delegating.bindings().is_empty(), "an offer binds nothing");
    let given = world.hear(1, Request, &both).unwrap();
    assert_eq!((given.kind, given.has_rapid_commit()), (Reply, false));
    for iaid in [1, 2] {
        assert_eq!(prefixes_of(&offer, iaid), prefixes_of(&given, iaid));
    }
    assert_eq!(prefixes_of(&given, 2).unwrap()[0].0, net("2001:db8:a00:20::/60"));
    assert_eq!(world.routes(), [ONE, "2001:db8:a00:20::/60"]);
    world.check();
}

/// SRV-22: IA_PDs of one Solicit are not offered one place, nor more places than they can have.
#[test]
fn several_ia_pds_get_the_prefixes_that_they_were_offered() {
    for config in [POOL, &SITE.replace("iaid = 1", "").replace("iaid = 2", "")] {
        let mut world = World::new(config, A);
        let all: Vec<_> = (1..=5).map(|iaid| ia(iaid, &[])).collect();
        let offer = world.hear(1, Solicit, &all).unwrap();
        let given = world.hear(1, Request, &all).unwrap();
        let mut prefixes = BTreeSet::new();
        let mut count = 0;
        for iaid in 1..=5 {
            assert_eq!(prefixes_of(&offer, iaid), prefixes_of(&given, iaid), "IA_PD {iaid}");
            let delegated = prefixes_of(&given, iaid).unwrap_or_default();
            count += delegated.len();
            prefixes.extend(delegated.into_iter().map(|prefix| prefix.0));
        }
        assert_eq!((prefixes.len(), count), if config == POOL { (3, 3) } else { (2, 2) });
        world.check();
    }
}

/// SRV-24
#[test]
fn a_rapid_solicit_is_committed_where_that_is_configured() {
    let rapid = [Dhcpv6Option::RapidCommit, ia(1, &[])];
    let mut world = World::new(SITE, A);
    let answer = world.hear(1, Solicit, &rapid).unwrap();
    assert_eq!((answer.kind, answer.has_rapid_commit()), (Reply, true));
    assert!(world.memory.bindings.contains_key(&key(1, 1)), "kept before it leaves");
    // A stranger gets nothing, and another server its chance.
    let answer = world.hear(7, Solicit, &rapid).unwrap();
    assert_eq!((answer.kind, answer.has_rapid_commit()), (Advertise, false));
    assert_eq!(prefixes_of(&answer, 1), Err(StatusCode::NoPrefixAvail));

    let mut world = World::new(
        &SITE.replace("subnet = \"0x0/64\"", "subnet = \"0x0/64\"\nrapid-commit = false"),
        A,
    );
    let answer = world.hear(1, Solicit, &rapid).unwrap();
    assert_eq!((answer.kind, answer.has_rapid_commit()), (Advertise, false));
    assert!(world.delegating.bindings().is_empty());
}

/// SRV-26: the same prefix with lifetimes as they are then.
#[test]
fn a_repeated_request_is_answered_afresh() {
    let mut world = World::new(SITE, A);
    world.delegate("up", &[(A, 1000, 2000)]);
    assert_eq!(world.ask(1, Request, &[]).unwrap(), ["2001:db8:a00:10::/60 1000 2000"]);
    world.run_for(secs(5));
    assert_eq!(world.ask(1, Request, &[]).unwrap(), ["2001:db8:a00:10::/60 995 1995"]);
    world.delegate("up", &[(A, 1000, 2000)]);
    assert_eq!(world.ask(1, Request, &[ONE]).unwrap(), ["2001:db8:a00:10::/60 1000 2000"]);
    assert_eq!(world.delegating.bindings().len(), 1);
}

/// SRV-37: never longer than our own, at any moment.
#[test]
fn lifetimes_end_with_our_own() {
    let mut world = World::new(SITE, A);
    let cases = [
        // preferred, valid of ours; given
        (100_000, 200_000, (2700, 5400)),
        (1000, 200_000, (1000, 5400)),
        (1000, 1500, (1000, 1500)),
        (0, 1500, (0, 1500)),
        (2, 2, (2, 2)),
    ];
    for (preferred, valid, given) in cases {
        world.delegate("up", &[(A, preferred, valid)]);
        let answer = world.hear(1, Renew, &[ia(1, &[ONE])]).unwrap();
        assert_eq!(prefixes_of(&answer, 1).unwrap(), [(net(ONE), given.0, given.1)]);
    }
    world.run_for(secs(3));
    assert_eq!(world.ask(1, Renew, &[ONE]).unwrap(), ["2001:db8:a00:10::/60 0 0"]);
}

/// SRV-27, SRV-29: a prefix on its way out sets no pace, unless it is all there is.
#[test]
fn t1_and_t2_are_shares_of_the_shortest_preferred_lifetime() {
    let times = |world: &mut World| {
        let answer = world.hear(1, Request, &[ia(1, &[]), ia(2, &[])]).unwrap();
        let times: BTreeSet<_> = answer.ia_pds().map(|ia| (ia.t1, ia.t2)).collect();
        assert_eq!(times.len(), 1, "the same in all: {times:?}");
        let (t1, t2) = times.into_iter().next().unwrap();
        (t1.to_wire(), t2.to_wire())
    };
    let mut world = World::new(SITE, A);
    assert_eq!(times(&mut world), (840, 2160), "half an hour and a minute are left then");
    world.delegate("up", &[(A, 0, 60), (B, 86_400, 86_400)]);
    assert_eq!(times(&mut world), (840, 2160));
    world.delegate("up", &[(A, 1859, 3000), (B, 86_400, 86_400)]);
    assert_eq!(times(&mut world), (929, 1487), "too little is left to keep half an hour of it");
    world.delegate("up", &[(A, 1000, 3000), (B, 86_400, 86_400)]);
    assert_eq!(times(&mut world), (500, 800));
    world.delegate("up", &[(A, 0, 60)]);
    assert_eq!(times(&mut world), (30, 48));
    // Our own lease limits: just after it is renewed, where that is not too late.
    world.delegate("up", &[(A, 2250, 4000)]);
    for (own, expected) in [(450, 451..=453), (1300, 1301..=1303), (2000, 390..=390), (1, 30..=30)]
    {
        world.renewed_at = Some(world.now + secs(own));
        world.settle();
        let (t1, t2) = times(&mut world);
        assert!(expected.contains(&t1), "{own}: {t1}");
        assert_eq!(t2, 1800);
    }
    world.delegate("up", &[(A, 86_400, 86_400)]);
    assert_eq!(times(&mut world), (840, 2160), "it does not limit");
}

/// SRV-41
#[test]
fn global_prefixes_come_before_unique_local_ones() {
    let mut world = World::new(&format!("[static.ula]\nprefix = \"fd00:1::/48\"\n{SITE}"), A);
    world.delegate("ula", &[("fd00:1::/48", 86_400, 86_400)]);
    let given = world.ask(1, Request, &[]).unwrap();
    assert!(given[0].starts_with("2001:db8:a00:10::/60"), "{given:?}");
    assert!(given[1].starts_with("fd00:1:0:10::/60"), "{given:?}");
}

/// SRV-38, SRV-35
#[test]
fn without_a_delegation_there_is_none_to_be_had_and_it_is_asked_again_soon() {
    let mut world = World::new(SITE, A);
    world.delegate("up", &[]);
    let asked = Dhcpv6Option::OptionRequest(vec![code::SOL_MAX_RT]);
    let answer = world.hear(1, Solicit, &[ia(1, &[]), asked]).unwrap();
    assert_eq!(prefixes_of(&answer, 1), Err(StatusCode::NoPrefixAvail));
    assert_eq!(answer.sol_max_rt(), Some(60));
    let answer = world.hear(1, Solicit, &[ia(1, &[])]).unwrap();
    assert_eq!(answer.sol_max_rt(), None, "who does not ask is not told");
    assert!(world.ask(1, Request, &[]).is_err());
    assert!(world.delegating.bindings().is_empty());
}

#[test]
fn addresses_are_left_to_advertisements() {
    let mut world = World::new(SITE, A);
    let answer = world.hear(9, Solicit, &[address(1)]).unwrap();
    assert_eq!((answer.kind, address_status(&answer)), (Advertise, Some(StatusCode::NoAddrsAvail)));
    let answer = world.hear(9, Solicit, &[address(1), Dhcpv6Option::RapidCommit]).unwrap();
    assert_eq!((answer.kind, answer.has_rapid_commit()), (Advertise, false));
    let answer = world.hear(1, Request, &[address(1), ia(1, &[])]).unwrap();
    assert_eq!(address_status(&answer), Some(StatusCode::NoAddrsAvail));
    assert!(prefixes_of(&answer, 1).is_ok());
    for kind in [Renew, Release, Decline] {
        let answer = world.hear(1, kind, &[address(1)]).unwrap();
        assert_eq!((answer.kind, address_status(&answer)), (Reply, Some(StatusCode::NoBinding)));
    }
    assert_eq!(world.hear(9, Rebind, &[address(1)]), Err(Reject::Silent));
}

/// SRV-30, SRV-31
#[test]
fn without_a_binding_a_renewal_makes_one_where_that_is_safe() {
    let cases = [
        // who, message, configured, the answer
        (1, Renew, SITE, Some(Ok(vec!["2001:db8:a00:10::/60 2700 5400".to_owned()]))),
        (1, Rebind, SITE, Some(Ok(vec!["2001:db8:a00:10::/60 2700 5400".to_owned()]))),
        (7, Renew, SITE, Some(Err(StatusCode::NoBinding))),
        (7, Rebind, SITE, None),
    ];
    for (number, kind, config, expected) in cases {
        let mut world = World::new(config, A);
        let answer = world.hear(number, kind, &[ia(1, &[ONE])]).ok();
        let text = |(prefix, p, v): (Ipv6Net, u32, u32)| format!("{prefix} {p} {v}");
        let prefixes = answer.map(|answer| {
            prefixes_of(&answer, 1)
                .map(|prefixes| prefixes.into_iter().map(text).collect::<Vec<_>>())
        });
        assert_eq!(prefixes, expected, "{number} {kind:?}");
        world.check();
    }
    let mut world =
        World::new(&SITE.replace("[downlink.lan0]", "[downlink.lan0]\nrapid-commit = false"), A);
    assert_eq!(world.hear(1, Rebind, &[ia(1, &[ONE])]), Err(Reject::Silent));
    assert_eq!(world.ask(1, Renew, &[ONE]).unwrap(), ["2001:db8:a00:10::/60 2700 5400"]);
}

/// RFC 9915 §18.3.5: what is not known stands beside what is, or it would be asked for for ever.
#[test]
fn a_rebind_is_answered_for_every_ia_pd_or_for_none() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    let answer = world.hear(1, Rebind, &[ia(9, &[]), ia(1, &[ONE]), ia(8, &[])]).unwrap();
    assert!(prefixes_of(&answer, 1).is_ok());
    assert_eq!(prefixes_of(&answer, 9), Err(StatusCode::NoBinding));
    assert_eq!(prefixes_of(&answer, 8), Err(StatusCode::NoBinding));
    assert_eq!(world.hear(1, Rebind, &[ia(9, &[]), ia(8, &[])]), Err(Reject::Silent));
    world.check();
}

/// SRV-62: where nothing else reaches it, and not shorter than lifetimes allow.
#[test]
fn renew_every_is_for_those_that_accept_no_reconfigure() {
    let cases = [
        // configuration, accepts, preferred of ours, T1
        (SITE.replace("iaid = 1", "iaid = 1\nrenew-every = \"20s\""), false, 86_400, 20),
        (SITE.replace("iaid = 1", "iaid = 1\nrenew-every = \"20s\""), true, 86_400, 840),
        (SITE.replace("iaid = 1", "iaid = 1\nrenew-every = \"20s\""), false, 30, 15),
        (SITE.replace("iaid = 2", "iaid = 2\nrenew-every = \"20s\""), false, 86_400, 840),
        (POOL.replace("per-router = 3", "renew-every = \"40s\""), false, 86_400, 40),
    ];
    for (config, accepts, preferred, t1) in cases {
        for kind in [Solicit, Request, Renew] {
            let mut world = World::new(&config, A);
            world.delegate("up", &[(A, preferred, 86_400)]);
            world.ask(1, Request, &[]).unwrap();
            let mut options = vec![ia(1, &[])];
            options.extend(accepts.then_some(Dhcpv6Option::ReconfigureAccept));
            let answer = world.hear(1, kind, &options).unwrap();
            assert_eq!(answer.ia_pds().next().unwrap().t1, Lifetime::Finite(t1), "{kind:?}");
        }
    }
}

/// SRV-30: what another router has now is no more this one's; nor is anything without a lease.
#[test]
fn a_renewal_of_what_cannot_be_given_withdraws_it() {
    let mut world = World::new(SITE, A);
    world.delegate("up", &[]);
    assert_eq!(world.ask(1, Renew, &[ONE]).unwrap(), ["2001:db8:a00:10::/60 0 0"]);
    world.delegate("up", &[(A, 86_400, 86_400)]);
    assert_eq!(
        world.notifications(),
        [(contact(1).peer, None)],
        "it is notified when there is something"
    );
}

/// SRV-31: what another server on the link has given is not ours to judge, unless we were asked.
#[test]
fn a_rebind_withdraws_nothing_that_is_another_servers() {
    let foreign = "2001:db8:ffff::/60";
    let mut world = World::new(SITE, A);
    let given = world.ask(1, Rebind, &[foreign, "2001:db8:a00:70::/60"]).unwrap();
    assert_eq!(given, ["2001:db8:a00:10::/60 2700 5400", "2001:db8:a00:70::/60 0 0"]);
    let given = world.ask(1, Renew, &[foreign]).unwrap();
    assert!(given.contains(&"2001:db8:ffff::/60 0 0".to_owned()), "{given:?}");
}

/// SRV-32
#[test]
fn a_release_frees_at_once_and_says_so() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    let unknown = ia(5, &["2001:db8:a00:50::/60"]);
    let answer = world.hear(1, Release, &[ia(1, &[ONE]), unknown]).unwrap();
    assert_eq!(answer.status().map(|status| status.code), Some(StatusCode::Success));
    assert_eq!(prefixes_of(&answer, 5), Err(StatusCode::NoBinding));
    assert!(answer.ia_pds().all(|ia| ia.iaid != Iaid(1)));
    assert_eq!(world.routes(), [""; 0]);
    assert!(world.memory.bindings.is_empty());
    world.check();
    let answer = world.hear(1, Release, &[ia(1, &[ONE])]).unwrap();
    assert_eq!(prefixes_of(&answer, 1), Err(StatusCode::NoBinding), "repeated");
    let none: Option<Status> = None;
    assert_ne!(answer.status().cloned(), none);
}

/// SRV-32: a router that goes while something else of it is in quarantine is not notified.
#[test]
fn a_router_that_has_released_is_left_alone() {
    let mut world = World::new(SITE, A);
    world.hear(1, Request, &[ia(1, &[]), Dhcpv6Option::ReconfigureAccept]).unwrap();
    world.renumber(B);
    world.ask(1, Renew, &[ONE]).unwrap();
    world.notifications();
    world.hear(1, Release, &[ia(1, &["2001:db8:b00:10::/60"])]).unwrap();
    world.check();
    world.renumber(A);
    world.run_for(secs(60));
    assert_eq!(world.notifications(), []);
    assert_eq!(world.routes(), [""; 0]);
    world.run_for(secs(5500));
    assert!(world.delegating.bindings().is_empty());
    world.check();
}
