//! Every recorded string: what it means, and that requests are written as it is.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use renumberd::core::kernel::system::RouteTarget;
use renumberd::net::IfIndex;
use renumberd::platform::freebsd::abi::{self, position};
use renumberd::platform::freebsd::host_uuid::parse_uuid;
use renumberd::platform::freebsd::icmpv6_filter::icmpv6_filter;
use renumberd::platform::freebsd::ioctl::{self, AddressToSet, InterfaceInfo, Lifetimes};
use renumberd::platform::freebsd::route_message::{self, Message, Request, messages};

const EM0: IfIndex = IfIndex(2);
const NONE: IfIndex = IfIndex(0);

/// A recorded string, and the messages in it as text.
struct Recorded {
    octets: Vec<u8>,
    text: Vec<&'static str>,
}

/// All of them by name.
fn recorded() -> BTreeMap<&'static str, Recorded> {
    let mut all = BTreeMap::new();
    let mut last = "";
    let lines = include_str!("recorded.txt").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        if let Some(text) = line.strip_prefix("  ") {
            let recorded: &mut Recorded = all.get_mut(last).unwrap();
            recorded.text.push(text);
            continue;
        }
        let (name, octets) = line.split_once(' ').unwrap();
        last = name;
        all.insert(name, Recorded { octets: octets_of(octets), text: Vec::new() });
    }
    assert_eq!(all.len(), 94);
    all
}

/// Octets in hexadecimal, where `(00*N)` stands for N zeros.
fn octets_of(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for part in text.split('(') {
        let (zeros, digits) = match part.split_once(')') {
            Some((zeros, digits)) => (zeros.strip_prefix("00*").unwrap().parse().unwrap(), digits),
            None => (0, part),
        };
        octets.resize(octets.len() + zeros, 0);
        octets.extend(
            digits
                .as_bytes()
                .chunks(2)
                .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()),
        );
    }
    octets
}

fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

#[test]
fn every_recorded_message_is_read_as_it_was_meant() {
    for (name, recorded) in recorded() {
        let of_socket = recorded.octets.get(2) == Some(&abi::VERSION);
        // The long form of a table, which the backend does not ask for, is laid out otherwise.
        if !of_socket || name == "dump_iflistl_em0" {
            assert_eq!(recorded.text.len(), 0, "{name}");
            continue;
        }
        let read: Vec<String> =
            messages(&recorded.octets).map(|message| message.to_string()).collect();
        assert_eq!(read, recorded.text, "{name}");
    }
}

#[test]
fn results_of_ioctl_are_read() {
    let recorded = recorded();
    let octets = |name: &str| recorded[name].octets.clone();
    let flags = [
        ("aflag_tentative_out", abi::TENTATIVE),
        ("aflag_deprecated_out", 0x10),
        ("aflag_flags_out", abi::NO_DETECTION | abi::PREFER_SOURCE),
    ];
    for (name, expected) in flags {
        assert_eq!(ioctl::flags(&octets(name)), expected, "{name}");
    }
    let lifetimes = ioctl::lifetimes(&octets("lifetime_out"));
    assert_eq!(lifetimes.set, Lifetimes { preferred: 1800, valid: 3600 });
    assert_eq!((lifetimes.preferred_until, lifetimes.valid_until), (1805, 3605));
    let info = InterfaceInfo::new(octets("ndinfo_before_out"));
    assert_eq!((info.flags(), info.hop_limit(), info.mtu()), (0x29, 64, 1500));
    let changed = info.clone().with_flags(0x2b).with_hop_limit(32).with_mtu(1400);
    assert_eq!((changed.flags(), changed.hop_limit(), changed.mtu()), (0x2b, 32, 1400));
    let differing = info.into_argument().into_iter().zip(changed.into_argument());
    assert_eq!(differing.filter(|(before, after)| before != after).count(), 4);
}

/// The argument about an address in 2001:db8:1::/64 on em0.
fn address(host: &str, flags: u32, valid: u32, preferred: u32) -> Vec<u8> {
    ioctl::set_address(AddressToSet {
        name: "em0",
        interface: EM0,
        address: ip(host),
        prefix_len: 64,
        flags,
        lifetimes: Lifetimes { preferred, valid },
    })
}

fn route(kind: u8, flags: u32, sequence: u32) -> Request {
    Request::new(kind, flags, sequence)
}

fn to(request: Request, destination: &str) -> Request {
    request.with_address(position::DESTINATION, ip(destination), NONE)
}

fn mask(request: Request, netmask: &str) -> Vec<u8> {
    request.with_address(position::NETMASK, ip(netmask), NONE).finish()
}

/// A set bit passes its type, and no other type is passed.
#[test]
fn the_filter_passes_the_named_types_alone() {
    assert_eq!(icmpv6_filter(&[134]).to_vec(), recorded()["icmp6_filter_ra"].octets);
    assert_eq!(icmpv6_filter(&[]), [0; 32]);
    let filter = icmpv6_filter(&[133, 134]);
    for kind in 0..=255_usize {
        let word = u32::from_le_bytes(filter[kind / 32 * 4..][..4].try_into().unwrap());
        assert_eq!(word & (1 << (kind % 32)) != 0, kind == 133 || kind == 134, "{kind}");
    }
}

/// STO-01: the DUID is made of the UUID of the machine, in the form that the article shows.
#[test]
fn the_uuid_of_the_machine_is_read() {
    let text = "e47962c7-2ebc-81de-497a-00e0cdf4154b";
    let uuid = parse_uuid(text).unwrap();
    assert_eq!(u128::from_be_bytes(uuid), 0xe479_62c7_2ebc_81de_497a_00e0_cdf4_154b);
    assert_eq!(parse_uuid(&format!("{text}\n")), Some(uuid));
    let zeros = text.replace(|digit: char| digit.is_ascii_hexdigit(), "0");
    let ones = text.replace(|digit: char| digit.is_ascii_hexdigit(), "f");
    let moved = "e479-62c72ebc-81de-497a-00e0cdf4154b";
    for broken in ["", "uninitialized", &text[1..], &zeros, &ones, moved, &text.replace('-', "")] {
        assert_eq!(parse_uuid(broken), None, "{broken:?}");
    }
}

#[test]
fn every_recorded_request_is_written_octet_for_octet() {
    let [ten, eleven] = ["2001:db8:1::10", "2001:db8:1::11"];
    let about = |host: &str| ioctl::address("em0", EM0, ip(host));
    let gateway = |host: &str, link| RouteTarget::Gateway(IfIndex(link), ip(host));
    let (first, second, third) =
        (gateway("fe80::1", 2), gateway("fe80::2", 2), gateway("fe80::3", 3));
    let unreachable = RouteTarget::Unreachable;
    let add = |destination: &str, target, end, sequence| {
        route_message::add(destination.parse().unwrap(), target, end, sequence)
    };
    let delete = |target, sequence| {
        route_message::delete("2001:db8:100::/48".parse().unwrap(), target, sequence)
    };
    let to_hundred = |kind, flags, sequence| to(route(kind, flags, sequence), "2001:db8:100::");
    let via =
        |request: Request, host: &str| request.with_address(position::GATEWAY, ip(host), NONE);
    let info = InterfaceInfo::new(InterfaceInfo::question("em0"));
    let mut asked = to(route(abi::GET, 0, 3), "2001:db8:100::5").finish();
    // An empty interface asks for one in the answer: nothing of ours does.
    asked.extend([54, 18].into_iter().chain([0; 54]));
    asked[0] = 240;
    asked[12] = 0x11;
    let mut long = to_long_link();
    long[0..2].copy_from_slice(&272_u16.to_le_bytes());
    let mut of_version_4 = mask(via_link(to_hundred(abi::ADD, 3, 21)), "ffff:ffff:ffff::");
    of_version_4[2] = 4;
    let written = [
        ("ndinfo_before_req", InterfaceInfo::question("em0")),
        ("ndflags_enable_req", info.with_flags(0x21).into_argument()),
        ("addr_add_req", address(ten, 0, 3600, 1800)),
        ("aflag_tentative_req", about(ten)),
        ("addr_update_req", address(ten, 0, 7200, 3600)),
        ("addr_deprecate_req", address(ten, 0, 7200, 0)),
        ("addr_flags_req", address(eleven, 0x120, abi::INFINITE, abi::INFINITE)),
        ("addr_del_req", about(ten)),
        ("addr_del_last_req", about(eleven)),
        ("addr_del_missing_req", about(ten)),
        ("route_add_req", add("2001:db8:100::/48", first, None, 1)),
        ("route_get_req", mask(to_hundred(abi::GET, 0, 2), "ffff:ffff:ffff::")),
        ("route_get_ifp_req", asked),
        ("route_add_again_req", add("2001:db8:100::/48", first, None, 4)),
        ("route_add_second_req", add("2001:db8:100::/48", second, None, 5)),
        ("route_del_nogw_req", mask(to_hundred(abi::DELETE, 0, 6), "ffff:ffff:ffff::")),
        ("route_del_one_req", delete(second, 7)),
        (
            "route_change_req",
            route_message::change("2001:db8:100::/48".parse().unwrap(), third, None, 8),
        ),
        ("route_del_req", delete(third, 9)),
        ("route_del_missing_req", mask(to_hundred(abi::DELETE, 0, 10), "ffff:ffff:ffff::")),
        ("route_get_missing_req", to(route(abi::GET, 0, 11), "2001:4860::1").finish()),
        (
            "route_noscope_req",
            mask(via(to_hundred(abi::ADD, 3, 12), "fe80::1"), "ffff:ffff:ffff::"),
        ),
        (
            "route_embedded_req",
            mask(
                via(to(route(abi::ADD, 3, 13), "2001:db8:101::"), "fe80:2::1"),
                "ffff:ffff:ffff::",
            ),
        ),
        ("route_default_req", add("::/0", first, None, 14)),
        ("route_reject_req", add("2001:db8:200::/40", unreachable, None, 15)),
        (
            "route_blackhole_req",
            mask(via(to(route(abi::ADD, 0x9003, 16), "2001:db8:300::"), "::1"), "ffff:ffff:ff00::"),
        ),
        ("route_host_req", add("2001:db8:107::1/128", first, None, 17)),
        ("route_iface_req", add("2001:db8:700::/64", RouteTarget::OnLink(EM0), None, 18)),
        ("route_iface_long_req", long),
        ("route_expire_req", add("2001:db8:600::/48", first, Some(1_800_000_100), 20)),
        ("route_version_req", of_version_4),
        (
            "route_pinned_req",
            mask(
                route(abi::DELETE, 0, 22).with_address(position::DESTINATION, ip("fe80::"), EM0),
                "ffff:ffff:ffff:ffff::",
            ),
        ),
    ];
    let recorded = recorded();
    let requests = recorded.keys().filter(|name| name.ends_with("_req"));
    assert_eq!(requests.count(), written.len());
    for (name, octets) in written {
        assert_eq!(octets, recorded[name].octets, "{name}");
    }
}

fn via_link(request: Request) -> Request {
    request.with_address(position::GATEWAY, ip("fe80::1"), EM0)
}

/// A route through an interface whose gateway has 54 octets: one that we do not write.
fn to_long_link() -> Vec<u8> {
    let short = route_message::add(
        "2001:db8:701::/64".parse().unwrap(),
        RouteTarget::OnLink(EM0),
        None,
        19,
    );
    let gateway = abi::ROUTE_HEADER + 32;
    let mut long = short[..gateway].to_vec();
    long.extend([54, 18, 2].into_iter().chain([0; 53]));
    long.extend(&short[gateway + 16..]);
    long
}

/// FBS-01: nothing that a kernel could write, whole, cut off or with any octet changed, is a panic.
#[test]
fn broken_messages_are_passed_over() {
    for (name, recorded) in recorded() {
        let octets = recorded.octets;
        if octets.len() > 400 {
            continue;
        }
        let whole = messages(&octets).count();
        for length in 0..octets.len() {
            assert!(messages(&octets[..length]).count() <= whole, "{name} cut to {length}");
        }
        for at in 0..octets.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut changed = octets.clone();
                changed[at] = value;
                for message in messages(&changed) {
                    let _ = message.to_string();
                    if let Message::Route(route) = message {
                        let _ = (route.destination(), route.target(), route.neighbor());
                    }
                }
            }
        }
    }
}

/// FreeBSD 13.0 garbles a message whose gateway it has shortened: that is no default route.
#[test]
fn a_garbled_message_is_no_route_to_everywhere() {
    let recorded = recorded();
    let garbled = messages(&recorded["route_iface_long_echo"].octets).next();
    let Some(Message::Route(route)) = garbled else { panic!("no route") };
    assert_eq!(route.destination(), None);
}
