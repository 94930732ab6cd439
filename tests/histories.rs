//! Random histories of one agent in a small world, and those that once found a fault.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on has failed, in functions beside the tests too"
)]
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "the world answers some types of messages only"
)]

#[path = "history/mod.rs"]
mod history;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// The same histories each time, a few hundred hours of virtual time. PROPTEST_CASES asks for four
/// times as many as run, PROPTEST_RNG_SEED for others. What is found becomes a test with a name.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let rng_seed = match default.rng_seed {
        RngSeed::Random => RngSeed::Fixed(0),
        asked @ RngSeed::Fixed(_) => asked,
    };
    ProptestConfig { cases: default.cases / 4, failure_persistence: None, rng_seed, ..default }
}

/// A quarter of them: some of the others have programs or are hosts as well.
fn few() -> ProptestConfig {
    let config = config();
    ProptestConfig { cases: config.cases / 4, ..config }
}

proptest! {
    #![proptest_config(config())]

    /// Whatever happens, what must always hold does, and the world comes to rest.
    #[test]
    fn every_history_ends_well(octets in prop::collection::vec(any::<u8>(), 0..400)) {
        history::run(&octets);
    }
}

proptest! {
    #![proptest_config(few())]

    /// The same where other programs do the work of built-ins.
    #[test]
    fn every_history_with_other_programs_ends_well(
        first in 224_u8..240,
        octets in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        history::run(&[&[first], octets.as_slice()].concat());
    }
}

proptest! {
    #![proptest_config(few())]

    /// The same where the machine is a host on one link or two.
    #[test]
    fn every_history_of_a_host_ends_well(
        first in 240_u8..,
        octets in prop::collection::vec(any::<u8>(), 0..400),
    ) {
        history::run(&[&[first], octets.as_slice()].concat());
    }
}

#[test]
fn nothing_happens() {
    (0..5).chain(224..227).chain(240..244).for_each(|config| history::run(&[config]));
}

/// Histories that once found a fault. What libFuzzer finds is replayed by a copy of its file there, or
/// where HISTORY names it.
#[test]
fn histories_that_once_failed_end_well() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/history/found");
    let files = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    let files = files.chain(std::env::var_os("HISTORY").map(std::path::PathBuf::from));
    let histories: Vec<Vec<u8>> = files.map(|file| std::fs::read(file).unwrap()).collect();
    assert!(!histories.is_empty(), "{folder} is empty");
    histories.iter().for_each(|octets| history::run(octets));
}
