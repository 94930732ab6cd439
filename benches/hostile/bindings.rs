//! A memory with bindings, as an agent leaves it that has given them.

use std::net::Ipv6Addr;
use std::path::Path;

use ipnet::Ipv6Net;
use renumberd::config::file;
use renumberd::core::Core;
use renumberd::core::input::{Input, Received};
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::{KernelAddress, Link, Origin, System};
use renumberd::core::memory::{Memory, Record};
use renumberd::core::output::Output;
use renumberd::daemon::clock;
use renumberd::daemon::store::Journal;
use renumberd::net::ALL_DHCP_SERVERS;
use renumberd::net::IfIndex;
use renumberd::platform::CAPABILITIES;
use renumberd::platform::linux::identity;
use renumberd::time::Until;
use renumberd::wire::dhcpv6_option::Duid;

use crate::messages;

/// Where the bindings' prefixes are from.
pub const SITE: &str = "2001:db8:8000::/46";

const LAN: IfIndex = IfIndex(3);

/// Writes a memory with `count` bindings, each of a router of its own; the prefixes of these, by
/// the routers' numbers.
pub fn write(directory: &Path, config: &str, count: u32) -> Vec<Ipv6Net> {
    let boot = identity::boot_id().unwrap();
    let (mut journal, _, complaints) = Journal::open(directory, clock::now(), clock::wall(), &boot);
    assert!(complaints.is_empty(), "{complaints:?}");
    let mut given = Vec::new();
    for record in records(config, count) {
        if let Record::Binding { binding: Some(binding), .. } = &record {
            given.extend(binding.promised.iter().map(|(prefix, _)| *prefix));
            let complaint = journal.append(record, clock::now(), clock::wall());
            assert_eq!(complaint, None);
        }
    }
    assert_eq!(journal.write(clock::now()), None);
    assert_eq!(u32::try_from(given.len()).unwrap(), count);
    given
}

/// What a core remembers that is asked by so many routers. Its uplink is left out: nothing has to
/// be waited for.
fn records(config: &str, count: u32) -> Vec<Record> {
    let config = config.replace("[uplink.wan0]\naddress = \"::2\"\n", "");
    let config = file::parse("hostile.toml", &config).unwrap();
    let duid = Duid::from_uuid([1; 16]);
    let mut core = Core::new(config, Memory::default(), duid, CAPABILITIES, [7; 32], clock::now());
    let mut system = System { forwarding: true, ..System::default() };
    system.handle(KernelEvent::Link(Link {
        index: LAN,
        name: "lan0".to_owned(),
        running: true,
        multicast: true,
        point_to_point: false,
        link_layer_address: Some(vec![2, 0, 0, 0, 0, 3]),
        mtu: 1500,
        accept_ra: None,
        carrier_ups: 0,
    }));
    system.handle(KernelEvent::Address(KernelAddress {
        interface: LAN,
        address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 3),
        prefix_len: 64,
        preferred_until: Until::Never,
        valid_until: Until::Never,
        tentative: false,
        duplicate: false,
        ours: false,
        origin: Origin::Other,
    }));
    core.handle(clock::now(), Input::System(system));
    let mut records = Vec::new();
    let mut collect = |core: &mut Core| {
        while let Some(output) = core.poll_output() {
            if let Output::Remember(record) = output {
                records.push(record);
            }
        }
    };
    collect(&mut core);
    for number in 0..count {
        let received = Received {
            interface: LAN,
            source: messages::address_of(number),
            port: 546,
            link_layer: Some(messages::link_layer_of(number)),
            destination: ALL_DHCP_SERVERS,
            hop_limit: 1,
            fragmented: false,
            octets: messages::rapid_solicit(number).encode(),
        };
        core.handle(clock::now(), Input::Server(received));
        collect(&mut core);
    }
    records
}
