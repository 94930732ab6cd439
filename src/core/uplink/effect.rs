//! The effects of an event at an uplink.

use super::change::Outcome;
use super::hear::RouterChange;
use crate::core::stage::Cause;
use crate::time::Instant;

/// The effects of an event at an uplink on the rest of the core.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::core) struct Effect {
    /// The desired state has to be derived anew.
    pub derive: bool,
    /// An advertisement requires that too, but any node can send it: not more often than the rate
    /// allows.
    pub heard: bool,
    /// Lifetimes moved: the desired state has to be derived by then.
    pub derive_by: Option<Instant>,
    /// A change began.
    pub began: Option<Cause>,
    /// A request of a refresh has been started.
    pub asked: bool,
    /// The delegated prefixes changed.
    pub delegated: bool,
    /// A refresh ended.
    pub outcome: Option<Outcome>,
    /// A condition came or went.
    pub review: bool,
    /// The lease has to be stored.
    pub remember: bool,
    /// Default routers that appeared or are lost.
    pub routers: Vec<RouterChange>,
}

impl Effect {
    /// Adds the effects of another event.
    pub(super) fn merge(&mut self, other: Self) {
        self.derive |= other.derive;
        self.heard |= other.heard;
        self.derive_by = [self.derive_by, other.derive_by].into_iter().flatten().min();
        self.began = self.began.or(other.began);
        self.asked |= other.asked;
        self.delegated |= other.delegated;
        self.outcome = other.outcome.or(self.outcome);
        self.review |= other.review;
        self.remember |= other.remember;
        self.routers.extend(other.routers);
    }
}
