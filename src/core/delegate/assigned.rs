//! The prefixes that a program in the built-in's place has to give.

use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::Serialize;

use super::HostOptions;
use crate::time::Lifetime;
use crate::wire::dhcpv6_option::{Duid, Iaid};

/// All that a program is to give on one downlink: a state, of which the newest counts.
///
/// Each message of the program may promise these lifetimes: they stay true until the next of these
/// values, so that a program which knows nothing of our lease never promises more than we have.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Assigned {
    /// The downlink.
    pub downlink: Arc<str>,
    /// The DUID of this machine.
    pub server: Duid,
    /// A Solicit with Rapid Commit is answered by a Reply.
    pub rapid_commit: bool,
    /// How often requesting routers are to renew, where that is not left to the lifetimes.
    pub renew_every: Option<Duration>,
    /// The options that are given beside prefixes.
    pub options: HostOptions,
    /// Configured delegations, by name.
    pub routers: Vec<AssignedRouter>,
    /// Pools, by name.
    pub pools: Vec<AssignedPool>,
}

/// What one IA_PD of a requesting router is to be given.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AssignedRouter {
    /// The delegation.
    pub name: Arc<str>,
    /// The router that it is for.
    pub duid: Duid,
    /// For which IA_PD; none for any.
    pub iaid: Option<Iaid>,
    /// Most wanted first; empty where there is nothing to give.
    pub prefixes: Vec<AssignedPrefix>,
}

/// Blocks of which every requesting router is given a part.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct AssignedPool {
    /// The pool.
    pub name: Arc<str>,
    /// Length of what each requesting router gets.
    pub length: u8,
    /// The blocks; empty where there is nothing to give.
    pub blocks: Vec<AssignedPrefix>,
}

/// A prefix with the lifetimes that each message may promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct AssignedPrefix {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// Preferred lifetime, no longer than the valid one.
    pub preferred: Lifetime,
    /// Valid lifetime.
    pub valid: Lifetime,
}
