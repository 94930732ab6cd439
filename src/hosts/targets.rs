//! The publications by receiver.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use ipnet::Ipv6Net;

use super::record::Purpose;
use super::text::{self, Resolver};
use super::{entry, file};
use crate::config::ResolverTarget;
use crate::core::client::{Publication, ResolverOfRouter};

/// The publications by receiver.
#[derive(Debug, Default)]
pub(super) struct Targets {
    /// By interface.
    pub(super) entries: BTreeMap<String, entry::Wanted>,
    /// By path.
    pub(super) files: BTreeMap<PathBuf, (Purpose, file::Wanted)>,
}

/// The networks of all interfaces that share one file.
#[derive(Default)]
struct Networks {
    networks: BTreeSet<Ipv6Net>,
    commands: BTreeSet<Vec<String>>,
    interfaces: BTreeSet<String>,
}

impl Targets {
    /// Sorts the publications of all interfaces.
    pub(super) fn of(publications: BTreeMap<String, Publication>) -> Self {
        let mut entries = BTreeMap::new();
        let mut resolvers: BTreeMap<PathBuf, Vec<Resolver>> = BTreeMap::new();
        let mut networks: BTreeMap<PathBuf, Networks> = BTreeMap::new();
        for (interface, publication) in publications {
            let Publication { client, servers, search, of_routers, networks: own } = publication;
            if let Some(path) = client.networks {
                let shared = networks.entry(path.into()).or_default();
                shared.networks.extend(own);
                shared.interfaces.insert(interface.clone());
                let command = Some(client.networks_command).filter(|command| !command.is_empty());
                shared.commands.extend(command);
            }
            let of = |router, servers, search| Resolver {
                interface: interface.clone(),
                router,
                servers,
                search,
            };
            let of_routers = of_routers.into_iter().map(|one| {
                let ResolverOfRouter { router, servers, search } = one;
                of(Some(router), servers, search)
            });
            let of_routers: Vec<Resolver> = of_routers.collect();
            let resolver = of(None, servers, search);
            match client.resolver {
                ResolverTarget::Nobody => {}
                ResolverTarget::File(path) => {
                    resolvers.entry(path.into()).or_default().push(resolver);
                }
                target @ (ResolverTarget::Auto
                | ResolverTarget::Resolved
                | ResolverTarget::Resolvconf
                | ResolverTarget::Program(_)) => {
                    let resolvers = std::iter::once(resolver).chain(of_routers);
                    let resolvers = resolvers.filter(|resolver| !resolver.is_empty()).collect();
                    let wanted = entry::Wanted { interface: interface.clone(), target, resolvers };
                    entries.insert(interface, wanted);
                }
            }
        }
        let resolvers = resolvers.into_iter().map(|(path, resolvers)| {
            let wanted = file::Wanted {
                is_empty: resolvers.iter().all(Resolver::is_empty),
                text: text::file(&resolvers),
                commands: BTreeSet::new(),
                interfaces: resolvers.into_iter().map(|resolver| resolver.interface).collect(),
            };
            (path, (Purpose::Resolver, wanted))
        });
        let networks = networks.into_iter().map(|(path, shared)| {
            let wanted = file::Wanted {
                is_empty: shared.networks.is_empty(),
                text: text::networks(&shared.networks),
                commands: shared.commands,
                interfaces: shared.interfaces,
            };
            (path, (Purpose::Networks, wanted))
        });
        Self { entries, files: resolvers.chain(networks).collect() }
    }
}
