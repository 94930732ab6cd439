//! A report to render.

use std::time::Duration;

use super::Stack;
use super::{Options, Report};
use crate::lab::observe::milestones::{Event, Late, Milestone, Run};
use crate::lab::observe::packets::Packets;
use crate::lab::site::nodes::{Node, Site};
use crate::lab::site::scenario::Scenario;

/// One hop; three runs of the agents, of which the last did not converge, and one of the floor.
pub(super) fn report() -> Report {
    let site = Site { hops: 1, clients: 1 };
    let mut broken = run(600);
    broken.milestones.retain(|milestone| milestone.event != Event::Reachable);
    broken.converged = None;
    broken.late = vec![Late { node: Node::Client(1), event: Event::Reachable, after: None }];
    Report {
        options: Options {
            site,
            scenario: Scenario::Flash,
            runs: 3,
            optimistic: false,
            loss: 0.0,
            busy: false,
            fifo: false,
            stacks: vec![Stack::Native, Stack::Floor],
            max: Duration::from_secs(25),
            spacing: Duration::ZERO,
            program: "renumberd".into(),
        },
        runs: vec![
            (Stack::Native, vec![run(400), run(450), broken]),
            (Stack::Floor, vec![run(200)]),
        ],
        remarks: vec!["native run 3: all processes run; client1 logged last:\n".to_owned()],
        is_partial: false,
    }
}

/// The router's advertisement comes `carried` microseconds after the provider's.
fn run(carried: u64) -> Run {
    let at = |micros, node, event| Milestone {
        node,
        event,
        after: Duration::from_micros(100 + micros),
        subject: "2001:db8::/64".to_owned(),
    };
    let (router, client) = (Node::Router(1), Node::Client(1));
    let milestones = vec![
        at(0, Node::Isp, Event::Advertised),
        at(5, router, Event::Heard),
        at(60, router, Event::Delegated),
        at(carried, router, Event::Advertised),
        at(carried + 50, client, Event::Tentative),
        at(carried + 60, client, Event::Reachable),
    ];
    let converged = milestones.last().map(|last| last.after);
    let packets = Packets { multicasts: 1, unicasts: 0, dhcpv6: 2 };
    let packets = [(Node::Isp, packets)].into();
    Run { milestones, messages: Vec::new(), packets, converged, late: Vec::new() }
}
