//! The places of routers that another program answers: the agent receives their messages too,
//! without answering them. A lease names the router that holds a prefix; only a message shows the
//! place of that router (SEC-18).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::Contact;
use crate::time::Instant;
use crate::wire::dhcpv6_option::Duid;

/// How many routers are remembered. Beyond that the oldest of the neighbor
/// with most of them is forgotten: a DUID costs nothing to invent.
const MAX_SEEN: usize = 256;
/// How long the DUID of a router without a lease stays reserved for that router after its last
/// message: a neighbor that sees its Solicit and asks in its name comes too late.
const KEPT: Duration = Duration::from_secs(30);

/// The routers whose messages were seen last. The place of a router that holds something is in its
/// binding.
#[derive(Clone, Debug, Default)]
pub(super) struct Observed {
    seen: BTreeMap<(Arc<str>, Duid), Seen>,
}

#[derive(Clone, Debug)]
struct Seen {
    contact: Contact,
    at: Instant,
}

impl Observed {
    /// Notes where a message came from; false where another neighbor used the same DUID just now.
    pub(super) fn note(
        &mut self,
        now: Instant,
        downlink: &Arc<str>,
        duid: &Duid,
        contact: &Contact,
    ) -> bool {
        let seen = self.seen.get(&(Arc::clone(downlink), duid.clone()));
        let is_others = seen.is_some_and(|seen| {
            seen.contact.place() != contact.place() && now.since(seen.at) < KEPT
        });
        if !is_others {
            self.set(now, downlink, duid, contact);
        }
        !is_others
    }

    /// Notes the place of a router, whatever its place was before.
    pub(super) fn set(
        &mut self,
        now: Instant,
        downlink: &Arc<str>,
        duid: &Duid,
        contact: &Contact,
    ) {
        let key = (Arc::clone(downlink), duid.clone());
        if self.seen.len() >= MAX_SEEN && !self.seen.contains_key(&key) {
            self.evict();
        }
        self.seen.insert(key, Seen { contact: contact.clone(), at: now });
    }

    /// The place of a router, as its last message showed.
    pub(super) fn contact(&self, downlink: &Arc<str>, duid: &Duid) -> Option<Contact> {
        let seen = self.seen.get(&(Arc::clone(downlink), duid.clone()))?;
        Some(seen.contact.clone())
    }

    fn evict(&mut self) {
        let mut counts: BTreeMap<_, usize> = BTreeMap::new();
        for seen in self.seen.values() {
            *counts.entry(seen.contact.neighbor()).or_default() += 1;
        }
        let rank = |(_, seen): &(&(Arc<str>, Duid), &Seen)| {
            (counts.get(&seen.contact.neighbor()).copied(), std::cmp::Reverse(seen.at))
        };
        let first = self.seen.iter().max_by_key(rank).map(|(key, _)| key.clone());
        if let Some(first) = first {
            self.seen.remove(&first);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::DHCP_CLIENT_PORT;

    const NOW: Instant = Instant::from_secs(1000);

    fn at(peer: &str) -> Contact {
        let peer = peer.parse().unwrap();
        Contact {
            next_hop: peer,
            peer,
            link_layer: None,
            neighbor_link_layer: None,
            port: DHCP_CLIENT_PORT,
            relay: None,
            levels: Vec::new(),
        }
    }

    fn duid(number: u16) -> Duid {
        let [high, low] = number.to_be_bytes();
        Duid::new(&[0, 3, high, low]).unwrap()
    }

    #[test]
    fn a_stranger_that_uses_the_duid_of_another_comes_too_late() {
        let lan: Arc<str> = "lan0".into();
        let mut observed = Observed::default();
        assert!(observed.note(NOW, &lan, &duid(1), &at("fe80::1")));
        let later = NOW + Duration::from_secs(29);
        assert!(!observed.note(later, &lan, &duid(1), &at("fe80::2")));
        assert_eq!(observed.contact(&lan, &duid(1)), Some(at("fe80::1")));
        assert!(observed.note(later, &lan, &duid(1), &at("fe80::1")));
        let still_later = later + Duration::from_secs(29);
        assert!(!observed.note(still_later, &lan, &duid(1), &at("fe80::2")));
        assert!(observed.note(later + KEPT, &lan, &duid(1), &at("fe80::2")), "it has left");
        assert_eq!(observed.contact(&"lan1".into(), &duid(1)), None);
    }

    #[test]
    fn a_neighbor_that_invents_routers_forgets_its_own() {
        let lan: Arc<str> = "lan0".into();
        let mut observed = Observed::default();
        assert!(observed.note(NOW, &lan, &duid(0), &at("fe80::1")));
        for number in 1..2000 {
            assert!(observed.note(NOW, &lan, &duid(number), &at("fe80::bad")));
        }
        assert_eq!(observed.contact(&lan, &duid(0)), Some(at("fe80::1")));
        assert!(observed.contact(&lan, &duid(1999)).is_some(), "the newest is known");
        assert_eq!(observed.seen.len(), MAX_SEEN);
    }
}
