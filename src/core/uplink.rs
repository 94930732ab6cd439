//! One uplink: its routers, its lease, and the exchanges between. Connects `hear`, `change` and
//! `lease`.

mod attachment;
pub mod change;
mod connection;
mod effect;
mod elsewhere;
mod facts;
mod forming;
pub mod hear;
mod host;
pub mod lease;
pub mod probe;
mod probed;
mod program;
mod register;
pub mod retransmit;
mod routed;
mod rules;
mod silence;
pub mod solicit;
#[cfg(test)]
mod tests;

use std::net::Ipv6Addr;
use std::time::Duration;

pub(super) use attachment::Attachment;
pub use connection::Lack;
pub(super) use effect::Effect;
pub(super) use silence::Silence;

use self::change::{Changes, Refresh, RefreshKind, Trigger};
use self::connection::Connection;
use self::hear::{Heard, PrefixChangeKind, Routers};
use self::host::Host;
use self::lease::{Lease, Progress};
use self::routed::Routed;
use self::rules::{hear_rules, lease_rules};
use self::solicit::Solicit;
use super::kernel::system::System;
use super::memory::StoredLease;
use super::random::Random;
use super::stage::Cause;
use crate::config;
use crate::net;
use crate::net::IfIndex;
use crate::time::{Deadline, Instant};
use crate::wire::dhcpv6::Message;
use crate::wire::dhcpv6_option::Duid;
use crate::wire::ndp::{RouterAdvertisement, RouterSolicitation};
use crate::wire::ndp_option::NdpOption;

/// How long after the start an uplink without an answer about its lease keeps objects of an earlier
/// run from being removed.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long advertisements wait for an answer about a stored lease: the random delay of the request
/// (SOL_MAX_DELAY), and some time to answer.
const CONFIRMATION: Duration = Duration::from_millis(1500);

/// A router that was heard within this time before a link is reported as up counts as heard on it.
const SPOKEN_LATELY: Duration = Duration::from_secs(2);

/// An uplink.
#[derive(Clone, Debug)]
pub(super) struct Uplink {
    name: String,
    config: config::Uplink,
    started_at: Instant,
    attached: Option<Attachment>,
    /// The interface's number when it could send last: another number is another interface.
    last_index: Option<IfIndex>,
    routers: Routers,
    solicit: Solicit,
    changes: Changes,
    lease: Lease,
    routed: Option<Routed>,
    heard: bool,
    /// When a router was last heard.
    heard_at: Option<Instant>,
    /// Since when it can send.
    up_since: Option<Instant>,
    silence: Silence,
    lease_known: bool,
    /// A request about a stored lease has ended since the start, with or without an answer.
    confirmed: bool,
    /// No request can be sent: UDP port 546 cannot be opened.
    is_mute: bool,
    connection: Connection,
    /// The state that only a host has.
    host: Host,
}

impl Uplink {
    /// An uplink that has not been attached yet.
    pub(super) fn new(
        name: &str,
        config: &config::Uplink,
        duid: &Duid,
        stored: Option<StoredLease>,
        random: &mut Random,
        now: Instant,
    ) -> Self {
        Self {
            name: name.to_owned(),
            config: config.clone(),
            started_at: now,
            attached: None,
            last_index: None,
            routers: Routers::new(hear_rules(config)),
            solicit: Solicit::new(random.fork(), host::first_delay(config)),
            changes: Changes::new(),
            routed: config.probe.map(|target| Routed::new(target, random.fork())),
            lease_known: stored.is_some() || config.delegate.is_empty(),
            confirmed: stored.is_none(),
            lease: Lease::new(lease_rules(config, duid), stored.as_ref(), random.fork(), now),
            heard: false,
            heard_at: None,
            up_since: None,
            silence: Silence::default(),
            is_mute: false,
            connection: Connection::default(),
            host: Host::new(stored.is_some(), duid.clone(), random.fork()),
        }
    }

    /// Its configuration.
    pub(super) const fn config(&self) -> &config::Uplink {
        &self.config
    }

    /// How it can send, if it can.
    pub(super) const fn attached(&self) -> Option<&Attachment> {
        self.attached.as_ref()
    }

    /// Whether a router was heard since the interface appeared: only then is the desired state of
    /// the interface known.
    pub(super) const fn heard(&self) -> bool {
        self.heard
    }

    /// Whether its delegated prefixes are known: from the memory, from an answer, or because none
    /// came in time.
    pub(super) const fn lease_known(&self) -> bool {
        self.lease_known
    }

    /// Whether a refresh of the lease is under way.
    pub(super) const fn is_asking(&self) -> bool {
        self.changes.is_running()
    }

    /// The time until which advertisements wait for an answer that confirms or replaces a stored
    /// lease. An earlier advertisement could be overtaken at once, and the next one would have to
    /// wait for MIN_DELAY_BETWEEN_RAS.
    pub(super) fn confirmed_by(&self) -> Option<Instant> {
        let is_asking = !self.confirmed || !self.lease_known;
        is_asking.then_some(self.started_at + CONFIRMATION)
    }

    /// Compares with the kernel's state: the uplink comes up, goes down, or returns as another
    /// interface.
    pub(super) fn attach(&mut self, now: Instant, system: &System) -> Effect {
        let attachment = Attachment::find(system, &self.name);
        let index = system.link(&self.name).map(|link| link.index);
        let mut effect = Effect::default();
        if self.last_index.is_some() && self.last_index != index {
            // The kernel dropped all addresses and routes with the interface.
            let routers = Routers::new(hear_rules(&self.config));
            effect.routers = std::mem::replace(&mut self.routers, routers).lost(now);
            self.heard = false;
            self.last_index = None;
            effect.derive = true;
        }
        let before = std::mem::replace(&mut self.attached, attachment);
        match (before, self.attached.clone()) {
            (None, None) => {}
            (Some(_), None) => {
                self.solicit.stop();
                self.up_since = None;
                self.lease.link_down();
                effect.derive = true;
            }
            (Some(before), Some(after))
                if before.index == after.index && before.carrier_ups == after.carrier_ups =>
            {
                effect.derive = before != after;
                if before.link_local != after.link_local {
                    // The delegating router has routes to the old address (PDC-51).
                    effect.merge(self.trigger(now, Trigger::Requested, Cause::Link));
                }
            }
            (Some(_) | None, Some(after)) => {
                effect.derive = true;
                // This also happens where the system has reported no loss of the carrier.
                self.solicit.forget();
                self.remember_formed(now, &after, system);
                effect.merge(self.came_up(now, &after, false));
            }
        }
        effect
    }

    fn came_up(&mut self, now: Instant, attached: &Attachment, hurry: bool) -> Effect {
        let hurry = self.connection.begin(now) || hurry;
        if self.last_index == Some(attached.index) {
            self.routers.handle_link_event(now, attached.point_to_point);
        }
        self.last_index = Some(attached.index);
        self.up_since = Some(now);
        self.host.begin();
        self.solicit(now, attached.multicast);
        if !self.asks() || self.is_mute {
            return Effect::default();
        }
        // The lease itself starts the request after a link event; the policy is informed that a
        // refresh is under way, so that the router's first advertisement starts no second one.
        let _ = self.changes.handle_trigger(now, Trigger::Link);
        // The random delay is for many nodes that wake up at a time; a router's advertisement ends
        // it. That advertisement can come before the system reports the link as up.
        let spoken = self.heard_at.is_some_and(|at| now.since(at) < SPOKEN_LATELY);
        self.lease.link_up(now, hurry || spoken);
        Effect { began: Some(Cause::Link), asked: true, ..Effect::default() }
    }

    /// UDP port 546 cannot be opened, or is open after all: exchanges rest, or begin anew.
    pub(super) fn set_mute(&mut self, now: Instant, is_mute: bool) {
        let is_mute = is_mute && self.lease.is_built_in();
        if std::mem::replace(&mut self.is_mute, is_mute) == is_mute {
            return;
        }
        if is_mute {
            self.lease.link_down();
        } else if self.attached.is_some() && self.asks() {
            let _ = self.changes.handle_trigger(now, Trigger::Link);
            self.lease.link_up(now, true);
        }
    }

    /// An operator asks for a refresh.
    pub(super) fn renew(&mut self, now: Instant) -> Effect {
        self.trigger(now, Trigger::Requested, Cause::Command)
    }

    /// Takes in a valid advertisement from `source`; `to_us` when it came to us alone.
    ///
    /// # Errors
    ///
    /// [`hear::Reject`] when it is not to be believed.
    pub(super) fn handle_advertisement(
        &mut self,
        now: Instant,
        source: Ipv6Addr,
        advertisement: &RouterAdvertisement,
        to_us: bool,
    ) -> Result<Effect, hear::Reject> {
        let mtu = self.attached.as_ref().map_or(u32::MAX, |attached| attached.mtu);
        let heard = self.routers.handle_advertisement(now, source, advertisement, to_us, mtu)?;
        let kind = if heard.none_confirmed { RefreshKind::Rebind } else { RefreshKind::Renew };
        let trigger = if std::mem::replace(&mut self.heard, true) {
            Trigger::Prefix { router: source, kind }
        } else {
            Trigger::FirstWords { router: source }
        };
        self.heard_at = Some(now);
        self.solicit.handle_advertisement(advertisement.router_lifetime > 0);
        self.note_flags(now, source, advertisement);
        // A delegating router notifies those that it had to refuse by unicast (SRV-58); new
        // prefixes for all are notified by one advertisement to all. Copies of that advertise
        // nothing new, so they take no token.
        let notifies = to_us || !heard.prefixes.is_empty() || heard.others;
        if notifies
            && self.lease.asks_in_vain()
            && self.lease.ask_soon(self.changes.may_ask_at(now))
        {
            self.changes.handle_brought_forward(now);
        }
        let mut effect = self.take_in(now, &heard, Some(trigger));
        effect.merge(self.follow_as_host(now));
        Ok(effect)
    }

    /// Handles the result of an advertisement; `trigger` is its meaning for the lease, if it has
    /// one.
    fn take_in(&mut self, now: Instant, heard: &Heard, trigger: Option<Trigger>) -> Effect {
        let mut effect = Effect {
            heard: heard.others || !heard.prefixes.is_empty(),
            derive_by: heard.refresh_by,
            routers: heard.routers.clone(),
            ..Effect::default()
        };
        if heard.others {
            let parameters = self.routers.parameters(now);
            self.lease.want_address(now, parameters.managed && self.config.request_address);
            self.lease.want_information(now, parameters.other && self.speaks_dhcpv6());
        }
        // A prefix found missing and one that ran out start nothing: the prefix that replaced them
        // did (CHG-14).
        let significant = heard.prefixes.iter().any(|change| match change.kind {
            PrefixChangeKind::Appeared
            | PrefixChangeKind::Deprecated
            | PrefixChangeKind::Restored
            | PrefixChangeKind::Withdrawn => true,
            PrefixChangeKind::Missing | PrefixChangeKind::Expired => false,
        });
        if let Some(trigger) = trigger
            && (significant || heard.none_confirmed || heard.went_back.is_some())
        {
            effect.merge(self.trigger(now, trigger, Cause::Advertisement));
            self.lease.hurry(now);
        }
        effect
    }

    fn trigger(&mut self, now: Instant, trigger: Trigger, cause: Cause) -> Effect {
        let began = Effect { began: Some(cause), ..Effect::default() };
        if !self.asks() {
            return began;
        }
        match self.changes.handle_trigger(now, trigger) {
            Some(refresh) => {
                let mut effect = self.refresh(now, refresh);
                effect.merge(began);
                effect
            }
            None if self.changes.is_waiting() => began,
            // It belongs to the change that is under way.
            None => Effect::default(),
        }
    }

    fn refresh(&mut self, now: Instant, refresh: Refresh) -> Effect {
        self.lease.refresh(now, refresh);
        Effect { asked: true, ..Effect::default() }
    }

    /// See [`Lease::renew_for_others`].
    pub(super) fn renew_for_others(&mut self, now: Instant, patience: Duration) -> bool {
        self.attached.is_some() && self.lease.renew_for_others(now, patience)
    }

    /// Takes in a DHCPv6 message from `source`.
    ///
    /// # Errors
    ///
    /// [`lease::Reject`] when it is dropped.
    pub(super) fn handle_message(
        &mut self,
        now: Instant,
        source: Ipv6Addr,
        message: &Message,
        octets: &[u8],
    ) -> Result<Effect, lease::Reject> {
        let progress = self.lease.handle_message(now, message, octets)?;
        let mut effect = self.take_progress(now, &progress, Some(source));
        if let Some(kind) = progress.reconfigure {
            let trigger = Trigger::Reconfigure { server: source, kind };
            effect.merge(self.trigger(now, trigger, Cause::Reconfigure));
        }
        Ok(effect)
    }

    fn take_progress(
        &mut self,
        now: Instant,
        progress: &Progress,
        source: Option<Ipv6Addr>,
    ) -> Effect {
        if let Some(outcome) = progress.outcome {
            self.lease_known = true;
            self.confirmed = true;
            self.changes.handle_outcome(now, outcome, source);
            self.connection.handle_outcome(outcome);
        }
        if let Some(router) = source.filter(|_| progress.changed || progress.refreshed) {
            self.routers.set_lease_router(router);
        }
        self.lease_known |= progress.changed;
        self.confirmed |= progress.changed;
        Effect {
            // An exchange that ends without an answer counts as well: other parts wait for its end.
            derive: progress.changed || progress.refreshed || progress.outcome.is_some(),
            delegated: progress.changed,
            outcome: progress.outcome,
            remember: progress.remember,
            review: progress.review,
            ..Effect::default()
        }
    }

    /// Duplicate address detection found another holder of a leased address.
    pub(super) fn decline(&mut self, now: Instant, address: Ipv6Addr) {
        if self.lease.addresses().iter().any(|leased| leased.address == address) {
            self.lease.decline(now, address);
        }
    }

    /// Handles all deadlines that have passed; forgets prefixes that ended `grace` ago.
    pub(super) fn handle_timeout(&mut self, now: Instant, grace: Duration) -> Effect {
        let heard = self.routers.handle_timeout(now);
        let went_back =
            heard.went_back.map(|router| Trigger::Prefix { router, kind: RefreshKind::Renew });
        let mut effect = self.take_in(now, &heard, went_back);
        if !self.lease_known && now >= self.started_at + PATIENCE {
            self.lease_known = true;
            effect.derive = true;
        }
        let progress = self.lease.handle_timeout(now);
        effect.merge(self.take_progress(now, &progress, None));
        if let Some(refresh) = self.changes.poll(now) {
            effect.merge(self.refresh(now, refresh));
        }
        if self.routed.as_mut().is_some_and(|routed| routed.handle_timeout(now)) {
            self.lease.rediscover(now);
            effect.derive = true;
        }
        if self.lease.first_gone().is_some_and(|since| since + grace <= now) {
            self.lease.forget(now - grace);
            effect.derive = true;
        }
        if let Some(attached) = &self.attached
            && self.heard
            && self.solicit.deadline().is_none()
            && self.routers.default_routers(now).is_empty()
        {
            let multicast = attached.multicast;
            self.solicit(now, multicast);
        }
        effect.merge(self.follow_as_host(now));
        effect.review |= self.review_silence(now);
        effect
    }

    /// The next router solicitation: its destination and octets.
    pub(super) fn poll_solicitation(&mut self, now: Instant) -> Option<(Ipv6Addr, Vec<u8>)> {
        let attached = self.attached.as_ref()?;
        let destination = match self.routers.poll_solicitation(now) {
            Some(router) => router,
            None if self.solicit.poll(now) => net::ALL_ROUTERS,
            None => return None,
        };
        let address = attached.link_layer_address.clone();
        let options = address.map(NdpOption::SourceLinkLayer).into_iter().collect();
        Some((destination, RouterSolicitation { options }.encode()))
    }

    /// A solicitation of all routers or of one could not be sent: it does not count.
    pub(super) fn handle_dropped(&mut self, now: Instant, destination: Ipv6Addr) {
        if destination == net::ALL_ROUTERS {
            self.solicit.handle_dropped(now);
        } else {
            self.routers.handle_dropped(now, destination);
        }
    }

    /// The next DHCPv6 message.
    pub(super) fn poll_transmit(&mut self, now: Instant) -> Option<Vec<u8>> {
        self.attached.as_ref()?;
        self.lease.poll_transmit(now)
    }

    /// When [`handle_timeout`](Self::handle_timeout), or sending, has something to do. A deadline
    /// that only a packet could end does not count while none can leave, or it would pass at once,
    /// again and again.
    pub(super) fn deadline(&self, grace: Duration) -> Option<Deadline> {
        let can_send = self.attached.is_some();
        let gone = self.lease.first_gone();
        let patience = (!self.lease_known).then_some(self.started_at + PATIENCE);
        Deadline::first([
            self.routers.deadline(can_send),
            self.solicit.deadline().filter(|_| can_send),
            self.changes.deadline(),
            self.lease.deadline(),
            self.routed.as_ref().and_then(Routed::deadline).filter(|_| can_send),
            self.silence.deadline(),
            self.host.deadline(can_send),
            gone.map(|since| Deadline::new(since + grace, "grace time of a delegated prefix")),
            patience.map(|at| Deadline::new(at, "patience with the lease")),
        ])
    }
}
