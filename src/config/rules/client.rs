//! Interfaces of a host.

use super::Finding;
use crate::config::{Config, ResolverTarget};

/// No file is for two things, and entries by router are for resolvconf.
pub(super) fn check(config: &Config, findings: &mut Vec<Finding>) {
    let clients = || {
        let uplinks = config.uplinks.iter();
        uplinks.filter_map(|(name, uplink)| Some((name, uplink.client.as_ref()?)))
    };
    for (name, client) in clients().filter(|(_, client)| client.resolver_per_router) {
        if !matches!(client.resolver, ResolverTarget::Resolvconf | ResolverTarget::Program(_)) {
            let problem = "only resolvconf holds an entry for each router".to_owned();
            let path = ["client", name.as_str(), "resolver-per-router"];
            let remedy = "add resolver = \"resolvconf\", or the path of a program like it";
            findings.push(Finding::new(&path, problem, remedy));
        }
    }
    for (name, client) in clients() {
        let ResolverTarget::File(file) = &client.resolver else { continue };
        let other = clients().find(|(_, other)| other.networks.as_ref() == Some(file));
        if let Some((other, _)) = other {
            let problem = format!("{file} is to hold the networks of {other} as well");
            let path = ["client", name.as_str(), "resolver"];
            findings.push(Finding::new(&path, problem, "name another file"));
        }
    }
}
