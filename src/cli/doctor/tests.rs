//! What is found in machines that are put together by hand.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use super::checks::{Case, findings};
use super::*;
use crate::platform::facts::{Facts, Interface, PortHolder, Program, Rights};

const ROOM: Directory = Directory::Writable { octets: 1 << 30, files: Some(1000) };
const NOW: Duration = Duration::from_secs(1_800_000_000);

fn config() -> Config {
    let text = "[uplink.wan0]\n[downlink.lan0]\n[pool.home]\ndownlink = \"lan0\"\n";
    crate::config::file::parse("", text).unwrap()
}

/// A machine that has everything.
fn healthy() -> Facts {
    let interface = Interface { is_running: true, accept_ra: Some(0), ..Interface::default() };
    let names = ["wan0", "lan0"].map(|name| (name.to_owned(), interface.clone()));
    Facts {
        forwarding: Some(true),
        kernel: Some((6, 18)),
        interfaces: BTreeMap::from(names),
        neighbor_limit: Some(1024),
        clock_is_synchronized: Some(true),
        rights: Rights {
            network_administration: Some(true),
            raw_sockets: Some(true),
            low_ports: Some(true),
        },
        ..Facts::default()
    }
}

fn found_with(
    config: &Config,
    facts: &Facts,
    wall: Duration,
    directory: Directory,
) -> Vec<Finding> {
    let path = Path::new("/opt/renumberd");
    let case = Case {
        config,
        facts,
        agent: None,
        is_denied: false,
        wall,
        state_dir: (path, directory),
        runtime_dir: (path, ROOM),
    };
    findings(&case)
}

fn found(facts: &Facts) -> Vec<Finding> {
    found_with(&config(), facts, NOW, ROOM)
}

fn names(findings: &[Finding]) -> Vec<(&str, &str)> {
    findings.iter().map(|one| (one.name.as_str(), one.subject.as_str())).collect()
}

fn changed(change: impl FnOnce(&mut Facts)) -> Vec<Finding> {
    let mut facts = healthy();
    change(&mut facts);
    found(&facts)
}

fn program(name: &str, arguments: &[&str]) -> Program {
    let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
    Program { pid: 7, name: name.to_owned(), arguments }
}

#[test]
fn a_machine_that_has_everything_is_fine() {
    assert_eq!(found(&healthy()), []);
    assert_eq!(exit_code(&[]), 0);
    assert_eq!(render(&[], Contact::Answers, false), "0 errors, 0 warnings; an agent answers\n");
    // Where nothing can be read, nothing is claimed.
    assert_eq!(found(&Facts::default()), []);
}

#[test]
fn each_thing_that_is_wrong_is_found_alone() {
    let set = |name: &'static str, change: fn(&mut Interface)| {
        changed(move |facts| change(facts.interfaces.get_mut(name).unwrap()))
    };
    let cases = [
        (changed(|facts| facts.forwarding = Some(false)), "forwarding-off", ""),
        (changed(|facts| drop(facts.interfaces.remove("lan0"))), "interface-absent", "lan0"),
        (set("lan0", |one| one.is_running = false), "interface-down", "lan0"),
        (set("wan0", |one| one.is_without_ipv6 = true), "ipv6-disabled", "wan0"),
        (set("lan0", |one| one.accept_ra = Some(2)), "accept-ra-on-downlink", "lan0"),
        (set("wan0", |one| one.managers = vec!["NetworkManager"]), "managed-by-another", "wan0"),
        (set("lan0", |one| one.managers = vec!["systemd-networkd"]), "managed-by-another", "lan0"),
        (changed(|facts| facts.kernel = Some((5, 17))), "kernel-without-address-marks", ""),
        (changed(|facts| facts.rights.raw_sockets = Some(false)), "right-missing", "CAP_NET_RAW"),
        (found_with(&config(), &healthy(), Duration::from_secs(3600), ROOM), "clock-not-set", ""),
        (changed(|facts| facts.clock_is_synchronized = Some(false)), "clock-not-synchronized", ""),
        (
            found_with(&config(), &healthy(), NOW, Directory::Refused("Read-only file system")),
            "state-directory",
            "/opt/renumberd",
        ),
        (
            found_with(&config(), &healthy(), NOW, Directory::Writable { octets: 5, files: None }),
            "state-directory",
            "/opt/renumberd",
        ),
    ];
    for (found, name, subject) in cases {
        assert_eq!(names(&found), [(name, subject)]);
        assert!(!found[0].remedy.is_empty() && !found[0].text.is_empty(), "{name}");
    }
}

#[test]
fn the_program_that_has_a_needed_port_is_named() {
    let holder = |port, name: Option<&str>| PortHolder {
        port,
        pid: name.map(|_| 42),
        name: name.map(str::to_owned),
        is_agent: name == Some("renumberd"),
    };
    let found = changed(|facts| {
        facts.ports =
            vec![holder(546, Some("dhclient")), holder(547, None), holder(547, Some("renumberd"))];
    });
    assert_eq!(names(&found), [("client-port-taken", ""), ("server-port-taken", "")]);
    assert!(found[0].text.contains("dhclient (process 42) has UDP port 546"), "{found:?}");
    assert_eq!(exit_code(&found), 1);
    // A router that delegates nothing leaves the port to others.
    let config = crate::config::file::parse("", "[uplink.wan0]\n[downlink.lan0]\n").unwrap();
    let mut facts = healthy();
    facts.ports = vec![holder(547, Some("kea-dhcp6"))];
    assert_eq!(found_with(&config, &facts, NOW, ROOM), []);
}

#[test]
fn a_rival_is_named_where_it_may_be_and_not_where_it_does_the_job() {
    let with = |program: Program| changed(|facts| facts.programs = vec![program]);
    let rival = with(program("dhcpcd", &["dhcpcd", "-B"]));
    assert_eq!(names(&rival), [("rival-requester", "wan0")]);
    assert_eq!(exit_code(&rival), 4);
    assert_eq!(names(&with(program("dhcpcd", &["dhcpcd", "wan0"]))), [("rival-requester", "wan0")]);
    assert_eq!(with(program("dhcpcd", &["dhcpcd", "lan0"])), []);
    assert_eq!(names(&with(program("radvd", &["radvd"]))), [("rival-advertiser", "lan0")]);
    let text = "[uplink.wan0]\n[downlink.lan0]\nadvertiser = \"radvd\"\n";
    let config = crate::config::file::parse("", text).unwrap();
    let mut facts = healthy();
    facts.programs = vec![program("radvd", &["radvd"])];
    assert_eq!(found_with(&config, &facts, NOW, ROOM), []);
}

/// A chain of the input hook, with a policy and rules.
fn nftables(policy: &str, rules: &[&str]) -> String {
    nftables_of("input", policy, rules)
}

fn nftables_of(hook: &str, policy: &str, rules: &[&str]) -> String {
    let chain = format!(
        r#"{{"chain": {{"family": "inet", "table": "f", "name": "in", "hook": "{hook}", "policy": "{policy}"}}}}"#
    );
    let rules = rules.iter().map(|expr| {
        format!(
            r#", {{"rule": {{"family": "inet", "table": "f", "chain": "in", "expr": [{expr}]}}}}"#
        )
    });
    format!(r#"{{"nftables": [{chain}{}]}}"#, rules.collect::<String>())
}

const DPORT: &str = r#"{"match": {"op": "==", "left": {"payload": {"protocol": "udp", "field": "dport"}}, "right": {"set": [53, {"range": [546, 547]}]}}}, {"accept": null}"#;
const ICMPV6: &str = r#"{"match": {"op": "==", "left": {"meta": {"key": "l4proto"}}, "right": "ipv6-icmp"}}, {"accept": null}"#;
const ESTABLISHED: &str = r#"{"match": {"op": "in", "left": {"ct": {"key": "state"}}, "right": ["established", "related"]}}, {"accept": null}"#;
const LOOPBACK: &str =
    r#"{"match": {"op": "==", "left": {"meta": {"key": "iif"}}, "right": "lo"}}, {"accept": null}"#;
const REVERSE: &str = r#"{"match": {"op": "==", "left": {"fib": {"result": "oif", "flags": ["saddr", "iif"]}}, "right": false}}, {"drop": null}"#;

#[test]
fn nftables_that_drop_what_is_needed_are_named() {
    let with = |policy: &str, rules: &[&str]| {
        changed(|facts| facts.filter.nftables = Some(nftables(policy, rules)))
    };
    let everything = with("drop", &[ESTABLISHED, LOOPBACK]);
    assert_eq!(
        names(&everything),
        [("filter-drops", "wan0"), ("filter-drops", "lan0")],
        "once for each interface"
    );
    assert!(everything[0].text.contains("table inet f"), "{everything:?}");
    assert_eq!(with("accept", &[]), []);
    assert_eq!(names(&with("accept", &[ICMPV6, r#"{"drop": null}"#])), names(&everything));
    assert_eq!(with("drop", &[ICMPV6, DPORT]), []);
    let ports = with("drop", &[ICMPV6]);
    assert!(ports[0].text.contains("UDP port 546") && ports[1].text.contains("547"), "{ports:?}");
    assert!(ports[0].remedy.contains("udp dport 546 accept"), "{ports:?}");
    let on = |name: &str| {
        format!(
            r#"{{"match": {{"op": "==", "left": {{"meta": {{"key": "iifname"}}}}, "right": "{name}"}}}}, {{"accept": null}}"#
        )
    };
    assert_eq!(names(&with("drop", &[&on("wan*")])), [("filter-drops", "lan0")]);
    assert_eq!(with("drop", &[&on("@trusted")]), []);
    assert_eq!(with("drop", &[r#"{"vmap": {}}"#]), [], "what is not understood is not judged");
    assert_eq!(names(&with("accept", &[REVERSE])), [("reverse-path-filter", "")]);
    for broken in
        ["", "{", "[]", r#"{"nftables": 7}"#, r#"{"nftables": [{"chain": 7}, {"rule": []}]}"#]
    {
        assert_eq!(changed(|facts| facts.filter.nftables = Some(broken.to_owned())), []);
    }
}

/// What does not leave is not answered.
#[test]
fn filters_of_what_leaves_are_judged_too() {
    let with = |policy: &str, rules: &[&str]| {
        changed(|facts| facts.filter.nftables = Some(nftables_of("output", policy, rules)))
    };
    let none = with("drop", &[ESTABLISHED, LOOPBACK]);
    assert_eq!(names(&none), [("filter-drops-output", "wan0"), ("filter-drops-output", "lan0")]);
    assert_eq!(with("drop", &[ICMPV6, DPORT]), []);
    assert_eq!(with("accept", &[]), []);
    let ports = with("drop", &[ICMPV6]);
    assert!(ports[0].remedy.contains("output hook: oifname \"wan0\" udp dport 547 accept"));
    assert!(ports[1].remedy.contains("oifname \"lan0\" udp dport 546 accept"), "{ports:?}");
    let rules = |text: &str| {
        let text = format!("*filter\n{text}\nCOMMIT\n");
        changed(|facts| facts.filter.ip6tables = Some(text))
    };
    let both = [("filter-drops-output", "wan0"), ("filter-drops-output", "lan0")];
    assert_eq!(names(&rules(":OUTPUT DROP [0:0]\n-A INPUT -j ACCEPT")), both);
    assert_eq!(names(&rules(":OUTPUT DROP [0:0]\n-A OUTPUT -o wan+ -j ACCEPT")), both[1..]);
}

#[test]
fn ip6tables_that_drop_what_is_needed_are_named() {
    let with = |rules: &str| {
        let text = format!("*nat\n:INPUT DROP [0:0]\nCOMMIT\n*filter\n{rules}\nCOMMIT\n");
        changed(|facts| facts.filter.ip6tables = Some(text))
    };
    assert_eq!(with(":INPUT ACCEPT [0:0]"), []);
    let none = ":INPUT DROP [0:0]\n-A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT";
    assert_eq!(names(&with(none)), [("filter-drops", "wan0"), ("filter-drops", "lan0")]);
    let enough = ":INPUT ACCEPT [0:0]\n-A INPUT -p ipv6-icmp -j ACCEPT\n\
                  -A INPUT -p udp -m multiport --dports 53,546:547 -j ACCEPT\n-A INPUT -j DROP";
    assert_eq!(with(enough), []);
    let one = ":INPUT DROP [0:0]\n-A INPUT -i lan+ -j ACCEPT";
    assert_eq!(names(&with(one)), [("filter-drops", "wan0")]);
}

/// The table of neighbors is measured against the bindings that there are.
#[test]
fn a_table_of_neighbors_that_is_too_small_is_named() {
    let mut text = "[uplink.wan0]\n[downlink.lan0]\n".to_owned();
    for number in 0..600 {
        text += &format!(
            "[delegation.d{number}]\ndownlink = \"lan0\"\nduid = \"00:01:{:02x}:{:02x}\"\n",
            number / 256,
            number % 256
        );
    }
    let config = crate::config::file::parse("", &text).unwrap();
    let found = found_with(&config, &healthy(), NOW, ROOM);
    assert_eq!(names(&found), [("neighbor-table-small", "")]);
    assert!(found[0].remedy.contains("gc_thresh3=4096"), "{found:?}");
}

/// An agent that may run and cannot be asked is no absent one, and what this user lacks says nothing
/// of it.
#[test]
fn an_agent_that_cannot_be_asked_is_named_with_the_remedy() {
    let path = Path::new("/run/renumberd");
    let at = || "/run/renumberd/control.sock".to_owned();
    let hangs = anyhow::anyhow!("the agent does not answer");
    type Found = Option<(&'static str, Severity, &'static str)>;
    let cases: [(anyhow::Error, Contact, Found); 4] = [
        (Unanswered::Absent(at()).into(), Contact::Absent, None),
        (
            Unanswered::Denied(at()).into(),
            Contact::Denied,
            Some(("agent-not-asked", Severity::Warning, "as root")),
        ),
        (
            Unanswered::Busy(at()).into(),
            Contact::Silent,
            Some(("agent-silent", Severity::Error, "its log")),
        ),
        (hangs, Contact::Silent, Some(("agent-silent", Severity::Error, "its log"))),
    ];
    for (error, contact, expected) in cases {
        assert_eq!(Contact::of(Some(&error)), contact, "{error}");
        let found = of_silence(contact, path, &error);
        let view = found.as_ref().map(|one| (one.name.as_str(), one.severity));
        assert_eq!(view, expected.map(|(name, severity, _)| (name, severity)), "{error}");
        let remedy = expected.map(|(_, _, remedy)| remedy).unwrap_or_default();
        assert!(found.is_none_or(|found| found.remedy.contains(remedy)), "{error}");
    }
    let mut facts = healthy();
    facts.rights.raw_sockets = Some(false);
    let refused = (path, Directory::Refused("Permission denied"));
    for (is_denied, administers, errors, warnings) in
        [(false, true, 2, 1), (false, false, 0, 4), (true, true, 0, 0), (true, false, 0, 0)]
    {
        facts.rights.network_administration = Some(administers);
        let case = Case {
            config: &config(),
            facts: &facts,
            agent: None,
            is_denied,
            wall: NOW,
            state_dir: refused,
            runtime_dir: refused,
        };
        let found = findings(&case);
        let count = |severity| found.iter().filter(|one| one.severity == severity).count();
        let counts = (count(Severity::Error), count(Severity::Warning));
        assert_eq!(counts, (errors, warnings), "denied: {is_denied}, rights: {administers}");
    }
}

/// What people see, and that names of others act on nobody's terminal.
#[test]
fn the_page_has_what_is_wrong_and_what_to_do() {
    let mut facts = healthy();
    facts.forwarding = Some(false);
    facts.programs = vec![program("dhcpcd", &["dhcpcd"])];
    let mut found = found(&facts);
    found.sort_by_key(|finding| finding.severity);
    assert_eq!(
        render(&found, Contact::Absent, false).lines().collect::<Vec<_>>(),
        [
            "1 error, 1 warning; no agent answers",
            "",
            "error forwarding-off",
            "    this machine does not forward IPv6: hosts on its downlinks reach nobody",
            "    -> write forward = true at the top of the configuration, or run sysctl -w",
            "       net.ipv6.conf.all.forwarding=1",
            "",
            "warning rival-requester wan0",
            "    dhcpcd (process 7) asks for prefixes or follows advertisements, maybe here",
            "    as well",
            "    -> leave wan0 out of what it does, or stop it",
        ]
    );
}
