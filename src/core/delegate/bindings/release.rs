//! Prefixes that a requesting router releases (RFC 9915 §18.3.7).

use std::collections::BTreeSet;

use ipnet::Ipv6Net;

use super::{BindingKey, Bindings};
use crate::time::Instant;

impl Bindings {
    /// A router releases the prefixes that it names, and with them its claim to the others. It may
    /// still hold the others, so no other router gets them until they have run out.
    pub(in crate::core::delegate) fn release(
        &mut self,
        now: Instant,
        key: &BindingKey,
        named: &[Ipv6Net],
        touched: &mut BTreeSet<BindingKey>,
    ) {
        let Some(mut binding) = self.remove(key) else { return };
        touched.insert(key.clone());
        let is_its = named.iter().any(|prefix| binding.promised.contains_key(prefix));
        let held: Vec<Ipv6Net> = binding.promised.keys().copied().collect();
        if is_its {
            binding.release(now, named);
        }
        let is_freed = |prefix: &Ipv6Net| !binding.promised.contains_key(prefix);
        let freed: Vec<Ipv6Net> = held.into_iter().filter(is_freed).collect();
        if binding.promised.is_empty() {
            return self.give_on(now, &freed, touched);
        }
        let slots = if is_its { Vec::new() } else { binding.slots.clone() };
        let contact = binding.contact.clone();
        binding.indexed_at = None;
        self.insert(key, binding);
        self.assign(now, key, slots, contact, touched);
        self.give_on(now, &freed, touched);
    }
}
