//! Registration of the addresses that the kernel of a host has formed (RFC 9686).
//!
//! An Information-request shows whether the network's server supports it, wherever a router says
//! that there is a DHCPv6 server. UDP port 546 is needed only while an answer is awaited: another
//! program may be the host's DHCPv6 client.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::change::Bucket;
use super::retransmit::{Parameters, Retransmit};
use crate::core::kernel::system::{KernelAddress, Origin};
use crate::core::random::Random;
use crate::core::status::{RegisteredStatus, RegistrationStatus};
use crate::time::{Deadline, Instant, Until};
use crate::wire::address_registration::{Acknowledgement, Inform};
use crate::wire::dhcpv6::{Message, MessageType, TransactionId};
use crate::wire::dhcpv6_option::{Dhcpv6Option, Duid, code};

/// INF_TIMEOUT and INF_MAX_RT (RFC 9915 §7.6), and how many requests a server may leave unanswered.
const INFORMATION: Parameters = Parameters::new(1, 3600, 5, 0);
/// INF_MAX_DELAY (RFC 9915 §7.6)
const INFORMATION_DELAY: Duration = Duration::from_secs(1);
/// How long after a server did not answer the next Information-request is sent: INF_MAX_RT.
const SILENCE: Duration = Duration::from_secs(3600);
/// IRT_DEFAULT and IRT_MINIMUM in seconds (RFC 9915 §7.6): when a server that does not support it
/// is asked again.
const REFRESH: u32 = 86_400;
const LEAST_REFRESH: u32 = 600;
/// RFC 9686 §4.5
const REGISTRATION: Parameters = Parameters::new(1, 0, 3, 0);
/// A registration is refreshed after this part of the valid lifetime (RFC 9686 §4.6.1),
const PART: f64 = 0.8;
/// and one of an address without end after four hours (§4.6.2).
const WITHOUT_END: Duration = Duration::from_secs(4 * 3600);
/// AddrRegRefreshCoalesce (RFC 9686 §4.6.3)
const COALESCE: Duration = Duration::from_secs(60);
/// The most addresses of one interface that are registered. Kernels form 16.
const MAX_ADDRESSES: usize = 32;
/// The rate of registrations, as any node on the link can have addresses formed.
const MESSAGES: Bucket = Bucket::new(64, Duration::from_secs(2));

/// The registration of the addresses of one interface.
#[derive(Clone, Debug)]
pub(super) struct Registration {
    random: Random,
    duid: Duid,
    /// AddrRegDesyncMultiplier (RFC 9686 §4.6.1)
    desync: f64,
    support: Support,
    addresses: BTreeMap<Ipv6Addr, Registered>,
    messages: Bucket,
}

/// Whether the network's DHCPv6 server supports registration.
#[derive(Clone, Debug)]
enum Support {
    /// It is not known, nor whether there is a server.
    Unknown,
    /// An Information-request is under way.
    Asked(Exchange),
    /// The server does not support it, or does not answer; it is asked again at this time.
    Absent { again_at: Option<Instant> },
    /// The server supports it.
    Offered,
}

/// A message that is repeated until it is answered.
#[derive(Clone, Debug)]
struct Exchange {
    transaction_id: TransactionId,
    retransmit: Retransmit,
}

/// An address with the state of its registration.
#[derive(Clone, Debug)]
struct Registered {
    preferred_until: Until,
    valid_until: Until,
    /// The end of its valid lifetime when it was registered last.
    known_until: Until,
    /// The server has acknowledged it on this link.
    is_acknowledged: bool,
    exchange: Option<Exchange>,
    /// NextAddrRegRefreshTime (RFC 9686 §4.6.1): the latest time of a refresh that becomes
    /// necessary.
    refresh_by: Instant,
    refresh_at: Option<Instant>,
}

impl Registration {
    /// No message is sent until [`start`](Self::start).
    pub(super) fn new(duid: Duid, mut random: Random) -> Self {
        Self {
            desync: random.factor(0.9, 1.1),
            random,
            duid,
            support: Support::Unknown,
            addresses: BTreeMap::new(),
            messages: MESSAGES,
        }
    }

    /// A router says that there is a DHCPv6 server: it is asked, once per link.
    pub(super) fn start(&mut self, now: Instant) {
        if matches!(self.support, Support::Unknown) {
            let delay = self.random.duration(Duration::ZERO, INFORMATION_DELAY);
            self.ask(now + delay);
        }
    }

    fn ask(&mut self, at: Instant) {
        self.support = Support::Asked(self.exchange(INFORMATION, at));
    }

    fn exchange(&mut self, parameters: Parameters, at: Instant) -> Exchange {
        let transaction_id = self.random.transaction_id();
        Exchange { transaction_id, retransmit: Retransmit::new(parameters, at) }
    }

    /// The link may be another one: the state does not count there (RFC 9686 §4.4).
    pub(super) fn forget(&mut self) {
        self.support = Support::Unknown;
        self.addresses.values_mut().for_each(Registered::rest);
    }

    /// UDP port 546 belongs to another program, which can register addresses: no message is sent
    /// any more on this link.
    pub(super) fn give_up(&mut self) {
        self.support = Support::Absent { again_at: None };
        self.addresses.values_mut().for_each(Registered::rest);
    }

    /// Whether an answer is awaited, or a message has to be sent.
    pub(super) fn needs_port(&self) -> bool {
        let mut addresses = self.addresses.values();
        matches!(self.support, Support::Asked(_)) || addresses.any(|has| has.exchange.is_some())
    }

    /// Takes over the addresses of the interface.
    pub(super) fn follow<'a>(
        &mut self,
        now: Instant,
        addresses: impl Iterator<Item = &'a KernelAddress>,
    ) {
        let mut has: Vec<&KernelAddress> =
            addresses.filter(|has| is_registered(now, has)).collect();
        // Of too many addresses those count that connections are started from.
        has.sort_by_key(|has| std::cmp::Reverse((has.preferred_until, has.valid_until)));
        has.truncate(MAX_ADDRESSES);
        self.addresses.retain(|address, _| has.iter().any(|has| has.address == *address));
        for has in has {
            let is_offered = matches!(self.support, Support::Offered);
            match self.addresses.get_mut(&has.address) {
                Some(known) => known.follow(now, has, self.desync, is_offered),
                None => {
                    self.addresses.insert(has.address, Registered::new(now, has));
                    if is_offered {
                        self.register(now, has.address);
                    }
                }
            }
        }
    }

    fn register(&mut self, now: Instant, address: Ipv6Addr) {
        let exchange = self.exchange(REGISTRATION, now);
        if let Some(known) = self.addresses.get_mut(&address) {
            known.refresh_by = now + interval(now, known.valid_until, self.desync);
            known.refresh_at = (known.valid_until == Until::Never).then_some(known.refresh_by);
            known.known_until = known.valid_until;
            known.exchange = Some(exchange);
        }
    }

    fn register_where(&mut self, now: Instant, is_wanted: impl Fn(&Registered) -> bool) {
        let wanted = self.addresses.iter().filter(|(_, known)| is_wanted(known));
        let wanted: Vec<Ipv6Addr> = wanted.map(|(address, _)| *address).collect();
        wanted.into_iter().for_each(|address| self.register(now, address));
    }

    /// Handles a Reply; returns whether it answers the Information-request.
    pub(super) fn handle_reply(&mut self, now: Instant, reply: &Message) -> bool {
        let Support::Asked(Exchange { transaction_id, .. }) = &self.support else { return false };
        let is_answer = reply.kind == MessageType::Reply
            && reply.transaction_id == *transaction_id
            && reply.client_id() == Some(&self.duid)
            && reply.server_id().is_some();
        if !is_answer {
            return false;
        }
        let is_offer = |option: &Dhcpv6Option| matches!(option, Dhcpv6Option::Unknown { code, .. } if *code == code::ADDR_REG_ENABLE);
        if reply.options.iter().any(is_offer) {
            self.support = Support::Offered;
            self.register_where(now, |_| true);
        } else {
            let refresh = reply.information_refresh_time().unwrap_or(REFRESH).max(LEAST_REFRESH);
            let again_at = Some(now + Duration::from_secs(refresh.into()));
            self.support = Support::Absent { again_at };
        }
        true
    }

    /// Handles an acknowledgement that came to `destination`; returns whether it belongs to a
    /// registration (RFC 9686 §4.3).
    pub(super) fn handle_acknowledgement(
        &mut self,
        destination: Ipv6Addr,
        acknowledgement: &Acknowledgement,
    ) -> bool {
        let Acknowledgement { transaction_id, address } = acknowledgement;
        let known = self.addresses.get_mut(address).filter(|_| destination == *address);
        let Some(known) = known else { return false };
        let answered =
            known.exchange.take_if(|exchange| exchange.transaction_id == *transaction_id);
        known.is_acknowledged |= answered.is_some();
        answered.is_some()
    }

    /// Ends exchanges without an answer, asks the server again, and refreshes registrations.
    pub(super) fn handle_timeout(&mut self, now: Instant) {
        match &self.support {
            Support::Asked(Exchange { retransmit, .. }) if retransmit.is_over(now) => {
                self.support = Support::Absent { again_at: Some(now + SILENCE) };
            }
            Support::Absent { again_at: Some(at) } if *at <= now => self.ask(now),
            Support::Unknown | Support::Asked(_) | Support::Absent { .. } | Support::Offered => {}
        }
        for known in self.addresses.values_mut() {
            known.exchange.take_if(|exchange| exchange.retransmit.is_over(now));
        }
        let is_refreshed = |at: Instant| at <= now;
        if self.addresses.values().filter_map(|known| known.refresh_at).any(is_refreshed) {
            let soon = now + COALESCE;
            self.register_where(now, |known| known.refresh_at.is_some_and(|at| at <= soon));
        }
    }

    /// The next message: the address that it is sent from, none for the link-local one, and its
    /// octets.
    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<(Option<Ipv6Addr>, Vec<u8>)> {
        let Self { random, duid, support, addresses, messages, .. } = self;
        if let Support::Asked(Exchange { transaction_id, retransmit }) = support
            && retransmit.is_due(now)
            && messages.take(now)
        {
            let octets = information_request(duid, *transaction_id, retransmit.elapsed(now));
            retransmit.handle_sent(now, random);
            return Some((None, octets));
        }
        for (address, known) in addresses {
            let Some(Exchange { transaction_id, retransmit }) = &mut known.exchange else {
                continue;
            };
            if !retransmit.is_due(now) || !messages.take(now) {
                continue;
            }
            retransmit.handle_sent(now, random);
            let inform = Inform {
                transaction_id: *transaction_id,
                client: duid.clone(),
                address: *address,
                preferred: known.preferred_until.remaining(now),
                valid: known.valid_until.remaining(now),
            };
            return Some((Some(*address), inform.encode()));
        }
        None
    }

    /// The state of registration for status; none before a router has said that there is a DHCPv6
    /// server.
    pub(super) fn status(&self, now: Instant) -> Option<RegistrationStatus> {
        let server = match self.support {
            Support::Unknown => return None,
            Support::Asked(_) => "asked",
            Support::Absent { .. } => "registers none",
            Support::Offered => "registers",
        };
        let is_offered = matches!(self.support, Support::Offered);
        let addresses = self.addresses.iter().filter(|_| is_offered);
        let addresses = addresses.map(|(address, known)| RegisteredStatus {
            address: *address,
            acknowledged: known.is_acknowledged,
            under_way: known.exchange.is_some(),
            refresh: known.refresh_at.map(|at| at.since(now).as_secs_f64()),
        });
        Some(RegistrationStatus { server: server.to_owned(), addresses: addresses.collect() })
    }

    /// When [`handle_timeout`](Self::handle_timeout) has something to do, or, where one can be sent, a
    /// message has to leave.
    pub(super) fn deadline(&self, can_send: bool) -> Option<Deadline> {
        let free_at = self.messages.available_at();
        let of = |exchange: &Exchange| exchange.retransmit.deadline().max(free_at);
        let (asked, again) = match &self.support {
            Support::Asked(exchange) => (Some(of(exchange)), None),
            Support::Absent { again_at } => (None, *again_at),
            Support::Unknown | Support::Offered => (None, None),
        };
        let exchanges = self.addresses.values().filter_map(|known| known.exchange.as_ref());
        let message = exchanges.map(of).chain(asked).min().filter(|_| can_send);
        let refresh = self.addresses.values().filter_map(|known| known.refresh_at).min();
        Deadline::first([
            message.map(|at| Deadline::new(at, "registration of an address")),
            refresh.map(|at| Deadline::new(at, "refresh of a registration")),
            again.map(|at| Deadline::new(at, "question whether addresses are registered")),
        ])
    }
}

impl Registered {
    fn new(now: Instant, has: &KernelAddress) -> Self {
        Self {
            preferred_until: has.preferred_until,
            valid_until: has.valid_until,
            known_until: has.valid_until,
            is_acknowledged: false,
            exchange: None,
            refresh_by: now,
            refresh_at: None,
        }
    }

    /// Ends the message under way.
    fn rest(&mut self) {
        (self.exchange, self.refresh_at, self.is_acknowledged) = (None, None, false);
    }

    /// Takes over the lifetimes of the address. A server that knows another end is updated in time
    /// (RFC 9686 §4.6.1).
    fn follow(&mut self, now: Instant, has: &KernelAddress, desync: f64, is_offered: bool) {
        (self.preferred_until, self.valid_until) = (has.preferred_until, has.valid_until);
        if is_offered && differ(now, self.known_until, self.valid_until) {
            let at = (now + interval(now, self.valid_until, desync)).min(self.refresh_by).max(now);
            self.refresh_at = Some(at);
        }
    }
}

/// AddrRegRefreshInterval, with the client's multiplier.
fn interval(now: Instant, valid_until: Until, desync: f64) -> Duration {
    match valid_until {
        Until::At(at) => at.since(now).mul_f64(PART * desync),
        Until::Never => WITHOUT_END.mul_f64(desync),
    }
}

/// Whether two ends differ by more than a hundredth of the remaining time.
fn differ(now: Instant, one: Until, other: Until) -> bool {
    match (one, other) {
        (Until::Never, Until::Never) => false,
        (Until::At(one), Until::At(other)) => {
            let apart = one.max(other).since(one.min(other));
            apart > one.since(now) / 100
        }
        (Until::Never, Until::At(_)) | (Until::At(_), Until::Never) => true,
    }
}

/// Whether an address is registered: it is usable, of global scope, and no DHCPv6 server has given
/// it (RFC 9686 §4.2). An address that the kernel has not formed cannot be a server's only if it
/// has no end.
fn is_registered(now: Instant, has: &KernelAddress) -> bool {
    let address = has.address;
    let is_global = !address.is_unicast_link_local()
        && !address.is_loopback()
        && !address.is_multicast()
        && !address.is_unspecified();
    let is_own = match has.origin {
        Origin::Advertisement | Origin::Temporary => true,
        Origin::Other => has.valid_until == Until::Never,
    };
    let is_usable = !has.tentative && !has.duplicate && !has.valid_until.is_over(now);
    is_global && is_own && is_usable && !has.ours
}

fn information_request(duid: &Duid, transaction_id: TransactionId, elapsed: Duration) -> Vec<u8> {
    let hundredths = u16::try_from(elapsed.as_millis() / 10).unwrap_or(u16::MAX);
    let codes = [code::ADDR_REG_ENABLE, code::INFORMATION_REFRESH_TIME, code::INF_MAX_RT];
    let options = vec![
        Dhcpv6Option::ClientId(duid.clone()),
        Dhcpv6Option::ElapsedTime(hundredths),
        Dhcpv6Option::OptionRequest(codes.to_vec()),
    ];
    Message { kind: MessageType::InformationRequest, transaction_id, options }.encode()
}

#[cfg(test)]
mod tests;
