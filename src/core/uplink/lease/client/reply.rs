//! Taking in a Reply (RFC 9915 §18.2.10).

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::Client;
use super::ask::ADDRESSES;
use super::exchange::{Aim, Kind};
use super::offer::Offer;
use crate::core::uplink::lease::held::{Given, GivenLease, Held, Ia, Resolvers};
use crate::core::uplink::lease::types::Reject;
use crate::time::Instant;
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::{Duid, IaNa, IaPd, Status, StatusCode};
use crate::wire::dhcpv6_service::ServiceOption;

/// The most DNS servers and search domains that are kept.
const RESOLVERS: usize = 16;

/// IRT_DEFAULT and IRT_MINIMUM, in seconds (RFC 9915 §21.23).
const INFORMATION_REFRESH: u32 = 86_400;
const INFORMATION_REFRESH_FLOOR: u32 = 600;

/// The result of a Reply for its exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// The lease is settled: all exchanges about it end.
    Settled,
    /// The Reply was useful, and another exchange goes on.
    UnderWay,
}

impl Client {
    /// Takes in a Reply from `server`.
    pub(super) fn handle_reply(
        &mut self,
        held: &mut Held,
        now: Instant,
        message: &Message,
        server: &Duid,
    ) -> Result<Verdict, Reject> {
        let position = self.position_of(message).ok_or(Reject::TransactionId)?;
        let exchange = self.exchanges.get(position).ok_or(Reject::TransactionId)?;
        let aim = exchange.aim;
        match exchange.kind.clone() {
            // A Solicit for missing associations offers no Rapid Commit: a committed lease is a
            // whole one.
            Kind::Solicit { .. } if aim == Aim::Missing => Err(Reject::NotRapid),
            Kind::Solicit { .. } if !(self.rules.rapid_commit && message.has_rapid_commit()) => {
                Err(Reject::NotRapid)
            }
            Kind::Solicit { .. } => self.handle_leases(held, now, message, server, position),
            Kind::Request { offer, others } => {
                let verdict = self.handle_leases(held, now, message, server, position);
                if verdict == Err(Reject::Useless) {
                    self.ask_otherwise(held, now, aim, message, &offer, others);
                    return Ok(Verdict::UnderWay);
                }
                verdict
            }
            Kind::Renew { .. } | Kind::Rebind => {
                self.handle_leases(held, now, message, server, position)
            }
            Kind::Confirm => match message.status_code() {
                StatusCode::Success => Ok(Verdict::Settled),
                StatusCode::NotOnLink => {
                    held.drop_addresses(now, None);
                    Ok(Verdict::Settled)
                }
                StatusCode::UnspecFail
                | StatusCode::NoAddrsAvail
                | StatusCode::NoBinding
                | StatusCode::NoPrefixAvail
                | StatusCode::Other(_) => Err(Reject::Useless),
            },
            Kind::Decline { .. } => {
                // Any Reply ends the exchange (RFC 9915 §18.2.10.3).
                self.exchanges.remove(position);
                Ok(Verdict::UnderWay)
            }
            Kind::InformationRequest { .. } => {
                self.handle_information(held, now, message, position)
            }
        }
    }

    /// Handles a Reply with leases to the exchange at `position`.
    fn handle_leases(
        &mut self,
        held: &mut Held,
        now: Instant,
        message: &Message,
        server: &Duid,
        position: usize,
    ) -> Result<Verdict, Reject> {
        self.solicit_cap.hear(message.sol_max_rt(), true);
        self.information_cap.hear(message.inf_max_rt(), true);
        let exchange = self.exchanges.get(position).ok_or(Reject::TransactionId)?;
        let (kind, aim) = (exchange.kind.clone(), exchange.aim);
        self.note_availability(held, now, message, server, (&kind, aim));
        let status = message.status_code();
        if Scope::of(message) == Scope::Message {
            // The exchange goes on at its own pace (PDC-65).
            return Err(Reject::Useless);
        }
        let (unknown, known): (Vec<_>, Vec<_>) = self
            .given(message)
            .into_iter()
            .partition(|given| given.status == StatusCode::NoBinding);
        let useful = held.take_in(now, server, &known, self.rules.strict);
        let no_binding = status == StatusCode::NoBinding || !unknown.is_empty();
        if no_binding && matches!(kind, Kind::Renew { .. } | Kind::Rebind) {
            return self.request_binding(held, now, server, position, useful);
        }
        if !useful {
            return Err(Reject::Useless);
        }
        self.note_given(held, now, server, &known, (&kind, aim));
        held.rest(now);
        if aim == Aim::Everything || known.iter().any(|given| given.ia != Ia::Na) {
            held.server = Some(server.clone());
        }
        self.settled_at = Some(now);
        self.note_bound(held, now, server);
        self.learn_key(message, server);
        held.resolvers = Resolvers { stateless: false, ..resolvers(message) };
        Ok(match aim {
            Aim::Everything => Verdict::Settled,
            Aim::Missing => {
                self.miss_again(held, now);
                Verdict::UnderWay
            }
        })
    }

    /// The server has no binding for a Renew: everything is requested from it at once, and the held
    /// prefixes stay in use until the answer (RFC 9915 §18.2.10.1).
    fn request_binding(
        &mut self,
        held: &Held,
        now: Instant,
        server: &Duid,
        renewal: usize,
        useful: bool,
    ) -> Result<Verdict, Reject> {
        if self.is_under_way(|kind| matches!(kind, Kind::Request { .. })) {
            // The Rebinds beside a Request reach the same server again.
            return if useful { Ok(Verdict::UnderWay) } else { Err(Reject::Useless) };
        }
        let renews = |kind: &Kind| matches!(kind, Kind::Renew { .. });
        if self.exchanges.get(renewal).is_some_and(|exchange| renews(&exchange.kind)) {
            self.exchanges.remove(renewal);
        }
        let leases = held.leases(now, None).collect();
        let offer = Offer { server: server.clone(), preference: 0, leases };
        self.request(now, Aim::Everything, offer, Vec::new());
        Ok(Verdict::UnderWay)
    }

    /// A Request granted nothing, for whatever reason: requests less where that was the reason,
    /// else asks another server that has offered, else all servers anew (RFC 9915 §18.2.10.1).
    fn ask_otherwise(
        &mut self,
        held: &mut Held,
        now: Instant,
        aim: Aim,
        message: &Message,
        offer: &Offer,
        others: Vec<Offer>,
    ) {
        let mut codes = self.given(message).into_iter().map(|given| given.status);
        let not_on_link = message.status_code() == StatusCode::NotOnLink
            || codes.any(|code| code == StatusCode::NotOnLink);
        let less = offer.without_addresses().filter(|_| not_on_link);
        match less.filter(|less| aim == Aim::Everything || !less.leases.is_empty()) {
            Some(offer) => self.request(now, aim, offer, others),
            None if self.request_next(now, aim, others) => {}
            None if aim == Aim::Missing => self.miss_again(held, now),
            None => self.discover_anew(held, now),
        }
    }

    fn handle_information(
        &mut self,
        held: &mut Held,
        now: Instant,
        message: &Message,
        position: usize,
    ) -> Result<Verdict, Reject> {
        self.solicit_cap.hear(message.sol_max_rt(), true);
        self.information_cap.hear(message.inf_max_rt(), true);
        if message.status_code() != StatusCode::Success {
            return Err(Reject::Useless);
        }
        self.exchanges.remove(position);
        let stateless = held.is_empty();
        held.resolvers = Resolvers { stateless, ..resolvers(message) };
        let refresh = message.information_refresh_time().unwrap_or(INFORMATION_REFRESH);
        let refresh = Duration::from_secs(refresh.max(INFORMATION_REFRESH_FLOOR).into());
        // The delay keeps many hosts from sending at the same moment.
        let delay = self.random.duration(Duration::ZERO, Duration::from_secs(1));
        self.inform_at =
            (refresh.as_secs() != u64::from(u32::MAX)).then_some(now + refresh + delay);
        Ok(if self.asks(now) { Verdict::UnderWay } else { Verdict::Settled })
    }

    /// The contents of `message` for each of our identity associations, each once. One whose T1
    /// exceeds its T2 is dropped (RFC 9915 §21.4, §21.21). A lease is granted only where its own
    /// status, that of its association and that of the message are success.
    pub(super) fn given(&self, message: &Message) -> Vec<Given> {
        let addresses = message
            .ia_nas()
            .filter(|ia_na| self.wants_address && ia_na.iaid == ADDRESSES)
            .map(Given::from)
            .take(1);
        let prefixes = self.rules.delegate.iter().filter_map(|delegate| {
            message.ia_pds().find(|ia_pd| ia_pd.iaid == delegate.iaid).map(Given::from)
        });
        let in_order = |given: &Given| given.t2.is_zero() || given.t1 <= given.t2;
        let status = message.status_code();
        let scope = Scope::of(message);
        let judged =
            |given: Given| if scope.covers(given.ia) { given.failed(status) } else { given };
        addresses.chain(prefixes).filter(in_order).map(judged).collect()
    }
}

/// The part of a message that its status is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    /// No part: the statuses of the associations count.
    Nothing,
    /// The addresses, as in servers after RFC 3315 §17.2.2.
    Addresses,
    /// The prefixes.
    Prefixes,
    /// The whole message.
    Message,
}

impl Scope {
    pub(super) fn of(message: &Message) -> Self {
        match message.status_code() {
            StatusCode::NoBinding if message.kind == MessageType::Advertise => Self::Message,
            // In a Reply NoBinding is answered by a Request; UseMulticast (5) is obsolete (PDC-07).
            StatusCode::Success | StatusCode::NoBinding | StatusCode::Other(5) => Self::Nothing,
            StatusCode::NoAddrsAvail | StatusCode::NotOnLink => Self::Addresses,
            StatusCode::NoPrefixAvail => Self::Prefixes,
            StatusCode::UnspecFail | StatusCode::Other(_) => Self::Message,
        }
    }

    fn covers(self, ia: Ia) -> bool {
        match self {
            Self::Nothing => false,
            Self::Addresses => ia == Ia::Na,
            Self::Prefixes => ia != Ia::Na,
            Self::Message => true,
        }
    }
}

impl Given {
    /// The same with nothing granted, for the reason `status`, unless it has one of its own.
    fn failed(mut self, status: StatusCode) -> Self {
        if self.status == StatusCode::Success {
            self.status = status;
        }
        for lease in &mut self.leases {
            lease.success = false;
        }
        self
    }

    /// The same with nothing granted, if the association's own status says so.
    fn judged(self) -> Self {
        let status = self.status;
        if matches!(status, StatusCode::Success | StatusCode::Other(5)) {
            self
        } else {
            self.failed(status)
        }
    }
}

impl From<&IaPd> for Given {
    fn from(ia_pd: &IaPd) -> Self {
        let leases = ia_pd.prefixes.iter().map(|given| GivenLease {
            prefix: given.prefix.trunc(),
            exclude: given.exclude,
            preferred: given.preferred,
            valid: given.valid,
            success: code_of(given.status.as_ref()) == StatusCode::Success,
        });
        Self {
            ia: Ia::Pd(ia_pd.iaid),
            t1: ia_pd.t1,
            t2: ia_pd.t2,
            status: code_of(ia_pd.status.as_ref()),
            leases: leases.collect(),
        }
        .judged()
    }
}

impl From<&IaNa> for Given {
    fn from(ia_na: &IaNa) -> Self {
        let leases = ia_na.addresses.iter().map(|given| GivenLease {
            prefix: Ipv6Net::from(given.address),
            exclude: None,
            preferred: given.preferred,
            valid: given.valid,
            success: code_of(given.status.as_ref()) == StatusCode::Success,
        });
        Self {
            ia: Ia::Na,
            t1: ia_na.t1,
            t2: ia_na.t2,
            status: code_of(ia_na.status.as_ref()),
            leases: leases.collect(),
        }
        .judged()
    }
}

/// An absent status means success (RFC 9915 §21.13).
fn code_of(status: Option<&Status>) -> StatusCode {
    status.map_or(StatusCode::Success, |status| status.code)
}

/// The resolvers of a Reply: ones that it omits are dropped (RFC 9915 §18.2.10.5).
fn resolvers(message: &Message) -> Resolvers {
    let usable = |address: &&Ipv6Addr| {
        !address.is_unspecified() && !address.is_multicast() && !address.is_loopback()
    };
    let servers = message.dns_servers().unwrap_or_default();
    let domains = message.domain_search().unwrap_or_default();
    Resolvers {
        servers: servers.iter().filter(usable).take(RESOLVERS).copied().collect(),
        domains: domains.iter().take(RESOLVERS).cloned().collect(),
        services: ServiceOption::select(&message.options),
        stateless: false,
    }
}
