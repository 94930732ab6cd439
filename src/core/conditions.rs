//! Named conditions: what only the running system can refute, and what an operator should mend.

use std::collections::{BTreeMap, BTreeSet};

use super::Core;
use super::desired::Conflict;
use super::failures::{self, Failure, Subject};
use super::output::{Level, Output, Report, Step};
use super::plan::Without;
use super::status;
use super::uplink::Uplink;
use crate::time::{Instant, Lifetime};

/// The conditions that hold, each with a sentence that names the remedy.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Conditions(BTreeMap<Key, String>);

/// What a condition is: its name, the interface or plan entry that it is about, and the address or
/// prefix where there can be several.
type Key = (&'static str, String, Option<String>);

impl Conditions {
    fn add(&mut self, name: &'static str, subject: impl Into<String>, text: impl Into<String>) {
        self.0.insert((name, subject.into(), None), text.into());
    }

    pub(super) fn add_of(
        &mut self,
        name: &'static str,
        subject: &str,
        which: String,
        text: String,
    ) {
        self.0.insert((name, subject.to_owned(), Some(which)), text);
    }

    /// What is awaited on an uplink in vain, and what it goes on with.
    fn add_silence(&mut self, now: Instant, name: &str, uplink: &Uplink) {
        let since = |since| now.since(since).as_secs();
        if let Some(at) = uplink.silence().router() {
            let text = format!(
                "no router has been heard for {} s, and solicitations go on; is there one, and \
                 does its ICMPv6 get here? {}",
                since(at),
                kept(now, uplink)
            );
            self.add("no-router", name, text);
        }
        if let Some(at) = uplink.silence().server() {
            let text = format!(
                "no DHCPv6 server has answered for {} s, and questions go on; is there one, and \
                 do UDP ports 546 and 547 pass? {}",
                since(at),
                kept(now, uplink)
            );
            self.add("server-silent", name, text);
        }
    }

    /// Which IA_PDs of an uplink servers answer about and do not fill.
    fn add_unavailable(&mut self, now: Instant, name: &str, uplink: &Uplink) {
        let lease = uplink.lease();
        for unavailable in lease.unavailable() {
            let iaid = unavailable.iaid;
            if !uplink.silence().is_unfilled(iaid) {
                continue;
            }
            let again = match lease.asked_again_at() {
                Some(at) => format!("in {} s", at.since(now).as_secs()),
                None => "when a router advertises something new".to_owned(),
            };
            let text = format!(
                "servers have given no prefix for IA_PD {} for {} s, the last that answered was \
                 {}: {unavailable}; they are asked again {again}. {}",
                iaid.0,
                now.since(unavailable.since).as_secs(),
                unavailable.server,
                kept(now, uplink)
            );
            self.add_of("prefix-unavailable", name, format!("IA_PD {}", iaid.0), text);
        }
    }

    /// For status.
    pub(super) fn view(&self) -> Vec<status::Condition> {
        let view = |((name, subject, _), text): (&Key, &String)| status::Condition {
            name: (*name).to_owned(),
            subject: subject.clone(),
            text: text.clone(),
        };
        self.0.iter().map(view).collect()
    }
}

/// What an uplink holds, and for how long.
fn kept(now: Instant, uplink: &Uplink) -> String {
    let held = uplink.lease().prefixes().into_iter().filter(|held| held.gone_since.is_none());
    let text = held.map(|held| match held.valid_until.remaining(now) {
        Lifetime::Finite(seconds) => format!("{} for {seconds} s", held.prefix),
        Lifetime::Infinite => format!("{} without end", held.prefix),
    });
    let text: Vec<String> = text.collect();
    if text.is_empty() {
        "No delegated prefix is held".to_owned()
    } else {
        format!("Kept meanwhile: {}", text.join(", "))
    }
}

impl Core {
    /// Finds out which conditions hold, and reports those that came and went.
    pub(super) fn review_conditions(&mut self, now: Instant) {
        let found = self.find_conditions(now);
        let before = std::mem::replace(&mut self.conditions, found);
        let mut reports = Vec::new();
        for (key @ (name, subject, _), text) in &self.conditions.0 {
            if !before.0.contains_key(key) {
                reports.push((Level::Warn, subject.clone(), format!("{name}: {text}")));
            }
        }
        for key @ (name, subject, which) in before.0.keys() {
            if !self.conditions.0.contains_key(key) {
                let which = which.as_ref().map(|which| format!(" ({which})")).unwrap_or_default();
                reports.push((Level::Info, subject.clone(), format!("{name}{which}: over")));
            }
        }
        for (level, subject, text) in reports {
            let interface = (!subject.is_empty()).then_some(subject);
            self.outputs.push_back(Output::Report(Report { level, interface, text }));
        }
    }

    /// The conditions that hold at `now`.
    pub(super) fn find_conditions(&self, now: Instant) -> Conditions {
        let mut found = Conditions::default();
        if !self.system.forwarding
            && (!self.config.downlinks.is_empty() || !self.config.relays.is_empty())
        {
            found.add(
                "forwarding-off",
                "",
                "this machine does not forward IPv6, so it is advertised as no default router; \
                 switch it on with: sysctl -w net.ipv6.conf.all.forwarding=1",
            );
        }
        let names: BTreeSet<&String> = self
            .config
            .uplinks
            .keys()
            .chain(self.config.downlinks.keys())
            .chain(self.config.relays.keys())
            .collect();
        for name in names {
            match self.system.link(name) {
                None => found.add("interface-absent", name, "there is no such interface yet"),
                Some(link) if !link.running => {
                    found.add("interface-down", name, "the interface is down or has no carrier");
                }
                Some(link) if !self.system.has_link_local(link.index) => found.add(
                    "no-link-local",
                    name,
                    "the interface has no usable link-local address, so nothing can be sent",
                ),
                Some(_) => {}
            }
        }
        for (name, uplink) in &self.uplinks {
            if let (Some(prefix), Some(target)) = (uplink.not_routed(), uplink.config().probe) {
                let text = format!(
                    "{prefix} is delegated, but nothing comes back to it from {target}: ask the \
                     provider to route it, or name an address to probe that answers"
                );
                found.add("delegated-not-routed", name, text);
            }
            found.add_silence(now, name, uplink);
            found.add_unavailable(now, name, uplink);
            for (prefix, refusal) in uplink.lease().refused() {
                let text = format!("a server gives {prefix}, which is refused: {refusal}");
                found.add_of("prefix-refused", name, prefix.to_string(), text);
            }
        }
        for (interface, address) in &self.system.duplicates {
            let name = self.system.links.get(interface).map(|link| link.name.clone());
            let text = format!(
                "{address} is in use by another node; it is tried again when the link comes up anew"
            );
            let name = name.unwrap_or_default();
            found.add_of("duplicate-address", &name, address.to_string(), text);
        }
        for (name, router) in &self.desired.silent_routers {
            let text = format!(
                "{router} does not answer, while another default router is heard, which is used \
                 before it; if it was replaced for good, nothing has to be done"
            );
            found.add_of("router-silent", name, router.to_string(), text);
        }
        for ((name, advertised), conflict) in &self.desired.conflicts {
            let text = match conflict {
                Conflict::Around(ours) => format!(
                    "a router advertises {advertised} as on-link, around {ours} which is delegated \
                     to us and stays ours; if it is none of yours, name the routers to believe: \
                     routers = [...]"
                ),
                Conflict::Unassigned(ours) => format!(
                    "a router advertises {advertised}, a part of {ours} which is delegated to us; \
                     nobody behind us has that part, so it is used; have the delegating router \
                     exclude it (RFC 6603), and give no subnet that place"
                ),
                Conflict::Assigned(ours) => format!(
                    "a router advertises {advertised}, but {ours} is delegated to us, so it is not \
                     used; give the subnet or delegation another place, or if the router is none \
                     of yours, name the routers to believe: routers = [...]"
                ),
            };
            found.add_of("prefix-conflict", name, advertised.to_string(), text);
        }
        for ((name, prefix), why) in &self.desired.without {
            let text = match why {
                Without::TooLong => format!("{prefix} is smaller than its place"),
                Without::Taken => {
                    format!("its place does not exist in {prefix}, and where it folds to is taken")
                }
                Without::Full => {
                    format!("there is no room left in {prefix}; ask for a shorter prefix")
                }
                Without::Excluded => {
                    format!("its place in {prefix} is kept by the delegating router")
                }
            };
            let is_link = self.config.downlinks.contains_key(name);
            let condition = if is_link { "without-subnet" } else { "without-prefix" };
            found.add_of(condition, name, prefix.to_string(), text);
        }
        if self.relays.leases().is_full() {
            let text = "the table of leases that have been relayed is full: for each further one \
                        that which ends first of the router with most of them loses its route";
            found.add("relay-table-full", "", text);
        }
        self.takeovers.describe(&mut found);
        if let Some(first) = self.desired.stranded.first()
            && let Some(binding) = self.delegating.bindings().get(first)
        {
            let text = format!(
                "{} of its bindings have no route, the first with the next hop {}, which is no neighbor: name \
                 one that is, with next-hop, in [delegation.NAME]",
                self.desired.stranded.len(),
                binding.contact().next_hop,
            );
            found.add("next-hop-off-link", &*first.downlink, text);
        }
        self.find_refusals(&mut found);
        found
    }

    /// One sentence for all that the kernel refuses: there can be thousands.
    fn find_refusals(&self, found: &mut Conditions) {
        let words =
            |failure: &Failure| failures::refusal(&failure.step, failure.errno, &self.system);
        let port = self.failures.of(&Subject::Server);
        let port = port.filter(|failure| failure.step == Step::Serve(true));
        if let Some(failure) = port {
            let text = format!(
                "{}, and nothing is delegated or relayed without it: does another DHCPv6 \
                 server (dhcp6s, Kea, dnsmasq) run here? It is tried again",
                words(failure)
            );
            found.add("server-port-taken", "", text);
        }
        let mut others = self.failures.iter().filter(|failure| Some(*failure) != port);
        if let Some(first) = others.next() {
            let others = self.failures.len() - usize::from(port.is_some()) - 1;
            let more = match others {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            found.add("refused", "", format!("{}, {} times{more}", words(first), first.count));
        }
    }
}
