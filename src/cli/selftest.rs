//! `renumberd selftest`: whether the agent works on this machine, shown on the site of `bench` with one
//! router, and one redial.

use std::path::Path;
use std::time::Duration;

use nix::sys::signalfd::SignalFd;

use super::{bench, say};
use crate::lab::observe::milestones::{Question, Run};
use crate::lab::report::{Options, Stack};
use crate::lab::site::namespace;
use crate::lab::site::nodes::{Era, Site};
use crate::lab::site::scenario::Scenario;
use crate::lab::{self, Audience};

/// A machine that is not overloaded takes two seconds, most of it duplicate address detection.
const LONGEST: Duration = Duration::from_secs(25);
/// Routers may send one advertisement each 3 s.
const SPACING: Duration = Duration::from_millis(3500);

/// Builds the site, has its line connect anew with other prefixes, and prints line by line what
/// works; whether all does.
///
/// # Errors
///
/// When the machine lacks what it takes.
pub(super) fn run(program: &Path) -> anyhow::Result<bool> {
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_target(false);
    log.with_writer(std::io::stderr).with_ansi(false).init();
    let mut lines = Lines { under_way: None, signals: bench::interruptions()?, is_over: false };
    lines.stage("network namespaces: a provider, a router and a host can be made");
    if let Err(error) = namespace::become_root() {
        lines.fail(&format!("{error:#}"));
        return Ok(false);
    }
    let options = options(program);
    match lab::run(&options, &mut lines) {
        Ok(report) if !report.is_partial => {
            let run = report.runs.first().and_then(|(_, runs)| runs.first());
            let is_good = run.is_some_and(|run| lines.judge(&options, run));
            for remark in &report.remarks {
                say(&format!("        {remark}\n"));
            }
            Ok(is_good)
        }
        Ok(_) => {
            lines.fail("interrupted");
            Ok(false)
        }
        Err(error) => {
            lines.fail(&format!("{error:#}"));
            Ok(false)
        }
    }
}

fn options(program: &Path) -> Options {
    Options {
        site: Site { hops: 1, clients: 1 },
        scenario: Scenario::Redial,
        runs: 1,
        optimistic: false,
        loss: 0.0,
        busy: false,
        fifo: false,
        stacks: vec![Stack::Native],
        max: LONGEST,
        spacing: SPACING,
        program: program.to_path_buf(),
    }
}

/// What is printed.
struct Lines {
    /// It is good as soon as the next begins.
    under_way: Option<String>,
    signals: SignalFd,
    is_over: bool,
}

impl Lines {
    fn pass(&mut self) {
        if let Some(what) = self.under_way.take() {
            say(&format!("ok      {what}\n"));
        }
    }

    fn fail(&mut self, why: &str) {
        let what = self.under_way.take().unwrap_or_default();
        say(&format!("FAILED  {what}: {why}\n"));
    }

    /// A line for each thing that has to happen in a redial.
    fn judge(&mut self, options: &Options, run: &Run) -> bool {
        self.under_way = None;
        let question = Question {
            site: options.site,
            scenario: options.scenario,
            to: Era(1),
            from: Era(0),
            begun: Duration::ZERO,
            max: options.max,
        };
        let mut is_good = true;
        for (node, event) in question.expected() {
            let found = run.milestones.iter().find(|one| (one.node, one.event) == (node, event));
            let place = format!("redial: {}: {}", node.name(), event.title());
            match found {
                Some(milestone) => say(&format!(
                    "ok      {place} {}, after {} ms\n",
                    milestone.subject,
                    milestone.after.as_millis()
                )),
                None => {
                    is_good = false;
                    say(&format!("FAILED  {place}: not within {} s\n", LONGEST.as_secs()));
                }
            }
        }
        is_good
    }
}

impl Audience for Lines {
    fn stage(&mut self, what: &str) {
        self.pass();
        self.under_way = Some(what.to_owned());
    }

    fn run(&mut self, _stack: Stack, _run: &Run) {}

    fn is_enough(&mut self) -> bool {
        self.is_over |= matches!(self.signals.read_signal(), Ok(Some(_)));
        self.is_over
    }
}
