//! What a change means for many bindings: the first follow in the same pass, the others in slices,
//! between which packets are answered. Whoever asks meanwhile gets a whole answer all the same:
//! its binding follows before that. Routes come before records, without which a restarted agent
//! finds out the same.

use std::collections::{BTreeMap, BTreeSet};

use super::Core;
use super::delegate::BindingKey;
use super::output::Step;
use super::system::{KernelRoute, RouteKey};
use crate::time::{Deadline, Instant};

/// What is done in one pass: some 2 ms of the kernel's time.
const SLICE: usize = 256;

/// What is left to be done for bindings.
#[derive(Clone, Debug, Default)]
pub(super) struct Backlog {
    /// Whose records are to be written.
    records: BTreeSet<BindingKey>,
    /// Steps about routes to what is delegated. They are derived whenever the desired state is.
    steps: BTreeMap<RouteKey, Step>,
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.steps.is_empty()
    }

    /// Whether steps are left.
    pub(super) fn has_steps(&self) -> bool {
        !self.steps.is_empty()
    }

    /// The records of bindings are to be written.
    pub(super) fn add_records(&mut self, mut touched: BTreeSet<BindingKey>) {
        self.records.append(&mut touched);
    }

    /// Forgets the steps, as they are about to be derived.
    pub(super) fn clear_steps(&mut self) {
        self.steps.clear();
    }

    /// A binding is looked at apart: what was left to be done for it follows from that.
    pub(super) fn remove(&mut self, key: &BindingKey, routes: &[KernelRoute]) {
        self.records.remove(key);
        if !self.steps.is_empty() {
            routes.iter().for_each(|route| drop(self.steps.remove(&route.key())));
        }
    }

    /// There is always time for the next slice.
    pub(super) fn deadline(&self, now: Instant) -> Option<Deadline> {
        (!self.is_empty()).then(|| Deadline::new(now, "routes and records of bindings"))
    }

    fn next_records(&mut self) -> BTreeSet<BindingKey> {
        std::iter::from_fn(|| self.records.pop_first()).take(SLICE).collect()
    }

    fn next_steps(&mut self) -> Vec<Step> {
        let next = std::iter::from_fn(|| self.steps.pop_first());
        next.map(|(_, step)| step).take(SLICE).collect()
    }
}

impl Core {
    /// Has the next records written.
    pub(super) fn remember_next(&mut self) {
        let records = self.backlog.next_records();
        self.remember_bindings(&records);
    }

    /// The steps to be taken at once: of those about routes to what is delegated a slice.
    pub(super) fn first_slice(&mut self, mut steps: Vec<Step>) -> Vec<Step> {
        if steps.len() <= SLICE {
            return steps;
        }
        let Self { backlog, desired, .. } = self;
        let mut room = SLICE;
        steps.retain(|step| {
            let (Step::AddRoute(route) | Step::ReplaceRoute(route) | Step::RemoveRoute(route)) =
                step
            else {
                return true;
            };
            if desired.routes.contains_key(&route.key()) {
                return true;
            }
            if room == 0 {
                backlog.steps.insert(route.key(), step.clone());
                return false;
            }
            room -= 1;
            true
        });
        steps
    }

    /// Does the next slice of what is left.
    pub(super) fn work_off(&mut self, now: Instant) {
        if self.backlog.is_empty() {
            return;
        }
        if !self.backlog.has_steps() {
            return self.remember_next();
        }
        let mut steps = self.backlog.next_steps();
        steps.retain(|step| !self.failures.holds(now, step));
        self.take_steps(steps);
    }
}
