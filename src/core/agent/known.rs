//! What is known of the delegated prefixes, and what waits until more is known: after a start
//! nothing is withdrawn that an answer may be about to confirm. What no answer can concern does not
//! wait: an uplink that is down does not hold up another one.

use std::collections::BTreeMap;

use ipnet::Ipv6Net;

use crate::core::Core;
use crate::core::desired::UplinkFacts;
use crate::core::output::Output;
use crate::core::stage::{Milestone, Stage};
use crate::core::uplink::Uplink;
use crate::time::Instant;

/// The prefixes that known sources hold or have held lately.
pub(in crate::core) struct Accounted(Option<Vec<Ipv6Net>>);

impl Accounted {
    /// Whether `prefix` is, or was, of a source that is known. What is not may be of one that has
    /// yet to answer.
    fn has(&self, prefix: &Ipv6Net) -> bool {
        self.0.as_ref().is_none_or(|all| all.iter().any(|held| held.contains(prefix)))
    }
}

impl Core {
    /// Whether it is known what every uplink has been delegated.
    pub(in crate::core) fn leases_known(&self) -> bool {
        self.uplinks.values().all(Uplink::lease_known)
    }

    /// What is accounted for: everything, once all is known.
    pub(in crate::core) fn accounted(&self, sources: &BTreeMap<String, UplinkFacts>) -> Accounted {
        let held = || sources.values().flat_map(|source| &source.delegated);
        Accounted((!self.leases_known()).then(|| held().map(|held| held.prefix).collect()))
    }

    /// Whether all that subordinate routers may hold is accounted for.
    pub(in crate::core) fn bindings_known(&self, accounted: &Accounted) -> bool {
        let bindings = || self.delegating.bindings().values();
        accounted.0.is_none()
            || bindings().all(|held| held.promised().all(|(prefix, _)| accounted.has(prefix)))
    }

    /// Until when nothing is advertised after a restart, unless an answer comes before. An uplink
    /// that cannot send is not answered.
    pub(in crate::core) fn advertising_held_until(&self, now: Instant) -> Option<Instant> {
        let asking = self.uplinks.values().filter(|uplink| uplink.attached().is_some());
        asking.filter_map(Uplink::confirmed_by).max().filter(|until| *until > now)
    }

    /// Hands the contents over; but what a restart would withdraw only when it is certain that no
    /// answer confirms it.
    pub(in crate::core) fn set_contents(&mut self, now: Instant, accounted: &Accounted) {
        let mut differs = false;
        let mut is_held = false;
        for (name, content) in &self.kernel.desired.contents {
            let Some(downlink) = self.downlinks.get_mut(name) else { continue };
            // A router that hears of it asks at once, and would be given the old prefix.
            if self.delegating.is_changing(name) {
                is_held = true;
                continue;
            }
            let withdrawn = downlink.would_withdraw(content, now);
            // An advertisement without prefixes would delay the one with them by
            // MIN_DELAY_BETWEEN_RAS. What was advertised before that is certainly over.
            let is_early = accounted.0.is_some()
                && content.prefixes.is_empty()
                && downlink.advertising().is_new();
            if is_early || withdrawn.iter().any(|prefix| !accounted.has(prefix)) {
                is_held = true;
                continue;
            }
            let is_new = downlink.set_content(now, content.clone());
            differs |= is_new && downlink.attached().is_some();
        }
        // What is announced already but has to wait for its turn is still to be advertised.
        differs |=
            is_held || self.downlinks.values().any(crate::core::downlink::Downlink::is_announcing);
        if !differs && let Some(change) = self.unadvertised.take() {
            let stage = Stage::Applied;
            self.outputs.push_back(Output::Milestone(Milestone { change, stage }));
        }
    }
}
