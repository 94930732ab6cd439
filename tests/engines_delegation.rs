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
use renumberd::core::delegate::{
    Assigned, AssignedPool, AssignedPrefix, AssignedRouter, HostOptions,
};
use renumberd::engines::dhcp6s::File;
use renumberd::engines::dhcp6s::control::{self, Command, Key};
use renumberd::engines::kea::control::{Failure, Lease};
use renumberd::engines::kea::{self, Configured, Files};
use renumberd::time::Lifetime;
use renumberd::wire::dhcpv6::MessageType;
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, Iaid};
use renumberd::wire::dhcpv6_service::ServiceOption;

use lab::above_program;
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

    fn probe(&self) -> io::Result<()> {
        inside(&self.namespace, control::probe(PORT))
    }

    fn send(&self, command: &Command) -> io::Result<()> {
        let since_1970 = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
        let seconds = u32::try_from(since_1970.as_secs()).unwrap();
        inside(&self.namespace, command.send(PORT, &KEY, seconds))
    }

    fn reload(&self, file: &File) {
        write(&self.directory.join("conf"), &file.text);
        self.send(&Command::Reload).unwrap();
    }
}

/// Runs `work` where its connections reach the programs of a namespace.
fn inside<T: Send>(namespace: &Namespace, work: impl Future<Output = T> + Send) -> T {
    namespace.inside(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(work)
    })
}

fn file(prefixes: &[Ipv6Net]) -> File {
    File::render(&assigned(prefixes))
}

fn assigned(prefixes: &[Ipv6Net]) -> Assigned {
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
    Assigned {
        downlink: "isp0".into(),
        server: Duid::from_uuid([1; 16]),
        rapid_commit: true,
        renew_every: None,
        options: HostOptions::default(),
        routers: vec![router],
        pools: Vec::new(),
    }
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
        server: Duid::from_uuid([1; 16]),
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

/// Kea with a configuration and commands of ours.
struct Kea {
    namespace: Namespace,
    files: Files,
    process: Process,
}

impl Kea {
    fn start(site: &Site, assigned: &Assigned) -> Self {
        let namespace = site.isp.clone();
        let directory = site.net.directory("kea");
        let lease_commands = kea::find_lease_commands().expect("kea-common is installed");
        let (state, database, password, pair) = (directory.clone(), None, None, None);
        let files = Files { directory, state, lease_commands, database, password, pair };
        let configured = Configured::render(assigned, &files);
        let config = files.directory.join("kea.json");
        write(&config, &configured.json.to_string());
        let mut command = namespace.command("kea-dhcp6");
        command.arg("-c").arg(config);
        for directory in ["PIDFILE", "LOCKFILE"] {
            command.env(format!("KEA_{directory}_DIR"), &files.directory);
        }
        let process = Process::start("kea", &mut command);
        let kea = Self { namespace, files, process };
        eventually("Kea answers", secs(10), || kea.version().ok());
        kea
    }

    fn inside<T: Send>(&self, work: impl Future<Output = T> + Send) -> T {
        inside(&self.namespace, work)
    }

    fn version(&self) -> Result<String, Failure> {
        self.inside(kea::control::version(&self.files.socket()))
    }

    /// As a change does it; the prefixes whose leases were removed.
    fn renumber(&self, assigned: &Assigned) -> Vec<Ipv6Net> {
        let (configured, socket) = (Configured::render(assigned, &self.files), self.files.socket());
        self.inside(async {
            kea::control::configure(&socket, &configured).await.unwrap();
            let leases = kea::control::leases(&socket, 1).await.unwrap();
            let is_stale = |one: &Lease| !configured.gives(&one.prefix, &one.duid);
            let stale = leases.into_iter().filter(is_stale);
            let stale: Vec<Ipv6Net> = stale.map(|lease| lease.prefix).collect();
            kea::control::remove(&socket, &stale).await.unwrap();
            stale
        })
    }
}

/// A Renew after a change brings the new prefix from a reservation, and withdraws the old one.
#[test]
fn a_client_of_kea_gets_the_new_prefix_in_its_next_renew() {
    let (from, to) = eras();
    let (before, after) = (assigned(&[from.delegated]), assigned(&[to.delegated]));
    let mut below = Below::begin(Kind::Dhcpcd, |site| Kea::start(site, &before));
    below.is_given(from.delegated, Duration::ZERO);
    let shown = below.wire.frames();
    let reply = shown.iter().rfind(|frame| frame.is_dhcp(MessageType::Reply)).unwrap();
    let server = reply.dhcp().unwrap().server_id().unwrap();
    assert!(server.octets().ends_with(before.server.octets()), "it is known as this machine");
    pause(secs(2));
    assert_eq!(below.above.renumber(&after), [from.delegated]);
    let since = sys::monotonic();
    below.peer.renew();
    below.is_given(to.delegated, since);
    assert!(below.follows(since).left.is_some(), "the old prefix is left");
}

/// A part of a pool is leased, listed with whose it is, and moves with its block.
#[test]
fn a_pool_of_kea_moves_with_the_prefix() {
    let (from, to) = eras();
    let pool = |prefix: Ipv6Net| {
        let (preferred, valid) = (Lifetime::Finite(1800), Lifetime::Finite(3600));
        let blocks = vec![AssignedPrefix { prefix, preferred, valid }];
        let pools = vec![AssignedPool { name: "guests".into(), length: 60, blocks }];
        Assigned { routers: Vec::new(), pools, ..assigned(&[]) }
    };
    let mut below = Below::begin(Kind::Dhcpcd, |site| Kea::start(site, &pool(from.delegated)));
    let leases = below.above.inside(kea::control::leases(&below.above.files.socket(), 1)).unwrap();
    let [lease] = leases.as_slice() else { panic!("{leases:?}") };
    assert!(from.delegated.contains(&lease.prefix) && lease.prefix.prefix_len() == 60);
    assert_eq!((lease.duid.to_string().as_str(), lease.iaid), (DUID, Iaid(1)));
    pause(secs(2));
    assert_eq!(below.above.renumber(&pool(to.delegated)), [lease.prefix]);
    let since = sys::monotonic();
    below.peer.renew();
    assert!(below.follows(since).left.is_some(), "the old prefix is left");
}

#[test]
fn kea_that_hangs_or_is_dead_is_noticed() {
    let site = Site::with_clients(&[]);
    let mut kea = Kea::start(&site, &assigned(&[]));
    kea.process.signal(Signal::SIGSTOP);
    let Err(Failure::Silent(hangs)) = kea.version() else { panic!("it answers") };
    assert_eq!(hangs.kind(), io::ErrorKind::TimedOut);
    kea.process.signal(Signal::SIGCONT);
    eventually("it goes on", secs(5), || kea.version().ok());
    kea.process.kill();
    assert!(matches!(kea.version(), Err(Failure::Silent(_))));
}

#[test]
fn an_agent_below_follows_a_change_of_dhcp6s() {
    above_program::renumbers("dhcp6s");
}

#[test]
fn an_agent_below_follows_a_change_of_kea() {
    above_program::renumbers("kea");
}

#[test]
fn dhcpcd_with_a_hook_follows_a_change_of_dhcp6s() {
    above_program::renumbers_dhcpcd("dhcp6s");
}

#[test]
fn dhcpcd_with_a_hook_follows_a_change_of_kea() {
    above_program::renumbers_dhcpcd("kea");
}

#[test]
fn dhcp6s_that_is_killed_during_a_change_is_started_anew() {
    above_program::is_restarted_on("dhcp6s", Signal::SIGKILL);
}

#[test]
fn kea_that_is_killed_during_a_change_is_started_anew() {
    above_program::is_restarted_on("kea", Signal::SIGKILL);
}

#[test]
fn dhcp6s_that_hangs_during_a_change_is_started_anew() {
    above_program::is_restarted_on("dhcp6s", Signal::SIGSTOP);
}

#[test]
fn kea_that_hangs_during_a_change_is_started_anew() {
    above_program::is_restarted_on("kea", Signal::SIGSTOP);
}

#[test]
fn dhcp6s_that_is_not_there_is_named_and_all_else_goes_on() {
    above_program::is_missed("dhcp6s");
}

#[test]
fn kea_that_is_not_there_is_named_and_all_else_goes_on() {
    above_program::is_missed("kea");
}

#[test]
fn dhcp6s_of_a_killed_agent_is_replaced_by_the_next() {
    above_program::outlives_a_crash("dhcp6s");
}

#[test]
fn kea_of_a_killed_agent_is_replaced_by_the_next() {
    above_program::outlives_a_crash("kea");
}

#[test]
fn dhcp6s_hears_an_interface_that_was_made_anew() {
    above_program::hears_an_interface_made_anew("dhcp6s");
}

#[test]
fn kea_hears_an_interface_that_was_made_anew() {
    above_program::hears_an_interface_made_anew("kea");
}

#[test]
fn dhcp6s_and_the_built_in_change_places_on_a_reload() {
    above_program::changes_places("dhcp6s");
}

#[test]
fn kea_and_the_built_in_change_places_on_a_reload() {
    above_program::changes_places("kea");
}

#[test]
fn dhcp6s_ends_with_the_agent() {
    above_program::ends_with_the_agent("dhcp6s");
}

#[test]
fn kea_ends_with_the_agent() {
    above_program::ends_with_the_agent("kea");
}

/// BKE-20
#[test]
fn dhcp6s_that_is_upgraded_is_started_anew_with_the_next_change() {
    above_program::is_upgraded("dhcp6s", "dhcp6s");
}

/// BKE-20
#[test]
fn kea_that_is_upgraded_is_started_anew_with_the_next_change() {
    above_program::is_upgraded("kea", "kea-dhcp6");
}

/// BKE-07
#[test]
fn dhcp6s_whose_file_cannot_be_written_has_not_done_what_it_should() {
    above_program::is_behind_without_a_file("dhcp6s", "dhcp6s-isp0.conf");
}
