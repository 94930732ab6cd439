//! Scenes: provider, router with the agent, hosts; and the stories that are played with each
//! kind of provider.

use std::time::Duration;

use super::agent::Agent;
use super::kea::SERVICES;
use super::provider::{Era, Kind, Promise, Provider};
use super::site::{INTERNET, Site};
use super::wire::Wire;
use super::{CEILING, eventually, millis, pause, secs, sys};

/// All at work and settled in era 1.
#[derive(Debug)]
pub struct Scene {
    pub agent: Agent,
    pub provider: Provider,
    pub uplink: Wire,
    pub lan: Wire,
    pub site: Site,
}

impl Scene {
    pub fn begin(kind: Kind) -> Self {
        Self::with(Site::new(), kind, &[], Promise::of(Era::new(1).delegated))
    }

    /// With arguments for the agent and a delegation of other lifetimes.
    pub fn with(site: Site, kind: Kind, arguments: &[&str], delegated: Promise) -> Self {
        let (uplink, lan) = (site.uplink_wire(), site.lan_wire());
        let provider = site.provider(kind, &[Promise::of(Era::new(1).on_link)], &[delegated]);
        let agent = site.agent(arguments);
        for client in &site.clients {
            client.takes(delegated.prefix, CEILING);
        }
        Self { agent, provider, uplink, lan, site }
    }

    /// All hosts follow from one era to another.
    pub fn follows(&self, from: Era, to: Era) {
        for client in &self.site.clients {
            client.takes(to.delegated, CEILING);
            client.leaves(from.delegated, CEILING);
        }
    }

    /// The first host and what lies beyond the provider reach each other.
    pub fn reaches_the_internet(&self) {
        let client = self.site.client();
        client.has_default_route(CEILING);
        eventually("client reaches the internet", CEILING, || {
            let mut ping = client.namespace.command("ping");
            ping.args(["-6", "-c", "1", "-W", "1", &INTERNET.to_string()]);
            ping.output().unwrap().status.success().then_some(())
        });
    }

    /// Requests for prefixes on the uplink since then.
    fn refreshes(&self, since: Duration) -> usize {
        self.uplink.count(since, |frame| frame.asks_for_prefixes())
    }
}

/// §7, RA-TX: from nothing to a host that has its address and reaches the internet.
pub fn start(kind: Kind) {
    let scene = Scene::begin(kind);
    scene.reaches_the_internet();
    let era = Era::new(1);
    assert!(scene.site.router_has("wan0", era.on_link), "the uplink has its address");
    assert!(scene.site.router_has("lan0", era.delegated), "the downlink has its address");
    assert_eq!(scene.agent.status().delegated("wan0"), [era.delegated]);
}

/// LAN-01: what the provider's server tells of services reaches a host that asks, on a link where
/// nothing is delegated.
pub fn services(kind: Kind) {
    let scene = Scene::begin(kind);
    let codes = SERVICES.map(|(code, _)| code);
    let wanted = SERVICES.map(|(code, body)| (code, body.to_owned()));
    eventually("a host is told of the services", CEILING, || {
        let mut told = scene.site.client().informed(&codes);
        told.sort();
        (told == wanted).then_some(())
    });
}

/// §15 row 3: new prefixes, the old ones deprecated.
pub fn graceful(kind: Kind) {
    let scene = Scene::begin(kind);
    let (from, to) = (Era::new(1), Era::new(2));
    scene.provider.graceful(from, to);
    scene.follows(from, to);
    scene.reaches_the_internet();
    scene.lan.wait_for("the old prefix deprecated", CEILING, |f| f.deprecates(from.delegated));
}

/// §15 row 2: new prefixes, not a word about the old ones.
pub fn flash(kind: Kind) {
    let scene = Scene::begin(kind);
    let (from, to) = (Era::new(1), Era::new(2));
    scene.provider.flash(to);
    scene.follows(from, to);
    scene.reaches_the_internet();
    scene.lan.wait_for("the old prefix deprecated", CEILING, |f| f.deprecates(from.delegated));
    eventually("the uplink's old address is deprecated", CEILING, || {
        (!scene.site.router_has("wan0", from.on_link)).then_some(())
    });
}

/// §15 row 13: only the delegation changes; the next renewal tells.
pub fn delegation_alone(kind: Kind) {
    let (from, to) = (Era::new(1), Era::new(2));
    let brief = Promise { prefix: from.delegated, preferred: 16, valid: 60 };
    let scene = Scene::with(Site::new(), kind, &[], brief);
    pause(secs(1));
    let since = sys::monotonic();
    scene.provider.delegate(&[Promise::of(to.delegated)]);
    scene.follows(from, to);
    assert!(scene.site.router_has("wan0", from.on_link), "the uplink address is untouched");
    assert_eq!(scene.uplink.count(since, |frame| frame.is_solicitation()), 0);
}

/// §15 row 13, told by `renumberd renew`.
pub fn delegation_alone_on_command(kind: Kind) {
    let scene = Scene::begin(kind);
    let (from, to) = (Era::new(1), Era::new(2));
    scene.provider.delegate(&[Promise::of(to.delegated)]);
    scene.agent.renew();
    scene.follows(from, to);
    assert!(scene.site.router_has("wan0", from.on_link), "the uplink address is untouched");
}

/// §15 row 14: only the prefix on the link changes; the delegation is confirmed, hosts see
/// nothing.
pub fn link_prefix_alone(kind: Kind) {
    let scene = Scene::begin(kind);
    let (from, to) = (Era::new(1), Era::new(2));
    pause(secs(1));
    let since = sys::monotonic();
    scene.provider.advertise(&[Promise::of(to.on_link), Promise::retired(from.on_link)]);
    eventually("the uplink has its new address", CEILING, || {
        scene.site.router_has("wan0", to.on_link).then_some(())
    });
    pause(secs(6));
    assert!(scene.site.client().has(from.delegated), "the host keeps its address");
    assert!(!scene.site.router_has("wan0", from.on_link), "the old address is deprecated");
    let refreshes = scene.refreshes(since);
    assert!((1..=3).contains(&refreshes), "at once, after 1 and 4 s: {refreshes}");
    let sent = scene.lan.count(since, |frame| frame.advertisement().is_some());
    assert!(sent <= 2, "no burst of advertisements: {sent}");
    assert!(scene.lan.frames().iter().all(|frame| !frame.deprecates(from.delegated)));
}

/// §15 row 18: the upstream router comes back with other prefixes and as another server.
pub fn upstream_reboots(kind: Kind) {
    let mut scene = Scene::begin(kind);
    let (from, to) = (Era::new(1), Era::new(2));
    scene.provider.reboot(to);
    scene.follows(from, to);
    scene.reaches_the_internet();
}

/// §15 row 15: redialed while the link was down.
pub fn redial_with_link_down(kind: Kind) {
    let scene = Scene::begin(kind);
    let (from, to) = (Era::new(1), Era::new(2));
    scene.site.dut.ip("link set wan0 down");
    pause(millis(300));
    scene.provider.flash(to);
    scene.site.dut.ip("link set wan0 up");
    scene.follows(from, to);
    scene.reaches_the_internet();
}

/// CHG-05, §15 row 17: nothing changed while the link was down. Rebind, and hosts see nothing.
pub fn link_flap(kind: Kind) {
    use renumberd::wire::dhcpv6::MessageType::{Rebind, Release, Renew};
    let scene = Scene::begin(kind);
    let era = Era::new(1);
    pause(secs(1));
    let since = sys::monotonic();
    scene.site.dut.ip("link set wan0 down");
    pause(millis(300));
    scene.site.dut.ip("link set wan0 up");
    scene.uplink.wait_for("a Rebind", CEILING, |f| f.at >= since && f.is_dhcp(Rebind));
    scene.reaches_the_internet();
    assert!(scene.site.router_has("wan0", era.on_link), "the uplink has its address again");
    assert!(scene.site.client().has(era.delegated), "the host keeps its address");
    assert_eq!(scene.uplink.count(since, |f| f.is_dhcp(Renew) || f.is_dhcp(Release)), 0);
    assert!(scene.lan.frames().iter().all(|frame| !frame.deprecates(era.delegated)));
}

/// §4 of the design, CHG-15: the router advertises first, its server learns of it `lead` later.
pub fn server_learns_late(kind: Kind, lead: Duration) {
    let scene = Scene::begin(kind);
    let (from, to) = (Era::new(1), Era::new(2));
    scene.provider.advertise(&[Promise::of(to.on_link), Promise::retired(from.on_link)]);
    pause(lead);
    scene.provider.delegate(&[Promise::of(to.delegated)]);
    scene.follows(from, to);
}

/// Law 1: killed at some moment of a change and started again, it ends where it would have.
pub fn killed_during_a_change(kind: Kind, arguments: &[&str]) {
    let delegated = Promise::of(Era::new(1).delegated);
    let mut scene = Scene::with(Site::new(), kind, arguments, delegated);
    let mut from = Era::new(1);
    for (number, delay) in (2..).zip([0, 2, 10, 50, 500]) {
        let to = Era::new(number);
        scene.provider.flash(to);
        scene.uplink.wait_for("the new prefix", CEILING, |frame| frame.advertises(to.on_link));
        pause(millis(delay));
        scene.agent.kill();
        scene.agent.restart();
        scene.follows(from, to);
        from = to;
    }
    assert_eq!(scene.agent.status().delegated("wan0"), [from.delegated]);
    for (interface, prefix) in [("lan0", from.delegated), ("wan0", from.on_link)] {
        eventually(&format!("{interface} has addresses of the last era alone"), CEILING, || {
            let found = super::client::addresses(&scene.site.dut, interface);
            let current = found.iter().filter(|address| prefix.contains(&address.address));
            (current.count() == 1 && found.len() == 1).then_some(())
        });
    }
    scene.reaches_the_internet();
}
