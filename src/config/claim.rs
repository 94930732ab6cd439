//! Claims: the downlinks, delegations and pools that take a part of each delegated prefix.

use std::fmt;

use super::{Config, Place, Source};

/// Length of a downlink's automatic place: hosts form addresses in a /64 alone (RFC 4862 §5.5.3).
const SUBNET_LENGTH: u8 = 64;

/// The holder of a claim.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Claimant {
    /// A link of this router.
    Downlink,
    /// A known subordinate router.
    Delegation,
    /// Requesting routers that no delegation names.
    Pool,
}

/// A claim on a part of each prefix that `from` names.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Claim<'a> {
    /// The claimant.
    pub claimant: Claimant,
    /// Its name, which no other claim has.
    pub name: &'a str,
    /// Where it lies; none for an automatic place.
    pub place: Option<Place>,
    /// Length of an automatic place.
    pub length: u8,
    /// Only from this source; none for all.
    pub from: Option<&'a Source>,
    /// Claims with a higher one are served first; among equals the name decides.
    pub priority: i32,
}

impl Claim<'_> {
    /// The key of its place in the file.
    pub(super) const fn key(&self) -> &'static str {
        match self.claimant {
            Claimant::Downlink => "subnet",
            Claimant::Delegation | Claimant::Pool => "prefix",
        }
    }
}

impl Config {
    /// All claims: of downlinks, of delegations, of pools, each by name.
    pub fn claims(&self) -> impl Iterator<Item = Claim<'_>> {
        let downlinks = self.downlinks.iter().map(|(name, downlink)| Claim {
            claimant: Claimant::Downlink,
            name,
            place: downlink.subnet,
            length: SUBNET_LENGTH,
            from: downlink.from.as_ref(),
            priority: downlink.priority,
        });
        let delegations = self.delegations.iter().map(|(name, delegation)| Claim {
            claimant: Claimant::Delegation,
            name,
            place: delegation.place,
            length: delegation.length,
            from: delegation.from.as_ref(),
            priority: delegation.priority,
        });
        let pools = self.pools.iter().map(|(name, pool)| Claim {
            claimant: Claimant::Pool,
            name,
            place: pool.place,
            length: pool.size,
            from: pool.from.as_ref(),
            priority: pool.priority,
        });
        downlinks.chain(delegations).chain(pools)
    }
}

impl fmt::Display for Claimant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Downlink => "downlink",
            Self::Delegation => "delegation",
            Self::Pool => "pool",
        })
    }
}
