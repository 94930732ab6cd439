//! The settings of the article's `dhcpcd.enter-hook`: a DIST block of what subordinate routers get,
//! DO_ switches, and names of packet filter tables. "Using IPv6 Dynamic GU Addresses in Nested
//! Subnets" describes them in its section 5.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::rc::Rc;
use std::time::Duration;

use super::draft::{Draft, Feed, Kind, Origin, duration, excerpt, quoted, root};
use super::shell::{self, Line};
use super::wrong;
use crate::config::ConfigError;
use crate::wire::dhcpv6_option::Duid;

/// Lengths of which the article's script makes prefixes, three of each.
const LENGTHS: [u8; 4] = [58, 60, 62, 64];
const OF_EACH_LENGTH: u8 = 3;

/// Settings and why they have no key.
const WITHOUT_KEY: [(&str, &str); 10] = [
    ("DO_ROUTES", "what is delegated is always routed"),
    ("DO_DHCP6S", "the built-in delegating router does it"),
    ("DHCPSCFG", "the built-in delegating router needs no file"),
    ("RENEW_ON_RA", "a change that an advertisement shows always renews the lease"),
    ("DO_IPFWTBL", "packet filter sets have no key yet"),
    (
        "SLA_MAX",
        "packet filter sets have no key yet; IAIDs stand this many bits up in their values",
    ),
    ("TBL_DGET", "packet filter sets have no key yet; this one holds what was delegated to here"),
    ("TBL_DPUT", "packet filter sets have no key yet; this one holds what is delegated onward"),
    ("TBL_UPLK", "packet filter sets have no key yet; this one holds the uplink's prefixes"),
    ("TBL_BASE", "packet filter sets have no key yet; this one holds this router's addresses"),
];

/// Reads the settings into `draft`.
pub(super) fn import(draft: &mut Draft, file: &Rc<str>, text: &str) -> Result<(), ConfigError> {
    let lines = shell::read(file, text)?;
    let mut settings = BTreeMap::new();
    let mut others: Option<(Origin, usize)> = None;
    for line in lines {
        match line {
            Line::Assignment { name, value, origin } => {
                settings.insert(name, (value, origin));
            }
            Line::Other { text, origin } if text.starts_with(". ") => {
                draft.leave_out(&origin, text, "renumberd does what that code did");
            }
            Line::Other { origin, .. } => match &mut others {
                Some((_, count)) => *count += 1,
                None => others = Some((origin, 1)),
            },
        }
    }
    if let Some((origin, count)) = others {
        let why = "only assignments are read";
        draft.leave_out(&origin, format!("{count} lines from here on"), why);
    }
    let Some((dist, origin)) = settings.get("DIST") else {
        let origin = Origin { file: Rc::clone(file), line: text.lines().count().max(1) };
        let problem = "nothing in the file sets DIST";
        return Err(wrong(&origin, problem, "DIST='…' with what subordinate routers get"));
    };
    asked(draft, &settings)?;
    distribution(draft, &settings, dist, origin)?;
    translation(draft, &settings)?;
    rest(draft, &settings);
    Ok(())
}

type Settings = BTreeMap<String, (String, Origin)>;

/// Whether a switch is on; the script's are 1, or empty or 0.
fn is_on(settings: &Settings, name: &str) -> bool {
    settings.get(name).is_some_and(|(value, _)| !matches!(value.trim(), "" | "0"))
}

/// IAIDs: what is asked of the provider.
fn asked(draft: &mut Draft, settings: &Settings) -> Result<(), ConfigError> {
    let Some((value, origin)) = settings.get("IAIDs") else { return Ok(()) };
    for word in value.split_whitespace() {
        draft.asked.push((number(word, origin, "IAIDs")?, origin.clone()));
    }
    Ok(())
}

fn number<T: std::str::FromStr>(
    word: &str,
    origin: &Origin,
    field: &str,
) -> Result<T, ConfigError> {
    word.parse().map_err(|_| {
        let problem = format!("`{}` is no number that {field} can have", excerpt(word));
        wrong(origin, problem, "a decimal number")
    })
}

/// What a `default` or `host` says, each with its line.
#[derive(Clone, Default)]
struct Fields {
    of: BTreeMap<&'static str, (String, Origin)>,
}

const FIELDS: [&str; 9] = [
    "interface",
    "controlport",
    "route",
    "from_iaid",
    "iaid",
    "prefixlen",
    "time",
    "expiry",
    "duid",
];

/// A `host` of the DIST block.
struct Host {
    name: String,
    origin: Origin,
    fields: Fields,
}

impl Host {
    fn get(&self, field: &str) -> Option<(&str, &Origin)> {
        self.fields.of.get(field).map(|(value, origin)| (value.as_str(), origin))
    }

    fn need(&self, field: &str) -> Result<(&str, &Origin), ConfigError> {
        self.get(field).ok_or_else(|| {
            let problem = format!("host {} has no {field}", excerpt(&self.name));
            wrong(&self.origin, problem, &format!("`{field} …` below it or below `default`"))
        })
    }
}

/// The hosts, each with what `default` says before it.
fn hosts(dist: &str, origin: &Origin) -> Result<Vec<Host>, ConfigError> {
    let mut hosts: Vec<Host> = Vec::new();
    let mut default = Fields::default();
    let mut is_default = true;
    for (number, line) in dist.split('\n').enumerate() {
        let at = Origin { file: Rc::clone(&origin.file), line: origin.line + number };
        let line = line.split('#').next().unwrap_or_default();
        let mut words = line.split_whitespace();
        let Some(first) = words.next() else { continue };
        let second = words.next();
        match (first, second) {
            ("default", None) => is_default = true,
            ("host", Some(name)) => {
                is_default = false;
                hosts.push(Host { name: name.to_owned(), origin: at, fields: default.clone() });
            }
            (field, Some(value)) => {
                let Some(field) = FIELDS.iter().find(|known| **known == field) else {
                    let problem = format!("`{}` is no field of DIST", excerpt(field));
                    return Err(wrong(&at, problem, &format!("one of {}", FIELDS.join(", "))));
                };
                let fields = match hosts.last_mut() {
                    Some(host) if !is_default => &mut host.fields,
                    Some(_) | None => &mut default,
                };
                fields.of.insert(field, (value.to_owned(), at));
            }
            (word, None) => {
                let problem = format!("`{}` stands alone", excerpt(word));
                return Err(wrong(&at, problem, "`default`, `host NAME` or `FIELD VALUE`"));
            }
        }
    }
    Ok(hosts)
}

fn distribution(
    draft: &mut Draft,
    settings: &Settings,
    dist: &str,
    origin: &Origin,
) -> Result<(), ConfigError> {
    let hosts = hosts(dist, origin)?;
    if hosts.is_empty() {
        return Ok(());
    }
    let note = "places from the high end, as the article has them";
    draft.set_with(&root(), "layout", quoted("descending"), origin, note.to_owned());
    let is_served = is_on(settings, "DO_DHCP6S") || !settings.contains_key("DO_DHCP6S");
    let mut counts: BTreeMap<u8, u8> = BTreeMap::new();
    let mut names: BTreeMap<&str, usize> = BTreeMap::new();
    hosts.iter().for_each(|host| *names.entry(&host.name).or_default() += 1);
    let links = hosts.iter().map(|host| host.need("interface").map(|(link, _)| link));
    let mut links = links.collect::<Result<Vec<&str>, _>>()?;
    links.dedup();
    for host in &hosts {
        draft.check_room(&host.origin)?;
        let (link, at) = host.need("interface")?;
        downlink(draft, host, link, at, links.first() == Some(&link));
        if !is_served {
            let what = format!("host {}", host.name);
            draft.leave_out(&host.origin, what, "DO_DHCP6S is off: others delegate to it");
            continue;
        }
        let is_several = names.get(host.name.as_str()).is_some_and(|count| *count > 1);
        delegation(draft, host, link, is_several, &mut counts)?;
    }
    Ok(())
}

/// The link that a host is on.
fn downlink(draft: &mut Draft, host: &Host, link: &str, at: &Origin, is_first: bool) {
    let id = (Kind::Downlink, link.to_owned());
    draft.table(&id, at);
    if is_first {
        let note = "the link is the highest /64, as the article has it";
        draft.suggest(&id, "subnet", quoted("-1/64"), at, note);
    }
    let port = host.get("controlport").map(|(port, origin)| {
        format!(", reached at its control port {} ({origin})", excerpt(port))
    });
    let port = port.unwrap_or_default();
    draft.hint(&id, at, format!("delegator = \"dhcp6s\" # keeps dhcp6s{port}"));
    draft.hint(&id, at, "advertiser = \"rtadvd\" # keeps rtadvd".to_owned());
}

fn delegation(
    draft: &mut Draft,
    host: &Host,
    link: &str,
    is_several: bool,
    counts: &mut BTreeMap<u8, u8>,
) -> Result<(), ConfigError> {
    let (duid, duid_at) = host.need("duid")?;
    if duid.parse::<Duid>().is_err() {
        let problem = format!("`{}` is no DUID", excerpt(duid));
        return Err(wrong(duid_at, problem, "two hexadecimal digits an octet, as in 00:04:e4:79"));
    }
    let iaid = host.get("iaid").map(|(iaid, at)| Ok((number::<u32>(iaid, at, "iaid")?, at)));
    let iaid = iaid.transpose()?;
    let name = match iaid {
        Some((iaid, _)) if is_several => format!("{}-{iaid}", host.name),
        Some(_) | None => host.name.clone(),
    };
    let id = (Kind::Delegation, draft.free_name(Kind::Delegation, &name));
    draft.table(&id, &host.origin);
    draft.set(&id, "downlink", quoted(link), host.need("interface")?.1);
    draft.set(&id, "duid", quoted(duid), duid_at);
    if let Some((iaid, at)) = iaid {
        draft.set(&id, "iaid", iaid.to_string(), at);
    }
    place(draft, host, &id, counts)?;
    if let Some((route, at)) = host.get("route") {
        next_hop(draft, &id, route, at, link)?;
    }
    if let Some((time, at)) = host.get("time").or_else(|| host.get("expiry")) {
        let time = duration(Duration::from_secs(number(time, at, "time")?));
        draft.set(&id, "preferred-lifetime", time.clone(), at);
        draft.set(&id, "valid-lifetime", time, at);
    }
    let feed = match host.get("from_iaid") {
        Some((iaid, at)) => (Feed::Iaid(None, number(iaid, at, "from_iaid")?), at),
        None => (Feed::Delegated, &host.origin),
    };
    draft.feed(&id, feed.0, feed.1);
    Ok(())
}

/// Where the script puts the prefix: the first of a length next to the highest.
fn place(
    draft: &mut Draft,
    host: &Host,
    id: &(Kind, String),
    counts: &mut BTreeMap<u8, u8>,
) -> Result<(), ConfigError> {
    let (length, at) = match host.get("prefixlen") {
        Some((length, at)) => (number::<u8>(length, at, "prefixlen")?, at),
        None => (64, &host.origin),
    };
    if !(1..=64).contains(&length) {
        let problem = format!("{length} is no length of a delegated prefix");
        return Err(wrong(at, problem, "a number from 1 to 64"));
    }
    let count = counts.entry(length).or_default();
    *count = count.saturating_add(1);
    if LENGTHS.contains(&length) && *count <= OF_EACH_LENGTH {
        let note = format!("number {count} of this length");
        draft.set_with(id, "prefix", quoted(&format!("-{}/{length}", *count + 1)), at, note);
    } else {
        let note = "the script makes three each of /58, /60, /62 and /64; this one lies where there is room";
        draft.set_with(id, "length", length.to_string(), at, note.to_owned());
    }
    Ok(())
}

/// `fe80::2%vtnet0`
fn next_hop(
    draft: &mut Draft,
    id: &(Kind, String),
    route: &str,
    at: &Origin,
    link: &str,
) -> Result<(), ConfigError> {
    let (address, zone) = route.split_once('%').map_or((route, link), |(a, zone)| (a, zone));
    if address.parse::<Ipv6Addr>().is_err() {
        let problem = format!("`{}` is no address", excerpt(route));
        return Err(wrong(at, problem, "the next hop, for instance fe80::2%vtnet0"));
    }
    if zone == link {
        draft.set(id, "next-hop", quoted(address), at);
    } else {
        let why = format!("the next hop is on another link than {link}, where the router asks");
        draft.leave_out(at, format!("route {route}"), why);
    }
    Ok(())
}

/// DO_NPTV6 and DELEG_: the interfaces whose addresses show the kernel what to translate to.
fn translation(draft: &mut Draft, settings: &Settings) -> Result<(), ConfigError> {
    let Some((names, origin)) = settings.get("DO_NPTV6") else { return Ok(()) };
    for name in names.split_whitespace().filter(|name| *name != "0") {
        draft.leave_out(
            origin,
            format!("translation by the address of {name}"),
            "NPTv6 has no key yet; the interface keeps its address, so the packet filter's own \
             translation goes on",
        );
        let variable = format!("DELEG_{name}");
        let Some((value, at)) = settings.get(&variable) else {
            draft.leave_out(origin, name, format!("nothing sets {}", excerpt(&variable)));
            continue;
        };
        draft.check_room(at)?;
        let id = (Kind::Downlink, name.to_owned());
        let mut parts = value.split('/');
        let mut part = |field: &str| {
            let part = parts.next().filter(|part| !part.is_empty()).ok_or_else(|| {
                let problem = format!("`{}` has no {field}", excerpt(value));
                wrong(at, problem, "IAID/SLA/PREFIXLEN/SUFFIX, for instance 1/1/64/1")
            })?;
            number::<u64>(part, at, field)
        };
        let (iaid, sla) = (part("IAID")?, part("SLA")?);
        let (length, suffix) = (part("prefix length")?, part("suffix")?);
        draft.set(&id, "subnet", quoted(&format!("{sla:#x}/{length}")), at);
        if suffix != 0 {
            draft.set(&id, "address", quoted(&Ipv6Addr::from(u128::from(suffix)).to_string()), at);
        }
        let note = "it only holds the address that NPTv6 looks at";
        draft.set_with(&id, "advertise", "false".to_owned(), at, note.to_owned());
        if let Ok(iaid) = u32::try_from(iaid) {
            draft.feed(&id, Feed::Iaid(None, iaid), at);
        }
    }
    Ok(())
}

/// What has no key.
fn rest(draft: &mut Draft, settings: &Settings) {
    const READ: [&str; 3] = ["IAIDs", "DIST", "DO_NPTV6"];
    for (name, (value, origin)) in settings {
        let is_on = name != "DO_DHCP6S" || is_on(settings, name);
        if READ.contains(&name.as_str()) || name.starts_with("DELEG_") || !is_on {
            continue;
        }
        let why = WITHOUT_KEY.iter().find(|(known, _)| known == name);
        let why = why.map_or("no setting of the article's script", |(_, why)| *why);
        draft.leave_out(origin, format!("{name}={value}"), why);
    }
}
