//! Turns of the loop: none may be too long, so that every source is read in time, and a source that
//! fails is not read in a busy loop.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::disk::Done;
use crate::core::input::Input;
use crate::time::{Deadline, Instant};

/// An input that is ready.
pub(super) enum Ready {
    /// A socket to read, or a deadline.
    Io,
    /// The result of the disk thread.
    Disk(Done),
    /// An input from another task.
    Known(Input),
}

/// The longest time of a turn, unless a single step takes longer.
const TURN: Duration = Duration::from_millis(10);
/// The number of outputs and steps that one turn performs, however long they take: those of a
/// change on a router of the usual size are performed at once.
const ENOUGH: usize = 1024;
/// A turn ends after this time, however little was performed.
const LONGEST: Duration = Duration::from_millis(100);
/// The longest time without a pause, in which the runtime looks at signals.
const WITHOUT_PAUSE: Duration = Duration::from_millis(5);
/// The pause after a source could not be read.
const REST: Duration = Duration::from_millis(100);
/// After this number of turns a deadline that has passed counts as one that nothing acts on.
const MANY_TURNS: u32 = 1000;
/// The least time between two wakes of the loop from then on.
const BRAKE: Duration = Duration::from_millis(50);

/// Whether outputs are left over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Flow {
    /// None: the loop can wait.
    Idle,
    /// Some, for after the other sources' turns.
    More,
    /// The agent stops.
    Exit,
}

/// The work of one turn.
#[derive(Debug)]
pub(super) struct Turn {
    began_at: Instant,
    done: usize,
}

impl Turn {
    pub(super) const fn new(now: Instant) -> Self {
        Self { began_at: now, done: 0 }
    }

    /// Counts outputs and steps.
    pub(super) const fn count(&mut self, work: usize) {
        self.done = self.done.saturating_add(work);
    }

    /// Whether other sources are to have their turn.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let taken = now.since(self.began_at);
        taken >= LONGEST || (taken >= TURN && self.done >= ENOUGH)
    }
}

/// When the loop last let the runtime look at signals and other tasks.
#[derive(Debug)]
pub(super) struct Pauses {
    last_at: Instant,
}

impl Pauses {
    pub(super) const fn new(now: Instant) -> Self {
        Self { last_at: now }
    }

    /// Pauses, if the last pause was long ago.
    pub(super) async fn pause(&mut self, now: Instant) {
        if now.since(self.last_at) >= WITHOUT_PAUSE {
            tokio::task::yield_now().await;
            self.last_at = now;
        }
    }
}

/// A source of inputs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Source {
    Events,
    Icmpv6,
    LocalAdvertisements,
    Dhcpv6,
    Server,
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Events => "the socket of the kernel's events",
            Self::Icmpv6 => "the ICMPv6 socket",
            Self::LocalAdvertisements => "the socket of this machine's own advertisements",
            Self::Dhcpv6 => "UDP port 546",
            Self::Server => "UDP port 547",
        })
    }
}

/// Sources that pause after an error: a temporary error neither ends the agent nor keeps it busy.
#[derive(Debug, Default)]
pub(super) struct Rests(BTreeMap<Source, Instant>);

impl Rests {
    pub(super) fn begin(&mut self, now: Instant, source: Source) {
        self.0.insert(source, now + REST);
    }

    pub(super) fn end(&mut self, now: Instant) {
        self.0.retain(|_, until| *until > now);
    }

    pub(super) fn is_resting(&self, source: Source) -> bool {
        self.0.contains_key(&source)
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.values().copied().min()
    }
}

/// Keeps a deadline that nothing acts on from keeping the loop busy.
#[derive(Debug, Default)]
pub(super) struct Brake {
    turns: u32,
}

impl Brake {
    /// When to wake for `deadline`; returns its reason too, once, if it seems that nothing acts on
    /// it.
    pub(super) fn wake_at(
        &mut self,
        now: Instant,
        deadline: Deadline,
    ) -> (Instant, Option<&'static str>) {
        if deadline.at > now {
            self.turns = 0;
            return (deadline.at, None);
        }
        self.turns = self.turns.saturating_add(1);
        if self.turns < MANY_TURNS {
            return (deadline.at, None);
        }
        (now + BRAKE, (self.turns == MANY_TURNS).then_some(deadline.reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_secs(100);

    fn after(milliseconds: u64) -> Instant {
        NOW + Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_turn_ends_by_work_and_time_and_always_by_time() {
        let cases = [
            // work done, milliseconds, over
            (100_000, 9, false),
            (ENOUGH, 10, true),
            (ENOUGH - 1, 99, false),
            (1, 100, true),
        ];
        for (work, milliseconds, is_over) in cases {
            let mut turn = Turn::new(NOW);
            turn.count(work);
            assert_eq!(turn.is_over(after(milliseconds)), is_over, "{work} {milliseconds}");
        }
    }

    #[test]
    fn a_source_that_fails_rests_by_itself() {
        let mut rests = Rests::default();
        rests.begin(NOW, Source::Icmpv6);
        assert!(rests.is_resting(Source::Icmpv6) && !rests.is_resting(Source::Server));
        assert_eq!(rests.deadline(), Some(NOW + REST));
        rests.end(after(99));
        assert!(rests.is_resting(Source::Icmpv6));
        rests.end(NOW + REST);
        assert_eq!((rests.is_resting(Source::Icmpv6), rests.deadline()), (false, None));
    }

    #[test]
    fn a_deadline_that_nothing_acts_on_is_braked_and_reported_once() {
        let mut brake = Brake::default();
        let passed = Deadline::new(NOW, "nothing");
        for _ in 1..MANY_TURNS {
            assert_eq!(brake.wake_at(NOW, passed), (NOW, None));
        }
        assert_eq!(brake.wake_at(NOW, passed), (NOW + BRAKE, Some("nothing")));
        assert_eq!(brake.wake_at(NOW, passed), (NOW + BRAKE, None));
        let next = Deadline::new(after(1), "something");
        assert_eq!(brake.wake_at(NOW, next), (after(1), None));
        assert_eq!(brake.wake_at(NOW, passed), (NOW, None));
    }
}
