//! The taken parts of a prefix, in units of a /64: no smaller one is ever given.

use std::collections::BTreeMap;

use ipnet::Ipv6Net;

/// The numbers of the first and the last /64 of a prefix; of a longer prefix, those of the /64
/// around it.
fn ends(prefix: Ipv6Net) -> (u64, u64) {
    let number = |address| u64::try_from(u128::from(address) >> 64).unwrap_or(u64::MAX);
    (number(prefix.network()), number(prefix.broadcast()))
}

/// The number of the last /64 in the first prefix of `length`, at most 64: its one bits are those
/// that vary within a prefix.
fn mask(length: u8) -> u64 {
    u64::MAX.checked_shr(u32::from(length)).unwrap_or(0)
}

fn prefix(first: u64, length: u8) -> Option<Ipv6Net> {
    Ipv6Net::new((u128::from(first) << 64).into(), length).ok()
}

/// Ranges of /64, from their first to their last. They neither overlap nor touch, so that a search
/// steps over each range at once, however many claims share it.
#[derive(Default)]
pub(super) struct Taken(BTreeMap<u64, u64>);

impl Taken {
    pub(super) fn take(&mut self, prefix: Ipv6Net) {
        let (mut first, mut last) = ends(prefix);
        while let Some((&begin, &end)) = self.0.range(..=last.saturating_add(1)).next_back()
            && end.saturating_add(1) >= first
        {
            self.0.remove(&begin);
            (first, last) = (first.min(begin), last.max(end));
        }
        self.0.insert(first, last);
    }

    pub(super) fn overlaps(&self, prefix: Ipv6Net) -> bool {
        let (first, last) = ends(prefix);
        self.obstacle(first, last).is_some()
    }

    /// The lowest free place of `length` in `prefix` that lies at `start` or above.
    pub(super) fn lowest(&self, whole: Ipv6Net, length: u8, start: Ipv6Net) -> Option<Ipv6Net> {
        let (mask, bound) = (mask(length), ends(whole).1);
        let mut first = ends(start).0;
        while first <= bound {
            match self.obstacle(first, first | mask) {
                None => return prefix(first, length),
                Some((_, end)) => first = (end | mask).checked_add(1)?,
            }
        }
        None
    }

    /// The highest free place of `length` in `prefix` that ends with `top` or below.
    pub(super) fn highest(&self, whole: Ipv6Net, length: u8, mut top: u64) -> Option<Ipv6Net> {
        let (mask, bound) = (mask(length), ends(whole).0);
        loop {
            let last = if top & mask == mask { top } else { (top & !mask).checked_sub(1)? };
            let first = last & !mask;
            if first < bound {
                return None;
            }
            match self.obstacle(first, last) {
                None => return prefix(first, length),
                Some((begin, _)) => top = begin.checked_sub(1)?,
            }
        }
    }

    /// The highest taken range between two /64.
    fn obstacle(&self, first: u64, last: u64) -> Option<(u64, u64)> {
        let (begin, end) = self.0.range(..=last).next_back()?;
        (*end >= first).then_some((*begin, *end))
    }
}

/// The last /64 of a prefix.
pub(super) fn top(prefix: Ipv6Net) -> u64 {
    ends(prefix).1
}

/// The last /64 below a prefix.
pub(super) fn below(prefix: Ipv6Net) -> Option<u64> {
    ends(prefix).0.checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Or a search among thousands would stop at each of them.
    #[test]
    fn a_crowd_is_one_range() {
        let mut taken = Taken::default();
        for number in [7, 0, 2, 1, 6, 4, 3, 5, 0x20] {
            taken.take(prefix(number, 64).unwrap());
        }
        assert_eq!(taken.0, BTreeMap::from([(0, 7), (0x20, 0x20)]));
        taken.take("0:0:0:10::/59".parse().unwrap());
        taken.take("0:0:0:22::1/128".parse().unwrap());
        assert_eq!(taken.0, BTreeMap::from([(0, 0x20), (0x22, 0x22)]));
        taken.take("::/0".parse().unwrap());
        taken.take("ffff::/16".parse().unwrap());
        assert_eq!(taken.0, BTreeMap::from([(0, u64::MAX)]));
    }

    #[test]
    fn the_ends_of_all_addresses_are_no_trap() {
        let mut taken = Taken::default();
        let all = "::/0".parse().unwrap();
        let (first, last) = ("::/48".parse().unwrap(), "ffff:ffff:ffff::/48".parse().unwrap());
        assert_eq!(taken.lowest(all, 48, last), Some(last));
        assert_eq!(taken.highest(all, 48, top(first)), Some(first));
        taken.take(first);
        taken.take(last);
        assert_eq!(taken.lowest(all, 48, last), None);
        assert_eq!(taken.highest(all, 48, top(first)), None);
        assert_eq!(below(first), None);
    }
}
