//! Routes: ours as told, others' left alone, and what becomes of the rest when one is refused.

use renumberd::core::kernel::object::Refusal;
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::{KernelRoute, RouteTarget};
use renumberd::core::output::{Group, Object, Setting, Step, Sysctl};
use renumberd::net::IfIndex;
use serde_json::Value;

use super::bench::{Platform, after, ip, is_route_gone, on_machine, route, same_end, set};
use crate::lab::net::Namespace;

const DEFAULT: &str = "::/0";

/// One of each kind, of a metric each.
fn one_of_each(interface: IfIndex) -> [KernelRoute; 4] {
    let gateway = |host: &str| RouteTarget::Gateway(interface, ip(host));
    [
        route(DEFAULT, gateway("fe80::1"), 1024),
        route("2001:db8:a::/48", gateway("fe80::2"), 512),
        route("2001:db8:b:1::/64", RouteTarget::OnLink(interface), 256),
        route("2001:db8:b::/48", RouteTarget::Unreachable, 4096),
    ]
}

fn shown(machine: &Namespace, destination: &str) -> Vec<Value> {
    machine.ip_json(&format!("-details route show {destination}"))
}

/// DWN-02, DWN-03, UPL-03: a default route, a delegation's, a link's and the unreachable rest
/// come, are told as they are, and go.
#[test]
fn routes_of_each_kind_come_and_go() {
    on_machine(|machine, mut platform| {
        let routes = one_of_each(platform.index("one0"));
        platform.take(&routes.clone().map(|route| Step::Set(Object::Route(route))));
        let text = machine.ip("-6 -details route show proto 82");
        for line in [
            "unicast default via fe80::1 dev one0 scope global metric 1024",
            "unicast 2001:db8:a::/48 via fe80::2 dev one0 scope global metric 512",
            "unicast 2001:db8:b:1::/64 dev one0 scope global metric 256",
            "unreachable 2001:db8:b::/48 dev lo scope global metric 4096",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert_eq!(text.lines().count(), routes.len(), "{text}");
        platform.follow();
        let dump = platform.dump();
        for has in [&platform.system.routes, &dump.routes] {
            assert!(has.values().eq(&sorted(&routes)), "{has:?}");
        }
        platform.take(&routes.clone().map(|route| Step::Remove(Object::Route(route))));
        platform.follow();
        assert_eq!(platform.system.routes.len(), 0);
        assert_eq!(machine.ip("-6 route show proto 82"), "");
        // And once more: they are gone already.
        platform.take(&routes.map(|route| Step::Remove(Object::Route(route))));
    });
}

fn sorted(routes: &[KernelRoute]) -> Vec<KernelRoute> {
    let mut routes = routes.to_vec();
    routes.sort_by_key(KernelRoute::key);
    routes
}

/// DWN-06, UPL-04: the end of a route is moved, set and taken away without a moment without it.
#[test]
fn the_end_of_a_route_is_replaced_in_place() {
    on_machine(|machine, mut platform| {
        let [default, ..] = one_of_each(platform.index("one0"));
        platform.take(&[Step::Set(Object::Route(default.clone()))]);
        platform.follow();
        for until in [after(1800), after(60), default.until, after(600)] {
            let wanted = KernelRoute { until, ..default.clone() };
            platform.take(&[Step::Replace(Object::Route(wanted.clone()))]);
            let events = platform.follow();
            assert!(!events.iter().any(is_route_gone), "{events:?}");
            let dump = platform.dump();
            for has in [&platform.system.routes, &dump.routes] {
                assert_eq!(has.len(), 1);
                assert!(same_end(has[&wanted.key()].until, until), "{has:?} {until:?}");
            }
            assert_eq!(shown(machine, "default").len(), 1);
        }
    });
}

/// UPL-04: one default route for each router, by metric; the loss of one is not the loss of both.
#[test]
fn two_default_routes_live_side_by_side() {
    on_machine(|machine, mut platform| {
        let (one, two) = (platform.index("one0"), platform.index("two0"));
        let preferred = route(DEFAULT, RouteTarget::Gateway(one, ip("fe80::1")), 512);
        let other = route(DEFAULT, RouteTarget::Gateway(two, ip("fe80::1")), 1536);
        platform
            .take(&[other.clone(), preferred.clone()].map(|route| Step::Set(Object::Route(route))));
        platform.follow();
        assert_eq!(platform.system.routes.len(), 2);
        let used = machine.ip("-6 route get 2001:db8::1 from ::");
        assert!(used.contains("dev one0") && used.contains("metric 512"), "{used}");
        platform.take(&[Step::Remove(Object::Route(preferred))]);
        platform.follow();
        assert!(platform.system.routes.values().eq([&other]));
        let used = machine.ip("-6 route get 2001:db8::1 from ::");
        assert!(used.contains("dev two0") && used.contains("metric 1536"), "{used}");
    });
}

/// UPL-12: neither adding nor removing ours touches a route of the same destination and metric
/// that is another's.
#[test]
fn a_foreign_route_in_our_place_is_refused_and_stays() {
    on_machine(|machine, mut platform| {
        let one = platform.index("one0");
        machine.ip("route add default via fe80::1 dev one0 metric 1024 proto static");
        machine.ip("route add unreachable 2001:db8:b::/48 metric 4096 proto bird");
        let before = machine.snapshot();
        let ours = [
            route(DEFAULT, RouteTarget::Gateway(one, ip("fe80::1")), 1024),
            route("2001:db8:b::/48", RouteTarget::Unreachable, 4096),
        ];
        let refused = platform.apply(&ours.clone().map(|route| Step::Set(Object::Route(route))));
        assert_eq!(refused, [(0, Refusal::Exists), (1, Refusal::Exists)]);
        platform.take(&ours.map(|route| Step::Remove(Object::Route(route))));
        assert_eq!(machine.snapshot(), before);
    });
}

/// The kernel tells routes apart by destination and metric alone: another router in the place of
/// ours is refused as long as ours is there.
#[test]
fn another_router_of_the_same_metric_is_refused_until_the_first_is_gone() {
    on_machine(|_, mut platform| {
        let one = platform.index("one0");
        let first = route(DEFAULT, RouteTarget::Gateway(one, ip("fe80::1")), 1024);
        let second = route(DEFAULT, RouteTarget::Gateway(one, ip("fe80::2")), 1024);
        platform.take(&[Step::Set(Object::Route(first.clone()))]);
        let refused = platform.apply(&[Step::Set(Object::Route(second.clone()))]);
        assert_eq!(refused, [(0, Refusal::Exists)]);
        platform
            .take(&[Step::Remove(Object::Route(first)), Step::Set(Object::Route(second.clone()))]);
        platform.follow();
        assert!(platform.system.routes.values().eq([&second]));
    });
}

/// A step that is refused says so with its own error, whatever stands before and behind it.
#[test]
fn one_refused_step_does_not_hold_up_the_others() {
    on_machine(|_, mut platform| {
        let one = platform.index("one0");
        let nowhere = IfIndex(4711);
        let [default, delegation, link, rest] = one_of_each(one);
        let setting = |value| {
            Step::Set(Object::Setting(Setting {
                index: one,
                interface: "one0".to_owned(),
                name: Sysctl::Mtu,
                value,
            }))
        };
        let steps = [
            set(one, "2001:db8:b:1::1"),
            set(nowhere, "2001:db8:b:2::1"),
            Step::Set(Object::Route(default.clone())),
            Step::Set(Object::Route(default)),
            setting(1),
            setting(1400),
            Step::Set(Object::Route(route("2001:db8:c::/48", RouteTarget::OnLink(nowhere), 256))),
            Step::Set(Object::Membership(Group::AllRouters, nowhere)),
            Step::Set(Object::Membership(Group::AllRouters, one)),
            Step::Set(Object::Membership(Group::AllRouters, one)),
            Step::Set(Object::Route(delegation)),
            Step::Set(Object::Route(link)),
            // Not on the link, nor behind one: no route could lead there.
            Step::Set(Object::Route(route(
                "2001:db8:d::/48",
                RouteTarget::Gateway(one, ip("ff02::1")),
                1,
            ))),
            Step::Set(Object::Route(rest)),
        ];
        let refused = platform.apply(&steps);
        let invalid = Refusal::Other { number: libc::EINVAL, text: "Invalid argument" };
        let expected = [
            (1, Refusal::NotThere),
            (3, Refusal::Exists),
            (4, invalid),
            (6, Refusal::NotThere),
            (7, Refusal::NotThere),
            (12, invalid),
        ];
        assert_eq!(refused, expected);
        let events = platform.follow();
        assert!(events.iter().any(|event| matches!(event, KernelEvent::Address(_))));
        assert_eq!(platform.system.routes.len(), 4);
        assert!(platform.address("one0", "2001:db8:b:1::1").is_some());
    });
}

/// More steps than the kernel's answers have room for in a socket: all are taken, each refusal is
/// told, and what is asked afterwards is answered.
#[test]
fn a_thousand_steps_are_taken_at_once() {
    const COUNT: usize = 1000;
    on_machine(|_, mut platform: Platform| {
        let one = platform.index("one0");
        let destination = |number: usize| format!("2001:db8:{number:x}::/48");
        let add = |number| {
            Step::Set(Object::Route(route(&destination(number), RouteTarget::OnLink(one), 9)))
        };
        let steps: Vec<Step> = (0..COUNT).map(add).collect();
        platform.take(&steps);
        assert_eq!(platform.dump().routes.len(), COUNT);
        let refused = platform.apply(&steps);
        assert!(refused.iter().copied().eq((0..COUNT).map(|at| (at, Refusal::Exists))));
        platform.take(&[set(one, "2001:db8::1")]);
        assert!(platform.dump().addresses.values().any(|address| address.ours));
    });
}

/// CLI-07, RA-RX-69: the kernel's routes through a router that is lost go by name, others stay, and
/// it makes no difference how many a flood of advertisements has had the kernel learn.
#[test]
fn routes_through_a_lost_router_go_whatever_else_there_is() {
    on_machine(|machine, mut platform| {
        let one = platform.index("one0");
        let batch = std::env::temp_dir().join(format!("routes-{}", std::process::id()));
        let learnt = (0..40_000).map(|number: u32| {
            let (high, low) = (number >> 8, number & 0xff);
            format!("route add 2001:db8:{high:x}:{low:x}::/64 dev one0 proto ra expires 3600\n")
        });
        std::fs::write(&batch, learnt.collect::<String>()).unwrap();
        machine.ip(&format!("-batch {}", batch.display()));
        std::fs::remove_file(&batch).unwrap();
        for router in 1..=16 {
            let through = format!("via fe80::{router:x} dev one0 proto ra");
            machine.ip(&format!("route append default {through} metric 1024"));
            machine.ip(&format!("route append 3fff::/32 {through} metric 1024"));
        }
        machine.ip("route add default via fe80::1 dev one0 metric 99 proto static");
        let lost = (1..=15).flat_map(|router| {
            let router = ip(&format!("fe80::{router:x}"));
            // A route that is not there is no error.
            ["::/0", "3fff::/32", "2001:db8:ffff::/48"].map(|destination| {
                Step::Set(Object::LostRouter(one, router, destination.parse().unwrap()))
            })
        });
        let lost: Vec<Step> = lost.collect();
        let begun = std::time::Instant::now();
        platform.take(&lost);
        let taken = begun.elapsed();
        for (destination, left) in [
            (
                "default",
                &["via fe80::1 dev one0 proto static", "via fe80::10 dev one0 proto ra"][..],
            ),
            ("3fff::/32", &["via fe80::10 dev one0 proto ra"]),
        ] {
            let shown = machine.ip(&format!("-6 route show {destination}"));
            assert_eq!(shown.lines().count(), left.len(), "{shown}");
            assert!(left.iter().all(|one| shown.contains(one)), "{shown}");
        }
        assert_eq!(machine.ip("-6 route show 2001:db8:9c:3f::/64").lines().count(), 1);
        // To read all of them once for each router would take seconds.
        assert!(taken < std::time::Duration::from_millis(500), "{taken:?}");
    });
}
