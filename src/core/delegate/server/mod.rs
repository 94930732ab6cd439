//! The built-in delegating router's messages (RFC 9915 §18.3).
//!
//! `request` decides which messages are heard, `reply` and `release` how they are answered, `times`
//! when a requesting router comes again, `notify` how it is notified of a change, `repeat` and
//! `refused` which routers that concerns. One message touches one router's bindings, which are
//! handed in.

mod information;
mod notify;
mod refused;
mod release;
mod repeat;
mod reply;
mod request;
mod times;

use std::collections::{BTreeMap, VecDeque};

use super::bindings::{BindingKey, Bindings, Contact, Woken};
use super::{Arrival, Notification, Served};
use crate::core::random::Random;
use crate::time::{Deadline, Instant};
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::Duid;

pub use information::HostOptions;
pub(super) use repeat::Awaited;
pub use reply::Answer;
pub use request::Reject;

#[cfg(test)]
pub(super) use refused::MAX_REFUSED;

use notify::Replay;
use refused::Refused;

/// The state of the server beside the bindings.
#[derive(Clone, Debug)]
pub(super) struct Server {
    duid: Duid,
    random: Random,
    host_options: BTreeMap<String, HostOptions>,
    refused: Refused,
    replay: Replay,
    notifications: VecDeque<Notification>,
    /// Routers that were notified and have not come yet.
    awaited: Awaited,
}

impl Server {
    /// `replay` is up to where replay values may have been used.
    pub(super) fn new(duid: Duid, replay: u64, random: Random) -> Self {
        Self {
            duid,
            random,
            host_options: BTreeMap::new(),
            refused: Refused::default(),
            replay: Replay::new(replay),
            notifications: VecDeque::new(),
            awaited: Awaited::default(),
        }
    }

    /// Takes over what this machine is known by.
    pub(super) fn set_duid(&mut self, duid: &Duid) {
        self.duid = duid.clone();
    }

    /// Takes over what each downlink is given beside prefixes.
    pub(super) fn set_host_options(&mut self, options: BTreeMap<String, HostOptions>) {
        self.host_options = options;
    }

    /// See [`Delegating::informs`](super::Delegating::informs).
    pub(super) fn informs(&self, bindings: &Bindings, downlink: &str) -> bool {
        let may = bindings.downlinks.get(downlink).is_some_and(|link| link.advertise.may_inform());
        may && self.host_options.get(downlink).is_some_and(HostOptions::informs)
    }

    /// Whether a router has yet to renew that was sent a Reconfigure message at `since` or later.
    pub(super) fn awaits_renewal(&self, since: Instant) -> bool {
        self.awaited.awaits_renewal(since)
    }

    /// Takes in a message.
    pub(super) fn handle_message(
        &mut self,
        bindings: &mut Bindings,
        now: Instant,
        arrival: &Arrival,
        message: &Message,
    ) -> Result<Served, Reject> {
        let served = if bindings.offers.known {
            reply::answer(self, bindings, now, arrival, message)
        } else {
            reply::early(self, bindings, now, arrival, message)
        };
        self.look_at_refused(bindings, now);
        let served = served?;
        if let Some(client) = message.client_id().filter(|_| served.answer.is_some()) {
            self.awaited.remove(client, arrival);
        }
        Ok(served)
    }

    /// Looks again at routers that were refused, where they may be served now.
    pub(super) fn look_at_refused(&mut self, bindings: &mut Bindings, now: Instant) {
        if bindings.take_freed() {
            self.refused.look(now);
        }
    }

    /// Notifies the routers of bindings that changed, and repeats notifications.
    pub(super) fn handle_timeout(&mut self, bindings: &mut Bindings, now: Instant, woken: &Woken) {
        for (key, is_first) in &woken.notified {
            self.notify(bindings, now, key, *is_first);
        }
        self.look_at_refused(bindings, now);
        self.notify_refused(bindings, now);
        while let Some((downlink, host)) = self.awaited.poll(now) {
            self.notifications.push_back(Notification::Advertise { downlink, host });
        }
    }

    /// The next notification.
    pub(super) fn poll_notification(&mut self) -> Option<Notification> {
        self.notifications.pop_front()
    }

    /// See [`Delegating::reserve_replay`](super::Delegating::reserve_replay).
    pub(super) const fn reserve_replay(&mut self) -> Option<u64> {
        self.replay.reserve()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        let refused = self.refused.deadline();
        let refused = refused.map(|at| Deadline::new(at, "notification of the refused"));
        Deadline::first([refused, self.awaited.deadline()])
    }

    /// The answer to a router that asks for a prefix which another one holds: no binding changes. A
    /// router that renews gets no answer, as it may hold the prefixes that it names, whatever our
    /// records say.
    pub(super) fn refusal(&self, arrival: &Arrival, message: &Message) -> Option<Answer> {
        let kind = match message.kind {
            MessageType::Solicit => MessageType::Advertise,
            MessageType::Request => MessageType::Reply,
            MessageType::Advertise
            | MessageType::Confirm
            | MessageType::Renew
            | MessageType::Rebind
            | MessageType::Reply
            | MessageType::Release
            | MessageType::Decline
            | MessageType::Reconfigure
            | MessageType::InformationRequest => return None,
        };
        reply::nothing(&self.duid, arrival, message, kind)
    }

    /// How many refused requests are remembered.
    #[cfg(test)]
    pub(super) fn refused_count(&self) -> usize {
        self.refused.len()
    }

    /// Remembers a router that was refused.
    fn refuse(&mut self, bindings: &Bindings, now: Instant, key: &BindingKey, contact: &Contact) {
        let is_configured = bindings.delegations_of(key, contact).next().is_some();
        self.refused.insert(now, key, contact, is_configured);
    }
}
