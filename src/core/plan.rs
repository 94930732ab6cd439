//! The plan: delegated prefixes × configuration → subnets, delegations, pools. A pure function
//! (CRV-02).

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;

use ipnet::Ipv6Net;

use crate::config::{Claim, Claimant, Config, Layout, Place, PlaceNumber, Source};
use crate::net::{overlap, stable_hash};
use crate::wire::dhcpv6_option::Iaid;

mod taken;
#[cfg(test)]
mod tests;

use taken::Taken;

/// A delegated prefix as a whole, to be carved.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Whole {
    /// The uplink that it came through, or the name of a static prefix.
    pub uplink: String,
    /// The IA_PD that it came in.
    pub iaid: Iaid,
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The part that the delegating router keeps (RFC 6603).
    pub exclude: Option<Ipv6Net>,
}

/// The parts of one delegated prefix with their holders.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Subnets by downlink.
    pub subnets: BTreeMap<String, Ipv6Net>,
    /// What subordinate routers get, by delegation.
    pub delegations: BTreeMap<String, Ipv6Net>,
    /// The blocks that pools give from, by pool.
    pub pools: BTreeMap<String, Ipv6Net>,
    /// The claims without a part, by name, with the reason.
    pub without: BTreeMap<String, Unassigned>,
}

impl fmt::Display for Unassigned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the delegated prefix is smaller than the place",
            Self::Taken => "its place, or where that folds to, is taken",
            Self::Full => "there is no room left",
            Self::Excluded => "its place is what the delegating router keeps for the uplink",
        })
    }
}

/// Why a claim goes without a part of a delegated prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unassigned {
    /// The delegated prefix is longer than the part would be.
    TooLong,
    /// Its place does not exist in this prefix, and the place that it folds to is taken.
    Taken,
    /// There is no room left.
    Full,
    /// Its place lies in the part that the delegating router keeps.
    Excluded,
}

impl Plan {
    /// The part of `claim`, if it has one.
    pub fn part(&self, claim: &Claim<'_>) -> Option<Ipv6Net> {
        let parts = match claim.claimant {
            Claimant::Downlink => &self.subnets,
            Claimant::Delegation => &self.delegations,
            Claimant::Pool => &self.pools,
        };
        parts.get(claim.name).copied()
    }
}

/// The order in which claims are served. Within each kind, by priority and then by name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    /// Its place exists.
    Fits,
    /// Its place has to be folded.
    Folds,
    /// It has none.
    Automatic,
    /// A delegation or pool that would take the whole prefix: on a prefix that is too small for
    /// both, this router's own link comes first (CRV-10).
    TakesAll,
}

impl Turn {
    fn of(claim: &Claim<'_>, prefix: Ipv6Net) -> Self {
        let length = claim.place.map_or(claim.length, |place| place.length);
        if claim.claimant != Claimant::Downlink && length == prefix.prefix_len() {
            return Self::TakesAll;
        }
        match claim.place {
            Some(place) if contains(prefix, place) => Self::Fits,
            Some(_) => Self::Folds,
            None => Self::Automatic,
        }
    }
}

/// Carves `whole` for all claims that it feeds: first the places that it contains, then those that
/// have to be folded, then the automatic ones, which descend the smallest first.
pub fn plan(config: &Config, whole: &Whole) -> Plan {
    let mut claims: Vec<(Turn, Claim<'_>)> = config
        .claims()
        .filter(|claim| takes_from(claim.from, whole))
        .map(|claim| (Turn::of(&claim, whole.prefix), claim))
        .collect();
    claims.sort_by_key(|(turn, claim)| {
        let descends = config.layout == Layout::Descending && *turn == Turn::Automatic;
        let smallest = descends.then_some(Reverse(claim.length));
        let after_links = descends && claim.claimant != Claimant::Downlink;
        (*turn, smallest, after_links, Reverse(claim.priority), claim.name)
    });
    let mut carving = Carving::new(config, whole);
    for (_, claim) in &claims {
        match claim.place {
            Some(place) => carving.give(claim, subnet(whole.prefix, place)),
            None => carving.give_any(claim),
        }
    }
    carving.plan
}

/// Whether a claim with `from` takes a part of `whole`.
pub fn takes_from(from: Option<&Source>, whole: &Whole) -> bool {
    from.is_none_or(|from| {
        from.uplink == whole.uplink && from.iaid.is_none_or(|iaid| iaid == whole.iaid)
    })
}

/// How many places of `length` there are in `prefix`; none where even one is too large.
fn count(prefix: Ipv6Net, length: u8) -> Option<u64> {
    let bits = length.checked_sub(prefix.prefix_len())?;
    // 64 bits of places only in a prefix of length 0, which no provider delegates.
    Some(1_u64.checked_shl(u32::from(bits)).unwrap_or(u64::MAX))
}

/// Whether `place` exists in `prefix`; otherwise it is folded.
pub fn contains(prefix: Ipv6Net, place: Place) -> bool {
    count(prefix, place.length).is_some_and(|count| match place.number {
        PlaceNumber::Low(number) => number < count,
        PlaceNumber::High(number) => number <= count,
    })
}

/// The subnet at `place`, folded where the prefix does not contain it.
fn subnet(prefix: Ipv6Net, place: Place) -> Option<Ipv6Net> {
    let count = count(prefix, place.length)?;
    let number = match place.number {
        PlaceNumber::Low(number) => number % count,
        PlaceNumber::High(number) => count - 1 - (number.saturating_sub(1) % count),
    };
    at(prefix, place.length, number)
}

/// The place with this number from the low end.
fn at(prefix: Ipv6Net, length: u8, number: u64) -> Option<Ipv6Net> {
    let shift = 128_u32.checked_sub(u32::from(length))?;
    let offset = u128::from(number).checked_shl(shift).unwrap_or(0);
    Ipv6Net::new((u128::from(prefix.network()) | offset).into(), length).ok()
}

struct Carving<'a> {
    whole: &'a Whole,
    layout: Layout,
    plan: Plan,
    taken: Taken,
    /// The longest automatic place for which there was no room: nothing that is larger has any.
    full: u8,
    /// The last /64 that the next place from the high end may have: the next claim is as large or
    /// larger, so nothing above is free for it. None where no place is left.
    top: Option<u64>,
}

impl<'a> Carving<'a> {
    fn new(config: &Config, whole: &'a Whole) -> Self {
        let mut taken = Taken::default();
        if let Some(kept) = whole.exclude {
            taken.take(kept);
        }
        let top = Some(taken::top(whole.prefix));
        Self { whole, layout: config.layout, plan: Plan::default(), taken, full: 0, top }
    }

    fn give(&mut self, claim: &Claim<'_>, part: Option<Ipv6Net>) {
        match part {
            None => self.refuse(claim, Unassigned::TooLong),
            Some(part) if self.whole.exclude.is_some_and(|kept| overlap(kept, part)) => {
                self.refuse(claim, Unassigned::Excluded);
            }
            Some(part) if self.taken.overlaps(part) => self.refuse(claim, Unassigned::Taken),
            Some(part) => self.grant(claim, part),
        }
    }

    /// Gives a claim the place that its layout finds.
    fn give_any(&mut self, claim: &Claim<'_>) {
        let Some(count) = count(self.whole.prefix, claim.length) else {
            return self.refuse(claim, Unassigned::TooLong);
        };
        let found = if claim.length <= self.full {
            None
        } else {
            match self.layout {
                Layout::Scattered => self.scattered(claim, count),
                Layout::Descending => self.descending(claim),
            }
        };
        match found {
            Some(part) => self.grant(claim, part),
            None => {
                self.full = self.full.max(claim.length);
                self.refuse(claim, Unassigned::Full);
            }
        }
    }

    /// The first free place from one that the name alone decides, so that other claims move this
    /// one only where they collide with it.
    fn scattered(&self, claim: &Claim<'_>, count: u64) -> Option<Ipv6Net> {
        let prefix = self.whole.prefix;
        let first = at(prefix, claim.length, stable_hash(claim.name.as_bytes()) % count)?;
        self.taken
            .lowest(prefix, claim.length, first)
            .or_else(|| self.taken.lowest(prefix, claim.length, prefix))
    }

    fn descending(&mut self, claim: &Claim<'_>) -> Option<Ipv6Net> {
        let found = self.taken.highest(self.whole.prefix, claim.length, self.top?)?;
        self.top = taken::below(found);
        Some(found)
    }

    fn grant(&mut self, claim: &Claim<'_>, part: Ipv6Net) {
        self.taken.take(part);
        let parts = match claim.claimant {
            Claimant::Downlink => &mut self.plan.subnets,
            Claimant::Delegation => &mut self.plan.delegations,
            Claimant::Pool => &mut self.plan.pools,
        };
        parts.insert(claim.name.to_owned(), part);
    }

    fn refuse(&mut self, claim: &Claim<'_>, why: Unassigned) {
        self.plan.without.insert(claim.name.to_owned(), why);
    }
}
