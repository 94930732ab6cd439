//! The last changes, the newest first.

use ipnet::Ipv6Net;

use crate::cli::page::{Page, Paint, span};
use crate::core::stage::Stage;
use crate::core::status::ChangeStatus;

/// How many are shown.
const SHOWN: usize = 5;
/// The column in which values begin.
const VALUES: usize = 13;

/// Writes them.
pub(super) fn write(page: &mut Page, changes: &[ChangeStatus]) {
    if changes.is_empty() {
        return;
    }
    page.title("last changes");
    for change in changes.iter().rev().take(SHOWN) {
        write_one(page, change);
    }
    if let Some(earlier) = changes.len().checked_sub(SHOWN).filter(|earlier| *earlier > 0) {
        page.line(2, Paint::Faint, &format!("and {earlier} before: renumberd status --json"));
    }
}

fn write_one(page: &mut Page, change: &ChangeStatus) {
    let age = span(change.age.floor());
    let text = format!("{age} ago on {}: {}", change.uplink, change.cause);
    page.item(2, Paint::Plain, &format!("change {}", change.number), VALUES, &text);
    let (from, to) = (&change.from, &change.to);
    for (what, from, to) in
        [("on-link", &from.on_link, &to.on_link), ("delegated", &from.delegated, &to.delegated)]
    {
        if from != to {
            page.line(VALUES, Paint::Plain, &format!("{what} {} -> {}", list(from), list(to)));
        }
    }
    let stages = [
        (Stage::Asked, "asked"),
        (Stage::Delegated, "answered"),
        (Stage::Applied, "applied"),
        (Stage::Advertised, "advertised"),
    ];
    let reached: Vec<String> = stages
        .iter()
        .filter_map(|(stage, word)| Some(format!("{word} {:.1} ms", change.stages.get(stage)?)))
        .collect();
    if !reached.is_empty() {
        page.line(VALUES, Paint::Faint, &reached.join(", "));
    }
}

fn list(prefixes: &[Ipv6Net]) -> String {
    if prefixes.is_empty() {
        return "none".to_owned();
    }
    prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}
