//! The page, from a state that is put together by hand.

use serde_json::json;

use super::*;

/// A router with a bit of everything.
fn status() -> Status {
    let binding = |name: &str, number: u32, state: &str| {
        json!({
            "names": [name], "downlink": "lan0", "iaid": 1, "reconfigure": true,
            "duid": "00:04:a4:79:42:d1:2e:ab:81:de:33:7a:00:e0:a1:f4:42:51",
            "next_hop": format!("fe80::{number}"), "notified": state == "withdrawn",
            "prefixes": [{
                "prefix": format!("2001:db8:2:1{number}0::/60"),
                "preferred": 1500, "valid": 3300, "state": state
            }]
        })
    };
    let lease = |prefix: &str, gone: bool| {
        json!({
            "iaid": 1, "prefix": prefix, "exclude": null, "preferred": 1500, "valid": 3300,
            "given_for": 3600, "gone": gone
        })
    };
    serde_json::from_value(json!({
        "schema": 1,
        "duid": "00:01",
        "uplinks": {"wan0": {
            "attached": true,
            "routers": [{
                "address": "fe80::1", "lifetime": 1700, "preference": "high", "managed": true,
                "other": false, "prefixes": [
                    {"prefix": "2001:db8:2::/64", "on_link": true, "autonomous": true,
                     "preferred": 1500, "valid": 3300, "condition": "preferred"},
                    {"prefix": "2001:db8:1::/64", "on_link": true, "autonomous": true,
                     "preferred": 0, "valid": 600, "condition": "deprecated"}
                ]
            }],
            "addresses": [{"address": "2001:db8:2::2", "preferred": 1500, "valid": null,
                           "tentative": true}],
            "server": "00:03:00:01:02:00:5e:00:53:01",
            "state": "bound",
            "renewal": 700.0,
            "leases": [lease("2001:db8:1:100::/56", true), lease("2001:db8:2:100::/56", false)],
            "passed_on": ["ntp-server", "sip-server"],
            "registration": {"server": "registers", "addresses": [
                {"address": "2001:db8:2::5", "acknowledged": true, "under_way": false,
                 "refresh": 2640.0},
                {"address": "2001:db8:2::6", "acknowledged": false, "under_way": true,
                 "refresh": null},
                {"address": "2001:db8:2::7", "acknowledged": false, "under_way": false,
                 "refresh": null}
            ]}
        }},
        "downlinks": {
            "lan0": {"attached": true, "router_lifetime": 2700, "without": {}, "advertised": [
                {"prefix": "2001:db8:1:101::/64", "preferred": 0, "valid": 0},
                {"prefix": "2001:db8:2:101::/64", "preferred": 1500, "valid": 3300}
            ]},
            "lan10": {"attached": false, "router_lifetime": 2700, "without": {}, "advertised": []},
            "lan3": {"attached": true, "router_lifetime": 0, "without": {}, "advertised": []},
            "lan2": {"attached": true, "router_lifetime": 2700, "without": {}, "advertised": []}
        },
        "statics": {"site": ["fd00:5::/48"]},
        "bindings": [
            binding("d10", 3, "reserved"), binding("d2", 2, "given"), binding("guests 0x1", 4, "withdrawn")
        ],
        "engines": [{"job": "advertiser", "interface": "lan2", "program": "radvd",
                     "version": "2.19", "state": "failed"}],
        "relays": {"wl0": {"attached": true, "leases": [{
            "client": "00:01:02", "iaid": 7, "prefix": "2001:db8:9::/56", "next_hop": "fe80::9",
            "preferred": 60, "valid": 120
        }]}},
        "conditions": [
            {"name": "interface-down", "subject": "lan10",
             "text": "the interface is down or has no carrier; look at its cable"},
            {"name": "server-silent", "subject": "wan0",
             "text": "a server says \u{1b}[2Jhello\u{7}, and a text that is longer than one line of a \
                      terminal is"}
        ],
        "counters": {"ra-hop-limit": 12, "dhcpv6-no-server-id": 3},
        "changes": [{
            "number": 7, "uplink": "wan0", "cause": "advertisement", "age": 12.9,
            "from": {"on_link": ["2001:db8:1::/64"], "delegated": ["2001:db8:1:100::/56"]},
            "to": {"on_link": ["2001:db8:2::/64"], "delegated": ["2001:db8:2:100::/56"]},
            "stages": {"asked": 0.31, "delegated": 1.24, "applied": 2.0, "advertised": 2.5}
        }],
        "next": ["a router advertisement", 0.52]
    }))
    .unwrap()
}

#[test]
fn the_page_has_conditions_first_and_then_the_parts_with_their_holders() {
    let page = render(&status(), LISTED, false);
    assert_eq!(page.lines().collect::<Vec<_>>(), PAGE, "\n{page}");
    assert!(page.lines().all(|line| line.chars().count() <= page::WIDTH), "{page}");
}

const PAGE: [&str; 59] = [
    "to mend: 2",
    "  interface-down lan10:",
    "    the interface is down or has no carrier; look at its cable",
    "  server-silent wan0:",
    "    a server says ?[2Jhello?, and a text that is longer than one line of a",
    "    terminal is",
    "",
    "uplink wan0",
    "  router     fe80::1, default router for 28m 20s, high preference",
    "             2001:db8:2::/64, preferred 25m, valid 55m",
    "             2001:db8:1::/64, deprecated, valid 10m",
    "  address    2001:db8:2::2, preferred 25m, valid without end, tentative",
    "  delegation bound, renewed in 11m 40s, server 00:03:00:01:02:00:5e:00:53:01",
    "  lease      2001:db8:1:100::/56 (IAID 1), over",
    "  lease      2001:db8:2:100::/56 (IAID 1)",
    "             [==========------------..] preferred 25m, valid 55m",
    "  registered 2001:db8:2::5, acknowledged, refreshed in 44m",
    "  registered 2001:db8:2::6, not acknowledged yet",
    "  registered 2001:db8:2::7, not acknowledged, the server does not answer",
    "  passed on  ntp-server, sip-server",
    "",
    "downlinks",
    "  lan0       default router for 45m",
    "  lan2       default router for 45m",
    "  lan3       no default router",
    "  lan10      cannot send, nobody hears of a router",
    "",
    "plan",
    "  2001:db8:1:100::/56 from wan0, IAID 1, over",
    "    lan0  2001:db8:1:101::/64  withdrawn",
    "  2001:db8:2:100::/56 from wan0, IAID 1",
    "    d2          2001:db8:2:120::/60  preferred 25m, valid 55m;",
    "                                     00:04:a4...f4:42:51 via fe80::2 on lan0",
    "    d10         2001:db8:2:130::/60  reserved, given when its router asks next;",
    "                                     00:04:a4...f4:42:51 via fe80::3 on lan0",
    "    guests 0x1  2001:db8:2:140::/60  withdrawn, kept from others for 55m,",
    "                                     notified, has not renewed yet;",
    "                                     00:04:a4...f4:42:51 via fe80::4 on lan0",
    "    lan0        2001:db8:2:101::/64  preferred 25m, valid 55m",
    "  fd00:5::/48 static site",
    "",
    "relay wl0",
    "  2001:db8:9::/56 via fe80::9  preferred 1m, valid 2m; DUID 00:01:02, IAID 7",
    "",
    "other programs",
    "  lan2       advertiser: radvd 2.19, failed",
    "",
    "last changes",
    "  change 7   12s ago on wan0: a router advertises other prefixes",
    "             on-link 2001:db8:1::/64 -> 2001:db8:2::/64",
    "             delegated 2001:db8:1:100::/56 -> 2001:db8:2:100::/56",
    "             asked 0.3 ms, answered 1.2 ms, applied 2.0 ms, advertised 2.5 ms",
    "",
    "dropped packets",
    "  3          dhcpv6-no-server-id: it does not name its server",
    "  12         ra-hop-limit: another router has forwarded it, so it is not of this",
    "             link",
    "",
    "next  a router advertisement in 520ms",
];

/// With colours the text is the same.
#[test]
fn colours_are_all_that_a_terminal_gets_more() {
    let coloured = render(&status(), LISTED, true);
    assert!(coloured.contains("\x1b[1;31mto mend: 2\x1b[0m"), "{coloured}");
    let mut plain = String::new();
    for (number, piece) in coloured.split('\x1b').enumerate() {
        plain.push_str(if number == 0 { piece } else { piece.split_once('m').unwrap().1 });
    }
    assert_eq!(plain, render(&status(), LISTED, false));
}

#[test]
fn names_are_in_the_order_in_which_people_count() {
    let mut names =
        ["d10", "d2", "e", "d2a", "d02", "d1x3", "d1x20", "", "d99999999999999999999999"];
    names.sort_by(|one, other| natural(one, other));
    assert_eq!(
        names,
        ["", "d1x3", "d1x20", "d2", "d02", "d2a", "d10", "d99999999999999999999999", "e"]
    );
}

#[test]
fn thousands_of_bindings_are_one_line() {
    let mut status = status();
    let whole = status.bindings.split_off(0);
    status.binding_summary = Some(crate::core::delegate::BindingSummary {
        bindings: 5000,
        given: 4990,
        reserved: 8,
        withdrawn: 2,
    });
    let page = render(&status, LISTED, false);
    assert!(
        page.contains("  5000 bindings of subordinate routers: 4990 prefixes given, 8 reserved"),
        "{page}"
    );
    assert!(!page.contains("d10") && whole.len() == 3);
    let relay = status.relays.get_mut("wl0").unwrap();
    let lease = relay.leases[0].clone();
    relay.leases = vec![lease; LISTED + 1];
    assert!(render(&status, LISTED, false).contains("  25 leases; to list them"));
}

/// What is missing is shown before it has been missing for so long that something is wrong.
#[test]
fn the_lack_of_an_uplink_is_shown_until_a_condition_names_it() {
    let mut status = status();
    status.conditions.clear();
    status.uplinks.get_mut("wan0").unwrap().lack = Some("no router has been heard".to_owned());
    let page = render(&status, LISTED, false);
    assert!(page.starts_with("waiting: 1\n  wan0: no router has been heard\n\n"), "{page}");
    status.conditions.push(crate::core::status::Condition {
        name: "no-router".to_owned(),
        subject: "wan0".to_owned(),
        text: "no router is heard".to_owned(),
        remedy: String::new(),
    });
    let page = render(&status, LISTED, false);
    assert!(page.starts_with("to mend: 1\n") && !page.contains("waiting"), "{page}");
}

#[test]
fn a_page_that_is_watched_fits_the_terminal() {
    let text = "1\n2\n3\n4\n";
    assert_eq!(first_lines(text, 5), text);
    assert_eq!(first_lines(text, 4), "1\n2\n(more than this terminal shows)\n");
    assert_eq!(first_lines(text, 0), "(more than this terminal shows)\n");
}

#[test]
fn hosts_are_shown_with_their_present_addresses() {
    let neighbor = |address: &str, last: u8| crate::core::kernel::system::Neighbor {
        address: address.parse().unwrap(),
        link_layer: vec![2, 0, 0, 0, 0, last],
        unconfirmed_for: Duration::ZERO,
    };
    let link = hosts::Link {
        name: "lan0".to_owned(),
        current: vec!["2001:db8:2:101::/64".parse().unwrap()],
        neighbors: vec![
            neighbor("fe80::1", 1),
            neighbor("2001:db8:2:101::5", 1),
            neighbor("2001:db8:1:101::5", 1),
            neighbor("2001:db8:1:101::6", 2),
            neighbor("fe80::3", 3),
        ],
    };
    assert_eq!(
        hosts::render(&[link], false).lines().collect::<Vec<_>>(),
        [
            "lan0: 3 hosts and routers known, 1 of them with an address of a current prefix",
            "  02:00:00:00:00:01  2001:db8:1:101::5 (not current), 2001:db8:2:101::5",
            "  02:00:00:00:00:02  2001:db8:1:101::6 (not current)",
            "  02:00:00:00:00:03  its link-local address alone",
        ]
    );
}
