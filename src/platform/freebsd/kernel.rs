//! The kernel's state: read whole, and changed step by step.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::rc::Rc;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::abi;
use super::errno::Errno;
use super::events::Events;
use super::ioctl::InterfaceInfo;
use super::look;
use super::route_message::{Message, messages};
use super::system_calls::SystemCalls;
use super::table::Table;
use super::watch::{Place, Watch};
use crate::core::kernel::object::Refusal;
use crate::core::kernel::system::{KernelEvent, Neighbor, System};
use crate::core::output::{Object, Setting, Step, Sysctl};
use crate::net::IfIndex;
use crate::time::Instant;

/// Whether the machine forwards IPv6.
const FORWARDING: &str = "net.inet6.ip6.forwarding";
/// Whether Neighbor Solicitations from outside of the prefixes of a link are answered (RFC 4861
/// §7.2.3); by default they are not.
const ANSWERS_OFF_LINK: &str = "net.inet6.icmp6.nd6_onlink_ns_rfc4861";

/// Reads and changes the kernel's state, through the system calls `C`.
#[derive(Debug)]
pub struct Kernel<C> {
    pub(super) calls: C,
    pub(super) watch: Rc<RefCell<Watch>>,
    pub(super) sequence: u32,
    /// Addresses of this process that have brought the route to their link, as far as is known.
    pub(super) whole: BTreeSet<Place>,
    /// Addresses that have lost it: only an address that is set anew has it again.
    pub(super) broken: BTreeSet<Place>,
}

impl<C: SystemCalls> Kernel<C> {
    /// The part that reads and changes state through `calls`, and the part that listens through
    /// `events`, in the process `pid`.
    pub fn through(calls: C, events: C, pid: u32) -> (Self, Events<C>) {
        let watch = Rc::new(RefCell::new(Watch::default()));
        let kernel = Self {
            calls,
            watch: Rc::clone(&watch),
            sequence: 0,
            whole: BTreeSet::new(),
            broken: BTreeSet::new(),
        };
        (kernel, Events::new(events, watch, pid))
    }

    /// FreeBSD has no marks for addresses: the record of the agent says which are ours.
    pub const fn set_address_mark(&mut self, _mark: bool) {}

    /// The value of a setting of an interface; none where the interface is not there.
    pub fn setting(&mut self, interface: &str, name: Sysctl) -> Option<i32> {
        if name == Sysctl::Forwarding {
            return self.calls.sysctl_by_name(FORWARDING).ok();
        }
        let info = self.interface_info(interface).ok()?;
        match name {
            Sysctl::AcceptRa => Some(look::follows(&info)),
            Sysctl::HopLimit => Some(info.hop_limit().into()),
            Sysctl::Mtu => i32::try_from(info.mtu()).ok(),
            Sysctl::HonorPflag
            | Sysctl::OptimisticDad
            | Sysctl::UseOptimistic
            | Sysctl::MaxAddresses
            | Sysctl::Forwarding => None,
        }
    }

    /// What the kernel has, whole.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn read(&mut self, now: Instant) -> Result<System, Errno> {
        let mut events = Vec::new();
        {
            let mut watch = self.watch.borrow_mut();
            look::interfaces(&mut self.calls, &mut watch, now, 0, &mut events)?;
        }
        let table = Table::read(&mut self.calls, now)?;
        events.extend(table.ours().map(KernelEvent::Route));
        let ignores_off_link = self.calls.sysctl_by_name(ANSWERS_OFF_LINK) == Ok(0);
        events.push(KernelEvent::Forwarding(self.forwards()));
        let mut system = System { ignores_off_link, ..System::default() };
        let is_end = |event: &&KernelEvent| matches!(event, KernelEvent::LinkGone(_));
        let ends: Vec<KernelEvent> = events.iter().filter(is_end).cloned().collect();
        events.into_iter().for_each(|event| system.handle(event));
        self.watch.borrow_mut().retain(|index| system.links.contains_key(&index));
        self.leave_out_broken(&table, &mut system);
        self.watch.borrow_mut().note_read(now);
        if !ends.is_empty() {
            // An interface of the same number has been gone: it is left out once, so that the core
            // sees that, and is there when everything is read anew at once.
            self.watch.borrow_mut().resync(now);
            ends.into_iter().for_each(|end| system.handle(end));
        }
        self.wake(now);
        Ok(system)
    }

    fn forwards(&mut self) -> bool {
        self.calls.sysctl_by_name(FORWARDING).is_ok_and(|value| value != 0)
    }

    /// An address that had the route to its link and has lost it reaches no node: it is reported as
    /// missing, and is set anew when it is asked for. `ndp -P` does that to all addresses, and so
    /// does dhcpcd when it starts.
    fn leave_out_broken(&mut self, table: &Table, system: &mut System) {
        let has_route = |subnet: Ipv6Net| table.paths(subnet).iter().any(|path| path.is_to_link());
        let mut watch = self.watch.borrow_mut();
        watch.set.retain(|place, _| system.addresses.contains_key(place));
        for (place, set) in watch.set.iter().filter(|(_, set)| set.prefix_len < 128) {
            let Ok(subnet) = Ipv6Net::new(set.address, set.prefix_len) else { continue };
            if has_route(subnet.trunc()) {
                self.whole.insert(*place);
                self.broken.remove(place);
            } else if self.whole.remove(place) {
                self.broken.insert(*place);
            }
        }
        self.whole.retain(|place| watch.set.contains_key(place));
        self.broken.retain(|place| watch.set.contains_key(place));
        for place in &self.broken {
            system.addresses.remove(place);
        }
    }

    /// Takes the steps in their order; returns the positions of those refused, and why. A step
    /// whose result is there already is not refused. Steps about sockets are skipped.
    pub fn apply(&mut self, now: Instant, steps: &[Step]) -> Vec<(usize, Refusal)> {
        let mut table = None;
        let mut refused = Vec::new();
        for (position, step) in steps.iter().enumerate() {
            if let Err(errno) = self.take(now, &mut table, step) {
                refused.push((position, errno.refusal()));
            }
        }
        self.wake(now);
        refused
    }

    fn take(&mut self, now: Instant, table: &mut Option<Table>, step: &Step) -> Result<(), Errno> {
        match step {
            Step::Set(Object::Address(wanted)) | Step::Replace(Object::Address(wanted)) => {
                self.set_address(now, wanted)
            }
            Step::Remove(Object::Address(has)) => self.remove_address(has.interface, has.address),
            Step::Set(Object::Route(route)) | Step::Replace(Object::Route(route)) => {
                let table = self.table(now, table)?;
                self.put_route(now, table, route)
            }
            Step::Remove(Object::Route(route)) => {
                let table = self.table(now, table)?;
                self.remove_route(table, route)
            }
            Step::Set(Object::Setting(setting)) => self.set_setting(setting),
            Step::Set(Object::Takeover(interface)) => self.drop_kernel_made(now, *interface, None),
            Step::Set(Object::Leftover(interface, prefix)) => {
                self.drop_kernel_made(now, *interface, Some(*prefix))
            }
            Step::Set(Object::Deprecation(has)) => self.deprecate(now, *has),
            // This kernel follows no Route Information options.
            Step::Set(Object::LostRouter(interface, router, destination))
                if destination.prefix_len() == 0 =>
            {
                self.drop_router(now, *interface, Some(*router))
            }
            Step::Set(_) | Step::Replace(_) | Step::Remove(_) => Ok(()),
        }
    }

    /// The routing table, which is read once for all steps that are taken together.
    fn table<'a>(
        &mut self,
        now: Instant,
        table: &'a mut Option<Table>,
    ) -> Result<&'a mut Table, Errno> {
        match table {
            Some(table) => Ok(table),
            None => Ok(table.insert(Table::read(&mut self.calls, now)?)),
        }
    }

    /// Sets a value; that the interface is gone is no error.
    fn set_setting(&mut self, setting: &Setting) -> Result<(), Errno> {
        if setting.name == Sysctl::Forwarding {
            return self.calls.set_sysctl_by_name(FORWARDING, setting.value);
        }
        let info = match self.interface_info(&setting.interface) {
            Err(errno) if errno.is_absence() => return Ok(()),
            info => info?,
        };
        let value = u32::try_from(setting.value).map_err(|_| Errno::INVAL)?;
        let (request, info) = match setting.name {
            Sysctl::AcceptRa => {
                let others = info.flags() & !abi::ACCEPT_ADVERTISEMENTS;
                let follows = if value == 0 { 0 } else { abi::ACCEPT_ADVERTISEMENTS };
                (abi::SET_INTERFACE_FLAGS, info.with_flags(others | follows))
            }
            Sysctl::HopLimit => {
                let hop_limit = u8::try_from(value).map_err(|_| Errno::INVAL)?;
                (abi::SET_INTERFACE_INFO, info.with_hop_limit(hop_limit))
            }
            Sysctl::Mtu => (abi::SET_INTERFACE_INFO, info.with_mtu(value)),
            // FreeBSD has no such setting.
            Sysctl::HonorPflag
            | Sysctl::OptimisticDad
            | Sysctl::UseOptimistic
            | Sysctl::MaxAddresses
            | Sysctl::Forwarding => return Ok(()),
        };
        match self.calls.ioctl(request, &mut info.into_argument()) {
            Err(errno) if errno.is_absence() => Ok(()),
            result => result,
        }
    }

    pub(super) fn interface_info(&mut self, name: &str) -> Result<InterfaceInfo, Errno> {
        look::info(&mut self.calls, name)
    }

    /// The name of an interface.
    pub(super) fn name(&self, interface: IfIndex) -> Result<String, Errno> {
        self.watch.borrow().names.get(&interface).cloned().ok_or(Errno::NXIO)
    }

    /// Has the events wake for the next thing that has to be looked at.
    fn wake(&mut self, now: Instant) {
        let rest = self.watch.borrow().rest(now);
        self.calls.wake_after(rest);
    }

    /// The IPv6 neighbors on `interface` whose link-layer address the kernel knows. When they were
    /// last known to be reachable FreeBSD does not say.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn list_neighbors(&mut self, interface: IfIndex) -> Result<Vec<Neighbor>, Errno> {
        let table = self.calls.sysctl(&abi::NEIGHBORS)?;
        let mut found = Vec::new();
        for message in messages(&table) {
            if let Message::Route(entry) = message
                && let Some((of, address, link_layer)) = entry.neighbor()
                && of == interface
            {
                let (link_layer, unconfirmed_for) = (link_layer.to_vec(), Duration::MAX);
                found.push(Neighbor { address, link_layer, unconfirmed_for });
            }
        }
        Ok(found)
    }

    /// The link-layer address of a neighbor, where the system knows it; nothing is sent on the
    /// link.
    pub fn neighbor(&mut self, interface: IfIndex, address: Ipv6Addr) -> Option<Vec<u8>> {
        let neighbors = self.list_neighbors(interface).ok()?;
        let found = neighbors.into_iter().find(|neighbor| neighbor.address == address);
        found.map(|neighbor| neighbor.link_layer)
    }
}
