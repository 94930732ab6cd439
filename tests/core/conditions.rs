//! Conditions that come and go with what the kernel has and routers say.

use std::net::Ipv6Addr;

use renumberd::config::{Config, file};
use renumberd::core::status::Condition;
use renumberd::wire::ndp::RouterAdvertisement;

use super::world::{DOWNLINK, ROUTER, icmpv6};
use super::*;

/// The link-local address of the downlink.
const OWN: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);

fn named(world: &World, name: &str) -> Option<Condition> {
    world.status().conditions.into_iter().find(|condition| condition.name == name)
}

fn advertise_for(world: &mut World, router_lifetime: u16) {
    let options = vec![pio(A, 7200, 3600)];
    let advertisement =
        RouterAdvertisement { router_lifetime, options, ..RouterAdvertisement::default() };
    world.give(icmpv6(UPLINK, ROUTER, advertisement.encode()));
}

/// The kernel has this link-local address on the downlink, which may be under detection.
fn set_own(world: &mut World, tentative: bool) {
    let own = KernelAddress { tentative, ..address(DOWNLINK, &OWN.to_string(), false) };
    world.kernel().change(KernelEvent::Address(own));
}

/// OPS-18: each link that comes up is without a link-local address until duplicates have been looked
/// for.
#[test]
fn a_link_has_time_to_get_its_link_local_address() {
    let seconds = Duration::from_secs;
    for comes in [true, false] {
        let mut world = settled();
        world.events.clear();
        world.kernel().remove_any_address(DOWNLINK, OWN);
        world.carrier(DOWNLINK, false);
        world.run_for(seconds(60));
        assert_eq!(named(&world, "no-link-local"), None, "it is down");
        world.carrier(DOWNLINK, true);
        set_own(&mut world, true);
        world.run_for(2900 * MS);
        assert_eq!(named(&world, "no-link-local"), None);
        if comes {
            set_own(&mut world, false);
        }
        world.run_for(200 * MS);
        assert_eq!(named(&world, "no-link-local").is_some(), !comes);
        let event = |event: &&renumberd::core::event::Event| event.kind().1 == "no-link-local";
        assert_eq!(world.events.iter().filter(event).count(), usize::from(!comes));
        set_own(&mut world, false);
        world.run_for(seconds(1));
        assert_eq!(named(&world, "no-link-local"), None);
        // It is another wait when the address goes.
        world.kernel().remove_any_address(DOWNLINK, OWN);
        world.run_for(2900 * MS);
        assert_eq!(named(&world, "no-link-local"), None);
        world.run_for(200 * MS);
        assert_eq!(named(&world, "no-link-local").unwrap().subject, "lan");
        world.vanish(DOWNLINK);
        world.run_for(MS);
        assert_eq!(named(&world, "no-link-local"), None);
    }
}

/// Routers that are heard and lead nowhere are named, unless no default route is wanted.
#[test]
fn that_no_router_is_a_default_router_is_a_condition() {
    let router = |default_route| {
        let mut config = config();
        config.uplinks.values_mut().for_each(|uplink| uplink.default_route = default_route);
        config
    };
    let host = || file::parse("test.toml", "[client.up]\n").unwrap();
    let cases: [(Config, Option<&str>); 3] = [
        (router(true), Some("advertised as no default router")),
        (router(false), None),
        (host(), Some("this host learns no default route")),
    ];
    for (config, words) in cases {
        let mut world = World::new(config, "2001:db8:100::/48");
        let check = |world: &World, words: Option<&str>| {
            let found = named(world, "no-default-router");
            assert_eq!(found.is_some(), words.is_some(), "{words:?}");
            let text = found.map(|found| found.text).unwrap_or_default();
            assert!(text.contains(words.unwrap_or_default()), "{text}");
        };
        world.run_for(MS);
        check(&world, None);
        advertise_for(&mut world, 0);
        world.run_for(MS);
        check(&world, words);
        advertise_for(&mut world, 1800);
        world.run_for(MS);
        check(&world, None);
        // Somebody says so in the router's name, again and again.
        for _ in 0..100 {
            advertise_for(&mut world, 0);
            world.run_for(100 * MS);
        }
        check(&world, words);
        world.run_for(Duration::from_secs(600));
        check(&world, words);
    }
}

/// A host that another program manages has its default route from that.
#[test]
fn default_routers_of_a_host_that_another_program_manages_are_not_judged() {
    let config = file::parse("test.toml", "[client.up]\n").unwrap();
    let mut world = World::new(config, "2001:db8:100::/48");
    // Where it forwards the agent itself has the kernel follow advertisements.
    world.kernel().change(KernelEvent::Forwarding(false));
    world.run_for(Duration::from_secs(1));
    let mut link = world.system().links[&UPLINK].clone();
    link.accept_ra = Some(0);
    world.kernel().change(KernelEvent::Link(link));
    world.run_for(MS);
    advertise_for(&mut world, 0);
    world.run_for(Duration::from_secs(60));
    assert!(named(&world, "managed-elsewhere").is_some());
    assert_eq!(named(&world, "no-default-router"), None);
}

/// SEC-06: a node on the link that advertises prefix after prefix, and claims each address in them,
/// fills nothing; and what is wanted and held by another node stays known as such.
#[test]
fn addresses_in_use_are_remembered_to_a_bound() {
    let mut world = settled();
    let since = world.now();
    let reported = |world: &World| {
        let conditions = world.status().conditions.into_iter();
        conditions.filter(|one| one.name == "duplicate-address").count()
    };
    let ours = |world: &World| -> Vec<KernelAddress> {
        world.system().addresses.values().filter(|one| one.ours).cloned().collect()
    };
    let wrong = ours(&world);
    wrong.iter().for_each(|address| find_in_use(&mut world, address));
    for number in 0..200 {
        let advertised = vec![pio(&format!("3fff:{number:x}::/64"), 300, 200)];
        world.advertise_from("fe80::bad".parse().unwrap(), advertised);
        world.run_for(Duration::from_secs(20));
        let forged = ours(&world).into_iter().filter(|one| one.address.segments()[0] == 0x3fff);
        forged.for_each(|address| find_in_use(&mut world, &address));
        assert!(reported(&world) <= 1 + 64 + 64, "{number}: {}", reported(&world));
    }
    assert!(reported(&world) > 64, "the bound is reached: {}", reported(&world));
    world.run_for(Duration::from_secs(600));
    assert!(reported(&world) <= 1 + 1 + 64, "{}", reported(&world));
    let is_wrong = |event: &Event| matches!(event, Event::Step(Step::Set(Object::Address(set))) if wrong.iter().any(|one| one.address == set.address));
    assert_eq!(world.events(since).find(|event| is_wrong(event)), None);
}
