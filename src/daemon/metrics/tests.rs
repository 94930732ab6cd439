//! What is scraped.

use std::collections::BTreeMap;

use super::*;
use crate::core::event::Event;
use crate::core::stage::{Cause, Prefixes, Stage};
use crate::core::uplink::lease::Transition;
use crate::wire::dhcpv6::MessageType;

const NOW: Instant = Instant::from_secs(100);

fn text(tally: &Tally) -> String {
    let text = "[uplink.wan0]\n[downlink.lan0]\n[pool.home]\ndownlink = \"lan0\"\n";
    let config = crate::config::file::parse("", text).unwrap();
    let memory = crate::core::memory::Memory::default();
    let duid = "00:03:00:01:02:00:5e:00:53:01".parse().unwrap();
    let capabilities = crate::platform::CAPABILITIES;
    let core = Core::new(config, memory, duid, capabilities, [7; 32], NOW);
    render(tally, &core, NOW, Duration::from_secs(1_800_000_000))
}

/// The names of all metrics, as the dashboard can use them.
fn names(text: &str) -> Vec<String> {
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn counters_count_events_and_gauges_show_the_state() {
    let tally = Tally::new();
    tally.received(Protocol::Icmpv6, &[134, 0]);
    tally.received(Protocol::Icmpv6, &[134, 0]);
    tally.received(Protocol::Dhcpv6, &[250]);
    tally.received(Protocol::Dhcpv6, &[]);
    tally.sent(Protocol::Dhcpv6, &[1]);
    tally.count(&Event::ChangeFinished {
        interface: "wan0".to_owned(),
        change: 1,
        cause: Cause::Reconfigure,
        from: Prefixes::default(),
        to: Prefixes::default(),
        latencies: BTreeMap::from([(Stage::Applied, Duration::from_micros(1300))]),
    });
    let text = text(&tally);
    for line in [
        "renumberd_messages_received_total{protocol=\"icmpv6\",message=\"router-advertisement\"} 2",
        "renumberd_messages_received_total{protocol=\"dhcpv6\",message=\"other\"} 2",
        "renumberd_messages_sent_total{protocol=\"dhcpv6\",message=\"solicit\"} 1",
        "renumberd_changes_total{uplink=\"wan0\",cause=\"reconfigure\"} 1",
        "renumberd_change_latency_seconds_bucket{le=\"0.001\",stage=\"applied\"} 0",
        "renumberd_change_latency_seconds_bucket{le=\"0.002\",stage=\"applied\"} 1",
        "renumberd_uplink_attached{uplink=\"wan0\"} 0.0",
        "renumberd_bindings 0.0",
        "renumberd_binding_prefixes{state=\"given\"} 0.0",
        "renumberd_condition{condition=\"interface-absent\",subject=\"lan0\"} 1.0",
        "renumberd_steps_refused_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
    }
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
}

/// A text with a sample of every metric: those without one are left out of a text.
fn everything() -> String {
    let tally = Tally::new();
    tally.received(Protocol::Icmpv6, &[134]);
    tally.sent(Protocol::Icmpv6, &[133]);
    let prefix = "2001:db8:1:100::/60".parse().unwrap();
    let requester = crate::core::event::Requester {
        duid: "00:01:02".parse().unwrap(),
        names: Vec::new(),
        is_configured: true,
    };
    let interface = "lan0".to_owned();
    for event in [
        Event::ChangeFinished {
            interface: "wan0".to_owned(),
            change: 1,
            cause: Cause::Link,
            from: Prefixes::default(),
            to: Prefixes::default(),
            latencies: BTreeMap::from([(Stage::Asked, Duration::ZERO)]),
        },
        Event::DelegationGiven {
            interface: interface.clone(),
            prefix,
            requester: requester.clone(),
        },
        Event::DelegationEnded { interface, prefix, requester },
        Event::ConditionBegan {
            interface: None,
            condition: crate::core::event::Condition::RelayTableFull,
        },
        Event::Lease {
            interface: "wan0".to_owned(),
            transition: Transition::Sent { message: MessageType::Solicit, attempt: 1 },
        },
    ] {
        tally.count(&event);
    }
    let lease = serde_json::json!({
        "iaid": 1, "prefix": "2001:db8:1:100::/56", "exclude": null, "preferred": null,
        "valid": 3600, "gone": false
    });
    let endless = serde_json::json!({
        "iaid": 2, "prefix": "2001:db8:2::/56", "exclude": null, "preferred": 7, "valid": null,
        "gone": false
    });
    let heard = serde_json::json!({
        "prefix": "2001:db8:1::/64", "on_link": true, "autonomous": true, "preferred": 60,
        "valid": 120, "condition": "preferred"
    });
    let status = serde_json::from_value(serde_json::json!({
        "schema": 1, "duid": "00:01", "counters": {}, "changes": [], "next": null,
        "uplinks": {"wan0": {
            "attached": true, "addresses": [], "server": null, "state": "bound",
            "leases": [lease, endless], "routers": [{
                "address": "fe80::1", "lifetime": 1700, "preference": "high", "managed": true,
                "other": false, "prefixes": [heard]
            }]
        }},
        "downlinks": {"lan0": {
            "attached": true, "router_lifetime": 2700, "without": {}, "advertised": []
        }},
        "relays": {"wl0": {"attached": true, "leases": []}},
        "conditions": [{"name": "a", "subject": "", "text": "b"}]
    }));
    let rejections = [("ra", "hop-limit", 3)].into_iter();
    let wall = Duration::from_secs(1_800_000_000);
    let state = state::registry(&status.unwrap(), rejections, wall);
    let mut text = String::new();
    encode_registry(&mut text, tally.registry()).unwrap();
    encode_registry(&mut text, &state).unwrap();
    text
}

/// Each metric has one description, and no name stands for two.
#[test]
fn every_metric_has_a_name_of_its_own() {
    let text = everything();
    let mut names = names(&text);
    assert!(names.len() > 20, "{names:?}");
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    assert_eq!(text.matches("# HELP ").count(), count);
    for line in [
        "renumberd_prefix_expiry_timestamp_seconds{uplink=\"wan0\",router=\"fe80::1\",prefix=\"2001:db8:1::/64\"} 1800000120.0",
        "renumberd_lease_expiry_timestamp_seconds{uplink=\"wan0\",iaid=\"1\",prefix=\"2001:db8:1:100::/56\"} 1800003600.0",
        "renumberd_messages_rejected_total{kind=\"ra\",reason=\"hop-limit\"} 3",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}:\n{text}");
    }
}

/// The dashboard asks for nothing that is not served.
#[test]
fn the_dashboard_uses_the_names_that_are_served() {
    let dashboard = include_str!("../../../contrib/grafana/renumberd.json");
    let json: serde_json::Value = serde_json::from_str(dashboard).unwrap();
    assert!(json["panels"].as_array().unwrap().len() > 10);
    let served = everything();
    let samples: Vec<String> = served
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .map(|(name, kind)| match kind {
            "counter" => format!("{name}_total"),
            "histogram" => format!("{name}_bucket"),
            _ => name.to_owned(),
        })
        .collect();
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let used: Vec<&str> = dashboard
        .match_indices("renumberd_")
        .map(|(at, _)| dashboard[at..].split(|letter| !is_part(letter)).next().unwrap())
        .collect();
    assert!(used.len() > 15, "{used:?}");
    for name in used {
        assert!(samples.iter().any(|sample| sample == name), "{name} is not served: {samples:?}");
    }
}
