//! Another program in the built-in sender's place: what it is handed, and when.

use proptest::prelude::*;

use super::*;
use crate::config::Program;
use crate::wire::ndp_option::{PrefixInformation, RouteInformation};

/// A program that does what it was handed last, and its clock.
struct Led {
    advertising: Advertising,
    now: Instant,
    /// With when they were made.
    orders: Vec<(Instant, Advertised)>,
    promises: Vec<Promise>,
    probes: Vec<Instant>,
    /// It does not answer.
    is_deaf: bool,
}

impl Led {
    fn new() -> Self {
        let rules = config::Advertise::default();
        let mut advertising = Advertising::by(Program::Radvd, rules, Promises::default());
        let now = secs(1000);
        advertising.link_up(now, Some(MAC.to_vec()), 1500);
        Self {
            advertising,
            now,
            orders: Vec::new(),
            promises: Vec::new(),
            probes: Vec::new(),
            is_deaf: false,
        }
    }

    fn saying(content: Content) -> Self {
        let mut led = Self::new();
        led.set(content);
        led
    }

    fn set(&mut self, content: Content) {
        self.advertising.set_content(self.now, content);
        self.drain();
    }

    fn drain(&mut self) {
        if self.advertising.poll_probe(self.now) {
            self.probes.push(self.now);
            if !self.is_deaf {
                let said = self.said();
                self.advertising.handle_own(self.now, &said);
            }
        }
        if let Some((promises, advertised)) = self.advertising.poll_order(self.now) {
            self.promises.extend(promises);
            self.orders.extend(advertised.map(|advertised| (self.now, advertised)));
        }
        assert!(self.advertising.poll_transmit(self.now).is_none(), "the built-in is silent");
        let due = self.advertising.deadline();
        assert!(due.is_none_or(|due| due.at > self.now), "{due:?} would spin");
    }

    fn run_until(&mut self, at: Instant) {
        while let Some(due) = self.advertising.deadline().filter(|due| due.at <= at) {
            self.now = due.at;
            self.drain();
        }
        self.now = at;
    }

    fn run(&mut self, seconds: u64) {
        self.run_until(self.now + Duration::from_secs(seconds));
    }

    fn last(&self) -> &Advertised {
        &self.orders.last().unwrap().1
    }

    /// What the program says now: lifetimes that run down have done so since its order.
    fn said(&self) -> RouterAdvertisement {
        let (at, advertised) = self.orders.last().unwrap();
        let elapsed = u32::try_from(self.now.since(*at).as_secs()).unwrap();
        let mut said = advertised.advertisement.clone();
        for option in &mut said.options {
            if let NdpOption::Prefix(prefix) = option
                && advertised.runs_down(prefix)
            {
                let left = |lifetime: Lifetime| {
                    Lifetime::Finite(lifetime.to_wire().saturating_sub(elapsed))
                };
                (prefix.valid, prefix.preferred) = (left(prefix.valid), left(prefix.preferred));
            }
        }
        said
    }

    fn lifetimes(&self, prefix: &str) -> Option<(u32, u32)> {
        let said = self.said();
        let found = said.prefixes().find(|found| found.prefix == net(prefix)).copied();
        found.map(|found| (found.preferred.to_wire(), found.valid.to_wire()))
    }
}

#[test]
fn new_content_is_handed_over_at_once_and_the_next_after_min_delay() {
    let mut led = Led::saying(content(&[A]));
    assert_eq!(led.orders.len(), 1);
    assert!(led.advertising.is_announcing());
    let options = &led.last().advertisement.options;
    assert!(matches!(options[0], NdpOption::SourceLinkLayer(_)), "{options:?}");
    led.run(1);
    assert!(!led.advertising.is_announcing(), "it was heard");
    led.set(content(&[B]));
    assert_eq!(led.orders.len(), 1, "MIN_DELAY_BETWEEN_RAS");
    led.run(2);
    assert_eq!(led.orders.len(), 2);
    assert_eq!(led.orders[1].0, secs(1003));
    assert_eq!(led.lifetimes(A), Some((0, 0)));
    assert_eq!(led.lifetimes(B), Some((450, 900)));
}

#[test]
fn unchanged_content_is_handed_over_once_a_day() {
    let mut led = Led::saying(content(&[A]));
    led.run(86_400);
    assert_eq!(led.orders.len(), 1);
    assert_eq!(led.lifetimes(A), Some((2700, 5400)));
    let probes = led.probes.len();
    assert!(probes.abs_diff(86_400 / 60) <= 2, "{probes}");
    // Promises are recorded for longer than they are made, so that few writes do (STO-11).
    assert!(led.promises.len() <= 86_400 / 600 + 1, "{}", led.promises.len());
}

/// STO-11: promises are recorded before, as with the built-in.
#[test]
fn each_order_comes_behind_its_promises() {
    let mut led = Led::saying(content(&[A]));
    let (at, _) = led.orders[0];
    let until = led.promises.iter().find(|promise| promise.prefix == net(A)).unwrap().until;
    // It is repeated for ten minutes, and holds for 5400 s each time.
    assert!(until >= Until::At(at + Duration::from_secs(600 + 5400)), "{until:?}");
    led.run(3600);
    led.set(content(&[B]));
    led.run(5300);
    assert_eq!(led.lifetimes(A), Some((0, 0)), "some host may still hold it");
    led.run(2000);
    assert_eq!(led.lifetimes(A), None);
}

#[test]
fn lifetimes_run_down_with_the_lease_and_a_deprecated_prefix_keeps_its_end() {
    let mut led = Led::saying(ending(A, 1100, 1900));
    assert_eq!(led.lifetimes(A), Some((100, 900)));
    assert!(led.last().running_down.contains(&net(A)));
    led.run(60);
    assert_eq!(led.lifetimes(A), Some((40, 840)));
    led.set(ending(A, 1060, 1900));
    led.run(100);
    let (preferred, valid) = led.lifetimes(A).unwrap();
    assert_eq!(preferred, 0);
    assert!(!led.last().running_down.contains(&net(A)), "radvd would leave it out");
    assert!((600..=740).contains(&valid), "{valid}");
}

#[test]
fn a_program_that_is_not_heard_is_started_anew_ever_more_rarely() {
    let mut led = Led::new();
    led.is_deaf = true;
    led.set(content(&[A]));
    assert_eq!(led.advertising.program_failures(), None);
    led.run(4);
    let millis: Vec<u128> = led.probes.iter().map(|at| at.since(secs(1000)).as_millis()).collect();
    assert_eq!(millis, [10, 50, 250, 1000, 3000]);
    led.run(40);
    let orders: Vec<_> = led
        .orders
        .iter()
        .map(|(at, order)| (at.since(secs(1000)).as_secs(), order.attempt))
        .collect();
    assert_eq!(orders, [(0, 0), (5, 1), (15, 2), (35, 3)]);
    assert_eq!(led.advertising.program_failures(), Some(3));
    led.run(86_400);
    assert!(led.orders.len() < 160, "{}", led.orders.len());
    led.is_deaf = false;
    led.run(601);
    assert_eq!(led.advertising.program_failures(), None);
    assert!(!led.advertising.is_announcing());
}

#[test]
fn an_earlier_order_confirms_nothing() {
    let mut led = Led::saying(content(&[A]));
    led.is_deaf = true;
    led.run(10);
    let old = led.said();
    led.set(content(&[A, B]));
    assert!(!led.advertising.handle_own(led.now, &old), "B is missing");
    let new = led.said();
    let part = |prefix: &str| {
        let mut part = new.clone();
        part.options.retain(
            |option| matches!(option, NdpOption::Prefix(found) if found.prefix == net(prefix)),
        );
        part
    };
    let other = RouterAdvertisement { router_lifetime: 0, ..new.clone() };
    assert!(!led.advertising.handle_own(led.now, &other));
    assert!(!led.advertising.handle_own(led.now, &part(A)), "half of it");
    assert!(led.advertising.handle_own(led.now, &part(B)));
    assert!(!led.advertising.handle_own(led.now, &new), "confirmed once");
}

/// RA-TX-57
#[test]
fn the_final_order_ends_the_default_route_and_withdraws_where_asked() {
    let mut led = Led::saying(content(&[A]));
    led.run(10);
    let last = led.advertising.final_order(led.now, false).unwrap();
    assert_eq!(last.advertisement.router_lifetime, 0);
    let valid = |order: &Advertised| order.advertisement.prefixes().next().unwrap().valid;
    assert!(valid(&last) > Lifetime::Finite(5000));
    assert_eq!(valid(&led.advertising.final_order(led.now, true).unwrap()), Lifetime::ZERO);
    assert!(led.advertising.stop(led.now, false).messages.is_empty());
    assert_eq!(led.advertising.deadline(), None);
}

fn end() -> impl Strategy<Value = u64> {
    prop_oneof![1000_u64..1020, 1000_u64..2000, 1000_u64..20_000, Just(10_000_000)]
}

fn any_content() -> impl Strategy<Value = Content> {
    let prefixes = prop::collection::vec((0_usize..3, end(), end()), 0..3);
    (prefixes, prop::collection::vec(end(), 0..2), prop::option::of(end()), any::<bool>()).prop_map(
        |(prefixes, servers, route, default_router)| {
            let ends = prefixes.into_iter().map(|(which, one, other)| {
                (net([A, B, C][which]), (at(one.min(other)), at(one.max(other))))
            });
            let servers = servers.into_iter().enumerate();
            let server =
                |(n, end): (usize, u64)| (format!("2001:db8::{n}").parse().unwrap(), at(end));
            let routes = route.map(|end| (net("2001:db8::/32"), (Preference::Medium, at(end))));
            Content {
                default_router,
                prefixes: ends.collect(),
                resolvers: servers.map(server).collect(),
                routes: routes.into_iter().collect(),
                ..Content::default()
            }
        },
    )
}

proptest! {
    /// Whatever the program repeats, and whenever: nobody is promised more than there is, nor what
    /// is not on record.
    #[test]
    fn repeated_statements_stay_true(
        contents in prop::collection::vec((any_content(), 1_u64..3000), 1..4),
        looks in prop::collection::vec(1_u64..500, 1..20),
    ) {
        let mut led = Led::new();
        let mut recorded: BTreeMap<Ipv6Net, Until> = BTreeMap::new();
        for (content, lasts) in contents {
            let content = content.normal();
            let over = led.now + Duration::from_secs(lasts);
            led.set(content.clone());
            // An order may wait for MIN_DELAY_BETWEEN_RAS.
            led.run(3);
            for look in &looks {
                let until = (led.now + Duration::from_secs(*look)).min(over);
                led.run_until(until.max(led.now));
                for one in led.promises.iter().filter(|one| !one.is_route) {
                    let known = recorded.entry(one.prefix).or_insert(one.until);
                    *known = one.until.max(*known);
                }
                let left = |end: Until| end.remaining(led.now).to_wire().saturating_add(1);
                for option in &led.said().options {
                    match option {
                        NdpOption::Prefix(PrefixInformation { prefix, valid, preferred, .. }) => {
                            let ends = content.prefixes.get(prefix).copied();
                            let (p, v) = ends.map_or((1, 1), |(p, v)| (left(p), left(v)));
                            prop_assert!(preferred.to_wire() <= p, "{prefix} {preferred} {p}");
                            prop_assert!(valid.to_wire() <= v, "{prefix} {valid} {v}");
                            let held = Until::after(led.now, *valid);
                            let on_record = recorded.get(prefix).copied();
                            prop_assert!(valid.is_zero() || on_record.is_some_and(|r| r >= held));
                        }
                        NdpOption::Rdnss { lifetime, servers } => {
                            for server in servers {
                                let known = content.resolvers.iter().find(|(one, _)| one == server);
                                let most = known.map_or(1, |(_, end)| left(*end));
                                prop_assert!(lifetime.to_wire() <= most, "{server} {lifetime}");
                            }
                        }
                        NdpOption::Route(RouteInformation { prefix, lifetime, .. }) => {
                            let known = content.routes.get(prefix).copied();
                            let most = known.map_or(1, |(_, end)| left(end));
                            prop_assert!(lifetime.to_wire() <= most, "{prefix} {lifetime}");
                        }
                        NdpOption::SourceLinkLayer(_)
                        | NdpOption::Mtu(_)
                        | NdpOption::Dnssl { .. }
                        | NdpOption::FlagsExtension(_)
                        | NdpOption::CaptivePortal(_)
                        | NdpOption::Pref64(_)
                        | NdpOption::Malformed { .. }
                        | NdpOption::Unknown { .. } => {}
                    }
                }
            }
            led.run_until(over.max(led.now));
        }
        let hours = led.now.since(secs(1000)).as_secs() / 3600 + 1;
        prop_assert!(led.orders.len() as u64 <= hours * 250, "{} orders", led.orders.len());
    }
}

/// Who repeats what was handed over must not promise for long what ends sooner than it did.
#[test]
fn content_that_ends_sooner_is_handed_over_at_once() {
    let content = |end: u64| Content {
        default_router: true,
        resolvers: vec![("2001:db8::53".parse().unwrap(), Until::At(secs(end)))],
        ..Content::default()
    };
    let mut led = Led::saying(content(4600));
    led.run(600);
    let orders = led.orders.len();
    led.set(content(1900));
    led.run(1);
    assert_eq!(led.orders.len(), orders + 1);
    let rdnss = led.last().advertisement.options.iter().find_map(|option| {
        if let NdpOption::Rdnss { lifetime, .. } = option { Some(lifetime.to_wire()) } else { None }
    });
    assert!(rdnss.is_some_and(|left| (1..=300).contains(&left)), "{rdnss:?}");
    // What lasts longer has time.
    led.set(content(4600));
    led.run(1);
    assert_eq!(led.orders.len(), orders + 1);
}
