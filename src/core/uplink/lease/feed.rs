//! The report of another program about the lease that it holds.

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use crate::wire::dhcpv6_option::{Duid, Iaid};

/// The longest search domain, in octets (RFC 1035 §2.3.4).
const DOMAIN: usize = 253;

/// The whole lease of a requesting program on an uplink, or the end of prefixes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Feed {
    /// The event that it reports.
    pub event: Event,
    /// The time of the event in nanoseconds since boot, where the hook reports it. A report that
    /// arrives after a newer one is dropped.
    #[serde(default)]
    pub at: Option<u64>,
    /// The uplink.
    pub interface: String,
    /// The server, where the program names it.
    #[serde(default)]
    pub server: Option<Duid>,
    /// The delegated prefixes.
    #[serde(default)]
    pub prefixes: Vec<FedPrefix>,
    /// Prefixes that are delegated no more.
    #[serde(default)]
    pub withdrawn: Vec<WithdrawnPrefix>,
    /// DNS servers.
    #[serde(default)]
    pub servers: Vec<Ipv6Addr>,
    /// Search domains.
    #[serde(default)]
    pub domains: Vec<String>,
}

/// The event of a lease.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    /// It was granted or confirmed, and is as the feed says.
    Bound,
    /// The prefixes that the feed withdraws have ended: they ran out, or were released.
    Ended,
}

/// A delegated prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FedPrefix {
    /// Its IA_PD.
    #[serde(default = "first")]
    pub iaid: Iaid,
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The part that the delegating router keeps (RFC 6603).
    #[serde(default)]
    pub exclude: Option<Ipv6Net>,
    /// Preferred lifetime left, in seconds; 4294967295 for ever.
    pub preferred: u32,
    /// Valid lifetime left, in seconds; 4294967295 for ever.
    pub valid: u32,
}

/// A prefix that is not delegated any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WithdrawnPrefix {
    /// Its IA_PD.
    #[serde(default = "first")]
    pub iaid: Iaid,
    /// The prefix.
    pub prefix: Ipv6Net,
}

const fn first() -> Iaid {
    Iaid(1)
}

impl Feed {
    /// The most delegated prefixes in one feed, and the most withdrawn ones.
    pub const PREFIXES: usize = 64;
    /// The most DNS servers and the most search domains in one feed.
    pub const RESOLVERS: usize = 16;

    /// Whether it can be believed, as if it came from the network.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), String> {
        let count = |what, count, most| {
            if count > most { Err(format!("names {count} {what}: {most} at most")) } else { Ok(()) }
        };
        count("prefixes", self.prefixes.len(), Self::PREFIXES)?;
        count("prefixes that have ended", self.withdrawn.len(), Self::PREFIXES)?;
        count("DNS servers", self.servers.len(), Self::RESOLVERS)?;
        count("search domains", self.domains.len(), Self::RESOLVERS)?;
        let withdrawn = self.withdrawn.iter().map(|withdrawn| withdrawn.prefix);
        for prefix in self.prefixes.iter().map(|fed| fed.prefix).chain(withdrawn) {
            if prefix != prefix.trunc() {
                return Err(format!("{prefix} has bits set beyond its length"));
            }
            if !(1..=64).contains(&prefix.prefix_len()) {
                return Err(format!("{prefix} is no prefix to delegate: 1 to 64 bits are"));
            }
        }
        for fed in &self.prefixes {
            if let Some(exclude) = fed.exclude.filter(|exclude| !fed.prefix.contains(exclude)) {
                return Err(format!("{exclude} is kept by the server, but not in {}", fed.prefix));
            }
        }
        if let Some(server) = self
            .servers
            .iter()
            .find(|server| server.is_unspecified() || server.is_multicast() || server.is_loopback())
        {
            return Err(format!("{server} can be no DNS server"));
        }
        if let Some(domain) = self.domains.iter().find(|domain| !Self::is_domain(domain)) {
            return Err(format!("{domain:?} is no search domain"));
        }
        Ok(())
    }

    /// Whether a text can be a search domain (RFC 1035 §2.3.1, with underscores).
    pub fn is_domain(text: &str) -> bool {
        let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_');
        let text = text.strip_suffix('.').unwrap_or(text);
        text.len() <= DOMAIN
            && text
                .split('.')
                .all(|label| (1..=63).contains(&label.len()) && label.chars().all(is_plain))
    }
}
