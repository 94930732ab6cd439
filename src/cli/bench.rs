//! `renumberd bench`: how fast a change goes through a site, in namespaces of this machine.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::lab::observe::milestones::Run;
use crate::lab::report::{Options, Report, Stack, json, picture, table};
use crate::lab::site::namespace;
use crate::lab::site::nodes::{MOST_HOPS, Site};
use crate::lab::site::scenario::Scenario;
use crate::lab::{self, Audience};

/// What to measure.
#[derive(Debug, Clone, Args)]
pub struct Bench {
    /// Routers between provider and clients
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = hops)]
    hops: usize,
    /// Changes to measure
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = runs)]
    runs: usize,
    /// What happens
    #[arg(long, value_name = "SCENARIO", default_value = "graceful")]
    scenario: Scenario,
    /// Clients of the last router
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clients)]
    clients: usize,
    /// Clients use new addresses at once (RFC 4429), not after the second or two in which they
    /// look for duplicates
    #[arg(long)]
    optimistic_clients: bool,
    /// Packets to lose on each link, in percent
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    loss: f64,
    /// Keep all cores busy meanwhile
    #[arg(long)]
    busy: bool,
    /// Let agents run before all that is not real-time (`scheduling = "fifo"`); needs root
    #[arg(long)]
    fifo: bool,
    /// Who carries prefixes, in alternation where there are several: the first is shown in detail
    #[arg(long, value_name = "STACK", default_value = "native", value_delimiter = ',')]
    stack: Vec<Stack>,
    /// Measure in alternation what the same messages and kernel operations take without any logic:
    /// one more stack, `floor`
    #[arg(long)]
    floor: bool,
    /// A run that takes longer has failed
    #[arg(long, value_name = "DURATION", default_value = "25s", value_parser = duration)]
    max: Duration,
    /// How long links have had no advertisement before a change begins; routers may send one each
    /// 3 s
    #[arg(long, value_name = "DURATION", default_value = "3.5s", value_parser = duration)]
    spacing: Duration,
    /// Write the result for programs to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the result to this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
}

/// Measures, with `program` as the agent: the exit code, and what to print.
///
/// # Errors
///
/// When the system lacks what it takes, or the site does not come to work.
pub fn run(bench: &Bench, program: PathBuf) -> anyhow::Result<(u8, String)> {
    let log = tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_target(false);
    log.with_writer(std::io::stderr).with_ansi(false).init();
    bench.is_possible()?;
    namespace::become_root()?;
    let mut audience = Terminal::open(bench)?;
    let report = lab::run(&bench.options(program), &mut audience)?;
    audience.bar.finish_and_clear();
    bench.write(&report)?;
    let code = if report.is_partial {
        super::FAILED
    } else if report.is_good() {
        0
    } else {
        super::NOT_CONVERGED
    };
    Ok((code, table::render(&report)))
}

impl Bench {
    fn options(&self, program: PathBuf) -> Options {
        Options {
            site: Site { hops: self.hops, clients: self.clients },
            scenario: self.scenario,
            runs: self.runs,
            optimistic: self.optimistic_clients,
            loss: self.loss / 100.0,
            busy: self.busy,
            fifo: self.fifo,
            stacks: self.stacks(),
            max: self.max,
            spacing: self.spacing,
            program,
        }
    }

    fn is_possible(&self) -> anyhow::Result<()> {
        let (is_late, has_loss) = (self.scenario == Scenario::LateServer, self.loss > 0.0);
        if self.stacks().contains(&Stack::Floor) {
            ensure!(!has_loss, "the floor repeats nothing: it cannot be measured with --loss");
            ensure!(!is_late, "the floor's provider is never late: leave out the floor");
        }
        ensure!(!(is_late && has_loss), "late-server and --loss exclude each other");
        Ok(())
    }

    /// Each once, in the order in which they were named.
    fn stacks(&self) -> Vec<Stack> {
        let mut stacks: Vec<Stack> = Vec::new();
        for stack in self.stack.iter().copied().chain(self.floor.then_some(Stack::Floor)) {
            if !stacks.contains(&stack) {
                stacks.push(stack);
            }
        }
        stacks
    }

    fn write(&self, report: &Report) -> anyhow::Result<()> {
        for (file, text) in
            [(&self.json, json::render as fn(&Report) -> String), (&self.svg, picture::render)]
        {
            if let Some(file) = file {
                let written = std::fs::write(file, text(report));
                written.with_context(|| format!("cannot write {}", file.display()))?;
            }
        }
        Ok(())
    }
}

/// The bar, and the keys that break off.
struct Terminal {
    bar: ProgressBar,
    signals: SignalFd,
    is_over: bool,
}

impl Terminal {
    fn open(bench: &Bench) -> anyhow::Result<Self> {
        let signals = interruptions()?;
        let count = bench.runs * bench.stacks().len();
        let bar = ProgressBar::new(u64::try_from(count)?);
        bar.set_style(ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}")?);
        bar.enable_steady_tick(Duration::from_millis(250));
        Ok(Self { bar, signals, is_over: false })
    }
}

/// The signals that break off, to be read: what was made is removed then as at the end.
pub(super) fn interruptions() -> anyhow::Result<SignalFd> {
    let mut signals = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        signals.add(signal);
    }
    // Children get their signals: who starts a program lifts all blocks in it.
    signals.thread_block()?;
    Ok(SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK)?)
}

impl Audience for Terminal {
    fn stage(&mut self, what: &str) {
        self.bar.set_message(what.to_owned());
    }

    fn run(&mut self, _stack: Stack, _run: &Run) {
        self.bar.inc(1);
    }

    fn is_enough(&mut self) -> bool {
        self.is_over |= matches!(self.signals.read_signal(), Ok(Some(_)));
        self.is_over
    }
}

fn hops(text: &str) -> Result<usize, String> {
    number(text, MOST_HOPS)
}

fn clients(text: &str) -> Result<usize, String> {
    number(text, 100)
}

fn runs(text: &str) -> Result<usize, String> {
    // Each has a prefix of its own.
    number(text, 10_000)
}

fn number(text: &str, most: usize) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("write a number from 1 to {most}"))
}

fn percent(text: &str) -> Result<f64, String> {
    let number: f64 =
        text.trim_end_matches('%').trim().parse().map_err(|_| "write a number, in percent")?;
    let is_less_than_all = (0.0..100.0).contains(&number);
    is_less_than_all.then_some(number).ok_or_else(|| "write 0, or more and below 100".to_owned())
}

fn duration(text: &str) -> Result<Duration, String> {
    // The library knows whole numbers only.
    match text.strip_suffix('s').and_then(|number| number.parse().ok()) {
        Some(seconds) => Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string()),
        None => humantime::parse_duration(text).map_err(|error| error.to_string()),
    }
}
