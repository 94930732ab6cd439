//! The laboratory proves itself: what it says of the agent is worth what is shown here.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use std::path::{Path, PathBuf};
use std::process::Command;

use ipnet::Ipv6Net;
use renumberd::lab::observe::frame::Frame;
use renumberd::wire::dhcpv6::MessageType;

use lab::client::{Client, INTERFACE, addresses};
use lab::dhcpcd::{Besides, Dhcpcd};
use lab::net::Net;
use lab::peer::Peer as _;
use lab::process::{Mounts, Process};
use lab::provider::{Era, Kind, Promise};
use lab::radvd::Radvd;
use lab::requesting::place;
use lab::scripted::{Script, Scripted};
use lab::site::{PROVIDER, Site};
use lab::tun::Tun;
use lab::wire::Wire;
use lab::{CEILING, eventually, millis, pause, secs, sys};
use renumberd::lab::site::frames::Envelope;

/// dhcpcd has resolv.conf written anew, and whoever runs it beside these tests would lose theirs.
#[test]
fn what_programs_of_others_write_is_not_in_the_machine_s_directories() {
    let net = Net::new();
    let (namespace, directory) = (net.host("own"), net.directory("own"));
    let mounts = Mounts::private(&directory);
    for place in ["etc", "run", "var/lib"] {
        let mark = Path::new("/").join(place).join(format!("renumberd-{}", std::process::id()));
        let status = mounts.command(&namespace, "touch").arg(&mark).status().unwrap();
        let own = directory.join(mark.strip_prefix("/").unwrap());
        assert!(status.success() && own.exists() && !mark.exists(), "{place}");
    }
}

/// What a test has made, and what is to be gone after it.
struct Made {
    pids: Vec<String>,
    directory: PathBuf,
}

impl Made {
    /// A program, one that it has left in the background, and a file.
    fn new(net: &Net) -> (Self, Process) {
        let namespace = net.host("lost");
        let script = "setsid sleep 60 & exec sleep 60";
        let process = Process::start("sh", namespace.command("sh").args(["-c", script]));
        let pids = eventually("both programs run", secs(5), || {
            let inside = namespace.handle().processes().unwrap();
            (inside.len() == 2).then(|| inside.iter().map(ToString::to_string).collect())
        });
        let directory = net.directory("files");
        std::fs::write(directory.join("file"), "").unwrap();
        (Self { pids, directory }, process)
    }

    fn is_gone(&self) -> bool {
        let is_there = |pid: &String| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status"));
            status.is_ok_and(|status| !status.contains("State:\tZ"))
        };
        !self.pids.iter().any(is_there) && !self.directory.exists()
    }
}

#[test]
fn a_failing_test_leaves_nothing_behind() {
    let (sender, receiver) = std::sync::mpsc::channel();
    let failed = std::panic::catch_unwind(move || {
        let net = Net::new();
        let (made, _process) = Made::new(&net);
        assert!(!made.is_gone());
        sender.send(made).unwrap();
        panic!("on purpose");
    });
    assert!(failed.is_err());
    assert!(receiver.recv().unwrap().is_gone());
}

/// Where the test below says what it has made; alone it does nothing.
const VICTIM: &str = "RENUMBERD_LAB_VICTIM";

#[test]
fn a_test_to_be_killed() {
    let Some(file) = std::env::var_os(VICTIM) else { return };
    let net = Net::new();
    let (made, _process) = Made::new(&net);
    let told = format!("{}\n{}", made.directory.display(), made.pids.join("\n"));
    std::fs::write(&file, told + "\n.").unwrap();
    pause(secs(30));
}

#[test]
fn a_test_that_is_killed_leaves_nothing_behind() {
    let net = Net::new();
    let file = net.directory("victim").join("made");
    let mut command = Command::new(std::env::current_exe().unwrap());
    let mut victim = Process::start(
        "victim",
        command.args(["--exact", "a_test_to_be_killed"]).env(VICTIM, &file),
    );
    let told = eventually("the other test has made something", secs(10), || {
        std::fs::read_to_string(&file).ok().filter(|told| told.ends_with('.'))
    });
    let mut lines = told.lines().map(str::to_owned);
    let directory = PathBuf::from(lines.next().unwrap());
    let made = Made { pids: lines.filter(|line| line != ".").collect(), directory };
    assert!(made.pids.len() == 2 && !made.is_gone());
    victim.kill();
    eventually("all of it is gone", secs(5), || made.is_gone().then_some(()));
}

#[test]
fn what_a_process_says_is_kept() {
    let net = Net::new();
    let namespace = net.host("host");
    let mut process = Process::start(
        "sh",
        namespace.command("sh").args(["-c", "echo one; echo two >&2; sleep 60"]),
    );
    process.wait_for_log("one", secs(5));
    process.wait_for_log("two", secs(5));
    assert!(!process.stop().success());
}

#[test]
fn a_kernel_client_follows_radvd() {
    let net = Net::new();
    let (router, client) = (net.router("isp"), Client::new(&net, "host", &[]));
    net.cable((&router, "isp0"), (&client.namespace, INTERFACE));
    router.link_local("isp0", PROVIDER);
    let wire = Wire::capture(&client.namespace, INTERFACE);
    let (from, to) = (Era::new(1).on_link, Era::new(2).on_link);
    let radvd = Radvd::start(&net, (&router, "isp0"), &[Promise::of(from)]);
    client.takes(from, CEILING);
    client.has_default_route(CEILING);
    radvd.advertise(&[Promise::of(to), Promise::retired(from)]);
    client.takes(to, CEILING);
    client.leaves(from, CEILING);
    let seen = wire.wait_for("the change", secs(5), |frame| frame.deprecates(from));
    assert!(seen.advertises(to));
    assert_eq!(seen.source, PROVIDER.parse::<std::net::Ipv6Addr>().unwrap());
    assert_eq!(seen.hop_limit, 255);
}

#[test]
fn a_client_with_temporary_addresses_has_them() {
    let net = Net::new();
    let (router, client) = (net.router("isp"), Client::new(&net, "host", &[("use_tempaddr", 2)]));
    net.cable((&router, "isp0"), (&client.namespace, INTERFACE));
    router.link_local("isp0", PROVIDER);
    let prefix = Era::new(1).on_link;
    let _radvd = Radvd::start(&net, (&router, "isp0"), &[Promise::of(prefix)]);
    eventually("a temporary address", CEILING, || client.has_temporary(prefix).then_some(()));
}

fn dhcpcd(site: &Site) -> Dhcpcd {
    Dhcpcd::start(place(site), Besides::NoAdvertisements)
}

fn lan_is_in(site: &Site, prefix: Ipv6Net) {
    eventually(&format!("lan0 has an address in {prefix}"), CEILING, || {
        let found = addresses(&site.dut, "lan0");
        found.iter().any(|address| prefix.contains(&address.address)).then_some(())
    });
}

/// The provider serves a real requesting router and can be switched to other prefixes.
fn serves_dhcpcd(kind: Kind) {
    let site = Site::new();
    let wire = site.uplink_wire();
    let (first, second, third) = (Era::new(1), Era::new(2), Era::new(3));
    let mut provider =
        site.provider(kind, &[Promise::of(first.on_link)], &[Promise::of(first.delegated)]);
    let mut running = dhcpcd(&site);
    lan_is_in(&site, first.delegated);
    let reply = wire.wait_for("a Reply", secs(1), |frame| frame.is_dhcp(MessageType::Reply));
    assert_eq!(reply.ia_pds()[0].prefixes[0].prefix, first.delegated);
    provider.flash(second);
    wire.wait_for("the new prefix", secs(5), |frame| frame.advertises(second.on_link));
    running.renew();
    lan_is_in(&site, second.delegated);
    provider.reboot(third);
    wire.wait_for("the new prefix", secs(5), |frame| frame.advertises(third.on_link));
    // It would go on asking the server that is gone.
    running.stop();
    let _running = dhcpcd(&site);
    lan_is_in(&site, third.delegated);
    let servers =
        wire.frames().iter().filter_map(server_of).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(servers.len(), 2, "the reboot brought another server: {servers:?}");
}

fn server_of(frame: &Frame) -> Option<String> {
    use renumberd::wire::dhcpv6_option::Dhcpv6Option;
    let reply = frame.dhcp().filter(|message| message.kind == MessageType::Reply)?;
    reply.options.iter().find_map(|option| {
        let Dhcpv6Option::ServerId(server) = option else { return None };
        Some(server.to_string())
    })
}

#[test]
fn dhcp6s_serves_dhcpcd_through_two_changes() {
    serves_dhcpcd(Kind::Kame);
}

#[test]
fn kea_serves_dhcpcd_through_two_changes() {
    serves_dhcpcd(Kind::Kea);
}

#[test]
fn the_scripted_router_serves_dhcpcd_and_solicitors() {
    let site = Site::new();
    let era = Era::new(1);
    let wire = Wire::capture(&site.dut, "wan0");
    let router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    router.rewrite(|script| script.deaf_to = vec![MessageType::Renew]);
    let _running = dhcpcd(&site);
    lan_is_in(&site, era.delegated);
    router.advertise();
    wire.wait_for("an advertisement", secs(5), |frame| frame.advertises(era.on_link));
    let before = sys::monotonic();
    let asked = site.dut.command("rdisc6").args(["-1", "-r", "1", "wan0"]).output().unwrap();
    assert!(asked.status.success(), "{}", String::from_utf8_lossy(&asked.stderr));
    eventually("one answer to one solicitation", secs(5), || {
        let asked = wire.count(before, |frame| frame.is_solicitation());
        let answered = wire.count(before, |frame| frame.advertises(era.on_link));
        ((asked, answered) == (1, 1)).then_some(())
    });
}

#[test]
fn forged_frames_arrive_as_they_were_made() {
    let site = Site::new();
    let wire = Wire::capture(&site.dut, "wan0");
    let router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(Era::new(1)));
    let message = router.script().advertisement().encode();
    let near = Envelope { hop_limit: 64, ..router.envelope() };
    let global = Envelope { source: lab::site::INTERNET, ..router.envelope() };
    router.send(&near.icmpv6(&message));
    router.send(&global.icmpv6(&message));
    for fragment in router.envelope().icmpv6_in_fragments(&message) {
        router.send(&fragment);
    }
    wire.wait_for("hop limit 64", secs(5), |f| f.hop_limit == 64 && f.advertisement().is_some());
    wire.wait_for("a global source", secs(5), |f| f.source == lab::site::INTERNET);
    // The kernel puts the fragments together again, so its checksum was right: nothing is counted
    // as an error.
    let counter = |name: &str| {
        let all = site.dut.run("cat", &["/proc/thread-self/net/snmp6"]);
        let line =
            all.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap().to_owned();
        line.split_whitespace().last().unwrap().parse::<u64>().unwrap()
    };
    eventually("the fragments are one message again", secs(5), || {
        (counter("Ip6ReasmOKs") == 1).then_some(())
    });
    assert_eq!(counter("Icmp6InErrors"), 0);
}

#[test]
fn a_tun_line_carries_packets_and_comes_back_as_another_device() {
    let site = Site::without_uplink(&[&[]]);
    let mut line = Tun::new((&site.dut, "wan0"), (&site.isp, "isp0"));
    let ping = || {
        let mut ping = site.dut.command("ping");
        ping.args(["-6", "-c", "1", "-W", "2", "fe80::1%wan0"]).output().unwrap().status.success()
    };
    let index = || site.dut.ip_json("link show dev wan0")[0]["ifindex"].as_u64().unwrap();
    assert!(ping(), "the line carries packets");
    let (wire, before) = (Wire::capture(&site.dut, "wan0"), index());
    let era = Era::new(1);
    let _radvd = Radvd::start(&site.net, (&site.isp, "isp0"), &[Promise::of(era.on_link)]);
    wire.wait_for("an advertisement", CEILING, |frame| frame.advertises(era.on_link));
    drop(wire);
    line.disconnect();
    eventually("the device is gone", secs(5), || {
        (!site.dut.ip("link show").contains("wan0")).then_some(())
    });
    pause(millis(100));
    line.connect();
    assert!(ping(), "the line carries packets again");
    assert_ne!(index(), before);
}

#[test]
fn a_switch_keeps_the_far_end_up() {
    let site = Site::new();
    site.delete_uplink();
    assert!(site.isp.ip("link show dev isp0").contains("LOWER_UP"));
    site.create_uplink();
    site.dut.settled("wan0");
    let second = site.second_provider("fe80::9");
    let ping = second.command("ping").args(["-6", "-c", "1", "-W", "2", "fe80::1%isp0"]).output();
    assert!(ping.unwrap().status.success());
}
