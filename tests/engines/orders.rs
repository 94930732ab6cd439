//! Orders for the tests of the renderers.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use renumberd::config::Advertise;
use renumberd::core::engine::Advertised;
use renumberd::time::Lifetime;
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::{
    NdpOption, Pref64, Preference, PrefixInformation, RouteInformation,
};

/// A link with one current prefix, one deprecated and one withdrawn, and one option of each kind.
pub(crate) fn full() -> Advertised {
    let prefix = |prefix: &str, valid, preferred| {
        NdpOption::Prefix(PrefixInformation {
            prefix: prefix.parse().unwrap(),
            on_link: true,
            autonomous: true,
            delegation_preferred: false,
            valid: Lifetime::Finite(valid),
            preferred: Lifetime::Finite(preferred),
        })
    };
    let route = |prefix: &str, preference, lifetime| {
        NdpOption::Route(RouteInformation {
            prefix: prefix.parse().unwrap(),
            preference,
            lifetime: Lifetime::Finite(lifetime),
        })
    };
    let rdnss = |lifetime, servers: &[&str]| NdpOption::Rdnss {
        lifetime: Lifetime::Finite(lifetime),
        servers: servers.iter().map(|server| server.parse().unwrap()).collect(),
    };
    let dnssl = |lifetime, names: &[&str]| NdpOption::Dnssl {
        lifetime: Lifetime::Finite(lifetime),
        names: names.iter().map(|&name| name.to_owned()).collect(),
    };
    let options = vec![
        NdpOption::SourceLinkLayer(vec![2, 0, 0, 0, 0, 1]),
        prefix("2001:db8:1:5::/64", 0, 0),
        prefix("2001:db8:2:5::/64", 900, 450),
        prefix("2001:db8:3:5::/64", 700, 0),
        NdpOption::Mtu(1400),
        route("2001:db8:2::/48", Preference::Medium, 900),
        route("2001:db8:1::/48", Preference::Low, 0),
        rdnss(450, &["2001:db8:2:5::1", "2001:db8::53", "2001:db8::54", "2001:db8::55"]),
        rdnss(0, &["2001:db8:1:5::1"]),
        dnssl(450, &["example.org", "low"]),
        NdpOption::Pref64(Pref64 { prefix: "64:ff9b::/96".parse().unwrap(), lifetime: 456 }),
        NdpOption::CaptivePortal("https://portal.example.org/".to_owned()),
    ];
    Advertised {
        advertisement: RouterAdvertisement {
            hop_limit: 64,
            other: true,
            router_lifetime: 2700,
            options,
            ..RouterAdvertisement::default()
        },
        running_down: BTreeSet::from(["2001:db8:2:5::/64".parse().unwrap()]),
        rules: Advertise {
            min_interval: Duration::from_secs(49),
            max_interval: Duration::from_secs(150),
            ..Advertise::default()
        },
        link_mtu: 1500,
        attempt: 0,
    }
}

/// Any order that the core can make, and some beyond.
pub(crate) fn any_order() -> impl Strategy<Value = Advertised> {
    let flags = (any::<[bool; 6]>(), preference(), any::<u8>());
    let times = (0_u16..20_000, 0_u32..3_600_001, any::<u32>(), 0_u64..2000, 0_u64..2000);
    let options = prop::collection::vec(option(), 0..40);
    (flags, times, options, 1280_u32..9001, any::<u64>()).prop_map(
        |((bits, preference, hop_limit), times, options, link_mtu, running)| {
            let [managed, other, has_source, unicast_answers, ..] = bits;
            let (router_lifetime, reachable_time, retrans_timer, least, most) = times;
            let mut options = once_each(options);
            if has_source {
                options.insert(0, NdpOption::SourceLinkLayer(vec![2, 0, 0, 0, 0, 1]));
            }
            let prefixes = options.iter().filter_map(|option| match option {
                NdpOption::Prefix(prefix) => Some(prefix.prefix),
                _ => None,
            });
            let chosen = prefixes.enumerate().filter(|(at, _)| running >> (at % 64) & 1 == 1);
            let running_down = chosen.map(|(_, prefix)| prefix).collect();
            let advertisement = RouterAdvertisement {
                hop_limit,
                managed,
                other,
                snac_router: false,
                preference,
                router_lifetime,
                reachable_time,
                retrans_timer,
                options,
            };
            let min_interval = Duration::from_secs(least);
            let max_interval = Duration::from_secs(most);
            let min_delay = Duration::from_millis(if bits[5] { 30 } else { 3000 });
            let rules = Advertise {
                min_interval,
                max_interval,
                min_delay,
                unicast_answers,
                ..Advertise::default()
            };
            Advertised { advertisement, running_down, rules, link_mtu, attempt: 0 }
        },
    )
}

/// Without a second MTU, portal, prefix, route, server or name of the same.
fn once_each(options: Vec<NdpOption>) -> Vec<NdpOption> {
    let mut seen = BTreeSet::new();
    let mut new = |what: String| seen.insert(what);
    let mut kept = Vec::new();
    for option in options {
        let option = match option {
            NdpOption::Rdnss { lifetime, servers } => NdpOption::Rdnss {
                lifetime,
                servers: servers.into_iter().filter(|server| new(server.to_string())).collect(),
            },
            NdpOption::Dnssl { lifetime, names } => NdpOption::Dnssl {
                lifetime,
                names: names.into_iter().filter(|name| new(name.clone())).collect(),
            },
            other => other,
        };
        let is_new = match &option {
            NdpOption::Prefix(prefix) => new(format!("prefix {}", prefix.prefix)),
            NdpOption::Route(route) => new(format!("route {}", route.prefix)),
            NdpOption::Pref64(pref64) => new(format!("pref64 {}", pref64.prefix)),
            NdpOption::Mtu(_) => new("mtu".to_owned()),
            NdpOption::CaptivePortal(_) => new("portal".to_owned()),
            NdpOption::Rdnss { servers, .. } => !servers.is_empty(),
            NdpOption::Dnssl { names, .. } => !names.is_empty(),
            _ => true,
        };
        if is_new {
            kept.push(option);
        }
    }
    kept
}

fn option() -> impl Strategy<Value = NdpOption> {
    let prefix = (net(64), any::<[bool; 2]>(), lifetime(), lifetime()).prop_map(
        |(prefix, [on_link, autonomous], valid, preferred)| {
            let preferred = preferred.min(valid);
            let delegation_preferred = false;
            NdpOption::Prefix(PrefixInformation {
                prefix,
                on_link,
                autonomous,
                delegation_preferred,
                valid,
                preferred,
            })
        },
    );
    let route = (net(128), preference(), lifetime()).prop_map(|(prefix, preference, lifetime)| {
        NdpOption::Route(RouteInformation { prefix, preference, lifetime })
    });
    let servers = prop::collection::vec(
        any::<u128>().prop_map(|low| (0x2001_0db8_u128 << 96 | low >> 32).to_be_bytes().into()),
        1..8,
    );
    let rdnss = (lifetime(), servers)
        .prop_map(|(lifetime, servers)| NdpOption::Rdnss { lifetime, servers });
    let name = prop_oneof![
        "[a-z0-9-]{1,20}(\\.[a-z]{1,10}){0,3}",
        "(interface|prefix|low|on|infinity|RDNSS|clients|12|1\\.5)",
        "[a-z_]{1,8}\\.x",
        Just("a\\046b.example".to_owned()),
    ];
    let dnssl = (lifetime(), prop::collection::vec(name, 1..8))
        .prop_map(|(lifetime, names)| NdpOption::Dnssl { lifetime, names });
    let pref64 = (net(128), prop::sample::select(vec![96_u8, 64, 56, 48, 40, 32]), 0_u16..8192)
        .prop_map(|(net, length, units)| {
            let prefix = ipnet::Ipv6Net::new(net.addr(), length).unwrap().trunc();
            NdpOption::Pref64(Pref64 { prefix, lifetime: units * 8 })
        });
    prop_oneof![
        4 => prefix,
        2 => route,
        2 => rdnss,
        2 => dnssl,
        1 => pref64,
        1 => (1280_u32..10_000).prop_map(NdpOption::Mtu),
        1 => "https://[a-z]{1,20}\\.example/[a-z]{0,40}".prop_map(NdpOption::CaptivePortal),
    ]
}

fn net(longest: u8) -> impl Strategy<Value = ipnet::Ipv6Net> {
    (any::<u128>(), 33..=longest).prop_map(|(low, length)| {
        let address = (0x2001_0db8_u128 << 96 | low >> 32).to_be_bytes();
        ipnet::Ipv6Net::new(address.into(), length).unwrap().trunc()
    })
}

fn lifetime() -> impl Strategy<Value = Lifetime> {
    prop_oneof![
        Just(Lifetime::ZERO),
        (1_u32..10_000).prop_map(Lifetime::Finite),
        any::<u32>().prop_map(Lifetime::from_wire),
    ]
}

fn preference() -> impl Strategy<Value = Preference> {
    prop::sample::select(vec![Preference::Low, Preference::Medium, Preference::High])
}
