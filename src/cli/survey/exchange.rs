//! The exchange with routers and servers of a link: which messages are sent and when, and which
//! answers are used. Time comes in, packets go out; nothing of the machine is changed.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::report::{Router, Server};
use crate::core::input::Received;
use crate::core::random::Random;
use crate::time::{Deadline, Instant, Lifetime};
use crate::wire::dhcpv6::{Message, MessageType, TransactionId};
use crate::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, IaPrefix, Iaid, StatusCode, code};
use crate::wire::ndp::RouterAdvertisement;

/// When solicitations leave, counted from the beginning (RFC 4861 §10, RFC 9915 §7.6).
const TIMES: [Duration; 3] =
    [Duration::ZERO, Duration::from_millis(1000), Duration::from_millis(3000)];
/// How long other servers may still answer after the first one has.
const OTHERS: Duration = Duration::from_millis(1000);
/// A server that has not answered a hint within this time does not answer hints.
const HINT_PATIENCE: Duration = Duration::from_millis(3000);
/// Between two tries of Request or Release, and how many there are.
const AGAIN: Duration = Duration::from_millis(1000);
const TRIES: usize = 3;
/// The most routers and servers that are listed.
const MOST: usize = 16;
/// The hop limit of packets that no router has forwarded (RFC 4861 §6.1.2).
const HOP_LIMIT: u8 = 255;

/// What is asked, and for how long.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Settings {
    /// The DHCPv6 client that asks.
    pub(super) duid: Duid,
    /// As which IA_PD.
    pub(super) iaid: Iaid,
    /// How long answers are waited for.
    pub(super) time: Duration,
    /// Servers are asked.
    pub(super) asks: bool,
    /// What is offered is requested.
    pub(super) requests: bool,
    /// What was requested is not released.
    pub(super) keeps: bool,
}

/// What to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Send {
    /// To all routers.
    RouterSolicitation,
    /// To all servers.
    Dhcpv6(Vec<u8>),
}

/// The progress of the requests to servers.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Stage {
    /// Solicits offers without a hint.
    Open,
    /// Solicits offers with the hint of a length.
    Hinted(u8),
    /// The Request is on its way.
    Requesting,
    /// The Release is on its way.
    Releasing,
    /// No more requests are sent.
    Over,
}

/// The result of the Request.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Requested {
    /// The answer to the Request.
    pub(super) reply: Option<IaPd>,
    /// The server has confirmed the Release.
    pub(super) is_released: bool,
}

/// A survey of one link.
#[derive(Debug)]
pub(super) struct Survey {
    settings: Settings,
    random: Random,
    began_at: Instant,
    /// What was heard.
    pub(super) routers: Vec<Router>,
    pub(super) servers: Vec<Server>,
    pub(super) requested: Option<Requested>,
    /// The length that was hinted at.
    pub(super) hint: Option<u8>,
    /// Solicitations of routers that have left.
    solicited: usize,
    stage: Stage,
    stage_began_at: Instant,
    transaction: TransactionId,
    /// Messages of this stage that have left.
    sent: usize,
}

impl Survey {
    pub(super) fn new(settings: Settings, seed: [u8; 32], now: Instant) -> Self {
        let mut random = Random::new(seed);
        let transaction = random.transaction_id();
        let stage = if settings.asks { Stage::Open } else { Stage::Over };
        Self {
            settings,
            random,
            began_at: now,
            routers: Vec::new(),
            servers: Vec::new(),
            requested: None,
            hint: None,
            solicited: 0,
            stage,
            stage_began_at: now,
            transaction,
            sent: 0,
        }
    }

    /// Whether all requests were answered, or the time is over. Requested prefixes are released
    /// before that.
    pub(super) fn is_over(&self, now: Instant) -> bool {
        let time_is_over = now.since(self.began_at) >= self.settings.time;
        match self.stage {
            Stage::Over => {
                time_is_over || (!self.routers.is_empty() && self.waited_for_others(now))
            }
            Stage::Open | Stage::Hinted(_) => false,
            Stage::Requesting | Stage::Releasing => false,
        }
    }

    fn waited_for_others(&self, now: Instant) -> bool {
        now.since(self.stage_began_at) >= OTHERS
    }

    /// When the next message is sent, or a stage ends.
    pub(super) fn deadline(&self) -> Deadline {
        let solicit = TIMES.get(self.solicited).filter(|_| self.routers.is_empty());
        let end = Some(self.began_at + self.settings.time);
        let (next, end) = match self.stage {
            Stage::Open | Stage::Hinted(_) if self.has_offers() => (Some(OTHERS), end),
            Stage::Open => (TIMES.get(self.sent).copied(), end),
            Stage::Hinted(_) => (TIMES.get(self.sent).copied().or(Some(HINT_PATIENCE)), end),
            // What has begun is ended, also when the time is over.
            Stage::Requesting | Stage::Releasing => (Some(self.next_try()), None),
            Stage::Over => (Some(OTHERS).filter(|_| !self.routers.is_empty()), end),
        };
        let times = [
            solicit.map(|time| self.began_at + *time),
            next.map(|next| self.stage_began_at + next),
            end,
        ];
        let at = times.into_iter().flatten().min().unwrap_or(self.began_at);
        Deadline::new(at, "survey")
    }

    /// When a Request or a Release is tried again, or given up, counted from the first.
    fn next_try(&self) -> Duration {
        AGAIN.saturating_mul(u32::try_from(self.sent).unwrap_or(u32::MAX))
    }

    fn has_offers(&self) -> bool {
        let hinted = matches!(self.stage, Stage::Hinted(_));
        self.servers.iter().any(|server| if hinted { server.hinted.is_some() } else { true })
    }

    /// Handles the passing of time; returns the messages to send at `now`.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<Send> {
        let mut sends = Vec::new();
        let passed = now.since(self.began_at);
        if self.routers.is_empty() && TIMES.get(self.solicited).is_some_and(|time| *time <= passed)
        {
            self.solicited += 1;
            sends.push(Send::RouterSolicitation);
        }
        self.go_on(now);
        if let Some(message) = self.next_message(now) {
            self.sent += 1;
            sends.push(Send::Dhcpv6(message.encode()));
        }
        sends
    }

    /// Goes to the next stage when this one is complete.
    fn go_on(&mut self, now: Instant) {
        let stage_lasted = now.since(self.stage_began_at);
        let time_is_over = now.since(self.began_at) >= self.settings.time;
        let next = match &self.stage {
            Stage::Open if self.has_offers() && stage_lasted >= OTHERS => match self.hint_to_give()
            {
                Some(length) if !time_is_over => Stage::Hinted(length),
                Some(_) | None => self.stage_behind_offers(),
            },
            Stage::Hinted(_) if self.has_offers() && stage_lasted >= OTHERS => {
                self.stage_behind_offers()
            }
            // A server that ignores the hint altogether may not answer it.
            Stage::Hinted(_) if stage_lasted >= HINT_PATIENCE => self.stage_behind_offers(),
            Stage::Open | Stage::Hinted(_) if time_is_over => self.stage_behind_offers(),
            Stage::Requesting | Stage::Releasing
                if stage_lasted >= AGAIN.saturating_mul(u32::try_from(TRIES).unwrap_or(1)) =>
            {
                Stage::Over
            }
            Stage::Open | Stage::Hinted(_) | Stage::Requesting | Stage::Releasing | Stage::Over => {
                return;
            }
        };
        self.enter(next, now);
    }

    fn enter(&mut self, stage: Stage, now: Instant) {
        if let Stage::Hinted(length) = stage {
            self.hint = Some(length);
        }
        self.stage = stage;
        self.stage_began_at = now;
        self.transaction = self.random.transaction_id();
        self.sent = 0;
    }

    /// The hint to give: a longer prefix than the one that is offered costs the provider nothing.
    fn hint_to_give(&self) -> Option<u8> {
        let offered = self.servers.iter().flat_map(|server| &server.prefixes);
        let length = offered.map(|prefix| prefix.prefix.prefix_len()).min()?;
        (length < 64).then(|| (length + 4).min(64)).or(Some(60))
    }

    fn stage_behind_offers(&self) -> Stage {
        let has_offer = self.best().is_some();
        if self.settings.requests && has_offer { Stage::Requesting } else { Stage::Over }
    }

    /// The server that a client would choose (RFC 9915 §18.2.9).
    fn best(&self) -> Option<&Server> {
        let offering = self.servers.iter().filter(|server| !server.prefixes.is_empty());
        offering.max_by_key(|server| server.preference)
    }

    fn next_message(&self, now: Instant) -> Option<Message> {
        let lasted = now.since(self.stage_began_at);
        let is_time = match self.stage {
            Stage::Open | Stage::Hinted(_) => {
                !(self.has_offers() && self.sent > 0)
                    && TIMES.get(self.sent).is_some_and(|time| *time <= lasted)
            }
            Stage::Requesting | Stage::Releasing => self.sent < TRIES && self.next_try() <= lasted,
            Stage::Over => false,
        };
        if !is_time {
            return None;
        }
        let elapsed = u16::try_from(lasted.as_millis() / 10).unwrap_or(u16::MAX);
        let mut options = vec![
            Dhcpv6Option::ClientId(self.settings.duid.clone()),
            Dhcpv6Option::ElapsedTime(elapsed),
        ];
        let kind = match self.stage {
            Stage::Open | Stage::Hinted(_) => MessageType::Solicit,
            Stage::Requesting => MessageType::Request,
            Stage::Releasing => MessageType::Release,
            Stage::Over => return None,
        };
        let prefixes = match self.stage {
            Stage::Open | Stage::Over => Vec::new(),
            Stage::Hinted(length) => vec![hint(length)?],
            Stage::Requesting => {
                options.push(Dhcpv6Option::ServerId(self.best()?.duid()?));
                self.best()?.offered()
            }
            Stage::Releasing => {
                options.push(Dhcpv6Option::ServerId(self.best()?.duid()?));
                self.requested.as_ref()?.reply.as_ref()?.prefixes.clone()
            }
        };
        let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
        options.push(Dhcpv6Option::IaPd(IaPd {
            iaid: self.settings.iaid,
            t1,
            t2,
            prefixes,
            status: None,
        }));
        if kind != MessageType::Release {
            options.push(Dhcpv6Option::OptionRequest(WANTED.to_vec()));
            options.push(Dhcpv6Option::ReconfigureAccept);
        }
        Some(Message { kind, transaction_id: self.transaction, options })
    }

    /// Takes in an ICMPv6 message.
    pub(super) fn take_icmpv6(&mut self, now: Instant, received: &Received) {
        let is_from_here = received.hop_limit == HOP_LIMIT
            && received.source.is_unicast_link_local()
            && !received.fragmented;
        let Ok(advertisement) = RouterAdvertisement::decode(&received.octets) else { return };
        if !is_from_here {
            return;
        }
        let after = now.since(self.began_at);
        if let Some(router) = self.routers.iter_mut().find(|one| one.address == received.source) {
            router.take_in(&advertisement);
        } else if self.routers.len() < MOST {
            self.routers.push(Router::new(received.source, after, &advertisement));
        }
    }

    /// Takes in a datagram to UDP port 546.
    pub(super) fn take_dhcpv6(&mut self, now: Instant, received: &Received) {
        let Ok(message) = Message::decode(&received.octets) else { return };
        let is_ours = message.transaction_id == self.transaction
            && message.client_id() == Some(&self.settings.duid);
        let Some(server_id) = message.server_id().filter(|_| is_ours).cloned() else { return };
        match (&self.stage, message.kind) {
            (Stage::Open, MessageType::Advertise | MessageType::Reply) => {
                let is_known = self.servers.iter().any(|one| one.duid == server_id.to_string());
                if !is_known && self.servers.len() < MOST {
                    let after = now.since(self.stage_began_at);
                    self.servers.push(Server::new(received.source, after, &message, &server_id));
                }
            }
            (Stage::Hinted(_), MessageType::Advertise | MessageType::Reply) => {
                let mut servers = self.servers.iter_mut();
                if let Some(server) = servers.find(|one| one.duid == server_id.to_string()) {
                    server.hinted = Some(lengths(&message));
                }
            }
            (Stage::Requesting, MessageType::Reply) => self.take_reply(now, &message),
            (Stage::Releasing, MessageType::Reply) => {
                if let Some(requested) = &mut self.requested {
                    requested.is_released = message.status_code() == StatusCode::Success;
                }
                self.enter(Stage::Over, now);
            }
            (
                Stage::Open | Stage::Hinted(_) | Stage::Requesting | Stage::Releasing | Stage::Over,
                _,
            ) => {}
        }
    }

    fn take_reply(&mut self, now: Instant, message: &Message) {
        let reply = message.ia_pds().find(|ia| ia.iaid == self.settings.iaid).cloned();
        let has_prefix = reply.as_ref().is_some_and(|ia| !ia.prefixes.is_empty());
        self.requested = Some(Requested { reply, is_released: false });
        let releases = has_prefix && !self.settings.keeps;
        self.enter(if releases { Stage::Releasing } else { Stage::Over }, now);
    }
}

/// What a client asks for beside prefixes.
const WANTED: [u16; 8] = [
    code::DNS_SERVERS,
    code::DOMAIN_SEARCH,
    code::PD_EXCLUDE,
    code::SOL_MAX_RT,
    code::INF_MAX_RT,
    // SNTP and NTP servers, captive portal.
    31,
    56,
    103,
];

/// An empty prefix of a length (RFC 9915 §18.2.4).
fn hint(length: u8) -> Option<IaPrefix> {
    let prefix = ipnet::Ipv6Net::new(Ipv6Addr::UNSPECIFIED, length).ok()?;
    let (preferred, valid) = (Lifetime::ZERO, Lifetime::ZERO);
    Some(IaPrefix { prefix, preferred, valid, exclude: None, status: None })
}

/// The lengths of the prefixes that a message offers.
fn lengths(message: &Message) -> Vec<u8> {
    let prefixes = message.ia_pds().flat_map(|ia| &ia.prefixes);
    prefixes.map(|prefix| prefix.prefix.prefix_len()).collect()
}
