//! The built-in requesting router (RFC 9915 §18.2): from Solicit to Rebind, for all IAs of one
//! uplink.
//!
//! Several exchanges are under way at times (`exchange`): the ladder's Rebinds and the Solicit
//! beside them. The first useful answer ends the others. `ladder` decides which messages are sent
//! and when, `ask` builds them, `offer`, `reply` and `reconfigure` handle the answers, `limit`
//! bounds the rate, `transition` reports the steps. The client does not own the lease: it is passed
//! in.

mod ask;
mod exchange;
mod ladder;
mod limit;
mod missing;
mod offer;
mod reconfigure;
mod reply;
mod round_trip;
mod send;
#[cfg(test)]
mod tests;
mod transition;
mod unavailable;

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::held::{Held, Ia, View};
use super::types::{Progress, Reject, Rules};
use crate::core::memory::StoredLease;
use crate::core::random::Random;
use crate::time::{Deadline, Instant};
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::Duid;

pub use transition::{Loss, Transition};
pub use unavailable::Unavailable;

use exchange::{Aim, DECLINE, Exchange, Kind, SOLICIT};
use ladder::Ladder;
use limit::Limit;
use offer::IntervalCap;
use reconfigure::Keyring;
use reply::Verdict;
use round_trip::RoundTrips;
use transition::Transitions;

/// How long an address that another node uses is not requested again (UPL-05).
const DECLINED_REST: Duration = Duration::from_secs(600);

/// The least time between two renewals for the sake of an address: any node on the link can set and
/// clear the M flag.
const ADDRESS_GAP: Duration = Duration::from_secs(30);

/// The exchanges about one uplink's lease.
#[derive(Clone, Debug)]
pub(super) struct Client {
    rules: Rules,
    random: Random,
    /// The uplink can send.
    up: bool,
    wants_address: bool,
    wants_information: bool,
    /// When an address was last declined; none is requested for a while after that.
    declined_at: Option<Instant>,
    /// When an early renewal for an address was last sent.
    address_asked_at: Option<Instant>,
    round_trips: RoundTrips,
    /// Since when requests about a lease have been unanswered.
    unanswered_since: Option<Instant>,
    /// How many requests in a row were refused.
    refused_count: u32,
    /// The associations that the last answer about them left empty.
    unmet: BTreeSet<Ia>,
    unavailable: Vec<Unavailable>,
    /// When a Reply last granted or withdrew anything.
    settled_at: Option<Instant>,
    exchanges: Vec<Exchange>,
    ladder: Option<Ladder>,
    keyring: Option<Keyring>,
    /// When a Reconfigure was last acted on.
    reconfigured_at: Option<Instant>,
    /// When information without a lease is to be requested again.
    inform_at: Option<Instant>,
    solicit_cap: IntervalCap,
    information_cap: IntervalCap,
    limit: Limit,
    transitions: Transitions,
}

impl Client {
    /// Sends nothing until [`link_up`](Self::link_up).
    pub(in crate::core::uplink::lease) fn new(
        rules: Rules,
        stored: Option<&StoredLease>,
        random: Random,
    ) -> Self {
        let keyring = stored.and_then(Keyring::restored).filter(|_| rules.reconfigure);
        Self {
            rules,
            random,
            up: false,
            wants_address: false,
            wants_information: false,
            declined_at: None,
            address_asked_at: None,
            round_trips: RoundTrips::default(),
            unanswered_since: None,
            refused_count: 0,
            unmet: BTreeSet::new(),
            unavailable: Vec::new(),
            settled_at: None,
            exchanges: Vec::new(),
            ladder: None,
            keyring,
            reconfigured_at: None,
            inform_at: None,
            solicit_cap: IntervalCap::default(),
            information_cap: IntervalCap::default(),
            limit: Limit::default(),
            transitions: Transitions::default(),
        }
    }

    /// A router's M flag says that addresses are available (UPL-15). An address that is held stays
    /// held when the flag is cleared.
    pub(in crate::core::uplink::lease) fn want_address(
        &mut self,
        held: &Held,
        now: Instant,
        wanted: bool,
    ) {
        let rises = wanted && !self.wants_address;
        self.wants_address = wanted;
        let is_recent = self.address_asked_at.is_some_and(|at| now.since(at) < ADDRESS_GAP);
        if !rises || !self.up || is_recent || !held.addresses().is_empty() {
            return;
        }
        self.address_asked_at = Some(now);
        if held.is_empty() {
            // A message that has left already did not request one.
            self.exchanges.retain(|exchange| {
                !exchange.is_sent() || !matches!(exchange.kind, Kind::Solicit { .. })
            });
        } else if self.ladder.is_none() && !self.is_under_way(Kind::covers_t1) {
            self.renew(held, now);
        }
        self.maintain(held, now);
    }

    /// A router's O flag says that information is available: it is requested where neither prefixes
    /// nor addresses are (CHG-06).
    pub(in crate::core::uplink::lease) fn want_information(
        &mut self,
        held: &Held,
        now: Instant,
        wanted: bool,
    ) {
        let rises = wanted && !self.wants_information;
        self.wants_information = wanted;
        if rises && self.up && held.is_empty() && !self.asks(now) {
            self.inform(now, None);
        }
    }

    /// Duplicate address detection failed for an address of the IA_NA: Decline it (PDC-84).
    pub(in crate::core::uplink::lease) fn decline(
        &mut self,
        held: &mut Held,
        now: Instant,
        address: Ipv6Addr,
    ) {
        let Some(server) = held.server.clone() else { return };
        if !held.addresses().iter().any(|leased| leased.address == address) {
            return;
        }
        held.drop_addresses(now, Some(address));
        self.declined_at = Some(now);
        self.unmet.insert(Ia::Na);
        if self.up {
            self.start(Kind::Decline { server, addresses: vec![address] }, DECLINE, now);
        }
        self.maintain(held, now);
    }

    /// Whether `message` answers an exchange of ours.
    pub(in crate::core::uplink::lease) fn awaits(&self, message: &Message) -> bool {
        self.position_of(message).is_some()
    }

    /// Takes in a message from UDP port 547; `octets` are those it was decoded from, for the
    /// authentication of a Reconfigure.
    ///
    /// # Errors
    ///
    /// [`Reject`] when it is dropped; nothing but the bounds of retransmission changes then.
    pub(in crate::core::uplink::lease) fn handle_message(
        &mut self,
        held: &mut Held,
        now: Instant,
        message: &Message,
        octets: &[u8],
    ) -> Result<Progress, Reject> {
        let before = (held.view(), self.keyring.clone());
        let mut reconfigure = None;
        let verdict = match message.kind {
            MessageType::Reply => {
                let server = self.sender(message)?;
                let asked = self.asked(message);
                self.note_answer(now, message, server);
                let verdict = self.handle_reply(held, now, message, server);
                self.note_answered(message, server, asked, &verdict);
                self.calm(message, &verdict);
                verdict?
            }
            MessageType::Advertise => {
                let server = self.sender(message)?;
                let asked = self.asked(message);
                self.note_answer(now, message, server);
                let verdict = self.handle_advertise(held, now, message, server);
                self.note_answered(message, server, asked, &verdict);
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
        self.expire(held, now);
        let mut progress = self.progress_since(held, now, &before);
        progress.reconfigure = reconfigure;
        if verdict == Verdict::Settled {
            progress.outcome = self.ladder.map(|_| held.outcome_since(&before.0));
            self.settle(held, now);
        }
        if !held.is_empty() {
            self.seek_missing(held, now);
        }
        Ok(progress)
    }

    /// A server has answered: the time that it took decides when later requests are repeated.
    fn note_answer(&mut self, now: Instant, message: &Message, server: &Duid) {
        let Some(exchange) = self.position_of(message).and_then(|at| self.exchanges.get(at)) else {
            return;
        };
        let retransmit = &exchange.retransmit;
        if let Some(sent_at) = retransmit.last_at() {
            let (count, interval) = (retransmit.count(), retransmit.interval());
            self.round_trips.handle_answer(server, now, sent_at, count, interval);
        }
    }

    /// A useless answer ends the quick repetitions of a request (PDC-64, PDC-65).
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

    /// Retransmits, renews, rebinds, and ends prefixes and addresses that are not valid any more.
    pub(in crate::core::uplink::lease) fn handle_timeout(
        &mut self,
        held: &mut Held,
        now: Instant,
    ) -> Progress {
        // This method runs for each input, and the lease changes only where a lifetime ends.
        let ends = held.next_end(held.seen).is_some_and(|end| end <= now);
        let before = ends.then(|| (held.view(), self.keyring.clone()));
        self.declined_at.take_if(|at| *at + DECLINED_REST <= now);
        self.expire(held, now);
        let outcome = self.give_up(held, now);
        self.advance(now);
        self.maintain(held, now);
        held.seen = now.max(held.seen);
        let progress = before.map(|before| self.progress_since(held, now, &before));
        Progress { outcome, ..progress.unwrap_or_default() }
    }

    /// Ends prefixes and addresses that are not valid any more. With the last of them the Solicit
    /// that went on beside the lease, at a slow pace by now, is replaced by a new discovery.
    fn expire(&mut self, held: &mut Held, now: Instant) {
        let was_empty = held.is_empty();
        held.expire(now);
        if !was_empty && held.is_empty() && self.ladder.is_none() {
            self.exchanges.retain(|exchange| {
                exchange.has_offers() || !matches!(exchange.kind, Kind::Solicit { .. })
            });
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub(in crate::core::uplink::lease) fn deadline(&self, held: &Held) -> Option<Deadline> {
        let free_at = self.limit.free_at();
        let exchange = self.exchanges.iter().map(|exchange| exchange.deadline(free_at)).min();
        let end = held.next_end(held.seen);
        let idle = self.up && held.is_empty() && !self.is_under_way(Kind::is_discovery);
        let rested = self.declined_at.filter(|_| self.up && self.wants_address);
        let rested = rested.map(|at| Deadline::new(at + DECLINED_REST, "rest after Decline"));
        Deadline::first([
            exchange.map(|at| Deadline::new(at, "DHCPv6 message")),
            end.map(|at| Deadline::new(at, "end of a lease")),
            self.maintenance_deadline(held),
            rested,
            self.inform_at
                .filter(|_| idle && self.wants_information)
                .map(|at| Deadline::new(at, "information refresh")),
        ])
    }

    /// Since when requests about a lease have been unanswered.
    pub(in crate::core::uplink::lease) const fn unanswered_since(&self) -> Option<Instant> {
        self.unanswered_since
    }

    /// The server that granted the lease, and the exchange under way, for status.
    pub(in crate::core::uplink::lease) fn describe(
        &self,
        held: &Held,
    ) -> (Option<Duid>, &'static str) {
        let server = held.server.clone().filter(|_| !held.is_empty());
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
        let rest = match (self.up, held.is_empty()) {
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

    /// Whether an IA_NA is to be requested.
    fn asks_address(&self, now: Instant) -> bool {
        let rests = self.declined_at.is_some_and(|at| now.since(at) < DECLINED_REST);
        self.wants_address && !rests
    }

    fn progress_since(
        &mut self,
        held: &mut Held,
        now: Instant,
        (before, keyring): &(View, Option<Keyring>),
    ) -> Progress {
        held.seen = now.max(held.seen);
        let mut progress = held.progress_since(before);
        if progress.changed {
            self.note_lost(now, before, &held.view());
        }
        progress.remember |= self.keyring != *keyring;
        progress
    }
}
