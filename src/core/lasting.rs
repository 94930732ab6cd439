//! How long preferred lifetimes last (SRV-27): long enough for the border routers of Thread and
//! Matter networks, which ignore an on-link prefix and refuse a delegation with less than 1800 s of
//! preferred lifetime, and change to prefixes of their own each time it falls below
//! (draft-ietf-snac-simple, OpenThread).

use crate::time::Lifetime;

/// The preferred lifetime that is left at least when a renewal comes, in seconds.
pub(super) const LEAST: u32 = 1800;
/// For losses, and for what each hop further down adds, in seconds.
const MARGIN: u32 = 60;
/// The preferred lifetime that routers give where nothing limits it (RFC 9096 §3.4), in seconds.
const GIVEN: u32 = 2700;
/// No renewal comes sooner for the sake of what is left, in seconds.
const SOONEST: u32 = 30;
/// A preferred lifetime that suffices for a whole tree of routers, in seconds.
const AMPLE: u32 = 3600;

/// T1 of a prefix that is given with a preferred lifetime of `preferred` seconds, in seconds: half
/// of it, or as soon as leaves [`LEAST`] and some margin.
pub(super) fn renew_after(preferred: u32) -> u32 {
    let half = preferred / 2;
    match preferred.checked_sub(LEAST + MARGIN) {
        Some(spare) => spare.max(SOONEST).min(half),
        None => half,
    }
}

/// When a lease with a preferred lifetime of `preferred` and this T1 is to be renewed for the sake
/// of the routers below: before T1 where what they are given falls short until then.
///
/// A router below comes every [`renew_after`]`(GIVEN)` seconds. A multiple of that, it comes just
/// after us without coming more often.
pub(super) fn renew_own_after(preferred: Lifetime, t1: Lifetime) -> Lifetime {
    let (Lifetime::Finite(preferred), Lifetime::Finite(seconds)) = (preferred, t1) else {
        return t1;
    };
    if preferred < AMPLE || seconds.saturating_add(GIVEN) <= preferred {
        return t1;
    }
    let period = renew_after(GIVEN);
    let latest = seconds.min(preferred - LEAST - MARGIN);
    Lifetime::Finite((latest - latest % period).max(period))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SRV-27 (amended)
    #[test]
    fn half_an_hour_is_left_when_t1_comes() {
        let cases = [
            // preferred lifetime, T1
            (0, 0),
            (600, 300),
            (1859, 929),
            (1860, 30),
            (1900, 40),
            (2700, 840),
            (3600, 1740),
            (3720, 1860),
            (7200, 3600),
            (u32::MAX - 1, 2_147_483_647),
        ];
        for (preferred, t1) in cases {
            assert_eq!(renew_after(preferred), t1, "{preferred}");
        }
    }

    /// SRV-27 (amended): no router below us falls under half an hour before we renew.
    #[test]
    fn our_own_lease_is_renewed_in_time_for_those_below() {
        const INF: u32 = u32::MAX;
        let cases = [
            // preferred lifetime, T1 as the server says, T1
            ("less than an hour", 3599, 1799, 1799),
            ("an hour", 3600, 1800, 1680),
            ("an hour, renewed often", 3600, 900, 900),
            ("an hour, renewed late", 3600, 3599, 1680),
            ("an hour and a third", 4800, 2400, 1680),
            ("nobody is given less", 5400, 2700, 2700),
            ("a day", 86_400, 43_200, 43_200),
            ("renewed late", 86_400, 86_000, 84_000),
            ("infinite T1", 3600, INF, INF),
            ("infinite lifetime", INF, 1800, 1800),
        ];
        for (name, preferred, t1, expected) in cases {
            let wire = Lifetime::from_wire;
            assert_eq!(renew_own_after(wire(preferred), wire(t1)), wire(expected), "{name}");
        }
    }
}
