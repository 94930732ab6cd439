//! Router advertisements that a program on this machine sends.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use socket2::{Domain, Protocol, Socket, Type};

use super::socket_options;
use super::sockets::{PacketSocket, ROUTER_ADVERTISEMENT};
use crate::core::input::Received;

/// A raw ICMPv6 socket that receives the router advertisements which this machine sends to itself:
/// the copy of what goes to all nodes, and answers from an own address to an own address. Where the
/// system can distinguish, nothing that arrives from a link is among them, whatever source it
/// names.
#[derive(Debug)]
pub struct LocalAdvertisements(PacketSocket);

impl LocalAdvertisements {
    /// Opens the socket; needs CAP_NET_RAW.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn open() -> io::Result<Self> {
        let socket =
            Socket::new(Domain::IPV6, Type::RAW.nonblocking().cloexec(), Some(Protocol::ICMPV6))?;
        socket_options::pass_local_packets(&socket)?;
        socket_options::pass_icmpv6_types(&socket, &[ROUTER_ADVERTISEMENT])?;
        let socket = PacketSocket::new(socket)?;
        socket.drain();
        Ok(Self(socket))
    }

    /// The next message; none when there is none yet.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn recv(&self) -> io::Result<Option<Received>> {
        self.0.recv()
    }
}

impl AsFd for LocalAdvertisements {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for LocalAdvertisements {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}
