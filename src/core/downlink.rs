//! One downlink: the content of its advertisements, their destinations, and the link that it is
//! attached to.

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
    /// A downlink that has not been attached yet; `promised` are the promises that hosts may still
    /// rely on, and `program` is the one that advertises in the built-in's place.
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

    /// Attaches it to its link or detaches it, depending on the kernel's state of the interface.
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

    /// The prefixes that hosts were promised before a restart and that `content` would withdraw, if
    /// it is the first content since.
    pub(super) fn would_withdraw(&self, content: &Content, now: Instant) -> Vec<Ipv6Net> {
        self.advertising.would_withdraw(content, now)
    }

    /// Takes over the content of advertisements; returns whether it differs for hosts.
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

    /// Whether an advertisement of new content has yet to leave.
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

    /// Takes in the neighbors on its interface. Returns addresses that some of them are about to
    /// form, with their link-layer addresses.
    pub(super) fn set_neighbors(
        &mut self,
        now: Instant,
        neighbors: Vec<Neighbor>,
    ) -> Vec<(Ipv6Addr, Vec<u8>)> {
        match self.attached {
            Some(_) => self.advertising.set_neighbors(now, neighbors),
            None => Vec::new(),
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

    /// The promises that another program is about to make, and its next order where that differs
    /// from the last. The order is handed over when the promises are stored.
    pub(super) fn poll_order(
        &mut self,
        now: Instant,
    ) -> Option<(Vec<Promise>, Option<Advertised>)> {
        self.attached.as_ref()?;
        self.advertising.poll_order(now)
    }

    /// Repeats the last order to another program.
    pub(super) fn repeat_order(&mut self, now: Instant) {
        self.advertising.repeat_order(now);
    }

    /// The link on which another program is to be solicited, to check that it follows its order.
    pub(super) fn poll_probe(&mut self, now: Instant) -> Option<Attachment> {
        let attached = self.attached.clone()?;
        self.advertising.poll_probe(now).then_some(attached)
    }

    /// Handles an advertisement that another program has sent from our own address. Returns whether
    /// it is the first that shows the last order.
    pub(super) fn handle_own(&mut self, now: Instant, advertisement: &RouterAdvertisement) -> bool {
        self.attached.is_some() && self.advertising.handle_own(now, advertisement)
    }

    /// The last order of another program; `withdraw` withdraws its prefixes too.
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
