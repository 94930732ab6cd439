//! Routers on an uplink, each with its advertised state, and the changes of the union over them.
//!
//! State is kept per router (CHG-07). The effective state is the union over routers, and only a
//! change of the union is a change. Omission alone withdraws nothing (RA-RX-41); a prefix that a
//! router omits while it advertises another one is verified by a unicast solicitation (CHG-14).

mod effective;
mod host;
mod prefix;
mod reach;
mod repeat;
mod room;
mod router;
#[cfg(test)]
mod tests;
mod types;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use self::effective::Snapshot;
pub use self::effective::{PrefixView, RouterView};
pub use self::host::{FormedIn, StalePrefix};
use self::prefix::Announced;
use self::reach::Reach;
use self::room::{Standing, least_useful};
use self::router::{Arrival, Router};
pub use self::types::{
    DefaultRouter, EffectivePrefix, Parameters, PrefixChange, PrefixChangeKind, Reject,
    RouterChange, SpecificRoute,
};
use self::verify::{Scope, Suspicion, Suspicions};
use crate::time::{Deadline, Instant};
use crate::wire::ndp::RouterAdvertisement;
use crate::wire::ndp_option::NdpOption;

/// Routers kept for one uplink (RA-RX-69).
const MAX_ROUTERS: usize = 16;
/// The smallest MTU of a link (RFC 8200 §5).
const MIN_MTU: u32 = 1280;
/// A Cur Hop Limit below this is not used (RA-RX-26): packets would not reach most of the Internet,
/// and any node on the link can send it.
const MIN_HOP_LIMIT: u8 = 32;

/// The rules for one uplink.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Believe only these routers; empty for all.
    pub routers: Vec<Ipv6Addr>,
    /// Verify omitted prefixes.
    pub verify_omission: bool,
}

/// How many other nodes can be on a link.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Peers {
    /// The other end of a point-to-point link.
    One,
    /// Any number.
    Many,
}

/// The routers of one uplink.
#[derive(Clone, Debug)]
pub struct Routers {
    rules: Rules,
    routers: BTreeMap<Ipv6Addr, Router>,
    suspicions: Suspicions,
    /// How many advertisements were believed.
    count: u64,
    /// The router that the lease came from.
    lease_router: Option<Ipv6Addr>,
    /// The kind of link, after a link event that has made all earlier advertisements doubtful.
    doubt: Option<Peers>,
    mtu: Option<u32>,
    hop_limit: Option<u8>,
}

/// The changes that an advertisement, or the passing of time, brought.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Heard {
    /// On-link or autonomous prefixes whose effective state changed.
    pub prefixes: Vec<PrefixChange>,
    /// Another effective fact changed: default routers, routes, resolvers, flags, MTU.
    pub others: bool,
    /// Lifetimes moved, which is no change: by then the desired state has to follow.
    pub refresh_by: Option<Instant>,
    /// An advertisement after a link event brought prefixes, none of them known before it.
    pub none_confirmed: bool,
    /// This router was found to have returned to prefixes that it had omitted for others, and no
    /// other change has shown that.
    pub went_back: Option<Ipv6Addr>,
    /// Default routers that appeared or are lost.
    pub routers: Vec<RouterChange>,
}

impl Routers {
    /// No advertisement has been heard yet.
    pub const fn new(rules: Rules) -> Self {
        Self {
            rules,
            routers: BTreeMap::new(),
            suspicions: Suspicions::new(),
            count: 0,
            lease_router: None,
            doubt: None,
            mtu: None,
            hop_limit: None,
        }
    }

    /// How many advertisements were believed.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// Takes in a valid advertisement from `source`, `to_us` where it came to this machine alone;
    /// `link_mtu` is the device's.
    ///
    /// # Errors
    ///
    /// [`Reject`] when it is not to be believed; nothing changes then.
    pub fn handle_advertisement(
        &mut self,
        now: Instant,
        source: Ipv6Addr,
        advertisement: &RouterAdvertisement,
        to_us: bool,
        link_mtu: u32,
    ) -> Result<Heard, Reject> {
        if !self.rules.routers.is_empty() && !self.rules.routers.contains(&source) {
            return Err(Reject::Unlisted);
        }
        if let Some(heard) = self.take_in_again(now, source, advertisement, link_mtu) {
            return Ok(heard);
        }
        let before = Snapshot::of(self, now);
        self.make_room(now, source);
        self.count += 1;
        let mut heard = Heard { refresh_by: Some(now + repeat::SOONEST), ..Heard::default() };
        self.single_values(advertisement, link_mtu);
        let carried: BTreeSet<Ipv6Net> = router::carried(advertisement).collect();
        let current = self.count;
        let router = self.routers.entry(source).or_insert_with(|| Router::new(now, current));
        let was_default = !router.default_until.is_over(now);
        let arrival = router.arrival(now, &carried);
        let omitted: Vec<Ipv6Net> = router.omitted(now, advertisement);
        router.take_in(now, current, advertisement);
        router.last = Some(advertisement.clone());
        let is_default = !router.default_until.is_over(now);
        if is_default && !was_default {
            self.check_others(now, source);
        }
        self.settle_doubt(now, source, &carried, &mut heard);
        self.forget_remembered(advertisement);
        let confirmed = self.suspicions.heard(now, source, &carried, to_us);
        if let Some(router) = self.routers.get_mut(&source) {
            router.take_evidence(now, confirmed, carried.len() > 1 && omitted.is_empty());
            if self.rules.verify_omission
                && let Some(pause) = router.pause_before_asking(now, arrival)
            {
                let suspicion =
                    Suspicion::new(Scope::Router, arrival == Arrival::Returned, now + pause);
                self.suspect(source, omitted, suspicion);
            }
        }
        self.drop_suspicions_of_nothing();
        let after = Snapshot::of(self, now);
        before.compare(&after, &mut heard);
        if !heard.prefixes.is_empty() {
            self.forget_expired(&carried);
        }
        Ok(heard)
    }

    /// Ends what has run out, and gives the verdicts whose time has come.
    pub fn handle_timeout(&mut self, now: Instant) -> Heard {
        let mut heard = Heard::default();
        if self.deadline(false).is_none_or(|deadline| deadline.at > now) {
            return heard;
        }
        let before = Snapshot::of_live(self);
        for router in self.routers.values_mut() {
            router.expire(now);
        }
        self.check_overdue(now);
        self.routers.values_mut().for_each(|router| router.reach.judge(now));
        for (router, prefix, suspicion) in self.suspicions.take_over(now) {
            let missed = self.judge(now, router, prefix, suspicion.scope);
            if missed && suspicion.is_news {
                heard.went_back = Some(router);
            }
        }
        self.routers.retain(|_, router| !router.is_spent(now));
        let after = Snapshot::of_live(self);
        before.compare(&after, &mut heard);
        heard.refresh_by = Some(now);
        heard
    }

    /// Handles an advertisement that equals its router's last one; the cost is that of reading it.
    fn take_in_again(
        &mut self,
        now: Instant,
        source: Ipv6Addr,
        advertisement: &RouterAdvertisement,
        link_mtu: u32,
    ) -> Option<Heard> {
        let quiet = self.doubt.is_none() && self.suspicions.is_empty();
        let router = self.routers.get_mut(&source).filter(|_| quiet)?;
        if !router.repeats(now, advertisement) {
            return None;
        }
        self.count += 1;
        let refresh_by = Some(router.take_in_again(now, self.count, advertisement));
        let before = (self.mtu, self.hop_limit);
        self.single_values(advertisement, link_mtu);
        let others = before != (self.mtu, self.hop_limit);
        Some(Heard { others, refresh_by, ..Heard::default() })
    }

    /// The link went down and came back, or a program reports a new connection (UPL-11): prefixes
    /// heard before are unconfirmed. When the first advertisement after it has prefixes, those that
    /// it does not confirm are verified like omitted ones, although no second prefix has appeared;
    /// on a point-to-point link they are missing at once.
    pub fn handle_link_event(&mut self, now: Instant, point_to_point: bool) {
        let live = self.routers.values().flat_map(|router| router.prefixes.values());
        self.doubt = live
            .into_iter()
            .any(|prefix| prefix.is_live(now))
            .then_some(if point_to_point { Peers::One } else { Peers::Many });
        self.suspicions.clear();
        self.routers.values_mut().for_each(|router| router.reach = Reach::doubtful());
        for prefix in self.routers.values_mut().flat_map(|router| router.prefixes.values_mut()) {
            prefix.unconfirmed = true;
            prefix.suspected = false;
            if point_to_point {
                prefix.leave_behind(now);
            }
        }
    }

    /// Sets the router that the lease came from: its state is kept before that of all others.
    pub const fn set_lease_router(&mut self, router: Ipv6Addr) {
        self.lease_router = Some(router);
    }

    /// A router that has to be solicited by unicast: about a prefix that it omitted (CHG-14), or
    /// because it is silent (UPL-21).
    pub fn poll_solicitation(&mut self, now: Instant) -> Option<Ipv6Addr> {
        self.suspicions.ask(now).or_else(|| {
            let mut routers = self.routers.iter_mut();
            routers.find_map(|(address, router)| router.reach.ask(now).then_some(*address))
        })
    }

    /// A solicitation of one router could not be sent.
    pub fn handle_dropped(&mut self, now: Instant, router: Ipv6Addr) {
        self.suspicions.handle_dropped(now, router);
        if let Some(router) = self.routers.get_mut(&router) {
            router.reach.handle_dropped(now);
        }
    }

    /// When an entry runs out or a verdict has to be given, which
    /// [`handle_timeout`](Self::handle_timeout) does; with `can_send` also when a solicitation has
    /// to leave, which [`poll_solicitation`](Self::poll_solicitation) gives.
    pub fn deadline(&self, can_send: bool) -> Option<Deadline> {
        let end = self.routers.values().filter_map(Router::next_end).min();
        let end = end.map(|at| Deadline::new(at, "end of something advertised"));
        let overdue = self.overdue().map(|(_, at)| at).min();
        let overdue = overdue.map(|at| Deadline::new(at, "silence of a default router"));
        let reach = self.routers.values().map(|router| router.reach.deadline(can_send));
        Deadline::first(reach.chain([end, overdue, self.suspicions.deadline(can_send)]))
    }

    /// The default routers, where there are several, each with the time at which it will have
    /// missed its interval.
    fn overdue(&self) -> impl Iterator<Item = (Ipv6Addr, Instant)> {
        let defaults = || self.routers.iter().filter(|(_, router)| router.is_default());
        let several = defaults().nth(1).is_some();
        let routers = defaults().filter(move |_| several);
        routers.filter_map(|(address, router)| Some((*address, router.overdue_at()?)))
    }

    fn check_overdue(&mut self, now: Instant) {
        let overdue: Vec<Ipv6Addr> =
            self.overdue().filter(|(_, at)| *at <= now).map(|(address, _)| address).collect();
        for address in overdue {
            if let Some(router) = self.routers.get_mut(&address) {
                router.reach.check(now, router.heard_at);
            }
        }
    }

    /// A router beside those that are known may have taken the place of one.
    fn check_others(&mut self, now: Instant, source: Ipv6Addr) {
        for (_, router) in self.routers.iter_mut().filter(|(address, _)| **address != source) {
            if !router.default_until.is_over(now) {
                router.reach.check(now, router.heard_at);
            }
        }
    }

    /// Makes room for `source`, if it is another router; see [`room`].
    fn make_room(&mut self, now: Instant, source: Ipv6Addr) {
        if self.routers.contains_key(&source) || self.routers.len() < MAX_ROUTERS {
            return;
        }
        let in_use = self.default_routers(now).first().map(|router| router.address);
        let entries = self.routers.iter().map(|(address, router)| {
            let Router { since, heard, .. } = *router;
            (*address, Standing { holds: !router.is_idle(now), since, heard })
        });
        let entries = entries
            .filter(|(address, _)| Some(*address) != in_use && Some(*address) != self.lease_router);
        if let Some(leaving) = least_useful(entries, self.count + 1) {
            self.routers.remove(&leaving);
        }
    }

    /// Drops the suspicions about prefixes that are not kept any more.
    fn drop_suspicions_of_nothing(&mut self) {
        if self.suspicions.is_empty() {
            return;
        }
        let routers = &self.routers;
        self.suspicions.retain(|source, prefix, scope| match scope {
            Scope::Router => {
                routers.get(&source).is_some_and(|router| router.prefixes.contains_key(prefix))
            }
            Scope::Link => {
                routers.contains_key(&source)
                    && routers.values().any(|router| router.prefixes.contains_key(prefix))
            }
        });
    }

    /// Of parameters with a single value the newest counts; zero is "unspecified" (RA-RX-25, -43,
    /// -44).
    fn single_values(&mut self, advertisement: &RouterAdvertisement, link_mtu: u32) {
        if advertisement.hop_limit >= MIN_HOP_LIMIT {
            self.hop_limit = Some(advertisement.hop_limit);
        }
        for option in &advertisement.options {
            if let NdpOption::Mtu(mtu) = option
                && (MIN_MTU..=link_mtu).contains(mtu)
            {
                self.mtu = Some(*mtu);
            }
        }
    }

    /// The first prefixes after a link event end the doubt.
    fn settle_doubt(
        &mut self,
        now: Instant,
        source: Ipv6Addr,
        carried: &BTreeSet<Ipv6Net>,
        heard: &mut Heard,
    ) {
        if carried.is_empty() {
            return;
        }
        let Some(peers) = self.doubt.take() else { return };
        let mut confirmed = false;
        let mut doubtful = BTreeSet::new();
        for router in self.routers.values_mut() {
            for (prefix, announced) in &mut router.prefixes {
                if carried.contains(prefix) {
                    confirmed |= announced.unconfirmed || announced.was_unconfirmed;
                } else if announced.unconfirmed && announced.is_live(now) {
                    doubtful.insert(*prefix);
                }
                announced.was_unconfirmed = false;
                if carried.contains(prefix) {
                    announced.unconfirmed = false;
                }
            }
        }
        heard.none_confirmed = !confirmed;
        if peers == Peers::One {
            let routers = self.routers.values_mut().flat_map(|router| &mut router.prefixes);
            let former = routers
                .filter(|(prefix, announced)| doubtful.contains(*prefix) && announced.unconfirmed);
            former.for_each(|(_, announced)| announced.outlive(now));
        } else if self.rules.verify_omission {
            self.ask_former(now, source, &doubtful);
            self.suspect(source, doubtful, Suspicion::new(Scope::Link, false, now));
        }
    }

    /// Solicits the routers that have advertised the doubtful prefixes: one that is still there
    /// confirms them before the verdict, whichever other router was heard first.
    fn ask_former(&mut self, now: Instant, source: Ipv6Addr, doubtful: &BTreeSet<Ipv6Net>) {
        let others = self
            .routers
            .iter_mut()
            .filter(|(address, _)| **address != source && **address != host::REMEMBERED);
        for (_, router) in others {
            if router.prefixes.keys().any(|prefix| doubtful.contains(prefix)) {
                router.reach.check_at_once(now);
            }
        }
    }

    /// Suspects those of `prefixes` that were not suspected since they were last heard.
    fn suspect(
        &mut self,
        source: Ipv6Addr,
        prefixes: impl IntoIterator<Item = Ipv6Net>,
        suspicion: Suspicion,
    ) {
        for prefix in prefixes {
            let mut is_new = false;
            for announced in in_scope(&mut self.routers, source, prefix, suspicion.scope) {
                is_new |= !std::mem::replace(&mut announced.suspected, true);
            }
            if is_new {
                self.suspicions.add(source, prefix, suspicion);
            }
        }
    }

    /// Finds a prefix missing; returns whether it was there.
    fn judge(&mut self, now: Instant, source: Ipv6Addr, prefix: Ipv6Net, scope: Scope) -> bool {
        let mut missed = false;
        for announced in in_scope(&mut self.routers, source, prefix, scope) {
            if scope == Scope::Router || announced.unconfirmed {
                missed |= announced.is_live(now);
                announced.miss(now);
            }
        }
        missed
    }

    /// An expired prefix that is advertised again is no change in itself; after another change it
    /// is one.
    fn forget_expired(&mut self, carried: &BTreeSet<Ipv6Net>) {
        for router in self.routers.values_mut() {
            router
                .prefixes
                .retain(|prefix, announced| !announced.expired || carried.contains(prefix));
        }
    }
}

/// The records of `prefix` that a suspicion against `source` is about.
fn in_scope(
    routers: &mut BTreeMap<Ipv6Addr, Router>,
    source: Ipv6Addr,
    prefix: Ipv6Net,
    scope: Scope,
) -> impl Iterator<Item = &mut Announced> {
    let routers = routers.iter_mut().filter(move |(of, _)| scope == Scope::Link || **of == source);
    routers.filter_map(move |(_, router)| router.prefixes.get_mut(&prefix))
}
