//! The plan: delegated prefixes × configuration → subnets. A pure function (CRV-02).

use std::collections::BTreeMap;

use ipnet::Ipv6Net;

use crate::config::Config;
use crate::wire::dhcpv6_option::Iaid;

/// A delegated prefix to carve.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Delegation {
    /// The uplink that it came through.
    pub uplink: String,
    /// The IA_PD that it came in.
    pub iaid: Iaid,
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The part that the delegating router keeps (RFC 6603).
    pub exclude: Option<Ipv6Net>,
}

/// Who gets what of one delegated prefix.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Subnets by downlink.
    pub subnets: BTreeMap<String, Ipv6Net>,
    /// What could not be given, by name, with the reason.
    pub without: BTreeMap<String, Without>,
}

/// Why a downlink goes without a subnet of a delegated prefix.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Without {
    /// The delegated prefix is smaller than the place.
    TooLong,
    /// Its place does not exist in this prefix, and where it folds to is taken.
    Taken,
    /// There is no room left.
    Full,
    /// Its place lies in what the delegating router keeps.
    Excluded,
}

/// Carves `delegation` for every downlink that takes from it.
pub fn plan(_config: &Config, _delegation: &Delegation) -> Plan {
    todo!()
}
