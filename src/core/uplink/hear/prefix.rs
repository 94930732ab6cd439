//! A prefix as one router advertises it, and which prefixes are acceptable.

use std::time::Duration;

use ipnet::Ipv6Net;

use crate::time::{Instant, Lifetime, Until};
use crate::wire::ndp_option::PrefixInformation;

/// RFC 4862 §5.5.3 e.
const TWO_HOURS: Duration = Duration::from_secs(7200);
/// An address is formed in a prefix of this length only (RFC 4862 §5.5.3 d, RFC 4291 §2.5.1).
const AUTONOMOUS_LENGTH: u8 = 64;

/// A prefix as one router advertises it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Announced {
    pub(super) heard_at: Instant,
    /// The advertisement that it appeared in, and the last that it was in.
    pub(super) since: u64,
    pub(super) heard: u64,
    /// On-link until then; in the past where L was never set.
    pub(super) on_link_until: Until,
    pub(super) autonomous: bool,
    /// P: hosts should request a prefix of their own (RFC 9762).
    pub(super) delegation_preferred: bool,
    /// The preferred lifetime was zero when last heard.
    pub(super) deprecated: bool,
    pub(super) preferred_until: Until,
    /// The end of the preferred lifetime has been acted on.
    pub(super) ran_down: bool,
    /// When the valid lifetime ends, by the two-hour rule where addresses are formed.
    pub(super) valid_until: Until,
    pub(super) gone: Option<Gone>,
    /// It ran out, and is remembered so that its return by itself is no change.
    pub(super) expired: bool,
    /// The router was already solicited about it since it was last heard.
    pub(super) suspected: bool,
    /// It was not heard since a link event.
    pub(super) unconfirmed: bool,
    /// The advertisement at hand is the first after a link event to carry it.
    pub(super) was_unconfirmed: bool,
}

/// The reason for which, and the time since when, a prefix is gone though its valid lifetime may
/// run on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Gone {
    Withdrawn(Instant),
    Missing(Instant),
    /// It belongs to the connection of a point-to-point link before this one.
    Former(Instant),
}

impl Gone {
    pub(super) const fn since(self) -> Instant {
        match self {
            Self::Withdrawn(since) | Self::Missing(since) | Self::Former(since) => since,
        }
    }
}

impl Announced {
    pub(super) const fn new(now: Instant, current: u64) -> Self {
        Self {
            heard_at: now,
            since: current,
            heard: current,
            on_link_until: Until::At(Instant::BOOT),
            autonomous: false,
            delegation_preferred: false,
            deprecated: false,
            preferred_until: Until::At(Instant::BOOT),
            ran_down: false,
            valid_until: Until::At(Instant::BOOT),
            gone: None,
            expired: false,
            suspected: false,
            unconfirmed: false,
            was_unconfirmed: false,
        }
    }

    /// Handles a PIO whose L or A flag is set.
    pub(super) fn take_in(&mut self, now: Instant, current: u64, pio: &PrefixInformation) {
        let valid = Until::after(now, pio.valid);
        if !self.is_live(now) {
            self.since = current;
        }
        self.heard = current;
        self.heard_at = now;
        self.suspected = false;
        self.expired = false;
        self.was_unconfirmed = self.unconfirmed;
        self.unconfirmed = false;
        if pio.on_link {
            // L = 0 says nothing about being on-link (RA-RX-46).
            self.on_link_until = valid;
        }
        let forms_addresses = pio.autonomous
            && pio.prefix.prefix_len() == AUTONOMOUS_LENGTH
            && pio.preferred <= pio.valid;
        if forms_addresses {
            self.valid_until = if self.autonomous && !self.valid_until.is_over(now) {
                two_hour_rule(now, self.valid_until, pio.valid)
            } else {
                valid
            };
            self.autonomous = true;
        } else if !self.autonomous {
            self.valid_until = valid;
        }
        self.delegation_preferred = pio.delegation_preferred;
        self.deprecated = pio.preferred.is_zero();
        self.preferred_until = Until::after(now, pio.preferred).min(self.valid_until);
        self.ran_down = self.deprecated;
        self.gone = match self.gone {
            Some(Gone::Withdrawn(since)) if pio.valid.is_zero() => Some(Gone::Withdrawn(since)),
            Some(_) | None if pio.valid.is_zero() => Some(Gone::Withdrawn(now)),
            Some(_) | None => None,
        };
    }

    /// Whether it was advertised and is not over.
    pub(super) fn is_live(&self, now: Instant) -> bool {
        self.gone.is_none() && !self.expired && !self.valid_until.is_over(now)
    }

    /// When its preferred lifetime ends, or, once that has been acted on, its valid lifetime.
    pub(super) const fn next_end(&self) -> Until {
        if self.gone.is_none() && !self.ran_down { self.preferred_until } else { self.valid_until }
    }

    /// Marks it as missing (CHG-14).
    pub(super) fn miss(&mut self, now: Instant) {
        self.end(now, Gone::Missing(now));
    }

    /// Marks it as one of the former connection: the only peer of the link has connected anew and
    /// advertises other prefixes (UPL-11).
    pub(super) fn outlive(&mut self, now: Instant) {
        self.end(now, Gone::Former(now));
    }

    /// Marks it as one of a former connection, if it was gone before the only peer of the link
    /// connected anew (UPL-11).
    pub(super) fn leave_behind(&mut self, now: Instant) {
        if self.gone.is_some() {
            self.gone = Some(Gone::Former(now));
        }
    }

    fn end(&mut self, now: Instant, gone: Gone) {
        if self.gone.is_none() && !self.expired {
            self.gone = Some(gone);
            self.preferred_until = self.preferred_until.min(Until::At(now));
        }
    }
}

/// The new end of a valid lifetime by RFC 4862 §5.5.3 e: a longer one counts, a shorter one only
/// down to two hours, so that a forged advertisement cannot take an address away.
pub(super) fn two_hour_rule(now: Instant, stored: Until, received: Lifetime) -> Until {
    let received = Until::after(now, received);
    let two_hours = Until::At(now + TWO_HOURS);
    if received > two_hours || received > stored {
        received
    } else if stored <= two_hours {
        stored
    } else {
        two_hours
    }
}

/// Whether a PIO is used at all.
pub(super) fn is_kept(pio: &PrefixInformation) -> bool {
    is_usable(pio.prefix) && (pio.on_link || pio.autonomous)
}

/// Whether a prefix can be on a link: it is not link-local, multicast or loopback (RA-RX-47), and
/// has a length.
pub(super) fn is_usable(prefix: Ipv6Net) -> bool {
    let network = prefix.network();
    !network.is_unicast_link_local()
        && !network.is_multicast()
        && !network.is_loopback()
        && !network.is_unspecified()
}
