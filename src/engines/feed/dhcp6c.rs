//! dhcp6c's script: `REASON`, DNS servers and domains; and in the fork of OPNsense `PDINFO` with
//! the delegated prefixes. Older ones do not name prefixes: these follow from the addresses on the
//! inner interfaces. None names lifetimes.

use ipnet::Ipv6Net;

use super::{Environment, domains, servers, words};
use crate::core::uplink::lease::{FedPrefix, Feed, FeedEvent};
use crate::wire::dhcpv6_option::Iaid;

/// A prefix that was seen on an interface that dhcp6c puts addresses on.
pub type Seen = Ipv6Net;

/// dhcp6c keeps a prefix for as long as it is granted, and reports its end.
const FOR_EVER: u32 = u32::MAX;

pub(super) fn feed(environment: &Environment, uplink: &str, seen: &[Seen]) -> Option<Feed> {
    let reason = environment.get("REASON").map_or("", String::as_str);
    let has_ended = matches!(reason, "RELEASE" | "EXIT");
    let named: Vec<Ipv6Net> = words(environment, "PDINFO");
    let prefixes = if has_ended {
        &[][..]
    } else if named.is_empty() {
        seen
    } else {
        &named
    };
    let is_usable = |prefix: &&Ipv6Net| (1..=64).contains(&prefix.prefix_len());
    let prefixes: Vec<FedPrefix> = prefixes
        .iter()
        .filter(is_usable)
        .take(Feed::PREFIXES)
        .map(|prefix| FedPrefix {
            iaid: Iaid(1),
            prefix: prefix.trunc(),
            exclude: None,
            preferred: FOR_EVER,
            valid: FOR_EVER,
        })
        .collect();
    if prefixes.is_empty() {
        // The next report replaces what has ended. A dhcp6c that is restarted releases its prefix,
        // which is used meanwhile.
        return None;
    }
    Some(Feed {
        event: FeedEvent::Bound,
        at: None,
        interface: uplink.to_owned(),
        server: None,
        prefixes,
        withdrawn: Vec::new(),
        servers: servers(environment, "new_domain_name_servers"),
        domains: domains(environment, "new_domain_name"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn a_fork_that_names_prefixes_is_believed_before_what_is_seen() {
        let seen: Vec<Ipv6Net> = vec!["2001:db8:1::/56".parse().unwrap()];
        let named = [("REASON", "REPLY"), ("PDINFO", "2001:db8:2::/56 nonsense 2001:db8:3::/80 ")];
        let found = feed(&environment(&named), "tap0", &seen).unwrap();
        let prefixes: Vec<String> =
            found.prefixes.iter().map(|fed| fed.prefix.to_string()).collect();
        assert_eq!(prefixes, ["2001:db8:2::/56"]);
        let found = feed(&environment(&[("REASON", "NBI")]), "tap0", &seen).unwrap();
        assert_eq!((found.prefixes[0].prefix, found.prefixes[0].valid), (seen[0], u32::MAX));
        assert_eq!(feed(&environment(&[("REASON", "RELEASE")]), "tap0", &seen), None);
        assert_eq!(feed(&environment(&[]), "tap0", &[]), None);
    }
}
