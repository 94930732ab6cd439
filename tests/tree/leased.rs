//! Another program gives parts of a pool: it says who holds them, messages show where those routers
//! are, and routes follow (SEC-18, BKE-12).

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use renumberd::core::engine::{Leased, Leases};
use renumberd::core::input::{Command, Input};
use renumberd::time::Lifetime;
use renumberd::wire::dhcpv6::MessageType::{Renew, Request, Solicit};
use renumberd::wire::dhcpv6_option::{Duid, Iaid};

use super::lan::{Lan, address, duid, ia, message, relayed};
use crate::{millis, secs};

const SITE: &str = r#"
    grace = "5s"
    [static.site]
    prefix = "2001:db8::/48"
    [downlink.lan]
    subnet = "0x0/64"
    delegator = "kea"
    [pool.guests]
    downlink = "lan"
    prefix = "0x3/56"
    length = 60
"#;
const ROUTER: &str = "fe80::11";
const OTHER: &str = "fe80::bad";

fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

fn lease(prefix: &str, who: &Duid) -> Leased {
    let (preferred, valid) = (Lifetime::Finite(90), Lifetime::Finite(120));
    Leased { prefix: net(prefix), duid: who.clone(), iaid: Iaid(1), preferred, valid }
}

/// The program says what it has leased: to one router, or to all.
fn listed(lan: &mut Lan, of: Option<Duid>, leases: &[Leased]) {
    let (downlink, leases) = ("lan".to_owned(), leases.to_vec());
    lan.give(Input::Leases(Leases { downlink, of, leases }));
    lan.run_for(millis(50));
}

fn routes(found: &[(&str, &str)]) -> BTreeMap<Ipv6Net, Ipv6Addr> {
    found.iter().map(|(prefix, via)| (net(prefix), address(via))).collect()
}

/// Router 1 has a lease, and a route.
fn leased() -> Lan {
    let mut lan = Lan::new(SITE);
    lan.answering.insert(address(ROUTER));
    lan.hear(ROUTER, message(Request, &duid(1), &[ia(1, &[])]));
    assert!(lan.answers.is_empty(), "the program answers, and nobody else");
    listed(&mut lan, Some(duid(1)), &[lease("2001:db8:0:310::/60", &duid(1))]);
    assert_eq!(lan.routes(), routes(&[("2001:db8:0:310::/60", ROUTER)]));
    lan
}

#[test]
fn a_lease_gets_its_route_and_loses_it() {
    let mut lan = leased();
    lan.nothing_is_left_to_do();
    // Leases of others are not touched by what is said of one.
    listed(&mut lan, Some(duid(2)), &[]);
    assert_eq!(lan.routes().len(), 1);
    // It renews, and its route lasts as long as the lease.
    for _ in 0..3 {
        lan.run_for(secs(60));
        lan.hear(ROUTER, message(Renew, &duid(1), &[ia(1, &[])]));
        listed(&mut lan, Some(duid(1)), &[lease("2001:db8:0:310::/60", &duid(1))]);
        assert_eq!(lan.routes().len(), 1);
    }
    // It gives it back.
    listed(&mut lan, None, &[]);
    lan.run_for(secs(6));
    assert_eq!(lan.routes(), routes(&[]));
    assert!(lan.memory().bindings.is_empty(), "{:?}", lan.memory().bindings);
}

#[test]
fn a_lease_that_nobody_renews_ends_with_its_route() {
    let mut lan = leased();
    lan.run_for(secs(130));
    assert_eq!(lan.routes(), routes(&[]));
    assert!(lan.memory().bindings.is_empty());
}

/// Law 1: the next run has the route before the program says anything.
#[test]
fn a_route_outlives_the_agent() {
    let mut lan = leased();
    lan.restart();
    lan.run_for(millis(50));
    assert_eq!(lan.routes(), routes(&[("2001:db8:0:310::/60", ROUTER)]));
    listed(&mut lan, None, &[lease("2001:db8:0:310::/60", &duid(1))]);
    assert_eq!(lan.routes(), routes(&[("2001:db8:0:310::/60", ROUTER)]));
}

/// The program chooses another place in the new prefix, and gives the old one's to nobody.
#[test]
fn a_change_moves_the_route_to_what_is_leased_then() {
    let mut lan = leased();
    let prefixes = [("site".to_owned(), Some(net("2001:db8:1::/48")))].into();
    lan.give(Input::Command(Command::SetPrefixes { prefixes, graceful: false }));
    lan.run_for(millis(500));
    assert_eq!(lan.routes(), routes(&[("2001:db8:0:310::/60", ROUTER)]), "nothing new is leased");
    lan.hear(ROUTER, message(Renew, &duid(1), &[ia(1, &[])]));
    listed(&mut lan, Some(duid(1)), &[lease("2001:db8:1:370::/60", &duid(1))]);
    let both = [("2001:db8:0:310::/60", ROUTER), ("2001:db8:1:370::/60", ROUTER)];
    assert_eq!(lan.routes(), routes(&both));
    lan.run_for(secs(6));
    assert_eq!(lan.routes(), routes(&[("2001:db8:1:370::/60", ROUTER)]));
    // What it may have held once is given to another.
    lan.hear("fe80::22", message(Request, &duid(2), &[ia(1, &[])]));
    let leases = [lease("2001:db8:1:360::/60", &duid(1)), lease("2001:db8:1:370::/60", &duid(2))];
    listed(&mut lan, None, &leases);
    let both = [("2001:db8:1:360::/60", ROUTER), ("2001:db8:1:370::/60", "fe80::22")];
    assert_eq!(lan.routes(), routes(&both));
    lan.nothing_is_left_to_do();
}

/// SEC-18: a stranger with the DUID of a router that answers does not get its route.
#[test]
fn a_stranger_does_not_get_the_route_of_a_router_that_answers() {
    let mut lan = leased();
    let renewed = [lease("2001:db8:0:310::/60", &duid(1))];
    for kind in [Solicit, Request, Renew] {
        for by_relay in [false, true] {
            let octets = message(kind, &duid(1), &[ia(1, &[])]);
            lan.hear(OTHER, if by_relay { relayed(ROUTER, "::", &[], octets) } else { octets });
            lan.run_for(secs(2));
            listed(&mut lan, Some(duid(1)), &renewed);
            assert_eq!(lan.routes(), routes(&[("2001:db8:0:310::/60", ROUTER)]), "{kind:?}");
        }
    }
    assert_eq!(lan.conditions("delegation-contested").len(), 1);
    // Replaced hardware with the same DUID: the former does not answer.
    lan.answering.clear();
    lan.run_for(secs(10));
    lan.hear(OTHER, message(Renew, &duid(1), &[ia(1, &[])]));
    lan.run_for(millis(1500));
    assert_eq!(lan.routes(), routes(&[("2001:db8:0:310::/60", OTHER)]));
}

/// SEC-18: who sees the first message of a router and asks in its name comes too late.
#[test]
fn a_stranger_does_not_get_ahead_of_the_router_that_asks() {
    let mut lan = Lan::new(SITE);
    lan.hear(ROUTER, message(Solicit, &duid(1), &[ia(1, &[])]));
    lan.hear(OTHER, message(Request, &duid(1), &[ia(1, &[])]));
    lan.hear(ROUTER, message(Request, &duid(1), &[ia(1, &[])]));
    listed(&mut lan, Some(duid(1)), &[lease("2001:db8:0:310::/60", &duid(1))]);
    assert_eq!(lan.routes(), routes(&[("2001:db8:0:310::/60", ROUTER)]));
}

/// RLY-19: a lease of a router that nobody has seen has no route, and that is named.
#[test]
fn a_lease_of_a_router_that_was_not_seen_is_named() {
    let mut lan = Lan::new(SITE);
    let leases = [lease("2001:db8:0:310::/60", &duid(1)), lease("2001:db8:9::/60", &duid(2))];
    let by_relay = relayed(ROUTER, "::", &[], message(Request, &duid(1), &[ia(1, &[])]));
    lan.hear(OTHER, by_relay);
    listed(&mut lan, None, &leases);
    assert_eq!(lan.routes(), routes(&[]));
    let conditions = lan.conditions("next-hop-unknown");
    let [text] = conditions.as_slice() else { panic!("{conditions:?}") };
    assert!(text.contains("2001:db8:0:310::/60") && text.contains("next-hop"), "{text}");
    lan.hear(ROUTER, message(Renew, &duid(1), &[ia(1, &[])]));
    listed(&mut lan, Some(duid(1)), &leases);
    assert_eq!(lan.routes(), routes(&[("2001:db8:0:310::/60", ROUTER)]));
    assert_eq!(lan.conditions("next-hop-unknown"), [""; 0]);
}

/// What a router had may end before the program gives it something new.
#[test]
fn a_router_that_was_seen_is_known_when_its_former_lease_has_ended() {
    let mut lan = leased();
    lan.hear(ROUTER, message(Renew, &duid(1), &[ia(1, &[])]));
    listed(&mut lan, None, &[]);
    lan.run_for(secs(6));
    assert!(lan.memory().bindings.is_empty());
    listed(&mut lan, None, &[lease("2001:db8:0:320::/60", &duid(1))]);
    assert_eq!(lan.routes(), routes(&[("2001:db8:0:320::/60", ROUTER)]));
}

/// What relay agents send to dhcp6s alone could come to us if we listened, on whatever link.
#[test]
fn nobody_listens_beside_dhcp6s() {
    let mut lan = Lan::new(&format!("{SITE}[downlink.other]\ndelegator = \"dhcp6s\"\n"));
    lan.hear(ROUTER, message(Request, &duid(1), &[ia(1, &[])]));
    listed(&mut lan, Some(duid(1)), &[lease("2001:db8:0:310::/60", &duid(1))]);
    assert_eq!(lan.routes(), routes(&[]));
    assert_eq!(lan.conditions("next-hop-unknown").len(), 1);
}
