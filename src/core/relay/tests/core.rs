//! The relay agent in the core.

use super::*;
use crate::core::Core;
use crate::core::capabilities::Capabilities;
use crate::core::event::Event;
use crate::core::input::Input;
use crate::core::kernel::object::{Group, Object, Port, Step};
use crate::core::kernel::system::RouteTarget;
use crate::core::memory::Memory;
use crate::core::output::Output;

const CAPABILITIES: Capabilities = Capabilities::LINUX;

fn core(memory: Memory) -> Core {
    let duid = Duid::from_uuid([0x52; 16]);
    let mut core = Core::new(config(), memory, duid, CAPABILITIES, [7; 32], NOW);
    core.handle(NOW, Input::System(System { forwarding: true, ..system() }));
    core
}

fn outputs(core: &mut Core) -> Vec<Output> {
    std::iter::from_fn(|| core.poll_output()).collect()
}

fn steps(outputs: &[Output]) -> Vec<Step> {
    let mut all = Vec::new();
    for output in outputs {
        if let Output::Apply(steps) = output {
            all.extend(steps.clone());
        }
    }
    all
}

fn reply() -> Input {
    let given = ia_pd(1, &[("2001:db8:100::/56", 600, 900)]);
    let inside = message(MessageType::Reply, 1, &[given]).encode();
    Input::Server(from_server(&answer("::", CLIENT, vec![id("lan0")], &inside)))
}

/// Clients are heard on the links that are configured, and on those alone, while they are up.
#[test]
fn the_group_is_joined_where_clients_are() {
    let mut core = core(Memory::default());
    let joined: Vec<Step> = steps(&outputs(&mut core));
    let group = Group::DhcpServers;
    assert_eq!(
        joined,
        [
            Step::Set(Object::Port(Port::Server)),
            Step::Set(Object::Membership(group, LAN)),
            Step::Set(Object::Membership(group, LAN1))
        ]
    );
    let down = KernelEvent::Link(Link { running: false, ..link(LAN, "lan0") });
    core.handle(NOW, Input::Kernel(vec![down]));
    assert_eq!(steps(&outputs(&mut core)), [Step::Remove(Object::Membership(group, LAN))]);
    core.handle(NOW, Input::Kernel(vec![KernelEvent::LinkGone(LAN1)]));
    assert_eq!(steps(&outputs(&mut core)), [Step::Remove(Object::Membership(group, LAN1))]);
}

/// Law 6: a lease is remembered first, then routed, and only then answered.
#[test]
fn a_client_is_answered_when_its_prefix_is_remembered_and_routed() {
    let mut core = core(Memory::default());
    outputs(&mut core);
    core.handle(NOW, reply());
    let all = outputs(&mut core);
    let [
        Output::Remember(Record::Relayed { .. }),
        Output::Apply(steps),
        Output::SendServer(_),
        Output::Event(Event::RelayedDelegationGiven { .. }),
    ] = &all[..]
    else {
        panic!("{all:?}")
    };
    let [Step::Set(Object::Route(route))] = &steps[..] else { panic!("{steps:?}") };
    assert_eq!(route.destination, "2001:db8:100::/56".parse().unwrap());
    assert_eq!(route.target, RouteTarget::Gateway(LAN, ip(CLIENT)));
    let status = core.status(NOW);
    assert_eq!(status.relays["lan0"].leases[0].next_hop, ip(CLIENT));
    assert_eq!(status.relays["lan0"].leases[0].valid, Some(900));
    assert!(status.relays["lan0"].attached && status.relays["lan1"].leases.is_empty());
}

/// RLY-12, RLY-14: with the lease the route goes; until then it is there from the start.
#[test]
fn a_restart_knows_the_routes_and_their_ends() {
    let mut first = core(Memory::default());
    outputs(&mut first);
    first.handle(NOW, reply());
    let mut memory = Memory::default();
    for output in outputs(&mut first) {
        if let Output::Remember(record) = output {
            memory.fold(record);
        }
    }
    let mut core = core(memory);
    let added = steps(&outputs(&mut core));
    assert!(added.iter().any(|step| matches!(step, Step::Set(Object::Route(_)))), "{added:?}");
    let end = core.deadline(NOW).unwrap().at;
    assert_eq!(end, Instant::from_secs(1900));
    core.handle(end, Input::Timeout);
    let mut all = outputs(&mut core);
    // Removals are not hurried.
    let end = core.deadline(end).unwrap().at;
    core.handle(end, Input::Timeout);
    all.extend(outputs(&mut core));
    assert!(matches!(steps(&all)[..], [Step::Remove(Object::Route(_))]), "{all:?}");
    assert!(all.iter().any(|output| matches!(output, Output::Remember(_))));
    assert_eq!(core.deadline(end), None);
}

/// SEC: what is dropped is counted by its reason, and nothing else happens.
#[test]
fn dropped_datagrams_are_counted() {
    let mut core = core(Memory::default());
    outputs(&mut core);
    core.handle(NOW, Input::Server(received(LAN, CLIENT, "fe80::a", &STRANGE)));
    core.handle(NOW, Input::Server(from_client(WAN, &STRANGE)));
    let outputs = outputs(&mut core);
    assert!(outputs.iter().all(|output| matches!(output, Output::Event(_))), "{outputs:?}");
    assert_eq!(core.status(NOW).counters["relay-unicast"], 1);
    assert_eq!(core.status(NOW).counters.len(), 1, "what concerns no relay is not counted");
}
