//! dhcp6s of the KAME project (Debian: `wide-dhcpv6-server`) as delegating router of one downlink.
//!
//! It has one file, without `include`, which would crash the program on a reload. The file has an
//! entry for each requesting router, by DUID, and the program gives the prefixes of an entry to the
//! IA_PDs of that router in their order, one each. After a reload it still confirms earlier
//! bindings, with their old lifetimes, until they are removed through the control port (BKE-03,
//! `control`).

pub mod control;
pub(super) mod life;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use crate::core::delegate::{Assigned, AssignedPrefix, HostOptions};
use crate::time::Lifetime;
use crate::wire::dhcpv6_option::{Duid, Iaid};
use crate::wire::dhcpv6_service::{SIP_ADDRESSES, SIP_NAMES, SNTP, ServiceOption};

/// The longest DUID that fits the control command that removes its binding.
const MAX_DUID: usize = 128;

/// A configuration file.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct File {
    /// Its text.
    pub text: String,
    /// The parts of the order that the program cannot carry out, each for a line of `status`.
    pub left_out: Vec<String>,
    /// The entries by requesting router.
    pub entries: BTreeMap<Duid, Entry>,
}

/// The prefixes of one requesting router.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Entry {
    /// Its IA_PDs.
    pub iaids: BTreeSet<Iaid>,
    /// Prefixes with preferred and valid lifetimes, in the order of IA_PDs.
    pub prefixes: Vec<(Ipv6Net, Lifetime, Lifetime)>,
}

impl File {
    /// Renders the file for an order.
    pub fn render(assigned: &Assigned) -> Self {
        let mut file = Self::default();
        let downlink = &*assigned.downlink;
        let _ = writeln!(file.text, "# Written by renumberd, and written anew at each change.");
        file.options(&assigned.options);
        file.interface(downlink, assigned.rapid_commit);
        file.collect(assigned);
        file.hosts();
        for pool in &assigned.pools {
            file.left_out.push(format!("the pool {}: dhcp6s has none for prefixes", pool.name));
        }
        if assigned.renew_every.is_some() {
            file.left_out
                .push("renew-every: dhcp6s has T1 at half of the preferred lifetime".into());
        }
        file
    }

    /// The bindings that the program may have of `before` and that differ from this file. The
    /// program chooses which IA_PD has which prefix of its router, so that all bindings of a router
    /// are outdated where one is.
    pub fn outdated(&self, before: &Self) -> Vec<(Duid, Iaid)> {
        let differs = |(duid, entry): &(&Duid, &Entry)| {
            let after = self.entries.get(*duid);
            after.is_none_or(|after| after.prefixes != entry.prefixes)
        };
        let differing = before.entries.iter().filter(differs);
        let bindings = differing
            .flat_map(|(duid, entry)| entry.iaids.iter().map(move |iaid| (duid.clone(), *iaid)));
        bindings.collect()
    }

    fn options(&mut self, options: &HostOptions) {
        let (usable, odd): (Vec<Ipv6Addr>, Vec<Ipv6Addr>) =
            options.servers.iter().partition(|server| is_usable(server));
        self.addresses("domain-name-servers", &usable);
        for server in odd {
            self.left_out.push(format!("the DNS server {server}: no address for other links"));
        }
        for name in &options.search {
            self.name("domain-name", name);
        }
        for option in &options.services {
            self.service(option);
        }
    }

    fn service(&mut self, option: &ServiceOption) {
        match option.code() {
            SNTP => self.addresses("ntp-servers", &option.addresses()),
            SIP_ADDRESSES => self.addresses("sip-server-address", &option.addresses()),
            SIP_NAMES => {
                option.names().iter().for_each(|name| self.name("sip-server-domain-name", name));
            }
            _ => self.left_out.push(format!("{}: dhcp6s has no such option", option.name())),
        }
    }

    fn addresses(&mut self, option: &str, addresses: &[Ipv6Addr]) {
        if addresses.is_empty() {
            return;
        }
        let _ = write!(self.text, "option {option}");
        for address in addresses {
            let _ = write!(self.text, " {address}");
        }
        self.text += ";\n";
    }

    /// A name is in quotation marks, in which nothing can be escaped.
    fn name(&mut self, option: &str, name: &str) {
        if !name.is_empty() && name.chars().all(|c| is_plain(c) && c != ':') {
            let _ = writeln!(self.text, "option {option} \"{name}\";");
        } else {
            self.left_out.push(format!("the name {name:?}: dhcp6s cannot write it"));
        }
    }

    fn interface(&mut self, downlink: &str, rapid_commit: bool) {
        if !rapid_commit {
            return;
        }
        if downlink.chars().all(is_plain) {
            let _ = writeln!(self.text, "interface {downlink} {{\n\tallow rapid-commit;\n}};");
        } else {
            self.left_out.push(format!("rapid-commit: dhcp6s cannot write {downlink:?}"));
        }
    }

    /// Collects one entry for each router, with all its IA_PDs.
    fn collect(&mut self, assigned: &Assigned) {
        for router in &assigned.routers {
            if router.duid.octets().len() > MAX_DUID {
                let problem = format!("{}: dhcp6s takes a DUID of {MAX_DUID} octets", router.name);
                self.left_out.push(problem);
                continue;
            }
            let entry = self.entries.entry(router.duid.clone()).or_default();
            entry.iaids.extend(router.iaid);
            let mut usable = router.prefixes.iter().filter(|one| !one.preferred.is_zero());
            if let Some(AssignedPrefix { prefix, preferred, valid }) = usable.next() {
                entry.prefixes.push((prefix.trunc(), *preferred, *valid));
            }
            let others = usable.map(|other| format!("{} of {}", other.prefix, router.name));
            let others = others.map(|what| format!("{what}: dhcp6s gives one prefix to an IA_PD"));
            self.left_out.extend(others);
        }
        // A second statement about one prefix makes the program refuse the file.
        for entry in self.entries.values_mut() {
            let mut seen = BTreeSet::new();
            entry.prefixes.retain(|(prefix, ..)| seen.insert(*prefix));
        }
    }

    fn hosts(&mut self) {
        for (number, (duid, entry)) in self.entries.iter().enumerate() {
            let _ = writeln!(self.text, "host router{number} {{\n\tduid {duid};");
            for (prefix, preferred, valid) in &entry.prefixes {
                let (preferred, valid) = (Seconds(*preferred), Seconds(*valid));
                let _ = writeln!(self.text, "\tprefix {prefix} {preferred} {valid};");
            }
            self.text += "};\n";
        }
    }
}

/// A lifetime in the form of the file.
struct Seconds(Lifetime);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Lifetime::Finite(seconds) => write!(f, "{seconds}"),
            Lifetime::Infinite => f.write_str("infinity"),
        }
    }
}

/// Whether a character may be in a word of the file.
const fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, ':' | '.' | '_' | '-')
}

/// Whether routers on other links can send to this address.
const fn is_usable(address: &Ipv6Addr) -> bool {
    !address.is_unicast_link_local() && !address.is_multicast() && !address.is_unspecified()
}
