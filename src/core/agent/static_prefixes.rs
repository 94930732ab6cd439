//! Static prefixes that a command replaces, and their part in the record of changes.

use std::collections::BTreeMap;

use ipnet::Ipv6Net;

use crate::core::Core;
use crate::core::output::Output;
use crate::core::stage::{Cause, Prefixes};
use crate::core::uplink::Effect;
use crate::time::Instant;

/// The name under which changes of static prefixes are recorded: no interface can bear a name with
/// a space.
pub(in crate::core) const STATIC: &str = "static prefixes";

impl Core {
    /// Replaces static prefixes, all in one pass.
    pub(in crate::core) fn set_prefixes(
        &mut self,
        now: Instant,
        prefixes: BTreeMap<String, Option<Ipv6Net>>,
        graceful: bool,
    ) -> (String, Effect) {
        for (name, prefix) in prefixes {
            if let Some(record) = self.statics.set(now, &name, prefix, graceful) {
                self.memory.fold(record.clone());
                self.outputs.push_back(Output::Remember(record));
            }
        }
        let effect = Effect {
            derive: true,
            began: Some(Cause::Command),
            delegated: true,
            ..Effect::default()
        };
        (STATIC.to_owned(), effect)
    }

    /// The static prefixes as they are now, for the record of a change.
    pub(in crate::core) fn static_prefixes(&self, now: Instant) -> Prefixes {
        Prefixes { delegated: self.statics.current(now), ..Prefixes::default() }
    }
}
