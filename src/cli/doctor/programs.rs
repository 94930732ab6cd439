//! Other programs that do the agent's job.

use super::checks::{Case, finding};
use super::{Finding, Severity};
use crate::config::{Config, Job, Program as Kind};
use crate::platform::facts::Program;

/// Programs that ask for addresses or prefixes, or follow router advertisements in the kernel's
/// place, by the names of their processes.
const REQUESTERS: [&str; 6] = ["dhcpcd", "dhclient", "dhcp6c", "odhcp6c", "rtsold", "connmand"];
/// Programs that advertise.
const ADVERTISERS: [&str; 6] = ["radvd", "rtadvd", "rad", "corerad", "dnsmasq", "odhcpd"];

/// Interfaces that another program manages.
pub(super) fn managers(case: &Case<'_>) -> Vec<Finding> {
    let Config { uplinks, downlinks, .. } = case.config;
    let mut found = Vec::new();
    for name in uplinks.keys().chain(downlinks.keys()) {
        let managers = case.facts.interfaces.get(name).map(|interface| &interface.managers);
        for manager in
            managers.into_iter().flatten().filter(|manager| !is_engine(case, name, manager))
        {
            let remedy = if *manager == "NetworkManager" {
                format!("nmcli device set {name} managed no")
            } else {
                format!(
                    "in the .network file of {name}: IPv6AcceptRA=no, and neither DHCP=yes nor \
                     DHCP=ipv6; then networkctl reload"
                )
            };
            found.push(finding(
                Severity::Warning,
                "managed-by-another",
                name,
                format!(
                    "{manager} manages this interface as well: it may follow router \
                         advertisements, ask for prefixes, or take away what the agent adds"
                ),
                remedy,
            ));
        }
    }
    found
}

/// Programs that do the same on the same interfaces.
pub(super) fn rivals(case: &Case<'_>) -> Vec<Finding> {
    let Config { uplinks, downlinks, .. } = case.config;
    let mut found = Vec::new();
    for program in &case.facts.programs {
        let jobs = [
            (
                &REQUESTERS[..],
                "rival-requester",
                uplinks.keys().collect::<Vec<_>>(),
                "asks for prefixes or follows advertisements",
            ),
            (&ADVERTISERS[..], "rival-advertiser", downlinks.keys().collect(), "advertises"),
        ];
        for (names, check, interfaces, does) in jobs {
            if !names.contains(&program.name.as_str()) {
                continue;
            }
            for name in interfaces {
                if may_be_on(case, program, name) && !is_engine(case, name, &program.name) {
                    found.push(finding(
                        Severity::Warning,
                        check,
                        name,
                        format!(
                            "{} (process {}) {does}, maybe here as well",
                            program.name, program.pid
                        ),
                        format!("leave {name} out of what it does, or stop it"),
                    ));
                }
            }
        }
    }
    found
}

/// Whether a program may be active on an interface: its command line names none, or this one.
fn may_be_on(case: &Case<'_>, program: &Program, interface: &str) -> bool {
    let mut named = program.arguments.iter().skip(1);
    let mut named =
        named.by_ref().filter(|word| case.facts.interfaces.contains_key(*word)).peekable();
    named.peek().is_none() || named.any(|word| word == interface)
}

/// Whether the configuration has given a job on the interface to a program of this name.
fn is_engine(case: &Case<'_>, interface: &str, process: &str) -> bool {
    case.config.engines_in_use().any(|(_, on, engine)| {
        let kind = case.config.engine(engine).map(|engine| engine.program);
        on == interface && kind.is_some_and(|kind| process_of(kind) == Some(process))
    })
}

/// The name of the process of a kind of program, as far as it has one name.
const fn process_of(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Dhcpcd => Some("dhcpcd"),
        Kind::Dhcp6c => Some("dhcp6c"),
        Kind::Networkd => Some("systemd-networkd"),
        Kind::Command => None,
        Kind::Radvd => Some("radvd"),
        Kind::Rtadvd => Some("rtadvd"),
        Kind::Dhcp6s => Some("dhcp6s"),
        Kind::Kea => Some("kea-dhcp6"),
    }
}

/// Ports that the agent needs and another program has.
pub(super) fn ports(case: &Case<'_>) -> Vec<Finding> {
    let delegates_by_program =
        case.config.engines_in_use().any(|(job, _, _)| job == Job::Delegator);
    let needed = [
        (546, "client-port-taken", case.requests(), "no prefix is asked for without it"),
        (
            547,
            "server-port-taken",
            case.serves() && !delegates_by_program,
            "nothing is delegated or relayed without it",
        ),
    ];
    let mut found = Vec::new();
    for holder in case.facts.ports.iter().filter(|holder| !holder.is_agent) {
        let name = holder.name.as_deref().unwrap_or("another program");
        let Some((port, check, _, lack)) =
            needed.iter().find(|(port, _, is_needed, _)| *port == holder.port && *is_needed)
        else {
            continue;
        };
        let pid = holder.pid.map(|pid| format!(" (process {pid})")).unwrap_or_default();
        found.push(finding(
            Severity::Error,
            check,
            "",
            format!("{name}{pid} has UDP port {port}, and {lack}"),
            format!("stop {name}; an agent that runs takes the port as soon as it is free"),
        ));
    }
    found
}
