//! The delegating router (RFC 9915 §18.3): what subordinate routers are given, kept at the same places
//! through every change of what is delegated to us, and the messages that say so.
//!
//! What was given and may still be held are the `bindings`. Requesting routers are answered by a
//! [`Delegator`]: the built-in `server`, or another program in its place, that is handed them.

mod asked;
mod assigned;
mod bindings;
mod observed;
mod programs;
mod server;
mod steady;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::sync::Arc;

use ipnet::Ipv6Net;

use super::engine::{Leases, State};
use super::kernel::system::KernelRoute;
use super::random::Random;
use crate::config::{Config, Program};
use crate::net::IfIndex;
use crate::time::{Deadline, Instant};
use crate::wire::dhcpv6::Message;
use crate::wire::dhcpv6_option::Duid;

pub use assigned::{Assigned, AssignedPool, AssignedPrefix, AssignedRouter};
pub use bindings::{
    Binding, BindingKey, BindingStatus, BindingSummary, Contact, DelegationStatus, Holder, Offer,
    Offers, Place, Promise, Slot, StoredBinding,
};
pub use server::{Answer, HostOptions, Reject};

use bindings::Bindings;
use programs::Programs;
use server::Server;

/// A message that came to a downlink.
#[derive(Clone, PartialEq, Debug)]
pub struct Arrival {
    /// The downlink.
    pub downlink: Arc<str>,
    /// How its sender is reached.
    pub contact: Contact,
}

/// The effects of a message.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Served {
    /// Bindings whose routes and record have to be looked at.
    pub touched: BTreeSet<BindingKey>,
    /// The answer, to be sent behind what was touched.
    pub answer: Option<Answer>,
    /// A router to which another program may have leased something just now.
    pub leased: Option<Duid>,
}

/// A notification of a requesting router about a change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Notification {
    /// A signed Reconfigure.
    Reconfigure {
        /// Its link.
        downlink: Arc<str>,
        /// How the requesting router is reached.
        contact: Arc<Contact>,
        /// The encoded message.
        octets: Vec<u8>,
    },
    /// A unicast router advertisement.
    Advertise {
        /// Its link.
        downlink: Arc<str>,
        /// The requesting router.
        host: Ipv6Addr,
    },
}

/// The delegating router of all downlinks.
#[derive(Clone, Debug)]
pub struct Delegating {
    bindings: Bindings,
    /// The server of this program. It exists also while other programs answer, so that replay
    /// values continue.
    server: Box<Server>,
    delegator: Delegator,
}

/// The program that answers requesting routers. A verb of [`Delegating`] is one `let` here: another
/// delegator is one case, and the compiler names the verbs that it has to answer.
#[derive(Clone, Debug)]
enum Delegator {
    /// The server of this program.
    BuiltIn,
    /// Other programs, one on each downlink that has one.
    Programs(Box<Programs>),
}

/// Bindings.
impl Delegating {
    /// Restores the stored bindings, and the highest replay value that may have been used.
    pub fn new(
        duid: Duid,
        stored: &BTreeMap<BindingKey, Arc<StoredBinding>>,
        replay: u64,
        random: Random,
    ) -> Self {
        Self {
            bindings: Bindings::new(stored),
            server: Box::new(Server::new(duid, replay, random)),
            delegator: Delegator::BuiltIn,
        }
    }

    /// Takes over a configuration; [`set_offers`](Self::set_offers) has to follow.
    pub fn configure(&mut self, duid: &Duid, config: &Config) {
        self.bindings.configure(config);
        self.server.set_duid(duid);
        let has_programs = config.downlinks.values().any(|link| link.delegator.is_some());
        match (&mut self.delegator, has_programs) {
            (_, false) => self.delegator = Delegator::BuiltIn,
            (Delegator::BuiltIn, true) => {
                let programs = Programs::new(duid.clone(), &self.bindings);
                self.delegator = Delegator::Programs(Box::new(programs));
            }
            (Delegator::Programs(programs), true) => programs.configure(duid, &self.bindings),
        }
        if let Delegator::Programs(programs) = &mut self.delegator {
            let names = config.downlinks.values().filter_map(|link| link.delegator.as_deref());
            let mut engines = names.filter_map(|name| config.engine(name));
            // A program that listens beside dhcp6s could receive messages that relay agents send to
            // dhcp6s alone.
            programs.share_port(engines.all(|engine| engine.program == Program::Kea));
        }
    }

    /// Takes over the offers: bindings move, and the routers of those that changed are notified.
    /// Returns the bindings that were touched.
    pub fn set_offers(&mut self, now: Instant, offers: Offers) -> BTreeSet<BindingKey> {
        match &mut self.delegator {
            Delegator::BuiltIn => {
                let touched = self.bindings.set_offers(now, offers);
                self.server.look_at_refused(&mut self.bindings, now);
                touched
            }
            Delegator::Programs(_) => self.bindings.set_standing_offers(now, offers),
        }
    }

    /// Whether this program answers requesting routers, and no other program does.
    pub const fn answers(&self) -> bool {
        matches!(self.delegator, Delegator::BuiltIn)
    }

    /// Whether anything is delegated on a downlink by messages of ours.
    pub fn serves(&self, downlink: &str) -> bool {
        self.answers() && self.bindings.serves(downlink)
    }

    /// Whether the configuration has a downlink of this name.
    pub fn has_downlink(&self, name: &str) -> bool {
        self.bindings.downlinks.contains_key(name)
    }

    /// Whether the configuration names any router.
    pub fn names_any(&self) -> bool {
        !self.bindings.delegations.is_empty()
    }

    /// Whether the configuration names the router of a binding by its DUID.
    pub fn names(&self, key: &BindingKey) -> bool {
        self.bindings.names(key)
    }

    /// All bindings.
    pub const fn bindings(&self) -> &BTreeMap<BindingKey, Binding> {
        &self.bindings.by_key
    }

    /// All bindings at `now`, as `status` shows them.
    pub fn status(&self, now: Instant) -> Vec<BindingStatus> {
        self.bindings.status(now)
    }

    /// How many bindings there are.
    pub fn summary(&self) -> BindingSummary {
        self.bindings.summary()
    }

    /// The routes of a binding, through `interface`.
    pub fn routes(&self, key: &BindingKey, interface: IfIndex) -> Vec<KernelRoute> {
        self.bindings.routes(key, interface)
    }

    /// The links of these bindings have changed: their routers are notified once more of what they
    /// did not come for.
    pub(in crate::core) fn notify_again(&mut self, now: Instant, keys: &BTreeSet<BindingKey>) {
        self.bindings.notify_again(now, keys);
    }

    /// The routes of one of its bindings, through `interface`.
    pub fn routes_of(&self, binding: &Binding, interface: IfIndex) -> Vec<KernelRoute> {
        self.bindings.routes_of(binding, interface)
    }

    /// The record of a binding; none when there is none any more.
    pub fn stored(&self, key: &BindingKey) -> Option<Arc<StoredBinding>> {
        self.bindings.stored(key)
    }

    /// The first holder at another place, of those that `counts` accepts, that `message` would take
    /// a prefix from or release one of: of a binding that the message names, or of a configured
    /// delegation that another router was given.
    pub fn contested(
        &self,
        now: Instant,
        arrival: &Arrival,
        message: &Message,
        counts: impl Fn(&BindingKey, &Binding) -> bool,
    ) -> Option<Holder> {
        self.bindings.contested(now, arrival, message, counts)
    }

    /// Whether the router of a binding has sent no Renew by T2, although the message would have
    /// arrived.
    pub fn is_overdue(&self, now: Instant, key: &BindingKey, binding: &Binding) -> bool {
        self.bindings.is_overdue(now, key, binding)
    }

    /// Notes the downlinks on which messages of requesting routers arrive now.
    pub fn set_listening(&mut self, now: Instant, names: impl Iterator<Item = String>) {
        self.bindings.set_listening(now, names);
    }

    /// Whether a holder still has the prefix that a newcomer asked for.
    pub fn still_holds(&self, holder: &Holder) -> bool {
        self.bindings.still_holds(holder)
    }

    /// Whether a newcomer has to be probed before it gets a place.
    pub fn is_crowded(&self, arrival: &Arrival, message: &Message) -> bool {
        self.bindings.is_crowded(arrival, message)
    }
}

/// Messages.
impl Delegating {
    /// Takes over the options that are given on each downlink beside prefixes.
    pub fn set_host_options(&mut self, options: BTreeMap<String, HostOptions>) {
        match &mut self.delegator {
            Delegator::BuiltIn => self.server.set_host_options(options),
            Delegator::Programs(programs) => programs.set_host_options(options),
        }
    }

    /// Whether hosts on a downlink can ask for something that no advertisement carries (LAN-01),
    /// whether anything is delegated there or not.
    pub fn informs(&self, downlink: &str) -> bool {
        match &self.delegator {
            Delegator::BuiltIn => self.server.informs(&self.bindings, downlink),
            Delegator::Programs(_) => false,
        }
    }

    /// Whether a router has yet to renew that was sent a Reconfigure message at `since` or later.
    pub fn awaits_renewal(&self, since: Instant) -> bool {
        match &self.delegator {
            Delegator::BuiltIn => self.server.awaits_renewal(since),
            Delegator::Programs(_) => false,
        }
    }

    /// Takes in a message.
    ///
    /// # Errors
    ///
    /// [`Reject`] when there is no answer to it.
    pub fn handle_message(
        &mut self,
        now: Instant,
        arrival: &Arrival,
        message: &Message,
    ) -> Result<Served, Reject> {
        match &mut self.delegator {
            Delegator::BuiltIn => {
                self.server.handle_message(&mut self.bindings, now, arrival, message)
            }
            Delegator::Programs(programs) => {
                programs.observe(&mut self.bindings, now, arrival, message)
            }
        }
    }

    /// The answer to a router that asks for a prefix which another one holds: no binding changes.
    pub fn refusal(&self, arrival: &Arrival, message: &Message) -> Option<Answer> {
        match &self.delegator {
            Delegator::BuiltIn => self.server.refusal(arrival, message),
            Delegator::Programs(_) => None,
        }
    }

    /// Handles the deadlines of `most` bindings that have passed. Where more have, the next
    /// deadline lies in the past. Returns the bindings that were touched.
    pub fn handle_timeout(&mut self, now: Instant, most: usize) -> BTreeSet<BindingKey> {
        let woken = self.bindings.handle_timeout(now, most);
        match &mut self.delegator {
            Delegator::BuiltIn => self.server.handle_timeout(&mut self.bindings, now, &woken),
            Delegator::Programs(programs) => {
                programs.handle_timeout(&self.bindings, now, &woken);
            }
        }
        woken.touched
    }

    /// The next notification.
    pub fn poll_notification(&mut self) -> Option<Notification> {
        match &mut self.delegator {
            Delegator::BuiltIn => self.server.poll_notification(),
            Delegator::Programs(programs) => programs.poll_notification(),
        }
    }

    /// The last replay value to be reserved on disk, where more are needed: they are reserved in
    /// advance, so that no Reconfigure message waits for the disk.
    pub const fn reserve_replay(&mut self) -> Option<u64> {
        match &mut self.delegator {
            Delegator::BuiltIn => self.server.reserve_replay(),
            Delegator::Programs(_) => None,
        }
    }

    /// When [`handle_timeout`](Self::handle_timeout) or [`is_to_be_derived`](Self::is_to_be_derived)
    /// has something to do.
    pub fn deadline(&self) -> Option<Deadline> {
        let of_delegator = match &self.delegator {
            Delegator::BuiltIn => self.server.deadline(),
            Delegator::Programs(programs) => programs.deadline(),
        };
        Deadline::first([self.bindings.deadline(), of_delegator])
    }
}

/// Programs that answer in the built-in's place.
impl Delegating {
    /// The prefixes that they are to give from now on, for each downlink where these differ from
    /// the last order.
    pub fn orders(&mut self, now: Instant) -> Vec<Assigned> {
        match &mut self.delegator {
            Delegator::BuiltIn => Vec::new(),
            Delegator::Programs(programs) => programs.orders(now, &self.bindings),
        }
    }

    /// Whether the agent listens to the messages that the program of a downlink answers, as nothing
    /// else shows the places of routers that the program gives parts of pools.
    pub fn observes(&self, downlink: &str) -> bool {
        match &self.delegator {
            Delegator::BuiltIn => false,
            Delegator::Programs(programs) => programs.observes(&self.bindings, downlink),
        }
    }

    /// Handles leases that a program reports; returns the bindings that were touched, and whether
    /// [`unreached`](Self::unreached) differs.
    pub fn set_leases(&mut self, now: Instant, leases: &Leases) -> (BTreeSet<BindingKey>, bool) {
        match &mut self.delegator {
            Delegator::BuiltIn => (BTreeSet::new(), false),
            Delegator::Programs(programs) => programs.set_leases(&mut self.bindings, now, leases),
        }
    }

    /// By downlink, how many leases have no route because the place of their router is not known,
    /// and the first of them.
    pub fn unreached(&self) -> Vec<(&str, usize, (&Ipv6Net, &Duid))> {
        match &self.delegator {
            Delegator::BuiltIn => Vec::new(),
            Delegator::Programs(programs) => programs.unreached(),
        }
    }

    /// Handles the reported state of a downlink's program; returns whether advertisements or
    /// notifications have waited for it.
    pub fn note_state(&mut self, now: Instant, downlink: &str, state: State) -> bool {
        match &mut self.delegator {
            Delegator::BuiltIn => false,
            Delegator::Programs(programs) => programs.note_state(now, downlink, state),
        }
    }

    /// Whether changes on a downlink wait for its program: a router that heard of them before would
    /// be given the old prefix.
    pub fn is_changing(&self, downlink: &str) -> bool {
        match &self.delegator {
            Delegator::BuiltIn => false,
            Delegator::Programs(programs) => programs.is_changing(downlink),
        }
    }

    /// Whether the desired state has to be derived at `now` because of these programs.
    pub fn is_to_be_derived(&mut self, now: Instant) -> bool {
        match &mut self.delegator {
            Delegator::BuiltIn => false,
            Delegator::Programs(programs) => programs.is_to_be_derived(now),
        }
    }
}
