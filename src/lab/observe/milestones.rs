//! From what was seen to the milestones of a run: a pure judgement.

use std::collections::BTreeMap;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::log::{Seen, What};
use super::packets::{self, Packets};
use crate::lab::site::nodes::{Era, Node, Site};
use crate::lab::site::scenario::Scenario;
use crate::wire::dhcpv6::MessageType;

/// What happens at a system in the course of a change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Event {
    /// An advertisement with the new prefix has come in.
    Heard,
    /// Packets can leave from the uplink's new address.
    Addressed,
    /// The new delegated prefix has come in.
    Delegated,
    /// Packets can leave from the downlink's new address.
    Downlinked,
    /// An advertisement with the new prefix has gone out.
    Advertised,
    /// The client's kernel has made its new address.
    Tentative,
    /// Packets can leave from that address.
    Preferred,
    /// The first echo reply to it has come from beyond the provider.
    Reachable,
    /// The old address is deprecated, or gone.
    Deprecated,
}

/// Something that happened in a run.
#[derive(Clone, PartialEq, Debug)]
pub struct Milestone {
    /// At this system.
    pub node: Node,
    /// What.
    pub event: Event,
    /// The time since the change at the provider.
    pub after: Duration,
    /// The prefix or the address, as text.
    pub subject: String,
}

/// A milestone that was reached too late, or not at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Late {
    /// At this system.
    pub node: Node,
    /// What.
    pub event: Event,
    /// When, if at all.
    pub after: Option<Duration>,
}

/// A change, from the moment when it is made at the provider.
#[derive(Clone, PartialEq, Debug)]
pub struct Run {
    /// In the order of time.
    pub milestones: Vec<Milestone>,
    /// DHCPv6 messages that went out, until all had converged.
    pub messages: Vec<(Duration, Node, MessageType)>,
    /// Packets that each system has sent.
    pub packets: BTreeMap<Node, Packets>,
    /// When the last expected milestone was reached; none where one was not.
    pub converged: Option<Duration>,
    /// What came later than it may.
    pub late: Vec<Late>,
}

/// What is asked of a run.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Question {
    /// Of this site.
    pub site: Site,
    /// What happens to it.
    pub scenario: Scenario,
    /// The era that begins.
    pub to: Era,
    /// The era that clients come from.
    pub from: Era,
    /// When, since boot, the change was made at the provider.
    pub begun: Duration,
    /// How late it may get.
    pub max: Duration,
}

impl Event {
    /// All of them, in the order in which they happen.
    pub const ALL: [Self; 9] = [
        Self::Heard,
        Self::Addressed,
        Self::Delegated,
        Self::Downlinked,
        Self::Advertised,
        Self::Tentative,
        Self::Preferred,
        Self::Reachable,
        Self::Deprecated,
    ];

    /// What it is called in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Heard => "heard",
            Self::Addressed => "addressed",
            Self::Delegated => "delegated",
            Self::Downlinked => "downlinked",
            Self::Advertised => "advertised",
            Self::Tentative => "tentative",
            Self::Preferred => "preferred",
            Self::Reachable => "reachable",
            Self::Deprecated => "deprecated",
        }
    }

    /// What it is called for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Heard => "new RA heard",
            Self::Addressed => "uplink address",
            Self::Delegated => "delegated prefix",
            Self::Downlinked => "downlink address",
            Self::Advertised => "RA sent",
            Self::Tentative => "new address, tentative",
            Self::Preferred => "new address, preferred",
            Self::Reachable => "first echo reply",
            Self::Deprecated => "old address deprecated",
        }
    }
}

impl Question {
    /// What has to happen, and where.
    pub fn expected(&self) -> Vec<(Node, Event)> {
        let link_changes = self.scenario.changes_the_link();
        let of = |node: Node| {
            let events: &[Event] = match node {
                Node::Isp if link_changes => &[Event::Advertised],
                Node::Isp => &[],
                Node::Router(1) if !link_changes => {
                    &[Event::Delegated, Event::Downlinked, Event::Advertised]
                }
                Node::Router(_) => &[
                    Event::Heard,
                    Event::Addressed,
                    Event::Delegated,
                    Event::Downlinked,
                    Event::Advertised,
                ],
                Node::Client(_) => {
                    &[Event::Tentative, Event::Preferred, Event::Reachable, Event::Deprecated]
                }
            };
            events.iter().map(move |event| (node, *event))
        };
        self.site.nodes().flat_map(of).collect()
    }

    /// Whether all of it was seen.
    pub fn is_answered(&self, seen: &[Seen]) -> bool {
        let reached = self.reached(seen);
        self.expected().iter().all(|milestone| reached.contains_key(milestone))
    }

    /// What became of it.
    pub fn judge(&self, seen: &[Seen]) -> Run {
        let reached = self.reached(seen);
        let expected = self.expected();
        let when = |milestone| reached.get(milestone).map(|(after, _)| *after);
        let all: Option<Vec<Duration>> = expected.iter().map(when).collect();
        let converged = all.and_then(|all| all.into_iter().max());
        let late = expected
            .iter()
            .map(|milestone| (milestone, when(milestone)))
            .filter(|(_, after)| after.is_none_or(|after| after > self.max))
            .map(|((node, event), after)| Late { node: *node, event: *event, after })
            .collect();
        let mut milestones: Vec<Milestone> = reached
            .into_iter()
            .map(|((node, event), (after, subject))| Milestone { node, event, after, subject })
            .collect();
        milestones.sort_by_key(|milestone| milestone.after);
        let end = converged.unwrap_or(Duration::MAX);
        let mut messages: Vec<(Duration, Node, MessageType)> = seen
            .iter()
            .filter(|seen| seen.at >= self.begun)
            .filter_map(|seen| match &seen.what {
                What::Sent(kind) => Some((seen.at - self.begun, seen.node, *kind)),
                What::Heard(_)
                | What::Advertised { .. }
                | What::Delegated(_)
                | What::Address { .. }
                | What::AddressGone(_)
                | What::Answered(_) => None,
            })
            .filter(|(after, ..)| *after <= end)
            .collect();
        messages.sort_by_key(|(after, ..)| *after);
        let packets = packets::count(seen, self.begun);
        Run { milestones, messages, packets, converged, late }
    }

    /// The first of each kind, with what it is about.
    fn reached(&self, seen: &[Seen]) -> BTreeMap<(Node, Event), (Duration, String)> {
        let mut reached = BTreeMap::new();
        for seen in seen {
            let after = seen.at.saturating_sub(self.begun);
            for (event, subject) in self.events(seen.node, &seen.what) {
                let earliest =
                    reached.entry((seen.node, event)).or_insert_with(|| (after, subject.clone()));
                if after < earliest.0 {
                    *earliest = (after, subject);
                }
            }
        }
        reached
    }

    /// What something that was seen amounts to.
    fn events(&self, node: Node, what: &What) -> Vec<(Event, String)> {
        let (above, own, delegated) = match node {
            Node::Isp => (None, self.to.subnet(0), None),
            Node::Router(depth) => {
                let above = self.to.subnet(depth.saturating_sub(1));
                (Some(above), self.to.subnet(depth), Some(self.to.delegated(depth)))
            }
            Node::Client(_) => (None, self.site.client_prefix(self.to), None),
        };
        let one_of = |event, prefixes: &[Ipv6Net], wanted: Option<Ipv6Net>| {
            let wanted = wanted.filter(|wanted| prefixes.contains(wanted));
            wanted.map(|prefix| (event, prefix.to_string())).into_iter().collect()
        };
        let old = self.site.client_prefix(self.from);
        let is_client = matches!(node, Node::Client(_));
        match what {
            What::Heard(prefixes) => one_of(Event::Heard, prefixes, above),
            What::Delegated(prefixes) => one_of(Event::Delegated, prefixes, delegated),
            What::Advertised { prefixes, .. } => one_of(Event::Advertised, prefixes, Some(own)),
            What::Address { address, deprecated: true, .. } | What::AddressGone(address) => {
                let is_old = is_client && old.contains(address);
                is_old.then(|| (Event::Deprecated, address.to_string())).into_iter().collect()
            }
            What::Address { address, usable, deprecated: false } => {
                let subject = address.to_string();
                if is_client && own.contains(address) {
                    let usable = usable.then(|| (Event::Preferred, subject.clone()));
                    return std::iter::once((Event::Tentative, subject)).chain(usable).collect();
                }
                let event = if !usable || !matches!(node, Node::Router(_)) {
                    None
                } else if above.is_some_and(|above| above.contains(address)) {
                    Some(Event::Addressed)
                } else if own.contains(address) {
                    Some(Event::Downlinked)
                } else {
                    None
                };
                event.map(|event| (event, subject)).into_iter().collect()
            }
            What::Answered(address) => {
                let is_new = is_client && own.contains(address);
                is_new.then(|| (Event::Reachable, address.to_string())).into_iter().collect()
            }
            What::Sent(_) => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGUN: Duration = Duration::from_secs(100);
    const MS: fn(u64) -> Duration = Duration::from_millis;

    fn question(scenario: Scenario) -> Question {
        Question {
            site: Site { hops: 2, clients: 1 },
            scenario,
            to: Era(5),
            from: Era(4),
            begun: BEGUN,
            max: MS(10),
        }
    }

    /// All that happens in a good change, one millisecond after the other.
    fn story() -> Vec<Seen> {
        let to = Era(5);
        let client = |era: Era, usable, deprecated| What::Address {
            address: (u128::from(era.subnet(2).network()) | 0x23).into(),
            usable,
            deprecated,
        };
        let own = |subnet: Ipv6Net| What::Address {
            address: (u128::from(subnet.network()) | 1).into(),
            usable: true,
            deprecated: false,
        };
        let advertised =
            |depth| What::Advertised { prefixes: vec![to.subnet(depth)], to_all: true };
        let mut story = vec![(Node::Isp, advertised(0))];
        for depth in [1, 2] {
            for what in [
                What::Heard(vec![to.subnet(depth - 1)]),
                own(to.subnet(depth - 1)),
                What::Sent(MessageType::Renew),
                What::Delegated(vec![to.delegated(depth)]),
                own(to.subnet(depth)),
                advertised(depth),
            ] {
                story.push((Node::Router(depth), what));
            }
        }
        let address = (u128::from(to.subnet(2).network()) | 0x23).into();
        for what in [
            client(to, false, false),
            client(Era(4), true, true),
            client(to, true, false),
            What::Answered(address),
        ] {
            story.push((Node::Client(1), what));
        }
        let times = (1..).map(|number| BEGUN + MS(number));
        times.zip(story).map(|(at, (node, what))| Seen { at, node, what }).collect()
    }

    #[test]
    fn a_run_has_converged_when_its_last_milestone_is_reached() {
        let question = question(Scenario::Graceful);
        let mut seen = story();
        assert!(question.is_answered(&seen));
        let run = question.judge(&seen);
        assert_eq!(run.converged, Some(MS(17)));
        assert_eq!(run.milestones.len(), question.expected().len());
        assert_eq!(run.messages.len(), 2);
        assert_eq!(run.milestones.last().map(|last| last.event), Some(Event::Reachable));
        seen.pop();
        let run = question.judge(&seen);
        assert_eq!(run.converged, None);
        assert!(!question.is_answered(&seen));
        let missing: Vec<&Late> = run.late.iter().filter(|late| late.after.is_none()).collect();
        assert_eq!(missing.len(), 1);
        assert_eq!((missing[0].node, missing[0].event), (Node::Client(1), Event::Reachable));
    }

    #[test]
    fn late_milestones_are_named() {
        let run = question(Scenario::Graceful).judge(&story());
        let late: Vec<(Node, Event)> =
            run.late.iter().map(|late| (late.node, late.event)).collect();
        let router = [Event::Delegated, Event::Downlinked, Event::Advertised];
        let client = [Event::Tentative, Event::Preferred, Event::Reachable, Event::Deprecated];
        let expected: Vec<(Node, Event)> = router
            .map(|event| (Node::Router(2), event))
            .into_iter()
            .chain(client.map(|event| (Node::Client(1), event)))
            .collect();
        assert_eq!(late, expected);
    }

    #[test]
    fn the_first_of_each_kind_counts_whatever_the_order_of_reading() {
        let mut seen = story();
        let again = seen.iter().map(|seen| Seen { at: seen.at + MS(1000), ..seen.clone() });
        seen = again.chain(story()).rev().collect();
        assert_eq!(question(Scenario::Flash).judge(&seen).converged, Some(MS(17)));
    }

    #[test]
    fn where_the_link_keeps_its_prefix_nothing_is_expected_on_it() {
        let expected = question(Scenario::PdOnly).expected();
        for (node, event) in [(Node::Isp, Event::Advertised), (Node::Router(1), Event::Heard)] {
            assert!(!expected.contains(&(node, event)), "{node:?} {event:?}");
        }
        assert!(expected.contains(&(Node::Router(2), Event::Heard)));
    }
}
