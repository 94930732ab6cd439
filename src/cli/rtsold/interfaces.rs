//! Which interfaces can have routers.

use std::collections::BTreeSet;

use anyhow::{Context as _, bail};
use nix::ifaddrs::getifaddrs;
use nix::net::if_::{InterfaceFlags, if_nametoindex};
use nix::sys::socket::{AddressFamily, SockaddrLike as _};

use crate::platform;

/// Whether there is an interface of this name.
///
/// # Errors
///
/// When there is none.
pub(super) fn exists(name: &str) -> anyhow::Result<()> {
    if_nametoindex(name)
        .map(drop)
        .with_context(|| format!("there is no interface {name}: name one that is there"))
}

/// All that are up, with multicast and IPv6, and neither loopback nor point-to-point; those whose
/// kernel accepts no advertisements only where it is to be made to.
///
/// # Errors
///
/// When there is none.
pub(super) fn all(force: bool) -> anyhow::Result<Vec<String>> {
    let addresses = getifaddrs().context("the interfaces cannot be listed")?;
    let suitable = addresses.filter(|one| {
        let flags = one.flags;
        let needed = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST;
        let excluded = InterfaceFlags::IFF_LOOPBACK | InterfaceFlags::IFF_POINTOPOINT;
        let family = one.address.and_then(|address| address.family());
        flags.contains(needed)
            && !flags.intersects(excluded)
            && family == Some(AddressFamily::Inet6)
    });
    let names: BTreeSet<String> = suitable.map(|one| one.interface_name).collect();
    let names = names.into_iter().filter(|name| force || platform::accepts_advertisements(name));
    let names: Vec<String> = names.collect();
    if names.is_empty() {
        bail!(
            "no interface is up, has IPv6, and accepts router advertisements: name one, or add -F"
        );
    }
    Ok(names)
}
