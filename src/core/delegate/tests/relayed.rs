//! Behind relays (RLY-30, RLY-31, SRV-60).

use MessageType::*;

use super::*;
use crate::core::kernel::system::RouteTarget;
use crate::wire::dhcpv6_relay::{RelayKind, RelayMessage, RelayOption};

const RELAY: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xa);

fn level(hop_count: u8, link: &str, peer: &str, interface: &[u8]) -> RelayMessage {
    RelayMessage {
        kind: RelayKind::Forward,
        hop_count,
        link_address: link.parse().unwrap(),
        peer_address: peer.parse().unwrap(),
        options: vec![RelayOption::InterfaceId(interface.to_vec())],
    }
}

/// Through two relays; the outer one names no link.
fn behind(link: &str) -> Contact {
    let levels = [level(1, "::", "fe80::b", b"eth7"), level(0, link, "fe80::1", b"x")];
    Contact {
        next_hop: RELAY,
        relay: Some(RELAY),
        port: 547,
        levels: levels.iter().map(RelayMessage::encode).collect(),
        ..contact(1)
    }
}

/// The message inside of an answer, whose levels are the mirror of the question's.
fn unwrapped(octets: &[u8]) -> Message {
    let mut octets = octets.to_vec();
    let expected = [(1, "::", "fe80::b", &b"eth7"[..]), (0, "fd00:1::1", "fe80::1", b"x")];
    for (hop_count, link, peer, interface) in expected {
        let level = RelayMessage::decode(&octets).unwrap();
        assert_eq!((level.kind, level.hop_count), (RelayKind::Reply, hop_count));
        assert_eq!(level.link_address, link.parse::<Ipv6Addr>().unwrap());
        assert_eq!(level.peer_address, peer.parse::<Ipv6Addr>().unwrap());
        assert_eq!(level.interface_id(), Some(interface));
        octets = level.relayed().unwrap().to_vec();
    }
    Message::decode(&octets).unwrap()
}

fn hear(world: &mut World, number: u8, kind: MessageType, link: &str) -> Answer {
    let options = [ia(1, &[]), Dhcpv6Option::ReconfigureAccept];
    let arrival = Arrival { downlink: "lan0".into(), contact: behind(link) };
    let message = message(number, kind, &options);
    world.delegating.handle_message(world.now, &arrival, &message).unwrap().answer.unwrap()
}

/// RLY-30
#[test]
fn an_answer_goes_back_through_the_relays_it_came_through() {
    let mut world = World::new(SITE, A);
    for kind in [Solicit, Request] {
        let answer = unwrapped(&hear(&mut world, 1, kind, "fd00:1::1").octets);
        assert_eq!(prefixes_of(&answer, 1).unwrap()[0].0, net("2001:db8:a00:10::/60"));
    }
    let route = &world.delegating.routes(&key(1, 1), LAN)[0];
    assert_eq!(route.target, RouteTarget::Gateway(LAN, RELAY), "SRV-60");
}

/// SRV-60: there is no advertisement that would reach it.
#[test]
fn a_reconfigure_goes_through_the_relays_too() {
    let mut world = World::new(SITE, A);
    hear(&mut world, 1, Request, "fd00:1::1");
    world.renumber(B);
    let Some(Notification::Reconfigure { contact, octets, .. }) =
        world.delegating.poll_notification()
    else {
        panic!("a Reconfigure")
    };
    assert_eq!((contact.relay, contact.port), (Some(RELAY), 547));
    assert_eq!(unwrapped(&octets).kind, Reconfigure);
    assert_eq!(world.delegating.poll_notification(), None);
    let mut world = World::new(SITE, A);
    let request = message(1, Request, &[ia(1, &[])]);
    let arrival = Arrival { downlink: "lan0".into(), contact: behind("fd00:1::1") };
    world.delegating.handle_message(world.now, &arrival, &request).unwrap();
    world.renumber(B);
    assert_eq!(world.delegating.poll_notification(), None, "without a key nothing reaches it");
}

/// RLY-31: the innermost link that is named.
#[test]
fn the_link_that_a_relay_names_chooses_the_pool() {
    let two = format!(
        "{}\n[pool.far]\ndownlink = \"lan0\"\nlink = \"fd00:2::/64\"\nprefix = \"0xe/60\"",
        POOL.replace("[pool.guests]", "[pool.zz]\nlink = \"fd00:1::/64\"")
    );
    for (link, number, block) in [
        ("fd00:1::1", 1, Some("2001:db8:a00:f0::/60")),
        ("fd00:2::1", 2, Some("2001:db8:a00:e0::/60")),
        ("fd00:3::1", 3, None),
        ("::", 4, None),
    ] {
        let mut world = World::new(&two, A);
        let answer = hear(&mut world, number, Request, link);
        let inner = RelayMessage::decode(&answer.octets).unwrap();
        let inner = RelayMessage::decode(inner.relayed().unwrap()).unwrap();
        let answer = Message::decode(inner.relayed().unwrap()).unwrap();
        let given = prefixes_of(&answer, 1).ok().map(|prefixes| prefixes[0].0);
        assert_eq!(given.map(|given| net(block.unwrap()).contains(&given)), block.map(|_| true));
    }
    // A router that asks without a relay is on none of them.
    let mut world = World::new(&two, A);
    assert_eq!(world.ask(1, Request, &[]), Err(StatusCode::NoPrefixAvail));
}

/// RFC 9915 §18.3.4, §18.3.5: also of who has something already.
#[test]
fn a_router_that_comes_from_another_link_gives_back_what_it_had() {
    let two = format!(
        "{}\n[pool.far]\ndownlink = \"lan0\"\nlink = \"fd00:2::/64\"\nprefix = \"0xe/60\"",
        POOL.replace("[pool.guests]", "[pool.zz]\nlink = \"fd00:1::/64\"")
    );
    for kind in [Renew, Rebind, Request] {
        let mut world = World::new(&two, A);
        let first = prefixes_by(&mut world, Request, "fd00:1::1", &[])[0].0;
        let named = first.to_string();
        // The other link has a pool of its own, or none.
        for (link, count) in [("fd00:2::1", 2), ("fd00:3::1", 1), ("::", 1)] {
            let mut world = world.clone();
            let prefixes = prefixes_by(&mut world, kind, link, &[&named]);
            assert_eq!(prefixes.len(), count, "{kind:?} from {link}: {prefixes:?}");
            assert!(prefixes.contains(&(first, 0, 0)), "{kind:?} from {link}: {prefixes:?}");
            let new = prefixes.iter().find(|prefix| prefix.0 != first);
            assert!(new.is_none_or(|new| net("2001:db8:a00:e0::/60").contains(&new.0)));
            world.check();
            world.restart();
            world.check();
        }
        // From its own link it keeps it, whatever happens to us.
        world.reload(&two);
        assert!(prefixes_by(&mut world, kind, "fd00:1::2", &[&named])[0].1 > 0);
    }
}

fn prefixes_by(
    world: &mut World,
    kind: MessageType,
    link: &str,
    named: &[&str],
) -> Vec<(Ipv6Net, u32, u32)> {
    let arrival = Arrival { downlink: "lan0".into(), contact: behind(link) };
    let message = message(1, kind, &[ia(1, named)]);
    let served = world.delegating.handle_message(world.now, &arrival, &message).unwrap();
    world.remember(&served.touched);
    world.timeout();
    let outer = RelayMessage::decode(&served.answer.unwrap().octets).unwrap();
    let inner = RelayMessage::decode(outer.relayed().unwrap()).unwrap();
    prefixes_of(&Message::decode(inner.relayed().unwrap()).unwrap(), 1).unwrap()
}

/// SRV-53, SEC-18: the key of a router is told to nobody at another place.
#[test]
fn a_key_is_sent_to_its_own_place_only() {
    let mut world = World::new(SITE, A);
    let key_of = |world: &World, iaid| world.delegating.bindings()[&key(1, iaid)].reconfigure_key;
    let accept = Dhcpv6Option::ReconfigureAccept;
    world.hear(1, Request, &[ia(1, &[]), accept.clone()]).unwrap();
    let first = key_of(&world, 1).unwrap();
    let elsewhere = message(1, Request, &[ia(2, &[]), accept]);
    world.hear_at("lan0", contact(9), &elsewhere).unwrap();
    assert_eq!(key_of(&world, 1), Some(first));
    assert!(key_of(&world, 2).is_some_and(|second| second != first));
    world.check();
}

/// SRV-60: what is not on the link is not notified by an advertisement, also not of what there is
/// for it by now.
#[test]
fn a_router_refused_behind_a_relay_agent_is_not_advertised_to() {
    let mut world = World::new(SITE, A);
    world.delegate("up", &[]);
    hear(&mut world, 1, Request, "fd00:1::1");
    world.run_for(secs(10));
    world.renumber(B);
    world.run_for(secs(10));
    assert_eq!(world.notifications(), []);
}
