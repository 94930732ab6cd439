//! Two sources of prefixes: what is not known of one holds nothing of the other up.

use renumberd::config::{self, Config};

use super::*;

/// An uplink that works and one whose interface is there without a carrier.
fn two_uplinks() -> Config {
    let names = ["up".to_owned(), "spare".to_owned()];
    let mut config = Config::from_args(&names, &["lan".to_owned()]).unwrap();
    config.downlinks.get_mut("lan").unwrap().subnet =
        Some(config::Place { number: config::PlaceNumber::Low(1), length: 64 });
    config
}

fn first_words(world: &World, since: Instant) -> Option<Duration> {
    let words = world.log.iter().filter(|(at, _)| *at >= since);
    let mut words = words.filter(|(_, event)| matches!(event, Event::Advertise(..)));
    words.next().map(|(at, _)| at.since(since))
}

/// At the start, after a restart that finds another prefix, and after a reload.
#[test]
fn an_uplink_that_is_down_holds_no_words_of_another_up() {
    let mut world = World::new(two_uplinks(), "2001:db8:a000::/56");
    let since = world.now();
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(3));
    assert!(first_words(&world, since).is_some_and(|after| after < Duration::from_secs(2)));
    assert!(world.lifetimes("2001:db8:a000:1::/64").is_some());
    world.run_for(Duration::from_secs(60));
    world.renumber("2001:db8:b000::/56");
    let since = world.now();
    world.restart();
    world.advertise(vec![pio(B, 7200, 3600)]);
    world.run_for(Duration::from_secs(3));
    assert!(first_words(&world, since).is_some_and(|after| after < Duration::from_secs(2)));
    assert!(world.lifetimes("2001:db8:b000:1::/64").is_some());
    assert_eq!(world.lifetimes("2001:db8:a000:1::/64"), Some((0, 0)), "it is known whose that was");
    world.run_for(Duration::from_secs(60));
    let mut config = world.node().config.clone();
    config.uplinks.get_mut("spare").unwrap().rapid_commit ^= true;
    let since = world.now();
    world.command(Command::Reload(Box::new(config)));
    world.renumber("2001:db8:c000::/56");
    world.advertise(vec![pio("2001:db8:c::/64", 7200, 3600)]);
    world.run_for(Duration::from_secs(2));
    assert!(first_words(&world, since).is_some_and(|after| after < Duration::from_secs(1)));
    assert!(world.lifetimes("2001:db8:c000:1::/64").is_some());
}

/// A prefix that nobody accounts for may be of the uplink that has yet to answer: it is not
/// withdrawn before that is given up.
#[test]
fn prefixes_of_unknown_source_are_not_withdrawn_at_once() {
    let mut world = World::new(two_uplinks(), "2001:db8:a000::/56");
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(60));
    let until = world.now() + Duration::from_secs(3000);
    let promises = world.node().memory.advertised.get_mut("lan").unwrap();
    promises.prefixes.insert(net("2001:db8:5000:1::/64"), renumberd::time::Until::At(until));
    let since = world.now();
    world.restart();
    world.run_for(Duration::from_secs(19));
    assert_eq!(first_words(&world, since), None);
    world.run_for(Duration::from_secs(5));
    assert_eq!(world.lifetimes("2001:db8:5000:1::/64"), Some((0, 0)));
    assert!(world.lifetimes("2001:db8:a000:1::/64").is_some_and(|(preferred, _)| preferred > 0));
}

/// With a static prefix beside.
fn with_home(mut config: Config) -> Config {
    let prefix = Some(net("fd00:1::/48"));
    let home = config::Static { prefix, preferred: None, valid: None };
    config.statics.insert("home".to_owned(), home);
    config
}

/// The uplink has yet to answer when the only prefix that there was leaves the configuration.
#[test]
fn advertised_prefixes_that_are_over_are_withdrawn_at_once() {
    let mut config = two_uplinks();
    config.uplinks.remove("up");
    let mut world = World::new(with_home(config.clone()), "2001:db8:a000::/56");
    world.run_for(Duration::from_secs(10));
    assert!(world.lifetimes("fd00:1:0:1::/64").is_some_and(|(preferred, _)| preferred > 0));
    world.command(Command::Reload(Box::new(config)));
    world.run_for(Duration::from_millis(100));
    assert_eq!(world.lifetimes("fd00:1:0:1::/64"), Some((0, 0)));
}

/// What was taken in, and has had no effect yet, counts for the last advertisement.
#[test]
fn the_last_advertisement_promises_nothing_that_is_over() {
    let config = two_uplinks();
    let mut world = World::new(with_home(config.clone()), "2001:db8:a000::/56");
    world.advertise(vec![pio(A, 7200, 3600)]);
    world.run_for(Duration::from_secs(30));
    assert!(world.lifetimes("fd00:1:0:1::/64").is_some_and(|(preferred, _)| preferred > 0));
    world.take_in(Input::Command(Command::Reload(Box::new(config))));
    world.command(Command::Stop);
    assert_eq!(world.lifetimes("fd00:1:0:1::/64"), Some((0, 0)));
    assert!(world.lifetimes("2001:db8:a000:1::/64").is_some_and(|(preferred, _)| preferred > 0));
}
