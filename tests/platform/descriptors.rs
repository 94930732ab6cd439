//! Descriptors: what is opened is closed, and nobody inherits it.

use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;

use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use renumberd::platform::linux::Kernel;
use renumberd::platform::sockets::{Dhcpv6Socket, Icmpv6Socket};
use renumberd::platform::watch;

use super::bench::on_machine;
use crate::lab::secs;

/// What a descriptor stands for: `socket:[…]`, the number of which is never given again.
fn name_of(descriptor: &impl AsRawFd) -> PathBuf {
    std::fs::read_link(format!("/proc/self/fd/{}", descriptor.as_raw_fd())).unwrap()
}

/// Whether any descriptor of this process stands for it.
fn is_open(name: &PathBuf) -> bool {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap();
    entries
        .filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok())
        .any(|open| open == *name)
}

fn assert_private(descriptor: &impl AsFd) {
    let flags = fcntl(descriptor, FcntlArg::F_GETFD).unwrap();
    assert!(FdFlag::from_bits_retain(flags).contains(FdFlag::FD_CLOEXEC));
    let status = fcntl(descriptor, FcntlArg::F_GETFL).unwrap();
    assert!(OFlag::from_bits_retain(status).contains(OFlag::O_NONBLOCK));
}

/// SEC-12: programs that the agent starts get none of its sockets, and none is left when it has
/// let go, watched by the event loop or not.
#[test]
fn sockets_are_private_nonblocking_and_closed_in_the_end() {
    on_machine(|_, _| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let _guard = runtime.enter();
        let (kernel, events) = Kernel::open().unwrap();
        let (icmpv6, dhcpv6) = (Icmpv6Socket::open().unwrap(), Dhcpv6Socket::open().unwrap());
        assert_private(&events);
        assert_private(&icmpv6);
        assert_private(&dhcpv6);
        let names = [name_of(&events), name_of(&icmpv6), name_of(&dhcpv6)];
        assert!(names.iter().all(is_open));
        let watched = (watch(events).unwrap(), watch(icmpv6).unwrap(), watch(dhcpv6).unwrap());
        assert!(names.iter().all(is_open));
        drop((kernel, watched));
        assert!(!names.iter().any(is_open));
    });
}

/// The event loop wakes for an event of the kernel, and a second time for the next.
#[test]
fn the_event_loop_wakes_for_events() {
    on_machine(|machine, platform| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut events = watch(platform.events).unwrap();
            for mtu in [1400, 1300] {
                machine.ip(&format!("link set one0 mtu {mtu}"));
                let mut read = Vec::new();
                let readable = tokio::time::timeout(secs(5), events.readable_mut()).await;
                let mut guard = readable.unwrap().unwrap();
                let now = renumberd::daemon::clock::now();
                guard.get_inner_mut().read(now, &mut read).unwrap();
                guard.clear_ready();
                assert!(!read.is_empty());
            }
        });
    });
}
