//! What is below the agent: requesting routers, honest ones and one that says what it likes, and
//! relay agents between.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use renumberd::time::{Instant, Lifetime, Until};
use renumberd::wire::dhcpv6::{Message, MessageType, TransactionId};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, IaPrefix, Iaid};
use renumberd::wire::dhcpv6_relay::{RelayKind, RelayMessage, RelayOption};

use super::bytes::Bytes;
use super::upstream::{link_local, net};

/// Requesting routers that there are by number; the first three are named in configurations.
pub const CLIENTS: u16 = 6;

pub fn duid(number: u16) -> Duid {
    let [high, low] = number.to_be_bytes();
    let mut uuid = [0x50; 16];
    (uuid[14], uuid[15]) = (high, low);
    Duid::from_uuid(uuid)
}

pub fn link_layer(number: u16) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    vec![2, 0, 0x5e, 0x53, high, low]
}

pub fn address(number: u16) -> Ipv6Addr {
    link_local(number.wrapping_add(0x1000))
}

/// What requesting routers hold by the answers that left.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    pub held: BTreeMap<(Ipv6Net, Duid, Iaid), Until>,
    /// What the first requesting router itself was given, and until when: it is awake.
    pub first: BTreeMap<Ipv6Net, Until>,
    /// DUIDs that have been seen with the same link-layer address: one router to the agent.
    link_layers: BTreeMap<Vec<u8>, Vec<Duid>>,
}

impl Ledger {
    /// A message of a requesting router leaves: what it does not name it does not hold.
    pub fn asked(&mut self, sent: &Sent) {
        let Sent { message, link_layer, .. } = sent;
        let Some(duid) = message.client_id() else { return };
        // Whatever comes from its place may be from it.
        if sent.source == address(0) {
            self.first.clear();
        }
        let seen = self.link_layers.entry(link_layer.clone()).or_default();
        if !seen.contains(duid) {
            seen.push(duid.clone());
        }
        match message.kind {
            MessageType::Request | MessageType::Renew | MessageType::Rebind => {}
            // Of a Solicit nobody knows whether it comes from who holds something.
            MessageType::Solicit => {}
            MessageType::Release | MessageType::Decline => {
                self.held.retain(|(_, of, _), _| of != duid);
            }
            _ => return,
        }
        for ia in message.ia_pds() {
            let named = |prefix: &Ipv6Net| ia.prefixes.iter().any(|named| named.prefix == *prefix);
            self.held
                .retain(|(prefix, of, iaid), _| of != duid || *iaid != ia.iaid || named(prefix));
        }
    }

    /// An answer leaves.
    pub fn answered(&mut self, now: Instant, to: Ipv6Addr, message: &Message) {
        let Some(client) = message.client_id() else { return };
        if message.kind != MessageType::Reply {
            return;
        }
        if to == address(0) && *client == duid(0) {
            let given = message.ia_pds().flat_map(|ia| &ia.prefixes);
            let given = given.map(|given| (given.prefix, Until::after(now, given.valid)));
            self.first.extend(given);
        }
        let duid = client;
        for ia in message.ia_pds() {
            for given in &ia.prefixes {
                let key = (given.prefix, duid.clone(), ia.iaid);
                if given.valid == Lifetime::ZERO {
                    self.held.remove(&key);
                    continue;
                }
                self.held.retain(|_, until| !until.is_over(now));
                self.check(&key);
                self.held.insert(key, Until::after(now, given.valid));
            }
        }
    }

    /// No two routers hold what overlaps (SRV-57).
    fn check(&self, (prefix, duid, iaid): &(Ipv6Net, Duid, Iaid)) {
        for ((other, holder, other_iaid), until) in &self.held {
            let overlaps = other.contains(prefix) || prefix.contains(other);
            assert!(
                !overlaps || self.are_one(duid, holder),
                "{prefix} is delegated to {duid} {iaid:?} while {holder} {other_iaid:?} may hold \
                 {other} until {until:?}"
            );
        }
    }

    /// Whether two DUIDs may be of one router.
    fn are_one(&self, a: &Duid, b: &Duid) -> bool {
        a == b || self.link_layers.values().any(|seen| seen.contains(a) && seen.contains(b))
    }
}

/// A message of a requesting router with how it travels.
pub struct Sent {
    pub message: Message,
    pub source: Ipv6Addr,
    pub link_layer: Vec<u8>,
    pub relays: Vec<RelayMessage>,
}

/// Prefixes that requesting routers name out of the blue.
const WISHED: [&str; 8] = [
    "::/60",
    "::/0",
    "2001:db8:1:10::/60",
    "2001:db8:1:20::/62",
    "2001:db8:2:10::/60",
    "fd00:1:0:10::/60",
    "2001:db8:1::/56",
    "2001:db8:ffff::/64",
];

/// Any message of one of the requesting routers.
pub fn any_message(bytes: &mut Bytes<'_>, ledger: &Ledger, server: &Duid) -> Sent {
    let who = u16::from(bytes.octet()) % CLIENTS;
    let flags = bytes.octet();
    // Another one's name, or another one's interface.
    let (named, from) = match flags & 7 {
        0 => (who, u16::from(flags >> 4) % CLIENTS),
        1 => (u16::from(flags >> 4) % CLIENTS, who),
        _ => (who, who),
    };
    let kind = bytes.pick(&[
        MessageType::Solicit,
        MessageType::Request,
        MessageType::Renew,
        MessageType::Rebind,
        MessageType::Release,
        MessageType::Solicit,
        MessageType::InformationRequest,
        MessageType::Confirm,
        MessageType::Decline,
        MessageType::Reply,
    ]);
    let duid = duid(named);
    let iaids = bytes.pick(&[&[1_u32][..], &[1], &[2], &[1, 2], &[7]]);
    let style = bytes.octet();
    let mut options = vec![Dhcpv6Option::ClientId(duid.clone())];
    let names_server = match kind {
        MessageType::Solicit | MessageType::Rebind => style & 16 != 0,
        _ => style & 16 == 0,
    };
    if names_server {
        let server = if style & 32 == 0 { server.clone() } else { Duid::from_uuid([9; 16]) };
        options.push(Dhcpv6Option::ServerId(server));
    }
    if kind == MessageType::Solicit && style & 64 == 0 {
        options.push(Dhcpv6Option::RapidCommit);
    }
    if style & 128 != 0 {
        options.push(Dhcpv6Option::ReconfigureAccept);
    }
    for iaid in iaids {
        let iaid = Iaid(*iaid);
        let mut prefixes: Vec<Ipv6Net> = Vec::new();
        match style & 7 {
            0..=4 => {
                let held = ledger.held.keys().filter(|(_, of, at)| *of == duid && *at == iaid);
                prefixes.extend(held.map(|(prefix, ..)| *prefix));
            }
            5 => prefixes.push(net(bytes.pick(&WISHED))),
            // What another holds.
            6 => prefixes.extend(ledger.held.keys().map(|(prefix, ..)| *prefix).take(3)),
            _ => {}
        }
        options.push(Dhcpv6Option::IaPd(ia(iaid, prefixes, style & 8 != 0)));
    }
    let transaction_id = TransactionId([1, who.to_be_bytes()[1], style]);
    let message = Message { kind, transaction_id, options };
    let relays = if flags & 8 == 0 { Vec::new() } else { any_relays(bytes, from) };
    Sent { message, source: address(from), link_layer: link_layer(from), relays }
}

fn ia(iaid: Iaid, prefixes: Vec<Ipv6Net>, with_lifetimes: bool) -> IaPd {
    let lifetime = if with_lifetimes { Lifetime::Infinite } else { Lifetime::ZERO };
    let prefix = |prefix| IaPrefix {
        prefix,
        preferred: lifetime,
        valid: lifetime,
        exclude: None,
        status: None,
    };
    let prefixes = prefixes.into_iter().map(prefix).collect();
    IaPd { iaid, t1: Lifetime::ZERO, t2: Lifetime::ZERO, prefixes, status: None }
}

/// The relay agents between, nearest to the agent first.
fn any_relays(bytes: &mut Bytes<'_>, client: u16) -> Vec<RelayMessage> {
    let count = 1 + bytes.below(3);
    let relays = (0..count).map(|level| {
        let flags = bytes.octet();
        let mut options = Vec::new();
        if flags & 1 != 0 {
            options.push(RelayOption::InterfaceId(vec![flags, 1]));
        }
        if flags & 2 != 0 {
            let address = link_layer(client);
            options.push(RelayOption::ClientLinkLayer { hardware_type: 1, address });
        }
        if flags & 4 != 0 {
            options.push(RelayOption::SourcePort(u16::from(flags)));
        }
        RelayMessage {
            kind: RelayKind::Forward,
            hop_count: u8::try_from(count - 1 - level).unwrap(),
            link_address: bytes.pick(&[
                Ipv6Addr::UNSPECIFIED,
                "fd00:99::1".parse().unwrap(),
                "2001:db8:1:1::1".parse().unwrap(),
            ]),
            peer_address: if level + 1 == count { address(client) } else { link_local(0x77) },
            options,
        }
    });
    relays.collect()
}

impl Sent {
    pub fn octets(&self) -> Vec<u8> {
        let message = self.message.encode();
        self.relays.iter().rev().fold(message, |inside, relay| {
            let mut relay = relay.clone();
            relay.options.push(RelayOption::RelayMessage(inside));
            relay.encode()
        })
    }
}

/// A Solicit with Rapid Commit of a router that nobody has seen before.
pub fn stranger(number: u16, relayed: bool) -> Sent {
    let options = vec![
        Dhcpv6Option::ClientId(duid(number)),
        Dhcpv6Option::RapidCommit,
        Dhcpv6Option::IaPd(ia(Iaid(1), Vec::new(), false)),
    ];
    let [high, low] = number.to_be_bytes();
    let transaction_id = TransactionId([7, high, low]);
    let message = Message { kind: MessageType::Solicit, transaction_id, options };
    let relay = RelayMessage {
        kind: RelayKind::Forward,
        hop_count: 0,
        link_address: Ipv6Addr::UNSPECIFIED,
        peer_address: address(number),
        options: vec![RelayOption::InterfaceId(vec![high, low])],
    };
    let relays = if relayed { vec![relay] } else { Vec::new() };
    Sent { message, source: address(number), link_layer: link_layer(number), relays }
}
