//! A small world for the tests of this folder: one lease, scripted servers, virtual time.
#![allow(clippy::wildcard_enum_match_arm, reason = "servers answer some types only")]

mod address;
mod ask;
mod discover;
mod ladder;
mod link;
mod loss;
mod missing;
mod properties;
mod reconfigure;
mod refused;
mod renew;
mod replacement;
mod reply;
mod restart;
mod transitions;

use super::*;
use crate::config::Delegate;
use crate::core::uplink::change::Outcome;
use crate::core::uplink::change::{Refresh, RefreshKind};
use crate::core::uplink::lease::{Lease, Refusal, Requester};
use crate::time::{Lifetime, Until};
use crate::wire::dhcpv6_option::{
    Authentication, Dhcpv6Option, IaAddress, IaNa, IaPd, IaPrefix, Iaid, Status, StatusCode,
};
use Dhcpv6Option::{ClientId, ServerId};
use ipnet::Ipv6Net;

pub(super) const A: &str = "2001:db8:a::/56";
pub(super) const B: &str = "2001:db8:b::/56";

pub(super) const RENEW: Refresh = Refresh { kind: RefreshKind::Renew, follow_up: false };
pub(super) const REBIND: Refresh = Refresh { kind: RefreshKind::Rebind, follow_up: false };

/// When the world begins; times in the tests count from here.
pub(super) const START: Instant = Instant::from_secs(1000);

impl Lease {
    fn client(&self) -> &Client {
        let Requester::BuiltIn(client) = &self.requester else { panic!("another program") };
        client
    }

    fn client_mut(&mut self) -> &mut Client {
        let Requester::BuiltIn(client) = &mut self.requester else { panic!("another program") };
        client
    }

    /// The next message to send.
    fn poll_message(&mut self, now: Instant) -> Option<Message> {
        let Requester::BuiltIn(client) = &mut self.requester else { panic!("another program") };
        client.poll_message(&self.held, now)
    }
}

pub(super) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(super) fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(super) fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

pub(super) fn addr(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

pub(super) fn client() -> Duid {
    Duid::from_uuid([0xc1; 16])
}

pub(super) fn server(number: u8) -> Duid {
    Duid::from_uuid([number; 16])
}

pub(super) fn rules() -> Rules {
    Rules {
        by_program: false,
        duid: client(),
        delegate: vec![Delegate { iaid: Iaid(1), length: Some(56) }],
        rapid_commit: true,
        reconfigure: true,
        solicit_on_reconnect: false,
        strict: false,
        shortest_prefix: 20,
    }
}

/// Rules with IA_PDs 1 and 2.
pub(super) fn two_ias() -> Rules {
    let delegate = |iaid| Delegate { iaid: Iaid(iaid), length: None };
    Rules { delegate: vec![delegate(1), delegate(2)], ..rules() }
}

pub(super) fn prefix(text: &str, preferred: u32, valid: u32) -> IaPrefix {
    IaPrefix {
        prefix: net(text),
        preferred: Lifetime::from_wire(preferred),
        valid: Lifetime::from_wire(valid),
        exclude: None,
        status: None,
    }
}

pub(super) fn ia_pd(iaid: u32, t1: u32, t2: u32, prefixes: &[IaPrefix]) -> Dhcpv6Option {
    Dhcpv6Option::IaPd(IaPd {
        iaid: Iaid(iaid),
        t1: Lifetime::from_wire(t1),
        t2: Lifetime::from_wire(t2),
        prefixes: prefixes.to_vec(),
        status: None,
    })
}

/// IA_PD 1 with a prefix of T1 1000, T2 1600, preferred 2000, valid 4000.
pub(super) fn gives(text: &str) -> Vec<Dhcpv6Option> {
    vec![ia_pd(1, 1000, 1600, &[prefix(text, 2000, 4000)])]
}

/// An IA_PD without prefixes but with a status.
pub(super) fn fails(iaid: u32, code: StatusCode) -> Dhcpv6Option {
    Dhcpv6Option::IaPd(IaPd {
        iaid: Iaid(iaid),
        t1: Lifetime::ZERO,
        t2: Lifetime::ZERO,
        prefixes: Vec::new(),
        status: Some(status(code)),
    })
}

pub(super) fn status(code: StatusCode) -> Status {
    Status { code, text: String::new() }
}

pub(super) fn ia_na(t1: u32, t2: u32, address: &str, preferred: u32, valid: u32) -> Dhcpv6Option {
    Dhcpv6Option::IaNa(IaNa {
        iaid: Iaid(1),
        t1: Lifetime::from_wire(t1),
        t2: Lifetime::from_wire(t2),
        addresses: vec![IaAddress {
            address: addr(address),
            preferred: Lifetime::from_wire(preferred),
            valid: Lifetime::from_wire(valid),
            status: None,
        }],
        status: None,
    })
}

/// An answer of server `number` to `question`; a Reply to Solicit is a rapid one.
pub(super) fn answer(
    kind: MessageType,
    number: u8,
    question: &Message,
    options: Vec<Dhcpv6Option>,
) -> Message {
    let mut all = vec![ClientId(client()), ServerId(server(number))];
    if kind == MessageType::Reply && question.kind == MessageType::Solicit {
        all.push(Dhcpv6Option::RapidCommit);
    }
    all.extend(options);
    Message { kind, transaction_id: question.transaction_id, options: all }
}

pub(super) fn reply(number: u8, question: &Message, options: Vec<Dhcpv6Option>) -> Message {
    answer(MessageType::Reply, number, question, options)
}

pub(super) fn advertise(number: u8, question: &Message, options: Vec<Dhcpv6Option>) -> Message {
    answer(MessageType::Advertise, number, question, options)
}

/// Answers with Advertise to Solicit and with Reply to everything else.
pub(super) fn serve(question: &Message, options: Vec<Dhcpv6Option>) -> Option<Message> {
    Some(match question.kind {
        MessageType::Solicit => advertise(1, question, options),
        _ => reply(1, question, options),
    })
}

pub(super) fn silence(_question: &Message) -> Option<Message> {
    None
}

/// What a lease does over time.
pub(super) struct World {
    pub(super) lease: Lease,
    pub(super) now: Instant,
    /// All that was sent, and when.
    pub(super) sent: Vec<(Duration, Message)>,
    /// Everything that was reported, and when; without reports of nothing.
    pub(super) reported: Vec<(Duration, Progress)>,
    pub(super) rejects: Vec<Reject>,
    pub(super) transitions: Vec<Transition>,
    /// Time from a question to its answer.
    pub(super) latency: Duration,
    /// How often in a row it was woken at an instant that was already served.
    pub(super) spins: usize,
    on_the_way: Vec<(Instant, Message)>,
}

impl World {
    pub(super) fn new(rules: Rules) -> Self {
        Self::restarted(rules, None, 7)
    }

    pub(super) fn seeded(rules: Rules, seed: u8) -> Self {
        Self::restarted(rules, None, seed)
    }

    pub(super) fn restarted(rules: Rules, stored: Option<StoredLease>, seed: u8) -> Self {
        Self {
            lease: Lease::new(rules, stored.as_ref(), Random::new([seed; 32]), START),
            now: START,
            sent: Vec::new(),
            reported: Vec::new(),
            rejects: Vec::new(),
            transitions: Vec::new(),
            latency: millis(1),
            spins: 0,
            on_the_way: Vec::new(),
        }
    }

    /// A world with prefix A of server 1, whose history is empty and begins at its Reply.
    pub(super) fn bound() -> Self {
        Self::bound_to(rules(), gives(A))
    }

    pub(super) fn bound_to(rules: Rules, options: Vec<Dhcpv6Option>) -> Self {
        let mut world = Self::new(rules);
        world.latency = Duration::ZERO;
        world.lease.link_up(START, true);
        world.run(Duration::ZERO, |question| Some(reply(1, question, options.clone())));
        assert!(!world.lease.held.is_empty(), "bound");
        world.latency = millis(1);
        world.sent.clear();
        world.reported.clear();
        world.transitions.clear();
        world
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.now.since(START)
    }

    /// Lives until `end` after the start; `server` answers after the latency.
    pub(super) fn run(
        &mut self,
        end: Duration,
        mut server: impl FnMut(&Message) -> Option<Message>,
    ) {
        self.run_many(end, |question| server(question).into_iter().collect());
    }

    /// The same with any number of answers.
    pub(super) fn run_many(
        &mut self,
        end: Duration,
        mut servers: impl FnMut(&Message) -> Vec<Message>,
    ) {
        let end = START + end;
        let mut instants = 0;
        loop {
            self.settle(&mut servers);
            let deadline = self.lease.deadline();
            let arrival = self.on_the_way.iter().map(|(at, _)| *at).min();
            let next = deadline.map(|deadline| deadline.at).into_iter().chain(arrival).min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            instants = if next > self.now { 0 } else { instants + 1 };
            self.spins = self.spins.max(instants);
            assert!(instants < 100, "busy at {:?}: {deadline:?}", self.elapsed());
            self.now = self.now.max(next);
        }
        self.now = end.max(self.now);
    }

    /// Lets everything happen that is due, as the core's loop does.
    fn settle(&mut self, servers: &mut impl FnMut(&Message) -> Vec<Message>) {
        let progress = self.lease.handle_timeout(self.now);
        self.tell(progress);
        let (arrived, on_the_way) =
            std::mem::take(&mut self.on_the_way).into_iter().partition(|(at, _)| *at <= self.now);
        self.on_the_way = on_the_way;
        let arrived: Vec<(Instant, Message)> = arrived;
        for (_, message) in arrived {
            self.receive(&message);
        }
        while let Some(message) = self.lease.poll_message(self.now) {
            let at = self.now + self.latency;
            self.on_the_way.extend(servers(&message).into_iter().map(|answer| (at, answer)));
            self.sent.push((self.elapsed(), message));
        }
        self.transitions.extend(std::iter::from_fn(|| self.lease.poll_transition()));
    }

    pub(super) fn receive(&mut self, message: &Message) {
        match self.lease.handle_message(self.now, message, &message.encode()) {
            Ok(progress) => self.tell(progress),
            Err(reject) => self.rejects.push(reject),
        }
    }

    fn tell(&mut self, progress: Progress) {
        if progress != Progress::default() {
            self.reported.push((self.elapsed(), progress));
        }
    }

    pub(super) fn kinds(&self) -> Vec<MessageType> {
        self.sent.iter().map(|(_, message)| message.kind).collect()
    }

    /// The same with what is repeated in a row only once.
    pub(super) fn kinds_once(&self) -> Vec<MessageType> {
        let mut kinds = self.kinds();
        kinds.dedup();
        kinds
    }

    pub(super) fn sent_of(&self, kind: MessageType) -> Vec<&Message> {
        self.sent.iter().map(|(_, message)| message).filter(|m| m.kind == kind).collect()
    }

    pub(super) fn times_of(&self, kind: MessageType) -> Vec<Duration> {
        self.sent.iter().filter(|(_, m)| m.kind == kind).map(|(at, _)| *at).collect()
    }

    pub(super) fn last(&self) -> &Message {
        &self.sent.last().unwrap().1
    }

    pub(super) fn outcomes(&self) -> Vec<(Duration, Outcome)> {
        self.reported
            .iter()
            .filter_map(|(at, reported)| reported.outcome.map(|outcome| (*at, outcome)))
            .collect()
    }

    /// When prefixes or addresses came or went.
    pub(super) fn changes(&self) -> Vec<Duration> {
        self.reported.iter().filter(|(_, reported)| reported.changed).map(|(at, _)| *at).collect()
    }

    /// The prefixes in use.
    pub(super) fn live(&self) -> Vec<Ipv6Net> {
        let prefixes = self.lease.prefixes().into_iter();
        prefixes.filter(|held| held.gone_since.is_none()).map(|held| held.prefix).collect()
    }

    /// The prefixes that are gone.
    pub(super) fn gone(&self) -> Vec<Ipv6Net> {
        let prefixes = self.lease.prefixes().into_iter();
        prefixes.filter(|held| held.gone_since.is_some()).map(|held| held.prefix).collect()
    }
}

/// The IA_PDs of a message with the prefixes that they name.
pub(super) fn named(message: &Message) -> Vec<(u32, Vec<Ipv6Net>)> {
    let prefixes = |ia: &IaPd| ia.prefixes.iter().map(|prefix| prefix.prefix).collect();
    message.ia_pds().map(|ia| (ia.iaid.0, prefixes(ia))).collect()
}

/// An authentication option that carries a key.
pub(super) fn key_option(key: [u8; 16], replay: u64) -> Dhcpv6Option {
    let information = [&[1], &key[..]].concat();
    Dhcpv6Option::Authentication(Authentication {
        protocol: 3,
        algorithm: 1,
        replay_detection: 0,
        replay,
        information,
    })
}

/// Asserts that `at` is `expected` or up to `tolerance` later.
pub(super) fn assert_near(at: Duration, expected: Duration, tolerance: Duration) {
    assert!(at >= expected && at <= expected + tolerance, "{at:?} is not {expected:?}");
}
