//! The last changes, numbered, each with the time of every stage that it reached.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::event::Event;
use super::stage::{Cause, Prefixes, Stage};
use crate::time::Instant;

/// The number of changes that are kept.
const KEPT: usize = 16;
/// A lease that changes within this time after a change began belongs to it: the last follow-up of
/// an unfruitful refresh is 40 s after the first (CHG-15).
const BELONGS: Duration = Duration::from_secs(46);

/// A change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Counted from 1 since the start of the agent.
    pub number: u64,
    /// The uplink, or the name for static prefixes.
    pub uplink: String,
    /// What began it.
    pub cause: Cause,
    /// The time of its cause.
    pub began_at: Instant,
    /// The prefixes before it.
    pub from: Prefixes,
    /// The prefixes after it.
    pub to: Prefixes,
    /// The time of each stage that it has reached.
    pub stages: BTreeMap<Stage, Instant>,
    /// Its line in the log has been written.
    pub reported: bool,
}

impl Change {
    /// The event of its beginning.
    pub fn began(&self) -> Event {
        let interface = self.uplink.clone();
        Event::ChangeBegan { interface, change: self.number, cause: self.cause }
    }

    /// The event of its last stage.
    pub fn finished(&self) -> Event {
        let latency = |(stage, at): (&Stage, &Instant)| (*stage, at.since(self.began_at));
        Event::ChangeFinished {
            interface: self.uplink.clone(),
            change: self.number,
            cause: self.cause,
            from: self.from.clone(),
            to: self.to.clone(),
            latencies: self.stages.iter().map(latency).collect(),
        }
    }
}

/// The last changes.
#[derive(Clone, Debug, Default)]
pub struct History {
    changes: VecDeque<Change>,
    count: u64,
}

impl History {
    /// Begins a change of `uplink`, or continues its last one if that is not finished: one cause
    /// can trigger several times, and that is one change.
    pub fn begin(&mut self, now: Instant, uplink: &str, cause: Cause, from: Prefixes) -> u64 {
        if let Some(open) = self.last_mut(uplink)
            && !open.reported
            && now.since(open.began_at) <= BELONGS
        {
            return open.number;
        }
        self.count = self.count.saturating_add(1);
        let change = Change {
            number: self.count,
            uplink: uplink.to_owned(),
            cause,
            began_at: now,
            to: from.clone(),
            from,
            stages: BTreeMap::new(),
            reported: false,
        };
        if self.changes.len() >= KEPT {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
        self.count
    }

    /// The lease of `uplink` changed: this belongs to its last change if that is recent, else it is
    /// a change of its own. Returns the number of the change and the event of this stage.
    pub fn delegated(
        &mut self,
        now: Instant,
        uplink: &str,
        from: Prefixes,
    ) -> (u64, Option<Event>) {
        let recent = |change: &&mut Change| now.since(change.began_at) <= BELONGS;
        let number = match self.last_mut(uplink).filter(recent) {
            Some(change) if !change.stages.contains_key(&Stage::Delegated) || !change.reported => {
                change.reported = false;
                change.number
            }
            Some(_) | None => self.begin(now, uplink, Cause::Lease, from),
        };
        (number, self.reached(now, number, Stage::Delegated))
    }

    /// Change `number` has reached `stage`. The time of the last request before the answer counts,
    /// and of every other stage the first time. Returns the event, unless this time does not count.
    pub fn reached(&mut self, now: Instant, number: u64, stage: Stage) -> Option<Event> {
        let change = self.change_mut(number)?;
        let asks_again = stage == Stage::Asked && !change.stages.contains_key(&Stage::Delegated);
        if change.stages.contains_key(&stage) && !asks_again {
            return None;
        }
        change.stages.insert(stage, now);
        let latency = now.since(change.began_at);
        Some(Event::ChangeReached {
            interface: change.uplink.clone(),
            change: number,
            stage,
            latency,
        })
    }

    /// The last change of `uplink`.
    pub fn last_mut(&mut self, uplink: &str) -> Option<&mut Change> {
        self.changes.iter_mut().rev().find(|change| change.uplink == uplink)
    }

    /// How many have begun.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The change of this number, if it is still kept.
    pub fn change_mut(&mut self, number: u64) -> Option<&mut Change> {
        self.changes.iter_mut().find(|change| change.number == number)
    }

    /// All that are kept, oldest first.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_answer_belongs_to_the_change_that_asked() {
        let mut history = History::default();
        let start = Instant::from_secs(100);
        let number = history.begin(start, "tap0", Cause::Advertisement, Prefixes::default());
        history.change_mut(number).unwrap().reported = true;
        let late = start + Duration::from_secs(13);
        assert_eq!(history.delegated(late, "tap0", Prefixes::default()).0, number);
        let much_later = start + Duration::from_secs(1300);
        assert_eq!(history.delegated(much_later, "tap0", Prefixes::default()).0, number + 1);
    }

    #[test]
    fn triggers_of_one_cause_are_one_change_and_few_are_kept() {
        let mut history = History::default();
        for second in 0..100 {
            let now = Instant::from_secs(second);
            let number = history.begin(now, "tap0", Cause::Link, Prefixes::default());
            assert_eq!(
                history.begin(now, "tap0", Cause::Advertisement, Prefixes::default()),
                number
            );
            history.change_mut(number).unwrap().reported = true;
        }
        assert_eq!(history.changes().count(), KEPT);
        assert_eq!(history.changes().last().unwrap().number, 100);
    }
}
