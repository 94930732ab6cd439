//! What has to hold between the parts of a configuration.

use super::value::Wrong;
use super::{Config, Downlink, Place, PlaceNumber};

/// Longest name of an interface, in octets (IFNAMSIZ less the final zero).
const MAX_NAME: usize = 15;

/// What is wrong with a configuration whose values are right one by one.
pub(super) struct Finding {
    /// The key, from the top.
    pub(super) path: Vec<String>,
    pub(super) wrong: Wrong,
}

impl Finding {
    fn new(path: &[&str], problem: String, remedy: impl Into<String>) -> Self {
        let path = path.iter().map(|&key| key.to_owned()).collect();
        Self { path, wrong: Wrong::new(problem, remedy) }
    }
}

/// Everything that is wrong.
pub(super) fn check(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    names(config, &mut findings);
    sources(config, &mut findings);
    lengths(config, &mut findings);
    overlaps(config, &mut findings);
    findings
}

fn names(config: &Config, findings: &mut Vec<Finding>) {
    if config.uplinks.is_empty() && config.downlinks.is_empty() {
        findings.push(Finding::new(
            &[],
            "names neither an uplink nor a downlink".to_owned(),
            "name the interface towards the provider: [uplink.INTERFACE], or --uplink INTERFACE",
        ));
    }
    let uplinks = config.uplinks.keys().map(|name| ("uplink", name));
    for (kind, name) in uplinks.chain(config.downlinks.keys().map(|name| ("downlink", name))) {
        let is_sound = (1..=MAX_NAME).contains(&name.len())
            && !matches!(name.as_str(), "." | "..")
            && !name.chars().any(|letter| letter == '/' || letter.is_whitespace());
        if !is_sound {
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

/// `from` names a delegation that is asked for.
fn sources(config: &Config, findings: &mut Vec<Finding>) {
    for (name, from) in
        config.downlinks.iter().filter_map(|(name, link)| Some((name, link.from.as_ref()?)))
    {
        let uplink = config.uplinks.get(&from.uplink);
        let exists = uplink.is_some_and(|uplink| {
            from.iaid.is_none_or(|iaid| uplink.delegate.iter().any(|one| one.iaid == iaid))
        });
        if exists {
            continue;
        }
        let known: Vec<String> = config
            .uplinks
            .iter()
            .flat_map(|(name, uplink)| {
                uplink.delegate.iter().map(move |one| format!("\"{name}/{}\"", one.iaid))
            })
            .collect();
        let remedy = match known.as_slice() {
            [] => "ask for a delegation first: [uplink.INTERFACE]".to_owned(),
            known => format!("write {}", known.join(" or ")),
        };
        let problem = format!("no delegation {from} is asked for");
        findings.push(Finding::new(&["downlink", name, "from"], problem, remedy));
    }
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
    let fixed: Vec<(&String, &Downlink, Place)> = config
        .downlinks
        .iter()
        .filter_map(|(name, link)| Some((name, link, link.subnet?)))
        .collect();
    for (position, (name, link, place)) in fixed.iter().enumerate() {
        let earlier = fixed.iter().take(position);
        for (other_name, _, other) in
            earlier.filter(|(_, other, place_of)| share(link, other) && meet(*place, *place_of))
        {
            let problem = format!(
                "\"{place}\" overlaps \"{other}\" of downlink.{other_name}: both are carved from \
                 the same delegation"
            );
            let remedy = "give one of them another number, or tie them to different delegations \
                          with `from`";
            findings.push(Finding::new(&["downlink", name, "subnet"], problem, remedy));
        }
    }
}

/// Whether a delegation can feed both.
fn share(one: &Downlink, other: &Downlink) -> bool {
    match (&one.from, &other.from) {
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
