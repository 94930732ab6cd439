use std::collections::BTreeSet;

use serde_json::Value;

use super::*;
use crate::core::capabilities::{Capabilities, Remedies};
use crate::core::desired::Conflict;
use crate::core::kernel::object::{Group, Object, Step};
use crate::core::plan::Unassigned;
use crate::core::uplink::lease::{Loss, Refusal};
use crate::net::IfIndex;
use crate::wire::dhcpv6::MessageType;
use crate::wire::dhcpv6_option::{Status, StatusCode};

fn prefix() -> Ipv6Net {
    "2001:db8:100::/56".parse().unwrap()
}

fn address(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

fn duid() -> Duid {
    Duid::new(&[0, 3, 0, 1, 2, 0, 0, 0, 0, 1]).unwrap()
}

const LINUX: &Remedies = Capabilities::LINUX.remedies;

fn refused() -> RefusedStep {
    let step = Step::Set(Object::Membership(Group::AllRouters, IfIndex(3)));
    RefusedStep {
        interface: Some("lan0".to_owned()),
        step,
        refusal: crate::core::kernel::object::Refusal::NotThere,
    }
}

/// One of each.
fn conditions() -> Vec<Condition> {
    let kept = Kept(vec![KeptPrefix { prefix: prefix(), valid: Some(700) }]);
    let newcomer = Newcomer { address: address("fe80::2"), duid: Some(duid()), relay: None };
    vec![
        Condition::ForwardingOff { remedy: LINUX.forwarding },
        Condition::MemoryNotWritten { text: "/x cannot be written".to_owned() },
        Condition::InterfaceAbsent,
        Condition::InterfaceDown { remedy: LINUX.interface_up },
        Condition::NoLinkLocal { remedy: LINUX.link_local },
        Condition::NeighborsIgnored { remedy: LINUX.answer_off_link },
        Condition::ManagedElsewhere { mends: true, remedy: LINUX.follow_advertisements },
        Condition::AddressNotFormed { prefix: prefix(), remedy: LINUX.form_addresses },
        Condition::NoDefaultRouter { is_host: false },
        Condition::DelegatedNotRouted { prefix: prefix(), target: address("2001:db8::1") },
        Condition::NoRouter { silent_for: 5, kept: Some(kept.clone()) },
        Condition::ServerSilent { silent_for: 5, kept: Kept(Vec::new()) },
        Condition::PrefixUnavailable {
            iaid: Iaid(1),
            server: duid(),
            answer: "NoPrefixAvail (6)".to_owned(),
            lacking_for: 5,
            again_in: Some(9),
            kept,
        },
        Condition::PrefixRefused { prefix: prefix(), reason: Refusal::Special },
        Condition::DuplicateAddress { address: address("2001:db8:100::1") },
        Condition::RouterSilent { router: address("fe80::1") },
        Condition::PrefixConflict { prefix: prefix(), conflict: Conflict::Assigned(prefix()) },
        Condition::WithoutSubnet { prefix: prefix(), reason: Unassigned::Full },
        Condition::WithoutPrefix { prefix: prefix(), reason: Unassigned::Taken },
        Condition::RelayTableFull,
        Condition::DelegationContested {
            newcomer,
            holder: address("fe80::1"),
            duid: duid(),
            iaid: Iaid(1),
        },
        Condition::NextHopOffLink { count: 2, next_hop: address("2001:db8::1") },
        Condition::NextHopUnknown { count: 2, prefix: prefix(), duid: duid() },
        Condition::ClientPortTaken { refused: refused() },
        Condition::ServerPortTaken { refused: refused() },
        Condition::Refused { refused: refused(), times: 2, others: 1 },
    ]
}

/// One of each.
fn transitions() -> Vec<Transition> {
    let (message, server) = (MessageType::Renew, duid());
    let status = Status { code: StatusCode::NoBinding, text: "who are you?".to_owned() };
    vec![
        Transition::Sent { message, attempt: 1 },
        Transition::Unanswered { message, next: Some(MessageType::Rebind) },
        Transition::Answered { message: MessageType::Confirm, server: duid() },
        Transition::Bound {
            server: duid(),
            prefixes: vec![prefix()],
            addresses: vec![address("2001:db8::7")],
            t1: Some(1000),
            t2: None,
        },
        Transition::Refused { message, attempt: 1, server, status },
        Transition::Lost { prefix: prefix(), reason: Loss::Expired },
    ]
}

/// One of each, and each condition and transition.
fn events() -> Vec<Event> {
    let interface = || "wan0".to_owned();
    let named = || Some(interface());
    let requester = |names: &[&str]| Requester {
        duid: duid(),
        names: names.iter().map(ToString::to_string).collect(),
        is_configured: !names.is_empty(),
    };
    let packet = RejectedPacket {
        kind: "ra",
        reason: "hop-limit",
        source: address("fe80::3"),
        message_type: Some(134),
    };
    let mut events = vec![
        Event::ChangeBegan { interface: interface(), change: 3, cause: Cause::Link },
        Event::ChangeReached {
            interface: interface(),
            change: 3,
            stage: Stage::Asked,
            latency: Duration::from_micros(250),
        },
        Event::ChangeFinished {
            interface: interface(),
            change: 3,
            cause: Cause::Link,
            from: Prefixes::default(),
            to: Prefixes { on_link: Vec::new(), delegated: vec![prefix()] },
            latencies: BTreeMap::from([(Stage::Applied, Duration::from_micros(250))]),
        },
        Event::DelegationGiven {
            interface: interface(),
            prefix: prefix(),
            requester: requester(&["cellar"]),
        },
        Event::DelegationEnded {
            interface: interface(),
            prefix: prefix(),
            requester: requester(&[]),
        },
        Event::RelayedDelegationGiven {
            interface: interface(),
            prefix: prefix(),
            duid: duid(),
            next_hop: address("fe80::2"),
        },
        Event::RelayedDelegationEnded { interface: interface(), prefix: prefix(), duid: duid() },
        Event::DelegationTakenOver {
            interface: named(),
            newcomer: Newcomer { address: address("fe80::2"), duid: Some(duid()), relay: None },
            holder: address("fe80::1"),
            iaid: Iaid(1),
        },
        Event::RouterAppeared { interface: interface(), router: address("fe80::1") },
        Event::RouterLost { interface: interface(), router: address("fe80::1") },
        Event::DefaultRouteFound,
        Event::DefaultRouteLost,
        Event::ForeignRouter { interface: named(), router: address("fe80::3") },
        Event::AddressDuplicate { interface: named(), address: address("2001:db8:100::1") },
        Event::PacketRejected { interface: named(), packet },
        Event::StepRefused(refused()),
        Event::CommandReceived { interface: None, command: "reload" },
    ];
    for transition in transitions() {
        events.push(Event::Lease { interface: interface(), transition });
    }
    for condition in conditions() {
        events.push(Event::ConditionBegan { interface: named(), condition: condition.clone() });
        events.push(Event::ConditionOver { interface: named(), condition });
    }
    events
}

fn json(event: &Event) -> Value {
    serde_json::to_value(event).unwrap()
}

/// Programs find the same name, whichever way they look.
#[test]
fn each_kind_has_one_name() {
    let mut kinds = BTreeSet::new();
    for event in events() {
        let (name, detail) = event.kind();
        let fields = json(&event);
        assert_eq!(fields["event"], name, "{event}");
        if let Event::ConditionBegan { condition, .. } = &event {
            assert_eq!(fields["condition"], condition.name(), "{event}");
            assert_eq!(detail, condition.name());
        }
        if let Event::Lease { transition, .. } = &event {
            assert_eq!(fields["transition"], transition.name(), "{event}");
        }
        assert!(kinds.insert((name, detail)), "{name} {detail} stands for two");
    }
}

/// A change that ends where it began is of interest to whoever asked for it only.
#[test]
fn a_finished_change_is_news_where_prefixes_differ_or_a_command_began_it() {
    let given = || Prefixes { on_link: Vec::new(), delegated: vec![prefix()] };
    let level = |cause, from, to| {
        let interface = "wan0".to_owned();
        let latencies = BTreeMap::new();
        Event::ChangeFinished { interface, change: 3, cause, from, to, latencies }.level()
    };
    assert_eq!(level(Cause::Link, given(), given()), Level::Debug);
    assert_eq!(level(Cause::Command, given(), given()), Level::Info);
    assert_eq!(level(Cause::Link, Prefixes::default(), given()), Level::Info);
    assert_eq!(level(Cause::Link, given(), Prefixes::default()), Level::Info);
}

#[test]
fn each_has_its_interface_as_a_field() {
    for event in events() {
        assert_eq!(json(&event)["interface"].as_str(), event.interface(), "{event}");
    }
}

/// The log has fields of its own beside those of an event.
#[test]
fn no_field_is_one_of_the_log() {
    for event in events() {
        for name in ["message", "left_out", "object"] {
            assert!(json(&event).get(name).is_none(), "{event:?}: {name}");
        }
    }
}

/// A log has one sentence a line, without a full stop at its end, and what it stands for is never
/// left blank.
#[test]
fn each_is_a_sentence() {
    for event in events() {
        let sentence = event.to_string();
        assert!(sentence.len() >= 10 && !sentence.ends_with(['.', ' ', ':', ',']), "{sentence}");
        assert!(!sentence.contains("  ") && !sentence.contains("()"), "{sentence}");
        assert!(!sentence.contains('\n'), "{sentence}");
    }
}

/// OPS-09
#[test]
fn every_condition_has_a_remedy() {
    for condition in conditions() {
        let remedy = condition.remedy();
        assert!(remedy.len() >= 10 && !remedy.ends_with('.'), "{}: {remedy}", condition.name());
    }
}
