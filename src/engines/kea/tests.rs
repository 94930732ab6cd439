//! Configurations of Kea, and what its control socket says.

use std::io::ErrorKind;
use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::control::{self, Failure};
use super::*;
use crate::core::delegate::{AssignedPool, AssignedRouter};
use crate::wire::dhcpv6_option::{Dhcpv6Option, Iaid};
use crate::wire::dhcpv6_service::ServiceOption;

fn prefix(prefix: &str, preferred: u32, valid: u32) -> AssignedPrefix {
    let (preferred, valid) = (Lifetime::from_wire(preferred), Lifetime::from_wire(valid));
    AssignedPrefix { prefix: prefix.parse().unwrap(), preferred, valid }
}

fn router(name: &str, duid: &[u8], prefixes: &[AssignedPrefix]) -> AssignedRouter {
    let (duid, iaid) = (Duid::new(duid).unwrap(), Some(Iaid(1)));
    AssignedRouter { name: name.into(), duid, iaid, prefixes: prefixes.to_vec() }
}

fn assigned(routers: Vec<AssignedRouter>, pools: Vec<AssignedPool>) -> Assigned {
    Assigned {
        downlink: "lan0".into(),
        server: Duid::from_uuid([1; 16]),
        rapid_commit: true,
        renew_every: None,
        options: HostOptions::default(),
        routers,
        pools,
    }
}

fn files() -> Files {
    Files {
        directory: "/run/x".into(),
        state: "/var/lib/x".into(),
        lease_commands: "/usr/lib/hook.so".into(),
        database: None,
        password: None,
        pair: None,
    }
}

#[test]
fn delegations_are_reservations_and_pools_are_pools() {
    let pool = AssignedPool {
        name: "guests".into(),
        length: 64,
        blocks: vec![prefix("2001:db8:0:f0::/60", 2700, 5400), prefix("2001:db8:a::/60", 0, 90)],
    };
    let routers = vec![
        router("one", &[0, 3, 7], &[prefix("2001:db8:0:10::/62", 2700, 5400)]),
        router("one again", &[0, 3, 7], &[prefix("2001:db8:0:20::/62", 2700, 5400)]),
        router("nothing yet", &[0, 3, 8], &[]),
    ];
    let configured = Configured::render(&assigned(routers, vec![pool]), &files());
    let subnet = &configured.json["Dhcp6"]["subnet6"][0];
    let reserved = json!([{
        "duid": "00:03:07", "prefixes": ["2001:db8:0:10::/62", "2001:db8:0:20::/62"],
        "client-classes": [],
    }]);
    assert_eq!(subnet["reservations"], reserved);
    let pools = json!([{
        "prefix": "2001:db8:0:f0::", "prefix-len": 60, "delegated-len": 64,
    }]);
    assert_eq!(subnet["pd-pools"], pools);
    assert_eq!(
        (&subnet["preferred-lifetime"], &subnet["valid-lifetime"]),
        (&json!(2700), &json!(5400))
    );
    assert_eq!((&subnet["renew-timer"], &subnet["rebind-timer"]), (&json!(60), &json!(2160)));
    assert_eq!(configured.left_out, [""; 0]);
    for (prefix, holder, gives) in [
        ("2001:db8:0:f3::/64", 9, true),
        ("2001:db8:0:10::/62", 7, true),
        ("2001:db8:0:10::/62", 9, false),
        ("2001:db8:a::/64", 9, false),
    ] {
        let duid = Duid::new(&[0, 3, holder]).unwrap();
        assert_eq!(configured.gives(&prefix.parse().unwrap(), &duid), gives, "{prefix}");
    }
}

/// One IA_PD with several prefixes, several IA_PDs, and lifetimes of each router.
#[test]
fn what_kea_does_not_give_by_itself_it_is_handed() {
    let second = |router: AssignedRouter| AssignedRouter { iaid: Some(Iaid(2)), ..router };
    let routers = vec![
        router(
            "one",
            &[0, 3, 7],
            &[prefix("2001:db8::/62", 900, 900), prefix("fd00::/62", 900, 900)],
        ),
        second(router("two", &[0, 3, 8], &[prefix("2001:db8:1::/62", 600, 1200)])),
        router("three", &[0, 3, 8], &[prefix("2001:db8:2::/62", 600, 1200)]),
        router("four", &[0, 3, 9], &[prefix("2001:db8:3::/62", 2700, 5400)]),
    ];
    let blocks = vec![prefix("2001:db8:0:f0::/60", 2700, 5400)];
    let pool = AssignedPool { name: "guests".into(), length: 64, blocks };
    let configured = Configured::render(&assigned(routers, vec![pool]), &files());
    assert_eq!(configured.left_out, [""; 0]);
    let held = configured.held.iter();
    let held: Vec<_> = held.map(|one| (one.prefix.prefix.to_string(), one.iaid.0)).collect();
    let expected = [("2001:db8::/62", 1), ("fd00::/62", 1), ("2001:db8:1::/62", 2)];
    let expected = expected.into_iter().chain([("2001:db8:2::/62", 1)]);
    assert_eq!(held, expected.map(|(prefix, iaid)| (prefix.to_owned(), iaid)).collect::<Vec<_>>());
    let interfaces = |json: &Value| json["Dhcp6"]["interfaces-config"]["interfaces"].clone();
    let heard = [interfaces(&configured.at_start()), interfaces(&configured.json)];
    assert_eq!(heard, [json!([]), json!(["lan0"])], "it serves once it has the leases");
    let subnet = &configured.json["Dhcp6"]["subnet6"][0];
    let classes = subnet["reservations"].as_array().unwrap().iter();
    let classes: Vec<&Value> = classes.map(|one| &one["client-classes"]).collect();
    let expected = [json!(["lifetimes-900-900"]), json!(["lifetimes-600-1200"]), json!([])];
    assert_eq!(classes, expected.iter().collect::<Vec<_>>());
    let classes = json!([
        {"name": "lifetimes-600-1200", "preferred-lifetime": 600, "valid-lifetime": 1200},
        {"name": "lifetimes-900-900", "preferred-lifetime": 900, "valid-lifetime": 900},
    ]);
    assert_eq!(configured.json["Dhcp6"]["client-classes"], classes);
    assert_eq!(
        (&subnet["preferred-lifetime"], &subnet["rebind-timer"]),
        (&json!(2700), &json!(480))
    );
}

#[test]
fn what_kea_cannot_do_is_left_out_and_named() {
    let any_ia = AssignedRouter {
        iaid: None,
        ..router(
            "one",
            &[0, 3, 7],
            &[prefix("2001:db8::/62", 900, 900), prefix("fd00::/62", 900, 900)],
        )
    };
    let several = [prefix("2001:db8:1::/62", 600, 1200), prefix("fd00:1::/62", 900, 900)];
    let routers = vec![any_ia, router("two", &[0, 3, 8], &several)];
    let pool =
        |name: &str, block| AssignedPool { name: name.into(), length: 64, blocks: vec![block] };
    let pools = vec![
        pool("guests", prefix("2001:db8:0:f0::/60", 2700, 5400)),
        pool("others", prefix("2001:db8:0:e0::/60", 2700, 3600)),
    ];
    let ntp = |octet| {
        let body = [&[0, 1, 0, 16, 0x20, 1, 0xd, 0xb8], &[0; 11][..], &[octet]].concat();
        Dhcpv6Option::Unknown { code: 56, body }
    };
    let services = ServiceOption::select(&[ntp(1), ntp(2)]);
    assert_eq!(services.len(), 2);
    let options = HostOptions { services, ..HostOptions::default() };
    let assigned = Assigned { options, ..assigned(routers, pools) };
    let configured = Configured::render(&assigned, &files());
    let subnet = &configured.json["Dhcp6"]["subnet6"][0];
    assert_eq!(
        (&subnet["preferred-lifetime"], &subnet["valid-lifetime"]),
        (&json!(2700), &json!(3600))
    );
    let classes = &subnet["reservations"][1]["client-classes"];
    assert_eq!(classes, &json!(["lifetimes-600-900"]));
    let about = ["lifetimes of pools", "fd00::/62 of one", "lifetimes of 00:03:08", "NTP"];
    assert_eq!(configured.left_out.len(), about.len(), "{:?}", configured.left_out);
    for (problem, about) in configured.left_out.iter().zip(about) {
        assert!(problem.contains(about), "{problem}");
    }
}

/// Two servers answer in each other's place, soon.
#[test]
fn a_second_server_is_rendered_where_there_is_one() {
    let database = LeaseDatabase {
        host: None,
        name: "leases".into(),
        user: "kea".into(),
        password_file: None,
    };
    let pair = HighAvailability {
        role: crate::config::Role::Standby,
        url: "[fd00::2]:8001".parse().unwrap(),
        partner: "[fd00::1]:8001".parse().unwrap(),
    };
    let routers = || vec![router("one", &[0, 3, 7], &[prefix("2001:db8::/62", 2700, 5400)])];
    let of = |files: &Files| Configured::render(&assigned(routers(), Vec::new()), files);
    let in_file = of(&files());
    assert_eq!(in_file.json["Dhcp6"]["lease-database"]["name"], "/var/lib/x/leases.csv");
    assert_eq!(in_file.subnet, 1);
    let in_database =
        Files { database: Some(database), password: Some("secret".into()), ..files() };
    let configured = of(&in_database);
    let rendered = &configured.json["Dhcp6"]["lease-database"];
    assert_eq!(
        (&rendered["host"], &rendered["password"]),
        (&json!("/run/postgresql"), &json!("secret"))
    );
    assert_ne!(configured.subnet, 1, "a subnet of its own among those of other downlinks");
    let subnet = &configured.json["Dhcp6"]["subnet6"][0];
    assert_eq!((&subnet["renew-timer"], &subnet["rebind-timer"]), (&json!(60), &json!(90)));
    let mut paired = Files { pair: Some(pair), ..files() };
    let hook = |files: &Files| {
        let configured = of(files);
        let hook = &configured.json["Dhcp6"]["hooks-libraries"][1];
        assert_eq!(hook["library"], "/usr/lib/libdhcp_ha.so");
        hook["parameters"]["high-availability"][0].clone()
    };
    let own = json!({"name": "standby", "url": "http://[fd00::2]:8001/", "role": "standby"});
    assert_eq!(hook(&paired)["peers"][0], own);
    assert_eq!(
        (&hook(&paired)["this-server-name"], &hook(&paired)["sync-leases"]),
        (&json!("standby"), &json!(true))
    );
    paired.database = in_database.database;
    assert_eq!(hook(&paired)["sync-leases"], false);
}

/// T1 stays below T2, and an infinite lifetime has neither.
#[test]
fn requesting_routers_come_as_often_as_is_said() {
    for (every, preferred, timers) in [
        (None, 2700, (60, 2160)),
        (None, 80, (40, 64)),
        (Some(20), 2700, (20, 2160)),
        (None, u32::MAX, (60, u32::MAX)),
    ] {
        let routers =
            vec![router("one", &[0, 3, 7], &[prefix("2001:db8::/62", preferred, u32::MAX)])];
        let renew_every = every.map(std::time::Duration::from_secs);
        let assigned = Assigned { renew_every, ..assigned(routers, Vec::new()) };
        let configured = Configured::render(&assigned, &files());
        let subnet = &configured.json["Dhcp6"]["subnet6"][0];
        let found = (&subnet["renew-timer"], &subnet["rebind-timer"]);
        assert_eq!(found, (&json!(timers.0), &json!(timers.1)), "{every:?} {preferred}");
    }
}

/// A server that hears of a change before the other one keeps what it has given, and what the other
/// one goes on giving is removed once it does not any more.
#[test]
fn of_two_servers_none_removes_what_the_other_one_gives() {
    let routers = vec![router("one", &[0, 3, 7], &[prefix("2001:db8::/62", 2700, 5400)])];
    let configured = Configured::render(&assigned(routers, Vec::new()), &files());
    let lease = |renewed_at| control::Lease {
        prefix: "2001:db8:1::/62".parse().unwrap(),
        duid: Duid::new(&[0, 3, 7]).unwrap(),
        iaid: Iaid(1),
        renewed_at,
        preferred: Lifetime::Finite(2700),
        valid: Lifetime::Finite(5400),
    };
    for (name, renewed_at, now, stale) in [
        ("of before", 990, 1001, true),
        ("of the same second", 1000, 1001, true),
        ("given by the other one", 1001, 1002, false),
        ("renewed by the other one", 1900, 1961, false),
        ("renewed by nobody", 1900, 2031, true),
    ] {
        assert_eq!(configured.is_stale(&lease(renewed_at), 1000, now), stale, "{name}");
    }
}

/// What `work` makes of a program that answers each connection with the next of `answers`, and
/// then hangs.
fn with_answers<T>(answers: &[&[u8]], work: impl AsyncFnOnce(&Path) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("control");
    runtime.unwrap().block_on(async {
        let listener = UnixListener::bind(&socket).unwrap();
        let mut open = Vec::new();
        let serve = async {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                stream.read_to_end(&mut Vec::new()).await.unwrap();
                let _ = stream.write_all(answer).await;
            }
            loop {
                open.push(listener.accept().await.unwrap());
            }
        };
        tokio::select! {
            () = serve => unreachable!("it serves for ever"),
            result = work(&socket) => result,
        }
    })
}

const LEASES: &[u8] = br#"{"result": 0, "text": "5 IPv6 lease(s) found.", "arguments": {"count": 5, "leases": [
    {"ip-address": "2001:db8::", "prefix-len": 60, "type": "IA_PD", "subnet-id": 1, "duid": "00:03:07", "iaid": 7,
     "hw-address": "02:00:5e:00:53:01", "cltt": 1000, "valid-lft": 60, "preferred-lft": 30, "state": 0,
     "fqdn-fwd": false, "fqdn-rev": false, "hostname": ""},
    {"ip-address": "2001:db8::10", "prefix-len": 128, "type": "IA_NA", "subnet-id": 1, "duid": "00:03:07", "iaid": 7,
     "cltt": 1000, "valid-lft": 60, "preferred-lft": 30, "state": 0},
    {"ip-address": "2001:db8:1::", "prefix-len": 60, "type": "IA_PD", "subnet-id": 1, "duid": "00:03:07", "iaid": 7,
     "cltt": 1000, "valid-lft": 60, "preferred-lft": 30, "state": 2},
    {"ip-address": "2001:db8:2::", "prefix-len": 129, "type": "IA_PD", "subnet-id": 1, "duid": "00:03:07", "iaid": 7,
     "cltt": 1000, "valid-lft": 60, "preferred-lft": 30, "state": 0},
    {"ip-address": "2001:db8:3::", "prefix-len": 60, "type": "IA_PD", "subnet-id": 1, "duid": "nonsense", "iaid": 7,
     "cltt": 1000, "valid-lft": 60, "preferred-lft": 30, "state": 0}]}}"#;

#[test]
fn of_leases_those_count_that_hold_and_make_sense() {
    let leases = with_answers(&[LEASES], async |socket| control::leases(socket, 1).await.unwrap());
    let [lease] = leases.as_slice() else { panic!("{leases:?}") };
    assert_eq!((lease.prefix, lease.iaid), ("2001:db8::/60".parse().unwrap(), Iaid(7)));
    assert_eq!((lease.preferred, lease.valid), (Lifetime::Finite(30), Lifetime::Finite(60)));
    assert_eq!(lease.renewed_at, 1000);
}

/// Nothing that the program says, or leaves out, holds anybody up or ends in a panic.
#[test]
fn a_program_that_talks_nonsense_is_a_failure() {
    let endless = vec![b' '; 100 << 20];
    for (answer, kind) in [
        (&b""[..], ErrorKind::UnexpectedEof),
        (b"{", ErrorKind::UnexpectedEof),
        (b"7", ErrorKind::InvalidData),
        (b"{\"result\": \"0\"}", ErrorKind::InvalidData),
        (b"{\"result\": 0, \"arguments\": {\"leases\": 7}}", ErrorKind::InvalidData),
        (b"\xff\xfe", ErrorKind::InvalidData),
        (&endless, ErrorKind::InvalidData),
    ] {
        let failure = with_answers(&[answer], async |socket| control::leases(socket, 1).await);
        let Err(Failure::Silent(error)) = failure else { panic!("{failure:?}") };
        assert_eq!(error.kind(), kind, "{error}");
    }
    let refused = with_answers(&[b"{\"result\": 1, \"text\": \"no\"}"], async |socket| {
        control::configure(socket, &Configured::default()).await
    });
    assert!(matches!(refused, Err(Failure::Refused { command: "config-set", .. })), "{refused:?}");
}

/// A listing that never ends does end.
#[test]
fn a_listing_has_an_end() {
    let lease = |number: usize| {
        let address = std::net::Ipv6Addr::from(0x2001_0db8_u128 << 96 | (number as u128) << 64);
        json!({
            "ip-address": address, "prefix-len": 64, "type": "IA_PD", "subnet-id": 1, "duid": "00:03:07",
            "iaid": 7, "cltt": 1000, "valid-lft": 60, "preferred-lft": 30, "state": 0,
        })
    };
    let page = |page: usize| {
        let leases: Vec<Value> = (0..1000).map(|number| lease(page * 1000 + number)).collect();
        json!({"result": 0, "arguments": {"leases": leases}}).to_string().into_bytes()
    };
    let pages: Vec<Vec<u8>> = (0..200).map(page).collect();
    let pages: Vec<&[u8]> = pages.iter().map(Vec::as_slice).collect();
    let leases = with_answers(&pages, async |socket| control::leases(socket, 1).await.unwrap());
    assert_eq!(leases.len(), 128_000);
}
