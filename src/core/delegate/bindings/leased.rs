//! The parts of pools that another program has leased: the program chooses the places, and the
//! routes follow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use ipnet::Ipv6Net;

use super::{BindingKey, Bindings, Contact, Slot};
use crate::core::engine::{Leased, Leases};
use crate::time::{Instant, ROUNDING, Until};
use crate::wire::dhcpv6_option::Duid;

/// How many leases of one listing are taken in: more than any useful pool has.
const MAX_LEASES: usize = 200_000;

/// Leases of routers whose place is not known.
pub(in crate::core::delegate) type Unreached = BTreeMap<Ipv6Net, Duid>;

impl Bindings {
    /// Whether another program delegates on a downlink, and gives parts of pools.
    pub(in crate::core::delegate) fn leases_pools(&self, downlink: &str) -> bool {
        self.stands(downlink) && self.pools.values().any(|pool| pool.downlink == downlink)
    }

    /// Takes the stored bindings for leased ones until the program lists its leases.
    pub(super) fn remember_leased(&mut self) {
        let mut leased = BTreeMap::new();
        for (key, binding) in self.by_key.iter().filter(|(key, _)| self.stands(&key.downlink)) {
            if !binding.slots.iter().any(is_of_pool) {
                continue;
            }
            let held = binding.promised.iter().filter(|(_, promise)| promise.retired_at.is_none());
            leased.extend(held.map(|(prefix, _)| (*prefix, key.clone())));
        }
        self.leased = leased;
    }

    /// Whether a part of a pool may be given to `key`: always where the built-in delegates, and
    /// elsewhere where the program has leased it to `key`.
    pub(super) fn is_leased_to(&self, prefix: &Ipv6Net, key: &BindingKey) -> bool {
        !self.stands(&key.downlink) || self.leased.get(prefix) == Some(key)
    }

    /// Takes over the leases of pools that a program lists: all of them, or all of one router.
    /// `contact_of` gives the place of a router. Returns the leases of routers whose place is not
    /// known.
    pub(in crate::core::delegate) fn set_leased(
        &mut self,
        now: Instant,
        leases: &Leases,
        contact_of: impl Fn(&Duid) -> Option<Contact>,
        touched: &mut BTreeSet<BindingKey>,
    ) -> Unreached {
        let downlink: Arc<str> = leases.downlink.as_str().into();
        let is_meant = |lease: &&Leased| leases.of.as_ref().is_none_or(|of| *of == lease.duid);
        let mut listed: BTreeMap<BindingKey, Vec<(Slot, &Leased)>> = BTreeMap::new();
        for lease in leases.leases.iter().take(MAX_LEASES).filter(is_meant) {
            let Some(slot) = self.slot_of(&downlink, lease.prefix) else { continue };
            let (duid, downlink) = (lease.duid.clone(), Arc::clone(&downlink));
            let key = BindingKey { duid, downlink, iaid: lease.iaid };
            listed.entry(key).or_default().push((slot, lease));
        }
        self.end_unlisted(now, &downlink, leases.of.as_ref(), &listed, touched);
        let mut unreached = Unreached::new();
        for (key, leases) in listed {
            let contact = self.by_key.get(&key).map(|binding| binding.contact.clone());
            let Some(contact) = contact.or_else(|| contact_of(&key.duid).map(Arc::new)) else {
                let prefixes = leases.iter().map(|(_, lease)| (lease.prefix, key.duid.clone()));
                unreached.extend(prefixes);
                continue;
            };
            self.lease(now, &key, contact, &leases, touched);
        }
        unreached
    }

    /// The place of a pool that a prefix is.
    fn slot_of(&self, downlink: &str, prefix: Ipv6Net) -> Option<Slot> {
        let pools = self
            .pools
            .iter()
            .filter(|(_, pool)| *pool.downlink == *downlink && pool.length == prefix.prefix_len());
        pools
            .flat_map(|(name, _)| self.offers.pools.get(&**name).map(|offers| (name, offers)))
            .find_map(|(name, offers)| {
                let block = offers.iter().find(|offer| offer.prefix.contains(&prefix))?;
                Some(Slot::Pool { pool: Arc::clone(name), number: block.number_of(prefix)? })
            })
    }

    /// A lease that the program does not list any more has ended.
    fn end_unlisted(
        &mut self,
        now: Instant,
        downlink: &Arc<str>,
        of: Option<&Duid>,
        listed: &BTreeMap<BindingKey, Vec<(Slot, &Leased)>>,
        touched: &mut BTreeSet<BindingKey>,
    ) {
        let is_listed = |prefix: &Ipv6Net, key: &BindingKey| {
            let leases = listed.get(key).into_iter().flatten();
            leases.into_iter().any(|(_, lease)| lease.prefix == *prefix)
        };
        let ended: Vec<(Ipv6Net, BindingKey)> = match of {
            Some(duid) => {
                let (duid, downlink) = (duid.clone(), Arc::clone(downlink));
                let key = BindingKey { duid, downlink, iaid: crate::wire::dhcpv6_option::Iaid(0) };
                let its = self.bindings_of(&key).flat_map(|(key, binding)| {
                    binding.promised.keys().map(move |prefix| (*prefix, key.clone()))
                });
                its.filter(|(prefix, key)| self.leased.get(prefix) == Some(key))
                    .filter(|(prefix, key)| !is_listed(prefix, key))
                    .collect()
            }
            None => {
                let its = self.leased.iter().filter(|(_, key)| key.downlink == *downlink);
                let ended = its.filter(|(prefix, key)| !is_listed(prefix, key));
                ended.map(|(prefix, key)| (*prefix, key.clone())).collect()
            }
        };
        for (prefix, key) in ended {
            self.leased.remove(&prefix);
            // The program ends no lease before its holder releases it or lets it run out.
            self.change(&key, |binding| binding.end(now, &prefix));
            self.refresh(now, &key);
            touched.insert(key);
        }
    }

    /// One IA_PD has these leases.
    fn lease(
        &mut self,
        now: Instant,
        key: &BindingKey,
        contact: Arc<Contact>,
        leases: &[(Slot, &Leased)],
        touched: &mut BTreeSet<BindingKey>,
    ) {
        let is_configured = |slot: &Slot| !is_of_pool(slot);
        if self.by_key.get(key).is_some_and(|own| own.slots.iter().any(is_configured)) {
            return;
        }
        let mut is_new = false;
        for (slot, lease) in leases {
            self.take_from_others(now, key, slot, lease.prefix, touched);
            is_new |= self.leased.insert(lease.prefix, key.clone()).as_ref() != Some(key);
        }
        let slots: BTreeSet<Slot> = leases.iter().map(|(slot, _)| slot.clone()).collect();
        let slots: Vec<Slot> = slots.into_iter().collect();
        if is_new || self.by_key.get(key).is_none_or(|own| own.slots != slots) {
            self.assign(now, key, slots, contact, touched);
        }
        for (_, lease) in leases {
            let ends = [lease.preferred, lease.valid].map(|left| Until::after(now, left));
            let [preferred, valid] = ends;
            let known = self.by_key.get(key).and_then(|own| own.promised.get(&lease.prefix));
            let is_known = known.is_some_and(|known| {
                known.retired_at.is_none()
                    && is_about(known.preferred_until, preferred)
                    && is_about(known.valid_until, valid)
            });
            if !is_known {
                self.change(key, |binding| binding.promise(now, lease.prefix, preferred, valid));
                self.holders.insert(lease.prefix, key);
                touched.insert(key.clone());
            }
        }
    }

    /// Takes parts that the program has leased to `key` from their earlier holders.
    fn take_from_others(
        &mut self,
        now: Instant,
        key: &BindingKey,
        slot: &Slot,
        prefix: Ipv6Net,
        touched: &mut BTreeSet<BindingKey>,
    ) {
        let holders = self.holders.overlapping(prefix).chain(self.slots.get(slot));
        let others: BTreeSet<BindingKey> = holders.filter(|other| *other != key).cloned().collect();
        for other in others {
            let Some(mut binding) = self.remove(&other) else { continue };
            binding.promised.retain(|held, _| !prefix.contains(held) && !held.contains(&prefix));
            binding.slots.retain(|one| one != slot);
            if !binding.promised.is_empty() {
                binding.indexed_at = None;
                self.insert(&other, binding);
                self.refresh(now, &other);
            }
            touched.insert(other);
        }
    }

    /// A router has moved to another place, with all its parts of pools.
    pub(in crate::core::delegate) fn move_to(
        &mut self,
        now: Instant,
        key: &BindingKey,
        contact: &Contact,
        touched: &mut BTreeSet<BindingKey>,
    ) {
        let is_elsewhere = |contact: &Contact, of: &Contact| of.place() != contact.place();
        let own = self.bindings_of(key).filter(|(_, binding)| {
            binding.slots.iter().all(is_of_pool) && is_elsewhere(contact, &binding.contact)
        });
        let own: Vec<(BindingKey, Vec<Slot>)> =
            own.map(|(key, binding)| (key.clone(), binding.slots.clone())).collect();
        for (key, slots) in own {
            self.assign(now, &key, slots, contact.clone().into(), touched);
        }
    }
}

pub(super) const fn is_of_pool(slot: &Slot) -> bool {
    matches!(slot, Slot::Pool { .. })
}

/// Whether two ends are the same, given that the clocks of two programs differ a little.
fn is_about(a: Until, b: Until) -> bool {
    match (a, b) {
        (Until::At(a), Until::At(b)) => a.since(b).max(b.since(a)) <= ROUNDING,
        (Until::Never, Until::Never) => true,
        (Until::At(_), Until::Never) | (Until::Never, Until::At(_)) => false,
    }
}
