//! An uplink on which this machine is a host: the kernel forms addresses and routes, the agent
//! solicits and watches.

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::change::Trigger;
use super::forming::Forming;
use super::hear::{FormedIn, StalePrefix};
use super::register::Registration;
use super::solicit::MAX_FIRST_DELAY;
use super::{Attachment, Effect, Uplink};
use crate::config::{self, Client};
use crate::core::client::{Occasion, Script};
use crate::core::kernel::system::{Origin, System};
use crate::core::random::Random;
use crate::core::status::RegistrationStatus;
use crate::time::{Deadline, Instant};
use crate::wire::address_registration::Acknowledgement;
use crate::wire::dhcpv6::Message;
use crate::wire::dhcpv6_option::Duid;
use crate::wire::ndp::RouterAdvertisement;

/// How long after the start the publications of an earlier run stay while no advertisement was
/// heard.
const FIRST_WORDS: Duration = Duration::from_secs(3);

/// A host that is delegated no prefix within this time forms addresses after all (RFC 9762 §7).
const DELEGATION_PATIENCE: Duration = Duration::from_secs(10);
/// The pause between switching on that the kernel forms addresses and soliciting the advertisement
/// that it needs for this.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// The state of a host on an uplink.
#[derive(Clone, Debug)]
pub(super) struct Host {
    /// It requests a prefix: an advertised one has the P flag, or it holds one.
    asks: bool,
    /// Since when it has requested one in vain.
    waits_since: Option<Instant>,
    wait: Wait,
    /// Another program follows the advertisements there.
    is_managed_elsewhere: bool,
    /// The flags that were heard since the link came up.
    heard_managed: bool,
    heard_other: bool,
    heard_any: bool,
    /// Programs of the operator that are to be run.
    scripts: VecDeque<Script>,
    registration: Registration,
    /// The kernel has formed no address in an advertised prefix.
    pub(super) forming: Option<Forming>,
    /// The kernel had no room for an address.
    pub(super) needs_room: bool,
    /// UDP port 546 is open.
    is_port_open: bool,
}

/// The wait of a host for a prefix of its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Wait {
    /// It is not over.
    #[default]
    Patient,
    /// It is over: the kernel is set to form addresses.
    Over,
    /// It is over, and routers have been solicited to advertise again.
    Solicited,
}

impl Host {
    /// A host with a stored lease requests it.
    pub(super) fn new(has_lease: bool, duid: Duid, random: Random) -> Self {
        Self {
            asks: has_lease,
            waits_since: None,
            wait: Wait::default(),
            is_managed_elsewhere: false,
            heard_managed: false,
            heard_other: false,
            heard_any: false,
            scripts: VecDeque::new(),
            registration: Registration::new(duid, random),
            forming: None,
            needs_room: false,
            is_port_open: false,
        }
    }

    /// When its wait is over, or the registration of its addresses has something to do.
    pub(super) fn deadline(&self, is_attached: bool) -> Option<Deadline> {
        let registration = self.registration.deadline(is_attached && self.is_port_open);
        let forming = self.forming.as_ref().and_then(Forming::deadline);
        Deadline::first([self.end_of_patience(), registration, forming])
    }

    fn end_of_patience(&self) -> Option<Deadline> {
        let since = self.waits_since?;
        let at = match self.wait {
            Wait::Patient => since + DELEGATION_PATIENCE,
            Wait::Over => since + DELEGATION_PATIENCE + AGAIN_AFTER,
            Wait::Solicited => return None,
        };
        Some(Deadline::new(at, "patience with a prefix of its own"))
    }

    /// The link comes up: it may be another one.
    pub(super) fn begin(&mut self) {
        (self.heard_managed, self.heard_other, self.heard_any) = (false, false, false);
        self.registration.forget();
        self.forming = None;
    }

    /// Whether UDP port 546 is needed to register addresses.
    pub(super) fn needs_port(&self) -> bool {
        self.registration.needs_port()
    }
}

/// How long the first solicitation of a round may wait. A host has waited already while its kernel
/// looked for duplicates of its link-local address (RFC 4861 §6.3.7).
pub(super) fn first_delay(config: &config::Uplink) -> Duration {
    match &config.client {
        Some(client) if !client.random_delay => Duration::ZERO,
        Some(_) | None => MAX_FIRST_DELAY,
    }
}

impl Uplink {
    /// The configuration of this machine as a host there; none where it is a router.
    pub(in crate::core) const fn client(&self) -> Option<&Client> {
        self.config.client.as_ref()
    }

    /// Whether it requests anything from a delegating router. A host does where an advertised
    /// prefix has the P flag, and for what it holds (RFC 9762 §7.1).
    pub(super) const fn asks(&self) -> bool {
        let wants = !self.config.delegate.is_empty() || self.config.request_address;
        wants && (self.config.client.is_none() || self.host.asks)
    }

    /// Whether it prefers a prefix of its own to addresses in a shared one.
    pub(super) fn prefers_delegation(&self) -> bool {
        let is_patient = self.host.wait == Wait::Patient;
        self.config.client.is_some() && !self.config.delegate.is_empty() && is_patient
    }

    /// Whether it lacks something until a prefix is delegated: a host only while it requests one,
    /// and not after its wait is over.
    pub(super) fn awaits_prefix(&self) -> bool {
        !self.config.delegate.is_empty() && self.asks() && self.host.wait == Wait::Patient
    }

    /// Begins to request a prefix when an advertised one has the P flag, and ends when none has and
    /// none is held; where no server grants one the kernel forms addresses after all.
    pub(super) fn follow_p_flag(&mut self, now: Instant) -> Effect {
        if self.config.client.is_none() || self.config.delegate.is_empty() {
            return Effect::default();
        }
        let is_preferred = self.routers.prefers_delegation(now);
        let held = self.lease.prefixes();
        let holds =
            held.iter().any(|one| one.gone_since.is_none() && !one.valid_until.is_over(now));
        let mut effect = self.follow_wait(now, is_preferred && !holds);
        let asks = is_preferred || holds;
        if std::mem::replace(&mut self.host.asks, asks) == asks {
            return effect;
        }
        effect.derive = true;
        if !asks {
            self.lease.link_down();
        } else if self.attached.is_some() && !self.is_mute {
            let _ = self.changes.handle_trigger(now, Trigger::Link);
            // Not at once: UDP port 546 has to be opened first.
            self.lease.link_up(now, false);
            effect.asked = true;
        }
        effect
    }

    fn follow_wait(&mut self, now: Instant, waits: bool) -> Effect {
        let host = &mut self.host;
        let before = host.wait;
        if waits {
            let since = *host.waits_since.get_or_insert(now);
            host.wait = match now.since(since) {
                waited if waited < DELEGATION_PATIENCE => Wait::Patient,
                waited if waited < DELEGATION_PATIENCE + AGAIN_AFTER => Wait::Over,
                _ if before == Wait::Patient => Wait::Over,
                _ => Wait::Solicited,
            };
        } else {
            (host.waits_since, host.wait) = (None, Wait::Patient);
        }
        let after = host.wait;
        if before != after
            && after == Wait::Solicited
            && let Some(multicast) = self.attached.as_ref().map(|attached| attached.multicast)
        {
            self.solicit.forget();
            self.solicit(now, multicast);
        }
        Effect { derive: before != after, ..Effect::default() }
    }

    /// Whether it uses DHCPv6. A host does where it requests a prefix.
    pub(super) fn speaks_dhcpv6(&self) -> bool {
        self.config.client.is_none() || self.asks()
    }

    /// Whether it is a fault if no router is heard.
    pub(super) const fn awaits_router(&self) -> bool {
        self.config.default_route
            || (self.config.client.is_some() && !self.host.is_managed_elsewhere)
    }

    /// Begins to solicit routers, unless another program does.
    pub(super) fn solicit(&mut self, now: Instant, multicast: bool) {
        if !self.host.is_managed_elsewhere {
            self.solicit.start(now, multicast);
        }
    }

    /// Whether another program follows the advertisements there (CLI-02).
    pub(in crate::core) const fn is_managed_elsewhere(&self) -> bool {
        self.host.is_managed_elsewhere
    }

    /// Sets whether another program keeps the kernel from following the advertisements.
    pub(in crate::core) fn set_managed_elsewhere(&mut self, now: Instant, is_managed: bool) {
        let is_managed = is_managed && self.config.client.is_some();
        if std::mem::replace(&mut self.host.is_managed_elsewhere, is_managed) == is_managed {
            return;
        }
        if is_managed {
            self.solicit.stop();
            self.host.registration.forget();
        } else if let Some(attached) = &self.attached {
            self.solicit.start(now, attached.multicast);
        }
    }

    /// Adds the prefixes in which the kernel formed addresses before the agent heard any
    /// advertisement: one that is not advertised any more is found missing like any other.
    pub(super) fn remember_formed(&mut self, now: Instant, on: &Attachment, system: &System) {
        if self.config.client.is_none() || self.last_index.is_some() {
            return;
        }
        let here = system.addresses.values().filter(|has| has.interface == on.index);
        let formed = here.filter(|has| has.origin == Origin::Advertisement).filter_map(|has| {
            let prefix = Ipv6Net::new(has.address, has.prefix_len).ok()?.trunc();
            let (preferred_until, valid_until) = (has.preferred_until, has.valid_until);
            Some(FormedIn { prefix, preferred_until, valid_until })
        });
        self.routers.remember(now, formed, on.point_to_point);
    }

    /// Runs the operator's programs for a flag that is heard for the first time since the link came
    /// up, as rtsold(8) does; the O flag says nothing new beside the M flag (RFC 4861 §4.2).
    pub(super) fn note_flags(
        &mut self,
        now: Instant,
        router: Ipv6Addr,
        advertisement: &RouterAdvertisement,
    ) {
        let Some(client) = &self.config.client else { return };
        let registers = client.registers() && !self.host.is_managed_elsewhere;
        if registers && (advertisement.managed || advertisement.other) {
            self.host.registration.start(now);
        }
        let host = &mut self.host;
        let scripts = &client.scripts;
        let is_new = |flag: bool, known: &mut bool| flag && !std::mem::replace(known, true);
        let managed = is_new(advertisement.managed, &mut host.heard_managed);
        let other = is_new(advertisement.other, &mut host.heard_other) && !host.heard_managed;
        let any = is_new(true, &mut host.heard_any);
        for (is_due, occasion, program) in [
            (managed, Occasion::Managed, &scripts.managed),
            (other, Occasion::Other, &scripts.other),
            (any, Occasion::Always, &scripts.always),
        ] {
            if let Some(program) = program.clone().filter(|_| is_due) {
                let interface = self.name.clone();
                host.scripts.push_back(Script { interface, occasion, program, router });
            }
        }
    }

    /// A program of the operator that is to be run.
    pub(in crate::core) fn poll_script(&mut self) -> Option<Script> {
        self.host.scripts.pop_front()
    }

    /// Handles everything that only a host has: see [`follow_p_flag`](Self::follow_p_flag).
    pub(super) fn follow_as_host(&mut self, now: Instant) -> Effect {
        let mut effect = self.follow_p_flag(now);
        effect.merge(self.register(|registration| registration.handle_timeout(now)));
        // The addresses that the kernel has formed meanwhile are looked at when the desired state
        // is derived.
        effect.derive |= self.host.forming.as_mut().is_some_and(|one| one.handle_timeout(now));
        effect
    }

    /// Applies `happen` to the registration of addresses, which may need UDP port 546 then.
    fn register(&mut self, happen: impl FnOnce(&mut Registration)) -> Effect {
        let needed = self.host.needs_port();
        happen(&mut self.host.registration);
        Effect { derive: needed != self.host.needs_port(), ..Effect::default() }
    }

    /// Takes over the addresses of the interface, which are registered where the network's server
    /// supports that (RFC 9686).
    pub(in crate::core) fn follow_addresses(&mut self, now: Instant, system: &System) -> Effect {
        let derive = self.follow_forming(now, system);
        let mut effect = Effect { derive, ..Effect::default() };
        if !self.config.client.as_ref().is_some_and(Client::registers) {
            return effect;
        }
        let index = self.attached.as_ref().map(|attached| attached.index);
        effect.merge(self.register(|registration| {
            let Some(index) = index else { return registration.forget() };
            let (first, last) = (Ipv6Addr::UNSPECIFIED, Ipv6Addr::from_bits(u128::MAX));
            let here = system.addresses.range((index, first)..=(index, last));
            registration.follow(now, here.map(|(_, has)| has));
        }));
        effect
    }

    /// Handles a Reply that may say whether addresses are registered; none where it does not.
    pub(in crate::core) fn handle_information(
        &mut self,
        now: Instant,
        reply: &Message,
    ) -> Option<Effect> {
        let mut is_answer = false;
        let effect = self.register(|registration| {
            is_answer = registration.handle_reply(now, reply);
        });
        is_answer.then_some(effect)
    }

    /// Handles the acknowledgement of a registration, which came to `destination`; none where no
    /// address was registered.
    pub(in crate::core) fn handle_acknowledgement(
        &mut self,
        destination: Ipv6Addr,
        acknowledgement: &Acknowledgement,
    ) -> Option<Effect> {
        let mut is_answer = false;
        let effect = self.register(|registration| {
            is_answer = registration.handle_acknowledgement(destination, acknowledgement);
        });
        is_answer.then_some(effect)
    }

    /// Takes over whether UDP port 546 is open, or belongs to another program. Returns whether it
    /// is needed no more.
    pub(in crate::core) fn follow_port(&mut self, is_open: bool, is_refused: bool) -> bool {
        self.host.is_port_open = is_open;
        let gives_up = is_refused && !is_open && self.host.needs_port();
        if gives_up {
            self.host.registration.give_up();
        }
        gives_up
    }

    /// The registration of addresses, for status.
    pub(in crate::core) fn registration(&self, now: Instant) -> Option<RegistrationStatus> {
        self.host.registration.status(now)
    }

    /// The next message about the registration of addresses: the address that it is sent from, none
    /// for the link-local one, and its octets.
    pub(in crate::core) fn poll_registration(
        &mut self,
        now: Instant,
    ) -> Option<(Option<Ipv6Addr>, Vec<u8>)> {
        self.attached.as_ref().filter(|_| self.host.is_port_open)?;
        self.host.registration.poll_transmit(now)
    }

    /// The prefixes in which the kernel formed addresses and that no router advertises any more.
    pub(super) fn stale_prefixes(&self, now: Instant) -> Vec<StalePrefix> {
        if self.config.client.is_some() { self.routers.stale_prefixes(now) } else { Vec::new() }
    }

    /// Until when publications wait for the first advertisement; none where they do not.
    pub(in crate::core) fn first_words_by(&self, system: &System) -> Option<Instant> {
        let is_running = || system.link(&self.name).is_some_and(|link| link.running);
        let waits = self.config.client.is_some() && !self.heard && is_running();
        waits.then_some(self.started_at + FIRST_WORDS)
    }

    /// The kernel reports that a neighbor does not answer. If it is the router, the link may be
    /// another one, and routers are solicited at once.
    pub(in crate::core) fn handle_unreachable(&mut self, now: Instant, address: Ipv6Addr) {
        let Some(attached) = self.attached.as_ref().filter(|_| self.config.client.is_some()) else {
            return;
        };
        let multicast = attached.multicast;
        if self.routers.handle_unreachable(now, address) && self.solicit.deadline().is_none() {
            self.solicit.forget();
            self.solicit(now, multicast);
        }
    }

    /// The machine has slept: information about the link may be out of date.
    pub(in crate::core) fn resume(&mut self, now: Instant) -> Effect {
        self.solicit.forget();
        match self.attached.clone() {
            Some(attached) => self.came_up(now, &attached, false),
            None => Effect::default(),
        }
    }
}
