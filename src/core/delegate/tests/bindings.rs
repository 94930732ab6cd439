//! Bindings over time: routes, memory, limits.

use MessageType::*;

use super::*;

const ONE: &str = "2001:db8:a00:10::/60";

/// DWN-03, SRV-32: a route is there exactly while the binding is.
#[test]
fn a_route_lasts_as_long_as_its_binding() {
    let mut world = World::new(SITE, A);
    assert_eq!(world.routes(), [""; 0]);
    world.ask(1, Request, &[]).unwrap();
    for _ in 0..5 {
        world.run_for(secs(1350));
        assert_eq!(world.routes(), [ONE]);
        world.ask(1, Renew, &[ONE]).unwrap();
    }
    // It never comes again.
    world.run_for(secs(5400));
    assert_eq!(world.routes(), [ONE], "it may still hold it: its clock began later");
    world.run_for(secs(10));
    assert_eq!(world.routes(), [""; 0]);
    assert!(world.memory.bindings.is_empty());
    world.check();
}

/// DWN-05
#[test]
fn the_next_hop_is_the_last_requester_or_as_configured() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    let next_hop = |world: &World| world.delegating.routes(&key(1, 1), LAN)[0].target;
    let via = |address: &str| {
        crate::core::kernel::system::RouteTarget::Gateway(LAN, address.parse().unwrap())
    };
    assert_eq!(next_hop(&world), via("fe80::1"));
    let renew = message(1, Renew, &[ia(1, &[ONE])]);
    world.hear_at("lan0", contact(0x99), &renew).unwrap();
    assert_eq!(next_hop(&world), via("fe80::99"));
    world.reload(
        &SITE.replace("prefix = \"0x1/60\"", "prefix = \"0x1/60\"\nnext-hop = \"fe80::77\""),
    );
    assert_eq!(next_hop(&world), via("fe80::77"));
    world.hear_at("lan0", contact(0x99), &renew).unwrap();
    assert_eq!(next_hop(&world), via("fe80::77"));
}

/// SRV-40
#[test]
fn one_router_on_two_links_has_two_bindings() {
    let both = format!("{POOL}\n[pool.others]\ndownlink = \"wl0\"\nprefix = \"0xe/60\"");
    let mut world = World::new(&both, A);
    let request = message(1, Request, &[ia(1, &[])]);
    let first = prefixes_of(&world.hear_at("lan0", contact(1), &request).unwrap(), 1).unwrap();
    let second = prefixes_of(&world.hear_at("wl0", contact(1), &request).unwrap(), 1).unwrap();
    assert_ne!(first[0].0, second[0].0);
    assert_eq!((world.delegating.bindings().len(), world.routes().len()), (2, 2));
    world.check();
}

/// SRV-39: in one message, and over several.
#[test]
fn a_router_has_no_more_of_a_pool_than_is_allowed() {
    let mut world = World::new(POOL, A);
    let all: Vec<_> = (1..=20).map(|iaid| ia(iaid, &[])).collect();
    let answer = world.hear(1, Request, &all).unwrap();
    let given = (1..=20).filter(|iaid| prefixes_of(&answer, *iaid).is_ok()).count();
    assert_eq!((given, world.delegating.bindings().len()), (3, 3));
    let answer = world.hear(1, Request, &[ia(30, &[])]).unwrap();
    assert_eq!(prefixes_of(&answer, 30), Err(StatusCode::NoPrefixAvail));
    assert!(prefixes_of(&world.hear(2, Request, &[ia(1, &[])]).unwrap(), 1).is_ok());
    world.check();
}

/// SRV-22, SRV-25
#[test]
fn an_exhausted_pool_refuses_inside_the_ia_pd() {
    let mut world = World::new(&POOL.replace("0xf/60", "0xf/63"), A);
    for number in 1..=2 {
        world.ask(number, Request, &[]).unwrap();
    }
    assert_eq!(world.ask(3, Solicit, &[]), Err(StatusCode::NoPrefixAvail));
    assert_eq!(world.ask(3, Request, &[]), Err(StatusCode::NoPrefixAvail));
    assert_eq!(world.delegating.bindings().len(), 2);
    // What becomes free is for who was refused.
    let held: Vec<_> = world.delegating.bindings()[&key(1, 1)].promised.keys().copied().collect();
    world.hear(1, Release, &[ia(1, &[&held[0].to_string()])]).unwrap();
    assert_eq!(world.notifications(), [(contact(3).peer, None)]);
    assert_eq!(world.ask(3, Request, &[]).unwrap(), [format!("{} 2700 5400", held[0])]);
    world.check();
}

#[test]
fn strangers_get_nothing_without_a_pool_and_pools_serve_their_own_link() {
    let mut world = World::new(SITE, A);
    assert_eq!(world.ask(7, Request, &[]), Err(StatusCode::NoPrefixAvail));
    let mut world = World::new(POOL, A);
    assert!(world.ask(7, Request, &[]).is_ok());
    let request = message(8, Request, &[ia(1, &[])]);
    let answer = world.hear_at("wl0", contact(8), &request).unwrap();
    assert_eq!(prefixes_of(&answer, 1), Err(StatusCode::NoPrefixAvail));
}

/// Of two pools that both would serve the first by name does, and when it is full the other.
#[test]
fn pools_follow_one_another_by_name() {
    let two = format!(
        "{}\n[pool.zzz]\ndownlink = \"lan0\"\nprefix = \"0xe/60\"",
        POOL.replace("0xf/60", "0x7f/63")
    );
    let mut world = World::new(&two, A);
    let mut given = Vec::new();
    for number in 1..=3 {
        given.extend(world.ask(number, Request, &[]).unwrap());
    }
    let in_first = |text: &&String| {
        net("2001:db8:a00:fe::/63").contains(&net(text.split(' ').next().unwrap()))
    };
    assert_eq!(given.iter().filter(in_first).count(), 2, "{given:?}");
}

/// STO-04, SRV-53: what no configuration names is on disk before an answer with it leaves.
#[test]
fn keys_and_places_of_a_pool_are_safe_on_disk_first() {
    let accept = [ia(1, &[]), Dhcpv6Option::ReconfigureAccept];
    let cases = [
        // configuration, message, options, synced
        (SITE, Request, &accept[..1], false),
        (SITE, Solicit, &accept[..], false),
        (SITE, Request, &accept[..], true),
        (POOL, Solicit, &accept[..1], false),
        (POOL, Request, &accept[..1], true),
    ];
    for (config, kind, options, synced) in cases {
        let mut world = World::new(config, A);
        world.hear(1, kind, options).unwrap();
        assert_eq!(world.synced, synced, "{kind:?}");
    }
    let mut world = World::new(POOL, A);
    let given = world.ask(1, Request, &[]).unwrap();
    let prefix = given[0].split(' ').next().unwrap().to_owned();
    world.ask(1, Renew, &[&prefix]).unwrap();
    assert!(!world.synced, "a renewal tells nothing new");
}

/// SRV-38, SEC-17: who makes up routers gets a share, and fills the tables to their bounds.
#[test]
fn made_up_routers_fill_the_tables_to_their_bounds_only() {
    let wide =
        POOL.replace("0xf/60", "0x1/57").replace("subnet = \"0x1/64\"", "subnet = \"0x2/64\"");
    let mut world = World::new(&wide, A);
    let mut refused = 0;
    for number in 0..1000_u16 {
        let mut request = message(1, Request, &[ia(1, &[])]);
        let duid = Duid::new(&[[9, 9].as_slice(), &number.to_be_bytes()].concat()).unwrap();
        request.options[0] = Dhcpv6Option::ClientId(duid);
        let answer = world.hear_at("lan0", contact(1), &request).unwrap();
        refused += usize::from(prefixes_of(&answer, 1).is_err());
    }
    assert_eq!((world.delegating.bindings().len(), refused), (32, 968));
    assert_eq!(world.delegating.server().refused_count(), server::MAX_REFUSED);
    world.check();
    world.run_for(secs(6000));
    assert!(world.delegating.bindings().is_empty());
    assert_eq!(world.delegating.server().refused_count(), 0);
}

/// OPS-03
#[test]
fn the_summary_counts_what_the_list_has() {
    let mut world = World::new(SITE, A);
    world.ask(1, Request, &[]).unwrap();
    world.ask(2, Request, &[]).unwrap();
    for _ in 0..3 {
        let list = world.delegating.status(world.now);
        let count = |state: &str| {
            let prefixes = list.iter().flat_map(|binding| &binding.prefixes);
            prefixes.filter(|prefix| prefix.state == state).count()
        };
        let summary = world.delegating.summary();
        let counted = (summary.bindings, summary.given, summary.reserved, summary.withdrawn);
        assert_eq!(counted, (list.len(), count("given"), count("reserved"), count("withdrawn")));
        world.run_for(secs(2000));
    }
}
