//! What subordinate routers get, and prefixes that are not delegated to us.

use std::ops::RangeInclusive;

use super::{lifetimes, limit, priority};
use crate::config::table::Table;
use crate::config::value::{self, Wrong};
use crate::config::{Delegation, Limits, Peer, Place, Pool, Static};

const MAX_PER_ROUTER: i64 = 1024;
const MAX_PER_NEIGHBOR: i64 = 65_536;
/// Between renewals, in seconds.
const RENEW_EVERY: RangeInclusive<u64> = 5..=86_400;

pub(super) fn fixed(table: &Table<'_>) -> Static {
    let prefix = table.get("prefix", value::site_prefix);
    let preferred = limit(table, "preferred-lifetime");
    let valid = limit(table, "valid-lifetime");
    if let (Some(preferred), Some(valid)) = (preferred, valid) {
        lifetimes(table, preferred, valid);
    }
    table.finish();
    // What is not valid cannot be preferred.
    Static { prefix, preferred: preferred.or(valid), valid }
}

/// None where it lacks what cannot be guessed.
pub(super) fn delegation(table: &Table<'_>) -> Option<Delegation> {
    let downlink = downlink(table);
    let peer = peer(table);
    let (place, length) = place(table, "length", Pool::DEFAULT_LENGTH);
    let iaid = table.get("iaid", value::iaid);
    let from = table.get("from", value::source);
    let priority = priority(table);
    let next_hop = table.get("next-hop", value::next_hop);
    let renew_every = table.get("renew-every", value::whole_seconds(RENEW_EVERY));
    let lifetimes = limits(table);
    table.finish();
    let (downlink, peer) = (downlink?, peer?);
    Some(Delegation {
        downlink,
        peer,
        iaid,
        place,
        length,
        from,
        priority,
        next_hop,
        renew_every,
        lifetimes,
    })
}

/// None where it lacks what cannot be guessed.
pub(super) fn pool(table: &Table<'_>) -> Option<Pool> {
    let downlink = downlink(table);
    let link = table.get("link", value::prefix);
    let (place, size) = place(table, "size", Pool::DEFAULT_SIZE);
    let length = table.get("length", value::octet(1..=64)).unwrap_or(Pool::DEFAULT_LENGTH);
    let count = |key, most| {
        let count = table.get(key, value::number(1..=most));
        count.and_then(|count| usize::try_from(count).ok())
    };
    let per_router = count("per-router", MAX_PER_ROUTER).unwrap_or(Pool::DEFAULT_PER_ROUTER);
    let per_neighbor =
        count("per-neighbour", MAX_PER_NEIGHBOR).unwrap_or(Pool::DEFAULT_PER_NEIGHBOR);
    let from = table.get("from", value::source);
    let priority = priority(table);
    let renew_every = table.get("renew-every", value::whole_seconds(RENEW_EVERY));
    let lifetimes = limits(table);
    table.finish();
    let downlink = downlink?;
    Some(Pool {
        downlink,
        link,
        place,
        size,
        length,
        from,
        priority,
        per_router,
        per_neighbor,
        renew_every,
        lifetimes,
    })
}

fn downlink(table: &Table<'_>) -> Option<String> {
    let remedy = "name the interface on which it asks, for instance downlink = \"lan0\"";
    table.need("downlink", remedy, value::name)
}

fn peer(table: &Table<'_>) -> Option<Peer> {
    let duid = table.get("duid", value::duid).map(Peer::Duid);
    let link_layer = table.get("link-layer", value::link_layer).map(Peer::LinkLayer);
    match (table.has("duid"), table.has("link-layer")) {
        (false, false) => {
            let remedy = "say who the router is: duid = \"00:04:…\", or link-layer = \
                          \"02:00:5e:00:53:01\"";
            table.wrong("duid", Wrong::new("is missing", remedy));
            None
        }
        (true, true) => {
            let wrong = Wrong::new("stands beside duid", "leave one of the two out");
            table.wrong("link-layer", wrong);
            None
        }
        (true, false) => duid,
        (false, true) => link_layer,
    }
}

/// A place, or the length of an automatic one at `key`.
fn place(table: &Table<'_>, key: &'static str, otherwise: u8) -> (Option<Place>, u8) {
    let place = table.get("prefix", value::place);
    let length = table.get(key, value::octet(1..=64));
    if table.has("prefix") && length.is_some() {
        let problem = "stands beside prefix, which has a length of its own";
        table.wrong(key, Wrong::new(problem, "leave one of the two out"));
    }
    let own = place.map(|place| place.length);
    (place, own.or(length).unwrap_or(otherwise))
}

fn limits(table: &Table<'_>) -> Limits {
    let default = Limits::default();
    let limits = Limits {
        preferred: limit(table, "preferred-lifetime").unwrap_or(default.preferred),
        valid: limit(table, "valid-lifetime").unwrap_or(default.valid),
    };
    lifetimes(table, limits.preferred, limits.valid);
    limits
}
