//! Which slots an IA_PD has, and what they are worth.

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::Ipv6Net;

use super::binding::{Binding, Due};
use super::offers::{Offer, Slot};
use super::{BindingKey, Contact, Delegating, MAX_BINDINGS};
use crate::config::{Limits, Peer, Pool};
use crate::time::Instant;
use crate::wire::dhcpv6_option::Iaid;

/// How many places of a pool are tried for one that is free.
const MAX_PROBES: u64 = 1024;

/// What slots are sought for.
pub(super) struct Wanted<'a> {
    pub(super) key: &'a BindingKey,
    pub(super) contact: &'a Contact,
    /// The prefixes that the message names.
    pub(super) named: &'a [Ipv6Net],
    /// The IA_PDs that the router has beside this one.
    pub(super) others: &'a BTreeSet<Iaid>,
    /// What another IA_PD of the same message gets.
    pub(super) reserved: &'a BTreeSet<Slot>,
}

impl Delegating {
    /// The slots of an IA_PD: the configured delegations that are its, and where there are none,
    /// what it has of a pool, or something new of one. Nothing is taken yet.
    pub(super) fn slots_for(&self, now: Instant, wanted: &Wanted<'_>) -> Vec<Slot> {
        let own: Vec<Slot> = self
            .delegations_of(wanted.key, wanted.contact)
            .filter(|slot| self.is_free_for(slot, wanted))
            .collect();
        if !own.is_empty() {
            return own;
        }
        let held = self.bindings.get(wanted.key).map(|binding| binding.slots.iter());
        let pooled = held.into_iter().flatten().filter(|slot| match slot {
            Slot::Pool { .. } => self.is_its(slot, wanted.key, wanted.contact),
            Slot::Delegation(_) => false,
        });
        let pooled: Vec<Slot> = pooled.cloned().collect();
        if !pooled.is_empty() {
            return pooled;
        }
        let mut pools = self.pools.iter().filter(|(_, pool)| serves(pool, wanted));
        pools.find_map(|(name, pool)| self.pick(now, name, pool, wanted)).into_iter().collect()
    }

    /// The configured delegations of this router and IAID.
    fn delegations_of(&self, key: &BindingKey, contact: &Contact) -> impl Iterator<Item = Slot> {
        let by_peer = self.by_peer.get(&key.downlink);
        let names = by_peer.into_iter().flat_map(|by_peer| {
            let by_duid = Some(Peer::Duid(key.duid.clone()));
            let by_link_layer = contact.link_layer.clone().map(Peer::LinkLayer);
            let peers = [by_duid, by_link_layer].into_iter().flatten();
            peers.filter_map(|peer| by_peer.get(&peer)).flatten()
        });
        names
            .filter(|name| {
                let wanted = self.delegations.get(*name).and_then(|delegation| delegation.iaid);
                wanted.is_none_or(|iaid| iaid == key.iaid)
            })
            .map(|name| Slot::Delegation(name.clone()))
    }

    /// Whether a slot that a binding has is still for it.
    fn is_its(&self, slot: &Slot, key: &BindingKey, contact: &Contact) -> bool {
        match slot {
            Slot::Delegation(_) => self.delegations_of(key, contact).any(|its| its == *slot),
            Slot::Pool { pool, .. } => {
                self.pools.get(pool).is_some_and(|pool| *pool.downlink == *key.downlink)
            }
        }
    }

    /// Whether a slot is nobody's, its own, or that of an IA_PD which the same router has dropped.
    fn is_free_for(&self, slot: &Slot, wanted: &Wanted<'_>) -> bool {
        let Wanted { key, contact, others, reserved, .. } = wanted;
        if reserved.contains(slot) {
            return false;
        }
        let Some(holder) = self.slots.get(slot).filter(|holder| *holder != *key) else {
            return true;
        };
        let Some(binding) = self.bindings.get(holder) else { return true };
        // A router that was set up anew has another DUID, and its interfaces still.
        let link_layer = contact.link_layer.as_ref();
        let is_same_link_layer =
            link_layer.is_some() && binding.contact.link_layer.as_ref() == link_layer;
        let is_named = holder.downlink == key.downlink && others.contains(&holder.iaid);
        let is_dropped = if holder.duid == key.duid { !is_named } else { is_same_link_layer };
        is_dropped && binding.slots.iter().all(|slot| self.is_its(slot, key, contact))
    }

    /// A free place of a pool, by choice one that the message names, then one that is the same for
    /// this router whoever comes first.
    fn pick(
        &self,
        now: Instant,
        name: &Arc<str>,
        pool: &Pool,
        wanted: &Wanted<'_>,
    ) -> Option<Slot> {
        let in_pool = |slot: &&Slot| matches!(slot, Slot::Pool { pool, .. } if pool == name);
        let held = self.bindings_of(wanted.key).flat_map(|(_, binding)| &binding.slots);
        let its: BTreeSet<&Slot> = held.chain(wanted.reserved).filter(in_pool).collect();
        if its.len() >= pool.per_router || self.bindings.len() >= MAX_BINDINGS {
            return None;
        }
        let block = pool.place.map_or(pool.size, |place| place.length);
        let count = 1_u64.checked_shl(pool.length.checked_sub(block)?.into()).unwrap_or(u64::MAX);
        let offer = self.offers.pools.get(&**name).and_then(|offers| offers.first());
        let fitting = wanted.named.iter().filter(|prefix| prefix.prefix_len() == pool.length);
        let named = fitting.filter_map(|prefix| offer.and_then(|offer| offer.number_of(*prefix)));
        let start = hash(&[wanted.key.duid.octets(), &wanted.key.iaid.0.to_be_bytes()].concat())
            % count.max(1);
        let probed = (0..count.min(MAX_PROBES)).map(|step| {
            let number = (u128::from(start) + u128::from(step)) % u128::from(count.max(1));
            u64::try_from(number).unwrap_or(0)
        });
        named
            .filter(|number| *number < count)
            .chain(probed)
            .map(|number| Slot::Pool { pool: Arc::clone(name), number })
            .find(|slot| {
                !self.slots.contains_key(slot)
                    && !wanted.reserved.contains(slot)
                    && !self.worth(now, wanted.key, std::slice::from_ref(slot)).1
            })
    }

    /// Allots slots anew after a configuration was taken over: first what is not its any more is
    /// taken from each, then each gets what is.
    pub(super) fn realign(&mut self, now: Instant, touched: &mut BTreeSet<BindingKey>) {
        let keys: Vec<BindingKey> = self.bindings.keys().cloned().collect();
        for key in &keys {
            let Some(binding) = self.bindings.get(key) else { continue };
            let its = |slot: &&Slot| self.is_its(slot, key, &binding.contact);
            let slots = binding.slots.iter().filter(its).cloned().collect();
            let contact = binding.contact.clone();
            self.assign(now, key, slots, contact, touched);
        }
        for key in &keys {
            let Some(contact) = self.bindings.get(key).map(|binding| binding.contact.clone())
            else {
                continue;
            };
            let others = self.bindings_of(key).map(|(key, _)| key.iaid).collect();
            let held = self.bindings.get(key).into_iter().flat_map(|held| held.promised.keys());
            let named: Vec<Ipv6Net> = held.copied().collect();
            let reserved = BTreeSet::new();
            let wanted = Wanted {
                key,
                contact: &contact,
                named: &named,
                others: &others,
                reserved: &reserved,
            };
            let slots = self.slots_for(now, &wanted);
            self.assign(now, key, slots, contact, touched);
        }
    }

    /// Gives a binding its slots, from an IA_PD that the same router has dropped if need be: what
    /// that may hold it may hold still.
    pub(super) fn assign(
        &mut self,
        now: Instant,
        key: &BindingKey,
        slots: Vec<Slot>,
        mut contact: Contact,
        touched: &mut BTreeSet<BindingKey>,
    ) {
        if let Some(next_hop) = self.next_hop_of(&slots) {
            contact.next_hop = next_hop;
        }
        let holders = slots.iter().filter_map(|slot| self.slots.get(slot));
        let dropped: BTreeSet<BindingKey> =
            holders.filter(|other| *other != key).cloned().collect();
        let mut binding =
            self.remove(key).unwrap_or_else(|| Binding::new(Vec::new(), contact.clone()));
        for other in dropped {
            if let Some(other_binding) = self.remove(&other) {
                binding.inherit(now, other_binding);
            }
            touched.insert(other);
        }
        (binding.slots, binding.contact) = (slots, contact);
        binding.indexed_at = None;
        self.insert(key, binding);
        self.refresh(now, key);
        touched.insert(key.clone());
    }

    /// What slots are worth now, in order of prefix and without what another may still hold; whether there
    /// is such. Who has one of the slots does not count: it is taken from them.
    pub(super) fn worth(&self, now: Instant, key: &BindingKey, slots: &[Slot]) -> (Vec<Due>, bool) {
        let counts = |holder: &BindingKey| {
            holder != key && !slots.iter().any(|slot| self.slots.get(slot) == Some(holder))
        };
        let mut worth = Vec::new();
        let mut blocked = false;
        for (offer, limits) in slots.iter().flat_map(|slot| self.offers_of(slot)) {
            if offer.valid_until.remaining(now).is_zero() {
                continue;
            }
            if self.holders.blocks(offer.prefix, counts) {
                blocked = true;
            } else {
                worth.push(Due { offer, limits });
            }
        }
        worth.sort_by_key(|due| due.offer.prefix);
        (worth, blocked)
    }

    /// What is due to a binding that another router may still hold (SRV-57).
    pub(super) fn blocked_prefixes(
        &self,
        now: Instant,
        key: &BindingKey,
        binding: &Binding,
    ) -> Vec<Ipv6Net> {
        let offers = binding.slots.iter().flat_map(|slot| self.offers_of(slot));
        let usable = offers.filter(|(offer, _)| !offer.valid_until.remaining(now).is_zero());
        let prefixes = usable.map(|(offer, _)| offer.prefix);
        prefixes.filter(|prefix| self.holders.blocks(*prefix, |holder| holder != key)).collect()
    }

    fn offers_of(&self, slot: &Slot) -> Vec<(Offer, Limits)> {
        match slot {
            Slot::Delegation(name) => {
                let Some(delegation) = self.delegations.get(name) else { return Vec::new() };
                let offers = self.offers.delegations.get(&**name).into_iter().flatten();
                offers.map(|offer| (*offer, delegation.lifetimes)).collect()
            }
            Slot::Pool { pool: name, number } => {
                let Some(pool) = self.pools.get(name) else { return Vec::new() };
                let offers = self.offers.pools.get(&**name).into_iter().flatten();
                let parts = offers.filter_map(|offer| offer.part(pool.length, *number));
                parts.map(|offer| (offer, pool.lifetimes)).collect()
            }
        }
    }

    /// Whether somebody who was refused could be given something now.
    pub(super) fn could_serve(&self, now: Instant, key: &BindingKey, contact: &Contact) -> bool {
        let others = self.bindings_of(key).map(|(key, _)| key.iaid).collect();
        let reserved = BTreeSet::new();
        let wanted = Wanted { key, contact, named: &[], others: &others, reserved: &reserved };
        let slots = self.slots_for(now, &wanted);
        !self.worth(now, key, &slots).0.is_empty()
    }

    /// Where packets for `slots` go: as configured, else back to whence they came.
    pub(super) fn next_hop_of(&self, slots: &[Slot]) -> Option<std::net::Ipv6Addr> {
        slots.iter().find_map(|slot| match slot {
            Slot::Delegation(name) => self.delegations.get(name)?.next_hop,
            Slot::Pool { .. } => None,
        })
    }
}

/// Whether a pool is for who asks there.
fn serves(pool: &Pool, wanted: &Wanted<'_>) -> bool {
    let is_link = |link: Ipv6Net| wanted.contact.link().is_some_and(|named| link.contains(&named));
    *pool.downlink == *wanted.key.downlink && pool.link.is_none_or(is_link)
}

/// FNV-1a: the same in every version of this program.
pub(super) fn hash(octets: &[u8]) -> u64 {
    octets.iter().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
    })
}
