//! What the kernel reports: its whole state at the start and after lost events, else each change.

use std::net::Ipv6Addr;

use super::pass::DEFER;
use super::receive;
use crate::core::Core;
use crate::core::event::Event;
use crate::core::kernel::object::Step;
use crate::core::kernel::system::KernelEvent;
use crate::core::kernel::system::{KernelAddress, Origin, System};
use crate::core::output::Output;
use crate::net::IfIndex;
use crate::time::Instant;

impl Core {
    /// Takes over the whole state of the kernel. Steps that have not reached the kernel yet count
    /// as taken, as they did before.
    pub(in crate::core) fn take_system(&mut self, now: Instant, system: System) {
        self.ready = true;
        let pending: Vec<Step> = self.outputs.iter().flat_map(Output::steps).cloned().collect();
        let steps = self.kernel.replace(system, pending);
        self.hand_over(steps);
        self.pass.request();
        self.attach(now);
    }

    /// Applies kernel events in their order; returns whether any of them was news. Most are not:
    /// the kernel reports the agent's own steps too.
    pub(in crate::core) fn take_events(&mut self, now: Instant, events: Vec<KernelEvent>) -> bool {
        let mut differs = false;
        for event in events {
            if !self.kernel.state.system.has(&event) {
                differs = true;
                self.take_event(now, event);
            }
        }
        if differs {
            self.attach(now);
        }
        differs
    }

    fn take_event(&mut self, now: Instant, event: KernelEvent) {
        self.kernel.compare_all |=
            matches!(event, KernelEvent::Route(_) | KernelEvent::RouteGone(_));
        if let KernelEvent::Address(address) = &event {
            self.address_event(now, address);
        }
        let is_gone = matches!(event, KernelEvent::LinkGone(_));
        match &event {
            // A link on which something is advertised has come or gone.
            KernelEvent::Link(_) | KernelEvent::LinkGone(_) => self.pass.request(),
            KernelEvent::Address(KernelAddress { address, .. })
            | KernelEvent::AddressGone { address, .. }
                if address.is_unicast_link_local() =>
            {
                self.pass.request();
            }
            // An address of ours, set for a prefix that is advertised, can be used now.
            KernelEvent::Address(address) if address.ours && !address.duplicate => {
                self.pass.request_heard(now, now + DEFER);
            }
            // Any node on the link can make the kernel form and refresh such addresses.
            KernelEvent::Address(KernelAddress {
                origin: Origin::Advertisement | Origin::Temporary,
                ..
            }) => self.pass.request_heard(now, now),
            KernelEvent::Unreachable { interface, address } => {
                self.neighbor_unreachable(now, *interface, *address);
            }
            KernelEvent::Forwarding(false) if self.config.forward => {
                self.kernel.state.forget_forwarding();
                self.pass.request_soon(now);
            }
            KernelEvent::Address(_)
            | KernelEvent::AddressGone { .. }
            | KernelEvent::Route(_)
            | KernelEvent::RouteGone(_)
            | KernelEvent::Forwarding(_) => self.pass.request_soon(now),
        }
        self.kernel.state.system.handle(event);
        if is_gone {
            let steps = self.kernel.forget_links();
            self.hand_over(steps);
        }
    }

    fn neighbor_unreachable(&mut self, now: Instant, interface: IfIndex, address: Ipv6Addr) {
        let Some(name) = self.name_of(interface) else { return };
        if let Some(uplink) = self.uplinks.get_mut(&name) {
            uplink.handle_unreachable(now, address);
        }
    }

    /// The machine has slept: information about the uplinks' links may be out of date, and no message
    /// of a router behind us could arrive.
    pub(in crate::core) fn resume(&mut self, now: Instant) {
        self.delegating.set_listening(now, std::iter::empty());
        self.pass.request_soon(now);
        let uplinks = self.uplinks.iter_mut();
        let effects: Vec<_> =
            uplinks.map(|(name, uplink)| (name.clone(), uplink.resume(now))).collect();
        for (name, effect) in effects {
            self.take_effect(now, &name, &effect);
        }
    }

    /// Duplicate address detection has ended for an address of ours, one way or the other.
    fn address_event(&mut self, now: Instant, address: &KernelAddress) {
        let key = (address.interface, address.address);
        let Some(before) = self.kernel.state.system.addresses.get(&key).filter(|_| address.ours)
        else {
            return;
        };
        let uplink = self.uplinks.values_mut().find(|uplink| {
            uplink.attached().is_some_and(|attached| attached.index == address.interface)
        });
        if address.duplicate && !before.duplicate {
            if let Some(uplink) = uplink {
                uplink.decline(now, address.address);
            }
            let interface = self.name_of(address.interface);
            self.report(Event::AddressDuplicate { interface, address: address.address });
        } else if before.tentative
            && !address.tentative
            && let Some(attached) = uplink.and_then(|uplink| uplink.attached())
        {
            let announcement = receive::neighbor_advertisement(attached, address.address);
            self.outputs.push_back(Output::SendIcmpv6(announcement));
        }
    }
}
