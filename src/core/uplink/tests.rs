//! Random histories of one uplink: each deadline has an owner that acts on it.

use proptest::prelude::*;

use super::*;
use crate::core::kernel::system::KernelEvent;
use crate::core::kernel::system::{KernelAddress, Link, Origin};
use crate::time::{Lifetime, Until};
use crate::wire::ndp_option::PrefixInformation;

const INDEX: IfIndex = IfIndex(2);
const GRACE: Duration = Duration::from_secs(30);

#[derive(Clone, Debug)]
enum Step {
    /// Time passes, in milliseconds.
    Wait(u64),
    /// A router advertises: which one, its lifetime, prefixes by number with their lifetime.
    Advertise(u8, u16, Vec<(u8, u32)>),
    Carrier(bool),
    LinkLocal(bool),
    LinkUp,
    Renew,
    /// A prefix can be probed.
    Aim(bool),
    /// The kernel forms an address with this end and valid lifetime in seconds, or removes it.
    Formed(u8, u32),
    /// UDP port 546 is open, or another program's.
    Port(bool, bool),
    /// Another program follows the advertisements.
    Elsewhere(bool),
    /// The kernel finds that a router does not answer.
    Unreachable(u8),
    /// A solicitation could not be sent: of this router, or of all.
    Dropped(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let lifetime = || prop_oneof![Just(0), Just(1), Just(30), Just(7200)];
    let prefixes = prop::collection::vec((0..4_u8, lifetime()), 0..4);
    prop_oneof![
        4 => (0..20_000_u64).prop_map(Step::Wait),
        2 => (0..2000_u64).prop_map(Step::Wait),
        6 => (1..4_u8, prop_oneof![Just(0_u16), Just(1), Just(1800)], prefixes)
            .prop_map(|(router, lifetime, prefixes)| Step::Advertise(router, lifetime, prefixes)),
        2 => any::<bool>().prop_map(Step::Carrier),
        1 => any::<bool>().prop_map(Step::LinkLocal),
        1 => Just(Step::LinkUp),
        1 => Just(Step::Renew),
        1 => any::<bool>().prop_map(Step::Aim),
    ]
}

/// What happens to a host as well.
fn step_of_host() -> impl Strategy<Value = Step> {
    let lifetime = prop_oneof![Just(0), Just(1), Just(30), Just(7200), Just(u32::MAX)];
    prop_oneof![
        16 => step(),
        6 => (0..80_u8, lifetime).prop_map(|(end, valid)| Step::Formed(end, valid)),
        3 => (any::<bool>(), any::<bool>()).prop_map(|(open, refused)| Step::Port(open, refused)),
        1 => any::<bool>().prop_map(Step::Elsewhere),
        1 => (1..4_u8).prop_map(Step::Unreachable),
        3 => (0..4_u8).prop_map(Step::Dropped),
    ]
}

struct Lone {
    uplink: Uplink,
    system: System,
    now: Instant,
}

impl Lone {
    fn new(point_to_point: bool) -> Self {
        let mut config = config::Config::from_args(&["up".to_owned()], &[]).unwrap();
        let mut config = config.uplinks.remove("up").unwrap();
        config.probe = Some(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 1));
        Self::with(&config, point_to_point)
    }

    fn with(config: &config::Uplink, point_to_point: bool) -> Self {
        let now = Instant::from_secs(1000);
        let mut random = Random::new([1; 32]);
        let duid = Duid::from_uuid([1; 16]);
        let uplink = Uplink::new("up", config, &duid, None, &mut random, now);
        let mut system = System::default();
        system.handle(KernelEvent::Link(Link {
            index: INDEX,
            name: "up".to_owned(),
            running: true,
            multicast: !point_to_point,
            point_to_point,
            link_layer_address: None,
            mtu: 1500,
            accept_ra: None,
            carrier_ups: 0,
        }));
        let mut lone = Self { uplink, system, now };
        lone.link_local(true);
        lone
    }

    fn link_local(&mut self, usable: bool) {
        self.system.handle(KernelEvent::Address(KernelAddress {
            interface: INDEX,
            address: Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2),
            prefix_len: 64,
            preferred_until: Until::Never,
            valid_until: Until::Never,
            tentative: !usable,
            duplicate: false,
            ours: false,
            origin: Origin::Other,
        }));
        self.attach();
    }

    fn attach(&mut self) {
        let _ = self.uplink.attach(self.now, &self.system);
        let _ = self.uplink.follow_addresses(self.now, &self.system);
    }

    fn form(&mut self, end: u8, valid: u32) {
        let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, end.into());
        let until = Until::after(self.now, Lifetime::from_wire(valid));
        self.system.handle(if valid == 0 {
            KernelEvent::AddressGone { interface: INDEX, address }
        } else {
            KernelEvent::Address(KernelAddress {
                interface: INDEX,
                address,
                prefix_len: 64,
                preferred_until: until,
                valid_until: until,
                tentative: end.is_multiple_of(7),
                duplicate: false,
                ours: false,
                origin: Origin::Advertisement,
            })
        });
        self.attach();
    }

    fn carrier(&mut self, running: bool) {
        if let Some(link) = self.system.link("up").cloned() {
            self.system.handle(KernelEvent::Link(Link { running, ..link }));
        }
        self.attach();
    }

    fn advertise(&mut self, router: u8, lifetime: u16, prefixes: &[(u8, u32)]) {
        let options = prefixes.iter().map(|(number, lifetime)| {
            NdpOption::Prefix(PrefixInformation {
                prefix: format!("2001:db8:{number}::/64").parse().unwrap(),
                on_link: true,
                autonomous: true,
                delegation_preferred: false,
                valid: Lifetime::Finite(*lifetime),
                preferred: Lifetime::Finite(lifetime / 2),
            })
        });
        let advertisement = RouterAdvertisement {
            router_lifetime: lifetime,
            managed: router == 2,
            other: router == 3,
            options: options.collect(),
            ..RouterAdvertisement::default()
        };
        let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, router.into());
        let _ = self.uplink.handle_advertisement(self.now, source, &advertisement, false);
    }

    /// A router says by unicast that it is there.
    fn notify(&mut self) {
        let source = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, 1);
        let said = RouterAdvertisement { router_lifetime: 1800, ..Default::default() };
        let _ = self.uplink.handle_advertisement(self.now, source, &said, true);
    }

    /// How long it takes until the next question after a lease leaves.
    fn asks_after(&mut self) -> Duration {
        let since = self.now;
        loop {
            let _ = self.uplink.handle_timeout(self.now, GRACE);
            if self.uplink.poll_transmit(self.now).is_some() {
                return self.now.since(since);
            }
            self.settle();
            self.now = self.uplink.deadline(GRACE).expect("it asks for ever").at;
        }
    }

    fn aim(&mut self, usable: bool) {
        let source = Ipv6Addr::new(0x2001, 0xdb8, 9, 0, 0, 0, 0, 1);
        let candidate = usable.then(|| (source, "2001:db8:9::/56".parse().unwrap()));
        self.uplink.aim_probe(self.now, candidate);
    }

    /// All that is to be done at this moment; how many packets left.
    fn act(&mut self) -> usize {
        let _ = self.uplink.handle_timeout(self.now, GRACE);
        let mut sent = 0;
        while self.uplink.poll_transmit(self.now).is_some()
            || self.uplink.poll_solicitation(self.now).is_some()
            || self.uplink.poll_probe(self.now).is_some()
            || self.uplink.poll_registration(self.now).is_some()
        {
            sent += 1;
            assert!(sent < 100, "packets without end");
        }
        sent
    }

    /// Acts until nothing is left to do now.
    fn settle(&mut self) {
        for _ in 0..4 {
            self.act();
            if self.uplink.deadline(GRACE).is_none_or(|deadline| deadline.at > self.now) {
                return;
            }
        }
        panic!("busy loop: {:?} at {:?}", self.uplink.deadline(GRACE), self.now);
    }

    fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        for _ in 0..10_000 {
            self.settle();
            match self.uplink.deadline(GRACE) {
                Some(deadline) if deadline.at <= end => self.now = deadline.at,
                Some(_) | None => {
                    self.now = end;
                    return;
                }
            }
        }
        panic!("too many deadlines: {:?}", self.uplink.deadline(GRACE));
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Wait(milliseconds) => self.wait(Duration::from_millis(*milliseconds)),
            Step::Advertise(router, lifetime, prefixes) => {
                self.advertise(*router, *lifetime, prefixes);
            }
            Step::Carrier(running) => self.carrier(*running),
            Step::LinkLocal(usable) => self.link_local(*usable),
            Step::LinkUp => drop(self.uplink.link_up(self.now)),
            Step::Renew => drop(self.uplink.renew(self.now)),
            Step::Aim(usable) => self.aim(*usable),
            Step::Formed(end, valid) => self.form(*end, *valid),
            Step::Port(is_open, is_refused) => {
                self.uplink.set_mute(self.now, *is_refused && !*is_open);
                let _ = self.uplink.follow_port(*is_open, *is_refused);
            }
            Step::Elsewhere(is_managed) => {
                self.uplink.set_managed_elsewhere(self.now, *is_managed);
            }
            Step::Dropped(0) => self.uplink.handle_dropped(self.now, net::ALL_ROUTERS),
            Step::Dropped(router) => {
                let router = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, (*router).into());
                self.uplink.handle_dropped(self.now, router);
            }
            Step::Unreachable(router) => {
                let router = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 1, (*router).into());
                self.uplink.handle_unreachable(self.now, router);
            }
        }
        self.settle();
    }
}

/// UPL-22: the carrier goes while a router is being asked about what it left out.
#[test]
fn messages_that_cannot_be_sent_have_no_deadline() {
    let mut lone = Lone::new(false);
    lone.advertise(1, 1800, &[(0, 7200)]);
    lone.wait(Duration::from_secs(60));
    lone.advertise(1, 1800, &[(1, 7200)]);
    lone.settle();
    lone.carrier(false);
    lone.wait(Duration::from_secs(20));
    // A router can be heard before the system says that the link is up.
    lone.advertise(1, 1800, &[(2, 7200)]);
    lone.settle();
    lone.wait(Duration::from_secs(20));
    lone.carrier(true);
    lone.wait(Duration::from_secs(60));
}

/// CLI-08: what the kernel reports is one link that runs, before and after; its carrier has come once
/// more.
#[test]
fn a_flap_that_is_over_before_it_is_reported_is_a_link_event() {
    let mut lone = Lone::new(false);
    lone.advertise(1, 1800, &[(0, 7200)]);
    lone.wait(Duration::from_secs(60));
    let has_solicited = |lone: &mut Lone| {
        std::iter::from_fn(|| lone.uplink.poll_solicitation(lone.now)).count() > 0
    };
    for (carrier_ups, expected) in [(0, false), (1, true), (1, false), (5, true)] {
        let link = lone.system.link("up").cloned().unwrap();
        lone.system.handle(KernelEvent::Link(Link { carrier_ups, mtu: 1400, ..link }));
        lone.attach();
        lone.now = lone.now + Duration::from_secs(5);
        assert_eq!(has_solicited(&mut lone), expected, "{carrier_ups}");
        lone.wait(Duration::from_secs(60));
        lone.advertise(1, 1800, &[(0, 7200)]);
        lone.wait(Duration::from_secs(60));
    }
}

/// CLI-08: what comes back is solicited at once, however long ago the last solicitation left; also
/// where the system has counted a return of the carrier and reported no loss of it.
#[test]
fn after_a_loss_of_the_carrier_no_distance_is_kept_to_the_last_solicitation() {
    for is_reported in [true, false] {
        let mut lone = Lone::with(&config::Uplink::of(config::Client::default()), false);
        assert_eq!(lone.act(), 1, "the first");
        lone.wait(Duration::from_millis(200));
        if is_reported {
            lone.carrier(false);
            lone.wait(Duration::from_millis(10));
            lone.carrier(true);
        } else {
            let link = lone.system.link("up").cloned().unwrap();
            let carrier_ups = link.carrier_ups + 1;
            lone.system.handle(KernelEvent::Link(Link { carrier_ups, ..link }));
            lone.attach();
        }
        assert_eq!(lone.act(), 1, "reported: {is_reported}");
    }
}

/// RA-TX-63, SRV-58: copies of an advertisement do not use up the notifications that follow.
#[test]
fn copies_do_not_use_up_notifications() {
    let mut lone = Lone::new(false);
    lone.wait(Duration::from_secs(300));
    for _ in 0..20 {
        lone.notify();
        lone.wait(Duration::from_millis(20));
    }
    lone.wait(Duration::from_secs(15));
    lone.notify();
    assert!(lone.asks_after() <= Duration::from_secs(1));
}

/// CHG-04: notifications are easy to forge, and bring few questions forward.
#[test]
fn many_notifications_are_answered_by_few_questions() {
    let mut lone = Lone::new(false);
    lone.wait(Duration::from_secs(1000));
    let mut sent = 0;
    for _ in 0..3000 {
        lone.notify();
        let _ = lone.uplink.handle_timeout(lone.now, GRACE);
        while lone.uplink.poll_transmit(lone.now).is_some() {
            sent += 1;
        }
        lone.now = lone.now + Duration::from_millis(100);
    }
    // Three at once and one each 30 s, each followed by repetitions at doubling intervals.
    assert!((13..=8 * 13).contains(&sent), "{sent} questions");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// UPL-22: after what there is to do at a deadline the next one lies later, within a few
    /// rounds, whether or not the uplink can send.
    #[test]
    fn each_deadline_has_an_owner(
        steps in prop::collection::vec(step(), 1..40),
        point_to_point in any::<bool>(),
    ) {
        let mut lone = Lone::new(point_to_point);
        for step in &steps {
            lone.take(step);
        }
        lone.wait(Duration::from_secs(600));
    }

    /// The same of a host, which registers addresses, asks for a prefix or leaves all to another
    /// program.
    #[test]
    fn each_deadline_of_a_host_has_an_owner(
        steps in prop::collection::vec(step_of_host(), 1..60),
        delegate in any::<bool>(),
    ) {
        let client = config::Client { delegate, ..config::Client::default() };
        let mut lone = Lone::with(&config::Uplink::of(client), false);
        for step in &steps {
            lone.take(step);
        }
        lone.wait(Duration::from_secs(600));
    }
}
