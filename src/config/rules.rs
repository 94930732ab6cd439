//! The rules between the parts of a configuration.

mod client;
mod engine;
mod relay;

use std::collections::BTreeMap;

use super::value::{Wrong, is_interface, is_name};
use super::{Claim, Config, Place, PlaceNumber, Source};

/// The longest name of anything but an interface.
const MAX_NAME: usize = 63;

/// An error of a configuration whose values are right one by one.
pub(super) struct Finding {
    /// The key, from the top.
    pub(super) path: Vec<String>,
    pub(super) wrong: Wrong,
    /// The kinds of tables one of which is not there. Where one of these is unknown or cannot be
    /// read, it may be that one, and the fault is in the table.
    pub(super) lacks: &'static [&'static str],
}

impl Finding {
    fn new(path: &[&str], problem: String, remedy: impl Into<String>) -> Self {
        let path = path.iter().map(|&key| key.to_owned()).collect();
        Self { path, wrong: Wrong::new(problem, remedy), lacks: &[] }
    }

    /// The same, because there is no table of one of these kinds.
    fn for_lack_of(self, lacks: &'static [&'static str]) -> Self {
        Self { lacks, ..self }
    }
}

/// All errors.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    interfaces(config, &mut findings);
    names(config, &mut findings);
    statics(config, &mut findings);
    downlinks(config, &mut findings);
    sources(config, &mut findings);
    lengths(config, &mut findings);
    overlaps(config, &mut findings);
    relay::check(config, &mut findings);
    engine::check(config, &mut findings);
    client::check(config, &mut findings);
    findings
}

fn interfaces(config: &Config, findings: &mut Vec<Finding>) {
    if config.uplinks.is_empty() && config.downlinks.is_empty() && config.relays.is_empty() {
        let problem = "names neither an uplink nor a downlink".to_owned();
        let remedy =
            "name the interface towards the provider: [uplink.INTERFACE], or --uplink INTERFACE";
        let finding = Finding::new(&[], problem, remedy);
        findings.push(finding.for_lack_of(&["uplink", "client", "downlink", "relay"]));
    }
    let uplinks = config.uplinks.keys().map(|name| ("uplink", name));
    let downlinks = config.downlinks.keys().map(|name| ("downlink", name));
    let relays = config.relays.keys().map(|name| ("relay", name));
    for (kind, name) in uplinks.chain(downlinks).chain(relays) {
        if !is_interface(name) {
            let problem = format!("{name:?} can be no interface's name");
            let remedy = "write a name that `ip link` shows, of at most 15 letters";
            findings.push(Finding::new(&[kind, name], problem, remedy));
        }
    }
    for name in config.downlinks.keys().filter(|name| config.uplinks.contains_key(*name)) {
        let problem = format!("{name} is an uplink too");
        let remedy = "leave it out here or there: an interface leads up or down";
        findings.push(Finding::new(&["downlink", name], problem, remedy));
    }
}

/// Status and plan know what is given by its name alone, `from` where it is from.
fn names(config: &Config, findings: &mut Vec<Finding>) {
    let statics = config.statics.keys().map(|name| ("static", name));
    let delegations = config.delegations.keys().map(|name| ("delegation", name));
    let pools = config.pools.keys().map(|name| ("pool", name));
    for (kind, name) in statics.chain(delegations).chain(pools) {
        if !is_name(name, MAX_NAME) {
            let problem = format!("{name:?} can be no name");
            let remedy = "write up to 63 letters without slashes and spaces";
            findings.push(Finding::new(&[kind, name], problem, remedy));
        }
    }
    let remedy = "give one of them another name";
    for name in config.statics.keys().filter(|name| config.uplinks.contains_key(*name)) {
        let problem = format!("{name} is an uplink too");
        findings.push(Finding::new(&["static", name], problem, remedy));
    }
    let mut first = BTreeMap::new();
    for claim in config.claims() {
        if let Some(other) = first.insert(claim.name, claim.claimant) {
            let (kind, name) = (claim.claimant.to_string(), claim.name);
            let problem = format!("{name} is a {other} too");
            findings.push(Finding::new(&[&kind, name], problem, remedy));
        }
    }
}

/// No two static prefixes overlap: both would be carved for the same.
fn statics(config: &Config, findings: &mut Vec<Finding>) {
    let set: Vec<_> =
        config.statics.iter().filter_map(|(name, one)| Some((name, one.prefix?))).collect();
    for (position, (name, prefix)) in set.iter().enumerate() {
        for (other_name, other) in set.iter().take(position) {
            if prefix.contains(other) || other.contains(prefix) {
                let problem = format!("\"{prefix}\" overlaps \"{other}\" of static.{other_name}");
                let remedy = "leave one of them out, or write a prefix beside the other";
                findings.push(Finding::new(&["static", name, "prefix"], problem, remedy));
            }
        }
    }
}

/// Requesting routers are on a link of ours.
fn downlinks(config: &Config, findings: &mut Vec<Finding>) {
    let delegations =
        config.delegations.iter().map(|(name, one)| ("delegation", name, &one.downlink));
    let pools = config.pools.iter().map(|(name, one)| ("pool", name, &one.downlink));
    let known: Vec<String> = config.downlinks.keys().map(|name| format!("\"{name}\"")).collect();
    for (kind, name, downlink) in
        delegations.chain(pools).filter(|(.., link)| !config.downlinks.contains_key(*link))
    {
        let problem = format!("{downlink} is no downlink");
        let remedy = match known.as_slice() {
            [] => format!("name it first: [downlink.{downlink}]"),
            known => format!("write {}, or name it: [downlink.{downlink}]", known.join(" or ")),
        };
        let finding = Finding::new(&[kind, name, "downlink"], problem, remedy);
        findings.push(finding.for_lack_of(&["downlink"]));
    }
    for (name, pool) in &config.pools {
        let size = pool.place.map_or(pool.size, |place| place.length);
        if pool.length < size {
            let problem = format!("a /{} is larger than the pool, a /{size}", pool.length);
            let remedy = format!("write a length from {size} to 64, or a larger pool");
            findings.push(Finding::new(&["pool", name, "length"], problem, remedy));
        }
    }
}

/// `from` names a static prefix, or a delegation that is asked for.
fn sources(config: &Config, findings: &mut Vec<Finding>) {
    for (claim, from) in config.claims().filter_map(|claim| Some((claim, claim.from?))) {
        if exists(config, from) {
            continue;
        }
        let asked = config.uplinks.iter().flat_map(|(name, uplink)| {
            uplink.delegate.iter().map(move |one| format!("\"{name}/{}\"", one.iaid))
        });
        let known: Vec<String> =
            asked.chain(config.statics.keys().map(|name| format!("\"{name}\""))).collect();
        let remedy = match known.as_slice() {
            [] => "ask for a delegation first: [uplink.INTERFACE]".to_owned(),
            known => format!("write {}", known.join(" or ")),
        };
        let problem = format!("no delegation {from} is asked for");
        let kind = claim.claimant.to_string();
        let finding = Finding::new(&[&kind, claim.name, "from"], problem, remedy);
        findings.push(finding.for_lack_of(&["uplink", "client", "static"]));
    }
}

fn exists(config: &Config, from: &Source) -> bool {
    let is_asked = config.uplinks.get(&from.uplink).is_some_and(|uplink| {
        uplink.delegate.iter().any(|one| from.iaid.is_none_or(|iaid| iaid == one.iaid))
    });
    is_asked || (from.iaid.is_none() && config.statics.contains_key(&from.uplink))
}

/// Hosts form addresses in a /64 alone (RFC 4862 §5.5.3).
fn lengths(config: &Config, findings: &mut Vec<Finding>) {
    for (name, link) in &config.downlinks {
        let Some(place) = link.subnet.filter(|place| place.length != 64) else { continue };
        if link.advertise.enabled && link.advertise.autonomous {
            let problem = format!("hosts form no addresses in a /{}", place.length);
            let remedy = "write a /64, or `autonomous = false` beside it";
            findings.push(Finding::new(&["downlink", name, "subnet"], problem, remedy));
        }
    }
}

/// No two fixed places overlap that are counted from the same end. Those from different ends meet
/// in short prefixes alone, which is seen when one comes.
fn overlaps(config: &Config, findings: &mut Vec<Finding>) {
    let with_place = |(position, claim): (usize, _)| Fixed::new(position, claim);
    let mut fixed: Vec<Fixed<'_>> = config.claims().enumerate().filter_map(with_place).collect();
    // A place that contains another one is sorted before it, and all that follow the next one are
    // beside both.
    fixed.sort_by_key(|one| (extent(one.place), one.position));
    let mut around: Vec<&Fixed<'_>> = Vec::new();
    let mut pairs = Vec::new();
    for one in &fixed {
        around.retain(|other| meet(one.place, other.place));
        let sharing = around.iter().filter(|other| share(&one.claim, &other.claim));
        pairs.extend(sharing.map(|other| {
            if other.position < one.position { (one, *other) } else { (*other, one) }
        }));
        around.push(one);
    }
    pairs.sort_by_key(|(later, earlier)| (later.position, earlier.position));
    for (Fixed { claim, place, .. }, Fixed { claim: other, place: other_place, .. }) in pairs {
        let problem = format!(
            "\"{place}\" overlaps \"{other_place}\" of {}.{}: both are carved from the same \
             prefix",
            other.claimant, other.name
        );
        let remedy = "give one of them another number, or tie them to different sources \
                      with `from`";
        let path = [&claim.claimant.to_string(), claim.name, claim.key()];
        findings.push(Finding::new(&path, problem, remedy));
    }
}

/// A claim with a place of its own.
struct Fixed<'a> {
    /// Among all claims.
    position: usize,
    claim: Claim<'a>,
    place: Place,
}

impl<'a> Fixed<'a> {
    fn new(position: usize, claim: Claim<'a>) -> Option<Self> {
        claim.place.map(|place| Self { position, claim, place })
    }
}

/// From which end a place is counted, how many /64 lie before it, and its length.
fn extent(place: Place) -> (bool, u64, u8) {
    let bits = 64_u32.saturating_sub(u32::from(place.length));
    let before = |number: u64| number.checked_shl(bits).unwrap_or(0);
    match place.number {
        PlaceNumber::Low(number) => (false, before(number), place.length),
        PlaceNumber::High(number) => (true, before(number.saturating_sub(1)), place.length),
    }
}

/// Whether a delegation can feed both.
fn share(one: &Claim<'_>, other: &Claim<'_>) -> bool {
    match (one.from, other.from) {
        (Some(one), Some(other)) => {
            one.uplink == other.uplink
                && (one.iaid.is_none() || other.iaid.is_none() || one.iaid == other.iaid)
        }
        (Some(_) | None, Some(_) | None) => true,
    }
}

fn meet(one: Place, other: Place) -> bool {
    let (short, long) = if one.length <= other.length { (one, other) } else { (other, one) };
    let bits = u32::from(long.length - short.length);
    let above = |number: u64| number.checked_shr(bits).unwrap_or(0);
    match (short.number, long.number) {
        (PlaceNumber::Low(short), PlaceNumber::Low(long)) => above(long) == short,
        (PlaceNumber::High(short), PlaceNumber::High(long)) => {
            above(long.saturating_sub(1)) == short.saturating_sub(1)
        }
        (PlaceNumber::Low(_), PlaceNumber::High(_))
        | (PlaceNumber::High(_), PlaceNumber::Low(_)) => false,
    }
}
