//! Kea's DHCPv6 server as delegating router of one downlink.
//!
//! Configured delegations are reservations by DUID, pools are pools. A change is a whole
//! configuration over its control socket (`config-set`); leases of prefixes that are not given any
//! more are removed (`lease6-del`), so that the next Renew brings the new ones and withdraws the
//! old. It sends no Reconfigure message, so that requesting routers which follow nothing else are
//! made to come often.

pub mod control;
pub(super) mod life;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ipnet::Ipv6Net;
use serde_json::{Value, json};

use crate::core::delegate::{Assigned, AssignedPrefix, HostOptions};
use crate::time::Lifetime;
use crate::wire::dhcpv6_option::{Duid, code};
use crate::wire::domain;

/// T1 where the configuration says nothing, in seconds.
const RENEW_EVERY: u32 = 60;
/// Lifetimes where there is nothing to give, in seconds.
const NOTHING: (u32, u32) = (1800, 3600);
/// A reservation needs a subnet, and requesting routers send from link-local addresses.
const SUBNET: &str = "fe80::/10";

/// Where the program's files are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Files {
    /// Control socket and leases are there.
    pub directory: PathBuf,
    /// The library of the hook `lease_cmds`.
    pub lease_commands: PathBuf,
}

impl Files {
    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.directory.join("control")
    }
}

/// A configuration.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Configured {
    /// As the program reads it.
    pub json: Value,
    /// What the program cannot be made to do, each for a line of `status`.
    pub left_out: Vec<String>,
    /// What requesting routers may have leases of.
    pub given: Vec<Ipv6Net>,
}

impl Configured {
    /// The configuration that gives what is assigned.
    pub fn render(assigned: &Assigned, files: &Files) -> Self {
        let mut left_out = Vec::new();
        let (reservations, mut given) = reservations(assigned, &mut left_out);
        let pools = pools(assigned, &mut given);
        let (preferred, valid) = lifetimes(assigned, &mut left_out);
        let renew = assigned.renew_every.map_or(RENEW_EVERY, |every| seconds(every.as_secs()));
        let t2 = share(preferred, 4, 5);
        let subnet = json!({
            "id": 1,
            "subnet": SUBNET,
            "interface": &*assigned.downlink,
            "rapid-commit": assigned.rapid_commit,
            "preferred-lifetime": preferred,
            "valid-lifetime": valid,
            "renew-timer": renew.min(share(preferred, 1, 2)),
            "rebind-timer": t2,
            "option-data": options(&assigned.options, &mut left_out),
            "pd-pools": pools,
            "reservations": reservations,
        });
        let json = json!({"Dhcp6": {
            "data-directory": files.directory,
            // It can be made to have no DUID of another type that holds ours.
            "server-id": {
                "type": "EN", "identifier": hex(assigned.server.octets()), "persist": false,
            },
            "mac-sources": ["client-link-addr-option", "ipv6-link-local", "duid"],
            // A link-local address that is tentative yet is waited for.
            "interfaces-config": {
                "interfaces": [&*assigned.downlink],
                "service-sockets-max-retries": 120,
                "service-sockets-retry-wait-time": 500,
            },
            "control-socket": {"socket-type": "unix", "socket-name": files.socket()},
            "lease-database": {
                "type": "memfile", "persist": true, "name": files.directory.join("leases.csv"),
            },
            "hooks-libraries": [{"library": files.lease_commands}],
            "host-reservation-identifiers": ["duid"],
            "subnet6": [subnet],
            "loggers": [{
                "name": "kea-dhcp6", "severity": "WARN",
                "output_options": [{"output": "stdout", "flush": true}],
            }],
        }});
        Self { json, left_out, given }
    }

    /// Whether a lease of `prefix` may stay.
    pub fn gives(&self, prefix: &Ipv6Net) -> bool {
        self.given.iter().any(|given| given.contains(prefix))
    }
}

/// One reservation for each router, whatever IA_PDs it has, and what is reserved.
fn reservations(assigned: &Assigned, left_out: &mut Vec<String>) -> (Vec<Value>, Vec<Ipv6Net>) {
    let mut reserved: BTreeMap<&Duid, BTreeSet<Ipv6Net>> = BTreeMap::new();
    for router in &assigned.routers {
        let prefixes = reserved.entry(&router.duid).or_default();
        let mut usable = router.prefixes.iter().filter(|one| !one.preferred.is_zero());
        prefixes.extend(usable.next().map(|first| first.prefix.trunc()));
        let others = usable.map(|other| format!("{} of {}", other.prefix, router.name));
        left_out.extend(others.map(|what| format!("{what}: Kea gives one prefix to an IA_PD")));
    }
    let given = reserved.values().flatten().copied().collect();
    let reservations = reserved.iter().filter(|(_, prefixes)| !prefixes.is_empty());
    let reservations = reservations.map(|(duid, prefixes)| {
        let prefixes: Vec<String> = prefixes.iter().map(Ipv6Net::to_string).collect();
        json!({"duid": duid.to_string(), "prefixes": prefixes})
    });
    (reservations.collect(), given)
}

fn pools(assigned: &Assigned, given: &mut Vec<Ipv6Net>) -> Vec<Value> {
    let blocks = assigned.pools.iter().flat_map(|pool| {
        let usable = pool.blocks.iter().filter(|block| !block.preferred.is_zero());
        usable.map(|block| (block.prefix.trunc(), pool.length))
    });
    let pools = blocks.map(|(prefix, length)| {
        given.push(prefix);
        json!({
            "prefix": prefix.network(),
            "prefix-len": prefix.prefix_len(),
            "delegated-len": length,
        })
    });
    pools.collect()
}

/// There is one pair for a subnet: the shortest, as none may promise more than we have.
fn lifetimes(assigned: &Assigned, left_out: &mut Vec<String>) -> (u32, u32) {
    let routers = assigned.routers.iter().flat_map(|router| &router.prefixes);
    let pools = assigned.pools.iter().flat_map(|pool| &pool.blocks);
    let usable = routers.chain(pools).filter(|one| !one.preferred.is_zero());
    let all: BTreeSet<(Lifetime, Lifetime)> =
        usable.map(|AssignedPrefix { preferred, valid, .. }| (*preferred, *valid)).collect();
    let preferred = all.iter().map(|(preferred, _)| *preferred).min();
    let valid = all.iter().map(|(_, valid)| *valid).min();
    if all.len() > 1 {
        left_out.push("different lifetimes: Kea gives the shortest to all of a downlink".into());
    }
    let (Some(preferred), Some(valid)) = (preferred, valid) else { return NOTHING };
    (preferred.to_wire(), valid.to_wire())
}

/// Options by number and octets, which no name can break out of.
fn options(options: &HostOptions, left_out: &mut Vec<String>) -> Vec<Value> {
    let mut seen = BTreeSet::new();
    let mut data = Vec::new();
    let mut add = |code: u16, body: &[u8], name: &str| {
        if seen.insert(code) {
            data.push(json!({"code": code, "csv-format": false, "data": hex(body)}));
        } else {
            left_out.push(format!("another {name}: Kea has one option of a kind"));
        }
    };
    let servers: Vec<u8> = options.servers.iter().flat_map(std::net::Ipv6Addr::octets).collect();
    if !servers.is_empty() {
        add(code::DNS_SERVERS, &servers, "list of DNS servers");
    }
    if let Ok(names) = domain::encode_names(&options.search)
        && !names.is_empty()
    {
        add(code::DOMAIN_SEARCH, &names, "search list");
    }
    for option in &options.services {
        add(option.code(), option.body(), option.name());
    }
    data
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn seconds(seconds: u64) -> u32 {
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// A part of a lifetime, which for an infinite one is infinite.
fn share(lifetime: u32, part: u32, whole: u32) -> u32 {
    if lifetime == u32::MAX { lifetime } else { lifetime / whole * part }
}

/// Where distributions and ports put the hook's library, below their libraries.
const HOOKS: [&str; 3] = ["kea/hooks", "x86_64-linux-gnu/kea/hooks", "aarch64-linux-gnu/kea/hooks"];

/// The library of the hook `lease_cmds`, where it is installed.
pub fn find_lease_commands() -> Option<PathBuf> {
    let roots = ["/usr/lib", "/usr/lib64", "/usr/local/lib"];
    let places = roots.iter().flat_map(|root| HOOKS.map(|below| Path::new(root).join(below)));
    places.map(|place| place.join("libdhcp_lease_cmds.so")).find(|file| file.exists())
}
