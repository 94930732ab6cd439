//! Programs in a built-in's place: each does what it can, and nothing has two owners (BKE-08).

use super::Finding;
use crate::config::{AddressMode, Config, Downlink, Engine, Job, OnChange, Peer, Program};

pub(super) fn check(config: &Config, findings: &mut Vec<Finding>) {
    for (job, interface, name) in config.engines_in_use() {
        let path = [table_of(job), interface, key_of(job)];
        let Some(engine) = config.engine(name) else {
            let problem = format!("there is no engine {name}");
            let remedy = format!("write {}, or name it: [engine.{name}]", programs(job));
            findings.push(Finding::new(&path, problem, remedy).for_lack_of(&["engine"]));
            continue;
        };
        if engine.program.job() != job {
            let problem = format!("{} is no {job}", engine.program);
            let remedy = format!("write {}", programs(job));
            findings.push(Finding::new(&path, problem, remedy));
        }
    }
    for (name, engine) in &config.engines {
        keys(name, engine, findings);
    }
    for (name, uplink) in &config.uplinks {
        let Some(engine) = uplink.requester.as_ref().and_then(|one| config.engine(one)) else {
            continue;
        };
        let program = engine.program;
        let owned = program.owns_interface();
        // Some leave advertisements to the kernel: dhcpcd with `noipv6rs`.
        if owned && !matches!(uplink.address, AddressMode::None | AddressMode::Kernel) {
            let problem = format!("{program} makes the addresses of {name} already");
            let remedy = "leave it out, or write address = \"kernel\" where it leaves router \
                          advertisements to the kernel";
            findings.push(Finding::new(&["uplink", name, "address"], problem, remedy));
        }
        if owned && uplink.default_route {
            let problem = format!("{program} owns the default route of {name} already");
            let remedy = "leave it out, or write default-route = false";
            findings.push(Finding::new(&["uplink", name, "default-route"], problem, remedy));
        }
        if uplink.request_address {
            let problem = format!("{program} asks for the addresses of {name}, if anybody does");
            let remedy = "leave it out, or write request-address = false";
            findings.push(Finding::new(&["uplink", name, "request-address"], problem, remedy));
        }
    }
    delegators(config, findings);
}

/// Keys that the program of an engine has no use for.
fn keys(name: &str, engine: &Engine, findings: &mut Vec<Finding>) {
    let program = engine.program;
    let is_requester = program.job() == Job::Requester;
    if !is_requester && !engine.renew.is_empty() {
        let problem = format!("{program} has no lease to renew");
        findings.push(Finding::new(&["engine", name, "renew"], problem, "leave it out"));
    }
    if engine.on_change == OnChange::Restart && (program != Program::Dhcp6c) {
        let problem = format!("{program} is not restarted for a change, only dhcp6c is");
        let remedy = "leave it out, or write the command that restarts it: renew = [...]";
        findings.push(Finding::new(&["engine", name, "on-change"], problem, remedy));
    }
    for (key, is_there) in [
        ("lease-database", engine.lease_database.is_some()),
        ("high-availability", engine.high_availability.is_some()),
    ] {
        if is_there && program != Program::Kea {
            let problem = format!("{program} has none, only kea does");
            findings.push(Finding::new(&["engine", name, key], problem, "leave it out"));
        }
    }
    if let Some(pair) = &engine.high_availability
        && pair.url == pair.partner
    {
        let problem = "the two servers are one".to_owned();
        let remedy = "write the address of the other one";
        findings.push(Finding::new(&["engine", name, "high-availability"], problem, remedy));
    }
    if program == Program::Command && engine.renew.is_empty() {
        let problem = "it is not known how the lease is renewed".to_owned();
        let remedy = "write the command: renew = [\"PROGRAM\", \"ARGUMENT\"]";
        findings.push(Finding::new(&["engine", name, "renew"], problem, remedy));
    }
}

/// Other programs recognize a requesting router by its DUID alone, and do not see where a message
/// came from. UDP port 547 belongs to one of them, or to this program.
fn delegators(config: &Config, findings: &mut Vec<Finding>) {
    let program_on = |downlink: &str| {
        let name = config.downlinks.get(downlink)?.delegator.as_ref()?;
        config.engine(name).map(|engine| engine.program)
    };
    for (name, one) in &config.delegations {
        let Some(program) = program_on(&one.downlink) else { continue };
        let mut missing = |key: &str, problem: String, remedy: &str| {
            findings.push(Finding::new(&["delegation", name, key], problem, remedy));
        };
        if matches!(one.peer, Peer::LinkLayer(_)) {
            let problem = format!("{program} knows routers by their DUID");
            missing("link-layer", problem, "write its DUID in the place of it: duid = \"00:03:…\"");
        }
        if one.next_hop.is_none() {
            let problem =
                format!("{program} does not say by way of which address {name} is reached");
            missing("next-hop", problem, "write its link-local address: next-hop = \"fe80::2\"");
        }
        if one.iaid.is_none() && program == Program::Dhcp6s {
            let problem = format!("{program} gives a prefix to one IA_PD of a router");
            missing("iaid", problem, "write the router's: iaid = 1");
        }
    }
    for (name, engine) in &config.engines {
        let uses = |link: &&Downlink| link.delegator.as_deref() == Some(name);
        if engine.high_availability.is_some() && config.downlinks.values().filter(uses).count() > 1
        {
            let problem = "each downlink has a server of its own, and these have one address";
            let remedy = "write an [engine.NAME] for each downlink, with another port in its url";
            let path = ["engine", name, "high-availability"];
            findings.push(Finding::new(&path, problem.to_owned(), remedy));
        }
    }
    for (name, pool) in &config.pools {
        if program_on(&pool.downlink) == Some(Program::Dhcp6s) {
            let problem = "dhcp6s has no pools of prefixes".to_owned();
            let remedy = "name each router in a [delegation.NAME], or use kea or the built-in";
            findings.push(Finding::new(&["pool", name], problem, remedy));
        }
    }
    let delegates = |downlink: &str| {
        config.delegations.values().any(|one| one.downlink == downlink)
            || config.pools.values().any(|one| one.downlink == downlink)
    };
    let with_program = config.downlinks.iter().find(|(_, link)| link.delegator.is_some());
    let Some((other, _)) = with_program else { return };
    for (name, _) in config.downlinks.iter().filter(|(_, link)| link.delegator.is_none()) {
        if delegates(name) {
            let problem = format!("UDP port 547 belongs to the delegator of {other}");
            let remedy = "write a delegator here as well, or leave it out there";
            findings.push(Finding::new(&["downlink", name, "delegator"], problem, remedy));
        }
    }
    if let Some(relay) = config.relays.keys().next() {
        let problem = format!("UDP port 547 belongs to the delegator of {other}");
        let remedy = "leave out the relay, or the delegator there";
        findings.push(Finding::new(&["relay", relay], problem, remedy));
    }
}

const fn table_of(job: Job) -> &'static str {
    match job {
        Job::Requester => "uplink",
        Job::Advertiser | Job::Delegator => "downlink",
    }
}

const fn key_of(job: Job) -> &'static str {
    match job {
        Job::Requester => "requester",
        Job::Advertiser => "advertiser",
        Job::Delegator => "delegator",
    }
}

fn programs(job: Job) -> String {
    let able = Program::ALL.into_iter().filter(|program| program.job() == job);
    let able: Vec<String> = able.map(|program| format!("\"{program}\"")).collect();
    able.join(" or ")
}
