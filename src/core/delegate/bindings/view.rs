//! Bindings as status shows them.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::{Binding, BindingKey, Bindings, Promise, Slot};
use crate::time::{Instant, Until};

/// A binding.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BindingStatus {
    /// The delegations that it has, or the pool with the number of its place.
    pub names: Vec<String>,
    /// Where its router asks.
    pub downlink: String,
    /// The router.
    pub duid: String,
    /// For which IA_PD.
    pub iaid: u32,
    /// Next hop of the packets for it.
    pub next_hop: Ipv6Addr,
    /// The prefixes that its router holds, and those that it is granted.
    pub prefixes: Vec<DelegationStatus>,
    /// It can be notified by Reconfigure.
    pub reconfigure: bool,
    /// It is being notified, because it holds something else than what it is granted.
    pub notified: bool,
}

/// A delegation to a subordinate router.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DelegationStatus {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// Preferred lifetime left of what the router was sent.
    pub preferred: Option<u32>,
    /// Valid lifetime left of what the router was sent.
    pub valid: Option<u32>,
    /// `given`; `reserved`: the router has not come for it yet; `withdrawn`: it is not the router's any
    /// more, and kept from others until it knows (SRV-57); `held-elsewhere`: it is granted, but another
    /// router may still hold it.
    pub state: String,
}

/// How many bindings there are, and in which state their prefixes are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct BindingSummary {
    /// IA_PDs of requesting routers.
    pub bindings: usize,
    /// Prefixes that their routers have been given.
    pub given: usize,
    /// Prefixes that are reserved for them and not given yet.
    pub reserved: usize,
    /// Prefixes that are theirs no more, and kept from others until they know (SRV-57).
    pub withdrawn: usize,
}

impl Binding {
    /// The delegations that it has, or the pool with the number of its place.
    pub fn names(&self) -> Vec<String> {
        self.slots.iter().map(Slot::to_string).collect()
    }
}

impl Bindings {
    /// All bindings at `now`.
    pub(in crate::core::delegate) fn status(&self, now: Instant) -> Vec<BindingStatus> {
        self.by_key.iter().map(|(key, binding)| self.view(now, key, binding)).collect()
    }

    /// The numbers of bindings and prefixes that [`status`](Self::status) would list.
    pub(in crate::core::delegate) fn summary(&self) -> BindingSummary {
        let mut summary = BindingSummary { bindings: self.by_key.len(), ..Default::default() };
        for binding in self.by_key.values() {
            let new = binding.granted().filter(|prefix| !binding.promised.contains_key(prefix));
            summary.reserved += new.count();
            for (prefix, _) in self.listed(binding) {
                if binding.is_granted(prefix) {
                    summary.given += 1;
                } else {
                    summary.withdrawn += 1;
                }
            }
        }
        summary
    }

    /// The prefixes that a router may hold, without those that are neither ours nor routed any
    /// more: they block no other router.
    fn listed<'a>(
        &'a self,
        binding: &'a Binding,
    ) -> impl Iterator<Item = (&'a Ipv6Net, &'a Promise)> {
        binding.promised().filter(|(prefix, promise)| {
            binding.is_granted(prefix)
                || promise.routed
                || promise.withdrawn_at.is_none()
                || self.offers.is_ours(**prefix)
        })
    }

    fn view(&self, now: Instant, key: &BindingKey, binding: &Binding) -> BindingStatus {
        let shown =
            |prefix: &Ipv6Net, state: &str, preferred: Until, valid: Until| DelegationStatus {
                prefix: *prefix,
                preferred: preferred.remaining(now).seconds(),
                valid: valid.remaining(now).seconds(),
                state: state.to_owned(),
            };
        let held = self.listed(binding).map(|(prefix, promise)| {
            if binding.is_granted(prefix) {
                shown(prefix, "given", promise.preferred_until, promise.valid_until)
            } else {
                shown(prefix, "withdrawn", Until::At(now), promise.free_at(self.grace))
            }
        });
        let is_new = |prefix: &&Ipv6Net| !binding.promised.contains_key(prefix);
        let reserved = binding.granted().filter(is_new);
        let reserved =
            reserved.map(|prefix| shown(prefix, "reserved", Until::At(now), Until::At(now)));
        let blocked = self.blocked_prefixes(now, key, binding);
        let blocked = blocked
            .iter()
            .map(|prefix| shown(prefix, "held-elsewhere", Until::At(now), Until::At(now)));
        BindingStatus {
            names: binding.names(),
            downlink: key.downlink.to_string(),
            duid: key.duid.to_string(),
            iaid: key.iaid.0,
            next_hop: binding.contact.next_hop,
            prefixes: reserved.chain(blocked).chain(held).collect(),
            reconfigure: binding.reconfigure_key.is_some(),
            notified: binding.is_notified(),
        }
    }
}
