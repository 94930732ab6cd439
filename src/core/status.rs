//! The state of the agent, as values for people and programs. Lifetimes are in seconds, null for
//! one that does not end.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::Core;
use super::delegate::{BindingStatus, BindingSummary};
use super::engine::EngineStatus;
use super::relay::RelayStatus;
use super::stage::{Cause, Prefixes};
use crate::core::stage::Stage;
use crate::core::uplink::solicit::Solicitation;
use crate::time::{Instant, Lifetime, Until};
use crate::wire::dhcpv6_service::ServiceOption;
use crate::wire::ndp_option::Preference;

/// Version of this form: a program that knows it can read it.
const SCHEMA: u32 = 1;

/// Everything.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Version of this form.
    pub schema: u32,
    /// This machine's DUID.
    pub duid: String,
    /// By name.
    pub uplinks: BTreeMap<String, UplinkStatus>,
    /// By name.
    pub downlinks: BTreeMap<String, DownlinkStatus>,
    /// Static prefixes in use, by name.
    #[serde(default)]
    pub statics: BTreeMap<String, Vec<Ipv6Net>>,
    /// The prefixes of subordinate routers.
    #[serde(default)]
    pub bindings: Vec<BindingStatus>,
    /// The number of bindings, in the place of a long list, if only the number was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding_summary: Option<BindingSummary>,
    /// Programs in the place of built-ins.
    #[serde(default)]
    pub engines: Vec<EngineStatus>,
    /// Links that are relayed from, by name.
    #[serde(default)]
    pub relays: BTreeMap<String, RelayStatus>,
    /// The conditions that should be mended.
    pub conditions: Vec<Condition>,
    /// Dropped packets by kind and reason.
    pub counters: BTreeMap<String, u64>,
    /// The last changes, oldest first.
    pub changes: Vec<ChangeStatus>,
    /// The reason of the next deadline, and the seconds until then.
    pub next: Option<(String, f64)>,
}

/// A named condition.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Condition {
    /// Its stable name.
    pub name: String,
    /// The interface or object in question; empty for the whole machine.
    pub subject: String,
    /// The condition in a sentence, often with the remedy.
    pub text: String,
    /// The remedy.
    #[serde(default)]
    pub remedy: String,
}

/// An uplink.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct UplinkStatus {
    /// It can send.
    pub attached: bool,
    /// The routers that it hears.
    pub routers: Vec<RouterStatus>,
    /// Addresses of the agent on it or, in kernel mode, those of the kernel.
    pub addresses: Vec<AddressStatus>,
    /// The delegating router.
    pub server: Option<String>,
    /// The exchange of the requesting router that is under way.
    pub state: String,
    /// Seconds until the lease is renewed (T1), while that lies ahead.
    #[serde(default)]
    pub renewal: Option<f64>,
    /// The delegated prefixes, with those that ended lately.
    pub leases: Vec<LeaseStatus>,
    /// The server's options that are passed on to hosts that ask for them.
    #[serde(default)]
    pub passed_on: Vec<String>,
    /// The progress of router solicitation.
    #[serde(default)]
    pub solicitation: SolicitationStatus,
    /// What this connection lacks, as a sentence; none where it has a router, an address and a
    /// prefix.
    #[serde(default)]
    pub lack: Option<String>,
    /// Where this machine is a host: the registration of its addresses (RFC 9686); null where no
    /// router says that there is a DHCPv6 server.
    #[serde(default)]
    pub registration: Option<RegistrationStatus>,
}

/// The registration of a host's addresses with a DHCPv6 server (RFC 9686).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RegistrationStatus {
    /// The server's support of registration: `asked`, `registers` or `registers none`.
    pub server: String,
    /// The addresses that are registered, where the server does that.
    pub addresses: Vec<RegisteredStatus>,
}

/// An address that is registered.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RegisteredStatus {
    /// The address.
    pub address: Ipv6Addr,
    /// The server has acknowledged it on this link.
    pub acknowledged: bool,
    /// An acknowledgement is awaited.
    pub under_way: bool,
    /// Seconds until the registration is refreshed; null while none is planned.
    pub refresh: Option<f64>,
}

/// The progress of router solicitation.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SolicitationStatus {
    /// Solicitations since the event that started them; without those that were answered.
    pub sent: u32,
    /// Seconds until the next one, if one is planned.
    pub next: Option<f64>,
    /// Seconds between the last one and the next.
    pub interval: Option<f64>,
    /// Advertisements that were believed.
    pub advertisements: u64,
}

/// A router on an uplink.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct RouterStatus {
    /// Link-local address.
    pub address: Ipv6Addr,
    /// Router Lifetime left.
    pub lifetime: Option<u32>,
    /// Default router preference.
    pub preference: Preference,
    /// M
    pub managed: bool,
    /// O
    pub other: bool,
    /// What it advertises.
    pub prefixes: Vec<PrefixStatus>,
    /// DNS servers that it advertises, each with its remaining lifetime.
    #[serde(default)]
    pub resolvers: Vec<(Ipv6Addr, Option<u32>)>,
    /// Search domains that it advertises, each with its remaining lifetime.
    #[serde(default)]
    pub search: Vec<(String, Option<u32>)>,
}

/// An advertised prefix.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PrefixStatus {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// L
    pub on_link: bool,
    /// A
    pub autonomous: bool,
    /// Preferred lifetime left.
    pub preferred: Option<u32>,
    /// Valid lifetime left.
    pub valid: Option<u32>,
    /// `preferred`, `deprecated`, `withdrawn`, `missing` or `suspect`.
    pub condition: String,
}

/// An address.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AddressStatus {
    /// The address.
    pub address: Ipv6Addr,
    /// Preferred lifetime left.
    pub preferred: Option<u32>,
    /// Valid lifetime left.
    pub valid: Option<u32>,
    /// Duplicate address detection is under way.
    pub tentative: bool,
}

/// A delegated prefix.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct LeaseStatus {
    /// Its IA_PD.
    pub iaid: u32,
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The part that the delegating router keeps.
    pub exclude: Option<Ipv6Net>,
    /// Preferred lifetime left.
    pub preferred: Option<u32>,
    /// Valid lifetime left.
    pub valid: Option<u32>,
    /// The valid lifetime that the server last gave; null for one that does not end, and if the
    /// server gave it before a restart.
    #[serde(default)]
    pub given_for: Option<u32>,
    /// It was withdrawn or replaced, and leaves after the grace time.
    pub gone: bool,
}

/// A downlink.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DownlinkStatus {
    /// It can send.
    pub attached: bool,
    /// Router Lifetime that is advertised, in seconds; 0 where nothing can be.
    pub router_lifetime: u16,
    /// Prefixes that are advertised to hosts; lifetimes of zero withdraw them.
    pub advertised: Vec<AdvertisedStatus>,
    /// Delegated prefixes of which this link gets no part, with the reason.
    pub without: BTreeMap<Ipv6Net, super::plan::Unassigned>,
}

/// A prefix that is advertised to hosts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AdvertisedStatus {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// Preferred lifetime.
    pub preferred: u32,
    /// Valid lifetime.
    pub valid: u32,
}

/// A change.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct ChangeStatus {
    /// Its number.
    pub number: u64,
    /// The uplink, or the name for static prefixes.
    pub uplink: String,
    /// Its cause.
    pub cause: Cause,
    /// Seconds ago.
    pub age: f64,
    /// The prefixes before it.
    pub from: Prefixes,
    /// The prefixes after it.
    pub to: Prefixes,
    /// Milliseconds from its beginning to each stage.
    pub stages: BTreeMap<Stage, f64>,
}

impl Core {
    /// The state of the agent at `now`, with the number of bindings in the place of a list of more
    /// than `most`.
    pub fn status_with(&self, now: Instant, most: usize) -> Status {
        let summary = self.delegating.summary();
        let is_short = summary.bindings <= most;
        Status {
            bindings: if is_short { self.delegating.status(now) } else { Vec::new() },
            binding_summary: (!is_short).then_some(summary),
            ..self.status_without_bindings(now)
        }
    }

    /// The state of the agent at `now`.
    pub fn status(&self, now: Instant) -> Status {
        Status { bindings: self.delegating.status(now), ..self.status_without_bindings(now) }
    }

    /// How many messages were dropped, by kind of message and reason.
    pub fn rejections(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        self.counters.each()
    }

    fn status_without_bindings(&self, now: Instant) -> Status {
        let downlinks = self.downlinks.iter().map(|(name, downlink)| {
            let without = self.kernel.desired.without.iter().filter(|((of, _), _)| of == name);
            let advertised = downlink.advertising().advertised(now).into_iter();
            let attached = downlink.attached().is_some();
            let router_lifetime = downlink.advertising().router_lifetime();
            let status = DownlinkStatus {
                attached,
                router_lifetime: if attached { router_lifetime } else { 0 },
                advertised: advertised
                    .map(|(prefix, preferred, valid)| AdvertisedStatus { prefix, preferred, valid })
                    .collect(),
                without: without.map(|((_, prefix), why)| (*prefix, *why)).collect(),
            };
            (name.clone(), status)
        });
        let changes = self.history.changes().map(|change| ChangeStatus {
            number: change.number,
            uplink: change.uplink.clone(),
            cause: change.cause,
            age: now.since(change.began_at).as_secs_f64(),
            from: change.from.clone(),
            to: change.to.clone(),
            stages: change
                .stages
                .iter()
                .map(|(stage, at)| (*stage, at.since(change.began_at).as_secs_f64() * 1e3))
                .collect(),
        });
        Status {
            schema: SCHEMA,
            duid: self.duid.to_string(),
            uplinks: self
                .uplinks
                .keys()
                .filter_map(|name| Some((name.clone(), self.uplink_status(now, name)?)))
                .collect(),
            downlinks: downlinks.collect(),
            statics: self.statics.in_use(now),
            bindings: Vec::new(),
            binding_summary: None,
            engines: self.engines.status(),
            relays: self.relay_status(now),
            conditions: self.find_conditions(now).view(),
            counters: self.counters.counts(),
            changes: changes.collect(),
            next: self
                .deadline(now)
                .map(|next| (next.reason.to_owned(), next.at.since(now).as_secs_f64())),
        }
    }

    fn uplink_status(&self, now: Instant, name: &str) -> Option<UplinkStatus> {
        let uplink = self.uplinks.get(name)?;
        let (server, state) = uplink.describe_lease();
        let routers = uplink.routers().routers(now).into_iter().map(|router| RouterStatus {
            address: router.address,
            lifetime: router.lifetime_until.remaining(now).seconds(),
            preference: router.preference,
            managed: router.managed,
            other: router.other,
            prefixes: router
                .prefixes
                .into_iter()
                .map(|prefix| PrefixStatus {
                    prefix: prefix.prefix,
                    on_link: prefix.on_link,
                    autonomous: prefix.autonomous,
                    preferred: prefix.preferred_until.remaining(now).seconds(),
                    valid: prefix.valid_until.remaining(now).seconds(),
                    condition: prefix.condition.to_owned(),
                })
                .collect(),
            resolvers: left(now, router.resolvers),
            search: left(now, router.search),
        });
        let index = self.kernel.state.system.link(name).map(|link| link.index);
        let kernel = uplink.config().address == crate::config::AddressMode::Kernel;
        let addresses = self.kernel.state.system.addresses.values().filter(|address| {
            Some(address.interface) == index
                && (address.ours || kernel)
                && !address.address.is_unicast_link_local()
        });
        let leases = uplink.lease().prefixes().into_iter().map(|prefix| LeaseStatus {
            iaid: prefix.iaid.0,
            prefix: prefix.prefix,
            exclude: prefix.exclude,
            preferred: prefix.preferred_until.remaining(now).seconds(),
            valid: prefix.valid_until.remaining(now).seconds(),
            given_for: uplink
                .lease()
                .given_for(prefix.iaid, prefix.prefix)
                .and_then(Lifetime::seconds),
            gone: prefix.gone_since.is_some(),
        });
        let mut passed_on: Vec<&str> =
            uplink.lease().services().iter().map(ServiceOption::name).collect();
        passed_on.dedup();
        Some(UplinkStatus {
            attached: uplink.attached().is_some(),
            routers: routers.collect(),
            addresses: addresses
                .map(|address| AddressStatus {
                    address: address.address,
                    preferred: address.preferred_until.remaining(now).seconds(),
                    valid: address.valid_until.remaining(now).seconds(),
                    tentative: address.tentative,
                })
                .collect(),
            server: server.map(|server| server.to_string()),
            state: state.to_owned(),
            renewal: uplink
                .lease()
                .renewed_at(now)
                .map(|renewed_at| renewed_at.since(now).as_secs_f64()),
            leases: leases.collect(),
            passed_on: passed_on.into_iter().map(str::to_owned).collect(),
            solicitation: solicitation_status(now, uplink.solicitation()),
            registration: uplink.registration(now),
            lack: uplink.lack(now, &self.kernel.state.system).map(|lack| lack.to_string()),
        })
    }
}

/// Each with the seconds that are left of it.
fn left<T>(now: Instant, ends: Vec<(T, Until)>) -> Vec<(T, Option<u32>)> {
    ends.into_iter().map(|(what, until)| (what, until.remaining(now).seconds())).collect()
}

fn solicitation_status(now: Instant, solicitation: Solicitation) -> SolicitationStatus {
    let Solicitation { sent, next_at, interval, advertisements, .. } = solicitation;
    SolicitationStatus {
        sent,
        next: next_at.map(|at| at.since(now).as_secs_f64()),
        interval: interval.map(|interval| interval.as_secs_f64()),
        advertisements,
    }
}
