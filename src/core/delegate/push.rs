//! Calling requesting routers after a change (RFC 9915 §18.3.11, RFC 9096 §3.5).

use std::time::Duration;

use crate::core::rkap;
use crate::time::Instant;
use crate::wire::dhcpv6::{Message, MessageType, TransactionId};
use crate::wire::dhcpv6_option::{Dhcpv6Option, Duid};

/// REC_TIMEOUT (RFC 9915 §7.6).
const FIRST_TIMEOUT: Duration = Duration::from_secs(2);
/// REC_MAX_RC (RFC 9915 §7.6).
const MAX_ATTEMPTS: u32 = 8;
/// Replay values are set aside on disk by so many: one write for each would wear out flash.
const BLOCK: u64 = 4096;

/// Calls that go on until the requesting router comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Push {
    attempts: u32,
    pub(super) next_at: Instant,
}

impl Push {
    /// The first call is due at once.
    pub(super) const fn new(now: Instant) -> Self {
        Self { attempts: 0, next_at: now }
    }

    /// Takes note of a call; what is left to do, if the first was not the last.
    pub(super) fn sent(self, now: Instant) -> Option<Self> {
        let attempts = self.attempts + 1;
        let next_at = now + FIRST_TIMEOUT * 2_u32.pow(self.attempts.min(MAX_ATTEMPTS));
        (attempts < MAX_ATTEMPTS).then_some(Self { attempts, next_at })
    }
}

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

    /// Up to where values are to be set aside, when less than half a block still is.
    pub(super) const fn reserve(&mut self) -> Option<u64> {
        if self.reserved.saturating_sub(self.last) >= BLOCK / 2 {
            return None;
        }
        self.reserved = self.last.saturating_add(BLOCK);
        Some(self.reserved)
    }
}

/// A signed Reconfigure that asks for a Renew (SRV-51).
pub(super) fn reconfigure(server: &Duid, client: &Duid, key: &rkap::Key, replay: u64) -> Vec<u8> {
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
