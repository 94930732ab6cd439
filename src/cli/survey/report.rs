//! The report of a survey, for programs as it is and for people as a page.

use std::net::Ipv6Addr;
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::Serialize;

use crate::wire::dhcpv6::Message;
use crate::wire::dhcpv6_option::{Dhcpv6Option, Duid, IaPd, IaPrefix, StatusCode};
use crate::wire::dhcpv6_service::ServiceOption;
use crate::wire::ndp::RouterAdvertisement;
use crate::wire::ndp_option::{NdpOption, Preference};

/// The most entries of any list that others fill.
const MOST: usize = 64;

/// Everything.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Report {
    /// Version of this form.
    pub(super) schema: u32,
    pub(super) interface: String,
    pub(super) routers: Vec<Router>,
    pub(super) servers: Vec<Server>,
    /// Why no server was asked; null where servers were.
    pub(super) not_asked: Option<String>,
    /// The length of the hint that was given.
    pub(super) hint: Option<u8>,
    /// The requested prefixes; null where there was no Request.
    pub(super) requested: Option<RequestedPrefixes>,
    pub(super) oddities: Vec<Oddity>,
    /// Addresses, DUIDs and names are others than those that were found.
    pub(super) masked: bool,
}

/// Something odd.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(super) struct Oddity {
    /// Its stable name.
    pub(super) name: &'static str,
    /// The router, server or prefix; empty for the whole link.
    pub(super) subject: String,
    pub(super) text: String,
}

/// A router that advertises.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Router {
    pub(super) address: Ipv6Addr,
    pub(super) first_after_ms: u64,
    pub(super) advertisements: u32,
    /// Router Lifetime, in seconds.
    pub(super) lifetime: u16,
    pub(super) preference: Preference,
    pub(super) managed: bool,
    pub(super) other: bool,
    pub(super) hop_limit: u8,
    pub(super) mtu: Option<u32>,
    pub(super) prefixes: Vec<Advertised>,
    pub(super) routes: Vec<Ipv6Net>,
    pub(super) resolvers: Vec<Ipv6Addr>,
    pub(super) search: Vec<String>,
    pub(super) pref64: Option<Ipv6Net>,
    pub(super) captive_portal: Option<String>,
    /// Types of options that are not understood.
    pub(super) other_options: Vec<u8>,
    pub(super) malformed: Vec<String>,
}

/// An advertised prefix; lifetimes in seconds, null for one without end.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Advertised {
    pub(super) prefix: Ipv6Net,
    pub(super) on_link: bool,
    pub(super) autonomous: bool,
    pub(super) delegation_preferred: bool,
    pub(super) preferred: Option<u32>,
    pub(super) valid: Option<u32>,
}

/// A DHCPv6 server.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Server {
    pub(super) address: Ipv6Addr,
    pub(super) duid: String,
    pub(super) first_after_ms: u64,
    pub(super) preference: u8,
    /// It may send Reconfigure.
    pub(super) reconfigure: bool,
    pub(super) t1: Option<u32>,
    pub(super) t2: Option<u32>,
    pub(super) prefixes: Vec<Offered>,
    /// The status that it sends in the place of a prefix.
    pub(super) status: Option<String>,
    /// The lengths that it offers where a length is hinted at; null where it does not answer then.
    pub(super) hinted: Option<Vec<u8>>,
    pub(super) resolvers: Vec<Ipv6Addr>,
    pub(super) search: Vec<String>,
    pub(super) sol_max_rt: Option<u32>,
    /// Names of options for hosts, and codes of options that are not understood.
    pub(super) other_options: Vec<String>,
    pub(super) malformed: Vec<String>,
    #[serde(skip)]
    raw: Option<(Duid, Vec<IaPrefix>)>,
}

/// An offered prefix; lifetimes in seconds, null for one without end.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct Offered {
    pub(super) prefix: Ipv6Net,
    pub(super) exclude: Option<Ipv6Net>,
    pub(super) preferred: Option<u32>,
    pub(super) valid: Option<u32>,
}

/// The requested prefixes, with the result.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub(super) struct RequestedPrefixes {
    /// The server answered the Request.
    pub(super) answered: bool,
    pub(super) prefixes: Vec<Offered>,
    pub(super) status: Option<String>,
    /// The server has confirmed the Release; null where it was not sent.
    pub(super) released: Option<bool>,
}

impl Router {
    pub(super) fn new(address: Ipv6Addr, after: Duration, heard: &RouterAdvertisement) -> Self {
        let mut router = Self {
            address,
            first_after_ms: milliseconds(after),
            advertisements: 0,
            lifetime: 0,
            preference: Preference::default(),
            managed: false,
            other: false,
            hop_limit: 0,
            mtu: None,
            prefixes: Vec::new(),
            routes: Vec::new(),
            resolvers: Vec::new(),
            search: Vec::new(),
            pref64: None,
            captive_portal: None,
            other_options: Vec::new(),
            malformed: Vec::new(),
        };
        router.take_in(heard);
        router
    }

    /// Adds the contents of an advertisement: options may be spread over several.
    pub(super) fn take_in(&mut self, heard: &RouterAdvertisement) {
        self.advertisements = self.advertisements.saturating_add(1);
        self.lifetime = heard.router_lifetime;
        self.preference = heard.preference;
        (self.managed, self.other) = (heard.managed, heard.other);
        self.hop_limit = heard.hop_limit;
        for option in &heard.options {
            match option {
                NdpOption::Prefix(found) => {
                    self.prefixes.retain(|known| known.prefix != found.prefix);
                    add(
                        &mut self.prefixes,
                        Advertised {
                            prefix: found.prefix,
                            on_link: found.on_link,
                            autonomous: found.autonomous,
                            delegation_preferred: found.delegation_preferred,
                            preferred: found.preferred.seconds(),
                            valid: found.valid.seconds(),
                        },
                    );
                }
                NdpOption::Mtu(mtu) => self.mtu = Some(*mtu),
                NdpOption::Route(route) => add(&mut self.routes, route.prefix),
                NdpOption::Rdnss { servers, .. } => {
                    servers.iter().for_each(|server| add(&mut self.resolvers, *server));
                }
                NdpOption::Dnssl { names, .. } => {
                    names.iter().for_each(|name| add(&mut self.search, name.clone()));
                }
                NdpOption::Pref64(found) => self.pref64 = Some(found.prefix),
                NdpOption::CaptivePortal(uri) => self.captive_portal = Some(uri.clone()),
                NdpOption::Malformed { kind, error } => {
                    add(&mut self.malformed, format!("option {kind}: {error}"));
                }
                NdpOption::Unknown { kind, .. } => add(&mut self.other_options, *kind),
                NdpOption::SourceLinkLayer(_) | NdpOption::FlagsExtension(_) => {}
            }
        }
    }
}

impl Server {
    pub(super) fn new(address: Ipv6Addr, after: Duration, message: &Message, duid: &Duid) -> Self {
        let ia = message.ia_pds().next();
        let raw = ia.map(|ia| ia.prefixes.clone()).unwrap_or_default();
        let mut other_options = Vec::new();
        for service in ServiceOption::select(&message.options) {
            add(&mut other_options, service.name().to_owned());
        }
        for option in &message.options {
            if let Dhcpv6Option::Unknown { code, .. } = option
                && !ServiceOption::CODES.contains(code)
            {
                add(&mut other_options, code.to_string());
            }
        }
        Self {
            address,
            duid: duid.to_string(),
            first_after_ms: milliseconds(after),
            preference: message.preference().unwrap_or_default(),
            reconfigure: message.has_reconfigure_accept(),
            t1: ia.and_then(|ia| ia.t1.seconds()),
            t2: ia.and_then(|ia| ia.t2.seconds()),
            prefixes: raw.iter().take(MOST).map(offered).collect(),
            status: status(message, ia),
            hinted: None,
            resolvers: message
                .dns_servers()
                .unwrap_or_default()
                .iter()
                .take(MOST)
                .copied()
                .collect(),
            search: message
                .domain_search()
                .unwrap_or_default()
                .iter()
                .take(MOST)
                .cloned()
                .collect(),
            sol_max_rt: message.sol_max_rt(),
            other_options,
            malformed: message
                .malformed()
                .take(MOST)
                .map(|(code, error)| match code {
                    Some(code) => format!("option {code}: {error}"),
                    None => error.to_string(),
                })
                .collect(),
            raw: Some((duid.clone(), raw)),
        }
    }

    /// Its DUID, as it stands in messages.
    pub(super) fn duid(&self) -> Option<Duid> {
        self.raw.as_ref().map(|(duid, _)| duid.clone())
    }

    /// The offered prefixes in the form of a message.
    pub(super) fn offered(&self) -> Vec<IaPrefix> {
        self.raw.as_ref().map(|(_, prefixes)| prefixes.clone()).unwrap_or_default()
    }
}

/// A prefix of a message.
pub(super) fn offered(found: &IaPrefix) -> Offered {
    Offered {
        prefix: found.prefix,
        exclude: found.exclude,
        preferred: found.preferred.seconds(),
        valid: found.valid.seconds(),
    }
}

/// The status of a message in the place of prefixes.
pub(super) fn status(message: &Message, ia: Option<&IaPd>) -> Option<String> {
    let of_ia = ia.and_then(status_of_ia);
    let own = message.status().filter(|status| status.code != StatusCode::Success);
    of_ia.or_else(|| own.map(|status| format!("{:?} {}", status.code, status.text)))
}

/// The status of an IA_PD in the place of prefixes.
pub(super) fn status_of_ia(ia: &IaPd) -> Option<String> {
    let status = ia.status.as_ref().filter(|status| status.code != StatusCode::Success);
    status.map(|status| format!("{:?} {}", status.code, status.text).trim().to_owned())
}

/// Adds an item that is not in the list yet, up to the bound.
fn add<T: PartialEq>(list: &mut Vec<T>, item: T) {
    if list.len() < MOST && !list.contains(&item) {
        list.push(item);
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The longest lifetime of all: one without end is longer than any.
pub(super) fn as_number(seconds: Option<u32>) -> u64 {
    seconds.map_or(u64::MAX, u64::from)
}

/// Zero in T1 and T2 leaves the choice to the client (RFC 9915 §14.2).
pub(super) fn chosen(seconds: Option<u32>) -> Option<u64> {
    Some(as_number(seconds)).filter(|seconds| *seconds > 0)
}
