//! A neighbor that says whatever it likes, of itself and of others: the victim that answers neighbor
//! solicitations keeps its binding and its route, and nothing grows without a bound (SEC-17, SEC-18).

use std::collections::BTreeMap;

use ipnet::Ipv6Net;
use proptest::prelude::*;
use renumberd::core::input::{Command, Input};
use renumberd::wire::dhcpv6::MessageType::{
    self, Decline, Rebind, Release, Renew, Request, Solicit,
};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid};
use renumberd::wire::dhcpv6_relay::RelayOption;

use super::lan::{LAN, Lan, address, duid, ia, message, option_79, relayed};
use crate::millis;

/// Victims that are known by DUID, by link-layer address, and by having come first; 64 places.
const SITE: &str = r#"
    [static.site]
    prefix = "2001:db8::/48"
    [downlink.lan]
    subnet = "0x0/64"
    [delegation.one]
    downlink = "lan"
    duid = "00:04:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01"
    prefix = "0x1/56"
    [delegation.two]
    downlink = "lan"
    link-layer = "02:00:00:00:00:22"
    prefix = "0x2/56"
    [pool.others]
    downlink = "lan"
    prefix = "0x30/58"
"#;
const LINK_LAYERS: [[u8; 6]; 3] =
    [[2, 0, 0, 0, 0, 0x11], [2, 0, 0, 0, 0, 0x22], [2, 0, 0, 0, 0, 0x33]];
/// The addresses of the victims, made from their link-layer addresses.
const VICTIMS: [&str; 3] = ["fe80::ff:fe00:11", "fe80::ff:fe00:22", "fe80::ff:fe00:33"];
/// Where the attacker is: addresses of one interface.
const ATTACKER: [&str; 3] = ["fe80::bad", "2001:db8::bad", "2001:db8:ffff::bad"];
const ATTACKER_LINK_LAYER: [u8; 6] = [2, 0, 0, 0, 0xba, 0xd];

/// What the attacker sends.
#[derive(Clone, Debug)]
struct Attack {
    from: usize,
    kind: MessageType,
    /// 0 to 2 of a victim, else its own.
    who: u8,
    iaids: Vec<u32>,
    /// Prefixes of which victims, or of nobody.
    names: Vec<u8>,
    accepts: bool,
    relays: Vec<Relayed>,
    wait: u64,
}

#[derive(Clone, Debug)]
struct Relayed {
    peer: usize,
    link: &'static str,
    link_layer: Option<usize>,
    interface: bool,
}

fn attack() -> impl Strategy<Value = Attack> {
    let kind = prop::sample::select(vec![Solicit, Request, Renew, Rebind, Release, Decline]);
    let relay = (
        0_usize..3,
        prop::sample::select(vec!["::", "2001:db8::1", "fe80::1"]),
        prop::option::of(0_usize..3),
        any::<bool>(),
    )
        .prop_map(|(peer, link, link_layer, interface)| Relayed {
            peer,
            link,
            link_layer,
            interface,
        });
    (
        0_usize..3,
        kind,
        0_u8..40,
        prop::collection::vec(0_u32..4, 0..4),
        prop::collection::vec(0_u8..5, 0..3),
        any::<bool>(),
        prop::collection::vec(relay, 0..3),
        prop::sample::select(vec![0_u64, 0, 1, 400, 1100, 3000]),
    )
        .prop_map(|(from, kind, who, iaids, names, accepts, relays, wait)| Attack {
            from,
            kind,
            who,
            iaids,
            names,
            accepts,
            relays,
            wait,
        })
}

/// What happens between two messages of the attacker.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Nothing,
    /// The agent is killed and started again.
    Restart,
    /// The machine has slept.
    Sleep,
    /// The carrier is lost and comes back.
    Carrier,
    /// Another prefix takes the place of the one that all delegations are parts of.
    Renumbering(u8),
}

fn meanwhile() -> impl Strategy<Value = Meanwhile> {
    prop_oneof![
        4 => Just(Meanwhile::Nothing),
        1 => Just(Meanwhile::Restart),
        1 => Just(Meanwhile::Sleep),
        1 => Just(Meanwhile::Carrier),
        2 => (0_u8..3).prop_map(Meanwhile::Renumbering),
    ]
}

impl Meanwhile {
    fn happens(self, lan: &mut Lan, site: &mut u8) {
        match self {
            Self::Nothing => {}
            Self::Restart => lan.restart(),
            Self::Sleep => lan.give(Input::Resumed),
            Self::Carrier => {
                for running in [false, true] {
                    lan.kernel().set_running(LAN, running, false);
                    lan.run_for(millis(300));
                }
            }
            Self::Renumbering(number) => {
                *site = number;
                let prefix = place_in(number, "2001:db8::/48".parse().unwrap());
                let prefixes = BTreeMap::from([("site".to_owned(), Some(prefix))]);
                lan.give(Input::Command(Command::SetPrefixes { prefixes, graceful: true }));
            }
        }
    }
}

/// The same part of the site's prefix with this number.
fn place_in(number: u8, part: Ipv6Net) -> Ipv6Net {
    let mut segments = part.network().segments();
    segments[2] = number.into();
    Ipv6Net::new(segments.into(), part.prefix_len()).unwrap()
}

fn who(number: u8) -> Duid {
    duid(if number < 3 { number + 1 } else { 100 + number })
}

impl Attack {
    fn octets(&self, held: &[Ipv6Net]) -> Vec<u8> {
        let foreign: Ipv6Net = "2001:db8:77::/56".parse().unwrap();
        let names: Vec<Ipv6Net> = self
            .names
            .iter()
            .map(|name| held.get(usize::from(*name)).copied().unwrap_or(foreign))
            .collect();
        let mut options: Vec<Dhcpv6Option> =
            self.iaids.iter().map(|iaid| ia(*iaid, &names)).collect();
        options.push(Dhcpv6Option::RapidCommit);
        options.extend(self.accepts.then_some(Dhcpv6Option::ReconfigureAccept));
        let inner = message(self.kind, &who(self.who), &options);
        self.relays.iter().fold(inner, |inner, relay| {
            let mut options: Vec<RelayOption> = relay
                .link_layer
                .map(|link_layer| option_79(LINK_LAYERS[link_layer]))
                .into_iter()
                .collect();
            options.extend(relay.interface.then(|| RelayOption::InterfaceId(vec![1])));
            relayed(VICTIMS[relay.peer], relay.link, &options, inner)
        })
    }
}

/// The routes and records of the victims.
fn theirs(lan: &Lan) -> (Vec<(Ipv6Net, std::net::Ipv6Addr)>, BTreeMap<String, String>) {
    let is_theirs = |hop: &std::net::Ipv6Addr| VICTIMS.iter().any(|one| address(one) == *hop);
    let routes = lan.routes().into_iter().filter(|(_, hop)| is_theirs(hop)).collect();
    let records = lan.memory().bindings.iter();
    let records = records.filter(|(_, binding)| is_theirs(&binding.contact.next_hop));
    let records = records.map(|(key, binding)| {
        (format!("{key:?}"), format!("{:?} {:?}", binding.contact, binding.slots))
    });
    (routes, records.collect())
}

/// SEC-17: addresses cost nothing to invent. Whether they answer or not, who comes after is served:
/// at once, as it answers at once.
#[test]
fn invented_addresses_leave_room_for_others() {
    for answers in [false, true] {
        for by_relay in [false, true] {
            let mut lan = Lan::new(SITE);
            for number in 0..400_u16 {
                let source = format!("fe80::dead:{number:x}");
                if answers {
                    lan.answering.insert(address(&source));
                    lan.link_layers.insert(address(&source), ATTACKER_LINK_LAYER);
                }
                let who = Duid::from_uuid(
                    [&[7; 14][..], &number.to_be_bytes()].concat().try_into().unwrap(),
                );
                let options = [ia(1, &[]), Dhcpv6Option::RapidCommit];
                let octets = message(Solicit, &who, &options);
                lan.hear(
                    &source,
                    if by_relay { relayed(&source, "::", &[], octets) } else { octets },
                );
                if number % 50 == 0 {
                    lan.run_for(millis(1000));
                }
            }
            let taken = lan.status().bindings.len();
            assert_eq!(taken, if answers { 32 + 16 } else { 32 }, "{answers} {by_relay}");
            for number in 0..5 {
                let source = format!("fe80::5:{number}");
                lan.answering.insert(address(&source));
                lan.answers.clear();
                lan.hear(&source, message(Request, &duid(150 + number), &[ia(1, &[])]));
                assert_eq!(lan.given().len(), 1, "{answers} {by_relay}");
            }
            assert!(lan.status().counters.len() < 20);
            lan.nothing_is_left_to_do();
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn a_victim_that_answers_keeps_what_it_has(
        attacks in prop::collection::vec(attack(), 1..60)
    ) {
        let mut lan = Lan::new(SITE);
        let mut held = Vec::new();
        for (number, victim) in VICTIMS.iter().enumerate() {
            lan.answering.insert(address(victim));
            let request = message(Request, &who(u8::try_from(number).unwrap()), &[ia(1, &[])]);
            lan.hear(victim, request);
            held.extend(lan.given());
        }
        prop_assert_eq!(held.len(), 3);
        lan.answering.extend(ATTACKER.iter().map(|text| address(text)));
        lan.link_layers.extend(ATTACKER.map(|text| (address(text), ATTACKER_LINK_LAYER)));
        let before = theirs(&lan);
        for (position, attack) in attacks.iter().enumerate() {
            let count = lan.outputs;
            let octets = attack.octets(&held);
            // As the shell does, for link-local addresses that do not show it.
            let known = (attack.from == 0).then_some(ATTACKER_LINK_LAYER);
            lan.hear_with(ATTACKER[attack.from], known, octets);
            prop_assert!(lan.outputs - count <= 24, "{} outputs", lan.outputs - count);
            lan.run_for(millis(attack.wait));
            let after = theirs(&lan);
            prop_assert!(after == before, "after {position}: {before:?} {after:?}");
            // Its own of the pool: by link-layer address, by its other address, as a relay agent.
            let own = lan.memory().bindings.values();
            let own = own.filter(|one| ATTACKER.map(address).contains(&one.contact.next_hop)).count();
            prop_assert!(own <= 16 * 4, "{own} bindings");
            for (_, answer) in std::mem::take(&mut lan.answers) {
                let given = answer.ia_pds().flat_map(|ia| &ia.prefixes);
                let given = given.filter(|one| !one.valid.is_zero() && held.contains(&one.prefix));
                prop_assert_eq!(given.count(), 0, "after {}", position);
            }
        }
        lan.nothing_is_left_to_do();
        // The victims are served as ever.
        for (number, victim) in VICTIMS.iter().enumerate() {
            let renew = message(Renew, &who(u8::try_from(number).unwrap()), &[ia(1, &held[number..=number])]);
            lan.hear(victim, renew);
            prop_assert_eq!(lan.given(), &held[number..=number]);
        }
        // So is a stranger.
        lan.answering.insert(address("fe80::5"));
        lan.hear("fe80::5", message(Request, &duid(99), &[ia(1, &[])]));
        prop_assert_eq!(lan.given().len(), 1);
    }

    /// The same while the prefix changes, the agent restarts, the machine sleeps and the carrier is
    /// lost: nothing of the victims' places is given to the attacker or leads to it, in any prefix.
    #[test]
    fn a_victim_that_answers_keeps_its_place_whatever_happens_meanwhile(
        attacks in prop::collection::vec((attack(), meanwhile()), 1..60)
    ) {
        let mut lan = Lan::new(SITE);
        let mut held = Vec::new();
        for (number, victim) in VICTIMS.iter().enumerate() {
            lan.answering.insert(address(victim));
            let request = message(Request, &who(u8::try_from(number).unwrap()), &[ia(1, &[])]);
            lan.hear(victim, request);
            held.extend(lan.given());
        }
        lan.answering.extend(ATTACKER.iter().map(|text| address(text)));
        lan.link_layers.extend(ATTACKER.map(|text| (address(text), ATTACKER_LINK_LAYER)));
        let (_, before) = theirs(&lan);
        let holder_of = |prefix: &Ipv6Net| {
            let normal = place_in(0, *prefix);
            held.iter().position(|one| one.contains(&normal) || normal.contains(one))
        };
        let mut site = 0;
        for (position, (attack, meanwhile)) in attacks.iter().enumerate() {
            meanwhile.happens(&mut lan, &mut site);
            let known = (attack.from == 0).then_some(ATTACKER_LINK_LAYER);
            lan.hear_with(ATTACKER[attack.from], known, attack.octets(&held));
            lan.run_for(millis(attack.wait));
            prop_assert_eq!(&theirs(&lan).1, &before, "after {}", position);
            for (prefix, hop) in lan.routes() {
                if let Some(victim) = holder_of(&prefix) {
                    prop_assert_eq!(hop, address(VICTIMS[victim]), "{} after {}", prefix, position);
                }
            }
            for (at, answer) in std::mem::take(&mut lan.answers) {
                let given = answer.ia_pds().flat_map(|ia| &ia.prefixes);
                let mut given = given.filter(|one| !one.valid.is_zero());
                let is_theirs = given.find(|one| holder_of(&one.prefix).is_some());
                prop_assert!(is_theirs.is_none() || VICTIMS.map(address).contains(&at), "{}", position);
            }
        }
        lan.run_for(millis(3000));
        lan.answers.clear();
        lan.nothing_is_left_to_do();
        for (number, victim) in VICTIMS.iter().enumerate() {
            let named = &held[number..=number];
            lan.hear(victim, message(Renew, &who(u8::try_from(number).unwrap()), &[ia(1, named)]));
            let wanted = place_in(site, held[number]);
            let given = lan.given();
            prop_assert!(given.contains(&wanted), "{:?} and not {}", given, wanted);
        }
    }

    /// What steps do one by one is what the whole derivation finds, whoever moves what: routers with
    /// other DUIDs, IA_PDs and addresses than before, some of them silent.
    #[test]
    fn steps_lead_where_the_whole_derivation_does(
        moves in prop::collection::vec(
            (0_u8..4, 0_u32..3, 0_u8..5, 0_usize..3, any::<bool>(), 0_u64..4), 1..40
        )
    ) {
        let mut lan = Lan::new(SITE);
        for (who_is, iaid, kind, at, answers, wait) in moves {
            let kind = [Solicit, Request, Renew, Rebind, Release][usize::from(kind)];
            let options = [ia(iaid, &[]), Dhcpv6Option::RapidCommit];
            if answers {
                lan.answering.insert(address(VICTIMS[at]));
            } else {
                lan.answering.remove(&address(VICTIMS[at]));
            }
            lan.hear(VICTIMS[at], message(kind, &who(who_is), &options));
            lan.nothing_is_left_to_do();
            lan.run_for(millis(wait * 500));
            lan.nothing_is_left_to_do();
            lan.answers.clear();
        }
    }
}
