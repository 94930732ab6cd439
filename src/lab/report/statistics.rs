//! What many runs say together.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::lab::observe::milestones::{Event, Run};
use crate::lab::site::nodes::Node;

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
        let sent = |node| {
            let mut all = run.milestones.iter();
            let found = all.find(|m| m.node == node && m.event == Event::Advertised);
            found.map(|milestone| milestone.after)
        };
        Some(sent(Node::Router(depth))?.saturating_sub(sent(Node::Isp)?))
    }))
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
    fn times_are_told_to_the_microsecond() {
        assert_eq!(millis(Duration::from_nanos(1_234_567)).to_string(), "1.235");
        assert_eq!(millis(Duration::from_nanos(400)).to_string(), "0");
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
