//! The objects that the agent has the kernel hold, and the steps towards them: `Set | Replace |
//! Remove` × object.
//!
//! An object knows its key, its rank among the steps, its executor, and how its steps read in a
//! sentence. A new kind is one variant here, a contributor in `desired`, and an executor.

use std::fmt;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::system::{KernelAddress, KernelRoute, RouteKey, RouteTarget};
use crate::net;
use crate::net::IfIndex;

/// Something that the kernel holds for the agent.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Object {
    /// An address with our mark.
    Address(KernelAddress),
    /// A route with our mark.
    Route(KernelRoute),
    /// The value of a setting below `net.ipv6.conf.<interface>`.
    Setting(Setting),
    /// Membership in a group on an interface.
    Membership(Group, IfIndex),
    /// A UDP port, open.
    Port(Port),
    /// An interface whose advertisements the agent follows in the kernel's place: addresses and
    /// routes that the kernel made of earlier ones are removed (RA-RX-80).
    Takeover(IfIndex),
    /// A prefix of a former connection of an interface, where the kernel follows advertisements:
    /// the addresses and routes that the kernel formed from it are removed (UPL-11).
    Leftover(IfIndex, Ipv6Net),
    /// An address that the kernel formed in a prefix which is advertised no more: it is deprecated.
    Deprecation(Deprecation),
    /// A default router that does not answer any more: the kernel's route through it to a
    /// destination is removed, until it advertises again.
    LostRouter(IfIndex, Ipv6Addr, Ipv6Net),
}

/// An address of the kernel that is deprecated (RFC 4862 §5.5.4).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Deprecation {
    /// The interface that has it.
    pub interface: IfIndex,
    /// The address.
    pub address: Ipv6Addr,
    /// The kernel's route to its subnet ends with its valid lifetime. Where this is false the route
    /// is left alone.
    pub has_route: bool,
}

/// The identity of an object: an object with an equal key takes its place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Key {
    /// Interface and address.
    Address(IfIndex, Ipv6Addr),
    /// Destination, target and metric.
    Route(RouteKey),
    /// Interface and setting.
    Setting(IfIndex, Sysctl),
    /// Group and interface.
    Membership(Group, IfIndex),
    /// The port.
    Port(Port),
    /// The interface.
    Takeover(IfIndex),
    /// The interface and the prefix.
    Leftover(IfIndex, Ipv6Net),
    /// The interface and the address.
    Deprecation(IfIndex, Ipv6Addr),
    /// The interface, the router and the destination.
    LostRouter(IfIndex, Ipv6Addr, Ipv6Net),
}

/// A UDP port of DHCPv6.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Port {
    /// 546, of requesting routers: open where the built-in one asks, and not where another program
    /// does.
    Client,
    /// 547, of delegating routers and relay agents.
    Server,
}

/// The executor of steps about an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Executor {
    /// The kernel's tables and settings.
    Kernel,
    /// The agent's own sockets.
    Sockets,
}

/// The value of a setting of an interface.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Setting {
    /// The interface: another one of the same name has its own settings.
    pub index: IfIndex,
    /// Its name.
    pub interface: String,
    /// Name of the setting.
    pub name: Sysctl,
    /// The value.
    pub value: i32,
}

/// One operation on the kernel's state. It is no error if the state is as wanted already.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Step {
    /// Adds an object. Where an address or setting exists it replaces the lifetimes or the value;
    /// it fails where a route of another program has the key of a route.
    Set(Object),
    /// Replaces our own route of the same key, or of the same destination and metric.
    Replace(Object),
    /// Removes an object.
    Remove(Object),
}

impl Port {
    /// Its number (RFC 9915 §7.2).
    pub const fn number(self) -> u16 {
        match self {
            Self::Client => net::DHCP_CLIENT_PORT,
            Self::Server => net::DHCP_SERVER_PORT,
        }
    }
}

impl Object {
    /// Its key.
    pub fn key(&self) -> Key {
        match self {
            Self::Address(address) => Key::Address(address.interface, address.address),
            Self::Route(route) => Key::Route(route.key()),
            Self::Setting(setting) => Key::Setting(setting.index, setting.name),
            Self::Membership(group, interface) => Key::Membership(*group, *interface),
            Self::Port(port) => Key::Port(*port),
            Self::Takeover(interface) => Key::Takeover(*interface),
            Self::Leftover(interface, prefix) => Key::Leftover(*interface, *prefix),
            Self::Deprecation(has) => Key::Deprecation(has.interface, has.address),
            Self::LostRouter(interface, router, destination) => {
                Key::LostRouter(*interface, *router, *destination)
            }
        }
    }

    /// Its rank when it is made and when it is removed, among all steps of a pass (CHG-12). Routes
    /// and addresses are made before any is removed. A port is closed before its group would be
    /// left, which goes with it, and groups are left before routes are removed: neither waits for a
    /// replacement. The kernel's own addresses and routes are dropped last, when ours are in their
    /// place.
    const fn ranks(&self) -> (u8, u8) {
        match self {
            Self::Setting(_) => (0, 9),
            Self::Port(_) => (1, 1),
            Self::Membership(..) => (2, 3),
            Self::Route(_) => (4, 7),
            Self::Address(_) => (5, 6),
            Self::Takeover(_)
            | Self::Leftover(..)
            | Self::Deprecation(_)
            | Self::LostRouter(..) => (8, 9),
        }
    }

    /// The executor of steps about it.
    pub const fn executor(&self) -> Executor {
        match self {
            Self::Membership(..) | Self::Port(_) => Executor::Sockets,
            Self::Address(_)
            | Self::Route(_)
            | Self::Setting(_)
            | Self::Takeover(_)
            | Self::Leftover(..)
            | Self::Deprecation(_)
            | Self::LostRouter(..) => Executor::Kernel,
        }
    }

    /// Whether it is removed when it is desired no more. A setting gets back its earlier value,
    /// which is a step of its own; addresses and routes of the kernel do not come back. A prefix of
    /// a former connection and a lost router may be advertised again: then the kernel itself adds
    /// their objects.
    pub(super) const fn is_removable(&self) -> bool {
        match self {
            Self::Address(_)
            | Self::Route(_)
            | Self::Membership(..)
            | Self::Port(_)
            | Self::Leftover(..)
            | Self::LostRouter(..) => true,
            Self::Setting(_) | Self::Takeover(_) | Self::Deprecation(_) => false,
        }
    }

    /// The interface that it is on, if any.
    pub const fn interface(&self) -> Option<IfIndex> {
        match self {
            Self::Address(address) => Some(address.interface),
            Self::Route(route) => route.target.interface(),
            Self::Setting(setting) => Some(setting.index),
            Self::Membership(_, interface)
            | Self::Takeover(interface)
            | Self::Leftover(interface, _)
            | Self::LostRouter(interface, ..) => Some(*interface),
            Self::Deprecation(has) => Some(has.interface),
            Self::Port(_) => None,
        }
    }
}

impl Step {
    /// The object of the step.
    pub const fn object(&self) -> &Object {
        match self {
            Self::Set(object) | Self::Replace(object) | Self::Remove(object) => object,
        }
    }

    /// Its rank among other steps: additions come before removals. An address that another node
    /// holds serves nobody, and is removed before it is set anew.
    pub const fn rank(&self) -> u8 {
        let (making, breaking) = self.object().ranks();
        match self {
            Self::Set(_) | Self::Replace(_) => making,
            Self::Remove(Object::Address(has)) if has.duplicate => making,
            Self::Remove(_) => breaking,
        }
    }

    /// The route of the step.
    pub const fn route(&self) -> Option<&KernelRoute> {
        if let Object::Route(route) = self.object() { Some(route) } else { None }
    }

    /// The route that it removes.
    pub const fn removed_route(&self) -> Option<&KernelRoute> {
        if let Self::Remove(Object::Route(route)) = self { Some(route) } else { None }
    }

    /// Whether the kernel's state is unknown after a refusal of it: the step was not answered, a
    /// route exists unexpectedly, or one that was to be replaced or removed does not.
    pub const fn is_doubtful(&self, refusal: Refusal) -> bool {
        match self {
            Self::Set(Object::Route(_)) => {
                matches!(refusal, Refusal::NoBuffer | Refusal::Exists)
            }
            Self::Set(Object::Address(_) | Object::Deprecation(_))
            | Self::Replace(Object::Address(_) | Object::Route(_))
            | Self::Remove(Object::Address(_) | Object::Route(_)) => true,
            Self::Set(_) | Self::Replace(_) | Self::Remove(_) => {
                matches!(refusal, Refusal::NoBuffer)
            }
        }
    }

    /// The step as a part of a sentence; `interface` is the name of the interface of its object.
    pub const fn in_words<'a>(&'a self, interface: &'a str) -> InWords<'a> {
        InWords { step: self, interface }
    }
}

/// A step as a part of a sentence.
#[derive(Clone, Copy, Debug)]
pub struct InWords<'a> {
    step: &'a Step,
    interface: &'a str,
}

impl fmt::Display for InWords<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { step, interface } = self;
        let verb = |set, remove| match step {
            Step::Set(_) => set,
            Step::Replace(_) => "replace",
            Step::Remove(_) => remove,
        };
        match step.object() {
            Object::Address(KernelAddress { address, prefix_len, .. }) => {
                let verb = verb("set", "remove");
                write!(f, "{verb} address {address}/{prefix_len} on {interface}")
            }
            Object::Route(KernelRoute { destination, target, .. }) => {
                let verb = verb("add", "remove");
                match target {
                    RouteTarget::Gateway(_, gateway) => {
                        write!(f, "{verb} route {destination} via {gateway} on {interface}")
                    }
                    RouteTarget::OnLink(_) => {
                        write!(f, "{verb} route {destination} on {interface}")
                    }
                    RouteTarget::Unreachable => write!(f, "{verb} unreachable route {destination}"),
                }
            }
            Object::Setting(Setting { name, value, .. }) => {
                write!(f, "set net.ipv6.conf.{interface}.{} to {value}", name.file())
            }
            Object::Membership(group, _) => {
                write!(f, "{} {} on {interface}", verb("join", "leave"), group.address())
            }
            Object::Port(port) => {
                write!(f, "{} UDP port {}", verb("open", "close"), port.number())
            }
            Object::Takeover(_) => write!(f, "drop what it made of advertisements on {interface}"),
            Object::Leftover(_, prefix) => {
                let verb = verb("drop", "allow again");
                write!(f, "{verb} what it makes of {prefix} on {interface}")
            }
            Object::Deprecation(Deprecation { address, .. }) => {
                write!(f, "deprecate its address {address} on {interface}")
            }
            Object::LostRouter(_, router, destination) => {
                let verb = verb("drop", "allow again");
                write!(f, "{verb} its route to {destination} through {router} on {interface}")
            }
        }
    }
}

/// The groups that the agent hears.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Group {
    /// All routers on the link, for solicitations.
    AllRouters,
    /// All DHCPv6 relay agents and servers on the link.
    DhcpServers,
    /// All DHCPv6 servers of the site: relay agents forward messages there.
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
    /// `ra_honor_pio_pflag`: no addresses are formed in a prefix with the P flag (RFC 9762 §7.1).
    /// Kernels that have no such setting form them.
    HonorPflag,
    /// `optimistic_dad`: an address is used while duplicates of it are looked for (RFC 4429).
    OptimisticDad,
    /// `use_optimistic`: such an address is preferred to a deprecated one as others are.
    UseOptimistic,
    /// `max_addresses`: how many addresses an interface has room for, those that are deprecated
    /// included.
    MaxAddresses,
    /// `forwarding`, of the whole machine: with the interface [`WHOLE_MACHINE`].
    Forwarding,
}

/// The name that settings of the whole machine have in the place of an interface's, with the index 0.
pub const WHOLE_MACHINE: &str = "all";

impl Sysctl {
    /// The setting with this file name.
    pub fn from_file(file: &str) -> Option<Self> {
        const ALL: [Sysctl; 8] = [
            Sysctl::AcceptRa,
            Sysctl::HopLimit,
            Sysctl::Mtu,
            Sysctl::HonorPflag,
            Sysctl::OptimisticDad,
            Sysctl::UseOptimistic,
            Sysctl::MaxAddresses,
            Sysctl::Forwarding,
        ];
        ALL.into_iter().find(|name| name.file() == file)
    }

    /// The file's name below `/proc/sys/net/ipv6/conf/<interface>`.
    pub const fn file(self) -> &'static str {
        match self {
            Self::AcceptRa => "accept_ra",
            Self::HopLimit => "hop_limit",
            Self::Mtu => "mtu",
            Self::HonorPflag => "ra_honor_pio_pflag",
            Self::OptimisticDad => "optimistic_dad",
            Self::UseOptimistic => "use_optimistic",
            Self::MaxAddresses => "max_addresses",
            Self::Forwarding => "forwarding",
        }
    }
}

/// Why the system refused a step, in the cases that the core distinguishes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Refusal {
    /// What was to be added is there already.
    Exists,
    /// An interface, address or route of the step does not exist.
    NotThere,
    /// There was no room for the request or for its answer: it may have been carried out.
    NoBuffer,
    /// The agent lacks the right.
    NotPermitted,
    /// For another reason.
    Other {
        /// The system's own error number, for people alone.
        number: i32,
        /// The system's text for it; may be empty, and is in a recording.
        #[serde(skip)]
        text: &'static str,
    },
}

impl Refusal {
    /// A short stable name, for programs that read the log.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exists => "exists",
            Self::NotThere => "not-there",
            Self::NoBuffer => "no-buffer",
            Self::NotPermitted => "not-permitted",
            Self::Other { .. } => "other",
        }
    }

    /// The system's own error number, in the cases that the core does not distinguish.
    pub const fn number(self) -> Option<i32> {
        match self {
            Self::Other { number, .. } => Some(number),
            Self::Exists | Self::NotThere | Self::NoBuffer | Self::NotPermitted => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exists => f.write_str("it exists already"),
            Self::NotThere => f.write_str("there is no such interface, address or route"),
            Self::NoBuffer => f.write_str("there was no buffer for the request or its answer"),
            Self::NotPermitted => f.write_str("that is not permitted"),
            Self::Other { number, text: "" } => write!(f, "error {number}"),
            Self::Other { number, text } => write!(f, "{text} (error {number})"),
        }
    }
}
