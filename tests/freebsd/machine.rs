//! A machine with the FreeBSD backend on the fake kernel, and what the backend has reported.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::rc::Rc;
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::core::capabilities::ONLY_METRIC;
use renumberd::core::kernel::object::Refusal;
use renumberd::core::kernel::system::{
    KernelAddress, KernelEvent, KernelRoute, Origin, RouteTarget, System,
};
use renumberd::core::output::{Object, Step};
use renumberd::net::IfIndex;
use renumberd::platform::Drained;
use renumberd::platform::freebsd::abi;
use renumberd::platform::freebsd::events::Events;
use renumberd::platform::freebsd::kernel::Kernel;
use renumberd::time::{Instant, Until};

use super::fake::{Address, Calls, Counts, EM0, Fake, OWN};

/// A machine with the backend on it.
pub(super) struct Machine {
    pub(super) fake: Rc<RefCell<Fake>>,
    pub(super) kernel: Kernel<Calls>,
    pub(super) events: Events<Calls>,
    /// What has been reported, all together.
    pub(super) system: System,
    /// The record of the addresses that are ours.
    pub(super) owned: BTreeSet<(IfIndex, Ipv6Addr)>,
    /// How often everything was read anew.
    pub(super) dumps: usize,
}

pub(super) fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

pub(super) fn net(text: &str) -> Ipv6Net {
    text.parse().unwrap()
}

impl Machine {
    pub(super) fn new() -> Self {
        let (fake, asks, listens) = Calls::new();
        let (kernel, events) = Kernel::through(asks, listens, OWN);
        let (system, owned) = (System::default(), BTreeSet::new());
        let mut machine = Self { fake, kernel, events, system, owned, dumps: 0 };
        machine.dump();
        machine
    }

    /// The process is killed and started again: its sockets are new, the kernel and the record are
    /// as they were.
    pub(super) fn restart(&mut self) {
        let (asks, listens) = (Calls(Rc::clone(&self.fake)), Calls(Rc::clone(&self.fake)));
        (self.kernel, self.events) = Kernel::through(asks, listens, OWN);
        {
            let mut fake = self.fake.borrow_mut();
            fake.queue.clear();
            fake.requests_left = None;
        }
        self.dump();
        let is_absent = |place: &&(IfIndex, Ipv6Addr)| !self.system.addresses.contains_key(place);
        let absent: Vec<_> = self.owned.iter().filter(is_absent).copied().collect();
        self.owned.retain(|place| !absent.contains(place));
        let now = self.now();
        self.kernel.end_leftovers(now, &absent).unwrap();
    }

    /// Nobody runs, and time passes.
    pub(super) fn pass_alone(&self, span: Duration) {
        let end = self.now() + span;
        while self.now() < end {
            self.fake.borrow_mut().advance(Duration::from_secs(1));
        }
    }

    pub(super) fn now(&self) -> Instant {
        self.fake.borrow().now
    }

    pub(super) fn after(&self, seconds: u64) -> Until {
        Until::At(self.now() + Duration::from_secs(seconds))
    }

    /// Reads everything anew.
    pub(super) fn dump(&mut self) {
        let now = self.now();
        self.dumps += 1;
        self.system = self.kernel.read(now).unwrap();
        for place in &self.owned {
            if let Some(address) = self.system.addresses.get_mut(place) {
                address.ours = true;
            }
        }
    }

    pub(super) fn apply(&mut self, steps: &[Step]) -> Vec<(usize, Refusal)> {
        for step in steps {
            match step {
                Step::Set(Object::Address(address)) => {
                    self.owned.insert((address.interface, address.address));
                }
                Step::Remove(Object::Address(address)) => {
                    self.owned.remove(&(address.interface, address.address));
                }
                _ => {}
            }
        }
        let now = self.now();
        self.kernel.apply(now, steps)
    }

    /// Takes steps of which none may be refused.
    pub(super) fn take(&mut self, steps: &[Step]) {
        assert_eq!(self.apply(steps), []);
    }

    /// What has been reported since it was last asked; everything is read anew where that says so.
    pub(super) fn follow(&mut self) -> Vec<KernelEvent> {
        let mut told = Vec::new();
        loop {
            let mut events = Vec::new();
            let now = self.now();
            let drained = self.events.drain(now, &mut events).unwrap();
            if drained == Drained::Overrun {
                self.dump();
                continue;
            }
            for mut event in events {
                if let KernelEvent::Address(address) = &mut event {
                    address.ours = self.owned.contains(&(address.interface, address.address));
                }
                self.system.handle(event.clone());
                told.push(event);
            }
            if drained == Drained::Whole {
                return told;
            }
        }
    }

    /// Whether the descriptor of events is readable.
    pub(super) fn is_readable(&self) -> bool {
        let fake = self.fake.borrow();
        !fake.queue.is_empty() || fake.wake_at.is_some_and(|at| at <= fake.now)
    }

    /// Lets time pass; the backend is woken as it has asked to be.
    pub(super) fn pass(&mut self, span: Duration) -> Vec<KernelEvent> {
        const TICK: Duration = Duration::from_millis(50);
        let end = self.now() + span;
        let mut told = Vec::new();
        while self.now() < end {
            self.fake.borrow_mut().advance(TICK);
            if self.is_readable() {
                told.extend(self.follow());
            }
        }
        told
    }

    /// What there is agrees with what was reported.
    pub(super) fn assert_followed(&mut self) {
        let told = self.system.clone();
        self.dump();
        let skeleton = |system: &System| {
            let addresses = system.addresses.values();
            let addresses = addresses.map(|has| (has.address, has.tentative, has.duplicate));
            let links: Vec<_> = system.links.values().cloned().collect();
            let routes: Vec<_> = system.routes.keys().copied().collect();
            (links, addresses.collect::<Vec<_>>(), routes)
        };
        assert_eq!(skeleton(&told), skeleton(&self.system));
    }

    /// An address as the kernel has it.
    pub(super) fn has(&self, interface: IfIndex, address: &str) -> Option<Address> {
        self.fake.borrow().addresses.get(&(interface, ip(address))).cloned()
    }

    /// Whether there is a route to the link of a prefix.
    pub(super) fn has_link_route(&self, interface: IfIndex, prefix: &str) -> bool {
        let fake = self.fake.borrow();
        fake.prefixes.get(&(interface, net(prefix))).is_some_and(|prefix| prefix.has_route)
    }

    /// The paths of the routing table, without those of links.
    pub(super) fn paths(&self) -> Vec<String> {
        let fake = self.fake.borrow();
        let mut paths: Vec<String> = fake
            .paths
            .iter()
            .map(|path| {
                let gateway =
                    path.gateway.map_or_else(|| "link".to_owned(), |gateway| gateway.to_string());
                let kind = if path.flags & abi::REJECT != 0 { " reject" } else { "" };
                let mark = if path.flags & abi::OURS != 0 { "" } else { " foreign" };
                format!("{} via {gateway}%{}{kind}{mark}", path.destination, path.interface.0)
            })
            .collect();
        paths.sort();
        paths
    }

    /// The system calls and octets since they were last asked for.
    pub(super) fn counts(&mut self) -> Counts {
        std::mem::take(&mut self.fake.borrow_mut().counts)
    }

    pub(super) fn address(&self, text: &str, preferred: u64, valid: u64) -> KernelAddress {
        KernelAddress {
            interface: EM0,
            address: ip(text),
            prefix_len: 64,
            preferred_until: self.after(preferred),
            valid_until: self.after(valid),
            tentative: false,
            duplicate: false,
            ours: true,
            origin: Origin::Other,
        }
    }
}

pub(super) fn set(address: &KernelAddress) -> Step {
    Step::Set(Object::Address(address.clone()))
}

pub(super) fn remove(address: &KernelAddress) -> Step {
    Step::Remove(Object::Address(address.clone()))
}

pub(super) fn route(destination: &str, target: RouteTarget, until: Until) -> KernelRoute {
    KernelRoute { destination: net(destination), target, metric: ONLY_METRIC, until }
}

pub(super) fn via(interface: IfIndex, router: &str) -> RouteTarget {
    RouteTarget::Gateway(interface, ip(router))
}

pub(super) fn add(route: &KernelRoute) -> Step {
    Step::Set(Object::Route(route.clone()))
}

pub(super) fn replace(route: &KernelRoute) -> Step {
    Step::Replace(Object::Route(route.clone()))
}

pub(super) fn drop_route(route: &KernelRoute) -> Step {
    Step::Remove(Object::Route(route.clone()))
}
