//! The neighbors that are probed by solicitations, with the results, and the refused takeovers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use crate::core::agent::conditions::Conditions;
use crate::core::delegate::{Contact, Holder, Place};
use crate::core::event::{Condition, Newcomer};
use crate::core::input::Received;
use crate::net::IfIndex;
use crate::time::{Deadline, Instant};
use crate::wire::ndp::{NeighborAdvertisement, NeighborSolicitation};

/// How many solicitations have to be unanswered before a holder counts as silent.
const TRY_COUNT: u8 = 3;
/// The same where the link is flooded: then silence proves little, as answers get lost.
const TRY_COUNT_IN_FLOOD: u8 = 20;
/// How many packets have to come per solicitation before this counts as a flood.
const FLOOD: u64 = 200;
/// The time between solicitations, and from the last one to the verdict. Three of them end before a
/// Solicit is retransmitted (SOL_TIMEOUT, 1 s), so that the retransmission is answered at once.
const TRY_INTERVAL: Duration = Duration::from_millis(300);
/// A holder is not found silent when this much later than planned: its answer may not have been
/// read yet. One more solicitation is sent then.
const LATE: Duration = Duration::from_millis(50);
/// A probe that has no result after this time is given up; the message that waits is dropped.
const GIVEN_UP_AFTER: Duration = Duration::from_secs(30);
/// How long an answer counts: a holder is probed once a second, however many messages come.
const ANSWERED_FOR: Duration = Duration::from_secs(1);
/// How long silence counts: a newcomer that has sent a Solicit has time for its Request.
const SILENT_FOR: Duration = Duration::from_secs(5);
/// The most probes at a time. Beyond that the oldest of the newcomer that caused most is dropped.
const MAX_PROBES: usize = 64;
/// The most refused takeovers that are shown. Beyond that the oldest is dropped.
const MAX_CONTESTED: usize = 16;
/// How long a refused takeover is shown after the last attempt.
const CONTESTED_FOR: Duration = Duration::from_secs(600);

/// Which neighbor is probed (`holder`), and on account of which newcomer.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Question {
    pub(super) interface: IfIndex,
    pub(super) holder: Ipv6Addr,
    pub(super) newcomer: Place,
}

impl Question {
    /// Whether the newcomer itself is probed, for its link-layer address, and no other holder.
    fn is_of_itself(&self) -> bool {
        self.holder == self.newcomer.neighbor
    }

    /// The question for the newcomer's own link-layer address.
    pub(super) fn of_itself(&self) -> Self {
        Self { holder: self.newcomer.neighbor, ..self.clone() }
    }

    /// Whether the neighbors of a holder and of the newcomer can be one node with two addresses: a
    /// router whose link-local address was changed, or a relay agent whose link was renumbered.
    pub(super) fn may_be_same_node(&self, holder: &Contact) -> bool {
        holder.place().behind == self.newcomer.behind
    }
}

#[derive(Clone, Debug)]
enum State {
    Asking { sent_count: u8, next_at: Instant, waiting: Box<Received> },
    Answered { until: Instant, link_layer: Option<Vec<u8>> },
    Silent { until: Instant },
}

#[derive(Clone, Debug)]
struct Probe {
    started_at: Instant,
    /// How many packets had come when the probe began.
    packets_before: u64,
    state: State,
}

impl Probe {
    /// How many solicitations have to stay unanswered, where `packets` have come.
    fn try_count(&self, packets: u64, sent_count: u8) -> u8 {
        let meanwhile = packets.saturating_sub(self.packets_before);
        let is_flooded = meanwhile > FLOOD.saturating_mul(u64::from(sent_count.max(1)));
        if is_flooded { TRY_COUNT_IN_FLOOD } else { TRY_COUNT }
    }
}

/// A takeover that was refused.
#[derive(Clone, Debug)]
struct Contested {
    last_at: Instant,
    condition: Condition,
}

/// The result of a probe, as far as there is one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Answers { link_layer: Option<Vec<u8>> },
    Silent,
    Pending,
}

/// The probes of holders, and the takeovers that were refused.
#[derive(Clone, Debug, Default)]
pub(in crate::core) struct Takeovers {
    probes: BTreeMap<Question, Probe>,
    /// How many packets have come.
    packets: u64,
    /// By downlink and holder.
    contested: BTreeMap<(Arc<str>, Ipv6Addr), Contested>,
    /// Whether the refused takeovers differ from those that the conditions show.
    is_news: bool,
}

impl Takeovers {
    /// When [`Core::handle_takeovers`] has something to do.
    pub(in crate::core) fn deadline(&self) -> Option<Deadline> {
        let tries = self.probes.values().filter_map(|probe| match probe.state {
            State::Asking { next_at, .. } => Some(Deadline::new(next_at, "probe of a holder")),
            State::Answered { .. } | State::Silent { .. } => None,
        });
        let ends = self
            .contested
            .values()
            .map(|one| Deadline::new(one.last_at + CONTESTED_FOR, "end of a contested delegation"));
        tries.chain(ends).min_by_key(|deadline| deadline.at)
    }

    /// Adds what is contested to the conditions.
    pub(in crate::core) fn describe(&self, found: &mut Conditions) {
        for ((downlink, _), contested) in &self.contested {
            found.add(downlink, contested.condition.clone());
        }
    }

    /// Whether there is no probe, under way or with a result.
    pub(super) fn is_idle(&self) -> bool {
        self.probes.is_empty()
    }

    /// Whether the refused takeovers differ from those that the conditions show; a second call
    /// returns false.
    pub(super) fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.is_news)
    }

    /// Whether a probe is under way, so that neighbor advertisements are needed.
    pub(super) fn is_asking(&self) -> bool {
        self.probes.values().any(|probe| matches!(probe.state, State::Asking { .. }))
    }

    /// Whether a probe has found the holder silent, not longer than [`SILENT_FOR`] ago.
    pub(super) fn is_silent(&self, now: Instant, question: &Question) -> bool {
        let probe = self.probes.get(question);
        probe.is_some_and(|probe| matches!(probe.state, State::Silent { until } if until > now))
    }

    /// Whether a holder and the newcomer are one node, or are behind one relay agent: it has
    /// answered at both addresses, with one link-layer address. A node that forges that for its own
    /// address could as well answer for that of the holder and have what goes there.
    pub(super) fn is_same_node(&self, now: Instant, question: &Question, holder: &Contact) -> bool {
        let link_layer = |question: &Question| match &self.probes.get(question)?.state {
            State::Answered { until, link_layer } if *until > now => link_layer.as_ref(),
            State::Asking { .. } | State::Answered { .. } | State::Silent { .. } => None,
        };
        question.may_be_same_node(holder)
            && link_layer(question)
                .is_some_and(|one| link_layer(&question.of_itself()) == Some(one))
    }

    /// The result of the probe of a holder; where there is none a probe begins, and `received`
    /// waits for it.
    pub(super) fn ask(&mut self, now: Instant, question: Question, received: &Received) -> Verdict {
        match self.probes.get_mut(&question).map(|probe| &mut probe.state) {
            Some(State::Answered { until, link_layer }) if *until > now => {
                return Verdict::Answers { link_layer: link_layer.clone() };
            }
            Some(State::Silent { until }) if *until > now => return Verdict::Silent,
            // Its sender waits for the answer to the newest message only.
            Some(State::Asking { waiting, .. }) => {
                **waiting = received.clone();
                return Verdict::Pending;
            }
            Some(State::Answered { .. } | State::Silent { .. }) | None => {}
        }
        self.probes.retain(|_, probe| match probe.state {
            State::Asking { .. } => true,
            State::Answered { until, .. } | State::Silent { until } => until > now,
        });
        if self.probes.len() >= MAX_PROBES {
            self.evict();
        }
        let waiting = Box::new(received.clone());
        let state = State::Asking { sent_count: 0, next_at: now, waiting };
        let packets_before = self.packets;
        self.probes.insert(question, Probe { started_at: now, packets_before, state });
        Verdict::Pending
    }

    /// Drops the oldest probe of the newcomer that caused most, so that one which asks for what all
    /// others hold does not keep them from being served. Probes of newcomers themselves are dropped
    /// first: a newcomer that is there has answered at once.
    fn evict(&mut self) {
        let mut counts: BTreeMap<Ipv6Addr, usize> = BTreeMap::new();
        for question in self.probes.keys() {
            *counts.entry(question.newcomer.neighbor).or_default() += 1;
        }
        let rank = |(question, probe): &(&Question, &Probe)| {
            let count = counts.get(&question.newcomer.neighbor).copied();
            (question.is_of_itself(), count, Reverse(probe.started_at))
        };
        let first = self.probes.iter().max_by_key(rank).map(|(question, _)| question.clone());
        if let Some(first) = first {
            self.probes.remove(&first);
        }
    }

    /// Counts a packet that has come.
    pub(in crate::core) const fn note_packet(&mut self) {
        self.packets = self.packets.wrapping_add(1);
    }

    /// Drops probes on interfaces where none can be sent, with the messages that wait for them.
    pub(super) fn forget_unless(&mut self, now: Instant, can_ask: impl Fn(IfIndex) -> bool) {
        self.probes.retain(|question, probe| match probe.state {
            State::Asking { .. } => {
                can_ask(question.interface) && now.since(probe.started_at) < GIVEN_UP_AFTER
            }
            State::Answered { .. } | State::Silent { .. } => true,
        });
    }

    /// The next solicitation to send: its interface, its target, and whether it repeats another one.
    pub(super) fn poll_solicitation(&mut self, now: Instant) -> Option<(IfIndex, Ipv6Addr, bool)> {
        let Self { probes, packets, .. } = self;
        probes.iter_mut().find_map(|(question, probe)| {
            let State::Asking { sent_count, next_at, .. } = &probe.state else { return None };
            if *next_at > now || *sent_count >= probe.try_count(*packets, *sent_count) {
                return None;
            }
            if let State::Asking { sent_count, next_at, .. } = &mut probe.state {
                *sent_count = sent_count.saturating_add(1);
                *next_at = now + TRY_INTERVAL;
            }
            Some((question.interface, question.holder, probe.started_at < now))
        })
    }

    /// Takes back a solicitation to the group of a holder that could not be sent: it does not
    /// count, and is sent again.
    pub(in crate::core) fn handle_not_sent(&mut self, interface: IfIndex, destination: Ipv6Addr) {
        for (question, probe) in &mut self.probes {
            if question.interface == interface
                && NeighborSolicitation::group_of(question.holder) == destination
                && let State::Asking { sent_count, .. } = &mut probe.state
            {
                *sent_count = sent_count.saturating_sub(1);
            }
        }
    }

    /// Ends the probes of a neighbor that has answered; returns the messages that waited for it.
    pub(super) fn handle_answer(
        &mut self,
        now: Instant,
        interface: IfIndex,
        advertisement: NeighborAdvertisement,
    ) -> Vec<Received> {
        let NeighborAdvertisement { target, target_link_layer: link_layer, .. } = advertisement;
        let is_asked =
            |question: &Question| (question.interface, question.holder) == (interface, target);
        let until = now + ANSWERED_FOR;
        self.end(|question, _| is_asked(question), State::Answered { until, link_layer })
    }

    /// Ends the probes of holders that are silent; returns the messages that waited for them.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Vec<Received> {
        let before = self.contested.len();
        self.contested.retain(|_, one| one.last_at + CONTESTED_FOR > now);
        self.is_news |= self.contested.len() != before;
        let packets = self.packets;
        let mut silent = BTreeSet::new();
        for (question, probe) in &mut self.probes {
            let State::Asking { sent_count, next_at, .. } = &probe.state else { continue };
            if *next_at > now || *sent_count < probe.try_count(packets, *sent_count) {
                continue;
            }
            if now.since(*next_at) <= LATE {
                silent.insert(question.clone());
            } else if let State::Asking { sent_count, .. } = &mut probe.state {
                *sent_count = sent_count.saturating_sub(1);
            }
        }
        let is_over = |question: &Question, _: &State| silent.contains(question);
        self.end(is_over, State::Silent { until: now + SILENT_FOR })
    }

    /// Ends the probes that are `over` with `verdict`; returns the messages that waited for them.
    fn end(&mut self, over: impl Fn(&Question, &State) -> bool, verdict: State) -> Vec<Received> {
        let mut waited = Vec::new();
        for (question, probe) in &mut self.probes {
            if matches!(probe.state, State::Asking { .. })
                && over(question, &probe.state)
                && let State::Asking { waiting, .. } =
                    std::mem::replace(&mut probe.state, verdict.clone())
            {
                waited.push(*waiting);
            }
        }
        waited
    }

    /// Notes a takeover that was refused, to be shown by a condition.
    pub(super) fn note_refused(&mut self, now: Instant, holder: &Holder, newcomer: Newcomer) {
        let key = (Arc::clone(&holder.key.downlink), holder.contact.neighbor());
        if self.contested.len() >= MAX_CONTESTED && !self.contested.contains_key(&key) {
            let oldest = self.contested.iter().min_by_key(|(_, one)| one.last_at);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.contested.remove(&oldest);
            }
        }
        self.is_news |= !self.contested.contains_key(&key);
        let condition = Condition::DelegationContested {
            newcomer,
            holder: holder.contact.neighbor(),
            duid: holder.key.duid.clone(),
            iaid: holder.key.iaid,
        };
        self.contested.insert(key, Contested { last_at: now, condition });
    }

    /// Ends the condition about a holder, as another has taken over what it had.
    pub(super) fn note_taken(&mut self, holder: &Holder) {
        let key = (Arc::clone(&holder.key.downlink), holder.contact.neighbor());
        self.is_news |= self.contested.remove(&key).is_some();
    }
}

#[cfg(test)]
mod tests;
