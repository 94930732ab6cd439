//! Masking addresses and names in a report, so that it can be shown: equal ones stay equal,
//! different ones stay different, and lengths stay.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::report::{Offered, Report};

/// The bits of a prefix that are a customer's own, counted from the end: a site of a /56 has 8 bits
/// of /64s.
const OWN_BITS: u32 = 72;
/// 3fff::/20 (RFC 9637), for documentation.
const DOCUMENTATION: u128 = 0x3fff << 112;

/// The replacements.
#[derive(Debug, Default)]
struct Mask {
    sites: BTreeMap<u128, u128>,
    nodes: BTreeMap<Ipv6Addr, u128>,
    duids: BTreeMap<String, usize>,
    names: BTreeMap<String, usize>,
}

/// The report with all of them masked. Words of servers and oddities, which may name anything, are
/// made from the masked report, or left out.
pub(super) fn masked(mut report: Report) -> Report {
    let mut mask = Mask::default();
    for router in &mut report.routers {
        router.address = mask.address(router.address);
        for prefix in &mut router.prefixes {
            prefix.prefix = mask.prefix(prefix.prefix);
        }
        router.routes.iter_mut().for_each(|prefix| *prefix = mask.prefix(*prefix));
        router.resolvers.iter_mut().for_each(|address| *address = mask.address(*address));
        router.search.iter_mut().for_each(|name| *name = mask.name(name));
        router.pref64 = router.pref64.map(|prefix| mask.prefix(prefix));
        router.captive_portal = router.captive_portal.take().map(|uri| mask.name(&uri));
    }
    for server in &mut report.servers {
        server.address = mask.address(server.address);
        server.duid = mask.duid(&server.duid);
        server.status = server.status.take().map(|status| code_of(&status));
        server.prefixes.iter_mut().for_each(|one| mask.offered(one));
        server.resolvers.iter_mut().for_each(|address| *address = mask.address(*address));
        server.search.iter_mut().for_each(|name| *name = mask.name(name));
    }
    if let Some(requested) = &mut report.requested {
        requested.prefixes.iter_mut().for_each(|one| mask.offered(one));
        requested.status = requested.status.take().map(|status| code_of(&status));
    }
    report.masked = true;
    report
}

impl Mask {
    fn offered(&mut self, offered: &mut Offered) {
        offered.prefix = self.prefix(offered.prefix);
        offered.exclude = offered.exclude.map(|prefix| self.prefix(prefix));
    }

    fn prefix(&mut self, prefix: Ipv6Net) -> Ipv6Net {
        let network = u128::from(prefix.network());
        let length = prefix.prefix_len();
        // Prefixes that are the same everywhere identify nobody: ::/0, 64:ff9b::/96, fe80::/10.
        if length < 16 || is_well_known(prefix.network()) {
            return prefix;
        }
        let masked = self.site(network) | (network & own_bits());
        Ipv6Net::new(masked.into(), length).map_or(prefix, |masked| masked.trunc())
    }

    fn address(&mut self, address: Ipv6Addr) -> Ipv6Addr {
        let number = u128::try_from(self.nodes.len()).unwrap_or(0) + 1;
        let node = *self.nodes.entry(address).or_insert(number);
        if address.is_unicast_link_local() {
            return Ipv6Addr::from((0xfe80 << 112) | node);
        }
        let bits = u128::from(address);
        let link = bits & own_bits() & !u128::from(u64::MAX);
        Ipv6Addr::from(self.site(bits) | link | node)
    }

    /// The site's bits that stand for those of an address.
    fn site(&mut self, bits: u128) -> u128 {
        let number = u128::try_from(self.sites.len()).unwrap_or(0) + 1;
        let site = *self.sites.entry(bits >> OWN_BITS).or_insert(number);
        DOCUMENTATION | (site << OWN_BITS)
    }

    fn duid(&mut self, duid: &str) -> String {
        let number = self.duids.len() + 1;
        let number = self.duids.entry(duid.to_owned()).or_insert(number);
        // Its type says how the server was made.
        format!("{}:DUID-{number}", duid.get(..5).unwrap_or_default())
    }

    fn name(&mut self, name: &str) -> String {
        let number = self.names.len() + 1;
        format!("name{}.example", self.names.entry(name.to_owned()).or_insert(number))
    }
}

const fn own_bits() -> u128 {
    (1 << OWN_BITS) - 1
}

const fn is_well_known(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0x64, 0xff9b, 0, ..]) || address.is_unicast_link_local()
}

/// The code of a status, without the server's words.
fn code_of(status: &str) -> String {
    status.split(' ').next().unwrap_or_default().to_owned()
}
