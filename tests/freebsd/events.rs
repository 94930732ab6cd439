//! What the kernel reports, what it does not, and what happens when it reports too much.

use std::time::Duration;

use renumberd::core::kernel::system::{KernelEvent, RouteTarget};
use renumberd::net::IfIndex;
use renumberd::platform::freebsd::{abi, route_message};
use renumberd::time::Until;

use super::fake::{EM0, EM1, OTHER};
use super::machine::{Machine, add, ip, net, route, set, via};

const OURS: &str = "2001:db8:1::1";
const SECOND: Duration = Duration::from_secs(1);

/// DWN-12: an interface appears, goes down and up, and is destroyed; of its routes no message tells.
#[test]
fn the_life_of_an_interface_is_reported() {
    let mut machine = Machine::new();
    let index = IfIndex(7);
    machine.fake.borrow_mut().attach(index, "tun0");
    let told = machine.follow();
    let is_link =
        |event: &KernelEvent| matches!(event, KernelEvent::Link(link) if link.name == "tun0");
    assert!(told.iter().any(is_link), "{told:?}");
    machine.pass(2 * SECOND);
    machine.take(&[add(&route("::/0", via(index, "fe80::9"), Until::Never))]);
    machine.dump();
    assert_eq!(machine.system.routes.len(), 1);
    machine.fake.borrow_mut().set_up(index, false);
    machine.follow();
    assert!(!machine.system.links[&index].running);
    machine.fake.borrow_mut().set_up(index, true);
    machine.follow();
    assert!(machine.system.links[&index].running);
    machine.assert_followed();

    machine.fake.borrow_mut().destroy(index);
    let told = machine.follow();
    assert!(told.contains(&KernelEvent::LinkGone(index)), "{told:?}");
    assert_eq!(machine.system.routes.len(), 0, "they went with it");
    machine.assert_followed();
}

/// An interface comes back with the number that it had: its end is reported before its beginning.
#[test]
fn an_interface_that_returns_has_been_gone() {
    let mut machine = Machine::new();
    let index = IfIndex(7);
    for _ in 0..2 {
        machine.fake.borrow_mut().attach(index, "tun0");
        machine.follow();
        machine.fake.borrow_mut().destroy(index);
        machine.fake.borrow_mut().attach(index, "tun0");
        let told = machine.follow();
        let gone = told.iter().position(|event| *event == KernelEvent::LinkGone(index)).unwrap();
        let back = told.iter().rposition(|event| matches!(event, KernelEvent::Link(_))).unwrap();
        assert!(gone < back, "{told:?}");
        machine.assert_followed();
        machine.fake.borrow_mut().destroy(index);
        machine.follow();
    }
}

/// Of a link that goes down and up no message tells that its addresses are tentative, nor when they
/// are no more.
#[test]
fn addresses_of_a_link_that_returns_are_followed() {
    let mut machine = Machine::new();
    let wanted = machine.address(OURS, 1800, 3600);
    machine.take(&[set(&wanted)]);
    machine.pass(2 * SECOND);
    assert!(machine.system.addresses[&(EM0, ip(OURS))].is_usable());
    machine.fake.borrow_mut().set_up(EM0, false);
    machine.follow();
    assert!(machine.system.addresses[&(EM0, ip(OURS))].tentative);
    machine.counts();
    machine.pass(20 * SECOND);
    assert_eq!(machine.counts().ioctls, 0, "nobody polls where nothing is detected");
    machine.fake.borrow_mut().set_up(EM0, true);
    machine.pass(3 * SECOND);
    assert!(machine.system.addresses[&(EM0, ip(OURS))].is_usable());
}

/// Finding 7: a socket that is full drops what follows without a word. What is read shows that there
/// may have been more, and what is not seen that way is seen by the clock.
#[test]
fn lost_messages_are_made_up_for() {
    let mut machine = Machine::new();
    let message = |kind, number: usize| {
        let destination = net(&format!("2001:db8:{number:x}::/48"));
        let target = via(EM0, "fe80::9");
        match kind {
            abi::ADD => {
                let mut message = route_message::add(destination, target, None, 1);
                message[8..12].copy_from_slice(&(abi::UP | abi::GATEWAY).to_le_bytes());
                message
            }
            _ => route_message::delete(destination, target, 1),
        }
    };
    {
        let mut fake = machine.fake.borrow_mut();
        for number in 0..500 {
            fake.request(&message(abi::ADD, number), OTHER).unwrap();
            fake.request(&message(abi::DELETE, number), OTHER).unwrap();
        }
        assert!(fake.lost > 0);
        fake.attach(IfIndex(7), "tun0");
    }
    machine.follow();
    assert!(machine.system.link("tun0").is_some());
    machine.assert_followed();

    // One that is lost although few others are there.
    machine.fake.borrow_mut().attach(IfIndex(8), "tun1");
    machine.fake.borrow_mut().queue.clear();
    machine.pass(61 * SECOND);
    assert!(machine.system.link("tun1").is_some());
}

/// What the agent itself has changed is known: its echo is no event. What others change of it is one.
#[test]
fn changes_of_our_routes_by_others_are_seen() {
    let mut machine = Machine::new();
    let ours = route("::/0", via(EM0, "fe80::1"), Until::Never);
    let dumps = machine.dumps;
    machine.take(&[add(&ours)]);
    assert_eq!(machine.follow(), []);
    assert_eq!(machine.dumps, dumps);
    machine.dump();

    // It is deleted.
    let gone = route_message::delete(net("::/0"), via(EM0, "fe80::1"), 1);
    machine.fake.borrow_mut().request(&gone, OTHER).unwrap();
    assert_eq!(machine.follow(), [KernelEvent::RouteGone(ours.clone())]);

    // It is changed, and so loses our mark.
    machine.take(&[add(&ours)]);
    machine.dump();
    let mut change = route_message::change(net("::/0"), via(EM1, "fe80::5"), None, 1);
    change[8..12].copy_from_slice(&(abi::UP | abi::GATEWAY | abi::STATIC).to_le_bytes());
    machine.fake.borrow_mut().request(&change, OTHER).unwrap();
    machine.follow();
    assert_eq!(machine.system.routes.len(), 0);
    assert_eq!(machine.paths(), ["::/0 via fe80::5%3 foreign"]);
}

/// A second path beside ours and its end: the message about its end shows ours, which is there.
#[test]
fn the_end_of_a_second_path_is_not_that_of_ours() {
    let mut machine = Machine::new();
    let ours = route("::/0", via(EM0, "fe80::1"), Until::Never);
    machine.take(&[add(&ours)]);
    machine.dump();
    let second = via(EM0, "fe80::2");
    let mut message = route_message::add(net("::/0"), second, None, 1);
    message[8..12].copy_from_slice(&(abi::UP | abi::GATEWAY | abi::STATIC).to_le_bytes());
    machine.fake.borrow_mut().request(&message, OTHER).unwrap();
    machine.follow();
    machine
        .fake
        .borrow_mut()
        .request(&route_message::delete(net("::/0"), second, 1), OTHER)
        .unwrap();
    machine.follow();
    assert!(machine.system.routes.keys().eq([&ours.key()]));
}

/// Nothing of others' routes and of neighbors is an event, and nobody reads anything anew for it.
#[test]
fn messages_about_others_cost_nothing() {
    let mut machine = Machine::new();
    let dumps = machine.dumps;
    for number in 0..50 {
        let destination = net(&format!("2001:db8:{number:x}::/48"));
        let mut message = route_message::add(destination, RouteTarget::Unreachable, None, 1);
        message[8..12].copy_from_slice(&(abi::UP | abi::GATEWAY | abi::REJECT).to_le_bytes());
        machine.fake.borrow_mut().request(&message, OTHER).unwrap();
    }
    machine.counts();
    assert_eq!(machine.follow(), []);
    let counts = machine.counts();
    assert_eq!((counts.ioctls, counts.sysctls, machine.dumps), (0, 0, dumps));
}

/// An address can be reported gone that is there, and there that is gone: what it is decides.
#[test]
fn reports_of_addresses_are_looked_up() {
    let mut machine = Machine::new();
    let wanted = machine.address(OURS, 1800, 3600);
    machine.take(&[set(&wanted)]);
    machine.pass(2 * SECOND);
    {
        let mut fake = machine.fake.borrow_mut();
        fake.remove(EM0, ip(OURS)).unwrap();
        fake.set(EM0, ip(OURS), 64, 0, (60, 60)).unwrap();
    }
    machine.follow();
    assert!(machine.system.addresses.contains_key(&(EM0, ip(OURS))));
    machine.assert_followed();
}

/// FBS-08: an interface is destroyed and made anew with its number, and both messages are lost: the
/// time at which it was attached shows it, and it is taken for another one.
#[test]
fn an_interface_that_was_replaced_without_a_message_has_been_gone() {
    let mut machine = Machine::new();
    let index = IfIndex(7);
    machine.fake.borrow_mut().attach(index, "tun0");
    machine.pass(3 * SECOND);
    {
        let mut fake = machine.fake.borrow_mut();
        fake.destroy(index);
        fake.attach(index, "tun0");
        fake.queue.clear();
    }
    machine.dump();
    assert!(machine.system.link("tun0").is_none(), "the core sees its end");
    assert!(machine.is_readable(), "and reads everything anew at once");
    machine.follow();
    assert!(machine.system.link("tun0").is_some());

    // Some other message leads to a look at the new one first.
    machine.pass(3 * SECOND);
    {
        let mut fake = machine.fake.borrow_mut();
        fake.destroy(index);
        fake.attach(index, "tun0");
        fake.queue.clear();
        fake.set_up(index, false);
    }
    let events = machine.follow();
    assert_eq!(events.first(), Some(&KernelEvent::LinkGone(index)), "{events:?}");
    assert!(machine.system.link("tun0").is_some());
    machine.assert_followed();
}

/// The kernel reports the end of an address before it removes it: who looks at once still finds it.
#[test]
fn an_address_that_is_still_there_when_its_end_is_reported_is_looked_at_again() {
    let mut machine = Machine::new();
    let wanted = machine.address(OURS, 1800, 3600);
    machine.take(&[set(&wanted)]);
    machine.pass(2 * SECOND);
    machine.fake.borrow_mut().remove(EM0, ip(OURS)).unwrap();
    machine.follow();
    assert!(machine.system.addresses.contains_key(&(EM0, ip(OURS))), "it was there");
    machine.pass(SECOND);
    assert!(!machine.system.addresses.contains_key(&(EM0, ip(OURS))));
}
