//! What the kernel of a namespace reports of addresses and prefixes, as it happens.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use crate::platform::linux::events::widen;
use crate::platform::linux::kernel::messages;

const RECEIVE_OCTETS: usize = 64 * 1024;

/// What is reported. The numbers are those of linux/rtnetlink.h.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Group {
    /// IPv6 addresses, once they are no longer tentative.
    Addresses = 9,
    /// Prefixes that a host takes from an advertisement, before it has an address of them.
    Prefixes = 18,
}

/// A socket for events of the kernel.
#[derive(Debug)]
pub struct Monitor {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Monitor {
    /// Opens it in the calling thread's namespace.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn open(groups: &[Group]) -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.set_non_blocking(true)?;
        widen(&socket);
        for group in groups {
            socket.add_membership(*group as u32)?;
        }
        Ok(Self { socket, buffer: Vec::with_capacity(RECEIVE_OCTETS) })
    }

    /// The next messages, which the kernel has sent together; none when there are none yet.
    ///
    /// # Errors
    ///
    /// The system's error, among it that some were lost.
    pub fn recv(&mut self) -> io::Result<Option<Vec<RouteNetlinkMessage>>> {
        self.buffer.clear();
        match self.socket.recv(&mut self.buffer, libc::MSG_DONTWAIT) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
        let inner = messages(&self.buffer).filter_map(|message| {
            let NetlinkPayload::InnerMessage(message) = message.payload else { return None };
            Some(message)
        });
        Ok(Some(inner.collect()))
    }
}

impl AsFd for Monitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
