//! The delegating router (RFC 9915 §18.3): bindings of subordinate routers, kept at the same places
//! through every change of what is delegated to us.
//!
//! A [`Binding`] stands for *slots* (`offers`): configured delegations, or numbers in a pool. What a
//! slot is worth now follows from the plan alone, so bindings move with it. What a requesting
//! router *may hold* is remembered apart, until it has run out or its holder knows better: no
//! other router is given anything that overlaps it (`holders`).
//!
//! `request` says which messages are heard, `allot` which slots a requesting router has, `answer`
//! what it is told, `push` how it is called after a change. One message touches one router's
//! bindings; deadlines are in one ordered index.

mod allot;
mod answer;
mod binding;
mod holders;
mod offers;
mod push;
mod request;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv6Addr;
use std::time::Duration;

use super::input::IfIndex;
use super::random::Random;
use super::system::KernelRoute;
use crate::config::{self, Config};
use crate::time::{Deadline, Instant, Until};
use crate::wire::dhcpv6::Message;
use crate::wire::dhcpv6_option::Duid;

pub use answer::{Answer, link_layer_of};
pub use binding::{Binding, BindingKey, Contact, Promise, StoredBinding};
pub use offers::{Offer, Offers, Slot};
pub use request::Reject;

use holders::Holders;
use push::{Push, Replay};

/// Requesting routers that were refused and are called when there is something for them (SRV-58).
const MAX_REFUSED: usize = 256;
/// Who was refused is remembered for so long.
const REFUSED_FOR: Duration = Duration::from_secs(3600);

/// DNS servers and search domains.
pub type Resolvers = (Vec<Ipv6Addr>, Vec<String>);

/// A message that came to a downlink.
#[derive(Clone, PartialEq, Debug)]
pub struct Arrival<'a> {
    /// The downlink.
    pub downlink: &'a str,
    /// How its sender is reached.
    pub contact: Contact,
    /// Its sender's link-layer address, where it is known.
    pub link_layer: Option<Vec<u8>>,
    /// The link that its relay named.
    pub link: Option<Ipv6Addr>,
}

/// What a message did.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Served {
    /// Bindings whose routes and record have to be looked at.
    pub touched: BTreeSet<BindingKey>,
    /// The answer, to be sent behind what was touched.
    pub answer: Option<Answer>,
}

/// A way to call a requesting router after a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Call {
    /// A signed Reconfigure.
    Reconfigure {
        /// Where it is.
        downlink: String,
        /// How it is reached.
        contact: Contact,
        /// The message as it leaves.
        octets: Vec<u8>,
    },
    /// A unicast router advertisement.
    Advertise {
        /// Where it is.
        downlink: String,
        /// Whom.
        host: Ipv6Addr,
    },
}

/// The bindings of all downlinks.
#[derive(Clone, Debug)]
pub struct Delegating {
    duid: Duid,
    random: Random,
    grace: Duration,
    downlinks: BTreeMap<String, config::Downlink>,
    delegations: BTreeMap<String, config::Delegation>,
    /// Delegations by where their router asks and who it is.
    by_peer: BTreeMap<(String, config::Peer), Vec<String>>,
    pools: BTreeMap<String, config::Pool>,
    offers: Offers,
    resolvers: BTreeMap<String, Resolvers>,
    bindings: BTreeMap<BindingKey, Binding>,
    /// Whose slots are taken.
    slots: BTreeMap<Slot, BindingKey>,
    holders: Holders,
    /// When something is due, for each binding where that is so.
    due: BTreeSet<(Instant, BindingKey)>,
    /// Bindings that wait for what another router may still hold.
    blocked: BTreeSet<BindingKey>,
    refused: BTreeMap<BindingKey, (Instant, Contact)>,
    replay: Replay,
    calls: VecDeque<Call>,
}

impl Delegating {
    /// With what is remembered: bindings, and up to where replay values may have been used.
    pub fn new(
        duid: Duid,
        stored: &BTreeMap<BindingKey, StoredBinding>,
        replay: u64,
        random: Random,
    ) -> Self {
        let mut delegating = Self {
            duid,
            random,
            grace: Duration::ZERO,
            downlinks: BTreeMap::new(),
            delegations: BTreeMap::new(),
            by_peer: BTreeMap::new(),
            pools: BTreeMap::new(),
            offers: Offers::default(),
            resolvers: BTreeMap::new(),
            bindings: BTreeMap::new(),
            slots: BTreeMap::new(),
            holders: Holders::default(),
            due: BTreeSet::new(),
            blocked: BTreeSet::new(),
            refused: BTreeMap::new(),
            replay: Replay::new(replay),
            calls: VecDeque::new(),
        };
        for (key, stored) in stored {
            delegating.insert(key, Binding::restored(stored));
        }
        delegating
    }

    /// Takes over a configuration; [`set_offers`](Self::set_offers) has to follow.
    pub fn configure(&mut self, duid: &Duid, config: &Config) {
        self.duid = duid.clone();
        self.grace = config.grace;
        self.downlinks.clone_from(&config.downlinks);
        self.delegations.clone_from(&config.delegations);
        self.pools.clone_from(&config.pools);
        self.by_peer.clear();
        for (name, delegation) in &self.delegations {
            let peer = (delegation.downlink.clone(), delegation.peer.clone());
            self.by_peer.entry(peer).or_default().push(name.clone());
        }
        self.offers.known = false;
    }

    /// Takes over the DNS servers and search domains of each downlink.
    pub fn set_resolvers(&mut self, resolvers: BTreeMap<String, Resolvers>) {
        self.resolvers = resolvers;
    }

    /// Whether anything is delegated on a downlink.
    pub fn serves(&self, downlink: &str) -> bool {
        self.delegations.values().any(|delegation| delegation.downlink == downlink)
            || self.pools.values().any(|pool| pool.downlink == downlink)
    }

    /// Takes over what there is to give: bindings move, and whom that concerns is called. Returns
    /// the bindings that were touched.
    pub fn set_offers(&mut self, now: Instant, offers: Offers) -> BTreeSet<BindingKey> {
        if offers == self.offers {
            return BTreeSet::new();
        }
        let known = offers.known;
        self.offers = offers;
        if !known {
            return BTreeSet::new();
        }
        let keys: Vec<BindingKey> = self.bindings.keys().cloned().collect();
        let touched = keys.into_iter().filter(|key| self.refresh(now, key)).collect();
        self.call_refused(now);
        touched
    }

    /// Takes in a message.
    ///
    /// # Errors
    ///
    /// [`Reject`] when there is no answer to it.
    pub fn handle_message(
        &mut self,
        now: Instant,
        arrival: &Arrival<'_>,
        message: &Message,
    ) -> Result<Served, Reject> {
        if !self.offers.known {
            return Err(Reject::Silent);
        }
        answer::answer(self, now, arrival, message)
    }

    /// Lets everything due happen; the bindings that were touched.
    pub fn handle_timeout(&mut self, now: Instant) -> BTreeSet<BindingKey> {
        let mut touched = BTreeSet::new();
        while let Some((at, key)) = self.due.first().cloned() {
            if at > now {
                break;
            }
            if self.handle_due(now, &key) {
                touched.insert(key);
            }
        }
        if !touched.is_empty() {
            self.refresh_blocked(now, &mut touched);
        }
        touched
    }

    /// The next call.
    pub fn poll_call(&mut self) -> Option<Call> {
        self.calls.pop_front()
    }

    /// Up to where replay values are to be set aside on disk: ahead, so that no call has to wait
    /// for that.
    pub const fn reserve_replay(&mut self) -> Option<u64> {
        self.replay.reserve()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn deadline(&self) -> Option<Deadline> {
        self.due.first().map(|(at, _)| Deadline::new(*at, "binding"))
    }

    /// All bindings.
    pub const fn bindings(&self) -> &BTreeMap<BindingKey, Binding> {
        &self.bindings
    }

    /// The routes of a binding, through `interface`.
    pub fn routes(&self, key: &BindingKey, interface: IfIndex) -> Vec<KernelRoute> {
        self.bindings
            .get(key)
            .map(|binding| binding.routes(interface, self.grace))
            .unwrap_or_default()
    }

    /// A binding as it is to be kept; none when there is none any more.
    pub fn stored(&self, key: &BindingKey) -> Option<StoredBinding> {
        self.bindings.get(key).map(Binding::stored)
    }

    fn insert(&mut self, key: &BindingKey, binding: Binding) {
        for slot in &binding.slots {
            self.slots.insert(slot.clone(), key.clone());
        }
        for prefix in binding.promised.keys() {
            self.holders.insert(*prefix, key);
        }
        self.bindings.insert(key.clone(), binding);
        self.schedule(key, None);
    }

    fn remove(&mut self, key: &BindingKey) {
        let Some(binding) = self.bindings.remove(key) else { return };
        if let Some(at) = binding.due_at(self.grace) {
            self.due.remove(&(at, key.clone()));
        }
        for slot in &binding.slots {
            if self.slots.get(slot) == Some(key) {
                self.slots.remove(slot);
            }
        }
        for prefix in binding.promised.keys() {
            self.holders.remove(*prefix, key);
        }
        self.blocked.remove(key);
    }

    /// Keeps the index of deadlines equal to what it is derived from; `before` is what a binding's
    /// was before it was changed.
    fn schedule(&mut self, key: &BindingKey, before: Option<Instant>) {
        let after = self.bindings.get(key).and_then(|binding| binding.due_at(self.grace));
        if before == after {
            return;
        }
        if let Some(at) = before {
            self.due.remove(&(at, key.clone()));
        }
        if let Some(at) = after {
            self.due.insert((at, key.clone()));
        }
    }

    /// Changes a binding, and keeps the index.
    fn change(&mut self, key: &BindingKey, change: impl FnOnce(&mut Binding)) {
        let Some(binding) = self.bindings.get_mut(key) else { return };
        let before = binding.due_at(self.grace);
        change(binding);
        self.schedule(key, before);
    }

    /// Derives anew what is due to a binding; whether that differs, and then calls its router.
    fn refresh(&mut self, now: Instant, key: &BindingKey) -> bool {
        let Some(binding) = self.bindings.get(key) else { return false };
        let (current, blocked) = self.worth(now, key, &binding.slots);
        let moved = !current.keys().eq(binding.current.keys());
        let differs = moved || current != binding.current;
        if blocked {
            self.blocked.insert(key.clone());
        } else {
            self.blocked.remove(key);
        }
        self.change(key, |binding| {
            binding.set_current(now, current);
            binding.blocked = blocked;
            if !binding.is_stale() {
                binding.push = None;
            } else if moved || binding.push.is_none() {
                binding.push = Some(Push::new(now));
            }
        });
        differs
    }

    /// What is due to one binding happens: promises end, its router is called. Whether its routes
    /// or its record differ.
    fn handle_due(&mut self, now: Instant, key: &BindingKey) -> bool {
        let grace = self.grace;
        let mut freed = Vec::new();
        let mut call = false;
        self.change(key, |binding| {
            freed = binding.expire(now, grace);
            if let Some(push) = binding.push.filter(|push| push.next_at <= now) {
                call = true;
                binding.push = push.sent(now).filter(|_| binding.reconfigure_key.is_some());
            }
        });
        for prefix in &freed {
            self.holders.remove(*prefix, key);
        }
        if call {
            self.call(key);
        }
        let Some(binding) = self.bindings.get(key) else { return true };
        if binding.promised.is_empty() {
            self.remove(key);
            return true;
        }
        !freed.is_empty()
    }

    fn call(&mut self, key: &BindingKey) {
        let Some(binding) = self.bindings.get(key) else { return };
        let (downlink, contact) = (key.downlink.clone(), binding.contact.clone());
        match binding.reconfigure_key {
            Some(secret) => {
                let replay = self.replay.next();
                let octets = push::reconfigure(&self.duid, &key.duid, &secret, replay);
                let octets = contact.wrap(octets);
                self.calls.push_back(Call::Reconfigure { downlink, contact, octets });
            }
            None if contact.relay.is_none() => {
                self.calls.push_back(Call::Advertise { downlink, host: contact.peer });
            }
            // An advertisement reaches no further than its own link (SRV-60).
            None => {}
        }
    }

    /// Something has become free: who waited for it gets it, and is called.
    fn refresh_blocked(&mut self, now: Instant, touched: &mut BTreeSet<BindingKey>) {
        let blocked: Vec<BindingKey> = self.blocked.iter().cloned().collect();
        touched.extend(blocked.into_iter().filter(|key| self.refresh(now, key)));
        self.call_refused(now);
    }

    /// Calls those who were refused and can be given something (SRV-58).
    fn call_refused(&mut self, now: Instant) {
        let served: Vec<BindingKey> = self
            .refused
            .iter()
            .filter(|(key, (at, contact))| {
                now.since(*at) < REFUSED_FOR && self.could_serve(now, key, contact)
            })
            .map(|(key, _)| key.clone())
            .collect();
        self.refused.retain(|_, (at, _)| now.since(*at) < REFUSED_FOR);
        for key in served {
            if let Some((_, contact)) = self.refused.remove(&key)
                && contact.relay.is_none()
            {
                let host = contact.peer;
                self.calls.push_back(Call::Advertise { downlink: key.downlink, host });
            }
        }
    }

    /// Remembers who was refused.
    fn refuse(&mut self, now: Instant, key: &BindingKey, contact: &Contact) {
        if self.refused.len() >= MAX_REFUSED && !self.refused.contains_key(key) {
            let oldest = self.refused.iter().min_by_key(|(_, (at, _))| *at);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.refused.remove(&key);
            }
        }
        self.refused.insert(key.clone(), (now, contact.clone()));
    }
}

/// The end of an offer's use.
const fn is_usable(offer: &Offer, now: Instant) -> bool {
    match offer.valid_until {
        Until::At(at) => !at.since(now).is_zero(),
        Until::Never => true,
    }
}
