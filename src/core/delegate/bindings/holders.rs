//! The requesting routers that may hold each prefix: never two at a time (SRV-57).

use std::collections::BTreeMap;

use ipnet::Ipv6Net;

use super::binding::BindingKey;
use crate::net::PrefixKey;

/// Prefixes, each with its holder. Those of different holders do not overlap.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::core::delegate) struct Holders {
    by_prefix: BTreeMap<PrefixKey, BindingKey>,
    /// How many prefixes of each length there are: a prefix that contains another is looked for by
    /// length.
    lengths: BTreeMap<u8, usize>,
}

impl Holders {
    /// Whether a holder that counts has a part of `prefix`.
    pub(in crate::core::delegate) fn blocks(
        &self,
        prefix: Ipv6Net,
        counts: impl Fn(&BindingKey) -> bool,
    ) -> bool {
        self.overlapping(prefix).any(counts)
    }

    /// The holders of parts of `prefix`.
    pub(in crate::core::delegate) fn overlapping(
        &self,
        prefix: Ipv6Net,
    ) -> impl Iterator<Item = &BindingKey> {
        // None has host bits, so the prefixes inside of it are neighbors in the map.
        let inside = self.by_prefix.range(PrefixKey(prefix)..);
        let inside = inside.take_while(move |(held, _)| prefix.contains(&held.0));
        let inside = inside.map(|(_, holder)| holder);
        let around = self.lengths.range(..prefix.prefix_len()).filter_map(move |(length, _)| {
            let around = Ipv6Net::new(prefix.addr(), *length).ok()?;
            self.by_prefix.get(&PrefixKey(around.trunc()))
        });
        around.chain(inside)
    }

    /// Built at once, the map takes no more room than it needs.
    pub(in crate::core::delegate) fn compact(&mut self) {
        self.by_prefix = std::mem::take(&mut self.by_prefix).into_iter().collect();
    }

    pub(in crate::core::delegate) fn insert(&mut self, prefix: Ipv6Net, key: &BindingKey) {
        match self.by_prefix.get(&PrefixKey(prefix)) {
            Some(holder) if holder == key => {}
            Some(_) => {
                self.by_prefix.insert(PrefixKey(prefix), key.clone());
            }
            None => {
                self.by_prefix.insert(PrefixKey(prefix), key.clone());
                let count = self.lengths.entry(prefix.prefix_len()).or_default();
                *count = count.saturating_add(1);
            }
        }
    }

    /// `key` holds `prefix` no longer.
    pub(in crate::core::delegate) fn remove(&mut self, prefix: Ipv6Net, key: &BindingKey) {
        if self.by_prefix.get(&PrefixKey(prefix)) != Some(key) {
            return;
        }
        self.by_prefix.remove(&PrefixKey(prefix));
        if let Some(count) = self.lengths.get_mut(&prefix.prefix_len()) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.lengths.remove(&prefix.prefix_len());
            }
        }
    }
}
