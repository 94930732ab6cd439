//! The parts of a change: its cause, its prefixes, and the stages that it reaches.

use std::fmt;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

/// The cause of a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A router advertised other prefixes.
    Advertisement,
    /// The link came up or back.
    Link,
    /// An operator or a hook has requested it.
    Command,
    /// The delegating router sent a Reconfigure.
    Reconfigure,
    /// A Reply to a routine renewal brought other prefixes, or a lease ran out.
    Lease,
}

/// The prefixes of an uplink: those on its link, and those delegated through it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Prefixes {
    /// Advertised, current.
    pub on_link: Vec<Ipv6Net>,
    /// Delegated, held.
    pub delegated: Vec<Ipv6Net>,
}

/// A stage that a change has reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Milestone {
    /// The change's number.
    pub change: u64,
    /// The stage.
    pub stage: Stage,
}

/// The stages of a change, in their order.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// The request that refreshes the lease has left.
    Asked,
    /// The lease has changed.
    Delegated,
    /// The kernel has the addresses and routes.
    Applied,
    /// The advertisements have left.
    Advertised,
}

impl Cause {
    /// Its name, as it is serialized.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Advertisement => "advertisement",
            Self::Link => "link",
            Self::Command => "command",
            Self::Reconfigure => "reconfigure",
            Self::Lease => "lease",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Advertisement => "a router advertises other prefixes",
            Self::Link => "the link is up",
            Self::Command => "it was asked for",
            Self::Reconfigure => "the delegating router asks for it",
            Self::Lease => "the lease has changed",
        })
    }
}
