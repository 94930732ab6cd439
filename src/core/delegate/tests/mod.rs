//! A small world for the tests of this folder: one delegating router with its plan, requesting
//! routers that are no more than what they send, virtual time.

mod bindings;
mod clauses;
mod notifications;
mod places;
mod programs;
mod properties;
mod quarantine;
mod relayed;
mod renewals;
mod shares;
mod validity;

use std::cell::Cell;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::server::Server;
use super::*;
use crate::config::file;
use crate::core::desired::{Carving, Facts, UplinkFacts};
use crate::core::kernel::system::System;
use crate::core::memory::{Memory, Record};
use crate::core::safety::Safety;
use crate::core::uplink::lease::DelegatedPrefix;
use crate::time::{Lifetime, Until};
use crate::wire::dhcpv6::{MessageType, TransactionId};
use crate::wire::dhcpv6_option::{Dhcpv6Option, IaPd, IaPrefix, Iaid, StatusCode, code};
use crate::wire::dhcpv6_service::ServiceOption;

thread_local! {
    /// How often the value of slots was looked at.
    pub(super) static LOOKS: Cell<u64> = const { Cell::new(0) };
}

pub(super) const A: &str = "2001:db8:a00::/56";
pub(super) const B: &str = "2001:db8:b00::/56";
pub(super) const START: Instant = Instant::from_secs(1000);
pub(super) const LAN: IfIndex = IfIndex(3);

/// Two places on lan0 for router 1, one of them for its IA_PD 2, and one for router 2.
pub(super) const SITE: &str = r#"
    [uplink.up]
    [downlink.lan0]
    subnet = "0x0/64"
    [downlink.wl0]
    subnet = "0x1/64"
    [delegation.one]
    downlink = "lan0"
    duid = "00:04:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01"
    iaid = 1
    prefix = "0x1/60"
    [delegation.other]
    downlink = "lan0"
    duid = "00:04:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01:01"
    iaid = 2
    prefix = "0x2/60"
    [delegation.two]
    downlink = "lan0"
    duid = "00:04:02:02:02:02:02:02:02:02:02:02:02:02:02:02:02:02"
    prefix = "0x3/60"
"#;

/// A pool of sixteen /64 on lan0, three for each router.
pub(super) const POOL: &str = r#"
    [uplink.up]
    [downlink.lan0]
    subnet = "0x0/64"
    [downlink.wl0]
    subnet = "0x1/64"
    [pool.guests]
    downlink = "lan0"
    prefix = "0xf/60"
    per-router = 3
"#;

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

pub(super) fn router(number: u8) -> Duid {
    Duid::from_uuid([number; 16])
}

pub(super) fn us() -> Duid {
    Duid::from_uuid([0xee; 16])
}

pub(super) fn key(number: u8, iaid: u32) -> BindingKey {
    BindingKey { downlink: "lan0".into(), duid: router(number), iaid: Iaid(iaid) }
}

/// A router at a link-local address that its number makes.
pub(super) fn contact(number: u8) -> Contact {
    let peer = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number.into());
    Contact {
        next_hop: peer,
        peer,
        link_layer: None,
        neighbor_link_layer: None,
        port: 546,
        relay: None,
        levels: Vec::new(),
    }
}

/// An IA_PD that names prefixes.
pub(super) fn ia(iaid: u32, prefixes: &[&str]) -> Dhcpv6Option {
    let prefix = |prefix: &&str| IaPrefix {
        prefix: net(prefix),
        preferred: Lifetime::Finite(1),
        valid: Lifetime::Finite(1),
        exclude: None,
        status: None,
    };
    let (t1, t2) = (Lifetime::Finite(1), Lifetime::Finite(1));
    let prefixes = prefixes.iter().map(prefix).collect();
    Dhcpv6Option::IaPd(IaPd { iaid: Iaid(iaid), t1, t2, prefixes, status: None })
}

/// A message of router `number`, with the identifiers that its type needs.
pub(super) fn message(number: u8, kind: MessageType, options: &[Dhcpv6Option]) -> Message {
    let mut all = vec![Dhcpv6Option::ClientId(router(number))];
    let is_for_us = match kind {
        MessageType::Request | MessageType::Renew | MessageType::Release | MessageType::Decline => {
            true
        }
        MessageType::Solicit
        | MessageType::Advertise
        | MessageType::Confirm
        | MessageType::Rebind
        | MessageType::Reply
        | MessageType::Reconfigure
        | MessageType::InformationRequest => false,
    };
    all.extend(is_for_us.then(|| Dhcpv6Option::ServerId(us())));
    all.extend_from_slice(options);
    Message { kind, transaction_id: TransactionId([1, 2, number]), options: all }
}

/// What an answer says of an IA_PD: prefixes with preferred and valid lifetime, or a status.
pub(super) fn prefixes_of(
    answer: &Message,
    iaid: u32,
) -> Result<Vec<(Ipv6Net, u32, u32)>, StatusCode> {
    let ia = answer.ia_pds().find(|ia| ia.iaid == Iaid(iaid)).expect("the IA_PD is answered");
    let prefixes = ia.prefixes.iter();
    let prefixes = prefixes
        .map(|prefix| (prefix.prefix, prefix.preferred.to_wire(), prefix.valid.to_wire()))
        .collect();
    ia.status.as_ref().map_or(Ok(prefixes), |status| Err(status.code))
}

#[derive(Clone)]
pub(super) struct World {
    pub(super) now: Instant,
    pub(super) config: Config,
    pub(super) delegating: Delegating,
    pub(super) memory: Memory,
    /// By uplink: prefix, with preferred and valid seconds from the start of the world.
    pub(super) leases: BTreeMap<String, Vec<(Ipv6Net, u64, u64)>>,
    pub(super) renewed_at: Option<Instant>,
    pub(super) known: bool,
    /// The last answer may leave only when it is safe on disk.
    pub(super) synced: bool,
    restarts: u8,
    /// What programs were asked for since the last time.
    ordered: Vec<Assigned>,
}

impl World {
    /// With `prefix` delegated for a day.
    pub(super) fn new(config: &str, prefix: &str) -> Self {
        let config = file::parse("test.toml", config).unwrap();
        let memory = Memory::default();
        let random = Random::new([1; 32]);
        let mut world = Self {
            now: START,
            delegating: Delegating::new(us(), &memory.bindings, 0, random),
            config,
            memory,
            leases: BTreeMap::new(),
            renewed_at: None,
            known: true,
            synced: false,
            restarts: 0,
            ordered: Vec::new(),
        };
        world.delegating.configure(&us(), &world.config);
        world.delegate("up", &[(prefix, 86_400, 86_400)]);
        world
    }

    /// The prefixes of an uplink become these, with seconds from now.
    pub(super) fn delegate(&mut self, uplink: &str, prefixes: &[(&str, u64, u64)]) {
        let begun = self.now.since(START).as_secs();
        let lease = |(prefix, preferred, valid): &(&str, u64, u64)| {
            (net(prefix), begun + preferred, begun + valid)
        };
        self.leases.insert(uplink.to_owned(), prefixes.iter().map(lease).collect());
        self.settle();
    }

    /// All of `up` is replaced.
    pub(super) fn renumber(&mut self, prefix: &str) {
        self.delegate("up", &[(prefix, 86_400, 86_400)]);
    }

    pub(super) fn reload(&mut self, config: &str) {
        self.config = file::parse("test.toml", config).unwrap();
        self.delegating.configure(&us(), &self.config);
        self.settle();
    }

    /// Killed, and started with what is remembered.
    pub(super) fn restart(&mut self) {
        self.restarts += 1;
        let random = Random::new([1 + self.restarts; 32]);
        let replay = self.memory.replay;
        self.delegating = Delegating::new(us(), &self.memory.bindings, replay, random);
        self.delegating.configure(&us(), &self.config);
        self.settle();
    }

    pub(super) fn carving(&self) -> Carving {
        let sources = self.leases.iter().map(|(name, prefixes)| {
            let delegated = prefixes.iter().filter(|(_, _, valid)| START + secs(*valid) > self.now);
            let delegated = delegated.map(|(prefix, preferred, valid)| DelegatedPrefix {
                iaid: Iaid(1),
                prefix: *prefix,
                exclude: None,
                preferred_until: Until::At(START + secs(*preferred)),
                valid_until: Until::At(START + secs(*valid)),
                gone_since: None,
            });
            let delegated = delegated.collect();
            (name.clone(), UplinkFacts { delegated, ..UplinkFacts::default() })
        });
        Carving::new(Facts {
            config: &self.config,
            capabilities: crate::core::capabilities::Capabilities::LINUX,
            system: &System::default(),
            sources: &sources.collect(),
            secret: &[0; 32],
            default_route: true,
        })
    }

    /// What is delegated reaches the bindings; then everything happens that is due.
    pub(super) fn settle(&mut self) {
        let offers = self.carving().offers(self.known, self.renewed_at);
        let touched = self.delegating.set_offers(self.now, offers);
        let names = self.config.downlinks.keys().cloned();
        self.delegating.set_listening(self.now, names);
        self.remember(&touched);
        self.ordered.extend(self.delegating.orders(self.now));
        self.timeout();
    }

    fn timeout(&mut self) {
        self.delegating.is_to_be_derived(self.now);
        let touched = self.delegating.handle_timeout(self.now, 256);
        self.remember(&touched);
        if let Some(reserved) = self.delegating.reserve_replay() {
            self.memory.fold(Record::Replay { reserved });
        }
    }

    pub(super) fn remember(&mut self, touched: &BTreeSet<BindingKey>) {
        for key in touched {
            let binding = self.delegating.stored(key);
            self.memory.fold(Record::Binding { key: key.clone(), binding });
        }
    }

    /// Lets time pass, from deadline to deadline.
    pub(super) fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while let Some(next) = self.delegating.deadline().filter(|next| next.at <= end) {
            self.now = next.at.max(self.now);
            self.timeout();
            let after = self.delegating.deadline();
            assert!(after.is_none_or(|after| after.at > self.now), "busy loop: {after:?}");
        }
        self.now = end;
        self.settle();
    }

    /// A message comes from router `number`.
    pub(super) fn hear(
        &mut self,
        number: u8,
        kind: MessageType,
        options: &[Dhcpv6Option],
    ) -> Result<Message, Reject> {
        self.hear_at("lan0", contact(number), &message(number, kind, options))
    }

    pub(super) fn hear_at(
        &mut self,
        downlink: &str,
        contact: Contact,
        message: &Message,
    ) -> Result<Message, Reject> {
        let arrival = Arrival { downlink: downlink.into(), contact };
        let served = self.delegating.handle_message(self.now, &arrival, message)?;
        self.remember(&served.touched);
        self.timeout();
        let answer = served.answer.expect("an answer");
        self.synced = answer.memory == Safety::Synced;
        Ok(Message::decode(&answer.octets).expect("it decodes"))
    }

    /// What a message brings of IA_PD 1, in text: prefix, preferred, valid.
    pub(super) fn ask(
        &mut self,
        number: u8,
        kind: MessageType,
        prefixes: &[&str],
    ) -> Result<Vec<String>, StatusCode> {
        let answer = self.hear(number, kind, &[ia(1, prefixes)]).expect("an answer");
        let text = |(prefix, preferred, valid)| format!("{prefix} {preferred} {valid}");
        prefixes_of(&answer, 1).map(|prefixes| prefixes.into_iter().map(text).collect())
    }

    /// The notifications since the last time: for a Reconfigure the message, for an advertisement
    /// none.
    pub(super) fn notifications(&mut self) -> Vec<(Ipv6Addr, Option<Message>)> {
        let mut notified = Vec::new();
        while let Some(notification) = self.delegating.poll_notification() {
            notified.push(match notification {
                Notification::Reconfigure { contact, octets, .. } => {
                    (contact.peer, Some(Message::decode(&octets).expect("it decodes")))
                }
                Notification::Advertise { host, .. } => (host, None),
            });
        }
        notified
    }

    /// The destinations of all routes.
    pub(super) fn routes(&self) -> Vec<String> {
        let keys = self.delegating.bindings().keys();
        let routes = keys.flat_map(|key| self.delegating.routes(key, LAN));
        routes.map(|route| route.destination.to_string()).collect()
    }

    /// What is kept beside what it is derived from equals it.
    pub(super) fn check(&self) {
        self.delegating.bindings.check(self.now);
        let bindings = self.delegating.bindings().iter();
        let stored: BTreeMap<_, _> =
            bindings.map(|(key, binding)| (key.clone(), binding.stored().into())).collect();
        assert_eq!(self.memory.bindings, stored, "memory");
    }
}

impl Delegating {
    fn server(&self) -> &Server {
        &self.server
    }
}
