//! The data that a restart needs.
//!
//! A record is a fact with a key; the newest of a key counts. The shell appends records to a
//! journal and folds them into [`Memory`] at the next start, shifting their instants to the new
//! boot's clock.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::ops::Not;
use std::sync::Arc;
use std::time::Duration;

use ipnet::Ipv6Net;
use serde::{Deserialize, Serialize};

use super::delegate::{BindingKey, StoredBinding};
use super::random::Random;
use crate::core::downlink::advertise::Promises;
use crate::core::kernel::object::Sysctl;
use crate::time::{Instant, Until};
use crate::wire::dhcpv6_option::{Duid, Iaid};

/// A fact to keep.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub enum Record {
    /// This machine's DUID.
    Duid {
        /// The DUID.
        duid: Duid,
    },
    /// The secret behind stable interface identifiers (RFC 7217 §5).
    Secret {
        /// 32 octets.
        secret: [u8; 32],
    },
    /// The lease of an uplink.
    Lease {
        /// The uplink.
        uplink: String,
        /// The lease; none when there is no delegated prefix any more.
        lease: Option<StoredLease>,
    },
    /// The longest promise made for a prefix on a link (RFC 9096 §3.5).
    Advertised {
        /// The downlink.
        downlink: String,
        /// The prefix.
        prefix: Ipv6Net,
        /// The prefix was advertised in a route information option, not as on-link.
        #[serde(default, skip_serializing_if = "Not::not")]
        is_route: bool,
        /// Hosts may hold it until then.
        until: Until,
    },
    /// A binding of a requesting router (STO-04).
    Binding {
        /// The holder.
        key: BindingKey,
        /// The binding; none when it has ended.
        binding: Option<Arc<StoredBinding>>,
    },
    /// Replay values of Reconfigures may have been used up to here (STO-05).
    Replay {
        /// The last of the block.
        reserved: u64,
    },
    /// A static prefix that was set on the control socket.
    Static {
        /// Its name.
        name: String,
        /// The prefix.
        stored: StoredStatic,
    },
    /// A lease of a requesting router on a link of ours, from a server elsewhere (RFC 8987).
    Relayed {
        /// The prefix.
        prefix: Ipv6Net,
        /// The lease; none when it has ended.
        lease: Option<RelayedLease>,
    },
    /// The value of a kernel setting before the agent changed it.
    Sysctl {
        /// The interface.
        interface: String,
        /// The setting's file name.
        name: String,
        /// The earlier value; none when it was restored.
        before: Option<i32>,
    },
}

/// A lease as it is stored (STO-02).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StoredLease {
    /// The server that gave it.
    pub server: Duid,
    /// The prefixes.
    pub prefixes: Vec<StoredPrefix>,
    /// Key for Reconfigure, 16 octets.
    pub reconfigure_key: Option<[u8; 16]>,
    /// The last replay value seen from that server.
    pub replay: Option<u64>,
}

/// A delegated prefix as it is stored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StoredPrefix {
    /// Its IA_PD.
    pub iaid: Iaid,
    /// The prefix.
    pub prefix: Ipv6Net,
    /// The part that the delegating router keeps.
    pub exclude: Option<Ipv6Net>,
    /// Preferred until.
    pub preferred_until: Until,
    /// Valid until.
    pub valid_until: Until,
}

/// A static prefix as it is stored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct StoredStatic {
    /// The value in the configuration when this one was set; a configuration with another value
    /// counts for more.
    pub configured: Option<Ipv6Net>,
    /// The prefixes, with the ends of preferred and valid lifetime.
    pub prefixes: Vec<(Ipv6Net, Until, Until)>,
}

/// A lease that the relay agent has forwarded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RelayedLease {
    /// The requesting router.
    pub client: Duid,
    /// Its IA_PD.
    pub iaid: Iaid,
    /// The link that it is on.
    pub link: String,
    /// Its address on the link, or that of the relay agent before it.
    pub next_hop: Ipv6Addr,
    /// Preferred until.
    pub preferred_until: Until,
    /// Valid until.
    pub valid_until: Until,
}

/// All stored data.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Memory {
    /// See [`Record::Duid`].
    pub duid: Option<Duid>,
    /// See [`Record::Secret`].
    pub secret: Option<[u8; 32]>,
    /// By uplink; see [`Record::Lease`].
    pub leases: BTreeMap<String, StoredLease>,
    /// By downlink; see [`Record::Advertised`].
    pub advertised: BTreeMap<String, Promises>,
    /// See [`Record::Binding`].
    pub bindings: BTreeMap<BindingKey, Arc<StoredBinding>>,
    /// See [`Record::Replay`].
    pub replay: u64,
    /// By name; see [`Record::Static`].
    pub statics: BTreeMap<String, StoredStatic>,
    /// By prefix; see [`Record::Relayed`].
    pub relayed: BTreeMap<Ipv6Net, RelayedLease>,
    /// By interface and name; see [`Record::Sysctl`].
    pub sysctls: BTreeMap<(String, String), i32>,
}

impl Memory {
    /// Sets the agent's identity: the configured DUID, or the stored one, or else `machine`'s, and
    /// the secret of its addresses. Returns the records of what is new.
    pub(super) fn identify(
        &mut self,
        configured: Option<&Duid>,
        machine: Duid,
        random: &mut Random,
    ) -> (Duid, [u8; 32], Vec<Record>) {
        let mut new = Vec::new();
        let duid = configured.cloned().or_else(|| self.duid.clone()).unwrap_or(machine);
        if self.duid.as_ref() != Some(&duid) {
            new.push(Record::Duid { duid: duid.clone() });
        }
        let secret = self.secret.unwrap_or_else(|| {
            let secret = random.secret();
            new.push(Record::Secret { secret });
            secret
        });
        (self.duid, self.secret) = (Some(duid.clone()), Some(secret));
        (duid, secret, new)
    }

    /// Adds the value of a setting before the agent first changed it.
    pub fn fold_setting(&mut self, interface: String, name: Sysctl, before: i32) {
        let name = name.file().to_owned();
        self.fold(Record::Sysctl { interface, name, before: Some(before) });
    }

    /// Takes in a record.
    pub fn fold(&mut self, record: Record) {
        match record {
            Record::Duid { duid } => self.duid = Some(duid),
            Record::Secret { secret } => self.secret = Some(secret),
            Record::Lease { uplink, lease: Some(lease) } => {
                self.leases.insert(uplink, lease);
            }
            Record::Lease { uplink, lease: None } => {
                self.leases.remove(&uplink);
            }
            Record::Advertised { downlink, prefix, is_route, until } => {
                let promises = self.advertised.entry(downlink).or_default();
                let kind = if is_route { &mut promises.routes } else { &mut promises.prefixes };
                kind.insert(prefix, until);
            }
            Record::Binding { key, binding: Some(binding) } => {
                self.bindings.insert(key, binding);
            }
            Record::Binding { key, binding: None } => {
                self.bindings.remove(&key);
            }
            Record::Replay { reserved } => self.replay = self.replay.max(reserved),
            Record::Static { name, stored } => {
                self.statics.insert(name, stored);
            }
            Record::Relayed { prefix, lease: Some(lease) } => {
                self.relayed.insert(prefix, lease);
            }
            Record::Relayed { prefix, lease: None } => {
                self.relayed.remove(&prefix);
            }
            Record::Sysctl { interface, name, before: Some(before) } => {
                self.sysctls.entry((interface, name)).or_insert(before);
            }
            Record::Sysctl { interface, name, before: None } => {
                self.sysctls.remove(&(interface, name));
            }
        }
    }
}

impl Record {
    /// Moves the record's instants from the clock it was written on to another, on which the
    /// moment `written` of the old is `now` minus `elapsed`.
    pub fn shift(&mut self, written: Instant, now: Instant, elapsed: Duration) {
        let shift = |until: &mut Until| {
            if let Until::At(at) = until {
                *at = (now + at.since(written)) - elapsed;
            }
        };
        match self {
            Self::Lease { lease: Some(lease), .. } => {
                for prefix in &mut lease.prefixes {
                    shift(&mut prefix.preferred_until);
                    shift(&mut prefix.valid_until);
                }
            }
            Self::Advertised { until, .. } => shift(until),
            Self::Static { stored, .. } => {
                for (_, preferred_until, valid_until) in &mut stored.prefixes {
                    shift(preferred_until);
                    shift(valid_until);
                }
            }
            Self::Binding { binding: Some(binding), .. } => {
                let promised = &mut Arc::make_mut(binding).promised;
                promised.values_mut().for_each(|promise| promise.shift(&shift));
            }
            Self::Relayed { lease: Some(lease), .. } => {
                shift(&mut lease.preferred_until);
                shift(&mut lease.valid_until);
            }
            Self::Binding { binding: None, .. }
            | Self::Relayed { lease: None, .. }
            | Self::Replay { .. }
            | Self::Lease { lease: None, .. }
            | Self::Duid { .. }
            | Self::Secret { .. }
            | Self::Sysctl { .. } => {}
        }
    }
}
