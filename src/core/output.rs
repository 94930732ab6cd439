//! The outputs of the core, in the order in which they have to be performed.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use serde::Serialize;

use super::client::{Publication, Script};
use super::engine::{Order, Post};
use super::event::Event;
pub use super::kernel::object::{Executor, Group, Key, Object, Port, Setting, Step, Sysctl};
use super::memory::Record;
use super::safety::Safety;
use super::stage::Milestone;
use crate::config::Engine;
use crate::net::IfIndex;

/// Something to do next.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub enum Output {
    /// Append to the memory: written, not yet synced, before the next packet that depends on it
    /// ([`Output::is_promise`]) leaves.
    Remember(Record),
    /// Bring the kernel nearer to the desired state, in this order, as one batch.
    Apply(Vec<Step>),
    /// Send an ICMPv6 message with hop limit 255; the kernel fills the checksum.
    SendIcmpv6(Packet),
    /// Hear these ICMPv6 messages beside those of routers, and no others.
    Hear(Hearing),
    /// Answer with the neighbors on this interface ([`Input::Neighbors`](super::input::Input)).
    ListNeighbors(IfIndex),
    /// Have the kernel know these neighbors by their link-layer addresses, where it knows nothing
    /// of them.
    ExpectNeighbors {
        /// On this interface.
        interface: IfIndex,
        /// Their addresses, and their link-layer addresses.
        hosts: Vec<(Ipv6Addr, Vec<u8>)>,
    },
    /// Send a datagram from UDP port 546 to 547.
    SendDhcpv6(Packet),
    /// Send a datagram from UDP port 547.
    SendServer(ServerPacket),
    /// Run these programs in these posts, and no others.
    RunEngines(BTreeMap<Post, Engine>),
    /// Carry out an order to a program.
    Engine(Order),
    /// Publish this for these interfaces, on which this machine is a host, and for no others.
    Publish(BTreeMap<String, Publication>),
    /// Run a program of the operator.
    RunScript(Script),
    /// Report when this output was performed.
    Milestone(Milestone),
    /// An event for operators and programs.
    Event(Event),
    /// Leave the loop: the agent has stopped.
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
            | Self::ExpectNeighbors { .. }
            | Self::SendDhcpv6(_)
            | Self::SendServer(_)
            | Self::RunEngines(_)
            | Self::Engine(_)
            | Self::Publish(_)
            | Self::RunScript(_)
            | Self::Milestone(_)
            | Self::Event(_)
            | Self::Exit => &[],
        }
    }

    /// Whether it makes a promise to others, before which the memory has to be written. A request
    /// makes none, and neither does a Reconfigure message, which only causes a request.
    pub const fn is_promise(&self) -> bool {
        match self {
            Self::SendIcmpv6(_) | Self::Engine(Order::Advertise { .. }) => true,
            Self::SendServer(packet) => !matches!(packet.memory, Safety::NotNeeded),
            Self::Remember(_)
            | Self::Apply(_)
            | Self::SendDhcpv6(_)
            | Self::Hear(_)
            | Self::ListNeighbors(_)
            | Self::ExpectNeighbors { .. }
            | Self::RunEngines(_)
            | Self::Engine(_)
            | Self::Publish(_)
            | Self::RunScript(_)
            | Self::Milestone(_)
            | Self::Event(_)
            | Self::Exit => false,
        }
    }
}

/// ICMPv6 messages that are received only while they are needed: any node can send many.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Hearing {
    /// Echo replies.
    pub echo_replies: bool,
    /// Neighbor advertisements.
    pub neighbor_advertisements: bool,
}

/// A packet to send.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
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
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ServerPacket {
    /// The datagram; with interface 0 and the unspecified source the kernel's routes choose them.
    pub packet: Packet,
    /// Destination port: 546 of a client, 547 of a relay agent or server.
    pub port: u16,
    /// How safely the memory has to be stored before the packet leaves.
    pub memory: Safety,
}
