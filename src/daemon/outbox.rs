//! Packets that the system does not accept at once: they are retried for a moment, in their order,
//! and a milestone counts only when its packets have left.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;
use std::net::Ipv6Addr;
use std::time::Duration;

use tracing::debug;

use crate::core::output::{Packet, ServerPacket};
use crate::core::stage::{Milestone, Stage};
use crate::net::IfIndex;
use crate::platform;
use crate::time::Instant;
use crate::wire::ndp::NeighborSolicitation;

const FIRST_RETRY: Duration = Duration::from_millis(10);
const LAST_RETRY: Duration = Duration::from_millis(50);
/// A packet is out of date after this number of tries, which take half a second.
const MAX_TRIES: u32 = 10;
/// A packet that waits behind others may be out of date before its first try.
const MAX_AGE: Duration = Duration::from_millis(500);
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

/// What a packet is sent for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Purpose {
    /// Router advertisements and solicitations, and neighbor advertisements.
    Routing,
    /// Neighbor solicitations, by which the core probes holders of delegations.
    Probe,
    /// DHCPv6 messages to servers.
    Request,
    /// DHCPv6 messages to requesting routers and relay agents.
    Answer,
}

impl Purpose {
    /// The stage of a change that such packets reach.
    const fn stage(self) -> Option<Stage> {
        match self {
            Self::Routing => Some(Stage::Advertised),
            Self::Request => Some(Stage::Asked),
            Self::Probe | Self::Answer => None,
        }
    }

    /// The number of tries after which such a packet is dropped.
    const fn max_tries(self) -> u32 {
        match self {
            Self::Routing | Self::Request | Self::Answer => MAX_TRIES,
            // The core repeats its probes, and any neighbor can cause many of them.
            Self::Probe => WARN_AFTER,
        }
    }
}

/// Packets of one lane keep their order: an older advertisement must not come last.
type Lane = (Purpose, IfIndex, Ipv6Addr);

impl Parcel {
    fn packet(&self) -> &Packet {
        match self {
            Self::Icmpv6(packet) | Self::Dhcpv6(packet) => packet,
            Self::Server(packet) => &packet.packet,
        }
    }

    fn purpose(&self) -> Purpose {
        match self {
            Self::Icmpv6(packet) if NeighborSolicitation::is_in(&packet.octets) => Purpose::Probe,
            Self::Icmpv6(_) => Purpose::Routing,
            Self::Dhcpv6(_) => Purpose::Request,
            Self::Server(_) => Purpose::Answer,
        }
    }

    fn lane(&self) -> Lane {
        let packet = self.packet();
        (self.purpose(), packet.interface, packet.destination)
    }
}

/// The fate of the packets of a stage since it was last reached.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    left: bool,
    lost: bool,
}

/// A packet that waits.
#[derive(Debug)]
struct Waiting {
    /// Its place among all packets and milestones.
    number: u64,
    parcel: Parcel,
    tries: u32,
    since: Instant,
}

/// The packets of a lane that wait.
#[derive(Debug)]
struct Queue {
    packets: VecDeque<Waiting>,
    /// When the first of them is retried.
    at: Instant,
}

/// The packets that wait.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    queues: BTreeMap<Lane, Queue>,
    /// When the first packet of each lane is retried, so that a retry costs time for the packets
    /// that are due, and none for the others.
    times: BTreeSet<(Instant, Lane)>,
    /// The lane of each packet, by number.
    order: BTreeMap<u64, Lane>,
    /// Milestones, each of which waits for packets with smaller numbers.
    milestones: VecDeque<(u64, Milestone)>,
    next_number: u64,
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
        !self.queues.is_empty() && self.queues.contains_key(&parcel.lane())
    }

    /// Notes that a packet has left.
    pub(super) fn sent(&mut self, parcel: &Parcel) {
        if let Some(fate) = self.fate(parcel.purpose().stage()) {
            fate.left = true;
        }
    }

    /// Takes a packet that waits behind another.
    pub(super) fn push(&mut self, now: Instant, parcel: Parcel) {
        self.insert(parcel, 0, now, now);
    }

    /// Takes a packet that the system has refused.
    pub(super) fn refused(&mut self, now: Instant, parcel: Parcel, error: &io::Error) {
        if is_final(&parcel, error, 1) {
            self.lose(&parcel);
        } else {
            self.insert(parcel, 1, now, now + FIRST_RETRY);
        }
    }

    /// Adds a packet behind the others of its lane; `at` is when the first one of a lane is retried.
    fn insert(&mut self, parcel: Parcel, tries: u32, since: Instant, at: Instant) {
        if self.order.len() >= MAX_PACKETS && !self.make_room(parcel.purpose()) {
            self.lose(&parcel);
            return;
        }
        let (lane, number) = (parcel.lane(), self.next_number());
        let queue = self.queues.entry(lane).or_insert_with(|| {
            self.times.insert((at, lane));
            Queue { packets: VecDeque::new(), at }
        });
        queue.packets.push_back(Waiting { number, parcel, tries, since });
        self.order.insert(number, lane);
    }

    const fn next_number(&mut self) -> u64 {
        self.next_number = self.next_number.wrapping_add(1);
        self.next_number
    }

    /// Drops the oldest probe, or the oldest packet where there is no probe. A probe has no packet of
    /// another purpose dropped; false where no room was made for it.
    fn make_room(&mut self, purpose: Purpose) -> bool {
        let is_probe = |(_, lane): &(&u64, &Lane)| lane.0 == Purpose::Probe;
        let is_any = |_: &(&u64, &Lane)| purpose != Purpose::Probe;
        let oldest = self.order.iter().find(is_probe);
        let oldest = oldest.or_else(|| self.order.iter().find(is_any));
        let dropped = oldest.map(|(_, lane)| *lane).and_then(|lane| self.take_first(lane));
        if let Some(dropped) = &dropped {
            self.lose(&dropped.parcel);
        }
        dropped.is_some()
    }

    /// Removes the first packet of a lane.
    fn take_first(&mut self, lane: Lane) -> Option<Waiting> {
        let queue = self.queues.get_mut(&lane)?;
        let first = queue.packets.pop_front();
        if queue.packets.is_empty() {
            self.times.remove(&(queue.at, lane));
            self.queues.remove(&lane);
        }
        self.order.remove(&first.as_ref()?.number);
        first
    }

    /// Has the first packet of a lane wait.
    fn postpone(&mut self, lane: Lane, at: Instant) {
        if let Some(queue) = self.queues.get_mut(&lane) {
            self.times.remove(&(queue.at, lane));
            queue.at = at;
            self.times.insert((at, lane));
        }
    }

    fn lose(&mut self, parcel: &Parcel) {
        if let Parcel::Icmpv6(packet) = parcel {
            self.dropped.push((packet.interface, packet.destination));
        }
        if let Some(fate) = self.fate(parcel.purpose().stage()) {
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
        let number = self.next_number();
        if self.waits(number, milestone) {
            self.milestones.push_back((number, milestone));
            return None;
        }
        self.judge(milestone)
    }

    /// Whether a packet of the milestone's stage waits that is older than the milestone.
    fn waits(&self, number: u64, milestone: Milestone) -> bool {
        let mut older = self.order.range(..number);
        older.any(|(_, (purpose, ..))| purpose.stage() == Some(milestone.stage))
    }

    /// Adds the milestones with smaller numbers for which no packet waits.
    fn add_reached(&mut self, number: u64, reached: &mut Vec<Milestone>) {
        for (at, milestone) in std::mem::take(&mut self.milestones) {
            if at > number || self.waits(at, milestone) {
                self.milestones.push_back((at, milestone));
            } else {
                reached.extend(self.judge(milestone));
            }
        }
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
        let (mut reached, mut warning) = (Vec::new(), None);
        let due = self.times.iter().take_while(|(at, _)| *at <= now);
        // The first packets of lanes, in order of number among all.
        let mut next: BTreeMap<u64, Lane> =
            due.filter_map(|(_, lane)| Some((self.first_of(lane)?.number, *lane))).collect();
        while let Some((number, lane)) = next.pop_first() {
            self.add_reached(number, &mut reached);
            let Some(first) = self.queues.get_mut(&lane).and_then(|one| one.packets.front_mut())
            else {
                continue;
            };
            if now.since(first.since) > MAX_AGE {
                if let Some(dropped) = self.take_first(lane) {
                    self.lose(&dropped.parcel);
                }
            } else if let Err(error) = send(&first.parcel) {
                first.tries = first.tries.saturating_add(1);
                let tries = first.tries;
                if tries >= WARN_AFTER {
                    self.failed_at.retain(|_, at| now.since(*at) < QUIET);
                    if self.failed_at.insert(lane.1, now).is_none() {
                        warning = Some(in_words(&first.parcel, &error));
                    }
                }
                if !is_final(&first.parcel, &error, tries) {
                    self.postpone(lane, now + delay(tries));
                    continue;
                }
                if let Some(dropped) = self.take_first(lane) {
                    self.lose(&dropped.parcel);
                }
            } else if let Some(left) = self.take_first(lane) {
                self.sent(&left.parcel);
            }
            next.extend(self.first_of(&lane).map(|first| (first.number, lane)));
        }
        if !self.milestones.is_empty() {
            self.add_reached(u64::MAX, &mut reached);
        }
        (reached, warning)
    }

    fn first_of(&self, lane: &Lane) -> Option<&Waiting> {
        self.queues.get(lane)?.packets.front()
    }

    /// The ICMPv6 packets that were dropped since the last call, by interface and destination.
    pub(super) fn take_dropped(&mut self) -> Vec<(IfIndex, Ipv6Addr)> {
        std::mem::take(&mut self.dropped)
    }

    /// When the next packet is retried.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.times.first().map(|(at, _)| *at)
    }
}

/// Whether another try is useless.
fn is_final(parcel: &Parcel, error: &io::Error, tries: u32) -> bool {
    let destination = parcel.packet().destination;
    let is_final = tries >= parcel.purpose().max_tries() || platform::is_final(error);
    if is_final {
        debug!(%error, %destination, tries, "not sent");
    }
    is_final
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
mod tests;
