//! Carving for subordinate routers.

use super::*;

/// The article's site: the link to the next router and three routers of each size.
fn article() -> Config {
    let mut config = site(&[("vtnet0", None)]);
    for length in [64, 62, 60, 58] {
        for name in ["a", "b", "c"] {
            config.delegations.insert(format!("{length}{name}"), delegation(None, length));
        }
    }
    Config { layout: Layout::Descending, ..config }
}

/// Prefix by prefix, length by length: the last 16 bits of what is given.
fn written(config: &Config, prefix: &str) -> String {
    let plan = plan(config, &whole(prefix));
    let mut text = prefix.to_owned();
    for length in [64, 62, 60, 58] {
        let _ = write!(text, "\n  /{length}");
        for claim in config.claims().filter(|claim| claim.length == length) {
            let _ = match plan.part(&claim) {
                Some(part) => write!(text, " {:x}", part.network().segments()[3]),
                None => write!(text, " {:?}", plan.without[claim.name]),
            };
        }
    }
    text + "\n"
}

/// CRV-04, CRV-10: in each prefix the same, counted from the top.
#[test]
fn the_article_s_routers_descend_from_the_top_of_prefixes_of_all_lengths() {
    let all: String = [48, 52, 56, 57, 60, 62, 64]
        .map(|length| {
            let prefix = Ipv6Net::new("2001:db8:12:c300::".parse().unwrap(), length).unwrap();
            written(&article(), &prefix.trunc().to_string())
        })
        .concat();
    assert_eq!(
        all,
        "\
2001:db8:12::/48
  /64 ffff fffe fffd fffc
  /62 fff8 fff4 fff0
  /60 ffe0 ffd0 ffc0
  /58 ff80 ff40 ff00
2001:db8:12:c000::/52
  /64 cfff cffe cffd cffc
  /62 cff8 cff4 cff0
  /60 cfe0 cfd0 cfc0
  /58 cf80 cf40 cf00
2001:db8:12:c300::/56
  /64 c3ff c3fe c3fd c3fc
  /62 c3f8 c3f4 c3f0
  /60 c3e0 c3d0 c3c0
  /58 c380 c340 c300
2001:db8:12:c300::/57
  /64 c37f c37e c37d c37c
  /62 c378 c374 c370
  /60 c360 c350 c340
  /58 c300 Full Full
2001:db8:12:c300::/60
  /64 c30f c30e c30d c30c
  /62 c308 c304 c300
  /60 Full Full Full
  /58 TooLong TooLong TooLong
2001:db8:12:c300::/62
  /64 c303 c302 c301 c300
  /62 Full Full Full
  /60 TooLong TooLong TooLong
  /58 TooLong TooLong TooLong
2001:db8:12:c300::/64
  /64 c300 Full Full Full
  /62 TooLong TooLong TooLong
  /60 TooLong TooLong TooLong
  /58 TooLong TooLong TooLong
"
    );
}

/// CRV-04: what has a place keeps it, and the rest descends around it.
#[test]
fn descending_places_go_around_fixed_ones_and_by_priority() {
    let mut config = article();
    config
        .downlinks
        .insert("lan0".to_owned(), Downlink { subnet: high(1, 64), ..Downlink::default() });
    config.delegations.insert("fixed".to_owned(), delegation(low(0x3e, 62), 62));
    config.pools.insert("guests".to_owned(), pool(None, 61));
    config.delegations.get_mut("64c").unwrap().priority = 1;
    let plan = plan(&config, &whole("2001:db8:0:c300::/56"));
    let of = |name: &str| parts(&plan)[name].to_string();
    assert_eq!(of("lan0"), "2001:db8:0:c3ff::/64");
    assert_eq!(of("fixed"), "2001:db8:0:c3f8::/62");
    assert_eq!(of("vtnet0"), "2001:db8:0:c3fe::/64");
    assert_eq!(of("64c"), "2001:db8:0:c3fd::/64");
    assert_eq!(of("64a"), "2001:db8:0:c3fc::/64");
    assert_eq!(of("64b"), "2001:db8:0:c3f7::/64");
    assert_eq!(of("62a"), "2001:db8:0:c3f0::/62");
    assert_eq!(of("guests"), "2001:db8:0:c3e0::/61");
}

/// CRV-08
#[test]
fn the_rest_of_a_60_beside_the_links_goes_to_fourteen_routers() {
    for layout in [Layout::Scattered, Layout::Descending] {
        let mut config = Config { layout, ..site(&[("lan0", low(0, 64)), ("wl0", low(9, 64))]) };
        for number in 0..15 {
            config.delegations.insert(format!("r{number:02}"), delegation(None, 64));
        }
        let plan = plan(&config, &whole("2001:db8::/60"));
        assert_eq!((plan.subnets.len(), plan.delegations.len()), (2, 14), "{layout:?}");
        assert_eq!(plan.without.into_values().collect::<Vec<_>>(), [Unassigned::Full]);
    }
}

/// CRV-10: whoever else takes from it, and however he is called, comes first.
#[test]
fn a_delegation_is_the_whole_prefix_only_where_nobody_else_has_a_part() {
    let mut config = site(&[]);
    config.delegations.insert("all".to_owned(), delegation(low(0, 48), 48));
    let part = whole("2001:db8::/48");
    assert_eq!(plan(&config, &part).delegations["all"], net("2001:db8::/48"));
    let kept = Whole { exclude: Some(net("2001:db8::/64")), ..part.clone() };
    assert_eq!(plan(&config, &kept).without["all"], Unassigned::Excluded);
    config.pools.insert("any".to_owned(), pool(None, 48));
    assert_eq!(plan(&config, &part).without["any"], Unassigned::Full);
    config.downlinks.insert("lan0".to_owned(), Downlink::default());
    let shared = plan(&config, &part);
    assert_eq!(shared.subnets.len(), 1);
    assert_eq!(shared.without["all"], Unassigned::Taken);
    assert_eq!(shared.without["any"], Unassigned::Full);
    config.downlinks.clear();
    config.pools.clear();
    let longer = plan(&config, &whole("2001:db8::/52"));
    assert_eq!(longer.without["all"], Unassigned::TooLong);
}

#[test]
fn claims_on_another_source_are_not_in_the_plan() {
    let from = |uplink: &str| Some(Source { uplink: uplink.to_owned(), iaid: None });
    let mut config = site(&[]);
    let of = |uplink| Delegation { from: from(uplink), ..delegation(low(1, 62), 62) };
    config.delegations.insert("a".to_owned(), of("tun0"));
    config.delegations.insert("b".to_owned(), of("site"));
    config.pools.insert("c".to_owned(), Pool { from: from("site"), ..pool(None, 60) });
    let names = |uplink: &str| {
        let plan = plan(&config, &Whole { uplink: uplink.to_owned(), ..whole("2001:db8::/56") });
        assert!(plan.without.is_empty());
        parts(&plan).into_keys().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(names("tun0"), ["a"]);
    assert_eq!(names("site"), ["b", "c"]);
}

/// §15 row 22
#[test]
fn delegations_that_fit_both_prefixes_stay_where_they_are() {
    let mut config = site(&[("lan0", low(0, 64))]);
    config.delegations.insert("near".to_owned(), delegation(low(1, 62), 62));
    config.delegations.insert("far".to_owned(), delegation(low(6, 62), 62));
    config.pools.insert("guests".to_owned(), pool(low(1, 61), 61));
    let wide = plan(&config, &whole("2001:db8::/56"));
    let narrow = plan(&config, &whole("2001:db8::/60"));
    assert_eq!(wide.delegations["near"], narrow.delegations["near"]);
    assert_eq!(wide.delegations["far"], net("2001:db8:0:18::/62"));
    assert_eq!(narrow.without["far"], Unassigned::Taken, "folded into the pool");
    assert_eq!(wide.pools, narrow.pools);
}

/// A search of one place after the other would not come to an end here.
#[test]
fn thousands_are_carved_from_a_32_and_from_what_is_too_small() {
    for layout in [Layout::Scattered, Layout::Descending] {
        let mut config = Config { layout, ..site(&[]) };
        for number in 0..1000 {
            config.downlinks.insert(format!("lan{number}"), Downlink::default());
            config.delegations.insert(format!("r{number}"), delegation(None, 64));
            config.delegations.insert(format!("s{number}"), delegation(None, 48));
            config.pools.insert(format!("p{number}"), pool(None, 56));
        }
        let wide = plan(&config, &whole("2001:db8::/32"));
        assert_eq!(parts(&wide).len(), 4000, "{layout:?}");
        let narrow = plan(&config, &whole("2001:db8::/55"));
        assert_eq!(narrow.without.len(), 4000 - parts(&narrow).len());
        assert!(parts(&narrow).len() >= 258, "{layout:?}: {}", parts(&narrow).len());
    }
}
