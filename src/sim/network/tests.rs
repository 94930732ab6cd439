//! Links between a host and a provider, and the queue.

use super::*;
use crate::sim::provider::{advertisement, prefix_option};
use ipnet::Ipv6Net;

fn net(third: u16) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(0x2001, 0xdb8, third, 0, 0, 0, 0, 0), 56)
}

/// A provider that advertises each minute, and a number of hosts.
fn network(hosts: u16) -> Network {
    let mut network = Network::new(Instant::from_secs(1000));
    let segment = network.add_segment();
    let mut provider = Provider::new(net(1));
    let on_link = Ipv6Net::new_assert(net(2).network(), 64);
    provider.advertisement = Some(advertisement(vec![prefix_option(on_link, 7200, 3600)]));
    provider.interval = Some(Duration::from_secs(60));
    network.add_provider(segment, provider);
    for number in 0..hosts {
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x100 + number);
        network.add_host(segment, Host::new(address));
    }
    network
}

fn heard(network: &Network) -> usize {
    network.hosts.iter().filter(|host| !host.heard_first.is_empty()).count()
}

/// A solicitation takes the way up, an answer the way down.
#[test]
fn a_host_hears_what_it_has_asked_for() {
    let mut network = network(1);
    let begun = network.now;
    assert!(network.run_until(Duration::from_secs(1), |network| heard(network) == 1));
    let at = network.hosts[0].heard_first.values().next().map(|at| at.since(begun));
    assert_eq!(at, Some(2 * DELAY + Duration::from_millis(1)));
}

#[test]
fn no_packet_passes_a_link_that_is_cut_or_reaches_a_deaf_station() {
    let mut network = network(2);
    network.segments[0].is_cut = true;
    network.run_for(Duration::from_secs(30));
    assert_eq!(heard(&network), 0);
    network.segments[0].is_cut = false;
    network.deaf_until.insert(Station::Host(1), network.now + Duration::from_secs(60));
    network.run_for(Duration::from_secs(59));
    assert_eq!(heard(&network), 1, "the provider advertises by itself");
    network.run_for(Duration::from_secs(60));
    assert_eq!(heard(&network), 2);
}

/// The same seed loses the same packets, another seed others; each receiver loses by itself.
#[test]
fn loss_is_by_the_seed() {
    let course = |seed| {
        let mut network = network(64);
        network.seed = seed;
        network.segments[0].loss = 900;
        network.run_for(Duration::from_millis(10));
        let names =
            network.hosts.iter().enumerate().filter(|(_, host)| host.heard_first.is_empty());
        names.map(|(number, _)| number).collect::<Vec<_>>()
    };
    assert_eq!(course(1), course(1));
    assert_ne!(course(1), course(2));
}

#[test]
fn events_at_one_instant_happen_in_the_order_of_their_arrangement() {
    let mut network = network(0);
    let at = network.now + Duration::from_secs(5);
    for host in [3, 1, 2] {
        network.arrange(at, Happening::Solicitation(host));
    }
    let order = network.queue.range((at, 0)..).take(3).map(|(_, what)| {
        let Happening::Solicitation(host) = what else { unreachable!("{what:?}") };
        *host
    });
    assert_eq!(order.collect::<Vec<_>>(), [3, 1, 2]);
}

#[test]
fn time_goes_to_the_end_also_where_nothing_happens() {
    let mut network = Network::new(Instant::from_secs(1000));
    assert!(network.poll(Instant::from_secs(2000)).is_none());
    assert_eq!(network.now, Instant::from_secs(2000));
}
