//! What goes into the lease and what comes out of it.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use crate::config::Delegate;
use crate::core::uplink::change::{Outcome, Question};
use crate::time::{Instant, Until};
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
    /// Refuse delegated prefixes that are shorter than this, in bits.
    pub shortest_prefix: u8,
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
    /// When it was withdrawn, replaced or ran out: it is not in use any more, only listed.
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

/// Things with the end of their use.
pub type Ending<T> = Vec<(T, Until)>;

/// What a datagram or the passing of time did to the lease.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// The set of prefixes or addresses, or a deprecation, changed.
    pub changed: bool,
    /// Lifetimes moved, or resolvers did: the desired state has to be derived anew.
    pub refreshed: bool,
    /// What [`Lease::refresh`] or [`Lease::link_up`] started has ended.
    pub outcome: Option<Outcome>,
    /// What a valid Reconfigure asks for.
    pub reconfigure: Option<Question>,
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
