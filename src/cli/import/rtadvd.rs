//! FreeBSD's rtadvd.conf(5): what is advertised on which link, in the form of termcap(5).

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::rc::Rc;
use std::time::Duration;

use ipnet::Ipv6Net;

use super::draft::{Draft, Feed, Id, Kind, Origin, duration, excerpt, quoted};
use super::prefixes::{self, Lifetime};
use super::wrong;
use crate::config::ConfigError;

/// rtadvd's lifetimes of a prefix, in seconds.
const DEFAULTS: (&str, u64, u64) = ("rtadvd", 604_800, 2_592_000);
/// How many entries one may consist of.
const MOST_REFERENCES: usize = 32;

/// The value of a capability.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Value {
    /// `name`
    Flag,
    /// `name#1`
    Number(u64),
    /// `name="text"`
    Text(String),
    /// `name@`
    Absent,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Capability {
    value: Value,
    origin: Origin,
}

/// An entry: its names, and its capabilities by name.
#[derive(Clone, Debug)]
struct Record {
    names: Vec<String>,
    origin: Origin,
    capabilities: BTreeMap<String, Capability>,
    /// Entries that fill in what it does not say, in their order.
    others: Vec<(String, Origin)>,
}

/// Reads the file into `draft`.
pub(super) fn import(draft: &mut Draft, file: &Rc<str>, text: &str) -> Result<(), ConfigError> {
    let records = records(file, text)?;
    for record in &records {
        let mut left = MOST_REFERENCES;
        let whole = resolve(record, &records, &mut left)?;
        for name in &record.names {
            if name == "default" {
                let why = "an entry that others refer to; interfaces that only rtadvd's command \
                           line names are written as [downlink.INTERFACE]";
                draft.leave_out(&record.origin, name, why);
                continue;
            }
            draft.check_room(&record.origin)?;
            interface(draft, name, record, &whole)?;
        }
    }
    Ok(())
}

/// The octets of an entry with the line of each.
struct Text {
    letters: Vec<(char, usize)>,
    line: usize,
}

/// Entries, each of which may go over several lines that end with a backslash.
fn records(file: &Rc<str>, text: &str) -> Result<Vec<Record>, ConfigError> {
    let mut records = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        if line.trim().is_empty() || line.trim_start().starts_with('#') {
            continue;
        }
        let mut whole = Text { letters: Vec::new(), line: number + 1 };
        let mut next = Some((number, line));
        while let Some((number, line)) = next {
            let line = line.trim_end();
            let part = line.strip_suffix('\\');
            let letters = part.unwrap_or(line).chars();
            whole.letters.extend(letters.map(|letter| (letter, number + 1)));
            next = part.and_then(|_| lines.next());
        }
        records.push(record(file, &whole)?);
    }
    Ok(records)
}

/// Fields are parted by colons that stand in no quotation.
fn fields(file: &Rc<str>, text: &Text) -> Result<Vec<(String, Origin)>, ConfigError> {
    let origin = |line: usize| Origin { file: Rc::clone(file), line };
    let mut fields = Vec::new();
    let (mut field, mut line, mut quoted_at) = (String::new(), text.line, None);
    let mut letters = text.letters.iter();
    while let Some(&(letter, at)) = letters.next() {
        if field.trim().is_empty() {
            line = at;
        }
        match letter {
            '"' if quoted_at.is_some() => quoted_at = None,
            '"' => quoted_at = Some(at),
            '\\' => field.extend(letters.next().map(|(letter, _)| *letter)),
            ':' if quoted_at.is_none() => {
                fields.push((std::mem::take(&mut field).trim().to_owned(), origin(line)));
            }
            letter => field.push(letter),
        }
    }
    if let Some(at) = quoted_at {
        let problem = "a quotation is not closed before its entry ends";
        return Err(wrong(&origin(at), problem, "a double quote at its end"));
    }
    fields.push((field.trim().to_owned(), origin(line)));
    Ok(fields)
}

fn record(file: &Rc<str>, text: &Text) -> Result<Record, ConfigError> {
    let mut fields = fields(file, text)?.into_iter();
    let origin = Origin { file: Rc::clone(file), line: text.line };
    let names = fields.next().map(|(names, _)| names).unwrap_or_default();
    let names: Vec<String> = names
        .split('|')
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect();
    if names.is_empty() {
        let expected = "a line that begins with the interface's name, `NAME:\\`";
        return Err(wrong(&origin, "an entry has no name", expected));
    }
    let mut record = Record { names, origin, capabilities: BTreeMap::new(), others: Vec::new() };
    for (field, origin) in fields.filter(|(field, _)| !field.is_empty()) {
        let (name, value) = capability(&field, &origin)?;
        match (name.as_str(), value) {
            ("tc", Value::Text(other)) => record.others.push((other, origin)),
            // As getcap(3) has it, the first of two counts.
            (_, value) => {
                record.capabilities.entry(name).or_insert(Capability { value, origin });
            }
        }
    }
    Ok(record)
}

fn capability(field: &str, origin: &Origin) -> Result<(String, Value), ConfigError> {
    if let Some(name) = field.strip_suffix('@') {
        return Ok((name.to_owned(), Value::Absent));
    }
    let Some(at) = field.find(['#', '=']) else { return Ok((field.to_owned(), Value::Flag)) };
    let (name, value) = field.split_at(at);
    let value = match value.strip_prefix('=') {
        Some(text) => Value::Text(text.to_owned()),
        None => {
            let digits = value.trim_start_matches('#');
            let number = match (digits.strip_prefix("0x"), digits.strip_prefix('0')) {
                (Some(hex), _) => u64::from_str_radix(hex, 16),
                (None, Some(octal)) if !octal.is_empty() => u64::from_str_radix(octal, 8),
                (None, _) => digits.parse(),
            };
            Value::Number(number.map_err(|_| {
                let problem = format!("`{}` has no number", excerpt(field));
                wrong(origin, problem, "NAME#NUMBER, for instance rltime#1800")
            })?)
        }
    };
    Ok((name.to_owned(), value))
}

/// The capabilities of an entry with those that `tc` brings.
fn resolve(
    record: &Record,
    records: &[Record],
    left: &mut usize,
) -> Result<BTreeMap<String, Capability>, ConfigError> {
    let mut whole = record.capabilities.clone();
    for (name, origin) in &record.others {
        *left = left.checked_sub(1).ok_or_else(|| {
            let problem = format!("more than {MOST_REFERENCES} entries are referred to");
            wrong(origin, problem, "fewer: does an entry refer to itself?")
        })?;
        let Some(other) = records.iter().find(|other| other.names.contains(name)) else {
            let problem = format!("no entry is called `{}`", excerpt(name));
            return Err(wrong(origin, problem, "the name of an entry of this file"));
        };
        for (name, capability) in resolve(other, records, left)? {
            whole.entry(name).or_insert(capability);
        }
    }
    Ok(whole)
}

type Capabilities = BTreeMap<String, Capability>;

fn interface(
    draft: &mut Draft,
    name: &str,
    record: &Record,
    whole: &Capabilities,
) -> Result<(), ConfigError> {
    let id = (Kind::Downlink, name.to_owned());
    draft.table(&id, &record.origin);
    draft.hint(&id, &record.origin, "advertiser = \"rtadvd\" # keeps rtadvd".to_owned());
    let has =
        |name: &str| whole.get(name).is_some_and(|capability| capability.value != Value::Absent);
    if !has("noifprefix") {
        draft.feed(&id, Feed::Delegated, &record.origin);
    }
    let known = whole.iter().filter(|(_, capability)| capability.value != Value::Absent);
    for (name, capability) in known {
        let (base, suffix) = numbered(name);
        of_capability(draft, &id, base, suffix, capability, whole)?;
    }
    Ok(())
}

/// A name and the number behind it, as in `addr2`.
fn numbered(name: &str) -> (&str, &str) {
    let least = if name.starts_with("pref64") { "pref64".len() } else { 0 };
    let base = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    name.split_at(base.len().max(least))
}

fn of_capability(
    draft: &mut Draft,
    id: &Id,
    base: &str,
    suffix: &str,
    capability: &Capability,
    whole: &Capabilities,
) -> Result<(), ConfigError> {
    let at = &capability.origin;
    let seconds = || number(base, capability).map(Duration::from_secs);
    let millis = || number(base, capability).map(Duration::from_millis);
    match base {
        "maxinterval" => draft.set(id, "max-interval", duration(seconds()?), at),
        "mininterval" => draft.set(id, "min-interval", duration(seconds()?), at),
        "chlim" => draft.set(id, "hop-limit", number(base, capability)?.to_string(), at),
        "rltime" => draft.set(id, "router-lifetime", duration(seconds()?), at),
        "rtime" => draft.set(id, "reachable-time", duration(millis()?), at),
        "retrans" => draft.set(id, "retrans-timer", duration(millis()?), at),
        "raflags" => header_flags(draft, id, capability)?,
        "mtu" => mtu(draft, id, capability)?,
        "addr" => prefix(draft, id, suffix, capability, whole)?,
        "rtprefix" | "rtrprefix" => route(draft, id, suffix, capability, whole)?,
        "rdnss" => list(draft, id, "rdnss", capability)?,
        "dnssl" => list(draft, id, "dnssl", capability)?,
        "pref64" => {
            let length = beside("pref64len", suffix, whole).unwrap_or(96);
            let prefix = net(text(base, capability)?, length, at)?;
            draft.set(id, "pref64", quoted(&prefix.to_string()), at);
        }
        "prefixlen" | "pinfoflags" | "vltime" | "pltime" if !has_prefix(suffix, whole) => {
            defaults(draft, id, base, capability, whole)?;
        }
        // Read with the prefix or route that they belong to.
        "prefixlen" | "pinfoflags" | "vltime" | "pltime" | "rtplen" | "rtrplen" | "pref64len" => {}
        "noifprefix" => {
            if !whole.keys().any(|name| name.starts_with("addr")) {
                let why = "subnets that renumberd configures are always advertised";
                draft.leave_out(at, base, why);
            }
        }
        "vltimedecr" | "pltimedecr" | "clockskew" => {
            draft.leave_out(at, base, "lifetimes follow the lease");
        }
        "rtltime" | "rtrltime" | "rtflags" | "rtrflags" | "rdnssltime" | "dnsslltime"
        | "pref64lifetime" => {
            draft.leave_out(at, base, "lifetime and preference are those of the router");
        }
        _ => draft.leave_out(at, format!("{base}{suffix}"), "it has no key here"),
    }
    Ok(())
}

fn has_prefix(suffix: &str, whole: &Capabilities) -> bool {
    whole.contains_key(&format!("addr{suffix}"))
}

/// What holds for the prefixes of the interface itself.
fn defaults(
    draft: &mut Draft,
    id: &Id,
    base: &str,
    capability: &Capability,
    whole: &Capabilities,
) -> Result<(), ConfigError> {
    match base {
        "pinfoflags" => prefix_flags(draft, id, capability),
        "prefixlen" => {
            draft.leave_out(&capability.origin, base, "it belongs to no prefix");
            Ok(())
        }
        _ => lifetimes(draft, id, "", whole),
    }
}

fn number(name: &str, capability: &Capability) -> Result<u64, ConfigError> {
    match &capability.value {
        // No number on the wire is longer.
        Value::Number(number) if u32::try_from(*number).is_ok() => Ok(*number),
        Value::Number(_) | Value::Text(_) | Value::Flag | Value::Absent => {
            let problem = format!("{} has no number that can be", excerpt(name));
            Err(wrong(&capability.origin, problem, &format!("{name}#NUMBER")))
        }
    }
}

fn text<'a>(name: &str, capability: &'a Capability) -> Result<&'a str, ConfigError> {
    match &capability.value {
        Value::Text(text) => Ok(text),
        Value::Number(_) | Value::Flag | Value::Absent => {
            let problem = format!("{} has no text", excerpt(name));
            Err(wrong(&capability.origin, problem, &format!("{name}=\"TEXT\"")))
        }
    }
}

/// The number `name` with the suffix of what it stands beside.
fn beside(name: &str, suffix: &str, whole: &Capabilities) -> Option<u64> {
    match whole.get(&format!("{name}{suffix}"))?.value {
        Value::Number(number) => Some(number),
        Value::Text(_) | Value::Flag | Value::Absent => None,
    }
}

fn net(text: &str, length: u64, origin: &Origin) -> Result<Ipv6Net, ConfigError> {
    let address: Option<Ipv6Addr> = text.parse().ok();
    let length = u8::try_from(length).ok();
    let found =
        address.zip(length).and_then(|(address, length)| Ipv6Net::new(address, length).ok());
    found.map(|net| net.trunc()).ok_or_else(|| {
        let problem = format!("`{}` is no prefix of the length beside it", excerpt(text));
        wrong(origin, problem, "an address in quotes, and a length up to 128 beside it")
    })
}

/// Letters, or the bits that they stand for.
fn flags(capability: &Capability, letters: &[(char, u64)]) -> Result<u64, ConfigError> {
    match &capability.value {
        Value::Number(number) => Ok(*number),
        Value::Text(text) => {
            let bit = |letter| letters.iter().find(|(known, _)| *known == letter);
            text.chars().try_fold(0, |all, letter| match bit(letter) {
                Some((_, bit)) => Ok(all | bit),
                None => {
                    let known: String = letters.iter().map(|(letter, _)| *letter).collect();
                    let problem = format!("`{}` has a flag that is unknown", excerpt(text));
                    Err(wrong(&capability.origin, problem, &format!("letters of \"{known}\"")))
                }
            })
        }
        Value::Flag | Value::Absent => {
            Err(wrong(&capability.origin, "flags have no value", "a number, or letters in quotes"))
        }
    }
}

fn header_flags(draft: &mut Draft, id: &Id, capability: &Capability) -> Result<(), ConfigError> {
    let bits = flags(capability, &[('m', 0x80), ('o', 0x40), ('h', 0x08), ('l', 0x18)])?;
    let at = &capability.origin;
    draft.set(id, "managed", (bits & 0x80 != 0).to_string(), at);
    if bits & 0x40 != 0 {
        draft.set(id, "other", "true".to_owned(), at);
    }
    match bits & 0x18 {
        0x08 => draft.set(id, "preference", quoted("high"), at),
        0x18 => draft.set(id, "preference", quoted("low"), at),
        _ => {}
    }
    Ok(())
}

fn prefix_flags(draft: &mut Draft, id: &Id, capability: &Capability) -> Result<(), ConfigError> {
    let bits = flags(capability, &[('l', 0x80), ('a', 0x40)])?;
    draft.set(id, "on-link", (bits & 0x80 != 0).to_string(), &capability.origin);
    draft.set(id, "autonomous", (bits & 0x40 != 0).to_string(), &capability.origin);
    Ok(())
}

fn mtu(draft: &mut Draft, id: &Id, capability: &Capability) -> Result<(), ConfigError> {
    let at = &capability.origin;
    if matches!(&capability.value, Value::Text(text) if text == "auto") {
        draft.leave_out(at, "mtu=\"auto\"", "an MTU is advertised where `mtu` names it");
        return Ok(());
    }
    match number("mtu", capability)? {
        0 => {} // stands for none
        mtu => draft.set(id, "mtu", mtu.to_string(), at),
    }
    Ok(())
}

fn lifetimes(
    draft: &mut Draft,
    id: &Id,
    suffix: &str,
    whole: &Capabilities,
) -> Result<(), ConfigError> {
    let [preferred, valid] = given_lifetimes(suffix, whole)?;
    prefixes::lifetimes(draft, id, preferred.as_ref(), valid.as_ref(), DEFAULTS);
    Ok(())
}

fn given_lifetimes(
    suffix: &str,
    whole: &Capabilities,
) -> Result<[Option<Lifetime>; 2], ConfigError> {
    let lifetime = |name: &str| -> Result<Option<Lifetime>, ConfigError> {
        let Some(capability) = whole.get(&format!("{name}{suffix}")) else { return Ok(None) };
        if capability.value == Value::Absent {
            return Ok(None);
        }
        let seconds = number(name, capability)?;
        let seconds = Some(seconds).filter(|seconds| *seconds != u64::from(u32::MAX));
        Ok(Some(Lifetime { seconds, origin: capability.origin.clone() }))
    };
    Ok([lifetime("pltime")?, lifetime("vltime")?])
}

fn prefix(
    draft: &mut Draft,
    id: &Id,
    suffix: &str,
    capability: &Capability,
    whole: &Capabilities,
) -> Result<(), ConfigError> {
    let at = &capability.origin;
    let length = beside("prefixlen", suffix, whole).unwrap_or(64);
    let prefix = net(text("addr", capability)?, length, at)?;
    if given_lifetimes(suffix, whole)?.iter().flatten().any(Lifetime::is_zero) {
        let why = "it is withdrawn or deprecated, which renumberd does by itself";
        draft.leave_out(at, format!("addr{suffix} {prefix}"), why);
        return Ok(());
    }
    prefixes::feed(draft, id, "subnet", prefix, at);
    if let Some(flags) = whole.get(&format!("pinfoflags{suffix}")) {
        prefix_flags(draft, id, flags)?;
    }
    lifetimes(draft, id, suffix, whole)
}

fn route(
    draft: &mut Draft,
    id: &Id,
    suffix: &str,
    capability: &Capability,
    whole: &Capabilities,
) -> Result<(), ConfigError> {
    let length = beside("rtplen", suffix, whole).or_else(|| beside("rtrplen", suffix, whole));
    let at = &capability.origin;
    let prefix = net(text("rtprefix", capability)?, length.unwrap_or(64), at)?;
    draft.push(id, "routes", quoted(&prefix.to_string()), at);
    Ok(())
}

fn list(
    draft: &mut Draft,
    id: &Id,
    key: &'static str,
    capability: &Capability,
) -> Result<(), ConfigError> {
    for item in text(key, capability)?.split(',').map(str::trim).filter(|item| !item.is_empty()) {
        draft.push(id, key, quoted(item), &capability.origin);
    }
    Ok(())
}
