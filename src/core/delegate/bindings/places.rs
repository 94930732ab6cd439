//! The places of a pool: which are taken, and how many each neighbor has.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;

use super::{Binding, Contact, Slot};

/// The numbers that are taken, as runs of neighbors: the next free one is found in one step,
/// however many are taken.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::core::delegate) struct Taken {
    /// The runs by their first number, each with its last. No two runs touch.
    runs: BTreeMap<u64, u64>,
}

impl Taken {
    /// The first free number from `start` on, of `count` that go round.
    pub(in crate::core::delegate) fn next_free(&self, start: u64, count: u64) -> Option<u64> {
        let from = |start: u64| self.end_of(start).map_or(Some(start), |end| end.checked_add(1));
        from(start).filter(|free| *free < count).or_else(|| from(0).filter(|free| *free < count))
    }

    pub(in crate::core::delegate) fn insert(&mut self, number: u64) {
        if self.end_of(number).is_some() {
            return;
        }
        let after = number.checked_add(1).and_then(|next| self.runs.remove(&next));
        let end = after.unwrap_or(number);
        let before = number.checked_sub(1).filter(|before| self.end_of(*before).is_some());
        let run = before.and_then(|before| self.runs.range_mut(..=before).next_back());
        match run {
            Some((_, last)) => *last = end,
            None => {
                self.runs.insert(number, end);
            }
        }
    }

    pub(in crate::core::delegate) fn remove(&mut self, number: u64) {
        let Some((&first, &last)) = self.runs.range(..=number).next_back() else { return };
        if last < number {
            return;
        }
        self.runs.remove(&first);
        if first < number {
            self.runs.insert(first, number - 1);
        }
        if number < last {
            self.runs.insert(number + 1, last);
        }
    }

    pub(in crate::core::delegate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The last number of the run that `number` is in.
    fn end_of(&self, number: u64) -> Option<u64> {
        let (_, last) = self.runs.range(..=number).next_back()?;
        (*last >= number).then_some(*last)
    }
}

/// The number of bindings beyond which pools give nothing: any node on the link can make up
/// routers. What a router may hold cannot be taken from it, so nothing is evicted (SRV-57):
/// neighbors that have many are refused before.
const MAX_BINDINGS: usize = 131_072;

/// The last quarter of the table is for neighbors with less than [`FEW`] places.
const RESERVED_FROM: usize = MAX_BINDINGS / 4 * 3;
const FEW: usize = 32;

/// Whether a table with `binding_count` bindings takes another one of a neighbor that has
/// `place_count` places.
pub(in crate::core::delegate) const fn has_room(binding_count: usize, place_count: usize) -> bool {
    binding_count < RESERVED_FROM || (binding_count < MAX_BINDINGS && place_count < FEW)
}

/// A neighbor in the sense of the shares of a pool (SEC-17), whatever DUIDs it uses.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(in crate::core::delegate) enum Neighbor {
    /// A neighbor with this link-layer address, which asks for itself or as a relay agent.
    LinkLayer(Vec<u8>),
    /// All neighbors whose link-layer address is not known.
    Address(Ipv6Addr),
    /// A router behind a relay agent.
    Behind(Ipv6Addr, Ipv6Addr),
}

impl Neighbor {
    /// The neighbors whose shares a requesting router takes from.
    pub(in crate::core::delegate) fn of(contact: &Contact) -> Vec<Self> {
        let neighbor = match &contact.neighbor_link_layer {
            Some(link_layer) => Self::LinkLayer(link_layer.clone()),
            None => Self::Address(contact.neighbor()),
        };
        let behind = contact.relay.map(|relay| Self::Behind(relay, contact.peer));
        [neighbor].into_iter().chain(behind).collect()
    }
}

/// How many places each neighbor has of each pool.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::core::delegate) struct Shares {
    /// By neighbor and pool. A prefix that has no place any more and may still be held counts for
    /// every pool (none).
    counts: BTreeMap<(Neighbor, Option<Arc<str>>), usize>,
    /// The sum over all neighbors without a known link-layer address.
    unknown: BTreeMap<Option<Arc<str>>, usize>,
}

impl Shares {
    pub(in crate::core::delegate) fn insert(&mut self, binding: &Binding) {
        for key in keys(binding) {
            if matches!(key.0, Neighbor::Address(_)) {
                increase(&mut self.unknown, key.1.clone());
            }
            increase(&mut self.counts, key);
        }
    }

    pub(in crate::core::delegate) fn remove(&mut self, binding: &Binding) {
        for key in keys(binding) {
            if matches!(key.0, Neighbor::Address(_)) {
                decrease(&mut self.unknown, &key.1);
            }
            decrease(&mut self.counts, &key);
        }
    }

    /// How many places a neighbor has of a pool.
    pub(in crate::core::delegate) fn of(&self, neighbor: &Neighbor, pool: &Arc<str>) -> usize {
        let count = |pool: Option<Arc<str>>| {
            self.counts.get(&(neighbor.clone(), pool)).copied().unwrap_or_default()
        };
        count(Some(Arc::clone(pool))).saturating_add(count(None))
    }

    /// How many of the prefixes that count for every pool are those of one binding without a place.
    pub(in crate::core::delegate) fn without_place(
        binding: &Binding,
        neighbor: &Neighbor,
    ) -> usize {
        let its = keys(binding).into_iter().filter(|(of, pool)| of == neighbor && pool.is_none());
        its.count()
    }

    /// How many places a neighbor has of all pools.
    pub(in crate::core::delegate) fn of_all(&self, neighbor: &Neighbor) -> usize {
        let its = self.counts.range((neighbor.clone(), None)..);
        let its = its.take_while(|((other, _), _)| other == neighbor);
        its.fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// How many places of a pool all neighbors without a known link-layer address have.
    pub(in crate::core::delegate) fn of_unknown(&self, pool: &Arc<str>) -> usize {
        let count = |pool: &Option<Arc<str>>| self.unknown.get(pool).copied().unwrap_or_default();
        count(&Some(Arc::clone(pool))).saturating_add(count(&None))
    }
}

fn increase<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K) {
    let count = counts.entry(key).or_default();
    *count = count.saturating_add(1);
}

fn decrease<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The neighbors and pools that a binding counts for.
fn keys(binding: &Binding) -> Vec<(Neighbor, Option<Arc<str>>)> {
    let pools = binding.slots.iter().filter_map(|slot| match slot {
        Slot::Pool { pool, .. } => Some(Some(Arc::clone(pool))),
        Slot::Delegation(_) => None,
    });
    let pools: Vec<Option<Arc<str>>> =
        if binding.slots.is_empty() { vec![None] } else { pools.collect() };
    if pools.is_empty() {
        return Vec::new();
    }
    let neighbors = Neighbor::of(&binding.contact).into_iter();
    let each = |neighbor: Neighbor| pools.iter().map(move |pool| (neighbor.clone(), pool.clone()));
    neighbors.flat_map(each).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As a set of numbers, searched one by one.
        #[test]
        fn runs_are_a_set(changes in proptest::collection::vec((0_u64..20, any::<bool>()), 0..80)) {
            let (mut taken, mut set) = (Taken::default(), BTreeSet::new());
            for (number, inserts) in changes {
                if inserts {
                    taken.insert(number);
                    set.insert(number);
                } else {
                    taken.remove(number);
                    set.remove(&number);
                }
                for count in [1, 7, 20] {
                    for start in 0..count {
                        let around = (start..count).chain(0..start);
                        let free = around.into_iter().find(|number| !set.contains(number));
                        prop_assert_eq!(taken.next_free(start, count), free);
                    }
                }
                prop_assert_eq!(taken.is_empty(), set.is_empty());
            }
        }
    }

    /// SEC-17: a neighbor that fills the table leaves room for those that have little.
    #[test]
    fn the_last_places_are_for_those_with_few() {
        for (bindings, places, expected) in [
            (0, 1_000_000, true),
            (98_303, 98_303, true),
            (98_304, 32, false),
            (98_304, 31, true),
            (131_071, 0, true),
            (131_072, 0, false),
        ] {
            assert_eq!(has_room(bindings, places), expected, "{bindings}, {places}");
        }
    }

    #[test]
    fn the_last_number_has_no_next() {
        let mut taken = Taken::default();
        taken.insert(u64::MAX);
        assert_eq!(taken.next_free(u64::MAX, u64::MAX), Some(0));
        taken.insert(0);
        taken.insert(u64::MAX - 1);
        assert_eq!(taken.next_free(u64::MAX - 1, u64::MAX), Some(1));
    }
}
