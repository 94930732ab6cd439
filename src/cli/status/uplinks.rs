//! Uplinks: their routers, addresses and leases.

use crate::cli::page::{Page, Paint, bar, lifetime, lifetimes, span};
use crate::core::status::{
    LeaseStatus, PrefixStatus, RegisteredStatus, RegistrationStatus, RouterStatus, UplinkStatus,
};
use crate::wire::ndp_option::Preference;

/// The column in which values begin.
const VALUES: usize = 13;
/// The state of a requesting router that requests nothing.
const IDLE: &str = "down";

/// Writes one.
pub(super) fn write(page: &mut Page, name: &str, uplink: &UplinkStatus) {
    page.title(&format!("uplink {name}"));
    if !uplink.attached {
        page.item(2, Paint::Bad, "link", VALUES, "cannot send");
    }
    for router in &uplink.routers {
        write_router(page, router);
    }
    if uplink.routers.is_empty() {
        page.item(2, Paint::Warn, "router", VALUES, "none is heard");
    }
    for address in &uplink.addresses {
        let tentative = if address.tentative { ", tentative" } else { "" };
        let lifetimes = lifetimes(address.preferred, address.valid);
        let text = format!("{}, {lifetimes}{tentative}", address.address);
        page.item(2, Paint::Plain, "address", VALUES, &text);
    }
    // A host, and an uplink without `delegate`, ask for nothing.
    if uplink.state == IDLE && uplink.leases.is_empty() {
        return;
    }
    let server = uplink.server.as_deref().map(|server| format!(", server {server}"));
    let renewal = uplink.renewal.map(|seconds| format!(", renewed in {}", span(seconds)));
    let text =
        format!("{}{}{}", uplink.state, renewal.unwrap_or_default(), server.unwrap_or_default());
    page.item(2, Paint::Plain, "delegation", VALUES, &text);
    for lease in &uplink.leases {
        write_lease(page, lease);
    }
    if let Some(registration) = &uplink.registration {
        write_registration(page, registration);
    }
    if !uplink.passed_on.is_empty() {
        page.item(2, Paint::Plain, "passed on", VALUES, &uplink.passed_on.join(", "));
    }
}

fn write_router(page: &mut Page, router: &RouterStatus) {
    let default = match router.lifetime {
        Some(0) => "no default router".to_owned(),
        seconds => format!("default router for {}", lifetime(seconds)),
    };
    let preference = match router.preference {
        Preference::Low => ", low preference",
        Preference::Medium => "",
        Preference::High => ", high preference",
    };
    let text = format!("{}, {default}{preference}", router.address);
    page.item(2, Paint::Plain, "router", VALUES, &text);
    for prefix in &router.prefixes {
        let PrefixStatus { prefix, condition, preferred, valid, .. } = prefix;
        let (paint, text) = match condition.as_str() {
            "preferred" => (Paint::Plain, format!("{prefix}, {}", lifetimes(*preferred, *valid))),
            condition => {
                (Paint::Faint, format!("{prefix}, {condition}, valid {}", lifetime(*valid)))
            }
        };
        page.line(VALUES, paint, &text);
    }
}

/// Writes the addresses that are registered with a DHCPv6 server; nothing where it does not support
/// that.
fn write_registration(page: &mut Page, registration: &RegistrationStatus) {
    for one in &registration.addresses {
        let RegisteredStatus { address, acknowledged, under_way, refresh } = one;
        let (paint, text) = match (acknowledged, under_way) {
            (true, _) => (Paint::Plain, "acknowledged"),
            (false, true) => (Paint::Plain, "not acknowledged yet"),
            (false, false) => (Paint::Warn, "not acknowledged, the server does not answer"),
        };
        let refresh = refresh.map(|seconds| format!(", refreshed in {}", span(seconds)));
        let text = format!("{address}, {text}{}", refresh.unwrap_or_default());
        page.item(2, paint, "registered", VALUES, &text);
    }
}

fn write_lease(page: &mut Page, lease: &LeaseStatus) {
    let LeaseStatus { iaid, prefix, exclude, preferred, valid, given_for, gone } = lease;
    let exclude = exclude.map(|part| format!(", without {part}")).unwrap_or_default();
    if *gone {
        let text = format!("{prefix} (IAID {iaid}), over");
        page.item(2, Paint::Faint, "lease", VALUES, &text);
        return;
    }
    let text = format!("{prefix} (IAID {iaid}){exclude}");
    page.item(2, Paint::Good, "lease", VALUES, &text);
    let left = lifetimes(*preferred, *valid);
    match (valid, given_for) {
        (Some(valid), Some(whole)) => {
            let bar = bar(preferred.unwrap_or(u32::MAX), *valid, *whole);
            page.line(VALUES, Paint::Plain, &format!("{bar} {left}"));
        }
        (None, _) | (_, None) => page.line(VALUES, Paint::Plain, &left),
    }
}
