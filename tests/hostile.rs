//! Hostile and broken packets change nothing but counters (law 5).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};

use ipnet::Ipv6Net;
use pnet::packet::ip::IpNextHeaderProtocols;
use pnet::util::MacAddr;
use renumberd::net::ALL_DHCP_SERVERS;
use renumberd::time::Lifetime;
use renumberd::wire::dhcpv6::{Message, MessageType, TransactionId};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, Iaid};
use renumberd::wire::ndp_option::NdpOption;

use lab::agent::Agent;
use lab::net::Net;
use lab::provider::{Era, Promise};
use lab::scripted::{Script, Scripted, as_it_is, prefix_option};
use lab::site::{INTERNET, PROVIDER, Site};
use lab::{CEILING, eventually, millis, pause, secs, sys, wire};
use renumberd::lab::site::frames::Envelope;

/// What a forged message brings; nothing may ever carry it.
const FORGED: u16 = 0xbad;

fn begin() -> (Site, Scripted, Agent) {
    let site = Site::new();
    let era = Era::new(1);
    let router = Scripted::start((&site.isp, "isp0"), PROVIDER, Script::new(era));
    let agent = site.agent(&[]);
    site.client().takes(era.delegated, CEILING);
    eventually("the uplink has its address", CEILING, || {
        site.router_has("wan0", era.on_link).then_some(())
    });
    pause(secs(3));
    (site, router, agent)
}

/// An advertisement as the router sends them but for its prefix. That is the last option: parts
/// of it that are valid in themselves say nothing new.
fn forged(router: &Scripted) -> Vec<u8> {
    let mac = router.envelope().source_mac;
    let mut advertisement = router.script().advertisement();
    advertisement.options = vec![
        NdpOption::SourceLinkLayer(vec![mac.0, mac.1, mac.2, mac.3, mac.4, mac.5]),
        NdpOption::Mtu(1500),
        prefix_option(&Promise::of(Era::new(FORGED).on_link)),
    ];
    advertisement.encode()
}

/// Frames with a name each.
type Cases = Vec<(String, Vec<u8>)>;

fn malformed_advertisements(router: &Scripted) -> Cases {
    let (whole, envelope) = (forged(router), router.envelope());
    let mut cases = Cases::new();
    let mut add = |name: &str, frame: Vec<u8>| cases.push((name.to_owned(), frame));
    for length in 0..whole.len() {
        add(&format!("cut to {length} octets (RA-RX-05, -07)"), envelope.icmpv6(&whole[..length]));
    }
    // The prefix option is the last 32 octets, its length the second of them.
    for (name, length) in [("zero", 0), ("five, past the end", 5), ("255", 255)] {
        let mut bent = whole.clone();
        let at = bent.len() - 31;
        bent[at] = length;
        add(&format!("an option of length {name} (RA-RX-06, -07)"), envelope.icmpv6(&bent));
    }
    let ended = [&whole[..], &[253, 0]].concat();
    add("an option of length zero behind the prefix (RA-RX-06)", envelope.icmpv6(&ended));
    let code = [&whole[..1], &[1], &whole[2..]].concat();
    add("code 1 (RA-RX-04)", envelope.icmpv6(&code));
    for hop_limit in [0, 1, 64, 254] {
        let far = Envelope { hop_limit, ..envelope };
        add(&format!("hop limit {hop_limit} (RA-RX-01)"), far.icmpv6(&whole));
    }
    for source in [INTERNET, "::".parse().unwrap(), "fd00::1".parse().unwrap()] {
        let global = Envelope { source, ..envelope };
        add(&format!("from {source} (RA-RX-02)"), global.icmpv6(&whole));
    }
    for fragment in envelope.icmpv6_in_fragments(&whole) {
        add("in fragments (RA-RX-10)", fragment);
    }
    let mut wrong = whole.clone();
    wrong[2] ^= 0x5a;
    let checksum = envelope.frame(IpNextHeaderProtocols::Icmpv6, &wrong);
    add("a wrong checksum (RA-RX-03)", checksum);
    cases
}

/// RA-RX-01 to RA-RX-10, SEC-05.
#[test]
fn malformed_advertisements_change_nothing_but_counters() {
    let (site, router, agent) = begin();
    let (before, status) = (site.dut.snapshot(), agent.status());
    let (wire, since) = (site.uplink_wire(), sys::monotonic());
    let forged_prefix = Era::new(FORGED).on_link;
    for (name, frame) in malformed_advertisements(&router) {
        router.send(&frame);
        pause(millis(15));
        assert!(!site.router_has("wan0", forged_prefix), "{name}: an address");
        assert!(!heard(&agent, forged_prefix), "{name}: a prefix in the status");
    }
    assert_eq!(site.dut.snapshot(), before, "addresses and routes");
    assert_eq!(wire.count(since, |frame| frame.asks_for_prefixes()), 0, "requests");
    let after = agent.status();
    assert_eq!(after.delegated("wan0"), status.delegated("wan0"));
    assert_eq!(after.advertised("lan0"), status.advertised("lan0"));
    assert_eq!(after.changes(), status.changes());
    assert!(after.dropped() >= status.dropped() + 50, "{} dropped", after.dropped());
    // The table is worth something only if the whole one would have been believed.
    router.send(&router.envelope().icmpv6(&forged(&router)));
    eventually("the whole one is believed", CEILING, || heard(&agent, forged_prefix).then_some(()));
}

fn heard(agent: &Agent, prefix: Ipv6Net) -> bool {
    agent.status().heard("wan0").iter().any(|(heard, _)| *heard == prefix)
}

/// Every truncation, and every length of a DHCPv6 option bent, of a Reply that would change the
/// delegation. Its IA_PD is the last option, so that no part of it is a whole one.
fn mangled(answer: &[u8]) -> Vec<Vec<u8>> {
    let mut sent: Vec<Vec<u8>> = (0..answer.len()).map(|end| answer[..end].to_vec()).collect();
    let mut at = 4;
    while at + 4 <= answer.len() {
        let length = usize::from(u16::from_be_bytes([answer[at + 2], answer[at + 3]]));
        for bent in [[0, 0], [0xff, 0xff], [0x7f, 0xff]] {
            let mut octets = answer.to_vec();
            octets[at + 2..at + 4].copy_from_slice(&bent);
            // An option of length zero leaves its content to be read as options; one that is
            // empty by right is left as it is.
            if octets != answer {
                sent.push(octets);
            }
        }
        at += 4 + length;
    }
    let mut other_transaction = answer.to_vec();
    other_transaction[1] ^= 0x5a;
    sent.push(other_transaction);
    sent
}

/// PDC, SEC-05: broken answers to a request that is under way.
#[test]
fn malformed_replies_change_nothing_but_counters() {
    let (site, router, agent) = begin();
    let (before, status) = (site.dut.snapshot(), agent.status());
    let (wire, era, since) = (site.uplink_wire(), Era::new(1), sys::monotonic());
    router.rewrite(|script| {
        script.delegated = vec![Promise::of(Era::new(FORGED).delegated)];
        script.mangle = mangled;
    });
    agent.renew();
    wire.wait_for("a request", CEILING, |f| f.at >= since && f.asks_for_prefixes());
    pause(secs(6));
    assert_eq!(agent.status().delegated("wan0"), [era.delegated]);
    assert_eq!(agent.status().advertised("lan0"), status.advertised("lan0"));
    assert_eq!(site.dut.snapshot(), before, "addresses and routes");
    assert!(agent.status().dropped() > status.dropped() + 30);
    assert!(wire.count(since, |frame| frame.asks_for_prefixes()) <= 10, "no storm of requests");
    // And the whole one is believed.
    router.rewrite(|script| script.mangle = as_it_is);
    agent.renew();
    site.client().takes(Era::new(FORGED).delegated, CEILING);
}

/// Replies that nobody asked for.
#[test]
fn unsolicited_replies_change_nothing() {
    let (site, router, agent) = begin();
    let before = site.dut.snapshot();
    let wire = site.uplink_wire();
    agent.renew();
    let renew = wire.wait_for("a Renew", CEILING, |frame| frame.is_dhcp(MessageType::Renew));
    let reply = wire.wait_for("its Reply", CEILING, |frame| frame.is_dhcp(MessageType::Reply));
    let mut forged = reply.dhcp().unwrap().clone();
    for option in &mut forged.options {
        if let Dhcpv6Option::IaPd(ia) = option {
            ia.prefixes[0].prefix = Era::new(FORGED).delegated;
        }
    }
    let back = Envelope {
        destination_mac: renew.source_mac,
        destination: renew.source,
        ..router.envelope()
    };
    // The transaction is over; and others that never were.
    for step in 0..20 {
        forged.transaction_id.0[2] = forged.transaction_id.0[2].wrapping_add(step);
        router.send(&back.udp((547, 546), &forged.encode()));
    }
    pause(secs(2));
    assert_eq!(agent.status().delegated("wan0"), [Era::new(1).delegated]);
    assert_eq!(site.dut.snapshot(), before);
}

/// RA-RX-69, SEC-06: ten thousand forged prefixes in the router's name. Memory stays bounded,
/// requests stay rare, what was known stays, and the delegation can still be changed.
#[test]
fn a_flood_of_forged_prefixes_is_survived() {
    let (site, router, mut agent) = begin();
    let (wire, since) = (site.uplink_wire(), sys::monotonic());
    let (from, to) = (Era::new(1), Era::new(2));
    for number in 0..10_000_u16 {
        let mut advertisement = router.script().advertisement();
        let prefix = Era::new(number.wrapping_add(0x1000)).on_link;
        advertisement.options.push(prefix_option(&Promise::of(prefix)));
        router.send(&router.envelope().icmpv6(&advertisement.encode()));
        if number % 100 == 0 {
            pause(millis(10));
        }
    }
    pause(secs(1));
    assert!(agent.running());
    let asked = wire.count(since, |frame| frame.asks_for_prefixes());
    assert!(asked <= 8, "requests: {asked}");
    let solicited = wire.count(since, |frame| frame.is_solicitation());
    assert!(solicited <= 3, "solicitations: {solicited}");
    let held = agent.status().heard("wan0").len();
    assert!(held <= 256, "prefixes held: {held}");
    assert!(heard(&agent, from.on_link) && site.client().has(from.delegated));
    router.rewrite(|script| *script = Script::new(to));
    agent.renew();
    site.client().takes(to.delegated, CEILING);
    site.client().leaves(from.delegated, CEILING);
}

/// A Solicit of the router with this number.
fn solicit(number: u16) -> Vec<u8> {
    let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
    let ia = IaPd { iaid: Iaid(1), t1, t2, prefixes: Vec::new(), status: None };
    let mut uuid = [0; 16];
    uuid[..2].copy_from_slice(&number.to_be_bytes());
    let options = vec![Dhcpv6Option::ClientId(Duid::from_uuid(uuid)), Dhcpv6Option::IaPd(ia)];
    let transaction_id = TransactionId([1, 2, 3]);
    Message { kind: MessageType::Solicit, transaction_id, options }.encode()
}

/// SEC-17: nodes that ask under addresses of nobody keep no answer from those that are there. What is
/// sent to them waits in the kernel for neighbors that never answer.
#[test]
fn answers_to_absent_nodes_keep_none_from_present_ones() {
    let net = Net::new();
    let (router, host) = (net.router("dut"), net.host("host"));
    net.cable((&router, "lan0"), (&host, "eth0"));
    router.link_local("lan0", "fe80::1");
    host.link_local("eth0", "fe80::2");
    let config = "[static.site]\nprefix = \"2001:db8::/32\"\n[downlink.lan0]\n\
                  [pool.a]\ndownlink = \"lan0\"\nsize = 48\n";
    let _agent = Agent::launch(&net, &router, config, &[]);
    let to = SocketAddrV6::new(ALL_DHCP_SERVERS, 547, 0, host.index("eth0"));
    let asks = || {
        host.inside(|| {
            let socket = UdpSocket::bind("[::]:546").unwrap();
            socket.set_read_timeout(Some(millis(500))).unwrap();
            socket.send_to(&solicit(0), to).unwrap();
            socket.recv(&mut [0; 2048]).is_ok()
        })
    };
    eventually("an answer", CEILING, || asks().then_some(()));
    let mut forger = wire::open((&host, "eth0"));
    for number in 1..=900_u16 {
        let [high, low] = number.to_be_bytes();
        let envelope = Envelope {
            source_mac: MacAddr(2, 0, 0, 0x10, high, low),
            destination_mac: MacAddr(0x33, 0x33, 0, 1, 0, 2),
            source: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0x10, number),
            destination: ALL_DHCP_SERVERS,
            hop_limit: 1,
        };
        forger.send(&envelope.udp((546, 547), &solicit(number))).unwrap();
        pause(millis(1));
    }
    assert!(asks(), "no answer beside those to nobody");
}
