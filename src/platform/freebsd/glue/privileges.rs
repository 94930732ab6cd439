//! What the agent keeps of root's rights when root has it go on as another user: FreeBSD has no way
//! to leave a process the network and nothing else of root's.

use std::io;
use std::path::PathBuf;

use crate::platform::Account;

/// Goes on as another user.
///
/// # Errors
///
/// Always.
pub fn go_on_as(_: &Account, _: bool) -> io::Result<()> {
    Err(io::Error::other(
        "only root may change the network of FreeBSD: leave --user out, and let the agent run as root",
    ))
}

/// Leaves this process only a part of the file system; false, as it is not done here.
///
/// # Errors
///
/// None.
pub fn confine(_: &[PathBuf], _: &[PathBuf]) -> io::Result<bool> {
    Ok(false)
}
