//! The invariants of the indexes that are kept beside the bindings, for tests.

use super::*;

impl Bindings {
    /// Asserts that each index equals what the bindings give.
    pub(in crate::core::delegate) fn check(&self, now: Instant) {
        let Self { by_key, wake_ups, slots, holders, waiting, grace, shares, .. } = self;
        let derived =
            by_key.iter().filter_map(|(key, one)| Some((one.wakes_at(*grace)?, key.clone())));
        assert_eq!(*wake_ups, derived.collect(), "deadlines");
        let taken = by_key.iter().flat_map(|(key, one)| one.slots.iter().map(move |s| (s, key)));
        let taken: Vec<_> = taken.collect();
        assert_eq!(taken.len(), slots.len(), "slots");
        assert!(taken.iter().all(|(slot, key)| slots.get(*slot) == Some(*key)), "slots");
        let mut of_pools: BTreeMap<Arc<str>, Taken> = BTreeMap::new();
        for slot in slots.keys() {
            if let Slot::Pool { pool, number } = slot {
                of_pools.entry(Arc::clone(pool)).or_default().insert(*number);
            }
        }
        assert_eq!(self.taken, of_pools, "numbers of pools");
        let mut counted = Shares::default();
        by_key.values().for_each(|binding| counted.insert(binding));
        assert_eq!(*shares, counted, "shares");
        let (mut held, mut waited) = (Holders::default(), Holders::default());
        for (key, binding) in by_key {
            binding.promised.keys().for_each(|prefix| held.insert(*prefix, key));
            let Available { grants, blocked } = self.available(now, key, &binding.slots);
            assert_eq!(grants, binding.current, "what {key:?} is granted");
            assert_eq!(blocked, binding.blocked);
            blocked.iter().for_each(|prefix| waited.insert(*prefix, key));
            assert!(!binding.promised.is_empty(), "{key:?} would stay for ever");
        }
        assert_eq!(*holders, held, "holders");
        assert_eq!(*waiting, waited, "waiting");
    }

    /// Whether nothing has a deadline.
    pub(in crate::core::delegate) fn is_idle(&self) -> bool {
        self.wake_ups.is_empty()
    }
}
