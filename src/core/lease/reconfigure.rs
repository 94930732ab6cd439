//! The Reconfigure key authentication protocol (RFC 9915 §20.4) and what a Reconfigure starts.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use super::exchange::{INFORMATION_REQUEST, Kind};
use super::ladder::REBIND_AFTER;
use super::{Lease, Reject};
use crate::time::Instant;
use crate::wire::dhcpv6::{Message, MessageType, digest_range};
use crate::wire::dhcpv6_option::{Authentication, Duid};

/// What a server has told for the authentication of its Reconfigures.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Keyring {
    pub(super) server: Duid,
    pub(super) key: [u8; 16],
    /// The last replay value seen.
    pub(super) replay: Option<u64>,
}

/// The key that a Reply brings (RFC 9915 §20.4.3).
fn offered_key(authentication: &Authentication) -> Option<[u8; 16]> {
    let Authentication { protocol, algorithm, replay_detection, information, .. } = authentication;
    match (*protocol, *algorithm, *replay_detection, information.as_slice()) {
        (3, 1, 0, [1, key @ ..]) => key.try_into().ok(),
        _ => None,
    }
}

/// Whether the digest in `octets` is the one that `key` makes of them. The comparison takes the
/// same time wherever they differ.
pub(super) fn is_authentic(key: &[u8; 16], octets: &[u8]) -> bool {
    let Some(range) = digest_range(octets) else { return false };
    let mut zeroed = octets.to_vec();
    let (Some(digest), Some(zeros)) = (octets.get(range.clone()), zeroed.get_mut(range)) else {
        return false;
    };
    zeros.fill(0);
    let Ok(mut hmac) = Hmac::<Md5>::new_from_slice(key) else { return false };
    hmac.update(&zeroed);
    hmac.verify_slice(digest).is_ok()
}

impl Lease {
    /// Takes the key of a Reply that is being followed.
    pub(super) fn learn_key(&mut self, message: &Message, server: &Duid) {
        self.keyring.take_if(|keyring| keyring.server != *server);
        if !self.rules.reconfigure {
            return;
        }
        let Some(authentication) = message.authentication() else { return };
        let Some(key) = offered_key(authentication) else { return };
        let known = self.keyring.take().filter(|keyring| keyring.key == key);
        let seen = known.and_then(|keyring| keyring.replay);
        let replay =
            Some(seen.map_or(authentication.replay, |seen| seen.max(authentication.replay)));
        self.keyring = Some(Keyring { server: server.clone(), key, replay });
    }

    /// Takes in a Reconfigure (RFC 9915 §16.11, §18.2.11): the refresh that it asks for, if that
    /// is not under way; true for Rebind.
    pub(super) fn handle_reconfigure(
        &mut self,
        now: Instant,
        message: &Message,
        octets: &[u8],
        server: &Duid,
    ) -> Result<Option<bool>, Reject> {
        let wanted = message.reconfigure_message().ok_or(Reject::ReconfigureMessage)?;
        let rebind = match wanted {
            MessageType::Renew => Some(false),
            MessageType::Rebind => Some(true),
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
        if !is_authentic(&keyring.key, octets) {
            return Err(Reject::Authentication);
        }
        if keyring.replay.is_some_and(|seen| authentication.replay <= seen) {
            return Err(Reject::Replay);
        }
        keyring.replay = Some(authentication.replay);
        if rebind.is_none() {
            self.inform(now, Some(server.clone()));
        } else if self.is_being_followed() {
            return Ok(None);
        } else {
            self.reconfigured_at = Some(now);
        }
        Ok(rebind)
    }

    /// Whether the refresh under way is the one that an earlier Reconfigure asked for (PDC-89).
    /// One that something else started does not count: it may have asked too early (CHG-16).
    fn is_being_followed(&self) -> bool {
        self.ladder.is_some_and(|ladder| {
            self.reconfigured_at.is_some_and(|at| at + REBIND_AFTER >= ladder.started)
        })
    }

    /// Asks for configuration without a lease, unless that is under way.
    pub(super) fn inform(&mut self, now: Instant, server: Option<Duid>) {
        let informs = |kind: &Kind| matches!(kind, Kind::InformationRequest { .. });
        if self.up && !self.is_under_way(informs) {
            self.start(Kind::InformationRequest { server }, INFORMATION_REQUEST, now);
        }
    }
}
