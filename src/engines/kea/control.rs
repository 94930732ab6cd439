//! Kea's control socket: one command a connection, in JSON, each with a time limit and a bound.

use std::io;
use std::path::Path;
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::{Configured, Held};
use crate::core::delegate::AssignedPrefix;
use crate::time::Lifetime;
use crate::wire::dhcpv6_option::{Duid, Iaid};

/// A program that has not answered by then hangs.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// The longest answer that is read.
const MAX_ANSWER: u64 = 4 << 20;
/// Leases of one answer, and answers of one listing.
const PAGE: usize = 1000;
const MAX_PAGES: usize = 128;

/// The program has what was asked for, or there was nothing to do.
const SUCCESS: i64 = 0;
const EMPTY: i64 = 3;

/// Why a command came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no answer, or it is not one of Kea.
    #[error("the control socket does not answer: {0}")]
    Silent(#[from] io::Error),
    /// The program does not do it, and says why.
    #[error("{command} is refused: {text}")]
    Refused {
        /// The command.
        command: &'static str,
        /// What the program says.
        text: String,
    },
}

/// A delegated prefix that a requesting router holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The router that holds it.
    pub duid: Duid,
    /// For which IA_PD.
    pub iaid: Iaid,
    /// When it was given or renewed last, in seconds since 1970.
    pub renewed_at: u64,
    /// Its preferred lifetime from then on.
    pub preferred: Lifetime,
    /// Its valid lifetime from then on.
    pub valid: Lifetime,
}

/// What each answer has.
#[derive(Deserialize)]
struct Answer {
    result: i64,
    #[serde(default)]
    text: String,
    #[serde(default)]
    arguments: Value,
}

#[derive(Deserialize)]
struct Leases {
    leases: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct StatedLease {
    ip_address: std::net::Ipv6Addr,
    prefix_len: u8,
    r#type: String,
    subnet_id: u32,
    duid: String,
    iaid: u32,
    cltt: u64,
    preferred_lft: u32,
    valid_lft: u32,
    state: u8,
}

/// The version of the running program, which shows that it answers.
///
/// # Errors
///
/// [`Failure`] where it does not.
pub async fn version(socket: &Path) -> Result<String, Failure> {
    let answer = command(socket, "version-get", Value::Null).await?;
    let version = answer.text.chars().filter(|c| c.is_ascii_graphic()).take(32);
    Ok(version.collect())
}

/// Has the program take over a configuration.
///
/// # Errors
///
/// [`Failure`] where it does not; it keeps the one that it had.
pub async fn configure(socket: &Path, configured: &Configured) -> Result<(), Failure> {
    command(socket, "config-set", configured.json.clone()).await.map(drop)
}

/// All delegated prefixes that are leased of a subnet, as far as the answer can be read.
///
/// # Errors
///
/// [`Failure`] where they cannot be listed.
pub async fn leases(socket: &Path, subnet: u32) -> Result<Vec<Lease>, Failure> {
    let mut found = Vec::new();
    let mut from = "start".to_owned();
    for _ in 0..MAX_PAGES {
        let arguments = json!({"from": from, "limit": PAGE});
        let answer = command(socket, "lease6-get-page", arguments).await?;
        if answer.result == EMPTY {
            break;
        }
        let page: Leases = serde_json::from_value(answer.arguments).map_err(io::Error::from)?;
        let last = page.leases.last().and_then(|lease| lease["ip-address"].as_str());
        let next = last.map(str::to_owned);
        let count = page.leases.len();
        found.extend(page.leases.into_iter().filter_map(|lease| read(lease, subnet)));
        match next.filter(|next| *next != from && count == PAGE) {
            Some(next) => from = next,
            None => break,
        }
    }
    Ok(found)
}

/// The delegated prefixes of a subnet that one router holds.
///
/// # Errors
///
/// [`Failure`] where they cannot be listed.
pub async fn leases_of(socket: &Path, subnet: u32, duid: &Duid) -> Result<Vec<Lease>, Failure> {
    let arguments = json!({"duid": duid.to_string()});
    let answer = command(socket, "lease6-get-by-duid", arguments).await?;
    if answer.result == EMPTY {
        return Ok(Vec::new());
    }
    let page: Leases = serde_json::from_value(answer.arguments).map_err(io::Error::from)?;
    Ok(page.leases.into_iter().filter_map(|lease| read(lease, subnet)).collect())
}

/// Removes the leases of delegated prefixes.
///
/// # Errors
///
/// [`Failure`] where the program does not; a lease that is not there is none.
pub async fn remove(socket: &Path, prefixes: &[Ipv6Net]) -> Result<(), Failure> {
    for some in prefixes.chunks(PAGE) {
        let leases = some.iter().map(|one| json!({"ip-address": one.network(), "type": "IA_PD"}));
        let arguments = json!({"deleted-leases": leases.collect::<Vec<_>>()});
        command(socket, "lease6-bulk-apply", arguments).await?;
    }
    Ok(())
}

/// Hands the program a lease of a subnet, whichever router had it before.
///
/// # Errors
///
/// [`Failure`] where it does not take it.
pub async fn hold(socket: &Path, subnet: u32, held: &Held) -> Result<(), Failure> {
    let AssignedPrefix { prefix, preferred, valid } = held.prefix;
    let arguments = json!({
        "subnet-id": subnet, "type": "IA_PD",
        "ip-address": prefix.network(), "prefix-len": prefix.prefix_len(),
        "duid": held.duid.to_string(), "iaid": held.iaid.0,
        "preferred-lft": preferred.to_wire(), "valid-lft": valid.to_wire(), "force-create": true,
    });
    command(socket, "lease6-update", arguments).await.map(drop)
}

/// A valid lease of a subnet, if the entry can be read.
fn read(stated: Value, subnet: u32) -> Option<Lease> {
    let stated: StatedLease = serde_json::from_value(stated).ok()?;
    let prefix = Ipv6Net::new(stated.ip_address, stated.prefix_len).ok()?.trunc();
    let is_held = stated.state == 0 && stated.r#type == "IA_PD" && stated.subnet_id == subnet;
    is_held.then_some(())?;
    Some(Lease {
        prefix,
        duid: stated.duid.try_into().ok()?,
        iaid: Iaid(stated.iaid),
        renewed_at: stated.cltt,
        preferred: Lifetime::from_wire(stated.preferred_lft),
        valid: Lifetime::from_wire(stated.valid_lft),
    })
}

async fn command(
    socket: &Path,
    command: &'static str,
    arguments: Value,
) -> Result<Answer, Failure> {
    let request = if arguments.is_null() {
        json!({"command": command})
    } else {
        json!({"command": command, "arguments": arguments})
    };
    let exchange = exchange(socket, request.to_string().into_bytes());
    let octets = timeout(PATIENCE, exchange).await.map_err(io::Error::from)??;
    let answer: Answer = serde_json::from_slice(&octets).map_err(io::Error::from)?;
    match answer.result {
        SUCCESS | EMPTY => Ok(answer),
        _ => Err(Failure::Refused { command, text: answer.text.chars().take(300).collect() }),
    }
}

async fn exchange(socket: &Path, request: Vec<u8>) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(&request).await?;
    stream.shutdown().await?;
    let mut octets = Vec::new();
    let mut bounded = stream.take(MAX_ANSWER + 1);
    bounded.read_to_end(&mut octets).await?;
    if u64::try_from(octets.len()).unwrap_or(u64::MAX) > MAX_ANSWER {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "the answer is too long"));
    }
    Ok(octets)
}
