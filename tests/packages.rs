//! What packages bring, and what becomes of them on a real system: a Debian that is booted in a
//! namespace, between a provider and a host.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;
#[path = "packages/machine.rs"]
#[allow(
    unreachable_pub,
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "support for tests"
)]
mod machine;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Instant;

use lab::provider::Era;
use lab::scripted::{Script, Scripted};
use lab::site::{PROVIDER, Site};
use lab::{CEILING, eventually};
use machine::{Machine, fresh_root};

const SCRIPTS: [&str; 13] = [
    "package.sh",
    "debian/postinst",
    "debian/postrm",
    "debian/prerm",
    "rpm/post",
    "rpm/postun",
    "rpm/preun",
    "openrc/renumberd",
    "openrc/renumberd-rtsold",
    "freebsd/rc.d/IPV6READY",
    "freebsd/rc.d/IPV6UP",
    "freebsd/rc.d/renumberd",
    "freebsd/selftest.sh",
];
const CONFIG: &str = "/etc/renumberd.toml";

fn contrib(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib").join(name)
}

/// The package for Debian, made of the program under test by the one documented command.
fn packages() -> &'static Path {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    MADE.get_or_init(|| {
        let program = Path::new(env!("CARGO_BIN_EXE_renumberd"));
        let folder = program.parent().unwrap();
        let profile = if folder.ends_with("debug") { "dev" } else { "release" };
        let mut command = Command::new(contrib("package.sh"));
        command.args(["--no-build", "--profile", profile, "deb"]);
        command.env("CARGO_TARGET_DIR", folder.parent().unwrap());
        let output = command.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tests/install-peers.sh brings the tools: {errors}");
        Path::new(env!("CARGO_MANIFEST_DIR")).join("target/package")
    })
}

/// The one file of a kind.
fn package(kind: &str) -> PathBuf {
    let entries = fs::read_dir(packages()).unwrap().map(|entry| entry.unwrap().path());
    let found: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|end| end == kind)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn shellcheck_finds_nothing_in_any_script() {
    let scripts = SCRIPTS.map(contrib);
    let rtsold = contrib("freebsd/rc.d/renumberd_rtsold");
    let boot = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/packages/boot.sh");
    let found = Command::new("shellcheck").args(&scripts).args([rtsold, boot]).output();
    let found = found.expect("shellcheck: tests/install-peers.sh installs it");
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stdout));
}

/// PKG-03: the article starts what asks for prefixes between two markers, and ntpdate behind them.
#[test]
fn rc_scripts_start_between_the_markers() {
    let lines = |name: &str, keyword: &str| -> Vec<String> {
        let text = fs::read_to_string(contrib("freebsd/rc.d").join(name)).unwrap();
        let beginning = format!("# {keyword}: ");
        let found = text.lines().filter_map(|line| line.strip_prefix(&beginning));
        found.flat_map(str::split_whitespace).map(str::to_owned).collect()
    };
    for name in ["IPV6READY", "IPV6UP", "renumberd", "renumberd_rtsold"] {
        assert_eq!(lines(name, "PROVIDE"), [name]);
    }
    for name in ["renumberd", "renumberd_rtsold"] {
        assert_eq!(lines(name, "REQUIRE"), ["IPV6READY"]);
        assert_eq!(lines(name, "BEFORE"), ["IPV6UP"]);
    }
    assert_eq!(lines("IPV6UP", "REQUIRE"), ["IPV6READY"]);
    assert_eq!(lines("IPV6UP", "BEFORE"), ["ntpdate"]);
}

/// PKG-01: as it comes it names no interface; with the # of all keys removed it is a whole configuration.
#[test]
fn the_configuration_that_is_installed_is_an_example() {
    let text = fs::read_to_string(contrib("renumberd.toml")).unwrap();
    let keys: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| line.starts_with(|first: char| first == '[' || first.is_ascii_lowercase()))
        .collect();
    let directory = tempfile::tempdir().unwrap();
    for (content, code) in [(text.clone(), 2), (keys.join("\n"), 0)] {
        let file = directory.path().join("renumberd.toml");
        fs::write(&file, &content).unwrap();
        let checked =
            Command::new(env!("CARGO_BIN_EXE_renumberd")).arg("check").arg(&file).output();
        let checked = checked.unwrap();
        let errors = String::from_utf8_lossy(&checked.stderr);
        assert_eq!(checked.status.code(), Some(code), "{content}\n{errors}");
    }
}

/// PKG-01
#[test]
fn debian_package_has_what_belongs_to_it() {
    let deb = package("deb");
    let listed = output_of("dpkg-deb", &["--contents", deb.to_str().unwrap()]);
    let files: Vec<&str> = listed
        .lines()
        .filter(|line| line.starts_with('-'))
        .filter_map(|line| line.split(" .").nth(1))
        .collect();
    for expected in [
        "/usr/sbin/renumberd",
        "/usr/share/renumberd/renumberd.toml",
        "/usr/lib/systemd/system/renumberd-rtsold@.service",
        "/usr/lib/systemd/system/renumberd-rtsold-wait-online@.service",
        "/usr/lib/sysusers.d/renumberd.conf",
        "/usr/share/bash-completion/completions/renumberd",
        "/usr/share/man/man5/renumberd.toml.5.gz",
        "/usr/share/man/man8/renumberd-rtsold.8.gz",
    ] {
        assert!(files.contains(&expected), "{expected}: {files:#?}");
    }
    // dpkg asks nobody whose configuration is to be taken.
    let members = output_of("dpkg-deb", &["--info", deb.to_str().unwrap()]);
    assert!(!members.contains("conffiles"), "{members}");
}

/// PKG-01, PKG-02, SEC-12
#[test]
fn debian_package_from_installation_to_purge() {
    let site = Site::new();
    let era = Era::new(1);
    let _router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    let deb = package("deb");
    let machine = Machine::boot(&site.net, &site.dut, &fresh_root(), packages());
    let install = format!("dpkg --install /shared/{}", deb.file_name().unwrap().to_str().unwrap());

    // Installed, it does nothing: it has no interfaces yet.
    let start = Instant::now();
    machine.run(&install);
    let installed = start.elapsed();
    assert_eq!(machine.property("renumberd", "ActiveState"), "inactive");
    let directories = "stat -c '%U %a' /var/lib/renumberd /run/renumberd";
    assert_eq!(machine.run(directories), "renumberd 700\nrenumberd 755");
    the_units_are_sound(&machine);

    let config = lab::site::config();
    let start = Instant::now();
    machine.run(&format!("printf '%s' '{config}' >{CONFIG} && systemctl enable --now renumberd"));
    println!(
        "installed in {installed:?}, a running router {:?} later: 3 commands with the editor's",
        start.elapsed()
    );
    assert!(site.router_has("lan0", era.delegated), "it has started when its addresses are there");
    site.client().takes(era.delegated, CEILING);
    let pid = machine.property("renumberd", "MainPID");
    let status = machine.run(&format!("cat /proc/{pid}/status"));
    let field = |name: &str| -> String {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().to_owned()
    };
    // CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and CAP_NET_RAW are 10, 12 and 13.
    for set in ["CapPrm:", "CapEff:", "CapBnd:"] {
        assert_eq!(u64::from_str_radix(&field(set), 16).unwrap(), 0x3400, "{set}");
    }
    assert_eq!(field("NoNewPrivs:"), "1");
    assert_ne!(field("Uid:"), "0");
    let status = machine.run("renumberd status");
    assert!(status.contains("wan0") && !status.contains("refused"), "{status}");
    assert_eq!(machine.run("renumberd ready --timeout 30s"), "");

    // What is wrong with a configuration reaches neither the agent nor an upgrade.
    machine.run(&format!("cp {CONFIG} /root/kept && echo 'nonsense = 1' >{CONFIG}"));
    assert!(!machine.try_run("systemctl reload renumberd").status.success());
    let upgraded = machine.try_run(&install);
    let said = String::from_utf8_lossy(&upgraded.stderr);
    assert!(upgraded.status.success() && said.contains("former version"), "{said}");
    assert_eq!(machine.property("renumberd", "MainPID"), pid);

    // State is kept over an upgrade: it is not another router afterwards.
    machine.run(&format!("cp /root/kept {CONFIG} && systemctl reload renumberd"));
    let identity = |machine: &Machine| machine.run("renumberd status --json | grep -m1 duid");
    let before = identity(&machine);
    machine.run(&install);
    assert_ne!(machine.property("renumberd", "MainPID"), pid, "the new version runs");
    assert_eq!(identity(&machine), before);
    assert!(site.router_has("lan0", era.delegated));

    files_that_root_leaves_become_the_user_s(&machine);

    // A host's interface needs no file, and cannot be had twice.
    assert!(!machine.try_run("systemctl start renumberd-rtsold@wan0").status.success());
    machine.run("systemctl stop renumberd-rtsold@wan0 renumberd");
    site.dut.sysctl("wan0", "accept_ra", 2);
    machine.run("systemctl start renumberd-rtsold@wan0");
    eventually("a router on the host's interface", CEILING, || {
        let log = machine.run("journalctl -u renumberd-rtsold@wan0 -o cat");
        log.contains("the default router fe80::1 is heard").then_some(())
    });
    let status = machine.run("renumberd status");
    assert!(status.contains("uplink wan0"), "the only agent is found: {status}");
    println!("{}", machine.property("renumberd-rtsold@wan0", "StatusText"));
    machine.run("systemctl stop renumberd-rtsold@wan0 && systemctl start renumberd");

    // Removed, it leaves the site working, and what it remembers; purged, nothing.
    machine.run("dpkg --remove renumberd");
    assert!(site.router_has("lan0", era.delegated));
    machine.run(&format!("test -e {CONFIG} && test -e /var/lib/renumberd/memory.jsonl"));
    machine.run("dpkg --purge renumberd");
    let left = machine.run(
        "find / -xdev -path /shared -prune -o -path /proc -prune -o -name '*renumberd*' -print",
    );
    assert_eq!(left, "");
}

/// Root runs the agent by hand now and then: the unit takes over what it has left.
fn files_that_root_leaves_become_the_user_s(machine: &Machine) {
    machine.run("systemctl stop renumberd");
    machine.run("rm -rf /var/lib/renumberd/* /run/renumberd/*");
    machine.run("systemd-run --quiet --unit=by-hand renumberd run");
    machine.run("renumberd ready --timeout 30s && systemctl stop by-hand");
    let of_root = "find /var/lib/renumberd -user root -type f";
    assert_ne!(machine.run(of_root), "");
    machine.run("systemctl start renumberd");
    assert_eq!(machine.run(of_root), "");
    let status = machine.run("renumberd status");
    assert!(!status.contains("cannot be"), "{status}");
}

fn the_units_are_sound(machine: &Machine) {
    let units = "/usr/lib/systemd/system/renumberd*.service";
    let verified = machine.try_run(&format!("systemd-analyze verify --man=no {units}"));
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");
    // Tenths: an exposure below 2.0 counts as fine.
    let secure =
        machine.run("systemd-analyze security --no-pager --threshold=20 renumberd.service");
    println!("{}", secure.lines().last().unwrap_or_default());
}

/// PKG-04
#[test]
fn the_selftest_says_line_by_line_what_works() {
    let output = Command::new(env!("CARGO_BIN_EXE_renumberd")).arg("selftest").output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{lines}{errors}");
    assert!(lines.lines().all(|line| line.starts_with("ok      ")), "{lines}");
    for place in
        ["namespaces", "isp: RA sent", "outbound: delegated prefix", "client1: first echo reply"]
    {
        assert!(lines.contains(place), "{place}: {lines}");
    }
}

/// It is wherever a shell, an init system or another program looks for it.
#[test]
fn debian_package_as_lintian_sees_it() {
    let deb = package("deb");
    let found = Command::new("lintian").arg("--fail-on=error").arg(&deb).output();
    let found = found.expect("lintian: tests/install-peers.sh installs it");
    assert!(found.status.success(), "{}", String::from_utf8_lossy(&found.stdout));
}
