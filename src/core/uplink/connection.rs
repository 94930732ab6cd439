//! The present connection of an uplink, since it last came up, for programs that dial.

use std::fmt;
use std::time::Duration;

use super::change::Outcome;
use super::{Effect, Uplink};
use crate::config::AddressMode;
use crate::core::kernel::system::System;
use crate::time::Instant;

/// How long before the kernel a program that dials may report the link as up: ppp runs its script
/// before it has negotiated IPv6.
const EARLY: Duration = Duration::from_secs(30);

/// The events since the uplink came up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Connection {
    /// When a program has reported that the link is up, while nothing could be sent.
    announced_at: Option<Instant>,
    /// A request about the lease was answered.
    is_answered: bool,
}

impl Connection {
    /// The uplink comes up; returns whether a program has reported that before.
    pub(super) fn begin(&mut self, now: Instant) -> bool {
        let announced_at = self.announced_at.take();
        *self = Self::default();
        announced_at.is_some_and(|at| now.since(at) < EARLY)
    }

    /// An exchange about the lease has ended.
    pub(super) const fn handle_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Fruitful | Outcome::Partial | Outcome::Unchanged => self.is_answered = true,
            Outcome::Failed => {}
        }
    }
}

/// What an uplink lacks since it came up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lack {
    /// It cannot send: it is down, absent or has no link-local address.
    Link,
    /// No router has been heard.
    Router,
    /// It has no address that can be used.
    Address,
    /// No server has given or confirmed a delegated prefix.
    Lease,
    /// The kernel does not have all addresses and routes yet.
    Settled,
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Link => "it is down or has no link-local address",
            Self::Router => "no router has been heard",
            Self::Address => "it has no address of this connection",
            Self::Lease => "no server has given or confirmed a prefix",
            Self::Settled => "addresses and routes are still being set",
        })
    }
}

impl Uplink {
    /// A program that owns the link reports a new connection.
    pub(in crate::core) fn link_up(&mut self, now: Instant) -> Effect {
        match self.attached.clone() {
            Some(attached) => self.came_up(now, &attached, true),
            None => {
                self.connection.announced_at = Some(now);
                Effect::default()
            }
        }
    }

    /// What it lacks since it came up, if anything; the state of one connection says nothing about
    /// the next.
    pub(in crate::core) fn lack(&self, now: Instant, system: &System) -> Option<Lack> {
        let Some(attached) = &self.attached else { return Some(Lack::Link) };
        let prefixes = self.lease.prefixes();
        let has_prefix = || {
            let mut live = prefixes.iter();
            live.any(|one| one.gone_since.is_none() && !one.valid_until.is_over(now))
        };
        let is_heard = self.heard && self.heard_at >= self.up_since;
        if !is_heard && (self.config.default_route || self.config.address != AddressMode::None) {
            return Some(Lack::Router);
        }
        if !self.has_address(now, attached.index, system) {
            return Some(Lack::Address);
        }
        let is_without = self.awaits_prefix() && !(self.connection.is_answered && has_prefix());
        is_without.then_some(Lack::Lease)
    }

    /// Whether it has an address in a prefix that was advertised or leased since it came up, or
    /// there is no such prefix.
    fn has_address(&self, now: Instant, index: crate::net::IfIndex, system: &System) -> bool {
        if self.config.address == AddressMode::None {
            return true;
        }
        let is_by_kernel = self.config.address == AddressMode::Kernel;
        let leased = self.lease.addresses();
        let formed = self.prefixes_to_form(now);
        let is_of_lease = |address| {
            self.connection.is_answered && leased.iter().any(|one| one.address == address)
        };
        let first = (index, std::net::Ipv6Addr::UNSPECIFIED);
        let last = (index, std::net::Ipv6Addr::from(u128::MAX));
        let has_one = system.addresses.range(first..=last).any(|(_, has)| {
            let is_meant = has.ours || is_by_kernel;
            let is_here = formed.iter().any(|prefix| prefix.contains(&has.address));
            is_meant && !has.tentative && !has.duplicate && (is_here || is_of_lease(has.address))
        });
        let is_managed = self.config.request_address && self.routers.parameters(now).managed;
        has_one || (formed.is_empty() && !is_managed)
    }
}
