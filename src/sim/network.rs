//! Links between nodes, hosts and providers, and the one queue of all that happens on them, ordered
//! by time and, at one instant, by when it was arranged.
//!
//! The driver of a network pulls: [`Network::poll`] hands on each output of each node when it has
//! been performed, at the moment that it was, so that laws can be checked against the state then.

mod delivery;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv6Addr;
use std::time::Duration;

use super::host::Host;
use super::node::Node;
use super::provider::Provider;
use crate::core::input::Input;
use crate::core::output::Output;
use crate::net::IfIndex;
use crate::time::Instant;

/// How long a packet takes, unless [`Segment::delay`] is set.
pub const DELAY: Duration = Duration::from_micros(100);

/// A node on a link, by its place in the list of its kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Station {
    /// One of [`Network::nodes`].
    Node(usize),
    /// One of [`Network::hosts`].
    Host(usize),
    /// One of [`Network::providers`].
    Provider(usize),
}

/// A station's end of a link. Hosts and providers have one interface, whatever its number.
pub type Port = (Station, IfIndex);

/// A packet on a link.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Its sender.
    pub source: Ipv6Addr,
    /// Its addressee.
    pub destination: Ipv6Addr,
    /// UDP ports of sender and addressee; none for ICMPv6.
    pub ports: Option<(u16, u16)>,
    /// From the ICMPv6 header on, or the UDP payload.
    pub octets: Vec<u8>,
}

impl Frame {
    /// An ICMPv6 message with hop limit 255.
    pub const fn icmpv6(source: Ipv6Addr, destination: Ipv6Addr, octets: Vec<u8>) -> Self {
        Self { source, destination, ports: None, octets }
    }
}

/// A link.
#[derive(Clone, Debug)]
pub struct Segment {
    ports: Vec<Port>,
    /// How long a packet takes.
    pub delay: Duration,
    /// How many packets of a thousand are lost, for each of their receivers by itself.
    pub loss: u64,
    /// Nothing passes.
    pub is_cut: bool,
}

/// Something that is to happen.
#[derive(Clone, Debug)]
enum Happening {
    /// A deadline of a node.
    Wake(usize),
    /// A node is given an input.
    Input(usize, Input),
    /// A packet arrives.
    Arrival(Port, Frame),
    /// A packet leaves.
    Departure(Port, Frame),
    /// A provider advertises by itself.
    Advertisement(usize),
    /// A host solicits routers, if it knows none.
    Solicitation(usize),
}

type When = (Instant, u64);

/// A network and its time.
#[derive(Debug)]
pub struct Network {
    /// Virtual time. It may be moved forward by hand: what was to happen meanwhile is late then.
    pub now: Instant,
    /// Agents on their machines.
    pub nodes: Vec<Node>,
    /// Hosts.
    pub hosts: Vec<Host>,
    /// Routers of providers.
    pub providers: Vec<Provider>,
    /// Links.
    pub segments: Vec<Segment>,
    /// Stations that hear nothing until then.
    pub deaf_until: BTreeMap<Station, Instant>,
    /// The seed of what happens by chance.
    pub seed: u64,
    places: BTreeMap<Port, usize>,
    queue: BTreeMap<When, Happening>,
    sequence: u64,
    /// Where the next deadline of each node is in the queue.
    wakes: Vec<Option<When>>,
    /// Nodes that have outputs to perform.
    active: VecDeque<usize>,
}

impl Network {
    /// A network without anything, at `now`.
    pub const fn new(now: Instant) -> Self {
        Self {
            now,
            nodes: Vec::new(),
            hosts: Vec::new(),
            providers: Vec::new(),
            segments: Vec::new(),
            deaf_until: BTreeMap::new(),
            seed: 1,
            places: BTreeMap::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            wakes: Vec::new(),
            active: VecDeque::new(),
        }
    }

    /// Adds a node, which reads its kernel's state first; its number.
    pub fn add_node(&mut self, node: Node) -> usize {
        let number = self.nodes.len();
        self.nodes.push(node);
        self.wakes.push(None);
        let system = self.nodes[number].read_kernel();
        self.give(number, system);
        number
    }

    /// Adds a host to a link, which solicits routers at once (RFC 4861 §6.3.7); its number.
    pub fn add_host(&mut self, segment: usize, host: Host) -> usize {
        let number = self.hosts.len();
        self.hosts.push(host);
        self.attach(segment, Station::Host(number), IfIndex(1));
        self.arrange(self.now, Happening::Solicitation(number));
        number
    }

    /// Adds a provider to a link; its number.
    pub fn add_provider(&mut self, segment: usize, provider: Provider) -> usize {
        let number = self.providers.len();
        let interval = provider.interval;
        self.providers.push(provider);
        self.attach(segment, Station::Provider(number), IfIndex(1));
        if interval.is_some() {
            self.arrange(self.now + Duration::from_secs(1), Happening::Advertisement(number));
        }
        number
    }

    /// Adds a link without stations; its number.
    pub fn add_segment(&mut self) -> usize {
        let ports = Vec::new();
        self.segments.push(Segment { ports, delay: DELAY, loss: 0, is_cut: false });
        self.segments.len() - 1
    }

    /// Puts an interface of a station on a link, and takes it off the one that it was on.
    pub fn attach(&mut self, segment: usize, station: Station, interface: IfIndex) {
        let port = (station, interface);
        if let Some(before) = self.places.insert(port, segment) {
            self.segments[before].ports.retain(|other| *other != port);
        }
        self.segments[segment].ports.push(port);
    }

    /// Gives a node an input now. What follows comes out of [`poll`](Self::poll), or of
    /// [`output`](Self::output).
    pub fn give(&mut self, node: usize, input: Input) {
        self.nodes[node].handle(self.now, input);
        self.active.push_back(node);
    }

    /// Gives a node an input at `at`.
    pub fn give_at(&mut self, at: Instant, node: usize, input: Input) {
        self.arrange(at, Happening::Input(node, input));
    }

    /// Has a provider advertise now, as a part of its schedule if it has one.
    pub fn advertise(&mut self, provider: usize) {
        self.queue
            .retain(|_, what| !matches!(what, Happening::Advertisement(of) if *of == provider));
        if let Some(frame) = self.providers[provider].advertise() {
            self.send((Station::Provider(provider), IfIndex(1)), frame);
        }
        if let Some(interval) = self.providers[provider].interval {
            self.arrange(self.now + interval, Happening::Advertisement(provider));
        }
    }

    /// Kills the agent of a node, and starts it again: what was on its way to it is lost.
    pub fn restart(&mut self, node: usize) {
        self.queue.retain(|_, what| match what {
            Happening::Input(to, _) | Happening::Arrival((Station::Node(to), _), _) => *to != node,
            Happening::Arrival(..)
            | Happening::Departure(..)
            | Happening::Wake(_)
            | Happening::Advertisement(_)
            | Happening::Solicitation(_) => true,
        });
        self.nodes[node].restart(self.now);
        let system = self.nodes[node].read_kernel();
        self.give(node, system);
    }

    /// The next output of the nodes that have been given something, performed; None when there is
    /// none left. Time does not pass.
    pub fn output(&mut self) -> Option<(usize, Output)> {
        while let Some(node) = self.active.front().copied() {
            if let Some(output) = self.nodes[node].perform(self.now) {
                self.carry(node, &output);
                return Some((node, output));
            }
            self.active.pop_front();
            self.schedule(node);
        }
        None
    }

    /// Lets time pass until the next output of any node, performed, with the number of the node;
    /// None when it is `end` and nothing is left to do before.
    pub fn poll(&mut self, end: Instant) -> Option<(usize, Output)> {
        if self.active.is_empty() {
            // Kernels may have been changed by hand.
            (0..self.nodes.len()).for_each(|node| self.schedule(node));
        }
        loop {
            if let Some(output) = self.output() {
                return Some(output);
            }
            let Some(next) = self.queue.first_entry().filter(|next| next.key().0 <= end) else {
                self.now = self.now.max(end);
                return None;
            };
            let ((at, _), what) = next.remove_entry();
            self.now = self.now.max(at);
            self.happen(what);
        }
    }

    /// Lets `span` pass.
    pub fn run_for(&mut self, span: Duration) {
        let end = self.now + span;
        while self.poll(end).is_some() {}
    }

    /// Lets time pass until `is_so`, looked at after each output, or until `span` has passed; true
    /// in the first case.
    pub fn run_until(&mut self, span: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + span;
        while !is_so(self) {
            if self.poll(end).is_none() {
                return is_so(self);
            }
        }
        true
    }

    fn happen(&mut self, what: Happening) {
        match what {
            Happening::Wake(node) => {
                self.wakes[node] = None;
                match self.nodes[node].wake(self.now) {
                    Some(input) => self.give(node, input),
                    None => {
                        let next = self.nodes[node].wakes_at(self.now);
                        assert!(next.is_none_or(|at| at > self.now), "node {node} has no rest");
                        self.schedule(node);
                    }
                }
            }
            Happening::Input(node, input) => self.give(node, input),
            Happening::Arrival(port, frame) => self.arrive(port, frame),
            Happening::Departure(port, frame) => self.send(port, frame),
            Happening::Advertisement(provider) => self.advertise(provider),
            Happening::Solicitation(host) => self.solicit(host),
        }
    }

    fn arrange(&mut self, at: Instant, what: Happening) -> When {
        self.sequence += 1;
        let when = (at, self.sequence);
        self.queue.insert(when, what);
        when
    }

    /// Arranges the next deadline of a node, where it is another than before.
    fn schedule(&mut self, node: usize) {
        let at = self.nodes[node].wakes_at(self.now);
        if at == self.wakes[node].map(|(before, _)| before) {
            return;
        }
        if let Some(before) = self.wakes[node].take() {
            self.queue.remove(&before);
        }
        self.wakes[node] = at.map(|at| self.arrange(at, Happening::Wake(node)));
    }

    /// An event of chance, `of_thousand` times in a thousand (a linear congruential generator:
    /// Knuth's MMIX).
    fn happens(&mut self, of_thousand: u64) -> bool {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.seed >> 33) % 1000 < of_thousand
    }
}
