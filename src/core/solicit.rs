//! When to send router solicitations on an uplink (RFC 4861 §6.3.7, RFC 7559).

use crate::core::random::Random;
use crate::time::{Deadline, Instant};

/// The solicitation of one uplink.
#[derive(Clone, Debug)]
pub struct Solicit {
    _random: Random,
}

impl Solicit {
    /// Nothing is solicited until [`start`](Self::start).
    pub const fn new(_random: Random) -> Self {
        todo!()
    }

    /// The interface became usable, or all default routers are gone: a new round, its first
    /// solicitation after a random delay of up to a second (RS-02). `multicast` is false on links
    /// where success does not end the round (RS-08).
    pub fn start(&mut self, _now: Instant, _multicast: bool) {
        todo!()
    }

    /// The interface is unusable: nothing is due.
    pub fn stop(&mut self) {
        todo!()
    }

    /// A valid advertisement came; `default_router` when its Router Lifetime is not zero. Ends the
    /// round, but not before one solicitation was sent in it (RS-06, RS-07, RS-09).
    pub fn handle_advertisement(&mut self, _now: Instant, _default_router: bool) {
        todo!()
    }

    /// True when a solicitation is due; it counts as sent, and the next one is scheduled.
    pub fn poll(&mut self, _now: Instant) -> bool {
        todo!()
    }

    /// When the next one is due.
    pub fn deadline(&self) -> Option<Deadline> {
        todo!()
    }
}
