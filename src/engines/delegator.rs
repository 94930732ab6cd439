//! A program that delegates on a downlink: started with its first order, and kept at the newest.
//!
//! One that ends is started again, ever more rarely; one whose control does not answer hangs, and is
//! killed and started anew. What it has to do is its file, so that a new start needs no more.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use nix::net::if_::if_nametoindex;
use tokio::time::{Instant, sleep_until};

use super::Work;
use super::dhcp6s;
use super::kea;
use super::lookups::{Lookup, Lookups};
use super::process::{Happened, Process};
use crate::config::Program;
use crate::core::delegate::Assigned;
use crate::core::engine::{Leased, Leases, Order, Report, State, Trouble};
use crate::programs::command::plain;
use crate::wire::dhcpv6_option::Duid;

/// A program that is not there is looked for so often, and one that runs is asked whether it does.
const LOOK: Duration = Duration::from_secs(10);
/// After its start it is asked so often.
const STARTING: Duration = Duration::from_millis(20);
/// It has so long for its start, and twice that for the next, up to a bound.
const STARTS_WITHIN: Duration = Duration::from_secs(5);
const LONGEST_START: Duration = Duration::from_secs(60);
/// The pauses before one is started anew that hangs again and again, until it has done well for so
/// long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
const CALM: Duration = Duration::from_secs(60);
/// It has so long for its end.
const ENDS_WITHIN: Duration = Duration::from_secs(2);

/// What is wrong, and the remedy.
pub(super) type Wrong = (Trouble, String);

/// What is different from program to program.
pub(super) enum Driver {
    Dhcp6s(dhcp6s::life::Driver),
    Kea(Box<kea::life::Driver>),
}

/// What a program has leased.
#[derive(Default)]
pub(super) struct Known {
    pub(super) leases: Vec<Leased>,
    /// One of them was given or renewed just now.
    pub(super) is_fresh: bool,
}

/// One that hangs once is started anew at once, and ever more rarely where that does not help.
#[derive(Default)]
struct Pauses {
    /// When it was started anew last, and the pause before that.
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

/// A program and what is known of it.
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
    /// It has not done what the newest order says.
    is_behind: bool,
    /// What there is before the next start of one that hangs.
    pauses: Pauses,
    /// When it is asked what it has leased.
    lookups: Lookups,
    /// When it was last looked at.
    checked_at: Instant,
    /// The index of its interface when it was started.
    index: Option<u32>,
    /// What was reported last.
    reported: Option<Report>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It does not run.
    Off,
    /// It is to answer by then.
    Starting { until: Instant },
    /// It answers.
    Ready,
}

/// Does the job until nobody wants it any more.
pub(super) async fn run(mut work: Work) {
    let Some((mut order, assigned)) = first_order(&mut work).await else { return };
    let (driver, process) = loop {
        match Driver::find(&work, &assigned) {
            Ok(found) => break found,
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
        // A newer order is read when it is there.
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
        pauses: Pauses::default(),
        lookups: Lookups::new(Instant::now()),
        checked_at: Instant::now(),
        index: None,
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
            // Counted from the last check: whatever else happens does not put it off.
            let check_at = match self.phase {
                Phase::Off | Phase::Ready => self.checked_at + LOOK,
                Phase::Starting { .. } => self.checked_at + STARTING,
            };
            tokio::select! {
                happened = self.process.next() => self.note(happened),
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

    fn note(&mut self, happened: Happened) {
        match happened {
            Happened::Started => {
                self.phase = Phase::Starting { until: Instant::now() + self.patience };
                self.driver.started();
                self.index = self.index_now();
            }
            Happened::Settled => {}
            Happened::Ended { how, again_in } => {
                self.phase = Phase::Off;
                self.state = State::Failed;
                let text = format!("it has ended and is started again in {again_in:?}: {how}");
                self.troubles.insert(Trouble::Ended, text);
            }
        }
    }

    async fn take_order(&mut self) {
        let Some((number, assigned)) = newest(&mut self.work) else { return };
        self.order = number;
        self.write(&assigned);
        if self.phase == Phase::Ready {
            if self.state == State::Running {
                self.state = State::Changing;
                let _ = self.report().await;
            }
            self.apply().await;
        }
    }

    /// Writes the file of a new start.
    fn write(&mut self, assigned: &Assigned) {
        self.is_behind = true;
        match self.driver.write(assigned) {
            Ok(left_out) if left_out.is_empty() => drop(self.troubles.remove(&Trouble::LeftOut)),
            Ok(left_out) => drop(self.troubles.insert(Trouble::LeftOut, left_out.join("; "))),
            Err(error) => {
                self.fail((Trouble::Refused, format!("its file cannot be written: {error}")))
            }
        }
    }

    /// Has the program do what the newest order says.
    async fn apply(&mut self) {
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

    /// It does what it was asked for: what was wrong is over.
    fn recover(&mut self) {
        let temporary = [Trouble::Ended, Trouble::Silent, Trouble::Refused];
        temporary.iter().for_each(|trouble| drop(self.troubles.remove(trouble)));
        self.state = State::Running;
    }

    /// Whether it can be asked what it has leased.
    fn can_look(&self) -> bool {
        self.phase == Phase::Ready && !self.is_behind && self.driver.leases()
    }

    /// Asks what it has leased.
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
            // Nobody reads it when everything ends.
            let _ = self.work.leases.send(Leases { downlink, of, leases }).await;
        }
    }

    /// A program that hangs is started anew; what it refuses it would refuse again.
    fn fail(&mut self, (trouble, text): Wrong) {
        self.state = State::Failed;
        if trouble == Trouble::Silent {
            self.phase = Phase::Off;
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

    /// Whether its interface is another one than that which it has opened: its sockets are of an
    /// index.
    fn has_lost_interface(&self) -> bool {
        let now = self.index_now();
        now.is_some() && now != self.index
    }

    fn index_now(&self) -> Option<u32> {
        if_nametoindex(self.work.post.interface.as_str()).ok()
    }

    /// Reports what is new.
    ///
    /// # Errors
    ///
    /// When nobody takes reports any more.
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

impl Driver {
    /// The driver of the program that is wanted, and that program, not yet started.
    fn find(work: &Work, assigned: &Assigned) -> Result<(Self, Process), Wrong> {
        match work.engine.program {
            Program::Kea => {
                let (driver, process) = kea::life::Driver::find(work, assigned)?;
                Ok((Self::Kea(Box::new(driver)), process))
            }
            // The configuration has no other program for this job.
            Program::Dhcp6s
            | Program::Dhcpcd
            | Program::Dhcp6c
            | Program::Networkd
            | Program::Command
            | Program::Radvd
            | Program::Rtadvd => {
                let (driver, process) = dhcp6s::life::Driver::find(work, assigned)?;
                Ok((Self::Dhcp6s(driver), process))
            }
        }
    }

    /// Writes the file with which the program starts; what cannot be done by it.
    fn write(&mut self, assigned: &Assigned) -> io::Result<Vec<String>> {
        match self {
            Self::Dhcp6s(driver) => driver.write(assigned),
            Self::Kea(driver) => driver.write(assigned),
        }
    }

    /// The program has been started with the file that was written last.
    fn started(&mut self) {
        match self {
            Self::Dhcp6s(driver) => driver.started(),
            Self::Kea(_) => {}
        }
    }

    /// Asks whether the program answers; its version, where it says one.
    async fn probe(&self) -> Result<Option<String>, Wrong> {
        match self {
            Self::Dhcp6s(driver) => driver.probe().await.map(|()| None),
            Self::Kea(driver) => driver.probe().await.map(Some),
        }
    }

    /// Has the running program do what was written last; what it has leased then.
    async fn apply(&mut self) -> Result<Vec<Leased>, Wrong> {
        match self {
            Self::Dhcp6s(driver) => driver.apply().await.map(|()| Vec::new()),
            Self::Kea(driver) => driver.apply().await,
        }
    }

    /// Whether it says what it has leased.
    const fn leases(&self) -> bool {
        matches!(self, Self::Kea(_))
    }

    /// What it has leased, to one router or to all. What it is not to give any more is removed.
    async fn look(&mut self, of: Option<&Duid>) -> Result<Known, Wrong> {
        match self {
            Self::Dhcp6s(_) => Ok(Known::default()),
            Self::Kea(driver) => driver.look(of).await,
        }
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
