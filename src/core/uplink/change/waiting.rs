//! Triggers that wait for a token or for the refresh under way, merged into one.

use std::net::Ipv6Addr;

use super::{RefreshKind, Trigger};
use crate::time::Instant;

/// Advertisements that changed on-link prefixes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Advertised {
    /// The router of the newest.
    pub(super) router: Ipv6Addr,
    /// When it came.
    pub(super) at: Instant,
    /// How many they are.
    pub(super) count: usize,
}

/// The single refresh for all the triggers that came before it starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    /// One of them asked for a Rebind.
    pub(super) kind: RefreshKind,
    pub(super) advertised: Option<Advertised>,
    /// The newest Reconfigure's sender.
    pub(super) reconfigured_by: Option<Ipv6Addr>,
    /// The link came up.
    pub(super) by_link: bool,
    /// There is another trigger that no Reply can acknowledge: the link, an operator, a second
    /// server.
    requested: bool,
}

impl Waiting {
    /// `waiting`, and `trigger` as well.
    pub(super) fn merged(waiting: Option<Self>, now: Instant, trigger: Trigger) -> Self {
        let mut merged = waiting.unwrap_or(Self {
            kind: RefreshKind::Renew,
            advertised: None,
            reconfigured_by: None,
            by_link: false,
            requested: false,
        });
        match trigger {
            Trigger::Prefix { router, kind } => {
                merged.kind = merged.kind.max(kind);
                merged.advertise(now, router);
            }
            Trigger::FirstWords { router } => merged.advertise(now, router),
            Trigger::Reconfigure { server, kind } => {
                merged.kind = merged.kind.max(kind);
                merged.requested |= merged.reconfigured_by.is_some_and(|other| other != server);
                merged.reconfigured_by = Some(server);
            }
            Trigger::Link => {
                merged.kind = RefreshKind::Rebind;
                merged.by_link = true;
                merged.requested = true;
            }
            Trigger::Requested => merged.requested = true,
        }
        merged
    }

    fn advertise(&mut self, now: Instant, router: Ipv6Addr) {
        let count = self.advertised.map_or(0, |earlier| earlier.count).saturating_add(1);
        self.advertised = Some(Advertised { router, at: now, count });
    }

    /// The triggers that still wait when `server` has answered with a changed lease (CHG-16).
    pub(super) fn acknowledged(mut self, server: Option<Ipv6Addr>) -> Option<Self> {
        if server.is_some() && self.reconfigured_by == server {
            self.reconfigured_by = None;
        }
        (self.advertised.is_some() || self.is_trusted()).then_some(self)
    }

    /// Whether the bucket is that of trusted triggers: one of them pays for all.
    pub(super) const fn is_trusted(&self) -> bool {
        self.requested || self.reconfigured_by.is_some()
    }
}
