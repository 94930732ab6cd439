//! Numbers, coalesces and damps changes: which trigger starts a refresh of the lease, and when.
//!
//! Pure policy of CHG-03, CHG-04, CHG-15, CHG-16: the lease says what came of it.

use std::net::Ipv6Addr;

use crate::time::{Deadline, Instant};

/// What can start a refresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trigger {
    /// One advertisement's new, deprecated or withdrawn on-link prefixes (CHG-03). `rebind` when
    /// the router confirmed none of the prefixes known before a link event.
    Prefix {
        /// Who advertised.
        router: Ipv6Addr,
        /// Ask any server rather than the one that gave the lease.
        rebind: bool,
    },
    /// The link came up or back (CHG-05).
    Link,
    /// An operator or ppp said so.
    Told,
    /// A valid Reconfigure (PDC-89).
    Reconfigure {
        /// Its sender.
        server: Ipv6Addr,
        /// It wants a Rebind.
        rebind: bool,
    },
}

/// A refresh to start now, by the ladder of the lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refresh {
    /// Begin with Rebind instead of Renew.
    pub rebind: bool,
    /// A follow-up of CHG-15: no new change.
    pub follow_up: bool,
}

/// What came of a refresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The Reply changed the lease: prefixes came, went, or were deprecated.
    Fruitful,
    /// The Reply confirmed what was held.
    Unchanged,
    /// Nobody answered, or nothing was given; the lease goes on by its own timers.
    Failed,
}

/// The refreshes of one uplink.
#[derive(Clone, Debug)]
pub struct Changes {}

impl Changes {
    /// Full buckets, nothing under way.
    pub const fn new() -> Self {
        Self {}
    }

    /// Takes in a trigger; the refresh that it starts at once, if any. One that is throttled is
    /// remembered and comes out of [`poll`](Self::poll) when a token is there: the last real
    /// change is always acted on.
    pub fn handle_trigger(&mut self, _now: Instant, _trigger: Trigger) -> Option<Refresh> {
        todo!()
    }

    /// The refresh under way has ended; `source` is the link-local address of who answered.
    pub fn handle_outcome(&mut self, _now: Instant, _outcome: Outcome, _source: Option<Ipv6Addr>) {
        todo!()
    }

    /// A refresh that is due: a throttled trigger or a follow-up.
    pub fn poll(&mut self, _now: Instant) -> Option<Refresh> {
        todo!()
    }

    /// When the next is due.
    pub fn deadline(&self) -> Option<Deadline> {
        todo!()
    }
}

impl Default for Changes {
    fn default() -> Self {
        Self::new()
    }
}
