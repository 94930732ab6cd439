//! What names this machine, and this boot of it: not yet.

use std::io;

use super::not_yet;

/// An identifier of this machine that stays over reinstallations of the program, for a DUID-UUID
/// (RFC 6355).
///
/// # Errors
///
/// Always: it is not yet supported.
pub fn machine_uuid() -> io::Result<[u8; 16]> {
    Err(not_yet())
}

/// The identifier of this boot.
///
/// # Errors
///
/// Always: it is not yet supported.
pub fn boot_id() -> io::Result<String> {
    Err(not_yet())
}
