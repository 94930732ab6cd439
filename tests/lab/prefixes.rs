//! When a host's kernel takes a prefix from an advertisement: it says so before duplicate address
//! detection, unlike of the address.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::net::Namespace;
use super::sys;

/// RTNLGRP_IPV6_PREFIX
const GROUP: u32 = 18;
/// RTM_NEWPREFIX, and where its address and length are: behind the header, `prefixmsg`, and the
/// header of the first attribute, which is the address.
const NEW_PREFIX: u16 = 52;
const LENGTH_AT: usize = 16 + 9;
const ADDRESS_AT: usize = 16 + 12 + 4;

/// The prefixes that a host is told of, from the start on.
#[derive(Debug)]
pub struct Watch(Socket);

impl Watch {
    pub fn start(host: &Namespace) -> Self {
        let socket = host.inside(|| {
            let mut socket = Socket::new(NETLINK_ROUTE).unwrap();
            socket.bind(&SocketAddr::new(0, 1 << (GROUP - 1))).unwrap();
            socket.set_non_blocking(true).unwrap();
            socket
        });
        Self(socket)
    }

    /// When one inside of `prefix` was told; what was told before it is forgotten.
    ///
    /// # Panics
    ///
    /// When it is not told within `timeout`.
    pub fn wait_for(&self, prefix: Ipv6Net, timeout: Duration) -> Duration {
        let until = sys::monotonic() + timeout;
        loop {
            let told = self.0.recv_from_full();
            let at = sys::monotonic();
            if let Ok((message, _)) = told {
                if decode(&message).is_some_and(|told| prefix.contains(&told)) {
                    return at;
                }
            } else {
                std::thread::sleep(Duration::from_micros(20));
            }
            assert!(at < until, "the host takes no prefix in {prefix}");
        }
    }
}

fn decode(message: &[u8]) -> Option<Ipv6Net> {
    let kind = u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?);
    let address: [u8; 16] = message.get(ADDRESS_AT..ADDRESS_AT + 16)?.try_into().ok()?;
    let length = *message.get(LENGTH_AT)?;
    (kind == NEW_PREFIX).then(|| Ipv6Net::new(Ipv6Addr::from(address), length).ok())?
}
