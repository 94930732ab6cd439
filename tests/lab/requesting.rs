//! Stories of a requesting router of other people below a delegating router.

use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::time::Lifetime;
use renumberd::wire::dhcpv6::MessageType;
use renumberd::wire::dhcpv6_option::Dhcpv6Option;

use super::client::INTERFACE;
use super::net::Namespace;
use super::peer::{Kind, Peer, Place};
use super::provider::Era;
use super::site::Site;
use super::wire::Wire;
use super::{CEILING, eventually, millis, pause, secs, sys};
use renumberd::lab::observe::frame::Frame;

/// The era in which all begin, and the one after.
pub fn eras() -> (Era, Era) {
    (Era::new(0x1000), Era::new(0x2000))
}

/// A requesting router settled below a delegating one.
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

impl<Side> Below<Side> {
    pub fn begin(kind: Kind, above: impl FnOnce(&Site) -> Side) -> Self {
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

    pub fn takes(&self, delegated: Ipv6Net) {
        eventually(&format!("it uses {delegated}"), CEILING, || {
            self.place().has(delegated).then_some(())
        });
    }

    /// Waits for a Reply in which `delegated` is given, since then.
    pub fn is_given(&self, delegated: Ipv6Net, since: Duration) -> Frame {
        self.wire.wait_for(&format!("a Reply with {delegated}"), CEILING, |frame| {
            frame.at >= since && gives(frame, delegated)
        })
    }

    /// What is asked for, first, since then.
    pub fn asked(&self, since: Duration) -> Option<(MessageType, Duration)> {
        let frames = self.wire.frames();
        let first = frames.iter().find(|frame| frame.at >= since && frame.asks_for_prefixes())?;
        Some((first.dhcp()?.kind, first.at.saturating_sub(since)))
    }

    /// Waits until the requesting router uses the prefix of the second era, and somewhat longer
    /// for it to leave the one of the first.
    pub fn follows(&self, since: Duration) -> Followed {
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

pub fn gives(frame: &Frame, delegated: Ipv6Net) -> bool {
    let given = |prefix: Ipv6Net, valid| prefix == delegated && valid != Lifetime::ZERO;
    frame.is_dhcp(MessageType::Reply)
        && frame
            .ia_pds()
            .iter()
            .any(|ia| ia.prefixes.iter().any(|found| given(found.prefix, found.valid)))
}

/// What it says of itself is what was configured.
pub fn is_who_it_should_be(wire: &Wire, kind: Kind) {
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

/// A requesting router behind the router of the usual site, which is to be a relay agent: the
/// site's host, with a link of its own behind it.
pub fn behind(site: &Site) -> &Namespace {
    // The address by which the relay agent names the link.
    site.dut.ip("addr add 2001:db8:e::1/64 dev lan0 nodad");
    let peer = &site.client().namespace;
    peer.ip("link add in0 type veth peer name in0-far");
    peer.ip("link set in0-far up");
    peer.ip("link set in0 up");
    peer.settled(INTERFACE);
    peer
}
