//! Interfaces that go while something is done with them: an error for a step, never an end.

use std::sync::atomic::{AtomicBool, Ordering};

use renumberd::core::kernel::object::Refusal;
use renumberd::core::kernel::system::KernelEvent;
use renumberd::core::kernel::system::RouteTarget;
use renumberd::core::output::{Group, Object, Setting, Step, Sysctl};
use renumberd::platform::linux::sysctl::{read_sysctl, write_sysctl};
use renumberd::platform::sockets::Dhcpv6Socket;

use super::bench::{Platform, ip, on_machine, packet, route, set, unset};
use crate::lab::{millis, pause};

fn steps(platform: &Platform, interface: &str) -> Vec<Step> {
    let index = platform.index(interface);
    let link = route("2001:db8::/64", RouteTarget::OnLink(index), 256);
    let far = route("2001:db8:1::/48", RouteTarget::Gateway(index, ip("fe80::1")), 512);
    vec![
        set(index, "2001:db8::1"),
        Step::Set(Object::Route(link.clone())),
        Step::Replace(Object::Route(far.clone())),
        Step::Set(Object::Membership(Group::AllRouters, index)),
        Step::Set(Object::Setting(Setting {
            index,
            interface: interface.to_owned(),
            name: Sysctl::AcceptRa,
            value: 0,
        })),
        Step::Remove(Object::Membership(Group::AllRouters, index)),
        Step::Remove(Object::Route(link)),
        Step::Remove(Object::Route(far)),
        unset(index, "2001:db8::1"),
    ]
}

/// What is wanted of an interface that is gone is refused as not there; what is to be taken from
/// it is taken from it already.
#[test]
fn steps_on_an_interface_that_is_gone_fail_alone() {
    on_machine(|machine, mut platform| {
        let index = platform.index("one0");
        let steps = steps(&platform, "one0");
        platform.take(&steps);
        machine.ip("link del one0");
        let refused = platform.apply(&steps);
        assert_eq!(refused, [0, 1, 2, 3].map(|position| (position, Refusal::NotThere)));
        platform.until("it is gone", |event| *event == KernelEvent::LinkGone(index));

        assert_eq!(read_sysctl("one0", Sysctl::AcceptRa), None);
        write_sysctl("one0", Sysctl::AcceptRa, 2).unwrap();
        let nobody = packet(index, ip("fe80::1"), "ff02::1", &[134; 16]);
        assert!(platform.icmpv6.send(&nobody).is_err());
        assert!(Dhcpv6Socket::open().unwrap().send(&nobody).is_err());
    });
}

/// Membership in a group outlives its interface, and a socket has room for some hundreds: it can
/// be given back.
#[test]
fn the_group_of_an_interface_that_is_gone_can_be_left() {
    on_machine(|machine, mut platform| {
        let index = platform.index("one0");
        platform.take(&[Step::Set(Object::Membership(Group::AllRouters, index))]);
        machine.ip("link del one0");
        platform.take(&[Step::Remove(Object::Membership(Group::AllRouters, index))]);
        let refused = platform.apply(&[Step::Set(Object::Membership(Group::AllRouters, index))]);
        assert_eq!(refused, [(0, Refusal::NotThere)]);
    });
}

/// An interface that comes and goes while steps are taken and the kernel is dumped: nothing
/// panics, hangs or fails with what would not go by itself.
#[test]
fn an_interface_may_go_at_any_moment() {
    on_machine(|machine, mut platform| {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for _ in 0..40 {
                    machine.ip("link add flap0 type veth peer name flap1");
                    machine.ip("link set flap0 up");
                    machine.ip("link set flap1 up");
                    pause(millis(3));
                    machine.ip("link del flap0");
                }
                over.store(true, Ordering::Relaxed);
            });
            let mut seen = 0;
            while !over.load(Ordering::Relaxed) {
                platform.system = platform.dump();
                platform.follow();
                if platform.system.link("flap0").is_none() {
                    continue;
                }
                seen += 1;
                for (position, refusal) in platform.apply(&steps(&platform, "flap0")) {
                    let passing = [libc::ENETDOWN, libc::ENETUNREACH, libc::EHOSTUNREACH];
                    let passes = refusal
                        .number()
                        .map_or(refusal == Refusal::NotThere, |number| passing.contains(&number));
                    assert!(passes, "step {position}: {refusal}");
                }
            }
            assert!(seen > 0);
        });
        platform.follow();
        assert!(platform.dump().link("flap0").is_none());
        assert!(platform.system.link("flap0").is_none());
        platform.take(&steps(&platform, "one0"));
    });
}
