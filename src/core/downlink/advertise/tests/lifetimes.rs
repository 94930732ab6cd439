use super::*;

/// RA-TX-61: while it is heard, and not for ever after.
#[test]
fn a_stub_router_sees_no_short_preferred_lifetime() {
    let mut world = World::saying(content(&[A]));
    world.run(60);
    world.advertising.note_stub_router(world.now);
    assert_eq!(world.advertising.advertised(world.now)[0], (net(A), 2700, 5400), "none retired");
    for (retired, prefix) in [(1, B), (2, C)] {
        world.set(content(&[prefix]));
        world.run(10);
        assert_eq!(world.last().prefix(prefix), Some((1800, 1800)), "{retired}");
    }
    // The lease comes first.
    world.set(ending(C, 1000 + 900, 1000 + 1200));
    world.run(10);
    let (preferred, valid) = world.last().prefix(C).unwrap();
    assert!((800..900).contains(&preferred) && (1100..1200).contains(&valid));
    world.set(content(&[C]));
    world.now = world.now + Duration::from_secs(1800);
    let last = world.advertising.advertised(world.now);
    assert!(last.contains(&(net(C), 450, 900)), "{last:?}");
}

/// RA-TX-21, CRV-07
#[test]
fn lifetimes_are_capped_by_rule_and_lease() {
    let cases = [
        // name,              preferred, valid,   said
        ("a day", 86_400, 172_800, (2700, 5400)),
        ("near the end", 1000, 2000, (1000, 2000)),
        ("preferred is over", 0, 600, (0, 600)),
        ("deprecated lease", 0, 86_400, (0, 900)),
        ("preferred beyond", 9000, 600, (600, 600)),
        ("the last second", 1, 1, (1, 1)),
    ];
    for (name, preferred, valid, said) in cases {
        let world = World::saying(ending(A, 1000 + preferred, 1000 + valid));
        assert_eq!(world.last().prefix(A), Some(said), "{name}");
    }
    let mut world = World::new(Default::default());
    world
        .set(Content { prefixes: [(net(A), (Until::Never, Until::Never))].into(), ..content(&[]) });
    assert_eq!(world.last().prefix(A), Some((2700, 5400)));
    assert_eq!(world.advertising.advertised(world.now), [(net(A), 2700, 5400)]);
}

/// RA-TX-60: what counts is what hosts may hold, withdrawn or deprecated by the lease.
#[test]
fn lifetimes_shorten_with_each_retired_prefix_and_grow_back() {
    let mut world = World::saying(content(&[A]));
    world.run_until(1100);
    world.set(content(&[B]));
    assert_eq!(world.last().prefix(B), Some((450, 900)));
    world.run_until(1200);
    world.set(content(&[C]));
    assert_eq!(world.last().prefix(C), Some((150, 300)));
    assert_eq!(world.last().prefix(A), Some((0, 0)));
    assert_eq!(world.last().prefix(B), Some((0, 0)));
    // B was promised until less than 2100, A until less than 6500.
    world.run_until(3000);
    assert_eq!(world.last().prefix(B), None);
    assert_eq!(world.last().prefix(C), Some((450, 900)));
    world.run_until(8000);
    assert_eq!(world.last().prefix(C), Some((2700, 5400)));

    let mut both = content(&[A, B]);
    both.prefixes.insert(net(A), (at(0), at(100_000)));
    let world = World::saying(both);
    assert_eq!(world.last().prefix(A), Some((0, 900)));
    assert_eq!(world.last().prefix(B), Some((450, 900)));
    let order: Vec<_> = world.last().prefixes().map(|(prefix, _, _)| prefix).collect();
    assert_eq!(order, [net(B), net(A)], "the new one before the old");
}

/// RA-TX-60: advertised as often as the short lifetimes need, Router Lifetime as ever.
#[test]
fn intervals_shorten_with_the_lifetimes() {
    let mut world = World::saying(content(&[A]));
    world.run_until(1100);
    world.set(content(&[B]));
    world.run_until(1150);
    let one = world.run_until(2900);
    assert!(gaps(&one).iter().all(|gap| (50.0..=150.0).contains(gap)), "{:?}", gaps(&one));
    world.set(content(&[C]));
    world.run_until(2950);
    let two = world.run_until(3200);
    assert!(gaps(&two).iter().all(|gap| (16.0..=50.0).contains(gap)), "{:?}", gaps(&two));
    assert!(world.sent.iter().all(|sent| sent.messages[0].router_lifetime == 2700));
}

/// RA-TX-09, RA-TX-60: several advertisements within the shortest lifetime, but no storm.
#[test]
fn intervals_follow_the_shortest_lifetime() {
    let cases = [
        // preferred, valid, longest and shortest interval
        (300, 300, 50.0, 16.0),
        (30, 5400, 10.0, 3.0),
        (6, 6, 4.0, 3.0),
    ];
    for (preferred, valid, longest, shortest) in cases {
        let min_delay = Duration::from_millis(30);
        let mut world = World::new(config::Advertise { min_delay, ..Default::default() });
        let refreshed = |now: Instant| {
            let now = now.since_boot().as_secs();
            ending(A, now + preferred, now + valid)
        };
        for _ in 0..300 {
            world.set(refreshed(world.now));
            world.run(1);
        }
        let gaps = &gaps(&world.sent)[2..];
        assert!(gaps.iter().all(|gap| (shortest..=longest).contains(gap)), "{gaps:?}");
        assert!(gaps.iter().any(|gap| *gap > shortest), "drawn, not fixed");
    }
}

/// RA-TX-60: switched off
#[test]
fn lifetimes_stay_where_shortening_is_off() {
    let mut world = World::new(config::Advertise { shorten: false, ..Default::default() });
    for prefix in [A, B, C] {
        world.set(content(&[prefix]));
        world.run(60);
        assert_eq!(world.last().prefix(prefix), Some((2700, 5400)));
    }
}

/// RA-TX-20, RA-TX-30, RA-TX-58
#[test]
fn router_lifetime_says_whether_there_is_a_default_route() {
    let mut world = World::saying(content(&[A]));
    assert_eq!(world.advertising.router_lifetime(), 2700);
    world.run(60);
    world.set(Content { default_router: false, ..content(&[A]) });
    assert_eq!(world.last().messages[0].router_lifetime, 0);
    assert_eq!(world.advertising.router_lifetime(), 0);
    assert_eq!(world.last().prefix(A), Some((2700, 5400)));
}

/// RA-TX-22, RA-TX-32, RA-TX-60
#[test]
fn routes_and_resolvers_are_capped_by_their_own_ends() {
    let server = |n: u16| Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n);
    let world = World::saying(Content {
        default_router: false,
        routes: [
            (net("2001:db8::/56"), (Preference::Medium, at(1_000_000))),
            (net("fd00::/48"), (Preference::Medium, at(2000))),
        ]
        .into(),
        resolvers: vec![(server(1), Until::Never), (server(2), at(2500))],
        search: vec![("example.org".to_owned(), at(2500))],
        ..content(&[A])
    });
    let said = world.last();
    assert_eq!(said.routes(), [(net("2001:db8::/56"), 5400), (net("fd00::/48"), 1000)]);
    // The route's 1000 s shorten the interval to 333 s.
    assert_eq!(said.resolvers(), [(server(1), 999), (server(2), 999)]);
    assert_eq!(said.search(), [("example.org".to_owned(), 999)]);

    let mut world = World::saying(content(&[A]));
    for (prefix, lifetime) in [(A, 1800), (B, 450), (C, 240)] {
        world.set(Content {
            resolvers: vec![(server(1), Until::Never), (server(2), at(1_000_000))],
            ..content(&[prefix])
        });
        world.run(60);
        assert_eq!(world.last().resolvers(), [(server(1), lifetime), (server(2), lifetime)]);
    }
}

/// RA-TX-33
#[test]
fn a_link_hears_of_seventeen_routes() {
    let route = |n: u16| net(&format!("2001:db8:{n:x}::/48"));
    let mut routes: BTreeMap<_, _> =
        (0..20).map(|n| (route(n), (Preference::Low, Until::Never))).collect();
    routes.insert(route(19), (Preference::High, Until::Never));
    let world = World::saying(Content { routes, ..content(&[A]) });
    assert_eq!(world.last().routes().len(), 17);
    assert_eq!(world.last().routes()[0].0, route(19));

    let mut world = World::new(Default::default());
    for n in [2, 0, 1] {
        let end = at(2000 + 100 * u64::from(n));
        let routes = (0..10).map(|i| (route(10 * n + i), (Preference::Medium, end))).collect();
        world.set(Content { routes, ..content(&[A]) });
        world.run(10);
    }
    let said = world.last().routes();
    assert_eq!(said.len(), 17);
    assert!(said[..10].iter().all(|(_, lifetime)| *lifetime > 0));
    let stale: Vec<_> = (20..27).map(|n| (route(n), 0)).collect();
    assert_eq!(said[10..], stale, "those that hosts would believe in the longest");
}

/// LAN-01: what routers above advertise of NAT64 and the captive portal, counted down, unless the
/// link has its own; and the O flag where DHCPv6 has more.
#[test]
fn nat64_and_portal_are_passed_on() {
    let pref64 = |sent: &Sent| -> Vec<(Ipv6Net, u16)> {
        let pref64 = |option: &NdpOption| {
            let NdpOption::Pref64(said) = option else { return None };
            Some((said.prefix, said.lifetime))
        };
        sent.options().filter_map(pref64).collect()
    };
    let portal = |sent: &Sent| {
        sent.options().find_map(|option| {
            let NdpOption::CaptivePortal(uri) = option else { return None };
            Some(uri.clone())
        })
    };
    let prefix = net("64:ff9b::/96");
    let passed = |until| Content {
        pref64: vec![(prefix, until)],
        captive_portal: Some("https://portal.example/".to_owned()),
        ..content(&[A])
    };
    let mut world = World::saying(passed(at(1000 + 605)));
    assert_eq!(pref64(world.last()), [(prefix, 600)]);
    assert_eq!(portal(world.last()).as_deref(), Some("https://portal.example/"));
    assert!(!world.last().messages[0].other);
    world.run(300);
    assert!(pref64(world.last())[0].1 <= 400, "counted down");
    assert!(world.set(content(&[A])), "both are gone");
    world.run(4);
    assert_eq!((pref64(world.last()), portal(world.last())), (vec![(prefix, 0)], None));

    let own = net("64:ff9b:1::/96");
    let mut world =
        World::new(config::Advertise { pref64: Some(own), ..config::Advertise::default() });
    world.set(passed(Until::Never));
    assert_eq!(pref64(world.last()), [(own, 1800)]);
    let ntp = crate::wire::dhcpv6_option::Dhcpv6Option::Unknown {
        code: 31,
        body: Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).octets().to_vec(),
    };
    let services = crate::wire::dhcpv6_service::ServiceOption::select(&[ntp]);
    world.set(Content { services: services.clone(), ..passed(Until::Never) });
    world.run(4);
    assert!(world.last().messages[0].other);
    let mut world =
        World::new(config::Advertise { other: Some(false), ..config::Advertise::default() });
    world.set(Content { services, ..passed(Until::Never) });
    assert!(!world.last().messages[0].other, "as the operator says");
}
