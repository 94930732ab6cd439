//! A change for more bindings than are seen to in one pass.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use renumberd::config::file;
use renumberd::core::Core;
use renumberd::core::delegate::{BindingKey, StoredBinding};
use renumberd::core::input::{Command, Input, Received};
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::{KernelAddress, Link, System};
use renumberd::core::memory::{Memory, Record};
use renumberd::core::output::{Object, Output, Step};
use renumberd::net::IfIndex;
use renumberd::platform::CAPABILITIES;
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
    core: Core,
    now: Instant,
    kernel: System,
    records: BTreeMap<BindingKey, usize>,
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
        let now = Instant::from_secs(1000);
        let mut kernel = System { forwarding: true, ..System::default() };
        kernel.handle(KernelEvent::Link(Link {
            index: LAN,
            name: "lan".to_owned(),
            running: true,
            multicast: true,
            point_to_point: false,
            link_layer_address: None,
            mtu: 1500,
        }));
        kernel.handle(KernelEvent::Address(world::address(LAN, "fe80::3", false)));
        let bindings = (0..COUNT).map(|number| stored(now, number)).collect();
        let memory = Memory { bindings, ..Memory::default() };
        let config = file::parse("test.toml", &config(SITES[0])).unwrap();
        let core = Core::new(config, memory, world::own_duid(), CAPABILITIES, [7; 32], now);
        let mut many = Self { core, now, kernel, records: BTreeMap::new() };
        let system = many.kernel.clone();
        many.tell(Input::System(system));
        // Until an advertisement may follow at once.
        many.wait(Duration::from_secs(60));
        many.now = many.now + Duration::from_secs(4);
        many.records.clear();
        many
    }

    /// Lets time pass, deadline by deadline.
    fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        self.settle();
        while let Some(deadline) = self.core.deadline(self.now).filter(|next| next.at <= end) {
            self.now = self.now.max(deadline.at);
            self.tell(Input::Timeout);
        }
        self.now = end;
    }

    fn tell(&mut self, input: Input) -> Vec<Done> {
        self.core.handle(self.now, input);
        let mut done = Vec::new();
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::Remember(Record::Binding { key, .. }) => {
                    *self.records.entry(key).or_default() += 1;
                    done.push(Done::Record);
                }
                Output::Apply(steps) => steps.into_iter().for_each(|step| {
                    done.extend(matches!(step, Step::Set(Object::Route(_))).then_some(Done::Route));
                    self.apply(step);
                }),
                // Each router has one of its own beside that.
                Output::SendIcmpv6(packet) if packet.destination.is_multicast() => {
                    done.push(Done::Advertised);
                }
                Output::SendServer(_) => done.push(Done::Answered),
                _ => {}
            }
        }
        done
    }

    fn apply(&mut self, step: Step) {
        let event = match step {
            Step::Set(Object::Address(address)) => KernelEvent::Address(address),
            Step::Remove(Object::Address(KernelAddress { interface, address, .. })) => {
                KernelEvent::AddressGone { interface, address }
            }
            Step::Set(Object::Route(route)) => {
                assert!(!self.kernel.has_slot(route.slot()), "the kernel would refuse {route:?}");
                KernelEvent::Route(route)
            }
            Step::Replace(Object::Route(route)) => KernelEvent::Route(route),
            Step::Remove(Object::Route(route)) => KernelEvent::RouteGone(route),
            _ => return,
        };
        self.kernel.handle(event);
    }

    /// Passes until nothing is left to be done but what time brings; how many there were.
    fn settle(&mut self) -> usize {
        let mut passes = 0;
        while self.core.lags() {
            passes += 1;
            assert!(passes < 100, "it does not end");
            let deadline = self.core.deadline(self.now).unwrap();
            self.now = self.now.max(deadline.at);
            self.tell(Input::Timeout);
        }
        passes
    }

    fn change(&mut self, to: &str) -> Vec<Done> {
        let prefixes = [("site".to_owned(), Some(net(to)))].into();
        self.tell(Input::Command(Command::SetPrefixes { prefixes, graceful: false }))
    }

    fn routed(&self, site: &str) -> usize {
        let routes = self.kernel.routes.keys();
        let is_there = |prefix: &ipnet::Ipv6Net| prefix.prefix_len() == 56;
        routes.filter(|(prefix, ..)| is_there(prefix) && net(site).contains(prefix)).count()
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
        self.tell(Input::Server(Received {
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
    let system = many.kernel.clone();
    assert_eq!(count(&many.tell(Input::System(system)), Done::Route), 0);
    assert!(!many.core.lags());
}

/// Whoever asks while others have yet to follow has its record and its route before its answer.
#[test]
fn who_asks_meanwhile_is_answered_whole() {
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
    many.now = many.now + Duration::from_secs(31);
    for _ in 0..20 {
        let before = many.routed(SITES[0]);
        many.tell(Input::Timeout);
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
    many.tell(Input::Timeout);
    many.change(SITES[0]);
    many.settle();
    let system = many.kernel.clone();
    let done = many.tell(Input::System(system));
    assert_eq!(count(&done, Done::Route), 0);
    assert_eq!(many.routed(SITES[0]), usize::from(COUNT));
}
