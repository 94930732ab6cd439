//! Reconciliation of the kernel's state with the desired one.

use super::backlog::Backlog;
use super::diff::{self, Removable};
use super::object::{Key, Object, Port, Step};
use super::refusals::Refusals;
use super::state::State;
use super::system::System;
use crate::core::desired::{Delegated, Desired};
use crate::core::kernel::object::Refusal;
use crate::time::Instant;

/// Computes the steps that bring the kernel to the desired state.
#[derive(Clone, Debug, Default)]
pub(in crate::core) struct Reconciler {
    pub state: State,
    /// The desired state.
    pub desired: Desired,
    /// The routes to delegated prefixes.
    pub delegated: Delegated,
    /// The objects that could be removed when the desired state was derived last.
    pub removable: Removable,
    pub refusals: Refusals,
    pub backlog: Backlog,
    /// The kernel's state may differ from the assumed one: all routes are to be compared.
    pub compare_all: bool,
}

impl Reconciler {
    /// Takes over the kernel's whole state. Steps on their way to the kernel stay assumed. Returns
    /// the steps for memberships of links that have vanished.
    pub(in crate::core) fn replace(&mut self, system: System, pending: Vec<Step>) -> Vec<Step> {
        self.state.replace(system);
        let steps = self.state.forget_links();
        pending.into_iter().for_each(|step| self.state.assume(step));
        self.compare_all = true;
        steps
    }

    /// Drops everything about links that have vanished. Returns the steps for their memberships.
    pub(in crate::core) fn forget_links(&mut self) -> Vec<Step> {
        self.state.forget_links()
    }

    /// Assumes that steps succeed.
    pub(in crate::core) fn assume(&mut self, now: Instant, steps: Vec<Step>) {
        for step in steps {
            self.refusals.retried(now, &step);
            self.state.assume(step);
        }
    }

    /// Handles a refusal: the assumption is taken back, and the step waits until its retry. Returns
    /// true for the first refusal in a row.
    ///
    /// An object whose removal fails because it does not exist counts as removed. The kernel itself
    /// reports whether addresses and routes exist.
    pub(in crate::core) fn refused(&mut self, now: Instant, step: Step, refusal: Refusal) -> bool {
        let is_removed = match &step {
            Step::Remove(Object::Address(_) | Object::Route(_)) => false,
            Step::Remove(_) => refusal == Refusal::NotThere,
            Step::Set(_) | Step::Replace(_) => false,
        };
        if is_removed {
            return false;
        }
        self.state.refuse(&step) && self.refusals.add(now, step, refusal)
    }

    /// All steps from the kernel's state to the desired one, in order of rank, without those that
    /// were refused and wait. `before` is the desired state of the last pass.
    pub(in crate::core) fn steps(
        &mut self,
        now: Instant,
        before: &Desired,
        restored: Vec<Object>,
        all: bool,
    ) -> Vec<Step> {
        let Self { state, desired, delegated, removable, refusals, .. } = self;
        let mut steps = diff::made_diff(state, desired, restored);
        let server_port = Step::Set(Object::Port(Port::Server));
        if !state.is_open(Port::Server) && refusals.holds(now, &server_port) {
            // What is refused is the port.
            steps.retain(|step| !diff::needs_port(step));
        }
        let system = &state.system;
        if all {
            steps.extend(diff::diff(now, system, desired, delegated, removable));
        } else {
            steps.extend(diff::own_diff(now, system, before, desired, delegated, removable));
        }
        steps.sort_by_key(Step::rank);
        refusals.drop_unwanted(now, &steps, |key| {
            let Key::Route(key) = key else { return true };
            all || desired.routes.contains_key(key) || before.routes.contains_key(key)
        });
        steps.retain(|step| !refusals.holds(now, step));
        steps
    }

    /// Whether a step has to be taken before any router or host hears of the change. Steps that
    /// only move lifetimes or remove can wait until all have heard.
    pub(in crate::core) fn is_awaited(&self, step: &Step) -> bool {
        let system = &self.state.system;
        match step {
            Step::Set(Object::Address(address)) => {
                let has = system.addresses.get(&(address.interface, address.address));
                has.is_none_or(|has| has.duplicate)
            }
            Step::Replace(Object::Route(route)) => !system.routes.contains_key(&route.key()),
            // Where it is wanted again it is set anew at once.
            Step::Remove(Object::Address(has)) => has.duplicate,
            Step::Remove(Object::Route(_)) => false,
            Step::Set(_) | Step::Replace(_) | Step::Remove(_) => true,
        }
    }
}
