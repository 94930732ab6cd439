//! A stand-in for rtadvd: reads an entry as that program does, with all that it is careless about.

use std::collections::BTreeSet;
use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;

use renumberd::time::Lifetime;
use renumberd::wire::ndp::RouterAdvertisement;
use renumberd::wire::ndp_option::{NdpOption, Preference, PrefixInformation, RouteInformation};

/// The program's buffer for an entry.
const BUFFER: usize = 1024;

/// What the program would advertise.
#[derive(Debug)]
pub(crate) struct Read {
    pub(crate) advertisement: RouterAdvertisement,
    pub(crate) running_down: BTreeSet<Ipv6Net>,
    pub(crate) min_interval: Duration,
    pub(crate) max_interval: Duration,
}

/// An entry, its continued lines joined.
struct Entry(Vec<u8>);

impl Entry {
    /// The entry of this name; cut off where it is too long, as there.
    fn find(text: &str, name: &str) -> Option<Self> {
        let joined = text.replace("\\\n", "");
        let mut lines = joined.lines().filter(|line| !line.starts_with('#'));
        let line = lines.find(|line| {
            line.split(':').next().is_some_and(|names| names.split('|').any(|own| own == name))
        })?;
        Some(Self(line.bytes().take(BUFFER).collect()))
    }

    /// What stands behind each colon, within quotation marks too, up to the end of the entry.
    fn fields(&self) -> impl Iterator<Item = &[u8]> {
        let colons = self.0.iter().enumerate().filter(|(_, octet)| **octet == b':');
        colons.map(|(at, _)| &self.0[at + 1..]).filter(|field| !field.is_empty())
    }

    /// What follows `id` in the first field that begins with it and goes on with `mark`.
    fn after(&self, id: &str, mark: u8) -> Option<&[u8]> {
        let mut rests = self.fields().filter_map(|field| field.strip_prefix(id.as_bytes()));
        rests.find_map(|rest| rest.strip_prefix(&[mark]))
    }

    fn number(&self, id: &str) -> Option<i64> {
        let digits = self.after(id, b'#')?;
        let base = if digits.first() == Some(&b'0') { 8 } else { 10 };
        let digits = digits.iter().take_while(|octet| octet.is_ascii_digit());
        Some(digits.fold(0, |number, digit| number * base + i64::from(digit - b'0')))
    }

    fn flag(&self, id: &str) -> bool {
        let mut rests = self.fields().filter_map(|field| field.strip_prefix(id.as_bytes()));
        rests.any(|rest| matches!(rest.first(), None | Some(b':')))
    }

    fn text(&self, id: &str) -> Option<String> {
        let value = self.after(id, b'=')?;
        let (value, end) = match value.strip_prefix(b"\"") {
            Some(quoted) => (quoted, b'"'),
            None => (value, b':'),
        };
        let value: Vec<u8> = value.iter().copied().take_while(|octet| *octet != end).collect();
        String::from_utf8(value).ok()
    }

    /// The numbered names of a field that are there, the bare one first.
    fn numbered(&self, id: &str) -> Vec<(String, String)> {
        let suffixes = std::iter::once(String::new()).chain((0..100).map(|n| n.to_string()));
        suffixes.filter_map(|suffix| Some((self.text(&format!("{id}{suffix}"))?, suffix))).collect()
    }
}

/// Reads the file as the program on a link with this MTU would.
///
/// # Errors
///
/// What the program would complain of.
pub(crate) fn read(file: &str, interface: &str, link_mtu: u32) -> Result<Read, String> {
    let entry = Entry::find(file, interface).ok_or("no entry: defaults")?;
    if !entry.flag("noifprefix") {
        return Err("prefixes of the interface for 30 days".to_owned());
    }
    let max = within(entry.number("maxinterval").unwrap_or(600), 4, 1800, "maxinterval")?;
    let min = entry.number("mininterval").unwrap_or(max / 3);
    let min = within(min, 3, max * 3 / 4, "mininterval")?;
    let flags = within(entry.number("raflags").unwrap_or(0), 0, 255, "raflags")?;
    let router_lifetime = entry.number("rltime").unwrap_or(max * 3);
    if router_lifetime != 0 {
        within(router_lifetime, max, 9000, "rltime")?;
    }
    let mut options = Vec::new();
    if !entry.flag("nolladdr") {
        options.push(NdpOption::SourceLinkLayer(vec![0; 6]));
    }
    let mut running_down = BTreeSet::new();
    for (address, n) in entry.numbered("addr") {
        let prefix = prefix_information(&entry, &address, &n)?;
        let (valid, preferred) = ("vltimedecr", "pltimedecr");
        if entry.flag(&format!("{valid}{n}")) && entry.flag(&format!("{preferred}{n}")) {
            running_down.insert(prefix.prefix);
        }
        options.push(NdpOption::Prefix(prefix));
    }
    let mtu = entry.number("mtu").unwrap_or(0);
    if mtu != 0 {
        let mtu = within(mtu, 1280, link_mtu.into(), "mtu")?;
        options.push(NdpOption::Mtu(mtu.try_into().unwrap()));
    }
    for (address, n) in entry.numbered("rtprefix") {
        options.push(NdpOption::Route(route(&entry, &address, &n, router_lifetime)?));
    }
    for (servers, n) in entry.numbered("rdnss") {
        let servers = servers.split(',').map(|server| server.parse::<Ipv6Addr>());
        let servers = servers.collect::<Result<_, _>>().map_err(|error| error.to_string())?;
        let lifetime = list_lifetime(&entry, &format!("rdnssltime{n}"), max)?;
        options.push(NdpOption::Rdnss { lifetime, servers });
    }
    for (names, n) in entry.numbered("dnssl") {
        let names = names.split(',').map(str::to_owned).collect();
        let lifetime = list_lifetime(&entry, &format!("dnsslltime{n}"), max)?;
        options.push(NdpOption::Dnssl { lifetime, names });
    }
    let advertisement = RouterAdvertisement {
        hop_limit: entry.number("chlim").unwrap_or(64).try_into().unwrap(),
        managed: flags & 0x80 != 0,
        other: flags & 0x40 != 0,
        snac_router: false,
        preference: preference(flags)?,
        router_lifetime: router_lifetime.try_into().unwrap(),
        reachable_time: seconds(within(entry.number("rtime").unwrap_or(0), 0, 3_600_000, "rtime")?),
        retrans_timer: seconds(entry.number("retrans").unwrap_or(0)),
        options,
    };
    let interval = |seconds: i64| Duration::from_secs(seconds.unsigned_abs());
    let (min_interval, max_interval) = (interval(min), interval(max));
    Ok(Read { advertisement, running_down, min_interval, max_interval })
}

fn prefix_information(entry: &Entry, address: &str, n: &str) -> Result<PrefixInformation, String> {
    let length = entry.number(&format!("prefixlen{n}")).unwrap_or(64);
    let flags = entry.number(&format!("pinfoflags{n}")).unwrap_or(0xc0);
    let valid = entry.number(&format!("vltime{n}")).ok_or("30 days")?;
    let preferred = entry.number(&format!("pltime{n}")).ok_or("7 days")?;
    Ok(PrefixInformation {
        prefix: net(address, length)?,
        on_link: flags & 0x80 != 0,
        autonomous: flags & 0x40 != 0,
        delegation_preferred: false,
        valid: Lifetime::from_wire(seconds(valid)),
        preferred: Lifetime::from_wire(seconds(preferred.min(valid))),
    })
}

fn route(
    entry: &Entry,
    address: &str,
    n: &str,
    router_lifetime: i64,
) -> Result<RouteInformation, String> {
    let length = entry.number(&format!("rtplen{n}")).unwrap_or(64);
    let lifetime = entry.number(&format!("rtltime{n}")).unwrap_or(router_lifetime);
    Ok(RouteInformation {
        prefix: net(address, length)?,
        preference: preference(entry.number(&format!("rtflags{n}")).unwrap_or(0))?,
        lifetime: Lifetime::from_wire(seconds(lifetime)),
    })
}

/// The field is dropped where it lies outside.
fn list_lifetime(entry: &Entry, id: &str, max: i64) -> Result<Lifetime, String> {
    let lifetime = entry.number(id).unwrap_or(max * 3 / 2);
    Ok(Lifetime::from_wire(seconds(within(lifetime, max, max * 2, id)?)))
}

fn within(value: i64, least: i64, most: i64, what: &str) -> Result<i64, String> {
    let inside = (least..=most).contains(&value);
    inside.then_some(value).ok_or_else(|| format!("{what} {value} is not in {least} to {most}"))
}

fn preference(flags: i64) -> Result<Preference, String> {
    match flags & 0x18 {
        0x00 => Ok(Preference::Medium),
        0x08 => Ok(Preference::High),
        0x18 => Ok(Preference::Low),
        _ => Err("reserved preference".to_owned()),
    }
}

fn net(address: &str, length: i64) -> Result<Ipv6Net, String> {
    let address: Ipv6Addr = address.parse().map_err(|_| format!("{address:?} is no address"))?;
    Ipv6Net::new(address, length.try_into().unwrap_or(u8::MAX)).map_err(|error| error.to_string())
}

fn seconds(value: i64) -> u32 {
    value.try_into().unwrap_or_else(|_| panic!("{value} does not fit its field"))
}
