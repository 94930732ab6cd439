//! Whether the holder of what a message from another place asks for still answers (SEC-18).
//!
//! A requesting router that was replaced or moved comes from another place and asks for what it
//! had; so does whoever says that it is that router. The holder is asked by neighbor solicitations:
//! as long as it answers it keeps everything, and the newcomer is refused and named. The message
//! waits for that, a second at most.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use super::Core;
use super::conditions::Conditions;
use super::delegate::{Arrival, Contact, Holder, Place};
use super::input::{IfIndex, Received};
use super::output::{Hearing, Level, Output, Packet};
use super::receive::check_neighbor;
use crate::time::{Deadline, Instant};
use crate::wire::dhcpv6::Message;
use crate::wire::ndp::{NeighborAdvertisement, NeighborSolicitation};

/// So many solicitations stay unanswered before a holder counts as gone.
const TRY_COUNT: u8 = 3;
/// Between solicitations, and from the last to the verdict. All fits before the retransmission of a
/// Solicit (SOL_TIMEOUT, 1 s), which is answered at once then.
const TRY_INTERVAL: Duration = Duration::from_millis(300);
/// An answer is good for so long: a holder is asked once a second whatever comes.
const ANSWERED_FOR: Duration = Duration::from_secs(1);
/// Silence is good for so long: who solicited has time for the Request.
const SILENT_FOR: Duration = Duration::from_secs(5);
/// Probes at a time. Beyond that the oldest of whichever neighbor started most goes.
const MAX_PROBES: usize = 64;
/// Refused takeovers that are shown. Beyond that the oldest goes.
const MAX_CONTESTED: usize = 16;
/// For so long after the last attempt.
const CONTESTED_FOR: Duration = Duration::from_secs(600);

/// Who is asked, and for whom.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Question {
    interface: IfIndex,
    holder: Ipv6Addr,
    newcomer: Place,
}

#[derive(Clone, Debug)]
enum State {
    Asking { sent_count: u8, next_at: Instant, waiting: Box<Received> },
    Answered { until: Instant },
    Silent { until: Instant },
}

#[derive(Clone, Debug)]
struct Probe {
    started_at: Instant,
    state: State,
}

/// A takeover that was refused.
#[derive(Clone, Debug)]
struct Contested {
    last_at: Instant,
    text: String,
}

/// What is known of a holder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Verdict {
    Answers,
    Pending,
}

/// The holders that are asked, and takeovers that were refused.
#[derive(Clone, Debug, Default)]
pub(super) struct Takeovers {
    probes: BTreeMap<Question, Probe>,
    /// By downlink and holder.
    contested: BTreeMap<(Arc<str>, Ipv6Addr), Contested>,
    /// What is contested differs from what the conditions say.
    is_news: bool,
}

impl Takeovers {
    /// When [`Core::handle_takeovers`] has something to do.
    pub(super) fn deadline(&self) -> Option<Deadline> {
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
    pub(super) fn describe(&self, found: &mut Conditions) {
        for ((downlink, holder), contested) in &self.contested {
            let (which, text) = (holder.to_string(), contested.text.clone());
            found.add_of("delegation-contested", downlink, which, text);
        }
    }

    fn is_asking(&self) -> bool {
        self.probes.values().any(|probe| matches!(probe.state, State::Asking { .. }))
    }

    fn is_silent(&self, now: Instant, question: &Question) -> bool {
        let probe = self.probes.get(question);
        probe.is_some_and(|probe| matches!(probe.state, State::Silent { until } if until > now))
    }

    /// What is known of a holder; where that is nothing it is asked, and `received` waits.
    fn ask(&mut self, now: Instant, question: Question, received: &Received) -> Verdict {
        match self.probes.get_mut(&question).map(|probe| &mut probe.state) {
            Some(State::Answered { until }) if *until > now => return Verdict::Answers,
            // The newest is what its sender waits for.
            Some(State::Asking { waiting, .. }) => {
                **waiting = received.clone();
                return Verdict::Pending;
            }
            Some(State::Answered { .. } | State::Silent { .. }) | None => {}
        }
        self.probes.retain(|_, probe| match probe.state {
            State::Asking { .. } => true,
            State::Answered { until } | State::Silent { until } => until > now,
        });
        if self.probes.len() >= MAX_PROBES {
            self.evict();
        }
        let waiting = Box::new(received.clone());
        let state = State::Asking { sent_count: 0, next_at: now, waiting };
        self.probes.insert(question, Probe { started_at: now, state });
        Verdict::Pending
    }

    /// One neighbor that asks for everybody's shall not keep the others' questions out.
    fn evict(&mut self) {
        let mut counts: BTreeMap<Ipv6Addr, usize> = BTreeMap::new();
        for question in self.probes.keys() {
            *counts.entry(question.newcomer.neighbor).or_default() += 1;
        }
        let most = counts.into_iter().max_by_key(|(_, count)| *count).map(|(of, _)| of);
        let oldest = self
            .probes
            .iter()
            .filter(|(question, _)| Some(question.newcomer.neighbor) == most)
            .min_by_key(|(_, probe)| probe.started_at)
            .map(|(question, _)| question.clone());
        if let Some(oldest) = oldest {
            self.probes.remove(&oldest);
        }
    }

    /// The next solicitation to send: where, and whom for.
    fn poll_solicitation(&mut self, now: Instant) -> Option<(IfIndex, Ipv6Addr)> {
        self.probes.iter_mut().find_map(|(question, probe)| match &mut probe.state {
            State::Asking { sent_count, next_at, .. }
                if *next_at <= now && *sent_count < TRY_COUNT =>
            {
                *sent_count += 1;
                *next_at = now + TRY_INTERVAL;
                Some((question.interface, question.holder))
            }
            State::Asking { .. } | State::Answered { .. } | State::Silent { .. } => None,
        })
    }

    /// A neighbor has answered; the messages that waited for that.
    fn handle_answer(
        &mut self,
        now: Instant,
        interface: IfIndex,
        target: Ipv6Addr,
    ) -> Vec<Received> {
        let is_asked =
            |question: &Question| (question.interface, question.holder) == (interface, target);
        self.end(|question, _| is_asked(question), State::Answered { until: now + ANSWERED_FOR })
    }

    /// The messages that waited for a holder which is silent.
    fn handle_timeout(&mut self, now: Instant) -> Vec<Received> {
        let before = self.contested.len();
        self.contested.retain(|_, one| one.last_at + CONTESTED_FOR > now);
        self.is_news |= self.contested.len() != before;
        let is_over = |_: &Question, state: &State| matches!(state, State::Asking { sent_count: TRY_COUNT, next_at, .. } if *next_at <= now);
        self.end(is_over, State::Silent { until: now + SILENT_FOR })
    }

    /// The verdict about those questions that are `over`; the messages that waited for it.
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

    fn note_refused(&mut self, now: Instant, holder: &Holder, text: String) {
        let key = (Arc::clone(&holder.key.downlink), holder.contact.neighbor());
        if self.contested.len() >= MAX_CONTESTED && !self.contested.contains_key(&key) {
            let oldest = self.contested.iter().min_by_key(|(_, one)| one.last_at);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.contested.remove(&oldest);
            }
        }
        self.is_news |= !self.contested.contains_key(&key);
        self.contested.insert(key, Contested { last_at: now, text });
    }

    /// The holder is not the one any more that others ask against.
    fn note_taken(&mut self, holder: &Holder) {
        let key = (Arc::clone(&holder.key.downlink), holder.contact.neighbor());
        self.is_news |= self.contested.remove(&key).is_some();
    }
}

impl Core {
    /// The holder at another place of what a message asks for, unless it was found silent.
    pub(super) fn holder_against(
        &self,
        now: Instant,
        arrival: &Arrival,
        message: &Message,
    ) -> Option<Holder> {
        let newcomer = arrival.contact.place();
        self.delegating.contested(now, arrival, message, |key, contact| {
            let question = self.question(&key.downlink, contact, &newcomer);
            !question.is_some_and(|question| self.takeovers.is_silent(now, &question))
        })
    }

    /// Any holder at another place, silent or not, for [`Core::report_takeover`].
    pub(super) fn holder_before(
        &self,
        now: Instant,
        arrival: &Arrival,
        message: &Message,
    ) -> Option<Holder> {
        let is_idle = self.takeovers.probes.is_empty();
        (!is_idle).then(|| self.delegating.contested(now, arrival, message, |_, _| true)).flatten()
    }

    /// A message asks for what `holder` has: it waits for an answer of that, or is refused.
    pub(super) fn contest(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        message: &Message,
        received: &Received,
        holder: &Holder,
    ) -> Result<(), &'static str> {
        let newcomer = arrival.contact.place();
        let question = self.question(&holder.key.downlink, &holder.contact, &newcomer);
        // Who speaks for both is there, and who cannot be asked may be.
        let question = question.filter(|question| {
            question.holder != newcomer.neighbor
                && self.system.is_on_link(question.interface, question.holder)
        });
        let verdict = question
            .map_or(Verdict::Answers, |question| self.takeovers.ask(now, question, received));
        if verdict == Verdict::Pending {
            self.solicit_holders(now);
            return Ok(());
        }
        let text = refusal_text(arrival, message, holder);
        self.takeovers.note_refused(now, holder, text);
        if let Some(answer) = self.delegating.refusal(arrival, message) {
            self.send_server(&arrival.downlink, &arrival.contact, answer.octets, answer.synced);
        }
        self.review_contested();
        Err("held-elsewhere")
    }

    /// Says that a message has taken over what a silent holder had.
    pub(super) fn report_takeover(
        &mut self,
        arrival: &Arrival,
        message: &Message,
        holder: &Holder,
    ) {
        if self.delegating.still_holds(holder) {
            return;
        }
        self.takeovers.note_taken(holder);
        let text = format!(
            "{} takes over what {} had as IA_PD {}, which does not answer any more",
            newcomer_text(arrival, message),
            holder.contact.neighbor(),
            holder.key.iaid,
        );
        let interface = self.system.link(&arrival.downlink).map(|link| link.index);
        self.report(Level::Warn, interface, text);
        self.review_contested();
    }

    /// A neighbor advertisement: the raw socket passes them only while a holder is asked.
    pub(super) fn receive_neighbor_advertisement(&mut self, now: Instant, received: &Received) {
        let checked = check_neighbor(received).and_then(|()| {
            let decoded = NeighborAdvertisement::decode(&received.octets);
            decoded.map_err(|error| error.label())
        });
        let advertisement = match checked {
            Ok(advertisement) if advertisement.solicited && received.destination.is_multicast() => {
                return self.reject(now, "na", "solicited", received);
            }
            Ok(advertisement) => advertisement,
            Err(reason) => return self.reject(now, "na", reason, received),
        };
        // One that nobody asked for says nothing about whether its sender is reached
        // (RFC 4861 §7.3.1).
        if advertisement.solicited {
            let target = advertisement.target;
            let waited = self.takeovers.handle_answer(now, received.interface, target);
            self.serve_waiting(now, waited);
        }
    }

    /// Lets holders be asked again, and found silent.
    pub(super) fn handle_takeovers(&mut self, now: Instant) {
        let waited = self.takeovers.handle_timeout(now);
        self.serve_waiting(now, waited);
        self.solicit_holders(now);
        self.review_contested();
    }

    /// Has the raw socket pass what there is a use for.
    pub(super) fn follow_hearing(&mut self) {
        let wanted = Hearing {
            echo_replies: self.config.uplinks.values().any(|uplink| uplink.probe.is_some()),
            neighbor_advertisements: self.takeovers.is_asking(),
        };
        if wanted != self.hearing {
            self.hearing = wanted;
            self.outputs.push_back(Output::Hear(wanted));
        }
    }

    fn serve_waiting(&mut self, now: Instant, waited: Vec<Received>) {
        if waited.is_empty() {
            return;
        }
        for received in waited {
            self.receive_server(now, &received);
        }
        self.follow_hearing();
    }

    /// Sends the solicitations whose time it is: to the group, which needs no entry in the kernel's
    /// neighbor cache, and to the holder alone, which wireless links repeat until it is heard.
    fn solicit_holders(&mut self, now: Instant) {
        self.follow_hearing();
        while let Some((interface, target)) = self.takeovers.poll_solicitation(now) {
            let Some(source) = self.system.link_local(interface) else { continue };
            let link = self.system.links.get(&interface);
            let source_link_layer = link.and_then(|link| link.link_layer_address.clone());
            let octets = NeighborSolicitation { target, source_link_layer }.encode();
            for destination in [NeighborSolicitation::group_of(target), target] {
                let octets = octets.clone();
                let packet = Packet { interface, source, destination, octets };
                self.outputs.push_back(Output::SendIcmpv6(packet));
            }
        }
    }

    fn review_contested(&mut self) {
        if std::mem::take(&mut self.takeovers.is_news) {
            self.review_conditions();
        }
    }

    fn question(&self, downlink: &str, holder: &Contact, newcomer: &Place) -> Option<Question> {
        let interface = self.system.link(downlink).filter(|link| link.running)?.index;
        Some(Question { interface, holder: holder.neighbor(), newcomer: newcomer.clone() })
    }
}

fn newcomer_text(arrival: &Arrival, message: &Message) -> String {
    let duid = message.client_id().map(ToString::to_string).unwrap_or_default();
    let way = match arrival.contact.relay {
        Some(relay) => format!(" by way of the relay agent {relay}"),
        None => String::new(),
    };
    format!("{} (DUID {duid}){way}", arrival.contact.peer)
}

fn refusal_text(arrival: &Arrival, message: &Message, holder: &Holder) -> String {
    format!(
        "{} asks for what {} (DUID {}) has been given as IA_PD {}, and that still answers: nothing is \
         given to the former; if it is the right one, switch the latter off, and if both are, give \
         each a DUID of its own",
        newcomer_text(arrival, message),
        holder.contact.neighbor(),
        holder.key.duid,
        holder.key.iaid,
    )
}
