//! Which slots an IA_PD has, and what they are worth.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv6Net;

use super::binding::Due;
use super::offers::{Offer, Slot};
use super::{Arrival, BindingKey, Contact, Delegating, is_usable};
use crate::config::{Limits, Peer, Pool};
use crate::time::Instant;
use crate::wire::dhcpv6_option::Iaid;

/// How many places of a pool are tried for one that is free.
const MAX_PROBES: u64 = 4096;

impl Delegating {
    /// The slots of an IA_PD: those that it has, the configured delegations that are its, and where
    /// there are none, one of a pool. `listed` are the prefixes that its message names, `others`
    /// the IAIDs beside it. Nothing is taken yet.
    pub(super) fn slots_for(
        &self,
        now: Instant,
        key: &BindingKey,
        arrival: &Arrival<'_>,
        listed: &[Ipv6Net],
        others: &BTreeSet<Iaid>,
    ) -> Vec<Slot> {
        let own: Vec<Slot> = self
            .delegations_of(key, arrival.link_layer.as_ref())
            .filter(|slot| self.is_free_for(slot, key, others))
            .collect();
        if !own.is_empty() {
            return own;
        }
        let held = self.bindings.get(key).map(|binding| &binding.slots);
        let pooled = held.into_iter().flatten().filter(|slot| match slot {
            Slot::Pool { pool, .. } => self.pools.contains_key(pool),
            Slot::Delegation(_) => false,
        });
        let pooled: Vec<Slot> = pooled.cloned().collect();
        if !pooled.is_empty() {
            return pooled;
        }
        let serves = |pool: &Pool| match (pool.link, arrival.link) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(wanted), Some(link)) => wanted.contains(&link),
        };
        let mut pools =
            self.pools.iter().filter(|(_, pool)| pool.downlink == arrival.downlink && serves(pool));
        pools.find_map(|(name, pool)| self.pick(now, name, pool, key, listed)).into_iter().collect()
    }

    /// The configured delegations of this router and IAID.
    fn delegations_of(
        &self,
        key: &BindingKey,
        link_layer: Option<&Vec<u8>>,
    ) -> impl Iterator<Item = Slot> {
        let by_duid = Some(Peer::Duid(key.duid.clone()));
        let by_link_layer = link_layer.cloned().map(Peer::LinkLayer);
        let peers = [by_duid, by_link_layer].into_iter().flatten();
        let names =
            peers.filter_map(|peer| self.by_peer.get(&(key.downlink.clone(), peer))).flatten();
        names
            .filter(|name| {
                let wanted = self.delegations.get(*name).and_then(|delegation| delegation.iaid);
                wanted.is_none_or(|iaid| iaid == key.iaid)
            })
            .map(|name| Slot::Delegation(name.clone()))
    }

    /// Whether a slot is nobody's, its own, or that of an IA_PD which the same router has dropped.
    fn is_free_for(&self, slot: &Slot, key: &BindingKey, others: &BTreeSet<Iaid>) -> bool {
        self.slots.get(slot).is_none_or(|holder| {
            holder == key || (holder.duid == key.duid && !others.contains(&holder.iaid))
        })
    }

    /// A free place of a pool, by choice one that the message names, then one that is the same for
    /// this router whoever comes first.
    fn pick(
        &self,
        now: Instant,
        name: &str,
        pool: &Pool,
        key: &BindingKey,
        listed: &[Ipv6Net],
    ) -> Option<Slot> {
        let first = BindingKey { iaid: Iaid(0), ..key.clone() };
        let last = BindingKey { iaid: Iaid(u32::MAX), ..key.clone() };
        let held = self.bindings.range(first..=last).filter(|(_, binding)| {
            let in_pool = |slot: &Slot| matches!(slot, Slot::Pool { pool, .. } if pool == name);
            binding.slots.iter().any(in_pool)
        });
        if held.count() >= pool.per_router {
            return None;
        }
        let block = pool.place.map_or(pool.size, |place| place.length);
        let count = 1_u64.checked_shl(pool.length.checked_sub(block)?.into()).unwrap_or(u64::MAX);
        let offers = self.offers.pools.get(name).map(Vec::as_slice).unwrap_or_default();
        let named = listed.iter().filter_map(|prefix| {
            let fits = prefix.prefix_len() == pool.length;
            offers.iter().filter(|_| fits).find_map(|offer| offer.number_of(*prefix))
        });
        let start = hash(key) % count.max(1);
        let probed = (0..count.min(MAX_PROBES)).map(|step| {
            let number = (u128::from(start) + u128::from(step)) % u128::from(count.max(1));
            u64::try_from(number).unwrap_or(0)
        });
        named
            .chain(probed)
            .map(|number| Slot::Pool { pool: name.to_owned(), number })
            .find(|slot| !self.slots.contains_key(slot) && !self.worth(now, key, &[slot.clone()]).1)
    }

    /// What slots are worth now, without what another router may still hold; whether there is
    /// such.
    pub(super) fn worth(
        &self,
        now: Instant,
        key: &BindingKey,
        slots: &[Slot],
    ) -> (BTreeMap<Ipv6Net, Due>, bool) {
        let mut worth = BTreeMap::new();
        let mut blocked = false;
        for (offer, limits) in slots.iter().flat_map(|slot| self.offers_of(slot)) {
            if !is_usable(&offer, now) {
                continue;
            }
            if self.holders.blocks(offer.prefix, key) {
                blocked = true;
            } else {
                worth.insert(offer.prefix, Due { offer, limits });
            }
        }
        (worth, blocked)
    }

    /// What is due to a binding that another router may still hold (SRV-57).
    pub(super) fn blocked_prefixes(
        &self,
        now: Instant,
        key: &BindingKey,
        binding: &super::Binding,
    ) -> Vec<Ipv6Net> {
        let offers = binding.slots.iter().flat_map(|slot| self.offers_of(slot));
        let usable = offers.filter(|(offer, _)| is_usable(offer, now));
        let prefixes = usable.map(|(offer, _)| offer.prefix);
        prefixes.filter(|prefix| self.holders.blocks(*prefix, key)).collect()
    }

    fn offers_of(&self, slot: &Slot) -> Vec<(Offer, Limits)> {
        match slot {
            Slot::Delegation(name) => {
                let Some(delegation) = self.delegations.get(name) else { return Vec::new() };
                let offers = self.offers.delegations.get(name).into_iter().flatten();
                offers.map(|offer| (*offer, delegation.lifetimes)).collect()
            }
            Slot::Pool { pool: name, number } => {
                let Some(pool) = self.pools.get(name) else { return Vec::new() };
                let offers = self.offers.pools.get(name).into_iter().flatten();
                let parts = offers.filter_map(|offer| offer.part(pool.length, *number));
                parts.map(|offer| (offer, pool.lifetimes)).collect()
            }
        }
    }

    /// Whether somebody who was refused could be given something now.
    pub(super) fn could_serve(&self, now: Instant, key: &BindingKey, contact: &Contact) -> bool {
        let link_layer = super::answer::link_layer_of(contact.peer);
        let arrival =
            Arrival { downlink: &key.downlink, contact: contact.clone(), link_layer, link: None };
        let slots = self.slots_for(now, key, &arrival, &[], &BTreeSet::new());
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

/// FNV-1a over DUID and IAID: the same in every version of this program.
fn hash(key: &BindingKey) -> u64 {
    let octets = key.duid.octets().iter().copied().chain(key.iaid.0.to_be_bytes());
    octets.fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    })
}
