//! Events as sentences for people.

use std::fmt;

use ipnet::Ipv6Net;

use super::{Event, Newcomer, RejectedPacket, Requester};
use crate::core::rejection;
use crate::core::stage::Stage;

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ChangeBegan { change, cause, .. } => {
                write!(f, "change {change} begins: {cause}")
            }
            Self::ChangeReached { change, stage, latency, .. } => {
                let latency = latency.as_secs_f64() * 1e3;
                write!(f, "change {change}: {} after {latency:.3} ms", word(*stage))
            }
            Self::ChangeFinished { .. } => self.write_change(f),
            Self::Lease { transition, .. } => transition.fmt(f),
            Self::DelegationGiven { prefix, requester, .. } => {
                write!(f, "{prefix} delegated to {requester}")
            }
            Self::DelegationEnded { prefix, requester, .. } => {
                write!(f, "{prefix} no longer delegated to {requester}")
            }
            Self::RelayedDelegationGiven { interface, prefix, duid, next_hop } => {
                write!(f, "{prefix} is delegated to {duid} by way of {next_hop}, {interface}")
            }
            Self::RelayedDelegationEnded { prefix, duid, .. } => {
                write!(f, "{prefix} is no longer delegated to {duid}")
            }
            Self::DelegationTakenOver { newcomer, holder, iaid, .. } => write!(
                f,
                "{newcomer} takes over what {holder} had as IA_PD {iaid}, which does not answer \
                 any more"
            ),
            Self::RouterAppeared { router, .. } => {
                write!(f, "the default router {router} is heard")
            }
            Self::RouterLost { router, .. } => {
                write!(f, "{router} is no default router any more")
            }
            Self::DefaultRouteFound => f.write_str("a default route leads to the provider"),
            Self::DefaultRouteLost => {
                f.write_str("no default route leads to the provider any more")
            }
            Self::ForeignRouter { router, .. } => {
                write!(f, "another router advertises here: {router}")
            }
            Self::AddressDuplicate { address, .. } => {
                write!(f, "{address} is in use by another node")
            }
            Self::ConditionBegan { condition, .. } => {
                write!(f, "{}: {condition}", condition.name())
            }
            Self::ConditionOver { condition, .. } => match condition.which() {
                Some(which) => write!(f, "{} ({which}): over", condition.name()),
                None => write!(f, "{}: over", condition.name()),
            },
            Self::PacketRejected { packet, .. } => packet.fmt(f),
            Self::StepRefused(step) => step.fmt(f),
            Self::CommandReceived { command, .. } => write!(f, "{command} asked for"),
        }
    }
}

impl Event {
    fn write_change(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::ChangeFinished { change, from, to, latencies, .. } = self else { return Ok(()) };
        write!(f, "change {change}: ")?;
        let differences = [
            ("delegated", &from.delegated, &to.delegated),
            ("on-link", &from.on_link, &to.on_link),
        ];
        let mut separator = "";
        for (what, from, to) in differences.into_iter().filter(|(_, from, to)| from != to) {
            write!(f, "{separator}{what} {} -> {}", list(from), list(to))?;
            separator = ", ";
        }
        if separator.is_empty() {
            f.write_str("prefixes confirmed")?;
        }
        // A prefix that an operator sets is delegated without delay.
        for (stage, latency) in latencies.iter().filter(|(_, latency)| !latency.is_zero()) {
            write!(f, ", {} after {:.3} ms", word(*stage), latency.as_secs_f64() * 1e3)?;
        }
        Ok(())
    }
}

/// The predicate for a stage that a change has reached.
const fn word(stage: Stage) -> &'static str {
    match stage {
        Stage::Asked => "asked",
        Stage::Delegated => "answered",
        Stage::Applied => "applied",
        Stage::Advertised => "advertised",
    }
}

fn list(prefixes: &[Ipv6Net]) -> String {
    if prefixes.is_empty() {
        return "none".to_owned();
    }
    prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

impl fmt::Display for Requester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.names.as_slice() {
            [] => write!(f, "DUID {}", self.duid),
            names => f.write_str(&names.join(" ")),
        }
    }
}

impl fmt::Display for Newcomer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, duid, relay } = self;
        write!(f, "{address} (DUID ")?;
        if let Some(duid) = duid {
            duid.fmt(f)?;
        }
        f.write_str(")")?;
        match relay {
            Some(relay) => write!(f, " by way of the relay agent {relay}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for RejectedPacket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, reason, source, .. } = self;
        write!(f, "{kind} from {source} dropped: {reason}")?;
        match rejection::meaning(kind, reason) {
            Some(meaning) => write!(f, " ({meaning})"),
            None => Ok(()),
        }
    }
}
