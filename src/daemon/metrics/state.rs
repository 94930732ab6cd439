//! The gauges, rendered from the status at each scrape, so that none outlives its subject.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::core::status::{Status, UplinkStatus};

type Number = Gauge<f64, AtomicU64>;
type Labels = Vec<(&'static str, String)>;
type Numbers = Family<Labels, Number>;

#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
struct OfRejection {
    kind: &'static str,
    reason: &'static str,
}

/// The gauges of a status.
struct Gauges {
    registry: Registry,
    /// Since 1970.
    wall: Duration,
}

/// The gauges of a status, and the number of rejected messages by kind and reason.
pub(super) fn registry(
    status: &Status,
    rejections: impl Iterator<Item = (&'static str, &'static str, u64)>,
    wall: Duration,
) -> Registry {
    let mut gauges = Gauges { registry: Registry::with_prefix("renumberd"), wall };
    gauges.write_build();
    gauges.write_uplinks(status);
    gauges.write_downlinks(status);
    gauges.write_bindings(status);
    gauges.write_conditions(status);
    let rejected: Family<OfRejection, Counter> = Family::default();
    for (kind, reason, count) in rejections {
        rejected.get_or_create(&OfRejection { kind, reason }).inc_by(count);
    }
    gauges.registry.register(
        "messages_rejected",
        "Messages, and parts of messages, that were dropped",
        rejected,
    );
    gauges.registry
}

impl Gauges {
    fn add(&mut self, name: &str, help: &str) -> Numbers {
        let numbers = Numbers::default();
        self.registry.register(name, help, numbers.clone());
        numbers
    }

    fn add_seconds(&mut self, name: &str, help: &str) -> Numbers {
        let numbers = Numbers::default();
        self.registry.register_with_unit(name, help, Unit::Seconds, numbers.clone());
        numbers
    }

    /// Sets the wall time at which a lifetime of so many seconds ends. An infinite one has no time.
    fn set_end<const N: usize>(
        &self,
        numbers: &Numbers,
        labels: [(&'static str, &str); N],
        seconds: Option<u32>,
    ) {
        if let Some(seconds) = seconds {
            set(numbers, labels, self.wall.as_secs_f64().round() + f64::from(seconds));
        }
    }

    fn write_build(&mut self) {
        let build = self.add("build_info", "The version that runs");
        set(&build, [("version", env!("CARGO_PKG_VERSION"))], 1.0);
    }

    fn write_uplinks(&mut self, status: &Status) {
        let attached = self.add("uplink_attached", "1 where the uplink can send");
        let routers = self.add("routers", "Default routers that are heard");
        let leases = self.add("leases", "Delegated prefixes that are held");
        for (name, uplink) in &status.uplinks {
            let label = || [("uplink", name.as_str())];
            set(&attached, label(), flag(uplink.attached));
            let default = uplink.routers.iter().filter(|router| router.lifetime != Some(0));
            set(&routers, label(), count(default));
            set(&leases, label(), count(uplink.leases.iter().filter(|lease| !lease.gone)));
        }
        self.write_routers(&status.uplinks);
        self.write_leases(&status.uplinks);
    }

    fn write_routers(&mut self, uplinks: &std::collections::BTreeMap<String, UplinkStatus>) {
        let routers = self.add_seconds(
            "router_expiry_timestamp",
            "When a router is no default router any more, unless it advertises again",
        );
        let valid = self.add_seconds(
            "prefix_expiry_timestamp",
            "When the valid lifetime of a prefix ends that a router advertises",
        );
        let preferred = self.add_seconds(
            "prefix_deprecation_timestamp",
            "When the preferred lifetime of a prefix ends that a router advertises",
        );
        for (name, uplink) in uplinks {
            for router in &uplink.routers {
                let address = router.address.to_string();
                let label = || [("uplink", name.as_str()), ("router", address.as_str())];
                self.set_end(&routers, label(), router.lifetime);
                for prefix in &router.prefixes {
                    let text = prefix.prefix.to_string();
                    let [uplink, router] = label();
                    let label = || [uplink, router, ("prefix", text.as_str())];
                    self.set_end(&valid, label(), prefix.valid);
                    self.set_end(&preferred, label(), prefix.preferred);
                }
            }
        }
    }

    fn write_leases(&mut self, uplinks: &std::collections::BTreeMap<String, UplinkStatus>) {
        let valid = self.add_seconds(
            "lease_expiry_timestamp",
            "When the valid lifetime of a delegated prefix ends",
        );
        let preferred = self.add_seconds(
            "lease_deprecation_timestamp",
            "When the preferred lifetime of a delegated prefix ends",
        );
        for (name, uplink) in uplinks {
            for lease in uplink.leases.iter().filter(|lease| !lease.gone) {
                let (prefix, iaid) = (lease.prefix.to_string(), lease.iaid.to_string());
                let label = || {
                    [
                        ("uplink", name.as_str()),
                        ("iaid", iaid.as_str()),
                        ("prefix", prefix.as_str()),
                    ]
                };
                self.set_end(&valid, label(), lease.valid);
                self.set_end(&preferred, label(), lease.preferred);
            }
        }
    }

    fn write_downlinks(&mut self, status: &Status) {
        let lifetime =
            self.add_seconds("downlink_router_lifetime", "The Router Lifetime that is advertised");
        let prefixes = self.add("downlink_prefixes", "Prefixes that hosts are to prefer");
        for (name, downlink) in &status.downlinks {
            let label = || [("downlink", name.as_str())];
            set(&lifetime, label(), f64::from(downlink.router_lifetime));
            let preferred = downlink.advertised.iter().filter(|prefix| prefix.preferred > 0);
            set(&prefixes, label(), count(preferred));
        }
    }

    fn write_bindings(&mut self, status: &Status) {
        let bindings = Number::default();
        let help = "Bindings of subordinate routers";
        self.registry.register("bindings", help, bindings.clone());
        let prefixes = self.add("binding_prefixes", "Their prefixes");
        let relayed = self.add("relayed_leases", "Leases that went by way of this relay agent");
        let summary = status.binding_summary.unwrap_or_default();
        bindings.set(count(0..summary.bindings));
        for (state, number) in [
            ("given", summary.given),
            ("reserved", summary.reserved),
            ("withdrawn", summary.withdrawn),
        ] {
            set(&prefixes, [("state", state)], count(0..number));
        }
        for (name, relay) in &status.relays {
            set(&relayed, [("relay", name.as_str())], count(relay.leases.iter()));
        }
    }

    fn write_conditions(&mut self, status: &Status) {
        let conditions = self.add("condition", "1 for each condition that holds");
        for condition in &status.conditions {
            let label = [("condition", &*condition.name), ("subject", &*condition.subject)];
            set(&conditions, label, 1.0);
        }
    }
}

fn set<const N: usize>(numbers: &Numbers, labels: [(&'static str, &str); N], value: f64) {
    let labels = labels.map(|(name, value)| (name, value.to_owned()));
    numbers.get_or_create(&labels.into()).set(value);
}

const fn flag(is: bool) -> f64 {
    if is { 1.0 } else { 0.0 }
}

fn count(items: impl Iterator) -> f64 {
    u32::try_from(items.count()).map_or(f64::INFINITY, f64::from)
}
