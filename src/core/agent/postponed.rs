//! Messages of requesting routers whose answers wait until our own lease is renewed (SRV-61), for a
//! second at most.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use crate::core::Core;
use crate::core::input::Received;
use crate::time::{Deadline, Instant};
use crate::wire::dhcpv6::{Message, MessageType};

/// The longest time that an answer waits.
const PATIENCE: Duration = Duration::from_secs(1);
/// Messages that wait, in all. Beyond it the oldest is answered at once.
const MAX_WAITING: usize = 64;

/// A message that waits.
#[derive(Clone, PartialEq, Debug)]
struct Waiting {
    until: Instant,
    downlink: Arc<str>,
    received: Received,
}

/// The messages that wait, the oldest first.
#[derive(Clone, PartialEq, Debug, Default)]
pub(in crate::core) struct Postponed(VecDeque<Waiting>);

impl Postponed {
    /// Keeps a message. Each neighbour has one message here: a newer one replaces it without
    /// extending the wait. Returns a message that has to be answered at once to make room.
    pub(in crate::core) fn add(
        &mut self,
        now: Instant,
        downlink: Arc<str>,
        received: Received,
    ) -> Option<(Arc<str>, Received)> {
        let is_same = |waiting: &&mut Waiting| {
            waiting.downlink == downlink && waiting.received.source == received.source
        };
        if let Some(waiting) = self.0.iter_mut().find(is_same) {
            waiting.received = received;
            return None;
        }
        let evicted = if self.0.len() < MAX_WAITING { None } else { self.0.pop_front() };
        self.0.push_back(Waiting { until: now + PATIENCE, downlink, received });
        evicted.map(|waiting| (waiting.downlink, waiting.received))
    }

    /// Takes the next message whose time is over, or any where no renewal is `awaited`.
    fn take_next(&mut self, now: Instant, awaited: bool) -> Option<(Arc<str>, Received)> {
        let is_over = self.0.front().is_some_and(|waiting| !awaited || waiting.until <= now);
        let waiting = if is_over { self.0.pop_front() } else { None };
        waiting.map(|waiting| (waiting.downlink, waiting.received))
    }

    /// When the wait of the first message ends.
    pub(in crate::core) fn deadline(&self) -> Option<Deadline> {
        self.0.front().map(|waiting| Deadline::new(waiting.until, "answer after our own renewal"))
    }
}

impl Core {
    /// Renews our own leases first where a new binding could be granted only a short preferred
    /// lifetime; returns whether the answer is to wait for the renewal.
    pub(in crate::core) fn waits_for_renewal(&mut self, now: Instant, message: &Message) -> bool {
        let asks = matches!(message.kind, MessageType::Solicit | MessageType::Request);
        let mut waits = false;
        if asks && message.ia_pds().next().is_some() {
            for uplink in self.uplinks.values_mut() {
                waits |= uplink.renew_for_others(now, PATIENCE);
            }
        }
        waits
    }

    /// Answers the routers that have waited for our own renewal, once what it brought has been
    /// derived.
    pub(in crate::core) fn answer_postponed(&mut self, now: Instant) {
        let awaited = self.pass.is_awaited()
            || self.uplinks.values().any(|uplink| uplink.lease().is_renewing(now, PATIENCE));
        while let Some((downlink, received)) = self.postponed.take_next(now, awaited) {
            if let Err(reason) = self.serve(now, downlink, &received, false) {
                self.reject(now, "dhcpv6-server", reason, &received);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::IfIndex;

    fn received(source: u16, octet: u8) -> Received {
        Received {
            interface: IfIndex(3),
            source: std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, source),
            port: 546,
            link_layer: None,
            destination: std::net::Ipv6Addr::UNSPECIFIED,
            hop_limit: 1,
            fragmented: false,
            octets: vec![octet],
        }
    }

    /// SRV-61: a second at most, however often one asks.
    #[test]
    fn each_neighbour_has_one_message_that_waits_and_it_waits_a_second() {
        let start = Instant::from_secs(7);
        let lan: Arc<str> = "lan".into();
        let mut postponed = Postponed::default();
        assert_eq!(postponed.add(start, lan.clone(), received(1, 1)), None);
        let later = start + Duration::from_millis(900);
        assert_eq!(postponed.add(later, lan.clone(), received(1, 2)), None);
        assert_eq!(postponed.add(later, lan, received(2, 3)), None);
        assert_eq!(postponed.take_next(later, true), None);
        assert_eq!(postponed.deadline().map(|next| next.at), Some(start + PATIENCE));
        let mut next = |now, awaited| postponed.take_next(now, awaited).map(|(_, one)| one);
        assert_eq!(next(start + PATIENCE, true), Some(received(1, 2)));
        assert_eq!(next(start + PATIENCE, true), None);
        assert_eq!(next(start + PATIENCE, false), Some(received(2, 3)));
        assert_eq!(postponed.deadline(), None);
    }

    #[test]
    fn where_too_many_wait_the_oldest_is_answered_at_once() {
        let start = Instant::from_secs(7);
        let lan: Arc<str> = "lan".into();
        let mut postponed = Postponed::default();
        for number in 0..u16::try_from(MAX_WAITING).unwrap() {
            assert_eq!(postponed.add(start, lan.clone(), received(number, 0)), None);
        }
        let evicted = postponed.add(start, lan.clone(), received(9999, 1));
        assert_eq!(evicted, Some((lan, received(0, 0))));
        assert_eq!(postponed.0.len(), MAX_WAITING);
    }
}
