//! Delegations, pools and static prefixes.

use proptest::prelude::*;

use super::*;

#[test]
fn every_key_is_read() {
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
        renew-every = "20s"
        preferred-lifetime = "30m"
        valid-lifetime = "40m"
        [pool.guests]
        downlink = "lan0"
        link = "fd00:1::/64"
        prefix = "-2/61"
        length = 63
        per-router = 2
        per-neighbour = 5
        renew-every = "1m"
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
        renew_every: Some(Duration::from_secs(20)),
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
        per_neighbor: 5,
        renew_every: Some(Duration::from_secs(60)),
        lifetimes: minutes(10, 20),
    };
    let expected = Config {
        uplinks: BTreeMap::from([("tap0".to_owned(), Uplink::default())]),
        downlinks: BTreeMap::from([(
            "lan0".to_owned(),
            Downlink {
                rapid_commit: false,
                advertise: Advertise { other: Some(true), ..Advertise::default() },
                ..Downlink::default()
            },
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
fn omitted_keys_have_defaults() {
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
        renew_every: None,
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
fn wrong_values_are_refused_with_the_reason() {
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

/// CRV-04, CRV-05
#[test]
fn overlapping_places_are_refused_whoever_has_them() {
    let site = |delegation: &str, pool: &str| {
        format!(
            "[uplink.tap0]\n[static.site]\n[downlink.a]\nsubnet = \"5/64\"\n\
             [delegation.b]\ndownlink = \"a\"\nduid = \"00:01:02\"\nprefix = {delegation}\n\
             [pool.c]\ndownlink = \"a\"\nprefix = {pool}\n"
        )
    };
    let found = errors(&site("\"1/62\"", "\"0/60\""));
    let heads: Vec<&str> = found.lines().filter(|line| !line.starts_with("  remedy")).collect();
    let both = "both are carved from the same prefix";
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

/// An end of a prefix, the first and the last /64 counted from there, and where it is from.
type Extent = (bool, u64, u64, u8);

proptest! {
    /// CRV-05: the walk over all places finds what a look at each pair does.
    #[test]
    fn overlaps_are_found_wherever_they_are(
        places in prop::collection::vec(
            (any::<bool>(), 1..17_u64, 59..=64_u8, 0..4_u8),
            0..9,
        ),
    ) {
        let mut text = "[uplink.a]\n[uplink.b]\n[downlink.lan0]\n".to_owned();
        let mut extents: Vec<Extent> = Vec::new();
        for (name, (is_high, number, length, from)) in places.into_iter().enumerate() {
            let from = usize::from(from);
            let source = ["", "from = \"a\"\n", "from = \"a/1\"\n", "from = \"b\"\n"][from];
            let sign = if is_high { "-" } else { "" };
            text += &format!(
                "[delegation.r{name}]\ndownlink = \"lan0\"\nduid = \"00:01:02\"\n\
                 prefix = \"{sign}{number}/{length}\"\n{source}"
            );
            let before = if is_high { number - 1 } else { number } << (64 - length);
            let source = [0, 1, 1, 2][from];
            extents.push((is_high, before, before + (1 << (64 - length)) - 1, source));
        }
        let overlap = |one: &Extent, other: &Extent| {
            one.0 == other.0
                && one.1 <= other.2
                && other.1 <= one.2
                && (one.3 == other.3 || one.3 == 0 || other.3 == 0)
        };
        let expected: Vec<(usize, usize)> = (0..extents.len())
            .flat_map(|later| (0..later).map(move |earlier| (later, earlier)))
            .filter(|(later, earlier)| overlap(&extents[*later], &extents[*earlier]))
            .collect();
        let errors = parse("", &text).err().unwrap_or_default();
        prop_assert_eq!(errors.len(), expected.len());
        for (error, (later, earlier)) in errors.iter().zip(expected) {
            prop_assert_eq!(&error.key, &format!("delegation.r{later}.prefix"));
            prop_assert!(error.problem.contains(&format!("of delegation.r{earlier}:")), "{error}");
        }
    }
}
