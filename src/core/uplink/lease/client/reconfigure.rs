//! The Reconfigure key authentication protocol (RFC 9915 §20.4) and the reaction to a Reconfigure.

use super::Client;
use super::exchange::{INFORMATION_REQUEST, Kind};
use super::ladder::REBIND_AFTER;
use crate::core::memory::StoredLease;
use crate::core::rkap;
use crate::core::uplink::change::RefreshKind;
use crate::core::uplink::lease::types::Reject;
use crate::time::Instant;
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::Duid;

/// The key that a server has sent for the authentication of its Reconfigures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Keyring {
    pub(super) server: Duid,
    pub(super) key: rkap::Key,
    /// The last replay value seen.
    pub(super) replay: Option<u64>,
}

impl Keyring {
    /// The one that was stored with a lease.
    pub(super) fn restored(stored: &StoredLease) -> Option<Self> {
        let key = stored.reconfigure_key?;
        Some(Self { server: stored.server.clone(), key, replay: stored.replay })
    }
}

impl Client {
    /// A lease to be stored, with the key of its server.
    pub(in crate::core::uplink::lease) fn with_key(&self, lease: StoredLease) -> StoredLease {
        let Some(keyring) = &self.keyring else { return lease };
        StoredLease { reconfigure_key: Some(keyring.key), replay: keyring.replay, ..lease }
    }

    /// Takes the key from a Reply that is accepted.
    pub(super) fn learn_key(&mut self, message: &Message, server: &Duid) {
        self.keyring.take_if(|keyring| keyring.server != *server);
        if !self.rules.reconfigure {
            return;
        }
        let Some(authentication) = message.authentication() else { return };
        let Some(key) = rkap::key_of(authentication) else { return };
        let known = self.keyring.take().filter(|keyring| keyring.key == key);
        let seen = known.and_then(|keyring| keyring.replay);
        let replay =
            Some(seen.map_or(authentication.replay, |seen| seen.max(authentication.replay)));
        self.keyring = Some(Keyring { server: server.clone(), key, replay });
    }

    /// Handles a Reconfigure (RFC 9915 §16.11, §18.2.11); returns the refresh that it asks for, if
    /// that is not under way.
    pub(super) fn handle_reconfigure(
        &mut self,
        now: Instant,
        message: &Message,
        octets: &[u8],
        server: &Duid,
    ) -> Result<Option<RefreshKind>, Reject> {
        let wanted = message.reconfigure_message().ok_or(Reject::ReconfigureMessage)?;
        let kind = match wanted {
            MessageType::Renew => Some(RefreshKind::Renew),
            MessageType::Rebind => Some(RefreshKind::Rebind),
            MessageType::InformationRequest => None,
            MessageType::Solicit
            | MessageType::Advertise
            | MessageType::Request
            | MessageType::Confirm
            | MessageType::Reply
            | MessageType::Release
            | MessageType::Decline
            | MessageType::Reconfigure => return Err(Reject::ReconfigureMessage),
        };
        let authentication = message.authentication().ok_or(Reject::Authentication)?;
        let keyring = self.keyring.as_mut().filter(|keyring| keyring.server == *server);
        let keyring = keyring.ok_or(Reject::Authentication)?;
        if !rkap::is_authentic(&keyring.key, octets) {
            return Err(Reject::Authentication);
        }
        if keyring.replay.is_some_and(|seen| authentication.replay <= seen) {
            return Err(Reject::Replay);
        }
        keyring.replay = Some(authentication.replay);
        if kind.is_none() {
            self.inform(now, Some(server.clone()));
        } else if self.is_being_followed() {
            return Ok(None);
        } else {
            self.reconfigured_at = Some(now);
        }
        Ok(kind)
    }

    /// Whether an earlier Reconfigure started the refresh under way (PDC-89). A refresh that
    /// something else started does not count: its request may have left too early (CHG-16).
    fn is_being_followed(&self) -> bool {
        self.ladder.is_some_and(|ladder| {
            self.reconfigured_at.is_some_and(|at| at + REBIND_AFTER >= ladder.started)
        })
    }

    /// Requests configuration without a lease, unless that is under way.
    pub(super) fn inform(&mut self, now: Instant, server: Option<Duid>) {
        let informs = |kind: &Kind| matches!(kind, Kind::InformationRequest { .. });
        if self.up && !self.is_under_way(informs) {
            self.start(Kind::InformationRequest { server }, INFORMATION_REQUEST, now);
        }
    }
}
