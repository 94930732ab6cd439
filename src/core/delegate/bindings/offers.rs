//! The offers: for each delegation and pool its part of every delegated prefix.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use crate::config::Limits;
use crate::time::{Instant, Lifetime, Until, whole_seconds};

/// The part of one delegated prefix that falls to one delegation or pool.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offer {
    /// The prefix; of a pool the whole block.
    pub prefix: Ipv6Net,
    /// Our own is preferred until then.
    pub preferred_until: Until,
    /// Our own is valid until then.
    pub valid_until: Until,
}

/// All offers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Offers {
    /// By delegation.
    pub delegations: BTreeMap<String, Vec<Offer>>,
    /// By pool.
    pub pools: BTreeMap<String, Vec<Offer>>,
    /// The prefixes delegated to us, whole.
    pub held: Vec<Ipv6Net>,
    /// All prefixes that are delegated to us are known; before that no answer says that one is not
    /// ours.
    pub known: bool,
    /// When our own lease is to be renewed.
    pub renewed_at: Option<Instant>,
}

/// The place that a binding has in every plan: it keeps the same bits through every renumbering.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Slot {
    /// The place of a configured delegation.
    Delegation(Arc<str>),
    /// One of a pool's places.
    Pool {
        /// Its number, counted from 0 in units of the prefix that each requesting router gets.
        number: u64,
        /// The pool.
        pool: Arc<str>,
    },
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delegation(name) => f.write_str(name),
            Self::Pool { pool, number } => write!(f, "{pool} {number:#x}"),
        }
    }
}

impl Offer {
    /// The lifetimes to give at `now`: no longer than ours, nor than `limits` (CRV-07, SRV-37).
    pub(in crate::core::delegate) fn lifetimes(
        &self,
        now: Instant,
        limits: Limits,
    ) -> (Lifetime, Lifetime) {
        let valid =
            self.valid_until.remaining(now).min(Lifetime::Finite(whole_seconds(limits.valid)));
        let preferred = self
            .preferred_until
            .remaining(now)
            .min(Lifetime::Finite(whole_seconds(limits.preferred)));
        (preferred.min(valid), valid)
    }

    /// Whether our own lifetime is what limits a preferred lifetime given at `now`.
    pub(in crate::core::delegate) fn is_short(&self, now: Instant, limits: Limits) -> bool {
        self.preferred_until.remaining(now) < Lifetime::Finite(whole_seconds(limits.preferred))
    }

    /// The place `number` of the pool whose block this is.
    pub(in crate::core::delegate) fn part(&self, length: u8, number: u64) -> Option<Self> {
        let bits = length.checked_sub(self.prefix.prefix_len())?;
        let exists = u128::from(number) < 1_u128.checked_shl(bits.into()).unwrap_or(u128::MAX);
        let shift = 128_u32.checked_sub(length.into())?;
        let offset = u128::from(number).checked_shl(shift).filter(|_| exists)?;
        let network = u128::from(self.prefix.network()) | offset;
        let prefix = Ipv6Net::new(network.into(), length).ok()?;
        Some(Self { prefix, ..*self })
    }

    /// The number that `prefix` has in the pool whose block this is, or had when it was part of
    /// another delegated prefix.
    pub(in crate::core::delegate) fn number_of(&self, prefix: Ipv6Net) -> Option<u64> {
        let shift = 128_u32.checked_sub(prefix.prefix_len().into())?;
        let bits = prefix.prefix_len().checked_sub(self.prefix.prefix_len())?;
        let mask = 1_u128.checked_shl(bits.into())?.wrapping_sub(1);
        let number = u128::from(prefix.network()).checked_shr(shift).unwrap_or(0) & mask;
        u64::try_from(number).ok()
    }
}

impl Offers {
    /// Whether `prefix` belongs to what is delegated to us.
    pub(in crate::core::delegate) fn is_ours(&self, prefix: Ipv6Net) -> bool {
        self.held.iter().any(|held| held.contains(&prefix))
    }
}
