//! What routers and hosts below rely on: lifetimes that are long enough, and what the provider says
//! of services.

use std::net::Ipv6Addr;
use std::time::Duration;

use proptest::prelude::*;
use renumberd::config::file;
use renumberd::core::input::{Command, Input, Received};
use renumberd::core::memory::Memory;
use renumberd::wire::dhcpv6::{Message, MessageType, TransactionId};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, Iaid};
use renumberd::wire::dhcpv6_service::ServiceOption;
use renumberd::wire::ndp_option::{NdpOption, Pref64};

use super::chain::{LAN, Tree};
use crate::world;

const A: &str = "2001:db8:a000::/56";
const HOST: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x77);
const GROUP: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A chain whose first router is to renew its lease in `left` seconds.
fn before_the_renewal(length: usize, left: u64) -> Tree {
    let mut tree = Tree::chain(length, A, true);
    tree.run_for(secs(120));
    assert!(tree.follows(A));
    let before = tree.watch.renewals_of(0).len();
    while tree.watch.renewals_of(0).len() == before {
        tree.run_for(secs(1));
    }
    let renewed_at = *tree.watch.renewals_of(0).last().unwrap();
    tree.run_for(secs(1680 - left) - tree.now().since(renewed_at));
    assert_eq!(tree.watch.renewals_of(0).last(), Some(&renewed_at));
    tree
}

/// The last router, as if it had never been there.
fn begin_anew(tree: &mut Tree, number: usize) {
    tree.net.nodes[number].memory = Memory::default();
    tree.restart(number);
}

fn preferred(tree: &Tree, number: usize) -> Option<u32> {
    let status = tree.net.nodes[number].core.status(tree.now());
    status.uplinks["up"].leases.iter().filter_map(|lease| lease.preferred).max()
}

/// SRV-61: our own lease is renewed first.
#[test]
fn a_router_that_asks_before_our_own_renewal_gets_a_whole_lifetime() {
    let mut tree = before_the_renewal(2, 3);
    begin_anew(&mut tree, 1);
    // The random delay of a first Solicit is a second at most.
    tree.run_for(Duration::from_millis(1200));
    assert!(preferred(&tree, 1).unwrap() >= 2640, "{:?}", preferred(&tree, 1));
    assert!(tree.follows(A));
}

/// SRV-61: a server that is silent holds nobody up for more than a second.
#[test]
fn a_router_that_asks_while_our_server_is_silent_waits_a_second() {
    let mut tree = before_the_renewal(2, 5);
    tree.provider().deaf_to = vec![MessageType::Renew, MessageType::Rebind];
    begin_anew(&mut tree, 1);
    tree.run_for(Duration::from_millis(2300));
    assert!(preferred(&tree, 1).unwrap() >= 1900, "{:?}", preferred(&tree, 1));
    let asked = tree.watch.renewals_of(0).len();
    begin_anew(&mut tree, 1);
    tree.run_for(Duration::from_millis(1200));
    assert!(preferred(&tree, 1).is_some(), "nobody waits for what is not answered");
    assert_eq!(tree.watch.renewals_of(0).len(), asked);
}

/// SRV-61, CHG-04: what strangers send costs our server one message a minute.
#[test]
fn a_flood_of_solicits_starts_one_renewal() {
    let mut tree = before_the_renewal(2, 50);
    let before = tree.watch.renewals_of(0).len();
    for number in 0..2000_u16 {
        let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, number);
        let ia = IaPd {
            iaid: Iaid(1),
            t1: renumberd::time::Lifetime::ZERO,
            t2: renumberd::time::Lifetime::ZERO,
            prefixes: Vec::new(),
            status: None,
        };
        let client = [number.to_be_bytes(), [9; 2]].concat();
        let options =
            vec![Dhcpv6Option::ClientId(Duid::new(&client).unwrap()), Dhcpv6Option::IaPd(ia)];
        ask(&mut tree, 0, source, MessageType::Solicit, options);
        tree.run_for(Duration::from_millis(10));
    }
    assert_eq!(tree.watch.renewals_of(0).len(), before + 1);
    assert!(tree.follows(A));
}

fn ask(
    tree: &mut Tree,
    router: usize,
    source: Ipv6Addr,
    kind: MessageType,
    options: Vec<Dhcpv6Option>,
) {
    let octets = Message { kind, transaction_id: TransactionId([1, 2, 3]), options }.encode();
    tree.give(
        router,
        Input::Server(Received {
            interface: LAN,
            source,
            port: 546,
            link_layer: None,
            destination: GROUP,
            hop_limit: 1,
            fragmented: false,
            octets,
        }),
    );
}

/// What a host on the link of `router` is answered that asks for all of `codes`.
fn inform(tree: &mut Tree, router: usize, codes: &[u16]) -> Option<Vec<(u16, Vec<u8>)>> {
    tree.watch.answers.remove(&router);
    let options = vec![
        Dhcpv6Option::ClientId(Duid::from_uuid([7; 16])),
        Dhcpv6Option::OptionRequest(codes.to_vec()),
    ];
    ask(tree, router, HOST, MessageType::InformationRequest, options);
    let answer = tree.watch.answers.get(&router)?;
    let known = answer.options.iter().filter_map(|option| match option {
        Dhcpv6Option::Unknown { code, body } => Some((*code, body.clone())),
        _ => None,
    });
    Some(known.collect())
}

/// One well-formed option of each kind, in the order in which they are passed on.
fn services() -> Vec<(u16, Vec<u8>)> {
    let server = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x123).octets();
    let name = b"\x07example\x03org\0".to_vec();
    let suboption = |code: u16, body: &[u8]| {
        let length = u16::try_from(body.len()).unwrap().to_be_bytes();
        [&code.to_be_bytes()[..], &length, body].concat()
    };
    let rule = suboption(89, &[0, 16, 24, 198, 51, 100, 0, 40, 0x20, 1, 0x0d, 0xb8, 0]);
    let relay = suboption(90, &server);
    let default_rule = suboption(91, &[64, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0]);
    let counted =
        |body: &[u8]| [&u16::try_from(body.len()).unwrap().to_be_bytes()[..], body].concat();
    let parameters = [&[0, 1][..], &counted(b"\x03dot")].concat();
    let resolver = [&[0, 1][..], &counted(&name), &counted(&server), &parameters].concat();
    vec![
        (56, suboption(1, &server)),
        (56, suboption(3, &name)),
        (31, server.to_vec()),
        (144, resolver),
        (103, b"https://portal.example.org/".to_vec()),
        (64, name.clone()),
        (94, [rule.clone(), relay.clone()].concat()),
        (95, [rule, default_rule].concat()),
        (96, relay),
        (21, name),
        (22, server.to_vec()),
    ]
}

const CODES: [u16; 11] = [21, 22, 31, 56, 64, 94, 95, 96, 103, 144, 57];

/// Contents of options by code: a host reads them in any order.
fn sorted(mut options: Vec<(u16, Vec<u8>)>) -> Vec<(u16, Vec<u8>)> {
    options.sort();
    options
}

/// LAN-01: each option, through each of three routers; what is malformed or unknown nowhere.
#[test]
fn services_of_the_provider_reach_hosts_of_every_router() {
    let mut tree = Tree::chain(3, A, true);
    tree.provider().options = services();
    tree.provider().options.push((57, vec![1; 16]));
    tree.run_for(secs(120));
    for router in 0..3 {
        let options = inform(&mut tree, router, &CODES).unwrap();
        assert_eq!(sorted(options), sorted(services()), "router {router}");
        for (code, body) in services() {
            let options = inform(&mut tree, router, &[code]).unwrap();
            assert!(options.contains(&(code, body)) && options.iter().all(|(of, _)| *of == code));
        }
        assert_eq!(inform(&mut tree, router, &[23]), Some(vec![]), "who does not ask is not told");
        let status = tree.net.nodes[router].core.status(tree.now());
        assert!(status.uplinks["up"].passed_on.contains(&"NTP".to_owned()));
    }

    // What is malformed is left out at the first router, and what is gone goes.
    tree.provider().options = services()
        .into_iter()
        .map(|(code, mut body)| {
            body.push(0xff);
            (code, body)
        })
        .collect();
    // The captive portal that a router advertised lasts as long as that router does.
    tree.run_for(secs(9000));
    for router in 0..3 {
        assert_eq!(inform(&mut tree, router, &CODES), Some(vec![]), "router {router}");
    }
}

/// LAN-01: on a link where nothing is delegated hosts are informed, and nothing else.
#[test]
fn a_link_without_delegations_is_informed() {
    let mut tree = Tree::chain(2, A, true);
    tree.provider().options = services();
    let plain = "[uplink.up]\n[downlink.lan]\ncaptive-portal = \"https://own.example.org/\"\n";
    let config = file::parse("test.toml", plain).unwrap();
    tree.give(1, Input::Command(Command::Reload(Box::new(config))));
    tree.run_for(secs(120));
    let options = inform(&mut tree, 1, &CODES).unwrap();
    let mut wanted = services();
    wanted.retain(|(code, _)| *code != 103);
    wanted.push((103, b"https://own.example.org/".to_vec()));
    assert_eq!(sorted(options), sorted(wanted), "its own captive portal comes first");
    assert!(tree.watch.advertisements[&1].other, "the O flag says that there is more");
    tree.watch.answers.clear();
    let client = Dhcpv6Option::ClientId(Duid::from_uuid([7; 16]));
    ask(&mut tree, 1, HOST, MessageType::Solicit, vec![client]);
    assert!(tree.watch.answers.is_empty(), "nothing is delegated here");

    let config = file::parse("test.toml", &format!("{plain}other = false\n")).unwrap();
    tree.give(1, Input::Command(Command::Reload(Box::new(config))));
    tree.run_for(secs(10));
    assert_eq!(inform(&mut tree, 1, &CODES), None, "the operator has said so");
    assert!(!tree.watch.advertisements[&1].other);
}

/// RA-TX-31, RA-TX-62: a unique local prefix is on the links that have a part of it and a route on
/// all, and makes nobody a default router.
#[test]
fn a_unique_local_prefix_is_advertised_and_leads_nowhere_else() {
    let mut tree = Tree::chain(1, A, true);
    for (from, is_default_router, on_link) in [
        ("", true, &["2001:db8:a000::", "fd00:1:2::"][..]),
        ("from = \"ula\"\n", false, &["fd00:1:2::"]),
        ("from = \"up\"\n", true, &["2001:db8:a000::"]),
    ] {
        let site = format!(
            "[static.ula]\nprefix = \"fd00:1:2::/48\"\n[uplink.up]\n\
             [downlink.lan]\nsubnet = \"0x0/64\"\n{from}"
        );
        let config = file::parse("test.toml", &site).unwrap();
        tree.give(0, Input::Command(Command::Reload(Box::new(config))));
        tree.run_for(secs(30));
        let said = &tree.watch.advertisements[&0];
        assert_eq!(said.router_lifetime > 0, is_default_router, "{from}");
        let live = said.prefixes().filter(|pio| !pio.valid.is_zero());
        let live: Vec<String> = live.map(|pio| pio.prefix.network().to_string()).collect();
        assert_eq!(live, on_link, "{from}");
        let route = said.options.iter().any(|option| match option {
            NdpOption::Route(route) => route.prefix == world::net("fd00:1:2::/48"),
            _ => false,
        });
        assert!(route, "{from}");
    }
}

/// LAN-01: PREF64 with its lifetime counted down at each hop, and the captive portal.
#[test]
fn nat64_prefix_and_portal_of_the_provider_go_down_the_tree() {
    let prefix = world::net("64:ff9b::/96");
    let portal = NdpOption::CaptivePortal("https://portal.example.org/".to_owned());
    let mut tree = Tree::chain(3, A, true);
    let lifetime = 1800;
    tree.options().push(NdpOption::Pref64(Pref64 { prefix, lifetime }));
    tree.options().push(portal.clone());
    tree.run_for(secs(900));
    let said = |tree: &Tree, router: usize| {
        let options = &tree.watch.advertisements[&router].options;
        options.iter().find_map(|option| match option {
            NdpOption::Pref64(said) => Some((said.prefix, said.lifetime)),
            _ => None,
        })
    };
    for router in 0..3 {
        let (of, left) = said(&tree, router).unwrap();
        assert!(of == prefix && (300..=1800).contains(&left), "router {router}: {left} s");
        assert!(tree.watch.advertisements[&router].options.contains(&portal), "router {router}");
        let options = inform(&mut tree, router, &[103]).unwrap();
        assert_eq!(options, [(103, b"https://portal.example.org/".to_vec())]);
    }
    // It is not advertised any more, and ends everywhere when the provider's word does.
    tree.options().truncate(1);
    tree.run_for(secs(2000));
    for router in 0..3 {
        assert!(said(&tree, router).is_none_or(|(_, left)| left == 0), "router {router}");
    }
}

/// Options as a server may send them: well-formed ones, some of them damaged, and noise.
fn hostile_options() -> impl Strategy<Value = Vec<(u16, Vec<u8>)>> {
    let damaged = (0..services().len(), any::<prop::sample::Index>(), any::<u8>(), any::<bool>())
        .prop_map(|(which, place, octet, cut)| {
            let (code, mut body) = services().swap_remove(which);
            let place = place.index(body.len());
            body[place] = octet;
            if cut {
                body.truncate(place);
            }
            (code, body)
        });
    let noise = (prop::sample::select(CODES.to_vec()), prop::collection::vec(any::<u8>(), 0..400));
    let whole = prop::sample::select(services());
    prop::collection::vec(prop_oneof![2 => damaged, 1 => noise, 1 => whole], 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    /// LAN-01: whatever octets a server sends, hosts two routers further get what can be read, and
    /// no more than a datagram of it.
    #[test]
    fn no_octets_of_a_server_reach_hosts_unread(options in hostile_options()) {
        let mut tree = Tree::chain(2, A, true);
        tree.provider().options = options;
        tree.run_for(secs(20));
        let options = inform(&mut tree, 1, &CODES).unwrap();
        let octets: usize = options.iter().map(|(_, body)| body.len() + 4).sum();
        prop_assert!(octets <= 2048, "{octets}");
        let unknown = |(code, body): &(u16, Vec<u8>)| {
            Dhcpv6Option::Unknown { code: *code, body: body.clone() }
        };
        let read = ServiceOption::select(&options.iter().map(unknown).collect::<Vec<_>>());
        prop_assert_eq!(read.len(), options.len(), "{:?}", options);
        for option in &read {
            prop_assert!(options.iter().any(|one| Dhcpv6Option::from(option) == unknown(one)));
        }
    }
}
