//! Single values of the file: from TOML to their types, or an error with the remedy.

use std::net::{Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use ipnet::Ipv6Net;
use toml::Spanned;
use toml::de::DeValue;

use super::{
    AddressMode, InterfaceId, Layout, Listen, OnChange, OnStop, Place, PlaceNumber, Program,
    RelaySources, Resolver, ResolverTarget, Role, Scheduling, SearchList, Source,
};
use crate::wire::dhcpv6_option::{Duid, Iaid};
use crate::wire::domain::encode_names;
use crate::wire::ndp_option::Preference;

const DAY: u64 = 24 * 60 * 60;

/// What is wrong with a value.
pub(super) struct Wrong {
    pub(super) problem: String,
    pub(super) remedy: String,
}

impl Wrong {
    pub(super) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }

    fn kind(value: &DeValue<'_>, remedy: &str) -> Self {
        Self::new(format!("{} is not what belongs here", value.type_str()), remedy)
    }
}

/// A value, or its error.
pub(super) type Read<T> = Result<T, Wrong>;

/// Reads text with `meaning`, which gives none where it is wrong.
fn text<T>(
    value: &DeValue<'_>,
    what: &str,
    remedy: &str,
    meaning: impl Fn(&str) -> Option<T>,
) -> Read<T> {
    let text = value.as_str().ok_or_else(|| Wrong::kind(value, remedy))?;
    meaning(text).ok_or_else(|| Wrong::new(format!("{text:?} is {what}"), remedy))
}

pub(super) fn boolean(value: &DeValue<'_>) -> Read<bool> {
    value.as_bool().ok_or_else(|| Wrong::kind(value, "write true or false"))
}

/// A whole number within `range`.
pub(super) fn number(range: RangeInclusive<i64>) -> impl Fn(&DeValue<'_>) -> Read<i64> {
    move |value| {
        let remedy = format!("write a number from {} to {}", range.start(), range.end());
        let integer = value.as_integer().ok_or_else(|| Wrong::kind(value, &remedy))?;
        i64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| Wrong::new(format!("{} is out of range", integer.as_str()), remedy))
    }
}

pub(super) fn iaid(value: &DeValue<'_>) -> Read<Iaid> {
    let number = number(0..=i64::from(u32::MAX))(value)?;
    Ok(Iaid(u32::try_from(number).unwrap_or(u32::MAX)))
}

pub(super) fn octet(range: RangeInclusive<u8>) -> impl Fn(&DeValue<'_>) -> Read<u8> {
    move |value| {
        let number = number(i64::from(*range.start())..=i64::from(*range.end()))(value)?;
        Ok(u8::try_from(number).unwrap_or(u8::MAX))
    }
}

/// A duration within `range`, in the units that everybody reads the same.
pub(super) fn duration(range: RangeInclusive<Duration>) -> impl Fn(&DeValue<'_>) -> Read<Duration> {
    move |value| {
        let [least, most] =
            [range.start(), range.end()].map(|end| humantime::format_duration(*end).to_string());
        let remedy = format!("write a duration from {least} to {most}, for instance \"90s\"");
        let found = text(value, "no duration that is read here", &remedy, |text| {
            // "M" is months there, and months have no length that a lifetime could have.
            let is_plain = !text.contains('M') && !text.contains("month") && !text.contains('y');
            humantime::parse_duration(text).ok().filter(|_| is_plain)
        })?;
        if range.contains(&found) {
            Ok(found)
        } else {
            let found = humantime::format_duration(found);
            Err(Wrong::new(format!("{found} is out of range"), remedy))
        }
    }
}

/// A duration that is counted in whole seconds on the wire.
pub(super) fn whole_seconds(range: RangeInclusive<u64>) -> impl Fn(&DeValue<'_>) -> Read<Duration> {
    move |value| {
        let ends = Duration::from_secs(*range.start())..=Duration::from_secs(*range.end());
        let found = duration(ends)(value)?;
        if found.subsec_nanos() == 0 {
            Ok(found)
        } else {
            Err(Wrong::new("is counted in whole seconds", "leave out what is less than a second"))
        }
    }
}

/// A pause, up to a day.
pub(super) fn pause(value: &DeValue<'_>) -> Read<Duration> {
    duration(Duration::ZERO..=Duration::from_secs(DAY))(value)
}

pub(super) fn address(value: &DeValue<'_>) -> Read<Ipv6Addr> {
    text(value, "no IPv6 address", "write one, for instance \"2001:db8::53\"", |text| {
        text.parse().ok().filter(|address: &Ipv6Addr| !address.is_unspecified())
    })
}

pub(super) fn router(value: &DeValue<'_>) -> Read<Ipv6Addr> {
    let remedy = "write the router's address on the link, for instance \"fe80::1\"";
    text(value, "no link-local address", remedy, |text| {
        text.parse().ok().filter(Ipv6Addr::is_unicast_link_local)
    })
}

/// A DHCPv6 server, or a group of them.
pub(super) fn server(value: &DeValue<'_>) -> Read<Ipv6Addr> {
    let remedy =
        "write its address, for instance \"2001:db8::1\", or \"ff05::1:3\" for all of a site";
    text(value, "no server's address", remedy, |text| {
        text.parse()
            .ok()
            .filter(|address: &Ipv6Addr| !address.is_unspecified() && !address.is_loopback())
    })
}

pub(super) fn interface(value: &DeValue<'_>) -> Read<String> {
    let remedy = "write a name that `ip link` shows, for instance \"eth0\"";
    text(value, "no interface's name", remedy, |text| is_interface(text).then(|| text.to_owned()))
}

/// Whether an interface can have this name.
pub(super) fn is_interface(name: &str) -> bool {
    /// IFNAMSIZ less the final zero, in octets.
    const MOST: usize = 15;
    is_name(name, MOST)
}

/// Whether a name has only allowed characters, and at most `most` octets.
pub(super) fn is_name(name: &str, most: usize) -> bool {
    let is_strange = |letter: char| letter == '/' || letter.is_whitespace() || letter.is_control();
    (1..=most).contains(&name.len()) && !matches!(name, "." | "..") && !name.contains(is_strange)
}

pub(super) fn prefix(value: &DeValue<'_>) -> Read<Ipv6Net> {
    let remedy = "write one, for instance \"2001:db8:1::/48\"";
    let found: Ipv6Net = text(value, "no IPv6 prefix", remedy, |text| text.parse().ok())?;
    if found == found.trunc() {
        return Ok(found);
    }
    let remedy = format!("write \"{}\"", found.trunc());
    Err(Wrong::new(format!("\"{found}\" has bits set beyond its length"), remedy))
}

/// One that a site can have.
pub(super) fn site_prefix(value: &DeValue<'_>) -> Read<Ipv6Net> {
    let found = prefix(value)?;
    let address = found.network();
    let is_unicast = !address.is_multicast()
        && !address.is_unicast_link_local()
        && address.to_ipv4().is_none()
        && found.prefix_len() > 0;
    let remedy = "write one of length 64 or shorter that is yours, for instance \
                  \"2001:db8:1200::/48\"";
    if !is_unicast {
        Err(Wrong::new(format!("\"{found}\" is no prefix that a site can have"), remedy))
    } else if found.prefix_len() > 64 {
        Err(Wrong::new(format!("\"{found}\" has no room for a /64"), remedy))
    } else {
        Ok(found)
    }
}

pub(super) fn next_hop(value: &DeValue<'_>) -> Read<Ipv6Addr> {
    let remedy = "write the router's address on the link, for instance \"fe80::2\"";
    text(value, "no address of a router", remedy, |text| {
        let is_unicast =
            |address: &Ipv6Addr| !address.is_multicast() && address.to_ipv4().is_none();
        text.parse().ok().filter(is_unicast)
    })
}

/// `"on-link"`, `"none"`, or a list of addresses and prefixes.
pub(super) fn relay_sources(value: &DeValue<'_>) -> Read<RelaySources> {
    let remedy = "write \"on-link\", \"none\", or the relay agents' addresses and prefixes, for \
                  instance [\"fe80::2\", \"2001:db8:1::/64\"]";
    let Some(list) = value.as_array() else {
        return text(value, "no choice of relay agents", remedy, |text| match text {
            "on-link" => Some(RelaySources::OnLink),
            "none" => Some(RelaySources::None),
            _ => None,
        });
    };
    if list.is_empty() {
        return Err(Wrong::new(
            "is empty",
            "write \"none\" where no relay agent is to be believed",
        ));
    }
    let item = |item: &Spanned<DeValue<'_>>| {
        text(item.get_ref(), "no address or prefix of a relay agent", remedy, |text| {
            let address = || text.parse::<Ipv6Addr>().map(Ipv6Net::from);
            let prefix: Ipv6Net = text.parse().or_else(|_| address()).ok()?;
            (prefix == prefix.trunc() && !prefix.network().is_multicast()).then_some(prefix)
        })
    };
    list.iter().map(item).collect::<Read<Vec<Ipv6Net>>>().map(RelaySources::Listed)
}

pub(super) fn nat64_prefix(value: &DeValue<'_>) -> Read<Ipv6Net> {
    let found = prefix(value)?;
    if matches!(found.prefix_len(), 96 | 64 | 56 | 48 | 40 | 32) {
        return Ok(found);
    }
    let remedy = "write one of length 96, 64, 56, 48, 40 or 32, for instance \"64:ff9b::/96\"";
    Err(Wrong::new(format!("\"{found}\" has a length that RFC 8781 does not know"), remedy))
}

fn interface_id_of(text: &str) -> Option<InterfaceId> {
    let address = u128::from(text.parse::<Ipv6Addr>().ok()?);
    u64::try_from(address).ok().filter(|id| *id != 0).map(InterfaceId)
}

pub(super) fn interface_id(value: &DeValue<'_>) -> Read<InterfaceId> {
    let remedy = "write the low 64 bits, for instance \"::1\"";
    text(value, "no interface identifier", remedy, interface_id_of)
}

pub(super) fn address_mode(value: &DeValue<'_>) -> Read<AddressMode> {
    let remedy = "write an interface identifier such as \"::2\", or \"eui64\", \"stable\", \
                  \"kernel\" or \"none\"";
    text(value, "no way to make an address", remedy, |text| match text {
        "eui64" => Some(AddressMode::Eui64),
        "stable" => Some(AddressMode::Stable),
        "kernel" => Some(AddressMode::Kernel),
        "none" => Some(AddressMode::None),
        other => interface_id_of(other).map(AddressMode::Fixed),
    })
}

pub(super) fn duid(value: &DeValue<'_>) -> Read<Duid> {
    let remedy = "write its octets as two hexadecimal digits each, parted by colons, for instance \
                  \"00:03:00:01:02:00:5e:00:53:01\"";
    text(value, "no DUID", remedy, |text| text.parse().ok())
}

pub(super) fn link_layer(value: &DeValue<'_>) -> Read<Vec<u8>> {
    /// From Ethernet's to InfiniBand's.
    const LENGTHS: RangeInclusive<usize> = 6..=20;
    let remedy = "write its octets as two hexadecimal digits each, parted by colons, for instance \
                  \"02:00:5e:00:53:01\"";
    let octet = |digits: &str| {
        let is_plain = digits.len() == 2 && digits.chars().all(|digit| digit.is_ascii_hexdigit());
        is_plain.then(|| u8::from_str_radix(digits, 16).ok()).flatten()
    };
    text(value, "no link-layer address", remedy, |text| {
        let octets = text.split(':').map(octet).collect::<Option<Vec<u8>>>()?;
        LENGTHS.contains(&octets.len()).then_some(octets)
    })
}

/// The name of something, whose existence the rules look into.
pub(super) fn name(value: &DeValue<'_>) -> Read<String> {
    text(value, "no name", "write a name", |text| (!text.is_empty()).then(|| text.to_owned()))
}

/// The name of an engine; none for the built-in.
pub(super) fn engine(value: &DeValue<'_>) -> Read<Option<String>> {
    let remedy = "write \"built-in\", a program's name or that of an [engine.NAME]";
    text(value, "no engine", remedy, |text| match text {
        "" => None,
        "built-in" => Some(None),
        name => Some(Some(name.to_owned())),
    })
}

pub(super) fn program(value: &DeValue<'_>) -> Read<Program> {
    let remedy = "write \"dhcpcd\", \"dhcp6c\", \"networkd\", \"command\", \"radvd\", \"rtadvd\", \
                  \"dhcp6s\" or \"kea\"";
    text(value, "no program that is known here", remedy, Program::named)
}

/// An absolute path.
pub(super) fn file(value: &DeValue<'_>) -> Read<String> {
    let remedy = "write the whole path of a file, beginning with a slash";
    text(value, "no whole path", remedy, |text| {
        (text.starts_with('/') && !text.contains('\0')).then(|| text.to_owned())
    })
}

pub(super) fn resolver_target(value: &DeValue<'_>) -> Read<ResolverTarget> {
    let remedy = "write \"auto\", \"resolved\", \"resolvconf\", \"none\", \"/path/of/a/program\" or \
                  \"file:/path/of/a/file\"";
    text(value, "nobody who takes DNS servers", remedy, |text| match text {
        "auto" => Some(ResolverTarget::Auto),
        "resolved" => Some(ResolverTarget::Resolved),
        "resolvconf" => Some(ResolverTarget::Resolvconf),
        "none" => Some(ResolverTarget::Nobody),
        _ if text.contains('\0') => None,
        _ => match text.strip_prefix("file:") {
            Some(file) => file.starts_with('/').then(|| ResolverTarget::File(file.to_owned())),
            None => text.starts_with('/').then(|| ResolverTarget::Program(text.to_owned())),
        },
    })
}

/// One word of a command.
pub(super) fn argument(value: &DeValue<'_>) -> Read<String> {
    text(value, "no word of a command", "write each word as a text of its own", |text| {
        (!text.is_empty() && !text.contains('\0')).then(|| text.to_owned())
    })
}

pub(super) fn on_change(value: &DeValue<'_>) -> Read<OnChange> {
    text(value, "no way to renew", "write \"renew\" or \"restart\"", |text| match text {
        "renew" => Some(OnChange::Renew),
        "restart" => Some(OnChange::Restart),
        _ => None,
    })
}

pub(super) fn role(value: &DeValue<'_>) -> Read<Role> {
    text(value, "no role", "write \"primary\" or \"standby\"", |text| match text {
        "primary" => Some(Role::Primary),
        "standby" => Some(Role::Standby),
        _ => None,
    })
}

/// Where HTTP is spoken: Kea takes no names.
pub(super) fn http_address(value: &DeValue<'_>) -> Read<SocketAddr> {
    let remedy = "write address and port, for instance \"http://[fd00::1]:8001/\"";
    text(value, "no address of a server", remedy, |text| {
        let address = text.strip_prefix("http://")?;
        address.strip_suffix('/').unwrap_or(address).parse().ok()
    })
}

/// An address with a port, or a whole path.
pub(super) fn listen(value: &DeValue<'_>) -> Read<Listen> {
    let remedy =
        "write address and port, for instance \"[::1]:9560\", or the whole path of a socket";
    text(value, "nothing to listen on", remedy, |text| match text.parse() {
        Ok(address) => Some(Listen::Address(address)),
        Err(_) => {
            (text.starts_with('/') && !text.contains('\0')).then(|| Listen::Socket(text.to_owned()))
        }
    })
}

pub(super) fn layout(value: &DeValue<'_>) -> Read<Layout> {
    let remedy = "write \"scattered\" or \"descending\"";
    text(value, "no layout", remedy, |text| match text {
        "scattered" => Some(Layout::Scattered),
        "descending" => Some(Layout::Descending),
        _ => None,
    })
}

pub(super) fn on_stop(value: &DeValue<'_>) -> Read<OnStop> {
    let remedy = "write \"keep\" or \"remove\"";
    text(value, "no way to stop", remedy, |text| match text {
        "keep" => Some(OnStop::Keep),
        "remove" => Some(OnStop::Remove),
        _ => None,
    })
}

pub(super) fn scheduling(value: &DeValue<'_>) -> Read<Scheduling> {
    let remedy = "write \"normal\" or \"fifo\"";
    text(value, "no way to schedule", remedy, |text| match text {
        "normal" => Some(Scheduling::Normal),
        "fifo" => Some(Scheduling::Fifo),
        _ => None,
    })
}

/// Whether a reconnect begins with Solicit.
pub(super) fn on_reconnect(value: &DeValue<'_>) -> Read<bool> {
    let remedy = "write \"rebind\" or \"solicit\"";
    text(value, "no way to begin", remedy, |text| match text {
        "rebind" => Some(false),
        "solicit" => Some(true),
        _ => None,
    })
}

pub(super) fn preference(value: &DeValue<'_>) -> Read<Preference> {
    let remedy = "write \"low\", \"medium\" or \"high\"";
    text(value, "no router preference", remedy, |text| match text {
        "low" => Some(Preference::Low),
        "medium" => Some(Preference::Medium),
        "high" => Some(Preference::High),
        _ => None,
    })
}

pub(super) fn resolver(value: &DeValue<'_>) -> Read<Resolver> {
    let remedy = "write \"self\", \"uplink\" or an address such as \"2001:db8::53\"";
    text(value, "no DNS server", remedy, |text| match text {
        "self" => Some(Resolver::Own),
        "uplink" => Some(Resolver::Uplink),
        other => {
            let address: Ipv6Addr = other.parse().ok()?;
            (!address.is_unspecified() && !address.is_multicast())
                .then_some(Resolver::Address(address))
        }
    })
}

pub(super) fn search_list(value: &DeValue<'_>) -> Read<SearchList> {
    let remedy = "write \"uplink\" or a domain such as \"example.org\"";
    text(value, "no search domain", remedy, |text| match text {
        "uplink" => Some(SearchList::Uplink),
        other => {
            let name = other.strip_suffix('.').unwrap_or(other).to_owned();
            encode_names(std::slice::from_ref(&name)).ok().map(|_| SearchList::Name(name))
        }
    })
}

/// A URI, as far as it has to be known here: what fits into its option and has no spaces.
pub(super) fn uri(value: &DeValue<'_>) -> Read<String> {
    /// 255 units of 8 octets, less type and length.
    const MOST: usize = 255 * 8 - 2;
    let remedy = "write one, for instance \"https://portal.example.org/\"";
    text(value, "no URI", remedy, |text| {
        let is_plain = text.bytes().all(|octet| octet.is_ascii_graphic());
        (is_plain && text.contains(':') && text.len() <= MOST).then(|| text.to_owned())
    })
}

/// `tap0`, `tap0/1`, or the name of a static prefix.
pub(super) fn source(value: &DeValue<'_>) -> Read<Source> {
    let remedy = "write an uplink, uplink and IAID as in \"tap0/1\", or a static prefix's name";
    text(value, "no delegation", remedy, |text| match text.split_once('/') {
        None => Some(Source { uplink: text.to_owned(), iaid: None }),
        Some((uplink, iaid)) => {
            let iaid = Some(Iaid(iaid.parse().ok()?));
            Some(Source { uplink: uplink.to_owned(), iaid })
        }
    })
}

/// `0x3/64` or `-1/64`.
pub(super) fn place(value: &DeValue<'_>) -> Read<Place> {
    let remedy = "write NUMBER/LENGTH with a length of at most 64, for instance \"0x3/64\", or \
                  \"-1/64\" for the highest";
    text(value, "no place in a delegated prefix", remedy, |text| {
        let (count, length) = text.split_once('/')?;
        let length = length.parse::<u8>().ok().filter(|length| (1..=64).contains(length))?;
        let (digits, is_high) = match count.strip_prefix('-') {
            Some(digits) => (digits, true),
            None => (count, false),
        };
        let (digits, radix) = match digits.strip_prefix("0x") {
            Some(digits) => (digits, 16),
            None => (digits, 10),
        };
        // Parsing a number allows a sign; one has been taken off.
        if !digits.chars().all(|digit| digit.is_digit(radix)) {
            return None;
        }
        let number = u64::from_str_radix(digits, radix).ok()?;
        let exists = u128::from(number) < 1_u128 << length;
        match (is_high, number) {
            (true, 0) => None,
            (true, number) => Some(PlaceNumber::High(number)),
            (false, number) => Some(PlaceNumber::Low(number)),
        }
        .filter(|_| exists)
        .map(|number| Place { number, length })
    })
}
