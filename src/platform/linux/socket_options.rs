//! Socket options that neither `socket2` nor `nix` knows.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use socket2::{SockFilter, Socket};

/// Number of the control message that tells the size of the largest fragment. It comes with
/// packets that were put together from fragments only.
pub(crate) const FRAGMENT_SIZE: i32 = libc::IPV6_RECVFRAGSIZE;

const ICMP6_FILTER: i32 = 1; // linux/icmpv6.h

/// Asks for [`FRAGMENT_SIZE`] control messages.
pub(crate) fn receive_fragment_size(socket: impl AsFd) -> io::Result<()> {
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVFRAGSIZE, &1_i32.to_ne_bytes())
}

/// Lets a socket receive of groups that itself has joined, and not of all that anyone has.
pub(crate) fn receive_own_groups(socket: impl AsFd) -> io::Result<()> {
    set(socket, libc::IPPROTO_IPV6, libc::IPV6_MULTICAST_ALL, &0_i32.to_ne_bytes())
}

/// Lets so many octets wait to be sent, whatever the system's limit is for others, where this
/// process may.
pub(crate) fn widen_send_buffer(socket: &Socket, octets: u32) -> io::Result<()> {
    set(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, &octets.to_ne_bytes())
        .or_else(|_| socket.set_send_buffer_size(octets.try_into().map_err(io::Error::other)?))
}

/// Lets a raw ICMPv6 socket receive these message types alone.
pub(crate) fn pass_icmpv6_types(socket: impl AsFd, types: &[u8]) -> io::Result<()> {
    set(socket, libc::IPPROTO_ICMPV6, ICMP6_FILTER, &icmpv6_filter(types))
}

/// Lets a socket receive what this machine sends to itself alone: the copies of multicast packets
/// that the system hands back, and what comes by way of the loopback interface.
pub(crate) fn pass_local_packets(socket: &Socket) -> io::Result<()> {
    const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
    const JUMP_IF_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
    const RETURN: u16 = 0x06; // BPF_RET | BPF_K
    const PACKET_TYPE: u32 = 0xffff_f004; // SKF_AD_OFF + SKF_AD_PKTTYPE
    const INTERFACE: u32 = 0xffff_f008; // SKF_AD_OFF + SKF_AD_IFINDEX
    const LOOPED_BACK: u32 = 5; // PACKET_LOOPBACK
    const LOOPBACK_INTERFACE: u32 = 1; // LOOPBACK_IFINDEX
    socket.attach_filter(&[
        SockFilter::new(LOAD, 0, 0, PACKET_TYPE),
        SockFilter::new(JUMP_IF_EQUAL, 3, 0, LOOPED_BACK),
        SockFilter::new(LOAD, 0, 0, INTERFACE),
        SockFilter::new(JUMP_IF_EQUAL, 1, 0, LOOPBACK_INTERFACE),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

/// The filter's 256 bits in host order words: a set bit is a blocked type (other systems have it
/// the other way round).
fn icmpv6_filter(types: &[u8]) -> [u8; 32] {
    let mut words = [u32::MAX; 8];
    for &kind in types {
        if let Some(word) = words.get_mut(usize::from(kind >> 5)) {
            *word &= !(1 << (kind & 31));
        }
    }
    let mut filter = [0; 32];
    for (octets, word) in filter.chunks_exact_mut(4).zip(words) {
        octets.copy_from_slice(&word.to_ne_bytes());
    }
    filter
}

fn set(socket: impl AsFd, level: i32, option: i32, value: &[u8]) -> io::Result<()> {
    let length = libc::socklen_t::try_from(value.len()).map_err(io::Error::other)?;
    #[expect(
        unsafe_code,
        reason = "nobody wraps these options; pointer and length are one slice's"
    )]
    let result = unsafe {
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, value.as_ptr().cast(), length)
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use socket2::{Domain, Type};

    /// The limit for others is 208 KiB.
    #[test]
    fn a_send_buffer_is_as_wide_as_asked_for_where_that_is_allowed() {
        let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).unwrap();
        widen_send_buffer(&socket, 4 << 20).unwrap();
        let is_root = nix::unistd::geteuid().is_root();
        assert!(!is_root || socket.send_buffer_size().unwrap() >= 4 << 20);
    }

    #[test]
    fn the_filter_blocks_all_but_the_named_types() {
        let filter = icmpv6_filter(&[133, 134]);
        for kind in 0..=255_usize {
            let word = u32::from_ne_bytes(filter[kind / 32 * 4..][..4].try_into().unwrap());
            assert_eq!(word & (1 << (kind % 32)) == 0, kind == 133 || kind == 134, "{kind}");
        }
    }
}
