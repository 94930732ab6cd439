//! A host whose kernel does not take what the agent has heard, and solicitations that cannot be sent.

use std::net::Ipv6Addr;

use renumberd::config::file;
use renumberd::core::kernel::system::Origin;
use renumberd::core::uplink::Lack;
use renumberd::net::ALL_ROUTERS;
use renumberd::time::Until;
use renumberd::wire::ndp_option::{NdpOption, PrefixInformation};

use super::client::form;
use super::world::ROUTER;
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const ADDRESS: &str = "2001:db8:a::2";

fn started(more: &str) -> World {
    let text = format!("[client.up]\n{more}");
    let mut world = World::new(file::parse("test.toml", &text).unwrap(), "2001:db8:a000::/56");
    world.kernel().change(KernelEvent::Forwarding(false));
    world.run_for(SECOND);
    world
}

/// The router advertises, and says the same when it is asked.
fn advertise(world: &mut World, prefix: &str) {
    let options = vec![pio(prefix, 7200, 3600)];
    world.provider().advertisement = Some(world::advertisement(options.clone()));
    world.advertise(options);
}

fn lack(world: &World) -> Option<Lack> {
    world.net.nodes[0].core.lack(world.now(), "up").unwrap()
}

fn complains(world: &World) -> bool {
    world.status().conditions.iter().any(|condition| condition.name == "address-not-formed")
}

/// CLI-35: the kernel drops an advertisement whole while its table of neighbors is full.
#[test]
fn where_the_kernel_makes_no_address_routers_are_asked_again() {
    let mut world = started("");
    advertise(&mut world, A);
    let since = world.now();
    world.run_for(2900 * MS);
    assert_eq!((lack(&world), world.solicitations(since)), (Some(Lack::Address), 0));
    world.run_for(200 * MS);
    assert_eq!(world.solicitations(since), 1, "an address takes two seconds at most");
    assert!(!complains(&world), "it may come with the answer");
    world.run_for(10 * SECOND);
    assert!(complains(&world));
    form(&mut world, ADDRESS, Origin::Advertisement, true);
    world.run_for(SECOND);
    assert!(!complains(&world));
    assert_eq!(lack(&world), Some(Lack::Address), "it is tentative");
    form(&mut world, ADDRESS, Origin::Advertisement, false);
    world.run_for(SECOND);
    assert_eq!(lack(&world), None);
    let since = world.now();
    world.run_for(300 * SECOND);
    assert_eq!(world.solicitations(since), 0);
}

/// CLI-35: a kernel that is to make no addresses draws few solicitations, which end.
#[test]
fn of_a_kernel_that_never_makes_an_address_routers_are_asked_ever_more_rarely() {
    let mut world = started("");
    advertise(&mut world, A);
    let since = world.now();
    world.run_for(900 * SECOND);
    assert!((5..=9).contains(&world.solicitations(since)), "{}", world.solicitations(since));
    let since = world.now();
    // Then the router's own lifetime is over.
    world.run_for(800 * SECOND);
    assert_eq!(world.solicitations(since), 0);
    assert!(complains(&world));
}

/// CLI-35: the usual case costs nothing, and an address in any of several prefixes is one.
#[test]
fn a_host_with_an_address_asks_for_no_other() {
    let mut world = started("");
    advertise(&mut world, A);
    form(&mut world, ADDRESS, Origin::Advertisement, false);
    let since = world.now();
    world.advertise(vec![pio(A, 7200, 3600), pio(B, 7200, 3600)]);
    world.run_for(300 * SECOND);
    assert_eq!(world.solicitations(since), 0);
}

/// CLI-36: a kernel that is full of addresses that were left gets room, and the host what it had at
/// the end.
#[test]
fn where_addresses_that_were_left_take_all_room_more_is_made() {
    for (count, expected) in [(4, 16), (16, 64)] {
        let mut world = started("");
        world.kernel().set_sysctl(UPLINK, "max_addresses", 16);
        for number in 0..count {
            let former = address(UPLINK, &format!("2001:db8:f{number:x}::2"), false);
            let preferred_until = Until::At(Instant::BOOT);
            world
                .kernel()
                .change(KernelEvent::Address(KernelAddress { preferred_until, ..former }));
        }
        let since = world.now();
        advertise(&mut world, A);
        world.run_for(2900 * MS);
        assert_eq!(world.kernel().sysctl("up", "max_addresses"), Some(16));
        world.run_for(400 * MS);
        assert_eq!(world.kernel().sysctl("up", "max_addresses"), Some(expected), "{count}");
        assert_eq!(world.solicitations(since), 1, "the kernel has to hear it again");
        form(&mut world, ADDRESS, Origin::Advertisement, false);
        world.run_for(60 * SECOND);
        assert_eq!(world.kernel().sysctl("up", "max_addresses"), Some(expected), "it stays");
    }
}

/// CLI-35: what is renumbered is looked at as well.
#[test]
fn a_new_prefix_that_the_kernel_has_not_taken_is_asked_for() {
    let mut world = started("");
    advertise(&mut world, A);
    form(&mut world, ADDRESS, Origin::Advertisement, false);
    world.run_for(60 * SECOND);
    let withdrawn = vec![pio(A, 7200, 0), pio(B, 7200, 3600)];
    world.provider().advertisement = Some(world::advertisement(withdrawn.clone()));
    let since = world.now();
    world.advertise(withdrawn);
    world.run_for(4 * SECOND);
    assert_eq!((lack(&world), world.solicitations(since)), (Some(Lack::Address), 1));
}

/// B, with the P flag.
fn shared(preferred: u32) -> NdpOption {
    NdpOption::Prefix(PrefixInformation {
        prefix: net(B),
        on_link: true,
        autonomous: true,
        delegation_preferred: true,
        valid: Lifetime::Finite(7200),
        preferred: Lifetime::Finite(preferred),
    })
}

/// A host that would take a prefix of its own is ready without one where nobody says that there is
/// one, and where nobody has given one in ten seconds.
#[test]
fn a_host_waits_for_a_prefix_of_its_own_only_where_there_may_be_one() {
    let mut world = started("delegate = true");
    world.provider().deaf_to = vec![Solicit];
    advertise(&mut world, A);
    form(&mut world, ADDRESS, Origin::Advertisement, false);
    world.run_for(SECOND);
    assert_eq!(lack(&world), None);
    world.advertise(vec![pio(A, 7200, 3600), shared(3600)]);
    world.run_for(SECOND);
    assert_eq!(lack(&world), Some(Lack::Lease));
    world.run_for(10 * SECOND);
    assert_eq!(lack(&world), None, "it has an address");
}

/// CLI-21: what a PIO says of asking for a prefix ends with its preferred lifetime, not with the next
/// message.
#[test]
fn a_prefix_is_asked_for_no_longer_than_a_shared_one_is_preferred() {
    let mut world = started("delegate = true");
    world.provider().deaf_to = vec![Solicit];
    world.advertise(vec![shared(600)]);
    world.run_for(599 * SECOND);
    assert!(world.kernel().asking);
    world.run_for(2 * SECOND);
    assert!(!world.kernel().asking);
    let since = world.now();
    world.run_for(6000 * SECOND);
    assert!(world.sent(since).is_empty(), "{:?}", world.sent(since));
}

/// CLI-35: an address in a prefix that is preferred no more is not missed.
#[test]
fn no_address_is_missed_where_no_prefix_is_preferred_any_more() {
    let mut world = started("");
    world.advertise(vec![pio(A, 7200, 2000)]);
    world.run_for(1999 * SECOND);
    assert!(complains(&world));
    world.run_for(2 * SECOND);
    assert!(!complains(&world));
}

fn drop_solicitation(world: &mut World, destination: Ipv6Addr) {
    world.give(Input::NotSent { interface: UPLINK, destination, is_dropped: true });
}

/// RS-12: what has not left is no solicitation, and the next one comes soon.
#[test]
fn a_solicitation_that_cannot_be_sent_is_repeated_soon() {
    let mut world = started("");
    let since = world.now();
    for (count, pause) in [(1, 1000), (2, 2000)] {
        drop_solicitation(&mut world, ALL_ROUTERS);
        world.run_for((pause - 10) * MS);
        assert_eq!(world.solicitations(since), count - 1, "{pause}");
        world.run_for(20 * MS);
        assert_eq!(world.solicitations(since), count, "{pause}");
    }
    drop_solicitation(&mut world, ALL_ROUTERS);
    world.run_for(3500 * MS);
    assert_eq!(world.solicitations(since), 2);
    world.run_for(SECOND);
    assert_eq!(world.solicitations(since), 3, "RTR_SOLICITATION_INTERVAL, more or less");
}

/// CLI-07: a router that could not be asked is not silent.
#[test]
fn a_router_that_could_not_be_asked_is_not_silent() {
    let is_silent = |refuses: bool| {
        let other = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
        let mut world = started("");
        advertise(&mut world, A);
        form(&mut world, ADDRESS, Origin::Advertisement, false);
        world.run_for(60 * SECOND);
        world.provider().advertisement = None;
        world.advertise_from(other, vec![pio(B, 7200, 3600)]);
        for _ in 0..200 {
            world.run_for(100 * MS);
            if refuses {
                drop_solicitation(&mut world, ROUTER);
            }
        }
        world.status().conditions.iter().any(|condition| condition.name == "router-silent")
    };
    assert!(is_silent(false) && !is_silent(true));
}
