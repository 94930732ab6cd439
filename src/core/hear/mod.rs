//! Routers on an uplink, each with what it advertises; what really changed.
//!
//! State is kept per router (CHG-07). The effective state is the union over routers, and only a
//! change of the union is a change. Omission alone withdraws nothing (RA-RX-41); a prefix that a
//! router omits while it brings another one is verified by a unicast solicitation (CHG-14).

mod effective;
mod router;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use self::effective::Snapshot;
pub use self::effective::{PrefixView, RouterView};
use self::router::{Announced, Router};
use self::verify::{Scope, Verification};
use crate::time::{Deadline, Instant, Until};
use crate::wire::ndp::RouterAdvertisement;
use crate::wire::ndp_option::{NdpOption, Preference};

/// Routers kept for one uplink (RA-RX-69).
const MAX_ROUTERS: usize = 16;
/// The smallest MTU of a link (RFC 8200 §5).
const MIN_MTU: u32 = 1280;
/// A router that so often advertised again what was found missing splits its options over
/// advertisements: its omissions say nothing.
const REFUTED_ENOUGH: u32 = 2;

/// How one uplink hears.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Believe only these routers; empty for all.
    pub routers: Vec<Ipv6Addr>,
    /// Verify omitted prefixes.
    pub verify_omission: bool,
}

/// The routers of one uplink.
#[derive(Clone, Debug)]
pub struct Routers {
    rules: Rules,
    routers: BTreeMap<Ipv6Addr, Router>,
    verifications: BTreeMap<Ipv6Addr, Verification>,
    /// A link event has made what was heard before doubtful; whether the link has one peer only.
    doubt: Option<bool>,
    mtu: Option<u32>,
    hop_limit: Option<u8>,
}

/// What an advertisement, or the passing of time, changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Heard {
    /// On-link or autonomous prefixes whose effective state changed.
    pub prefixes: Vec<PrefixChange>,
    /// Another effective fact changed: default routers, routes, resolvers, flags, MTU.
    pub others: bool,
    /// Lifetimes moved: the desired state has to be derived anew, but nothing is a change.
    pub refreshed: bool,
    /// An advertisement after a link event brought prefixes, none of them known before it.
    pub none_confirmed: bool,
}

/// A change of the union over routers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PrefixChange {
    /// Of this prefix.
    pub prefix: Ipv6Net,
    /// What happened to it.
    pub kind: PrefixChangeKind,
}

/// What can happen to an on-link or autonomous prefix.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum PrefixChangeKind {
    /// Not known before.
    Appeared,
    /// Preferred lifetime 0.
    Deprecated,
    /// Preferred again.
    Restored,
    /// Valid lifetime 0.
    Withdrawn,
    /// No longer advertised after asking (CHG-14).
    Missing,
    /// Ran out by itself.
    Expired,
}

/// A prefix as the union of the routers has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EffectivePrefix {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// Some router says that it is on-link, and it is still so.
    pub on_link: bool,
    /// Addresses may be formed from it.
    pub autonomous: bool,
    /// Preferred until; in the past or now when deprecated, withdrawn or missing.
    pub preferred_until: Until,
    /// Valid until, by the two-hour rule (RFC 4862 §5.5.3 e).
    pub valid_until: Until,
    /// When every router that advertised it had withdrawn it, or it was found missing; what is
    /// made from it can leave after the grace time once something else is in its place.
    pub gone_since: Option<Instant>,
}

/// A default router.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DefaultRouter {
    /// Its link-local address.
    pub address: Ipv6Addr,
    /// How much it is preferred; a route information option for `::/0` overrides the header.
    pub preference: Preference,
    /// Until when.
    pub until: Until,
}

/// A more specific route (RFC 4191).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct SpecificRoute {
    /// Destination; never `::/0`.
    pub destination: Ipv6Net,
    /// Through this router.
    pub router: Ipv6Addr,
    /// How much it is preferred.
    pub preference: Preference,
    /// Until when.
    pub until: Until,
}

/// Single-valued facts and lists for those who want them, the newest of each.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Parameters {
    /// Some router's M flag.
    pub managed: bool,
    /// Some router's O flag.
    pub other: bool,
    /// IPv6 MTU, when in 1280..=device MTU.
    pub mtu: Option<u32>,
    /// Cur Hop Limit, when said.
    pub hop_limit: Option<u8>,
    /// DNS servers, each with its end, in the order heard.
    pub resolvers: Vec<(Ipv6Addr, Until)>,
    /// Search domains, each with its end.
    pub search: Vec<(String, Until)>,
    /// NAT64 prefixes, each with its end.
    pub pref64: Vec<(Ipv6Net, Until)>,
    /// Captive portal URI.
    pub captive_portal: Option<String>,
}

/// Why an advertisement that decodes is not believed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Reject {
    /// Not in the list of believed routers (SEC-04).
    Unlisted,
    /// There are too many routers already (RA-RX-69).
    TooManyRouters,
}

impl Reject {
    /// A short stable name, used as the label of a counter.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unlisted => "unlisted-router",
            Self::TooManyRouters => "too-many-routers",
        }
    }
}

impl Routers {
    /// Nothing heard yet.
    pub const fn new(rules: Rules) -> Self {
        Self {
            rules,
            routers: BTreeMap::new(),
            verifications: BTreeMap::new(),
            doubt: None,
            mtu: None,
            hop_limit: None,
        }
    }

    /// Takes in a valid advertisement from `source`; `link_mtu` is the device's.
    ///
    /// # Errors
    ///
    /// [`Reject`] when it is not to be believed; nothing changes then.
    pub fn handle_advertisement(
        &mut self,
        now: Instant,
        source: Ipv6Addr,
        advertisement: &RouterAdvertisement,
        link_mtu: u32,
    ) -> Result<Heard, Reject> {
        if !self.rules.routers.is_empty() && !self.rules.routers.contains(&source) {
            return Err(Reject::Unlisted);
        }
        self.make_room(now, source)?;
        let before = Snapshot::of(self, now);
        let mut heard = Heard { refreshed: true, ..Heard::default() };
        self.single_values(advertisement, link_mtu);
        let carried: BTreeSet<Ipv6Net> = advertisement
            .prefixes()
            .filter(|pio| !pio.valid.is_zero())
            .map(|pio| pio.prefix)
            .collect();
        let router = self.routers.entry(source).or_insert_with(|| Router::new(now));
        let fresh = carried.iter().any(|prefix| router.is_new(now, *prefix));
        let omitted: Vec<Ipv6Net> = router.omitted(now, advertisement);
        router.take_in(now, advertisement);
        self.settle_doubt(now, source, &carried, &mut heard);
        if let Some(verification) = self.verifications.get_mut(&source) {
            verification.heard(now, &carried);
        }
        self.verifications.retain(|_, verification| !verification.is_empty());
        let splits = self.routers.get(&source).is_some_and(|router| router.refuted >= REFUTED_ENOUGH);
        if self.rules.verify_omission && fresh && !splits {
            let suspects = omitted.into_iter().map(|prefix| (prefix, Scope::Router));
            self.suspect(now, source, suspects);
        }
        let after = Snapshot::of(self, now);
        before.compare(&after, &mut heard);
        if !heard.prefixes.is_empty() {
            self.forget_expired(&carried);
        }
        Ok(heard)
    }

    /// Lets what has run out run out, and gives verdicts that are due.
    pub fn handle_timeout(&mut self, now: Instant) -> Heard {
        let mut heard = Heard::default();
        if self.deadline().is_none_or(|deadline| deadline.at > now) {
            return heard;
        }
        let before = Snapshot::of_live(self);
        for router in self.routers.values_mut() {
            router.expire(now);
        }
        let due: Vec<Ipv6Addr> = self
            .verifications
            .iter()
            .filter(|(_, verification)| verification.verdict_due(now))
            .map(|(source, _)| *source)
            .collect();
        for source in due {
            if let Some(verification) = self.verifications.remove(&source) {
                self.judge(now, source, &verification);
            }
        }
        self.routers.retain(|_, router| !router.is_spent(now));
        let after = Snapshot::of_live(self);
        before.compare(&after, &mut heard);
        heard.refreshed = true;
        heard
    }

    /// The link went down and came back, or a program says that it connected anew (UPL-11):
    /// prefixes heard before are unconfirmed. When the first advertisement after it brings
    /// prefixes, those that it does not confirm are verified like omitted ones, without a second
    /// prefix having to appear; on a point-to-point link they are missing at once.
    pub fn handle_link_event(&mut self, now: Instant, point_to_point: bool) {
        let live = self.routers.values().flat_map(|router| router.prefixes.values());
        self.doubt = live.into_iter().any(|prefix| prefix.is_live(now)).then_some(point_to_point);
        self.verifications.clear();
        for prefix in self.routers.values_mut().flat_map(|router| router.prefixes.values_mut()) {
            prefix.unconfirmed = true;
            prefix.suspected = false;
        }
    }

    /// A router that has to be asked by a unicast solicitation (CHG-14).
    pub fn poll_solicitation(&mut self, now: Instant) -> Option<Ipv6Addr> {
        let mut verifications = self.verifications.iter_mut();
        verifications.find_map(|(source, verification)| verification.ask(now).then_some(*source))
    }

    /// When something runs out, or a verdict or a solicitation is due.
    pub fn deadline(&self) -> Option<Deadline> {
        let ends = self.routers.values().filter_map(Router::next_end).min();
        let verifications = self.verifications.values().map(Verification::deadline);
        let end = ends.map(|at| Deadline::new(at, "end of something advertised"));
        Deadline::first(verifications.chain([end]))
    }

    fn make_room(&mut self, now: Instant, source: Ipv6Addr) -> Result<(), Reject> {
        if self.routers.contains_key(&source) || self.routers.len() < MAX_ROUTERS {
            return Ok(());
        }
        let idle = self.routers.iter().find(|(_, router)| router.is_idle(now));
        let idle = *idle.ok_or(Reject::TooManyRouters)?.0;
        self.routers.remove(&idle);
        self.verifications.remove(&idle);
        Ok(())
    }

    /// The newest of what has one value wins; zero is "not said" (RA-RX-25, -43, -44).
    fn single_values(&mut self, advertisement: &RouterAdvertisement, link_mtu: u32) {
        if advertisement.hop_limit > 0 {
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

    /// The first prefixes after a link event settle what is in doubt.
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
        let Some(point_to_point) = self.doubt.take() else { return };
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
        let suspects = doubtful.into_iter().map(|prefix| (prefix, Scope::Link));
        if point_to_point {
            let verification = Verification::new(now, suspects);
            self.judge(now, source, &verification);
        } else if self.rules.verify_omission {
            self.suspect(now, source, suspects);
        }
    }

    fn suspect(
        &mut self,
        now: Instant,
        source: Ipv6Addr,
        suspects: impl IntoIterator<Item = (Ipv6Net, Scope)>,
    ) {
        let mut accepted = Vec::new();
        for (prefix, scope) in suspects {
            let routers = self.routers.iter_mut();
            let routers = routers.filter(|(of, _)| scope == Scope::Link || **of == source);
            for announced in routers.filter_map(|(_, router)| router.prefixes.get_mut(&prefix)) {
                if !std::mem::replace(&mut announced.suspected, true) {
                    accepted.push((prefix, scope));
                }
            }
        }
        if accepted.is_empty() {
            return;
        }
        match self.verifications.get_mut(&source) {
            Some(verification) => verification.add(accepted),
            None => {
                self.verifications.insert(source, Verification::new(now, accepted));
            }
        }
    }

    fn judge(&mut self, now: Instant, source: Ipv6Addr, verification: &Verification) {
        for (prefix, scope) in verification.suspects() {
            let routers = self.routers.iter_mut();
            let routers = routers.filter(|(of, _)| scope == Scope::Link || **of == source);
            for announced in routers.filter_map(|(_, router)| router.prefixes.get_mut(&prefix)) {
                if scope == Scope::Router || announced.unconfirmed {
                    announced.miss(now);
                }
            }
        }
    }

    /// What ran out and comes back by itself is no change; after another change it is one.
    fn forget_expired(&mut self, carried: &BTreeSet<Ipv6Net>) {
        for router in self.routers.values_mut() {
            router.prefixes.retain(|prefix, announced| {
                !announced.expired || carried.contains(prefix)
            });
        }
    }
}
