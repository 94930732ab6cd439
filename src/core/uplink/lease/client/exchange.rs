//! One exchange under way: what is asked, under which transaction id, and when again.

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
/// A Solicit that probes for something better than what is held, and soon rests.
pub(super) const PROBE: Parameters = Parameters::new(1, 3600, 0, 10);
/// REQ_TIMEOUT, REQ_MAX_RT, REQ_MAX_RC (RFC 9915 §7.6).
pub(super) const REQUEST: Parameters = Parameters::new(1, 30, 10, 0);
/// REN_TIMEOUT, REN_MAX_RT (RFC 9915 §7.6); T2 ends it.
pub(super) const RENEW: Parameters = Parameters::new(10, 600, 0, 0);
/// REB_TIMEOUT, REB_MAX_RT (RFC 9915 §7.6); the last valid lifetime ends it.
pub(super) const REBIND: Parameters = Parameters::new(10, 600, 0, 0);
/// CNF_TIMEOUT, CNF_MAX_RT, CNF_MAX_RD (RFC 9915 §7.6).
pub(super) const CONFIRM: Parameters = Parameters::new(1, 4, 0, 10);
/// The repeated Rebinds of the ladder: those of Confirm (RFC 9915 §18.2.12), but two of them, as
/// the Solicit that follows asks all servers as well.
pub(super) const SECOND_STEP: Parameters = Parameters::new(1, 4, 2, 0);
/// The first step of the ladder: sent once, its answer welcome as long as the ladder stands.
pub(super) const FIRST_STEP: Parameters = Parameters::new(20, 20, 1, 11);
/// The same after a change: repeated, at first after a few round trips (PDC-41).
pub(super) const REPEATED_FIRST_STEP: Parameters = Parameters::new(1, 1, 0, 11);
/// DEC_TIMEOUT, DEC_MAX_RC (RFC 9915 §7.6).
pub(super) const DECLINE: Parameters = Parameters::new(1, 0, 4, 0);
/// INF_TIMEOUT, INF_MAX_RT (RFC 9915 §7.6).
pub(super) const INFORMATION_REQUEST: Parameters = Parameters::new(1, 3600, 0, 0);

/// What is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// For any server's offer.
    Solicit {
        /// The Advertises collected, the best first.
        offers: Vec<Offer>,
        /// A server has answered.
        advertised: bool,
        /// Names what is held as a hint; see [`Exchange::names_hints`].
        hints: bool,
    },
    /// For what one server offered.
    Request {
        /// The offer.
        offer: Offer,
        /// Whom to turn to when it fails, the best first.
        others: Vec<Offer>,
    },
    /// For longer lifetimes from the server that gave the lease.
    Renew {
        /// That server.
        server: Duid,
    },
    /// For longer lifetimes from any server.
    Rebind,
    /// Whether the addresses still fit the link.
    Confirm,
    /// Tells that addresses are in use by others.
    Decline {
        /// Who gave them.
        server: Duid,
        /// The addresses.
        addresses: Vec<Ipv6Addr>,
    },
    /// For configuration without a lease.
    InformationRequest {
        /// Who wanted to be asked, if a Reconfigure was the reason.
        server: Option<Duid>,
    },
}

impl Kind {
    /// The type of its message.
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

    /// Whether it ends when the lease is settled.
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

    /// Whether it works towards a lease where there is none.
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

    /// Whether nothing more is to be done at T1 while it is under way.
    pub(super) const fn covers_t1(&self) -> bool {
        matches!(self, Self::Renew { .. }) || self.covers_t2()
    }

    /// Whether nothing more is to be done at T2 while it is under way.
    pub(super) const fn covers_t2(&self) -> bool {
        matches!(self, Self::Rebind | Self::Request { .. } | Self::Confirm)
    }
}

/// Which identity associations an exchange is about.
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
    /// Whether it is a Solicit that was sent and has brought no offer.
    pub(super) fn is_in_vain(&self) -> bool {
        matches!(&self.kind, Kind::Solicit { offers, .. } if offers.is_empty())
            && self.retransmit.count() > 0
    }

    /// An exchange whose first message is due at `at`.
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

    /// Whether its message is to be sent. A Solicit with offers is not repeated but followed by
    /// a Request.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.has_offers() && self.retransmit.is_due(now)
    }

    /// Whether Advertises wait to be chosen from.
    pub(super) const fn has_offers(&self) -> bool {
        matches!(&self.kind, Kind::Solicit { offers, .. } if !offers.is_empty())
    }

    /// Whether a Solicit names what is held. When it has done so twice without an offer it leaves
    /// that out every other time: there are servers that offer nothing beside a prefix that they
    /// do not have.
    pub(super) const fn names_hints(&self) -> bool {
        let count = self.retransmit.count();
        matches!(self.kind, Kind::Solicit { hints: true, .. }) && (count < 2 || count % 2 == 1)
    }

    /// Whether its first message has left.
    pub(super) const fn is_sent(&self) -> bool {
        self.retransmit.count() > 0
    }

    /// How long ago its first message left; nothing where none has.
    pub(super) fn lasts(&self, now: Instant) -> Duration {
        self.retransmit.elapsed(now)
    }

    /// When to look at it again; nothing leaves before `free_at`.
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
