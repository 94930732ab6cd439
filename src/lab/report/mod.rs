//! What a benchmark measured, and how it is shown: tables, timelines, a picture, JSON.

pub mod json;
pub mod picture;
pub mod statistics;
pub mod table;
#[cfg(test)]
mod testing;
pub mod timeline;

use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;

use crate::lab::observe::milestones::Run;
use crate::lab::site::nodes::Site;
use crate::lab::site::scenario::Scenario;

/// The programs that carry prefixes through the site.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub enum Stack {
    /// The agents alone
    Native,
    /// Agents that lead dhcpcd, KAME dhcp6s and radvd
    Company,
    /// dhcpcd, KAME dhcp6s, radvd and the article's shell hooks, without an agent
    Article,
    /// The messages and kernel operations of a change, without any logic
    Floor,
}

impl Stack {
    /// What it is called.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Native => "native",
            Self::Company => "company",
            Self::Article => "article",
            Self::Floor => "floor",
        }
    }
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct Options {
    /// Its systems.
    pub site: Site,
    /// What happens to it.
    pub scenario: Scenario,
    /// How often.
    pub runs: usize,
    /// Clients use their addresses before these are proven to be theirs alone.
    pub optimistic: bool,
    /// This part of the packets is lost on each link.
    pub loss: f64,
    /// All cores are kept busy.
    pub busy: bool,
    /// Agents run before all that is not real-time.
    pub fifo: bool,
    /// The programs that carry the prefixes, in alternation.
    pub stacks: Vec<Stack>,
    /// A run that takes longer has failed.
    pub max: Duration,
    /// For how long no link has had a multicast advertisement when a change begins.
    pub spacing: Duration,
    /// The program that has the agent.
    pub program: PathBuf,
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct Report {
    /// What was measured.
    pub options: Options,
    /// The runs of each stack.
    pub runs: Vec<(Stack, Vec<Run>)>,
    /// What to look at where a run did not converge: the program that ended, or what was logged
    /// last.
    pub remarks: Vec<String>,
    /// It was broken off before the last run.
    pub is_partial: bool,
}

impl Report {
    /// Whether each run has converged in time.
    pub fn is_good(&self) -> bool {
        self.runs.iter().flat_map(|(_, runs)| runs).all(|run| run.late.is_empty())
    }

    /// The runs of a stack.
    pub fn of(&self, stack: Stack) -> &[Run] {
        let found = self.runs.iter().find(|(of, _)| *of == stack);
        found.map_or(&[], |(_, runs)| runs)
    }

    /// The stack that others are compared with, the first.
    pub fn main(&self) -> Option<(Stack, &[Run])> {
        self.all().next()
    }

    /// All stacks in their order.
    pub fn all(&self) -> impl Iterator<Item = (Stack, &[Run])> {
        self.runs.iter().map(|(stack, runs)| (*stack, runs.as_slice()))
    }

    /// Those whose median run is shown in detail: the first, and of the others all but the floor.
    pub fn detailed(&self) -> impl Iterator<Item = (Stack, &[Run])> {
        let first = self.main().map(|(stack, _)| stack);
        self.all().filter(move |(stack, _)| *stack != Stack::Floor || Some(*stack) == first)
    }
}
