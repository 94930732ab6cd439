//! The record of changes: what has begun, how far it has come.

use std::collections::BTreeMap;

use crate::core::Core;
use crate::core::output::Output;
use crate::core::stage::{Milestone, Prefixes, Stage};
use crate::core::uplink::Effect;
use crate::time::Instant;

impl Core {
    /// Begins the record of a change, or continues the one that is under way.
    pub(in crate::core) fn follow_change(&mut self, now: Instant, name: &str, effect: &Effect) {
        let from =
            |reported: &BTreeMap<String, Prefixes>| reported.get(name).cloned().unwrap_or_default();
        let count = self.history.count();
        if let Some(cause) = effect.began {
            self.history.begin(now, name, cause, from(&self.reported));
        }
        let mut delegated = None;
        if effect.delegated {
            let (change, event) = self.history.delegated(now, name, from(&self.reported));
            self.unadvertised = Some(change);
            delegated = event;
        }
        if self.history.count() != count {
            self.events.extend(self.history.last_mut(name).map(|change| change.began()));
        }
        self.events.extend(delegated);
    }

    pub(in crate::core) fn milestone(&mut self, uplink: &str, stage: Stage) {
        if let Some(change) = self.history.last_mut(uplink).filter(|change| !change.reported) {
            let milestone = Milestone { change: change.number, stage };
            self.outputs.push_back(Output::Milestone(milestone));
        }
    }

    /// A stage was reached; the last one is reported to the operator.
    pub(in crate::core) fn reach(&mut self, now: Instant, milestone: Milestone) {
        let Milestone { change, stage } = milestone;
        self.events.extend(self.history.reached(now, change, stage));
        let advertised = Output::Milestone(Milestone { change, stage: Stage::Advertised });
        let waits = self.unadvertised == Some(change) || self.outputs.contains(&advertised);
        let last = stage == Stage::Advertised || (stage == Stage::Applied && !waits);
        let statics = self.static_prefixes(now);
        let change = self.history.change_mut(change).filter(|change| last && !change.reported);
        let Some(change) = change else { return };
        let uplink = self.uplinks.get(&change.uplink);
        change.to = uplink.map_or(statics, |uplink| uplink.current(now));
        change.reported = true;
        self.reported.insert(change.uplink.clone(), change.to.clone());
        self.events.push_back(change.finished());
    }
}
