//! What a message asks for that another router holds (SEC-18).
//!
//! A requesting router is known by its DUID or its link-layer address, and a relay agent or any
//! node of the link can claim either of another router. It cannot claim the address that answers
//! reach it at.

use std::sync::Arc;
use std::time::Duration;

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

/// The longest time between two Renew or Rebind messages of a requesting router that gets no answer:
/// REN_MAX_RT and REB_MAX_RT (RFC 9915 §7.6) with their random tenth (§15), and some seconds for the
/// message to arrive.
const RETRANSMITTED_WITHIN: Duration = Duration::from_secs(665);

impl Promise {
    /// T2 of the last message with this prefix, if the prefix alone has set it; none for infinite
    /// lifetimes.
    fn t2(&self) -> Option<Instant> {
        let end = if self.is_deprecated() { self.valid_until } else { self.preferred_until };
        let lifetime = end.at().map(|at| at.since(self.last_sent_at))?;
        Some(self.last_sent_at + lifetime / 5 * 4)
    }

    /// Whether the last message with this prefix deprecated it.
    fn is_deprecated(&self) -> bool {
        self.preferred_until <= Until::At(self.last_sent_at)
    }
}

impl Binding {
    /// Whether T2 of everything that its router was promised has passed without another answer to that
    /// router. Prefixes that a message has withdrawn have no T2.
    fn is_past_t2(&self, now: Instant) -> bool {
        let mut live = self.live().map(Promise::t2).peekable();
        live.peek().is_some() && live.all(|at| at.is_some_and(|at| at <= now + ROUNDING))
    }

    /// Its promises, without those that a message has withdrawn.
    fn live(&self) -> impl Iterator<Item = &Promise> {
        self.promised.values().filter(|promise| promise.withdrawn_at.is_none())
    }
}

impl Bindings {
    /// Whether the router of a binding has probably left its place: T2 of its prefixes has passed
    /// without a Renew or Rebind message from there, although one would have arrived. While the agent
    /// was away or its link down the router may have sent many.
    pub(in crate::core::delegate) fn is_overdue(
        &self,
        now: Instant,
        key: &BindingKey,
        binding: &Binding,
    ) -> bool {
        let since = self.listening_since.get(&*key.downlink);
        let would_arrive = since.is_some_and(|since| now.since(*since) >= RETRANSMITTED_WITHIN);
        if !would_arrive || !binding.is_past_t2(now) {
            return false;
        }
        // All IA_PDs of one message have the same T2, which a deprecated prefix sets only where no
        // other one is preferred.
        let is_deprecated = binding.live().all(Promise::is_deprecated);
        let place = binding.contact.place();
        let others = || self.bindings_of(key).map(|(_, other)| other);
        let mut beside = others().filter(|other| other.contact.place() == place);
        !is_deprecated || beside.all(|other| other.live().next().is_none() || other.is_past_t2(now))
    }

    /// Notes the downlinks on which messages of requesting routers arrive now.
    pub(in crate::core::delegate) fn set_listening(
        &mut self,
        now: Instant,
        names: impl Iterator<Item = String>,
    ) {
        let before = std::mem::take(&mut self.listening_since);
        let since = |name: &String| before.get(name).copied().unwrap_or(now);
        self.listening_since = names.map(|name| (name.clone(), since(&name))).collect();
    }

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
