//! What brings the kernel to the desired state.

use super::backlog::Backlog;
use super::diff::{self, Removable};
use super::object::{Key, Object, Port, Step};
use super::refusals::Refusals;
use super::state::State;
use super::system::System;
use crate::core::desired::{Delegated, Desired};
use crate::core::kernel::object::Refusal;
use crate::time::Instant;

/// Brings the kernel to the desired state.
#[derive(Clone, Debug, Default)]
pub(in crate::core) struct Reconciler {
    pub state: State,
    /// What should be.
    pub desired: Desired,
    /// The routes to what is delegated onward.
    pub delegated: Delegated,
    /// What might be removed when the desired state was derived last.
    pub removable: Removable,
    pub refusals: Refusals,
    pub backlog: Backlog,
    /// The kernel may differ from what was assumed: all routes are to be compared then.
    pub compare_all: bool,
}

impl Reconciler {
    /// Takes over what the kernel has, whole. Steps that are still on their way to it count as
    /// taken, as they did before. Returns the steps for what outlives its link.
    pub(in crate::core) fn replace(&mut self, system: System, pending: Vec<Step>) -> Vec<Step> {
        self.state.replace(system);
        let steps = self.state.forget_links();
        pending.into_iter().for_each(|step| self.state.assume(step));
        self.compare_all = true;
        steps
    }

    /// Forgets what was about links that have vanished: the steps for what outlives its link.
    pub(in crate::core) fn forget_links(&mut self) -> Vec<Step> {
        self.state.forget_links()
    }

    /// Takes steps as taken.
    pub(in crate::core) fn assume(&mut self, now: Instant, steps: Vec<Step>) {
        for step in steps {
            self.refusals.retried(now, &step);
            self.state.assume(step);
        }
    }

    /// The kernel refused a step: what was assumed is taken back, and the step waits until its
    /// retry. True for the first refusal of a row.
    ///
    /// What is not there is removed, whoever has done that, and is not taken for made any longer.
    /// Of addresses and routes the kernel itself reports whether they are there.
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

    /// All steps from what the kernel has to what it should have, in order of rank, but those that
    /// were refused and wait. `before` is what was desired until now.
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

    /// Whether a step has to be taken before anyone hears of it. What merely moves lifetimes or
    /// removes can wait until everyone has heard.
    pub(in crate::core) fn is_awaited(&self, step: &Step) -> bool {
        let system = &self.state.system;
        match step {
            Step::Set(Object::Address(address)) => {
                !system.addresses.contains_key(&(address.interface, address.address))
            }
            Step::Replace(Object::Route(route)) => !system.routes.contains_key(&route.key()),
            Step::Remove(Object::Address(_) | Object::Route(_)) => false,
            Step::Set(_) | Step::Replace(_) | Step::Remove(_) => true,
        }
    }
}
