//! The counters since the start.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::core::event::Event;
use crate::core::stage::Stage;

/// The upper bound of the first bucket of latencies, in seconds, and the number of buckets, each
/// with twice the bound of the one before: up to half a minute.
const BUCKETS: (f64, u16) = (0.000_25, 18);

/// The protocol of a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::daemon) enum Protocol {
    Icmpv6,
    Dhcpv6,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfMessage {
    protocol: &'static str,
    message: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfChange {
    uplink: String,
    cause: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfStage {
    stage: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfLease {
    uplink: String,
    transition: &'static str,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfDownlink {
    downlink: String,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfCondition {
    condition: &'static str,
}

/// The counters.
#[derive(Debug)]
pub(in crate::daemon) struct Tally {
    registry: Registry,
    received: Family<OfMessage, Counter>,
    sent: Family<OfMessage, Counter>,
    changes: Family<OfChange, Counter>,
    latencies: Family<OfStage, Histogram>,
    transitions: Family<OfLease, Counter>,
    given: Family<OfDownlink, Counter>,
    ended: Family<OfDownlink, Counter>,
    conditions: Family<OfCondition, Counter>,
    refused: Counter,
}

impl Tally {
    /// All zero.
    pub(in crate::daemon) fn new() -> Self {
        let latencies = Family::new_with_constructor(new_histogram as fn() -> Histogram);
        let mut tally = Self {
            registry: Registry::with_prefix("renumberd"),
            received: Family::default(),
            sent: Family::default(),
            changes: Family::default(),
            latencies,
            transitions: Family::default(),
            given: Family::default(),
            ended: Family::default(),
            conditions: Family::default(),
            refused: Counter::default(),
        };
        tally.register();
        tally
    }

    fn register(&mut self) {
        let registry = &mut self.registry;
        registry.register(
            "messages_received",
            "Messages that came in, also those that were rejected",
            self.received.clone(),
        );
        registry.register("messages_sent", "Messages that were sent", self.sent.clone());
        registry.register(
            "changes",
            "Changes of prefixes that have reached their last stage",
            self.changes.clone(),
        );
        registry.register_with_unit(
            "change_latency",
            "Time from the beginning of a change to each stage",
            Unit::Seconds,
            self.latencies.clone(),
        );
        registry.register(
            "lease_transitions",
            "Steps of exchanges with delegating routers",
            self.transitions.clone(),
        );
        registry.register(
            "delegations_given",
            "Prefixes that requesting routers were given",
            self.given.clone(),
        );
        registry.register(
            "delegations_ended",
            "Prefixes that are no longer delegated to requesting routers",
            self.ended.clone(),
        );
        registry.register(
            "conditions_begun",
            "Conditions that have begun",
            self.conditions.clone(),
        );
        registry.register("steps_refused", "Steps that the kernel refused", self.refused.clone());
    }

    pub(super) const fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Counts a message that came in.
    pub(in crate::daemon) fn received(&self, protocol: Protocol, octets: &[u8]) {
        self.received.get_or_create(&of_message(protocol, octets)).inc();
    }

    /// Counts a message that was sent.
    pub(in crate::daemon) fn sent(&self, protocol: Protocol, octets: &[u8]) {
        self.sent.get_or_create(&of_message(protocol, octets)).inc();
    }

    /// Counts an event.
    pub(in crate::daemon) fn count(&self, event: &Event) {
        match event {
            Event::ChangeFinished { interface, cause, latencies, .. } => {
                let of = OfChange { uplink: interface.clone(), cause: cause.name() };
                self.changes.get_or_create(&of).inc();
                for (stage, latency) in latencies {
                    let of = OfStage { stage: name_of(*stage) };
                    self.latencies.get_or_create(&of).observe(latency.as_secs_f64());
                }
            }
            Event::Lease { interface, transition } => {
                let of = OfLease { uplink: interface.clone(), transition: transition.name() };
                self.transitions.get_or_create(&of).inc();
            }
            Event::DelegationGiven { interface, .. } => {
                self.given.get_or_create(&OfDownlink { downlink: interface.clone() }).inc();
            }
            Event::DelegationEnded { interface, .. } => {
                self.ended.get_or_create(&OfDownlink { downlink: interface.clone() }).inc();
            }
            Event::ConditionBegan { condition, .. } => {
                let of = OfCondition { condition: condition.name() };
                self.conditions.get_or_create(&of).inc();
            }
            Event::StepRefused(_) => {
                self.refused.inc();
            }
            Event::ChangeBegan { .. }
            | Event::ChangeReached { .. }
            | Event::RelayedDelegationGiven { .. }
            | Event::RelayedDelegationEnded { .. }
            | Event::DelegationTakenOver { .. }
            | Event::RouterAppeared { .. }
            | Event::RouterLost { .. }
            | Event::DefaultRouteFound
            | Event::DefaultRouteLost
            | Event::ForeignRouter { .. }
            | Event::AddressDuplicate { .. }
            | Event::ConditionOver { .. }
            | Event::PacketRejected { .. }
            | Event::CommandReceived { .. } => {}
        }
    }
}

fn new_histogram() -> Histogram {
    Histogram::new(exponential_buckets(BUCKETS.0, 2.0, BUCKETS.1))
}

const fn name_of(stage: Stage) -> &'static str {
    match stage {
        Stage::Asked => "asked",
        Stage::Delegated => "delegated",
        Stage::Applied => "applied",
        Stage::Advertised => "advertised",
    }
}

/// Unknown types share one name: any node can send all of them.
fn of_message(protocol: Protocol, octets: &[u8]) -> OfMessage {
    let message = octets.first().copied().unwrap_or_default();
    match protocol {
        Protocol::Icmpv6 => OfMessage { protocol: "icmpv6", message: name_of_icmpv6(message) },
        Protocol::Dhcpv6 => OfMessage { protocol: "dhcpv6", message: name_of_dhcpv6(message) },
    }
}

/// RFC 4443, RFC 4861 §4.
const fn name_of_icmpv6(number: u8) -> &'static str {
    match number {
        128 => "echo-request",
        129 => "echo-reply",
        133 => "router-solicitation",
        134 => "router-advertisement",
        135 => "neighbor-solicitation",
        136 => "neighbor-advertisement",
        _ => "other",
    }
}

/// RFC 9915 §7.3.
const fn name_of_dhcpv6(number: u8) -> &'static str {
    match number {
        1 => "solicit",
        2 => "advertise",
        3 => "request",
        4 => "confirm",
        5 => "renew",
        6 => "rebind",
        7 => "reply",
        8 => "release",
        9 => "decline",
        10 => "reconfigure",
        11 => "information-request",
        12 => "relay-forward",
        13 => "relay-reply",
        36 => "addr-reg-inform",
        37 => "addr-reg-reply",
        _ => "other",
    }
}
