//! `renumberd feed`: what a requesting program says to its hook is handed to the agent.

use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail};
use clap::Subcommand;
use ipnet::Ipv6Net;
use nix::ifaddrs::getifaddrs;
use nix::unistd::dup2_stdout;

use super::control;
use crate::core::uplink::lease::Feed;
use crate::daemon::clock;
use crate::engines::feed::{self, Environment, Seen};

/// More than this on standard input is no feed, in octets.
const LONGEST: u64 = 32_768;

/// The program that says it.
#[derive(Debug, Subcommand)]
pub enum Source {
    /// From the environment of a hook of dhcpcd
    Dhcpcd,
    /// From the environment of the script of dhcp6c
    Dhcp6c {
        /// The uplink that it asks on
        uplink: String,
        /// An interface that it puts a part of the prefix on, for a dhcp6c that does not name
        /// prefixes; all addresses there have to be its own
        #[arg(long, value_name = "IF", requires = "length")]
        inner: Option<String>,
        /// Length of what is delegated
        #[arg(long, value_name = "BITS", value_parser = clap::value_parser!(u8).range(1..=64))]
        length: Option<u8>,
    },
    /// From standard input, as JSON
    Json,
}

/// Hands over what a program holds. What is not about a lease is no failure.
///
/// The feed is dated first of all, and standard output is closed then: a hook waits for that, so
/// that two feeds have the order of their hooks, and leaves the rest to go on in the background.
///
/// # Errors
///
/// When it cannot be understood, or the agent does not take it.
pub fn run(runtime_dir: &Path, source: &Source) -> anyhow::Result<()> {
    let now = clock::now().since_boot().as_nanos();
    close_standard_output();
    let feed = match source {
        Source::Dhcpcd => feed::from_dhcpcd(&environment()).map_err(anyhow::Error::msg)?,
        Source::Dhcp6c { uplink, inner, length } => {
            let seen = inner.as_deref().zip(*length);
            let seen = seen.map(|(inner, length)| prefixes_on(inner, length)).transpose()?;
            feed::from_dhcp6c(&environment(), uplink, &seen.unwrap_or_default())
        }
        Source::Json => Some(read()?),
    };
    match feed {
        Some(feed) => {
            let at = feed.at.or_else(|| u64::try_from(now).ok());
            control::feed(runtime_dir, Feed { at, ..feed })
        }
        None => Ok(()),
    }
}

/// Nothing more is written there, so that its reader need not wait.
fn close_standard_output() {
    if let Ok(null) = std::fs::File::create("/dev/null") {
        // Where that fails the hook waits until the end.
        let _ = dup2_stdout(null);
    }
}

fn environment() -> Environment {
    let variables = std::env::vars_os();
    variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn read() -> anyhow::Result<Feed> {
    let mut text = String::new();
    std::io::stdin().take(LONGEST).read_to_string(&mut text).context("standard input")?;
    let example = "write for instance {\"event\": \"bound\", \"interface\": \"tap0\", \"prefixes\": \
                   [{\"iaid\": 1, \"prefix\": \"2001:db8:1200::/56\", \"preferred\": 3600, \
                   \"valid\": 7200}]}";
    let feed: Feed =
        serde_json::from_str(&text).with_context(|| format!("not a feed; {example}"))?;
    if let Err(wrong) = feed.check() {
        bail!("the feed {wrong}");
    }
    Ok(feed)
}

/// The prefixes of `length` bits that the addresses of an interface lie in.
fn prefixes_on(interface: &str, length: u8) -> anyhow::Result<Vec<Seen>> {
    let mut found: Vec<Ipv6Net> = Vec::new();
    for one in getifaddrs()?.filter(|one| one.interface_name == interface) {
        let Some(address) = one.address.as_ref().and_then(|address| address.as_sockaddr_in6())
        else {
            continue;
        };
        let prefix = Ipv6Net::new(address.ip(), length)?.trunc();
        if !address.ip().is_unicast_link_local() && !found.contains(&prefix) {
            found.push(prefix);
        }
    }
    Ok(found)
}
