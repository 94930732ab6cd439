//! radvd.conf(5): what is advertised on which link.

use std::rc::Rc;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::blocks::{self, Statement};
use super::draft::{Draft, Feed, Id, Kind, duration, excerpt, quoted};
use super::prefixes::{self, Lifetime};
use super::{Loader, wrong};
use crate::config::ConfigError;

/// radvd's lifetimes of a prefix, in seconds.
const DEFAULTS: (&str, u64, u64) = ("radvd", 14_400, 86_400);

/// How a value is written, and what key it becomes.
enum Meaning {
    Switch(&'static str),
    Seconds(&'static str),
    Milliseconds(&'static str),
    Number(&'static str),
    Text(&'static str),
    /// No key, and why.
    Nothing(&'static str),
}

/// Options of an interface.
const OPTIONS: [(&str, Meaning); 25] = [
    ("AdvSendAdvert", Meaning::Switch("advertise")),
    ("MaxRtrAdvInterval", Meaning::Seconds("max-interval")),
    ("MinRtrAdvInterval", Meaning::Seconds("min-interval")),
    ("MinDelayBetweenRAs", Meaning::Seconds("min-delay-between-ras")),
    ("AdvManagedFlag", Meaning::Switch("managed")),
    ("AdvOtherConfigFlag", Meaning::Switch("other")),
    ("AdvLinkMTU", Meaning::Number("mtu")),
    ("AdvReachableTime", Meaning::Milliseconds("reachable-time")),
    ("AdvRetransTimer", Meaning::Milliseconds("retrans-timer")),
    ("AdvCurHopLimit", Meaning::Number("hop-limit")),
    ("AdvDefaultLifetime", Meaning::Seconds("router-lifetime")),
    ("AdvDefaultPreference", Meaning::Text("preference")),
    ("AdvRASolicitedUnicast", Meaning::Switch("unicast-answers")),
    ("AdvCaptivePortalAPI", Meaning::Text("captive-portal")),
    ("IgnoreIfMissing", Meaning::Nothing("an interface that is missing is served when it comes")),
    ("AdvSourceLLAddress", Meaning::Nothing("the link-layer address is always advertised")),
    ("UnicastOnly", Meaning::Nothing("links without multicast are not served")),
    ("AdvHomeAgentFlag", Meaning::Nothing(MOBILE)),
    ("AdvHomeAgentInfo", Meaning::Nothing(MOBILE)),
    ("HomeAgentLifetime", Meaning::Nothing(MOBILE)),
    ("HomeAgentPreference", Meaning::Nothing(MOBILE)),
    ("AdvMobRtrSupportFlag", Meaning::Nothing(MOBILE)),
    ("AdvIntervalOpt", Meaning::Nothing(MOBILE)),
    ("AdvLinkMTUFromInterface", Meaning::Nothing("an MTU is advertised where `mtu` names it")),
    ("RemoveAdvOnExit", Meaning::Nothing("a last advertisement is always sent")),
];
const MOBILE: &str = "home agents of Mobile IPv6 are not served";

/// Reads the file into `draft`.
pub(super) fn import(
    draft: &mut Draft,
    file: &Rc<str>,
    text: &str,
    loader: &mut Loader<'_>,
) -> Result<(), ConfigError> {
    for statement in blocks::read(file, text, loader)? {
        if statement.word(0) != "interface" {
            let problem = format!("`{}` stands outside of an interface", statement.text());
            return Err(wrong(&statement.origin, problem, "`interface NAME { … };`"));
        }
        draft.check_room(&statement.origin)?;
        let name = statement.need(1, "`interface NAME {`")?.to_owned();
        interface(draft, &(Kind::Downlink, name), &statement)?;
    }
    Ok(())
}

fn interface(draft: &mut Draft, id: &Id, statement: &Statement) -> Result<(), ConfigError> {
    let at = &statement.origin;
    draft.table(id, at);
    draft.hint(id, at, "advertiser = \"radvd\" # keeps radvd".to_owned());
    let note = "radvd sends none without AdvSendAdvert on";
    for part in &statement.block {
        match part.word(0) {
            "prefix" => prefix(draft, id, part)?,
            "route" => route(draft, id, part)?,
            "RDNSS" => list(draft, id, part, "rdnss")?,
            "DNSSL" => list(draft, id, part, "dnssl")?,
            "nat64prefix" => {
                let found = net(part)?;
                draft.set(id, "pref64", quoted(&found.to_string()), &part.origin);
                ignore(draft, part);
            }
            "clients" | "AdvRASrcAddress" | "abro" | "autoignoreprefixes" => {
                let why = "advertisements go to all of a link, from its link-local address";
                draft.leave_out(&part.origin, part.text(), why);
            }
            _ => option(draft, id, part)?,
        }
    }
    draft.suggest(id, "advertise", "false".to_owned(), at, note);
    Ok(())
}

fn option(draft: &mut Draft, id: &Id, part: &Statement) -> Result<(), ConfigError> {
    let (name, at) = (part.word(0), &part.origin);
    let Some((_, meaning)) = OPTIONS.iter().find(|(known, _)| *known == name) else {
        draft.leave_out(at, part.text(), "no option of radvd that is known here");
        return Ok(());
    };
    match meaning {
        Meaning::Nothing(why) => draft.leave_out(at, part.text(), *why),
        Meaning::Switch(key) => {
            let is_on = switch(part)?;
            draft.set(id, key, is_on.to_string(), at);
        }
        // Zero stands for none.
        Meaning::Number("mtu") if part.word(1) == "0" => {}
        Meaning::Number(key) => {
            let number: u32 = number(part, "a whole number")?;
            draft.set(id, key, number.to_string(), at);
        }
        Meaning::Seconds(key) => draft.set(id, key, duration(time(part, 1.0)?), at),
        Meaning::Milliseconds(key) => draft.set(id, key, duration(time(part, 0.001)?), at),
        Meaning::Text(key) => {
            let text = part.need(1, "a value behind it")?;
            let text = if *key == "preference" { text.to_lowercase() } else { text.to_owned() };
            draft.set(id, key, quoted(&text), at);
        }
    }
    Ok(())
}

fn switch(part: &Statement) -> Result<bool, ConfigError> {
    match part.word(1) {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => {
            let problem = format!("`{}` is neither on nor off", part.text());
            Err(wrong(&part.origin, problem, "on or off"))
        }
    }
}

fn number<T: std::str::FromStr>(part: &Statement, expected: &str) -> Result<T, ConfigError> {
    part.need(1, expected)?.parse().map_err(|_| {
        wrong(&part.origin, format!("`{}` has no number that can be", part.text()), expected)
    })
}

/// A duration: a number of units, each of which lasts `unit` seconds.
fn time(part: &Statement, unit: f64) -> Result<Duration, ConfigError> {
    let count: f64 = number(part, "a number of seconds, or of milliseconds for timers")?;
    // No time on the wire is longer.
    let count = (0.0..=f64::from(u32::MAX)).contains(&count).then_some(count * unit);
    let seconds = count.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    // Fractions are of milliseconds.
    let rounded =
        |time: Duration| Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(0));
    seconds.map(rounded).ok_or_else(|| {
        let problem = format!("`{}` is no time", part.text());
        wrong(&part.origin, problem, "a number of seconds, or of milliseconds for timers")
    })
}

/// Seconds, or `infinity`.
fn lifetime(part: &Statement) -> Result<Lifetime, ConfigError> {
    let seconds = match part.word(1) {
        "infinity" => None,
        _ => Some(number(part, "a number of seconds, or infinity")?),
    };
    Ok(Lifetime { seconds, origin: part.origin.clone() })
}

/// The prefix behind the first word.
fn net(part: &Statement) -> Result<Ipv6Net, ConfigError> {
    let text = part.need(1, "a prefix, for instance 2001:db8:0:1::/64")?;
    let found: Result<Ipv6Net, _> = text.parse();
    found.map(|net| net.trunc()).map_err(|_| {
        let problem = format!("`{}` is no prefix", excerpt(text));
        wrong(&part.origin, problem, "for instance 2001:db8:0:1::/64, or ::/64")
    })
}

fn prefix(draft: &mut Draft, id: &Id, statement: &Statement) -> Result<(), ConfigError> {
    let (prefix, at) = (net(statement)?, &statement.origin);
    let (mut preferred, mut valid) = (None, None);
    for part in &statement.block {
        match part.word(0) {
            "AdvValidLifetime" => valid = Some(lifetime(part)?),
            "AdvPreferredLifetime" => preferred = Some(lifetime(part)?),
            _ => {}
        }
    }
    if [&preferred, &valid].into_iter().flatten().any(Lifetime::is_zero) {
        let why = "it is withdrawn or deprecated, which renumberd does by itself";
        draft.leave_out(at, format!("prefix {prefix}"), why);
        return Ok(());
    }
    for part in &statement.block {
        match part.word(0) {
            "AdvValidLifetime" | "AdvPreferredLifetime" => {}
            "AdvOnLink" => draft.set(id, "on-link", switch(part)?.to_string(), &part.origin),
            "AdvAutonomous" => draft.set(id, "autonomous", switch(part)?.to_string(), &part.origin),
            "Base6Interface" => {
                let why = "renumberd carves the prefix that is delegated on an uplink";
                draft.leave_out(&part.origin, part.text(), why);
            }
            "Base6to4Interface" => {
                draft.leave_out(&part.origin, part.text(), "6to4 is not supported (RFC 7526)");
                return Ok(());
            }
            "DeprecatePrefix" | "DecrementLifetimes" => {
                let why = "lifetimes follow the lease, and what is withdrawn is advertised as such";
                draft.leave_out(&part.origin, part.text(), why);
            }
            _ => {
                let why = "no option of a prefix that has a key here";
                draft.leave_out(&part.origin, part.text(), why);
            }
        }
    }
    // ::/64 stands for whatever the interface has addresses in.
    if prefix.network().is_unspecified() {
        draft.feed(id, Feed::Delegated, at);
    } else {
        prefixes::feed(draft, id, "subnet", prefix, at);
    }
    prefixes::lifetimes(draft, id, preferred.as_ref(), valid.as_ref(), DEFAULTS);
    Ok(())
}

fn route(draft: &mut Draft, id: &Id, part: &Statement) -> Result<(), ConfigError> {
    let found = net(part)?;
    draft.push(id, "routes", quoted(&found.to_string()), &part.origin);
    ignore(draft, part);
    Ok(())
}

fn list(
    draft: &mut Draft,
    id: &Id,
    part: &Statement,
    key: &'static str,
) -> Result<(), ConfigError> {
    part.need(1, "at least one behind it")?;
    for word in part.words.iter().skip(1) {
        draft.push(id, key, quoted(&word.text), &word.origin);
    }
    ignore(draft, part);
    Ok(())
}

/// What stands in the block of a route, resolver or search list.
fn ignore(draft: &mut Draft, statement: &Statement) {
    for part in &statement.block {
        let why = "lifetime and preference are those of the router";
        draft.leave_out(&part.origin, part.text(), why);
    }
}
