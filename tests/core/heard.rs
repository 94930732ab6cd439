//! What advertisements cost that say nothing new, or that somebody forges (CHG-01, SEC-06).

use renumberd::core::kernel::system::RouteTarget;
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::NdpOption;
use world::{ROUTER, icmpv6};

use super::*;

/// Addresses and routes that were set.
fn steps(world: &World, since: Instant) -> usize {
    let steps = world.events(since).filter(|event| {
        matches!(
            event,
            Event::Step(
                Step::Set(Object::Address(_))
                    | Step::Set(Object::Route(_))
                    | Step::Replace(Object::Route(_))
            )
        )
    });
    steps.count()
}

fn advertise_for(world: &mut World, router_lifetime: u16, options: Vec<NdpOption>) {
    let advertisement =
        RouterAdvertisement { router_lifetime, options, ..RouterAdvertisement::default() };
    world.give(icmpv6(UPLINK, ROUTER, advertisement.encode()));
}

/// However often lifetimes move, the kernel is told of it every ten seconds.
#[test]
fn a_flood_of_lifetimes_costs_few_steps() {
    let mut world = settled();
    let since = world.now();
    for number in 0..2000_u32 {
        let valid = if number % 2 == 0 { 3600 } else { 7200 };
        advertise_for(&mut world, 1800, vec![pio(A, valid, valid / 2)]);
        world.run_for(30 * MS);
    }
    assert!(steps(&world, since) <= 40, "{}", steps(&world, since));
    world.run_for(Duration::from_secs(11));
    let address =
        world.system().addresses.values().find(|one| one.ours && net(A).contains(&one.address));
    let left = address.unwrap().valid_until.at().unwrap().since(world.now());
    assert!(left >= Duration::from_secs(7170), "{left:?}");
    assert_eq!(world.sent(since), [] as [MessageType; 0]);
}

/// A router that advertises short lifetimes again and again: nothing runs out in between.
#[test]
fn short_lifetimes_that_are_repeated_never_run_out() {
    for (lifetime, apart) in [(20, Duration::from_secs(5)), (60, Duration::from_secs(19))] {
        let mut world = settled();
        for _ in 0..60 {
            let valid = u32::from(lifetime);
            advertise_for(&mut world, lifetime, vec![pio(A, valid, valid)]);
            for _ in 0..10 {
                world.run_for(apart / 10);
                let preferred = world.preferred();
                assert!(preferred.iter().any(|one| one.starts_with("2001:db8:a:")));
                let mut routes = world.system().routes.values();
                let default = routes.find(|route| {
                    route.destination.prefix_len() == 0
                        && matches!(route.target, RouteTarget::Gateway(..))
                });
                assert!(default.is_some_and(|route| !route.until.is_over(world.now())));
            }
        }
    }
}

/// A flood of prefixes has the whole derived a few times a second, and the last one counts.
#[test]
fn a_flood_of_prefixes_costs_few_derivations() {
    let mut world = settled();
    let since = world.now();
    let mut rounds = 0;
    for number in 0..400_u32 {
        let before = steps(&world, world.now());
        advertise_for(
            &mut world,
            1800,
            vec![pio(&format!("2001:db8:f:{number:x}::/64"), 7200, 3600)],
        );
        world.run_for(5 * MS);
        rounds += usize::from(steps(&world, world.now() - 5 * MS) > before);
    }
    assert!(rounds <= 10 + 2 * 4 + 20, "{rounds}");
    world.run_for(Duration::from_secs(2));
    let last = net("2001:db8:f:18f::/64");
    assert!(world.system().addresses.values().any(|one| last.contains(&one.address)));
    assert!(world.sent(since).len() <= 20);
}
