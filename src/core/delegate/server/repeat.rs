//! Repetitions of notifications to a requesting router, until it comes (RA-TX-64).
//!
//! A notification gets lost as easily as any packet, above all on radio. A Reconfigure is
//! retransmitted after two seconds (RFC 9915 §7.6). Unicast router advertisements are bound by no
//! such time: RFC 4861 §6.2.6 limits multicast ones.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::core::delegate::Arrival;
use crate::time::{Deadline, Instant};
use crate::wire::dhcpv6_option::Duid;

/// When the repetitions leave, counted from the notification. A requesting router on the same link
/// answers within a few milliseconds; with one packet in twenty lost, the first two of these make
/// up for all but one loss in some thousands.
const REPEATED_AFTER: [Duration; 4] = [
    Duration::from_millis(20),
    Duration::from_millis(60),
    Duration::from_millis(200),
    Duration::from_secs(1),
];

/// Routers awaited at a time. Beyond it the one whose next repetition is farthest makes room: it
/// has had the most of them.
const MAX_AWAITED: usize = 256;

/// A requesting router on a downlink.
type Router = (Duid, Arc<str>);

/// Requesting routers that were notified of a change and have not come since.
#[derive(Clone, Debug, Default)]
pub(in crate::core::delegate) struct Awaited {
    routers: BTreeMap<Router, Repetitions>,
    /// When the next repetition to each leaves.
    times: BTreeSet<(Instant, Router)>,
}

/// The notifications that one router has been sent.
#[derive(Clone, Copy, Debug)]
struct Repetitions {
    /// Its address on the link.
    host: Ipv6Addr,
    notified_at: Instant,
    /// It was sent a Reconfigure message.
    renews: bool,
    count: usize,
    next_at: Instant,
}

impl Awaited {
    /// A router was notified; the repetitions begin anew.
    pub(in crate::core::delegate) fn insert(
        &mut self,
        now: Instant,
        router: Router,
        host: Ipv6Addr,
        renews: bool,
    ) {
        let Some(next_at) = repeated_at(now, 0) else { return };
        self.take(&router);
        if self.routers.len() >= MAX_AWAITED
            && let Some((_, last)) = self.times.pop_last()
        {
            self.routers.remove(&last);
        }
        let repetitions = Repetitions { host, notified_at: now, renews, count: 0, next_at };
        self.times.insert((next_at, router.clone()));
        self.routers.insert(router, repetitions);
    }

    /// A router has come and was answered. A message from another place in its name does not count.
    pub(super) fn remove(&mut self, duid: &Duid, arrival: &Arrival) {
        if self.routers.is_empty() {
            return;
        }
        let router = (duid.clone(), Arc::clone(&arrival.downlink));
        if self.routers.get(&router).is_some_and(|one| one.host == arrival.contact.peer) {
            self.take(&router);
        }
    }

    fn take(&mut self, router: &Router) -> Option<Repetitions> {
        let repetitions = self.routers.remove(router)?;
        self.times.remove(&(repetitions.next_at, router.clone()));
        Some(repetitions)
    }

    /// Whether a router that was sent a Reconfigure message since then has not come yet.
    pub(super) fn awaits_renewal(&self, since: Instant) -> bool {
        self.routers.values().any(|one| one.renews && one.notified_at >= since)
    }

    /// The next router whose repetition is to leave: its downlink, and its address there.
    pub(in crate::core::delegate) fn poll(&mut self, now: Instant) -> Option<(Arc<str>, Ipv6Addr)> {
        let (_, router) = self.times.first().filter(|(at, _)| *at <= now)?.clone();
        let mut repetitions = self.take(&router)?;
        let (host, downlink) = (repetitions.host, Arc::clone(&router.1));
        // After a pause of the whole machine several repetitions may be overdue: one is enough.
        loop {
            repetitions.count += 1;
            match repeated_at(repetitions.notified_at, repetitions.count) {
                Some(at) if at <= now => {}
                Some(next_at) => {
                    self.times.insert((next_at, router.clone()));
                    self.routers.insert(router, Repetitions { next_at, ..repetitions });
                    break;
                }
                None => break,
            }
        }
        Some((downlink, host))
    }

    /// When [`poll`](Self::poll) has the next.
    pub(in crate::core::delegate) fn deadline(&self) -> Option<Deadline> {
        let (at, _) = self.times.first()?;
        Some(Deadline::new(*at, "repeated advertisement to a requesting router"))
    }
}

/// When the repetition after `count` of them leaves.
fn repeated_at(notified_at: Instant, count: usize) -> Option<Instant> {
    REPEATED_AFTER.get(count).map(|after| notified_at + *after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::delegate::Contact;

    const START: Instant = Instant::from_secs(1000);

    fn router(number: u16) -> (Router, Ipv6Addr) {
        let mut uuid = [0; 16];
        uuid[..2].copy_from_slice(&number.to_be_bytes());
        let host = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, number);
        ((Duid::from_uuid(uuid), "lan0".into()), host)
    }

    #[test]
    fn no_more_than_a_bounded_number_is_awaited_and_the_newest_always_is() {
        let mut awaited = Awaited::default();
        for number in 0..1000 {
            let (router, host) = router(number);
            awaited.insert(START, router, host, true);
        }
        assert_eq!((awaited.routers.len(), awaited.times.len()), (MAX_AWAITED, MAX_AWAITED));
        assert!(awaited.routers.contains_key(&router(999).0));
        let now = START + Duration::from_millis(20);
        assert_eq!(std::iter::from_fn(|| awaited.poll(now)).count(), MAX_AWAITED);
        let (router, host) = router(1000);
        awaited.insert(now, router.clone(), host, true);
        assert!(awaited.routers.get(&router).is_some_and(|one| one.count == 0));
    }

    #[test]
    fn after_a_pause_one_repetition_makes_up_for_all() {
        let mut awaited = Awaited::default();
        let (router, host) = router(1);
        awaited.insert(START, router, host, true);
        let now = START + Duration::from_millis(150);
        assert_eq!(awaited.poll(now), Some(("lan0".into(), host)));
        assert_eq!(awaited.poll(now), None);
        assert_eq!(awaited.deadline().unwrap().at, START + Duration::from_millis(200));
        assert!(awaited.poll(START + Duration::from_secs(9)).is_some());
        assert_eq!(awaited.deadline(), None, "that was the last");
    }

    #[test]
    fn messages_from_other_places_end_no_repetition() {
        let mut awaited = Awaited::default();
        let ((duid, downlink), host) = router(1);
        awaited.insert(START, (duid.clone(), Arc::clone(&downlink)), host, true);
        let from = |number| {
            let peer = router(number).1;
            let contact = Contact {
                next_hop: peer,
                peer,
                link_layer: None,
                neighbor_link_layer: None,
                port: 546,
                relay: None,
                levels: Vec::new(),
            };
            Arrival { downlink: Arc::clone(&downlink), contact }
        };
        awaited.remove(&duid, &from(2));
        assert!(awaited.awaits_renewal(START));
        awaited.remove(&duid, &from(1));
        assert!(!awaited.awaits_renewal(START) && awaited.deadline().is_none());
    }
}
