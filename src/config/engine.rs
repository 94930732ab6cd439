//! Programs in the place of built-ins.

use std::fmt;
use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::{AddressMode, Config, Uplink};

/// The job of a protocol on one interface.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Job {
    /// Asks for delegated prefixes on an uplink.
    Requester,
    /// Advertises on a downlink.
    Advertiser,
    /// Delegates on a downlink.
    Delegator,
}

/// A program that can do a job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Program {
    /// dhcpcd
    Dhcpcd,
    /// dhcp6c of KAME or of one that came from it.
    Dhcp6c,
    /// systemd-networkd
    Networkd,
    /// Any program that the command `renew` controls.
    Command,
    /// radvd
    Radvd,
    /// rtadvd of the BSDs.
    Rtadvd,
    /// dhcp6s of KAME.
    Dhcp6s,
    /// The DHCPv6 server of Kea.
    Kea,
}

/// How a requester is made to renew after a change.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnChange {
    /// It renews what it has.
    #[default]
    Renew,
    /// It is ended and started again, for providers that do not route a renewed prefix.
    Restart,
}

/// A program and how it is used: `[engine.NAME]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Engine {
    /// What it is.
    pub program: Program,
    /// Its file; none to look for its usual name.
    pub path: Option<String>,
    /// The command that renews the lease in place of the program's own; empty for that.
    pub renew: Vec<String>,
    /// The reaction of a requester to a change.
    pub on_change: OnChange,
    /// The lease database of Kea; none for a file of its own.
    pub lease_database: Option<LeaseDatabase>,
    /// The other Kea, which takes over when this one fails.
    pub high_availability: Option<HighAvailability>,
}

/// A PostgreSQL database with the leases of one Kea, or of several.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeaseDatabase {
    /// A host, or the directory of a socket; none for the usual one.
    pub host: Option<String>,
    /// The database.
    pub name: String,
    /// The one that opens it.
    pub user: String,
    /// The file with that user's password, where one is needed.
    pub password_file: Option<String>,
}

/// Two Keas in hot standby: each has all leases, and the primary answers as long as it runs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HighAvailability {
    /// Which of the two this one is.
    pub role: Role,
    /// Where the other one reaches it, by HTTP.
    pub url: SocketAddr,
    /// Where the other one is.
    pub partner: SocketAddr,
}

/// Which of two servers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The one that answers.
    Primary,
    /// The one that takes over.
    Standby,
}

impl Program {
    /// All programs.
    pub const ALL: [Self; 8] = [
        Self::Dhcpcd,
        Self::Dhcp6c,
        Self::Networkd,
        Self::Command,
        Self::Radvd,
        Self::Rtadvd,
        Self::Dhcp6s,
        Self::Kea,
    ];

    /// As the configuration writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dhcpcd => "dhcpcd",
            Self::Dhcp6c => "dhcp6c",
            Self::Networkd => "networkd",
            Self::Command => "command",
            Self::Radvd => "radvd",
            Self::Rtadvd => "rtadvd",
            Self::Dhcp6s => "dhcp6s",
            Self::Kea => "kea",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|program| program.name() == name)
    }

    /// The job that it can do.
    pub const fn job(self) -> Job {
        match self {
            Self::Dhcpcd | Self::Dhcp6c | Self::Networkd | Self::Command => Job::Requester,
            Self::Radvd | Self::Rtadvd => Job::Advertiser,
            Self::Dhcp6s | Self::Kea => Job::Delegator,
        }
    }

    /// Whether it sets the addresses and default routes of its uplink by itself.
    pub const fn owns_interface(self) -> bool {
        matches!(self, Self::Dhcpcd | Self::Networkd)
    }
}

impl Engine {
    /// A program with the default of every key.
    pub const fn new(program: Program) -> Self {
        Self {
            program,
            path: None,
            renew: Vec::new(),
            on_change: OnChange::Renew,
            lease_database: None,
            high_availability: None,
        }
    }

    /// Whether only root can have it renew: the system runs it as root, and no command of the
    /// operator is in between.
    pub fn needs_root(&self) -> bool {
        let is_of_root =
            matches!(self.program, Program::Dhcpcd | Program::Dhcp6c | Program::Networkd);
        is_of_root && self.renew.is_empty()
    }
}

impl Uplink {
    /// The uplink that results where `program` requests its prefixes and no other key is set.
    pub fn requested_by(program: Program) -> Self {
        let default = Self { request_address: false, ..Self::default() };
        if program.owns_interface() {
            Self { address: AddressMode::None, default_route: false, ..default }
        } else {
            default
        }
    }
}

impl Config {
    /// The engine that an interface names: that of an `[engine.NAME]`, or the program itself.
    pub fn engine(&self, name: &str) -> Option<Engine> {
        let named = self.engines.get(name).cloned();
        named.or_else(|| Program::named(name).map(Engine::new))
    }

    /// The first engine that only root can lead: its interface, and what it is.
    pub fn engine_of_root(&self) -> Option<(&str, Program)> {
        self.engines_in_use().find_map(|(_, interface, name)| {
            let engine = self.engine(name).filter(Engine::needs_root)?;
            Some((interface, engine.program))
        })
    }

    /// The job, the interface and the engine's name of each job that a program does.
    pub fn engines_in_use(&self) -> impl Iterator<Item = (Job, &str, &str)> {
        let uplinks = self.uplinks.iter();
        let requesters = uplinks.filter_map(|(name, uplink)| {
            Some((Job::Requester, name.as_str(), uplink.requester.as_deref()?))
        });
        let downlinks = self.downlinks.iter();
        let below = downlinks.flat_map(|(name, downlink)| {
            let advertiser = downlink.advertiser.as_deref();
            let delegator = downlink.delegator.as_deref();
            [(Job::Advertiser, advertiser), (Job::Delegator, delegator)]
                .into_iter()
                .filter_map(move |(job, engine)| Some((job, name.as_str(), engine?)))
        });
        requesters.chain(below)
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Requester => "requester",
            Self::Advertiser => "advertiser",
            Self::Delegator => "delegator",
        })
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
