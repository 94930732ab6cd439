//! Notifying requesting routers after a change (RFC 9915 §18.3.11, RFC 9096 §3.5).

use std::sync::Arc;
use std::time::Duration;

use super::Server;
use crate::core::delegate::Notification;
use crate::core::delegate::bindings::{BindingKey, Bindings};
use crate::core::rkap;
use crate::time::Instant;
use crate::wire::dhcpv6::{Message, MessageType, TransactionId};
use crate::wire::dhcpv6_option::{Dhcpv6Option, Duid};

/// A router that was answered this recently takes a Reconfigure for one that the answer has
/// overtaken (CHG-16).
const ANSWERED_LATELY: Duration = Duration::from_secs(2);
/// How many replay values are reserved on disk at once: one write for each would wear out flash.
const BLOCK: u64 = 4096;

/// Replay values, rising over restarts (SRV-54).
#[derive(Clone, Debug)]
pub(super) struct Replay {
    last: u64,
    reserved: u64,
}

impl Replay {
    /// `reserved` is up to where values may have been used before.
    pub(super) const fn new(reserved: u64) -> Self {
        Self { last: reserved, reserved }
    }

    /// The next value.
    pub(super) const fn next(&mut self) -> u64 {
        self.last = self.last.saturating_add(1);
        self.last
    }

    /// The last value to be reserved, when less than half a block is left.
    pub(super) const fn reserve(&mut self) -> Option<u64> {
        if self.reserved.saturating_sub(self.last) >= BLOCK / 2 {
            return None;
        }
        self.reserved = self.last.saturating_add(BLOCK);
        Some(self.reserved)
    }
}

impl Server {
    /// Notifies a router by Reconfigure or advertisement; the repetitions begin with the first
    /// notification.
    pub(super) fn notify(
        &mut self,
        bindings: &Bindings,
        now: Instant,
        key: &BindingKey,
        is_first: bool,
    ) {
        let Some(binding) = bindings.by_key.get(key) else { return };
        let (downlink, contact) = (key.downlink.clone(), binding.contact.clone());
        // An advertisement reaches no further than its own link (SRV-60).
        if is_first && contact.relay.is_none() {
            let router = (key.duid.clone(), Arc::clone(&downlink));
            self.awaited.insert(now, router, contact.peer, binding.reconfigure_key.is_some());
        }
        match binding.reconfigure_key {
            Some(secret) => {
                let answered = binding.promised.last_sent_at();
                let lately = answered.is_some_and(|at| now.since(at) <= ANSWERED_LATELY);
                if is_first && lately && contact.relay.is_none() {
                    let (downlink, host) = (Arc::clone(&downlink), contact.peer);
                    self.notifications.push_back(Notification::Advertise { downlink, host });
                }
                let replay = self.replay.next();
                let octets = reconfigure(&self.duid, &key.duid, &secret, replay);
                let octets = contact.wrap(octets);
                self.notifications.push_back(Notification::Reconfigure {
                    downlink,
                    contact,
                    octets,
                });
            }
            None if contact.relay.is_none() => {
                self.notifications
                    .push_back(Notification::Advertise { downlink, host: contact.peer });
            }
            None => {}
        }
    }

    /// Notifies routers that were refused and can be served now (SRV-58).
    pub(super) fn notify_refused(&mut self, bindings: &Bindings, now: Instant) {
        for (key, contact) in self.refused.batch(now) {
            if !bindings.could_serve(now, &key, &contact) {
                continue;
            }
            self.refused.remove(&key, &contact);
            if !bindings.bindings_of(&key).any(|(_, binding)| binding.is_notified()) {
                let host = contact.peer;
                self.awaited.insert(now, (key.duid, Arc::clone(&key.downlink)), host, false);
                self.notifications
                    .push_back(Notification::Advertise { downlink: key.downlink, host });
            }
        }
    }
}

/// A signed Reconfigure that asks for a Renew (SRV-51).
fn reconfigure(server: &Duid, client: &Duid, key: &rkap::Key, replay: u64) -> Vec<u8> {
    let mut octets = Message {
        kind: MessageType::Reconfigure,
        transaction_id: TransactionId([0; 3]),
        options: vec![
            Dhcpv6Option::ServerId(server.clone()),
            Dhcpv6Option::ClientId(client.clone()),
            Dhcpv6Option::ReconfigureMessage(MessageType::Renew.to_wire()),
            Dhcpv6Option::Authentication(rkap::unsigned(replay)),
        ],
    }
    .encode();
    rkap::sign(key, &mut octets);
    octets
}
