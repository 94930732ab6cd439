//! The system call that no safe crate at hand has, and the clock.
#![allow(unsafe_code, reason = "TUNSETIFF; nothing else is here")]

use std::ffi::c_short;
use std::fs::{File, OpenOptions};
use std::io::Error;
use std::mem::zeroed;
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use renumberd::daemon::clock;

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

/// The time since boot: the same in every namespace and process, and that of packets.
pub fn monotonic() -> Duration {
    clock::now().since_boot()
}
