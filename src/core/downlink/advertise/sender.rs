//! The built-in advertiser: a link that can send, and when it does.

use std::net::Ipv6Addr;
use std::time::Duration;

use super::message::Link;
use super::schedule::Schedule;
use crate::config;
use crate::core::kernel::system::Neighbor;
use crate::core::random::Random;
use crate::net::ALL_NODES;
use crate::time::{Deadline, Instant};
use crate::wire::ndp::RouterSolicitation;
use crate::wire::ndp_option::NdpOption;

/// What it takes to send advertisements on one link.
#[derive(Clone, Debug)]
pub(super) struct Sender {
    pub(super) random: Random,
    /// None while the link cannot send, and where nothing is sent at all.
    link: Option<Link>,
    pub(super) schedule: Schedule,
}

impl Sender {
    /// Silent until [`link_up`](Self::link_up).
    pub(super) fn new(rules: &config::Advertise, random: Random) -> Self {
        let schedule = Schedule::new(rules.min_delay, rules.unicast_answers);
        Self { random, link: None, schedule }
    }

    /// How the link sends, if it can.
    pub(super) const fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// The link can send, with this link-layer address and MTU.
    pub(super) fn link_up(&mut self, now: Instant, link: Link) {
        let link = Some(link);
        if self.link != link {
            self.link = link;
            self.schedule.announce(now);
        }
    }

    /// The link cannot send.
    pub(super) fn link_down(&mut self) {
        self.link = None;
        self.schedule.silence();
    }

    /// Something is new; `copies` says that hosts are sent it by unicast as well.
    pub(super) fn announce(&mut self, now: Instant, copies: bool) {
        let Some(link) = &self.link else { return };
        self.schedule.announce(now);
        // A link without such addresses has one peer.
        if copies && link.link_layer_address.is_some() {
            self.schedule.copy(now);
        }
    }

    /// Takes in a valid solicitation; see
    /// [`Advertising::handle_solicitation`](super::Advertising::handle_solicitation).
    pub(super) fn handle_solicitation(
        &mut self,
        now: Instant,
        source: Ipv6Addr,
        solicitation: &RouterSolicitation,
    ) {
        let Some(link) = &self.link else { return };
        let named = solicitation.options.iter().find_map(|option| {
            let NdpOption::SourceLinkLayer(address) = option else { return None };
            Some(address.clone())
        });
        if source.is_multicast() || (source.is_unspecified() && named.is_some()) {
            return;
        }
        // A unicast answer must not start address resolution towards the host that solicits.
        let reachable = named.is_some() || link.link_layer_address.is_none();
        let unicast = (reachable && !source.is_unspecified()).then_some(source);
        if let (Some(host), Some(link_layer)) = (unicast, named) {
            self.schedule.note_solicitor(now, host, link_layer);
        }
        self.schedule.solicit(now, unicast, &mut self.random);
    }

    /// Whether the first multicast advertisement of something new has yet to leave.
    pub(super) const fn is_announcing(&self) -> bool {
        self.link.is_some() && self.schedule.is_announcing()
    }

    /// Advertises to a requesting router by unicast, at once.
    pub(super) fn notify(&mut self, now: Instant, router: Ipv6Addr) {
        if self.link.is_some() {
            self.schedule.notify(now, router);
        }
    }

    /// Whether [`set_neighbors`](Self::set_neighbors) has to be called.
    pub(super) fn poll_neighbors(&mut self, now: Instant) -> bool {
        self.link.is_some() && self.schedule.poll_neighbors(now)
    }

    /// Takes in the neighbors on the link.
    pub(super) fn set_neighbors(&mut self, now: Instant, neighbors: Vec<Neighbor>) {
        if self.link.is_some() {
            self.schedule.set_neighbors(now, neighbors);
        }
    }

    /// Where the next advertisement goes, if it is time for one: to all nodes, or to all that are
    /// sent it by unicast now. It is the same for however many of these.
    pub(super) fn poll(&mut self, now: Instant) -> Vec<Ipv6Addr> {
        if self.link.is_none() {
            return Vec::new();
        }
        match self.schedule.poll(now) {
            Some(ALL_NODES) => vec![ALL_NODES],
            Some(first) => {
                let others = std::iter::from_fn(|| self.schedule.poll(now));
                std::iter::once(first).chain(others).collect()
            }
            None => Vec::new(),
        }
    }

    /// A multicast advertisement has left; the next one follows after an interval between these.
    pub(super) fn sent(&mut self, now: Instant, (least, most): (Duration, Duration)) {
        let interval = self.random.duration(least, most);
        self.schedule.sent(now, interval);
    }

    /// When the next advertisement leaves.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.link.as_ref().and_then(|_| self.schedule.deadline())
    }
}
