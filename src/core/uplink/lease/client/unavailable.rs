//! IA_PDs for which servers answer without granting a prefix: an operator has to see them, with the
//! status that the server sent.

use std::fmt;

use super::Client;
use super::exchange::{Aim, Kind};
use crate::core::uplink::lease::held::{GivenLease, Held, Ia};
use crate::time::Instant;
use crate::wire::dhcpv6::{Message, MessageType};
use crate::wire::dhcpv6_option::{Duid, Iaid, Status, StatusCode};

/// The most characters of a status message that are kept.
const LETTERS: usize = 100;

/// An IA_PD in which servers grant no prefix.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unavailable {
    /// The IA_PD.
    pub iaid: Iaid,
    /// When the first such answer came.
    pub since: Instant,
    /// The server that answered last.
    pub server: Duid,
    /// The status that it sent, if any.
    pub status: Option<Status>,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.status {
            None => f.write_str("no reason given"),
            Some(status) => f.write_str(&status_in_words(status)),
        }
    }
}

/// A status in words: its name, and its message cut to [`LETTERS`] characters.
pub(super) fn status_in_words(status: &Status) -> String {
    if status.text.is_empty() {
        return name(status.code);
    }
    let text: String = status.text.chars().take(LETTERS).collect();
    format!("{}, \"{text}\"", name(status.code))
}

/// A status code as RFC 9915 §21.13 calls it, with its number.
fn name(code: StatusCode) -> String {
    let name = match code {
        StatusCode::Success => "Success (0)",
        StatusCode::UnspecFail => "UnspecFail (1)",
        StatusCode::NoAddrsAvail => "NoAddrsAvail (2)",
        StatusCode::NoBinding => "NoBinding (3)",
        StatusCode::NotOnLink => "NotOnLink (4)",
        StatusCode::NoPrefixAvail => "NoPrefixAvail (6)",
        StatusCode::Other(5) => "UseMulticast (5)",
        StatusCode::Other(number) => return format!("status {number}"),
    };
    name.to_owned()
}

impl Client {
    /// The IA_PDs for which servers answer without granting a prefix, by IAID.
    pub(in crate::core::uplink::lease) fn unavailable(&self) -> &[Unavailable] {
        &self.unavailable
    }

    /// When servers are asked for a prefix again: in an exchange under way or at T1; none if
    /// neither is set.
    pub(in crate::core::uplink::lease) fn asked_again_at(&self, held: &Held) -> Option<Instant> {
        let asks = self.exchanges.iter().filter(|exchange| exchange.kind.is_for_lease());
        let asked_at = asks.map(|exchange| exchange.deadline(self.limit.free_at())).min();
        asked_at.or_else(|| held.timers().and_then(|timers| timers.t1.at()))
    }

    /// Notes which IA_PDs the answer of `server` to an exchange of this kind and aim fills, and
    /// which it does not. An offer fills none yet.
    pub(super) fn note_availability(
        &mut self,
        held: &Held,
        now: Instant,
        message: &Message,
        server: &Duid,
        asked: (&Kind, Aim),
    ) {
        let given = self.given(message);
        for iaid in self.rules.delegate.iter().map(|delegate| delegate.iaid).collect::<Vec<_>>() {
            let ia = Ia::Pd(iaid);
            let mut leases = given.iter().filter(|given| given.ia == ia).flat_map(|g| &g.leases);
            if leases.any(GivenLease::is_given) {
                if message.kind == MessageType::Reply {
                    self.unavailable.retain(|unavailable| unavailable.iaid != iaid);
                }
            } else if self.is_asked(held, now, server, ia, asked) {
                let status = reason(message, iaid);
                self.note_unavailable(Unavailable {
                    iaid,
                    since: now,
                    server: server.clone(),
                    status,
                });
            }
        }
    }

    fn note_unavailable(&mut self, unavailable: Unavailable) {
        let iaid = unavailable.iaid;
        match self.unavailable.binary_search_by_key(&iaid, |known| known.iaid) {
            Ok(position) => {
                if let Some(known) = self.unavailable.get_mut(position) {
                    *known = Unavailable { since: known.since, ..unavailable };
                }
            }
            Err(position) => self.unavailable.insert(position, unavailable),
        }
    }
}

/// Why `message` grants no prefix in an IA_PD: the status of the association, of a
/// prefix in it, or of the message.
fn reason(message: &Message, iaid: Iaid) -> Option<Status> {
    let ia_pd = message.ia_pds().find(|ia_pd| ia_pd.iaid == iaid);
    let prefixes = ia_pd.iter().flat_map(|ia_pd| &ia_pd.prefixes);
    let statuses = ia_pd
        .iter()
        .filter_map(|ia_pd| ia_pd.status.as_ref())
        .chain(prefixes.filter_map(|prefix| prefix.status.as_ref()))
        .chain(message.status());
    statuses.into_iter().find(|status| status.code != StatusCode::Success).cloned()
}

/// Why `message` does not grant what was requested: the first status other than success, of its
/// associations, of prefixes in them, or of the message.
pub(super) fn failure(message: &Message) -> Option<Status> {
    let prefixes = message.ia_pds().flat_map(|ia_pd| {
        let each = ia_pd.prefixes.iter().filter_map(|prefix| prefix.status.as_ref());
        ia_pd.status.iter().chain(each)
    });
    let addresses = message.ia_nas().filter_map(|ia_na| ia_na.status.as_ref());
    let mut statuses = prefixes.chain(addresses).chain(message.status());
    statuses.find(|status| status.code != StatusCode::Success).cloned()
}
