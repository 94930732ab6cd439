//! Which message leaves next, and when.

use super::Client;
use super::exchange::{Aim, Kind};
use crate::core::uplink::lease::held::Held;
use crate::time::Instant;
use crate::wire::dhcpv6::Message;

impl Client {
    /// The next message to send to ff02::1:2 port 547, encoded.
    pub(in crate::core::uplink::lease) fn poll_transmit(
        &mut self,
        held: &Held,
        now: Instant,
    ) -> Option<Vec<u8>> {
        self.poll_message(held, now).map(|message| message.encode())
    }

    pub(super) fn poll_message(&mut self, held: &Held, now: Instant) -> Option<Message> {
        if !self.up || !self.limit.allows(now) {
            return None;
        }
        let position = self.exchanges.iter().position(|exchange| exchange.is_due(now))?;
        let message = self.message(held, now, self.exchanges.get(position)?);
        let exchange = self.exchanges.get_mut(position)?;
        match exchange.kind {
            Kind::Solicit { .. } => {
                exchange.retransmit.set_max_interval(self.solicit_cap.interval());
            }
            Kind::InformationRequest { .. } => {
                exchange.retransmit.set_max_interval(self.information_cap.interval());
            }
            Kind::Request { .. }
            | Kind::Renew { .. }
            | Kind::Rebind
            | Kind::Confirm
            | Kind::Decline { .. } => {}
        }
        exchange.retransmit.handle_sent(now, &mut self.random);
        let attempt = exchange.retransmit.count();
        let is_for_lease = exchange.kind.is_for_lease() && exchange.aim == Aim::Everything;
        if is_for_lease {
            self.unanswered_since.get_or_insert(now);
        }
        self.limit.handle_sent(now);
        self.transitions.note_sent(message.kind, attempt, is_for_lease);
        Some(message)
    }
}
