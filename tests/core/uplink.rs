//! What servers and routers above may say, and what it is when they say nothing.

use renumberd::core::input::Received;
use renumberd::core::kernel::object::{Port, Refusal};
use renumberd::wire::dhcpv6_option::{Status, StatusCode};

use crate::world::dhcpv6;

use super::*;

const DELEGATED: &str = "2001:db8:a000::/56";

fn conditions(world: &World) -> Vec<String> {
    world.status().conditions.into_iter().map(|found| found.name).collect()
}

fn delegated(world: &World) -> bool {
    world.routes().iter().any(|route| route.starts_with(DELEGATED))
}

/// A world in which the server answers through `change`.
fn answered(change: impl Fn(&mut Received)) -> World {
    let mut world = World::new(config(), DELEGATED);
    world.provider().deaf_to = vec![Solicit];
    world.run_for(Duration::from_secs(2));
    let question = world.log.iter().rev().find_map(|(_, event)| match event {
        Event::Dhcpv6(message) => Some(message.clone()),
        _ => None,
    });
    world.provider().deaf_to.clear();
    let answer = world.ask_server(&question.unwrap()).unwrap();
    let Input::Dhcpv6(mut received) = dhcpv6(&answer) else { unreachable!() };
    change(&mut received);
    world.give(Input::Dhcpv6(received));
    world.run_for(MS);
    world
}

/// PDC-06: a server answers from any address of its own.
#[test]
fn an_answer_may_come_from_any_unicast_address() {
    let cases = [
        ("fe80::1", true),
        ("2001:db8:ffff::547", true),
        ("fd00::1", true),
        ("ff02::1:2", false),
        ("::", false),
        ("::1", false),
        ("fe80::2", false), // our own
    ];
    for (source, followed) in cases {
        let world = answered(|received| received.source = source.parse().unwrap());
        assert_eq!(delegated(&world), followed, "{source}");
    }
    let to_all = answered(|received| received.destination = "ff02::1".parse().unwrap());
    assert!(!delegated(&to_all));
}

/// Where another client has UDP port 546 nothing is asked; once that is free, at once.
#[test]
fn a_port_that_is_taken_is_waited_for() {
    let mut world = World::new(config(), DELEGATED);
    world.refuse(|step, tries| {
        let is_port = *step == Step::Set(Object::Port(Port::Client));
        (is_port && tries < 12).then_some(Refusal::Exists)
    });
    world.restart();
    let start = world.now();
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(3));
    // Neither another prefix nor a command makes it ask, or keeps it busy.
    world.advertise(vec![pio(B, 7200, 3600)]);
    world.command(Command::Renew { uplink: None });
    while conditions(&world).contains(&"client-port-taken".to_owned()) {
        assert_eq!(world.sent(start), [] as [MessageType; 0]);
        assert_eq!(world.status().uplinks["up"].state, "waiting for UDP port 546");
        world.run_for(Duration::from_secs(1));
        assert!(world.now().since(start) < Duration::from_secs(3600), "it is never tried again");
    }
    let opened = Event::Step(Step::Set(Object::Port(Port::Client)));
    let at = world.log.iter().rev().find(|(_, event)| *event == opened).unwrap().0;
    assert!(at.since(start) > Duration::from_secs(60), "it was refused for long");
    world.run_for(10 * MS);
    assert!(delegated(&world), "{:?}", world.sent(at));
}

/// A port that another program has is a condition of its own, and counts among no other refusals.
#[test]
fn a_taken_port_is_not_counted_among_other_refusals() {
    let mut world = World::new(config(), DELEGATED);
    world.refuse(|step, _| match step {
        Step::Set(Object::Port(Port::Client)) => Some(Refusal::Exists),
        Step::Set(Object::Membership(..)) => Some(Refusal::NotPermitted),
        _ => None,
    });
    world.restart();
    world.run_for(Duration::from_secs(1));
    let status = world.status();
    let texts = |name: &str| {
        let found = status.conditions.iter().filter(|found| found.name == name);
        found.map(|found| found.text.clone()).collect::<Vec<_>>()
    };
    assert_eq!(texts("client-port-taken").len(), 1);
    let [text] = &texts("refused")[..] else { panic!("{:?}", status.conditions) };
    assert!(text.contains("join ff02::2 on lan") && !text.contains(" more"), "{text}");
}

/// Status shows of an uplink who is above, what is held, and from whom.
#[test]
fn status_shows_routers_addresses_and_leases_of_an_uplink() {
    let mut world = World::new(config(), DELEGATED);
    assert!(world.status().uplinks["up"].routers.is_empty());
    assert!(world.status().uplinks["up"].attached);
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(10));
    let status = world.status();
    let up = &status.uplinks["up"];
    let [router] = &up.routers[..] else { panic!("{up:?}") };
    assert_eq!(router.address, world::ROUTER);
    let [prefix] = &router.prefixes[..] else { panic!("{router:?}") };
    assert_eq!((prefix.prefix, prefix.valid, prefix.preferred), (net(A), Some(7190), Some(3590)));
    assert_eq!(up.leases.iter().map(|lease| lease.prefix).collect::<Vec<_>>(), [net(DELEGATED)]);
    assert!(up.server.is_some() && up.addresses.iter().any(|one| net(A).contains(&one.address)));
    world.vanish(UPLINK);
    assert!(!world.status().uplinks["up"].attached);
}

/// A router that asks for nothing leaves UDP port 546 to others.
#[test]
fn without_an_uplink_no_client_s_port_is_open() {
    let is_open = |world: &World| {
        let mut steps = world.log.iter().filter_map(|(_, event)| match event {
            Event::Step(step @ (Step::Set(object) | Step::Remove(object)))
                if *object == Object::Port(Port::Client) =>
            {
                Some(matches!(step, Step::Set(_)))
            }
            _ => None,
        });
        steps.next_back()
    };
    let mut world = World::new(config(), DELEGATED);
    assert_eq!(is_open(&world), Some(true));
    let site = "[downlink.lan]\n[static.site]\nprefix = \"3fff:1::/48\"\n";
    let config = renumberd::config::file::parse("test.toml", site).unwrap();
    world.command(Command::Reload(Box::new(config.clone())));
    world.run_for(Duration::from_secs(1));
    assert_eq!(is_open(&world), Some(false));
    assert_eq!(is_open(&World::new(config, DELEGATED)), None);
}

/// PDC-92: octets behind the last option, and an option that is malformed, cost nothing else.
#[test]
fn an_odd_option_costs_itself_alone() {
    let odd: [&[u8]; 4] = [&[0], &[0, 24, 0, 2, 1, b'a'], &[0, 82, 0, 1, 9], &[0, 23, 0, 40, 1]];
    for octets in odd {
        let world = answered(|received| received.octets.extend(octets));
        assert!(delegated(&world), "{octets:?}");
        let counters = world.status().counters;
        let counted = counters.iter().any(|(name, _)| name.starts_with("dhcpv6-option-"));
        assert!(counted, "{counters:?}");
    }
}

/// PDC-72: a prefix that would cover networks of others is refused, counted and named.
#[test]
fn a_prefix_that_is_too_short_is_refused_and_named() {
    let mut world = World::new(config(), "2000::/3");
    world.run_for(Duration::from_secs(3));
    assert!(!world.routes().iter().any(|route| route.starts_with("2000::/3")));
    assert!(conditions(&world).contains(&"prefix-refused".to_owned()));
    let counters = world.status().counters;
    assert!(counters.get("delegated-too-short").is_some_and(|count| *count > 0));
    world.provider().prefix = net(DELEGATED);
    world.run_for(Duration::from_secs(60));
    assert!(delegated(&world));
    assert!(!conditions(&world).contains(&"prefix-refused".to_owned()));
}

/// PDC-95: what is awaited in vain is named after five seconds, with what is kept, and over when it
/// comes.
#[test]
fn silence_is_named_and_ends() {
    let mut world = World::new(config(), DELEGATED);
    let all = vec![Solicit, Request, Renew, Rebind];
    world.provider().deaf_to = all.clone();
    world.run_for(Duration::from_secs(4));
    assert_eq!(conditions(&world), [""; 0]);
    world.run_for(Duration::from_secs(3));
    assert_eq!(conditions(&world), ["no-router", "server-silent"]);
    let status = world.status();
    assert!(status.conditions.iter().all(|found| found.text.contains("No delegated prefix")));
    world.advertise(vec![pio(A, 7200, 3600)]);
    assert_eq!(conditions(&world), ["server-silent"]);
    world.provider().deaf_to.clear();
    world.run_for(Duration::from_secs(60));
    assert_eq!(conditions(&world), [""; 0]);
    // A server that is silent later.
    world.provider().deaf_to = all;
    world.advertise(vec![pio(B, 7200, 3600)]);
    world.run_for(Duration::from_secs(6));
    assert_eq!(conditions(&world), ["server-silent"]);
    let status = world.status();
    assert!(status.conditions[0].text.contains(&format!("{DELEGATED} for 7")), "{status:?}");
}

/// PDC-95: on a link that is down nothing is awaited, and on one that comes back silence begins anew.
#[test]
fn silence_ends_with_the_link() {
    let mut world = World::new(config(), DELEGATED);
    world.provider().deaf_to = vec![Solicit, Request, Renew, Rebind];
    world.run_for(Duration::from_secs(10));
    assert_eq!(conditions(&world), ["no-router", "server-silent"]);
    world.carrier(UPLINK, false);
    world.run_for(Duration::from_millis(1));
    assert_eq!(conditions(&world), ["interface-down"]);
    world.carrier(UPLINK, true);
    world.run_for(Duration::from_secs(4));
    assert_eq!(conditions(&world), [""; 0]);
}

/// PDC-97: a server that answers and gives nothing is named after five seconds, with its words and
/// when it is asked again, and over when a prefix comes.
#[test]
fn a_server_that_refuses_is_named_and_ends() {
    let mut world = World::new(config(), DELEGATED);
    let text = "pool\u{7}empty".to_owned();
    world.provider().refuses = Some(Status { code: StatusCode::NoPrefixAvail, text });
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(4));
    assert_eq!(conditions(&world), [""; 0]);
    world.run_for(Duration::from_secs(3));
    assert_eq!(conditions(&world), ["prefix-unavailable"]);
    let text = world.status().conditions.remove(0).text;
    for part in ["NoPrefixAvail (6), \"pool empty\"", "asked again in ", "No delegated prefix"] {
        assert!(text.contains(part), "{text}");
    }
    world.provider().refuses = None;
    world.run_for(Duration::from_secs(60));
    assert_eq!(conditions(&world), [""; 0]);
    assert!(delegated(&world));
    // Later, for what is held: it is kept meanwhile.
    let text = String::new();
    world.provider().refuses = Some(Status { code: StatusCode::UnspecFail, text });
    world.advertise(vec![pio(B, 7200, 3600)]);
    world.run_for(Duration::from_secs(10));
    assert_eq!(conditions(&world), ["prefix-unavailable"]);
    let text = world.status().conditions.remove(0).text;
    assert!(text.contains("UnspecFail (1)") && text.contains(DELEGATED), "{text}");
    assert!(delegated(&world));
}

/// An uplink may be called what static prefixes go by.
#[test]
fn changes_of_static_prefixes_are_no_uplink_s() {
    let site = "[uplink.static]\n[downlink.lan]\n[static.site]\nprefix = \"3fff:1::/48\"\n";
    let config = renumberd::config::file::parse("test.toml", site).unwrap();
    let mut world = World::new(config, "2001:db8:a000::/56");
    world.run_for(Duration::from_secs(5));
    let prefixes = [("site".to_owned(), Some(net("3fff:2::/48")))].into();
    world.command(Command::SetPrefixes { prefixes, graceful: false });
    world.run_for(Duration::from_secs(5));
    let changes = world.status().changes;
    let last = changes.last().unwrap();
    assert_ne!(last.uplink, "static");
    assert_eq!(last.to.delegated, [net("3fff:2::/48")]);
}

/// UPL-10: what the router above withdraws stays by the two-hour rule while nothing takes its place,
/// and leaves after the grace time once there is something.
#[test]
fn a_withdrawn_prefix_stays_in_use_until_there_is_another() {
    let mut world = settled();
    let has_old =
        |world: &World| world.addresses().iter().any(|address| address.starts_with("2001:db8:a:"));
    world.advertise(vec![pio(A, 0, 0)]);
    world.run_for(Duration::from_secs(300));
    assert!(has_old(&world), "{:?}", world.addresses());
    world.advertise(vec![pio(B, 7200, 3600)]);
    world.run_for(Duration::from_secs(60));
    assert!(!has_old(&world), "{:?}", world.addresses());
}

/// UPL-10: what has left stays away when the prefix in its place is deprecated in turn, by its own
/// lifetime or by its router.
#[test]
fn a_replaced_prefix_does_not_come_back_when_its_successor_is_deprecated() {
    let deprecated_by_its_lifetime = |_: &mut World| {};
    let deprecated_by_its_router = |world: &mut World| world.advertise(vec![pio(B, 7200, 0)]);
    for deprecate in [deprecated_by_its_lifetime as fn(&mut World), deprecated_by_its_router] {
        let mut world = settled();
        world.advertise(vec![pio(A, 0, 0), pio(B, 7200, 120)]);
        world.run_for(Duration::from_secs(60));
        deprecate(&mut world);
        world.run_for(Duration::from_secs(120));
        let before = world.addresses();
        assert!(!before.iter().any(|address| address.starts_with("2001:db8:a:")), "{before:?}");
        world.give(Input::System(world.system().clone()));
        assert_eq!(world.addresses(), before, "when derived anew");
    }
}

/// RA-RX-69: an address whose prefix is deprecated by its lifetime gives its room to a preferred one
/// when that happens, not with the next message.
#[test]
fn room_is_given_away_when_a_preferred_lifetime_ends() {
    let mut world = settled();
    let prefix = |number: u32| format!("2001:db8:{number:x}:1::/64");
    let pios = (1..24).map(|number| pio(&prefix(number), 7200, 60 * number));
    world.advertise(pios.collect());
    // What lifetimes change reaches the kernel within some seconds.
    world.run_for(Duration::from_secs(30));
    for _ in 0..24 {
        world.run_for(Duration::from_secs(60));
        let before = world.addresses();
        world.give(Input::System(world.system().clone()));
        world.run_for(100 * MS);
        assert_eq!(world.addresses(), before, "when derived anew");
    }
}

/// PDC-51: the delegating router has its route to the address that asked last.
#[test]
fn a_changed_link_local_address_asks_at_once() {
    let mut world = settled();
    let since = world.now();
    let old = "fe80::2".parse().unwrap();
    world.kernel().foreign_addresses.remove(&(UPLINK, old));
    world.kernel().change(KernelEvent::AddressGone { interface: UPLINK, address: old });
    world.kernel().set_foreign(address(UPLINK, "fe80::22", false));
    world.run_for(100 * MS);
    assert_eq!(world.sent(since), [Renew]);
}

/// CHG-05: a router that has spoken just before the system reports the link ends the random delay.
#[test]
fn words_before_the_link_is_reported_end_the_delay() {
    for (lead, asks_at_once) in [(1, true), (3, false)] {
        let mut world = settled();
        world.carrier(UPLINK, false);
        world.run_for(Duration::from_secs(20));
        world.advertise(vec![pio(A, 7200, 3600)]);
        world.run_for(Duration::from_secs(lead));
        let since = world.now();
        world.carrier(UPLINK, true);
        world.run_for(MS);
        assert_eq!(!world.sent(since).is_empty(), asks_at_once, "{lead} s before");
    }
}
