//! Relay agents that are believed, and next hops that make a route (RLY-19, RLY-20).

use renumberd::core::input::Input;
use renumberd::core::kernel::system::KernelEvent;

use super::lan::{LAN, Lan, address, duid, option_79, relayed};
use super::takeover::{LINK_LAYER, SITE, net, rapid};
use crate::secs;

/// RLY-19
#[test]
fn a_relay_agent_is_believed_where_it_is_on_the_link_or_listed() {
    let on_link = "2001:db8::7";
    let cases = [
        // relays, source, believed
        ("", "fe80::a", true),
        ("", on_link, true),
        ("", "2001:db8:0:77::9", false),
        ("", "2001:db8:ffff::9", false),
        ("relays = \"none\"", "fe80::a", false),
        ("relays = \"none\"", on_link, false),
        ("relays = [\"fe80::a\"]", "fe80::a", true),
        ("relays = [\"fe80::a\"]", "fe80::b", false),
        ("relays = [\"fe80::a\", \"2001:db8:f::/48\"]", "2001:db8:f::9", true),
        ("relays = [\"fe80::a\", \"2001:db8:f::/48\"]", on_link, false),
    ];
    for (relays, source, believed) in cases {
        let config = SITE.replace("[downlink.lan]", &format!("[downlink.lan]\n{relays}"));
        for (who, options) in
            [(duid(1), vec![]), (duid(2), vec![option_79(LINK_LAYER)]), (duid(3), vec![])]
        {
            let mut lan = Lan::new(&config);
            lan.outputs = 0;
            lan.hear(source, relayed("fe80::99", "2001:db8::1", &options, rapid(&who)));
            assert_eq!(lan.given().len(), usize::from(believed), "{relays} {source}");
            assert_eq!(lan.counted("dhcpv6-server-foreign-relay"), u64::from(!believed));
            assert_eq!(lan.status().bindings.len(), usize::from(believed));
            if !believed {
                assert!(lan.routes().is_empty() && lan.outputs <= 1, "a line in the log");
            }
            lan.nothing_is_left_to_do();
        }
    }
}

/// RLY-19: what is a neighbor by an address of ours is one for as long as we have that address.
#[test]
fn a_next_hop_in_a_subnet_has_its_route_while_we_are_in_the_subnet() {
    let config = SITE.replace("[downlink.lan]", "[downlink.lan]\nrelays = [\"2001:db8:f::/48\"]");
    let mut lan = Lan::new(&config);
    lan.hear("2001:db8:f::9", relayed("fe80::99", "2001:db8:f::1", &[], rapid(&duid(1))));
    let own = crate::world::address(LAN, "2001:db8:f::1", false);
    let (interface, address) = (own.interface, own.address);
    for (event, routes) in [
        (KernelEvent::Address(own.clone()), 1),
        (KernelEvent::AddressGone { interface, address }, 0),
        (KernelEvent::Address(own), 1),
    ] {
        lan.kernel().change_silently(event.clone());
        lan.give(Input::Kernel(vec![event]));
        lan.run_for(secs(1));
        assert_eq!(lan.routes().len(), routes);
        assert_eq!(lan.conditions("next-hop-off-link").len(), 1 - routes);
    }
}

/// RLY-19: what is no neighbor makes no route, whoever vouches for it: a listed relay agent beyond
/// the link, what is configured, what is remembered.
#[test]
fn a_next_hop_that_is_no_neighbor_makes_no_route() {
    let far = "2001:db8:f::9";
    let config = SITE.replace("[downlink.lan]", "[downlink.lan]\nrelays = [\"2001:db8:f::/48\"]");
    let named = |next_hop: &str| {
        config.replace("iaid = 1", &format!("iaid = 1\nnext-hop = \"{next_hop}\""))
    };
    let cases = [
        (config.clone(), None),
        (named("2001:db8:f::9"), None),
        (named("2001:db8::77"), Some("2001:db8::77")),
        (named("fe80::77"), Some("fe80::77")),
    ];
    for (config, next_hop) in cases {
        let mut lan = Lan::new(&config);
        lan.hear(far, relayed("fe80::99", "2001:db8:f::1", &[], rapid(&duid(1))));
        assert_eq!(lan.given().len(), 1);
        let expected = next_hop.map(|next_hop| (net("2001:db8:0:100::/56"), address(next_hop)));
        let has = |lan: &Lan| lan.routes().into_iter().next();
        assert_eq!(has(&lan), expected);
        lan.nothing_is_left_to_do();
        let said = lan.conditions("next-hop-off-link");
        assert_eq!(said.len(), usize::from(next_hop.is_none()), "{said:?}");
        lan.restart();
        lan.run_for(secs(1));
        assert_eq!(has(&lan), expected, "remembered");
    }
}

/// RLY-20: what is malformed in what a relay agent adds is ignored and counted.
#[test]
fn malformed_options_of_relay_agents_are_counted() {
    let mut lan = Lan::new(SITE);
    let mut octets = relayed("fe80::99", "2001:db8::1", &[], rapid(&duid(1)));
    octets.extend([0, 79, 0, 1, 7]);
    octets.extend([0, 135, 0, 3, 1, 2, 3]);
    octets.push(0);
    lan.hear("fe80::a", octets);
    assert_eq!(lan.given(), [net("2001:db8:0:100::/56")]);
    let counters = lan.status().counters;
    let counted = counters.iter().filter(|(name, _)| name.starts_with("relay-option-"));
    assert_eq!(counted.map(|(_, count)| count).sum::<u64>(), 3, "{counters:?}");
}
