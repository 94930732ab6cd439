//! The relay agent between requesting routers and servers of other people:
//!
//! ```text
//! isp [isp0] ── [wan0] relay [lan0] ── [up0] router [home0] ── switch
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use std::time::Duration;

use ipnet::Ipv6Net;
use lab::agent::Agent;
use lab::dhcp6c::Dhcp6c;
use lab::kame::Kame;
use lab::kea::Kea;
use lab::net::{Namespace, Net};
use lab::peer::{Peer as _, Place};
use lab::provider::{Era, Promise};
use lab::relay::Relay;
use lab::site::DUID;
use lab::wire::Wire;
use lab::{CEILING, eventually, millis, pause, secs};

/// The server's address, which the relay has a route to.
const SERVER: &str = "2001:db8:f::1";
/// The link-local address of the relay on the router's link.
const RELAY: &str = "fe80::ff:fe00:a";
/// That of the router's uplink.
const ROUTER: &str = "fe80::ff:fe00:77";

struct Scene {
    net: Net,
    isp: Namespace,
    relay: Namespace,
    router: Namespace,
}

impl Scene {
    fn new() -> Self {
        let scene = Self::without_link();
        scene.link(&scene.relay);
        scene.relay.ip("addr add 2001:db8:e::1/64 dev lan0 nodad");
        scene
    }

    /// With nothing yet between the relay and the router.
    fn without_link() -> Self {
        let net = Net::new();
        let (isp, relay, router) = (net.router("isp"), net.router("relay"), net.router("router"));
        net.cable((&isp, "isp0"), (&relay, "wan0"));
        isp.link_local("isp0", "fe80::1");
        isp.ip("addr add 2001:db8:f::1/64 dev isp0 nodad");
        isp.ip("route add 2001:db8::/32 via fe80::2 dev isp0");
        relay.link_local("wan0", "fe80::2");
        relay.ip("addr add 2001:db8:f::2/64 dev wan0 nodad");
        relay.ip("route add default via fe80::1 dev wan0");
        net.switch("home", &[(&router, "home0")]);
        router.settled("home0");
        Self { net, isp, relay, router }
    }

    /// Puts a link between `lan0` of a relay and the router. Link-local addresses are made from
    /// link-layer addresses: the kernel makes them anew when a link comes back.
    fn link(&self, relay: &Namespace) {
        self.net.switch("lan", &[(relay, "lan0"), (&self.router, "up0")]);
        relay.sysctl("lan0", "keep_addr_on_down", 1);
        for (namespace, interface, last) in [(relay, "lan0", "0a"), (&self.router, "up0", "77")] {
            namespace.ip(&format!("link set {interface} down"));
            namespace.ip(&format!("link set {interface} address 02:00:00:00:00:{last} up"));
            namespace.settled(interface);
        }
        self.router.ip(&format!("route add default via {RELAY} dev up0"));
    }

    fn kea(&self, prefixes: &[Promise]) -> Kea {
        let address = Some(SERVER.parse().unwrap());
        Kea::start_at(&self.net, (&self.isp, "isp0"), address, prefixes)
    }

    fn relay(&self, config: &str) -> Agent {
        Agent::start(&self.net, &self.relay, config, &[])
    }

    /// The agent as a requesting router.
    fn requesting_router(&self) -> Agent {
        let config = format!(
            "duid = \"{DUID}\"\n[uplink.up0]\ndefault-route = false\n\
             [downlink.home0]\naddress = \"::1\"\n"
        );
        Agent::start(&self.net, &self.router, &config, &[])
    }

    /// What of the routes to `prefix` the relay has, apart from lifetimes.
    fn routes(&self, prefix: Ipv6Net) -> Vec<String> {
        let routes = self.relay.ip_json(&format!("route show root {prefix}"));
        let text = |value: &serde_json::Value| value.as_str().unwrap_or("").to_owned();
        let routes = routes.iter();
        routes
            .map(|route| {
                let [to, via, dev] = ["dst", "gateway", "dev"].map(|name| text(&route[name]));
                format!("{to} via {via} dev {dev}")
            })
            .collect()
    }

    /// Waits for exactly the route to `prefix`, by way of the router.
    fn is_routed(&self, prefix: Ipv6Net) {
        let expected = [format!("{prefix} via {ROUTER} dev lan0")];
        let what = format!("the relay has {expected:?}");
        eventually(&what, CEILING, || (self.routes(prefix) == expected).then_some(()));
    }

    fn is_not_routed(&self, prefix: Ipv6Net, timeout: Duration) {
        let what = format!("the relay has no route to {prefix}");
        eventually(&what, timeout, || self.routes(prefix).is_empty().then_some(()));
    }

    /// The router's address in the delegated prefix is reached from the provider.
    fn is_reached(&self, prefix: Ipv6Net) {
        let address = eventually("the router uses its prefix", CEILING, || {
            let found = lab::client::addresses(&self.router, "home0");
            let mut found = found.into_iter().map(|found| found.address);
            found.find(|address| prefix.contains(address))
        });
        eventually(&format!("{address} answers"), CEILING, || {
            let mut ping = self.isp.command("ping");
            ping.args(["-6", "-c", "1", "-W", "1", &address.to_string()]);
            ping.output().unwrap().status.success().then_some(())
        });
    }
}

fn to_the_server() -> String {
    format!("[relay.lan0]\nservers = [\"{SERVER}\"]\n")
}

/// RLY-03, RLY-10, RLY-12: to a named server, which is Kea.
#[test]
fn a_prefix_goes_through_and_is_routed() {
    let (scene, era) = (Scene::new(), Era::new(1));
    let _server = scene.kea(&[Promise::of(era.delegated)]);
    let relay = scene.relay(&to_the_server());
    let _router = scene.requesting_router();
    scene.is_routed(era.delegated);
    scene.is_reached(era.delegated);
    let told = relay.explain();
    assert!(told.contains(&format!("{} via {ROUTER}  preferred ", era.delegated)), "{told}");
}

/// RLY-01: to all servers of the site, with hop limit 8; one is dhcp6s of the KAME project.
#[test]
fn all_servers_of_the_site_are_asked_where_none_is_named() {
    let (scene, era) = (Scene::new(), Era::new(1));
    let given = [Promise::of(era.delegated)];
    let wire = Wire::capture(&scene.isp, "isp0");
    let _server = Kame::start(&scene.net, (&scene.isp, "isp0"), DUID, &given);
    let _relay = scene.relay("[relay.lan0]\nuplink = \"wan0\"\n");
    let _router = scene.requesting_router();
    scene.is_routed(era.delegated);
    scene.is_reached(era.delegated);
    let servers: std::net::Ipv6Addr = "ff05::1:3".parse().unwrap();
    let asked = wire.wait_for("the Relay-forward", secs(1), |f| f.destination == servers);
    assert_eq!((asked.hop_limit, asked.source.to_string().as_str()), (8, "2001:db8:f::2"));
}

/// RLY-14, law 1: the routes of a relay that was killed stay, and those that it lost meanwhile
/// are back before anyone renews.
#[test]
fn routes_survive_a_kill_and_come_back_from_memory() {
    let (scene, era) = (Scene::new(), Era::new(1));
    let _server = scene.kea(&[Promise::of(era.delegated)]);
    let mut relay = scene.relay(&to_the_server());
    let mut router = scene.requesting_router();
    scene.is_routed(era.delegated);
    router.kill();
    relay.kill();
    scene.is_routed(era.delegated);
    relay.restart();
    pause(millis(500));
    scene.is_routed(era.delegated);
    relay.kill();
    scene.relay.ip(&format!("-6 route del {}", era.delegated));
    relay.restart();
    scene.is_routed(era.delegated);
    router.restart();
    scene.is_reached(era.delegated);
}

/// RLY-15
#[test]
fn routes_are_back_when_the_link_is() {
    let (scene, era) = (Scene::new(), Era::new(1));
    let given = [Promise::of(era.delegated)];
    let _server = Kame::start(&scene.net, (&scene.isp, "isp0"), DUID, &given);
    let _relay = scene.relay(&to_the_server());
    let mut router = scene.requesting_router();
    scene.is_routed(era.delegated);
    // Whoever is silent renews nothing.
    router.kill();
    scene.relay.ip("link set lan0 down");
    scene.is_not_routed(era.delegated, secs(5));
    pause(millis(500));
    scene.relay.ip("link set lan0 up");
    scene.is_routed(era.delegated);
    router.restart();
    scene.is_reached(era.delegated);
}

/// RLY-11: dhcp6c of the KAME project releases what it holds when it stops.
#[test]
fn a_route_goes_with_the_release() {
    let (scene, era) = (Scene::new(), Era::new(1));
    let given = [Promise::of(era.delegated)];
    let _server = Kame::start(&scene.net, (&scene.isp, "isp0"), DUID, &given);
    let relay = scene.relay(&to_the_server());
    let (net, namespace) = (&scene.net, &scene.router);
    let mut router = Dhcp6c::start(Place { net, namespace, uplink: "up0", inner: "home0" });
    scene.is_routed(era.delegated);
    scene.is_reached(era.delegated);
    router.release();
    scene.is_not_routed(era.delegated, secs(5));
    assert!(!relay.explain().contains(&era.delegated.to_string()));
}

/// RLY-16: an operator knows better than the lease. A router that lives has its route back when it
/// asks.
#[test]
fn a_route_goes_when_the_operator_says_so() {
    let (scene, era) = (Scene::new(), Era::new(1));
    let _server = scene.kea(&[Promise::of(era.delegated)]);
    let relay = scene.relay(&to_the_server());
    let router = scene.requesting_router();
    scene.is_routed(era.delegated);
    let complaint = relay.forget(Era::new(2).delegated).unwrap_err();
    assert!(complaint.contains("2001:db8:2:100::/56 has not been relayed here"), "{complaint}");
    relay.forget(era.delegated).unwrap();
    scene.is_not_routed(era.delegated, secs(5));
    assert!(!relay.explain().contains(&era.delegated.to_string()));
    router.renew();
    scene.is_routed(era.delegated);
    scene.is_reached(era.delegated);
}

/// RLY-12: a lease that nobody renews ends, and its route with it.
#[test]
fn a_route_ends_with_the_lease() {
    let (scene, era) = (Scene::new(), Era::new(1));
    let brief = Promise { prefix: era.delegated, preferred: 4, valid: 6 };
    let _server = scene.kea(&[brief]);
    let relay = scene.relay(&to_the_server());
    let mut router = scene.requesting_router();
    scene.is_routed(era.delegated);
    pause(secs(7));
    scene.is_routed(era.delegated); // renewed
    router.kill();
    scene.is_not_routed(era.delegated, secs(9));
    eventually("the lease is not listed", secs(5), || {
        (!relay.explain().contains(&era.delegated.to_string())).then_some(())
    });
}

/// Two relay agents in a row; the inner one is on a link of its own with the outer one.
fn relays_in_a_row() -> (Scene, Namespace) {
    let scene = Scene::without_link();
    let inner = scene.net.router("inner");
    scene.net.cable((&scene.relay, "mid0"), (&inner, "mid1"));
    scene.relay.link_local("mid0", "fe80::b");
    scene.relay.ip("addr add 2001:db8:d::1/64 dev mid0 nodad");
    inner.link_local("mid1", "fe80::c");
    inner.ip("route add default via fe80::b dev mid1");
    scene.link(&inner);
    (scene, inner)
}

/// RLY-05, RLY-08: one of our relay agents behind another.
#[test]
fn a_prefix_goes_through_two_relays() {
    let ((scene, inner), era) = (relays_in_a_row(), Era::new(1));
    let _server = scene.kea(&[Promise::of(era.delegated)]);
    let _outer = scene.relay(&format!("[relay.mid0]\nservers = [\"{SERVER}\"]\n"));
    let inner_config = "[relay.lan0]\nservers = [\"ff02::1:2\"]\nuplink = \"mid1\"\n";
    let _inner = Agent::start(&scene.net, &inner, inner_config, &[]);
    let _router = scene.requesting_router();
    scene.is_reached(era.delegated);
    let expected = [format!("{} via fe80::c dev mid0", era.delegated)];
    assert_eq!(scene.routes(era.delegated), expected);
}

/// RLY-05, RLY-08: dhcp6relay of the KAME project speaks to us from a global address.
#[test]
fn a_prefix_goes_through_behind_kame_s_relay() {
    let ((scene, inner), era) = (relays_in_a_row(), Era::new(1));
    inner.ip("addr add 2001:db8:d::2/64 dev mid1 nodad");
    inner.ip("addr add 2001:db8:c::1/64 dev lan0 nodad");
    // It routes nothing by itself.
    inner.ip(&format!("route add {} via {ROUTER} dev lan0", era.delegated));
    let _server = scene.kea(&[Promise::of(era.delegated)]);
    let _outer = scene.relay(&format!("[relay.mid0]\nservers = [\"{SERVER}\"]\n"));
    let [source, outer] = ["2001:db8:d::2", "2001:db8:d::1"].map(|text| text.parse().unwrap());
    let _inner = Relay::start(&scene.net, &inner, ("lan0", "mid1"), source, Some(outer));
    let _router = scene.requesting_router();
    scene.is_reached(era.delegated);
    let expected = [format!("{} via 2001:db8:d::2 dev mid0", era.delegated)];
    assert_eq!(scene.routes(era.delegated), expected);
}

/// SRV-60, RLY-08: before our own delegating router, whose Reconfigure comes through as well.
#[test]
fn a_renumbering_reaches_the_router_behind_the_relay() {
    let (scene, from, to) = (Scene::new(), "2001:db8:1::/48", "2001:db8:2::/48");
    let config = format!(
        "[static.site]\nprefix = \"{from}\"\n[downlink.isp0]\n\
         [pool.routers]\ndownlink = \"isp0\"\nsize = 52\nlength = 56\n"
    );
    let server = Agent::start(&scene.net, &scene.isp, &config, &[]);
    let relay = scene.relay(&to_the_server());
    let router = scene.requesting_router();
    let holds = |site: &str| {
        let site: Ipv6Net = site.parse().unwrap();
        eventually(&format!("the router holds a part of {site}"), CEILING, || {
            router.status().delegated("up0").into_iter().find(|held| site.contains(held))
        })
    };
    let old = holds(from);
    scene.is_routed(old);
    scene.is_reached(old);
    server.set_prefix("site", to.parse().unwrap());
    let new = holds(to);
    scene.is_routed(new);
    scene.is_reached(new);
    scene.is_not_routed(old, CEILING);
    assert!(relay.explain().contains(&format!("{new} via {ROUTER}")));
}
