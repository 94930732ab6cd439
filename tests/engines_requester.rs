//! Other programs that request the prefixes of an uplink, led by the agent (BKE-01, BKE-02, BKE-04,
//! BKE-07).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use lab::agent::Agent;
use lab::company::{Router, signal_all};
use lab::flood::{Flood, Usage};
use lab::networkd::Networkd;
use lab::provider::{Era, Kind, Promise};
use lab::requesting::place;
use lab::site::{DUID, Site};
use lab::{CEILING, eventually, millis, pause, secs, sys};
use nix::sys::signal::Signal;
use renumberd::wire::dhcpv6::MessageType;

fn config(requester: &str, more: &str) -> String {
    format!(
        "duid = \"{DUID}\"\ngrace = \"5s\"\n[uplink.wan0]\nrequester = \"{requester}\"\n\
         [downlink.lan0]\naddress = \"::1\"\n{more}"
    )
}

fn promises(era: Era) -> ([Promise; 1], [Promise; 1]) {
    ([Promise::of(era.on_link)], [Promise::of(era.delegated)])
}

/// BKE-01: the change is carried down at once, and its own renewal starts no other.
#[test]
fn dhcpcd_is_made_to_renew_and_causes_no_loop() {
    let site = Site::new();
    let (one, two) = (Era::new(1), Era::new(2));
    let (on_link, delegated) = promises(one);
    let provider = site.provider(Kind::Kea, &on_link, &delegated);
    let wire = site.uplink_wire();
    let router = Router::new(&site);
    let agent = router.agent(&config("dhcpcd", ""));
    let _dhcpcd = router.dhcpcd(&[1]);
    site.client().takes(one.delegated, CEILING);
    eventually("status names program and version", secs(5), || {
        let engine = agent.status().engine("requester", "wan0");
        (engine["program"] == "dhcpcd" && engine["version"] == "9.4.1").then_some(())
    });
    pause(secs(4));
    let since = sys::monotonic();
    provider.flash(two);
    // The signal that comes while dhcpcd handles the advertisement is lost; the core would order the
    // renewal again after ten seconds.
    site.client().takes(two.delegated, secs(5));
    site.client().leaves(one.delegated, CEILING);
    // Follow-ups, where the first renewal was too early, end within 45 s; each makes dhcpcd solicit.
    pause(secs(20));
    let solicited = wire.count(since, |frame| frame.is_solicitation());
    let renewed = wire.count(since, |frame| frame.is_dhcp(MessageType::Renew));
    assert!(solicited <= 6 && renewed <= 6, "{solicited} solicitations, {renewed} renewals");
    eventually("the old prefix has left the router", secs(10), || {
        (!site.router_has("lan0", one.delegated)).then_some(())
    });
}

/// BKE-17: the hook that dhcpcd ran first is the last to reach the agent.
#[test]
fn an_earlier_lease_of_dhcpcd_does_not_come_back() {
    let site = Site::new();
    let (one, two) = (Era::new(1), Era::new(2));
    let (on_link, delegated) = promises(one);
    let provider = site.provider(Kind::Kea, &on_link, &delegated);
    let router = Router::new(&site);
    let agent = router.agent(&config("dhcpcd", ""));
    let mut dhcpcd = router.dhcpcd_with_a_late_hook(&[1], 12);
    dhcpcd.wait_for_log("delegated prefix", CEILING);
    pause(secs(1));
    provider.flash(two);
    site.client().takes(two.delegated, secs(9));
    assert!(!router.feeds().contains("late"), "{}", router.feeds());
    eventually("the first hook has handed over", CEILING, || {
        router.feeds().contains("late").then_some(())
    });
    pause(millis(500));
    assert_eq!(agent.status().delegated("wan0"), [two.delegated]);
    assert!(!site.client().has(one.delegated), "{:?}", site.client().addresses());
}

/// BKE-02: each IA_PD keeps its number although dhcpcd lists both under the last.
#[test]
fn dhcpcd_with_two_ia_pds_feeds_both() {
    let site = Site::new();
    let (one, two) = (Era::new(1), Era::new(2));
    let two_of = |era: Era| {
        let high = era.delegated.subnets(57).unwrap().map(Promise::of);
        high.collect::<Vec<_>>()
    };
    let provider = site.provider(Kind::Kea, &[Promise::of(one.on_link)], &two_of(one));
    let router = Router::new(&site);
    let text = config("dhcpcd", "").replace(
        "requester = \"dhcpcd\"\n",
        "requester = \"dhcpcd\"\ndelegate = [{ iaid = 1 }, { iaid = 2 }]\n",
    );
    let agent = router.agent(&text);
    let _dhcpcd = router.dhcpcd(&[1, 2]);
    let leases = |era: Era| {
        eventually("both prefixes are held", CEILING, || {
            let held = agent.status().leases("wan0");
            let live: Vec<_> =
                held.into_iter().filter(|(_, prefix)| era.delegated.contains(prefix)).collect();
            (live.len() == 2).then_some(live)
        })
    };
    let before = leases(one);
    assert_eq!(before.iter().map(|(iaid, _)| *iaid).collect::<Vec<_>>(), [1, 2]);
    provider.delegate(&two_of(two));
    provider.advertise(&[Promise::of(two.on_link)]);
    let after = leases(two);
    assert_eq!(after.iter().map(|(iaid, _)| *iaid).collect::<Vec<_>>(), [1, 2]);
    eventually("nothing of the old prefix is held", secs(5), || {
        let held = agent.status().leases("wan0");
        held.iter().all(|(_, prefix)| two.delegated.contains(prefix)).then_some(())
    });
}

/// BKE-07: one that is killed during a change is named, and the change is made good when it is back;
/// so is that of one that hangs.
#[test]
fn dhcpcd_that_is_killed_or_hangs_is_named_and_asked_again() {
    let site = Site::new();
    let (one, two, three) = (Era::new(1), Era::new(2), Era::new(3));
    let (on_link, delegated) = promises(one);
    let provider = site.provider(Kind::Kea, &on_link, &delegated);
    let router = Router::new(&site);
    let mut agent = router.agent(&config("dhcpcd", ""));
    let mut dhcpcd = router.dhcpcd(&[1]);
    site.client().takes(one.delegated, CEILING);
    pause(secs(3));
    signal_all(&dhcpcd, Signal::SIGSTOP);
    provider.flash(two);
    let silent =
        eventually("that it hangs is named", CEILING, || agent.status().condition("engine-silent"));
    assert!(silent.contains("dhcpcd") && silent.contains("kill -CONT"), "{silent}");
    signal_all(&dhcpcd, Signal::SIGCONT);
    site.client().takes(two.delegated, CEILING);
    eventually("it is not named any more", CEILING, || {
        agent.status().condition("engine-silent").is_none().then_some(())
    });
    pause(secs(3));
    signal_all(&dhcpcd, Signal::SIGKILL);
    provider.flash(three);
    let ended = eventually("that it does not run is named", CEILING, || {
        agent.status().condition("engine-ended")
    });
    assert!(ended.contains("start it"), "{ended}");
    assert!(agent.running() && site.router_has("lan0", two.delegated));
    dhcpcd.running();
    dhcpcd = router.dhcpcd(&[1]);
    site.client().takes(three.delegated, CEILING);
    drop(dhcpcd);
}

/// What was given stays when dhcpcd is upgraded, and when the agent is killed meanwhile.
#[test]
fn dhcpcd_and_the_agent_can_be_started_again_without_an_outage() {
    let site = Site::new();
    let one = Era::new(1);
    let (on_link, delegated) = promises(one);
    let _provider = site.provider(Kind::Kea, &on_link, &delegated);
    let router = Router::new(&site);
    let mut agent = router.agent(&config("dhcpcd", ""));
    let mut dhcpcd = router.dhcpcd(&[1]);
    site.client().takes(one.delegated, CEILING);
    let wire = site.lan_wire();
    dhcpcd.stop();
    agent.kill();
    pause(secs(1));
    agent.restart();
    drop(dhcpcd);
    let _dhcpcd = router.dhcpcd(&[1]);
    eventually("it runs again", CEILING, || {
        (agent.status().engine("requester", "wan0")["state"] == "running").then_some(())
    });
    pause(secs(2));
    assert!(site.router_has("lan0", one.delegated));
    assert!(wire.frames().iter().all(|frame| !frame.deprecates(one.delegated)));
}

/// BKE-20: the traps are those of the version that runs, not of the file that is to run next.
#[test]
fn dhcpcd_is_known_by_the_version_that_runs() {
    let site = Site::new();
    let (on_link, delegated) = promises(Era::new(1));
    let _provider = site.provider(Kind::Kea, &on_link, &delegated);
    let router = Router::new(&site);
    let program = router.dhcpcd_of_version("9.4.1");
    let more = format!("[engine.dhcpcd]\nprogram = \"{}\"\n", program.display());
    let agent = router.agent(&config("dhcpcd", &more));
    let mut dhcpcd = router.dhcpcd(&[1]);
    let is_known_as = |version: &str, has_trap: bool| {
        agent.renew();
        eventually(&format!("status says {version}"), CEILING, || {
            let status = agent.status();
            let shown = &status.engine("requester", "wan0")["version"];
            let is_trap = status.condition("engine-trap").is_some();
            (*shown == version && is_trap == has_trap).then_some(())
        });
    };
    is_known_as("9.4.1", false);
    site.client().takes(Era::new(1).delegated, CEILING);
    for (version, has_trap) in [("10.5.0", true), ("10.5.2", false)] {
        let before = agent.status().engine("requester", "wan0")["version"].clone();
        router.dhcpcd_of_version(version);
        agent.renew();
        pause(secs(1));
        assert_eq!(agent.status().engine("requester", "wan0")["version"], before);
        dhcpcd.end();
        drop(dhcpcd);
        dhcpcd = router.dhcpcd(&[1]);
        is_known_as(version, has_trap);
    }
}

/// BKE-18: a hook gone mad.
#[test]
fn a_flood_of_feeds_costs_little_and_is_named() {
    let site = Site::new();
    let router = Router::new(&site);
    let (command, _) = router.recording("renew");
    let more = format!("[engine.modem]\nkind = \"command\"\nrenew = [\"{}\"]\n", command.display());
    let agent = router.agent(&config("modem", &more));
    let feed = |era: Era| {
        format!(
            "{{\"event\": \"bound\", \"interface\": \"wan0\", \"prefixes\": [{{\"prefix\": \"{}\", \
             \"preferred\": 600, \"valid\": 1200}}]}}",
            era.delegated
        )
    };
    let feeds =
        [1, 2].map(|era| format!("{{\"command\": \"feed\", \"feed\": {}}}\n", feed(Era::new(era))));
    let flood = Flood::start(&renumberd::daemon::control::path(&agent.runtime()), feeds);
    pause(secs(1));
    let before = Usage::of(agent.pid());
    let since = sys::monotonic();
    while sys::monotonic() - since < secs(5) {
        let asked = sys::monotonic();
        agent.status();
        let took = sys::monotonic() - asked;
        assert!(took < secs(1), "status took {took:?}");
        pause(millis(100));
    }
    let (took, after) = (sys::monotonic() - since, Usage::of(agent.pid()));
    let sent = flood.end();
    let busy = after.processor.saturating_sub(before.processor);
    println!(
        "{sent} feeds: busy for {busy:?} of {took:?}, {} KiB more",
        after.memory - before.memory
    );
    assert!(busy < took / 2, "busy for {busy:?} of {took:?}");
    assert!(after.memory < before.memory + 8192, "{} KiB, then {}", before.memory, after.memory);
    let named = agent.status().condition("engine-refused");
    assert!(named.is_some_and(|text| text.contains("renumberd feed")));
    // What is said last counts, and the flood is over.
    router.feed_json(&feed(Era::new(3))).unwrap();
    site.client().takes(Era::new(3).delegated, CEILING);
    eventually("the flood is over", CEILING, || {
        agent.status().condition("engine-refused").is_none().then_some(())
    });
}

/// A dhcp6c that says nothing of prefixes: what it puts on an inner interface shows them.
#[test]
fn dhcp6c_is_restarted_for_a_change() {
    let site = Site::new();
    let (one, two) = (Era::new(1), Era::new(2));
    let (on_link, delegated) = promises(one);
    let provider = site.provider(Kind::Kea, &on_link, &delegated);
    let router = Router::new(&site);
    let more = "[engine.dhcp6c]\non-change = \"restart\"\n";
    let agent = router.agent(&config("dhcp6c", more));
    let _dhcp6c = router.dhcp6c();
    site.client().takes(one.delegated, CEILING);
    pause(secs(3));
    provider.flash(two);
    site.client().takes(two.delegated, CEILING);
    site.client().leaves(one.delegated, CEILING);
    eventually("dhcp6c runs again", CEILING, || {
        (agent.status().engine("requester", "wan0")["state"] == "running").then_some(())
    });
}

/// networkd runs no hook for DHCPv6: the script of `contrib` watches its routes.
#[test]
fn networkd_is_made_to_begin_anew_and_its_prefix_is_followed() {
    let site = Site::new();
    let (one, two, three) = (Era::new(1), Era::new(2), Era::new(3));
    let (on_link, delegated) = promises(one);
    let provider = site.provider(Kind::Kea, &on_link, &delegated);
    let wire = site.uplink_wire();
    let networkd = Networkd::start_led(place(&site));
    let text = config("networkd", "");
    let agent = Agent::start_among(&site.net, &site.dut, &text, networkd.mounts());
    let _hook = networkd.feeds(&site.net);
    site.client().takes(one.delegated, CEILING);
    eventually("status names program and version", secs(5), || {
        let engine = agent.status().engine("requester", "wan0");
        let version = engine["version"].as_str().unwrap_or_default();
        (engine["program"] == "networkd" && version.starts_with("25")).then_some(())
    });
    pause(secs(4));
    let since = sys::monotonic();
    provider.flash(two);
    site.client().takes(two.delegated, CEILING);
    println!("followed after {:?}", sys::monotonic() - since);
    site.client().leaves(one.delegated, CEILING);
    eventually("nothing of the old prefix is left", CEILING, || {
        let shown = ["-6 -o addr show", "-6 route show table all"].map(|what| site.dut.ip(what));
        (!shown.concat().contains(&one.delegated.network().to_string()[..11])).then_some(())
    });
    pause(secs(8));
    let begun = wire.count(since, |frame| frame.is_dhcp(MessageType::Solicit));
    assert!(begun <= 8, "{begun} Solicit messages for one change");
    networkd.signal(Signal::SIGSTOP);
    provider.flash(three);
    let silent =
        eventually("that it hangs is named", CEILING, || agent.status().condition("engine-silent"));
    assert!(silent.contains("networkctl reconfigure"), "{silent}");
    networkd.signal(Signal::SIGCONT);
    site.client().takes(three.delegated, secs(60));
}

/// Any command, and a feed as JSON; nonsense is refused with a reason and changes nothing.
#[test]
fn any_command_renews_and_json_feeds() {
    let site = Site::new();
    let (one, two) = (Era::new(1), Era::new(2));
    let provider = site.provider(Kind::Kea, &[Promise::of(one.on_link)], &[]);
    let router = Router::new(&site);
    let (command, record) = router.recording("renew");
    let more = format!(
        "[engine.modem]\nkind = \"command\"\nrenew = [\"{}\", \"wan0\"]\n",
        command.display()
    );
    let agent = router.agent(&config("modem", &more));
    let ran = || std::fs::read_to_string(&record).unwrap_or_default().lines().count();
    eventually("the command runs at the start", CEILING, || (ran() >= 1).then_some(()));
    let feed = |era: Era| {
        format!(
            "{{\"event\": \"bound\", \"interface\": \"wan0\", \"prefixes\": [{{\"prefix\": \"{}\", \
             \"preferred\": 600, \"valid\": 1200}}]}}",
            era.delegated
        )
    };
    router.feed_json(&feed(one)).unwrap();
    site.client().takes(one.delegated, CEILING);
    pause(secs(3));
    let before = ran();
    provider.advertise(&[Promise::of(two.on_link)]);
    eventually("and for a change", CEILING, || (ran() > before).then_some(()));
    router.feed_json(&feed(two)).unwrap();
    site.client().takes(two.delegated, CEILING);
    site.client().leaves(one.delegated, CEILING);
    let wrong = [
        ("nonsense", "not a feed"),
        ("{}", "not a feed"),
        (&feed(two).replace("wan0", "lan0"), "lan0 is no uplink"),
        (&feed(two).replace("/56", "/96"), "no prefix to delegate"),
        (&feed(two).replace("\"valid\"", "\"vallid\""), "vallid"),
        (&format!("{}{}", feed(two), "[".repeat(100_000)), "not a feed"),
    ];
    for (json, problem) in wrong {
        let complaint = router.feed_json(json).unwrap_err();
        assert!(complaint.contains(problem), "{problem}: {complaint}");
    }
    assert!(site.router_has("lan0", two.delegated));
    drop(agent);
    pause(millis(10));
}

/// A program that is not there is named with the remedy, and the rest of the router goes on.
#[test]
fn a_requester_that_is_missing_is_named() {
    let site = Site::new();
    let router = Router::new(&site);
    let more = "[static.lab]\nprefix = \"fd00:1:2::/48\"\n[engine.dhcpcd]\nprogram = \"/nowhere/dhcpcd\"\n";
    let agent = router.agent(&config("dhcpcd", more));
    site.client().takes("fd00:1:2::/48".parse().unwrap(), CEILING);
    let missing = eventually("it is named", CEILING, || agent.status().condition("engine-missing"));
    assert!(missing.contains("install it"), "{missing}");
    assert_eq!(agent.status().engine("requester", "wan0")["state"], "failed");
}
