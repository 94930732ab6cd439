//! The identity of this machine.

use tracing::warn;

use crate::platform::identity;
use crate::wire::dhcpv6_option::Duid;

/// The DUID made from the machine's identity; a random one where it has none.
///
/// # Errors
///
/// When there is neither an identity nor randomness.
pub fn duid() -> anyhow::Result<Duid> {
    Ok(Duid::from_uuid(match identity::machine_uuid() {
        Ok(uuid) => uuid,
        Err(error) => {
            warn!(%error, "this machine has no identity: a random DUID is made and kept");
            random_uuid()?
        }
    }))
}

fn random_uuid() -> anyhow::Result<[u8; 16]> {
    let mut uuid = [0; 16];
    getrandom::fill(&mut uuid).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(uuid)
}
