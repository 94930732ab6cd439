//! Full tables: who gets in, who stays, who leaves (RA-RX-69).

use super::*;

fn routers_of(routers: &Routers, now: Instant) -> Vec<Ipv6Addr> {
    routers.default_routers(now).iter().map(|router| router.address).collect()
}

fn forged(number: u32) -> String {
    format!("2001:db8:f000:{number:x}::/64")
}

fn router(number: u32) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(ONE) + 0x1000 + u128::from(number))
}

/// Forged prefixes in the router's name neither shut out what it brings next nor take away what
/// was there before.
#[test]
fn a_new_prefix_gets_into_a_full_table() {
    for count in [64, 1000] {
        let mut routers = routers();
        hear(&mut routers, 0, ONE, vec![pio(A, 7200, 3600)]);
        for number in 0..count {
            hear(&mut routers, 1, ONE, vec![pio(&forged(number), u32::MAX, u32::MAX)]);
        }
        let heard = hear(&mut routers, 1, ONE, vec![pio(B, 7200, 3600)]);
        assert!(kinds(&heard).contains(&change(B, Appeared)), "{count}");
        assert!(routers.prefixes(at(1)).len() <= 64);
        assert!(one(&routers, at(1), A).gone_since.is_none(), "{count}");
        // A few more do not push it out.
        for number in 2000..2020 {
            hear(&mut routers, 2, ONE, vec![pio(&forged(number), u32::MAX, u32::MAX)]);
        }
        assert!(one(&routers, at(2), B).gone_since.is_none(), "{count}");
    }
}

/// One advertisement with more than there is room for is taken in as far as there is.
#[test]
fn one_advertisement_does_not_push_out_its_own() {
    let mut routers = routers();
    let options = (0..200).map(|number| pio(&forged(number), 7200, 3600)).collect();
    hear(&mut routers, 0, ONE, options);
    assert_eq!(routers.prefixes(START).len(), 64);
    assert_eq!(one(&routers, START, &forged(0)).gone_since, None);
}

#[test]
fn a_new_router_gets_into_a_full_table() {
    let mut routers = routers();
    for number in 0..40 {
        hear(&mut routers, 0, router(number), vec![pio(&forged(number), u32::MAX, u32::MAX)]);
    }
    let heard = hear(&mut routers, 1, TWO, vec![pio(B, 7200, 3600)]);
    assert!(kinds(&heard).contains(&change(B, Appeared)) && heard.others);
    assert!(routers_of(&routers, at(1)).contains(&TWO));
    assert!(routers_of(&routers, at(1)).len() <= MAX_ROUTERS);
}

/// The router of the lease and the default router in use have a place of their own, however old.
#[test]
fn forged_routers_push_out_neither_the_lease_s_nor_the_one_in_use() {
    let mut routers = routers();
    for number in 0..16 {
        hear(&mut routers, 0, router(number), vec![]);
    }
    let mut high = ra(vec![pio(A, 7200, 3600)]);
    high.preference = Preference::High;
    routers.handle_advertisement(at(1), ONE, &high, false, MTU).unwrap();
    hear(&mut routers, 1, TWO, vec![pio(B, 7200, 3600)]);
    routers.set_lease_router(TWO);
    for number in 100..200 {
        hear(&mut routers, 2, router(number), vec![]);
    }
    let left = routers_of(&routers, at(2));
    assert!(left.contains(&ONE) && left.contains(&TWO), "{left:?}");
    assert!(one(&routers, at(2), B).of_lease && !one(&routers, at(2), A).of_lease);
}

/// A forged router that is as good otherwise moves no traffic, whatever its address: it comes behind
/// the router of the lease, and behind who was there first; its routes do as well.
#[test]
fn a_newcomer_comes_behind_those_that_were_there() {
    let to = net("2001:db8:5::/48");
    let route = |preference| {
        vec![NdpOption::Route(RouteInformation {
            prefix: to,
            preference,
            lifetime: Lifetime::Finite(600),
        })]
    };
    let order = |routers: &Routers, seconds: u64| {
        let by: Vec<Ipv6Addr> =
            routers.routes(at(seconds)).iter().map(|route| route.router).collect();
        let defaults = routers.default_routers(at(seconds));
        assert!(defaults.iter().map(|router| router.address).eq(by.iter().copied()));
        by
    };
    let mut routers = routers();
    for (second, number) in [(0, 8), (1, 9), (2, 7)] {
        hear(&mut routers, second, router(number), route(Preference::Medium));
    }
    assert_eq!(order(&routers, 2), [8, 9, 7].map(router));
    // Heard again, in another order.
    hear(&mut routers, 3, router(7), route(Preference::Medium));
    assert_eq!(order(&routers, 3), [8, 9, 7].map(router));
    routers.set_lease_router(router(9));
    assert_eq!(order(&routers, 3), [9, 8, 7].map(router));
}

/// The same for routes, resolvers, search domains and NAT64 prefixes.
#[test]
fn the_newest_of_each_list_gets_in() {
    let options = |number: u32| {
        let lifetime = Lifetime::Finite(7200);
        let address = Ipv6Addr::from(u128::from(ONE) | (0x2001_u128 << 112) | u128::from(number));
        vec![
            NdpOption::Route(RouteInformation {
                prefix: net(&forged(number)),
                preference: Preference::Medium,
                lifetime,
            }),
            NdpOption::Rdnss { lifetime, servers: vec![address] },
            NdpOption::Dnssl { lifetime, names: vec![format!("n{number}.example")] },
            NdpOption::Pref64(Pref64 {
                prefix: net(&format!("2001:db8:64:{number:x}::/96")),
                lifetime: 7200,
            }),
        ]
    };
    let mut routers = routers();
    for number in 0..150 {
        hear(&mut routers, 0, ONE, options(number));
        let parameters = routers.parameters(START);
        let name = format!("n{number}.example");
        assert!(parameters.search.iter().any(|(known, _)| *known == name), "{number}");
        assert!(
            routers.routes(START).iter().any(|route| route.destination == net(&forged(number)))
        );
    }
    let parameters = routers.parameters(START);
    let counts = [parameters.resolvers.len(), parameters.search.len(), parameters.pref64.len()];
    assert_eq!((counts, routers.routes(START).len()), ([64; 3], 64));
    assert_eq!(parameters.search[0].0, "n0.example", "the first stay first");
}

/// RA-RX-69: suspects are bounded by what is kept.
#[test]
fn suspects_are_no_more_than_prefixes() {
    let mut routers = routers();
    for number in 0..200 {
        hear(&mut routers, 0, ONE, vec![pio(&forged(number), 7200, 3600)]);
        hear(&mut routers, 0, router(number), vec![pio(&forged(number), 7200, 3600)]);
        hear(&mut routers, 0, router(number), vec![pio(&forged(number + 1), 7200, 3600)]);
    }
    let mut asked = 0;
    while routers.poll_solicitation(START).is_some() {
        asked += 1;
    }
    assert!(asked <= MAX_ROUTERS, "{asked}");
}

/// CHG-02: a flood of forged prefixes draws few solicitations.
#[test]
fn a_flood_of_prefixes_draws_few_questions() {
    let mut routers = routers();
    let mut asked = 0;
    for number in 0..1000 {
        let second = u64::from(number / 100);
        hear(&mut routers, second, ONE, vec![pio(A, 7200, 3600), pio(&forged(number), 7200, 3600)]);
        routers.handle_timeout(at(second));
        while routers.poll_solicitation(at(second)).is_some() {
            asked += 1;
        }
    }
    assert!(asked <= 3, "{asked}");
}

/// RA-RX-26: nobody ends paths with a tiny hop limit.
#[test]
fn a_tiny_hop_limit_is_not_used() {
    let mut routers = routers();
    for (limit, used) in [(1, None), (31, None), (64, Some(64)), (1, Some(64)), (255, Some(255))] {
        let mut said = ra(vec![]);
        said.hop_limit = limit;
        said.router_lifetime = 0;
        routers.handle_advertisement(START, ONE, &said, false, MTU).unwrap();
        assert_eq!(routers.parameters(START).hop_limit, used, "{limit}");
    }
}

/// Siblings of RA-RX-47: no route leads what is no unicast network elsewhere.
#[test]
fn routes_to_what_is_no_network_are_ignored() {
    let mut routers = routers();
    let route = |prefix: &str| {
        NdpOption::Route(RouteInformation {
            prefix: net(prefix),
            preference: Preference::High,
            lifetime: Lifetime::Finite(600),
        })
    };
    let prefixes = ["fe80::/64", "ff00::/8", "::1/128"];
    hear(&mut routers, 0, ONE, prefixes.into_iter().map(route).collect());
    assert_eq!(routers.routes(START), []);
}
