//! The neighbor cache.

use std::net::Ipv6Addr;

use super::bench::on_machine;

/// RA-TX-63: who was heard of by neighbor discovery on that interface, and nobody else.
#[test]
fn the_neighbors_that_can_be_sent_to_are_listed() {
    on_machine(|machine, mut platform| {
        for (address, interface, state) in [
            ("fe80::1", "one0", "reachable"),
            ("fe80::2", "one0", "stale"),
            ("2001:db8::3", "one0", "delay"),
            ("fe80::4", "one0", "probe"),
            ("fe80::5", "one0", "permanent"),
            ("fe80::6", "one0", "noarp"),
            ("fe80::7", "two0", "reachable"),
        ] {
            let last = address.rsplit(':').next().unwrap();
            machine.ip(&format!(
                "neigh add {address} lladdr 02:00:00:00:00:0{last} dev {interface} nud {state}"
            ));
        }
        machine.ip("neigh add fe80::8 dev one0 nud failed");
        let (one, two) = (platform.index("one0"), platform.index("two0"));
        let mut found = platform.kernel.neighbors(one).unwrap();
        found.sort_by_key(|neighbor| neighbor.address);
        let listed: Vec<(Ipv6Addr, u8)> =
            found.iter().map(|one| (one.address, *one.link_layer.last().unwrap())).collect();
        let address = |text: &str| text.parse::<Ipv6Addr>().unwrap();
        let expected = [("2001:db8::3", 3), ("fe80::1", 1), ("fe80::2", 2), ("fe80::4", 4)];
        assert_eq!(listed, expected.map(|(text, last)| (address(text), last)));
        let age = |text: &str| {
            let one = found.iter().find(|neighbor| neighbor.address == address(text)).unwrap();
            one.unconfirmed_for
        };
        assert!(age("fe80::1") < age("fe80::2"), "{found:?}");
        assert_eq!(platform.kernel.neighbors(two).unwrap().len(), 1);
    });
}

/// A neighbor that is expected is there before a packet to it, one that is known stays as
/// it is, and one that the kernel is looking for is found.
#[test]
fn an_expected_neighbor_takes_nothing_from_one_that_is_known() {
    on_machine(|machine, mut platform| {
        let address = |text: &str| text.parse::<Ipv6Addr>().unwrap();
        machine.ip("neigh add 2001:db8::1 lladdr 02:00:00:00:00:01 dev one0 nud reachable");
        machine.ip("neigh add 2001:db8::2 lladdr 02:00:00:00:00:02 dev one0 nud permanent");
        machine.ip("neigh add 2001:db8::3 dev one0 nud incomplete");
        machine.ip("neigh add 2001:db8::5 lladdr 02:00:00:00:00:09 dev one0 nud permanent");
        let expected = [1, 2, 3, 4, 5].map(|last| {
            (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last), vec![2, 0, 0, 0, 0, 9])
        });
        let interface = platform.index("one0");
        platform.kernel.expect_neighbors(interface, &expected).unwrap();
        let mut found = platform.kernel.neighbors(interface).unwrap();
        found.sort_by_key(|neighbor| neighbor.address);
        let found: Vec<(Ipv6Addr, u8)> =
            found.iter().map(|one| (one.address, *one.link_layer.last().unwrap())).collect();
        let listed = [("2001:db8::1", 1), ("2001:db8::3", 9), ("2001:db8::4", 9)];
        assert_eq!(found, listed.map(|(text, last)| (address(text), last)));
        let all = machine.ip("neigh show dev one0");
        for kept in ["2001:db8::2 lladdr 02:00:00:00:00:02", "2001:db8::5 lladdr 02:00:00:00:00:09"]
        {
            assert!(all.contains(&format!("{kept} PERMANENT")), "{kept}: {all}");
        }
        assert!(all.contains("2001:db8::1 lladdr 02:00:00:00:00:01 REACHABLE"), "{all}");
    });
}
