//! Named conditions: which of them hold.

use std::collections::BTreeMap;

use super::settle::DefaultRoute;
use crate::config::{self, AddressMode};
use crate::core::Core;
use crate::core::event::{Condition, Event, Kept, KeptPrefix};
use crate::core::kernel::object::Key as ObjectKey;
use crate::core::kernel::object::{Object, Port, Step};
use crate::core::kernel::refusals::{self, Refused};
use crate::core::status;
use crate::core::uplink::Uplink;
use crate::net::IfIndex;
use crate::time::Instant;

/// The conditions that hold.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::core) struct Conditions(BTreeMap<Key, Condition>);

/// What a condition is: its name, the interface or plan entry that it is about, and the address or
/// prefix where there can be several.
type Key = (&'static str, String, Option<String>);

impl Conditions {
    /// Adds what holds about an interface or plan entry, or, with an empty `subject`, about the
    /// whole machine.
    pub(in crate::core) fn add(&mut self, subject: &str, condition: Condition) {
        self.0.insert((condition.name(), subject.to_owned(), condition.which()), condition);
    }

    /// Adds the conditions for routers or servers of an uplink that do not answer, each with the
    /// delegated prefixes that the uplink uses meanwhile.
    fn add_silence(&mut self, now: Instant, name: &str, uplink: &Uplink) {
        let silent_for = |since| now.since(since).as_secs();
        if let Some(since) = uplink.silence().router() {
            let is_delegated = !uplink.config().delegate.is_empty();
            let kept = is_delegated.then(|| kept(now, uplink));
            self.add(name, Condition::NoRouter { silent_for: silent_for(since), kept });
        }
        if let Some(since) = uplink.silence().server() {
            let (silent_for, kept) = (silent_for(since), kept(now, uplink));
            self.add(name, Condition::ServerSilent { silent_for, kept });
        }
    }

    /// Adds the IA_PDs of an uplink for which servers answer without granting a prefix.
    fn add_unavailable(&mut self, now: Instant, name: &str, uplink: &Uplink) {
        let lease = uplink.lease();
        let unfilled = lease.unavailable().iter();
        for unavailable in unfilled.filter(|one| uplink.silence().is_unfilled(one.iaid)) {
            let condition = Condition::PrefixUnavailable {
                iaid: unavailable.iaid,
                server: unavailable.server.clone(),
                answer: unavailable.to_string(),
                lacking_for: now.since(unavailable.since).as_secs(),
                again_in: lease.asked_again_at().map(|at| at.since(now).as_secs()),
                kept: kept(now, uplink),
            };
            self.add(name, condition);
        }
    }

    /// The conditions as `status` shows them.
    pub(in crate::core) fn view(&self) -> Vec<status::Condition> {
        let view = |((name, subject, _), condition): (&Key, &Condition)| status::Condition {
            name: (*name).to_owned(),
            subject: subject.clone(),
            text: condition.to_string(),
            remedy: condition.remedy().to_owned(),
        };
        self.0.iter().map(view).collect()
    }
}

/// The delegated prefixes that an uplink holds, with their valid lifetimes.
fn kept(now: Instant, uplink: &Uplink) -> Kept {
    let held = uplink.lease().prefixes().into_iter().filter(|held| held.gone_since.is_none());
    let kept = held.map(|held| KeptPrefix {
        prefix: held.prefix,
        valid: held.valid_until.remaining(now).seconds(),
    });
    Kept(kept.collect())
}

impl Core {
    /// Finds out which conditions hold, and reports those that came and went.
    pub(in crate::core) fn review_conditions(&mut self, now: Instant) {
        for uplink in self.uplinks.values_mut() {
            uplink.review_silence(now);
        }
        let found = self.find_conditions(now);
        let before = std::mem::replace(&mut self.conditions, found);
        let interface = |key: &Key| Some(key.1.clone()).filter(|subject| !subject.is_empty());
        for (key, condition) in &self.conditions.0 {
            if !before.0.contains_key(key) {
                let (interface, condition) = (interface(key), condition.clone());
                self.events.push_back(Event::ConditionBegan { interface, condition });
            }
        }
        for (key, condition) in before.0 {
            if !self.conditions.0.contains_key(&key) {
                let interface = interface(&key);
                self.events.push_back(Event::ConditionOver { interface, condition });
            }
        }
    }

    /// The conditions that hold at `now`.
    pub(in crate::core) fn find_conditions(&self, now: Instant) -> Conditions {
        let mut found = Conditions::default();
        if !self.kernel.state.system.forwarding
            && !self.kernel.state.has_switched_forwarding_on()
            && (!self.config.downlinks.is_empty() || !self.config.relays.is_empty())
        {
            let remedy = self.capabilities.remedies.forwarding;
            found.add("", Condition::ForwardingOff { remedy });
        }
        if let Some(text) = &self.unwritten {
            found.add("", Condition::MemoryNotWritten { text: text.clone() });
        }
        self.find_absent(&mut found);
        for (name, uplink) in &self.uplinks {
            if let (Some(prefix), Some(target)) = (uplink.not_routed(), uplink.config().probe) {
                found.add(name, Condition::DelegatedNotRouted { prefix, target });
            }
            if let Some(client) = uplink.client().filter(|_| uplink.is_managed_elsewhere()) {
                let remedy = self.capabilities.remedies.follow_advertisements;
                found.add(name, Condition::ManagedElsewhere { mends: client.mend, remedy });
            }
            if let Some(prefix) = uplink.late_address() {
                let remedy = self.capabilities.remedies.form_addresses;
                found.add(name, Condition::AddressNotFormed { prefix, remedy });
            }
            if self.default_route == DefaultRoute::Absent
                && uplink.attached().is_some()
                && (uplink.config().default_route || uplink.client().is_some())
                && !uplink.is_managed_elsewhere()
                && uplink.heard()
                && uplink.routers().default_routers(now).is_empty()
            {
                let is_host = uplink.client().is_some();
                found.add(name, Condition::NoDefaultRouter { is_host });
            }
            found.add_silence(now, name, uplink);
            found.add_unavailable(now, name, uplink);
            for (prefix, reason) in uplink.lease().refused() {
                let (prefix, reason) = (*prefix, *reason);
                found.add(name, Condition::PrefixRefused { prefix, reason });
            }
        }
        for (interface, address) in &self.kernel.state.system.duplicates {
            let name = self.kernel.state.system.name_of(*interface).unwrap_or_default();
            found.add(name, Condition::DuplicateAddress { address: *address });
        }
        for (name, router) in &self.kernel.desired.silent_routers {
            found.add(name, Condition::RouterSilent { router: *router });
        }
        for ((name, prefix), conflict) in &self.kernel.desired.conflicts {
            let (prefix, conflict) = (*prefix, *conflict);
            found.add(name, Condition::PrefixConflict { prefix, conflict });
        }
        for ((name, prefix), reason) in &self.kernel.desired.without {
            let (prefix, reason) = (*prefix, *reason);
            let is_link = self.config.downlinks.contains_key(name);
            found.add(
                name,
                if is_link {
                    Condition::WithoutSubnet { prefix, reason }
                } else {
                    Condition::WithoutPrefix { prefix, reason }
                },
            );
        }
        for (post, trouble, text) in self.engines.troubles() {
            let (job, text) = (post.job, text.to_owned());
            found.add(&post.interface, Condition::Engine { job, trouble, text });
        }
        for (interface, published, text) in self.publications.troubles() {
            let text = text.to_owned();
            found.add(interface, Condition::NotPublished { published, text });
        }
        self.find_silent_programs(&mut found);
        self.find_flooding_programs(&mut found);
        if self.relays.leases().is_full() {
            found.add("", Condition::RelayTableFull);
        }
        self.takeovers.describe(&mut found);
        if let Some(first) = self.kernel.delegated.stranded().first()
            && let Some(binding) = self.delegating.bindings().get(first)
        {
            let count = self.kernel.delegated.stranded().len();
            let next_hop = binding.contact().next_hop;
            found.add(&first.downlink, Condition::NextHopOffLink { count, next_hop });
        }
        for (downlink, count, (prefix, duid)) in self.delegating.unreached() {
            let (prefix, duid) = (*prefix, duid.clone());
            found.add(downlink, Condition::NextHopUnknown { count, prefix, duid });
        }
        self.find_refusals(&mut found);
        found
    }

    /// Adds the configured interfaces that do not exist, are down, lack a link-local address, or
    /// ignore neighbors.
    fn find_absent(&self, found: &mut Conditions) {
        let remedies = self.capabilities.remedies;
        for name in self.config.interfaces() {
            match self.kernel.state.system.link(name) {
                None => found.add(name, Condition::InterfaceAbsent),
                Some(link) if !link.running => {
                    found.add(name, Condition::InterfaceDown { remedy: remedies.interface_up });
                }
                Some(link) if self.unaddressed.is_lasting(link.index) => {
                    found.add(name, Condition::NoLinkLocal { remedy: remedies.link_local });
                }
                Some(link) if self.ignores_neighbors(name, link.index) => {
                    let remedy = remedies.answer_off_link;
                    found.add(name, Condition::NeighborsIgnored { remedy });
                }
                Some(_) => {}
            }
        }
    }

    /// Whether a neighbor with a global address is ignored, because this machine has none on that
    /// link and the agent gives it none there.
    fn ignores_neighbors(&self, name: &str, interface: IfIndex) -> bool {
        let system = &self.kernel.state.system;
        let asks_none = |uplink: &config::Uplink| uplink.address == AddressMode::None;
        let stays_without = self.config.uplinks.get(name).is_some_and(asks_none)
            || self.kernel.desired.without.keys().any(|(link, _)| link == name)
            || !self.config.uplinks.contains_key(name) && !self.config.downlinks.contains_key(name);
        system.ignores_off_link && stays_without && !system.has_global(interface)
    }

    /// One condition for all that the kernel refuses: there can be thousands.
    fn find_refusals(&self, found: &mut Conditions) {
        let system = &self.kernel.state.system;
        let is_port = |refused: &Refused| matches!(refused.step, Step::Set(Object::Port(_)));
        let view = |refused: &Refused| refusals::refused(&refused.step, refused.refusal, system);
        let mut ports = 0;
        for port in [Port::Client, Port::Server] {
            let refused = self.kernel.refusals.of(&ObjectKey::Port(port));
            let Some(refused) = refused.filter(|refused| is_port(refused)) else { continue };
            ports += 1;
            let refused = view(refused);
            found.add(
                "",
                match port {
                    Port::Client => Condition::ClientPortTaken { refused },
                    Port::Server => Condition::ServerPortTaken { refused },
                },
            );
        }
        let mut others = self.kernel.refusals.iter().filter(|refused| !is_port(refused));
        if let Some(first) = others.next() {
            let others = self.kernel.refusals.len() - ports - 1;
            let (refused, times) = (view(first), first.count);
            found.add("", Condition::Refused { refused, times, others });
        }
    }
}
