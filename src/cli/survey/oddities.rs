//! Oddities of a link, each with a name.

use super::report::{Advertised, Oddity, Offered, Report, Router, Server, as_number, chosen};
use crate::net::overlap;

/// Lifetimes below this leave no time to renew in peace, in seconds.
const SHORT: u64 = 300;

/// All oddities of a report.
pub(super) fn oddities(report: &Report) -> Vec<Oddity> {
    let mut found = Vec::new();
    of_link(report, &mut found);
    for router in &report.routers {
        of_router(report, router, &mut found);
    }
    for server in &report.servers {
        of_server(report, server, &mut found);
    }
    found
}

fn add(
    found: &mut Vec<Oddity>,
    name: &'static str,
    subject: impl ToString,
    text: impl Into<String>,
) {
    found.push(Oddity { name, subject: subject.to_string(), text: text.into() });
}

fn of_link(report: &Report, found: &mut Vec<Oddity>) {
    let Report { routers, servers, not_asked, .. } = report;
    if routers.is_empty() {
        add(found, "no-router", "", "no router advertises on this link");
    }
    if not_asked.is_none() && servers.is_empty() {
        let says_managed = routers.iter().any(|router| router.managed || router.other);
        if says_managed {
            let text = "a router sets M or O, and no DHCPv6 server answers a Solicit for a prefix";
            add(found, "managed-without-server", "", text);
        } else {
            add(found, "no-server", "", "no DHCPv6 server answers a Solicit for a prefix");
        }
    }
    if servers.len() > 1 {
        let text = format!("{} servers answer: which one a client takes may change", servers.len());
        add(found, "several-servers", "", text);
    }
    if !routers.is_empty() && routers.iter().all(|router| router.lifetime == 0) {
        let text = "routers advertise, and none of them as a default router";
        add(found, "no-default-router", "", text);
    }
}

fn of_router(report: &Report, router: &Router, found: &mut Vec<Oddity>) {
    for prefix in &router.prefixes {
        let Advertised { prefix: of, preferred, valid, autonomous, .. } = prefix;
        of_lifetimes(found, of, *preferred, *valid);
        if *autonomous && of.prefix_len() != 64 {
            let text = "hosts form no address in an autonomous prefix that is no /64";
            add(found, "autonomous-not-64", of, text);
        }
        let offered = report.servers.iter().flat_map(|server| &server.prefixes);
        for delegated in offered.filter(|one| overlap(one.prefix, *of)) {
            if delegated.exclude != Some(*of) {
                let text = format!(
                    "it is advertised on this link and lies in {}, which is delegated without \
                     excluding it (RFC 6603)",
                    delegated.prefix
                );
                add(found, "advertised-within-delegated", of, text);
            }
        }
    }
    for malformed in &router.malformed {
        add(found, "malformed-option", router.address, malformed.clone());
    }
}

fn of_server(report: &Report, server: &Server, found: &mut Vec<Oddity>) {
    let subject = &server.duid;
    if server.prefixes.is_empty() {
        let status = server.status.as_deref().unwrap_or("it gives no reason");
        add(found, "no-prefix", subject, format!("the server offers no prefix: {status}"));
    }
    for Offered { prefix, preferred, valid, .. } in &server.prefixes {
        of_lifetimes(found, prefix, *preferred, *valid);
        if prefix.prefix_len() > 64 {
            add(found, "longer-than-64", prefix, "no link can use it");
        }
    }
    if !server.prefixes.is_empty()
        && server.prefixes.iter().all(|one| one.prefix.prefix_len() == 64)
    {
        let text = "what is delegated is one link: nothing is left for other links, or for routers \
                    below (RFC 6177 asks for more)";
        add(found, "only-64", subject, text);
    }
    of_times(server, found);
    if let (Some(hint), Some(hinted)) = (report.hint, &server.hinted)
        && !hinted.contains(&hint)
    {
        let given: Vec<String> = hinted.iter().map(|length| format!("/{length}")).collect();
        let given = if given.is_empty() { "nothing".to_owned() } else { given.join(", ") };
        let text = format!("a hint of /{hint} is answered with {given}");
        add(found, "hint-ignored", subject, text);
    }
    for malformed in &server.malformed {
        add(found, "malformed-option", subject, malformed.clone());
    }
}

/// T1 and T2 against each other and the lifetimes (RFC 9915 §21.21).
fn of_times(server: &Server, found: &mut Vec<Oddity>) {
    let preferred = server.prefixes.iter().map(|one| as_number(one.preferred));
    let Some(preferred) = preferred.filter(|seconds| *seconds > 0).min() else { return };
    let valid = server.prefixes.iter().map(|one| as_number(one.valid)).min().unwrap_or(u64::MAX);
    let subject = &server.duid;
    let (t1, t2) = (chosen(server.t1), chosen(server.t2));
    if let (Some(t1), Some(t2)) = (t1, t2)
        && t1 > t2
    {
        add(found, "t1-exceeds-t2", subject, format!("T1 is {t1} s, T2 {t2} s"));
    }
    if let Some(t1) = t1.filter(|t1| *t1 > preferred) {
        let text = format!("T1 is {t1} s, and the prefix is preferred for {preferred} s");
        add(found, "t1-exceeds-preferred", subject, text);
    }
    if let Some(t2) = t2.filter(|t2| *t2 > valid) {
        let text = format!("T2 is {t2} s, and the prefix is valid for {valid} s");
        add(found, "t2-exceeds-valid", subject, text);
    }
}

fn of_lifetimes(
    found: &mut Vec<Oddity>,
    prefix: &ipnet::Ipv6Net,
    preferred: Option<u32>,
    valid: Option<u32>,
) {
    let (preferred, valid) = (as_number(preferred), as_number(valid));
    if preferred > valid {
        let text = format!("it is preferred longer than it is valid ({preferred} s, {valid} s)");
        add(found, "preferred-exceeds-valid", prefix, text);
    } else if valid == 0 || preferred == 0 {
        let what = if valid == 0 { "withdrawn" } else { "deprecated" };
        add(found, "deprecated", prefix, format!("it is {what}"));
    } else if valid < SHORT {
        let text = format!("it is valid for {valid} s: a lost message or two cost it");
        add(found, "short-lifetime", prefix, text);
    } else if valid == u64::MAX {
        let text = "it is valid without end: hosts keep it when it is of no use any more";
        add(found, "endless-lifetime", prefix, text);
    }
}
