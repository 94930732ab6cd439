//! What of the lease survives a restart.

use super::reconfigure::Keyring;
use super::{DelegatedPrefix, Lease};
use crate::core::memory::{StoredLease, StoredPrefix};
use crate::time::{Instant, Until};

impl Lease {
    /// Holds what was stored, as far as it is valid and configured.
    pub(super) fn restore(&mut self, now: Instant, stored: &StoredLease) {
        for stored_prefix in &stored.prefixes {
            let iaid = stored_prefix.iaid;
            let is_configured = self.rules.delegate.iter().any(|delegate| delegate.iaid == iaid)
                && self.held.is_acceptable(iaid, stored_prefix.prefix);
            let end = if is_configured { Until::Never } else { Until::At(now) };
            let prefix = DelegatedPrefix {
                iaid,
                prefix: stored_prefix.prefix,
                exclude: stored_prefix.exclude,
                preferred_until: stored_prefix.preferred_until.min(end),
                valid_until: stored_prefix.valid_until.min(end),
                gone_since: (!is_configured).then_some(now),
            };
            self.held.restore(&stored.server, &prefix);
        }
        self.held.expire(now);
        self.held.rest(now);
        self.server = Some(stored.server.clone());
        self.keyring = stored
            .reconfigure_key
            .filter(|_| self.rules.reconfigure)
            .map(|key| Keyring { server: stored.server.clone(), key, replay: stored.replay });
    }

    /// What to remember: none when no prefix is held.
    pub fn stored(&self) -> Option<StoredLease> {
        let held = self.held.prefixes().into_iter().filter(|prefix| prefix.gone_since.is_none());
        let prefixes: Vec<_> = held
            .map(|prefix| StoredPrefix {
                iaid: prefix.iaid,
                prefix: prefix.prefix,
                exclude: prefix.exclude,
                preferred_until: prefix.preferred_until,
                valid_until: prefix.valid_until,
            })
            .collect();
        let server = self.server.clone().filter(|_| !prefixes.is_empty())?;
        let keyring = self.keyring.as_ref();
        Some(StoredLease {
            server,
            prefixes,
            reconfigure_key: keyring.map(|keyring| keyring.key),
            replay: keyring.and_then(|keyring| keyring.replay),
        })
    }
}
