//! The statement that advertisements make at a moment: every lifetime in whole seconds, rounded
//! down.

use std::cmp::Reverse;
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::Content;
use super::ledger::Ledger;
use crate::config;
use crate::time::{Instant, Lifetime, Until, whole_seconds};
use crate::wire::ndp_option::Preference;

/// Routes per link (RFC 4191 §4).
pub(super) const MAX_ROUTES: usize = 17;

/// RA-TX-60: the valid lifetime while hosts may hold one retired prefix. This and the next one
/// stay above 240 s: some hosts ignore prefixes with less than 180 s (`accept_ra_min_lft`).
const VALID_AFTER_ONE: u32 = 900;
/// RA-TX-60: the valid lifetime while hosts may hold several retired prefixes.
const VALID_AFTER_SEVERAL: u32 = 300;
/// RA-TX-61: the least preferred lifetime where there is a stub router, such as a border router of
/// a Thread network. It takes a prefix that is preferred for less for none, and advertises one of
/// its own (draft-ietf-snac-simple §5.1.1, MIN_SUITABLE_PREFIX_PREFERRED_LIFETIME).
const PREFERRED_FOR_STUB_ROUTERS: u32 = 1800;
/// RA-TX-60: DNS servers and search domains are advertised for at least this long.
const MIN_RESOLVER_LIFETIME: u32 = 240;

/// The smallest MaxRtrAdvInterval and MinRtrAdvInterval (RFC 4861 §6.2.1).
const LEAST_MAX_INTERVAL: Duration = Duration::from_secs(4);
const LEAST_MIN_INTERVAL: Duration = Duration::from_secs(3);

/// All parts of an advertisement that change over time.
#[derive(Clone, Debug)]
pub(super) struct Statement {
    /// Seconds.
    pub(super) router_lifetime: u16,
    /// Those that hosts prefer no longer from now on, then preferred ones, then the other
    /// deprecated and withdrawn ones.
    pub(super) prefixes: Vec<PrefixLifetimes>,
    /// With preference and seconds; at most [`MAX_ROUTES`], stale ones last.
    pub(super) routes: Vec<(Ipv6Net, Preference, u32)>,
    /// With seconds, stale ones last.
    pub(super) resolvers: Vec<(Ipv6Addr, u32)>,
    /// With seconds, stale ones last.
    pub(super) search: Vec<(String, u32)>,
    /// NAT64 prefixes passed on, with seconds in steps of 8, stale ones last.
    pub(super) pref64: Vec<(Ipv6Net, u32)>,
    /// URI of the captive portal.
    pub(super) captive_portal: Option<String>,
    /// DHCPv6 has more for hosts (the O flag).
    pub(super) informs: bool,
    /// MinRtrAdvInterval until the next.
    pub(super) min_interval: Duration,
    /// MaxRtrAdvInterval until the next.
    pub(super) max_interval: Duration,
}

/// A prefix with its lifetimes in seconds; preferred never exceeds valid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PrefixLifetimes {
    pub(super) prefix: Ipv6Net,
    pub(super) preferred: u32,
    pub(super) valid: u32,
}

impl Statement {
    /// The statement about `content` at `now`, to hosts that have heard the advertisements in
    /// `ledger`, perhaps with a stub router among them.
    pub(super) fn new(
        rules: &config::Advertise,
        content: &Content,
        ledger: &Ledger,
        has_stub_router: bool,
        now: Instant,
    ) -> Self {
        let withdrawn = ledger.withdrawn(content, now);
        let retired = withdrawn.len().saturating_add(deprecated(content, now));
        let limits = Limits::new(rules, retired, has_stub_router);
        let mut prefixes = prefixes(limits, content, now);
        let max_interval = max_interval(rules, &prefixes, content, now);
        prefixes.extend(withdrawn.into_iter().map(PrefixLifetimes::withdrawn));
        // Linux deprecates addresses in a work item that options of an advertisement start one by
        // one, and loses the effect of an option that arrives while the item runs, until the next
        // advertisement. All of its runs see the first options. Where one packet cannot hold all
        // options, the first packet has the new ones: in two packets they would look like two
        // changes. Hosts hold those longest that ended last.
        prefixes.sort_by_key(|stated| match stated.preferred {
            0 if ledger.prefers(&stated.prefix, now) => (0, Reverse(None)),
            0 => (2, Reverse(ledger.held_until(&stated.prefix))),
            1.. => (1, Reverse(None)),
        });
        let resolver_limit =
            whole_seconds(max_interval).saturating_mul(3).max(MIN_RESOLVER_LIFETIME);
        Self {
            router_lifetime: router_lifetime(rules, content),
            prefixes,
            routes: routes(limits.valid, content, ledger, now),
            resolvers: resolvers(resolver_limit, content, ledger, now),
            search: search(resolver_limit, content, ledger, now),
            pref64: pref64(resolver_limit, content, ledger, now),
            captive_portal: content.captive_portal.clone(),
            informs: content.informs(),
            min_interval: min_interval(rules, max_interval),
            max_interval,
        }
    }

    /// Ends everything.
    pub(super) fn withdraw_all(&mut self) {
        for stated in &mut self.prefixes {
            *stated = PrefixLifetimes::withdrawn(stated.prefix);
        }
        self.routes.iter_mut().for_each(|(_, _, lifetime)| *lifetime = 0);
        self.resolvers.iter_mut().for_each(|(_, lifetime)| *lifetime = 0);
        self.search.iter_mut().for_each(|(_, lifetime)| *lifetime = 0);
        self.pref64.iter_mut().for_each(|(_, lifetime)| *lifetime = 0);
    }

    /// Limits the lifetimes of each prefix to the stored promises, and drops a prefix without any.
    pub(super) fn limit_to_recorded(&mut self, ledger: &Ledger, now: Instant) {
        self.prefixes.retain_mut(|stated| {
            let Some(recorded) = ledger.recorded(&stated.prefix, now) else { return false };
            stated.valid = stated.valid.min(recorded);
            stated.preferred = stated.preferred.min(stated.valid);
            true
        });
    }
}

impl PrefixLifetimes {
    const fn withdrawn(prefix: Ipv6Net) -> Self {
        Self { prefix, preferred: 0, valid: 0 }
    }
}

/// The Router Lifetime in seconds.
pub(super) fn router_lifetime(rules: &config::Advertise, content: &Content) -> u16 {
    if !content.default_router {
        return 0;
    }
    u16::try_from(rules.router_lifetime.as_secs()).unwrap_or(u16::MAX)
}

/// The routes of the content that are not over, the most preferred first.
pub(super) fn routes_by_preference(
    content: &Content,
    now: Instant,
) -> Vec<(Ipv6Net, Preference, Until)> {
    let mut routes: Vec<_> = (content.routes.iter())
        .filter(|(_, (_, until))| !until.is_over(now))
        .map(|(prefix, (preference, until))| (*prefix, *preference, *until))
        .collect();
    routes.sort_by_key(|(_, preference, _)| Reverse(*preference));
    routes
}

/// The longest preferred and valid lifetimes, in seconds.
#[derive(Clone, Copy, Debug)]
struct Limits {
    preferred: u32,
    valid: u32,
}

impl Limits {
    /// Hosts have room for few prefixes: the more retired ones they may hold, the shorter the
    /// lifetimes of the current ones are (RA-TX-60).
    fn new(rules: &config::Advertise, retired: usize, has_stub_router: bool) -> Self {
        let preferred = whole_seconds(rules.preferred_limit);
        let valid = whole_seconds(rules.valid_limit);
        let under_fire = match retired {
            0 => None,
            1 => Some(VALID_AFTER_ONE),
            2.. => Some(VALID_AFTER_SEVERAL),
        };
        match under_fire.filter(|_| rules.shorten) {
            None => Self { preferred, valid },
            Some(limit) => {
                let least = if has_stub_router { PREFERRED_FOR_STUB_ROUTERS } else { 0 };
                let valid = valid.min(limit.max(least));
                Self { preferred: preferred.min((valid / 2).max(least)), valid }
            }
        }
    }
}

/// How many prefixes are deprecated by their lease while still valid.
fn deprecated(content: &Content, now: Instant) -> usize {
    let ends = content.prefixes.values();
    ends.filter(|(preferred, valid)| preferred.is_over(now) && !valid.is_over(now)).count()
}

/// The content's prefixes, as long as they are valid.
fn prefixes(limits: Limits, content: &Content, now: Instant) -> Vec<PrefixLifetimes> {
    (content.prefixes.iter())
        .filter(|(_, (_, valid))| !valid.is_over(now))
        .map(|(prefix, (preferred_until, valid_until))| {
            let valid = at_most(*valid_until, now, limits.valid);
            let preferred = at_most(*preferred_until, now, limits.preferred.min(valid));
            PrefixLifetimes { prefix: *prefix, preferred, valid }
        })
        .collect()
}

/// MaxRtrAdvInterval: as configured, but often enough for hosts to hear several advertisements
/// within each lifetime. Otherwise a short lifetime would run out on the hosts although it was
/// refreshed upstream in time.
fn max_interval(
    rules: &config::Advertise,
    prefixes: &[PrefixLifetimes],
    content: &Content,
    now: Instant,
) -> Duration {
    let third = |until: &Until| at_most(*until, now, u32::MAX) / 3;
    let prefixes = prefixes
        .iter()
        .filter(|stated| stated.preferred > 0)
        .flat_map(|stated| [stated.valid / 6, stated.preferred / 3]);
    let routes = content.routes.values().map(|(_, until)| until);
    let resolvers = content.resolvers.iter().map(|(_, until)| until);
    let search = content.search.iter().map(|(_, until)| until);
    let pref64 = content.pref64.iter().map(|(_, until)| until);
    let others =
        routes.chain(resolvers).chain(search).chain(pref64).filter(|until| !until.is_over(now));
    prefixes
        .chain(others.map(third))
        .map(|seconds| Duration::from_secs(seconds.into()).max(LEAST_MAX_INTERVAL))
        .fold(rules.max_interval, Duration::min)
}

/// MinRtrAdvInterval: as configured, or a third of a shortened maximum.
fn min_interval(rules: &config::Advertise, max_interval: Duration) -> Duration {
    if max_interval == rules.max_interval {
        return rules.min_interval;
    }
    rules.min_interval.min((max_interval / 3).max(LEAST_MIN_INTERVAL))
}

fn routes(
    limit: u32,
    content: &Content,
    ledger: &Ledger,
    now: Instant,
) -> Vec<(Ipv6Net, Preference, u32)> {
    let current = routes_by_preference(content, now)
        .into_iter()
        .map(|(prefix, preference, until)| (prefix, preference, at_most(until, now, limit)));
    let stale = ledger.stale_routes(content, now);
    current
        .chain(stale.into_iter().map(|prefix| (prefix, Preference::Medium, 0)))
        .take(MAX_ROUTES)
        .collect()
}

fn resolvers(limit: u32, content: &Content, ledger: &Ledger, now: Instant) -> Vec<(Ipv6Addr, u32)> {
    let current = content.resolvers.iter().filter(|(_, until)| !until.is_over(now));
    let stale = ledger.stale_resolvers(content, now);
    current
        .map(|(server, until)| (*server, at_most(*until, now, limit)))
        .chain(stale.into_iter().map(|server| (server, 0)))
        .collect()
}

fn search(limit: u32, content: &Content, ledger: &Ledger, now: Instant) -> Vec<(String, u32)> {
    let current = content.search.iter().filter(|(_, until)| !until.is_over(now));
    let stale = ledger.stale_search(content, now);
    current
        .map(|(name, until)| (name.clone(), at_most(*until, now, limit)))
        .chain(stale.into_iter().map(|name| (name, 0)))
        .collect()
}

/// Rounded down to a value that the option can carry (RFC 8781 §4), so that no host uses a prefix
/// for longer than the router that advertised it allows.
fn pref64(limit: u32, content: &Content, ledger: &Ledger, now: Instant) -> Vec<(Ipv6Net, u32)> {
    let current = content.pref64.iter().filter(|(_, until)| !until.is_over(now));
    let stale = ledger.stale_pref64(content, now);
    current
        .map(|(prefix, until)| (*prefix, at_most(*until, now, limit) & !7))
        .chain(stale.into_iter().map(|prefix| (prefix, 0)))
        .collect()
}

/// The seconds left until `end`, at most `limit`.
fn at_most(end: Until, now: Instant, limit: u32) -> u32 {
    match end.remaining(now) {
        Lifetime::Finite(remaining) => remaining.min(limit),
        Lifetime::Infinite => limit,
    }
}
