//! The requesting router (RFC 9915 §18.2): from Solicit to Rebind, for all IAs of one uplink.
//!
//! The lease outlives its exchanges: prefixes run by their own lifetimes and only a Reply, their
//! expiry or the operator ends them (SEC-05).

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::change::{Outcome, Refresh};
use super::memory::StoredLease;
use super::random::Random;
use crate::config::Delegate;
use crate::time::{Deadline, Instant, Until};
use crate::wire::dhcpv6::Message;
use crate::wire::dhcpv6_option::{Duid, Iaid};

/// How one uplink asks.
#[derive(Clone, PartialEq, Debug)]
pub struct Rules {
    /// This machine.
    pub duid: Duid,
    /// The IA_PDs.
    pub delegate: Vec<Delegate>,
    /// Offer Rapid Commit.
    pub rapid_commit: bool,
    /// Let servers send Reconfigure.
    pub reconfigure: bool,
    /// After a link event start with Solicit.
    pub solicit_on_reconnect: bool,
    /// Keep a prefix to its end when its replacement comes and it is not mentioned.
    pub strict: bool,
}

/// A prefix that is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DelegatedPrefix {
    /// Its IA_PD.
    pub iaid: Iaid,
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The part that the delegating router keeps (RFC 6603).
    pub exclude: Option<Ipv6Net>,
    /// Preferred until.
    pub preferred_until: Until,
    /// Valid until; in the past for a prefix that is gone.
    pub valid_until: Until,
    /// When it was withdrawn, replaced or ran out: it is not in use any more, only told of.
    pub gone_since: Option<Instant>,
}

/// An address that is held (IA_NA).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LeasedAddress {
    /// The address.
    pub address: Ipv6Addr,
    /// Preferred until.
    pub preferred_until: Until,
    /// Valid until.
    pub valid_until: Until,
}

/// What a datagram or the passing of time did to the lease.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// The set of prefixes or addresses, or a deprecation, changed.
    pub changed: bool,
    /// Lifetimes moved, or resolvers did: the desired state has to be derived anew.
    pub refreshed: bool,
    /// A refresh started by [`Lease::refresh`] has ended.
    pub outcome: Option<Outcome>,
    /// A valid Reconfigure asks for a refresh; true for Rebind.
    pub reconfigure: Option<bool>,
    /// What is remembered has to be written.
    pub remember: bool,
}

/// Why a message that decodes is dropped (RFC 9915 §16).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reject {
    /// Not a message for a requesting router.
    UnexpectedType,
    /// Answers no exchange under way.
    TransactionId,
    /// Without Server Identifier.
    NoServerId,
    /// Client Identifier missing or another's.
    ClientId,
    /// A Reply to Solicit without Rapid Commit.
    NotRapid,
    /// A Reconfigure without authentication, or with a wrong one.
    Authentication,
    /// A Reconfigure whose counter does not rise.
    Replay,
    /// A Reconfigure that asks for a message that it cannot ask for.
    ReconfigureMessage,
    /// Holds nothing that was asked for.
    Useless,
}

impl Reject {
    /// A short stable name, used as the label of a counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UnexpectedType => "unexpected-type",
            Self::TransactionId => "transaction-id",
            Self::NoServerId => "no-server-id",
            Self::ClientId => "client-id",
            Self::NotRapid => "not-rapid",
            Self::Authentication => "authentication",
            Self::Replay => "replay",
            Self::ReconfigureMessage => "reconfigure-message",
            Self::Useless => "useless",
        }
    }
}

/// The lease of one uplink.
#[derive(Clone, Debug)]
pub struct Lease {
    _rules: Rules,
    _random: Random,
}

impl Lease {
    /// Holds what `stored` says, as far as it is valid at `now`; sends nothing until
    /// [`link_up`](Self::link_up).
    pub fn new(
        _rules: Rules,
        _stored: Option<StoredLease>,
        _random: Random,
        _now: Instant,
    ) -> Self {
        todo!()
    }

    /// The uplink can send: Rebind what is held (CHG-05), else Solicit (PDC-20: after a random
    /// delay of up to a second unless `hurry`).
    pub fn link_up(&mut self, _now: Instant, _hurry: bool) {
        todo!()
    }

    /// The uplink cannot send: exchanges rest, prefixes run on.
    pub fn link_down(&mut self) {
        todo!()
    }

    /// Climbs the refresh ladder (requirements of a change: Renew or Rebind now, Rebind after 1
    /// and 2 s, Solicit with Rapid Commit after 4 s beside the Rebinds). Absorbed by a refresh
    /// under way.
    pub fn refresh(&mut self, _now: Instant, _refresh: Refresh) {
        todo!()
    }

    /// A router's M flag says that addresses are to be had (UPL-15).
    pub fn want_address(&mut self, _now: Instant, _wanted: bool) {
        todo!()
    }

    /// Duplicate address detection failed for an address of the IA_NA: Decline it (PDC-84).
    pub fn decline(&mut self, _now: Instant, _address: Ipv6Addr) {
        todo!()
    }

    /// Discovers anew beside what is held: one Solicit (a probe found the prefix not routed).
    pub fn rediscover(&mut self, _now: Instant) {
        todo!()
    }

    /// Takes in a message from UDP port 547; `octets` are those it was decoded from, for the
    /// authentication of a Reconfigure.
    ///
    /// # Errors
    ///
    /// [`Reject`] when it is dropped; nothing changes then.
    pub fn handle_message(
        &mut self,
        _now: Instant,
        _message: &Message,
        _octets: &[u8],
    ) -> Result<Progress, Reject> {
        todo!()
    }

    /// Retransmits, renews, rebinds, lets run out what has run out.
    pub fn handle_timeout(&mut self, _now: Instant) -> Progress {
        todo!()
    }

    /// The next message to send to ff02::1:2 port 547, encoded.
    pub fn poll_transmit(&mut self, _now: Instant) -> Option<Vec<u8>> {
        todo!()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn deadline(&self) -> Option<Deadline> {
        todo!()
    }

    /// Prefixes that are held and those that are gone, by IA_PD and prefix. The ones that are
    /// gone stay listed until [`forget`](Self::forget).
    pub fn prefixes(&self) -> Vec<DelegatedPrefix> {
        todo!()
    }

    /// Addresses that are held.
    pub fn addresses(&self) -> Vec<LeasedAddress> {
        todo!()
    }

    /// DNS servers and search domains of the last Reply, with the end of the lease.
    pub fn resolvers(&self) -> (Vec<(Ipv6Addr, Until)>, Vec<(String, Until)>) {
        todo!()
    }

    /// Drops prefixes that are gone since `before` or earlier.
    pub fn forget(&mut self, _before: Instant) {
        todo!()
    }

    /// What to remember.
    pub fn stored(&self) -> Option<StoredLease> {
        todo!()
    }

    /// Who gave the lease, and what is under way, for status.
    pub fn describe(&self) -> (Option<Duid>, &'static str) {
        todo!()
    }
}
