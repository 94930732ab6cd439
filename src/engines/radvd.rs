//! radvd, the router advertisement daemon of most Linux routers: its configuration file.
//!
//! What its versions do with a file, as far as it shapes what is rendered:
//!
//! - A MinDelayBetweenRAs under 3 s is refused unless an option of Mobile IPv6 is on; the program
//!   then goes on running and sends nothing. The Advertisement Interval option is the one that
//!   hosts make least of.
//! - A lifetime that it counts down (`DecrementLifetimes`) is no longer advertised once its
//!   preferred part has ended: a deprecated prefix has to stand in the file with fixed lifetimes.
//! - An MTU above the link's, or a Router Lifetime above 9000 s (before 2.21), silences the
//!   interface.
//! - A search domain that reads as a word of the file's grammar, such as `low`, ends the program
//!   when it reads the file. With a final dot none does.
//! - Up to 2.19 an RDNSS section holds three addresses, and the program knows neither NAT64
//!   prefixes nor a captive portal.
//! - When it ends it withdraws DNS servers, search domains and routes, and since 2.20 prefixes too,
//!   unless told not to. What ends then is decided here (RA-TX-57), not there.

use std::fmt::Write as _;
use std::net::Ipv6Addr;
use std::time::Duration;

use super::version::Version;
use super::{Omitted, Rendered};
use crate::core::engine::Advertised;
use crate::time::Lifetime;
use crate::wire::ndp_option::{NdpOption, Pref64, Preference, PrefixInformation, RouteInformation};

/// Below it an option of Mobile IPv6 has to be on.
const MIN_DELAY_BETWEEN_RAS: Duration = Duration::from_secs(3);
/// AdvDefaultLifetime before 2.21, in seconds (RFC 4861 §6.2.1).
const MAX_ROUTER_LIFETIME: u16 = 9000;
/// Addresses in one RDNSS section up to 2.19.
const MAX_SERVERS: usize = 3;
/// The longest word of the file that is read whole, its end included.
const MAX_WORD: usize = 255;
/// The longest interface name of Linux (IFNAMSIZ without the octet that ends it).
const MAX_INTERFACE_NAME: usize = 15;
/// Words of the file's grammar that could be the name of an interface; those that begin with `Adv`
/// are left out.
const KEPT_WORDS: [&str; 22] = [
    "abro",
    "clients",
    "deprecateprefix",
    "dnssl",
    "flushdnssl",
    "flushrdnss",
    "high",
    "infinity",
    "interface",
    "low",
    "lowpanco",
    "medium",
    "nat64prefix",
    "off",
    "on",
    "prefix",
    "rdnss",
    "removeroute",
    "route",
    "unicastonly",
    "base6interface",
    "ignoreifmissing",
];
/// The longest search domain list that does not end the program (2.19), in octets on the wire.
const MAX_SEARCH_OCTETS: usize = 1024;

/// The version with NAT64 prefixes, the captive portal, and a choice of what is withdrawn at the
/// end.
const WITH_PREF64: [u32; 2] = [2, 20];
/// The version with the P flag, and Router Lifetimes beyond 9000 s.
const WITH_P_FLAG: [u32; 2] = [2, 21];

/// The section for one interface.
pub fn render(interface: &str, order: &Advertised, version: &Version) -> Rendered {
    let mut section = Section { version, order, text: String::new(), omitted: Vec::new() };
    if !is_name(interface) {
        section.omitted.push(Omitted::Interface(interface.to_owned()));
        return section.rendered();
    }
    section.line(0, format_args!("interface {interface} {{"));
    section.header();
    section.options();
    section.line(0, format_args!("}};"));
    section.rendered()
}

/// The section of one interface while it is made.
struct Section<'a> {
    version: &'a Version,
    order: &'a Advertised,
    text: String,
    omitted: Vec<Omitted>,
}

impl Section<'_> {
    fn rendered(self) -> Rendered {
        Rendered { text: self.text, omitted: self.omitted }
    }

    fn line(&mut self, depth: usize, line: std::fmt::Arguments<'_>) {
        let indent = depth * 4;
        // Writing to a string does not fail.
        let _ = writeln!(self.text, "{:indent$}{line}", "");
    }

    fn set(&mut self, depth: usize, name: &str, value: impl std::fmt::Display) {
        self.line(depth, format_args!("{name} {value};"));
    }

    fn header(&mut self) {
        let Advertised { advertisement, rules, .. } = self.order;
        let (min_interval, max_interval) = intervals(self.order);
        self.set(1, "AdvSendAdvert", "on");
        self.set(1, "IgnoreIfMissing", "on");
        self.set(1, "MaxRtrAdvInterval", max_interval);
        self.set(1, "MinRtrAdvInterval", min_interval);
        self.set(1, "MinDelayBetweenRAs", rules.min_delay.as_secs_f64());
        if rules.min_delay < MIN_DELAY_BETWEEN_RAS {
            self.set(1, "AdvIntervalOpt", "on");
        }
        self.set(1, "AdvRASolicitedUnicast", switch(rules.unicast_answers));
        self.set(1, "AdvManagedFlag", switch(advertisement.managed));
        self.set(1, "AdvOtherConfigFlag", switch(advertisement.other));
        self.set(1, "AdvCurHopLimit", advertisement.hop_limit);
        self.set(1, "AdvReachableTime", advertisement.reachable_time);
        self.set(1, "AdvRetransTimer", advertisement.retrans_timer);
        self.router_lifetime(max_interval);
        self.set(1, "AdvDefaultPreference", preference(advertisement.preference));
        let source = advertisement.options.iter();
        let has_source = source.clone().any(|o| matches!(o, NdpOption::SourceLinkLayer(_)));
        self.set(1, "AdvSourceLLAddress", switch(has_source));
        if *self.version >= WITH_PREF64 {
            self.set(1, "RemoveAdvOnExit", "off");
        }
    }

    fn router_lifetime(&mut self, max_interval: u64) {
        let seconds = self.order.advertisement.router_lifetime;
        let most = if *self.version < WITH_P_FLAG { MAX_ROUTER_LIFETIME } else { u16::MAX };
        // One between zero and MaxRtrAdvInterval silences the interface; longer than meant, it
        // would keep hosts on a router that does not lead to the provider.
        let shown = if u64::from(seconds) < max_interval { 0 } else { seconds.min(most) };
        if shown != seconds {
            self.omitted.push(Omitted::RouterLifetime(seconds));
        }
        self.set(1, "AdvDefaultLifetime", shown);
    }

    fn options(&mut self) {
        let order = self.order;
        for option in &order.advertisement.options {
            match option {
                NdpOption::Prefix(prefix) => self.prefix(prefix),
                NdpOption::Mtu(mtu) => self.mtu(*mtu),
                NdpOption::Route(route) => self.route(route),
                NdpOption::Rdnss { lifetime, servers } => self.rdnss(*lifetime, servers),
                NdpOption::Dnssl { lifetime, names } => self.dnssl(*lifetime, names),
                NdpOption::Pref64(pref64) => self.pref64(pref64),
                NdpOption::CaptivePortal(uri) => self.captive_portal(uri),
                // The program finds the link-layer address itself; the rest is never sent.
                NdpOption::SourceLinkLayer(_)
                | NdpOption::FlagsExtension(_)
                | NdpOption::Malformed { .. }
                | NdpOption::Unknown { .. } => {}
            }
        }
    }

    fn prefix(&mut self, prefix: &PrefixInformation) {
        let runs_down = self.order.runs_down(prefix) && !prefix.preferred.is_zero();
        let (network, length) = (address(prefix.prefix.network()), prefix.prefix.prefix_len());
        self.line(1, format_args!("prefix {network}/{length} {{"));
        self.set(2, "AdvOnLink", switch(prefix.on_link));
        self.set(2, "AdvAutonomous", switch(prefix.autonomous));
        self.set(2, "AdvValidLifetime", lifetime(prefix.valid));
        // The program refuses the file where it is longer.
        self.set(2, "AdvPreferredLifetime", lifetime(prefix.preferred.min(prefix.valid)));
        self.set(2, "DecrementLifetimes", switch(runs_down));
        self.set(2, "DeprecatePrefix", "off");
        match prefix.delegation_preferred {
            true if *self.version >= WITH_P_FLAG => {
                self.set(2, "AdvDHCPv6PDPreferred", "on");
            }
            true => self.omitted.push(Omitted::DelegationPreferred(prefix.prefix)),
            false => {}
        }
        self.line(1, format_args!("}};"));
    }

    fn mtu(&mut self, mtu: u32) {
        if mtu > self.order.link_mtu {
            self.omitted.push(Omitted::Mtu(mtu));
        } else {
            self.set(1, "AdvLinkMTU", mtu);
        }
    }

    fn route(&mut self, route: &RouteInformation) {
        let (network, length) = (address(route.prefix.network()), route.prefix.prefix_len());
        self.line(1, format_args!("route {network}/{length} {{"));
        self.set(2, "AdvRoutePreference", preference(route.preference));
        self.set(2, "AdvRouteLifetime", lifetime(route.lifetime));
        self.set(2, "RemoveRoute", "off");
        self.line(1, format_args!("}};"));
    }

    fn rdnss(&mut self, until: Lifetime, servers: &[Ipv6Addr]) {
        for servers in servers.chunks(MAX_SERVERS) {
            let servers: Vec<String> = servers.iter().copied().map(address).collect();
            self.line(1, format_args!("RDNSS {} {{", servers.join(" ")));
            self.set(2, "AdvRDNSSLifetime", lifetime(until));
            self.set(2, "FlushRDNSS", "off");
            self.line(1, format_args!("}};"));
        }
    }

    fn dnssl(&mut self, until: Lifetime, names: &[String]) {
        // 2.19 raises what is shorter than MaxRtrAdvInterval to it.
        let (_, max_interval) = intervals(self.order);
        let is_short = until.seconds().is_some_and(|seconds| u64::from(seconds) < max_interval);
        let until = if is_short { Lifetime::ZERO } else { until };
        let (names, others): (Vec<&String>, _) = names.iter().partition(|name| is_domain(name));
        self.omitted.extend(others.into_iter().cloned().map(Omitted::SearchDomain));
        for names in lists(&names) {
            self.line(1, format_args!("DNSSL {} {{", names.join(" ")));
            self.set(2, "AdvDNSSLLifetime", lifetime(until));
            self.set(2, "FlushDNSSL", "off");
            self.line(1, format_args!("}};"));
        }
    }

    fn pref64(&mut self, pref64: &Pref64) {
        if *self.version < WITH_PREF64 {
            self.omitted.push(Omitted::Pref64(pref64.prefix));
            return;
        }
        let (network, length) = (address(pref64.prefix.network()), pref64.prefix.prefix_len());
        self.line(1, format_args!("nat64prefix {network}/{length} {{"));
        self.set(2, "AdvValidLifetime", pref64.lifetime);
        self.line(1, format_args!("}};"));
    }

    fn captive_portal(&mut self, uri: &str) {
        let can = *self.version >= WITH_PREF64
            && uri.len() + 2 <= MAX_WORD
            && uri.bytes().all(|octet| octet.is_ascii_graphic() && !matches!(octet, b'"' | b'\\'));
        if can {
            self.line(1, format_args!("AdvCaptivePortalAPI \"{uri}\";"));
        } else {
            self.omitted.push(Omitted::CaptivePortal(uri.to_owned()));
        }
    }
}

/// MinRtrAdvInterval and MaxRtrAdvInterval in whole seconds, within what every version takes.
fn intervals(order: &Advertised) -> (u64, u64) {
    let most = order.rules.max_interval.as_secs().clamp(4, 1800);
    (order.rules.min_interval.as_secs().clamp(3, most * 3 / 4), most)
}

const fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

const fn preference(preference: Preference) -> &'static str {
    match preference {
        Preference::Low => "low",
        Preference::Medium => "medium",
        Preference::High => "high",
    }
}

fn lifetime(lifetime: Lifetime) -> String {
    lifetime.seconds().map_or_else(|| "infinity".to_owned(), |seconds| seconds.to_string())
}

/// An address as the program reads it: one that begins with `::` it takes for a word, and one with
/// dots for none.
fn address(address: Ipv6Addr) -> String {
    let short = address.to_string();
    if short == "::" || !(short.starts_with("::") || short.contains('.')) {
        return short;
    }
    address.segments().map(|segment| format!("{segment:x}")).join(":")
}

/// Whether the program reads `name` as the name of an interface: one word, and none of those that
/// its grammar keeps for itself.
fn is_name(name: &str) -> bool {
    let plain =
        |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'_' | b'.' | b'@');
    !name.is_empty()
        && name.len() <= MAX_INTERFACE_NAME
        && name.bytes().all(plain)
        && name.bytes().any(|octet| octet.is_ascii_alphabetic())
        && !KEPT_WORDS.iter().any(|word| word.eq_ignore_ascii_case(name))
        && !name.get(..3).is_some_and(|start| start.eq_ignore_ascii_case("adv"))
}

/// Whether the program takes `name` into a search list.
fn is_domain(name: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'.');
    !name.is_empty() && name.len() < MAX_WORD && name.bytes().all(plain)
}

/// The names with their final dots, in lists that the program can send.
fn lists(names: &[&String]) -> Vec<Vec<String>> {
    let mut lists: Vec<(usize, Vec<String>)> = Vec::new();
    for name in names {
        let size = name.len() + 2;
        let word = format!("{name}.");
        match lists.last_mut() {
            Some((used, list)) if *used + size <= MAX_SEARCH_OCTETS => {
                *used += size;
                list.push(word);
            }
            Some(_) | None => lists.push((size, vec![word])),
        }
    }
    lists.into_iter().map(|(_, list)| list).collect()
}
