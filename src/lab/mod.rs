//! The laboratory: a site in network namespaces, its provider's prefixes changed at will, and what
//! happens on each system until its clients are reached from beyond the provider again.
//!
//! | module | holds |
//! | --- | --- |
//! | [`site`] | namespaces and what connects them, systems and prefixes, what happens to these |
//! | [`observe`] | what is seen, and when, and the milestones that it amounts to |
//! | [`report`] | what was measured, and how it is shown |
//! | [`floor`] | routers without logic, to compare with |
//! | [`company`] | routers on which agents lead other people's programs |
//! | [`article`] | routers of other people's programs and shell hooks, to compare with |
//! | [`part`] | the child processes of the benchmark |
//! | [`stage`] | a site at work |
//!
//! `observe` may use `site`, and `report` both. The tests build and watch their sites with the
//! same means; what they know of programs of other people is in `tests/lab`.
//!
//! All times are read from one clock. Packets carry the kernel's stamps. Kernel events are stamped
//! when their watcher wakes up, which under load is later than they happened.

pub mod article;
pub mod company;
pub mod floor;
pub mod observe;
pub mod part;
pub mod report;
pub mod site;
pub mod stage;

use std::time::Duration;

use anyhow::bail;

use self::observe::log::What;
use self::observe::milestones::{Question, Run};
use self::observe::packets;
use self::report::{Options, Report, Stack};
use self::site::nodes::{Era, Node};
use self::site::scenario::Scenario;
use self::stage::{Load, Plan, Stage};
use crate::daemon::clock;
use crate::time::Instant;

/// How often is looked whether a run is over.
const TURN: Duration = Duration::from_millis(10);
/// The least time that a run is watched, however little it may take.
const LEAST_PATIENCE: Duration = Duration::from_secs(10);
/// Until the site has its first prefixes.
const SETTLING_PATIENCE: Duration = Duration::from_secs(90);
/// How long to wait for links to become quiet.
const QUIET_PATIENCE: Duration = Duration::from_secs(60);

impl Options {
    fn plan(&self, stack: Stack) -> Plan<'_> {
        let Self { site, scenario, optimistic, loss, fifo, ref program, .. } = *self;
        Plan { site, stack, scenario, optimistic, loss, fifo, program }
    }
}

/// Receives how far the benchmark is.
pub trait Audience {
    /// Something is under way.
    fn stage(&mut self, what: &str);
    /// A run is over.
    fn run(&mut self, stack: Stack, run: &Run);
    /// Whether to break it off.
    fn is_enough(&mut self) -> bool;
}

/// Builds the site, and measures.
///
/// # Errors
///
/// When the system lacks what it takes, or the site does not come to work.
pub fn run(options: &Options, audience: &mut dyn Audience) -> anyhow::Result<Report> {
    let mut bench = Bench { options, audience, acts: Vec::new(), remarks: Vec::new() };
    bench.build()?;
    let _load = if options.busy { Some(Load::start(&options.program)?) } else { None };
    let positions = 0..bench.acts.len();
    let all = (1..=options.runs).flat_map(|number| positions.clone().map(move |at| (at, number)));
    let mut is_partial = false;
    for (position, number) in all {
        if !bench.run(position, number)? {
            is_partial = true;
            break;
        }
    }
    let runs = bench.acts.into_iter().map(|act| (act.stage.stack, act.runs)).collect();
    Ok(Report { options: options.clone(), runs, remarks: bench.remarks, is_partial })
}

struct Bench<'a> {
    options: &'a Options,
    audience: &'a mut dyn Audience,
    acts: Vec<Act>,
    remarks: Vec<String>,
}

/// A stage and its story.
struct Act {
    stage: Stage,
    runs: Vec<Run>,
    era: Era,
    /// The last era in which clients had addresses.
    settled: Era,
    /// When a link last had an advertisement for all.
    disturbed: Instant,
}

impl Bench<'_> {
    fn build(&mut self) -> anyhow::Result<()> {
        for stack in &self.options.stacks {
            self.audience.stage(&format!("building the site ({})", stack.name()));
            let plan = self.options.plan(*stack);
            let mut stage = Stage::build(&plan)?;
            self.audience.stage("waiting for the site to have its first prefixes");
            stage.start(&plan, Era(0))?;
            let question = self.question(Era(0), Era(0), clock::now());
            let question = Question { scenario: Scenario::Graceful, ..question };
            self.settle(&mut stage, &question)?;
            self.acts.push(Act {
                stage,
                runs: Vec::new(),
                era: Era(0),
                settled: Era(0),
                disturbed: clock::now(),
            });
        }
        Ok(())
    }

    /// Waits until all clients are reached.
    fn settle(&mut self, stage: &mut Stage, question: &Question) -> anyhow::Result<()> {
        let begun = clock::now();
        loop {
            let seen = stage.log.all();
            let reached = |number| {
                let node = Node::Client(number);
                seen.iter().any(|seen| seen.node == node && matches!(seen.what, What::Answered(_)))
            };
            if (1..=question.site.clients).all(reached) {
                return Ok(());
            }
            if let Some(node) = stage.casualty() {
                bail!("{} has ended: {}", node.name(), stage.last_words(node));
            }
            if self.audience.is_enough() {
                bail!("interrupted");
            }
            if clock::now().since(begun) > SETTLING_PATIENCE {
                let run = question.judge(&seen);
                let where_ = run.late.iter().find(|late| late.after.is_none());
                let node = where_.map_or(Node::Isp, |late| late.node);
                let lacking = where_.map_or("nothing", |late| late.event.title());
                bail!(
                    "the site does not come to work: {} lacks: {lacking}\n{}",
                    node.name(),
                    stage.last_words(node)
                );
            }
            std::thread::sleep(TURN);
        }
    }

    fn question(&self, to: Era, from: Era, begun: Instant) -> Question {
        Question {
            site: self.options.site,
            scenario: self.options.scenario,
            to,
            from,
            begun: begun.since_boot(),
            max: self.options.max,
        }
    }

    /// One change on one stage; false when it is enough.
    fn run(&mut self, position: usize, number: usize) -> anyhow::Result<bool> {
        let options = self.options;
        let Some(act) = self.acts.get_mut(position) else { return Ok(false) };
        let stack = act.stage.stack;
        self.audience.stage(&format!("run {number} of {}, {}", options.runs, stack.name()));
        if !act.quieten(options.spacing, &mut *self.audience) {
            return Ok(false);
        }
        let (from, to) = (act.settled, act.era.next());
        act.era = to;
        let begun = act.stage.change(options.scenario, to)?;
        let question = self.question(to, from, Instant::from_boot(begun));
        let Some(act) = self.acts.get_mut(position) else { return Ok(false) };
        let patience = options.max.max(LEAST_PATIENCE);
        while !question.is_answered(&act.stage.log.all())
            && clock::now().since_boot().saturating_sub(begun) < patience
        {
            if self.audience.is_enough() {
                return Ok(false);
            }
            std::thread::sleep(TURN);
        }
        while clock::now().since_boot().saturating_sub(begun) < packets::COUNTED_FOR {
            if self.audience.is_enough() {
                return Ok(false);
            }
            std::thread::sleep(TURN);
        }
        let run = question.judge(&act.stage.log.all());
        if run.converged.is_some() {
            act.settled = to;
        } else if let Some(late) = run.late.iter().find(|late| late.after.is_none()) {
            let words = act.stage.last_words(late.node);
            let ended = act.stage.casualty().map(|node| format!("{} has ended", node.name()));
            let ended = ended.unwrap_or_else(|| "all processes run".to_owned());
            self.remarks.push(format!(
                "{} run {number}: {ended}; {} logged last:\n{words}",
                stack.name(),
                late.node.name()
            ));
        }
        self.audience.run(stack, &run);
        act.runs.push(run);
        Ok(true)
    }
}

impl Act {
    /// Waits until no link has had an advertisement for all for a while: routers may not send the
    /// next one sooner (MIN_DELAY_BETWEEN_RAS). False when it is enough.
    fn quieten(&mut self, spacing: Duration, audience: &mut dyn Audience) -> bool {
        let begun = clock::now();
        loop {
            let seen = self.stage.log.all();
            let sent = seen.iter().filter_map(|seen| match seen.what {
                What::Advertised { to_all: true, .. } => Some(Instant::from_boot(seen.at)),
                What::Advertised { to_all: false, .. }
                | What::Heard(_)
                | What::Sent(_)
                | What::Delegated(_)
                | What::Address { .. }
                | What::AddressGone(_)
                | What::Answered(_) => None,
            });
            self.disturbed = sent.fold(self.disturbed, Instant::max);
            let now = clock::now();
            if now.since(self.disturbed) >= spacing || now.since(begun) > QUIET_PATIENCE {
                return true;
            }
            if audience.is_enough() {
                return false;
            }
            std::thread::sleep(TURN);
        }
    }
}
