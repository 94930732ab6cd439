//! Release and Decline (RFC 9915 §18.3.7, §18.3.8).

use std::sync::Arc;

use ipnet::Ipv6Net;

use super::reply::{finish, no_addresses};
use super::{Reject, Server};
use crate::core::delegate::asked::{MAX_IAS, distinct_ia_pds};
use crate::core::delegate::bindings::{BindingKey, Bindings};
use crate::core::delegate::{Arrival, Served};
use crate::time::{Instant, Lifetime};
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, Status, StatusCode};

/// A Release: the prefixes that it names are free at once (SRV-32).
pub(super) fn release(
    server: &mut Server,
    bindings: &mut Bindings,
    now: Instant,
    arrival: &Arrival,
    message: &Message,
) -> Result<Served, Reject> {
    let client = message.client_id().ok_or(Reject::NoClientId)?;
    let mut served = Served::default();
    let mut options = acknowledgement(server, client);
    for ia in distinct_ia_pds(message) {
        let (downlink, duid) = (Arc::clone(&arrival.downlink), client.clone());
        let key = BindingKey { downlink, duid, iaid: ia.iaid };
        server.refused.remove(&key, &arrival.contact);
        if bindings.by_key.contains_key(&key) {
            let named: Vec<Ipv6Net> = ia.prefixes.iter().map(|given| given.prefix).collect();
            bindings.release(now, &key, &named, &mut served.touched);
        } else {
            options.push(Dhcpv6Option::IaPd(no_binding(ia)));
        }
    }
    let addresses = message.ia_nas().take(MAX_IAS);
    options.extend(addresses.map(|ia| no_addresses(ia, StatusCode::NoBinding)));
    served.answer = Some(finish(arrival, MessageType::Reply, message, options, false));
    Ok(served)
}

/// A Decline: none of its addresses is ours.
pub(super) fn decline(
    server: &Server,
    arrival: &Arrival,
    message: &Message,
) -> Result<Served, Reject> {
    let client = message.client_id().ok_or(Reject::NoClientId)?;
    let mut options = acknowledgement(server, client);
    let declined = message.ia_nas().take(MAX_IAS);
    options.extend(declined.map(|ia| no_addresses(ia, StatusCode::NoBinding)));
    let answer = finish(arrival, MessageType::Reply, message, options, false);
    Ok(Served { answer: Some(answer), ..Served::default() })
}

fn acknowledgement(server: &Server, client: &Duid) -> Vec<Dhcpv6Option> {
    vec![
        Dhcpv6Option::ClientId(client.clone()),
        Dhcpv6Option::ServerId(server.duid.clone()),
        Dhcpv6Option::Status(Status { code: StatusCode::Success, text: String::new() }),
    ]
}

fn no_binding(ia: &IaPd) -> IaPd {
    let status = Some(Status { code: StatusCode::NoBinding, text: String::new() });
    let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
    IaPd { iaid: ia.iaid, t1, t2, prefixes: Vec::new(), status }
}
