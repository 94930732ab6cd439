//! What holds at all times: nobody is told more than the lease above has left.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use renumberd::time::Instant;
use renumberd::wire::dhcpv6::{Message, MessageType};
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::NdpOption;

use ipnet::Ipv6Net;

use super::chain::Tree;

/// What was seen.
#[derive(Default)]
pub struct Watch {
    /// Renews, with the router that sent them.
    pub renewals: Vec<(Instant, usize)>,
    /// The shortest preferred lifetime that was told of a prefix that is preferred.
    pub shortest: Option<u32>,
    pub replies: usize,
    /// Steps that kernels took.
    pub steps: usize,
    /// The last answer of each router, and its last advertisement.
    pub answers: BTreeMap<usize, Message>,
    pub advertisements: BTreeMap<usize, RouterAdvertisement>,
    /// When a router first advertised a prefix as preferred, to anyone.
    pub advertised_first: BTreeMap<(usize, Ipv6Net), Instant>,
    /// Advertisements for all, and for one.
    pub multicasts: usize,
    pub unicasts: usize,
    /// DHCPv6 messages.
    pub dhcpv6: usize,
}

impl Watch {
    pub fn sent(&mut self, now: Instant, by: usize, kind: MessageType) {
        self.dhcpv6 += 1;
        if kind == MessageType::Renew {
            self.renewals.push((now, by));
        }
    }

    pub fn advertised(
        &mut self,
        now: Instant,
        by: usize,
        to: Ipv6Addr,
        advertisement: &RouterAdvertisement,
    ) {
        if to.is_multicast() {
            self.multicasts += 1;
        } else {
            self.unicasts += 1;
        }
        for prefix in preferred(advertisement) {
            self.advertised_first.entry((by, prefix)).or_insert(now);
        }
    }

    fn preferred(&mut self, preferred: u32) {
        if preferred > 0 {
            self.shortest = Some(self.shortest.map_or(preferred, |least| least.min(preferred)));
        }
    }

    /// When a router sent its Renews.
    pub fn renewals_of(&self, router: usize) -> Vec<Instant> {
        self.renewals.iter().filter(|(_, by)| *by == router).map(|(at, _)| *at).collect()
    }

    /// The most Renews that one router sent in any hour.
    pub fn most_in_an_hour(&self, router: usize) -> usize {
        let all = self.renewals_of(router);
        let hour = std::time::Duration::from_secs(3600);
        let from = |start: &Instant| {
            all.iter().filter(|at| *at >= start && at.since(*start) < hour).count()
        };
        all.iter().map(from).max().unwrap_or(0)
    }
}

/// The prefixes that are advertised as preferred.
fn preferred(advertisement: &RouterAdvertisement) -> impl Iterator<Item = Ipv6Net> {
    let preferred = advertisement.prefixes().filter(|one| !one.preferred.is_zero());
    preferred.map(|one| one.prefix)
}

impl Tree {
    /// What is left of the lease that `prefix` is a part of: preferred and valid.
    fn left(&self, of: usize, prefix: Ipv6Net) -> Option<(u32, u32)> {
        let status = self.net.nodes[of].core.status(self.net.now);
        let leases = status.uplinks["up"].leases.iter();
        let live = leases.filter(|lease| !lease.gone && lease.prefix.contains(&prefix));
        live.map(|lease| (lease.preferred.unwrap_or(u32::MAX), lease.valid.unwrap_or(u32::MAX)))
            .max()
    }

    fn check_lifetimes(&mut self, of: usize, prefix: Ipv6Net, preferred: u32, valid: u32) {
        // What is unique local comes from nobody above.
        if valid > 0 && !prefix.network().is_unique_local() {
            let left = self.left(of, prefix);
            let (most, longest) = left.unwrap_or((0, 0));
            assert!(
                preferred <= most && valid <= longest,
                "router {of} tells {preferred}/{valid} of {prefix}, and has {left:?}"
            );
            self.watch.preferred(preferred);
        }
    }

    pub fn check_answer(&mut self, of: usize, octets: &[u8]) {
        let answer = Message::decode(octets).expect("an answer decodes");
        if answer.kind == MessageType::Reply {
            self.watch.replies += 1;
        }
        self.watch.answers.insert(of, answer.clone());
        let prefixes: Vec<_> = answer.ia_pds().flat_map(|ia| ia.prefixes.clone()).collect();
        for prefix in prefixes {
            let (preferred, valid) = (prefix.preferred.to_wire(), prefix.valid.to_wire());
            self.check_lifetimes(of, prefix.prefix, preferred, valid);
        }
    }

    pub fn check_advertisement(&mut self, of: usize, advertisement: &RouterAdvertisement) {
        self.watch.advertisements.insert(of, advertisement.clone());
        for option in &advertisement.options {
            if let NdpOption::Prefix(prefix) = option {
                let (preferred, valid) = (prefix.preferred.to_wire(), prefix.valid.to_wire());
                self.check_lifetimes(of, prefix.prefix, preferred, valid);
            }
        }
    }
}
