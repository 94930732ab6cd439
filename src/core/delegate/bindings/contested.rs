//! What a message asks for that another router holds (SEC-18).
//!
//! A requesting router is known by its DUID or its link-layer address, and a relay agent or any
//! node of the link can claim either of another router. It cannot claim the address that answers
//! reach it at.

use std::sync::Arc;

use super::{Arrival, Binding, BindingKey, Bindings, Contact, Promise};
use crate::core::delegate::asked::distinct_ia_pds;
use crate::time::{Instant, ROUNDING, Until};
use crate::wire::dhcpv6::{Message, MessageType};

/// The holder of a binding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holder {
    /// By which binding.
    pub key: BindingKey,
    /// Where it is.
    pub contact: Contact,
}

impl Binding {
    /// Whether its router was promised something and has not been answered until T2 of that had
    /// passed: it is not any more where it was, or we were not.
    pub(in crate::core) fn is_overdue(&self, now: Instant) -> bool {
        let t2 = |promise: &Promise| {
            let preferred = promise.preferred_until > Until::At(promise.last_sent_at);
            let end = if preferred { promise.preferred_until } else { promise.valid_until };
            let lifetime = end.at().map(|at| at.since(promise.last_sent_at))?;
            Some(promise.last_sent_at + lifetime / 5 * 4)
        };
        let live = self.promised.values().filter(|promise| promise.withdrawn_at.is_none());
        let mut live = live.map(t2).peekable();
        // What a message has withdrawn has no T2.
        live.peek().is_some() && live.all(|at| at.is_some_and(|at| at <= now + ROUNDING))
    }
}

impl Bindings {
    /// The first holder at another place, of those that `counts`, of what `message` would take or
    /// end: a binding that it names, or a configured delegation that another router was given.
    pub(in crate::core::delegate) fn contested(
        &self,
        now: Instant,
        arrival: &Arrival,
        message: &Message,
        counts: impl Fn(&BindingKey, &Binding) -> bool,
    ) -> Option<Holder> {
        match message.kind {
            MessageType::Solicit
            | MessageType::Request
            | MessageType::Renew
            | MessageType::Rebind
            | MessageType::Release => {}
            // These change nothing.
            MessageType::Confirm
            | MessageType::Decline
            | MessageType::InformationRequest
            | MessageType::Advertise
            | MessageType::Reply
            | MessageType::Reconfigure => return None,
        }
        let place = arrival.contact.place();
        let is_elsewhere = |key: &BindingKey, binding: &Binding| {
            !binding.is_over(now) && binding.contact.place() != place && counts(key, binding)
        };
        distinct_ia_pds(message).find_map(|ia| {
            let key = BindingKey {
                duid: message.client_id()?.clone(),
                downlink: Arc::clone(&arrival.downlink),
                iaid: ia.iaid,
            };
            let delegations = self.delegations_of(&key, &arrival.contact);
            let holders = delegations.filter_map(|slot| self.slots.get(&slot));
            let concerned = holders.chain([&key]);
            let mut concerned = concerned.filter_map(|key| self.by_key.get_key_value(key));
            let (key, binding) = concerned.find(|(key, binding)| is_elsewhere(key, binding))?;
            Some(Holder { key: key.clone(), contact: Contact::clone(&binding.contact) })
        })
    }

    /// Whether a holder has what it had.
    pub(in crate::core::delegate) fn still_holds(&self, holder: &Holder) -> bool {
        let binding = self.by_key.get(&holder.key);
        binding.is_some_and(|binding| binding.contact.place() == holder.contact.place())
    }
}
