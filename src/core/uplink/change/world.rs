//! An uplink with its delegating router on a virtual clock, for the tests of the policy.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::{Changes, Outcome, Refresh, RefreshKind, Trigger};
use crate::time::Instant;

/// The delegating router, which is also the one that advertises.
pub(super) const PARENT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// The parent repeats a Reconfigure that gets no answer (REC_TIMEOUT, RFC 9915 §7.6).
const RECONFIGURE_INTERVAL: Duration = Duration::from_secs(2);

/// Neither a refresh nor a retransmission goes on for ever in a correct world.
const LONGEST: Instant = Instant::from_secs(4000);

pub(super) const ADVERTISEMENT: Trigger =
    Trigger::Prefix { router: PARENT, kind: RefreshKind::Renew };
pub(super) const RECONFIGURE: Trigger =
    Trigger::Reconfigure { server: PARENT, kind: RefreshKind::Renew };

#[derive(Clone, Copy, Debug)]
pub(super) enum Event {
    /// Something triggers.
    Trigger(Trigger),
    /// The parent's bindings move; true if it sends a Reconfigure.
    Switch(bool),
    /// The parent reconfigures all routers that have not asked since state `0`.
    Reconfigure(u32),
    /// A request reaches the parent.
    Request,
    /// The answer, if there is one, is here.
    Answer(Option<u32>),
}

pub(super) struct World {
    pub(super) changes: Changes,
    /// Every refresh that was started, and when.
    pub(super) refreshes: Vec<(Instant, Refresh)>,
    /// What the parent would lease, as a number that grows with each change.
    pub(super) parent: u32,
    /// What is leased.
    pub(super) lease: u32,
    /// Something is leased.
    pub(super) has_lease: bool,
    /// One way to the parent.
    pub(super) latency: Duration,
    /// The parent does not answer, and retransmission ends after this time.
    pub(super) silent: Option<Duration>,
    script: BTreeMap<(Instant, usize), Event>,
    under_way: bool,
    asked: u32,
    scheduled: usize,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            changes: Changes::new(),
            refreshes: Vec::new(),
            parent: 0,
            lease: 0,
            has_lease: true,
            latency: Duration::from_millis(1),
            silent: None,
            script: BTreeMap::new(),
            under_way: false,
            asked: 0,
            scheduled: 0,
        }
    }

    /// Lets `event` happen at `at`; those of one instant happen in the order of these calls.
    pub(super) fn schedule(&mut self, at: Instant, event: Event) {
        self.scheduled += 1;
        self.script.insert((at, self.scheduled), event);
    }

    /// Runs until nothing is left to happen.
    pub(super) fn run(&mut self) {
        self.run_until(LONGEST);
        assert!(self.script.is_empty() && self.changes.deadline().is_none(), "never quiet");
    }

    /// Runs what happens until `until`.
    pub(super) fn run_until(&mut self, until: Instant) {
        let mut now = Instant::BOOT;
        loop {
            let scripted = self.script.first_key_value().map(|((at, _), _)| *at);
            let own = self.changes.deadline().map(|deadline| deadline.at);
            let Some(next) = [scripted, own].into_iter().flatten().min() else { return };
            if next > until {
                return;
            }
            now = now.max(next);
            if scripted.is_some_and(|at| at <= now)
                && let Some((_, event)) = self.script.pop_first()
            {
                self.happen(now, event);
            }
            while let Some(refresh) = self.changes.poll(now) {
                self.start(now, refresh);
            }
            assert!(
                self.changes.deadline().is_none_or(|deadline| deadline.at > now),
                "a deadline that poll does not serve is a busy loop"
            );
        }
    }

    fn happen(&mut self, now: Instant, event: Event) {
        match event {
            Event::Trigger(trigger) => {
                if let Some(refresh) = self.changes.handle_trigger(now, trigger) {
                    self.start(now, refresh);
                }
            }
            Event::Switch(reconfigure) => {
                self.parent += 1;
                if reconfigure {
                    self.schedule(now, Event::Reconfigure(self.parent));
                }
            }
            Event::Reconfigure(version) if self.asked < version => {
                self.schedule(now + self.latency, Event::Trigger(RECONFIGURE));
                self.schedule(now + RECONFIGURE_INTERVAL, Event::Reconfigure(version));
            }
            Event::Reconfigure(_) => {}
            Event::Request => {
                self.asked = self.parent;
                self.schedule(now + self.latency, Event::Answer(Some(self.parent)));
            }
            Event::Answer(None) => {
                self.under_way = false;
                self.changes.handle_outcome(now, Outcome::Failed, None);
            }
            Event::Answer(Some(version)) => {
                self.under_way = false;
                let changed = version != self.lease;
                let had_lease = std::mem::replace(&mut self.has_lease, true);
                let outcome = match (had_lease, changed) {
                    (false, _) => Outcome::Partial,
                    (true, true) => Outcome::Fruitful,
                    (true, false) => Outcome::Unchanged,
                };
                self.lease = version;
                self.changes.handle_outcome(now, outcome, Some(PARENT));
            }
        }
    }

    fn start(&mut self, now: Instant, refresh: Refresh) {
        self.refreshes.push((now, refresh));
        if self.under_way {
            return; // the lease absorbs it
        }
        self.under_way = true;
        match self.silent {
            Some(ladder) => self.schedule(now + ladder, Event::Answer(None)),
            None => self.schedule(now + self.latency, Event::Request),
        }
    }

    /// When refreshes were started that are no follow-ups.
    pub(super) fn changes_at(&self) -> Vec<Instant> {
        let changes = self.refreshes.iter().filter(|(_, refresh)| !refresh.follow_up);
        changes.map(|(at, _)| *at).collect()
    }
}
