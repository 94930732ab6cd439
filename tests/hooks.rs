//! The scripts of `contrib` that other programs run: what they call, and that they hold up nobody.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

#[path = "lab/executable.rs"]
mod executable;

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const SCRIPTS: [&str; 4] = [
    "ppp/ipv6-up.d/renumberd",
    "dhcpcd/renumberd",
    "dhcp6c/renumberd-script",
    "networkd/renumberd-networkd",
];

fn contrib(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(name)
}

/// A script among programs that only write down how they were called.
struct Stage {
    directory: tempfile::TempDir,
    script: PathBuf,
}

impl Stage {
    /// `renumberd` is a program that closes its standard output as the real one does, behind a
    /// number in place of the time, and then does `more`.
    fn new(name: &str, more: &str, change: impl FnOnce(String) -> String) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path().display().to_string();
        let write = |name: &str, text: String| {
            let path = directory.path().join(name);
            executable::write(&path, &text);
            path
        };
        let called = "echo \"$@ reason=$reason$REASON interface=$interface at=$at\"";
        let dated = format!("echo x >>{here}/times; at=$(wc -l <{here}/times); exec >/dev/null");
        let text = format!("#!/bin/sh\n{dated}\n{called} >>{here}/called\n{more}\n");
        write("renumberd", text);
        write("logger", format!("#!/bin/sh\ncat >>{here}/logged\n"));
        let text = std::fs::read_to_string(contrib(name)).unwrap();
        assert!(text.contains("PATH=/usr/local/sbin:"), "{name}");
        let text = text.replace("PATH=/usr/local/sbin:", &format!("PATH={here}:/usr/local/sbin:"));
        let script = write("script", change(text));
        Self { directory, script }
    }

    fn run(&self, arguments: &[&str], environment: &[(&str, &str)]) -> Output {
        let mut command = Command::new(&self.script);
        command.args(arguments).env_clear().envs(environment.iter().copied());
        command.output().unwrap()
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }

    /// What `renumberd` was called with, waited for.
    fn called(&self) -> String {
        let end = Instant::now() + Duration::from_secs(20);
        while self.read("called").is_empty() {
            assert!(Instant::now() < end, "it is not called: {}", self.read("logged"));
            std::thread::sleep(Duration::from_millis(20));
        }
        self.read("called")
    }
}

/// What dhcpcd says of a delegated prefix.
const LEASE: [(&str, &str); 6] = [
    ("reason", "BOUND6"),
    ("interface", "tun0"),
    ("new_dhcp6_ia_pd1_iaid", "00000001"),
    ("new_dhcp6_ia_pd1_prefix1", "2001:db8:1200::"),
    ("new_dhcp6_ia_pd1_prefix1_length", "56"),
    ("new_dhcp6_ia_pd1_prefix1_vltime", "1200"),
];

const BOUND: [(&str, &str); 2] = [("reason", "BOUND6"), ("interface", "tun0")];

/// dhcpcd and dhcp6c do nothing while their hook runs.
#[test]
fn hooks_of_requesters_return_at_once() {
    for (name, words, environment) in [
        ("dhcpcd/renumberd", "feed dhcpcd reason=BOUND6 interface=tun0 at=1\n", &BOUND[..]),
        (
            "dhcp6c/renumberd-script",
            "feed dhcp6c tun0 reason=REPLY interface= at=1\n",
            &[("REASON", "REPLY")],
        ),
    ] {
        let stage = Stage::new(name, "exec sleep 5", |text| text);
        let since = Instant::now();
        let output = stage.run(&[], environment);
        assert!(since.elapsed() < Duration::from_secs(3), "{name} takes {:?}", since.elapsed());
        assert!(output.status.success() && output.stdout.is_empty(), "{name}: {output:?}");
        assert_eq!(stage.called(), words);
    }
}

/// BKE-17: what dhcpcd says in a row is dated in that order, in whatever order it arrives.
#[test]
fn what_a_requester_says_in_a_row_is_dated_in_that_order() {
    let later = "case $reason in BOUND6) sleep 1;; esac";
    let stage = Stage::new("dhcpcd/renumberd", "", |text| text);
    let slow = std::fs::read_to_string(stage.directory.path().join("renumberd")).unwrap();
    let slow = slow.replace("\necho \"$@", &format!("\n{later}\necho \"$@"));
    executable::write(&stage.directory.path().join("renumberd"), &slow);
    for reason in ["BOUND6", "RENEW6"] {
        assert!(stage.run(&[], &[("reason", reason), ("interface", "tun0")]).status.success());
    }
    let end = Instant::now() + Duration::from_secs(20);
    while stage.read("called").lines().count() < 2 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(
        stage.read("called"),
        "feed dhcpcd reason=RENEW6 interface=tun0 at=2\n\
         feed dhcpcd reason=BOUND6 interface=tun0 at=1\n"
    );
}

/// BKE-17: the real program closes its standard output before it speaks to the agent, which may hang.
#[test]
fn a_feed_is_dated_before_it_is_handed_over() {
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join("control.sock")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_renumberd"));
    command.args(["feed", "dhcpcd", "--runtime-dir"]).arg(directory.path()).envs(LEASE);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut printed = String::new();
    child.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert_eq!(printed, "");
    assert!(child.try_wait().unwrap().is_none(), "it waits for the agent");
    let mut request = String::new();
    BufReader::new(listener.accept().unwrap().0).read_line(&mut request).unwrap();
    assert!(request.contains("\"at\":"), "{request}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What is not about a lease starts nothing: dhcpcd does nothing while its hook runs.
#[test]
fn events_of_dhcpcd_without_interest_start_nothing() {
    let stage = Stage::new("dhcpcd/renumberd", "", |text| text);
    for reason in ["PREINIT", "CARRIER", "ROUTERADVERT", "STOP6", "DELEGATED6", "BOUND"] {
        assert!(stage.run(&[], &[("reason", reason), ("interface", "tun0")]).status.success());
    }
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!((stage.read("called"), stage.read("times")), (String::new(), String::new()));
}

/// Among the hooks of dhcpcd it is read, not run: what comes behind it goes on.
#[test]
fn the_hook_of_dhcpcd_can_be_read_by_another_script() {
    let stage = Stage::new("dhcpcd/renumberd", "", |text| text);
    let reader =
        format!("before=$-; . {}; [ \"$-\" = \"$before\" ] && echo behind", stage.script.display());
    let output = Command::new("sh").arg("-c").arg(reader).envs(BOUND).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "behind\n");
    assert_eq!(stage.called(), "feed dhcpcd reason=BOUND6 interface=tun0 at=1\n");
}

#[test]
fn a_dhcp6c_that_names_no_prefixes_is_served_by_what_it_makes() {
    let stage = Stage::new("dhcp6c/renumberd-script", "", |text| {
        text.replace("\ninner=\n", "\ninner=lan0\n").replace("\nlength=\n", "\nlength=56\n")
    });
    assert!(stage.run(&[], &[]).status.success());
    assert!(stage.called().starts_with("feed dhcp6c tun0 --inner lan0 --length 56 "));
}

#[test]
fn the_script_of_ppp_says_which_line_and_never_fails() {
    let name = "ppp/ipv6-up.d/renumberd";
    let by_environment = Stage::new(name, "", |text| text);
    assert!(by_environment.run(&[], &[("PPP_IFACE", "ppp0")]).status.success());
    assert!(by_environment.called().starts_with("linkup ppp0 "));
    let by_argument = Stage::new(name, "echo ppp1 is no uplink >&2; exit 1", |text| text);
    assert!(by_argument.run(&["ppp1", "", "0"], &[]).status.success());
    assert!(by_argument.called().starts_with("linkup ppp1 "));
    assert_eq!(by_argument.read("logged"), "ppp1 is no uplink\n");
    let without = Stage::new(name, "", |text| text);
    assert!(without.run(&[], &[]).status.success());
    assert_eq!(without.read("called"), "");
}

/// ppp(8) runs the commands of a label, each of which begins with a blank.
#[test]
fn the_commands_of_ppp_linkup_belong_to_a_label() {
    let text = std::fs::read_to_string(contrib("ppp/ppp.linkup")).unwrap();
    let lines: Vec<&str> =
        text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert_eq!(lines, ["provider:", " !bg /usr/local/sbin/renumberd linkup INTERFACE"]);
}

/// Where shellcheck is installed it finds nothing.
#[test]
fn shellcheck_finds_nothing() {
    let scripts = SCRIPTS.map(contrib);
    match Command::new("shellcheck").args(&scripts).output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        }
        Err(error) => eprintln!("shellcheck is not tried: {error}"),
    }
    for script in scripts {
        let mode = std::fs::metadata(&script).unwrap().permissions().mode();
        assert_eq!(mode & 0o111, 0o111, "{} is executable", script.display());
        let checked = Command::new("sh").arg("-n").arg(&script).status().unwrap();
        assert!(checked.success(), "{}", script.display());
    }
}
