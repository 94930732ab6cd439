//! A host: the kernel makes addresses and routes of advertisements, the agent solicits, publishes, and
//! mends what the kernel cannot know.

use std::net::Ipv6Addr;

use renumberd::config::{Config, file};
use renumberd::core::client::{Occasion, Publication};
use renumberd::core::kernel::system::{Link, Origin};
use renumberd::time::Until;
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::{NdpOption, PrefixInformation};

use super::world::{ROUTER, icmpv6};
use super::*;

const SECOND: Duration = Duration::from_secs(1);
/// Another router.
const OTHER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);

fn host(more: &str) -> Config {
    file::parse("test.toml", &format!("[client.up]\n{more}")).unwrap()
}

fn started(more: &str) -> World {
    let mut world = World::new(host(more), "2001:db8:a000::/56");
    world.kernel().change(KernelEvent::Forwarding(false));
    world
}

/// A host whose kernel has formed addresses in A, one of them temporary.
fn settled_host(more: &str) -> World {
    let mut world = started(more);
    advertise(&mut world, A);
    form(&mut world, "2001:db8:a::2", Origin::Advertisement, false);
    form(&mut world, "2001:db8:a::7e", Origin::Temporary, false);
    world.run_for(60 * SECOND);
    world
}

/// The router advertises, and says the same when it is asked.
fn advertise(world: &mut World, prefix: &str) {
    let options = vec![pio(prefix, 7200, 3600)];
    world.provider().advertisement = Some(world::advertisement(options.clone()));
    world.advertise(options);
}

/// The kernel forms an address.
/// The kernel of a host has made an address of an advertisement.
pub(super) fn form(world: &mut World, text: &str, origin: Origin, tentative: bool) {
    let until = |seconds| Until::At(world.now() + Duration::from_secs(seconds));
    let formed = KernelAddress {
        preferred_until: until(3600),
        valid_until: until(7200),
        origin,
        tentative,
        ..address(UPLINK, text, false)
    };
    world.kernel().change(KernelEvent::Address(formed));
}

fn is_preferred(world: &World, text: &str) -> bool {
    let has = &world.system().addresses[&(UPLINK, text.parse().unwrap())];
    !has.preferred_until.is_over(world.now())
}

/// How many addresses were deprecated.
fn deprecations(world: &World, since: Instant) -> usize {
    let is_one = |event: &&Event| matches!(event, Event::Step(Step::Set(Object::Deprecation(_))));
    world.events(since).filter(is_one).count()
}

/// What is published at last.
fn published(world: &World) -> Option<Publication> {
    let mut events = world.log.iter().rev();
    events.find_map(|(_, event)| match event {
        Event::Publish(all) => all.get("up").cloned(),
        _ => None,
    })
}

fn has_condition(world: &World, name: &str) -> bool {
    world.status().conditions.iter().any(|condition| condition.name == name)
}

/// CLI-01, CLI-02: it solicits at once, and neither advertises nor speaks DHCPv6 whatever the flags
/// are; the settings of its kernel stay as they are, where they are to.
#[test]
fn a_host_solicits_at_once_and_leaves_the_rest_to_its_kernel() {
    let mut world = started("register-addresses = false\noptimistic-dad = false");
    let start = world.now();
    assert_eq!(world.solicitations(start), 1);
    let flags = RouterAdvertisement {
        managed: true,
        other: true,
        ..world::advertisement(vec![pio(A, 7200, 3600)])
    };
    world.give(icmpv6(UPLINK, ROUTER, flags.encode()));
    world.run_for(3600 * SECOND);
    assert_eq!(world.sent(start), []);
    assert!(!world.events(start).any(|event| matches!(event, Event::Advertise(..))));
    assert!(!world.kernel().asking && world.addresses().is_empty() && world.routes().is_empty());
    assert_eq!(world.kernel().sysctl("up", "accept_ra"), Some(1));
}

/// RA-RX-81: only where the machine forwards the kernel needs another value, and it gets back the
/// one that it had.
#[test]
fn a_kernel_that_forwards_is_made_to_listen() {
    let mut world = World::new(host(""), "2001:db8:a000::/56");
    world.run_for(SECOND);
    assert_eq!(world.kernel().sysctl("up", "accept_ra"), Some(2));
    world.kernel().change(KernelEvent::Forwarding(false));
    world.run_for(SECOND);
    assert_eq!(world.kernel().sysctl("up", "accept_ra"), Some(1));
}

/// CLI-08
#[test]
fn a_link_that_comes_back_is_solicited_at_once() {
    let mut world = settled_host("");
    for _ in 0..3 {
        world.carrier(UPLINK, false);
        world.run_for(SECOND / 4);
        let since = world.now();
        world.carrier(UPLINK, true);
        world.run_for(MS);
        assert_eq!(world.solicitations(since), 1);
    }
}

/// RFC 7559, and what is awaited is named.
#[test]
fn a_host_without_a_router_goes_on_soliciting() {
    let mut world = started("");
    let start = world.now();
    world.run_for(600 * SECOND);
    assert!((7..=9).contains(&world.solicitations(start)), "{}", world.solicitations(start));
    assert!(has_condition(&world, "no-router"));
}

/// CHG-14 for a host: the router is asked, and what it does not advertise any more is deprecated with
/// the temporary address beside it, once. What others have set in the same prefix stays.
#[test]
fn addresses_of_the_kernel_in_a_prefix_that_has_gone_are_deprecated() {
    for (mends, more) in [(true, ""), (false, "mend = false")] {
        let mut world = settled_host(more);
        let foreign = address(UPLINK, "2001:db8:a::53", false);
        world.kernel().set_foreign(foreign);
        world.run_for(SECOND);
        let since = world.now();
        advertise(&mut world, B);
        form(&mut world, "2001:db8:b::2", Origin::Advertisement, false);
        world.run_for(SECOND / 2);
        assert!(is_preferred(&world, "2001:db8:a::2"), "nothing is known yet");
        world.run_for(3 * SECOND);
        for text in ["2001:db8:a::2", "2001:db8:a::7e"] {
            assert_eq!(is_preferred(&world, text), !mends, "{text}");
        }
        assert!(is_preferred(&world, "2001:db8:b::2"));
        world.run_for(3600 * SECOND);
        assert_eq!(deprecations(&world, since), if mends { 2 } else { 0 });
        assert!(is_preferred(&world, "2001:db8:a::53"));
        world.kernel().check_foreign();
    }
}

/// SEC-05: the router itself is asked before anything is done.
#[test]
fn forged_advertisements_deprecate_nothing() {
    let mut world = settled_host("");
    let since = world.now();
    for number in 0..50 {
        let prefix = format!("2001:db8:f{number}::/64");
        let source = if number % 2 == 0 { ROUTER } else { OTHER };
        world.advertise_from(source, vec![pio(&prefix, 7200, 3600)]);
        world.run_for(7 * SECOND);
    }
    assert_eq!(deprecations(&world, since), 0);
    assert!(is_preferred(&world, "2001:db8:a::2"));
}

/// The kernel itself prefers an address again whose prefix is advertised; where that was somebody
/// who is not believed it is deprecated again.
#[test]
fn an_address_that_is_preferred_again_meanwhile_is_deprecated_again() {
    let mut world = settled_host("routers = [\"fe80::1\"]");
    advertise(&mut world, B);
    world.run_for(3 * SECOND);
    assert!(!is_preferred(&world, "2001:db8:a::2"));
    let since = world.now();
    for _ in 0..100 {
        form(&mut world, "2001:db8:a::2", Origin::Advertisement, false);
        world.run_for(30 * MS);
    }
    world.run_for(SECOND);
    assert!(!is_preferred(&world, "2001:db8:a::2"));
    assert!((1..=20).contains(&deprecations(&world, since)), "{}", deprecations(&world, since));
    advertise(&mut world, A);
    form(&mut world, "2001:db8:a::2", Origin::Advertisement, false);
    world.run_for(60 * SECOND);
    assert!(is_preferred(&world, "2001:db8:a::2"));
}

/// The agent starts when the prefix has changed already: what the kernel made before is verified.
#[test]
fn addresses_that_the_kernel_formed_before_the_start_are_verified() {
    for (now_advertised, is_kept) in [(A, true), (B, false)] {
        let mut world = settled_host("");
        let options = vec![pio(now_advertised, 7200, 3600)];
        world.provider().advertisement = Some(world::advertisement(options));
        world.restart();
        world.run_for(5 * SECOND);
        assert_eq!(is_preferred(&world, "2001:db8:a::2"), is_kept, "{now_advertised}");
        let routers = &world.status().uplinks["up"].routers;
        assert!(routers.iter().all(|router| router.address == ROUTER), "{routers:?}");
    }
}

/// Beside a router that is heard one that does not answer is used no more, and neither is what it
/// alone has advertised; when it is heard again the kernel sees to that.
#[test]
fn a_router_that_is_gone_is_dropped_and_its_prefix_deprecated() {
    let mut world = settled_host("");
    world.provider().advertisement = None;
    world.kernel().routers = [(UPLINK, ROUTER), (UPLINK, OTHER)].into();
    world.advertise_from(OTHER, vec![pio(B, 7200, 3600)]);
    form(&mut world, "2001:db8:b::2", Origin::Advertisement, false);
    world.run_for(4 * SECOND);
    assert!(is_preferred(&world, "2001:db8:a::2"), "it has five seconds to answer");
    world.run_for(2 * SECOND);
    assert!(!is_preferred(&world, "2001:db8:a::2") && is_preferred(&world, "2001:db8:b::2"));
    assert_eq!(world.kernel().routers, [(UPLINK, OTHER)].into());
    assert!(has_condition(&world, "router-silent"));
    advertise(&mut world, A);
    world.kernel().routers.insert((UPLINK, ROUTER));
    form(&mut world, "2001:db8:a::2", Origin::Advertisement, false);
    world.run_for(60 * SECOND);
    assert!(is_preferred(&world, "2001:db8:a::2") && !has_condition(&world, "router-silent"));
    assert_eq!(world.kernel().routers.len(), 2);
}

/// Without another one there is nothing better.
#[test]
fn the_only_router_stays() {
    let mut world = settled_host("");
    world.kernel().routers = [(UPLINK, ROUTER)].into();
    let since = world.now();
    world.provider().advertisement = None;
    world.run_for(1700 * SECOND);
    assert_eq!((world.kernel().routers.len(), deprecations(&world, since)), (1, 0));
}

/// CLI-08: another link, with another router and prefix.
#[test]
fn a_host_that_moves_leaves_the_prefix_of_the_former_link() {
    let mut world = settled_host("");
    world.carrier(UPLINK, false);
    world.run_for(SECOND);
    world.provider().address = OTHER;
    world.provider().advertisement = Some(world::advertisement(vec![pio(B, 7200, 3600)]));
    let since = world.now();
    world.carrier(UPLINK, true);
    world.run_for(SECOND / 2);
    form(&mut world, "2001:db8:b::2", Origin::Advertisement, false);
    world.run_for(2 * SECOND);
    assert!(!is_preferred(&world, "2001:db8:a::2") && is_preferred(&world, "2001:db8:b::2"));
    assert!(world.solicitations(since) <= 8, "{}", world.solicitations(since));
}

/// The router of the link answers before the verdict, whoever else was heard first.
#[test]
fn a_stranger_who_is_heard_first_after_a_link_event_deprecates_nothing() {
    let mut world = settled_host("");
    let since = world.now();
    world.carrier(UPLINK, false);
    world.carrier(UPLINK, true);
    world.advertise_from(OTHER, vec![pio(B, 7200, 3600)]);
    world.run_for(60 * SECOND);
    assert_eq!(deprecations(&world, since), 0);
}

/// Another program follows the advertisements there.
#[test]
fn where_another_program_manages_the_interface_the_agent_stays_out() {
    let mut world = settled_host("");
    let link = world.system().links[&UPLINK].clone();
    world.kernel().change(KernelEvent::Link(Link { accept_ra: Some(0), ..link }));
    world.kernel().change(KernelEvent::Forwarding(true));
    let server = NdpOption::Rdnss {
        lifetime: Lifetime::Finite(3600),
        servers: vec!["2001:db8:a::53".parse().unwrap()],
    };
    world.run_for(SECOND);
    let since = world.now();
    world.carrier(UPLINK, false);
    world.carrier(UPLINK, true);
    world.advertise(vec![pio(A, 7200, 3600), server]);
    world.run_for(600 * SECOND);
    assert_eq!(world.solicitations(since), 0);
    assert!(has_condition(&world, "managed-elsewhere"));
    assert_eq!(world.kernel().sysctl("up", "accept_ra"), Some(1), "nobody has set it");
    let publication = published(&world).unwrap();
    assert_eq!(publication.servers, Vec::<Ipv6Addr>::new());
    assert_eq!(publication.networks, [net(A)].into());
}

/// RFC 8106 §5, CLI-09, SEC-14
#[test]
fn resolver_data_and_networks_are_published_until_they_end() {
    let mut world = started("");
    world.run_for(SECOND / 2);
    assert_eq!(published(&world), None, "what an earlier run has published stays for a moment");
    let server: Ipv6Addr = "2001:db8:a::53".parse().unwrap();
    let lifetime = Lifetime::Finite(300);
    let shell = "\\036\\040reboot\\041.example";
    let names = vec!["example.com".to_owned(), shell.to_owned()];
    let options = vec![
        pio(A, 7200, 3600),
        NdpOption::Rdnss { lifetime, servers: vec![server, Ipv6Addr::LOCALHOST] },
        NdpOption::Dnssl { lifetime, names },
    ];
    world.advertise(options);
    world.run_for(SECOND);
    let publication = published(&world).unwrap();
    assert_eq!(publication.servers, [server]);
    assert_eq!(publication.search, ["example.com"]);
    assert_eq!(publication.networks, [net(A)].into());
    world.run_for(300 * SECOND);
    let publication = published(&world).unwrap();
    assert!(publication.servers.is_empty() && publication.search.is_empty());
    assert_eq!(publication.networks, [net(A)].into());
    advertise(&mut world, B);
    world.run_for(5 * SECOND);
    assert_eq!(published(&world).unwrap().networks, [net(A), net(B)].into());
    world.run_for(host("").grace);
    assert_eq!(published(&world).unwrap().networks, [net(B)].into());
}

#[test]
fn publications_of_an_earlier_run_are_withdrawn_where_no_router_advertises() {
    let mut world = started("");
    world.run_for(10 * SECOND);
    let publication = published(&world).unwrap();
    assert!(publication.servers.is_empty() && publication.networks.is_empty());
}

/// As rtsold(8) runs them: a flag that goes on, the O flag only without the M flag, each once until
/// the link comes up anew.
#[test]
fn programs_are_run_when_a_flag_goes_on() {
    let mut world =
        started("managed-script = \"/m\"\nother-script = \"/o\"\nalways-script = \"/a\"\n");
    let say = |world: &mut World, managed, other| {
        let said = RouterAdvertisement { managed, other, ..world::advertisement(vec![]) };
        let since = world.now();
        world.give(icmpv6(UPLINK, ROUTER, said.encode()));
        let run = world.events(since).filter_map(|event| match event {
            Event::Script(script) => Some((script.occasion, script.router)),
            _ => None,
        });
        let run: Vec<_> = run.collect();
        world.run_for(SECOND);
        assert!(run.iter().all(|(_, router)| *router == ROUTER));
        run.into_iter().map(|(occasion, _)| occasion).collect::<Vec<_>>()
    };
    for _ in 0..2 {
        assert_eq!(say(&mut world, false, true), [Occasion::Other, Occasion::Always]);
        assert_eq!(say(&mut world, true, true), [Occasion::Managed]);
        assert_eq!(say(&mut world, false, false), []);
        assert_eq!(say(&mut world, true, true), []);
        world.carrier(UPLINK, false);
        world.carrier(UPLINK, true);
    }
    assert_eq!(say(&mut world, true, true), [Occasion::Managed, Occasion::Always]);
}

/// What was heard before the machine slept is as old as that: it is verified at once.
#[test]
fn a_machine_that_has_slept_solicits_and_verifies_at_once() {
    let mut world = settled_host("");
    world.provider().advertisement = Some(world::advertisement(vec![pio(B, 7200, 3600)]));
    world.run_for(600 * SECOND);
    assert!(is_preferred(&world, "2001:db8:a::2"));
    let since = world.now();
    world.give(Input::Resumed);
    assert_eq!(world.solicitations(since), 1);
    world.run_for(3 * SECOND);
    assert!(!is_preferred(&world, "2001:db8:a::2"));
}

/// The host was moved to another link and its carrier stayed: the kernel finds its router silent.
#[test]
fn a_router_that_the_kernel_cannot_reach_is_looked_for_and_replaced() {
    let mut world = settled_host("");
    world.provider().address = OTHER;
    world.provider().advertisement = Some(world::advertisement(vec![pio(B, 7200, 3600)]));
    let since = world.now();
    let failed = KernelEvent::Unreachable { interface: UPLINK, address: ROUTER };
    for _ in 0..20 {
        world.kernel().change(failed.clone());
        world.run_for(SECOND / 2);
    }
    assert!(!is_preferred(&world, "2001:db8:a::2"));
    assert_eq!(world.solicitations(since), 4, "one to all, three to the former router");
    // Where nobody answers it goes on with the intervals of RFC 7559.
    world.provider().advertisement = None;
    let since = world.now();
    let failed = KernelEvent::Unreachable { interface: UPLINK, address: OTHER };
    for _ in 0..600 {
        world.kernel().change(failed.clone());
        world.run_for(SECOND);
    }
    assert!((8..=14).contains(&world.solicitations(since)), "{}", world.solicitations(since));
}

/// A PIO with the P flag.
fn shared(preferred: u32) -> NdpOption {
    match pio(A, 7200, preferred) {
        NdpOption::Prefix(pio) => {
            NdpOption::Prefix(PrefixInformation { delegation_preferred: true, ..pio })
        }
        other => other,
    }
}

const FOR_CONTAINERS: &str = "delegate = true\n[downlink.lan]\nsubnet = \"0x1/64\"\n";

/// A host for containers; the setting of its kernel is off at first.
fn host_for_containers() -> World {
    let mut world = started(FOR_CONTAINERS);
    world.kernel().set_sysctl(UPLINK, "ra_honor_pio_pflag", 0);
    world.restart();
    world.run_for(SECOND);
    world
}

/// CLI-20, CLI-21, CLI-23: a prefix is asked for when a PIO says so, whatever M and O say, and used
/// to its end when none does any more.
#[test]
fn a_prefix_is_asked_for_while_an_advertised_one_says_so() {
    let mut world = host_for_containers();
    let start = world.now();
    advertise(&mut world, A);
    world.run_for(60 * SECOND);
    assert!(world.sent(start).is_empty() && !world.kernel().asking, "no P flag");
    assert_eq!(world.kernel().sysctl("up", "ra_honor_pio_pflag"), Some(1));
    world.advertise(vec![shared(3600)]);
    world.run_for(5 * SECOND);
    assert_eq!(world.sent(start), [Solicit]);
    assert_eq!(world.addresses(), ["2001:db8:a000:1::1%3"]);
    world.run_for(60 * SECOND);
    assert_eq!(world.kernel().sysctl("up", "ra_honor_pio_pflag"), Some(1));
    let since = world.now();
    world.advertise(vec![shared(0)]);
    world.run_for(3600 * SECOND);
    assert!(world.sent(since).contains(&Renew) && !world.sent(since).contains(&Solicit));
    world.provider().deaf_to = vec![Renew, Rebind];
    world.run_for(4 * 3600 * SECOND);
    assert!(!world.sent(since).contains(&Solicit), "it is over, and nobody says so any more");
    assert!(!world.kernel().asking);
}

/// CLI-22
#[test]
fn where_nobody_gives_a_prefix_the_kernel_forms_addresses_after_all() {
    let mut world = host_for_containers();
    world.provider().deaf_to = vec![Solicit];
    let since = world.now();
    world.advertise(vec![shared(3600)]);
    world.run_for(9 * SECOND);
    assert_eq!(world.kernel().sysctl("up", "ra_honor_pio_pflag"), Some(1));
    let solicited = world.solicitations(since);
    world.run_for(2 * SECOND);
    assert_eq!(world.kernel().sysctl("up", "ra_honor_pio_pflag"), Some(0));
    assert_eq!(world.solicitations(since), solicited + 1, "it has to be advertised again");
    world.provider().deaf_to.clear();
    world.run_for(200 * SECOND);
    assert_eq!(world.addresses(), ["2001:db8:a000:1::1%3"]);
    assert_eq!(world.kernel().sysctl("up", "ra_honor_pio_pflag"), Some(1));
}

/// CLI-24
#[test]
fn without_delegation_the_p_flag_means_nothing() {
    let mut world = started("");
    let start = world.now();
    world.advertise(vec![shared(3600)]);
    world.run_for(60 * SECOND);
    assert!(world.sent(start).is_empty());
    let is_set = |event: &Event| {
        matches!(event, Event::Step(Step::Set(Object::Setting(setting)))
            if setting.name.file() == "ra_honor_pio_pflag")
    };
    assert!(!world.events(start).any(is_set));
}
