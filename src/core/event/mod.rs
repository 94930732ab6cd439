//! Events: things that have happened, as values for the log and for other consumers.
//!
//! An [`Event`] is rendered twice. Its `Display` is a sentence for people; serialized it is a JSON
//! object for programs, with `event` as the name of its kind, durations in milliseconds where the
//! name of the field ends in `_ms`, and lifetimes in seconds.

mod condition;
mod kept;
mod refused_step;
mod remedy;
mod sentence;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::{Serialize, Serializer};

use super::stage::{Cause, Prefixes};
use crate::core::stage::Stage;
use crate::core::uplink::lease::Transition;
use crate::wire::dhcpv6_option::{Duid, Iaid};

pub use condition::{Condition, Newcomer};
pub use kept::{Kept, KeptPrefix};
pub use refused_step::RefusedStep;

/// Something that has happened.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// The prefixes of an uplink change, or may.
    ChangeBegan {
        /// The uplink.
        interface: String,
        /// The number of the change.
        change: u64,
        /// Its cause.
        cause: Cause,
    },
    /// A change has reached a stage.
    ChangeReached {
        /// The uplink.
        interface: String,
        /// The number of the change.
        change: u64,
        /// The stage.
        stage: Stage,
        /// Time since the change began.
        #[serde(rename = "latency_ms", serialize_with = "milliseconds")]
        latency: Duration,
    },
    /// A change has reached its last stage.
    ChangeFinished {
        /// The uplink.
        interface: String,
        /// The number of the change.
        change: u64,
        /// Its cause.
        cause: Cause,
        /// The prefixes before it.
        from: Prefixes,
        /// The prefixes after it.
        to: Prefixes,
        /// Time from its beginning to each stage that it has reached.
        #[serde(rename = "latency_ms", serialize_with = "milliseconds_each")]
        latencies: BTreeMap<Stage, Duration>,
    },
    /// An exchange with a delegating router has taken a step.
    Lease {
        /// The uplink.
        interface: String,
        /// The step.
        #[serde(flatten)]
        transition: Transition,
    },
    /// A requesting router was given a prefix.
    DelegationGiven {
        /// The downlink.
        interface: String,
        /// The prefix.
        prefix: Ipv6Net,
        /// The router.
        #[serde(flatten)]
        requester: Requester,
    },
    /// A prefix is no longer delegated to a requesting router.
    DelegationEnded {
        /// The downlink.
        interface: String,
        /// The prefix.
        prefix: Ipv6Net,
        /// The router.
        #[serde(flatten)]
        requester: Requester,
    },
    /// A server elsewhere has delegated a prefix by way of our relay agent (RFC 8987).
    RelayedDelegationGiven {
        /// The link of the requesting router.
        interface: String,
        /// The prefix.
        prefix: Ipv6Net,
        /// The requesting router.
        duid: Duid,
        /// The next hop of packets to the prefix.
        next_hop: Ipv6Addr,
    },
    /// A delegation by way of our relay agent has ended.
    RelayedDelegationEnded {
        /// The link of the requesting router.
        interface: String,
        /// The prefix.
        prefix: Ipv6Net,
        /// The requesting router.
        duid: Duid,
    },
    /// A requesting router has taken over the delegation of a silent one (SEC-18).
    DelegationTakenOver {
        /// The downlink.
        interface: Option<String>,
        /// Its holder from here on.
        newcomer: Newcomer,
        /// Its former holder.
        holder: Ipv6Addr,
        /// The IAID of the former holder's binding.
        iaid: Iaid,
    },
    /// A router on an uplink advertises itself as a default router.
    RouterAppeared {
        /// The uplink.
        interface: String,
        /// Its address.
        router: Ipv6Addr,
    },
    /// A router on an uplink is no default router any more: it has advertised a Router Lifetime of
    /// zero, or was not heard until its lifetime ended.
    RouterLost {
        /// The uplink.
        interface: String,
        /// Its address.
        router: Ipv6Addr,
    },
    /// A default route leads to the provider, where none did: links are advertised a default router.
    DefaultRouteFound,
    /// No default route leads to the provider, after the hold (RA-TX-30).
    DefaultRouteLost,
    /// Another router advertises on a downlink.
    ForeignRouter {
        /// The downlink.
        interface: Option<String>,
        /// Its address.
        router: Ipv6Addr,
    },
    /// Duplicate address detection has found an address of ours at another node (RFC 4862 §5.4).
    AddressDuplicate {
        /// The interface.
        interface: Option<String>,
        /// The address.
        address: Ipv6Addr,
    },
    /// A condition began that an operator should mend.
    ConditionBegan {
        /// The interface or entry of the plan in question; none for the whole machine.
        interface: Option<String>,
        /// The condition.
        #[serde(flatten)]
        condition: Condition,
    },
    /// A condition is over.
    ConditionOver {
        /// The interface or entry of the plan in question; none for the whole machine.
        interface: Option<String>,
        /// The condition, as it was last.
        #[serde(flatten)]
        condition: Condition,
    },
    /// A packet was dropped. Similar ones before it may have been dropped without an event.
    PacketRejected {
        /// Where it came in.
        interface: Option<String>,
        /// The packet.
        #[serde(flatten)]
        packet: RejectedPacket,
    },
    /// The kernel refused a step; it is tried again.
    StepRefused(
        /// The step, and why.
        #[serde(serialize_with = "refused_step::with_interface")]
        RefusedStep,
    ),
    /// An operator or a hook has sent a command.
    CommandReceived {
        /// The uplink in question, if there is one.
        interface: Option<String>,
        /// Its name.
        command: &'static str,
    },
}

/// A requesting router that we delegate to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Requester {
    /// Its DUID.
    pub duid: Duid,
    /// The delegations or the place in a pool that it has.
    pub names: Vec<String>,
    /// The configuration names it, so that no arbitrary node can cause the event.
    pub is_configured: bool,
}

/// A packet that was dropped. Nothing of it is allocated: any node can send many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct RejectedPacket {
    /// What kind of message it is, or the part of one that was ignored (`ra`, `ra-option`, …).
    pub kind: &'static str,
    /// Why it was dropped.
    pub reason: &'static str,
    /// Its sender.
    pub source: Ipv6Addr,
    /// Its first octet: the type of the message (RFC 4443 §2.1, RFC 9915 §7.3).
    pub message_type: Option<u8>,
}

/// How urgent an event is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// A human has to act.
    Error,
    /// It is unusual, and handled.
    Warn,
    /// An operator would want to know it.
    Info,
    /// It helps to find a fault.
    Debug,
}

impl Event {
    /// Its urgency.
    pub fn level(&self) -> Level {
        match self {
            Self::AddressDuplicate { .. } => Level::Error,
            Self::DelegationTakenOver { .. }
            | Self::ForeignRouter { .. }
            | Self::ConditionBegan { .. }
            | Self::StepRefused(_) => Level::Warn,
            Self::ChangeFinished { from, to, cause, .. } => {
                // An operator who has sent a command wants to know that the prefixes are still the
                // same.
                let is_news = from != to || *cause == Cause::Command;
                if is_news { Level::Info } else { Level::Debug }
            }
            Self::DelegationGiven { requester, .. } | Self::DelegationEnded { requester, .. } => {
                if requester.is_configured {
                    Level::Info
                } else {
                    Level::Debug
                }
            }
            Self::Lease { transition, .. } => {
                if transition.is_repetition() {
                    Level::Debug
                } else {
                    Level::Info
                }
            }
            Self::RelayedDelegationGiven { .. }
            | Self::RelayedDelegationEnded { .. }
            | Self::RouterAppeared { .. }
            | Self::RouterLost { .. }
            | Self::DefaultRouteFound
            | Self::DefaultRouteLost
            | Self::ConditionOver { .. }
            | Self::CommandReceived { .. } => Level::Info,
            Self::ChangeBegan { .. } | Self::ChangeReached { .. } | Self::PacketRejected { .. } => {
                Level::Debug
            }
        }
    }

    /// The name of the interface in question.
    pub fn interface(&self) -> Option<&str> {
        match self {
            Self::ChangeBegan { interface, .. }
            | Self::ChangeReached { interface, .. }
            | Self::ChangeFinished { interface, .. }
            | Self::Lease { interface, .. }
            | Self::DelegationGiven { interface, .. }
            | Self::DelegationEnded { interface, .. }
            | Self::RelayedDelegationGiven { interface, .. }
            | Self::RelayedDelegationEnded { interface, .. }
            | Self::RouterAppeared { interface, .. }
            | Self::RouterLost { interface, .. } => Some(interface),
            Self::DefaultRouteFound | Self::DefaultRouteLost => None,
            Self::DelegationTakenOver { interface, .. }
            | Self::ForeignRouter { interface, .. }
            | Self::AddressDuplicate { interface, .. }
            | Self::ConditionBegan { interface, .. }
            | Self::ConditionOver { interface, .. }
            | Self::PacketRejected { interface, .. }
            | Self::CommandReceived { interface, .. }
            | Self::StepRefused(RefusedStep { interface, .. }) => interface.as_deref(),
        }
    }

    /// The name of its kind, as programs read it, and a second name that distinguishes events of
    /// this kind: that of the condition, transition or command, or the reason. Both are fixed words
    /// of this program.
    pub const fn kind(&self) -> (&'static str, &'static str) {
        match self {
            Self::ChangeBegan { .. } => ("change-began", ""),
            Self::ChangeReached { .. } => ("change-reached", ""),
            Self::ChangeFinished { .. } => ("change-finished", ""),
            Self::Lease { transition, .. } => ("lease", transition.name()),
            Self::DelegationGiven { .. } => ("delegation-given", ""),
            Self::DelegationEnded { .. } => ("delegation-ended", ""),
            Self::RelayedDelegationGiven { .. } => ("relayed-delegation-given", ""),
            Self::RelayedDelegationEnded { .. } => ("relayed-delegation-ended", ""),
            Self::DelegationTakenOver { .. } => ("delegation-taken-over", ""),
            Self::RouterAppeared { .. } => ("router-appeared", ""),
            Self::RouterLost { .. } => ("router-lost", ""),
            Self::DefaultRouteFound => ("default-route-found", ""),
            Self::DefaultRouteLost => ("default-route-lost", ""),
            Self::ForeignRouter { .. } => ("foreign-router", ""),
            Self::AddressDuplicate { .. } => ("address-duplicate", ""),
            Self::ConditionBegan { condition, .. } => ("condition-began", condition.name()),
            Self::ConditionOver { condition, .. } => ("condition-over", condition.name()),
            Self::PacketRejected { packet, .. } => ("packet-rejected", packet.reason),
            Self::StepRefused(_) => ("step-refused", ""),
            Self::CommandReceived { command, .. } => ("command-received", command),
        }
    }
}

/// A duration in milliseconds, for programs.
fn milliseconds<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(in_milliseconds(*duration))
}

/// The same for the stages of a change.
fn milliseconds_each<S: Serializer>(
    latencies: &BTreeMap<Stage, Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let each = latencies.iter().map(|(stage, latency)| (stage, in_milliseconds(*latency)));
    serializer.collect_map(each)
}

/// Nanoseconds first: a binary fraction of a second would show digits that were not measured.
fn in_milliseconds(duration: Duration) -> f64 {
    duration.as_nanos() as f64 / 1e6
}
