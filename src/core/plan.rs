//! The plan: delegated prefixes × configuration → subnets. A pure function (CRV-02).

use std::collections::BTreeMap;
use std::fmt;

use ipnet::Ipv6Net;

use crate::config::{Config, Downlink, Place, PlaceNumber};
use crate::wire::dhcpv6_option::Iaid;

#[cfg(test)]
mod tests;

/// Length of an automatic place.
const AUTOMATIC_LENGTH: u8 = 64;
/// How many places are tried for an automatic one.
const MAX_PROBES: u64 = 65_536;

/// A delegated prefix as a whole, to be carved.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Whole {
    /// The uplink that it came through.
    pub uplink: String,
    /// The IA_PD that it came in.
    pub iaid: Iaid,
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The part that the delegating router keeps (RFC 6603).
    pub exclude: Option<Ipv6Net>,
    /// Prefixes in use elsewhere, which no subnet may overlap.
    pub occupied: Vec<Ipv6Net>,
}

/// Who gets what of one delegated prefix.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Subnets by downlink.
    pub subnets: BTreeMap<String, Ipv6Net>,
    /// What subordinate routers get, by delegation.
    pub delegations: BTreeMap<String, Ipv6Net>,
    /// The blocks that pools give from, by pool.
    pub pools: BTreeMap<String, Ipv6Net>,
    /// What could not be given, by name, with the reason.
    pub without: BTreeMap<String, Without>,
}

impl fmt::Display for Without {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLong => "the delegated prefix is smaller than the place",
            Self::Taken => "its place, or where that folds to, is taken",
            Self::Full => "there is no room left",
            Self::Excluded => "its place is what the delegating router keeps for the uplink",
        })
    }
}

/// Why a downlink goes without a subnet of a delegated prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Without {
    /// The delegated prefix is smaller than the place.
    TooLong,
    /// Its place does not exist in this prefix, and where it folds to is taken.
    Taken,
    /// There is no room left.
    Full,
    /// Its place lies in what the delegating router keeps.
    Excluded,
}

/// Carves `whole` for every downlink that takes from it: first the places that it contains,
/// then those that have to be folded, then the automatic ones.
pub fn plan(config: &Config, whole: &Whole) -> Plan {
    let mut carving = Carving { whole, plan: Plan::default() };
    let mut downlinks: Vec<(&String, &Downlink)> =
        config.downlinks.iter().filter(|(_, downlink)| takes_from(downlink, whole)).collect();
    downlinks.sort_by_key(|(name, downlink)| (std::cmp::Reverse(downlink.priority), *name));
    let fixed = || downlinks.iter().filter_map(|(name, link)| Some((*name, link.subnet?)));
    let fits = |place: &Place| contains(whole.prefix, *place);
    for (name, place) in fixed().filter(|(_, place)| fits(place)) {
        carving.give(name, subnet(whole.prefix, place));
    }
    for (name, place) in fixed().filter(|(_, place)| !fits(place)) {
        carving.give(name, subnet(whole.prefix, place));
    }
    for (name, _) in downlinks.iter().filter(|(_, downlink)| downlink.subnet.is_none()) {
        carving.give_any(name);
    }
    carving.plan
}

/// Whether `whole` feeds this downlink.
pub fn takes_from(downlink: &Downlink, whole: &Whole) -> bool {
    downlink.from.as_ref().is_none_or(|from| {
        from.uplink == whole.uplink && from.iaid.is_none_or(|iaid| iaid == whole.iaid)
    })
}

/// How many places of `length` there are in `prefix`; none where even one is too large.
fn count(prefix: Ipv6Net, length: u8) -> Option<u64> {
    let bits = length.checked_sub(prefix.prefix_len())?;
    // 64 bits of places only in a prefix of length 0, which nobody delegates.
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
    plan: Plan,
}

impl Carving<'_> {
    fn give(&mut self, name: &str, subnet: Option<Ipv6Net>) {
        let why = match subnet {
            None => Without::TooLong,
            Some(subnet) => match self.obstacle(subnet) {
                None => {
                    self.plan.subnets.insert(name.to_owned(), subnet);
                    return;
                }
                Some(why) => why,
            },
        };
        self.plan.without.insert(name.to_owned(), why);
    }

    /// The first free place from one that its name alone decides, so that what comes and goes
    /// beside it moves nothing but what collides.
    fn give_any(&mut self, name: &str) {
        let prefix = self.whole.prefix;
        let found = count(prefix, AUTOMATIC_LENGTH).map(|count| {
            let first = hash(name) % count;
            (0..count.min(MAX_PROBES))
                .map(|step| (u128::from(first) + u128::from(step)) % u128::from(count))
                .filter_map(|number| at(prefix, AUTOMATIC_LENGTH, u64::try_from(number).ok()?))
                .find(|subnet| self.obstacle(*subnet).is_none())
        });
        let why = match found {
            Some(Some(subnet)) => {
                self.plan.subnets.insert(name.to_owned(), subnet);
                return;
            }
            Some(None) => Without::Full,
            None => Without::TooLong,
        };
        self.plan.without.insert(name.to_owned(), why);
    }

    /// Why `subnet` cannot be given.
    fn obstacle(&self, subnet: Ipv6Net) -> Option<Without> {
        let overlaps = |other: &Ipv6Net| other.contains(&subnet) || subnet.contains(other);
        if self.whole.exclude.iter().any(overlaps) {
            Some(Without::Excluded)
        } else if self.plan.subnets.values().chain(&self.whole.occupied).any(overlaps) {
            Some(Without::Taken)
        } else {
            None
        }
    }
}

/// FNV-1a: the same in every version of this program, which the standard library's is not.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
    })
}
