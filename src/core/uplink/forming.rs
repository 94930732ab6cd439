//! Whether the kernel of a host forms an address in an advertised prefix.
//!
//! A kernel can drop an advertisement that the agent has heard: Linux drops it while its table of
//! neighbors is full, and while it is set to ignore advertisements. Routers that have been heard
//! are not solicited again, so that the host would have no address until they advertise by
//! themselves.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::{Attachment, Uplink};
use crate::config::AddressMode;
use crate::core::kernel::system::System;
use crate::time::{Deadline, Instant};

/// Linux reports an address after duplicate address detection, which takes up to two seconds.
const PATIENCE: Duration = Duration::from_secs(3);
/// If the last solicitation is longer ago than this, routers are not solicited again: by then they
/// advertise by themselves (MaxRtrAdvInterval, RFC 4861 §6.2.1).
const MAX_PAUSE: Duration = Duration::from_secs(600);

/// A kernel that holds so many addresses may have no room for another one: Linux has none beyond 16,
/// of which it may have made some and not reported them yet.
const CROWDED: usize = 12;
/// Room is made within this time; then the advertisement is needed again.
const MAKING_ROOM: Duration = Duration::from_millis(100);

/// The wait for an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Forming {
    /// An advertised prefix without an address.
    prefix: Ipv6Net,
    /// From the last solicitation, or the first advertisement, to the next solicitation.
    pause: Duration,
    /// When routers are solicited again; none where that is to be done now, or was done often
    /// enough.
    ask_at: Option<Instant>,
    asks_now: bool,
    /// Routers have been solicited in vain.
    is_late: bool,
}

impl Forming {
    fn new(now: Instant, prefix: Ipv6Net) -> Self {
        let ask_at = Some(now + PATIENCE);
        Self { prefix, pause: PATIENCE, ask_at, asks_now: false, is_late: false }
    }

    /// When the wait becomes too long.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        Some(Deadline::new(self.ask_at?, "address of an advertised prefix"))
    }

    /// Notes that it has become too long; returns true once.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> bool {
        let asks_now = self.ask_at.take_if(|at| *at <= now).is_some();
        self.asks_now |= asks_now;
        asks_now
    }

    /// Routers are solicited a little later.
    fn postpone(&mut self, now: Instant) {
        self.asks_now = false;
        self.ask_at = Some(now + MAKING_ROOM);
    }

    /// Whether routers are to be solicited now; sets the next time then.
    fn take_turn(&mut self, now: Instant) -> bool {
        let asks_now = std::mem::take(&mut self.asks_now);
        if asks_now {
            self.is_late = self.pause > PATIENCE;
            self.pause *= 2;
            self.ask_at = Some(now + self.pause).filter(|_| self.pause <= MAX_PAUSE);
        }
        asks_now
    }
}

impl Uplink {
    /// Compares the advertised prefixes with the addresses that a host's kernel has formed. If
    /// there is none after a while, room is made for one, and routers are solicited to advertise
    /// again. Returns whether the desired state is to be derived.
    pub(in crate::core) fn follow_forming(&mut self, now: Instant, system: &System) -> bool {
        let unformed = self.unformed(now, system);
        let host = &mut self.host;
        host.forming = match (host.forming.take(), unformed) {
            (_, None) => None,
            (None, Some(prefix)) => Some(Forming::new(now, prefix)),
            (Some(before), Some(prefix)) => Some(Forming { prefix, ..before }),
        };
        if let Some(forming) = host.forming.as_mut().filter(|forming| forming.asks_now)
            && !host.needs_room
            && self.attached.as_ref().is_some_and(|on| addresses(on, system).count() >= CROWDED)
        {
            host.needs_room = true;
            forming.postpone(now);
            return true;
        }
        let asks_now = host.forming.as_mut().is_some_and(|forming| forming.take_turn(now));
        let multicast = self.attached.as_ref().is_some_and(|attached| attached.multicast);
        if asks_now && self.solicit.deadline().is_none() {
            self.solicit(now, multicast);
        }
        false
    }

    /// A prefix in which the kernel has formed no address although routers have advertised it
    /// again.
    pub(in crate::core) fn late_address(&self) -> Option<Ipv6Net> {
        self.host.forming.filter(|forming| forming.is_late).map(|forming| forming.prefix)
    }

    /// The first prefix in which a host's kernel should have formed an address, where it has formed
    /// none in any.
    fn unformed(&self, now: Instant, system: &System) -> Option<Ipv6Net> {
        let attached = self.attached.as_ref().filter(|_| self.config.client.is_some())?;
        if self.config.address != AddressMode::Kernel || self.is_managed_elsewhere() {
            return None;
        }
        let formed = self.prefixes_to_form(now);
        let mut here = addresses(attached, system);
        let has_one = here.any(|address| formed.iter().any(|prefix| prefix.contains(&address)));
        formed.first().copied().filter(|_| !has_one)
    }

    /// The prefixes in which addresses are formed, of those that were advertised since the link
    /// came up. While the host requests a prefix of its own, prefixes with the P flag are not among
    /// them (RFC 9762 §7.1).
    pub(super) fn prefixes_to_form(&self, now: Instant) -> Vec<Ipv6Net> {
        let is_shared =
            |prefix: &Ipv6Net| self.prefers_delegation() && self.routers.is_shared(prefix);
        let known = self.routers.prefixes(now).into_iter().filter(|known| known.autonomous);
        let confirmed = known.filter(|known| self.routers.is_confirmed(now, &known.prefix));
        confirmed.map(|known| known.prefix).filter(|prefix| !is_shared(prefix)).collect()
    }
}

/// The addresses of an interface.
fn addresses(on: &Attachment, system: &System) -> impl Iterator<Item = Ipv6Addr> {
    let first = (on.index, Ipv6Addr::UNSPECIFIED);
    let last = (on.index, Ipv6Addr::from_bits(u128::MAX));
    system.addresses.range(first..=last).map(|((_, address), _)| *address)
}
