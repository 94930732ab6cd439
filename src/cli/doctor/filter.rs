//! What the packet filter may drop, as far as its rules show it. A rule that is not understood
//! counts as one that lets everything pass: better no word than a false one.

use serde_json::Value;

use super::checks::{Case, finding};
use super::{Finding, Severity};

/// Packets that have to pass, and in which direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Needed<'a> {
    interface: &'a str,
    direction: Direction,
    packets: Packets,
}

/// The hook that packets pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Direction {
    Input,
    Output,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Packets {
    /// Router advertisements, solicitations and neighbor discovery.
    Icmpv6,
    /// DHCPv6 messages to this port.
    Port(u16),
}

impl Direction {
    /// Its hook in nftables.
    const fn hook(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
        }
    }

    /// Its chain in ip6tables.
    const fn chain(self) -> &'static str {
        match self {
            Self::Input => "INPUT",
            Self::Output => "OUTPUT",
        }
    }

    /// What nftables call the interface by its name, and by its number; what ip6tables call it.
    const fn interface(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Input => ("iifname", "iif", "-i"),
            Self::Output => ("oifname", "oif", "-o"),
        }
    }
}

/// What the agent needs, and the filter drops.
pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let uplinks = case.config.uplinks.keys().map(String::as_str);
    let downlinks = case.config.downlinks.keys().chain(case.config.relays.keys());
    let downlinks: Vec<&str> = downlinks.map(String::as_str).collect();
    let uplinks: Vec<&str> = uplinks.collect();
    let all = || uplinks.iter().chain(&downlinks).map(|name| (*name, Packets::Icmpv6));
    let asks = uplinks.iter().filter(|_| case.requests());
    let serves = downlinks.iter().filter(|_| case.serves());
    // A client's messages go to port 547, a server's to port 546.
    let (client, server) = (Packets::Port(546), Packets::Port(547));
    let ports = |asked: Packets, served: Packets| {
        let asks = asks.clone().map(move |name| (*name, asked));
        asks.chain(serves.clone().map(move |name| (*name, served)))
    };
    let input = all().chain(ports(client, server)).map(|one| (Direction::Input, one));
    let output = all().chain(ports(server, client)).map(|one| (Direction::Output, one));
    let mut found = Vec::new();
    for (direction, (interface, packets)) in input.chain(output) {
        let needed = Needed { interface, direction, packets };
        if let Some(by) = dropped_by(case, needed) {
            found.push(of_drop(needed, &by));
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
fn dropped_by(case: &Case<'_>, needed: Needed<'_>) -> Option<String> {
    let filter = &case.facts.filter;
    let nftables = filter.nftables.as_deref().and_then(|json| nftables(json, needed));
    nftables.or_else(|| {
        let drops = filter.ip6tables.as_deref().is_some_and(|rules| ip6tables(rules, needed));
        drops.then(|| "ip6tables".to_owned())
    })
}

fn of_drop(needed: Needed<'_>, by: &str) -> Finding {
    let Needed { interface, direction, packets } = needed;
    let (key, hook) = (direction.interface().0, direction.hook());
    let (what, rule) = match packets {
        Packets::Icmpv6 => (
            "ICMPv6, and with it router advertisements and neighbor discovery".to_owned(),
            format!("{key} \"{interface}\" meta l4proto ipv6-icmp accept"),
        ),
        Packets::Port(port) => (
            format!("DHCPv6 messages to UDP port {port}"),
            format!("{key} \"{interface}\" udp dport {port} accept"),
        ),
    };
    let (name, when) = match direction {
        Direction::Input => ("filter-drops", "that come in here"),
        Direction::Output => ("filter-drops-output", "that leave here"),
    };
    finding(
        Severity::Warning,
        name,
        interface,
        format!("{by} seems to drop {what} {when}"),
        format!("add to its chain of the {hook} hook: {rule}"),
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

/// The table of nftables whose hook drops what is needed.
fn nftables(json: &str, needed: Needed<'_>) -> Option<String> {
    let ruleset: Value = serde_json::from_str(json).ok()?;
    let objects = ruleset.get("nftables")?.as_array()?;
    let hooked = objects.iter().filter_map(|object| object.get("chain")).filter(|chain| {
        let is = |key: &str, values: &[&str]| {
            chain.get(key).and_then(Value::as_str).is_some_and(|value| values.contains(&value))
        };
        is("hook", &[needed.direction.hook()]) && is("family", &["inet", "ip6"])
    });
    for chain in hooked {
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
        if drops && !rules.iter().any(|(_, rule)| lets_pass(rule, needed)) {
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
fn lets_pass(statements: &[&Value], needed: Needed<'_>) -> bool {
    if statements.iter().any(|one| one.get("xt").is_some() || one.get("vmap").is_some()) {
        return true;
    }
    if !statements.iter().any(|one| one.get("accept").is_some()) {
        return false;
    }
    let mut matches = statements.iter().filter_map(|one| one.get("match"));
    matches.all(|one| may_match(one, needed))
}

/// Whether a condition may hold for what is needed.
fn may_match(condition: &Value, needed: Needed<'_>) -> bool {
    let (Some(left), Some(right)) = (condition.get("left"), condition.get("right")) else {
        return true;
    };
    let is_negated = condition.get("op").and_then(Value::as_str) == Some("!=");
    let (key, field) = named(left);
    let Needed { interface, direction, packets } = needed;
    let (by_name, by_number, _) = direction.interface();
    let may = match (key, field) {
        ("meta", field) if field == by_name => has(right, &|value| {
            value.as_str().is_some_and(|name| match name.strip_suffix('*') {
                Some(begin) => interface.starts_with(begin),
                None => name == interface,
            })
        }),
        // Numbers of interfaces are shown as names, and as numbers when they are gone.
        ("meta", field) if field == by_number => {
            has(right, &|value| value.as_str() == Some(interface))
        }
        // What comes in has not been routed yet, and what leaves came in nowhere.
        ("meta", "iifname" | "iif" | "oifname" | "oif") => false,
        ("meta", "l4proto" | "nfproto") | ("ip6", "nexthdr") | ("ip", "protocol") => {
            let wanted: &[&str] = match packets {
                Packets::Icmpv6 => &["ipv6-icmp", "icmpv6", "ipv6"],
                Packets::Port(_) => &["udp", "ipv6"],
            };
            has(right, &|value| value.as_str().is_some_and(|name| wanted.contains(&name)))
        }
        ("icmpv6", _) => packets == Packets::Icmpv6,
        ("udp" | "th", "dport") => match packets {
            Packets::Port(port) => has(right, &|value| holds_port(value, port)),
            Packets::Icmpv6 => false,
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
fn ip6tables(rules: &str, needed: Needed<'_>) -> bool {
    let Needed { interface, direction, packets } = needed;
    let (chain, (_, _, option)) = (direction.chain(), direction.interface());
    let other = if direction == Direction::Input { "OUTPUT" } else { "INPUT" };
    let policy = format!(":{chain} DROP");
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
        if words.get(1).is_some_and(|name| *name == other) {
            continue;
        }
        drops |= line.starts_with(&policy)
            || matches!(words.as_slice(), ["-A", name, "-j", "DROP" | "REJECT", ..] if *name == chain);
        let argument = |names: &[&str]| {
            let at = words.iter().position(|word| names.contains(word))?;
            words.get(at + 1).copied()
        };
        let is_here = argument(&[option]).is_none_or(|name| match name.strip_suffix('+') {
            Some(begin) => interface.starts_with(begin),
            None => name == interface,
        });
        let protocol = argument(&["-p"]);
        let ports = argument(&["--dport", "--dports"]);
        let is_it = match packets {
            Packets::Icmpv6 => {
                protocol.is_none_or(|name| matches!(name, "ipv6-icmp" | "icmpv6" | "58"))
            }
            Packets::Port(port) => {
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
