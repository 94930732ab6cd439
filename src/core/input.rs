//! The inputs of the core.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::kernel::object::Refusal;
use super::kernel::system::{KernelEvent, Neighbor, System};
use crate::config::Config;
use crate::core::kernel::object::{Step, Sysctl};
use crate::core::uplink::lease::Feed;
use crate::net::IfIndex;

/// Something that happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Input {
    /// A deadline may have passed; early or repeated ones are harmless.
    Timeout,
    /// An ICMPv6 message came in.
    Icmpv6(Received),
    /// A router advertisement that this machine has sent to itself: one of a program in the place of
    /// the built-in advertiser.
    LocalAdvertisement(Received),
    /// A datagram came to UDP port 546.
    Dhcpv6(Received),
    /// A datagram came to UDP port 547.
    Server(Received),
    /// The kernel's whole state: at start and after lost events.
    System(System),
    /// Changes of the kernel's state, in their order.
    Kernel(Vec<KernelEvent>),
    /// The value that a setting had before the agent first changed it; remembered already.
    SysctlWas {
        /// Interface name.
        interface: String,
        /// The setting.
        name: Sysctl,
        /// Its value.
        before: i32,
    },
    /// The neighbors on a link, as [`Output::ListNeighbors`](super::output::Output) asked.
    Neighbors {
        /// The interface.
        interface: IfIndex,
        /// The neighbors that packets can be sent to without asking the link first.
        neighbors: Vec<Neighbor>,
    },
    /// A step failed.
    StepFailed {
        /// The step.
        step: Step,
        /// Why it failed.
        refusal: Refusal,
    },
    /// The system did not take an ICMPv6 packet.
    NotSent {
        /// On this interface.
        interface: IfIndex,
        /// To this address.
        destination: Ipv6Addr,
        /// The shell has given up and dropped it; before that it may still leave.
        is_dropped: bool,
    },
    /// A report about a program in a built-in's place.
    Engine(super::engine::Report),
    /// A report about a publication of this host.
    Published(super::client::PublicationReport),
    /// The leases of a program that delegates in the built-in's place.
    Leases(super::engine::Leases),
    /// Why the memory cannot be written; none when it can again.
    Unwritten(Option<String>),
    /// The machine has slept, and runs again.
    Resumed,
    /// The output of the same name was performed: the time of the input is that of the stage.
    Milestone(super::stage::Milestone),
    /// An operator or a hook has sent a command.
    Command(Command),
}

/// A packet with the data of its control messages.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Received {
    /// Index of the interface that it came in on.
    pub interface: IfIndex,
    /// Sender.
    pub source: Ipv6Addr,
    /// Sender's UDP port; 0 for ICMPv6.
    pub port: u16,
    /// Sender's link-layer address, where the system knows it.
    pub link_layer: Option<Vec<u8>>,
    /// Addressee.
    pub destination: Ipv6Addr,
    /// IP hop limit.
    pub hop_limit: u8,
    /// Whether it came in fragments.
    pub fragmented: bool,
    /// From the ICMPv6 header on, or the UDP payload.
    pub octets: Vec<u8>,
}

/// A command of an operator or a hook.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// Refresh the leases of one uplink, or of all.
    Renew {
        /// The uplink; none for all.
        uplink: Option<String>,
    },
    /// A program that owns the uplink (ppp) reports a new connection.
    LinkUp {
        /// The uplink.
        uplink: String,
    },
    /// End a lease that was relayed here, because its holder is gone.
    Forget {
        /// The delegated prefix.
        prefix: ipnet::Ipv6Net,
    },
    /// Take other static prefixes.
    SetPrefixes {
        /// By name; none for no prefix.
        prefixes: std::collections::BTreeMap<String, Option<ipnet::Ipv6Net>>,
        /// The earlier ones stay, deprecated, until they run out.
        graceful: bool,
    },
    /// A report of the program that requests an uplink's lease.
    Feed(Box<Feed>),
    /// Take over a new configuration.
    Reload(Box<Config>),
    /// Stop: final advertisements, then the end of the loop.
    Stop,
}

impl Command {
    /// Its name, as an operator types it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Renew { .. } => "renew",
            Self::LinkUp { .. } => "linkup",
            Self::Forget { .. } => "forget",
            Self::SetPrefixes { .. } => "prefix",
            Self::Feed(_) => "feed",
            Self::Reload(_) => "reload",
            Self::Stop => "stop",
        }
    }

    /// The uplink in question, if there is one.
    pub fn uplink(&self) -> Option<&str> {
        match self {
            Self::Renew { uplink } => uplink.as_deref(),
            Self::LinkUp { uplink } => Some(uplink),
            Self::Feed(feed) => Some(&feed.interface),
            Self::Forget { .. } | Self::SetPrefixes { .. } | Self::Reload(_) | Self::Stop => None,
        }
    }
}
