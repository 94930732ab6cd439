//! Packets on the links of a namespace, with the kernel's time stamps: how late a reader wakes up
//! does not matter.
//!
//! The socket is our own: pnet's channels give no time stamps, and see one interface each.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt};
use pnet::packet::ipv6::Ipv6Packet;
use pnet::util::MacAddr;
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use super::frame::{Content, Frame, Way};
use crate::daemon::clock;
use crate::lab::site::nodes::PORT;
use crate::net::{DHCP_CLIENT_PORT, DHCP_SERVER_PORT};

const ETH_P_ALL: u16 = 0x0003;
const ETH_P_IPV6: u16 = 0x86dd;
const ICMPV6: u8 = 58;
const UDP: u8 = 17;
const ROUTER_ADVERTISEMENT: u32 = 134;
/// What is longer is cut off: nothing that is understood is.
const LARGEST: usize = 2048;
// linux/if_packet.h: a packet that leaves.
const PACKET_OUTGOING: u8 = 4;

/// A packet socket.
#[derive(Debug)]
pub struct Tap {
    socket: Socket,
    /// Ports of a switch, where each packet of its interface passes again.
    ports: Vec<usize>,
}

impl Tap {
    /// Opens it for the router advertisements and DHCPv6 messages that go this way on all
    /// interfaces of the calling thread's namespace. What arrives is seen behind what a line has
    /// lost.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn open(way: Way) -> io::Result<Self> {
        // Only a socket for all protocols sees what leaves; only one for a single protocol is
        // behind the filters at the arrival.
        let protocol = match way {
            Way::In => ETH_P_IPV6,
            Way::Out => ETH_P_ALL,
        };
        let interfaces = nix::net::if_::if_nameindex()?;
        let ports =
            interfaces.iter().filter(|one| one.name().to_bytes().starts_with(PORT.as_bytes()));
        let ports = ports.filter_map(|one| usize::try_from(one.index()).ok()).collect();
        Self::new(protocol, &messages(way), ports)
    }

    /// Opens it for all IPv6 packets on one interface of the calling thread's namespace, both
    /// ways.
    ///
    /// # Errors
    ///
    /// When there is no such interface, or the system's error.
    pub fn on(interface: &str) -> io::Result<Self> {
        let index = nix::net::if_::if_nametoindex(interface)?;
        Self::new(ETH_P_ALL, &packets_of(index), Vec::new())
    }

    fn new(protocol: u16, filter: &[SockFilter], ports: Vec<usize>) -> io::Result<Self> {
        let protocol = Protocol::from(i32::from(protocol.to_be()));
        let socket =
            Socket::new(Domain::PACKET, Type::DGRAM.nonblocking().cloexec(), Some(protocol))?;
        socket.attach_filter(filter)?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        let tap = Self { socket, ports };
        // What came before the filter was there is none of its business.
        while tap.recv()?.is_some() {}
        Ok(tap)
    }

    /// The next packet; none when there is none yet.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn recv(&self) -> io::Result<Option<Frame>> {
        let mut octets = [0; LARGEST];
        let mut control = nix::cmsg_space!(nix::sys::time::TimeSpec);
        loop {
            let mut parts = [IoSliceMut::new(&mut octets)];
            let received = recvmsg::<LinkAddr>(
                self.socket.as_raw_fd(),
                &mut parts,
                Some(&mut control),
                MsgFlags::MSG_DONTWAIT,
            );
            let message = match received {
                Ok(message) => message,
                Err(Errno::EAGAIN) => return Ok(None),
                // A link went down.
                Err(Errno::EINTR | Errno::ENETDOWN) => continue,
                Err(errno) => return Err(errno.into()),
            };
            let (now, wall) = both_clocks();
            let mut at = now;
            for control in message.cmsgs()? {
                if let ControlMessageOwned::ScmTimestampns(stamp) = control {
                    at = now.saturating_sub(wall.saturating_sub(stamp.into()));
                }
            }
            let (length, from) = (message.bytes, message.address);
            if from.is_some_and(|from| self.ports.contains(&from.ifindex())) {
                continue;
            }
            if let Some(ip) = octets.get(..length).and_then(Ipv6Packet::new) {
                return Ok(Some(frame(at, from, &ip)));
            }
        }
    }

    /// Waits for the next packet; none when there is none within `timeout`.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn wait(&self, timeout: Duration) -> io::Result<Option<Frame>> {
        let timeout = PollTimeout::try_from(timeout).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(self.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(_) | Err(Errno::EINTR) => self.recv(),
            Err(errno) => Err(errno.into()),
        }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn frame(at: Duration, from: Option<LinkAddr>, ip: &Ipv6Packet<'_>) -> Frame {
    let leaves = from.is_some_and(|from| from.pkttype() == PACKET_OUTGOING);
    let source_mac = from.filter(|from| from.halen() == 6).and_then(|from| from.addr());
    Frame {
        at,
        way: if leaves { Way::Out } else { Way::In },
        source_mac: source_mac.map_or_else(MacAddr::zero, MacAddr::from),
        source: ip.get_source(),
        destination: ip.get_destination(),
        hop_limit: ip.get_hop_limit(),
        content: Content::of(ip),
    }
}

/// The kernel's stamps are wall time: what counts is how long ago they were, so that both clocks
/// have to be read at one moment. Of some readings the one that was interrupted least is taken.
fn both_clocks() -> (Duration, Duration) {
    let reading = |_| {
        let (before, wall, after) = (clock::now(), clock::wall(), clock::now());
        (after.since(before), (before.since_boot(), wall))
    };
    (0..4).map(reading).min().map_or_else(Default::default, |(_, both)| both)
}

/// Passes the IPv6 packets of one interface.
fn packets_of(index: u32) -> Vec<SockFilter> {
    // linux/filter.h: the loads of a packet's protocol and interface.
    const PROTOCOL: u32 = (-0x1000_i32).cast_unsigned();
    const INTERFACE: u32 = (-0x1000_i32 + 8).cast_unsigned();
    vec![
        load(libc::BPF_W, INTERFACE),
        equal(index, 0, 3),
        load(libc::BPF_H, PROTOCOL),
        equal(u32::from(ETH_P_IPV6), 0, 1),
        answer(u32::MAX),
        answer(0),
    ]
}

/// Passes router advertisements and what goes to the ports of DHCPv6: the echoes of clients would
/// fill the queue. Octets are counted from the IPv6 header on.
fn messages(way: Way) -> Vec<SockFilter> {
    // linux/filter.h: the load of a packet's kind.
    const KIND: u32 = (-0x1000_i32 + 4).cast_unsigned();
    let mut program = Vec::new();
    if way == Way::Out {
        program.extend([
            load(libc::BPF_W, KIND),
            equal(u32::from(PACKET_OUTGOING), 1, 0),
            answer(0),
        ]);
    }
    program.extend([
        load(libc::BPF_B, 0),
        op(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, 0, 0, 0xf0),
        equal(0x60, 0, 8), // IPv6, or nothing
        load(libc::BPF_B, 6),
        equal(u32::from(UDP), 3, 0),
        equal(u32::from(ICMPV6), 0, 5),
        load(libc::BPF_B, 40),
        equal(ROUTER_ADVERTISEMENT, 4, 3),
        load(libc::BPF_H, 42),
        equal(u32::from(DHCP_CLIENT_PORT), 2, 0),
        equal(u32::from(DHCP_SERVER_PORT), 1, 0),
        answer(0),
        answer(u32::MAX),
    ]);
    program
}

fn load(size: u32, at: u32) -> SockFilter {
    op(libc::BPF_LD | size | libc::BPF_ABS, 0, 0, at)
}

fn equal(value: u32, if_so: u8, if_not: u8) -> SockFilter {
    op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, if_so, if_not, value)
}

fn answer(octets: u32) -> SockFilter {
    op(libc::BPF_RET | libc::BPF_K, 0, 0, octets)
}

fn op(code: u32, if_so: u8, if_not: u8, operand: u32) -> SockFilter {
    SockFilter::new(u16::try_from(code).unwrap_or_default(), if_so, if_not, operand)
}
