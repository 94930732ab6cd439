//! Delegation by other programs, with the programs themselves.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::Ipv6Net;
use nix::sys::signal::Signal;
use renumberd::core::delegate::{Assigned, AssignedPrefix, AssignedRouter, HostOptions};
use renumberd::engines::dhcp6s::File;
use renumberd::engines::dhcp6s::control::{self, Command, Key};
use renumberd::time::Lifetime;
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, Iaid};
use renumberd::wire::dhcpv6_service::ServiceOption;

use lab::net::Namespace;
use lab::peer::{DUID, Kind};
use lab::process::{Mounts, Process, write};
use lab::requesting::{Below, eras};
use lab::site::Site;
use lab::{eventually, millis, pause, secs, sys};

const PORT: u16 = 5548;
const KEY: Key = Key::new([0x3c; 16]);

/// dhcp6s with a file and commands of ours.
struct Dhcp6s {
    namespace: Namespace,
    directory: PathBuf,
    process: Process,
}

impl Dhcp6s {
    fn start(site: &Site, file: &File) -> Self {
        let namespace = site.isp.clone();
        let directory = site.net.directory("dhcp6s");
        std::fs::create_dir_all(directory.join("lib")).unwrap();
        write(&directory.join("key"), &KEY.file());
        write(&directory.join("conf"), &file.text);
        let mounts = Mounts::default().with(directory.join("lib"), "/var/lib/dhcpv6");
        let mut command = mounts.command(&namespace, "dhcp6s");
        command.args(["-f", "-d", "-p", &PORT.to_string(), "-c"]).arg(directory.join("conf"));
        command.arg("-k").arg(directory.join("key")).arg("-P").arg(directory.join("pid"));
        let process = Process::start("dhcp6s", command.arg("isp0"));
        let program = Self { namespace, directory, process };
        eventually("dhcp6s answers", secs(5), || program.probe().ok());
        program
    }

    fn inside(&self, work: impl Future<Output = io::Result<()>> + Send) -> io::Result<()> {
        self.namespace.inside(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(work)
        })
    }

    fn probe(&self) -> io::Result<()> {
        self.inside(control::probe(PORT))
    }

    fn send(&self, command: &Command) -> io::Result<()> {
        let since_1970 = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        self.inside(command.send(PORT, &KEY, u32::try_from(since_1970.as_secs()).unwrap()))
    }

    fn reload(&self, file: &File) {
        write(&self.directory.join("conf"), &file.text);
        self.send(&Command::Reload).unwrap();
    }
}

fn file(prefixes: &[Ipv6Net]) -> File {
    let given = |prefix: &Ipv6Net| {
        let (preferred, valid) = (Lifetime::Finite(1800), Lifetime::Finite(3600));
        AssignedPrefix { prefix: *prefix, preferred, valid }
    };
    let router = AssignedRouter {
        name: "peer".into(),
        duid: Duid::try_from(DUID.to_owned()).unwrap(),
        iaid: Some(Iaid(1)),
        prefixes: prefixes.iter().map(given).collect(),
    };
    File::render(&Assigned {
        downlink: "isp0".into(),
        rapid_commit: true,
        renew_every: None,
        options: HostOptions::default(),
        routers: vec![router],
        pools: Vec::new(),
    })
}

/// BKE-03: after a reload alone the old prefix would be confirmed; with its binding removed the next
/// Renew brings the new one.
#[test]
fn a_client_of_dhcp6s_gets_the_new_prefix_in_its_next_renew() {
    let (from, to) = eras();
    let (before, after) = (file(&[from.delegated]), file(&[to.delegated]));
    let mut below = Below::begin(Kind::Dhcpcd, |site| Dhcp6s::start(site, &before));
    below.is_given(from.delegated, Duration::ZERO);
    pause(secs(2));
    below.above.reload(&after);
    for (duid, iaid) in after.outdated(&before) {
        below.above.send(&Command::Remove(duid, iaid)).unwrap();
    }
    let since = sys::monotonic();
    below.peer.renew();
    below.is_given(to.delegated, since);
    assert!(below.follows(since).left.is_some(), "the old prefix is left");
}

/// A program that hangs or has died is told from one that has carried a command out.
#[test]
fn dhcp6s_that_hangs_or_is_dead_is_noticed() {
    let site = Site::with_clients(&[]);
    let mut program = Dhcp6s::start(&site, &file(&[]));
    program.process.signal(Signal::SIGSTOP);
    let hangs = program.send(&Command::Reload).unwrap_err();
    assert_eq!(hangs.kind(), io::ErrorKind::TimedOut);
    program.process.signal(Signal::SIGCONT);
    eventually("it goes on", secs(5), || program.probe().ok());
    program.process.kill();
    let is_dead = program.send(&Command::Reload).unwrap_err();
    assert_eq!(is_dead.kind(), io::ErrorKind::ConnectionRefused);
}

/// Everything that a file of ours can hold is read by the program, at start and on a reload, and
/// its own control command works with the key.
#[test]
fn dhcp6s_reads_every_statement_that_is_rendered() {
    let site = Site::with_clients(&[]);
    let address = "2001:db8::35".parse::<std::net::Ipv6Addr>().unwrap();
    let option = |code, body: &[u8]| Dhcpv6Option::Unknown { code, body: body.to_vec() };
    let services = ServiceOption::select(&[
        option(21, b"\x03sip\x07example\0"),
        option(22, &address.octets()),
        option(31, &address.octets()),
    ]);
    let servers = vec![address, "fd00::35".parse().unwrap()];
    let options = HostOptions { servers, search: vec!["lan-1.example".into()], services };
    let given = |prefix: &str, preferred, valid| {
        let (preferred, valid) = (Lifetime::from_wire(preferred), Lifetime::from_wire(valid));
        vec![AssignedPrefix { prefix: prefix.parse().unwrap(), preferred, valid }]
    };
    let router = |name: &str, duid: &[u8], iaid, prefixes| AssignedRouter {
        name: name.into(),
        duid: Duid::new(duid).unwrap(),
        iaid: Some(Iaid(iaid)),
        prefixes,
    };
    let assigned = Assigned {
        downlink: "isp0".into(),
        rapid_commit: true,
        renew_every: None,
        options,
        routers: vec![
            router("one", &[0, 3, 0xff], 1, given("2001:db8::/64", u32::MAX, u32::MAX)),
            router("one again", &[0, 3, 0xff], u32::MAX, given("fd00:0:0:f0::/60", 1, 2)),
            router("long", &[7; 128], 1, given("3fff::/20", u32::MAX - 1, u32::MAX)),
            router("without", &[0; 3], 1, Vec::new()),
        ],
        pools: Vec::new(),
    };
    let mut program = Dhcp6s::start(&site, &File::render(&assigned));
    program.reload(&File::render(&assigned));
    program.process.wait_for_log("server reloaded", secs(5));
    assert_eq!(File::render(&assigned).left_out, [""; 0]);
    let (key, port) = (program.directory.join("key"), PORT.to_string());
    let key = key.to_str().unwrap();
    let seen = program.process.lines().len();
    program.namespace.run("dhcp6ctl", &["-S", "-k", key, "-p", &port, "reload"]);
    eventually("dhcp6ctl reloads", secs(5), || {
        let lines = program.process.lines();
        lines[seen..].iter().any(|line| line.contains("server reloaded")).then_some(())
    });
    pause(millis(50));
    let odd = ["parse", "failed", "authentication failure", "out of range"];
    let lines = program.process.lines();
    let complaint = lines.iter().find(|line| odd.iter().any(|word| line.contains(word)));
    assert_eq!(complaint, None);
}
