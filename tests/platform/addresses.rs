//! Addresses: ours as told, others' left alone.

use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::{KernelAddress, RouteTarget};
use renumberd::core::output::{Object, Step};
use renumberd::daemon::clock;
use renumberd::time::{Instant, Until};
use serde_json::Value;

use super::bench::{
    Platform, address, after, inside, ip, is_address_gone, on_machine, route, same_end, set,
};
use crate::lab::net::{Namespace, Net};

const OURS: &str = "2001:db8:1::1";

/// What `ip` says of an address.
fn shown(machine: &Namespace, interface: &str, address: &str) -> Option<Value> {
    let links = machine.ip_json(&format!("-details addr show dev {interface}"));
    let mut addresses = links.iter().filter_map(|link| link["addr_info"].as_array()).flatten();
    addresses.find(|found| found["local"] == address).cloned()
}

fn is_usable(address: &str) -> impl Fn(&KernelEvent) -> bool {
    let address = ip(address);
    move |event| matches!(event, KernelEvent::Address(has) if has.address == address && !has.tentative)
}

fn remove(of: &KernelAddress) -> Step {
    Step::Remove(Object::Address(of.clone()))
}

/// DWN-01, UPL-07, §15c: lifetimes as told, our mark, and no route that we have not asked for.
#[test]
fn an_address_has_lifetimes_and_our_mark_and_brings_no_route() {
    on_machine(|machine, mut platform| {
        let one = platform.index("one0");
        let wanted = address(one, OURS, after(900), after(1800));
        platform.take(&[Step::Set(Object::Address(wanted.clone()))]);
        let seen = shown(machine, "one0", OURS).unwrap();
        let seconds = |name: &str| seen[name].as_u64().unwrap();
        assert!((898..=900).contains(&seconds("preferred_life_time")), "{seen}");
        assert!((1798..=1800).contains(&seconds("valid_life_time")), "{seen}");
        assert_eq!(seen["noprefixroute"], true, "{seen}");
        assert_eq!(machine.ip("-6 route show 2001:db8::/32"), "");

        let events = platform.until("the address", is_usable(OURS));
        assert!(!events.iter().any(is_address_gone), "{events:?}");
        let dumped = platform.dump().addresses.remove(&(one, ip(OURS))).unwrap();
        for has in [platform.address("one0", OURS).unwrap(), &dumped] {
            assert!(has.ours && !has.tentative && !has.duplicate && has.prefix_len == 64);
            assert!(same_end(has.preferred_until, wanted.preferred_until), "{has:?}");
            assert!(same_end(has.valid_until, wanted.valid_until), "{has:?}");
        }
    });
}

/// UPL-08, UPL-10, DWN-06: an address is refreshed, deprecated, made endless and finite again,
/// and is there all the time.
#[test]
fn lifetimes_are_replaced_without_the_address_ever_being_gone() {
    on_machine(|machine, mut platform| {
        let one = platform.index("one0");
        platform.take(&[set(one, OURS)]);
        // The kernel tells of no change before the address is usable.
        platform.until("it is usable", is_usable(OURS));
        let past = Until::At(Instant::BOOT);
        for (preferred, valid, deprecated) in [
            (after(5400), after(7200), false),
            (past, after(7200), true),
            (Until::Never, Until::Never, false),
            (past, Until::Never, true),
            (after(60), after(120), false),
        ] {
            platform.take(&[Step::Set(Object::Address(address(one, OURS, preferred, valid)))]);
            let events = platform.follow();
            assert!(!events.iter().any(is_address_gone), "{events:?}");
            let has = platform.address("one0", OURS).unwrap();
            assert!(has.ours && same_end(has.valid_until, valid), "{has:?}");
            let over = has.preferred_until.is_over(clock::now());
            assert!(if deprecated { over } else { same_end(has.preferred_until, preferred) });
            let seen = shown(machine, "one0", OURS).unwrap();
            assert_eq!(seen["deprecated"].as_bool() == Some(true), deprecated, "{seen}");
            assert_eq!(machine.ip("-6 route show 2001:db8::/32"), "");
        }
    });
}

/// UPL-09: what the kernel would refuse (valid 0, preferred above valid) is the shortest that it
/// takes, and then gone by itself.
#[test]
fn an_address_whose_time_is_over_goes_by_itself() {
    on_machine(|_, mut platform| {
        let one = platform.index("one0");
        let past = Until::At(Instant::BOOT);
        let (brief, cut) = ("2001:db8:2::1", after(1));
        platform.take(&[
            Step::Set(Object::Address(address(one, OURS, past, past))),
            Step::Set(Object::Address(address(one, brief, after(3600), cut))),
        ]);
        platform.follow();
        for text in [OURS, brief] {
            assert!(!platform.address("one0", text).unwrap().valid_until.is_over(clock::now()));
        }
        platform.wait("both run out", |system| !system.addresses.values().any(|has| has.ours));
    });
}

/// An address that is gone already is as good as removed.
#[test]
fn an_address_is_removed_and_may_be_gone_before() {
    on_machine(|machine, mut platform| {
        let one = platform.index("one0");
        let ours = address(one, OURS, after(900), after(1800));
        platform.take(&[Step::Set(Object::Address(ours.clone())), remove(&ours)]);
        let events = platform.follow();
        assert!(events.iter().any(is_address_gone), "{events:?}");
        assert_eq!(shown(machine, "one0", OURS), None);
        platform.take(&[remove(&ours)]);
    });
}

/// UPL-12: a static address of somebody else and its prefix route are seen as foreign, and are
/// there before, during and after.
#[test]
fn objects_of_others_are_foreign_and_stay() {
    on_machine(|machine, mut platform| {
        let one = platform.index("one0");
        machine.ip("addr add fd00::101/120 dev one0");
        machine.ip("route add 2001:db8:f::/48 via fe80::f dev one0 proto static metric 7");
        let before = machine.snapshot();
        let events = platform.until(
            "the foreign address",
            |event| matches!(event, KernelEvent::Address(has) if has.address == ip("fd00::101")),
        );
        assert!(!events.iter().any(|event| matches!(event, KernelEvent::Route(_))), "{events:?}");
        let foreign = platform.address("one0", "fd00::101").unwrap();
        assert!(!foreign.ours && foreign.prefix_len == 120, "{foreign:?}");
        assert_eq!(foreign.valid_until, Until::Never);
        let dump = platform.dump();
        assert_eq!(dump.routes.len(), 0, "{:?}", dump.routes);
        assert!(!dump.addresses.values().any(|address| address.ours));

        // Ours beside them: the same link, the same prefix, the same destination.
        let ours = [set(one, OURS), set(one, "fd00::102")];
        let link = route("fd00::/120", RouteTarget::OnLink(one), 512);
        let far = route("2001:db8:f::/48", RouteTarget::OnLink(one), 1024);
        let routes = [link, far];
        platform.take(&ours);
        platform.take(&routes.clone().map(|route| Step::Set(Object::Route(route))));
        assert!(before.iter().all(|line| machine.snapshot().contains(line)));
        platform.take(&routes.map(|route| Step::Remove(Object::Route(route))));
        for text in [OURS, "fd00::102"] {
            platform.take(&[remove(&address(one, text, after(1), after(1)))]);
        }
        assert_eq!(machine.snapshot(), before);
    });
}

/// §15c: where the kernel keeps no mark, an address reads like anybody's; the record has to say
/// whose it is.
#[test]
fn without_the_mark_an_address_reads_as_foreign() {
    on_machine(|_, mut platform| {
        let one = platform.index("one0");
        platform.kernel.set_address_mark(false);
        platform.take(&[set(one, OURS)]);
        platform.follow();
        assert!(!platform.address("one0", OURS).unwrap().ours);
    });
}

/// UPL-05: an address that another node holds is reported as a duplicate, also where the kernel
/// removes it at once because its lifetime is finite.
#[test]
fn a_duplicate_is_reported_before_its_removal() {
    let net = Net::new();
    let (machine, peer) = (net.host("machine"), net.host("peer"));
    net.cable((&machine, "one0"), (&peer, "peer0"));
    for taken in [OURS, "2001:db8:2::1"] {
        peer.ip(&format!("addr add {taken}/64 dev peer0 nodad"));
    }
    inside(&machine, || {
        let mut platform = Platform::open();
        let one = platform.index("one0");
        let is_duplicate = |event: &KernelEvent| matches!(event, KernelEvent::Address(address) if address.duplicate && address.ours);
        platform.take(&[set(one, OURS)]);
        let events = platform.until("the finite one is gone", is_address_gone);
        let duplicate = events.iter().position(is_duplicate);
        assert!(duplicate < events.iter().position(is_address_gone) && duplicate.is_some());
        assert_eq!(platform.address("one0", OURS), None);

        let endless = address(one, "2001:db8:2::1", Until::Never, Until::Never);
        let set_endless = Step::Set(Object::Address(endless));
        platform.take(std::slice::from_ref(&set_endless));
        let events = platform.until("the endless one is a duplicate", is_duplicate);
        assert!(!events.iter().any(is_address_gone), "{events:?}");
        let has = platform.address("one0", "2001:db8:2::1").unwrap().clone();
        assert!(has.duplicate);

        peer.ip("addr del 2001:db8:2::1/64 dev peer0");
        platform.take(&[Step::Remove(Object::Address(has)), set_endless]);
        let is_usable = |event: &KernelEvent| matches!(event, KernelEvent::Address(address) if !address.tentative && address.ours);
        let events = platform.until("it is tried again", is_usable);
        assert!(!events.iter().any(is_duplicate), "its removal is no duplicate: {events:?}");
    });
}
