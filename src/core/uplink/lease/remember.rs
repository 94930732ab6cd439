//! The part of the lease that survives a restart: delegated prefixes and their server.

use super::held::Held;
use super::types::{DelegatedPrefix, Rules};
use crate::core::memory::{StoredLease, StoredPrefix};
use crate::time::{Instant, Until};

impl Held {
    /// Restores a stored lease, as far as it is still valid. A prefix of an IA_PD that is not
    /// configured any more, or that is not acceptable, has ended.
    pub(super) fn restored(rules: &Rules, stored: &StoredLease, now: Instant) -> Self {
        let mut held = Self::new(rules.shortest_prefix, now);
        for stored_prefix in &stored.prefixes {
            let iaid = stored_prefix.iaid;
            // Another program numbers its IA_PDs itself.
            let is_asked = rules.by_program || rules.delegate.iter().any(|one| one.iaid == iaid);
            let is_configured = is_asked && held.is_acceptable(iaid, stored_prefix.prefix);
            let end = if is_configured { Until::Never } else { Until::At(now) };
            let prefix = DelegatedPrefix {
                iaid,
                prefix: stored_prefix.prefix,
                exclude: stored_prefix.exclude,
                preferred_until: stored_prefix.preferred_until.min(end),
                valid_until: stored_prefix.valid_until.min(end),
                gone_since: (!is_configured).then_some(now),
            };
            held.restore(&stored.server, &prefix);
        }
        held.expire(now);
        held.rest(now);
        held.server = Some(stored.server.clone());
        held
    }

    /// The lease to store for a restart: none when no prefix is held. The key for Reconfigure is
    /// left out, as the requester has it and adds it.
    pub(super) fn stored(&self) -> Option<StoredLease> {
        let prefixes = self.prefixes().into_iter().filter(|prefix| prefix.gone_since.is_none());
        let prefixes: Vec<_> = prefixes
            .map(|prefix| StoredPrefix {
                iaid: prefix.iaid,
                prefix: prefix.prefix,
                exclude: prefix.exclude,
                preferred_until: prefix.preferred_until,
                valid_until: prefix.valid_until,
            })
            .collect();
        let server = self.server.clone().filter(|_| !prefixes.is_empty())?;
        Some(StoredLease { server, prefixes, reconfigure_key: None, replay: None })
    }
}
