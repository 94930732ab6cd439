//! Which entry leaves a table that is full (RA-RX-69).
//!
//! Any node on the link can fill a table in any router's name. So the newest always gets in, or the
//! provider's new prefix would be shut out; and half of the table is for what has been there
//! longest, or a flood would push out what is in use.
//!
//! | table | its bound | what matters least |
//! | --- | --- | --- |
//! | routers | 16 | who advertises nothing that still holds; then who was heard longest ago, but neither the router of the lease nor the default router in use |
//! | prefixes of a router | 64 | what has run out or was withdrawn, then what was heard longest ago |
//! | routes, resolvers, search domains, NAT64 prefixes of a router | 64 each | what was heard longest ago |
//! | suspected prefixes | those that are kept | what is no longer kept |
//! | addresses of ours | 16 | what the router of the lease does not advertise; what is deprecated (`desired::uplink`) |

use crate::time::{Instant, Until};

/// Entries of one kind kept for one router.
pub(super) const MAX_ENTRIES: usize = 64;

/// The properties of an entry that decide whether it leaves. Advertisements are counted, as many
/// can come in one instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Standing {
    /// It is still valid.
    pub(super) holds: bool,
    /// The advertisement that it appeared in.
    pub(super) since: u64,
    /// The last advertisement that it was in.
    pub(super) heard: u64,
}

/// The entry of a full table that leaves it in favour of one that advertisement `current` has; none
/// when all that could leave came with that advertisement as well.
pub(super) fn least_useful<K>(
    entries: impl Iterator<Item = (K, Standing)>,
    current: u64,
) -> Option<K> {
    let mut entries: Vec<(K, Standing)> = entries.collect();
    entries.sort_by_key(|(_, standing)| (standing.holds, standing.since));
    let over = entries.iter().filter(|(_, standing)| !standing.holds).count();
    let leaving = if over > 0 {
        entries.truncate(over);
        entries
    } else {
        let half = entries.len() / 2;
        entries.split_off(half)
    };
    let least = leaving.into_iter().min_by_key(|(_, standing)| standing.heard)?;
    (over > 0 || least.1.heard < current).then_some(least.0)
}

/// An entry of a list, with its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Entry<T> {
    pub(super) value: T,
    pub(super) until: Until,
    since: u64,
    heard: u64,
}

/// Keeps `value` until `until`, in the order in which entries were first heard; a lifetime of zero
/// drops it.
pub(super) fn keep<T: Clone + PartialEq>(
    list: &mut Vec<Entry<T>>,
    value: &T,
    until: Until,
    now: Instant,
    current: u64,
) {
    list.retain(|entry| !entry.until.is_over(now));
    if let Some(known) = list.iter_mut().find(|entry| entry.value == *value) {
        known.until = until;
        known.heard = current;
    } else if !until.is_over(now) {
        if list.len() >= MAX_ENTRIES {
            let standing =
                |entry: &Entry<T>| Standing { holds: true, since: entry.since, heard: entry.heard };
            let entries = list.iter().map(standing).enumerate();
            let Some(leaving) = least_useful(entries, current) else { return };
            list.remove(leaving);
        }
        list.push(Entry { value: value.clone(), until, since: current, heard: current });
    }
    list.retain(|entry| !entry.until.is_over(now));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(holds: bool, since: u64, heard: u64) -> Standing {
        Standing { holds, since, heard }
    }

    #[test]
    fn entries_that_are_over_leave_first_then_those_heard_longest_ago() {
        let over = [standing(true, 1, 1), standing(false, 2, 7), standing(false, 3, 6)];
        assert_eq!(least_useful(over.into_iter().enumerate(), 8), Some(2));
        // The half that has been there longest stays, however long ago it was last heard.
        let live = [(1, 1), (2, 2), (3, 7), (4, 6)].map(|(since, at)| standing(true, since, at));
        assert_eq!(least_useful(live.into_iter().enumerate(), 8), Some(3));
        let now = [(1, 1), (8, 8)].map(|(since, at)| standing(true, since, at));
        assert_eq!(least_useful(now.into_iter().enumerate(), 8), None);
    }

    #[test]
    fn a_flood_neither_shuts_out_the_newest_nor_pushes_out_the_first() {
        let now = Instant::from_secs(1000);
        let mut list = Vec::new();
        for number in 0..1000_u64 {
            keep(&mut list, &number, Until::Never, now, number);
            assert_eq!(list.last().map(|entry| entry.value), Some(number));
        }
        assert_eq!(list.len(), MAX_ENTRIES);
        assert!(list.iter().take(32).map(|entry| entry.value).eq(0..32));
    }
}
