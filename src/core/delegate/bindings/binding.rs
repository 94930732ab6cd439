//! A binding: the prefixes that one IA_PD of one requesting router holds, and is to be given next.

use std::collections::BTreeSet;
use std::ops::Not;
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::contact::Contact;
use super::offers::{Offer, Slot};
use super::promises::Promises;
use super::push::Push;
use crate::config::Limits;
use crate::core::capabilities::ONLY_METRIC;
use crate::core::kernel::system::{KernelRoute, RouteTarget};
use crate::core::rkap;
use crate::net::IfIndex;
use crate::time::{Instant, ROUNDING, Until};
use crate::wire::dhcpv6_option::{Duid, Iaid};

/// Metric of a route to a delegation: behind a link of ours, before any learnt route.
const METRIC: u32 = ONLY_METRIC;

/// The longest time that a message of ours is underway: if a router omits a prefix in a message
/// after that time, it does not hold the prefix.
const UNDERWAY: Duration = Duration::from_secs(3);

/// A lifetime begins when its message arrives: the holder may use a prefix for this much longer
/// than we count.
const LATER: Duration = Duration::from_secs(5);

/// Identifies a binding (SRV-40).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct BindingKey {
    /// The requesting router. The first field, as it differs between most keys.
    pub duid: Duid,
    /// Where it asks.
    pub downlink: Arc<str>,
    /// For which IA_PD.
    pub iaid: Iaid,
}

/// A prefix that the requesting router may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Promise {
    /// The end of the preferred lifetime in the last message.
    pub preferred_until: Until,
    /// The end of the valid lifetime in the last message.
    pub valid_until: Until,
    /// The requesting router may hold it until then: the longest valid lifetime that it was sent.
    pub held_until: Until,
    /// When a message about it last left.
    #[serde(alias = "said_at")]
    pub last_sent_at: Instant,
    /// When the prefix left the binding; none while it is granted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired_at: Option<Instant>,
    /// When a message withdrew it.
    #[serde(default, alias = "told_at", skip_serializing_if = "Option::is_none")]
    pub withdrawn_at: Option<Instant>,
    /// When its route began to end: the prefix is not delegated to us any more, or a message has
    /// withdrawn it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving_at: Option<Instant>,
    /// Its holder has shown that it does not hold it any more.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub heard: bool,
    /// There is a route to it.
    #[serde(default, skip_serializing_if = "Not::not")]
    pub routed: bool,
    /// Until then its holder may hold it by another IA_PD, which this one inherited it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elsewhere_until: Option<Until>,
}

/// A binding.
#[derive(Clone, PartialEq, Debug)]
pub struct Binding {
    pub(in crate::core::delegate) slots: Vec<Slot>,
    pub(in crate::core::delegate) contact: Arc<Contact>,
    /// The prefixes that it is to be given, in order: derived from slots and offers.
    pub(in crate::core::delegate) current: Vec<Grant>,
    /// The prefixes that its router may hold.
    pub(in crate::core::delegate) promised: Promises,
    pub(in crate::core::delegate) reconfigure_key: Option<rkap::Key>,
    pub(in crate::core::delegate) push: Option<Push>,
    /// Prefixes of its slots that another router may still hold (SRV-57).
    pub(in crate::core::delegate) blocked: Vec<Ipv6Net>,
    /// Where it stands in the index of deadlines.
    pub(in crate::core::delegate) indexed_at: Option<Instant>,
}

/// An offer with the limits of the lifetimes given of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::core::delegate) struct Grant {
    pub(in crate::core::delegate) offer: Offer,
    pub(in crate::core::delegate) limits: Limits,
}

/// A binding as it is kept (STO-04).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StoredBinding {
    /// Its slots.
    pub slots: Vec<Slot>,
    /// How the requesting router is reached.
    pub contact: Arc<Contact>,
    /// The prefixes that its router may hold.
    pub promised: Promises,
    /// Key for Reconfigure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reconfigure_key: Option<rkap::Key>,
}

impl Promise {
    /// Moves its instants to another clock.
    pub(crate) fn shift(&mut self, shift: &impl Fn(&mut Until)) {
        shift(&mut self.preferred_until);
        shift(&mut self.valid_until);
        shift(&mut self.held_until);
        self.elsewhere_until.iter_mut().for_each(shift);
        let instants = [&mut self.retired_at, &mut self.withdrawn_at, &mut self.leaving_at];
        for at in instants.into_iter().flatten().chain([&mut self.last_sent_at]) {
            let mut until = Until::At(*at);
            shift(&mut until);
            *at = until.at().unwrap_or(*at);
        }
    }

    /// When the prefix can be given to another (SRV-57). That a message has withdrawn it is not enough,
    /// as the answer may have got lost.
    pub(in crate::core::delegate) fn free_at(&self, grace: Duration) -> Until {
        match (self.route_end(grace), self.heard) {
            (Some(end), true) => Until::At(end).min(self.end()),
            (Some(_) | None, _) => self.end(),
        }
    }

    /// When its holder has let it run out for certain.
    fn end(&self) -> Until {
        match self.held_until {
            Until::At(at) => Until::At(at + LATER),
            Until::Never => Until::Never,
        }
    }

    /// When its route is removed, though its holder may still hold the prefix (DWN-06).
    fn route_end(&self, grace: Duration) -> Option<Instant> {
        self.leaving_at.map(|at| at + grace)
    }

    fn retire(&mut self, now: Instant, is_ours: bool) {
        self.retired_at.get_or_insert(now);
        if !is_ours {
            self.leaving_at.get_or_insert(now);
        }
    }

    fn withdraw(&mut self, now: Instant) {
        self.last_sent_at = now;
        self.withdrawn_at = Some(now);
        self.leaving_at.get_or_insert(now);
    }

    /// Whether its holder may hold it through another IA_PD, of which a message says nothing.
    fn is_elsewhere(&self, now: Instant) -> bool {
        self.elsewhere_until.is_some_and(|until| !until.is_over(now))
    }

    const fn restore(&mut self) {
        (self.retired_at, self.withdrawn_at, self.leaving_at) = (None, None, None);
        (self.heard, self.routed) = (false, true);
    }
}

/// Whether `a` is later than `b` by more than rounding.
fn is_later(a: Until, b: Until) -> bool {
    match (a, b) {
        (Until::At(a), Until::At(b)) => a.since(b) > ROUNDING,
        (Until::Never, Until::At(_)) => true,
        (Until::At(_) | Until::Never, Until::Never) => false,
    }
}

impl Binding {
    pub(in crate::core::delegate) fn new(slots: Vec<Slot>, contact: Arc<Contact>) -> Self {
        Self {
            slots,
            contact,
            current: Vec::new(),
            promised: Promises::default(),
            reconfigure_key: None,
            push: None,
            blocked: Vec::new(),
            indexed_at: None,
        }
    }

    pub(in crate::core::delegate) fn restored(stored: &StoredBinding) -> Self {
        Self {
            promised: stored.promised.clone(),
            reconfigure_key: stored.reconfigure_key,
            ..Self::new(stored.slots.clone(), Arc::clone(&stored.contact))
        }
    }

    pub(in crate::core::delegate) fn stored(&self) -> StoredBinding {
        StoredBinding {
            slots: self.slots.clone(),
            contact: Arc::clone(&self.contact),
            promised: self.promised.clone(),
            reconfigure_key: self.reconfigure_key,
        }
    }

    /// Promises a prefix: an earlier promise of it holds to its end all the same, as the
    /// answer may get lost.
    pub(in crate::core::delegate) fn promise(
        &mut self,
        now: Instant,
        prefix: Ipv6Net,
        preferred_until: Until,
        valid_until: Until,
    ) {
        let before = self.promised.get(&prefix);
        let promise = Promise {
            preferred_until,
            valid_until,
            held_until: before.map_or(valid_until, |before| before.held_until.max(valid_until)),
            elsewhere_until: before.and_then(|before| before.elsewhere_until),
            last_sent_at: now,
            retired_at: None,
            withdrawn_at: None,
            leaving_at: None,
            heard: false,
            routed: true,
        };
        self.promised.insert(prefix, promise);
    }

    /// Whether everything that its router was promised has run out.
    pub(in crate::core::delegate) fn is_over(&self, now: Instant) -> bool {
        self.promised.values().all(|promise| promise.held_until.is_over(now))
    }

    /// Its slots.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// How its router is reached.
    pub fn contact(&self) -> &Contact {
        &self.contact
    }

    /// The prefixes that it is to be given.
    pub fn granted(&self) -> impl Iterator<Item = &Ipv6Net> {
        self.current.iter().map(|grant| &grant.offer.prefix)
    }

    pub(in crate::core::delegate) fn is_granted(&self, prefix: &Ipv6Net) -> bool {
        self.granted().any(|granted| granted == prefix)
    }

    /// Whether its router is being notified.
    pub fn is_notified(&self) -> bool {
        self.push.is_some_and(|push| push.next_at.is_some())
    }

    /// The prefixes that its router may hold, retired ones (in quarantine) included.
    pub fn promised(&self) -> impl Iterator<Item = (&Ipv6Net, &Promise)> {
        self.promised.iter()
    }

    /// Its router has released the prefixes that it names. The router claims none of the others,
    /// but may still hold them.
    pub(in crate::core::delegate) fn release(&mut self, now: Instant, named: &[Ipv6Net]) {
        self.promised
            .retain(|prefix, promise| promise.is_elsewhere(now) || !named.contains(prefix));
        for promise in self.promised.values_mut() {
            promise.retire(now, false);
            promise.withdraw(now);
        }
    }

    /// Takes over the prefixes of another IA_PD of the same router, which has dropped it.
    pub(in crate::core::delegate) fn inherit(&mut self, now: Instant, other: Self) {
        for (prefix, promise) in other.promised.iter() {
            let mut promise = *promise;
            if let Some(known) = self.promised.get(prefix) {
                promise.held_until = promise.held_until.max(known.held_until);
            }
            promise.retired_at.get_or_insert(now);
            promise.elsewhere_until = promise.elsewhere_until.max(Some(promise.held_until));
            self.promised.insert(*prefix, promise);
        }
        self.reconfigure_key = self.reconfigure_key.or(other.reconfigure_key);
    }

    /// A message withdraws a prefix.
    pub(in crate::core::delegate) fn withdraw(&mut self, now: Instant, prefix: &Ipv6Net) {
        if let Some(promise) = self.promised.get_mut(prefix) {
            promise.withdraw(now);
        }
    }

    /// No router holds a prefix of it any more.
    pub(in crate::core::delegate) fn end(&mut self, now: Instant, prefix: &Ipv6Net) {
        if let Some(promise) = self.promised.get_mut(prefix) {
            promise.retire(now, false);
            promise.withdraw(now);
            promise.heard = true;
        }
    }

    /// The prefixes that its router may hold and that are not its own any more.
    pub(in crate::core::delegate) fn stale(&self) -> impl Iterator<Item = Ipv6Net> {
        let stale = self
            .promised
            .iter()
            .filter(|(prefix, promise)| !promise.heard && !self.is_granted(prefix));
        stale.map(|(prefix, _)| *prefix)
    }

    /// Its router has named the prefixes that it holds. A retired prefix that it omits is free,
    /// unless a message about that prefix may still be underway. A Solicit may omit prefixes that
    /// the router holds, but the router does not renew them any more: there a prefix counts as
    /// omitted once a message has withdrawn it. Returns whether any promise differs.
    pub(in crate::core::delegate) fn note_named(
        &mut self,
        now: Instant,
        named: &[Ipv6Net],
        solicits: bool,
    ) -> bool {
        let mut differs = false;
        for (prefix, promise) in self.promised.iter_mut() {
            let before = *promise;
            let knows = (!solicits || promise.withdrawn_at.is_some()) && !promise.is_elsewhere(now);
            if named.contains(prefix) {
                promise.heard = false;
            } else if promise.retired_at.is_some()
                && knows
                && now.since(promise.last_sent_at) >= UNDERWAY
            {
                promise.heard = true;
                promise.withdrawn_at.get_or_insert(now);
                promise.leaving_at.get_or_insert(now);
            }
            differs |= *promise != before;
        }
        differs
    }

    /// Takes over the prefixes that it is to be given; a prefix that is not among them any more
    /// retires. `is_ours` says whether a prefix still belongs to a delegated one of ours. Returns
    /// whether any promise differs.
    pub(in crate::core::delegate) fn set_current(
        &mut self,
        now: Instant,
        current: Vec<Grant>,
        is_ours: impl Fn(Ipv6Net) -> bool,
    ) -> bool {
        self.current = current;
        let mut differs = false;
        for (prefix, promise) in self.promised.iter_mut() {
            let before = *promise;
            if !self.current.iter().any(|grant| grant.offer.prefix == *prefix) {
                promise.retire(now, is_ours(*prefix));
            } else if promise.retired_at.is_some() {
                promise.restore();
            }
            differs |= *promise != before;
        }
        differs
    }

    /// Whether the requesting router holds something else than it is to be given, or for longer than we
    /// do: it has to be notified (SRV-50).
    pub(in crate::core::delegate) fn is_stale(&self) -> bool {
        let wrong = |grant: &Grant| {
            self.promised.get(&grant.offer.prefix).is_none_or(|promise| {
                is_later(promise.preferred_until, grant.offer.preferred_until)
                    || is_later(promise.valid_until, grant.offer.valid_until)
            })
        };
        let unaware = |(prefix, promise): (&Ipv6Net, &Promise)| {
            !self.is_granted(prefix) && promise.withdrawn_at.is_none()
        };
        self.current.iter().any(wrong) || self.promised().any(unaware)
    }

    /// Whether `current` would give a prefix for less time than the grants that hold until now.
    pub(in crate::core::delegate) fn is_shortened_by(&self, current: &[Grant]) -> bool {
        let ends = |grant: &Grant| (grant.offer.preferred_until, grant.offer.valid_until);
        let is_shorter = |grant: &Grant| {
            let prefix = grant.offer.prefix;
            let before = self.current.iter().find(|before| before.offer.prefix == prefix);
            before.is_some_and(|before| {
                let ((preferred, valid), (was_preferred, was_valid)) = (ends(grant), ends(before));
                is_later(was_preferred, preferred) || is_later(was_valid, valid)
            })
        };
        current.iter().any(is_shorter)
    }

    /// Drops promises that are over, and routes that have to be removed. Returns the prefixes of
    /// the former, and whether there were any of the latter.
    pub(in crate::core::delegate) fn expire(
        &mut self,
        now: Instant,
        grace: Duration,
    ) -> (Vec<Ipv6Net>, bool) {
        let mut unrouted = false;
        for promise in self.promised.values_mut().filter(|promise| promise.routed) {
            if promise.route_end(grace).is_some_and(|end| end <= now) {
                promise.routed = false;
                unrouted = true;
            }
        }
        let over = |promise: &Promise| promise.free_at(grace).is_over(now);
        let gone = self.promised.iter().filter(|(_, promise)| over(promise));
        let gone: Vec<Ipv6Net> = gone.map(|(prefix, _)| *prefix).collect();
        self.promised.retain(|_, promise| !over(promise));
        (gone, unrouted)
    }

    /// When the first of its deadlines passes.
    pub(in crate::core::delegate) fn wakes_at(&self, grace: Duration) -> Option<Instant> {
        let frees = self.promised.values().filter_map(|promise| promise.free_at(grace).at());
        let routed = self.promised.values().filter(|promise| promise.routed);
        let ends = routed.filter_map(|promise| promise.route_end(grace));
        frees.chain(ends).chain(self.push.and_then(|push| push.next_at)).min()
    }

    /// Whether a route ends with our own lease, before what its router was promised.
    pub(in crate::core::delegate) fn is_limited(&self) -> bool {
        self.current.iter().any(|grant| self.route_until(&grant.offer) == grant.offer.valid_until)
    }

    /// When the route to what is offered ends: with what its router was promised, which moves when
    /// that router renews and not when we do. Our own lease counts where it ends before that.
    fn route_until(&self, offer: &Offer) -> Until {
        let promise = self.promised.get(&offer.prefix);
        let last = || self.promised.values().max_by_key(|other| other.held_until);
        // A prefix that its router has not heard of yet ends with those that it holds.
        match promise.or_else(last) {
            Some(promise) if !is_later(promise.held_until, offer.valid_until) => promise.end(),
            Some(_) | None => offer.valid_until,
        }
    }

    /// Routes to the prefixes that it has been given and to those that it is to be given (DWN-03):
    /// the latter are routed before the router hears of them.
    pub(in crate::core::delegate) fn routes(
        &self,
        interface: IfIndex,
        grace: Duration,
    ) -> Vec<KernelRoute> {
        let target = RouteTarget::Gateway(interface, self.contact.next_hop);
        let route = |destination, until| KernelRoute { destination, target, metric: METRIC, until };
        let current = self
            .current
            .iter()
            .map(|grant| route(grant.offer.prefix, self.route_until(&grant.offer)));
        let retired = self.promised.iter().filter(|(prefix, promise)| {
            promise.routed && promise.retired_at.is_some() && !self.is_granted(prefix)
        });
        let retired = retired.map(|(prefix, promise)| {
            let end = promise.route_end(grace).map_or(Until::Never, Until::At);
            route(*prefix, promise.end().min(end))
        });
        // There are as many of these vectors as bindings: none has spare capacity.
        let mut routes = Vec::with_capacity(current.len() + retired.clone().count());
        routes.extend(current.chain(retired));
        routes
    }
}

/// Keeps the index of deadlines equal to what it is derived from.
pub(in crate::core::delegate) fn reindex(
    wake_ups: &mut BTreeSet<(Instant, BindingKey)>,
    grace: Duration,
    key: &BindingKey,
    binding: &mut Binding,
) {
    let at = binding.wakes_at(grace);
    let before = std::mem::replace(&mut binding.indexed_at, at);
    if before == at {
        return;
    }
    if let Some(before) = before {
        wake_ups.remove(&(before, key.clone()));
    }
    if let Some(at) = at {
        wake_ups.insert((at, key.clone()));
    }
}
