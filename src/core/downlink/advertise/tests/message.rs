use super::*;
use crate::core::downlink::advertise::message::octets;

fn size(message: &RouterAdvertisement) -> usize {
    16 + message.options.iter().map(octets).sum::<usize>()
}

/// RA-TX-16, RA-TX-26
#[test]
fn many_prefixes_take_several_messages_with_equal_headers() {
    for (mtu, said) in [(0, None), (1280, None), (1500, None), (9000, None), (1500, Some(1300))] {
        let prefixes: Vec<_> = (0..80).map(|n| format!("2001:db8:0:{n:x}::/64")).collect();
        let mut content = content(&prefixes.iter().map(String::as_str).collect::<Vec<_>>());
        content.resolvers = (0..100)
            .map(|n| (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, n), Until::Never))
            .collect();
        content.search = (0..100).map(|n| (format!("domain{n}.example"), Until::Never)).collect();
        let mut world = World::new(config::Advertise { mtu: said, ..Default::default() });
        world.advertising.link_up(world.now, Some(MAC.to_vec()), mtu);
        world.set(content);
        let sent = world.last();
        let room = usize::try_from(said.unwrap_or(mtu).max(1280)).unwrap() - 40;
        assert!(sent.messages.iter().all(|message| size(message) <= room));
        assert_eq!(sent.prefixes().count(), 80);
        assert_eq!(sent.resolvers().len(), 100);
        assert_eq!(sent.search().len(), 100);
        let octets: usize = sent.messages.iter().map(|message| size(message) - 16).sum();
        let fewest = octets.div_ceil(room - 16);
        assert!((fewest..=fewest + 1).contains(&sent.messages.len()), "{mtu}: {fewest}");
        for message in &sent.messages {
            let header = RouterAdvertisement { options: Vec::new(), ..message.clone() };
            assert_eq!(
                header,
                RouterAdvertisement { options: Vec::new(), ..sent.messages[0].clone() }
            );
        }
        let address = NdpOption::SourceLinkLayer(MAC.to_vec());
        assert!(sent.messages.iter().all(|message| message.options.contains(&address)));
        let others = sent.options().filter(|option| **option != address);
        let kinds: Vec<_> = others.map(|option| matches!(option, NdpOption::Prefix(_))).collect();
        assert!(kinds.is_sorted_by(|a, b| a >= b), "prefixes first");
    }
}

/// RA-TX-26, CHG-16: a requesting router that heard of one change in two packets would ask twice.
#[test]
fn new_content_is_in_the_first_of_several_messages_and_of_their_copies() {
    let prefix = |number: u64| format!("2001:db8:0:{:x}::/64", number * 7 % 97);
    let mut world = World::saying(content(&[&prefix(0)]));
    let address = "fe80::9".parse().unwrap();
    world.neighbors =
        vec![Neighbor { address, link_layer: vec![2; 6], unconfirmed_for: Duration::ZERO }];
    for number in 1..75 {
        world.set(content(&[&prefix(number)]));
        world.run_until(1000 + number * 4);
        let since =
            world.sent.iter().rev().take_while(|sent| sent.prefix(&prefix(number)).is_some());
        let since: Vec<&Sent> = since.collect();
        assert!(since.iter().any(|sent| sent.to == address), "{number}: copies");
        for sent in since {
            assert_eq!(sent.messages.len() > 1, number > 43, "{number}");
            let first = Sent { messages: vec![sent.messages[0].clone()], ..sent.clone() };
            assert!(first.prefix(&prefix(number)).is_some_and(|(preferred, _)| preferred > 0));
            assert_eq!(first.prefix(&prefix(number - 1)), Some((0, 0)), "{number}");
        }
    }
}

/// RA-TX-26: what no message can hold is left out, and nothing else.
#[test]
fn an_option_larger_than_the_link_is_left_out() {
    let rules = config::Advertise { captive_portal: Some("x".repeat(3000)), ..Default::default() };
    let mut world = World::new(rules);
    world.set(content(&[A]));
    assert_eq!(world.last().messages.len(), 1);
    assert_eq!(world.last().messages[0].options.len(), 2);
}

/// RA-TX-24, RA-TX-27, RA-TX-28, RA-TX-33, RA-TX-34, RA-TX-35, RA-TX-37: by default and with
/// each switch.
#[test]
fn options_and_header_follow_the_configuration() {
    let pio = |on_link, autonomous| {
        NdpOption::Prefix(crate::wire::ndp_option::PrefixInformation {
            prefix: net(A),
            on_link,
            autonomous,
            delegation_preferred: false,
            valid: Lifetime::Finite(5400),
            preferred: Lifetime::Finite(2700),
        })
    };
    let advertisement = |rules, address: Option<&[u8]>| {
        let mut world = World::new(rules);
        world.advertising.link_up(world.now, address.map(<[u8]>::to_vec), 1500);
        world.set(content(&[A]));
        world.last().messages[0].clone()
    };
    assert_eq!(
        advertisement(Default::default(), Some(&MAC)),
        RouterAdvertisement {
            hop_limit: 64,
            router_lifetime: 2700,
            options: vec![NdpOption::SourceLinkLayer(MAC.to_vec()), pio(true, true)],
            ..Default::default()
        }
    );
    let prefix = net("64:ff9b::/96");
    let rules = config::Advertise {
        managed: true,
        other: Some(true),
        preference: Preference::High,
        hop_limit: 0,
        reachable_time: Duration::from_secs(30),
        retrans_timer: Duration::from_millis(1500),
        on_link: false,
        autonomous: false,
        mtu: Some(1400),
        pref64: Some(prefix),
        captive_portal: Some("https://portal.example".to_owned()),
        ..Default::default()
    };
    assert_eq!(
        advertisement(rules, None),
        RouterAdvertisement {
            hop_limit: 0,
            managed: true,
            other: true,
            snac_router: false,
            preference: Preference::High,
            router_lifetime: 2700,
            reachable_time: 30_000,
            retrans_timer: 1500,
            options: vec![
                pio(false, false),
                NdpOption::Mtu(1400),
                NdpOption::Pref64(crate::wire::ndp_option::Pref64 { prefix, lifetime: 1800 }),
                NdpOption::CaptivePortal("https://portal.example".to_owned()),
            ],
        }
    );
}

/// RA-TX-33
#[test]
fn no_default_router_has_medium_preference() {
    let mut world =
        World::new(config::Advertise { preference: Preference::High, ..Default::default() });
    world.set(Content { default_router: false, ..content(&[A]) });
    assert_eq!(world.last().messages[0].preference, Preference::Medium);
}

/// RA-TX-37: a multiple of 8 that fits
#[test]
fn pref64_lifetime_is_three_intervals_in_steps_of_eight() {
    for (max_interval, lifetime) in [(600, 1800), (5, 16), (65_535, 65_528)] {
        let mut world = World::new(config::Advertise {
            max_interval: Duration::from_secs(max_interval),
            min_interval: Duration::from_secs(3),
            pref64: Some(net("64:ff9b::/96")),
            ..Default::default()
        });
        world.set(content(&[A]));
        let said = world.last().options().find_map(|option| {
            let NdpOption::Pref64(pref64) = option else { return None };
            Some(pref64.lifetime)
        });
        assert_eq!(said, Some(lifetime));
    }
}

/// RA-TX-29, RA-TX-38
#[test]
fn prefixes_are_clean() {
    let world = World::saying(content(&["fe80::/64", "2001:db8:a::1/64"]));
    let prefixes: Vec<_> =
        world.last().prefixes().map(|(prefix, _, _)| prefix.to_string()).collect();
    assert_eq!(prefixes, [A]);
}

/// RA-TX-16, RA-TX-26: the sizes that messages are filled by are those on the wire.
#[test]
fn encoded_messages_have_the_computed_size() {
    let rules = config::Advertise {
        mtu: Some(1400),
        pref64: Some(net("64:ff9b::/96")),
        captive_portal: Some("https://portal.example/x".to_owned()),
        ..Default::default()
    };
    let mut world = World::new(rules);
    let content = Content {
        routes: ["::/0", "2001:db8::/56", "2001:db8::/64", "fd00::/96"]
            .map(|route| (net(route), (Preference::High, Until::Never)))
            .into(),
        resolvers: vec![("2001:db8::53".parse().unwrap(), Until::Never)],
        search: vec![("example.org".to_owned(), Until::Never), ("b.example".to_owned(), at(1500))],
        ..content(&[A, B])
    };
    world.advertising.set_content(world.now, content);
    let (_, _, typed) = world.advertising.clone().poll_advertisement(world.now).unwrap();
    let (promises, transmit) = world.advertising.poll_transmit(world.now).unwrap();
    assert_eq!(transmit.destinations, [ALL_NODES]);
    assert_eq!(promises.len(), 6);
    assert_eq!(transmit.messages.len(), typed.len());
    for (encoded, typed) in transmit.messages.iter().zip(&typed) {
        assert_eq!(encoded.len(), size(typed));
        assert_eq!(RouterAdvertisement::decode(encoded).as_ref(), Ok(typed));
    }
    let last = world.advertising.stop(world.now, false);
    let last = RouterAdvertisement::decode(&last.messages[0]).unwrap();
    assert_eq!(last.router_lifetime, 0);
    assert_eq!(world.advertising.deadline(), None);
}
