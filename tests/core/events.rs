//! What the core reports.

use std::net::Ipv6Addr;

use renumberd::core::event::{Event, Level};
use renumberd::core::input::Command;
use renumberd::core::kernel::object::Refusal;

use crate::world::{DOWNLINK, ROUTER};

use super::*;

const FIRST: &str = "2001:db8:a000::/56";
const SECOND: &str = "2001:db8:b000::/56";

/// The names of the events since the last call, without repetitions in a row, of `level` or more
/// urgent.
fn kinds(world: &mut World, level: Level) -> Vec<String> {
    let events = std::mem::take(&mut world.events).into_iter();
    let shown = events.filter(|event| level == Level::Debug || event.level() != Level::Debug);
    let mut kinds: Vec<String> = shown
        .map(|event| {
            let (name, detail) = event.kind();
            if detail.is_empty() { name.to_owned() } else { format!("{name} {detail}") }
        })
        .collect();
    kinds.dedup();
    kinds
}

fn settled() -> World {
    let mut world = World::new(config(), FIRST);
    world.advertise(vec![pio(A, 7200, 3600)]);
    // What was advertised first is followed up for less than a minute (CHG-15).
    world.run_for(Duration::from_secs(60));
    world.events.clear();
    world
}

/// Each step of a change is an event, in its order, and the last one has all of it.
#[test]
fn a_change_is_reported_from_its_beginning_to_its_end() {
    let mut world = settled();
    world.provider().prefix = net(SECOND);
    world.advertise(vec![pio(A, 7200, 0), pio(B, 7200, 3600)]);
    world.run_for(Duration::from_secs(5));
    let finished = world.events.iter().find_map(|event| match event {
        Event::ChangeFinished { interface, from, to, latencies, .. } => {
            Some((interface.clone(), from.clone(), to.clone(), latencies.len()))
        }
        _ => None,
    });
    let (interface, from, to, stages) = finished.expect("the change is finished");
    assert_eq!(interface, "up");
    assert_eq!((from.delegated, to.delegated), (vec![net(FIRST)], vec![net(SECOND)]));
    assert_eq!(stages, 4, "each stage has its latency");
    assert_eq!(
        kinds(&mut world, Level::Debug),
        [
            "change-began",
            "lease sent",
            "change-reached",
            "lease bound",
            "lease lost",
            "change-reached",
            "change-finished",
        ]
    );
}

/// An operator reads what is news, and not each packet.
#[test]
fn a_renewal_that_brings_nothing_new_is_two_lines() {
    let mut world = settled();
    world.command(Command::Renew { uplink: None });
    world.run_for(Duration::from_millis(500));
    let kinds = kinds(&mut world, Level::Info);
    assert_eq!(kinds, ["command-received renew", "lease sent", "lease bound", "change-finished"]);
}

/// A default router that comes and goes, and with the last one the default route.
#[test]
fn default_routers_appear_and_are_lost() {
    let mut world = World::new(config(), FIRST);
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(1));
    let appeared = kinds(&mut world, Level::Info);
    assert!(appeared.contains(&"router-appeared".to_owned()), "{appeared:?}");
    assert!(appeared.contains(&"default-route-found".to_owned()), "{appeared:?}");
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(60));
    let quiet = kinds(&mut world, Level::Info);
    assert!(!quiet.iter().any(|kind| kind.contains("rout")), "{quiet:?}");
    world.withdraw_router(ROUTER);
    assert_eq!(kinds(&mut world, Level::Info), ["router-lost"]);
    world.run_for(Duration::from_secs(2));
    let lost = kinds(&mut world, Level::Info);
    assert_eq!(lost, ["default-route-lost", "condition-began no-default-router"]);
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(1));
    let found = ["router-appeared", "default-route-found", "condition-over no-default-router"];
    assert_eq!(kinds(&mut world, Level::Info), found);
    world.vanish(UPLINK);
    assert_eq!(kinds(&mut world, Level::Info)[0], "router-lost");
}

/// Of what anybody can send there is no event where nobody reads it.
#[test]
fn a_packet_that_is_dropped_is_no_event_where_nobody_reads_it() {
    for is_read in [true, false] {
        let mut world = settled();
        world.node().core.set_reports_debug(is_read);
        for _ in 0..1000 {
            world.give(world::icmpv6(UPLINK, "2001:db8::1".parse().unwrap(), vec![134, 0, 0, 0]));
        }
        let rejected = world.events.iter().filter(|event| event.kind().0 == "packet-rejected");
        assert_eq!(rejected.count(), usize::from(is_read));
    }
}

/// A condition is reported when it begins and when it is over, with what it is about.
#[test]
fn conditions_begin_and_end() {
    let mut world = settled();
    world.carrier(DOWNLINK, false);
    let is_about = |event: &Event| event.interface() == Some("lan");
    let begun: Vec<Event> = world.events.drain(..).filter(|event| is_about(event)).collect();
    assert_eq!(begun[0].kind(), ("condition-began", "interface-down"), "{begun:?}");
    world.carrier(DOWNLINK, true);
    let kinds = kinds(&mut world, Level::Info);
    assert!(kinds.contains(&"condition-over interface-down".to_owned()), "{kinds:?}");
}

/// RA-RX-12: another router on a downlink is reported, rarely, and changes nothing.
#[test]
fn another_router_on_a_downlink_is_reported_once_in_a_while() {
    let mut world = settled();
    let (addresses, routes) = (world.addresses(), world.routes());
    let router: Ipv6Addr = "fe80::99".parse().unwrap();
    for _ in 0..100 {
        let octets = world::advertisement(vec![pio("2001:db8:dead::/64", 7200, 3600)]).encode();
        world.give(world::icmpv6(DOWNLINK, router, octets));
    }
    let reported = Event::ForeignRouter { interface: Some("lan".to_owned()), router };
    assert_eq!(world.events, [reported]);
    assert_eq!((world.addresses(), world.routes()), (addresses, routes));
}

/// LOOP-06: however often a refused step is tried, it is one event, which says where and why.
#[test]
fn a_refused_step_is_reported_once() {
    let mut world = World::new(config(), FIRST);
    world.refuse(|step, _| {
        let is_address =
            matches!(step, Step::Set(Object::Address(address)) if address.interface == DOWNLINK);
        is_address.then_some(Refusal::NotPermitted)
    });
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(30));
    let refused = world.events.iter().filter(|event| event.kind().0 == "step-refused");
    let [refused] = refused.collect::<Vec<_>>()[..] else { panic!("{:?}", world.events) };
    assert_eq!((refused.level(), refused.interface()), (Level::Warn, Some("lan")));
    let sentence = refused.to_string();
    assert!(sentence.starts_with("the kernel refused to set address 2001:db8:a000:"), "{sentence}");
    assert!(sentence.contains("/64 on lan: "), "{sentence}");
}

/// UPL-05: an address that another node has is an error that names it.
#[test]
fn an_address_that_another_node_has_is_reported() {
    let mut world = settled();
    let ours = world.system().addresses.values().find(|one| one.ours && one.interface == DOWNLINK);
    let ours = ours.cloned().unwrap();
    find_in_use(&mut world, &ours);
    let interface = Some("lan".to_owned());
    let reported = Event::AddressDuplicate { interface, address: ours.address };
    assert_eq!(reported.level(), Level::Error);
    assert!(world.events.contains(&reported), "{:?}", world.events);
}

/// What an operator asked for is reported with what it is about.
#[test]
fn commands_are_reported() {
    let mut world = settled();
    world.command(Command::LinkUp { uplink: "up".to_owned() });
    let interface = Some("up".to_owned());
    assert_eq!(world.events[0], Event::CommandReceived { interface, command: "linkup" });
}
