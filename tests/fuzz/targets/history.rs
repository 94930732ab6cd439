//! Any octets are a history of the core; what must always hold does.
#![no_main]

#[path = "../../history/mod.rs"]
mod history;

libfuzzer_sys::fuzz_target!(|octets: &[u8]| history::run(octets));
