//! DNS servers and search domains in the form of resolv.conf(5), and networks one a line.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::record::Purpose;

/// The line in a file that names its owner.
const HEADER: &str = "# Kept by renumberd: what routers advertise (RFC 8106).\n";

/// DNS servers and search domains of one interface.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Resolver {
    /// The interface, which link-local addresses need beside them.
    pub(super) interface: String,
    /// The router that advertises them, where each has an entry of its own.
    pub(super) router: Option<Ipv6Addr>,
    /// In the order of preference.
    pub(super) servers: Vec<Ipv6Addr>,
    pub(super) search: Vec<String>,
}

impl Resolver {
    pub(super) fn is_empty(&self) -> bool {
        self.servers.is_empty() && self.search.is_empty()
    }
}

/// Lines as rtsold(8) hands them to resolvconf(8).
pub(super) fn lines(resolvers: &[Resolver]) -> String {
    let mut text = String::new();
    let servers = resolvers.iter().flat_map(|resolver| {
        resolver.servers.iter().map(|server| match server.is_unicast_link_local() {
            true => format!("{server}%{}", resolver.interface),
            false => server.to_string(),
        })
    });
    for server in without_repetition(servers) {
        let _ = writeln!(text, "nameserver {server}");
    }
    // Of several lines of this kind only the last one counts.
    let domains = resolvers.iter().flat_map(|resolver| resolver.search.iter().cloned());
    let domains = without_repetition(domains);
    if !domains.is_empty() {
        let _ = writeln!(text, "search {}", domains.join(" "));
    }
    text
}

/// A file in the form of resolv.conf(5).
pub(super) fn file(resolvers: &[Resolver]) -> String {
    HEADER.to_owned() + &lines(resolvers)
}

/// The contents of a file without a publication.
pub(super) fn nothing(purpose: Purpose) -> String {
    match purpose {
        Purpose::Resolver => file(&[]),
        Purpose::Networks => networks(&BTreeSet::new()),
    }
}

/// Prefixes, one a line, in order.
pub(super) fn networks(networks: &BTreeSet<Ipv6Net>) -> String {
    networks.iter().map(|network| format!("{network}\n")).collect()
}

fn without_repetition(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for name in names {
        if !kept.contains(&name) {
            kept.push(name);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolver(interface: &str, servers: &[&str], search: &[&str]) -> Resolver {
        let servers = servers.iter().map(|server| server.parse().unwrap()).collect();
        let search = search.iter().map(|&domain| domain.to_owned()).collect();
        Resolver { interface: interface.to_owned(), router: None, servers, search }
    }

    #[test]
    fn the_lines_are_those_of_rtsold() {
        let one = resolver("eth0", &["2001:db8::53", "fe80::1"], &["example.org", "a.example"]);
        assert_eq!(
            lines(std::slice::from_ref(&one)),
            "nameserver 2001:db8::53\nnameserver fe80::1%eth0\nsearch example.org a.example\n"
        );
        let other = resolver("wlan0", &["2001:db8::53", "fe80::1"], &["a.example"]);
        assert_eq!(
            lines(&[one, other]),
            "nameserver 2001:db8::53\nnameserver fe80::1%eth0\nnameserver fe80::1%wlan0\n\
             search example.org a.example\n"
        );
        assert_eq!(lines(&[Resolver::default()]), "");
        assert_eq!(file(&[]), HEADER);
    }

    #[test]
    fn networks_stand_one_a_line() {
        let found = ["2001:db8:2::/64", "2001:db8:1::/48"].map(|text| text.parse().unwrap());
        assert_eq!(networks(&BTreeSet::from(found)), "2001:db8:1::/48\n2001:db8:2::/64\n");
        assert_eq!(networks(&BTreeSet::new()), "");
    }
}
