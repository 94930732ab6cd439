//! Raw ICMPv6, UDP 546 and UDP 547 sockets with their control messages.
//!
//! One socket of each kind serves all interfaces: control messages carry where a packet came in,
//! and where it is to leave. All are nonblocking, for one task; the server's answers can leave from
//! another thread too.

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice, IoSliceMut};
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, recvmsg, sendmsg, setsockopt,
    sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::socket_options;
use crate::core::input::Received;
use crate::core::output::{Hearing, Packet};
use crate::net::IfIndex;
use crate::net::{ALL_ROUTERS, DHCP_CLIENT_PORT, DHCP_SERVER_PORT};

const ROUTER_SOLICITATION: u8 = 133;
pub(super) const ROUTER_ADVERTISEMENT: u8 = 134;
const ECHO_REPLY: u8 = 129;
const NEIGHBOR_ADVERTISEMENT: u8 = 136;
const HOP_LIMIT: libc::c_int = 255; // RFC 4861 §6.1: proof that no router forwarded it
const RELAY_HOP_LIMIT: u32 = 8; // RFC 9915 §19: to ff05::1:3
const LARGEST_PACKET: usize = 65_535;
const RECEIVE_BUFFER: usize = 1 << 20;
/// Packets that wait for neighbor discovery are charged to the socket that has sent them, for three
/// seconds: answers to invented addresses must not keep the answers to others from leaving. Linux
/// waits for 1024 neighbors at most (gc_thresh3).
const SEND_BUFFER: u32 = 8 << 20;

/// A raw ICMPv6 socket for router solicitations and advertisements on all interfaces.
#[derive(Debug)]
pub struct Icmpv6Socket(PacketSocket);

impl Icmpv6Socket {
    /// Opens the socket; needs CAP_NET_RAW.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn open() -> io::Result<Self> {
        let socket =
            Socket::new(Domain::IPV6, Type::RAW.nonblocking().cloexec(), Some(Protocol::ICMPV6))?;
        socket_options::pass_icmpv6_types(&socket, &[ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT])?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_multicast_hops_v6(255)?;
        socket.set_unicast_hops_v6(255)?;
        let socket = PacketSocket::new(socket)?;
        socket.drain();
        Ok(Self(socket))
    }

    /// Receives these messages beside those of routers; at the start there are none.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn hear(&self, hearing: Hearing) -> io::Result<()> {
        let Hearing { echo_replies, neighbor_advertisements } = hearing;
        let mut types = vec![ROUTER_SOLICITATION, ROUTER_ADVERTISEMENT];
        types.extend(echo_replies.then_some(ECHO_REPLY));
        types.extend(neighbor_advertisements.then_some(NEIGHBOR_ADVERTISEMENT));
        socket_options::pass_icmpv6_types(&self.0.socket, &types)
    }

    /// Joins the all-routers group; a group that was joined before is no error.
    ///
    /// # Errors
    ///
    /// The system's error, ENODEV where the interface is gone.
    pub fn join_all_routers(&self, interface: IfIndex) -> io::Result<()> {
        self.0.join(ALL_ROUTERS, interface)
    }

    /// Leaves the all-routers group; a group or interface that is gone is no error.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn leave_all_routers(&self, interface: IfIndex) -> io::Result<()> {
        self.0.leave(ALL_ROUTERS, interface)
    }

    /// The next message; none when there is none yet.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn recv(&self) -> io::Result<Option<Received>> {
        self.0.recv()
    }

    /// Sends with hop limit 255; the system fills the checksum.
    ///
    /// # Errors
    ///
    /// The system's error; EINVAL where the source is tentative or not on the interface.
    pub fn send(&self, packet: &Packet) -> io::Result<()> {
        self.0.send(packet, 0, &[ControlMessage::Ipv6HopLimit(&HOP_LIMIT)])
    }

    /// Messages received and dropped because they or their control messages were cut.
    pub const fn dropped(&self) -> u64 {
        self.0.dropped.get()
    }
}

/// The requesting router's UDP socket, port 546 on all interfaces.
#[derive(Debug)]
pub struct Dhcpv6Socket(PacketSocket);

impl Dhcpv6Socket {
    /// Opens and binds the socket; needs CAP_NET_BIND_SERVICE.
    ///
    /// # Errors
    ///
    /// The system's error; EADDRINUSE where another program holds the port for itself.
    pub fn open() -> io::Result<Self> {
        let socket = udp_socket()?;
        // Another client may serve other interfaces of this machine.
        socket.set_reuse_address(true)?;
        PacketSocket::bound(socket, DHCP_CLIENT_PORT).map(Self)
    }

    /// The next datagram; none when there is none yet. Its sender's port is not looked at
    /// (RFC 9915 §7.2).
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn recv(&self) -> io::Result<Option<Received>> {
        self.0.recv()
    }

    /// Sends to port 547.
    ///
    /// # Errors
    ///
    /// The system's error; EINVAL where the source is tentative or not on the interface.
    pub fn send(&self, packet: &Packet) -> io::Result<()> {
        self.0.send(packet, DHCP_SERVER_PORT, &[])
    }

    /// Datagrams received and dropped because they or their control messages were cut.
    pub const fn dropped(&self) -> u64 {
        self.0.dropped.get()
    }
}

/// The UDP socket of delegating routers and relay agents, port 547 on all interfaces.
#[derive(Debug)]
pub struct ServerSocket {
    socket: PacketSocket,
    is_shared: bool,
}

impl ServerSocket {
    /// Opens and binds the socket; needs CAP_NET_BIND_SERVICE.
    ///
    /// # Errors
    ///
    /// The system's error; EADDRINUSE where another program holds the port for itself.
    pub fn open() -> io::Result<Self> {
        let socket = udp_socket()?;
        socket_options::receive_own_groups(&socket)?;
        socket_options::widen_send_buffer(&socket, SEND_BUFFER)?;
        socket.set_multicast_loop_v6(false)?;
        socket.set_multicast_hops_v6(RELAY_HOP_LIMIT)?;
        let mut is_shared = false;
        let socket = PacketSocket::new(socket)?;
        if let Err(error) = socket.bind(DHCP_SERVER_PORT) {
            if error.kind() != io::ErrorKind::AddrInUse {
                return Err(error);
            }
            // If the other program serves other interfaces, sharing the port does no harm.
            is_shared = true;
        }
        socket.socket.set_reuse_address(true)?;
        if is_shared {
            socket.bind(DHCP_SERVER_PORT)?;
        }
        Ok(Self { socket, is_shared })
    }

    /// Whether another program had the port before, and shares it: if it serves the same interface,
    /// both answer.
    pub const fn is_shared(&self) -> bool {
        self.is_shared
    }

    /// Joins a group; one that was joined before is no error.
    ///
    /// # Errors
    ///
    /// The system's error, ENODEV where the interface is gone.
    pub fn join(&self, group: Ipv6Addr, interface: IfIndex) -> io::Result<()> {
        self.socket.join(group, interface)
    }

    /// Leaves a group; a group or interface that is gone is no error.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn leave(&self, group: Ipv6Addr, interface: IfIndex) -> io::Result<()> {
        self.socket.leave(group, interface)
    }

    /// The next datagram; none when there is none yet.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn recv(&self) -> io::Result<Option<Received>> {
        self.socket.recv()
    }

    /// Sends to `port`: 546 for clients, 547 for relay agents and servers. Where the packet names
    /// interface 0 and the unspecified source, the system's routes choose them.
    ///
    /// # Errors
    ///
    /// The system's error; EINVAL where the source is tentative or not on the interface.
    pub fn send(&self, packet: &Packet, port: u16) -> io::Result<()> {
        self.socket.send(packet, port, &[])
    }

    /// A sender for another thread.
    pub fn sender(&self) -> ServerSender {
        ServerSender(Arc::clone(&self.socket.socket))
    }

    /// Datagrams received and dropped because they or their control messages were cut.
    pub const fn dropped(&self) -> u64 {
        self.socket.dropped.get()
    }
}

/// The sending half of a [`ServerSocket`]; the socket stays open while there is one.
#[derive(Debug)]
pub struct ServerSender(Arc<Socket>);

impl ServerSender {
    /// See [`ServerSocket::send`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn send(&self, packet: &Packet, port: u16) -> io::Result<()> {
        send(&self.0, packet, port, &[])
    }
}

fn udp_socket() -> io::Result<Socket> {
    let socket =
        Socket::new(Domain::IPV6, Type::DGRAM.nonblocking().cloexec(), Some(Protocol::UDP))?;
    socket.set_only_v6(true)?;
    Ok(socket)
}

/// The part that all kinds of sockets have in common.
#[derive(Debug)]
pub(super) struct PacketSocket {
    socket: Arc<Socket>,
    buffers: RefCell<Buffers>,
    dropped: Cell<u64>,
}

/// The buffers for a received packet, kept for the life of the socket.
#[derive(Debug)]
struct Buffers {
    octets: Vec<u8>,
    control: Vec<u8>,
}

impl PacketSocket {
    pub(super) fn new(socket: Socket) -> io::Result<Self> {
        setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true)?;
        socket.set_recv_hoplimit_v6(true)?;
        socket_options::receive_fragment_size(&socket)?;
        // The system silently reduces a size above its limit.
        socket.set_recv_buffer_size(RECEIVE_BUFFER)?;
        let buffers = Buffers {
            octets: vec![0; LARGEST_PACKET],
            control: nix::cmsg_space!(libc::in6_pktinfo, libc::c_int, libc::c_int),
        };
        let socket = Arc::new(socket);
        Ok(Self { socket, buffers: RefCell::new(buffers), dropped: Cell::new(0) })
    }

    fn bound(socket: Socket, port: u16) -> io::Result<Self> {
        let socket = Self::new(socket)?;
        socket.bind(port)?;
        Ok(socket)
    }

    fn bind(&self, port: u16) -> io::Result<()> {
        self.socket.bind(&SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, port, 0, 0).into())
    }

    fn join(&self, group: Ipv6Addr, interface: IfIndex) -> io::Result<()> {
        match self.socket.join_multicast_v6(&group, interface.0) {
            Err(error) if error.raw_os_error() == Some(libc::EADDRINUSE) => Ok(()),
            result => result,
        }
    }

    fn leave(&self, group: Ipv6Addr, interface: IfIndex) -> io::Result<()> {
        let gone = [libc::EADDRNOTAVAIL, libc::ENODEV, libc::ENXIO].map(Some);
        match self.socket.leave_multicast_v6(&group, interface.0) {
            Err(error) if gone.contains(&error.raw_os_error()) => Ok(()),
            result => result,
        }
    }

    /// Drops all packets that have arrived so far: the system queues from the creation of the
    /// socket on, before it has a filter.
    pub(super) fn drain(&self) {
        let mut octet = [0];
        while nix::sys::socket::recv(self.as_raw_fd(), &mut octet, MsgFlags::empty()).is_ok() {}
    }

    pub(super) fn recv(&self) -> io::Result<Option<Received>> {
        let mut buffers = self.buffers.borrow_mut();
        loop {
            match receive(self.socket.as_raw_fd(), &mut buffers) {
                Ok(Some(received)) => return Ok(Some(received)),
                Ok(None) => self.dropped.set(self.dropped.get().saturating_add(1)),
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn send(&self, packet: &Packet, port: u16, more: &[ControlMessage<'_>]) -> io::Result<()> {
        send(&self.socket, packet, port, more)
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    pub(super) fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

fn send(
    socket: &Socket,
    packet: &Packet,
    port: u16,
    more: &[ControlMessage<'_>],
) -> io::Result<()> {
    let origin = libc::in6_pktinfo {
        ipi6_addr: libc::in6_addr { s6_addr: packet.source.octets() },
        ipi6_ifindex: packet.interface.0,
    };
    let mut control = vec![ControlMessage::Ipv6PacketInfo(&origin)];
    control.extend_from_slice(more);
    let to = SocketAddrV6::new(packet.destination, port, 0, packet.interface.0);
    sendmsg(
        socket.as_raw_fd(),
        &[IoSlice::new(&packet.octets)],
        &control,
        MsgFlags::empty(),
        Some(&SockaddrIn6::from(to)),
    )?;
    Ok(())
}

/// Receives one packet; none where it came truncated or without its control messages.
fn receive(socket: RawFd, buffers: &mut Buffers) -> nix::Result<Option<Received>> {
    let mut parts = [IoSliceMut::new(&mut buffers.octets)];
    let message = recvmsg::<SockaddrIn6>(
        socket,
        &mut parts,
        Some(&mut buffers.control),
        MsgFlags::MSG_DONTWAIT,
    )?;
    if message.flags.intersects(MsgFlags::MSG_TRUNC | MsgFlags::MSG_CTRUNC) {
        return Ok(None);
    }
    let mut arrival = None;
    let mut hop_limit = None;
    let mut fragmented = false;
    for control in message.cmsgs()? {
        #[expect(clippy::wildcard_enum_match_arm, reason = "nix's enum, of which three concern us")]
        match control {
            ControlMessageOwned::Ipv6PacketInfo(info) => arrival = Some(info),
            ControlMessageOwned::Ipv6HopLimit(limit) => hop_limit = u8::try_from(limit).ok(),
            ControlMessageOwned::Unknown(unknown) => {
                fragmented |= unknown.cmsg_header.cmsg_level == libc::IPPROTO_IPV6
                    && unknown.cmsg_header.cmsg_type == socket_options::FRAGMENT_SIZE;
            }
            _ => {}
        }
    }
    let length = message.bytes;
    let (Some(arrival), Some(hop_limit), Some(source)) = (arrival, hop_limit, message.address)
    else {
        return Ok(None);
    };
    Ok(buffers.octets.get(..length).map(|octets| Received {
        interface: IfIndex(arrival.ipi6_ifindex),
        source: source.ip(),
        port: source.port(),
        link_layer: None,
        destination: Ipv6Addr::from(arrival.ipi6_addr.s6_addr),
        hop_limit,
        fragmented,
        octets: octets.to_vec(),
    }))
}

impl AsFd for Icmpv6Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket.as_fd()
    }
}

impl AsRawFd for Icmpv6Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for Dhcpv6Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket.as_fd()
    }
}

impl AsRawFd for Dhcpv6Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

impl AsFd for ServerSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.socket.as_fd()
    }
}

impl AsRawFd for ServerSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
