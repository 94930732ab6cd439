//! Kea in the built-in delegator's place, led by the agent: pools, lease databases, two servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use std::io::Write as _;
use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::net::ALL_DHCP_SERVERS;
use renumberd::time::Lifetime;
use renumberd::wire::dhcpv6::{Message, MessageType, TransactionId};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, IaPd, Iaid};
use serde_json::Value;

use lab::above_program::{self, ProgramSide};
use lab::agent::Agent;
use lab::delegating::{INTERFACE, next_hop, next_hop_in, site_prefix};
use lab::net::Namespace;
use lab::postgresql::Postgresql;
use lab::provider::Era;
use lab::requesting::eras;
use lab::site::{CUSTOMER, DUID, Site};
use lab::{CEILING, eventually, millis, pause, secs};

/// Where two servers reach each other.
const INTERCONNECT: [&str; 2] = ["fd00:ee::1", "fd00:ee::2"];

/// A site with a static prefix, of which whoever asks gets a part.
fn pool(era: Era, lines: &str) -> String {
    format!(
        "grace = \"2s\"\n{lines}\n[static.site]\nprefix = \"{}\"\n\
         [downlink.{INTERFACE}]\nsubnet = \"0x0/64\"\ndelegator = \"kea\"\n\
         [pool.guests]\ndownlink = \"{INTERFACE}\"\nprefix = \"0x1/52\"\nlength = 56\n",
        site_prefix(era)
    )
}

/// What the router below holds of an era, once packets find it.
fn settles(site: &Site, below: &Agent, era: Era) -> Ipv6Net {
    eventually(
        &format!("a part of {} is in use below and routed", site_prefix(era)),
        CEILING,
        || {
            let held = below.status().delegated("wan0");
            let held = held.into_iter().find(|held| site_prefix(era).contains(held))?;
            let is_used = site.router_has("lan0", held);
            let is_routed = next_hop(site, held) == Some(CUSTOMER.parse().unwrap());
            (is_used && is_routed).then_some(held)
        },
    )
}

/// Waits until nothing is left of what was held once.
fn forgets(site: &Site, below: &Agent, held: Ipv6Net) {
    eventually(&format!("nothing is left of {held}"), CEILING, || {
        let is_held = below.status().delegated("wan0").contains(&held);
        (!is_held && next_hop(site, held).is_none()).then_some(())
    });
}

/// BKE-12: Kea says who holds which part, and the messages of that router where it is.
#[test]
fn routes_follow_what_kea_gives_of_a_pool() {
    let site = Site::new();
    let (from, to) = eras();
    let mut above = ProgramSide::with(&site, "kea", &pool(from, ""));
    let below = site.agent(&[]);
    let held = settles(&site, &below, from);
    assert_eq!(above.agent.status().conditions("next-hop-unknown"), [""; 0]);
    pause(secs(3));
    above.renumber(to);
    let next = settles(&site, &below, to);
    forgets(&site, &below, held);
    // The machine is started anew: what is below /run is lost, and leases are not.
    above.kill();
    std::fs::remove_dir_all(above.agent.runtime()).unwrap();
    above.agent.restart();
    let leased = eventually("Kea answers", CEILING, || leases(&above));
    assert_eq!(leased, [next]);
    assert_eq!(settles(&site, &below, to), next);
    assert!(above.agent.status().bindings().contains(&(next, "given".to_owned())));
}

/// What Kea has leased; none while it does not answer.
fn leases(above: &ProgramSide) -> Option<Vec<Ipv6Net>> {
    let socket = above.agent.runtime().join(format!("kea-{INTERFACE}/control"));
    let mut stream = UnixStream::connect(socket).ok()?;
    stream.write_all(br#"{"command": "lease6-get-all"}"#).ok()?;
    stream.shutdown(std::net::Shutdown::Write).ok()?;
    let answer: Value = serde_json::from_reader(stream).ok()?;
    let leases = answer["arguments"]["leases"].as_array()?.iter();
    let prefix = |lease: &Value| {
        let (address, length) = (lease["ip-address"].as_str()?, lease["prefix-len"].as_u64()?);
        format!("{address}/{length}").parse().ok()
    };
    leases.map(prefix).collect()
}

/// The usual site, with two prefixes for one IA_PD, the second with lifetimes of its own.
fn two_prefixes(era: Era) -> String {
    let second = "[static.second]\nprefix = \"fd00:7::/48\"\n";
    above_program::config("kea", era, second)
}

/// CRV-07: one IA_PD gets both prefixes, and T1 is short, as Kea sends no Reconfigure message.
#[test]
fn one_ia_pd_of_kea_has_several_prefixes() {
    let site = Site::new();
    let (from, to) = eras();
    let wire = site.uplink_wire();
    let above = ProgramSide::with(&site, "kea", &two_prefixes(from));
    let below = site.agent(&[]);
    let second: Ipv6Net = "fd00:7:0:100::/56".parse().unwrap();
    let holds = |wanted: [Ipv6Net; 2]| {
        eventually(&format!("{wanted:?} are held below"), CEILING, || {
            let held = below.status().delegated("wan0");
            (held.len() == 2 && wanted.iter().all(|one| held.contains(one))).then_some(())
        });
    };
    holds([from.delegated, second]);
    let frames = wire.frames();
    let reply = frames.iter().rfind(|frame| frame.is_dhcp(MessageType::Reply)).unwrap();
    let reply = reply.dhcp().unwrap();
    let t1 = reply.ia_pds().next().unwrap().t1;
    assert_eq!(t1.seconds(), Some(60), "{reply:?}");
    pause(secs(3));
    above.renumber(to);
    holds([to.delegated, second]);
    eventually("nothing of the old prefix is left", CEILING, || {
        let leased = leases(&above)?;
        (leased.len() == 2 && !leased.contains(&from.delegated)).then_some(())
    });
}

/// A router that asks while Kea starts gets all of its prefixes or no answer: after an answer with a
/// part of them, it would come for the others with its next Renew only.
#[test]
fn a_kea_that_starts_gives_all_prefixes_or_does_not_answer() {
    let site = Site::new();
    let (from, _) = eras();
    let wire = site.uplink_wire();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| site.dut.inside(|| solicit_until(&is_over, site.dut.index("wan0"))));
        let _above = ProgramSide::with(&site, "kea", &two_prefixes(from));
        wire.wait_for("an Advertise", CEILING, |frame| frame.is_dhcp(MessageType::Advertise));
        pause(millis(300));
        is_over.store(true, Ordering::Relaxed);
    });
    for frame in wire.frames().iter().filter(|frame| frame.is_dhcp(MessageType::Advertise)) {
        let message = frame.dhcp().unwrap();
        let prefixes: usize = message.ia_pds().map(|ia_pd| ia_pd.prefixes.len()).sum();
        assert_eq!(prefixes, 2, "{message:?}");
    }
}

/// Sends Solicits of the usual router, thousands a second.
fn solicit_until(is_over: &AtomicBool, interface: u32) {
    let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
    let ia_pd = IaPd { iaid: Iaid(1), t1, t2, prefixes: Vec::new(), status: None };
    let duid = DUID.to_owned().try_into().unwrap();
    let options = vec![Dhcpv6Option::ClientId(duid), Dhcpv6Option::IaPd(ia_pd)];
    let transaction_id = TransactionId([1, 2, 3]);
    let solicit = Message { kind: MessageType::Solicit, transaction_id, options }.encode();
    let socket = UdpSocket::bind("[::]:546").unwrap();
    let to = SocketAddrV6::new(ALL_DHCP_SERVERS, 547, 0, interface);
    while !is_over.load(Ordering::Relaxed) {
        // The link comes up meanwhile.
        let _ = socket.send_to(&solicit, to);
        pause(Duration::from_micros(100));
    }
}

/// The agent and Kea were dead when the prefix changed: what the file of leases says of the old one
/// is nobody's.
#[test]
fn a_change_while_kea_and_the_agent_are_dead_leaves_nothing_of_the_old_prefix() {
    let site = Site::new();
    let (from, to) = eras();
    let mut above = ProgramSide::with(&site, "kea", &pool(from, ""));
    let below = site.agent(&[]);
    let held = settles(&site, &below, from);
    above.kill();
    lab::agent::home(&site.net, &site.isp).configure(&pool(to, "")).unwrap();
    above.agent.restart();
    settles(&site, &below, to);
    forgets(&site, &below, held);
    let leased = leases(&above).expect("Kea answers");
    assert!(!leased.contains(&held), "{leased:?}");
}

/// Two servers on one link: the first router and another one.
struct Two {
    site: Site,
    /// Where each has its leases, and who its partner is.
    engines: [String; 2],
    second: Namespace,
    above: [ProgramSide; 2],
    below: Agent,
}

impl Two {
    fn start(site: Site, engines: [String; 2]) -> Self {
        let second = site.second_provider("fe80::b");
        site.isp.ip(&format!("addr add {}/64 dev {INTERFACE} nodad", INTERCONNECT[0]));
        second.ip(&format!("addr add {}/64 dev {INTERFACE} nodad", INTERCONNECT[1]));
        let first = ProgramSide::with(&site, "kea", &pool(eras().0, &engines[0]));
        let config = pool(eras().0, &engines[1]);
        let config = config.replace("delegator", "address = \"::2\"\ndelegator");
        let other = ProgramSide::inside(&site, &second, "kea", &config);
        let above = [first, other];
        above.iter().for_each(serves);
        let below = site.agent(&[]);
        Self { site, engines, second, above, below }
    }

    /// What is held below of an era, once both servers have a route to it that have one at all.
    fn settles(&self, era: Era, namespaces: &[&Namespace]) -> Ipv6Net {
        let to: Ipv6Addr = CUSTOMER.parse().unwrap();
        eventually(&format!("a part of {} is in use below", site_prefix(era)), CEILING, || {
            let held = self.below.status().delegated("wan0");
            let held = held.into_iter().find(|held| site_prefix(era).contains(held))?;
            let is_routed = |namespace: &&Namespace| next_hop_in(namespace, held) == Some(to);
            let is_used = self.site.router_has("lan0", held);
            (is_used && namespaces.iter().all(is_routed)).then_some(held)
        })
    }

    /// Both change, with the first dead; it comes back with leases of before.
    fn survives(&mut self) {
        let (from, to) = eras();
        let held = self.settles(from, &[&self.site.isp, &self.second]);
        pause(secs(3));
        self.above[0].kill();
        self.above[1].renumber(to);
        let next = self.settles(to, &[&self.second]);
        let is_old = |prefix: &Ipv6Net| site_prefix(from).contains(prefix);
        let leaves = |above: &ProgramSide| {
            eventually("nothing of the old prefix is leased", CEILING, || {
                leases(above).filter(|leased| !leased.iter().any(is_old))
            })
        };
        leaves(&self.above[1]);
        lab::agent::home(&self.site.net, &self.site.isp)
            .configure(&pool(to, &self.engines[0]))
            .unwrap();
        self.above[0].agent.restart();
        serves(&self.above[0]);
        self.below.renew();
        assert_eq!(self.settles(to, &[&self.site.isp, &self.second]), next);
        for above in &self.above {
            assert_eq!(leaves(above), [next]);
        }
        eventually("nothing of the old prefix is held", CEILING, || {
            (!self.below.status().delegated("wan0").contains(&held)).then_some(())
        });
    }
}

/// Waits until a server has taken over its configuration.
fn serves(above: &ProgramSide) {
    eventually("Kea runs", CEILING, || {
        (above.agent.status().engine("delegator", INTERFACE)["state"] == "running").then_some(())
    });
}

/// Both have their leases in one database, and the one that is dead is not missed.
#[test]
fn two_keas_on_one_postgresql_database_survive_a_change() {
    let site = Site::new();
    let mut database = Postgresql::start(&site.net);
    let host = database.host().display();
    let engine = format!(
        "[engine.kea]\nlease-database = {{ name = \"kea\", user = \"kea\", host = \"{host}\" }}\n"
    );
    let mut two = Two::start(site, [engine.clone(), engine]);
    two.survives();
    let leases = database.leases();
    assert_eq!(leases.len(), 1, "{leases:?}");
    // The database is away for a moment: that is named, and then it is over.
    let is_named = |above: &ProgramSide| {
        let status = above.agent.status();
        ["engine-refused", "engine-silent", "engine-ended"]
            .iter()
            .any(|name| status.complains(name))
    };
    database.stop();
    eventually("it is named", CEILING, || is_named(&two.above[1]).then_some(()));
    database.restart();
    eventually("it is over", CEILING, || (!is_named(&two.above[1])).then_some(()));
    serves(&two.above[1]);
    assert_eq!(two.settles(eras().1, &[&two.second]).prefix_len(), 56);
}

/// Each has leases of its own, and those of the other.
#[test]
fn two_keas_in_hot_standby_survive_a_change() {
    let engine = |role: &str, own: usize, other: usize| {
        let [own, other] = [own, other].map(|which| INTERCONNECT[which]);
        format!(
            "[engine.kea]\nhigh-availability = {{ role = \"{role}\", url = \"http://[{own}]:8001/\", \
             partner = \"http://[{other}]:8001/\" }}\n"
        )
    };
    let mut two = Two::start(Site::new(), [engine("primary", 0, 1), engine("standby", 1, 0)]);
    two.survives();
}
