//! Advertises: collecting, ranking and choosing them; and the intervals that servers set for
//! requests.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::Client;
use super::exchange::{Aim, Exchange, Kind, REQUEST};
use super::reply::Scope;
use crate::core::uplink::lease::held::{Held, Ia};
use crate::core::uplink::lease::types::Reject;
use crate::time::Instant;
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::Duid;

/// The most Advertises that are kept for choosing.
const OFFERS: usize = 8;

/// A server with this preference is chosen without waiting for others (RFC 9915 §18.2.1).
const AT_ONCE: u8 = 255;

/// An offer of a server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Offer {
    pub(super) server: Duid,
    pub(super) preference: u8,
    pub(super) leases: Vec<(Ia, Ipv6Net)>,
}

impl Offer {
    /// Larger is better: a router is there for prefixes, so the preference decides only between
    /// servers that fill as many IA_PDs (RFC 9915 §18.2.9 leaves that to the client).
    fn rank(&self) -> (usize, u8) {
        let filled: BTreeSet<Ia> = self.leases.iter().map(|(ia, _)| *ia).collect();
        (filled.into_iter().filter(|ia| *ia != Ia::Na).count(), self.preference)
    }

    /// The offer without its addresses; none if it has none.
    pub(super) fn without_addresses(&self) -> Option<Self> {
        let leases: Vec<_> = self.leases.iter().filter(|(ia, _)| *ia != Ia::Na).copied().collect();
        (leases.len() < self.leases.len()).then(|| Self { leases, ..self.clone() })
    }
}

/// The maximal interval of Solicit or of Information-request, as servers set it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct IntervalCap {
    heard: Option<u32>,
    /// The servers of a discovery disagree: the default holds (RFC 9915 §18.2.9).
    disagree: bool,
}

impl IntervalCap {
    /// SOL_MAX_RT and INF_MAX_RT in seconds (RFC 9915 §7.6).
    const DEFAULT: u32 = 3600;

    /// Takes over a value, if it is an allowed one (RFC 9915 §21.24, §21.25). The first one of a
    /// discovery, and that of a Reply, replaces earlier ones.
    pub(super) fn hear(&mut self, seconds: Option<u32>, is_first: bool) {
        let Some(seconds) = seconds.filter(|seconds| (60..=86_400).contains(seconds)) else {
            return;
        };
        let differs = self.heard.is_some_and(|heard| heard != seconds);
        self.disagree = !is_first && (self.disagree || differs);
        self.heard = Some(seconds);
    }

    /// MRT.
    pub(super) fn interval(self) -> Duration {
        let heard = self.heard.filter(|_| !self.disagree);
        Duration::from_secs(heard.unwrap_or(Self::DEFAULT).into())
    }
}

impl Client {
    /// Takes in an Advertise (RFC 9915 §18.2.9).
    pub(super) fn handle_advertise(
        &mut self,
        held: &mut Held,
        now: Instant,
        message: &Message,
        server: &Duid,
    ) -> Result<(), Reject> {
        let position = self.position_of(message).ok_or(Reject::TransactionId)?;
        let exchange = self.exchanges.get(position).ok_or(Reject::TransactionId)?;
        let (kind, aim) = (exchange.kind.clone(), exchange.aim);
        self.note_availability(held, now, message, server, (&kind, aim));
        let given = self.given(message);
        let missing = self.missing(held, now);
        let leases: Vec<_> = given
            .iter()
            .filter(|given| aim == Aim::Everything || missing.contains(&given.ia))
            .flat_map(|given| held.usable(given).into_iter().map(|lease| (given.ia, lease.prefix)))
            .collect();
        let exchange = self.exchanges.get_mut(position).ok_or(Reject::TransactionId)?;
        let waited = exchange.retransmit.count() > 1 || exchange.retransmit.deadline() <= now;
        let Kind::Solicit { offers, advertised, .. } = &mut exchange.kind else {
            return Err(Reject::TransactionId);
        };
        let is_first = !std::mem::replace(advertised, true);
        self.solicit_cap.hear(message.sol_max_rt(), is_first);
        self.information_cap.hear(message.inf_max_rt(), is_first);

        held.refusals.note(held.refused(&given), false);
        if Scope::of(message) == Scope::Message || leases.is_empty() {
            return Err(Reject::Useless);
        }
        let preference = message.preference().unwrap_or(0);
        offers.retain(|offer| offer.server != *server);
        offers.push(Offer { server: server.clone(), preference, leases });
        offers.sort_by_key(|offer| std::cmp::Reverse(offer.rank()));
        offers.truncate(OFFERS);
        if waited || preference == AT_ONCE {
            self.choose(now, position, (preference == AT_ONCE).then_some(server));
        }
        Ok(())
    }

    /// Turns the Solicit at `position` into a Request to the best of its servers, or to `server`.
    pub(super) fn choose(&mut self, now: Instant, position: usize, server: Option<&Duid>) {
        let Some(Exchange { kind: Kind::Solicit { offers, .. }, aim, .. }) =
            self.exchanges.get_mut(position)
        else {
            return;
        };
        let aim = *aim;
        let mut offers = std::mem::take(offers);
        let best = offers.iter().position(|offer| Some(&offer.server) == server).unwrap_or(0);
        if best < offers.len() {
            let offer = offers.remove(best);
            self.exchanges.remove(position);
            self.request(now, aim, offer, offers);
        }
    }

    /// Requests an offer at once.
    pub(super) fn request(&mut self, now: Instant, aim: Aim, offer: Offer, others: Vec<Offer>) {
        self.exchanges.retain(|exchange| {
            exchange.aim != aim || !matches!(exchange.kind, Kind::Request { .. })
        });
        let parameters = self.quickened(REQUEST, &offer.server);
        let kind = Kind::Request { offer, others };
        let exchange = Exchange::new(kind, parameters, now, &mut self.random);
        self.exchanges.push(Exchange { aim, ..exchange });
    }

    /// Requests from the next server that offered; returns whether there was one.
    pub(super) fn request_next(&mut self, now: Instant, aim: Aim, mut others: Vec<Offer>) -> bool {
        if others.is_empty() {
            return false;
        }
        let offer = others.remove(0);
        self.request(now, aim, offer, others);
        true
    }

    /// The exchange that `message` answers, if its request was sent.
    pub(super) fn position_of(&self, message: &Message) -> Option<usize> {
        self.exchanges.iter().position(|exchange| {
            let answers_solicit = matches!(exchange.kind, Kind::Solicit { .. });
            exchange.is_sent()
                && exchange.transaction_id == message.transaction_id
                && (message.kind == MessageType::Reply || answers_solicit)
        })
    }
}
