//! The agent under burdens of its machine: thousands of refused routes, a state directory that is
//! read-only, no file descriptors. It answers, and it ends when it is told to.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a failure in a test is a panic"
)]

mod lab;

use std::io::Write as _;
use std::net::Ipv6Addr;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use renumberd::config::file;
use renumberd::core::Core;
use renumberd::core::input::{Input, Received};
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::{KernelAddress, Link, Origin, RouteTarget, System};
use renumberd::core::memory::Memory;
use renumberd::core::output::{Object, Output, Step};
use renumberd::daemon::clock;
use renumberd::daemon::store::Journal;
use renumberd::lab::site::agent::Home;
use renumberd::net::IfIndex;
use renumberd::platform::CAPABILITIES;
use renumberd::platform::linux::identity;
use renumberd::time::{Lifetime, Until};
use renumberd::wire::dhcpv6::{Message, MessageType, TransactionId};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, Iaid};

use lab::agent::{self, Agent};
use lab::net::{Namespace, Net};
use lab::process::{Mounts, Process, write};
use lab::{CEILING, eventually, millis, pause, secs};

/// The agent answers and ends in less.
const MOMENT: Duration = secs(1);
/// Where something else has the processors a debug build takes its time now and then for a status of
/// thousands of bindings: 0.2 s of its own.
const BUSY_MOMENT: Duration = secs(5);
const BINDINGS: u32 = 2000;
const CONFIG: &str = "[static.site]\nprefix = \"2001:db8::/32\"\n[downlink.lan0]\n\
    [pool.a]\ndownlink = \"lan0\"\nsize = 48\n";

/// A router with one link.
fn router(net: &Net) -> Namespace {
    let (router, host) = (net.router("dut"), net.host("host"));
    net.cable((&router, "lan0"), (&host, "eth0"));
    router.link_local("lan0", "fe80::1");
    router
}

/// Fills a state directory with bindings of many routers; the routes that they need, for
/// `ip -batch`, through somebody else.
fn remember_bindings(state: &Path) -> String {
    let lan = IfIndex(3);
    let (now, wall) = (clock::now(), clock::wall());
    let mut system = System { forwarding: true, ..System::default() };
    system.handle(KernelEvent::Link(Link {
        index: lan,
        name: "lan0".to_owned(),
        running: true,
        multicast: true,
        point_to_point: false,
        link_layer_address: None,
        mtu: 1500,
        accept_ra: None,
        carrier_ups: 0,
    }));
    system.handle(KernelEvent::Address(KernelAddress {
        interface: lan,
        address: "fe80::1".parse().unwrap(),
        prefix_len: 64,
        preferred_until: Until::Never,
        valid_until: Until::Never,
        tentative: false,
        duplicate: false,
        ours: false,
        origin: Origin::Other,
    }));
    let duid = Duid::from_uuid([7; 16]);
    let config = file::parse("test.toml", CONFIG).unwrap();
    let mut core = Core::new(config, Memory::default(), duid.clone(), CAPABILITIES, [7; 32], now);
    let (mut journal, ..) = Journal::open(state, now, wall, &identity::boot_id().unwrap());
    let mut routes = String::new();
    let mut inputs = vec![Input::System(system)];
    inputs.extend((0..BINDINGS).map(|number| request(lan, number, &duid)));
    for input in inputs {
        core.handle(now, input);
        while let Some(output) = core.poll_output() {
            match output {
                Output::Remember(record) => drop(journal.append(record, now, wall)),
                Output::Apply(steps) => {
                    for step in steps {
                        let Step::Set(Object::Route(route)) = step else { continue };
                        if let RouteTarget::Gateway(..) = route.target {
                            let (to, metric) = (route.destination, route.metric);
                            routes +=
                                &format!("route add {to} via fe80::99 dev lan0 metric {metric}\n");
                        }
                    }
                }
                _ => {}
            }
        }
    }
    assert_eq!(routes.lines().count(), BINDINGS as usize);
    routes
}

fn request(interface: IfIndex, number: u32, server: &Duid) -> Input {
    let [a, b, c, d] = number.to_be_bytes();
    let mut uuid = [0; 16];
    uuid[..4].copy_from_slice(&[a, b, c, d]);
    let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
    let ia = IaPd { iaid: Iaid(1), t1, t2, prefixes: Vec::new(), status: None };
    let options = vec![
        Dhcpv6Option::ClientId(Duid::from_uuid(uuid)),
        Dhcpv6Option::ServerId(server.clone()),
        Dhcpv6Option::IaPd(ia),
    ];
    let transaction_id = TransactionId([1, 2, 3]);
    let source = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 2, a, b, 0xff, 0xfe, c, d, 1];
    Input::Server(Received {
        interface,
        source: Ipv6Addr::from(source),
        port: 546,
        link_layer: None,
        destination: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2),
        hop_limit: 1,
        fragmented: false,
        octets: Message { kind: MessageType::Request, transaction_id, options }.encode(),
    })
}

/// Runs `ip -batch` with these lines.
fn batch(namespace: &Namespace, lines: &str) {
    let mut ip = namespace.command("ip");
    let mut child = ip.args(["-6", "-batch", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success());
}

/// Another program holds the place of every route. The same bindings are met at each start.
#[test]
fn thousands_of_refused_routes_keep_the_agent_from_nothing() {
    let net = Net::new();
    let router = router(&net);
    let home = agent::home(&net, &router);
    batch(&router, &remember_bindings(&home.state()));
    let mut agent = Agent::start(&net, &router, CONFIG, &[]);
    for _ in 0..2 {
        eventually("what is refused is named", CEILING, || {
            agent.explain().contains("refused:").then_some(())
        });
        let mut answers: Vec<Duration> = (0..10)
            .map(|_| {
                pause(millis(200));
                answer_time(&home)
            })
            .collect();
        answers.sort_unstable();
        assert!(answers[5] < MOMENT && answers[9] < BUSY_MOMENT, "answers took {answers:?}");
        let _ = agent.status();
        let start = Instant::now();
        agent.stop();
        assert!(start.elapsed() < MOMENT, "the end took {:?}", start.elapsed());
        let lines = agent.log_lines().iter().filter(|line| line.contains("refused to add")).count();
        assert!((1..200).contains(&lines), "{lines} lines of refusals");
        agent.restart();
    }
}

/// How long the agent takes for a status, without the programs that ask for it and read it.
fn answer_time(home: &Home) -> Duration {
    let start = Instant::now();
    let answer = home.ask("{\"command\":\"status\"}").unwrap();
    assert!(answer.len() > 1000, "{answer}");
    start.elapsed()
}

/// STO-09: as a full disk, with one warning, and in status as long as it lasts; also where not even the lock can be made.
#[test]
fn a_read_only_state_directory_costs_one_warning() {
    let net = Net::new();
    let router = router(&net);
    let directory = net.directory("agent");
    let (state, runtime) = (net.directory("agent/state"), net.directory("agent/runtime"));
    let file = directory.join("renumberd.toml");
    write(&file, CONFIG);
    let program = env!("CARGO_BIN_EXE_renumberd");
    let mounts = Mounts::default().read_only(state.to_str().unwrap());
    let mut command = mounts.command(&router, program);
    command.args(["run", "--log", "info", "--config"]).arg(&file);
    command.arg("--state-dir").arg(&state).arg("--runtime-dir").arg(&runtime);
    let mut agent = Process::start("renumberd", &mut command);
    let warning = agent.wait_for_log("from memory", CEILING);
    assert!(warning.contains(state.to_str().unwrap()), "{warning}");
    let mut status = router.command(program);
    status.args(["status", "--runtime-dir"]).arg(&runtime);
    eventually("it answers", CEILING, || status.output().unwrap().status.success().then_some(()));
    pause(secs(1));
    let shown = String::from_utf8(status.output().unwrap().stdout).unwrap();
    assert!(shown.contains("memory-not-written"), "{shown}");
    assert!(agent.stop().success());
    let warnings: Vec<String> =
        agent.lines().into_iter().filter(|line| line.contains("WARN")).collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
}

/// The kernel refuses three of four advertisements, for each of their ways: all leave in the end, and
/// one warning says so. (A full table of neighbors refuses packets like that as well, but Linux has
/// one table for all namespaces: to fill it would disturb the whole machine.)
#[test]
fn advertisements_that_the_system_refuses_leave_a_moment_later() {
    let net = Net::new();
    let (router, host) = (net.router("dut"), net.host("host"));
    net.cable((&router, "lan0"), (&host, "eth0"));
    router.link_local("lan0", "fe80::1");
    let config = "[static.site]\nprefix = \"2001:db8:1::/48\"\n[downlink.lan0]\n\
        subnet = \"0x1/64\"\n";
    let mut agent = Agent::start(&net, &router, config, &[]);
    let has = |prefix: &str| host.ip("-6 addr show dev eth0").contains(prefix).then_some(());
    eventually("an address", CEILING, || has("2001:db8:1:1:"));
    // The next change is free to be advertised at once.
    pause(secs(4));
    router.run("nft", &["add", "table", "ip6", "refuse"]);
    router.run("nft", &["add chain ip6 refuse out { type filter hook output priority 0; }"]);
    let rule = "add rule ip6 refuse out icmpv6 type nd-router-advert numgen inc mod 4 lt 3 \
                counter drop";
    router.run("nft", &[rule]);
    agent.set_prefix("site", "2001:db8:2::/48".parse().unwrap());
    let start = Instant::now();
    eventually("an address of the new prefix", CEILING, || has("2001:db8:2:1:"));
    assert!(start.elapsed() < secs(2), "{:?}", start.elapsed());
    agent.logs("packets cannot be sent");
    let counted = router.run("nft", &["list", "table", "ip6", "refuse"]);
    assert!(!counted.contains("packets 0 "), "{counted}");
}

/// Descriptors run out, and are there again.
#[test]
fn the_control_socket_survives_a_lack_of_descriptors() {
    let net = Net::new();
    let router = router(&net);
    let agent = Agent::start(&net, &router, CONFIG, &[]);
    let limit = format!("--nofile={0}:{0}", descriptors(agent.pid()) + 2);
    let limited =
        Command::new("prlimit").args(["--pid", &agent.pid().to_string(), &limit]).status();
    assert!(limited.unwrap().success());
    let socket = agent::home(&net, &router).socket();
    let silent: Vec<UnixStream> = (0..8).map(|_| UnixStream::connect(&socket).unwrap()).collect();
    pause(secs(1));
    assert!(agent.ask().is_none(), "nobody is heard now");
    drop(silent);
    eventually("it answers again", CEILING, || agent.ask());
}

fn descriptors(pid: u32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count()
}
