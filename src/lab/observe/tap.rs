//! Advertisements and DHCPv6 messages on the links of a namespace, with the kernel's time stamps:
//! how late a reader wakes up does not matter.

use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{ControlMessageOwned, LinkAddr, MsgFlags, recvmsg, setsockopt, sockopt};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};

use crate::daemon::clock;
use crate::lab::site::nodes::PORT;
use crate::wire::dhcpv6::Message;
use crate::wire::ndp::RouterAdvertisement;

const ETH_P_ALL: u16 = 0x0003;
const ETH_P_IPV6: u16 = 0x86dd;
const IPV6_HEADER: usize = 40;
const UDP_HEADER: usize = 8;
const ICMPV6: u8 = 58;
const UDP: u8 = 17;
const ROUTER_ADVERTISEMENT: u32 = 134;
const LARGEST: usize = 2048;

/// Which packets a tap sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Way {
    /// Those that have arrived, behind what a line has lost.
    In,
    /// Those that leave.
    Out,
}

/// What a packet holds.
#[derive(Clone, PartialEq, Debug)]
pub enum Content {
    /// A router advertisement, and whether it is for all nodes.
    Advertisement(RouterAdvertisement, bool),
    /// A DHCPv6 message.
    Dhcpv6(Message),
}

/// A packet socket.
#[derive(Debug)]
pub struct Tap {
    socket: Socket,
    /// Which packets it sees.
    pub way: Way,
    /// Ports of a switch, where each packet of its interface passes again.
    ports: Vec<usize>,
}

impl Tap {
    /// Opens it on all interfaces of the calling thread's namespace.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn open(way: Way) -> io::Result<Self> {
        // Only a socket for all protocols sees what leaves; only one for a single protocol is
        // behind the filters at the arrival.
        let protocol = match way {
            Way::In => ETH_P_IPV6,
            Way::Out => ETH_P_ALL,
        };
        let protocol = Protocol::from(i32::from(protocol.to_be()));
        let socket =
            Socket::new(Domain::PACKET, Type::DGRAM.nonblocking().cloexec(), Some(protocol))?;
        socket.attach_filter(&filter(way))?;
        setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
        let interfaces = nix::net::if_::if_nameindex()?;
        let ports =
            interfaces.iter().filter(|one| one.name().to_bytes().starts_with(PORT.as_bytes()));
        let ports = ports.filter_map(|one| usize::try_from(one.index()).ok()).collect();
        let tap = Self { socket, way, ports };
        while tap.recv()?.is_some() {}
        Ok(tap)
    }

    /// The next packet that is understood, and when it passed; none when there is none yet.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn recv(&self) -> io::Result<Option<(Duration, Content)>> {
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
            let length = message.bytes;
            if message.address.is_some_and(|from| self.ports.contains(&from.ifindex())) {
                continue;
            }
            if let Some(content) = octets.get(..length).and_then(content) {
                return Ok(Some((at, content)));
            }
        }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
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

fn content(packet: &[u8]) -> Option<Content> {
    let (header, payload) = packet.split_at_checked(IPV6_HEADER)?;
    let length = u16::from_be_bytes([*header.get(4)?, *header.get(5)?]);
    let payload = payload.get(..usize::from(length))?;
    match *header.get(6)? {
        ICMPV6 => {
            let advertisement = RouterAdvertisement::decode(payload).ok()?;
            Some(Content::Advertisement(advertisement, header.get(24) == Some(&0xff)))
        }
        UDP => Message::decode(payload.get(UDP_HEADER..)?).ok().map(Content::Dhcpv6),
        _ => None,
    }
}

/// Passes router advertisements and what goes to the ports of DHCPv6: the echoes of clients would
/// fill the queue. Octets are counted from the IPv6 header on.
fn filter(way: Way) -> Vec<SockFilter> {
    // linux/filter.h: the load of a packet's kind; linux/if_packet.h: a packet that leaves.
    const KIND: u32 = (-0x1000_i32 + 4).cast_unsigned();
    const OUTGOING: u32 = 4;
    let load = |size: u32, at| op(libc::BPF_LD | size | libc::BPF_ABS, 0, 0, at);
    let equal =
        |value, so, else_| op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, so, else_, value);
    let answer = |octets| op(libc::BPF_RET | libc::BPF_K, 0, 0, octets);
    let mut program = Vec::new();
    if way == Way::Out {
        program.extend([load(libc::BPF_W, KIND), equal(OUTGOING, 1, 0), answer(0)]);
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
        equal(546, 2, 0),
        equal(547, 1, 0),
        answer(0),
        answer(u32::MAX),
    ]);
    program
}

fn op(code: u32, if_so: u8, if_not: u8, operand: u32) -> SockFilter {
    SockFilter::new(u16::try_from(code).unwrap_or_default(), if_so, if_not, operand)
}
