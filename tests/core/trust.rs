//! What an advertisement is believed about, and what not (SEC-05): anybody on the link can send one.

use std::net::Ipv6Addr;

use renumberd::core::kernel::system::KernelAddress;
use renumberd::time::Lifetime;
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::{NdpOption, Preference, RouteInformation};
use world::{DOWNLINK, ROUTER, icmpv6};

use super::*;

const STRANGER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xbad, 1);
/// The subnet of the downlink.
const LAN: &str = "2001:db8:a000:1::/64";

/// One advertisement of somebody never heard before, who is no default router.
fn forge(world: &mut World, options: Vec<NdpOption>) {
    let forged = RouterAdvertisement { options, ..RouterAdvertisement::default() };
    world.give(icmpv6(UPLINK, STRANGER, forged.encode()));
    world.run_for(Duration::from_secs(5));
}

fn route_to(prefix: &str) -> NdpOption {
    NdpOption::Route(RouteInformation {
        prefix: net(prefix),
        preference: Preference::High,
        lifetime: Lifetime::Finite(7200),
    })
}

fn on_lan(world: &World) -> Vec<String> {
    let suffix = format!("%{}", DOWNLINK.0);
    world.preferred().into_iter().filter(|address| address.ends_with(&suffix)).collect()
}

fn conditions(world: &World, name: &str) -> Vec<String> {
    let status = world.status();
    let found = status.conditions.iter().filter(|found| found.name == name);
    found.map(|found| found.text.clone()).collect()
}

/// SEC-05: whatever is advertised, the link below keeps its prefix, its address and its routes, and
/// nothing of it leads to the uplink.
#[test]
fn nothing_advertised_takes_what_is_delegated() {
    let cases = [
        // prefix, whether a conflict is named where it is on-link, and where it is a route
        ("2000::/3", true, false),
        ("2001:db8:a000::/48", true, false),
        ("2001:db8:a000::/56", true, false),
        ("2001:db8:a000::/60", true, true),
        (LAN, true, true),
        ("2001:db8:a000:1:8000::/65", true, true),
        ("2001:db8:a000:1::1/128", true, true),
        ("2001:db8:a000:ff::/64", true, true),
        ("2001:db8:b000::/56", false, false),
    ];
    for (prefix, on_link, as_route) in cases {
        for (option, named) in [(pio(prefix, 7200, 3600), on_link), (route_to(prefix), as_route)] {
            let mut world = settled();
            let since = world.now();
            let before = on_lan(&world);
            assert_eq!(before, ["2001:db8:a000:1::1%3"]);
            forge(&mut world, vec![option.clone()]);
            assert_eq!(on_lan(&world), before, "{option:?}");
            assert!(world.lifetimes(LAN).is_some_and(|(left, _)| left > 0), "{option:?}");
            let removed = world.events(since).any(|event| {
                matches!(
                    event,
                    Event::Step(
                        Step::Remove(Object::Address(KernelAddress { .. }))
                            | Step::Remove(Object::Route(_))
                    )
                )
            });
            assert!(!removed, "{option:?}");
            let routes = world.system().routes.values();
            let stolen = routes.filter(|route| {
                net(LAN).contains(&route.destination) && route.target.interface() != Some(DOWNLINK)
            });
            assert_eq!(stolen.count(), 0, "{option:?}: {:?}", world.routes());
            let formed = world.system().addresses.values().filter(|address| {
                address.interface == UPLINK && net(LAN).contains(&address.address)
            });
            assert_eq!(formed.count(), 0, "{option:?}");
            assert_eq!(!conditions(&world, "prefix-conflict").is_empty(), named, "{option:?}");
        }
    }
}

/// The remedy is named, and the condition ends with what it is about.
#[test]
fn a_conflict_is_over_when_it_is_withdrawn() {
    let mut world = settled();
    forge(&mut world, vec![pio(LAN, 7200, 3600)]);
    let text = conditions(&world, "prefix-conflict").join(" ");
    assert!(text.contains(LAN) && text.contains("routers ="), "{text}");
    forge(&mut world, vec![pio(LAN, 0, 0)]);
    world.run_for(Duration::from_secs(60));
    assert_eq!(conditions(&world, "prefix-conflict"), [] as [String; 0]);
}

/// RA-RX-69: whatever is advertised, there are sixteen addresses of ours on the uplink at most; the
/// router's old and new ones are among them.
#[test]
fn a_flood_of_prefixes_makes_sixteen_addresses() {
    for source in [STRANGER, ROUTER] {
        let mut world = settled();
        for number in 0..64_u32 {
            world.advertise_from(
                source,
                vec![pio(&format!("2001:db8:f:{number:x}::/64"), 7200, 3600)],
            );
        }
        world.advertise(vec![pio(B, 7200, 3600)]);
        world.run_for(Duration::from_secs(3));
        let on_uplink: Vec<Ipv6Addr> = world
            .system()
            .addresses
            .values()
            .filter(|address| address.ours && address.interface == UPLINK)
            .map(|address| address.address)
            .collect();
        assert_eq!(on_uplink.len(), 16, "{source}");
        for prefix in [A, B] {
            assert!(on_uplink.iter().any(|one| net(prefix).contains(one)), "{source} {prefix}");
        }
    }
}

/// RA-RX-11: the router above and we ourselves, on the link below, may both be `fe80::1`; an
/// advertisement of ours that a bridge hands back is ours all the same.
#[test]
fn a_link_local_address_is_ours_on_its_link_alone() {
    let mut world = World::new(config(), "2001:db8:a000::/56");
    let below = KernelAddress { address: ROUTER, ..address(DOWNLINK, "fe80::1", false) };
    world.kernel().change_silently(KernelEvent::Address(below.clone()));
    world.give(Input::Kernel(vec![KernelEvent::Address(below)]));
    world.run_for(Duration::from_secs(1));
    let with = |last: u8| {
        let sender = NdpOption::SourceLinkLayer(vec![2, 0, 0, 0, 0, last]);
        vec![sender, pio(A, 7200, 3600)]
    };
    let heard = |world: &World| world.status().uplinks["up"].routers.len();
    // The link-layer address of our downlink.
    world.advertise(with(3));
    world.run_for(Duration::from_secs(1));
    assert_eq!(heard(&world), 0, "our own");
    for options in [with(0x77), vec![pio(A, 7200, 3600)]] {
        let mut world = World::new(config(), "2001:db8:a000::/56");
        let below = KernelAddress { address: ROUTER, ..address(DOWNLINK, "fe80::1", false) };
        world.kernel().change_silently(KernelEvent::Address(below.clone()));
        world.give(Input::Kernel(vec![KernelEvent::Address(below)]));
        world.advertise(options);
        world.run_for(Duration::from_secs(5));
        assert_eq!(heard(&world), 1);
        assert_eq!(on_lan(&world), ["2001:db8:a000:1::1%3"], "a lease as well");
    }
    // On the interface itself it is ours, whatever it says.
    let mut world = settled();
    world.advertise_from("fe80::2".parse().unwrap(), with(0x77));
    assert_eq!(heard(&world), 1);
}

/// An address that another node holds is nobody's resolver.
#[test]
fn a_duplicate_address_is_not_announced_as_resolver() {
    let mut config = config();
    let downlink = config.downlinks.get_mut("lan").unwrap();
    downlink.advertise.rdnss = vec![renumberd::config::Resolver::Own];
    let mut world = World::new(config, "2001:db8:a000::/56");
    world.run_for(Duration::from_secs(1));
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(60));
    let servers = |world: &World| -> Vec<(u32, Ipv6Addr)> {
        let options = world.last_advertisement().options.iter();
        options
            .filter_map(|option| match option {
                NdpOption::Rdnss { lifetime, servers } => Some((lifetime.to_wire(), servers)),
                _ => None,
            })
            .flat_map(|(left, servers)| servers.iter().map(move |server| (left, *server)))
            .filter(|(left, _)| *left > 0)
            .collect()
    };
    let own: Ipv6Addr = "2001:db8:a000:1::1".parse().unwrap();
    assert!(servers(&world).iter().any(|(_, server)| *server == own));
    let address = world.system().addresses[&(DOWNLINK, own)].clone();
    find_in_use(&mut world, &address);
    world.run_for(Duration::from_secs(20));
    assert_eq!(servers(&world), []);
    assert!(
        world.lifetimes(LAN).is_some_and(|(left, _)| left > 0),
        "the prefix is as good as before"
    );
}

/// UPL-22: the carrier goes while the router is asked about a prefix that it left out.
#[test]
fn a_lost_carrier_leaves_nothing_to_be_done_at_once() {
    let mut world = settled();
    world.advertise(vec![pio(B, 7200, 3600)]);
    let mut link = world.system().link("up").unwrap().clone();
    link.running = false;
    world.kernel().change_silently(KernelEvent::Link(link.clone()));
    world.give(Input::Kernel(vec![KernelEvent::Link(link.clone())]));
    // The world finds a busy loop.
    world.run_for(Duration::from_secs(30));
    link.running = true;
    world.kernel().change_silently(KernelEvent::Link(link.clone()));
    world.give(Input::Kernel(vec![KernelEvent::Link(link)]));
    world.run_for(Duration::from_secs(30));
}
