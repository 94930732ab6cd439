//! The lease of an uplink in relation to the rest: the prefixes of other sources, the prefixes that
//! are refused, and the transitions of its exchanges.

use ipnet::Ipv6Net;

use super::Uplink;
use super::lease::{Refusal, Transition};
use crate::time::Instant;

impl Uplink {
    /// Sets the prefixes that other sources hold.
    pub(in crate::core) fn set_elsewhere(&mut self, elsewhere: Vec<Ipv6Net>) {
        self.lease.set_elsewhere(elsewhere);
    }

    /// The next refusal of a server's prefix that has not been counted.
    pub(in crate::core) fn poll_refusal(&mut self) -> Option<Refusal> {
        self.lease.poll_refusal()
    }

    /// The next transition of an exchange.
    pub(in crate::core) fn poll_transition(&mut self) -> Option<Transition> {
        self.lease.poll_transition()
    }

    /// Another source gave up a prefix: an uplink whose server gave a prefix that overlapped one
    /// asks again soon.
    pub(in crate::core) fn ask_again_if_overlapped(&mut self, now: Instant) {
        let overlaps = |refusal: &Refusal| matches!(refusal, Refusal::Overlaps(_));
        if self.lease.refused().iter().any(|(_, refusal)| overlaps(refusal)) {
            let _ = self.lease.ask_soon(now);
        }
    }
}
