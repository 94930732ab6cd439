//! The router of the provider, with a delegating router's server as simple as it can be: one
//! prefix, one requesting router (RFC 9915 §18.3). It can be made to fail as such servers do.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::network::Frame;
use crate::net::{self, DHCP_CLIENT_PORT, DHCP_SERVER_PORT};
use crate::time::{Instant, Lifetime};
use crate::wire::address_registration;
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, IaPrefix, Status, StatusCode, code};
use crate::wire::ndp::RouterAdvertisement;
use crate::wire::ndp_option::{NdpOption, PrefixInformation};

/// How long the provider takes to answer a router solicitation.
const ADVERTISEMENT_DELAY: Duration = Duration::from_millis(1);

const ROUTER_SOLICITATION: u8 = 133;

/// The router of the provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its link-local address.
    pub address: Ipv6Addr,
    /// What it answers router solicitations with, if it does (RFC 4861 §6.2.6).
    pub advertisement: Option<RouterAdvertisement>,
    /// How often it advertises that without being asked, if it does.
    pub interval: Option<Duration>,
    /// The DUID of its server.
    pub duid: Duid,
    /// What its server delegates.
    pub prefix: Ipv6Net,
    /// The prefix that was there before: a router that still holds it gets it with lifetimes of
    /// zero.
    pub old: Option<Ipv6Net>,
    /// Preferred lifetime, seconds.
    pub preferred: u32,
    /// Valid lifetime, seconds.
    pub valid: u32,
    /// T1, seconds. T2 is half as much again.
    pub t1: u32,
    /// How long the server takes to answer.
    pub delay: Duration,
    /// Messages that the server leaves unanswered.
    pub deaf_to: Vec<MessageType>,
    /// Renew and Rebind are answered with NoBinding until the next Request or Solicit.
    pub forgot: bool,
    /// Until then the server answers with this prefix, the one before.
    pub slow_until: Option<(Instant, Ipv6Net)>,
    /// Further options, sent as they are where they are requested.
    pub options: Vec<(u16, Vec<u8>)>,
    /// The server gives nothing, with this status in each IA.
    pub refuses: Option<Status>,
}

/// A Prefix Information option of a prefix on the link, for autoconfiguration too (RFC 4861
/// §4.6.2); lifetimes in seconds.
pub const fn prefix_option(prefix: Ipv6Net, valid: u32, preferred: u32) -> NdpOption {
    NdpOption::Prefix(PrefixInformation {
        prefix,
        on_link: true,
        autonomous: true,
        delegation_preferred: false,
        valid: Lifetime::Finite(valid),
        preferred: Lifetime::Finite(preferred),
    })
}

/// The advertisement of a default router with these options.
pub fn advertisement(options: Vec<NdpOption>) -> RouterAdvertisement {
    RouterAdvertisement { router_lifetime: 1800, options, ..RouterAdvertisement::default() }
}

impl Provider {
    /// A provider that delegates `prefix` for two hours, and advertises nothing.
    pub fn new(prefix: Ipv6Net) -> Self {
        Self {
            address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
            advertisement: None,
            interval: None,
            duid: Duid::from_uuid([0x11; 16]),
            prefix,
            old: None,
            preferred: 3600,
            valid: 7200,
            t1: 1800,
            delay: Duration::from_micros(300),
            deaf_to: Vec::new(),
            forgot: false,
            slow_until: None,
            options: Vec::new(),
            refuses: None,
        }
    }

    /// Delegates another prefix from now on; the one before is over.
    pub const fn renumber(&mut self, prefix: Ipv6Net) {
        self.old = Some(self.prefix);
        self.prefix = prefix;
    }

    /// Its advertisement to all nodes, if it has one.
    pub fn advertise(&self) -> Option<Frame> {
        let octets = self.advertisement.as_ref()?.encode();
        Some(Frame::icmpv6(self.address, net::ALL_NODES, octets))
    }

    /// What it answers a packet with, and how much later.
    pub fn take(&mut self, now: Instant, frame: &Frame) -> Option<(Duration, Frame)> {
        if frame.ports.is_none() {
            let is_solicitation = frame.octets.first() == Some(&ROUTER_SOLICITATION);
            let answer = if is_solicitation { self.advertise() } else { None };
            return answer.map(|answer| (ADVERTISEMENT_DELAY, answer));
        }
        let ports = Some((DHCP_SERVER_PORT, DHCP_CLIENT_PORT));
        let (source, destination) = (self.address, frame.source);
        if let Some((&address_registration::INFORM, rest)) = frame.octets.split_first() {
            let octets = [&[address_registration::REPLY], rest].concat();
            let answer = Frame { source, destination, ports, octets };
            return self.registers().then_some((self.delay, answer));
        }
        let (delay, reply) = self.answer(now, &Message::decode(&frame.octets).ok()?)?;
        Some((delay, Frame { source, destination, ports, octets: reply.encode() }))
    }

    /// Whether hosts can register addresses (RFC 9686): its further options say so.
    fn registers(&self) -> bool {
        self.options.iter().any(|(code, _)| *code == code::ADDR_REG_ENABLE)
    }

    /// The answer of the server to a message, and how much later it leaves.
    pub fn answer(&mut self, now: Instant, message: &Message) -> Option<(Duration, Message)> {
        let is_for_another = message.server_id().is_some_and(|duid| *duid != self.duid);
        if self.deaf_to.contains(&message.kind) || is_for_another {
            return None;
        }
        let rapid = message.options.contains(&Dhcpv6Option::RapidCommit);
        let informs = self.registers() && message.kind == MessageType::InformationRequest;
        let kind = if informs { MessageType::Reply } else { reply_to(message.kind, rapid)? };
        let is_first = matches!(message.kind, MessageType::Request | MessageType::Solicit);
        let is_renewal = matches!(message.kind, MessageType::Renew | MessageType::Rebind);
        let forgot = self.forgot && is_renewal;
        self.forgot &= !is_first;
        let mut options = vec![Dhcpv6Option::ServerId(self.duid.clone())];
        if message.kind == MessageType::Solicit && rapid {
            options.push(Dhcpv6Option::RapidCommit);
        }
        if let Some(client) = message.client_id() {
            options.push(Dhcpv6Option::ClientId(client.clone()));
        }
        options.extend(message.ia_pds().map(|ia| Dhcpv6Option::IaPd(self.ia(now, ia, forgot))));
        let requested = |code| {
            let lists = |option: &Dhcpv6Option| matches!(option, Dhcpv6Option::OptionRequest(codes) if codes.contains(&code));
            message.options.iter().any(lists)
        };
        let further = self.options.iter().filter(|(code, _)| requested(*code)).cloned();
        options.extend(further.map(|(code, body)| Dhcpv6Option::Unknown { code, body }));
        let transaction_id = message.transaction_id;
        Some((self.delay, Message { kind, transaction_id, options }))
    }

    fn ia(&self, now: Instant, asked: &IaPd, forgot: bool) -> IaPd {
        let mut ia = IaPd {
            iaid: asked.iaid,
            t1: Lifetime::Finite(self.t1),
            t2: Lifetime::Finite(self.t1 + self.t1 / 2),
            prefixes: Vec::new(),
            status: None,
        };
        if let Some(status) = &self.refuses {
            ia.status = Some(status.clone());
            return ia;
        }
        if forgot {
            ia.status = Some(Status { code: StatusCode::NoBinding, text: String::new() });
            return ia;
        }
        let prefix = |prefix, preferred, valid| IaPrefix {
            prefix,
            preferred: Lifetime::Finite(preferred),
            valid: Lifetime::Finite(valid),
            exclude: None,
            status: None,
        };
        if let Some((_, old)) = self.slow_until.filter(|(until, _)| now < *until) {
            ia.prefixes.push(prefix(old, self.preferred, self.valid));
            return ia;
        }
        let holds = |old: &Ipv6Net| asked.prefixes.iter().any(|held| held.prefix == *old);
        if let Some(old) = self.old.filter(|old| holds(old) && *old != self.prefix) {
            ia.prefixes.push(prefix(old, 0, 0));
        }
        ia.prefixes.push(prefix(self.prefix, self.preferred, self.valid));
        ia
    }
}

/// The type of the answer to a message, if a server answers it.
fn reply_to(kind: MessageType, rapid: bool) -> Option<MessageType> {
    if kind == MessageType::Solicit && !rapid {
        return Some(MessageType::Advertise);
    }
    let is_answered = [
        MessageType::Solicit,
        MessageType::Request,
        MessageType::Renew,
        MessageType::Rebind,
        MessageType::Release,
    ]
    .contains(&kind);
    is_answered.then_some(MessageType::Reply)
}
