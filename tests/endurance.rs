//! Change upon change, for as long as it takes.
//!
//! RENUMBERD_REDIALS=100 makes the redials on a busy machine a hundred; RENUMBERD_LONG=1 plays
//! thirty redials a minute apart (half an hour): hosts have no room for thirty prefixes in less.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use renumberd::lab::observe::frame::Frame;
use renumberd::lab::report::statistics::Spread;

use lab::agent::{self, Agent};
use lab::provider::{Era, Kind, Promise};
use lab::site::Site;
use lab::story::Scene;
use lab::{CEILING, eventually, millis, pause, secs};

/// Threads that leave no core idle.
struct Hogs(Arc<AtomicBool>);

impl Hogs {
    fn new() -> Self {
        let over = Arc::new(AtomicBool::new(false));
        for _ in 0..std::thread::available_parallelism().unwrap().get() {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        Self(over)
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn number(variable: &str) -> Option<u16> {
    std::env::var(variable).ok().map(|text| text.parse().expect("a number"))
}

/// Plays redials and returns how long each took to reach every host.
fn redials(scene: &Scene, count: u16, apart: Duration) -> Vec<Duration> {
    let mut took = Vec::new();
    for number in 2..count + 2 {
        let (from, to) = (Era::new(number - 1), Era::new(number));
        let start = Instant::now();
        scene.provider.flash(to);
        scene.follows(from, to);
        took.push(start.elapsed());
        pause(apart.saturating_sub(start.elapsed()));
    }
    took
}

fn tell(name: &str, took: Vec<Duration>) {
    let Spread { count, median, max, .. } = Spread::of(took).unwrap();
    eprintln!("{name}: {count} redials, median {median:.0} ms, slowest {max:.0} ms");
}

/// Hosts have to have room for all of them: without a limit.
const ROOMY: &[(&str, i32)] = &[("max_addresses", 0)];

/// Redials as fast as advertisements may follow each other, with no idle core.
fn busy(kind: Kind) {
    let delegated = Promise::of(Era::new(1).delegated);
    let scene = Scene::with(Site::with_clients(&[ROOMY]), kind, &[], delegated);
    let hogs = Hogs::new();
    let took = redials(&scene, number("RENUMBERD_REDIALS").unwrap_or(20), millis(3100));
    drop(hogs);
    tell("busy", took);
    scene.reaches_the_internet();
}

#[test]
fn each_of_twenty_redials_converges_on_a_busy_machine_with_dhcp6s() {
    busy(Kind::Kame);
}

#[test]
fn each_of_twenty_redials_converges_on_a_busy_machine_with_kea() {
    busy(Kind::Kea);
}

/// RA-TX-60: hosts with little room, on one link.
#[test]
fn every_kind_of_host_follows_each_redial() {
    let hosts: &[&[(&str, i32)]] = &[&[], &[("use_tempaddr", 2)], &[("accept_ra_min_lft", 180)]];
    let delegated = Promise::of(Era::new(1).delegated);
    let scene = Scene::with(Site::with_clients(hosts), Kind::Kame, &[], delegated);
    // With temporary addresses a host takes eight prefixes; seven are used at once.
    let (count, apart) = match number("RENUMBERD_LONG") {
        Some(_) => (30, secs(60)),
        None => (6, millis(3100)),
    };
    tell("three hosts", redials(&scene, count, apart));
    let last = Era::new(count + 1);
    eventually("a temporary address in the last prefix", CEILING, || {
        scene.site.clients[1].has_temporary(last.delegated).then_some(())
    });
}

/// §15 row 12: back and forth.
#[test]
fn a_prefix_that_comes_back_is_believed_again() {
    let scene = Scene::begin(Kind::Kame);
    let (one, two) = (Era::new(1), Era::new(2));
    for (from, to) in [(one, two), (two, one), (one, two)] {
        scene.provider.flash(to);
        scene.follows(from, to);
    }
    scene.reaches_the_internet();
}

/// CHG-01: a quiet minute after a change is quiet.
#[test]
fn after_a_change_the_uplink_is_quiet() {
    let scene = Scene::begin(Kind::Kea);
    let (from, to) = (Era::new(1), Era::new(2));
    scene.provider.flash(to);
    scene.follows(from, to);
    pause(secs(5));
    let since = lab::sys::monotonic();
    pause(secs(30));
    let heard = |like: fn(&Frame) -> bool| scene.uplink.count(since, like);
    assert_eq!(heard(|frame| frame.asks_for_prefixes()), 0);
    assert_eq!(heard(|frame| frame.is_solicitation()), 0);
}

/// A change of many records leaves the agent no time to write the memory anew: it does that when it
/// has nothing else to do, long before it has to.
#[test]
fn a_memory_with_many_overtaken_records_is_written_anew_at_rest() {
    let site = Site::new();
    let names: Vec<String> = (0..40).map(|number| format!("site{number}")).collect();
    let tables: String = names.iter().map(|name| format!("[static.{name}]\n")).collect();
    let config = format!("{tables}[downlink.lan0]\nfrom = \"site0\"\nadvertise = false\n");
    let agent = Agent::start(&site.net, &site.dut, &config, &[]);
    let file = agent::home(&site.net, &site.dut).state().join("memory.jsonl");
    let lines = || std::fs::read_to_string(&file).unwrap().lines().count();
    for round in 1..=8 {
        let words = names.iter().enumerate();
        let words = words.map(|(at, name)| format!("{name}=2001:db8:{round}{at:02}::/48"));
        let words: Vec<String> = words.collect();
        agent.prefix(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    eventually("the memory is written anew", CEILING, || (lines() < 256).then_some(()));
    assert!(lines() > 40, "it has the last record of each");
}
