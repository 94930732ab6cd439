//! When the desired state is derived next. One such derivation, with the steps that follow from it,
//! is a pass.

use std::time::Duration;

use crate::core::uplink::change::Bucket;
use crate::time::{Deadline, Instant};

/// Removals and lifetime updates run this much later than what is new, so that routers further
/// down the tree get the processor first.
pub(in crate::core) const DEFER: Duration = Duration::from_millis(10);

/// How often messages heard on uplinks can cause a pass: 10 at once, then one each 500 ms.
const HEARD: Bucket = Bucket::new(10, Duration::from_millis(500));

/// The next pass: when the desired state is derived.
#[derive(Clone, Debug)]
pub(in crate::core) struct Pass {
    /// The pass begins as soon as all outputs have left.
    is_pressing: bool,
    /// The pass begins by then, at the latest.
    recompute_by: Option<Instant>,
    /// The pass begins by then for messages heard on uplinks that exceed the rate.
    refresh_by: Option<Instant>,
    heard: Bucket,
    /// From when on the token counts that the next pass for messages heard on uplinks has taken.
    token_at: Option<Instant>,
    /// Reconfigure messages that go ahead of the pass.
    ahead: Option<Ahead>,
    /// Steps that no neighbor waits for are left over from the last pass.
    is_postponed: bool,
}

/// Reconfigure messages that go ahead of a pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Ahead {
    /// When they were handed over.
    pub(super) notified_at: Instant,
    /// When they had left: those that are many take their time.
    pub(super) left_at: Option<Instant>,
}

impl Default for Pass {
    /// The first pass is requested at once.
    fn default() -> Self {
        Self {
            is_pressing: true,
            recompute_by: None,
            refresh_by: None,
            heard: HEARD,
            token_at: None,
            ahead: None,
            is_postponed: false,
        }
    }
}

impl Pass {
    /// Requests a pass at once.
    pub(in crate::core) const fn request(&mut self) {
        self.is_pressing = true;
    }

    /// Requests a pass at once where something `differs`.
    pub(in crate::core) const fn request_if(&mut self, differs: bool) {
        self.is_pressing |= differs;
    }

    /// Requests a pass after what is more urgent, [`DEFER`] from now.
    pub(in crate::core) fn request_soon(&mut self, now: Instant) {
        self.request_by(now + DEFER);
    }

    fn request_by(&mut self, at: Instant) {
        self.recompute_by = Some(self.recompute_by.map_or(at, |known| known.min(at)));
    }

    /// Requests a pass at `at` for something that any node on an uplink can cause: the rate allows
    /// for real changes of routers, and a flood cannot exceed it.
    pub(in crate::core) fn request_heard(&mut self, now: Instant, at: Instant) {
        let mut pending = [self.recompute_by, self.refresh_by].into_iter().flatten();
        if self.is_pressing || pending.any(|known| known <= at) {
            return;
        }
        // One pass costs one token, however many messages it is for.
        let at = at.max(*self.token_at.get_or_insert_with(|| self.heard.reserve(now)));
        if at <= now + DEFER {
            self.request_by(at);
        } else {
            self.refresh_by = Some(self.refresh_by.map_or(at, |known| known.min(at)));
        }
    }

    /// Whether Reconfigure messages may be sent ahead of the pass: it is requested at once, and
    /// none were sent ahead of it yet.
    pub(super) const fn may_notify_ahead(&self) -> bool {
        self.is_pressing && self.ahead.is_none()
    }

    /// Notes that Reconfigure messages are sent ahead of the pass.
    pub(super) const fn note_notified_ahead(&mut self, now: Instant) {
        self.ahead = Some(Ahead { notified_at: now, left_at: None });
    }

    /// Notes that all outputs have been performed, and with them the Reconfigure messages ahead of
    /// the pass.
    pub(in crate::core) fn note_left(&mut self, now: Instant) {
        if let Some(ahead) = &mut self.ahead {
            ahead.left_at.get_or_insert(now);
        }
    }

    /// The Reconfigure messages that were sent ahead of the pass; none once the pass has begun.
    pub(super) fn ahead(&self) -> Option<Ahead> {
        self.ahead.filter(|_| self.is_pressing)
    }

    /// Whether a pass that is requested has yet to begin, and will soon.
    pub(super) const fn is_awaited(&self) -> bool {
        self.is_pressing || self.recompute_by.is_some()
    }

    /// Whether a pass is requested for later, when there is time.
    pub(in crate::core) const fn is_deferred(&self) -> bool {
        self.recompute_by.is_some()
    }

    /// Begins a pass if one is requested for `now`; returns whether it did. The pass serves all
    /// requests. With `is_busy`, while other work is left that routers wait for, only a pass that
    /// is requested at once begins.
    pub(super) fn begin(&mut self, now: Instant, is_busy: bool) -> bool {
        let mut by = [self.recompute_by, self.refresh_by].into_iter().flatten();
        let begins = self.is_pressing || (!is_busy && by.any(|at| at <= now));
        if begins {
            self.is_pressing = false;
            (self.ahead, self.recompute_by, self.refresh_by) = (None, None, None);
            self.token_at = None;
        }
        begins
    }

    /// Begins a pass if one is requested at once; whether it did. Other requests stay.
    pub(super) const fn begin_pressing(&mut self) -> bool {
        std::mem::replace(&mut self.is_pressing, false)
    }

    /// Whether steps that no neighbor waits for are postponed to another pass: once, or for as long
    /// as others wait for something else (`is_busy`).
    pub(super) fn postpones(&mut self, now: Instant, has_steps: bool, is_busy: bool) -> bool {
        self.is_postponed = has_steps && (!self.is_postponed || is_busy);
        if self.is_postponed {
            self.request_soon(now);
        }
        self.is_postponed
    }

    /// When a pass that is not requested at once is to begin.
    pub(in crate::core) fn deadline(&self) -> Option<Deadline> {
        let recompute = self.recompute_by.map(|at| Deadline::new(at, "removals and lifetimes"));
        let refresh = self.refresh_by.map(|at| Deadline::new(at, "lifetimes that were heard"));
        Deadline::first([recompute, refresh])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_secs(1000);

    /// The pass that a start has is over.
    fn idle() -> Pass {
        let mut pass = Pass::default();
        assert!(pass.begin(NOW, true), "the first one is wanted at once");
        pass
    }

    #[test]
    fn one_pass_meets_all_requests() {
        let mut pass = idle();
        pass.request_soon(NOW);
        pass.request();
        assert!(pass.is_awaited());
        assert!(pass.begin(NOW, true));
        assert!(!pass.is_awaited() && pass.deadline().is_none());
        assert!(!pass.begin(NOW + DEFER, false));
    }

    #[test]
    fn steps_that_no_router_waits_for_come_after_all_others() {
        let mut pass = idle();
        pass.request_soon(NOW);
        pass.request_soon(NOW + DEFER / 2);
        let at = NOW + DEFER;
        assert_eq!(pass.deadline().map(|deadline| deadline.at), Some(at));
        assert!(!pass.begin(NOW, false));
        assert!(!pass.begin(at, true));
        assert!(pass.begin(at, false));
    }

    #[test]
    fn steps_are_postponed_once_or_while_others_wait() {
        let mut pass = idle();
        assert!(!pass.postpones(NOW, false, false));
        assert!(pass.postpones(NOW, true, false));
        assert!(pass.postpones(NOW, true, true));
        assert!(!pass.postpones(NOW, true, false), "they have waited for long enough");
    }

    /// A flood of advertisements has it done twice a second.
    #[test]
    fn passes_that_any_node_can_cause_are_bounded() {
        let mut pass = idle();
        let mut passes = 0;
        for millisecond in 0..10_000 {
            let now = NOW + Duration::from_millis(millisecond);
            pass.request_heard(now, now);
            passes += u32::from(pass.begin(now, false));
        }
        assert!((20..=40).contains(&passes), "{passes}");
    }
}
