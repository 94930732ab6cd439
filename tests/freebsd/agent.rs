//! The article's outbound router on FreeBSD, from its first start to its end.

use std::time::Duration;

use renumberd::core::input::{Command, Input};
use renumberd::core::output::Step;
use renumberd::net::IfIndex;
use renumberd::platform::freebsd::abi;

use super::fake::{EM0, EM1};
use super::harness::{Agent, OUTBOUND, SECOND, STATIC};
use super::machine::{ip, net};

const REMOVING: &str = "
    on-stop = \"remove\"
    [uplink.em0]
    address = \"::2\"
    [downlink.em1]
    subnet = \"-1/64\"
    address = \"::1\"
";
const MOVED: &str = "
    [uplink.em0]
    address = \"::2\"
    [downlink.em2]
    subnet = \"-1/64\"
    address = \"::1\"
";
const BY_KERNEL: &str = "
    [uplink.em0]
    address = \"kernel\"
    [downlink.em1]
    subnet = \"-1/64\"
    address = \"::1\"
";
/// The uplink has no global address.
const TRANSIT: &str = "
    [uplink.em0]
    address = \"none\"
    [downlink.em1]
    subnet = \"-1/64\"
    address = \"::1\"
";

/// What the router has when it has settled, and the prefix of the provider's link is `link` and the
/// delegated one begins with `site`.
fn expected(link: &str, site: &str) -> Vec<String> {
    let lines = [
        &format!("2001:db8:{link}::2/64 on 2"),
        &format!("2001:db8:{site}:ff::1/64 on 3"),
        "fd00::101/120 on 3",
        &format!("2001:db8:{link}::/64 on 2"),
        &format!("2001:db8:{site}:ff::/64 on 3"),
        "fd00::100/120 on 3",
        &format!("2001:db8:{site}::/56 via ::1%1 reject"),
        "::/0 via fe80::9%2",
    ];
    lines.map(str::to_owned).to_vec()
}

#[test]
fn a_first_start_ends_with_addresses_and_routes() {
    let agent = Agent::settled();
    assert_eq!(agent.state(), expected("a", "a000"));
    assert_eq!(agent.refused, []);
    let flags = agent.machine.fake.borrow().interfaces[&EM0].nd_flags;
    assert_eq!(flags & abi::ACCEPT_ADVERTISEMENTS, 0, "the agent follows in the kernel's place");
    let addresses = agent.machine.fake.borrow().addresses.clone();
    assert!(addresses.values().all(|address| address.flags == 0), "{addresses:?}");
}

/// Refreshed lifetimes change lifetimes alone, and no address or route is ever gone.
#[test]
fn a_quiet_day_changes_nothing_but_lifetimes() {
    let mut agent = Agent::settled();
    agent.steps.clear();
    for _ in 0..60 {
        agent.advertise("2001:db8:a::/64");
        agent.run_for(600 * SECOND);
        assert_eq!(agent.state(), expected("a", "a000"));
    }
    let removes = |step: &&Step| matches!(step, Step::Remove(_));
    assert_eq!(agent.steps.iter().find(removes), None);
    assert_eq!(agent.refused, []);
}

#[test]
fn a_change_brings_the_new_prefix_and_leaves_nothing_of_the_old_one() {
    let mut agent = Agent::settled();
    for (link, site) in [("b", "b000"), ("c", "c000")] {
        agent.provider.renumber(net(&format!("2001:db8:{site}::/56")));
        agent.advertise(&format!("2001:db8:{link}::/64"));
        agent.run_for(10 * SECOND);
        let state = agent.state();
        for line in expected(link, site) {
            assert!(state.contains(&line), "{line} of {state:#?}");
        }
        // By the two-hour rule (RFC 4862 §5.5.3) the old address of the uplink stays longest.
        agent.run_for(3 * 3600 * SECOND);
        agent.advertise(&format!("2001:db8:{link}::/64"));
        agent.run_for(60 * SECOND);
        assert_eq!(agent.state(), expected(link, site));
    }
    assert_eq!(agent.refused, []);
}

/// Law 1: killed at any moment and started again it ends as it would have, and takes nothing away on
/// the way.
#[test]
fn a_restart_is_no_outage() {
    for pause in [0, 1, 300, 2000, 60_000] {
        let mut agent = Agent::settled();
        agent.steps.clear();
        agent.provider.renumber(net("2001:db8:b000::/56"));
        agent.advertise("2001:db8:a::/64");
        agent.run_for(Duration::from_millis(pause));
        agent.restart();
        agent.run_for(SECOND);
        agent.advertise("2001:db8:a::/64");
        agent.run_for(300 * SECOND);
        let state = agent.state();
        let (kept, current) = ("2001:db8:a::2/64 on 2".to_owned(), "::/0 via fe80::9%2".to_owned());
        assert!(state.contains(&kept) && state.contains(&current), "{pause}: {state:#?}");
        let uplink =
            |step: &&Step| matches!(step, Step::Remove(object) if object.interface() == Some(EM0));
        assert_eq!(agent.steps.iter().find(uplink), None, "{pause}");
        assert!(state.contains(&"fd00::101/120 on 3".to_owned()));
    }
}

/// An address of ours that another node holds is left, and another one is not tried for ever.
#[test]
fn a_duplicate_is_left_alone() {
    let mut agent = Agent::new();
    agent.machine.fake.borrow_mut().held.insert(ip("2001:db8:a000:ff::1"));
    agent.run_for(SECOND);
    agent.advertise("2001:db8:a::/64");
    agent.run_for(60 * SECOND);
    assert!(
        !agent.state().contains(&"2001:db8:a000:ff::1/64 on 3".to_owned()),
        "{:?}",
        agent.state()
    );
    agent.steps.clear();
    agent.run_for(600 * SECOND);
    let of_link = |step: &&Step| step.object().interface() == Some(EM1);
    assert_eq!(agent.steps.iter().find(of_link), None);
}

/// The uplink flaps, is destroyed and comes back, as ppp's tun0 does: all is as it was.
#[test]
fn an_uplink_that_flaps_or_returns_is_served_again() {
    let mut agent = Agent::settled();
    for _ in 0..3 {
        agent.machine.fake.borrow_mut().set_up(EM0, false);
        agent.run_for(2 * SECOND);
        agent.machine.fake.borrow_mut().set_up(EM0, true);
        agent.run_for(3 * SECOND);
    }
    agent.advertise("2001:db8:a::/64");
    agent.run_for(30 * SECOND);
    assert_eq!(agent.state(), expected("a", "a000"));

    agent.machine.fake.borrow_mut().destroy(EM0);
    agent.run_for(2 * SECOND);
    agent.machine.fake.borrow_mut().attach(EM0, "em0");
    agent.run_for(5 * SECOND);
    agent.advertise("2001:db8:a::/64");
    agent.run_for(60 * SECOND);
    assert_eq!(agent.state(), expected("a", "a000"));
}

/// What is lost on the way to the agent is made up for, and what somebody has taken away comes back.
#[test]
fn lost_messages_are_made_up_for() {
    let mut agent = Agent::settled();
    {
        let mut fake = agent.machine.fake.borrow_mut();
        fake.remove(EM1, ip("2001:db8:a000:ff::1")).unwrap();
        fake.paths.clear();
        fake.queue.clear();
    }
    agent.run_for(61 * SECOND);
    agent.run_for(SECOND);
    assert_eq!(agent.state(), expected("a", "a000"));
    // `ndp -P` takes the routes to all links, also that of the static address, which is not ours.
    let foreign = agent.machine.has(EM1, STATIC);
    agent.machine.fake.borrow_mut().flush_prefixes();
    agent.run_for(62 * SECOND);
    let mended: Vec<String> =
        expected("a", "a000").into_iter().filter(|line| line != "fd00::100/120 on 3").collect();
    assert_eq!(agent.state(), mended);
    assert_eq!(agent.machine.has(EM1, STATIC), foreign);
}

/// What the kernel ends by a wall clock that jumps is there again at once.
#[test]
fn a_clock_that_jumps_is_no_outage() {
    let mut agent = Agent::settled();
    for (forward, span) in [(true, 86_400), (false, 2 * 86_400), (true, 86_400)] {
        agent.machine.fake.borrow_mut().set_wall_clock(forward, Duration::from_secs(span));
        agent.run_for(61 * SECOND);
        assert_eq!(agent.state(), expected("a", "a000"));
    }
}

/// Stopped, the agent leaves addresses and routes, so that a restart is no outage; or takes all of
/// its own away where that is asked for, and gives the kernel its settings back.
#[test]
fn a_stop_leaves_all_or_nothing() {
    for removes in [false, true] {
        let mut agent = Agent::with(if removes { REMOVING } else { OUTBOUND });
        agent.run_for(SECOND);
        agent.advertise("2001:db8:a::/64");
        agent.run_for(60 * SECOND);
        assert_eq!(agent.state(), expected("a", "a000"));
        agent.give(Input::Command(Command::Stop));
        agent.run_for(20 * SECOND);
        assert!(agent.has_exited);
        let follows = agent.machine.fake.borrow().interfaces[&EM0].nd_flags;
        let follows = follows & abi::ACCEPT_ADVERTISEMENTS != 0;
        if removes {
            assert_eq!(agent.state(), ["fd00::101/120 on 3", "fd00::100/120 on 3"]);
            assert!(follows, "the kernel follows advertisements as it did before");
        } else {
            assert_eq!(agent.state(), expected("a", "a000"));
            assert!(!follows);
        }
    }
}

/// Law 1: killed after any request of a change, and started again, it ends as it would have.
#[test]
fn a_kill_after_any_request_is_mended_by_the_next_start() {
    for requests in 0.. {
        let mut agent = Agent::settled();
        agent.kill_after(requests);
        agent.provider.renumber(net("2001:db8:b000::/56"));
        agent.advertise("2001:db8:b::/64");
        agent.run_for(5 * SECOND);
        let was_killed = agent.is_killed();
        agent.restart();
        agent.run_for(SECOND);
        agent.advertise("2001:db8:b::/64");
        agent.run_for(30 * SECOND);
        let state = agent.state();
        for line in expected("b", "b000") {
            assert!(state.contains(&line), "{requests}: {line} of {state:#?}");
        }
        if requests % 8 == 0 || !was_killed {
            agent.run_for(3 * 3600 * SECOND);
            agent.advertise("2001:db8:b::/64");
            agent.run_for(60 * SECOND);
            assert_eq!(agent.state(), expected("b", "b000"), "{requests}");
        }
        if !was_killed {
            assert!(requests > 8, "a change takes some requests");
            break;
        }
    }
}

/// FBS-02: while nobody runs the kernel ends the addresses and leaves the routes to their links; the
/// next start ends those.
#[test]
fn routes_that_were_left_behind_are_ended_by_the_next_start() {
    let mut agent = Agent::settled();
    agent.kill_after(0);
    agent.machine.pass_alone(4 * 3600 * SECOND);
    assert_eq!(agent.machine.has(EM0, "2001:db8:a::2"), None);
    assert!(agent.machine.has_link_route(EM0, "2001:db8:a::/64"), "the kernel leaves it");
    agent.provider.renumber(net("2001:db8:b000::/56"));
    agent.restart();
    assert!(!agent.machine.has_link_route(EM0, "2001:db8:a::/64"));
    agent.run_for(SECOND);
    agent.advertise("2001:db8:b::/64");
    agent.run_for(60 * SECOND);
    assert_eq!(agent.state(), expected("b", "b000"));
}

/// A downlink is moved to another interface: its address, which FreeBSD has on one interface alone,
/// moves along.
#[test]
fn an_address_moves_to_another_interface() {
    let mut agent = Agent::settled();
    agent.machine.fake.borrow_mut().attach(IfIndex(4), "em2");
    agent.run_for(3 * SECOND);
    agent.reload(MOVED);
    agent.run_for(30 * SECOND);
    let state = agent.state();
    assert!(state.contains(&"2001:db8:a000:ff::1/64 on 4".to_owned()), "{state:#?}");
    assert!(!state.contains(&"2001:db8:a000:ff::1/64 on 3".to_owned()), "{state:#?}");
    assert!(agent.machine.has_link_route(IfIndex(4), "2001:db8:a000:ff::/64"));
}

/// The article's §1: the kernel follows the advertisements of the uplink. Its addresses and its
/// default route are its own, and no second default route shares the packets.
#[test]
fn the_kernel_can_follow_the_advertisements_of_the_uplink() {
    let mut agent = Agent::with(BY_KERNEL);
    agent.run_for(SECOND);
    agent.machine.fake.borrow_mut().learn(EM0, "fe80::9", "2001:db8:a::/64", 7200);
    agent.advertise("2001:db8:a::/64");
    agent.run_for(60 * SECOND);
    let state = agent.state();
    for line in [
        "2001:db8:a::fe00:1/64 on 2",
        "2001:db8:a000:ff::1/64 on 3",
        "2001:db8:a000:ff::/64 on 3",
        "2001:db8:a000::/56 via ::1%1 reject",
        "::/0 via fe80::9%2 foreign",
    ] {
        assert!(state.contains(&line.to_owned()), "{line} of {state:#?}");
    }
    assert_eq!(state.iter().filter(|line| line.starts_with("::/0")).count(), 1);
    let flags = agent.machine.fake.borrow().interfaces[&EM0].nd_flags;
    assert_ne!(flags & abi::ACCEPT_ADVERTISEMENTS, 0);
    assert_eq!(agent.refused, []);
}

/// A downlink that takes no part in IPv6 has no link-local address. The kernel makes one with the first
/// address that the agent sets there.
#[test]
fn a_disabled_downlink_takes_part_with_its_first_address() {
    let mut agent = Agent::new();
    {
        let mut fake = agent.machine.fake.borrow_mut();
        fake.remove(EM1, ip(STATIC)).unwrap();
        fake.remove(EM1, ip("fe80::3")).unwrap();
        fake.interfaces.get_mut(&EM1).unwrap().nd_flags |= abi::DISABLED;
    }
    agent.run_for(SECOND);
    agent.advertise("2001:db8:a::/64");
    agent.run_for(60 * SECOND);
    assert!(agent.state().contains(&"2001:db8:a000:ff::1/64 on 3".to_owned()));
    assert!(agent.machine.has(EM1, "fe80::3").is_some());
    let lacks = agent.conditions().into_iter().any(|(name, ..)| name == "no-link-local");
    assert!(!lacks);
}

/// FBS-14: a link on which the agent has no global address is named while the kernel ignores
/// neighbors there that have one; and so is a link without link-local address, with the remedy for
/// this system.
#[test]
fn a_link_without_a_needed_address_is_named_with_the_remedy() {
    let mut agent = Agent::with(TRANSIT);
    agent.run_for(5 * SECOND);
    let named = |agent: &mut Agent, name: &str| {
        agent.run_for(61 * SECOND);
        let found = agent.conditions().into_iter().find(|(known, ..)| known == name);
        found.map(|(_, subject, remedy)| (subject, remedy))
    };
    let (subject, remedy) = named(&mut agent, "neighbors-ignored").unwrap();
    assert_eq!(subject, "em0");
    assert!(remedy.contains("net.inet6.icmp6.nd6_onlink_ns_rfc4861=1"), "{remedy}");
    agent.machine.fake.borrow_mut().answers_off_link = 1;
    assert_eq!(named(&mut agent, "neighbors-ignored"), None);

    agent.machine.fake.borrow_mut().remove(EM0, ip("fe80::2")).unwrap();
    let (subject, remedy) = named(&mut agent, "no-link-local").unwrap();
    assert_eq!(subject, "em0");
    assert!(remedy.contains("ifconfig IF inet6 -ifdisabled auto_linklocal"), "{remedy}");
    agent.machine.fake.borrow_mut().forwarding = 0;
    let (_, remedy) = named(&mut agent, "forwarding-off").unwrap();
    assert!(remedy.contains("net.inet6.ip6.forwarding=1"), "{remedy}");
}

/// The figures of a change on the article's outbound router: the new prefix of the link and the new
/// delegated one, until both are in the kernel.
#[test]
fn a_change_takes_few_calls() {
    let mut agent = Agent::settled();
    agent.machine.counts();
    agent.provider.renumber(net("2001:db8:b000::/56"));
    agent.advertise("2001:db8:b::/64");
    agent.run_for(SECOND / 4);
    let state = agent.state();
    for line in ["2001:db8:b::2/64 on 2", "2001:db8:b000:ff::1/64 on 3"] {
        assert!(state.contains(&line.to_owned()), "{line} of {state:#?}");
    }
    let counts = agent.machine.counts();
    println!("a change of the outbound router: {counts:?}");
    assert!(counts.ioctls + counts.writes + counts.sysctls <= 24, "{counts:?}");
}
