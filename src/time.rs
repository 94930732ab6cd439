//! Time as the core sees it: instants on a clock that counts suspend, and lifetimes.
//!
//! [`Instant`] has no `now()`: the core cannot read a clock, it is given the time.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time, counted from the machine's boot on a clock that runs during suspend.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Instant(Duration);

impl Instant {
    /// The moment of boot.
    pub const BOOT: Self = Self(Duration::ZERO);

    /// The instant that lies `duration` after boot.
    pub const fn from_boot(duration: Duration) -> Self {
        Self(duration)
    }

    /// The instant `seconds` after boot.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// Time since boot.
    pub const fn since_boot(self) -> Duration {
        self.0
    }

    /// Time from `earlier` to this instant, zero when `earlier` is later.
    pub const fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(duration))
    }
}

/// Ends of lifetimes that lie closer together than this are one: the protocols and kernels count
/// in whole seconds, and each of them may round.
pub const ROUNDING: Duration = Duration::from_secs(2);

/// Whole seconds of `duration`, rounded down, less than what stands for infinity in 32 bits.
pub fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX).min(u32::MAX - 1)
}

/// A lifetime as the protocols carry it: whole seconds, all ones for infinity
/// (RFC 4861 §4.6.2, RFC 9915 §7.7).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Lifetime {
    /// In seconds.
    Finite(u32),
    /// It does not end.
    Infinite,
}

impl Lifetime {
    /// Over at once.
    pub const ZERO: Self = Self::Finite(0);

    /// Reads the 32 bits of a packet.
    pub const fn from_wire(bits: u32) -> Self {
        if bits == u32::MAX { Self::Infinite } else { Self::Finite(bits) }
    }

    /// The 32 bits of a packet.
    pub const fn to_wire(self) -> u32 {
        match self {
            Self::Finite(seconds) => seconds,
            Self::Infinite => u32::MAX,
        }
    }

    /// The lifetime that ends, in seconds; none where it does not.
    pub const fn seconds(self) -> Option<u32> {
        match self {
            Self::Finite(seconds) => Some(seconds),
            Self::Infinite => None,
        }
    }

    /// Whether the lifetime is over at once.
    pub const fn is_zero(self) -> bool {
        matches!(self, Self::Finite(0))
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Finite(seconds) => {
                write!(f, "{}", humantime::format_duration(Duration::from_secs((*seconds).into())))
            }
            Self::Infinite => f.write_str("infinite"),
        }
    }
}

/// The end of a lifetime: an absolute instant, so that a refreshed state equals itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Until {
    /// Ends then.
    At(Instant),
    /// Does not end.
    Never,
}

impl Until {
    /// The end of `lifetime`, heard at `now`.
    pub fn after(now: Instant, lifetime: Lifetime) -> Self {
        match lifetime {
            Lifetime::Finite(seconds) => Self::At(now + Duration::from_secs(seconds.into())),
            Lifetime::Infinite => Self::Never,
        }
    }

    /// What is left at `now`, in whole seconds rounded down.
    pub fn remaining(self, now: Instant) -> Lifetime {
        match self {
            Self::At(at) => Lifetime::Finite(whole_seconds(at.since(now))),
            Self::Never => Lifetime::Infinite,
        }
    }

    /// Whether it has ended at `now`.
    pub fn is_over(self, now: Instant) -> bool {
        match self {
            Self::At(at) => at <= now,
            Self::Never => false,
        }
    }

    /// The instant of the end, if there is one.
    pub const fn at(self) -> Option<Instant> {
        match self {
            Self::At(at) => Some(at),
            Self::Never => None,
        }
    }

    /// When to wake for this end, if it lies in the future of `now`.
    pub fn deadline(self, reason: &'static str) -> Option<Deadline> {
        self.at().map(|at| Deadline { at, reason })
    }
}

/// When the core wants to be woken, and why; the reason makes a busy loop visible.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Deadline {
    /// The instant to wake at.
    pub at: Instant,
    /// What happens then.
    pub reason: &'static str,
}

impl Deadline {
    /// A deadline at `at`.
    pub const fn new(at: Instant, reason: &'static str) -> Self {
        Self { at, reason }
    }

    /// The earliest of several, where there are any.
    pub fn first(deadlines: impl IntoIterator<Item = Option<Self>>) -> Option<Self> {
        deadlines.into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_survive_the_wire() {
        for bits in [0, 1, 5400, u32::MAX - 1, u32::MAX] {
            assert_eq!(Lifetime::from_wire(bits).to_wire(), bits);
        }
        assert!(Lifetime::Finite(u32::MAX - 1) < Lifetime::Infinite);
    }

    #[test]
    fn an_end_counts_down_and_never_overflows() {
        let now = Instant::from_secs(100);
        let until = Until::after(now, Lifetime::Finite(60));
        assert_eq!(until.remaining(now + Duration::from_millis(500)), Lifetime::Finite(59));
        assert_eq!(until.remaining(now + Duration::from_secs(90)), Lifetime::ZERO);
        assert!(until.is_over(now + Duration::from_secs(60)));
        assert_eq!(Until::after(now, Lifetime::Infinite).remaining(now), Lifetime::Infinite);
        assert!(Until::At(Instant::from_secs(u64::MAX)) < Until::Never);
        assert_eq!(
            Until::At(Instant::from_secs(u64::MAX)).remaining(now),
            Lifetime::Finite(u32::MAX - 1)
        );
    }
}
