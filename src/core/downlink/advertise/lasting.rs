//! A statement that stays true for a while, however often it is repeated.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ipnet::Ipv6Net;

use super::lifetimes::{PrefixLifetimes, Statement};
use crate::time::Instant;

/// How long a statement is to last, at least and at most.
const LEAST: Duration = Duration::from_secs(4);
const MOST: Duration = Duration::from_secs(600);
/// Of a lifetime that its end cuts short, this part may be taken from hosts in advance.
const PART: u32 = 8;

/// A statement that may be repeated until its end.
#[derive(Clone, Debug)]
pub(super) struct Lasting {
    /// No lifetime in it is longer than what is left at the end, but those that run down.
    pub(super) statement: Statement,
    /// Prefixes whose lifetimes have to run down from now on.
    pub(super) running_down: BTreeSet<Ipv6Net>,
    /// It is true until then.
    pub(super) until: Instant,
}

impl Lasting {
    /// Makes it from the statement that is true at any one moment.
    pub(super) fn new(now: Instant, said_at: impl Fn(Instant) -> Statement) -> Self {
        let first = said_at(now);
        let shortest = shortest_moving(&first, &said_at(now + MOST));
        let until = now
            + shortest.map_or(MOST, |seconds| {
                Duration::from_secs((seconds / PART).into()).clamp(LEAST, MOST)
            });
        let last = said_at(until);
        let ends: BTreeMap<Ipv6Net, PrefixLifetimes> =
            last.prefixes.iter().map(|stated| (stated.prefix, *stated)).collect();
        let end_of = |stated: &PrefixLifetimes| {
            let ended = PrefixLifetimes { preferred: 0, valid: 0, ..*stated };
            ends.get(&stated.prefix).copied().unwrap_or(ended)
        };
        let runs_down =
            |stated: &PrefixLifetimes| stated.preferred > 0 && end_of(stated) != *stated;
        let running_down = first
            .prefixes
            .iter()
            .filter(|stated| runs_down(stated))
            .map(|stated| stated.prefix)
            .collect();
        let prefixes = first.prefixes.iter();
        let prefixes =
            prefixes.map(|stated| if runs_down(stated) { *stated } else { end_of(stated) });
        let statement = Statement {
            router_lifetime: first.router_lifetime,
            prefixes: prefixes.collect(),
            min_interval: first.min_interval.min(last.min_interval),
            max_interval: first.max_interval.min(last.max_interval),
            ..last
        };
        Self { statement, running_down, until }
    }
}

/// The shortest lifetime, in seconds, that is shorter later, those that can run down aside.
fn shortest_moving(first: &Statement, later: &Statement) -> Option<u32> {
    let moving = |before: Vec<(String, u32)>, after: Vec<(String, u32)>| {
        let after: BTreeMap<String, u32> = after.into_iter().collect();
        let is_shorter = move |(key, seconds): &(String, u32)| {
            *seconds > 0 && after.get(key).copied().unwrap_or_default() < *seconds
        };
        before.into_iter().filter(is_shorter).map(|(_, seconds)| seconds).min()
    };
    let valid = |statement: &Statement| -> Vec<(String, u32)> {
        let deprecated = statement.prefixes.iter().filter(|stated| stated.preferred == 0);
        deprecated.map(|stated| (stated.prefix.to_string(), stated.valid)).collect()
    };
    let others = |statement: &Statement| -> Vec<(String, u32)> {
        let routes = statement.routes.iter().map(|(prefix, _, s)| (format!("route {prefix}"), *s));
        let servers = statement.resolvers.iter().map(|(server, s)| (server.to_string(), *s));
        let names = statement.search.iter().map(|(name, s)| (format!("name {name}"), *s));
        let pref64 = statement.pref64.iter().map(|(prefix, s)| (format!("pref64 {prefix}"), *s));
        routes.chain(servers).chain(names).chain(pref64).collect()
    };
    // A prefix that runs down is looked at again before it is deprecated.
    let preferred = |statement: &Statement| -> Vec<(String, u32)> {
        let preferred = statement.prefixes.iter().filter(|stated| stated.preferred > 0);
        preferred
            .map(|stated| (stated.prefix.to_string(), stated.preferred.saturating_mul(4)))
            .collect()
    };
    let all = [
        moving(valid(first), valid(later)),
        moving(others(first), others(later)),
        moving(preferred(first), preferred(later)),
    ];
    all.into_iter().flatten().min()
}
