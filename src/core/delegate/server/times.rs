//! When requesting routers come again (SRV-27).

use std::time::Duration;

use crate::core::lasting;
use crate::time::{Instant, Lifetime};

/// The least that children renew behind us, and within what they are spread.
const BEHIND: (Duration, u64) = (Duration::from_secs(1), 2000);
/// The least time, in seconds, after which subordinate routers come again where our own T1 is next
/// to nothing.
const SOONEST: u32 = 30;
/// A router that had a prefix withdrawn which others may wait for shows so soon that it has heard, in
/// seconds.
const CONFIRM: u32 = 10;

/// What the lifetimes given in one answer say about T1 and T2.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pace {
    /// The shortest preferred lifetime; a prefix on its way out sets no pace.
    preferred: Option<u32>,
    /// The shortest valid lifetime, where nothing is preferred.
    valid: Option<u32>,
    /// Our own lease limits what is given.
    is_short: bool,
    /// It has to be seen soon whether the answer was heard.
    pub(super) confirms: bool,
}

impl Pace {
    /// Takes in the lifetimes of a prefix, and whether our own lease limits them.
    pub(super) fn note(&mut self, preferred: Lifetime, valid: Lifetime, is_short: bool) {
        let (least, lifetime) = if preferred.is_zero() {
            (&mut self.valid, valid)
        } else {
            self.is_short |= is_short;
            (&mut self.preferred, preferred)
        };
        if let Lifetime::Finite(seconds) = lifetime {
            *least = Some(least.map_or(seconds, |least| least.min(seconds)));
        }
    }

    /// T1 and T2 in seconds; none where nothing is given. Where our own lease limits what is given,
    /// children come just after it is to be renewed, and get all of it: otherwise lifetimes would
    /// halve at each hop. That may be a little later than at half time, never close to T2. Else they
    /// come while enough of the preferred lifetime is left ([`lasting::renew_after`]). `chance` is
    /// the same for each router every time, or some hours would have a renewal more.
    pub(super) fn times(
        &self,
        now: Instant,
        renewed_at: Option<Instant>,
        chance: u64,
    ) -> Option<(u32, u32)> {
        let shortest = self.preferred.or(self.valid)?;
        let half = shortest / 2;
        let alone = if self.preferred.is_some() { lasting::renew_after(shortest) } else { half };
        let t2 = shortest / 5 * 4 + shortest % 5 * 4 / 5;
        let own = renewed_at.filter(|at| self.is_short && *at > now).map(|at| {
            let spread = Duration::from_millis(chance % BEHIND.1);
            let own = at.since(now).saturating_add(BEHIND.0).saturating_add(spread);
            u32::try_from(own.as_secs()).unwrap_or(u32::MAX)
        });
        let latest = shortest / 5 * 3;
        let mut t1 =
            own.filter(|own| *own <= latest).map_or(alone, |own| own.max(SOONEST.min(half)));
        if self.confirms {
            t1 = t1.min(CONFIRM);
        }
        Some((t1, t2.max(t1)))
    }
}
