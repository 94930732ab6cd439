//! A program that delegates on a downlink: it is started with its first order, and kept at the
//! newest.
//!
//! A program that ends is started again, at growing intervals; one whose control does not answer is
//! taken to hang, and is killed and restarted. Its file has the whole order, so that a restart
//! needs nothing else.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use tokio::time::{Instant, sleep_until};

use super::Work;
use super::driver::{Driver, Known, Wrong};
use super::lookups::{Lookup, Lookups};
use super::process::{Happened, Process};
use crate::core::delegate::Assigned;
use crate::core::engine::{Leased, Leases, Order, Report, State, Trouble};
use crate::programs::command::plain;
use crate::programs::files::Edition;
use crate::wire::dhcpv6_option::Duid;

/// How often a missing program is looked for, and a running one is asked whether it answers.
const LOOK: Duration = Duration::from_secs(10);
/// How often it is asked after its start.
const STARTING: Duration = Duration::from_millis(20);
/// How long it may take to start; twice that the next time, up to a bound.
const STARTS_WITHIN: Duration = Duration::from_secs(5);
const LONGEST_START: Duration = Duration::from_secs(60);
/// The pauses before restarts of a program that hangs repeatedly, until it has run well for the
/// longest of them.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const CALM: Duration = Duration::from_secs(60);
/// How long it may take to end.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// The pauses before restarts: none before the first, and growing ones where that does not help.
#[derive(Default)]
struct Pauses {
    /// The time of the last restart, and the pause before it.
    last: Option<(Instant, Duration)>,
}

impl Pauses {
    fn next(&mut self, now: Instant) -> Duration {
        let pause = match self.last {
            Some((at, pause)) if now - at < pause + CALM => {
                (pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE)
            }
            Some(_) | None => Duration::ZERO,
        };
        self.last = Some((now, pause));
        pause
    }
}

/// A program and its state.
struct Delegator {
    work: Work,
    driver: Driver,
    process: Process,
    phase: Phase,
    patience: Duration,
    version: Option<String>,
    troubles: BTreeMap<Trouble, String>,
    state: State,
    /// The number of the newest order.
    order: u64,
    /// It has not carried out the newest order.
    is_behind: bool,
    /// Its file has the newest order.
    is_written: bool,
    /// The pauses before restarts.
    pauses: Pauses,
    /// When it is asked for its leases.
    lookups: Lookups,
    /// When it was last checked.
    checked_at: Instant,
    /// The index of its interface when it was started.
    index: Option<u32>,
    /// Its file when it was started.
    edition: Option<Edition>,
    /// The last report.
    reported: Option<Report>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It does not run.
    Off,
    /// It has to answer by this time.
    Starting { until: Instant },
    /// It answers.
    Ready,
}

/// Does the job until it is not wanted any more.
pub(super) async fn run(mut work: Work) {
    let Some((mut order, assigned)) = first_order(&mut work).await else { return };
    let (driver, process) = loop {
        let found = Driver::find(&work, &assigned)
            .and_then(|mut driver| driver.prepare().map(|setup| (driver, setup)));
        match found {
            Ok((driver, setup)) => break (driver, Process::new(setup)),
            Err((trouble, text)) => {
                let report = Report {
                    post: work.post.clone(),
                    order,
                    version: None,
                    state: State::Failed,
                    troubles: BTreeMap::from([(trouble, text)]),
                };
                if work.reports.send(report).await.is_err() {
                    return;
                }
            }
        }
        // A newer order is read when it has come.
        match tokio::time::timeout(LOOK, work.orders.changed()).await {
            Ok(Ok(())) => order = newest(&mut work).map_or(order, |(number, _)| number),
            Ok(Err(_)) => return,
            Err(_) => {}
        }
    };
    let delegator = Delegator {
        work,
        driver,
        process,
        phase: Phase::Off,
        patience: STARTS_WITHIN,
        version: None,
        troubles: BTreeMap::new(),
        state: State::Starting,
        order,
        is_behind: false,
        is_written: false,
        pauses: Pauses::default(),
        lookups: Lookups::new(Instant::now()),
        checked_at: Instant::now(),
        index: None,
        edition: None,
        reported: None,
    };
    delegator.serve().await;
}

async fn first_order(work: &mut Work) -> Option<(u64, Assigned)> {
    loop {
        if let Some(order) = newest(work) {
            return Some(order);
        }
        work.orders.changed().await.ok()?;
    }
}

/// The newest order, with its number.
fn newest(work: &mut Work) -> Option<(u64, Assigned)> {
    match &*work.orders.borrow_and_update() {
        Some(Order::Delegate { number, assigned, .. }) => Some((*number, (**assigned).clone())),
        Some(Order::Renew { .. } | Order::Advertise { .. } | Order::LookUp { .. }) | None => None,
    }
}

impl Delegator {
    async fn serve(mut self) {
        if let Some((number, assigned)) = newest(&mut self.work) {
            self.order = number;
            self.write(&assigned);
        }
        self.process.start();
        loop {
            if self.report().await.is_err() {
                break;
            }
            // The time counts from the last check, so that no other event delays the next one.
            let check_at = match self.phase {
                Phase::Off | Phase::Ready => self.checked_at + LOOK,
                Phase::Starting { .. } => self.checked_at + STARTING,
            };
            tokio::select! {
                happened = self.process.next() => self.note(&happened),
                changed = self.work.orders.changed() => {
                    if changed.is_err() {
                        break;
                    }
                    self.take_order().await;
                }
                Some(duid) = self.work.lookups.recv() => self.lookups.add(Instant::now(), duid),
                () = sleep_until(self.lookups.next_at()), if self.can_look() => self.look().await,
                () = sleep_until(check_at) => {
                    self.check().await;
                    self.checked_at = Instant::now();
                }
            }
        }
        self.process.stop(ENDS_WITHIN).await;
    }

    fn note(&mut self, happened: &Happened) {
        if let Some(text) = happened.trouble("it") {
            self.troubles.insert(Trouble::Ended, text);
        }
        match happened {
            Happened::Started { .. } => {
                self.phase = Phase::Starting { until: Instant::now() + self.patience };
                self.driver.started();
                self.index = self.index_now();
                self.edition = Edition::of(self.driver.program());
            }
            Happened::Settled => {}
            Happened::Ended { .. } => {
                self.phase = Phase::Off;
                self.prepare();
                self.state = State::Failed;
            }
        }
    }

    /// Prepares the next start from scratch: files may have been removed, and another program may
    /// have taken its port.
    fn prepare(&mut self) {
        match self.driver.prepare() {
            Ok(setup) => self.process.replace(setup),
            Err((trouble, text)) => drop(self.troubles.insert(trouble, text)),
        }
        if let Some((_, assigned)) = newest(&mut self.work) {
            self.write(&assigned);
        }
    }

    async fn take_order(&mut self) {
        let Some((number, assigned)) = newest(&mut self.work) else { return };
        self.order = number;
        self.write(&assigned);
        if self.phase == Phase::Ready && self.is_upgraded() {
            // A change ends its bindings in any case, so that a restart loses nothing more.
            (self.phase, self.state) = (Phase::Off, State::Changing);
            self.process.restart();
        } else if self.phase == Phase::Ready {
            if self.state == State::Running {
                self.state = State::Changing;
                let _ = self.report().await;
            }
            self.apply().await;
        }
    }

    /// Writes the file of a new start; returns whether that succeeded.
    fn write(&mut self, assigned: &Assigned) -> bool {
        self.is_behind = true;
        let written = self.driver.write(assigned);
        self.is_written = written.is_ok();
        match written {
            Ok(left_out) if left_out.is_empty() => drop(self.troubles.remove(&Trouble::LeftOut)),
            Ok(left_out) => drop(self.troubles.insert(Trouble::LeftOut, left_out.join("; "))),
            Err(error) => {
                let text = format!("its file cannot be written, and is tried again: {error}");
                self.fail((Trouble::Refused, text));
            }
        }
        self.is_written
    }

    /// Makes the program carry out the newest order.
    ///
    /// The file comes first: a program that read its old file would seem to have carried out the
    /// order.
    async fn apply(&mut self) {
        if !self.is_written
            && !newest(&mut self.work).is_some_and(|(_, assigned)| self.write(&assigned))
        {
            return;
        }
        let began = Instant::now();
        match self.driver.apply().await {
            Ok(leases) => {
                self.lookups.listed(Instant::now(), began.elapsed());
                self.hand_on(None, leases).await;
                self.is_behind = false;
                self.recover();
            }
            Err(wrong) => self.fail(wrong),
        }
    }

    /// It has carried out its order: its faults are over.
    fn recover(&mut self) {
        let temporary = [Trouble::Ended, Trouble::Silent, Trouble::Refused];
        temporary.iter().for_each(|trouble| drop(self.troubles.remove(trouble)));
        self.state = State::Running;
    }

    /// Whether it can be asked for its leases.
    fn can_look(&self) -> bool {
        self.phase == Phase::Ready && !self.is_behind && self.driver.leases()
    }

    /// Asks for its leases.
    async fn look(&mut self) {
        let began = Instant::now();
        let Some(lookup) = self.lookups.take(began) else { return };
        let of = match &lookup {
            Lookup::All => None,
            Lookup::Of(duid, _) => Some(duid.clone()),
        };
        match self.driver.look(of.as_ref()).await {
            Ok(Known { leases, is_fresh }) => {
                self.recover();
                let now = Instant::now();
                match lookup {
                    Lookup::All => self.lookups.listed(now, began.elapsed()),
                    Lookup::Of(duid, attempt) if !is_fresh => {
                        self.lookups.retry(now, duid, attempt);
                    }
                    Lookup::Of(..) => {}
                }
                self.hand_on(of, leases).await;
            }
            Err(wrong) => {
                self.lookups.listed(Instant::now(), began.elapsed());
                self.fail(wrong);
            }
        }
    }

    async fn hand_on(&self, of: Option<Duid>, leases: Vec<Leased>) {
        if self.driver.leases() {
            let downlink = self.work.post.interface.clone();
            // The receiver is gone when the agent ends.
            let _ = self.work.leases.send(Leases { downlink, of, leases }).await;
        }
    }

    /// Handles a failure: a program that hangs is restarted; one that refuses its order would
    /// refuse it again.
    fn fail(&mut self, (trouble, text): Wrong) {
        self.state = State::Failed;
        if trouble == Trouble::Silent {
            self.phase = Phase::Off;
            self.prepare();
            self.process.restart_in(self.pauses.next(Instant::now()));
        }
        self.troubles.insert(trouble, plain(&text));
    }

    async fn check(&mut self) {
        match self.phase {
            Phase::Off => {}
            Phase::Starting { until } => match self.driver.probe().await {
                Ok(version) => {
                    (self.phase, self.patience) = (Phase::Ready, STARTS_WITHIN);
                    self.version = version.or_else(|| self.version.take());
                    self.apply().await;
                }
                Err(_) if Instant::now() < until => {}
                Err(wrong) => {
                    self.patience = (self.patience * 2).min(LONGEST_START);
                    self.fail(wrong);
                }
            },
            Phase::Ready if self.has_lost_interface() => {
                let text = "its interface was made anew, and it does not hear it: restarted";
                self.fail((Trouble::Silent, text.to_owned()));
            }
            Phase::Ready if self.is_behind => self.apply().await,
            Phase::Ready => {
                if let Err(wrong) = self.driver.probe().await {
                    self.fail(wrong);
                }
            }
        }
    }

    /// Whether its interface has another index than at its start: its sockets belong to an index.
    fn has_lost_interface(&self) -> bool {
        let now = self.index_now();
        now.is_some() && now != self.index
    }

    /// Whether its file has been replaced since its start: parts that a running program loads later
    /// may be too new for it.
    fn is_upgraded(&self) -> bool {
        let now = Edition::of(self.driver.program());
        now.is_some() && now != self.edition
    }

    fn index_now(&self) -> Option<u32> {
        if_nametoindex(self.work.post.interface.as_str()).ok()
    }

    /// Sends a report if it differs from the last one.
    ///
    /// # Errors
    ///
    /// When reports are not received any more.
    async fn report(&mut self) -> Result<(), ()> {
        let report = Report {
            post: self.work.post.clone(),
            order: self.order,
            version: self.version.clone(),
            state: self.state,
            troubles: self.troubles.clone(),
        };
        if self.reported.as_ref() == Some(&report) {
            return Ok(());
        }
        self.reported = Some(report.clone());
        self.work.reports.send(report).await.map_err(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// BKE-07: whatever it answers, it is not killed and started all the time.
    #[test]
    fn one_that_hangs_again_and_again_is_started_ever_more_rarely() {
        let (mut pauses, mut now) = (Pauses::default(), Instant::now());
        let mut took = Vec::new();
        for _ in 0..9 {
            let pause = pauses.next(now);
            took.push(pause.as_secs());
            now += pause + Duration::from_millis(500);
        }
        assert_eq!(took, [0, 1, 2, 4, 8, 16, 32, 60, 60]);
        now += LONGEST_PAUSE + CALM;
        assert_eq!(pauses.next(now), Duration::ZERO, "it did well for a while");
    }
}
