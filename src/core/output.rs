//! Everything the core can ask for, in the order in which it has to happen.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::event::Event;
use super::input::{IfIndex, Refusal};
use super::memory::Record;
use super::system::{KernelAddress, KernelRoute};
use crate::net;

/// What to do next.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Append to the memory; written, not yet synced, before the next packet that tells of it
    /// ([`Output::tells`]) leaves.
    Remember(Record),
    /// Bring the kernel nearer to the desired state, in this order, as one batch.
    Apply(Vec<Step>),
    /// Send an ICMPv6 message with hop limit 255; the kernel fills the checksum.
    SendIcmpv6(Packet),
    /// Hear these ICMPv6 messages beside those of routers, and no others.
    Hear(Hearing),
    /// Answer with the neighbors on this interface ([`Input::Neighbors`](super::input::Input)).
    ListNeighbors(IfIndex),
    /// Send a datagram from UDP port 546 to 547.
    SendDhcpv6(Packet),
    /// Send a datagram from UDP port 547.
    SendServer(ServerPacket),
    /// Tell the core when this was reached.
    Milestone(Milestone),
    /// Something has happened that operators and programs may want to know.
    Event(Event),
    /// All is done: leave the loop.
    Exit,
}

impl Output {
    /// The steps that it hands over.
    pub fn steps(&self) -> &[Step] {
        match self {
            Self::Apply(steps) => steps,
            Self::Remember(_)
            | Self::SendIcmpv6(_)
            | Self::Hear(_)
            | Self::ListNeighbors(_)
            | Self::SendDhcpv6(_)
            | Self::SendServer(_)
            | Self::Milestone(_)
            | Self::Event(_)
            | Self::Exit => &[],
        }
    }

    /// Whether it tells others what has to be in the memory by then. A question does not, and
    /// neither does a Reconfigure message, which only has questions asked.
    pub const fn tells(&self) -> bool {
        match self {
            Self::SendIcmpv6(_) => true,
            Self::SendServer(packet) => !matches!(packet.memory, Safety::NotNeeded),
            Self::Remember(_)
            | Self::Apply(_)
            | Self::SendDhcpv6(_)
            | Self::Hear(_)
            | Self::ListNeighbors(_)
            | Self::Milestone(_)
            | Self::Event(_)
            | Self::Exit => false,
        }
    }
}

/// ICMPv6 messages that are heard only while there is a use for them: anybody can send many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Hearing {
    /// Echo replies.
    pub echo_replies: bool,
    /// Neighbor advertisements.
    pub neighbor_advertisements: bool,
}

/// A packet to send.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// Leave through this interface.
    pub interface: IfIndex,
    /// With this source address.
    pub source: Ipv6Addr,
    /// To this address.
    pub destination: Ipv6Addr,
    /// From the ICMPv6 header on, or the UDP payload.
    pub octets: Vec<u8>,
}

/// A datagram from UDP port 547.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerPacket {
    /// The datagram; with interface 0 and the unspecified source the kernel's routes choose them.
    pub packet: Packet,
    /// Where to: 546 of a client, 547 of a relay agent or server.
    pub port: u16,
    /// How safe what was to be remembered has to be before it leaves.
    pub memory: Safety,
}

/// How safe what was to be remembered has to be before a packet leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Safety {
    /// The packet tells nothing of it.
    NotNeeded,
    /// It survives the end of the process.
    Written,
    /// It survives the end of the machine.
    Synced,
}

/// One operation on the kernel's state. What is already so is no error.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Step {
    /// Adds an address with our mark, or replaces the lifetimes of our own.
    SetAddress(KernelAddress),
    /// Removes an address.
    RemoveAddress {
        /// Of this interface.
        interface: IfIndex,
        /// Which.
        address: Ipv6Addr,
        /// Its prefix length.
        prefix_len: u8,
    },
    /// Adds a route with our mark; fails where another's of the same key is in its place.
    AddRoute(KernelRoute),
    /// Replaces our own route of the same key.
    ReplaceRoute(KernelRoute),
    /// Removes our own route.
    RemoveRoute(KernelRoute),
    /// Sets a value below `net.ipv6.conf.<interface>`, said in the log.
    SetSysctl {
        /// Interface name.
        interface: String,
        /// Name of the value.
        name: Sysctl,
        /// The value.
        value: i32,
    },
    /// Joins a group on an interface.
    Join(Group, IfIndex),
    /// Leaves a group on an interface.
    Leave(Group, IfIndex),
    /// Opens UDP port 547, or closes it.
    Serve(bool),
    /// Removes the addresses and routes that the kernel made of advertisements on an interface
    /// (RA-RX-80).
    DropKernelMade(IfIndex),
}

impl Step {
    /// Whether it is about the agent's own sockets, and none of the kernel's tables and settings.
    pub const fn is_of_socket(&self) -> bool {
        match self {
            Self::Join(..) | Self::Leave(..) | Self::Serve(_) => true,
            Self::SetAddress(_)
            | Self::RemoveAddress { .. }
            | Self::AddRoute(_)
            | Self::ReplaceRoute(_)
            | Self::RemoveRoute(_)
            | Self::SetSysctl { .. }
            | Self::DropKernelMade(_) => false,
        }
    }

    /// Whether a refusal of it leaves it open what the kernel has: an unanswered step, a route that
    /// is there against all expectation, one that was to be replaced or removed.
    pub const fn is_doubtful(&self, refusal: Refusal) -> bool {
        match self {
            Self::AddRoute(_) => matches!(refusal, Refusal::NoBuffer | Refusal::Exists),
            Self::SetAddress(_)
            | Self::RemoveAddress { .. }
            | Self::ReplaceRoute(_)
            | Self::RemoveRoute(_) => true,
            Self::SetSysctl { .. }
            | Self::Join(..)
            | Self::Leave(..)
            | Self::Serve(_)
            | Self::DropKernelMade(_) => matches!(refusal, Refusal::NoBuffer),
        }
    }
}

/// The groups that the agent hears.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Group {
    /// All routers on the link: solicitations.
    AllRouters,
    /// All DHCPv6 relay agents and servers on the link.
    DhcpServers,
    /// All DHCPv6 servers of the site: what relay agents forward.
    SiteDhcpServers,
}

impl Group {
    /// Whether it is joined with the socket of UDP port 547.
    pub const fn is_for_servers(self) -> bool {
        match self {
            Self::AllRouters => false,
            Self::DhcpServers | Self::SiteDhcpServers => true,
        }
    }

    /// Its address.
    pub const fn address(self) -> Ipv6Addr {
        match self {
            Self::AllRouters => net::ALL_ROUTERS,
            Self::DhcpServers => net::ALL_DHCP_SERVERS,
            Self::SiteDhcpServers => net::ALL_SITE_DHCP_SERVERS,
        }
    }
}

/// The interface settings that the agent may change.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Sysctl {
    /// `accept_ra`: 0 where the agent manages, 2 where the kernel does.
    AcceptRa,
    /// `hop_limit`, as routers advertise it.
    HopLimit,
    /// `mtu`, as routers advertise it.
    Mtu,
}

impl Sysctl {
    /// The setting whose file is named so.
    pub fn from_file(file: &str) -> Option<Self> {
        [Self::AcceptRa, Self::HopLimit, Self::Mtu].into_iter().find(|name| name.file() == file)
    }

    /// The file's name below `/proc/sys/net/ipv6/conf/<interface>`.
    pub const fn file(self) -> &'static str {
        match self {
            Self::AcceptRa => "accept_ra",
            Self::HopLimit => "hop_limit",
            Self::Mtu => "mtu",
        }
    }
}

/// A stage that a change has reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Milestone {
    /// The change's number.
    pub change: u64,
    /// The stage.
    pub stage: Stage,
}

/// The stages of a change, in the order in which it travels (`design` of the crate docs).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The refresh of the lease has left.
    Asked,
    /// The lease has changed.
    Delegated,
    /// The kernel shows it.
    Applied,
    /// The links have been told.
    Advertised,
}
