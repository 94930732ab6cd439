//! Router advertisements on one downlink (RFC 4861 §6.2): when, and with which lifetimes.
//!
//! What is to be said comes as a whole, with absolute ends ([`Content`]). What hosts were promised
//! is remembered, so that a prefix that leaves the content is withdrawn in every advertisement
//! for as long as some host may hold it (RFC 9096 §3.5).
//!
//! `schedule` knows when to speak, `lifetimes` what can be said at a moment, `ledger` what hosts
//! have heard before, `message` how it is put into packets, `copies` which hosts are sent what is new
//! by unicast as well.

mod content;
mod copies;
mod ledger;
mod lifetimes;
mod message;
mod schedule;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

pub use content::Content;

use self::ledger::Ledger;
use self::lifetimes::Statement;
use self::message::Link;
use self::schedule::Schedule;
use crate::config;
use crate::core::kernel::system::Neighbor;
use crate::core::random::Random;
use crate::net::ALL_NODES;
use crate::time::{Deadline, Instant, Until};
use crate::wire::ndp::{RouterAdvertisement, RouterSolicitation};
use crate::wire::ndp_option::NdpOption;

/// A stub router counts as present for so long after it was last heard: no router may leave more
/// time between two advertisements (RFC 4861 §6.2.1).
const STUB_ROUTER_REMEMBERED: Duration = Duration::from_secs(1800);

/// An advertisement to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// ff02::1 or who solicited.
    pub destination: Ipv6Addr,
    /// The encoded messages: more than one where the link's MTU is too small for all options.
    pub messages: Vec<Vec<u8>>,
}

/// A promise that has to be remembered before the next [`Transmit`] is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Promise {
    /// For this prefix.
    pub prefix: Ipv6Net,
    /// That it is reached by way of this router (RFC 4191), not that it is on the link.
    pub is_route: bool,
    /// Hosts may hold it until then. Up to MaxRtrAdvInterval beyond what was advertised, so that it
    /// need not be written again for each advertisement (STO-11), but not beyond the prefix's end.
    pub until: Until,
}

/// What hosts on one link were promised, and may believe until then.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Promises {
    /// On-link prefixes.
    pub prefixes: BTreeMap<Ipv6Net, Until>,
    /// More specific routes.
    pub routes: BTreeMap<Ipv6Net, Until>,
}

/// The advertisements of one downlink.
#[derive(Clone, Debug)]
pub struct Advertiser {
    rules: config::Advertise,
    random: Random,
    /// None while the link cannot send, and where nothing is to be sent at all.
    link: Option<Link>,
    /// None until it is known: after a restart nothing may be withdrawn before the uplink has
    /// said something.
    content: Option<Content>,
    ledger: Ledger,
    schedule: Schedule,
    /// When a stub router last advertised on the link.
    stub_router_at: Option<Instant>,
}

impl Advertiser {
    /// Silent until [`link_up`](Self::link_up); `promised` is what was remembered.
    pub fn new(rules: config::Advertise, promised: Promises, random: Random) -> Self {
        let schedule = Schedule::new(rules.min_delay, rules.unicast_answers);
        let ledger = Ledger::new(promised);
        let (link, content, stub_router_at) = (None, None, None);
        Self { rules, random, link, content, ledger, schedule, stub_router_at }
    }

    /// The link can send, with this link-layer address and MTU: the initial advertisements
    /// (RA-TX-06), the first of them at once. Until [`set_content`](Self::set_content) was called
    /// nothing is sent.
    pub fn link_up(&mut self, now: Instant, link_layer_address: Option<Vec<u8>>, mtu: u32) {
        let link = Some(Link { link_layer_address, mtu });
        if self.rules.enabled && self.link != link {
            self.link = link;
            self.schedule.announce(now);
        }
    }

    /// The link cannot send.
    pub fn link_down(&mut self) {
        self.link = None;
        self.schedule.silence();
    }

    /// Takes over what should be advertised. A real difference, not a mere refresh of lifetimes, is
    /// advertised at once, as far as MIN_DELAY_BETWEEN_RAS allows (RA-TX-07, RA-TX-09).
    /// Returns whether it was one.
    pub fn set_content(&mut self, now: Instant, content: Content) -> bool {
        let content = content.normal();
        let known = self.content.is_some();
        if !known {
            self.ledger.resume(&content, now);
        }
        let before = self.content.take().unwrap_or_default();
        let differs = content.differs(&before, now)
            || self.ledger.exceeds(&before, &content, now)
            || (!known && !self.ledger.withdrawn(&content, now).is_empty());
        self.content = Some(content);
        if let Some(link) = self.link.as_ref().filter(|_| differs) {
            self.schedule.announce(now);
            // A link without such addresses has one peer.
            if self.rules.unicast_copies && link.link_layer_address.is_some() {
                self.schedule.copy(now);
            }
        }
        differs
    }

    /// What hosts were promised before a restart and `content`, the first, would withdraw.
    pub fn would_withdraw(&self, content: &Content, now: Instant) -> Vec<Ipv6Net> {
        if self.content.is_some() { Vec::new() } else { self.ledger.withdrawn(content, now) }
    }

    /// Whether there has been nothing to advertise yet, not even that there is nothing.
    pub const fn is_new(&self) -> bool {
        self.content.is_none()
    }

    /// Takes in a valid solicitation. One from the unspecified address that names a link-layer
    /// address is ignored (RFC 4861 §6.1.1).
    pub fn handle_solicitation(
        &mut self,
        now: Instant,
        source: Ipv6Addr,
        solicitation: &RouterSolicitation,
    ) {
        let (Some(link), Some(_)) = (&self.link, &self.content) else { return };
        let named = solicitation.options.iter().find_map(|option| {
            let NdpOption::SourceLinkLayer(address) = option else { return None };
            Some(address.clone())
        });
        if source.is_multicast() || (source.is_unspecified() && named.is_some()) {
            return;
        }
        // A unicast answer must not start address resolution towards whoever asks.
        let reachable = named.is_some() || link.link_layer_address.is_none();
        let unicast = (reachable && !source.is_unspecified()).then_some(source);
        if let (Some(host), Some(link_layer)) = (unicast, named) {
            self.schedule.note_solicitor(now, host, link_layer);
        }
        self.schedule.solicit(now, unicast, &mut self.random);
    }

    /// Whether the first multicast advertisement of something new has yet to leave.
    pub const fn is_announcing(&self) -> bool {
        self.link.is_some() && self.content.is_some() && self.schedule.is_announcing()
    }

    /// Advertises to a requesting router by unicast, at once: the multicast advertisement may have
    /// to wait, or get lost (SRV-59, RA-TX-64).
    pub fn notify(&mut self, now: Instant, router: Ipv6Addr) {
        if self.link.is_some() && self.content.is_some() {
            self.schedule.notify(now, router);
        }
    }

    /// Whether [`set_neighbors`](Self::set_neighbors) has to be called, as something is new that
    /// hosts are sent by unicast as well (RA-TX-63).
    pub fn poll_neighbors(&mut self, now: Instant) -> bool {
        self.link.is_some() && self.content.is_some() && self.schedule.poll_neighbors(now)
    }

    /// Takes in the neighbors on the link.
    pub fn set_neighbors(&mut self, now: Instant, neighbors: Vec<Neighbor>) {
        if self.link.is_some() {
            self.schedule.set_neighbors(now, neighbors);
        }
    }

    /// The final advertisement, with Router Lifetime 0 (RA-TX-57), at once; silence follows.
    /// `withdraw` says the prefixes are to be withdrawn too; else they are advertised as ever, but
    /// with no new promise. Without messages where nothing could have been advertised before.
    pub fn stop(&mut self, now: Instant, withdraw: bool) -> Transmit {
        let messages = encode(&self.final_advertisement(now, withdraw));
        self.link_down();
        Transmit { destination: ALL_NODES, messages }
    }

    fn final_advertisement(&self, now: Instant, withdraw: bool) -> Vec<RouterAdvertisement> {
        let (Some(link), Some(content)) = (&self.link, &self.content) else { return Vec::new() };
        let mut statement = self.statement(content, now);
        statement.router_lifetime = 0;
        if withdraw {
            statement.withdraw_all();
        } else {
            statement.limit_to_recorded(&self.ledger, now);
        }
        message::render(&self.rules, link, &statement)
    }

    /// The next advertisement that is due.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(Vec<Promise>, Transmit)> {
        let (promises, destination, messages) = self.poll_advertisement(now)?;
        Some((promises, Transmit { destination, messages: encode(&messages) }))
    }

    fn poll_advertisement(
        &mut self,
        now: Instant,
    ) -> Option<(Vec<Promise>, Ipv6Addr, Vec<RouterAdvertisement>)> {
        let (link, content) = (self.link.as_ref()?, self.content.as_ref()?);
        let destination = self.schedule.poll(now)?;
        let has_stub_router = self.has_stub_router(now);
        let statement = Statement::new(&self.rules, content, &self.ledger, has_stub_router, now);
        let messages = message::render(&self.rules, link, &statement);
        let promises = self.ledger.note(&statement, content, now, self.rules.max_interval);
        if destination == ALL_NODES {
            let interval = self.random.duration(statement.min_interval, statement.max_interval);
            self.schedule.sent(now, interval);
        }
        Some((promises, destination, messages))
    }

    /// A stub router has advertised on the link (RA-TX-61).
    pub const fn note_stub_router(&mut self, now: Instant) {
        self.stub_router_at = Some(now);
    }

    fn has_stub_router(&self, now: Instant) -> bool {
        self.stub_router_at.is_some_and(|at| now.since(at) < STUB_ROUTER_REMEMBERED)
    }

    fn statement(&self, content: &Content, now: Instant) -> Statement {
        let has_stub_router = self.has_stub_router(now);
        Statement::new(&self.rules, content, &self.ledger, has_stub_router, now)
    }

    /// When the next is due.
    pub fn deadline(&self) -> Option<Deadline> {
        (self.link.is_some() && self.content.is_some()).then(|| self.schedule.deadline()).flatten()
    }

    /// The prefixes as the next advertisement would say them: preferred and valid seconds.
    pub fn advertised(&self, now: Instant) -> Vec<(Ipv6Net, u32, u32)> {
        let Some(content) = &self.content else { return Vec::new() };
        self.statement(content, now)
            .prefixes
            .iter()
            .map(|said| (said.prefix, said.preferred, said.valid))
            .collect()
    }

    /// The Router Lifetime that the next advertisement would say, in seconds.
    pub fn router_lifetime(&self) -> u16 {
        self.content.as_ref().map_or(0, |content| lifetimes::router_lifetime(&self.rules, content))
    }
}

fn encode(messages: &[RouterAdvertisement]) -> Vec<Vec<u8>> {
    messages.iter().map(RouterAdvertisement::encode).collect()
}
