use std::fmt::Write as _;

use super::*;
use crate::config::{Delegation, Downlink, Limits, Peer, Pool};

mod delegations;
mod properties;

fn whole(prefix: &str) -> Whole {
    Whole {
        uplink: "tun0".to_owned(),
        iaid: Iaid(1),
        prefix: prefix.parse().unwrap(),
        exclude: None,
    }
}

fn low(number: u64, length: u8) -> Option<Place> {
    Some(Place { number: PlaceNumber::Low(number), length })
}

fn high(number: u64, length: u8) -> Option<Place> {
    Some(Place { number: PlaceNumber::High(number), length })
}

fn site(downlinks: &[(&str, Option<Place>)]) -> Config {
    let downlink = |subnet| Downlink { subnet, ..Downlink::default() };
    let all = downlinks.iter().map(|(name, place)| ((*name).to_owned(), downlink(*place)));
    Config { downlinks: all.collect(), ..Config::default() }
}

fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

/// The links of the article's site as one router would have them: the backbone on the highest
/// subnet, wired and wireless from the low end, one block for machines, one link anywhere.
fn article() -> Config {
    site(&[
        ("lan0", low(0, 64)),
        ("wl0", low(1, 64)),
        ("jail0", low(0xf8, 64)),
        ("vm0", low(0xe, 60)),
        ("vtnet0", high(1, 64)),
        ("guest0", None),
    ])
}

fn written(config: &Config, whole: &Whole) -> String {
    let plan = plan(config, whole);
    let mut text = format!("{}\n", whole.prefix);
    for name in config.downlinks.keys() {
        let _ = match plan.subnets.get(name) {
            Some(subnet) => writeln!(text, "  {name} {subnet}"),
            None => writeln!(text, "  {name} {:?}", plan.without[name]),
        };
    }
    text
}

/// CRV-01, CRV-04, CRV-10, §15 row 8: fixed places stay where they are from one end or the other,
/// fold where the prefix is longer than they need, and go without where that is taken.
#[test]
fn the_article_s_site_on_prefixes_of_all_lengths() {
    let all: String = [48, 52, 56, 57, 60, 62, 64]
        .map(|length| {
            let prefix = Ipv6Net::new("2001:db8:12:c300::".parse().unwrap(), length).unwrap();
            written(&article(), &whole(&prefix.trunc().to_string()))
        })
        .concat();
    assert_eq!(
        all,
        "\
2001:db8:12::/48
  guest0 2001:db8:12:4059::/64
  jail0 2001:db8:12:f8::/64
  lan0 2001:db8:12::/64
  vm0 2001:db8:12:e0::/60
  vtnet0 2001:db8:12:ffff::/64
  wl0 2001:db8:12:1::/64
2001:db8:12:c000::/52
  guest0 2001:db8:12:c059::/64
  jail0 2001:db8:12:c0f8::/64
  lan0 2001:db8:12:c000::/64
  vm0 2001:db8:12:c0e0::/60
  vtnet0 2001:db8:12:cfff::/64
  wl0 2001:db8:12:c001::/64
2001:db8:12:c300::/56
  guest0 2001:db8:12:c359::/64
  jail0 2001:db8:12:c3f8::/64
  lan0 2001:db8:12:c300::/64
  vm0 2001:db8:12:c3e0::/60
  vtnet0 2001:db8:12:c3ff::/64
  wl0 2001:db8:12:c301::/64
2001:db8:12:c300::/57
  guest0 2001:db8:12:c359::/64
  jail0 2001:db8:12:c378::/64
  lan0 2001:db8:12:c300::/64
  vm0 2001:db8:12:c360::/60
  vtnet0 2001:db8:12:c37f::/64
  wl0 2001:db8:12:c301::/64
2001:db8:12:c300::/60
  guest0 2001:db8:12:c309::/64
  jail0 2001:db8:12:c308::/64
  lan0 2001:db8:12:c300::/64
  vm0 Taken
  vtnet0 2001:db8:12:c30f::/64
  wl0 2001:db8:12:c301::/64
2001:db8:12:c300::/62
  guest0 2001:db8:12:c302::/64
  jail0 Taken
  lan0 2001:db8:12:c300::/64
  vm0 TooLong
  vtnet0 2001:db8:12:c303::/64
  wl0 2001:db8:12:c301::/64
2001:db8:12:c300::/64
  guest0 Full
  jail0 Taken
  lan0 2001:db8:12:c300::/64
  vm0 TooLong
  vtnet0 Taken
  wl0 Taken
"
    );
}

/// CRV-02, CRV-03: the number is a matter of configuration, not of the prefix.
#[test]
fn each_delegation_uses_the_same_numbers() {
    let one = plan(&article(), &whole("2001:db8:a:100::/56"));
    let other = plan(&article(), &whole("3fff:b:0:ab00::/56"));
    for (name, subnet) in one.subnets {
        let number = |subnet: Ipv6Net| u128::from(subnet.network()) >> 64 & 0xff;
        assert_eq!(number(subnet), number(other.subnets[&name]), "{name}");
    }
}

/// CRV-06
#[test]
fn the_excluded_prefix_is_given_to_no_claim() {
    let config = site(&[("lan0", low(1, 63)), ("wl0", low(0, 62)), ("guest0", None)]);
    let kept = Whole { exclude: Some(net("2001:db8::/63")), ..whole("2001:db8::/62") };
    let plan = plan(&config, &kept);
    assert_eq!(plan.subnets, [("lan0".to_owned(), net("2001:db8:0:2::/63"))].into());
    assert_eq!(plan.without["wl0"], Unassigned::Excluded);
    assert_eq!(plan.without["guest0"], Unassigned::Full);
}

#[test]
fn priority_and_then_the_name_decide_which_claim_goes_first() {
    let mut config = site(&[("a", low(4, 64)), ("b", low(8, 64)), ("c", None), ("d", None)]);
    let first = |config: &Config| plan(config, &whole("2001:db8::/64")).subnets;
    assert_eq!(first(&config).into_keys().collect::<Vec<_>>(), ["a"]);
    config.downlinks.get_mut("b").unwrap().priority = 1;
    assert_eq!(first(&config).into_keys().collect::<Vec<_>>(), ["b"]);
}

#[test]
fn a_link_takes_from_the_delegation_that_it_names() {
    let mut config = site(&[("a", low(0, 64)), ("b", low(0, 64)), ("c", low(1, 64))]);
    let from = |iaid| Some(Source { uplink: "tun0".to_owned(), iaid });
    config.downlinks.get_mut("a").unwrap().from = from(Some(Iaid(1)));
    config.downlinks.get_mut("b").unwrap().from = from(Some(Iaid(2)));
    config.downlinks.get_mut("c").unwrap().from = from(None);
    let names = |iaid| {
        let whole = Whole { iaid, ..whole("2001:db8::/56") };
        plan(&config, &whole).subnets.into_keys().collect::<Vec<_>>()
    };
    assert_eq!(names(Iaid(1)), ["a", "c"]);
    assert_eq!(names(Iaid(2)), ["b", "c"]);
}

/// §15 row 22: a prefix that shrinks around the same bits moves only what must move.
#[test]
fn places_that_fit_both_prefixes_stay() {
    let config = site(&[("a", low(0, 64)), ("b", low(3, 64)), ("c", low(0x1f, 64))]);
    let wide = plan(&config, &whole("2001:db8::/56"));
    let narrow = plan(&config, &whole("2001:db8::/60"));
    for name in ["a", "b"] {
        assert_eq!(wide.subnets[name], narrow.subnets[name]);
    }
    assert_eq!(narrow.subnets["c"], net("2001:db8:0:f::/64"), "folded");
}

fn delegation(place: Option<Place>, length: u8) -> Delegation {
    Delegation {
        downlink: "lan0".to_owned(),
        peer: Peer::LinkLayer(vec![2, 0, 0x5e, 0, 0x53, 1]),
        iaid: None,
        place,
        length,
        from: None,
        priority: 0,
        next_hop: None,
        renew_every: None,
        lifetimes: Limits::default(),
    }
}

fn pool(place: Option<Place>, size: u8) -> Pool {
    Pool {
        downlink: "lan0".to_owned(),
        link: None,
        place,
        size,
        length: 64,
        from: None,
        priority: 0,
        per_router: 8,
        per_neighbor: 32,
        renew_every: None,
        lifetimes: Limits::default(),
    }
}

/// What is given, whoever gets it.
fn parts(plan: &Plan) -> BTreeMap<&str, Ipv6Net> {
    let all = plan.subnets.iter().chain(&plan.delegations).chain(&plan.pools);
    all.map(|(name, part)| (name.as_str(), *part)).collect()
}
