//! What passes through is remembered and routed.

use std::time::Duration;

use ipnet::Ipv6Net;

use super::super::leases::{MAX_LEASES, MAX_PER_CLIENT};
use super::*;
use crate::core::kernel::system::{KernelRoute, RouteTarget};
use crate::core::memory::{Memory, RelayedLease};

const OTHER: &str = "fe80::200:5eff:fe00:5302";

/// The relay agent with what it has remembered so far.
struct Agent {
    relays: Relays,
    system: System,
    memory: Memory,
    now: Instant,
}

impl Agent {
    fn new() -> Self {
        let (relays, system) = (Relays::default(), system());
        Self { relays, system, memory: Memory::default(), now: NOW }
    }

    fn take(&mut self, received: &Received) -> Relaying {
        let relaying = self.relays.handle(self.now, &config(), &self.system, received).unwrap();
        relaying.records.iter().cloned().for_each(|record| self.memory.fold(record));
        relaying
    }

    /// A Reply to client number `client`, whose router is `peer`.
    fn reply(&mut self, client: u8, peer: &str, options: &[Dhcpv6Option]) -> Relaying {
        let inside = message(MessageType::Reply, client, options).encode();
        self.take(&from_server(&answer("::", peer, vec![id("lan0")], &inside)))
    }

    fn release(&mut self, interface: IfIndex, source: &str, client: u8, options: &[Dhcpv6Option]) {
        let octets = message(MessageType::Release, client, options).encode();
        self.take(&received(interface, source, "ff02::1:2", &octets));
    }

    /// What the leases come to after the time that has passed, as routes.
    fn routes(&mut self) -> Vec<String> {
        for record in self.relays.leases_mut().handle_timeout(self.now) {
            self.memory.fold(record);
        }
        let routes = self.relays.leases().routes(&config(), &self.system);
        routes.iter().map(shown).collect()
    }

    fn restart(&mut self) {
        self.relays = Relays::new(Leases::restore(self.now, self.memory.relayed.clone()));
    }
}

fn shown(route: &KernelRoute) -> String {
    let RouteTarget::Gateway(interface, gateway) = route.target else { panic!("{route:?}") };
    let left = route.until.remaining(NOW);
    format!("{} via {gateway} dev {} for {left}", route.destination, interface.0)
}

/// RLY-10, RLY-12: several prefixes in an IA_PD, several IA_PDs, several clients.
#[test]
fn each_prefix_of_a_reply_is_routed_to_its_router() {
    let mut agent = Agent::new();
    let relaying = agent.reply(
        1,
        CLIENT,
        &[
            ia_pd(1, &[("2001:db8:100::/56", 600, 900), ("2001:db8:200::/57", 600, 1800)]),
            ia_pd(2, &[("2001:db8:300::/64", 0, u32::MAX)]),
        ],
    );
    assert_eq!((relaying.packets.len(), relaying.records.len()), (1, 3));
    let sentence = relaying.events[0].to_string();
    assert!(sentence.contains("2001:db8:100::/56 is delegated to 00:03:00:01:"), "{sentence}");
    agent.reply(2, OTHER, &[ia_pd(1, &[("2001:db8:400::/56", 600, 900)])]);
    assert_eq!(
        agent.routes(),
        [
            format!("2001:db8:100::/56 via {CLIENT} dev 3 for 15m"),
            format!("2001:db8:200::/57 via {CLIENT} dev 3 for 30m"),
            format!("2001:db8:300::/64 via {CLIENT} dev 3 for infinite"),
            format!("2001:db8:400::/56 via {OTHER} dev 3 for 15m"),
        ]
    );
}

/// RLY-10: only a Reply gives, and only what a client would take.
#[test]
fn replies_that_grant_nothing_cause_no_route() {
    let given = |prefix, preferred, valid| ia_pd(1, &[(prefix, preferred, valid)]);
    let cases = [
        ("no lifetime", given("2001:db8:100::/56", 0, 0)),
        ("preferred for longer than valid", given("2001:db8:100::/56", 2, 1)),
        ("everything", given("::/0", 600, 900)),
        ("half of everything", given("::/1", 600, 900)),
        ("link-local", given("fe80::/64", 600, 900)),
        ("multicast", given("ff00::/8", 600, 900)),
        ("an address", given("2001:db8:100::1/128", 600, 900)),
        ("a link of ours", given("2001:db8:c::/64", 600, 900)),
        ("a part of one", given("2001:db8:c:0:1::/80", 600, 900)),
    ];
    for (name, option) in cases {
        let mut agent = Agent::new();
        let relaying = agent.reply(1, CLIENT, &[option]);
        assert_eq!(relaying.packets.len(), 1, "{name}: relayed all the same");
        assert_eq!(relaying.records, [], "{name}");
        assert_eq!(agent.routes(), [""; 0], "{name}");
    }
    let good = given("2001:db8:100::/56", 600, 900);
    for kind in [MessageType::Advertise, MessageType::Reconfigure, MessageType::Release] {
        let mut agent = Agent::new();
        let inside = message(kind, 1, std::slice::from_ref(&good)).encode();
        agent.take(&from_server(&answer("::", CLIENT, vec![id("lan0")], &inside)));
        assert_eq!(agent.routes(), [""; 0], "{kind:?}");
    }
    let mut agent = Agent::new();
    agent.reply(1, "2001:db8:f::9", std::slice::from_ref(&good));
    assert_eq!(agent.routes(), [""; 0], "by way of nobody on the link");
    let mut nobody = message(MessageType::Reply, 1, &[good]);
    nobody.options.remove(0);
    agent.take(&from_server(&answer("::", CLIENT, vec![id("lan0")], &nobody.encode())));
    assert_eq!(agent.routes(), [""; 0], "to nobody");
}

/// A prefix that covers the link it is reached by is routed: the link's own is longer
/// (RFC 6603).
#[test]
fn a_prefix_around_a_link_of_ours_is_routed() {
    let mut agent = Agent::new();
    agent.reply(1, CLIENT, &[ia_pd(1, &[("2001:db8:a::/48", 600, 900)])]);
    assert_eq!(agent.routes(), [format!("2001:db8:a::/48 via {CLIENT} dev 3 for 15m")]);
}

/// RLY-12, RLY-10: renewed, shortened to nothing, run out.
#[test]
fn a_route_lives_as_long_as_the_lease() {
    let mut agent = Agent::new();
    let prefixes = [("2001:db8:100::/56", 60, 90), ("2001:db8:200::/56", 60, 90)];
    agent.reply(1, CLIENT, &[ia_pd(1, &prefixes)]);
    agent.now = Instant::from_secs(1030);
    let relaying = agent.reply(1, CLIENT, &[ia_pd(1, &prefixes[..1])]);
    assert_eq!((relaying.records.len(), relaying.events.len()), (1, 0), "renewed");
    let first = format!("2001:db8:100::/56 via {CLIENT} dev 3 for 2m");
    let second = format!("2001:db8:200::/56 via {CLIENT} dev 3 for 1m 30s");
    assert_eq!(agent.routes(), [first.clone(), second], "what is not mentioned runs on");
    let end = agent.relays.leases().deadline().unwrap();
    assert_eq!((end.at, end.reason), (Instant::from_secs(1090), "end of a relayed lease"));
    agent.now = end.at;
    assert_eq!(agent.routes(), [first]);
    assert_eq!(agent.memory.relayed.len(), 1, "and it is forgotten");
    agent.reply(1, CLIENT, &[ia_pd(1, &[("2001:db8:100::/56", 0, 0)])]);
    assert_eq!(agent.routes(), [""; 0]);
    assert_eq!((agent.relays.leases().deadline(), agent.memory.relayed.len()), (None, 0));
}

/// DWN-05: the newest answer shows where the router is.
#[test]
fn a_route_follows_its_router() {
    let mut agent = Agent::new();
    let given = [ia_pd(1, &[("2001:db8:100::/56", 600, 900)])];
    agent.reply(1, CLIENT, &given);
    let relaying = agent.reply(1, OTHER, &given);
    assert_eq!(relaying.events.len(), 1);
    assert_eq!(agent.routes(), [format!("2001:db8:100::/56 via {OTHER} dev 3 for 15m")]);
    // To another client: a server gives a prefix to one at a time.
    agent.reply(2, CLIENT, &given);
    assert_eq!(agent.routes(), [format!("2001:db8:100::/56 via {CLIENT} dev 3 for 15m")]);
    assert_eq!(agent.memory.relayed.len(), 1);
}

/// RLY-11
#[test]
fn a_release_ends_what_it_names() {
    let first = ("2001:db8:100::/56", 600, 900);
    let second = ("2001:db8:200::/56", 600, 900);
    let third = ("2001:db8:300::/56", 600, 900);
    let cases = [
        // name, released by client, from, on, what; how many routes are left
        ("a prefix", 1, CLIENT, LAN, ia_pd(1, &[first]), 2),
        ("an IA_PD", 1, CLIENT, LAN, ia_pd(1, &[first, second]), 1),
        ("an IA_PD without a prefix", 1, CLIENT, LAN, ia_pd(1, &[]), 1),
        ("a prefix of another IA_PD", 1, CLIENT, LAN, ia_pd(1, &[third]), 3),
        ("another IA_PD", 1, CLIENT, LAN, ia_pd(3, &[]), 3),
        ("another client's", 2, CLIENT, LAN, ia_pd(1, &[]), 3),
        ("by somebody else", 1, OTHER, LAN, ia_pd(1, &[]), 3),
        ("on another link", 1, CLIENT, LAN1, ia_pd(1, &[]), 3),
    ];
    for (name, client, source, interface, released, left) in cases {
        let mut agent = Agent::new();
        agent.reply(1, CLIENT, &[ia_pd(1, &[first, second]), ia_pd(2, &[third])]);
        agent.release(interface, source, client, &[released]);
        assert_eq!(agent.routes().len(), left, "{name}");
        assert_eq!(agent.memory.relayed.len(), left, "{name}");
    }
}

/// Behind another relay agent: the way to the router leads through that.
#[test]
fn a_router_behind_another_relay_is_reached_through_that() {
    let mut agent = Agent::new();
    let given = ia_pd(1, &[("2001:db8:100::/56", 600, 900)]);
    let reply = message(MessageType::Reply, 1, std::slice::from_ref(&given)).encode();
    let inner = answer("2001:db8:d::1", CLIENT, vec![], &reply).encode();
    agent.take(&from_server(&answer("::", "fe80::9", vec![id("lan0")], &inner)));
    assert_eq!(agent.routes(), ["2001:db8:100::/56 via fe80::9 dev 3 for 15m"]);
    agent.take(&from_server(&answer("::", "2001:db8:a::9", vec![id("lan0")], &inner)));
    assert_eq!(agent.routes(), ["2001:db8:100::/56 via 2001:db8:a::9 dev 3 for 15m"]);
    agent.take(&from_server(&answer("::", "fe80::9", vec![id("lan0")], &inner)));
    let release = message(MessageType::Release, 1, &[given]).encode();
    let mut forward = answer("2001:db8:d::1", CLIENT, vec![], &release);
    forward.kind = RelayKind::Forward;
    agent.take(&received(LAN, "fe80::9", "ff02::1:2", &forward.encode()));
    assert_eq!(agent.routes(), [""; 0]);
}

/// RLY-15: as RFC 8987 has it, a link that is down ends no lease.
#[test]
fn routes_are_back_when_the_link_is() {
    let mut agent = Agent::new();
    agent.reply(1, CLIENT, &[ia_pd(1, &[("2001:db8:100::/56", 600, 900)])]);
    let routes = agent.routes();
    agent.system.handle(KernelEvent::Link(Link { running: false, ..link(LAN, "lan0") }));
    assert_eq!(agent.routes(), [""; 0]);
    agent.system.handle(KernelEvent::Link(link(LAN, "lan0")));
    assert_eq!(agent.routes(), routes);
    agent.system.handle(KernelEvent::LinkGone(LAN));
    agent.system.handle(KernelEvent::Link(link(IfIndex(33), "lan0")));
    assert_eq!(agent.routes(), [format!("2001:db8:100::/56 via {CLIENT} dev 33 for 15m")]);
}

/// RLY-14
#[test]
fn routes_are_there_after_a_restart() {
    let mut agent = Agent::new();
    let given = [("2001:db8:100::/56", 60, 90), ("2001:db8:200::/56", 600, 900)];
    agent.reply(1, CLIENT, &[ia_pd(1, &given)]);
    agent.reply(2, OTHER, &[ia_pd(1, &[("2001:db8:300::/56", 600, u32::MAX)])]);
    agent.reply(3, CLIENT, &[ia_pd(1, &[("2001:db8:400::/56", 600, 900)])]);
    agent.release(LAN, CLIENT, 3, &[ia_pd(1, &[])]);
    let routes = agent.routes();
    assert_eq!(routes.len(), 3);
    agent.restart();
    assert_eq!(agent.routes(), routes);
    agent.now = Instant::from_secs(1091);
    agent.restart();
    assert_eq!(agent.routes(), routes[1..], "what has ended meanwhile is not");
}

/// STO: a record moves to the clock of another boot.
#[test]
fn a_lease_moves_to_another_clock() {
    let mut agent = Agent::new();
    let options = [ia_pd(1, &[("2001:db8:100::/56", 60, 900)])];
    let mut record = agent.reply(1, CLIENT, &options).records.remove(0);
    let text = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    record.shift(NOW, Instant::from_secs(20), Duration::from_secs(100));
    let Record::Relayed { lease: Some(lease), .. } = record else { panic!("{record:?}") };
    let expected = RelayedLease {
        client: duid(1),
        iaid: Iaid(1),
        link: "lan0".to_owned(),
        next_hop: ip(CLIENT),
        preferred_until: Until::At(Instant::BOOT),
        valid_until: Until::At(Instant::from_secs(820)),
    };
    assert_eq!(lease, expected);
}

/// A link that nothing is relayed from any more has no routes; the leases wait for its return.
#[test]
fn a_link_that_is_not_relayed_has_no_routes() {
    let mut agent = Agent::new();
    agent.reply(1, CLIENT, &[ia_pd(1, &[("2001:db8:100::/56", 600, 900)])]);
    let leases = agent.relays.leases();
    assert_eq!(leases.routes(&Config::default(), &agent.system), []);
    assert_eq!(leases.routes(&config(), &agent.system).len(), 1);
}

/// RLY-10: at its bound a further lease takes the room of one that the router with most has, what
/// one message gives does not push out itself, and all is relayed.
#[test]
fn the_table_is_bounded() {
    let prefix = |number: usize| {
        let number = u16::try_from(number).unwrap();
        Ipv6Addr::new(0x2001, 0xdb8, 0x8000 | number, 0, 0, 0, 0, 0).to_string() + "/48"
    };
    let mut agent = Agent::new();
    let many: Vec<String> = (0..=MAX_PER_CLIENT).map(prefix).collect();
    let given: Vec<_> = many.iter().map(|prefix| (prefix.as_str(), 600, 900)).collect();
    let relaying = agent.reply(1, CLIENT, &[ia_pd(1, &given)]);
    assert_eq!((relaying.records.len(), relaying.packets.len()), (MAX_PER_CLIENT, 1));
    assert!(relaying.crowded);
    assert!(!agent.relays.leases().is_full());
    for number in MAX_PER_CLIENT..MAX_LEASES {
        let client = u8::try_from(number / MAX_PER_CLIENT).unwrap() + 1;
        agent.reply(client, CLIENT, &[ia_pd(1, &[(&prefix(number), 600, 900)])]);
    }
    assert!(agent.relays.leases().is_full());
    let relaying = agent.reply(1, CLIENT, &[ia_pd(1, &[(&prefix(0), 600, 1800)])]);
    assert_eq!((relaying.records.len(), relaying.crowded), (1, false), "what is there is renewed");
    // The newest of a router with few gets in, and again when others of the first come.
    let of_others = |agent: &Agent| {
        let other: Ipv6Addr = OTHER.parse().unwrap();
        agent.relays.leases().iter().filter(|(_, lease)| lease.next_hop == other).count()
    };
    let further = |number: usize| prefix(MAX_LEASES + number);
    agent.reply(2, CLIENT, &[ia_pd(1, &[(&prefix(MAX_PER_CLIENT + 7), 0, 9000)])]);
    for number in 0..100 {
        let relaying = agent.reply(250, OTHER, &[ia_pd(7, &[(&further(number), 60, 90)])]);
        assert_eq!(relaying.packets.len(), 1);
        assert!(relaying.crowded);
        let relaying = agent.reply(251, CLIENT, &[ia_pd(1, &[(&further(100 + number), 600, 900)])]);
        assert!(relaying.crowded);
        assert_eq!(of_others(&agent), (number + 1).min(MAX_PER_CLIENT));
        assert_eq!(agent.relays.leases().iter().count(), MAX_LEASES);
    }
    let held: Vec<String> =
        agent.relays.leases().iter().map(|(prefix, _)| prefix.to_string()).collect();
    let deprecated = prefix(MAX_PER_CLIENT + 7);
    assert!(!held.contains(&deprecated), "what is deprecated leaves first");
    assert!(held.contains(&prefix(0)), "what lasts longest stays");
    assert_eq!(agent.memory.relayed.len(), MAX_LEASES, "and the memory says the same");
}

/// RLY-10: a server withdraws a prefix from the IA_PD that it was given to.
#[test]
fn a_withdrawal_ends_the_lease_of_its_own_client_and_ia_pd_alone() {
    let mut agent = Agent::new();
    agent.reply(1, CLIENT, &[ia_pd(1, &[("2001:db8:100::/56", 600, 900)])]);
    let cases = [("another client", 2, 1, 1), ("another IA_PD", 1, 2, 1), ("its own", 1, 1, 0)];
    for (name, client, iaid, left) in cases {
        agent.reply(client, CLIENT, &[ia_pd(iaid, &[("2001:db8:100::/56", 0, 0)])]);
        assert_eq!(agent.routes().len(), left, "{name}");
    }
}

/// RLY-14: a memory that was written by another version, or read late, may hold more than there is
/// room for.
#[test]
fn a_restart_restores_as_many_leases_as_fit_and_none_that_has_ended() {
    let lease = |number: u16| {
        let prefix = Ipv6Addr::new(0x2001, 0xdb8, number, 0, 0, 0, 0, 0);
        let valid_until = if number < 10 { NOW } else { NOW + Duration::from_secs(900) };
        let lease = RelayedLease {
            client: duid(1),
            iaid: Iaid(1),
            link: "lan0".to_owned(),
            next_hop: CLIENT.parse().unwrap(),
            preferred_until: Until::At(valid_until),
            valid_until: Until::At(valid_until),
        };
        (Ipv6Net::new(prefix, 48).unwrap(), lease)
    };
    let most = u16::try_from(MAX_LEASES).unwrap();
    let leases = Leases::restore(NOW, (0..most + 20).map(lease).collect());
    let restored: Vec<Ipv6Net> = leases.iter().map(|(prefix, _)| prefix).collect();
    assert_eq!(restored, (10..most + 10).map(|number| lease(number).0).collect::<Vec<_>>());
}

/// RLY-10: of two routers with equally many leases the one that asks for more gives one up.
#[test]
fn a_router_that_would_have_as_many_as_any_other_evicts_a_lease_of_its_own() {
    let routers = [CLIENT, OTHER, "fe80::200:5eff:fe00:5303"];
    for (own, other) in [(CLIENT, OTHER), (OTHER, CLIENT)] {
        let lease = |number: usize| {
            let half = MAX_LEASES / 2;
            let router = match number {
                _ if number < half => other,
                _ if number < MAX_LEASES - 1 => own,
                _ => routers[2],
            };
            let prefix =
                Ipv6Addr::new(0x2001, 0xdb8, u16::try_from(number).unwrap(), 0, 0, 0, 0, 0);
            let valid_until = Until::At(NOW + Duration::from_secs(900));
            let lease = RelayedLease {
                client: duid(u8::try_from(number / MAX_PER_CLIENT).unwrap()),
                iaid: Iaid(1),
                link: "lan0".to_owned(),
                next_hop: router.parse().unwrap(),
                preferred_until: valid_until,
                valid_until,
            };
            (Ipv6Net::new(prefix, 48).unwrap(), lease)
        };
        let mut agent = Agent::new();
        agent.memory.relayed = (0..MAX_LEASES).map(lease).collect();
        agent.restart();
        agent.reply(200, own, &[ia_pd(1, &[("2001:db8:f000::/48", 600, 900)])]);
        let count = |router: &str| {
            let router: Ipv6Addr = router.parse().unwrap();
            agent.relays.leases().iter().filter(|(_, lease)| lease.next_hop == router).count()
        };
        let half = MAX_LEASES / 2;
        assert_eq!(routers.map(count).iter().sum::<usize>(), MAX_LEASES);
        assert_eq!((count(own), count(other)), (half - 1, half), "{own} asks for one more");
    }
}
