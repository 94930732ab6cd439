//! How many packets a change costs.

use std::collections::BTreeMap;
use std::time::Duration;

use super::log::{Seen, What};
use super::milestones::Run;
use crate::lab::site::nodes::Node;

/// How long packets are counted after a change at least: repetitions end within a second, and a
/// Reconfigure is retransmitted after two.
pub const COUNTED_FOR: Duration = Duration::from_millis(2200);

/// Packets that a system has sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Packets {
    /// Router advertisements to all nodes.
    pub multicasts: usize,
    /// Router advertisements to one node.
    pub unicasts: usize,
    /// DHCPv6 messages.
    pub dhcpv6: usize,
}

impl Packets {
    /// Each kind with its name in JSON.
    pub const fn kinds(self) -> [(&'static str, usize); 3] {
        [("ra_multicast", self.multicasts), ("ra_unicast", self.unicasts), ("dhcpv6", self.dhcpv6)]
    }
}

/// What each system has sent since `begun`.
pub fn count(seen: &[Seen], begun: Duration) -> BTreeMap<Node, Packets> {
    let mut all: BTreeMap<Node, Packets> = BTreeMap::new();
    for seen in seen.iter().filter(|seen| seen.at >= begun) {
        let (multicasts, unicasts, dhcpv6) = match seen.what {
            What::Advertised { to_all: true, .. } => (1, 0, 0),
            What::Advertised { to_all: false, .. } => (0, 1, 0),
            What::Sent(_) => (0, 0, 1),
            What::Heard(_)
            | What::Delegated(_)
            | What::Address { .. }
            | What::AddressGone(_)
            | What::Answered(_) => continue,
        };
        let packets = all.entry(seen.node).or_default();
        packets.multicasts += multicasts;
        packets.unicasts += unicasts;
        packets.dhcpv6 += dhcpv6;
    }
    all
}

/// Of each system and each kind the mean over all runs, and the most in one.
pub fn summary(runs: &[Run]) -> BTreeMap<Node, Vec<(&'static str, f64, usize)>> {
    let nodes = runs.iter().flat_map(|run| run.packets.keys().copied());
    let of = |node: Node| {
        let each = |run: &Run| run.packets.get(&node).copied().unwrap_or_default();
        let kinds = Packets::default().kinds().into_iter().enumerate();
        let kinds = kinds.map(|(position, (name, _))| {
            let count = |run: &Run| each(run).kinds().get(position).map_or(0, |(_, count)| *count);
            let sum: usize = runs.iter().map(count).sum();
            let mean = sum as f64 / runs.len().max(1) as f64;
            (name, (mean * 100.0).round() / 100.0, runs.iter().map(count).max().unwrap_or(0))
        });
        (node, kinds.collect())
    };
    nodes.map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::dhcpv6::MessageType;

    #[test]
    fn sent_packets_are_counted_by_kind_and_system() {
        let at = Duration::from_secs;
        let advertised = |to_all| What::Advertised { prefixes: Vec::new(), to_all };
        let router = Node::Router(1);
        let seen = [
            (9, Node::Isp, advertised(true)),
            (10, Node::Isp, advertised(true)),
            (11, Node::Isp, What::Sent(MessageType::Reply)),
            (11, router, What::Heard(Vec::new())),
            (11, router, advertised(false)),
            (12, router, advertised(false)),
        ]
        .map(|(seconds, node, what)| Seen { at: at(seconds), node, what });
        let counted = count(&seen, at(10));
        let isp = Packets { multicasts: 1, unicasts: 0, dhcpv6: 1 };
        let unicasts = Packets { multicasts: 0, unicasts: 2, dhcpv6: 0 };
        assert_eq!(counted, [(Node::Isp, isp), (router, unicasts)].into());
        let run = |packets| Run {
            milestones: Vec::new(),
            messages: Vec::new(),
            packets,
            converged: None,
            late: Vec::new(),
        };
        let summary = summary(&[run(counted), run(BTreeMap::new())]);
        assert_eq!(summary[&Node::Isp][0], ("ra_multicast", 0.5, 1));
        assert_eq!(summary[&router][1], ("ra_unicast", 1.0, 2));
    }
}
