//! A run in the form of a log: time, system, event.

use std::fmt::Write as _;
use std::time::Duration;

use super::statistics::millis;
use crate::lab::observe::milestones::{Event, Milestone, Run};
use crate::lab::site::nodes::{CLIENT, DOWNLINK, Node, PROVIDER_DOWNLINK, TARGET, UPLINK};
use crate::wire::dhcpv6::MessageType;

/// Renders a run.
pub fn render(run: &Run) -> String {
    let milestones = run.milestones.iter().map(|m| (m.after, m.node, describe(m)));
    let messages =
        run.messages.iter().map(|(after, node, kind)| (*after, *node, sent(*node, *kind)));
    let mut lines: Vec<(Duration, Node, String)> = milestones.chain(messages).collect();
    lines.sort_by_key(|(after, ..)| *after);
    let width = lines.iter().map(|(_, node, _)| node.name().len()).max().unwrap_or_default();
    let mut text = String::new();
    for (after, node, event) in lines {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:>10.3} ms  {:width$}  {event}", millis(after), node.name());
    }
    text
}

fn describe(milestone: &Milestone) -> String {
    let subject = &milestone.subject;
    match milestone.event {
        Event::Heard => format!("{UPLINK}: router advertisement with {subject}"),
        Event::Addressed => format!("{UPLINK}: adding address {subject}/64"),
        Event::Delegated => format!("{UPLINK}: delegated prefix {subject}"),
        Event::Downlinked => format!("{DOWNLINK}: adding address {subject}/64"),
        Event::Advertised => format!("{}: advertising {subject}", downlink(milestone.node)),
        Event::Tentative => format!("{CLIENT}: inet6 {subject} prefixlen 64 tentative autoconf"),
        Event::Preferred => format!("{CLIENT}: inet6 {subject} prefixlen 64 autoconf"),
        Event::Deprecated => {
            format!("{CLIENT}: inet6 {subject} prefixlen 64 deprecated autoconf")
        }
        Event::Reachable => format!("{CLIENT}: echo reply from {TARGET} to {subject}"),
    }
}

const fn downlink(node: Node) -> &'static str {
    match node {
        Node::Isp => PROVIDER_DOWNLINK,
        Node::Router(_) | Node::Client(_) => DOWNLINK,
    }
}

fn sent(node: Node, kind: MessageType) -> String {
    let interface = match kind {
        MessageType::Advertise | MessageType::Reply | MessageType::Reconfigure => downlink(node),
        MessageType::Solicit
        | MessageType::Request
        | MessageType::Confirm
        | MessageType::Renew
        | MessageType::Rebind
        | MessageType::Release
        | MessageType::Decline
        | MessageType::InformationRequest => UPLINK,
    };
    format!("{interface}: sending {kind:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_reads_like_the_log_of_a_site() {
        let at = Duration::from_micros;
        let milestone = |after, node, event, subject: &str| Milestone {
            node,
            event,
            after: at(after),
            subject: subject.to_owned(),
        };
        let router = Node::Router(1);
        let run = Run {
            milestones: vec![
                milestone(321, router, Event::Heard, "2001:db8:7:ffff::/64"),
                milestone(803, router, Event::Delegated, "2001:db8:8007::/48"),
                milestone(1_716_400, Node::Client(1), Event::Preferred, "2001:db8:8007::23"),
            ],
            messages: vec![(at(400), router, MessageType::Renew)],
            packets: Default::default(),
            converged: Some(at(1_716_400)),
            late: Vec::new(),
        };
        let expected = "\
             0.321 ms  outbound  up0: router advertisement with 2001:db8:7:ffff::/64
             0.400 ms  outbound  up0: sending Renew
             0.803 ms  outbound  up0: delegated prefix 2001:db8:8007::/48
          1716.400 ms  client1   eth0: inet6 2001:db8:8007::23 prefixlen 64 autoconf
";
        let unindented: Vec<&str> = expected.lines().map(str::trim_start).collect();
        let rendered = render(&run);
        let found: Vec<&str> = rendered.lines().map(str::trim_start).collect();
        assert_eq!(found, unindented);
    }
}
