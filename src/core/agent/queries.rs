//! What the shell asks the core: which uplinks and static prefixes there are, and what they lack.

use crate::core::Core;
use crate::core::uplink::Lack;
use crate::core::uplink::solicit::Solicitation;
use crate::time::Instant;

impl Core {
    /// Whether there is an uplink of this name.
    pub fn has_uplink(&self, name: &str) -> bool {
        self.uplinks.contains_key(name)
    }

    /// The state of router solicitation on an uplink, and whether it can send; none where there is
    /// no such uplink.
    pub fn solicitation(&self, uplink: &str) -> Option<(bool, Solicitation)> {
        let uplink = self.uplinks.get(uplink)?;
        Some((uplink.attached().is_some(), uplink.solicitation()))
    }

    /// What an uplink lacks since it came up, if anything; the outer option is none where there is
    /// no such uplink.
    pub fn lack(&self, now: Instant, uplink: &str) -> Option<Option<Lack>> {
        self.uplinks.get(uplink).map(|found| found.lack(now, &self.kernel.state.system))
    }

    /// The first uplink that lacks something, and what. None where no uplink does and no step
    /// towards the desired state is left.
    pub fn first_lack(&self, now: Instant) -> Option<(&str, Lack)> {
        let system = &self.kernel.state.system;
        let mut lacks = self.uplinks.iter();
        let found =
            lacks.find_map(|(name, uplink)| Some((name.as_str(), uplink.lack(now, system)?)));
        let is_settling = !self.ready || self.kernel.backlog.has_steps();
        found.or_else(|| is_settling.then_some(("", Lack::Settled)))
    }

    /// The engine that requests the prefixes of an uplink, none for the built-in; the outer option
    /// is none where there is no such uplink.
    pub fn requester(&self, uplink: &str) -> Option<Option<&str>> {
        self.config.uplinks.get(uplink).map(|uplink| uplink.requester.as_deref())
    }

    /// Whether there is a static prefix of this name.
    pub fn has_static(&self, name: &str) -> bool {
        self.statics.contains(name)
    }
}
