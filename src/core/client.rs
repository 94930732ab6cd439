//! What other programs of a host learn from what its routers advertise.
//!
//! Like the orders to engines this is a state: the newest publication counts, and the task that
//! carries it out brings files and resolvers there by differences.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use crate::config::Client;
use crate::time::{Deadline, Instant};

/// What is published of one interface on which this machine is a host.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Publication {
    /// The receivers, and what each is handed.
    pub client: Client,
    /// DNS servers (RFC 8106 §5.1), in the order of preference.
    pub servers: Vec<Ipv6Addr>,
    /// Search domains (RFC 8106 §5.2), none of which holds anything but letters, digits, hyphens,
    /// underscores and dots (SEC-14).
    pub search: Vec<String>,
    /// What each router advertises of these, in the place of both, where the operator wants an entry
    /// for each router.
    pub of_routers: Vec<ResolverOfRouter>,
    /// The prefixes of the local network.
    pub networks: BTreeSet<Ipv6Net>,
}

/// DNS servers and search domains that one router advertises, chosen and cleaned as in
/// [`Publication`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct ResolverOfRouter {
    /// Its link-local address.
    pub router: Ipv6Addr,
    /// DNS servers (RFC 8106 §5.1).
    pub servers: Vec<Ipv6Addr>,
    /// Search domains (RFC 8106 §5.2).
    pub search: Vec<String>,
}

/// A program of the operator is to be run, because an advertisement came.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Script {
    /// The interface that it came in on.
    pub interface: String,
    /// Which of the programs.
    pub occasion: Occasion,
    /// The program.
    pub program: String,
    /// The router that has sent it.
    pub router: Ipv6Addr,
}

/// Why a program of the operator is run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Occasion {
    /// The M flag: addresses are to be had by DHCPv6.
    Managed,
    /// The O flag: other data is to be had by DHCPv6.
    Other,
    /// Any advertisement.
    Always,
}

/// One of the things that are published.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Published {
    /// DNS servers and search domains.
    Resolver,
    /// The file of the local networks, and the command behind it.
    Networks,
    /// A program of the operator.
    Script(Occasion),
}

/// What became of one of the things that are published.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PublicationReport {
    /// The interface.
    pub interface: String,
    /// What.
    pub published: Published,
    /// What is wrong and how it is mended, in a sentence; none where all is well.
    pub trouble: Option<String>,
}

/// What is published on this host, and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub(super) struct Publications {
    newest: BTreeMap<String, Publication>,
    /// Something has been published since the start.
    is_begun: bool,
    /// Time has something published then.
    next_at: Option<Instant>,
    troubles: BTreeMap<(String, Published), String>,
}

impl Publications {
    /// Whether the first publication waits at `now`, where it may wait `until` then. One of the
    /// networks `ends` next.
    pub(super) fn waits(
        &mut self,
        now: Instant,
        until: Option<Instant>,
        ends: Option<Instant>,
    ) -> bool {
        let until = until.filter(|until| !self.is_begun && *until > now);
        self.next_at = [until, ends].into_iter().flatten().min();
        until.is_some()
    }

    /// When there is something to publish that only time brings.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        Some(Deadline::new(self.next_at?, "publication"))
    }

    /// Whether that is so.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next_at.is_some_and(|at| at <= now)
    }

    /// Takes in what is to be published, by interface; what there is to hand out, if it is new.
    pub(super) fn set(
        &mut self,
        newest: BTreeMap<String, Publication>,
    ) -> Option<BTreeMap<String, Publication>> {
        self.is_begun = true;
        if self.newest == newest {
            return None;
        }
        self.troubles.retain(|(interface, _), _| newest.contains_key(interface));
        self.newest.clone_from(&newest);
        Some(newest)
    }

    /// Takes in what became of something.
    pub(super) fn take_report(&mut self, report: PublicationReport) {
        let key = (report.interface, report.published);
        match report.trouble {
            Some(trouble) if self.newest.contains_key(&key.0) => {
                self.troubles.insert(key, trouble);
            }
            Some(_) | None => {
                self.troubles.remove(&key);
            }
        }
    }

    /// What is wrong: interface, what, and why.
    pub(super) fn troubles(&self) -> impl Iterator<Item = (&str, Published, &str)> {
        let troubles = self.troubles.iter();
        troubles
            .map(|((interface, published), text)| (interface.as_str(), *published, text.as_str()))
    }
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolver => "the resolver",
            Self::Networks => "the file of local networks",
            Self::Script(Occasion::Managed) => "the script for the M flag",
            Self::Script(Occasion::Other) => "the script for the O flag",
            Self::Script(Occasion::Always) => "the script for all advertisements",
        })
    }
}
