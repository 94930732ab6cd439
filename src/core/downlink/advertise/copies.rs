//! Unicast copies of advertisements with new content, to the hosts known on the link (RA-TX-63).
//!
//! A wireless link neither acknowledges nor repeats multicast, and MIN_DELAY_BETWEEN_RAS keeps the
//! second of two changes from the hosts for up to three seconds. RFC 4861 §6.2.6 limits multicast
//! advertisements only, so new content also goes to each host by unicast, which radio repeats until
//! it is acknowledged; on links that do not, this module repeats it. Requesting routers are hosts
//! as well: a Reconfigure does not carry the prefix of the link.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::Duration;

use crate::core::kernel::system::Neighbor;
use crate::core::uplink::change::bucket::Bucket;
use crate::time::{Deadline, Instant};

/// When the copies to all hosts begin, counted from the change. The first come late enough for
/// requesting routers, which have others below them, to go first.
const ROUNDS: [Duration; 3] =
    [Duration::from_millis(10), Duration::from_millis(50), Duration::from_millis(200)];
/// The time between two copies: they must not fill a link.
const SPACING: Duration = Duration::from_millis(1);
/// Copies for one change, over all rounds. Where there are many hosts, the later rounds reach
/// those alone that were reachable most recently.
const MAX_COPIES: usize = 64;
/// Changes that are copied, at once and one more for each such span. The last of more changes
/// than that is copied when the next span begins; multicast advertisements come as often.
const CHANGES_AT_ONCE: u32 = 4;
const CHANGE_SPACING: Duration = Duration::from_secs(3);

/// Addresses with one link-layer address that are sent copies: a node that makes up many addresses
/// takes no place from others. A repeater stands for a few hosts.
const MAX_ADDRESSES: usize = 4;

/// Hosts that solicited, and for how long they count as known. Most are in the neighbor cache as
/// well.
const MAX_SOLICITORS: usize = 64;
const SOLICITED_LATELY: Duration = Duration::from_secs(600);

/// The copies of one link.
#[derive(Clone, Debug)]
pub(super) struct Copies {
    /// Since when there is new content of which no copies have been sent.
    wanted_since: Option<Instant>,
    /// The changes that may still be copied.
    changes_left: Bucket,
    /// The time of the change whose copies are under way, or wait for the list of neighbors.
    changed_at: Instant,
    /// The hosts to send them to, the most recently reachable first.
    hosts: Vec<Ipv6Addr>,
    sent_count: usize,
    sent_at: Instant,
    /// The link-layer addresses of hosts that solicited, and when.
    solicitors: BTreeMap<Ipv6Addr, (Vec<u8>, Instant)>,
}

impl Copies {
    pub(super) const fn new() -> Self {
        Self {
            wanted_since: None,
            changes_left: Bucket::new(CHANGES_AT_ONCE, CHANGE_SPACING),
            changed_at: Instant::BOOT,
            hosts: Vec::new(),
            sent_count: 0,
            sent_at: Instant::BOOT,
            solicitors: BTreeMap::new(),
        }
    }

    /// Requests copies of new content.
    pub(super) fn want(&mut self, now: Instant) {
        self.wanted_since.get_or_insert(now);
    }

    /// Notes a host that has solicited.
    pub(super) fn note_solicitor(&mut self, now: Instant, host: Ipv6Addr, link_layer: Vec<u8>) {
        if self.solicitors.len() >= MAX_SOLICITORS && !self.solicitors.contains_key(&host) {
            let oldest = self.solicitors.iter().min_by_key(|(_, (_, at))| *at);
            if let Some(oldest) = oldest.map(|(host, _)| *host) {
                self.solicitors.remove(&oldest);
            }
        }
        self.solicitors.insert(host, (link_layer, now));
    }

    /// Whether the time has come to ask for the neighbors.
    pub(super) fn poll_neighbors(&mut self, now: Instant) -> bool {
        if self.begins_at().is_none_or(|at| at > now) || !self.changes_left.take(now) {
            return false;
        }
        self.changed_at = self.wanted_since.take().unwrap_or(now);
        true
    }

    /// The neighbors: copies to them begin.
    pub(super) fn set_neighbors(&mut self, now: Instant, neighbors: Vec<Neighbor>) {
        self.solicitors.retain(|_, (_, at)| now.since(*at) < SOLICITED_LATELY);
        let known: BTreeSet<Ipv6Addr> = neighbors.iter().map(|neighbor| neighbor.address).collect();
        let solicitors = self.solicitors.iter().filter(|(host, _)| !known.contains(host));
        let solicitors = solicitors.map(|(host, (link_layer, at))| Neighbor {
            address: *host,
            link_layer: link_layer.clone(),
            unconfirmed_for: now.since(*at),
        });
        // Any node can solicit under any address; an entry of the neighbor cache proves more.
        let mut all = by_reachability(neighbors);
        all.extend(by_reachability(solicitors.collect()));
        self.hosts = hosts(all);
        self.sent_count = 0;
    }

    /// The next host to send a copy to.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Ipv6Addr> {
        if self.next_at().is_none_or(|at| at > now) {
            return None;
        }
        let host = self.hosts.get(self.sent_count.checked_rem(self.hosts.len())?).copied();
        self.sent_count += 1;
        self.sent_at = now;
        host
    }

    /// Forgets everything: the link cannot send.
    pub(super) fn clear(&mut self) {
        self.wanted_since = None;
        self.hosts.clear();
        self.solicitors.clear();
    }

    /// The next deadline, and its reason.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        Deadline::first([
            self.begins_at().map(|at| Deadline::new(at, "neighbors for copies")),
            self.next_at().map(|at| Deadline::new(at, "copy of an advertisement")),
        ])
    }

    /// When the copies of what is new begin.
    fn begins_at(&self) -> Option<Instant> {
        let [first, ..] = ROUNDS;
        self.wanted_since.map(|since| (since + first).max(self.changes_left.available_at()))
    }

    /// When the next copy leaves.
    fn next_at(&self) -> Option<Instant> {
        if self.sent_count >= MAX_COPIES {
            return None;
        }
        let round = ROUNDS.get(self.sent_count.checked_div(self.hosts.len())?)?;
        Some((self.changed_at + *round).max(self.sent_at + SPACING))
    }
}

/// The most recently reachable first.
fn by_reachability(mut neighbors: Vec<Neighbor>) -> Vec<Neighbor> {
    neighbors.sort_by_key(|neighbor| neighbor.unconfirmed_for);
    neighbors
}

/// Where copies go: to the link-local addresses of each host, and only where none is known to the
/// other one that was reachable most recently. The order stays.
fn hosts(neighbors: Vec<Neighbor>) -> Vec<Ipv6Addr> {
    let usable = |neighbor: &Neighbor| {
        let address = neighbor.address;
        !(address.is_unspecified() || address.is_loopback() || address.is_multicast())
    };
    let mut ranked: Vec<(usize, Neighbor)> =
        neighbors.into_iter().filter(usable).enumerate().collect();
    ranked.sort_by_key(|(rank, one)| (Reverse(one.address.is_unicast_link_local()), *rank));
    let mut shares: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let mut hosts: BTreeMap<usize, Ipv6Addr> = BTreeMap::new();
    for (rank, Neighbor { address, link_layer, .. }) in ranked {
        let share = shares.entry(link_layer).or_default();
        *share += 1;
        let most = if address.is_unicast_link_local() { MAX_ADDRESSES } else { 1 };
        if *share <= most {
            hosts.insert(rank, address);
        }
    }
    hosts.into_values().take(MAX_COPIES).collect()
}
