//! What is told without a lease: DNS servers and search domains.

use super::answer::finish;
use super::{Arrival, Delegating, Reject, Served};
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::{Dhcpv6Option, code};

/// How long configuration without a lease is good for, in seconds: DNS servers come with prefixes.
const INFORMATION_REFRESH: u32 = 3600;

/// An Information-request (SRV-34).
pub(super) fn information(
    delegating: &Delegating,
    arrival: &Arrival,
    message: &Message,
) -> Result<Served, Reject> {
    let mut options = vec![Dhcpv6Option::ServerId(delegating.duid.clone())];
    options.extend(message.client_id().cloned().map(Dhcpv6Option::ClientId));
    add_information(delegating, arrival, message, &mut options);
    if asks_for(message, code::INFORMATION_REFRESH_TIME) {
        options.push(Dhcpv6Option::InformationRefreshTime(INFORMATION_REFRESH));
    }
    let answer = finish(arrival, MessageType::Reply, message, options, false);
    Ok(Served { answer: Some(answer), ..Served::default() })
}

pub(super) fn asks_for(message: &Message, code: u16) -> bool {
    message.option_request().is_some_and(|codes| codes.contains(&code))
}

/// DNS servers and search domains, as far as they are asked for (SRV-35).
pub(super) fn add_information(
    delegating: &Delegating,
    arrival: &Arrival,
    message: &Message,
    options: &mut Vec<Dhcpv6Option>,
) {
    let Some((servers, search)) = delegating.resolvers.get(&*arrival.downlink) else { return };
    if asks_for(message, code::DNS_SERVERS) && !servers.is_empty() {
        options.push(Dhcpv6Option::DnsServers(servers.clone()));
    }
    if asks_for(message, code::DOMAIN_SEARCH) && !search.is_empty() {
        options.push(Dhcpv6Option::DomainSearch(search.clone()));
    }
}
