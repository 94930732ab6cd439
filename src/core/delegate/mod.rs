//! The delegating router (RFC 9915 §18.3): bindings of subordinate routers, kept at the same places
//! through every change of what is delegated to us.
//!
//! A [`Binding`] stands for *slots* (`offers`): configured delegations, or numbers in a pool. Which
//! prefix a slot has follows from the plan alone, so bindings move with it. What a requesting
//! router *may hold* is remembered apart, until it has run out or its holder knows better: no
//! other router is given anything that overlaps it (`holders`).
//!
//! `request` says which messages are heard, `allot` which slots a requesting router has, `answer`
//! and `release` what it is answered, `times` when it comes again, `push` how it is
//! notified after a change. One message touches one router's bindings; deadlines are in one ordered
//! index.

mod allot;
mod answer;
mod binding;
mod contact;
mod contested;
mod holders;
mod information;
mod offers;
mod places;
mod promises;
mod push;
mod refused;
mod release;
mod repeat;
mod request;
#[cfg(test)]
mod tests;
mod times;
mod view;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::kernel::system::KernelRoute;
use super::random::Random;
use crate::config::{self, Config};
use crate::net::IfIndex;
use crate::time::{Deadline, Instant};
use crate::wire::dhcpv6::Message;
use crate::wire::dhcpv6_option::{Duid, Iaid};

pub use answer::Answer;
pub use binding::{Binding, BindingKey, Promise, StoredBinding};
pub use contact::{Contact, Place};
pub use contested::Holder;
pub use information::HostOptions;
pub use offers::{Offer, Offers, Slot};
pub use request::Reject;

use allot::Available;
use binding::reindex;
use holders::Holders;
use places::{Shares, Taken};
use push::{Push, Replay};
use refused::Refused;
use repeat::Awaited;

/// Bindings that are seen to in one pass, however many deadlines have passed.
const MAX_WAKE_UPS: usize = 256;

/// A message that came to a downlink.
#[derive(Clone, PartialEq, Debug)]
pub struct Arrival {
    /// The downlink.
    pub downlink: Arc<str>,
    /// How its sender is reached.
    pub contact: Contact,
}

/// What a message did.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Served {
    /// Bindings whose routes and record have to be looked at.
    pub touched: BTreeSet<BindingKey>,
    /// The answer, to be sent behind what was touched.
    pub answer: Option<Answer>,
}

/// A way to notify a requesting router of a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notification {
    /// A signed Reconfigure.
    Reconfigure {
        /// Where it is.
        downlink: Arc<str>,
        /// How it is reached.
        contact: Contact,
        /// The message as it leaves.
        octets: Vec<u8>,
    },
    /// A unicast router advertisement.
    Advertise {
        /// Where it is.
        downlink: Arc<str>,
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
    delegations: BTreeMap<Arc<str>, config::Delegation>,
    /// Delegations by where their router asks and who it is.
    by_peer: BTreeMap<Arc<str>, BTreeMap<config::Peer, Vec<Arc<str>>>>,
    pools: BTreeMap<Arc<str>, config::Pool>,
    offers: Offers,
    host_options: BTreeMap<String, HostOptions>,
    bindings: BTreeMap<BindingKey, Binding>,
    /// Whose slots are taken.
    slots: BTreeMap<Slot, BindingKey>,
    /// Those of them that are of pools, by pool.
    taken: BTreeMap<Arc<str>, Taken>,
    shares: Shares,
    holders: Holders,
    /// What bindings wait for because another router may still hold it.
    waiting: Holders,
    /// When something has to happen, for each binding where that is so.
    wake_ups: BTreeSet<(Instant, BindingKey)>,
    refused: Refused,
    replay: Replay,
    notifications: VecDeque<Notification>,
    /// Who was notified and has not come yet.
    awaited: Awaited,
    /// A configuration was taken over: slots are to be allotted anew.
    realign: bool,
}

impl Delegating {
    /// With what is remembered: bindings, and up to where replay values may have been used.
    pub fn new(
        duid: Duid,
        stored: &BTreeMap<BindingKey, Arc<StoredBinding>>,
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
            host_options: BTreeMap::new(),
            bindings: BTreeMap::new(),
            slots: BTreeMap::new(),
            taken: BTreeMap::new(),
            shares: Shares::default(),
            holders: Holders::default(),
            waiting: Holders::default(),
            wake_ups: BTreeSet::new(),
            refused: Refused::default(),
            replay: Replay::new(replay),
            notifications: VecDeque::new(),
            awaited: Awaited::default(),
            realign: false,
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
        let delegations = config.delegations.iter();
        self.delegations = delegations
            .map(|(name, delegation)| (name.as_str().into(), delegation.clone()))
            .collect();
        let pools = config.pools.iter();
        self.pools = pools.map(|(name, pool)| (name.as_str().into(), pool.clone())).collect();
        self.by_peer.clear();
        for (name, delegation) in &self.delegations {
            let by_peer = self.by_peer.entry(delegation.downlink.as_str().into()).or_default();
            by_peer.entry(delegation.peer.clone()).or_default().push(Arc::clone(name));
        }
        self.offers.known = false;
        self.realign = true;
        for (key, binding) in &mut self.bindings {
            reindex(&mut self.wake_ups, self.grace, key, binding);
        }
    }

    /// Takes over what each downlink is given beside prefixes.
    pub fn set_host_options(&mut self, options: BTreeMap<String, HostOptions>) {
        self.host_options = options;
    }

    /// Whether hosts on a downlink can ask for something that no advertisement tells (LAN-01), be
    /// anything delegated there or not.
    pub fn informs(&self, downlink: &str) -> bool {
        let may = self.downlinks.get(downlink).is_some_and(|link| link.advertise.may_inform());
        may && self.host_options.get(downlink).is_some_and(HostOptions::informs)
    }

    /// Whether anything is delegated on a downlink.
    pub fn serves(&self, downlink: &str) -> bool {
        self.by_peer.contains_key(downlink)
            || self.pools.values().any(|pool| pool.downlink == downlink)
    }

    /// Whether the configuration names the router of a binding by its DUID.
    pub fn names(&self, key: &BindingKey) -> bool {
        let by_peer = self.by_peer.get(&*key.downlink);
        by_peer.is_some_and(|by_peer| by_peer.contains_key(&config::Peer::Duid(key.duid.clone())))
    }

    /// Takes over what there is to give: bindings move, and whom that concerns is notified. Returns
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
        let mut touched = BTreeSet::new();
        if std::mem::take(&mut self.realign) {
            self.realign(now, &mut touched);
        }
        let keys: Vec<BindingKey> = self.bindings.keys().cloned().collect();
        let moved = keys.into_iter().filter(|key| self.refresh(now, key));
        // They come in order, so that the set is made at once.
        touched.append(&mut moved.collect());
        self.refused.look(now);
        touched
    }

    /// Whether a router that was sent a Reconfigure message since then has not come yet.
    pub fn awaits_renewal(&self, since: Instant) -> bool {
        self.awaited.awaits_renewal(since)
    }

    /// Takes in a message.
    ///
    /// # Errors
    ///
    /// [`Reject`] when there is no answer to it.
    pub fn handle_message(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        message: &Message,
    ) -> Result<Served, Reject> {
        let served = if self.offers.known {
            answer::answer(self, now, arrival, message)
        } else {
            answer::early(self, now, arrival, message)
        }?;
        if let Some(client) = message.client_id().filter(|_| served.answer.is_some()) {
            self.awaited.remove(client, arrival);
        }
        Ok(served)
    }

    /// Lets everything happen whose time has come, of very much a part: the next deadline has passed
    /// then. Returns the bindings that were touched.
    pub fn handle_timeout(&mut self, now: Instant) -> BTreeSet<BindingKey> {
        let mut touched = BTreeSet::new();
        // One notification serves all IA_PDs of a router.
        let mut notified = BTreeSet::new();
        for _ in 0..MAX_WAKE_UPS {
            let first = self.wake_ups.first().filter(|(at, _)| *at <= now).cloned();
            let Some((_, key)) = first else { break };
            let happened = self.wake(now, &key);
            if let Some(attempt) = happened.notification
                && notified.insert((key.downlink.clone(), key.duid.clone()))
            {
                self.notify(now, &key, attempt == 0);
            }
            // What has become free goes to who waits for it, and that router is notified.
            self.give_on(now, &happened.freed, &mut touched);
            if happened.differs {
                touched.insert(key);
            }
        }
        self.notify_refused(now);
        while let Some((downlink, host)) = self.awaited.poll(now) {
            self.notifications.push_back(Notification::Advertise { downlink, host });
        }
        touched
    }

    /// The next notification.
    pub fn poll_notification(&mut self) -> Option<Notification> {
        self.notifications.pop_front()
    }

    /// Up to where replay values are to be set aside on disk: ahead, so that no Reconfigure message has to wait
    /// for that.
    pub const fn reserve_replay(&mut self) -> Option<u64> {
        self.replay.reserve()
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub fn deadline(&self) -> Option<Deadline> {
        let first = self.wake_ups.first().map(|(at, _)| Deadline::new(*at, "binding"));
        let refused = self.refused.deadline();
        let refused = refused.map(|at| Deadline::new(at, "notification of the refused"));
        Deadline::first([first, refused, self.awaited.deadline()])
    }

    /// All bindings.
    pub const fn bindings(&self) -> &BTreeMap<BindingKey, Binding> {
        &self.bindings
    }

    /// The routes of a binding, through `interface`.
    pub fn routes(&self, key: &BindingKey, interface: IfIndex) -> Vec<KernelRoute> {
        self.bindings.get(key).map(|binding| self.routes_of(binding, interface)).unwrap_or_default()
    }

    /// The routes of one of its bindings, through `interface`.
    pub fn routes_of(&self, binding: &Binding, interface: IfIndex) -> Vec<KernelRoute> {
        binding.routes(interface, self.grace)
    }

    /// A binding as it is to be kept; none when there is none any more.
    pub fn stored(&self, key: &BindingKey) -> Option<Arc<StoredBinding>> {
        self.bindings.get(key).map(|binding| Arc::new(binding.stored()))
    }

    fn insert(&mut self, key: &BindingKey, mut binding: Binding) {
        for slot in &binding.slots {
            self.slots.insert(slot.clone(), key.clone());
            if let Slot::Pool { pool, number } = slot {
                self.taken.entry(Arc::clone(pool)).or_default().insert(*number);
            }
        }
        self.shares.insert(&binding);
        for prefix in binding.promised.keys() {
            self.holders.insert(*prefix, key);
        }
        reindex(&mut self.wake_ups, self.grace, key, &mut binding);
        self.bindings.insert(key.clone(), binding);
    }

    fn remove(&mut self, key: &BindingKey) -> Option<Binding> {
        let binding = self.bindings.remove(key)?;
        if let Some(at) = binding.indexed_at {
            self.wake_ups.remove(&(at, key.clone()));
        }
        for slot in &binding.slots {
            if self.slots.get(slot) == Some(key) {
                self.slots.remove(slot);
                self.free(slot);
            }
        }
        self.shares.remove(&binding);
        for prefix in &binding.blocked {
            self.waiting.remove(*prefix, key);
        }
        for prefix in binding.promised.keys() {
            self.holders.remove(*prefix, key);
        }
        Some(binding)
    }

    fn free(&mut self, slot: &Slot) {
        let Slot::Pool { pool, number } = slot else { return };
        if let Some(taken) = self.taken.get_mut(pool) {
            taken.remove(*number);
            if taken.is_empty() {
                self.taken.remove(pool);
            }
        }
    }

    /// Changes a binding, and keeps the index of deadlines.
    fn change<T>(&mut self, key: &BindingKey, change: impl FnOnce(&mut Binding) -> T) -> Option<T> {
        let binding = self.bindings.get_mut(key)?;
        let changed = change(binding);
        reindex(&mut self.wake_ups, self.grace, key, binding);
        Some(changed)
    }

    /// The bindings of one router on one downlink.
    fn bindings_of(
        &self,
        key: &BindingKey,
    ) -> impl Iterator<Item = (&BindingKey, &Binding)> + use<'_> {
        let first = BindingKey { iaid: Iaid(0), ..key.clone() };
        let (duid, downlink) = (first.duid.clone(), Arc::clone(&first.downlink));
        // An upper bound would cost a second descent of the tree.
        let from = self.bindings.range(first..);
        from.take_while(move |(key, _)| key.duid == duid && key.downlink == downlink)
    }

    /// Derives anew what a binding is to be given, and has its router notified if that differs.
    /// Whether its routes or its record may be others now.
    fn refresh(&mut self, now: Instant, key: &BindingKey) -> bool {
        let Some(binding) = self.bindings.get(key) else { return false };
        let Available { grants: current, blocked } = self.available(now, key, &binding.slots);
        let moved = !current.iter().map(|grant| &grant.offer.prefix).eq(binding.granted());
        for prefix in &binding.blocked {
            self.waiting.remove(*prefix, key);
        }
        for prefix in &blocked {
            self.waiting.insert(*prefix, key);
        }
        let Self { bindings, offers, .. } = self;
        let Some(binding) = bindings.get_mut(key) else { return moved };
        let was_limited = binding.is_limited();
        let promises_differ = binding.set_current(now, current, |prefix| offers.is_ours(prefix));
        binding.blocked = blocked;
        if !binding.is_stale() {
            binding.push = None;
        } else if moved || binding.push.is_none() {
            binding.push = Some(Push::new(now));
        }
        reindex(&mut self.wake_ups, self.grace, key, binding);
        moved || promises_differ || was_limited || binding.is_limited()
    }

    /// The time of a binding has come: promises end, its router is to be notified.
    fn wake(&mut self, now: Instant, key: &BindingKey) -> Happened {
        let grace = self.grace;
        let mut notification = None;
        let expired = self.change(key, |binding| {
            if let Some(push) = binding.push.filter(|push| push.next_at <= now) {
                notification = Some(push.attempts());
                binding.push = push.sent(now).filter(|_| binding.reconfigure_key.is_some());
            }
            binding.expire(now, grace)
        });
        let (freed, unrouted) = expired.unwrap_or_default();
        for prefix in &freed {
            self.holders.remove(*prefix, key);
        }
        let over = self.bindings.get(key).is_some_and(|binding| binding.promised.is_empty());
        if over {
            self.remove(key);
            self.refused.look(now);
        }
        let differs = over || unrouted || !freed.is_empty();
        Happened { notification: notification.filter(|_| !over), freed, differs }
    }

    /// Prefixes have become free: who waited for one gets it, and is notified. That costs about as
    /// much as has become free.
    fn give_on(&mut self, now: Instant, freed: &[Ipv6Net], touched: &mut BTreeSet<BindingKey>) {
        for prefix in freed {
            let waiting: Vec<BindingKey> = self.waiting.overlapping(*prefix).cloned().collect();
            touched.extend(waiting.into_iter().filter(|key| self.refresh(now, key)));
        }
        if !freed.is_empty() {
            self.refused.look(now);
        }
    }

    /// Remembers who was refused.
    fn refuse(&mut self, now: Instant, key: &BindingKey, contact: &Contact) {
        let is_configured = self.delegations_of(key, contact).next().is_some();
        self.refused.insert(now, key, contact, is_configured);
    }
}

/// What became of a binding when its time had come.
struct Happened {
    /// Its router is to be notified, after so many times.
    notification: Option<u32>,
    /// Prefixes that nobody may hold any more.
    freed: Vec<Ipv6Net>,
    /// Its routes or its record differ.
    differs: bool,
}
