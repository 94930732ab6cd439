//! The events of the kernel: links, addresses, our routes, forwarding, routers that do not answer.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use netlink_packet_core::NetlinkPayload;
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};
use nix::sys::socket::{setsockopt, sockopt};
use socket2::{SockFilter, SockRef};

use super::kernel::{Kernel, messages};
use super::{MARK, decode, sysctl};
use crate::core::kernel::system::KernelEvent;
use crate::platform::Drained;
use crate::time::Instant;

// linux/rtnetlink.h
const GROUP_LINK: u32 = 1;
const GROUP_NEIGH: u32 = 3;
const GROUP_IPV6_ADDRESS: u32 = 9;
const GROUP_IPV6_ROUTE: u32 = 11;
const GROUP_IPV6_NETCONF: u32 = 25;
const NEW_NETCONF: u16 = 80;

// linux/filter.h and linux/netlink.h: instructions of classic BPF, and fields of the header
const LOAD_ABSOLUTE: u16 = 0x20;
const JUMP_IF_EQUAL: u16 = 0x15;
const JUMP_IF_SET: u16 = 0x45;
const RETURN: u16 = 0x06;
const HALF: u16 = 0x08;
const WORD: u16 = 0x00;
const OCTET: u16 = 0x10;
const TYPE_OFFSET: u32 = 4;
const PORT_OFFSET: u32 = 12;

// linux/rtnetlink.h, behind the header
const ROUTE_PROTOCOL_OFFSET: u32 = 21;

// linux/neighbour.h, behind the header
const NEIGHBOR_STATE_OFFSET: u32 = 24;
const NEIGHBOR_FLAGS_OFFSET: u32 = 26;
const STATE_FAILED: u16 = 0x20;
const FLAG_ROUTER: u32 = 0x80;

const RECEIVE_OCTETS: usize = 64 * 1024;
/// A burst of a few thousand events fits.
const SOCKET_OCTETS: usize = 4 << 20;
/// Datagrams read before others have their turn.
const BATCH: usize = 64;

/// A socket that receives the kernel's reports.
#[derive(Debug)]
pub struct Events {
    socket: Socket,
    buffer: Vec<u8>,
}

/// Enlarges the buffer of a socket for a burst of events: beyond the system's limit only with
/// CAP_NET_ADMIN of the whole machine, else up to that limit.
pub(crate) fn widen(socket: &Socket) {
    if setsockopt(socket, sockopt::RcvBufForce, &SOCKET_OCTETS).is_err() {
        let _ = setsockopt(socket, sockopt::RcvBuf, &SOCKET_OCTETS);
    }
}

impl Events {
    /// Opens the socket.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_ROUTE)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.set_non_blocking(true)?;
        widen(&socket);
        for group in
            [GROUP_LINK, GROUP_NEIGH, GROUP_IPV6_ADDRESS, GROUP_IPV6_ROUTE, GROUP_IPV6_NETCONF]
        {
            socket.add_membership(group)?;
        }
        Ok(Self { socket, buffer: Vec::with_capacity(RECEIVE_OCTETS) })
    }

    /// Keeps out reports that nobody here needs. Routes that `asker` has changed: it knows them,
    /// and learns of a refusal by its answer. Routes of others: a node that floods a link with
    /// advertisements has the kernel make them by the thousand. Neighbors, except routers that do
    /// not answer: a node that scans a link makes entries by the thousand. Addresses are all
    /// reported, as only the kernel knows when one has become usable.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn leave_out_what_is_known_to(&self, asker: &Kernel) -> io::Result<()> {
        // Classic BPF reads in network order, netlink writes in the machine's.
        let half = |value: u16| u32::from(u16::from_be_bytes(value.to_ne_bytes()));
        let port = u32::from_be_bytes(asker.port()?.to_ne_bytes());
        let load = |size, offset| SockFilter::new(LOAD_ABSOLUTE | size, 0, 0, offset);
        let jump = |value, equal, other| SockFilter::new(JUMP_IF_EQUAL, equal, other, value);
        let jump_if_set = |bits, set, other| SockFilter::new(JUMP_IF_SET, set, other, bits);
        let verdict = |octets| SockFilter::new(RETURN, 0, 0, octets);
        let program = [
            load(HALF, TYPE_OFFSET),
            jump(half(libc::RTM_DELNEIGH), 12, 0),
            jump(half(libc::RTM_NEWNEIGH), 0, 4),
            load(HALF, NEIGHBOR_STATE_OFFSET),
            jump_if_set(half(STATE_FAILED), 0, 9),
            load(OCTET, NEIGHBOR_FLAGS_OFFSET),
            jump_if_set(FLAG_ROUTER, 6, 7),
            jump(half(libc::RTM_NEWROUTE), 1, 0),
            jump(half(libc::RTM_DELROUTE), 0, 4),
            load(OCTET, ROUTE_PROTOCOL_OFFSET),
            jump(u32::from(MARK), 0, 3),
            load(WORD, PORT_OFFSET),
            jump(port, 1, 0),
            verdict(u32::MAX),
            verdict(0),
        ];
        SockRef::from(&self.socket).attach_filter(&program)
    }

    /// Reads what there is into `events`; after [`Drained::Overrun`] they are void.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn read(&mut self, now: Instant, events: &mut Vec<KernelEvent>) -> io::Result<Drained> {
        for _ in 0..BATCH {
            match self.receive() {
                Ok(true) => {}
                Ok(false) => return Ok(Drained::Whole),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    self.discard()?;
                    return Ok(Drained::Overrun);
                }
                Err(error) => return Err(error),
            }
            if self.is_netconf() {
                events.push(KernelEvent::Forwarding(sysctl::forwarding().unwrap_or(false)));
                continue;
            }
            for message in messages(&self.buffer) {
                if let NetlinkPayload::InnerMessage(message) = message.payload {
                    events.extend(decode::events(now, &message));
                }
            }
        }
        Ok(Drained::More)
    }

    /// Reads a datagram; false when there is none.
    fn receive(&mut self) -> io::Result<bool> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, libc::MSG_TRUNC) {
                Ok(length) if length > self.buffer.len() => {
                    return Err(io::Error::from_raw_os_error(libc::ENOBUFS));
                }
                Ok(_) => return Ok(true),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads all that still waits and forgets it. It is older than what was lost, so that taken
    /// in after a dump it would revive what is gone; and until all of it is read the kernel drops
    /// what follows without saying so again.
    fn discard(&mut self) -> io::Result<()> {
        loop {
            match self.receive() {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// A change of some interface's settings, forwarding perhaps.
    fn is_netconf(&self) -> bool {
        self.buffer.get(4..6) == Some(NEW_NETCONF.to_ne_bytes().as_slice())
    }
}

impl AsRawFd for Events {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
