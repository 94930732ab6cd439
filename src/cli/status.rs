//! `renumberd status`: the agent's state as text for people.

use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::core::delegate::BindingStatus;
use crate::core::engine::Post;
use crate::core::relay::{RelayStatus, RelayedStatus};
use crate::core::stage::Prefixes;
use crate::core::stage::Stage;
use crate::core::status::{ChangeStatus, DownlinkStatus, Status, UplinkStatus};

/// Renders `status`.
pub fn render(status: &Status) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut text, status);
    text
}

fn write(text: &mut String, status: &Status) -> fmt::Result {
    for (name, uplink) in &status.uplinks {
        write_uplink(text, name, uplink)?;
    }
    for (name, downlink) in &status.downlinks {
        write_downlink(text, name, downlink)?;
    }
    for (name, prefixes) in &status.statics {
        writeln!(text, "static {name} {}", list(prefixes))?;
    }
    for binding in &status.bindings {
        write_binding(text, binding)?;
    }
    for (name, relay) in &status.relays {
        write_relay(text, name, relay)?;
    }
    for engine in &status.engines {
        let Post { job, interface } = &engine.post;
        let version = engine.version.as_deref().map(|text| format!(" {text}")).unwrap_or_default();
        let (program, state) = (&engine.program, engine.state);
        writeln!(text, "{job} {interface} is {program}{version}: {state}")?;
    }
    if !status.conditions.is_empty() {
        writeln!(text, "to mend")?;
        for condition in &status.conditions {
            let subject = match condition.subject.as_str() {
                "" => String::new(),
                subject => format!(" {subject}"),
            };
            writeln!(text, "  {}{subject}: {}", condition.name, condition.text)?;
        }
    }
    if !status.changes.is_empty() {
        writeln!(text, "changes")?;
        for change in &status.changes {
            write_change(text, change)?;
        }
    }
    if !status.counters.is_empty() {
        writeln!(text, "dropped packets")?;
        for (reason, count) in &status.counters {
            writeln!(text, "  {reason}: {count}")?;
        }
    }
    if let Some((reason, seconds)) = &status.next {
        writeln!(text, "next: {reason} in {}", span(*seconds))?;
    }
    Ok(())
}

fn write_uplink(text: &mut String, name: &str, uplink: &UplinkStatus) -> fmt::Result {
    writeln!(text, "uplink {name}{}", if uplink.attached { "" } else { " (cannot send)" })?;
    for router in &uplink.routers {
        writeln!(text, "  router {}, default for {}", router.address, lifetime(router.lifetime))?;
        for prefix in &router.prefixes {
            let (preferred, valid) = (lifetime(prefix.preferred), lifetime(prefix.valid));
            let (prefix, condition) = (prefix.prefix, &prefix.condition);
            writeln!(text, "    {prefix} {condition}, preferred {preferred}, valid {valid}")?;
        }
    }
    for address in &uplink.addresses {
        let (preferred, valid) = (lifetime(address.preferred), lifetime(address.valid));
        let tentative = if address.tentative { ", tentative" } else { "" };
        let address = address.address;
        writeln!(text, "  address {address}, preferred {preferred}, valid {valid}{tentative}")?;
    }
    let server = uplink.server.as_deref().unwrap_or("nobody yet");
    writeln!(text, "  delegation {}, from {server}", uplink.state)?;
    for lease in &uplink.leases {
        let (preferred, valid) = (lifetime(lease.preferred), lifetime(lease.valid));
        let (iaid, prefix) = (lease.iaid, lease.prefix);
        if lease.gone {
            writeln!(text, "    {prefix} (IAID {iaid}) gone")?;
        } else {
            writeln!(text, "    {prefix} (IAID {iaid}), preferred {preferred}, valid {valid}")?;
        }
    }
    if !uplink.passed_on.is_empty() {
        writeln!(text, "    passed on to hosts: {}", uplink.passed_on.join(", "))?;
    }
    Ok(())
}

fn write_downlink(text: &mut String, name: &str, downlink: &DownlinkStatus) -> fmt::Result {
    let attached = if downlink.attached { "" } else { " (cannot send)" };
    let router = match downlink.router_lifetime {
        0 => "not a default router".to_owned(),
        seconds => format!("default router for {}", span(f64::from(seconds))),
    };
    writeln!(text, "downlink {name}{attached}: {router}")?;
    for told in &downlink.advertised {
        let prefix = told.prefix;
        if told.valid == 0 {
            writeln!(text, "  {prefix} withdrawn")?;
        } else {
            let (preferred, valid) = (lifetime(Some(told.preferred)), lifetime(Some(told.valid)));
            writeln!(text, "  {prefix} advertised, preferred {preferred}, valid {valid}")?;
        }
    }
    Ok(())
}

fn write_binding(text: &mut String, binding: &BindingStatus) -> fmt::Result {
    let BindingStatus { downlink, duid, iaid, next_hop, .. } = binding;
    let names = binding.names.join(" ");
    let notified = if binding.calling { ", notified, has not renewed yet" } else { "" };
    writeln!(text, "delegated to {names} on {downlink} via {next_hop}{notified}")?;
    writeln!(text, "  DUID {duid}, IAID {iaid}")?;
    for told in &binding.prefixes {
        let (preferred, valid) = (lifetime(told.preferred), lifetime(told.valid));
        let prefix = told.prefix;
        match told.state.as_str() {
            "given" => writeln!(text, "  {prefix} given, preferred {preferred}, valid {valid}")?,
            "withdrawn" => writeln!(text, "  {prefix} withdrawn, kept from others for {valid}")?,
            "held-elsewhere" => {
                writeln!(text, "  {prefix} reserved for it, but another router may still hold it")?;
            }
            "due" => writeln!(text, "  {prefix} reserved for it, given when it asks next")?,
            state => writeln!(text, "  {prefix} {state}")?,
        }
    }
    Ok(())
}

fn write_relay(text: &mut String, name: &str, relay: &RelayStatus) -> fmt::Result {
    writeln!(text, "relay {name}{}", if relay.attached { "" } else { " (hears nobody)" })?;
    for lease in &relay.leases {
        let (preferred, valid) = (lifetime(lease.preferred), lifetime(lease.valid));
        let RelayedStatus { client, iaid, prefix, next_hop, .. } = lease;
        writeln!(text, "  {prefix} via {next_hop}, preferred {preferred}, valid {valid}")?;
        writeln!(text, "    DUID {client}, IAID {iaid}")?;
    }
    Ok(())
}

fn write_change(text: &mut String, change: &ChangeStatus) -> fmt::Result {
    let cause = serde_json::to_value(change.cause).unwrap_or_default();
    let cause = cause.as_str().unwrap_or_default().to_owned();
    let (number, uplink) = (change.number, &change.uplink);
    writeln!(text, "  {number}: {} ago, {cause} on {uplink}", span(change.age.floor()))?;
    let Prefixes { on_link, delegated } = &change.from;
    for (what, from, to) in
        [("on-link", on_link, &change.to.on_link), ("delegated", delegated, &change.to.delegated)]
    {
        if from != to {
            writeln!(text, "     {what} {} -> {}", list(from), list(to))?;
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
        .filter_map(|(stage, word)| Some(format!("{word} {:.3} ms", change.stages.get(stage)?)))
        .collect();
    if reached.is_empty() { Ok(()) } else { writeln!(text, "     {}", reached.join(", ")) }
}

fn list(prefixes: &[ipnet::Ipv6Net]) -> String {
    if prefixes.is_empty() {
        return "none".to_owned();
    }
    prefixes.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn lifetime(seconds: Option<u32>) -> String {
    seconds.map_or_else(|| "for ever".to_owned(), |seconds| span(f64::from(seconds)))
}

fn span(seconds: f64) -> String {
    let span = Duration::try_from_secs_f64(seconds).unwrap_or_default();
    humantime::format_duration(Duration::from_millis(
        u64::try_from(span.as_millis()).unwrap_or(u64::MAX),
    ))
    .to_string()
}
