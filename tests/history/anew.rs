//! Nothing waits for an event that it does not depend on: at any moment an agent that derives all of
//! its state anew goes on as one that does not.

use std::collections::BTreeSet;
use std::time::Duration;

use renumberd::core::Core;
use renumberd::core::input::Input;
use renumberd::core::output::{Object, Step};
use renumberd::sim::kernel::Kernel;
use renumberd::time::Instant;

use super::World;

/// Lifetimes that were heard, and what waits for its turn, reach the kernel within that.
const SPAN: Duration = Duration::from_secs(11);
/// An agent wakes no more often than this in that time, or it is not followed to the end.
const MOST: usize = 200;

impl World {
    /// Looks at what two copies of the agent do that hear nothing more.
    pub fn check_anew(&self) {
        let (core, kernel) = (&self.node.core, &self.node.kernel);
        let is_late = core.deadline(self.now).is_none_or(|next| next.at <= self.now);
        let is_unknown = self.node.holds_events || !kernel.events.is_empty();
        let is_disturbed = !kernel.refusals.rules.is_empty() || !self.node.refused.is_empty();
        if is_late || is_unknown || is_disturbed || core.has_postponed_work() {
            return;
        }
        let all = Input::System(kernel.system().clone());
        let anew = live_on(core.clone(), self.now, kernel, Some(all));
        let as_ever = live_on(core.clone(), self.now, kernel, None);
        if let (Some(anew), Some(as_ever)) = (anew, as_ever) {
            assert_eq!(anew, as_ever, "derived anew, and not");
        }
    }
}

/// Addresses, routes and conditions after some time.
fn live_on(
    mut core: Core,
    mut now: Instant,
    kernel: &Kernel,
    first: Option<Input>,
) -> Option<BTreeSet<String>> {
    let system = kernel.system();
    let addresses = system.addresses.values().filter(|one| one.ours).cloned().map(Object::Address);
    let routes = system.routes.values().cloned().map(Object::Route);
    let mut has: BTreeSet<_> = addresses.chain(routes).map(|object| object.key()).collect();
    let end = now + SPAN;
    let mut input = first;
    for _ in 0..MOST {
        if let Some(input) = input.take() {
            core.handle(now, input);
        }
        while let Some(output) = core.poll_output() {
            for step in output.steps() {
                match step {
                    Step::Set(object @ (Object::Address(_) | Object::Route(_))) => {
                        has.insert(object.key());
                    }
                    Step::Remove(object) => {
                        has.remove(&object.key());
                    }
                    _ => {}
                }
            }
        }
        match core.deadline(now).filter(|next| next.at <= end) {
            Some(next) => (now, input) = (next.at.max(now), Some(Input::Timeout)),
            None => {
                let status = core.status(end);
                let conditions = status.conditions.into_iter();
                let conditions = conditions.map(|one| format!("{} of {}", one.name, one.subject));
                return Some(has.iter().map(|key| format!("{key:?}")).chain(conditions).collect());
            }
        }
    }
    None
}
