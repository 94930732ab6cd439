//! Who may say of whom: relay agents that are believed (RLY-19), and places that are taken over only
//! from who does not answer (SEC-18).

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::core::event::{Event, Newcomer};
use renumberd::core::input::{Input, Received};
use renumberd::core::kernel::system::KernelEvent;
use renumberd::wire::dhcpv6::MessageType::{Rebind, Release, Renew, Request, Solicit};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, Iaid, StatusCode};
use renumberd::wire::dhcpv6_relay::RelayOption;

use super::lan::{LAN, Lan, address, advertised, duid, ia, message, option_79, relayed};
use crate::{millis, secs};

/// A router that is known by its DUID, one by its link-layer address, and a pool.
pub const SITE: &str = r#"
    [static.site]
    prefix = "2001:db8::/48"
    [downlink.lan]
    subnet = "0x0/64"
    [delegation.one]
    downlink = "lan"
    duid = "00:04:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01"
    iaid = 1
    prefix = "0x1/56"
    [delegation.two]
    downlink = "lan"
    link-layer = "02:00:00:00:00:22"
    prefix = "0x2/56"
    [pool.others]
    downlink = "lan"
    prefix = "0x3/56"
"#;
pub const VICTIM: &str = "fe80::11";
const OTHER: &str = "fe80::bad";
pub const LINK_LAYER: [u8; 6] = [2, 0, 0, 0, 0, 0x22];
/// The address that is made from it.
const EUI64: &str = "fe80::ff:fe00:22";

pub fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

/// Router 1 has its delegation, and answers neighbor solicitations.
pub fn bound() -> Lan {
    let mut lan = Lan::new(SITE);
    lan.answering.insert(address(VICTIM));
    let accept = Dhcpv6Option::ReconfigureAccept;
    lan.hear(VICTIM, message(Request, &duid(1), &[ia(1, &[]), accept]));
    assert_eq!(lan.given(), [net("2001:db8:0:100::/56")]);
    assert_eq!(lan.solicited, [Ipv6Addr::UNSPECIFIED; 0], "who asks first is asked nothing");
    lan
}

pub fn rapid(who: &Duid) -> Vec<u8> {
    message(Solicit, who, &[ia(1, &[]), Dhcpv6Option::RapidCommit])
}

/// SEC-18: by its DUID, from another address or by way of a relay agent, with any message.
#[test]
fn a_holder_that_answers_keeps_what_it_has() {
    let held = net("2001:db8:0:100::/56");
    for kind in [Solicit, Request, Renew, Rebind, Release] {
        for by_relay in [false, true] {
            let mut lan = bound();
            let options =
                [ia(1, &[held]), Dhcpv6Option::RapidCommit, Dhcpv6Option::ReconfigureAccept];
            let octets = message(kind, &duid(1), &options);
            let before = (lan.routes(), lan.memory().bindings.clone());
            for _ in 0..5 {
                let octets = octets.clone();
                lan.hear(OTHER, if by_relay { relayed(VICTIM, "::", &[], octets) } else { octets });
                for (to, answer) in std::mem::take(&mut lan.answers) {
                    assert_eq!(to, address(OTHER));
                    assert!(answer.authentication().is_none(), "no key of another's");
                    let status = answer.ia_pds().map(|ia| ia.status.as_ref().unwrap().code);
                    assert!(status.eq([StatusCode::NoPrefixAvail]), "{kind:?}: {answer:?}");
                }
                lan.run_for(millis(700));
            }
            assert_eq!(
                (lan.routes(), lan.memory().bindings.clone()),
                before,
                "{kind:?} {by_relay}"
            );
            let said = lan.conditions("delegation-contested");
            assert_eq!(said.len(), 1);
            assert!(said[0].contains(OTHER) && said[0].contains(VICTIM), "{}", said[0]);
            let kinds: Vec<_> = lan.events.iter().map(Event::kind).collect();
            assert!(kinds.contains(&("condition-began", "delegation-contested")), "{kinds:?}");
            assert!(lan.counted("dhcpv6-server-held-elsewhere") > 0);
            // The holder is asked once a second, whatever comes; and the newcomer, which could be the
            // same, once in five while it does not answer.
            let of_newcomer = lan.solicited.iter().filter(|one| **one == address(OTHER)).count();
            assert!(of_newcomer <= 6, "{:?}", lan.solicited);
            assert!(lan.solicited.len() - of_newcomer <= 10, "{:?}", lan.solicited);
            lan.nothing_is_left_to_do();
            lan.run_for(secs(600));
            assert_eq!(lan.conditions("delegation-contested"), [""; 0], "in the end that is over");
        }
    }
}

/// SEC-18: by a link-layer address: a relay agent tells it, or an address was made from it.
#[test]
fn a_link_layer_address_takes_nothing_from_a_holder_that_answers() {
    let held = net("2001:db8:0:200::/56");
    let mut lan = Lan::new(SITE);
    lan.answering.insert(address(VICTIM));
    lan.hear_with(VICTIM, Some(LINK_LAYER), rapid(&duid(2)));
    assert_eq!(lan.given(), [held]);
    let routes = lan.routes();
    let attempts: [(&str, Vec<u8>); 3] = [
        (EUI64, rapid(&duid(7))),
        (OTHER, relayed("fe80::99", "::", &[option_79(LINK_LAYER)], rapid(&duid(8)))),
        (OTHER, relayed(EUI64, "::", &[], rapid(&duid(9)))),
    ];
    for (source, octets) in attempts {
        lan.hear(source, octets);
        lan.run_for(secs(2));
        assert_ne!(lan.given(), [held]);
        assert_eq!(lan.routes()[&held], routes[&held]);
    }
    // Not by a reload either: all are told apart by where they are.
    lan.net.give(0, Input::Timeout);
    lan.restart();
    lan.run_for(secs(2));
    assert_eq!(lan.routes()[&held], routes[&held]);
}

/// SEC-18: replaced hardware with the same DUID, or the same link-layer address, another DUID.
#[test]
fn a_router_that_replaces_a_silent_holder_is_served_within_a_second_and_a_half() {
    let held = net("2001:db8:0:100::/56");
    for is_rapid in [true, false] {
        let mut lan = bound();
        lan.answering.clear();
        let started = lan.now();
        if is_rapid {
            lan.hear(OTHER, rapid(&duid(1)));
            lan.run_for(millis(1000));
        } else {
            let solicit = message(Solicit, &duid(1), &[ia(1, &[])]);
            lan.hear(OTHER, solicit.clone());
            lan.run_for(millis(1000));
            assert_eq!(lan.given(), [held], "offered");
            lan.hear(OTHER, message(Request, &duid(1), &[ia(1, &[held])]));
        }
        assert_eq!(lan.given(), [held]);
        assert_eq!(lan.routes()[&held], address(OTHER));
        assert!(lan.now().since(started) < millis(1500));
        let newcomer = Newcomer { address: address(OTHER), duid: Some(duid(1)), relay: None };
        let taken_over = Event::DelegationTakenOver {
            interface: Some("lan".to_owned()),
            newcomer,
            holder: address(VICTIM),
            iaid: Iaid(1),
        };
        assert!(lan.events.contains(&taken_over), "{:?}", lan.events);
        assert!(
            !lan.node().hearing.neighbor_advertisements,
            "nothing is heard that nobody waits for"
        );
        assert_eq!(lan.solicited.len(), 1 + 2 + 2, "the holder alone from the second time on");
        lan.nothing_is_left_to_do();
        // The old one comes back, and is the stranger.
        lan.answering.insert(address(OTHER));
        lan.hear(VICTIM, rapid(&duid(1)));
        lan.run_for(secs(2));
        assert_eq!(lan.given(), []);
        assert_eq!(lan.routes()[&held], address(OTHER));
    }
}

/// One of three answers is enough, at any time.
#[test]
fn a_late_answer_counts() {
    let held = net("2001:db8:0:100::/56");
    for (delay, keeps) in [(0, true), (350, true), (850, true), (950, false)] {
        let mut lan = bound();
        lan.answering.clear();
        lan.hear(OTHER, rapid(&duid(1)));
        lan.run_for(millis(delay));
        lan.give(advertised(address(VICTIM)));
        lan.run_for(secs(1));
        assert_eq!(lan.routes()[&held] == address(VICTIM), keeps, "{delay}");
    }
}

/// Nobody is silent by solicitations that did not leave, nor soon where the link is flooded.
#[test]
fn a_flood_makes_no_holder_silent() {
    let held = net("2001:db8:0:100::/56");
    for is_refused in [true, false] {
        let mut lan = bound();
        lan.answering.clear();
        lan.refuses = is_refused;
        lan.hear(OTHER, rapid(&duid(1)));
        for _ in 0..50 {
            let packets = if is_refused { 0 } else { 100 };
            (0..packets).for_each(|_| lan.hear(OTHER, Vec::new()));
            lan.run_for(millis(100));
        }
        assert_eq!(lan.routes()[&held], address(VICTIM), "{is_refused}");
        // It ends, and the holder is still away.
        lan.refuses = false;
        lan.run_for(secs(5));
        lan.hear(OTHER, rapid(&duid(1)));
        lan.run_for(secs(1));
        assert_eq!(lan.routes()[&held], address(OTHER), "{is_refused}");
    }
}

/// Where nothing can be asked nobody is silent.
#[test]
fn a_link_that_goes_down_makes_no_holder_silent() {
    let held = net("2001:db8:0:100::/56");
    let mut lan = bound();
    lan.answering.clear();
    lan.hear(OTHER, rapid(&duid(1)));
    let running = |running| {
        let mut link = lan.system().links[&LAN].clone();
        link.running = running;
        Input::Kernel(vec![KernelEvent::Link(link)])
    };
    let (down, up) = (running(false), running(true));
    lan.give(down);
    lan.run_for(millis(400));
    lan.give(up);
    lan.run_for(secs(2));
    assert_eq!(lan.given(), []);
    assert_eq!(lan.memory().bindings.len(), 1);
    assert_eq!(lan.memory().bindings.values().next().unwrap().contact.next_hop, address(VICTIM));
    assert!(lan.routes().get(&held).is_none_or(|hop| *hop == address(VICTIM)));
}

/// RFC 4861 §7.1.2: what proves nothing, or is forged from afar.
#[test]
fn only_a_true_answer_keeps_a_holder() {
    let held = net("2001:db8:0:100::/56");
    let Input::Icmpv6(good) = advertised(address(VICTIM)) else { unreachable!() };
    let changed = |change: &dyn Fn(&mut Received)| {
        let mut received = good.clone();
        change(&mut received);
        received
    };
    let cases = [
        ("as it is", changed(&|_| {}), true),
        ("forwarded", changed(&|one| one.hop_limit = 254), false),
        ("in fragments", changed(&|one| one.fragmented = true), false),
        ("code", changed(&|one| one.octets[1] = 1), false),
        ("not solicited", changed(&|one| one.octets[4] = 0x20), false),
        ("to a group", changed(&|one| one.destination = address("ff02::1")), false),
        ("short", changed(&|one| one.octets.truncate(23)), false),
        ("an option of length zero", changed(&|one| one.octets.extend([2, 0])), false),
        ("of another", changed(&|one| one.octets[23] ^= 1), false),
        ("on another link", changed(&|one| one.interface.0 += 1), false),
    ];
    for (name, received, keeps) in cases {
        let mut lan = bound();
        lan.answering.clear();
        lan.hear(OTHER, rapid(&duid(1)));
        lan.give(Input::Icmpv6(received));
        lan.run_for(secs(1));
        assert_eq!(lan.routes()[&held] == address(VICTIM), keeps, "{name}");
    }
}

/// The lease of a holder ends whether it answers or not.
#[test]
fn a_place_that_has_run_out_is_free_for_any_router() {
    let mut lan = bound();
    lan.run_for(secs(5401));
    lan.hear(OTHER, rapid(&duid(1)));
    assert_eq!(lan.given(), [net("2001:db8:0:100::/56")]);
    assert_eq!(lan.solicited, [Ipv6Addr::UNSPECIFIED; 0]);
}

/// Behind a relay agent that is there, nobody but the holder is the holder.
#[test]
fn a_relay_agent_answers_for_the_routers_behind_it() {
    let held = net("2001:db8:0:100::/56");
    let interface = |name: &[u8]| RelayOption::InterfaceId(name.to_vec());
    let from = |peer: &str, link: &str, name: &[u8]| {
        relayed(peer, link, &[interface(name)], rapid(&duid(1)))
    };
    let mut lan = Lan::new(SITE);
    lan.hear("fe80::a", from("fe80::99", "fd00:1::1", b"eth1"));
    assert_eq!(lan.given(), [held]);
    // The link of the relay agent has another prefix: it is the same router.
    lan.hear("fe80::a", from("fe80::99", "fd00:2::1", b"eth1"));
    assert_eq!(lan.given(), [held]);
    for (source, octets) in [
        ("fe80::a", from("fe80::98", "fd00:2::1", b"eth1")),
        ("fe80::a", from("fe80::99", "fd00:2::1", b"eth2")),
        (
            "fe80::a",
            relayed("fe80::97", "::", &[interface(b"eth1")], from("fe80::99", "::", b"eth1")),
        ),
        ("fe80::a", rapid(&duid(1))),
    ] {
        lan.hear(source, octets);
        assert_eq!(lan.given(), []);
    }
    assert_eq!(lan.solicited, [Ipv6Addr::UNSPECIFIED; 0], "it has just spoken");
    // Another relay agent on the same link: a spare one, once the first is gone.
    lan.answering.insert(address("fe80::a"));
    lan.hear("fe80::b", from("fe80::99", "fd00:2::1", b"eth1"));
    lan.run_for(secs(1));
    assert_eq!(lan.given(), []);
    lan.run_for(secs(1));
    lan.answering.clear();
    lan.hear("fe80::b", from("fe80::99", "fd00:2::1", b"eth1"));
    lan.run_for(secs(1));
    assert_eq!(lan.given(), [held]);
    assert_eq!(lan.routes()[&held], address("fe80::b"));
}

/// A relay agent that names its interfaces otherwise after a restart: who has not renewed by T2 by
/// the old name is where the new one says, and keeps what it has.
#[test]
fn a_relay_agent_that_names_its_interfaces_anew_costs_nobody_its_prefix() {
    let held = net("2001:db8:0:100::/56");
    let from = |kind, name: &[u8]| {
        let octets = message(kind, &duid(1), &[ia(1, &[held]), Dhcpv6Option::RapidCommit]);
        relayed("fe80::99", "fd00:1::1", &[RelayOption::InterfaceId(name.to_vec())], octets)
    };
    let mut lan = Lan::new(SITE);
    lan.hear("fe80::a", from(Solicit, b"eth1"));
    assert_eq!(lan.given(), [held]);
    for (name, seconds, kind, is_given) in [
        (b"eth2", 900, Renew, false),
        (b"eth2", 1261, Rebind, true),
        (b"eth2", 900, Renew, true),
        (b"eth1", 2150, Rebind, false),
        (b"eth2", 0, Renew, true),
        (b"eth3", 2161, Solicit, true),
    ] {
        lan.run_for(secs(seconds));
        lan.hear("fe80::a", from(kind, name));
        let given: &[Ipv6Net] = if is_given { &[held] } else { &[] };
        assert_eq!(lan.given(), given, "{seconds} {kind:?}");
        assert_eq!(lan.routes()[&held], address("fe80::a"));
        lan.nothing_is_left_to_do();
    }
}

/// While the agent is away, its link is down or the machine sleeps, no router behind a relay agent can
/// renew: that T2 passes meanwhile says nothing of it. Who has not come eleven minutes after that,
/// though it would have been heard, has moved.
#[test]
fn an_outage_of_ours_is_no_evidence_against_a_router_behind_a_relay_agent() {
    let held = net("2001:db8:0:100::/56");
    let from = |kind, name: &[u8]| {
        let octets = message(kind, &duid(1), &[ia(1, &[held]), Dhcpv6Option::RapidCommit]);
        relayed("fe80::99", "fd00:1::1", &[RelayOption::InterfaceId(name.to_vec())], octets)
    };
    type Outage = fn(&mut Lan);
    let outages: [(&str, Outage); 3] = [
        ("a restart", Lan::restart),
        ("a sleep", |lan| lan.give(Input::Resumed)),
        ("a carrier", |lan| {
            for running in [false, true] {
                lan.kernel().set_running(LAN, running, false);
                lan.run_for(secs(5));
            }
        }),
    ];
    for (name, outage) in outages {
        for moved in [false, true] {
            let mut lan = Lan::new(SITE);
            lan.hear("fe80::a", from(Solicit, b"eth1"));
            assert_eq!(lan.given(), [held]);
            lan.run_for(secs(2300));
            outage(&mut lan);
            for _ in 0..6 {
                lan.hear("fe80::a", from(Rebind, b"eth2"));
                assert_eq!(lan.given(), [], "{name}: it may be there");
                lan.run_for(secs(100));
            }
            let at: &[u8] = if moved { b"eth2" } else { b"eth1" };
            lan.run_for(secs(if moved { 100 } else { 0 }));
            lan.hear("fe80::a", from(Rebind, at));
            assert_eq!(lan.given(), [held], "{name}, {moved}");
            lan.hear("fe80::a", from(Rebind, b"eth3"));
            assert_eq!(lan.given(), [], "{name}, {moved}: it has just been there");
        }
    }
}

/// A relay agent whose link was renumbered speaks from another address, and still answers at the
/// old one: it is the same by its link-layer address, and only for who was behind it.
#[test]
fn a_relay_agent_that_is_renumbered_is_the_same() {
    let held = net("2001:db8:0:100::/56");
    let (old, new) = ("2001:db8::a", "2001:db8::b");
    let from = |peer: &str| relayed(peer, "fd00:1::1", &[], rapid(&duid(1)));
    for (link_layer, is_same) in [([2, 0, 0, 0, 0, 0xa], true), ([2, 0, 0, 0, 0, 0xb], false)] {
        let mut lan = Lan::new(SITE);
        lan.answering.extend([address(old), address(new)]);
        lan.link_layers.insert(address(old), [2, 0, 0, 0, 0, 0xa]);
        lan.link_layers.insert(address(new), link_layer);
        lan.hear(old, from("fe80::99"));
        assert_eq!(lan.given(), [held]);
        lan.hear(new, from("fe80::98"));
        assert_eq!(lan.given(), [], "another one behind it");
        lan.run_for(secs(2));
        lan.hear(new, from("fe80::99"));
        assert_eq!(lan.given().len(), usize::from(is_same));
        assert_eq!(lan.routes()[&held], address(if is_same { new } else { old }));
        lan.nothing_is_left_to_do();
    }
}

/// SEC-18: a router whose link-local address was changed, and which still answers at the old one, is
/// the same by its link-layer address: it takes over at once whatever it asks; who answers with
/// another takes over nothing, and neither does who does not answer.
#[test]
fn a_router_with_another_address_is_the_same() {
    let held = net("2001:db8:0:100::/56");
    let new = "fe80::12";
    for kind in [Solicit, Request, Renew, Rebind] {
        for (link_layer, is_same) in
            [(Some(LINK_LAYER), true), (Some([2, 0, 0, 0, 0, 0x23]), false), (None, false)]
        {
            let mut lan = bound();
            lan.link_layers.insert(address(VICTIM), LINK_LAYER);
            if let Some(link_layer) = link_layer {
                lan.answering.insert(address(new));
                lan.link_layers.insert(address(new), link_layer);
            }
            lan.hear(new, message(kind, &duid(1), &[ia(1, &[held]), Dhcpv6Option::RapidCommit]));
            lan.run_for(millis(10));
            if is_same {
                assert_eq!(lan.given(), [held], "{kind:?}");
            }
            lan.run_for(secs(2));
            let hop = address(if is_same { new } else { VICTIM });
            assert_eq!(lan.routes()[&held], hop, "{kind:?} {link_layer:?}");
            assert_eq!(lan.conditions("delegation-contested").is_empty(), is_same, "{kind:?}");
            lan.nothing_is_left_to_do();
        }
    }
}

/// A router with two interfaces on one link is two neighbors, each with IA_PDs of its own.
#[test]
fn another_ia_pd_of_the_same_duid_is_nobody_else_s() {
    let mut lan = bound();
    lan.hear("fe80::12", message(Request, &duid(1), &[ia(2, &[])]));
    assert_eq!(lan.given().len(), 1);
    assert_eq!(lan.routes().len(), 2);
    lan.nothing_is_left_to_do();
}

/// Whoever asks for everybody's place keeps no one else from being served.
#[test]
fn a_flood_of_attempts_is_bounded_and_starves_nobody() {
    let config = (0..200_u32).fold(SITE.to_owned(), |config, number| {
        format!(
            "{config}\n[delegation.n{number}]\ndownlink = \"lan\"\nprefix = \"{:#x}/64\"\n\
             duid = \"00:04:01:01:01:01:01:01:01:01:01:01:01:01:01:01:09:{number:02x}\"\n",
            0x1000 + number
        )
    });
    let who = |number: u8| {
        let mut uuid = [1; 16];
        (uuid[14], uuid[15]) = (9, number);
        Duid::from_uuid(uuid)
    };
    let mut lan = Lan::new(&config);
    for number in 0..200 {
        lan.hear(&format!("fe80::100:{number:x}"), rapid(&who(number)));
        assert_eq!(lan.given().len(), 1);
    }
    lan.hear(VICTIM, rapid(&duid(1)));
    lan.given();
    let routes = lan.routes();
    lan.outputs = 0;
    let replacement = "fe80::12";
    for number in 0..200 {
        lan.hear(OTHER, rapid(&who(number)));
        if number == 20 {
            lan.hear(replacement, rapid(&duid(1)));
        }
    }
    assert!(lan.outputs < 200 * 6, "{}", lan.outputs);
    lan.run_for(Duration::from_secs(1));
    assert_eq!(lan.routes()[&net("2001:db8:0:100::/56")], address(replacement));
    let taken = lan.routes().iter().filter(|(net, hop)| routes[*net] != **hop).count();
    assert!(taken <= 65, "{taken}");
}
