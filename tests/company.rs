//! Whole sites in which other people's programs do the work: led by the agent, beside routers on
//! which the agent does all of it, and below the article's own hooks.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a failure in a test is a panic"
)]

mod lab;
#[path = "company/site.rs"]
mod site;
#[path = "company/way.rs"]
mod way;

use nix::sys::signal::Signal;
use renumberd::lab::company;
use renumberd::lab::site::nodes::{Era, UPLINK};

use lab::{millis, pause, secs, sys};
use site::Site;
use way::Way;

/// A redial of the site, and what is left of it.
fn redials(ways: &[Way]) {
    let (from, to) = (Era(1), Era(2));
    let mut site = Site::settled(ways, from);
    site.is_routed(from);
    site.runs_well();
    pause(secs(4));
    let since = sys::monotonic();
    site.redial(to);
    site.follows(to);
    println!("{ways:?}: all have followed {:?} after the redial began", sys::monotonic() - since);
    site.is_routed(to);
    site.forgets(from);
    site.runs_well();
}

/// The article's site with the agent in the place of its hooks: after a redial all is there that
/// its script did, and nothing else (BKE-16).
#[test]
fn the_article_s_site_follows_a_redial() {
    redials(&[Way::Company; 3]);
}

/// BKE-16: the wlan router of the article, which is served by the outbound router by way of
/// the backbone router: that relays, and routes what it relays.
#[test]
fn a_router_behind_a_relay_agent_of_ours_follows_a_redial() {
    redials(&[Way::Company, Way::Relay, Way::Company]);
}

/// BKE-16: with dhcp6relay everybody has new addresses as well. What it does not do is the route to
/// what is delegated by way of it, and the agent beside it does not see what that is.
#[test]
fn a_router_behind_dhcp6relay_follows_a_redial_but_is_not_routed() {
    let (from, to) = (Era(1), Era(2));
    let mut site = Site::settled(&[Way::Company, Way::RelayOfOthers, Way::Company], from);
    site.runs_well();
    pause(secs(4));
    site.redial(to);
    site.follows(to);
    site.forgets(from);
    site.runs_well();
    let host = site.plan.client_prefix(to).network();
    let way = site.routers[1].namespace.ip(&format!("-6 route get {host}"));
    assert!(way.contains(&format!("dev {UPLINK}")), "it goes back where it came from: {way}");
}

/// BKE-16
#[test]
fn a_router_of_ours_above_one_with_programs_follows_a_redial() {
    redials(&[Way::BuiltIn, Way::Company]);
}

/// BKE-16
#[test]
fn a_router_of_ours_below_one_with_programs_follows_a_redial() {
    redials(&[Way::Company, Way::BuiltIn]);
}

/// CHG-15: the article's routers advertise a new prefix before their dhcp6s knows of it.
#[test]
fn routers_of_ours_below_the_article_s_follow_a_redial() {
    redials(&[Way::Article, Way::BuiltIn, Way::Company]);
}

/// What happens to a program of the backbone while the site is renumbered, and that it is mended.
fn goes_on(signal: Signal) {
    let mut site = Site::settled(&[Way::Company; 2], Era(1));
    site.runs_well();
    for (number, program) in (2..).zip(["radvd", "dhcp6s", "dhcpcd"]) {
        pause(secs(4));
        // dhcp6s of the last router would have nobody to serve.
        let at = usize::from(program == "radvd");
        site.routers[at].signal(program, signal);
        site.change(Era(number));
        if program == "dhcpcd" {
            pause(millis(500));
            let router = &mut site.routers[at];
            if signal == Signal::SIGSTOP {
                router.signal(program, Signal::SIGCONT);
            } else {
                router.programs.clear();
                router.launch(&company::REQUESTER);
            }
        }
        let since = sys::monotonic();
        site.follows(Era(number));
        println!("{signal} to {program}: followed after {:?}", sys::monotonic() - since);
        site.runs_well();
        // A dhcpcd that was killed leaves its route to the whole prefix to nobody.
        if (program, signal) != ("dhcpcd", Signal::SIGKILL) {
            site.forgets(Era(number - 1));
        }
    }
    site.is_routed(Era(4));
}

/// BKE-07
#[test]
fn programs_that_are_killed_during_a_change_are_no_obstacle() {
    goes_on(Signal::SIGKILL);
}

/// BKE-07
#[test]
fn programs_that_hang_during_a_change_are_no_obstacle() {
    goes_on(Signal::SIGSTOP);
}
