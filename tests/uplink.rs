//! What uplinks do: several routers, routers that answer too eagerly, devices that vanish, lines
//! without link-layer addresses, links that carry foreign addresses.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use ipnet::Ipv6Net;
use nix::sys::signal::Signal;
use renumberd::lab::observe::frame::Frame;
use renumberd::wire::dhcpv6::MessageType;

use lab::agent::{self, Agent};
use lab::net::Namespace;
use lab::process::Process;
use lab::provider::{Customer, Era, Kind, Promise, Provider};
use lab::scripted::{Script, Scripted};
use lab::site::{self, CUSTOMER, DUID, INTERNET, PROVIDER, Site};
use lab::story::Scene;
use lab::tun::Tun;
use lab::{CEILING, eventually, millis, pause, secs, sys};

/// CHG-07, §15 row 9.
#[test]
fn two_routers_with_disjoint_prefixes_cause_no_renewal_after_the_first_round() {
    let site = Site::new();
    let (wire, lan) = (site.uplink_wire(), site.lan_wire());
    let (one, two) = (Era::new(1), Era::new(2));
    let first = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(one));
    let place = site.second_provider("fe80::9");
    // It has a prefix for the link and delegates nothing.
    let script = Script { deaf_to: every_question(), ..Script::new(two) };
    let second = Scripted::start((&place, "isp0"), "fe80::9", script);
    let agent = site.agent(&[]);
    site.client().takes(one.delegated, CEILING);
    first.advertise();
    second.advertise();
    for era in [one, two] {
        eventually("the uplink has an address of each router", CEILING, || {
            site.router_has("wan0", era.on_link).then_some(())
        });
    }
    // The second prefix is a change of its own, with its series of follow-ups (CHG-15).
    let mut quiet_since = sys::monotonic();
    for round in 0..230 {
        first.advertise();
        second.advertise();
        pause(millis(200));
        if round == 229 - 20 {
            quiet_since = sys::monotonic();
        }
    }
    assert_eq!(wire.count(quiet_since, |frame| frame.asks_for_prefixes()), 0);
    assert!(site.router_has("wan0", one.on_link) && site.router_has("wan0", two.on_link));
    assert!(lan.frames().iter().all(|frame| !frame.deprecates(one.delegated)));
    let asked = wire.count(secs(0), |frame| frame.is_dhcp(MessageType::Renew));
    // One for what is heard first behind the lease, where the server was faster than the router; one
    // refresh and four follow-ups for the second prefix.
    assert!(asked <= 6, "{asked}");
    assert!(agent.status().changes() <= 3, "alternation is no change");
}

fn every_question() -> Vec<MessageType> {
    use MessageType::{Rebind, Release, Renew, Request, Solicit};
    vec![Solicit, Request, Renew, Rebind, Release]
}

/// CHG-01, CHG-02: the loop that the article warns of.
#[test]
fn a_router_that_answers_each_solicitation_at_once_starts_no_loop() {
    let site = Site::new();
    let wire = site.uplink_wire();
    let era = Era::new(1);
    let router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    let agent = site.agent(&[]);
    site.client().takes(era.delegated, CEILING);
    // What is heard first behind the lease has it asked for once more (CHG-15).
    eventually("the router is heard", CEILING, || {
        site.router_has("wan0", era.on_link).then_some(())
    });
    pause(secs(1));
    let (since, changes) = (sys::monotonic(), agent.status().changes());
    for lifetime in 0..1000 {
        router.rewrite(|script| script.on_link[0].valid = 3600 - lifetime % 10);
        router.advertise();
        pause(millis(3));
    }
    pause(secs(1));
    assert_eq!(wire.count(since, |frame| frame.is_solicitation()), 0, "solicitations");
    assert_eq!(wire.count(since, |frame| frame.asks_for_prefixes()), 0, "requests for prefixes");
    assert_eq!(agent.status().changes(), changes);
}

/// CHG-02, CHG-14, SEC-06: a change costs few messages even with such a router.
#[test]
fn a_change_costs_one_verification_and_few_refreshes() {
    let site = Site::new();
    let wire = site.uplink_wire();
    let (from, to) = (Era::new(1), Era::new(2));
    let router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(from));
    let _agent = site.agent(&[]);
    site.client().takes(from.delegated, CEILING);
    // What is heard first behind the lease has it asked for once more (CHG-15).
    eventually("the router is heard", CEILING, || {
        site.router_has("wan0", from.on_link).then_some(())
    });
    pause(secs(1));
    let since = sys::monotonic();
    router.rewrite(|script| *script = Script::new(to));
    router.advertise();
    site.client().takes(to.delegated, CEILING);
    site.client().leaves(from.delegated, CEILING);
    pause(secs(5));
    let solicited = wire.count(since, |frame| frame.is_solicitation());
    assert!(solicited <= 3, "solicitations: {solicited}");
    let asked = wire.count(since, |frame| frame.asks_for_prefixes());
    assert!((1..=2).contains(&asked), "requests for prefixes: {asked}");
}

/// §15b: a server that lost its bindings and stays silent to whoever has one.
#[test]
fn a_server_silent_to_renewals_is_solicited_within_seconds() {
    let site = Site::new();
    let (from, to) = (Era::new(1), Era::new(2));
    let router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(from));
    let _agent = site.agent(&[]);
    site.client().takes(from.delegated, CEILING);
    eventually("the router was heard", CEILING, || {
        site.router_has("wan0", from.on_link).then_some(())
    });
    router.rewrite(|script| {
        *script = Script::new(to);
        script.deaf_to = vec![MessageType::Renew, MessageType::Rebind];
    });
    router.advertise();
    site.client().takes(to.delegated, CEILING);
    site.client().leaves(from.delegated, CEILING);
}

/// DWN-12 for uplinks: the device vanishes and returns with another index.
#[test]
fn an_uplink_deleted_and_created_again_is_served() {
    let delegated = Promise::of(Era::new(1).delegated);
    let scene = Scene::with(Site::new(), Kind::Kame, &[], delegated);
    let mut from = Era::new(1);
    for number in 2..4 {
        let to = Era::new(number);
        scene.site.delete_uplink();
        pause(millis(500));
        scene.provider.flash(to);
        scene.site.create_uplink();
        scene.follows(from, to);
        from = to;
    }
    scene.reaches_the_internet();
}

/// The line of the article: point-to-point, no link-layer addresses.
#[test]
fn a_tun_device_is_an_uplink() {
    let site = Site::without_uplink(&[&[]]);
    let mut line = Tun::new((&site.dut, "wan0"), (&site.isp, "isp0"));
    let (from, to) = (Era::new(1), Era::new(2));
    let customer = Customer { duid: DUID, link_local: "fe80::2" };
    let place = (&site.isp, "isp0");
    let (on_link, delegated) = ([Promise::of(from.on_link)], [Promise::of(from.delegated)]);
    let provider = Provider::start(&site.net, Kind::Kame, place, customer, &on_link, &delegated);
    let agent = site.agent(&[]);
    site.client().takes(from.delegated, CEILING);
    // ppp ends and dials again: the device is another one of the same name.
    line.disconnect();
    pause(millis(500));
    provider.flash(to);
    line.connect();
    agent.linkup("wan0");
    site.client().takes(to.delegated, CEILING);
    site.client().leaves(from.delegated, CEILING);
    assert!(site.router_has("wan0", to.on_link));
}

/// A line to a provider of its own, and what stands at its ends.
struct Dialled {
    site: Site,
    line: Tun,
    provider: Provider,
}

impl Dialled {
    fn new(era: Era) -> Self {
        let site = Site::without_uplink(&[&[]]);
        let line = Tun::new((&site.dut, "wan0"), (&site.isp, "isp0"));
        let customer = Customer { duid: DUID, link_local: "fe80::2" };
        let place = (&site.isp, "isp0");
        let (on_link, delegated) = ([Promise::of(era.on_link)], [Promise::of(era.delegated)]);
        let provider =
            Provider::start(&site.net, Kind::Kame, place, customer, &on_link, &delegated);
        Self { site, line, provider }
    }

    /// Whether the line has an address in `prefix`, deprecated or not.
    fn has(&self, prefix: Ipv6Net) -> bool {
        let shown = self.site.dut.ip("-6 -o addr show dev wan0");
        let mut words = shown.split_whitespace();
        words.any(|word| word.parse().is_ok_and(|found: Ipv6Net| prefix.contains(&found.addr())))
    }
}

/// UPL-11, UPL-23: the line that is dialled again is another device with another link-local address.
#[test]
fn linkup_on_a_tun_device_that_was_torn_down_waits_for_the_new_connection() {
    let (from, to) = (Era::new(1), Era::new(2));
    let mut dialled = Dialled::new(from);
    let agent = dialled.site.agent(&[]);
    assert_eq!(agent.linkup_and_wait("wan0", "20s"), (0, String::new()));
    assert!(dialled.site.router_has("wan0", from.on_link));
    dialled.line.disconnect();
    let (code, said) = agent.linkup_and_wait("wan0", "300ms");
    assert_eq!(code, 3);
    assert_eq!(
        said,
        "wan0 is not connected after 300ms: it is down or has no link-local address\n"
    );
    dialled.provider.flash(to);
    dialled.line.connect_as("fe80::22");
    assert_eq!(agent.linkup_and_wait("wan0", "20s"), (0, String::new()));
    assert!(dialled.site.router_has("wan0", to.on_link));
    assert!(dialled.has("fe80::22/128".parse().unwrap()) && !dialled.has(from.on_link));
    assert_eq!(agent.status().delegated("wan0"), [to.delegated]);
    dialled.site.client().takes(to.delegated, CEILING);
}

/// UPL-11: the device stays, and with it what the former connection had: the agent's own addresses
/// and, where the kernel makes them, the kernel's.
#[test]
fn linkup_on_a_tun_device_that_stays_removes_what_the_former_connection_had() {
    for mode in ["::2", "kernel"] {
        let (from, to) = (Era::new(1), Era::new(2));
        let dialled = Dialled::new(from);
        let config = site::config().replace("address = \"::2\"", &format!("address = \"{mode}\""));
        // Longer than this test takes: only what is of a former connection leaves before.
        let config = config.replace("grace = \"5s\"", "grace = \"10m\"");
        let agent = Agent::start(&dialled.site.net, &dialled.site.dut, &config, &[]);
        assert_eq!(agent.linkup_and_wait("wan0", "20s"), (0, String::new()), "{mode}");
        assert!(dialled.has(from.on_link), "{mode}");
        dialled.site.dut.ip("addr add fd00:1::101/120 dev wan0 nodad");
        dialled.provider.flash(to);
        assert_eq!(agent.linkup_and_wait("wan0", "20s"), (0, String::new()), "{mode}");
        assert!(dialled.site.router_has("wan0", to.on_link), "{mode}");
        eventually("the former address leaves", secs(2), || {
            (!dialled.has(from.on_link)).then_some(())
        });
        for kept in ["fe80::2/128", "fd00:1::101/128"] {
            assert!(dialled.has(kept.parse().unwrap()), "{mode}: {kept}");
        }
        let routes = dialled.site.dut.ip("-6 route show dev wan0");
        assert!(!routes.contains(&from.on_link.to_string()), "{mode}: {routes}");
        assert!(routes.contains(&to.on_link.to_string()), "{mode}: {routes}");
    }
}

/// UPL-23
#[test]
fn linkup_says_what_is_missing_when_the_time_is_over() {
    let site = Site::new();
    let agent = site.agent(&[]);
    let (code, said) = agent.linkup_and_wait("wan0", "1s");
    assert_eq!(
        (code, said.as_str()),
        (3, "wan0 is not connected after 1s: no router has been heard\n")
    );
    let router = Scripted::start((&site.isp, "isp0"), PROVIDER, {
        let mut script = Script::new(Era::new(1));
        script.deaf_to = every_question();
        script
    });
    router.advertise();
    let (code, said) = agent.linkup_and_wait("wan0", "6s");
    assert_eq!(code, 3);
    assert!(said.ends_with("no server has given or confirmed a prefix\n"), "{said}");
    let (code, said) = agent.linkup_and_wait("lan0", "1s");
    assert_eq!((code, said.as_str()), (1, "lan0 is no uplink\n"));
}

const FOREIGN: &str = "fd00::101";

/// The article's trap: a prefix is delegated, but the provider does not route it.
#[test]
fn a_delegated_prefix_that_is_not_routed_is_named_until_it_is() {
    let site = Site::new();
    let (wire, one, two) = (site.uplink_wire(), Era::new(1), Era::new(2));
    let routes = |prefix: Ipv6Net| {
        site.isp.ip(&format!("-6 route add {prefix} via {CUSTOMER} dev isp0"));
    };
    routes(one.on_link);
    let router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(one));
    let probe = format!("[uplink.wan0]\nprobe = \"{INTERNET}\"");
    let config = site::config().replace("[uplink.wan0]", &probe);
    let agent = Agent::start(&site.net, &site.dut, &config, &[]);
    let complains = || agent.status().complains("delegated-not-routed");
    eventually("a lease", CEILING, || (!agent.status().delegated("wan0").is_empty()).then_some(()));
    let since = sys::monotonic();
    eventually("the condition", CEILING, || complains().then_some(()));
    let remedy = |frame: &Frame| frame.at > since && frame.is_dhcp(MessageType::Solicit);
    wire.wait_for("a Solicit as the remedy", CEILING, remedy);
    routes(two.delegated);
    router.rewrite(|script| *script = Script::new(two));
    router.advertise();
    eventually("the condition is over", CEILING, || (!complains()).then_some(()));
    pause(secs(7));
    assert!(!complains(), "what is routed answers");
}

/// Law 3: what is not ours stays, whatever happens.
#[test]
fn a_foreign_address_and_its_route_stay_through_start_change_stop_and_kill() {
    let site = Site::new();
    site.dut.ip(&format!("addr add {FOREIGN}/120 dev lan0 nodad"));
    site.dut.ip("addr add fd00:1::101/120 dev wan0 nodad");
    stays(&site.dut, "before the start");
    let delegated = Promise::of(Era::new(1).delegated);
    let mut scene = Scene::with(site, Kind::Kame, &[], delegated);
    stays(&scene.site.dut, "after the start");
    let (one, two, three, four) = (Era::new(1), Era::new(2), Era::new(3), Era::new(4));
    scene.provider.flash(two);
    scene.follows(one, two);
    stays(&scene.site.dut, "after a change");
    scene.agent.stop();
    stays(&scene.site.dut, "after the stop");
    scene.agent.restart();
    scene.provider.flash(three);
    scene.follows(two, three);
    stays(&scene.site.dut, "after the second start");
    scene.agent.kill();
    stays(&scene.site.dut, "after the kill");
    scene.agent.restart();
    scene.provider.flash(four);
    scene.follows(three, four);
    // Past the grace time, when old addresses leave.
    pause(secs(8));
    stays(&scene.site.dut, "at the end");
}

fn stays(router: &Namespace, when: &str) {
    for (address, interface, route) in
        [(FOREIGN, "lan0", "fd00::100/120"), ("fd00:1::101", "wan0", "fd00:1::100/120")]
    {
        let shown = router.ip(&format!("-6 addr show dev {interface}"));
        assert!(shown.contains(&format!("{address}/120")), "{when}: {shown}");
        let routes = router.ip(&format!("-6 route show {route} dev {interface}"));
        assert!(routes.contains("proto kernel"), "{when}: the route of {address}: {routes}");
    }
}

/// Two agents on the same state would undo each other's work.
#[test]
fn a_second_agent_is_refused() {
    let mut scene = Scene::begin(Kind::Kame);
    let output = scene.agent.second();
    assert_eq!(output.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(complaint.contains("in use by another renumberd"), "{complaint}");
    assert!(scene.agent.ask().is_some(), "the first goes on");
}

/// HST-10: nor with directories of its own, on one interface of the first; until that is killed. As
/// long as it waits for that, a signal that asks it to read its configuration does not end it.
#[test]
fn a_second_agent_with_other_directories_is_refused() {
    let mut scene = Scene::begin(Kind::Kame);
    let directory = scene.site.net.directory("other");
    let mut command = scene.site.dut.command(agent::program());
    command.args(["run", "--uplink", "wan0", "--downlink", "lan9", "--state-dir"]);
    command.arg(directory.join("state")).arg("--runtime-dir").arg(directory.join("run"));
    let refused = command.output().unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let complaint = String::from_utf8_lossy(&refused.stderr).into_owned();
    let holder = format!("wan0 is in use by another renumberd (process {})", scene.agent.pid());
    assert!(complaint.contains(&holder), "{complaint}");
    let mut second = Process::start("renumberd", &mut command);
    eventually("it takes SIGHUP", CEILING, || takes_hangup(second.pid()).then_some(()));
    second.signal(Signal::SIGHUP);
    scene.agent.kill();
    second.wait_for_log("running", CEILING);
}

/// Whether a process has a handler for SIGHUP.
fn takes_hangup(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = caught.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
    caught.is_some_and(|set| set & 1 == 1)
}

/// The agent's own addresses stay over a stop, with their lifetimes, and are taken over at the
/// next start without a change. Hosts may lose their default route meanwhile (RA-TX-57).
#[test]
fn a_restart_is_no_outage() {
    let mut scene = Scene::begin(Kind::Kame);
    let era = Era::new(1);
    scene.agent.stop();
    pause(secs(1));
    assert!(scene.site.router_has("lan0", era.delegated), "the address stays after a stop");
    assert!(scene.site.client().has(era.delegated), "the host keeps its address");
    scene.agent.restart();
    pause(secs(3));
    assert!(scene.site.client().has(era.delegated), "the host keeps its address");
    assert!(scene.lan.frames().iter().all(|frame| !frame.deprecates(era.delegated)));
    scene.reaches_the_internet();
}

/// RFC 9096 §3.5, RA-TX-53: the change happened while the agent was dead.
#[test]
fn a_change_while_the_agent_was_dead_is_made_good() {
    let mut scene = Scene::begin(Kind::Kame);
    let (from, to) = (Era::new(1), Era::new(2));
    scene.agent.kill();
    scene.provider.flash(to);
    scene.agent.restart();
    scene.follows(from, to);
    scene.lan.wait_for("the old prefix withdrawn", CEILING, |f| f.deprecates(from.delegated));
}

/// §9 of the design: `renumberd run --uplink wan0 --downlink lan0`.
#[test]
fn the_simple_case_needs_no_file() {
    let site = Site::new();
    let era = Era::new(1);
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    let _agent = Agent::start_without_file(
        &site.net,
        &site.dut,
        &["--uplink", "wan0", "--downlink", "lan0"],
    );
    site.client().takes(era.delegated, CEILING);
}
