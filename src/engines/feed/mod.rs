//! The report of a requesting program to its hook, as a [`Feed`].
//!
//! A part that cannot be read is left out and the rest is used: a wrong search domain does not cost
//! a prefix.

mod dhcp6c;
mod dhcpcd;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use crate::core::uplink::lease::Feed;

pub use dhcp6c::Seen;

/// The environment of a hook.
pub type Environment = BTreeMap<String, String>;

/// The report in the environment of dhcpcd's hook; none where that is not about a lease.
///
/// # Errors
///
/// The variable that is missing.
pub fn from_dhcpcd(environment: &Environment) -> Result<Option<Feed>, String> {
    dhcpcd::feed(environment)
}

/// The report in the environment of dhcp6c's script. That does not name the interface, which is
/// `uplink`, nor the prefixes: `seen` are those of the addresses that dhcp6c has set on other
/// interfaces.
pub fn from_dhcp6c(environment: &Environment, uplink: &str, seen: &[Seen]) -> Option<Feed> {
    dhcp6c::feed(environment, uplink, seen)
}

/// The words of a variable that can be parsed.
fn words<T: std::str::FromStr>(environment: &Environment, name: &str) -> Vec<T> {
    let words = environment.get(name).map_or("", String::as_str).split_whitespace();
    words.filter_map(|word| word.parse().ok()).collect()
}

/// The addresses of a variable that can be DNS servers.
fn servers(environment: &Environment, name: &str) -> Vec<Ipv6Addr> {
    let is_usable = |server: &Ipv6Addr| {
        !server.is_unspecified() && !server.is_multicast() && !server.is_loopback()
    };
    words(environment, name).into_iter().filter(is_usable).take(Feed::RESOLVERS).collect()
}

/// The names of a variable that can be search domains.
fn domains(environment: &Environment, name: &str) -> Vec<String> {
    let domains = words::<String>(environment, name).into_iter();
    domains.filter(|domain| Feed::is_domain(domain)).take(Feed::RESOLVERS).collect()
}
