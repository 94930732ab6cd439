use super::file::parse;
use super::*;

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
        "#,
    );
    let uplink = Uplink {
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
        probe: Some("2001:db8:ffff::1".parse().unwrap()),
    };
    let advertise = Advertise {
        enabled: false,
        max_interval: Duration::from_secs(8),
        min_interval: Duration::from_secs(5),
        min_delay: Duration::from_millis(30),
        router_lifetime: Duration::from_secs(1800),
        preference: Preference::High,
        managed: true,
        other: true,
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
    };
    let downlink = Downlink {
        subnet: Some(Place { number: PlaceNumber::Low(15), length: 64 }),
        from: Some(Source { uplink: "tap0".to_owned(), iaid: Some(Iaid(2)) }),
        address: InterfaceId(0x1_0001),
        priority: -1,
        rapid_commit: true,
        advertise,
    };
    let expected = Config {
        uplinks: BTreeMap::from([("tap0".to_owned(), uplink)]),
        downlinks: BTreeMap::from([("lan0".to_owned(), downlink)]),
        duid: Some("00:03:00:01:02:00:5e:00:53:01".parse().unwrap()),
        grace: Duration::from_secs(60),
        on_stop: OnStop::Remove,
        uplink_loss_hold: Duration::ZERO,
        ..Config::default()
    };
    assert_eq!(config, expected);
}

#[test]
fn every_key_of_delegations_is_read() {
    let config = config(
        r#"
        layout = "descending"
        [uplink.tap0]
        [static.site]
        prefix = "2001:db8:1200::/48"
        preferred-lifetime = "1h"
        valid-lifetime = "2h"
        [downlink.lan0]
        rapid-commit = false
        [delegation.wlanr]
        downlink = "lan0"
        duid = "00:03:00:01:02:00:5e:00:53:01"
        iaid = 1
        prefix = "0x1/62"
        from = "tap0/1"
        priority = 2
        next-hop = "fe80::2"
        preferred-lifetime = "30m"
        valid-lifetime = "40m"
        [pool.guests]
        downlink = "lan0"
        link = "fd00:1::/64"
        prefix = "-2/61"
        length = 63
        per-router = 2
        from = "site"
        priority = -2
        preferred-lifetime = "10m"
        valid-lifetime = "20m"
        "#,
    );
    let minutes = |preferred: u64, valid: u64| Limits {
        preferred: Duration::from_secs(60 * preferred),
        valid: Duration::from_secs(60 * valid),
    };
    let site = Static {
        prefix: Some("2001:db8:1200::/48".parse().unwrap()),
        preferred: Some(Duration::from_secs(3600)),
        valid: Some(Duration::from_secs(7200)),
    };
    let delegation = Delegation {
        downlink: "lan0".to_owned(),
        peer: Peer::Duid("00:03:00:01:02:00:5e:00:53:01".parse().unwrap()),
        iaid: Some(Iaid(1)),
        place: Some(Place { number: PlaceNumber::Low(1), length: 62 }),
        length: 62,
        from: Some(Source { uplink: "tap0".to_owned(), iaid: Some(Iaid(1)) }),
        priority: 2,
        next_hop: Some("fe80::2".parse().unwrap()),
        lifetimes: minutes(30, 40),
    };
    let pool = Pool {
        downlink: "lan0".to_owned(),
        link: Some("fd00:1::/64".parse().unwrap()),
        place: Some(Place { number: PlaceNumber::High(2), length: 61 }),
        size: 61,
        length: 63,
        from: Some(Source { uplink: "site".to_owned(), iaid: None }),
        priority: -2,
        per_router: 2,
        lifetimes: minutes(10, 20),
    };
    let expected = Config {
        uplinks: BTreeMap::from([("tap0".to_owned(), Uplink::default())]),
        downlinks: BTreeMap::from([(
            "lan0".to_owned(),
            Downlink { rapid_commit: false, ..Downlink::default() },
        )]),
        statics: BTreeMap::from([("site".to_owned(), site)]),
        delegations: BTreeMap::from([("wlanr".to_owned(), delegation)]),
        pools: BTreeMap::from([("guests".to_owned(), pool)]),
        layout: Layout::Descending,
        ..Config::default()
    };
    assert_eq!(config, expected);
}

/// CRV-09, SRV-39: a /64 and eight IA_PDs for each; and no uplink where the prefix is fixed.
#[test]
fn delegations_have_defaults() {
    let config = config(
        "[static.site]\n[static.soon]\nvalid-lifetime = \"2h\"\n[downlink.lan0]\n\
         [delegation.a]\ndownlink = \"lan0\"\nlink-layer = \"02:00:5e:00:53:0A\"\n\
         [delegation.b]\ndownlink = \"lan0\"\nlink-layer = \"02:00:5e:00:53:0a\"\nlength = 60\n\
         [pool.guests]\ndownlink = \"lan0\"\n",
    );
    let ever = Static { prefix: None, preferred: None, valid: None };
    assert_eq!(config.statics["site"], ever);
    let soon = Some(Duration::from_secs(7200));
    assert_eq!(config.statics["soon"], Static { prefix: None, preferred: soon, valid: soon });
    let a = Delegation {
        downlink: "lan0".to_owned(),
        peer: Peer::LinkLayer(vec![2, 0, 0x5e, 0, 0x53, 0x0a]),
        iaid: None,
        place: None,
        length: 64,
        from: None,
        priority: 0,
        next_hop: None,
        lifetimes: Limits::default(),
    };
    assert_eq!(config.delegations["b"], Delegation { length: 60, ..a.clone() });
    assert_eq!(config.delegations["a"], a);
    let guests = &config.pools["guests"];
    assert_eq!((guests.size, guests.length, guests.per_router), (60, 64, 8));
    assert!(config.downlinks["lan0"].rapid_commit);
    assert_eq!(config.layout, Layout::Scattered);
}

#[test]
fn what_is_left_out_is_as_the_command_line_alone_has_it() {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
    let from_args = Config::from_args(&names(&["tap0"]), &names(&["lan0", "wl0"]));
    assert_eq!(config("[uplink.tap0]\n[downlink.lan0]\n[downlink.wl0]"), from_args.unwrap());
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
fn all_errors_are_told_from_top_to_bottom() {
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
    assert!(all.contains("remedy: the keys here are: subnet, from, "), "{all}");
}

/// CRV-01, CRV-05 and the ranges of RFC 4861 §6.2.1.
#[test]
fn wrong_values_are_refused_with_what_is_wrong() {
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

#[test]
fn wrong_delegations_are_refused_with_what_is_wrong() {
    const WHO: &str = "downlink = \"lan0\"\nlink-layer = \"02:00:5e:00:53:01\"\n";
    const CASES: &[(&str, &str)] = &[
        ("[delegation.r]\nlink-layer = \"02:00:5e:00:53:01\"", "5: delegation.r.downlink: is miss"),
        ("[delegation.r]\ndownlink = \"lan0\"", "5: delegation.r.duid: is missing"),
        (
            "[delegation.r]\nWHOduid = \"00:01:02\"",
            "7: delegation.r.link-layer: stands beside duid",
        ),
        ("[delegation.r]\nlink-layer = \"2:0:5e:0:53:1\"", "no link-layer address"),
        ("[delegation.r]\nlink-layer = \"02:00:5e:00:53\"", "no link-layer address"),
        (
            "[delegation.r]\nWHOprefix = \"1/62\"\nlength = 62",
            "9: delegation.r.length: stands besi",
        ),
        ("[delegation.r]\nWHOlength = 65", "65 is out of range"),
        ("[delegation.r]\nWHOprefix = \"0/0\"", "no place in a delegated prefix"),
        ("[delegation.r]\nWHOnext-hop = \"ff02::1\"", "no address of a router"),
        ("[delegation.r]\nWHOnext-hop = \"::1\"", "no address of a router"),
        ("[delegation.r]\nWHOnext-hop = \"::ffff:192.0.2.1\"", "no address of a router"),
        ("[delegation.r]\nWHOvalid-lifetime = \"30m\"", "is longer than valid-lifetime, 30m"),
        ("[delegation.r]\nWHOdownlnk = 1", "did you mean `downlink`?"),
        ("[delegation.r]\nWHOfrom = \"site/1\"", "write \"tap0/1\" or \"site\""),
        ("[delegation.r]\nWHOfrom = \"tun0\"", "8: delegation.r.from: no delegation tun0 is aske"),
        ("[delegation.r]\nWHOfrom = \"tap0/2\"", "no delegation tap0/2 is asked for"),
        ("[delegation.r]\nWHOduid = 1", "integer is not what belongs here"),
        ("[delegation.\"a b\"]\nWHO", "\"a b\" can be no name"),
        ("[delegation.lan0]\nWHO", "5: delegation.lan0: lan0 is a downlink too"),
        ("[delegation.r]\nWHO[pool.r]\ndownlink = \"lan0\"", "8: pool.r: r is a delegation too"),
        ("[delegation]\nr = 1", "begin a table with [delegation.NAME]"),
        ("[pool.p]", "5: pool.p.downlink: is missing"),
        ("[pool.p]\ndownlink = \"lan9\"", "6: pool.p.downlink: lan9 is no downlink"),
        ("[pool.p]\ndownlink = \"lan9\"", "write \"lan0\", or name it: [downlink.lan9]"),
        (
            "[pool.p]\ndownlink = \"lan0\"\nprefix = \"1/60\"\nsize = 60",
            "size: stands beside prefix",
        ),
        ("[pool.p]\ndownlink = \"lan0\"\nlength = 59", "a /59 is larger than the pool, a /60"),
        ("[pool.p]\ndownlink = \"lan0\"\nprefix = \"1/62\"\nlength = 61", "a /61 is larger than"),
        ("[pool.p]\ndownlink = \"lan0\"\nper-router = 0", "0 is out of range"),
        ("[pool.p]\ndownlink = \"lan0\"\nlink = \"fd00::1/64\"", "has bits set beyond its length"),
        ("[static.tap0]", "5: static.tap0: tap0 is an uplink too"),
        ("[static.\"a/1\"]", "\"a/1\" can be no name"),
        ("[static.a]\nprefix = \"fe80::/64\"", "is no prefix that a site can have"),
        ("[static.a]\nprefix = \"2001:db8::/65\"", "has no room for a /64"),
        ("[static.a]\nprefix = \"3fff::/32\"", "overlaps \"3fff::/32\" of static.a"),
        (
            "[static.a]\npreferred-lifetime = \"2h\"\nvalid-lifetime = \"1h\"",
            "is longer than valid",
        ),
        ("[static.a]\npreferred-lifetime = \"0s\"", "is out of range"),
        ("layout = \"ascending\"", "no key that is known here"),
    ];
    for (text, expected) in CASES {
        let text = text.replace("WHO", WHO);
        let site = "[static.site]\nprefix = \"3fff::/32\"\n";
        let found = errors(&format!("[uplink.tap0]\n[downlink.lan0]\n{site}{text}\n"));
        assert!(found.contains(expected), "{text:?}: {found}");
        assert!(found.contains("\n  remedy: "), "{text:?}: {found}");
    }
    assert!(errors("layout = \"ascending\"\n[downlink.lan0]").contains("is no layout"));
}

/// CRV-04: both names are told.
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

/// CRV-04, CRV-05
#[test]
fn places_of_links_delegations_and_pools_are_refused_where_they_overlap() {
    let site = |delegation: &str, pool: &str| {
        format!(
            "[uplink.tap0]\n[static.site]\n[downlink.a]\nsubnet = \"5/64\"\n\
             [delegation.b]\ndownlink = \"a\"\nduid = \"00:01:02\"\nprefix = {delegation}\n\
             [pool.c]\ndownlink = \"a\"\nprefix = {pool}\n"
        )
    };
    let found = errors(&site("\"1/62\"", "\"0/60\""));
    let heads: Vec<&str> = found.lines().filter(|line| !line.starts_with("  remedy")).collect();
    let both = "both are carved from the same delegation";
    assert_eq!(
        heads,
        [
            format!(
                "renumberd.toml:8: delegation.b.prefix: \"0x1/62\" overlaps \"0x5/64\" of \
                 downlink.a: {both}"
            ),
            format!(
                "renumberd.toml:11: pool.c.prefix: \"0x0/60\" overlaps \"0x5/64\" of downlink.a: \
                 {both}"
            ),
            format!(
                "renumberd.toml:11: pool.c.prefix: \"0x0/60\" overlaps \"0x1/62\" of \
                 delegation.b: {both}"
            ),
        ]
    );
    config(&site("\"2/62\"", "\"-1/60\""));
    config(&site("\"2/62\"\nfrom = \"tap0/1\"", "\"2/62\"\nfrom = \"site\""));
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
