use super::*;

/// RA-TX-50, RA-TX-51, RA-TX-54: the promise of the last RA counts, not that of the first.
#[test]
fn a_prefix_that_is_gone_is_withdrawn_until_its_promise_ends() {
    let mut world = World::saying(content(&[A]));
    world.run_until(4000);
    let promised_until = world.last().at + Duration::from_secs(5400);
    world.set(content(&[B]));
    let mut last_withdrawn = secs(0);
    for _ in 0..200 {
        world.run(50);
        world.solicit(HOST, true);
    }
    for sent in world.sent.iter().filter(|sent| sent.at >= secs(4000)) {
        let expected = (sent.at < promised_until).then_some((0, 0));
        assert_eq!(sent.prefix(A), expected, "{sent:?}");
        if expected.is_some() {
            last_withdrawn = sent.at;
        }
    }
    assert!(promised_until.since(last_withdrawn).as_secs() <= 50);
}

/// RA-TX-50: A and L as before
#[test]
fn a_withdrawn_prefix_keeps_its_flags() {
    let rules = config::Advertise { on_link: false, ..Default::default() };
    let mut world = World::new(rules);
    world.set(content(&[A]));
    world.run(60);
    world.set(content(&[B]));
    let withdrawn = world.last().options().find_map(|option| {
        let NdpOption::Prefix(pio) = option else { return None };
        (pio.prefix == net(A)).then_some(*pio)
    });
    let pio = withdrawn.unwrap();
    assert!(!pio.on_link && pio.autonomous && !pio.delegation_preferred);
    assert_eq!((pio.preferred, pio.valid), (Lifetime::ZERO, Lifetime::ZERO));
}

/// RA-TX-50, DWN-06: the valid end of the content itself has passed.
#[test]
fn a_prefix_whose_lease_was_ended_is_withdrawn() {
    let mut world = World::saying(content(&[A]));
    world.run(60);
    world.set(ending(A, 1060, 1060));
    assert_eq!(world.last().prefix(A), Some((0, 0)));
}

/// RA-TX-53, STO-03, 15 row 21
#[test]
fn promises_from_before_a_restart_are_withdrawn_or_continued() {
    let promised = [(net(A), at(5000)), (net(B), at(5000)), (net(C), at(900))].into();
    let mut world = World::restarted(Default::default(), promised);
    world.run_until(1030);
    world.set(content(&[B]));
    assert_eq!(world.last().prefix(A), Some((0, 0)));
    assert_eq!(world.last().prefix(B), Some((450, 900)));
    assert_eq!(world.last().prefix(C), None, "its promise has ended");
    world.run_until(6000);
    assert_eq!(world.last().prefix(A), None);
}

/// RA-TX-55, 15 row 12
#[test]
fn a_prefix_that_comes_back_leaves_the_withdrawal_list() {
    let mut world = World::saying(content(&[A]));
    world.run(10);
    world.set(content(&[B]));
    world.run(10);
    world.set(content(&[A]));
    assert_eq!(world.last().prefix(A), Some((450, 900)));
    assert_eq!(world.last().prefix(B), Some((0, 0)));
}

/// RA-TX-56
#[test]
fn stale_routes_and_resolvers_are_advertised_with_lifetime_zero() {
    let old = "2001:db8:a::53".parse().unwrap();
    let new = "2001:db8:b::53".parse().unwrap();
    let saying = |prefix, server, route, domain: &str| Content {
        routes: [(net(route), (Preference::Medium, Until::Never))].into(),
        resolvers: vec![(server, Until::Never)],
        search: vec![(domain.to_owned(), Until::Never)],
        ..content(&[prefix])
    };
    let mut world = World::saying(saying(A, old, "2001:db8:a::/56", "a.example"));
    world.run(1000);
    world.set(saying(B, new, "2001:db8:b::/56", "b.example"));
    let said = world.last();
    assert_eq!(said.resolvers(), [(new, 450), (old, 0)]);
    assert_eq!(said.routes(), [(net("2001:db8:b::/56"), 900), (net("2001:db8:a::/56"), 0)]);
    assert_eq!(said.search(), [("b.example".to_owned(), 450), ("a.example".to_owned(), 0)]);
    world.run(1000);
    assert_eq!(world.last().resolvers().len(), 2);
    world.run(10_000);
    assert_eq!(world.last().resolvers(), [(new, 1800)]);
    assert_eq!(world.last().routes().len(), 1);
    assert_eq!(world.last().search().len(), 1);
}

/// RA-TX-56, for what was advertised before a restart: it is left out until an answer takes its
/// place.
#[test]
fn routes_and_resolvers_from_before_a_restart_are_advertised_with_lifetime_zero() {
    let server: Ipv6Addr = "2001:db8:a::53".parse().unwrap();
    let before = Content {
        routes: [(net("2001:db8:a::/56"), (Preference::Medium, at(4000)))].into(),
        resolvers: vec![(server, Until::Never)],
        ..content(&[A])
    };
    let promised = Promises {
        prefixes: [(net(A), at(5000))].into(),
        routes: [(net("2001:db8:a::/56"), at(4000))].into(),
    };
    let mut world = World::remembering(Default::default(), promised);
    world.advertising.set_content(world.now, before);
    world.set(content(&[B]));
    assert_eq!(world.last().prefix(A), Some((0, 0)));
    assert_eq!(world.last().routes(), [(net("2001:db8:a::/56"), 0)]);
    assert_eq!(world.last().resolvers(), [(server, 0)]);
    world.run_until(5600);
    assert_eq!(world.last().routes(), []);
    assert_eq!(world.last().resolvers(), []);
}

/// STO-03, STO-11: what hosts hold is always covered by a record, and records are rare.
#[test]
fn promises_are_recorded_before_they_are_made_and_seldom() {
    let mut world = World::saying(content(&[A]));
    for _ in 0..2000 {
        world.run(40);
        world.solicit(HOST, true);
    }
    let mut recorded = secs(0);
    let mut records = Vec::new();
    for sent in &world.sent {
        for promise in &sent.promises {
            recorded = promise.until.at().unwrap();
            records.push(sent.at);
        }
        let (_, valid) = sent.prefix(A).unwrap();
        let promised = sent.at + Duration::from_secs(valid.into());
        assert!(recorded >= promised);
        assert!(recorded.since(promised).as_secs() <= 600);
    }
    for pair in records.windows(2) {
        assert!(pair[1].since(pair[0]).as_secs() >= 599);
    }
}

/// STO-11, for routes too; and what our own lease ends is recorded as ending with it.
#[test]
fn promises_of_routes_are_recorded_as_seldom() {
    let route = net("2001:db8:a::/56");
    let recorded = |until, seconds: u64| {
        let routes = [(route, (Preference::Medium, until))].into();
        let mut world = World::saying(Content { routes, ..content(&[A]) });
        while world.now < secs(1000 + seconds) {
            world.run(40);
            world.solicit(HOST, true);
        }
        let promises = world.sent.iter().flat_map(|sent| &sent.promises);
        let promises = promises.filter(|promise| promise.is_route && promise.prefix == route);
        promises.map(|promise| promise.until).collect::<Vec<_>>()
    };
    let lasting = recorded(Until::Never, 6000);
    assert!((9..=11).contains(&lasting.len()), "{lasting:?}");
    assert_eq!(recorded(at(3000), 3000), [at(3000)]);
}

/// STO-11: lifetimes that merely count down are not written again.
#[test]
fn a_lease_that_runs_out_is_recorded_once() {
    let mut world = World::saying(ending(A, 4000, 4000));
    world.run_until(5000);
    let promises: Vec<_> = world.sent.iter().flat_map(|sent| &sent.promises).collect();
    assert_eq!(promises, [&Promise { prefix: net(A), is_route: false, until: at(4000) }]);
}

/// RA-TX-57
#[test]
fn the_final_advertisement_takes_back_the_default_route_only() {
    let mut world = World::saying(content(&[A]));
    world.run(10);
    world.set(content(&[B]));
    world.run(100);
    let recorded = world.sent.iter().rev().flat_map(|sent| &sent.promises).next().unwrap().until;
    let messages = world.advertising.final_advertisement(world.now, false);
    let sent = Sent { at: world.now, to: ALL_NODES, messages, promises: Vec::new() };
    assert_eq!(sent.messages[0].router_lifetime, 0);
    assert_eq!(sent.messages[0].preference, Preference::Medium);
    assert_eq!(sent.prefix(B), Some((450, 900)));
    assert_eq!(sent.prefix(A), Some((0, 0)));
    assert!(recorded >= Until::after(world.now, Lifetime::Finite(900)));

    let messages = world.advertising.final_advertisement(world.now, true);
    let sent = Sent { messages, ..sent };
    assert_eq!(sent.prefix(B), Some((0, 0)));
    assert_eq!(sent.prefix(A), Some((0, 0)));
}

/// RA-TX-51, RA-TX-57: nothing remembers a promise that the final advertisement would make.
#[test]
fn the_final_advertisement_promises_nothing_new() {
    let mut world = World::saying(content(&[A]));
    world.now = secs(1002);
    world.set(content(&[B]));
    let messages = world.advertising.final_advertisement(world.now, false);
    let sent = Sent { at: world.now, to: ALL_NODES, messages, promises: Vec::new() };
    assert_eq!(sent.prefix(A), Some((0, 0)));
    assert_eq!(sent.prefix(B), None, "it was never advertised");

    let mut world = World::restarted(Default::default(), [(net(A), at(1010))].into());
    world.set(content(&[B]));
    let recorded = world.last().promises[0].until;
    assert_eq!(recorded, at(1000 + 900 + 600));
    world.now = secs(1011);
    assert_eq!(world.advertising.advertised(world.now), [(net(B), 2700, 5400)]);
    let messages = world.advertising.final_advertisement(world.now, false);
    let sent = Sent { at: world.now, to: ALL_NODES, messages, promises: Vec::new() };
    assert_eq!(sent.prefix(B), Some((2500 - 1011, 2500 - 1011)));
}

#[test]
fn nothing_follows_the_final_advertisement() {
    let mut world = World::new(config::Advertise { enabled: false, ..Default::default() });
    world.set(content(&[A]));
    // Without a link there is nothing to encode.
    let transmit = world.advertising.stop(world.now, false);
    assert!(transmit.messages.is_empty());
    assert!(world.run(10_000).is_empty());
}

/// At the bound the promise that ends first is forgotten.
#[test]
fn remembered_promises_have_a_bound() {
    let prefix = |n: u64| net(&format!("2001:db8:{n:x}::/64"));
    let promised: BTreeMap<_, _> = (0..300).map(|n| (prefix(n), at(5000 + n))).collect();
    let mut world = World::restarted(Default::default(), promised);
    world.set(Content::default());
    let withdrawn: Vec<_> = world.last().prefixes().map(|(prefix, _, _)| prefix).collect();
    assert_eq!(withdrawn.len(), 256);
    assert!(!withdrawn.contains(&prefix(43)) && withdrawn.contains(&prefix(44)));

    let servers = |n: u16| {
        let server = |i| (Ipv6Addr::new(0x2001, 0xdb8, n, 0, 0, 0, 0, i), Until::Never);
        Content { resolvers: (0..200).map(server).collect(), ..Content::default() }
    };
    for n in 0..3 {
        world.run(60);
        world.set(servers(n));
    }
    world.run(60);
    assert_eq!(world.last().resolvers().len(), 256);
}

/// RA-TX-50: hosts that run through their addresses while they read see this first.
#[test]
fn prefixes_that_hosts_prefer_no_longer_come_first() {
    let order = |sent: &Sent| sent.prefixes().map(|(prefix, ..)| prefix).collect::<Vec<_>>();
    let mut world = World::saying(content(&[A]));
    world.run(60);
    world.set(content(&[B]));
    assert_eq!(order(world.last()), [net(A), net(B)]);
    world.run(60);
    world.set(content(&[C]));
    assert_eq!(order(world.last()), [net(B), net(C), net(A)]);
    world.run(600);
    assert_eq!(order(world.last()), [net(C), net(A), net(B)]);
}
