use proptest::prelude::*;

use super::*;

/// Something that happens to a link.
#[derive(Clone, Debug)]
enum Event {
    Content { prefixes: Vec<(u8, u32, u32)>, default_router: bool },
    Solicit { host: u8, named: bool },
    LinkFlap,
}

fn event() -> impl Strategy<Value = Event> {
    let lifetime = || prop_oneof![Just(0), 0..400_u32, 0..20_000_u32];
    let prefix = (0..6_u8, lifetime(), lifetime());
    prop_oneof![
        2 => (prop::collection::vec(prefix, 0..4), any::<bool>())
            .prop_map(|(prefixes, default_router)| Event::Content { prefixes, default_router }),
        4 => (0..40_u8, any::<bool>()).prop_map(|(host, named)| Event::Solicit { host, named }),
        1 => Just(Event::LinkFlap),
    ]
}

/// Within a burst, a little later, or much later: milliseconds.
fn pause() -> impl Strategy<Value = u64> {
    prop_oneof![4 => 0..50_u64, 2 => 0..4000_u64, 1 => 0..1_000_000_u64]
}

fn subnet(n: u8) -> Ipv6Net {
    net(&format!("2001:db8:0:{n:x}::/64"))
}

fn apply(world: &mut World, event: Event) {
    match event {
        Event::Content { prefixes, default_router } => {
            let end = |seconds| Until::after(world.now, Lifetime::Finite(seconds));
            let prefixes = prefixes.into_iter().map(|(n, p, v)| (subnet(n), (end(p), end(v))));
            let prefixes = prefixes.collect();
            world.set(Content { default_router, prefixes, ..Content::default() });
        }
        Event::Solicit { host, named } => world.solicit(&format!("fe80::{host:x}"), named),
        Event::LinkFlap => {
            world.advertising.link_down();
            world.advertising.link_up(world.now, Some(MAC.to_vec()), 1500);
            world.drain();
        }
    }
}

/// Of everything that `sent` says, checked against the content at that moment.
fn check(sent: &Sent, content: &Content, promised: &mut BTreeMap<Ipv6Net, (Until, Until)>) {
    let never = at(0);
    for promise in &sent.promises {
        promised.entry(promise.prefix).or_insert((never, promise.until)).1 = promise.until;
    }
    for (prefix, preferred, valid) in sent.prefixes() {
        assert!(preferred <= valid, "RA-TX-23");
        let ends = content.prefixes.get(&prefix).copied();
        let (preferred_end, valid_end) = ends.unwrap_or((never, never));
        assert!(
            preferred == 0 || Until::after(sent.at, Lifetime::Finite(preferred)) <= preferred_end
        );
        assert!(valid == 0 || Until::after(sent.at, Lifetime::Finite(valid)) <= valid_end);
        if valid > 0 {
            let until = Until::after(sent.at, Lifetime::Finite(valid));
            let (longest, recorded) = promised.get_mut(&prefix).expect("recorded before");
            *longest = if longest.is_over(sent.at) { until } else { until.max(*longest) };
            assert!(*recorded >= until, "STO-03");
        }
    }
    for (prefix, (longest, _)) in promised.iter().filter(|(_, (until, _))| !until.is_over(sent.at))
    {
        let said = sent.prefixes().any(|(other, _, _)| other == *prefix);
        assert!(said, "RA-TX-51: {prefix} until {longest:?} is not advertised");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// RA-TX-09, RA-TX-21, RA-TX-23, RA-TX-51, CRV-07, STO-03: over random histories multicast
    /// advertisements keep their distance, unicast ones their rate, and no lifetime exceeds the
    /// lease or what was recorded.
    #[test]
    fn the_rules_hold_over_random_histories(
        history in prop::collection::vec((pause(), event()), 1..80),
        unicast_copies: bool,
    ) {
        let rules = config::Advertise { unicast_copies, ..Default::default() };
        let mut world = World::new(rules);
        let mut promised = BTreeMap::new();
        let mut checked = 0;
        for (pause, event) in history {
            let until = world.now + Duration::from_millis(pause);
            while let Some(due) = world.advertising.deadline().filter(|due| due.at <= until) {
                world.now = due.at;
                world.drain();
            }
            world.now = until;
            let before = world.advertising.content.clone().unwrap_or_default();
            world.sent[checked..].iter().for_each(|sent| check(sent, &before, &mut promised));
            checked = world.sent.len();
            apply(&mut world, event);
            let after = world.advertising.content.clone().unwrap_or_default();
            world.sent[checked..].iter().for_each(|sent| check(sent, &after, &mut promised));
            checked = world.sent.len();
        }
        let (multicast, unicast): (Vec<_>, Vec<_>) =
            world.sent.iter().cloned().partition(|sent| sent.to == ALL_NODES);
        prop_assert!(gaps(&multicast).iter().all(|gap| *gap >= 3.0));
        // Twenty answers in a second, and copies of five changes.
        let most = if unicast_copies { 20 + 5 * 64 } else { 20 };
        let span = |some: &[Sent]| some[most].at.since(some[0].at);
        prop_assert!(unicast.windows(most + 1).all(|some| span(some) >= Duration::from_secs(1)));
    }
}
