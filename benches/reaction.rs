//! How fast a change goes through one router, between real peers: twenty flash renumberings with
//! dhcp6s and with Kea. Needs root, as the tests of the laboratory do.
//!
//! From the provider's new advertisement on the wire to our question, to its answer, to our new
//! advertisement, and to the host's kernel having taken the prefix. Times are taken by readers on
//! the wires: each includes the time that a reader takes to wake up.
//!
//! `cargo bench --bench reaction [-- RUNS]`
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

use std::time::Duration;

use lab::provider::{Era, Kind, Promise};
use lab::site::Site;
use lab::story::Scene;
use lab::{CEILING, pause, prefixes, secs, sys};

/// Changes follow each other after MIN_DELAY_BETWEEN_RAS and a little.
const APART: Duration = Duration::from_millis(3500);

/// Hosts have room for all of them.
const ROOMY: &[(&str, i32)] = &[("max_addresses", 0)];

/// What a change took, in milliseconds from the provider's advertisement on. A reader that woke up
/// late can put what it read behind what followed from it.
struct Run {
    asked: f64,
    answered: f64,
    advertised: f64,
    taken: f64,
}

fn main() {
    let runs = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(20);
    for (name, kind) in [("dhcp6s", Kind::Kame), ("Kea", Kind::Kea)] {
        let delegated = Promise::of(Era::new(1).delegated);
        let scene = Scene::with(Site::with_clients(&[ROOMY]), kind, &[], delegated);
        let mut host = prefixes::Watch::start(&scene.site.client().namespace);
        pause(APART);
        let runs: Vec<Run> = (2..2 + runs).map(|number| run(&scene, &mut host, number)).collect();
        println!("{name}, {} changes, milliseconds      median    worst", runs.len());
        let line = |what: &str, of: fn(&Run) -> f64| {
            let mut all: Vec<f64> = runs.iter().map(of).collect();
            all.sort_by(f64::total_cmp);
            println!("  {what:<36}{:>8.2} {:>8.2}", all[all.len() / 2], all[all.len() - 1]);
        };
        line("asked", |run| run.asked);
        line("answered", |run| run.answered);
        line("advertised", |run| run.advertised);
        line("advertised, from the answer", |run| run.advertised - run.answered);
        line("taken by the host", |run| run.taken);
        let pid = scene.agent.pid();
        if kind == Kind::Kame {
            footprint(pid);
        }
    }
}

fn run(scene: &Scene, host: &mut prefixes::Watch, number: u16) -> Run {
    let (from, to) = (Era::new(number - 1), Era::new(number));
    let since = sys::monotonic();
    scene.provider.flash(to);
    let start = scene.uplink.wait_for("RA", CEILING, |f| f.at > since && f.advertises(to.on_link));
    let asked =
        scene.uplink.wait_for("question", CEILING, |f| f.at > start.at && f.asks_for_prefixes());
    let answer = scene.uplink.wait_for("answer", CEILING, |frame| {
        let brings = |ia: &renumberd::wire::dhcpv6_option::IaPd| {
            ia.prefixes.iter().any(|given| given.prefix == to.delegated)
        };
        frame.at > start.at && !frame.asks_for_prefixes() && frame.ia_pds().iter().any(brings)
    });
    let advertised = scene.lan.wait_for("our RA", CEILING, |f| f.advertises(to.delegated));
    let taken = host.wait_for(to.delegated, CEILING);
    scene.follows(from, to);
    pause((since + APART).saturating_sub(sys::monotonic()));
    let after = |at: Duration| (at.as_secs_f64() - start.at.as_secs_f64()) * 1e3;
    Run {
        asked: after(asked.at),
        answered: after(answer.at),
        advertised: after(advertised.at),
        taken: after(taken),
    }
}

/// Memory and wake-ups of an agent that has nothing to do.
fn footprint(pid: u32) {
    // Past the quick succession of advertisements after the last change.
    pause(secs(40));
    let before = switches(pid);
    pause(secs(60));
    println!("  wake-ups in an idle minute          {:>8}", switches(pid) - before);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    for line in status.lines().filter(|line| line.starts_with("VmRSS")) {
        println!("  {line}");
    }
    let size = std::fs::metadata(format!("/proc/{pid}/exe")).unwrap().len();
    println!("  binary {:.1} MB", size as f64 / 1e6);
}

/// How often its threads have slept and woken.
fn switches(pid: u32) -> u64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    tasks
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("status")).ok())
        .flat_map(|status| status.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter_map(|line| {
            line.strip_prefix("voluntary_ctxt_switches:")?.trim().parse::<u64>().ok()
        })
        .sum()
}
