//! Packets that the system does not accept at once: they are retried for a moment, in their order,
//! and a milestone counts only when its packets have left.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::Ipv6Addr;
use std::time::Duration;

use tracing::debug;

use crate::core::output::{Packet, ServerPacket};
use crate::core::stage::{Milestone, Stage};
use crate::net::IfIndex;
use crate::platform;
use crate::time::Instant;

const FIRST_RETRY: Duration = Duration::from_millis(10);
const LAST_RETRY: Duration = Duration::from_millis(50);
/// A packet is out of date after this number of tries, which take half a second.
const MAX_TRIES: u32 = 10;
/// A failure that lasts for this number of tries is reported as a warning.
const WARN_AFTER: u32 = 3;
/// A lasting or recurring failure is reported once, and again only after this time without a
/// failure.
const QUIET: Duration = Duration::from_secs(60);
/// The most packets that wait; beyond that the oldest is dropped.
const MAX_PACKETS: usize = 256;

/// A packet and the socket that it leaves by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Parcel {
    Icmpv6(Packet),
    Dhcpv6(Packet),
    Server(ServerPacket),
}

/// Packets of one lane keep their order: an older advertisement must not come last.
type Lane = (u8, IfIndex, Ipv6Addr);

impl Parcel {
    fn packet(&self) -> &Packet {
        match self {
            Self::Icmpv6(packet) | Self::Dhcpv6(packet) => packet,
            Self::Server(packet) => &packet.packet,
        }
    }

    fn lane(&self) -> Lane {
        let socket = match self {
            Self::Icmpv6(_) => 0,
            Self::Dhcpv6(_) => 1,
            Self::Server(_) => 2,
        };
        let packet = self.packet();
        (socket, packet.interface, packet.destination)
    }

    /// The stage of a change that such packets reach.
    const fn stage(&self) -> Option<Stage> {
        match self {
            Self::Icmpv6(_) => Some(Stage::Advertised),
            Self::Dhcpv6(_) => Some(Stage::Asked),
            Self::Server(_) => None,
        }
    }
}

#[derive(Debug)]
enum Entry {
    Packet { parcel: Parcel, tries: u32, at: Instant },
    Milestone(Milestone),
}

/// The fate of the packets of a stage since it was last reached.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    left: bool,
    lost: bool,
}

/// The packets of a lane that wait: how many, and until when the last of them does.
#[derive(Debug)]
struct Queue {
    count: usize,
    at: Instant,
}

/// The packets that wait.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    entries: VecDeque<Entry>,
    /// A summary of [`entries`](Self::entries) by lane.
    lanes: BTreeMap<Lane, Queue>,
    asked: Fate,
    advertised: Fate,
    /// When a failure last lasted, by interface.
    failed_at: BTreeMap<IfIndex, Instant>,
    /// ICMPv6 packets that were dropped, by interface and destination.
    dropped: Vec<(IfIndex, Ipv6Addr)>,
}

impl Outbox {
    /// Whether a packet has to wait behind another.
    pub(super) fn holds(&self, parcel: &Parcel) -> bool {
        !self.lanes.is_empty() && self.lanes.contains_key(&parcel.lane())
    }

    /// Notes that a packet has left.
    pub(super) fn sent(&mut self, parcel: &Parcel) {
        if let Some(fate) = self.fate(parcel.stage()) {
            fate.left = true;
        }
    }

    /// Takes a packet that waits behind another.
    pub(super) fn push(&mut self, now: Instant, parcel: Parcel) {
        let at = self.lanes.get(&parcel.lane()).map_or(now, |queue| queue.at);
        self.insert(parcel, 0, at);
    }

    /// Takes a packet that the system has refused.
    pub(super) fn refused(&mut self, now: Instant, parcel: Parcel, error: &io::Error) {
        if self.is_final(&parcel, error, 1) {
            return;
        }
        self.insert(parcel, 1, now + FIRST_RETRY);
    }

    fn insert(&mut self, parcel: Parcel, tries: u32, at: Instant) {
        if self.entries.len() >= MAX_PACKETS
            && let Some(Entry::Packet { parcel, .. }) = self.entries.pop_front()
        {
            self.leave_lane(parcel.lane());
            self.lose(&parcel);
        }
        self.keep(parcel, tries, at);
    }

    fn keep(&mut self, parcel: Parcel, tries: u32, at: Instant) {
        let queue = self.lanes.entry(parcel.lane()).or_insert(Queue { count: 0, at });
        queue.count += 1;
        queue.at = at;
        self.entries.push_back(Entry::Packet { parcel, tries, at });
    }

    fn leave_lane(&mut self, lane: Lane) {
        let Some(queue) = self.lanes.get_mut(&lane) else { return };
        queue.count = queue.count.saturating_sub(1);
        if queue.count == 0 {
            self.lanes.remove(&lane);
        }
    }

    /// Whether another try is useless; the packet is dropped then.
    fn is_final(&mut self, parcel: &Parcel, error: &io::Error, tries: u32) -> bool {
        let destination = parcel.packet().destination;
        let is_final = tries >= MAX_TRIES || platform::is_final(error);
        if is_final {
            debug!(%error, %destination, tries, "not sent");
            self.lose(parcel);
        }
        is_final
    }

    fn lose(&mut self, parcel: &Parcel) {
        if let Parcel::Icmpv6(packet) = parcel {
            self.dropped.push((packet.interface, packet.destination));
        }
        if let Some(fate) = self.fate(parcel.stage()) {
            fate.lost = true;
        }
    }

    const fn fate(&mut self, stage: Option<Stage>) -> Option<&mut Fate> {
        match stage {
            Some(Stage::Asked) => Some(&mut self.asked),
            Some(Stage::Advertised) => Some(&mut self.advertised),
            Some(Stage::Delegated | Stage::Applied) | None => None,
        }
    }

    /// Takes a milestone; returns it at once if none of its packets waits.
    pub(super) fn reach(&mut self, milestone: Milestone) -> Option<Milestone> {
        let waits = self.entries.iter().any(|entry| match entry {
            Entry::Packet { parcel, .. } => parcel.stage() == Some(milestone.stage),
            Entry::Milestone(_) => false,
        });
        if waits {
            self.entries.push_back(Entry::Milestone(milestone));
            return None;
        }
        self.judge(milestone)
    }

    /// The milestone that is reached when its packets have left or are lost. Where all are lost it
    /// is an earlier one: no router was asked, or nothing was advertised.
    fn judge(&mut self, milestone: Milestone) -> Option<Milestone> {
        let Some(fate) = self.fate(Some(milestone.stage)) else { return Some(milestone) };
        let Fate { left, lost } = std::mem::take(fate);
        match milestone.stage {
            _ if left || !lost => Some(milestone),
            Stage::Advertised => Some(Milestone { stage: Stage::Applied, ..milestone }),
            Stage::Asked | Stage::Delegated | Stage::Applied => None,
        }
    }

    /// Retries by `send` the packets that have waited long enough. Returns the milestones that are
    /// reached, and a warning.
    pub(super) fn retry(
        &mut self,
        now: Instant,
        mut send: impl FnMut(&Parcel) -> io::Result<()>,
    ) -> (Vec<Milestone>, Option<String>) {
        if self.deadline().is_none_or(|at| at > now) {
            return (Vec::new(), None);
        }
        let (mut reached, mut warning) = (Vec::new(), None);
        // Lanes whose first packet waits, and until when.
        let mut blocked: BTreeMap<Lane, Instant> = BTreeMap::new();
        self.lanes.clear();
        for entry in std::mem::take(&mut self.entries) {
            match entry {
                Entry::Milestone(milestone) => reached.extend(self.reach(milestone)),
                Entry::Packet { parcel, tries, at } => {
                    let lane = parcel.lane();
                    let first = blocked.get(&lane).copied();
                    if at > now || first.is_some() {
                        let at = first.map_or(at, |first| first.max(at));
                        blocked.insert(lane, at);
                        self.keep(parcel, tries, at);
                        continue;
                    }
                    let Err(error) = send(&parcel) else {
                        self.sent(&parcel);
                        continue;
                    };
                    let tries = tries.saturating_add(1);
                    if tries >= WARN_AFTER {
                        self.failed_at.retain(|_, at| now.since(*at) < QUIET);
                        let interface = parcel.packet().interface;
                        if self.failed_at.insert(interface, now).is_none() {
                            warning = Some(in_words(&parcel, &error));
                        }
                    }
                    if !self.is_final(&parcel, &error, tries) {
                        let at = now + delay(tries);
                        blocked.insert(lane, at);
                        self.keep(parcel, tries, at);
                    }
                }
            }
        }
        (reached, warning)
    }

    /// The ICMPv6 packets that were dropped since the last call, by interface and destination.
    pub(super) fn take_dropped(&mut self) -> Vec<(IfIndex, Ipv6Addr)> {
        std::mem::take(&mut self.dropped)
    }

    /// When the next packet is retried.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let times = self.entries.iter().filter_map(|entry| match entry {
            Entry::Packet { at, .. } => Some(*at),
            Entry::Milestone(_) => None,
        });
        times.min()
    }
}

fn delay(tries: u32) -> Duration {
    let factor = 1_u32.checked_shl(tries.saturating_sub(1)).unwrap_or(u32::MAX);
    FIRST_RETRY.saturating_mul(factor).min(LAST_RETRY)
}

fn in_words(parcel: &Parcel, error: &io::Error) -> String {
    let destination = parcel.packet().destination;
    let remedy = platform::remedy_for_unsent(error).map(|remedy| format!("; {remedy}"));
    let remedy = remedy.unwrap_or_default();
    format!("packets cannot be sent, to {destination} for instance: {error}{remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_secs(100);
    const ASKED: Milestone = Milestone { change: 7, stage: Stage::Asked };
    const ADVERTISED: Milestone = Milestone { change: 7, stage: Stage::Advertised };

    fn packet(octet: u8, destination: &str) -> Packet {
        Packet {
            interface: IfIndex(3),
            source: "fe80::1".parse().unwrap(),
            destination: destination.parse().unwrap(),
            octets: vec![octet],
        }
    }

    fn error(errno: i32) -> io::Error {
        io::Error::from_raw_os_error(errno)
    }

    fn at(milliseconds: u64) -> Instant {
        NOW + Duration::from_millis(milliseconds)
    }

    #[test]
    fn what_is_refused_is_tried_again_and_counts_when_it_has_left() {
        let mut outbox = Outbox::default();
        let question = Parcel::Dhcpv6(packet(1, "ff02::1:2"));
        outbox.refused(NOW, question.clone(), &error(libc::EINVAL));
        assert_eq!(outbox.reach(ASKED), None);
        assert_eq!(outbox.reach(ADVERTISED), Some(ADVERTISED), "that is another thing");
        let mut times = Vec::new();
        let mut warnings = 0;
        while let Some(next) = outbox.deadline().filter(|_| times.len() < 4) {
            times.push(next);
            let (reached, warning) = outbox.retry(next, |_| Err(error(libc::EINVAL)));
            assert_eq!(reached, []);
            warnings += usize::from(warning.is_some_and(|text| text.contains("gc_thresh3")));
        }
        assert_eq!((times, warnings), (vec![at(10), at(30), at(70), at(120)], 1));
        let (reached, _) = outbox.retry(at(170), |parcel| {
            assert_eq!(*parcel, question);
            Ok(())
        });
        assert_eq!((reached, outbox.deadline()), (vec![ASKED], None));
    }

    /// A table of neighbors that is full takes one packet and refuses the next.
    #[test]
    fn what_lasts_or_comes_and_goes_is_reported_once() {
        let mut outbox = Outbox::default();
        let mut warnings_at = Vec::new();
        for second in (0..300).chain(360..600) {
            let began_at = NOW + Duration::from_secs(second);
            let parcel = Parcel::Icmpv6(packet(1, &format!("ff02::1:ff00:{second}")));
            outbox.refused(began_at, parcel, &error(libc::EINVAL));
            for _ in 0..4 {
                let next = outbox.deadline().unwrap();
                let warning = outbox.retry(next, |_| Err(error(libc::EINVAL))).1;
                warnings_at.extend(warning.map(|_| second));
            }
            outbox.retry(began_at + Duration::from_millis(500), |_| Ok(()));
            assert_eq!(outbox.deadline(), None);
        }
        assert_eq!(warnings_at, [0, 360]);
        // Another interface has its own.
        let mut elsewhere = packet(1, "ff02::2");
        elsewhere.interface = IfIndex(elsewhere.interface.0 + 1);
        let now = NOW + Duration::from_secs(600);
        outbox.refused(now, Parcel::Icmpv6(elsewhere), &error(libc::EINVAL));
        let mut warnings = 0;
        while let Some(next) = outbox.deadline() {
            let warning = outbox.retry(next, |_| Err(error(libc::EINVAL))).1;
            warnings += usize::from(warning.is_some());
        }
        assert_eq!(warnings, 1);
    }

    #[test]
    fn packets_to_one_destination_keep_their_order() {
        let mut outbox = Outbox::default();
        let (old, new) = (packet(1, "ff02::1"), packet(2, "ff02::1"));
        let (old, new) = (Parcel::Icmpv6(old), Parcel::Icmpv6(new));
        outbox.refused(NOW, old.clone(), &error(libc::ENOBUFS));
        assert!(outbox.holds(&new) && !outbox.holds(&Parcel::Icmpv6(packet(3, "fe80::9"))));
        outbox.push(NOW, new.clone());
        let mut tried = Vec::new();
        outbox.retry(at(5), |parcel| {
            tried.push(parcel.clone());
            Ok(())
        });
        assert_eq!(tried, [], "the first has yet to wait");
        outbox.retry(at(10), |parcel| {
            tried.push(parcel.clone());
            Ok(())
        });
        assert_eq!(tried, [old, new]);
    }

    #[test]
    fn what_is_out_of_date_or_has_no_link_is_dropped_and_counts_as_nothing() {
        let mut outbox = Outbox::default();
        outbox.refused(NOW, Parcel::Icmpv6(packet(1, "ff02::1")), &error(libc::ENODEV));
        assert_eq!(outbox.deadline(), None);
        let applied = Milestone { stage: Stage::Applied, ..ADVERTISED };
        assert_eq!(outbox.reach(ADVERTISED), Some(applied), "nobody was told");
        outbox.refused(NOW, Parcel::Dhcpv6(packet(1, "ff02::1:2")), &error(libc::EAGAIN));
        outbox.reach(ASKED);
        let mut reached = Vec::new();
        while let Some(next) = outbox.deadline() {
            assert!(next < at(600), "bounded");
            reached.extend(outbox.retry(next, |_| Err(error(libc::EAGAIN))).0);
        }
        assert_eq!(reached, [], "nobody was asked");
        assert_eq!(outbox.take_dropped(), [(IfIndex(3), "ff02::1".parse().unwrap())]);
        for octet in 0..=u8::MAX {
            for _ in 0..4 {
                outbox.refused(NOW, Parcel::Icmpv6(packet(octet, "ff02::1")), &error(libc::EAGAIN));
            }
        }
        assert_eq!(outbox.entries.len(), MAX_PACKETS);
        let queue = outbox.lanes.values().map(|queue| queue.count).collect::<Vec<_>>();
        assert_eq!(queue, [MAX_PACKETS]);
        outbox.retry(at(10), |_| Ok(()));
        assert!(!outbox.holds(&Parcel::Icmpv6(packet(1, "ff02::1"))), "nothing waits any more");
    }
}
