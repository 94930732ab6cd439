//! The description of the keys is that of what is read.

use super::*;
use crate::config::keys::{ALL, Key, Keys, Kind};

/// Tables of the kind with a key at a value, and what else the kind needs.
fn file(keys: &Keys, key: &str, value: &str) -> String {
    let line = format!("{key} = {value}\n");
    if keys.table.is_empty() {
        return format!("{line}[uplink.tap0]\n");
    }
    let name = if keys.name == "INTERFACE" { "x0" } else { "x" };
    let mut text = format!("[{}.{name}]\n{line}", keys.table);
    // What the kind requires beside the key.
    let required: &[(&str, &str)] = match keys.table {
        "delegation" => &[("downlink", "\"lan0\""), ("duid", "\"00:03:00:01:02:00:5e:00:53:01\"")],
        // What each router gets is no larger than the pool.
        "pool" if key == "length" => &[("downlink", "\"lan0\""), ("size", "1")],
        "pool" => &[("downlink", "\"lan0\"")],
        "engine" if key == "renew" => &[("kind", "\"command\"")],
        "engine" if ["lease-database", "high-availability"].contains(&key) => {
            &[("kind", "\"kea\"")]
        }
        "engine" => &[("kind", "\"dhcp6c\"")],
        // Only resolvconf has an entry for each router.
        "client" if key == "resolver-per-router" => &[("resolver", "\"resolvconf\"")],
        _ => &[],
    };
    for (needed, value) in required.iter().filter(|(needed, _)| *needed != key) {
        let is_instead = (*needed, key) == ("duid", "link-layer");
        if !is_instead {
            text += &format!("{needed} = {value}\n");
        }
    }
    if key == "valid-lifetime" {
        text += "preferred-lifetime = \"10m\"\n";
    }
    if key == "max-interval" {
        text += "min-interval = \"20s\"\n";
    }
    text + "[uplink.tap0]\n[downlink.lan0]\n"
}

/// What is wrong about one key of a table.
fn wrongs(keys: &Keys, key: &str, value: &str) -> Vec<String> {
    let errors = parse("test", &file(keys, key, value)).err().unwrap_or_default();
    let about = |error: &&ConfigError| error.key.ends_with(key);
    errors.iter().filter(about).map(ToString::to_string).collect()
}

fn every(mut check: impl FnMut(&Keys, &Key)) {
    ALL.iter().for_each(|keys| keys.keys.iter().for_each(|key| check(keys, key)));
}

#[test]
fn every_example_is_a_value_that_is_read() {
    every(|keys, key| {
        let wrongs = wrongs(keys, key.name, key.example);
        assert_eq!(wrongs, [""; 0], "[{}] {} = {}", keys.table, key.name, key.example);
    });
}

#[test]
fn every_default_that_is_a_value_is_read() {
    every(|keys, key| {
        if key.default.starts_with(['"', '[']) || key.default.parse::<bool>().is_ok() {
            let wrongs = wrongs(keys, key.name, key.default);
            assert_eq!(wrongs, [""; 0], "[{}] {} = {}", keys.table, key.name, key.default);
        }
    });
}

/// No key is described that the reader passes over.
#[test]
fn every_key_is_read() {
    every(|keys, key| {
        let wrongs = wrongs(keys, key.name, "1979-05-27");
        assert!(!wrongs.is_empty(), "[{}] {} takes a date", keys.table, key.name);
    });
}

#[test]
fn numbers_and_choices_end_where_they_say() {
    every(|keys, key| match key.kind {
        Kind::Number(least, most) => {
            for value in [least, most] {
                let wrongs = wrongs(keys, key.name, &value.to_string());
                assert_eq!(wrongs, [""; 0], "[{}] {} = {value}", keys.table, key.name);
            }
            for value in [least - 1, most + 1] {
                let wrongs = wrongs(keys, key.name, &value.to_string());
                assert!(!wrongs.is_empty(), "[{}] {} = {value}", keys.table, key.name);
            }
        }
        Kind::Choice(choices) => {
            for choice in choices {
                let wrongs = wrongs(keys, key.name, &format!("\"{choice}\""));
                assert_eq!(wrongs, [""; 0], "[{}] {} = {choice}", keys.table, key.name);
            }
            assert!(!wrongs(keys, key.name, "\"qqq\"").is_empty(), "{}", key.name);
        }
        Kind::Boolean
        | Kind::Duration
        | Kind::Text(_)
        | Kind::Texts(_)
        | Kind::ChoiceOrTexts(..)
        | Kind::Table(_)
        | Kind::Tables(_) => {}
    });
}
