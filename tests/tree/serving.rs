//! One core as a server: what comes in on which link, from whom, and how it leaves.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use proptest::prelude::*;

use renumberd::config::file;
use renumberd::core::Core;
use renumberd::core::input::{Command, Input, Received};
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::{Link, RouteTarget, System};
use renumberd::core::memory::Memory;
use renumberd::core::output::{Group, Object, Output, Port, ServerPacket, Step};
use renumberd::core::safety::Safety;
use renumberd::net::IfIndex;
use renumberd::platform::CAPABILITIES;
use renumberd::time::{Instant, Lifetime};
use renumberd::wire::dhcpv6::{Message, MessageType, TransactionId};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, Iaid};
use renumberd::wire::dhcpv6_relay::{RelayKind, RelayMessage, RelayOption};

use crate::world;

const LAN: IfIndex = IfIndex(3);
const WLAN: IfIndex = IfIndex(4);
const GUEST: IfIndex = IfIndex(5);
const CLIENT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x99);
const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// Two links with pools, the second without advertisements of ours, and a third without.
const SITE: &str = "[static.site]\nprefix = \"2001:db8::/48\"\n[downlink.lan]\nsubnet = \"0x1/64\"\n[downlink.wlan]\n\
    advertise = false\n[downlink.guest]\n[pool.a]\ndownlink = \"lan\"\n\
    [pool.b]\ndownlink = \"wlan\"\n";

fn link(index: IfIndex, name: &str, running: bool) -> Link {
    Link {
        index,
        name: name.to_owned(),
        running,
        multicast: true,
        point_to_point: false,
        link_layer_address: None,
        mtu: 1500,
        accept_ra: None,
        carrier_ups: 0,
    }
}

struct One {
    core: Core,
    now: Instant,
    groups: Vec<(Group, IfIndex)>,
    serves: bool,
    steps: Vec<Step>,
}

impl One {
    fn new() -> Self {
        let now = Instant::from_secs(1000);
        let mut system = System { forwarding: true, ..System::default() };
        for (index, name) in [(LAN, "lan"), (WLAN, "wlan"), (GUEST, "guest")] {
            system.handle(KernelEvent::Link(link(index, name, true)));
            let address = format!("fe80::{}", index.0);
            system.handle(KernelEvent::Address(world::address(index, &address, false)));
        }
        let config = file::parse("test.toml", SITE).unwrap();
        let core =
            Core::new(config, Memory::default(), world::own_duid(), CAPABILITIES, [7; 32], now);
        let mut one = Self { core, now, groups: Vec::new(), serves: false, steps: Vec::new() };
        one.tell(Input::System(system));
        one
    }

    fn link(&mut self, index: IfIndex, name: &str, running: bool) {
        self.tell(Input::Kernel(vec![KernelEvent::Link(link(index, name, running))]));
    }

    /// What leaves from the server's port in the next seconds.
    fn run_for(&mut self, seconds: u64) -> Vec<ServerPacket> {
        let end = self.now + Duration::from_secs(seconds);
        let mut all = Vec::new();
        while let Some(next) = self.core.deadline(self.now).filter(|next| next.at <= end) {
            self.now = next.at.max(self.now);
            all.extend(self.tell(Input::Timeout).into_iter().map(|(sent, ..)| sent));
        }
        self.now = end;
        all
    }

    /// What leaves from the server's port, with whether a record and a route came before it.
    fn tell(&mut self, input: Input) -> Vec<(ServerPacket, bool, bool)> {
        self.core.handle(self.now, input);
        let (mut sent, mut remembered, mut routed) = (Vec::new(), false, false);
        while let Some(output) = self.core.poll_output() {
            match output {
                Output::SendServer(packet) => sent.push((packet, remembered, routed)),
                Output::Remember(_) => remembered = true,
                Output::Apply(steps) => {
                    for step in steps {
                        match &step {
                            Step::Set(Object::Membership(group, index)) => {
                                self.groups.push((*group, *index))
                            }
                            Step::Set(Object::Port(Port::Server)) => self.serves = true,
                            Step::Remove(Object::Port(Port::Server)) => self.serves = false,
                            Step::Set(Object::Route(_)) | Step::Replace(Object::Route(_)) => {
                                routed = true
                            }
                            _ => {}
                        }
                        self.steps.push(step);
                    }
                }
                _ => {}
            }
        }
        sent
    }

    fn hear(
        &mut self,
        interface: IfIndex,
        source: Ipv6Addr,
        destination: Ipv6Addr,
        octets: Vec<u8>,
    ) -> Vec<(ServerPacket, bool, bool)> {
        self.tell(Input::Server(Received {
            interface,
            source,
            port: 40_000,
            link_layer: None,
            destination,
            hop_limit: 1,
            fragmented: false,
            octets,
        }))
    }
}

fn message(kind: MessageType) -> Vec<u8> {
    let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
    let ia = IaPd { iaid: Iaid(1), t1, t2, prefixes: Vec::new(), status: None };
    let mut options = vec![
        Dhcpv6Option::ClientId(Duid::from_uuid([9; 16])),
        Dhcpv6Option::ReconfigureAccept,
        Dhcpv6Option::IaPd(ia),
    ];
    if kind == MessageType::Request {
        options.push(Dhcpv6Option::ServerId(world::own_duid()));
    }
    Message { kind, transaction_id: TransactionId([1, 2, 3]), options }.encode()
}

fn forwarded(inner: Vec<u8>, options: &[RelayOption]) -> Vec<u8> {
    let mut all = options.to_vec();
    all.push(RelayOption::RelayMessage(inner));
    let (link_address, peer_address) = ("fd00:1::1".parse().unwrap(), CLIENT);
    let kind = RelayKind::Forward;
    RelayMessage { kind, hop_count: 0, link_address, peer_address, options: all }.encode()
}

/// SRV-01
#[test]
fn each_link_with_something_to_delegate_is_served() {
    let one = One::new();
    assert!(one.serves);
    for (index, serves) in [(LAN, true), (WLAN, true), (GUEST, false)] {
        assert_eq!(one.groups.contains(&(Group::DhcpServers, index)), serves, "{index:?}");
    }
    let mut one = one;
    assert_eq!(one.hear(GUEST, CLIENT, GROUP, message(MessageType::Solicit)), []);
}

/// SRV-02, SRV-03: also on a link whose advertisements are another program's.
#[test]
fn an_answer_leaves_where_the_question_came_in() {
    for (index, own) in [(LAN, "fe80::3"), (WLAN, "fe80::4")] {
        let mut one = One::new();
        let sent = one.hear(index, CLIENT, GROUP, message(MessageType::Solicit));
        let (sent, ..) = &sent[0];
        assert_eq!((sent.port, sent.packet.destination), (546, CLIENT));
        assert_eq!((sent.packet.interface, sent.packet.source), (index, own.parse().unwrap()));
    }
}

/// SRV-24, SRV-25, STO-04: the record and the route come before the answer.
#[test]
fn a_binding_is_kept_and_routed_before_its_router_hears_of_it() {
    let mut one = One::new();
    let sent = one.hear(LAN, CLIENT, GROUP, message(MessageType::Request));
    let (sent, remembered, routed) = &sent[0];
    assert!(*remembered && *routed && sent.memory == Safety::Synced);
    let routed = one.steps.iter().any(|step| {
        matches!(step, Step::Set(Object::Route(route)) if route.target == RouteTarget::Gateway(LAN, CLIENT))
    });
    assert!(routed);
}

/// SRV-50: all below a requesting router wait for its answer, so that leaves before what a change
/// means for the links, which waits half a millisecond for a Renew message, from when the notification
/// has left, and no longer.
#[test]
fn an_answer_to_a_reconfigure_goes_before_the_desired_state() {
    for renews in [true, false] {
        let mut one = One::new();
        let given = one.hear(LAN, CLIENT, GROUP, message(MessageType::Request));
        assert_eq!(given.len(), 1);
        one.now = one.now + Duration::from_secs(10);
        one.tell(Input::Timeout);
        one.steps.clear();
        let prefixes = BTreeMap::from([("site".to_owned(), "2001:db8:1::/48".parse().ok())]);
        let command = Command::SetPrefixes { prefixes, graceful: false };
        let sent = one.tell(Input::Command(command));
        let kinds = sent.iter().map(|(sent, ..)| sent.packet.octets[0]);
        assert_eq!(kinds.collect::<Vec<_>>(), [MessageType::Reconfigure.to_wire()]);
        assert_eq!(sent[0].0.memory, Safety::NotNeeded);
        assert_eq!(one.steps, [], "nothing is derived yet");
        // To send it has taken longer than anybody waits: the wait begins behind that.
        assert_eq!(
            one.core.deadline(one.now).unwrap().at,
            one.now,
            "the loop says when it has left"
        );
        one.now = one.now + Duration::from_millis(2);
        assert_eq!(one.tell(Input::Timeout), []);
        assert_eq!(one.steps, [], "it has left only now");
        if renews {
            let mut asked = Message::decode(&message(MessageType::Renew)).unwrap();
            asked.options.push(Dhcpv6Option::ServerId(world::own_duid()));
            let answered = one.hear(LAN, CLIENT, GROUP, asked.encode());
            assert!(matches!(answered.as_slice(), [(_, true, true)]), "{answered:?}");
        } else {
            let deadline = one.core.deadline(one.now).unwrap();
            assert_eq!(deadline.at.since(one.now), Duration::from_micros(500));
            one.now = deadline.at;
            one.tell(Input::Timeout);
        }
        let addressed = |step: &Step| matches!(step, Step::Set(Object::Address(_)));
        assert!(one.steps.iter().any(addressed), "{renews}: {:?}", one.steps);
    }
}

/// SRV-50: what could not reach a router as its link was down is no notification.
#[test]
fn a_router_is_notified_anew_when_its_link_returns() {
    let mut one = One::new();
    one.hear(LAN, CLIENT, GROUP, message(MessageType::Request));
    one.run_for(10);
    one.link(LAN, "lan", false);
    let prefixes = BTreeMap::from([("site".to_owned(), "2001:db8:1::/48".parse().ok())]);
    one.tell(Input::Command(Command::SetPrefixes { prefixes, graceful: false }));
    assert_eq!(one.run_for(400), [], "nothing leaves");
    one.link(LAN, "lan", true);
    let sent = one.run_for(10);
    let is_question = |packet: &ServerPacket| {
        packet.packet.octets.first() == Some(&MessageType::Reconfigure.to_wire())
    };
    assert!(sent.iter().any(is_question), "{sent:?}");
}

/// SRV-05, SRV-07, SRV-08, SRV-09: nothing leaves, and it is counted.
#[test]
fn octets_that_are_no_request_get_no_answer() {
    let own = "fe80::3".parse().unwrap();
    let global = "2001:db8:0:77::9".parse().unwrap();
    let reply = RelayMessage {
        kind: RelayKind::Reply,
        hop_count: 0,
        link_address: CLIENT,
        peer_address: CLIENT,
        options: Vec::new(),
    };
    let fat = RelayOption::InterfaceId(vec![1; 2000]);
    let cases = [
        ("to our address", CLIENT, own, message(MessageType::Solicit), "unicast"),
        ("Request to our address", CLIENT, own, message(MessageType::Request), "unicast"),
        ("from no address of the link", global, GROUP, message(MessageType::Solicit), "source"),
        ("type 99", CLIENT, GROUP, vec![99, 0, 0, 0], "type"),
        ("Advertise", CLIENT, GROUP, message(MessageType::Advertise), "unexpected-type"),
        ("Relay-reply", CLIENT, GROUP, reply.encode(), "unexpected-type"),
        ("from ourselves", own, GROUP, message(MessageType::Solicit), "own"),
        ("nothing", CLIENT, GROUP, Vec::new(), "truncated"),
        (
            "a relay that says too much",
            CLIENT,
            GROUP,
            forwarded(message(MessageType::Request), &[fat]),
            "relay-options",
        ),
    ];
    for (name, source, destination, octets, reason) in cases {
        let mut one = One::new();
        assert_eq!(one.hear(LAN, source, destination, octets), [], "{name}");
        let counters = one.core.status(one.now).counters;
        let counted = counters.iter().any(|(label, _)| label.contains(reason));
        assert!(counted, "{name}: {counters:?}");
    }
}

/// SRV-02, RLY-30: back to the relay, on the port that it asks for (RFC 8357), whose address may
/// be a global one.
#[test]
fn an_answer_to_a_relay_goes_to_its_port() {
    let relay: Ipv6Addr = "fe80::a".parse().unwrap();
    let global: Ipv6Addr = "2001:db8:0:1::9".parse().unwrap();
    let unspecified = Ipv6Addr::UNSPECIFIED;
    let cases = [
        // source, options, port, our source
        (relay, vec![], 547, "fe80::3".parse().unwrap()),
        (relay, vec![RelayOption::SourcePort(0)], 40_000, "fe80::3".parse().unwrap()),
        (global, vec![], 547, unspecified),
    ];
    for (source, options, port, own) in cases {
        let mut one = One::new();
        let octets = forwarded(message(MessageType::Request), &options);
        let sent = one.hear(LAN, source, "2001:db8::1".parse().unwrap(), octets);
        let (sent, ..) = &sent[0];
        assert_eq!((sent.port, sent.packet.destination, sent.packet.source), (port, source, own));
        let level = RelayMessage::decode(&sent.packet.octets).unwrap();
        assert_eq!((level.kind, level.peer_address), (RelayKind::Reply, CLIENT));
        let routed = one.steps.iter().any(|step| {
            matches!(step, Step::Set(Object::Route(route)) if route.target == RouteTarget::Gateway(LAN, source))
        });
        assert!(routed, "the relay is the next hop");
    }
}

proptest! {
    /// Whatever octets come, in whatever envelope, cut and changed anywhere.
    #[test]
    fn no_datagram_makes_it_panic(
        kind in 0_u8..14,
        options in proptest::collection::vec((0_u16..140, proptest::collection::vec(any::<u8>(), 0..60)), 0..6),
        depth in 0_usize..12,
        cut in 0_usize..400,
        changed in proptest::collection::vec((0_usize..400, any::<u8>()), 0..4),
    ) {
        let mut one = One::new();
        let mut octets = message(MessageType::Request);
        octets[0] = kind;
        for (code, body) in &options {
            octets.extend(code.to_be_bytes());
            octets.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
            octets.extend(body);
        }
        for _ in 0..depth {
            octets = forwarded(octets, &[RelayOption::InterfaceId(vec![1, 2])]);
        }
        for (position, octet) in changed {
            if let Some(place) = octets.get_mut(position) {
                *place = octet;
            }
        }
        if cut > 200 {
            octets.truncate(cut - 200);
        }
        for sent in one.hear(LAN, CLIENT, GROUP, octets) {
            prop_assert!(sent.0.packet.octets.len() < 65_000);
        }
        one.tell(Input::Timeout);
    }
}
