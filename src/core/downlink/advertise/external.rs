//! Another program in the place of the built-in sender: its orders, and whether it follows them.
//!
//! The program reads a whole statement and repeats it until the next one. An order is therefore
//! made so that all of it stays true until the next one: lifetimes that a lease limits run down
//! where the program can do that, and are short enough otherwise.
//!
//! The agent checks whether the program follows its order: it solicits the program from our own
//! address on the link to that same address, which never reaches the wire, and the program answers
//! by unicast. The multicast advertisements of the program are checked as well, where the system
//! hands them back. A program whose advertisements do not show its order is restarted.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::message::Link;
use crate::config::Program;
use crate::core::engine::Advertised;
use crate::time::{Deadline, Instant, Lifetime};
use crate::wire::ndp::RouterAdvertisement;
use crate::wire::ndp_option::{NdpOption, PrefixInformation};

/// When the program is solicited, counted from its order.
const PROBES: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(250),
    Duration::from_secs(1),
    Duration::from_secs(3),
];
/// How often the agent checks that the program still follows its order.
const PROBE_INTERVAL: Duration = Duration::from_secs(60);
/// How long a program has to carry out an order before it is restarted. rtadvd advertises its
/// former content three more times after a reload, 3 s apart.
const PATIENCE: Duration = Duration::from_secs(5);
const PATIENCE_WITH_RTADVD: Duration = Duration::from_secs(20);
/// The longest patience: it doubles with each start that was in vain.
const MAX_PATIENCE: Duration = Duration::from_secs(600);
/// The tolerance for a lifetime that runs down: programs count whole seconds, and lose parts of
/// them with each advertisement.
const DRIFT: u32 = 60;

/// The state of another program that advertises.
#[derive(Clone, Debug)]
pub(super) struct External {
    program: Program,
    /// None while the link cannot send.
    link: Option<Link>,
    /// When the next order is made.
    order_at: Option<Instant>,
    /// New content waits for the next order.
    is_new: bool,
    ordered: Option<Ordered>,
    /// How often the program did not follow an order.
    attempt: u32,
    /// How often in a row that was so.
    failures: u32,
}

/// The last order.
#[derive(Clone, Debug)]
struct Ordered {
    at: Instant,
    advertised: Advertised,
    heard: Heard,
}

/// Whether the program follows its order.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Heard {
    /// It is solicited since then; these prefixes have not been heard.
    Awaited { since: Instant, probes: usize, missing: BTreeSet<Ipv6Net> },
    /// It was heard to, at that time.
    Confirmed { at: Instant },
}

impl External {
    pub(super) const fn new(program: Program) -> Self {
        Self {
            program,
            link: None,
            order_at: None,
            is_new: false,
            ordered: None,
            attempt: 0,
            failures: 0,
        }
    }

    /// How advertisements are sent on the link; none while they cannot be.
    pub(super) const fn link(&self) -> Option<&Link> {
        self.link.as_ref()
    }

    /// The link can send.
    pub(super) fn link_up(&mut self, now: Instant, link: Link) {
        if self.link.as_ref() != Some(&link) {
            self.link = Some(link);
            self.order_at = Some(now);
            self.is_new = true;
        }
    }

    /// The link cannot send: no advertisement of the program is expected.
    pub(super) fn link_down(&mut self) {
        (self.link, self.order_at, self.is_new) = (None, None, false);
    }

    /// There is new content: the order follows as soon as MIN_DELAY_BETWEEN_RAS allows, as the
    /// program multicasts it at once.
    pub(super) fn announce(&mut self, now: Instant, min_delay: Duration) {
        if self.link.is_some() {
            self.order_at = Some(self.earliest(now, min_delay));
            self.is_new = true;
        }
    }

    /// An entry that was handed over ends sooner: whether a new order is needed is checked as soon
    /// as MIN_DELAY_BETWEEN_RAS allows.
    pub(super) fn review_soon(&mut self, now: Instant, min_delay: Duration) {
        self.review(self.earliest(now, min_delay));
    }

    fn earliest(&self, now: Instant, min_delay: Duration) -> Instant {
        self.ordered.as_ref().map_or(now, |last| now.max(last.at + min_delay))
    }

    /// The content may have changed in a way that hosts do not notice: whether a new order is
    /// needed is checked by `at`.
    pub(super) fn review(&mut self, at: Instant) {
        if self.link.is_some() && self.ordered.is_some() {
            self.order_at = Some(self.order_at.map_or(at, |before| before.min(at)));
        }
    }

    /// Whether the time of an order has come. The caller makes it: [`hand_over`](Self::hand_over).
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.link.is_some() && self.order_at.is_some_and(|at| at <= now)
    }

    /// Takes over the statement that is true until `until`; returns it where the program has to be
    /// handed it.
    pub(super) fn hand_over(
        &mut self,
        now: Instant,
        until: Instant,
        mut advertised: Advertised,
    ) -> Option<Advertised> {
        self.order_at = Some(until);
        advertised.attempt = self.attempt;
        let is_same = self.ordered.as_ref().is_some_and(|last| is_same(last, &advertised, now));
        if is_same && !std::mem::take(&mut self.is_new) {
            return None;
        }
        self.is_new = false;
        let heard = Heard::awaited(now, &advertised.advertisement);
        self.ordered = Some(Ordered { at: now, advertised: advertised.clone(), heard });
        Some(advertised)
    }

    /// Handles an advertisement that the program has sent. Returns whether it is the first that
    /// shows the last order.
    pub(super) fn handle_own(&mut self, now: Instant, heard: &RouterAdvertisement) -> bool {
        let Some(ordered) = &mut self.ordered else { return false };
        let agrees = agrees(&ordered.advertised, now.since(ordered.at), heard);
        match &mut ordered.heard {
            Heard::Awaited { missing, .. } if agrees => {
                for prefix in heard.prefixes() {
                    missing.remove(&prefix.prefix);
                }
                if !missing.is_empty() {
                    return false;
                }
                ordered.heard = Heard::Confirmed { at: now };
                self.failures = 0;
                true
            }
            Heard::Confirmed { at } if agrees => {
                *at = now;
                false
            }
            // The program repeats an earlier order, or another node uses our address. The program
            // is solicited as often as otherwise, and a prefix that it omits then counts as
            // missing.
            Heard::Awaited { .. } | Heard::Confirmed { .. } => false,
        }
    }

    /// Whether new content has yet to be handed over, or to be heard.
    pub(super) const fn is_announcing(&self) -> bool {
        let is_awaited =
            matches!(&self.ordered, Some(Ordered { heard: Heard::Awaited { .. }, .. }));
        self.link.is_some() && (self.is_new || is_awaited)
    }

    /// Whether the program is to be solicited now. One that has not answered for too long is to be
    /// restarted: the next order says so.
    pub(super) fn poll_probe(&mut self, now: Instant) -> bool {
        let patience = self.patience();
        if self.link.is_none() {
            return false;
        }
        let Some(ordered) = &mut self.ordered else { return false };
        match &mut ordered.heard {
            Heard::Confirmed { at } if *at + PROBE_INTERVAL <= now => {
                ordered.heard = Heard::awaited(now, &ordered.advertised.advertisement);
                false
            }
            Heard::Confirmed { .. } => false,
            Heard::Awaited { since, .. } if *since + patience <= now => {
                self.attempt = self.attempt.saturating_add(1);
                self.failures = self.failures.saturating_add(1);
                (self.order_at, self.is_new) = (Some(now), true);
                false
            }
            Heard::Awaited { since, probes, .. } => {
                let is_due = PROBES.get(*probes).is_some_and(|after| *since + *after <= now);
                *probes += usize::from(is_due);
                is_due
            }
        }
    }

    /// How often the program was restarted because its advertisements did not show its order; none
    /// while they do.
    pub(super) fn failures(&self) -> Option<u32> {
        (self.link.is_some() && self.failures > 0).then_some(self.failures)
    }

    /// The next deadline.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        self.link.as_ref()?;
        let order = self.order_at.map(|at| Deadline::new(at, "order to advertise"));
        let probe = self.ordered.as_ref().map(|ordered| match &ordered.heard {
            Heard::Confirmed { at } => Deadline::new(*at + PROBE_INTERVAL, "probe of a program"),
            Heard::Awaited { since, probes, .. } => {
                let patience = *since + self.patience();
                let next = PROBES.get(*probes).map_or(patience, |after| *since + *after);
                Deadline::new(next.min(patience), "answer of a program")
            }
        });
        Deadline::first([order, probe])
    }

    fn patience(&self) -> Duration {
        let patience = match self.program {
            Program::Rtadvd => PATIENCE_WITH_RTADVD,
            Program::Radvd
            | Program::Dhcpcd
            | Program::Dhcp6c
            | Program::Networkd
            | Program::Command
            | Program::Dhcp6s
            | Program::Kea => PATIENCE,
        };
        let times = 1_u32.checked_shl(self.failures.min(16)).unwrap_or(u32::MAX);
        patience.saturating_mul(times).min(MAX_PATIENCE)
    }
}

impl Heard {
    /// The advertisement that the program is expected to send. Deprecated prefixes may have no room
    /// in its file.
    fn awaited(now: Instant, advertisement: &RouterAdvertisement) -> Self {
        let preferred = advertisement.prefixes().filter(|prefix| !prefix.preferred.is_zero());
        let missing = preferred.map(|prefix| prefix.prefix).collect();
        Self::Awaited { since: now, probes: 0, missing }
    }
}

/// Whether the program would advertise the same by either order at `now`; lifetimes that run down
/// have done so.
fn is_same(last: &Ordered, next: &Advertised, now: Instant) -> bool {
    let before = &last.advertised;
    let elapsed = u32::try_from(now.since(last.at).as_secs()).unwrap_or(u32::MAX);
    let without_lifetimes = |advertised: &Advertised| {
        let mut advertised = advertised.clone();
        for option in &mut advertised.advertisement.options {
            if let NdpOption::Prefix(prefix) = option
                && advertised.running_down.contains(&prefix.prefix)
            {
                (prefix.valid, prefix.preferred) = (Lifetime::ZERO, Lifetime::ZERO);
            }
        }
        advertised
    };
    let counted = |prefix: &PrefixInformation| {
        let left = |lifetime: Lifetime| lifetime.to_wire().saturating_sub(elapsed);
        (prefix.prefix, left(prefix.valid), left(prefix.preferred))
    };
    let running = |advertised: &Advertised| -> Vec<PrefixInformation> {
        let prefixes = advertised.advertisement.prefixes();
        prefixes.filter(|prefix| advertised.runs_down(prefix)).copied().collect()
    };
    let is_near = |(before, after): (&PrefixInformation, &PrefixInformation)| {
        let (_, valid, preferred) = counted(before);
        let near = |one: u32, other: u32| one.abs_diff(other) <= 2;
        near(valid, after.valid.to_wire()) && near(preferred, after.preferred.to_wire())
    };
    without_lifetimes(before) == without_lifetimes(next)
        && running(before).iter().zip(&running(next)).all(is_near)
}

/// Whether a program that has had an order for `elapsed` can have sent this advertisement. It may
/// split an order over several, cannot express some of it, and may leave some out.
fn agrees(ordered: &Advertised, elapsed: Duration, heard: &RouterAdvertisement) -> bool {
    let elapsed = u32::try_from(elapsed.as_secs()).unwrap_or(u32::MAX);
    let meant = &ordered.advertisement;
    let is_router = meant.router_lifetime > 0
        && u64::from(meant.router_lifetime) >= ordered.rules.max_interval.as_secs();
    let agrees = |found: &PrefixInformation| {
        let Some(prefix) = meant.prefixes().find(|prefix| prefix.prefix == found.prefix) else {
            return false;
        };
        let lost = if ordered.runs_down(prefix) { elapsed.saturating_add(DRIFT) } else { 0 };
        let fits = |meant: Lifetime, found: Lifetime| {
            found <= meant && found.to_wire() >= meant.to_wire().saturating_sub(lost)
        };
        fits(prefix.valid, found.valid) && fits(prefix.preferred, found.preferred)
    };
    let servers = |advertisement: &RouterAdvertisement| -> BTreeSet<_> {
        let lists = advertisement.options.iter().filter_map(|option| {
            let NdpOption::Rdnss { lifetime, servers } = option else { return None };
            (!lifetime.is_zero()).then(|| servers.clone())
        });
        lists.flatten().collect()
    };
    (heard.router_lifetime > 0) == is_router
        && heard.prefixes().all(agrees)
        && servers(heard).is_subset(&servers(meant))
}
