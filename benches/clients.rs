//! A host whose router redials silently: how soon the stale address is deprecated and connections
//! leave from the new one, with the kernel alone and with the agent beside it; then how soon a link
//! that comes back is solicited, and what an idle agent costs. Needs root and radvd.
//!
//! `cargo bench --bench clients [-- RUNS [agent]]`; with a word those alone whose name has it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a laboratory: a failure is a panic, the result goes to standard output"
)]

#[path = "../tests/lab/mod.rs"]
mod lab;

use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use ipnet::Ipv6Net;

use lab::agent::Agent;
use lab::client::{Client, INTERFACE};
use lab::net::{Namespace, Net};
use lab::provider::{Era, Promise};
use lab::radvd::Radvd;
use lab::wire::Wire;
use lab::{CEILING, millis, pause, secs, sys};

/// So long is watched what follows from a change.
const WATCHED: Duration = Duration::from_millis(3500);
/// From one change to the next: a host asks about what was left out once in ten seconds, so that
/// nobody can have it ask all the time.
const APART: Duration = Duration::from_millis(10_500);
/// Beyond the router. It has as much in common with every prefix of the hosts (RFC 6724 §5, rule 8).
const SERVER: Ipv6Addr = Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 1);
const PORT: u16 = 8080;
/// A connection that takes longer does not work.
const CONNECTING: Duration = Duration::from_millis(900);
// linux/if_addr.h
const DEPRECATED: u8 = 0x20;

/// Who sees to the host's addresses: a name, settings of its kernel, and the agent's configuration.
type Mode = (&'static str, &'static [(&'static str, i32)], Option<&'static str>);
const MODES: [Mode; 4] = [
    ("kernel alone", &[], None),
    ("kernel alone, optimistic", &[("optimistic_dad", 1), ("use_optimistic", 1)], None),
    ("agent, optimistic-dad = false", &[], Some("[client.eth0]\noptimistic-dad = false\n")),
    ("agent", &[], Some("[client.eth0]\n")),
];

/// What was seen of a redial, in seconds from the new advertisement on.
#[derive(Default)]
struct Run {
    /// No address in the old prefix is preferred.
    deprecated: Option<f64>,
    /// What is begun leaves from the new prefix.
    leaves: Option<f64>,
    /// A connection from the new prefix was answered.
    answered: Option<f64>,
    /// Connections opened one and two seconds later left from the new prefix and were answered.
    after: [bool; 2],
}

fn main() {
    let runs = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(10);
    let word = std::env::args().skip(1).find(|word| word.chars().all(char::is_alphabetic));
    println!("{runs} silent redials, seconds              median / worst; share of connections");
    let is_meant = |name: &str| word.as_ref().is_none_or(|word| name.contains(word));
    for (name, settings, config) in MODES.into_iter().filter(|(name, ..)| is_meant(name)) {
        let site = Site::new(settings);
        let agent = config.map(|config| Agent::start(&site.net, &site.host.namespace, config, &[]));
        site.host.takes(Era::new(1).on_link, CEILING);
        pause(secs(4));
        let all: Vec<Run> = (2..2 + runs).map(|number| site.redial(number)).collect();
        let [one, two] = [0, 1].map(|at| all.iter().filter(|run| run.after[at]).count());
        println!(
            "{name:<31} stale deprecated {}, used {}, answered {}; after 1 s {one}, after 2 s {two}",
            spread(all.iter().map(|run| run.deprecated)),
            spread(all.iter().map(|run| run.leaves)),
            spread(all.iter().map(|run| run.answered)),
        );
        if let Some(agent) = agent.filter(|_| name == "agent") {
            println!("link-up to solicitation {} s", spread(site.flaps(runs.into()).into_iter()));
            footprint(agent.pid());
        }
    }
}

/// A router, and a host on its link.
struct Site {
    net: Net,
    host: Client,
    router: Namespace,
    radvd: Radvd,
    wire: Wire,
}

impl Site {
    fn new(settings: &[(&str, i32)]) -> Self {
        let net = Net::new();
        // The host has room for the addresses of all runs.
        let settings = [&[("max_addresses", 0)], settings].concat();
        let (host, router) = (Client::new(&net, "host", &settings), net.router("router"));
        net.cable((&host.namespace, INTERFACE), (&router, "lan0"));
        router.link_local("lan0", "fe80::1");
        router.ip(&format!("addr add {SERVER}/128 dev lo nodad"));
        router.ip("route add 2001:db8::/32 dev lan0");
        host.namespace.settled(INTERFACE);
        serve(&router);
        let wire = Wire::capture(&host.namespace, INTERFACE);
        let radvd = Radvd::start(&net, (&router, "lan0"), &[Promise::of(Era::new(1).on_link)]);
        Self { net, host, router, radvd, wire }
    }

    /// The router has another prefix from one moment to the next, and says nothing of the one before.
    fn redial(&self, number: u16) -> Run {
        let (from, to) = (Era::new(number - 1).on_link, Era::new(number).on_link);
        let since = sys::monotonic();
        self.radvd.advertise(&[Promise::of(to)]);
        let frame = self.wire.wait_for("RA", CEILING, |f| f.at > since && f.advertises(to));
        let run = self.host.namespace.inside(|| watch(frame.at, from, to));
        pause((since + APART).saturating_sub(sys::monotonic()));
        run
    }

    fn flaps(&self, count: usize) -> Vec<Option<f64>> {
        let flap = |_| {
            self.router.ip("link set lan0 down");
            pause(millis(1500));
            // The command's own start counts, as it may have ended long after the link is up.
            let since = sys::monotonic();
            self.router.ip("link set lan0 up");
            pause(secs(2));
            let frames = self.wire.frames();
            let later = frames.iter().filter(|f| f.is_solicitation() && f.at >= since);
            let first = later.map(|f| f.at).min();
            first.map(|at| at.saturating_sub(since).as_secs_f64())
        };
        (0..count).map(flap).collect()
    }
}

/// Takes connections for as long as the process lives.
fn serve(router: &Namespace) {
    let listener = router.inside(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)).unwrap());
    std::thread::spawn(move || listener.incoming().for_each(drop));
}

/// What connections leave from, in the namespace of the calling thread.
fn watch(begun: Duration, from: Ipv6Net, to: Ipv6Net) -> Run {
    let mut run = Run::default();
    let mut seconds = [1, 2].into_iter().zip(0..).peekable();
    loop {
        let passed = || sys::monotonic().saturating_sub(begun);
        if passed() >= WATCHED {
            return run;
        }
        if run.deprecated.is_none() && !prefers(from) {
            run.deprecated = Some(passed().as_secs_f64());
        }
        if run.leaves.is_none() && source().is_some_and(|source| to.contains(&source)) {
            run.leaves = Some(passed().as_secs_f64());
        }
        if let Some((_, at)) = seconds.next_if(|(second, _)| passed() >= secs(*second)) {
            run.after[at] = connects(to);
        } else if run.leaves.is_some() && run.answered.is_none() && connects(to) {
            run.answered = Some(passed().as_secs_f64());
        }
        pause(millis(2));
    }
}

/// Whether an address in a prefix is preferred.
fn prefers(prefix: Ipv6Net) -> bool {
    let table = std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap();
    table.lines().any(|line| {
        let mut fields = line.split_whitespace();
        let address = u128::from_str_radix(fields.next().unwrap(), 16).unwrap();
        let flags = u8::from_str_radix(fields.nth(3).unwrap(), 16).unwrap();
        prefix.contains(&Ipv6Addr::from(address)) && flags & DEPRECATED == 0
    })
}

/// The address that the kernel chooses for what is sent to the server.
fn source() -> Option<Ipv6Addr> {
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((SERVER, PORT)).ok()?;
    let SocketAddr::V6(address) = socket.local_addr().ok()? else { return None };
    Some(*address.ip())
}

/// Whether a connection is answered, and leaves from a prefix.
fn connects(prefix: Ipv6Net) -> bool {
    let connection = TcpStream::connect_timeout(&(SERVER, PORT).into(), CONNECTING);
    let local = connection.and_then(|connection| connection.local_addr());
    matches!(local, Ok(SocketAddr::V6(local)) if prefix.contains(local.ip()))
}

/// Median and worst; what did not happen is worst.
fn spread(all: impl Iterator<Item = Option<f64>>) -> String {
    let mut all: Vec<f64> = all.map(|one| one.unwrap_or(f64::INFINITY)).collect();
    all.sort_by(f64::total_cmp);
    let show = |one: Option<&f64>| match one {
        Some(one) if one.is_finite() => format!("{one:.3}"),
        Some(_) | None => "never".to_owned(),
    };
    format!("{} / {}", show(all.get(all.len() / 2)), show(all.last()))
}

/// Memory and wake-ups of an agent that has nothing to do.
fn footprint(pid: u32) {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap();
    let switches = || {
        let status = read("status");
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    pause(secs(10));
    let before = switches();
    pause(secs(60));
    println!("wake-ups in an idle minute {}", switches() - before);
    let memory = read("smaps_rollup");
    let names = ["Rss:", "Pss:", "Private_Clean:", "Private_Dirty:"];
    for line in memory.lines().filter(|line| names.iter().any(|name| line.starts_with(name))) {
        println!("{line}");
    }
}
