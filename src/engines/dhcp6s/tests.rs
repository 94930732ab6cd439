//! Files and commands of dhcp6s.

use super::control::{Command, Key};
use super::*;
use crate::core::delegate::{AssignedPool, AssignedRouter};
use crate::wire::dhcpv6_option::Dhcpv6Option;

const BACKBONE: &str = "00:04:e4:79:62:c7";
const WLAN: &str = "00:04:a4:79:42:d1";

fn prefix(prefix: &str, preferred: u32, valid: u32) -> AssignedPrefix {
    let (preferred, valid) = (Lifetime::from_wire(preferred), Lifetime::from_wire(valid));
    AssignedPrefix { prefix: prefix.parse().unwrap(), preferred, valid }
}

fn router(name: &str, duid: &str, iaid: u32, prefixes: &[AssignedPrefix]) -> AssignedRouter {
    AssignedRouter {
        name: name.into(),
        duid: duid.to_owned().try_into().unwrap(),
        iaid: Some(Iaid(iaid)),
        prefixes: prefixes.to_vec(),
    }
}

fn assigned(routers: Vec<AssignedRouter>) -> Assigned {
    Assigned {
        downlink: "vtnet0".into(),
        server: Duid::from_uuid([1; 16]),
        rapid_commit: false,
        renew_every: None,
        options: HostOptions::default(),
        routers,
        pools: Vec::new(),
    }
}

/// The site of the article: one router with two IA_PDs, and another.
fn site(first: &str, second: &str, wlan: &str) -> Assigned {
    assigned(vec![
        router("backbone", BACKBONE, 1, &[prefix(first, 14400, 14400)]),
        router("backbone2", BACKBONE, 2, &[prefix(second, 14400, 14400)]),
        router("wlanr", WLAN, 1, &[prefix(wlan, 7200, u32::MAX)]),
    ])
}

#[test]
fn a_router_has_one_entry_with_a_prefix_for_each_ia_pd() {
    let file = File::render(&site("2001:db8:0:c0::/60", "2001:db8:0:e0::/60", "2001:db8::/64"));
    let expected = "\
# Written by renumberd, and written anew at each change.
host router0 {
\tduid 00:04:a4:79:42:d1;
\tprefix 2001:db8::/64 7200 infinity;
};
host router1 {
\tduid 00:04:e4:79:62:c7;
\tprefix 2001:db8:0:c0::/60 14400 14400;
\tprefix 2001:db8:0:e0::/60 14400 14400;
};
";
    assert_eq!(file.text, expected);
    assert_eq!(file.left_out, [""; 0]);
}

#[test]
fn options_and_rapid_commit_are_written() {
    let list = |addresses: &[&str]| {
        let addresses = addresses.iter().map(|one| one.parse::<Ipv6Addr>().unwrap().octets());
        addresses.collect::<Vec<_>>().concat()
    };
    let option = |code, body| Dhcpv6Option::Unknown { code, body };
    let services = ServiceOption::select(&[
        option(21, b"\x03sip\x07example\0".to_vec()),
        option(22, list(&["2001:db8::51"])),
        option(31, list(&["2001:db8::7b", "2001:db8::7c"])),
        option(64, b"\x04aftr\x07example\0".to_vec()),
    ]);
    let options = HostOptions {
        servers: ["2001:db8::35", "fe80::1", "fd00::35"].map(|one| one.parse().unwrap()).into(),
        search: vec!["lan.example".into(), "odd\\034.example".into()],
        services,
    };
    let assigned = Assigned { options, rapid_commit: true, ..assigned(Vec::new()) };
    let file = File::render(&assigned);
    let expected = "\
# Written by renumberd, and written anew at each change.
option domain-name-servers 2001:db8::35 fd00::35;
option domain-name \"lan.example\";
option ntp-servers 2001:db8::7b 2001:db8::7c;
option sip-server-domain-name \"sip.example\";
option sip-server-address 2001:db8::51;
interface vtnet0 {
\tallow rapid-commit;
};
";
    assert_eq!(file.text, expected);
    let left_out = ["fe80::1", "odd", "AFTR"];
    assert_eq!(file.left_out.len(), left_out.len(), "{:?}", file.left_out);
    for (problem, about) in file.left_out.iter().zip(left_out) {
        assert!(problem.contains(about), "{problem}");
    }
}

/// Deprecated prefixes, a second prefix for an IA_PD, pools, T1: the operator reads of each.
#[test]
fn orders_that_the_program_cannot_carry_out_are_left_out_and_named() {
    let prefixes = [
        prefix("2001:db8:a::/60", 0, 900),
        prefix("2001:db8::/60", 900, 900),
        prefix("fd00::/60", 900, 900),
    ];
    let pool = AssignedPool { name: "guests".into(), length: 64, blocks: Vec::new() };
    let file = File::render(&Assigned {
        pools: vec![pool],
        renew_every: Some(std::time::Duration::from_secs(20)),
        ..assigned(vec![router("backbone", BACKBONE, 1, &prefixes)])
    });
    assert!(file.text.contains("\tprefix 2001:db8::/60 900 900;\n"), "{}", file.text);
    assert!(!file.text.contains("2001:db8:a") && !file.text.contains("fd00"), "{}", file.text);
    let about = ["fd00::/60", "guests", "renew-every"];
    assert_eq!(file.left_out.len(), about.len(), "{:?}", file.left_out);
    for (problem, about) in file.left_out.iter().zip(about) {
        assert!(problem.contains(about), "{problem}");
    }
}

/// A name of an interface or of a domain cannot add a statement of its own.
#[test]
fn no_name_breaks_out_of_its_word() {
    let options = HostOptions { search: vec!["a\"; option x".into()], ..HostOptions::default() };
    let evil = Assigned { downlink: "a{b".into(), rapid_commit: true, options, ..assigned(vec![]) };
    let file = File::render(&evil);
    assert_eq!(file.text.lines().count(), 1, "{}", file.text);
    assert_eq!(file.left_out.len(), 2);
}

#[test]
fn bindings_of_routers_whose_prefixes_differ_are_outdated() {
    let before = File::render(&site("2001:db8:0:c0::/60", "2001:db8:0:e0::/60", "2001:db8::/64"));
    let same = File::render(&site("2001:db8:0:c0::/60", "2001:db8:0:e0::/60", "2001:db8::/64"));
    assert_eq!(same.outdated(&before), []);
    let bindings = |file: &File| {
        let outdated = file.outdated(&before).into_iter();
        outdated.map(|(duid, iaid)| (duid.to_string(), iaid.0)).collect::<Vec<_>>()
    };
    let one = File::render(&site("2001:db8:0:c0::/60", "2001:db8:1:e0::/60", "2001:db8::/64"));
    assert_eq!(bindings(&one), [(BACKBONE.to_owned(), 1), (BACKBONE.to_owned(), 2)]);
    let none = File::render(&assigned(Vec::new()));
    assert_eq!(bindings(&none).len(), 3, "who is not served any more keeps nothing either");
    assert_eq!(before.outdated(&none), []);
}

/// A lifetime that has become shorter reaches who is bound only when the binding has gone.
#[test]
fn another_lifetime_makes_a_binding_outdated() {
    let of = |preferred| {
        let prefixes = [prefix("2001:db8::/60", preferred, 7200)];
        File::render(&assigned(vec![router("backbone", BACKBONE, 1, &prefixes)]))
    };
    assert_eq!(of(1800).outdated(&of(3600)).len(), 1);
}

/// The octets that `dhcp6ctl -S remove binding IA IA_PD 7 00:04:a4` sends, but for the digest.
#[test]
fn a_command_is_laid_out_as_the_program_reads_it() {
    let key = Key::new([0x5a; 16]);
    let duid = Duid::new(&[0, 4, 0xa4]).unwrap();
    let octets = Command::Remove(duid, Iaid(7)).encode(&key, 0x6543_2100);
    let head = [0, 2, 0, 43, 0, 0, 0, 0, 0x65, 0x43, 0x21, 0];
    let body = [0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 3, 0, 4, 0xa4];
    assert_eq!(octets[..12], head);
    assert_eq!(octets[28..], body);
    assert_eq!(Command::Reload.encode(&key, 0).len(), 28);
    assert_ne!(Command::Reload.encode(&key, 0)[12..], Command::Reload.encode(&key, 1)[12..]);
}

#[test]
fn a_key_is_written_in_base64() {
    let file = Key::new(*b"renumberd labora").file();
    assert_eq!(file, "cmVudW1iZXJkIGxhYm9yYQ==\n");
}
