//! Socket options that neither `socket2` nor `nix` knows.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use socket2::Socket;

use super::super::icmpv6_filter::icmpv6_filter;

/// Number of the control message that tells the size of the largest fragment: the system has none,
/// and what came in fragments is not seen to have.
pub(crate) const FRAGMENT_SIZE: i32 = i32::MIN;

const ICMP6_FILTER: i32 = 18; // netinet/icmp6.h

/// The system does not report fragments.
pub(crate) fn receive_fragment_size(_socket: impl AsFd) -> io::Result<()> {
    Ok(())
}

/// A socket receives the groups that itself has joined, without any option.
pub(crate) fn receive_own_groups(_socket: impl AsFd) -> io::Result<()> {
    Ok(())
}

/// The system does not show a raw socket which packets came from a link.
pub(crate) fn pass_local_packets(_socket: &Socket) -> io::Result<()> {
    Ok(())
}

/// What is sent waits for its neighbor outside of the socket's buffer.
pub(crate) fn widen_send_buffer(_socket: &Socket, _octets: u32) -> io::Result<()> {
    Ok(())
}

/// Lets a raw ICMPv6 socket receive these message types alone.
pub(crate) fn pass_icmpv6_types(socket: impl AsFd, types: &[u8]) -> io::Result<()> {
    let filter = icmpv6_filter(types);
    let length = libc::socklen_t::try_from(filter.len()).map_err(io::Error::other)?;
    #[expect(unsafe_code, reason = "nobody wraps this option; pointer and length are one array's")]
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_ICMPV6,
            ICMP6_FILTER,
            filter.as_ptr().cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
