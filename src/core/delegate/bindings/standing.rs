//! Bindings of configured delegations whose routers another program answers: they exist without
//! messages, as the agent does not see the answers of that program.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::Ipv6Net;

use super::leased::is_of_pool;
use super::{Binding, BindingKey, Bindings, Contact, Offers, Slot};
use crate::config::{Delegation, Peer};
use crate::net::DHCP_CLIENT_PORT;
use crate::time::{Instant, Until};
use crate::wire::dhcpv6_option::Iaid;

/// Which delegations one IA_PD of a router has, and how that router is reached.
type Standing = BTreeMap<BindingKey, (Vec<Slot>, Contact)>;

impl Bindings {
    /// Takes over the offers, as [`set_offers`](Self::set_offers) does. The router is taken to hold
    /// a granted prefix for as long as we have it, and a retired one for as long as the program's
    /// last message may have promised it.
    pub(in crate::core::delegate) fn set_standing_offers(
        &mut self,
        now: Instant,
        offers: Offers,
    ) -> BTreeSet<BindingKey> {
        let given = self.given(now);
        let mut touched = self.set_offers(now, offers);
        if !self.offers.known {
            return touched;
        }
        self.stand(now, &mut touched);
        for key in &touched {
            self.change(key, |binding| withdraw_retired(now, key, binding, &given));
        }
        self.give(now, &mut touched);
        touched
    }

    /// The ends of the granted prefixes, had they been promised at `now`.
    fn given(&self, now: Instant) -> BTreeMap<(BindingKey, Ipv6Net), Until> {
        let bindings = self.by_key.iter().filter(|(key, _)| self.stands(&key.downlink));
        let given = bindings.flat_map(|(key, binding)| {
            binding.current.iter().map(move |grant| {
                let (_, valid) = grant.offer.lifetimes(now, grant.limits);
                ((key.clone(), grant.offer.prefix), Until::after(now, valid))
            })
        });
        given.collect()
    }

    /// Whether another program delegates on a downlink.
    pub(super) fn stands(&self, downlink: &str) -> bool {
        self.has_programs
            && self.downlinks.get(downlink).is_some_and(|link| link.delegator.is_some())
    }

    /// Creates a binding for each IA_PD that delegations are configured for.
    fn stand(&mut self, now: Instant, touched: &mut BTreeSet<BindingKey>) {
        for (key, (slots, contact)) in self.standing() {
            let stands = |binding: &Binding| {
                *binding.contact == contact && slots.iter().all(|slot| binding.slots.contains(slot))
            };
            if !self.by_key.get(&key).is_some_and(stands) {
                self.assign(now, &key, slots, contact.into(), touched);
            }
        }
    }

    fn standing(&self) -> Standing {
        let mut standing = Standing::new();
        for (name, delegation) in &self.delegations {
            let Delegation {
                downlink, peer: Peer::Duid(duid), iaid, next_hop: Some(next_hop), ..
            } = delegation
            else {
                continue;
            };
            if !self.stands(downlink) {
                continue;
            }
            let iaid = iaid.unwrap_or(Iaid(0));
            let key = BindingKey { duid: duid.clone(), downlink: downlink.as_str().into(), iaid };
            let contact = Contact {
                next_hop: *next_hop,
                peer: *next_hop,
                link_layer: None,
                neighbor_link_layer: None,
                port: DHCP_CLIENT_PORT,
                relay: None,
                levels: Vec::new(),
            };
            let entry = standing.entry(key).or_insert_with(|| (Vec::new(), contact));
            entry.0.push(Slot::Delegation(name.clone()));
        }
        standing
    }

    /// Notes as promised the prefixes that the program gives from now on.
    fn give(&mut self, now: Instant, touched: &mut BTreeSet<BindingKey>) {
        let keys: Vec<BindingKey> =
            self.by_key.keys().filter(|key| self.stands(&key.downlink)).cloned().collect();
        for key in keys {
            let Some(binding) = self.by_key.get(&key) else { continue };
            // The program itself reports which parts of pools it gives.
            if binding.slots.iter().any(is_of_pool) {
                continue;
            }
            let is_new = |prefix, preferred, valid| {
                let known = binding.promised.get(&prefix);
                known.is_none_or(|known| {
                    (known.preferred_until, known.valid_until) != (preferred, valid)
                })
            };
            let offers = binding.current.iter().map(|grant| grant.offer);
            let new: Vec<_> = offers
                .filter(|offer| is_new(offer.prefix, offer.preferred_until, offer.valid_until))
                .collect();
            if new.is_empty() {
                continue;
            }
            self.change(&key, |binding| {
                for offer in &new {
                    binding.promise(now, offer.prefix, offer.preferred_until, offer.valid_until);
                }
            });
            new.iter().for_each(|offer| self.holders.insert(offer.prefix, &key));
            touched.insert(key);
        }
    }
}

/// Limits prefixes that have just retired: they are not renewed any more, and were promised for no
/// longer than a message of this moment would have promised them.
fn withdraw_retired(
    now: Instant,
    key: &BindingKey,
    binding: &mut Binding,
    given: &BTreeMap<(BindingKey, Ipv6Net), Until>,
) {
    for (prefix, promise) in binding.promised.iter_mut() {
        if promise.retired_at != Some(now) {
            continue;
        }
        if let Some(end) = given.get(&(key.clone(), *prefix)) {
            promise.held_until = promise.held_until.min(*end);
            promise.valid_until = promise.valid_until.min(*end);
        }
        promise.withdrawn_at.get_or_insert(now);
    }
}
