//! The last changes, numbered, each with the time of every stage that it reached.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::output::Stage;
use crate::time::Instant;

/// How many changes are kept.
const KEPT: usize = 16;
/// A lease that changes this long after a change began belongs to it: the last follow-up of an
/// unfruitful refresh is 40 s after the first (CHG-15).
const BELONGS: Duration = Duration::from_secs(46);

/// What began a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A router advertised other prefixes.
    Advertisement,
    /// The link came up or back.
    Link,
    /// An operator or a hook said so.
    Command,
    /// The delegating router asked for it.
    Reconfigure,
    /// A Reply to a routine renewal brought other prefixes, or a lease ran out.
    Lease,
}

/// The prefixes of an uplink: those on its link, and those delegated through it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Prefixes {
    /// Advertised, current.
    pub on_link: Vec<Ipv6Net>,
    /// Delegated, held.
    pub delegated: Vec<Ipv6Net>,
}

/// A change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// Counted from 1 since the start of the agent.
    pub number: u64,
    /// Where it came from.
    pub uplink: String,
    /// What began it.
    pub cause: Cause,
    /// When it was heard of.
    pub began_at: Instant,
    /// What held before.
    pub from: Prefixes,
    /// What holds after.
    pub to: Prefixes,
    /// When each stage was reached.
    pub stages: BTreeMap<Stage, Instant>,
    /// The line in the log is written.
    pub told: bool,
}

impl Change {
    /// Time from hearing of it to `stage`, if that was reached.
    pub fn latency(&self, stage: Stage) -> Option<Duration> {
        self.stages.get(&stage).map(|at| at.since(self.began_at))
    }

    /// One line for an operator.
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        for (what, from, to) in [
            ("delegated", &self.from.delegated, &self.to.delegated),
            ("on-link", &self.from.on_link, &self.to.on_link),
        ] {
            if from != to {
                parts.push(format!("{what} {} -> {}", list(from), list(to)));
            }
        }
        if parts.is_empty() {
            parts.push("prefixes confirmed".to_owned());
        }
        for (stage, word) in [
            (Stage::Asked, "asked"),
            (Stage::Delegated, "answered"),
            (Stage::Applied, "applied"),
            (Stage::Advertised, "advertised"),
        ] {
            // What an operator sets is nobody's answer.
            if let Some(latency) = self.latency(stage).filter(|latency| !latency.is_zero()) {
                parts.push(format!("{word} after {:.3} ms", latency.as_secs_f64() * 1e3));
            }
        }
        format!("change {}: {}", self.number, parts.join(", "))
    }
}

fn list(prefixes: &[Ipv6Net]) -> String {
    if prefixes.is_empty() {
        return "none".to_owned();
    }
    prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// The last changes.
#[derive(Clone, Debug, Default)]
pub struct History {
    changes: VecDeque<Change>,
    count: u64,
}

impl History {
    /// Begins a change of `uplink`, or goes on with its last one when that is not finished: what
    /// one cause triggers several times is one change.
    pub fn begin(&mut self, now: Instant, uplink: &str, cause: Cause, from: Prefixes) -> u64 {
        if let Some(open) = self.last_mut(uplink)
            && !open.told
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
            told: false,
        };
        if self.changes.len() >= KEPT {
            self.changes.pop_front();
        }
        self.changes.push_back(change);
        self.count
    }

    /// The lease of `uplink` changed: part of its last change if that is recent, else a change of
    /// its own. Returns its number.
    pub fn delegated(&mut self, now: Instant, uplink: &str, from: Prefixes) -> u64 {
        let recent = |change: &&mut Change| now.since(change.began_at) <= BELONGS;
        let number = match self.last_mut(uplink).filter(recent) {
            Some(change) if !change.stages.contains_key(&Stage::Delegated) || !change.told => {
                change.told = false;
                change.number
            }
            Some(_) | None => self.begin(now, uplink, Cause::Lease, from),
        };
        self.reached(now, number, Stage::Delegated);
        number
    }

    /// Change `number` has reached `stage`. Asking again counts until there was an answer; every
    /// other stage counts once.
    pub fn reached(&mut self, now: Instant, number: u64, stage: Stage) {
        let Some(change) = self.changes.iter_mut().find(|change| change.number == number) else {
            return;
        };
        if stage != Stage::Asked || change.stages.contains_key(&Stage::Delegated) {
            change.stages.entry(stage).or_insert(now);
        } else {
            change.stages.insert(stage, now);
        }
    }

    /// The last change of `uplink`.
    pub fn last_mut(&mut self, uplink: &str) -> Option<&mut Change> {
        self.changes.iter_mut().rev().find(|change| change.uplink == uplink)
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
        history.change_mut(number).unwrap().told = true;
        let late = start + Duration::from_secs(13);
        assert_eq!(history.delegated(late, "tap0", Prefixes::default()), number);
        let much_later = start + Duration::from_secs(1300);
        assert_eq!(history.delegated(much_later, "tap0", Prefixes::default()), number + 1);
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
            history.change_mut(number).unwrap().told = true;
        }
        assert_eq!(history.changes().count(), KEPT);
        assert_eq!(history.changes().last().unwrap().number, 100);
    }
}
