//! Kea's DHCPv6 server as delegating router of one downlink.
//!
//! Configured delegations are reservations by DUID, pools are pools. A change is a whole
//! configuration over its control socket (`config-set`); leases of prefixes that are not given any
//! more are removed (`lease6-del`), so that the next Renew brings the new ones and withdraws the
//! old. It sends no Reconfigure message, so that requesting routers which follow nothing else are
//! made to come often.

pub mod control;
pub(super) mod life;
mod servers;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use ipnet::Ipv6Net;
use serde_json::{Value, json};

use crate::config::{HighAvailability, LeaseDatabase};
use crate::core::delegate::{Assigned, AssignedPrefix, HostOptions};
use crate::time::Lifetime;
use crate::wire::dhcpv6_option::{Duid, Iaid, code};
use crate::wire::domain;

/// T1 where the configuration says nothing, in seconds.
const RENEW_EVERY: u32 = 60;
/// Lifetimes where there is nothing to give, in seconds.
const NOTHING: (u32, u32) = (1800, 3600);
/// A renewal may be so late, in seconds.
const SLACK: u64 = 10;
/// A reservation needs a subnet, and requesting routers send from link-local addresses.
const SUBNET: &str = "fe80::/10";

/// What the program works with on this machine.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Files {
    /// The control socket is there.
    pub directory: PathBuf,
    /// The file of leases is there.
    pub state: PathBuf,
    /// The library of the hook `lease_cmds`; that of the hook `ha` lies beside it.
    pub lease_commands: PathBuf,
    /// Where leases are, where that is not a file.
    pub database: Option<LeaseDatabase>,
    /// The password for that, where it needs one.
    pub password: Option<String>,
    /// The other server.
    pub pair: Option<HighAvailability>,
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
    /// What requesting routers may have leases of; where it is reserved, for which of them.
    pub given: Vec<(Ipv6Net, Option<Duid>)>,
    /// Leases that the program has to be handed: by itself it gives one prefix for each IA_PD, and
    /// of several IA_PDs any of the router's prefixes to any.
    pub held: Vec<Held>,
    /// The subnet that all of this is of.
    pub subnet: u32,
    /// T1, in seconds.
    pub renew_every: u32,
}

/// A prefix of one IA_PD.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// The prefix, with its lifetimes.
    pub prefix: AssignedPrefix,
    /// The router that has it.
    pub duid: Duid,
    /// For which IA_PD.
    pub iaid: Iaid,
}

impl Configured {
    /// The configuration that gives what is assigned.
    pub fn render(assigned: &Assigned, files: &Files) -> Self {
        let mut left_out = Vec::new();
        let usual = lifetimes(assigned, &mut left_out);
        let reserved = reserved(assigned, &mut left_out);
        let own = |one: &Reserved| (one.prefix.prefix.trunc(), Some(one.duid.clone()));
        let mut given: Vec<_> = reserved.values().flatten().map(own).collect();
        let pools = pools(assigned, &mut given);
        let classes: BTreeSet<(u32, u32)> =
            reserved.values().map(|held| pair_of(held)).filter(|pair| *pair != usual).collect();
        let renew = assigned.renew_every.map_or(RENEW_EVERY, |every| seconds(every.as_secs()));
        let shortest = classes.iter().chain([&usual]).map(|(preferred, _)| *preferred).min();
        let shortest = shortest.unwrap_or(usual.0);
        let renew = renew.min(share(shortest, 1, 2));
        let rebind = share(shortest, 4, 5);
        // Where another server can answer in its place, clients do not wait long for this one.
        let rebind = if files.has_others() { rebind.min(renew + renew / 2) } else { rebind };
        let subnet = json!({
            "id": files.subnet(&assigned.downlink),
            "subnet": SUBNET,
            "interface": &*assigned.downlink,
            "rapid-commit": assigned.rapid_commit,
            "preferred-lifetime": usual.0,
            "valid-lifetime": usual.1,
            "renew-timer": renew,
            "rebind-timer": rebind,
            "option-data": options(&assigned.options, &mut left_out),
            "pd-pools": pools,
            "reservations": reservations(&reserved, usual),
        });
        let classes: Vec<Value> = classes.iter().map(class).collect();
        let several = reserved.into_values().filter(|held| held.len() > 1);
        let held = several.flatten().filter_map(Reserved::held).collect();
        let mut json = json!({"Dhcp6": {
            "data-directory": files.state,
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
            "lease-database": files.leases(),
            "hooks-libraries": files.hooks(),
            "multi-threading": {"enable-multi-threading": files.pair.is_some()},
            "host-reservation-identifiers": ["duid"],
            "subnet6": [subnet],
            "loggers": [{
                "name": "kea-dhcp6", "severity": "WARN",
                "output_options": [{"output": "stdout", "flush": true}],
            }],
        }});
        // Its grammar has no empty list of them.
        if !classes.is_empty() {
            json["Dhcp6"]["client-classes"] = classes.into();
        }
        Self {
            json,
            left_out,
            given,
            held,
            subnet: files.subnet(&assigned.downlink),
            renew_every: renew,
        }
    }

    /// The configuration that the program starts with.
    ///
    /// A program that has to be handed leases hears no interface until it has them: a router that
    /// asked before would get a part of its prefixes.
    pub fn at_start(&self) -> Value {
        let mut json = self.json.clone();
        if !self.held.is_empty() {
            json["Dhcp6"]["interfaces-config"]["interfaces"] = json!([]);
        }
        json
    }

    /// Whether a lease that is not given here is left over from before, at `now`, where another
    /// server may have given it: that one may know of a change before we do, or go on giving what
    /// was before for a while. All times are in seconds since 1970.
    fn is_stale(&self, lease: &control::Lease, configured_at: u64, now: u64) -> bool {
        let unrenewed = now.saturating_sub(lease.renewed_at);
        lease.renewed_at <= configured_at || unrenewed > 2 * u64::from(self.renew_every) + SLACK
    }

    /// Whether a lease of `prefix` may stay with its holder.
    pub fn gives(&self, prefix: &Ipv6Net, duid: &Duid) -> bool {
        self.given.iter().any(|(given, holder)| {
            given.contains(prefix) && holder.as_ref().is_none_or(|holder| holder == duid)
        })
    }
}

/// What is reserved for one IA_PD.
struct Reserved {
    prefix: AssignedPrefix,
    duid: Duid,
    iaid: Option<Iaid>,
}

impl Reserved {
    fn held(self) -> Option<Held> {
        Some(Held { prefix: self.prefix, duid: self.duid, iaid: self.iaid? })
    }
}

/// What each router is to have, by its DUID. Of an IA_PD that is not known, one prefix.
fn reserved(assigned: &Assigned, left_out: &mut Vec<String>) -> BTreeMap<Duid, Vec<Reserved>> {
    let mut reserved: BTreeMap<Duid, Vec<Reserved>> = BTreeMap::new();
    for router in &assigned.routers {
        let usable = router.prefixes.iter().filter(|one| !one.preferred.is_zero());
        let most = if router.iaid.is_some() { usize::MAX } else { 1 };
        for prefix in usable.clone().take(most) {
            let (duid, iaid) = (router.duid.clone(), router.iaid);
            let one = Reserved { prefix: *prefix, duid, iaid };
            reserved.entry(router.duid.clone()).or_default().push(one);
        }
        left_out.extend(usable.skip(most).map(|other| {
            let (prefix, name) = (other.prefix, &router.name);
            format!(
                "{prefix} of {name}: Kea gives one prefix to an IA_PD that is not known; write its \
                 iaid in [delegation.{name}]"
            )
        }));
    }
    for (duid, prefixes) in &reserved {
        let pair = |one: &Reserved| (one.prefix.preferred, one.prefix.valid);
        if prefixes.iter().map(pair).collect::<BTreeSet<_>>().len() > 1 {
            left_out.push(format!("different lifetimes of {duid}: Kea gives the shortest to all"));
        }
    }
    reserved
}

/// The lifetimes of a router: the shortest, as none may promise more than we have.
fn pair_of(held: &[Reserved]) -> (u32, u32) {
    let preferred = held.iter().map(|one| one.prefix.preferred).min();
    let valid = held.iter().map(|one| one.prefix.valid).min();
    preferred
        .zip(valid)
        .map_or(NOTHING, |(preferred, valid)| (preferred.to_wire(), valid.to_wire()))
}

/// One reservation for each router, whatever IA_PDs it has.
fn reservations(reserved: &BTreeMap<Duid, Vec<Reserved>>, usual: (u32, u32)) -> Vec<Value> {
    let reservations = reserved.iter().map(|(duid, held)| {
        let prefixes: BTreeSet<Ipv6Net> = held.iter().map(|one| one.prefix.prefix).collect();
        let prefixes: Vec<String> = prefixes.iter().map(Ipv6Net::to_string).collect();
        let pair = pair_of(held);
        let classes: Vec<String> = (pair != usual).then(|| class_name(pair)).into_iter().collect();
        json!({"duid": duid.to_string(), "prefixes": prefixes, "client-classes": classes})
    });
    reservations.collect()
}

/// The class of routers with lifetimes of their own.
fn class((preferred, valid): &(u32, u32)) -> Value {
    json!({
        "name": class_name((*preferred, *valid)),
        "preferred-lifetime": preferred,
        "valid-lifetime": valid,
    })
}

fn class_name((preferred, valid): (u32, u32)) -> String {
    format!("lifetimes-{preferred}-{valid}")
}

fn pools(assigned: &Assigned, given: &mut Vec<(Ipv6Net, Option<Duid>)>) -> Vec<Value> {
    let blocks = assigned.pools.iter().flat_map(|pool| {
        let usable = pool.blocks.iter().filter(|block| !block.preferred.is_zero());
        usable.map(|block| (block.prefix.trunc(), pool.length))
    });
    let pools = blocks.map(|(prefix, length)| {
        given.push((prefix, None));
        json!({
            "prefix": prefix.network(),
            "prefix-len": prefix.prefix_len(),
            "delegated-len": length,
        })
    });
    pools.collect()
}

/// What holds where a router has no lifetimes of its own: the shortest of all pools, as there is
/// one pair for a subnet.
fn lifetimes(assigned: &Assigned, left_out: &mut Vec<String>) -> (u32, u32) {
    let of = |prefixes: &mut dyn Iterator<Item = &AssignedPrefix>| {
        let usable = prefixes.filter(|one| !one.preferred.is_zero());
        usable.map(|one| (one.preferred, one.valid)).collect::<BTreeSet<(Lifetime, Lifetime)>>()
    };
    let mut all = of(&mut assigned.pools.iter().flat_map(|pool| &pool.blocks));
    if all.len() > 1 {
        left_out.push("different lifetimes of pools: Kea gives the shortest to all".into());
    }
    if all.is_empty() {
        all = of(&mut assigned.routers.iter().flat_map(|router| &router.prefixes));
    }
    let preferred = all.iter().map(|(preferred, _)| *preferred).min();
    let valid = all.iter().map(|(_, valid)| *valid).min();
    preferred
        .zip(valid)
        .map_or(NOTHING, |(preferred, valid)| (preferred.to_wire(), valid.to_wire()))
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
