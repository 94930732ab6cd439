//! What a requesting router is told (RFC 9915 §18.3).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::binding::{Binding, Due};
use super::{Arrival, BindingKey, Delegating, Reject, Served, request};
use crate::core::rkap;
use crate::time::{Instant, Lifetime, Until};
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::{
    Dhcpv6Option, Duid, IaNa, IaPd, IaPrefix, Status, StatusCode, code,
};

/// IA_PDs of one message that are looked at; beyond the default limit of a pool (SRV-39) there is
/// nothing to be had.
const MAX_IAS: usize = 32;
/// Who is refused comes back soon (SRV-38): the least that RFC 9915 §21.24 allows.
const SOON: u32 = 60;
/// How long configuration without a lease is good for, in seconds: DNS servers come with prefixes.
const INFORMATION_REFRESH: u32 = 3600;
/// The earliest and the latest that children renew behind us (SRV-27).
const BEHIND: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));

/// An answer on its way.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// The message as it leaves, wrapped for the relays between.
    pub octets: Vec<u8>,
    /// It may not leave before what it says is safe on disk (STO-04): it tells a key, or a place
    /// that no configuration names.
    pub synced: bool,
}

/// What a message wants of an IA_PD.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Purpose {
    /// To know what it would get.
    Offer,
    /// To get it.
    Give,
    /// To keep it.
    Renew,
    /// To keep it, from whoever knows it.
    Rebind,
}

/// The answer to one message while it is made.
struct Making<'a, 'b> {
    delegating: &'a mut Delegating,
    now: Instant,
    arrival: &'a Arrival<'b>,
    purpose: Purpose,
    client: &'a Duid,
    iaids: BTreeSet<crate::wire::dhcpv6_option::Iaid>,
    served: Served,
    synced: bool,
    /// The shortest preferred lifetime given, or valid one where all are deprecated; and whether
    /// our own lease is what limits it.
    shortest: Option<(u32, bool)>,
    refused: bool,
}

/// Answers `message`.
pub(super) fn answer(
    delegating: &mut Delegating,
    now: Instant,
    arrival: &Arrival<'_>,
    message: &Message,
) -> Result<Served, Reject> {
    let client = request::check(message, &delegating.duid)?;
    let rapid = delegating.downlinks.get(arrival.downlink).is_some_and(|link| link.rapid_commit);
    let is_rapid = rapid && message.has_rapid_commit();
    let purpose = match message.kind {
        MessageType::Solicit if is_rapid => Purpose::Give,
        MessageType::Solicit => Purpose::Offer,
        MessageType::Request => Purpose::Give,
        MessageType::Renew => Purpose::Renew,
        MessageType::Rebind => Purpose::Rebind,
        MessageType::Release => return release(delegating, now, arrival, message),
        MessageType::InformationRequest => return information(delegating, arrival, message),
        // Whether an address is right for the link is nothing that we have given (SRV-33).
        MessageType::Confirm => return Err(Reject::Silent),
        MessageType::Decline => return decline(delegating, arrival, message),
        MessageType::Advertise | MessageType::Reply | MessageType::Reconfigure => {
            return Err(Reject::UnexpectedType);
        }
    };
    let client = client.ok_or(Reject::NoClientId)?;
    let making = Making {
        delegating,
        now,
        arrival,
        purpose,
        client,
        iaids: message.ia_pds().map(|ia| ia.iaid).collect(),
        served: Served::default(),
        synced: false,
        shortest: None,
        refused: false,
    };
    making.make(message, rapid, is_rapid)
}

impl Making<'_, '_> {
    fn make(mut self, message: &Message, rapid: bool, is_rapid: bool) -> Result<Served, Reject> {
        let mut seen = BTreeSet::new();
        let mut ias = Vec::new();
        for ia in message.ia_pds().filter(|ia| seen.insert(ia.iaid)).take(MAX_IAS) {
            ias.extend(self.answer_ia(ia, rapid));
        }
        if self.purpose == Purpose::Rebind && ias.is_empty() {
            return Err(Reject::Silent);
        }
        self.set_times(&mut ias);
        let kind = match self.purpose {
            Purpose::Offer => MessageType::Advertise,
            Purpose::Give | Purpose::Renew | Purpose::Rebind => MessageType::Reply,
        };
        let mut options = vec![
            Dhcpv6Option::ClientId(self.client.clone()),
            Dhcpv6Option::ServerId(self.delegating.duid.clone()),
        ];
        if is_rapid && kind == MessageType::Reply {
            options.push(Dhcpv6Option::RapidCommit);
        }
        options.extend(ias.into_iter().map(Dhcpv6Option::IaPd));
        let status = match self.purpose {
            Purpose::Offer | Purpose::Give => StatusCode::NoAddrsAvail,
            Purpose::Renew | Purpose::Rebind => StatusCode::NoBinding,
        };
        options.extend(message.ia_nas().take(MAX_IAS).map(|ia| no_addresses(ia, status)));
        self.add_reconfigure(message, &mut options);
        add_information(self.delegating, self.arrival, message, &mut options);
        if self.refused {
            options.push(Dhcpv6Option::SolMaxRt(SOON));
        }
        self.served.answer = Some(finish(self.arrival, kind, message, options, self.synced));
        Ok(self.served)
    }

    /// What is said of one IA_PD; none where there is nothing to say.
    fn answer_ia(&mut self, ia: &IaPd, rapid: bool) -> Option<IaPd> {
        let key = BindingKey {
            downlink: self.arrival.downlink.to_owned(),
            duid: self.client.clone(),
            iaid: ia.iaid,
        };
        let is_hint = |prefix: &IaPrefix| prefix.prefix.network().is_unspecified();
        let listed: Vec<Ipv6Net> = ia
            .prefixes
            .iter()
            .filter(|prefix| !is_hint(prefix))
            .map(|prefix| prefix.prefix)
            .collect();
        let known = self.delegating.bindings.contains_key(&key);
        let may_bind = known || self.purpose != Purpose::Rebind || rapid;
        let slots = if may_bind {
            self.delegating.slots_for(self.now, &key, self.arrival, &listed, &self.iaids)
        } else {
            Vec::new()
        };
        let (worth, _) = self.delegating.worth(self.now, &key, &slots);
        if self.purpose == Purpose::Offer {
            return Some(match worth.is_empty() {
                true => self.refusal(&key, ia, StatusCode::NoPrefixAvail),
                false => self.grant(ia, &worth, &BTreeSet::new()),
            });
        }
        if !known && worth.is_empty() {
            return self.unbound(&key, ia, &listed, slots.is_empty());
        }
        self.bind(&key, slots);
        let (current, stale) = self.commit(&key, &listed);
        if current.is_empty() && stale.is_empty() {
            return Some(self.refusal(&key, ia, StatusCode::NoPrefixAvail));
        }
        if current.is_empty() {
            let contact = self.arrival.contact.clone();
            self.delegating.refuse(self.now, &key, &contact);
        } else {
            self.delegating.refused.remove(&key);
        }
        Some(self.grant(ia, &current, &stale))
    }

    /// The answer where there is no binding and none can be made.
    fn unbound(
        &mut self,
        key: &BindingKey,
        ia: &IaPd,
        listed: &[Ipv6Net],
        is_nobody: bool,
    ) -> Option<IaPd> {
        match self.purpose {
            Purpose::Offer | Purpose::Give => {
                Some(self.refusal(key, ia, StatusCode::NoPrefixAvail))
            }
            // Whoever it is from, it is not for this link any more (SRV-28).
            Purpose::Renew if !is_nobody && !listed.is_empty() => {
                let contact = self.arrival.contact.clone();
                self.delegating.refuse(self.now, key, &contact);
                Some(self.grant(ia, &BTreeMap::new(), &listed.iter().copied().collect()))
            }
            Purpose::Renew => Some(self.refusal(key, ia, StatusCode::NoBinding)),
            Purpose::Rebind => None,
        }
    }

    fn refusal(&mut self, key: &BindingKey, ia: &IaPd, code: StatusCode) -> IaPd {
        self.refused = true;
        let contact = self.arrival.contact.clone();
        self.delegating.refuse(self.now, key, &contact);
        let text = match code {
            StatusCode::NoBinding => "no such binding here",
            StatusCode::Success
            | StatusCode::UnspecFail
            | StatusCode::NoAddrsAvail
            | StatusCode::NotOnLink
            | StatusCode::NoPrefixAvail
            | StatusCode::Other(_) => "nothing to delegate",
        };
        let status = Some(Status { code, text: text.to_owned() });
        IaPd { iaid: ia.iaid, t1: Lifetime::ZERO, t2: Lifetime::ZERO, prefixes: Vec::new(), status }
    }

    /// Takes the slots, from an IA_PD that the same router has dropped if need be.
    fn bind(&mut self, key: &BindingKey, slots: Vec<super::Slot>) {
        let mut contact = self.arrival.contact.clone();
        if let Some(next_hop) = self.delegating.next_hop_of(&slots) {
            contact.next_hop = next_hop;
        }
        let dropped: BTreeSet<BindingKey> = slots
            .iter()
            .filter_map(|slot| self.delegating.slots.get(slot))
            .filter(|holder| *holder != key)
            .cloned()
            .collect();
        for holder in dropped {
            self.delegating.remove(&holder);
            self.served.touched.insert(holder);
        }
        match self.delegating.bindings.get(key) {
            None => {
                self.synced |= slots.iter().any(|slot| matches!(slot, super::Slot::Pool { .. }));
                self.delegating.insert(key, Binding::new(slots, contact));
            }
            Some(binding) => {
                let freed: Vec<super::Slot> =
                    binding.slots.iter().filter(|slot| !slots.contains(slot)).cloned().collect();
                for slot in freed {
                    self.delegating.slots.remove(&slot);
                }
                for slot in &slots {
                    self.delegating.slots.insert(slot.clone(), key.clone());
                }
                self.delegating.change(key, |binding| {
                    binding.slots = slots;
                    binding.contact = contact;
                });
            }
        }
        self.delegating.refresh(self.now, key);
        self.served.touched.insert(key.clone());
    }

    /// Promises what is due; that, and what the router may hold and is not its any more.
    fn commit(
        &mut self,
        key: &BindingKey,
        listed: &[Ipv6Net],
    ) -> (BTreeMap<Ipv6Net, Due>, BTreeSet<Ipv6Net>) {
        let now = self.now;
        let (mut current, mut stale) = (BTreeMap::new(), BTreeSet::new());
        self.delegating.change(key, |binding| {
            current.clone_from(&binding.current);
            let held = binding.promised.keys().chain(listed);
            stale.extend(held.filter(|prefix| !current.contains_key(*prefix)).copied());
            for (prefix, due) in &current {
                let (preferred, valid) = due.offer.lifetimes(now, due.limits);
                let (preferred_until, valid_until) =
                    (Until::after(now, preferred), Until::after(now, valid));
                binding.promise(*prefix, preferred_until, valid_until);
            }
            for prefix in &stale {
                if let Some(promise) = binding.promised.get_mut(prefix) {
                    promise.told_at = Some(now);
                }
            }
            binding.push = None;
        });
        for prefix in current.keys() {
            self.delegating.holders.insert(*prefix, key);
        }
        (current, stale)
    }

    /// An IA_PD with these prefixes, and others withdrawn (RFC 9096 §3.5). Global ones come before
    /// unique local ones (SRV-41).
    fn grant(
        &mut self,
        ia: &IaPd,
        current: &BTreeMap<Ipv6Net, Due>,
        stale: &BTreeSet<Ipv6Net>,
    ) -> IaPd {
        let prefix = |prefix, preferred, valid| IaPrefix {
            prefix,
            preferred,
            valid,
            exclude: None,
            status: None,
        };
        let mut prefixes = Vec::new();
        for (net, due) in current {
            let (preferred, valid) = due.offer.lifetimes(self.now, due.limits);
            self.note_shortest(preferred, valid, due.offer.is_short(self.now, due.limits));
            prefixes.push(prefix(*net, preferred, valid));
        }
        prefixes.sort_by_key(|given| given.prefix.network().is_unique_local());
        prefixes.extend(stale.iter().map(|net| prefix(*net, Lifetime::ZERO, Lifetime::ZERO)));
        IaPd { iaid: ia.iaid, t1: Lifetime::ZERO, t2: Lifetime::ZERO, prefixes, status: None }
    }

    fn note_shortest(&mut self, preferred: Lifetime, valid: Lifetime, is_short: bool) {
        let span = if preferred.is_zero() { valid } else { preferred };
        let Lifetime::Finite(seconds) = span else { return };
        if self.shortest.is_none_or(|(shortest, _)| seconds < shortest) {
            self.shortest = Some((seconds, is_short));
        }
    }

    /// The same T1 and T2 in all (SRV-27).
    fn set_times(&mut self, ias: &mut [IaPd]) {
        let Some((shortest, is_short)) = self.shortest else { return };
        let mut t1 = shortest / 2;
        let t2 = shortest / 5 * 4 + shortest % 5 * 4 / 5;
        let renewed_at = self.delegating.offers.renewed_at.filter(|at| *at > self.now);
        if let Some(at) = renewed_at.filter(|_| is_short) {
            let behind = self.delegating.random.duration(BEHIND.0, BEHIND.1);
            let own = at.since(self.now).saturating_add(behind).as_secs();
            t1 = t1.min(u32::try_from(own).unwrap_or(u32::MAX)).max(1);
        }
        for ia in ias.iter_mut().filter(|ia| !ia.prefixes.is_empty()) {
            ia.t1 = Lifetime::Finite(t1);
            ia.t2 = Lifetime::Finite(t2.max(t1));
        }
    }

    /// Offers Reconfigure to whom it accepts it, and tells a key with a new binding (SRV-53).
    fn add_reconfigure(&mut self, message: &Message, options: &mut Vec<Dhcpv6Option>) {
        if !message.has_reconfigure_accept() {
            return;
        }
        options.push(Dhcpv6Option::ReconfigureAccept);
        if self.purpose == Purpose::Offer {
            return;
        }
        let touched: Vec<BindingKey> = self
            .served
            .touched
            .iter()
            .filter(|key| self.delegating.bindings.contains_key(*key))
            .cloned()
            .collect();
        let known = touched
            .iter()
            .find_map(|key| self.delegating.bindings.get(key).and_then(|one| one.reconfigure_key));
        if touched.is_empty() || (known.is_some() && self.purpose != Purpose::Give) {
            return;
        }
        let key = known.unwrap_or_else(|| {
            self.synced = true;
            self.delegating.random.key()
        });
        for binding in &touched {
            self.delegating.change(binding, |binding| binding.reconfigure_key = Some(key));
        }
        let replay = self.delegating.replay.next();
        options.push(Dhcpv6Option::Authentication(rkap::telling(&key, replay)));
    }
}

/// A Release: what it names is free at once (SRV-32).
fn release(
    delegating: &mut Delegating,
    now: Instant,
    arrival: &Arrival<'_>,
    message: &Message,
) -> Result<Served, Reject> {
    let client = message.client_id().ok_or(Reject::NoClientId)?;
    let mut served = Served::default();
    let mut options = acknowledgement(delegating, client);
    for ia in message.ia_pds().take(MAX_IAS) {
        let (downlink, duid) = (arrival.downlink.to_owned(), client.clone());
        let key = BindingKey { downlink, duid, iaid: ia.iaid };
        if !delegating.bindings.contains_key(&key) {
            options.push(Dhcpv6Option::IaPd(no_binding(ia)));
            continue;
        }
        let mut left = 0;
        delegating.change(&key, |binding| {
            for given in &ia.prefixes {
                binding.promised.remove(&given.prefix);
                binding.current.remove(&given.prefix);
            }
            left = binding.promised.len();
        });
        for given in &ia.prefixes {
            delegating.holders.remove(given.prefix, &key);
        }
        if left == 0 {
            delegating.remove(&key);
        }
        served.touched.insert(key);
    }
    delegating.refresh_blocked(now, &mut served.touched);
    served.answer = Some(finish(arrival, MessageType::Reply, message, options, false));
    Ok(served)
}

/// A Decline: none of its addresses is ours.
fn decline(
    delegating: &Delegating,
    arrival: &Arrival<'_>,
    message: &Message,
) -> Result<Served, Reject> {
    let client = message.client_id().ok_or(Reject::NoClientId)?;
    let mut options = acknowledgement(delegating, client);
    let declined = message.ia_nas().take(MAX_IAS);
    options.extend(declined.map(|ia| no_addresses(ia, StatusCode::NoBinding)));
    let answer = finish(arrival, MessageType::Reply, message, options, false);
    Ok(Served { answer: Some(answer), ..Served::default() })
}

/// An Information-request (SRV-34).
fn information(
    delegating: &Delegating,
    arrival: &Arrival<'_>,
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

/// Addresses are left to advertisements.
fn no_addresses(ia: &IaNa, code: StatusCode) -> Dhcpv6Option {
    let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
    let status = Some(Status { code, text: "no addresses here".to_owned() });
    Dhcpv6Option::IaNa(IaNa { iaid: ia.iaid, t1, t2, addresses: Vec::new(), status })
}

fn asks_for(message: &Message, code: u16) -> bool {
    message.option_request().is_some_and(|codes| codes.contains(&code))
}

/// DNS servers and search domains, as far as they are asked for (SRV-35).
fn add_information(
    delegating: &Delegating,
    arrival: &Arrival<'_>,
    message: &Message,
    options: &mut Vec<Dhcpv6Option>,
) {
    let Some((servers, search)) = delegating.resolvers.get(arrival.downlink) else { return };
    if asks_for(message, code::DNS_SERVERS) && !servers.is_empty() {
        options.push(Dhcpv6Option::DnsServers(servers.clone()));
    }
    if asks_for(message, code::DOMAIN_SEARCH) && !search.is_empty() {
        options.push(Dhcpv6Option::DomainSearch(search.clone()));
    }
}

fn finish(
    arrival: &Arrival<'_>,
    kind: MessageType,
    message: &Message,
    options: Vec<Dhcpv6Option>,
    synced: bool,
) -> Answer {
    let transaction_id = message.transaction_id;
    let octets = Message { kind, transaction_id, options }.encode();
    Answer { octets: arrival.contact.wrap(octets), synced }
}

/// The link-layer address that a link-local address was made from, if it was (RFC 4291 App. A).
pub fn link_layer_of(address: Ipv6Addr) -> Option<Vec<u8>> {
    match address.octets() {
        [0xfe, 0x80, 0, 0, 0, 0, 0, 0, first, a, b, 0xff, 0xfe, c, d, e] => {
            Some(vec![first ^ 2, a, b, c, d, e])
        }
        _ => None,
    }
}
