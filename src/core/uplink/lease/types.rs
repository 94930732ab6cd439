//! The settings of a lease, its contents, and the results of its methods.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use crate::config::Delegate;
use crate::core::uplink::change::{Outcome, RefreshKind};
use crate::time::{Instant, Until};
use crate::wire::dhcpv6_option::{Duid, Iaid};

/// How one uplink requests its lease.
#[derive(Clone, PartialEq, Debug)]
pub struct Rules {
    /// Another program requests it.
    pub by_program: bool,
    /// The client identifier of this machine.
    pub duid: Duid,
    /// The IA_PDs that are requested.
    pub delegate: Vec<Delegate>,
    /// Offer Rapid Commit.
    pub rapid_commit: bool,
    /// Let servers send Reconfigure.
    pub reconfigure: bool,
    /// After a link event start with Solicit.
    pub solicit_on_reconnect: bool,
    /// Keep a prefix until its valid lifetime ends when a Reply gives another prefix in the same
    /// IA_PD and does not mention this one.
    pub strict: bool,
    /// Refuse delegated prefixes that are shorter than this, in bits.
    pub shortest_prefix: u8,
}

/// A delegated prefix that is held, or was until it ended.
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
    /// Valid until; in the past for a prefix that has ended.
    pub valid_until: Until,
    /// When the prefix ended, because it was withdrawn or replaced or its valid lifetime ran out;
    /// it is still listed after that.
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

/// Items, each with the time until which it may be used.
pub type Ending<T> = Vec<(T, Until)>;

/// The effects of a datagram or of the passing of time on the lease.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// The set of prefixes or addresses, or a deprecation, changed.
    pub changed: bool,
    /// Lifetimes or resolvers changed: the desired state has to be derived anew.
    pub refreshed: bool,
    /// What [`Lease::refresh`] or [`Lease::link_up`] started has ended.
    pub outcome: Option<Outcome>,
    /// The refresh that a valid Reconfigure asks for: a Renew or a Rebind.
    pub reconfigure: Option<RefreshKind>,
    /// The stored part of the lease has changed.
    pub remember: bool,
    /// A condition of the requesting program has begun or ended.
    pub review: bool,
}

/// Why a message that decodes is dropped (RFC 9915 §16).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reject {
    /// Not a message for a requesting router.
    UnexpectedType,
    /// The transaction id is that of no exchange under way.
    TransactionId,
    /// The Server Identifier is missing.
    NoServerId,
    /// The Client Identifier is missing, or that of another client.
    ClientId,
    /// A Reply to Solicit without Rapid Commit.
    NotRapid,
    /// A Reconfigure without authentication, or with a wrong one.
    Authentication,
    /// A Reconfigure whose replay detection value does not increase.
    Replay,
    /// A Reconfigure that asks for a message that it cannot ask for.
    ReconfigureMessage,
    /// It holds nothing that was requested.
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
