//! Advertisements that repeat the last (CHG-01): taken in quickly, with the same end.

use super::*;

fn option() -> impl Strategy<Value = NdpOption> {
    let lifetime = prop_oneof![Just(0_u32), Just(20), Just(5000), Just(7200), Just(u32::MAX)];
    (0..4_u8, 0..3_u16, lifetime, any::<bool>()).prop_map(|(kind, number, lifetime, flag)| {
        let finite = Lifetime::from_wire(lifetime);
        match kind {
            0 => flagged(&format!("2001:db8:{number:x}::/64"), lifetime, true, flag),
            1 => NdpOption::Route(RouteInformation {
                prefix: net(&format!("3fff:{number:x}::/32")),
                preference: if flag { Preference::High } else { Preference::Medium },
                lifetime: finite,
            }),
            2 => NdpOption::Rdnss {
                lifetime: finite,
                servers: vec![Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, number)],
            },
            _ => NdpOption::Mtu(1400 + u32::from(number)),
        }
    })
}

/// What one advertises: few contents, so that many repeat.
fn content() -> impl Strategy<Value = Vec<RouterAdvertisement>> {
    let one = (prop::collection::vec(option(), 0..4), prop_oneof![Just(0_u16), Just(1800)]);
    let one = one.prop_map(|(options, router_lifetime)| RouterAdvertisement {
        router_lifetime,
        options,
        ..RouterAdvertisement::default()
    });
    prop::collection::vec(one, 1..4)
}

/// With other lifetimes, of which none becomes zero or ceases to be.
#[expect(clippy::wildcard_enum_match_arm, reason = "two of the generated options have lifetimes")]
fn stretched(advertisement: &RouterAdvertisement, factor: u32) -> RouterAdvertisement {
    let stretch = |lifetime: Lifetime| match lifetime {
        Lifetime::Finite(seconds) => Lifetime::Finite(seconds * factor),
        Lifetime::Infinite => Lifetime::Infinite,
    };
    let options = advertisement.options.iter().cloned().map(|option| match option {
        NdpOption::Prefix(pio) => NdpOption::Prefix(PrefixInformation {
            valid: stretch(pio.valid),
            preferred: stretch(pio.preferred),
            ..pio
        }),
        NdpOption::Rdnss { lifetime, servers } => {
            NdpOption::Rdnss { lifetime: stretch(lifetime), servers }
        }
        other => other,
    });
    RouterAdvertisement { options: options.collect(), ..advertisement.clone() }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// What an advertisement changes, and what is there after it, does not depend on whether it was
    /// seen to be a repetition.
    #[test]
    fn a_repetition_is_as_good_as_anew(
        contents in content(),
        steps in prop::collection::vec((0..3_usize, 1..3_u32, any::<bool>(), 0..40_u64), 1..40),
    ) {
        let mut routers = routers();
        let mut now = START;
        for (which, factor, first, pause) in steps {
            now = now + Duration::from_secs(pause);
            routers.handle_timeout(now);
            while routers.poll_solicitation(now).is_some() {}
            let source = if first { ONE } else { TWO };
            let say = stretched(&contents[which % contents.len()], factor);
            let mut anew = routers.clone();
            anew.routers.values_mut().for_each(|router| router.last = None);
            let heard = routers.handle_advertisement(now, source, &say, false, MTU).unwrap();
            let reference = anew.handle_advertisement(now, source, &say, false, MTU).unwrap();
            prop_assert_eq!(&heard.prefixes, &reference.prefixes);
            prop_assert_eq!(
                (heard.others, heard.none_confirmed, heard.went_back),
                (reference.others, reference.none_confirmed, reference.went_back)
            );
            prop_assert_eq!(routers.prefixes(now), anew.prefixes(now));
            prop_assert_eq!(routers.default_routers(now), anew.default_routers(now));
            prop_assert_eq!(routers.routes(now), anew.routes(now));
            prop_assert_eq!(routers.parameters(now), anew.parameters(now));
            prop_assert_eq!(routers.deadline(true), anew.deadline(true));
        }
    }
}

/// What only moves lifetimes need not be followed at once, but well before the first end.
#[test]
fn lifetimes_that_move_are_followed_in_time() {
    for (valid, seconds) in [(7200, 10_000), (20, 5000), (4, 1000), (1, 500)] {
        let mut routers = routers();
        let mut say = ra(vec![pio(A, valid, valid)]);
        say.router_lifetime = u16::try_from(valid).unwrap();
        routers.handle_advertisement(START, ONE, &say, false, MTU).unwrap();
        let now = START + Duration::from_millis(1);
        let heard = routers.handle_advertisement(now, ONE, &say, false, MTU).unwrap();
        let pause = heard.refresh_by.unwrap().since(now);
        assert!(pause <= Duration::from_millis(seconds), "{valid}: {pause:?}");
        assert!(pause + Duration::from_millis(20) >= Duration::from_millis(seconds), "{pause:?}");
        assert_eq!(heard, Heard { refresh_by: heard.refresh_by, ..Heard::default() });
    }
}
