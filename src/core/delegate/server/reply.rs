//! The answers to requesting routers (RFC 9915 §18.3).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::times::Pace;
use super::{Reject, Server, information, release, request};
use crate::core::delegate::asked::{MAX_IAS, distinct_ia_pds};
use crate::core::delegate::bindings::Grant;
use crate::core::delegate::bindings::Wanted;
use crate::core::delegate::bindings::{BindingKey, Bindings, Slot};
use crate::core::delegate::{Arrival, Served};
use crate::core::rkap;
use crate::core::safety::Safety;
use crate::net::stable_hash;
use crate::time::{Instant, Lifetime, Until};
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::{
    Dhcpv6Option, Duid, IaNa, IaPd, IaPrefix, Iaid, Status, StatusCode, code,
};

/// The most prefixes of one IA_PD that one answer withdraws: it has to fit a datagram.
const MAX_JUDGED: usize = 64;
/// The SOL_MAX_RT, in seconds, in the answer to a router that is refused, so that it solicits again
/// soon (SRV-38): the smallest value that RFC 9915 §21.24 allows.
const SHORT_SOL_MAX_RT: u32 = 60;
/// An answer on its way.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// The message as it leaves, wrapped for the relays between.
    pub octets: Vec<u8>,
    /// How safe the contents have to be before the answer leaves (STO-04): on disk where it carries
    /// a key, or a place that no configuration names.
    pub memory: Safety,
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
    /// To keep it: the router knows it and holds it.
    Rebind,
}

/// The answer to one message while it is made.
struct ReplyBuilder<'a> {
    server: &'a mut Server,
    bindings: &'a mut Bindings,
    now: Instant,
    arrival: &'a Arrival,
    purpose: Purpose,
    client: &'a Duid,
    iaids: BTreeSet<Iaid>,
    served: Served,
    synced: bool,
    pace: Pace,
    /// The shortest of what is configured for what is given.
    renew_every: Option<Duration>,
    /// What the IA_PDs before this one get.
    reserved: BTreeSet<Slot>,
    /// Something was bound.
    bound: bool,
    refused: bool,
}

/// Answers `message`.
pub(super) fn answer(
    server: &mut Server,
    bindings: &mut Bindings,
    now: Instant,
    arrival: &Arrival,
    message: &Message,
) -> Result<Served, Reject> {
    let client = request::check(message, &server.duid)?;
    let rapid = bindings.downlinks.get(&*arrival.downlink).is_some_and(|link| link.rapid_commit);
    let is_rapid = rapid && message.has_rapid_commit();
    let purpose = match message.kind {
        MessageType::Solicit if is_rapid => Purpose::Give,
        MessageType::Solicit => Purpose::Offer,
        MessageType::Request => Purpose::Give,
        MessageType::Renew => Purpose::Renew,
        MessageType::Rebind => Purpose::Rebind,
        MessageType::Release => return release::release(server, bindings, now, arrival, message),
        MessageType::InformationRequest => {
            return information::information(server, arrival, message);
        }
        // Whether an address is right for the link is nothing that we have given (SRV-33).
        MessageType::Confirm => return Err(Reject::Silent),
        MessageType::Decline => return release::decline(server, arrival, message),
        MessageType::Advertise | MessageType::Reply | MessageType::Reconfigure => {
            return Err(Reject::UnexpectedType);
        }
    };
    let client = client.ok_or(Reject::NoClientId)?;
    let reply = ReplyBuilder {
        server,
        bindings,
        now,
        arrival,
        purpose,
        client,
        iaids: message.ia_pds().map(|ia| ia.iaid).collect(),
        served: Served::default(),
        synced: false,
        pace: Pace::default(),
        renew_every: None,
        reserved: BTreeSet::new(),
        bound: false,
        refused: false,
    };
    reply.make(message, rapid, is_rapid)
}

/// Answers `message` while it is not known what is delegated to us. A router that solicits comes
/// back soon, or when it is notified (SRV-38, SRV-58). All others get no answer: they may hold what
/// is about to be confirmed, or were offered it, and any answer would take it away; they ask again
/// within seconds.
pub(super) fn early(
    server: &mut Server,
    bindings: &mut Bindings,
    now: Instant,
    arrival: &Arrival,
    message: &Message,
) -> Result<Served, Reject> {
    let client = request::check(message, &server.duid)?;
    let client = client.filter(|_| message.kind == MessageType::Solicit).ok_or(Reject::Silent)?;
    for ia in distinct_ia_pds(message) {
        let (duid, downlink) = (client.clone(), Arc::clone(&arrival.downlink));
        let key = BindingKey { duid, downlink, iaid: ia.iaid };
        server.refuse(bindings, now, &key, &arrival.contact);
    }
    let answer = nothing(&server.duid, arrival, message, MessageType::Advertise);
    Ok(Served { answer, ..Served::default() })
}

impl ReplyBuilder<'_> {
    fn make(mut self, message: &Message, rapid: bool, is_rapid: bool) -> Result<Served, Reject> {
        let (mut ias, mut unknown) = (Vec::new(), Vec::new());
        for ia in distinct_ia_pds(message) {
            match self.answer_ia(message, ia, rapid) {
                Some(answer) => ias.push(answer),
                None => unknown.push(refused(ia, StatusCode::NoBinding)),
            }
        }
        if self.purpose == Purpose::Rebind && ias.is_empty() {
            return Err(Reject::Silent);
        }
        // Beside what it is answered, a router would ask for what is left out again and again
        // (RFC 9915 §18.2.10.1).
        ias.extend(unknown);
        self.set_times(&mut ias, message.has_reconfigure_accept());
        // Where nothing was to be had, another server's offer may be better than a Reply.
        let commits = is_rapid && self.bound;
        let is_offer = message.kind == MessageType::Solicit && !commits;
        let kind = if is_offer { MessageType::Advertise } else { MessageType::Reply };
        let mut options = vec![
            Dhcpv6Option::ClientId(self.client.clone()),
            Dhcpv6Option::ServerId(self.server.duid.clone()),
        ];
        options.extend(commits.then_some(Dhcpv6Option::RapidCommit));
        options.extend(ias.into_iter().map(Dhcpv6Option::IaPd));
        let status = match self.purpose {
            Purpose::Offer | Purpose::Give => StatusCode::NoAddrsAvail,
            Purpose::Renew | Purpose::Rebind => StatusCode::NoBinding,
        };
        options.extend(message.ia_nas().take(MAX_IAS).map(|ia| no_addresses(ia, status)));
        self.add_reconfigure(message, &mut options);
        information::add_information(self.server, self.arrival, message, &mut options);
        if self.refused && information::asks_for(message, code::SOL_MAX_RT) {
            options.push(Dhcpv6Option::SolMaxRt(SHORT_SOL_MAX_RT));
        }
        self.served.answer = Some(finish(self.arrival, kind, message, options, self.synced));
        Ok(self.served)
    }

    /// The answer for one IA_PD; none where nothing is known of it.
    fn answer_ia(&mut self, message: &Message, ia: &IaPd, rapid: bool) -> Option<IaPd> {
        let key = BindingKey {
            downlink: Arc::clone(&self.arrival.downlink),
            duid: self.client.clone(),
            iaid: ia.iaid,
        };
        let named = named(ia);
        self.note_named(message, &key);
        let known = self.bindings.by_key.contains_key(&key);
        let may_bind = known || self.purpose != Purpose::Rebind || rapid;
        let wanted = Wanted {
            key: &key,
            contact: &self.arrival.contact,
            named: &named,
            others: &self.iaids,
            reserved: &self.reserved,
            by_message: true,
        };
        let slots = if may_bind { self.bindings.slots_for(self.now, &wanted) } else { Vec::new() };
        self.reserved.extend(slots.iter().cloned());
        let every = self.bindings.renew_every(&slots);
        self.renew_every = self.renew_every.into_iter().chain(every).min();
        let grants = self.bindings.available(self.now, &key, &slots).grants;
        if self.purpose == Purpose::Offer {
            return Some(match grants.is_empty() {
                true => self.refusal(&key, ia, StatusCode::NoPrefixAvail),
                false => self.grant(ia, &grants, &BTreeSet::new()),
            });
        }
        // Another server may have given what is named where none was chosen: only what belongs to
        // us is known to be wrong.
        let is_ours = |prefix: &Ipv6Net| self.bindings.offers.is_ours(*prefix);
        let judged: Vec<Ipv6Net> = named
            .into_iter()
            .filter(|prefix| message.server_id().is_some() || is_ours(prefix))
            .take(MAX_JUDGED)
            .collect();
        if !known && grants.is_empty() {
            return self.unbound(&key, ia, &judged, slots.is_empty());
        }
        self.bind(&key, slots);
        let (current, stale) = self.commit(&key, &judged);
        if current.is_empty() && stale.is_empty() {
            return Some(self.refusal(&key, ia, StatusCode::NoPrefixAvail));
        }
        if current.is_empty() {
            let contact = self.arrival.contact.clone();
            self.server.refuse(self.bindings, self.now, &key, &contact);
        } else {
            self.server.refused.remove(&key, &self.arrival.contact);
        }
        Some(self.grant(ia, &current, &stale))
    }

    /// Takes note of what a router shows to hold no more (SRV-57). A Request names what was offered,
    /// which says nothing of what is held.
    fn note_named(&mut self, message: &Message, key: &BindingKey) {
        let solicits = match message.kind {
            MessageType::Solicit => true,
            MessageType::Renew | MessageType::Rebind => false,
            MessageType::Advertise
            | MessageType::Request
            | MessageType::Confirm
            | MessageType::Reply
            | MessageType::Release
            | MessageType::Decline
            | MessageType::Reconfigure
            | MessageType::InformationRequest => return,
        };
        if !self.bindings.by_key.contains_key(key) {
            return;
        }
        let all: Vec<Ipv6Net> = message.ia_pds().flat_map(named).collect();
        let now = self.now;
        let noted = self.bindings.change(key, |binding| binding.note_named(now, &all, solicits));
        if noted == Some(true) {
            self.served.touched.insert(key.clone());
        }
    }

    /// The answer where there is no binding and none can be made.
    fn unbound(
        &mut self,
        key: &BindingKey,
        ia: &IaPd,
        judged: &[Ipv6Net],
        is_nobody: bool,
    ) -> Option<IaPd> {
        match self.purpose {
            Purpose::Offer | Purpose::Give => {
                Some(self.refusal(key, ia, StatusCode::NoPrefixAvail))
            }
            // Whichever router gave it, it is not for this link any more (SRV-28).
            Purpose::Renew if !is_nobody && !judged.is_empty() => {
                let contact = self.arrival.contact.clone();
                self.server.refuse(self.bindings, self.now, key, &contact);
                Some(self.grant(ia, &[], &judged.iter().copied().collect()))
            }
            Purpose::Renew => Some(self.refusal(key, ia, StatusCode::NoBinding)),
            Purpose::Rebind => None,
        }
    }

    fn refusal(&mut self, key: &BindingKey, ia: &IaPd, code: StatusCode) -> IaPd {
        self.refused = true;
        let contact = self.arrival.contact.clone();
        self.server.refuse(self.bindings, self.now, key, &contact);
        refused(ia, code)
    }
    fn bind(&mut self, key: &BindingKey, slots: Vec<Slot>) {
        // No configuration knows which router has which place of a pool (STO-04).
        let is_given = self.purpose == Purpose::Give || !self.bindings.by_key.contains_key(key);
        self.synced |= is_given && slots.iter().any(|slot| matches!(slot, Slot::Pool { .. }));
        self.bound = true;
        let contact = self.arrival.contact.clone();
        self.bindings.assign(self.now, key, slots, contact.into(), &mut self.served.touched);
    }

    /// Promises what is to be given; returns that, and what the router may hold and is not its any
    /// more.
    fn commit(&mut self, key: &BindingKey, judged: &[Ipv6Net]) -> (Vec<Grant>, BTreeSet<Ipv6Net>) {
        let now = self.now;
        let committed = self.bindings.change(key, |binding| {
            let current = binding.current.clone();
            let wrong = judged.iter().filter(|prefix| !binding.is_granted(prefix)).copied();
            let stale: BTreeSet<Ipv6Net> = binding.stale().chain(wrong).collect();
            for grant in &current {
                let (preferred, valid) = grant.offer.lifetimes(now, grant.limits);
                let (preferred, valid) = (Until::after(now, preferred), Until::after(now, valid));
                binding.promise(now, grant.offer.prefix, preferred, valid);
            }
            stale.iter().for_each(|prefix| binding.withdraw(now, prefix));
            binding.push = None;
            (current, stale)
        });
        let (current, stale) = committed.unwrap_or_default();
        for grant in &current {
            self.bindings.holders.insert(grant.offer.prefix, key);
        }
        (current, stale)
    }

    /// An IA_PD with these prefixes, and others withdrawn (RFC 9096 §3.5). Global ones come before
    /// unique local ones (SRV-41).
    fn grant(&mut self, ia: &IaPd, current: &[Grant], stale: &BTreeSet<Ipv6Net>) -> IaPd {
        let prefix = |prefix, preferred, valid| IaPrefix {
            prefix,
            preferred,
            valid,
            exclude: None,
            status: None,
        };
        let mut prefixes = Vec::new();
        for grant in current {
            let (preferred, valid) = grant.offer.lifetimes(self.now, grant.limits);
            self.pace.note(preferred, valid, grant.offer.is_short(self.now, grant.limits));
            prefixes.push(prefix(grant.offer.prefix, preferred, valid));
        }
        prefixes.sort_by_key(|given| given.prefix.network().is_unique_local());
        prefixes.extend(stale.iter().map(|net| prefix(*net, Lifetime::ZERO, Lifetime::ZERO)));
        // Another router may wait for what is still ours to give.
        self.pace.confirms |= stale.iter().any(|net| self.bindings.offers.is_ours(*net));
        IaPd { iaid: ia.iaid, t1: Lifetime::ZERO, t2: Lifetime::ZERO, prefixes, status: None }
    }

    /// The same T1 and T2 in all (SRV-27).
    fn set_times(&mut self, ias: &mut [IaPd], accepts_reconfigure: bool) {
        let renewed_at = self.bindings.offers.renewed_at;
        let chance = stable_hash(self.client.octets());
        let Some((mut t1, t2)) = self.pace.times(self.now, renewed_at, chance) else { return };
        if let Some(every) = self.renew_every.filter(|_| !accepts_reconfigure) {
            // Nothing else may reach it after a change (SRV-62).
            t1 = t1.min(u32::try_from(every.as_secs()).unwrap_or(u32::MAX));
        }
        for ia in ias.iter_mut().filter(|ia| !ia.prefixes.is_empty()) {
            (ia.t1, ia.t2) = (Lifetime::Finite(t1), Lifetime::Finite(t2));
        }
    }

    /// Offers Reconfigure to a router that accepts it, and sends a key with a new binding (SRV-53):
    /// one for all IA_PDs, since a router keeps one for each server.
    fn add_reconfigure(&mut self, message: &Message, options: &mut Vec<Dhcpv6Option>) {
        let accepts = message.has_reconfigure_accept();
        options.extend(accepts.then_some(Dhcpv6Option::ReconfigureAccept));
        let (downlink, duid) = (Arc::clone(&self.arrival.downlink), self.client.clone());
        let any = BindingKey { downlink, duid, iaid: Iaid(0) };
        // A binding of the same DUID at another place has a key that is not for this router.
        let place = self.arrival.contact.place();
        let all = self.bindings.bindings_of(&any);
        let all = all.filter(|(_, binding)| binding.contact.place() == place);
        let all: Vec<(BindingKey, Option<rkap::Key>)> =
            all.map(|(key, binding)| (key.clone(), binding.reconfigure_key)).collect();
        let known = all.iter().find_map(|(_, known)| *known);
        let tells = self.bound && accepts && (known.is_none() || self.purpose == Purpose::Give);
        let key = match (accepts, self.purpose) {
            (false, Purpose::Give) if self.bound => None,
            (true, _) if tells => Some(known.unwrap_or_else(|| self.server.random.key())),
            (true | false, _) => known,
        };
        let at = self.now;
        for (binding, before) in all {
            if before != key && self.bound {
                self.bindings.change(&binding, |binding| {
                    binding.reconfigure_key = key;
                    // It was notified by an advertisement, and can be asked by name now.
                    binding.push = binding.push.map(|push| push.again(at));
                });
                self.served.touched.insert(binding);
            }
        }
        if let Some(key) = key.filter(|_| tells) {
            self.synced = true;
            let replay = self.server.replay.next();
            options.push(Dhcpv6Option::Authentication(rkap::with_key(&key, replay)));
        }
    }
}

/// An IA_PD with a status in the place of prefixes.
fn refused(ia: &IaPd, code: StatusCode) -> IaPd {
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

/// The answer where there is nothing to be had of any IA_PD.
pub(super) fn nothing(
    server: &Duid,
    arrival: &Arrival,
    message: &Message,
    kind: MessageType,
) -> Option<Answer> {
    let client = message.client_id()?.clone();
    let mut options = vec![Dhcpv6Option::ClientId(client), Dhcpv6Option::ServerId(server.clone())];
    let ias = distinct_ia_pds(message).map(|ia| refused(ia, StatusCode::NoPrefixAvail));
    options.extend(ias.map(Dhcpv6Option::IaPd));
    let addresses = message.ia_nas().take(MAX_IAS);
    options.extend(addresses.map(|ia| no_addresses(ia, StatusCode::NoAddrsAvail)));
    if information::asks_for(message, code::SOL_MAX_RT) {
        options.push(Dhcpv6Option::SolMaxRt(SHORT_SOL_MAX_RT));
    }
    Some(finish(arrival, kind, message, options, false))
}

/// The prefixes that an IA_PD names; one without an address is a hint of a length (SRV-10).
fn named(ia: &IaPd) -> Vec<Ipv6Net> {
    let prefixes = ia.prefixes.iter().map(|prefix| prefix.prefix);
    prefixes.filter(|prefix| !prefix.network().is_unspecified()).collect()
}

/// Addresses are left to advertisements.
pub(super) fn no_addresses(ia: &IaNa, code: StatusCode) -> Dhcpv6Option {
    let (t1, t2) = (Lifetime::ZERO, Lifetime::ZERO);
    let status = Some(Status { code, text: "no addresses here".to_owned() });
    Dhcpv6Option::IaNa(IaNa { iaid: ia.iaid, t1, t2, addresses: Vec::new(), status })
}

pub(super) fn finish(
    arrival: &Arrival,
    kind: MessageType,
    message: &Message,
    options: Vec<Dhcpv6Option>,
    synced: bool,
) -> Answer {
    let transaction_id = message.transaction_id;
    let octets = Message { kind, transaction_id, options }.encode();
    let memory = if synced { Safety::Synced } else { Safety::Written };
    Answer { octets: arrival.contact.wrap(octets), memory }
}
