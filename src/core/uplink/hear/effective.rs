//! The union over routers: the effective state of the uplink, and how two of these states differ.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::host::REMEMBERED;
use super::prefix::Gone;
use super::room::Entry;
use super::{
    Announced, DefaultRouter, EffectivePrefix, Heard, Parameters, PrefixChange, PrefixChangeKind,
    RouterChange, Routers, SpecificRoute,
};
use crate::time::{Instant, Until};
use crate::wire::ndp_option::Preference;

/// The most resolvers, search domains and NAT64 prefixes of all routers that are passed on, of each
/// kind; those of the router of the lease come first.
const MAX_IN_USE: usize = 64;

/// A router, for status.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RouterView {
    /// Link-local address.
    pub address: Ipv6Addr,
    /// When its Router Lifetime ends.
    pub lifetime_until: Until,
    /// Default router preference.
    pub preference: Preference,
    /// M
    pub managed: bool,
    /// O
    pub other: bool,
    /// The prefixes that it advertises.
    pub prefixes: Vec<PrefixView>,
    /// DNS servers (RFC 8106 §5.1), each with its end.
    pub resolvers: Vec<(Ipv6Addr, Until)>,
    /// Search domains (RFC 8106 §5.2), each with its end.
    pub search: Vec<(String, Until)>,
}

/// A prefix of a router, for status.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PrefixView {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// On-link.
    pub on_link: bool,
    /// Addresses are formed.
    pub autonomous: bool,
    /// Preferred until.
    pub preferred_until: Until,
    /// Valid until.
    pub valid_until: Until,
    /// `preferred`, `deprecated`, `withdrawn`, `missing` or `suspect`.
    pub condition: &'static str,
}

/// The parts of the union whose difference is a change: without lifetimes, so that a refreshed
/// state equals itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Snapshot {
    prefixes: BTreeMap<Ipv6Net, Condition>,
    /// In their order, which makes their metrics.
    default_routers: Vec<(Ipv6Addr, Preference, bool)>,
    routes: BTreeSet<(Ipv6Net, Ipv6Addr, Preference)>,
    parameters: Parameters,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Condition {
    Preferred,
    Deprecated,
    Withdrawn,
    Missing,
    /// It ran out; if it is advertised again that is no news.
    Expired,
}

impl Snapshot {
    /// The state at `now`, without entries that have run out by then.
    pub(super) fn of(routers: &Routers, now: Instant) -> Self {
        Self::filtered(routers, Some(now))
    }

    /// The state as of the last look, to find the entries that have run out since.
    pub(super) fn of_live(routers: &Routers) -> Self {
        Self::filtered(routers, None)
    }

    fn filtered(routers: &Routers, now: Option<Instant>) -> Self {
        let at = now.unwrap_or(Instant::BOOT);
        let mut parameters = routers.parameters(at);
        let without_end = |until: &mut Until| *until = Until::Never;
        parameters.resolvers.iter_mut().for_each(|(_, until)| without_end(until));
        parameters.search.iter_mut().for_each(|(_, until)| without_end(until));
        parameters.pref64.iter_mut().for_each(|(_, until)| without_end(until));
        let defaults = routers.default_routers(at).into_iter();
        let routes = routers.routes(at).into_iter();
        Self {
            prefixes: routers
                .union(at)
                .into_iter()
                .map(|(prefix, records)| (prefix, condition(&records)))
                .collect(),
            default_routers: defaults
                .map(|router| (router.address, router.preference, router.silent))
                .collect(),
            routes: routes
                .map(|route| (route.destination, route.router, route.preference))
                .collect(),
            parameters,
        }
    }

    /// Adds the changes from this state to `after`.
    pub(super) fn compare(&self, after: &Self, heard: &mut Heard) {
        for (prefix, new) in &after.prefixes {
            if let Some(kind) = change(self.prefixes.get(prefix).copied(), Some(*new)) {
                heard.prefixes.push(PrefixChange { prefix: *prefix, kind });
            }
        }
        for (prefix, old) in &self.prefixes {
            if !after.prefixes.contains_key(prefix)
                && let Some(kind) = change(Some(*old), None)
            {
                heard.prefixes.push(PrefixChange { prefix: *prefix, kind });
            }
        }
        if self.default_routers != after.default_routers {
            heard.others = true;
            heard.routers.extend(self.router_changes(after));
        }
        heard.others |= self.routes != after.routes || self.parameters != after.parameters;
    }

    /// The default routers that appeared since, and those that are lost.
    fn router_changes(&self, after: &Self) -> Vec<RouterChange> {
        let addresses = |snapshot: &Self| -> BTreeSet<Ipv6Addr> {
            snapshot.default_routers.iter().map(|(address, ..)| *address).collect()
        };
        let (before, after) = (addresses(self), addresses(after));
        let change = |address: &Ipv6Addr| RouterChange {
            address: *address,
            is_default: after.contains(address),
        };
        before.symmetric_difference(&after).map(change).collect()
    }
}

/// The change of a prefix from one condition to another.
fn change(before: Option<Condition>, after: Option<Condition>) -> Option<PrefixChangeKind> {
    use Condition::{Deprecated, Expired, Missing, Preferred, Withdrawn};
    match (before, after) {
        (None, Some(Preferred | Deprecated)) => Some(PrefixChangeKind::Appeared),
        (Some(Preferred), Some(Deprecated)) => Some(PrefixChangeKind::Deprecated),
        (Some(Deprecated | Withdrawn | Missing), Some(Preferred)) => {
            Some(PrefixChangeKind::Restored)
        }
        (Some(Preferred | Deprecated), Some(Withdrawn)) => Some(PrefixChangeKind::Withdrawn),
        (Some(Preferred | Deprecated), Some(Missing)) => Some(PrefixChangeKind::Missing),
        (Some(Preferred | Deprecated), Some(Expired) | None) => Some(PrefixChangeKind::Expired),
        // A withdrawn prefix that is advertised as deprecated, or one that ends in a second way,
        // starts nothing.
        (Some(Withdrawn | Missing), Some(Deprecated | Withdrawn | Missing | Expired) | None)
        | (Some(Expired), _)
        | (Some(Preferred), Some(Preferred))
        | (Some(Deprecated), Some(Deprecated))
        | (None, Some(Withdrawn | Missing | Expired) | None) => None,
    }
}

fn condition(records: &[Announced]) -> Condition {
    let live = || records.iter().filter(|record| record.gone.is_none() && !record.expired);
    if live().any(|record| !record.deprecated) {
        Condition::Preferred
    } else if live().next().is_some() {
        Condition::Deprecated
    } else if let Some(gone) =
        records.iter().filter_map(|record| record.gone).max_by_key(|gone| gone.since())
    {
        match gone {
            Gone::Withdrawn(_) => Condition::Withdrawn,
            Gone::Missing(_) | Gone::Former(_) => Condition::Missing,
        }
    } else {
        Condition::Expired
    }
}

impl Routers {
    /// The records of each prefix that has not run out at `now`, or is known to have.
    fn union(&self, now: Instant) -> BTreeMap<Ipv6Net, Vec<Announced>> {
        let mut union: BTreeMap<Ipv6Net, Vec<Announced>> = BTreeMap::new();
        for (prefix, record) in self.routers.values().flat_map(|router| &router.prefixes) {
            if record.expired || !record.valid_until.is_over(now) {
                union.entry(*prefix).or_default().push(*record);
            }
        }
        union
    }

    /// The union of the prefixes, by prefix.
    pub fn prefixes(&self, now: Instant) -> Vec<EffectivePrefix> {
        let of_lease = self.lease_router.and_then(|router| self.routers.get(&router));
        let is_of_lease = |prefix: &Ipv6Net| {
            let record = of_lease.and_then(|router| router.prefixes.get(prefix));
            record.is_some_and(|record| !record.valid_until.is_over(now))
        };
        let union = self.union(now).into_iter();
        let prefixes = union.filter_map(|(prefix, records)| effective(now, prefix, &records));
        prefixes
            .map(|known| EffectivePrefix { of_lease: is_of_lease(&known.prefix), ..known })
            .collect()
    }

    /// Whether `prefix` was advertised since the last link event, and addresses in it are preferred.
    pub fn is_confirmed(&self, now: Instant, prefix: &Ipv6Net) -> bool {
        let records = self.routers.values().filter_map(|router| router.prefixes.get(prefix));
        records.into_iter().any(|record| {
            !record.unconfirmed && record.is_live(now) && !record.preferred_until.is_over(now)
        })
    }

    /// The default routers: those that answer, then the most preferred, then in the order of
    /// [`Routers::precedence`].
    pub fn default_routers(&self, now: Instant) -> Vec<DefaultRouter> {
        let routers = self.routers.iter().filter(|(_, router)| !router.default_until.is_over(now));
        let mut routers: Vec<DefaultRouter> = routers
            .map(|(address, router)| DefaultRouter {
                address: *address,
                preference: router.preference,
                until: router.default_until,
                silent: router.reach.is_silent(),
            })
            .collect();
        // Where none answers, none is better than another.
        let nobody = routers.iter().all(|router| router.silent);
        routers.iter_mut().for_each(|router| router.silent &= !nobody);
        routers.sort_by_key(|router| {
            let precedence = self.precedence(router.address);
            (router.silent, std::cmp::Reverse(router.preference), precedence)
        });
        routers
    }

    /// The order of routers that are equal otherwise: those heard since the last link event come
    /// first, then the one of the lease, then the one that was first heard. Any node on the link
    /// can advertise itself, under an address of its choice, and that alone moves no traffic.
    fn precedence(&self, address: Ipv6Addr) -> (bool, bool, Option<u64>, Ipv6Addr) {
        let router = self.routers.get(&address);
        let is_doubtful = router.is_some_and(|router| router.reach.is_doubtful());
        let since = router.map(|router| router.since);
        (is_doubtful, Some(address) != self.lease_router, since, address)
    }

    /// The loss of all default routers, with the interface.
    pub fn lost(&self, now: Instant) -> Vec<RouterChange> {
        let lost =
            |router: &DefaultRouter| RouterChange { address: router.address, is_default: false };
        self.default_routers(now).iter().map(lost).collect()
    }

    /// More specific routes, by destination, then in the order of [`Routers::precedence`].
    pub fn routes(&self, now: Instant) -> Vec<SpecificRoute> {
        let all = self.routers.iter().flat_map(|(router, facts)| {
            facts.routes.iter().map(move |(destination, route)| SpecificRoute {
                destination: *destination,
                router: *router,
                preference: route.preference,
                until: route.until,
            })
        });
        let mut routes: Vec<SpecificRoute> =
            all.filter(|route| !route.until.is_over(now)).collect();
        routes.sort_by_key(|route| (route.destination, self.precedence(route.router)));
        routes
    }

    /// All other parameters.
    pub fn parameters(&self, now: Instant) -> Parameters {
        let mut parameters = Parameters {
            managed: self.routers.values().any(|router| router.managed),
            other: self.routers.values().any(|router| router.other),
            mtu: self.mtu,
            hop_limit: self.hop_limit,
            ..Parameters::default()
        };
        let of_lease = self.lease_router.and_then(|router| self.routers.get(&router));
        let is_of_lease = |address: &Ipv6Addr| Some(*address) == self.lease_router;
        let others = self.routers.iter().filter(|(address, _)| !is_of_lease(address));
        for router in of_lease.into_iter().chain(others.map(|(_, router)| router)) {
            unite(&mut parameters.resolvers, &router.resolvers, now);
            unite(&mut parameters.search, &router.search, now);
            unite(&mut parameters.pref64, &router.pref64, now);
            let portal = router.captive_portal.iter().filter(|(_, until)| !until.is_over(now));
            let portal = portal.map(|(uri, _)| uri.clone()).next();
            parameters.captive_portal = parameters.captive_portal.take().or(portal);
        }
        parameters
    }

    /// DNS servers and search domains by router, those of the longest known routers first.
    pub fn resolvers_by_router(&self, now: Instant) -> Vec<(Ipv6Addr, Vec<Ipv6Addr>, Vec<String>)> {
        let mut routers: Vec<_> = self.routers.iter().collect();
        routers.sort_by_key(|(_, router)| router.since);
        let of_routers = routers.into_iter().map(|(address, router)| {
            (*address, live(&router.resolvers, now), live(&router.search, now))
        });
        of_routers.collect()
    }

    /// All routers with their prefixes and options.
    pub fn routers(&self, now: Instant) -> Vec<RouterView> {
        let view = |(prefix, record): (&Ipv6Net, &Announced)| PrefixView {
            prefix: *prefix,
            on_link: !record.on_link_until.is_over(now),
            autonomous: record.autonomous,
            preferred_until: record.preferred_until,
            valid_until: record.valid_until,
            condition: match record.gone {
                Some(Gone::Withdrawn(_)) => "withdrawn",
                Some(Gone::Missing(_) | Gone::Former(_)) => "missing",
                None if record.suspected => "suspect",
                None if record.preferred_until.is_over(now) => "deprecated",
                None => "preferred",
            },
        };
        let routers = self.routers.iter().filter(|(address, _)| **address != REMEMBERED);
        let routers = routers.map(|(address, router)| RouterView {
            address: *address,
            lifetime_until: router.default_until,
            preference: router.preference,
            managed: router.managed,
            other: router.other,
            prefixes: router
                .prefixes
                .iter()
                .filter(|(_, record)| !record.expired)
                .map(view)
                .collect(),
            resolvers: router.resolvers.iter().map(|entry| (entry.value, entry.until)).collect(),
            search: router.search.iter().map(|entry| (entry.value.clone(), entry.until)).collect(),
        });
        routers.collect()
    }
}

fn live<T: Clone>(entries: &[Entry<T>], now: Instant) -> Vec<T> {
    let live = entries.iter().filter(|entry| !entry.until.is_over(now));
    live.map(|entry| entry.value.clone()).collect()
}

/// Adds the entries of another router; of two equal entries the later end counts.
fn unite<T: Clone + PartialEq>(all: &mut Vec<(T, Until)>, more: &[Entry<T>], now: Instant) {
    for Entry { value, until, .. } in more.iter().filter(|entry| !entry.until.is_over(now)) {
        if let Some((_, end)) = all.iter_mut().find(|(known, _)| known == value) {
            *end = (*end).max(*until);
        } else if all.len() < MAX_IN_USE {
            all.push((value.clone(), *until));
        }
    }
}

/// The effective state of one prefix. Lifetimes are the last heard (RFC 4861 §6.3.4), but a router
/// that ends a prefix does not end it for the others (CHG-08).
fn effective(now: Instant, prefix: Ipv6Net, records: &[Announced]) -> Option<EffectivePrefix> {
    let live = || records.iter().filter(|record| record.is_live(now));
    let since = records.iter().map(|record| record.since).min().unwrap_or_default();
    let of_lease = false;
    let on_link = records.iter().any(|record| {
        !record.on_link_until.is_over(now) && (record.gone.is_none() || live().next().is_none())
    });
    let Some(newest) = live().max_by_key(|record| record.heard_at) else {
        let gone = records.iter().filter(|record| record.gone.is_some());
        let last = gone.max_by_key(|record| record.valid_until)?;
        return Some(EffectivePrefix {
            prefix,
            on_link,
            autonomous: last.autonomous,
            preferred_until: last.preferred_until,
            valid_until: last.valid_until,
            since,
            of_lease,
            gone_since: records.iter().filter_map(|record| record.gone).map(Gone::since).max(),
            is_former: records.iter().all(|record| matches!(record.gone, Some(Gone::Former(_)))),
        });
    };
    let preferred = live().filter(|record| !record.deprecated).max_by_key(|record| record.heard_at);
    Some(EffectivePrefix {
        prefix,
        on_link,
        autonomous: live().any(|record| record.autonomous),
        preferred_until: preferred.unwrap_or(newest).preferred_until,
        valid_until: newest.valid_until,
        since,
        of_lease,
        gone_since: None,
        is_former: false,
    })
}
