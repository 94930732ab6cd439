//! One downlink: what is advertised on it and to whom, and the link it is attached to.

pub mod advertise;

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use self::advertise::{Advertising, Content, Promise, Promises, Transmit};
use super::kernel::system::System;
use super::random::Random;
use super::uplink::Attachment;
use crate::config;
use crate::core::engine::Advertised;
use crate::core::kernel::system::Neighbor;
use crate::net::IfIndex;
use crate::time::{Deadline, Instant};
use crate::wire::ndp::{RouterAdvertisement, RouterSolicitation};

/// A downlink.
#[derive(Clone, Debug)]
pub(super) struct Downlink {
    name: String,
    config: config::Downlink,
    attached: Option<Attachment>,
    advertising: Advertising,
}

impl Downlink {
    /// A downlink that has not been attached yet; `promised` is what hosts may still hold, and
    /// `program` what advertises in the built-in's place.
    pub(super) fn new(
        name: &str,
        config: &config::Downlink,
        promised: Promises,
        program: Option<config::Program>,
        random: &mut Random,
    ) -> Self {
        let rules = config.advertise.clone();
        let advertising = match program {
            None => Advertising::new(rules, promised, random.fork()),
            Some(program) => Advertising::by(program, rules, promised),
        };
        Self { name: name.to_owned(), config: config.clone(), attached: None, advertising }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// How it was configured.
    pub(super) const fn config(&self) -> &config::Downlink {
        &self.config
    }

    /// The link it is attached to; none while it cannot send.
    pub(super) const fn attached(&self) -> Option<&Attachment> {
        self.attached.as_ref()
    }

    /// What is advertised.
    pub(super) const fn advertising(&self) -> &Advertising {
        &self.advertising
    }

    /// Attaches it to its link or detaches it, as the kernel has the interface now.
    pub(super) fn attach(&mut self, now: Instant, system: &System) {
        let attachment = Attachment::find(system, &self.name);
        if attachment == self.attached {
            return;
        }
        match &attachment {
            Some(attached) => {
                let address = attached.link_layer_address.clone();
                self.advertising.link_up(now, address, attached.mtu);
            }
            None => self.advertising.link_down(),
        }
        self.attached = attachment;
    }

    /// Prefixes that hosts were promised before a restart and that `content`, where it is the first
    /// since, would withdraw.
    pub(super) fn would_withdraw(&self, content: &Content, now: Instant) -> Vec<Ipv6Net> {
        self.advertising.would_withdraw(content, now)
    }

    /// Takes over what is to be advertised; whether that is a real difference.
    pub(super) fn set_content(&mut self, now: Instant, content: Content) -> bool {
        self.config.advertise.enabled && self.advertising.set_content(now, content)
    }

    /// Takes in a valid router solicitation from `source`.
    pub(super) fn handle_solicitation(
        &mut self,
        now: Instant,
        source: Ipv6Addr,
        solicitation: &RouterSolicitation,
    ) {
        if self.attached.is_some() {
            self.advertising.handle_solicitation(now, source, solicitation);
        }
    }

    /// Takes note that a stub router has advertised on the link.
    pub(super) const fn note_stub_router(&mut self, now: Instant) {
        self.advertising.note_stub_router(now);
    }

    /// Whether an advertisement of something new has yet to leave.
    pub(super) fn is_announcing(&self) -> bool {
        self.attached.is_some() && self.advertising.is_announcing()
    }

    /// Notifies a requesting router by a unicast advertisement.
    pub(super) fn notify(&mut self, now: Instant, router: Ipv6Addr) {
        if self.attached.is_some() {
            self.advertising.notify(now, router);
        }
    }

    /// The interface, when the kernel is to be asked for the neighbors on it.
    pub(super) fn poll_neighbors(&mut self, now: Instant) -> Option<IfIndex> {
        let index = self.attached.as_ref()?.index;
        self.advertising.poll_neighbors(now).then_some(index)
    }

    /// Takes in the neighbors on its interface.
    pub(super) fn set_neighbors(&mut self, now: Instant, neighbors: Vec<Neighbor>) {
        if self.attached.is_some() {
            self.advertising.set_neighbors(now, neighbors);
        }
    }

    /// The next advertisement to be sent at `now`, with the link to send it on and the promises
    /// that have to be stored before.
    pub(super) fn poll_transmit(
        &mut self,
        now: Instant,
    ) -> Option<(Attachment, Vec<Promise>, Transmit)> {
        let attached = self.attached.clone()?;
        let (promises, transmit) = self.advertising.poll_transmit(now)?;
        Some((attached, promises, transmit))
    }

    /// The promises that another program is about to make, and what it is to be handed when they
    /// are stored, where it is not the same as before.
    pub(super) fn poll_order(
        &mut self,
        now: Instant,
    ) -> Option<(Vec<Promise>, Option<Advertised>)> {
        self.attached.as_ref()?;
        self.advertising.poll_order(now)
    }

    /// Another program is handed once more what it is to advertise.
    pub(super) fn repeat_order(&mut self, now: Instant) {
        self.advertising.repeat_order(now);
    }

    /// Where another program is to be solicited, to hear whether it does what it was handed.
    pub(super) fn poll_probe(&mut self, now: Instant) -> Option<Attachment> {
        let attached = self.attached.clone()?;
        self.advertising.poll_probe(now).then_some(attached)
    }

    /// Takes in an advertisement that another program has sent from our own address. Whether it is
    /// the first that shows that it does what it was handed last.
    pub(super) fn handle_own(&mut self, now: Instant, advertisement: &RouterAdvertisement) -> bool {
        self.attached.is_some() && self.advertising.handle_own(now, advertisement)
    }

    /// What another program is handed last; `withdraw` withdraws its prefixes too.
    pub(super) fn final_order(&self, now: Instant, withdraw: bool) -> Option<Advertised> {
        self.attached.as_ref()?;
        self.advertising.final_order(now, withdraw)
    }

    /// The final advertisement; `withdraw` withdraws its prefixes too. The downlink is detached
    /// then.
    pub(super) fn stop(&mut self, now: Instant, withdraw: bool) -> Option<(Attachment, Transmit)> {
        let attached = self.attached.take()?;
        Some((attached, self.advertising.stop(now, withdraw)))
    }

    /// When the next advertisement is to be sent.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.attached.as_ref().and_then(|_| self.advertising.deadline())
    }
}
