//! Domain names as uncompressed labels (RFC 1035 §3.1), as RFC 8106 and RFC 3646 carry them.

use super::DecodeError;

/// Decodes names until the octets end; zero octets between or behind names are padding.
///
/// # Errors
///
/// [`DecodeError::DomainName`] for a compression pointer, a label that runs past the end, or a
/// name over 255 octets.
pub fn decode_names(_octets: &[u8]) -> Result<Vec<String>, DecodeError> {
    todo!()
}

/// Encodes names as uncompressed labels, without padding.
///
/// # Errors
///
/// [`DecodeError::DomainName`] for an empty label, one over 63 octets, or a name over 255.
pub fn encode_names(_names: &[String]) -> Result<Vec<u8>, DecodeError> {
    todo!()
}
