//! What the lease of an uplink shares with the rest: what other sources hold, what of a server's gifts
//! is refused, and the steps of its exchanges.

use ipnet::Ipv6Net;

use super::Uplink;
use super::lease::{Refusal, Transition};
use crate::time::Instant;

impl Uplink {
    /// Says which prefixes other sources hold.
    pub(in crate::core) fn set_elsewhere(&mut self, elsewhere: Vec<Ipv6Net>) {
        self.lease.set_elsewhere(elsewhere);
    }

    /// The next refusal of what a server gave that is to be counted.
    pub(in crate::core) fn poll_refusal(&mut self) -> Option<Refusal> {
        self.lease.poll_refusal()
    }

    /// The next step that an exchange has taken.
    pub(in crate::core) fn poll_transition(&mut self) -> Option<Transition> {
        self.lease.poll_transition()
    }

    /// Another source gave up a prefix: asks soon where a server gave what overlapped one.
    pub(in crate::core) fn ask_for_what_was_taken(&mut self, now: Instant) {
        let overlaps = |refusal: &Refusal| matches!(refusal, Refusal::Overlaps(_));
        if self.lease.refused().iter().any(|(_, refusal)| overlaps(refusal)) {
            let _ = self.lease.ask_soon(now);
        }
    }
}
