//! What many runs say together.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::lab::observe::milestones::{Event, Run};
use crate::lab::site::nodes::Node;
use crate::wire::dhcpv6::MessageType;

/// How values are spread, in milliseconds.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Spread {
    /// How many there are.
    pub count: usize,
    /// The smallest.
    pub min: f64,
    /// As many lie below as above.
    pub median: f64,
    /// Nine of ten are no greater.
    pub p90: f64,
    /// The greatest.
    pub max: f64,
}

impl Spread {
    /// Of any number of values but none.
    pub fn of(values: impl IntoIterator<Item = Duration>) -> Option<Self> {
        let mut sorted: Vec<Duration> = values.into_iter().collect();
        sorted.sort_unstable();
        let last = sorted.len().checked_sub(1)?;
        let at = |index: usize| sorted.get(index.min(last)).copied().unwrap_or_default();
        let (low, high) = (at(last / 2), at(sorted.len() / 2));
        // Nearest rank: the smallest value that nine of ten do not exceed.
        let rank = (sorted.len() * 9).div_ceil(10).saturating_sub(1);
        Some(Self {
            count: sorted.len(),
            min: millis(at(0)),
            median: millis((low + high) / 2),
            p90: millis(at(rank)),
            max: millis(at(last)),
        })
    }
}

/// Milliseconds to the microsecond.
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// When each milestone was reached, over all runs.
pub fn milestones(runs: &[Run]) -> BTreeMap<(Node, Event), Spread> {
    let mut times: BTreeMap<(Node, Event), Vec<Duration>> = BTreeMap::new();
    for milestone in runs.iter().flat_map(|run| &run.milestones) {
        times.entry((milestone.node, milestone.event)).or_default().push(milestone.after);
    }
    times.into_iter().filter_map(|(key, times)| Some((key, Spread::of(times)?))).collect()
}

/// How long runs took to converge; none where no run did.
pub fn converged(runs: &[Run]) -> Option<Spread> {
    Spread::of(runs.iter().filter_map(|run| run.converged))
}

/// How long the new prefix took from the provider's advertisement to that of the router at
/// `depth`.
pub fn carried(runs: &[Run], depth: usize) -> Option<Spread> {
    Spread::of(runs.iter().filter_map(|run| {
        let sent = |node| when(run, node, Event::Advertised);
        Some(sent(Node::Router(depth))?.saturating_sub(sent(Node::Isp)?))
    }))
}

/// What a router does once it has heard of a change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// Its uplink has the new address.
    Addressed,
    /// It sends the first DHCPv6 message that asks for a prefix.
    Asked,
    /// It begins anew with a Solicit.
    Solicited,
    /// It is delegated the new prefix.
    Delegated,
    /// Its downlink has the new address.
    Downlinked,
    /// It advertises the new prefix.
    Advertised,
}

impl Step {
    /// All of them, in the order in which they happen to programs that do one after the other.
    pub const ALL: [Self; 6] = [
        Self::Addressed,
        Self::Asked,
        Self::Solicited,
        Self::Delegated,
        Self::Downlinked,
        Self::Advertised,
    ];

    /// What it is called in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Addressed => "addressed",
            Self::Asked => "asked",
            Self::Solicited => "solicited",
            Self::Delegated => "delegated",
            Self::Downlinked => "downlinked",
            Self::Advertised => "advertised",
        }
    }

    /// What it is called for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Addressed => Event::Addressed.title(),
            Self::Asked => "DHCPv6 begins",
            Self::Solicited => "Solicit",
            Self::Delegated => Event::Delegated.title(),
            Self::Downlinked => Event::Downlinked.title(),
            Self::Advertised => Event::Advertised.title(),
        }
    }

    /// When `node` did it, from the beginning of the run on.
    fn of(self, run: &Run, node: Node) -> Option<Duration> {
        match self {
            Self::Addressed => when(run, node, Event::Addressed),
            Self::Asked => first_message(run, node, |kind| {
                matches!(kind, MessageType::Renew | MessageType::Rebind | MessageType::Solicit)
            }),
            Self::Solicited => first_message(run, node, |kind| kind == MessageType::Solicit),
            Self::Delegated => when(run, node, Event::Delegated),
            Self::Downlinked => when(run, node, Event::Downlinked),
            Self::Advertised => when(run, node, Event::Advertised),
        }
    }
}

fn when(run: &Run, node: Node, event: Event) -> Option<Duration> {
    let mut all = run.milestones.iter();
    all.find(|m| m.node == node && m.event == event).map(|milestone| milestone.after)
}

fn first_message(run: &Run, node: Node, is: impl Fn(MessageType) -> bool) -> Option<Duration> {
    let mut all = run.messages.iter();
    all.find(|(_, of, kind)| *of == node && is(*kind)).map(|(after, ..)| *after)
}

/// How long after it has heard the new advertisement the router at `depth` takes each step; one
/// that is not taken in a run does not count there.
pub fn steps(runs: &[Run], depth: usize) -> BTreeMap<Step, Spread> {
    let node = Node::Router(depth);
    let of = |step: Step| {
        let taken = runs.iter().filter_map(|run| {
            let heard = when(run, node, Event::Heard)?;
            Some(step.of(run, node)?.saturating_sub(heard))
        });
        Some((step, Spread::of(taken)?))
    };
    Step::ALL.into_iter().filter_map(of).collect()
}

/// How often the last router's median time of the other stack is that of the first, from the
/// provider's advertisement to its own.
pub fn times(first: &[Run], other: &[Run], hops: usize) -> Option<f64> {
    ratio(carried(other, hops)?.median, carried(first, hops)?.median)
}

/// To the hundredth; none of nothing.
pub fn ratio(of: f64, to: f64) -> Option<f64> {
    (to > 0.0).then(|| (of / to * 100.0).round() / 100.0)
}

/// The run in the middle of those that converged, and its position; of an even number the faster
/// one.
pub fn median_run(runs: &[Run]) -> Option<(usize, &Run)> {
    let mut converged: Vec<(Duration, usize, &Run)> = runs
        .iter()
        .enumerate()
        .filter_map(|(position, run)| Some((run.converged?, position, run)))
        .collect();
    converged.sort_by_key(|(took, position, _)| (*took, *position));
    let middle = converged.len().checked_sub(1)? / 2;
    converged.get(middle).map(|(_, position, run)| (*position, *run))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::observe::milestones::Milestone;

    fn spread(millis: &[u64]) -> Option<Spread> {
        Spread::of(millis.iter().copied().map(Duration::from_millis))
    }

    #[test]
    fn quantiles_are_those_of_the_definition() {
        assert_eq!(spread(&[]), None);
        // values, min, median, p90, max
        let cases: [(&[u64], [f64; 4]); 5] = [
            (&[7], [7.0, 7.0, 7.0, 7.0]),
            (&[4, 2], [2.0, 3.0, 4.0, 4.0]),
            (&[3, 1, 2], [1.0, 2.0, 3.0, 3.0]),
            (&[10, 9, 8, 7, 6, 5, 4, 3, 2, 1], [1.0, 5.5, 9.0, 10.0]),
            (&[1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 50], [1.0, 1.0, 1.0, 50.0]),
        ];
        for (values, [min, median, p90, max]) in cases {
            let expected = Spread { count: values.len(), min, median, p90, max };
            assert_eq!(spread(values), Some(expected), "{values:?}");
        }
    }

    #[test]
    fn times_are_shown_to_the_microsecond() {
        assert_eq!(millis(Duration::from_nanos(1_234_567)).to_string(), "1.235");
        assert_eq!(millis(Duration::from_nanos(400)).to_string(), "0");
    }

    #[test]
    fn steps_count_from_the_advertisement_that_is_heard() {
        let ms = Duration::from_millis;
        let node = Node::Router(2);
        let milestone = |event, after| Milestone { node, event, after, subject: String::new() };
        let run = Run {
            milestones: vec![
                milestone(Event::Heard, ms(10)),
                milestone(Event::Addressed, ms(9)),
                milestone(Event::Delegated, ms(40)),
            ],
            messages: vec![
                (ms(5), Node::Router(1), MessageType::Solicit),
                (ms(15), node, MessageType::Reply),
                (ms(20), node, MessageType::Renew),
                (ms(30), node, MessageType::Solicit),
            ],
            packets: BTreeMap::new(),
            converged: None,
            late: Vec::new(),
        };
        let medians: Vec<(Step, f64)> =
            steps(&[run], 2).into_iter().map(|(step, spread)| (step, spread.median)).collect();
        let expected = [
            (Step::Addressed, 0.0),
            (Step::Asked, 10.0),
            (Step::Solicited, 20.0),
            (Step::Delegated, 30.0),
        ];
        assert_eq!(medians, expected);
    }

    #[test]
    fn the_median_run_is_one_that_converged() {
        let run = |converged: Option<u64>| Run {
            milestones: Vec::new(),
            messages: Vec::new(),
            packets: BTreeMap::new(),
            converged: converged.map(Duration::from_millis),
            late: Vec::new(),
        };
        let runs = [run(Some(30)), run(None), run(Some(10)), run(Some(20)), run(Some(40))];
        assert_eq!(median_run(&runs).map(|(position, _)| position), Some(3));
        assert_eq!(median_run(&runs[1..2]), None);
        assert_eq!(converged(&runs).map(|spread| spread.count), Some(4));
    }
}
