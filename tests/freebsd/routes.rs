//! Routes: one path to each destination, others' left alone, ends on the wall clock.

use std::time::Duration;

use renumberd::core::kernel::object::Refusal;
use renumberd::core::kernel::system::{KernelEvent, KernelRoute, RouteTarget};
use renumberd::core::output::Step;
use renumberd::net::IfIndex;
use renumberd::platform::freebsd::abi;
use renumberd::platform::freebsd::route_message;
use renumberd::time::Until;

use super::fake::{EM0, EM1, OTHER};
use super::machine::{Machine, add, drop_route, net, replace, route, via};

const DEFAULT: &str = "::/0";
const SECOND: Duration = Duration::from_secs(1);

fn default_by(router: &str) -> KernelRoute {
    route(DEFAULT, via(EM0, router), Until::Never)
}

/// Somebody else writes a message.
fn other(machine: &Machine, message: &[u8]) {
    machine.fake.borrow_mut().request(message, OTHER).unwrap();
}

/// A route of somebody else, set by hand.
fn foreign(destination: &str, router: &str) -> Vec<u8> {
    let mut message = route_message::add(net(destination), via(EM0, router), None, 1);
    let flags = abi::UP | abi::GATEWAY | abi::STATIC;
    message[8..12].copy_from_slice(&flags.to_le_bytes());
    message
}

/// DWN-02, DWN-03, UPL-03: each kind comes, is there as it was asked for, and goes.
#[test]
fn routes_of_each_kind_come_and_go() {
    let mut machine = Machine::new();
    let routes = [
        default_by("fe80::1"),
        route("2001:db8:a::/48", via(EM1, "fe80::2"), machine.after(600)),
        route("2001:db8:b::/48", RouteTarget::Unreachable, machine.after(900)),
        route("2001:db8:c::1/128", via(EM1, "fe80::2"), Until::Never),
    ];
    machine.take(&routes.clone().map(|route| add(&route)));
    let expected = [
        "2001:db8:a::/48 via fe80::2%3",
        "2001:db8:b::/48 via ::1%1 reject",
        "2001:db8:c::1/128 via fe80::2%3",
        "::/0 via fe80::1%2",
    ];
    assert_eq!(machine.paths(), expected);
    machine.dump();
    for wanted in &routes {
        let has = &machine.system.routes[&wanted.key()];
        assert!(renumberd::core::kernel::system::same_end(has.until, wanted.until), "{has:?}");
    }
    assert_eq!(machine.system.routes.len(), 4);
    machine.take(&routes.clone().map(|route| drop_route(&route)));
    assert_eq!(machine.paths().len(), 0);
    // And once more: they are gone already.
    machine.take(&routes.map(|route| drop_route(&route)));
}

/// Finding 8: another gateway takes the place of the first, and does not stand beside it, whichever
/// kinds the two are of.
#[test]
fn one_path_takes_the_place_of_another() {
    let reject = route(DEFAULT, RouteTarget::Unreachable, Until::Never);
    let orders = [
        [default_by("fe80::1"), default_by("fe80::2")],
        [default_by("fe80::1"), reject.clone()],
        [reject, default_by("fe80::2")],
    ];
    for [first, second] in orders {
        for step in [add, replace] {
            let mut machine = Machine::new();
            machine.take(&[add(&first), step(&second)]);
            machine.dump();
            assert!(machine.system.routes.keys().eq([&second.key()]), "{first:?} {second:?}");
            assert_eq!(machine.paths().len(), 1);
        }
    }
}

/// UPL-12: beside another's path ours would share its packets; and a path of another with the same
/// gateway is not taken away for ours.
#[test]
fn a_foreign_route_in_our_place_is_refused_and_stays() {
    let mut machine = Machine::new();
    other(&machine, &foreign(DEFAULT, "fe80::1"));
    for ours in [default_by("fe80::1"), default_by("fe80::2")] {
        for step in [add(&ours), replace(&ours)] {
            assert_eq!(machine.apply(&[step]), [(0, Refusal::Exists)]);
        }
        machine.take(&[drop_route(&ours)]);
        assert_eq!(machine.paths(), ["::/0 via fe80::1%2 foreign"]);
    }
    // The kernel's own route to a link is another's too.
    let own = route("fe80::/64", RouteTarget::Unreachable, Until::Never);
    assert_eq!(machine.apply(&[add(&own)]), [(0, Refusal::Exists)]);
}

/// Beside a foreign path that came later ours is removed by its gateway, and the other one stays.
#[test]
fn of_two_paths_ours_alone_is_removed() {
    let mut machine = Machine::new();
    let ours = default_by("fe80::1");
    machine.take(&[add(&ours)]);
    machine.follow();
    other(&machine, &foreign(DEFAULT, "fe80::2"));
    assert_eq!(machine.paths().len(), 2);
    machine.follow();
    machine.take(&[drop_route(&ours)]);
    assert_eq!(machine.paths(), ["::/0 via fe80::2%2 foreign"]);
    machine.dump();
    assert_eq!(machine.system.routes.len(), 0);
}

/// A default route that the kernel has learnt is replaced where it follows advertisements no more,
/// and else left alone.
#[test]
fn a_learnt_default_route_is_taken_over_where_the_kernel_follows_no_more() {
    for follows in [false, true] {
        let mut machine = Machine::new();
        {
            let mut fake = machine.fake.borrow_mut();
            fake.learn(EM0, "fe80::9", "2001:db8:aa::/64", 3600);
            let flags = if follows { 0x23 } else { 0x21 };
            fake.interfaces.get_mut(&EM0).unwrap().nd_flags = flags;
        }
        let refused = machine.apply(&[add(&default_by("fe80::1"))]);
        if follows {
            assert_eq!(refused, [(0, Refusal::Exists)]);
            assert_eq!(machine.paths(), ["::/0 via fe80::9%2 foreign"]);
        } else {
            assert_eq!(refused, []);
            assert_eq!(machine.paths(), ["::/0 via fe80::1%2"]);
        }
    }
}

/// The end of a route is moved without a moment without it, and is the kernel's to keep where the
/// agent has died.
#[test]
fn the_end_of_a_route_is_replaced_in_place() {
    let mut machine = Machine::new();
    for seconds in [1800, 60, 600] {
        let wanted = route(DEFAULT, via(EM0, "fe80::1"), machine.after(seconds));
        machine.take(&[replace(&wanted)]);
        let told = machine.follow();
        assert!(!told.iter().any(|event| matches!(event, KernelEvent::RouteGone(_))), "{told:?}");
        machine.dump();
        assert_eq!(machine.paths().len(), 1);
    }
    machine.counts();
    let same = route(DEFAULT, via(EM0, "fe80::1"), machine.after(600));
    machine.take(&[replace(&same)]);
    assert_eq!(machine.counts().writes, 0, "it is so already");
    let told = machine.pass(602 * SECOND);
    assert!(told.iter().any(|event| matches!(event, KernelEvent::RouteGone(_))), "{told:?}");
    assert_eq!(machine.paths().len(), 0);
}

/// A route whose end has passed is not given to the kernel with an end in the past, which it would
/// keep for ever; and neither does a clock that was set back.
#[test]
fn a_clock_that_jumps_keeps_no_route_for_ever() {
    let day = Duration::from_secs(86_400);
    let mut machine = Machine::new();
    let over = route("2001:db8:a::/48", via(EM0, "fe80::1"), machine.after(0));
    machine.take(&[add(&over)]);
    machine.pass(3 * SECOND);
    assert_eq!(machine.paths().len(), 0);

    let wanted = route(DEFAULT, via(EM0, "fe80::1"), machine.after(600));
    machine.take(&[add(&wanted)]);
    machine.fake.borrow_mut().set_wall_clock(false, day);
    // What is read anew shows the other end, so that the core has it replaced.
    machine.dump();
    let has = &machine.system.routes[&wanted.key()];
    assert!(!renumberd::core::kernel::system::same_end(has.until, wanted.until));
    machine.take(&[replace(&wanted)]);
    machine.dump();
    let has = &machine.system.routes[&wanted.key()];
    assert!(renumberd::core::kernel::system::same_end(has.until, wanted.until));
    // Set forward, it ends all such routes: that is reported, and they are set again.
    machine.fake.borrow_mut().set_wall_clock(true, day);
    let told = machine.follow();
    assert!(told.iter().any(|event| matches!(event, KernelEvent::RouteGone(_))), "{told:?}");
}

/// A step that is refused says so with its own error, whatever stands before and behind it.
#[test]
fn one_refused_step_does_not_hold_up_the_others() {
    let mut machine = Machine::new();
    let nowhere = route("2001:db8:a::/48", via(IfIndex(77), "fe80::1"), Until::Never);
    let on_link = route("2001:db8:b::/64", RouteTarget::OnLink(EM0), Until::Never);
    let steps: Vec<Step> = [
        default_by("fe80::1"),
        nowhere,
        on_link,
        route("2001:db8:c::/48", via(EM1, "fe80::2"), Until::Never),
    ]
    .iter()
    .map(add)
    .collect();
    let refused = machine.apply(&steps);
    let other = |number, text| Refusal::Other { number, text };
    let expected = [(1, other(51, "Network is unreachable")), (2, other(22, "Invalid argument"))];
    assert_eq!(refused, expected);
    assert_eq!(machine.paths().len(), 2);
}

/// A thousand routes are read from the table once, and written one by one.
#[test]
fn many_steps_read_the_table_once() {
    let mut machine = Machine::new();
    machine.counts();
    let steps: Vec<Step> = (0..1000)
        .map(|number| {
            add(&route(&format!("2001:db8:{number:x}::/48"), via(EM1, "fe80::2"), Until::Never))
        })
        .collect();
    machine.take(&steps);
    let counts = machine.counts();
    assert_eq!((counts.sysctls, counts.writes, counts.ioctls), (1, 1000, 0));
}
