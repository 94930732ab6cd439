//! The prefixes that subordinate routers are given, and those that they may still hold.
//!
//! A [`Binding`] stands for *slots* (`offers`): configured delegations, or numbers in a pool. The
//! plan alone decides which prefix a slot has, so bindings move with it. The prefixes that a
//! requesting router *may hold* are remembered apart, until they have run out or their holder has
//! shown that it does not hold them: no other router is given a prefix that overlaps them
//! (`holders`).
//!
//! `allot` decides which slots a requesting router has, `places` and `contested` which router may
//! have them. Deadlines are in one ordered index.

mod allot;
mod binding;
#[cfg(test)]
mod check;
mod contact;
mod contested;
mod holders;
mod leased;
mod offers;
mod places;
mod promises;
mod push;
mod release;
mod standing;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv6Net;

use crate::config::{self, Config};
use crate::core::kernel::system::KernelRoute;
use crate::net::IfIndex;
use crate::time::{Deadline, Instant};
use crate::wire::dhcpv6_option::Iaid;

pub(super) use allot::Wanted;
pub(super) use binding::Grant;
pub use binding::{Binding, BindingKey, Promise, StoredBinding};
pub use contact::{Contact, Place};
pub use contested::Holder;
pub(super) use leased::Unreached;
pub use offers::{Offer, Offers, Slot};
pub use view::{BindingStatus, BindingSummary, DelegationStatus};

use super::Arrival;
use allot::Available;
use binding::reindex;
use holders::Holders;
use places::{Shares, Taken};
use push::Push;

/// The bindings of all downlinks.
#[derive(Clone, Debug, Default)]
pub(super) struct Bindings {
    grace: Duration,
    /// Other programs delegate on some downlinks.
    has_programs: bool,
    pub(super) downlinks: BTreeMap<String, config::Downlink>,
    pub(super) delegations: BTreeMap<Arc<str>, config::Delegation>,
    /// Configured delegations by the downlink and identity of their router.
    by_peer: BTreeMap<Arc<str>, BTreeMap<config::Peer, Vec<Arc<str>>>>,
    pub(super) pools: BTreeMap<Arc<str>, config::Pool>,
    pub(super) offers: Offers,
    pub(super) by_key: BTreeMap<BindingKey, Binding>,
    /// The bindings that have each slot.
    slots: BTreeMap<Slot, BindingKey>,
    /// The taken places of each pool.
    taken: BTreeMap<Arc<str>, Taken>,
    shares: Shares,
    pub(super) holders: Holders,
    /// The prefixes that bindings wait for because another router may still hold them.
    waiting: Holders,
    /// Parts of pools that other programs have leased, each with its holder.
    leased: BTreeMap<Ipv6Net, BindingKey>,
    /// The next deadline of each binding that has one.
    wake_ups: BTreeSet<(Instant, BindingKey)>,
    /// The downlinks on which messages of requesting routers arrive, and since when.
    listening_since: BTreeMap<String, Instant>,
    /// A configuration was taken over: slots are to be allotted anew.
    realign: bool,
    /// A router that was refused may be served now.
    has_freed: bool,
}

/// The results of deadlines that have passed.
#[derive(Default)]
pub(super) struct Woken {
    /// Bindings whose routes and record have to be looked at.
    pub(super) touched: BTreeSet<BindingKey>,
    /// Bindings whose router has to be notified, one of each router, and whether that is the first
    /// time.
    pub(super) notified: Vec<(BindingKey, bool)>,
}

impl Bindings {
    /// Restores the stored bindings.
    pub(super) fn new(stored: &BTreeMap<BindingKey, Arc<StoredBinding>>) -> Self {
        let mut bindings = Self::default();
        for (key, stored) in stored {
            bindings.insert(key, Binding::restored(stored));
        }
        bindings.compact();
        bindings
    }

    /// A map that was filled in order has half of its capacity unused: one that is built at once
    /// has none.
    fn compact(&mut self) {
        let Self { by_key, slots, wake_ups, holders, .. } = self;
        *by_key = std::mem::take(by_key).into_iter().collect();
        *slots = std::mem::take(slots).into_iter().collect();
        *wake_ups = std::mem::take(wake_ups).into_iter().collect();
        holders.compact();
    }

    /// Takes over a configuration; [`set_offers`](Self::set_offers) has to follow.
    pub(super) fn configure(&mut self, config: &Config) {
        self.grace = config.grace;
        self.downlinks.clone_from(&config.downlinks);
        self.has_programs = config.downlinks.values().any(|link| link.delegator.is_some());
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
        self.remember_leased();
        for (key, binding) in &mut self.by_key {
            reindex(&mut self.wake_ups, self.grace, key, binding);
        }
    }

    /// Whether anything is delegated on a downlink.
    pub(super) fn serves(&self, downlink: &str) -> bool {
        self.by_peer.contains_key(downlink)
            || self.pools.values().any(|pool| pool.downlink == downlink)
    }

    /// Whether the configuration names the router of a binding by its DUID.
    pub(super) fn names(&self, key: &BindingKey) -> bool {
        let by_peer = self.by_peer.get(&*key.downlink);
        by_peer.is_some_and(|by_peer| by_peer.contains_key(&config::Peer::Duid(key.duid.clone())))
    }

    /// Takes over the offers: bindings move, and the routers of those that changed are notified.
    /// Returns the bindings that were touched.
    pub(super) fn set_offers(&mut self, now: Instant, offers: Offers) -> BTreeSet<BindingKey> {
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
        let mut by_key = std::mem::take(&mut self.by_key);
        let moved = by_key.iter_mut().filter_map(|(key, binding)| {
            self.refresh_binding(now, key, binding).then(|| key.clone())
        });
        // They are in order, so that the set is built at once, and so is the index of deadlines.
        touched.append(&mut moved.collect());
        let (wake_ups, grace) = (&mut self.wake_ups, self.grace);
        *wake_ups = by_key
            .iter_mut()
            .filter_map(|(key, binding)| {
                binding.indexed_at = binding.wakes_at(grace);
                Some((binding.indexed_at?, key.clone()))
            })
            .collect();
        self.by_key = by_key;
        self.has_freed = true;
        touched
    }

    /// Handles the deadlines of `most` bindings that have passed. Where more have, the next
    /// deadline lies in the past.
    pub(super) fn handle_timeout(&mut self, now: Instant, most: usize) -> Woken {
        let mut woken = Woken::default();
        // One notification serves all IA_PDs of a router.
        let mut routers = BTreeSet::new();
        for _ in 0..most {
            let first = self.wake_ups.first().filter(|(at, _)| *at <= now).cloned();
            let Some((_, key)) = first else { break };
            let happened = self.wake(now, &key);
            if let Some(attempt) = happened.notification
                && routers.insert((key.downlink.clone(), key.duid.clone()))
            {
                woken.notified.push((key.clone(), attempt == 0));
            }
            // A freed prefix goes to a router that waits for it, and that router is notified.
            self.give_on(now, &happened.freed, &mut woken.touched);
            if happened.differs {
                woken.touched.insert(key);
            }
        }
        woken
    }

    /// The links of these bindings have changed: routers that did not come for all their
    /// notifications are notified anew, as none may have reached them.
    pub(super) fn notify_again(&mut self, now: Instant, keys: &BTreeSet<BindingKey>) {
        for key in keys {
            self.change(key, |binding| binding.push = binding.push.map(|push| push.again(now)));
        }
    }

    /// Whether routers that were refused may be served now; a second call returns false until more
    /// is freed.
    pub(super) fn take_freed(&mut self) -> bool {
        std::mem::take(&mut self.has_freed)
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.wake_ups.first().map(|(at, _)| Deadline::new(*at, "binding"))
    }

    /// The routes of a binding, through `interface`.
    pub(super) fn routes(&self, key: &BindingKey, interface: IfIndex) -> Vec<KernelRoute> {
        self.by_key.get(key).map(|binding| self.routes_of(binding, interface)).unwrap_or_default()
    }

    /// The routes of one of its bindings, through `interface`.
    pub(super) fn routes_of(&self, binding: &Binding, interface: IfIndex) -> Vec<KernelRoute> {
        binding.routes(interface, self.grace)
    }

    /// A binding as it is to be kept; none when there is none any more.
    pub(super) fn stored(&self, key: &BindingKey) -> Option<Arc<StoredBinding>> {
        self.by_key.get(key).map(|binding| Arc::new(binding.stored()))
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
        self.by_key.insert(key.clone(), binding);
    }

    fn remove(&mut self, key: &BindingKey) -> Option<Binding> {
        let binding = self.by_key.remove(key)?;
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
    pub(super) fn change<T>(
        &mut self,
        key: &BindingKey,
        change: impl FnOnce(&mut Binding) -> T,
    ) -> Option<T> {
        let binding = self.by_key.get_mut(key)?;
        let changed = change(binding);
        reindex(&mut self.wake_ups, self.grace, key, binding);
        Some(changed)
    }

    /// The bindings of one router on one downlink.
    pub(super) fn bindings_of(
        &self,
        key: &BindingKey,
    ) -> impl Iterator<Item = (&BindingKey, &Binding)> + use<'_> {
        let first = BindingKey { iaid: Iaid(0), ..key.clone() };
        let (duid, downlink) = (first.duid.clone(), Arc::clone(&first.downlink));
        // An upper bound would cost a second descent of the tree.
        let from = self.by_key.range(first..);
        from.take_while(move |(key, _)| key.duid == duid && key.downlink == downlink)
    }

    /// Derives the grants of a binding anew, and has its router notified if they differ. Returns
    /// whether its routes or its record may differ.
    fn refresh(&mut self, now: Instant, key: &BindingKey) -> bool {
        let mut by_key = std::mem::take(&mut self.by_key);
        let differs = by_key.get_mut(key).is_some_and(|binding| {
            let differs = self.refresh_binding(now, key, binding);
            reindex(&mut self.wake_ups, self.grace, key, binding);
            differs
        });
        self.by_key = by_key;
        differs
    }

    /// As [`refresh`](Self::refresh), with the binding taken out of the map of all; the index of
    /// deadlines is to follow.
    fn refresh_binding(&mut self, now: Instant, key: &BindingKey, binding: &mut Binding) -> bool {
        let Available { grants: current, blocked } = self.available(now, key, &binding.slots);
        let moved = !current.iter().map(|grant| &grant.offer.prefix).eq(binding.granted());
        for prefix in &binding.blocked {
            self.waiting.remove(*prefix, key);
        }
        for prefix in &blocked {
            self.waiting.insert(*prefix, key);
        }
        let offers = &self.offers;
        let was_limited = binding.is_limited();
        // For a router that did not come for its notifications only this is news.
        let push = match binding.push {
            Some(push) if !moved && binding.is_shortened_by(&current) => push.shortened(now),
            Some(push) if !moved => push,
            Some(_) | None => Push::new(now),
        };
        let promises_differ = binding.set_current(now, current, |prefix| offers.is_ours(prefix));
        binding.blocked = blocked;
        binding.push = binding.is_stale().then_some(push);
        moved || promises_differ || was_limited || binding.is_limited()
    }

    /// Handles the deadline of a binding: promises end, its router is notified.
    fn wake(&mut self, now: Instant, key: &BindingKey) -> Happened {
        let grace = self.grace;
        let mut notification = None;
        let expired = self.change(key, |binding| {
            let is_time = |push: &Push| push.next_at.is_some_and(|at| at <= now);
            if let Some(push) = binding.push.filter(is_time) {
                notification = Some(push.attempts());
                binding.push = Some(push.sent(now, binding.reconfigure_key.is_some()));
            }
            binding.expire(now, grace)
        });
        let (freed, unrouted) = expired.unwrap_or_default();
        for prefix in &freed {
            self.holders.remove(*prefix, key);
            if self.leased.get(prefix) == Some(key) {
                self.leased.remove(prefix);
            }
        }
        let over = self.by_key.get(key).is_some_and(|binding| binding.promised.is_empty());
        if over {
            self.remove(key);
            self.has_freed = true;
        }
        let differs = over || unrouted || !freed.is_empty();
        Happened { notification: notification.filter(|_| !over), freed, differs }
    }

    /// Gives freed prefixes to routers that wait for them, and has these notified. The cost grows
    /// with the number of freed prefixes, not with that of bindings.
    fn give_on(&mut self, now: Instant, freed: &[Ipv6Net], touched: &mut BTreeSet<BindingKey>) {
        for prefix in freed {
            let waiting: Vec<BindingKey> = self.waiting.overlapping(*prefix).cloned().collect();
            touched.extend(waiting.into_iter().filter(|key| self.refresh(now, key)));
        }
        if !freed.is_empty() {
            self.has_freed = true;
        }
    }
}

/// The result of one binding's deadline.
struct Happened {
    /// The router of this binding is to be notified; how often it has been.
    notification: Option<u32>,
    /// Prefixes that no router may hold any more.
    freed: Vec<Ipv6Net>,
    /// Its routes or its record differ.
    differs: bool,
}
