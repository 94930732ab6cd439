//! Histories of a tree: whatever happens, and in whatever order, what was done step by step is what the
//! whole derivation finds, and in the end all routers follow the last change.

use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use renumberd::config::file;
use renumberd::core::input::{Command, Input};
use renumberd::net::IfIndex;
use renumberd::wire::dhcpv6::MessageType::{Rebind, Renew, Request, Solicit};
use renumberd::wire::dhcpv6_option::{Status, StatusCode};

use super::chain::{LAN, Tree, UP, config};
use crate::{NETS, millis, nothing_is_left_to_do, secs, settled};

/// Routers in the tree.
const ROUTERS: usize = 3;

/// What a provider gives, in seconds: preferred, valid, T1.
const LIFETIMES: [(u32, u32, u32); 6] = [
    (3600, 7200, 1800),
    (86_400, 172_800, 43_200),
    (600, 600, 300),
    (120, 240, 60),
    (30, 60, 15),
    (10, 20, 5),
];

/// What happens to a tree.
#[derive(Clone, Debug)]
enum Event {
    Renumber(usize),
    /// Another change so many milliseconds after one.
    RenumberTwice(usize, usize, u64),
    Restart(usize),
    /// The link below a router loses its carrier for a moment.
    Bounce(usize),
    /// The uplink of a router loses its carrier for so many milliseconds.
    BounceUplink(usize, u64),
    /// A router has another configuration.
    Reload(usize, usize),
    /// What the provider gives lasts for another time.
    Lifetimes(usize),
    /// The provider has no prefix to give, or has one again.
    Refuse(bool),
    /// The provider withdraws what it has given, or gives it again.
    Withdraw(bool),
    /// The provider answers nothing, or answers again.
    Deaf(bool),
    /// The provider forgets what it has given.
    Forget,
    /// All machines sleep for so many seconds, and one of them notices.
    Sleep(usize, u64),
    Lose(u64),
    Wait(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let router = || 0..ROUTERS;
    prop_oneof![
        6 => (0..NETS.len()).prop_map(Event::Renumber),
        2 => (0..NETS.len(), 0..NETS.len(), 0_u64..100)
            .prop_map(|(one, other, gap)| Event::RenumberTwice(one, other, gap)),
        3 => router().prop_map(Event::Restart),
        2 => (0..ROUTERS - 1).prop_map(Event::Bounce),
        2 => (router(), prop_oneof![0_u64..300, 1000_u64..30_000])
            .prop_map(|(number, span)| Event::BounceUplink(number, span)),
        3 => (router(), 0..CONFIGS).prop_map(|(number, variant)| Event::Reload(number, variant)),
        2 => (0..LIFETIMES.len()).prop_map(Event::Lifetimes),
        1 => any::<bool>().prop_map(Event::Refuse),
        1 => any::<bool>().prop_map(Event::Withdraw),
        1 => any::<bool>().prop_map(Event::Deaf),
        1 => Just(Event::Forget),
        1 => (router(), prop_oneof![1_u64..60, 600_u64..40_000])
            .prop_map(|(number, span)| Event::Sleep(number, span)),
        2 => prop_oneof![Just(0), Just(200)].prop_map(Event::Lose),
        8 => prop_oneof![0_u64..500, 10_000_u64..60_000, 1_000_000_u64..3_000_000]
            .prop_map(Event::Wait),
    ]
}

/// How many configurations a router may have.
const CONFIGS: usize = 5;

/// The first is the one that it has at the start.
fn config_of(number: usize, variant: usize) -> String {
    let usual = config(number, true);
    match variant {
        0 => usual,
        1 => config(number, false),
        2 => format!("grace = \"5s\"\n{usual}"),
        3 => format!("{usual}[static.site]\nprefix = \"fd00:{}::/48\"\n", number + 1),
        _ => "[uplink.up]\n[downlink.lan]\nsubnet = \"0x0/64\"\n".to_owned(),
    }
}

fn reload(tree: &mut Tree, number: usize, variant: usize) {
    let config = file::parse("test.toml", &config_of(number, variant)).unwrap();
    tree.net.nodes[number].config = config.clone();
    tree.give(number, Input::Command(Command::Reload(Box::new(config))));
}

fn bounce(tree: &mut Tree, number: usize, index: IfIndex, span: Duration) {
    tree.set_running(number, index, false);
    tree.run_for(span);
    tree.set_running(number, index, true);
}

fn happen(tree: &mut Tree, event: &Event) {
    let renumber = |tree: &mut Tree, to: usize| tree.renumber(NETS[to].0, NETS[to].1);
    match *event {
        Event::Renumber(to) => renumber(tree, to),
        Event::RenumberTwice(one, other, gap) => {
            renumber(tree, one);
            tree.run_for(millis(gap));
            renumber(tree, other);
        }
        Event::Restart(number) => tree.restart(number),
        Event::Bounce(number) => bounce(tree, number, LAN, millis(100)),
        Event::BounceUplink(number, span) => bounce(tree, number, UP, millis(span)),
        Event::Reload(number, variant) => reload(tree, number, variant),
        Event::Lifetimes(which) => set_lifetimes(tree, LIFETIMES[which]),
        Event::Refuse(refuses) => {
            let status = Status { code: StatusCode::NoPrefixAvail, text: String::new() };
            tree.provider().refuses = refuses.then_some(status);
        }
        Event::Withdraw(true) => set_lifetimes(tree, (0, 0, 0)),
        Event::Withdraw(false) => set_lifetimes(tree, LIFETIMES[0]),
        Event::Deaf(is_deaf) => {
            let all = vec![Solicit, Request, Renew, Rebind];
            tree.provider().deaf_to = if is_deaf { all } else { Vec::new() };
        }
        Event::Forget => tree.provider().forgot = true,
        Event::Sleep(number, span) => {
            tree.net.now = tree.net.now + secs(span);
            tree.give(number, Input::Resumed);
        }
        Event::Lose(of_thousand) => tree.lose(of_thousand),
        Event::Wait(milliseconds) => tree.run_for(millis(milliseconds)),
    }
}

fn set_lifetimes(tree: &mut Tree, (preferred, valid, t1): (u32, u32, u32)) {
    let provider = tree.provider();
    (provider.preferred, provider.valid, provider.t1) = (preferred, valid, t1);
}

/// Lives through `events`. Whatever was done step by step is what the whole derivation finds, and in
/// the end all follow the last change.
fn live_through(events: &[Event]) {
    let mut tree = settled(ROUTERS, true);
    for event in events {
        happen(&mut tree, event);
        nothing_is_left_to_do(&mut tree);
    }
    for event in [Event::Lose(0), Event::Refuse(false), Event::Withdraw(false), Event::Deaf(false)]
    {
        happen(&mut tree, &event);
    }
    (0..ROUTERS).for_each(|number| reload(&mut tree, number, 0));
    tree.advertise();
    tree.run_for(secs(6000));
    let last = tree.provider().prefix.to_string();
    assert!(tree.follows(&last), "{last}: {:#?}", tree.state());
    nothing_is_left_to_do(&mut tree);
}

/// The same histories each time. PROPTEST_CASES asks for more of them, PROPTEST_RNG_SEED for others;
/// what is found becomes one of [`histories_that_found_a_fault_end_well`].
fn config_of_histories() -> ProptestConfig {
    let default = ProptestConfig::default();
    let rng_seed = match default.rng_seed {
        RngSeed::Random => RngSeed::Fixed(0),
        asked @ RngSeed::Fixed(_) => asked,
    };
    ProptestConfig { cases: default.cases / 16, failure_persistence: None, rng_seed, ..default }
}

proptest! {
    #![proptest_config(config_of_histories())]

    /// Incremental equals from scratch, and in the end all follow the last change.
    #[test]
    fn any_history_ends_at_the_last_change(events in prop::collection::vec(event(), 1..16)) {
        live_through(&events);
    }
}

#[test]
fn histories_that_found_a_fault_end_well() {
    use Event::{Bounce, Lose, Renumber, Restart, Wait};
    live_through(&[Bounce(1), Bounce(1)]);
    live_through(&[Restart(0), Lose(200), Wait(0), Wait(2_881_397)]);
    // Advertisements are lost until the new prefix is deprecated: that is no reason to form an
    // address in the old one again.
    live_through(&[Lose(200), Restart(0), Renumber(1), Wait(1_062_550)]);
}
