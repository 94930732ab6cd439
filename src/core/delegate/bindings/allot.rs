//! Which slots an IA_PD has, and which prefixes are available in them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::binding::{Binding, Grant};
use super::leased::is_of_pool;
use super::offers::{Offer, Slot};
use super::places::{Neighbor, Shares, Taken, has_room};
use super::{Arrival, BindingKey, Bindings, Contact};
use crate::config::{Limits, Peer, Pool, RelaySources};
use crate::core::delegate::asked::distinct_ia_pds;
use crate::net::stable_hash;
use crate::time::Instant;
use crate::wire::dhcpv6::Message;
use crate::wire::dhcpv6_option::Iaid;

/// How many free places of a pool are tried for one that no other router may hold: successive ones
/// first, and then places anywhere.
const MAX_TRIES: u8 = 32;
const SIDE_BY_SIDE: u8 = 16;
/// How many of the prefixes that a message names are looked for in a pool.
const MAX_NAMED: usize = 8;

/// The prefixes of slots.
#[derive(Clone, PartialEq, Debug, Default)]
pub(in crate::core::delegate) struct Available {
    /// The prefixes that can be granted.
    pub(in crate::core::delegate) grants: Vec<Grant>,
    /// The prefixes that another router may still hold (SRV-57).
    pub(in crate::core::delegate) blocked: Vec<Ipv6Net>,
}

/// The IA_PD that slots are sought for.
pub(in crate::core::delegate) struct Wanted<'a> {
    pub(in crate::core::delegate) key: &'a BindingKey,
    pub(in crate::core::delegate) contact: &'a Contact,
    /// The prefixes that the message names.
    pub(in crate::core::delegate) named: &'a [Ipv6Net],
    /// The IA_PDs that the router has beside this one.
    pub(in crate::core::delegate) others: &'a BTreeSet<Iaid>,
    /// The slots that other IA_PDs of the same message get.
    pub(in crate::core::delegate) reserved: &'a BTreeSet<Slot>,
    /// The request is a message, before which holders at other places were found silent (SEC-18).
    pub(in crate::core::delegate) by_message: bool,
}

impl Bindings {
    /// The slots of an IA_PD: its configured delegations, or, without any, the slots of pools that
    /// it has, or else a new one. Nothing is taken yet.
    pub(in crate::core::delegate) fn slots_for(
        &self,
        now: Instant,
        wanted: &Wanted<'_>,
    ) -> Vec<Slot> {
        let own: Vec<Slot> = self
            .delegations_of(wanted.key, wanted.contact)
            .filter(|slot| self.is_free_for(slot, wanted))
            .collect();
        if !own.is_empty() {
            return own;
        }
        let held = self.by_key.get(wanted.key).map(|binding| binding.slots.iter());
        let pooled = held.into_iter().flatten().filter(|slot| match slot {
            Slot::Pool { .. } => self.is_its(slot, wanted.key, wanted.contact),
            Slot::Delegation(_) => false,
        });
        let pooled: Vec<Slot> = pooled.cloned().collect();
        // Another program chooses places of its own.
        if !pooled.is_empty() || self.stands(&wanted.key.downlink) {
            return pooled;
        }
        let mut pools =
            self.pools.iter().filter(|(_, pool)| serves(pool, wanted.key, wanted.contact));
        let picked = pools.find_map(|(name, pool)| self.pick(now, name, pool, wanted));
        picked.or_else(|| self.left_behind(now, wanted)).into_iter().collect()
    }

    /// Where nothing else is left for a router: what it has of a pool by an IA_PD that it has
    /// dropped, as routers do that number their IA_PDs anew at each start. That a message does not
    /// name one shows nothing, as routers ask for what they lack alone; one that it has is renewed
    /// by T2. Of several the one goes that was answered longest ago.
    fn left_behind(&self, now: Instant, wanted: &Wanted<'_>) -> Option<Slot> {
        let Wanted { key, contact, others, reserved, .. } = wanted;
        let place = contact.place();
        let dropped = self.bindings_of(key).filter(|(other, binding)| {
            !others.contains(&other.iaid)
                && *other != *key
                && binding.contact.place() == place
                && self.is_overdue(now, other, binding)
        });
        let slots = dropped.filter_map(|(_, binding)| {
            let [slot @ Slot::Pool { .. }] = &binding.slots[..] else { return None };
            let is_left = !reserved.contains(slot) && self.is_its(slot, key, contact);
            let at = binding.promised.last_sent_at().filter(|_| is_left)?;
            Some((at, slot))
        });
        slots.min_by_key(|(at, _)| *at).map(|(_, slot)| slot.clone())
    }

    /// The configured delegations of this router and IAID.
    pub(in crate::core::delegate) fn delegations_of(
        &self,
        key: &BindingKey,
        contact: &Contact,
    ) -> impl Iterator<Item = Slot> {
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

    /// Whether a binding may keep a slot that it has.
    fn is_its(&self, slot: &Slot, key: &BindingKey, contact: &Contact) -> bool {
        match slot {
            Slot::Delegation(_) => self.delegations_of(key, contact).any(|its| its == *slot),
            Slot::Pool { pool, .. } => {
                self.pools.get(pool).is_some_and(|pool| serves(pool, key, contact))
            }
        }
    }

    /// Whether a slot is free, or belongs to this IA_PD or to one that the same router has dropped.
    fn is_free_for(&self, slot: &Slot, wanted: &Wanted<'_>) -> bool {
        let Wanted { key, contact, others, reserved, by_message, .. } = wanted;
        if reserved.contains(slot) {
            return false;
        }
        let Some(holder) = self.slots.get(slot).filter(|holder| *holder != *key) else {
            return true;
        };
        let Some(binding) = self.by_key.get(holder) else { return true };
        // A router that was set up anew has another DUID, and its interfaces still.
        let link_layer = contact.link_layer.as_ref();
        let is_same_link_layer =
            link_layer.is_some() && binding.contact.link_layer.as_ref() == link_layer;
        let is_named = holder.downlink == key.downlink && others.contains(&holder.iaid);
        let is_dropped = if holder.duid == key.duid { !is_named } else { is_same_link_layer };
        let is_left = *by_message || binding.contact.place() == contact.place();
        is_left && is_dropped && binding.slots.iter().all(|slot| self.is_its(slot, key, contact))
    }

    /// Picks a free place of a pool: by choice one that the message names, then one that is the
    /// same for this router in whatever order routers come.
    fn pick(
        &self,
        now: Instant,
        name: &Arc<str>,
        pool: &Pool,
        wanted: &Wanted<'_>,
    ) -> Option<Slot> {
        let count = places_of(pool)?;
        let neighbors = Neighbor::of(wanted.contact);
        let places = neighbors.iter().map(|neighbor| self.shares.of_all(neighbor)).max();
        if !has_room(self.by_key.len(), places.unwrap_or_default())
            || !self.is_within_shares(name, pool, count, wanted)
        {
            return None;
        }
        let none = Taken::default();
        let taken = self.taken.get(name).unwrap_or(&none);
        let place = |number| Slot::Pool { pool: Arc::clone(name), number };
        // Neither taken, nor given to an IA_PD before this one of the same message.
        let free_from = |mut start: u64| {
            for _ in 0..=wanted.reserved.len() {
                let free = taken.next_free(start, count)?;
                if !wanted.reserved.contains(&place(free)) {
                    return Some(free);
                }
                start = free.checked_add(1).filter(|next| *next < count).unwrap_or_default();
            }
            None
        };
        let offer = self.offers.pools.get(&**name).and_then(|offers| offers.first());
        let fitting = wanted.named.iter().filter(|prefix| prefix.prefix_len() == pool.length);
        let named = fitting.take(MAX_NAMED).filter_map(|prefix| offer?.number_of(*prefix));
        let named = named.filter(|number| *number < count && free_from(*number) == Some(*number));
        let mut next = stable_hash(&seed(wanted.key, 0)) % count.max(1);
        let tried = (0..MAX_TRIES).map_while(|attempt| {
            if attempt >= SIDE_BY_SIDE {
                next = stable_hash(&seed(wanted.key, attempt)) % count.max(1);
            }
            let free = free_from(next)?;
            next = free.checked_add(1).filter(|next| *next < count).unwrap_or_default();
            Some(free)
        });
        // A free place may be in quarantine.
        let is_usable = |slot: &Slot| {
            self.available(now, wanted.key, std::slice::from_ref(slot)).blocked.is_empty()
        };
        named.chain(tried).map(place).find(is_usable)
    }

    /// Whether a router, and the neighbor that its messages come from, are below their limits in a
    /// pool.
    fn is_within_shares(
        &self,
        name: &Arc<str>,
        pool: &Pool,
        count: u64,
        wanted: &Wanted<'_>,
    ) -> bool {
        let Wanted { key, contact, reserved, .. } = wanted;
        let in_pool = |slot: &&Slot| matches!(slot, Slot::Pool { pool, .. } if pool == name);
        let place = contact.place();
        let own = self.bindings_of(key).filter(|(_, binding)| binding.contact.place() == place);
        let held = own.flat_map(|(_, binding)| &binding.slots);
        let its: BTreeSet<&Slot> = held.chain(*reserved).filter(in_pool).collect();
        // What this message has been given before has no binding yet where it solicits.
        let new = reserved.iter().filter(in_pool).filter(|slot| !self.slots.contains_key(*slot));
        let new = new.count();
        let quarter = usize::try_from(count / 4).unwrap_or(usize::MAX).max(1);
        let downlink = self.downlinks.get(&*key.downlink);
        let is_listed =
            downlink.is_some_and(|downlink| matches!(downlink.relays, RelaySources::Listed(_)));
        let has_room = |neighbor: &Neighbor| {
            let speaks_for_others = match neighbor {
                Neighbor::LinkLayer(_) | Neighbor::Address(_) => contact.relay.is_some(),
                Neighbor::Behind(..) => false,
            };
            let most = match (speaks_for_others, is_listed) {
                // A relay agent that the configuration names may speak for any number of routers.
                (true, true) => return true,
                (true, false) => quarter,
                (false, _) => quarter.min(pool.per_neighbor),
            };
            // What it holds without a place is no more than it when it has one.
            let held = self.by_key.get(key).map_or(0, |own| Shares::without_place(own, neighbor));
            self.shares.of(neighbor, name).saturating_sub(held).saturating_add(new) < most
        };
        its.len() < pool.per_router && Neighbor::of(contact).iter().all(has_room)
    }

    /// Whether a message asks for a place of a pool of which half is held by neighbors whose
    /// link-layer address is not known: addresses cost nothing to invent.
    pub(in crate::core::delegate) fn is_crowded(
        &self,
        arrival: &Arrival,
        message: &Message,
    ) -> bool {
        let Arrival { downlink, contact } = arrival;
        let Some(client) = message.client_id() else { return false };
        let is_crowded = |(name, pool): (&Arc<str>, &Pool)| {
            let half = places_of(pool).and_then(|count| usize::try_from(count / 2).ok());
            self.shares.of_unknown(name) >= half.unwrap_or(usize::MAX).max(1)
        };
        distinct_ia_pds(message).any(|ia| {
            let (duid, downlink) = (client.clone(), Arc::clone(downlink));
            let key = BindingKey { duid, downlink, iaid: ia.iaid };
            let mut pools = self.pools.iter().filter(|(_, pool)| serves(pool, &key, contact));
            !self.by_key.contains_key(&key)
                && self.delegations_of(&key, contact).next().is_none()
                && pools.any(is_crowded)
        })
    }

    /// Allots slots anew after a configuration was taken over: first each binding loses the slots
    /// that are not its own any more, then each gets those that are.
    pub(in crate::core::delegate) fn realign(
        &mut self,
        now: Instant,
        touched: &mut BTreeSet<BindingKey>,
    ) {
        let keys: Vec<BindingKey> = self.by_key.keys().cloned().collect();
        for key in &keys {
            let Some(binding) = self.by_key.get(key) else { continue };
            let its = |slot: &&Slot| self.is_its(slot, key, &binding.contact);
            let slots = binding.slots.iter().filter(its).cloned().collect();
            let contact = binding.contact.clone();
            self.assign(now, key, slots, contact, touched);
        }
        for key in &keys {
            let Some(contact) = self.by_key.get(key).map(|binding| binding.contact.clone()) else {
                continue;
            };
            let others = self.bindings_of(key).map(|(key, _)| key.iaid).collect();
            let held = self.by_key.get(key).into_iter().flat_map(|held| held.promised.keys());
            let named: Vec<Ipv6Net> = held.copied().collect();
            let reserved = BTreeSet::new();
            let wanted = Wanted {
                key,
                contact: &contact,
                named: &named,
                others: &others,
                reserved: &reserved,
                by_message: false,
            };
            let slots = self.slots_for(now, &wanted);
            self.assign(now, key, slots, contact, touched);
        }
    }

    /// Gives a binding its slots, if need be from an IA_PD that the same router has dropped: the
    /// prefixes that the router may hold through that IA_PD it may hold through this one.
    pub(in crate::core::delegate) fn assign(
        &mut self,
        now: Instant,
        key: &BindingKey,
        slots: Vec<Slot>,
        mut contact: Arc<Contact>,
        touched: &mut BTreeSet<BindingKey>,
    ) {
        if let Some(next_hop) = self.next_hop_of(&slots).filter(|to| *to != contact.next_hop) {
            Arc::make_mut(&mut contact).next_hop = next_hop;
        }
        let holders = slots.iter().filter_map(|slot| self.slots.get(slot));
        let dropped: BTreeSet<BindingKey> =
            holders.filter(|other| *other != key).cloned().collect();
        let mut binding =
            self.remove(key).unwrap_or_else(|| Binding::new(Vec::new(), Arc::clone(&contact)));
        for other in dropped {
            if let Some(other_binding) = self.remove(&other) {
                binding.inherit(now, other_binding);
            }
            touched.insert(other);
        }
        let gives_up = binding.slots.iter().any(|slot| !slots.contains(slot));
        (binding.slots, binding.contact) = (slots, contact);
        binding.indexed_at = None;
        self.insert(key, binding);
        self.refresh(now, key);
        if gives_up {
            self.has_freed = true;
        }
        touched.insert(key.clone());
    }

    /// The prefixes of slots, in order. Holders of these slots do not count: the slots are taken
    /// from them.
    pub(in crate::core::delegate) fn available(
        &self,
        now: Instant,
        key: &BindingKey,
        slots: &[Slot],
    ) -> Available {
        #[cfg(test)]
        crate::core::delegate::tests::LOOKS.set(crate::core::delegate::tests::LOOKS.get() + 1);
        let counts = |holder: &BindingKey| {
            holder != key && !slots.iter().any(|slot| self.slots.get(slot) == Some(holder))
        };
        let mut available = Available::default();
        let offers = slots.iter().flat_map(|slot| {
            let is_pool = is_of_pool(slot);
            let offers = self.offers_of(slot);
            offers.filter(move |(offer, _)| !is_pool || self.is_leased_to(&offer.prefix, key))
        });
        for (offer, limits) in offers {
            if offer.valid_until.remaining(now).is_zero() {
                continue;
            }
            if self.holders.blocks(offer.prefix, counts) {
                available.blocked.push(offer.prefix);
            } else {
                // Most have one, and there are as many of these as bindings.
                available.grants.reserve_exact(1);
                available.grants.push(Grant { offer, limits });
            }
        }
        available.grants.sort_by_key(|grant| grant.offer.prefix);
        available
    }

    /// Prefixes of a binding's slots that another router may still hold (SRV-57).
    pub(in crate::core::delegate) fn blocked_prefixes(
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

    /// The part of each delegated prefix that a slot has, with the limits of its lifetimes.
    fn offers_of(&self, slot: &Slot) -> impl Iterator<Item = (Offer, Limits)> {
        let (offers, limits, place) = match slot {
            Slot::Delegation(name) => {
                let limits = self.delegations.get(name).map(|delegation| delegation.lifetimes);
                (self.offers.delegations.get(&**name), limits, None)
            }
            Slot::Pool { pool: name, number } => {
                let pool = self.pools.get(name);
                let place = pool.map(|pool| (pool.length, *number));
                (self.offers.pools.get(&**name), pool.map(|pool| pool.lifetimes), place)
            }
        };
        offers.into_iter().flatten().filter_map(move |offer| {
            let offer = match place {
                Some((length, number)) => offer.part(length, number)?,
                None => *offer,
            };
            Some((offer, limits?))
        })
    }

    /// Whether a router that was refused could be given something now.
    pub(in crate::core::delegate) fn could_serve(
        &self,
        now: Instant,
        key: &BindingKey,
        contact: &Contact,
    ) -> bool {
        let others = self.bindings_of(key).map(|(key, _)| key.iaid).collect();
        let reserved = BTreeSet::new();
        let wanted = Wanted {
            key,
            contact,
            named: &[],
            others: &others,
            reserved: &reserved,
            by_message: false,
        };
        let slots = self.slots_for(now, &wanted);
        !self.available(now, key, &slots).grants.is_empty()
    }

    /// How often routers with one of `slots` are to renew if they accept no Reconfigure.
    pub(in crate::core::delegate) fn renew_every(&self, slots: &[Slot]) -> Option<Duration> {
        let every = slots.iter().filter_map(|slot| match slot {
            Slot::Delegation(name) => self.delegations.get(name)?.renew_every,
            Slot::Pool { pool, .. } => self.pools.get(pool)?.renew_every,
        });
        every.min()
    }

    /// The next hop of packets for `slots`: the configured one, else the address that the request
    /// came from.
    pub(in crate::core::delegate) fn next_hop_of(
        &self,
        slots: &[Slot],
    ) -> Option<std::net::Ipv6Addr> {
        slots.iter().find_map(|slot| match slot {
            Slot::Delegation(name) => self.delegations.get(name)?.next_hop,
            Slot::Pool { .. } => None,
        })
    }
}

/// The place of a router is derived from this, in whatever order routers come; `attempt` 0 is its
/// own.
fn seed(key: &BindingKey, attempt: u8) -> Vec<u8> {
    let more = (attempt > 0).then_some(attempt);
    key.duid.octets().iter().copied().chain(key.iaid.0.to_be_bytes()).chain(more).collect()
}

/// How many places a pool has.
fn places_of(pool: &Pool) -> Option<u64> {
    let block = pool.place.map_or(pool.size, |place| place.length);
    Some(1_u64.checked_shl(pool.length.checked_sub(block)?.into()).unwrap_or(u64::MAX))
}

/// Whether a pool is for routers that ask there: on its downlink, and its link.
fn serves(pool: &Pool, key: &BindingKey, contact: &Contact) -> bool {
    let is_link = |link: Ipv6Net| contact.link().is_some_and(|named| link.contains(&named));
    *pool.downlink == *key.downlink && pool.link.is_none_or(is_link)
}
