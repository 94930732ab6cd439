//! A machine with the platform layer on it.

use std::net::Ipv6Addr;

use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::{KernelAddress, KernelRoute, Origin, RouteTarget, System};
use renumberd::core::output::{Group, Object, Packet, Step};
use renumberd::daemon::clock;
use renumberd::net::IfIndex;
use renumberd::platform::sockets::Icmpv6Socket;
use renumberd::platform::{Drained, Events, Kernel};
use renumberd::platform::{Refusal, refusal_of};
use renumberd::time::{Instant, ROUNDING, Until};

use crate::lab::net::{Namespace, Net};
use crate::lab::{eventually, secs};

/// The platform layer, and what it has told so far.
pub(super) struct Platform {
    pub(super) kernel: Kernel,
    pub(super) events: Events,
    pub(super) icmpv6: Icmpv6Socket,
    pub(super) system: System,
}

/// Runs `test` on a machine of its own: two interfaces, `one0` and `two0`, that are connected,
/// without duplicate address detection.
pub(super) fn on_machine(test: impl FnOnce(&Namespace, Platform) + Send) {
    let net = Net::new();
    let machine = net.host("machine");
    machine.sysctl("default", "accept_dad", 0);
    net.cable((&machine, "one0"), (&machine, "two0"));
    // What the kernel does when a link comes up is not what tests look at.
    machine.settled("one0");
    machine.settled("two0");
    inside(&machine, || test(&machine, Platform::open()));
}

/// Runs `work` in `namespace`: sockets, `/proc/sys/net` and programs it starts are there.
pub(super) fn inside<T: Send>(namespace: &Namespace, work: impl FnOnce() -> T + Send) -> T {
    namespace.inside(work)
}

impl Platform {
    /// Opens everything and dumps the kernel's state, as the agent does when it starts.
    pub(super) fn open() -> Self {
        let (mut kernel, events) = Kernel::open().unwrap();
        let system = kernel.dump(clock::now()).unwrap();
        Self { kernel, events, icmpv6: Icmpv6Socket::open().unwrap(), system }
    }

    pub(super) fn index(&self, interface: &str) -> IfIndex {
        self.system.link(interface).unwrap_or_else(|| panic!("no {interface}")).index
    }

    /// What the kernel has.
    pub(super) fn dump(&mut self) -> System {
        self.kernel.dump(clock::now()).unwrap()
    }

    /// Takes steps; the positions of those refused, and why.
    pub(super) fn apply(&mut self, steps: &[Step]) -> Vec<(usize, Refusal)> {
        let mut refused = self.kernel.apply(clock::now(), steps);
        for (position, step) in steps.iter().enumerate() {
            let taken = match step {
                Step::Set(Object::Membership(Group::AllRouters, interface)) => {
                    self.icmpv6.join_all_routers(*interface)
                }
                Step::Remove(Object::Membership(Group::AllRouters, interface)) => {
                    self.icmpv6.leave_all_routers(*interface)
                }
                _ => Ok(()),
            };
            refused.extend(taken.err().map(|error| (position, refusal_of(&error))));
        }
        refused.sort_by_key(|(position, _)| *position);
        refused
    }

    /// Takes steps, none of which may be refused.
    pub(super) fn take(&mut self, steps: &[Step]) {
        let refused = self.apply(steps);
        let first = refused.first().map(|(position, refusal)| (&steps[*position], refusal));
        assert_eq!(first, None, "and more: {}", refused.len());
    }

    /// All events that wait; the system follows them.
    pub(super) fn follow(&mut self) -> Vec<KernelEvent> {
        let mut events = Vec::new();
        loop {
            match self.events.read(clock::now(), &mut events).unwrap() {
                Drained::Whole => break,
                Drained::More => {}
                Drained::Overrun => panic!("events were lost"),
            }
        }
        events.iter().for_each(|event| self.system.handle(event.clone()));
        events
    }

    /// All events until there is one like that.
    pub(super) fn until(
        &mut self,
        what: &str,
        like: impl Fn(&KernelEvent) -> bool,
    ) -> Vec<KernelEvent> {
        let mut events = Vec::new();
        eventually(what, secs(10), || {
            events.extend(self.follow());
            events.iter().any(&like).then_some(())
        });
        events
    }

    /// Follows events until the system is like that.
    pub(super) fn wait(&mut self, what: &str, like: impl Fn(&System) -> bool) {
        eventually(what, secs(10), || {
            self.follow();
            like(&self.system).then_some(())
        });
    }

    pub(super) fn address(&self, interface: &str, address: &str) -> Option<&KernelAddress> {
        self.system.addresses.get(&(self.index(interface), ip(address)))
    }
}

pub(super) fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// So many seconds from now.
pub(super) fn after(seconds: u64) -> Until {
    Until::At(clock::now() + secs(seconds))
}

/// An address of ours, /64.
pub(super) fn address(
    interface: IfIndex,
    address: &str,
    preferred_until: Until,
    valid_until: Until,
) -> KernelAddress {
    KernelAddress {
        interface,
        address: ip(address),
        prefix_len: 64,
        preferred_until,
        valid_until,
        tentative: false,
        duplicate: false,
        ours: true,
        origin: Origin::Other,
    }
}

/// A step that gives an address for an hour.
pub(super) fn set(interface: IfIndex, text: &str) -> Step {
    Step::Set(Object::Address(address(interface, text, after(3600), after(3600))))
}

/// A step that removes it.
pub(super) fn unset(interface: IfIndex, text: &str) -> Step {
    Step::Remove(Object::Address(address(interface, text, after(3600), after(3600))))
}

/// A route of ours without end.
pub(super) fn route(destination: &str, target: RouteTarget, metric: u32) -> KernelRoute {
    KernelRoute { destination: destination.parse().unwrap(), target, metric, until: Until::Never }
}

/// A packet from a link-local address.
pub(super) fn packet(interface: IfIndex, source: Ipv6Addr, to: &str, octets: &[u8]) -> Packet {
    Packet { interface, source, destination: ip(to), octets: octets.to_vec() }
}

/// Whether two ends are the same, as far as the kernel counts.
pub(super) fn same_end(one: Until, other: Until) -> bool {
    let apart = |one: Instant, other: Instant| one.since(other).max(other.since(one));
    match (one, other) {
        (Until::Never, Until::Never) => true,
        (Until::At(one), Until::At(other)) => apart(one, other) <= ROUNDING,
        (Until::Never, Until::At(_)) | (Until::At(_), Until::Never) => false,
    }
}

pub(super) const fn is_address_gone(event: &KernelEvent) -> bool {
    matches!(event, KernelEvent::AddressGone { .. })
}

pub(super) const fn is_route_gone(event: &KernelEvent) -> bool {
    matches!(event, KernelEvent::RouteGone(_))
}
