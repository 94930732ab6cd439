//! The transitions of a lease's exchanges, for consumers that follow them.

use std::collections::VecDeque;
use std::fmt;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Serialize, Serializer};

use super::Client;
use super::unavailable::{failure, status_in_words};
use crate::core::uplink::lease::held::Held;
use crate::core::uplink::lease::held::View;
use crate::core::uplink::lease::types::Reject;
use crate::time::Instant;
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::{Duid, Status};

/// The most transitions that are kept until they are polled; beyond that the oldest is dropped.
const KEPT: usize = 16;

/// A step of an exchange with a delegating router (RFC 9915 §18.2).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(tag = "transition", rename_all = "kebab-case")]
pub enum Transition {
    /// A message leaves.
    Sent {
        /// Its type.
        #[serde(rename = "dhcpv6_message")]
        message: MessageType,
        /// 1 for the first, more for repetitions.
        attempt: u32,
    },
    /// No server has answered in time.
    Unanswered {
        /// The message.
        #[serde(rename = "dhcpv6_message")]
        message: MessageType,
        /// The message that follows it; none where none is sent before one of the lease's own
        /// times.
        next: Option<MessageType>,
    },
    /// A server has answered a message that asks for no prefix.
    Answered {
        /// The message.
        #[serde(rename = "dhcpv6_message")]
        message: MessageType,
        /// The server that answered.
        server: Duid,
    },
    /// A server has granted or confirmed the lease.
    Bound {
        /// The server that gave it.
        server: Duid,
        /// The delegated prefixes.
        prefixes: Vec<Ipv6Net>,
        /// The addresses (IA_NA).
        addresses: Vec<Ipv6Addr>,
        /// T1 in seconds; none where it never comes.
        t1: Option<u32>,
        /// T2 in seconds; none where it never comes.
        t2: Option<u32>,
    },
    /// A server refuses a request.
    Refused {
        /// The message that it answers.
        #[serde(rename = "dhcpv6_message")]
        message: MessageType,
        /// How often that was sent.
        attempt: u32,
        /// The server.
        server: Duid,
        /// The reason.
        #[serde(serialize_with = "in_words")]
        status: Status,
    },
    /// A prefix or address is no longer held.
    Lost {
        /// The prefix; a /128 stands for an address.
        prefix: Ipv6Net,
        /// Why.
        reason: Loss,
    },
}

/// Why a prefix is no longer held.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Its valid lifetime has ended.
    Expired,
    /// The server withdrew or replaced it, or it must not be used.
    Withdrawn,
}

impl Transition {
    /// The name of its kind, as programs read it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Sent { .. } => "sent",
            Self::Unanswered { .. } => "unanswered",
            Self::Answered { .. } => "answered",
            Self::Bound { .. } => "bound",
            Self::Refused { .. } => "refused",
            Self::Lost { .. } => "lost",
        }
    }

    /// Whether it is part of a repetition: the exchange has not advanced.
    pub const fn is_repetition(&self) -> bool {
        match self {
            Self::Sent { attempt, .. } | Self::Refused { attempt, .. } => *attempt > 1,
            Self::Unanswered { .. }
            | Self::Answered { .. }
            | Self::Bound { .. }
            | Self::Lost { .. } => false,
        }
    }
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sent { message, attempt: 1 } => write!(f, "{} sent", name(*message)),
            Self::Sent { message, attempt } => {
                write!(f, "{} sent, attempt {attempt}", name(*message))
            }
            Self::Unanswered { message, next: Some(next) } => {
                write!(f, "{} unanswered, {}", name(*message), name(*next))
            }
            Self::Unanswered { message, next: None } => {
                write!(f, "{} unanswered: the refresh is given up", name(*message))
            }
            Self::Answered { message, server } => {
                write!(f, "the server {server} has answered {}", name(*message))
            }
            Self::Bound { server, prefixes, addresses, t1, t2 } => {
                f.write_str("bound:")?;
                for prefix in prefixes {
                    write!(f, " {prefix}")?;
                }
                for address in addresses {
                    write!(f, " {address}")?;
                }
                write!(f, " from the server {server}")?;
                let (t1, t2) = (t1.map(|t1| ("Renew", t1)), t2.map(|t2| ("Rebind", t2)));
                [t1, t2]
                    .into_iter()
                    .flatten()
                    .try_for_each(|(message, seconds)| write!(f, ", {message} after {seconds} s"))
            }
            Self::Refused { message, server, status, .. } => write!(
                f,
                "the server {server} answers {}: {}",
                name(*message),
                status_in_words(status)
            ),
            Self::Lost { prefix, reason: Loss::Expired } => {
                write!(f, "{prefix} is no longer held: its lifetime has ended")
            }
            Self::Lost { prefix, reason: Loss::Withdrawn } => {
                write!(f, "{prefix} is no longer held: it was withdrawn or replaced")
            }
        }
    }
}

/// A message type as RFC 9915 calls it.
const fn name(message: MessageType) -> &'static str {
    match message {
        MessageType::Solicit => "Solicit",
        MessageType::Advertise => "Advertise",
        MessageType::Request => "Request",
        MessageType::Confirm => "Confirm",
        MessageType::Renew => "Renew",
        MessageType::Rebind => "Rebind",
        MessageType::Reply => "Reply",
        MessageType::Release => "Release",
        MessageType::Decline => "Decline",
        MessageType::Reconfigure => "Reconfigure",
        MessageType::InformationRequest => "Information-request",
    }
}

fn in_words<S: Serializer>(status: &Status, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&status_in_words(status))
}

/// The last transitions, until they are polled.
#[derive(Clone, Debug, Default)]
pub(super) struct Transitions {
    steps: VecDeque<Transition>,
    /// The last message about the whole lease, while no server has answered it.
    unanswered: Option<MessageType>,
}

impl Transitions {
    pub(super) fn add(&mut self, transition: Transition) {
        if self.steps.len() >= KEPT {
            self.steps.pop_front();
        }
        self.steps.push_back(transition);
    }

    /// A message leaves for the `attempt`th time. If it is the first of another type, the earlier
    /// one has found no answer.
    pub(super) fn note_sent(&mut self, message: MessageType, attempt: u32, is_for_lease: bool) {
        let before = self.unanswered.filter(|before| *before != message);
        if let Some(before) = before.filter(|_| is_for_lease && attempt == 1) {
            self.add(Transition::Unanswered { message: before, next: Some(message) });
        }
        if is_for_lease {
            self.unanswered = Some(message);
        }
        self.add(Transition::Sent { message, attempt });
    }

    /// A refresh is given up.
    pub(super) fn note_given_up(&mut self) {
        if let Some(message) = self.unanswered {
            self.add(Transition::Unanswered { message, next: None });
        }
    }

    /// The link went down or is another one: no answer is awaited any more.
    pub(super) const fn forget_unanswered(&mut self) {
        self.unanswered = None;
    }
}

impl Client {
    /// The next transition of its exchanges.
    pub(in crate::core::uplink::lease) fn poll_transition(&mut self) -> Option<Transition> {
        self.transitions.steps.pop_front()
    }

    /// The type of the message that `message` answers, and how often that was sent.
    pub(super) fn asked(&self, message: &Message) -> Option<(MessageType, u32)> {
        let exchange = self.exchanges.get(self.position_of(message)?)?;
        Some((exchange.kind.message_type(), exchange.retransmit.count()))
    }

    /// An answer of `server` to the message `asked` has been handled. A server whose answers do not
    /// match the request counts as silent.
    pub(super) fn note_answered<T>(
        &mut self,
        answer: &Message,
        server: &Duid,
        asked: Option<(MessageType, u32)>,
        verdict: &Result<T, Reject>,
    ) {
        let is_answer = !matches!(verdict, Err(Reject::TransactionId | Reject::NotRapid));
        let Some((message, attempt)) = asked.filter(|_| is_answer) else { return };
        self.unanswered_since = None;
        let server = server.clone();
        let is_for_lease =
            !matches!(message, MessageType::Decline | MessageType::InformationRequest);
        if is_for_lease {
            self.transitions.forget_unanswered();
        }
        if let Some(status) = failure(answer) {
            self.transitions.add(Transition::Refused { message, attempt, server, status });
        } else if !is_for_lease || message == MessageType::Confirm {
            self.transitions.add(Transition::Answered { message, server });
        }
    }

    /// `server` has granted the lease.
    pub(super) fn note_bound(&mut self, held: &Held, now: Instant, server: &Duid) {
        let timers = held.timers();
        let prefixes = held.prefixes().into_iter().filter(|held| held.gone_since.is_none());
        self.transitions.add(Transition::Bound {
            server: server.clone(),
            prefixes: prefixes.map(|held| held.prefix).collect(),
            addresses: held.addresses().iter().map(|leased| leased.address).collect(),
            t1: timers.and_then(|timers| timers.t1.remaining(now).seconds()),
            t2: timers.and_then(|timers| timers.t2.remaining(now).seconds()),
        });
    }

    /// Adds the losses: prefixes and addresses of `before` that are not in `after`.
    pub(super) fn note_lost(&mut self, now: Instant, before: &View, after: &View) {
        let live = |view: &View| -> Vec<_> {
            let prefixes = view.prefixes.iter().filter(|held| held.gone_since.is_none());
            let addresses = view.addresses.iter();
            prefixes
                .map(|held| (held.prefix, held.valid_until))
                .chain(addresses.map(|held| (Ipv6Net::from(held.address), held.valid_until)))
                .collect()
        };
        let stays = live(after);
        for (prefix, until) in live(before) {
            if !stays.iter().any(|(other, _)| *other == prefix) {
                let is_over = until.is_over(now);
                let reason = if is_over { Loss::Expired } else { Loss::Withdrawn };
                self.transitions.add(Transition::Lost { prefix, reason });
            }
        }
    }
}
