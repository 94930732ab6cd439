//! Which delegated prefixes are known, and what waits until all are: after a start nothing is
//! withdrawn that a server's answer may be about to confirm. An uplink that is down gets no answer,
//! so it does not hold up another one.

use std::collections::BTreeMap;

use ipnet::Ipv6Net;

use crate::core::Core;
use crate::core::desired::UplinkFacts;
use crate::core::output::Output;
use crate::core::stage::{Milestone, Stage};
use crate::core::uplink::Uplink;
use crate::time::Instant;

/// The prefixes that known sources hold or held lately; none where every source is known.
pub(in crate::core) struct Accounted(Option<Vec<Ipv6Net>>);

impl Accounted {
    /// Whether the source of `prefix` is known. Any other prefix may belong to an uplink that still
    /// waits for its server's answer.
    fn has(&self, prefix: &Ipv6Net) -> bool {
        self.0.as_ref().is_none_or(|all| all.iter().any(|held| held.contains(prefix)))
    }
}

impl Core {
    /// Whether it is known what every uplink has been delegated.
    pub(in crate::core) fn leases_known(&self) -> bool {
        self.uplinks.values().all(Uplink::lease_known)
    }

    /// The prefixes of known sources.
    pub(in crate::core) fn accounted(&self, sources: &BTreeMap<String, UplinkFacts>) -> Accounted {
        let held = || sources.values().flat_map(|source| &source.delegated);
        Accounted((!self.leases_known()).then(|| held().map(|held| held.prefix).collect()))
    }

    /// Whether the sources of all prefixes that subordinate routers may hold are known.
    pub(in crate::core) fn bindings_known(&self, accounted: &Accounted) -> bool {
        let bindings = || self.delegating.bindings().values();
        accounted.0.is_none()
            || bindings().all(|held| held.promised().all(|(prefix, _)| accounted.has(prefix)))
    }

    /// The end of the time after a restart in which nothing is advertised unless a server answers.
    /// An uplink that cannot send gets no answer and does not count.
    pub(in crate::core) fn advertising_held_until(&self, now: Instant) -> Option<Instant> {
        let asking = self.uplinks.values().filter(|uplink| uplink.attached().is_some());
        asking.filter_map(Uplink::confirmed_by).max().filter(|until| *until > now)
    }

    /// Hands the new contents to the downlinks. After a restart, content that would withdraw a
    /// prefix waits until it is certain that no server's answer confirms that prefix.
    pub(in crate::core) fn set_contents(&mut self, now: Instant, accounted: &Accounted) {
        let mut differs = false;
        let mut is_held = false;
        for (name, content) in &self.kernel.desired.contents {
            let Some(downlink) = self.downlinks.get_mut(name) else { continue };
            // A router that hears the advertisement requests at once, and would be given the old
            // prefix.
            if self.delegating.is_changing(name) {
                is_held = true;
                continue;
            }
            let withdrawn = downlink.would_withdraw(content, now);
            // An advertisement without prefixes would delay the next one, which has prefixes, by
            // MIN_DELAY_BETWEEN_RAS. Prefixes of an earlier run do not count here: they are over.
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
        // The change is not over while an advertisement of it waits for MIN_DELAY_BETWEEN_RAS.
        differs |=
            is_held || self.downlinks.values().any(crate::core::downlink::Downlink::is_announcing);
        if !differs && let Some(change) = self.unadvertised.take() {
            let stage = Stage::Applied;
            self.outputs.push_back(Output::Milestone(Milestone { change, stage }));
        }
    }
}
