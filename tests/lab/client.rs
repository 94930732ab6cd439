//! A Linux host that does what its kernel does by default.

use std::net::{Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use ipnet::Ipv6Net;
use renumberd::net::{ALL_DHCP_SERVERS, DHCP_SERVER_PORT};
use renumberd::wire::dhcpv6::{Message, MessageType, TransactionId};
use renumberd::wire::dhcpv6_option::{Dhcpv6Option, Duid};
use serde_json::Value;

use super::net::{Namespace, Net};
use super::{eventually, secs};

/// The interface of every client.
pub const INTERFACE: &str = "eth0";

/// A host whose kernel makes its addresses from advertisements.
#[derive(Clone, Debug)]
pub struct Client {
    pub namespace: Namespace,
}

/// An address of a host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Address {
    pub address: Ipv6Addr,
    pub length: u8,
    pub tentative: bool,
    pub deprecated: bool,
    pub temporary: bool,
    /// Seconds; the kernel's figure for "for ever" is 4294967295.
    pub preferred: u32,
    pub valid: u32,
}

impl Client {
    /// A host without a cable; `settings` are below net.ipv6.conf.default.
    pub fn new(net: &Net, role: &str, settings: &[(&str, i32)]) -> Self {
        let namespace = net.host(role);
        for (name, value) in settings {
            namespace.sysctl("default", name, *value);
        }
        Self { namespace }
    }

    /// The options with these codes, in hex, that a router on its link answers an
    /// Information-request with.
    pub fn informed(&self, codes: &[u16]) -> Vec<(u16, String)> {
        let index = self.namespace.index(INTERFACE);
        let options = vec![
            Dhcpv6Option::ClientId(Duid::from_uuid([0x77; 16])),
            Dhcpv6Option::OptionRequest(codes.to_vec()),
        ];
        let kind = MessageType::InformationRequest;
        let question = Message { kind, transaction_id: TransactionId([1, 2, 3]), options };
        let answer = self.namespace.inside(|| {
            let socket = UdpSocket::bind("[::]:546").ok()?;
            socket.set_read_timeout(Some(secs(1))).ok()?;
            socket
                .send_to(
                    &question.encode(),
                    SocketAddrV6::new(ALL_DHCP_SERVERS, DHCP_SERVER_PORT, 0, index),
                )
                .ok()?;
            let mut octets = [0; 2048];
            let length = socket.recv(&mut octets).ok()?;
            Message::decode(&octets[..length]).ok()
        });
        let options = answer.map(|answer| answer.options).unwrap_or_default();
        let known = options.into_iter().filter_map(|option| match option {
            Dhcpv6Option::Unknown { code, body } => {
                Some((code, body.iter().map(|octet| format!("{octet:02x}")).collect()))
            }
            _ => None,
        });
        known.collect()
    }

    /// The global addresses.
    pub fn addresses(&self) -> Vec<Address> {
        addresses(&self.namespace, INTERFACE)
    }

    /// Waits for an address in `prefix` that is not deprecated; tentative is soon enough.
    pub fn takes(&self, prefix: Ipv6Net, timeout: Duration) {
        eventually(&format!("client has an address in {prefix}"), timeout, || {
            self.has(prefix).then_some(())
        });
    }

    /// Waits until no address in `prefix` is preferred.
    pub fn leaves(&self, prefix: Ipv6Net, timeout: Duration) {
        eventually(&format!("client prefers no address in {prefix}"), timeout, || {
            (!self.has(prefix)).then_some(())
        });
    }

    /// Whether there is an address in `prefix` that is not deprecated.
    pub fn has(&self, prefix: Ipv6Net) -> bool {
        self.addresses()
            .iter()
            .any(|address| prefix.contains(&address.address) && !address.deprecated)
    }

    /// Whether there is a temporary one (RFC 8981) among them.
    pub fn has_temporary(&self, prefix: Ipv6Net) -> bool {
        self.addresses()
            .iter()
            .any(|address| prefix.contains(&address.address) && address.temporary)
    }

    /// Waits for a default route.
    pub fn has_default_route(&self, timeout: Duration) {
        eventually("client has a default route", timeout, || {
            (!self.namespace.ip_json("route show default").is_empty()).then_some(())
        });
    }
}

/// The global addresses of an interface.
pub fn addresses(namespace: &Namespace, interface: &str) -> Vec<Address> {
    let shown = namespace.ip_json(&format!("addr show dev {interface} scope global"));
    let found = shown.iter().filter_map(|link| link["addr_info"].as_array()).flatten();
    found.filter_map(address).collect()
}

fn address(value: &Value) -> Option<Address> {
    let number = |name: &str| value[name].as_u64().and_then(|number| u32::try_from(number).ok());
    let flag = |name: &str| value[name].as_bool() == Some(true);
    Some(Address {
        address: value["local"].as_str()?.parse().ok()?,
        length: u8::try_from(value["prefixlen"].as_u64()?).ok()?,
        tentative: flag("tentative"),
        deprecated: flag("deprecated"),
        temporary: flag("temporary"),
        preferred: number("preferred_life_time")?,
        valid: number("valid_life_time")?,
    })
}
