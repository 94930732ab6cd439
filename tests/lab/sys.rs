//! The few system calls that no safe crate at hand has.
#![allow(unsafe_code, reason = "setns, TUNSETIFF and poll; nothing else is here")]

use std::ffi::c_short;
use std::fs::{File, OpenOptions};
use std::io::Error;
use std::mem::zeroed;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Runs `work` on a thread of its own inside the network namespace `name`. Sockets opened there
/// stay there, whichever thread uses them.
pub fn in_namespace<T: Send>(name: &str, work: impl FnOnce() -> T + Send) -> T {
    let enter = || {
        let path = format!("/run/netns/{name}");
        let file = File::open(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
        // SAFETY: takes a descriptor and a flag; it moves this thread only.
        let result = unsafe { libc::setns(file.as_raw_fd(), libc::CLONE_NEWNET) };
        assert_eq!(result, 0, "setns {name}: {}", Error::last_os_error());
        work()
    };
    std::thread::scope(|scope| match scope.spawn(enter).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

/// A tun device, packets without header, in the namespace of the calling thread. It lives as long
/// as the file is open.
pub fn open_tun(name: &str) -> File {
    let remedy = "needs /dev/net/tun and root: sudo tests/all.sh";
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/net/tun")
        .unwrap_or_else(|error| panic!("/dev/net/tun: {error}; {remedy}"));
    // SAFETY: all zeros is a valid ifreq.
    let mut request: libc::ifreq = unsafe { zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(15)) {
        *to = from.cast_signed();
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TUN | libc::IFF_NO_PI) as c_short;
    // SAFETY: TUNSETIFF reads an ifreq, and `request` is one.
    let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
    assert_eq!(result, 0, "TUNSETIFF {name}: {}; {remedy}", Error::last_os_error());
    file
}

/// Which of two descriptors can be read, or is broken, within `timeout`.
pub fn poll(fds: [BorrowedFd<'_>; 2], timeout: Duration) -> [bool; 2] {
    let mut polled =
        fds.map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
    let millis = i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX);
    // SAFETY: the array is valid for the two entries that are announced.
    unsafe { libc::poll(polled.as_mut_ptr(), 2, millis) };
    polled.map(|fd| fd.revents != 0)
}

/// CLOCK_MONOTONIC: the same in every namespace and process.
pub fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap().into()
}
