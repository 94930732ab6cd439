//! What one neighbor can take of a pool (SEC-17), and what its messages cost.

use MessageType::*;

use super::*;
use crate::wire::dhcpv6_relay::{RelayKind, RelayMessage};

/// A pool of `size` /64 prefixes, with further `keys`, and keys of `[downlink.lan0]`.
fn pool(size: u8, keys: &str, downlink: &str) -> String {
    format!(
        "[static.site]\nprefix = \"2001:db8::/32\"\n[downlink.lan0]\nsubnet = \"0x0/64\"\n{downlink}\n\
         [pool.guests]\ndownlink = \"lan0\"\nprefix = \"0x1/{size}\"\n{keys}\n"
    )
}

fn world(config: &str) -> World {
    let mut world = World::new(config, A);
    world.delegate("site", &[("2001:db8::/32", 86_400, 86_400)]);
    world
}

fn invented(number: u32) -> Duid {
    Duid::new(&[[9, 9].as_slice(), &number.to_be_bytes()].concat()).unwrap()
}

fn from(who: Duid, kind: MessageType, options: &[Dhcpv6Option]) -> Message {
    let mut message = message(1, kind, options);
    message.options[0] = Dhcpv6Option::ClientId(who);
    message
}

/// At a link-local address that is made from a number.
fn at(number: u32) -> Contact {
    let [a, b] = [number >> 16, number & 0xffff].map(|half| u16::try_from(half).unwrap());
    let peer = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 1, a, b);
    Contact { next_hop: peer, peer, ..contact(1) }
}

fn behind(relay: u32, peer: u32) -> Contact {
    let (relay, peer) = (at(relay).peer, at(peer).peer);
    let level = RelayMessage {
        kind: RelayKind::Forward,
        hop_count: 0,
        link_address: Ipv6Addr::UNSPECIFIED,
        peer_address: peer,
        options: Vec::new(),
    };
    let levels = vec![level.encode()];
    Contact { next_hop: relay, peer, relay: Some(relay), levels, ..contact(1) }
}

fn gets(world: &mut World, contact: Contact, number: u32) -> bool {
    let arrival = Arrival { downlink: "lan0".into(), contact };
    let request = from(invented(number), Request, &[ia(1, &[])]);
    let served = world.delegating.handle_message(world.now, &arrival, &request).unwrap();
    world.remember(&served.touched);
    !served.touched.is_empty()
}

/// SEC-17
#[test]
fn a_neighbor_gets_its_share_of_a_pool_whatever_duids_it_invents() {
    let mac = |contact: Contact| Contact { neighbor_link_layer: Some(vec![2; 6]), ..contact };
    let (one, listed) = ("", "relays = [\"fe80::/64\"]");
    type Who = fn(u32) -> Contact;
    let cases: [(&str, u8, &str, &str, Who, usize); 9] = [
        ("an address, a large pool", 52, "", one, |_| at(1), 32),
        ("an address, as configured", 52, "per-neighbour = 5", one, |_| at(1), 5),
        ("a quarter at most", 60, "", one, |_| at(1), 4),
        ("one at least", 63, "", one, |_| at(1), 1),
        ("never more than there is", 64, "", one, |_| at(1), 1),
        ("behind a relay agent", 52, "", one, |_| behind(7, 1), 32),
        ("a relay agent, for all behind it", 60, "", one, |number| behind(7, number), 4),
        ("one that is listed", 60, "", listed, |number| behind(7, number), 16),
        ("behind one that is listed", 60, "", listed, |_| behind(7, 1), 4),
    ];
    for (name, size, keys, downlink, who, most) in cases {
        let mut world = world(&pool(size, keys, downlink));
        let count = (0..100).filter(|number| gets(&mut world, who(*number), *number)).count();
        assert_eq!(count, most, "{name}");
        world.check();
        let is_left = usize::from(size < 64 && most < 1 << (64 - size));
        assert_eq!(usize::from(gets(&mut world, at(1000), 1000)), is_left, "{name}: a second one");
        world.run_for(secs(6000));
        assert!(gets(&mut world, who(0), 2000), "{name}: when that has run out");
    }
    // From many addresses, with one link-layer address.
    let mut world = world(&pool(60, "", ""));
    let count = (0..100).filter(|number| gets(&mut world, mac(at(*number)), *number)).count();
    assert_eq!(count, 4);
    // Also as a relay agent; and not where anybody can say that it is the address.
    assert!(!gets(&mut world, mac(behind(7, 7)), 1000));
    assert!(gets(&mut world, Contact { link_layer: Some(vec![2; 6]), ..at(7) }, 1001));
}

/// SEC-17: the last quarter of the table is for neighbors that have little, also where the pool
/// itself would let one have more.
#[test]
fn a_table_that_is_nearly_full_gives_a_neighbor_with_many_places_no_more() {
    let mut world = world(&pool(48, "per-neighbour = 65536", ""));
    assert!((0..40).all(|number| gets(&mut world, at(1), number)));
    assert!(gets(&mut world, at(1), 40));
    let stored = StoredBinding {
        slots: Vec::new(),
        contact: Arc::new(at(2)),
        promised: Vec::new().into(),
        reconfigure_key: None,
    };
    let stored = Arc::new(stored);
    let others = (1000..99_304).map(|number| {
        let key = BindingKey { downlink: "lan0".into(), duid: invented(number), iaid: Iaid(1) };
        (key, Arc::clone(&stored))
    });
    world.memory.bindings.extend(others);
    world.restart();
    assert!(world.delegating.bindings().len() > 98_304);
    assert!(!gets(&mut world, at(1), 100_000), "it has 41");
    assert!(gets(&mut world, at(3), 100_001), "it has none");
}

/// What is in quarantine counts too, or one neighbor would move the whole pool there.
#[test]
fn a_delegation_that_is_released_in_part_still_counts() {
    let mut world = world(&pool(60, "", ""));
    world.delegate("up", &[(A, 86_400, 86_400)]);
    let both = format!("{}[uplink.up]\n", pool(60, "", "")).replace("0x1/60", "0xe/60");
    world.reload(&both);
    for number in 0..200 {
        let contact = at(1);
        gets(&mut world, contact.clone(), number);
        let key = BindingKey { downlink: "lan0".into(), duid: invented(number), iaid: Iaid(1) };
        let Some(binding) = world.delegating.bindings().get(&key) else { continue };
        let first = binding.promised().next().unwrap().0.to_string();
        let release = from(invented(number), Release, &[ia(1, &[&first])]);
        world.hear_at("lan0", contact, &release).unwrap();
        world.check();
    }
    let left = (0..16).filter(|number| gets(&mut world, at(100 + *number), 1000 + *number)).count();
    assert_eq!(left, 12);
}

/// The cost of a message is that of what it changes, however many bindings there are.
#[test]
fn a_message_costs_what_it_changes() {
    // The last one is full.
    for (size, count) in [(48, 0_u32), (48, 1000), (48, 20_000), (52, 4096)] {
        let mut world = world(&pool(size, "per-neighbour = 65536\nper-router = 1024", ""));
        for number in 0..count {
            assert!(gets(&mut world, at(number), number));
        }
        for number in 0..300 {
            gets(&mut world, at(100_000 + number), 100_000 + number);
        }
        let stranger = |kind| from(invented(200_000), kind, &[ia(1, &[]), ia(2, &[])]);
        let named: Vec<String> = (0..500).map(|n| format!("2001:db8:0:{n:x}::/64")).collect();
        let named: Vec<&str> = named.iter().map(String::as_str).collect();
        let five = BindingKey { downlink: "lan0".into(), duid: invented(5), iaid: Iaid(1) };
        let held =
            world.delegating.bindings().get(&five).map(|one| one.promised().next().unwrap().0);
        let held = held.map_or_else(|| "2001:db8::/64".to_owned(), ToString::to_string);
        let messages = [
            ("Solicit", at(200_000), stranger(Solicit)),
            ("Release of a stranger", at(200_000), stranger(Release)),
            ("Renew of a stranger", at(200_000), stranger(Renew)),
            ("Rebind of a stranger", at(200_000), stranger(Rebind)),
            ("Request of many prefixes", at(200_001), from(invented(7), Request, &[ia(1, &named)])),
            ("Release of one", at(5), from(invented(5), Release, &[ia(1, &[&held])])),
        ];
        for (name, contact, message) in messages {
            LOOKS.set(0);
            let arrival = Arrival { downlink: "lan0".into(), contact };
            let served = world.delegating.handle_message(world.now, &arrival, &message);
            world.delegating.handle_timeout(world.now, usize::MAX);
            let looks = LOOKS.get();
            println!("{name} at {count} bindings: {looks} looks");
            assert!(looks <= 40, "{name} at {count}: {looks} looks");
            world.remember(&served.map(|served| served.touched).unwrap_or_default());
        }
        world.check();
    }
}

/// Refused routers are notified within a second, however many there are, and each batch is small.
#[test]
fn refused_routers_are_looked_at_in_small_batches() {
    let mut world = World::new(POOL, A);
    world.delegate("up", &[]);
    for number in 0..250 {
        assert!(!gets(&mut world, at(number), number));
    }
    world.renumber(B);
    // A router that does not come is notified again (RA-TX-64).
    let mut notified: BTreeSet<Ipv6Addr> =
        world.notifications().into_iter().map(|(peer, _)| peer).collect();
    assert_eq!(notified.len(), 16);
    let started = world.now;
    while let Some(next) = world.delegating.deadline().filter(|next| next.at < started + secs(1)) {
        world.now = next.at;
        LOOKS.set(0);
        world.timeout();
        assert!(LOOKS.get() <= 16 * 33);
        notified.extend(world.notifications().into_iter().map(|(peer, _)| peer));
    }
    assert_eq!(notified.len(), 250);
    world.check();
}

/// Configured routers are remembered before strangers.
#[test]
fn a_flood_of_strangers_is_no_reason_to_forget_a_configured_router() {
    let mut world = World::new(SITE, A);
    world.delegate("up", &[]);
    assert!(world.ask(1, Solicit, &[]).is_err());
    for number in 0..1000 {
        gets(&mut world, at(number), number);
    }
    world.renumber(B);
    world.run_for(secs(1));
    let notified: BTreeSet<Ipv6Addr> =
        world.notifications().into_iter().map(|(peer, _)| peer).collect();
    assert_eq!(notified, [contact(1).peer].into());
}

/// A neighbor with its whole share: what its routers hold without a place stands for the places
/// that they had.
#[test]
fn a_pool_that_comes_back_gives_a_neighbor_its_share_again() {
    let with_pool = pool(60, "", "");
    let mut world = world(&with_pool);
    let count = (0..8).filter(|number| gets(&mut world, at(1), *number)).count();
    assert_eq!(count, 4);
    let places = |world: &World| -> Vec<Vec<Slot>> {
        world.delegating.bindings().values().map(|binding| binding.slots().to_vec()).collect()
    };
    let before = places(&world);
    world.reload(with_pool.split("[pool.guests]").next().unwrap());
    assert!(places(&world).iter().all(Vec::is_empty));
    world.reload(&with_pool);
    assert_eq!(places(&world), before);
    world.check();
    assert!(!gets(&mut world, at(1), 100), "no more than its share");
}
