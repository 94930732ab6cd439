//! `renumberd bench` as a newcomer runs it: without a package, without a file, with or without root.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use serde_json::Value;

const NOBODY: u32 = 65_534;
const PROGRAM: &str = env!("CARGO_BIN_EXE_renumberd");

fn bench(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg("bench").args(arguments);
    command
}

fn run(mut command: Command) -> Output {
    let output = command.output().unwrap();
    eprintln!("{}", String::from_utf8_lossy(&output.stdout));
    eprintln!("{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The milestones of a run as `node event`.
fn milestones(run: &Value) -> Vec<String> {
    let all = run["milestones"].as_array().unwrap();
    all.iter()
        .map(|m| format!("{} {}", m["node"].as_str().unwrap(), m["event"].as_str().unwrap()))
        .collect()
}

/// The agents of a runner that works in this directory for temporary files.
fn agents_below(directory: &Path) -> usize {
    let directory = directory.to_str().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
    lines.filter(|line| String::from_utf8_lossy(line).contains(directory)).count()
}

#[test]
fn two_hops_converge_and_programs_can_read_how() {
    let folder = tempfile::tempdir().unwrap();
    let (json, svg) = (folder.path().join("bench.json"), folder.path().join("bench.svg"));
    let (json, svg) = (json.to_str().unwrap(), svg.to_str().unwrap());
    let output = run(bench(&[
        "--hops",
        "2",
        "--runs",
        "1",
        "--floor",
        "--clients",
        "2",
        "--json",
        json,
        "--svg",
        svg,
    ]));
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in ["graceful, 2 routers, 2 clients, 1 run", "Timeline", "times the floor"] {
        assert!(text.contains(expected), "no {expected:?}");
    }
    let result: Value = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    assert_eq!(result["schema"], 1);
    assert_eq!((&result["hops"], &result["scenario"]), (&2.into(), &"graceful".into()));
    let runs = result["runs"].as_array().unwrap();
    assert_eq!((runs.len(), result["floor_runs"].as_array().unwrap().len()), (1, 1));
    assert!(runs[0]["converged_ms"].as_f64().unwrap() > 0.0);
    let milestones = milestones(&runs[0]);
    for router in ["outbound", "backbone"] {
        for event in ["heard", "addressed", "delegated", "downlinked", "advertised"] {
            assert!(milestones.contains(&format!("{router} {event}")), "{router} {event}");
        }
    }
    for client in ["client1", "client2"] {
        for event in ["tentative", "preferred", "reachable", "deprecated"] {
            assert!(milestones.contains(&format!("{client} {event}")), "{client} {event}");
        }
    }
    let summary = &result["summary"];
    assert_eq!(summary["native"]["converged_ms"]["count"], 1);
    assert!(summary["times_the_floor"].as_f64().unwrap() > 0.0);
    let svg = std::fs::read_to_string(svg).unwrap();
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
}

/// The figures of a milestone in the summary of a stack, in milliseconds.
fn median(result: &Value, stack: &str, node: &str, event: &str) -> f64 {
    let milestones = result["summary"][stack]["milestones"].as_array().unwrap();
    let found = milestones.iter().find(|m| m["node"] == node && m["event"] == event);
    found.unwrap_or_else(|| panic!("{stack}: {node} {event}"))["median"].as_f64().unwrap()
}

fn bench_to_json(arguments: &[&str]) -> (Output, Value) {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("bench.json");
    let output = run(bench(&[arguments, &["--json", json.to_str().unwrap()]].concat()));
    let result = serde_json::from_str(&std::fs::read_to_string(json).unwrap()).unwrap();
    (output, result)
}

#[test]
fn the_article_s_way_is_measured_beside_the_agent() {
    let arguments = ["--stack", "native,article", "--hops", "2", "--runs", "1"];
    let (mut output, mut result) = bench_to_json(&arguments);
    // A `dhcpcd -N` that comes at the wrong moment is lost, and its router stays behind.
    if output.status.code() == Some(3) && result["summary"]["native"]["converged"] == 1 {
        (output, result) = bench_to_json(&arguments);
    }
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in ["times native", "Timeline of the median run of article"] {
        assert!(text.contains(expected), "no {expected:?}");
    }
    assert_eq!(result["stacks"], serde_json::json!(["native", "article"]));
    assert_eq!(result["article_runs"].as_array().unwrap().len(), 1);
    let last = |stack| median(&result, stack, "backbone", "delegated");
    // Half a second for the line, a second or more for the address, one for the hook.
    assert!(last("article") > 2500.0 && last("native") < last("article") / 10.0);
    assert!(result["summary"]["times"]["article"].as_f64().unwrap() > 10.0);
    let steps = result["summary"]["article"]["since_heard"].as_array().unwrap();
    let asked = steps.iter().find(|step| step["node"] == "backbone" && step["step"] == "asked");
    assert!(asked.unwrap()["median"].as_f64().unwrap() > 2000.0, "{steps:?}");
}

#[test]
fn other_people_s_programs_are_led_by_the_agents() {
    let arguments = ["--stack", "company", "--hops", "3", "--runs", "1"];
    let (output, result) = bench_to_json(&arguments);
    assert_eq!(output.status.code(), Some(0));
    // Sooner than dhcpcd would be made to renew a second time.
    let last = median(&result, "company", "wlan", "delegated");
    assert!(last < 5000.0, "{last}");
}

#[test]
fn the_article_s_programs_need_root() {
    let mut command = Command::new("unshare");
    command.args(["-Ur", PROGRAM, "bench", "--stack", "article", "--runs", "1"]);
    let output = run(command);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("the stack article needs root"));
}

/// CHG-15: the first refresh comes too early, and the one a second later does not.
#[test]
fn a_server_that_is_late_is_followed_a_second_later() {
    let (output, result) =
        bench_to_json(&["--scenario", "late-server", "--hops", "1", "--runs", "1"]);
    assert_eq!(output.status.code(), Some(0));
    let delegated = median(&result, "native", "outbound", "delegated");
    assert!((1000.0..1600.0).contains(&delegated), "{delegated}");
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    let cases: [(&[&str], &str); 3] = [
        (&["--stack", "floor", "--loss", "1"], "the floor repeats nothing"),
        (&["--scenario", "late-server", "--floor"], "the floor's provider is never late"),
        (&["--scenario", "late-server", "--loss", "1"], "exclude each other"),
    ];
    for (arguments, expected) in cases {
        let output = run(bench(arguments));
        assert_eq!(output.status.code(), Some(1), "{expected}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(expected), "{expected}");
    }
}

#[test]
fn a_router_that_is_too_late_is_named_and_the_exit_code_is_three() {
    let output = run(bench(&["--hops", "1", "--runs", "1", "--max", "1us"]));
    assert_eq!(output.status.code(), Some(3));
    let text = String::from_utf8(output.stdout).unwrap();
    let late = text.split("Late (1us at most)").nth(1).expect("what was late");
    assert!(late.contains("outbound") && late.contains("client1"), "{late}");
}

#[test]
fn root_of_a_user_namespace_is_root_enough() {
    let mut command = Command::new("unshare");
    command.args(["-Ur", PROGRAM, "bench", "--hops", "1", "--runs", "1", "--loss", "0.1"]);
    assert_eq!(run(command).status.code(), Some(0));
}

#[test]
fn it_needs_no_root_where_user_namespaces_are_allowed() {
    let folder = tempfile::tempdir().unwrap();
    // Who is no root of the machine cannot reach a program below root's home.
    let program = folder.path().join("renumberd");
    // By another process: what this one has open for writing cannot be run while another test
    // begins a child.
    assert!(Command::new("cp").arg(PROGRAM).arg(&program).status().unwrap().success());
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&program);
    command.args(["bench", "--hops", "1", "--runs", "1"]).current_dir("/");
    let mut unshare = Command::new("unshare");
    unshare.args(["-Ur", "true"]);
    // Root of a user namespace cannot become another.
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap();
    let has_nobody = map.split_whitespace().nth(2) == Some("4294967295");
    if geteuid().is_root() && has_nobody {
        command.uid(NOBODY).gid(NOBODY);
        unshare.uid(NOBODY).gid(NOBODY);
    }
    let is_allowed = unshare.status().unwrap().success();
    let output = run(command);
    // Where they are not allowed, that is what it says.
    let refused = String::from_utf8_lossy(&output.stderr).contains("allows no user namespaces");
    assert_eq!((output.status.code(), refused), (Some(i32::from(!is_allowed)), !is_allowed));
}

#[test]
fn nothing_stays_behind_when_it_is_interrupted() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bench(&["--hops", "2", "--runs", "50"]);
    let mut child = command.env("TMPDIR", folder.path()).spawn().unwrap();
    let begun = std::time::Instant::now();
    while agents_below(folder.path()) < 3 {
        assert!(begun.elapsed() < Duration::from_secs(20), "three agents are at work");
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    kill(pid, Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "it ends by itself");
    assert_eq!(agents_below(folder.path()), 0);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[test]
fn nothing_stays_behind_when_the_runner_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = bench(&["--hops", "1", "--runs", "50"]);
    let mut child = command.env("TMPDIR", folder.path()).spawn().unwrap();
    let begun = std::time::Instant::now();
    while agents_below(folder.path()) < 2 {
        assert!(begun.elapsed() < Duration::from_secs(20), "two agents are at work");
        std::thread::sleep(Duration::from_millis(50));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    while agents_below(folder.path()) > 0 || folder.path().read_dir().unwrap().count() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(30), "agents and files go");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every change converges, however busy the machine is: as soon after each other as routers may
/// advertise.
#[test]
fn twenty_changes_in_a_row_converge_on_a_busy_machine() {
    let arguments = ["--hops", "2", "--runs", "20", "--spacing", "3.1s", "--busy"];
    let more = ["--scenario", "flash", "--optimistic-clients"];
    let output = run(bench(&[&arguments[..], &more].concat()));
    assert_eq!(output.status.code(), Some(0));
}
