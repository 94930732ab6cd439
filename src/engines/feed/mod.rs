//! What a requesting program hands to its hook, as a [`Feed`].
//!
//! A part that makes no sense is left out, the rest is used: a search domain that is none does not
//! cost a prefix.

mod dhcp6c;
mod dhcpcd;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use crate::core::uplink::lease::Feed;

pub use dhcp6c::Seen;

/// The environment of a hook.
pub type Environment = BTreeMap<String, String>;

/// What dhcpcd says in the environment of its hook; none where that is not about a lease.
///
/// # Errors
///
/// What is missing.
pub fn from_dhcpcd(environment: &Environment) -> Result<Option<Feed>, String> {
    dhcpcd::feed(environment)
}

/// The environment that dhcp6c gives its script does not name the interface: `uplink` does. What
/// dhcp6c has put on other interfaces is in `seen`, as the script does not learn of that.
pub fn from_dhcp6c(environment: &Environment, uplink: &str, seen: &[Seen]) -> Option<Feed> {
    dhcp6c::feed(environment, uplink, seen)
}

/// The words of a variable that can be read as what they should be.
fn words<T: std::str::FromStr>(environment: &Environment, name: &str) -> Vec<T> {
    let words = environment.get(name).map_or("", String::as_str).split_whitespace();
    words.filter_map(|word| word.parse().ok()).collect()
}

/// DNS servers that can be some.
fn servers(environment: &Environment, name: &str) -> Vec<Ipv6Addr> {
    let is_usable = |server: &Ipv6Addr| {
        !server.is_unspecified() && !server.is_multicast() && !server.is_loopback()
    };
    words(environment, name).into_iter().filter(is_usable).take(Feed::RESOLVERS).collect()
}

/// Search domains that can be some.
fn domains(environment: &Environment, name: &str) -> Vec<String> {
    let domains = words::<String>(environment, name).into_iter();
    domains.filter(|domain| Feed::is_domain(domain)).take(Feed::RESOLVERS).collect()
}
