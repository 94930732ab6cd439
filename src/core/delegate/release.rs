//! Release and Decline (RFC 9915 §18.3.7, §18.3.8).

use std::collections::BTreeSet;
use std::sync::Arc;

use ipnet::Ipv6Net;

use super::answer::{MAX_IAS, distinct_ia_pds, finish, no_addresses};
use super::{Arrival, BindingKey, Delegating, Reject, Served};
use crate::time::{Instant, Lifetime};
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, Status, StatusCode};

/// A Release: what it names is free at once (SRV-32).
pub(super) fn release(
    delegating: &mut Delegating,
    now: Instant,
    arrival: &Arrival,
    message: &Message,
) -> Result<Served, Reject> {
    let client = message.client_id().ok_or(Reject::NoClientId)?;
    let mut served = Served::default();
    let mut options = acknowledgement(delegating, client);
    for ia in distinct_ia_pds(message) {
        let (downlink, duid) = (Arc::clone(&arrival.downlink), client.clone());
        let key = BindingKey { downlink, duid, iaid: ia.iaid };
        delegating.refused.remove(&key, &arrival.contact);
        if delegating.bindings.contains_key(&key) {
            let named: Vec<Ipv6Net> = ia.prefixes.iter().map(|given| given.prefix).collect();
            delegating.release(now, &key, &named, &mut served.touched);
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
    delegating: &Delegating,
    arrival: &Arrival,
    message: &Message,
) -> Result<Served, Reject> {
    let client = message.client_id().ok_or(Reject::NoClientId)?;
    let mut options = acknowledgement(delegating, client);
    let declined = message.ia_nas().take(MAX_IAS);
    options.extend(declined.map(|ia| no_addresses(ia, StatusCode::NoBinding)));
    let answer = finish(arrival, MessageType::Reply, message, options, false);
    Ok(Served { answer: Some(answer), ..Served::default() })
}

impl Delegating {
    /// A router gives back what it names, and with it its claim to the rest. What it may hold beside
    /// that stays its own until it has run out.
    fn release(
        &mut self,
        now: Instant,
        key: &BindingKey,
        named: &[Ipv6Net],
        touched: &mut BTreeSet<BindingKey>,
    ) {
        let Some(mut binding) = self.remove(key) else { return };
        touched.insert(key.clone());
        let is_its = named.iter().any(|prefix| binding.promised.contains_key(prefix));
        let held: Vec<Ipv6Net> = binding.promised.keys().copied().collect();
        if is_its {
            binding.release(now, named);
        }
        let is_freed = |prefix: &Ipv6Net| !binding.promised.contains_key(prefix);
        let freed: Vec<Ipv6Net> = held.into_iter().filter(is_freed).collect();
        if binding.promised.is_empty() {
            return self.give_on(now, &freed, touched);
        }
        let slots = if is_its { Vec::new() } else { binding.slots.clone() };
        let contact = binding.contact.clone();
        binding.indexed_at = None;
        self.insert(key, binding);
        self.assign(now, key, slots, contact, touched);
        self.give_on(now, &freed, touched);
    }
}

fn acknowledgement(delegating: &Delegating, client: &Duid) -> Vec<Dhcpv6Option> {
    vec![
        Dhcpv6Option::ClientId(client.clone()),
        Dhcpv6Option::ServerId(delegating.duid.clone()),
        Dhcpv6Option::Status(Status { code: StatusCode::Success, text: String::new() }),
    ]
}

fn no_binding(ia: &IaPd) -> IaPd {
    let status = Some(Status { code: StatusCode::NoBinding, text: String::new() });
    let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
    IaPd { iaid: ia.iaid, t1, t2, prefixes: Vec::new(), status }
}
