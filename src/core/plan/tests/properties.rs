use proptest::prelude::*;

use super::*;

prop_compose! {
    fn any_place()(high in any::<bool>(), number in 0..300_u64, length in 56..=64_u8) -> Place {
        let number =
            if high { PlaceNumber::High(number + 1) } else { PlaceNumber::Low(number) };
        Place { number, length }
    }
}

type Claims = BTreeMap<String, (Option<Place>, u8, i32)>;

/// Up to `most` places, with names that begin alike.
fn any_claims(names: &'static str, most: usize) -> impl Strategy<Value = Claims> {
    let claim = (prop::option::of(any_place()), 56..=64_u8, -1..=1_i32);
    prop::collection::btree_map(names, claim, 0..most)
}

prop_compose! {
    fn any_site()(
        links in any_claims("[a-z]{1,4}", 12),
        routers in any_claims("r-[a-z]{1,4}", 12),
        pools in any_claims("p-[a-z]{1,4}", 4),
        descending in any::<bool>(),
    ) -> Config {
        let downlink =
            |(subnet, _, priority)| Downlink { subnet, priority, ..Downlink::default() };
        let delegation =
            |(place, length, priority)| Delegation { priority, ..delegation(place, length) };
        let pool = |(place, size, priority)| Pool { priority, ..pool(place, size) };
        Config {
            downlinks: links.into_iter().map(|(name, one)| (name, downlink(one))).collect(),
            delegations: routers.into_iter().map(|(name, one)| (name, delegation(one))).collect(),
            pools: pools.into_iter().map(|(name, one)| (name, pool(one))).collect(),
            layout: if descending { Layout::Descending } else { Layout::Scattered },
            ..Config::default()
        }
    }
}

prop_compose! {
    fn any_delegation()(
        bits in any::<u64>(),
        length in 48..=66_u8,
        exclude in prop::option::of(any::<u64>()),
    ) -> Whole {
        let base = u128::from(bits) << 64;
        let prefix = Ipv6Net::new(base.into(), length).unwrap().trunc();
        let within = |number: u64, length| {
            let mask = u128::from(u64::MAX) << 64 >> prefix.prefix_len() >> 1;
            let address = u128::from(prefix.network()) | (u128::from(number) << 64 & mask);
            Ipv6Net::new(address.into(), length).unwrap().trunc()
        };
        Whole {
            prefix,
            exclude: exclude.map(|number| within(number, 64)),
            ..whole("2001:db8::/56")
        }
    }
}

/// All places of a length, from the low end.
fn places(prefix: Ipv6Net, length: u8) -> impl DoubleEndedIterator<Item = Ipv6Net> {
    let count = count(prefix, length).unwrap_or(0);
    (0..count).map(move |number| at(prefix, length, number).unwrap())
}

proptest! {
    /// CRV-05, CRV-06
    #[test]
    fn nothing_overlaps_and_nothing_lies_outside(config in any_site(), part in any_delegation()) {
        let plan = plan(&config, &part);
        let parts: Vec<_> = parts(&plan).into_values().collect();
        for (position, one) in parts.iter().enumerate() {
            prop_assert!(part.prefix.contains(one));
            prop_assert!(!parts.iter().take(position).any(|other| overlap(*one, *other)));
            prop_assert!(!part.exclude.is_some_and(|kept| overlap(*one, kept)));
        }
        for claim in config.claims() {
            let is_without = plan.without.contains_key(claim.name);
            prop_assert!(plan.part(&claim).is_some() != is_without, "{} is told once", claim.name);
        }
        prop_assert_eq!(parts.len() + plan.without.len(), config.claims().count());
    }

    /// The quick search finds what looking at one place after the other would.
    #[test]
    fn automatic_places_are_the_first_that_are_free(
        config in any_site(),
        part in any_delegation(),
    ) {
        let plan = plan(&config, &part);
        let taken: Vec<_> = parts(&plan)
            .into_values()
            .chain(part.exclude)
            .collect();
        let is_free = |place: &Ipv6Net| !taken.iter().any(|other| overlap(*place, *other));
        for claim in config.claims().filter(|claim| claim.place.is_none()) {
            let all = || places(part.prefix, claim.length);
            let found = match (plan.part(&claim), plan.without.get(claim.name)) {
                (Some(found), _) => found,
                (None, Some(Unassigned::Full)) => {
                    prop_assert!(!all().any(|place| is_free(&place)), "{}", claim.name);
                    continue;
                }
                (None, other) => {
                    prop_assert!(claim.length < part.prefix.prefix_len(), "{other:?}");
                    continue;
                }
            };
            prop_assert_eq!(found.prefix_len(), claim.length);
            let passed: Vec<Ipv6Net> = match config.layout {
                Layout::Descending => all().rev().take_while(|place| *place != found).collect(),
                Layout::Scattered => {
                    let count = count(part.prefix, claim.length).unwrap();
                    let first = stable_hash(claim.name.as_bytes()) % count;
                    let numbers = (first..count).chain(0..first);
                    let places = numbers.map(|n| at(part.prefix, claim.length, n).unwrap());
                    places.take_while(|place| *place != found).collect()
                }
            };
            prop_assert!(!passed.iter().any(is_free), "{} at {found}: {passed:?}", claim.name);
        }
    }

    /// CRV-02: a place that exists is given at its very number, whatever the prefix.
    #[test]
    fn fixed_places_never_move(config in any_site(), bits in any::<u64>(), other in any::<u64>()) {
        let of = |bits: u64| {
            let prefix = Ipv6Net::new((u128::from(bits) << 64).into(), 56).unwrap().trunc();
            plan(&config, &Whole { prefix, ..whole("2001:db8::/56") })
        };
        let (one, other) = (of(bits), of(other));
        let (one, other) = (parts(&one), parts(&other));
        let number = |part: &Ipv6Net| u128::from(part.network()) >> 64 & 0xff;
        prop_assert_eq!(one.len(), other.len());
        for (name, part) in &one {
            prop_assert_eq!(number(part), number(&other[name]));
        }
    }

    /// CRV-02: nor does it matter to them whether others come and go.
    #[test]
    fn automatic_places_disturb_no_fixed_one(config in any_site()) {
        let part = whole("2001:db8::/48");
        let mut fewer = config.clone();
        fewer.downlinks.retain(|_, one| one.subnet.is_some());
        fewer.delegations.retain(|_, one| one.place.is_some());
        fewer.pools.retain(|_, one| one.place.is_some());
        let (more, fewer) = (plan(&config, &part), plan(&fewer, &part));
        let of_more = parts(&more);
        for (name, part) in parts(&fewer) {
            prop_assert_eq!(part, of_more[name]);
        }
        for (name, why) in fewer.without {
            prop_assert_eq!(why, more.without[&name]);
        }
    }

    /// Additions move no scattered place with which they do not collide, be it through others.
    #[test]
    fn an_addition_moves_nobody_else(config in any_site(), name in "[a-z]{5}", length in 56..=64_u8) {
        let mut config = Config { layout: Layout::Scattered, ..config };
        config.downlinks.values_mut().for_each(|one| one.priority = 0);
        config.delegations.values_mut().for_each(|one| one.priority = 0);
        config.pools.values_mut().for_each(|one| one.priority = 0);
        let part = whole("2001:db8::/48");
        let before = plan(&config, &part);
        config.delegations.insert(name.clone(), delegation(None, length));
        let after = plan(&config, &part);
        let (before, after) = (parts(&before), parts(&after));
        for (name, was) in &before {
            let is = after[name];
            let others = |all: &BTreeMap<&str, Ipv6Net>, place| {
                all.iter().any(|(other, part)| other != name && overlap(*part, place))
            };
            prop_assert!(is == *was || others(&after, *was) || others(&before, is));
        }
    }
}
