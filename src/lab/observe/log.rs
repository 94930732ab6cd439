//! What the watchers have seen.

use std::net::Ipv6Addr;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use ipnet::Ipv6Net;

use crate::lab::site::nodes::{Era, Node};
use crate::wire::dhcpv6::MessageType;

/// Something that was seen.
#[derive(Clone, PartialEq, Debug)]
pub struct Seen {
    /// When, since boot.
    pub at: Duration,
    /// On which system.
    pub node: Node,
    /// What.
    pub what: What,
}

/// What was seen.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// An advertisement came in, with these prefixes that are preferred.
    Heard(Vec<Ipv6Net>),
    /// An advertisement went out, with these prefixes that are preferred.
    Advertised {
        /// The prefixes.
        prefixes: Vec<Ipv6Net>,
        /// Whether it went to all nodes.
        to_all: bool,
    },
    /// A DHCPv6 message went out.
    Sent(MessageType),
    /// A Reply came in, with these delegated prefixes that are valid.
    Delegated(Vec<Ipv6Net>),
    /// There is an address, or something about it is new.
    Address {
        /// The address.
        address: Ipv6Addr,
        /// Whether packets can leave from it: it is not tentative, or it is optimistic.
        usable: bool,
        /// Whether it is deprecated.
        deprecated: bool,
    },
    /// An address is gone.
    AddressGone(Ipv6Addr),
    /// An echo from this address was answered from beyond the provider.
    Answered(Ipv6Addr),
}

/// What watchers and the runner share.
#[derive(Debug, Default)]
pub struct Log {
    seen: Mutex<Vec<Seen>>,
    era: AtomicU16,
    over: AtomicBool,
}

impl Log {
    /// Writes something down.
    pub fn add(&self, node: Node, at: Duration, what: What) {
        self.lock().push(Seen { at, node, what });
    }

    /// All that was seen.
    pub fn all(&self) -> Vec<Seen> {
        self.lock().clone()
    }

    /// Forgets all, and says what era is expected.
    pub fn begin(&self, era: Era) {
        self.era.store(era.0, Ordering::Relaxed);
        self.lock().clear();
    }

    /// The era that is expected.
    pub fn era(&self) -> Era {
        Era(self.era.load(Ordering::Relaxed))
    }

    /// Tells the watchers to end.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    /// Whether the watchers are to end.
    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    /// What a watcher that panicked has left is whole all the same.
    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
