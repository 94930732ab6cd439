//! T1 and T2: as the server sends them, or as chosen where it leaves the choice (RFC 9915 §14.2).

use crate::core::lasting;
use crate::time::{Instant, Lifetime, Until};

/// T1 and T2 are never shorter, in seconds, however short the lease and whatever a server says
/// (PDC-47): a server could otherwise have an exchange every second for ever.
const FLOOR: Lifetime = Lifetime::Finite(10);

/// Where T2 would come no later than [`FLOOR`] it comes then, in seconds: after T1, as the server
/// that gave the lease is asked before all others are.
const T2_FLOOR: Lifetime = Lifetime::Finite(16);

/// When to renew and when to rebind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::core::uplink::lease) struct Timers {
    pub(in crate::core::uplink::lease) t1: Until,
    pub(in crate::core::uplink::lease) t2: Until,
}

impl Timers {
    /// The times for leases with these preferred and valid lifetimes; none without leases.
    ///
    /// T1 and T2 that are zero or lie behind the end of the first lease are replaced, so that no
    /// lease of more than [`FLOOR`] ends without an attempt to keep it (PDC-50).
    pub(in crate::core::uplink::lease) fn new(
        now: Instant,
        t1: Lifetime,
        t2: Lifetime,
        leases: &[(Lifetime, Lifetime)],
    ) -> Option<Self> {
        // A prefix on its way out, with preferred 0 beside its replacement, sets no pace.
        let preferred = leases.iter().filter(|(preferred, _)| !preferred.is_zero());
        let shortest_preferred = preferred.clone().map(|(preferred, _)| *preferred).min();
        let shortest_valid = match preferred.map(|(_, valid)| *valid).min() {
            Some(valid) => valid,
            None => leases.iter().map(|(_, valid)| *valid).min()?,
        };
        let base = shortest_preferred.unwrap_or(shortest_valid);
        let chosen = |sent: Lifetime, tenths: u32| {
            let misses = shortest_valid != Lifetime::Infinite && sent >= shortest_valid;
            if sent.is_zero() || misses { share(base, tenths) } else { sent }
        };
        let t2 = chosen(t2, 8);
        let t2 = if t2 > FLOOR { t2 } else { T2_FLOOR };
        let t1 = chosen(t1, 5).max(FLOOR).min(t2);
        let t1 = shortest_preferred.map_or(t1, |preferred| lasting::renew_own_after(preferred, t1));
        Some(Self { t1: Until::after(now, t1), t2: Until::after(now, t2) })
    }

    /// The same T1, or `t2` if that is earlier, and `t2`.
    pub(in crate::core::uplink::lease) fn until(self, t2: Until) -> Self {
        Self { t1: self.t1.min(t2), t2 }
    }

    /// The earlier T1 and the earlier T2.
    pub(in crate::core::uplink::lease) fn earliest(self, other: Self) -> Self {
        Self { t1: self.t1.min(other.t1), t2: self.t2.min(other.t2) }
    }
}

/// The given number of tenths of `lifetime`.
fn share(lifetime: Lifetime, tenths: u32) -> Lifetime {
    match lifetime {
        Lifetime::Finite(seconds) => {
            // This avoids a product that could overflow.
            Lifetime::Finite((seconds / 10).saturating_mul(tenths) + (seconds % 10) * tenths / 10)
        }
        Lifetime::Infinite => Lifetime::Infinite,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: u32 = u32::MAX;

    /// PDC-46, PDC-47, PDC-49, PDC-50
    #[test]
    fn t1_and_t2_are_used_as_sent_or_chosen() {
        type Case<'a> = (&'a str, u32, u32, &'a [(u32, u32)], u32, u32);
        let cases: &[Case<'_>] = &[
            // name, T1, T2, (preferred, valid) of the leases, T1, T2 (INF: never)
            ("as sent", 100, 200, &[(300, 400)], 100, 200),
            ("but for tiny ones", 1, 2, &[(300, 400)], 10, 16),
            ("equal and tiny", 1, 1, &[(300, 400)], 10, 16),
            ("T1 alone is tiny", 1, 200, &[(300, 400)], 10, 200),
            ("just above the floor", 11, 11, &[(300, 400)], 11, 11),
            ("T2 left to us beside a tiny T1", 1, 0, &[(300, 400)], 10, 240),
            ("preferred 0", 1, 1, &[(0, 400)], 10, 16),
            ("infinite lease with tiny times", 1, 1, &[(INF, INF)], 10, 16),
            ("both left to us", 0, 0, &[(60, 120)], 30, 48),
            ("the shortest preferred counts", 0, 0, &[(600, 900), (60, 120)], 30, 48),
            ("one on its way out does not count", 0, 0, &[(600, 900), (0, 30)], 300, 480),
            ("nor for T1 as sent", 100, 200, &[(600, 900), (0, 30)], 100, 200),
            ("valid where preferred is 0", 0, 0, &[(0, 120)], 60, 96),
            ("floor", 0, 0, &[(1, 1)], 10, 16),
            ("a short lease", 0, 0, &[(15, 15)], 10, 12),
            ("T1 left to us", 0, 70, &[(60, 120)], 30, 70),
            ("T1 never behind T2", 0, 20, &[(60, 120)], 20, 20),
            ("T2 left to us before T1", 110, 0, &[(60, 120)], 48, 48),
            ("T2 behind the end", 0, 500, &[(200, 300)], 100, 160),
            ("both behind the end", 300, 500, &[(200, 300)], 100, 160),
            ("all infinite", INF, INF, &[(INF, INF)], INF, INF),
            ("infinite lease, ours to choose", 0, 0, &[(INF, INF)], INF, INF),
            ("infinite T1 of a finite lease", INF, INF, &[(200, 300)], 100, 160),
            ("infinite T1 of a lease valid forever", INF, INF, &[(200, INF)], INF, INF),
            ("no overflow", 0, 0, &[(INF - 1, INF - 1)], 2_147_483_647, 3_435_973_835),
        ];
        let now = Instant::from_secs(7);
        for (name, t1, t2, leases, t1_expected, t2_expected) in cases {
            let wire = Lifetime::from_wire;
            let leases: Vec<_> = leases.iter().map(|(p, v)| (wire(*p), wire(*v))).collect();
            let timers = Timers::new(now, wire(*t1), wire(*t2), &leases).unwrap();
            let expected = Timers {
                t1: Until::after(now, wire(*t1_expected)),
                t2: Until::after(now, wire(*t2_expected)),
            };
            assert_eq!(timers, expected, "{name}");
        }
        assert_eq!(Timers::new(now, Lifetime::ZERO, Lifetime::ZERO, &[]), None);
    }
}
