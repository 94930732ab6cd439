//! The Reconfigure key authentication protocol (RFC 9915 §20.4): a server sends a key in a Reply,
//! and later proves with it that a Reconfigure is its own.

use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

use crate::wire::dhcpv6::digest_range;
use crate::wire::dhcpv6_option::Authentication;

/// The key of one requesting router.
pub type Key = [u8; 16];

const PROTOCOL: u8 = 3;
const HMAC_MD5: u8 = 1;
const RISING_COUNTER: u8 = 0;
const KEY: u8 = 1;
const DIGEST: u8 = 2;

/// The option that carries a key.
pub fn with_key(key: &Key, replay: u64) -> Authentication {
    authentication(KEY, *key, replay)
}

/// The option with room for a digest, to be filled by [`sign`].
pub fn unsigned(replay: u64) -> Authentication {
    authentication(DIGEST, [0; 16], replay)
}

fn authentication(kind: u8, octets: [u8; 16], replay: u64) -> Authentication {
    Authentication {
        protocol: PROTOCOL,
        algorithm: HMAC_MD5,
        replay_detection: RISING_COUNTER,
        replay,
        information: [&[kind], &octets[..]].concat(),
    }
}

/// The key that an option carries (RFC 9915 §20.4.3).
pub fn key_of(authentication: &Authentication) -> Option<Key> {
    let Authentication { protocol, algorithm, replay_detection, information, .. } = authentication;
    match (*protocol, *algorithm, *replay_detection, information.as_slice()) {
        (PROTOCOL, HMAC_MD5, RISING_COUNTER, [KEY, key @ ..]) => key.try_into().ok(),
        _ => None,
    }
}

/// Fills the digest of an encoded message that has room for one and zeros in it.
pub fn sign(key: &Key, octets: &mut [u8]) {
    let Ok(mut hmac) = Hmac::<Md5>::new_from_slice(key) else { return };
    hmac.update(octets);
    let digest = hmac.finalize().into_bytes();
    if let Some(room) = digest_range(octets).and_then(|range| octets.get_mut(range)) {
        room.copy_from_slice(&digest);
    }
}

/// Whether the digest in `octets` is that of the message under `key`. The comparison takes the same
/// time wherever they differ.
pub fn is_authentic(key: &Key, octets: &[u8]) -> bool {
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
