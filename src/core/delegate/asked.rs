//! The part of a message that is looked at.

use std::collections::BTreeSet;

use crate::wire::dhcpv6::Message;
use crate::wire::dhcpv6_option::IaPd;

/// The most IA_PDs of one message that are looked at; beyond the default limit of a pool (SRV-39)
/// no more are granted anyway.
pub(super) const MAX_IAS: usize = 32;

/// The IA_PDs of a message that are looked at, each IAID once.
pub(super) fn distinct_ia_pds(message: &Message) -> impl Iterator<Item = &IaPd> {
    let mut seen = BTreeSet::new();
    message.ia_pds().filter(move |ia| seen.insert(ia.iaid)).take(MAX_IAS)
}
