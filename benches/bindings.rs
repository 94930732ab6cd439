//! What a change costs a router that delegates to many: a prefix of the configuration is replaced,
//! and the places of all bindings move with it. Needs root, as the tests of the laboratory do;
//! `strace` for the count of system calls.
//!
//! An agent is started with a memory of N bindings of a pool, each of one /56, held by a router
//! that is not there. Only the first is: it renews as soon as it hears an advertisement with the
//! new prefix. For each N, of several changes the median of
//!
//! - `advertised`: from the command to our advertisement on the wire;
//! - `first answered`: to the answer to that Renew;
//! - `applied`: to the kernel's event of the last new route;
//! - `kernel alone`: as long as nothing but setting so many routes takes, to the same event;
//! - `processor`: what the agent's threads have used of a processor until then, in all and for
//!   each binding beyond what none cost;
//!
//! and the system calls of one more change, counted by `strace`. `memory` is what resides, for each
//! binding beyond none, as restored and after the changes.
//!
//! `cargo bench --bench bindings [-- N…]`; RENUMBERD names another binary to measure.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::wildcard_enum_match_arm,
    reason = "a laboratory: a failure is a panic, the result goes to standard output"
)]

#[path = "../tests/lab/mod.rs"]
mod lab;

use std::collections::BTreeMap;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ipnet::Ipv6Net;
use nix::sys::signal::Signal;
use nix::sys::socket::{setsockopt, sockopt};
use renumberd::core::kernel::system::{KernelRoute, RouteTarget};
use renumberd::core::output::{Object, Step};
use renumberd::daemon::clock;
use renumberd::lab::observe::frame::Frame;
use renumberd::lab::site::agent::Home;
use renumberd::net::IfIndex;
use renumberd::platform::Kernel;
use renumberd::time::{Lifetime, Until};
use renumberd::wire::dhcpv6::{Message, MessageType, TransactionId};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, IaPrefix, Iaid};
use serde_json::json;

use lab::agent::{self, Agent};
use lab::net::{Namespace, Net};
use lab::process::Process;
use lab::wire::Wire;
use lab::{eventually, pause, secs, sys};

/// How many bindings, where nothing is said.
const COUNTS: [usize; 4] = [0, 1000, 5000, 20_000];
const CHANGES: usize = 5;
/// Past MIN_DELAY_BETWEEN_RAS, and past the grace time: what was before has been removed.
const APART: Duration = Duration::from_millis(4500);
const PATIENCE: Duration = Duration::from_secs(120);
/// How often the kernel's events are looked at. A reader that slept until the next would be woken
/// with each route, by whoever sets it: a fifth of the time was that.
const LOOK_EVERY: Duration = Duration::from_micros(50);
/// Where the router that is there asks from.
const CHILD: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, 0);
/// The agent's DUID.
const SERVER: [u8; 16] = [7; 16];
const SITES: [&str; 2] = ["2001:db8:1000::/36", "2001:db8:2000::/36"];
const ROUTE_GROUP: u32 = 11; // linux/rtnetlink.h

fn main() {
    let named: Vec<usize> = std::env::args().skip(1).filter_map(|word| word.parse().ok()).collect();
    let counts = if named.is_empty() { COUNTS.to_vec() } else { named };
    println!(
        "{:>8} {:>10} {:>8} {:>8} {:>6} {:>10} {:>9}  memory, KB a binding",
        "bindings", "advertised", "first", "applied", "kernel", "processor", "µs each"
    );
    println!(
        "{:>8} {:>10} {:>8} {:>8} {:>6} {:>10} {:>9}  restored  changed",
        "", "ms", "answered", "ms", "alone", "ms", ""
    );
    let mut none = None;
    for count in counts {
        let figures = measure(count);
        let none = none.get_or_insert_with(|| figures.clone());
        figures.print(none);
    }
}

/// What was measured with one number of bindings.
#[derive(Clone)]
struct Figures {
    count: usize,
    changes: Vec<Change>,
    /// What setting the routes takes without an agent, in milliseconds.
    kernel: f64,
    /// Resident memory as restored and after the changes, in KB.
    resident: [u64; 2],
    calls: BTreeMap<String, u64>,
}

/// What one change took, in milliseconds.
#[derive(Clone, Copy)]
struct Change {
    advertised: f64,
    answered: f64,
    applied: f64,
    processor: f64,
}

impl Figures {
    fn median(&self, of: fn(&Change) -> f64) -> f64 {
        let mut all: Vec<f64> = self.changes.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all[all.len() / 2]
    }

    fn print(&self, none: &Self) {
        let more = (self.count - none.count).max(1) as f64;
        let processor = self.median(|change| change.processor);
        let each = (processor - none.median(|change| change.processor)) * 1e3 / more;
        let resident =
            [0, 1].map(|at| self.resident[at].saturating_sub(none.resident[at]) as f64 / more);
        println!(
            "{:>8} {:>10.2} {:>8.2} {:>8.1} {:>6.1} {processor:>10.1} {each:>9.2}  {:>8.2} {:>8.2}  of {:?} KB",
            self.count,
            self.median(|change| change.advertised),
            self.median(|change| change.answered),
            self.median(|change| change.applied),
            self.kernel,
            resident[0],
            resident[1],
            self.resident,
        );
        let mut calls: Vec<(&String, &u64)> = self.calls.iter().collect();
        calls.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let calls: Vec<String> =
            calls.iter().take(8).map(|(name, count)| format!("{name} {count}")).collect();
        println!("{:>8} system calls: {}", "", calls.join(", "));
    }
}

fn measure(count: usize) -> Figures {
    let net = Net::new();
    let (router, below) = (net.router("dut"), net.host("below"));
    net.cable((&router, "lan0"), (&below, "eth0"));
    below.link_local("eth0", &CHILD.to_string());
    router.settled("lan0");
    let home = agent::home(&net, &router);
    remember(&home.state(), count);
    let routes = Routes::follow(&router);
    let config = format!(
        "grace = \"2s\"\n[static.site]\nprefix = \"{}\"\n[downlink.lan0]\nsubnet = \"0x0/64\"\n\
         [pool.routers]\ndownlink = \"lan0\"\nprefix = \"0x1/40\"\nlength = 56\n",
        SITES[0]
    );
    let agent = Agent::start(&net, &router, &config, &["--log", "warn"]);
    routes.wait_for(SITES[0], count);
    pause(APART);
    let restored = resident(agent.pid());
    let child = (count > 0).then(|| Child::start(&below));
    let scene = Scene { agent, home, routes, below, child };
    let changes = (0..CHANGES).map(|at| scene.change(SITES[(at + 1) % 2], count)).collect();
    let resident = [restored, resident(scene.agent.pid())];
    let calls = scene.count_calls(SITES[(CHANGES + 1) % 2], count);
    Figures { count, changes, kernel: kernel_alone(count), resident, calls }
}

/// How long it takes to set the routes of `count` bindings where nobody derives them, in
/// milliseconds; the median of several times.
fn kernel_alone(count: usize) -> f64 {
    let net = Net::new();
    let (router, below) = (net.router("bare"), net.host("below"));
    net.cable((&router, "lan0"), (&below, "eth0"));
    router.settled("lan0");
    let interface = IfIndex(router.index("lan0"));
    let route = |number| {
        Object::Route(KernelRoute {
            destination: place(SITES[0], number),
            target: RouteTarget::Gateway(interface, next_hop(number)),
            metric: 256,
            until: Until::At(clock::now() + secs(5400)),
        })
    };
    let set: Vec<Step> = (0..count).map(|number| Step::Set(route(number))).collect();
    let remove: Vec<Step> = (0..count).map(|number| Step::Remove(route(number))).collect();
    let routes = Routes::follow(&router);
    let mut kernel = router.inside(|| Kernel::open().unwrap().0);
    let mut times: Vec<f64> = (0..CHANGES)
        .map(|_| {
            routes.forget();
            let since = sys::monotonic();
            assert_eq!(kernel.apply(clock::now(), &set), []);
            let applied = routes.wait_for(SITES[0], count);
            assert_eq!(kernel.apply(clock::now(), &remove), []);
            if count == 0 { f64::NAN } else { (applied.as_secs_f64() - since.as_secs_f64()) * 1e3 }
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

struct Scene {
    agent: Agent,
    home: Home,
    routes: Routes,
    below: Namespace,
    child: Option<Child>,
}

impl Scene {
    /// One change, and a pause after it.
    fn change(&self, to: &str, count: usize) -> Change {
        let site: Ipv6Net = to.parse().unwrap();
        let wire = Wire::capture(&self.below, "eth0");
        self.routes.forget();
        let before = processor(self.agent.pid());
        let since = sys::monotonic();
        command(&self.home, to);
        let applied = self.routes.wait_for(to, count);
        let processor = processor(self.agent.pid()).saturating_sub(before);
        let advertised =
            wire.wait_for("our RA", PATIENCE, |frame| frame.at > since && frame.advertises(site));
        let after = |at: Duration| (at.as_secs_f64() - since.as_secs_f64()) * 1e3;
        let answered = self.child.as_ref().map_or(f64::NAN, |child| {
            let at = eventually("the answer", PATIENCE, || child.answered_since(since, site));
            after(at)
        });
        pause(APART);
        Change {
            advertised: after(advertised.at),
            answered,
            applied: if count == 0 { f64::NAN } else { after(applied) },
            processor: processor.as_secs_f64() * 1e3,
        }
    }

    /// The system calls of one change, by name.
    fn count_calls(&self, to: &str, count: usize) -> BTreeMap<String, u64> {
        let mut strace = Command::new("strace");
        let pid = self.agent.pid().to_string();
        strace.args(["-f", "-c", "-U", "calls,name", "-p", &pid]);
        if strace.stderr(Stdio::null()).arg("--version").stdout(Stdio::null()).status().is_err() {
            return BTreeMap::new();
        }
        let mut strace = Command::new("strace");
        strace.args(["-f", "-c", "-U", "calls,name", "-p", &pid]);
        let mut strace = Process::start("strace", &mut strace);
        strace.wait_for_log("attached", PATIENCE);
        self.change(to, count);
        strace.signal(Signal::SIGINT);
        eventually("strace ends", PATIENCE, || (!strace.running()).then_some(()));
        pause(Duration::from_millis(100));
        let lines = strace.lines();
        let counted = lines.iter().filter_map(|line| {
            let (count, name) = line.trim().split_once(' ')?;
            Some((name.trim().to_owned(), count.parse().ok()?))
        });
        counted.filter(|(name, _)| name != "total").collect()
    }
}

/// Writes the memory of an agent that has given `count` routers their prefixes a moment ago.
fn remember(state: &Path, count: usize) {
    let now = clock::now().since_boot();
    let boot = renumberd::platform::linux::identity::boot_id().unwrap();
    let at = |seconds: u64| json!({"At": {"secs": now.as_secs() + seconds, "nanos": 0}});
    let line = |record: serde_json::Value| {
        json!({
            "boot": boot,
            "at": now.as_secs_f64(),
            "wall": clock::wall().as_secs_f64(),
            "record": record,
        })
    };
    let mut text = format!(
        "{{\"renumberd-memory\":1}}\n{}\n",
        line(json!({
            "record": "duid",
            "duid": Duid::from_uuid(SERVER),
        }))
    );
    for number in 0..count {
        let next_hop = next_hop(number);
        let promise = json!({
            "preferred_until": at(2700),
            "valid_until": at(5400),
            "held_until": at(5400),
            "said_at": {"secs": now.as_secs(), "nanos": 0},
            "routed": true,
        });
        let record = json!({
            "record": "binding",
            "key": {"duid": duid(number), "downlink": "lan0", "iaid": 1},
            "binding": {
                "slots": [{"pool": {"number": number, "pool": "routers"}}],
                "contact": {"next_hop": next_hop, "peer": next_hop, "port": 546},
                "promised": [[place(SITES[0], number), promise]],
            },
        });
        text.push_str(&format!("{}\n", line(record)));
    }
    lab::process::write(&state.join("memory.jsonl"), &text);
}

fn duid(number: usize) -> Duid {
    Duid::from_uuid((u128::MAX / 3 + number as u128).to_be_bytes())
}

fn next_hop(number: usize) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(CHILD) + number as u128)
}

/// The place of a number in the pool: the second /40.
fn place(site: &str, number: usize) -> Ipv6Net {
    let site: Ipv6Net = site.parse().unwrap();
    let network = u128::from(site.network()) | 1 << 88 | (number as u128) << 72;
    Ipv6Net::new(network.into(), 56).unwrap()
}

/// `renumberd prefix site=…`, without the time that it takes to start a program.
fn command(home: &Home, to: &str) {
    let answer = home.ask(&json!({"command": "prefix", "set": {"site": to}}).to_string()).unwrap();
    assert!(answer.contains("done"), "{answer}");
}

/// Resident memory, in KB.
fn resident(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// The time that its threads have had a processor.
fn processor(pid: u32) -> Duration {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let times = tasks.filter_map(|task| {
        let times = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        times.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(times.sum())
}

/// The router that is there: it renews when it hears of another prefix.
struct Child {
    /// When which prefix was given.
    answers: Arc<Mutex<Vec<(Duration, Ipv6Net)>>>,
}

impl Child {
    fn start(namespace: &Namespace) -> Self {
        let index = namespace.index("eth0");
        let socket =
            namespace.inside(|| UdpSocket::bind(SocketAddrV6::new(CHILD, 546, 0, index)).unwrap());
        let answers: Arc<Mutex<Vec<(Duration, Ipv6Net)>>> = Arc::default();
        let hears = (socket.try_clone().unwrap(), Arc::clone(&answers));
        std::thread::spawn(move || hear(&hears.0, &hears.1));
        let namespace = namespace.clone();
        std::thread::spawn(move || {
            let wire = Wire::capture(&namespace, "eth0");
            let mut since = sys::monotonic();
            for at in 0_u8.. {
                let site: Ipv6Net = SITES[usize::from(at + 1) % 2].parse().unwrap();
                let like = |frame: &Frame| frame.at > since && frame.advertises(site);
                since = wire.wait_for("an RA", secs(3600), like).at;
                let to = SocketAddrV6::new("ff02::1:2".parse().unwrap(), 547, 0, index);
                socket.send_to(&renew(at).encode(), to).unwrap();
            }
        });
        Self { answers }
    }

    fn answered_since(&self, since: Duration, site: Ipv6Net) -> Option<Duration> {
        let answers = self.answers.lock().unwrap();
        let found = answers.iter().find(|(at, given)| *at > since && site.contains(given));
        found.map(|(at, _)| *at)
    }
}

fn hear(socket: &UdpSocket, answers: &Mutex<Vec<(Duration, Ipv6Net)>>) {
    let mut octets = [0; 1500];
    while let Ok(length) = socket.recv(&mut octets) {
        let at = sys::monotonic();
        let Ok(message) = Message::decode(&octets[..length]) else { continue };
        for option in message.options {
            if let Dhcpv6Option::IaPd(ia) = option {
                let live = ia.prefixes.iter().filter(|given| given.valid != Lifetime::ZERO);
                answers.lock().unwrap().extend(live.map(|given| (at, given.prefix)));
            }
        }
    }
}

fn renew(number: u8) -> Message {
    let prefix = IaPrefix {
        prefix: place(SITES[usize::from(number) % 2], 0),
        preferred: Lifetime::ZERO,
        valid: Lifetime::ZERO,
        exclude: None,
        status: None,
    };
    let ia = IaPd {
        iaid: Iaid(1),
        t1: Lifetime::ZERO,
        t2: Lifetime::ZERO,
        prefixes: vec![prefix],
        status: None,
    };
    Message {
        kind: MessageType::Renew,
        transaction_id: TransactionId([1, 2, number]),
        options: vec![
            Dhcpv6Option::ClientId(duid(0)),
            Dhcpv6Option::ServerId(Duid::from_uuid(SERVER)),
            Dhcpv6Option::IaPd(ia),
        ],
    }
}

/// Routes to delegations, as the kernel tells of them.
struct Routes {
    /// New ones in each site.
    seen: Arc<[AtomicUsize; 2]>,
    last: Arc<AtomicU64>,
}

impl Routes {
    fn follow(namespace: &Namespace) -> Self {
        let socket = namespace.inside(|| {
            let mut socket =
                netlink_sys::Socket::new(netlink_sys::protocols::NETLINK_ROUTE).unwrap();
            socket.bind_auto().unwrap();
            socket
        });
        setsockopt(&socket, sockopt::RcvBufForce, &(256 << 20)).unwrap();
        socket.add_membership(ROUTE_GROUP).unwrap();
        let (seen, last) = (Arc::<[AtomicUsize; 2]>::default(), Arc::new(AtomicU64::new(0)));
        let shared = (Arc::clone(&seen), Arc::clone(&last));
        std::thread::spawn(move || {
            let mut octets = Vec::with_capacity(64 * 1024);
            loop {
                octets.clear();
                if socket.recv(&mut octets, libc::MSG_DONTWAIT).is_err() {
                    std::thread::sleep(LOOK_EVERY);
                } else if let Some(site) = new_route(&octets) {
                    let now = u64::try_from(sys::monotonic().as_nanos()).unwrap();
                    shared.1.store(now, Ordering::Relaxed);
                    shared.0[site].fetch_add(1, Ordering::Release);
                }
            }
        });
        Self { seen, last }
    }

    fn forget(&self) {
        self.seen.iter().for_each(|seen| seen.store(0, Ordering::Relaxed));
    }

    /// Waits for `count` new routes in a site: when the last came.
    fn wait_for(&self, site: &str, count: usize) -> Duration {
        let seen = &self.seen[SITES.iter().position(|of| *of == site).unwrap()];
        let since = sys::monotonic();
        while seen.load(Ordering::Acquire) < count {
            let seen = seen.load(Ordering::Relaxed);
            assert!(sys::monotonic() < since + PATIENCE, "{seen} of {count} routes");
            std::thread::sleep(Duration::from_millis(1));
        }
        Duration::from_nanos(self.last.load(Ordering::Relaxed))
    }
}

/// The site of a new route to a /56, if a message tells of one (linux/rtnetlink.h).
fn new_route(octets: &[u8]) -> Option<usize> {
    const HEADERS: usize = 16 + 12;
    let is_new = octets.get(4..6)? == libc::RTM_NEWROUTE.to_ne_bytes();
    if !is_new || *octets.get(17)? != 56 {
        return None;
    }
    let mut rest = octets.get(HEADERS..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?);
        if kind == libc::RTA_DST {
            let address: [u8; 16] = rest.get(4..20)?.try_into().ok()?;
            let inside = |site: &&str| {
                site.parse::<Ipv6Net>().is_ok_and(|site| site.contains(&Ipv6Addr::from(address)))
            };
            return SITES.iter().position(inside);
        }
        rest = rest.get(length.next_multiple_of(4).max(4)..)?;
    }
}
