//! Unicast copies of what is new (RA-TX-63).

use super::*;
use std::collections::BTreeSet;

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// With a link-layer address that is made from `mac`, last reachable `ago` seconds ago.
fn neighbor(address: &str, mac: u8, ago: u64) -> Neighbor {
    Neighbor {
        address: address.parse().unwrap(),
        link_layer: vec![2, 0, 0, 0, 0, mac],
        unconfirmed_for: Duration::from_secs(ago),
    }
}

/// Hosts `fe80::1` and on, the first ones reachable most recently.
fn hosts(count: u16) -> Vec<Neighbor> {
    let host = |number: u16| Neighbor {
        address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number),
        link_layer: number.to_be_bytes().to_vec(),
        unconfirmed_for: Duration::from_secs(number.into()),
    };
    (1..=count).rev().map(host).collect()
}

/// That has been quiet for a minute, with these neighbors.
fn quiet(neighbors: Vec<Neighbor>) -> World {
    let mut world = World::saying(content(&[A]));
    world.neighbors = neighbors;
    world.run(60);
    world.sent.clear();
    world
}

/// Unicast copies since the last time: to whom, and milliseconds after `begun`.
fn copies(world: &mut World, begun: Instant) -> Vec<(Ipv6Addr, u128)> {
    let sent = std::mem::take(&mut world.sent);
    let copies = sent.into_iter().filter(|sent| sent.to != ALL_NODES);
    copies.map(|sent| (sent.to, sent.at.since(begun).as_millis())).collect()
}

#[test]
fn each_host_is_sent_what_is_new_three_times_within_a_quarter_of_a_second() {
    let mut world = quiet(hosts(2));
    let begun = world.now;
    world.set(content(&[B]));
    assert_eq!((world.sent.len(), world.sent[0].to), (1, ALL_NODES), "that one goes first");
    world.run(1);
    assert!(world.sent.iter().all(|sent| sent.prefix(B) == Some((450, 900))));
    assert!(world.sent.iter().all(|sent| sent.prefix(A) == Some((0, 0))));
    let [one, two] = [1, 2].map(|number| Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number));
    let expected = [(one, 10), (two, 11), (one, 50), (two, 51), (one, 200), (two, 201)];
    assert_eq!(copies(&mut world, begun), expected);
    world.run(3600);
    assert_eq!((copies(&mut world, begun), world.listed), (vec![], 2), "start and change");
}

/// A change that meets MIN_DELAY_BETWEEN_RAS: hosts follow at once nonetheless.
#[test]
fn copies_do_not_wait_for_the_minimal_delay() {
    let mut world = quiet(hosts(1));
    world.set(content(&[B]));
    world.run(1);
    let second = world.now;
    world.sent.clear();
    world.set(content(&[C]));
    world.run(1);
    assert!(world.sent.iter().all(|sent| sent.to != ALL_NODES));
    assert!(world.sent[0].prefix(C).unwrap().0 > 0);
    assert_eq!(world.sent[0].at.since(second), millis(10));
    let gaps: Vec<Sent> = world.run(2).into_iter().filter(|sent| sent.to == ALL_NODES).collect();
    assert_eq!(gaps.len(), 1, "RA-TX-09 holds for the multicast one");
}

/// However many hosts there are: the most recently reachable first, 1 ms apart.
#[test]
fn a_change_is_copied_64_times_at_most() {
    for (count, once, thrice) in [(21, 21, 21), (40, 40, 0), (64, 64, 0), (300, 64, 0)] {
        let mut world = quiet(hosts(count));
        let begun = world.now;
        world.set(content(&[B]));
        world.run(5);
        let copies = copies(&mut world, begun);
        assert!(copies.len() <= 64, "{count}: {}", copies.len());
        let apart = copies.windows(2).all(|pair| pair[1].1 > pair[0].1);
        assert!(apart, "{count}: {copies:?}");
        let of = |number: u16| {
            let host = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number);
            copies.iter().filter(|(to, _)| *to == host).count()
        };
        assert!((1..=once).all(|number| of(number) >= 1), "{count}");
        assert!((1..=thrice).all(|number| of(number) == 3), "{count}");
    }
}

#[test]
fn copies_go_to_known_hosts() {
    let mut world = quiet(vec![
        neighbor("2001:db8:a::1", 1, 1),
        neighbor("fe80::1", 1, 50),
        neighbor("2001:db8:a::2", 2, 9),
        neighbor("2001:db8:a::22", 2, 5),
        neighbor("ff02::1", 9, 0),
        neighbor("::", 9, 0),
        neighbor("::1", 9, 0),
    ]);
    world.set(content(&[B]));
    world.run(1);
    let mut to: Vec<String> =
        copies(&mut world, secs(0)).iter().map(|(to, _)| to.to_string()).collect();
    to.truncate(2);
    assert_eq!(to, ["2001:db8:a::22", "fe80::1"], "by link-local address where there is one");
}

/// SEC-17: many addresses of one host take no place from others.
#[test]
fn a_neighbor_has_a_share_of_the_copies() {
    let mut neighbors: Vec<Neighbor> = hosts(200);
    neighbors.iter_mut().for_each(|one| one.link_layer = vec![6; 6]);
    neighbors.push(neighbor("fe80::ffff", 1, 5000));
    let mut world = quiet(neighbors);
    world.set(content(&[B]));
    world.run(1);
    let to: BTreeSet<Ipv6Addr> =
        copies(&mut world, secs(0)).into_iter().map(|(to, _)| to).collect();
    assert_eq!(to.len(), 5);
    assert!(to.contains(&"fe80::ffff".parse().unwrap()));
}

/// The cache may have been emptied.
#[test]
fn a_host_that_solicited_lately_is_sent_copies() {
    let mut world = quiet(hosts(1));
    world.solicit(HOST, true);
    for number in 0..1000 {
        world.advertising.sender().schedule.note_solicitor(
            world.now,
            format!("fe80::a:{number:x}").parse().unwrap(),
            vec![number as u8, 9],
        );
    }
    world.solicit("fe80::98", true);
    world.sent.clear();
    world.set(content(&[B]));
    world.run(1);
    let to: Vec<Ipv6Addr> = copies(&mut world, secs(0)).into_iter().map(|(to, _)| to).collect();
    assert_eq!(to[0], hosts(1)[0].address, "the cache counts more than what anybody can send");
    assert_eq!(to.len(), 64);
    assert!(to.contains(&"fe80::98".parse().unwrap()), "the newest has a place");
    world.run(601);
    world.sent.clear();
    world.set(content(&[C]));
    world.run(1);
    let to: BTreeSet<Ipv6Addr> =
        copies(&mut world, secs(0)).into_iter().map(|(to, _)| to).collect();
    assert_eq!(to, [hosts(1)[0].address].into(), "ten minutes later that is nobody");
}

#[test]
fn no_copies_where_they_are_switched_off_or_nobody_has_an_address() {
    for (unicast_copies, address) in [(false, Some(MAC.to_vec())), (true, None)] {
        let mut world = World::new(config::Advertise { unicast_copies, ..Default::default() });
        world.advertising.link_up(world.now, address, 1500);
        world.neighbors = hosts(3);
        world.set(content(&[A]));
        world.run(60);
        world.set(content(&[B]));
        world.run(60);
        assert_eq!((copies(&mut world, secs(0)), world.listed), (vec![], 0));
    }
}

/// What is merely repeated, and what a host solicits, is not copied.
#[test]
fn nothing_is_copied_where_nothing_is_new() {
    let mut world = quiet(hosts(3));
    let listed = world.listed;
    world.set(content(&[A]));
    world.solicit("fe80::1", true);
    world.solicit("::", false);
    world.run(4000);
    world.sent.retain(|sent| sent.to != "fe80::1".parse::<Ipv6Addr>().unwrap());
    assert_eq!((copies(&mut world, secs(0)), world.listed), (vec![], listed));
}

/// A flood of changes is copied in part, and its end always is.
#[test]
fn changes_without_end_are_copied_at_a_bounded_rate() {
    let mut world = quiet(hosts(64));
    let begun = world.now;
    for n in 0..3000 {
        world.set(content(&[if n % 2 == 0 { B } else { C }]));
        let until = world.now + millis(10);
        while let Some(due) = world.advertising.deadline().filter(|due| due.at <= until) {
            world.now = due.at;
            world.drain();
        }
        world.now = until;
    }
    let copied = copies(&mut world, begun).len();
    assert!(copied <= 64 * (4 + 10 + 1), "{copied} in 30 s");
    world.set(content(&[A, C]));
    world.run(4);
    let last = world.sent.iter().rfind(|sent| sent.to != ALL_NODES).unwrap();
    assert!(last.prefix(A).unwrap().0 > 0, "the last change is copied");
}

#[test]
fn a_link_that_goes_down_takes_its_copies_along() {
    let mut world = quiet(hosts(3));
    world.set(content(&[B]));
    world.advertising.link_down();
    assert_eq!(world.advertising.deadline(), None);
    world.run(1);
    world.sent.clear();
    world.advertising.link_up(world.now, Some(MAC.to_vec()), 1500);
    world.run(60);
    assert!(world.sent.iter().all(|sent| sent.to == ALL_NODES));
}

/// SRV-59: some routers do not hear the multicast one, or it gets lost.
#[test]
fn a_requesting_router_is_notified_beside_the_multicast_advertisement() {
    let mut world = quiet(vec![]);
    world.advertising.set_content(world.now, content(&[B]));
    world.advertising.notify(world.now, HOST.parse().unwrap());
    world.drain();
    let to: Vec<Ipv6Addr> = world.sent.iter().map(|sent| sent.to).collect();
    assert_eq!(to, [ALL_NODES, HOST.parse().unwrap()]);
}

/// An address that a host is about to form is known where its identifier is made of its
/// link-layer address, those first that were reachable most recently, and in bounds.
#[test]
fn hosts_with_identifiers_of_their_link_layer_addresses_are_expected_under_a_new_prefix() {
    let under = |network: &str, mac: u8| {
        let network: Ipv6Net = network.parse().unwrap();
        let identifier = 0xff_fe00_0000 | u128::from(mac);
        Ipv6Addr::from(u128::from(network.network()) | identifier)
    };
    let made = |network: &str, mac: u8, ago: u64| Neighbor {
        address: under(network, mac),
        ..neighbor("::", mac, ago)
    };
    let entries = |neighbors: &[Neighbor]| {
        let mut advertising = World::saying(content(&[A, B])).advertising;
        advertising.set_neighbors(secs(1001), neighbors.to_vec())
    };
    let link_local = made("fe80::/64", 1, 9);
    let expected = entries(&[
        link_local.clone(),
        made("fe80::/64", 2, 3),
        neighbor("fe80::77", 3, 0),
        neighbor("2001:db8:0:1::77", 4, 0),
    ]);
    let of = |prefix: &str, mac: u8| (under(prefix, mac), vec![2, 0, 0, 0, 0, mac]);
    assert_eq!(expected, [of(A, 2), of(B, 2), of(A, 1), of(B, 1)]);
    assert_eq!(entries(&[link_local, made(A, 1, 2)]), [of(B, 1)], "the other is known");
    let many: Vec<Neighbor> = (1..200).map(|mac| made("fe80::/64", mac, mac.into())).collect();
    assert_eq!(entries(&many).len(), 64);
}
