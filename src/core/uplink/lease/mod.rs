//! The requesting router (RFC 9915 §18.2): from Solicit to Rebind, for all IAs of one uplink.
//!
//! The lease outlives its exchanges: prefixes run by their own lifetimes and only a Reply, their
//! expiry or the operator ends them (SEC-05). Nothing is ever released: what is delegated may be
//! in use downstream (RFC 9915 §6.3, RFC 9096 §3.1).
//!
//! A [`Lease`] holds what it was given (`held`, `timers`) and the exchanges under way
//! (`exchange`), which are several at times: the ladder's Rebinds and the Solicit beside them. The
//! first answer of use ends the others. `ladder` says what is asked and when, `ask` builds the
//! messages, `offer`, `reply` and `reconfigure` take in the answers, `limit` bounds it all,
//! `remember` carries it over a restart, `transition` says what happened.

mod ask;
mod exchange;
mod held;
mod ladder;
mod limit;
mod missing;
mod offer;
mod reconfigure;
mod refusal;
mod remember;
mod reply;
mod round_trip;
mod send;
#[cfg(test)]
mod tests;
mod timers;
mod transition;
mod types;
mod unavailable;

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::change::Outcome;
use crate::core::memory::StoredLease;
use crate::core::random::Random;
use crate::time::{Deadline, Instant, Until};
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::Duid;
use crate::wire::dhcpv6_service::ServiceOption;

pub use refusal::Refusal;
pub use transition::{Loss, Transition};
pub use types::{DelegatedPrefix, Ending, LeasedAddress, Progress, Reject, Rules};
pub use unavailable::Unavailable;

use exchange::{Aim, DECLINE, Exchange, Kind, SOLICIT};
use held::{Held, Ia, SetMember};
use ladder::Ladder;
use limit::Limit;
use offer::IntervalCap;
use reconfigure::Keyring;
use refusal::Refusals;
use reply::{Resolvers, Verdict};
use round_trip::RoundTrips;
use transition::Transitions;

/// An address that others use is not asked for again for so long (UPL-05).
const DECLINED_REST: Duration = Duration::from_secs(600);

/// A lease is renewed for the sake of an address at most once in so long: anyone on the link can
/// set the M flag to and fro.
const ADDRESS_GAP: Duration = Duration::from_secs(30);

/// The lease of one uplink.
#[derive(Clone, Debug)]
pub struct Lease {
    rules: Rules,
    random: Random,
    /// The uplink can send.
    up: bool,
    wants_address: bool,
    wants_information: bool,
    /// Since when no address is asked for: one was declined.
    declined_at: Option<Instant>,
    /// When an address was last asked for out of turn.
    address_asked_at: Option<Instant>,
    held: Held,
    refusals: Refusals,
    /// Who gave what is held.
    server: Option<Duid>,
    round_trips: RoundTrips,
    /// Since when questions about a lease have got no answer.
    unanswered_since: Option<Instant>,
    /// How many times in a row what was asked for was not given.
    refused_count: u32,
    /// What the last answer about it left empty.
    unmet: BTreeSet<Ia>,
    unavailable: Vec<Unavailable>,
    /// When a Reply last gave or took something.
    settled_at: Option<Instant>,
    resolvers: Resolvers,
    exchanges: Vec<Exchange>,
    ladder: Option<Ladder>,
    keyring: Option<Keyring>,
    /// When a Reconfigure was last handed on.
    reconfigured_at: Option<Instant>,
    /// When information without a lease is to be asked for again.
    inform_at: Option<Instant>,
    solicit_cap: IntervalCap,
    information_cap: IntervalCap,
    limit: Limit,
    /// Until when the passing of time has been reported.
    seen: Instant,
    transitions: Transitions,
}

/// What [`Progress`] is the difference of.
#[derive(PartialEq, Eq)]
struct View {
    set: Vec<SetMember>,
    prefixes: Vec<DelegatedPrefix>,
    addresses: Vec<LeasedAddress>,
    resolvers: Resolvers,
    keyring: Option<Keyring>,
    server: Option<Duid>,
}

impl Lease {
    /// Holds what `stored` says, as far as it is valid at `now`; sends nothing until
    /// [`link_up`](Self::link_up). A prefix of an IA_PD that is not configured any more is gone.
    pub fn new(rules: Rules, stored: Option<StoredLease>, random: Random, now: Instant) -> Self {
        let mut lease = Self {
            held: Held::new(rules.shortest_prefix),
            refusals: Refusals::default(),
            rules,
            random,
            up: false,
            wants_address: false,
            wants_information: false,
            declined_at: None,
            address_asked_at: None,
            server: None,
            round_trips: RoundTrips::default(),
            unanswered_since: None,
            refused_count: 0,
            unmet: BTreeSet::new(),
            unavailable: Vec::new(),
            settled_at: None,
            resolvers: Resolvers::default(),
            exchanges: Vec::new(),
            ladder: None,
            keyring: None,
            reconfigured_at: None,
            inform_at: None,
            solicit_cap: IntervalCap::default(),
            information_cap: IntervalCap::default(),
            limit: Limit::default(),
            seen: now,
            transitions: Transitions::default(),
        };
        if let Some(stored) = stored {
            lease.restore(now, &stored);
        }
        lease
    }

    /// A router's M flag says that addresses are to be had (UPL-15). One that is held stays held
    /// when the flag goes.
    pub fn want_address(&mut self, now: Instant, wanted: bool) {
        let rises = wanted && !self.wants_address;
        self.wants_address = wanted;
        let is_recent = self.address_asked_at.is_some_and(|at| now.since(at) < ADDRESS_GAP);
        if !rises || !self.up || is_recent || !self.held.addresses().is_empty() {
            return;
        }
        self.address_asked_at = Some(now);
        if self.held.is_empty() {
            // What has left already did not ask for one.
            self.exchanges.retain(|exchange| {
                !exchange.is_sent() || !matches!(exchange.kind, Kind::Solicit { .. })
            });
        } else if self.ladder.is_none() && !self.is_under_way(Kind::covers_t1) {
            self.renew(now);
        }
        self.maintain(now);
    }

    /// Says which prefixes other uplinks hold or are set by hand: what overlaps them is refused.
    pub fn set_elsewhere(&mut self, elsewhere: Vec<Ipv6Net>) {
        self.held.set_elsewhere(elsewhere);
    }

    /// The next refusal that is to be counted.
    pub fn poll_refusal(&mut self) -> Option<Refusal> {
        self.refusals.poll()
    }

    /// What servers gave last and was refused, with the reasons.
    pub fn refused(&self) -> &[(Ipv6Net, Refusal)] {
        self.refusals.standing()
    }

    /// A router's O flag says that information is to be had: it is asked for where neither
    /// prefixes nor addresses are (CHG-06).
    pub fn want_information(&mut self, now: Instant, wanted: bool) {
        let rises = wanted && !self.wants_information;
        self.wants_information = wanted;
        if rises && self.up && self.held.is_empty() && !self.asks(now) {
            self.inform(now, None);
        }
    }

    /// Duplicate address detection failed for an address of the IA_NA: Decline it (PDC-84).
    pub fn decline(&mut self, now: Instant, address: Ipv6Addr) {
        let held = self.held.addresses();
        let Some(server) = self.server.clone() else { return };
        if !held.iter().any(|leased| leased.address == address) {
            return;
        }
        self.held.drop_addresses(now, Some(address));
        self.declined_at = Some(now);
        self.unmet.insert(Ia::Na);
        if self.up {
            self.start(Kind::Decline { server, addresses: vec![address] }, DECLINE, now);
        }
        self.maintain(now);
    }

    /// Whether `message` answers a question of ours.
    pub fn awaits(&self, message: &Message) -> bool {
        self.position_of(message).is_some()
    }

    /// Takes in a message from UDP port 547; `octets` are those it was decoded from, for the
    /// authentication of a Reconfigure.
    ///
    /// # Errors
    ///
    /// [`Reject`] when it is dropped; nothing but the bounds of retransmission changes then.
    pub fn handle_message(
        &mut self,
        now: Instant,
        message: &Message,
        octets: &[u8],
    ) -> Result<Progress, Reject> {
        let before = self.view();
        let mut reconfigure = None;
        let verdict = match message.kind {
            MessageType::Reply => {
                let server = self.sender(message)?;
                let asked = self.asked(message);
                self.note_answer(now, message, server);
                let verdict = self.handle_reply(now, message, server);
                self.note_answered(message, server, asked);
                self.calm(message, &verdict);
                verdict?
            }
            MessageType::Advertise => {
                let server = self.sender(message)?;
                let asked = self.asked(message);
                self.note_answer(now, message, server);
                let verdict = self.handle_advertise(now, message, server);
                self.note_answered(message, server, asked);
                self.calm(message, &verdict);
                verdict?;
                Verdict::UnderWay
            }
            MessageType::Reconfigure => {
                let server = self.sender(message)?;
                reconfigure = self.handle_reconfigure(now, message, octets, server)?;
                Verdict::UnderWay
            }
            MessageType::Solicit
            | MessageType::Request
            | MessageType::Confirm
            | MessageType::Renew
            | MessageType::Rebind
            | MessageType::Release
            | MessageType::Decline
            | MessageType::InformationRequest => return Err(Reject::UnexpectedType),
        };
        self.expire(now);
        let mut progress = self.progress_since(now, &before);
        progress.reconfigure = reconfigure;
        if verdict == Verdict::Settled {
            let fruitful = if progress.changed { Outcome::Fruitful } else { Outcome::Unchanged };
            progress.outcome = self.ladder.map(|_| fruitful);
            self.settle(now);
        }
        if !self.held.is_empty() {
            self.seek_missing(now);
        }
        Ok(progress)
    }

    /// A server has answered: how long it took is what repetitions go by from here on.
    fn note_answer(&mut self, now: Instant, message: &Message, server: &Duid) {
        self.unanswered_since = None;
        let Some(exchange) = self.position_of(message).and_then(|at| self.exchanges.get(at)) else {
            return;
        };
        let retransmit = &exchange.retransmit;
        if let Some(sent_at) = retransmit.last_at() {
            let (count, interval) = (retransmit.count(), retransmit.interval());
            self.round_trips.handle_answer(server, now, sent_at, count, interval);
        }
    }

    /// An answer of no use ends the haste with which a lost question is repeated (PDC-64, PDC-65).
    fn calm<T>(&mut self, message: &Message, verdict: &Result<T, Reject>) {
        if matches!(verdict, Err(Reject::Useless))
            && let Some(position) = self.position_of(message)
            && let Some(exchange) = self.exchanges.get_mut(position)
        {
            exchange.retransmit.calm(SOLICIT.initial);
        }
    }

    /// The server that sent a message, if that is for this client.
    fn sender<'a>(&self, message: &'a Message) -> Result<&'a Duid, Reject> {
        let server = message.server_id().ok_or(Reject::NoServerId)?;
        if message.client_id() == Some(&self.rules.duid) {
            Ok(server)
        } else {
            Err(Reject::ClientId)
        }
    }

    /// Retransmits, renews, rebinds, lets run out what has run out.
    pub fn handle_timeout(&mut self, now: Instant) -> Progress {
        let before = self.view();
        self.expire(now);
        let outcome = self.give_up(now);
        self.advance(now);
        self.maintain(now);
        Progress { outcome, ..self.progress_since(now, &before) }
    }

    /// Lets run out what has run out. With the last of it the Solicit that went on beside it, at
    /// whatever pace it has slowed down to, makes room for a discovery from the start.
    fn expire(&mut self, now: Instant) {
        let was_empty = self.held.is_empty();
        self.held.expire(now);
        if !was_empty && self.held.is_empty() && self.ladder.is_none() {
            self.exchanges.retain(|exchange| {
                exchange.has_offers() || !matches!(exchange.kind, Kind::Solicit { .. })
            });
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn deadline(&self) -> Option<Deadline> {
        let free_at = self.limit.free_at();
        let exchange = self.exchanges.iter().map(|exchange| exchange.deadline(free_at)).min();
        let end = self.held.next_end(self.seen);
        let idle = self.up && self.held.is_empty() && !self.is_under_way(Kind::is_discovery);
        let rested = self.declined_at.map(|at| at + DECLINED_REST);
        let rested = rested.filter(|at| self.wants_address && *at > self.seen);
        Deadline::first([
            exchange.map(|at| Deadline::new(at, "DHCPv6 message")),
            end.map(|at| Deadline::new(at, "end of a lease")),
            self.maintenance_deadline(),
            rested.filter(|_| self.up).map(|at| Deadline::new(at, "rest after Decline")),
            self.inform_at
                .filter(|_| idle && self.wants_information)
                .map(|at| Deadline::new(at, "information refresh")),
        ])
    }

    /// Prefixes that are held and those that are gone, by IA_PD and prefix. The ones that are
    /// gone stay listed until [`forget`](Self::forget).
    pub fn prefixes(&self) -> Vec<DelegatedPrefix> {
        self.held.prefixes()
    }

    /// Addresses that are held.
    pub fn addresses(&self) -> Vec<LeasedAddress> {
        self.held.addresses()
    }

    /// DNS servers and search domains of the last Reply, with the end of the lease.
    pub fn resolvers(&self) -> (Ending<Ipv6Addr>, Ending<String>) {
        let Resolvers { servers, domains, .. } = &self.resolvers;
        let Some(until) = self.resolvers_until() else { return (Vec::new(), Vec::new()) };
        let servers = servers.iter().map(|server| (*server, until));
        let domains = domains.iter().map(|domain| (domain.clone(), until));
        (servers.collect(), domains.collect())
    }

    /// Options of the last Reply that are passed on to hosts, while the lease lasts (LAN-01).
    pub fn services(&self) -> &[ServiceOption] {
        if self.resolvers_until().is_some() { &self.resolvers.services } else { &[] }
    }

    fn resolvers_until(&self) -> Option<Until> {
        if self.resolvers.stateless { Some(Until::Never) } else { self.held.longest() }
    }

    /// When it is to be renewed, if that lies after `now`.
    pub fn renewed_at(&self, now: Instant) -> Option<Instant> {
        self.held.timers().and_then(|timers| timers.t1.at()).filter(|at| *at > now)
    }

    /// Drops prefixes that are gone since `before` or earlier.
    pub fn forget(&mut self, before: Instant) {
        self.held.forget(before);
    }

    /// Since when questions about a lease have got no answer.
    pub const fn unanswered_since(&self) -> Option<Instant> {
        self.unanswered_since
    }

    /// Who gave the lease, and what is under way, for status.
    pub fn describe(&self) -> (Option<Duid>, &'static str) {
        let server = self.server.clone().filter(|_| !self.held.is_empty());
        let whole = |exchange: &&Exchange| exchange.aim == Aim::Everything;
        let mut latest_first = self.exchanges.iter().rev().filter(whole);
        let state =
            latest_first.find(|exchange| exchange.is_sent()).map(|exchange| match exchange.kind {
                Kind::Solicit { .. } => "soliciting",
                Kind::Request { .. } => "requesting",
                Kind::Renew { .. } => "renewing",
                Kind::Rebind => "rebinding",
                Kind::Confirm => "confirming",
                Kind::Decline { .. } => "declining",
                Kind::InformationRequest { .. } => "asking for information",
            });
        let rest = match (self.up, self.held.is_empty()) {
            (true, true) => "idle",
            (true, false) => "bound",
            (false, true) => "down",
            (false, false) => "bound, link down",
        };
        (server, state.unwrap_or(rest))
    }

    /// Whether a lease is wanted.
    fn asks(&self, now: Instant) -> bool {
        !self.rules.delegate.is_empty() || self.asks_address(now)
    }

    /// Whether an IA_NA is to be asked for.
    fn asks_address(&self, now: Instant) -> bool {
        let rests = self.declined_at.is_some_and(|at| now.since(at) < DECLINED_REST);
        self.wants_address && !rests
    }

    fn view(&self) -> View {
        View {
            set: self.held.set(self.seen),
            prefixes: self.held.prefixes(),
            addresses: self.held.addresses(),
            resolvers: self.resolvers.clone(),
            keyring: self.keyring.clone(),
            server: self.server.clone(),
        }
    }

    fn progress_since(&mut self, now: Instant, before: &View) -> Progress {
        self.seen = now.max(self.seen);
        let after = self.view();
        if after.set != before.set {
            self.note_lost(now, before, &after);
        }
        let remembers = after.prefixes != before.prefixes
            || after.keyring != before.keyring
            || after.server != before.server;
        Progress {
            changed: after.set != before.set,
            refreshed: after.prefixes != before.prefixes
                || after.addresses != before.addresses
                || after.resolvers != before.resolvers,
            outcome: None,
            reconfigure: None,
            remember: remembers,
        }
    }
}
