//! What the packet filter may drop, as far as its rules show it. A rule that is not understood
//! counts as one that lets everything pass: better no word than a false one.

use serde_json::Value;

use super::checks::{Case, finding};
use super::{Finding, Severity};

/// What has to come in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Needed {
    /// Router advertisements, solicitations and neighbor discovery.
    Icmpv6,
    /// DHCPv6 messages to this port.
    Port(u16),
}

/// What the agent needs, and the filter drops.
pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let uplinks = case.config.uplinks.keys().map(String::as_str);
    let downlinks = case.config.downlinks.keys().chain(case.config.relays.keys());
    let downlinks: Vec<&str> = downlinks.map(String::as_str).collect();
    let uplinks: Vec<&str> = uplinks.collect();
    let all = || uplinks.iter().chain(&downlinks).map(|name| (*name, Needed::Icmpv6));
    let client = uplinks.iter().filter(|_| case.requests()).map(|name| (*name, Needed::Port(546)));
    let server = downlinks.iter().filter(|_| case.serves()).map(|name| (*name, Needed::Port(547)));
    let mut found = Vec::new();
    for (interface, needed) in all().chain(client).chain(server) {
        if let Some(by) = dropped_by(case, interface, needed) {
            found.push(of_drop(interface, needed, &by));
        }
    }
    if let Some(table) = case.facts.filter.nftables.as_deref().and_then(reverse_path_table) {
        found.push(of_reverse_path(&format!("table {table}")));
    } else if case
        .facts
        .filter
        .ip6tables
        .as_deref()
        .is_some_and(|rules| rules.contains("-m rpfilter"))
    {
        found.push(of_reverse_path("ip6tables"));
    }
    found
}

/// The table that drops what is needed.
fn dropped_by(case: &Case<'_>, interface: &str, needed: Needed) -> Option<String> {
    let filter = &case.facts.filter;
    let nftables = filter.nftables.as_deref().and_then(|json| nftables(json, interface, needed));
    nftables.or_else(|| {
        let drops =
            filter.ip6tables.as_deref().is_some_and(|rules| ip6tables(rules, interface, needed));
        drops.then(|| "ip6tables".to_owned())
    })
}

fn of_drop(interface: &str, needed: Needed, by: &str) -> Finding {
    let (what, rule) = match needed {
        Needed::Icmpv6 => (
            "ICMPv6, and with it router advertisements and neighbor discovery".to_owned(),
            format!("iifname \"{interface}\" meta l4proto ipv6-icmp accept"),
        ),
        Needed::Port(port) => (
            format!("DHCPv6 messages to UDP port {port}"),
            format!("iifname \"{interface}\" udp dport {port} accept"),
        ),
    };
    finding(
        Severity::Warning,
        "filter-drops",
        interface,
        format!("{by} seems to drop {what}, when it comes in here"),
        format!("add to its chain of the input hook: {rule}"),
    )
}

fn of_reverse_path(by: &str) -> Finding {
    finding(
        Severity::Note,
        "reverse-path-filter",
        "",
        format!(
            "{by} drops packets whose source is not routed back to where they came in: with several \
             uplinks, and in a change, that can be packets of this site"
        ),
        "if that happens, let the rule pass packets of uplinks",
    )
}

/// The table of nftables whose input hook drops what is needed.
fn nftables(json: &str, interface: &str, needed: Needed) -> Option<String> {
    let ruleset: Value = serde_json::from_str(json).ok()?;
    let objects = ruleset.get("nftables")?.as_array()?;
    let input = objects.iter().filter_map(|object| object.get("chain")).filter(|chain| {
        let is = |key: &str, values: &[&str]| {
            chain.get(key).and_then(Value::as_str).is_some_and(|value| values.contains(&value))
        };
        is("hook", &["input"]) && is("family", &["inet", "ip6"])
    });
    for chain in input {
        let table = (chain.get("family")?.as_str()?, chain.get("table")?.as_str()?);
        let rules = objects.iter().filter_map(|object| object.get("rule")).filter(|rule| {
            rule.get("family").and_then(Value::as_str) == Some(table.0)
                && rule.get("table").and_then(Value::as_str) == Some(table.1)
        });
        let rules: Vec<(&str, Vec<&Value>)> = rules.filter_map(parts).collect();
        let name = chain.get("name").and_then(Value::as_str)?;
        let is_final = |statements: &Vec<&Value>| {
            let verdicts = statements
                .iter()
                .any(|one| one.get("drop").is_some() || one.get("reject").is_some());
            verdicts && !statements.iter().any(|one| is_condition(one))
        };
        let drops = chain.get("policy").and_then(Value::as_str) == Some("drop")
            || rules.iter().any(|(chain, rule)| *chain == name && is_final(rule));
        if drops && !rules.iter().any(|(_, rule)| lets_pass(rule, interface, needed)) {
            return Some(format!("table {} {}", table.0, table.1));
        }
    }
    None
}

/// The chain and the statements of a rule.
fn parts(rule: &Value) -> Option<(&str, Vec<&Value>)> {
    Some((rule.get("chain")?.as_str()?, rule.get("expr")?.as_array()?.iter().collect()))
}

/// Whether a statement lets a rule be about some packets alone.
fn is_condition(statement: &Value) -> bool {
    statement.get("match").is_some() || statement.get("limit").is_some()
}

/// Whether a rule may let pass what is needed.
fn lets_pass(statements: &[&Value], interface: &str, needed: Needed) -> bool {
    if statements.iter().any(|one| one.get("xt").is_some() || one.get("vmap").is_some()) {
        return true;
    }
    if !statements.iter().any(|one| one.get("accept").is_some()) {
        return false;
    }
    let mut matches = statements.iter().filter_map(|one| one.get("match"));
    matches.all(|one| may_match(one, interface, needed))
}

/// Whether a condition may hold for what is needed.
fn may_match(condition: &Value, interface: &str, needed: Needed) -> bool {
    let (Some(left), Some(right)) = (condition.get("left"), condition.get("right")) else {
        return true;
    };
    let is_negated = condition.get("op").and_then(Value::as_str) == Some("!=");
    let (key, field) = named(left);
    let may = match (key, field) {
        ("meta", "iifname") => has(right, &|value| {
            value.as_str().is_some_and(|name| match name.strip_suffix('*') {
                Some(begin) => interface.starts_with(begin),
                None => name == interface,
            })
        }),
        // Numbers of interfaces are shown as names, and as numbers when they are gone.
        ("meta", "iif") => has(right, &|value| value.as_str() == Some(interface)),
        ("meta", "l4proto" | "nfproto") | ("ip6", "nexthdr") | ("ip", "protocol") => {
            let wanted: &[&str] = match needed {
                Needed::Icmpv6 => &["ipv6-icmp", "icmpv6", "ipv6"],
                Needed::Port(_) => &["udp", "ipv6"],
            };
            has(right, &|value| value.as_str().is_some_and(|name| wanted.contains(&name)))
        }
        ("icmpv6", _) => needed == Needed::Icmpv6,
        ("udp" | "th", "dport") => match needed {
            Needed::Port(port) => has(right, &|value| holds_port(value, port)),
            Needed::Icmpv6 => false,
        },
        ("tcp" | "icmp" | "ip", _) => false,
        // What belongs to a flow that this machine began is no advertisement, nor an answer to a
        // multicast question.
        ("ct", "state") => has(right, &|value| value.as_str() == Some("new")),
        ("fib", _) => false,
        _ => return true,
    };
    may != is_negated
}

/// What the left side of a match is about: `payload` with its protocol, or another key.
fn named(left: &Value) -> (&str, &str) {
    if let Some(payload) = left.get("payload") {
        let of = |key: &str| payload.get(key).and_then(Value::as_str).unwrap_or_default();
        return (of("protocol"), of("field"));
    }
    for key in ["meta", "ct"] {
        if let Some(found) = left.get(key) {
            return (key, found.get("key").and_then(Value::as_str).unwrap_or_default());
        }
    }
    if left.get("fib").is_some() { ("fib", "") } else { ("", "") }
}

/// Whether one of the values of a right side is as asked; a set with a name may hold anything.
fn has(right: &Value, is: &dyn Fn(&Value) -> bool) -> bool {
    match right {
        Value::String(name) if name.starts_with('@') => true,
        Value::Array(values) => values.iter().any(|value| has(value, is)),
        Value::Object(object) => match object.get("set") {
            Some(set) => has(set, is),
            None => is(right),
        },
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => is(right),
    }
}

fn holds_port(value: &Value, port: u16) -> bool {
    if let Some([from, to]) = value.get("range").and_then(Value::as_array).map(Vec::as_slice) {
        let port = u64::from(port);
        return from.as_u64().is_some_and(|from| from <= port)
            && to.as_u64().is_some_and(|to| port <= to);
    }
    let name = if port == 546 { "dhcpv6-client" } else { "dhcpv6-server" };
    value.as_u64() == Some(port.into()) || value.as_str() == Some(name)
}

/// The table that looks up sources in the routes, by way of the interface.
fn reverse_path_table(json: &str) -> Option<String> {
    let ruleset: Value = serde_json::from_str(json).ok()?;
    let rules = ruleset.get("nftables")?.as_array()?.iter().filter_map(|object| object.get("rule"));
    let looks_back = |statement: &Value| {
        let fib = statement.get("match").and_then(|one| one.get("left")?.get("fib"));
        let flags = fib.and_then(|fib| fib.get("flags")).map(Value::to_string).unwrap_or_default();
        flags.contains("saddr") && flags.contains("iif")
    };
    let mut found =
        rules.filter(|rule| parts(rule).is_some_and(|(_, all)| all.into_iter().any(looks_back)));
    let rule = found.next()?;
    Some(format!("{} {}", rule.get("family")?.as_str()?, rule.get("table")?.as_str()?))
}

/// Whether ip6tables drops what is needed.
fn ip6tables(rules: &str, interface: &str, needed: Needed) -> bool {
    let mut is_filter = false;
    let (mut drops, mut passes) = (false, false);
    for line in rules.lines() {
        if let Some(table) = line.strip_prefix('*') {
            is_filter = table.trim() == "filter";
        }
        if !is_filter {
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        drops |= line.starts_with(":INPUT DROP")
            || matches!(words.as_slice(), ["-A", "INPUT", "-j", "DROP" | "REJECT", ..]);
        let argument = |names: &[&str]| {
            let at = words.iter().position(|word| names.contains(word))?;
            words.get(at + 1).copied()
        };
        let is_here = argument(&["-i"]).is_none_or(|name| match name.strip_suffix('+') {
            Some(begin) => interface.starts_with(begin),
            None => name == interface,
        });
        let protocol = argument(&["-p"]);
        let ports = argument(&["--dport", "--dports"]);
        let is_it = match needed {
            Needed::Icmpv6 => {
                protocol.is_none_or(|name| matches!(name, "ipv6-icmp" | "icmpv6" | "58"))
            }
            Needed::Port(port) => {
                protocol.is_none_or(|name| matches!(name, "udp" | "17"))
                    && ports.is_none_or(|ports| has_port(ports, port))
            }
        };
        let is_old_flow =
            argument(&["--ctstate", "--state"]).is_some_and(|state| !state.contains("NEW"));
        passes |=
            words.contains(&"ACCEPT") && line.starts_with("-A") && is_here && is_it && !is_old_flow;
    }
    drops && !passes
}

/// Whether a list such as `53,546:547` has a port.
fn has_port(list: &str, port: u16) -> bool {
    list.split(',').any(|part| {
        let (from, to) = part.split_once(':').unwrap_or((part, part));
        let bound = |text: &str| text.parse::<u16>().ok();
        bound(from).is_some_and(|from| from <= port) && bound(to).is_some_and(|to| port <= to)
    })
}
