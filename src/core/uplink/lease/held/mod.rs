//! The prefixes and addresses that are held, those that have ended, and how a message changes them.

mod given;
mod refusal;
mod resolvers;
mod timers;

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use super::{DelegatedPrefix, LeasedAddress, Progress};
use crate::core::uplink::change::Outcome;
use crate::net::overlap;
use crate::time::{Instant, Lifetime, Until};
use crate::wire::dhcpv6_option::{Duid, Iaid};

pub(super) use given::{Given, GivenLease, Ia};
pub use refusal::Refusal;
pub(super) use resolvers::Resolvers;
pub(super) use timers::Timers;

use refusal::{Acceptance, Refusals};

/// The most prefixes or addresses that are held in one identity association.
const PER_IA: usize = 16;

/// The most prefixes that have ended and are still listed.
const GONE: usize = 32;

/// A prefix or address that is held, or one that has ended (`gone_since`).
#[derive(Clone, PartialEq, Eq, Debug)]
struct Entry {
    server: Duid,
    exclude: Option<Ipv6Net>,
    preferred_until: Until,
    valid_until: Until,
    /// The valid lifetime with which the server last gave it; none since a restart.
    given_for: Option<Lifetime>,
    gone_since: Option<Instant>,
}

impl Entry {
    const fn is_live(&self) -> bool {
        self.gone_since.is_none()
    }

    fn end(&mut self, now: Instant) {
        self.gone_since.get_or_insert(now);
        self.preferred_until = self.preferred_until.min(Until::At(now));
        self.valid_until = self.valid_until.min(Until::At(now));
    }
}

/// A prefix or address without its lifetimes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SetMember {
    ia: Ia,
    prefix: Ipv6Net,
    exclude: Option<Ipv6Net>,
    is_live: bool,
    is_deprecated: bool,
}

/// A snapshot of the lease: two are compared to see what a message or the passing of time changed.
#[derive(PartialEq, Eq)]
pub(super) struct View {
    pub(super) set: Vec<SetMember>,
    pub(super) prefixes: Vec<DelegatedPrefix>,
    pub(super) addresses: Vec<LeasedAddress>,
    pub(super) resolvers: Resolvers,
    pub(super) server: Option<Duid>,
}

/// All prefixes and addresses, with T1 and T2 and the options that came with them.
#[derive(Clone, Debug)]
pub(super) struct Held {
    acceptance: Acceptance,
    entries: BTreeMap<(Ia, Ipv6Net), Entry>,
    timers: BTreeMap<Ia, Timers>,
    /// The server that granted it.
    pub(super) server: Option<Duid>,
    /// The options for hosts: DNS servers, search domains and services.
    pub(super) resolvers: Resolvers,
    /// The prefixes of servers that were refused.
    pub(super) refusals: Refusals,
    /// The time up to which the ends of lifetimes have been reported.
    pub(super) seen: Instant,
}

impl Held {
    /// Holds nothing, and refuses delegated prefixes that are shorter than `shortest` bits.
    pub(super) fn new(shortest: u8, now: Instant) -> Self {
        Self {
            acceptance: Acceptance { shortest, elsewhere: Vec::new() },
            entries: BTreeMap::new(),
            timers: BTreeMap::new(),
            server: None,
            resolvers: Resolvers::default(),
            refusals: Refusals::default(),
            seen: now,
        }
    }

    /// A snapshot for comparison.
    pub(super) fn view(&self) -> View {
        View {
            set: self.set(self.seen),
            prefixes: self.prefixes(),
            addresses: self.addresses(),
            resolvers: self.resolvers.clone(),
            server: self.server.clone(),
        }
    }

    /// The changes since `before`.
    pub(super) fn progress_since(&self, before: &View) -> Progress {
        let after = self.view();
        Progress {
            changed: after.set != before.set,
            refreshed: after.prefixes != before.prefixes
                || after.addresses != before.addresses
                || after.resolvers != before.resolvers,
            remember: after.prefixes != before.prefixes || after.server != before.server,
            ..Progress::default()
        }
    }

    /// The outcome of a refresh by the answer that was handled since `before`. Where prefixes were
    /// held, another prefix counts and another address does not: they need not move at the same
    /// time.
    pub(super) fn outcome_since(&self, before: &View) -> Outcome {
        let after = self.set(self.seen);
        if after == before.set {
            return Outcome::Unchanged;
        }
        let lived = |ia: Ia| before.set.iter().any(|held| held.ia == ia && held.is_live);
        let had_prefix = before.set.iter().any(|held| held.ia != Ia::Na && held.is_live);
        let replaces = |held: &SetMember| {
            let is_new = held.is_live && !held.is_deprecated && !before.set.contains(held);
            is_new && lived(held.ia) && (held.ia != Ia::Na || !had_prefix)
        };
        if after.iter().any(replaces) { Outcome::Fruitful } else { Outcome::Partial }
    }

    /// Sets the prefixes that other uplinks hold or that are set by hand: prefixes that overlap
    /// them are refused.
    pub(super) fn set_elsewhere(&mut self, elsewhere: Vec<Ipv6Net>) {
        self.acceptance.elsewhere = elsewhere;
    }

    /// The reason to refuse a lease of `ia`, if there is one.
    fn refusal(&self, ia: Ia, lease: &GivenLease) -> Option<Refusal> {
        let is_held = self.entries.get(&(ia, lease.prefix)).is_some_and(Entry::is_live);
        self.acceptance.refusal(ia, lease, is_held)
    }

    /// Whether the uplink may hold `prefix` in the IA_PD `iaid`.
    pub(super) fn is_acceptable(&self, iaid: Iaid, prefix: Ipv6Net) -> bool {
        self.acceptance.refusal_of_prefix(Ia::Pd(iaid), prefix).is_none()
    }

    /// The leases of `given` that are refused, without those that the server withdraws itself.
    pub(super) fn refused(&self, given: &[Given]) -> Vec<(Ipv6Net, Refusal)> {
        let offered = given.iter().flat_map(|given| {
            given.leases.iter().filter(|lease| lease.is_given()).map(|lease| (given.ia, lease))
        });
        let refused =
            |(ia, lease): (Ia, &GivenLease)| Some((lease.prefix, self.refusal(ia, lease)?));
        offered.filter_map(refused).collect()
    }

    /// The usable leases of `given`, the preferred before the deprecated, so that of two that
    /// overlap the replacement wins.
    pub(super) fn usable(&self, given: &Given) -> Vec<GivenLease> {
        let usable = given
            .leases
            .iter()
            .filter(|lease| lease.is_given() && self.refusal(given.ia, lease).is_none());
        let (mut preferred, deprecated): (Vec<_>, Vec<_>) =
            usable.partition(|lease| !lease.preferred.is_zero());
        preferred.extend(deprecated);
        preferred
    }

    /// Takes in a prefix that was stored before a restart.
    pub(super) fn restore(&mut self, server: &Duid, prefix: &DelegatedPrefix) {
        let entry = Entry {
            server: server.clone(),
            exclude: prefix.exclude,
            preferred_until: prefix.preferred_until,
            valid_until: prefix.valid_until,
            given_for: None,
            gone_since: prefix.gone_since,
        };
        self.entries.insert((Ia::Pd(prefix.iaid), prefix.prefix), entry);
    }

    /// The valid lifetime with which the server last gave a prefix.
    pub(super) fn given_for(&self, iaid: Iaid, prefix: Ipv6Net) -> Option<Lifetime> {
        self.entries.get(&(Ia::Pd(iaid), prefix))?.given_for
    }

    /// Whether nothing is held.
    pub(super) fn is_empty(&self) -> bool {
        !self.entries.values().any(Entry::is_live)
    }

    /// Whether a prefix is held.
    pub(super) fn has_prefix(&self) -> bool {
        self.entries.iter().any(|((ia, _), entry)| *ia != Ia::Na && entry.is_live())
    }

    /// Whether anything is held in `ia`.
    pub(super) fn has(&self, ia: Ia) -> bool {
        self.entries.range((ia, FIRST)..=(ia, LAST)).any(|(_, entry)| entry.is_live())
    }

    /// The leases that are held and valid at `now`; only those that `server` granted, where one is
    /// named.
    pub(super) fn leases<'a>(
        &'a self,
        now: Instant,
        server: Option<&'a Duid>,
    ) -> impl Iterator<Item = (Ia, Ipv6Net)> + 'a {
        self.entries
            .iter()
            .filter(move |(_, entry)| entry.is_live() && !entry.valid_until.is_over(now))
            .filter(move |(_, entry)| server.is_none_or(|server| entry.server == *server))
            .map(|(key, _)| *key)
    }

    /// Takes over the leases that `server` grants, and notes those that are refused; returns
    /// whether anything was granted or withdrawn.
    ///
    /// A prefix that a message does not mention stays, except where it grants a new prefix in the
    /// same IA_PD: servers that lost their state never withdraw. With `strict` the old prefix stays
    /// even then.
    pub(super) fn take_in(
        &mut self,
        now: Instant,
        server: &Duid,
        given: &[Given],
        strict: bool,
    ) -> bool {
        let mut refused = self.refused(given);
        let mut useful = false;
        // Twice, since a prefix may move from one IA_PD to another in the same message.
        for one in given.iter().chain(given) {
            useful |= self.withdraw(now, one);
            useful |= self.take_in_ia(now, server, one, given, strict);
        }
        refused.extend(self.overlapped(given));
        self.refusals.note(refused, useful);
        useful
    }

    fn withdraw(&mut self, now: Instant, given: &Given) -> bool {
        let mut withdrew = false;
        for lease in given.leases.iter().filter(|lease| lease.valid.is_zero()) {
            if let Some(entry) = self.entries.get_mut(&(given.ia, lease.prefix))
                && entry.is_live()
            {
                entry.end(now);
                withdrew = true;
            }
        }
        withdrew
    }

    /// Takes over `given`, which is one of `all` in the message.
    fn take_in_ia(
        &mut self,
        now: Instant,
        server: &Duid,
        given: &Given,
        all: &[Given],
        strict: bool,
    ) -> bool {
        let mut accepted: Vec<GivenLease> = Vec::new();
        let mut replaced = false;
        for lease in self.usable(given) {
            let taken = accepted.iter().any(|other| overlap(other.prefix, lease.prefix));
            if taken || accepted.len() >= PER_IA {
                continue;
            }
            if self.elsewhere(given.ia, lease.prefix).any(|held| !has_moved(held, all)) {
                continue;
            }
            let key = (given.ia, lease.prefix);
            let is_new = !self.entries.get(&key).is_some_and(Entry::is_live);
            replaced |= is_new && !lease.preferred.is_zero();
            let entry = Entry {
                server: server.clone(),
                exclude: lease.exclude,
                preferred_until: Until::after(now, lease.preferred),
                valid_until: Until::after(now, lease.valid),
                given_for: Some(lease.valid),
                gone_since: None,
            };
            self.take_from_others(now, given.ia, lease.prefix);
            self.entries.insert(key, entry);
            accepted.push(lease);
        }
        let others = self.entries.range_mut((given.ia, FIRST)..=(given.ia, LAST));
        let others = others.filter(|((_, prefix), entry)| {
            entry.is_live() && !accepted.iter().any(|lease| lease.prefix == *prefix)
        });
        for (position, ((_, prefix), entry)) in others.enumerate() {
            let overlapped = accepted.iter().any(|lease| overlap(lease.prefix, *prefix));
            let mentioned = given.leases.iter().any(|lease| lease.prefix == *prefix);
            let crowded = position + accepted.len() >= PER_IA;
            if overlapped || crowded || (replaced && !mentioned && !strict) {
                entry.end(now);
            }
        }
        let lifetimes: Vec<_> = accepted.iter().map(|l| (l.preferred, l.valid)).collect();
        if let Some(timers) = Timers::new(now, given.t1, given.t2, &lifetimes) {
            self.timers.insert(given.ia, timers);
        }
        !accepted.is_empty()
    }

    /// The prefixes of other IA_PDs than `ia` that overlap `prefix`.
    fn elsewhere(&self, ia: Ia, prefix: Ipv6Net) -> impl Iterator<Item = (Ia, Ipv6Net)> {
        let others = self.entries.iter().filter(move |((other, held), entry)| {
            let is_other = ia != Ia::Na && *other != ia && *other != Ia::Na;
            is_other && entry.is_live() && overlap(*held, prefix)
        });
        others.map(|(key, _)| *key)
    }

    /// Gives `prefix` to `ia`: no other IA_PD holds a part of it from here on, and where it was in
    /// another one it is not listed as ended there.
    fn take_from_others(&mut self, now: Instant, ia: Ia, prefix: Ipv6Net) {
        for key in self.elsewhere(ia, prefix).collect::<Vec<_>>() {
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.end(now);
            }
        }
        self.entries.retain(|(other, held), _| *other == Ia::Na || *other == ia || *held != prefix);
    }

    /// The prefixes of `given` that were not taken, as another IA_PD holds a prefix that overlaps.
    fn overlapped(&self, given: &[Given]) -> Vec<(Ipv6Net, Refusal)> {
        let leases = given
            .iter()
            .flat_map(|given| self.usable(given).into_iter().map(|lease| (given.ia, lease.prefix)));
        let refused = leases.filter_map(|(ia, prefix)| {
            let is_held = self.entries.get(&(ia, prefix)).is_some_and(Entry::is_live);
            let (_, other) = self.elsewhere(ia, prefix).next().filter(|_| !is_held)?;
            Some((prefix, Refusal::Overlaps(other)))
        });
        refused.collect()
    }

    /// Chooses a new T1 where it has passed and the answer set no new one (PDC-64): the next
    /// attempt comes when half of the remaining lifetime is over, and T2 stays until it has passed
    /// too.
    pub(super) fn rest(&mut self, now: Instant) {
        let mut lifetimes: BTreeMap<Ia, Vec<(Lifetime, Lifetime)>> = BTreeMap::new();
        for ((ia, _), entry) in self.entries.iter().filter(|(_, entry)| entry.is_live()) {
            let left = (entry.preferred_until.remaining(now), entry.valid_until.remaining(now));
            lifetimes.entry(*ia).or_default().push(left);
        }
        for (ia, lifetimes) in lifetimes {
            let passed = self.timers.get(&ia).copied();
            if passed.is_none_or(|passed| passed.t1.is_over(now))
                && let Some(timers) = Timers::new(now, Lifetime::ZERO, Lifetime::ZERO, &lifetimes)
            {
                let t2 = passed.map(|passed| passed.t2).filter(|t2| !t2.is_over(now));
                self.timers.insert(ia, t2.map_or(timers, |t2| timers.until(t2)));
            }
        }
    }

    /// Ends all addresses, or only one.
    pub(super) fn drop_addresses(&mut self, now: Instant, only: Option<Ipv6Addr>) {
        for ((_, prefix), entry) in self.entries.range_mut((Ia::Na, FIRST)..=(Ia::Na, LAST)) {
            if only.is_none_or(|only| prefix.addr() == only) {
                entry.end(now);
            }
        }
        self.tidy();
    }

    /// Ends prefixes and addresses that are not valid any more at `now`.
    pub(super) fn expire(&mut self, now: Instant) {
        for entry in self.entries.values_mut() {
            if entry.is_live() && entry.valid_until.is_over(now) {
                entry.end(now);
            }
        }
        self.tidy();
    }

    /// When the first of the prefixes ended that are still listed.
    pub(super) fn first_gone(&self) -> Option<Instant> {
        self.entries.values().filter_map(|entry| entry.gone_since).min()
    }

    /// Drops prefixes that ended at `before` or earlier.
    pub(super) fn forget(&mut self, before: Instant) {
        self.entries.retain(|_, entry| entry.gone_since.is_none_or(|since| since > before));
    }

    /// Drops addresses that have ended, and ended prefixes beyond the bound, the oldest end first.
    fn tidy(&mut self) {
        self.entries.retain(|(ia, _), entry| *ia != Ia::Na || entry.is_live());
        let mut gone: Vec<Instant> =
            self.entries.values().filter_map(|entry| entry.gone_since).collect();
        gone.sort_unstable();
        if let Some(excess) = gone.len().checked_sub(GONE).and_then(|excess| excess.checked_sub(1))
            && let Some(before) = gone.get(excess)
        {
            self.forget(*before);
        }
    }

    /// The earliest T1 and T2 of the lease (RFC 9915 §18.2.4).
    pub(super) fn timers(&self) -> Option<Timers> {
        let held = self.timers.iter().filter(|(ia, _)| self.has(**ia));
        held.map(|(_, timers)| *timers).reduce(Timers::earliest)
    }

    /// The next end of a lifetime that lies after `seen`.
    pub(super) fn next_end(&self, seen: Instant) -> Option<Instant> {
        let live = self.entries.values().filter(|entry| entry.is_live());
        live.filter_map(|entry| {
            let preferred_end = entry.preferred_until.at().filter(|at| *at > seen);
            preferred_end.into_iter().chain(entry.valid_until.at()).min()
        })
        .min()
    }

    /// The longest valid lifetime of the lease.
    pub(super) fn longest(&self) -> Option<Until> {
        let live = self.entries.values().filter(|entry| entry.is_live());
        live.map(|entry| entry.valid_until).max()
    }

    /// All prefixes and addresses without their lifetimes; deprecated are those that are so at
    /// `now`.
    fn set(&self, now: Instant) -> Vec<SetMember> {
        let member = |((ia, prefix), entry): (&(Ia, Ipv6Net), &Entry)| {
            let is_deprecated = entry.preferred_until.is_over(now);
            let (exclude, is_live) = (entry.exclude, entry.is_live());
            SetMember { ia: *ia, prefix: *prefix, exclude, is_live, is_deprecated }
        };
        self.entries.iter().map(member).collect()
    }

    /// The prefixes that are held and those that have ended.
    pub(super) fn prefixes(&self) -> Vec<DelegatedPrefix> {
        let prefix = |((ia, prefix), entry): (&(Ia, Ipv6Net), &Entry)| match ia {
            Ia::Na => None,
            Ia::Pd(iaid) => Some(DelegatedPrefix {
                iaid: *iaid,
                prefix: *prefix,
                exclude: entry.exclude,
                preferred_until: entry.preferred_until,
                valid_until: entry.valid_until,
                gone_since: entry.gone_since,
            }),
        };
        self.entries.iter().filter_map(prefix).collect()
    }

    /// The addresses held.
    pub(super) fn addresses(&self) -> Vec<LeasedAddress> {
        let entries = self.entries.range((Ia::Na, FIRST)..=(Ia::Na, LAST));
        let address = |((_, prefix), entry): (&(Ia, Ipv6Net), &Entry)| LeasedAddress {
            address: prefix.addr(),
            preferred_until: entry.preferred_until,
            valid_until: entry.valid_until,
        };
        entries.filter(|(_, entry)| entry.is_live()).map(address).collect()
    }
}

/// Whether the message with the contents `all` moves the prefix of an IA_PD to another one: it has
/// that IA_PD, without any part of the prefix. Servers that lost their state grant the same
/// prefixes in another order.
fn has_moved((ia, held): (Ia, Ipv6Net), all: &[Given]) -> bool {
    let gives = |given: &Given| {
        given.leases.iter().any(|lease| lease.is_given() && overlap(lease.prefix, held))
    };
    all.iter().find(|given| given.ia == ia).is_some_and(|given| !gives(given))
}

/// The first of all prefixes in their order.
const FIRST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0);

/// The last of all prefixes in their order.
const LAST: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::from_bits(u128::MAX), 128);
