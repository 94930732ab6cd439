//! Router advertisements on one downlink (RFC 4861 §6.2): when, and with which lifetimes.
//!
//! The content of advertisements comes as a whole, with absolute ends ([`Content`]). What hosts
//! were promised is remembered, so that a prefix that leaves the content is withdrawn in every
//! advertisement for as long as some host may hold it (RFC 9096 §3.5).
//!
//! `ledger` knows what hosts have heard before, `lifetimes` what can be advertised at a moment: a
//! `Statement`. An [`Advertiser`] sends it: the built-in one (`sender`, with `schedule` for
//! when, `message` for how it is put into packets, and `copies` for the hosts that are sent what is
//! new by unicast as well), or another program in its place (`external`, with `lasting` for a
//! statement that the program can repeat).

mod content;
mod copies;
mod expected;
mod external;
mod lasting;
mod ledger;
mod lifetimes;
mod message;
mod schedule;
mod sender;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

pub use content::Content;

use self::external::External;
use self::lasting::Lasting;
use self::ledger::Ledger;
use self::lifetimes::Statement;
use self::message::Link;
use self::sender::Sender;
use crate::config;
use crate::core::engine::Advertised;
use crate::core::kernel::system::Neighbor;
use crate::core::random::Random;
use crate::net::ALL_NODES;
use crate::time::{Deadline, Instant, Until};
use crate::wire::ndp::{RouterAdvertisement, RouterSolicitation};

/// How long a stub router counts as present after it was last heard: no router may leave more time
/// between two advertisements (RFC 4861 §6.2.1).
const STUB_ROUTER_REMEMBERED: Duration = Duration::from_secs(1800);

/// An advertisement to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transmit {
    /// ff02::1, or the nodes that are sent it by unicast.
    pub destinations: Vec<Ipv6Addr>,
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
pub struct Advertising {
    rules: config::Advertise,
    /// None until it is known: after a restart nothing may be withdrawn before there is news of the
    /// uplink.
    content: Option<Content>,
    ledger: Ledger,
    /// When a stub router last advertised on the link.
    stub_router_at: Option<Instant>,
    advertiser: Advertiser,
}

/// The one that sends what is advertised. A verb of [`Advertising`] that concerns it is one `let`
/// here: another advertiser is one case, and the compiler names the verbs that it has to answer.
#[derive(Clone, Debug)]
enum Advertiser {
    /// This program.
    BuiltIn(Box<Sender>),
    /// Another one.
    External(Box<External>),
}

impl Advertising {
    /// Silent until [`link_up`](Self::link_up); `promised` is what was remembered.
    pub fn new(rules: config::Advertise, promised: Promises, random: Random) -> Self {
        let sender = Sender::new(&rules, random);
        Self {
            rules,
            content: None,
            ledger: Ledger::new(promised),
            stub_router_at: None,
            advertiser: Advertiser::BuiltIn(Box::new(sender)),
        }
    }

    /// As [`new`](Self::new), with another program that advertises.
    pub fn by(program: config::Program, rules: config::Advertise, promised: Promises) -> Self {
        Self {
            rules,
            content: None,
            ledger: Ledger::new(promised),
            stub_router_at: None,
            advertiser: Advertiser::External(Box::new(External::new(program))),
        }
    }

    /// The link can send, with this link-layer address and MTU: the initial advertisements
    /// (RA-TX-06), the first of them at once. Until [`set_content`](Self::set_content) was called
    /// nothing is sent.
    pub fn link_up(&mut self, now: Instant, link_layer_address: Option<Vec<u8>>, mtu: u32) {
        if !self.rules.enabled {
            return;
        }
        let link = Link { link_layer_address, mtu };
        match &mut self.advertiser {
            Advertiser::BuiltIn(sender) => sender.link_up(now, link),
            Advertiser::External(external) => external.link_up(now, link),
        }
    }

    /// The link cannot send.
    pub fn link_down(&mut self) {
        match &mut self.advertiser {
            Advertiser::BuiltIn(sender) => sender.link_down(),
            Advertiser::External(external) => external.link_down(),
        }
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
        let shortens = content.shortens(&before);
        self.content = Some(content);
        match &mut self.advertiser {
            Advertiser::BuiltIn(sender) if differs => {
                sender.announce(now, self.rules.unicast_copies);
            }
            Advertiser::External(external) if differs => {
                external.announce(now, self.rules.min_delay);
            }
            // It would go on to promise too much.
            Advertiser::External(external) if shortens => {
                external.review_soon(now, self.rules.min_delay);
            }
            // What merely lasts longer is handed over with time, as the built-in would say it.
            Advertiser::External(external) => external.review(now + self.rules.min_interval),
            Advertiser::BuiltIn(_) => {}
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
        // Another program answers by itself.
        if self.content.is_some()
            && let Advertiser::BuiltIn(sender) = &mut self.advertiser
        {
            sender.handle_solicitation(now, source, solicitation);
        }
    }

    /// Whether the first multicast advertisement of something new has yet to leave.
    pub const fn is_announcing(&self) -> bool {
        self.content.is_some()
            && match &self.advertiser {
                Advertiser::BuiltIn(sender) => sender.is_announcing(),
                Advertiser::External(external) => external.is_announcing(),
            }
    }

    /// Advertises to a requesting router by unicast, at once: the multicast advertisement may have
    /// to wait, or get lost (SRV-59, RA-TX-64).
    pub fn notify(&mut self, now: Instant, router: Ipv6Addr) {
        // Another program advertises to all at once what is new.
        if self.content.is_some()
            && let Advertiser::BuiltIn(sender) = &mut self.advertiser
        {
            sender.notify(now, router);
        }
    }

    /// Whether [`set_neighbors`](Self::set_neighbors) has to be called, as something is new that
    /// hosts are sent by unicast as well (RA-TX-63).
    pub fn poll_neighbors(&mut self, now: Instant) -> bool {
        match &mut self.advertiser {
            Advertiser::BuiltIn(sender) => self.content.is_some() && sender.poll_neighbors(now),
            Advertiser::External(_) => false,
        }
    }

    /// Takes in the neighbors on the link. Returns addresses that some of them are about to form,
    /// with their link-layer addresses.
    pub fn set_neighbors(
        &mut self,
        now: Instant,
        neighbors: Vec<Neighbor>,
    ) -> Vec<(Ipv6Addr, Vec<u8>)> {
        let expected = expected::expected(self.preferred_prefixes(now), &neighbors);
        if let Advertiser::BuiltIn(sender) = &mut self.advertiser {
            sender.set_neighbors(now, neighbors);
        }
        expected
    }

    /// The prefixes that hosts form addresses in which they prefer (RFC 4862 §5.5.3).
    fn preferred_prefixes(&self, now: Instant) -> impl Iterator<Item = Ipv6Net> {
        let content = self.content.iter().filter(|_| self.rules.autonomous);
        let prefixes = content.flat_map(|content| &content.prefixes);
        prefixes
            .filter(move |(_, (preferred, valid))| !preferred.is_over(now) && !valid.is_over(now))
            .map(|(prefix, _)| *prefix)
    }

    /// The final advertisement, with Router Lifetime 0 (RA-TX-57), at once; silence follows.
    /// `withdraw` says the prefixes are to be withdrawn too; else they are advertised as ever, but
    /// with no new promise. Without messages where nothing could have been advertised before.
    pub fn stop(&mut self, now: Instant, withdraw: bool) -> Transmit {
        let messages = encode(&self.final_advertisement(now, withdraw));
        self.link_down();
        Transmit { destinations: vec![ALL_NODES], messages }
    }

    fn final_advertisement(&self, now: Instant, withdraw: bool) -> Vec<RouterAdvertisement> {
        match (&self.advertiser, self.final_statement(now, withdraw)) {
            (Advertiser::BuiltIn(_), Some((link, statement))) => {
                message::render(&self.rules, link, &statement)
            }
            (Advertiser::BuiltIn(_) | Advertiser::External(_), _) => Vec::new(),
        }
    }

    /// What another program is handed before it is ended, as by [`stop`](Self::stop).
    pub fn final_order(&self, now: Instant, withdraw: bool) -> Option<Advertised> {
        let (link, statement) = self.final_statement(now, withdraw)?;
        match &self.advertiser {
            Advertiser::BuiltIn(_) => None,
            Advertiser::External(_) => Some(self.advertised_by(link, &statement, BTreeSet::new())),
        }
    }

    fn final_statement(&self, now: Instant, withdraw: bool) -> Option<(&Link, Statement)> {
        let link = match &self.advertiser {
            Advertiser::BuiltIn(sender) => sender.link(),
            Advertiser::External(external) => external.link(),
        };
        let mut statement = self.statement(self.content.as_ref()?, now);
        statement.router_lifetime = 0;
        if withdraw {
            statement.withdraw_all();
        } else {
            statement.limit_to_recorded(&self.ledger, now);
        }
        Some((link?, statement))
    }

    /// The next advertisement, once its time has come.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(Vec<Promise>, Transmit)> {
        let (promises, destinations, messages) = self.poll_advertisement(now)?;
        Some((promises, Transmit { destinations, messages: encode(&messages) }))
    }

    fn poll_advertisement(
        &mut self,
        now: Instant,
    ) -> Option<(Vec<Promise>, Vec<Ipv6Addr>, Vec<RouterAdvertisement>)> {
        let has_stub_router = self.has_stub_router(now);
        let content = self.content.as_ref()?;
        let Advertiser::BuiltIn(sender) = &mut self.advertiser else { return None };
        let destinations = sender.poll(now);
        let first = destinations.first()?;
        let statement = Statement::new(&self.rules, content, &self.ledger, has_stub_router, now);
        let messages = message::render(&self.rules, sender.link()?, &statement);
        let promises = self.ledger.note(&statement, content, now, self.rules.max_interval);
        if *first == ALL_NODES {
            sender.sent(now, (statement.min_interval, statement.max_interval));
        }
        Some((promises, destinations, messages))
    }

    /// The promises that another program makes until the next time, and before that what it is to
    /// be handed, where it is not the same as before.
    pub fn poll_order(&mut self, now: Instant) -> Option<(Vec<Promise>, Option<Advertised>)> {
        let content = self.content.as_ref()?;
        let Advertiser::External(external) = &self.advertiser else { return None };
        if !external.is_due(now) {
            return None;
        }
        let Lasting { statement, running_down, until } =
            Lasting::new(now, |at| self.statement(content, at));
        let advertised = self.advertised_by(external.link()?, &statement, running_down);
        // It is repeated until then.
        let promises = self.ledger.note(&statement, content, until, self.rules.max_interval);
        let Advertiser::External(external) = &mut self.advertiser else { return None };
        Some((promises, external.hand_over(now, until, advertised)))
    }

    fn advertised_by(
        &self,
        link: &Link,
        statement: &Statement,
        running_down: BTreeSet<Ipv6Net>,
    ) -> Advertised {
        let (min_interval, max_interval) = (statement.min_interval, statement.max_interval);
        Advertised {
            advertisement: message::whole(&self.rules, link, statement),
            running_down,
            rules: config::Advertise { min_interval, max_interval, ..self.rules.clone() },
            link_mtu: link.mtu,
            attempt: 0,
        }
    }

    /// Another program is handed once more what it is to advertise, at once.
    pub fn repeat_order(&mut self, now: Instant) {
        if let Advertiser::External(external) = &mut self.advertiser {
            external.announce(now, Duration::ZERO);
        }
    }

    /// Whether another program is to be solicited, to hear whether it does what it was handed.
    pub fn poll_probe(&mut self, now: Instant) -> bool {
        match &mut self.advertiser {
            Advertiser::BuiltIn(_) => false,
            Advertiser::External(external) => external.poll_probe(now),
        }
    }

    /// Takes in an advertisement from our own address that another program has sent. Whether it
    /// is the first that shows that the last order is carried out.
    pub fn handle_own(&mut self, now: Instant, advertisement: &RouterAdvertisement) -> bool {
        match &mut self.advertiser {
            Advertiser::BuiltIn(_) => false,
            Advertiser::External(external) => external.handle_own(now, advertisement),
        }
    }

    /// How often in a row another program was started anew for not doing what it was handed; none
    /// while it does.
    pub fn program_failures(&self) -> Option<u32> {
        match &self.advertiser {
            Advertiser::BuiltIn(_) => None,
            Advertiser::External(external) => external.failures(),
        }
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

    /// When the next is to be sent.
    pub fn deadline(&self) -> Option<Deadline> {
        self.content.as_ref()?;
        match &self.advertiser {
            Advertiser::BuiltIn(sender) => sender.deadline(),
            Advertiser::External(external) => external.deadline(),
        }
    }

    /// The prefixes as the next advertisement would say them: preferred and valid seconds.
    pub fn advertised(&self, now: Instant) -> Vec<(Ipv6Net, u32, u32)> {
        let Some(content) = &self.content else { return Vec::new() };
        self.statement(content, now)
            .prefixes
            .iter()
            .map(|stated| (stated.prefix, stated.preferred, stated.valid))
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
