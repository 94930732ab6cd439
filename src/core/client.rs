//! Publications: DNS servers, search domains and other data from advertisements that other programs
//! of a host are handed.
//!
//! Like the orders to engines a publication is a state: the newest counts, and the task that
//! carries it out updates files and resolvers by differences.

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
    /// DNS servers and search domains of each router, in the place of both lists, where the
    /// operator wants an entry for each router.
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

/// A report about one publication.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PublicationReport {
    /// The interface.
    pub interface: String,
    /// The kind of publication.
    pub published: Published,
    /// The fault and its remedy, in a sentence; none where all is well.
    pub trouble: Option<String>,
}

/// The publications of this host, and their faults.
#[derive(Clone, Debug, Default)]
pub(super) struct Publications {
    newest: BTreeMap<String, Publication>,
    /// Something has been published since the start.
    is_begun: bool,
    /// When time alone makes a new publication necessary.
    next_at: Option<Instant>,
    troubles: BTreeMap<(String, Published), String>,
}

impl Publications {
    /// Whether the first publication waits at `now`, given that it may wait `until` then. The first
    /// of the networks `ends` at that time.
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

    /// When a publication becomes necessary by time alone.
    pub(super) fn deadline(&self) -> Option<Deadline> {
        Some(Deadline::new(self.next_at?, "publication"))
    }

    /// Whether that time has come.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.next_at.is_some_and(|at| at <= now)
    }

    /// Takes over the publications by interface; returns them if they differ from the last.
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

    /// Handles a report about a publication.
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

    /// The faults: interface, publication, and text.
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
