//! Bindings as status shows them.

use ipnet::Ipv6Net;

use super::{Binding, BindingKey, Bindings, Promise, Slot};
use crate::core::status::{BindingStatus, DelegationStatus};
use crate::time::{Instant, Until};

impl Binding {
    /// The delegations that it is of, or the pool with the number of its place.
    pub fn names(&self) -> Vec<String> {
        self.slots.iter().map(Slot::to_string).collect()
    }
}

impl Bindings {
    /// All bindings at `now`.
    pub(in crate::core::delegate) fn status(&self, now: Instant) -> Vec<BindingStatus> {
        self.by_key.iter().map(|(key, binding)| self.view(now, key, binding)).collect()
    }

    fn view(&self, now: Instant, key: &BindingKey, binding: &Binding) -> BindingStatus {
        let told =
            |prefix: &Ipv6Net, state: &str, preferred: Until, valid: Until| DelegationStatus {
                prefix: *prefix,
                preferred: preferred.remaining(now).seconds(),
                valid: valid.remaining(now).seconds(),
                state: state.to_owned(),
            };
        // What is not ours any more and has lost its route blocks nobody.
        let is_told = |(prefix, promise): &(&Ipv6Net, &Promise)| {
            binding.is_granted(prefix)
                || promise.routed
                || promise.withdrawn_at.is_none()
                || self.offers.is_ours(**prefix)
        };
        let held = binding.promised().filter(is_told).map(|(prefix, promise)| {
            if binding.is_granted(prefix) {
                told(prefix, "given", promise.preferred_until, promise.valid_until)
            } else {
                told(prefix, "withdrawn", Until::At(now), promise.free_at(self.grace))
            }
        });
        let is_new = |prefix: &&Ipv6Net| !binding.promised.contains_key(prefix);
        let due = binding.granted().filter(is_new);
        let due = due.map(|prefix| told(prefix, "due", Until::At(now), Until::At(now)));
        let blocked = self.blocked_prefixes(now, key, binding);
        let blocked = blocked
            .iter()
            .map(|prefix| told(prefix, "held-elsewhere", Until::At(now), Until::At(now)));
        BindingStatus {
            names: binding.names(),
            downlink: key.downlink.to_string(),
            duid: key.duid.to_string(),
            iaid: key.iaid.0,
            next_hop: binding.contact.next_hop,
            prefixes: due.chain(blocked).chain(held).collect(),
            reconfigure: binding.reconfigure_key.is_some(),
            calling: binding.push.is_some(),
        }
    }
}
