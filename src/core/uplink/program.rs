//! An uplink whose lease another program requests.

use super::Uplink;
use super::change::RefreshKind;
use super::effect::Effect;
use super::lease::Feed;
use crate::time::Instant;

impl Uplink {
    /// The renewal that the program which requests the lease is to be asked for.
    pub(in crate::core) fn poll_order(&mut self) -> Option<RefreshKind> {
        self.attached.as_ref()?;
        self.lease.poll_order()
    }

    /// Handles a report of the program that requests the lease.
    pub(in crate::core) fn handle_feed(&mut self, now: Instant, feed: &Feed) -> Effect {
        let progress = self.lease.handle_feed(now, feed);
        let effect = self.take_progress(now, &progress, None);
        // A hook that runs all the time must not cause more derivations than the rate allows.
        let is_calm = !progress.changed && effect.derive;
        Effect { derive: effect.derive && !is_calm, heard: effect.heard || is_calm, ..effect }
    }
}
