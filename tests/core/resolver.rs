//! What resolvconf is handed of each router by itself.

use std::net::Ipv6Addr;

use renumberd::config::file;
use renumberd::core::client::Publication;
use renumberd::wire::ndp_option::NdpOption;

use super::world::ROUTER;
use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn host(more: &str) -> World {
    let text = format!("[client.up]\nresolver = \"resolvconf\"\n{more}");
    let mut world = World::new(file::parse("test.toml", &text).unwrap(), "2001:db8:a000::/56");
    world.kernel().change(KernelEvent::Forwarding(false));
    world
}

fn rdnss(lifetime: u32, server: &str) -> Vec<NdpOption> {
    let servers = vec![server.parse().unwrap()];
    vec![pio(A, 7200, 3600), NdpOption::Rdnss { lifetime: Lifetime::Finite(lifetime), servers }]
}

fn published(world: &World) -> Publication {
    let mut events = world.log.iter().rev();
    let newest = events.find_map(|(_, event)| match event {
        Event::Publish(all) => all.get("up").cloned(),
        _ => None,
    });
    newest.unwrap()
}

/// HST-12
#[test]
fn resolver_data_is_published_by_router_where_that_is_wanted() {
    let other = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
    let server = "2001:db8:a::53";
    for is_wanted in [true, false] {
        let mut world = host(&format!("resolver-per-router = {is_wanted}\n"));
        world.advertise(rdnss(60, server));
        world.run_for(5 * SECOND);
        // Of two routers that advertise the same server each has an entry.
        world.advertise_from(other, rdnss(600, server));
        world.run_for(5 * SECOND);
        let of_routers = |world: &World| -> Vec<Ipv6Addr> {
            published(world).of_routers.iter().map(|one| one.router).collect()
        };
        if is_wanted {
            assert_eq!(of_routers(&world), [ROUTER, other]);
            assert_eq!(published(&world).servers, [] as [Ipv6Addr; 0]);
            world.run_for(60 * SECOND);
            assert_eq!(of_routers(&world), [other], "the other one has run out");
        } else {
            assert_eq!(of_routers(&world), [] as [Ipv6Addr; 0]);
            assert_eq!(published(&world).servers, [server.parse::<Ipv6Addr>().unwrap()]);
        }
    }
}

/// HST-12: whoever forges routers gets no more entries than there is use for, and pushes out none.
#[test]
fn a_flood_of_routers_gets_few_entries() {
    let mut world = host("resolver-per-router = true\n");
    world.advertise(rdnss(3600, "2001:db8:a::53"));
    world.run_for(5 * SECOND);
    for number in 0..200 {
        let router = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xbad, number);
        world.advertise_from(router, rdnss(3600, "2001:db8:bad::53"));
    }
    world.run_for(5 * SECOND);
    let of_routers = published(&world).of_routers;
    assert!(of_routers.len() <= 8, "{}", of_routers.len());
    assert_eq!(of_routers.first().map(|one| one.router), Some(ROUTER));
}
