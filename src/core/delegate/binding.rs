//! A binding: what one IA_PD of one requesting router has been given, and has to be given next.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::offers::{Offer, Slot};
use super::push::Push;
use crate::config::Limits;
use crate::core::input::IfIndex;
use crate::core::rkap;
use crate::core::system::{KernelRoute, RouteTarget};
use crate::time::{Instant, Until};
use crate::wire::dhcpv6_option::{Duid, Iaid};
use crate::wire::dhcpv6_relay::{RelayMessage, Relayed};

/// Metric of a route to a delegation: behind a link of ours, before any learnt route.
const METRIC: u32 = 248;

/// Who was told that a prefix is gone counts as having heard so long after: a Reply that got lost
/// is asked for again within REN_TIMEOUT (RFC 9915 §7.6) and its tenth.
const HEARD_AFTER: Duration = Duration::from_secs(12);

/// Ends that differ by less are one: lifetimes are told in whole seconds.
const TOLERANCE: Duration = Duration::from_secs(2);

/// Whose binding it is (SRV-40).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct BindingKey {
    /// Where it asks.
    pub downlink: String,
    /// Who asks.
    pub duid: Duid,
    /// For which IA_PD.
    pub iaid: Iaid,
}

/// How a requesting router is reached.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Contact {
    /// Where packets for what it was given go (DWN-05).
    pub next_hop: Ipv6Addr,
    /// Where its messages come from, on its own link.
    pub peer: Ipv6Addr,
    /// The relay next to us, where there are any.
    pub relay: Option<Ipv6Addr>,
    /// What the relays said, next to us first, each encoded without what it relayed: an answer has
    /// to say it again (RLY-30).
    pub levels: Vec<Vec<u8>>,
}

impl Contact {
    /// `answer` as it leaves: wrapped for the relays between.
    pub(super) fn wrap(&self, answer: Vec<u8>) -> Vec<u8> {
        if self.levels.is_empty() {
            return answer;
        }
        let levels = self.levels.iter().filter_map(|level| RelayMessage::decode(level).ok());
        Relayed { levels: levels.collect(), octets: Vec::new() }.wrap(&answer)
    }
}

/// A prefix that the requesting router may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Promise {
    /// Preferred until, as last told.
    pub preferred_until: Until,
    /// Valid until, as last told.
    pub valid_until: Until,
    /// It may hold it until then: the longest that it was told.
    pub held_until: Until,
    /// Since when it is not its any more.
    pub retired_at: Option<Instant>,
    /// When it was told so.
    pub told_at: Option<Instant>,
}

/// A binding.
#[derive(Clone, PartialEq, Debug)]
pub struct Binding {
    pub(super) slots: Vec<Slot>,
    pub(super) contact: Contact,
    /// What it has to be given: derived from slots and offers.
    pub(super) current: BTreeMap<Ipv6Net, Due>,
    /// What it may hold.
    pub(super) promised: BTreeMap<Ipv6Net, Promise>,
    pub(super) reconfigure_key: Option<rkap::Key>,
    pub(super) push: Option<Push>,
    /// What is due that another router may still hold (SRV-57).
    pub(super) blocked: bool,
}

/// An offer with the caps of what is given of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Due {
    pub(super) offer: Offer,
    pub(super) limits: Limits,
}

/// A binding as it is kept (STO-04).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StoredBinding {
    /// What it stands for.
    pub slots: Vec<Slot>,
    /// How the requesting router is reached.
    pub contact: Contact,
    /// What it may hold.
    pub promised: Vec<(Ipv6Net, Promise)>,
    /// Key for Reconfigure.
    pub reconfigure_key: Option<rkap::Key>,
}

impl Promise {
    /// Moves its instants to another clock.
    pub(crate) fn shift(&mut self, shift: &impl Fn(&mut Until)) {
        shift(&mut self.preferred_until);
        shift(&mut self.valid_until);
        shift(&mut self.held_until);
        for at in [&mut self.retired_at, &mut self.told_at].into_iter().flatten() {
            let mut until = Until::At(*at);
            shift(&mut until);
            *at = until.at().unwrap_or(*at);
        }
    }

    /// When the prefix can be given to another, and its route goes: when its holder knows and the
    /// grace time is over, at the latest when it has run out (SRV-57, DWN-06).
    fn free_at(&self, grace: Duration) -> Until {
        match (self.told_at, self.retired_at) {
            (Some(told), Some(retired)) => {
                self.held_until.min(Until::At((told + HEARD_AFTER).max(retired + grace)))
            }
            (None | Some(_), _) => self.held_until,
        }
    }
}

impl Binding {
    pub(super) const fn new(slots: Vec<Slot>, contact: Contact) -> Self {
        Self {
            slots,
            contact,
            current: BTreeMap::new(),
            promised: BTreeMap::new(),
            reconfigure_key: None,
            push: None,
            blocked: false,
        }
    }

    pub(super) fn restored(stored: &StoredBinding) -> Self {
        Self {
            promised: stored.promised.iter().copied().collect(),
            reconfigure_key: stored.reconfigure_key,
            ..Self::new(stored.slots.clone(), stored.contact.clone())
        }
    }

    pub(super) fn stored(&self) -> StoredBinding {
        StoredBinding {
            slots: self.slots.clone(),
            contact: self.contact.clone(),
            promised: self.promised.iter().map(|(prefix, promise)| (*prefix, *promise)).collect(),
            reconfigure_key: self.reconfigure_key,
        }
    }

    /// Promises a prefix that is due: what was told before holds to its end all the same, as the
    /// answer may get lost.
    pub(super) fn promise(&mut self, prefix: Ipv6Net, preferred_until: Until, valid_until: Until) {
        let before = self.promised.get(&prefix).map(|promise| promise.held_until);
        let held_until = before.map_or(valid_until, |before| before.max(valid_until));
        let (retired_at, told_at) = (None, None);
        let promise = Promise { preferred_until, valid_until, held_until, retired_at, told_at };
        self.promised.insert(prefix, promise);
    }

    /// Takes over what is due; what is not due any more retires.
    pub(super) fn set_current(&mut self, now: Instant, current: BTreeMap<Ipv6Net, Due>) {
        self.current = current;
        for (prefix, promise) in &mut self.promised {
            if self.current.contains_key(prefix) {
                (promise.retired_at, promise.told_at) = (None, None);
            } else {
                promise.retired_at.get_or_insert(now);
            }
        }
    }

    /// Whether the requesting router holds something else than what is due, or for longer than we
    /// do: it has to be called (SRV-50).
    pub(super) fn is_stale(&self) -> bool {
        let later = |a: Until, b: Until| match (a, b) {
            (Until::At(a), Until::At(b)) => a.since(b) > TOLERANCE,
            (Until::Never, Until::At(_)) => true,
            (Until::At(_) | Until::Never, Until::Never) => false,
        };
        let wrong = |(prefix, due): (&Ipv6Net, &Due)| {
            self.promised.get(prefix).is_none_or(|promise| {
                later(promise.preferred_until, due.offer.preferred_until)
                    || later(promise.valid_until, due.offer.valid_until)
            })
        };
        let untold = |(prefix, promise): (&Ipv6Net, &Promise)| {
            !self.current.contains_key(prefix) && promise.told_at.is_none()
        };
        self.current.iter().any(wrong) || self.promised.iter().any(untold)
    }

    /// Forgets promises that are over; their prefixes.
    pub(super) fn expire(&mut self, now: Instant, grace: Duration) -> Vec<Ipv6Net> {
        let over = |promise: &Promise| promise.free_at(grace).is_over(now);
        let gone: Vec<Ipv6Net> = self
            .promised
            .iter()
            .filter(|(_, promise)| over(promise))
            .map(|(prefix, _)| *prefix)
            .collect();
        self.promised.retain(|_, promise| !over(promise));
        gone
    }

    /// When something of it is due.
    pub(super) fn due_at(&self, grace: Duration) -> Option<Instant> {
        let frees = self.promised.values().filter_map(|promise| promise.free_at(grace).at());
        frees.chain(self.push.map(|push| push.next_at)).min()
    }

    /// Routes to what it has been given, and is due (DWN-03): the latter before it hears of it.
    pub(super) fn routes(&self, interface: IfIndex, grace: Duration) -> Vec<KernelRoute> {
        let target = RouteTarget::Gateway(interface, self.contact.next_hop);
        let route = |destination, until| KernelRoute { destination, target, metric: METRIC, until };
        let current =
            self.current.iter().map(|(prefix, due)| route(*prefix, due.offer.valid_until));
        let retired = self.promised.iter().filter_map(|(prefix, promise)| {
            let until = promise.held_until.min(Until::At(promise.retired_at? + grace));
            let is_current = self.current.contains_key(prefix);
            (!is_current).then(|| route(*prefix, promise.free_at(grace).min(until)))
        });
        current.chain(retired).collect()
    }
}
