//! Settings of interfaces: one value is changed, and the others are written back as they were.

use renumberd::core::kernel::object::Refusal;
use renumberd::core::output::{Object, Setting, Step, Sysctl};

use super::fake::EM0;
use super::machine::Machine;

fn setting(interface: &str, name: Sysctl, value: i32) -> Step {
    Step::Set(Object::Setting(Setting { index: EM0, interface: interface.to_owned(), name, value }))
}

/// RA-RX-80: ACCEPT_RTADV is one bit of many.
#[test]
fn following_advertisements_is_one_bit() {
    let mut machine = Machine::new();
    let flags = |machine: &Machine| machine.fake.borrow().interfaces[&EM0].nd_flags;
    assert_eq!((machine.kernel.setting("em0", Sysctl::AcceptRa), flags(&machine)), (Some(0), 0x21));
    machine.take(&[setting("em0", Sysctl::AcceptRa, 2)]);
    assert_eq!((machine.kernel.setting("em0", Sysctl::AcceptRa), flags(&machine)), (Some(2), 0x23));
    machine.take(&[setting("em0", Sysctl::AcceptRa, 0)]);
    assert_eq!(flags(&machine), 0x21);
}

#[test]
fn hop_limit_and_mtu_leave_the_rest_alone() {
    let mut machine = Machine::new();
    machine.take(&[setting("em0", Sysctl::HopLimit, 32), setting("em0", Sysctl::Mtu, 1400)]);
    assert_eq!(machine.kernel.setting("em0", Sysctl::HopLimit), Some(32));
    assert_eq!(machine.kernel.setting("em0", Sysctl::Mtu), Some(1400));
    assert_eq!(machine.fake.borrow().interfaces[&EM0].nd_flags, 0x21);
    let invalid = Refusal::Other { number: 22, text: "Invalid argument" };
    let steps = [setting("em0", Sysctl::Mtu, 68), setting("em0", Sysctl::HopLimit, 300)];
    assert_eq!(machine.apply(&steps), [(0, invalid), (1, invalid)]);
}

/// An interface that is gone has no settings, which is no error.
#[test]
fn a_setting_of_an_interface_that_is_gone_is_no_error() {
    let mut machine = Machine::new();
    assert_eq!(machine.kernel.setting("tun9", Sysctl::AcceptRa), None);
    machine.take(&[setting("tun9", Sysctl::AcceptRa, 0)]);
}

#[test]
fn neighbors_are_read_from_their_table() {
    let mut machine = Machine::new();
    let router = "fe80::2".parse().unwrap();
    assert_eq!(machine.kernel.neighbor(EM0, router), Some(vec![2, 0, 0, 0, 0, 9]));
    assert_eq!(machine.kernel.neighbor(super::fake::EM1, router), None);
    assert_eq!(machine.kernel.list_neighbors(EM0).unwrap().len(), 1);
}

/// FBS-14: forwarding is switched on where the configuration has the agent do that, and is what it
/// was when that is over.
#[test]
fn forwarding_is_a_setting_of_the_whole_machine() {
    let mut machine = Machine::new();
    machine.fake.borrow_mut().forwarding = 0;
    assert_eq!(machine.kernel.setting("all", Sysctl::Forwarding), Some(0));
    machine.take(&[setting("all", Sysctl::Forwarding, 1)]);
    assert_eq!(machine.kernel.setting("all", Sysctl::Forwarding), Some(1));
    machine.dump();
    assert!(machine.system.forwarding);
    machine.take(&[setting("all", Sysctl::Forwarding, 0)]);
    assert_eq!(machine.fake.borrow().forwarding, 0);
}

/// FBS-14: what the kernel does with Neighbor Solicitations of others is read with the rest.
#[test]
fn ignored_neighbors_are_read() {
    let mut machine = Machine::new();
    for (value, ignores) in [(0, true), (1, false)] {
        machine.fake.borrow_mut().answers_off_link = value;
        machine.dump();
        assert_eq!(machine.system.ignores_off_link, ignores);
    }
}
