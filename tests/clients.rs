//! A host beside its kernel: addresses are the kernel's, and the agent mends what that cannot know.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use renumberd::net::ALL_DHCP_SERVERS;
use renumberd::time::Lifetime;
use renumberd::wire::dhcpv6::{Message, MessageType};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid};
use renumberd::wire::ndp_option::{NdpOption, PrefixInformation};
use serde_json::Value;

use lab::agent::Agent;
use lab::client::{Client, INTERFACE};
use lab::net::{Namespace, Net};
use lab::provider::{Era, Promise};
use lab::scripted::{Script, Scripted};
use lab::wire::Wire;
use lab::{eventually, millis, pause, secs, sys};

/// A stale prefix is deprecated within this time: an answer, the second that split options have, and
/// what a busy machine takes.
const SOON: Duration = Duration::from_secs(5);
const CONFIG: &str = "[client.eth0]\n";

/// A host and a router on a switch.
struct Link {
    net: Net,
    host: Client,
    router: Namespace,
    switch: Namespace,
}

impl Link {
    /// `settings` are below net.ipv6.conf.default of the host.
    fn new(settings: &[(&str, i32)]) -> Self {
        let net = Net::new();
        let (host, router) = (Client::new(&net, "host", settings), net.router("router"));
        let places = [(&host.namespace, INTERFACE), (&router, "lan0")];
        let switch = net.switch("switch", &places);
        router.link_local("lan0", "fe80::1");
        host.namespace.settled(INTERFACE);
        Self { net, host, router, switch }
    }

    /// The router at work; it says nothing of its own accord.
    fn advertiser(&self, era: Era) -> Scripted {
        Scripted::start((&self.router, "lan0"), "fe80::1", Script::new(era))
    }

    /// Another router on the link.
    fn second(&self, era: Era) -> (Namespace, Scripted) {
        let second = self.net.router("second");
        self.switch.port("second", (&second, "lan0"), None);
        second.link_local("lan0", "fe80::9");
        let scripted = Scripted::start((&second, "lan0"), "fe80::9", Script::new(era));
        (second, scripted)
    }

    fn agent(&self, config: &str) -> Agent {
        Agent::start(&self.net, &self.host.namespace, config, &[])
    }

    /// The host's addresses with all that `ip` says of them but the lifetimes.
    fn flags(&self) -> Vec<Value> {
        let shown = self.host.namespace.ip_json("addr show dev eth0 scope global");
        let mut all: Vec<Value> = shown[0]["addr_info"].as_array().unwrap().clone();
        for one in &mut all {
            let one = one.as_object_mut().unwrap();
            for name in ["valid_life_time", "preferred_life_time", "deprecated"] {
                one.remove(name);
            }
        }
        all
    }

    fn default_routers(&self) -> Vec<String> {
        let routes = self.host.namespace.ip_json("route show default");
        let hops = routes.iter().flat_map(|route| match route["nexthops"].as_array() {
            Some(hops) => hops.clone(),
            None => vec![route.clone()],
        });
        let mut gateways: Vec<String> =
            hops.filter_map(|hop| hop["gateway"].as_str().map(str::to_owned)).collect();
        gateways.sort();
        gateways
    }
}

/// CHG-14, CLI-03: whatever the kernel's settings are, a prefix that the router has left out without
/// a word is deprecated, and nothing else about its addresses changes; what others have set in it
/// stays, and when it is advertised again its addresses are preferred again.
#[test]
fn a_silent_redial_deprecates_the_kernel_s_addresses_and_nothing_else() {
    let settings: [&[(&str, i32)]; 5] = [
        &[("use_tempaddr", 0)],
        &[("use_tempaddr", 2)],
        &[("use_tempaddr", 2), ("optimistic_dad", 1), ("use_optimistic", 1)],
        &[("accept_ra_rtr_pref", 0)],
        &[("addr_gen_mode", 3)],
    ];
    for settings in settings {
        let link = Link::new(settings);
        let (from, to) = (Era::new(1), Era::new(2));
        let router = link.advertiser(from);
        let _agent = link.agent(CONFIG);
        link.host.takes(from.on_link, SOON);
        let is_temporary = settings.contains(&("use_tempaddr", 2));
        if is_temporary {
            eventually("a temporary address", SOON, || {
                link.host.has_temporary(from.on_link).then_some(())
            });
        }
        link.host.namespace.ip("addr add 2001:db8:1::101/64 dev eth0 nodad noprefixroute");
        pause(secs(3));
        let (before, valid) = (link.flags(), valid_of(&link.host, from));
        router.rewrite(|script| *script = Script::new(to));
        router.advertise();
        eventually("only the address of somebody else is preferred", SOON, || {
            let all = link.host.addresses();
            let old = all.iter().filter(|one| from.on_link.contains(&one.address));
            let mut preferred = old.filter(|one| !one.deprecated);
            let is_foreign = preferred
                .next()
                .is_some_and(|one| one.address == "2001:db8:1::101".parse::<Ipv6Addr>().unwrap());
            (is_foreign && preferred.next().is_none()).then_some(())
        });
        link.host.takes(to.on_link, SOON);
        let after = link.flags();
        let of_before: Vec<_> = after.iter().filter(|one| before.contains(one)).collect();
        assert_eq!(of_before.len(), before.len(), "{settings:?}: {before:?} {after:?}");
        let left = valid_of(&link.host, from);
        assert!(left.abs_diff(valid) <= 15, "{settings:?}: {valid} s, then {left} s");
        assert_eq!(link.host.has_temporary(to.on_link), is_temporary);
        router.rewrite(|script| script.on_link.push(Promise::of(from.on_link)));
        router.advertise();
        eventually("preferred again", SOON, || {
            let all = link.host.addresses();
            let mut old = all.iter().filter(|one| from.on_link.contains(&one.address));
            old.all(|one| !one.deprecated).then_some(())
        });
    }
}

/// The longest valid lifetime of the kernel's own addresses in the prefix of an era, in seconds.
fn valid_of(host: &Client, era: Era) -> u32 {
    let all = host.addresses();
    let own = all.iter().filter(|one| era.on_link.contains(&one.address) && one.valid != u32::MAX);
    own.map(|one| one.valid).max().unwrap()
}

#[test]
fn nothing_is_mended_where_that_is_switched_off() {
    let link = Link::new(&[]);
    let (from, to) = (Era::new(1), Era::new(2));
    let router = link.advertiser(from);
    let _agent = link.agent("[client.eth0]\nmend = false\n");
    link.host.takes(from.on_link, SOON);
    router.rewrite(|script| *script = Script::new(to));
    router.advertise();
    link.host.takes(to.on_link, SOON);
    pause(secs(4));
    assert!(link.host.has(from.on_link));
}

/// Two routers with a prefix each are no redial; one that is replaced without a word, by another
/// link-local address, is dropped with what it alone has advertised.
#[test]
fn of_two_routers_the_one_that_vanishes_is_dropped() {
    let link = Link::new(&[]);
    let (one, two) = (Era::new(1), Era::new(2));
    let first = link.advertiser(one);
    let _agent = link.agent(CONFIG);
    link.host.takes(one.on_link, SOON);
    let (_second, second) = link.second(two);
    second.advertise();
    first.advertise();
    link.host.takes(two.on_link, SOON);
    // Longer than the other's arrival has the first one asked after.
    pause(secs(17));
    assert!(link.host.has(one.on_link) && link.host.has(two.on_link));
    assert_eq!(link.default_routers(), ["fe80::1", "fe80::9"]);
    drop(first);
    link.router.ip("link set lan0 down");
    // Somebody is waiting for an answer from beyond it: the kernel finds that it does not answer.
    let mut ping = link.host.namespace.command("ping");
    let beyond = ["-6", "-c", "40", "-i", "0.5", "-I", "eth0", "fe80::1%eth0"];
    let mut ping = ping.args(beyond).stdout(std::process::Stdio::null()).spawn().unwrap();
    link.host.leaves(one.on_link, secs(25));
    eventually("one default router is left", SOON, || {
        (link.default_routers() == ["fe80::9"]).then_some(())
    });
    assert!(link.host.has(two.on_link));
    let _ = ping.kill();
    let _ = ping.wait();
}

/// CLI-08: the host moves to another switch, with another router and prefix.
#[test]
fn a_host_that_moves_takes_the_new_prefix_and_leaves_the_old_one() {
    let (here, there) = (Era::new(1), Era::new(2));
    let link = Link::new(&[]);
    let _here = link.advertiser(here);
    let there_router = link.net.router("there");
    link.net.cable((&link.switch, "there"), (&there_router, "lan0"));
    link.switch.ip("link add other type bridge");
    link.switch.ip("link set other up");
    link.switch.ip("link set there master other");
    there_router.link_local("lan0", "fe80::9");
    let _there = Scripted::start((&there_router, "lan0"), "fe80::9", Script::new(there));
    let _agent = link.agent(CONFIG);
    link.host.takes(here.on_link, SOON);
    link.switch.ip("link set port0 down");
    link.switch.ip("link set port0 nomaster");
    link.switch.ip("link set port0 master other");
    link.switch.ip("link set port0 up");
    link.host.takes(there.on_link, SOON);
    link.host.leaves(here.on_link, SOON);
    assert!(link.host.has(there.on_link));
}

/// The first solicitation leaves within 50 ms of the moment at which the kernel lets one leave.
#[test]
fn a_link_that_comes_back_is_solicited_at_once() {
    let link = Link::new(&[]);
    let _router = link.advertiser(Era::new(1));
    let wire = Wire::capture(&link.router, "lan0");
    let _agent = link.agent(CONFIG);
    link.host.takes(Era::new(1).on_link, SOON);
    let mut fastest = SOON;
    for _ in 0..5 {
        link.switch.ip("link set port0 down");
        pause(secs(2));
        // On a busy machine the command ends long after the link is up.
        let since = sys::monotonic();
        link.switch.ip("link set port0 up");
        let solicited = eventually("a solicitation", SOON, || {
            let frames = wire.frames();
            let later = frames.iter().filter(|frame| frame.at >= since);
            later.filter(|frame| frame.is_solicitation()).map(|frame| frame.at).min()
        });
        let after = solicited.saturating_sub(since);
        // A kernel that is busy with the interfaces of others reports the link late; what an interval
        // of solicitations brings comes four seconds later.
        assert!(after < secs(3), "{after:?}");
        fastest = fastest.min(after);
    }
    assert!(fastest < millis(50), "{fastest:?}");
}

/// CLI-35: this kernel drops what the agent has heard; the router says nothing of its own accord.
#[test]
fn advertisements_that_the_kernel_dropped_are_solicited_again() {
    let link = Link::new(&[("accept_ra_pinfo", 0)]);
    let _router = link.advertiser(Era::new(1));
    let agent = link.agent(CONFIG);
    eventually("the router is heard", secs(5), || {
        (!agent.status().heard(INTERFACE).is_empty()).then_some(())
    });
    eventually("that is named", secs(15), || {
        agent.status().complains("address-not-formed").then_some(())
    });
    assert!(link.host.addresses().is_empty());
    link.host.namespace.sysctl(INTERFACE, "accept_ra_pinfo", 1);
    link.host.takes(Era::new(1).on_link, secs(15));
    eventually("and over", secs(5), || {
        (!agent.status().complains("address-not-formed")).then_some(())
    });
}

/// CLI-36: Linux has room for 16 addresses, and those of former prefixes live on for two hours.
#[test]
fn a_host_follows_more_redials_than_its_kernel_has_room_for() {
    let link = Link::new(&[]);
    let router = link.advertiser(Era::new(1));
    let _agent = link.agent(CONFIG);
    link.host.takes(Era::new(1).on_link, secs(10));
    for number in 2..24 {
        let former = Promise { preferred: 0, ..Promise::of(Era::new(number - 1).on_link) };
        let newest = Promise::of(Era::new(number).on_link);
        router.rewrite(|script| script.on_link = vec![newest, former]);
        router.advertise();
        link.host.takes(Era::new(number).on_link, secs(10));
    }
}

/// Another program follows the advertisements: its addresses are its own.
#[test]
fn beside_another_program_the_agent_stays_out() {
    let link = Link::new(&[]);
    link.host.namespace.sysctl("eth0", "accept_ra", 0);
    let (from, to) = (Era::new(1), Era::new(2));
    let router = link.advertiser(from);
    let wire = Wire::capture(&link.router, "lan0");
    let agent = link.agent(CONFIG);
    link.host.namespace.ip("addr add 2001:db8:1::77/64 dev eth0 valid_lft 3600 preferred_lft 1800");
    router.advertise();
    pause(secs(1));
    router.rewrite(|script| *script = Script::new(to));
    router.advertise();
    pause(secs(4));
    assert_eq!(
        wire.count(secs(0), |frame| frame.is_solicitation() && frame.destination.is_multicast()),
        0
    );
    assert!(link.host.has(from.on_link));
    assert!(agent.status().complains("managed-elsewhere"));
    assert_eq!(link.host.namespace.run("sysctl", &["-n", "net.ipv6.conf.eth0.accept_ra"]), "0\n");
}

/// CLI-20, CLI-21, CLI-22: the kernel forms no address in a prefix with the P flag while the host has
/// one of its own for what is behind it, and forms it after all where nobody gives one.
#[test]
fn with_the_p_flag_a_host_has_a_prefix_of_its_own_or_addresses_after_all() {
    let era = Era::new(1);
    let shared = NdpOption::Prefix(PrefixInformation {
        prefix: era.on_link,
        on_link: true,
        autonomous: true,
        delegation_preferred: true,
        valid: Lifetime::Finite(3600),
        preferred: Lifetime::Finite(1800),
    });
    for gives in [true, false] {
        let link = Link::new(&[]);
        let namespace = &link.host.namespace;
        namespace.ip("link add pods0 type veth peer name pod");
        for name in ["pods0", "pod"] {
            namespace.ip(&format!("link set {name} up"));
        }
        namespace.settled("pods0");
        let agent = link.agent("[client.eth0]\ndelegate = true\n[downlink.pods0]\n");
        let router = link.advertiser(era);
        router.rewrite(|script| {
            script.on_link.clear();
            script.options = vec![shared.clone()];
            if !gives {
                script.deaf_to = vec![MessageType::Solicit, MessageType::Request];
            }
        });
        router.advertise();
        if gives {
            eventually("what is behind it has an address", secs(15), || {
                let text = namespace.ip("-6 addr show dev pods0 scope global");
                text.contains("2001:db8:1:").then_some(())
            });
            pause(secs(3));
            assert!(!link.host.has(era.on_link), "an address in the shared prefix");
            assert_eq!(agent.status().delegated("eth0"), [era.delegated]);
        } else {
            pause(secs(4));
            assert!(!link.host.has(era.on_link), "not yet");
            link.host.takes(era.on_link, secs(20));
        }
    }
}

/// CHG-14, CLI-34: with optimistic addresses what is begun a second after a silent redial leaves from
/// the new prefix, and is answered.
#[test]
fn a_connection_a_second_after_a_silent_redial_leaves_from_the_new_prefix() {
    const SERVER: Ipv6Addr = Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 1);
    const PORT: u16 = 8080;
    let link = Link::new(&[]);
    link.router.ip(&format!("addr add {SERVER}/128 dev lo nodad"));
    link.router.ip("route add 2001:db8::/32 dev lan0");
    let listener = link.router.inside(|| TcpListener::bind((Ipv6Addr::UNSPECIFIED, PORT)).unwrap());
    std::thread::spawn(move || listener.incoming().for_each(drop));
    let named = NdpOption::SourceLinkLayer(link.router.mac("lan0").octets().to_vec());
    let era = |number| {
        let mut script = Script::new(Era::new(number));
        script.options = vec![named.clone()];
        script
    };
    let router = link.advertiser(Era::new(1));
    router.rewrite(|script| *script = era(1));
    let _agent = link.agent(CONFIG);
    link.host.takes(Era::new(1).on_link, SOON);
    pause(secs(3));
    let mut good = 0;
    for number in 2..5 {
        let to = Era::new(number).on_link;
        router.rewrite(|script| *script = era(number));
        let begun = sys::monotonic();
        router.advertise();
        pause((begun + secs(1)).saturating_sub(sys::monotonic()));
        let connection = link.host.namespace.inside(|| {
            let connection = TcpStream::connect_timeout(&(SERVER, PORT).into(), SOON);
            connection.and_then(|connection| connection.local_addr())
        });
        let is_new =
            |from: SocketAddr| matches!(from, SocketAddr::V6(from) if to.contains(from.ip()));
        good += u32::from(connection.is_ok_and(is_new));
        link.host.takes(to, SOON);
        link.host.leaves(Era::new(number - 1).on_link, SOON);
        pause(secs(3));
    }
    // A busy machine may take longer once.
    assert!(good >= 2, "{good} of 3");
}

/// CLI-30, CLI-31: a server that offers it hears of each address, from that address; afterwards UDP
/// port 546 is free.
#[test]
fn addresses_are_registered_where_the_server_offers_it() {
    let link = Link::new(&[("use_tempaddr", 2)]);
    let index = link.router.index("lan0");
    link.router.ip("route add 2001:db8::/32 dev lan0");
    let socket = link.router.inside(|| {
        let socket = UdpSocket::bind("[::]:547").unwrap();
        socket.join_multicast_v6(&ALL_DHCP_SERVERS, index).unwrap();
        socket
    });
    let registered: Arc<Mutex<Vec<Ipv6Addr>>> = Arc::default();
    let known = Arc::clone(&registered);
    std::thread::spawn(move || {
        let mut octets = [0; 2048];
        while let Ok((length, SocketAddr::V6(from))) = socket.recv_from(&mut octets) {
            let answer = answer(&octets[..length], from, &known);
            let _ = answer.map(|answer| socket.send_to(&answer, from));
        }
    });
    let router = link.advertiser(Era::new(1));
    router.rewrite(|script| script.other = true);
    let mut agent = link.agent(CONFIG);
    link.host.takes(Era::new(1).on_link, SOON);
    eventually("both addresses are registered", secs(15), || {
        let own = link.host.addresses();
        let registered = registered.lock().unwrap();
        let all = own.iter().all(|one| registered.contains(&one.address));
        (own.len() == 2 && all).then_some(())
    });
    assert_eq!(registered.lock().unwrap().len(), 2, "each once");
    eventually("the port is free", SOON, || {
        link.host.namespace.inside(|| UdpSocket::bind("[::]:546").ok()).map(drop)
    });
    assert!(agent.running());
}

/// What a server answers that lets hosts register addresses (RFC 9686).
fn answer(question: &[u8], from: SocketAddrV6, known: &Mutex<Vec<Ipv6Addr>>) -> Option<Vec<u8>> {
    if let Some((36, rest)) = question.split_first() {
        // Client Identifier and IA Address, in this order (§4.2).
        let address: [u8; 16] = rest[rest.len() - 24..rest.len() - 8].try_into().unwrap();
        assert_eq!(Ipv6Addr::from(address), *from.ip());
        known.lock().unwrap().push(*from.ip());
        return Some([&[37], rest].concat());
    }
    let asked = Message::decode(question).ok()?;
    let offer = Dhcpv6Option::Unknown { code: 148, body: Vec::new() };
    let mut options = vec![Dhcpv6Option::ServerId(Duid::from_uuid([7; 16])), offer];
    options.extend(asked.client_id().cloned().map(Dhcpv6Option::ClientId));
    let reply = Message { kind: MessageType::Reply, options, ..asked };
    Some(reply.encode())
}
