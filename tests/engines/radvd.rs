//! What is rendered, as radvd itself takes and sends it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::path::Path;
use std::time::Duration;

use ipnet::Ipv6Net;
use nix::sys::signal::Signal;
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;
use renumberd::core::engine::Advertised;
use renumberd::engines::radvd;
use renumberd::engines::version::Version;
use renumberd::engines::{Omitted, Rendered};
use renumberd::time::Lifetime;
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::{NdpOption, Preference};

use crate::lab::net::{Namespace, Net};
use crate::lab::process::{Process, write};
use crate::lab::wire::Wire;
use crate::lab::{millis, pause, secs, sys};
use crate::orders;

/// Debian's, and the newest.
const OLD: &str = "2.19";
const NEW: &str = "2.21";
/// Orders that are tried with the program itself.
const TRIED: usize = 60;

fn render(interface: &str, order: &Advertised, version: &str) -> Rendered {
    radvd::render(interface, order, &Version::find(version).unwrap())
}

#[test]
fn the_section_of_a_link_with_everything() {
    let rendered = render("lan0", &orders::full(), OLD);
    assert_eq!(rendered.text, include_str!("radvd-2.19.conf"));
    let pref64 = Omitted::Pref64("64:ff9b::/96".parse().unwrap());
    let portal = Omitted::CaptivePortal("https://portal.example.org/".to_owned());
    assert_eq!(rendered.omitted, [pref64, portal]);
}

#[test]
fn what_a_version_can_say_it_says() {
    let rendered = render("lan0", &orders::full(), NEW);
    assert_eq!(rendered.text, include_str!("radvd-2.21.conf"));
    assert_eq!(rendered.omitted, []);
}

#[test]
fn an_interface_that_the_grammar_takes_for_something_else_is_refused() {
    for name in ["prefix", "On", "7", "1.5", "lan0 {", "advsendadvert", "a-very-long-name", ""] {
        let rendered = render(name, &orders::full(), OLD);
        assert_eq!(rendered.text, "", "{name:?}");
        assert_eq!(rendered.omitted, [Omitted::Interface(name.to_owned())]);
    }
    for name in ["lan0", "br-lan", "wlan", "eth0.10", "6in4"] {
        assert!(render(name, &orders::full(), OLD).text.contains(name));
    }
}

#[test]
fn radvd_accepts_every_file_that_is_rendered() {
    let net = Net::new();
    let namespace = net.router("dut");
    let file = net.directory("radvd").join("radvd.conf");
    for (order, rendered) in tried() {
        write(&file, &rendered.text);
        let mut command = namespace.command("radvd");
        command.args(["--configtest", "--logmethod", "stderr", "--config"]).arg(&file);
        let output = command.output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{complaint}\n{}\n{order:?}", rendered.text);
    }
}

/// BKE-05: what is on the wire is what was ordered, option by option.
#[test]
fn radvd_sends_what_was_ordered() {
    let net = Net::new();
    let (router, host) = (net.router("dut"), net.host("host"));
    net.cable((&router, "lan0"), (&host, "eth0"));
    router.settled("lan0");
    let wire = Wire::capture(&host, "eth0");
    let file = net.directory("radvd").join("radvd.conf");
    let mut program: Option<Process> = None;
    for (order, rendered) in tried() {
        let since = sys::monotonic();
        write(&file, &rendered.text);
        match &program {
            Some(program) => program.signal(Signal::SIGHUP),
            None => program = Some(start(&router, &file)),
        }
        let meant = Said::meant(&order, &rendered.omitted);
        let begun = sys::monotonic();
        // An answer to a solicitation may still say what was ordered before.
        while !heard_since(&wire, since).contains(&meant) {
            let heard = heard_since(&wire, since);
            let waited = sys::monotonic() - begun;
            assert!(waited < secs(5), "{heard:#?}\n{meant:#?}\n{}", rendered.text);
            pause(millis(5));
        }
    }
}

/// What the advertisements from each one on, since then, say together.
fn heard_since(wire: &Wire, since: Duration) -> Vec<Said> {
    let frames = wire.frames();
    let frames = frames.iter().filter(|frame| frame.at >= since);
    let all: Vec<_> = frames.filter_map(|frame| frame.advertisement()).collect();
    let from = |first: usize| {
        let mut said = Said::default();
        all[first..].iter().for_each(|advertisement| said.add(advertisement));
        said
    };
    (0..all.len()).map(from).collect()
}

fn start(namespace: &Namespace, file: &Path) -> Process {
    let mut command = namespace.command("radvd");
    command.args(["--nodaemon", "--logmethod", "stderr", "--config"]).arg(file);
    command.arg("--pidfile").arg(file.with_extension("pid"));
    Process::start("radvd", &mut command)
}

/// The same orders in each run.
fn tried() -> Vec<(Advertised, Rendered)> {
    let mut runner = TestRunner::deterministic();
    let mut orders = vec![orders::full()];
    while orders.len() < TRIED {
        let mut order = orders::any_order().new_tree(&mut runner).unwrap().current();
        order.link_mtu = 1500;
        orders.push(order);
    }
    let rendered = |order: Advertised| {
        let rendered = render("lan0", &order, OLD);
        (order, rendered)
    };
    orders.into_iter().map(rendered).collect()
}

/// Everything that some advertisements say, however it is split.
#[derive(PartialEq, Debug, Default)]
struct Said {
    header: BTreeSet<(u8, bool, bool, Preference, u16, u32, u32)>,
    /// L, A, valid, preferred.
    prefixes: BTreeMap<Ipv6Net, (bool, bool, Lifetime, Lifetime)>,
    mtu: Option<u32>,
    routes: BTreeMap<Ipv6Net, (Preference, Lifetime)>,
    servers: BTreeMap<Ipv6Addr, Lifetime>,
    names: BTreeMap<String, Lifetime>,
    has_source: bool,
}

impl Said {
    fn add(&mut self, advertisement: &RouterAdvertisement) {
        let RouterAdvertisement {
            hop_limit,
            managed,
            other,
            preference,
            router_lifetime,
            reachable_time,
            retrans_timer,
            ref options,
            snac_router: _,
        } = *advertisement;
        self.header.insert((
            hop_limit,
            managed,
            other,
            preference,
            router_lifetime,
            reachable_time,
            retrans_timer,
        ));
        for option in options {
            match option {
                NdpOption::SourceLinkLayer(_) => self.has_source = true,
                NdpOption::Prefix(p) => {
                    self.prefixes.insert(p.prefix, (p.on_link, p.autonomous, p.valid, p.preferred));
                }
                NdpOption::Mtu(mtu) => self.mtu = Some(*mtu),
                NdpOption::Route(route) => {
                    self.routes.insert(route.prefix, (route.preference, route.lifetime));
                }
                NdpOption::Rdnss { lifetime, servers } => {
                    self.servers.extend(servers.iter().map(|server| (*server, *lifetime)));
                }
                NdpOption::Dnssl { lifetime, names } => {
                    self.names.extend(names.iter().map(|name| (name.clone(), *lifetime)));
                }
                NdpOption::Unknown { kind: 7, .. } => {} // the Advertisement Interval option
                other => panic!("{other:?} is on the wire"),
            }
        }
    }

    /// What is to be on the wire, by what is reported as left out.
    fn meant(order: &Advertised, omitted: &[Omitted]) -> Self {
        let is_said = |what: &Omitted| !omitted.contains(what);
        let max = u32::try_from(order.rules.max_interval.as_secs().clamp(4, 1800)).unwrap();
        let mut advertisement = order.advertisement.clone();
        let seconds = advertisement.router_lifetime;
        if !is_said(&Omitted::RouterLifetime(seconds)) {
            advertisement.router_lifetime = if u32::from(seconds) < max { 0 } else { 9000 };
        }
        if advertisement.router_lifetime == 0 {
            advertisement.preference = Preference::Medium;
        }
        for option in &mut advertisement.options {
            if let NdpOption::Dnssl { lifetime, names } = option {
                names.retain(|name| is_said(&Omitted::SearchDomain(name.clone())));
                if lifetime.to_wire() < max {
                    *lifetime = Lifetime::ZERO;
                }
            }
        }
        advertisement.options.retain(|option| match option {
            NdpOption::Mtu(mtu) => is_said(&Omitted::Mtu(*mtu)),
            NdpOption::Pref64(pref64) => {
                assert!(!is_said(&Omitted::Pref64(pref64.prefix)));
                false
            }
            NdpOption::CaptivePortal(uri) => {
                assert!(!is_said(&Omitted::CaptivePortal(uri.clone())));
                false
            }
            _ => true,
        });
        let mut said = Self::default();
        said.add(&advertisement);
        said
    }
}

/// Lifetimes that run down do so on the wire, and those of a deprecated prefix are still there.
#[test]
fn radvd_counts_down_what_runs_down_and_keeps_what_is_deprecated() {
    let net = Net::new();
    let (router, host) = (net.router("dut"), net.host("host"));
    net.cable((&router, "lan0"), (&host, "eth0"));
    router.settled("lan0");
    let wire = Wire::capture(&host, "eth0");
    let file = net.directory("radvd").join("radvd.conf");
    let mut order = orders::full();
    (order.rules.min_interval, order.rules.max_interval) = (secs(3), secs(4));
    order.running_down.insert("2001:db8:3:5::/64".parse().unwrap());
    write(&file, &render("lan0", &order, OLD).text);
    let _program = start(&router, &file);
    let lifetimes = |frame: &renumberd::lab::observe::frame::Frame, prefix: &str| {
        let prefix: Ipv6Net = prefix.parse().unwrap();
        let found = frame.prefixes().into_iter().find(|found| found.prefix == prefix);
        found.map(|found| (found.valid.to_wire(), found.preferred.to_wire()))
    };
    let counted = wire.wait_for("a later advertisement", secs(20), |frame| {
        lifetimes(frame, "2001:db8:2:5::/64").is_some_and(|(valid, _)| valid <= 893)
    });
    let (valid, preferred) = lifetimes(&counted, "2001:db8:2:5::/64").unwrap();
    assert_eq!(valid - preferred, 450);
    assert_eq!(lifetimes(&counted, "2001:db8:3:5::/64"), Some((700, 0)));
    assert_eq!(lifetimes(&counted, "2001:db8:1:5::/64"), Some((0, 0)));
    assert!(counted.at > Duration::ZERO);
}
