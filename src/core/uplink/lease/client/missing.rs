//! Identity associations that were requested and not granted while others are held (RFC 9915
//! §18.2.10.1): they are requested again, at growing intervals, in exchanges of their own.

use std::time::Duration;

use super::Client;
use super::exchange::{Aim, Exchange, Kind, SOLICIT};
use super::ladder::{REDISCOVERY_GAP, refused_gap};
use crate::core::uplink::lease::held::{Given, Held, Ia};
use crate::time::Instant;
use crate::wire::dhcpv6_option::Duid;

impl Client {
    /// The identity associations that are requested.
    fn wanted(&self, now: Instant) -> Vec<Ia> {
        let address = self.asks_address(now).then_some(Ia::Na);
        let prefixes = self.rules.delegate.iter().map(|delegate| Ia::Pd(delegate.iaid));
        address.into_iter().chain(prefixes).collect()
    }

    /// The wanted ones that the last answer about them left empty, and IA_PDs without a prefix. An
    /// address that was never requested is requested with the next renewal: any node can set the M
    /// flag.
    pub(super) fn missing(&self, held: &Held, now: Instant) -> Vec<Ia> {
        let mut wanted = self.wanted(now);
        wanted.retain(|ia| self.unmet.contains(ia) || (*ia != Ia::Na && !held.has(*ia)));
        wanted
    }

    /// Notes which associations `server` filled, and which it left empty in answer to an exchange
    /// of this kind and aim.
    pub(super) fn note_given(
        &mut self,
        held: &Held,
        now: Instant,
        server: &Duid,
        given: &[Given],
        asked: (&Kind, Aim),
    ) {
        for ia in self.wanted(now) {
            let gives = |given: &Given| given.ia == ia && !held.usable(given).is_empty();
            if held.has(ia) && given.iter().any(gives) {
                self.unmet.remove(&ia);
            } else if self.is_asked(held, now, server, ia, asked) {
                self.unmet.insert(ia);
            }
        }
        if self.missing(held, now).is_empty() {
            self.refused_count = 0;
        }
    }

    /// Whether `server` is asked for `ia` in an exchange of this kind and aim.
    pub(super) fn is_asked(
        &self,
        held: &Held,
        now: Instant,
        server: &Duid,
        ia: Ia,
        (kind, aim): (&Kind, Aim),
    ) -> bool {
        let of_server = || held.leases(now, Some(server)).any(|(other, _)| other == ia);
        match aim {
            Aim::Missing => self.missing(held, now).contains(&ia),
            // A Renew omits the associations that another server granted (RFC 9915 §18.2.4).
            Aim::Everything if matches!(kind, Kind::Renew { .. }) => !held.has(ia) || of_server(),
            Aim::Everything => true,
        }
    }

    /// Solicits the missing associations beside the lease, unless an exchange for everything is
    /// under way; ends such exchanges when nothing is missing any more. The first Solicit leaves a
    /// second after the incomplete answer, or later if that is not the first in a row.
    pub(super) fn seek_missing(&mut self, held: &Held, now: Instant) {
        let missing = self.missing(held, now);
        let is_over = missing.is_empty()
            || !self.up
            || held.is_empty()
            || self.ladder.is_some()
            || self.is_under_way(|kind| matches!(kind, Kind::Solicit { .. }));
        if is_over {
            return self.exchanges.retain(|exchange| exchange.aim == Aim::Everything);
        }
        let is_sought = self.exchanges.iter().any(|exchange| exchange.aim == Aim::Missing);
        if is_sought || self.is_under_way(Kind::is_discovery) {
            return;
        }
        let wait = refused_gap(self.refused_count);
        self.refused_count = self.refused_count.saturating_add(1);
        let mut at = now + wait;
        if !missing.iter().any(|ia| self.unmet.contains(ia)) {
            // Its lifetime ran out: prefixes with lifetimes of a second cause no storm (PDC-47).
            at = self.settled_at.map_or(at, |settled_at| at.max(settled_at + REDISCOVERY_GAP));
        }
        at = at + self.random.duration(Duration::ZERO, wait / 10);
        let kind = Kind::Solicit { offers: Vec::new(), advertised: false, hints: true };
        let exchange = Exchange::new(kind, SOLICIT, at, &mut self.random);
        self.exchanges.push(Exchange { aim: Aim::Missing, ..exchange });
    }

    /// Starts anew, after a longer time, when a Request for the missing associations has brought
    /// nothing.
    pub(super) fn miss_again(&mut self, held: &Held, now: Instant) {
        self.exchanges.retain(|exchange| exchange.aim == Aim::Everything);
        self.seek_missing(held, now);
    }
}
