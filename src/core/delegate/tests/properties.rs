//! Over random histories: what routers hold never overlaps, and what is kept equals what it is
//! derived from.

use proptest::prelude::*;

use MessageType::*;

use super::*;

/// A requesting router as it is, not as the table has it: it loses messages, forgets, and holds a
/// prefix for the lifetime that it was sent, from its arrival on.
#[derive(Clone, Default)]
struct Router {
    held: BTreeMap<u32, BTreeMap<Ipv6Net, Instant>>,
}

/// What happens.
#[derive(Clone, Debug)]
enum Event {
    /// A router sends a message about some of its IA_PDs; it may get lost, or its answer.
    Send { number: u8, kind: MessageType, ias: u8, lost: Lost, delay: u64 },
    /// A router forgets everything.
    Reboot { number: u8 },
    /// What is delegated to us.
    Renumber { to: u8, valid: u64 },
    /// The configuration.
    Reload { to: u8 },
    /// The delegating router is killed and started.
    Restart,
    /// Time passes.
    Wait { seconds: u64 },
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum Lost {
    Nothing,
    Message,
    Answer,
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop_oneof![
        2 => Just(Solicit), 3 => Just(Request), 6 => Just(Renew), 3 => Just(Rebind), 1 => Just(Release)
    ];
    let lost =
        prop_oneof![6 => Just(Lost::Nothing), 1 => Just(Lost::Message), 2 => Just(Lost::Answer)];
    prop_oneof![
        12 => (1_u8..=4, kind, 1_u8..8, lost, 0_u64..3)
            .prop_map(|(number, kind, ias, lost, delay)| Event::Send { number, kind, ias, lost, delay }),
        1 => (1_u8..=4).prop_map(|number| Event::Reboot { number }),
        2 => (0_u8..4, 600_u64..9000).prop_map(|(to, valid)| Event::Renumber { to, valid }),
        2 => (0_u8..6).prop_map(|to| Event::Reload { to }),
        1 => Just(Event::Restart),
        6 => prop_oneof![0_u64..30, 300_u64..1500, 2000_u64..6000]
            .prop_map(|seconds| Event::Wait { seconds }),
    ]
}

/// Configurations in which places move, overlap, change hands, and a pool comes and goes.
fn site(number: u8) -> String {
    let pool = "[pool.guests]\ndownlink = \"lan0\"\nprefix = \"0x4/61\"\nper-router = 2\n";
    let swap = |text: String, one: &str, other: &str| {
        text.replace(one, "@").replace(other, one).replace('@', other)
    };
    let site = SITE.to_owned();
    match number {
        0 => site,
        1 => swap(site, "0x1/60", "0x3/60"),
        2 => format!("{}{pool}", swap(site, "0x2/60", "0x9/60")),
        3 => format!(
            "grace = \"5s\"\n{}",
            site.replace("0x1/60", "0x2/59")
                .replace("0x3/60", "0x2/60")
                .replace("0x2/60\"\n    [delegation.two]", "0x6/60\"\n    [delegation.two]")
        ),
        4 => swap(site.replace("iaid = 1", "").replace("iaid = 2", ""), ":01:01", ":02:02"),
        _ => format!("{POOL}{}", "# strangers only\n"),
    }
}

fn renumber(world: &mut World, to: u8, valid: u64) {
    let both = [(A, valid / 2, valid), (B, valid / 2, valid)];
    match to {
        0 => world.delegate("up", &both[..1]),
        1 => world.delegate("up", &both[1..]),
        2 => world.delegate("up", &both),
        // A part of what was: places fold.
        _ => world.delegate("up", &[("2001:db8:a00::/58", valid / 2, valid)]),
    }
}

impl Router {
    fn forget_ended(&mut self, now: Instant) {
        for held in self.held.values_mut() {
            held.retain(|_, until| *until > now);
        }
    }

    fn message(&self, number: u8, kind: MessageType, ias: u8) -> Message {
        let ias = (0..3).filter(|bit| ias & (1 << bit) != 0).map(|bit| {
            let held = self.held.get(&(bit + 1)).into_iter().flatten();
            let named: Vec<String> = held.map(|(prefix, _)| prefix.to_string()).collect();
            ia(bit + 1, &named.iter().map(String::as_str).collect::<Vec<_>>())
        });
        message(number, kind, &ias.collect::<Vec<_>>())
    }

    fn hear(&mut self, now: Instant, answer: &Message) {
        if answer.kind != Reply {
            return;
        }
        for ia in answer.ia_pds() {
            let held = self.held.entry(ia.iaid.0).or_default();
            for prefix in &ia.prefixes {
                match prefix.valid.to_wire() {
                    0 => held.remove(&prefix.prefix),
                    seconds => held.insert(prefix.prefix, now + secs(seconds.into())),
                };
            }
        }
    }
}

fn live(world: &mut World, routers: &mut BTreeMap<u8, Router>, event: &Event) {
    match event {
        Event::Send { number, kind, ias, lost, delay } => {
            let router = routers.entry(*number).or_default();
            // Who holds something renews it; only who holds nothing asks anew.
            let holds = router.held.values().any(|held| !held.is_empty());
            let kind = match (kind, holds) {
                (Solicit | Request, true) => Renew,
                (Renew | Rebind | Release, false) => Request,
                (kind, _) => *kind,
            };
            let message = router.message(*number, kind, *ias);
            if kind == Release {
                for ia in message.ia_pds() {
                    router.held.remove(&ia.iaid.0);
                }
            }
            if *lost == Lost::Message {
                return;
            }
            let answer = world.hear_at("lan0", contact(*number), &message);
            world.run_for(secs(*delay));
            if let (Ok(answer), false) = (answer, *lost == Lost::Answer) {
                routers.entry(*number).or_default().hear(world.now, &answer);
            }
        }
        Event::Reboot { number } => {
            routers.remove(number);
        }
        Event::Renumber { to, valid } => renumber(world, *to, *valid),
        Event::Reload { to } => world.reload(&site(*to)),
        Event::Restart => world.restart(),
        Event::Wait { seconds } => world.run_for(secs(*seconds)),
    }
    for router in routers.values_mut() {
        router.forget_ended(world.now);
    }
}

#[test]
fn the_configurations_of_the_histories_are_all_right() {
    for number in 0..6 {
        let config = file::parse("test.toml", &site(number));
        assert!(config.is_ok(), "{number}: {config:?}");
    }
}

/// Options of any kind, many of them malformed, some of them IA_PDs with prefixes of any length.
fn options() -> impl Strategy<Value = Vec<u8>> {
    let any_option = (0_u16..90, proptest::collection::vec(any::<u8>(), 0..40)).boxed();
    let prefix =
        (any::<[u8; 8]>(), 0_u8..130, any::<[u8; 6]>()).prop_map(|(times, length, bits)| {
            let address = [&[0x20, 1, 0xd, 0xb8, 0xa, 0][..], &bits, &[0; 4]].concat();
            (26, [&times[..], &[length], &address].concat())
        });
    let inner = prop_oneof![4 => prefix, 1 => any_option.clone()];
    let ia = (0_u8..4, proptest::collection::vec(inner, 0..5))
        .prop_map(|(iaid, inner)| (25, [&[0; 3][..], &[iaid], &[0; 8], &encoded(&inner)].concat()));
    let all = prop_oneof![2 => ia, 1 => any_option, 1 => Just((20, Vec::new()))];
    proptest::collection::vec(all, 0..6).prop_map(|options| encoded(&options))
}

fn encoded(options: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let one = |(code, body): &(u16, Vec<u8>)| {
        let length = u16::try_from(body.len()).unwrap();
        [&code.to_be_bytes()[..], &length.to_be_bytes(), body].concat()
    };
    options.iter().flat_map(one).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Law 4, SRV-57, and the incremental state equals the one derived from scratch.
    #[test]
    fn no_two_routers_hold_overlapping_prefixes(
        events in proptest::collection::vec(event(), 1..60)
    ) {
        let mut world = World::new(SITE, A);
        let mut routers: BTreeMap<u8, Router> = BTreeMap::new();
        for (position, event) in events.iter().enumerate() {
            live(&mut world, &mut routers, event);
            world.check();
            let held: Vec<(u8, Ipv6Net)> = routers
                .iter()
                .flat_map(|(number, router)| {
                    router.held.values().flatten().map(|(prefix, _)| (*number, *prefix))
                })
                .collect();
            for (number, prefix) in &held {
                for (other, with) in &held {
                    let overlap = prefix.contains(with) || with.contains(prefix);
                    prop_assert!(
                        number == other || !overlap,
                        "after event {position}: {number} has {prefix}, {other} has {with}"
                    );
                }
            }
            let routes: Vec<String> = world.routes();
            let unique: BTreeSet<&String> = routes.iter().collect();
            prop_assert_eq!(routes.len(), unique.len(), "one route to each: {:?}", routes);
        }
    }

    /// Whatever options a message has, and whoever sends it.
    #[test]
    fn no_message_makes_it_panic(
        messages in proptest::collection::vec((any::<[u8; 3]>(), options()), 1..40)
    ) {
        let mut world = World::new(POOL, A);
        for (head, octets) in messages {
            let start = [1 + head[0] % 11, 0, 0, head[1]];
            let duid = [0, 1, 0, 4, 0, 4, 1, head[2]];
            let server = [&[0, 2, 0, 18][..], us().octets()].concat();
            let server = if head[1] % 2 == 0 { server } else { Vec::new() };
            let octets = [&start[..], &duid, &server, &octets].concat();
            if let Ok(message) = Message::decode(&octets) {
                let arrival = Arrival { downlink: "lan0".into(), contact: contact(head[2]) };
                let served = world.delegating.handle_message(world.now, &arrival, &message);
                world.remember(&served.map(|served| served.touched).unwrap_or_default());
                world.timeout();
                world.check();
            }
        }
    }
}
