//! The kernel's state, as far as the agent knows it: links, addresses and routes, which the kernel
//! reports, and objects that only the agent knows to have made.

use std::collections::BTreeMap;

use super::object::{Key, Object, Port, Setting, Step, Sysctl, WHOLE_MACHINE};
use super::system::System;
use crate::core::kernel::object::Group;
use crate::core::kernel::system::KernelEvent;
use crate::net::IfIndex;
use crate::time::{Instant, Until};

/// The kernel's state.
#[derive(Clone, Debug, Default)]
pub(in crate::core) struct State {
    /// Links, addresses and routes.
    pub system: System,
    /// Objects of other kinds, which the kernel does not report.
    made: BTreeMap<Key, Object>,
}

impl State {
    /// Objects that the kernel does not report.
    pub(super) fn made(&self) -> impl Iterator<Item = (&Key, &Object)> {
        self.made.iter()
    }

    /// Whether an equal object, of a kind that the kernel does not report, was made.
    pub(super) fn has_made(&self, object: &Object) -> bool {
        self.made.get(&object.key()) == Some(object)
    }

    /// Whether a group is heard on an interface.
    pub(in crate::core) fn is_member(&self, group: Group, interface: IfIndex) -> bool {
        self.made.contains_key(&Key::Membership(group, interface))
    }

    /// Whether a port is open.
    pub(in crate::core) fn is_open(&self, port: Port) -> bool {
        self.made.contains_key(&Key::Port(port))
    }

    /// The number of the interface that settings under this name belong to: 0 for the whole
    /// machine.
    pub(super) fn index_of_settings(&self, interface: &str) -> Option<IfIndex> {
        if interface == WHOLE_MACHINE {
            return Some(IfIndex(0));
        }
        self.system.link(interface).map(|link| link.index)
    }

    /// Another program has switched off forwarding, which the agent had switched on.
    pub(in crate::core) fn forget_forwarding(&mut self) {
        self.made.remove(&Key::Setting(IfIndex(0), Sysctl::Forwarding));
    }

    /// Whether the agent has switched on forwarding, which the kernel reports a moment later.
    pub(in crate::core) fn has_switched_forwarding_on(&self) -> bool {
        let made = self.made.get(&Key::Setting(IfIndex(0), Sysctl::Forwarding));
        matches!(made, Some(Object::Setting(Setting { value: 1, .. })))
    }

    /// The value that the agent gave a setting of the interface of this name.
    pub(super) fn setting(&self, interface: &str, name: Sysctl) -> Option<i32> {
        let index = self.index_of_settings(interface)?;
        match self.made.get(&Key::Setting(index, name)) {
            Some(Object::Setting(Setting { value, .. })) => Some(*value),
            Some(_) | None => None,
        }
    }

    /// Assumes that a step succeeds.
    pub(super) fn assume(&mut self, step: Step) {
        match step {
            Step::Set(Object::Address(mut address))
            | Step::Replace(Object::Address(mut address)) => {
                let before = self.system.addresses.get(&(address.interface, address.address));
                // A new address is usable only when the kernel says so.
                address.tentative = before.is_none_or(|before| before.tentative);
                address.duplicate = before.is_some_and(|before| before.duplicate);
                self.system.handle(KernelEvent::Address(address));
            }
            Step::Set(Object::Route(route)) | Step::Replace(Object::Route(route)) => {
                self.system.handle(KernelEvent::Route(route));
            }
            Step::Set(Object::Deprecation(has)) => {
                if let Some(known) = self.system.addresses.get_mut(&(has.interface, has.address)) {
                    known.preferred_until = Until::At(Instant::BOOT);
                }
            }
            Step::Remove(Object::Address(address)) => self.forget_address(&address),
            Step::Remove(Object::Route(route)) => {
                self.system.handle(KernelEvent::RouteGone(route));
            }
            Step::Set(object) | Step::Replace(object) => {
                self.note_setting(&object);
                self.leave_with_port(&object);
                self.make(object);
            }
            Step::Remove(object) => {
                self.leave_with_port(&object);
                self.made.remove(&object.key());
            }
        }
    }

    /// Drops the memberships of a socket that is closed or opened: it is in no group, even where it
    /// could not leave one before.
    fn leave_with_port(&mut self, object: &Object) {
        if *object == Object::Port(Port::Server) {
            self.made.retain(
                |_, made| !matches!(made, Object::Membership(group, _) if group.is_for_servers()),
            );
        }
    }

    /// Takes back the assumption about a refused step; returns false where that is no news.
    pub(super) fn refuse(&mut self, step: &Step) -> bool {
        match step {
            Step::Set(Object::Address(address)) | Step::Replace(Object::Address(address)) => {
                self.forget_address(address);
            }
            Step::Set(Object::Route(route)) | Step::Replace(Object::Route(route)) => {
                self.system.handle(KernelEvent::RouteGone(route.clone()));
            }
            // The shell reads the kernel's state anew.
            Step::Set(Object::Deprecation(_))
            | Step::Remove(Object::Address(_) | Object::Route(_)) => {}
            Step::Set(object) | Step::Replace(object) => {
                self.made.remove(&object.key());
                // Where the port is refused, its groups are refused too.
                return !self.is_without_port(object);
            }
            Step::Remove(object) => {
                let is_there = |index| self.system.links.contains_key(&index);
                if !self.is_without_port(object) && object.interface().is_none_or(is_there) {
                    self.make(object.clone());
                }
            }
        }
        true
    }

    /// Drops everything about links that have vanished, after one event or a whole new state: a
    /// link that comes back has another number. Returns the steps for their memberships.
    pub(super) fn forget_links(&mut self) -> Vec<Step> {
        let links = &self.system.links;
        self.system.duplicates.retain(|(index, _)| links.contains_key(index));
        let mut left = Vec::new();
        self.made.retain(|_, object| {
            let is_there = |index: IfIndex| index.0 == 0 || links.contains_key(&index);
            let stays = object.interface().is_none_or(is_there);
            if !stays && matches!(object, Object::Membership(..)) {
                // The socket would keep the membership for ever.
                left.push(Step::Remove(object.clone()));
            }
            stays
        });
        left
    }

    /// Takes over the kernel's whole state.
    pub(super) fn replace(&mut self, system: System) {
        let before = std::mem::replace(&mut self.system, system);
        let running =
            |system: &System, index: &IfIndex| system.links.get(index).map(|link| link.running);
        let mut duplicates = std::mem::take(&mut self.system.duplicates);
        duplicates.extend(&before.duplicates);
        duplicates.retain(|(index, _)| {
            let has_returned = running(&self.system, index) == Some(true)
                && running(&before, index) == Some(false);
            !has_returned
        });
        self.system.duplicates = duplicates;
    }

    /// The kernel reports no change of whether it follows advertisements.
    fn note_setting(&mut self, object: &Object) {
        if let Object::Setting(Setting { index, name: Sysctl::AcceptRa, value, .. }) = object
            && let Some(link) = self.system.links.get_mut(index)
        {
            link.accept_ra = Some(*value);
        }
    }

    fn make(&mut self, object: Object) {
        self.made.insert(object.key(), object);
    }

    fn forget_address(&mut self, address: &super::system::KernelAddress) {
        let (interface, address) = (address.interface, address.address);
        self.system.handle(KernelEvent::AddressGone { interface, address });
    }

    /// Whether an object belongs to UDP port 547, which is closed.
    fn is_without_port(&self, object: &Object) -> bool {
        let is_of_port = matches!(object, Object::Membership(group, _) if group.is_for_servers());
        is_of_port && !self.is_open(Port::Server)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::kernel::object::Refusal;
    use crate::core::kernel::system::Link;

    const LAN: IfIndex = IfIndex(3);
    const WLAN: IfIndex = IfIndex(4);

    fn link(index: IfIndex) -> KernelEvent {
        KernelEvent::Link(Link {
            index,
            name: format!("link{}", index.0),
            running: true,
            multicast: true,
            point_to_point: false,
            link_layer_address: None,
            mtu: 1500,
            accept_ra: None,
            carrier_ups: 0,
        })
    }

    fn setting(index: IfIndex, value: i32) -> Object {
        let interface = format!("link{}", index.0);
        Object::Setting(Setting { index, interface, name: Sysctl::AcceptRa, value })
    }

    fn state() -> State {
        let mut state = State::default();
        [link(LAN), link(WLAN)].into_iter().for_each(|event| state.system.handle(event));
        let objects = [LAN, WLAN].map(|index| {
            [
                setting(index, 0),
                Object::Membership(Group::AllRouters, index),
                Object::Takeover(index),
            ]
        });
        objects.into_iter().flatten().for_each(|object| state.assume(Step::Set(object)));
        state.assume(Step::Set(Object::Port(Port::Server)));
        state
    }

    /// The one clean-up, whichever way a link vanishes.
    #[test]
    fn objects_on_a_link_vanish_with_it_and_its_membership_is_left() {
        let one_event = {
            let mut state = state();
            state.system.handle(KernelEvent::LinkGone(LAN));
            state
        };
        let whole = {
            let mut state = state();
            let mut system = System::default();
            system.handle(link(WLAN));
            state.replace(system);
            state
        };
        for mut state in [one_event, whole] {
            let left = state.forget_links();
            assert_eq!(left, [Step::Remove(Object::Membership(Group::AllRouters, LAN))]);
            assert_eq!(state.setting("link3", Sysctl::AcceptRa), None);
            assert_eq!(state.setting("link4", Sysctl::AcceptRa), Some(0));
            assert!(state.is_member(Group::AllRouters, WLAN) && state.is_open(Port::Server));
            assert!(!state.is_member(Group::AllRouters, LAN));
            assert_eq!(state.made().count(), 4);
            assert_eq!(state.forget_links(), []);
        }
    }

    /// Only a link that was down and runs again has its addresses checked anew by the kernel.
    #[test]
    fn a_duplicate_is_forgotten_when_its_link_runs_again() {
        let address = "2001:db8::1".parse().unwrap();
        let with_link = |running| {
            let mut system = System::default();
            let KernelEvent::Link(link) = link(LAN) else { unreachable!() };
            system.handle(KernelEvent::Link(Link { running, ..link }));
            system
        };
        for (before, after, is_kept) in
            [(true, true, true), (true, false, true), (false, false, true), (false, true, false)]
        {
            let mut state = State { system: with_link(before), ..State::default() };
            state.system.duplicates.insert((LAN, address));
            state.replace(with_link(after));
            let kept = state.system.duplicates.contains(&(LAN, address));
            assert_eq!(kept, is_kept, "running {before}, then {after}");
        }
    }

    #[test]
    fn a_refused_step_is_taken_back() {
        let mut state = state();
        assert!(state.refuse(&Step::Set(setting(LAN, 0))));
        assert!(!state.has_made(&setting(LAN, 0)));
        let membership = Object::Membership(Group::AllRouters, LAN);
        state.assume(Step::Remove(membership.clone()));
        assert!(state.refuse(&Step::Remove(membership.clone())));
        assert!(state.has_made(&membership), "it is still there");
    }

    /// A group that could not be left is left all the same when the port is closed.
    #[test]
    fn groups_go_with_the_port() {
        let mut state = state();
        let group = Object::Membership(Group::DhcpServers, LAN);
        state.assume(Step::Set(group.clone()));
        state.assume(Step::Remove(group.clone()));
        assert!(state.refuse(&Step::Remove(group.clone())));
        assert!(state.has_made(&group), "it is still there");
        state.assume(Step::Remove(Object::Port(Port::Server)));
        state.assume(Step::Set(Object::Port(Port::Server)));
        assert!(!state.has_made(&group), "the new socket is in no group");
        assert!(state.is_member(Group::AllRouters, LAN), "that is another socket");
    }

    /// Where the port is refused its groups say nothing more.
    #[test]
    fn groups_of_a_port_that_is_refused_are_not_refused_beside_it() {
        let mut state = state();
        let group = Step::Set(Object::Membership(Group::DhcpServers, LAN));
        state.assume(group.clone());
        assert!(state.refuse(&Step::Set(Object::Port(Port::Server))));
        assert!(!state.refuse(&group));
        assert!(group.is_doubtful(Refusal::NoBuffer) && !group.is_doubtful(Refusal::Exists));
    }
}
