//! Addresses: two calls, the flags that they keep, duplicates, ends, and the routes to links.

use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::core::kernel::object::{Deprecation, Refusal};
use renumberd::core::kernel::system::{KernelAddress, Origin};
use renumberd::core::output::{Object, Step};
use renumberd::platform::freebsd::abi;
use renumberd::platform::freebsd::errno::Errno;
use renumberd::time::Until;

use super::fake::{EM0, EM1};
use super::machine::{Machine, ip, net, remove, set};

const OURS: &str = "2001:db8:1::1";
const PREFIX: &str = "2001:db8:1::/64";
const STATIC: &str = "fd00::101";
const SECOND: Duration = Duration::from_secs(1);

/// Finding 1: the route to the link outlives the lifetimes that the address first had, as long as the
/// address is refreshed, and goes with it.
#[test]
fn a_refreshed_address_keeps_the_route_to_its_link() {
    let mut machine = Machine::new();
    for _ in 0..6 {
        let wanted = machine.address(OURS, 50, 100);
        machine.take(&[set(&wanted)]);
        machine.pass(40 * SECOND);
        assert!(machine.has_link_route(EM0, PREFIX));
    }
    machine.pass(70 * SECOND);
    assert_eq!(machine.has(EM0, OURS), None, "it has ended");
    assert!(!machine.has_link_route(EM0, PREFIX), "and its route is gone with it");
    assert!(!machine.system.addresses.contains_key(&(EM0, ip(OURS))));
}

/// Lifetimes are those that were asked for, as they are reported, and the preferred one is never
/// above the valid one.
#[test]
fn lifetimes_are_reported_as_they_were_asked_for() {
    let mut machine = Machine::new();
    for (preferred, valid) in [(1800, 3600), (0, 60), (7200, 60), (1, 1)] {
        let wanted = machine.address(OURS, preferred, valid);
        machine.take(&[set(&wanted)]);
        machine.dump();
        let has = &machine.system.addresses[&(EM0, ip(OURS))];
        let near = |a: Until, b: Until| {
            let (Until::At(a), Until::At(b)) = (a, b) else { panic!("{a:?} {b:?}") };
            a.since(b).max(b.since(a)) <= 2 * SECOND
        };
        assert!(near(has.valid_until, wanted.valid_until), "{has:?}");
        let cut = preferred.min(valid + 11);
        assert!(near(has.preferred_until, machine.after(cut)), "{has:?} {preferred}");
    }
    let mut endless = machine.address(OURS, 1, 1);
    (endless.preferred_until, endless.valid_until) = (Until::Never, Until::Never);
    machine.take(&[set(&endless)]);
    machine.dump();
    assert_eq!(machine.system.addresses[&(EM0, ip(OURS))].valid_until, Until::Never);
}

/// Findings 2 and 5: the end of duplicate address detection, which no message tells, is reported; and
/// a refresh in the middle of it neither ends it nor hides a duplicate.
#[test]
fn detection_runs_on_through_a_refresh_and_its_end_is_reported() {
    for is_held in [false, true] {
        let mut machine = Machine::new();
        if is_held {
            machine.fake.borrow_mut().held.insert(ip(OURS));
        }
        let wanted = machine.address(OURS, 1800, 3600);
        machine.take(&[set(&wanted)]);
        machine.pass(SECOND / 2);
        let first = machine.system.addresses[&(EM0, ip(OURS))].clone();
        assert!(first.tentative && first.ours);
        let wanted = machine.address(OURS, 2000, 4000);
        machine.take(&[set(&wanted)]);
        machine.pass(SECOND);
        let has = &machine.system.addresses[&(EM0, ip(OURS))];
        assert_eq!((has.tentative, has.duplicate), (false, is_held));
        // Finding 3: a duplicate that is set again would come out as usable.
        let wanted = machine.address(OURS, 3000, 5000);
        machine.take(&[set(&wanted)]);
        let flags = machine.has(EM0, OURS).unwrap().flags;
        assert_eq!(flags, if is_held { abi::DUPLICATED } else { 0 });
    }
}

/// Where nothing is detected an address is usable at once.
#[test]
fn without_detection_an_address_is_usable_at_once() {
    let mut machine = Machine::new();
    machine.fake.borrow_mut().detects = false;
    let wanted = machine.address(OURS, 1800, 3600);
    machine.take(&[set(&wanted)]);
    machine.follow();
    assert!(machine.system.addresses[&(EM0, ip(OURS))].is_usable());
}

/// Finding 3: an update keeps the flags that somebody gave an address of ours, and never takes one
/// that the kernel made.
#[test]
fn flags_are_kept_and_what_the_kernel_made_is_left_alone() {
    let mut machine = Machine::new();
    let wanted = machine.address(OURS, 1800, 3600);
    machine.take(&[set(&wanted)]);
    machine.pass(2 * SECOND);
    let key = (EM0, ip(OURS));
    machine.fake.borrow_mut().addresses.get_mut(&key).unwrap().flags |= abi::PREFER_SOURCE;
    machine.take(&[set(&wanted)]);
    assert_eq!(machine.has(EM0, OURS).unwrap().flags, abi::PREFER_SOURCE);

    machine.fake.borrow_mut().learn(EM0, "fe80::9", "2001:db8:aa::/64", 3600);
    let made = machine.address("2001:db8:aa::fe00:1", 60, 120);
    let before = machine.has(EM0, "2001:db8:aa::fe00:1");
    assert_eq!(machine.apply(&[set(&made)]), [(0, Refusal::Exists)]);
    assert_eq!(machine.has(EM0, "2001:db8:aa::fe00:1"), before);
}

/// The prefix length of an address changes: it is set anew.
#[test]
fn another_prefix_length_is_another_address_in_its_place() {
    let mut machine = Machine::new();
    let wanted = machine.address(OURS, 1800, 3600);
    machine.take(&[set(&wanted)]);
    let alone = KernelAddress { prefix_len: 128, ..wanted };
    machine.take(&[set(&alone)]);
    assert_eq!(machine.has(EM0, OURS).unwrap().length, 128);
    assert!(!machine.has_link_route(EM0, PREFIX), "it stands alone");
}

/// What is gone already is as good as removed, and what cannot be there is refused by name.
#[test]
fn absent_objects_count_as_removed() {
    let mut machine = Machine::new();
    let wanted = machine.address(OURS, 1800, 3600);
    machine.take(&[remove(&wanted)]);
    let nowhere = KernelAddress { interface: renumberd::net::IfIndex(77), ..wanted.clone() };
    machine.take(&[remove(&nowhere)]);
    assert_eq!(machine.apply(&[set(&nowhere), set(&wanted)]), [(0, Refusal::NotThere)]);
    machine.fake.borrow_mut().refuses = Some(Errno::NOBUFS);
    assert_eq!(machine.apply(&[set(&wanted)]), [(0, Refusal::NoBuffer)]);
}

/// The kernel removes an address by itself and leaves its prefix: the agent removes it before, also
/// where the core does not ask for it.
#[test]
fn an_address_is_removed_before_the_kernel_ends_it() {
    let mut machine = Machine::new();
    let wanted = machine.address(OURS, 10, 20);
    machine.take(&[set(&wanted)]);
    machine.fake.borrow_mut().set_up(EM0, false);
    machine.pass(19 * SECOND);
    assert!(machine.has(EM0, OURS).is_some());
    machine.pass(2 * SECOND);
    assert_eq!(machine.has(EM0, OURS), None);
    assert!(!machine.fake.borrow().prefixes.contains_key(&(EM0, net(PREFIX))));
    machine.assert_followed();
}

/// The article's §9: somebody flushes the prefixes of all interfaces. Our address is set anew, and the
/// foreign one is nobody's business.
#[test]
fn an_address_that_has_lost_its_route_is_set_anew() {
    let mut machine = Machine::new();
    machine.fake.borrow_mut().set(EM1, ip(STATIC), 120, 0, (u32::MAX, u32::MAX)).unwrap();
    let wanted = machine.address(OURS, 1800, 3600);
    machine.take(&[set(&wanted)]);
    machine.pass(2 * SECOND);
    machine.dump();
    let foreign = machine.has(EM1, STATIC);
    machine.fake.borrow_mut().flush_prefixes();
    machine.pass(61 * SECOND);
    assert!(!machine.system.addresses.contains_key(&(EM0, ip(OURS))), "it reaches nobody");
    machine.take(&[set(&wanted)]);
    assert!(machine.has_link_route(EM0, PREFIX));
    machine.dump();
    assert!(machine.system.addresses.contains_key(&(EM0, ip(OURS))));
    assert_eq!(machine.has(EM1, STATIC), foreign);
    // One that does not bring the route even then is no case for this: it would be set for ever.
    machine.fake.borrow_mut().flush_prefixes();
    machine.dump();
    machine.take(&[set(&wanted)]);
    machine.fake.borrow_mut().flush_prefixes();
    machine.dump();
    assert!(machine.system.addresses.contains_key(&(EM0, ip(OURS))));
}

/// RA-RX-80: what the kernel made of advertisements goes, and an address of ours in the same prefix
/// does not lose its route with the prefix of the advertisement.
#[test]
fn objects_of_the_kernel_are_dropped_and_our_address_in_the_prefix_is_set_anew() {
    let mut machine = Machine::new();
    machine.fake.borrow_mut().learn(EM0, "fe80::9", PREFIX, 100);
    machine.fake.borrow_mut().learn(EM0, "fe80::9", "2001:db8:2::/64", 100);
    machine.fake.borrow_mut().learn(EM1, "fe80::8", "2001:db8:3::/64", 7200);
    let wanted = machine.address(OURS, 1800, 3600);
    machine.take(&[set(&wanted), Step::Set(Object::Leftover(EM0, net("2001:db8:2::/64")))]);
    assert!(machine.has(EM0, "2001:db8:1::fe00:1").is_some());
    assert_eq!(machine.has(EM0, "2001:db8:2::fe00:1"), None);
    machine.take(&[Step::Set(Object::Takeover(EM0))]);
    assert_eq!(machine.has(EM0, "2001:db8:1::fe00:1"), None);
    assert_eq!(machine.paths(), ["::/0 via fe80::8%3 foreign"]);
    assert!(machine.has(EM1, "2001:db8:3::fe00:1").is_some());
    machine.pass(200 * SECOND);
    assert!(machine.has_link_route(EM0, PREFIX), "its prefix is its own");
}

/// FBS-13: on a host an address that the kernel made is deprecated and stays what it was, and the
/// default route of a router that is gone is dropped; what somebody has set is left alone.
#[test]
fn addresses_of_the_kernel_are_deprecated_and_a_lost_router_dropped() {
    let made = "2001:db8:aa::fe00:1";
    let mut machine = Machine::new();
    machine.fake.borrow_mut().learn(EM0, "fe80::9", "2001:db8:aa::/64", 3600);
    machine.fake.borrow_mut().set(EM0, ip(STATIC), 120, 0, (u32::MAX, u32::MAX)).unwrap();
    machine.pass(2 * SECOND);
    let origin = |machine: &Machine, text| machine.system.addresses[&(EM0, ip(text))].origin;
    assert_eq!(origin(&machine, made), Origin::Advertisement);
    assert_eq!(origin(&machine, STATIC), Origin::Other);
    assert_eq!(machine.system.links[&EM0].accept_ra, Some(0));
    let before = machine.has(EM0, STATIC);
    let deprecation = |text| {
        let address = ip(text);
        Step::Set(Object::Deprecation(Deprecation { interface: EM0, address, has_route: true }))
    };
    machine.take(&[deprecation(made), deprecation(STATIC), deprecation("2001:db8:bb::1")]);
    let has = machine.has(EM0, made).unwrap();
    assert_eq!((has.flags, has.length, has.lifetimes.1), (abi::AUTOCONF, 64, 0));
    assert!((3590..=3600).contains(&has.lifetimes.0), "{has:?}");
    assert_eq!(machine.has(EM0, STATIC), before);
    let router = |text| Step::Set(Object::LostRouter(EM0, ip(text), Ipv6Net::default()));
    machine.take(&[router("fe80::8")]);
    assert_eq!(machine.paths(), ["::/0 via fe80::9%2 foreign"]);
    machine.take(&[router("fe80::9")]);
    assert_eq!(machine.paths().len(), 0);
}

/// FBS-02: what an address has left behind is ended, and a prefix of others is left alone: where
/// somebody has an address in it, and where the kernel follows advertisements.
#[test]
fn only_what_was_left_behind_is_ended() {
    for (kept_by, ends) in [("nobody", true), ("an address", false), ("the kernel", false)] {
        let mut machine = Machine::new();
        let wanted = machine.address(OURS, 10, 20);
        machine.take(&[set(&wanted)]);
        {
            let mut fake = machine.fake.borrow_mut();
            match kept_by {
                "an address" => {
                    fake.set(EM0, ip("2001:db8:1::77"), 64, 0, (u32::MAX, u32::MAX)).unwrap();
                }
                "the kernel" => {
                    let interface = fake.interfaces.get_mut(&EM0).unwrap();
                    interface.nd_flags |= abi::ACCEPT_ADVERTISEMENTS;
                }
                _ => {}
            }
        }
        machine.pass_alone(60 * SECOND);
        assert_eq!(machine.has(EM0, OURS), None, "the kernel has ended it");
        assert!(machine.has_link_route(EM0, PREFIX), "and left its route");
        machine.restart();
        assert_eq!(machine.has_link_route(EM0, PREFIX), !ends, "{kept_by}");
        assert_eq!(machine.has(EM0, OURS), None);
        assert!(machine.owned.is_empty());
    }
}

/// A process that was stopped over the end of an address, by a signal or a debugger, ends what the
/// kernel has left behind meanwhile.
#[test]
fn an_end_that_came_late_leaves_no_route() {
    let mut machine = Machine::new();
    let wanted = machine.address(OURS, 10, 20);
    machine.take(&[set(&wanted)]);
    machine.pass(2 * SECOND);
    machine.pass_alone(60 * SECOND);
    machine.fake.borrow_mut().queue.clear();
    machine.follow();
    assert!(!machine.has_link_route(EM0, PREFIX));
}
