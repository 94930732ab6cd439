//! The end of an agent that runs once: when routers have been heard, or have not answered.

use std::time::Duration;

use crate::core::Core;
use crate::core::uplink::solicit::Solicitation;
use crate::time::{Deadline, Instant, Until};

/// MAX_RTR_SOLICITATIONS (RFC 4861 §10).
const SOLICITATIONS: u32 = 3;
/// How long a router may take to answer the last one: MAX_RTR_SOLICITATION_DELAY (RFC 4861 §6.3.7).
const LAST_ANSWER: Duration = Duration::from_secs(1);
/// How long the agent waits for an interface that cannot send.
const ATTACHMENT: Duration = Duration::from_secs(10);

/// The uplinks whose routers are awaited.
pub(super) struct Once {
    begun: Instant,
    uplinks: Vec<String>,
    has_ended: bool,
}

impl Once {
    pub(super) fn new(now: Instant, uplinks: impl Iterator<Item = String>) -> Self {
        Self { begun: now, uplinks: uplinks.collect(), has_ended: false }
    }

    /// Whether no router is awaited any more; returns true once.
    pub(super) fn ends(&mut self, now: Instant, core: &Core) -> bool {
        if self.has_ended {
            return false;
        }
        self.has_ended = self.ends_at(core).is_none_or(|end| end.is_over(now));
        self.has_ended
    }

    /// When it ends if nothing more is heard.
    pub(super) fn deadline(&self, now: Instant, core: &Core) -> Option<Deadline> {
        let end = self.ends_at(core).filter(|end| !self.has_ended && !end.is_over(now));
        end.and_then(Until::at).map(|at| Deadline::new(at, "no answer from a router"))
    }

    /// The last of the ends of all uplinks; none where all have come.
    fn ends_at(&self, core: &Core) -> Option<Until> {
        let states = self.uplinks.iter().filter_map(|name| core.solicitation(name));
        states.filter_map(|(is_attached, state)| end_of(self.begun, is_attached, state)).max()
    }
}

/// When the wait for routers on an uplink ends; none where one has been heard.
fn end_of(begun: Instant, is_attached: bool, state: Solicitation) -> Option<Until> {
    match state {
        Solicitation { advertisements: 1.., .. } => None,
        _ if !is_attached => Some(Until::At(begun + ATTACHMENT)),
        Solicitation { sent: SOLICITATIONS.., last_at: Some(at), .. } => {
            Some(Until::At(at + LAST_ANSWER))
        }
        Solicitation { .. } => Some(Until::Never),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_is_waited_for_until_it_is_heard_or_three_solicitations_are_unanswered() {
        let begun = Instant::from_secs(100);
        let sent = |sent, advertisements| Solicitation {
            sent,
            advertisements,
            last_at: Some(Instant::from_secs(110)),
            ..Solicitation::default()
        };
        assert_eq!(end_of(begun, true, sent(0, 0)), Some(Until::Never));
        assert_eq!(end_of(begun, true, sent(2, 0)), Some(Until::Never));
        assert_eq!(end_of(begun, true, sent(3, 0)), Some(Until::At(Instant::from_secs(111))));
        assert_eq!(end_of(begun, true, sent(0, 1)), None);
        assert_eq!(end_of(begun, false, sent(0, 0)), Some(Until::At(Instant::from_secs(110))));
    }
}
