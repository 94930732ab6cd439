//! What is heard on a downlink, and whom a change is sent to there.

use std::net::Ipv6Addr;
use std::time::Duration;

use renumberd::core::kernel::system::Neighbor;
use renumberd::wire::ndp::RouterAdvertisement;

use super::world::{CLIENT, DOWNLINK, Event, World, icmpv6, pio};
use super::{A, B, settled};

const C: &str = "2001:db8:c::/64";

fn renumber(world: &mut World, delegated: &str, on_link: &str) {
    world.renumber(delegated);
    world.advertise(vec![pio(on_link, 7200, 3600)]);
}

/// RA-TX-61: an advertisement with the flag of a stub router, then two changes.
#[test]
fn where_a_stub_router_is_heard_preferred_lifetimes_stay_long() {
    let stub_router: Ipv6Addr = "fe80::77".parse().unwrap();
    for (snac_router, expected) in [(true, (1800, 1800)), (false, (150, 300))] {
        let mut world = settled();
        let heard = RouterAdvertisement { snac_router, ..RouterAdvertisement::default() };
        world.give(icmpv6(DOWNLINK, stub_router, heard.encode()));
        renumber(&mut world, "2001:db8:b000::/56", B);
        world.run_for(Duration::from_secs(60));
        renumber(&mut world, "2001:db8:a000::/56", A);
        world.run_for(Duration::from_secs(10));
        renumber(&mut world, "2001:db8:c000::/56", C);
        world.run_for(Duration::from_secs(60));
        assert_eq!(world.lifetimes("2001:db8:c000:1::/64"), Some(expected), "{snac_router}");
    }
}

/// RA-TX-63: the multicast ones may all be lost, and the second has to wait for three seconds.
#[test]
fn a_known_host_is_sent_two_changes_a_second_apart_at_once() {
    let mut world = settled();
    world.run_for(Duration::from_secs(60));
    let host =
        Neighbor { address: CLIENT, link_layer: vec![2; 6], unconfirmed_for: Duration::ZERO };
    world.kernel().neighbors = vec![(DOWNLINK, host)];
    for (delegated, on_link, subnet) in [
        ("2001:db8:b000::/56", B, "2001:db8:b000:1::/64"),
        ("2001:db8:c000::/56", C, "2001:db8:c000:1::/64"),
    ] {
        let begun = world.now();
        renumber(&mut world, delegated, on_link);
        world.run_for(Duration::from_millis(100));
        let sent = world.events(begun).find_map(|event| match event {
            Event::Advertise(to, advertisement) if *to == CLIENT => Some(advertisement.clone()),
            _ => None,
        });
        let sent = sent.expect("a copy for the host");
        let prefixes: Vec<String> = sent
            .prefixes()
            .filter(|prefix| !prefix.preferred.is_zero())
            .map(|prefix| prefix.prefix.to_string())
            .collect();
        assert_eq!(prefixes, [subnet]);
        world.run_for(Duration::from_millis(900));
    }
}
