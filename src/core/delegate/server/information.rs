//! Configuration without a lease: DNS servers, search domains, and options of the provider that are
//! passed on (RFC 7084 L-12).

use std::net::Ipv6Addr;

use serde::Serialize;

use super::reply::finish;
use super::{Reject, Server};
use crate::core::delegate::{Arrival, Served};
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::{Dhcpv6Option, code};
use crate::wire::dhcpv6_service::ServiceOption;

/// The options that hosts and routers of a link are given beside prefixes, where they ask for them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct HostOptions {
    /// DNS servers.
    pub servers: Vec<Ipv6Addr>,
    /// Search domains.
    pub search: Vec<String>,
    /// Options of the provider that are passed on, and the link's own captive portal.
    pub services: Vec<ServiceOption>,
}

impl HostOptions {
    /// Whether it has an option that advertisements cannot carry.
    pub(super) fn informs(&self) -> bool {
        self.services.iter().any(|option| option.portal_uri().is_none())
    }
}

/// How long configuration without a lease is good for, in seconds: DNS servers come with prefixes.
const INFORMATION_REFRESH: u32 = 3600;

/// An Information-request (SRV-34).
pub(super) fn information(
    server: &Server,
    arrival: &Arrival,
    message: &Message,
) -> Result<Served, Reject> {
    let mut options = vec![Dhcpv6Option::ServerId(server.duid.clone())];
    options.extend(message.client_id().cloned().map(Dhcpv6Option::ClientId));
    add_information(server, arrival, message, &mut options);
    if asks_for(message, code::INFORMATION_REFRESH_TIME) {
        options.push(Dhcpv6Option::InformationRefreshTime(INFORMATION_REFRESH));
    }
    let answer = finish(arrival, MessageType::Reply, message, options, false);
    Ok(Served { answer: Some(answer), ..Served::default() })
}

pub(super) fn asks_for(message: &Message, code: u16) -> bool {
    message.option_request().is_some_and(|codes| codes.contains(&code))
}

/// Adds the options that were asked for (SRV-35, LAN-01).
pub(super) fn add_information(
    server: &Server,
    arrival: &Arrival,
    message: &Message,
    options: &mut Vec<Dhcpv6Option>,
) {
    let Some(known) = server.host_options.get(&*arrival.downlink) else { return };
    let HostOptions { servers, search, services } = known;
    if asks_for(message, code::DNS_SERVERS) && !servers.is_empty() {
        options.push(Dhcpv6Option::DnsServers(servers.clone()));
    }
    if asks_for(message, code::DOMAIN_SEARCH) && !search.is_empty() {
        options.push(Dhcpv6Option::DomainSearch(search.clone()));
    }
    let asked = services.iter().filter(|option| asks_for(message, option.code()));
    options.extend(asked.map(Dhcpv6Option::from));
}
