//! What `renumberd status --json` says: the only file that knows its form.

use ipnet::Ipv6Net;
use serde_json::Value;

/// A status.
#[derive(Clone, PartialEq, Debug)]
pub struct Status(Value);

impl Status {
    /// Reads what the command printed.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok().map(Self)
    }

    /// Prefixes that the uplink holds by delegation, those that are gone left out.
    pub fn delegated(&self, uplink: &str) -> Vec<Ipv6Net> {
        let leases = list(&self.0["uplinks"][uplink]["leases"]);
        let held = leases.iter().filter(|lease| lease["gone"].as_bool() != Some(true));
        held.filter_map(prefix).collect()
    }

    /// The texts of the conditions with a name.
    pub fn conditions(&self, name: &str) -> Vec<String> {
        let conditions = list(&self.0["conditions"]).iter();
        let named = conditions.filter(|one| one["name"].as_str() == Some(name));
        named.filter_map(|one| one["text"].as_str().map(str::to_owned)).collect()
    }

    /// The first of them.
    pub fn condition(&self, name: &str) -> Option<String> {
        self.conditions(name).into_iter().next()
    }

    /// A program that does a job on an interface.
    pub fn engine(&self, job: &str, interface: &str) -> Value {
        let mut engines = list(&self.0["engines"]).iter();
        let found = engines.find(|one| one["job"] == job && one["interface"] == interface);
        found.cloned().unwrap_or_default()
    }

    /// The delegated prefixes that the uplink holds, each with its IAID, by IAID.
    pub fn leases(&self, uplink: &str) -> Vec<(u64, Ipv6Net)> {
        let leases = list(&self.0["uplinks"][uplink]["leases"]);
        let held = leases.iter().filter(|lease| lease["gone"].as_bool() != Some(true));
        held.filter_map(|lease| Some((lease["iaid"].as_u64()?, prefix(lease)?))).collect()
    }

    /// Prefixes of leases that are gone and still remembered.
    pub fn gone(&self, uplink: &str) -> Vec<Ipv6Net> {
        let leases = list(&self.0["uplinks"][uplink]["leases"]);
        let gone = leases.iter().filter(|lease| lease["gone"].as_bool() == Some(true));
        gone.filter_map(prefix).collect()
    }

    /// What subordinate routers were given or are due, with the state of each.
    pub fn bindings(&self) -> Vec<(Ipv6Net, String)> {
        let prefixes = list(&self.0["bindings"]).iter().flat_map(|one| list(&one["prefixes"]));
        prefixes
            .filter_map(|found| Some((prefix(found)?, found["state"].as_str()?.to_owned())))
            .collect()
    }

    /// Whether some subordinate router is being called.
    pub fn is_calling(&self) -> bool {
        list(&self.0["bindings"]).iter().any(|binding| binding["notified"] == true)
    }

    /// Prefixes that routers on the uplink advertise, with the condition of each.
    pub fn heard(&self, uplink: &str) -> Vec<(Ipv6Net, String)> {
        let routers = list(&self.0["uplinks"][uplink]["routers"]);
        let prefixes = routers.iter().flat_map(|router| list(&router["prefixes"]));
        prefixes
            .filter_map(|found| Some((prefix(found)?, found["condition"].as_str()?.to_owned())))
            .collect()
    }

    /// Prefixes that hosts on the downlink are told to prefer.
    pub fn advertised(&self, downlink: &str) -> Vec<Ipv6Net> {
        let told = list(&self.0["downlinks"][downlink]["advertised"]);
        let preferred = told.iter().filter(|told| told["preferred"] != 0);
        preferred.filter_map(prefix).collect()
    }

    /// All packets that were dropped.
    pub fn dropped(&self) -> u64 {
        let counters = self.0["counters"].as_object();
        counters.into_iter().flatten().filter_map(|(_, count)| count.as_u64()).sum()
    }

    /// Whether a named condition holds.
    pub fn complains(&self, name: &str) -> bool {
        list(&self.0["conditions"]).iter().any(|found| found["name"] == name)
    }

    /// The changes, as they are.
    pub fn changes_view(&self) -> &Value {
        &self.0["changes"]
    }

    /// The number of the last change.
    pub fn changes(&self) -> u64 {
        list(&self.0["changes"]).last().and_then(|change| change["number"].as_u64()).unwrap_or(0)
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn prefix(value: &Value) -> Option<Ipv6Net> {
    value["prefix"].as_str()?.parse().ok()
}
