//! A relay agent has servers to relay to, and no other agent or server answers on its link.

use super::Finding;
use crate::config::{Config, Relay};

pub(super) fn check(config: &Config, findings: &mut Vec<Finding>) {
    for (name, relay) in &config.relays {
        if config.uplinks.contains_key(name) {
            let problem = format!("{name} is an uplink too");
            let remedy = "leave it out here or there: nothing is relayed from an uplink";
            findings.push(Finding::new(&["relay", name], problem, remedy));
        }
        if let Some(served) = served(config, name) {
            let problem = format!("{served} is served here: two would answer on one link");
            let remedy = format!("leave out this table, or {served}");
            findings.push(Finding::new(&["relay", name], problem, remedy));
        }
        if relay.servers.is_empty() {
            let problem = "there is nobody to relay to".to_owned();
            let remedy = "write an address, or leave it out for all servers of the site";
            findings.push(Finding::new(&["relay", name, "servers"], problem, remedy));
        }
        way(config, name, relay, findings);
    }
}

/// What makes this machine a delegating router on the link itself.
fn served(config: &Config, link: &str) -> Option<String> {
    let delegations = config.delegations.iter().filter(|(_, one)| one.downlink == link);
    let pools = config.pools.iter().filter(|(_, one)| one.downlink == link);
    let delegations = delegations.map(|(name, _)| format!("delegation.{name}"));
    delegations.chain(pools.map(|(name, _)| format!("pool.{name}"))).next()
}

/// An interface leads to servers to which an address alone does not.
fn way(config: &Config, name: &str, relay: &Relay, findings: &mut Vec<Finding>) {
    let path = ["relay", name, "uplink"];
    if relay.uplink.as_deref() == Some(name) {
        let problem = format!("{name} is the link that is relayed from");
        findings.push(Finding::new(&path, problem, "name the interface that leads to the servers"));
    }
    let vague = relay.servers.iter().find(|server| Relay::needs_uplink(**server));
    if let Some(server) = vague
        && relay.uplink(config).is_none()
    {
        let problem = format!("nothing says which interface leads to {server}");
        let remedy = "name it, uplink = \"INTERFACE\", or name servers by addresses that are \
                      routed, servers = [\"2001:db8::1\"]";
        findings.push(Finding::new(&path, problem, remedy).for_lack_of(&["uplink"]));
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::config::file::parse;
    use crate::config::{Limits, Pool, rules};

    use super::*;

    fn config(text: &str) -> Config {
        parse("renumberd.toml", text).unwrap_or_else(|errors| {
            panic!("{}", errors.iter().map(ToString::to_string).collect::<String>())
        })
    }

    #[test]
    fn every_key_is_read() {
        let config = config(
            "[relay.lan0]\nservers = [\"2001:db8::1\", \"ff05::1:3\"]\nuplink = \"wan0\"\n\
             [relay.lan1]\nservers = [\"fd00::1\"]\n",
        );
        let lan0 = Relay {
            servers: vec!["2001:db8::1".parse().unwrap(), "ff05::1:3".parse().unwrap()],
            uplink: Some("wan0".to_owned()),
        };
        let lan1 = Relay { servers: vec!["fd00::1".parse().unwrap()], uplink: None };
        assert_eq!(config.relays["lan0"], lan0);
        assert_eq!(config.relays["lan1"], lan1);
        assert_eq!(config.relays["lan0"].uplink(&config), Some("wan0"));
        assert_eq!(config.relays["lan1"].uplink(&config), None);
    }

    /// RLY-01: all servers of the site, by the only uplink.
    #[test]
    fn omitted_servers_are_all_servers_of_the_site() {
        let config = config("[uplink.wan0]\n[relay.lan0]\n[downlink.lan0]\n");
        assert_eq!(
            config.relays["lan0"].servers,
            ["ff05::1:3".parse::<std::net::Ipv6Addr>().unwrap()]
        );
        assert_eq!(config.relays["lan0"].uplink(&config), Some("wan0"));
    }

    #[test]
    fn impossible_values_are_refused_with_the_remedy() {
        const VAGUE: &str = "relay.lan0.uplink: nothing says which interface leads to";
        const CASES: &[(&str, &str)] = &[
            ("[relay.lan0]", VAGUE),
            ("[uplink.a]\n[uplink.b]\n[relay.lan0]", VAGUE),
            ("[relay.lan0]\nservers = [\"2001:db8::1\", \"fe80::1\"]", VAGUE),
            ("[uplink.lan0]\n[relay.lan0]\nuplink = \"b\"", "relay.lan0: lan0 is an uplink too"),
            ("[relay.lan0]\nuplink = \"lan0\"", "is the link that is relayed from"),
            ("[relay.lan0]\nuplink = \"\"", "no interface's name"),
            ("[relay.lan0]\nservers = []", "there is nobody to relay to"),
            ("[relay.lan0]\nservers = [\"::1\"]", "no server's address"),
            ("[relay.lan0]\nservers = [\"192.0.2.1\"]", "no server's address"),
            ("[relay.\"lan 0\"]\nservers = [\"fd00::1\"]", "can be no interface's name"),
            ("[relay.lan0]\nserver = []", "did you mean `servers`?"),
        ];
        for (text, expected) in CASES {
            let errors = parse("renumberd.toml", text).unwrap_err();
            let found: String = errors.iter().map(|error| format!("{error}\n")).collect();
            assert!(found.contains(expected), "{text:?}: {found}");
            assert!(found.contains("\n  remedy: "), "{text:?}: {found}");
        }
    }

    #[test]
    fn a_link_is_not_relayed_and_served_at_once() {
        let mut config = config("[uplink.wan0]\n[downlink.lan0]\n[relay.lan0]\n");
        assert_eq!(rules::check(&config).len(), 0);
        let limits = Limits { preferred: Duration::from_secs(1), valid: Duration::from_secs(1) };
        let pool = Pool {
            downlink: "lan0".to_owned(),
            link: None,
            place: None,
            size: 56,
            length: 60,
            from: None,
            priority: 0,
            per_router: 1,
            per_neighbor: 32,
            renew_every: None,
            lifetimes: limits,
        };
        config.pools.insert("others".to_owned(), pool);
        let findings = rules::check(&config);
        assert_eq!(findings.len(), 1);
        assert_eq!(findings[0].path, ["relay", "lan0"]);
        assert!(findings[0].wrong.problem.starts_with("pool.others is served here"));
    }
}
