//! Options for hosts that are passed on from uplinks to the hosts of each link (LAN-01).

use ipnet::Ipv6Net;

use super::{Content, Facts};
use crate::config;
use crate::time::Until;
use crate::wire::dhcpv6_service::ServiceOption;

/// NAT64 prefixes that are advertised on a link at most.
const MAX_PREF64: usize = 8;

/// Adds the options that uplinks pass on to the content of a link. Each option is that of the first
/// uplink by name that has it: hosts could not see which uplink an option belongs to. The link's
/// own captive portal and NAT64 prefix take precedence.
pub(super) fn pass_on(facts: Facts<'_>, downlink: &config::Downlink, content: &mut Content) {
    for code in ServiceOption::CODES {
        let of_code = |option: &&ServiceOption| option.code() == code;
        let mut sources = facts.sources.values();
        let first = sources.find(|uplink| uplink.services.iter().any(|option| of_code(&option)));
        let options = first.into_iter().flat_map(|uplink| &uplink.services);
        content.services.extend(options.filter(of_code).cloned());
    }
    let portals = content.services.iter().filter_map(ServiceOption::portal_uri);
    let passed = portals.map(str::to_owned).next().or_else(|| heard_portal(facts));
    content.captive_portal = downlink.advertise.captive_portal.clone().or(passed);
    content.services.retain(|option| option.portal_uri().is_none());
    let portal = content.captive_portal.as_deref().and_then(ServiceOption::captive_portal);
    content.services.extend(portal);
    if downlink.advertise.pref64.is_none() {
        content.pref64 = nat64_prefixes(facts);
    }
}

fn heard_portal(facts: Facts<'_>) -> Option<String> {
    facts.sources.values().find_map(|uplink| uplink.parameters.captive_portal.clone())
}

/// All NAT64 prefixes that routers of uplinks advertise, each with its latest end.
fn nat64_prefixes(facts: Facts<'_>) -> Vec<(Ipv6Net, Until)> {
    let mut prefixes: Vec<(Ipv6Net, Until)> = Vec::new();
    let heard = facts.sources.values().flat_map(|uplink| &uplink.parameters.pref64);
    for (prefix, until) in heard {
        if let Some((_, end)) = prefixes.iter_mut().find(|(known, _)| known == prefix) {
            *end = (*end).max(*until);
        } else if prefixes.len() < MAX_PREF64 {
            prefixes.push((*prefix, *until));
        }
    }
    prefixes
}
