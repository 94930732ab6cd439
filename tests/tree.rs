//! Trees of agents in virtual time: what the provider changes reaches every router, whatever is
//! lost or killed on the way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]
#![allow(unreachable_pub, reason = "files of one binary share it")]
#![allow(clippy::wildcard_enum_match_arm, reason = "tests look at some variants only")]

mod tree {
    pub mod chain;
    mod histories;
    mod hostile;
    pub mod lan;
    mod leased;
    mod loss;
    mod many;
    mod promises;
    mod relay_agents;
    mod reported;
    mod serving;
    mod takeover;
    pub mod watch;
}
mod world;

use std::time::Duration;

use renumberd::config::file;
use renumberd::core::input::{Command, Input};
use renumberd::wire::dhcpv6::MessageType::{Rebind, Renew, Request, Solicit};

use tree::chain::{LAN, Tree, UP, config};

const A: &str = "2001:db8:a000::/56";
const B: &str = "2001:db8:b000::/56";
const C: &str = "2001:db8:c000::/56";
const NETS: [(&str, &str); 3] =
    [(A, "2001:db8:fffa::/64"), (B, "2001:db8:fffb::/64"), (C, "2001:db8:fffc::/64")];

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn millis(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A chain that has settled on A.
fn settled(length: usize, reconfigure: bool) -> Tree {
    let mut tree = Tree::chain(length, A, reconfigure);
    tree.run_for(secs(120));
    assert!(tree.follows(A), "{:#?}", tree.state());
    tree
}

/// What a router has and gives, in text.
fn picture(tree: &Tree, number: usize) -> Vec<String> {
    let node = &tree.net.nodes[number];
    let status = node.core.status(tree.net.now);
    let conditions = status.conditions.iter().map(|one| format!("{} {}", one.name, one.subject));
    let links = status.downlinks.iter().map(|link| format!("{link:?}"));
    let bindings = status.bindings.iter().map(|binding| format!("{binding:?}"));
    node.state().into_iter().chain(conditions).chain(links).chain(bindings).collect()
}

/// Whatever was done step by step, the whole recompute finds nothing left to do.
fn nothing_is_left_to_do(tree: &mut Tree) {
    tree.run_for(millis(1));
    while tree.net.nodes.iter().any(|node| node.core.has_postponed_work()) {
        tree.run_for(millis(1));
    }
    for number in 0..tree.net.nodes.len() {
        let before = picture(tree, number);
        let system = tree.net.nodes[number].kernel.system().clone();
        tree.give(number, Input::System(system));
        assert_eq!(picture(tree, number), before, "router {number}");
    }
}

/// SRV-27, SRV-37: a day of six hops.
#[test]
fn lifetimes_neither_halve_nor_outlive_the_lease_above() {
    let mut tree = settled(6, true);
    tree.watch = tree::watch::Watch::default();
    tree.run_for(secs(86_400));
    assert!(tree.follows(A));
    assert!(tree.watch.shortest.unwrap() >= 1800, "{:?} s", tree.watch.shortest);
    for router in 0..6 {
        let most = tree.watch.most_in_an_hour(router);
        assert!(
            most <= 5,
            "router {router} renews {most} times: {:?}",
            tree.watch.renewals_of(router)
        );
    }
    assert!(tree.watch.replies > 5 * 24);
}

/// The same where the provider's own lifetimes are shorter or longer than what is given on.
#[test]
fn lifetimes_follow_any_provider() {
    for (preferred, valid, t1, least) in [
        (2700, 5400, 1350, 1200),
        (3600, 7200, 900, 1800),
        (4500, 7200, 2250, 1800),
        (5000, 7200, 2500, 1800),
        (7200, 14_400, 3600, 1800),
        (7200, 14_400, 5760, 1800),
        (86_400, 172_800, 43_200, 1800),
    ] {
        let mut tree = Tree::chain(6, A, true);
        let provider = tree.provider();
        (provider.preferred, provider.valid, provider.t1) = (preferred, valid, t1);
        tree.run_for(secs(120));
        tree.watch = tree::watch::Watch::default();
        tree.run_for(secs(20_000));
        assert!(tree.follows(A), "{t1}");
        assert!(tree.watch.shortest.unwrap() >= least, "{t1}: {:?} s", tree.watch.shortest);
        for router in 0..6 {
            let most = tree.watch.most_in_an_hour(router);
            assert!(most <= 5, "{t1}: router {router} renews {most} times");
        }
    }
}

/// SRV-50, SRV-56, SRV-59: with and without Reconfigure, in milliseconds.
#[test]
fn a_change_reaches_the_sixth_hop_in_milliseconds() {
    for reconfigure in [true, false] {
        let mut tree = settled(6, reconfigure);
        tree.renumber(B, "2001:db8:fffb::/64");
        tree.run_for(millis(20));
        let last = tree.net.nodes[4].delegated();
        assert!(
            last.iter().any(|one| one.starts_with("2001:db8:b000:")),
            "{reconfigure}: {last:?}"
        );
        tree.run_for(secs(60));
        assert!(tree.follows(B), "{:#?}", tree.state());
        nothing_is_left_to_do(&mut tree);
        tree.run_for(secs(7200));
        assert!(tree.follows(B));
    }
}

#[test]
fn three_changes_in_a_row_end_at_the_last() {
    for gap in [0, 1, 300, 2000] {
        let mut tree = settled(4, true);
        for (prefix, on_link) in [NETS[1], NETS[2], NETS[0]] {
            tree.renumber(prefix, on_link);
            tree.run_for(millis(gap));
        }
        tree.run_for(secs(90));
        assert!(tree.follows(A), "{gap} ms apart: {:#?}", tree.state());
        nothing_is_left_to_do(&mut tree);
    }
}

/// Law 1: any router killed after any of its outputs during a change.
#[test]
fn killed_at_any_step_a_tree_ends_in_the_same_state() {
    let mut undisturbed = settled(3, true);
    undisturbed.renumber(B, "2001:db8:fffb::/64");
    undisturbed.run_for(secs(300));
    let soon = undisturbed.state();
    undisturbed.run_for(secs(7500));
    let wanted = undisturbed.state();
    for killed in 0..3 {
        for outputs in 0.. {
            let mut tree = settled(3, true);
            tree.renumber(B, "2001:db8:fffb::/64");
            tree.net.nodes[killed].kill_after = Some(outputs);
            tree.run_for(secs(40));
            // It has survived all that the change made it do.
            if tree.net.nodes[killed].kill_after.is_some() {
                break;
            }
            tree.run_for(secs(260));
            assert_eq!(tree.state(), soon, "{killed} killed after {outputs} outputs");
            nothing_is_left_to_do(&mut tree);
            tree.run_for(secs(7500));
            assert_eq!(tree.state(), wanted, "{killed} killed after {outputs} outputs");
        }
    }
}

#[test]
fn two_percent_of_loss_are_lived_with() {
    for seed in 1..=8 {
        let mut tree = settled(4, seed % 2 == 0);
        tree.net.seed = seed;
        tree.lose(20);
        for (prefix, on_link) in [NETS[1], NETS[2]] {
            tree.renumber(prefix, on_link);
            tree.advertise();
            tree.run_for(secs(1500));
            assert!(tree.follows(prefix), "seed {seed}: {:#?}", tree.state());
        }
        nothing_is_left_to_do(&mut tree);
    }
}

/// SRV-58: a child that solicits during an outage has its prefix within a second of its end.
#[test]
fn an_outage_ends_for_all_at_once() {
    for reconfigure in [true, false] {
        let mut tree = Tree::chain(4, A, reconfigure);
        tree.provider().deaf_to = vec![Solicit, Request, Renew, Rebind];
        tree.run_for(secs(300));
        assert!(tree.net.nodes.iter().all(|node| node.delegated().is_empty()));
        tree.provider().deaf_to.clear();
        let asked = |tree: &Tree| tree.net.nodes[0].state().iter().any(|one| one.contains("a000"));
        while !asked(&tree) {
            tree.run_for(millis(10));
        }
        tree.run_for(millis(990));
        assert!(tree.follows(A), "{:#?}", tree.state());
    }
}

/// DWN-04: an interface that comes back has its routes back.
#[test]
fn routes_are_back_after_a_crash_and_a_bounce() {
    let mut tree = settled(3, true);
    let wanted = tree.state();
    tree.set_running(0, LAN, false);
    tree.set_running(1, UP, false);
    tree.run_for(secs(10));
    tree.restart(0);
    tree.set_running(0, LAN, true);
    tree.set_running(1, UP, true);
    tree.run_for(millis(1));
    assert_eq!(tree.net.nodes[0].delegated(), ["2001:db8:a000:80::/57"], "at once");
    tree.run_for(secs(30));
    assert_eq!(tree.state(), wanted);
    nothing_is_left_to_do(&mut tree);
}

/// DWN-03: a link that leaves the configuration keeps no route to what was delegated there. Its
/// router, which has it still, has the route again when the link comes back.
#[test]
fn a_link_that_is_configured_no_more_leads_to_no_delegation() {
    let mut tree = settled(2, true);
    let reload = |tree: &mut Tree, text: &str| {
        let config = file::parse("test.toml", text).unwrap();
        tree.give(0, Input::Command(Command::Reload(Box::new(config))));
        tree.run_for(secs(10));
    };
    let given = tree.net.nodes[0].delegated();
    assert_eq!(given, ["2001:db8:a000:80::/57"]);
    reload(&mut tree, "[uplink.up]\n");
    assert!(tree.net.nodes[0].delegated().is_empty());
    assert_eq!(tree.net.nodes[0].core.status(tree.net.now).bindings.len(), 1, "it holds it");
    reload(&mut tree, &config(0, true));
    assert_eq!(tree.net.nodes[0].delegated(), given);
    nothing_is_left_to_do(&mut tree);
}
