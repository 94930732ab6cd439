//! A program that advertises on a downlink, radvd or rtadvd, run by this task.
//!
//! The core checks whether the program follows its order, and asks for a restart if it does not.
//! This task notices when it is missing, ends, or cannot express a part of the order.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::process::{Happened, Process, Setup};
use super::reporter::Reporter;
use super::version::Version;
use super::{Omitted, Rendered, Work, radvd, rtadvd};
use crate::config::Program;
use crate::core::engine::{Advertised, Order, State, Trouble};
use crate::programs::command::{self, Failure, plain};
use crate::programs::files::{self, Edition};

/// How long a program may take to print its version.
const VERSION: Duration = Duration::from_secs(2);
/// The pause before another try where a program is missing or its file cannot be written.
const AGAIN: Duration = Duration::from_secs(10);
/// From the last order of a program to its end: the program sends the last advertisements in that
/// time, even if it has to be started for this.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// How long a program may take to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// Does the job until it is not wanted any more.
pub(super) async fn run(work: Work) {
    let mut advertiser = Advertiser::new(work);
    loop {
        let has_order = advertiser.wait().await;
        advertiser.reporter.send().await;
        if !has_order {
            break;
        }
    }
    advertiser.end().await;
}

/// The program and its order.
struct Advertiser {
    work: Work,
    reporter: Reporter,
    process: Option<Process>,
    /// The edition of its file when it was started.
    edition: Option<Edition>,
    version: Option<Version>,
    handed: Option<Advertised>,
    /// A step has failed and has to be repeated.
    again: bool,
}

impl Advertiser {
    fn new(work: Work) -> Self {
        let reporter = Reporter::new(work.post.clone(), work.reports.clone());
        let (process, edition, version, handed) = (None, None, None, None);
        Self { work, reporter, process, edition, version, handed, again: false }
    }

    /// Waits for the next event, and handles it. Returns whether the job is still wanted.
    async fn wait(&mut self) -> bool {
        let Self { work, process, again, .. } = self;
        let happens = async {
            match process {
                Some(process) => process.next().await,
                None => std::future::pending().await,
            }
        };
        let tries_again = async {
            if *again {
                sleep(AGAIN).await;
            } else {
                std::future::pending().await
            }
        };
        tokio::select! {
            // An order comes first: a program that has ended is started with the newest.
            biased;
            changed = work.orders.changed() => {
                if changed.is_err() {
                    return false;
                }
                self.follow().await;
            }
            happened = happens => self.note(&happened),
            () = tries_again => self.follow().await,
        }
        true
    }

    /// Makes the program carry out the newest order.
    async fn follow(&mut self) {
        let order = self.work.orders.borrow_and_update().clone();
        let Some(Order::Advertise { number, advertised, .. }) = order else { return };
        self.reporter.order(number);
        let Some(advertised) = advertised else {
            self.stop(Duration::ZERO).await;
            self.reporter.state(State::Idle);
            return;
        };
        self.again = false;
        let outcome = self.hand_over(&advertised).await;
        let failed = outcome.as_ref().err().cloned();
        for trouble in [Trouble::Missing, Trouble::Refused] {
            let text = failed.clone().filter(|(kind, _)| *kind == trouble).map(|(_, text)| text);
            self.reporter.trouble(trouble, text);
        }
        if failed.is_some() {
            self.again = true;
            self.reporter.state(State::Failed);
        }
    }

    async fn hand_over(&mut self, advertised: &Advertised) -> Result<(), (Trouble, String)> {
        let program = self.find()?;
        self.know(&program).await;
        let rendered = self.render(advertised);
        self.reporter.trouble(Trouble::LeftOut, left_out(&rendered.omitted));
        let config = self.config();
        files::replace(&config, rendered.text.as_bytes(), 0o644).map_err(|error| {
            let text = format!("{} cannot be written: {error}", config.display());
            (Trouble::Refused, text)
        })?;
        let before = self.handed.replace(advertised.clone());
        let is_silent = before.is_some_and(|before| before.attempt < advertised.attempt);
        let edition = Edition::of(&program);
        let is_other = self.edition != edition;
        self.edition = edition;
        let setup = self.setup(program);
        match &mut self.process {
            Some(process) if is_silent || is_other => {
                process.replace(setup);
                self.reporter.state(State::Changing);
            }
            Some(process) => process.reload(),
            None => {
                let mut process = Process::new(setup);
                process.start();
                self.process = Some(process);
                self.reporter.state(State::Starting);
            }
        }
        Ok(())
    }

    fn find(&self) -> Result<PathBuf, (Trouble, String)> {
        let name = self.work.engine.program.name();
        command::find(self.work.engine.path.as_deref(), name).ok_or_else(|| {
            let text = format!(
                "{name} is not there: install it, or name its file with program in [engine.{name}]"
            );
            (Trouble::Missing, text)
        })
    }

    /// Makes the program print its version, if another edition is installed than before.
    async fn know(&mut self, program: &std::path::Path) {
        let edition = Edition::of(program);
        if self.version.is_some() && self.edition == edition {
            return;
        }
        // rtadvd has no version of its own: it is that of the system.
        self.version = if self.is_rtadvd() {
            None
        } else {
            match command::run(program, &["--version"], VERSION).await {
                // radvd ends with status 1 when it prints its version.
                Ok(printed) | Err(Failure::Status(_, printed)) => Version::find(&printed),
                Err(Failure::Start(_) | Failure::Slow(_)) => None,
            }
        };
        self.reporter.version(self.version.as_ref().map(ToString::to_string));
    }

    fn render(&self, advertised: &Advertised) -> Rendered {
        let interface = &self.work.post.interface;
        if self.is_rtadvd() {
            return rtadvd::render(interface, advertised);
        }
        // A version that is not known may be an old one.
        let version = self.version.clone().unwrap_or(Version::UNKNOWN);
        radvd::render(interface, advertised, &version)
    }

    fn is_rtadvd(&self) -> bool {
        self.work.engine.program == Program::Rtadvd
    }

    fn note(&mut self, happened: &Happened) {
        if let Some(text) = happened.trouble(self.work.engine.program.name()) {
            self.reporter.trouble(Trouble::Ended, Some(plain(&text)));
        }
        match happened {
            Happened::Started { .. } => self.reporter.state(State::Running),
            // A program that ends again and again is reported as ending until it lasts.
            Happened::Settled => self.reporter.trouble(Trouble::Ended, None),
            Happened::Ended { .. } => self.reporter.state(State::Failed),
        }
    }

    /// The end of the job: the last order is sent, and the program ends.
    async fn end(&mut self) {
        let order = self.work.orders.borrow().clone();
        if let Some(Order::Advertise { advertised: Some(advertised), .. }) = order
            && self.process.is_some()
            && self.handed.as_ref() != Some(&*advertised)
        {
            self.follow().await;
        }
        // A program that ends by itself advertises that there is no router any more. If another
        // program continues in its place, that would be wrong.
        let is_over =
            self.handed.as_ref().is_some_and(|last| last.advertisement.router_lifetime == 0);
        if is_over && let Some(process) = &mut self.process {
            let _ = timeout(LAST_WORDS, async {
                // A program that has just been started is restarted for it.
                loop {
                    let _ = process.next().await;
                }
            })
            .await;
        }
        self.stop(if is_over { PATIENCE } else { Duration::ZERO }).await;
    }

    /// Ends the program; without `patience` it has no time to send a last advertisement.
    async fn stop(&mut self, patience: Duration) {
        if let Some(mut process) = self.process.take() {
            process.stop(patience).await;
        }
        self.handed = None;
    }

    fn name(&self) -> String {
        super::name(&self.work.post, self.work.engine.program)
    }

    fn config(&self) -> PathBuf {
        self.work.runtime_dir.join(format!("{}.conf", self.name()))
    }

    fn setup(&self, program: PathBuf) -> Setup {
        let directory = self.work.runtime_dir.clone();
        let file = |end: &str| directory.join(format!("{}.{end}", self.name())).into_os_string();
        let arguments = if self.is_rtadvd() {
            // Without -s it adds the prefixes of the interface by itself.
            vec![
                "-f".into(),
                "-s".into(),
                "-c".into(),
                file("conf"),
                "-C".into(),
                file("sock"),
                "-p".into(),
                file("pid"),
                self.work.post.interface.clone().into(),
            ]
        } else {
            vec![
                "--nodaemon".into(),
                "--logmethod".into(),
                "stderr".into(),
                "--config".into(),
                file("conf"),
                "--pidfile".into(),
                file("pid"),
            ]
        };
        let (name, process_start) = (self.name(), self.work.process_start);
        Setup { name, program, arguments, left_behind: None, directory, process_start }
    }
}

/// The parts of an order that the program cannot express, as a sentence.
fn left_out(omitted: &[Omitted]) -> Option<String> {
    const SHOWN: usize = 4;
    if omitted.is_empty() {
        return None;
    }
    let shown: Vec<String> = omitted.iter().take(SHOWN).map(ToString::to_string).collect();
    let others = omitted.len().saturating_sub(SHOWN);
    let more = if others > 0 { format!(" and {others} more") } else { String::new() };
    Some(format!(
        "it cannot advertise {}{more}: use the built-in advertiser, or a newer version",
        plain(&shown.join(", "))
    ))
}
