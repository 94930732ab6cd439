//! rtadvd, the router advertisement daemon of FreeBSD (13 and 14): its configuration file.
//!
//! One entry in the form of termcap(5) for each interface. What the program does with it, as far as
//! it shapes what is rendered:
//!
//! - An entry that is longer than its buffer of 1024 octets is cut off anywhere. What counts most
//!   comes first here, and what has no room is left out whole.
//! - A quotation mark does not keep it from taking a colon for the end of a field. The groups of an
//!   address so become fields of their own; none reads as a name, for no name is hexadecimal.
//! - A number that begins with 0 is octal.
//! - Prefixes that no entry names it takes from the interface, with lifetimes of 30 and 7 days:
//!   `noifprefix`, and lifetimes with each prefix (BKE-06).
//! - Lifetimes of DNS servers and search domains lie between MaxRtrAdvInterval and twice that, or
//!   their field is dropped. A stale one is left out: the program itself withdraws, as it reloads,
//!   what it advertised before.
//! - As it reloads it advertises the former content three more times, 3 s apart and with Router
//!   Lifetime 0, before the new one.
//! - HUP makes it reload, as `rtadvctl reload` does. rtadvctl (FreeBSD 13 and 14) has no option for
//!   the control socket: it reaches only a program that has the system's, and each downlink has one
//!   of its own here.
//! - It knows neither NAT64 prefixes nor a captive portal, and answers no one by unicast.

use std::fmt::Write as _;
use std::net::Ipv6Addr;

use super::{Omitted, Rendered};
use crate::core::engine::Advertised;
use crate::time::Lifetime;
use crate::wire::ndp_option::{NdpOption, Preference, PrefixInformation, RouteInformation};

/// The longest entry that the program reads whole, in octets, the ends of continued lines aside.
const MAX_ENTRY: usize = 1023;
/// Numbered fields of one kind: 0 to 99, beside the one without a number.
const MAX_FIELDS: usize = 101;
/// AdvDefaultLifetime in seconds (RFC 4861 §6.2.1).
const MAX_ROUTER_LIFETIME: u16 = 9000;
/// `l` and `a`.
const ON_LINK: u8 = 0x80;
const AUTONOMOUS: u8 = 0x40;
/// `m` and `o`.
const MANAGED: u8 = 0x80;
const OTHER: u8 = 0x40;

/// The entry for one interface.
pub fn render(interface: &str, order: &Advertised) -> Rendered {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    if interface.is_empty() || !interface.bytes().all(plain) {
        let omitted = vec![Omitted::Interface(interface.to_owned())];
        return Rendered { text: String::new(), omitted };
    }
    let mut entry = Entry {
        order,
        text: format!("{interface}:"),
        // The continuation that the text has and the program does not see.
        used: interface.len() + 1,
        counts: [0; 4],
        omitted: Vec::new(),
    };
    entry.header();
    entry.options();
    entry.text.push('\n');
    Rendered { text: entry.text, omitted: entry.omitted }
}

/// The kinds of fields that there may be several of.
#[derive(Clone, Copy)]
enum Kind {
    Prefix,
    Route,
    Rdnss,
    Dnssl,
}

/// An entry while it is made.
struct Entry<'a> {
    order: &'a Advertised,
    text: String,
    /// Octets of the program's buffer.
    used: usize,
    /// Fields of each kind.
    counts: [usize; 4],
    omitted: Vec<Omitted>,
}

impl Entry<'_> {
    fn header(&mut self) {
        let advertisement = &self.order.advertisement;
        let (least, most) = intervals(self.order);
        let mut line = format!("noifprefix:maxinterval#{most}:mininterval#{least}:");
        let flags = preference(advertisement.preference)
            | if advertisement.managed { MANAGED } else { 0 }
            | if advertisement.other { OTHER } else { 0 };
        let seconds = advertisement.router_lifetime;
        let shown = if u64::from(seconds) < most { 0 } else { seconds.min(MAX_ROUTER_LIFETIME) };
        if shown != seconds {
            self.omitted.push(Omitted::RouterLifetime(seconds));
        }
        // Writing to a string does not fail.
        let _ = write!(line, "chlim#{}:raflags#{flags}:rltime#{shown}:", advertisement.hop_limit);
        let reachable = advertisement.reachable_time;
        let _ = write!(line, "rtime#{reachable}:retrans#{}:", advertisement.retrans_timer);
        let mut options = advertisement.options.iter();
        if !options.any(|option| matches!(option, NdpOption::SourceLinkLayer(_))) {
            line.push_str("nolladdr:");
        }
        // The header always has room.
        let _ = self.line(&line);
    }

    /// What comes last is left out first: a search
    /// domain is missed less than a prefix.
    fn options(&mut self) {
        let order = self.order;
        let of = |wanted: fn(&NdpOption) -> bool| {
            order.advertisement.options.iter().filter(move |option| wanted(option))
        };
        let first = of(|option| matches!(option, NdpOption::Prefix(_) | NdpOption::Mtu(_)));
        let then = of(|option| matches!(option, NdpOption::Rdnss { .. }));
        let last = of(|option| {
            !matches!(option, NdpOption::Prefix(_) | NdpOption::Mtu(_) | NdpOption::Rdnss { .. })
        });
        for option in first.chain(then).chain(last) {
            match option {
                NdpOption::Prefix(prefix) => self.prefix(prefix),
                NdpOption::Mtu(mtu) => self.mtu(*mtu),
                NdpOption::Route(route) => self.route(route),
                NdpOption::Rdnss { lifetime, servers } => self.rdnss(*lifetime, servers),
                NdpOption::Dnssl { lifetime, names } => self.dnssl(*lifetime, names),
                NdpOption::Pref64(pref64) => self.omitted.push(Omitted::Pref64(pref64.prefix)),
                NdpOption::CaptivePortal(uri) => {
                    self.omitted.push(Omitted::CaptivePortal(uri.clone()));
                }
                // The program finds the link-layer address itself; the rest is never sent.
                NdpOption::SourceLinkLayer(_)
                | NdpOption::FlagsExtension(_)
                | NdpOption::Malformed { .. }
                | NdpOption::Unknown { .. } => {}
            }
        }
    }

    fn prefix(&mut self, prefix: &PrefixInformation) {
        let number = self.number(Kind::Prefix);
        let (network, length) = (prefix.prefix.network(), prefix.prefix.prefix_len());
        let mut line = format!("addr{number}=\"{network}\":");
        if length != 64 {
            let _ = write!(line, "prefixlen{number}#{length}:");
        }
        let flags = if prefix.on_link { ON_LINK } else { 0 }
            | if prefix.autonomous { AUTONOMOUS } else { 0 };
        if flags != ON_LINK | AUTONOMOUS {
            let _ = write!(line, "pinfoflags{number}#{flags}:");
        }
        let (valid, preferred) = (prefix.valid.to_wire(), prefix.preferred.to_wire());
        let _ = write!(line, "vltime{number}#{valid}:pltime{number}#{preferred}:");
        if self.order.runs_down(prefix) {
            let _ = write!(line, "vltimedecr{number}:pltimedecr{number}:");
        }
        if !self.field(Kind::Prefix, &line) {
            self.omitted.push(Omitted::Prefix(prefix.prefix));
        } else if prefix.delegation_preferred {
            self.omitted.push(Omitted::DelegationPreferred(prefix.prefix));
        }
    }

    fn mtu(&mut self, mtu: u32) {
        if mtu > self.order.link_mtu || !self.line(&format!("mtu#{mtu}:")) {
            self.omitted.push(Omitted::Mtu(mtu));
        }
    }

    fn route(&mut self, route: &RouteInformation) {
        let number = self.number(Kind::Route);
        let (network, length) = (route.prefix.network(), route.prefix.prefix_len());
        let mut line = format!("rtprefix{number}=\"{network}\":rtplen{number}#{length}:");
        let flags = preference(route.preference);
        if flags != 0 {
            let _ = write!(line, "rtflags{number}#{flags}:");
        }
        let _ = write!(line, "rtltime{number}#{}:", route.lifetime.to_wire());
        if !self.field(Kind::Route, &line) {
            self.omitted.push(Omitted::Route(route.prefix));
        }
    }

    fn rdnss(&mut self, until: Lifetime, servers: &[Ipv6Addr]) {
        let Some(seconds) = self.list_lifetime(until) else { return };
        let number = self.number(Kind::Rdnss);
        let line = |servers: &[Ipv6Addr]| {
            let servers: Vec<String> = servers.iter().map(Ipv6Addr::to_string).collect();
            format!("rdnss{number}=\"{}\":rdnssltime{number}#{seconds}:", servers.join(","))
        };
        let said = self.as_many(Kind::Rdnss, servers, line);
        self.omitted.extend(servers.iter().skip(said).copied().map(Omitted::Resolver));
    }

    fn dnssl(&mut self, until: Lifetime, names: &[String]) {
        let Some(seconds) = self.list_lifetime(until) else { return };
        let (names, others): (Vec<&String>, _) = names.iter().partition(|name| is_domain(name));
        self.omitted.extend(others.into_iter().cloned().map(Omitted::SearchDomain));
        let number = self.number(Kind::Dnssl);
        let line = |names: &[&String]| {
            let names: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
            format!("dnssl{number}=\"{}\":dnsslltime{number}#{seconds}:", names.join(","))
        };
        let said = self.as_many(Kind::Dnssl, &names, line);
        self.omitted
            .extend(names.iter().skip(said).map(|name| Omitted::SearchDomain((*name).clone())));
    }

    /// A list's lifetime as the program takes it; none for a stale one.
    fn list_lifetime(&self, until: Lifetime) -> Option<u64> {
        let (_, most) = intervals(self.order);
        let seconds = u64::from(until.to_wire());
        (seconds >= most).then(|| seconds.min(most * 2))
    }

    /// Adds a field with as many of the entries, from the first on, as there is room for; how many.
    fn as_many<T>(&mut self, kind: Kind, entries: &[T], line: impl Fn(&[T]) -> String) -> usize {
        let counts = (1..=entries.len()).rev();
        for count in counts {
            if entries.get(..count).is_some_and(|some| self.field(kind, &line(some))) {
                return count;
            }
        }
        0
    }

    /// What the next field of this kind is numbered with.
    fn number(&self, kind: Kind) -> String {
        let count = self.counts.get(kind as usize).copied().unwrap_or_default();
        count.checked_sub(1).map_or_else(String::new, |number| number.to_string())
    }

    /// Adds a numbered field, if there is room.
    fn field(&mut self, kind: Kind, line: &str) -> bool {
        let has_number = self.counts.get(kind as usize).is_some_and(|count| *count < MAX_FIELDS);
        if !has_number || !self.line(line) {
            return false;
        }
        if let Some(count) = self.counts.get_mut(kind as usize) {
            *count += 1;
        }
        true
    }

    /// Adds a line of fields, if there is room.
    fn line(&mut self, line: &str) -> bool {
        // A tab and a colon begin it, so that the end of the line before ends no field.
        let size = line.len() + 2;
        if self.used + size > MAX_ENTRY {
            return false;
        }
        self.used += size;
        self.text.push_str("\\\n\t:");
        self.text.push_str(line);
        true
    }
}

/// MinRtrAdvInterval and MaxRtrAdvInterval in whole seconds, within what the program takes.
fn intervals(order: &Advertised) -> (u64, u64) {
    let most = order.rules.max_interval.as_secs().clamp(4, 1800);
    (order.rules.min_interval.as_secs().clamp(3, most * 3 / 4), most)
}

const fn preference(preference: Preference) -> u8 {
    match preference {
        Preference::Low => 0x18,
        Preference::Medium => 0x00,
        Preference::High => 0x08,
    }
}

/// Whether the name means to the program what it means to us.
fn is_domain(name: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() < 254 && name.bytes().all(plain)
}
