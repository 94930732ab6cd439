//! A kernel that refuses: nothing may keep the loop busy, and what may be had in the end is had.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use renumberd::config::file;
use renumberd::core::Core;
use renumberd::core::input::Received;
use renumberd::core::kernel::object::Refusal;
use renumberd::core::kernel::system::{KernelAddress, Link, RouteTarget, System};
use renumberd::core::memory::Memory;
use renumberd::core::output::Output;
use renumberd::net::IfIndex;
use renumberd::platform::CAPABILITIES;
use renumberd::wire::dhcpv6::{Message, TransactionId};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, Iaid};

use super::world::own_duid;
use super::*;

const LAN: IfIndex = IfIndex(3);
const WLAN: IfIndex = IfIndex(4);
const SITE: &str = "[static.site]\nprefix = \"2001:db8::/32\"\n[downlink.lan]\n[downlink.wlan]\n\
    [pool.a]\ndownlink = \"lan\"\nsize = 48\n[pool.b]\ndownlink = \"wlan\"\nsize = 48\n";
const OTHER: &str = "3fff::/32";
/// A refusal, with the error number.
const UNREACHABLE: Refusal = Refusal::Other { number: 113, text: "No route to host" };
const NO_MEMORY: Refusal = Refusal::Other { number: 12, text: "Cannot allocate memory" };
const DOWN: Refusal = Refusal::Other { number: 100, text: "Network is down" };

type Refuses = fn(&Step, u32) -> Option<Refusal>;

/// An agent that delegates, and a kernel that takes a step unless `refuses` says otherwise of the
/// step and of how often it was tried before.
struct House {
    core: Core,
    now: Instant,
    kernel: System,
    refuses: Refuses,
    tries: BTreeMap<Step, u32>,
    /// Most outputs that one input had.
    most: usize,
    sent: usize,
    is_changed: bool,
}

fn link(index: IfIndex, name: &str, running: bool) -> Link {
    Link {
        index,
        name: name.to_owned(),
        running,
        multicast: true,
        point_to_point: false,
        link_layer_address: None,
        mtu: 1500,
    }
}

impl House {
    fn new(refuses: Refuses) -> Self {
        let now = Instant::from_secs(1000);
        let mut kernel = System { forwarding: true, ..System::default() };
        for (index, name) in [(LAN, "lan"), (WLAN, "wlan")] {
            kernel.handle(KernelEvent::Link(link(index, name, true)));
            let own = format!("fe80::{}", index.0);
            kernel.handle(KernelEvent::Address(address(index, &own, false)));
        }
        let config = file::parse("test.toml", SITE).unwrap();
        let core = Core::new(config, Memory::default(), own_duid(), CAPABILITIES, [7; 32], now);
        let tries = BTreeMap::new();
        let mut house =
            Self { core, now, kernel, refuses, tries, most: 0, sent: 0, is_changed: false };
        let system = house.kernel.clone();
        house.tell(Input::System(system));
        house
    }

    fn tell(&mut self, input: Input) {
        self.core.handle(self.now, input);
        let mut count = 0;
        while let Some(output) = self.core.poll_output() {
            count += 1;
            assert!(count < 50_000, "an endless pass");
            match output {
                Output::Apply(steps) => {
                    assert!(steps.len() <= 1024, "a batch of {}", steps.len());
                    steps.into_iter().for_each(|step| self.take(step));
                }
                Output::Milestone(milestone) => {
                    self.core.handle(self.now, Input::Milestone(milestone));
                }
                Output::SendServer(_) => self.sent += 1,
                // One a refusal.
                Output::Event(_) => count -= 1,
                _ => {}
            }
        }
        self.most = self.most.max(count);
    }

    fn take(&mut self, step: Step) {
        let tries = self.tries.entry(step.clone()).or_default();
        *tries += 1;
        if let Some(refusal) = (self.refuses)(&step, *tries) {
            return self.core.handle(self.now, Input::StepFailed { step, refusal });
        }
        self.kernel.handle(match step {
            Step::Set(Object::Address(address)) => KernelEvent::Address(address),
            Step::Remove(Object::Address(KernelAddress { interface, address, .. })) => {
                KernelEvent::AddressGone { interface, address }
            }
            Step::Set(Object::Route(route)) | Step::Replace(Object::Route(route)) => {
                KernelEvent::Route(route)
            }
            Step::Remove(Object::Route(route)) => KernelEvent::RouteGone(route),
            _ => return,
        });
    }

    /// So many routers each get a prefix on a link.
    fn delegate(&mut self, interface: IfIndex, count: u32) {
        for number in 0..count {
            let [a, b, c, d] = number.to_be_bytes();
            let mut uuid = [0; 16];
            uuid[..5].copy_from_slice(&[interface.0 as u8, a, b, c, d]);
            let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
            let ia = IaPd { iaid: Iaid(1), t1, t2, prefixes: Vec::new(), status: None };
            let options = vec![
                Dhcpv6Option::ClientId(Duid::from_uuid(uuid)),
                Dhcpv6Option::ServerId(own_duid()),
                Dhcpv6Option::IaPd(ia),
            ];
            let message =
                Message { kind: Request, transaction_id: TransactionId([1, 2, 3]), options };
            let source = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 2, a, b, 0xff, 0xfe, c, d, 1];
            self.tell(Input::Server(Received {
                interface,
                source: Ipv6Addr::from(source),
                port: 546,
                link_layer: None,
                destination: Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2),
                hop_limit: 1,
                fragmented: false,
                octets: message.encode(),
            }));
        }
    }

    /// Lets `span` pass; how often the agent woke.
    fn run_for(&mut self, span: Duration) -> usize {
        let end = self.now + span;
        let mut wakes = 0;
        loop {
            self.tell(Input::Timeout);
            let next = self.core.deadline(self.now).filter(|next| next.at <= end);
            let Some(next) = next else { break };
            wakes += 1;
            assert!(wakes < 5000, "busy: {}", next.reason);
            self.now = next.at.max(self.now);
        }
        self.now = end;
        wakes
    }

    fn change(&mut self) {
        self.is_changed = true;
        self.set_prefix(OTHER);
    }

    fn set_prefix(&mut self, prefix: &str) {
        let prefixes = [("site".to_owned(), Some(net(prefix)))].into();
        self.tell(Input::Command(Command::SetPrefixes { prefixes, graceful: false }));
    }

    /// Routes through routers on a link, to what was delegated last.
    fn gateways(&self, interface: IfIndex) -> usize {
        let prefix = if self.is_changed { net(OTHER) } else { net("2001:db8::/32") };
        let routes = self.kernel.routes.values().filter(|route| {
            prefix.contains(&route.destination)
                && matches!(route.target, RouteTarget::Gateway(at, _) if at == interface)
        });
        routes.count()
    }

    /// The refused steps that the status tells of.
    fn condition(&self) -> Option<String> {
        let conditions = self.core.status(self.now).conditions;
        conditions.into_iter().find(|condition| condition.name == "refused").map(|found| found.text)
    }

    fn most_tries(&self) -> u32 {
        self.tries.values().copied().max().unwrap_or_default()
    }
}

fn is_through_lan(step: &Step) -> bool {
    matches!(step, Step::Set(Object::Route(route)) | Step::Replace(Object::Route(route))
        if matches!(route.target, RouteTarget::Gateway(LAN, _)))
}

/// More steps than any table of fixed size could remember.
#[test]
fn a_kernel_that_refuses_everything_keeps_nobody_busy() {
    let mut house = House::new(|_, _| Some(Refusal::NotPermitted));
    house.delegate(LAN, 2000);
    assert_eq!(house.sent, 2000, "routers are answered");
    assert!(house.most < 50, "{} outputs for one message", house.most);
    house.run_for(Duration::from_secs(600));
    house.change();
    house.run_for(Duration::from_secs(600));
    // After a quarter of a second, then later and later, up to a minute or so.
    assert!(house.most_tries() <= 40, "{}", house.most_tries());
    assert!(house.condition().is_some_and(|text| text.contains("more")));
    house.refuses = |_, _| None;
    house.run_for(Duration::from_secs(90));
    assert_eq!((house.condition(), house.gateways(LAN)), (None, 2000));
}

/// A restart would meet the same bindings: what one link refuses holds nothing else up.
#[test]
fn routes_that_one_link_refuses_leave_the_others_alone() {
    let mut house = House::new(|step, _| is_through_lan(step).then_some(UNREACHABLE));
    house.delegate(LAN, 1500);
    house.delegate(WLAN, 100);
    house.change();
    house.run_for(Duration::from_secs(10));
    assert_eq!((house.gateways(LAN), house.gateways(WLAN)), (0, 100));
    let prefix = net(OTHER);
    assert!(house.kernel.addresses.values().any(|own| prefix.contains(&own.address)));
    let wakes = house.run_for(Duration::from_secs(600));
    assert!(wakes < 600, "{wakes} wake-ups in ten minutes");
}

#[test]
fn what_is_refused_every_other_time_is_there_in_the_end() {
    let mut house = House::new(|_, tries| (tries % 2 == 1).then_some(NO_MEMORY));
    house.delegate(LAN, 1200);
    house.run_for(Duration::from_secs(5));
    assert_eq!((house.condition(), house.gateways(LAN)), (None, 1200));
    house.change();
    house.run_for(Duration::from_secs(120));
    assert_eq!((house.condition(), house.gateways(LAN)), (None, 1200));
}

/// A removal that was refused has its turn again, and is not wanted any more when that comes.
#[test]
fn a_refused_removal_that_is_not_wanted_any_more_is_no_condition() {
    let refuses =
        |step: &Step, tries| step.removed_route().filter(|_| tries == 1).map(|_| NO_MEMORY);
    let mut house = House::new(refuses);
    house.delegate(LAN, 1);
    house.change();
    let mut waited = 0;
    while house.condition().is_none() {
        house.run_for(Duration::from_secs(1));
        waited += 1;
        assert!(waited < 10_000, "no route is removed");
    }
    let system = house.kernel.clone();
    house.tell(Input::System(system));
    house.run_for(Duration::from_millis(50));
    while !house.core.lags() {
        house.run_for(Duration::from_millis(1));
        waited += 1;
        assert!(waited < 20_000, "nothing has its turn");
    }
    house.set_prefix("2001:db8::/32");
    house.run_for(Duration::from_secs(5));
    assert_eq!(house.condition(), None);
}

/// The kernel refuses what is left of the change before it says that the link is down.
#[test]
fn a_link_that_goes_down_in_the_middle_of_a_change_is_no_endless_loop() {
    let mut house = House::new(|_, _| None);
    house.delegate(LAN, 2000);
    assert_eq!(house.gateways(LAN), 2000);
    house.refuses = |step, _| is_through_lan(step).then_some(DOWN);
    house.change();
    let wakes = house.run_for(Duration::from_secs(30));
    assert!(wakes < 200, "{wakes}");
    house.kernel.routes.retain(|_, route| route.target.interface() != Some(LAN));
    house.tell(Input::Kernel(vec![KernelEvent::Link(link(LAN, "lan", false))]));
    house.run_for(Duration::from_secs(2));
    assert_eq!(house.condition(), None, "what is not wanted is not refused");
    let before = house.tries.values().sum::<u32>();
    house.run_for(Duration::from_secs(300));
    assert!(house.tries.values().sum::<u32>() < before + 50, "quiet");
    house.refuses = |_, _| None;
    let system = System {
        links: [(LAN, link(LAN, "lan", true)), (WLAN, link(WLAN, "wlan", true))].into(),
        ..house.kernel.clone()
    };
    house.kernel = system.clone();
    house.tell(Input::System(system));
    house.run_for(Duration::from_secs(90));
    assert_eq!((house.condition(), house.gateways(LAN)), (None, 2000));
}
