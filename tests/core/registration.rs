//! A host registers its addresses where the network wants it (RFC 9686).

use std::net::Ipv6Addr;

use renumberd::config::{Config, file};
use renumberd::core::kernel::object::Port;
use renumberd::core::kernel::system::Origin;
use renumberd::wire::ndp::RouterAdvertisement;

use super::client::form;
use super::world::{ROUTER, icmpv6};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
const ADDRESS: &str = "2001:db8:a::2";
const ADDR_REG_ENABLE: u16 = 148;

fn host(more: &str) -> Config {
    file::parse("test.toml", &format!("[client.up]\n{more}")).unwrap()
}

/// A host with an address; its router says that there is a DHCPv6 server, which offers this where
/// `offers`.
fn registering(more: &str, offers: bool) -> World {
    let mut world = World::new(host(more), "2001:db8:a000::/56");
    world.kernel().change(KernelEvent::Forwarding(false));
    if offers {
        world.provider().options = vec![(ADDR_REG_ENABLE, Vec::new())];
    }
    let flags =
        RouterAdvertisement { other: true, ..world::advertisement(vec![pio(A, 7200, 3600)]) };
    world.provider().advertisement = Some(flags.clone());
    world.give(icmpv6(UPLINK, ROUTER, flags.encode()));
    form(&mut world, ADDRESS, Origin::Advertisement, false);
    world
}

/// From where addresses were registered.
fn registered(world: &World, since: Instant) -> Vec<Ipv6Addr> {
    let events = world.events(since).filter_map(|event| match event {
        Event::Register(source, _) => Some(*source),
        _ => None,
    });
    events.collect()
}

/// How often UDP port 546 was opened.
fn openings(world: &World, since: Instant) -> usize {
    let opens =
        |event: &&Event| matches!(event, Event::Step(Step::Set(Object::Port(Port::Client))));
    world.events(since).filter(opens).count()
}

/// CLI-30, CLI-31: found out once, registered once, from the address itself; the port is free again.
#[test]
fn an_address_is_registered_once_and_the_port_is_free_again() {
    let mut world = registering("", true);
    let start = world.now();
    world.run_for(3 * SECOND);
    let own: Ipv6Addr = ADDRESS.parse().unwrap();
    assert_eq!(world.sent(Instant::BOOT), [MessageType::InformationRequest]);
    assert_eq!(registered(&world, Instant::BOOT), [own]);
    assert!(!world.kernel().asking, "another program may need the port");
    // What the router says again and again extends the lifetimes.
    for _ in 0..60 {
        world.run_for(60 * SECOND);
        form(&mut world, ADDRESS, Origin::Advertisement, false);
    }
    world.run_for(SECOND);
    assert_eq!(registered(&world, start).len(), 1);
    for _ in 0..60 {
        world.run_for(60 * SECOND);
        form(&mut world, ADDRESS, Origin::Advertisement, false);
    }
    assert_eq!(registered(&world, start), [own; 2], "refreshed before two hours are over");
    assert!(openings(&world, Instant::BOOT) <= 3 && !world.kernel().asking);
}

/// CLI-30: where nobody offers it, where it is switched off, and where the operator has a DHCPv6
/// client run, nothing is registered.
#[test]
fn nothing_is_registered_where_nobody_wants_it() {
    let cases = [
        ("", false, 5),
        ("register-addresses = false", true, 0),
        ("other-script = \"/opt/other\"", true, 0),
        ("managed-script = \"/opt/managed\"", true, 0),
    ];
    for (more, offers, asked) in cases {
        let mut world = registering(more, offers);
        world.run_for(3000 * SECOND);
        assert_eq!(registered(&world, Instant::BOOT), [] as [Ipv6Addr; 0], "{more}");
        assert_eq!(world.sent(Instant::BOOT).len(), asked, "{more}");
        assert!(!world.kernel().asking, "{more}");
    }
}

/// CLI-30: a router without the M and O flags says that there is no server.
#[test]
fn without_a_flag_nobody_is_asked() {
    let mut world = World::new(host(""), "2001:db8:a000::/56");
    world.kernel().change(KernelEvent::Forwarding(false));
    world.provider().options = vec![(ADDR_REG_ENABLE, Vec::new())];
    world.advertise(vec![pio(A, 7200, 3600)]);
    form(&mut world, ADDRESS, Origin::Advertisement, false);
    world.run_for(3000 * SECOND);
    assert_eq!((world.sent(Instant::BOOT).len(), world.kernel().asking), (0, false));
}

/// CLI-31: from an address that duplicates are looked for of nothing leaves.
#[test]
fn a_tentative_address_is_registered_when_it_is_no_duplicate() {
    let mut world = registering("", true);
    world.run_for(3 * SECOND);
    world
        .kernel()
        .change(KernelEvent::AddressGone { interface: UPLINK, address: ADDRESS.parse().unwrap() });
    let since = world.now();
    form(&mut world, ADDRESS, Origin::Advertisement, true);
    world.run_for(SECOND);
    assert_eq!(registered(&world, since).len(), 0);
    form(&mut world, ADDRESS, Origin::Advertisement, false);
    world.run_for(SECOND);
    assert_eq!(registered(&world, since).len(), 1);
}

/// CLI-30: another link is asked anew.
#[test]
fn a_link_that_comes_back_is_asked_anew() {
    let mut world = registering("", true);
    world.run_for(3 * SECOND);
    world.carrier(UPLINK, false);
    world.run_for(SECOND);
    let since = world.now();
    world.carrier(UPLINK, true);
    world.run_for(3 * SECOND);
    assert_eq!(world.sent(since), [MessageType::InformationRequest]);
    assert_eq!(registered(&world, since).len(), 1);
}
