//! The kernel's state as it is written into a recording: as lists, since the keys of JSON are text.

use std::net::Ipv6Addr;

use serde::{Deserialize, Serialize};

use super::system::{KernelAddress, KernelRoute, Link, System};
use crate::net::IfIndex;

/// A [`System`] without its keys, which follow from the values.
#[derive(Serialize, Deserialize)]
pub(super) struct Recorded {
    links: Vec<Link>,
    addresses: Vec<KernelAddress>,
    routes: Vec<KernelRoute>,
    duplicates: Vec<(IfIndex, Ipv6Addr)>,
    forwarding: bool,
    #[serde(default)]
    ignores_off_link: bool,
}

impl From<System> for Recorded {
    fn from(system: System) -> Self {
        Self {
            links: system.links.into_values().collect(),
            addresses: system.addresses.into_values().collect(),
            routes: system.routes.into_values().collect(),
            duplicates: system.duplicates.into_iter().collect(),
            forwarding: system.forwarding,
            ignores_off_link: system.ignores_off_link,
        }
    }
}

impl From<Recorded> for System {
    fn from(recorded: Recorded) -> Self {
        let links = recorded.links.into_iter().map(|link| (link.index, link));
        let addresses = recorded.addresses.into_iter();
        let routes = recorded.routes.into_iter().map(|route| (route.key(), route));
        Self {
            links: links.collect(),
            addresses: addresses
                .map(|address| ((address.interface, address.address), address))
                .collect(),
            routes: routes.collect(),
            duplicates: recorded.duplicates.into_iter().collect(),
            forwarding: recorded.forwarding,
            ignores_off_link: recorded.ignores_off_link,
        }
    }
}
