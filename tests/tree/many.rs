//! A change for more bindings than are seen to in one pass.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use renumberd::config::file;
use renumberd::core::delegate::{BindingKey, StoredBinding};
use renumberd::core::input::{Command, Input, Received};
use renumberd::core::memory::{Memory, Record};
use renumberd::core::output::{Object, Output, Step};
use renumberd::net::IfIndex;
use renumberd::sim::kernel::link;
use renumberd::sim::network::Network;
use renumberd::sim::node::Node;
use renumberd::time::{Instant, Lifetime};
use renumberd::wire::dhcpv6::{Message, MessageType, TransactionId};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, IaPrefix, Iaid};

use crate::world::{self, net};

const LAN: IfIndex = IfIndex(3);
const COUNT: u16 = 1000;
const SITES: [&str; 2] = ["2001:db8:1000::/36", "2001:db8:2000::/36"];

fn config(site: &str) -> String {
    format!(
        "grace = \"30s\"\n[static.site]\nprefix = \"{site}\"\n[downlink.lan]\nsubnet = \"0x0/64\"\n\
         [pool.routers]\ndownlink = \"lan\"\nprefix = \"0x1/40\"\nlength = 56\n"
    )
}

fn duid(number: u16) -> Duid {
    Duid::from_uuid((u128::MAX / 3 + u128::from(number)).to_be_bytes())
}

fn router(number: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, number)
}

fn place(site: &str, number: u16) -> ipnet::Ipv6Net {
    let network = u128::from(net(site).network()) | 1 << 88 | u128::from(number) << 72;
    ipnet::Ipv6Net::new(network.into(), 56).unwrap()
}

/// What was given a moment ago, as it is kept.
fn stored(now: Instant, number: u16) -> (BindingKey, Arc<StoredBinding>) {
    let at = |seconds| renumberd::time::Until::At(now + Duration::from_secs(seconds));
    let promise = serde_json::json!({
        "preferred_until": at(2700),
        "valid_until": at(5400),
        "held_until": at(5400),
        "said_at": now,
        "routed": true,
    });
    let binding = serde_json::json!({
        "slots": [{"pool": {"number": number, "pool": "routers"}}],
        "contact": {"next_hop": router(number), "peer": router(number), "port": 546},
        "promised": [[place(SITES[0], number), promise]],
    });
    let key = BindingKey { duid: duid(number), downlink: "lan".into(), iaid: Iaid(1) };
    (key, Arc::new(serde_json::from_value(binding).unwrap()))
}

struct Many {
    net: Network,
    records: BTreeMap<BindingKey, usize>,
    /// Routers that were notified by an advertisement of their own, and how many routes there were
    /// by then.
    notified: BTreeMap<Ipv6Addr, usize>,
}

/// What came of one pass, in order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Done {
    Record,
    Route,
    Advertised,
    Answered,
}

impl Many {
    fn new() -> Self {
        let mut net = Network::new(Instant::from_secs(1000));
        let own = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3);
        let kernel = world::machine([(link(LAN, "lan"), own)]);
        let bindings = (0..COUNT).map(|number| stored(net.now, number)).collect();
        let memory = Memory { bindings, ..Memory::default() };
        let config = file::parse("test.toml", &config(SITES[0])).unwrap();
        net.add_node(Node::new(config, memory, world::own_duid(), kernel, net.now));
        let mut many = Self { net, records: BTreeMap::new(), notified: BTreeMap::new() };
        many.perform();
        // Until an advertisement may follow at once.
        many.net.run_for(Duration::from_secs(60));
        many.net.now = many.net.now + Duration::from_secs(4);
        many.records.clear();
        many.notified.clear();
        many
    }

    fn give(&mut self, input: Input) -> Vec<Done> {
        self.net.give(0, input);
        self.perform()
    }

    fn perform(&mut self) -> Vec<Done> {
        let mut done = Vec::new();
        while let Some((_, output)) = self.net.output() {
            match output {
                Output::Remember(Record::Binding { key, .. }) => {
                    *self.records.entry(key).or_default() += 1;
                    done.push(Done::Record);
                }
                Output::Apply(steps) => {
                    let is_new = |step: &&Step| matches!(step, Step::Set(Object::Route(_)));
                    done.extend(steps.iter().filter(is_new).map(|_| Done::Route));
                }
                Output::SendIcmpv6(packet) if packet.destination.is_multicast() => {
                    done.push(Done::Advertised);
                }
                Output::SendIcmpv6(packet) => {
                    let routed = self.routed(SITES[1]);
                    self.notified.entry(packet.destination).or_insert(routed);
                }
                Output::SendServer(_) => done.push(Done::Answered),
                _ => {}
            }
        }
        let refused = &self.net.nodes[0].refused;
        assert!(refused.is_empty(), "the kernel refuses {refused:?}");
        done
    }

    fn has_postponed_work(&self) -> bool {
        self.net.nodes[0].core.has_postponed_work()
    }

    /// Reads the kernel's state anew; how many routes that adds.
    fn read_anew(&mut self) -> usize {
        let system = self.net.nodes[0].read_kernel();
        count(&self.give(system), Done::Route)
    }

    /// Passes until nothing is left to be done but what time brings; how many there were.
    fn settle(&mut self) -> usize {
        let mut passes = 0;
        while self.has_postponed_work() {
            passes += 1;
            assert!(passes < 100, "it does not end");
            let deadline = self.net.nodes[0].core.deadline(self.net.now).unwrap();
            self.net.now = self.net.now.max(deadline.at);
            self.give(Input::Timeout);
        }
        passes
    }

    fn change(&mut self, to: &str) -> Vec<Done> {
        let prefixes = [("site".to_owned(), Some(net(to)))].into();
        self.give(Input::Command(Command::SetPrefixes { prefixes, graceful: false }))
    }

    fn routed(&self, site: &str) -> usize {
        let routes = self.net.nodes[0].kernel.system().routes.keys();
        let is_there = |prefix: &ipnet::Ipv6Net| prefix.prefix_len() == 56;
        routes.filter(|(prefix, ..)| is_there(&prefix.0) && net(site).contains(&prefix.0)).count()
    }

    fn renew(&mut self, number: u16) -> Vec<Done> {
        let prefix = IaPrefix {
            prefix: place(SITES[0], number),
            preferred: Lifetime::ZERO,
            valid: Lifetime::ZERO,
            exclude: None,
            status: None,
        };
        let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
        let ia = IaPd { iaid: Iaid(1), t1, t2, prefixes: vec![prefix], status: None };
        let options = vec![
            Dhcpv6Option::ClientId(duid(number)),
            Dhcpv6Option::ServerId(world::own_duid()),
            Dhcpv6Option::IaPd(ia),
        ];
        let kind = MessageType::Renew;
        let message = Message { kind, transaction_id: TransactionId([1, 2, 3]), options };
        self.give(Input::Server(Received {
            interface: LAN,
            source: router(number),
            port: 546,
            link_layer: None,
            destination: "ff02::1:2".parse().unwrap(),
            hop_limit: 1,
            fragmented: false,
            octets: message.encode(),
        }))
    }
}

fn count(done: &[Done], what: Done) -> usize {
    done.iter().filter(|one| **one == what).count()
}

/// The advertisement waits for a part of the routes and records; the others follow pass by pass.
#[test]
fn a_change_is_advertised_before_a_thousand_bindings_have_followed() {
    let mut many = Many::new();
    assert_eq!(many.routed(SITES[0]), usize::from(COUNT));
    let done = many.change(SITES[1]);
    assert_eq!(count(&done, Done::Advertised), 1);
    let first = many.routed(SITES[1]);
    assert!((1..usize::from(COUNT) / 2).contains(&first), "{first}");
    assert!(count(&done, Done::Record) < usize::from(COUNT) / 2);
    let passes = many.settle();
    assert!(passes > 2, "{passes}");
    assert_eq!(many.routed(SITES[1]), usize::from(COUNT));
    assert_eq!(many.records.len(), usize::from(COUNT));
    assert!(many.records.values().all(|times| *times == 1));
    assert_eq!(many.read_anew(), 0);
    assert!(!many.has_postponed_work());
}

/// The first routers are notified at once. Of the others most are when all routes are there: a router
/// that comes before its route has that set by itself. All are at last.
#[test]
fn all_routes_come_before_most_routers_are_notified() {
    let mut many = Many::new();
    many.change(SITES[1]);
    assert!((1..=512).contains(&many.notified.len()), "{}", many.notified.len());
    many.settle();
    let count = usize::from(COUNT);
    let early = many.notified.values().filter(|routed| **routed < count).count();
    assert!(early < count * 2 / 3, "{early}");
    let deadline = |many: &Many| many.net.nodes[0].core.deadline(many.net.now);
    while let Some(next) = deadline(&many).filter(|_| many.notified.len() < count) {
        many.net.now = many.net.now.max(next.at);
        many.give(Input::Timeout);
    }
    assert_eq!(many.notified.len(), count);
}

/// Whoever asks while others have yet to follow has its record and its route before its answer.
#[test]
fn a_router_that_asks_meanwhile_is_answered_whole() {
    let mut many = Many::new();
    many.change(SITES[1]);
    let last = COUNT - 1;
    assert!(many.routed(SITES[1]) < usize::from(last));
    let done = many.renew(last);
    let answered = done.iter().position(|one| *one == Done::Answered).unwrap();
    assert!(done[..answered].contains(&Done::Record) && done[..answered].contains(&Done::Route));
    many.settle();
    assert_eq!(many.routed(SITES[1]), usize::from(COUNT));
}

/// After the grace time all that was before goes, pass by pass too.
#[test]
fn old_routes_go_in_slices() {
    let mut many = Many::new();
    many.change(SITES[1]);
    many.settle();
    many.net.now = many.net.now + Duration::from_secs(31);
    for _ in 0..20 {
        let before = many.routed(SITES[0]);
        many.give(Input::Timeout);
        // A slice of what ends before the derivation, one ahead of it and one behind it.
        assert!(before - many.routed(SITES[0]) <= 3 * 256, "{before}");
    }
    many.settle();
    assert_eq!((many.routed(SITES[0]), many.routed(SITES[1])), (0, usize::from(COUNT)));
}

/// A change while the one before is under way: the last counts.
#[test]
fn the_last_of_two_changes_counts() {
    let mut many = Many::new();
    many.change(SITES[1]);
    many.give(Input::Timeout);
    many.change(SITES[0]);
    many.settle();
    assert_eq!(many.read_anew(), 0);
    assert_eq!(many.routed(SITES[0]), usize::from(COUNT));
}

/// Somebody has emptied the table of routes: what is delegated follows in slices there too.
#[test]
fn routes_that_are_lost_come_back_in_slices() {
    let mut many = Many::new();
    many.net.nodes[0].kernel.flush_routes(LAN);
    assert_eq!(many.routed(SITES[0]), 0);
    let first = many.read_anew();
    assert!((1..=3 * 256).contains(&first), "{first} at once");
    many.settle();
    assert_eq!(many.routed(SITES[0]), usize::from(COUNT));
}
