//! When a host's kernel takes a prefix from an advertisement: it says so before duplicate address
//! detection, unlike of the address.

use std::time::Duration;

use ipnet::Ipv6Net;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::prefix::PrefixAttribute;
use renumberd::lab::observe::monitor::{Group, Monitor};

use super::net::Namespace;
use super::sys;

/// The prefixes that a host is told of, from the start on.
#[derive(Debug)]
pub struct Watch(Monitor);

impl Watch {
    pub fn start(host: &Namespace) -> Self {
        Self(host.inside(|| Monitor::open(&[Group::Prefixes]).unwrap()))
    }

    /// When one inside of `prefix` was told; what was told before it is forgotten.
    ///
    /// # Panics
    ///
    /// When it is not told within `timeout`.
    pub fn wait_for(&mut self, prefix: Ipv6Net, timeout: Duration) -> Duration {
        let until = sys::monotonic() + timeout;
        loop {
            let told = self.0.recv().unwrap();
            let at = sys::monotonic();
            if told.iter().flatten().filter_map(taken).any(|told| prefix.contains(&told)) {
                return at;
            }
            if told.is_none() {
                std::thread::sleep(Duration::from_micros(20));
            }
            assert!(at < until, "the host takes no prefix in {prefix}");
        }
    }
}

fn taken(message: &RouteNetlinkMessage) -> Option<Ipv6Net> {
    let RouteNetlinkMessage::NewPrefix(message) = message else { return None };
    let address = message.attributes.iter().find_map(|attribute| match attribute {
        PrefixAttribute::Address(address) => Some(*address),
        _ => None,
    });
    Ipv6Net::new(address?, message.header.prefix_len).ok()
}
