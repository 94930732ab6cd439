//! Random histories through the whole core: whatever comes in whatever order, each input has few
//! outputs, and no deadline passes that nobody acts on.

use renumberd::config::{Config, file};
use renumberd::core::input::Received;
use renumberd::core::kernel::object::Refusal;
use renumberd::core::kernel::system::System;
use renumberd::core::output::Group;
use renumberd::net::IfIndex;
use renumberd::wire::dhcpv6::{Message, TransactionId};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, Iaid};
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::NdpOption;

use super::world::{self, CLIENT, DOWNLINK, advertisement, icmpv6, own_duid};
use super::*;

const SITE: &str = "[uplink.up]\nprobe = \"3fff::53\"\n[uplink.spare]\n[downlink.lan]\n\
    [static.site]\nprefix = \"3fff:1::/48\"\n[pool.a]\ndownlink = \"lan\"\n";
/// Outputs that one input may have in a site of this size.
const MOST: usize = 200;

#[derive(Clone, Copy, Debug)]
enum Act {
    /// The routers advertise prefixes, by bits; with these lifetimes.
    Advertise {
        router: u8,
        prefixes: u8,
        life: u8,
    },
    WithdrawRouter(u8),
    Carrier {
        downlink: bool,
        up: bool,
    },
    Vanish {
        downlink: bool,
    },
    Return {
        downlink: bool,
    },
    ReadAnew,
    Renumber(u8),
    Deaf(bool),
    Forgetful,
    FromBelow {
        kind: u8,
        router: u8,
    },
    Refuse(u8),
    Command(u8),
    Reload(bool),
    Duplicate,
    Restart,
    Pass {
        milliseconds: u32,
    },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0..3_u8, 0..8_u8, 0..4_u8)
            .prop_map(|(router, prefixes, life)| Act::Advertise { router, prefixes, life }),
        1 => (0..3_u8).prop_map(Act::WithdrawRouter),
        4 => any::<(bool, bool)>().prop_map(|(downlink, up)| Act::Carrier { downlink, up }),
        1 => any::<bool>().prop_map(|downlink| Act::Vanish { downlink }),
        2 => any::<bool>().prop_map(|downlink| Act::Return { downlink }),
        1 => Just(Act::ReadAnew),
        2 => (0..4_u8).prop_map(Act::Renumber),
        2 => any::<bool>().prop_map(Act::Deaf),
        1 => Just(Act::Forgetful),
        4 => (0..5_u8, 0..4_u8).prop_map(|(kind, router)| Act::FromBelow { kind, router }),
        2 => (0..4_u8).prop_map(Act::Refuse),
        2 => (0..4_u8).prop_map(Act::Command),
        1 => any::<bool>().prop_map(Act::Reload),
        1 => Just(Act::Duplicate),
        1 => Just(Act::Restart),
        6 => (0..4000_u32).prop_map(|milliseconds| Act::Pass { milliseconds }),
        2 => (4000..4_000_000_u32).prop_map(|milliseconds| Act::Pass { milliseconds }),
    ]
}

fn site() -> Config {
    file::parse("test.toml", SITE).unwrap()
}

fn index(downlink: bool) -> IfIndex {
    if downlink { DOWNLINK } else { UPLINK }
}

const DOWN: Refusal = Refusal::Other { number: 100, text: "Network is down" };

/// Refuses nothing, everything, what leads through the downlink, or every other try.
fn refuses(kind: u8) -> world::Decide {
    match kind {
        0 => |_, _| None,
        1 => |_, _| Some(Refusal::NotPermitted),
        2 => |step, _| {
            let of = |interface: &IfIndex| (*interface == DOWNLINK).then_some(DOWN);
            match step {
                Step::Set(Object::Address(address)) => of(&address.interface),
                Step::Set(Object::Route(route))
                | Step::Replace(Object::Route(route))
                | Step::Remove(Object::Route(route)) => {
                    route.target.interface().as_ref().and_then(of)
                }
                Step::Set(Object::Membership(_, interface))
                | Step::Remove(Object::Membership(_, interface)) => of(interface),
                _ => None,
            }
        },
        _ => |_, tries| (tries % 2 == 1).then_some(Refusal::NoBuffer),
    }
}

fn from_below(kind: u8, router: u8) -> Input {
    let kinds = [Solicit, Request, Renew, Rebind, MessageType::Release];
    let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
    let ia = IaPd { iaid: Iaid(1), t1, t2, prefixes: Vec::new(), status: None };
    let kind = kinds[usize::from(kind)];
    let mut options =
        vec![Dhcpv6Option::ClientId(Duid::from_uuid([router; 16])), Dhcpv6Option::IaPd(ia)];
    if !matches!(kind, Solicit | Rebind) {
        options.push(Dhcpv6Option::ServerId(own_duid()));
    }
    let transaction_id = TransactionId([1, 2, 3]);
    let mut source = CLIENT.octets();
    source[15] = router;
    Input::Server(Received {
        interface: DOWNLINK,
        source: source.into(),
        port: 546,
        link_layer: Some(vec![2, 0, 0, 0, 1, router]),
        destination: Group::DhcpServers.address(),
        hop_limit: 1,
        fragmented: false,
        octets: Message { kind, transaction_id, options }.encode(),
    })
}

fn perform(world: &mut World, act: Act) {
    match act {
        Act::Advertise { router, prefixes, life } => {
            let (valid, preferred) = [(7200, 3600), (30, 10), (7200, 0), (0, 0)][usize::from(life)];
            let chosen = (0..3).filter(|bit| prefixes & (1 << bit) != 0);
            let options: Vec<NdpOption> = chosen
                .map(|bit| pio(&format!("2001:db8:{:x}::/64", 10 + bit), valid, preferred))
                .collect();
            world.advertise_from(router_at(router), options);
        }
        Act::WithdrawRouter(router) => {
            let silent = RouterAdvertisement { router_lifetime: 0, ..advertisement(Vec::new()) };
            world.give(icmpv6(UPLINK, router_at(router), silent.encode()));
        }
        Act::Carrier { downlink, up } => world.carrier(index(downlink), up),
        Act::Vanish { downlink } => world.vanish(index(downlink)),
        Act::Return { downlink } => world.return_link(index(downlink)),
        Act::ReadAnew => {
            let system = world.system().clone();
            world.give(Input::System(system));
        }
        Act::Renumber(number) => {
            world.renumber(&format!("2001:db8:{:x}000::/56", 10 + number));
        }
        Act::Deaf(deaf) => {
            let all = vec![Solicit, Request, Renew, Rebind];
            world.provider().deaf_to = if deaf { all } else { Vec::new() };
        }
        Act::Forgetful => world.provider().forgot = true,
        Act::FromBelow { kind, router } => world.give(from_below(kind, router)),
        Act::Refuse(kind) => world.refuse(refuses(kind)),
        Act::Command(number) => world.command(match number {
            0 => Command::Renew { uplink: None },
            1 => Command::LinkUp { uplink: "up".to_owned() },
            2 | 3 => {
                let prefix = net(if number == 2 { "3fff:2::/48" } else { "3fff:3::/48" });
                let prefixes = [("site".to_owned(), Some(prefix))].into();
                Command::SetPrefixes { prefixes, graceful: number == 3 }
            }
            _ => unreachable!("four commands"),
        }),
        Act::Reload(other) => {
            let mut config = site();
            if other {
                config.uplinks.get_mut("up").unwrap().rapid_commit ^= true;
                config.downlinks.get_mut("lan").unwrap().advertise.dnssl.clear();
                config.pools.clear();
            }
            world.command(Command::Reload(Box::new(config)));
        }
        Act::Duplicate => {
            let ours = world.system().addresses.values().find(|address| address.ours).cloned();
            if let Some(ours) = ours {
                let event = KernelEvent::Address(KernelAddress { duplicate: true, ..ours });
                world.kernel().change_silently(event.clone());
                world.give(Input::Kernel(vec![event]));
            }
        }
        Act::Restart => world.restart(),
        Act::Pass { milliseconds } => world.run_for(MS * milliseconds),
    }
}

fn router_at(router: u8) -> std::net::Ipv6Addr {
    let mut octets = world::ROUTER.octets();
    octets[14] = router;
    octets.into()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    /// `World::run_for` fails where a deadline stays in the past after it was acted on.
    #[test]
    fn no_deadline_stays_and_no_input_has_many_outputs(acts in prop::collection::vec(act(), 1..60)) {
        let mut world = World::new(site(), "2001:db8:a000::/56");
        world.refuse(refuses(0));
        for act in acts {
            perform(&mut world, act);
            prop_assert!(world.node().most_outputs <= MOST, "{} outputs: {act:?}", world.node().most_outputs);
            world.run_for(Duration::ZERO);
        }
        world.run_for(Duration::from_secs(3600));
    }
}

/// The spare uplink has no interface, which is a state as any other.
#[test]
fn the_site_of_the_histories_works() {
    let mut world = World::new(site(), "2001:db8:a000::/56");
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(30));
    assert!(world.preferred().len() > 2, "{:?}", world.preferred());
    let System { links, .. } = world.system();
    assert_eq!(links.len(), 2);
}
