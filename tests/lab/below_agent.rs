//! Stories of a requesting router of other people below the agent.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::net::ALL_NODES;
use renumberd::time::Lifetime;
use renumberd::wire::dhcpv6::MessageType;

use super::client::INTERFACE;
use super::delegating::{AgentSide, next_hop};
use super::peer::{Kind, Place};
use super::relay::Relay;
use super::requesting::{Below, Followed, behind, eras, gives, is_who_it_should_be, place};
use super::site::Site;
use super::{CEILING, eventually, millis, pause, secs, sys};
use renumberd::lab::observe::frame::Frame;

/// T1 is 8 s.
const BRIEF: &str = "preferred-lifetime = \"16s\"\nvalid-lifetime = \"60s\"\n";

impl Below<AgentSide> {
    pub fn agent(kind: Kind) -> Self {
        Self::agent_with(kind, "")
    }

    /// With more lines about the delegation.
    fn agent_with(kind: Kind, lines: &str) -> Self {
        let below = Self::begin(kind, |site| AgentSide::start(site, eras().0, lines));
        is_routed(&below.site, eras().0.delegated);
        below
    }

    /// Waits until it is settled in the second era, and all routes are.
    fn ends_well(&self, since: Duration) -> Followed {
        let (from, to) = eras();
        let followed = self.follows(since);
        assert!(followed.left.is_some(), "it prefers its old prefix still");
        is_routed(&self.site, to.delegated);
        eventually("the route to the old prefix is gone", CEILING, || {
            next_hop(&self.site, from.delegated).is_none().then_some(())
        });
        followed
    }

    /// SRV-50, SRV-52, SRV-59: the calls that it gets, at once. One Reconfigure if it accepts that,
    /// or else an advertisement to it alone, if that to all has to wait.
    fn is_called(&self, since: Duration, kind: Kind) {
        let calls = self.wire.count(since, |frame| frame.is_dhcp(MessageType::Reconfigure));
        let accepts = kind == Kind::DhcpcdWithReconfigure;
        assert_eq!(calls, usize::from(accepts), "messages of the type Reconfigure");
        let to = self.place().link_local();
        let advertised = self.wire.count(since, |frame| {
            frame.at < since + millis(500)
                && frame.advertises(eras().1.on_link)
                && (frame.destination == to || frame.destination == ALL_NODES)
        });
        assert!(accepts || advertised > 0, "it is called by an advertisement");
    }

    /// SRV-28: the old prefix is withdrawn beside the new one, in the same IA_PD.
    fn withdraws(&self, since: Duration) -> bool {
        let (from, to) = eras();
        let frames = self.wire.frames();
        let replies = frames.iter().filter(|frame| frame.at >= since && gives(frame, to.delegated));
        replies.flat_map(Frame::ia_pds).any(|ia| {
            ia.prefixes.iter().any(|given| {
                given.prefix == from.delegated
                    && (given.preferred, given.valid) == (Lifetime::ZERO, Lifetime::ZERO)
            })
        })
    }
}

fn is_routed(site: &Site, delegated: Ipv6Net) {
    let to = place(site).link_local();
    eventually(&format!("the route to {delegated} through {to}"), secs(5), || {
        (next_hop(site, delegated) == Some(to)).then_some(())
    });
}

/// It gets a prefix, to which there is a route; and gives it back at its end if it is one that
/// `releases`, whereupon the route goes.
pub fn gets_a_prefix_and_a_route(kind: Kind, releases: bool) {
    let mut below = Below::agent(kind);
    let given = eras().0.delegated;
    below.is_given(given, Duration::ZERO);
    is_who_it_should_be(&below.wire, kind);
    below.peer.release();
    if releases {
        eventually("the route is gone", secs(5), || {
            next_hop(&below.site, given).is_none().then_some(())
        });
    } else {
        pause(secs(1));
        is_routed(&below.site, given);
    }
}

/// The agent is killed and started again. Its route stays all the time, and the requesting router
/// that asks has the same prefix.
pub fn keeps_both_over_a_kill(kind: Kind) {
    let given = eras().0.delegated;
    let mut below = Below::agent(kind);
    below.above.agent.kill();
    is_routed(&below.site, given);
    below.above.agent.restart();
    is_routed(&below.site, given);
    let since = sys::monotonic();
    below.peer.renew();
    below.is_given(given, since);
    below.takes(given);
    is_routed(&below.site, given);
}

/// It is called; if it does not understand, it follows when its own handle tells it.
pub fn follows(kind: Kind) {
    let mut below = Below::agent(kind);
    // What it does at its start is over, DAD and the advertisement's hooks as well.
    pause(secs(4));
    let since = sys::monotonic();
    below.above.renumber(eras().1);
    let understands = matches!(kind, Kind::DhcpcdWithHook | Kind::DhcpcdWithReconfigure);
    if !understands {
        pause(secs(1));
        assert_eq!(below.asked(since), None, "it asks by itself");
        below.peer.renew();
    }
    let followed = below.ends_well(since);
    println!("{kind:?} below the agent: {followed:?}");
    below.is_called(since, kind);
    // One that asks as if for the first time may have forgotten it, and may be told all the same.
    let (first, _) = followed.asked.unwrap();
    let keeps_its_lease = matches!(first, MessageType::Renew | MessageType::Rebind);
    assert!(!keeps_its_lease || below.withdraws(since), "{first:?}");
}

/// SRV-55: it follows at T1, left alone.
pub fn follows_at_t1(kind: Kind) {
    let below = Below::agent_with(kind, BRIEF);
    let since = sys::monotonic();
    below.above.renumber(eras().1);
    let followed = below.ends_well(since);
    println!("{kind:?} below the agent, left alone: {followed:?}");
    below.is_called(since, kind);
    assert!(below.withdraws(since));
}

/// SRV-62: it accepts no Reconfigure and looks at no advertisement, and follows in that time.
pub fn follows_by_renew_every(kind: Kind, seconds: u64) {
    let below = Below::agent_with(kind, &format!("renew-every = \"{seconds}s\"\n"));
    let since = sys::monotonic();
    below.above.renumber(eras().1);
    let followed = below.ends_well(since);
    println!("{kind:?} below the agent, to renew every {seconds} s: {followed:?}");
    assert!(followed.took < secs(seconds + 1), "{followed:?}");
}

/// SEC-18: another router on the link has the same DUID and IAID. It is refused and named while the
/// first is there, and served within a second and a half of its Solicit when that is gone.
pub fn keeps_its_place_while_it_answers(kind: Kind) {
    let below = Below::agent(kind);
    let held = eras().0.delegated;
    let first = place(&below.site).link_local();
    let namespace = below.site.second_provider("fe80::bad");
    namespace.ip("link add in0 type veth peer name in0-far");
    namespace.ip("link set in0-far up");
    namespace.ip("link set in0 up");
    let place = Place { net: &below.site.net, namespace: &namespace, uplink: "isp0", inner: "in0" };
    let _second = kind.start(place);
    eventually("the second one is refused and named", CEILING, || {
        let conditions = below.above.agent.status().conditions("delegation-contested");
        let named = conditions.iter().find(|text| text.contains("fe80::bad"))?;
        assert!(named.contains(&first.to_string()), "{named}");
        Some(())
    });
    pause(secs(3));
    assert_eq!(next_hop(&below.site, held), Some(first));
    assert!(!place.has(held));
    below.site.delete_uplink();
    let since = sys::monotonic();
    eventually("the second one is served", CEILING, || place.has(held).then_some(()));
    assert_eq!(next_hop(&below.site, held), Some(place.link_local()));
    let frames = below.wire.frames();
    let after = |frame: &&Frame| frame.at >= since;
    let asked = frames.iter().filter(after).find(|frame| frame.is_dhcp(MessageType::Solicit));
    let given = frames.iter().filter(after).find(|frame| gives(frame, held));
    // Its Solicit may have left just before the first one was gone.
    let asked_at = asked.map_or(since, |frame| frame.at);
    let took = given.unwrap().at.saturating_sub(asked_at);
    println!("{kind:?} in the place of one that is gone: {took:?}");
    assert!(took < millis(1500), "{took:?}");
}

/// Law 1: the agent is killed some milliseconds after a change and started again; the requesting
/// router follows all the same.
pub fn follows_an_agent_that_was_killed(kind: Kind, after: u64) {
    let mut below = Below::agent(kind);
    pause(secs(4));
    let since = sys::monotonic();
    below.above.renumber(eras().1);
    pause(millis(after));
    below.above.agent.kill();
    below.above.agent.restart();
    if !matches!(kind, Kind::DhcpcdWithHook | Kind::DhcpcdWithReconfigure) {
        below.peer.renew();
    }
    below.ends_well(since);
}

/// SRV-60: behind a relay agent it gets a prefix, whose route leads to the relay agent.
pub fn gets_a_prefix_through_a_relay(kind: Kind) {
    let site = Site::new();
    let (era, _) = eras();
    let agent_address = Ipv6Addr::from(era.on_link.network().to_bits() + 1);
    let relay = Ipv6Addr::from(era.on_link.network().to_bits() + 2);
    site.dut.ip(&format!("addr add {relay}/64 dev wan0 nodad"));
    let peer = behind(&site);
    let _above = AgentSide::start_for_relays(&site, era);
    let _relay = Relay::start(&site.net, &site.dut, ("lan0", "wan0"), relay, Some(agent_address));
    let place = Place { net: &site.net, namespace: peer, uplink: INTERFACE, inner: "in0" };
    let _peer = kind.start(place);
    eventually("it uses its prefix", CEILING, || place.has(era.delegated).then_some(()));
    let hop = next_hop(&site, era.delegated).unwrap();
    let known = site.dut.ip_json("addr show dev wan0");
    let addresses = known.iter().filter_map(|link| link["addr_info"].as_array()).flatten();
    let mut found = addresses.filter_map(|address| address["local"].as_str()?.parse().ok());
    assert!(found.any(|address: Ipv6Addr| address == hop), "{hop} is the relay agent");
}
