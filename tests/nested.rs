//! Routers behind routers behind routers, among each other and below other people's programs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use ipnet::Ipv6Net;

use renumberd::wire::dhcpv6_option::{IaPd, StatusCode};

use lab::agent::Agent;
use lab::client::{self, Client};
use lab::net::{Namespace, Net};
use lab::provider::{Era, Kind};
use lab::site::INTERNET;
use lab::tree::{self, BACKBONE, LAB, NAMES, Tree, subnet};
use lab::wire::Wire;
use lab::{CEILING, eventually, millis, pause, secs, settles, sys};

fn changes_of_the_backbone_killed(tree: &mut Tree, restart_after: u64) {
    let (lan, watches) = (tree.lan_wire(), tree.watch_foreign());
    for number in 2..4 {
        tree.change(Era::new(number));
        pause(millis(3500));
    }
    let last = Era::new(4);
    tree.change(last);
    tree.agent(BACKBONE).kill();
    pause(millis(restart_after));
    tree.agent(BACKBONE).restart();
    tree.follows(last);
    let followed_at = sys::monotonic();
    tree.is_routed(last);
    tree.forgets_all_but(last);
    tree.foreign_stays("at the end");
    assert!(watches.iter().all(|watch| !watch.lines().is_empty()), "all kernels were watched");
    assert_eq!(tree::foreign_events(&watches), [""; 0], "what others configured is left alone");
    for number in 1..4 {
        let old = subnet(Era::new(number).delegated, LAB);
        lan.wait_for("an old prefix withdrawn", CEILING, |frame| frame.deprecates(old));
        assert_eq!(lan.count(followed_at, |frame| frame.advertises(old)), 0, "{old} is over");
    }
}

/// The issue: three changes in a row, the last one while the backbone is being killed.
#[test]
fn a_backbone_killed_in_the_last_of_three_changes_is_no_obstacle() {
    let mut tree = Tree::settled(Era::new(1));
    changes_of_the_backbone_killed(&mut tree, 0);
}

#[test]
fn a_backbone_away_for_half_a_second_is_none_below_kea_either() {
    let mut tree = Tree::below_others(Kind::Kea, Era::new(1));
    tree.is_routed(Era::new(1));
    changes_of_the_backbone_killed(&mut tree, 500);
}

#[test]
fn a_backbone_away_for_a_moment_is_none_below_dhcp6s_either() {
    let mut tree = Tree::below_others(Kind::Kame, Era::new(1));
    tree.is_routed(Era::new(1));
    changes_of_the_backbone_killed(&mut tree, 100);
}

/// Power returns to the whole site.
#[test]
fn all_routers_switched_on_at_once_find_each_other() {
    let mut tree = Tree::with_duplicate_detection();
    tree.launch_all();
    tree.start_isp(&tree::isp_config(Era::new(1)));
    tree.follows(Era::new(1));
    tree.is_routed(Era::new(1));
    tree.forgets_all_but(Era::new(1));
    tree.foreign_stays("at the end");
}

/// Each begins long before there is anything to ask for.
#[test]
fn routers_switched_on_from_the_inside_out_find_each_other() {
    let mut tree = Tree::with_duplicate_detection();
    for level in (0..NAMES.len()).rev() {
        tree.launch(level);
        pause(millis(700));
    }
    tree.start_isp(&tree::isp_config(Era::new(1)));
    tree.follows(Era::new(1));
    tree.is_routed(Era::new(1));
}

/// §15 row 15, one level further down.
#[test]
fn a_redial_with_the_link_down_reaches_everybody() {
    let tree = Tree::settled(Era::new(1));
    let uplink = |state| tree.routers[0].namespace.ip(&format!("link set up0 {state}"));
    uplink("down");
    pause(millis(1500));
    tree.change(Era::new(2));
    uplink("up");
    tree.follows(Era::new(2));
    tree.is_routed(Era::new(2));
}

/// Law 1 of the design, for each in turn: no host notices.
#[test]
fn a_restart_of_any_router_alone_changes_nothing() {
    let era = Era::new(1);
    let mut tree = Tree::settled(era);
    let lan = tree.lan_wire();
    for level in 0..NAMES.len() {
        for is_killed in [false, true] {
            let agent = tree.agent(level);
            if is_killed {
                agent.kill()
            } else {
                agent.stop()
            }
            pause(millis(100));
            tree.agent(level).restart();
            pause(millis(400));
        }
    }
    for is_killed in [false, true] {
        let isp = tree.isp();
        if is_killed {
            isp.kill()
        } else {
            isp.stop()
        }
        tree.isp().restart();
        pause(millis(400));
    }
    pause(secs(2));
    assert!(lan.frames().iter().all(|frame| !frame.deprecates(era.delegated)), "withdrawn");
    tree.follows(era);
    tree.is_routed(era);
    tree.forgets_all_but(era);
    tree.foreign_stays("at the end");
}

/// DWN-06: the kernel drops routes with the interface.
#[test]
fn a_bounce_of_an_inner_interface_brings_routes_back() {
    let era = Era::new(1);
    let tree = Tree::settled(era);
    let backbone = &tree.routers[BACKBONE].namespace;
    for away in [0, 1500] {
        backbone.ip("link set down0 down");
        pause(millis(away));
        backbone.ip("link set down0 up");
        let delegation = tree::lease(era.delegated, BACKBONE + 1);
        eventually("the route to the delegation", CEILING, || {
            tree::ours(backbone).contains(&delegation).then_some(())
        });
        tree.is_routed(era);
    }
    tree.follows(era);
}

/// RFC 4192: the old prefix serves, deprecated, until it is taken away.
#[test]
fn a_graceful_renumbering_keeps_the_old_prefix_routed() {
    let (from, to) = (Era::new(1), Era::new(2));
    let mut tree = Tree::settled(from);
    let site = format!("site={}", to.delegated);
    tree.isp().prefix(&["--graceful", &site]);
    let (old, new) = (subnet(from.delegated, LAB), subnet(to.delegated, LAB));
    tree.client.takes(new, CEILING);
    tree.client.leaves(old, CEILING);
    pause(secs(5));
    let addresses = tree.client.addresses();
    let kept = addresses.iter().find(|it| old.contains(&it.address)).expect("the old address");
    assert!(kept.deprecated && kept.valid > 3600, "{kept:?}");
    tree::reaches(&tree.client.namespace, &kept.address.to_string(), &INTERNET.to_string());
    let chosen = tree.client.namespace.ip_json(&format!("route get {INTERNET}"));
    let source = chosen[0]["prefsrc"].as_str().unwrap().parse().unwrap();
    assert!(new.contains(&std::net::Ipv6Addr::to_owned(&source)), "hosts prefer the new: {source}");
    tree.isp().prefix(&[&site]);
    let now = Era { on_link: from.on_link, delegated: to.delegated };
    tree.follows(now);
    tree.forgets_all_but(now);
}

/// SRV-41, CRV-03: a site with global and unique local prefixes.
#[test]
fn of_two_prefixes_one_changes_and_the_other_stays_untouched() {
    let local = |number: u16| -> Ipv6Net { format!("fd00:{number}:0:100::/56").parse().unwrap() };
    let (one, two) = (Era::new(1), Era::new(2));
    let mut tree = Tree::new();
    let isp = format!(
        "{}[static.local]\nprefix = \"{}\"\n[delegation.local]\ndownlink = \"down0\"\n\
         duid = \"{}\"\niaid = 2\nprefix = \"0x0/56\"\nfrom = \"local\"\n",
        tree::isp_config(one),
        local(5),
        tree::duid(0)
    );
    tree.start_isp(&isp);
    let both = "[uplink.up0]\ndelegate = [{ iaid = 1 }, { iaid = 2 }]\n";
    tree.launch_with(0, &tree::config(0).replace("[uplink.up0]\n", both));
    (1..NAMES.len()).for_each(|level| tree.launch(level));
    tree.follows_all(&[one.delegated, local(5)]);
    let lan = tree.lan_wire();
    tree.change(two);
    tree.follows_all(&[two.delegated, local(5)]);
    tree.routes(local(5));
    lan.wait_for("the global one withdrawn", CEILING, |f| f.deprecates(one.delegated));
    assert_eq!(lan.count(secs(0), |frame| frame.deprecates(local(5))), 0, "the other stays");
    pause(secs(4));
    let since = sys::monotonic();
    tree.isp().prefix(&[&format!("local={}", local(6))]);
    tree.follows_all(&[two.delegated, local(6)]);
    tree.routes(local(6));
    tree.routes(two.delegated);
    lan.wait_for("the local one withdrawn", CEILING, |frame| frame.deprecates(local(5)));
    assert_eq!(lan.count(since, |frame| frame.deprecates(two.delegated)), 0, "the other stays");
}

/// The configuration of a router that its provider does not know.
fn stranger(number: usize) -> String {
    format!("duid = \"{}\"\ngrace = \"3s\"\n[uplink.up0]\n", tree::duid(number))
}

/// SRV-23, SRV-39, SRV-58.
#[test]
fn strangers_are_refused_until_a_pool_serves_them_and_keep_their_numbers_in_it() {
    let net = Net::new();
    let [isp, one, two] = ["isp", "one", "two"].map(|role| tree::router(&net, role, false));
    net.switch("between", &[(&isp, "down0"), (&one, "up0"), (&two, "up0")]);
    let wire = Wire::capture(&isp, "down0");
    let without = tree::isp_config(Era::new(1)).replace("0x0/56", "0x0/58");
    let mut server = Agent::start(&net, &isp, &without, &[]);
    let start = |place: &Namespace, number| Agent::start(&net, place, &stranger(number), &[]);
    let mut strangers = [start(&one, 11), start(&two, 12)];
    wire.wait_for("NoPrefixAvail", CEILING, |frame| {
        let refused = StatusCode::NoPrefixAvail;
        let is_refusal = |ia: &IaPd| ia.status.as_ref().is_some_and(|it| it.code == refused);
        !frame.asks_for_prefixes() && frame.ia_pds().iter().any(is_refusal)
    });
    pause(secs(2));
    assert!(strangers.iter().all(|agent| agent.status().delegated("up0").is_empty()));
    let pool = "[pool.guests]\ndownlink = \"down0\"\nprefix = \"0x1/58\"\nlength = 62\n";
    server.reload(&format!("{without}{pool}from = \"site\"\n"));
    let numbers = |agents: &[Agent; 2], era: Era| {
        let block = tree::lease(era.delegated, BACKBONE);
        eventually("both have a prefix of the pool", CEILING, || {
            let held: Vec<u16> = agents
                .iter()
                .filter_map(|agent| match agent.ask()?.delegated("up0")[..] {
                    [held] if block.contains(&held) && held.prefix_len() == 62 => {
                        Some(held.network().segments()[3] & 0x3c)
                    }
                    _ => None,
                })
                .collect();
            <[u16; 2]>::try_from(held).ok()
        })
    };
    let first = numbers(&strangers, Era::new(1));
    assert_ne!(first[0], first[1], "no prefix is given twice");
    let renumber = |server: &Agent, era: Era| server.prefix(&[&format!("site={}", era.delegated)]);
    renumber(&server, Era::new(2));
    assert_eq!(numbers(&strangers, Era::new(2)), first, "over a renumbering");
    server.kill();
    server.restart();
    renumber(&server, Era::new(3));
    assert_eq!(numbers(&strangers, Era::new(3)), first, "over a restart of the server");
    // In another order than they came first.
    strangers.iter_mut().rev().for_each(Agent::kill);
    renumber(&server, Era::new(4));
    strangers.iter_mut().rev().for_each(Agent::restart);
    assert_eq!(numbers(&strangers, Era::new(4)), first, "over a restart of both");
}

/// §15 row 12, SRV-58: a provider that gives a /64 today and a /56 tomorrow.
#[test]
fn below_a_prefix_that_is_too_long_hosts_are_served_and_routers_once_there_is_room() {
    let net = Net::new();
    let names = ["isp", "outbound", "backbone", "wlan"];
    let [isp, outbound, backbone, wlan] = names.map(|role| tree::router(&net, role, false));
    let client = Client::new(&net, "client", &[("accept_dad", 0)]);
    net.cable((&isp, "down0"), (&outbound, "up0"));
    let places = [(&outbound, "down0"), (&backbone, "up0"), (&client.namespace, "eth0")];
    net.switch("between", &places);
    net.cable((&backbone, "down0"), (&wlan, "up0"));
    let era = Era::new(1);
    let enough = tree::isp_config(era);
    let server = Agent::start(&net, &isp, &enough.replace("0x0/56", "0x0/64"), &[]);
    let start = |place, level| Agent::start(&net, place, &tree::config(level), &[]);
    let agents = [start(&outbound, 0), start(&backbone, 1), start(&wlan, 2)];
    let link = subnet(era.delegated, 0);
    client.takes(link, CEILING);
    eventually("the condition", CEILING, || {
        agents[0].status().complains("without-prefix").then_some(())
    });
    pause(secs(4));
    let held = agents.each_ref().map(|agent| agent.status().delegated("up0"));
    assert_eq!(held, [vec![link], vec![], vec![]]);
    server.reload(&enough);
    let at = sys::monotonic();
    for (level, agent) in agents.iter().enumerate() {
        settles("all follow", CEILING, || {
            tree::holds(NAMES[level], agent, [tree::lease(era.delegated, level)])
        });
    }
    let took = sys::monotonic() - at;
    // In virtual time it is one second: `an_outage_ends_for_all_at_once`. Here others run beside.
    assert!(took < secs(4), "they are called: {took:?}");

    assert!(!agents[0].status().complains("without-prefix"));
    assert!(client.has(link), "hosts keep what they have");
}

/// RFC 8200 §5: links that carry no more than 1280 octets are enough.
#[test]
fn links_of_the_smallest_mtu_are_enough() {
    let (from, to) = (Era::new(1), Era::new(2));
    let mut tree = Tree::new();
    let narrow = |namespace: &Namespace, interface: &str| {
        namespace.ip(&format!("link set {interface} mtu 1280"));
    };
    narrow(&tree.place, "down0");
    for router in &tree.routers {
        ["up0", "down0"].iter().for_each(|interface| narrow(&router.namespace, interface));
    }
    narrow(&tree.client.namespace, client::INTERFACE);
    tree.start_isp(&tree::isp_config(from));
    tree.launch_all();
    tree.follows(from);
    tree.change(to);
    tree.follows(to);
    tree.is_routed(to);
    tree.forgets_all_but(to);
}

/// RA-RX-12: of two routers on one link each says what is its own, whatever the other one does.
#[test]
fn two_routers_on_one_link_leave_each_other_alone() {
    let site = |number: u16| -> Ipv6Net { format!("2001:db8:{number}::/48").parse().unwrap() };
    let subnet = |number: u16| Ipv6Net::new(site(number).network(), 64).unwrap();
    let net = Net::new();
    let namespaces = ["one", "two"].map(|role| tree::router(&net, role, false));
    let host = Client::new(&net, "client", &[("accept_dad", 0)]);
    let ends = namespaces.each_ref().map(|namespace| (namespace, "down0"));
    let _switch = net.switch("switch", &[ends[0], ends[1], (&host.namespace, client::INTERFACE)]);
    let agents = [1, 2].map(|number| {
        let config = format!(
            "[static.site]\nprefix = \"{}\"\n[downlink.down0]\nsubnet = \"0x0/64\"\n",
            site(number)
        );
        Agent::launch(&net, &namespaces[usize::from(number) - 1], &config, &[])
    });
    host.takes(subnet(1), CEILING);
    host.takes(subnet(2), CEILING);
    let wire = Wire::capture(&host.namespace, client::INTERFACE);
    pause(secs(4));
    let since = sys::monotonic();
    agents[0].prefix(&[&format!("site={}", site(3))]);
    host.takes(subnet(3), CEILING);
    host.leaves(subnet(1), CEILING);
    pause(secs(20));
    assert!(host.has(subnet(2)) && host.has(subnet(3)) && !host.has(subnet(1)));
    assert_eq!(wire.count(since, |frame| frame.deprecates(site(2))), 0, "the other's stays");
    assert_eq!(wire.count(since, |frame| frame.advertises(site(1))), 0, "what has gone is gone");
    let news = wire.count(since, |frame| frame.advertises(site(3)));
    let others = wire.count(since, |frame| frame.advertises(site(2)));
    assert!(news <= 12 && others <= 4, "{news} advertisements of one, {others} of the other");
    let routers = host.namespace.ip_json("route show default");
    let next_hops = routers.iter().map(|route| route["nexthops"].as_array().map_or(1, Vec::len));
    assert_eq!(next_hops.sum::<usize>(), 2, "{routers:?}");
}
