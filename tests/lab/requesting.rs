//! Stories of a requesting router of other people below a delegating router.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::time::Lifetime;
use renumberd::wire::dhcpv6::MessageType;
use renumberd::wire::dhcpv6_option::Dhcpv6Option;

use super::client::INTERFACE;
use super::delegating::{AgentSide, KeaSide, Trigger, next_hop};
use super::kea::Kea;
use super::packet::Frame;
use super::peer::{Kind, Peer, Place};
use super::provider::{Era, Promise};
use super::relay::Relay;
use super::site::Site;
use super::wire::Wire;
use super::{CEILING, eventually, millis, pause, secs, sys};

/// The era in which all begin, and the one after.
pub fn eras() -> (Era, Era) {
    (Era::new(0x1000), Era::new(0x2000))
}

/// Longer than any test.
const LONG: (u32, u32) = (1800, 3600);
/// T1 is 8 s.
const BRIEF: (u32, u32) = (16, 60);

/// A requesting router settled below Kea.
pub struct Below<Side> {
    pub wire: Wire,
    pub peer: Box<dyn Peer>,
    pub above: Side,
    pub site: Site,
}

/// What came of a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Followed {
    /// What the requesting router sent, after which time.
    pub asked: Option<(MessageType, Duration)>,
    /// When it used the new prefix.
    pub took: Duration,
    /// When it no longer preferred the old one.
    pub left: Option<Duration>,
}

impl Below<KeaSide> {
    pub fn kea(kind: Kind, lifetimes: (u32, u32)) -> Self {
        Self::begin(kind, |site| KeaSide::start(site, eras().0, lifetimes))
    }
}

impl Below<AgentSide> {
    pub fn agent(kind: Kind) -> Self {
        Self::begin(kind, |site| AgentSide::start(site, eras().0))
    }
}

impl<Side> Below<Side> {
    fn begin(kind: Kind, above: impl FnOnce(&Site) -> Side) -> Self {
        let site = Site::with_clients(&[]);
        let wire = site.uplink_wire();
        let above = above(&site);
        let peer = kind.start(place(&site));
        let below = Self { wire, peer, above, site };
        below.takes(eras().0.delegated);
        below
    }

    pub fn place(&self) -> Place<'_> {
        place(&self.site)
    }

    fn takes(&self, delegated: Ipv6Net) {
        eventually(&format!("it uses {delegated}"), CEILING, || {
            self.place().has(delegated).then_some(())
        });
    }

    /// Waits for a Reply in which `delegated` is given, since then.
    fn is_given(&self, delegated: Ipv6Net, since: Duration) -> Frame {
        self.wire.wait_for(&format!("a Reply with {delegated}"), CEILING, |frame| {
            frame.at >= since && gives(frame, delegated)
        })
    }

    /// What is asked for, first, since then.
    fn asked(&self, since: Duration) -> Option<(MessageType, Duration)> {
        let frames = self.wire.frames();
        let first = frames.iter().find(|frame| frame.at >= since && frame.asks_for_prefixes())?;
        Some((first.dhcp()?.kind, first.at.saturating_sub(since)))
    }

    /// Waits until the requesting router uses the prefix of the second era, and somewhat longer
    /// for it to leave the one of the first.
    fn follows(&self, since: Duration) -> Followed {
        let (from, to) = eras();
        self.takes(to.delegated);
        let took = sys::monotonic().saturating_sub(since);
        let until = sys::monotonic() + secs(3);
        let mut left = None;
        while left.is_none() && sys::monotonic() < until {
            pause(millis(20));
            if !self.place().has(from.delegated) {
                left = Some(sys::monotonic().saturating_sub(since));
            }
        }
        Followed { asked: self.asked(since), took, left }
    }
}

/// The router of the usual site as the place of a requesting router.
pub fn place(site: &Site) -> Place<'_> {
    Place { net: &site.net, namespace: &site.dut, uplink: "wan0", inner: "lan0" }
}

fn gives(frame: &Frame, delegated: Ipv6Net) -> bool {
    let given = |prefix: Ipv6Net, valid| prefix == delegated && valid != Lifetime::ZERO;
    frame.is_dhcp(MessageType::Reply)
        && frame
            .ia_pds()
            .iter()
            .any(|ia| ia.prefixes.iter().any(|found| given(found.prefix, found.valid)))
}

/// It gets a prefix, keeps it when the server is killed and started again, and gives it back at
/// its end if it is one that `releases`.
pub fn is_served_by_kea(kind: Kind, releases: bool) {
    let (era, _) = eras();
    let mut below = Below::kea(kind, LONG);
    below.is_given(era.delegated, Duration::ZERO);
    is_who_it_should_be(&below.wire, kind);
    below.above.restart(era);
    let since = sys::monotonic();
    below.peer.renew();
    below.is_given(era.delegated, since);
    below.takes(era.delegated);
    let since = sys::monotonic();
    below.peer.release();
    pause(secs(1));
    let released = below.wire.count(since, |frame| frame.is_dhcp(MessageType::Release));
    assert_eq!(released > 0, releases, "whether it sends a Release");
}

/// It gets a prefix from the agent, which has a route to it.
pub fn gets_a_prefix_and_a_route(kind: Kind) {
    let below = Below::agent(kind);
    below.is_given(eras().0.delegated, Duration::ZERO);
    is_who_it_should_be(&below.wire, kind);
    is_routed(&below.site, eras().0.delegated);
}

fn is_routed(site: &Site, delegated: Ipv6Net) {
    let to = place(site).link_local();
    eventually(&format!("the route to {delegated} through {to}"), secs(5), || {
        (next_hop(site, delegated) == Some(to)).then_some(())
    });
}

fn is_who_it_should_be(wire: &Wire, kind: Kind) {
    let asked = wire.wait_for("a Solicit", secs(1), |frame| frame.is_dhcp(MessageType::Solicit));
    let message = asked.dhcp().unwrap();
    let duid = message.options.iter().find_map(|option| match option {
        Dhcpv6Option::ClientId(duid) => Some(duid.to_string()),
        _ => None,
    });
    assert_eq!(duid.as_deref(), Some(super::peer::DUID));
    let accepts = message.options.contains(&Dhcpv6Option::ReconfigureAccept);
    let expected = kind == Kind::DhcpcdWithReconfigure;
    assert_eq!(accepts, expected, "whether it accepts Reconfigure");
    if kind != Kind::Dhclient {
        assert_eq!(asked.ia_pds()[0].iaid.0, super::peer::IAID);
    }
}

/// The agent is killed and started again. Its route stays all the time, and the requesting router
/// that asks has the same prefix.
pub fn keeps_it_and_its_route_over_a_restart(kind: Kind) {
    let (era, _) = eras();
    let mut below = Below::agent(kind);
    is_routed(&below.site, eras().0.delegated);
    below.above.agent.kill();
    is_routed(&below.site, eras().0.delegated);
    below.above.agent.restart();
    is_routed(&below.site, eras().0.delegated);
    let since = sys::monotonic();
    below.peer.renew();
    below.is_given(era.delegated, since);
    below.takes(era.delegated);
    is_routed(&below.site, eras().0.delegated);
}

/// The triggers of a change that it follows, each tried alone.
pub fn follows(kind: Kind) -> Vec<Trigger> {
    use Trigger::{Command, MulticastRa, Timer, UnicastRa};
    std::thread::scope(|scope| {
        let tried = [MulticastRa, UnicastRa, Timer, Command]
            .map(|trigger| (trigger, scope.spawn(move || follows_by(kind, trigger))));
        let followed = tried.into_iter().filter_map(|(trigger, tried)| {
            let followed = tried.join().expect("the story ends well")?;
            println!("{kind:?} by {trigger:?}: {followed:?}");
            assert!(followed.left.is_some(), "it prefers its old prefix still");
            Some(trigger)
        });
        followed.collect()
    })
}

fn follows_by(kind: Kind, trigger: Trigger) -> Option<Followed> {
    let (from, to) = eras();
    let brief = trigger == Trigger::Timer;
    let mut below = Below::kea(kind, if brief { BRIEF } else { LONG });
    // What it does at its start is over, DAD and the advertisement's hooks as well.
    pause(secs(4));
    let mac = below.site.dut.interface("wan0").mac.unwrap();
    let since = sys::monotonic();
    below.above.renumber(from, to, trigger, (below.place().link_local(), mac));
    if trigger == Trigger::Command {
        below.peer.renew();
    }
    let until = since + if brief { CEILING } else { secs(6) };
    while below.asked(since).is_none() {
        if sys::monotonic() > until {
            return None;
        }
        pause(millis(20));
    }
    Some(below.follows(since))
}

/// A relay agent stands between it and Kea: it is the router of the usual site, and the requesting
/// router is a host of it.
pub fn gets_a_prefix_through_a_relay(kind: Kind) {
    let (server, relay): (Ipv6Addr, Ipv6Addr) =
        ("2001:db8:f::1".parse().unwrap(), "2001:db8:f::2".parse().unwrap());
    let site = Site::new();
    let era = eras().0;
    site.isp.ip(&format!("addr add {server}/64 dev isp0 nodad"));
    site.dut.ip(&format!("addr add {relay}/64 dev wan0 nodad"));
    // The link that the relay agent asks for.
    site.dut.ip("addr add 2001:db8:e::1/64 dev lan0 nodad");
    let peer = &site.client().namespace;
    peer.ip("link add in0 type veth peer name in0-far");
    peer.ip("link set in0-far up");
    peer.ip("link set in0 up");
    peer.settled(INTERFACE);
    let promise = Promise::of(era.delegated);
    let _kea = Kea::start_at(&site.net, (&site.isp, "isp0"), Some(server), &[promise]);
    let _relay = Relay::start(&site.net, &site.dut, ("lan0", "wan0"), relay, Some(server));
    let wire = site.lan_wire();
    let place = Place { net: &site.net, namespace: peer, uplink: INTERFACE, inner: "in0" };
    let _peer = kind.start(place);
    eventually("it uses its prefix", CEILING, || place.has(era.delegated).then_some(()));
    assert!(wire.frames().iter().any(|frame| gives(frame, era.delegated)));
}

/// It follows a change of the agent's prefix, and the agent's routes go over with it. Those that
/// follow nothing but their own timer are told by their own handle.
pub fn follows_the_agent(kind: Kind) -> Followed {
    let (from, to) = eras();
    let mut below = Below::agent(kind);
    is_routed(&below.site, from.delegated);
    pause(secs(4));
    let since = sys::monotonic();
    below.above.renumber(to);
    let told = matches!(kind, Kind::DhcpcdWithHook | Kind::DhcpcdWithReconfigure);
    if !told {
        pause(secs(2));
        assert_eq!(below.asked(since), None, "it asks by itself");
        below.peer.renew();
    }
    let followed = below.follows(since);
    println!("{kind:?} below the agent: {followed:?}");
    assert!(followed.left.is_some(), "it prefers its old prefix still");
    is_routed(&below.site, to.delegated);
    followed
}

/// It gives its prefix back, and the agent's route to it goes.
pub fn gives_its_prefix_back_to_the_agent(kind: Kind) {
    let mut below = Below::agent(kind);
    is_routed(&below.site, eras().0.delegated);
    below.peer.release();
    eventually("the route is gone", secs(5), || {
        next_hop(&below.site, eras().0.delegated).is_none().then_some(())
    });
}
