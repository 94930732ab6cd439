//! Programs that answer requesting routers in the built-in's place: their orders, and whether they
//! have confirmed them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::Ipv6Addr;
use std::sync::Arc;
use std::time::Duration;

use super::assigned::{Assigned, AssignedPool, AssignedPrefix, AssignedRouter};
use super::bindings::{BindingKey, Bindings, Offer, Unreached, Woken};
use super::observed::Observed;
use super::server::{Awaited, Reject};
use super::{Arrival, HostOptions, Notification, Served, steady};
use crate::config::{Limits, Peer};
use crate::core::engine::{Leases, State};
use crate::time::{Deadline, Instant, Lifetime};
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::{Duid, Iaid};

/// How long routers and hosts hear nothing of a change that the program has not taken over: a
/// router that asks before that is given the old prefix.
const CONFIRMED_WITHIN: Duration = Duration::from_millis(300);

/// The programs of all downlinks.
#[derive(Clone, Debug)]
pub(super) struct Programs {
    server: Duid,
    links: BTreeMap<Arc<str>, Link>,
    notifications: VecDeque<Notification>,
    awaited: Awaited,
    /// When an order stops being true.
    look_at: Option<Instant>,
    /// The places of routers, as their messages show.
    observed: Observed,
    /// The agent may listen beside the programs.
    shares_port: bool,
}

/// One downlink.
#[derive(Clone, Debug, Default)]
struct Link {
    options: HostOptions,
    /// The newest order.
    ordered: Option<Assigned>,
    /// It is to be handed over again, as the program may have been replaced.
    repeats: bool,
    /// The program is not known to have failed.
    works: bool,
    /// The end of the time in which it has to confirm the newest order; none where no confirmation
    /// is awaited.
    confirms_until: Option<Instant>,
    /// Routers that are to be notified once it has confirmed that order.
    notified: Vec<(Duid, Ipv6Addr)>,
    /// Leases of routers whose place is not known.
    unreached: Unreached,
}

impl Programs {
    /// Those of the downlinks that have one; `server` is what this machine is known by.
    pub(super) fn new(server: Duid, bindings: &Bindings) -> Self {
        let mut programs = Self {
            server: server.clone(),
            links: BTreeMap::new(),
            notifications: VecDeque::new(),
            awaited: Awaited::default(),
            look_at: None,
            observed: Observed::default(),
            shares_port: false,
        };
        programs.configure(&server, bindings);
        programs
    }

    /// Takes over what this machine is known by, and which downlinks have a program.
    pub(super) fn configure(&mut self, server: &Duid, bindings: &Bindings) {
        self.server = server.clone();
        let has_program =
            |name: &str| bindings.downlinks.get(name).is_some_and(|link| link.delegator.is_some());
        self.links.retain(|name, _| has_program(name));
        for name in bindings.downlinks.keys().filter(|name| has_program(name)) {
            self.links.entry(name.as_str().into()).or_default().repeats = true;
        }
    }

    /// Takes over what each downlink is given beside prefixes.
    pub(super) fn set_host_options(&mut self, mut options: BTreeMap<String, HostOptions>) {
        for (name, link) in &mut self.links {
            link.options = options.remove(&**name).unwrap_or_default();
        }
    }

    /// The orders for programs, for each downlink where these differ from the last order.
    pub(super) fn orders(&mut self, now: Instant, bindings: &Bindings) -> Vec<Assigned> {
        self.look_at = None;
        if !bindings.offers.known {
            return Vec::new();
        }
        let names: Vec<Arc<str>> = self.links.keys().cloned().collect();
        let mut orders = Vec::new();
        for name in names {
            let assigned = self.assigned(now, bindings, &name);
            let Some(link) = self.links.get_mut(&name) else { continue };
            if link.ordered.as_ref() == Some(&assigned) && !link.repeats {
                continue;
            }
            link.repeats = false;
            link.ordered = Some(assigned.clone());
            link.confirms_until = link.works.then_some(now + CONFIRMED_WITHIN);
            orders.push(assigned);
        }
        orders
    }

    fn assigned(&mut self, now: Instant, bindings: &Bindings, downlink: &Arc<str>) -> Assigned {
        let (before, options) = match self.links.get(downlink) {
            Some(link) => (ordered_lifetimes(link.ordered.as_ref()), link.options.clone()),
            None => (BTreeMap::new(), HostOptions::default()),
        };
        let renewed_at = bindings.offers.renewed_at;
        let look_at = &mut self.look_at;
        let mut promise = |offer: &Offer, limits: Limits| {
            let known = before.get(&offer.prefix);
            let of = |until, limit, known| steady::lifetime(now, until, limit, renewed_at, known);
            let preferred = of(offer.preferred_until, limits.preferred, known.map(|known| known.0));
            let valid = of(offer.valid_until, limits.valid, known.map(|known| known.1));
            let preferred = preferred.min(valid);
            // No message of the program would say that a prefix is deprecated: such a prefix is not
            // given any more.
            if preferred.is_zero() {
                return None;
            }
            let looks = [(offer.preferred_until, preferred), (offer.valid_until, valid)];
            let looks = looks.map(|(until, lifetime)| steady::true_until(until, lifetime));
            *look_at = looks.into_iter().chain([*look_at]).flatten().min();
            Some(AssignedPrefix { prefix: offer.prefix, preferred, valid })
        };
        let delegations =
            || bindings.delegations.iter().filter(|(_, one)| *one.downlink == **downlink);
        let routers = delegations().filter_map(|(name, delegation)| {
            let Peer::Duid(duid) = &delegation.peer else { return None };
            let (duid, iaid) = (duid.clone(), delegation.iaid);
            let offers = bindings.offers.delegations.get(&**name).into_iter().flatten();
            // A prefix that another router may still hold is not given yet (SRV-57).
            let granted = offers.filter(|offer| {
                let key = BindingKey {
                    duid: duid.clone(),
                    downlink: Arc::clone(downlink),
                    iaid: iaid.unwrap_or(Iaid(0)),
                };
                bindings.by_key.get(&key).is_some_and(|binding| binding.is_granted(&offer.prefix))
            });
            let prefixes = granted.filter_map(|offer| promise(offer, delegation.lifetimes));
            let prefixes = most_wanted_first(prefixes.collect());
            Some(AssignedRouter { name: Arc::clone(name), duid, iaid, prefixes })
        });
        let routers = routers.collect();
        let pools = || bindings.pools.iter().filter(|(_, pool)| *pool.downlink == **downlink);
        let blocks = pools().map(|(name, pool)| {
            let offers = bindings.offers.pools.get(&**name).into_iter().flatten();
            let blocks = offers.filter_map(|offer| promise(offer, pool.lifetimes)).collect();
            AssignedPool { name: Arc::clone(name), length: pool.length, blocks }
        });
        let every = delegations().filter_map(|(_, one)| one.renew_every);
        Assigned {
            downlink: Arc::clone(downlink),
            server: self.server.clone(),
            rapid_commit: bindings.downlinks.get(&**downlink).is_some_and(|link| link.rapid_commit),
            options,
            routers,
            pools: blocks.collect(),
            renew_every: every.chain(pools().filter_map(|(_, pool)| pool.renew_every)).min(),
        }
    }

    /// Whether the agent listens to the messages that the program of a downlink answers.
    pub(super) fn observes(&self, bindings: &Bindings, downlink: &str) -> bool {
        self.shares_port && self.links.contains_key(downlink) && bindings.leases_pools(downlink)
    }

    /// Takes over whether the agent may listen beside the programs.
    pub(super) const fn share_port(&mut self, shares: bool) {
        self.shares_port = shares;
    }

    /// Handles a message that the program answers: it shows the place of its sender.
    pub(super) fn observe(
        &mut self,
        bindings: &mut Bindings,
        now: Instant,
        arrival: &Arrival,
        message: &Message,
    ) -> Result<Served, Reject> {
        let Arrival { downlink, contact } = arrival;
        let may_lease = match message.kind {
            MessageType::Solicit => message.has_rapid_commit(),
            MessageType::Request
            | MessageType::Renew
            | MessageType::Rebind
            | MessageType::Release => true,
            MessageType::Confirm
            | MessageType::Decline
            | MessageType::InformationRequest
            | MessageType::Advertise
            | MessageType::Reply
            | MessageType::Reconfigure => return Err(Reject::Silent),
        };
        let duid = message.client_id().ok_or(Reject::Silent)?;
        // A message that a relay agent hands on may come from any node.
        if contact.relay.is_some() || !self.observes(bindings, downlink) {
            return Err(Reject::Silent);
        }
        let (duid, downlink) = (duid.clone(), Arc::clone(downlink));
        let key = BindingKey { duid, downlink, iaid: Iaid(0) };
        let mut served = Served::default();
        if bindings.bindings_of(&key).next().is_some() {
            // The holder was probed at its place before (SEC-18).
            self.observed.set(now, &key.downlink, &key.duid, contact);
            bindings.move_to(now, &key, contact, &mut served.touched);
        } else if !self.observed.note(now, &key.downlink, &key.duid, contact) {
            return Err(Reject::Silent);
        }
        served.leased = may_lease.then_some(key.duid);
        Ok(served)
    }

    /// Handles leases that a program reports; returns the bindings that were touched, and whether
    /// the set of leases without a route differs.
    pub(super) fn set_leases(
        &mut self,
        bindings: &mut Bindings,
        now: Instant,
        leases: &Leases,
    ) -> (BTreeSet<BindingKey>, bool) {
        let mut touched = BTreeSet::new();
        let Self { links, observed, .. } = self;
        let Some((downlink, link)) = links.get_key_value(&*leases.downlink) else {
            return (touched, false);
        };
        let contact_of = |duid: &Duid| observed.contact(downlink, duid);
        let found = bindings.set_leased(now, leases, contact_of, &mut touched);
        let before = &link.unreached;
        let others =
            before.iter().filter(|(_, duid)| leases.of.as_ref().is_some_and(|of| of != *duid));
        let others = others.map(|(prefix, duid)| (*prefix, duid.clone()));
        let unreached: Unreached = others.chain(found).collect();
        let is_news = *before != unreached;
        if let Some(link) = self.links.get_mut(&*leases.downlink) {
            link.unreached = unreached;
        }
        (touched, is_news)
    }

    /// By downlink, how many leases cannot be reached, and the first of them.
    pub(super) fn unreached(&self) -> Vec<(&str, usize, (&ipnet::Ipv6Net, &Duid))> {
        let links = self.links.iter();
        links
            .filter_map(|(name, link)| {
                Some((&**name, link.unreached.len(), link.unreached.first_key_value()?))
            })
            .collect()
    }

    /// Handles the reported state of a program; returns whether advertisements or notifications
    /// have waited for it.
    pub(super) fn note_state(&mut self, now: Instant, downlink: &str, state: State) -> bool {
        let Some(link) = self.links.get_mut(downlink) else { return false };
        match state {
            State::Changing => return false,
            State::Running => link.works = true,
            State::Idle | State::Starting | State::Failed => link.works = false,
        }
        let waited = link.confirms_until.take().is_some();
        self.release(now);
        waited
    }

    /// Whether changes on a downlink wait for its program.
    pub(super) fn is_changing(&self, downlink: &str) -> bool {
        self.links.get(downlink).is_some_and(|link| link.confirms_until.is_some())
    }

    /// Whether the desired state has to be derived anew: a program has not confirmed in time, or an
    /// order is not true any more.
    pub(super) fn is_to_be_derived(&mut self, now: Instant) -> bool {
        let mut is = self.look_at.take_if(|at| *at <= now).is_some();
        for link in self.links.values_mut() {
            is |= link.confirms_until.take_if(|until| *until <= now).is_some();
        }
        is
    }

    /// Notifies the routers that a change concerns, once their program has confirmed it.
    pub(super) fn handle_timeout(&mut self, bindings: &Bindings, now: Instant, woken: &Woken) {
        for (key, _) in &woken.notified {
            let Some(link) = self.links.get_mut(&key.downlink) else { continue };
            let Some(binding) = bindings.by_key.get(key) else { continue };
            link.notified.push((key.duid.clone(), binding.contact.peer));
        }
        self.release(now);
        while let Some((downlink, host)) = self.awaited.poll(now) {
            self.notifications.push_back(Notification::Advertise { downlink, host });
        }
    }

    fn release(&mut self, now: Instant) {
        let ready = self.links.iter_mut().filter(|(_, link)| link.confirms_until.is_none());
        for (name, link) in ready {
            for (duid, host) in std::mem::take(&mut link.notified) {
                let downlink = Arc::clone(name);
                self.awaited.insert(now, (duid, Arc::clone(&downlink)), host, false);
                self.notifications.push_back(Notification::Advertise { downlink, host });
            }
        }
    }

    /// The next notification.
    pub(super) fn poll_notification(&mut self) -> Option<Notification> {
        self.notifications.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`is_to_be_derived`](Self::is_to_be_derived)
    /// has something to do.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        let confirms = self.links.values().filter_map(|link| link.confirms_until).min();
        let confirms = confirms.map(|at| Deadline::new(at, "what another program delegates"));
        let look =
            self.look_at.map(|at| Deadline::new(at, "lifetimes that another program promises"));
        Deadline::first([confirms, look, self.awaited.deadline()])
    }
}

/// The lifetimes of an order, by prefix.
fn ordered_lifetimes(ordered: Option<&Assigned>) -> BTreeMap<ipnet::Ipv6Net, (Lifetime, Lifetime)> {
    let routers = ordered.into_iter().flat_map(|ordered| &ordered.routers);
    let pools = ordered.into_iter().flat_map(|ordered| &ordered.pools);
    let all =
        routers.flat_map(|router| &router.prefixes).chain(pools.flat_map(|pool| &pool.blocks));
    all.map(|one| (one.prefix, (one.preferred, one.valid))).collect()
}

/// A program that gives one prefix gives the first: a global one, and of these the one that lasts
/// longest.
fn most_wanted_first(mut prefixes: Vec<AssignedPrefix>) -> Vec<AssignedPrefix> {
    let rank = |one: &AssignedPrefix| {
        (one.prefix.network().is_unique_local(), std::cmp::Reverse(one.preferred), one.prefix)
    };
    prefixes.sort_by_key(rank);
    prefixes
}
