//! Whether a requesting router that holds a delegation is still there, when a message from another
//! place asks for the same one (SEC-18).
//!
//! A requesting router that was replaced or moved comes from another place and asks for what it
//! had; so does a node that only claims to be that router. The holder is probed by neighbor
//! solicitations: as long as it answers it keeps everything; the newcomer is refused, and reported
//! by a condition. The message waits for the result, normally less than a second (in a flood
//! longer).

mod probes;

pub(in crate::core) use probes::Takeovers;

use probes::{Question, Verdict};

use super::receive::check_neighbor;
use crate::core::Core;
use crate::core::delegate::{Arrival, Contact, Holder, Place};
use crate::core::event::{Event, Newcomer};
use crate::core::input::Received;
use crate::core::output::{Hearing, Output, Packet};
use crate::time::Instant;
use crate::wire::dhcpv6::Message;
use crate::wire::ndp::{NeighborAdvertisement, NeighborSolicitation};

/// What is known of the neighbor that a message comes from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::core) enum Identity {
    /// Its link-layer address is not needed: what it requests is not scarce.
    NotNeeded,
    /// It has this link-layer address.
    Known(Vec<u8>),
    /// It is being probed, and the message waits.
    Pending,
    /// It does not answer, or its answer names no link-layer address.
    Silent,
}

impl Core {
    /// The holder at another place of what a message asks for, unless it was found silent.
    pub(in crate::core) fn holder_against(
        &self,
        now: Instant,
        arrival: &Arrival,
        message: &Message,
    ) -> Option<Holder> {
        let newcomer = arrival.contact.place();
        self.delegating.contested(now, arrival, message, |key, binding| {
            let contact = binding.contact();
            // Behind a relay agent no node can be probed. But a router that is still in its place
            // renews by T2, unless its message was lost; one that is overdue is taken to be in the
            // place that the relay agent names now, as after a restart in which that numbered its
            // interfaces anew.
            if contact.neighbor() == newcomer.neighbor
                && self.delegating.is_overdue(now, key, binding)
            {
                return false;
            }
            let question = self.question(&key.downlink, contact, &newcomer);
            !question.is_some_and(|question| {
                self.takeovers.is_silent(now, &question)
                    || self.takeovers.is_same_node(now, &question, contact)
            })
        })
    }

    /// Any holder at another place, silent or not, for [`Core::report_takeover`].
    pub(in crate::core) fn holder_before(
        &self,
        now: Instant,
        arrival: &Arrival,
        message: &Message,
    ) -> Option<Holder> {
        let is_idle = self.takeovers.is_idle();
        (!is_idle).then(|| self.delegating.contested(now, arrival, message, |_, _| true)).flatten()
    }

    /// Handles a message that asks for what `holder` has: the message waits until the holder has
    /// been probed, or is refused.
    pub(in crate::core) fn contest(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        message: &Message,
        received: &Received,
        holder: &Holder,
    ) -> Result<(), &'static str> {
        let newcomer = arrival.contact.place();
        let question = self.question(&holder.key.downlink, &holder.contact, &newcomer);
        // A holder with the newcomer's own address is present, and one that cannot be probed may
        // be.
        let question = question.filter(|question| {
            question.holder != newcomer.neighbor
                && self.kernel.state.system.is_on_link(question.interface, question.holder)
        });
        let verdict = question.map(|question| {
            let may_be_same = question.may_be_same_node(&holder.contact);
            let itself = question.of_itself();
            let verdict = self.takeovers.ask(now, question, received);
            if may_be_same && matches!(verdict, Verdict::Answers { .. }) {
                self.takeovers.ask(now, itself, received)
            } else {
                verdict
            }
        });
        if verdict == Some(Verdict::Pending) {
            self.solicit_holders(now);
            return Ok(());
        }
        self.takeovers.note_refused(now, holder, newcomer_of(arrival, message));
        if let Some(answer) = self.delegating.refusal(arrival, message) {
            self.send_server(&arrival.downlink, &arrival.contact, answer.octets, answer.memory);
        }
        self.review_contested();
        Err("held-elsewhere")
    }

    /// Which neighbor a message comes from, where that matters: when a pool is crowded, possibly by
    /// invented addresses, a delegation is granted only to a neighbor that answers, and is counted
    /// for its link-layer address (SEC-17).
    pub(in crate::core) fn identify(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        message: &Message,
        received: &Received,
    ) -> Identity {
        let link = self.kernel.state.system.links.get(&received.interface);
        let has_addresses = link.is_some_and(|link| link.link_layer_address.is_some());
        let holder = arrival.contact.neighbor();
        let is_needed = has_addresses
            && arrival.contact.neighbor_link_layer.is_none()
            && self.delegating.is_crowded(arrival, message)
            && self.kernel.state.system.is_on_link(received.interface, holder);
        if !is_needed {
            return Identity::NotNeeded;
        }
        let interface = received.interface;
        let question = Question { interface, holder, newcomer: arrival.contact.place() };
        match self.takeovers.ask(now, question, received) {
            Verdict::Answers { link_layer: Some(link_layer) } => Identity::Known(link_layer),
            Verdict::Answers { link_layer: None } | Verdict::Silent => Identity::Silent,
            Verdict::Pending => {
                self.solicit_holders(now);
                Identity::Pending
            }
        }
    }

    /// Reports that the sender of a message has taken over what a silent holder had; nothing where
    /// both are the same node.
    pub(in crate::core) fn report_takeover(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        message: &Message,
        holder: &Holder,
    ) {
        if self.delegating.still_holds(holder) {
            return;
        }
        self.takeovers.note_taken(holder);
        let question =
            self.question(&holder.key.downlink, &holder.contact, &arrival.contact.place());
        if question.is_some_and(|one| self.takeovers.is_same_node(now, &one, &holder.contact)) {
            return;
        }
        self.report(Event::DelegationTakenOver {
            interface: Some(arrival.downlink.to_string()),
            newcomer: newcomer_of(arrival, message),
            holder: holder.contact.neighbor(),
            iaid: holder.key.iaid,
        });
        self.review_contested();
    }

    /// Handles a neighbor advertisement: the raw socket passes them only while a holder is probed.
    pub(in crate::core) fn receive_neighbor_advertisement(
        &mut self,
        now: Instant,
        received: &Received,
    ) {
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
        // An unsolicited one does not show that its sender is reachable
        // (RFC 4861 §7.3.1).
        if advertisement.solicited {
            let waited = self.takeovers.handle_answer(now, received.interface, advertisement);
            self.serve_waiting(now, waited);
        }
    }

    /// Sends the next solicitations to holders, and ends the probes of those that are silent.
    pub(in crate::core) fn handle_takeovers(&mut self, now: Instant) {
        // A holder that cannot be probed is not silent.
        let Self { takeovers, kernel, .. } = self;
        takeovers.forget_unless(now, |interface| {
            let is_running =
                kernel.state.system.links.get(&interface).is_some_and(|link| link.running);
            is_running && kernel.state.system.link_local(interface).is_some()
        });
        let waited = self.takeovers.handle_timeout(now);
        self.serve_waiting(now, waited);
        self.solicit_holders(now);
        self.follow_hearing();
        self.review_contested();
    }

    /// Sets which messages the raw socket passes beside those of routers: echo replies while an
    /// uplink probes, neighbor advertisements while a holder is probed.
    pub(in crate::core) fn follow_hearing(&mut self) {
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

    /// Sends the solicitations whose time it is. Each goes to the group, and a repetition to the holder
    /// alone as well, which wireless links repeat until it is acknowledged. For the latter the kernel
    /// makes an entry in its neighbor cache, and may solicit by itself: messages in the names of many
    /// holders would fill the cache, but drop each other's probes before there is a repetition.
    fn solicit_holders(&mut self, now: Instant) {
        self.follow_hearing();
        while let Some((interface, target, repeats)) = self.takeovers.poll_solicitation(now) {
            let Some(source) = self.kernel.state.system.link_local(interface) else { continue };
            let link = self.kernel.state.system.links.get(&interface);
            let source_link_layer = link.and_then(|link| link.link_layer_address.clone());
            let octets = NeighborSolicitation { target, source_link_layer }.encode();
            let group = NeighborSolicitation::group_of(target);
            for destination in [group].into_iter().chain(repeats.then_some(target)) {
                let octets = octets.clone();
                let packet = Packet { interface, source, destination, octets };
                self.outputs.push_back(Output::SendIcmpv6(packet));
            }
        }
    }

    fn review_contested(&mut self) {
        if self.takeovers.take_news() {
            self.review = true;
        }
    }

    fn question(&self, downlink: &str, holder: &Contact, newcomer: &Place) -> Option<Question> {
        let interface = self.kernel.state.system.link(downlink).filter(|link| link.running)?.index;
        self.kernel.state.system.link_local(interface)?;
        Some(Question { interface, holder: holder.neighbor(), newcomer: newcomer.clone() })
    }
}

fn newcomer_of(arrival: &Arrival, message: &Message) -> Newcomer {
    Newcomer {
        address: arrival.contact.peer,
        duid: message.client_id().cloned(),
        relay: arrival.contact.relay,
    }
}
