//! What is rendered, as the program reads it.

use std::collections::BTreeSet;

use proptest::prelude::*;

use renumberd::core::engine::Advertised;
use renumberd::engines::Omitted;
use renumberd::engines::rtadvd::render;
use renumberd::time::Lifetime;
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::{NdpOption, Pref64, PrefixInformation};

use super::orders;
use super::termcap::{self, Read};

/// BKE-06: lifetimes with each prefix, none from the interface.
#[test]
fn the_entry_of_a_link_with_everything() {
    let rendered = render("lan0", &orders::full());
    assert_eq!(rendered.text, include_str!("rtadvd-full.conf"));
    let pref64 = Omitted::Pref64("64:ff9b::/96".parse().unwrap());
    let portal = Omitted::CaptivePortal("https://portal.example.org/".to_owned());
    assert_eq!(rendered.omitted, [pref64, portal]);
}

#[test]
fn the_entry_of_a_link_without_a_router() {
    let order = Advertised {
        advertisement: RouterAdvertisement { hop_limit: 64, ..RouterAdvertisement::default() },
        running_down: BTreeSet::new(),
        ..orders::full()
    };
    let rendered = render("wl0", &order);
    assert_eq!(rendered.text, include_str!("rtadvd-bare.conf"));
    assert_eq!(rendered.omitted, []);
}

#[test]
fn options_without_room_are_left_out_whole_and_named() {
    let mut order = orders::full();
    let prefix = |number: u32| {
        NdpOption::Prefix(PrefixInformation {
            prefix: format!("2001:db8:aaaa:{number:x}::/64").parse().unwrap(),
            on_link: true,
            autonomous: true,
            delegation_preferred: false,
            valid: Lifetime::Finite(900),
            preferred: Lifetime::Finite(450),
        })
    };
    order.advertisement.options = (0..200).map(prefix).collect();
    let rendered = render("lan0", &order);
    let read = termcap::read(&rendered.text, "lan0", 1500).unwrap();
    let prefixes: Vec<_> = read.advertisement.prefixes().map(|prefix| prefix.prefix).collect();
    assert!((10..20).contains(&prefixes.len()), "{}", prefixes.len());
    assert_eq!(prefixes.len() + rendered.omitted.len(), 200);
    assert_eq!(
        rendered.omitted[0],
        Omitted::Prefix(format!("2001:db8:aaaa:{:x}::/64", prefixes.len()).parse().unwrap())
    );
}

#[test]
fn an_interface_that_would_end_the_field_is_refused() {
    let rendered = render("lan0:rltime#9000", &orders::full());
    assert_eq!(rendered.text, "");
    assert_eq!(rendered.omitted, [Omitted::Interface("lan0:rltime#9000".to_owned())]);
}

/// What the program is to make of the order, by what is reported as left out.
fn meant(order: &Advertised, omitted: &[Omitted]) -> RouterAdvertisement {
    let omitted: BTreeSet<&Omitted> = omitted.iter().collect();
    let max = u32::try_from(order.rules.max_interval.as_secs().clamp(4, 1800)).unwrap();
    let mut advertisement = order.advertisement.clone();
    if omitted.contains(&Omitted::RouterLifetime(advertisement.router_lifetime)) {
        let lifetime = u32::from(advertisement.router_lifetime);
        advertisement.router_lifetime = if lifetime < max { 0 } else { 9000 };
    }
    let list = |lifetime: Lifetime| {
        (lifetime.to_wire() >= max).then(|| Lifetime::Finite(lifetime.to_wire().min(max * 2)))
    };
    let option = |option: NdpOption| match option {
        NdpOption::SourceLinkLayer(_) => Some(NdpOption::SourceLinkLayer(vec![0; 6])),
        NdpOption::Prefix(prefix) => {
            (!omitted.contains(&Omitted::Prefix(prefix.prefix))).then_some(option)
        }
        NdpOption::Route(route) => {
            (!omitted.contains(&Omitted::Route(route.prefix))).then_some(option)
        }
        NdpOption::Mtu(mtu) => (!omitted.contains(&Omitted::Mtu(mtu))).then_some(option),
        NdpOption::Rdnss { lifetime, mut servers } => {
            servers.retain(|server| !omitted.contains(&Omitted::Resolver(*server)));
            let lifetime = list(lifetime)?;
            (!servers.is_empty()).then_some(NdpOption::Rdnss { lifetime, servers })
        }
        NdpOption::Dnssl { lifetime, mut names } => {
            names.retain(|name| !omitted.contains(&Omitted::SearchDomain(name.clone())));
            let lifetime = list(lifetime)?;
            (!names.is_empty()).then_some(NdpOption::Dnssl { lifetime, names })
        }
        NdpOption::Pref64(Pref64 { prefix, .. }) => {
            assert!(omitted.contains(&Omitted::Pref64(prefix)));
            None
        }
        NdpOption::CaptivePortal(uri) => {
            assert!(omitted.contains(&Omitted::CaptivePortal(uri)));
            None
        }
        other => panic!("{other:?} is never sent"),
    };
    advertisement.options = advertisement.options.drain(..).filter_map(option).collect();
    sorted(advertisement)
}

fn sorted(mut advertisement: RouterAdvertisement) -> RouterAdvertisement {
    advertisement.options.sort_by_key(|option| format!("{option:?}"));
    advertisement
}

proptest! {
    #[test]
    fn rendered_values_are_read_as_they_were_meant(order in orders::any_order()) {
        let rendered = render("lan0", &order);
        let file = format!("{}{}", render("em0", &orders::full()).text, rendered.text);
        let read = termcap::read(&file, "lan0", order.link_mtu);
        let Read { advertisement, running_down, min_interval, max_interval } = read.unwrap();
        prop_assert_eq!(sorted(advertisement), meant(&order, &rendered.omitted));
        let runs_down = order.advertisement.prefixes().filter(|prefix| {
            order.runs_down(prefix) && !rendered.omitted.contains(&Omitted::Prefix(prefix.prefix))
        });
        let meant: BTreeSet<_> = runs_down.map(|prefix| prefix.prefix).collect();
        prop_assert_eq!(running_down, meant);
        prop_assert_eq!(max_interval.as_secs(), order.rules.max_interval.as_secs().clamp(4, 1800));
        let most = max_interval.as_secs() * 3 / 4;
        prop_assert_eq!(min_interval.as_secs(), order.rules.min_interval.as_secs().clamp(3, most));
    }
}
