//! The parts of each prefix with their holders: links, subordinate routers, and routers behind the
//! relay agent.

use std::collections::BTreeMap;

use ipnet::Ipv6Net;

use super::{in_natural_order, natural};
use crate::cli::page::{Page, Paint, lifetime, lifetimes, span};
use crate::core::delegate::{BindingStatus, DelegationStatus};
use crate::core::status::{AdvertisedStatus, Status};

/// The longest column of names, and of prefixes behind it.
const NAMES: usize = 18;
const PREFIXES: usize = 26;

/// A part of a prefix.
struct Part {
    holder: String,
    prefix: Ipv6Net,
    paint: Paint,
    text: String,
}

/// Writes the state of downlinks.
pub(super) fn write_downlinks(page: &mut Page, status: &Status) {
    if status.downlinks.is_empty() {
        return;
    }
    page.title("downlinks");
    for (name, downlink) in in_natural_order(&status.downlinks) {
        let (paint, text) = match downlink.router_lifetime {
            _ if !downlink.attached => (Paint::Bad, "cannot send, nobody hears of a router".into()),
            0 => (Paint::Plain, "no default router".to_owned()),
            seconds => (Paint::Plain, format!("default router for {}", span(f64::from(seconds)))),
        };
        page.item(2, paint, name, 13, &text);
    }
}

/// The parts of each prefix, in natural order of their holders.
pub(super) fn write(page: &mut Page, status: &Status) {
    let sources = sources(status);
    let mut of_source: BTreeMap<Option<Ipv6Net>, Vec<Part>> = BTreeMap::new();
    for part in parts(status) {
        let around = sources.keys().filter(|source| source.contains(&part.prefix));
        of_source
            .entry(around.max_by_key(|source| source.prefix_len()).copied())
            .or_default()
            .push(part);
    }
    if of_source.is_empty() && status.statics.is_empty() && status.binding_summary.is_none() {
        return;
    }
    page.title("plan");
    for (source, about) in &sources {
        let parts = of_source.remove(&Some(*source)).unwrap_or_default();
        page.line(2, Paint::Plain, &format!("{source} {about}"));
        write_parts(page, parts);
    }
    if let Some(parts) = of_source.remove(&None) {
        page.line(2, Paint::Faint, "of prefixes before them");
        write_parts(page, parts);
    }
    if let Some(summary) = &status.binding_summary {
        let text = format!(
            "{} bindings of subordinate routers: {} prefixes given, {} reserved, {} withdrawn; to \
             list them: renumberd status --bindings",
            summary.bindings, summary.given, summary.reserved, summary.withdrawn
        );
        page.line(2, Paint::Plain, &text);
    }
}

/// The prefixes that are carved.
fn sources(status: &Status) -> BTreeMap<Ipv6Net, String> {
    let mut sources = BTreeMap::new();
    for (uplink, about) in &status.uplinks {
        for lease in &about.leases {
            let over = if lease.gone { ", over" } else { "" };
            sources.insert(lease.prefix, format!("from {uplink}, IAID {}{over}", lease.iaid));
        }
    }
    for (name, prefixes) in &status.statics {
        for prefix in prefixes {
            sources.insert(*prefix, format!("static {name}"));
        }
    }
    sources
}

fn parts(status: &Status) -> Vec<Part> {
    let links = status.downlinks.iter().flat_map(|(name, downlink)| {
        downlink.advertised.iter().map(|advertised| of_link(name, advertised))
    });
    let bindings = status.bindings.iter().flat_map(|binding| {
        binding.prefixes.iter().map(|delegation| of_binding(binding, delegation))
    });
    let mut parts: Vec<Part> = links.chain(bindings).collect();
    parts.sort_by(|one, other| {
        natural(&one.holder, &other.holder).then_with(|| one.prefix.cmp(&other.prefix))
    });
    parts
}

fn of_link(name: &str, advertised: &AdvertisedStatus) -> Part {
    let AdvertisedStatus { prefix, preferred, valid } = *advertised;
    let (paint, text) = match (preferred, valid) {
        (_, 0) => (Paint::Faint, "withdrawn".to_owned()),
        (0, valid) => (Paint::Faint, lifetimes(Some(0), Some(valid))),
        (preferred, valid) => (Paint::Good, lifetimes(Some(preferred), Some(valid))),
    };
    Part { holder: name.to_owned(), prefix, paint, text }
}

fn of_binding(binding: &BindingStatus, delegation: &DelegationStatus) -> Part {
    let DelegationStatus { prefix, preferred, valid, state } = delegation;
    let (paint, text) = match state.as_str() {
        "given" => (Paint::Good, lifetimes(*preferred, *valid)),
        "withdrawn" => {
            let kept = lifetime(*valid);
            (Paint::Faint, format!("withdrawn, kept from others for {kept}"))
        }
        "held-elsewhere" => (Paint::Warn, "reserved, another router may still hold it".to_owned()),
        "reserved" => (Paint::Warn, "reserved, given when its router asks next".to_owned()),
        state => (Paint::Plain, state.to_owned()),
    };
    let notified = if binding.notified { ", notified, has not renewed yet" } else { "" };
    let router =
        format!("{} via {} on {}", short(&binding.duid), binding.next_hop, binding.downlink);
    let text = format!("{text}{notified}; {router}");
    Part { holder: binding.names.join(" "), prefix: *prefix, paint, text }
}

/// A DUID as it fits into a line: its type, and the octets in which DUIDs of one type differ most.
fn short(duid: &str) -> String {
    let (head, tail) = (duid.get(..8), duid.len().checked_sub(8).and_then(|at| duid.get(at..)));
    match (head, tail) {
        (Some(head), Some(tail)) if duid.len() > 24 => format!("{head}...{tail}"),
        _ => duid.to_owned(),
    }
}

fn write_parts(page: &mut Page, parts: Vec<Part>) {
    let widest = |of: fn(&Part) -> usize| parts.iter().map(of).max().unwrap_or(0);
    let names = widest(|part| part.holder.chars().count()).min(NAMES);
    let prefixes = widest(|part| part.prefix.to_string().len()).min(PREFIXES);
    for Part { holder, prefix, paint, text } in parts {
        let head = format!("{holder:names$}  {prefix}");
        page.item(4, paint, &head, 4 + names + 2 + prefixes + 2, &text);
    }
}

/// Writes the prefixes that were delegated by way of this machine.
pub(super) fn write_relays(page: &mut Page, status: &Status, most: usize) {
    for (name, relay) in in_natural_order(&status.relays) {
        page.title(&format!("relay {name}"));
        if !relay.attached {
            page.item(2, Paint::Bad, "link", 13, "hears nobody");
        }
        if relay.leases.len() > most {
            let text =
                format!("{} leases; to list them: renumberd status --bindings", relay.leases.len());
            page.line(2, Paint::Plain, &text);
            continue;
        }
        for lease in &relay.leases {
            let lifetimes = lifetimes(lease.preferred, lease.valid);
            let head = format!("{} via {}", lease.prefix, lease.next_hop);
            let text = format!("{lifetimes}; DUID {}, IAID {}", lease.client, lease.iaid);
            page.item(2, Paint::Good, &head, 0, &text);
        }
    }
}
