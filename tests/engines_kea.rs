//! Kea in the built-in delegator's place, led by the agent: pools, lease databases, two servers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a failure in a test is a panic"
)]

mod lab;

use ipnet::Ipv6Net;

use lab::above_program::ProgramSide;
use lab::agent::Agent;
use lab::delegating::{INTERFACE, next_hop, site_prefix};
use lab::provider::Era;
use lab::requesting::eras;
use lab::site::{CUSTOMER, Site};
use lab::{CEILING, eventually, pause, secs};

/// A site with a static prefix, of which whoever asks gets a part.
fn pool(era: Era, lines: &str) -> String {
    format!(
        "grace = \"2s\"\n{lines}\n[static.site]\nprefix = \"{}\"\n\
         [downlink.{INTERFACE}]\nsubnet = \"0x0/64\"\ndelegator = \"kea\"\n\
         [pool.guests]\ndownlink = \"{INTERFACE}\"\nprefix = \"0x1/52\"\nlength = 56\n",
        site_prefix(era)
    )
}

/// What the router below holds of an era, once packets find it.
fn settles(site: &Site, below: &Agent, era: Era) -> Ipv6Net {
    eventually(
        &format!("a part of {} is in use below and routed", site_prefix(era)),
        CEILING,
        || {
            let held = below.status().delegated("wan0");
            let held = held.into_iter().find(|held| site_prefix(era).contains(held))?;
            let is_used = site.router_has("lan0", held);
            let is_routed = next_hop(site, held) == Some(CUSTOMER.parse().unwrap());
            (is_used && is_routed).then_some(held)
        },
    )
}

/// Waits until nothing is left of what was held once.
fn forgets(site: &Site, below: &Agent, held: Ipv6Net) {
    eventually(&format!("nothing is left of {held}"), CEILING, || {
        let is_held = below.status().delegated("wan0").contains(&held);
        (!is_held && next_hop(site, held).is_none()).then_some(())
    });
}

/// BKE-12: Kea says who holds which part, and the messages of that router where it is.
#[test]
fn routes_follow_what_kea_gives_of_a_pool() {
    let site = Site::new();
    let (from, to) = eras();
    let mut above = ProgramSide::with(&site, "kea", &pool(from, ""));
    let below = site.agent(&[]);
    let held = settles(&site, &below, from);
    assert_eq!(above.agent.status().conditions("next-hop-unknown"), [""; 0]);
    pause(secs(3));
    above.renumber(to);
    let next = settles(&site, &below, to);
    forgets(&site, &below, held);
    // Law 1: the next run has the route too, and Kea its lease.
    above.agent.kill();
    above.agent.restart();
    pause(secs(2));
    assert_eq!(settles(&site, &below, to), next);
    let bindings = above.agent.status().bindings();
    assert_eq!(bindings, [(next, "given".to_owned())]);
}
