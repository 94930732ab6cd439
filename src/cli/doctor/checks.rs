//! The checks: what is wrong is a pure function of what was read.

use std::time::Duration;

use super::{Finding, Place, Severity, filter, programs};
use crate::config::Config;
use crate::core::status::Status;
use crate::platform::facts::{Directory, Facts};

/// Clocks that stand before the year 2025 were never set.
const LONG_AGO: Duration = Duration::from_secs(1_735_689_600);
/// The memory needs less than this, and with less no journal can be written anew.
const ROOM: u64 = 1 << 20;
/// The first kernel with IFA_PROTO.
const MARKS_ADDRESSES: (u32, u32) = (5, 18);

/// What is judged.
pub(in crate::cli) struct Case<'a> {
    /// What the agent has to do.
    pub(super) config: &'a Config,
    /// The machine.
    pub(super) facts: &'a Facts,
    /// The agent that runs, if one does; without its bindings where there are any.
    pub(super) agent: Option<&'a Status>,
    /// This user may not ask an agent: the rights and directories of this user say nothing of it.
    pub(super) is_denied: bool,
    /// Since 1970.
    pub(super) wall: Duration,
    pub(super) state_dir: Place<'a>,
    pub(super) runtime_dir: Place<'a>,
}

impl Case<'_> {
    /// Whether the built-in client asks for prefixes or addresses on an uplink: UDP port 546.
    pub(super) fn requests(&self) -> bool {
        let mut uplinks = self.config.uplinks.values();
        uplinks.any(|uplink| uplink.requester.is_none() && !uplink.delegate.is_empty())
    }

    /// Whether the built-in server or relay agent has UDP port 547.
    pub(super) fn serves(&self) -> bool {
        let Config { delegations, pools, relays, downlinks, .. } = self.config;
        let is_built_in =
            |name: &String| downlinks.get(name).is_none_or(|downlink| downlink.delegator.is_none());
        !relays.is_empty()
            || delegations.values().any(|delegation| is_built_in(&delegation.downlink))
            || pools.values().any(|pool| is_built_in(&pool.downlink))
    }

    /// Whether this machine is a router.
    fn is_router(&self) -> bool {
        !self.config.downlinks.is_empty() || !self.config.relays.is_empty()
    }

    /// The interfaces of the configuration.
    fn interfaces(&self) -> impl Iterator<Item = &String> {
        let Config { uplinks, downlinks, relays, .. } = self.config;
        uplinks.keys().chain(downlinks.keys()).chain(relays.keys())
    }
}

/// A finding without its severity.
pub(super) fn finding(
    severity: Severity,
    name: &str,
    subject: &str,
    text: impl Into<String>,
    remedy: impl Into<String>,
) -> Finding {
    Finding {
        name: name.to_owned(),
        subject: subject.to_owned(),
        severity,
        text: text.into(),
        remedy: remedy.into(),
        says_remedy: false,
    }
}

/// Everything that is found. What the agent names itself is not found twice.
pub(super) fn findings(case: &Case<'_>) -> Vec<Finding> {
    let mut found: Vec<Finding> = conditions(case);
    let own = [
        forwarding(case),
        interfaces(case),
        programs::managers(case),
        programs::rivals(case),
        programs::ports(case),
        filter::findings(case),
        kernel(case),
        advertisements_elsewhere(case),
        neighbors(case),
        clock(case),
        rights(case),
        directories(case),
    ];
    for finding in own.into_iter().flatten() {
        let is_known = |known: &Finding| {
            known.name == finding.name
                && (known.subject == finding.subject || known.subject.is_empty())
        };
        if !found.iter().any(is_known) {
            found.push(finding);
        }
    }
    found
}

/// What the agent names.
fn conditions(case: &Case<'_>) -> Vec<Finding> {
    let conditions = case.agent.map(|agent| agent.conditions.as_slice()).unwrap_or_default();
    let found = conditions.iter().map(|condition| Finding {
        name: condition.name.clone(),
        subject: condition.subject.clone(),
        severity: Severity::Error,
        text: condition.text.clone(),
        remedy: condition.remedy.clone(),
        says_remedy: true,
    });
    found.collect()
}

fn forwarding(case: &Case<'_>) -> Vec<Finding> {
    if !case.is_router() || case.facts.forwarding != Some(false) {
        return Vec::new();
    }
    let mut found = vec![finding(
        Severity::Error,
        "forwarding-off",
        "",
        "this machine does not forward IPv6: hosts on its downlinks reach nobody",
        "write forward = true at the top of the configuration, or run sysctl -w net.ipv6.conf.all.forwarding=1",
    )];
    for (name, interface) in &case.facts.interfaces {
        if interface.accept_ra == Some(1) && !case.interfaces().any(|ours| ours == name) {
            found.push(finding(
                Severity::Note,
                "accept-ra-ends",
                name,
                "the kernel follows router advertisements here, and will not once this machine \
                 forwards",
                format!("if it has to go on: sysctl -w net.ipv6.conf.{name}.accept_ra=2"),
            ));
        }
    }
    found
}

fn interfaces(case: &Case<'_>) -> Vec<Finding> {
    let mut found = Vec::new();
    if case.facts.interfaces.is_empty() {
        return found;
    }
    for name in case.interfaces() {
        let Some(interface) = case.facts.interfaces.get(name) else {
            found.push(finding(
                Severity::Warning,
                "interface-absent",
                name,
                "there is no such interface",
                "correct its name in the configuration, or create it: it is used as soon as it is \
                 there",
            ));
            continue;
        };
        if interface.is_without_ipv6 {
            found.push(finding(
                Severity::Error,
                "ipv6-disabled",
                name,
                "IPv6 is switched off on this interface",
                format!("sysctl -w net.ipv6.conf.{name}.disable_ipv6=0"),
            ));
        } else if !interface.is_running {
            found.push(finding(
                Severity::Warning,
                "interface-down",
                name,
                "the interface is down or has no carrier",
                format!("ip link set {name} up, and look at its cable or peer"),
            ));
        }
    }
    found
}

fn kernel(case: &Case<'_>) -> Vec<Finding> {
    match case.facts.kernel {
        Some(release) if release < MARKS_ADDRESSES => vec![finding(
            Severity::Note,
            "kernel-without-address-marks",
            "",
            format!(
                "Linux {}.{} has no IFA_PROTO: which addresses are the agent's is kept in a file, \
                 and not shown by `ip address`",
                release.0, release.1
            ),
            "nothing has to be done; Linux 5.18 has it",
        )],
        Some(_) | None => Vec::new(),
    }
}

/// The other programs that could take this machine's addresses and default routes.
fn advertisements_elsewhere(case: &Case<'_>) -> Vec<Finding> {
    let follows = case.facts.interfaces.iter();
    let follows = follows.filter(|(_, interface)| interface.accept_ra == Some(2));
    let found = follows.filter_map(|(name, _)| {
        let remedy = format!("sysctl -w net.ipv6.conf.{name}.accept_ra=0");
        if case.config.downlinks.contains_key(name) {
            let text = "the kernel takes addresses and default routes from any router advertisement \
                        on this downlink";
            Some(finding(Severity::Warning, "accept-ra-on-downlink", name, text, remedy))
        } else if case.config.uplinks.contains_key(name) {
            None
        } else {
            let text = "the kernel follows router advertisements here, on an interface that is not \
                        in the configuration: a default route from here is another one beside that \
                        of the uplink";
            let remedy = format!("if that is not meant: {remedy}");
            Some(finding(Severity::Note, "accept-ra-elsewhere", name, text, remedy))
        }
    });
    found.collect()
}

/// Each requesting router is a neighbor, and so is each host.
fn neighbors(case: &Case<'_>) -> Vec<Finding> {
    let bindings = case.agent.and_then(|agent| agent.binding_summary).map(|all| all.bindings);
    let routers = bindings.unwrap_or_default().max(case.config.delegations.len());
    let needed = u64::try_from(routers).unwrap_or(u64::MAX).saturating_mul(2);
    match case.facts.neighbor_limit {
        Some(limit) if limit < needed => vec![finding(
            Severity::Warning,
            "neighbor-table-small",
            "",
            format!(
                "the kernel's table of neighbors has room for {limit}, and there are {routers} \
                 subordinate routers beside all hosts: packets to whom it has no room for are lost"
            ),
            format!("sysctl -w net.ipv6.neigh.default.gc_thresh3={}", needed.max(4096)),
        )],
        Some(_) | None => Vec::new(),
    }
}

fn clock(case: &Case<'_>) -> Vec<Finding> {
    if case.wall >= LONG_AGO {
        return match case.facts.clock_is_synchronized {
            Some(false) => vec![finding(
                Severity::Note,
                "clock-not-synchronized",
                "",
                "nothing keeps the wall clock right: after a restart of the machine the age of \
                 remembered leases is counted by it",
                "have an NTP client run, such as systemd-timesyncd or chrony",
            )],
            Some(true) | None => Vec::new(),
        };
    }
    vec![finding(
        Severity::Warning,
        "clock-not-set",
        "",
        "the wall clock stands before the year 2025: how old remembered leases are cannot be known",
        "set the clock, or start the agent after what sets it; lifetimes while it runs are counted \
         by another clock",
    )]
}

/// An agent that runs has shown that it has them.
fn rights(case: &Case<'_>) -> Vec<Finding> {
    if case.agent.is_some() || case.is_denied {
        return Vec::new();
    }
    let rights = &case.facts.rights;
    let lacking = [
        (rights.network_administration, "CAP_NET_ADMIN", "change addresses, routes and settings"),
        (rights.raw_sockets, "CAP_NET_RAW", "hear and send router advertisements"),
        (rights.low_ports, "CAP_NET_BIND_SERVICE", "have UDP ports 546 and 547"),
    ];
    let lacking = lacking.into_iter().filter(|(has, _, _)| *has == Some(false));
    let found = lacking.map(|(_, capability, purpose)| {
        finding(
            Severity::Warning,
            "right-missing",
            capability,
            format!("a process started here could not {purpose}"),
            format!(
                "run as root; or in the unit: AmbientCapabilities={capability}; or once: setcap \
                 cap_net_admin,cap_net_raw,cap_net_bind_service+ep on the program's file"
            ),
        )
    });
    found.collect()
}

fn directories(case: &Case<'_>) -> Vec<Finding> {
    if case.is_denied {
        return Vec::new();
    }
    let places = [
        ("state-directory", "--state-dir", case.state_dir),
        ("runtime-directory", "--runtime-dir", case.runtime_dir),
    ];
    // A user who could not run the agent anyway need not be able to write its files.
    let severity = match case.facts.rights.network_administration {
        Some(false) => Severity::Warning,
        Some(true) | None => Severity::Error,
    };
    let found = places.into_iter().filter_map(|(name, option, (path, directory))| {
        let subject = path.display().to_string();
        match directory {
            Directory::Refused(why) => Some(finding(
                severity,
                name,
                &subject,
                format!("this user cannot write there: {why}"),
                format!("give it to the user that runs the agent, or name another with {option}"),
            )),
            Directory::Writable { octets, files } if octets < ROOM || files == Some(0) => {
                Some(finding(
                    Severity::Error,
                    name,
                    &subject,
                    "its file system is full: what was delegated cannot be remembered",
                    format!("make room there, or name another directory with {option}"),
                ))
            }
            Directory::Writable { .. } | Directory::Absent => None,
        }
    });
    found.collect()
}
