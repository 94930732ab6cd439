//! What the kernel tells by itself, and what happens when too much of it is told.

use nix::sys::socket::{setsockopt, sockopt};
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::{RouteTarget, System};
use renumberd::core::output::{Object, Step};
use renumberd::daemon::clock;
use renumberd::net::IfIndex;
use renumberd::platform::Drained;

use super::bench::{Platform, is_route_gone, on_machine, route, set};
use crate::lab::net::Namespace;
use crate::lab::{eventually, secs};

fn is_link(name: &str) -> impl Fn(&KernelEvent) -> bool {
    move |event| matches!(event, KernelEvent::Link(link) if link.name == name)
}

fn is_gone(index: IfIndex) -> impl Fn(&KernelEvent) -> bool {
    move |event| *event == KernelEvent::LinkGone(index)
}

fn add_bridge(machine: &Namespace, name: &str) {
    machine.ip(&format!("link add {name} type bridge"));
    machine.ip(&format!("link set {name} up"));
}

/// All but lifetimes, which count down between two dumps.
fn skeleton(system: &System) -> (Vec<String>, Vec<String>, Vec<String>) {
    let links = system.links.values().map(|link| format!("{link:?}"));
    let addresses = system.addresses.keys().map(|(at, address)| format!("{at:?} {address}"));
    let routes = system.routes.keys().map(|key| format!("{key:?}"));
    (links.collect(), addresses.collect(), routes.collect())
}

/// What was told adds up to what there is. The kernel does some things a moment later.
fn assert_followed(platform: &mut Platform) {
    eventually("what was told is what there is", secs(5), || {
        platform.follow();
        (skeleton(&platform.system) == skeleton(&platform.dump())).then_some(())
    });
}

/// DWN-12: interfaces that appear, change, lose their peer and vanish are told, and what was on
/// them goes with them.
#[test]
fn the_whole_life_of_an_interface_is_reported() {
    on_machine(|machine, mut platform| {
        add_bridge(machine, "br0");
        platform.until("br0", is_link("br0"));
        let index = platform.index("br0");
        platform.take(&[set(index, "2001:db8::1")]);
        platform.take(&[Step::Set(Object::Route(route(
            "2001:db8::/64",
            RouteTarget::OnLink(index),
            9,
        )))]);
        machine.ip("link set br0 mtu 1400");
        platform.until("its MTU", |event| {
            matches!(event, KernelEvent::Link(link) if link.index == index && link.mtu == 1400)
        });
        machine.ip("link set br0 down");
        platform.wait("all on it gone", |system| {
            system.routes.is_empty() && !system.addresses.keys().any(|(at, _)| *at == index)
        });
        assert!(!platform.system.link("br0").unwrap().running);
        machine.ip("link set br0 name lan0");
        platform.until("its name", is_link("lan0"));
        assert!(platform.system.link("br0").is_none());

        machine.ip("link set two0 down");
        platform.wait("no carrier", |system| !system.link("one0").unwrap().running);
        machine.ip("link set two0 up");
        platform.wait("a carrier", |system| system.link("one0").unwrap().running);

        machine.ip("link del lan0");
        platform.until("lan0 is gone", is_gone(index));
        assert_followed(&mut platform);
    });
}

/// An interface that returns under its name is another one: both its end and its beginning are
/// told, in this order.
#[test]
fn an_interface_that_returns_has_another_index() {
    on_machine(|machine, mut platform| {
        add_bridge(machine, "ppp0");
        platform.until("ppp0", is_link("ppp0"));
        let before = platform.index("ppp0");
        machine.ip("link del ppp0");
        add_bridge(machine, "ppp0");
        let events = platform.until("ppp0 again", |event| {
            matches!(event, KernelEvent::Link(link) if link.name == "ppp0" && link.index != before)
        });
        let gone = events.iter().position(is_gone(before)).unwrap();
        let back = |event: &KernelEvent| matches!(event, KernelEvent::Link(link) if link.name == "ppp0" && link.index != before);
        assert!(gone < events.iter().position(back).unwrap(), "{events:?}");
        assert_ne!(platform.index("ppp0"), before);
        assert!(!platform.system.links.contains_key(&before));
    });
}

/// A port that leaves its bridge is still an interface, and what the bridge says about it is no other
/// carrier.
#[test]
fn a_port_that_leaves_its_bridge_is_not_gone() {
    on_machine(|machine, mut platform| {
        let one = platform.index("one0");
        let carrier_ups = platform.system.links[&one].carrier_ups;
        assert_ne!(carrier_ups, 0);
        add_bridge(machine, "br0");
        machine.ip("link set one0 master br0");
        machine.ip("link set one0 nomaster");
        machine.ip("link set br0 mtu 1400");
        let events = platform.until("the end of it", |event| {
            matches!(event, KernelEvent::Link(link) if link.name == "br0" && link.mtu == 1400)
        });
        assert!(!events.iter().any(is_gone(one)), "{events:?}");
        let mut of_port = events.iter().filter_map(|event| match event {
            KernelEvent::Link(link) if link.index == one => Some(link.carrier_ups),
            _ => None,
        });
        assert!(of_port.all(|ups| ups == carrier_ups), "{events:?}");
        assert_followed(&mut platform);
    });
}

/// A turn has an end, so that packets have theirs.
#[test]
fn more_events_than_one_turn_takes_are_reported_in_the_next() {
    on_machine(|_, mut platform| {
        let one = platform.index("one0");
        let far = |number| route(&format!("2001:db8:{number:x}::/48"), RouteTarget::OnLink(one), 9);
        let routes: Vec<_> = (0..200).map(far).collect();
        platform.take(
            &routes
                .iter()
                .cloned()
                .map(|route| Step::Set(Object::Route(route)))
                .collect::<Vec<_>>(),
        );
        let mut events = Vec::new();
        assert_eq!(platform.events.read(clock::now(), &mut events).unwrap(), Drained::More);
        let first = events.len();
        assert!(first < 200);
        platform.follow();
        events.into_iter().for_each(|event| platform.system.handle(event));
        assert_eq!(platform.system.routes.len(), 200);
        platform.take(
            &routes.into_iter().map(|route| Step::Remove(Object::Route(route))).collect::<Vec<_>>(),
        );
        assert_eq!(platform.follow().iter().filter(|event| is_route_gone(event)).count(), 200);
    });
}

/// Fills the event socket: `stale` is told in time, then it overflows, and what happens next is
/// lost.
fn overrun(platform: &mut Platform, stale: &[Step], lost: &[Step]) {
    let one = platform.index("one0");
    setsockopt(&platform.events, sockopt::RcvBuf, &8192).unwrap();
    platform.take(stale);
    let flood = (0..100).map(|number| {
        Step::Set(Object::Route(route(
            &format!("2001:db8:f:{number:x}::/64"),
            RouteTarget::OnLink(one),
            9,
        )))
    });
    platform.take(&flood.collect::<Vec<_>>());
    platform.take(lost);
}

/// Events that were lost are noticed; with a dump everything is as the kernel has it, and what
/// was told before the loss does not come back to life.
#[test]
fn after_an_overrun_nothing_stale_is_reported() {
    on_machine(|_, mut platform| {
        let one = platform.index("one0");
        let passing = route("2001:db8:dead::/48", RouteTarget::OnLink(one), 9);
        let steps =
            [Step::Set(Object::Route(passing.clone())), Step::Remove(Object::Route(passing))];
        overrun(&mut platform, &steps[..1], &steps[1..]);
        let mut void = Vec::new();
        let drained = platform.events.read(clock::now(), &mut void).unwrap();
        assert_eq!(drained, Drained::Overrun);
        platform.system = platform.dump();
        platform.follow();
        assert_eq!(platform.system.routes.len(), 100);
        assert_followed(&mut platform);
    });
}

/// What happens right after an overrun was noticed is told again, not lost in the shadow of the
/// full socket.
#[test]
fn events_after_an_overrun_are_reported() {
    on_machine(|_, mut platform| {
        let one = platform.index("one0");
        overrun(&mut platform, &[], &[]);
        let drained = platform.events.read(clock::now(), &mut Vec::new()).unwrap();
        assert_eq!(drained, Drained::Overrun);
        platform.system = platform.dump();
        let late = route("2001:db8:beef::/48", RouteTarget::OnLink(one), 9);
        platform.take(&[Step::Set(Object::Route(late.clone()))]);
        let events = platform.follow();
        assert_eq!(events, [KernelEvent::Route(late)]);
    });
}

/// A flood that outruns its reader ends in the right state, however often it was cut.
#[test]
fn a_flood_of_events_ends_in_the_right_state() {
    on_machine(|_, mut platform| {
        let one = platform.index("one0");
        setsockopt(&platform.events, sockopt::RcvBuf, &8192).unwrap();
        std::thread::scope(|scope| {
            let flood = scope.spawn(|| {
                let mut other = Platform::open();
                for round in 0..40 {
                    let far = |number| {
                        let text = format!("2001:db8:{round:x}:{number:x}::/64");
                        route(&text, RouteTarget::OnLink(one), 9)
                    };
                    other.take(
                        &(0..50)
                            .map(far)
                            .map(|route| Step::Set(Object::Route(route)))
                            .collect::<Vec<_>>(),
                    );
                    other.take(
                        &(5..50)
                            .map(far)
                            .map(|route| Step::Remove(Object::Route(route)))
                            .collect::<Vec<_>>(),
                    );
                }
            });
            let mut last = false;
            loop {
                let mut events = Vec::new();
                match platform.events.read(clock::now(), &mut events).unwrap() {
                    Drained::Overrun => platform.system = platform.dump(),
                    Drained::Whole | Drained::More => {
                        events.into_iter().for_each(|event| platform.system.handle(event));
                    }
                }
                if last {
                    break;
                }
                last = flood.is_finished();
            }
        });
        platform.follow();
        assert_eq!(platform.system.routes.len(), 200);
        assert_followed(&mut platform);
    });
}

/// The asker knows what it has done to routes; what others do is told as ever.
#[test]
fn routes_that_the_asker_has_changed_can_be_left_out() {
    on_machine(|machine, mut platform| {
        platform.events.leave_out_what_is_known_to(&platform.kernel).unwrap();
        let one = platform.index("one0");
        let ours = route("2001:db8:a::/64", RouteTarget::OnLink(one), 240);
        let stays = route("2001:db8:b::/64", RouteTarget::OnLink(one), 240);
        platform.take(&[Step::Set(Object::Route(ours.clone())), Step::Set(Object::Route(stays))]);
        platform.take(&[Step::Remove(Object::Route(ours)), set(one, "2001:db8:a::1")]);
        let events = platform.until(
            "the address",
            |event| matches!(event, KernelEvent::Address(address) if address.ours),
        );
        let is_route = |event: &KernelEvent| {
            matches!(event, KernelEvent::Route(_) | KernelEvent::RouteGone(_))
        };
        assert!(!events.iter().any(is_route), "{events:?}");
        machine.ip("-6 route del 2001:db8:b::/64 dev one0 metric 240");
        platform.until("another's doing", is_route_gone);
    });
}
