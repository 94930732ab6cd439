//! Stories of a requesting router of other people below Kea: what it does by itself.

use std::net::Ipv6Addr;
use std::time::Duration;

use renumberd::wire::dhcpv6::MessageType;

use super::client::INTERFACE;
use super::delegating::{KeaSide, Trigger};
use super::kea::Kea;
use super::peer::{Kind, Place};
use super::provider::Promise;
use super::relay::Relay;
use super::requesting::{Below, Followed, behind, eras, gives, is_who_it_should_be};
use super::site::Site;
use super::{CEILING, eventually, millis, pause, secs, sys};

/// Longer than any test.
const LONG: (u32, u32) = (1800, 3600);
/// T1 is 8 s.
const BRIEF: (u32, u32) = (16, 60);

impl Below<KeaSide> {
    pub fn kea(kind: Kind, lifetimes: (u32, u32)) -> Self {
        Self::begin(kind, |site| KeaSide::start(site, eras().0, lifetimes))
    }
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
    let mac = below.site.dut.mac("wan0");
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
    let peer = behind(&site);
    let promise = Promise::of(era.delegated);
    let _kea = Kea::start_at(&site.net, (&site.isp, "isp0"), Some(server), &[promise]);
    let _relay = Relay::start(&site.net, &site.dut, ("lan0", "wan0"), relay, Some(server));
    let wire = site.lan_wire();
    let place = Place { net: &site.net, namespace: peer, uplink: INTERFACE, inner: "in0" };
    let _peer = kind.start(place);
    eventually("it uses its prefix", CEILING, || place.has(era.delegated).then_some(()));
    assert!(wire.frames().iter().any(|frame| gives(frame, era.delegated)));
}
