//! What an operator does: stops, reloads, hands the uplink's address to the kernel, and reads.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};

use ipnet::Ipv6Net;
use socket2::{Domain, Socket, Type};

use lab::agent::{self, Agent};
use lab::client::{self, Client};
use lab::flood::{Flood, Usage};
use lab::net::Namespace;
use lab::peer::{self, Place};
use lab::provider::{Era, Kind, Promise};
use lab::scripted::{Script, Scripted};
use lab::site::{self, PROVIDER, Site};
use lab::{CEILING, eventually, millis, pause, secs, sys};

fn accept_ra(router: &Namespace) -> String {
    let value = router.run("cat", &["/proc/sys/net/ipv6/conf/wan0/accept_ra"]);
    value.trim().to_owned()
}

/// Design §9, RA-TX-57: with `on-stop = "remove"` nothing stays, and hosts know.
#[test]
fn a_stop_that_removes_leaves_nothing_behind() {
    let site = Site::new();
    let era = Era::new(1);
    let before = site.dut.snapshot();
    site.dut.sysctl("wan0", "accept_ra", 1);
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    let lan = site.lan_wire();
    let config = format!("on-stop = \"remove\"\n{}", site::config());
    let mut agent = Agent::start(&site.net, &site.dut, &config, &[]);
    for _ in 0..2 {
        site.client().takes(era.delegated, CEILING);
        assert_eq!(accept_ra(&site.dut), "0");
        agent.stop();
        assert_eq!(site.dut.snapshot(), before, "addresses and routes");
        assert_eq!(accept_ra(&site.dut), "1");
        site.client().leaves(era.delegated, CEILING);
        let last = lan.frames().iter().rev().find_map(|frame| frame.advertisement().cloned());
        assert_eq!(last.unwrap().router_lifetime, 0, "the last advertisement");
        agent.restart();
    }
}

/// Law 1 of the design for settings: a second start in another world takes nothing for granted.
#[test]
fn a_kept_stop_leaves_lifetimes_running() {
    let site = Site::new();
    let era = Era::new(1);
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    let mut agent = site.agent(&[]);
    site.client().takes(era.delegated, CEILING);
    agent.stop();
    let shown = client::addresses(&site.dut, "lan0");
    let kept = shown.iter().find(|found| era.delegated.contains(&found.address)).unwrap();
    assert!(kept.preferred <= 1800 && kept.valid <= 3600, "{kept:?}");
    assert_eq!(accept_ra(&site.dut), "0", "the kernel must not begin what the agent goes on with");
}

/// SIGHUP: what is configured as before goes on undisturbed, what differs is brought there.
#[test]
fn a_reload_applies_differences() {
    let site = Site::new();
    let era = Era::new(1);
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    let wire = site.uplink_wire();
    let place = |place: &str| format!("{}subnet = \"{place}\"\n", site::config());
    let mut agent = Agent::start(&site.net, &site.dut, &place("0x1/64"), &[]);
    let subnet = |number: u16| {
        let mut segments = era.delegated.network().segments();
        segments[3] += number;
        Ipv6Net::new(segments.into(), 64).unwrap()
    };
    site.client().takes(subnet(1), CEILING);
    pause(millis(500));
    let since = sys::monotonic();
    agent.reload(&place("0x7/64"));
    site.client().takes(subnet(7), CEILING);
    site.client().leaves(subnet(1), CEILING);
    // Who has to hear of it comes first.
    eventually("the router's own address is gone", CEILING, || {
        (!site.router_has("lan0", subnet(1))).then_some(())
    });
    assert_eq!(wire.count(since, |frame| frame.asks_for_prefixes()), 0, "the lease goes on");
    // A configuration that is wrong changes nothing.
    agent.reload("[uplink.wan0]\nadress = \"::2\"\n");
    pause(secs(1));
    assert!(site.client().has(subnet(7)) && agent.running());
}

/// OPS-16: two flags make a site of routers, of which the ones further down need not be ours.
#[test]
fn dhcpcd_and_an_agent_behind_one_that_delegates_need_no_file() {
    let site = Site::new();
    let (from, to) = (Era::new(1), Era::new(2));
    let router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(from));
    let (second, third) = (site.net.router("second"), site.net.router("third"));
    let host = Client::new(&site.net, "inner", &[]);
    site.net.cable((&site.dut, "lan1"), (&second, "eth0"));
    site.net.cable((&second, "lan0"), (&host.namespace, client::INTERFACE));
    site.net.cable((&site.dut, "lan2"), (&third, "eth0"));
    site.net.cable((&third, "lan0"), (&site.net.host("idle"), "eth0"));
    for (namespace, names) in
        [(&site.dut, ["lan1", "lan2"]), (&second, ["eth0", "lan0"]), (&third, ["eth0", "lan0"])]
    {
        names.iter().for_each(|name| namespace.settled(name));
    }
    [&site.dut, &second].iter().for_each(|one| one.sysctl("all", "forwarding", 0));
    let start = |namespace, interfaces: &[&str]| {
        let arguments = [&["--forward", "--delegate"], interfaces].concat();
        Agent::start_without_file(&site.net, namespace, &arguments)
    };
    let outer = start(&site.dut, &["wan0", "lan0", "lan1", "lan2"]);
    let _inner = start(&second, &["eth0", "lan0"]);
    let place = Place { net: &site.net, namespace: &third, uplink: "eth0", inner: "lan0" };
    let _dhcpcd = peer::Kind::DhcpcdWithReconfigure.start(place);
    let follows = |era: Era| {
        site.client().takes(era.delegated, CEILING);
        host.takes(era.delegated, CEILING);
        eventually("dhcpcd has a part of the prefix", CEILING, || {
            place.has(era.delegated).then_some(())
        });
    };
    follows(from);
    for namespace in [&site.dut, &second] {
        let forwarding = namespace.run("cat", &["/proc/sys/net/ipv6/conf/all/forwarding"]);
        assert_eq!(forwarding.trim(), "1");
    }
    router.rewrite(|script| *script = Script::new(to));
    router.advertise();
    follows(to);
    host.leaves(from.delegated, CEILING);
    assert!(!outer.status().complains("refused"), "{}", outer.explain());
}

/// OPS-11: who asks without end costs little, and is in nobody's way.
#[test]
fn a_flood_of_scrapes_holds_up_neither_a_change_nor_another_scrape() {
    use std::os::unix::net::UnixStream;
    let site = Site::new();
    let (from, to) = (Era::new(1), Era::new(2));
    let router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(from));
    let socket = site.net.directory("metrics").join("metrics.sock");
    let config = format!("metrics = {{ listen = \"{}\" }}\n{}", socket.display(), site::config());
    let agent = Agent::start(&site.net, &site.dut, &config, &[]);
    site.client().takes(from.delegated, CEILING);
    let before = Usage::of(agent.pid());
    let begun = sys::monotonic();
    let scrape = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    let flood = Flood::start(&socket, [scrape.to_owned(), "GET".to_owned()]);
    router.rewrite(|script| *script = Script::new(to));
    router.advertise();
    site.client().takes(to.delegated, CEILING);
    let expected = format!("prefix=\"{}\"", to.delegated);
    eventually("a page with the new prefix", CEILING, || {
        let mut stream = UnixStream::connect(&socket).ok()?;
        stream.set_read_timeout(Some(secs(5))).ok()?;
        stream.write_all(scrape.as_bytes()).ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        text.contains(&expected).then_some(())
    });
    pause(secs(1));
    let (sent, took) = (flood.end(), sys::monotonic() - begun);
    let after = Usage::of(agent.pid());
    println!("{sent} scrapes in {took:?}: {:?} of it", after.processor - before.processor);
    assert!(sent > 1000, "{sent}");
    assert!(after.memory < before.memory + 8 * 1024, "{before:?} {after:?}");
    assert!(agent.ask().is_some(), "{}", agent.explain());
}

/// RA-RX-81: the kernel makes the uplink's address and route, the agent does everything else.
#[test]
fn the_kernel_can_make_the_uplink_s_address() {
    let site = Site::new();
    let (from, to) = (Era::new(1), Era::new(2));
    let router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(from));
    let config = site::config().replace("\"::2\"", "\"kernel\"");
    let _agent = Agent::start(&site.net, &site.dut, &config, &[]);
    site.client().takes(from.delegated, CEILING);
    eventually("the kernel has its address", CEILING, || {
        site.router_has("wan0", from.on_link).then_some(())
    });
    assert_eq!(accept_ra(&site.dut), "2");
    let routes = site.dut.ip("-6 route show default");
    assert!(routes.contains("proto ra") && !routes.contains("proto 82"), "{routes}");
    router.rewrite(|script| *script = Script::new(to));
    router.advertise();
    site.client().takes(to.delegated, CEILING);
    site.client().leaves(from.delegated, CEILING);
}

/// RA-RX-80: what the kernel made before the agent came is replaced.
#[test]
fn an_uplink_is_taken_over_from_the_kernel() {
    let site = Site::new();
    let era = Era::new(1);
    let router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    site.dut.sysctl("wan0", "accept_ra", 2);
    router.advertise();
    eventually("the kernel has an address", CEILING, || {
        site.router_has("wan0", era.on_link).then_some(())
    });
    let _agent = site.agent(&[]);
    eventually("one address, one default route", CEILING, || {
        let addresses = client::addresses(&site.dut, "wan0");
        let routes = site.dut.ip("-6 route show default");
        let ours = addresses.len() == 1 && addresses[0].address.segments()[7] == 2;
        (ours && routes.lines().count() == 1 && routes.contains("proto 82")).then_some(())
    });
}

/// What status tells people.
#[test]
fn status_explains_a_change() {
    let site = Site::new();
    let (from, to) = (Era::new(1), Era::new(2));
    let provider =
        site.provider(Kind::Kame, &[Promise::of(from.on_link)], &[Promise::of(from.delegated)]);
    let agent = site.agent(&[]);
    site.client().takes(from.delegated, CEILING);
    provider.flash(to);
    site.client().leaves(from.delegated, CEILING);
    // Copies by unicast come before the advertisement to all, which completes the change.
    let change = format!("delegated {} -> {}", from.delegated, to.delegated);
    let text = eventually("the change is complete", CEILING, || {
        Some(agent.explain()).filter(|text| text.contains(&change))
    });
    for said in [
        "uplink wan0\n",
        "  router     fe80::1, default router for ",
        "  delegation bound, renewed in ",
        "2001:db8:1:100::/56 (IAID 1), over",
        "2001:db8:2:100::/56 (IAID 1)\n             [==",
        "  lan0       default router for 45m",
        "withdrawn",
        "delegated 2001:db8:1:100::/56 -> 2001:db8:2:100::/56",
        "applied ",
        "advertised ",
        "next  ",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
}

/// A server of other interfaces may have the port as well, and one of the same would answer too.
#[test]
fn a_server_s_port_that_is_shared_is_warned_of() {
    let site = Site::new();
    let era = Era::new(1);
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    let _other = site.dut.inside(|| {
        let other = Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
        other.set_reuse_address(true).unwrap();
        other.bind(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 547, 0, 0).into()).unwrap();
        other
    });
    let config = format!("{}[pool.home]\ndownlink = \"lan0\"\n", site::config());
    let mut agent = Agent::start(&site.net, &site.dut, &config, &[]);
    agent.logs("UDP port 547 as well");
    assert!(!agent.explain().contains("server-port-taken"));
}

/// Another client on the machine is named, with the remedy, and waited for; a router that asks for
/// nothing leaves it the port.
#[test]
fn a_client_s_port_that_is_taken_is_named_until_it_is_free() {
    let site = Site::new();
    let era = Era::new(1);
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    let other = site.dut.inside(|| UdpSocket::bind("[::]:546").unwrap());
    let alone = "[downlink.lan0]\nsubnet = \"1/64\"\n[static.site]\nprefix = \"2001:db8:5::/48\"\n";
    let agent = Agent::start(&site.net, &site.dut, alone, &[]);
    assert!(!agent.explain().contains("port-taken"));
    drop(agent);
    let agent = Agent::start(&site.net, &site.dut, &site::config(), &[]);
    let named = eventually("the port is named", CEILING, || {
        Some(agent.explain()).filter(|text| text.contains("client-port-taken"))
    });
    assert!(named.contains("Address already in use") && named.contains("dhcpcd"), "{named}");
    drop(other);
    site.client().takes(era.delegated, CEILING);
    assert!(!agent.explain().contains("client-port-taken"));
}

/// Another server on the machine is named, with the remedy, and waited for.
#[test]
fn a_server_s_port_that_is_taken_is_named_until_it_is_free() {
    let site = Site::new();
    let era = Era::new(1);
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    let other = site.dut.inside(|| UdpSocket::bind("[::]:547").unwrap());
    let config = format!("{}[pool.home]\ndownlink = \"lan0\"\n", site::config());
    let agent = Agent::start(&site.net, &site.dut, &config, &[]);
    site.client().takes(era.delegated, CEILING);
    let named = agent.explain();
    let reason = "Address already in use";
    assert!(named.contains("server-port-taken") && named.contains("dhcp6s"), "{named}");
    assert!(named.contains(reason), "{named}");
    assert!(!named.contains("refused:"), "that the port is taken is said once: {named}");
    drop(other);
    eventually("the port is taken over", CEILING, || {
        (!agent.explain().contains("server-port-taken")).then_some(())
    });
    let sockets = site.dut.run("ss", &["-Hlun", "sport = :547"]);
    assert!(sockets.contains(":547"), "{sockets}");
    let groups = site.dut.run("ip", &["maddr", "show", "dev", "lan0"]);
    assert!(groups.contains("ff02::1:2"), "{groups}");
}

/// OPS-07: what can be known before the first start, and what the agent knows.
#[test]
fn the_doctor_names_what_is_wrong_without_an_agent_and_with_one() {
    let site = Site::new();
    site.dut.sysctl("all", "forwarding", 0);
    for rule in [
        "add table inet f",
        "add chain inet f in { type filter hook input priority 0; policy drop; }",
    ] {
        site.dut.run("nft", &[rule]);
    }
    let other = site.dut.inside(|| UdpSocket::bind("[::]:546").unwrap());
    let nobody = site.net.directory("nobody");
    let mut command = site.dut.command(env!("CARGO_BIN_EXE_renumberd"));
    command.args(["doctor", "--json", "--uplink", "wan0", "--downlink", "lan9"]);
    let output = command.arg("--runtime-dir").arg(&nobody).output().unwrap();
    let names = |report: &serde_json::Value| -> Vec<(String, String)> {
        let findings = report["findings"].as_array().unwrap().iter();
        let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
        findings.map(|one| (text(&one["name"]), text(&one["subject"]))).collect()
    };
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let found = names(&report);
    let has = |found: &[(String, String)], name: &str, subject: &str| {
        found.iter().any(|(a, b)| a == name && b == subject)
    };
    for (name, subject) in [
        ("forwarding-off", ""),
        ("client-port-taken", ""),
        ("interface-absent", "lan9"),
        ("filter-drops", "wan0"),
    ] {
        assert!(has(&found, name, subject), "{name} {subject}: {report}");
    }
    assert_eq!(output.status.code(), Some(1));
    drop(other);
    site.dut.run("nft", &["delete table inet f"]);
    site.dut.sysctl("all", "forwarding", 1);
    let era = Era::new(1);
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    let agent = site.agent(&[]);
    site.client().takes(era.delegated, CEILING);
    let fine = eventually("nothing is wrong", CEILING, || {
        let report = agent.examine(&["--uplink", "wan0", "--downlink", "lan0"]);
        let is_wrong = |one: &serde_json::Value| one["severity"] == "error";
        let is_fine = !report["findings"].as_array().unwrap().iter().any(is_wrong);
        is_fine.then_some(report)
    });
    assert_eq!(fine["agent"], true);
    site.delete_uplink();
    eventually("the agent's condition", CEILING, || {
        let report = agent.examine(&["--uplink", "wan0", "--downlink", "lan0"]);
        has(&names(&report), "interface-absent", "wan0").then_some(())
    });
}

/// OPS-06: an agent is known by what it does, not by the name of its file, also to a doctor that looks
/// for it in another directory.
#[test]
fn the_doctor_knows_an_agent_whose_program_has_another_name() {
    let site = Site::new();
    let program = site.net.directory("bin").join("prefixes");
    std::os::unix::fs::symlink(agent::program(), &program).unwrap();
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(Era::new(1)));
    let config = site::config();
    let _agent = Agent::launch_by(&site.net, &site.dut, &config, site.dut.command(&program));
    let takes = || site.dut.run("ss", &["-Hulnp", "sport = :546"]).contains("prefixes");
    eventually("it has the port", CEILING, || takes().then_some(()));
    let mut command = site.dut.command(agent::program());
    command.args(["doctor", "--uplink", "wan0", "--downlink", "lan0", "--runtime-dir"]);
    let output = command.arg(site.net.directory("nobody")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("no agent answers") && !text.contains("-port-taken"), "{text}");
}

/// OPS-10: a scrape of a running agent, by a socket.
#[test]
fn metrics_are_served_where_the_configuration_says() {
    use std::os::unix::net::UnixStream;
    let site = Site::new();
    let era = Era::new(1);
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    let socket = site.net.directory("metrics").join("metrics.sock");
    let config = format!("metrics = {{ listen = \"{}\" }}\n{}", socket.display(), site::config());
    let agent = Agent::start(&site.net, &site.dut, &config, &[]);
    site.client().takes(era.delegated, CEILING);
    let scrape = || {
        let mut stream = UnixStream::connect(&socket).ok()?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text)
    };
    let lease = format!(
        "renumberd_lease_expiry_timestamp_seconds{{uplink=\"wan0\",iaid=\"1\",prefix=\"{}\"}}",
        era.delegated
    );
    // The lease may be there before the router was heard.
    let lines = [
        "HTTP/1.1 200 OK",
        "renumberd_change_latency_seconds_count{stage=\"advertised\"}",
        "renumberd_messages_received_total{protocol=\"icmpv6\",message=\"router-advertisement\"}",
        "renumberd_messages_sent_total{protocol=\"icmpv6\",message=\"router-advertisement\"}",
        "renumberd_leases{uplink=\"wan0\"} 1.0",
        "renumberd_routers{uplink=\"wan0\"} 1.0",
        "renumberd_downlink_router_lifetime_seconds{downlink=\"lan0\"} 2700.0",
        lease.as_str(),
    ];
    for line in lines {
        eventually(line, CEILING, || scrape().filter(|text| text.contains(line)));
    }
    agent.reload(&site::config());
    eventually("they are off", CEILING, || (!socket.exists()).then_some(()));
}

/// OPS-14: a provider of other people's programs, looked at without an agent; nothing of the machine
/// changes, and what was requested is released.
#[test]
fn a_survey_says_what_the_provider_does_and_changes_nothing() {
    let site = Site::new();
    let era = Era::new(1);
    let _provider =
        site.provider(Kind::Kea, &[Promise::of(era.on_link)], &[Promise::of(era.delegated)]);
    site.dut.sysctl("wan0", "accept_ra", 0);
    let before = site.dut.snapshot();
    let survey = |arguments: &[&str]| -> serde_json::Value {
        let mut command = site.dut.command(env!("CARGO_BIN_EXE_renumberd"));
        command.args(["survey", "wan0", "--json", "--duid", site::DUID, "--iaid", "1"]);
        let output = command.args(arguments).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{error}"))
    };
    let found = eventually("router and server answer", CEILING, || {
        let found = survey(&["--request"]);
        let is_whole = found["routers"][0].is_object() && found["requested"]["released"] == true;
        is_whole.then_some(found)
    });
    assert_eq!(found["routers"][0]["address"], PROVIDER);
    assert_eq!(found["routers"][0]["prefixes"][0]["prefix"], era.on_link.to_string());
    assert_eq!(found["servers"][0]["prefixes"][0]["prefix"], era.delegated.to_string());
    assert_eq!(found["requested"]["prefixes"][0]["prefix"], era.delegated.to_string());
    assert_eq!(site.dut.snapshot(), before, "addresses and routes");
    // Another client keeps its port.
    let _other = site.dut.inside(|| UdpSocket::bind("[::]:546").unwrap());
    let beside = survey(&["--mask"]);
    assert!(beside["not_asked"].as_str().unwrap().contains("UDP port 546"), "{beside}");
    assert_eq!(beside["servers"], serde_json::json!([]));
    assert!(!beside.to_string().contains(&era.on_link.network().to_string()), "{beside}");
}
