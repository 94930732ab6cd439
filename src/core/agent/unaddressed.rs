//! Links that run without a link-local address to send from. Each one does for a while when it comes
//! up: the kernel looks for duplicates first.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::config::Config;
use crate::core::kernel::system::System;
use crate::net::IfIndex;
use crate::time::{Deadline, Instant};

/// Linux reports an address when duplicates have been looked for, which takes up to two seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Interfaces of the configuration that run without a usable link-local address.
#[derive(Clone, Debug, Default)]
pub(in crate::core) struct Unaddressed(BTreeMap<IfIndex, Lack>);

/// The lack of a link-local address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lack {
    /// Since this time, which is not long enough to report.
    Since(Instant),
    /// It is to be reported.
    Lasting,
}

impl Unaddressed {
    /// Compares with what the kernel has; whether what is to be reported differs.
    pub(super) fn follow(&mut self, now: Instant, config: &Config, system: &System) -> bool {
        let names = config.interfaces();
        let lacks = |index: &IfIndex| {
            system.links.get(index).is_some_and(|link| {
                link.running && names.contains(&link.name) && system.link_local(*index).is_none()
            })
        };
        let before = self.0.len();
        let was_reported = self.0.values().any(|lack| *lack == Lack::Lasting);
        self.0.retain(|index, _| lacks(index));
        let has_ended = self.0.len() < before;
        for index in system.links.keys().filter(|index| lacks(index)) {
            self.0.entry(*index).or_insert(Lack::Since(now));
        }
        was_reported && has_ended
    }

    /// Takes note of those that have lasted for long enough by now; whether there are any.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        let mut differs = false;
        for lack in self.0.values_mut() {
            if matches!(lack, Lack::Since(since) if *since + PATIENCE <= now) {
                *lack = Lack::Lasting;
                differs = true;
            }
        }
        differs
    }

    /// When there is something to report.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        let since = self.0.values().filter_map(|lack| match lack {
            Lack::Since(since) => Some(*since),
            Lack::Lasting => None,
        });
        Some(Deadline::new(since.min()? + PATIENCE, "link-local address of an interface"))
    }

    /// Whether an interface has lacked one for long enough to report it.
    pub(super) fn is_lasting(&self, interface: IfIndex) -> bool {
        self.0.get(&interface) == Some(&Lack::Lasting)
    }
}
