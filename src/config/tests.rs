use super::file::parse;
use super::*;

mod client;
mod delegations;
mod engine;
mod keys;

fn errors(text: &str) -> String {
    let errors = parse("renumberd.toml", text).expect_err("is wrong");
    errors.iter().map(|error| format!("{error}\n")).collect()
}

fn config(text: &str) -> Config {
    parse("renumberd.toml", text).unwrap_or_else(|errors| {
        panic!("{}", errors.iter().map(ToString::to_string).collect::<String>())
    })
}

#[test]
fn every_key_is_read() {
    let config = config(
        r#"
        duid = "00:03:00:01:02:00:5e:00:53:01"
        grace = "1m"
        on-stop = "remove"
        ready-timeout = "10s"
        uplink-loss-hold = "0s"

        [uplink.tap0]
        address = "::2"
        routers = ["fe80::1"]
        delegate = [{ iaid = 1, length = 60 }, { iaid = 0x2 }]
        request-address = false
        default-route = false
        rapid-commit = false
        reconfigure = false
        on-reconnect = "solicit"
        verify-omission = false
        strict = true
        shortest-prefix = 16
        probe = "2001:db8:ffff::1"

        [downlink.lan0]
        subnet = "0xf/64"
        from = "tap0/2"
        address = "::1:1"
        priority = -1
        rdnss = ["self", "uplink", "2001:db8::53"]
        dnssl = ["uplink", "example.org."]
        advertise = false
        max-interval = "8s"
        min-interval = "5s"
        min-delay-between-ras = "30ms"
        router-lifetime = "30m"
        preference = "high"
        managed = true
        other = true
        on-link = false
        autonomous = false
        preferred-lifetime = "10m"
        valid-lifetime = "20m"
        shorten-lifetimes = false
        hop-limit = 0
        reachable-time = "30s"
        retrans-timer = "1500ms"
        mtu = 1480
        routes = ["2001:db8:1::/48"]
        pref64 = "64:ff9b::/96"
        captive-portal = "https://portal.example.org/"
        unicast-answers = false
        relays = ["fe80::a", "2001:db8:f::/48"]
        unicast-copies = false
        "#,
    );
    let uplink = Uplink {
        requester: None,
        address: AddressMode::Fixed(InterfaceId(2)),
        routers: vec!["fe80::1".parse().unwrap()],
        delegate: vec![
            Delegate { iaid: Iaid(1), length: Some(60) },
            Delegate { iaid: Iaid(2), length: None },
        ],
        request_address: false,
        default_route: false,
        rapid_commit: false,
        reconfigure: false,
        solicit_on_reconnect: true,
        verify_omission: false,
        strict: true,
        shortest_prefix: 16,
        probe: Some("2001:db8:ffff::1".parse().unwrap()),
        client: None,
    };
    let advertise = Advertise {
        enabled: false,
        max_interval: Duration::from_secs(8),
        min_interval: Duration::from_secs(5),
        min_delay: Duration::from_millis(30),
        router_lifetime: Duration::from_secs(1800),
        preference: Preference::High,
        managed: true,
        other: Some(true),
        on_link: false,
        autonomous: false,
        preferred_limit: Duration::from_secs(600),
        valid_limit: Duration::from_secs(1200),
        shorten: false,
        hop_limit: 0,
        reachable_time: Duration::from_secs(30),
        retrans_timer: Duration::from_millis(1500),
        mtu: Some(1480),
        rdnss: vec![
            Resolver::Own,
            Resolver::Uplink,
            Resolver::Address("2001:db8::53".parse().unwrap()),
        ],
        dnssl: vec![SearchList::Uplink, SearchList::Name("example.org".to_owned())],
        routes: vec!["2001:db8:1::/48".parse().unwrap()],
        pref64: Some("64:ff9b::/96".parse().unwrap()),
        captive_portal: Some("https://portal.example.org/".to_owned()),
        unicast_answers: false,
        unicast_copies: false,
    };
    let downlink = Downlink {
        advertiser: None,
        delegator: None,
        subnet: Some(Place { number: PlaceNumber::Low(15), length: 64 }),
        from: Some(Source { uplink: "tap0".to_owned(), iaid: Some(Iaid(2)) }),
        address: InterfaceId(0x1_0001),
        priority: -1,
        rapid_commit: true,
        relays: RelaySources::Listed(vec![
            "fe80::a/128".parse().unwrap(),
            "2001:db8:f::/48".parse().unwrap(),
        ]),
        advertise,
    };
    let expected = Config {
        uplinks: BTreeMap::from([("tap0".to_owned(), uplink)]),
        downlinks: BTreeMap::from([("lan0".to_owned(), downlink)]),
        duid: Some("00:03:00:01:02:00:5e:00:53:01".parse().unwrap()),
        grace: Duration::from_secs(60),
        on_stop: OnStop::Remove,
        ready_timeout: Duration::from_secs(10),
        uplink_loss_hold: Duration::ZERO,
        ..Config::default()
    };
    assert_eq!(config, expected);
}

#[test]
fn omitted_keys_mean_the_same_as_on_the_command_line() {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let from_args = Config::from_args(&names(&["tap0"]), &names(&["lan0", "wl0"]));
    assert_eq!(config("[uplink.tap0]\n[downlink.lan0]\n[downlink.wl0]"), from_args.unwrap());
}

/// RA-TX-34
#[test]
fn o_is_set_where_something_is_delegated() {
    let site = "[static.site]\n[downlink.lan0]\n[downlink.lan1]\n[downlink.lan2]\nother = false\n\
                [pool.a]\ndownlink = \"lan0\"\n[pool.b]\ndownlink = \"lan2\"\n";
    let other: Vec<bool> =
        config(site).downlinks.values().map(|link| link.advertise.other == Some(true)).collect();
    assert_eq!(other, [true, false, false]);
}

/// RA-TX-04: the defaults of the intervals hang on one another.
#[test]
fn min_interval_follows_max_interval() {
    for (most, least) in [("600s", 198.0), ("9s", 3.0), ("8s", 6.0), ("4s", 3.0), ("30m", 594.0)] {
        let config = config(&format!("[downlink.lan0]\nmax-interval = \"{most}\""));
        let advertise = &config.downlinks["lan0"].advertise;
        assert!((advertise.min_interval.as_secs_f64() - least).abs() < 0.1, "{advertise:?}");
        assert!(advertise.router_lifetime >= advertise.max_interval);
    }
}

#[test]
fn an_error_names_file_line_key_and_remedy() {
    assert_eq!(
        errors("[uplink.tap0]\n[downlink.lan0]\nsubnet = \"0x0/65\"\n"),
        "renumberd.toml:3: downlink.lan0.subnet: \"0x0/65\" is no place in a delegated prefix\n  \
         remedy: write NUMBER/LENGTH with a length of at most 64, for instance \"0x3/64\", or \
         \"-1/64\" for the highest\n"
    );
}

#[test]
fn all_errors_are_listed_from_top_to_bottom() {
    let all = errors(
        "grace = \"soon\"\n[uplink.tap0]\nadress = \"::2\"\n[downlink.tap0]\nmtu = 1279\n\
         [downlink.lan0]\nrdnss = \"self\"\nfrom = \"tun0\"\nwhat = 1\n",
    );
    let heads: Vec<&str> = all.lines().filter(|line| !line.starts_with("  remedy")).collect();
    assert_eq!(
        heads,
        [
            "renumberd.toml:1: grace: \"soon\" is no duration that is read here",
            "renumberd.toml:3: uplink.tap0.adress: is no key that is known here",
            "renumberd.toml:4: downlink.tap0: tap0 is an uplink too",
            "renumberd.toml:5: downlink.tap0.mtu: 1279 is out of range",
            "renumberd.toml:7: downlink.lan0.rdnss: is no list",
            "renumberd.toml:8: downlink.lan0.from: no delegation tun0 is asked for",
            "renumberd.toml:9: downlink.lan0.what: is no key that is known here",
        ]
    );
    assert!(all.contains("remedy: did you mean `address`?"), "{all}");
    assert!(all.contains("remedy: write \"tap0/1\""), "{all}");
    assert!(
        all.contains("remedy: the keys here are: advertiser, delegator, subnet, from, "),
        "{all}"
    );
}

/// What is said to be missing may be there, and not be read for a fault that has an error of its
/// own: that is the only one.
#[test]
fn tables_that_could_not_be_read_are_not_reported_missing_as_well() {
    const CASES: &[(&str, &str)] = &[
        ("[uplinks.tap0]", "uplinks: is no key"),
        ("[Uplink.tap0]\n[relay.lan0]\nservers = [\"fe80::1\"]", "Uplink: is no key"),
        ("uplink = 1", "uplink: is no table"),
        ("uplink.tap0 = 1", "uplink.tap0: stands where a table belongs"),
        ("[downlinks.lan0]\n[pool.a]\ndownlink = \"lan0\"", "downlinks: is no key"),
        ("[statics.x]\n[downlink.lan0]\nfrom = \"x\"", "statics: is no key"),
        (
            "[uplink.tap0]\ndelegate = [{ iaid = 1 }, { iaid = \"2\" }, { iaid = 3 }]\n\
             [downlink.lan0]\nfrom = \"tap0/2\"",
            "uplink.tap0.delegate.iaid: string is not",
        ),
        (
            "[uplink.tap0]\n[downlink.lan0]\nadvertiser = \"mine\"\n\
             [engine.mine]\nkind = \"radvdd\"",
            "engine.mine.kind: ",
        ),
    ];
    for (text, expected) in CASES {
        let found = errors(text);
        let found: Vec<&str> = found.lines().filter(|line| !line.starts_with("  remedy")).collect();
        assert!(found.len() == 1 && found[0].contains(expected), "{text:?}: {found:?}");
    }
    // What is wrong with other tables hides nothing, and what is wrong with the whole comes last.
    let found = errors("grace = 1\n[static.x]\nprefx = \"2001:db8::/32\"\n");
    let lines: Vec<&str> = found.lines().filter(|line| !line.starts_with("  remedy")).collect();
    assert_eq!(lines.len(), 3, "{found}");
    assert!(lines[2].contains("names neither an uplink nor a downlink"), "{found}");
}

/// CRV-01, CRV-05 and the ranges of RFC 4861 §6.2.1.
#[test]
fn wrong_values_are_refused_with_the_reason() {
    const CASES: &[(&str, &str)] = &[
        ("", "names neither an uplink nor a downlink"),
        ("[uplink.tap0", "unclosed table"),
        ("uplink = 1", "is no table"),
        ("uplink.tap0 = 1", "stands where a table belongs"),
        ("[uplink.\"tap 0\"]", "can be no interface's name"),
        ("[uplink.a123456789012345]", "can be no interface's name"),
        ("[uplink.tap0]\n[uplink.tap0]", "duplicate key"),
        ("[uplink.tap0]\naddress = \"2001:db8::2\"", "no way to make an address"),
        ("[uplink.tap0]\naddress = \"::\"", "no way to make an address"),
        ("[uplink.tap0]\naddress = 2", "integer is not what belongs here"),
        ("[uplink.tap0]\nrouters = [\"2001:db8::1\"]", "no link-local address"),
        ("[uplink.tap0]\ndelegate = [{ iaid = 1 }, { iaid = 1 }]", "IAID 1 is there twice"),
        ("[uplink.tap0]\ndelegate = [{ length = 60 }]", "has no IAID"),
        ("[uplink.tap0]\ndelegate = [{ iaid = -1 }]", "-1 is out of range"),
        ("[uplink.tap0]\ndelegate = [{ iaid = 1, length = 65 }]", "65 is out of range"),
        ("[uplink.tap0]\ndelegate = [1]", "is no table"),
        ("[uplink.tap0]\nstrict = \"yes\"", "string is not what belongs here"),
        ("[uplink.tap0]\nshortest-prefix = 65", "65"),
        ("[uplink.tap0]\nduid = \"00:01\"", "no key that is known here"),
        ("duid = \"00:0g\"\n[uplink.tap0]", "no DUID"),
        ("grace = \"1month\"\n[uplink.tap0]", "no duration that is read here"),
        ("grace = \"25h\"\n[uplink.tap0]", "1day 1h is out of range"),
        ("on-stop = \"leave\"\n[uplink.tap0]", "no way to stop"),
        ("[downlink.lan0]\nsubnet = \"0x10000/16\"", "no place in a delegated prefix"),
        ("[downlink.lan0]\nsubnet = \"-0/64\"", "no place in a delegated prefix"),
        ("[downlink.lan0]\nsubnet = \"+1/64\"", "no place in a delegated prefix"),
        ("[downlink.lan0]\nsubnet = \"0x1/62\"", "hosts form no addresses in a /62"),
        ("[downlink.lan0]\nmax-interval = \"3s\"", "3s is out of range"),
        ("[downlink.lan0]\nmax-interval = \"10s\"\nmin-interval = \"8s\"", "8s is out of range"),
        ("[downlink.lan0]\nrouter-lifetime = \"60s\"", "is shorter than max-interval"),
        ("[downlink.lan0]\nrouter-lifetime = \"65536s\"", "is out of range"),
        ("[downlink.lan0]\nvalid-lifetime = \"60s\"", "is longer than valid-lifetime, 1m"),
        ("[downlink.lan0]\nvalid-lifetime = \"6000s 5ms\"", "is counted in whole seconds"),
        ("[downlink.lan0]\nreachable-time = \"61m\"", "1h 1m is out of range"),
        ("[downlink.lan0]\nmin-delay-between-ras = \"29ms\"", "29ms is out of range"),
        ("[downlink.lan0]\nroutes = [\"2001:db8::1/48\"]", "has bits set beyond its length"),
        ("[downlink.lan0]\npref64 = \"64:ff9b::/95\"", "RFC 8781 does not know"),
        ("[downlink.lan0]\ndnssl = [\"a..b\"]", "no search domain"),
        ("[downlink.lan0]\ncaptive-portal = \"a b\"", "no URI"),
        ("[downlink.lan0]\nrdnss = [\"ff02::1\"]", "no DNS server"),
    ];
    for (text, expected) in CASES {
        let found = errors(text);
        assert!(found.contains(expected), "{text:?}: {found}");
        assert!(found.contains("\n  remedy: "), "{text:?}: {found}");
    }
}

/// CRV-04: the error names both places.
#[test]
fn overlapping_places_are_refused() {
    let pair = |one: &str, other: &str| {
        format!(
            "[uplink.tap0]\n[uplink.tun0]\n[downlink.a]\nautonomous = false\n{one}\n\
             [downlink.b]\nautonomous = false\n{other}\n"
        )
    };
    for (one, other) in [
        ("subnet = \"1/64\"", "subnet = \"0x1/64\""),
        ("subnet = \"5/64\"", "subnet = \"1/62\""),
        ("subnet = \"1/62\"", "subnet = \"7/64\""),
        ("subnet = \"-1/62\"", "subnet = \"-4/64\""),
        ("subnet = \"1/64\"\nfrom = \"tap0\"", "subnet = \"1/64\"\nfrom = \"tap0/1\""),
    ] {
        let found = errors(&pair(one, other));
        assert!(found.contains("renumberd.toml:") && found.contains(": downlink.b.subnet: "));
        assert!(found.contains("of downlink.a: "), "{found}");
    }
    for (one, other) in [
        ("subnet = \"1/64\"", "subnet = \"2/64\""),
        ("subnet = \"3/64\"", "subnet = \"1/62\""),
        ("subnet = \"-1/62\"", "subnet = \"-5/64\""),
        ("subnet = \"1/64\"", "subnet = \"-1/64\""),
        ("subnet = \"1/64\"\nfrom = \"tap0\"", "subnet = \"1/64\"\nfrom = \"tun0\""),
    ] {
        config(&pair(one, other));
    }
}

#[test]
fn the_command_line_is_held_to_the_same_rules() {
    let names = ["tap0".to_owned()];
    let errors = Config::from_args(&names, &names).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "command line: downlink.tap0: tap0 is an uplink too\n  \
         remedy: leave it out here or there: an interface leads up or down"
    );
    assert!(Config::from_args(&[], &[]).unwrap_err()[0].to_string().contains("--uplink"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(\\[uplink\\.[a-z\"]{1,3}\\]\n|[a-z-]{1,8} = [\"0-9a-z:/\\[\\]{}= -]{0,12}\n|\\PC{0,20}\n){0,6}") {
        let _ = parse("renumberd.toml", &text);
    }
}
