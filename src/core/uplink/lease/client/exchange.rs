//! One exchange under way: its message, its transaction id, and when it is retransmitted.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::offer::Offer;
use crate::core::random::Random;
use crate::core::uplink::retransmit::{Parameters, Retransmit};
use crate::time::Instant;
use crate::wire::dhcpv6::{MessageType, TransactionId};
use crate::wire::dhcpv6_option::Duid;

/// SOL_TIMEOUT, SOL_MAX_RT (RFC 9915 §7.6).
pub(super) const SOLICIT: Parameters = Parameters::new(1, 3600, 0, 0);
/// A Solicit for a better prefix than the one that is held: it is given up after 10 s.
pub(super) const PROBE: Parameters = Parameters::new(1, 3600, 0, 10);
/// REQ_TIMEOUT, REQ_MAX_RT, REQ_MAX_RC (RFC 9915 §7.6).
pub(super) const REQUEST: Parameters = Parameters::new(1, 30, 10, 0);
/// REN_TIMEOUT, REN_MAX_RT (RFC 9915 §7.6); T2 ends it.
pub(super) const RENEW: Parameters = Parameters::new(10, 600, 0, 0);
/// REB_TIMEOUT, REB_MAX_RT (RFC 9915 §7.6); the last valid lifetime ends it.
pub(super) const REBIND: Parameters = Parameters::new(10, 600, 0, 0);
/// CNF_TIMEOUT, CNF_MAX_RT, CNF_MAX_RD (RFC 9915 §7.6).
pub(super) const CONFIRM: Parameters = Parameters::new(1, 4, 0, 10);
/// The repeated Rebinds of the refresh ladder: they have the intervals of Confirm (RFC 9915
/// §18.2.12), but are only two, as the Solicit that follows reaches all servers as well.
pub(super) const SECOND_STEP: Parameters = Parameters::new(1, 4, 2, 0);
/// The first step of the refresh ladder: one message, whose answer is accepted until the ladder has
/// ended (11 s).
pub(super) const FIRST_STEP: Parameters = Parameters::new(20, 20, 1, 11);
/// The first step after a change: it is retransmitted, first after a few round trips (PDC-41).
pub(super) const REPEATED_FIRST_STEP: Parameters = Parameters::new(1, 1, 0, 11);
/// DEC_TIMEOUT, DEC_MAX_RC (RFC 9915 §7.6).
pub(super) const DECLINE: Parameters = Parameters::new(1, 0, 4, 0);
/// INF_TIMEOUT, INF_MAX_RT (RFC 9915 §7.6).
pub(super) const INFORMATION_REQUEST: Parameters = Parameters::new(1, 3600, 0, 0);

/// The kind of an exchange.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Asks all servers for offers.
    Solicit {
        /// The Advertises collected, the best first.
        offers: Vec<Offer>,
        /// Whether a server has sent an Advertise.
        advertised: bool,
        /// Whether the Solicit names what is held as a hint; see [`Exchange::names_hints`].
        hints: bool,
    },
    /// Asks one server for what it offered.
    Request {
        /// The offer.
        offer: Offer,
        /// Offers of other servers, requested when this one fails, the best first.
        others: Vec<Offer>,
    },
    /// Asks the server that granted the lease for longer lifetimes.
    Renew {
        /// That server.
        server: Duid,
    },
    /// Asks all servers for longer lifetimes.
    Rebind,
    /// Asks all servers whether the addresses still fit the link.
    Confirm,
    /// Declines addresses that other nodes use.
    Decline {
        /// The server that granted them.
        server: Duid,
        /// The addresses.
        addresses: Vec<Ipv6Addr>,
    },
    /// Asks for configuration without a lease.
    InformationRequest {
        /// The server whose Reconfigure asked for this, if one did.
        server: Option<Duid>,
    },
}

impl Kind {
    /// The type of the message that the exchange sends.
    pub(super) const fn message_type(&self) -> MessageType {
        match self {
            Self::Solicit { .. } => MessageType::Solicit,
            Self::Request { .. } => MessageType::Request,
            Self::Renew { .. } => MessageType::Renew,
            Self::Rebind => MessageType::Rebind,
            Self::Confirm => MessageType::Confirm,
            Self::Decline { .. } => MessageType::Decline,
            Self::InformationRequest { .. } => MessageType::InformationRequest,
        }
    }

    /// Whether the exchange is about a lease: it ends when the lease is granted or confirmed.
    pub(super) const fn is_for_lease(&self) -> bool {
        match self {
            Self::Solicit { .. }
            | Self::Request { .. }
            | Self::Renew { .. }
            | Self::Rebind
            | Self::Confirm => true,
            Self::Decline { .. } | Self::InformationRequest { .. } => false,
        }
    }

    /// Whether the exchange asks for a new lease.
    pub(super) const fn is_discovery(&self) -> bool {
        match self {
            Self::Solicit { .. } | Self::Request { .. } => true,
            Self::Renew { .. }
            | Self::Rebind
            | Self::Confirm
            | Self::Decline { .. }
            | Self::InformationRequest { .. } => false,
        }
    }

    /// Whether this exchange stands for the Renew at T1: none is started beside it.
    pub(super) const fn covers_t1(&self) -> bool {
        matches!(self, Self::Renew { .. }) || self.covers_t2()
    }

    /// Whether this exchange stands for the Rebind at T2: none is started beside it.
    pub(super) const fn covers_t2(&self) -> bool {
        matches!(self, Self::Rebind | Self::Request { .. } | Self::Confirm)
    }
}

/// The identity associations that an exchange is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Aim {
    /// All that are wanted.
    Everything,
    /// Those that are missing beside what is held; see `missing`.
    Missing,
}

/// An exchange under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Exchange {
    pub(super) kind: Kind,
    pub(super) aim: Aim,
    pub(super) transaction_id: TransactionId,
    pub(super) retransmit: Retransmit,
}

impl Exchange {
    /// Whether this is a Solicit that has been sent and has brought no offer.
    pub(super) fn is_in_vain(&self) -> bool {
        matches!(&self.kind, Kind::Solicit { offers, .. } if offers.is_empty())
            && self.retransmit.count() > 0
    }

    /// An exchange whose first message is sent at `at`.
    pub(super) fn new(
        kind: Kind,
        parameters: Parameters,
        at: Instant,
        random: &mut Random,
    ) -> Self {
        let retransmit = Retransmit::new(parameters, at);
        let retransmit = match kind {
            Kind::Solicit { .. } => retransmit.first_above_initial(),
            Kind::Request { .. }
            | Kind::Renew { .. }
            | Kind::Rebind
            | Kind::Confirm
            | Kind::Decline { .. }
            | Kind::InformationRequest { .. } => retransmit,
        };
        Self { kind, aim: Aim::Everything, transaction_id: random.transaction_id(), retransmit }
    }

    /// Whether the message is to be sent now, first or again. A Solicit with offers is not repeated
    /// but followed by a Request.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.has_offers() && self.retransmit.is_due(now)
    }

    /// Whether a Solicit has collected offers, from which one is to be chosen.
    pub(super) const fn has_offers(&self) -> bool {
        matches!(&self.kind, Kind::Solicit { offers, .. } if !offers.is_empty())
    }

    /// Whether a Solicit names the held prefixes. After two such Solicits without an offer every
    /// other one omits them: some servers offer nothing beside a prefix that they do not have.
    pub(super) const fn names_hints(&self) -> bool {
        let count = self.retransmit.count();
        matches!(self.kind, Kind::Solicit { hints: true, .. }) && (count < 2 || count % 2 == 1)
    }

    /// Whether the first message has been sent.
    pub(super) const fn is_sent(&self) -> bool {
        self.retransmit.count() > 0
    }

    /// How long ago the first message was sent; zero where none was.
    pub(super) fn lasts(&self, now: Instant) -> Duration {
        self.retransmit.elapsed(now)
    }

    /// When the exchange has to be handled next; no message is sent before `free_at`, when the
    /// rate limit allows one.
    pub(super) fn deadline(&self, free_at: Instant) -> Instant {
        let at = self.retransmit.deadline();
        if self.has_offers() || self.retransmit.is_over(at) { at } else { at.max(free_at) }
    }

    /// The Elapsed Time option's value at `now` (RFC 9915 §21.9).
    pub(super) fn elapsed_hundredths(&self, now: Instant) -> u16 {
        const HUNDREDTH: Duration = Duration::from_millis(10);
        let hundredths = self.retransmit.elapsed(now).as_nanos() / HUNDREDTH.as_nanos();
        u16::try_from(hundredths).unwrap_or(u16::MAX)
    }
}
