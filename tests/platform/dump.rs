//! What the kernel has, whole.

use std::sync::atomic::{AtomicBool, Ordering};

use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::RouteTarget;
use renumberd::core::output::{Object, Step};

use super::bench::{Platform, inside, on_machine, route, set, unset};
use crate::lab::net::Net;

/// §15c: a start finds links, addresses, our routes and the forwarding switch as they are.
#[test]
fn links_are_dumped_with_all_that_matters() {
    let net = Net::new();
    let (machine, peer) = (net.host("machine"), net.host("peer"));
    net.cable((&machine, "up0"), (&peer, "peer0"));
    net.cable((&machine, "cut0"), (&peer, "cut0"));
    net.cable((&machine, "off0"), (&peer, "off0"));
    peer.ip("link set cut0 down");
    machine.ip("link set off0 down");
    machine.ip("link set up0 mtu 1400 address 02:00:00:00:00:07");
    machine.settled("up0");
    inside(&machine, || {
        let mut platform = Platform::open();
        let up = platform.system.link("up0").unwrap();
        assert!(up.running && up.multicast && !up.point_to_point, "{up:?}");
        assert_eq!(
            (up.mtu, up.link_layer_address.as_deref()),
            (1400, Some(&[2, 0, 0, 0, 0, 7][..]))
        );
        for name in ["cut0", "off0"] {
            assert!(!platform.system.link(name).unwrap().running, "{name}");
        }
        let lo = platform.system.link("lo").unwrap();
        assert!(lo.running && lo.link_layer_address.is_none(), "{lo:?}");
        let local = platform.system.link_local(platform.index("up0")).unwrap();
        assert!(platform.system.is_own(platform.index("up0"), local));

        assert!(!platform.system.forwarding);
        machine.sysctl("all", "forwarding", 1);
        platform.until("forwarding", |event| *event == KernelEvent::Forwarding(true));
        assert!(platform.dump().forwarding);
        machine.sysctl("all", "forwarding", 0);
        platform.until("no forwarding", |event| *event == KernelEvent::Forwarding(false));
    });
}

/// Hundreds of addresses and routes, more than the kernel answers at once.
#[test]
fn all_of_many_addresses_and_routes_are_dumped() {
    const COUNT: usize = 700;
    on_machine(|machine, mut platform| {
        let (one, two) = (platform.index("one0"), platform.index("two0"));
        let steps = (0..COUNT).flat_map(|number| {
            let at = if number % 2 == 0 { one } else { two };
            let far = route(&format!("2001:db8:f{number:03x}::/48"), RouteTarget::OnLink(at), 7);
            [set(at, &format!("2001:db8::{number:x}")), Step::Set(Object::Route(far))]
        });
        platform.take(&steps.collect::<Vec<_>>());
        let system = platform.dump();
        assert_eq!(system.addresses.values().filter(|address| address.ours).count(), COUNT);
        assert_eq!(system.routes.len(), COUNT);
        // As many again as the kernel counts itself, loopback and link-local ones included.
        let links = machine.ip_json("addr show");
        let all = links.iter().filter_map(|link| link["addr_info"].as_array()).flatten();
        assert_eq!(system.addresses.len(), all.filter(|one| one["local"].is_string()).count());
    });
}

/// A change in the middle of a dump makes the kernel skip what stands behind it: what was there
/// all the time is in the dump nonetheless.
#[test]
fn a_dump_amid_changes_lacks_nothing_that_was_there() {
    const STEADY: usize = 400;
    on_machine(|_, mut platform| {
        let one = platform.index("one0");
        let steady = (0..STEADY).map(|number| set(one, &format!("2001:db8::5:{number:x}")));
        platform.take(&steady.collect::<Vec<_>>());
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut other = Platform::open();
                let add = |number: usize| set(one, &format!("2001:db8:{:x}::7", number % 16));
                let remove = |number: usize| unset(one, &format!("2001:db8:{:x}::7", number % 16));
                let mut number = 0;
                while !over.load(Ordering::Relaxed) {
                    other.apply(&[add(number), remove(number + 8)]);
                    number += 1;
                }
            });
            let counted = (0..100).map(|_| {
                let system = platform.dump();
                let steady =
                    system.addresses.keys().filter(|(_, address)| address.segments()[6] == 5);
                steady.count()
            });
            let lacking: Vec<usize> = counted.filter(|count| *count != STEADY).collect();
            over.store(true, Ordering::Relaxed);
            assert!(lacking.is_empty(), "{lacking:?} of {STEADY} addresses");
        });
    });
}
