//! Lifetimes for a program that promises them again and again without knowing how long we have a
//! prefix.

use std::time::Duration;

use crate::time::{Instant, Lifetime, Until, whole_seconds};

/// Our own lease is renewed within this time after it is to be, in seconds.
const RENEWED_WITHIN: u32 = 60;

/// The lifetime that each message may promise from now on, of what we have until `until`: no longer
/// than `limit`, and true until our lease was renewed (or until [`true_until`]). `before` is what
/// has been promised until now: it stays while it is true and not far from what could be, as each
/// other value costs the bindings of the program.
pub(super) fn lifetime(
    now: Instant,
    until: Until,
    limit: Duration,
    renewed_at: Option<Instant>,
    before: Option<Lifetime>,
) -> Lifetime {
    let limit = whole_seconds(limit);
    let remaining = until.remaining(now);
    let could_be = match remaining {
        Lifetime::Infinite => limit,
        Lifetime::Finite(left) => {
            let renewal = renewed_at.filter(|at| *at > now).map(|at| {
                let margin = RENEWED_WITHIN.min(left / 8);
                whole_seconds(at.since(now)).saturating_add(margin)
            });
            // Where no renewal is in sight, it is looked again after a quarter of what is left.
            let wait =
                renewal.filter(|wait| *wait < left / 4 * 3).unwrap_or_else(|| (left / 4).max(1));
            left.saturating_sub(wait).min(limit)
        }
    };
    let stays = |before: &Lifetime| {
        could_be < limit
            && (Lifetime::Finite(could_be / 4 * 3)..=Lifetime::Finite(limit)).contains(before)
            && *before < remaining
    };
    before.filter(stays).unwrap_or(Lifetime::Finite(could_be))
}

/// Until when `lifetime` may be promised of what we have until `until`; none for ever.
pub(super) fn true_until(until: Until, lifetime: Lifetime) -> Option<Instant> {
    let (at, seconds) = (until.at()?, lifetime.seconds()?);
    (seconds > 0).then(|| at - Duration::from_secs(seconds.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_secs(1000);
    const LIMIT: Duration = Duration::from_secs(2700);

    fn at(seconds: u64) -> Option<Instant> {
        Some(NOW + Duration::from_secs(seconds))
    }

    fn until(seconds: u64) -> Until {
        Until::At(NOW + Duration::from_secs(seconds))
    }

    #[test]
    fn a_lifetime_is_true_until_our_lease_was_renewed() {
        let cases = [
            // name,                    ours,           renewed, before, promised
            ("no end", Until::Never, None, None, 2700),
            ("ample", until(86_400), at(1800), None, 2700),
            ("limited by our lease", until(3600), at(1800), None, 1740),
            ("a second later, renewed", until(3599), at(1799), Some(1740), 1740),
            ("renewed a bit longer", until(4000), at(1800), Some(1740), 1740),
            ("much longer", until(7200), at(1800), Some(1740), 2700),
            ("not renewed", until(1740), None, Some(1740), 1305),
            ("short", until(30), at(15), None, 12),
            ("about to end", until(1), None, Some(2), 0),
        ];
        for (name, ours, renewed_at, before, promised) in cases {
            let before = before.map(Lifetime::Finite);
            let found = lifetime(NOW, ours, LIMIT, renewed_at, before);
            assert_eq!(found, Lifetime::Finite(promised), "{name}");
        }
    }

    /// No renewal comes: what is promised never outlasts what we have, in few steps.
    #[test]
    fn a_lease_that_is_not_renewed_is_followed_down_to_its_end() {
        let (end, renewed_at) = (until(3600), at(1800));
        let (mut now, mut before, mut steps) = (NOW, None, 0);
        loop {
            let next = lifetime(now, end, LIMIT, renewed_at, before);
            assert!(Until::after(now, next) <= end);
            steps += 1;
            before = Some(next);
            let Some(look) = true_until(end, next) else { break };
            assert!(look > now, "it is looked again later");
            assert!(Until::after(look, next) <= end, "true up to the last");
            now = look;
        }
        assert!(steps < 40, "{steps}");
    }
}
